/* Makes a demo store without the pipeline, for tests and benchmarks of the serve process, and changes it on command.
 *
 *   fill_store DIR [--rows N] [--shards N] [--updates-per-s N]
 *
 * Prints "ready" once filled, then obeys lines on standard input, answering each with "ok EPOCH":
 *   insert ID BRANCH BALANCE | update ID BALANCE | delete ID    an account; visible with the next `commit`
 *   visit PAGE N                                                adds N (may be negative) copies to the keyless view
 *   commit                                                      ends the epoch: visible at once
 *   position LSN | heartbeat on|off | state N | view INDEX STATE the gate's fields
 *   generation                                                  as after a new catalog
 *   quit
 * With --updates-per-s it also updates random accounts, 50 epochs a second. */
#include "base/hash.h"
#include "base/log.h"
#include "data/row.h"
#include "store/view_store.h"
#include "types/func.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VIEWS  5
#define LOG_US INT64_C(600000000)

struct filler {
    const char *dir;
    uint64_t rows;
    uint32_t shards;
    uint64_t rate;
    struct gate *gate;
    struct store *store;
    struct catalog catalog;
    struct view_writer **writers; /* [shard * VIEWS + view] */
    uint64_t epoch;               /* being written */
    bool beat;
    struct arena arena;
    struct fn_ctx fn;
    struct buf key, row, old;
    uint64_t random;
};

