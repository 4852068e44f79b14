/* threads.h: what a team needs of the operating system: locks, conditions, threads, the process's id. It is
 * the same for all systems; threads_posix.c and threads_win32.c do it, each with the system's own means. */
#ifndef PYNN_THREADS_H
#define PYNN_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN /* without the headers that define words such as `small` */
#include <windows.h>

typedef SRWLOCK pynn_lock;
typedef CONDITION_VARIABLE pynn_condition;
typedef struct pynn_thread {
    HANDLE handle;
    void *(*work)(void *);
    void *context;
} pynn_thread;
#else
#include <pthread.h>

typedef pthread_mutex_t pynn_lock;
typedef pthread_cond_t pynn_condition;
typedef pthread_t pynn_thread;
#endif

/* ---------------------------------------------------------------- locks */

/* A lock that one thread holds at a time; a thread that holds it must not take it again. */
void pynn_lock_init(pynn_lock *lock);
void pynn_lock_destroy(pynn_lock *lock);
void pynn_lock_take(pynn_lock *lock);
void pynn_lock_give(pynn_lock *lock);

/* Take the lock if nobody holds it. Returns whether this thread holds it now. */
bool pynn_lock_try(pynn_lock *lock);

/* ---------------------------------------------------------------- conditions */

/* A thread that waits gives the lock, and holds it again when it returns. It may return though nobody has
 * woken it, so it waits in a loop that tests what it waits for. */
void pynn_condition_init(pynn_condition *condition);
void pynn_condition_destroy(pynn_condition *condition);
void pynn_condition_wait(pynn_condition *condition, pynn_lock *lock);
void pynn_condition_wake_one(pynn_condition *condition);
void pynn_condition_wake_all(pynn_condition *condition);

/* ---------------------------------------------------------------- threads and processes */

/* Start a thread that calls work(context) and ends. It blocks all signals, where there are signals, but
 * those that a fault of its own raises. `thread` must stay where it is in memory until pynn_thread_join().
 * Returns false, and there is nothing to join, if the system gives no thread. */
bool pynn_thread_start(pynn_thread *thread, void *(*work)(void *), void *context);

/* Wait until the thread has ended, and release what the system keeps of it. */
void pynn_thread_join(pynn_thread *thread);

/* The id of this process: positive, and another one in a child of fork(), where there is fork(). */
int64_t pynn_process_id(void);

#endif
