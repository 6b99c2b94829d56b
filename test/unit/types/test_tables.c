/* The tables: names of types, lookup of rows, well-formedness of every row, vector kernels, the generated reference. */
#include "test.h"
#include "types/agg.h"
#include "types/func.h"
#include "types/numeric.h"
#include "types/sql_doc.h"

static struct arena arena;

static void type_names(void)
{
    static const struct {
        const char *name;
        enum type_id id;
    } names[] = {
        {"int", T_INT4},
        {"INTEGER", T_INT4},
        {"int8", T_INT8},
        {"bigint", T_INT8},
        {"smallint", T_INT2},
        {"real", T_FLOAT4},
        {"double precision", T_FLOAT8},
        {"Double   Precision", T_FLOAT8},
        {"float", T_FLOAT8},
        {"decimal", T_NUMERIC},
        {"numeric", T_NUMERIC},
        {"varchar", T_VARCHAR},
        {"character varying", T_VARCHAR},
        {"char", T_BPCHAR},
        {"character", T_BPCHAR},
        {"bool", T_BOOL},
        {"timestamptz", T_TIMESTAMPTZ},
        {"timestamp with time zone", T_TIMESTAMPTZ},
        {"timestamp", T_TIMESTAMP},
        {"timestamp without time zone", T_TIMESTAMP},
        {"time", T_TIME},
        {"pg_catalog.int4", T_INT4},
        {" text ", T_TEXT},
        {"jsonb", T_JSONB},
        {"integer[]", T_ARRAYS + T_INT4},
        {"int[3]", T_ARRAYS + T_INT4},
        {"character varying [] []", T_ARRAYS + T_VARCHAR},
        {"_timestamptz", T_ARRAYS + T_TIMESTAMPTZ},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct type_info *t = type_by_name(names[i].name);
        CHECK(t && t->id == names[i].id);
    }
    CHECK(type_by_name("money") == NULL && type_by_name("") == NULL);
    CHECK(type_by_name("unknown[]") == NULL && type_by_name("[]") == NULL && type_by_name("int[x]") == NULL &&
          type_by_name("_int4[]") == NULL && type_by_oid(0) == NULL);
    for (int i = 0; i < T_COUNT; i++) {
        if (i == T_ARRAYS) /* an array of literals without a type: there is none */
            continue;
        const struct type_info *t = type_info((enum type_id)i);
        CHECK(t->id == (enum type_id)i && (t->oid == 0 || type_by_oid(t->oid) == t) &&
              type_by_name(t->name) == t && type_by_name(t->pg_name) == t);
    }
}

static void type_formats(void)
{
    char buf[80];
    CHECK_STR(type_format((struct type){T_NUMERIC, ((10 << 16) | 2) + 4}, buf, sizeof buf), "numeric(10,2)");
    CHECK_STR(type_format((struct type){T_NUMERIC, ((3 << 16) | (-2 & 0x7ff)) + 4}, buf, sizeof buf),
              "numeric(3,-2)");
    CHECK_STR(type_format((struct type){T_NUMERIC, -1}, buf, sizeof buf), "numeric");
    CHECK_STR(type_format((struct type){T_VARCHAR, 24}, buf, sizeof buf), "character varying(20)");
    CHECK_STR(type_format((struct type){T_BPCHAR, 5}, buf, sizeof buf), "character(1)");
    CHECK_STR(type_format((struct type){T_BPCHAR, -1}, buf, sizeof buf), "bpchar");
    CHECK_STR(type_format((struct type){T_TIMESTAMP, 3}, buf, sizeof buf), "timestamp(3) without time zone");
    CHECK_STR(type_format((struct type){T_TIMESTAMPTZ, 0}, buf, sizeof buf), "timestamp(0) with time zone");
    CHECK_STR(type_format((struct type){T_INT4, -1}, buf, sizeof buf), "integer");
    CHECK_STR(type_format((struct type){T_ARRAYS + T_BPCHAR, 5}, buf, sizeof buf), "character(1)[]");
    CHECK_STR(type_format((struct type){T_ARRAYS + T_INTERVAL, -1}, buf, sizeof buf), "interval[]");
}

