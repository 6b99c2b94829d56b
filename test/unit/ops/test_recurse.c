/* WITH RECURSIVE: chosen cases with deletions on cycles, limits, and random graphs against a recomputation in plain C. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

static struct column edge_columns[] = {{"a", {T_INT4, -1}, false, NULL}, {"b", {T_INT4, -1}, false, NULL}};
static struct column root_columns[] = {{"a", {T_INT4, -1}, false, NULL}};
static struct column number_columns[] = {{"x", {T_NUMERIC, -1}, false, NULL},
                                         {"y", {T_NUMERIC, -1}, false, NULL}};
static const struct table_def tables[] = {
    {"t", "edges", {2, edge_columns}, 0, NULL, 0, .table_index = 0},
    {"t", "roots", {1, root_columns}, 0, NULL, 0, .table_index = 1},
    {"t", "numbers", {2, number_columns}, 0, NULL, 0, .table_index = 2}};

#define REACH                                                                   \
    "CREATE VIEW reach AS WITH RECURSIVE r(a) AS (SELECT a FROM t.roots UNION " \
    "SELECT e.b FROM r JOIN t.edges e ON e.a = r.a) SELECT a FROM r;"

/* ---- chosen cases ---- */

static void a_cycle_without_support_dies(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3, REACH, "reach");
    feed(&rig, "roots", 1, "1");
    feed(&rig, "edges", 1, "1|2;2|3;3|4;4|2");
    CHECK_STR(step(&rig, 0), "+1 1|; +1 2|; +1 3|; +1 4|");
    feed(&rig, "edges", -1, "1|2");
    CHECK_STR(step(&rig, 0), "-1 2|; -1 3|; -1 4|");
    feed(&rig, "edges", 1, "1|3");
    CHECK_STR(step(&rig, 0), "+1 2|; +1 3|; +1 4|");
    feed(&rig, "edges", 1, "1|4");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "edges", -1, "1|3");
    CHECK_STR(step(&rig, 0), "");
    feed(&rig, "roots", -1, "1");
    CHECK_STR(step(&rig, 0), "-1 1|; -1 2|; -1 3|; -1 4|");
    rig_close(&rig);
}

static void a_shorter_way_says_nothing(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3, REACH, "reach");
    feed(&rig, "roots", 1, "1");
    feed(&rig, "edges", 1, "1|2;2|3;3|4;4|5;5|6");
    (void)step(&rig, 0);
    feed(&rig, "edges", 1, "1|4");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig.emitted == 0);
    feed(&rig, "edges", -1, "1|4;3|4");
    CHECK_STR(step(&rig, 0), "-1 4|; -1 5|; -1 6|");
    rig_close(&rig);
}

static void union_all_multiplies(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3,
             "CREATE VIEW parts AS WITH RECURSIVE r(a, n) AS (SELECT a, 0 FROM t.roots UNION ALL "
             "SELECT e.b, r.n + 1 FROM r JOIN t.edges e ON e.a = r.a) SELECT a, n FROM r;",
             "parts");
    feed(&rig, "roots", 1, "1");
    feed(&rig, "edges", 1, "1|2;1|2;1|3;2|4;2|4;2|4;3|4");
    CHECK_STR(step(&rig, 0), "+1 1|0|; +2 2|1|; +1 3|1|; +7 4|2|");
    feed(&rig, "edges", -1, "1|2");
    CHECK_STR(step(&rig, 0), "-1 2|1|; -3 4|2|");
    feed(&rig, "edges", 1, "3|2");
    CHECK_STR(step(&rig, 0), "+1 2|2|; +3 4|3|");
    rig_close(&rig);
}

static void equal_numbers_look_like_the_smallest(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3,
             "CREATE VIEW v AS WITH RECURSIVE r(x) AS (SELECT x FROM t.numbers WHERE x < 10 UNION "
             "SELECT n.y FROM r JOIN t.numbers n ON n.x = r.x) SELECT x FROM r;",
             "v");
    feed(&rig, "numbers", 1, "1.00|20.0");
    CHECK_STR(step(&rig, 0), "+1 1.00|; +1 20.0|");
    feed(&rig, "numbers", 1, "1.0|20.000");
    CHECK_STR(step(&rig, 0), "-1 1.00|; +1 1.0|"); /* 20.0 comes before 20.000 */
    feed(&rig, "numbers", -1, "1.00|20.0");
    CHECK_STR(step(&rig, 0), "+1 20.000|; -1 20.0|");
    feed(&rig, "numbers", -1, "1.0|20.000");
    CHECK_STR(step(&rig, 0), "-1 1.0|; -1 20.000|");
    CHECK(rig.state[0].count == 0);
    rig_close(&rig);
}

