/* Aggregate states: the result is that of the multiset, whatever order it came in and whatever was taken back. */
#include "test.h"
#include "types/agg_walk.h"
#include "types/numeric.h"
#include <float.h>
#include <math.h>

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

static const struct agg *find(const char *name, enum type_id t)
{
    for (uint32_t i = 0; i < agg_count(); i++)
        if (strcmp(agg_at(i)->name, name) == 0 && agg_at(i)->arg == t)
            return agg_at(i);
    CHECK(!"no such aggregate");
    return agg_at(0);
}
static void add_text(const struct agg *a, struct agg_state *s, const char *text, int64_t weight)
{
    union val v;
    struct type t = {(enum type_id)a->arg, -1};
    CHECK(type_input(&ctx, t, text, strlen(text), &v));
    agg_update(a, s, &v, weight);
}
static const char *result(const struct agg *a, const struct agg_state *s)
{
    union val v;
    bool null;
    if (!agg_result(a, s, &ctx, &v, &null))
        return ctx.error_text;
    if (null)
        return "NULL";
    struct str t = type_output(&ctx, (enum type_id)a->result, &v);
    return arena_strndup(&arena, (const char *)t.p, t.len);
}

static uint64_t seed = 1;
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Random bits as doubles, over the whole range: what is taken back leaves no trace. */
static void float_sums_do_not_drift(void)
{
    const struct agg *a = find("sum", T_FLOAT8);
    static double values[500];
    struct agg_state s, plain;
    agg_state_init(&s);
    agg_state_init(&plain);
    for (int i = 0; i < 500; i++) {
        uint64_t bits = next_random();
        memcpy(&values[i], &bits, sizeof bits);
        if (!isfinite(values[i]) || fabs(values[i]) > 1e300)
            values[i] = (double)i / 7;
        agg_update(a, &s, &(union val){.f = values[i]}, 3);
    }
    for (int i = 499; i >= 0; i--)
        agg_update(a, &s, &(union val){.f = values[i]}, i % 2 ? -3 : -2);
    for (int i = 0; i < 500; i += 2)
        agg_update(a, &plain, &(union val){.f = values[i]}, 1);
    CHECK(s.count == plain.count);
    CHECK_STR(result(a, &s), result(a, &plain));
    for (int i = 0; i < 500; i += 2)
        agg_update(a, &s, &(union val){.f = values[i]}, -1);
    CHECK_STR(result(a, &s), "NULL");
    CHECK(s.ext == NULL && agg_state_ext_bytes(&s) == 0);
    agg_state_fini(&s);
    agg_state_fini(&plain);
}

static void float_sums_are_exact(void)
{
    const struct agg *a = find("sum", T_FLOAT8), *f4 = find("sum", T_FLOAT4);
    struct agg_state s;
    agg_state_init(&s);
    add_text(a, &s, "0.1", 10);
    CHECK_STR(result(a, &s), "1"); /* ten times the double nearest 0.1, rounded once */
    add_text(a, &s, "1e300", 1);
    add_text(a, &s, "1e-300", 1);
    add_text(a, &s, "1e300", -1);
    add_text(a, &s, "0.1", -10);
    CHECK_STR(result(a, &s), "1e-300");
    add_text(a, &s, "1.7976931348623157e308", 2);
    CHECK_STR(result(a, &s), "value out of range: overflow");
    add_text(a, &s, "-1.7976931348623157e308", 1);
    CHECK_STR(result(a, &s), "1.7976931348623157e+308");
    agg_state_fini(&s);
    agg_state_init(&s);
    add_text(a, &s, "5e-324", 3);
    CHECK_STR(result(a, &s), "1.5e-323");
    add_text(a, &s, "1", 1);
    add_text(a, &s, "1e-16", 1);
    CHECK_STR(result(a, &s), "1");
    add_text(a, &s, "1.1102230246251565e-16", 1); /* half a unit in the last place, and something more */
    CHECK_STR(result(a, &s), "1.0000000000000002");
    agg_state_fini(&s);
    agg_state_init(&s);
    add_text(f4, &s, "16777216", 1);
    add_text(f4, &s, "1", 1);
    CHECK_STR(result(f4, &s), "1.6777216e+07");
    add_text(f4, &s, "1e-45", 1); /* past half way */
    CHECK_STR(result(f4, &s), "1.6777218e+07");
    agg_state_fini(&s);
}

