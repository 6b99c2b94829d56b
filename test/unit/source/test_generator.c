/* The generator: the same rows whatever the interruptions, invariants of its workloads, and its speed in the log. */
#include "base/hash.h"
#include "source/source.h"
#include "test.h"
#include <time.h>

/* A sink that hashes what it is given, and stops after so many rows or commits. */
struct sink_lane {
    struct sink *sink;
};
struct sink {
    struct sink_lane lane;
    struct gate_source status;
    const struct table_def *tables;
    uint64_t hash, rows, commits, stop_after_commits;
    uint64_t open_hash, open_rows; /* since the last commit */
    int64_t open_cents, cents;     /* sum of entries.amount */
    uint64_t per_table[3], deletes, updates, truncates;
    uint8_t position[SOURCE_POSITION_MAX];
    size_t position_len;
    bool unbalanced, quiet, stopping;
};

struct sink_lane *sink_lane_get(struct sink *s, uint32_t lane)
{
    ASSERT(lane == 0);
    s->lane.sink = s;
    return &s->lane;
}

static uint64_t row_hash(const struct schema *schema, const union val *vals, const uint8_t *states)
{
    uint64_t h = 0;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        uint64_t column = states[c];
        if (states[c] == VAL_OK && type_phys(schema->columns[c].type.id) == PHYS_STR)
            column = hash_bytes(vals[c].s.p, vals[c].s.len);
        else if (states[c] == VAL_OK && type_phys(schema->columns[c].type.id) == PHYS_NUM)
            column = vals[c].n.lo * 2 + vals[c].n.neg;
        else if (states[c] == VAL_OK)
            column = (uint64_t)vals[c].i;
        uint64_t words[2] = {h, column};
        h = hash_bytes(words, sizeof words);
    }
    return h;
}

bool sink_row(struct sink_lane *l, uint32_t table, enum row_op op, const union val *vals,
              const uint8_t *states)
{
    struct sink *s = l->sink;
    s->open_rows++;
    s->per_table[table]++;
    s->deletes += op == ROW_DELETE;
    s->updates += op == ROW_UPDATE;
    if (s->quiet)
        return true;
    uint64_t words[3] = {s->open_hash, table * 4 + op, row_hash(&s->tables[table].schema, vals, states)};
    s->open_hash = hash_bytes(words, sizeof words);
    if (strcmp(s->tables[table].name, "entries") == 0 && op == ROW_INSERT)
        s->open_cents += vals[2].n.neg ? -(int64_t)vals[2].n.lo : (int64_t)vals[2].n.lo;
    return true;
}

bool sink_truncate(struct sink_lane *l, uint32_t table)
{
    (void)table;
    l->sink->truncates++;
    return true;
}

void sink_transaction(struct sink_lane *l, uint32_t number)
{
    (void)l, (void)number;
}

bool sink_commit(struct sink_lane *l, const void *position, size_t len, const char *text, int64_t commit_us)
{
    struct sink *s = l->sink;
    (void)text;
    (void)commit_us;
    memcpy(s->position, position, len);
    s->position_len = len;
    s->hash = s->open_hash;
    s->rows += s->open_rows;
    s->open_rows = 0;
    s->unbalanced = s->unbalanced || s->open_cents != 0;
    s->stopping = ++s->commits >= s->stop_after_commits;
    return !s->stopping;
}

bool sink_move(struct sink_lane *l, uint32_t table, const union val *ov, const uint8_t *os,
               const union val *nv, const uint8_t *ns)
{
    (void)l, (void)table, (void)ov, (void)os, (void)nv, (void)ns;
    return false;
}
bool sink_rollback(struct sink_lane *l)
{
    return l == NULL;
}
void sink_flush(struct sink_lane *l)
{
    (void)l;
}
bool sink_barrier(struct sink *s)
{
    return !s->stopping;
}
void sink_snapshot_begin(struct sink *s)
{
    (void)s;
}
void sink_snapshot_end(struct sink *s)
{
    (void)s;
}
size_t sink_durable_position(struct sink *s, void *out, size_t size_bytes)
{
    (void)s, (void)out, (void)size_bytes;
    return 0;
}
bool sink_stopping(const struct sink *s)
{
    return s->stopping;
}
void sink_wait(struct sink *s, int timeout_ms)
{
    (void)timeout_ms;
    s->stopping = true; /* it idles: it is done */
}
struct gate_source *sink_status(struct sink *s)
{
    return &s->status;
}
void sink_set_state(struct sink *s, enum source_state state, const char *error)
{
    (void)s, (void)state, (void)error;
}

struct outcome {
    struct arena arena;
    const struct source_kind *kind;
    void *conf;
    struct table_def *tables;
    uint32_t table_count;
};

static void setup(struct outcome *o, const char *yaml)
{
    struct yaml_node *node;
    arena_init(&o->arena);
    o->kind = source_kind_find("generator");
    struct err *e = yaml_load(&o->arena, "test.yaml", yaml, strlen(yaml), true, &node);
    if (!e)
        e = o->kind->configure(&o->arena, "demo", node, &o->conf);
    if (!e)
        e = o->kind->describe(&o->arena, o->conf, 1000, &o->tables, &o->table_count);
    CHECK(e == NULL);
    if (e) {
        err_print(stdout, e);
        exit(1);
    }
}

