/* Operators against a recomputation in plain C: random weighted deltas, out of order within an epoch (so that weights are
 * negative for a while), all kinds of join, aggregates, DISTINCT and UNION ALL. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

static struct column l_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"x", {T_INT4, -1}, false, NULL}};
static struct column r_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"y", {T_INT4, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {2, l_columns}, 0, NULL, 0, .table_index = 0},
                                          {"t", "r", {2, r_columns}, 0, NULL, 0, .table_index = 1}};

#define KEYS   4 /* KEYS - 1 stands for NULL */
#define VALUES 5 /* likewise */
struct model {   /* weight of each possible row */
    int64_t l[KEYS][VALUES], r[KEYS][VALUES];
};
static uint64_t random_state;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

static const char *num(uint32_t v, uint32_t null)
{
    static char text[8][16];
    static unsigned turn;
    char *out = text[turn++ % 8];
    if (v == null)
        return "-";
    snprintf(out, 16, "%u", v);
    return out;
}
#define K(v) num(v, KEYS - 1)
#define V(v) num(v, VALUES - 1)

static void add(struct net *n, int64_t weight, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(struct net *n, int64_t weight, const char *fmt, ...)
{
    char text[128];
    va_list args;
    if (!weight)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    net_add(n, text, weight);
}

/* ---- joins ---- */

static bool matches(bool residual, uint32_t k, uint32_t x, uint32_t k2, uint32_t y)
{
    if (k == KEYS - 1 || k != k2)
        return false;
    return !residual || (x != VALUES - 1 && y != VALUES - 1 && x < y);
}

static void model_join(const struct model *m, bool residual, bool left, bool right, struct net *out)
{
    int64_t partners_r[KEYS][VALUES] = {0};
    for (uint32_t k = 0; k < KEYS; k++)
        for (uint32_t x = 0; x < VALUES; x++) {
            int64_t partners = 0;
            for (uint32_t k2 = 0; k2 < KEYS; k2++)
                for (uint32_t y = 0; y < VALUES; y++) {
                    if (!matches(residual, k, x, k2, y))
                        continue;
                    partners += m->r[k2][y];
                    partners_r[k2][y] += m->l[k][x];
                    add(out, m->l[k][x] * m->r[k2][y], "%s|%s|%s|%s|", K(k), V(x), K(k2), V(y));
                }
            if (left && !partners)
                add(out, m->l[k][x], "%s|%s|-|-|", K(k), V(x));
        }
    for (uint32_t k = 0; right && k < KEYS; k++)
        for (uint32_t y = 0; y < VALUES; y++)
            if (!partners_r[k][y])
                add(out, m->r[k][y], "-|-|%s|%s|", K(k), V(y));
}

/* ---- aggregates ---- */

struct group_of {
    int64_t n, count, sum, filtered;
    uint32_t lo, hi, distinct;
};
static struct group_of summary(const int64_t *weight)
{
    struct group_of g = {.lo = VALUES - 1, .hi = VALUES - 1};
    for (uint32_t x = 0; x < VALUES; x++) {
        g.n += weight[x];
        if (x == VALUES - 1 || !weight[x])
            continue;
        g.count += weight[x];
        g.sum += weight[x] * x;
        g.filtered += x > 1 ? weight[x] : 0;
        g.lo = g.lo == VALUES - 1 ? x : g.lo;
        g.hi = x;
        g.distinct++;
    }
    return g;
}

/* string_agg(DISTINCT x ORDER BY x DESC), percentile_disc(0.5), mode() in descending order, whether json_agg has every
 * row. */
static void walked_text(const int64_t *weight, const struct group_of *g, char text[64])
{
    char texts[32] = "", *at = texts;
    uint32_t middle = VALUES - 1, mode = VALUES - 1;
    int64_t seen = 0;
    for (uint32_t x = 0; x < VALUES - 1; x++) {
        if (middle == VALUES - 1 && weight[x] && (seen + weight[x]) * 2 >= g->count)
            middle = x;
        seen += weight[x];
    }
    for (uint32_t x = VALUES - 1; x-- > 0;) {
        if (!weight[x])
            continue;
        at += snprintf(at, 8, at == texts ? "%u" : ",%u", (unsigned)x);
        if (mode == VALUES - 1 || weight[x] > weight[mode])
            mode = x;
    }
    snprintf(text, 64, "%s|%s|%s|%s|", at == texts ? "-" : texts, V(middle), V(mode), g->n ? "1" : "-");
}

static void add_group(struct net *out, const char *key, const int64_t *weight, const struct group_of *g)
{
    char sum[24] = "-", walked[64];
    if (g->count)
        snprintf(sum, sizeof sum, "%lld", (long long)g->sum);
    walked_text(weight, g, walked);
    add(out, 1, "%s%lld|%lld|%s|%s|%s|%u|%lld|%s", key, (long long)g->n, (long long)g->count, sum, V(g->lo),
        V(g->hi), g->distinct, (long long)g->filtered, walked);
}

static void model_groups(const struct model *m, struct net *out)
{
    for (uint32_t k = 0; k < KEYS; k++) {
        struct group_of g = summary(m->l[k]);
        char key[16];
        snprintf(key, sizeof key, "%s|", K(k));
        if (g.n)
            add_group(out, key, m->l[k], &g);
    }
}

static void model_total(const struct model *m, struct net *out)
{
    int64_t weight[VALUES] = {0};
    for (uint32_t k = 0; k < KEYS; k++)
        for (uint32_t x = 0; x < VALUES; x++)
            weight[x] += m->l[k][x];
    struct group_of g = summary(weight);
    add_group(out, "", weight, &g);
}

static void model_bag(const struct model *m, bool distinct, struct net *out)
{
    for (uint32_t k = 0; k < KEYS; k++)
        for (uint32_t x = 0; x < VALUES; x++) {
            int64_t weight = m->l[k][x] + m->r[k][x];
            add(out, distinct ? weight > 0 : weight, "%s|%s|", K(k), V(x));
        }
}

/* ---- subqueries ---- */

#define NO_VALUE (VALUES - 1)
enum { SEMI = 12, ANTI, LESS_THAN_ANY, IN_NULL_SAFE, COUNT_BELOW };

static int in_null_safe(const struct model *m, uint32_t k, uint32_t x)
{
    int64_t rows = 0, nulls = m->r[k][NO_VALUE];
    for (uint32_t y = 0; y < VALUES; y++)
        rows += m->r[k][y];
    if (x != NO_VALUE && m->r[k][x])
        return 1;
    return rows && (x == NO_VALUE || nulls) ? -1 : 0;
}

static int less_than_any(const struct model *m, uint32_t k, uint32_t x)
{
    int answer = 0;
    for (uint32_t y = 0; y < VALUES && k != KEYS - 1; y++) {
        if (!m->r[k][y])
            continue;
        if (x == NO_VALUE || y == NO_VALUE)
            answer = answer ? answer : -1;
        else if (x < y)
            answer = 1;
    }
    return answer;
}

static int64_t count_below(const struct model *m, uint32_t x)
{
    int64_t n = 0;
    for (uint32_t k = 0; k < KEYS; k++)
        for (uint32_t y = 0; y < x && x != NO_VALUE; y++)
            n += m->r[k][y];
    return n;
}

static void model_subquery(const struct model *m, uint32_t query, struct net *out)
{
    for (uint32_t k = 0; k < KEYS; k++)
        for (uint32_t x = 0; x < VALUES; x++) {
            bool some = less_than_any(m, k, x) > 0;
            int mark = query == IN_NULL_SAFE ? in_null_safe(m, k, x) : less_than_any(m, k, x);
            if (query == SEMI || query == ANTI)
                add(out, some == (query == SEMI) ? m->l[k][x] : 0, "%s|%s|", K(k), V(x));
            else if (query == COUNT_BELOW)
                add(out, m->l[k][x], "%s|%s|%lld|", K(k), V(x), (long long)count_below(m, x));
            else
                add(out, m->l[k][x], "%s|%s|%s|", K(k), V(x), mark < 0 ? "-" : mark ? "1" : "0");
        }
}

#define AGGREGATES                                                                                      \
    "count(*) AS n, count(x) AS c, sum(x) AS s, min(x) AS lo, max(x) AS hi,"                            \
    " count(DISTINCT x) AS d, count(*) FILTER (WHERE x > 1) AS f,"                                      \
    " string_agg(DISTINCT CAST(x AS text), ',' ORDER BY CAST(x AS text) DESC) AS t,"                    \
    " percentile_disc(0.5) WITHIN GROUP (ORDER BY x) AS p, mode() WITHIN GROUP (ORDER BY x DESC) AS m," \
    " CAST(json_array_length(json_agg(x ORDER BY k, x)) = count(*) AS int) AS j FROM t.l"
#define PAIRS "SELECT l.k, l.x, r.k AS k2, r.y FROM t.l "
static const char *const queries[] = {
    PAIRS "JOIN t.r ON l.k = r.k",
    PAIRS "LEFT JOIN t.r ON l.k = r.k",
    PAIRS "RIGHT JOIN t.r ON l.k = r.k",
    PAIRS "FULL JOIN t.r ON l.k = r.k",
    PAIRS "JOIN t.r ON l.k = r.k AND l.x < r.y",
    PAIRS "LEFT JOIN t.r ON l.k = r.k AND l.x < r.y",
    PAIRS "RIGHT JOIN t.r ON l.k = r.k AND l.x < r.y",
    PAIRS "FULL JOIN t.r ON l.k = r.k AND l.x < r.y",
    "SELECT k, " AGGREGATES " GROUP BY k",
    "SELECT " AGGREGATES,
    "SELECT k, x FROM t.l UNION ALL SELECT k, y FROM t.r",
    "SELECT DISTINCT k, x FROM (SELECT k, x FROM t.l UNION ALL SELECT k, y FROM t.r) u",
    "SELECT k, x FROM t.l WHERE EXISTS (SELECT 1 FROM t.r WHERE r.k = l.k AND l.x < r.y)",
    "SELECT k, x FROM t.l WHERE NOT EXISTS (SELECT 1 FROM t.r WHERE r.k = l.k AND l.x < r.y)",
    "SELECT k, x, CAST(x < ANY (SELECT y FROM t.r WHERE r.k = l.k) AS int) AS m FROM t.l",
    "SELECT k, x, CAST(x IN (SELECT y FROM t.r WHERE r.k IS NOT DISTINCT FROM l.k) AS int) AS m FROM t.l",
    "SELECT k, x, (SELECT count(*) FROM t.r WHERE r.y < l.x) AS n FROM t.l"};

static void model(const struct model *m, uint32_t query, struct net *out)
{
    if (query < 8)
        model_join(m, query >= 4, query % 4 & 1, query % 4 & 2, out);
    else if (query == 8)
        model_groups(m, out);
    else if (query == 9)
        model_total(m, out);
    else if (query < SEMI)
        model_bag(m, query == 11, out);
    else
        model_subquery(m, query, out);
}

/* ---- changes ---- */

struct change {
    bool right;
    uint32_t k, x;
    int64_t weight;
};

/* A legal epoch, in any order: the sum of an epoch never leaves less than nothing. */
static uint32_t make_changes(struct model *m, struct change *changes)
{
    uint32_t n = rnd(12) + 1;
    for (uint32_t i = 0; i < n; i++) {
        struct change *c = &changes[i];
        *c = (struct change){rnd(2), rnd(KEYS), rnd(VALUES), rnd(3) + 1};
        int64_t *weight = c->right ? &m->r[c->k][c->x] : &m->l[c->k][c->x];
        if (rnd(5) < 3)
            c->weight = -(*weight < c->weight ? *weight : c->weight);
        *weight += c->weight;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t j = rnd(n);
        struct change swap = changes[i];
        changes[i] = changes[j];
        changes[j] = swap;
    }
    return n;
}

static bool run(uint32_t query, uint64_t seed)
{
    struct rig rig;
    struct model m = {0};
    struct change changes[16];
    struct net want = {0};
    char *sql = xprintf("CREATE VIEW v AS %s;", queries[query]), line[64];
    bool same = true;
    random_state = seed;
    rig_open(&rig, tables, 2, sql, "v");
    for (int e = 0; e < 60 && same; e++) {
        uint32_t n = make_changes(&m, changes);
        for (uint32_t i = 0; i < n; i++) {
            snprintf(line, sizeof line, "%s|%s", K(changes[i].k), V(changes[i].x));
            if (changes[i].weight)
                feed(&rig, changes[i].right ? "r" : "l", changes[i].weight, line);
        }
        (void)step(&rig, 0);
        model(&m, query, &want);
        same = strcmp(net_text(&rig.state[0]), net_text(&want)) == 0;
        if (!same)
            printf("# %s\n# seed %llu epoch %d\n# got  %s\n# want %s\n", sql, (unsigned long long)seed, e,
                   net_text(&rig.state[0]), net_text(&want));
        net_clear(&want);
    }
    CHECK(same);
    rig_close(&rig);
    free(sql);
    return same;
}

static void random_weighted_deltas_agree_with_recomputation(void)
{
    for (uint32_t q = 0; q < ARRAY_COUNT(queries); q++)
        for (uint64_t seed = 1; seed <= 12 && run(q, seed * 7919); seed++)
            ;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(random_weighted_deltas_agree_with_recomputation);
    TEST_END();
}
