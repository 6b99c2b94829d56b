/* Key codec; the layout is described in key.h. */
#include "data/key.h"

#include "base/hash.h"
#include "types/array.h"
#include "types/datetime.h"
#include "types/inet.h"
#include "types/json.h"
#include "types/numeric.h"
#include "types/range.h"

#define MARK_NULL_FIRST 0x01
#define MARK_VALUE      0x02
#define MARK_NULL_LAST  0x03
#define MARK_ARRAY_END  0x01 /* below the marks of elements */

static void put_be64(struct buf *b, uint64_t v)
{
    v = __builtin_bswap64(v);
    buf_put(b, &v, 8);
}

static void put_f64(struct buf *b, double f)
{
    uint64_t bits;
    if (f == 0)
        f = 0; /* -0 equals 0 */
    if (f != f)
        f = __builtin_nan("");
    memcpy(&bits, &f, 8);
    bits = bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
    put_be64(b, bits);
}

static void put_escaped(struct buf *b, const uint8_t *p, size_t len)
{
    while (len) {
        const uint8_t *zero = memchr(p, 0, len);
        size_t plain = zero ? (size_t)(zero - p) : len;
        buf_put(b, p, plain);
        if (!zero)
            break;
        buf_put(b, "\x00\xff", 2);
        p += plain + 1;
        len -= plain + 1;
    }
    buf_put(b, "\x00\x00", 2);
}

/* By their lower case, as citext_cmp does. */
static void put_folded(struct buf *b, const uint8_t *p, size_t len)
{
    size_t from = b->len;
    put_escaped(b, p, len);
    for (size_t i = from; i < b->len; i++)
        if (b->p[i] >= 'A' && b->p[i] <= 'Z')
            b->p[i] = (uint8_t)(b->p[i] + 32);
}

static void put_span(struct buf *b, const struct interval *iv)
{
    unsigned __int128 span = (unsigned __int128)interval_span(iv);
    put_be64(b, (uint64_t)(span >> 64) ^ UINT64_C(1) << 63);
    put_be64(b, (uint64_t)span);
}

static void put_value(struct buf *b, enum type_id t, const union val *v);

static void put_be32(struct buf *b, int32_t v)
{
    uint32_t u = __builtin_bswap32((uint32_t)v ^ UINT32_C(1) << 31);
    buf_put(b, &u, 4);
}

/* Elements in order, NULL above all of them, the end below; then what orders arrays of equal elements. */
static void put_array(struct buf *b, enum type_id element, struct str bytes)
{
    struct array_reader r;
    struct arena scratch;
    union val v;
    bool is_null;
    arena_init(&scratch);
    array_open(&r, element, bytes);
    while (array_next(&r, &scratch, &v, &is_null)) {
        buf_put_u8(b, is_null ? MARK_NULL_LAST : MARK_VALUE);
        if (!is_null)
            put_value(b, element, &v);
    }
    arena_fini(&scratch);
    buf_put_u8(b, MARK_ARRAY_END);
    buf_put_u8(b, (uint8_t)r.shape.dim_count);
    for (uint32_t d = 0; d < r.shape.dim_count; d++)
        put_be32(b, r.shape.length[d]);
    for (uint32_t d = 0; d < r.shape.dim_count; d++)
        put_be32(b, r.shape.lower[d]);
}

/* As range_cmp_bounds orders bounds: of equal values an exclusive upper one is below an inclusive one, a lower one above. */
static void put_bound(struct buf *b, enum type_id t, const struct range_bound *x)
{
    buf_put_u8(b, x->infinite ? (x->lower ? 0 : 2) : 1);
    if (x->infinite)
        return;
    put_value(b, t, &x->v);
    buf_put_u8(b, x->lower != x->inclusive);
}

static void put_range(struct buf *b, enum type_id t, const struct range *r)
{
    buf_put_u8(b, 1);
    put_bound(b, t, &r->lower);
    put_bound(b, t, &r->upper);
}

/* A multirange is its ranges, none of which is empty, and an end below all of them. */
static void put_ranges(struct buf *b, enum type_id t, const struct str *s)
{
    struct arena scratch;
    struct ranges list;
    arena_init(&scratch);
    ranges_read(&scratch, t, s, &list);
    if (type_is_range(t) && !list.count)
        buf_put_u8(b, 0);
    for (uint32_t i = 0; i < list.count; i++)
        put_range(b, type_bound(t), &list.items[i]);
    if (type_is_multirange(t))
        buf_put_u8(b, 0);
    arena_fini(&scratch);
}

static void put_value(struct buf *b, enum type_id t, const union val *v)
{
    if (type_is_range(t) || type_is_multirange(t)) {
        put_ranges(b, t, &v->s);
        return;
    }
    if (type_is_array(t)) {
        put_array(b, type_element(t), v->s);
        return;
    }
    size_t len = v->s.len;
    switch (type_phys(t)) {
    case PHYS_I64: put_be64(b, (uint64_t)v->i ^ UINT64_C(1) << 63); return;
    case PHYS_F64: put_f64(b, v->f); return;
    case PHYS_NUM: num_key_encode(b, &v->n); return;
    case PHYS_STR:
        while (t == T_BPCHAR && len && v->s.p[len - 1] == ' ')
            len--;
        if (t == T_JSONB)
            jsonb_key(b, &v->s);
        else if (t == T_INET || t == T_CIDR)
            inet_key(b, &v->s);
        else if (t == T_CITEXT)
            put_folded(b, v->s.p, len);
        else
            put_escaped(b, v->s.p, len);
        return;
    case PHYS_INTERVAL:
        if (t == T_TIMETZ) {
            put_be64(b, (uint64_t)timetz_rank(&v->iv) ^ UINT64_C(1) << 63);
            return;
        }
        put_span(b, &v->iv);
        return;
    case PHYS_UUID: buf_put(b, v->uuid, 16); return;
    }
}

void key_put(struct buf *b, enum type_id t, const union val *v, uint8_t state, bool desc, bool nulls_first)
{
    ASSERT(state <= VAL_NULL);
    if (state == VAL_NULL) {
        buf_put_u8(b, nulls_first ? MARK_NULL_FIRST : MARK_NULL_LAST);
        return;
    }
    buf_put_u8(b, MARK_VALUE);
    size_t from = b->len;
    put_value(b, t, v);
    if (desc)
        for (size_t i = from; i < b->len; i++)
            b->p[i] = (uint8_t)~b->p[i];
}

void key_encode_vecs(struct buf *b, const struct schema *schema, const struct vec *cols, uint32_t r,
                     const struct key_column *key, uint32_t key_count)
{
    for (uint32_t i = 0; i < key_count; i++) {
        uint32_t c = key[i].column;
        key_put(b, schema->columns[c].type.id, &cols[c].v[r], cols[c].state[r], key[i].desc,
                key[i].nulls_first);
    }
}

void key_encode(struct buf *b, const struct schema *schema, const union val *vals, const uint8_t *states,
                const struct key_column *key, uint32_t key_count)
{
    for (uint32_t i = 0; i < key_count; i++) {
        uint32_t c = key[i].column;
        key_put(b, schema->columns[c].type.id, &vals[c], states[c], key[i].desc, key[i].nulls_first);
    }
}

bool key_shorten(struct buf *b, size_t from)
{
    if (b->len - from <= KEY_STORED_MAX)
        return false;
    uint8_t hash[16];
    hash_bytes128(b->p + from, b->len - from, hash);
    b->len = from + KEY_STORED_MAX - 17;
    buf_put(b, hash, 16);
    buf_put_u8(b, 0xff);
    return true;
}
