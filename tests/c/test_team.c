/* test_team.c: a team does every task once and wakes all of its threads, with any number of callers.
 * test_fork.c has the team in a child process. */
#define _GNU_SOURCE /* pthread_setattr_default_np() */
#if !defined(_WIN32)
#include <signal.h>
#endif
#include <stdlib.h>

#include "team_tasks.h"

#if defined(__SANITIZE_THREAD__)
enum { PIECES = 2000 };
#else
enum { PIECES = 20000 };
#endif

/* ---------------------------------------------------------------- one caller */

static void test_every_task_once(void) {
    static const size_t counts[] = {0, 1, 2, 3, 4, 7, 8, 9, 64, 100, MOST_TASKS};
    for (size_t threads = 0; threads <= 8; threads++) {
        pynn_team *team = threads == 0 ? NULL : create_team(threads);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            tally done = {0};
            pynn_team_run(team, counts[c], count_task, &done);
            check_tally(&done, counts[c], 1);
        }
        if (team != NULL) CHECK_EQ(pynn_team_threads(team), threads);
        pynn_team_destroy(team);
    }
}

/* The caller sees what tasks have written, without atomics of its own. */
static void write_task(void *context, size_t index) {
    size_t *cells = context;
    cells[index] = cells[index] * 2 + index;
}

/* Thousands of tiny pieces one after another, of changing sizes; each uses what the piece before has
 * written. */
static void test_many_pieces(size_t threads) {
    pynn_team *team = create_team(threads);
    size_t cells[9] = {0}, expected[9] = {0};
    for (size_t p = 0; p < PIECES; p++) {
        const size_t count = p % 8 + 2;
        pynn_team_run(team, count, write_task, cells);
        for (size_t i = 0; i < count; i++) {
            expected[i] = expected[i] * 2 + i;
        }
        if (!CHECK_BYTES(cells, expected, sizeof cells)) break;
    }
    pynn_team_destroy(team);
}

/* Every thread comes to work, whether it spins or sleeps, and so does the caller. */
static void test_everybody_comes(size_t threads) {
    pynn_team *team = create_team(threads);
    for (int p = 0; p < PIECES / 20; p++) {
        meet_all(team, threads);
        if (p % 10 == 0) rest();
    }
    pynn_team_destroy(team);
}

static void rest_task(void *context, size_t index) {
    atomic_size_t *done = context;
    if (index == 1) rest(); /* the thread with the other task waits, and sleeps */
    atomic_fetch_add(done, 1);
}

static void test_caller_sleeps(void) {
    pynn_team *team = create_team(2);
    atomic_size_t done = 0;
    for (size_t p = 1; p <= 200; p++) {
        pynn_team_run(team, 2, rest_task, &done);
        CHECK_EQ(atomic_load(&done), 2 * p);
    }
    pynn_team_destroy(team);
}

typedef struct nested_piece {
    pynn_team *team;
    tally done;
} nested_piece;

static void run_inner_piece(void *context, size_t index) {
    nested_piece *nested = context;
    (void)index;
    pynn_team_run(nested->team, 10, count_task, &nested->done);
}

/* Tasks that run pieces on the team that runs them do these pieces alone. */
static void test_nested(void) {
    nested_piece nested = {.team = create_team(3)};
    pynn_team_run(nested.team, 20, run_inner_piece, &nested);
    check_tally(&nested.done, 10, 20);
    pynn_team_destroy(nested.team);
}

/* ---------------------------------------------------------------- create, resize, destroy */

static void test_refusals(void) {
    pynn_team *team = (pynn_team *)&team;
    CHECK_EQ(pynn_team_create(NULL, 0, &team), PYNN_INVALID_ARGUMENT);
    CHECK(team == NULL);
    team = (pynn_team *)&team;
    CHECK_EQ(pynn_team_create(NULL, PYNN_MAX_THREADS + 1, &team), PYNN_INVALID_ARGUMENT);
    CHECK(team == NULL);
    CHECK_EQ(pynn_team_create(NULL, 1, NULL), PYNN_INVALID_ARGUMENT);
    team = create_team(2);
    CHECK_EQ(pynn_team_resize(NULL, 2), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_team_resize(team, 0), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_team_resize(team, PYNN_MAX_THREADS + 1), PYNN_INVALID_ARGUMENT);
    CHECK_EQ(pynn_team_threads(team), 2);
    pynn_team_destroy(team);
    pynn_team_destroy(NULL);
}

/* Destroy a team whose threads were never started, spin, or sleep. */
static void test_destroy(void) {
    pynn_team_destroy(create_team(PYNN_MAX_THREADS));
    for (int i = 0; i < 50; i++) {
        pynn_team *team = create_team(4);
        meet_all(team, 4);
        if (i % 2 == 0) rest();
        pynn_team_destroy(team);
    }
}

