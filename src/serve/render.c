/* Rows as JSON and CSV; see render.h. */
#include "serve/render.h"
#include "serve/json_path.h"
#include "serve/out.h"
#include "types/array.h"
#include "types/datetime.h"

#include <math.h>

void projection_init(struct arena *a, const struct select_item *items, uint32_t count, struct projection *out)
{
    *out = (struct projection){count, items, ARENA_ARRAY(a, struct slice, count)};
    for (uint32_t i = 0; i < count; i++) {
        /* Every byte may take six; with this room the buffer asks nobody for memory. */
        size_t room = 6 * items[i].label.len + 4;
        struct buf b = {.p = arena_alloc(a, room), .cap = room};
        buf_put_u8(&b, i ? ',' : '{');
        out_json_string(&b, items[i].label.p, items[i].label.len);
        buf_put_u8(&b, ':');
        out->labels[i] = (struct slice){b.p, b.len};
    }
}

static void put_str(struct buf *out, struct str s)
{
    buf_put(out, s.p, s.len);
}

static void put_quoted(struct buf *out, struct str s)
{
    buf_put_u8(out, '"');
    buf_put(out, s.p, s.len);
    buf_put_u8(out, '"');
}

static bool is_number(enum type_id t, const union val *v)
{
    if (t == T_NUMERIC)
        return v->n.kind <= NUM_BIG;
    return isfinite(v->f);
}

static void render_level(struct fn_ctx *fn, enum type_id element, struct array_reader *r, uint32_t d,
                         struct buf *out)
{
    buf_put_u8(out, '[');
    for (int32_t i = 0; i < r->shape.length[d]; i++) {
        union val v;
        bool is_null;
        if (i)
            buf_put_u8(out, ',');
        if (d + 1 < r->shape.dim_count) {
            render_level(fn, element, r, d + 1, out);
            continue;
        }
        array_next(r, fn->arena, &v, &is_null);
        if (is_null)
            OUT_LIT(out, "null");
        else
            render_json_value(fn, element, &v, out);
    }
    buf_put_u8(out, ']');
}

/* As PostgreSQL's row_to_json: bounds are not shown. */
static void render_array(struct fn_ctx *fn, enum type_id element, struct str bytes, struct buf *out)
{
    struct array_reader r;
    array_open(&r, element, bytes);
    if (r.count)
        render_level(fn, element, &r, 0, out);
    else
        OUT_LIT(out, "[]");
}

void render_json_value(struct fn_ctx *fn, enum type_id t, const union val *v, struct buf *out)
{
    if (type_is_array(t)) {
        render_array(fn, type_element(t), v->s, out);
        return;
    }
    switch (t) {
    case T_BOOL:
        if (v->i)
            OUT_LIT(out, "true");
        else
            OUT_LIT(out, "false");
        return;
    case T_INT2:
    case T_INT4:
    case T_INT8: out_i64(out, v->i); return;
    case T_FLOAT4:
    case T_FLOAT8:
    case T_NUMERIC:
        if (is_number(t, v))
            put_str(out, type_output(fn, t, v));
        else
            put_quoted(out, type_output(fn, t, v));
        return;
    case T_TEXT:
    case T_VARCHAR:
    case T_BPCHAR:
    case T_CITEXT:
    case T_UNKNOWN: out_json_string(out, v->s.p, v->s.len); return;
    case T_JSON:
    case T_JSONB: put_str(out, v->s); return;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: put_quoted(out, timestamp_json(fn, t, v->i)); return;
    case T_DATE:
    case T_TIME:
    case T_TIMETZ:
    case T_INET:
    case T_CIDR:
    case T_MACADDR:
    case T_INTERVAL:
    case T_UUID: put_quoted(out, type_output(fn, t, v)); return;
    default: break; /* bytea: "\\x..." needs its backslash escaped */
    }
    struct str s = type_output(fn, t, v);
    out_json_string(out, s.p, s.len);
}

