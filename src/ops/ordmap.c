/* Skip list; see ordmap.h. */
#include "ops/ordmap.h"

#include <stdlib.h>
#include <string.h>

void ordmap_init(struct ordmap *m)
{
    *m = (struct ordmap){.random = UINT64_C(0x9E3779B97F4A7C15)};
}

void ordmap_fini(struct ordmap *m)
{
    for (struct ordmap_node *n = m->head[0]; n;) {
        struct ordmap_node *next = n->next[0];
        free(n);
        n = next;
    }
    *m = (struct ordmap){0};
}

static int compare(const struct ordmap_node *n, const uint8_t *key, size_t key_len)
{
    size_t least = n->key_len < key_len ? n->key_len : key_len;
    int c = memcmp(ordmap_key(n), key, least);
    return c ? c : (n->key_len > key_len) - (n->key_len < key_len);
}

/* Above every key that begins with the prefix. */
static int compare_past_prefix(const struct ordmap_node *n, const uint8_t *prefix, size_t prefix_len)
{
    size_t least = n->key_len < prefix_len ? n->key_len : prefix_len;
    int c = memcmp(ordmap_key(n), prefix, least);
    return c ? c : -1;
}

typedef int (*compare_fn)(const struct ordmap_node *n, const uint8_t *key, size_t key_len);

/* links[l]: the pointer at level l that leads to the first node not below the key; *before: the node before it. */
static struct ordmap_node *seek(const struct ordmap *m, const uint8_t *key, size_t key_len, compare_fn cmp,
                                struct ordmap_node ***links, struct ordmap_node **before)
{
    struct ordmap_node *at = NULL;
    for (int l = ORDMAP_LEVELS - 1; l >= 0; l--) {
        struct ordmap_node *const *link = at ? &at->next[l] : &m->head[l];
        while (*link && cmp(*link, key, key_len) < 0) {
            at = *link;
            link = &at->next[l];
        }
        if (links)
            links[l] = (struct ordmap_node **)(uintptr_t)link;
    }
    if (before)
        *before = at;
    return at ? at->next[0] : m->head[0];
}

static uint8_t random_levels(struct ordmap *m)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    uint8_t levels = 1;
    for (uint64_t r = m->random; levels < ORDMAP_LEVELS && (r & 3) == 0; r >>= 2)
        levels++;
    return levels;
}

static size_t node_bytes(const struct ordmap_node *n)
{
    return sizeof *n + n->levels * sizeof n->next[0] + n->key_len + n->payload_len;
}

int64_t ordmap_add(struct ordmap *m, const uint8_t *key, size_t key_len, const uint8_t *payload,
                   size_t payload_len, int64_t delta)
{
    struct ordmap_node **links[ORDMAP_LEVELS];
    struct ordmap_node *n = seek(m, key, key_len, compare, links, NULL);
    if (!n || compare(n, key, key_len) != 0) {
        uint8_t levels = random_levels(m);
        n = xmalloc(sizeof *n + levels * sizeof n->next[0] + key_len + payload_len);
        *n = (struct ordmap_node){0, (uint32_t)key_len, (uint32_t)payload_len, levels};
        memcpy((uint8_t *)&n->next[levels], key, key_len);
        if (payload_len)
            memcpy((uint8_t *)&n->next[levels] + key_len, payload, payload_len);
        for (uint8_t l = 0; l < levels; l++) {
            n->next[l] = *links[l];
            *links[l] = n;
        }
        m->count++;
        m->bytes += node_bytes(n);
    }
    ASSERT(!__builtin_add_overflow(n->count, delta, &n->count));
    int64_t left = n->count;
    if (left == 0) {
        for (uint8_t l = 0; l < n->levels; l++)
            *links[l] = n->next[l];
        m->count--;
        m->bytes -= node_bytes(n);
        free(n);
    }
    return left;
}

static bool has_prefix(const struct ordmap_node *n, const uint8_t *prefix, size_t prefix_len)
{
    return n && n->key_len >= prefix_len && memcmp(ordmap_key(n), prefix, prefix_len) == 0;
}

const struct ordmap_node *ordmap_first(const struct ordmap *m, const uint8_t *prefix, size_t prefix_len)
{
    struct ordmap_node *n = seek(m, prefix, prefix_len, compare, NULL, NULL);
    return has_prefix(n, prefix, prefix_len) ? n : NULL;
}

const struct ordmap_node *ordmap_last(const struct ordmap *m, const uint8_t *prefix, size_t prefix_len)
{
    struct ordmap_node *before;
    seek(m, prefix, prefix_len, compare_past_prefix, NULL, &before);
    return has_prefix(before, prefix, prefix_len) ? before : NULL;
}

const struct ordmap_node *ordmap_seek(const struct ordmap *m, const uint8_t *key, size_t key_len)
{
    return seek(m, key, key_len, compare, NULL, NULL);
}