static void float_specials(void)
{
    const struct agg *a = find("sum", T_FLOAT8), *avg = find("avg", T_FLOAT8);
    struct agg_state s;
    agg_state_init(&s);
    add_text(a, &s, "-0", 2);
    CHECK_STR(result(a, &s), "-0");
    CHECK_STR(result(avg, &s), "0");
    add_text(a, &s, "0", 1);
    CHECK_STR(result(a, &s), "0");
    add_text(a, &s, "Infinity", 1);
    CHECK_STR(result(a, &s), "Infinity");
    add_text(a, &s, "-Infinity", 1);
    CHECK_STR(result(a, &s), "NaN");
    add_text(a, &s, "Infinity", -1);
    CHECK_STR(result(a, &s), "-Infinity");
    add_text(a, &s, "NaN", 1);
    CHECK_STR(result(a, &s), "NaN");
    add_text(a, &s, "NaN", -1);
    add_text(a, &s, "-Infinity", -1);
    add_text(a, &s, "2.5", 1);
    CHECK_STR(result(a, &s), "2.5");
    agg_state_fini(&s);
}

static void numeric_scale_follows_the_values(void)
{
    const struct agg *a = find("sum", T_NUMERIC), *avg = find("avg", T_NUMERIC);
    struct agg_state s;
    agg_state_init(&s);
    add_text(a, &s, "1.5", 1);
    CHECK(s.ext == NULL);
    add_text(a, &s, "2.250", 1);
    CHECK_STR(result(a, &s), "3.750");
    add_text(a, &s, "2.250", -1);
    CHECK_STR(result(a, &s), "1.5");
    add_text(a, &s, "1e100", 1);
    CHECK(s.big);
    add_text(a, &s, "1.00000000000000000000", 1);
    add_text(a, &s, "1e100", -1);
    CHECK_STR(result(a, &s), "2.50000000000000000000");
    add_text(a, &s, "1.00000000000000000000", -1);
    CHECK_STR(result(a, &s), "1.5");
    add_text(a, &s, "NaN", 2);
    CHECK_STR(result(a, &s), "NaN");
    add_text(a, &s, "NaN", -2);
    CHECK_STR(result(avg, &s), "1.50000000000000000000");
    add_text(a, &s, "1.5", -1);
    CHECK(s.ext == NULL);
    CHECK_STR(result(a, &s), "NULL");
    add_text(a, &s, "7", 1);
    CHECK_STR(result(a, &s), "7");
    agg_state_fini(&s);
}

static void numeric_retraction_first(void)
{
    const struct agg *a = find("sum", T_NUMERIC);
    struct agg_state s;
    agg_state_init(&s);
    add_text(a, &s, "1.25", -1);
    add_text(a, &s, "3.5", 1);
    CHECK(s.count == 0);
    add_text(a, &s, "1.25", 1);
    CHECK_STR(result(a, &s), "3.5");
    agg_state_fini(&s);
}

static void integer_sums(void)
{
    const struct agg *i8 = find("sum", T_INT8), *i4 = find("sum", T_INT4), *avg = find("avg", T_INT8);
    struct agg_state s;
    agg_state_init(&s);
    add_text(i8, &s, "9223372036854775807", INT64_C(1) << 40);
    CHECK_STR(result(i8, &s), "10141204801825835210874114015232");
    CHECK_STR(result(avg, &s), "9223372036854775807");
    agg_state_fini(&s);
    agg_state_init(&s);
    add_text(i4, &s, "2147483647", INT64_C(1) << 33);
    CHECK_STR(result(i4, &s), "bigint out of range");
    agg_state_fini(&s);
    agg_state_init(&s);
    add_text(avg, &s, "1", 2);
    add_text(avg, &s, "2", 1);
    CHECK_STR(result(avg, &s), "1.3333333333333333");
    agg_state_fini(&s);
}

