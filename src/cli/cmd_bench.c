/* `penstock bench NAME`: the benchmarks that need nothing but this program, as Markdown tables of medians. */
#include "cli/bench.h"
#include "cli/cli.h"

#include "base/log.h"

#include <string.h>
#include <unistd.h>

#if __has_include("store/bench_store.h")
#include "store/bench_store.h"
#define HAS_BENCH_STORE 1
#endif

static uint32_t default_shards(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online >= 2 ? 2 : 1;
}

static struct err *engine(const struct cli_args *a)
{
    log_setup(LOG_WARN, a->log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, "bench");
    return bench_engine(a->shards ? (uint32_t)a->shards : default_shards(),
                        a->word_count > 1 ? a->words[1] : NULL, stdout);
}

static struct err *store(const struct cli_args *a)
{
    (void)a;
#ifdef HAS_BENCH_STORE
    return store_bench(stdout) == 0 ? NULL : err_new(ERR_INTERNAL, "bench store failed");
#else
    return err_new(ERR_UNSUPPORTED, "bench store is not in this build");
#endif
}

static struct err *windows(const struct cli_args *a)
{
    (void)a;
    log_setup(LOG_WARN, LOG_FORMAT_TEXT, "bench");
    return bench_windows(stdout);
}

static const struct {
    const char *name, *help;
    struct err *(*run)(const struct cli_args *a);
} benches[] = {
    {"engine", "Nexmark queries in memory; --shards N also on more shards; a second word names one query",
     engine},
    {"windows", "window functions: one change in a large partition", windows},
    {"store", "commits, checkpoints and reads of the store", store},
};

int cmd_bench(const struct cli_args *a)
{
    for (size_t i = 0; a->word_count && i < ARRAY_COUNT(benches); i++)
        if (strcmp(benches[i].name, a->words[0]) == 0)
            return cli_report(benches[i].run(a));
    if (a->word_count)
        fprintf(stderr, "penstock: there is no benchmark '%s'\n", a->words[0]);
    fputs("benchmarks:\n", stderr);
    for (size_t i = 0; i < ARRAY_COUNT(benches); i++)
        fprintf(stderr, "  %-8s %s\n", benches[i].name, benches[i].help);
    return EXIT_USAGE;
}
