/* Functions and operators of inet, cidr and macaddr, as PostgreSQL's network.c and mac.c. */
#include "types/func_kernel.h"
#include "types/func_sections.h"
#include "types/inet.h"
#include "types/json_impl.h"
#include "types/text_io.h"
#include <stdio.h>

#define COMPARE(op, test)                         \
    KERNEL(inet_##op)                             \
    {                                             \
        int r = inet_cmp(&args[0].s, &args[1].s); \
        return ret_int(out, test);                \
    }
COMPARE(eq, r == 0)
COMPARE(ne, r != 0)
COMPARE(lt, r < 0)
COMPARE(le, r <= 0)
COMPARE(gt, r > 0)
COMPARE(ge, r >= 0)

static bool ret_inet(struct fn_ctx *ctx, const struct inet *a, union val *out)
{
    out->s = inet_encode(ctx->arena, a);
    return true;
}

static void decode_two(const union val *args, struct inet *a, struct inet *b)
{
    inet_decode(&args[0].s, a);
    inet_decode(&args[1].s, b);
}

/* ---- containment: the network part of `outer` begins that of `inner` ---- */

static bool lies_in(const struct inet *inner, const struct inet *outer, bool or_equal)
{
    return inner->family == outer->family && inner->bits >= outer->bits + !or_equal &&
           inet_bits_cmp(inner->addr, outer->addr, outer->bits) == 0;
}
#define CONTAINS(name, inner, outer, or_equal)                  \
    KERNEL(name)                                                \
    {                                                           \
        struct inet a, b;                                       \
        decode_two(args, &a, &b);                               \
        return ret_int(out, lies_in(&inner, &outer, or_equal)); \
    }
CONTAINS(inet_sub, a, b, false)
CONTAINS(inet_sub_eq, a, b, true)
CONTAINS(inet_sup, b, a, false)
CONTAINS(inet_sup_eq, b, a, true)
KERNEL(inet_overlap)
{
    struct inet a, b;
    decode_two(args, &a, &b);
    return ret_int(out, lies_in(&a, &b, true) || lies_in(&b, &a, true));
}

/* ---- bits and sums ---- */

KERNEL(inet_not)
{
    struct inet a;
    inet_decode(&args[0].s, &a);
    for (uint32_t i = 0; i < inet_addr_bytes(&a); i++)
        a.addr[i] = (uint8_t)~a.addr[i];
    return ret_inet(ctx, &a, out);
}

static bool combine(struct fn_ctx *ctx, const union val *args, bool is_and, union val *out)
{
    struct inet a, b;
    decode_two(args, &a, &b);
    if (a.family != b.family)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot %s inet values of different sizes",
                       is_and ? "AND" : "OR");
    for (uint32_t i = 0; i < inet_addr_bytes(&a); i++)
        a.addr[i] = is_and ? a.addr[i] & b.addr[i] : a.addr[i] | b.addr[i];
    a.bits = a.bits > b.bits ? a.bits : b.bits;
    return ret_inet(ctx, &a, out);
}
KERNEL(inet_and)
{
    return combine(ctx, args, true, out);
}
KERNEL(inet_or)
{
    return combine(ctx, args, false, out);
}

static bool result_out_of_range(struct fn_ctx *ctx)
{
    return fn_fail(ctx, FN_OUT_OF_RANGE, "result is out of range");
}

/* Bytewise from the right; what is left over must be nothing, or a borrow that the carry makes good. */
static bool add(struct fn_ctx *ctx, const struct str *s, int64_t addend, union val *out)
{
    struct inet a;
    int carry = 0;
    inet_decode(s, &a);
    for (uint32_t i = inet_addr_bytes(&a); i-- > 0; addend >>= 8) {
        carry += a.addr[i] + (int)(addend & 0xff);
        a.addr[i] = (uint8_t)carry;
        carry >>= 8;
    }
    if (!(addend == 0 && carry == 0) && !(addend == -1 && carry == 1))
        return result_out_of_range(ctx);
    return ret_inet(ctx, &a, out);
}
KERNEL(inet_pl_int)
{
    return add(ctx, &args[0].s, args[1].i, out);
}
KERNEL(int_pl_inet)
{
    return add(ctx, &args[1].s, args[0].i, out);
}
KERNEL(inet_mi_int)
{
    return add(ctx, &args[0].s, (int64_t) - (uint64_t)args[1].i, out);
}

