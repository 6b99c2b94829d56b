/* Linear-probing hash table with backward-shift deletion (Knuth, TAOCP 3, 6.4, algorithm R). */
#include "ops/bytemap.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

void bytemap_init(struct bytemap *m)
{
    *m = (struct bytemap){0};
}

void bytemap_fini(struct bytemap *m)
{
    free(m->slots);
    *m = (struct bytemap){0};
}

struct bytemap_entry *bytemap_find(const struct bytemap *m, uint64_t hash, const void *key, size_t key_len)
{
    if (!m->count)
        return NULL;
    for (size_t i = hash & m->mask; m->slots[i].entry; i = (i + 1) & m->mask) {
        struct bytemap_entry *e = m->slots[i].entry;
        if (m->slots[i].hash == hash && e->key_len == key_len &&
            (!key_len || memcmp(e->key, key, key_len) == 0))
            return e;
    }
    return NULL;
}

static void put(struct bytemap *m, uint64_t hash, struct bytemap_entry *e)
{
    size_t i = hash & m->mask;
    while (m->slots[i].entry)
        i = (i + 1) & m->mask;
    m->slots[i] = (struct bytemap_slot){hash, e};
}

static void grow(struct bytemap *m)
{
    struct bytemap old = *m;
    size_t capacity = old.slots ? (old.mask + 1) * 2 : FIRST_CAPACITY;
    m->slots = xcalloc(capacity, sizeof *m->slots);
    m->mask = capacity - 1;
    for (size_t i = 0; old.slots && i <= old.mask; i++)
        if (old.slots[i].entry)
            put(m, old.slots[i].hash, old.slots[i].entry);
    free(old.slots);
}

void bytemap_insert(struct bytemap *m, struct bytemap_entry *e)
{
    if (!m->slots || (m->count + 1) * 8 > (m->mask + 1) * 7)
        grow(m);
    put(m, e->hash, e);
    m->count++;
}

void bytemap_remove(struct bytemap *m, struct bytemap_entry *e)
{
    size_t i = e->hash & m->mask;
    while (m->slots[i].entry != e) {
        ASSERT(m->slots[i].entry);
        i = (i + 1) & m->mask;
    }
    for (size_t j = (i + 1) & m->mask; m->slots[j].entry; j = (j + 1) & m->mask) {
        size_t home = m->slots[j].hash & m->mask;
        if (((j - home) & m->mask) >= ((j - i) & m->mask)) {
            m->slots[i] = m->slots[j];
            i = j;
        }
    }
    m->slots[i] = (struct bytemap_slot){0, NULL};
    m->count--;
}

void bytemap_clear(struct bytemap *m)
{
    if (m->slots && m->mask > 1023 && m->count * 8 < m->mask) {
        bytemap_fini(m); /* one large epoch must not make every later clear expensive */
        return;
    }
    if (m->slots)
        memset(m->slots, 0, (m->mask + 1) * sizeof *m->slots);
    m->count = 0;
}

struct bytemap_entry *bytemap_next(const struct bytemap *m, size_t *at)
{
    while (m->slots && *at <= m->mask) {
        struct bytemap_entry *e = m->slots[(*at)++].entry;
        if (e)
            return e;
    }
    return NULL;
}
