/* threads_win32.c: threads.h for Windows. Its locks and conditions need nothing to be released, and exist
 * since Windows Vista. There are no signals that a thread could block, and no fork(). */
#include "base/threads.h"

#include <process.h>

void pynn_lock_init(pynn_lock *lock) {
    InitializeSRWLock(lock);
}

void pynn_lock_destroy(pynn_lock *lock) {
    (void)lock;
}

void pynn_lock_take(pynn_lock *lock) {
    AcquireSRWLockExclusive(lock);
}

void pynn_lock_give(pynn_lock *lock) {
    ReleaseSRWLockExclusive(lock);
}

bool pynn_lock_try(pynn_lock *lock) {
    return TryAcquireSRWLockExclusive(lock) != 0;
}

void pynn_condition_init(pynn_condition *condition) {
    InitializeConditionVariable(condition);
}

void pynn_condition_destroy(pynn_condition *condition) {
    (void)condition;
}

void pynn_condition_wait(pynn_condition *condition, pynn_lock *lock) {
    SleepConditionVariableSRW(condition, lock, INFINITE, 0);
}

void pynn_condition_wake_one(pynn_condition *condition) {
    WakeConditionVariable(condition);
}

void pynn_condition_wake_all(pynn_condition *condition) {
    WakeAllConditionVariable(condition);
}

/* Windows calls another type of function than we are given. */
static unsigned __stdcall call_work(void *context) {
    pynn_thread *thread = context;
    thread->work(thread->context);
    return 0;
}

/* By the C library's own function: it prepares for the thread what its functions keep for each thread. */
bool pynn_thread_start(pynn_thread *thread, void *(*work)(void *), void *context) {
    thread->work = work;
    thread->context = context;
    thread->handle = (HANDLE)_beginthreadex(NULL, 0, call_work, thread, 0, NULL);
    return thread->handle != NULL;
}

void pynn_thread_join(pynn_thread *thread) {
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
}

int64_t pynn_process_id(void) {
    return GetCurrentProcessId();
}