bool select_item_value(struct fn_ctx *fn, const struct select_item *it, const union val *vals,
                       const uint8_t *states, union val *out, bool *null)
{
    *out = vals[it->column];
    *null = states[it->column] != VAL_OK;
    if (UNLIKELY(it->path != NULL) && !*null && !json_path_eval(fn, it->path, it->from, out, null))
        return false;
    if (LIKELY(!it->conv) || *null)
        return true;
    bool arg_null = false;
    const union val arg = *out;
    const uint8_t types[] = {it->conv->to, it->conv->from};
    fn->types = types;
    bool ok = it->conv->eval(fn, &arg, &arg_null, 1, out, null);
    fn->types = NULL;
    return ok;
}

bool render_json_item(struct fn_ctx *fn, const struct select_item *it, const union val *vals,
                      const uint8_t *states, struct buf *out)
{
    union val v;
    bool null;
    if (!select_item_value(fn, it, vals, states, &v, &null))
        return false;
    if (null)
        OUT_LIT(out, "null");
    else
        render_json_value(fn, it->type.id, &v, out);
    return true;
}

bool render_json_row(struct fn_ctx *fn, const struct projection *p, const union val *vals,
                     const uint8_t *states, struct buf *out)
{
    if (p->count == 0)
        OUT_LIT(out, "{");
    for (uint32_t i = 0; i < p->count; i++) {
        out_slice(out, p->labels[i]);
        if (!render_json_item(fn, &p->items[i], vals, states, out))
            return false;
    }
    OUT_LIT(out, "}");
    return true;
}

/* Past the string at p. */
static const uint8_t *string_end(const uint8_t *p, const uint8_t *end)
{
    for (p++; p < end && *p != '"'; p++)
        p += *p == '\\';
    return p < end ? p + 1 : end;
}

static const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* Past "name":null at p; NULL if that is not what stands there. In valid JSON a colon outside of a string is a field's. */
static const uint8_t *null_field_end(const uint8_t *p, const uint8_t *end)
{
    p = skip_blanks(string_end(p, end), end);
    if (p == end || *p != ':')
        return NULL;
    p = skip_blanks(p + 1, end);
    return end - p >= 4 && memcmp(p, "null", 4) == 0 ? p + 4 : NULL;
}

void render_strip_nulls(struct buf *out, size_t from)
{
    const uint8_t *p = out->p + from, *end = out->p + out->len, *after;
    uint8_t *to = out->p + from;
    while ((p = skip_blanks(p, end)) < end) {
        uint8_t last = to > out->p + from ? to[-1] : 0;
        if (*p == '"' && (after = null_field_end(p, end))) {
            p = after;
        } else if (*p == '"') {
            after = string_end(p, end);
            memmove(to, p, (size_t)(after - p));
            to += after - p;
            p = after;
        } else if (*p == ',' && (last == '{' || last == ',')) {
            p++; /* of a field that is gone */
        } else {
            if (*p == '}' && last == ',')
                to--;
            *to++ = *p++;
        }
    }
    out->len = (size_t)(to - out->p);
}

void render_csv_field(struct buf *out, const uint8_t *p, size_t len)
{
    bool quote = len == 0;
    for (size_t i = 0; i < len && !quote; i++)
        quote = p[i] == '"' || p[i] == ',' || p[i] == '\n' || p[i] == '\r' || p[i] == '\\';
    if (!quote) {
        buf_put(out, p, len);
        return;
    }
    buf_put_u8(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"')
            buf_put_u8(out, '"');
        buf_put_u8(out, p[i]);
    }
    buf_put_u8(out, '"');
}

void render_csv_head(const struct projection *p, struct buf *out)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (i)
            buf_put_u8(out, ',');
        render_csv_field(out, p->items[i].label.p, p->items[i].label.len);
    }
}

bool render_csv_item(struct fn_ctx *fn, const struct select_item *it, const union val *vals,
                     const uint8_t *states, struct buf *out)
{
    union val v;
    bool null;
    if (!select_item_value(fn, it, vals, states, &v, &null))
        return false;
    if (null)
        return true;
    struct str s = type_output(fn, it->type.id, &v);
    render_csv_field(out, s.p, s.len);
    return true;
}

bool render_csv_row(struct fn_ctx *fn, const struct projection *p, const union val *vals,
                    const uint8_t *states, struct buf *out)
{
    for (uint32_t i = 0; i < p->count; i++) {
        if (i)
            buf_put_u8(out, ',');
        if (!render_csv_item(fn, &p->items[i], vals, states, out))
            return false;
    }
    return true;
}
