/* Carries: what calls that go on from a partition's first row know of the rows before a place; see window.h. */
#include "ops/window.h"

#include "data/key.h"
#include "data/row.h"

#include <stdlib.h>
#include <string.h>

void window_carry_copy(struct window_carry *to, const struct window_carry *from)
{
    *to = *from;
    agg_state_copy(&to->agg, &from->agg);
    if (!from->bytes)
        return;
    to->bytes = xmalloc(from->len);
    memcpy(to->bytes, from->bytes, from->len);
}

void window_carry_fini(struct window_carry *c)
{
    agg_state_fini(&c->agg);
    free(c->bytes);
    *c = (struct window_carry){0};
}

size_t window_carry_bytes(const struct window_carry *c)
{
    return sizeof *c + agg_state_ext_bytes(&c->agg) + c->len;
}

bool window_takes_part(const struct window_rows *w, const struct plan_window_call *c, uint32_t row)
{
    if (c->filter != PLAN_NO_COLUMN && (w->states[row][c->filter] != VAL_OK || !w->vals[row][c->filter].i))
        return false;
    for (uint32_t k = 0; k < c->arg_count; k++)
        if (w->states[row][c->args[k]] != VAL_OK)
            return false;
    return true;
}

void window_update(const struct window_rows *w, const struct plan_window_call *c, struct agg_state *s,
                   struct window_range r, int64_t weight)
{
    for (uint32_t i = r.from; i < r.to; i++) {
        union val args[AGG_ARGS_MAX];
        if (!window_takes_part(w, c, i))
            continue;
        if (!c->arg_count) {
            s->count += weight;
            continue;
        }
        for (uint32_t k = 0; k < c->arg_count; k++)
            args[k] = w->vals[i][c->args[k]];
        agg_update(c->agg, s, args, weight);
    }
}

struct str window_value_key(const struct window_rows *w, uint32_t column, uint32_t row, uint32_t *key_len)
{
    struct schema one = {1, &w->schema->columns[column]};
    struct buf b = {0};
    key_put(&b, one.columns->type.id, &w->vals[row][column], w->states[row][column], false, false);
    *key_len = (uint32_t)b.len;
    row_encode(&b, &one, &w->vals[row][column], &w->states[row][column]);
    struct str key = {arena_memdup(w->arena, b.p, b.len), (uint32_t)b.len, 0};
    buf_fini(&b);
    return key;
}

/* As the ends of the ordered multiset of op_aggregate.c. */
int window_compare_keys(const struct str *a, const struct str *b)
{
    uint32_t least = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->p, b->p, least);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static void keep(struct window_carry *c, const struct str *key, uint32_t key_len)
{
    free(c->bytes);
    c->bytes = xmalloc(key->len);
    memcpy(c->bytes, key->p, key->len);
    c->len = key->len;
    c->key_len = key_len;
    c->found = true;
}

static void advance_extreme(const struct window_rows *w, const struct plan_window_call *call,
                            struct window_carry *c, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        uint32_t key_len;
        if (!window_takes_part(w, call, i))
            continue;
        struct str key = window_value_key(w, call->args[0], i, &key_len), best = {c->bytes, c->len, 0};
        int order = c->found ? window_compare_keys(&key, &best) : -1;
        if (c->found && call->agg->kind == AGG_MAX)
            order = -order;
        if (order < 0)
            keep(c, &key, key_len);
    }
}

void window_carry_advance(const struct window_rows *w, const struct plan_window_call *call,
                          struct window_carry *c, uint32_t from, uint32_t to)
{
    if (from == to)
        return;
    c->groups += w->group[to - 1] - w->group[from] + 1;
    if (call->kind == WINDOW_AGGREGATE && call->agg->ordered) {
        advance_extreme(w, call, c, from, to);
    } else if (call->kind == WINDOW_AGGREGATE) {
        window_update(w, call, &c->agg, (struct window_range){from, to}, 1);
    } else if (call->kind == WINDOW_FIRST_VALUE && !c->found) {
        uint32_t key_len;
        struct str key = window_value_key(w, call->args[0], from, &key_len);
        keep(c, &key, key_len);
    }
}

void window_carry_value(const struct window_rows *w, const struct plan_window_call *call,
                        const struct window_carry *c, struct str *key, union val *v, uint8_t *state)
{
    struct schema one = {1, &w->schema->columns[call->args[0]]};
    *key = (struct str){arena_memdup(w->arena, c->bytes, c->len), c->len, 0};
    ASSERT(row_decode(w->arena, &one, key->p + c->key_len, c->len - c->key_len, v, state));
}
