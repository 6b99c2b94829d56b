/* Parsing and binding: places of errors, limits, and that one mistake does not hide the next. */
#include "test.h"

#include "plan/golden_read.h"
#include "sql/rel.h"

static const char tables[] = "-- table core.t: id integer not null, a integer, b text; key id\n-- api v\n";

/* Plans `sql` behind one line of tables and one of apis: the first line of sql is line 3. */
static char *plan_text(const char *sql)
{
    struct golden g;
    char *text = xprintf("%s%s", tables, sql);
    golden_init(&g, text);
    char *out = golden_run(&g, "x.sql");
    golden_fini(&g);
    free(text);
    return out;
}

static void check_plan(const char *sql, const char *want)
{
    char *got = plan_text(sql);
    CHECK_STR(got, want);
    free(got);
}

static void places_count_characters(void)
{
    check_plan("CREATE VIEW v AS SELECT 'äöü', nope FROM core.t;\n",
               "x.sql:3:32: column \"nope\" does not exist\n");
    check_plan("CREATE VIEW v AS\n  SELECT 'äöü' FRM core.t;\n",
               "x.sql:4:20: syntax error at or near \"core\"\n");
}

static void a_syntax_error_hides_nothing(void)
{
    check_plan("CREATE VIEW v AS SELEC 1;\nCREATE VIEW w AS SELECT nope FROM core.t;\n/* c */ DROP VIEW w;\n",
               "x.sql:3:18: syntax error at or near \"SELEC\"\n"
               "x.sql:5:9: DROP VIEW is not supported: only CREATE VIEW, CREATE INDEX and COMMENT ON are\n"
               "x.sql:4:25: column \"nope\" does not exist\n");
    check_plan("CREATE VIEW v AS SELECT 'open FROM core.t;\n",
               "x.sql:3:25: unterminated quoted string at or near \"'open FROM core.t; \"\n");
}

static void readers_of_broken_views_stay_quiet(void)
{
    check_plan("CREATE VIEW v AS SELECT nope FROM core.t;\nCREATE VIEW w AS SELECT * FROM v;\nCREATE VIEW x "
               "AS SELECT * FROM w JOIN v ON true;\n",
               "x.sql:3:25: column \"nope\" does not exist\n");
}

/* A view whose expression is n levels deep. */
static char *deep(int n, const char *open, const char *inner, const char *close)
{
    size_t lo = strlen(open), lc = strlen(close);
    char *text = calloc(1, (size_t)n * (lo + lc) + 256), *at = text;
    at += sprintf(at, "CREATE VIEW v AS SELECT ");
    for (int i = 0; i < n; i++, at += lo)
        memcpy(at, open, lo);
    at += sprintf(at, "%s", inner);
    for (int i = 0; i < n; i++, at += lc)
        memcpy(at, close, lc);
    sprintf(at, " AS x FROM core.t;\n");
    return text;
}

static bool plans(const char *sql)
{
    char *got = plan_text(sql);
    bool ok = strncmp(got, "view v", 6) == 0;
    if (!ok && !strstr(got, "nested more than 1000 levels"))
        printf("# %.200s\n", got);
    free(got);
    return ok;
}

