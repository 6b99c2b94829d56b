/* Enums: comparisons, and enum_first, enum_last and enum_range, which look at the type of their argument. */
#include "types/array.h"
#include "types/enum_type.h"
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/json_impl.h"

static inline int cmp_enum(const union val *a, const union val *b)
{
    return val_cmp(T_ENUMS, a, b);
}

#define COMPARE(op, test)                     \
    KERNEL(enum_##op)                         \
    {                                         \
        int r = cmp_enum(&args[0], &args[1]); \
        return ret_int(out, test);            \
    }
COMPARE(eq, r == 0)
COMPARE(ne, r != 0)
COMPARE(lt, r < 0)
COMPARE(le, r <= 0)
COMPARE(gt, r > 0)
COMPARE(ge, r >= 0)

static const struct enum_def *argument_def(const struct fn_ctx *ctx)
{
    return enum_type_def((enum type_id)ctx->types[1]);
}

static bool no_labels(struct fn_ctx *ctx, const struct enum_def *def)
{
    return fn_fail(ctx, FN_BAD_STATE, "enum %s contains no values", strchr(def->name, '.') + 1);
}

KERNEL(enum_first)
{
    const struct enum_def *def = argument_def(ctx);
    if (def->desc.count == 0)
        return no_labels(ctx, def);
    out->s = def->values[0];
    return true;
}

KERNEL(enum_last)
{
    const struct enum_def *def = argument_def(ctx);
    if (def->desc.count == 0)
        return no_labels(ctx, def);
    out->s = def->values[def->desc.count - 1];
    return true;
}

/* The labels from low to high, either may be NULL: open. */
static bool range(struct fn_ctx *ctx, const union val *low, const union val *high, union val *out)
{
    enum type_id element = (enum type_id)ctx->types[1];
    const struct enum_def *def = enum_type_def(element);
    struct array a = {0};
    for (uint32_t i = 0; i < def->desc.count; i++) {
        union val v = {.s = def->values[i]};
        if ((!low || cmp_enum(&v, low) >= 0) && (!high || cmp_enum(&v, high) <= 0))
            array_add(ctx->arena, &a, v, false);
    }
    array_set_flat(&a);
    out->s = array_encode(ctx->arena, element, &a);
    return true;
}

KERNEL(enum_range_all)
{
    return range(ctx, NULL, NULL, out);
}

KERNEL(enum_range_bounds)
{
    return range(ctx, null[0] ? NULL : &args[0], null[1] ? NULL : &args[1], out);
}

KERNEL(enum_to_json)
{
    struct str label = enum_value_label(args[0].s);
    return ret_json_string(ctx, &label, out);
}

#define LOOSE(name, count, result, k, text, ...)             \
    {                                                        \
        name, 0, count, {__VA_ARGS__}, result, k, NULL, text \
    }

static const char to_json_doc[] = "the label as a json string";
static const char range_doc[] =
    "the values of an enum type in their order, or those from the first to the second argument "
    "(NULL: no bound)";

static const struct fn rows[] = {
    OP2("=", T_ANYENUM, T_ANYENUM, T_BOOL, enum_eq, NULL),
    OP2("<>", T_ANYENUM, T_ANYENUM, T_BOOL, enum_ne, NULL),
    OP2("<", T_ANYENUM, T_ANYENUM, T_BOOL, enum_lt, NULL),
    OP2("<=", T_ANYENUM, T_ANYENUM, T_BOOL, enum_le, NULL),
    OP2(">", T_ANYENUM, T_ANYENUM, T_BOOL, enum_gt, NULL),
    OP2(">=", T_ANYENUM, T_ANYENUM, T_BOOL, enum_ge, NULL),
    FN1("to_json", T_ANYENUM, T_JSON, enum_to_json, to_json_doc),
    FN1("to_jsonb", T_ANYENUM, T_JSONB, enum_to_json, to_json_doc),
    LOOSE("enum_first", 1, T_ANYENUM, enum_first, "the first value of an enum type: `enum_first(NULL::mood)`",
          T_ANYENUM),
    LOOSE("enum_last", 1, T_ANYENUM, enum_last, "the last value of an enum type", T_ANYENUM),
    LOOSE("enum_range", 1, T_ANYARRAY, enum_range_all, range_doc, T_ANYENUM),
    LOOSE("enum_range", 2, T_ANYARRAY, enum_range_bounds, range_doc, T_ANYENUM, T_ANYENUM),
};
const struct fn_list fn_enum = {rows, ARRAY_COUNT(rows)};
