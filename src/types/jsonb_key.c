/* Keys of jsonb: bytes whose order is that of PostgreSQL's compareJsonbContainers, equal for equal values.
 *
 * A value is a byte for its kind, in PostgreSQL's order of kinds, and then: of a string its bytes and a zero (jsonb's
 * strings hold none), of a number its key, of a boolean a byte, of an array the number of its elements and they, of an
 * object the number of its members and each one's name and value. A scalar at the top is PostgreSQL's array of one
 * that is "raw": above [] and below every other array, so arrays at the top have a byte for it behind the number. */
#include "base/arena.h"
#include "types/json_impl.h"
#include "types/numeric.h"

enum { KEY_NULL = 1, KEY_STRING, KEY_NUMBER, KEY_BOOL, KEY_ARRAY, KEY_OBJECT };

struct level {
    size_t count_at; /* where its number of elements belongs in the key */
    uint32_t count;
    bool is_object, has_name; /* has_name: a member's name was read, its value comes */
};

struct writer {
    struct buf *b;
    const uint8_t *p, *end;
    struct fn_ctx ctx; /* for numerics of many digits */
    uint32_t depth;
    struct level levels[JSON_DEPTH_MAX + 1];
};

static void put_count(struct buf *b, size_t at, uint32_t count)
{
    count = __builtin_bswap32(count);
    memcpy(b->p + at, &count, sizeof count);
}

static void open_level(struct writer *w, bool is_object, bool is_raw)
{
    ASSERT(w->depth < ARRAY_COUNT(w->levels));
    buf_put_u8(w->b, is_object ? KEY_OBJECT : KEY_ARRAY);
    w->levels[w->depth] = (struct level){.count_at = w->b->len, .is_object = is_object};
    buf_put(w->b, "\0\0\0\0", 4);
    if (w->depth == 0 && !is_object)
        buf_put_u8(w->b, !is_raw);
    w->depth++;
}

static void close_level(struct writer *w)
{
    ASSERT(w->depth > 0);
    const struct level *l = &w->levels[--w->depth];
    put_count(w->b, l->count_at, l->count);
}

/* Counts what begins: an element, or a member by its name. True if it is a name. */
static bool begin_item(struct writer *w)
{
    struct level *l = &w->levels[w->depth - 1];
    bool is_name = l->is_object && !l->has_name;
    l->has_name = is_name;
    l->count += is_name || !l->is_object;
    return is_name;
}

static uint8_t hex_value(uint8_t c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* An escape as jsonb writes it: of quotes, backslashes and control characters. */
static void put_escape(struct writer *w)
{
    static const uint8_t of_letter[128] = {
        ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    uint8_t c = *++w->p & 0x7f;
    if (c == 'u') {
        buf_put_u8(w->b, (uint8_t)(hex_value(w->p[3]) << 4 | hex_value(w->p[4])));
        w->p += 4;
    } else {
        buf_put_u8(w->b, of_letter[c] ? of_letter[c] : c);
    }
}

static void put_string(struct writer *w)
{
    for (w->p++; *w->p != '"'; w->p++) {
        if (*w->p == '\\')
            put_escape(w);
        else
            buf_put_u8(w->b, *w->p);
    }
    buf_put_u8(w->b, 0);
    w->p++;
}

static void put_number(struct writer *w)
{
    const uint8_t *from = w->p;
    struct num n;
    while (w->p < w->end && *w->p != ',' && *w->p != ']' && *w->p != '}')
        w->p++;
    ASSERT(num_parse(&w->ctx, (const char *)from, (size_t)(w->p - from), &n)); /* it was normalised */
    buf_put_u8(w->b, KEY_NUMBER);
    num_key_encode(w->b, &n);
}

static void put_word(struct writer *w)
{
    uint8_t c = *w->p;
    buf_put_u8(w->b, c == 'n' ? KEY_NULL : KEY_BOOL);
    if (c != 'n')
        buf_put_u8(w->b, c == 't');
    w->p += c == 'f' ? 5 : 4;
}

static void put_value(struct writer *w)
{
    bool is_name = w->depth && begin_item(w);
    uint8_t c = *w->p;
    if (c == '{' || c == '[') {
        open_level(w, c == '{', false);
        w->p++;
    } else if (c == '"') {
        if (!is_name)
            buf_put_u8(w->b, KEY_STRING);
        put_string(w);
    } else if (c == 'n' || c == 't' || c == 'f') {
        put_word(w);
    } else {
        put_number(w);
    }
}

static void put_text(struct writer *w)
{
    bool is_raw = *w->p != '{' && *w->p != '[';
    if (is_raw)
        open_level(w, false, true);
    while (w->p < w->end) {
        uint8_t c = *w->p;
        if (c == ' ' || c == ',' || c == ':') {
            w->p++;
        } else if (c == '}' || c == ']') {
            close_level(w);
            w->p++;
        } else {
            put_value(w);
        }
    }
    if (is_raw)
        close_level(w);
    ASSERT(w->depth == 0);
}

void jsonb_key(struct buf *b, const struct str *s)
{
    struct arena arena;
    struct writer w;
    ASSERT(s->len > 0);
    arena_init(&arena);
    w.b = b;
    w.p = s->p;
    w.end = s->p + s->len;
    w.ctx = (struct fn_ctx){.arena = &arena};
    w.depth = 0;
    put_text(&w);
    arena_fini(&arena);
}

int jsonb_key_cmp(const struct str *a, const struct str *b)
{
    struct buf x = {0}, y = {0};
    jsonb_key(&x, a);
    jsonb_key(&y, b);
    int c = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len); /* neither is a prefix of the other */
    buf_fini(&x);
    buf_fini(&y);
    return c;
}