static void must(struct err *e)
{
    if (!e)
        return;
    err_print(stderr, e);
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* ---- catalog ---- */

static const struct column account_columns[] = {
    {"account_id", {T_INT8, -1}, true, "Number of the account"},
    {"owner", {T_TEXT, -1}, true, NULL},
    {"branch", {T_INT4, -1}, false, "Branch that keeps it"},
    {"balance", {T_NUMERIC, -1}, false, "Sum of all posted entries, in the account currency"},
    {"last_entry", {T_TIMESTAMPTZ, -1}, false, NULL},
    {"note", {T_TEXT, -1}, false, NULL},
};
static const struct column line_columns[] = {
    {"order_id", {T_INT8, -1}, true, NULL},   {"line", {T_INT4, -1}, true, NULL},
    {"product", {T_TEXT, -1}, false, NULL},   {"price", {T_NUMERIC, -1}, false, NULL},
    {"doc", {T_JSONB, -1}, false, NULL},      {"raw", {T_JSON, -1}, false, NULL},
    {"blob", {T_BYTEA, -1}, false, NULL},     {"uid", {T_UUID, -1}, false, NULL},
    {"day", {T_DATE, -1}, false, NULL},       {"at", {T_TIMESTAMP, -1}, false, NULL},
    {"every", {T_INTERVAL, -1}, false, NULL}, {"ratio", {T_FLOAT8, -1}, false, NULL},
    {"paid", {T_BOOL, -1}, false, NULL},      {"code", {T_TEXT, -1}, false, NULL},
};
static const struct column visit_columns[] = {
    {"page", {T_TEXT, -1}, false, NULL},
    {"status", {T_INT4, -1}, false, NULL},
};
static const struct column small_columns[] = {
    {"id", {T_INT4, -1}, true, NULL},
    {"name", {T_TEXT, -1}, false, NULL},
};
static struct key_column by_branch[] = {{2, false, false}, {3, true, true}};
static struct key_column by_owner[] = {{1, false, false}};
static struct key_column by_code[] = {{13, false, false}};

static uint32_t first[] = {0}, second[] = {1}, third[] = {2};
static char by_its_branch[] = "branch", order_id[] = "order_id", line_name[] = "line_fk",
            account[] = "account";
static struct catalog_reference of_balances[] = {{by_its_branch, 4, 1, third}},
                                of_lines[] = {{order_id, 0, 1, first}, {line_name, 4, 1, second}},
                                of_small[] = {{account, 0, 1, first}};

static void view_set(struct filler *f, uint32_t i, const char *name, const char *comment,
                     const struct column *columns, size_t count, uint32_t key_count)
{
    static uint32_t keys[] = {0, 1};
    static uint32_t sources[] = {0};
    struct catalog_view *v = &f->catalog.views[i];
    v->name = xstrdup(name);
    v->slot = i;
    v->schema = (struct schema){(uint32_t)count, arena_memdup(&f->arena, columns, count * sizeof *columns)};
    v->key_count = key_count;
    v->key = keys;
    v->comment = comment ? xstrdup(comment) : NULL;
    v->definition = xstrdup("SELECT 1");
    v->fingerprint = 1000 + i;
    v->source_count = 1;
    v->sources = sources;
}

static void index_add(struct filler *f, uint32_t view, const char *name, struct key_column *columns,
                      uint32_t count)
{
    struct catalog_view *v = &f->catalog.views[view];
    struct catalog_index *list = ARENA_ARRAY(&f->arena, struct catalog_index, v->index_count + 1);
    if (v->index_count)
        memcpy(list, v->indexes, v->index_count * sizeof *list);
    list[v->index_count++] = (struct catalog_index){xstrdup(name), count, columns};
    v->indexes = list;
}

static void catalog_make(struct filler *f)
{
    static const char *const paths[] = {"balances", "orders/lines", "visits", "later", "small"};
    struct catalog *c = &f->catalog;
    c->shard_count = f->shards;
    c->version = 1;
    c->view_count = VIEWS;
    c->views = ARENA_ARRAY(&f->arena, struct catalog_view, VIEWS);
    view_set(f, 0, "balances", "Accounts and what is on them", account_columns, ARRAY_COUNT(account_columns),
             1);
    view_set(f, 1, "order_lines", NULL, line_columns, ARRAY_COUNT(line_columns), 2);
    view_set(f, 2, "visits", "Every visit, with duplicates", visit_columns, ARRAY_COUNT(visit_columns), 0);
    view_set(f, 3, "later", "A view that is not complete", small_columns, ARRAY_COUNT(small_columns), 1);
    view_set(f, 4, "small", NULL, small_columns, ARRAY_COUNT(small_columns), 1);
    index_add(f, 0, "balances_branch_balance", by_branch, 2);
    index_add(f, 0, "balances_owner", by_owner, 1);
    index_add(f, 1, "lines_code", by_code, 1);
    c->api_count = VIEWS;
    c->apis = ARENA_ARRAY(&f->arena, struct catalog_api, VIEWS);
    for (uint32_t i = 0; i < VIEWS; i++)
        c->apis[i] = (struct catalog_api){.path = xstrdup(paths[i]), .view = i};
    c->apis[0].reference_count = 1;
    c->apis[0].references = of_balances;
    c->apis[1].reference_count = 2;
    c->apis[1].references = of_lines;
    c->apis[4].reference_count = 1;
    c->apis[4].references = of_small;
}

/* ---- rows ---- */

static void value(struct filler *f, enum type_id t, const char *text, union val *v, uint8_t *state)
{
    *state = text ? VAL_OK : VAL_NULL;
    if (text && !type_input(&f->fn, (struct type){t, -1}, text, strlen(text), v)) {
        fprintf(stderr, "fill_store: %s\n", f->fn.error_text);
        exit(1);
    }
}

/* Key into f->key, row into `row`. */
static void encode(struct filler *f, uint32_t view, const char *const *texts, struct buf *row)
{
    const struct catalog_view *v = &f->catalog.views[view];
    union val vals[16];
    uint8_t states[16];
    struct key_column key[16];
    uint32_t n = v->key_count ? v->key_count : v->schema.column_count;
    for (uint32_t i = 0; i < v->schema.column_count; i++)
        value(f, v->schema.columns[i].type.id, texts[i], &vals[i], &states[i]);
    for (uint32_t i = 0; i < n; i++)
        key[i] = (struct key_column){i, false, false};
    buf_reset(&f->key);
    buf_reset(row);
    key_encode(&f->key, &v->schema, vals, states, key, n);
    row_encode(row, &v->schema, vals, states);
}

static void apply(struct filler *f, uint32_t view, bool has_old, bool has_new, int64_t weight)
{
    uint32_t shard = hash_shard(hash_bytes(f->key.p, f->key.len), f->shards);
    struct slice old = {f->old.p, f->old.len}, new = {f->row.p, f->row.len};
    must(view_writer_apply(f->writers[shard * VIEWS + view], f->epoch, (struct slice){f->key.p, f->key.len},
                           has_old ? &old : NULL, has_new ? &new : NULL, weight));
    arena_reset(&f->arena);
}

struct account {
    int64_t id;
    int branch;
    char balance[40];
};

static void account_encode(struct filler *f, const struct account *a, struct buf *row)
{
    char id[24], owner[48], branch[16], at[48], note[64];
    snprintf(id, sizeof id, "%lld", (long long)a->id);
    snprintf(owner, sizeof owner, "owner %lld", (long long)(a->id % 1000));
    snprintf(branch, sizeof branch, "%d", a->branch);
    snprintf(at, sizeof at, "2026-01-02 03:04:05.%06d+00", (int)(a->id % 1000000));
    snprintf(note, sizeof note, "note \"%lld\" with some text to it", (long long)a->id);
    const char *texts[] = {id, owner, a->branch < 0 ? NULL : branch, a->balance, at, a->id % 3 ? note : NULL};
    encode(f, 0, texts, row);
}

static struct account *accounts; /* by id, what is stored; balance "" when absent */
static int64_t account_max;

static struct account *account_at(int64_t id)
{
    if (id < 0 || id > 100000000)
        exit(1);
    if (id >= account_max) {
        int64_t n = id + 1024;
        accounts = xrealloc(accounts, (size_t)n * sizeof *accounts);
        memset(accounts + account_max, 0, (size_t)(n - account_max) * sizeof *accounts);
        account_max = n;
    }
    return &accounts[id];
}

static void account_set(struct filler *f, int64_t id, int branch, const char *balance)
{
    struct account *a = account_at(id);
    bool had = a->balance[0] != 0;
    if (had)
        account_encode(f, a, &f->old);
    a->id = id;
    a->branch = had && branch == INT32_MIN ? a->branch : branch;
    snprintf(a->balance, sizeof a->balance, "%s", balance);
    account_encode(f, a, &f->row);
    apply(f, 0, had, true, 1);
}

static void account_delete(struct filler *f, int64_t id)
{
    struct account *a = account_at(id);
    if (!a->balance[0])
        return;
    account_encode(f, a, &f->old);
    apply(f, 0, true, false, -1);
    a->balance[0] = 0;
}

static void visit(struct filler *f, const char *page, int64_t n)
{
    const char *texts[] = {page, "200"};
    encode(f, 2, texts, &f->row);
    apply(f, 2, false, true, n);
}

static void lines_fill(struct filler *f)
{
    char order[24], line[16], price[24], uid[64], code[1200];
    for (int i = 0; i < 300; i++) {
        snprintf(order, sizeof order, "%d", i / 3);
        snprintf(line, sizeof line, "%d", i % 3);
        snprintf(price, sizeof price, "%d.%02d", i * 7, i % 100);
        snprintf(uid, sizeof uid, "00000000-0000-4000-8000-%012d", i);
        memset(code, 'c', sizeof code - 1); /* keys longer than LMDB holds, alike for a long way */
        snprintf(code + 900, 100, "%05d", 300 - i);
        const char *texts[] = {order,
                               line,
                               i % 5 ? "a \"quoted\", product\nwith a line" : "plain",
                               price,
                               "{\"b\": [1, 2.50], \"a\": null}",
                               "{\"kept\" :\n  \"as given\"}",
                               "\\xdeadbeef",
                               uid,
                               "2026-02-03",
                               "2026-02-03 04:05:06.7",
                               "1 day 02:03:04",
                               i % 7 ? "0.1" : "NaN",
                               i % 2 ? "t" : NULL,
                               i < 250 ? code : NULL};
        encode(f, 1, texts, &f->row);
        apply(f, 1, false, true, 1);
    }
}

static void small_fill(struct filler *f)
{
    static const char *const names[] = {"alpha",   "beta", "gamma", NULL,
                                        "10% off", "a,b",  "x\"y",  "\xc3\xa9t\xc3\xa9"};
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i + 1);
        const char *texts[] = {id, names[i]};
        encode(f, 4, texts, &f->row);
        apply(f, 4, false, true, 1);
    }
}

