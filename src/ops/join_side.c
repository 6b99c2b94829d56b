/* Rows of a join's side by key and by range; see join_side.h. */
#include "ops/join_side.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_FROM 16 /* rows of a key from which on they are found by hash */
#define ORDER_FROM 32 /* and from which on they stand in order: below it a look at each is cheaper */

void side_init(struct join_side *s, const struct op *op, uint32_t which)
{
    const struct plan_node *n = op->node;
    s->schema = &n->inputs[which]->schema;
    bytemap_init(&s->keys);
    s->key_count = n->u.join.key_count;
    s->columns = which ? n->u.join.right_keys : n->u.join.left_keys;
    s->null_safe = n->u.join.null_safe;
    s->key = xcalloc(s->key_count, sizeof *s->key);
    for (uint32_t i = 0; i < s->key_count; i++)
        s->key[i].column = s->columns[i];
    enum join_kind k = n->u.join.kind;
    s->preserved =
        k == JOIN_FULL || k == (which ? JOIN_RIGHT : JOIN_LEFT) || (!which && join_outputs_left(k));
    s->offset = which ? n->inputs[0]->schema.column_count : 0;
    s->range_count = n->u.join.range_count;
    for (uint32_t i = 0; i < s->range_count; i++)
        s->range[i].column = which ? n->u.join.ranges[i].right : n->u.join.ranges[i].left;
}

static void key_free(struct join_key *k)
{
    for (uint32_t i = 0; i < k->count; i++)
        free(k->rows[i]);
    free(k->rows);
    free(k->index);
    if (k->order)
        ordmap_fini(k->order);
    free(k->order);
    free(k);
}

void side_fini(struct join_side *s)
{
    size_t at = 0;
    struct bytemap_entry *e;
    while ((e = bytemap_next(&s->keys, &at)))
        key_free((struct join_key *)e);
    bytemap_fini(&s->keys);
    buf_fini(&s->scratch);
    free(s->key);
}

static void index_put(struct join_key *k, struct join_row *row)
{
    uint32_t i = row->hash & k->index_mask;
    while (k->index[i])
        i = (i + 1) & k->index_mask;
    k->index[i] = row;
}

static void index_rebuild(struct join_key *k)
{
    uint32_t size = 64;
    while (size < k->count * 2)
        size *= 2;
    free(k->index);
    k->index = xcalloc(size, sizeof(struct join_row *));
    k->index_mask = size - 1;
    for (uint32_t i = 0; i < k->count; i++)
        index_put(k, k->rows[i]);
}

static void index_remove(struct join_key *k, const struct join_row *row)
{
    uint32_t i = row->hash & k->index_mask;
    while (k->index[i] != row)
        i = (i + 1) & k->index_mask;
    for (uint32_t j = (i + 1) & k->index_mask; k->index[j]; j = (j + 1) & k->index_mask) {
        uint32_t home = k->index[j]->hash & k->index_mask;
        if (((j - home) & k->index_mask) >= ((j - i) & k->index_mask)) {
            k->index[i] = k->index[j];
            i = j;
        }
    }
    k->index[i] = NULL;
}

static bool row_is(const struct join_row *row, uint32_t hash, const struct buf *bytes)
{
    return row->hash == hash && row->len == bytes->len && memcmp(row->bytes, bytes->p, bytes->len) == 0;
}

struct join_row *key_find_row(const struct join_key *k, uint32_t hash, const struct buf *bytes)
{
    if (!k->index) {
        for (uint32_t i = 0; i < k->count; i++)
            if (row_is(k->rows[i], hash, bytes))
                return k->rows[i];
        return NULL;
    }
    for (uint32_t i = hash & k->index_mask; k->index[i]; i = (i + 1) & k->index_mask)
        if (row_is(k->index[i], hash, bytes))
            return k->index[i];
    return NULL;
}

static size_t row_size(const struct join_row *row)
{
    return sizeof *row + row->len + row->range_len + sizeof row;
}

/* Equal values stand by the rows' addresses. */
static void order_put(struct join_side *s, struct join_key *k, const struct join_row *row, int64_t delta)
{
    size_t before = k->order->bytes;
    buf_reset(&s->scratch);
    buf_put(&s->scratch, row->bytes + row->len, row->range_len);
    buf_put(&s->scratch, &row, sizeof row);
    ordmap_add(k->order, s->scratch.p, s->scratch.len, NULL, 0, delta);
    s->bytes += k->order->bytes - before;
}

static void order_build(struct join_side *s, struct join_key *k)
{
    k->order = xmalloc(sizeof *k->order);
    ordmap_init(k->order);
    s->bytes += sizeof *k->order;
    for (uint32_t i = 0; i < k->count; i++)
        order_put(s, k, k->rows[i], 1);
}

struct join_row *key_add_row(struct join_side *s, struct join_key *k, uint32_t hash, const struct buf *bytes,
                             const struct buf *range)
{
    struct join_row *row = xmalloc(sizeof *row + bytes->len + range->len);
    *row = (struct join_row){
        .hash = hash, .len = (uint32_t)bytes->len, .range_len = (uint32_t)range->len, .position = k->count};
    memcpy(row->bytes, bytes->p, bytes->len);
    if (range->len)
        memcpy(row->bytes + row->len, range->p, range->len);
    if (k->count == k->capacity) {
        k->capacity = k->capacity ? k->capacity * 2 : 1;
        k->rows = xrealloc(k->rows, k->capacity * sizeof(struct join_row *));
    }
    k->rows[k->count++] = row;
    s->bytes += row_size(row);
    s->row_count++;
    if (k->order)
        order_put(s, k, row, 1);
    else if (range->len && k->count > ORDER_FROM)
        order_build(s, k);
    if (k->index && k->count * 2 <= k->index_mask + 1)
        index_put(k, row);
    else if (k->count > INDEX_FROM)
        index_rebuild(k);
    return row;
}

