/* Arrays: the codec and the order; see array.h. */
#include "types/array.h"

#include "types/json_impl.h"
#include "types/numeric.h"

#define HAS_NULLS 0x80

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* ---- encoding ---- */

static void put_f64(struct buf *b, double f)
{
    if (f != f)
        f = __builtin_nan("");
    buf_put(b, &f, 8);
}

static void put_element(struct buf *b, enum phys phys, const union val *v)
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

static bool any_null(const struct array *a)
{
    for (uint32_t i = 0; i < a->count; i++)
        if (a->null[i])
            return true;
    return false;
}

static void put_nulls(struct buf *b, const struct array *a)
{
    size_t at = b->len, bytes = (a->count + 7) / 8;
    memset(buf_room(b, bytes), 0, bytes);
    b->len += bytes;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->null[i])
            b->p[at + i / 8] |= (uint8_t)(1u << (i % 8));
}

struct str array_encode(struct arena *arena, enum type_id element, const struct array *a)
{
    struct buf b = {0};
    bool nulls = any_null(a);
    enum phys phys = type_phys(element);
    ASSERT((a->count == 0) == (a->shape.dim_count == 0));
    buf_put_u8(&b, (uint8_t)(a->shape.dim_count | (nulls ? HAS_NULLS : 0)));
    for (uint32_t d = 0; d < a->shape.dim_count; d++) {
        buf_put_varint(&b, zigzag(a->shape.lower[d]));
        buf_put_varint(&b, (uint64_t)a->shape.length[d]);
    }
    if (nulls)
        put_nulls(&b, a);
    for (uint32_t i = 0; i < a->count; i++)
        if (!a->null[i])
            put_element(&b, phys, &a->v[i]);
    ASSERT(b.len <= UINT32_MAX);
    struct str s = {arena_memdup(arena, b.p, b.len), (uint32_t)b.len, 0};
    buf_fini(&b);
    return s;
}

/* ---- decoding ---- */

static void need(bool well_formed)
{
    if (UNLIKELY(!well_formed))
        PANIC("malformed array");
}

static void get_fixed(struct array_reader *r, void *out, size_t n)
{
    need((size_t)(r->end - r->p) >= n);
    memcpy(out, r->p, n);
    r->p += n;
}

static uint64_t get_varint(struct array_reader *r)
{
    uint64_t v = 0;
    need(varint_get(&r->p, r->end, &v));
    return v;
}

static void get_element(struct array_reader *r, struct arena *arena, union val *out)
{
    switch (r->phys) {
    case PHYS_I64: out->i = unzigzag(get_varint(r)); return;
    case PHYS_F64: get_fixed(r, &out->f, 8); return;
    case PHYS_NUM: {
        size_t used = num_decode(arena, r->p, (size_t)(r->end - r->p), &out->n);
        need(used > 0);
        r->p += used;
        return;
    }
    case PHYS_STR: {
        uint64_t len = get_varint(r);
        need(len <= (uint64_t)(r->end - r->p));
        out->s = (struct str){r->p, (uint32_t)len, 0};
        r->p += len;
        return;
    }
    case PHYS_INTERVAL: get_fixed(r, &out->iv, sizeof out->iv); return;
    case PHYS_UUID: get_fixed(r, out->uuid, 16); return;
    }
}

void array_open(struct array_reader *r, enum type_id element, struct str bytes)
{
    uint8_t head;
    *r = (struct array_reader){.phys = type_phys(element), .p = bytes.p, .end = bytes.p + bytes.len};
    get_fixed(r, &head, 1);
    r->shape.dim_count = head & (HAS_NULLS - 1);
    need(r->shape.dim_count <= ARRAY_DIMS_MAX);
    uint64_t count = r->shape.dim_count > 0;
    for (uint32_t d = 0; d < r->shape.dim_count; d++) {
        r->shape.lower[d] = (int32_t)unzigzag(get_varint(r));
        uint64_t length = get_varint(r);
        need(length > 0 && length <= ARRAY_ITEMS_MAX);
        r->shape.length[d] = (int32_t)length;
        count *= length;
        need(count <= ARRAY_ITEMS_MAX);
    }
    r->count = (uint32_t)count;
    if (!(head & HAS_NULLS))
        return;
    size_t bytes_of_nulls = (r->count + 7) / 8;
    need((size_t)(r->end - r->p) >= bytes_of_nulls);
    r->nulls = r->p;
    r->p += bytes_of_nulls;
}

