/* Which function, operator or aggregate a call means, given its arguments' types.
 *
 * PostgreSQL's rules (chapter "Type Conversion"; func_select_candidate in parse_func.c describes the same):
 * an exact match; else among those that implicit casts can reach, most exact matches, then most preferred
 * types, then the category that literals without a type suggest, then the type all known arguments share. */
#include "sql/bind.h"

#include <string.h>

#define CANDIDATES_MAX 256
#define CALL_ARGS_MAX  100 /* as PostgreSQL's FUNC_MAX_ARGS */

struct candidate {
    const uint8_t *args;
    uint32_t arg_count;
    const void *row; /* struct fn or struct agg */
};
struct candidates {
    uint32_t count;
    struct candidate items[CANDIDATES_MAX];
};
struct call_types {
    uint32_t count;
    enum type_id ids[CALL_ARGS_MAX];
};

static enum type_id arg_type(const struct candidate *c, uint32_t i)
{
    return (enum type_id)c->args[i < c->arg_count ? i : c->arg_count - 1];
}

static bool is_preferred(enum type_id id)
{
    return type_info(id)->preferred;
}

static bool matches_exactly(const struct candidate *c, const struct call_types *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (arg_type(c, i) != t->ids[i])
            return false;
    return true;
}

static bool reachable(const struct candidate *c, const struct call_types *t)
{
    bool polymorphic = false;
    for (uint32_t i = 0; i < t->count; i++) {
        enum type_id want = arg_type(c, i);
        polymorphic |= is_polymorphic(want);
        if (!is_polymorphic(want) && !coerce_possible(t->ids[i], want, CAST_IMPLICIT))
            return false;
    }
    return !polymorphic || polymorphic_fits(c->args, c->arg_count, t->count, t->ids, NULL);
}

/* Keeps the candidates with the highest score. */
static void keep_best(struct candidates *cs, const struct call_types *t,
                      uint32_t (*score)(const struct candidate *, const struct call_types *))
{
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < cs->count; i++) {
        uint32_t s = score(&cs->items[i], t);
        if (s > best || i == 0) {
            best = s;
            kept = 0;
        }
        if (s == best)
            cs->items[kept++] = cs->items[i];
    }
    cs->count = kept;
}

static uint32_t exact_score(const struct candidate *c, const struct call_types *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->count; i++)
        n += t->ids[i] != T_UNKNOWN && t->ids[i] == arg_type(c, i);
    return n;
}

static uint32_t preferred_score(const struct candidate *c, const struct call_types *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        enum type_id have = t->ids[i], want = arg_type(c, i);
        if (have == T_UNKNOWN)
            continue;
        n += have == want || (is_preferred(want) && type_info(want)->category == type_info(have)->category);
    }
    return n;
}

/* The category that the candidates suggest for a literal at position i; 0 when they conflict. */
static char literal_category(const struct candidates *cs, uint32_t i, bool *preferred)
{
    char category = 0;
    bool conflict = false;
    *preferred = false;
    for (uint32_t k = 0; k < cs->count; k++) {
        const struct type_info *info = type_info(arg_type(&cs->items[k], i));
        if (!category || (info->category == 'S' && category != 'S')) {
            category = info->category;
            *preferred = info->preferred;
        } else if (info->category == category) {
            *preferred |= info->preferred;
        } else {
            conflict = true;
        }
    }
    return conflict && category != 'S' ? 0 : category;
}

static bool fits_category(const struct candidate *c, uint32_t i, char category, bool preferred)
{
    const struct type_info *info = type_info(arg_type(c, i));
    return info->category == category && (!preferred || info->preferred);
}

static void keep_by_category(struct candidates *cs, const struct call_types *t)
{
    char category[CALL_ARGS_MAX];
    bool preferred[CALL_ARGS_MAX];
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->ids[i] != T_UNKNOWN)
            continue;
        category[i] = literal_category(cs, i, &preferred[i]);
        if (!category[i])
            return;
    }
    uint32_t kept = 0;
    for (uint32_t k = 0; k < cs->count; k++) {
        bool fits = true;
        for (uint32_t i = 0; i < t->count && fits; i++)
            fits = t->ids[i] != T_UNKNOWN || fits_category(&cs->items[k], i, category[i], preferred[i]);
        if (fits)
            cs->items[kept++] = cs->items[k];
    }
    if (kept)
        cs->count = kept;
}

