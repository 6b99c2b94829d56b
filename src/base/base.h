/* The few definitions every file uses: attributes, sizes, panic.
 * panic() is for broken invariants and exhausted memory: it reports and stops the process before a wrong
 * state can be written. ASSERT stays on in production. */
#ifndef PENSTOCK_BASE_BASE_H
#define PENSTOCK_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODISCARD               __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NORETURN                __attribute__((noreturn))
#define LIKELY(x)               __builtin_expect(!!(x), 1)
#define UNLIKELY(x)             __builtin_expect(!!(x), 0)
#define ARRAY_COUNT(a)          (sizeof(a) / sizeof((a)[0]))
#define CACHE_LINE_BYTES        128 /* two 64-byte lines: adjacent-line prefetch counts as sharing */

NORETURN void panic_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
#define PANIC(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
#define ASSERT(cond)                                                     \
    do {                                                                 \
        if (UNLIKELY(!(cond)))                                           \
            panic_at(__FILE__, __LINE__, "assertion failed: %s", #cond); \
    } while (0)

/* malloc family that never returns NULL (panics instead). Freed with free(). */
void *xmalloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size_bytes) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xprintf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));

#endif
