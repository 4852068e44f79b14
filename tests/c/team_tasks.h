/* team_tasks.h: pieces of work for the tests of teams.
 *
 * A rendezvous is a piece of work with as many tasks as the team has threads. Each task ends only when all
 * have begun, so it needs every thread. If a wake-up is lost, the rendezvous waits forever; then the alarm
 * that each test sets ends the test. */
#ifndef PYNN_TEAM_TASKS_H
#define PYNN_TEAM_TASKS_H

#include <stdatomic.h>

#include "helpers.h"
#include "internal.h"
#include "system.h"

enum { MOST_TASKS = 1000 };

/* How many times each task was done. */
typedef struct tally {
    atomic_int counts[MOST_TASKS + 1];
} tally;

static inline void count_task(void *context, size_t index) {
    tally *done = context;
    atomic_fetch_add_explicit(&done->counts[index], 1, memory_order_relaxed);
}

/* Tasks 0 .. task_count - 1 were done `times` times each, and no other task was done. */
static inline bool check_tally(const tally *done, size_t task_count, int times) {
    for (size_t i = 0; i <= MOST_TASKS; i++) {
        if (!CHECK_EQ(atomic_load(&done->counts[i]), i < task_count ? times : 0)) {
            printf("    task %zu of %zu\n", i, task_count);
            return false;
        }
    }
    return true;
}

typedef struct rendezvous {
    atomic_size_t arrived;
    size_t expected;
} rendezvous;

static inline void meet(void *context, size_t index) {
    rendezvous *place = context;
    (void)index;
    atomic_fetch_add(&place->arrived, 1);
    while (atomic_load(&place->arrived) < place->expected) {
        yield();
    }
}

static inline void meet_all(pynn_team *team, size_t threads) {
    rendezvous place = {.expected = threads};
    pynn_team_run(team, threads, meet, &place);
    CHECK_EQ(atomic_load(&place.arrived), threads);
}

/* A thread that runs pieces of work on a team, and the results. */
typedef struct caller {
    pynn_team *team;
    tally done;
    int pieces;
} caller;

static inline void *run_pieces(void *context) {
    caller *one = context;
    for (int p = 0; p < one->pieces; p++) {
        pynn_team_run(one->team, (size_t)(p % 2 == 0 ? 40 : 5), count_task, &one->done);
    }
    return NULL;
}

/* 5 tasks are done in every piece, the other 35 in every second piece. */
static inline void check_caller(const caller *one) {
    for (size_t i = 0; i < 40; i++) {
        if (!CHECK_EQ(atomic_load(&one->done.counts[i]), i < 5 ? one->pieces : one->pieces / 2)) return;
    }
    CHECK_EQ(atomic_load(&one->done.counts[40]), 0);
}

#endif