KERNEL(inet_mi_inet)
{
    struct inet a, b;
    int carry = 1;
    uint64_t sum = 0;
    decode_two(args, &a, &b);
    if (a.family != b.family)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot subtract inet values of different sizes");
    uint32_t bytes = inet_addr_bytes(&a);
    for (uint32_t k = 0; k < bytes; k++) {
        carry += a.addr[bytes - 1 - k] + (uint8_t)~b.addr[bytes - 1 - k];
        uint8_t low = (uint8_t)carry;
        if (k < 8)
            sum |= (uint64_t)low << (8 * k);
        else if (low != ((int64_t)sum < 0 ? 0xff : 0))
            return result_out_of_range(ctx);
        carry >>= 8;
    }
    if (carry == 0 && bytes < 8)
        sum |= ~UINT64_C(0) << (8 * bytes);
    return ret_int(out, (int64_t)sum);
}

/* ---- parts ---- */

static bool ret_text(struct fn_ctx *ctx, const char *text, union val *out)
{
    size_t n = strlen(text);
    return ret_str(out, arena_memdup(ctx->arena, text, n), n);
}
KERNEL(inet_abbrev)
{
    out->s = output_inet(ctx, &args[0]);
    return true;
}
KERNEL(cidr_abbrev)
{
    struct inet a;
    char text[INET_TEXT_MAX];
    inet_decode(&args[0].s, &a);
    inet_print_short(&a, text);
    return ret_text(ctx, text, out);
}
KERNEL(inet_host)
{
    struct inet a;
    char text[INET_TEXT_MAX];
    inet_decode(&args[0].s, &a);
    a.bits = (uint8_t)inet_bits_max(&a);
    inet_print(&a, text);
    return ret_text(ctx, text, out);
}
KERNEL(inet_text)
{
    out->s = output_cidr(ctx, &args[0]);
    return true;
}
KERNEL(inet_masklen)
{
    return ret_int(out, args[0].s.p[1]);
}
KERNEL(inet_family)
{
    return ret_int(out, args[0].s.p[0]);
}

/* The address with its bits behind the network part set to 1 or to 0. */
static struct inet filled(const struct str *s, bool ones)
{
    struct inet a;
    inet_decode(s, &a);
    for (int i = a.bits; ones && i < inet_bits_max(&a); i++)
        a.addr[i / 8] |= (uint8_t)(0x80 >> i % 8);
    if (!ones)
        inet_clear_host(&a);
    return a;
}
KERNEL(inet_broadcast)
{
    struct inet a = filled(&args[0].s, true);
    return ret_inet(ctx, &a, out);
}
bool cast_inet_cidr(KERNEL_ARGS) /* also network() */
{
    struct inet a = filled(&args[0].s, false);
    return ret_inet(ctx, &a, out);
}

static bool mask(struct fn_ctx *ctx, const struct str *s, bool of_host, union val *out)
{
    struct inet a;
    inet_decode(s, &a);
    for (int i = 0; i < inet_bits_max(&a); i++) {
        uint8_t bit = (uint8_t)(0x80 >> i % 8);
        bool set = (i < a.bits) != of_host;
        a.addr[i / 8] = (uint8_t)(set ? a.addr[i / 8] | bit : a.addr[i / 8] & ~bit);
    }
    a.bits = (uint8_t)inet_bits_max(&a);
    return ret_inet(ctx, &a, out);
}
KERNEL(inet_netmask)
{
    return mask(ctx, &args[0].s, false, out);
}
KERNEL(inet_hostmask)
{
    return mask(ctx, &args[0].s, true, out);
}

