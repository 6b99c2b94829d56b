/* Joins on inequalities: rows stand in the order that the condition compares, and are looked up in it. The same condition
 * written so that it is not seen to be one (NOT a >= b) tests every pair; both must say the same after every change. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

static struct column columns[] = {{"k", {T_INT4, -1}, false, NULL},
                                  {"x", {T_INT4, -1}, false, NULL},
                                  {"n", {T_NUMERIC, -1}, false, NULL},
                                  {"t", {T_TEXT, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "a", {4, columns}, 0, NULL, 0, .table_index = 0},
                                          {"t", "b", {4, columns}, 0, NULL, 0, .table_index = 1}};

static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

struct pair {
    const char *ranged, *plain;
};
static const struct pair conditions[] = {
    {"a.x < b.x", "NOT a.x >= b.x"},
    {"a.x >= b.x", "NOT a.x < b.x"},
    {"b.x <= a.x AND a.k = b.k", "NOT b.x > a.x AND a.k = b.k"},
    {"a.k = b.k AND a.x BETWEEN b.x AND b.n", "a.k = b.k AND NOT a.x < b.x AND NOT a.x > b.n"},
    {"a.x > b.x AND a.x < b.x + 9", "NOT a.x <= b.x AND NOT a.x >= b.x + 9"},
    {"a.k = b.k AND a.n > b.x", "a.k = b.k AND NOT a.n <= b.x"},
    {"a.t < b.t AND a.x + b.x > 30", "NOT a.t >= b.t AND a.x + b.x > 30"},
    {"a.x > b.n AND a.k >= b.k AND b.t <> a.t", "NOT a.x <= b.n AND NOT a.k < b.k AND b.t <> a.t"},
};
static const char *const shapes[] = {
    "SELECT a.x, a.t, b.x, b.n FROM t.a JOIN t.b ON %s",
    "SELECT a.x, a.t, b.x, b.n FROM t.a LEFT JOIN t.b ON %s",
    "SELECT a.x, a.t, b.x, b.n FROM t.a RIGHT JOIN t.b ON %s",
    "SELECT a.x, a.t, b.x, b.n FROM t.a FULL JOIN t.b ON %s",
    "SELECT k, x, n, t FROM t.a WHERE EXISTS (SELECT FROM t.b WHERE %s)",
    "SELECT k, x, n, t FROM t.a WHERE NOT EXISTS (SELECT FROM t.b WHERE %s)",
    "SELECT k, x, EXISTS (SELECT FROM t.b WHERE %s) FROM t.a",
    "SELECT k, x, t FROM t.a WHERE a.t IN (SELECT b.t FROM t.b WHERE %s) OR a.x = 3",
};

#define LINES_MAX 400
static char *lines[2][LINES_MAX];
static uint32_t line_count[2];

static void random_line(char *out, size_t size_bytes)
{
    char x[16], n[16];
    snprintf(x, sizeof x, "%d", (int)rnd(60) - 10);
    snprintf(n, sizeof n, "%d.%d", (int)rnd(60) - 10, (int)rnd(3) * 5);
    snprintf(out, size_bytes, "%d|%s|%s|%c%s", (int)rnd(3), rnd(12) ? x : "-", rnd(12) ? n : "-",
             "abc"[rnd(3)], rnd(2) ? "x" : "");
}

static void change(struct rig *rigs, uint32_t side)
{
    static const char *const names[] = {"a", "b"};
    char line[64];
    uint32_t *count = &line_count[side];
    bool takes = *count && rnd(5) < (*count > 200 ? 4 : 1);
    if (takes) {
        uint32_t i = rnd(*count);
        snprintf(line, sizeof line, "%s", lines[side][i]);
        free(lines[side][i]);
        lines[side][i] = lines[side][--*count];
    } else if (*count < LINES_MAX) {
        random_line(line, sizeof line);
        lines[side][(*count)++] = xstrdup(line);
    } else {
        return;
    }
    for (int i = 0; i < 2; i++)
        feed(&rigs[i], names[side], takes ? -1 : 1, line);
}

static bool has_range(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->plan->node_count; i++)
        if (rig->plan->nodes[i]->kind == PLAN_JOIN && rig->plan->nodes[i]->u.join.range_count)
            return true;
    return false;
}

static bool same_net(struct rig *rigs)
{
    struct net *a = &rigs[0].state[0], *b = &rigs[1].state[0];
    if (a->count != b->count)
        return false;
    if (a->count) {
        qsort(a->lines, a->count, sizeof *a->lines, net_order);
        qsort(b->lines, b->count, sizeof *b->lines, net_order);
    }
    for (uint32_t i = 0; i < a->count; i++)
        if (strcmp(a->lines[i].text, b->lines[i].text) != 0 || a->lines[i].weight != b->lines[i].weight)
            return false;
    return true;
}

static void run(const char *shape, const struct pair *c, uint64_t seed)
{
    struct rig rigs[2];
    random_state = seed;
    for (int i = 0; i < 2; i++) {
        char body[512], sql[600];
        snprintf(body, sizeof body, shape, i ? c->plain : c->ranged);
        snprintf(sql, sizeof sql, "CREATE VIEW v AS SELECT * FROM (%s) s (c1, c2, c3%s)", body,
                 strstr(shape, ", EXISTS") || strstr(shape, "IN (") ? "" : ", c4");
        rig_open(&rigs[i], tables, 2, sql, "v");
        CHECK(has_range(&rigs[i]) == !i || strstr(shape, "IN ("));
    }
    for (int round = 0; round < 12; round++) {
        for (uint32_t n = round ? rnd(20) : 160; n > 0; n--)
            change(rigs, rnd(2));
        for (int i = 0; i < 2; i++)
            rig_end_epoch(&rigs[i]);
        CHECK(same_net(rigs));
        CHECK(rig_errors(&rigs[0]) == rig_errors(&rigs[1]));
        for (int i = 0; i < 2; i++)
            rig_begin(&rigs[i]);
    }
    for (uint32_t s = 0; s < 2; s++)
        while (line_count[s]) {
            const char *name = s ? "b" : "a", *line = lines[s][line_count[s] - 1];
            for (int i = 0; i < 2; i++)
                feed(&rigs[i], name, -1, line);
            free(lines[s][--line_count[s]]);
        }
    rig_end_epoch(&rigs[0]);
    CHECK(rigs[0].state[0].count == 0);
    CHECK(graph_state_bytes(rigs[0].graph) < 20000); /* nothing of the rows is left */
    for (int i = 0; i < 2; i++)
        rig_close(&rigs[i]);
}

