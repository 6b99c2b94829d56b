/* Error rows of operators: what is listed and under which identity, the limits of the list and what is past them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

#include "ops/op_errors.h"

static struct column l_columns[] = {
    {"k", {T_INT4, -1}, false, NULL}, {"x", {T_INT4, -1}, false, NULL}, {"s", {T_TEXT, -1}, false, NULL}};
static struct column r_columns[] = {{"k", {T_INT4, -1}, false, NULL}, {"y", {T_INT4, -1}, false, NULL}};
static const struct table_def tables[] = {{"t", "l", {3, l_columns}, 0, NULL, 0, .table_index = 0},
                                          {"t", "r", {2, r_columns}, 0, NULL, 0, .table_index = 1}};

static void open_rig(struct rig *rig, const char *query)
{
    char *sql = xprintf("CREATE VIEW v AS %s;", query);
    rig_open(rig, tables, 2, sql, "v");
    free(sql);
}

static const struct error_list *list(const struct rig *rig)
{
    for (uint32_t i = 0; i < rig->graph->op_count; i++)
        if (rig->graph->ops[i].errors)
            return rig->graph->ops[i].errors;
    return NULL;
}

/* "3 {...}" of every entry, in their order. */
static const char *listed(const struct rig *rig)
{
    static char text[65536];
    size_t n = 0;
    text[0] = 0;
    for (const struct error_entry *e = list(rig) ? list(rig)->first : NULL; e; e = e->after)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%lld %.*s", n ? "; " : "", (long long)e->weight,
                              (int)e->len, (const char *)e->json);
    return text;
}

static void a_row_is_found_again_by_its_bytes(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, 100 / x AS q FROM t.l");
    feed(&rig, "l", 3, "1|0|a\"b");
    feed(&rig, "l", 1, "2|0|-;3|1|c");
    CHECK_STR(step(&rig, 0), "+1 3|100|");
#define CAUSE                                                                    \
    "\"expression\":\"100 / x\",\"file\":\"test.sql\",\"line\":1,\"column\":32," \
    "\"sqlstate\":\"22012\",\"message\":\"division by zero\"}"
    CHECK_STR(listed(&rig), "3 {\"row\":{\"k\":\"1\",\"x\":\"0\",\"s\":\"a\\\"b\"}," CAUSE
                            "; 1 {\"row\":{\"k\":\"2\",\"x\":\"0\",\"s\":null}," CAUSE);
    feed(&rig, "l", -2, "1|0|a\"b");
    feed(&rig, "l", -1, "2|0|-");
    (void)step(&rig, 0);
    CHECK_STR(listed(&rig), "1 {\"row\":{\"k\":\"1\",\"x\":\"0\",\"s\":\"a\\\"b\"}," CAUSE);
    CHECK(rig_errors(&rig) == 1);
    feed(&rig, "l", -1, "1|0|a\"b");
    (void)step(&rig, 0);
    CHECK_STR(listed(&rig), "");
    rig_close(&rig);
}

/* The first part that fails, as PostgreSQL evaluates; AND stops before the second. */
static void the_cause_is_the_first_part_that_fails(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k FROM t.l WHERE CAST(s AS int4) + 1 / x > 0 AND 2147483647 + x > 0");
    feed(&rig, "l", 1, "1|0|z");
    (void)step(&rig, 0);
    CHECK(strstr(listed(&rig), "\"sqlstate\":\"22P02\",\"message\":\"invalid input syntax for type integer: "
                               "\\\"z\\\"\"") != NULL);
    feed(&rig, "l", -1, "1|0|z");
    feed(&rig, "l", 1, "1|5|1");
    (void)step(&rig, 0);
    CHECK(strstr(listed(&rig), "\"sqlstate\":\"22003\",\"message\":\"integer out of range\""));
    CHECK(rig_errors(&rig) == 1);
    rig_close(&rig);
}