struct join_key *side_key(struct join_side *s, uint64_t hash, const struct buf *key, bool create)
{
    struct join_key *k = (struct join_key *)bytemap_find(&s->keys, hash, key->p, key->len);
    if (k || !create)
        return k;
    k = xmalloc(sizeof *k + key->len);
    *k = (struct join_key){.map = {hash, (uint8_t *)(k + 1), (uint32_t)key->len}};
    memcpy(k + 1, key->p, key->len);
    bytemap_insert(&s->keys, &k->map);
    s->bytes += sizeof *k + key->len;
    return k;
}

void key_remove_row(struct join_side *s, struct join_key *k, struct join_row *row)
{
    if (k->index)
        index_remove(k, row);
    if (k->order)
        order_put(s, k, row, -1);
    struct join_row *last = k->rows[--k->count];
    k->rows[row->position] = last;
    last->position = row->position;
    s->bytes -= row_size(row);
    s->row_count--;
    if (k->count)
        return;
    bytemap_remove(&s->keys, &k->map);
    s->bytes -= sizeof *k + k->map.key_len + (k->order ? sizeof *k->order : 0);
    key_free(k);
}

/* ---- bounds ---- */

static void set_bound(struct buf *b, bool *has, bool *is_open, const struct schema *schema,
                      const struct batch *rows, uint32_t r, const struct key_column *column, bool open)
{
    if (*has)
        return;
    buf_reset(b);
    key_encode_vecs(b, schema, rows->cols, r, column, 1);
    *has = true;
    *is_open = open;
}

void bounds_of(struct join_bounds *b, const struct op *op, uint32_t which, const struct join_side *mine,
               const struct batch *rows, uint32_t r)
{
    const struct plan_range *ranges = op->node->u.join.ranges;
    b->has_low = b->has_high = false;
    for (uint32_t i = 0; i < op->node->u.join.range_count; i++) {
        uint32_t other = which ? ranges[i].left : ranges[i].right;
        if (other != (which ? ranges[0].left : ranges[0].right))
            continue; /* another column than the rows stand by: the residual's */
        enum comparison_op c = ranges[i].op;
        bool open = c == COMPARE_LT || c == COMPARE_GT;
        bool left_is_less = c == COMPARE_LT || c == COMPARE_LE;
        if (left_is_less == !which) /* what is looked for is above */
            set_bound(&b->low, &b->has_low, &b->low_open, mine->schema, rows, r, &mine->range[i], open);
        else
            set_bound(&b->high, &b->has_high, &b->high_open, mine->schema, rows, r, &mine->range[i], open);
    }
}

void bounds_fini(struct join_bounds *b)
{
    buf_fini(&b->low);
    buf_fini(&b->high);
}

/* Below, within (0) or above. No key's bytes begin another's, so a common start means equal. */
static int compare_bytes(const uint8_t *a, size_t a_len, const struct buf *b)
{
    size_t least = a_len < b->len ? a_len : b->len;
    return memcmp(a, b->p, least);
}

static bool is_above(const struct join_bounds *b, const uint8_t *p, size_t len)
{
    int c = b->has_high ? compare_bytes(p, len, &b->high) : -1;
    return c > 0 || (c == 0 && b->high_open);
}

static bool is_below(const struct join_bounds *b, const uint8_t *p, size_t len)
{
    int c = b->has_low ? compare_bytes(p, len, &b->low) : 1;
    return c < 0 || (c == 0 && b->low_open);
}

/* ---- rows within bounds ---- */

struct join_iterator key_rows(const struct join_key *k, const struct join_bounds *b)
{
    struct join_iterator it = {.key = k, .bounds = b, .ordered = b && k->order};
    if (it.ordered)
        it.at = b->has_low ? ordmap_seek(k->order, b->low.p, b->low.len) : k->order->head[0];
    return it;
}

static struct join_row *next_in_order(struct join_iterator *it)
{
    while (it->at) {
        const struct ordmap_node *n = it->at;
        size_t len = n->key_len - sizeof(struct join_row *);
        struct join_row *row;
        it->at = n->next[0];
        if (is_above(it->bounds, ordmap_key(n), len))
            return NULL;
        if (is_below(it->bounds, ordmap_key(n), len))
            continue;
        memcpy(&row, ordmap_key(n) + len, sizeof row);
        return row;
    }
    return NULL;
}

struct join_row *next_row(struct join_iterator *it)
{
    if (it->ordered)
        return next_in_order(it);
    while (it->position < it->key->count) {
        struct join_row *row = it->key->rows[it->position++];
        const uint8_t *p = row->bytes + row->len;
        if (!it->bounds ||
            (!is_below(it->bounds, p, row->range_len) && !is_above(it->bounds, p, row->range_len)))
            return row;
    }
    return NULL;
}
