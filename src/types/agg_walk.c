/* Values in order to one value; see agg_walk.h. Texts are those of PostgreSQL's json.c, varlena.c and
 * orderedsetaggs.c. */
#include "types/agg_walk.h"
#include <math.h>
#include <string.h>

void agg_walk_begin(struct agg_walk *w, const struct agg *agg, const enum type_id *types, double fraction,
                    int64_t total, struct fn_ctx *ctx)
{
    *w = (struct agg_walk){.agg = agg, .types = types, .ctx = ctx, .fraction = fraction, .total = total};
    w->out.arena = ctx->arena;
    w->done = isnan(fraction);
}

static void put(struct agg_walk *w, const char *text)
{
    json_put(&w->out, text, strlen(text));
}

static void put_str(struct agg_walk *w, const struct str *s)
{
    json_put(&w->out, s->p, s->len);
}

/* ---- json ---- */

/* JSON's timestamps are ISO 8601: a T before the time, minutes in the zone. */
static void put_moment(struct agg_walk *w, struct str text)
{
    uint32_t at = 0, end = text.len;
    json_put(&w->out, "\"", 1);
    while (at < end && text.p[at] != ' ')
        at++;
    json_put(&w->out, text.p, at);
    if (at == end) { /* infinity */
        json_put(&w->out, "\"", 1);
        return;
    }
    uint32_t rest = ++at;
    while (rest < end && text.p[rest] != ' ') /* in front of BC */
        rest++;
    json_put(&w->out, "T", 1);
    json_put(&w->out, text.p + at, rest - at);
    bool zone = rest - at > 3 && (text.p[rest - 3] == '+' || text.p[rest - 3] == '-');
    json_put(&w->out, ":00", zone ? 3 : 0);
    json_put(&w->out, text.p + rest, end - rest);
    json_put(&w->out, "\"", 1);
}

static bool is_json_number(const struct str *s)
{
    uint32_t at = s->len && s->p[0] == '-';
    return at < s->len && s->p[at] >= '0' && s->p[at] <= '9';
}

static bool put_json(struct agg_walk *w, enum type_id t, const union val *v, bool is_key);

static bool put_json_level(struct agg_walk *w, enum type_id element, struct array_reader *r, uint32_t d)
{
    put(w, "[");
    for (int32_t i = 0; d < r->shape.dim_count && i < r->shape.length[d]; i++) {
        put(w, i ? "," : "");
        if (d + 1 < r->shape.dim_count) {
            if (!put_json_level(w, element, r, d + 1))
                return false;
            continue;
        }
        union val v;
        bool is_null = false;
        ASSERT(array_next(r, w->ctx->arena, &v, &is_null));
        if (is_null)
            put(w, "null");
        else if (!put_json(w, element, &v, false))
            return false;
    }
    put(w, "]");
    return true;
}

static bool put_json_array(struct agg_walk *w, enum type_id t, const union val *v, bool is_key)
{
    struct array_reader r;
    if (is_key)
        return fn_fail(w->ctx, FN_BAD_ARGUMENT, "key value must be scalar, not array, composite, or json");
    array_open(&r, type_element(t), v->s);
    return put_json_level(w, type_element(t), &r, 0);
}

static bool put_json(struct agg_walk *w, enum type_id t, const union val *v, bool is_key)
{
    if (type_is_array(t))
        return put_json_array(w, t, v, is_key);
    if (t == T_RECORD) { /* json_agg of rows, which come as json */
        put_str(w, &v->s);
        return true;
    }
    struct str text = type_output(w->ctx, t, v);
    switch (t) {
    case T_JSON:
    case T_JSONB:
        if (is_key)
            return fn_fail(w->ctx, FN_BAD_ARGUMENT,
                           "key value must be scalar, not array, composite, or json");
        put_str(w, &text);
        return true;
    case T_BOOL: {
        const char *word = v->i ? "true" : "false";
        text = (struct str){(const uint8_t *)word, (uint32_t)strlen(word), 0};
        if (is_key)
            break;
        put_str(w, &text);
        return true;
    }
    case T_INT2:
    case T_INT4:
    case T_INT8:
    case T_FLOAT4:
    case T_FLOAT8:
    case T_NUMERIC:
        if (is_key || !is_json_number(&text))
            break;
        put_str(w, &text);
        return true;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: put_moment(w, text); return true;
    default: break;
    }
    json_put_string(&w->out, &text);
    return true;
}

