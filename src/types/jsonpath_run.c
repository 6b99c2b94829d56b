/* Evaluating jsonpath: each item is applied to one json value and hands what it finds to the next item.
 *
 * Structural errors (a key that is not there, in strict mode) are results that predicates turn into unknown; errors
 * that no predicate may hide (a missing variable, a limit) set `failed` and end everything. */
#include "types/datetime.h"
#include "types/jsonpath_run_impl.h"
#include "types/regex.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static enum jp_result run_item(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                               struct jp_list *found, bool unwrap);
static enum jp_truth run_predicate(struct jp_run *r, const struct jp_item *it, struct json_node *n);

/* ---- errors and limits ---- */

enum jp_result jp_hard_error(struct jp_run *r, enum fn_error error, const char *text)
{
    if (!r->failed)
        fn_fail(r->ctx, error, "%s", text);
    r->failed = true;
    return JP_FAILED;
}

enum jp_result jp_error(struct jp_run *r, enum fn_error error, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    if (!r->throws)
        return JP_FAILED;
    va_start(ap, fmt);
    text_vfill(text, sizeof text, fmt, ap);
    va_end(ap);
    return jp_hard_error(r, error, text);
}

static bool step(struct jp_run *r)
{
    if (++r->steps > JSONPATH_STEPS_MAX)
        jp_hard_error(r, FN_TOO_LARGE, "jsonpath needs too many steps");
    return !r->failed;
}

static void append(struct jp_run *r, struct jp_list *l, struct json_node *n)
{
    if (!step(r))
        return;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        struct json_node **more = ARENA_ARRAY(r->ctx->arena, struct json_node *, l->cap);
        if (l->count)
            memcpy(more, l->v, l->count * sizeof(*more));
        l->v = more;
    }
    l->v[l->count++] = n;
}

/* ---- values ---- */

static struct json_node *new_node(struct jp_run *r, enum json_kind kind, struct str source)
{
    struct json_node *n = ARENA_NEW(r->ctx->arena, struct json_node);
    n->kind = kind;
    n->source = source;
    return n;
}
static struct json_node *word_node(struct jp_run *r, enum json_kind kind, const char *word)
{
    return new_node(r, kind, (struct str){(const uint8_t *)word, (uint32_t)strlen(word), 0});
}
static struct json_node *number_node(struct jp_run *r, const struct num *n)
{
    return new_node(r, JSON_NUMBER, num_format(r->ctx, n));
}
static struct json_node *int_node(struct jp_run *r, int64_t v)
{
    struct num n = num_from_i64(v);
    return number_node(r, &n);
}
static bool read_num(struct jp_run *r, const struct json_node *n, struct num *out)
{
    return num_parse(r->ctx, (const char *)n->source.p, n->source.len, out);
}
static bool is_container(const struct json_node *n)
{
    return n->kind >= JSON_ARRAY;
}

static bool is_string(const struct json_node *n)
{
    return n->kind == JSON_STRING && !n->moment;
}

/* ---- going on ---- */

/* Hands a found value to `next`, or to the list when that was the last. */
static enum jp_result go_on(struct jp_run *r, const struct jp_item *next, struct json_node *n,
                            struct jp_list *found)
{
    if (next)
        return run_item(r, next, n, found, r->lax);
    if (found)
        append(r, found, n);
    return r->failed ? JP_FAILED : JP_OK;
}

/* What is looked for below a container: the levels from first to last, counted from 1; UINT32_MAX for both: leaves. */
struct levels {
    uint32_t first, last;
    bool ignore_structure; /* for what is applied there */
    bool unwrap;
};

static enum jp_result run_child(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                struct jp_list *found, const struct levels *levels)
{
    if (!it) {
        if (!found)
            return JP_OK;
        append(r, found, n);
        return r->failed ? JP_FAILED : JP_NOT_FOUND;
    }
    bool saved = r->ignore_structure;
    r->ignore_structure |= levels->ignore_structure;
    enum jp_result result = run_item(r, it, n, found, levels->unwrap);
    r->ignore_structure = saved;
    return result;
}

static bool is_over(enum jp_result result, const struct jp_list *found)
{
    return result == JP_FAILED || (result == JP_OK && !found);
}

