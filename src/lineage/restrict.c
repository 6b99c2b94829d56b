/* What is known of the rows that are wanted: sets of keys over some of their columns; see impl.h. */
#include "lineage/impl.h"

struct keyset keyset_new(struct question *q, uint32_t count, const uint32_t *columns)
{
    return (struct keyset){.column_count = count,
                           .columns = arena_memdup(q->arena, columns, count * sizeof *columns),
                           .keys = map_new(q)};
}

/* The key in q->key, its parts ending at `ends`. */
static void add_key(struct question *q, struct keyset *s, const uint32_t *ends)
{
    uint64_t hash = hash_bytes(q->key.p, q->key.len);
    if (bytemap_find(s->keys, hash, q->key.p, q->key.len))
        return;
    struct keyset_key *k = ARENA_NEW(q->arena, struct keyset_key);
    k->map = (struct bytemap_entry){hash, arena_memdup(q->arena, q->key.p, q->key.len), (uint32_t)q->key.len};
    k->ends = arena_memdup(q->arena, ends, s->column_count * sizeof *ends);
    bytemap_insert(s->keys, &k->map);
}

void keyset_add(struct question *q, struct keyset *s, const struct schema *schema, const struct row *row,
                const uint32_t *from)
{
    uint32_t ends[COLUMNS_MAX];
    buf_reset(&q->key);
    for (uint32_t i = 0; i < s->column_count; i++) {
        uint32_t c = from[i];
        key_put(&q->key, schema->columns[c].type.id, &row->vals[c], row->states[c], false, false);
        ends[i] = (uint32_t)q->key.len;
        s->has_null |= row->states[c] != VAL_OK;
    }
    add_key(q, s, ends);
}

/* The parts `keep` of the set's keys, under the columns `to`. */
static struct keyset narrow(struct question *q, const struct keyset *s, const uint32_t *keep, uint32_t count,
                            const uint32_t *to)
{
    struct keyset out = keyset_new(q, count, to);
    size_t at = 0;
    uint32_t ends[COLUMNS_MAX];
    out.has_null = s->has_null;
    for (struct bytemap_entry *e; (e = bytemap_next(s->keys, &at));) {
        const struct keyset_key *k = (const struct keyset_key *)e;
        buf_reset(&q->key);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t from = keep[i] ? k->ends[keep[i] - 1] : 0;
            buf_put(&q->key, k->map.key + from, k->ends[keep[i]] - from);
            ends[i] = (uint32_t)q->key.len;
        }
        add_key(q, &out, ends);
    }
    return out;
}

void restriction_move(struct question *q, const struct restriction *r, uint32_t column_count,
                      const uint32_t *to, bool nulls, struct restriction *out)
{
    out->count = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct keyset *s = &r->sets[i];
        uint32_t *keep = ARENA_ARRAY(q->arena, uint32_t, s->column_count + 1), count = 0;
        uint32_t *columns = ARENA_ARRAY(q->arena, uint32_t, s->column_count + 1);
        for (uint32_t k = 0; k < s->column_count; k++) {
            if (s->columns[k] >= column_count || to[s->columns[k]] == KEYSET_NO_COLUMN)
                continue;
            keep[count] = k;
            columns[count++] = to[s->columns[k]];
        }
        if (!count || (s->has_null && !nulls))
            continue;
        struct keyset moved;
        if (count == s->column_count) {
            moved = *s;
            moved.columns = columns;
        } else {
            moved = narrow(q, s, keep, count, columns);
        }
        restriction_add(out, &moved);
    }
}

/* One more than there is room for is let go: less is known then, nothing wrong. */
void restriction_add(struct restriction *r, const struct keyset *s)
{
    if (r->count < RESTRICTION_SETS_MAX)
        r->sets[r->count++] = *s;
}

bool restriction_holds(struct question *q, const struct restriction *r, const struct schema *schema,
                       const union val *vals, const uint8_t *states)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const struct keyset *s = &r->sets[i];
        buf_reset(&q->key);
        for (uint32_t k = 0; k < s->column_count; k++) {
            uint32_t c = s->columns[k];
            key_put(&q->key, schema->columns[c].type.id, &vals[c], states[c], false, false);
        }
        if (!bytemap_find(s->keys, hash_bytes(q->key.p, q->key.len), q->key.p, q->key.len))
            return false;
    }
    return true;
}

void restriction_apply(struct question *q, const struct restriction *r, const struct schema *schema,
                       struct rows *rows)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++)
        if (restriction_holds(q, r, schema, rows->items[i].vals, rows->items[i].states))
            rows->items[kept++] = rows->items[i];
    rows->count = kept;
}
