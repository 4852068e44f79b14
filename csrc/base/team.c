/* team.c: a team of threads that share the tasks of one piece of work at a time.
 *
 * A piece of work is `task_count` tasks, numbered from 0. Each thread that is free, the calling thread too,
 * claims the next number and does that task. So a thread that the system gives no core delays the others
 * only if it has already begun a task. What a task computes must not depend on which thread does it.
 *
 * The ticket gives out the numbers. It is one 64-bit word: the upper half is the number of the piece, the
 * lower half is the next task. What could go wrong: a thread reads the ticket, loses its core, and claims a
 * task when the piece is over and another one has begun. That fails, because a claim is a compare-and-swap
 * of the whole word, and the upper half has changed. (The number of a piece comes again after 2^32 pieces:
 * a thread would have to lose its core for exactly so many.) While the caller writes the fields that
 * describe a piece, the lower half is CLOSED, and nobody can claim a task.
 *
 * A thread that waits spins for some microseconds first, because the next piece usually comes soon. Then it
 * sleeps, because a core that spins is lost to others. */
#include <stdatomic.h>

#include "base/base.h"
#include "base/denormals.h"
#include "base/threads.h"

/* How often the waiting loop turns before a thread sleeps. That takes 20 to 50 microseconds: as long as the
 * time between the pieces of a training step, and several times as long as waking a thread. */
enum { SPINS = 1000 };

#define CLOSED UINT32_MAX

struct pynn_team {
    pynn_allocator allocator;
    atomic_size_t threads;          /* how many are wanted, with the calling one */
    size_t worker_count;            /* how many are started */
    _Atomic(pynn_thread *) workers; /* (worker_count,); NULL while none are started */
    _Atomic(int64_t) process; /* whose threads the workers are; -p while the forked child p resets it */
    pynn_lock working;        /* held by the thread that the team works for */

    _Atomic(uint64_t) ticket;
    _Atomic(pynn_task) task;
    _Atomic(void *) context;
    atomic_size_t task_count;
    atomic_size_t done; /* how many tasks of the piece are finished */

