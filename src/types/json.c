/* json and jsonb: checking, parsing, jsonb's normal form, input and output.
 *
 * Own parser, because PostgreSQL's rules differ from what JSON libraries offer: json keeps the text and functions
 * return slices of it; json takes escapes that jsonb and the operators refuse; numbers are of any length. Parsing
 * is a loop with an explicit stack, so that nesting costs no C stack. */
#include "types/json_impl.h"
#include "types/numeric.h"
#include "types/text_io.h"
#include <stdlib.h>

enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,
    EXPECT_KEY,
    EXPECT_KEY_OR_END,
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING
};

struct parser {
    struct fn_ctx *ctx;
    const uint8_t *p, *end;
    unsigned flags;
    enum expect expect;
    uint32_t depth;
    bool is_object[JSON_DEPTH_MAX]; /* of the open containers */
    struct str key;                 /* of the member being read */
    struct json_node *root, *open;  /* with JSON_BUILD: the innermost open container */
};

static bool bad_json(struct parser *s)
{
    return fn_fail(s->ctx, FN_BAD_TEXT, "invalid input syntax for type json");
}

/* ---- strings ---- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at p, or -1. */
static int read_hex4(const uint8_t *p, const uint8_t *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int h = hex_value(p[i]);
        if (h < 0)
            return -1;
        v = v << 4 | h;
    }
    return v;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (uint8_t)(0xc0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *to++ = (uint8_t)(0xe0 | c >> 12);
        } else {
            *to++ = (uint8_t)(0xf0 | c >> 18);
            *to++ = (uint8_t)(0x80 | (c >> 12 & 0x3f));
        }
        *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    }
    *to++ = (uint8_t)(0x80 | (c & 0x3f));
    return to;
}

/* \uXXXX, with a second one when the first is a high surrogate. p is after the u; NULL after fn_fail. */
static const uint8_t *decode_unicode(struct parser *s, const uint8_t *p, const uint8_t *end, uint8_t **to)
{
    uint32_t c = (uint32_t)read_hex4(p, end);
    p += 4;
    if (c == 0) {
        fn_fail(s->ctx, FN_BAD_UNICODE, "unsupported Unicode escape sequence");
        return NULL;
    }
    if (c >= 0xd800 && c < 0xdc00) {
        int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? read_hex4(p + 2, end) : -1;
        if (low < 0xdc00 || low > 0xdfff) {
            bad_json(s);
            return NULL;
        }
        c = 0x10000 + ((c & 0x3ff) << 10) + ((uint32_t)low & 0x3ff);
        p += 6;
    } else if (c >= 0xdc00 && c < 0xe000) {
        bad_json(s);
        return NULL;
    }
    *to = put_utf8(*to, c);
    return p;
}

/* Escapes were checked by scan_string; only \u can still fail. Decoded text is never longer. */
static bool decode_string(struct parser *s, const uint8_t *p, const uint8_t *end, struct str *out)
{
    static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    *out = (struct str){p, (uint32_t)(end - p), 0};
    if (!(s->flags & JSON_DECODE) || out->len == 0 || !memchr(p, '\\', out->len))
        return true;
    uint8_t *text = arena_alloc(s->ctx->arena, out->len), *to = text;
    while (p < end) {
        if (*p != '\\') {
            *to++ = *p++;
        } else if (p[1] == 'u') {
            p = decode_unicode(s, p + 2, end, &to);
            if (!p)
                return false;
        } else {
            const char *e = escapes;
            while (*e != (char)p[1])
                e += 2;
            *to++ = (uint8_t)e[1];
            p += 2;
        }
    }
    *out = (struct str){text, (uint32_t)(to - text), 0};
    return true;
}

/* At the opening quote; moves behind the closing one. */
static bool scan_string(struct parser *s, struct str *out)
{
    const uint8_t *start = ++s->p;
    for (; s->p < s->end && *s->p != '"'; s->p++) {
        if (*s->p < ' ')
            return bad_json(s);
        if (*s->p != '\\')
            continue;
        if (++s->p == s->end)
            return bad_json(s);
        if (*s->p == 'u') {
            if (read_hex4(s->p + 1, s->end) < 0)
                return bad_json(s);
            s->p += 4;
        } else if (!*s->p || !strchr("\"\\/bfnrt", *s->p)) {
            return bad_json(s);
        }
    }
    if (s->p == s->end)
        return bad_json(s);
    return decode_string(s, start, s->p++, out);
}

/* ---- numbers and literals ---- */

static bool scan_digits(struct parser *s)
{
    const uint8_t *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > start;
}

