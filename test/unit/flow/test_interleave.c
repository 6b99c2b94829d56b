/* The same input gives the same views whatever the batching, the interleaving and the shard count: real shards,
 * exchange, epochs and store, stepped on one thread in an order that a seed decides.
 *
 * The oracle recomputes every view from the rows that are present, in plain C. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/remove_dir.h"
#include "test/unit/test.h"

#include "flow/internal.h"
#include "plan/plan.h"

#include <stdarg.h>
#include <unistd.h>

#define ACCOUNTS 40
#define STEPS    400

static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

static struct column account_columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                          {"branch", {T_INT4, -1}, false, NULL},
                                          {"note", {T_TEXT, -1}, false, NULL}};
static struct column entry_columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                        {"account", {T_INT8, -1}, false, NULL},
                                        {"amount", {T_INT8, -1}, false, NULL}};
static uint32_t key0[] = {0};
static struct table_def tables[] = {{"t", "accounts", {3, account_columns}, 1, key0, 0, .table_index = 0},
                                    {"t", "entries", {3, entry_columns}, 1, key0, 0, .table_index = 1}};
static const char sql[] =
    "CREATE VIEW balances AS SELECT a.id, a.branch, sum(e.amount) AS balance, count(*) AS n"
    "  FROM t.accounts a JOIN t.entries e ON e.account = a.id GROUP BY a.id;\n"
    "CREATE VIEW branches AS SELECT branch, sum(balance) AS total, max(balance) AS top FROM balances GROUP "
    "BY branch;\n"
    "CREATE VIEW padded AS SELECT a.id, a.note, e.id AS entry FROM t.accounts a LEFT JOIN t.entries e ON "
    "e.account = a.id;\n"
    "CREATE VIEW total AS SELECT sum(amount) AS total, count(DISTINCT account) AS accounts FROM t.entries;\n"
    "CREATE VIEW kinds AS SELECT DISTINCT branch FROM t.accounts WHERE branch IS NOT NULL;\n"
    "CREATE VIEW bag AS SELECT account FROM t.entries UNION ALL SELECT id FROM t.accounts;\n";

struct model_row {
    bool present;
    int64_t a, b;
    bool a_null;
    char note[8];
};
static struct model_row accounts[ACCOUNTS], entries[200];

/* The rows after each transaction: after a crash the model goes back to the one that the stored position names. */
struct moment {
    struct model_row accounts[ACCOUNTS], entries[200];
};
static struct moment history[STEPS + 1];
static uint64_t sent; /* transactions; also the position */

struct box {
    char dir[64];
    struct gate *gate;
    struct store *store;
    struct plan *plan;
    struct catalog catalog;
    bool fill[16];
    struct pipeline_source source;
    struct pipeline *pipeline;
    uint32_t shards;
};

static void fail(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    exit(1);
}

static void make_catalog(struct box *b)
{
    b->catalog = (struct catalog){.shard_count = b->shards, .version = 1, .view_count = b->plan->view_count};
    b->catalog.views = calloc(b->plan->view_count, sizeof *b->catalog.views);
    for (uint32_t v = 0; v < b->plan->view_count; v++) {
        const struct plan_view *p = b->plan->views[v];
        static uint32_t source[1] = {0};
        b->catalog.views[v] = (struct catalog_view){.name = (char *)(uintptr_t)p->name,
                                                    .slot = v,
                                                    .schema = p->schema,
                                                    .key_count = p->key_count,
                                                    .key = p->key,
                                                    .fingerprint = p->fingerprint,
                                                    .source_count = 1,
                                                    .sources = source};
    }
}

static void open_box(struct box *b, uint32_t shards, bool fresh)
{
    struct store_options o = {.shard_count = shards, .no_sync = true, .map_bytes = 64 << 20};
    bool new_gate;
    b->shards = shards;
    fail(gate_open(b->dir, &b->gate, &new_gate));
    fail(store_open(b->dir, b->gate, false, &o, &b->store));
    struct sql_text text = {"test.sql", sql, 1};
    static const char *const names[] = {"balances", "branches", "padded", "total", "kinds", "bag"};
    struct api_request apis[6] = {0};
    for (int i = 0; i < 6; i++)
        apis[i] = (struct api_request){.path = names[i], .view = names[i], .file = "test"};
    fail(plan_build(tables, 2, &text, 1, apis, 6, &b->plan));
    make_catalog(b);
    memset(b->fill, fresh, sizeof b->fill);
    b->source = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 2};
    struct pipeline_options po = {.plan = b->plan,
                                  .catalog = &b->catalog,
                                  .store = b->store,
                                  .gate = b->gate,
                                  .view_fill = b->fill,
                                  .shard_count = shards,
                                  .sources = &b->source,
                                  .source_count = 1,
                                  .epoch_us = 0,
                                  .checkpoint_us = 3000,
                                  .checkpoint_bytes = 1 << 30,
                                  .log_us = 1000000,
                                  .log_rows = 100};
    b->pipeline = pipeline_new(&po);
    fail(pipeline_open(b->pipeline));
}