/* ---- epochs ---- */

static void epoch_begin(struct filler *f)
{
    f->epoch = store_epoch(f->store) + 1;
    for (uint32_t i = 0; i < f->shards; i++)
        must(store_begin(store_shard(f->store, i)));
}

static void epoch_commit(struct filler *f)
{
    for (uint32_t i = 0; i < f->shards * VIEWS; i++)
        must(view_writer_end_epoch(f->writers[i], f->epoch, now_us()));
    uint64_t counts[VIEWS] = {0};
    for (uint32_t i = 0; i < f->shards * VIEWS; i++)
        counts[i % VIEWS] += view_writer_rows(f->writers[i]);
    for (uint32_t i = 0; i < f->shards; i++)
        must(store_commit(store_shard(f->store, i), f->epoch));
    for (uint32_t i = 0; i < VIEWS; i++)
        f->gate->views[i].rows = counts[i];
    f->gate->sources[0].last_change_us = now_us();
    f->gate->sources[0].last_contact_us = now_us();
    gate_publish(f->gate, f->epoch);
    epoch_begin(f);
}

static void gate_set(struct filler *f)
{
    struct gate *g = f->gate;
    snprintf(g->sources[0].name, sizeof g->sources[0].name, "core");
    g->sources[0].state = SOURCE_STREAMING;
    gate_text_set(g->sources[0].position, sizeof g->sources[0].position, &g->sources[0].position_seq,
                  "0/1000");
    g->source_count = 1;
    g->view_count = VIEWS;
    g->shard_count = f->shards;
    for (uint32_t i = 0; i < VIEWS; i++)
        g->views[i].state = i == 3 ? VIEW_BUILDING : VIEW_READY;
    g->pipeline_state = PIPELINE_RUNNING;
    g->pipeline_pid = (unsigned)getpid();
    g->heartbeat_us = now_us();
    g->generation++;
}

