/* threads_posix.c: threads.h for Linux, macOS and whatever else has POSIX threads. */
#define _POSIX_C_SOURCE 200809L /* for the masks of signals, which musl hides from plain C11 */
#include <signal.h>
#include <unistd.h>

#include "base/threads.h"

void pynn_lock_init(pynn_lock *lock) {
    pthread_mutex_init(lock, NULL);
}

void pynn_lock_destroy(pynn_lock *lock) {
    pthread_mutex_destroy(lock);
}

void pynn_lock_take(pynn_lock *lock) {
    pthread_mutex_lock(lock);
}

void pynn_lock_give(pynn_lock *lock) {
    pthread_mutex_unlock(lock);
}

bool pynn_lock_try(pynn_lock *lock) {
    return pthread_mutex_trylock(lock) == 0;
}

void pynn_condition_init(pynn_condition *condition) {
    pthread_cond_init(condition, NULL);
}

void pynn_condition_destroy(pynn_condition *condition) {
    pthread_cond_destroy(condition);
}

void pynn_condition_wait(pynn_condition *condition, pynn_lock *lock) {
    pthread_cond_wait(condition, lock);
}

void pynn_condition_wake_one(pynn_condition *condition) {
    pthread_cond_signal(condition);
}

void pynn_condition_wake_all(pynn_condition *condition) {
    pthread_cond_broadcast(condition);
}

/* Signals are for the program's own threads, so the new thread blocks them. It does not block the signals
 * that a fault of its own raises: that is undefined. A new thread has the mask of the thread that starts
 * it; so the calling thread changes its own mask first, and restores it at the end. */
bool pynn_thread_start(pynn_thread *thread, void *(*work)(void *), void *context) {
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGSEGV);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, NULL, work, context) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

void pynn_thread_join(pynn_thread *thread) {
    pthread_join(*thread, NULL);
}

int64_t pynn_process_id(void) {
    return getpid();
}
