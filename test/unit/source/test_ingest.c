/* The ingest source without a pipeline: its section, bodies as rows, Idempotency-Keys, rows of another schema. */
#include "data/row.h"
#include "source/ingest/ingest.h"
#include "test/unit/test.h"

static struct arena arena;

static void must(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    exit(1);
}

static struct err *configure(const char *yaml, struct ingest_conf **out)
{
    struct yaml_node *node;
    must(yaml_load(&arena, "test.yaml", yaml, strlen(yaml), true, &node));
    return ingest_configure(&arena, "events", node, (void **)out);
}

static struct ingest_conf *conf_of(const char *yaml)
{
    struct ingest_conf *conf;
    must(configure(yaml, &conf));
    return conf;
}

static void test_types(void)
{
    static const struct {
        const char *text, *is;
    } rows[] = {{"bigint", "bigint"},
                {"int8", "bigint"},
                {"Text", "text"},
                {"numeric(10,2)", "numeric(10,2)"},
                {"numeric( 7 )", "numeric(7,0)"},
                {"varchar(20)", "character varying(20)"},
                {"character varying(20)[]", "character varying(20)[]"},
                {"timestamp(3) with time zone", "timestamp(3) with time zone"},
                {"timestamptz", "timestamp with time zone"},
                {"text[]", "text[]"},
                {"jsonb", "jsonb"}};
    static const char *const wrong[] = {
        "",           "texts",    "int(4)",    "numeric(0)", "numeric(2000)", "numeric(1,2,3)", "varchar(0)",
        "varchar(",   "varchar)", "varchar()", "varchar(a)", "unknown",       "timestamp(-1)",  "text(3)",
        "numeric(1,)"};
    char text[TYPE_NAME_MAX + 1];
    struct type t;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        CHECK(ingest_type_parse(rows[i].text, &t));
        CHECK_STR(type_format(t, text, sizeof text), rows[i].is);
    }
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (ingest_type_parse(wrong[i], &t)) {
            printf("# taken: %s\n", wrong[i]);
            CHECK(false);
        }
}

