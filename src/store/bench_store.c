/* `penstock bench store`: what an epoch, a checkpoint and a point read cost on this machine's disk.
 *
 * One shard of ROWS rows; epochs of so many random updates, each visible at once, a checkpoint (really synced) every
 * CHECKPOINT_BYTES written, as in production but in line. "written" is what LMDB dirtied per byte of changed rows.
 * Both ways to commit are measured in turns: through the writable map (what the store uses) and by pwrite. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/bench_store.h"
#include "base/hash.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROWS             1000000u
#define ROW_BYTES        120
#define CHECKPOINT_BYTES ((uint64_t)128 << 20)
#define BUDGET_NS        ((uint64_t)1500 * 1000000) /* per batch size and way */
#define READS            300000u

struct bench {
    FILE *out;
    char *dir;
    struct gate *gate;
    struct store *store;
    struct store_shard *shard;
    store_db db;
    uint64_t epoch, random;
    uint64_t checkpoint_ns, checkpoint_cpu_ns, checkpoints, dirty_bytes;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of this thread: a busy machine falsifies it less. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t next_random(struct bench *b)
{
    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    return b->random >> 33;
}

static struct err *checkpoint(struct bench *b)
{
    struct store_pin *pin;
    uint64_t start = now_ns(), cpu = cpu_ns();
    b->dirty_bytes += store_dirty_bytes(b->store);
    TRY(store_pin(b->store, &pin));
    TRY(store_checkpoint(b->store, pin));
    b->checkpoint_ns += now_ns() - start;
    b->checkpoint_cpu_ns += cpu_ns() - cpu;
    b->checkpoints++;
    return NULL;
}

static struct err *put(struct bench *b, uint64_t i)
{
    uint8_t key[8], row[ROW_BYTES];
    uint64_t scattered = hash_bytes(&i, sizeof i);
    memcpy(key, &scattered, 8);
    memset(row, (int)b->epoch, sizeof row);
    memcpy(row, &b->epoch, 8);
    return store_put(b->shard, b->db, (struct slice){key, 8}, (struct slice){row, sizeof row});
}

static struct err *commit(struct bench *b)
{
    TRY(store_commit(b->shard, b->epoch));
    gate_publish(b->gate, b->epoch);
    return store_dirty_bytes(b->store) > CHECKPOINT_BYTES ? checkpoint(b) : NULL;
}

static struct err *fill(struct bench *b)
{
    for (uint64_t i = 0; i < ROWS;) {
        b->epoch++;
        TRY(store_begin(b->shard));
        for (int k = 0; k < 20000 && i < ROWS; k++, i++)
            TRY(put(b, i));
        TRY(commit(b));
    }
    return checkpoint(b);
}

static struct err *update(struct bench *b, uint32_t batch, const char *way)
{
    uint64_t start = now_ns(), cpu = cpu_ns(), rows = 0;
    b->checkpoint_ns = b->checkpoint_cpu_ns = b->checkpoints = b->dirty_bytes = 0;
    while (now_ns() - start < BUDGET_NS) {
        b->epoch++;
        TRY(store_begin(b->shard));
        for (uint32_t i = 0; i < batch; i++)
            TRY(put(b, next_random(b) % ROWS));
        TRY(commit(b));
        rows += batch;
    }
    b->dirty_bytes += store_dirty_bytes(b->store);
    double seconds = (double)(now_ns() - start) / 1e9, waited = (double)b->checkpoint_ns / 1e9;
    double busy = (double)(cpu_ns() - cpu - b->checkpoint_cpu_ns) / 1e9;
    fprintf(b->out, "| %s, epochs of %u | %.0f k rows/s | %.0f k | %.0f k rows/s | %.1f | %.1f ms x %llu |\n",
            way, batch, (double)rows / 1e3 / (seconds - waited), (double)rows / 1e3 / busy,
            (double)rows / 1e3 / seconds, (double)b->dirty_bytes / ((double)rows * (ROW_BYTES + 8)),
            b->checkpoints ? waited * 1e3 / (double)b->checkpoints : 0.0, (unsigned long long)b->checkpoints);
    return checkpoint(b);
}

static struct err *read_points(struct bench *b, struct store_snapshot *s, bool renewed)
{
    struct slice value;
    store_db db;
    uint64_t start = cpu_ns(), found = 0;
    if (!renewed)
        TRY(store_snapshot_begin(s, 0));
    for (uint32_t n = 0; n < READS; n++) {
        uint64_t i = next_random(b) % ROWS, key = hash_bytes(&i, sizeof i);
        if (renewed)
            TRY(store_snapshot_begin(s, 0));
        if (store_snapshot_db(s, 0, "bench", &db))
            found += store_snapshot_get(s, 0, db, (struct slice){(uint8_t *)&key, 8}, &value);
        if (renewed)
            store_snapshot_end(s);
    }
    if (!renewed)
        store_snapshot_end(s);
    uint64_t ns = cpu_ns() - start;
    if (found != READS)
        return err_new(ERR_INTERNAL, "bench: rows are missing");
    fprintf(b->out, "| point read, %s | %.2f M reads/s | %llu ns |\n",
            renewed ? "a snapshot each" : "one snapshot", READS * 1e3 / (double)ns,
            (unsigned long long)(ns / READS));
    return NULL;
}

static struct err *reads(struct bench *b)
{
    struct store_reader *r;
    struct store_snapshot *s;
    TRY(store_reader_open(b->dir, b->gate, 1, &r));
    struct err *e = store_snapshot_new(r, &s);
    if (!e) {
        for (int round = 0; round < 2 && !e; round++) { /* the first one warms the map */
            FILE *shown = b->out, *unseen = round == 0 ? fopen("/dev/null", "we") : NULL;
            b->out = unseen ? unseen : shown;
            e = read_points(b, s, false);
            if (!e)
                e = read_points(b, s, true);
            b->out = shown;
            if (unseen)
                fclose(unseen);
        }
        store_snapshot_free(s);
    }
    store_reader_close(r);
    return e;
}

static struct err *open_for(struct bench *b, bool write_map)
{
    struct store_options o = {.shard_count = 1, .no_write_map = !write_map};
    TRY(store_open(b->dir, b->gate, false, &o, &b->store));
    b->shard = store_shard(b->store, 0);
    b->epoch = store_epoch(b->store);
    return store_db_open(b->shard, "bench", &b->db);
}

static struct err *run(struct bench *b)
{
    static const uint32_t batches[] = {100, 1000, 10000};
    bool fresh;
    TRY(gate_open(b->dir, &b->gate, &fresh));
    TRY(open_for(b, true));
    TRY(fill(b));
    fprintf(b->out, "%u rows of %d bytes, %llu MiB\n", ROWS, ROW_BYTES + 8,
            (unsigned long long)(store_shard_bytes(b->shard) >> 20));
    fprintf(b->out, "| update at random keys | commits alone | per CPU second | with checkpoints | written "
                    "per byte changed | "
                    "checkpoint |\n| --- | --- | --- | --- | --- | --- |\n");
    for (size_t i = 0; i < ARRAY_COUNT(batches); i++)
        for (int way = 0; way < 2; way++) {
            store_close(b->store);
            b->store = NULL;
            TRY(open_for(b, way == 0));
            TRY(update(b, batches[i], way == 0 ? "write map" : "pwrite"));
        }
    fprintf(b->out, "| read | per CPU second | each |\n| --- | --- | --- |\n");
    return reads(b);
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {
        "shard-000/data.mdb", "readers/shard-000.mdb", "readers", "shard-000", "checkpoint", "gate", "lock"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char *path = xprintf("%s/%s", dir, names[i]);
        (void)remove(path);
        free(path);
    }
    (void)remove(dir);
}

int store_bench(FILE *out)
{
    const char *base = getenv("TMPDIR");
    struct bench b = {
        .out = out, .dir = xprintf("%s/penstock-bench-XXXXXX", base ? base : "/var/tmp"), .random = 42};
    struct err *e = mkdtemp(b.dir) ? run(&b) : err_errno(ERR_IO, "cannot make %s", b.dir);
    if (e)
        err_print(stderr, e);
    store_close(b.store);
    gate_close(b.gate);
    remove_dir(b.dir);
    free(b.dir);
    int status = e ? 1 : 0;
    err_free(e);
    return status;
}