static void a_batch_of_good_and_bad_rows(void)
{
    struct rig rig;
    struct buf lines = {0};
    open_rig(&rig, "SELECT k, s || '!' AS s, 100 / x AS q FROM t.l WHERE 1000 / (x + k) > 0");
    for (int i = 0; i < 900; i++)
        buf_printf(&lines, "%s%d|%d|text-%d", i ? ";" : "", i % 3 ? 1 : 0, i % 2, i);
    buf_put_u8(&lines, 0);
    feed(&rig, "l", 1, (const char *)lines.p);
    rig_end_epoch(&rig);
    CHECK(rig.emitted == 450); /* x = 1 */
    CHECK(rig_errors(&rig) == 450);
    for (uint32_t i = 0; i < rig.change[0].count; i++) {
        int k, n, q;
        CHECK(sscanf(rig.change[0].lines[i].text, "%d|text-%d!|%d|", &k, &n, &q) == 3 && n % 2 == 1 &&
              q == 100);
    }
    rig_begin(&rig);
    feed(&rig, "l", -1, (const char *)lines.p);
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) == 0 && !list(&rig)->first && rig.state[0].count == 0);
    buf_fini(&lines);
    rig_close(&rig);
}

static void the_list_ends_at_its_limit_and_fills_up_again(void)
{
    struct rig rig;
    char line[64];
    open_rig(&rig, "SELECT k, 1 / x AS q FROM t.l");
    int most = (int)rig.graph->env.error_rows * ERROR_ROWS_SPARE;
    CHECK(most == ERROR_ROWS_DEFAULT * ERROR_ROWS_SPARE);
    for (int i = 0; i < most; i++) {
        snprintf(line, sizeof line, "%d|0|-", i);
        feed(&rig, "l", 1, line);
    }
    (void)step(&rig, 0);
    CHECK(list(&rig)->entries.count == (size_t)most);
    feed(&rig, "l", 1, "-1|0|-"); /* one past it: counted alone */
    (void)step(&rig, 0);
    CHECK(list(&rig)->entries.count == (size_t)most && rig_errors(&rig) == most + 1);
    feed(&rig, "l", -1, "-1|0|-");
    feed(&rig, "l", -1, "0|0|-");
    feed(&rig, "l", 1, "-2|0|-"); /* takes the free place */
    (void)step(&rig, 0);
    CHECK(list(&rig)->entries.count == (size_t)most && rig_errors(&rig) == most);
    CHECK(strstr((const char *)list(&rig)->last->json, "{\"row\":{\"k\":\"-2\"") != NULL);
    CHECK(strstr((const char *)list(&rig)->first->json, "{\"row\":{\"k\":\"1\"") != NULL);
    rig_close(&rig);
}

static void long_values_and_rows_are_cut(void)
{
    struct rig rig;
    char value[ERROR_VALUE_BYTES_MAX + 2], line[sizeof value + 16];
    open_rig(&rig, "SELECT k, 1 / x AS q FROM t.l");
    for (size_t n = ERROR_VALUE_BYTES_MAX; n <= ERROR_VALUE_BYTES_MAX + 1; n++) {
        memset(value, 'v', n);
        value[n] = 0;
        snprintf(line, sizeof line, "1|0|%s", value);
        feed(&rig, "l", 1, line);
        (void)step(&rig, 0);
        value[ERROR_VALUE_BYTES_MAX] = 0;
        char *want = xprintf("\"s\":\"%s%s\"", value, n > ERROR_VALUE_BYTES_MAX ? "…" : "");
        CHECK(strstr(listed(&rig), want) != NULL);
        CHECK(!strstr(listed(&rig), "columns_left_out"));
        free(want);
        feed(&rig, "l", -1, line);
    }
    rig_close(&rig);
    struct buf sql = {0};
    buf_put_str(&sql, "SELECT 1 / (x + count(*) - 1) AS q FROM t.l GROUP BY x");
    for (int i = 0; i < 15; i++)
        buf_printf(&sql, ", rpad(s, %d, 'x')", 150 + i);
    buf_put_u8(&sql, 0);
    open_rig(&rig, (const char *)sql.p);
    feed(&rig, "l", 1, "1|0|abc");
    (void)step(&rig, 0);
    CHECK(strstr(listed(&rig), "},\"columns_left_out\":") != NULL &&
          list(&rig)->first->len < 2 * ERROR_ROW_BYTES_MAX);
    buf_fini(&sql);
    rig_close(&rig);
}