/* If all known arguments share one type, literals are tried as that type too. */
static void keep_by_known_type(struct candidates *cs, const struct call_types *t)
{
    enum type_id known = T_UNKNOWN;
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->ids[i] == T_UNKNOWN)
            continue;
        if (known != T_UNKNOWN && known != t->ids[i])
            return;
        known = t->ids[i];
    }
    if (known == T_UNKNOWN)
        return;
    struct call_types all = {.count = t->count};
    for (uint32_t i = 0; i < t->count; i++)
        all.ids[i] = known;
    const struct candidate *only = NULL;
    for (uint32_t k = 0; k < cs->count; k++) {
        if (!reachable(&cs->items[k], &all))
            continue;
        if (only)
            return;
        only = &cs->items[k];
    }
    if (only) {
        cs->items[0] = *only;
        cs->count = 1;
    }
}

enum { FOUND_NONE = -1, FOUND_SEVERAL = -2 };

static bool has_unknown(const struct call_types *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (t->ids[i] == T_UNKNOWN)
            return true;
    return false;
}

/* Narrows cs down; FOUND_NONE, FOUND_SEVERAL or 0 (cs->items[0] is it). */
static int select_candidate(struct candidates *cs, const struct call_types *t)
{
    for (uint32_t i = 0; i < cs->count; i++) {
        if (matches_exactly(&cs->items[i], t)) {
            cs->items[0] = cs->items[i];
            return 0;
        }
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cs->count; i++)
        if (reachable(&cs->items[i], t))
            cs->items[kept++] = cs->items[i];
    cs->count = kept;
    if (kept > 1)
        keep_best(cs, t, exact_score);
    if (cs->count > 1)
        keep_best(cs, t, preferred_score);
    if (cs->count > 1 && has_unknown(t))
        keep_by_category(cs, t);
    if (cs->count > 1 && has_unknown(t))
        keep_by_known_type(cs, t);
    return cs->count == 0 ? FOUND_NONE : cs->count == 1 ? 0 : FOUND_SEVERAL;
}

/* ---- the tables ---- */

static bool accepts_count(const struct fn *f, uint32_t count, bool is_operator)
{
    if (is_operator && ((f->flags & FN_PREFIX) != 0) != (count == 1))
        return false;
    return f->arg_count == count || ((f->flags & FN_VARIADIC) && count >= f->arg_count && f->arg_count > 0);
}

static void find_functions(const char *name, bool is_operator, uint32_t count, struct candidates *out)
{
    const struct fn *rows[CANDIDATES_MAX];
    uint32_t n = fn_find(name, is_operator, rows, CANDIDATES_MAX);
    out->count = 0;
    for (uint32_t i = 0; i < n && i < CANDIDATES_MAX; i++)
        if (accepts_count(rows[i], count, is_operator))
            out->items[out->count++] = (struct candidate){rows[i]->args, rows[i]->arg_count, rows[i]};
}

static void call_types_of(struct call_types *t, uint32_t count, struct expr **args)
{
    t->count = count;
    for (uint32_t i = 0; i < count; i++)
        t->ids[i] = args[i]->type.id;
}

static const char *signature(struct bind *b, const char *name, uint32_t count, struct expr **args)
{
    char *s = arena_printf(b->arena, "%s(", name);
    for (uint32_t i = 0; i < count; i++)
        s = arena_printf(b->arena, "%s%s%s", s, i ? ", " : "", type_info(args[i]->type.id)->name);
    return arena_printf(b->arena, "%s)", s);
}

/* concat() and friends show values as their output functions do: booleans as t and f, char(n) with its blanks. */
static struct expr *output_text(struct bind *b, struct expr *e, struct sql_pos pos)
{
    struct type text = {T_TEXT, -1}, boolean = {T_BOOL, -1};
    if (e->type.id == T_BPCHAR) {
        struct expr *copy = arena_memdup(b->arena, e, sizeof(*e));
        copy->type = text;
        return copy;
    }
    if (e->type.id != T_BOOL)
        return coerce(b, e, text, CAST_EXPLICIT, pos);
    struct expr *c = expr_new(b->arena, EX_CASE, text, 5);
    struct expr *no = expr_new(b->arena, EX_NOT, boolean, 1);
    no->args[0] = e;
    static const char *const letters[] = {"t", "f"};
    for (uint32_t i = 0; i < 3; i++) {
        struct expr *k = expr_new(b->arena, EX_CONST, text, 0);
        k->u.konst.is_null = i == 2;
        if (i < 2)
            k->u.konst.v.s = (struct str){(const uint8_t *)letters[i], 1, 0};
        c->args[i < 2 ? 2 * i + 1 : 4] = k;
    }
    c->args[0] = e;
    c->args[2] = no;
    return c;
}