static uint64_t next_random(struct filler *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random;
}

static void fill(struct filler *f)
{
    char balance[40];
    epoch_begin(f);
    for (uint64_t i = 1; i <= f->rows; i++) {
        snprintf(balance, sizeof balance, "%llu.%02llu", (unsigned long long)(i * 7919 % 100000),
                 (unsigned long long)(i % 100));
        account_set(f, (int64_t)i, i % 50 ? (int)(i % 20) : -1, balance);
        if (i % 20000 == 0)
            epoch_commit(f);
    }
    lines_fill(f);
    small_fill(f);
    visit(f, "/home", 3);
    visit(f, "/about", 1);
    epoch_commit(f);
}

static void update_some(struct filler *f, uint64_t n)
{
    char balance[40];
    for (uint64_t i = 0; i < n; i++) {
        snprintf(balance, sizeof balance, "%llu.%02llu", (unsigned long long)(next_random(f) % 100000),
                 (unsigned long long)(next_random(f) % 100));
        account_set(f, (int64_t)(next_random(f) % f->rows) + 1, INT32_MIN, balance);
    }
    epoch_commit(f);
}

/* ---- commands ---- */

static void gate_command(struct filler *f, const char *line)
{
    char text[64];
    unsigned a, b;
    if (sscanf(line, "position %63s", text) == 1)
        gate_text_set(f->gate->sources[0].position, sizeof f->gate->sources[0].position,
                      &f->gate->sources[0].position_seq, text);
    else if (sscanf(line, "heartbeat %63s", text) == 1)
        f->beat = strcmp(text, "on") == 0;
    else if (sscanf(line, "state %u", &a) == 1)
        f->gate->pipeline_state = a;
    else if (sscanf(line, "view %u %u", &a, &b) == 2 && a < VIEWS)
        f->gate->views[a].state = b;
    else if (sscanf(line, "replace %u", &a) == 1 && a < VIEWS) /* and filled again */
        gate_view_replace(f->gate, a), f->gate->views[a].state = VIEW_READY;
    else if (strncmp(line, "generation", 10) == 0)
        f->gate->generation++;
}

