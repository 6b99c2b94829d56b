/* See live_index.h. */
#include "base/hash.h"
#include "data/key.h"
#include "serve/live.h"

#include <stdlib.h>

#define BUCKETS_FIRST 64
#define COUNT_MOST    64 /* queries of one value that are counted when a column is chosen */

static uint64_t value_hash(struct live_index *ix, uint32_t column, enum type_id t, const union val *v)
{
    buf_reset(&ix->key);
    key_put(&ix->key, t, v, VAL_OK, false, false);
    return hash_bytes(ix->key.p, ix->key.len) + column * UINT64_C(0x9E3779B97F4A7C15);
}

/* ---- choosing ---- */

/* A condition that leaves out all rows but those with certain values of one column. */
static bool binds(const struct cond *c)
{
    return c->kind == COND_TEST && !c->negate && !c->path && type_info(c->type)->comparable &&
           ((c->op == OP_EQ && !c->quant) ||
            (c->op == OP_IN && c->value_count > 0 && c->value_count <= LIVE_INDEX_VALUES));
}

static uint32_t queries_of(const struct live_index *ix, uint64_t hash)
{
    uint32_t n = 0;
    for (const struct index_entry *e = ix->buckets ? ix->buckets[hash & ix->mask] : NULL; e && n < COUNT_MOST;
         e = e->next)
        n += e->hash == hash;
    return n;
}

struct choice {
    const struct cond *cond;
    uint64_t cost;
};

/* The fewer queries share the value, the better; a column of the key is likely to tell more of them apart than another. */
static void consider(struct live_index *ix, const struct world_view *v, const struct cond *c,
                     struct choice *best)
{
    uint64_t cost = c->value_count - 1;
    if (!binds(c))
        return;
    for (uint32_t i = 0; i < c->value_count; i++)
        cost += 4 * (uint64_t)queries_of(ix, value_hash(ix, c->column, c->type, &c->vals[i]));
    bool in_key = false;
    for (uint32_t i = 0; i < v->key_count; i++)
        in_key |= v->row_key[i].column == c->column;
    cost = cost * 2 + !in_key;
    if (!best->cond || cost < best->cost)
        *best = (struct choice){c, cost};
}

static void consider_all(struct live_index *ix, const struct world_view *v, const struct cond *c,
                         struct choice *best)
{
    if (!c)
        return;
    consider(ix, v, c, best);
    if (c->kind == COND_AND && !c->negate)
        for (uint32_t i = 0; i < c->arg_count; i++)
            consider_all(ix, v, c->args[i], best);
}

/* ---- entries ---- */

static void grow(struct live_index *ix)
{
    uint32_t count = ix->buckets ? (ix->mask + 1) * 2 : BUCKETS_FIRST;
    struct index_entry **buckets = xcalloc(count, sizeof *buckets);
    for (uint32_t i = 0; ix->buckets && i <= ix->mask; i++)
        for (struct index_entry *e = ix->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
        }
    free(ix->buckets);
    ix->buckets = buckets;
    ix->mask = count - 1;
}

static void entry_add(struct live_index *ix, struct index_entry *e)
{
    if (!ix->buckets || ix->entry_count > ix->mask)
        grow(ix);
    e->next = ix->buckets[e->hash & ix->mask];
    ix->buckets[e->hash & ix->mask] = e;
    ix->entry_count++;
}

static void entry_remove(struct live_index *ix, struct index_entry *e)
{
    struct index_entry **at = &ix->buckets[e->hash & ix->mask];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    ix->entry_count--;
}

static void column_use(struct live_index *ix, uint32_t column)
{
    for (uint32_t i = 0; i < ix->column_count; i++)
        if (ix->columns[i].column == column) {
            ix->columns[i].uses++;
            return;
        }
    if (ix->column_count == ix->column_room) {
        ix->column_room = ix->column_room ? ix->column_room * 2 : 4;
        ix->columns = xrealloc(ix->columns, ix->column_room * sizeof *ix->columns);
    }
    ix->columns[ix->column_count++] = (struct index_column){column, 1};
}

static void column_leave(struct live_index *ix, uint32_t column)
{
    uint32_t i = 0;
    while (ix->columns[i].column != column)
        i++;
    if (--ix->columns[i].uses == 0)
        ix->columns[i] = ix->columns[--ix->column_count];
}

static void other_add(struct live_index *ix, struct live_query *q)
{
    q->part.other_prev = NULL;
    q->part.other_next = ix->others;
    if (ix->others)
        ix->others->part.other_prev = q;
    ix->others = q;
}

static void other_remove(struct live_index *ix, struct live_query *q)
{
    struct live_query *prev = q->part.other_prev, *next = q->part.other_next;
    *(prev ? &prev->part.other_next : &ix->others) = next;
    if (next)
        next->part.other_prev = prev;
}

void live_index_add(struct live_index *ix, struct live_query *q)
{
    struct choice best = {0};
    consider_all(ix, q->read.view, q->read.query.filter, &best);
    consider_all(ix, q->read.view, q->read.grant.narrow, &best);
    q->part = (struct index_part){0};
    if (!best.cond) {
        other_add(ix, q);
        return;
    }
    const struct cond *c = best.cond;
    q->part.column = c->column;
    q->part.entry_count = c->value_count;
    q->part.entries = xcalloc(c->value_count, sizeof *q->part.entries);
    for (uint32_t i = 0; i < c->value_count; i++) {
        q->part.entries[i] = (struct index_entry){value_hash(ix, c->column, c->type, &c->vals[i]), q, NULL};
        entry_add(ix, &q->part.entries[i]);
    }
    column_use(ix, c->column);
}

void live_index_remove(struct live_index *ix, struct live_query *q)
{
    if (!q->part.entries) {
        other_remove(ix, q);
        return;
    }
    for (uint32_t i = 0; i < q->part.entry_count; i++)
        entry_remove(ix, &q->part.entries[i]);
    column_leave(ix, q->part.column);
    free(q->part.entries);
    q->part = (struct index_part){0};
}

void live_index_fini(struct live_index *ix)
{
    ASSERT(ix->entry_count == 0 && !ix->others);
    free(ix->buckets);
    free(ix->columns);
    buf_fini(&ix->key);
}

/* ---- looking up ---- */

static void find_value(struct live_index *ix, uint64_t hash, index_found found, void *ctx)
{
    for (struct index_entry *e = ix->buckets[hash & ix->mask]; e; e = e->next)
        if (e->hash == hash && e->query->part.asked != ix->change) {
            e->query->part.asked = ix->change;
            found(ctx, e->query);
        }
}

void live_index_find(struct live_index *ix, const struct schema *schema, struct index_row before,
                     struct index_row after, index_found found, void *ctx)
{
    ix->change++;
    for (uint32_t i = 0; i < ix->column_count; i++) {
        uint32_t column = ix->columns[i].column;
        enum type_id t = schema->columns[column].type.id;
        bool had = before.vals && before.states[column] == VAL_OK;
        bool has = after.vals && after.states[column] == VAL_OK;
        uint64_t old = had ? value_hash(ix, column, t, &before.vals[column]) : 0;
        uint64_t new = has ? value_hash(ix, column, t, &after.vals[column]) : 0;
        if (had)
            find_value(ix, old, found, ctx);
        if (has && !(had && old == new))
            find_value(ix, new, found, ctx);
    }
    for (struct live_query *q = ix->others; q; q = q->part.other_next)
        found(ctx, q);
}
