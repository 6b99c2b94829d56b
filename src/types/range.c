/* Ranges: the codec, the form that PostgreSQL keeps them in, and their order. What is compared how is that of
 * PostgreSQL's rangetypes.c and multirangetypes.c. */
#include "types/range.h"

#include "types/datetime.h"
#include "types/numeric.h"
#include <stdlib.h>

#define DATE_END INT64_C(2145031949) /* the first day that a date cannot be, from 2000-01-01 */

/* ---- bytes ---- */

static void need(bool well_formed)
{
    if (UNLIKELY(!well_formed))
        PANIC("malformed range");
}

static void get_bound(struct arena *arena, enum type_id bound, const uint8_t **p, const uint8_t *end,
                      union val *out)
{
    size_t left = (size_t)(end - *p), used = sizeof out->i;
    if (bound == T_NUMERIC) {
        used = num_decode(arena, *p, left, &out->n);
        need(used > 0);
    } else {
        need(left >= used);
        memcpy(&out->i, *p, sizeof out->i);
    }
    *p += used;
}

static void put_bound(struct buf *b, enum type_id bound, const struct range_bound *x)
{
    if (x->infinite)
        return;
    if (bound == T_NUMERIC)
        num_encode(b, &x->v.n);
    else
        buf_put(b, &x->v.i, sizeof x->v.i);
}

void ranges_read(struct arena *arena, enum type_id t, const struct str *s, struct ranges *out)
{
    const uint8_t *p = s->p, *end = s->p + s->len;
    enum type_id bound = type_bound(t);
    *out = (struct ranges){0};
    need(s->len > 0);
    while (p < end) {
        uint8_t flags = *p++;
        if (flags & (RANGE_EMPTY | RANGE_NONE))
            continue;
        struct range r = {.lower = {.lower = true}};
        r.lower.infinite = flags & RANGE_LOWER_INF;
        r.upper.infinite = flags & RANGE_UPPER_INF;
        r.lower.inclusive = flags & RANGE_LOWER_INC;
        r.upper.inclusive = flags & RANGE_UPPER_INC;
        if (!r.lower.infinite)
            get_bound(arena, bound, &p, end, &r.lower.v);
        if (!r.upper.infinite)
            get_bound(arena, bound, &p, end, &r.upper.v);
        ranges_add(arena, out, &r);
    }
}

struct str ranges_write(struct arena *arena, enum type_id t, const struct ranges *list)
{
    struct buf b = {0};
    enum type_id bound = type_bound(t);
    if (list->count == 0)
        buf_put_u8(&b, type_is_range(t) ? RANGE_EMPTY : RANGE_NONE);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct range *r = &list->items[i];
        buf_put_u8(&b, (uint8_t)((r->lower.infinite ? RANGE_LOWER_INF : 0) |
                                 (r->upper.infinite ? RANGE_UPPER_INF : 0) |
                                 (r->lower.inclusive ? RANGE_LOWER_INC : 0) |
                                 (r->upper.inclusive ? RANGE_UPPER_INC : 0)));
        put_bound(&b, bound, &r->lower);
        put_bound(&b, bound, &r->upper);
    }
    ASSERT(b.len <= UINT32_MAX);
    struct str s = {arena_memdup(arena, b.p, b.len), (uint32_t)b.len, 0};
    buf_fini(&b);
    return s;
}

void ranges_add(struct arena *arena, struct ranges *list, const struct range *r)
{
    if (r->empty)
        return;
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 1;
        struct range *more = ARENA_ARRAY(arena, struct range, list->cap);
        if (list->count)
            memcpy(more, list->items, list->count * sizeof *more);
        list->items = more;
    }
    list->items[list->count++] = *r;
}

/* ---- order ---- */