static void rows_are_well_formed(void)
{
    for (uint32_t s = 0; s < fn_section_count(); s++) {
        struct fn_list list = fn_section(s);
        for (uint32_t i = 0; i < list.count; i++) {
            const struct fn *f = &list.rows[i], *found[256];
            bool is_operator = f->flags & FN_OPERATOR, here = false;
            CHECK(f->eval && f->arg_count <= FN_ARGS_MAX && f->result > T_UNKNOWN && f->result < T_ANY_END);
            CHECK(is_operator || f->doc);
            CHECK(!is_operator || f->arg_count == (f->flags & FN_PREFIX ? 1 : 2));
            CHECK(!f->eval_vec || (f->flags & FN_STRICT && f->arg_count <= 2));
            uint32_t n = fn_find(f->name, is_operator, found, 256);
            for (uint32_t k = 0; k < n; k++) {
                bool same = found[k]->arg_count == f->arg_count &&
                            (found[k]->flags & FN_PREFIX) == (f->flags & FN_PREFIX) &&
                            memcmp(found[k]->args, f->args, f->arg_count) == 0;
                here |= found[k] == f;
                CHECK(found[k] == f || !same); /* one row per signature */
            }
            CHECK(here);
            if (!here)
                printf("# %s\n", f->name);
        }
    }
    const struct fn *none[1];
    CHECK(fn_find("no_such_function", false, none, 1) == 0);
    CHECK(fn_find("+", false, none, 1) == 0);
    CHECK(fn_find("+", true, none, 1) == 1);
}

static void casts_are_found(void)
{
    for (uint32_t i = 0; i < cast_count(); i++)
        CHECK(cast_find((enum type_id)cast_at(i)->from, (enum type_id)cast_at(i)->to) == cast_at(i));
    CHECK(cast_find(T_BOOL, T_DATE) == NULL);
    CHECK(cast_find(T_INT4, T_INT8)->context == CAST_IMPLICIT &&
          cast_find(T_INT8, T_INT4)->context == CAST_ASSIGNMENT);
    for (int t = T_BOOL; t < T_COUNT; t++)
        CHECK(t == T_TEXT || t == T_ARRAYS || cast_find((enum type_id)t, T_TEXT));
    CHECK(cast_find(T_ARRAYS + T_INT4, T_ARRAYS + T_INT8)->eval == NULL);
    CHECK(cast_find(T_ARRAYS + T_NUMERIC, T_ARRAYS + T_INT2)->context == CAST_ASSIGNMENT);
    CHECK(!cast_find(T_ARRAYS + T_BOOL, T_ARRAYS + T_DATE) && !cast_find(T_INT4, T_ARRAYS + T_INT4));
}

static void length_coercion(void)
{
    struct fn_ctx ctx = {.arena = &arena};
    struct type v3 = {T_VARCHAR, 4 + 3}, c5 = {T_BPCHAR, 4 + 5};
    union val v = {.s = STR_LIT("abcde")};
    CHECK(!type_apply_typmod(&ctx, v3, false, &v) && ctx.error == FN_STRING_TOO_LONG);
    CHECK_STR(ctx.error_text, "value too long for type character varying(3)");
    CHECK(type_apply_typmod(&ctx, v3, true, &v) && v.s.len == 3);
    v.s = STR_LIT("abc   ");
    CHECK(type_apply_typmod(&ctx, v3, false, &v) && v.s.len == 3);
    v.s = STR_LIT("\xc3\xa4"); /* one character of two bytes */
    CHECK(type_apply_typmod(&ctx, c5, false, &v) && v.s.len == 6 && memcmp(v.s.p, "\xc3\xa4    ", 6) == 0);
    v.s = (struct str){0};
    CHECK(type_apply_typmod(&ctx, c5, false, &v) && v.s.len == 5);
}

/* Only rows that were VAL_OK may fail, and each failing one does. */
static void vector_kernels_mark_failures(void)
{
    const struct fn *rows[256];
    struct fn_ctx ctx = {.arena = &arena};
    uint32_t n = fn_find("*", true, rows, 256), seen = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!rows[i]->eval_vec || rows[i]->args[0] != T_INT4 || rows[i]->args[1] != T_INT4)
            continue;
        union val a[4] = {{.i = INT32_MAX}, {.i = 3}, {.i = INT32_MAX}, {.i = -1}},
                  b[4] = {{.i = 2}, {.i = 4}, {.i = 2}, {.i = 7}}, out[4];
        uint8_t state[4] = {VAL_OK, VAL_OK, VAL_NULL, VAL_OK};
        rows[i]->eval_vec(&ctx, 4, a, b, out, state);
        CHECK(state[0] == VAL_ERROR && state[1] == VAL_OK && state[2] == VAL_NULL && state[3] == VAL_OK);
        CHECK(out[1].i == 12 && out[3].i == -7);
        CHECK(ctx.error == FN_OUT_OF_RANGE);
        CHECK_STR(ctx.error_text, "integer out of range");
        seen++;
    }
    CHECK(seen == 1);
}