static bool put_json_or_null(struct agg_walk *w, uint32_t arg, const union val *v, const uint8_t *states)
{
    if (states[arg] == VAL_OK)
        return put_json(w, w->types[arg], &v[arg], false);
    put(w, "null");
    return true;
}

static bool add_element(struct agg_walk *w, const union val *v, const uint8_t *states)
{
    put(w, w->seen ? ", " : "[");
    if (w->seen && states[0] == VAL_OK && (type_is_array(w->types[0]) || w->types[0] == T_RECORD))
        put(w, "\n ");
    return put_json_or_null(w, 0, v, states);
}

static bool add_member(struct agg_walk *w, const union val *v, const uint8_t *states)
{
    if (states[0] != VAL_OK)
        return fn_fail(w->ctx, FN_BAD_ARGUMENT, "field name must not be null");
    put(w, w->seen ? ", " : "{ ");
    if (!put_json(w, w->types[0], &v[0], true))
        return false;
    put(w, " : ");
    return put_json_or_null(w, 1, v, states);
}

/* ---- text ---- */

/* Every value but the first comes after its own row's delimiter. */
static bool add_text(struct agg_walk *w, const union val *v, const uint8_t *states)
{
    if (w->seen && states[1] == VAL_OK)
        put_str(w, &v[1].s);
    put_str(w, &v[0].s);
    return true;
}

/* ---- arrays ---- */

/* PostgreSQL's accumArrayResultArr: arrays of one shape, which become the slices of an array of one dimension more. */
static bool add_slice(struct agg_walk *w, const struct array_shape *s)
{
    struct array_shape *out = &w->array.shape;
    if (s->dim_count == 0)
        return fn_fail(w->ctx, FN_BAD_INDEX, "cannot accumulate empty arrays");
    if (s->dim_count == ARRAY_DIMS_MAX)
        return fn_fail(w->ctx, FN_TOO_LARGE,
                       "number of array dimensions (%u) exceeds the maximum allowed (%d)", s->dim_count + 1,
                       ARRAY_DIMS_MAX);
    if (out->dim_count == 0) {
        out->dim_count = s->dim_count + 1;
        out->lower[0] = 1;
        memcpy(&out->lower[1], s->lower, s->dim_count * sizeof s->lower[0]);
        memcpy(&out->length[1], s->length, s->dim_count * sizeof s->length[0]);
    } else if (out->dim_count != s->dim_count + 1 ||
               memcmp(&out->lower[1], s->lower, s->dim_count * sizeof s->lower[0]) ||
               memcmp(&out->length[1], s->length, s->dim_count * sizeof s->length[0])) {
        return fn_fail(w->ctx, FN_BAD_INDEX, "cannot accumulate arrays of different dimensionality");
    }
    out->length[0]++;
    return true;
}

static bool add_array(struct agg_walk *w, const union val *v, const uint8_t *states)
{
    enum type_id element = type_element(w->types[0]);
    struct array_reader r;
    union val item;
    bool is_null;
    if (states[0] != VAL_OK)
        return fn_fail(w->ctx, FN_NULL_NOT_ALLOWED, "cannot accumulate null arrays");
    array_open(&r, element, v->s);
    if (!add_slice(w, &r.shape))
        return false;
    if (w->array.count > ARRAY_ITEMS_MAX - r.count)
        return fn_fail(w->ctx, FN_TOO_LARGE, "array size exceeds the maximum allowed (%d)", ARRAY_ITEMS_MAX);
    while (array_next(&r, w->ctx->arena, &item, &is_null))
        array_add(w->ctx->arena, &w->array, item, is_null);
    w->array_bytes += v->s.len;
    return true;
}

