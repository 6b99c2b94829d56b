/* Evaluates rows of the function, cast and aggregate tables on values given as text, for the comparison with
 * PostgreSQL (test/e2e/test_functions.py).
 *
 * `fneval list` prints the tables: kind, name, flags, argument types, result type, separated by tabs.
 * `fneval` reads lines of tab-separated fields (\N is NULL; \t \n \\ escaped):
 *   fn|op NAME TYPES ARG...          TYPES: pg_type names joined by commas; of a polymorphic row the declared
 *                                    type, a colon and the actual one, and at the end >RESULT
 *   set NAME TYPES ARG...            a set-returning function: its rows, a line each, columns joined by a bar
 *   cast FROM TO ARG
 *   agg NAME TYPE ARG...             an ARG that starts with '-' or '+' sign letter carries a weight: see weighted()
 *   in TYPE TYPMOD ARG               text input with a typmod
 *   typmod TYPE TYPMOD ARG           explicit length coercion
 *   cmp TYPE ARG ARG                 sign of val_cmp
 * and prints for each `V text`, `N` or `E sqlstate message`. */
#include "types/agg.h"
#include "types/enum_type.h"
#include "types/func.h"
#include "types/set_fn.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX     64
#define LINE_MAX_BYTES (1 << 22)

struct field {
    char *p;
    size_t len;
    bool null;
};

static size_t unescape(char *p)
{
    char *w = p;
    const char *start = p;
    for (; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            *w++ = *p == 't' ? '\t' : *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p;
        } else {
            *w++ = *p;
        }
    }
    *w = '\0';
    return (size_t)(w - start);
}

static unsigned split(char *line, struct field *f)
{
    unsigned n = 0;
    for (char *p = line; p && n < FIELDS_MAX; n++) {
        char *next = strchr(p, '\t');
        if (next)
            *next++ = '\0';
        f[n].p = p;
        f[n].null = strcmp(p, "\\N") == 0;
        f[n].len = f[n].null ? 0 : unescape(p);
        p = next;
    }
    return n;
}

static void print_escaped(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '\\' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r')
            putchar('\\');
        putchar(p[i] == '\t' ? 't' : p[i] == '\n' ? 'n' : p[i] == '\r' ? 'r' : p[i]);
    }
}

static void print_value(struct fn_ctx *ctx, enum type_id t, const union val *v)
{
    struct str s = type_output(ctx, t, v);
    printf("V ");
    print_escaped(s.p, s.len);
    putchar('\n');
}

static void print_error(const struct fn_ctx *ctx)
{
    printf("E %s ", fn_error_sqlstate(ctx->error));
    print_escaped((const uint8_t *)ctx->error_text, strlen(ctx->error_text));
    putchar('\n');
}

static enum type_id type_named(const char *name)
{
    for (int t = T_COUNT; t < T_ANY_END; t++)
        if (strcmp(name, type_info((enum type_id)t)->name) == 0)
            return (enum type_id)t;
    bool several, is_array = *name == '_' && !type_by_name(name);
    enum type_id id = enum_type_find(name + is_array, &several);
    if (id != T_UNKNOWN)
        return is_array ? type_array(id) : id;
    const struct type_info *t = type_by_name(name);
    if (!t) {
        fprintf(stderr, "fneval: unknown type %s\n", name);
        exit(2);
    }
    return t->id;
}

/* A value of type t; "unknown" stands for any and is passed as text. */
static bool read_value(struct fn_ctx *ctx, enum type_id t, const struct field *f, union val *out)
{
    struct type type = {t == T_UNKNOWN ? T_TEXT : t, -1};
    return f->null || type_input(ctx, type, f->p, f->len, out);
}

/* Arguments of type any that come as json. */
static void quote_json(struct fn_ctx *ctx, union val *v)
{
    const struct fn *rows[32];
    bool null = false;
    for (uint32_t i = 0, n = fn_find("to_json", false, rows, 32); i < n; i++)
        if (rows[i]->args[0] == T_TEXT)
            rows[i]->eval(ctx, v, &null, 1, v, &null);
}

/* The declared types of the arguments; their number. call: the types of result and arguments, as struct fn_ctx wants
 * them. */
static unsigned read_types(char *types, enum type_id *want, uint8_t *call)
{
    unsigned count = 0;
    for (char *save, *t = strtok_r(types, ",", &save); t && count < FN_ARGS_MAX;
         t = strtok_r(NULL, ",", &save)) {
        char *actual = strchr(t, ':');
        if (*t == '>') {
            call[0] = (uint8_t)type_named(t + 1);
            continue;
        }
        if (actual)
            *actual++ = '\0';
        want[count++] = type_named(t);
        call[count] = (uint8_t)type_named(actual ? actual : t);
    }
    return count;
}

