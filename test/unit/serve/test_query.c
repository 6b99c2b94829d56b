/* PostgREST's grammar, binding, and three-valued filters. */
#include "query_test.h"
#include "serve/filter.h"

static union val vals[7];
static uint8_t states[7];

static void row(const char *id, const char *name, const char *price, const char *ok)
{
    const char *texts[] = {id, name, price, ok, NULL, "{a,b,NULL}", "{\"k\": [1, 2]}"};
    for (int i = 0; i < 7; i++) {
        states[i] = texts[i] ? VAL_OK : VAL_NULL;
        if (texts[i])
            CHECK(type_input(&test_fn, test_columns[i].type, texts[i], strlen(texts[i]), &vals[i]));
    }
}

/* 't', 'f', 'u' or 'e' for a filter on the row. */
static char eval(const char *filter)
{
    struct query q;
    const char *code = query_make(filter, &q);
    if (*code) {
        printf("# %s: %s %s\n", filter, code, test_problem.message);
        return 'e';
    }
    static const char names[] = {[IS_FALSE_ROW] = 'f', [IS_TRUE_ROW] = 't', [IS_UNKNOWN_ROW] = 'u'};
    return q.filter ? names[filter_eval(&test_fn, q.filter, vals, states)] : 't';
}

static void test_operators(void)
{
    row("5", "alpha", "1.50", "t");
    CHECK(eval("id=eq.5") == 't' && eval("id=eq.6") == 'f' && eval("id=neq.6") == 't');
    CHECK(eval("id=gt.4") == 't' && eval("id=gt.5") == 'f' && eval("id=gte.5") == 't');
    CHECK(eval("id=lt.5") == 'f' && eval("id=lte.5") == 't' && eval("id=not.eq.5") == 'f');
    CHECK(eval("price=eq.1.5") == 't' && eval("price=lt.1.51") == 't');
    CHECK(eval("name=like.al*") == 't' && eval("name=like.AL*") == 'f' && eval("name=ilike.AL%25A") == 't');
    CHECK(eval("name=in.(x,alpha)") == 't' && eval("name=in.(x)") == 'f' && eval("name=in.()") == 'f');
    CHECK(eval("ok=is.true") == 't' && eval("ok=is.FALSE") == 'f' && eval("ok=is.unknown") == 'f');
    CHECK(eval("name=isdistinct.alpha") == 'f' && eval("name=not.isdistinct.alpha") == 't');
}

static void test_exponents(void)
{
    struct query q;
    row("5", "x", "1", "t");
    CHECK(eval("price=lt.1e9999") == 't' && eval("price=gt.-1.e10000&price=lt.1E+10000") == 't');
    CHECK(eval("name=neq.1e99999") == 't' && eval("doc=neq.{\"a\":\"1e99999\"}") == 't');
    CHECK(eval("doc=neq.\"1e99999\"") == 't' && eval("doc=neq.[\"\\\"1e99999\"]") == 't');
    CHECK_STR(query_make("doc=eq.[\"\\\\\",1e99999]", &q), "PENSTOCK_LIMIT");
    CHECK_STR(query_make("price=lt.1e20001", &q), "PENSTOCK_LIMIT");
    CHECK_STR(query_make("price=lt.1e99999999999", &q), "PENSTOCK_LIMIT");
    CHECK_STR(query_make("price=in.(1e9000,1e-9000,1e9000)", &q), "PENSTOCK_LIMIT");
    CHECK_STR(query_make("or=(price.eq.1e9000,price.eq.1e9000,price.lt.1e9000)", &q), "PENSTOCK_LIMIT");
    CHECK_STR(query_make("span=cs.[1e9000,1e19000]", &q), "PENSTOCK_LIMIT");
    CHECK_STR(query_make("span=cs.[1e9000,1e9001]", &q), "");
    CHECK_STR(query_make("doc=eq.[1e9000,9.e9000,3e9000]", &q), "PENSTOCK_LIMIT");
}

