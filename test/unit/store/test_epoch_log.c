/* What each epoch took in: found for the last EPOCH_LOG_ENTRIES epochs, and for no other; gone with an epoch that is put back. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include "base/buf.h"
#include "store/epoch_log.h"

static struct buf scratch;

static void put(struct rig *r, uint64_t epoch, const struct epoch_transactions *t)
{
    struct store_shard *sh = store_shard(r->store, 0);
    struct epoch_source source = {"core", t};
    OK(store_begin(sh));
    OK(epoch_log_put(sh, &scratch, epoch, (int64_t)epoch * 10, &source, t ? 1 : 0));
    OK(store_commit(sh, epoch));
    gate_publish(r->gate, epoch);
}

static void transactions(void)
{
    struct epoch_transactions t = {0}, more = {0};
    epoch_transactions_join(&t, &more);
    CHECK(t.count == 0);
    epoch_transactions_add(&more, 7, 100, "0/1");
    epoch_transactions_join(&t, &more);
    CHECK(t.count == 1 && t.first_id == 7 && t.last_id == 7 && strcmp(t.last_text, "0/1") == 0);
    more.count = 0;
    epoch_transactions_add(&more, 9, 200, "0/2");
    epoch_transactions_add(&more, 8, 300, "0/3");
    epoch_transactions_join(&t, &more);
    CHECK(t.count == 3 && t.first_id == 7 && t.last_id == 8 && t.first_us == 100 && t.last_us == 300);
    CHECK(strcmp(t.first_text, "0/1") == 0 && strcmp(t.last_text, "0/3") == 0);
}

static void ring(void)
{
    struct rig r = {.dir = fresh_dir("epochs"),
                    .options = {.shard_count = 1, .map_bytes = (size_t)256 << 20}};
    struct epoch_transactions t = {0};
    struct store_reader *reader;
    struct store_snapshot *s;
    struct epoch_entry e;
    struct arena a;
    arena_init(&a);
    rig_open(&r);
    epoch_transactions_add(&t, 1234, 55, "0/16B3748");
    put(&r, 1, &t);
    put(&r, 2, NULL);
    put(&r, EPOCH_LOG_ENTRIES, &t);
    put(&r, EPOCH_LOG_ENTRIES + 2, &t); /* in the place of 2 */
    OK(store_reader_open(r.dir, r.gate, 1, &reader));
    OK(store_snapshot_new(reader, &s));
    OK(store_snapshot_begin(s, -1));
    CHECK(epoch_log_get(s, &a, 1, &e) && e.at_us == 10 && e.source_count == 1);
    CHECK(strcmp(e.sources[0].name, "core") == 0 && e.sources[0].done->count == 1);
    CHECK(e.sources[0].done->first_id == 1234 && e.sources[0].done->last_us == 55);
    CHECK(strcmp(e.sources[0].done->last_text, "0/16B3748") == 0);
    CHECK(!epoch_log_get(s, &a, 2, &e) && !epoch_log_get(s, &a, 3, &e));
    CHECK(!epoch_log_get(s, &a, EPOCH_LOG_ENTRIES + 1, &e)); /* 1 has its place */
    CHECK(epoch_log_get(s, &a, EPOCH_LOG_ENTRIES + 2, &e) && e.source_count == 1);
    CHECK(epoch_log_get(s, &a, EPOCH_LOG_ENTRIES, &e));
    store_snapshot_end(s);
    store_snapshot_free(s);
    store_reader_close(reader);
    rig_close(&r);
    drop_dir(r.dir);
    arena_fini(&a);
    buf_fini(&scratch);
}

int main(void)
{
    RUN(transactions);
    RUN(ring);
    TEST_END();
}