static const struct fn *row_of(bool is_operator, const char *name, char *types, uint8_t *call)
{
    const struct fn *rows[512];
    enum type_id want[FN_ARGS_MAX];
    unsigned count = read_types(types, want, call);
    unsigned n = fn_find(name, is_operator, rows, 512);
    for (unsigned i = 0; i < n; i++) {
        bool same = rows[i]->arg_count == count;
        for (unsigned a = 0; a < count && same; a++)
            same = rows[i]->args[a] == want[a];
        if (same) {
            if (rows[i]->result < T_COUNT)
                call[0] = rows[i]->result;
            return rows[i];
        }
    }
    fprintf(stderr, "fneval: no row %s\n", name);
    exit(2);
}

static void check_vector(struct fn_ctx *ctx, const struct fn *fn, const union val *args,
                         const union val *result, bool ok)
{
    union val a[3] = {args[0], args[0], args[0]}, b[3] = {args[1], args[1], args[1]}, out[3];
    uint8_t state[3] = {VAL_OK, VAL_NULL, VAL_OK};
    struct fn_ctx again = {.arena = ctx->arena, .zone = ctx->zone};
    fn->eval_vec(&again, 3, a, fn->arg_count > 1 ? b : NULL, out, state);
    bool same = (state[2] == VAL_OK) == ok && state[0] == state[2] && state[1] == VAL_NULL;
    if (ok && same) {
        struct str x = type_output(ctx, fn->result, result), y = type_output(ctx, fn->result, &out[2]);
        same = x.len == y.len && memcmp(x.p, y.p, x.len) == 0;
    }
    if (!same)
        printf("V vector kernel of %s differs from its scalar one\n", fn->name);
}

static void eval_fn(struct fn_ctx *ctx, struct field *f, unsigned n)
{
    uint8_t call[FIELDS_MAX] = {0};
    const struct fn *fn = row_of(strcmp(f[0].p, "op") == 0, f[1].p, f[2].p, call);
    union val args[FIELDS_MAX], out;
    bool null[FIELDS_MAX] = {0}, out_null = false, any_null = false;
    unsigned count = n - 3;
    memset(args, 0, sizeof args);
    for (unsigned i = 0; i < count; i++) {
        enum type_id t = call[1 + (i < fn->arg_count ? i : fn->arg_count - 1u)];
        call[1 + i] = (uint8_t)t;
        if (!read_value(ctx, t, &f[3 + i], &args[i])) {
            print_error(ctx);
            return;
        }
        null[i] = f[3 + i].null;
        if (t == T_UNKNOWN && !null[i] && (fn->flags & FN_ANY_JSON))
            quote_json(ctx, &args[i]);
        any_null |= null[i];
    }
    if (any_null && (fn->flags & FN_STRICT)) {
        puts("N");
        return;
    }
    ctx->types = call;
    bool ok = fn->eval(ctx, args, null, count, &out, &out_null);
    if (!ok)
        print_error(ctx);
    else if (out_null)
        puts("N");
    else
        print_value(ctx, call[0], &out);
    if (fn->eval_vec)
        check_vector(ctx, fn, args, &out, ok);
}

static const struct set_fn *set_row_of(const char *name, char *types, uint8_t *call)
{
    const struct set_fn *rows[64];
    enum type_id want[FN_ARGS_MAX];
    unsigned count = read_types(types, want, call), n = set_fn_find(name, rows, 64);
    for (unsigned i = 0; i < n; i++) {
        bool same = rows[i]->fn.arg_count == count;
        for (unsigned a = 0; a < count && same; a++)
            same = rows[i]->fn.args[a] == want[a];
        if (same)
            return rows[i];
    }
    fprintf(stderr, "fneval: no row %s\n", name);
    exit(2);
}

static void print_rows(struct fn_ctx *ctx, const struct set_rows *rows)
{
    for (uint32_t r = 0; r < rows->count; r++)
        for (uint32_t c = 0; c < rows->column_count; c++) {
            size_t at = (size_t)r * rows->column_count + c;
            struct str s =
                rows->null[at] ? STR_LIT("<null>") : type_output(ctx, rows->types[c].id, &rows->v[at]);
            fputs(c ? "|" : r ? "\\n" : "V ", stdout);
            print_escaped(s.p, s.len);
        }
    puts(rows->count ? "" : "N");
}