/* Rows that the loops have put out so far: the work of all rounds. */
static uint64_t fed(const struct rig *rig)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < rig->graph->op_count; i++)
        n += rig->plan->nodes[i]->kind == PLAN_LOOP ? rig->graph->ops[i].rows_out : 0;
    return n;
}

static void a_change_costs_what_it_changes(void)
{
    struct rig rig;
    char line[32];
    rig_open(&rig, tables, 3, REACH, "reach");
    feed(&rig, "roots", 1, "1");
    for (int i = 2; i < 2048; i++) { /* a binary tree */
        snprintf(line, sizeof line, "%d|%d", i / 2, i);
        feed(&rig, "edges", 1, line);
    }
    rig_end_epoch(&rig);
    rig_begin(&rig);
    CHECK(fed(&rig) == 2047);
    feed(&rig, "edges", 1, "2047|5000");
    CHECK_STR(step(&rig, 0), "+1 5000|");
    CHECK(fed(&rig) == 2048);
    feed(&rig, "edges", -1, "512|1024;1|3"); /* a leaf and half of the tree, with the one more */
    rig_end_epoch(&rig);
    CHECK(rig.emitted == 1 + 1023 + 1 && fed(&rig) == 2048 + 1 + 1023 + 1);
    rig_close(&rig);
}

/* ---- limits ---- */

static void rounds_end_at_the_limit(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3,
             "CREATE VIEW v AS WITH RECURSIVE r(a, n) AS (SELECT a, 0 FROM t.roots UNION ALL "
             "SELECT e.b, r.n + 1 FROM r JOIN t.edges e ON e.a = r.a) SELECT count(*) AS n, max(n) AS last "
             "FROM r;",
             "v");
    feed(&rig, "roots", 1, "1");
    feed(&rig, "edges", 1, "1|2;2|1");
    CHECK_STR(step(&rig, 0), "+1 10000|9999|");
    CHECK(RECURSION_ROUNDS_MAX == 10000 && rig_errors(&rig) == 1);
    feed(&rig, "edges", -1, "2|1");
    CHECK_STR(step(&rig, 0), "-1 10000|9999|; +1 2|1|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

static void the_last_round_is_not_cut_off(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3, REACH, "reach");
    char line[32];
    feed(&rig, "roots", 1, "0");
    for (int i = 0; i < 9999; i++) { /* 10,000 rounds: the first has the root */
        snprintf(line, sizeof line, "%d|%d", i, i + 1);
        feed(&rig, "edges", 1, line);
    }
    rig_end_epoch(&rig);
    CHECK(rig.emitted == 10000 && rig_errors(&rig) == 0);
    rig_begin(&rig);
    feed(&rig, "edges", 1, "9999|10000");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "edges", 1, "0|10000");
    CHECK_STR(step(&rig, 0), "+1 10000|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

/* A graph with limits of its own, over the same plan. */
static void limit(struct rig *rig, uint32_t rounds, uint64_t bytes)
{
    struct graph_env env = rig->graph->env;
    env.recursion_rounds = rounds;
    env.recursion_bytes = bytes;
    graph_free(rig->graph);
    rig->graph = graph_new(rig->plan, &env);
    CHECK(graph_open(rig->graph) == NULL);
    rig->epoch = 0;
    rig_begin(rig);
}

static void a_flood_is_cut_off_and_heals(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3,
             "CREATE VIEW v AS WITH RECURSIVE r(a) AS (SELECT a FROM t.roots UNION ALL "
             "SELECT e.b FROM r JOIN t.edges e ON e.a = r.a) SELECT count(*) AS n FROM r;",
             "v");
    limit(&rig, 0, 1000 * (RECURSION_ROW_BYTES + 2));
    feed(&rig, "roots", 1, "1");
    feed(&rig, "edges", 1, "1|1;1|1"); /* twice as many each round: 1 + 2 + ... + 256 */
    CHECK_STR(step(&rig, 0), "+1 511|");
    CHECK(rig_errors(&rig) == 512);
    feed(&rig, "edges", -1, "1|1"); /* one each round, up to the same bytes */
    CHECK_STR(step(&rig, 0), "+1 1000|; -1 511|");
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "edges", 1, "1|1;1|1"); /* 1 + 3 + ... + 243 */
    CHECK_STR(step(&rig, 0), "-1 1000|; +1 364|");
    feed(&rig, "edges", -1, "1|1;1|1;1|1");
    CHECK_STR(step(&rig, 0), "+1 1|; -1 364|");
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

