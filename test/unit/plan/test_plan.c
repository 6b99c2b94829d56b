/* Plans as structures: sharing, fingerprints, partitioning and keys. */
#include "test.h"

#include "plan/golden_read.h"

#include <pthread.h>

static const char accounts[] =
    "-- table core.a: id integer not null, x integer, name text, extra text; key id\n"
    "-- table core.e: id bigint not null, a_id integer, amount numeric; key id\n";

struct built {
    struct golden g;
    struct plan *p;
};

static void build(struct built *b, const char *tables, const char *sql)
{
    char *text = xprintf("%s%s", tables, sql);
    golden_init(&b->g, text);
    b->p = NULL;
    struct err *e = golden_plan(&b->g, "x.sql", &b->p);
    if (e)
        err_print(stdout, e);
    CHECK(e == NULL);
    err_free(e);
    free(text);
}

static void done(struct built *b)
{
    plan_free(b->p);
    golden_fini(&b->g);
}

static uint32_t count_kind(const struct plan *p, enum plan_kind kind)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->node_count; i++)
        n += p->nodes[i]->kind == kind;
    return n;
}

static const char two_views[] = "-- api orders\n-- api people\n-- api sums\n"
                                "CREATE VIEW orders AS SELECT id, a_id, amount FROM core.e;\n"
                                "CREATE VIEW people AS SELECT id, name FROM core.a;\n"
                                "CREATE VIEW sums AS SELECT name FROM core.a;\n";

/* The error of a reference of the first api, or its plan's. */
static char *reference_error(const char *column, const char *api, struct built *b)
{
    char *text = xprintf("%s%s", accounts, two_views);
    const struct api_request_reference reference = {"r", api, 1, &column, 7, 9};
    golden_init(&b->g, text);
    free(text);
    b->g.apis[0].reference_count = 1;
    b->g.apis[0].references = &reference;
    b->g.apis[0].file = "p.yaml";
    struct err *e = golden_plan(&b->g, "x.sql", &b->p);
    char *message = e ? xprintf("%s:%d:%d: %s", e->file, e->line, e->column, e->message) : NULL;
    err_free(e);
    return message;
}

static void references_lead_to_keys(void)
{
    static const char *const wrong[][3] = {
        {"a_id", "nobody", "p.yaml:7:9: api orders: reference r: there is no api \"nobody\""},
        {"aid", "people", "p.yaml:7:9: api orders: reference r: \"aid\" is not a column of view orders"},
        {"a_id", "sums", "p.yaml:7:9: api orders: reference r: api sums has no key to refer to"},
        {"amount", "people",
         "p.yaml:7:9: api orders: reference r: \"amount\" is of type numeric, \"id\" of api people of type "
         "integer"},
    };
    struct built b;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        b.p = NULL;
        char *message = reference_error(wrong[i][0], wrong[i][1], &b);
        CHECK(message != NULL);
        if (message)
            CHECK_STR(message, wrong[i][2]);
        free(message);
        golden_fini(&b.g);
    }
    b.p = NULL;
    CHECK(reference_error("id", "people", &b) == NULL); /* bigint and integer are one family */
    const struct plan_api *api = &b.p->apis[0];
    CHECK(api->reference_count == 1 && api->references[0].api == 1 && api->references[0].column_count == 1 &&
          api->references[0].columns[0] == 0);
    done(&b);
}

