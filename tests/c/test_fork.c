/* test_fork.c: a child after fork() has only the thread that has called fork(), and a copy of a team in any
 * state. The team begins anew in the child. */
#include <stdlib.h>
#include <sys/wait.h>

#include "team_tasks.h"

#if defined(PYNN_COVERAGE)
void __gcov_dump(void);
#endif

/* End a child without the work of exit(), which is the parent's to do. What coverage has counted is
 * kept. */
static _Noreturn void leave(int status) {
    fflush(stdout);
#if defined(PYNN_COVERAGE)
    __gcov_dump();
#endif
    _exit(status);
}

/* In a child: use all threads of the team. The exit status says whether that worked. */
static void use_in_child(pynn_team *team, size_t threads) {
    const int failed_before = check_failed;
    end_if_it_hangs();
    CHECK_EQ(pynn_team_threads(team), threads);
    for (int p = 0; p < 100; p++) {
        meet_all(team, threads);
    }
    CHECK_EQ(pynn_team_resize(team, threads + 1), PYNN_OK);
    meet_all(team, threads + 1);
    pynn_team_destroy(team);
    leave(check_failed != failed_before);
}

static void check_child(pid_t child) {
    int status = -1;
    CHECK(child > 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Fork when the team has not started its threads, when they spin, and when they sleep. */
static void test_fork_when_idle(void) {
    for (int state = 0; state < 3; state++) {
        pynn_team *team = create_team(3);
        if (state > 0) meet_all(team, 3);
        if (state > 1) rest();
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0) use_in_child(team, 3);
        check_child(child);
        meet_all(team, 3); /* the parent still has its threads */
        pynn_team_destroy(team);
    }
}

/* A child may also destroy its copy of the team and do nothing else. */
static void test_fork_and_destroy(void) {
    pynn_team *team = create_team(3);
    meet_all(team, 3);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        end_if_it_hangs();
        pynn_team_destroy(team);
        leave(0);
    }
    check_child(child);
    pynn_team_destroy(team);
}

/* A piece of work that lasts until it is released. */
typedef struct held_piece {
    pynn_team *team;
    atomic_size_t begun;
    atomic_bool released;
} held_piece;

static void hold(void *context, size_t index) {
    held_piece *held = context;
    (void)index;
    atomic_fetch_add(&held->begun, 1);
    while (!atomic_load(&held->released)) {
        yield();
    }
}

static void *run_held(void *context) {
    held_piece *held = context;
    pynn_team_run(held->team, 5, hold, held);
    return NULL;
}

/* Fork while all three threads do tasks of a piece for another caller. */
static void test_fork_when_working(void) {
    held_piece held = {.team = create_team(3)};
    pynn_thread other;
    CHECK(pynn_thread_start(&other, run_held, &held));
    while (atomic_load(&held.begun) < 3) {
        yield();
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) use_in_child(held.team, 3);
    check_child(child);
    atomic_store(&held.released, true);
    pynn_thread_join(&other);
    CHECK_EQ(atomic_load(&held.begun), 5);
    pynn_team_destroy(held.team);
}

/* Four threads that begin at the same time. */
typedef struct starter {
    caller one;
    rendezvous *line;
} starter;

static void *start_together(void *context) {
    starter *it = context;
    meet(it->line, 0);
    return run_pieces(&it->one);
}

static void start_in_child(pynn_team *team) {
    static starter starters[4];
    rendezvous line = {.expected = 4};
    pynn_thread threads[4];
    const int failed_before = check_failed;
    end_if_it_hangs();
    for (int s = 0; s < 4; s++) {
        starters[s].line = &line;
        starters[s].one.team = team;
        starters[s].one.pieces = 2000;
        CHECK(pynn_thread_start(&threads[s], start_together, &starters[s]));
    }
    for (int s = 0; s < 4; s++) {
        pynn_thread_join(&threads[s]);
        check_caller(&starters[s].one);
    }
    pynn_team_destroy(team);
    leave(check_failed != failed_before);
}

/* Several threads of a child use the team at the same time: only one of them may reset it. */
static void test_fork_and_callers(void) {
    for (int round = 0; round < 20; round++) {
        pynn_team *team = create_team(3);
        meet_all(team, 3);
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0) start_in_child(team);
        check_child(child);
        pynn_team_destroy(team);
    }
}

/* An allocator that can hold the thread that releases memory. */
typedef struct gate {
    atomic_bool closed;
    atomic_bool reached;
} gate;

static void release(void *context, void *memory) {
    gate *way = context;
    atomic_store(&way->reached, true);
    while (atomic_load(&way->closed)) {
        yield();
    }
    free(memory);
}

