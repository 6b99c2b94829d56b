/* Comparisons with now(): after every move of the clock and every change of rows, each view holds what the same query
 * with the time written in its place gives; and the clock is due exactly when something changes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

#include "types/datetime_impl.h"

static struct column columns[] = {{"k", {T_INT4, -1}, false, NULL},
                                  {"at", {T_TIMESTAMPTZ, -1}, false, NULL},
                                  {"ts", {T_TIMESTAMP, -1}, false, NULL},
                                  {"d", {T_DATE, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {4, columns}, 0, NULL, 0, .table_index = 0}};

#define SECOND INT64_C(1000000)
#define DAY    (86400 * SECOND)

static uint64_t random_state;
static uint64_t rnd(uint64_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 20) % below;
}

/* ---- the model: the time is a constant ---- */

static const char *time_text(enum type_id t, int64_t value)
{
    static struct arena arena;
    static char text[4][64];
    static unsigned turn;
    static bool has_arena;
    if (!has_arena)
        arena_init(&arena);
    has_arena = true;
    struct fn_ctx ctx = {.arena = &arena};
    union val v = {.i = value};
    struct str s = type_output(&ctx, t, &v);
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0], "%.*s", (int)s.len, (const char *)s.p);
    arena_reset(&arena);
    return out;
}

/* A view of the query with $ replaced. */
static char *with_time(const char *query, const char *time)
{
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    fputs("CREATE VIEW v AS ", f);
    for (; *query; query++)
        if (*query == '$')
            fputs(time, f);
        else
            fputc(*query, f);
    fclose(f);
    return out;
}

#define LINES_MAX 2000
static char *lines[LINES_MAX];
static uint32_t line_count;

static void model(const char *query, int64_t clock, char **out)
{
    struct rig rig;
    char now[128];
    snprintf(now, sizeof now, "timestamptz '%s'",
             time_text(T_TIMESTAMPTZ, clock - UNIX_TO_PG_SECS * 1000000));
    char *sql = with_time(query, now);
    rig_open(&rig, tables, 1, sql, "v");
    for (uint32_t i = 0; i < line_count; i++)
        feed(&rig, "l", 1, lines[i]);
    rig_end_epoch(&rig);
    *out = xstrdup(net_text(&rig.state[0]));
    rig_close(&rig);
    free(sql);
}

/* ---- random rows and clocks ---- */

static const char *const queries[] = {
    "WITH RECURSIVE r(k, n) AS (SELECT k, 0 FROM t.l WHERE at < $ UNION SELECT l.k + r.k, n + 1 FROM r JOIN "
    "t.l l "
    "ON l.at > $ - interval '2 hours' AND l.k = r.n WHERE n < 3) SELECT k, n FROM r",
    "WITH RECURSIVE r(k, at) AS (SELECT k, at FROM t.l UNION ALL SELECT k, at + interval '6 hours' FROM r "
    "WHERE at < $ - interval '30 minutes') SELECT k, at FROM r",
    "SELECT k, at FROM t.l WHERE at > $ - interval '1 hour'",
    "SELECT k, at FROM t.l WHERE at >= $ AND at < $ + interval '90 minutes'",
    "SELECT k FROM t.l WHERE $ - at <= interval '1 day 2 hours'",
    "SELECT k FROM t.l WHERE at - $ > interval '-30 minutes'",
    "SELECT k, d FROM t.l WHERE d = ($)::date",
    "SELECT k, d FROM t.l WHERE d <> ($)::date OR d IS NULL",
    "SELECT k, d FROM t.l WHERE ($)::date - d < 2",
    "SELECT k, d FROM t.l WHERE d >= ($)::timestamp",
    "SELECT k, ts FROM t.l WHERE ts <= $",
    "SELECT k, at FROM t.l WHERE at > $ - interval '1 month'",
    "SELECT k, at FROM t.l WHERE at <= $ + interval '1 month' - interval '1 day'",
    "SELECT k, ts FROM t.l WHERE ts < $ AT TIME ZONE 'Europe/Berlin'",
    "SELECT k, ts FROM t.l WHERE ts = date_trunc('hour', $ AT TIME ZONE 'America/St_Johns')",
    "SELECT k, date_trunc('day', at) = date_trunc('day', $) AS today FROM t.l",
    "SELECT k, count(*) FILTER (WHERE at < $) AS past, count(*) FILTER (WHERE NOT at < $ - interval '2 "
    "hours') AS n "
    "FROM t.l GROUP BY k",
    "SELECT k, CASE WHEN at < $ - interval '1 hour' THEN 'late' WHEN at < $ THEN 'due' ELSE 'open' END FROM "
    "t.l",
    "SELECT k FROM t.l WHERE k < 3 OR at > $",
    "SELECT k, at FROM t.l WHERE at BETWEEN $ - interval '10 minutes' AND $ + interval '10 minutes'",
    "SELECT a.k, b.at FROM t.l a JOIN t.l b ON a.k = b.k AND a.at + (b.at - a.at) > $ AND a.d < b.d",
    "SELECT a.k, b.at FROM t.l a LEFT JOIN t.l b ON a.k = b.k AND b.at > $ AND a.at < $",
    "SELECT k FROM t.l a WHERE NOT EXISTS (SELECT FROM t.l b WHERE b.k = a.k AND b.at > $)",
    "SELECT k FROM t.l WHERE $ > '2024-03-31 02:30+00'",
    "SELECT count(*) FROM t.l HAVING $ >= '2024-03-31 00:00+00'",
};

