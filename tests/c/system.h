/* system.h: what tests with threads need of the operating system, besides base/threads.h. */
#ifndef PYNN_TEST_SYSTEM_H
#define PYNN_TEST_SYSTEM_H

#include "base/threads.h"

/* A test that takes so long hangs. */
enum { HANG_SECONDS = 120 };

#if defined(_WIN32)
#include <stdio.h>

static inline void *end_late(void *context) {
    (void)context;
    Sleep(HANG_SECONDS * 1000);
    printf("the test hangs\n");
    fflush(stdout);
    ExitProcess(76);
}

/* End the process if it runs for HANG_SECONDS more. */
static inline void end_if_it_hangs(void) {
    static pynn_thread watch;
    if (!pynn_thread_start(&watch, end_late, NULL)) ExitProcess(76);
}

/* Give the core to another thread. */
static inline void yield(void) {
    SwitchToThread();
}

/* Sleep, usually long enough for waiting threads to stop spinning and sleep, too. If it is not long enough,
 * a test takes another path in team.c, and its checks still hold. */
static inline void rest(void) {
    Sleep(1);
}

#else
#include <sched.h>
#include <time.h>
#include <unistd.h>

static inline void end_if_it_hangs(void) {
    alarm(HANG_SECONDS);
}

static inline void yield(void) {
    sched_yield();
}

static inline void rest(void) {
    nanosleep(&(struct timespec){0, 300000}, NULL);
}

#endif
#endif