/* As to_json() shows it: what functions of "any" that build json are passed. */
static struct expr *output_json(struct bind *b, struct expr *e, struct sql_pos pos)
{
    struct expr *x = coerce_unknown_to_text(b, e);
    return x ? resolve_function(b, "to_json", 1, &x, pos) : NULL;
}

/* Keys of json_build_object are scalars. */
static bool check_json_key(struct bind *b, const struct fn *f, uint32_t i, const struct expr *e,
                           struct sql_pos pos)
{
    if (i % 2 || !strstr(f->name, "_build_object") || (e->type.id != T_JSON && e->type.id != T_JSONB))
        return true;
    bind_error(b, ERR_CONFIG, pos, NULL, "key value must be scalar, not array, composite, or json");
    return false;
}

/* The types that the arguments are coerced to; false after reporting. */
static bool wanted_types(struct bind *b, const struct candidate *c, uint32_t count, struct expr **args,
                         struct sql_pos pos, enum type_id *out)
{
    struct call_types t;
    bool polymorphic = false;
    call_types_of(&t, count, args);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = arg_type(c, i);
        polymorphic |= is_polymorphic(out[i]);
    }
    if (!polymorphic)
        return true;
    polymorphic_fits(c->args, c->arg_count, count, t.ids, out);
    const struct fn *f = c->row;
    for (uint32_t i = 0; i < count; i++) {
        if (out[i] == T_UNKNOWN && is_polymorphic(arg_type(c, i))) {
            bind_error(b, ERR_CONFIG, pos, "Add explicit type casts.",
                       "could not determine polymorphic type because input has type unknown");
            return false;
        }
        enum type_id element = type_is_array(out[i]) ? type_element(out[i]) : out[i];
        if ((f->flags & FN_COMPARES) && element != T_UNKNOWN && !type_info(element)->comparable) {
            bind_error(b, ERR_CONFIG, pos, NULL, "could not identify an equality operator for type %s",
                       type_info(element)->name);
            return false;
        }
    }
    return true;
}

static bool coerce_args(struct bind *b, const struct candidate *c, bool is_operator, uint32_t count,
                        struct expr **args, struct sql_pos pos)
{
    enum type_id wanted[CALL_ARGS_MAX];
    bool ok = wanted_types(b, c, count, args, pos, wanted);
    for (uint32_t i = 0; i < count && ok; i++) {
        struct type want = {wanted[i], -1};
        struct expr *x;
        if (want.id == T_UNKNOWN && !is_operator && (((const struct fn *)c->row)->flags & FN_ANY_JSON))
            x = check_json_key(b, c->row, i, args[i], pos) ? output_json(b, args[i], pos) : NULL;
        else if (want.id == T_UNKNOWN && args[i]->type.id != T_UNKNOWN)
            x = is_operator ? coerce(b, args[i], (struct type){T_TEXT, -1}, CAST_EXPLICIT, pos)
                            : output_text(b, args[i], pos);
        else if (args[i]->type.id == want.id) /* lengths of arguments never matter */
            x = args[i];
        else
            x = coerce(b, args[i], want, CAST_IMPLICIT, pos);
        ok &= x != NULL;
        args[i] = x;
    }
    return ok;
}

/* ---- operators ---- */

/* "int4 = '5'": a literal beside a typed argument is tried as that type first. */
static bool literal_as_other(struct candidates *cs, const struct call_types *t)
{
    if (t->count != 2 || (t->ids[0] == T_UNKNOWN) == (t->ids[1] == T_UNKNOWN))
        return false;
    struct call_types same = *t;
    same.ids[0] = same.ids[1] = t->ids[0] == T_UNKNOWN ? t->ids[1] : t->ids[0];
    for (uint32_t i = 0; i < cs->count; i++) {
        if (matches_exactly(&cs->items[i], &same)) {
            cs->items[0] = cs->items[i];
            return true;
        }
    }
    return false;
}

static bool is_stringy(enum type_id id)
{
    return id == T_UNKNOWN || type_info(id)->category == 'S';
}