static void equal_to_every_pair(void)
{
    for (uint32_t s = 0; s < ARRAY_COUNT(shapes); s++)
        for (uint32_t c = 0; c < ARRAY_COUNT(conditions); c++) {
            int before = test_failed_checks;
            for (int seed = 1; seed <= test_rounds(2); seed++)
                run(shapes[s], &conditions[c], (uint64_t)seed + 100 * c);
            if (test_failed_checks != before)
                printf("# %s with %s\n", shapes[s], conditions[c].ranged);
        }
}

/* Only what matches is looked at: rows far from the changed one cost nothing. */
static void looks_at_what_matches(void)
{
    struct rig rig;
    rig_open(&rig, tables, 2,
             "CREATE VIEW v AS SELECT a.k, b.k AS bk FROM t.a JOIN t.b ON b.x >= a.x AND b.x < a.x + 2 AND 1 "
             "/ (b.k - 7 * a.k) < 5",
             "v");
    for (int i = 0; i < 300; i++) { /* k = 7 makes the residual fail wherever it is asked */
        char line[64];
        snprintf(line, sizeof line, "%d|%d|0|x", i == 50 || i == 51 ? 1 : 7, i);
        feed(&rig, "b", 1, line);
    }
    feed(&rig, "a", 1, "1|50|0|x");
    rig_end_epoch(&rig);
    CHECK_STR(net_text(&rig.state[0]), "+2 1|1|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

int main(void)
{
    RUN(equal_to_every_pair);
    RUN(looks_at_what_matches);
    TEST_END();
}
