/* See proto_row.h. */
#include "serve/proto_row.h"
#include "serve/out.h"
#include "types/array.h"
#include "types/datetime.h"

/* Fields of the Array messages, and of penstock.v1.Value. */
enum { ARRAY_VALUES = 1, ARRAY_NULLS = 2, ARRAY_LENGTHS = 3, ARRAY_LOWER_BOUNDS = 4 };
enum {
    VALUE_BOOL = 1,
    VALUE_INT = 2,
    VALUE_FLOAT = 3,
    VALUE_DOUBLE = 4,
    VALUE_STRING = 5,
    VALUE_BYTES = 6,
    VALUE_ARRAY = 7
};

static struct str text_of(struct fn_ctx *fn, enum type_id t, const union val *v)
{
    switch (t) {
    case T_TEXT:
    case T_VARCHAR:
    case T_BPCHAR:
    case T_CITEXT:
    case T_UNKNOWN:
    case T_JSON:
    case T_JSONB: return v->s;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return timestamp_json(fn, t, v->i);
    default: return type_output(fn, t, v);
    }
}

static void put_scalar(struct fn_ctx *fn, enum type_id t, enum field_kind kind, uint32_t number,
                       const union val *v, struct buf *out)
{
    struct str s;
    switch (kind) {
    case FIELD_BOOL:
    case FIELD_INT32:
    case FIELD_INT64: proto_put_uint(out, number, (uint64_t)v->i); return;
    case FIELD_FLOAT: proto_put_float(out, number, v->f); return;
    case FIELD_DOUBLE: proto_put_double(out, number, v->f); return;
    case FIELD_BYTES: s = v->s; break;
    default: s = text_of(fn, t, v); break;
    }
    proto_put_bytes(out, number, s.p, s.len);
}

/* ---- arrays ---- */

static void put_shape(const struct array_shape *s, struct buf *out)
{
    bool bounds = false;
    for (uint32_t d = 0; d < s->dim_count; d++)
        bounds |= s->lower[d] != 1;
    if (s->dim_count > 1) {
        size_t at = proto_begin(out, ARRAY_LENGTHS);
        for (uint32_t d = 0; d < s->dim_count; d++)
            buf_put_varint(out, (uint64_t)s->length[d]);
        proto_end(out, at);
    }
    if (bounds) {
        size_t at = proto_begin(out, ARRAY_LOWER_BOUNDS);
        for (uint32_t d = 0; d < s->dim_count; d++)
            buf_put_varint(out, (uint64_t)(int64_t)s->lower[d]);
        proto_end(out, at);
    }
}

static void put_packed(enum field_kind kind, const union val *v, struct buf *out)
{
    float f = (float)v->f;
    uint32_t half;
    uint64_t whole;
    if (kind == FIELD_FLOAT) {
        memcpy(&half, &f, sizeof half);
        proto_put_fixed32(out, half);
    } else if (kind == FIELD_DOUBLE) {
        memcpy(&whole, &v->f, sizeof whole);
        proto_put_fixed64(out, whole);
    } else {
        buf_put_varint(out, (uint64_t)v->i);
    }
}

/* values, then the places of NULLs: a second walk, for what stands in one field stands together. */
static void put_array(struct fn_ctx *fn, enum type_id element, enum field_kind kind, struct str bytes,
                      struct buf *out)
{
    struct array_reader r;
    union val v, nothing = {.i = 0};
    bool null, packed = kind != FIELD_STRING && kind != FIELD_BYTES;
    array_open(&r, element, bytes);
    struct array_shape shape = r.shape;
    bool nulls = r.nulls != NULL;
    size_t at = packed && r.count ? proto_begin(out, ARRAY_VALUES) : 0;
    while (array_next(&r, fn->arena, &v, &null)) {
        if (packed)
            put_packed(kind, null ? &nothing : &v, out);
        else if (null)
            proto_put_bytes(out, ARRAY_VALUES, NULL, 0);
        else
            put_scalar(fn, element, kind, ARRAY_VALUES, &v, out);
    }
    if (at)
        proto_end(out, at);
    if (nulls) {
        array_open(&r, element, bytes);
        at = proto_begin(out, ARRAY_NULLS);
        for (uint32_t i = 0; array_next(&r, fn->arena, &v, &null); i++)
            if (null)
                buf_put_varint(out, i);
        proto_end(out, at);
    }
    put_shape(&shape, out);
}

