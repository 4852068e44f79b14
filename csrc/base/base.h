/* base.h: what every file of the library may use: checked arithmetic on sizes, memory, the tasks of a team,
 * and the check for finite numbers. */
#ifndef PYNN_BASE_H
#define PYNN_BASE_H

#include <stdbool.h>

#include "pynn.h"

/* The smaller of a and b. */
static inline size_t pynn_least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* a / b, rounded up. */
static inline size_t pynn_divide_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

/* ---------------------------------------------------------------- memory.c */

/* *out = a * b. Returns false, and leaves *out, if the product does not fit size_t. */
bool pynn_multiply(size_t a, size_t b, size_t *out);

/* *out = a + b. Returns false, and leaves *out, if the sum does not fit size_t. */
bool pynn_add(size_t a, size_t b, size_t *out);

/* The caller's allocator, or, if that is NULL, the one of malloc() and free(). */
pynn_allocator pynn_allocator_or_default(const pynn_allocator *allocator);

/* Allocate memory that starts at a multiple of 64 bytes (a cache line, a vector register). pynn_allocate()
 * fills it with zeros, pynn_allocate_raw() does not. Both return NULL if there is not enough memory.
 * pynn_release(NULL) is a no-op. */
void *pynn_allocate_raw(const pynn_allocator *allocator, size_t nbytes);
void *pynn_allocate(const pynn_allocator *allocator, size_t nbytes);
void pynn_release(const pynn_allocator *allocator, void *memory);

/* ---------------------------------------------------------------- team.c */

/* A function that does task number `index` of a piece of work. All tasks of a piece get the same
 * context. */
typedef void (*pynn_task)(void *context, size_t index);

/* Do tasks 0 .. task_count - 1, in any order, on the threads of the team, and return when all are done. If
 * the team is NULL, or works for another thread, the calling thread does all tasks itself. */
void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context);

/* ---------------------------------------------------------------- finite.c */

/* Whether all of `count` floats are finite: none is infinite or NaN. */
bool pynn_all_finite(size_t count, const float *x);

/* Whether none of `count` floats is infinite; they may be NaN. */
bool pynn_none_infinite(size_t count, const float *x);

#endif