static void eval_set(struct fn_ctx *ctx, struct field *f, unsigned n)
{
    uint8_t call[FIELDS_MAX] = {0};
    const struct set_fn *fn = set_row_of(f[1].p, f[2].p, call);
    struct type types[SET_COLUMNS_MAX];
    struct set_rows rows = {.ctx = ctx, .column_count = fn->column_count, .types = types};
    union val args[FIELDS_MAX];
    bool null[FIELDS_MAX] = {0}, any_null = false;
    if (!call[0])
        call[0] = fn->fn.result;
    for (uint32_t c = 0; c < fn->column_count; c++)
        types[c] = (struct type){c ? fn->columns[c].type : call[0], -1};
    for (unsigned i = 3; i < n; i++) {
        if (!read_value(ctx, call[i - 2], &f[i], &args[i - 3])) {
            print_error(ctx);
            return;
        }
        null[i - 3] = f[i].null;
        any_null |= f[i].null;
    }
    ctx->types = call;
    bool skipped = any_null && (fn->fn.flags & FN_STRICT);
    if (skipped || fn->eval(&rows, args, null, n - 3))
        print_rows(ctx, &rows);
    else
        print_error(ctx);
    set_rows_fini(&rows);
}

static void eval_cast(struct fn_ctx *ctx, struct field *f)
{
    enum type_id from = type_named(f[1].p), to = type_named(f[2].p);
    const struct cast *cast = cast_find(from, to);
    union val v, out;
    const uint8_t types[] = {(uint8_t)to, (uint8_t)from};
    bool null = false;
    ctx->types = types;
    if (!read_value(ctx, from, &f[3], &v)) {
        print_error(ctx);
    } else if (f[3].null) {
        puts("N");
    } else if (!cast->eval) {
        print_value(ctx, to, &v);
    } else if (!cast->eval(ctx, &v, &null, 1, &out, &null)) {
        print_error(ctx);
    } else if (null) {
        puts("N");
    } else {
        print_value(ctx, to, &out);
    }
}

/* "3*text" adds text 3 times, "-2*text" takes it away twice. Two arguments are separated by a semicolon. */
static bool weighted(struct fn_ctx *ctx, const struct agg *a, struct agg_state *s, struct field *f)
{
    char *text;
    long weight = strtol(f->p, &text, 10);
    union val v[AGG_ARGS_MAX] = {{.i = 0}};
    bool any_null = false;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        char *end = i + 1 < a->arg_count ? strchr(text + 1, ';') : f->p + f->len;
        *end = '\0';
        bool null = strcmp(text + 1, "\\N") == 0 || strcmp(text + 1, "NULL") == 0;
        struct field value = {text + 1, (size_t)(end - text - 1), null};
        if (a->kind != AGG_COUNT && !read_value(ctx, i ? a->arg2 : a->arg, &value, &v[i]))
            return false;
        any_null |= null;
        text = end;
    }
    if (a->kind == AGG_COUNT_STAR || !any_null)
        agg_update(a, s, v, weight);
    return true;
}

static void eval_agg(struct fn_ctx *ctx, struct field *f, unsigned n)
{
    char *comma = strchr(f[2].p, ',');
    if (comma)
        *comma = '\0';
    enum type_id t = type_named(f[2].p);
    const struct agg *a = NULL;
    for (uint32_t i = 0; i < agg_count() && !a; i++)
        if (strcmp(agg_at(i)->name, f[1].p) == 0 && agg_at(i)->arg == t && agg_at(i)->arg_count)
            a = agg_at(i);
    if (!a) {
        fprintf(stderr, "fneval: no aggregate %s\n", f[1].p);
        exit(2);
    }
    struct agg_state s;
    union val out;
    bool null = false, ok = true;
    agg_state_init(&s);
    for (unsigned i = 3; i < n && ok; i++)
        ok = weighted(ctx, a, &s, &f[i]);
    if (!ok || !agg_result(a, &s, ctx, &out, &null))
        print_error(ctx);
    else if (null)
        puts("N");
    else
        print_value(ctx, a->result, &out);
    agg_state_fini(&s);
}

static void eval_typmod(struct fn_ctx *ctx, struct field *f, bool input)
{
    struct type t = {type_named(f[1].p), atoi(f[2].p)}, plain = {t.id, -1};
    union val v;
    bool ok = type_input(ctx, input ? t : plain, f[3].p, f[3].len, &v);
    if (ok && !input)
        ok = type_apply_typmod(ctx, t, true, &v);
    if (ok)
        print_value(ctx, t.id, &v);
    else
        print_error(ctx);
}

static void eval_cmp(struct fn_ctx *ctx, struct field *f)
{
    enum type_id t = type_named(f[1].p);
    union val a, b;
    if (!read_value(ctx, t, &f[2], &a) || !read_value(ctx, t, &f[3], &b)) {
        print_error(ctx);
        return;
    }
    int r = val_cmp(t, &a, &b);
    printf("V %d\n", (r > 0) - (r < 0));
}

