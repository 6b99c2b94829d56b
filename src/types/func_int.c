/* Integer arithmetic and bit operators, for every combination of widths that PostgreSQL has.
 *
 * All widths live in 64 bits (union val), so one kernel per result width does for int2+int4 and int4+int4 alike:
 * compute in 64 bits, then check the range of the result's type. */
#include "types/func_kernel.h"
#include "types/func_sections.h"

static bool out_of_range(struct fn_ctx *ctx, enum type_id t)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "%s out of range", type_info(t)->name);
}

static bool ret_checked(struct fn_ctx *ctx, enum type_id t, int64_t v, union val *out)
{
    int64_t limit = t == T_INT2 ? INT16_MAX : t == T_INT4 ? INT32_MAX : INT64_MAX;
    if (UNLIKELY(v > limit || v < -limit - 1))
        return out_of_range(ctx, t);
    return ret_int(out, v);
}

/* One kernel per result width; the 64-bit operation reports its own overflow. */
#define INT_KERNELS(op, builtin)                                                                    \
    static bool int_##op(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out) \
    {                                                                                               \
        int64_t r;                                                                                  \
        if (UNLIKELY(builtin(args[0].i, args[1].i, &r)))                                            \
            return out_of_range(ctx, t);                                                            \
        return ret_checked(ctx, t, r, out);                                                         \
    }                                                                                               \
    INT_WIDTHS(op)
