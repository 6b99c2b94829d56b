/* to_number: reads a text by a number template. The template says where signs, digits and separators may stand; what
 * does not fit is skipped in PostgreSQL's way (NUM_processor in formatting.c is the description). */
#include "types/func_kernel.h"
#include "types/number_format.h"
#include "types/numeric_impl.h"
#include "types/text_io.h"
#include "types/utf8.h"

struct reader {
    const struct number_format *f;
    const uint8_t *p, *end;
    char sign;    /* ' ' until one was read */
    char *digits; /* and the point */
    uint32_t count;
    int read_before, read_after;
    bool read_point;
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}
static bool at_end(const struct reader *r)
{
    return r->p >= r->end;
}

/* Up to n characters that cannot be part of a number. */
static void skip_other(struct reader *r, int n)
{
    for (; n > 0 && !at_end(r) && !memchr("0123456789.,+-", *r->p, 14); n--)
        r->p += utf8_len(r->p, r->end);
}

static void read_sign_before(struct reader *r)
{
    bool anchored = r->f->flags & NF_SIGN && r->f->sign_place == NF_SIGN_BEFORE;
    if (*r->p == '-' || (!anchored && (r->f->flags & NF_BRACKET) && *r->p == '<'))
        r->sign = '-';
    else if (*r->p == '+')
        r->sign = '+';
    else
        return;
    r->p++;
}

/* The sign behind the last digit; r->p stays on the last character that was used. */
static void read_sign_after(struct reader *r, bool was_read)
{
    unsigned flags = r->f->flags;
    if ((flags & NF_SIGN) && was_read && r->p + 1 < r->end && !is_digit(r->p[1])) {
        if (r->p[1] == '-' || r->p[1] == '+') {
            r->sign = (char)r->p[1];
            r->p++;
        }
    } else if (!was_read && !(flags & NF_SIGN) && (flags & (NF_PLUS | NF_MINUS)) &&
               (*r->p == '-' || *r->p == '+')) {
        r->sign = (char)*r->p;
    }
}

/* At an item 0, 9, point or D. */
static void read_digit(struct reader *r, enum nf_item_id id)
{
    bool was_read = false;
    if (!at_end(r) && *r->p == ' ')
        r->p++;
    if (at_end(r))
        return;
    if (r->sign == ' ' && (id == NF_0 || id == NF_9) && r->read_before + r->read_after == 0)
        read_sign_before(r);
    if (at_end(r))
        return;
    if (is_digit(*r->p)) {
        if (r->read_point && r->read_after == r->f->after)
            return;
        r->digits[r->count++] = (char)*r->p;
        if (r->read_point)
            r->read_after++;
        else
            r->read_before++;
        was_read = true;
    } else if ((r->f->flags & NF_DECIMAL) && !r->read_point && *r->p == '.') {
        r->digits[r->count++] = '.';
        r->read_point = was_read = true;
    }
    if (r->sign == ' ' && r->read_before + r->read_after > 0)
        read_sign_after(r, was_read);
}

/* At MI, PL or SG: a sign that it takes is stepped over. */
static void read_sign_item(struct reader *r, enum nf_item_id id)
{
    bool minus = *r->p == '-' && id != NF_PL, plus = *r->p == '+' && id != NF_MI;
    if (minus || plus) {
        r->sign = (char)*r->p;
        r->p++;
    } else {
        skip_other(r, 1);
    }
}

static void read_item(struct reader *r, const struct nf_item *item)
{
    switch (item->id) {
    case NF_9:
    case NF_0:
    case NF_POINT:
    case NF_D:
        read_digit(r, item->id);
        r->p++;
        break;
    case NF_COMMA:
    case NF_G: /* num_in is never set when reading, so that FM makes separators be ignored */
        if (!(r->f->flags & NF_FILL) && *r->p == ',')
            r->p++;
        break;
    case NF_L: skip_other(r, 1); break;
    case NF_TH:
        if (!(r->f->flags & (NF_ROMAN | NF_DECIMAL)))
            skip_other(r, 2);
        break;
    case NF_MI:
    case NF_PL:
    case NF_SG: read_sign_item(r, item->id); break;
    case NF_TEXT: r->p += utf8_len(r->p, r->end); break;
    default: break;
    }
}

static bool scale_down(struct fn_ctx *ctx, int digits, struct num *n)
{
    struct num ten = num_from_i64(10), exponent = num_from_i64(-digits), factor;
    return num_power(ctx, &ten, &exponent, &factor) && num_mul(ctx, n, &factor, n);
}

bool fn_to_number(KERNEL_ARGS)
{
    struct number_format f;
    struct reader r = {.f = &f, .p = args[0].s.p, .end = args[0].s.p + args[0].s.len, .sign = ' '};
    if (args[1].s.len == 0) {
        *out_null = true;
        return true;
    }
    if (!number_format_read(ctx, &args[1].s, &f))
        return false;
    if (f.flags & (NF_EXPONENT | NF_ROMAN))
        return fn_fail(ctx, FN_UNSUPPORTED, "\"%s\" not supported for input",
                       f.flags & NF_EXPONENT ? "EEEE" : "RN");
    char *text = arena_alloc(ctx->arena, (size_t)f.count + 3);
    r.digits = text + 1;
    for (uint32_t i = 0; i < f.count && !at_end(&r); i++)
        read_item(&r, &f.items[i]);
    if (r.count > 0 && r.digits[r.count - 1] == '.')
        r.count--;
    text[0] = r.sign;
    int precision = f.before + f.multi + r.read_after;
    /* Past 16 bits of digits the typmod runs over, in PostgreSQL too. */
    uint32_t typmod = ((uint32_t)precision << 16 | (uint32_t)r.read_after) + 4;
    struct type t = {T_NUMERIC, (int32_t)typmod};
    return type_input(ctx, t, text, (size_t)r.count + 1, out) &&
           (!(f.flags & NF_MULTI) || scale_down(ctx, f.multi, &out->n));
}
