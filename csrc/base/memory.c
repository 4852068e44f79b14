/* memory.c: checked arithmetic on sizes, and aligned memory from the caller's allocator. */
#define _DEFAULT_SOURCE /* for madvise() */
#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/base.h"

enum { ALIGNMENT = 64 };

bool pynn_multiply(size_t a, size_t b, size_t *out) {
    if (b != 0 && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}

bool pynn_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

/* Ask for large pages, if that many bytes are worth them: a processor remembers where some thousand pages
 * lie, and to find the others takes it longer than to read them. What the system answers does not matter.
 */
static void ask_for_large_pages(char *memory, size_t nbytes) {
#if defined(MADV_HUGEPAGE)
    enum { LARGE = 4 << 20, SMALL_PAGE = 4096 };
    if (nbytes < LARGE) return;
    size_t before = (SMALL_PAGE - (uintptr_t)memory % SMALL_PAGE) % SMALL_PAGE;
    (void)madvise(memory + before, nbytes - before, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)nbytes;
#endif
}

static void *allocate_with_malloc(void *context, size_t nbytes) {
    (void)context;
    char *memory = malloc(nbytes);
    if (memory != NULL) ask_for_large_pages(memory, nbytes);
    return memory;
}

static void release_with_free(void *context, void *memory) {
    (void)context;
    free(memory);
}

pynn_allocator pynn_allocator_or_default(const pynn_allocator *allocator) {
    if (allocator != NULL) return *allocator;
    return (pynn_allocator){allocate_with_malloc, release_with_free, NULL};
}

/* The allocator promises no alignment. So this asks for more than nbytes, and returns the first aligned
 * address in what it gets. The pointer that the allocator gave is stored right below that address, where
 * pynn_release() finds it. */
void *pynn_allocate_raw(const pynn_allocator *allocator, size_t nbytes) {
    size_t total;
    if (!pynn_add(nbytes, ALIGNMENT + sizeof(void *), &total)) return NULL;
    char *given = allocator->allocate(allocator->context, total);
    if (given == NULL) return NULL;
    uintptr_t start = (uintptr_t)given + sizeof(void *);
    char *aligned = given + sizeof(void *) + (ALIGNMENT - start % ALIGNMENT) % ALIGNMENT;
    memcpy(aligned - sizeof(void *), &given, sizeof(void *));
    return aligned;
}

void *pynn_allocate(const pynn_allocator *allocator, size_t nbytes) {
    void *memory = pynn_allocate_raw(allocator, nbytes);
    if (memory != NULL) memset(memory, 0, nbytes);
    return memory;
}

void pynn_release(const pynn_allocator *allocator, void *memory) {
    if (memory == NULL) return;
    void *given;
    memcpy(&given, (char *)memory - sizeof(void *), sizeof(void *));
    allocator->release(allocator->context, given);
}
