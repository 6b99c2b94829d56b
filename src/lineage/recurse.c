/* WITH RECURSIVE, round by round as SQL defines it. A row's derivations that come later are added to what it was made of,
 * also when it was used already: what was made of it refers to the same list. See impl.h. */
#include "lineage/impl.h"

struct found {
    struct bytemap_entry map; /* of UNION: the row's key */
    struct made *made;
};

struct rows loop_rows(struct question *q, const struct plan_node *n)
{
    for (uint32_t i = q->loop_count; i--;)
        if (q->loop_numbers[i] == n->u.loop.number) {
            struct rows out = {.count = q->loops[i]->count};
            out.items = arena_memdup(q->arena, q->loops[i]->items, out.count * sizeof *out.items + 1);
            return out;
        }
    PANIC("a recursion's rows outside of it");
}

struct recursion {
    struct question *q;
    const struct plan_node *n;
    uint32_t columns;
    struct bytemap *found;
    struct rows out;
};

static void fed(struct recursion *r, const struct row *from, struct made *made, uint32_t depth,
                struct rows *next)
{
    struct row *row = rows_add(r->q, next, r->columns + 1);
    memcpy(row->vals, from->vals, r->columns * sizeof *row->vals);
    memcpy(row->states, from->states, r->columns);
    row->vals[r->columns].i = depth;
    row->states[r->columns] = VAL_OK;
    row->weight = from->weight;
    row->made = made;
}

/* A row of this round: of UNION only those that no round has found feed the next. */
static void take(struct recursion *r, const struct row *from, uint32_t depth, struct rows *next)
{
    struct question *q = r->q;
    struct buf b = {0};
    for (uint32_t c = 0; c < r->columns && !r->n->u.recurse.all; c++)
        key_put(&b, r->n->schema.columns[c].type.id, &from->vals[c], from->states[c], false, false);
    uint64_t hash = hash_bytes(b.p, b.len);
    struct found *f = r->n->u.recurse.all ? NULL : (struct found *)bytemap_find(r->found, hash, b.p, b.len);
    if (f) {
        made_add(q, f->made, from->made);
        buf_fini(&b);
        return;
    }
    f = ARENA_NEW(q->arena, struct found);
    f->made = made_list(q);
    made_add(q, f->made, from->made);
    f->map = (struct bytemap_entry){hash, arena_memdup(q->arena, b.p, b.len), (uint32_t)b.len};
    if (!r->n->u.recurse.all)
        bytemap_insert(r->found, &f->map);
    buf_fini(&b);
    fed(r, from, f->made, depth, next);
    struct row *row = rows_add(q, &r->out, r->columns);
    memcpy(row->vals, from->vals, r->columns * sizeof *row->vals);
    memcpy(row->states, from->states, r->columns);
    row->weight = r->n->u.recurse.all ? from->weight : 1;
    row->made = f->made;
}

struct rows recurse_rows(struct question *q, const struct plan_node *n)
{
    struct recursion r = {.q = q, .n = n, .columns = n->schema.column_count, .found = map_new(q)};
    struct restriction all = {0};
    struct rows round = rows_of(q, n->inputs[0], &all), next = {0};
    if (q->loop_count == ARRAY_COUNT(q->loops)) {
        q->failure = err_new(ERR_UNSUPPORTED, "recursions within recursions, more than %zu deep",
                             ARRAY_COUNT(q->loops));
        return r.out;
    }
    for (size_t i = 0; i < round.count; i++)
        take(&r, &round.items[i], 0, &next);
    uint32_t slot = q->loop_count++;
    q->loop_numbers[slot] = n->u.recurse.loop->u.loop.number;
    for (uint32_t depth = 1; next.count && depth <= RECURSION_ROUNDS_MAX && spend(q, 1); depth++) {
        struct rows feed = next;
        q->loops[slot] = &feed;
        round = rows_of(q, n->inputs[1], &all);
        next = (struct rows){0};
        for (size_t i = 0; i < round.count && spend(q, 1); i++)
            take(&r, &round.items[i], depth, &next);
    }
    q->loop_count = slot;
    return r.out;
}