static enum jp_result run_children(struct jp_run *r, const struct jp_item *it, struct json_node *parent,
                                   struct jp_list *found, uint32_t level, const struct levels *levels)
{
    enum jp_result result = JP_NOT_FOUND;
    if (level > levels->last)
        return result;
    if (++r->depth > JSONPATH_DEPTH_MAX)
        return jp_hard_error(r, FN_TOO_LARGE, "jsonpath goes too deep");
    for (struct json_node *n = parent->first; n && step(r); n = n->next) {
        bool leaf = levels->first == UINT32_MAX && levels->last == UINT32_MAX && !is_container(n);
        if (level >= levels->first || leaf) {
            result = run_child(r, it, n, found, levels);
            if (is_over(result, found))
                break;
        }
        if (level < levels->last && is_container(n)) {
            result = run_children(r, it, n, found, level + 1, levels);
            if (is_over(result, found))
                break;
        }
    }
    r->depth--;
    return r->failed ? JP_FAILED : result;
}

static enum jp_result run_elements(struct jp_run *r, const struct jp_item *it, struct json_node *array,
                                   struct jp_list *found, bool unwrap)
{
    const struct levels levels = {1, 1, false, unwrap};
    return run_children(r, it, array, found, 1, &levels);
}

/* What the item finds, arrays among it taken apart in lax mode. */
static enum jp_result run_unwrapped(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                    struct jp_list *found)
{
    struct jp_list all = {0};
    if (!r->lax)
        return run_item(r, it, n, found, r->lax);
    if (run_item(r, it, n, &all, r->lax) == JP_FAILED)
        return JP_FAILED;
    for (uint32_t i = 0; i < all.count; i++)
        if (all.v[i]->kind == JSON_ARRAY)
            run_elements(r, NULL, all.v[i], found, false);
        else
            append(r, found, all.v[i]);
    return r->failed ? JP_FAILED : JP_OK;
}

/* ---- predicates ---- */

static enum jp_truth truth(bool is)
{
    return is ? JP_TRUE : JP_FALSE;
}

static int compare_scalars(struct jp_run *r, const struct json_node *a, const struct json_node *b)
{
    return jsonb_cmp(r->ctx, a, b);
}

static enum jp_truth compare(struct jp_run *r, enum jp_kind kind, const struct json_node *a,
                             const struct json_node *b)
{
    if (a->kind != b->kind && (a->kind == JSON_NULL || b->kind == JSON_NULL))
        return truth(kind == JP_NE);
    if (a->kind != b->kind || is_container(a))
        return JP_UNKNOWN;
    int c;
    if (!a->moment != !b->moment)
        return JP_UNKNOWN; /* of two kinds */
    if (a->moment) {
        if (!jp_datetime_cmp(r, a, b, &c))
            return JP_UNKNOWN;
    } else {
        c = compare_scalars(r, a, b);
    }
    switch (kind) {
    case JP_EQ: return truth(c == 0);
    case JP_NE: return truth(c != 0);
    case JP_LT: return truth(c < 0);
    case JP_GT: return truth(c > 0);
    case JP_LE: return truth(c <= 0);
    default: return truth(c >= 0);
    }
}

static enum jp_truth matches(struct jp_run *r, const struct jp_item *it, const struct json_node *n)
{
    struct regex_text text;
    if (!is_string(n))
        return JP_UNKNOWN;
    const struct regex *re = regex_get(r->ctx, &it->text, it->regex_flags);
    if (re) {
        regex_text_init(&text, r->ctx->arena, &n->text);
        text.steps = &r->regex_steps;
    }
    enum regex_result result = re ? regex_search(r->ctx, re, &text, 0, 0, NULL) : REGEX_FAILED;
    r->failed |= result == REGEX_FAILED;
    return truth(result == REGEX_FOUND);
}

static enum jp_truth test_pair(struct jp_run *r, const struct jp_item *it, const struct json_node *a,
                               const struct json_node *b)
{
    if (it->kind == JP_LIKE_REGEX)
        return matches(r, it, a);
    if (it->kind != JP_STARTS_WITH)
        return compare(r, it->kind, a, b);
    if (!is_string(a) || !is_string(b))
        return JP_UNKNOWN;
    return truth(a->text.len >= b->text.len &&
                 (b->text.len == 0 || memcmp(a->text.p, b->text.p, b->text.len) == 0));
}

/* An item whose errors make a predicate unknown. */
static enum jp_result run_operand(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                  bool unwrap, struct jp_list *found)
{
    bool saved = r->throws;
    r->throws = false;
    enum jp_result result = unwrap ? run_unwrapped(r, it, n, found) : run_item(r, it, n, found, r->lax);
    r->throws = saved;
    return result;
}