static bool set_masklen(struct fn_ctx *ctx, const union val *args, bool is_cidr, union val *out)
{
    struct inet a;
    inet_decode(&args[0].s, &a);
    int64_t bits = args[1].i == -1 ? inet_bits_max(&a) : args[1].i;
    if (bits < 0 || bits > inet_bits_max(&a))
        return fn_fail(ctx, FN_BAD_ARGUMENT, "invalid mask length: %d", (int)bits);
    a.bits = (uint8_t)bits;
    if (is_cidr)
        inet_clear_host(&a);
    return ret_inet(ctx, &a, out);
}
KERNEL(inet_set_masklen)
{
    return set_masklen(ctx, args, false, out);
}
KERNEL(cidr_set_masklen)
{
    return set_masklen(ctx, args, true, out);
}

KERNEL(inet_same_family)
{
    return ret_int(out, args[0].s.p[0] == args[1].s.p[0]);
}
KERNEL(inet_merge)
{
    struct inet a, b;
    decode_two(args, &a, &b);
    if (a.family != b.family)
        return fn_fail(ctx, FN_BAD_ARGUMENT, "cannot merge addresses from different families");
    a.bits = (uint8_t)inet_bits_common(a.addr, b.addr, a.bits < b.bits ? a.bits : b.bits);
    inet_clear_host(&a);
    return ret_inet(ctx, &a, out);
}

/* ---- macaddr: 48 bits as an integer ---- */

bool input_macaddr(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out)
{
    static const char *const forms[] = {"%x:%x:%x:%x:%x:%x%1s",    "%x-%x-%x-%x-%x-%x%1s",
                                        "%2x%2x%2x:%2x%2x%2x%1s",  "%2x%2x%2x-%2x%2x%2x%1s",
                                        "%2x%2x.%2x%2x.%2x%2x%1s", "%2x%2x-%2x%2x-%2x%2x%1s",
                                        "%2x%2x%2x%2x%2x%2x%1s"};
    const char *copy = arena_strndup(ctx->arena, text, len);
    unsigned o[6];
    char rest[2];
    (void)t;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (sscanf(copy, forms[i], &o[0], &o[1], &o[2], &o[3], &o[4], &o[5], rest) != 6)
            continue;
        out->i = 0;
        for (int k = 0; k < 6; k++) {
            if (o[k] > 255)
                return fn_fail(ctx, FN_OUT_OF_RANGE, "invalid octet value in \"macaddr\" value: \"%s\"",
                               copy);
            out->i = out->i << 8 | o[k];
        }
        return true;
    }
    return fn_fail(ctx, FN_BAD_TEXT, "invalid input syntax for type macaddr: \"%s\"", copy);
}

struct str output_macaddr(struct fn_ctx *ctx, const union val *v)
{
    char text[18];
    union val out;
    for (int k = 0; k < 6; k++)
        sprintf(text + 3 * k, "%02x%s", (unsigned)(v->i >> (8 * (5 - k)) & 0xff), k < 5 ? ":" : "");
    ret_text(ctx, text, &out);
    return out.s;
}

