/* Row codec; the layout is described in row.h. */
#include "data/row.h"

#include "types/numeric.h"

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static void put_f64(struct buf *b, double f)
{
    if (f != f)
        f = __builtin_nan("");
    buf_put(b, &f, 8); /* both targets are little-endian */
}

static void put_value(struct buf *b, enum phys phys, const union val *v)
{
    switch (phys) {
    case PHYS_I64: buf_put_varint(b, zigzag(v->i)); return;
    case PHYS_F64: put_f64(b, v->f); return;
    case PHYS_NUM: num_encode(b, &v->n); return;
    case PHYS_STR:
        buf_put_varint(b, v->s.len);
        buf_put(b, v->s.p, v->s.len);
        return;
    case PHYS_INTERVAL: buf_put(b, &v->iv, sizeof v->iv); return;
    case PHYS_UUID: buf_put(b, v->uuid, 16); return;
    }
}

/* Reserves the NULL bitmap; returns where it starts (the buffer may move later). */
static size_t put_bitmap(struct buf *b, uint32_t column_count)
{
    size_t at = b->len, bytes = (column_count + 7) / 8;
    if (bytes)
        memset(buf_room(b, bytes), 0, bytes);
    b->len += bytes;
    return at;
}

void row_encode_vecs(struct buf *b, const struct schema *schema, const struct vec *cols, uint32_t r)
{
    size_t bitmap = put_bitmap(b, schema->column_count);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        uint8_t state = cols[c].state[r];
        ASSERT(state <= VAL_NULL);
        if (state == VAL_NULL)
            b->p[bitmap + c / 8] |= (uint8_t)(1u << (c % 8));
        else
            put_value(b, type_phys(schema->columns[c].type.id), &cols[c].v[r]);
    }
}

void row_encode(struct buf *b, const struct schema *schema, const union val *vals, const uint8_t *states)
{
    size_t bitmap = put_bitmap(b, schema->column_count);
    for (uint32_t c = 0; c < schema->column_count; c++) {
        ASSERT(states[c] <= VAL_NULL);
        if (states[c] == VAL_NULL)
            b->p[bitmap + c / 8] |= (uint8_t)(1u << (c % 8));
        else
            put_value(b, type_phys(schema->columns[c].type.id), &vals[c]);
    }
}

static bool get_fixed(const uint8_t **p, const uint8_t *end, void *out, size_t n)
{
    if ((size_t)(end - *p) < n)
        return false;
    memcpy(out, *p, n);
    *p += n;
    return true;
}

static bool get_str(const uint8_t **p, const uint8_t *end, struct str *out)
{
    uint64_t len;
    if (!varint_get(p, end, &len) || len > (uint64_t)(end - *p) || len > UINT32_MAX)
        return false;
    *out = (struct str){*p, (uint32_t)len, 0};
    *p += len;
    return true;
}

static bool get_num(struct arena *arena, const uint8_t **p, const uint8_t *end, struct num *out)
{
    size_t used = num_decode(arena, *p, (size_t)(end - *p), out);
    *p += used;
    return used > 0;
}

static bool get_value(struct arena *arena, enum phys phys, const uint8_t **p, const uint8_t *end,
                      union val *out)
{
    uint64_t raw;
    switch (phys) {
    case PHYS_I64:
        if (!varint_get(p, end, &raw))
            return false;
        out->i = unzigzag(raw);
        return true;
    case PHYS_F64: return get_fixed(p, end, &out->f, 8);
    case PHYS_NUM: return get_num(arena, p, end, &out->n);
    case PHYS_STR: return get_str(p, end, &out->s);
    case PHYS_INTERVAL: return get_fixed(p, end, &out->iv, sizeof out->iv);
    case PHYS_UUID: return get_fixed(p, end, out->uuid, 16);
    }
    return false;
}

bool row_decode(struct arena *arena, const struct schema *schema, const uint8_t *p, size_t len,
                union val *vals, uint8_t *states)
{
    const uint8_t *end = p + len, *bitmap = p;
    size_t bitmap_bytes = (schema->column_count + 7) / 8;
    if (len < bitmap_bytes)
        return false;
    p += bitmap_bytes;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        states[c] = bitmap[c / 8] >> (c % 8) & 1 ? VAL_NULL : VAL_OK;
        if (states[c] == VAL_OK &&
            !get_value(arena, type_phys(schema->columns[c].type.id), &p, end, &vals[c]))
            return false;
    }
    return p == end;
}

bool row_decode_at(struct batch *to, uint32_t r, uint32_t offset, const struct schema *schema,
                   const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len, *bitmap = p;
    size_t bitmap_bytes = (schema->column_count + 7) / 8;
    if (len < bitmap_bytes)
        return false;
    p += bitmap_bytes;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        struct vec *col = &to->cols[offset + c];
        col->state[r] = bitmap[c / 8] >> (c % 8) & 1 ? VAL_NULL : VAL_OK;
        if (col->state[r] == VAL_OK &&
            !get_value(&to->arena, type_phys(schema->columns[c].type.id), &p, end, &col->v[r]))
            return false;
    }
    return p == end;
}

bool row_decode_append(struct batch *to, const struct schema *schema, const uint8_t *p, size_t len, int64_t w,
                       bool copy)
{
    ASSERT(to->row_count < BATCH_ROWS);
    if (copy)
        p = arena_memdup(&to->arena, p, len);
    to->weight[to->row_count] = w;
    return row_decode_at(to, to->row_count++, 0, schema, p, len);
}
