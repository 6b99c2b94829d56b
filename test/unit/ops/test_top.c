/* Top-k (ORDER BY with LIMIT, OFFSET, WITH TIES, DISTINCT ON) against sorting everything anew after each epoch: random
 * weighted deltas in any order, equal rows, ties, NULLs; and the cases that go wrong by hand. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

static struct column columns[] = {
    {"k", {T_INT4, -1}, false, NULL}, {"x", {T_INT4, -1}, false, NULL}, {"y", {T_INT4, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {3, columns}, 0, NULL, 0, .table_index = 0}};

/* ---- the model ---- */

#define ROWS_MAX 4096
struct row {
    int v[3]; /* -1: NULL */
};
static struct row rows[ROWS_MAX];
static uint32_t row_count;
static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

struct query {
    const char *sql;
    bool by_k, with_ties;
    int column[2]; /* of the order; -1: none */
    bool desc[2], nulls_first[2];
    uint32_t limit, offset;
};
static const struct query queries[] = {
    {"SELECT k, x, y FROM t.l ORDER BY x LIMIT 5", 0, 0, {1, -1}, {0}, {0}, 5, 0},
    {"SELECT k, x, y FROM t.l ORDER BY x DESC, 3 NULLS FIRST LIMIT 4 OFFSET 3",
     0,
     0,
     {1, 2},
     {1, 0},
     {1, 1},
     4,
     3},
    {"SELECT k, x, y FROM t.l ORDER BY x OFFSET 6", 0, 0, {1, -1}, {0}, {0}, 100000, 6},
    {"SELECT k, x, y FROM t.l ORDER BY y DESC NULLS LAST FETCH FIRST 3 ROWS WITH TIES",
     0,
     1,
     {2, -1},
     {1},
     {0},
     3,
     0},
    {"SELECT k, x, y FROM t.l ORDER BY x OFFSET 4 FETCH FIRST 2 ROWS WITH TIES",
     0,
     1,
     {1, -1},
     {0},
     {0},
     2,
     4},
    {"SELECT DISTINCT ON (k) k, x, y FROM t.l ORDER BY k, x DESC NULLS LAST", 1, 0, {1, -1}, {1}, {0}, 1, 0},
    {"SELECT DISTINCT ON (l.k) k, x, y FROM t.l", 1, 0, {-1, -1}, {0}, {0}, 1, 0},
    {"SELECT k, x, y FROM t.l ORDER BY x LIMIT 0.5 + 1", 0, 0, {1, -1}, {0}, {0}, 2, 0},
    {"SELECT k, x, y FROM t.l ORDER BY x LIMIT 0", 0, 0, {1, -1}, {0}, {0}, 0, 0},
    {"SELECT k, x, y FROM t.l LIMIT 3", 0, 0, {-1, -1}, {0}, {0}, 3, 0},
    {"SELECT k, x, y FROM t.l ORDER BY x LIMIT 40 OFFSET 20", 0, 0, {1, -1}, {0}, {0}, 40, 20},
};
static const struct query *comparing;

static int compare_value(int a, int b, bool desc, bool nulls_first)
{
    if (a == b)
        return 0;
    if (a == -1 || b == -1)
        return (a == -1) == nulls_first ? -1 : 1;
    return (a < b) != desc ? -1 : 1;
}

static int compare_order(const struct row *a, const struct row *b)
{
    for (int i = 0; i < 2 && comparing->column[i] >= 0; i++) {
        int col = comparing->column[i];
        int c = compare_value(a->v[col], b->v[col], comparing->desc[i], comparing->nulls_first[i]);
        if (c)
            return c;
    }
    return 0;
}

static int compare_rows(const void *pa, const void *pb)
{
    const struct row *a = pa, *b = pb;
    int c = comparing->by_k ? compare_value(a->v[0], b->v[0], false, false) : 0;
    c = c ? c : compare_order(a, b);
    for (int i = 0; i < 3 && !c; i++) /* ties: all columns from left to right */
        c = compare_value(a->v[i], b->v[i], false, false);
    return c;
}

static void add_row(struct net *n, const struct row *r)
{
    char text[64], v[3][16];
    for (int i = 0; i < 3; i++)
        snprintf(v[i], sizeof v[i], r->v[i] < 0 ? "-" : "%d", r->v[i]);
    snprintf(text, sizeof text, "%s|%s|%s|", v[0], v[1], v[2]);
    net_add(n, text, 1);
}

static void model(const struct query *q, struct net *out)
{
    static struct row sorted[ROWS_MAX];
    comparing = q;
    memcpy(sorted, rows, row_count * sizeof *rows);
    if (row_count)
        qsort(sorted, row_count, sizeof *sorted, compare_rows);
    for (uint32_t i = 0, start = 0; i < row_count; i++) {
        if (q->by_k && i && sorted[i].v[0] != sorted[i - 1].v[0])
            start = i;
        uint32_t place = i - start, end = q->offset + q->limit;
        bool in = place >= q->offset && place < end;
        if (q->with_ties && place >= end && q->limit)
            in = compare_order(&sorted[i], &sorted[start + end - 1]) == 0;
        if (in)
            add_row(out, &sorted[i]);
    }
}

/* ---- random traffic ---- */

struct change {
    struct row row;
    int64_t weight;
};

