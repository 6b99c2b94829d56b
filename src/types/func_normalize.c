/* normalize() and IS NORMALIZED: Unicode's forms NFC, NFD, NFKC and NFKD (UAX #15), as PostgreSQL's unicode_norm.c. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/unicode_impl.h"
#include "types/utf8.h"
#include <strings.h>

/* FORM_ASKED: only whether a text is in the form. PostgreSQL composes a syllable and TRAILS, which is no consonant, to the
 * syllable alone, but its quick check of what is normalized already knows better. */
enum { FORM_COMPOSED = 1, FORM_COMPATIBLE = 2, FORM_ASKED = 4 };

/* Hangul syllables are a leading consonant, a vowel, and perhaps a trailing consonant. */
enum {
    HANGUL = 0xac00,
    LEADS = 0x1100,
    VOWELS = 0x1161,
    TRAILS = 0x11a7, /* itself none */
    LEAD_COUNT = 19,
    VOWEL_COUNT = 21,
    TRAIL_COUNT = 28,
    HANGUL_COUNT = LEAD_COUNT * VOWEL_COUNT * TRAIL_COUNT
};

struct points { /* of a text */
    uint32_t count;
    uint32_t *v;
};

/* ---- the tables ---- */

static const struct unicode_char *find_char(uint32_t code)
{
    uint32_t low = 0, high = unicode_char_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (unicode_chars[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < unicode_char_count && unicode_chars[low].code == code ? &unicode_chars[low] : NULL;
}

static uint8_t class_of(uint32_t code)
{
    const struct unicode_char *c = code < 0x300 ? NULL : find_char(code); /* the first one with a class */
    return c ? c->combining_class : 0;
}

static bool find_pair(uint32_t first, uint32_t second, uint32_t *code)
{
    uint32_t low = 0, high = unicode_pair_count;
    uint64_t key = (uint64_t)first << 32 | second;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct unicode_pair *p = &unicode_pairs[middle];
        uint64_t at = (uint64_t)p->first << 32 | p->second;
        if (at == key) {
            *code = p->code;
            return true;
        }
        if (at < key)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- apart ---- */

static uint32_t decode(const uint8_t *p, uint32_t len)
{
    uint32_t c = len == 1 ? p[0] : len == 2 ? p[0] & 0x1f : len == 3 ? p[0] & 0x0f : p[0] & 0x07;
    for (uint32_t i = 1; i < len; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

/* What code comes apart to, into `to`; NULL: only counted. */
static uint32_t take_apart(uint32_t code, unsigned form, uint32_t *to)
{
    const uint32_t *from = &code;
    uint32_t count = 1, hangul[3];
    if (code >= HANGUL && code < HANGUL + HANGUL_COUNT) {
        uint32_t s = code - HANGUL, trail = s % TRAIL_COUNT;
        hangul[0] = LEADS + s / (VOWEL_COUNT * TRAIL_COUNT);
        hangul[1] = VOWELS + s % (VOWEL_COUNT * TRAIL_COUNT) / TRAIL_COUNT;
        hangul[2] = TRAILS + trail;
        from = hangul;
        count = trail ? 3 : 2;
    } else if (code >= 0xa0) {
        const struct unicode_char *c = find_char(code);
        bool compatible = form & FORM_COMPATIBLE;
        uint32_t parts = !c ? 0 : compatible ? c->compatible_count : c->canonical_count;
        if (parts) {
            from = &unicode_points[compatible ? c->compatible : c->canonical];
            count = parts;
        }
    }
    if (to)
        memcpy(to, from, count * sizeof *to);
    return count;
}

static struct points decompose(struct fn_ctx *ctx, const struct str *s, unsigned form)
{
    struct points out = {0, NULL};
    const uint8_t *end = s->p + s->len;
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        count = 0;
        for (const uint8_t *p = s->p; p < end;) {
            uint32_t n = utf8_len(p, end);
            count += take_apart(decode(p, n), form, pass ? out.v + count : NULL);
            p += n;
        }
        if (!pass)
            out.v = arena_alloc(ctx->arena, count * sizeof *out.v);
    }
    ASSERT(count <= UINT32_MAX);
    out.count = (uint32_t)count;
    return out;
}

/* ---- in order ---- */

/* By class, those of one class as they stood. Counted, as a text may be nothing but marks. */
static void sort_marks(struct arena *arena, uint32_t *v, uint32_t count)
{
    uint32_t from[257] = {0}, *sorted = arena_alloc(arena, count * sizeof *v);
    for (uint32_t i = 0; i < count; i++)
        from[class_of(v[i]) + 1]++;
    for (int c = 0; c < 256; c++)
        from[c + 1] += from[c];
    for (uint32_t i = 0; i < count; i++)
        sorted[from[class_of(v[i])]++] = v[i];
    memcpy(v, sorted, count * sizeof *v);
}

static void order_marks(struct arena *arena, struct points *t)
{
    for (uint32_t i = 0; i < t->count;) {
        uint32_t end = i;
        uint8_t last = 0, c;
        bool ordered = true;
        for (; end < t->count && (c = class_of(t->v[end])) != 0; end++) {
            ordered &= last <= c;
            last = c;
        }
        if (!ordered)
            sort_marks(arena, t->v + i, end - i);
        i = end + 1;
    }
}

/* ---- together ---- */

static bool join(uint32_t first, uint32_t second, unsigned form, uint32_t *code)
{
    if (first - LEADS < LEAD_COUNT && second - VOWELS < VOWEL_COUNT) {
        *code = HANGUL + ((first - LEADS) * VOWEL_COUNT + (second - VOWELS)) * TRAIL_COUNT;
        return true;
    }
    if (first - HANGUL < HANGUL_COUNT && (first - HANGUL) % TRAIL_COUNT == 0 &&
        second - TRAILS < TRAIL_COUNT && !((form & FORM_ASKED) && second == TRAILS)) {
        *code = first + (second - TRAILS);
        return true;
    }
    return find_pair(first, second, code);
}

/* Each mark goes into the starter before it when nothing of its class or above stands between. */
static void compose(struct points *t, unsigned form)
{
    uint32_t starter = 0, to = 1, code;
    int last = -1;
    for (uint32_t i = 1; i < t->count; i++) {
        int c = class_of(t->v[i]);
        if (last < c && join(t->v[starter], t->v[i], form, &code)) {
            t->v[starter] = code;
            continue;
        }
        if (c == 0)
            starter = to;
        last = c == 0 ? -1 : c;
        t->v[to++] = t->v[i];
    }
    t->count = t->count ? to : 0;
}

static bool is_ascii(const struct str *s)
{
    uint8_t all = 0;
    for (uint32_t i = 0; i < s->len; i++)
        all |= s->p[i];
    return all < 0x80;
}

static struct str normalised(struct fn_ctx *ctx, const struct str *s, unsigned form)
{
    if (is_ascii(s))
        return *s;
    struct points t = decompose(ctx, s, form);
    order_marks(ctx->arena, &t);
    if (form & FORM_COMPOSED)
        compose(&t, form);
    uint8_t *text = arena_alloc(ctx->arena, (size_t)t.count * 4);
    size_t len = 0;
    for (uint32_t i = 0; i < t.count; i++)
        len += utf8_put(t.v[i], text + len);
    ASSERT(len <= UINT32_MAX);
    return (struct str){text, (uint32_t)len, 0};
}

/* ---- functions ---- */

static bool read_form(struct fn_ctx *ctx, const union val *args, uint32_t arg_count, unsigned *form)
{
    static const struct {
        const char *name;
        unsigned form;
    } forms[] = {{"NFC", FORM_COMPOSED},
                 {"NFD", 0},
                 {"NFKC", FORM_COMPOSED | FORM_COMPATIBLE},
                 {"NFKD", FORM_COMPATIBLE}};
    *form = FORM_COMPOSED;
    if (arg_count < 2)
        return true;
    const struct str *s = &args[1].s;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++)
        if (s->len == strlen(forms[i].name) && strncasecmp((const char *)s->p, forms[i].name, s->len) == 0) {
            *form = forms[i].form;
            return true;
        }
    return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid normalization form: %.*s",
                   (int)(s->len < 100 ? s->len : 100), (const char *)s->p);
}

KERNEL(text_normalize)
{
    unsigned form;
    if (!read_form(ctx, args, arg_count, &form))
        return false;
    out->s = normalised(ctx, &args[0].s, form);
    return true;
}
KERNEL(text_is_normalized)
{
    unsigned form;
    if (!read_form(ctx, args, arg_count, &form))
        return false;
    struct str s = normalised(ctx, &args[0].s, form | FORM_ASKED);
    return ret_int(out, s.len == args[0].s.len && (s.len == 0 || memcmp(s.p, args[0].s.p, s.len) == 0));
}

static const char normalize_doc[] =
    "in Unicode's normalization form NFC (or NFD, NFKC, NFKD): `normalize(t, NFKC)`";
static const char is_doc[] = "is it in that form; written `t IS NFKC NORMALIZED`";
static const struct fn rows[] = {
    FN1("normalize", T_TEXT, T_TEXT, text_normalize, normalize_doc),
    FN2("normalize", T_TEXT, T_TEXT, T_TEXT, text_normalize, normalize_doc),
    FN1("is_normalized", T_TEXT, T_BOOL, text_is_normalized, is_doc),
    FN2("is_normalized", T_TEXT, T_TEXT, T_BOOL, text_is_normalized, is_doc),
};
const struct fn_list fn_normalize = {rows, ARRAY_COUNT(rows)};