static bool at_char(const struct parser *s, const char *set)
{
    return s->p < s->end && *s->p && strchr(set, *s->p);
}

static bool scan_number(struct parser *s)
{
    if (at_char(s, "-"))
        s->p++;
    if (at_char(s, "0"))
        s->p++;
    else if (!scan_digits(s))
        return bad_json(s);
    if (at_char(s, ".")) {
        s->p++;
        if (!scan_digits(s))
            return bad_json(s);
    }
    if (at_char(s, "eE")) {
        s->p++;
        if (at_char(s, "+-"))
            s->p++;
        if (!scan_digits(s))
            return bad_json(s);
    }
    return true;
}

static bool scan_word(struct parser *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return bad_json(s);
    s->p += n;
    return true;
}

/* ---- structure ---- */

static struct json_node *add_node(struct parser *s, enum json_kind kind, const uint8_t *start)
{
    struct json_node *n = ARENA_NEW(s->ctx->arena, struct json_node), *parent = s->open;
    n->kind = kind;
    n->source = (struct str){start, (uint32_t)(s->p - start), 0};
    n->key = s->key;
    n->parent = parent;
    if (!parent) {
        s->root = n;
        return n;
    }
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->count++;
    return n;
}

int json_key_cmp(const struct str *a, const struct str *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return a->len ? memcmp(a->p, b->p, a->len) : 0;
}

struct member {
    struct json_node *node;
    uint32_t position;
};

static int member_cmp(const void *x, const void *y)
{
    const struct member *a = x, *b = y;
    int c = json_key_cmp(&a->node->key, &b->node->key);
    return c ? c : (a->position > b->position) - (a->position < b->position);
}

/* Members by key, the last of equal ones kept. */
static void normalise_object(struct parser *s, struct json_node *n)
{
    uint32_t count = 0;
    if (n->count < 2)
        return;
    struct member *m = arena_alloc(s->ctx->arena, n->count * sizeof *m);
    for (struct json_node *c = n->first; c; c = c->next, count++)
        m[count] = (struct member){c, count};
    qsort(m, count, sizeof *m, member_cmp);
    n->first = n->last = NULL;
    n->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i + 1 < count && json_key_cmp(&m[i].node->key, &m[i + 1].node->key) == 0)
            continue;
        if (n->last)
            n->last->next = m[i].node;
        else
            n->first = m[i].node;
        n->last = m[i].node;
        n->last->next = NULL;
        n->count++;
    }
}