    pynn_lock sleeping; /* guards the two conditions */
    pynn_condition work_came;
    pynn_condition work_done;
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

/* Whether tasks can be claimed from this ticket. */
static bool is_open(uint64_t ticket) {
    return (uint32_t)ticket != CLOSED;
}

/* Claim and do tasks of the piece that `ticket` belongs to, until no task is left or the piece is over.
 *
 * What could go wrong: while this thread reads the fields of a piece, that piece ends and share_out()
 * writes the fields of the next one, so that this thread does a task with the function of one piece and the
 * context of another. It cannot happen: share_out() closes the ticket before it writes a field. If this
 * thread has read a new field it must also see that the ticket has changed (acquire here, release in
 * share_out()), and its claim fails. If the claim succeeds all fields are those of its piece, and that
 * piece cannot end before this thread has counted its task as done. */
static void do_tasks(pynn_team *team, uint64_t ticket) {
    uint64_t piece = ticket >> 32;
    while (ticket >> 32 == piece && is_open(ticket)) {
        /* Acquire, to match the release in share_out(). */
        pynn_task task = atomic_load_explicit(&team->task, memory_order_acquire);
        void *context = atomic_load_explicit(&team->context, memory_order_acquire);
        size_t count = atomic_load_explicit(&team->task_count, memory_order_acquire);
        size_t index = (uint32_t)ticket;
        if (index >= count) return;
        /* The claim: it fails if the fields read above may be those of another piece. */
        if (!atomic_compare_exchange_strong(&team->ticket, &ticket, ticket + 1)) continue;
        task(context, index);
        if (atomic_fetch_add(&team->done, 1) + 1 == count && atomic_load(&team->caller_sleeps)) {
            pynn_lock_take(&team->sleeping);
            pynn_condition_wake_one(&team->work_done);
            pynn_lock_give(&team->sleeping);
        }
        ticket = atomic_load(&team->ticket);
    }
}

/* Wait until there is a piece other than `piece` to work on, or until the team stops. Returns the ticket.
 *
 * What could go wrong: share_out() finds no sleeper and wakes nobody, and just then this thread goes to
 * sleep. It cannot happen: this thread first counts itself as a sleeper and then reads the ticket;
 * share_out() first opens the ticket and then reads the number of sleepers. These operations have one order
 * for all threads (they are sequentially consistent), so one of the two sees what the other has written. If
 * share_out() sees a sleeper, it takes the mutex before it wakes all; by then this thread is in
 * pynn_condition_wait(). */
static uint64_t wait_for_work(pynn_team *team, uint64_t piece) {
    uint64_t ticket;
    for (int spin = 0; spin < SPINS; spin++) {
        ticket = atomic_load_explicit(&team->ticket, memory_order_acquire);
        if (is_open(ticket) && ticket >> 32 != piece) return ticket;
        pause_briefly();
    }
    pynn_lock_take(&team->sleeping);
    atomic_fetch_add(&team->sleepers, 1);
    for (;;) {
        ticket = atomic_load(&team->ticket);
        if ((is_open(ticket) && ticket >> 32 != piece) || atomic_load(&team->stopping)) break;
        pynn_condition_wait(&team->work_came, &team->sleeping);
    }
    atomic_fetch_sub(&team->sleepers, 1);
    pynn_lock_give(&team->sleeping);
    return ticket;
}

/* A worker: it waits for a piece, does tasks of it, and begins again, until the team stops. */
static void *work(void *context) {
    pynn_team *team = context;
    uint64_t piece = UINT32_MAX; /* no piece so far: the first one is number 1 */
    pynn_flush_denormals();      /* like the calling thread: results must not depend on who does a task */
    while (!atomic_load(&team->stopping)) {
        uint64_t ticket = wait_for_work(team, piece);
        do_tasks(team, ticket);
        piece = ticket >> 32;
    }
    return NULL;
}

static void init_locks(pynn_team *team) {
    pynn_lock_init(&team->working);
    pynn_lock_init(&team->sleeping);
    pynn_condition_init(&team->work_came);
    pynn_condition_init(&team->work_done);
}

/* Forget the list of workers, then release it. The order matters, because another thread of the program may
 * fork at any moment. If the list were released first, a child could have a pointer to a list that is
 * already released, and would release it again. The atomic exchange keeps the order. */
static void release_workers(pynn_team *team) {
    team->worker_count = 0;
    pynn_release(&team->allocator, atomic_exchange(&team->workers, NULL));
}

/* End all workers. The caller holds `working`, or is the last one to use the team. `stopping` is set with
 * the mutex locked: a worker either sees it before it sleeps, or is already asleep and is woken. */
static void stop_workers(pynn_team *team) {
    pynn_thread *workers = atomic_load(&team->workers);
    if (workers == NULL) return;
    pynn_lock_take(&team->sleeping);
    atomic_store(&team->stopping, true);
    pynn_condition_wake_all(&team->work_came);
    pynn_lock_give(&team->sleeping);
    for (size_t w = 0; w < team->worker_count; w++) pynn_thread_join(&workers[w]);
    atomic_store(&team->stopping, false);
    release_workers(team);
}

/* Start threads - 1 workers, or as many of them as the system allows. They block signals, which are for the
 * program's own threads. The caller holds `working`. */
static void start_workers(pynn_team *team) {
    size_t wanted = atomic_load(&team->threads) - 1;
    pynn_thread *workers = pynn_allocate(&team->allocator, wanted * sizeof(pynn_thread));
    atomic_store(&team->workers, workers);
    if (workers == NULL) return;
    while (team->worker_count < wanted && pynn_thread_start(&workers[team->worker_count], work, team))
        team->worker_count++;
}

/* If this process is a child that was forked since the team was last used, reset the team. Returns false
 * while another thread of the child does that.
 *
 * A child has a copy of the team's memory and none of its workers. What could go wrong: a mutex may be
 * locked by a thread that does not exist here, the counts may include such threads, and the list of workers
 * names them. So the locks, the ticket, the counts and the list are set to what they are in a new team. And
 * two threads of the child may come here at once: only the one that changes `process` from the parent to
 * -child resets the team. The other threads may use the team when they see the child's own id, which is
 * stored last. */
static bool notice_fork(pynn_team *team) {
    int64_t here = pynn_process_id();
    int64_t process = atomic_load_explicit(&team->process, memory_order_acquire);
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

/* Wait until all tasks are done. No task is left to claim, but workers may still be doing some.
 *
 * The wake-up cannot be lost, for the reason that stands above wait_for_work(): this thread first sets
 * caller_sleeps and then reads `done`; a worker first adds to `done` and then reads caller_sleeps. */
static void wait_until_done(pynn_team *team, size_t task_count) {
    for (int spin = 0; spin < SPINS; spin++) {
        if (atomic_load_explicit(&team->done, memory_order_acquire) == task_count) return;
        pause_briefly();
    }
    pynn_lock_take(&team->sleeping);
    atomic_store(&team->caller_sleeps, true);
    while (atomic_load(&team->done) != task_count) pynn_condition_wait(&team->work_done, &team->sleeping);
    atomic_store(&team->caller_sleeps, false);
    pynn_lock_give(&team->sleeping);
}

/* Publish a piece of work, help with it and wait until it is done. The caller holds `working`. The ticket
 * is closed before the fields are written, and opened after: see do_tasks(). */
static void share_out(pynn_team *team, size_t task_count, pynn_task task, void *context) {
    uint64_t piece = ((atomic_load(&team->ticket) >> 32) + 1) << 32;
    atomic_store(&team->ticket, piece | CLOSED);
    atomic_store_explicit(&team->task, task, memory_order_release);
    atomic_store_explicit(&team->context, context, memory_order_release);
    atomic_store_explicit(&team->task_count, task_count, memory_order_release);
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    atomic_store(&team->ticket, piece);
    if (atomic_load(&team->sleepers) > 0) {
        pynn_lock_take(&team->sleeping);
        pynn_condition_wake_all(&team->work_came);
        pynn_lock_give(&team->sleeping);
    }
    do_tasks(team, piece);
    wait_until_done(team, task_count);
}

void pynn_team_run(pynn_team *team, size_t task_count, pynn_task task, void *context) {
    bool shared = team != NULL && task_count > 1 && task_count < CLOSED &&
                  atomic_load_explicit(&team->threads, memory_order_relaxed) > 1;
    /* If the team works for another thread, this thread does its tasks alone. */
    shared = shared && notice_fork(team) && pynn_lock_try(&team->working);
    if (!shared) {
        for (size_t index = 0; index < task_count; index++) task(context, index);
        return;
    }
    if (atomic_load_explicit(&team->workers, memory_order_relaxed) == NULL) start_workers(team);
    share_out(team, task_count, task, context);
    pynn_lock_give(&team->working);
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
    atomic_init(&team->process, pynn_process_id());
    atomic_init(&team->ticket, CLOSED);
    init_locks(team);
    *out = team;
    return PYNN_OK;
}

pynn_status pynn_team_resize(pynn_team *team, size_t threads) {
    if (team == NULL || threads == 0 || threads > PYNN_MAX_THREADS) return PYNN_INVALID_ARGUMENT;
    while (!notice_fork(team)) pause_briefly();
    pynn_lock_take(&team->working);
    if (threads != atomic_load(&team->threads)) {
        stop_workers(team);
        atomic_store(&team->threads, threads);
    }
    pynn_lock_give(&team->working);
    return PYNN_OK;
}

size_t pynn_team_threads(const pynn_team *team) {
    return atomic_load(&team->threads);
}

void pynn_team_destroy(pynn_team *team) {
    if (team == NULL) return;
    notice_fork(team);
    stop_workers(team);
    pynn_condition_destroy(&team->work_done);
    pynn_condition_destroy(&team->work_came);
    pynn_lock_destroy(&team->sleeping);
    pynn_lock_destroy(&team->working);
    pynn_allocator allocator = team->allocator;
    pynn_release(&allocator, team);
}