static void booleans_and_counts(void)
{
    const struct agg *all = find("bool_and", T_BOOL), *any = find("bool_or", T_BOOL),
                     *count = find("count", T_UNKNOWN);
    struct agg_state s;
    agg_state_init(&s);
    CHECK_STR(result(all, &s), "NULL");
    CHECK_STR(result(count, &s), "0");
    add_text(all, &s, "t", 2);
    CHECK_STR(result(all, &s), "t");
    add_text(all, &s, "f", 1);
    CHECK_STR(result(all, &s), "f");
    CHECK_STR(result(any, &s), "t");
    add_text(all, &s, "t", -2);
    CHECK_STR(result(any, &s), "f");
    CHECK_STR(result(count, &s), "1");
    agg_state_fini(&s);
}

static void interval_sums(void)
{
    const struct agg *a = find("sum", T_INTERVAL);
    struct agg_state s;
    agg_state_init(&s);
    add_text(a, &s, "1 mon 2 days", 2);
    add_text(a, &s, "00:00:01", -1);
    CHECK_STR(result(a, &s), "2 mons 4 days -00:00:01");
    add_text(a, &s, "2147483647 days", 1);
    CHECK_STR(result(a, &s), "interval out of range");
    add_text(a, &s, "2147483647 days", -1);
    add_text(a, &s, "00:00:01", 1);
    add_text(a, &s, "1 mon 2 days", -2);
    CHECK_STR(result(a, &s), "NULL");
    CHECK(s.ext == NULL);
    agg_state_fini(&s);
}

/* ---- every accumulator: what is left after insertions and deletions in any order is all that counts ---- */

static const char *const int_texts[] = {"0", "1", "-1", "7", "-32768", "32767", "12"};
static const char *const int8_texts[] = {"0", "9223372036854775807", "-9223372036854775808", "3",
                                         "-1000000007"};
static const char *const numeric_texts[] = {"0",    "1.50",   "-2.250",   "NaN",
                                            "1e60", "-1e-30", "Infinity", "99999999999999999999.5"};
static const char *const float_texts[] = {"0",     "-0",        "1.1", "-2.25e-300", "NaN",
                                          "1e150", "-Infinity", "3",   "5e-324"};
static const char *const float4_texts[] = {"0", "1.5", "-2.25e-30", "NaN", "1e30", "-Infinity", "3"};
static const char *const bool_texts[] = {"t", "f"};
static const char *const interval_texts[] = {"1 day", "-00:00:00.5", "1 mon"};
struct texts {
    const char *const *text;
    uint32_t count;
};
#define TEXTS(list) ((struct texts){list, ARRAY_COUNT(list)})

static struct texts texts_of(enum type_id t)
{
    switch (t) {
    case T_BOOL: return TEXTS(bool_texts);
    case T_INT8: return TEXTS(int8_texts);
    case T_NUMERIC: return TEXTS(numeric_texts);
    case T_FLOAT4: return TEXTS(float4_texts);
    case T_FLOAT8: return TEXTS(float_texts);
    case T_INTERVAL: return TEXTS(interval_texts);
    default: return TEXTS(int_texts);
    }
}

static void random_args(const struct agg *a, union val *v)
{
    for (uint32_t i = 0; i < a->arg_count; i++) {
        struct type t = {(enum type_id)(i ? a->arg2 : a->arg), -1};
        struct texts texts = texts_of(t.id);
        const char *text = texts.text[next_random() % texts.count];
        CHECK(type_input(&ctx, t, text, strlen(text), &v[i]));
    }
}