/* 'n: ' || 5: the side that is not text is shown as text. */
static void text_concatenation(struct bind *b, const char *name, uint32_t count, struct expr **args,
                               struct sql_pos pos)
{
    if (count != 2 || strcmp(name, "||") != 0)
        return;
    for (uint32_t i = 0; i < 2; i++) {
        enum type_id mine = args[i]->type.id, other = args[1 - i]->type.id;
        if (!is_stringy(mine) && !type_is_array(mine) && is_stringy(other) && mine != T_BYTEA &&
            mine != T_JSONB)
            args[i] = coerce(b, args[i], (struct type){T_TEXT, -1}, CAST_EXPLICIT, pos);
    }
}

static void operator_missing(struct bind *b, const char *name, uint32_t count, struct expr **args,
                             struct sql_pos pos, int found)
{
    const char *problem = found == FOUND_SEVERAL ? "is not unique" : "does not exist";
    const char *hint = found == FOUND_SEVERAL ? "Add explicit type casts."
                                              : "No operator matches the given name and argument "
                                                "types. You might need to add explicit type casts.";
    if (count == 1)
        bind_error(b, ERR_UNSUPPORTED, pos, hint, "operator %s: %s %s", problem, name,
                   type_info(args[0]->type.id)->name);
    else
        bind_error(b, ERR_UNSUPPORTED, pos, hint, "operator %s: %s %s %s", problem,
                   type_info(args[0]->type.id)->name, name, type_info(args[1]->type.id)->name);
}

static bool is_record(const struct expr *e)
{
    return e->type.id == T_RECORD || e->type.id == T_RECORD_ARRAY;
}

/* Records compare as their bytes do. NULL: the operator is no comparison of two records. */
static const struct fn *record_comparison(const char *name, uint32_t count, struct expr *const *args)
{
    static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};
    bool both = count == 2 && args[0]->type.id == T_RECORD && args[1]->type.id == T_RECORD;
    const struct fn *rows[64];
    for (size_t i = 0; both && i < ARRAY_COUNT(comparisons); i++) {
        uint32_t n = strcmp(name, comparisons[i]) == 0 ? fn_find(name, true, rows, ARRAY_COUNT(rows)) : 0;
        for (uint32_t k = 0; k < n; k++)
            if (rows[k]->args[0] == T_BYTEA && rows[k]->args[1] == T_BYTEA)
                return rows[k];
    }
    return NULL;
}

/* What looks into records, or shows them, does not know their fields. */
static bool check_records(struct bind *b, const char *name, uint32_t count, struct expr *const *args,
                          struct sql_pos pos)
{
    static const char *const blind[] = {"array_append",
                                        "array_prepend",
                                        "array_cat",
                                        "array_length",
                                        "array_lower",
                                        "array_upper",
                                        "array_ndims",
                                        "array_dims",
                                        "array_remove",
                                        "array_replace",
                                        "array_position",
                                        "array_positions",
                                        "cardinality",
                                        "trim_array",
                                        "count",
                                        "||",
                                        "=",
                                        "<>",
                                        "<",
                                        "<=",
                                        ">",
                                        ">=",
                                        "@>",
                                        "<@",
                                        "&&"};
    for (uint32_t i = 0; i < count; i++) {
        bool known = !is_record(args[i]);
        for (size_t k = 0; k < ARRAY_COUNT(blind) && !known; k++)
            known = strcmp(name, blind[k]) == 0;
        if (known)
            continue;
        bind_error(b, ERR_UNSUPPORTED, pos, NULL, "%s of a %s is not supported yet", name,
                   type_info(args[i]->type.id)->name);
        return false;
    }
    return true;
}

const struct fn *resolve_operator_fn(struct bind *b, const char *name, uint32_t count, struct expr **args,
                                     struct sql_pos pos)
{
    if (strcmp(name, "!=") == 0)
        name = "<>";
    const struct fn *of_records = record_comparison(name, count, args);
    if (of_records)
        return of_records;
    if (!check_records(b, name, count, args, pos))
        return NULL;
    struct candidates cs;
    struct call_types t;
    text_concatenation(b, name, count, args, pos);
    if (!args[0] || !args[count - 1])
        return NULL;
    find_functions(name, true, count, &cs);
    call_types_of(&t, count, args);
    int found = literal_as_other(&cs, &t) ? 0 : select_candidate(&cs, &t);
    if (found != 0) {
        operator_missing(b, name, count, args, pos, found);
        return NULL;
    }
    return coerce_args(b, &cs.items[0], true, count, args, pos) ? cs.items[0].row : NULL;
}