/* What a thread of the child does with the team, and whether it has begun. */
typedef struct user {
    pynn_team *team;
    tally done;
    atomic_bool begun;
} user;

static void *run_piece(void *context) {
    user *one = context;
    pynn_team_run(one->team, 17, count_task, &one->done);
    return NULL;
}

static void *resize(void *context) {
    user *one = context;
    atomic_store(&one->begun, true);
    CHECK_EQ(pynn_team_resize(one->team, 2), PYNN_OK);
    return NULL;
}

/* One thread is held while it resets the team. Meanwhile another thread does its tasks alone, and a third
 * waits to change the size of the team. */
static void meet_in_child(pynn_team *team, gate *way) {
    static user first, second, third;
    pynn_thread threads[2];
    const int failed_before = check_failed;
    end_if_it_hangs();
    first.team = second.team = third.team = team;
    atomic_store(&way->reached, false);
    atomic_store(&way->closed, true);
    CHECK(pynn_thread_start(&threads[0], run_piece, &first));
    while (!atomic_load(&way->reached)) {
        yield();
    }
    run_piece(&second);
    check_tally(&second.done, 17, 1);
    CHECK(pynn_thread_start(&threads[1], resize, &third));
    while (!atomic_load(&third.begun)) {
        yield();
    }
    rest();
    CHECK_EQ(pynn_team_threads(team), 3);
    check_tally(&first.done, 0, 0);
    atomic_store(&way->closed, false);
    pynn_thread_join(&threads[0]);
    pynn_thread_join(&threads[1]);
    check_tally(&first.done, 17, 1);
    CHECK_EQ(pynn_team_threads(team), 2);
    meet_all(team, 2);
    pynn_team_destroy(team);
    leave(check_failed != failed_before);
}

static void test_fork_and_meet(void) {
    gate way = {0};
    const pynn_allocator allocator = {plain_allocate, release, &way};
    pynn_team *team;
    if (!CHECK_EQ(pynn_team_create(&allocator, 3, &team), PYNN_OK)) return;
    meet_all(team, 3);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) meet_in_child(team, &way);
    check_child(child);
    pynn_team_destroy(team);
}

/* An allocator that holds the thread that has released memory, and counts the memory that is released
 * twice. It keeps all memory to the end, so that it gives no address twice. */
typedef struct keeper {
    gate way;
    void *kept[64];
    size_t count;
    int twice;
} keeper;

static void keep(void *context, void *memory) {
    keeper *all = context;
    for (size_t k = 0; k < all->count; k++) {
        all->twice += all->kept[k] == memory;
    }
    all->kept[all->count++] = memory;
    atomic_store(&all->way.reached, true);
    while (atomic_load(&all->way.closed)) {
        yield();
    }
}

static void free_all(keeper *all) {
    for (size_t k = 0; k < all->count; k++) {
        free(all->kept[k]);
    }
}

/* Fork just after another thread, which resizes the team, has released the list of workers: the child does
 * not release it again. */
static void test_fork_when_resizing(void) {
    static keeper all;
    const pynn_allocator allocator = {plain_allocate, keep, &all};
    static user other;
    pynn_thread thread;
    if (!CHECK_EQ(pynn_team_create(&allocator, 3, &other.team), PYNN_OK)) return;
    meet_all(other.team, 3);
    atomic_store(&all.way.closed, true);
    CHECK(pynn_thread_start(&thread, resize, &other));
    while (!atomic_load(&all.way.reached)) {
        yield();
    }
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const int failed_before = check_failed;
        end_if_it_hangs();
        atomic_store(&all.way.closed, false);
        meet_all(other.team, 3);
        CHECK_EQ(pynn_team_resize(other.team, 2), PYNN_OK);
        meet_all(other.team, 2);
        pynn_team_destroy(other.team);
        CHECK_EQ(all.twice, 0);
        free_all(&all);
        leave(check_failed != failed_before);
    }
    check_child(child);
    atomic_store(&all.way.closed, false);
    pynn_thread_join(&thread);
    meet_all(other.team, 2);
    pynn_team_destroy(other.team);
    CHECK_EQ(all.twice, 0);
    free_all(&all);
}

int main(void) {
#if defined(__SANITIZE_THREAD__)
    return 77; /* skipped: ThreadSanitizer cannot follow a child that starts threads */
#endif
    end_if_it_hangs();
    test_fork_when_idle();
    test_fork_and_destroy();
    test_fork_when_working();
    test_fork_and_callers();
    test_fork_and_meet();
    test_fork_when_resizing();
    return check_failures();
}
