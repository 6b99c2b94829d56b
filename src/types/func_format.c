/* format(), and counting NULLs: functions of any arguments, which come as the text of their output functions. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/func_text.h"
#include "types/utf8.h"

#define RESULT_MAX (0x3fffffff - 4) /* PostgreSQL's largest value, without its header */

struct format {
    struct fn_ctx *ctx;
    const uint8_t *p, *end; /* of the pattern */
    const union val *args;  /* args[0] is the pattern */
    const bool *null;
    uint32_t arg_count, next_arg;
    uint8_t *out;
    size_t len, cap;
};
struct specifier {                    /* %[position$][-][width|*|*position$]type */
    int64_t position, width_position; /* -1: none; width_position 0: the next argument */
    int64_t width;
    bool left;
};

static bool put(struct format *f, const void *p, size_t n)
{
    if (f->len + n > RESULT_MAX)
        return fn_fail(f->ctx, FN_TOO_LARGE, "requested length too large");
    if (f->len + n > f->cap) {
        f->cap = (f->len + n) * 2 + 64;
        uint8_t *more = arena_alloc(f->ctx->arena, f->cap);
        if (f->len)
            memcpy(more, f->out, f->len);
        f->out = more;
    }
    if (n)
        memcpy(f->out + f->len, p, n);
    f->len += n;
    return true;
}
static bool put_blanks(struct format *f, int64_t n)
{
    for (; n > 0; n--)
        if (!put(f, " ", 1))
            return false;
    return true;
}

static bool advance(struct format *f)
{
    return ++f->p < f->end || fn_fail(f->ctx, FN_BAD_ARGUMENT, "unterminated format() type specifier");
}
static bool number_too_large(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "number is out of range");
}

/* *found: were there any? */
static bool read_digits(struct format *f, int64_t *n, bool *found)
{
    *found = false;
    for (*n = 0; *f->p >= '0' && *f->p <= '9'; *found = true) {
        *n = *n * 10 + (*f->p - '0');
        if (*n > INT32_MAX)
            return number_too_large(f->ctx);
        if (!advance(f))
            return false;
    }
    return true;
}
static bool check_position(struct format *f, int64_t n)
{
    return n > 0 ||
           fn_fail(f->ctx, FN_BAD_ARGUMENT, "format specifies argument 0, but arguments are numbered from 1");
}

static bool read_width(struct format *f, struct specifier *s)
{
    int64_t n;
    bool found;
    if (*f->p != '*')
        return read_digits(f, &s->width, &found);
    if (!advance(f) || !read_digits(f, &n, &found))
        return false;
    s->width_position = 0;
    if (!found)
        return true;
    if (*f->p != '$')
        return fn_fail(f->ctx, FN_BAD_ARGUMENT, "width argument position must be ended by \"$\"");
    s->width_position = n;
    return check_position(f, n) && advance(f);
}

static bool read_specifier(struct format *f, struct specifier *s)
{
    int64_t n;
    bool found;
    *s = (struct specifier){.position = -1, .width_position = -1};
    if (!read_digits(f, &n, &found))
        return false;
    if (found && *f->p != '$') {
        s->width = n;
        return true;
    }
    if (found) {
        s->position = n;
        if (!check_position(f, n) || !advance(f))
            return false;
    }
    while (*f->p == '-') {
        s->left = true;
        if (!advance(f))
            return false;
    }
    return read_width(f, s);
}

static bool take_argument(struct format *f, int64_t position, uint32_t *index)
{
    if (position > 0)
        f->next_arg = (uint32_t)position;
    if (f->next_arg >= f->arg_count)
        return fn_fail(f->ctx, FN_BAD_ARGUMENT, "too few arguments for format()");
    *index = f->next_arg++;
    return true;
}