static void multiplicities_do_not_overflow(void)
{
    struct rig rig;
    rig_open(&rig, tables, 3,
             "CREATE VIEW v AS WITH RECURSIVE r(a) AS (SELECT a FROM t.roots UNION ALL "
             "SELECT e.b FROM r JOIN t.edges e ON e.a = r.a) SELECT count(*) AS n FROM r;",
             "v");
    feed(&rig, "roots", 1, "1");
    feed(&rig, "edges", 1000, "1|1");
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) > 0);
    feed(&rig, "edges", -1000, "1|1");
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) == 0);
    CHECK_STR(net_text(&rig.state[0]), "+1 1|");
    rig_close(&rig);
}

/* ---- random graphs ---- */

#define NODES  7
#define LEVELS 5
enum { V_REACH, V_CLOSURE, V_WALK, V_LEVELS, V_ROUNDS, V_BLOCKED, V_COUNT };
static const char views_sql[] = REACH
    "CREATE VIEW closure AS WITH RECURSIVE c(a, b) AS (SELECT a, b FROM t.edges UNION "
    "SELECT c.a, e.b FROM t.edges e, c WHERE e.a = c.b) SELECT a, b FROM c;"
    "CREATE VIEW walk AS WITH RECURSIVE w(a, n) AS (SELECT a, 0 FROM t.roots UNION ALL "
    "SELECT e.b, w.n + 1 FROM w JOIN t.edges e ON e.a = w.a WHERE w.n < 4) SELECT a, n FROM w;"
    "CREATE VIEW levels AS WITH RECURSIVE w(a, n) AS (SELECT a, 0 FROM t.roots UNION "
    "SELECT e.b, w.n + 1 FROM w JOIN t.edges e ON e.a = w.a WHERE w.n < 4) SELECT a, n FROM w;"
    /* what looks at several rows does so round by round */
    "CREATE VIEW rounds AS WITH RECURSIVE w(a, n) AS (SELECT a, 0::bigint FROM t.roots UNION ALL "
    "SELECT b, r FROM (SELECT DISTINCT e.b, w.n, row_number() OVER (ORDER BY w.n, e.b) + w.n AS r "
    "FROM w JOIN t.edges e ON e.a = w.a WHERE w.n < 4) s) SELECT a, n FROM w;"
    /* roots that are not reached block the way: the inner table changes together with the outer one */
    "CREATE VIEW blocked AS WITH RECURSIVE r(a) AS (SELECT a FROM t.roots WHERE a < 3 UNION "
    "SELECT e.b FROM r JOIN t.edges e ON e.a = r.a WHERE NOT EXISTS (SELECT FROM t.roots x WHERE x.a = e.b "
    "AND x.a >= 3) AND (SELECT count(*) FROM t.edges y WHERE y.a > r.a) > 0) SELECT a FROM r;";

struct graph_model {
    int64_t edges[NODES][NODES], roots[NODES];
};
static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

