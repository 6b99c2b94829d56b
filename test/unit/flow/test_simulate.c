/* A pipeline simulated on one thread: real shards, exchanges, epochs, mirrors and stored views, under a clock, an
 * interleaving and crashes that a seed decides. In every published epoch every view must hold what a recomputation gives
 * from the rows of the transactions that the epoch's position says, at the epoch's time, on one shard.
 *
 * Views are drawn from all kinds of operators; the source is also made to wait for room. A failure prints its seed, which
 * repeats it: test_simulate SEED [SHARDS]. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/flow/flow_test.h"
#include "test/unit/ops/ops_test.h"
#include "test/unit/flow/sim_views.h" /* after the others: its names are short */

#include "flow/internal.h"

#define KEYS         30 /* of each keyed table */
#define BAG_MAX      40
#define TRANSACTIONS 150
#define VIEWS        5 /* at a time */
#define SECOND       INT64_C(1000000)
#define START        (INT64_C(1709164800) * SECOND) /* 2024-02-29 */

static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

/* ---- the rows, after each transaction ---- */

struct moment { /* lines as feed() reads them; they live in the arena */
    const char *a[KEYS], *b[KEYS], *bag[BAG_MAX];
    uint32_t bag_count;
};
static struct arena arena;
static struct moment now, history[TRANSACTIONS + 1];
static uint64_t sent; /* transactions; also the position */

/* ---- one simulated instance ---- */

struct sim {
    struct box box;
    char sql[4096];
    int64_t clock;
    uint32_t stepping;
    uint64_t checked;            /* newest epoch that was compared */
    struct net state[VIEWS];     /* after the newest published epoch */
    struct net change[2][VIEWS]; /* of the epochs at work, by their parity */
    uint32_t epochs, waits, refills;
    bool good;
};

static void on_rows(void *ctx, const struct plan_view *view, const struct batch *b)
{
    struct sim *s = ctx;
    uint64_t epoch = s->box.pipeline->shards[s->stepping].epoch;
    char text[1024];
    for (uint32_t r = 0; r < b->row_count; r++) {
        row_text(&view->schema, b, r, text, sizeof text);
        net_add(&s->change[epoch % 2][view->view_index], text, b->weight[r]);
    }
}

/* What the views hold when computed from the rows of a moment. */
static void recompute(const struct sim *s, const struct moment *m, int64_t clock, char *out[VIEWS])
{
    struct rig rig;
    rig_open(&rig, tables, 3, s->sql, "v0,v1,v2,v3,v4");
    rig.graph->clock_us = clock;
    for (uint32_t i = 0; i < KEYS; i++) {
        if (m->a[i])
            feed(&rig, "a", 1, m->a[i]);
        if (m->b[i])
            feed(&rig, "b", 1, m->b[i]);
    }
    for (uint32_t i = 0; i < m->bag_count; i++)
        feed(&rig, "bag", 1, m->bag[i]);
    rig_end_epoch(&rig);
    for (uint32_t v = 0; v < VIEWS; v++)
        out[v] = xstrdup(net_text(&rig.state[v]));
    rig_close(&rig);
}

static void compare(struct sim *s, uint64_t position, int64_t clock, const char *when)
{
    char *want[VIEWS];
    CHECK(position <= TRANSACTIONS);
    recompute(s, &history[position], clock, want);
    for (uint32_t v = 0; v < VIEWS; v++) {
        const char *got = net_text(&s->state[v]);
        if (strcmp(got, want[v]) != 0 && s->good) {
            printf(
                "# %s, epoch %llu, %llu transactions, %u shards: %s\n#   got:  %.2000s\n#   want: %.2000s\n",
                when, (unsigned long long)s->checked, (unsigned long long)position, s->box.shards,
                s->box.plan->views[v]->definition, got, want[v]);
            s->good = false;
        }
        free(want[v]);
    }
}

static uint64_t position_of(const struct pipeline *p)
{
    uint64_t position = 0;
    if (p->tracks[0].now.len == sizeof position)
        memcpy(&position, p->tracks[0].now.bytes, sizeof position);
    return position;
}