#define STEPS 24
static void one_random_history(const struct agg *a)
{
    union val v[STEPS][AGG_ARGS_MAX];
    int64_t kept[STEPS], given[STEPS] = {0};
    struct agg_state s, plain;
    agg_state_init(&s);
    agg_state_init(&plain);
    for (int i = 0; i < STEPS; i++) {
        random_args(a, v[i]);
        kept[i] = (int64_t)(next_random() % 3) * (next_random() % 2 ? 1 : 0);
        agg_update(a, &plain, v[i], kept[i]);
    }
    for (int round = 0; round < 100; round++) { /* counts may be negative meanwhile */
        int i = (int)(next_random() % STEPS);
        int64_t weight = (int64_t)(next_random() % 7) - 3;
        agg_update(a, &s, v[i], weight);
        given[i] += weight;
    }
    for (int i = STEPS - 1; i >= 0; i--)
        agg_update(a, &s, v[i], kept[i] - given[i]);
    CHECK(s.count == plain.count);
    CHECK_STR(result(a, &s), result(a, &plain));
    for (int i = 0; i < STEPS; i++)
        agg_update(a, &s, v[i], -kept[i]);
    CHECK(s.count == 0 && s.ext == NULL);
    agg_state_fini(&s);
    agg_state_fini(&plain);
}

static void any_history_gives_the_same(void)
{
    for (uint32_t i = 0; i < agg_count(); i++)
        for (int n = 0; n < 40 && !agg_at(i)->ordered; n++) {
            one_random_history(agg_at(i));
            arena_reset(&arena);
        }
}

static void deviations(void)
{
    const struct agg *samp = find("stddev", T_INT4), *pop = find("var_pop", T_NUMERIC),
                     *f = find("var_pop", T_FLOAT8);
    struct agg_state s;
    agg_state_init(&s);
    add_text(samp, &s, "1", 1);
    CHECK_STR(result(samp, &s), "NULL");
    for (int i = 2; i <= 5; i++)
        add_text(samp, &s, (char[]){(char)('0' + i), 0}, 1);
    CHECK_STR(result(samp, &s), "1.5811388300841897");
    agg_state_fini(&s);
    agg_state_init(&s);
    add_text(pop, &s, "0.10", 3);
    CHECK_STR(result(pop, &s), "0");
    add_text(pop, &s, "0.4", 1);
    CHECK_STR(result(pop, &s), "0.01687500000000000000");
    add_text(pop, &s, "Infinity", 1);
    CHECK_STR(result(pop, &s), "NaN");
    agg_state_fini(&s);
    agg_state_init(&s);
    add_text(f, &s, "1e16", 1); /* no digit of the difference is lost */
    add_text(f, &s, "10000000000000002", 1);
    CHECK_STR(result(f, &s), "1");
    add_text(f, &s, "1.7e308", 1);
    CHECK_STR(result(f, &s), "value out of range: overflow");
    agg_state_fini(&s);
}

/* ---- aggregates made of all values in order ---- */

struct walk_test {
    struct agg_walk w;
    enum type_id types[AGG_ARGS_MAX];
    bool ok;
};

static void walk_begin(struct walk_test *t, const char *name, enum type_id arg, enum type_id a,
                       enum type_id b, double fraction, int64_t total)
{
    t->types[0] = a;
    t->types[1] = b;
    t->ok = true;
    agg_walk_begin(&t->w, find(name, arg), t->types, fraction, total, &ctx);
}

/* NULL texts are NULL. */
static void walk_add(struct walk_test *t, const char *a, const char *b, int64_t count, bool same)
{
    const char *text[AGG_ARGS_MAX] = {a, b};
    union val v[AGG_ARGS_MAX];
    uint8_t states[AGG_ARGS_MAX] = {VAL_NULL, VAL_NULL};
    for (int i = 0; i < AGG_ARGS_MAX; i++) {
        if (!text[i])
            continue;
        CHECK(type_input(&ctx, (struct type){t->types[i], -1}, text[i], strlen(text[i]), &v[i]));
        states[i] = VAL_OK;
    }
    if (t->ok && !t->w.done)
        t->ok = agg_walk_add(&t->w, v, states, count, same);
}