static bool add_to_array(struct agg_walk *w, const union val *v, const uint8_t *states)
{
    bool is_null = states[0] != VAL_OK;
    if (w->array.count == ARRAY_ITEMS_MAX)
        return fn_fail(w->ctx, FN_TOO_LARGE, "array size exceeds the maximum allowed (%d)", ARRAY_ITEMS_MAX);
    array_add(w->ctx->arena, &w->array, *v, is_null);
    w->array_bytes += is_null ? 1 : type_phys(w->types[0]) == PHYS_STR ? v->s.len + 1 : sizeof *v / 2;
    return true;
}

static bool add_once(struct agg_walk *w, const union val *v, const uint8_t *states)
{
    switch (w->agg->kind) {
    case AGG_STRING_AGG: return add_text(w, v, states);
    case AGG_JSON_AGG:
    case AGG_JSONB_AGG: return add_element(w, v, states);
    case AGG_ARRAY_AGG: return (type_is_array(w->types[0]) ? add_array : add_to_array)(w, v, states);
    default: return add_member(w, v, states);
    }
}

static bool add_to_text(struct agg_walk *w, const union val *v, const uint8_t *states, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (!add_once(w, v, states))
            return false;
        w->seen++;
        if (w->out.len > AGG_RESULT_BYTES_MAX || w->array_bytes > AGG_RESULT_BYTES_MAX)
            return fn_fail(w->ctx, FN_TOO_LARGE, "result of %s is longer than %u bytes", w->agg->name,
                           AGG_RESULT_BYTES_MAX);
    }
    return true;
}

/* ---- ordered sets ---- */

static void add_to_mode(struct agg_walk *w, const union val *v, int64_t count, bool same)
{
    w->run = same ? w->run + count : count;
    if (!same)
        w->value[0] = *v;
    if (w->run > w->best) {
        w->best = w->run;
        w->value[1] = w->value[0];
    }
}

/* v stands for the values numbered seen .. seen + count - 1; does it hold the one numbered `row`? */
static bool holds(const struct agg_walk *w, int64_t row, int64_t count)
{
    return row >= w->seen && row < w->seen + count;
}

static void add_to_percentile(struct agg_walk *w, const union val *v, int64_t count)
{
    int64_t below, above;
    if (w->agg->kind == AGG_PERCENTILE_DISC) {
        above = (int64_t)ceil(w->fraction * (double)w->total) - 1;
        above = below = above < 0 ? 0 : above;
    } else {
        below = (int64_t)floor(w->fraction * (double)(w->total - 1));
        above = (int64_t)ceil(w->fraction * (double)(w->total - 1));
    }
    if (holds(w, below, count))
        w->value[0] = *v;
    if (holds(w, above, count)) {
        w->value[1] = *v;
        w->done = true;
    }
    w->seen += count;
}

/* ---- ranges ---- */

static bool add_ranges(struct agg_walk *w, const union val *v)
{
    enum type_id t = w->types[0];
    struct ranges more, both;
    ranges_read(w->ctx->arena, t, &v->s, &more);
    if (w->agg->kind == AGG_RANGE_INTERSECT_AGG && w->seen) {
        ranges_intersect(w->ctx->arena, type_bound(t), &w->ranges, &more, &both);
        w->ranges = both;
    } else {
        for (uint32_t i = 0; i < more.count; i++)
            ranges_add(w->ctx->arena, &w->ranges, &more.items[i]);
        w->ranges_bytes += v->s.len;
    }
    w->seen++;
    return w->ranges_bytes <= AGG_RESULT_BYTES_MAX ||
           fn_fail(w->ctx, FN_TOO_LARGE, "result of %s is longer than %u bytes", w->agg->name,
                   AGG_RESULT_BYTES_MAX);
}