static void test_resize(void) {
    static const size_t sizes[] = {1, 4, 2, 2, 8, 1, 3};
    pynn_team *team = create_team(2);
    CHECK_EQ(pynn_team_resize(team, 3), PYNN_OK); /* before a thread is started */
    for (int round = 0; round < 20; round++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            CHECK_EQ(pynn_team_resize(team, sizes[s]), PYNN_OK);
            CHECK_EQ(pynn_team_threads(team), sizes[s]);
            if (round % 2 == 0) meet_all(team, sizes[s]);
            tally done = {0};
            pynn_team_run(team, 17, count_task, &done);
            check_tally(&done, 17, 1);
        }
    }
    pynn_team_destroy(team);
}

/* If the system gives no thread the caller does all tasks, also after the system has threads again. */
static void test_no_threads(void) {
#if defined(__GLIBC__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    pthread_attr_t usual, absurd;
    CHECK_EQ(pthread_getattr_default_np(&usual), 0);
    CHECK_EQ(pthread_attr_init(&absurd), 0);
    CHECK_EQ(pthread_attr_setstacksize(&absurd, (size_t)1 << (sizeof(size_t) * 8 - 2)), 0);
    CHECK_EQ(pthread_setattr_default_np(&absurd), 0);
    pynn_team *team = create_team(4);
    tally done = {0};
    pynn_team_run(team, 17, count_task, &done);
    CHECK_EQ(pthread_setattr_default_np(&usual), 0);
    pynn_team_run(team, 17, count_task, &done);
    check_tally(&done, 17, 2);
    CHECK_EQ(pynn_team_threads(team), 4);
    CHECK_EQ(pynn_team_resize(team, 3), PYNN_OK);
    meet_all(team, 3);
    pynn_team_destroy(team);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&absurd);
#endif
}

#if !defined(_WIN32)
/* The signals that the thread of task 0 or 1 blocks; `is_caller` marks the calling thread. */
typedef struct signal_masks {
    rendezvous place;
    pthread_t caller;
    sigset_t blocked[2];
    bool is_caller[2];
} signal_masks;

static void read_mask(void *context, size_t index) {
    signal_masks *masks = context;
    pthread_sigmask(SIG_BLOCK, NULL, &masks->blocked[index]);
    masks->is_caller[index] = pthread_equal(pthread_self(), masks->caller);
    meet(&masks->place, index);
}

/* Workers block all signals but those of faults, so that signals go to the program's own threads. The masks
 * of these stay as they are. */
static void test_signals(void) {
    static const int faults[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV};
    pynn_team *team = create_team(2);
    signal_masks masks = {.place = {.expected = 2}, .caller = pthread_self()};
    pynn_team_run(team, 2, read_mask, &masks);
    CHECK(masks.is_caller[0] != masks.is_caller[1]);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sigismember(&masks.blocked[i], SIGINT), !masks.is_caller[i]);
        CHECK_EQ(sigismember(&masks.blocked[i], SIGALRM), !masks.is_caller[i]);
        for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
            CHECK_EQ(sigismember(&masks.blocked[i], faults[f]), 0);
        }
    }
    pynn_team_destroy(team);
}
#endif

/* ---------------------------------------------------------------- several callers */

/* Two threads use one team while a third resizes it. */
static void test_callers(bool resizing) {
    pynn_team *team = create_team(3);
    caller *callers = calloc(2, sizeof *callers);
    pynn_thread threads[2];
    if (!CHECK(callers != NULL)) return;
    for (int c = 0; c < 2; c++) {
        callers[c].team = team;
        callers[c].pieces = PIECES / 2;
        CHECK(pynn_thread_start(&threads[c], run_pieces, &callers[c]));
    }
    for (size_t r = 0; resizing && r < 100; r++) {
        CHECK_EQ(pynn_team_resize(team, r % 4 + 1), PYNN_OK);
        CHECK_EQ(pynn_team_threads(team), r % 4 + 1);
    }
    for (int c = 0; c < 2; c++) {
        pynn_thread_join(&threads[c]);
        check_caller(&callers[c]);
    }
    free(callers);
    pynn_team_destroy(team);
}

int main(void) {
    end_if_it_hangs();
    test_refusals();
    test_every_task_once();
    for (size_t threads = 2; threads <= 8; threads += 3) {
        test_many_pieces(threads);
        test_everybody_comes(threads);
    }
    test_caller_sleeps();
    test_nested();
    test_destroy();
    test_resize();
    test_no_threads();
#if !defined(_WIN32)
    test_signals();
#endif
    test_callers(false);
    test_callers(true);
    return check_failures();
}
