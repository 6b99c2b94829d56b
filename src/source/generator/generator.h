/* The generator source's inside: one workload per file, all random draws from (seed, unit number) alone.
 *
 * A workload is a sequence of units 0, 1, 2, ...; a unit is one source transaction's worth of changes and a pure
 * function of the configuration and its number. A resume position is therefore just the next unit's number. */
#ifndef PENSTOCK_SOURCE_GENERATOR_GENERATOR_H
#define PENSTOCK_SOURCE_GENERATOR_GENERATOR_H

#include "source/source.h"

#define GEN_LETTERS (65536 + 1024)

struct gen_workload;
struct gen_conf {
    const char *source_name;
    const struct gen_workload *workload;
    uint64_t seed;
    uint64_t rate;     /* paced units per second, 0: flat out */
    uint64_t limit;    /* paced units to make, UINT64_MAX: no end */
    uint64_t accounts; /* bank: how many */
    bool churn;        /* bank: updates and deletes too */
    char *letters; /* GEN_LETTERS random small letters, the same for every seed: texts are cut out of them */
};

/* What a workload writes to while it makes units. */
struct gen_out {
    struct sink_lane *lane;
    const bool *wanted; /* per table */
};

struct gen_workload {
    const char *name;
    const char *help;
    /* Units at the start that fill the base tables: not paced and not counted by `limit`. */
    uint64_t (*setup_units)(const struct gen_conf *conf);
    uint32_t
        commit_units; /* units per commit when flat out: 1 where each is a transaction in its own right */
    uint32_t table_count;
    const struct gen_table *tables;
    /* Hands all changes of unit n to the sink. False: stopping. */
    bool (*emit)(const struct gen_conf *conf, const struct gen_out *out, uint64_t n);
};
struct gen_table {
    const char *name;
    uint32_t column_count;
    const struct column *columns;
    int32_t key_column; /* -1: keyless */
};
extern const struct gen_workload gen_bank, gen_nexmark;

/* All timestamps derive from the unit's number and this moment, 2026-01-01 00:00 UTC (microseconds since 2000). */
#define GEN_BASE_US INT64_C(820540800000000)

/* splitmix64 (Steele, Lea, Flood 2014), one stream per (seed, unit). */
struct gen_rng {
    uint64_t state;
};
static inline uint64_t gen_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static inline struct gen_rng gen_rng_at(uint64_t seed, uint64_t n)
{
    return (struct gen_rng){gen_mix(seed + UINT64_C(0x632be59bd9b4e019)) ^
                            gen_mix(n + UINT64_C(0x9e3779b97f4a7c15))};
}
static inline uint64_t gen_next(struct gen_rng *r)
{
    return gen_mix(r->state += UINT64_C(0x9e3779b97f4a7c15));
}
/* Uniform in 0..bound-1; the bias of the multiply is below 2^-32 for the bounds used here. */
static inline uint64_t gen_below(struct gen_rng *r, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)gen_next(r) * bound) >> 64);
}

static inline union val gen_int(int64_t i)
{
    return (union val){.i = i};
}
static inline union val gen_text(const char *p, size_t len)
{
    return (union val){.s = {(const uint8_t *)p, (uint32_t)len, 0}};
}
/* cents as numeric(p,2) */
static inline union val gen_cents(int64_t cents)
{
    uint64_t m = cents < 0 ? 0 - (uint64_t)cents : (uint64_t)cents;
    return (union val){.n = {.lo = m, .dscale = 2, .kind = NUM_SMALL, .neg = cents < 0}};
}

#endif