static int value_cmp(enum type_id bound, const struct range_bound *a, const struct range_bound *b)
{
    if (a->infinite && b->infinite)
        return a->lower == b->lower ? 0 : a->lower ? -1 : 1;
    if (a->infinite)
        return a->lower ? -1 : 1;
    if (b->infinite)
        return b->lower ? 1 : -1;
    return val_cmp(bound, &a->v, &b->v);
}

int range_bound_cmp(enum type_id bound, const struct range_bound *a, const struct range_bound *b)
{
    int c = value_cmp(bound, a, b);
    if (c || a->infinite)
        return c;
    /* an exclusive lower bound lies just above its value, an exclusive upper one just below */
    int x = a->inclusive ? 0 : a->lower ? 1 : -1, y = b->inclusive ? 0 : b->lower ? 1 : -1;
    return (x > y) - (x < y);
}

int range_cmp(enum type_id bound, const struct range *a, const struct range *b)
{
    if (a->empty || b->empty)
        return (int)b->empty - (int)a->empty;
    int c = range_bound_cmp(bound, &a->lower, &b->lower);
    return c ? c : range_bound_cmp(bound, &a->upper, &b->upper);
}

int ranges_cmp(enum type_id bound, const struct ranges *a, const struct ranges *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        int c = range_cmp(bound, &a->items[i], &b->items[i]);
        if (c)
            return c;
    }
    return (a->count > b->count) - (a->count < b->count);
}

int range_val_cmp(enum type_id t, const struct str *a, const struct str *b)
{
    struct arena arena;
    struct ranges x, y;
    arena_init(&arena);
    ranges_read(&arena, t, a, &x);
    ranges_read(&arena, t, b, &y);
    int c = ranges_cmp(type_bound(t), &x, &y); /* of ranges: an empty one is first here as well */
    arena_fini(&arena);
    return c;
}

/* ---- making ---- */

static bool put_together(struct fn_ctx *ctx, enum type_id bound, struct range_bound lower,
                         struct range_bound upper, struct range *out)
{
    int c = value_cmp(bound, &lower, &upper);
    if (c > 0)
        return fn_fail(ctx, FN_BAD_DATA, "range lower bound must be less than or equal to range upper bound");
    lower.inclusive &= !lower.infinite;
    upper.inclusive &= !upper.infinite;
    *out = (struct range){c == 0 && !(lower.inclusive && upper.inclusive), lower, upper};
    return true;
}

/* The next whole number or day. */
static bool step_up(struct fn_ctx *ctx, enum type_id bound, int64_t *v)
{
    if (bound == T_INT4 && *v == INT32_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "integer out of range");
    if (bound == T_INT8 && *v == INT64_MAX)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "bigint out of range");
    if (bound == T_DATE && *v + 1 >= DATE_END)
        return fn_fail(ctx, FN_DATETIME_RANGE, "date out of range");
    ++*v;
    return true;
}

static bool canonical_bound(struct fn_ctx *ctx, enum type_id bound, struct range_bound *b)
{
    bool is_infinity = bound == T_DATE && (b->v.i == DATE_INFINITY || b->v.i == DATE_NEG_INFINITY);
    if (b->infinite || is_infinity || b->inclusive == b->lower)
        return true;
    b->inclusive = b->lower;
    return step_up(ctx, bound, &b->v.i);
}

bool range_make(struct fn_ctx *ctx, enum type_id bound, struct range_bound lower, struct range_bound upper,
                struct range *out)
{
    bool is_discrete = bound == T_INT4 || bound == T_INT8 || bound == T_DATE;
    lower.lower = true;
    upper.lower = false;
    if (!put_together(ctx, bound, lower, upper, out))
        return false;
    if (out->empty || !is_discrete)
        return true;
    return canonical_bound(ctx, bound, &out->lower) && canonical_bound(ctx, bound, &out->upper) &&
           put_together(ctx, bound, out->lower, out->upper, out);
}

/* ---- beside each other ---- */