static bool argument_width(struct format *f, struct specifier *s)
{
    uint32_t index = 0;
    union val width = {.i = 0};
    if (s->width_position < 0)
        return true;
    if (!take_argument(f, s->width_position, &index))
        return false;
    const struct str *text = &f->args[index].s;
    if (!f->null[index] &&
        !type_input(f->ctx, (struct type){T_INT4, -1}, (const char *)text->p, text->len, &width))
        return false;
    if (width.i <= INT32_MIN)
        return number_too_large(f->ctx);
    s->left |= width.i < 0;
    s->width = width.i < 0 ? -width.i : width.i;
    return true;
}

/* The argument as %s, %I or %L show it. */
static bool converted(struct format *f, uint8_t type, uint32_t index, struct str *out)
{
    union val v = {.s = STR_LIT("")};
    if (f->null[index]) {
        if (type == 'I')
            return fn_fail(f->ctx, FN_NULL_NOT_ALLOWED,
                           "null values cannot be formatted as an SQL identifier");
        *out = type == 'L' ? STR_LIT("NULL") : STR_LIT("");
        return true;
    }
    v.s = f->args[index].s;
    if (type == 'I' && !text_quote_ident(f->ctx, &f->args[index].s, &v))
        return false;
    if (type == 'L' && !text_quote_literal(f->ctx, &f->args[index].s, &v))
        return false;
    *out = v.s;
    return true;
}

static bool put_specified(struct format *f)
{
    struct specifier s;
    struct str text = {NULL, 0, 0};
    uint32_t index = 0;
    if (!read_specifier(f, &s))
        return false;
    uint8_t type = *f->p;
    if (type != 's' && type != 'I' && type != 'L')
        return fn_fail(f->ctx, FN_BAD_ARGUMENT, "unrecognized format() type specifier \"%.*s\"",
                       (int)utf8_len(f->p, f->end), (const char *)f->p);
    f->p++;
    if (!argument_width(f, &s) || !take_argument(f, s.position, &index) || !converted(f, type, index, &text))
        return false;
    int64_t blanks = s.width - utf8_count(&text);
    return (s.left || put_blanks(f, blanks)) && put(f, text.p, text.len) &&
           (!s.left || put_blanks(f, blanks));
}

KERNEL(text_format)
{
    const struct str *pattern = &args[0].s;
    struct format f = {.ctx = ctx, .args = args, .null = null, .arg_count = arg_count, .next_arg = 1};
    if (null[0]) {
        *out_null = true;
        return true;
    }
    f.p = pattern->p;
    f.end = pattern->p + pattern->len;
    while (f.p < f.end) {
        if (*f.p != '%') {
            if (!put(&f, f.p++, 1))
                return false;
            continue;
        }
        if (!advance(&f))
            return false;
        if (*f.p == '%' ? !put(&f, f.p++, 1) : !put_specified(&f))
            return false;
    }
    return ret_str(out, f.out, f.len);
}

static int64_t count_nulls(const bool *null, uint32_t n)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += null[i];
    return count;
}
KERNEL(any_num_nulls)
{
    return ret_int(out, count_nulls(null, arg_count));
}
KERNEL(any_num_nonnulls)
{
    return ret_int(out, arg_count - count_nulls(null, arg_count));
}

static const char format_doc[] =
    "The text with %s, %I and %L replaced by an argument, as it is, as an identifier, as a literal";
static const struct fn rows[] = {
    {"format", 0, 1, {T_TEXT}, T_TEXT, text_format, NULL, format_doc},
    {"format", FN_VARIADIC, 2, {T_TEXT, T_UNKNOWN}, T_TEXT, text_format, NULL, format_doc},
    {"num_nulls", FN_VARIADIC, 1, {T_UNKNOWN}, T_INT4, any_num_nulls, NULL, "How many arguments are NULL"},
    {"num_nonnulls",
     FN_VARIADIC,
     1,
     {T_UNKNOWN},
     T_INT4,
     any_num_nonnulls,
     NULL,
     "How many arguments are not NULL"},
};
const struct fn_list fn_format = {rows, ARRAY_COUNT(rows)};
