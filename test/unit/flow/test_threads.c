/* The pipeline on real threads: sources that run against rings, shards and the checkpoint thread, while readers look on.
 *
 * What a reader sees is checked in every epoch (hard case 9, the bank): transfers never change the total, and an outer
 * self-join of a table never has a NULL. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"

#include "flow/internal.h"

#include <time.h>

#define ACCOUNTS 20
#define LIVE     50 /* transfers that come and go, per source */

static struct column transfer_columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                           {"from_account", {T_INT8, -1}, true, NULL},
                                           {"to_account", {T_INT8, -1}, true, NULL},
                                           {"amount", {T_NUMERIC, -1}, true, NULL},
                                           {"note", {T_TEXT, -1}, false, NULL}};
static uint32_t key0[] = {0};
static const struct table_def tables[] = {
    {"a", "transfers", {5, transfer_columns}, 1, key0, 0, .table_index = 0},
    {"b", "transfers", {5, transfer_columns}, 1, key0, 1, .table_index = 0}};
static const char bank_sql[] =
    "CREATE VIEW transfers AS SELECT * FROM a.transfers UNION ALL SELECT * FROM b.transfers;\n"
    "CREATE VIEW credits AS SELECT to_account AS account, sum(amount) AS credit FROM transfers GROUP BY "
    "to_account;\n"
    "CREATE VIEW debits AS SELECT from_account AS account, sum(amount) AS debit FROM transfers GROUP BY "
    "from_account;\n"
    "CREATE VIEW balances AS SELECT c.account, c.credit - d.debit AS balance FROM credits c JOIN debits d\n"
    "  ON c.account = d.account;\n"
    "CREATE VIEW total AS SELECT sum(balance) AS total, count(*) AS accounts FROM balances;\n"
    "CREATE VIEW pairs AS SELECT x.id, y.id AS other FROM a.transfers x FULL JOIN a.transfers y ON x.id = "
    "y.id;\n"
    "CREATE VIEW counts AS SELECT count(*) AS n FROM transfers;\n";

/* ---- a source: a deterministic list of transactions; its position is how many were sent ---- */

struct teller {
    uint32_t seed;
    uint64_t transactions; /* in all */
    atomic_ullong sent;
};

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 29;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    return x ^ (x >> 32);
}

static bool send_transfer(struct sink_lane *l, enum row_op op, uint64_t id, uint64_t r)
{
    char note[40];
    int n = snprintf(note, sizeof note, "transfer %llu", (unsigned long long)(r % 1000));
    union val v[5] = {{.i = (int64_t)id},
                      {.i = (int64_t)(r % 64 % ACCOUNTS)},
                      {.i = (int64_t)(r / 64 % 64 % ACCOUNTS)},
                      {.n = {.lo = r / 4096 % 10000, .dscale = 2}},
                      {.s = {(const uint8_t *)note, (uint32_t)n, 0}}};
    uint8_t states[5] = {VAL_OK, VAL_OK, VAL_OK, VAL_OK, VAL_OK};
    return sink_row(l, 0, op, v, states);
}

/* The first transaction gives every account a credit and a debit for ever. */
static bool send_first(struct sink_lane *l)
{
    bool ok = true;
    for (uint64_t a = 0; a < ACCOUNTS && ok; a++)
        ok = send_transfer(l, ROW_INSERT, 1000 + a, a + 64 * ((a + 1) % ACCOUNTS) + 4096 * 100);
    return ok;
}

/* What transaction t does to the transfer `id` of LIVE. */
static bool send_some(struct sink_lane *l, const struct teller *teller, uint64_t t)
{
    uint64_t r = mix(teller->seed * 1000003u + t);
    bool ok = true;
    for (uint32_t n = (uint32_t)(r % 5 + 1); n-- && ok;) {
        r = mix(r);
        uint64_t id = r / 8 % LIVE;
        ok = send_transfer(l, r % 4 ? ROW_UPDATE : ROW_DELETE, id, mix(r + 1));
    }
    return ok;
}