static struct expr *resolve_fn(struct bind *b, const struct fn *f, uint32_t count, struct expr **args,
                               struct sql_pos pos)
{
    enum type_id result = (enum type_id)f->result;
    if (is_polymorphic(result)) {
        struct call_types t;
        call_types_of(&t, count, args);
        result = polymorphic_result(f->args, f->arg_count, count, t.ids, result);
        if (result == T_UNKNOWN) { /* of arrays there are no arrays */
            bind_error(b, ERR_CONFIG, pos, NULL, "could not find array type for data type %s",
                       type_info(t.ids[0])->name);
            return NULL;
        }
    }
    struct expr *e = expr_new(b->arena, EX_FN, (struct type){result, -1}, count);
    if (count)
        memcpy(e->args, args, count * sizeof(*args));
    e->u.fn = f;
    bind_at(b, e, pos);
    return fold(b, e);
}

struct expr *resolve_operator(struct bind *b, const char *name, uint32_t count, struct expr **args,
                              struct sql_pos pos)
{
    const struct fn *f = resolve_operator_fn(b, name, count, args, pos);
    return f ? resolve_fn(b, f, count, args, pos) : NULL;
}

/* ---- functions ---- */

static void function_missing(struct bind *b, const char *name, uint32_t count, struct expr **args,
                             struct sql_pos pos, int found)
{
    if (found == FOUND_SEVERAL) {
        bind_error(b, ERR_CONFIG, pos,
                   "Could not choose a best candidate function. You might need to add explicit type casts.",
                   "function %s is not unique", signature(b, name, count, args));
        return;
    }
    const char *hint =
        "No function matches the given name and argument types. You might need to add explicit type casts.";
    const struct fn *row;
    if (fn_find(name, false, &row, 1) == 0 && !is_aggregate_name(name) && !is_set_fn_name(name)) {
        struct nearest near;
        nearest_init(&near, name);
        for (uint32_t s = 0; s < fn_section_count(); s++) {
            struct fn_list list = fn_section(s);
            for (uint32_t i = 0; i < list.count; i++)
                if (!(list.rows[i].flags & FN_OPERATOR))
                    nearest_offer(&near, list.rows[i].name);
        }
        for (uint32_t s = 0; s < set_fn_section_count(); s++)
            for (uint32_t i = 0; i < set_fn_section(s).count; i++)
                nearest_offer(&near, set_fn_section(s).rows[i].fn.name);
        hint = near.best ? arena_printf(b->arena, "Did you mean %s()?", near.best)
                         : "No function of that name is known; the documentation lists the supported ones.";
    }
    bind_error(b, ERR_UNSUPPORTED, pos, hint, "function %s does not exist or is not supported yet",
               signature(b, name, count, args));
}

/* float8(x) is a cast when no function of that name takes x. */
static struct expr *function_as_cast(struct bind *b, const char *name, uint32_t count, struct expr **args)
{
    const struct type_info *info = count == 1 ? type_by_name(name) : NULL;
    if (!info || strcmp(info->pg_name, name) != 0 ||
        !coerce_possible(args[0]->type.id, info->id, CAST_EXPLICIT))
        return NULL;
    bool reported = false;
    return coerce_try(b, args[0], (struct type){info->id, -1}, CAST_EXPLICIT, &reported);
}

struct expr *resolve_function(struct bind *b, const char *name, uint32_t count, struct expr **args,
                              struct sql_pos pos)
{
    struct candidates cs;
    struct call_types t;
    if (count > CALL_ARGS_MAX) {
        bind_error(b, ERR_LIMIT, pos, NULL, "cannot pass more than %d arguments to a function",
                   CALL_ARGS_MAX);
        return NULL;
    }
    if (!check_records(b, name, count, args, pos))
        return NULL;
    find_functions(name, false, count, &cs);
    call_types_of(&t, count, args);
    int found = select_candidate(&cs, &t);
    if (found == 0)
        return coerce_args(b, &cs.items[0], false, count, args, pos)
                   ? resolve_fn(b, cs.items[0].row, count, args, pos)
                   : NULL;
    struct expr *cast = function_as_cast(b, name, count, args);
    if (!cast)
        function_missing(b, name, count, args, pos, found);
    return cast;
}

/* ---- set-returning functions ---- */