/* Between epochs: what was published last is whole, and nothing of the next one has begun. */
static void check_published(struct sim *s)
{
    struct pipeline *p = s->box.pipeline;
    uint64_t done = atomic_load(&p->epoch_done);
    if (done == s->checked || !p->rebuilt)
        return;
    s->checked = done;
    for (uint32_t v = 0; v < VIEWS; v++) {
        struct net *change = &s->change[done % 2][v];
        for (uint32_t i = 0; i < change->count; i++)
            net_add(&s->state[v], change->lines[i].text, change->lines[i].weight);
        net_clear(change);
    }
    s->epochs++;
    compare(s, position_of(p), p->clock_us, "in an epoch");
}

/* The coordinator asks for the time when it is about to open an epoch. */
static int64_t on_clock(void *ctx)
{
    struct sim *s = ctx;
    if (s->box.pipeline)
        check_published(s);
    return s->clock;
}

static bool step_shard(struct sim *s, uint32_t shard)
{
    uint32_t before = s->stepping;
    s->stepping = shard;
    struct pipeline *p = s->box.pipeline;
    bool any = pipeline_step(p, shard);
    s->stepping = before;
    if (atomic_load(&p->epoch_open) != atomic_load(&p->epoch_done))
        s->good &= p->due_us == INT64_MAX; /* or the coordinator would be woken for it again and again */
    return any;
}

static void steps(struct sim *s, uint32_t n)
{
    while (n--) {
        if (rnd(4) == 0)
            s->clock += rnd(8) ? rnd(20000) : rnd(3) * SECOND;
        step_shard(s, rnd(s->box.shards));
    }
}

static void on_wait(void *ctx)
{
    struct sim *s = ctx;
    s->waits++;
    steps(s, rnd(6) + 1);
}

/* Steps until nothing is left to do; false when the pipeline has ended. */
static bool settle_steps(struct sim *s)
{
    sink_flush(sink_lane_get(pipeline_sink(s->box.pipeline, 0), 0));
    for (int quiet = 0, i = 0; i < 1000000; i++) {
        bool any = false;
        for (uint32_t n = 0; n < s->box.shards; n++)
            any |= step_shard(s, n);
        quiet = any ? 0 : quiet + 1;
        if (quiet <= 3)
            continue;
        check_published(s);
        return pipeline_failure(s->box.pipeline, 0) == NULL;
    }
    return false;
}

static bool settle(struct sim *s)
{
    bool good = settle_steps(s);
    CHECK(!good || position_of(s->box.pipeline) == sent);
    return good;
}

/* ---- opening, crashing ---- */

static void load_state(struct sim *s)
{
    for (uint32_t v = 0; v < VIEWS; v++) {
        struct lines l = {0};
        net_clear(&s->state[v]);
        net_clear(&s->change[0][v]);
        net_clear(&s->change[1][v]);
        box_lines(&s->box, s->box.plan->views[v]->name, &l);
        for (uint32_t i = 0; i < l.count; i++)
            net_add(&s->state[v], l.text[i], 1);
        lines_drop(&l);
    }
}

static void open_sim(struct sim *s, bool fresh)
{
    s->box.pipeline = NULL;
    s->box.tune = s;
    box_open(&s->box, fresh);
    s->checked = atomic_load(&s->box.pipeline->epoch_done);
    load_state(s);
}

static void set_options(struct box *b, struct pipeline_options *o)
{
    o->clock = on_clock;
    o->wait = on_wait;
    o->view_out = on_rows;
    o->clock_ctx = o->wait_ctx = o->view_ctx = b->tune;
    o->checkpoint_us = 3000;
    struct sim *s = b->tune;
    bool lost, uses[VIEWS];
    must(pipeline_clock_lost(b->store, s->clock, &lost));
    plan_clock_views(b->plan, uses);
    for (uint32_t v = 0; v < VIEWS; v++)
        b->fill[v] |= lost && uses[v];
    o->clock_anew = lost;
    s->refills += lost;
}