static void equal_subplans_are_one(void)
{
    struct built b;
    build(&b, accounts,
          "-- api v\n-- api w\n"
          "CREATE VIEW v AS SELECT x, count(*) AS n FROM core.a WHERE x > 1 GROUP BY x;\n"
          "CREATE VIEW w AS SELECT x, count(*) AS m FROM core.a AS other WHERE x > 1 GROUP BY x;\n");
    CHECK(count_kind(b.p, PLAN_AGGREGATE) == 1);
    CHECK(count_kind(b.p, PLAN_TABLE) == 1 && b.p->table_count == 1);
    CHECK(count_kind(b.p, PLAN_VIEW) == 2);
    CHECK(b.p->views[0]->fingerprint != b.p->views[1]->fingerprint); /* column names differ */
    for (uint32_t i = 0; i < b.p->node_count; i++) {
        CHECK(b.p->nodes[i]->id == i);
        for (uint32_t k = 0; k < b.p->nodes[i]->input_count; k++)
            CHECK(b.p->nodes[i]->inputs[k]->id < i);
        for (uint32_t k = 0; k < b.p->nodes[i]->reader_count; k++)
            CHECK(b.p->nodes[i]->readers[k]->id > i);
    }
    done(&b);
}

static void views_over_views_share_state(void)
{
    struct built b;
    build(&b, accounts,
          "-- api sums\n-- api big\n"
          "CREATE VIEW sums AS SELECT a_id, sum(amount) AS s FROM core.e GROUP BY a_id;\n"
          "CREATE VIEW big AS SELECT * FROM sums WHERE a_id > 10;\n");
    CHECK(count_kind(b.p, PLAN_AGGREGATE) == 1);
    CHECK(count_kind(b.p, PLAN_EXCHANGE) == 1);
    done(&b);
}

static void unpublished_views_cost_nothing(void)
{
    struct built b;
    build(&b, accounts,
          "-- api w\nCREATE VIEW v AS SELECT x, count(*) FROM core.a GROUP BY x;\nCREATE VIEW w AS SELECT id "
          "FROM core.e;\n");
    CHECK(count_kind(b.p, PLAN_AGGREGATE) == 0);
    CHECK(b.p->views[0]->output == NULL && b.p->views[0]->sink == NULL);
    CHECK(b.p->views[0]->schema.column_count == 2);
    CHECK(b.p->views[1]->sink != NULL);
    done(&b);
}

static uint64_t fingerprint(const char *tables, const char *sql)
{
    struct built b;
    build(&b, tables, sql);
    uint64_t h = b.p ? b.p->views[b.p->view_count - 1]->fingerprint : 0;
    done(&b);
    return h;
}

static void fingerprints(void)
{
    static const char view[] = "-- api v\nCREATE VIEW v AS SELECT a.id, sum(e.amount) AS s FROM core.a a "
                               "JOIN core.e e ON e.a_id = a.id "
                               "WHERE a.x > 1 GROUP BY a.id;\n";
    uint64_t h = fingerprint(accounts, view);
    /* the same view among others, over a table with one more column that it does not read */
    CHECK(h ==
          fingerprint(
              "-- table core.e: id bigint not null, a_id integer, amount numeric; key id\n"
              "-- table core.a: new text, id integer not null, x integer, name text; key id\n"
              "-- api first\n",
              "-- api v\nCREATE VIEW first AS SELECT name FROM core.a;\n"
              "CREATE VIEW v AS SELECT a.id, sum(e.amount) AS s FROM core.a a JOIN core.e e ON e.a_id = a.id "
              "WHERE a.x > 1 GROUP BY a.id;\n"));
    /* another type of a column it reads, another condition, another index */
    CHECK(h != fingerprint("-- table core.a: id integer not null, x bigint, name text; key id\n"
                           "-- table core.e: id bigint not null, a_id integer, amount numeric; key id\n",
                           view));
    CHECK(h != fingerprint(accounts, "-- api v\nCREATE VIEW v AS SELECT a.id, sum(e.amount) AS s FROM core.a "
                                     "a JOIN core.e e ON e.a_id = a.id "
                                     "WHERE a.x > 2 GROUP BY a.id;\n"));
    char *indexed = xprintf("%sCREATE INDEX ON v (s);\n", view);
    CHECK(h != fingerprint(accounts, indexed));
    free(indexed);
    CHECK(fingerprint(
              accounts,
              "-- api v\nCREATE VIEW v AS SELECT a.x, b.x AS y FROM core.a a JOIN core.a b USING (id);\n") !=
          fingerprint(
              accounts,
              "-- api v\nCREATE VIEW v AS SELECT a.x, a.x AS y FROM core.a a JOIN core.a b USING (id);\n"));
}

