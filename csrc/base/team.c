/* team.c: a team of threads that shares out the tasks of one piece of work at a time.
 *
 * The work is `task_count` tasks, numbered from 0. Whoever is free, the calling thread among them, claims
 * the next number from a ticket and does that task. So a thread that the system gave no core holds
 * nobody up but for a task that it has begun, and what a task computes must not depend on who does it.
 *
 * The ticket is one 64-bit word: the upper half counts pieces of work, the lower half is the next task.
 * A claim is a compare-and-swap of the whole word, so that a thread which comes late can claim nothing
 * of a piece that is over: the upper half has changed. While the fields that describe a piece are
 * written the lower half is CLOSED.
 *
 * Waiting is spinning for some microseconds, because the next piece mostly comes soon, and then sleeping,
 * because a core that spins is lost to others. */
#define _POSIX_C_SOURCE 200809L /* the masks of signals: musl hides them from plain C11 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/base.h"
#include "base/denormals.h"

/* Turns of the waiting loop before a thread sleeps: 20 to 50 microseconds, the time between the pieces
 * of a training step and several times what it takes to wake a thread. */
enum { SPINS = 1000 };

#define CLOSED UINT32_MAX

struct pynn_team {
    pynn_allocator allocator;
    atomic_size_t threads;        /* wanted, the calling thread included */
    size_t worker_count;          /* started */
    _Atomic(pthread_t *) workers; /* (worker_count,); NULL before the first work, and after the last */
    _Atomic(pid_t) process;  /* whose threads the workers are; -p while a forked child, p, begins anew */
    pthread_mutex_t working; /* held by the thread whose work is being done */

    _Atomic(uint64_t) ticket;
    _Atomic(pynn_task) task;
    _Atomic(void *) context;
    atomic_size_t task_count;
    atomic_size_t done; /* tasks finished */

    pthread_mutex_t sleeping; /* guards the two conditions */
    pthread_cond_t work_came;
    pthread_cond_t work_done;
    atomic_size_t sleepers;    /* workers that wait for work_came */
    atomic_bool caller_sleeps; /* the calling thread waits for work_done */
    atomic_bool stopping;
};

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool is_open(uint64_t ticket) {
    return (uint32_t)ticket != CLOSED;
}

/* Claim and do tasks of the piece that `ticket` belongs to, until there are none or it is over. */
static void do_tasks(pynn_team *team, uint64_t ticket) {
    uint64_t piece = ticket >> 32;
    while (ticket >> 32 == piece && is_open(ticket)) {
        /* Acquire, for the release in share_out(): who sees a field of the next piece sees that the ticket
         * was closed before. */
        pynn_task task = atomic_load_explicit(&team->task, memory_order_acquire);
        void *context = atomic_load_explicit(&team->context, memory_order_acquire);
        size_t count = atomic_load_explicit(&team->task_count, memory_order_acquire);
        size_t index = (uint32_t)ticket;
        if (index >= count) return;
        /* So what was read above is this piece's if the ticket is still the same. */
        if (!atomic_compare_exchange_strong(&team->ticket, &ticket, ticket + 1)) continue;
        task(context, index);
        if (atomic_fetch_add(&team->done, 1) + 1 == count && atomic_load(&team->caller_sleeps)) {
            pthread_mutex_lock(&team->sleeping);
            pthread_cond_signal(&team->work_done);
            pthread_mutex_unlock(&team->sleeping);
        }
        ticket = atomic_load(&team->ticket);
    }
}

/* Wait until the ticket is open and of another piece than `piece`, or the team stops. */
static uint64_t wait_for_work(pynn_team *team, uint64_t piece) {
    uint64_t ticket;
    for (int spin = 0; spin < SPINS; spin++) {
        ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
        if (is_open(ticket) && ticket >> 32 != piece) return ticket;
        pause_briefly();
    }
    pthread_mutex_lock(&team->sleeping);
    atomic_fetch_add(&team->sleepers, 1);
    for (;;) {
        ticket = atomic_load(&team->ticket);
        if ((is_open(ticket) && ticket >> 32 != piece) || atomic_load(&team->stopping)) break;
        pthread_cond_wait(&team->work_came, &team->sleeping);
    }
    atomic_fetch_sub(&team->sleepers, 1);
    pthread_mutex_unlock(&team->sleeping);
    return ticket;
}

static void *work(void *context) {
    pynn_team *team = context;
    uint64_t piece = UINT32_MAX; /* one that never was */
    pynn_flush_denormals(); /* as the calling thread does: results must not depend on who does a task */
    while (!atomic_load(&team->stopping)) {
        uint64_t ticket = wait_for_work(team, piece);
        do_tasks(team, ticket);
        piece = ticket >> 32;
    }
    return NULL;
}

static void init_locks(pynn_team *team) {
    pthread_mutex_init(&team->working, NULL);
    pthread_mutex_init(&team->sleeping, NULL);
    pthread_cond_init(&team->work_came, NULL);
    pthread_cond_init(&team->work_done, NULL);
}

/* Forget the list of workers, then release it. In this order, because another thread may fork at any
 * moment: its child finds no list that has been released, which it would release again. The exchange keeps
 * the order. */
static void release_workers(pynn_team *team) {
    team->worker_count = 0;
    pynn_release(&team->allocator, atomic_exchange(&team->workers, NULL));
}