/* True when any pair is; strict mode looks at all of them for errors first. */
static enum jp_truth test_pairs(struct jp_run *r, const struct jp_item *it, struct json_node *n)
{
    struct jp_list left = {0}, right = {0};
    bool unknown = false, found = false, comparison = it->kind != JP_STARTS_WITH && it->kind != JP_LIKE_REGEX;
    if (run_operand(r, it->left, n, true, &left) == JP_FAILED)
        return JP_UNKNOWN;
    if (it->right && run_operand(r, it->right, n, comparison, &right) == JP_FAILED)
        return JP_UNKNOWN;
    uint32_t count = it->right ? right.count : 1;
    for (uint32_t i = 0; i < left.count; i++)
        for (uint32_t k = 0; k < count && step(r); k++) {
            enum jp_truth t = test_pair(r, it, left.v[i], it->right ? right.v[k] : NULL);
            if (t == (r->lax ? JP_TRUE : JP_UNKNOWN))
                return t;
            unknown |= t == JP_UNKNOWN;
            found |= t == JP_TRUE;
        }
    return found ? JP_TRUE : unknown ? JP_UNKNOWN : JP_FALSE;
}

static enum jp_truth test_exists(struct jp_run *r, const struct jp_item *it, struct json_node *n)
{
    struct jp_list all = {0};
    enum jp_result result = run_operand(r, it->left, n, false, r->lax ? NULL : &all);
    if (result == JP_FAILED)
        return JP_UNKNOWN;
    return truth(r->lax ? result == JP_OK : all.count > 0);
}

static enum jp_truth test(struct jp_run *r, const struct jp_item *it, struct json_node *n)
{
    enum jp_truth a, b;
    switch (it->kind) {
    case JP_AND:
        a = run_predicate(r, it->left, n);
        if (a == JP_FALSE)
            return a;
        b = run_predicate(r, it->right, n);
        return b == JP_TRUE ? a : b;
    case JP_OR:
        a = run_predicate(r, it->left, n);
        if (a == JP_TRUE)
            return a;
        b = run_predicate(r, it->right, n);
        return b == JP_FALSE ? a : b;
    case JP_NOT: a = run_predicate(r, it->left, n); return a == JP_UNKNOWN ? a : truth(a == JP_FALSE);
    case JP_IS_UNKNOWN: return truth(run_predicate(r, it->left, n) == JP_UNKNOWN);
    case JP_EXISTS: return test_exists(r, it, n);
    default: return test_pairs(r, it, n);
    }
}

static enum jp_truth run_predicate(struct jp_run *r, const struct jp_item *it, struct json_node *n)
{
    if (++r->depth > JSONPATH_DEPTH_MAX)
        jp_hard_error(r, FN_TOO_LARGE, "jsonpath goes too deep");
    enum jp_truth t = r->failed ? JP_UNKNOWN : test(r, it, n);
    r->depth--;
    return t;
}

static enum jp_result predicate_value(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                      struct jp_list *found)
{
    enum jp_truth t = run_predicate(r, it, n);
    if (r->failed)
        return JP_FAILED;
    if (!it->next && !found)
        return JP_OK;
    return go_on(r, it->next,
                 t == JP_UNKNOWN ? word_node(r, JSON_NULL, "null")
                                 : word_node(r, JSON_BOOL, t == JP_TRUE ? "true" : "false"),
                 found);
}

/* ---- arithmetic ---- */

static bool single_number(struct jp_run *r, const struct jp_list *l, struct num *out)
{
    return l->count == 1 && l->v[0]->kind == JSON_NUMBER && read_num(r, l->v[0], out);
}

static bool calculate(struct fn_ctx *ctx, enum jp_kind kind, const struct num *a, const struct num *b,
                      struct num *out)
{
    switch (kind) {
    case JP_ADD: return num_add(ctx, a, b, out);
    case JP_SUB: return num_sub(ctx, a, b, out);
    case JP_MUL: return num_mul(ctx, a, b, out);
    case JP_DIV: return num_div(ctx, a, b, out);
    default: return num_mod(ctx, a, b, out);
    }
}