/* A recursion is the same whatever stands before it, and another when its term, its kind or what it begins with is. */
static void fingerprints_of_recursions(void)
{
    static const char head[] = "-- api v\nCREATE VIEW v AS WITH RECURSIVE t(id) AS (";
    static const char *const bodies[] = {
        "SELECT id FROM core.a UNION SELECT a.x FROM t JOIN core.a a ON a.id = t.id",
        "SELECT id FROM core.a UNION ALL SELECT a.x FROM t JOIN core.a a ON a.id = t.id",
        "SELECT id FROM core.a UNION SELECT a.x FROM t JOIN core.a a ON a.x = t.id",
        "SELECT x FROM core.a UNION SELECT a.x FROM t JOIN core.a a ON a.id = t.id",
        "SELECT id FROM core.a UNION SELECT a.x + 1 FROM t JOIN core.a a ON a.id = t.id"};
    uint64_t h[ARRAY_COUNT(bodies)];
    for (uint32_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        char *sql = xprintf("%s%s) SELECT id FROM t;\n", head, bodies[i]);
        char *after =
            xprintf("-- api first\n-- api v\nCREATE VIEW first AS WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL "
                    "SELECT n + 1 FROM t WHERE n < 9) SELECT n FROM t;\n%s%s) SELECT id FROM t;\n",
                    head + strlen("-- api v\n"), bodies[i]);
        h[i] = fingerprint(accounts, sql);
        CHECK(h[i] == fingerprint(accounts, after));
        for (uint32_t k = 0; k < i; k++)
            CHECK(h[i] != h[k]);
        free(after);
        free(sql);
    }
}

/* The key of the last view as "a,b". */
static void check_key(const char *sql, const char *want)
{
    struct built b;
    char *text = xprintf("-- api v\nCREATE VIEW v AS %s;\n", sql), got[256] = "";
    build(&b, accounts, text);
    if (b.p) {
        const struct plan_view *v = b.p->views[0];
        for (uint32_t i = 0; i < v->key_count; i++)
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? "," : "",
                     v->schema.columns[v->key[i]].name);
    }
    CHECK_STR(got, want);
    done(&b);
    free(text);
}

static void keys(void)
{
    check_key("SELECT name, id FROM core.a WHERE x > 5", "id");
    check_key("SELECT name FROM core.a", "");
    check_key("SELECT DISTINCT name, x FROM core.a", "name,x");
    check_key("SELECT DISTINCT name, id FROM core.a", "id");
    check_key("SELECT x, name, count(*) FROM core.a GROUP BY name, x", "name,x");
    check_key("SELECT x + 1 AS k, count(*) FROM core.a GROUP BY 1", "k");
    check_key("SELECT count(*) FROM core.a", "");
    check_key("SELECT id FROM core.a UNION ALL SELECT a_id FROM core.e", "");
    check_key("SELECT id FROM core.a UNION SELECT a_id FROM core.e", "id");
    check_key("SELECT e.id, a.name FROM core.e JOIN core.a ON a.id = e.a_id", "id");
    check_key("SELECT e.id, a.name FROM core.e LEFT JOIN core.a ON a.id = e.a_id", "id");
    check_key("SELECT a.id, e.id AS e FROM core.a LEFT JOIN core.e ON a.id = e.a_id", "id,e");
    check_key("SELECT a.id, e.id AS e FROM core.a FULL JOIN core.e ON a.id = e.id", "id,e");
    check_key("SELECT p.x, q.a_id FROM (SELECT DISTINCT x FROM core.a) p FULL JOIN (SELECT DISTINCT a_id "
              "FROM core.e) q "
              "ON p.x = q.a_id",
              ""); /* a row of NULL on either side would look the same */
    check_key("SELECT e.a_id, a.name FROM core.e JOIN core.a ON a.id = e.a_id JOIN core.a b ON b.id = e.id",
              "");
    check_key("SELECT b.id, a.name FROM core.a a JOIN core.a b ON a.id = b.id", "id");
    check_key("SELECT id::bigint AS wide FROM core.a", "wide");
    check_key("SELECT id::text AS t FROM core.a", "");
    check_key("SELECT s.n, a.id FROM core.a CROSS JOIN (SELECT count(*) AS n FROM core.e) s", "id");
}