/* ---- typed rows ---- */

static bool refuse_item(const struct world_api *api, const struct select_item *it, struct problem *p)
{
    problem_set(p, 400, "PENSTOCK_TYPED", "a typed message shows columns as they are: \"%.*s\" is none",
                TEXT_QUOTED(it->label, 100));
    return problem_hint(
        p, "Select columns of \"%s\" without renaming, casts or paths, or call penstock.v1.Views.",
        api->path);
}

bool proto_columns_init(struct arena *a, const struct world_api *api, const struct projection *pr,
                        struct proto_columns *out, struct problem *p)
{
    struct proto_column *items = ARENA_ARRAY(a, struct proto_column, pr->count);
    for (uint32_t i = 0; i < pr->count; i++) {
        const struct select_item *it = &pr->items[i];
        const struct column *c = &api->view->schema->columns[it->column];
        if (it->conv || it->path || it->embed || it->type.id != c->type.id || !slice_is(it->label, c->name))
            return refuse_item(api, it, p);
        items[i] = (struct proto_column){it->column, api->field_numbers[it->column], c->type.id};
    }
    *out = (struct proto_columns){pr->count, items};
    return true;
}

void proto_put_row(struct fn_ctx *fn, const struct proto_columns *c, const union val *vals,
                   const uint8_t *states, struct buf *out)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct proto_column *it = &c->items[i];
        const union val *v = &vals[it->column];
        if (states[it->column] != VAL_OK)
            continue;
        struct field_form form = field_form(it->type);
        if (!form.is_array) {
            put_scalar(fn, it->type, form.kind, it->number, v, out);
            continue;
        }
        size_t at = proto_begin(out, it->number);
        put_array(fn, type_element(it->type), form.kind, v->s, out);
        proto_end(out, at);
    }
}

/* ---- generic rows ---- */

static void put_value(struct fn_ctx *fn, enum type_id t, const union val *v, struct buf *out)
{
    static const uint8_t numbers[FIELD_KINDS] = {
        [FIELD_BOOL] = VALUE_BOOL,   [FIELD_INT32] = VALUE_INT,     [FIELD_INT64] = VALUE_INT,
        [FIELD_FLOAT] = VALUE_FLOAT, [FIELD_DOUBLE] = VALUE_DOUBLE, [FIELD_STRING] = VALUE_STRING,
        [FIELD_BYTES] = VALUE_BYTES,
    };
    struct field_form form = field_form(t);
    struct array_reader r;
    union val element;
    bool null;
    if (!form.is_array) {
        put_scalar(fn, t, form.kind, numbers[form.kind], v, out);
        return;
    }
    size_t whole = proto_begin(out, VALUE_ARRAY);
    array_open(&r, type_element(t), v->s);
    struct array_shape shape = r.shape;
    while (array_next(&r, fn->arena, &element, &null)) {
        size_t at = proto_begin(out, ARRAY_VALUES);
        if (!null)
            put_scalar(fn, type_element(t), form.kind, numbers[form.kind], &element, out);
        proto_end(out, at);
    }
    put_shape(&shape, out);
    proto_end(out, whole);
}

bool proto_put_values(struct fn_ctx *fn, const struct projection *pr, const union val *vals,
                      const uint8_t *states, struct buf *out)
{
    for (uint32_t i = 0; i < pr->count; i++) {
        union val v;
        bool null;
        if (!select_item_value(fn, &pr->items[i], vals, states, &v, &null))
            return false;
        size_t at = proto_begin(out, 1);
        if (!null)
            put_value(fn, pr->items[i].type.id, &v, out);
        proto_end(out, at);
    }
    return true;
}

void proto_put_columns(const struct world_view *v, const struct projection *pr, uint32_t number,
                       struct buf *out)
{
    char name[TYPE_NAME_MAX + 1];
    for (uint32_t i = 0; i < pr->count; i++) {
        const struct select_item *it = &pr->items[i];
        const struct column *c = &v->schema->columns[it->column];
        size_t at = proto_begin(out, number);
        proto_put_bytes(out, 1, it->label.p, it->label.len);
        proto_put_text(out, 2, type_format(it->type, name, sizeof name));
        if (c->not_null)
            proto_put_uint(out, 3, 1);
        if (c->comment)
            proto_put_text(out, 4, c->comment);
        proto_end(out, at);
    }
}