#define INT_WIDTHS(op)                           \
    KERNEL(int2_##op)                            \
    {                                            \
        return int_##op(ctx, T_INT2, args, out); \
    }                                            \
    KERNEL(int4_##op)                            \
    {                                            \
        return int_##op(ctx, T_INT4, args, out); \
    }                                            \
    KERNEL(int8_##op)                            \
    {                                            \
        return int_##op(ctx, T_INT8, args, out); \
    }

INT_KERNELS(add, __builtin_add_overflow)
INT_KERNELS(sub, __builtin_sub_overflow)
INT_KERNELS(mul, __builtin_mul_overflow)

static bool int_div(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out)
{
    if (UNLIKELY(args[1].i == 0))
        return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
    if (UNLIKELY(args[0].i == INT64_MIN && args[1].i == -1))
        return out_of_range(ctx, t);
    return ret_checked(ctx, t, args[0].i / args[1].i, out);
}
INT_WIDTHS(div)

KERNEL(int_mod)
{
    if (UNLIKELY(args[1].i == 0))
        return fn_fail(ctx, FN_DIVISION_BY_ZERO, "division by zero");
    return ret_int(out, args[1].i == -1 ? 0 : args[0].i % args[1].i);
}

static bool int_neg(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out)
{
    if (UNLIKELY(args[0].i == INT64_MIN))
        return out_of_range(ctx, t);
    return ret_checked(ctx, t, -args[0].i, out);
}
INT_WIDTHS(neg)

static bool int_abs(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out)
{
    return args[0].i < 0 ? int_neg(ctx, t, args, out) : ret_int(out, args[0].i);
}
INT_WIDTHS(abs)

KERNEL(int_plus)
{
    return ret_int(out, args[0].i);
}
KERNEL(int_and)
{
    return ret_int(out, args[0].i & args[1].i);
}
KERNEL(int_or)
{
    return ret_int(out, args[0].i | args[1].i);
}
KERNEL(int_xor)
{
    return ret_int(out, args[0].i ^ args[1].i);
}
KERNEL(int_not)
{
    return ret_int(out, ~args[0].i);
}
/* Shifts take their count modulo the register's width, as the machines PostgreSQL runs on do. */
KERNEL(int2_shl)
{
    return ret_int(out, (int16_t)((uint32_t)args[0].i << (args[1].i & 31)));
}
KERNEL(int4_shl)
{
    return ret_int(out, (int32_t)((uint32_t)args[0].i << (args[1].i & 31)));
}
KERNEL(int8_shl)
{
    return ret_int(out, (int64_t)((uint64_t)args[0].i << (args[1].i & 63)));
}
KERNEL(int4_shr)
{
    return ret_int(out, args[0].i >> (args[1].i & 31));
}
KERNEL(int8_shr)
{
    return ret_int(out, args[0].i >> (args[1].i & 63));
}

static uint64_t gcd_u64(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}
static uint64_t magnitude(int64_t v)
{
    return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

static bool int_gcd(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out)
{
    uint64_t g = gcd_u64(magnitude(args[0].i), magnitude(args[1].i));
    if (g > INT64_MAX)
        return out_of_range(ctx, t);
    return ret_checked(ctx, t, (int64_t)g, out);
}

static bool int_lcm(struct fn_ctx *ctx, enum type_id t, const union val *args, union val *out)
{
    uint64_t a = magnitude(args[0].i), b = magnitude(args[1].i), r;
    if (a == 0 || b == 0)
        return ret_int(out, 0);
    if (__builtin_mul_overflow(a / gcd_u64(a, b), b, &r) || r > INT64_MAX)
        return out_of_range(ctx, t);
    return ret_checked(ctx, t, (int64_t)r, out);
}
KERNEL(int4_gcd)
{
    return int_gcd(ctx, T_INT4, args, out);
}
KERNEL(int8_gcd)
{
    return int_gcd(ctx, T_INT8, args, out);
}
KERNEL(int4_lcm)
{
    return int_lcm(ctx, T_INT4, args, out);
}
KERNEL(int8_lcm)
{
    return int_lcm(ctx, T_INT8, args, out);
}

static void hex_text(struct fn_ctx *ctx, uint64_t v, union val *out)
{
    char *end = (char *)arena_alloc(ctx->arena, 16) + 16, *p = end;
    do {
        *--p = "0123456789abcdef"[v & 15];
        v >>= 4;
    } while (v);
    ret_str(out, p, (size_t)(end - p));
}
KERNEL(int4_to_hex)
{
    hex_text(ctx, (uint32_t)args[0].i, out);
    return true;
}
KERNEL(int8_to_hex)
{
    hex_text(ctx, (uint64_t)args[0].i, out);
    return true;
}

/* Vector kernels: compute every row without a branch and look whether any failed; rows that are not VAL_OK are
 * computed too (their bits are whatever they are) and never looked at. */
#define INT_VEC(name, op, scalar)                                                                            \
    static void name(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b, union val *out, \
                     uint8_t *state)                                                                         \
    {                                                                                                        \
        unsigned bad = 0;                                                                                    \
        for (uint32_t i = 0; i < n; i++) {                                                                   \
            int64_t r;                                                                                       \
            bool over = op(a[i].i, b[i].i, &r);                                                              \
            out[i].i = r;                                                                                    \
            bad |= (unsigned)(over & (state[i] == VAL_OK));                                                  \
        }                                                                                                    \
        if (UNLIKELY(bad))                                                                                   \
            vec_again(ctx, n, a, b, out, state, scalar);                                                     \
    }

/* The slow second pass: row by row through the scalar kernel, to mark the rows that fail. */
static void vec_again(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b, union val *out,
                      uint8_t *state, fn_eval scalar)
{
    for (uint32_t i = 0; i < n; i++) {
        bool is_null = false;
        if (state[i] == VAL_OK && !scalar(ctx, (union val[2]){a[i], b[i]}, NULL, 2, &out[i], &is_null))
            state[i] = VAL_ERROR;
    }
}
static inline bool narrow_add(int64_t a, int64_t b, int64_t *r)
{
    int32_t r32;
    bool over = __builtin_add_overflow((int32_t)a, (int32_t)b, &r32);
    *r = r32;
    return over;
}
static inline bool narrow_sub(int64_t a, int64_t b, int64_t *r)
{
    int32_t r32;
    bool over = __builtin_sub_overflow((int32_t)a, (int32_t)b, &r32);
    *r = r32;
    return over;
}
static inline bool narrow_mul(int64_t a, int64_t b, int64_t *r)
{
    int32_t r32;
    bool over = __builtin_mul_overflow((int32_t)a, (int32_t)b, &r32);
    *r = r32;
    return over;
}
INT_VEC(int4_add_vec, narrow_add, int4_add)
INT_VEC(int4_sub_vec, narrow_sub, int4_sub)
INT_VEC(int4_mul_vec, narrow_mul, int4_mul)
INT_VEC(int8_add_vec, __builtin_add_overflow, int8_add)
INT_VEC(int8_sub_vec, __builtin_sub_overflow, int8_sub)
INT_VEC(int8_mul_vec, __builtin_mul_overflow, int8_mul)

/* int2 with int2 gives int2, anything with int8 gives int8, else int4. */
#define ARITH(sym, op, vec4, vec8)                                                                        \
    OP2(sym, T_INT2, T_INT2, T_INT2, int2_##op, NULL), OP2(sym, T_INT2, T_INT4, T_INT4, int4_##op, vec4), \
        OP2(sym, T_INT2, T_INT8, T_INT8, int8_##op, vec8),                                                \
        OP2(sym, T_INT4, T_INT2, T_INT4, int4_##op, vec4),                                                \
        OP2(sym, T_INT4, T_INT4, T_INT4, int4_##op, vec4),                                                \
        OP2(sym, T_INT4, T_INT8, T_INT8, int8_##op, vec8),                                                \
        OP2(sym, T_INT8, T_INT2, T_INT8, int8_##op, vec8),                                                \
        OP2(sym, T_INT8, T_INT4, T_INT8, int8_##op, vec8), OP2(sym, T_INT8, T_INT8, T_INT8, int8_##op, vec8)
#define SAME(sym, k)                                                                      \
    OP2(sym, T_INT2, T_INT2, T_INT2, k, NULL), OP2(sym, T_INT4, T_INT4, T_INT4, k, NULL), \
        OP2(sym, T_INT8, T_INT8, T_INT8, k, NULL)
#define PREFIX(sym, k2, k4, k8) \
    OP1(sym, T_INT2, T_INT2, k2), OP1(sym, T_INT4, T_INT4, k4), OP1(sym, T_INT8, T_INT8, k8)

static const struct fn rows[] = {
    ARITH("+", add, int4_add_vec, int8_add_vec),
    ARITH("-", sub, int4_sub_vec, int8_sub_vec),
    ARITH("*", mul, int4_mul_vec, int8_mul_vec),
    ARITH("/", div, NULL, NULL),
    SAME("%", int_mod),
    SAME("&", int_and),
    SAME("|", int_or),
    SAME("#", int_xor),
    OP2("<<", T_INT2, T_INT4, T_INT2, int2_shl, NULL),
    OP2("<<", T_INT4, T_INT4, T_INT4, int4_shl, NULL),
    OP2("<<", T_INT8, T_INT4, T_INT8, int8_shl, NULL),
    OP2(">>", T_INT2, T_INT4, T_INT2, int4_shr, NULL),
    OP2(">>", T_INT4, T_INT4, T_INT4, int4_shr, NULL),
    OP2(">>", T_INT8, T_INT4, T_INT8, int8_shr, NULL),
    PREFIX("+", int_plus, int_plus, int_plus),
    PREFIX("-", int2_neg, int4_neg, int8_neg),
    PREFIX("@", int2_abs, int4_abs, int8_abs),
    PREFIX("~", int_not, int_not, int_not),
    FN1("abs", T_INT2, T_INT2, int2_abs, "Absolute value"),
    FN1("abs", T_INT4, T_INT4, int4_abs, "Absolute value"),
    FN1("abs", T_INT8, T_INT8, int8_abs, "Absolute value"),
    FN2("mod", T_INT2, T_INT2, T_INT2, int_mod, "Remainder, with the sign of the dividend"),
    FN2("mod", T_INT4, T_INT4, T_INT4, int_mod, "Remainder, with the sign of the dividend"),
    FN2("mod", T_INT8, T_INT8, T_INT8, int_mod, "Remainder, with the sign of the dividend"),
    FN2("gcd", T_INT4, T_INT4, T_INT4, int4_gcd, "Greatest common divisor"),
    FN2("gcd", T_INT8, T_INT8, T_INT8, int8_gcd, "Greatest common divisor"),
    FN2("lcm", T_INT4, T_INT4, T_INT4, int4_lcm, "Least common multiple"),
    FN2("lcm", T_INT8, T_INT8, T_INT8, int8_lcm, "Least common multiple"),
    FN1("to_hex", T_INT4, T_TEXT, int4_to_hex, "Hexadecimal digits of the two's complement"),
    FN1("to_hex", T_INT8, T_TEXT, int8_to_hex, "Hexadecimal digits of the two's complement"),
};
const struct fn_list fn_int = {rows, ARRAY_COUNT(rows)};