bool range_overlaps(enum type_id bound, const struct range *a, const struct range *b)
{
    return !a->empty && !b->empty && range_bound_cmp(bound, &a->lower, &b->upper) <= 0 &&
           range_bound_cmp(bound, &b->lower, &a->upper) <= 0;
}

/* An upper and a lower bound with nothing between them, of which just one takes in the value that they share. */
static bool bounds_meet(enum type_id bound, struct range_bound upper, struct range_bound lower)
{
    int c = value_cmp(bound, &upper, &lower);
    if (c >= 0)
        return c == 0 && upper.inclusive != lower.inclusive;
    if (bound != T_INT4 && bound != T_INT8 && bound != T_DATE)
        return false;
    struct fn_ctx ignored = {0};
    struct range between;
    upper.inclusive = !upper.inclusive;
    lower.inclusive = !lower.inclusive;
    return range_make(&ignored, bound, upper, lower, &between) && between.empty;
}

bool range_adjacent(enum type_id bound, const struct range *a, const struct range *b)
{
    return !a->empty && !b->empty &&
           (bounds_meet(bound, a->upper, b->lower) || bounds_meet(bound, b->upper, a->lower));
}

struct range range_cover(enum type_id bound, const struct range *a, const struct range *b)
{
    if (a->empty || b->empty)
        return a->empty ? *b : *a;
    return (struct range){false, range_bound_cmp(bound, &a->lower, &b->lower) < 0 ? a->lower : b->lower,
                          range_bound_cmp(bound, &a->upper, &b->upper) > 0 ? a->upper : b->upper};
}

/* ---- multiranges ---- */

struct range ranges_hull(const struct ranges *list)
{
    if (list->count == 0)
        return (struct range){.empty = true};
    return (struct range){false, list->items[0].lower, list->items[list->count - 1].upper};
}

/* Merge sort: musl's qsort has no context to tell the type by. */
static void sort(enum type_id bound, struct range *v, struct range *scratch, uint32_t count)
{
    uint32_t half = count / 2, i = 0, k = half, n = 0;
    if (count < 2)
        return;
    sort(bound, v, scratch, half);
    sort(bound, v + half, scratch, count - half);
    while (i < half && k < count)
        scratch[n++] = range_cmp(bound, &v[i], &v[k]) <= 0 ? v[i++] : v[k++];
    while (i < half)
        scratch[n++] = v[i++];
    memcpy(v, scratch, n * sizeof *v);
}

void ranges_normalise(struct fn_ctx *ctx, enum type_id bound, struct ranges *list)
{
    uint32_t n = 0;
    if (list->count < 2)
        return;
    sort(bound, list->items, ARENA_ARRAY(ctx->arena, struct range, list->count), list->count);
    for (uint32_t i = 1; i < list->count; i++) {
        struct range *last = &list->items[n], *next = &list->items[i];
        if (range_overlaps(bound, last, next) || range_adjacent(bound, last, next))
            *last = range_cover(bound, last, next);
        else
            list->items[++n] = *next;
    }
    list->count = n + 1;
}

/* a and b overlap. */
static struct range common(enum type_id bound, const struct range *a, const struct range *b)
{
    return (struct range){false, range_bound_cmp(bound, &a->lower, &b->lower) >= 0 ? a->lower : b->lower,
                          range_bound_cmp(bound, &a->upper, &b->upper) <= 0 ? a->upper : b->upper};
}

void ranges_intersect(struct arena *arena, enum type_id bound, const struct ranges *a, const struct ranges *b,
                      struct ranges *list)
{
    *list = (struct ranges){0};
    for (uint32_t i = 0, k = 0; i < a->count && k < b->count;) {
        if (range_overlaps(bound, &a->items[i], &b->items[k])) {
            const struct range r = common(bound, &a->items[i], &b->items[k]);
            ranges_add(arena, list, &r);
        }
        if (range_bound_cmp(bound, &a->items[i].upper, &b->items[k].upper) < 0)
            i++;
        else
            k++;
    }
}