static enum jp_result run_binary(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                 struct jp_list *found)
{
    struct jp_list left = {0}, right = {0};
    struct num a, b, result;
    if (run_unwrapped(r, it->left, n, &left) == JP_FAILED ||
        run_unwrapped(r, it->right, n, &right) == JP_FAILED)
        return JP_FAILED;
    if (!single_number(r, &left, &a))
        return jp_error(r, FN_JSON_SINGLETON,
                        "left operand of jsonpath operator %s is not a single numeric value",
                        jp_operator_name(it->kind));
    if (!single_number(r, &right, &b))
        return jp_error(r, FN_JSON_SINGLETON,
                        "right operand of jsonpath operator %s is not a single numeric value",
                        jp_operator_name(it->kind));
    if (!calculate(r->ctx, it->kind, &a, &b, &result)) {
        r->failed |= r->throws;
        if (!r->throws)
            r->ctx->error = FN_OK;
        return JP_FAILED;
    }
    return !it->next && !found ? JP_OK : go_on(r, it->next, number_node(r, &result), found);
}

static enum jp_result run_sign(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                               struct jp_list *found)
{
    struct jp_list all = {0};
    struct num v;
    enum jp_result result = JP_NOT_FOUND;
    if (run_unwrapped(r, it->left, n, &all) == JP_FAILED)
        return JP_FAILED;
    for (uint32_t i = 0; i < all.count; i++) {
        bool is_number = all.v[i]->kind == JSON_NUMBER;
        if (!found && !it->next) {
            if (is_number)
                return JP_OK;
            continue;
        }
        if (!is_number || !read_num(r, all.v[i], &v))
            return jp_error(r, FN_JSON_NUMBER_NOT_FOUND,
                            "operand of unary jsonpath operator %s is not a numeric value",
                            jp_operator_name(it->kind));
        if (it->kind == JP_MINUS)
            num_neg(&v, &v);
        enum jp_result one = go_on(r, it->next, number_node(r, &v), found);
        if (is_over(one, found))
            return one;
        if (one == JP_OK)
            result = JP_OK;
    }
    return result;
}

/* ---- methods ---- */

static bool round_to_int(struct jp_run *r, enum jp_kind kind, struct num *v)
{
    struct num whole, one = num_from_i64(1);
    if (!num_trunc(r->ctx, v, 0, &whole))
        return false;
    int c = num_cmp(v, &whole);
    if (kind == JP_CEILING && c > 0 && !num_add(r->ctx, &whole, &one, &whole))
        return false;
    if (kind == JP_FLOOR && c < 0 && !num_sub(r->ctx, &whole, &one, &whole))
        return false;
    *v = whole;
    return true;
}

static enum jp_result run_rounding(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                   struct jp_list *found)
{
    struct num v, zero = num_zero();
    if (n->kind != JSON_NUMBER || !read_num(r, n, &v))
        return jp_error(r, FN_JSON_NON_NUMERIC,
                        "jsonpath item method .%s() can only be applied to a numeric value",
                        jp_operator_name(it->kind));
    if (it->kind != JP_ABS) {
        if (!round_to_int(r, it->kind, &v))
            return JP_FAILED;
    } else if (num_cmp(&v, &zero) < 0) {
        num_neg(&v, &v);
    }
    return !it->next && !found ? JP_OK : go_on(r, it->next, number_node(r, &v), found);
}

static enum jp_result run_double(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                 struct jp_list *found)
{
    const struct str *text = n->kind == JSON_STRING ? &n->text : &n->source;
    const struct type type = {T_FLOAT8, -1};
    union val v, number;
    bool is_null = false;
    const bool null[1] = {false};
    if (!is_string(n) && n->kind != JSON_NUMBER)
        return jp_error(r, FN_JSON_NON_NUMERIC,
                        "jsonpath item method .%s() can only be applied to a string or numeric value",
                        jp_operator_name(it->kind));
    if (!type_input(r->ctx, type, (const char *)text->p, text->len, &v) || !isfinite(v.f)) {
        r->ctx->error = FN_OK;
        return jp_error(
            r, FN_JSON_NON_NUMERIC,
            n->kind == JSON_NUMBER
                ? "numeric argument of jsonpath item method .%s() is out of range for type double precision"
                : "string argument of jsonpath item method .%s() is not a valid representation of a double "
                  "precision number",
            jp_operator_name(it->kind));
    }
    if (n->kind == JSON_STRING) {
        ASSERT(cast_find(T_FLOAT8, T_NUMERIC)->eval(r->ctx, &v, null, 1, &number, &is_null));
        n = number_node(r, &number.n);
    }
    return go_on(r, it->next, n, found);
}