static void value_done(struct parser *s)
{
    s->expect = s->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static bool open_container(struct parser *s, bool is_object)
{
    const uint8_t *start = s->p++;
    if (s->depth == JSON_DEPTH_MAX)
        return fn_fail(s->ctx, FN_UNSUPPORTED, "json nested deeper than %d levels", JSON_DEPTH_MAX);
    s->is_object[s->depth++] = is_object;
    if (s->flags & JSON_BUILD)
        s->open = add_node(s, is_object ? JSON_OBJECT : JSON_ARRAY, start);
    s->key = (struct str){0};
    s->expect = is_object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return true;
}

static bool close_container(struct parser *s)
{
    if (*s->p != (s->is_object[s->depth - 1] ? '}' : ']'))
        return bad_json(s);
    s->p++;
    s->depth--;
    if (s->flags & JSON_BUILD) {
        struct json_node *n = s->open;
        n->source.len = (uint32_t)(s->p - n->source.p);
        if (n->kind == JSON_OBJECT && (s->flags & JSON_NORMALISE))
            normalise_object(s, n);
        s->open = n->parent;
    }
    value_done(s);
    return true;
}

static bool parse_scalar(struct parser *s)
{
    const uint8_t *start = s->p;
    enum json_kind kind = JSON_BOOL;
    struct str text = {0};
    bool ok;
    switch (*start) {
    case '"':
        kind = JSON_STRING;
        ok = scan_string(s, &text);
        break;
    case 't': ok = scan_word(s, "true"); break;
    case 'f': ok = scan_word(s, "false"); break;
    case 'n':
        kind = JSON_NULL;
        ok = scan_word(s, "null");
        break;
    default: kind = JSON_NUMBER; ok = scan_number(s);
    }
    if (!ok)
        return false;
    if (s->flags & JSON_BUILD)
        add_node(s, kind, start)->text = text;
    s->key = (struct str){0};
    value_done(s);
    return true;
}

static void skip_blanks(struct parser *s)
{
    while (at_char(s, " \t\n\r"))
        s->p++;
}

static bool parse_key(struct parser *s)
{
    if (*s->p != '"')
        return bad_json(s);
    if (!scan_string(s, &s->key))
        return false;
    skip_blanks(s);
    if (!at_char(s, ":"))
        return bad_json(s);
    s->p++;
    s->expect = EXPECT_VALUE;
    return true;
}

static bool parse_comma(struct parser *s)
{
    if (*s->p != ',')
        return close_container(s);
    s->p++;
    s->expect = s->is_object[s->depth - 1] ? EXPECT_KEY : EXPECT_VALUE;
    return true;
}

static bool parse_step(struct parser *s)
{
    bool at_end = *s->p == ']' || *s->p == '}';
    switch (s->expect) {
    case EXPECT_KEY_OR_END: return at_end ? close_container(s) : parse_key(s);
    case EXPECT_KEY: return parse_key(s);
    case EXPECT_COMMA_OR_END: return parse_comma(s);
    case EXPECT_VALUE_OR_END:
        if (at_end)
            return close_container(s);
        break;
    case EXPECT_VALUE: break;
    case EXPECT_NOTHING: return bad_json(s);
    }
    if (*s->p == '{' || *s->p == '[')
        return open_container(s, *s->p == '{');
    return parse_scalar(s);
}

bool json_parse(struct fn_ctx *ctx, const struct str *text, unsigned flags, struct json_node **root)
{
    struct parser s = {
        .ctx = ctx, .p = text->p, .end = text->p + text->len, .flags = flags, .expect = EXPECT_VALUE};
    for (skip_blanks(&s); s.p < s.end; skip_blanks(&s))
        if (!parse_step(&s))
            return false;
    *root = s.root;
    return s.expect == EXPECT_NOTHING || bad_json(&s);
}

bool json_check(struct fn_ctx *ctx, const char *text, size_t len)
{
    struct str s = {(const uint8_t *)text, (uint32_t)len, 0};
    struct json_node *root;
    return json_parse(ctx, &s, 0, &root);
}

/* ---- looking inside ---- */

struct json_node *json_member(const struct json_node *object, const struct str *key)
{
    struct json_node *found = NULL;
    for (struct json_node *n = object->first; n; n = n->next)
        if (json_key_cmp(&n->key, key) == 0)
            found = n;
    return found;
}

struct json_node *json_element(const struct json_node *array, int64_t index)
{
    struct json_node *n = array->first;
    if (index < 0)
        index += array->count;
    if (index < 0 || index >= array->count)
        return NULL;
    while (index-- > 0)
        n = n->next;
    return n;
}

/* ---- jsonb's text ---- */

void json_put(struct json_out *o, const void *p, size_t n)
{
    if (o->cap - o->len < n) {
        size_t cap = o->cap * 2 + n + 64;
        char *grown = arena_alloc(o->arena, cap);
        if (o->len)
            memcpy(grown, o->p, o->len);
        o->p = grown;
        o->cap = cap;
    }
    if (n)
        memcpy(o->p + o->len, p, n);
    o->len += n;
}

static void put_escaped(struct json_out *o, uint8_t c)
{
    static const char hex[] = "0123456789abcdef", letters[] = "btn?fr"; /* from \b on */
    char text[6] = {'\\', (char)c};
    size_t n = 2;
    if (c >= '\b' && c <= '\r' && c != '\v') {
        text[1] = letters[c - '\b'];
    } else if (c < ' ') {
        memcpy(text, "\\u00", 4);
        text[4] = hex[c >> 4];
        text[5] = hex[c & 15];
        n = 6;
    }
    json_put(o, text, n);
}

void json_put_string(struct json_out *o, const struct str *s)
{
    uint32_t from = 0;
    json_put(o, "\"", 1);
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t c = s->p[i];
        if (c >= ' ' && c != '"' && c != '\\')
            continue;
        json_put(o, s->p + from, i - from);
        put_escaped(o, c);
        from = i + 1;
    }
    if (from < s->len)
        json_put(o, s->p + from, s->len - from);
    json_put(o, "\"", 1);
}

/* The start of a node: all of it if it is a scalar. */
static bool put_node(struct fn_ctx *ctx, struct json_out *o, const struct json_node *n)
{
    struct num num;
    struct str text;
    if (n->parent && n->parent->kind == JSON_OBJECT) {
        json_put_string(o, &n->key);
        json_put(o, ": ", 2);
    }
    switch (n->kind) {
    case JSON_STRING: json_put_string(o, &n->text); return true;
    case JSON_NUMBER:
        if (!num_parse(ctx, (const char *)n->source.p, n->source.len, &num))
            return false;
        text = num_format(ctx, &num);
        json_put(o, text.p, text.len);
        return true;
    case JSON_ARRAY: json_put(o, "[", 1); return true;
    case JSON_OBJECT: json_put(o, "{", 1); return true;
    default: json_put(o, n->source.p, n->source.len); return true;
    }
}