static void close_box(struct box *b)
{
    pipeline_free(b->pipeline);
    plan_free(b->plan);
    free(b->catalog.views);
    store_close(b->store);
    gate_close(b->gate);
}

/* ---- input ---- */

static void send_row(struct box *b, uint32_t table, enum row_op op, int64_t id, const struct model_row *r)
{
    union val v[3] = {{.i = id}, {.i = r->a}, {.i = r->b}};
    uint8_t states[3] = {VAL_OK, r->a_null ? VAL_NULL : VAL_OK, VAL_OK};
    if (table == 0)
        v[2].s = (struct str){(const uint8_t *)r->note, (uint32_t)strlen(r->note), 0};
    CHECK(sink_row(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), table, op, v, states));
}

static void change(struct box *b, uint32_t table, struct model_row *rows, uint32_t count)
{
    uint32_t id = rnd(count);
    struct model_row *r = &rows[id];
    if (r->present && rnd(3) == 0) {
        r->present = false;
        send_row(b, table, ROW_DELETE, id, r);
        return;
    }
    enum row_op op = r->present ? ROW_UPDATE : ROW_INSERT;
    *r = (struct model_row){.present = true,
                            .a = table ? rnd(ACCOUNTS) : rnd(5),
                            .b = (int64_t)rnd(100) - 50,
                            .a_null = rnd(7) == 0};
    snprintf(r->note, sizeof r->note, "n%u", rnd(1000));
    send_row(b, table, op, id, r);
}

/* An account moves to another key; its note is said to be unchanged, so it must travel from the old row. */
static void move_account(struct box *b)
{
    uint32_t from = rnd(ACCOUNTS), to = rnd(ACCOUNTS);
    if (!accounts[from].present || accounts[to].present)
        return;
    accounts[to] = accounts[from];
    accounts[from].present = false;
    union val old[3] = {{.i = from}}, new[3] = {{.i = to}, {.i = accounts[to].a}};
    uint8_t old_states[3] = {VAL_OK, VAL_NULL, VAL_NULL};
    uint8_t new_states[3] = {VAL_OK, accounts[to].a_null ? VAL_NULL : VAL_OK, VAL_UNCHANGED};
    CHECK(sink_move(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), 0, old, old_states, new, new_states));
    if (rnd(2)) { /* a later change of the moved row must not overtake it */
        accounts[to].a = rnd(5);
        accounts[to].a_null = false;
        new[1].i = accounts[to].a;
        new_states[1] = VAL_OK;
        CHECK(sink_row(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), 0, ROW_UPDATE, new, new_states));
    }
}

static void transaction(struct box *b)
{
    for (uint32_t n = rnd(6) + 1; n--;) {
        uint32_t what = rnd(8);
        if (what < 3)
            change(b, 0, accounts, ACCOUNTS);
        else if (what < 7)
            change(b, 1, entries, 200);
        else
            move_account(b);
    }
    if (rnd(60) == 0) {
        CHECK(sink_truncate(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), 1));
        for (int i = 0; i < 200; i++)
            entries[i].present = false;
    }
    sent++;
    memcpy(history[sent].accounts, accounts, sizeof accounts);
    memcpy(history[sent].entries, entries, sizeof entries);
    CHECK(sink_commit(sink_lane_get(pipeline_sink(b->pipeline, 0), 0), &sent, sizeof sent, NULL, 0));
}

static void steps(struct box *b, uint32_t n)
{
    while (n--)
        pipeline_step(b->pipeline, rnd(b->shards));
}

static bool settle(struct box *b)
{
    sink_flush(sink_lane_get(pipeline_sink(b->pipeline, 0), 0));
    for (int quiet = 0, i = 0; i < 2000000; i++) {
        bool any = false;
        for (uint32_t s = 0; s < b->shards; s++)
            any |= pipeline_step(b->pipeline, s);
        quiet = any ? 0 : quiet + 1;
        if (quiet > 3)
            return pipeline_failure(b->pipeline, 0) == NULL;
    }
    return false;
}

