/* Comparison operators of bool, numbers, strings and bytea. (Date, json and uuid types bring their own.)
 *
 * One comparison per representation, six operators made from each; integers of all widths share theirs, as do
 * float4 and float8. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/numeric.h"
#include <math.h>

/* NaN equals NaN and is above everything. */
static inline int cmp_float(const union val *a, const union val *b)
{
    if (UNLIKELY(isnan(a->f) || isnan(b->f)))
        return (int)isnan(a->f) - (int)isnan(b->f);
    return (a->f > b->f) - (a->f < b->f);
}
static inline int cmp_num(const union val *a, const union val *b)
{
    return num_cmp(&a->n, &b->n);
}
static inline int cmp_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    uint32_t common = a_len < b_len ? a_len : b_len;
    int r = common ? memcmp(a, b, common) : 0;
    return r ? r : (a_len > b_len) - (a_len < b_len);
}
static inline int cmp_str(const union val *a, const union val *b)
{
    return cmp_bytes(a->s.p, a->s.len, b->s.p, b->s.len);
}
static uint32_t bpchar_len(const struct str *s)
{
    uint32_t n = s->len;
    while (n > 0 && s->p[n - 1] == ' ')
        n--;
    return n;
}
static inline int cmp_bpchar(const union val *a, const union val *b)
{
    return cmp_bytes(a->s.p, bpchar_len(&a->s), b->s.p, bpchar_len(&b->s));
}

#define COMPARE_KERNEL(kind, op, test)                                                              \
    KERNEL(kind##_##op)                                                                             \
    {                                                                                               \
        int r = cmp_##kind(&args[0], &args[1]);                                                     \
        return ret_int(out, test);                                                                  \
    }                                                                                               \
    static void kind##_##op##_vec(struct fn_ctx *ctx KERNEL_UNUSED, uint32_t n, const union val *a, \
                                  const union val *b, union val *out, uint8_t *state)               \
    {                                                                                               \
        for (uint32_t i = 0; i < n; i++) {                                                          \
            if (UNLIKELY(state[i] != VAL_OK))                                                       \
                continue;                                                                           \
            int r = cmp_##kind(&a[i], &b[i]);                                                       \
            out[i].i = test;                                                                        \
        }                                                                                           \
    }
#define COMPARE_KERNELS(kind)        \
    COMPARE_KERNEL(kind, lt, r < 0)  \
    COMPARE_KERNEL(kind, le, r <= 0) \
    COMPARE_KERNEL(kind, gt, r > 0)  \
    COMPARE_KERNEL(kind, ge, r >= 0)
COMPARE_KERNELS(float)
COMPARE_KERNEL(float, eq, r == 0)
COMPARE_KERNEL(float, ne, r != 0)
COMPARE_KERNELS(num)
COMPARE_KERNEL(num, eq, r == 0)
COMPARE_KERNEL(num, ne, r != 0)
COMPARE_KERNELS(bpchar)
COMPARE_KERNEL(bpchar, eq, r == 0)
COMPARE_KERNEL(bpchar, ne, r != 0)
COMPARE_KERNELS(str)

/* Integers compare without a branch: every row, whatever its state. */
#define INT_KERNEL(op, sym)                                                                      \
    KERNEL(int_##op)                                                                             \
    {                                                                                            \
        return ret_int(out, args[0].i sym args[1].i);                                            \
    }                                                                                            \
    static void int_##op##_vec(struct fn_ctx *ctx KERNEL_UNUSED, uint32_t n, const union val *a, \
                               const union val *b, union val *out, uint8_t *state KERNEL_UNUSED) \
    {                                                                                            \
        for (uint32_t i = 0; i < n; i++)                                                         \
            out[i].i = a[i].i sym b[i].i;                                                        \
    }
INT_KERNEL(eq, ==)
INT_KERNEL(ne, !=)
INT_KERNEL(lt, <)
INT_KERNEL(le, <=)
INT_KERNEL(gt, >)
INT_KERNEL(ge, >=)

/* Equality of strings looks at the lengths first: most differ there. */
static inline bool same_str(const union val *a, const union val *b)
{
    return a->s.len == b->s.len && (a->s.len == 0 || memcmp(a->s.p, b->s.p, a->s.len) == 0);
}
#define STR_KERNEL(op, sym)                                                                      \
    KERNEL(str_##op)                                                                             \
    {                                                                                            \
        return ret_int(out, sym same_str(&args[0], &args[1]));                                   \
    }                                                                                            \
    static void str_##op##_vec(struct fn_ctx *ctx KERNEL_UNUSED, uint32_t n, const union val *a, \
                               const union val *b, union val *out, uint8_t *state)               \
    {                                                                                            \
        for (uint32_t i = 0; i < n; i++)                                                         \
            if (LIKELY(state[i] == VAL_OK))                                                      \
                out[i].i = sym same_str(&a[i], &b[i]);                                           \
    }
STR_KERNEL(eq, !!)
STR_KERNEL(ne, !)

#define SIX(kind, ta, tb)                                                                                    \
    OP2("=", ta, tb, T_BOOL, kind##_eq, kind##_eq_vec), OP2("<>", ta, tb, T_BOOL, kind##_ne, kind##_ne_vec), \
        OP2("<", ta, tb, T_BOOL, kind##_lt, kind##_lt_vec),                                                  \
        OP2("<=", ta, tb, T_BOOL, kind##_le, kind##_le_vec),                                                 \
        OP2(">", ta, tb, T_BOOL, kind##_gt, kind##_gt_vec),                                                  \
        OP2(">=", ta, tb, T_BOOL, kind##_ge, kind##_ge_vec)

static const struct fn rows[] = {
    SIX(int, T_INT4, T_INT4),        SIX(int, T_INT8, T_INT8),       SIX(int, T_INT2, T_INT2),
    SIX(int, T_INT2, T_INT4),        SIX(int, T_INT2, T_INT8),       SIX(int, T_INT4, T_INT2),
    SIX(int, T_INT4, T_INT8),        SIX(int, T_INT8, T_INT2),       SIX(int, T_INT8, T_INT4),
    SIX(float, T_FLOAT8, T_FLOAT8),  SIX(float, T_FLOAT4, T_FLOAT4), SIX(float, T_FLOAT4, T_FLOAT8),
    SIX(float, T_FLOAT8, T_FLOAT4),  SIX(num, T_NUMERIC, T_NUMERIC), SIX(str, T_TEXT, T_TEXT),
    SIX(bpchar, T_BPCHAR, T_BPCHAR), SIX(str, T_BYTEA, T_BYTEA),     SIX(int, T_BOOL, T_BOOL),
};
const struct fn_list fn_compare = {rows, ARRAY_COUNT(rows)};
