/* PostgREST's grammar, binding, and three-valued filters. */
#include "query_test.h"
#include "serve/filter.h"

static union val vals[8];
static uint8_t states[8] = {[7] = VAL_NULL};

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

static void test_patterns(void)
{
    row("5", "alpha beta", "1", "t");
    CHECK(eval("name=match.^al.*a$") == 't' && eval("name=match.^AL") == 'f' &&
          eval("name=imatch.^AL") == 't');
    CHECK(eval("name=not.imatch.BETA$") == 'f' && eval("or=(name.match.\"^(x|al)\",id.eq.9)") == 't');
    row("5", NULL, "1", "t");
    CHECK(eval("name=match.x") == 'u' && eval("name=not.imatch.x") == 'u');
}

static void test_quantifiers(void)
{
    row("5", "alpha", "1.50", "t");
    CHECK(eval("id=eq(any).{4,5}") == 't' && eval("id=eq(any).{4,6}") == 'f' &&
          eval("id=not.eq(any).{4}") == 't');
    CHECK(eval("id=eq(any).{4,NULL}") == 'u' && eval("id=eq(any).{5,NULL}") == 't' &&
          eval("id=eq(any).{}") == 'f');
    CHECK(eval("id=eq(all).{5,5}") == 't' && eval("id=eq(all).{5,6}") == 'f' && eval("id=eq(all).{}") == 't');
    CHECK(eval("id=gt(all).{1,4}") == 't' && eval("id=gt(all).{1,5}") == 'f' &&
          eval("id=lt(any).{1,6}") == 't');
    CHECK(eval("id=gte(all).{1,NULL}") == 'u' && eval("id=gte(all).{7,NULL}") == 'f');
    CHECK(eval("name=like(any).{b*,al*}") == 't' && eval("name=like(all).{b*,al*}") == 'f');
    CHECK(eval("name=ilike(all).{*A,AL*}") == 't' && eval("name=imatch(any).{^B,A$}") == 't');
    CHECK(eval("or=(name.like(any).{x*,\"al*\"},id.eq.9)") == 't');
    states[0] = VAL_NULL;
    CHECK(eval("id=eq(any).{}") == 'f' && eval("id=lt(all).{}") == 't' && eval("id=eq(any).{1}") == 'u');
}

static void test_ranges(void)
{
    row("5", "x", "1", "t");
    CHECK(type_input(&test_fn, test_columns[7].type, "[1,5)", 5, &vals[7]));
    states[7] = VAL_OK;
    CHECK(eval("span=sl.[6,7]") == 't' && eval("span=sl.[4,7]") == 'f' && eval("span=sr.[0,1)") == 't');
    CHECK(eval("span=nxr.[3,5]") == 't' && eval("span=nxr.[0,4]") == 'f' && eval("span=nxl.[0,2]") == 't');
    CHECK(eval("span=nxl.[2,3]") == 'f' && eval("span=adj.[5,6]") == 't' && eval("span=adj.(5,6]") == 'f');
    CHECK(eval("span=ov.[4,9]") == 't' && eval("span=cs.[2,3]") == 't' && eval("span=cd.[0,9]") == 't');
    states[7] = VAL_NULL;
    CHECK(eval("span=adj.[5,6]") == 'u' && eval("span=not.sl.[5,6]") == 'u');
}