bool array_next(struct array_reader *r, struct arena *arena, union val *v, bool *is_null)
{
    if (r->next == r->count)
        return false;
    uint32_t i = r->next++;
    *is_null = r->nulls && (r->nulls[i / 8] >> (i % 8) & 1);
    if (!*is_null)
        get_element(r, arena, v);
    return true;
}

void array_decode(struct arena *arena, enum type_id element, struct str bytes, struct array *out)
{
    struct array_reader r;
    array_open(&r, element, bytes);
    *out = (struct array){.shape = r.shape,
                          .count = r.count,
                          .cap = r.count,
                          .v = ARENA_ARRAY(arena, union val, r.count),
                          .null = ARENA_ARRAY(arena, bool, r.count)};
    for (uint32_t i = 0; i < r.count; i++)
        array_next(&r, arena, &out->v[i], &out->null[i]);
}

/* ---- building ---- */

void array_add(struct arena *arena, struct array *a, union val v, bool is_null)
{
    if (a->count == a->cap) {
        uint32_t cap = a->cap ? a->cap * 2 : 8;
        union val *more = arena_alloc(arena, cap * sizeof *more);
        bool *null = arena_alloc(arena, cap * sizeof *null);
        if (a->count) {
            memcpy(more, a->v, a->count * sizeof *more);
            memcpy(null, a->null, a->count * sizeof *null);
        }
        a->v = more;
        a->null = null;
        a->cap = cap;
    }
    a->v[a->count] = v;
    a->null[a->count++] = is_null;
}

void array_set_flat(struct array *a)
{
    a->shape = (struct array_shape){0};
    if (a->count == 0)
        return;
    a->shape.dim_count = 1;
    a->shape.lower[0] = 1;
    a->shape.length[0] = (int32_t)a->count;
}

bool array_check_shape(struct fn_ctx *ctx, const struct array_shape *s, uint32_t *count)
{
    uint64_t n = s->dim_count > 0;
    for (uint32_t d = 0; d < s->dim_count; d++) {
        n *= (uint64_t)s->length[d];
        if (n > ARRAY_ITEMS_MAX)
            return fn_fail(ctx, FN_TOO_LARGE, "array size exceeds the maximum allowed (%d)", ARRAY_ITEMS_MAX);
    }
    *count = (uint32_t)n;
    for (uint32_t d = 0; d < s->dim_count; d++)
        if ((int64_t)s->lower[d] + s->length[d] > INT32_MAX)
            return fn_fail(ctx, FN_TOO_LARGE, "array lower bound is too large: %d", (int)s->lower[d]);
    return true;
}

bool array_same_shape(const struct array_shape *a, const struct array_shape *b)
{
    if (a->dim_count != b->dim_count)
        return false;
    for (uint32_t d = 0; d < a->dim_count; d++)
        if (a->lower[d] != b->lower[d] || a->length[d] != b->length[d])
            return false;
    return true;
}

/* ---- order ---- */

/* jsonb is compared by value, which takes it apart. */
static int jsonb_element_cmp(const union val *a, const union val *b)
{
    struct arena scratch;
    arena_init(&scratch);
    struct fn_ctx ctx = {.arena = &scratch};
    bool failed = false;
    int r = jsonb_text_cmp(&ctx, &a->s, &b->s, &failed);
    ASSERT(!failed);
    arena_fini(&scratch);
    return r;
}

int array_element_cmp(enum type_id element, const union val *a, const union val *b)
{
    return element == T_JSONB ? jsonb_element_cmp(a, b) : val_cmp(element, a, b);
}

static int cmp_int(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int shape_cmp(const struct array_shape *a, const struct array_shape *b)
{
    int r = cmp_int(a->dim_count, b->dim_count);
    for (uint32_t d = 0; d < a->dim_count && r == 0; d++)
        r = cmp_int(a->length[d], b->length[d]);
    for (uint32_t d = 0; d < a->dim_count && r == 0; d++)
        r = cmp_int(a->lower[d], b->lower[d]);
    return r;
}

int array_cmp(enum type_id element, const struct str *a, const struct str *b)
{
    struct array_reader x, y;
    struct arena scratch;
    union val v, w;
    bool v_null, w_null;
    int r = 0;
    array_open(&x, element, *a);
    array_open(&y, element, *b);
    arena_init(&scratch);
    while (r == 0 && x.next < x.count && y.next < y.count) {
        array_next(&x, &scratch, &v, &v_null);
        array_next(&y, &scratch, &w, &w_null);
        r = v_null || w_null ? cmp_int(v_null, w_null) : array_element_cmp(element, &v, &w);
    }
    arena_fini(&scratch);
    if (r == 0)
        r = cmp_int(x.count, y.count);
    return r ? r : shape_cmp(&x.shape, &y.shape);
}
