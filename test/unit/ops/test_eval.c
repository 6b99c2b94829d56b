/* Expressions over batches: every kind, what is evaluated at all (a guarded 1/0 is no error), three-valued logic, and the
 * agreement of vector with scalar kernels. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/ops/ops_test.h"

#include "ops/eval.h"

static struct column columns[] = {{"a", {T_INT4, -1}, false, NULL},
                                  {"b", {T_INT4, -1}, false, NULL},
                                  {"s", {T_TEXT, -1}, false, NULL},
                                  {"p", {T_BOOL, -1}, false, NULL},
                                  {"q", {T_BOOL, -1}, false, NULL}};
static const struct table_def table = {"t", "x", {5, columns}, 0, NULL, 0, .table_index = 0};

/* The expression over rows "a|b|s|p|q" separated by ';': values separated by blanks, "!" for an error, "-" for NULL. */
static const char *eval(const char *expression, const char *rows)
{
    static char out[4096];
    char *sql = xprintf("CREATE VIEW v AS SELECT %s AS e FROM t.x;", expression), *copy = xstrdup(rows),
         *rest = copy;
    struct sql_text text = {"test.sql", sql, 1};
    struct api_request api = {.path = "v", .view = "v", .file = "test"};
    struct plan *plan = NULL;
    struct plan_node *node;
    struct err *e = plan_build(&table, 1, &text, 1, &api, 1, &plan);
    snprintf(out, sizeof out, "not planned");
    if (e) {
        err_print(stdout, e);
        err_free(e);
    }
    for (uint32_t i = 0; plan && i < plan->node_count; i++) {
        node = plan->nodes[i];
        if (node->kind != PLAN_MAP || node->inputs[0]->kind != PLAN_TABLE)
            continue;
        struct batch *b = batch_new(5);
        for (char *row; (row = strsep(&rest, ";"));)
            batch_add_text(b, &table.schema, row, 1);
        struct eval *ev = eval_new(node->u.exprs[0]);
        struct vec v = eval_run(ev, b);
        struct arena arena;
        struct fn_ctx ctx = {.arena = &arena};
        arena_init(&arena);
        size_t n = 0;
        for (uint32_t r = 0; r < b->row_count; r++) {
            struct str s = v.state[r] == VAL_ERROR ? STR_LIT("!")
                           : v.state[r] == VAL_NULL
                               ? STR_LIT("-")
                               : type_output(&ctx, node->schema.columns[0].type.id, &v.v[r]);
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", r ? " " : "", (int)s.len,
                                  (const char *)s.p);
        }
        arena_fini(&arena);
        eval_free(ev);
        batch_free(b);
        break;
    }
    if (plan)
        plan_free(plan);
    free(copy);
    free(sql);
    return out;
}

#define LOGIC "0|0|x|t|t;0|0|x|t|f;0|0|x|t|-;0|0|x|f|t;0|0|x|f|f;0|0|x|f|-;0|0|x|-|t;0|0|x|-|f;0|0|x|-|-"

static void case_30_three_valued_logic(void)
{
    CHECK_STR(eval("p AND q", LOGIC), "t f - f f f - f -");
    CHECK_STR(eval("p OR q", LOGIC), "t t t t f - t - -");
    CHECK_STR(eval("NOT p", LOGIC), "f f f t t t - - -");
    CHECK_STR(eval("p IS TRUE", LOGIC), "t t t f f f f f f");
    CHECK_STR(eval("p IS NOT TRUE", LOGIC), "f f f t t t t t t");
    CHECK_STR(eval("p IS FALSE", LOGIC), "f f f t t t f f f");
    CHECK_STR(eval("p IS NOT FALSE", LOGIC), "t t t f f f t t t");
    CHECK_STR(eval("p IS UNKNOWN", LOGIC), "f f f f f f t t t");
    CHECK_STR(eval("p IS NOT NULL", LOGIC), "t t t t t t f f f");
    CHECK_STR(eval("p IS DISTINCT FROM q", LOGIC), "f t t t f t t t f");
    CHECK_STR(eval("p IS NOT DISTINCT FROM q", LOGIC), "t f f f t f f f t");
}

#define NUMBERS "1|0|x|t|t;2|2|x|t|t;-|3|x|t|t;6|-|x|t|t;0|0|y|f|f"

static void case_30_in_with_nulls(void)
{
    CHECK_STR(eval("a IN (1, 2)", NUMBERS), "t t - f f");
    CHECK_STR(eval("a IN (1, NULL)", NUMBERS), "t - - - -");
    CHECK_STR(eval("a NOT IN (1, NULL)", NUMBERS), "f - - - -");
    CHECK_STR(eval("a IN (b, 6)", NUMBERS), "f t - t t");
    CHECK_STR(eval("a IN (2, 1 / b)", NUMBERS), "! t - - !"); /* the first equal one ends it */
}

static void guards_keep_errors_away(void)
{
    CHECK_STR(eval("6 / b", NUMBERS), "! 3 2 - !");
    CHECK_STR(eval("CASE WHEN b = 0 THEN -1 ELSE 6 / b END", NUMBERS), "-1 3 2 - -1");
    CHECK_STR(eval("CASE b WHEN 0 THEN 0 WHEN 2 THEN 10 / (b - 2) END", NUMBERS), "0 ! - - 0");
    CHECK_STR(eval("CASE WHEN 1 / b > 0 THEN 'yes' WHEN a > 1 THEN 'a' ELSE s END", NUMBERS), "! a x a !");
    CHECK_STR(eval("b <> 0 AND 6 / b > 2", NUMBERS), "f t f - f");
    CHECK_STR(eval("b = 0 OR 6 / b > 2", NUMBERS), "t t f - t");
    CHECK_STR(eval("6 / b > 2 AND b <> 0", NUMBERS), "! t f - !");     /* left to right */
    CHECK_STR(eval("NULL::bool AND 1 / b = 1", NUMBERS), "! f f - !"); /* NULL does not decide */
    CHECK_STR(eval("coalesce(a, 6 / (b - 3))", NUMBERS), "1 2 ! 6 0");
    CHECK_STR(eval("coalesce(a, b)", NUMBERS), "1 2 3 6 0");
    CHECK_STR(eval("CASE WHEN p THEN CASE WHEN a = 1 THEN 10 ELSE a / b END ELSE 1 / b END", NUMBERS),
              "10 1 - - !");
}