static void eval_line(struct fn_ctx *ctx, char *line)
{
    struct field f[FIELDS_MAX];
    unsigned n = split(line, f);
    if (strcmp(f[0].p, "fn") == 0 || strcmp(f[0].p, "op") == 0)
        eval_fn(ctx, f, n);
    else if (strcmp(f[0].p, "set") == 0)
        eval_set(ctx, f, n);
    else if (strcmp(f[0].p, "cast") == 0)
        eval_cast(ctx, f);
    else if (strcmp(f[0].p, "agg") == 0)
        eval_agg(ctx, f, n);
    else if (strcmp(f[0].p, "cmp") == 0)
        eval_cmp(ctx, f);
    else
        eval_typmod(ctx, f, strcmp(f[0].p, "in") == 0);
}

static void list_tables(void)
{
    static const char context[] = "iae";
    for (uint32_t s = 0; s < fn_section_count(); s++) {
        struct fn_list list = fn_section(s);
        for (uint32_t i = 0; i < list.count; i++) {
            const struct fn *fn = &list.rows[i];
            printf("%s\t%s\t%u\t", fn->flags & FN_OPERATOR ? "op" : "fn", fn->name, fn->flags);
            for (unsigned a = 0; a < fn->arg_count; a++)
                printf("%s%s", a ? "," : "", type_info(fn->args[a])->pg_name);
            printf("\t%s\n", type_info(fn->result)->pg_name);
        }
    }
    for (uint32_t s = 0; s < set_fn_section_count(); s++) {
        struct set_fn_list list = set_fn_section(s);
        for (uint32_t i = 0; i < list.count; i++) {
            const struct set_fn *set = &list.rows[i];
            if (set->flags & (SET_RECORD | SET_OF_TABLE)) /* of what the query states */
                continue;
            printf("set\t%s\t%u\t", set->fn.name, set->column_count);
            for (unsigned a = 0; a < set->fn.arg_count; a++)
                printf("%s%s", a ? "," : "", type_info(set->fn.args[a])->pg_name);
            printf("\t%s\n", type_info(set->fn.result)->pg_name);
        }
    }
    for (uint32_t i = 0; i < cast_count(); i++) {
        const struct cast *c = cast_at(i);
        printf("cast\t%c\t0\t%s\t%s\n", context[c->context], type_info(c->from)->pg_name,
               type_info(c->to)->pg_name);
    }
    for (int i = 0; i < 3; i++) {
        static const char *const texts[] = {"text", "varchar", "bpchar"};
        printf("cast\ta\t0\tmood\t%s\ncast\te\t0\t%s\tmood\n", texts[i], texts[i]);
    }
    for (uint32_t i = 0; i < agg_count(); i++)
        printf("agg\t%s\t%u\t%s%s%s\t%s\n", agg_at(i)->name, agg_at(i)->ordered,
               agg_at(i)->arg_count ? type_info(agg_at(i)->arg)->pg_name : "",
               agg_at(i)->arg_count == 2 ? "," : "",
               agg_at(i)->arg_count == 2 ? type_info(agg_at(i)->arg2)->pg_name : "",
               type_info(agg_at(i)->result)->pg_name);
    for (int t = 0; t < T_COUNT; t++)
        if (t != T_ARRAYS)
            printf("type\t%s\t%u\t%c\t%s\n", type_info((enum type_id)t)->pg_name,
                   type_info((enum type_id)t)->oid, type_info((enum type_id)t)->category,
                   type_info((enum type_id)t)->name);
}

/* As test_functions.py makes it in PostgreSQL. */
static void make_enum(void)
{
    static const struct enum_label labels[] = {
        {"sad", 1}, {"ok", 2}, {"Happy", 3}, {"a b", 4}, {"\xc3\xa9", 5}};
    const struct enum_desc mood = {1, 5, labels};
    enum_type_put("test.mood", &mood, ENUM_FROM_SOURCE);
}

int main(int argc, char **argv)
{
    struct arena arena;
    make_enum();
    if (argc > 1 && strcmp(argv[1], "list") == 0) {
        list_tables();
        return 0;
    }
    char *line = malloc(LINE_MAX_BYTES);
    arena_init(&arena);
    while (line && fgets(line, LINE_MAX_BYTES, stdin)) {
        struct fn_ctx ctx = {.arena = &arena};
        line[strcspn(line, "\n")] = '\0';
        eval_line(&ctx, line);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    free(line);
    return 0;
}
