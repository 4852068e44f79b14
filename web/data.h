/* data.h: what the readers of data files share. */
#ifndef PYNN_PAGE_DATA_H
#define PYNN_PAGE_DATA_H

#include "page.h"

enum { MOST_CLASSES = 1000 };

/* What can be wrong with a file, beside what is wrong with its IDX header. files.js has the sentences. */
typedef enum problem {
    DATA_OK = 0,
    DATA_NO_MEMORY = 1,
    DATA_EMPTY = 2,
    DATA_NO_NUMBER = 3,  /* a: the line, b: the column */
    DATA_COLUMNS = 4,    /* a: the line, b: its columns, c: those of the first */
    DATA_ONE_COLUMN = 5, /* there is a label and nothing else */
    DATA_LABEL = 6,      /* a: the example, from 1, b: its label */
    DATA_NOT_FINITE = 7, /* a: the example, from 1 */
    DATA_COUNTS = 8,     /* a: the examples, b: the labels */
    DATA_IDX = 100,      /* and a pynn_status */
} problem;

extern examples incoming[2]; /* what was read and is not taken over yet, as in sets */

/* Keep the numbers that belong to a problem, and return the problem. */
problem fail(problem what, double a, double b, double c);
void forget(examples *set);
/* Check the label of an example, keep it, and count its class. */
problem check_label(examples *set, size_t row, double label);

#endif