static enum jp_result run_datetime(struct jp_run *r, const struct jp_item *it, const struct json_node *n,
                                   struct jp_list *found)
{
    if (!is_string(n))
        return jp_error(r, FN_JSON_DATETIME, "jsonpath item method .%s() can only be applied to a string",
                        jp_operator_name(it->kind));
    struct json_node *moment = jp_datetime(r, it, n);
    if (!moment)
        return JP_FAILED;
    return !it->next && !found ? JP_OK : go_on(r, it->next, moment, found);
}

static enum jp_result run_size(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                               struct jp_list *found)
{
    if (n->kind != JSON_ARRAY && !r->lax) {
        if (r->ignore_structure)
            return JP_NOT_FOUND;
        return jp_error(r, FN_JSON_ARRAY_NOT_FOUND,
                        "jsonpath item method .%s() can only be applied to an array",
                        jp_operator_name(it->kind));
    }
    return go_on(r, it->next, int_node(r, n->kind == JSON_ARRAY ? n->count : 1), found);
}

static enum jp_result run_type(struct jp_run *r, const struct jp_item *it, const struct json_node *n,
                               struct jp_list *found)
{
    static const char *const names[] = {"\"null\"",    "\"string\"", "\"number\"",
                                        "\"boolean\"", "\"array\"",  "\"object\""};
    struct json_node *name = word_node(r, JSON_STRING, n->moment ? jp_datetime_type(n) : names[n->kind]);
    name->text = (struct str){name->source.p + 1, name->source.len - 2, 0};
    return go_on(r, it->next, name, found);
}

static enum jp_result run_keyvalue(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                   struct jp_list *found)
{
    enum jp_result result = JP_NOT_FOUND;
    if (n->kind != JSON_OBJECT)
        return jp_error(r, FN_JSON_OBJECT_NOT_FOUND,
                        "jsonpath item method .%s() can only be applied to an object",
                        jp_operator_name(it->kind));
    int64_t id = jp_object_id(r, n);
    for (struct json_node *member = n->first; member && step(r); member = member->next) {
        if (!it->next && !found)
            return JP_OK;
        struct json_node *pair = jp_key_value(r, id, member);
        if (!pair)
            return JP_FAILED;
        struct jp_base saved = r->base;
        r->base = (struct jp_base){pair, r->next_base_id++};
        result = go_on(r, it->next, pair, found);
        r->base = saved;
        if (is_over(result, found))
            break;
    }
    return result;
}

/* ---- accessors ---- */

static enum jp_result run_key(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                              struct jp_list *found)
{
    if (n->kind != JSON_OBJECT)
        return r->ignore_structure ? JP_NOT_FOUND
                                   : jp_error(r, FN_JSON_MEMBER_NOT_FOUND,
                                              "jsonpath member accessor can only be applied to an object");
    struct json_node *member = json_member(n, &it->text);
    if (member)
        return go_on(r, it->next, member, found);
    if (r->ignore_structure)
        return JP_NOT_FOUND;
    return jp_error(r, FN_JSON_MEMBER_NOT_FOUND, "JSON object does not contain key \"%.*s\"",
                    TEXT_QUOTED(it->text, 100));
}

static enum jp_result run_any_key(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                  struct jp_list *found)
{
    if (n->kind == JSON_OBJECT)
        return run_elements(r, it->next, n, found, r->lax);
    return r->ignore_structure
               ? JP_NOT_FOUND
               : jp_error(r, FN_JSON_OBJECT_NOT_FOUND,
                          "jsonpath wildcard member accessor can only be applied to an object");
}

static enum jp_result run_any_array(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                    struct jp_list *found)
{
    if (n->kind == JSON_ARRAY)
        return run_elements(r, it->next, n, found, r->lax);
    if (r->lax)
        return go_on(r, it->next, n, found);
    return r->ignore_structure ? JP_NOT_FOUND
                               : jp_error(r, FN_JSON_ARRAY_NOT_FOUND,
                                          "jsonpath wildcard array accessor can only be applied to an array");
}