static void ranges_result(struct agg_walk *w, union val *out)
{
    enum type_id t = w->types[0];
    if (w->agg->kind == AGG_RANGE_AGG) {
        ranges_normalise(w->ctx, type_bound(t), &w->ranges);
        t = type_is_range(t) ? type_multirange(t) : t;
    }
    out->s = ranges_write(w->ctx->arena, t, &w->ranges);
}

bool agg_walk_add(struct agg_walk *w, const union val *v, const uint8_t *states, int64_t count, bool same)
{
    ASSERT(count > 0);
    switch (w->agg->kind) {
    case AGG_MODE: add_to_mode(w, v, count, same); return true;
    case AGG_RANGE_AGG:
    case AGG_RANGE_INTERSECT_AGG: return add_ranges(w, v);
    case AGG_DENSE_RANK: w->seen += !same; return true;
    case AGG_PERCENTILE_CONT:
    case AGG_PERCENTILE_DISC: add_to_percentile(w, v, count); return true;
    default: return add_to_text(w, v, states, count);
    }
}

/* ---- results ---- */

static bool call_interval(struct fn_ctx *ctx, const char *op, const union val *a, const union val *b,
                          enum type_id type_b, union val *out)
{
    const struct fn *rows[64];
    const union val args[2] = {*a, *b};
    const bool null[2] = {false, false};
    bool is_null = false;
    uint32_t n = fn_find(op, true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->arg_count == 2 && rows[i]->args[0] == T_INTERVAL && rows[i]->args[1] == type_b)
            return rows[i]->eval(ctx, args, null, 2, out, &is_null);
    PANIC("no operator %s of intervals", op);
}

/* Between the two values next to the fraction, in proportion. */
static bool interpolate(struct agg_walk *w, union val *out)
{
    double exact = w->fraction * (double)(w->total - 1);
    union val part = {.f = exact - floor(exact)}, d;
    const union val *low = &w->value[0], *high = &w->value[1];
    *out = *low;
    if (floor(exact) == ceil(exact))
        return true;
    if (w->types[0] == T_FLOAT8) {
        out->f = low->f + part.f * (high->f - low->f);
        return true;
    }
    return call_interval(w->ctx, "-", high, low, T_INTERVAL, &d) &&
           call_interval(w->ctx, "*", &d, &part, T_FLOAT8, &d) &&
           call_interval(w->ctx, "+", &d, low, T_INTERVAL, out);
}

bool agg_walk_end(struct agg_walk *w, union val *out, bool *out_null)
{
    if (w->agg->kind == AGG_DENSE_RANK) {
        out->i = w->seen;
        return true;
    }
    *out_null = w->agg->kind == AGG_MODE ? w->best == 0 : w->seen == 0;
    if (*out_null)
        return true;
    switch (w->agg->kind) {
    case AGG_MODE:
    case AGG_PERCENTILE_DISC: *out = w->value[1]; return true;
    case AGG_PERCENTILE_CONT: return interpolate(w, out);
    case AGG_RANGE_AGG:
    case AGG_RANGE_INTERSECT_AGG: ranges_result(w, out); return true;
    case AGG_ARRAY_AGG:
        if (type_is_array(w->types[0])) {
            out->s = array_encode(w->ctx->arena, type_element(w->types[0]), &w->array);
            return true;
        }
        array_set_flat(&w->array);
        out->s = array_encode(w->ctx->arena, w->types[0], &w->array);
        return true;
    case AGG_JSON_AGG:
    case AGG_JSONB_AGG: put(w, "]"); break;
    case AGG_JSON_OBJECT_AGG:
    case AGG_JSONB_OBJECT_AGG: put(w, " }"); break;
    default: break;
    }
    out->s = (struct str){(const uint8_t *)w->out.p, (uint32_t)w->out.len, 0};
    if (w->agg->kind == AGG_JSONB_AGG || w->agg->kind == AGG_JSONB_OBJECT_AGG)
        return jsonb_normalise(w->ctx, w->out.p, w->out.len, &out->s);
    return true;
}
