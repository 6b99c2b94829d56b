/* When a thread counts as stuck: looks without a sign of life, at work or not. */
#include "test/unit/test.h"

#include "base/still.h"

#define WORK (2 * STILL_CPU_NS)

static uint64_t cpu;

/* How many looks until the verdict is not STILL_MOVES, at most `most`. */
static uint32_t looks_until(struct still *s, uint64_t beats, uint64_t work_ns, uint32_t stuck, uint32_t most,
                            enum still_verdict *v)
{
    uint32_t n = 0;
    do
        *v = still_look(s, beats, cpu += work_ns, stuck);
    while (*v == STILL_MOVES && ++n < most);
    return n;
}

static void quiet_ones(void)
{
    struct still s = {0};
    enum still_verdict v;
    CHECK(still_look(&s, 1, cpu += WORK, 5) == STILL_MOVES);
    CHECK(looks_until(&s, 1, 0, 5, 100, &v) == 4 && v == STILL_QUIET);
    s = (struct still){0};
    CHECK(still_look(&s, 1, cpu, 5) == STILL_MOVES);
    for (uint64_t beat = 2; beat < 100; beat++) /* one look in three finds nothing */
        for (int i = 0; i < 3; i++)
            CHECK(still_look(&s, beat, cpu, 5) == STILL_MOVES);
}

static void working_ones(void)
{
    struct still s = {0};
    enum still_verdict v;
    CHECK(still_look(&s, 1, cpu += WORK, 5) == STILL_MOVES);
    CHECK(looks_until(&s, 1, WORK, 5, 1000, &v) == 5 * STILL_BUSY_TIMES - 1 && v == STILL_BUSY);
    CHECK(still_look(&s, 2, cpu += WORK, 5) == STILL_MOVES);
    for (int i = 0; i < 1000; i++) /* work now and then */
        CHECK(still_look(&s, 2 + (uint64_t)i / 40, cpu += i % 3 ? 0 : WORK, 5) == STILL_MOVES);
}

static void no_limit_and_a_low_one(void)
{
    struct still s = {0};
    enum still_verdict v;
    CHECK(looks_until(&s, 1, 0, 0, 1000, &v) == 1000 && v == STILL_MOVES);
    s = (struct still){0};
    CHECK(still_look(&s, 1, cpu, 1) == STILL_MOVES);
    CHECK(looks_until(&s, 1, 0, 1, 100, &v) == STILL_LOOKS_MIN - 1 && v == STILL_QUIET);
}

static void time_of_threads(void)
{
    uint64_t from = still_cpu_ns(pthread_self());
    for (volatile int i = 0; i < 3000000; i++)
        ;
    CHECK(from != UINT64_MAX && still_cpu_ns(pthread_self()) - from > STILL_CPU_NS);
}

int main(void)
{
    RUN(quiet_ones);
    RUN(working_ones);
    RUN(no_limit_and_a_low_one);
    RUN(time_of_threads);
    TEST_END();
}
