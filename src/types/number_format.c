/* Reads the templates of to_char and to_number. Keywords do not mix cases: EEEE and eeee, not Eeee. */
#include "types/number_format.h"

#include "types/utf8.h"
#include <string.h>

static const struct {
    const char *upper, *lower;
    enum nf_item_id id;
} keywords[] = {
    {",", ",", NF_COMMA}, {".", ".", NF_POINT}, {"0", "0", NF_0},    {"9", "9", NF_9},
    {"B", "b", NF_B},     {"C", "c", NF_C},     {"D", "d", NF_D},    {"EEEE", "eeee", NF_EEEE},
    {"FM", "fm", NF_FM},  {"G", "g", NF_G},     {"L", "l", NF_L},    {"MI", "mi", NF_MI},
    {"PL", "pl", NF_PL},  {"PR", "pr", NF_PR},  {"RN", "rn", NF_RN}, {"SG", "sg", NF_SG},
    {"SP", "sp", NF_SP},  {"S", "s", NF_S},     {"TH", "th", NF_TH}, {"V", "v", NF_V},
};

static bool bad(struct fn_ctx *ctx, const char *why)
{
    return fn_fail(ctx, FN_BAD_TEMPLATE, "%s", why);
}

static bool read_digit(struct fn_ctx *ctx, struct number_format *f, enum nf_item_id id)
{
    if (f->flags & NF_BRACKET)
        return bad(ctx, id == NF_9 ? "\"9\" must be ahead of \"PR\"" : "\"0\" must be ahead of \"PR\"");
    bool decimal = f->flags & NF_DECIMAL;
    if (id == NF_9 && (f->flags & NF_MULTI)) {
        f->multi++;
        return true;
    }
    if (id == NF_0 && !(f->flags & NF_ZERO) && !decimal) {
        f->flags |= NF_ZERO;
        f->zero_start = f->before + 1;
    }
    if (decimal)
        f->after++;
    else
        f->before++;
    if (id == NF_0)
        f->zero_end = f->before + f->after;
    return true;
}

static bool read_point(struct fn_ctx *ctx, struct number_format *f)
{
    if (f->flags & NF_DECIMAL)
        return bad(ctx, "multiple decimal points");
    if (f->flags & NF_MULTI)
        return bad(ctx, "cannot use \"V\" and decimal point together");
    f->flags |= NF_DECIMAL;
    return true;
}

static bool read_anchored_sign(struct fn_ctx *ctx, struct number_format *f)
{
    if (f->flags & NF_SIGN)
        return bad(ctx, "cannot use \"S\" twice");
    if (f->flags & (NF_PLUS | NF_MINUS | NF_BRACKET))
        return bad(ctx, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
    f->flags |= NF_SIGN;
    f->sign_place = f->flags & NF_DECIMAL ? NF_SIGN_AFTER : NF_SIGN_BEFORE;
    if (f->sign_place == NF_SIGN_BEFORE)
        f->before_sign = f->before;
    return true;
}

static bool read_sign(struct fn_ctx *ctx, struct number_format *f, enum nf_item_id id)
{
    if (f->flags & NF_SIGN)
        return bad(ctx, "cannot use \"S\" and \"MI\"/\"PL\"/\"SG\"/\"PR\" together");
    if (id == NF_PR && (f->flags & (NF_PLUS | NF_MINUS)))
        return bad(ctx, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
    f->flags |= id == NF_MI   ? NF_MINUS
                : id == NF_PL ? NF_PLUS
                : id == NF_PR ? NF_BRACKET
                              : NF_MINUS | NF_PLUS;
    return true;
}

static bool read_exponent(struct fn_ctx *ctx, struct number_format *f)
{
    unsigned others = NF_BLANK | NF_FILL | NF_SIGN | NF_BRACKET | NF_MINUS | NF_PLUS | NF_ROMAN | NF_MULTI;
    if (f->flags & NF_EXPONENT)
        return bad(ctx, "cannot use \"EEEE\" twice");
    if (f->flags & others)
        return bad(ctx, "\"EEEE\" is incompatible with other formats");
    f->flags |= NF_EXPONENT;
    return true;
}

static bool prepare(struct fn_ctx *ctx, struct number_format *f, enum nf_item_id id)
{
    if ((f->flags & NF_EXPONENT) && id != NF_EEEE)
        return bad(ctx, "\"EEEE\" must be the last pattern used");
    switch (id) {
    case NF_9:
    case NF_0: return read_digit(ctx, f, id);
    case NF_B:
        if (f->before == 0 && f->after == 0 && !(f->flags & NF_ZERO))
            f->flags |= NF_BLANK;
        return true;
    case NF_D:
    case NF_POINT: return read_point(ctx, f);
    case NF_FM: f->flags |= NF_FILL; return true;
    case NF_S: return read_anchored_sign(ctx, f);
    case NF_MI:
    case NF_PL:
    case NF_SG:
    case NF_PR: return read_sign(ctx, f, id);
    case NF_RN: f->flags |= NF_ROMAN; return true;
    case NF_V:
        if (f->flags & NF_DECIMAL)
            return bad(ctx, "cannot use \"V\" and decimal point together");
        f->flags |= NF_MULTI;
        return true;
    case NF_EEEE: return read_exponent(ctx, f);
    default: return true;
    }
}

static uint32_t keyword_at(const uint8_t *p, const uint8_t *end, struct nf_item *item)
{
    for (size_t i = 0; i < ARRAY_COUNT(keywords); i++) {
        uint32_t n = (uint32_t)strlen(keywords[i].upper);
        if ((size_t)(end - p) < n)
            continue;
        bool upper = memcmp(p, keywords[i].upper, n) == 0;
        if (!upper && memcmp(p, keywords[i].lower, n) != 0)
            continue;
        *item = (struct nf_item){keywords[i].id, !upper, {NULL, 0, 0}};
        return n;
    }
    return 0;
}

static const uint8_t *put_char(struct number_format *f, const uint8_t *p, const uint8_t *end)
{
    uint32_t n = utf8_len(p, end);
    f->items[f->count++] = (struct nf_item){NF_TEXT, false, {p, n, 0}};
    return p + n;
}

static const uint8_t *read_text(struct number_format *f, const uint8_t *p, const uint8_t *end)
{
    if (*p != '"') {
        p += *p == '\\' && p + 1 < end && p[1] == '"';
        return put_char(f, p, end);
    }
    for (p++; p < end && *p != '"';) {
        p += *p == '\\' && p + 1 < end;
        p = put_char(f, p, end);
    }
    return p + (p < end);
}

bool number_format_read(struct fn_ctx *ctx, const struct str *template, struct number_format *f)
{
    const uint8_t *p = template->p, *end = p + template->len;
    *f = (struct number_format){0};
    f->items = ARENA_ARRAY(ctx->arena, struct nf_item, template->len + 1);
    while (p < end) {
        uint32_t n = keyword_at(p, end, &f->items[f->count]);
        if (n == 0) {
            p = read_text(f, p, end);
            continue;
        }
        if (!prepare(ctx, f, f->items[f->count].id))
            return false;
        f->count++;
        p += n;
    }
    return true;
}