/* ---- comparing: each view as sorted lines ---- */

struct lines {
    char *text[4096];
    uint32_t count;
};
static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}
static void add_line(struct lines *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add_line(struct lines *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&l->text[l->count++], fmt, args) < 0)
        exit(1);
    va_end(args);
}

static void add_stored_row(struct lines *l, const struct schema *s, struct slice value)
{
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    uint64_t copies;
    struct slice row;
    union val v[8];
    uint8_t states[8];
    arena_init(&arena);
    CHECK(view_row_parse(value, &copies, &row));
    CHECK(row_decode(&arena, s, row.p, row.len, v, states));
    char text[256];
    size_t n = 0;
    for (uint32_t c = 0; c < s->column_count; c++) {
        struct str t = states[c] == VAL_OK ? type_output(&ctx, s->columns[c].type.id, &v[c]) : STR_LIT("-");
        n += (size_t)snprintf(text + n, sizeof text - n, "%.*s|", (int)t.len, (const char *)t.p);
    }
    while (copies--)
        add_line(l, "%s", text);
    arena_fini(&arena);
}

static void stored_lines(struct box *b, uint32_t view, struct lines *out)
{
    out->count = 0;
    for (uint32_t s = 0; s < b->shards; s++) {
        struct store_shard *sh = store_shard(b->store, s);
        char name[16];
        store_db db;
        struct store_scan *scan;
        struct slice key, value;
        snprintf(name, sizeof name, "v:%u", view);
        fail(store_begin(sh));
        fail(store_db_open(sh, name, &db));
        fail(store_scan_open(sh, db, &scan));
        while (store_scan_next(scan, &key, &value))
            add_stored_row(out, &b->catalog.views[view].schema, value);
        store_scan_close(scan);
        store_abort(sh);
    }
    qsort(out->text, out->count, sizeof *out->text, by_text);
}

struct sum {
    int64_t sum, n;
};
static struct sum balance(uint32_t account)
{
    struct sum s = {0, 0};
    for (int e = 0; e < 200; e++)
        if (entries[e].present && !entries[e].a_null && entries[e].a == account) {
            s.sum += entries[e].b;
            s.n++;
        }
    return s;
}

static void branch_text(uint32_t account, char *out)
{
    if (accounts[account].a_null)
        strcpy(out, "-");
    else
        sprintf(out, "%d", (int)accounts[account].a);
}

static void model_branches(struct lines *out)
{
    for (int branch = -1; branch < 5; branch++) {
        int64_t total = 0, top = INT64_MIN, n = 0;
        for (uint32_t a = 0; a < ACCOUNTS; a++) {
            struct sum s = balance(a);
            if (!accounts[a].present || !s.n || (accounts[a].a_null ? -1 : accounts[a].a) != branch)
                continue;
            total += s.sum;
            top = s.sum > top ? s.sum : top;
            n++;
        }
        if (n && branch < 0)
            add_line(out, "-|%d|%d|", (int)total, (int)top);
        else if (n)
            add_line(out, "%d|%d|%d|", branch, (int)total, (int)top);
    }
}

static void model_padded(struct lines *out)
{
    for (uint32_t a = 0; a < ACCOUNTS; a++) {
        if (!accounts[a].present)
            continue;
        if (!balance(a).n)
            add_line(out, "%u|%s|-|", a, accounts[a].note);
        for (int e = 0; e < 200; e++)
            if (entries[e].present && !entries[e].a_null && entries[e].a == a)
                add_line(out, "%u|%s|%d|", a, accounts[a].note, e);
    }
}

static void model_total(struct lines *out)
{
    int64_t sum = 0, n = 0, distinct = 0;
    bool seen[ACCOUNTS] = {false};
    for (int e = 0; e < 200; e++) {
        if (!entries[e].present)
            continue;
        sum += entries[e].b;
        n++;
        if (!entries[e].a_null && !seen[entries[e].a]) {
            seen[entries[e].a] = true;
            distinct++;
        }
    }
    if (n)
        add_line(out, "%d|%d|", (int)sum, (int)distinct);
    else
        add_line(out, "-|0|");
}