static void test_section(void)
{
    static const char *const wrong[][2] = {
        {"[]", "expected a mapping"},
        {"{}", "expected tables"},
        {"{ tables: {} }", "expected tables"},
        {"{ tables: { a: {} } }", "expected { columns"},
        {"{ tables: { A: { columns: { a: int } } } }", "is not a name"},
        {"{ tables: { a: { columns: { a: integr } } } }", "did you mean integer"},
        {"{ tables: { a: { columns: { a: int }, key: [b] } } }", "there is no column b"},
        {"{ tables: { a: { columns: { a: int }, key: [a, a] } } }", "stands twice"},
        {"{ tables: { a: { columns: { a: json }, key: [a] } } }", "cannot be compared"},
        {"{ tables: { a: { columns: { a: int }, keys: [a] } } }", "did you mean key"},
        {"{ tables: { a: { columns: { a: int } } }, token: short }", "shorter than"},
        {"{ tables: { a: { columns: { a: int }, retention: 7d } } }", "expected { column"},
        {"{ tables: { a: { columns: { a: int }, retention: { column: b, keep: 7d } } } }", "no column b"},
        {"{ tables: { a: { columns: { a: int }, retention: { column: a, keep: 7d } } } }",
         "no date or timestamp"},
        {"{ tables: { a: { columns: { a: date }, retention: { column: a, keep: 7x } } } }",
         "expected a duration"},
        {"{ tables: { a: { columns: { a: date }, retention: { column: a, keep: 0s } } } }", "more than 0"},
        {"{ tables: { a: { columns: { a: date }, retention: { column: a, keep: 36501d } } } }",
         "at most 36500d"},
        {"{ tables: { a: { columns: { a: int } } }, log_bytes: 1KiB }", "at least 1MiB"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct ingest_conf *conf;
        struct err *e = configure(wrong[i][0], &conf);
        char *text = e ? err_text(e) : strdup("taken");
        if (!strstr(text, wrong[i][1])) {
            printf("# %s: %s\n", wrong[i][0], text);
            CHECK(false);
        }
        free(text);
        err_free(e);
    }
    struct ingest_conf *conf = conf_of("{ tables: { a: { columns: { x: int, y: text }, key: [y, x] } } }");
    struct table_def *tables;
    uint32_t count;
    must(ingest_describe(&arena, conf, 0, &tables, &count));
    CHECK(count == 1 && tables[0].key_count == 2 && tables[0].key[0] == 1 && tables[0].only_copy);
    CHECK(tables[0].schema.columns[0].not_null && !conf->token && conf->log_bytes == INGEST_LOG_BYTES);
}

/* ---- bodies ---- */

static struct ingest_conf *clicks(void)
{
    return conf_of(
        "{ tables: { clicks: { columns: { id: bigint, page: text, n: \"numeric(6,2)\", a: \"int[]\", j: "
        "jsonb }, key: [id] } } }");
}

/* The answer of a request with this body: "3 rows", or the refusal's message. */
static const char *parsed(enum ingest_form form, const char *body)
{
    static char text[500];
    struct buf out = {0};
    struct ingest_refusal r;
    uint32_t rows;
    struct ingest_work *work = ingest_work_take();
    if (ingest_parse(work, &clicks()->tables[0], form, false, (const uint8_t *)body, strlen(body), &out,
                     &rows, &r))
        snprintf(text, sizeof text, "%u rows", rows);
    else
        snprintf(text, sizeof text, "%s", r.message);
    ingest_work_give(work);
    buf_fini(&out);
    return text;
}

static void test_bodies(void)
{
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1}"), "1 rows");
    CHECK_STR(parsed(FORM_JSON, "[{\"id\":1},{\"id\":2,\"n\":1.234}]"), "2 rows");
    CHECK_STR(parsed(FORM_NDJSON, "{\"id\":1}\n{\"id\":2}\n"), "2 rows");
    CHECK_STR(parsed(FORM_NDJSON, ""), "0 rows");
    CHECK_STR(parsed(FORM_JSON, "[]"), "0 rows");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"a\":[1,null,3]}"), "1 rows");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"a\":[[1,2],[3,4]]}"), "1 rows");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"a\":\"{1,2}\"}"), "1 rows");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"a\":[[[[[[[1]]]]]]]}"),
              "row 1, column a: its value is nested too deep");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"a\":[\"x\"]}"),
              "row 1, column a: invalid input syntax for type integer: \"x\"");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"n\":12345}"), "row 1, column n: numeric field overflow");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"page\":\"\\u0000\"}"),
              "row 1, column page: \\u0000 cannot be converted to text");
    CHECK_STR(parsed(FORM_JSON, "7"), "row 1: it is not a JSON object");
    CHECK_STR(parsed(FORM_NDJSON, "{\"id\":1}\n[]"), "row 2: it is not a JSON object");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"j\":[1e100000,1e-9,\"1e9999999\"]}"), "1 rows");
    CHECK_STR(parsed(FORM_NDJSON,
                     "{\"id\":1,\"j\":[1e100000,1e100000,1e100000,1e100000,1e100000,1e100000]}\n{"
                     "\"id\":2,\"j\":[1e100000,1e100000,1e100000,1e100000,1e100000,1e100000]}"),
              "row 2, column j: exponents ask for more than 1000000 digits"); /* together */
    CHECK_STR(
        parsed(FORM_JSON,
               "{\"id\":1,\"j\":[1e130000,1e130000,1e130000,1e130000,1e130000,1e130000,1e130000,1e130000]}"),
        "row 1, column j: exponents ask for more than 1000000 digits");
    CHECK_STR(parsed(FORM_JSON, "{\"id\":1,\"a\":[1e131000]}"),
              "row 1, column a: invalid input syntax for type integer: \"1e131000\"");
}

/* Small requests take the memory that the last one left; what a large one took is not kept. */
static void test_work(void)
{
    struct ingest_work *a = ingest_work_take(), *b = ingest_work_take();
    CHECK(a != b);
    buf_put_str(&a->body, "left over");
    ingest_work_give(b);
    ingest_work_give(a);
    CHECK(ingest_work_take() == a && a->body.len == 0 && a->body.cap > 0);
    CHECK(ingest_work_take() == b);
    buf_room(&b->body, 2 * INGEST_WORK_KEPT_BYTES);
    ingest_work_give(b);
    ingest_work_give(a);
    CHECK(ingest_work_take() == a);
    b = ingest_work_take();
    CHECK(b->body.cap == 0);
    ingest_work_give(a);
    ingest_work_give(b);
    ingest_works_free();
}

/* Values come back as they were sent. */
static void test_values(void)
{
    struct buf out = {0};
    struct ingest_refusal r;
    uint32_t rows;
    const struct ingest_table *t = &clicks()->tables[0];
    static const char body[] =
        "{\"page\":12.50,\"id\":\"9007199254740993\",\"n\":1.5,\"j\":{\"b\":1.10,\"a\":[true]}}";
    struct ingest_work *work = ingest_work_take();
    CHECK(ingest_parse(work, t, FORM_JSON, false, (const uint8_t *)body, sizeof body - 1, &out, &rows, &r));
    ingest_work_give(work);
    const uint8_t *p = out.p, *row;
    size_t len;
    enum row_op op;
    union val vals[5];
    uint8_t states[5];
    CHECK(ingest_payload_row(&p, out.p + out.len, &op, &row, &len) && p == out.p + out.len);
    CHECK(op == ROW_INSERT && row_decode(&arena, &t->schema, row, len, vals, states));
    CHECK(vals[0].i == 9007199254740993 && vals[1].s.len == 5 && memcmp(vals[1].s.p, "12.50", 5) == 0);
    CHECK(vals[2].n.lo == 150 && vals[2].n.dscale == 2 && states[3] == VAL_NULL);
    CHECK(vals[4].s.len == 24 && memcmp(vals[4].s.p, "{\"a\": [true], \"b\": 1.10}", 24) == 0);
    buf_fini(&out);
}