static void add(struct net *n, int64_t weight, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(struct net *n, int64_t weight, const char *fmt, ...)
{
    char text[64];
    va_list args;
    if (!weight)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    net_add(n, text, weight);
}

/* may[a][b]: the edge may be taken */
static void spread(bool seen[NODES], bool may[NODES][NODES])
{
    for (int turn = 0; turn < NODES; turn++)
        for (int a = 0; a < NODES; a++)
            for (int b = 0; b < NODES; b++)
                seen[b] |= seen[a] && may[a][b];
}

static void model_reach(const struct graph_model *m, struct net *out)
{
    bool seen[NODES], may[NODES][NODES];
    for (int a = 0; a < NODES; a++) {
        seen[a] = m->roots[a] > 0;
        for (int b = 0; b < NODES; b++)
            may[a][b] = m->edges[a][b] > 0;
    }
    spread(seen, may);
    for (int a = 0; a < NODES; a++)
        add(out, seen[a], "%d|", a);
}

static void model_closure(const struct graph_model *m, struct net *out)
{
    for (int from = 0; from < NODES; from++) {
        bool seen[NODES], may[NODES][NODES];
        for (int a = 0; a < NODES; a++) {
            seen[a] = m->edges[from][a] > 0;
            for (int b = 0; b < NODES; b++)
                may[a][b] = m->edges[a][b] > 0;
        }
        spread(seen, may);
        for (int a = 0; a < NODES; a++)
            add(out, seen[a], "%d|%d|", from, a);
    }
}

static void model_walk(const struct graph_model *m, bool distinct, struct net *out)
{
    int64_t count[LEVELS + 1][NODES] = {{0}};
    memcpy(count[0], m->roots, sizeof count[0]);
    for (int n = 0; n < LEVELS; n++)
        for (int a = 0; a < NODES; a++) {
            count[n][a] = distinct ? count[n][a] > 0 : count[n][a];
            add(out, count[n][a], "%d|%d|", a, n);
            for (int b = 0; b < NODES && n + 1 < LEVELS; b++)
                count[n + 1][b] += count[n][a] * m->edges[a][b];
        }
}

struct found { /* a row of the view "rounds" */
    int a, n;
};
static int found_order(const void *x, const void *y)
{
    const struct found *p = x, *q = y;
    return p->n != q->n ? p->n - q->n : p->a - q->a;
}

static void model_rounds(const struct graph_model *m, struct net *out)
{
    static struct found now[200000], next[200000];
    int count = 0;
    for (int a = 0; a < NODES; a++)
        for (int64_t k = 0; k < m->roots[a]; k++)
            now[count++] = (struct found){a, 0};
    while (count) {
        int more = 0, kept = 0;
        for (int i = 0; i < count; i++) {
            add(out, 1, "%d|%d|", now[i].a, now[i].n);
            for (int b = 0; b < NODES && now[i].n < 4; b++)
                for (int64_t k = 0; k < m->edges[now[i].a][b]; k++)
                    next[more++] = (struct found){b, now[i].n};
        }
        qsort(next, (size_t)more, sizeof *next, found_order);
        for (int i = 0; i < more; i++) /* row numbers make them distinct */
            now[kept++] = (struct found){next[i].a, next[i].n + i + 1};
        count = kept;
    }
}

static void model_blocked(const struct graph_model *m, struct net *out)
{
    bool seen[NODES], may[NODES][NODES];
    for (int a = 0; a < NODES; a++) {
        int64_t above = 0;
        for (int x = a + 1; x < NODES; x++)
            for (int b = 0; b < NODES; b++)
                above += m->edges[x][b];
        seen[a] = a < 3 && m->roots[a] > 0;
        for (int b = 0; b < NODES; b++)
            may[a][b] = m->edges[a][b] > 0 && !(b >= 3 && m->roots[b] > 0) && above > 0;
    }
    spread(seen, may);
    for (int a = 0; a < NODES; a++)
        add(out, seen[a], "%d|", a);
}

static void compare(struct rig *rig, const struct graph_model *m, uint64_t seed, int epoch)
{
    struct net want[V_COUNT] = {{0}};
    model_reach(m, &want[V_REACH]);
    model_closure(m, &want[V_CLOSURE]);
    model_walk(m, false, &want[V_WALK]);
    model_walk(m, true, &want[V_LEVELS]);
    model_rounds(m, &want[V_ROUNDS]);
    model_blocked(m, &want[V_BLOCKED]);
    for (int v = 0; v < V_COUNT; v++) {
        const char *a = net_text(&rig->state[v]), *b = net_text(&want[v]);
        if (strcmp(a, b) != 0)
            printf("# seed %llu, epoch %d, view %s\n", (unsigned long long)seed, epoch,
                   rig->plan->views[v]->name);
        CHECK_STR(a, b);
        net_clear(&want[v]);
    }
}

/* Some changes; rows may be gone before they come, within an epoch. */
static void change_some(struct rig *rig, struct graph_model *m)
{
    char line[32];
    for (uint32_t i = 0, n = 1 + rnd(6); i < n; i++) {
        uint32_t a = rnd(NODES), b = rnd(NODES);
        bool root = rnd(5) == 0;
        int64_t *count = root ? &m->roots[a] : &m->edges[a][b];
        int64_t weight = *count ? -*count : rnd(8) ? 1 : 2, detour = rnd(3);
        snprintf(line, sizeof line, root ? "%u" : "%u|%u", a, b);
        if (detour)
            feed(rig, root ? "roots" : "edges", -detour, line);
        feed(rig, root ? "roots" : "edges", weight + detour, line);
        *count += weight;
    }
}

static void random_graph(uint64_t seed, int epochs)
{
    struct rig rig;
    struct graph_model m = {{{0}}, {0}};
    random_state = seed;
    rig_open(&rig, tables, 3, views_sql, "reach,closure,walk,levels,rounds,blocked");
    for (int i = 0; i < epochs; i++) {
        change_some(&rig, &m);
        rig_end_epoch(&rig);
        compare(&rig, &m, seed, i);
        rig_begin(&rig);
    }
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

static void random_graphs(void)
{
    for (uint64_t seed = 1; seed <= 30; seed++)
        random_graph(seed, 60);
}

int main(void)
{
    RUN(a_cycle_without_support_dies);
    RUN(a_shorter_way_says_nothing);
    RUN(union_all_multiplies);
    RUN(equal_numbers_look_like_the_smallest);
    RUN(a_change_costs_what_it_changes);
    RUN(rounds_end_at_the_limit);
    RUN(the_last_round_is_not_cut_off);
    RUN(a_flood_is_cut_off_and_heals);
    RUN(multiplicities_do_not_overflow);
    RUN(random_graphs);
    TEST_END();
}