static bool read_index(struct jp_run *r, const struct jp_item *it, struct json_node *n, int64_t *index)
{
    struct jp_list found = {0};
    struct num v;
    if (run_item(r, it, n, &found, r->lax) == JP_FAILED)
        return false;
    if (!single_number(r, &found, &v))
        return jp_error(r, FN_JSON_SUBSCRIPT, "jsonpath array subscript is not a single numeric value") !=
               JP_FAILED;
    if (num_trunc(r->ctx, &v, 0, &v) && num_to_i64(r->ctx, &v, index) && *index >= INT32_MIN &&
        *index <= INT32_MAX)
        return true;
    r->ctx->error = FN_OK;
    return jp_error(r, FN_JSON_SUBSCRIPT, "jsonpath array subscript is out of integer range") != JP_FAILED;
}

/* The elements from..to; n itself when it is no array. */
static enum jp_result run_range(struct jp_run *r, const struct jp_item *it, struct json_node *n, int64_t from,
                                int64_t to, struct jp_list *found)
{
    enum jp_result result = JP_NOT_FOUND;
    if (from > to)
        return result;
    struct json_node *e = n->kind == JSON_ARRAY ? json_element(n, from) : n;
    for (int64_t i = from; i <= to && step(r); i++) {
        if (!it->next && !found)
            return JP_OK;
        result = go_on(r, it->next, e, found);
        if (is_over(result, found))
            break;
        e = n->kind == JSON_ARRAY ? e->next : n;
    }
    return r->failed ? JP_FAILED : result;
}

static enum jp_result run_subscript(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                    int64_t size, const struct jp_subscript *s, struct jp_list *found)
{
    int64_t from, to;
    if (!read_index(r, s->from, n, &from))
        return JP_FAILED;
    to = from;
    if (s->to && !read_index(r, s->to, n, &to))
        return JP_FAILED;
    if (!r->ignore_structure && (from < 0 || from > to || to >= size))
        return jp_error(r, FN_JSON_SUBSCRIPT, "jsonpath array subscript is out of bounds");
    return run_range(r, it, n, from < 0 ? 0 : from, to >= size ? size - 1 : to, found);
}

static enum jp_result run_subscripts(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                     struct jp_list *found)
{
    enum jp_result result = JP_NOT_FOUND;
    if (n->kind != JSON_ARRAY && !r->lax)
        return r->ignore_structure ? result
                                   : jp_error(r, FN_JSON_ARRAY_NOT_FOUND,
                                              "jsonpath array accessor can only be applied to an array");
    int64_t saved = r->array_size, size = n->kind == JSON_ARRAY ? n->count : 1;
    r->array_size = size;
    for (uint32_t i = 0; i < it->subscript_count; i++) {
        result = run_subscript(r, it, n, size, &it->subscripts[i], found);
        if (is_over(result, found))
            break;
    }
    r->array_size = saved;
    return result;
}

static enum jp_result run_any(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                              struct jp_list *found)
{
    enum jp_result result = JP_NOT_FOUND;
    const struct levels levels = {it->first, it->last, true, r->lax};
    if (it->first == 0) {
        bool saved = r->ignore_structure;
        r->ignore_structure = true;
        result = go_on(r, it->next, n, found);
        r->ignore_structure = saved;
        if (r->failed || (result == JP_OK && !found)) /* an error here is forgotten over the levels below */
            return result;
    }
    return is_container(n) ? run_children(r, it->next, n, found, 1, &levels) : result;
}

static enum jp_result run_filter(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                 struct jp_list *found)
{
    struct json_node *saved = r->current;
    r->current = n;
    enum jp_truth t = run_predicate(r, it->left, n);
    r->current = saved;
    if (r->failed)
        return JP_FAILED;
    return t == JP_TRUE ? go_on(r, it->next, n, found) : JP_NOT_FOUND;
}

static enum jp_result run_variable(struct jp_run *r, const struct jp_item *it, struct jp_list *found)
{
    struct jp_base saved = r->base;
    struct json_node *n = NULL;
    if (r->vars) { /* also when nothing comes of it: a missing variable is an error */
        n = json_member(r->vars, &it->text);
        if (!n) {
            char text[128];
            snprintf(text, sizeof text, "could not find jsonpath variable \"%.*s\"",
                     TEXT_QUOTED(it->text, 60));
            return jp_hard_error(r, FN_UNDEFINED_OBJECT, text);
        }
        r->base = (struct jp_base){r->vars, 1};
    }
    enum jp_result result = go_on(r, it->next, n ? n : word_node(r, JSON_NULL, "null"), found);
    r->base = saved;
    return result;
}