#define MAC_BITS ((INT64_C(1) << 48) - 1)
#define MAC_KERNEL(name, result)     \
    KERNEL(mac_##name)               \
    {                                \
        return ret_int(out, result); \
    }
MAC_KERNEL(eq, args[0].i == args[1].i)
MAC_KERNEL(ne, args[0].i != args[1].i)
MAC_KERNEL(lt, args[0].i < args[1].i)
MAC_KERNEL(le, args[0].i <= args[1].i)
MAC_KERNEL(gt, args[0].i > args[1].i)
MAC_KERNEL(ge, args[0].i >= args[1].i)
MAC_KERNEL(and, args[0].i &args[1].i)
MAC_KERNEL(or, args[0].i | args[1].i)
MAC_KERNEL(not, ~args[0].i &MAC_BITS)
MAC_KERNEL(trunc, args[0].i & ~INT64_C(0xffffff))

#define TO_JSON(name)                                   \
    KERNEL(name##_to_json)                              \
    {                                                   \
        struct str text = output_##name(ctx, &args[0]); \
        return ret_json_string(ctx, &text, out);        \
    }
TO_JSON(inet)
TO_JSON(cidr)
TO_JSON(macaddr)

#define I T_INET
#define M T_MACADDR
#define SIX(kind, t)                                                                       \
    OP2("=", t, t, T_BOOL, kind##_eq, NULL), OP2("<>", t, t, T_BOOL, kind##_ne, NULL),     \
        OP2("<", t, t, T_BOOL, kind##_lt, NULL), OP2("<=", t, t, T_BOOL, kind##_le, NULL), \
        OP2(">", t, t, T_BOOL, kind##_gt, NULL), OP2(">=", t, t, T_BOOL, kind##_ge, NULL)
#define JSON_ROWS(name, t) \
    FN1("to_json", t, T_JSON, name##_to_json, json_doc), FN1("to_jsonb", t, T_JSONB, name##_to_json, json_doc)

static const char json_doc[] = "the value as a json string",
                  masklen_doc[] = "with another length of the network part";

static const struct fn rows[] = {
    SIX(inet, I),
    SIX(mac, M),
    OP2("<<", I, I, T_BOOL, inet_sub, NULL),
    OP2("<<=", I, I, T_BOOL, inet_sub_eq, NULL),
    OP2(">>", I, I, T_BOOL, inet_sup, NULL),
    OP2(">>=", I, I, T_BOOL, inet_sup_eq, NULL),
    OP2("&&", I, I, T_BOOL, inet_overlap, NULL),
    OP1("~", I, I, inet_not),
    OP2("&", I, I, I, inet_and, NULL),
    OP2("|", I, I, I, inet_or, NULL),
    OP2("+", I, T_INT8, I, inet_pl_int, NULL),
    OP2("+", T_INT8, I, I, int_pl_inet, NULL),
    OP2("-", I, T_INT8, I, inet_mi_int, NULL),
    OP2("-", I, I, T_INT8, inet_mi_inet, NULL),
    OP1("~", M, M, mac_not),
    OP2("&", M, M, M, mac_and, NULL),
    OP2("|", M, M, M, mac_or, NULL),
    FN1("trunc", M, M, mac_trunc, "with the last three bytes 0"),
    FN1("abbrev", I, T_TEXT, inet_abbrev, "as text"),
    FN1("abbrev", T_CIDR, T_TEXT, cidr_abbrev, "as text, without bytes that the network part does not reach"),
    FN1("broadcast", I, I, inet_broadcast, "the network's last address"),
    FN1("family", I, T_INT4, inet_family, "4 or 6"),
    FN1("host", I, T_TEXT, inet_host, "the address without the length"),
    FN1("hostmask", I, I, inet_hostmask, "1 where the network part does not reach"),
    FN1("masklen", I, T_INT4, inet_masklen, "bits of the network part"),
    FN1("netmask", I, I, inet_netmask, "1 where the network part reaches"),
    FN1("network", I, T_CIDR, cast_inet_cidr, "the network part"),
    FN2("set_masklen", I, T_INT4, I, inet_set_masklen, masklen_doc),
    FN2("set_masklen", T_CIDR, T_INT4, T_CIDR, cidr_set_masklen, masklen_doc),
    FN1("text", I, T_TEXT, inet_text, "address and length"),
    FN2("inet_same_family", I, I, T_BOOL, inet_same_family, "Are both of IPv4 or both of IPv6?"),
    FN2("inet_merge", I, I, T_CIDR, inet_merge, "the smallest network that holds both"),
    JSON_ROWS(inet, I),
    JSON_ROWS(cidr, T_CIDR),
    JSON_ROWS(macaddr, M),
};
const struct fn_list fn_inet = {rows, ARRAY_COUNT(rows)};
