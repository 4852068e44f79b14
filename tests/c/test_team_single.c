/* test_team_single.c: the team of systems without threads does every task once, in order, and refuses what
 * team.c refuses. Its functions are those of this file; the library's team.c is not linked. */
#include "base/team_single.c"
#include "team_tasks.h"

/* Tasks come in order, so each finds its own number. */
static void count_in_order(void *context, size_t index) {
    size_t *next = context;
    CHECK_EQ(*next, index);
    *next += 1;
}

static void test_every_task_once(void) {
    static const size_t counts[] = {0, 1, 2, 17, MOST_TASKS};
    for (size_t threads = 0; threads <= 3; threads++) {
        pynn_team *team = threads == 0 ? NULL : create_team(threads);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            tally done = {0};
            size_t next = 0;
            pynn_team_run(team, counts[c], count_task, &done);
            check_tally(&done, counts[c], 1);
            pynn_team_run(team, counts[c], count_in_order, &next);
            CHECK_EQ(next, counts[c]);
        }
        if (team != NULL) CHECK_EQ(pynn_team_threads(team), threads);
        pynn_team_destroy(team);
    }
}

static void test_resize(void) {
    pynn_team *team = create_team(2);
    CHECK_EQ(pynn_team_resize(team, 5), PYNN_OK);
    CHECK_EQ(pynn_team_threads(team), 5);
    CHECK_EQ(pynn_team_resize(NULL, 2), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_team_resize(team, 0), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_team_resize(team, PYNN_MAX_THREADS + 1), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_team_threads(team), 5);
    pynn_team_destroy(team);
}

static void test_refusals(void) {
    pynn_team *team = (pynn_team *)&team;
    CHECK_EQ(pynn_team_create(NULL, 0, &team), PYNN_INVALID_ARGUMENT);
    CHECK(team == NULL);
    team = (pynn_team *)&team;
    CHECK_EQ(pynn_team_create(NULL, PYNN_MAX_THREADS + 1, &team), PYNN_INVALID_ARGUMENT);
    CHECK(team == NULL);
    CHECK_EQ(pynn_team_create(NULL, 1, NULL), PYNN_INVALID_ARGUMENT);
    pynn_team_destroy(NULL);
}

int main(void) {
    test_every_task_once();
    test_resize();
    test_refusals();
    return check_failures();
}