static void other_forms(void)
{
    CHECK_STR(eval("nullif(a, b)", NUMBERS), "1 - - 6 -");
    CHECK_STR(eval("nullif(6 / b, 3)", NUMBERS), "! - 2 - !");
    CHECK_STR(eval("greatest(a, b, 2)", NUMBERS), "2 2 3 6 2");
    CHECK_STR(eval("least(a, b)", NUMBERS), "0 2 3 6 0");
    CHECK_STR(eval("greatest(a, 6 / b)", NUMBERS), "! 3 2 6 !");
    CHECK_STR(eval("a::text || s", NUMBERS), "1x 2x - 6x 0y");
    CHECK_STR(eval("s::int4", "1|1|12|t|t;1|1|no|t|t;1|1|-|t|t"), "12 ! -");
    CHECK_STR(eval("s::varchar(2)", "1|1|abc|t|t;1|1|-|t|t"), "ab -");
    CHECK_STR(eval("a + 0", "2147483647|0|x|t|t"), "2147483647");
    CHECK_STR(eval("a + 1", "2147483647|0|x|t|t;1|0|x|t|t"), "! 2");
    CHECK_STR(eval("7", NUMBERS), "7 7 7 7 7");
    CHECK_STR(eval("a", NUMBERS), "1 2 - 6 0");
}

static bool same_value(enum type_id t, uint8_t s, const union val *v, uint8_t s2, const union val *v2)
{
    return s == s2 && (s != VAL_OK || val_cmp(t, v, v2) == 0);
}

/* Every function that has both kernels, over delicate and random values of its arguments' types. */
static void vector_kernels_agree_with_scalar_ones(void)
{
    static const char *const ints[] = {"0", "1", "-1", "2", "7", "-7", "32767", "-32768", "31", "100"};
    static const char *const wide[] = {"2147483647", "-2147483648", "9223372036854775807",
                                       "-9223372036854775808"};
    static const char *const others[] = {"0.5",      "NaN",        "Infinity", "-Infinity", "1e300", "-1e300",
                                         "-0",       "2020-02-29", "t",        "f",         "abc",   "",
                                         "12:30:00", "1 day",      "{}",       "infinity"};
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    uint32_t checked = 0;
    arena_init(&arena);
    for (uint32_t section = 0; section < fn_section_count(); section++)
        for (uint32_t f = 0; f < fn_section(section).count; f++) {
            const struct fn *fn = &fn_section(section).rows[f];
            if (!fn->eval_vec)
                continue;
            union val pool[2][40], a[BATCH_ROWS], b[BATCH_ROWS], out[BATCH_ROWS];
            uint8_t state[BATCH_ROWS];
            uint32_t count[2] = {0, 0}, n = 0;
            for (uint32_t arg = 0; arg < fn->arg_count && arg < 2; arg++) {
                struct type t = {(enum type_id)fn->args[arg], -1};
                for (size_t i = 0; i < ARRAY_COUNT(ints) + ARRAY_COUNT(wide) + ARRAY_COUNT(others); i++) {
                    size_t k = i - ARRAY_COUNT(ints);
                    const char *s = i < ARRAY_COUNT(ints)   ? ints[i]
                                    : k < ARRAY_COUNT(wide) ? wide[k]
                                                            : others[k - ARRAY_COUNT(wide)];
                    count[arg] += type_input(&ctx, t, s, strlen(s), &pool[arg][count[arg]]);
                }
            }
            for (uint32_t i = 0; i < count[0]; i++)
                for (uint32_t k = 0; k < (fn->arg_count == 2 ? count[1] : 1) && n < BATCH_ROWS; k++, n++) {
                    a[n] = pool[0][i];
                    b[n] = pool[1][fn->arg_count == 2 ? k : 0];
                    state[n] = n % 7 == 3 ? VAL_NULL : VAL_OK;
                }
            fn->eval_vec(&ctx, n, a, fn->arg_count == 2 ? b : NULL, out, state);
            for (uint32_t r = 0; r < n; r++) {
                union val args[2] = {a[r], b[r]}, want = {.i = 0};
                const bool null[2] = {false, false};
                bool is_null = false;
                uint8_t s = VAL_NULL;
                if (r % 7 != 3)
                    s = !fn->eval(&ctx, args, null, fn->arg_count, &want, &is_null) ? VAL_ERROR
                        : is_null                                                   ? VAL_NULL
                                                                                    : VAL_OK;
                bool same = same_value((enum type_id)fn->result, s, &want, state[r], &out[r]);
                CHECK(same);
                if (!same)
                    printf("# %s of %s, row %u\n", fn->name, type_info((enum type_id)fn->args[0])->name, r);
                checked++;
            }
            arena_reset(&arena);
        }
    CHECK(checked > 1000);
    arena_fini(&arena);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    RUN(case_30_three_valued_logic);
    RUN(case_30_in_with_nulls);
    RUN(guards_keep_errors_away);
    RUN(other_forms);
    RUN(vector_kernels_agree_with_scalar_ones);
    TEST_END();
}
