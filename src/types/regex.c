/* Compiling regular expressions, and keeping the compiled ones: a pattern is nearly always the same for every row. */
#include "types/regex_impl.h"

#include "types/utf8.h"
#include <pthread.h>
#include <stdlib.h>

static uint32_t decode(const uint8_t *p, uint32_t n)
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    for (uint32_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3fu);
    return c;
}

void regex_text_init(struct regex_text *text, struct arena *arena, const struct str *s)
{
    uint32_t count = utf8_count(s), i = 0;
    bool plain = count == s->len;
    uint32_t *chars = arena_alloc(arena, (size_t)s->len * sizeof *chars);
    uint32_t *offsets = plain ? NULL : arena_alloc(arena, ((size_t)s->len + 1) * sizeof *offsets);
    const uint8_t *end = s->p + s->len;
    for (const uint8_t *p = s->p; p < end; i++) {
        uint32_t n = plain ? 1 : utf8_len(p, end);
        if (offsets)
            offsets[i] = (uint32_t)(p - s->p);
        chars[i] = decode(p, n);
        p += n;
    }
    if (offsets)
        offsets[i] = s->len;
    *text = (struct regex_text){chars, i, offsets, NULL};
}

static bool fill(struct fn_ctx *ctx, struct regex *re, const struct str *pattern, unsigned flags)
{
    struct regex_text text;
    regex_text_init(&text, ctx->arena, pattern);
    struct rx_parser p = {
        .arena = &re->arena, .p = text.chars, .end = text.chars + text.count, .flags = flags};
    const struct rx_node *root = rx_parse(&p);
    if (p.unsupported)
        return fn_fail(ctx, FN_UNSUPPORTED, "regular expressions other than advanced ones (options b and e)");
    re->flags = p.flags;
    re->group_count = p.group_count;
    if (root && !rx_build(re, root))
        p.error = "regular expression is too complex";
    if (p.error)
        return fn_fail(ctx, FN_BAD_REGEX, "invalid regular expression: %s", p.error);
    return true;
}

struct regex *regex_compile(struct fn_ctx *ctx, const struct str *pattern, unsigned flags)
{
    struct regex *re = xcalloc(1, sizeof *re);
    arena_init(&re->arena);
    if (fill(ctx, re, pattern, flags))
        return re;
    regex_free(re);
    return NULL;
}

void regex_free(struct regex *re)
{
    if (!re)
        return;
    arena_fini(&re->arena);
    free(re);
}

uint32_t regex_group_count(const struct regex *re)
{
    return re->group_count;
}

/* ---- this thread's compiled patterns ---- */

#define KEPT_MAX 32 /* patterns */
struct kept {
    struct regex *re; /* owned */
    uint8_t *pattern; /* owned */
    uint32_t len;
    unsigned flags;
    uint64_t last_use;
};
struct kept_patterns {
    struct kept items[KEPT_MAX];
    uint64_t uses;
};
static pthread_key_t kept_key;
static pthread_once_t kept_once = PTHREAD_ONCE_INIT;

static void kept_free(void *p)
{
    struct kept_patterns *k = p;
    for (int i = 0; i < KEPT_MAX; i++) {
        regex_free(k->items[i].re);
        free(k->items[i].pattern);
    }
    free(k);
}
static void kept_init(void)
{
    ASSERT(pthread_key_create(&kept_key, kept_free) == 0);
}
static struct kept_patterns *kept_patterns(void)
{
    pthread_once(&kept_once, kept_init);
    struct kept_patterns *k = pthread_getspecific(kept_key);
    if (!k) {
        k = xcalloc(1, sizeof *k);
        ASSERT(pthread_setspecific(kept_key, k) == 0);
    }
    return k;
}

static bool is_kept(const struct kept *k, const struct str *pattern, unsigned flags)
{
    return k->re && k->flags == flags && k->len == pattern->len &&
           (k->len == 0 || memcmp(k->pattern, pattern->p, k->len) == 0);
}

const struct regex *regex_get(struct fn_ctx *ctx, const struct str *pattern, unsigned flags)
{
    struct kept_patterns *all = kept_patterns();
    struct kept *oldest = &all->items[0];
    for (int i = 0; i < KEPT_MAX; i++) {
        struct kept *k = &all->items[i];
        if (is_kept(k, pattern, flags)) {
            k->last_use = ++all->uses;
            return k->re;
        }
        if (k->last_use < oldest->last_use)
            oldest = k;
    }
    struct regex *re = regex_compile(ctx, pattern, flags);
    if (!re)
        return NULL;
    regex_free(oldest->re);
    free(oldest->pattern);
    uint8_t *copy = xmalloc((size_t)pattern->len + 1);
    if (pattern->len)
        memcpy(copy, pattern->p, pattern->len);
    *oldest = (struct kept){re, copy, pattern->len, flags, ++all->uses};
    return re;
}
