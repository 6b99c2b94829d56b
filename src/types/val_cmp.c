/* SQL order of two values of one type, for sorting, min and max, and tests of the key codec. */
#include "types/array.h"
#include "types/datetime.h"
#include "types/inet.h"
#include "types/json.h"
#include "types/numeric.h"
#include "types/range.h"
#include <math.h>
#include <string.h>

static int cmp_float(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (int)isnan(a) - (int)isnan(b);
    return (a > b) - (a < b);
}

static int cmp_bytes(const struct str *a, const struct str *b, bool blanks_count)
{
    uint32_t a_len = a->len, b_len = b->len;
    while (!blanks_count && a_len > 0 && a->p[a_len - 1] == ' ')
        a_len--;
    while (!blanks_count && b_len > 0 && b->p[b_len - 1] == ' ')
        b_len--;
    uint32_t common = a_len < b_len ? a_len : b_len;
    int r = common ? memcmp(a->p, b->p, common) : 0;
    return r ? (r > 0) - (r < 0) : (a_len > b_len) - (a_len < b_len);
}

static int cmp_interval(const struct interval *a, const struct interval *b)
{
    __int128 x = interval_span(a), y = interval_span(b);
    return (x > y) - (x < y);
}

int val_cmp(enum type_id t, const union val *a, const union val *b)
{
    if (type_is_array(t))
        return array_cmp(type_element(t), &a->s, &b->s);
    if (type_is_enum(t))
        return cmp_bytes(&a->s, &b->s, true);
    if (type_is_range(t) || type_is_multirange(t))
        return range_val_cmp(t, &a->s, &b->s);
    switch (t) {
    case T_BOOL:
    case T_INT2:
    case T_INT4:
    case T_INT8:
    case T_DATE:
    case T_TIME:
    case T_TIMESTAMP:
    case T_MACADDR:
    case T_TIMESTAMPTZ: return (a->i > b->i) - (a->i < b->i);
    case T_FLOAT4:
    case T_FLOAT8: return cmp_float(a->f, b->f);
    case T_NUMERIC: return num_cmp(&a->n, &b->n);
    case T_BPCHAR: return cmp_bytes(&a->s, &b->s, false);
    case T_TEXT:
    case T_VARCHAR:
    case T_BYTEA:
    case T_RECORD:
    case T_UNKNOWN: return cmp_bytes(&a->s, &b->s, true);
    case T_JSONB: return jsonb_key_cmp(&a->s, &b->s);
    case T_TIMETZ: {
        int64_t x = timetz_rank(&a->iv), y = timetz_rank(&b->iv);
        return (x > y) - (x < y);
    }
    case T_INET:
    case T_CIDR: return inet_cmp(&a->s, &b->s);
    case T_CITEXT: return citext_cmp(&a->s, &b->s);
    case T_INTERVAL: return cmp_interval(&a->iv, &b->iv);
    case T_UUID: return memcmp(a->uuid, b->uuid, sizeof a->uuid);
    case T_JSON:
    default: break;
    }
    PANIC("type %s has no order", type_info(t)->name);
}