static uint32_t make_changes(struct change *c)
{
    uint32_t n = rnd(10) == 0 ? 60 : rnd(6) + 1;
    for (uint32_t i = 0; i < n; i++) {
        if (row_count && rnd(100) < (row_count > 80 ? 60 : 45)) {
            uint32_t at = rnd(row_count);
            c[i] = (struct change){rows[at], -1};
            rows[at] = rows[--row_count];
            continue;
        }
        struct row r = {{(int)rnd(4) - 1, (int)rnd(12) - 1, (int)rnd(5) - 1}};
        c[i] = (struct change){r, 1};
        rows[row_count++] = r;
    }
    for (uint32_t i = n; i > 1; i--) { /* in any order: weights may be negative for a while */
        uint32_t k = rnd(i);
        struct change t = c[i - 1];
        c[i - 1] = c[k];
        c[k] = t;
    }
    return n;
}

static void feed_changes(struct rig *rig, const struct change *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char text[64], v[3][16];
        for (int k = 0; k < 3; k++)
            snprintf(v[k], sizeof v[k], c[i].row.v[k] < 0 ? "-" : "%d", c[i].row.v[k]);
        snprintf(text, sizeof text, "%s|%s|%s", v[0], v[1], v[2]);
        feed(rig, "l", c[i].weight, text);
    }
}

static void random_epochs(const struct query *q, uint64_t seed)
{
    struct rig rig;
    static struct change changes[128];
    char *sql = NULL;
    random_state = seed;
    row_count = 0;
    CHECK(asprintf(&sql, "CREATE VIEW v AS %s;", q->sql) > 0);
    rig_open(&rig, tables, 1, sql, "v");
    for (int epoch = 0; epoch < 150; epoch++) {
        struct net want = {0};
        uint32_t n = make_changes(changes);
        feed_changes(&rig, changes, n);
        if (epoch % 50 == 49) { /* all go, some come back */
            for (uint32_t i = 0; i < row_count; i++)
                feed_changes(&rig, &(struct change){rows[i], -1}, 1);
            row_count = 0;
        }
        step(&rig, 0);
        model(q, &want);
        CHECK_STR(net_text(&rig.state[0]), net_text(&want));
        net_clear(&want);
    }
    rig_close(&rig);
    free(sql);
}

static void random_queries(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++)
        for (uint64_t seed = 1; seed <= 8; seed++)
            random_epochs(&queries[i], seed * 77 + i);
}

/* ---- by hand ---- */

static void refill_from_below(void)
{
    struct rig rig;
    rig_open(&rig, tables, 1, "CREATE VIEW v AS SELECT k, x FROM t.l ORDER BY x DESC LIMIT 2;", "v");
    feed(&rig, "l", 1, "1|10|0;2|20|0;3|30|0;4|40|0");
    CHECK_STR(step(&rig, 0), "+1 3|30|; +1 4|40|");
    feed(&rig, "l", -1, "4|40|0");
    CHECK_STR(step(&rig, 0), "+1 2|20|; -1 4|40|");
    feed(&rig, "l", -1, "3|30|0"); /* the sort key of a member goes below, of another above */
    feed(&rig, "l", 1, "3|5|0");
    CHECK_STR(step(&rig, 0), "+1 1|10|; -1 3|30|");
    feed(&rig, "l", 1, "5|1|0"); /* below the window: nothing is said */
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig.emitted == 0);
    feed(&rig, "l", -1, "2|20|0"); /* changes that cancel */
    feed(&rig, "l", 1, "2|20|0");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "l", 3, "9|50|0"); /* one row three times: two places */
    CHECK_STR(step(&rig, 0), "-1 1|10|; -1 2|20|; +2 9|50|");
    feed(&rig, "l", -2, "9|50|0");
    CHECK_STR(step(&rig, 0), "+1 2|20|; -1 9|50|");
    rig_close(&rig);
}

static void ties(void)
{
    struct rig rig;
    rig_open(&rig, tables, 1,
             "CREATE VIEW v AS SELECT k, x FROM t.l ORDER BY x FETCH FIRST 2 ROWS WITH TIES;", "v");
    feed(&rig, "l", 1, "1|1|0;2|2|0;3|2|0;4|2|0;5|3|0");
    CHECK_STR(step(&rig, 0), "+1 1|1|; +1 2|2|; +1 3|2|; +1 4|2|");
    feed(&rig, "l", 1, "6|1|0"); /* two before the ties: they all go */
    CHECK_STR(step(&rig, 0), "-1 2|2|; -1 3|2|; -1 4|2|; +1 6|1|");
    feed(&rig, "l", -1, "1|1|0");
    CHECK_STR(step(&rig, 0), "-1 1|1|; +1 2|2|; +1 3|2|; +1 4|2|");
    rig_close(&rig);
}

/* A delete far from the window of a long list costs what it changes, not the list. */
static void small_change_of_a_large_window(void)
{
    struct rig rig;
    rig_open(&rig, tables, 1, "CREATE VIEW v AS SELECT k FROM t.l ORDER BY k LIMIT 10000 OFFSET 1000;", "v");
    for (int i = 0; i < 20000; i++) {
        char text[32];
        snprintf(text, sizeof text, "%d|0|0", i * 2);
        struct op *op = rig_table(&rig, "l");
        struct batch *b = batch_new(3);
        batch_add_text(b, &op->node->schema, text, 1);
        op_emit(op, b);
        batch_free(b);
    }
    rig_end_epoch(&rig);
    CHECK(rig.emitted == 10000);
    rig_begin(&rig);
    feed(&rig, "l", 1, "1|0|0");
    CHECK_STR(step(&rig, 0), "+1 1998|; -1 21998|");
    feed(&rig, "l", -1, "4000|0|0");
    CHECK_STR(step(&rig, 0), "+1 21998|; -1 4000|");
    net_clear(&rig.state[0]);
    rig_close(&rig);
}

int main(void)
{
    RUN(random_queries);
    RUN(refill_from_below);
    RUN(ties);
    RUN(small_change_of_a_large_window);
    TEST_END();
}