/* On the heap and no longer than it is, so that a byte too far is seen. */
static bool call_texts(const char *name, uint32_t arg_count, const char *const *texts, struct fn_ctx *ctx,
                       union val *out)
{
    const struct fn *rows[16];
    uint32_t n = fn_find(name, false, rows, 16), k = 0;
    union val args[2];
    bool is_null = false, null[2] = {false};
    while (k < n && (rows[k]->arg_count != arg_count || rows[k]->args[arg_count - 1] != T_TEXT))
        k++;
    CHECK(k < n);
    for (uint32_t i = 0; i < arg_count; i++) {
        size_t len = strlen(texts[i]);
        uint8_t *p = malloc(len ? len : 1);
        memcpy(p, texts[i], len);
        args[i].s = (struct str){p, (uint32_t)len, 0};
    }
    ctx->error = FN_OK;
    bool ok = rows[k]->eval(ctx, args, null, arg_count, out, &is_null);
    for (uint32_t i = 0; i < arg_count; i++)
        free((void *)args[i].s.p);
    return ok;
}

static const char *repeated(const char *part, int count)
{
    char *text = arena_alloc(&arena, strlen(part) * (size_t)count + 1), *p = text;
    for (int i = 0; i < count; i++)
        p = stpcpy(p, part);
    return text;
}

/* A numeric's precision has 16 bits: what runs over does so as in PostgreSQL. */
static void templates_of_many_digits(void)
{
    struct fn_ctx ctx = {.arena = &arena};
    union val v;
    const char *nines = repeated("9", 40000), *scale = arena_printf(&arena, "9V%s", nines);
    CHECK(call_texts("to_number", 2, (const char *[]){"12", nines}, &ctx, &v));
    CHECK(num_format(&ctx, &v.n).len == 2);
    CHECK(call_texts("to_number", 2, (const char *[]){"1", repeated("9", 65540)}, &ctx, &v));
    CHECK(!call_texts("to_number", 2, (const char *[]){"12", repeated("9", 65537)}, &ctx, &v));
    CHECK(ctx.error == FN_OUT_OF_RANGE);
    CHECK(call_texts("to_number", 2, (const char *[]){"0.5", "9.9"}, &ctx, &v));
    CHECK(call_texts("to_number", 2, (const char *[]){"5", scale}, &ctx, &v));
}

static void identifiers_of_any_bytes(void)
{
    struct fn_ctx ctx = {.arena = &arena};
    union val v;
    static const char *const good[] = {"a", "\"a\"", "\"\"\"\"", " _x . \"y z\" ", "\x80", "\xff.\xc3"};
    static const char *const bad[] = {"",   " ",    "\"",      "\"\"", "\"\"\"", "a.",
                                      ".a", "a.\"", "\"a\"\"", "1",    "\x01",   "a."};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++)
        CHECK(call_texts("parse_ident", 1, &good[i], &ctx, &v));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        CHECK(!call_texts("parse_ident", 1, &bad[i], &ctx, &v) && ctx.error == FN_BAD_ARGUMENT);
    const char *many = arena_printf(&arena, "%sa", repeated("a.", 300000)),
               *open = arena_printf(&arena, "\"%s", repeated("é", 90));
    CHECK(call_texts("parse_ident", 1, &many, &ctx, &v));
    CHECK(!call_texts("parse_ident", 1, &open, &ctx, &v));
    CHECK_STR(ctx.error_text,
              arena_printf(&arena, "string is not a valid identifier: \"\"%s\"", repeated("é", 49)));
}

static void sqlstates(void)
{
    for (int e = FN_OK; e < FN_ERROR_COUNT; e++)
        CHECK(strcmp(fn_error_sqlstate((enum fn_error)e), "XX000") != 0);
    CHECK_STR(fn_error_sqlstate(FN_DIVISION_BY_ZERO), "22012");
}

static void reference_is_written(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    sql_doc_write(f);
    fclose(f);
    CHECK(strstr(text, "| `substr(text, integer, integer)` | text |"));
    CHECK(strstr(text, "| `\\|\\|` | text | text | text |"));
    CHECK(strstr(text, "| `count(*)` | bigint |"));
    CHECK(strstr(text, "| integer | bigint | implicit |"));
    free(text);
}

int main(void)
{
    arena_init(&arena);
    RUN(type_names);
    RUN(type_formats);
    RUN(rows_are_well_formed);
    RUN(casts_are_found);
    RUN(length_coercion);
    RUN(vector_kernels_mark_failures);
    RUN(templates_of_many_digits);
    RUN(identifiers_of_any_bytes);
    RUN(sqlstates);
    RUN(reference_is_written);
    arena_fini(&arena);
    TEST_END();
}