/* The process dies between two steps; the next one goes on from what is stored, which must be one whole epoch. */
static void crash(struct sim *s)
{
    box_close(&s->box);
    open_sim(s, false);
    const struct sink *sink = pipeline_sink(s->box.pipeline, 0);
    sent = 0;
    if (sink->resume_len == sizeof sent)
        memcpy(&sent, sink->resume, sizeof sent);
    now = history[sent];
    if (s->box.pipeline->clock_known || !s->box.pipeline->has_clock)
        compare(s, sent, s->box.pipeline->clock_us, "after a crash");
}

/* A little: now() waits, and nothing else does. By more: the pipeline ends and is started anew; sometimes it was down. */
static void set_clock_back(struct sim *s)
{
    int64_t was = s->clock;
    bool far = rnd(2), down = rnd(2);
    s->clock -=
        far ? (CLOCK_BACK_MS + 1 + rnd(100000000)) * INT64_C(1000) : rnd(CLOCK_BACK_MS) * INT64_C(1000);
    if (!far) {
        s->good &= settle(s);
        s->clock = rnd(2) ? was : s->clock;
        return;
    }
    if (!down && s->box.pipeline->has_clock) {
        CHECK(!settle_steps(s));
        const struct err *e = pipeline_failure(s->box.pipeline, 0);
        CHECK(e && e->code == ERR_RESTART);
    }
    crash(s);
}

/* ---- transactions ---- */

static const char *time_line(int64_t unix_us)
{
    struct fn_ctx ctx = {.arena = &arena};
    union val v = {.i = unix_us - INT64_C(946684800) * SECOND};
    struct str t = type_output(&ctx, T_TIMESTAMPTZ, &v);
    return arena_strndup(&arena, (const char *)t.p, t.len);
}

static const char *number(uint32_t below)
{
    char text[16];
    snprintf(text, sizeof text, "%u", rnd(below));
    return rnd(9) ? arena_strndup(&arena, text, strlen(text)) : "-";
}

static const char *line_of(struct sim *s, uint32_t table, uint32_t id)
{
    char text[200];
    static const char *const words[] = {"a", "b", "ab", "c", "-"};
    if (table == 0)
        snprintf(text, sizeof text, "%u|%s|%s|%s|%s", id, number(4), number(20), words[rnd(5)],
                 rnd(8) ? time_line(s->clock + ((int64_t)rnd(12) - 6) * SECOND) : "-");
    else if (table == 1)
        snprintf(text, sizeof text, "%u|%s|%s.%u|%s", id, number(KEYS), "1", rnd(100), number(20));
    else
        snprintf(text, sizeof text, "%s|%s", number(4), words[rnd(5)]);
    return arena_strndup(&arena, text, strlen(text));
}

static struct sink_lane *lane(const struct sim *s)
{
    return sink_lane_get(pipeline_sink(s->box.pipeline, 0), 0);
}

static void send_line(struct sim *s, uint32_t table, enum row_op op, const char *line)
{
    const struct schema *schema = &tables[table].schema;
    union val v[8];
    uint8_t states[8];
    struct fn_ctx ctx = {.arena = &arena};
    for (uint32_t c = 0; c < schema->column_count; c++) {
        size_t n = strcspn(line, "|");
        states[c] = n == 1 && *line == '-' ? VAL_NULL : VAL_OK;
        if (states[c] == VAL_OK)
            CHECK(type_input(&ctx, schema->columns[c].type, line, n, &v[c]));
        line += n + (line[n] == '|');
    }
    CHECK(sink_row(lane(s), table, op, v, states));
}

static void change_keyed(struct sim *s, uint32_t table, const char **rows)
{
    uint32_t id = rnd(KEYS);
    if (rows[id] && rnd(3) == 0) {
        send_line(s, table, ROW_DELETE, rows[id]);
        rows[id] = NULL;
        return;
    }
    enum row_op op = rows[id] ? ROW_UPDATE : ROW_INSERT;
    rows[id] = line_of(s, table, id);
    send_line(s, table, op, rows[id]);
}

