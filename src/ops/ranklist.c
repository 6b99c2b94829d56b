/* Skip list with distances; see ranklist.h. */
#include "ops/ranklist.h"

#include <stdlib.h>

static struct rank_node *node_new(uint8_t levels, const uint8_t *key, uint32_t key_len, uint32_t row_at)
{
    struct rank_node *n = xcalloc(1, sizeof *n + levels * sizeof n->links[0] + key_len);
    n->levels = levels;
    n->key_len = key_len;
    n->row_at = row_at;
    if (key_len)
        memcpy((uint8_t *)&n->links[levels], key, key_len);
    return n;
}

static size_t node_bytes(const struct rank_node *n)
{
    return sizeof *n + n->levels * sizeof n->links[0] + n->key_len;
}

void ranklist_init(struct ranklist *l)
{
    *l = (struct ranklist){.random = UINT64_C(0x9E3779B97F4A7C15)};
    l->head = node_new(RANKLIST_LEVELS, NULL, 0, 0);
    l->bytes = node_bytes(l->head);
}

void ranklist_fini(struct ranklist *l)
{
    for (struct rank_node *n = l->head; n;) {
        struct rank_node *next = rank_next(n);
        free(n);
        n = next;
    }
    *l = (struct ranklist){0};
}

static uint8_t random_levels(struct ranklist *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    uint8_t levels = 1;
    for (uint64_t r = l->random; levels < RANKLIST_LEVELS && (r & 3) == 0; r >>= 2)
        levels++;
    return levels;
}

/* past: every key that begins with `key` is below. */
static bool is_below(const struct rank_node *n, const uint8_t *key, size_t key_len, bool past)
{
    size_t least = n->key_len < key_len ? n->key_len : key_len;
    int c = least ? memcmp(rank_key(n), key, least) : 0;
    if (c)
        return c < 0;
    return past ? true : n->key_len < key_len;
}

struct path { /* per level: the last node before the place sought, and the rows before that node */
    struct rank_node *node[RANKLIST_LEVELS];
    int64_t before[RANKLIST_LEVELS];
};

static void seek(const struct ranklist *l, const uint8_t *key, size_t key_len, bool past, struct path *p)
{
    struct rank_node *at = l->head;
    int64_t before = 0;
    for (int i = RANKLIST_LEVELS - 1; i >= 0; i--) {
        while (at->links[i].next && is_below(at->links[i].next, key, key_len, past)) {
            before += at->links[i].width;
            at = at->links[i].next;
        }
        p->node[i] = at;
        p->before[i] = before;
    }
}

static void width_add(struct rank_link *link, int64_t delta)
{
    ASSERT(!__builtin_add_overflow(link->width, delta, &link->width));
}

static struct rank_node *insert(struct ranklist *l, const struct path *p, struct rank_node *n)
{
    int64_t place = p->before[0] + p->node[0]->count;
    for (uint8_t i = 0; i < n->levels; i++) {
        struct rank_link *link = &p->node[i]->links[i];
        int64_t passed = place - p->before[i];
        n->links[i] = (struct rank_link){link->next, link->width - passed};
        *link = (struct rank_link){n, passed};
    }
    n->prev = p->node[0] == l->head ? NULL : p->node[0];
    if (rank_next(n))
        rank_next(n)->prev = n;
    l->count++;
    l->bytes += node_bytes(n);
    return n;
}

struct rank_node *ranklist_add(struct ranklist *l, const uint8_t *key, uint32_t key_len, uint32_t row_at,
                               int64_t delta)
{
    struct path p;
    seek(l, key, key_len, false, &p);
    struct rank_node *n = rank_next(p.node[0]);
    if (!n || n->key_len != key_len || !rank_has_prefix(n, key, key_len))
        n = insert(l, &p, node_new(random_levels(l), key, key_len, row_at));
    ASSERT(!__builtin_add_overflow(n->count, delta, &n->count));
    for (uint8_t i = 0; i < RANKLIST_LEVELS; i++)
        width_add(i < n->levels ? &n->links[i] : &p.node[i]->links[i], delta);
    return n;
}

void ranklist_unlink(struct ranklist *l, struct rank_node *n)
{
    struct path p;
    ASSERT(n->count == 0);
    seek(l, rank_key(n), n->key_len, false, &p);
    ASSERT(rank_next(p.node[0]) == n);
    for (uint8_t i = 0; i < n->levels; i++) {
        struct rank_link *link = &p.node[i]->links[i];
        *link = (struct rank_link){n->links[i].next, link->width + n->links[i].width};
    }
    if (rank_next(n))
        rank_next(n)->prev = n->prev;
    l->count--;
    l->bytes -= node_bytes(n);
}

int64_t ranklist_place(const struct ranklist *l, const struct rank_node *n)
{
    return ranklist_below(l, rank_key(n), n->key_len, false);
}

struct rank_node *ranklist_at(const struct ranklist *l, int64_t place, int64_t *before)
{
    struct rank_node *at = l->head;
    *before = 0;
    for (int i = RANKLIST_LEVELS - 1; i >= 0; i--)
        while (at->links[i].next && *before + at->links[i].width <= place) {
            *before += at->links[i].width;
            at = at->links[i].next;
        }
    return at != l->head && place < *before + at->count ? at : NULL;
}

int64_t ranklist_below(const struct ranklist *l, const uint8_t *prefix, size_t prefix_len, bool past)
{
    struct path p;
    seek(l, prefix, prefix_len, past, &p);
    return p.before[0] + p.node[0]->count;
}
