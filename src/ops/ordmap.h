/* An ordered map from byte strings to a count and a payload, in memory: the multisets behind min and max.
 *
 * A skip list (Pugh 1990) with p = 1/4 and a deterministic generator: no rebalancing, ordered seeks in
 * both directions by prefix, nodes in one allocation each. */
#ifndef PENSTOCK_OPS_ORDMAP_H
#define PENSTOCK_OPS_ORDMAP_H

#include "base/base.h"

#define ORDMAP_LEVELS 16
struct ordmap_node {
    int64_t count;
    uint32_t key_len, payload_len;
    uint8_t levels;
    struct ordmap_node *next[]; /* then key bytes, then payload bytes */
};
struct ordmap {
    struct ordmap_node *head[ORDMAP_LEVELS];
    uint64_t random;
    size_t count, bytes;
};
void ordmap_init(struct ordmap *m);
void ordmap_fini(struct ordmap *m);
/* Adds delta to the count under key (made with the payload when absent, removed at zero); returns the new count. */
int64_t ordmap_add(struct ordmap *m, const uint8_t *key, size_t key_len, const uint8_t *payload,
                   size_t payload_len, int64_t delta);
/* First / last entry whose key begins with the prefix; NULL if none. */
const struct ordmap_node *ordmap_first(const struct ordmap *m, const uint8_t *prefix, size_t prefix_len);
/* First entry not below the key; NULL if none. */
const struct ordmap_node *ordmap_seek(const struct ordmap *m, const uint8_t *key, size_t key_len);
const struct ordmap_node *ordmap_last(const struct ordmap *m, const uint8_t *prefix, size_t prefix_len);
static inline const uint8_t *ordmap_key(const struct ordmap_node *n)
{
    return (const uint8_t *)&n->next[n->levels];
}
static inline const uint8_t *ordmap_payload(const struct ordmap_node *n)
{
    return ordmap_key(n) + n->key_len;
}

#endif