static void change_bag(struct sim *s)
{
    uint32_t i = now.bag_count ? rnd(now.bag_count) : 0;
    if (now.bag_count && (rnd(5) < 2 || now.bag_count == BAG_MAX)) {
        send_line(s, 2, ROW_DELETE, now.bag[i]);
        now.bag[i] = now.bag[--now.bag_count];
        return;
    }
    now.bag[now.bag_count] = line_of(s, 2, 0);
    send_line(s, 2, ROW_INSERT, now.bag[now.bag_count++]);
}

static void transaction(struct sim *s)
{
    for (uint32_t n = rnd(8) + 1; n--;) {
        uint32_t what = rnd(8);
        if (what < 3)
            change_keyed(s, 0, now.a);
        else if (what < 6)
            change_keyed(s, 1, now.b);
        else
            change_bag(s);
    }
    if (rnd(40) == 0) {
        CHECK(sink_truncate(lane(s), 1));
        memset(now.b, 0, sizeof now.b);
    }
    history[++sent] = now;
    CHECK(sink_commit(lane(s), &sent, sizeof sent, NULL, 0));
}

/* ---- runs ---- */

static void draw_views(struct sim *s)
{
    size_t len = 0;
    for (uint32_t v = 0; v < VIEWS; v++) {
        static char names[VIEWS][4];
        snprintf(names[v], sizeof names[v], "v%u", v);
        s->box.views[v] = names[v];
        len += (size_t)snprintf(s->sql + len, sizeof s->sql - len, "CREATE VIEW v%u AS %s;\n", v,
                                pool[rnd(ARRAY_COUNT(pool))]);
    }
    s->box.sql = s->sql;
}

static bool run(uint64_t seed, uint32_t shards)
{
    static struct sim sim;
    struct sim *s = &sim;
    memset(s, 0, sizeof *s);
    arena_init(&arena);
    random_state = seed * 7919;
    memset(&now, 0, sizeof now);
    sent = 0;
    history[0] = now;
    s->clock = START;
    s->good = true;
    box_make(&s->box, shards);
    draw_views(s);
    s->box.tables = tables;
    s->box.table_count = 3;
    s->box.source_count = 1;
    s->box.options = set_options;
    s->box.map_bytes = 64 << 20;
    s->box.sources[0] = (struct pipeline_source){.name = "t", .tables = tables, .table_count = 3};
    open_sim(s, true);
    s->good &= settle(s);
    while (sent < TRANSACTIONS && s->good) {
        transaction(s);
        steps(s, rnd(3) ? rnd(30) : 0);
        if (rnd(25) == 0)
            s->good &= settle(s);
        if (rnd(40) == 0)
            crash(s);
        if (rnd(60) == 0)
            set_clock_back(s);
        if (rnd(100) == 0) { /* while state is being rebuilt, too */
            crash(s);
            steps(s, rnd(20));
            crash(s);
        }
    }
    s->good &= settle(s);
    if (s->good && s->epochs < 10) {
        printf("# only %u epochs\n", s->epochs);
        s->good = false;
    }
    bool good = s->good;
    if (getenv("SIM_DEBUG"))
        printf("# seed %llu: %u epochs, %u waits, %u refills\n", (unsigned long long)seed, s->epochs,
               s->waits, s->refills);
    for (uint32_t v = 0; v < VIEWS; v++) {
        net_clear(&s->state[v]);
        net_clear(&s->change[0][v]);
        net_clear(&s->change[1][v]);
    }
    box_close(&s->box);
    box_remove(&s->box);
    arena_fini(&arena);
    if (!good)
        printf("# test_simulate %llu %u\n", (unsigned long long)seed, shards);
    return good;
}

static void every_epoch_is_a_recomputation(void)
{
    static const uint32_t shards[] = {1, 2, 3, 5, 7};
    for (uint64_t seed = 1; seed <= (uint64_t)test_rounds(40); seed++)
        CHECK(run(seed, shards[seed % 5]));
}

/* One thread holds all write locks here, in the order that the seed says. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "detect_deadlocks=0";
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        return !run(strtoull(argv[1], NULL, 10),
                    argc > 2 ? (uint32_t)atoi(argv[2]) : 1 + (uint32_t)atoi(argv[1]) % 7);
    RUN(every_epoch_is_a_recomputation);
    TEST_END();
}