/* End all workers. The caller holds `working`. */
static void stop_workers(pynn_team *team) {
    pthread_t *workers = atomic_load(&team->workers);
    if (workers == NULL) return;
    pthread_mutex_lock(&team->sleeping);
    atomic_store(&team->stopping, true);
    pthread_cond_broadcast(&team->work_came);
    pthread_mutex_unlock(&team->sleeping);
    for (size_t w = 0; w < team->worker_count; w++) pthread_join(workers[w], NULL);
    atomic_store(&team->stopping, false);
    release_workers(team);
}

/* Start threads - 1 workers, or as many of them as the system gives. They take no signals, which are the
 * business of the program's own threads, but for those that a fault of their own raises: to block these is
 * undefined. The caller holds `working`. */
static void start_workers(pynn_team *team) {
    size_t wanted = atomic_load(&team->threads) - 1;
    pthread_t *workers = pynn_allocate(&team->allocator, wanted * sizeof(pthread_t));
    atomic_store(&team->workers, workers);
    if (workers == NULL) return;
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (team->worker_count < wanted &&
           pthread_create(&workers[team->worker_count], NULL, work, team) == 0)
        team->worker_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* After a fork the child has the team's memory, whatever state that was in, and none of its threads:
 * begin anew. False while another thread of the child is doing that. */
static bool notice_fork(pynn_team *team) {
    pid_t here = getpid();
    pid_t process = atomic_load_explicit(&team->process, memory_order_acquire);
    if (process == here) return true;
    if (process == -here || !atomic_compare_exchange_strong(&team->process, &process, -here)) return false;
    init_locks(team);
    release_workers(team);
    atomic_store(&team->ticket, CLOSED);
    atomic_store(&team->sleepers, 0);
    atomic_store(&team->caller_sleeps, false);
    atomic_store(&team->stopping, false);
    atomic_store_explicit(&team->process, here, memory_order_release);
    return true;
}

/* Wait until all tasks are done; the calling thread has found none left to claim. */
static void wait_until_done(pynn_team *team, size_t task_count) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&team->done, memory_order_acquire) == task_count) return;
        pause_briefly();
    }
    pthread_mutex_lock(&team->sleeping);
    atomic_store(&team->caller_sleeps, true);
    while (atomic_load(&team->done) != task_count) pthread_cond_wait(&team->work_done, &team->sleeping);
    atomic_store(&team->caller_sleeps, false);
    pthread_mutex_unlock(&team->sleeping);
}

/* Publish a piece of work and help with it. The caller holds `working`. */
static void share_out(pynn_team *team, size_t task_count, pynn_task task, void *context) {
    uint64_t piece = ((atomic_load(&team->ticket) >> 32) + 1) << 32;
    atomic_store(&team->ticket, piece | CLOSED);
    atomic_store_explicit(&team->task, task, memory_order_release);
    atomic_store_explicit(&team->context, context, memory_order_release);
    atomic_store_explicit(&team->task_count, task_count, memory_order_release);
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    atomic_store(&team->ticket, piece);
    if (atomic_load(&team->sleepers) > 0) {
        pthread_mutex_lock(&team->sleeping);
        pthread_cond_broadcast(&team->work_came);
        pthread_mutex_unlock(&team->sleeping);
    }
    do_tasks(team, piece);
    wait_until_done(team, task_count);
}

void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context) {
    bool shared = team != NULL && task_count > 1 && task_count < CLOSED &&
                  atomic_load_explicit(&team->threads, memory_order_relaxed) > 1;
    /* Where the team works for another thread already, this one does its tasks alone. */
    shared = shared && notice_fork(team) && pthread_mutex_trylock(&team->working) == 0;
    if (!shared) {
        for (size_t index = 0; index < task_count; index++) task(context, index);
        return;
    }
    if (atomic_load_explicit(&team->workers, memory_order_relaxed) == NULL) start_workers(team);
    share_out(team, task_count, task, context);
    pthread_mutex_unlock(&team->working);
}

pynn_status pynn_team_create(const pynn_allocator *allocator, size_t threads, pynn_team **out) {
    if (out == NULL) return PYNN_INVALID_ARGUMENT;
    *out = NULL;
    if (threads == 0 || threads > PYNN_MAX_THREADS) return PYNN_INVALID_ARGUMENT;
    pynn_allocator used = pynn_allocator_or_default(allocator);
    pynn_team *team = pynn_allocate(&used, sizeof *team);
    if (team == NULL) return PYNN_OUT_OF_MEMORY;
    team->allocator = used;
    atomic_init(&team->threads, threads);
    atomic_init(&team->process, getpid());
    atomic_init(&team->ticket, CLOSED);
    init_locks(team);
    *out = team;
    return PYNN_OK;
}

pynn_status pynn_team_resize(pynn_team *team, size_t threads) {
    if (team == NULL || threads == 0 || threads > PYNN_MAX_THREADS) return PYNN_INVALID_ARGUMENT;
    while (!notice_fork(team)) pause_briefly();
    pthread_mutex_lock(&team->working);
    if (threads != atomic_load(&team->threads)) {
        stop_workers(team);
        atomic_store(&team->threads, threads);
    }
    pthread_mutex_unlock(&team->working);
    return PYNN_OK;
}

size_t pynn_team_threads(const pynn_team *team) {
    return atomic_load(&team->threads);
}

void pynn_team_destroy(pynn_team *team) {
    if (team == NULL) return;
    notice_fork(team);
    stop_workers(team);
    pthread_cond_destroy(&team->work_done);
    pthread_cond_destroy(&team->work_came);
    pthread_mutex_destroy(&team->sleeping);
    pthread_mutex_destroy(&team->working);
    pynn_allocator allocator = team->allocator;
    pynn_release(&allocator, team);
}
