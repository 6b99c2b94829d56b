/* Files that are mapped and written have their room on the disk from the start: a write into a hole is a SIGBUS when the
 * disk is full. And when there is no room, that is said. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include "store/op_stats.h"

#include <sys/resource.h>

static bool is_allocated(const char *dir, const char *name)
{
    struct stat st;
    char *path = xprintf("%s/%s", dir, name);
    bool ok = stat(path, &st) == 0 && st.st_size > 0 && (off_t)st.st_blocks * 512 >= st.st_size;
    if (!ok)
        printf("# %s: %lld bytes, %lld blocks\n", path, (long long)st.st_size, (long long)st.st_blocks);
    free(path);
    return ok;
}

static void nothing_is_sparse(void)
{
    char *dir = fresh_dir("sparse");
    bool fresh;
    struct gate *g;
    struct op_stats *stats;
    struct store *s;
    struct store_options o = {.shard_count = 1};
    OK(gate_open(dir, &g, &fresh));
    OK(store_open(dir, g, fresh, &o, &s));
    OK(op_stats_create(dir, 16, 1000, 1, &stats));
    CHECK(is_allocated(dir, "gate"));
    CHECK(is_allocated(dir, "operators"));
    CHECK(is_allocated(dir, "readers/shard-000.mdb"));
    CHECK(is_allocated(dir, "shard-000/data.mdb"));
    op_stats_close(stats);
    store_close(s);
    gate_close(g);
    drop_dir(dir);
}

/* A limit on the size of files stands for the full disk. */
static void no_room_is_an_error(void)
{
    char *dir = fresh_dir("room"), *made = xprintf("%s/operators.new", dir);
    struct rlimit was, now;
    struct op_stats *stats;
    bool fresh;
    struct gate *g;
    OK(gate_open(dir, &g, &fresh));
    signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &was) == 0);
    now = was;
    now.rlim_cur = 1 << 16;
    CHECK(setrlimit(RLIMIT_FSIZE, &now) == 0);
    struct err *e = op_stats_create(dir, 16, 1000, 1, &stats);
    CHECK(setrlimit(RLIMIT_FSIZE, &was) == 0);
    CHECK(e && e->code == ERR_SPACE && !stats && strstr(e->message, "cannot make ") &&
          strstr(e->message, "File too large"));
    CHECK(access(made, F_OK) != 0); /* nothing is left of it */
    err_free(e);
    OK(op_stats_create(dir, 16, 1000, 1, &stats));
    op_stats_close(stats);
    gate_close(g);
    free(made);
    drop_dir(dir);
}

int main(void)
{
    RUN(nothing_is_sparse);
    RUN(no_room_is_an_error);
    TEST_END();
}
