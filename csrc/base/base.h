/* base.h: what every file of the library may use: checked sizes, memory, a team's tasks, finite numbers. */
#ifndef PYNN_BASE_H
#define PYNN_BASE_H

#include <stdbool.h>

#include "pynn.h"

static inline size_t pynn_least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* a / b, rounded up. */
static inline size_t pynn_divide_up(size_t a, size_t b) {
    return a / b + (a % b != 0);
}

/* ---------------------------------------------------------------- memory.c */

/* *out = a * b, or false where that does not fit. */
bool pynn_multiply(size_t a, size_t b, size_t *out);

/* *out = a + b, or false where that does not fit. */
bool pynn_add(size_t a, size_t b, size_t *out);

/* The allocator to use for a caller's choice: malloc() and free() for NULL. */
pynn_allocator pynn_allocator_or_default(const pynn_allocator *allocator);

/* Memory that starts at a multiple of 64 bytes (a cache line, a vector register). pynn_allocate() fills it
 * with zeros, pynn_allocate_raw() does not. NULL where there is none. pynn_release(NULL) is a no-op. */
void *pynn_allocate_raw(const pynn_allocator *allocator, size_t nbytes);
void *pynn_allocate(const pynn_allocator *allocator, size_t nbytes);
void pynn_release(const pynn_allocator *allocator, void *memory);

/* ---------------------------------------------------------------- team.c */

/* One task of a piece of work: number `index`. */
typedef void (*pynn_task)(void *context, size_t index);

/* Do tasks 0 .. task_count - 1, in any order, on the threads of the team; returns when all are done.
 * A team that is NULL or works for another thread leaves them all to the calling thread. */
void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context);

/* ---------------------------------------------------------------- finite.c */

/* Whether none of `count` floats is infinite or NaN. */
bool pynn_all_finite(size_t count, const float *x);

#endif