static void test_containment(void)
{
    row("5", "x", "1", "t");
    CHECK(eval("tags=cs.{a}") == 't' && eval("tags=cs.{a,c}") == 'f' && eval("tags=cs.{NULL}") == 'f');
    CHECK(eval("tags=cd.{a,b,c}") == 'f' && eval("tags=ov.{x,b}") == 't' && eval("tags=not.ov.{x}") == 't');
    CHECK(eval("tags=eq.{a,b,NULL}") == 't' && eval("tags=gt.{a}") == 't' &&
          eval("tags=in.(\"{a}\")") == 'f');
    CHECK(eval("doc=cs.{\"k\":[2]}") == 't' && eval("doc=cd.{}") == 'f');
    CHECK(eval("or=(tags.cs.{b,a},id.eq.9)") == 't' && eval("and=(tags.ov.{c,d},id.eq.5)") == 'f');
    CHECK(eval("or=(name.eq.{x,id.eq.5)") == 't'); /* without an end it is no array */
    states[5] = VAL_NULL;
    CHECK(eval("tags=cs.{}") == 'u' && eval("tags=ov.{a}") == 'u');
}

static void test_nulls(void)
{
    row("5", NULL, NULL, NULL);
    CHECK(eval("name=eq.x") == 'u' && eval("name=neq.x") == 'u' && eval("name=not.eq.x") == 'u');
    CHECK(eval("name=is.null") == 't' && eval("name=not.is.null") == 'f' && eval("name=is.not_null") == 'f');
    CHECK(eval("name=like.*") == 'u' && eval("name=in.(a)") == 'u' && eval("name=in.()") == 'f');
    CHECK(eval("ok=is.true") == 'f' && eval("ok=is.unknown") == 't' && eval("name=isdistinct.x") == 't');
    CHECK(eval("or=(name.eq.x,id.eq.5)") == 't' && eval("or=(name.eq.x,id.eq.6)") == 'u');
    CHECK(eval("and=(name.eq.x,id.eq.6)") == 'f' && eval("and=(name.eq.x,id.eq.5)") == 'u');
    CHECK(eval("not.and=(name.eq.x,id.eq.5)") == 'u' && eval("not.or=(name.eq.x,id.eq.5)") == 'f');
}

static void test_quoting(void)
{
    row("5", "a,b)\"\\", "1", "t");
    CHECK(eval("name=in.(\"a,b)\\\"\\\\\")") == 't');
    CHECK(eval("or=(name.eq.\"a,b)\\\"\\\\\",id.eq.9)") == 't');
    row("5", "\"q\"", "1", "t");
    CHECK(eval("name=eq.\"q\"") == 't'); /* outside of lists a value is taken as it is */
    CHECK(eval("\"name\"=eq.\"q\"") == 't');
    row("5", "a.b(c)", "1", "t");
    CHECK(eval("name=eq.a.b(c)") == 't');
}

static void test_trees(void)
{
    row("5", "x", "1", "f");
    CHECK(eval("or=(id.lt.2,and(id.gt.3,not.or(id.eq.7,ok.is.true)))") == 't');
    CHECK(eval("or=(id.not.in.(5,6),not.and(id.eq.5,name.eq.x))") == 'f');
    CHECK(eval("and=(id.eq.5,+name.eq.x)") == 't');
    CHECK(eval("id=eq.5&name=eq.y") == 'f');
}

static void test_select(void)
{
    struct query q;
    CHECK_STR(query_make("select=n:name,id::text,*,price", &q), "");
    CHECK(q.select_count == 11 && q.select[0].column == 1 && slice_is(q.select[0].label, "n"));
    CHECK(q.select[1].type.id == T_TEXT && q.select[1].conv && q.select[10].column == 2);
    CHECK_STR(query_make("select=", &q), "");
    CHECK(q.select_count == 8);
    CHECK_STR(query_make("", &q), "");
    CHECK(q.select_count == 8 && !q.filter && q.limit == -1);
}

