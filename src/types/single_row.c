/* What a scalar subquery is made of: its one value, and the check that there is not a second row. Rows of the
 * function and aggregate tables in form, but no SQL name finds them. */
#include "types/agg.h"
#include "types/func_kernel.h"

KERNEL(at_most_one_row)
{
    if (args[0].i > 1)
        return fn_fail(ctx, FN_TOO_MANY_ROWS,
                       "more than one row returned by a subquery used as an expression");
    out->i = 1;
    return true;
}

const struct fn *fn_at_most_one_row(void)
{
    static const struct fn row = FN1("at_most_one_row", T_INT8, T_BOOL, at_most_one_row, NULL);
    return &row;
}

/* Of a type, and of arrays of it. */
#define SINGLE_OF(t)                 \
    [t] = {.name = "single_value",   \
           .kind = AGG_SINGLE_VALUE, \
           .arg_count = 1,           \
           .arg = t,                 \
           .result = t,              \
           .ordered = true}
#define SINGLE(t) SINGLE_OF(t), SINGLE_OF(T_ARRAYS + (t))
const struct agg *agg_single_value(enum type_id type)
{
    static const struct agg rows[T_COUNT] = {
        SINGLE(T_BOOL),           SINGLE(T_INT2),          SINGLE(T_INT4),         SINGLE(T_INT8),
        SINGLE(T_FLOAT4),         SINGLE(T_FLOAT8),        SINGLE(T_NUMERIC),      SINGLE(T_TEXT),
        SINGLE(T_VARCHAR),        SINGLE(T_BPCHAR),        SINGLE(T_BYTEA),        SINGLE(T_DATE),
        SINGLE(T_TIME),           SINGLE(T_TIMESTAMP),     SINGLE(T_TIMESTAMPTZ),  SINGLE(T_INTERVAL),
        SINGLE(T_UUID),           SINGLE(T_JSON),          SINGLE(T_JSONB),        SINGLE(T_JSONPATH),
        SINGLE(T_CITEXT),         SINGLE(T_TIMETZ),        SINGLE(T_INET),         SINGLE(T_CIDR),
        SINGLE(T_MACADDR),        SINGLE(T_INT4RANGE),     SINGLE(T_INT8RANGE),    SINGLE(T_NUMRANGE),
        SINGLE(T_TSRANGE),        SINGLE(T_TSTZRANGE),     SINGLE(T_DATERANGE),    SINGLE(T_INT4MULTIRANGE),
        SINGLE(T_INT8MULTIRANGE), SINGLE(T_NUMMULTIRANGE), SINGLE(T_TSMULTIRANGE), SINGLE(T_TSTZMULTIRANGE),
        SINGLE(T_DATEMULTIRANGE),
    };
    static const struct agg of_other = {.name = "single_value",
                                        .kind = AGG_SINGLE_VALUE,
                                        .arg_count = 1,
                                        .arg = T_UNKNOWN,
                                        .result = T_UNKNOWN,
                                        .ordered = true};
    if (type >= T_COUNT)
        return &of_other;
    ASSERT((unsigned)type < T_COUNT && rows[type].name);
    return &rows[type];
}
