/* A hash table from byte strings to entries, for operator state.
 *
 * Open addressing with linear probing over an array of (hash, pointer) slots, kept at most 7/8 full; deletion
 * shifts back, so there are no tombstones and long-lived tables under churn do not slow down. The entry embeds
 * struct bytemap_entry as its first member and owns its key bytes; the caller allocates and frees entries. */
#ifndef PENSTOCK_OPS_BYTEMAP_H
#define PENSTOCK_OPS_BYTEMAP_H

#include "base/base.h"

struct bytemap_entry {
    uint64_t hash;
    const uint8_t *key; /* owned by the entry */
    uint32_t key_len;
};
struct bytemap_slot {
    uint64_t hash;
    struct bytemap_entry *entry; /* NULL: free */
};
struct bytemap {
    struct bytemap_slot *slots; /* owned */
    size_t mask;                /* capacity - 1 */
    size_t count;
};

void bytemap_init(struct bytemap *m);
void bytemap_fini(struct bytemap *m); /* entries are the caller's */
struct bytemap_entry *bytemap_find(const struct bytemap *m, uint64_t hash, const void *key, size_t key_len);
void bytemap_insert(struct bytemap *m, struct bytemap_entry *e); /* must not be present */
void bytemap_remove(struct bytemap *m, struct bytemap_entry *e); /* must be present */
void bytemap_clear(struct bytemap *m);
/* Iteration in table order; no change while iterating. *at starts at 0; NULL at the end. */
struct bytemap_entry *bytemap_next(const struct bytemap *m, size_t *at);
static inline size_t bytemap_bytes(const struct bytemap *m)
{
    return (m->slots ? m->mask + 1 : 0) * sizeof(struct bytemap_slot);
}

#endif