static void model_lines(uint32_t view, struct lines *out)
{
    char branch[16];
    bool kinds[5] = {false};
    out->count = 0;
    for (uint32_t a = 0; a < ACCOUNTS; a++) {
        struct sum s = balance(a);
        branch_text(a, branch);
        if (accounts[a].present && !accounts[a].a_null)
            kinds[accounts[a].a] = true;
        if (view == 0 && accounts[a].present && s.n)
            add_line(out, "%u|%s|%d|%d|", a, branch, (int)s.sum, (int)s.n);
        if (view == 5 && accounts[a].present)
            add_line(out, "%u|", a);
    }
    for (int k = 0; view == 4 && k < 5; k++)
        if (kinds[k])
            add_line(out, "%d|", k);
    for (int e = 0; view == 5 && e < 200; e++)
        if (entries[e].present && entries[e].a_null)
            add_line(out, "-|");
        else if (entries[e].present)
            add_line(out, "%d|", (int)entries[e].a);
    if (view == 1)
        model_branches(out);
    if (view == 2)
        model_padded(out);
    if (view == 3)
        model_total(out);
    qsort(out->text, out->count, sizeof *out->text, by_text);
}

static void drop_lines(struct lines *l)
{
    while (l->count)
        free(l->text[--l->count]);
}

static bool compare(struct box *b, const char *when)
{
    static struct lines got, want;
    bool same = true;
    for (uint32_t v = 0; v < 6 && same; v++) {
        stored_lines(b, v, &got);
        model_lines(v, &want);
        same = got.count == want.count;
        for (uint32_t i = 0; i < got.count && i < want.count && same; i++) {
            same = strcmp(got.text[i], want.text[i]) == 0;
            if (!same)
                printf("# %s: got %s want %s\n", when, got.text[i], want.text[i]);
        }
        if (!same)
            printf("# %s: view %u with %u shards: got %u rows, want %u\n", when, v, b->shards, got.count,
                   want.count);
        drop_lines(&got);
        drop_lines(&want);
    }
    return same;
}

static void remove_dir(const char *dir)
{
    CHECK(test_remove_dir(dir));
}

/* The process dies between two steps, some shards having committed and some not; the next one goes on from what is
 * stored. */
static void crash(struct box *b)
{
    close_box(b);
    open_box(b, b->shards, false);
    const struct sink *s = pipeline_sink(b->pipeline, 0);
    sent = 0;
    if (s->resume_len == sizeof sent)
        memcpy(&sent, s->resume, sizeof sent);
    memcpy(accounts, history[sent].accounts, sizeof accounts);
    memcpy(entries, history[sent].entries, sizeof entries);
}

static void run_seed(uint64_t seed, uint32_t shards)
{
    struct box b = {.dir = "/tmp/penstock-test-XXXXXX"};
    CHECK(mkdtemp(b.dir) != NULL);
    random_state = seed;
    memset(accounts, 0, sizeof accounts);
    memset(entries, 0, sizeof entries);
    memset(history, 0, sizeof history);
    sent = 0;
    open_box(&b, shards, true);
    bool good = settle(&b) && compare(&b, "empty");
    for (int i = 0; i < STEPS && good; i++) {
        transaction(&b);
        steps(&b, rnd(40));
        if (rnd(20) == 0)
            good = settle(&b) && compare(&b, "running");
        if (good && rnd(30) == 0) {
            crash(&b);
            steps(&b, rnd(60));
            if (rnd(3) == 0) /* and again, while state is being rebuilt */
                crash(&b);
            good = rnd(2) || (settle(&b) && compare(&b, "after a crash"));
        }
        if (good && rnd(120) == 0) { /* a restart: state is rebuilt from the mirrors */
            good = settle(&b);
            close_box(&b);
            open_box(&b, shards, false);
        }
    }
    good = good && settle(&b) && compare(&b, "end");
    if (!good)
        printf("# seed %llu, %u shards\n", (unsigned long long)seed, shards);
    CHECK(good);
    close_box(&b);
    remove_dir(b.dir);
}

static void same_views_with_any_shards_order_and_crash_point(void)
{
    static const uint32_t shards[] = {1, 2, 3, 7};
    for (uint64_t seed = 1; seed <= (uint64_t)test_rounds(12); seed++)
        run_seed(seed * 7919, shards[seed % 4]);
}

/* One thread holds all write locks here, in the order that the seed says. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "detect_deadlocks=0";
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(same_views_with_any_shards_order_and_crash_point);
    TEST_END();
}