const struct set_fn *resolve_set_fn(struct bind *b, const char *name, uint32_t count, struct expr **args,
                                    struct sql_pos pos, struct type *result)
{
    const struct set_fn *rows[CANDIDATES_MAX];
    uint32_t n = set_fn_find(name, rows, CANDIDATES_MAX);
    struct candidates cs = {0};
    struct call_types t;
    if (!check_records(b, name, count, args, pos))
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->fn.arg_count == count)
            cs.items[cs.count++] = (struct candidate){rows[i]->fn.args, count, &rows[i]->fn};
    call_types_of(&t, count < CALL_ARGS_MAX ? count : 0, args);
    int found = select_candidate(&cs, &t);
    if (found != 0) {
        function_missing(b, name, count, args, pos, found);
        return NULL;
    }
    const struct fn *fn = cs.items[0].row;
    if (!coerce_args(b, &cs.items[0], false, count, args, pos))
        return NULL;
    call_types_of(&t, count, args);
    *result = (struct type){fn->result, -1};
    if (is_polymorphic((enum type_id)fn->result))
        result->id = polymorphic_result(fn->args, count, count, t.ids, (enum type_id)fn->result);
    return (const struct set_fn *)fn; /* its first member */
}

/* ---- aggregates ---- */

static const char *agg_name(const char *name)
{
    return strcmp(name, "every") == 0 ? "bool_and" : name;
}

bool is_aggregate_name(const char *name)
{
    for (uint32_t i = 0; i < agg_count(); i++)
        if (strcmp(agg_at(i)->name, agg_name(name)) == 0)
            return true;
    return false;
}

bool is_ordered_set_name(const char *name)
{
    for (uint32_t i = 0; i < agg_count(); i++)
        if (strcmp(agg_at(i)->name, name) == 0)
            return agg_is_ordered_set(agg_at(i));
    return false;
}

/* min and max of arrays: the elements must have an order. */
static bool check_ordered_array(struct bind *b, const struct expr *e, struct sql_pos pos)
{
    if (e->type.id == T_UNKNOWN)
        bind_error(b, ERR_CONFIG, pos, NULL,
                   "could not determine polymorphic type because input has type unknown");
    else if (!type_info(e->type.id)->comparable)
        bind_error(b, ERR_CONFIG, pos, NULL, "could not identify a comparison function for type %s",
                   type_info(e->type.id)->name);
    else
        return true;
    return false;
}

const struct agg *resolve_aggregate(struct bind *b, const char *name, bool star, uint32_t count,
                                    struct expr **args, struct sql_pos pos)
{
    struct candidates cs = {0};
    struct call_types t;
    uint8_t types[CANDIDATES_MAX][AGG_ARGS_MAX];
    bool of_rows = count == 1 && strcmp(name, "json_agg") == 0 && is_row_json(args[0]);
    if (!of_rows && !check_records(b, name, count, args, pos))
        return NULL;
    for (uint32_t i = 0; i < agg_count() && cs.count < CANDIDATES_MAX; i++) {
        const struct agg *a = agg_at(i);
        if (strcmp(a->name, agg_name(name)) != 0)
            continue;
        if (star && a->kind == AGG_COUNT_STAR)
            return a;
        if (star || a->kind == AGG_COUNT_STAR || a->arg_count != count)
            continue;
        types[cs.count][0] = a->arg;
        types[cs.count][1] = a->arg2;
        cs.items[cs.count] = (struct candidate){types[cs.count], count, a};
        cs.count++;
    }
    if (star || count > CALL_ARGS_MAX) {
        bind_error(b, ERR_CONFIG, pos, NULL, "%s(*) specified, but %s is not a function that takes *", name,
                   name);
        return NULL;
    }
    call_types_of(&t, count, args);
    int found = select_candidate(&cs, &t);
    if (found != 0) {
        function_missing(b, name, count, args, pos, found);
        return NULL;
    }
    bool ok = true;
    for (uint32_t i = 0; i < count; i++) {
        struct type want = {arg_type(&cs.items[0], i), -1};
        if (is_polymorphic(want.id)) {
            ok &= check_ordered_array(b, args[i], pos);
            continue;
        }
        if (want.id == T_UNKNOWN)
            args[i] = coerce_unknown_to_text(b, args[i]);
        else if (args[i]->type.id != want.id)
            args[i] = coerce(b, args[i], want, CAST_IMPLICIT, pos);
        ok &= args[i] != NULL;
    }
    return ok ? cs.items[0].row : NULL;
}