static struct err *teller_run(void *conf, struct sink *sink, const struct table_def *t, uint32_t table_count,
                              const bool *wanted, const void *resume, size_t resume_len)
{
    (void)t, (void)table_count, (void)wanted;
    struct teller *teller = conf;
    struct sink_lane *l = sink_lane_get(sink, 0);
    uint64_t at = 0;
    if (resume_len == sizeof at)
        memcpy(&at, resume, sizeof at);
    while (at < teller->transactions) {
        if (!(at ? send_some(l, teller, at) : send_first(l)))
            return NULL;
        if (mix(at) % 37 == 0) { /* the connection was lost: the same once more */
            if (!sink_rollback(l))
                return err_new(ERR_INTERNAL, "cannot roll back");
            if (!(at ? send_some(l, teller, at) : send_first(l)))
                return NULL;
        }
        at++;
        if (!sink_commit(l, &at, sizeof at, NULL, 0))
            return NULL;
        if (at % 64 == 0) {
            sink_flush(l);
            nanosleep(&(struct timespec){0, 500000}, NULL); /* so that there are many epochs to look at */
        }
        if (at % 512 == 0 && !sink_barrier(sink))
            return NULL;
        atomic_store(&teller->sent, at);
    }
    sink_flush(l);
    if (sink_barrier(sink))
        atomic_store(&teller->sent, at + 1);
    while (!sink_stopping(sink))
        sink_wait(sink, 100);
    return NULL;
}

static uint32_t one_lane(const void *conf)
{
    (void)conf;
    return 1;
}
static const struct source_kind teller_kind = {.name = "teller", .lane_count = one_lane, .run = teller_run};

/* ---- a reader of snapshots beside it ---- */

struct watcher {
    struct box *box;
    atomic_uint stop;
    uint32_t total_view, pairs_view, balances_view;
    uint64_t epochs, wrong, refused;
    char text[256];
};

static void read_view(struct watcher *w, struct store_snapshot *snap, uint32_t view, struct lines *out)
{
    char name[16];
    snprintf(name, sizeof name, "v:%u", view);
    for (uint32_t s = 0; s < w->box->shards; s++) {
        store_db db;
        struct slice k, v;
        if (!store_snapshot_db(snap, s, name, &db))
            continue;
        struct store_cursor *c = store_cursor_open(snap, s, db);
        for (bool more = store_cursor_seek(c, NULL, &k, &v); more; more = store_cursor_next(c, &k, &v))
            lines_add_row(out, &w->box->catalog.views[view].schema, v);
    }
}

static void wrong(struct watcher *w, uint64_t epoch, const char *what, const char *line)
{
    if (!w->wrong++)
        snprintf(w->text, sizeof w->text, "epoch %llu: %s: %s", (unsigned long long)epoch, what, line);
}

static void look(struct watcher *w, struct store_snapshot *snap)
{
    struct lines total = {0}, pairs = {0}, balances = {0};
    uint64_t epoch = store_snapshot_epoch(snap);
    read_view(w, snap, w->total_view, &total);
    read_view(w, snap, w->pairs_view, &pairs);
    read_view(w, snap, w->balances_view, &balances);
    if (balances.count) {
        if (total.count != 1 || strcmp(total.text[0], "0.00|20|") != 0 || balances.count != ACCOUNTS)
            wrong(w, epoch, "total", total.count ? total.text[0] : "no row");
        for (uint32_t i = 0; i < pairs.count; i++)
            if (strchr(pairs.text[i], '-'))
                wrong(w, epoch, "unmatched", pairs.text[i]);
        w->epochs++;
    }
    lines_drop(&total);
    lines_drop(&pairs);
    lines_drop(&balances);
}