static const char *walk_end(struct walk_test *t)
{
    union val v;
    bool null = false;
    if (!t->ok || !agg_walk_end(&t->w, &v, &null))
        return ctx.error_text;
    if (null)
        return "NULL";
    struct str s = type_output(&ctx, agg_result_type(t->w.agg, t->types[0]).id, &v);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

static void texts_in_order(void)
{
    struct walk_test t;
    walk_begin(&t, "string_agg", T_TEXT, T_TEXT, T_TEXT, 0, 0);
    CHECK_STR(walk_end(&t), "NULL");
    walk_begin(&t, "string_agg", T_TEXT, T_TEXT, T_TEXT, 0, 4);
    walk_add(&t, "a", "-", 2, false);
    walk_add(&t, "b", NULL, 1, false);
    walk_add(&t, "", "+", 1, false);
    CHECK_STR(walk_end(&t), "a-ab+");
    walk_begin(&t, "json_agg", T_UNKNOWN, T_TIMESTAMPTZ, T_UNKNOWN, 0, 3);
    walk_add(&t, "2024-02-29 12:00:00.5+00", NULL, 1, false);
    walk_add(&t, "0044-03-15 00:00:00+00 BC", NULL, 1, false);
    walk_add(&t, "-infinity", NULL, 1, false);
    walk_add(&t, NULL, NULL, 1, false);
    CHECK_STR(walk_end(&t),
              "[\"2024-02-29T12:00:00.5+00:00\", \"0044-03-15T00:00:00+00:00 BC\", \"-infinity\", null]");
    walk_begin(&t, "jsonb_object_agg", T_UNKNOWN, T_BOOL, T_NUMERIC, 0, 3);
    walk_add(&t, "t", "1.50", 1, false);
    walk_add(&t, "f", "NaN", 1, false);
    walk_add(&t, "t", NULL, 1, false);
    CHECK_STR(walk_end(&t), "{\"true\": null, \"false\": \"NaN\"}");
    walk_begin(&t, "json_object_agg", T_UNKNOWN, T_TEXT, T_INT4, 0, 1);
    walk_add(&t, NULL, "1", 1, false);
    CHECK_STR(walk_end(&t), "field name must not be null");
    walk_begin(&t, "json_object_agg", T_UNKNOWN, T_JSON, T_INT4, 0, 1);
    walk_add(&t, "{}", "1", 1, false);
    CHECK_STR(walk_end(&t), "key value must be scalar, not array, composite, or json");
}

static void arrays_of_arrays(void)
{
    struct walk_test t;
    static const struct {
        const char *first, *second, *want;
    } cases[] = {{"{1,2}", "{3,NULL}", "{{1,2},{3,NULL}}"},
                 {"[0:1]={1,2}", "[0:1]={3,4}", "[1:2][0:1]={{1,2},{3,4}}"},
                 {"{{1},{2}}", "{{3},{4}}", "{{{1},{2}},{{3},{4}}}"},
                 {"{}", "{1}", "cannot accumulate empty arrays"},
                 {"{1}", NULL, "cannot accumulate null arrays"},
                 {"{1}", "{1,2}", "cannot accumulate arrays of different dimensionality"},
                 {"{1}", "[0:0]={1}", "cannot accumulate arrays of different dimensionality"},
                 {"{1}", "{{1}}", "cannot accumulate arrays of different dimensionality"},
                 {"{{{{{{1}}}}}}", "{1}", "number of array dimensions (7) exceeds the maximum allowed (6)"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        walk_begin(&t, "array_agg", T_UNKNOWN, type_array(T_INT4), T_UNKNOWN, 0, 2);
        walk_add(&t, cases[i].first, NULL, 1, false);
        walk_add(&t, cases[i].second, NULL, 1, false);
        CHECK_STR(walk_end(&t), cases[i].want);
    }
    walk_begin(&t, "array_agg", T_UNKNOWN, type_array(T_INT4), T_UNKNOWN, 0, 0);
    CHECK_STR(walk_end(&t), "NULL");
}

static void different_keys_are_counted(void)
{
    struct walk_test t = {.types = {T_INT4}, .ok = true};
    agg_walk_begin(&t.w, agg_dense_rank(), t.types, 0, 0, &ctx);
    CHECK_STR(walk_end(&t), "0");
    agg_walk_begin(&t.w, agg_dense_rank(), t.types, 0, 6, &ctx);
    walk_add(&t, "1", NULL, 3, false);
    walk_add(&t, "1", NULL, 1, true);
    walk_add(&t, "2", NULL, 1, false);
    walk_add(&t, NULL, NULL, 1, false);
    CHECK_STR(walk_end(&t), "3");
}

static void long_results_are_refused(void)
{
    struct walk_test t;
    const uint8_t states[AGG_ARGS_MAX] = {VAL_OK, VAL_OK};
    uint8_t *bytes = arena_zalloc(&arena, AGG_RESULT_BYTES_MAX);
    union val v[AGG_ARGS_MAX] = {{.s = {bytes, AGG_RESULT_BYTES_MAX, 0}}, {.s = {bytes, 0, 0}}};
    walk_begin(&t, "string_agg", T_BYTEA, T_BYTEA, T_BYTEA, 0, 2);
    CHECK(agg_walk_add(&t.w, v, states, 1, false));
    v[0].s.len = 1;
    CHECK(!agg_walk_add(&t.w, v, states, 1, false));
    CHECK_STR(ctx.error_text, "result of string_agg is longer than 16777216 bytes");
}

static void percentiles_and_modes(void)
{
    struct walk_test t;
    static const struct {
        double fraction;
        const char *cont, *disc;
    } cases[] = {{0, "1", "1"},   {0.25, "1.75", "1"}, {0.3, "1.9", "2"},
                 {0.5, "2", "2"}, {1, "5", "5"},       {NAN, "NULL", "NULL"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        for (int disc = 0; disc < 2; disc++) {
            walk_begin(&t, disc ? "percentile_disc" : "percentile_cont", disc ? T_UNKNOWN : T_FLOAT8,
                       T_FLOAT8, T_UNKNOWN, cases[i].fraction, 4);
            walk_add(&t, "1", NULL, 1, false);
            walk_add(&t, "2", NULL, 2, false);
            walk_add(&t, "5", NULL, 1, false);
            CHECK_STR(walk_end(&t), disc ? cases[i].disc : cases[i].cont);
        }
    walk_begin(&t, "percentile_cont", T_INTERVAL, T_INTERVAL, T_UNKNOWN, 0.5, 2);
    walk_add(&t, "1 day", NULL, 1, false);
    walk_add(&t, "1 mon", NULL, 1, false);
    CHECK_STR(walk_end(&t), "16 days -12:00:00");
    walk_begin(&t, "mode", T_UNKNOWN, T_TEXT, T_UNKNOWN, 0, 5);
    walk_add(&t, "a", NULL, 1, false);
    walk_add(&t, "b", NULL, 1, false);
    walk_add(&t, "b", NULL, 1, true);
    walk_add(&t, "c", NULL, 2, false);
    CHECK_STR(walk_end(&t), "b");
}

int main(void)
{
    arena_init(&arena);
    RUN(float_sums_do_not_drift);
    RUN(float_sums_are_exact);
    RUN(float_specials);
    RUN(numeric_scale_follows_the_values);
    RUN(numeric_retraction_first);
    RUN(integer_sums);
    RUN(booleans_and_counts);
    RUN(interval_sums);
    RUN(any_history_gives_the_same);
    RUN(deviations);
    RUN(texts_in_order);
    RUN(arrays_of_arrays);
    RUN(different_keys_are_counted);
    RUN(long_results_are_refused);
    RUN(percentiles_and_modes);
    arena_fini(&arena);
    TEST_END();
}