static void test_order(void)
{
    struct query q;
    CHECK_STR(query_make("order=id.desc,name.asc.nullsfirst,price.nullslast,ok&limit=7&offset=3", &q), "");
    CHECK(q.order_count == 4 && q.limit == 7 && q.offset == 3);
    CHECK(q.order[0].desc && q.order[0].nulls_first);
    CHECK(!q.order[1].desc && q.order[1].nulls_first && !q.order[2].nulls_first && !q.order[3].nulls_first);
}

static void test_errors(void)
{
    static const struct {
        const char *text, *code;
    } rows[] = {
        {"id=5", "PGRST100"},
        {"id=eq", "PGRST100"},
        {"id=zz.5", "PGRST100"},
        {"id=in.5", "PGRST100"},
        {"id=in.(5", "PGRST100"},
        {"id=in.(\"5)", "PGRST100"},
        {"id=is.5", "PGRST100"},
        {"or=id.eq.1", "PGRST100"},
        {"or=(id.eq.1", "PGRST100"},
        {"or=(id.eq.1)x", "PGRST100"},
        {"or=(id)", "PGRST100"},
        {"and=(.eq.1)", "PGRST100"},
        {"order=id.up", "PGRST100"},
        {"order=,id", "PGRST100"},
        {"select=id,", "PGRST100"},
        {"limit=-1", "PGRST100"},
        {"limit=", "PGRST100"},
        {"offset=1e3", "PGRST100"},
        {"select=*,*", "PGRST100"},
        {"nope=eq.1", "42703"},
        {"select=nope", "42703"},
        {"order=nope", "42703"},
        {"id=eq.x", "22P02"},
        {"id=eq.", "22P02"},
        {"ok=eq.maybe", "22P02"},
        {"id=like.5", "42883"},
        {"raw=eq.1", "42883"},
        {"order=raw", "42883"},
        {"id=is.true", "42804"},
        {"name=like.x\\", "22025"},
        {"select=id::nope", "42704"},
        {"name=match.x", "PENSTOCK_UNSUPPORTED"},
        {"name=fts.x", "PENSTOCK_UNSUPPORTED"},
        {"name=cs.x", "42883"},
        {"doc=ov.[1]", "42883"},
        {"tags=cs.x", "22P02"},
        {"tags=like.x", "42883"},
        {"or=(tags.cs.{a,b", "PGRST100"},
        {"raw->a=eq.1", "PENSTOCK_UNSUPPORTED"},
        {"id=eq(any).{1}", "PENSTOCK_UNSUPPORTED"},
        {"select=other(id)", "PENSTOCK_UNSUPPORTED"},
        {"select=id.sum()", "PENSTOCK_UNSUPPORTED"},
    };
    struct query q;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const char *code = query_make(rows[i].text, &q);
        if (strcmp(code, rows[i].code) != 0) {
            printf("# %s: got %s, want %s\n", rows[i].text, code, rows[i].code);
            CHECK(false);
        }
    }
}

static void nested(char *text, int depth)
{
    strcpy(text, "or=(");
    for (int i = 1; i < depth; i++)
        strcat(text, "and(");
    strcat(text, "id.eq.1");
    for (int i = 0; i < depth; i++)
        strcat(text, ")");
}

static void test_limits(void)
{
    static char text[8000];
    struct query q;
    nested(text, QUERY_DEPTH_MAX);
    CHECK_STR(query_make(text, &q), "");
    nested(text, QUERY_DEPTH_MAX + 1);
    CHECK_STR(query_make(text, &q), "PENSTOCK_LIMIT");
    strcpy(text, "id=in.(1");
    for (int i = 0; i < 1500; i++)
        strcat(text, ",11");
    strcat(text, ")");
    CHECK_STR(query_make(text, &q), "");
    CHECK(q.filter->text_count == 1501);
}

int main(void)
{
    arena_init(&test_arena);
    RUN(test_operators);
    RUN(test_exponents);
    RUN(test_containment);
    RUN(test_nulls);
    RUN(test_quoting);
    RUN(test_trees);
    RUN(test_select);
    RUN(test_order);
    RUN(test_errors);
    RUN(test_limits);
    arena_fini(&test_arena);
    TEST_END();
}