/* Around the end of March 2024: a month's end, and Europe's clocks turn; or the end of October. */
static int64_t random_time(int64_t base)
{
    static const int64_t grains[] = {1, SECOND, 60 * SECOND, 900 * SECOND, 3600 * SECOND, DAY};
    int64_t grain = grains[rnd(6)], span = rnd(3) ? DAY / 4 : 40 * DAY;
    int64_t t = base + (int64_t)rnd((uint64_t)(2 * span)) - span;
    return t / grain * grain;
}

static void random_line(char *out, size_t size_bytes, int64_t base)
{
    const char *at = rnd(20) ? time_text(T_TIMESTAMPTZ, random_time(base)) : rnd(3) ? "-" : "infinity";
    const char *ts = rnd(20) ? time_text(T_TIMESTAMP, random_time(base)) : "-infinity";
    int64_t day = random_time(base) / DAY;
    snprintf(out, size_bytes, "%d|%s|%s|%s", (int)rnd(6), at, ts, rnd(20) ? time_text(T_DATE, day) : "-");
}

static void change_rows(struct rig *rig, int64_t base)
{
    for (uint64_t n = rnd(8); n > 0; n--) {
        if (line_count && rnd(3) == 0) {
            uint32_t i = (uint32_t)rnd(line_count);
            feed(rig, "l", -1, lines[i]);
            free(lines[i]);
            lines[i] = lines[--line_count];
        } else if (line_count < LINES_MAX) {
            char line[200];
            random_line(line, sizeof line, base);
            feed(rig, "l", 1, line);
            lines[line_count++] = xstrdup(line);
        }
    }
}

static int64_t next_clock(int64_t clock, int64_t due)
{
    static const int64_t spans[] = {1000, SECOND, 600 * SECOND, 7200 * SECOND, DAY, 3 * DAY};
    uint64_t what = rnd(10);
    if (what < 4 && due != INT64_MAX && due < clock + 100 * DAY)
        return what == 0 && due - 1 > clock ? due - 1 : due;
    return clock + 1 + (int64_t)rnd((uint64_t)spans[rnd(6)]);
}

