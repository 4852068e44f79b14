/* team_single.c: a team of one thread, for systems without threads: the calling thread does all tasks. */
#include "base/base.h"

struct pynn_team {
    pynn_allocator allocator;
    size_t threads;
};

void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context) {
    (void)team;
    for (size_t index = 0; index < task_count; index++) task(context, index);
}

pynn_status pynn_team_create(const pynn_allocator *allocator, size_t threads, pynn_team **out) {
    if (out == NULL) return PYNN_INVALID_ARGUMENT;
    *out = NULL;
    if (threads == 0 || threads > PYNN_MAX_THREADS) return PYNN_INVALID_ARGUMENT;
    pynn_allocator used = pynn_allocator_or_default(allocator);
    pynn_team *team = pynn_allocate(&used, sizeof *team);
    if (team == NULL) return PYNN_OUT_OF_MEMORY;
    team->allocator = used;
    team->threads = threads;
    *out = team;
    return PYNN_OK;
}

pynn_status pynn_team_resize(pynn_team *team, size_t threads) {
    if (team == NULL || threads == 0 || threads > PYNN_MAX_THREADS) return PYNN_INVALID_ARGUMENT;
    team->threads = threads;
    return PYNN_OK;
}

size_t pynn_team_threads(const pynn_team *team) {
    return team->threads;
}

void pynn_team_destroy(pynn_team *team) {
    if (team == NULL) return;
    pynn_allocator allocator = team->allocator;
    pynn_release(&allocator, team);
}
