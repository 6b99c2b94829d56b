/* The unit tests' few macros. A program has test functions run by RUN and ends with TEST_END; each prints one line,
 * `ok NAME` or `not ok NAME`, after the failed checks with their places. */
#ifndef PENSTOCK_TEST_H
#define PENSTOCK_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_failed_checks, test_failed_tests;

/* Rounds of a random test: PENSTOCK_TEST_SCALE percent of n, at least 1. Slow machines (emulation) ask for fewer, soak
 * tests for more. */
static inline int test_rounds(int n)
{
    const char *scale = getenv("PENSTOCK_TEST_SCALE");
    int scaled = scale ? n * atoi(scale) / 100 : n;
    return scaled > 0 ? scaled : 1;
}

#define CHECK(cond)                                             \
    do {                                                        \
        if (!(cond)) {                                          \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            test_failed_checks++;                               \
        }                                                       \
    } while (0)
#define CHECK_STR(got, want)                                                              \
    do {                                                                                  \
        const char *got_ = (got), *want_ = (want);                                        \
        if (!got_ || strcmp(got_, want_) != 0) {                                          \
            printf("# %s:%d: %s\n#   got:  %s\n#   want: %s\n", __FILE__, __LINE__, #got, \
                   got_ ? got_ : "(null)", want_);                                        \
            test_failed_checks++;                                                         \
        }                                                                                 \
    } while (0)
#define RUN(test)                                                       \
    do {                                                                \
        test_failed_checks = 0;                                         \
        test();                                                         \
        printf("%s %s\n", test_failed_checks ? "not ok" : "ok", #test); \
        fflush(stdout);                                                 \
        test_failed_tests += test_failed_checks != 0;                   \
    } while (0)
#define TEST_END() return test_failed_tests ? 1 : 0

#endif