static void test_json_paths(void)
{
    row("5", "x", "1", "t");
    const char *doc = "{\"k\": [1, 2], \"o\": {\"n\": \"v\", \"z\": null}, \"2\": \"two\"}";
    CHECK(type_input(&test_fn, test_columns[6].type, doc, strlen(doc), &vals[6]));
    CHECK(eval("doc->k=eq.[1,2]") == 't' && eval("doc->k->0=eq.1") == 't' && eval("doc->k->-1=gt.1") == 't');
    CHECK(eval("doc->k->>9=is.null") == 't' && eval("doc->o->>n=eq.v") == 't' &&
          eval("doc->o->>n=like.v*") == 't');
    CHECK(eval("doc->o->>z=is.null") == 't' && eval("doc->o->z=is.null") == 'f' &&
          eval("doc->o->z=eq.null") == 't');
    CHECK(eval("doc->>\"2\"=eq.two") == 't' && eval("doc->>2=is.null") == 't' &&
          eval("doc->o=cs.{\"n\":\"v\"}") == 't');
    CHECK(eval("doc->o->>n=in.(u,v)") == 't' && eval("doc->o->>n=eq(any).{u,w}") == 'f' &&
          eval("doc->o->>q=neq.v") == 'u' && eval("doc->o->>q=isdistinct.v") == 't');
    CHECK(eval("or=(doc->o->>n.eq.v,id.eq.9)") == 't' && eval("and=(doc->o->>n.not.eq.v,id.eq.5)") == 'f');
    CHECK(eval("tags->>0=eq.a") == 't' && eval("tags->>2=is.null") == 't' && eval("name->>a=is.null") == 't');
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
    CHECK_STR(query_make("select=doc->a->>b,doc->k->2,x:doc->>c::int,raw->>3", &q), "");
    CHECK(q.select_count == 4 && slice_is(q.select[0].label, "b") && q.select[0].type.id == T_TEXT);
    CHECK(slice_is(q.select[1].label, "k") && q.select[1].type.id == T_JSONB && q.select[1].path->count == 2);
    CHECK(slice_is(q.select[2].label, "x") && q.select[2].type.id == T_INT4 && q.select[2].conv);
    CHECK(slice_is(q.select[3].label, "raw") && q.select[3].type.id == T_TEXT);
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

/* What belongs to which embedded view; binding them takes a world. */
static void test_embeds(void)
{
    struct query q;
    const char *text =
        "select=id,who:people!fk!inner(*,...place!left(city),none())&who.age=gt.1&people.order=age.desc&"
        "who.place.or=(a.eq.1,b.eq.2)&who.place.not.and=(c.eq.3)&who.limit=3&who.none.offset=4&id=eq.5";
    query_make(text, &q);
    CHECK(q.embed_count == 1 && q.select_count == 2 && q.select[1].embed == q.embeds[0]);
    const struct query_embed *who = q.embeds[0];
    CHECK(slice_is(who->name, "people") && slice_is(who->alias, "who") && slice_is(who->hint, "fk"));
    CHECK(who->join == EMBED_INNER && !who->spread && who->query.embed_count == 2);
    CHECK(slice_is(who->query.filter->name, "age") && who->query.order_count == 1 && who->query.limit == 3);
    const struct query_embed *place = who->query.embeds[0], *none = who->query.embeds[1];
    CHECK(place->spread && place->join == EMBED_LEFT && place->query.filter->kind == COND_AND &&
          place->query.filter->arg_count == 2 && place->query.filter->args[1]->negate);
    CHECK(none->query.select_none && none->query.offset == 4 && q.filter->op == OP_EQ);
    query_make("cursor=abc&id=eq.5", &q);
    CHECK(q.has_cursor && slice_is(q.cursor, "abc"));
    CHECK_STR(query_make("cursor=eq.5", &q), "42703");
    CHECK_STR(query_make("cursor=", &q), "");
    CHECK(q.has_cursor && q.cursor.len == 0);
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
        {"id=match.x", "42883"},
        {"name=match.(", "2201B"},
        {"name=imatch(any).{a,(}", "2201B"},
        {"name=fts.x", "PENSTOCK_UNSUPPORTED"},
        {"name=wfts(english).x", "PENSTOCK_UNSUPPORTED"},
        {"name=sl.x", "42883"},
        {"tags=sl.{a}", "42883"},
        {"span=adj.x", "22P02"},
        {"name=cs.x", "42883"},
        {"doc=ov.[1]", "42883"},
        {"tags=cs.x", "22P02"},
        {"tags=like.x", "42883"},
        {"or=(tags.cs.{a,b", "PGRST100"},
        {"raw->a=eq.1", "42883"},
        {"raw->>a=cs.1", "42883"},
        {"doc->>a->b=eq.1", "42883"},
        {"select=doc->>a->b", "42883"},
        {"order=raw->a", "42883"},
        {"doc->=eq.1", "PGRST100"},
        {"select=doc->>", "PGRST100"},
        {"doc->a=eq.x", "22P02"},
        {"doc->a=is.true", "42804"},
        {"nope->a=eq.1", "42703"},
        {"id=eq(some).{1}", "PGRST100"},
        {"id=neq(any).{1}", "PGRST100"},
        {"id=in(any).(1)", "PGRST100"},
        {"id=eq(any).1", "22P02"},
        {"id=eq(any).{x}", "22P02"},
        {"name=like(all).{\"a\\\\\"}", "22025"},
        {"tags=eq(any).{1}", "42883"},
        {"select=id.sum()", "PGRST123"},
        {"select=id::text.max()", "PGRST123"},
        {"select=count()", "PGRST123"},
        {"select=name,n:count()", "PGRST123"},
        {"select=id.total()", "PGRST100"},
        {"select=*::text", "PGRST100"},
        {"other.id=eq.1", "PGRST108"},
        {"other.order=id", "PGRST108"},
        {"other.not.or=(id.eq.1)", "PGRST108"},
        {"a.b.c.d.e.f.g.h.i=eq.1", "PGRST100"},
        {"select=other(id", "PGRST100"},
        {"select=other!x!y(id)", "PGRST100"},
        {"select=other!inner", "PGRST100"},
        {"select=other(id,)", "PGRST100"},
        {"select=other(id)x", "PGRST100"},
        {"select=...other", "PGRST100"},
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
    for (int n = QUERY_STEPS_MAX; n <= QUERY_STEPS_MAX + 1; n++) {
        strcpy(text, "doc");
        for (int i = 0; i < n; i++)
            strcat(text, "->a");
        strcat(text, "=is.null");
        CHECK_STR(query_make(text, &q), n > QUERY_STEPS_MAX ? "PENSTOCK_LIMIT" : "");
    }
    for (int n = QUERY_EMBEDS_MAX; n <= QUERY_EMBEDS_MAX + 1; n++) {
        strcpy(text, "select=id");
        for (int i = 0; i < n; i++)
            strcat(text, ",x()");
        CHECK((strcmp(query_make(text, &q), "PENSTOCK_LIMIT") == 0) == (n > QUERY_EMBEDS_MAX));
    }
    for (int n = QUERY_EMBED_DEPTH_MAX; n <= QUERY_EMBED_DEPTH_MAX + 1; n++) {
        strcpy(text, "select=");
        for (int i = 0; i < n; i++)
            strcat(text, "x(");
        strcat(text, "id");
        for (int i = 0; i < n; i++)
            strcat(text, ")");
        CHECK((strcmp(query_make(text, &q), "PENSTOCK_LIMIT") == 0) == (n > QUERY_EMBED_DEPTH_MAX));
    }
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
    RUN(test_patterns);
    RUN(test_quantifiers);
    RUN(test_ranges);
    RUN(test_json_paths);
    RUN(test_quoting);
    RUN(test_trees);
    RUN(test_select);
    RUN(test_order);
    RUN(test_embeds);
    RUN(test_errors);
    RUN(test_limits);
    arena_fini(&test_arena);
    TEST_END();
}