static void *watch(void *arg)
{
    struct watcher *w = arg;
    struct store_reader *reader;
    struct store_snapshot *snap;
    uint64_t seen = 0;
    must(store_reader_open(w->box->dir, w->box->gate, w->box->shards, &reader));
    must(store_snapshot_new(reader, &snap));
    while (!atomic_load(&w->stop)) {
        struct err *e = store_snapshot_begin(snap, -1);
        if (e) {
            err_free(e);
            w->refused++;
            continue;
        }
        if (store_snapshot_epoch(snap) < seen)
            wrong(w, seen, "went back in time", "");
        seen = store_snapshot_epoch(snap);
        look(w, snap);
        store_snapshot_end(snap);
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    store_snapshot_free(snap);
    store_reader_close(reader);
    return NULL;
}

/* ---- the test ---- */

static void bank_box(struct box *b, struct teller *tellers)
{
    *b = (struct box){.sql = bank_sql,
                      .views = {"total", "pairs", "balances", "counts"},
                      .tables = tables,
                      .table_count = 2,
                      .source_count = 2,
                      .epoch_us = 500};
    b->sources[0] = (struct pipeline_source){"a", &teller_kind, &tellers[0], &tables[0], 1};
    b->sources[1] = (struct pipeline_source){"b", &teller_kind, &tellers[1], &tables[1], 1};
}

static uint64_t rows_left(const struct teller *t)
{
    bool there[LIVE] = {false};
    uint64_t rows = ACCOUNTS;
    for (uint64_t at = 1; at < t->transactions; at++) {
        uint64_t r = mix(t->seed * 1000003u + at);
        for (uint32_t n = (uint32_t)(r % 5 + 1); n--;) {
            r = mix(r);
            there[r / 8 % LIVE] = r % 4 != 0;
        }
    }
    for (int i = 0; i < LIVE; i++)
        rows += there[i];
    return rows;
}

static bool wait_all(struct box *b, struct teller *tellers, uint64_t at_least)
{
    for (int ms = 0; ms < 60000; ms++) {
        if (pipeline_failure(b->pipeline, 0)) {
            err_print(stdout, pipeline_failure(b->pipeline, 0));
            return false;
        }
        if (atomic_load(&tellers[0].sent) >= at_least && atomic_load(&tellers[1].sent) >= at_least)
            return true;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    printf("# stuck at %llu and %llu\n", atomic_load(&tellers[0].sent), atomic_load(&tellers[1].sent));
    return false;
}

/* Two lives of the process: the first ends anywhere, the second finishes. */
static void run_bank(uint32_t shards, uint64_t transactions)
{
    struct teller tellers[2] = {{.seed = shards, .transactions = transactions},
                                {.seed = shards + 100, .transactions = transactions}};
    struct box b;
    char want[32];
    bank_box(&b, tellers);
    box_make(&b, shards);
    for (int life = 0; life < 2; life++) {
        box_open(&b, life == 0);
        struct watcher w = {.box = &b,
                            .total_view = box_view(&b, "total"),
                            .pairs_view = box_view(&b, "pairs"),
                            .balances_view = box_view(&b, "balances")};
        pthread_t reader;
        CHECK(pthread_create(&reader, NULL, watch, &w) == 0);
        atomic_store(&tellers[0].sent, 0);
        atomic_store(&tellers[1].sent, 0);
        pipeline_start(b.pipeline);
        CHECK(wait_all(&b, tellers, life ? transactions + 1 : transactions / 3));
        atomic_store(&w.stop, 1);
        pthread_join(reader, NULL);
        pipeline_stop(b.pipeline);
        CHECK(w.epochs > 0 || !life);
        CHECK(w.wrong == 0);
        if (w.wrong)
            printf("# %u shards: %llu of %llu epochs: %s\n", shards, (unsigned long long)w.wrong,
                   (unsigned long long)w.epochs, w.text);
        if (life) {
            snprintf(want, sizeof want, "%llu|",
                     (unsigned long long)(rows_left(&tellers[0]) + rows_left(&tellers[1])));
            CHECK_STR(box_text(&b, "counts"), want);
            CHECK_STR(box_text(&b, "total"), "0.00|20|");
            CHECK(atomic_load(&b.gate->durable_epoch) == pipeline_epoch(b.pipeline));
        }
        box_close(&b);
    }
    box_remove(&b);
}

static void case_9_bank_invariant_holds_in_every_epoch_1_shard(void)
{
    run_bank(1, 3000);
}
static void case_9_bank_invariant_holds_in_every_epoch_2_shards(void)
{
    run_bank(2, 3000);
}
static void case_9_bank_invariant_holds_in_every_epoch_4_shards(void)
{
    run_bank(4, 2000);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(case_9_bank_invariant_holds_in_every_epoch_1_shard);
    RUN(case_9_bank_invariant_holds_in_every_epoch_2_shards);
    RUN(case_9_bank_invariant_holds_in_every_epoch_4_shards);
    TEST_END();
}