static void depth_limit(void)
{
    struct {
        int n;
        bool ok;
        const char *open, *inner, *close;
    } cases[] = {
        /* one level is the query's own, one the column's */
        {998, true, "- ", "a", ""},
        {999, false, "- ", "a", ""},
        {997, true, "NOT ", "id IS NULL", ""},
        {998, false, "NOT ", "id IS NULL", ""},
        {998, true, "coalesce(", "a", ", 1)"},
        {999, false, "coalesce(", "a", ", 1)"},
        {998, true, "", "a", " + 1"},
        {999, false, "", "a", " + 1"},
        {3000, true, "", "a = 1", " AND a = 2"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *sql = deep(cases[i].n, cases[i].open, cases[i].inner, cases[i].close);
        bool ok = plans(sql);
        if (ok != cases[i].ok)
            printf("# case %zu\n", i);
        CHECK(ok == cases[i].ok);
        free(sql);
    }
}

/* A view of VALUES with n rows of one cell. */
static char *many_rows(int n, const char *cell)
{
    size_t len = strlen(cell);
    char *text = calloc(1, (size_t)n * (len + 3) + 64), *at = text;
    at += sprintf(at, "CREATE VIEW v AS VALUES ");
    for (int i = 0; i < n; i++)
        at += sprintf(at, "%s(%s)", i ? "," : "", cell);
    sprintf(at, ";\n");
    return text;
}

static void check_rows(int n, const char *cell, const char *refusal)
{
    char *sql = many_rows(n, cell), *got = plan_text(sql);
    if (refusal)
        CHECK(strstr(got, refusal) != NULL);
    else
        CHECK(strncmp(got, "view v", 6) == 0);
    free(sql);
    free(got);
}

static void values_limits(void)
{
    check_rows(VALUES_ROWS_MAX, "7", NULL);
    check_rows(VALUES_ROWS_MAX + 1, "7", "VALUES can have at most 10000 rows");
    check_rows(VALUES_COMPUTED_MAX, "1 / 0", NULL);
    check_rows(VALUES_COMPUTED_MAX + 1, "1 / 0", "at most 100 rows with expressions that are not constants");
}

static char *many_functions(int n)
{
    struct buf b = {0};
    buf_put_str(&b, "CREATE VIEW v AS SELECT count(*) FROM ROWS FROM (");
    for (int i = 0; i < n; i++)
        buf_printf(&b, "%sabs(%d)", i ? ", " : "", i);
    buf_put_str(&b, ") f;\n");
    buf_put_u8(&b, 0);
    return (char *)b.p;
}

/* Each function of the one before it: as many levels of LATERAL. */
static char *chained_functions(int n)
{
    struct buf b = {0};
    buf_put_str(&b, "CREATE VIEW v AS SELECT count(*) FROM core.t AS g0(g0)");
    for (int i = 1; i <= n; i++)
        buf_printf(&b, ", generate_series(1, g%d) AS g%d(g%d)", i - 1, i, i);
    buf_put_str(&b, ";\n");
    buf_put_u8(&b, 0);
    return (char *)b.p;
}

static void functions_limits(void)
{
    char *most = many_functions(COLUMNS_MAX), *more = many_functions(COLUMNS_MAX + 1),
         *chain = chained_functions(1000);
    CHECK(plans(most));
    char *got = plan_text(more);
    CHECK(strstr(got, "functions in FROM can return at most 1600 entries") != NULL);
    CHECK(plans(chain));
    free(got);
    free(most);
    free(more);
    free(chain);
}

static void many_parentheses(void)
{
    char *sql = deep(3000, "(", "a", ")");
    char *got = plan_text(sql);
    CHECK(got != NULL); /* planned or refused, not crashed */
    free(got);
    free(sql);
}

static void chains_of_views(void)
{
    struct buf b = {0};
    buf_put_str(&b, "CREATE VIEW v0 AS SELECT id, a + 1 AS a FROM core.t WHERE a > 0;\n");
    for (int i = 1; i < 6000; i++)
        buf_printf(&b, "CREATE VIEW v%d AS SELECT id, a + 1 AS a FROM v%d WHERE a > %d;\n", i, i - 1, i);
    buf_put_str(&b, "CREATE VIEW v AS SELECT * FROM v5999;\n");
    buf_put_u8(&b, 0);
    CHECK(plans((const char *)b.p));
    buf_reset(&b);
    buf_put_str(&b, "CREATE VIEW v0 AS SELECT id, a FROM core.t;\n");
    for (int i = 1; i < 60; i++) /* doubles each time: 2^60 branches if it were written out */
        buf_printf(&b, "CREATE VIEW v%d AS SELECT id, a + a AS a FROM v%d UNION ALL SELECT * FROM v%d;\n", i,
                   i - 1, i - 1);
    buf_put_str(&b, "CREATE VIEW v AS SELECT * FROM v59 WHERE a > 5;\n");
    buf_put_u8(&b, 0);
    CHECK(plans((const char *)b.p));
    buf_fini(&b);
}

static void comments_and_empty_texts(void)
{
    check_plan("", "penstock.yaml:2:3: api v: there is no view \"v\"\n");
    check_plan(";;-- nothing\n/* /* nested */ */;\n", "penstock.yaml:2:3: api v: there is no view \"v\"\n");
}

static void contracts(void)
{
    struct golden g;
    char *text = xprintf("%s%s", tables,
                         "CREATE VIEW v (x) AS SELECT id, b FROM core.t;\nCOMMENT ON VIEW v IS 'all';\n"
                         "COMMENT ON COLUMN v.b IS 'text';\nCREATE UNIQUE INDEX i ON v (b DESC, x);\n");
    struct plan *p = NULL;
    golden_init(&g, text);
    struct err *e = golden_plan(&g, "x.sql", &p);
    CHECK(e == NULL);
    if (!e) {
        const struct plan_view *v = p->views[0];
        CHECK_STR(v->comment, "all");
        CHECK_STR(v->schema.columns[1].comment, "text");
        CHECK_STR(v->schema.columns[0].name, "x");
        CHECK_STR(v->definition, "CREATE VIEW v (x) AS SELECT id, b FROM core.t");
        CHECK(v->line == 3);
        CHECK(v->index_count == 1 && v->indexes[0].unique && v->indexes[0].columns[0].desc);
        CHECK(v->indexes[0].columns[0].nulls_first && !v->indexes[0].columns[1].nulls_first);
        CHECK(v->key_count == 1 && v->key[0] == 0);
    }
    plan_free(p);
    err_free(e);
    golden_fini(&g);
    free(text);
}

int main(void)
{
    RUN(places_count_characters);
    RUN(a_syntax_error_hides_nothing);
    RUN(readers_of_broken_views_stay_quiet);
    RUN(depth_limit);
    RUN(values_limits);
    RUN(functions_limits);
    RUN(many_parentheses);
    RUN(chains_of_views);
    RUN(comments_and_empty_texts);
    RUN(contracts);
    TEST_END();
}