/* Runs on from what s holds until so many commits have been made in all. */
static void go(struct outcome *o, struct sink *s, uint64_t commits)
{
    static const bool wanted[3] = {true, true, true};
    uint8_t resume[SOURCE_POSITION_MAX];
    size_t len = s->position_len;
    memcpy(resume, s->position, len);
    s->tables = o->tables;
    s->stop_after_commits = commits;
    s->stopping = false;
    s->open_hash = s->hash;
    s->open_rows = 0;
    s->open_cents = 0;
    CHECK(o->kind->run(o->conf, s, o->tables, o->table_count, wanted, resume, len) == NULL);
}

static uint64_t whole(const char *yaml)
{
    struct outcome o;
    struct sink s = {0};
    setup(&o, yaml);
    go(&o, &s, UINT64_MAX);
    arena_fini(&o.arena);
    return s.hash;
}

static void resumes_exactly(const char *yaml)
{
    struct outcome o;
    struct sink s = {0};
    setup(&o, yaml);
    for (uint64_t stop = 1; !s.position_len || s.commits + 1 >= stop; stop += 1 + stop / 3)
        go(&o, &s, stop);
    go(&o, &s, UINT64_MAX);
    CHECK(s.hash == whole(yaml) && s.truncates == 0);
    arena_fini(&o.arena);
}

static void bank_resumes(void)
{
    resumes_exactly("{ workload: bank, accounts: 3500, limit: 9000, churn: true, seed: 5 }");
}
static void nexmark_resumes(void)
{
    resumes_exactly("{ workload: nexmark, limit: 20000 }");
}
static void paced_is_the_same(void)
{
    CHECK(whole("{ workload: bank, limit: 300, rate: 100000 }") == whole("{ workload: bank, limit: 300 }"));
    CHECK(whole("{ workload: bank, limit: 300 }") != whole("{ workload: bank, limit: 300, seed: 43 }"));
}

static void bank_balances(void)
{
    struct outcome o;
    struct sink s = {0};
    setup(&o, "{ workload: bank, accounts: 100, limit: 20000, churn: true }");
    go(&o, &s, UINT64_MAX);
    CHECK(!s.unbalanced);
    CHECK(s.updates == 20000 / 16 && s.deletes > 400 && s.deletes % 2 == 0);
    CHECK(s.per_table[0] == 100 + 20000 / 16);
    arena_fini(&o.arena);
}

static void nexmark_proportions(void)
{
    struct outcome o;
    struct sink s = {0};
    setup(&o, "{ workload: nexmark, limit: 50000 }");
    go(&o, &s, UINT64_MAX);
    CHECK(s.rows == 50000 && s.per_table[0] == 1000 && s.per_table[1] == 3000 && s.per_table[2] == 46000);
    arena_fini(&o.arena);
}

static void other_settings_start_anew(void)
{
    struct outcome a, b;
    struct sink s = {0};
    setup(&a, "{ workload: bank, accounts: 100, limit: 50 }");
    setup(&b, "{ workload: bank, accounts: 101, limit: 50 }");
    go(&a, &s, UINT64_MAX);
    s.hash = 0;
    go(&b, &s, UINT64_MAX);
    CHECK(s.truncates == 2);
    CHECK(s.hash == whole("{ workload: bank, accounts: 101, limit: 50 }"));
    arena_fini(&a.arena);
    arena_fini(&b.arena);
}

static void configuration_errors(void)
{
    static const char *const wrong[] = {"{ workload: nothing }",           "{ rate: 5 }",
                                        "{ workload: bank, speed: 1 }",    "{ workload: bank, rate: -1 }",
                                        "{ workload: bank, accounts: 1 }", "{ workload: bank, churn: 3 }"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct arena arena;
        struct yaml_node *node;
        void *conf;
        arena_init(&arena);
        struct err *e = yaml_load(&arena, "test.yaml", wrong[i], strlen(wrong[i]), true, &node);
        CHECK(e == NULL);
        if (!e)
            e = source_kind_find("generator")->configure(&arena, "demo", node, &conf);
        CHECK(e && e->code == ERR_CONFIG && e->line == 1);
        err_free(e);
        arena_fini(&arena);
    }
}

static void speed(void)
{
    static const char *const yaml[] = {"{ workload: bank, limit: 500000 }",
                                       "{ workload: nexmark, limit: 500000 }"};
    for (int i = 0; i < 2; i++) {
        struct outcome o;
        struct sink s = {.quiet = true};
        setup(&o, yaml[i]);
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        go(&o, &s, UINT64_MAX);
        clock_gettime(CLOCK_MONOTONIC, &b);
        double seconds = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
        printf("# %s: %.2f million rows/s\n", yaml[i], (double)s.rows / seconds / 1e6);
        arena_fini(&o.arena);
    }
}

int main(void)
{
    RUN(bank_resumes);
    RUN(nexmark_resumes);
    RUN(paced_is_the_same);
    RUN(bank_balances);
    RUN(nexmark_proportions);
    RUN(other_settings_start_anew);
    RUN(configuration_errors);
    RUN(speed);
    TEST_END();
}