static bool command(struct filler *f, const char *line)
{
    long long id;
    int branch;
    char text[64];
    if (sscanf(line, "insert %lld %d %39s", &id, &branch, text) == 3)
        account_set(f, id, branch, text);
    else if (sscanf(line, "update %lld %39s", &id, text) == 2)
        account_set(f, id, INT32_MIN, text);
    else if (sscanf(line, "delete %lld", &id) == 1)
        account_delete(f, id);
    else if (sscanf(line, "visit %63s %lld", text, &id) == 2)
        visit(f, text, id);
    else if (strncmp(line, "commit", 6) == 0)
        epoch_commit(f);
    else if (strncmp(line, "quit", 4) == 0)
        return false;
    else
        gate_command(f, line);
    printf("ok %llu\n", (unsigned long long)f->gate->epoch);
    fflush(stdout);
    return true;
}

static bool commands(struct filler *f)
{
    static char input[65536];
    static size_t have;
    ssize_t n = read(0, input + have, sizeof input - 1 - have);
    if (n <= 0)
        return false;
    have += (size_t)n;
    input[have] = 0;
    char *line = input, *end;
    while ((end = strchr(line, '\n'))) {
        *end = 0;
        if (!command(f, line))
            return false;
        line = end + 1;
    }
    have -= (size_t)(line - input);
    memmove(input, line, have);
    return true;
}

static void serve_commands(struct filler *f)
{
    bool open = true;
    for (int64_t tick = 0; open; tick++) {
        struct pollfd p = {.fd = 0, .events = POLLIN};
        if (poll(&p, 1, f->rate ? 20 : 200) > 0)
            open = commands(f);
        if (f->beat)
            f->gate->heartbeat_us = now_us();
        if (f->rate)
            update_some(f, (f->rate + 49) / 50);
    }
}

static void arguments(struct filler *f, int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: fill_store DIR [--rows N] [--shards N] [--updates-per-s N]\n");
        exit(2);
    }
    f->dir = argv[1];
    for (int i = 2; i + 1 < argc; i += 2) {
        uint64_t n = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--rows") == 0)
            f->rows = n;
        else if (strcmp(argv[i], "--shards") == 0)
            f->shards = (uint32_t)n;
        else if (strcmp(argv[i], "--updates-per-s") == 0)
            f->rate = n;
    }
}

int main(int argc, char **argv)
{
    struct filler f = {.rows = 1000, .shards = 2, .beat = true, .random = 88172645463325252u};
    struct store_options options = {0};
    struct arena names;
    bool fresh;
    arguments(&f, argc, argv);
    log_setup(LOG_WARN, LOG_FORMAT_TEXT, "fill_store");
    arena_init(&names);
    arena_init(&f.arena);
    f.arena = names; /* the catalog's memory is not reset */
    catalog_make(&f);
    names = f.arena;
    arena_init(&f.arena);
    f.fn.arena = &f.arena;
    options.shard_count = f.shards;
    must(gate_open(f.dir, &f.gate, &fresh));
    must(store_open(f.dir, f.gate, fresh, &options, &f.store));
    must(catalog_save(&f.catalog, f.dir));
    f.writers = xcalloc(f.shards * VIEWS, sizeof(struct view_writer *));
    for (uint32_t i = 0; i < f.shards * VIEWS; i++)
        must(view_writer_open(store_shard(f.store, i / VIEWS), &f.catalog.views[i % VIEWS], 100000, LOG_US,
                              &f.writers[i]));
    fill(&f);
    gate_set(&f);
    printf("ready\n");
    fflush(stdout);
    serve_commands(&f);
    for (uint32_t i = 0; i < f.shards; i++)
        store_abort(store_shard(f.store, i));
    fflush(stdout);
    _exit(0); /* as a process that was killed: nothing is closed, nothing is freed */
}