/* ---- keys ---- */

static struct ingest_key key_number(uint32_t n)
{
    struct ingest_key k = {{1}, {2}};
    memcpy(k.key + 1, &n, sizeof n);
    k.key[8] = (uint8_t)(n * 7);
    return k;
}

static void test_key_window(void)
{
    struct ingest_keys k, again;
    struct buf b = {0};
    ingest_keys_init(&k);
    for (uint32_t n = 0; n < INGEST_KEYS_MAX + 5; n++) {
        struct ingest_key key = key_number(n);
        CHECK(!ingest_keys_find(&k, &key));
        ingest_keys_add(&k, &key, n + 1, n);
    }
    for (uint32_t n = 0; n < INGEST_KEYS_MAX + 5; n++) { /* at the limit, and one past it */
        struct ingest_key key = key_number(n);
        CHECK((ingest_keys_find(&k, &key) != NULL) == (n >= 5));
    }
    struct ingest_key gone = key_number(7), making = key_number(8), kept = key_number(9);
    ingest_keys_remove(&k, &gone);
    ingest_keys_find(&k, &making)->end = 0; /* being written: not yet for the log */
    CHECK(!ingest_keys_find(&k, &gone));
    ingest_keys_put(&k, &b);
    ingest_keys_init(&again);
    CHECK(ingest_keys_get(&again, b.p, b.len));
    CHECK(!ingest_keys_find(&again, &gone) && !ingest_keys_find(&again, &making));
    CHECK(ingest_keys_find(&again, &kept) && ingest_keys_find(&again, &kept)->end == 10);
    CHECK(again.count == INGEST_KEYS_MAX - 2 && !ingest_keys_get(&again, b.p, b.len - 1));
    struct ingest_key one_more = key_number(1000000);
    ingest_keys_add(&k, &one_more, 1, 1); /* over an entry that is in order, then over the empty one */
    for (uint32_t n = 0; n < 10; n++) {
        struct ingest_key key = key_number(2000000 + n);
        ingest_keys_add(&k, &key, 1, 1);
        CHECK(ingest_keys_find(&k, &key));
    }
    ingest_keys_fini(&k);
    ingest_keys_fini(&again);
    buf_fini(&b);
}

/* ---- schemas ---- */

static void test_other_schema(void)
{
    struct buf b = {0};
    struct ingest_map map;
    ingest_schema_put(
        &b,
        conf_of(
            "{ tables: { a: { columns: { x: int, y: text, z: date } }, gone: { columns: { x: int } } } }"));
    struct ingest_conf *now =
        conf_of("{ tables: { b: { columns: { q: int } }, a: { columns: { new: int, z: date, x: int } } } }");
    must(ingest_schema_map(&arena, now, b.p, b.len, &map));
    CHECK(map.count == 2 && map.tables[0].table == 1 && map.tables[1].table == UINT32_MAX);
    CHECK(map.tables[0].column[0] == 2 && map.tables[0].column[1] == UINT32_MAX &&
          map.tables[0].column[2] == 1);
    struct err *e =
        ingest_schema_map(&arena, conf_of("{ tables: { a: { columns: { x: bigint } } } }"), b.p, b.len, &map);
    CHECK(e && strstr(e->message, "column x as integer"));
    err_free(e);
    for (size_t n = 0; n < b.len; n++) { /* cut short anywhere */
        e = ingest_schema_map(&arena, now, b.p, n, &map);
        CHECK(e && e->code == ERR_CORRUPT);
        err_free(e);
    }
    buf_fini(&b);
}

static void test_payload(void)
{
    struct buf b = {0};
    struct ingest_payload p = {true, key_number(3), 1234567, 2, 1, NULL, 0}, got;
    ingest_payload_put(&b, &p);
    size_t head = b.len;
    buf_put(&b, "\x00\x02xy", 4);
    CHECK(ingest_payload_get(b.p, b.len, &got));
    CHECK(got.has_key && memcmp(&got.key, &p.key, sizeof p.key) == 0 && got.received_us == 1234567 &&
          got.table == 2 && got.row_count == 1 && got.rows_len == 4);
    for (size_t n = 0; n < head; n++)
        CHECK(!ingest_payload_get(b.p, n, &got));
    buf_fini(&b);
}

int main(void)
{
    arena_init(&arena);
    RUN(test_types);
    RUN(test_section);
    RUN(test_bodies);
    RUN(test_work);
    RUN(test_values);
    RUN(test_key_window);
    RUN(test_other_schema);
    RUN(test_payload);
    arena_fini(&arena);
    TEST_END();
}
