/* Casts: the table of pg_cast for the supported types, text conversions of every type, length coercion, and the
 * dispatch to each type's text input and output. */
#include "types/array.h"
#include "types/datetime.h"
#include "types/enum_type.h"
#include "types/func_kernel.h"
#include "types/numeric_impl.h"
#include "types/text_io.h"
#include "types/utf8.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

typedef bool (*input_fn)(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
typedef struct str (*output_fn)(struct fn_ctx *ctx, const union val *v);

static struct str output_numeric(struct fn_ctx *ctx, const union val *v)
{
    return num_format(ctx, &v->n);
}
static struct str output_text(struct fn_ctx *ctx KERNEL_UNUSED, const union val *v)
{
    return v->s;
}

static const struct {
    input_fn input;
    output_fn output;
} text_forms[T_SCALAR_COUNT] = {
    [T_UNKNOWN] = {input_text, output_text},
    [T_BOOL] = {input_bool, output_bool},
    [T_INT2] = {input_int, output_int},
    [T_INT4] = {input_int, output_int},
    [T_INT8] = {input_int, output_int},
    [T_FLOAT4] = {input_float, output_float4},
    [T_FLOAT8] = {input_float, output_float8},
    [T_NUMERIC] = {input_numeric, output_numeric},
    [T_TEXT] = {input_text, output_text},
    [T_VARCHAR] = {input_text, output_text},
    [T_BPCHAR] = {input_text, output_text},
    [T_BYTEA] = {input_bytea, output_bytea},
    [T_DATE] = {input_date, output_date},
    [T_TIME] = {input_time, output_time},
    [T_TIMESTAMP] = {input_timestamp, output_timestamp},
    [T_TIMESTAMPTZ] = {input_timestamptz, output_timestamptz},
    [T_INTERVAL] = {input_interval, output_interval},
    [T_UUID] = {input_uuid, output_uuid},
    [T_JSON] = {input_json, output_json},
    [T_JSONB] = {input_jsonb, output_jsonb},
    [T_TIMETZ] = {input_timetz, output_timetz},
    [T_INET] = {input_inet, output_inet},
    [T_CIDR] = {input_cidr, output_cidr},
    [T_MACADDR] = {input_macaddr, output_macaddr},
    [T_CITEXT] = {input_text, output_text},
    [T_JSONPATH] = {input_jsonpath, output_jsonpath},
    [T_INT4RANGE... T_DATERANGE] = {input_range, NULL},
    [T_INT4MULTIRANGE... T_DATEMULTIRANGE] = {input_multirange, NULL},
};

bool type_input(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    if (type_is_array(t.id))
        return input_array(ctx, t, text, len, out);
    if (type_is_enum(t.id))
        return input_enum(ctx, t, text, len, out);
    ASSERT((unsigned)t.id < T_SCALAR_COUNT);
    return text_forms[t.id].input(ctx, t, text, len, out);
}

struct str type_output(struct fn_ctx *ctx, enum type_id t, const union val *v)
{
    if (type_is_array(t))
        return output_array(ctx, t, v);
    if (type_is_enum(t))
        return output_enum(ctx, v);
    if (t == T_RECORD) /* in messages about a row alone: what its fields are is not known */
        return (struct str)STR_LIT("ROW(...)");
    if (type_is_range(t) || type_is_multirange(t))
        return output_range(ctx, t, v);
    ASSERT((unsigned)t < T_SCALAR_COUNT);
    return text_forms[t].output(ctx, v);
}

/* Text conversion kernels of each type; strings share in_text and out_text. */
#define IO_KERNELS(name, type_id)                                                 \
    KERNEL(in_##name)                                                             \
    {                                                                             \
        struct type t = {type_id, -1};                                            \
        return type_input(ctx, t, (const char *)args[0].s.p, args[0].s.len, out); \
    }                                                                             \
    KERNEL(out_##name)                                                            \
    {                                                                             \
        out->s = type_output(ctx, type_id, &args[0]);                             \
        return true;                                                              \
    }
IO_KERNELS(int2, T_INT2)
IO_KERNELS(int4, T_INT4)
IO_KERNELS(int8, T_INT8)
IO_KERNELS(float4, T_FLOAT4)
IO_KERNELS(float8, T_FLOAT8)
IO_KERNELS(numeric, T_NUMERIC)
IO_KERNELS(bytea, T_BYTEA)
IO_KERNELS(date, T_DATE)
IO_KERNELS(time, T_TIME)
IO_KERNELS(timestamp, T_TIMESTAMP)
IO_KERNELS(timestamptz, T_TIMESTAMPTZ)
IO_KERNELS(interval, T_INTERVAL)
IO_KERNELS(timetz, T_TIMETZ)
IO_KERNELS(cidr, T_CIDR)
IO_KERNELS(macaddr, T_MACADDR)
IO_KERNELS(uuid, T_UUID)
IO_KERNELS(json, T_JSON)
IO_KERNELS(jsonb, T_JSONB)
IO_KERNELS(jsonpath, T_JSONPATH)
/* The types are in ctx->types. */
KERNEL(in_range)
{
    struct type t = {(enum type_id)ctx->types[0], -1};
    return type_input(ctx, t, (const char *)args[0].s.p, args[0].s.len, out);
}
KERNEL(out_range)
{
    out->s = output_range(ctx, (enum type_id)ctx->types[1], &args[0]);
    return true;
}

KERNEL(in_inet)
{
    const struct type t = {T_INET, -1};
    return input_inet(ctx, t, (const char *)args[0].s.p, args[0].s.len, out);
}
/* The cast writes the length always, unlike the type's output. */
KERNEL(out_inet)
{
    out->s = output_cidr(ctx, &args[0]);
    return true;
}

KERNEL(in_bool)
{
    struct type t = {T_BOOL, -1};
    return input_bool(ctx, t, (const char *)args[0].s.p, args[0].s.len, out);
}
/* The cast writes the word, unlike the type's output. */
KERNEL(out_bool)
{
    out->s = args[0].i ? STR_LIT("true") : STR_LIT("false");
    return true;
}

/* char(n) to the other strings: without its trailing blanks. */
KERNEL(unpad)
{
    uint32_t n = args[0].s.len;
    while (n > 0 && args[0].s.p[n - 1] == ' ')
        n--;
    return ret_str(out, args[0].s.p, n);
}

/* citext from and to the other strings: the same bytes, but a node of its own, as values of the two are equal by other
 * rules. */
KERNEL(same_text)
{
    *out = args[0];
    return true;
}

/* Integers of one width to another, range-checked where narrower. */
static bool to_int(struct fn_ctx *ctx, enum type_id t, int64_t v, union val *out)
{
    int64_t limit = t == T_INT2 ? INT16_MAX : t == T_INT4 ? INT32_MAX : INT64_MAX;
    if (v > limit || v < -limit - 1)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "%s out of range", type_info(t)->name);
    return ret_int(out, v);
}
/* Floats round to even; the comparison is with the first value past the range, which is exact. */
static bool float_to_int(struct fn_ctx *ctx, enum type_id t, double f, union val *out)
{
    double limit = t == T_INT2 ? 0x1p15 : t == T_INT4 ? 0x1p31 : 0x1p63, r = rint(f);
    if (isnan(r) || r < -limit || r >= limit)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "%s out of range", type_info(t)->name);
    return ret_int(out, (int64_t)r);
}
static bool num_to_int(struct fn_ctx *ctx, enum type_id t, const struct num *n, union val *out)
{
    int64_t v;
    if (num_is_special(n))
        return fn_fail(ctx, FN_UNSUPPORTED, "cannot convert %s to %s",
                       n->kind == NUM_NAN ? "NaN" : "infinity", type_info(t)->name);
    if (!num_to_i64(ctx, n, &v))
        return fn_fail(ctx, FN_OUT_OF_RANGE, "%s out of range", type_info(t)->name);
    return to_int(ctx, t, v, out);
}
static bool jsonb_to_int(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out)
{
    union val n;
    bool is_null = false;
    return cast_jsonb_numeric(ctx, args, NULL, 1, &n, &is_null) && num_to_int(ctx, t, &n.n, out);
}
KERNEL(int_int2)
{
    return to_int(ctx, T_INT2, args[0].i, out);
}
KERNEL(int_int4)
{
    return to_int(ctx, T_INT4, args[0].i, out);
}
#define TO_INT_KERNELS(name, type_id)                      \
    KERNEL(float_##name)                                   \
    {                                                      \
        return float_to_int(ctx, type_id, args[0].f, out); \
    }                                                      \
    KERNEL(numeric_##name)                                 \
    {                                                      \
        return num_to_int(ctx, type_id, &args[0].n, out);  \
    }                                                      \
    KERNEL(jsonb_##name)                                   \
    {                                                      \
        return jsonb_to_int(ctx, type_id, args, out);      \
    }
TO_INT_KERNELS(int2, T_INT2)
TO_INT_KERNELS(int4, T_INT4)
TO_INT_KERNELS(int8, T_INT8)

KERNEL(int_bool)
{
    return ret_int(out, args[0].i != 0);
}
KERNEL(int_float4)
{
    return ret_float(out, (double)(float)args[0].i);
}
KERNEL(int_float8)
{
    return ret_float(out, (double)args[0].i);
}
KERNEL(int_numeric)
{
    out->n = num_from_i64(args[0].i);
    return true;
}
KERNEL(float8_float4)
{
    float f = (float)args[0].f;
    if (isinf(f) && !isinf(args[0].f))
        return fn_fail(ctx, FN_OUT_OF_RANGE, "value out of range: overflow");
    if (f == 0 && args[0].f != 0)
        return fn_fail(ctx, FN_OUT_OF_RANGE, "value out of range: underflow");
    return ret_float(out, (double)f);
}
KERNEL(float4_numeric)
{
    return num_from_f64(ctx, args[0].f, 6, &out->n);
}
KERNEL(float8_numeric)
{
    return num_from_f64(ctx, args[0].f, 15, &out->n);
}
KERNEL(numeric_float8)
{
    return num_to_f64(ctx, &args[0].n, &out->f);
}
/* Not by way of double, which would round twice. */
KERNEL(numeric_float4)
{
    struct type t = {T_FLOAT4, -1};
    struct str s = num_format(ctx, &args[0].n);
    return input_float(ctx, t, (const char *)s.p, s.len, out);
}
KERNEL(jsonb_float4)
{
    union val n;
    return cast_jsonb_numeric(ctx, args, null, 1, &n, out_null) &&
           numeric_float4(ctx, &n, null, 1, out, out_null);
}
KERNEL(jsonb_float8)
{
    union val n;
    return cast_jsonb_numeric(ctx, args, null, 1, &n, out_null) && num_to_f64(ctx, &n.n, &out->f);
}

/* varchar(n) and char(n): too long is an error unless only blanks are cut or the cast is explicit. */
static bool fit_string(struct fn_ctx *ctx, struct type t, bool is_explicit, struct str *s)
{
    uint32_t most = (uint32_t)(t.typmod - 4), keep = utf8_offset(s, most);
    for (uint32_t i = keep; i < s->len && !is_explicit; i++)
        if (s->p[i] != ' ')
            return fn_fail(ctx, FN_STRING_TOO_LONG, "value too long for type %s(%u)", type_info(t.id)->name,
                           most);
    s->len = keep;
    uint32_t have = utf8_count(s);
    if (t.id == T_VARCHAR || have >= most)
        return true;
    uint8_t *padded = arena_alloc(ctx->arena, (size_t)keep + (most - have));
    if (keep)
        memcpy(padded, s->p, keep);
    memset(padded + keep, ' ', most - have);
    *s = (struct str){padded, keep + (most - have), 0};
    return true;
}

/* numeric(p,s): rounds to s digits, then at most p - s before the point. */
static bool fit_numeric(struct fn_ctx *ctx, int32_t typmod, struct num *n)
{
    int precision = ((typmod - 4) >> 16) & 0xffff, scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
    if (n->kind == NUM_NAN)
        return true;
    if (!num_is_special(n)) {
        if (!num_round(ctx, n, scale, n))
            return false;
        if (num_is_zero(n) || (int)num_digit_count(n) - n->dscale <= precision - scale)
            return true;
    }
    return fn_fail(ctx, FN_OUT_OF_RANGE, "numeric field overflow");
}

bool type_apply_typmod(struct fn_ctx *ctx, struct type t, bool is_explicit, union val *v)
{
    if (t.typmod < 0)
        return true;
    if (type_is_array(t.id))
        return typmod_array(ctx, t, is_explicit, v);
    switch (t.id) {
    case T_VARCHAR:
    case T_BPCHAR: return t.typmod < 4 || fit_string(ctx, t, is_explicit, &v->s);
    case T_NUMERIC: return t.typmod < 4 || fit_numeric(ctx, t.typmod, &v->n);
    case T_TIME:
    case T_TIMETZ:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
    case T_INTERVAL: return typmod_datetime(ctx, t, v);
    default: return true;
    }
}

/* Length coercion as a cast of a type to itself: value, typmod and (optionally) whether it is explicit. */
#define LENGTH_KERNEL(name, type_id)                                        \
    KERNEL(length_##name)                                                   \
    {                                                                       \
        struct type t = {type_id, arg_count > 1 ? (int32_t)args[1].i : -1}; \
        *out = args[0];                                                     \
        return type_apply_typmod(ctx, t, arg_count > 2 && args[2].i, out);  \
    }
LENGTH_KERNEL(varchar, T_VARCHAR)
LENGTH_KERNEL(bpchar, T_BPCHAR)
LENGTH_KERNEL(numeric, T_NUMERIC)
LENGTH_KERNEL(time, T_TIME)
LENGTH_KERNEL(timetz, T_TIMETZ)
LENGTH_KERNEL(timestamp, T_TIMESTAMP)
LENGTH_KERNEL(timestamptz, T_TIMESTAMPTZ)
LENGTH_KERNEL(interval, T_INTERVAL)

#define IMP CAST_IMPLICIT
#define ASG CAST_ASSIGNMENT
#define EXP CAST_EXPLICIT
/* To the string types on assignment, from them explicitly, by text output and input. */
#define TEXT_FORMS(type_id, name)                                                  \
    {type_id, T_TEXT, ASG, out_##name}, {type_id, T_VARCHAR, ASG, out_##name},     \
        {type_id, T_BPCHAR, ASG, out_##name}, {T_TEXT, type_id, EXP, in_##name},   \
        {T_VARCHAR, type_id, EXP, in_##name}, {T_CITEXT, type_id, EXP, in_##name}, \
        {type_id, T_CITEXT, ASG, out_##name},                                      \
    {                                                                              \
        T_BPCHAR, type_id, EXP, in_##name                                          \
    }

static const struct cast casts[] = {
    {T_INT2, T_INT4, IMP, NULL},
    {T_INT2, T_INT8, IMP, NULL},
    {T_INT4, T_INT8, IMP, NULL},
    {T_INT4, T_INT2, ASG, int_int2},
    {T_INT8, T_INT2, ASG, int_int2},
    {T_INT8, T_INT4, ASG, int_int4},
    {T_INT2, T_FLOAT4, IMP, int_float4},
    {T_INT4, T_FLOAT4, IMP, int_float4},
    {T_INT8, T_FLOAT4, IMP, int_float4},
    {T_INT2, T_FLOAT8, IMP, int_float8},
    {T_INT4, T_FLOAT8, IMP, int_float8},
    {T_INT8, T_FLOAT8, IMP, int_float8},
    {T_INT2, T_NUMERIC, IMP, int_numeric},
    {T_INT4, T_NUMERIC, IMP, int_numeric},
    {T_INT8, T_NUMERIC, IMP, int_numeric},
    {T_FLOAT4, T_FLOAT8, IMP, NULL},
    {T_FLOAT8, T_FLOAT4, ASG, float8_float4},
    {T_FLOAT4, T_INT2, ASG, float_int2},
    {T_FLOAT4, T_INT4, ASG, float_int4},
    {T_FLOAT4, T_INT8, ASG, float_int8},
    {T_FLOAT8, T_INT2, ASG, float_int2},
    {T_FLOAT8, T_INT4, ASG, float_int4},
    {T_FLOAT8, T_INT8, ASG, float_int8},
    {T_FLOAT4, T_NUMERIC, ASG, float4_numeric},
    {T_FLOAT8, T_NUMERIC, ASG, float8_numeric},
    {T_NUMERIC, T_INT2, ASG, numeric_int2},
    {T_NUMERIC, T_INT4, ASG, numeric_int4},
    {T_NUMERIC, T_INT8, ASG, numeric_int8},
    {T_NUMERIC, T_FLOAT4, IMP, numeric_float4},
    {T_NUMERIC, T_FLOAT8, IMP, numeric_float8},
    {T_BOOL, T_INT4, EXP, NULL},
    {T_INT4, T_BOOL, EXP, int_bool},
    {T_TEXT, T_VARCHAR, IMP, NULL},
    {T_TEXT, T_BPCHAR, IMP, NULL},
    {T_VARCHAR, T_TEXT, IMP, NULL},
    {T_VARCHAR, T_BPCHAR, IMP, NULL},
    {T_BPCHAR, T_TEXT, IMP, unpad},
    {T_BPCHAR, T_VARCHAR, IMP, unpad},
    {T_INT4RANGE, T_INT4MULTIRANGE, EXP, cast_range_multirange},
    {T_INT8RANGE, T_INT8MULTIRANGE, EXP, cast_range_multirange},
    {T_NUMRANGE, T_NUMMULTIRANGE, EXP, cast_range_multirange},
    {T_TSRANGE, T_TSMULTIRANGE, EXP, cast_range_multirange},
    {T_TSTZRANGE, T_TSTZMULTIRANGE, EXP, cast_range_multirange},
    {T_DATERANGE, T_DATEMULTIRANGE, EXP, cast_range_multirange},
    {T_CIDR, T_INET, IMP, NULL},
    {T_INET, T_CIDR, ASG, cast_inet_cidr},
    {T_CITEXT, T_TEXT, IMP, same_text},
    {T_CITEXT, T_VARCHAR, IMP, same_text},
    {T_CITEXT, T_BPCHAR, ASG, same_text},
    {T_TEXT, T_CITEXT, ASG, same_text},
    {T_VARCHAR, T_CITEXT, ASG, same_text},
    {T_BPCHAR, T_CITEXT, ASG, unpad},
    {T_VARCHAR, T_VARCHAR, IMP, length_varchar},
    {T_BPCHAR, T_BPCHAR, IMP, length_bpchar},
    {T_NUMERIC, T_NUMERIC, IMP, length_numeric},
    {T_TIME, T_TIME, IMP, length_time},
    {T_TIMESTAMP, T_TIMESTAMP, IMP, length_timestamp},
    {T_TIMESTAMPTZ, T_TIMESTAMPTZ, IMP, length_timestamptz},
    {T_INTERVAL, T_INTERVAL, IMP, length_interval},
    {T_DATE, T_TIMESTAMP, IMP, cast_date_timestamp},
    {T_DATE, T_TIMESTAMPTZ, IMP, cast_date_timestamptz},
    {T_TIMETZ, T_TIMETZ, IMP, length_timetz},
    {T_TIME, T_TIMETZ, IMP, cast_time_timetz},
    {T_TIMETZ, T_TIME, ASG, cast_timetz_time},
    {T_TIMESTAMPTZ, T_TIMETZ, ASG, cast_timestamptz_timetz},
    {T_TIME, T_INTERVAL, IMP, cast_time_interval},
    {T_TIMESTAMP, T_DATE, ASG, cast_timestamp_date},
    {T_TIMESTAMP, T_TIME, ASG, cast_timestamp_time},
    {T_TIMESTAMP, T_TIMESTAMPTZ, IMP, cast_timestamp_timestamptz},
    {T_TIMESTAMPTZ, T_DATE, ASG, cast_timestamptz_date},
    {T_TIMESTAMPTZ, T_TIME, ASG, cast_timestamptz_time},
    {T_TIMESTAMPTZ, T_TIMESTAMP, ASG, cast_timestamptz_timestamp},
    {T_INTERVAL, T_TIME, ASG, cast_interval_time},
    {T_JSON, T_JSONB, ASG, cast_json_jsonb},
    {T_JSONB, T_JSON, ASG, cast_jsonb_json},
    {T_JSONB, T_BOOL, EXP, cast_jsonb_bool},
    {T_JSONB, T_NUMERIC, EXP, cast_jsonb_numeric},
    {T_JSONB, T_INT2, EXP, jsonb_int2},
    {T_JSONB, T_INT4, EXP, jsonb_int4},
    {T_JSONB, T_INT8, EXP, jsonb_int8},
    {T_JSONB, T_FLOAT4, EXP, jsonb_float4},
    {T_JSONB, T_FLOAT8, EXP, jsonb_float8},
    TEXT_FORMS(T_BOOL, bool),
    TEXT_FORMS(T_INT2, int2),
    TEXT_FORMS(T_INT4, int4),
    TEXT_FORMS(T_INT8, int8),
    TEXT_FORMS(T_FLOAT4, float4),
    TEXT_FORMS(T_FLOAT8, float8),
    TEXT_FORMS(T_NUMERIC, numeric),
    TEXT_FORMS(T_BYTEA, bytea),
    TEXT_FORMS(T_DATE, date),
    TEXT_FORMS(T_TIME, time),
    TEXT_FORMS(T_TIMESTAMP, timestamp),
    TEXT_FORMS(T_TIMESTAMPTZ, timestamptz),
    TEXT_FORMS(T_INTERVAL, interval),
    TEXT_FORMS(T_TIMETZ, timetz),
    TEXT_FORMS(T_INET, inet),
    TEXT_FORMS(T_CIDR, cidr),
    TEXT_FORMS(T_MACADDR, macaddr),
    TEXT_FORMS(T_UUID, uuid),
    TEXT_FORMS(T_JSON, json),
    TEXT_FORMS(T_JSONB, jsonb),
    TEXT_FORMS(T_JSONPATH, jsonpath),
    TEXT_FORMS(T_INT4RANGE, range),
    TEXT_FORMS(T_INT8RANGE, range),
    TEXT_FORMS(T_NUMRANGE, range),
    TEXT_FORMS(T_TSRANGE, range),
    TEXT_FORMS(T_TSTZRANGE, range),
    TEXT_FORMS(T_DATERANGE, range),
    TEXT_FORMS(T_INT4MULTIRANGE, range),
    TEXT_FORMS(T_INT8MULTIRANGE, range),
    TEXT_FORMS(T_NUMMULTIRANGE, range),
    TEXT_FORMS(T_TSMULTIRANGE, range),
    TEXT_FORMS(T_TSTZMULTIRANGE, range),
    TEXT_FORMS(T_DATEMULTIRANGE, range),
};

static const struct cast *cast_matrix[T_COUNT][T_COUNT];
static pthread_once_t cast_matrix_once = PTHREAD_ONCE_INIT;

static void cast_add(enum type_id from, enum type_id to, enum cast_context context, fn_eval eval)
{
    struct cast *c = xmalloc(sizeof *c); /* kept for the process */
    *c = (struct cast){(uint8_t)from, (uint8_t)to, (uint8_t)context, eval};
    ASSERT(!cast_matrix[from][to]);
    cast_matrix[from][to] = c;
}

static const enum type_id texts[] = {T_TEXT, T_VARCHAR, T_BPCHAR, T_CITEXT};

/* Arrays are cast as their elements are, and from and to text by their text forms. */
static void cast_matrix_arrays(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(casts); i++) {
        const struct cast *c = &casts[i];
        if (c->from != c->to)
            cast_add(type_array((enum type_id)c->from), type_array((enum type_id)c->to),
                     (enum cast_context)c->context, c->eval ? cast_array_elements : NULL);
    }
    for (enum type_id t = T_BOOL; t < T_SCALAR_COUNT; t++)
        for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
            cast_add(type_array(t), texts[i], CAST_ASSIGNMENT, cast_array_text);
            cast_add(texts[i], type_array(t), CAST_EXPLICIT, cast_text_array);
        }
}

/* Of every enum type there may be, and arrays of it: to text and from it, arrays also to arrays of text. */
static const enum type_id texts_and_arrays[] = {T_TEXT,
                                                T_VARCHAR,
                                                T_BPCHAR,
                                                T_CITEXT,
                                                T_ARRAYS + T_TEXT,
                                                T_ARRAYS + T_VARCHAR,
                                                T_ARRAYS + T_BPCHAR,
                                                T_ARRAYS + T_CITEXT};
static struct cast enum_casts[T_ID_END - T_ENUMS][ARRAY_COUNT(texts_and_arrays)][2];

static void enum_casts_build(void)
{
    for (enum type_id t = T_ENUMS; t < T_ID_END; t++)
        for (size_t i = 0; i < ARRAY_COUNT(texts_and_arrays); i++) {
            enum type_id text = texts_and_arrays[i];
            bool arrays = type_is_array(t) && type_is_array(text);
            fn_eval to_text = type_is_array(t) ? cast_array_text : cast_enum_text;
            fn_eval from_text = type_is_array(t) ? cast_text_array : cast_text_enum;
            enum_casts[t - T_ENUMS][i][0] = (struct cast){(uint8_t)t, (uint8_t)text, CAST_ASSIGNMENT,
                                                          arrays ? cast_array_elements : to_text};
            enum_casts[t - T_ENUMS][i][1] = (struct cast){(uint8_t)text, (uint8_t)t, CAST_EXPLICIT,
                                                          arrays ? cast_array_elements : from_text};
        }
}

static const struct cast *enum_cast(enum type_id from, enum type_id to)
{
    enum type_id enum_type = from >= T_ENUMS ? from : to, text = from >= T_ENUMS ? to : from;
    if (type_is_array(text) && !type_is_array(enum_type))
        return NULL;
    for (size_t i = 0; i < ARRAY_COUNT(texts_and_arrays); i++)
        if (text == texts_and_arrays[i])
            return &enum_casts[enum_type - T_ENUMS][i][from >= T_ENUMS ? 0 : 1];
    return NULL;
}

static void cast_matrix_build(void)
{
    enum_casts_build();
    for (size_t i = 0; i < ARRAY_COUNT(casts); i++) {
        ASSERT(!cast_matrix[casts[i].from][casts[i].to]);
        cast_matrix[casts[i].from][casts[i].to] = &casts[i];
    }
    cast_matrix_arrays();
}

const struct cast *cast_find(enum type_id from, enum type_id to)
{
    ASSERT((unsigned)from < T_ID_END && (unsigned)to < T_ID_END);
    if (from == T_RECORD || from == T_RECORD_ARRAY || to == T_RECORD || to == T_RECORD_ARRAY)
        return NULL;
    pthread_once(&cast_matrix_once, cast_matrix_build);
    if (from >= T_ENUMS || to >= T_ENUMS)
        return enum_cast(from, to);
    ASSERT((unsigned)from < T_COUNT && (unsigned)to < T_COUNT);
    return cast_matrix[from][to];
}

uint32_t cast_count(void)
{
    return ARRAY_COUNT(casts);
}

const struct cast *cast_at(uint32_t i)
{
    ASSERT(i < ARRAY_COUNT(casts));
    return &casts[i];
}
