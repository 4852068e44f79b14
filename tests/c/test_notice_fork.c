/* test_notice_fork.c: the state in which a child of fork() may find a team, and how it resets it. A fork
 * may come at any moment, but a test cannot hold another thread at each moment. So this test includes
 * team.c itself and sets its fields to what a child may find. */
#include "base/team.c" /* NOLINT: for its static functions */

#include "team_tasks.h"

/* What a child finds if its parent was ending its workers in the middle of a piece of work, and every other
 * state at once: locks that are held, a piece whose tasks are not done, threads that sleep. */
static void leave_as_found(pynn_team *team) {
    atomic_store(&team->process, pynn_process_id() + 1);
    atomic_store(&team->workers, pynn_allocate(&team->allocator, 2 * sizeof(pynn_thread)));
    team->worker_count = 2;
    atomic_store(&team->ticket, (UINT64_C(7) << 32) | 2);
    atomic_store(&team->task_count, 5);
    atomic_store(&team->sleepers, 2);
    atomic_store(&team->caller_sleeps, true);
    atomic_store(&team->stopping, true);
    pynn_lock_take(&team->working);
    pynn_lock_take(&team->sleeping);
}

static bool is_free(pynn_lock *lock) {
    bool taken = pynn_lock_try(lock);
    if (taken) pynn_lock_give(lock);
    return taken;
}

/* Each field is as in a new team; only the number of threads is kept. */
static void test_child_begins_anew(void) {
    pynn_team *team = create_team(3);
    leave_as_found(team);
    CHECK(notice_fork(team));
    CHECK_EQ(atomic_load(&team->process), pynn_process_id());
    CHECK(atomic_load(&team->workers) == NULL);
    CHECK_EQ(team->worker_count, 0);
    CHECK(!is_open(atomic_load(&team->ticket)));
    CHECK_EQ(atomic_load(&team->sleepers), 0);
    CHECK(!atomic_load(&team->caller_sleeps));
    CHECK(!atomic_load(&team->stopping));
    CHECK(is_free(&team->working));
    CHECK(is_free(&team->sleeping));
    CHECK_EQ(pynn_team_threads(team), 3);
    if (check_failed > 0) return; /* the next call would hang */
    for (int p = 0; p < 10; p++) {
        meet_all(team, 3);
        rest();
    }
    pynn_team_destroy(team);
}

/* In the process that the team belongs to nothing changes. */
static void test_nobody_else_begins_anew(void) {
    pynn_team *team = create_team(3);
    meet_all(team, 3);
    pynn_thread *workers = atomic_load(&team->workers);
    const uint64_t ticket = atomic_load(&team->ticket);
    CHECK(notice_fork(team));
    CHECK(atomic_load(&team->workers) == workers);
    CHECK_EQ(team->worker_count, 2);
    CHECK_EQ(atomic_load(&team->ticket), ticket);
    pynn_team_destroy(team);
}

/* While another thread of the child resets the team, the call returns false and changes nothing. */
static void test_one_thread_begins_anew(void) {
    pynn_team *team = create_team(3);
    atomic_store(&team->process, -pynn_process_id());
    atomic_store(&team->sleepers, 1);
    CHECK(!notice_fork(team));
    CHECK_EQ(atomic_load(&team->sleepers), 1);
    CHECK_EQ(atomic_load(&team->process), -pynn_process_id());
    atomic_store(&team->process, pynn_process_id());
    pynn_team_destroy(team);
}

int main(void) {
    end_if_it_hangs();
    test_child_begins_anew();
    test_nobody_else_begins_anew();
    test_one_thread_begins_anew();
    return check_failures();
}
