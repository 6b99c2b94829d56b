/* The built-in benchmarks of `penstock bench`. */
#ifndef PENSTOCK_CLI_BENCH_H
#define PENSTOCK_CLI_BENCH_H

#include "base/err.h"

/* Nexmark queries as views over the tables nexmark.person, nexmark.auction and nexmark.bid (bench_nexmark.c). */
struct bench_query {
    const char *name; /* also of the view that counts */
    const char *what; /* in a few words, with what differs from the benchmark's own text */
    const char *sql;
    double goal_per_core; /* events/s, twice Feldera's published figure; 0: none published */
};
extern const struct bench_query bench_queries[];
extern const uint32_t bench_query_count;

/* Each query in memory, the generator flat out, on 1, 2, 4 ... shards up to `shards`; a Markdown table of medians. only
 * NULL: all queries. */
NODISCARD struct err *bench_engine(uint32_t shards, const char *only, FILE *to);

/* One change in a large partition, by window function; a Markdown table of medians. */
NODISCARD struct err *bench_windows(FILE *to);

#endif