static enum jp_result run_root(struct jp_run *r, const struct jp_item *it, struct jp_list *found)
{
    struct jp_base saved = r->base;
    r->base = (struct jp_base){r->root, 0};
    enum jp_result result = go_on(r, it->next, r->root, found);
    r->base = saved;
    return result;
}

/* In lax mode an array is taken apart before these are applied to it. */
static bool unwraps(enum jp_kind kind)
{
    switch (kind) {
    case JP_KEY:
    case JP_ANY_KEY:
    case JP_FILTER:
    case JP_ABS:
    case JP_FLOOR:
    case JP_CEILING:
    case JP_DOUBLE:
    case JP_DATETIME:
    case JP_KEYVALUE: return true;
    default: return false;
    }
}

static enum jp_result apply_accessor(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                                     struct jp_list *found)
{
    switch (it->kind) {
    case JP_KEY: return run_key(r, it, n, found);
    case JP_ANY_KEY: return run_any_key(r, it, n, found);
    case JP_ANY_ARRAY: return run_any_array(r, it, n, found);
    case JP_SUBSCRIPT: return run_subscripts(r, it, n, found);
    case JP_ANY: return run_any(r, it, n, found);
    case JP_FILTER: return run_filter(r, it, n, found);
    case JP_TYPE: return run_type(r, it, n, found);
    case JP_SIZE: return run_size(r, it, n, found);
    case JP_DOUBLE: return run_double(r, it, n, found);
    case JP_DATETIME: return run_datetime(r, it, n, found);
    case JP_KEYVALUE: return run_keyvalue(r, it, n, found);
    default: return run_rounding(r, it, n, found);
    }
}

static enum jp_result apply(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                            struct jp_list *found)
{
    if (jp_is_predicate(it->kind))
        return predicate_value(r, it, n, found);
    switch (it->kind) {
    case JP_ROOT: return run_root(r, it, found);
    case JP_CURRENT: return go_on(r, it->next, r->current, found);
    case JP_LAST:
        return !it->next && !found ? JP_OK : go_on(r, it->next, int_node(r, r->array_size - 1), found);
    case JP_VARIABLE: return run_variable(r, it, found);
    case JP_NULL:
    case JP_BOOL:
    case JP_NUMBER:
    case JP_STRING: {
        struct json_node *copy = new_node(r, it->node.kind, it->node.source);
        copy->text = it->node.text;
        return !it->next && !found ? JP_OK : go_on(r, it->next, copy, found);
    }
    case JP_PLUS:
    case JP_MINUS: return run_sign(r, it, n, found);
    case JP_ADD:
    case JP_SUB:
    case JP_MUL:
    case JP_DIV:
    case JP_MOD: return run_binary(r, it, n, found);
    default: return apply_accessor(r, it, n, found);
    }
}

static enum jp_result run_item(struct jp_run *r, const struct jp_item *it, struct json_node *n,
                               struct jp_list *found, bool unwrap)
{
    enum jp_result result;
    if (!step(r))
        return JP_FAILED;
    if (++r->depth > JSONPATH_DEPTH_MAX)
        return jp_hard_error(r, FN_TOO_LARGE, "jsonpath goes too deep");
    if (unwrap && n->kind == JSON_ARRAY && unwraps(it->kind))
        result = run_elements(r, it, n, found, false);
    else
        result = apply(r, it, n, found);
    r->depth--;
    return r->failed ? JP_FAILED : result;
}

enum jp_result jsonpath_run(struct fn_ctx *ctx, const struct jsonpath *path, struct json_node *root,
                            struct json_node *vars, bool silent, bool use_zone, struct jp_list *found)
{
    struct jp_run r = {
        .ctx = ctx, .root = root, .current = root, .vars = vars, .throws = !silent, .use_zone = use_zone};
    struct jp_list all = {0};
    r.lax = r.ignore_structure = !path->is_strict;
    r.next_base_id = vars ? 2 : 1;
    ctx->error = FN_OK;
    if (r.lax || found)
        return run_item(&r, path->root, root, found, r.lax);
    /* Strict: all there is must be looked at, for there may be an error in it. */
    if (run_item(&r, path->root, root, &all, r.lax) == JP_FAILED)
        return JP_FAILED;
    return all.count ? JP_OK : JP_NOT_FOUND;
}