static uint32_t exchanges(const char *sql)
{
    struct built b;
    char *text = xprintf("-- api v\nCREATE VIEW v AS %s;\n", sql);
    build(&b, accounts, text);
    uint32_t n = b.p ? count_kind(b.p, PLAN_EXCHANGE) : 99;
    done(&b);
    free(text);
    return n;
}

static void exchanges_only_where_needed(void)
{
    CHECK(exchanges("SELECT id, name FROM core.a WHERE x > 1") == 0);
    CHECK(exchanges("SELECT id, count(*) FROM core.a GROUP BY id") == 0);
    CHECK(exchanges("SELECT name, count(*) FROM core.a GROUP BY name") == 1);
    CHECK(exchanges("SELECT name, x, count(*) FROM core.a GROUP BY x, name") == 1);
    CHECK(exchanges("SELECT a.id, sum(amount) FROM core.a JOIN core.e ON e.a_id = a.id GROUP BY a.id") == 1);
    CHECK(exchanges("SELECT e.a_id, sum(amount) FROM core.a JOIN core.e ON e.a_id = a.id GROUP BY e.a_id") ==
          1);
    CHECK(exchanges("SELECT a.id, e.id AS e, b.x FROM core.a JOIN core.e ON e.id = a.id JOIN core.a b ON "
                    "b.id = e.id") == 0);
    CHECK(exchanges("SELECT count(*) FROM core.a") == 2); /* to one shard, and to the row's own */
    CHECK(exchanges(
              "SELECT x, count(DISTINCT name) FROM (SELECT DISTINCT x, name FROM core.a) s GROUP BY x") == 2);
    CHECK(exchanges("SELECT id FROM core.a UNION SELECT id FROM core.a WHERE x = 1") == 0);
}

static void dot_is_well_formed(void)
{
    struct built b;
    build(&b, accounts,
          "-- api v\n-- api r\nCREATE VIEW v AS SELECT x, 'a\"b\\' AS q, count(*) FROM core.a GROUP BY x;\n"
          "CREATE VIEW r AS WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n + 1 FROM t WHERE n < 9) "
          "SELECT n FROM t;\n");
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    plan_explain(b.p, NULL, true, f);
    fclose(f);
    CHECK(strncmp(text, "digraph plan {", 14) == 0 && strstr(text, "a\\\"b\\\\") != NULL);
    CHECK(strstr(text, "[style=dotted") != NULL); /* how a recursion feeds back */
    free(text);
    done(&b);
}

/* The grammar takes a thread-specific key for each thread that parses: a process that plans again and again (apply) must
 * not run out of them. */
static void planning_again_uses_nothing_up(void)
{
    for (int i = 0; i < 1100; i++) {
        struct built b;
        build(&b, accounts, "-- api v\nCREATE VIEW v AS SELECT x FROM core.a;\n");
        done(&b);
    }
    pthread_key_t key;
    CHECK(pthread_key_create(&key, NULL) == 0);
    pthread_key_delete(key);
}

int main(void)
{
    RUN(references_lead_to_keys);
    RUN(equal_subplans_are_one);
    RUN(views_over_views_share_state);
    RUN(unpublished_views_cost_nothing);
    RUN(fingerprints);
    RUN(fingerprints_of_recursions);
    RUN(keys);
    RUN(exchanges_only_where_needed);
    RUN(dot_is_well_formed);
    RUN(planning_again_uses_nothing_up);
    TEST_END();
}