bool jsonb_write(struct fn_ctx *ctx, const struct json_node *root, struct str *out)
{
    struct json_out o = {.arena = ctx->arena};
    struct json_node top = *root; /* so that a member prints without its key */
    const struct json_node *n = &top;
    top.parent = NULL;
    for (;;) {
        if (!put_node(ctx, &o, n))
            return false;
        const struct json_node *next = n->first;
        bool empty = n->kind >= JSON_ARRAY && !next;
        if (empty)
            json_put(&o, n->kind == JSON_ARRAY ? "]" : "}", 1);
        while (!next && n != &top) {
            next = n->next;
            if (next) {
                json_put(&o, ", ", 2);
            } else {
                n = n->parent == root ? &top : n->parent;
                json_put(&o, n->kind == JSON_ARRAY ? "]" : "}", 1);
            }
        }
        if (!next)
            break;
        n = next;
    }
    *out = (struct str){(uint8_t *)o.p, (uint32_t)o.len, 0};
    return true;
}

bool jsonb_normalise(struct fn_ctx *ctx, const char *text, size_t len, struct str *out)
{
    struct str s = {(const uint8_t *)text, (uint32_t)len, 0};
    struct json_node *root;
    return json_parse(ctx, &s, JSON_DECODE | JSON_BUILD | JSON_NORMALISE, &root) &&
           jsonb_write(ctx, root, out);
}

/* ---- jsonb's order ---- */

static int text_cmp(const struct str *a, const struct str *b)
{
    uint32_t n = a->len < b->len ? a->len : b->len;
    int c = n ? memcmp(a->p, b->p, n) : 0;
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static int number_cmp(struct fn_ctx *ctx, const struct json_node *a, const struct json_node *b)
{
    struct num x, y;
    ASSERT(num_parse(ctx, (const char *)a->source.p, a->source.len, &x)); /* both were normalised */
    ASSERT(num_parse(ctx, (const char *)b->source.p, b->source.len, &y));
    return num_cmp(&x, &y);
}

static int node_cmp(struct fn_ctx *ctx, const struct json_node *a, const struct json_node *b)
{
    if (a->kind != b->kind)
        return a->kind > b->kind ? 1 : -1;
    switch (a->kind) {
    case JSON_NULL: return 0;
    case JSON_STRING: return text_cmp(&a->text, &b->text);
    case JSON_NUMBER: return number_cmp(ctx, a, b);
    case JSON_BOOL: return (a->source.p[0] == 't') - (b->source.p[0] == 't');
    default: break;
    }
    if (a->count != b->count)
        return a->count > b->count ? 1 : -1;
    const struct json_node *x = a->first, *y = b->first;
    for (int c = 0; x; x = x->next, y = y->next) {
        if (a->kind == JSON_OBJECT)
            c = text_cmp(&x->key, &y->key);
        if (c == 0)
            c = node_cmp(ctx, x, y);
        if (c)
            return c;
    }
    return 0;
}

/* A scalar at the top is stored as an array of one, which shows: it is above [] and below every other array. */
int jsonb_cmp(struct fn_ctx *ctx, const struct json_node *a, const struct json_node *b)
{
    bool a_scalar = a->kind < JSON_ARRAY, b_scalar = b->kind < JSON_ARRAY;
    if (a_scalar && b->kind == JSON_ARRAY)
        return b->count == 0 ? 1 : -1;
    if (b_scalar && a->kind == JSON_ARRAY)
        return a->count == 0 ? -1 : 1;
    return node_cmp(ctx, a, b);
}

int jsonb_text_cmp(struct fn_ctx *ctx, const struct str *a, const struct str *b, bool *failed)
{
    struct json_node *x, *y;
    unsigned flags = JSON_DECODE | JSON_BUILD; /* the text is in normal form already */
    *failed = !json_parse(ctx, a, flags, &x) || !json_parse(ctx, b, flags, &y);
    return *failed ? 0 : jsonb_cmp(ctx, x, y);
}

/* ---- input, output, casts ---- */

bool input_json(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    (void)t;
    out->s = (struct str){arena_memdup(ctx->arena, text, len), (uint32_t)len, 0};
    return json_check(ctx, text, len);
}

bool input_jsonb(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    (void)t;
    return jsonb_normalise(ctx, text, len, &out->s);
}

struct str output_json(struct fn_ctx *ctx, const union val *v)
{
    (void)ctx;
    return v->s;
}

struct str output_jsonb(struct fn_ctx *ctx, const union val *v)
{
    (void)ctx;
    return v->s;
}
