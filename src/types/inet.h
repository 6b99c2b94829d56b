/* inet and cidr values: one byte for the family (4 or 6), one for the length of the network part in bits, then the address in
 * network order (4 or 16 bytes). Text forms as PostgreSQL's network.c, inet_net_pton.c and inet_net_ntop.c. */
#ifndef PENSTOCK_TYPES_INET_H
#define PENSTOCK_TYPES_INET_H

#include "base/buf.h"
#include "types/func.h"

#define INET_ADDR_MAX 16
#define INET_TEXT_MAX 64

struct inet {
    uint8_t family; /* 4 or 6 */
    uint8_t bits;
    uint8_t addr[INET_ADDR_MAX]; /* what the family does not need is zero */
};
static inline uint32_t inet_addr_bytes(const struct inet *a)
{
    return a->family == 4 ? 4 : 16;
}
static inline int inet_bits_max(const struct inet *a)
{
    return a->family == 4 ? 32 : 128;
}
void inet_decode(const struct str *s, struct inet *out);
struct str inet_encode(struct arena *arena, const struct inet *a);
int inet_cmp(const struct str *a, const struct str *b);
/* Bytes whose order is inet_cmp's: family, network part, its length, whole address. */
void inet_key(struct buf *out, const struct str *s);
/* -1, 0, 1 over the first `bits` bits; how many of the first `bits` bits agree. */
int inet_bits_cmp(const uint8_t *a, const uint8_t *b, int bits);
int inet_bits_common(const uint8_t *a, const uint8_t *b, int bits);
void inet_clear_host(struct inet *a); /* bits beyond the network part become 0 */

bool inet_parse(const char *text, bool is_cidr, struct inet *out);
/* "10.0.0.1/8", without the length where it is the whole address; "10/8". NUL-terminated. */
void inet_print(const struct inet *a, char text[INET_TEXT_MAX]);
void inet_print_short(const struct inet *a, char text[INET_TEXT_MAX]);

#endif