static void run(const char *query, int64_t base, uint64_t seed)
{
    struct rig rig;
    random_state = seed;
    char *sql = with_time(query, "now()");
    rig_open(&rig, tables, 1, sql, "v");
    int64_t clock = base - DAY + (int64_t)rnd(DAY), due = 0;
    for (int i = 0; i < 40; i++) {
        bool quiet = rnd(3) == 0; /* only the clock moves */
        int64_t to = i ? next_clock(clock, due) : clock;
        bool steps = false;
        for (uint32_t n = 0; n < rig.plan->node_count; n++)
            steps |= rig.plan->nodes[n]->kind == PLAN_TEMPORAL && rig.plan->nodes[n]->u.temporal.steps_back;
        rig.graph->clock_us = to;
        if (!quiet)
            change_rows(&rig, base - UNIX_TO_PG_SECS * SECOND);
        rig_end_epoch(&rig);
        char *want;
        model(query, to, &want);
        CHECK_STR(net_text(&rig.state[0]), want);
        free(want);
        if (i && quiet && to < due && rig.change[0].count)
            printf("# %s: changed before it was due\n", query);
        CHECK(!(i && quiet && to < due && rig.change[0].count));
        /* something changes, unless a condition above hides it or the value may step back */
        if (i && quiet && to == due && !steps && strstr(query, "at > $ - interval '1 hour'"))
            CHECK(rig.change[0].count > 0 || rig.emitted > 0);
        due = graph_due(rig.graph);
        CHECK(due > to);
        clock = to;
        rig_begin(&rig);
    }
    rig_close(&rig);
    while (line_count)
        free(lines[--line_count]);
    free(sql);
}

static void equal_to_a_written_time(void)
{
    static const int64_t bases[] = {INT64_C(1711846800),
                                    INT64_C(1729990800)}; /* 31 March, 27 October 2024, 01:00 */
    for (uint32_t q = 0; q < ARRAY_COUNT(queries); q++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            int before = test_failed_checks;
            run(queries[q], bases[seed % 2] * SECOND, seed);
            if (test_failed_checks != before)
                printf("# %s, seed %llu\n", queries[q], (unsigned long long)seed);
        }
}

/* What no change can come from any more is not kept. */
static void forgets_what_has_passed(void)
{
    struct rig rig;
    rig_open(&rig, tables, 1, "CREATE VIEW v AS SELECT k FROM t.l WHERE at > now() - interval '1 hour'", "v");
    int64_t clock = INT64_C(1711846800) * SECOND;
    rig.graph->clock_us = clock;
    feed(&rig, "l", 1,
         "1|2024-03-31 00:30:00+00|-|-;2|2024-03-31 00:40:00+00|-|-;3|2023-01-01 00:00:00+00|-|-");
    CHECK_STR(step(&rig, 0), "+1 1|; +1 2|");
    CHECK(graph_due(rig.graph) == clock + 1800 * SECOND);
    size_t full = graph_state_bytes(rig.graph);
    rig.graph->clock_us = clock + 1800 * SECOND;
    CHECK_STR(step(&rig, 0), "-1 1|");
    CHECK(graph_due(rig.graph) == clock + 2400 * SECOND);
    CHECK(graph_state_bytes(rig.graph) < full);
    rig.graph->clock_us = clock + 2400 * SECOND;
    feed(&rig, "l", -1, "1|2024-03-31 00:30:00+00|-|-;3|2023-01-01 00:00:00+00|-|-");
    CHECK_STR(step(&rig, 0), "-1 2|");
    CHECK(graph_due(rig.graph) == INT64_MAX);
    rig.graph->clock_us = clock + 2400 * SECOND;
    feed(&rig, "l", -1, "2|2024-03-31 00:40:00+00|-|-");
    CHECK_STR(step(&rig, 0), "");
    rig_close(&rig);
}

/* A time that its type cannot hold is an error of every row, as it is of PostgreSQL's query. */
static void out_of_range(void)
{
    struct rig rig;
    rig_open(&rig, tables, 1, "CREATE VIEW v AS SELECT k FROM t.l WHERE at > now() + interval '293000 years'",
             "v");
    rig.graph->clock_us = INT64_C(1711846800) * SECOND;
    feed(&rig, "l", 1, "1|2024-03-31 00:30:00+00|-|-");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 1);
    rig.graph->clock_us = INT64_C(1711846800) * SECOND;
    feed(&rig, "l", -1, "1|2024-03-31 00:30:00+00|-|-");
    step(&rig, 0);
    CHECK(rig_errors(&rig) == 0);
    rig_close(&rig);
}

int main(void)
{
    RUN(equal_to_a_written_time);
    RUN(forgets_what_has_passed);
    RUN(out_of_range);
    TEST_END();
}
