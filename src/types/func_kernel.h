/* Shorthand for the files of scalar kernels: the kernel's signature, and rows of the tables. */
#ifndef PENSTOCK_TYPES_FUNC_KERNEL_H
#define PENSTOCK_TYPES_FUNC_KERNEL_H

#include "types/func.h"
#include <string.h>

#define KERNEL_UNUSED __attribute__((unused))
/* Defines a kernel (see fn_eval): KERNEL(name) { ... return true; } */
#define KERNEL_ARGS                                                                                        \
    struct fn_ctx *ctx KERNEL_UNUSED, const union val *args KERNEL_UNUSED, const bool *null KERNEL_UNUSED, \
        uint32_t arg_count KERNEL_UNUSED, union val *out KERNEL_UNUSED, bool *out_null KERNEL_UNUSED
#define KERNEL(name) static bool name(KERNEL_ARGS)

/* Rows: operators op2 and op1 (prefix), functions with their argument types. */
#define OP2(sym, ta, tb, tr, k, vec)                                \
    {                                                               \
        sym, FN_STRICT | FN_OPERATOR, 2, {ta, tb}, tr, k, vec, NULL \
    }
#define OP1(sym, ta, tr, k)                                                  \
    {                                                                        \
        sym, FN_STRICT | FN_OPERATOR | FN_PREFIX, 1, {ta}, tr, k, NULL, NULL \
    }
#define FN0(fname, tr, k, text)                     \
    {                                               \
        fname, FN_STRICT, 0, {0}, tr, k, NULL, text \
    }
#define FN1(fname, ta, tr, k, text)                  \
    {                                                \
        fname, FN_STRICT, 1, {ta}, tr, k, NULL, text \
    }
#define FN2(fname, ta, tb, tr, k, text)                  \
    {                                                    \
        fname, FN_STRICT, 2, {ta, tb}, tr, k, NULL, text \
    }
#define FN3(fname, ta, tb, tc, tr, k, text)                  \
    {                                                        \
        fname, FN_STRICT, 3, {ta, tb, tc}, tr, k, NULL, text \
    }
#define FN4(fname, ta, tb, tc, td, tr, k, text)                  \
    {                                                            \
        fname, FN_STRICT, 4, {ta, tb, tc, td}, tr, k, NULL, text \
    }

static inline bool ret_int(union val *out, int64_t v)
{
    out->i = v;
    return true;
}
static inline bool ret_float(union val *out, double v)
{
    out->f = v;
    return true;
}
static inline bool ret_str(union val *out, const void *p, size_t len)
{
    out->s = (struct str){(const uint8_t *)p, (uint32_t)len, 0};
    return true;
}

#endif