static void both_sides_of_a_join_are_told_apart(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT l.x, r.y FROM t.l LEFT JOIN t.r ON l.k = r.k AND l.x / r.y > 1");
    feed(&rig, "l", 2, "1|10|-");
    feed(&rig, "r", 3, "1|0|");
    (void)step(&rig, 0);
    CHECK(strncmp(listed(&rig), "6 {\"row\":{", 10) == 0 &&
          strstr(listed(&rig), "\"k\":\"1\",\"x\":\"10\"") != NULL);
    CHECK(strstr(listed(&rig), "\"k#2\":\"1\",\"y\":\"0\"},\"expression\":\"x / y\"") != NULL);
    rig_close(&rig);
}

/* A group is one row, named by its key; it may go on failing for another cause. */
static void a_group_stands_for_its_rows(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT s, sum(CAST(x AS float8) * 1e300) AS a, sum(CAST(k AS float8) * 1e300) AS b FROM "
                   "t.l GROUP BY s");
    feed(&rig, "l", 1, "1|100000000|g;1|100000000|g");
    CHECK_STR(step(&rig, 0), "");
    CHECK(strstr(listed(&rig), "1 {\"row\":{\"s\":\"g\"},\"expression\":\"sum(") && rig_errors(&rig) == 1);
    const char *column = strstr(listed(&rig), "\"column\":28,");
    CHECK(column != NULL);
    feed(&rig, "l", -1, "1|100000000|g;1|100000000|g");
    feed(&rig, "l", 1, "100000000|1|g;100000000|1|g");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 1 && !strstr(listed(&rig), "\"column\":28,"));
    feed(&rig, "l", -1, "100000000|1|g;100000000|1|g");
    CHECK_STR(step(&rig, 0), "");
    CHECK(rig_errors(&rig) == 0);
    CHECK_STR(listed(&rig), "");
    rig_close(&rig);
}

static void a_set_returning_function_fails_for_a_row(void)
{
    struct rig rig;
    open_rig(&rig, "SELECT k, g FROM t.l, generate_series(1, 2, x) g");
    feed(&rig, "l", 2, "1|0|-");
    feed(&rig, "l", 1, "2|1|-");
    CHECK_STR(step(&rig, 0), "+1 2|1|; +1 2|2|");
    CHECK(strncmp(listed(&rig), "2 {\"row\":{", 10) == 0 && strstr(listed(&rig), "\"k\":\"1\"") != NULL);
    CHECK(strstr(listed(&rig), "\"expression\":\"generate_series(") &&
          strstr(listed(&rig), "\"sqlstate\":\"22023\",\"message\":\"step size cannot equal zero\"}"));
    feed(&rig, "l", -2, "1|0|-");
    (void)step(&rig, 0);
    CHECK(rig_errors(&rig) == 0);
    CHECK_STR(listed(&rig), "");
    rig_close(&rig);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(a_row_is_found_again_by_its_bytes);
    RUN(the_cause_is_the_first_part_that_fails);
    RUN(a_batch_of_good_and_bad_rows);
    RUN(the_list_ends_at_its_limit_and_fills_up_again);
    RUN(long_values_and_rows_are_cut);
    RUN(both_sides_of_a_join_are_told_apart);
    RUN(a_set_returning_function_fails_for_a_row);
    RUN(a_group_stands_for_its_rows);
    TEST_END();
}
