/* Ranges: text in and out, the form they are kept in, what may not be, and the aggregates over them.
 * The wide comparison with a real PostgreSQL is test/e2e/test_functions.py. */
#include "test.h"
#include "types/agg_walk.h"
#include "types/range.h"

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static bool read_value(enum type_id t, const char *text, union val *v)
{
    ctx.error = FN_OK;
    return type_input(&ctx, (struct type){t, -1}, text, strlen(text), v);
}

static const char *shown(enum type_id t, const union val *v)
{
    struct str s = type_output(&ctx, t, v);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

static const char *read_back(enum type_id t, const char *text)
{
    union val v;
    return read_value(t, text, &v) ? shown(t, &v) : fn_error_sqlstate(ctx.error);
}

static void text(void)
{
    CHECK_STR(read_back(T_INT4RANGE, " (1 , 4] "), "[2,5)");
    CHECK_STR(read_back(T_INT4RANGE, "(1,2)"), "empty");
    CHECK_STR(read_back(T_INT4RANGE, "[,]"), "(,)");
    CHECK_STR(read_back(T_INT4RANGE, "[1,2147483647]"), "22003");
    CHECK_STR(read_back(T_INT4RANGE, "[2,1]"), "22000");
    CHECK_STR(read_back(T_INT4RANGE, "[1,2,3]"), "22P02");
    CHECK_STR(read_back(T_INT4RANGE, "[1,2"), "22P02");
    CHECK_STR(read_back(T_NUMRANGE, "[1.50,\"2\")"), "[1.50,2)");
    CHECK_STR(read_back(T_TSRANGE, "[2020-01-01,infinity]"), "[\"2020-01-01 00:00:00\",infinity]");
    CHECK_STR(read_back(T_DATERANGE, "[2020-01-01,infinity]"), "[2020-01-01,infinity]");
    CHECK_STR(read_back(T_DATERANGE, "[2020-01-01,5874897-12-31]"), "22008");
    CHECK_STR(read_back(T_INT4MULTIRANGE, " { [5,6) , empty,[1,2),[2,4]} "), "{[1,6)}");
    CHECK_STR(read_back(T_INT4MULTIRANGE, "{}"), "{}");
    CHECK_STR(read_back(T_INT4MULTIRANGE, "{[1,2),}"), "22P02");
    CHECK_STR(read_back(T_NUMMULTIRANGE, "{(1,2),(2,3)}"), "{(1,2),(2,3)}");
}

static const char *aggregate(const char *name, enum type_id t, const char *const *texts, uint32_t count)
{
    const struct agg *agg = NULL;
    const uint8_t states[AGG_ARGS_MAX] = {VAL_OK};
    const enum type_id types[AGG_ARGS_MAX] = {t};
    struct agg_walk w;
    union val v[AGG_ARGS_MAX];
    bool null = false;
    for (uint32_t i = 0; i < agg_count() && !agg; i++)
        if (strcmp(agg_at(i)->name, name) == 0 && agg_at(i)->arg == t)
            agg = agg_at(i);
    CHECK(agg != NULL);
    agg_walk_begin(&w, agg, types, 0, count, &ctx);
    for (uint32_t i = 0; i < count; i++)
        CHECK(read_value(t, texts[i], v) && agg_walk_add(&w, v, states, 1, false));
    CHECK(agg_walk_end(&w, v, &null));
    return null ? "NULL" : shown(agg_result_type(agg, t).id, v);
}

static void aggregates(void)
{
    static const char *const some[] = {"[5,9)", "[1,6)", "[20,)"}, *const none[] = {"empty"};
    CHECK_STR(aggregate("range_agg", T_INT4RANGE, some, 3), "{[1,9),[20,)}");
    CHECK_STR(aggregate("range_agg", T_INT4RANGE, none, 1), "{}");
    CHECK_STR(aggregate("range_agg", T_INT4RANGE, none, 0), "NULL");
    CHECK_STR(aggregate("range_intersect_agg", T_INT4RANGE, some, 2), "[5,6)");
    CHECK_STR(aggregate("range_intersect_agg", T_INT4RANGE, some, 3), "empty");
}

int main(void)
{
    arena_init(&arena);
    RUN(text);
    RUN(aggregates);
    arena_fini(&arena);
    TEST_END();
}
