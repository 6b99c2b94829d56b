/* INTERSECT and EXCEPT, ALL and DISTINCT: how often each row stands on the left and on the right, and from that how
 * often it comes out.
 *
 * A row is found by the key encoding of all its columns (NULLs equal, 1.0 and 1.00 equal). At the end of the epoch
 * each touched row puts out the change of its weight: min(l, r) or max(l - r, 0), or 1 and 0 without ALL. Rows of the right
 * side alone are kept as keys with counts, for a left row may come.
 *
 * Of equal values that look different the smallest look of the left side (by its row bytes) is shown, in all
 * copies: PostgreSQL shows one row of the left side, whichever came first, and ours must depend on the rows alone. */
#include "base/hash.h"
#include "ops/bytemap.h"
#include "ops/op.h"
#include "ops/ordmap.h"

#include <stdlib.h>
#include <string.h>

enum { LEFT, RIGHT };
struct bytes { /* a malloc'ed row; NULL: none */
    uint8_t *p;
    uint32_t len;
};
struct member {
    struct bytemap_entry map; /* key bytes follow */
    int64_t count[2];         /* copies on the left and on the right */
    int64_t shown;            /* weight put out, with ... */
    struct bytes row;         /* ... this row; of the left side; none before one was seen */
    uint64_t number;          /* names it among the looks */
    bool dirty;
};
struct set_state {
    uint32_t column_count;
    struct key_column *key; /* all columns */
    bool looks;             /* some column's type allows several looks of one value */
    struct bytemap members;
    struct ordmap left_looks; /* member number, row bytes: copies on the left */
    struct member **dirty;    /* owned array of borrowed members */
    uint32_t dirty_count, dirty_capacity;
    uint8_t **old; /* owned: row bytes that pending output refers to, freed after the flush */
    uint32_t old_count, old_capacity;
    uint64_t next_number;
    struct buf key_bytes, row, look;
    size_t bytes;
};

static void *grow_array(void *array, uint32_t count, uint32_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 64;
    return xrealloc(array, *capacity * item_bytes);
}

/* ---- members ---- */

static struct member *member_new(struct set_state *s, uint64_t hash)
{
    struct member *m = xcalloc(1, sizeof *m + s->key_bytes.len);
    memcpy(m + 1, s->key_bytes.p, s->key_bytes.len);
    m->map = (struct bytemap_entry){hash, (uint8_t *)(m + 1), (uint32_t)s->key_bytes.len};
    m->number = s->next_number++;
    bytemap_insert(&s->members, &m->map);
    s->bytes += sizeof *m + s->key_bytes.len;
    return m;
}

/* Output may still refer to the row. */
static void drop_row(struct set_state *s, struct member *m)
{
    if (!m->row.p)
        return;
    s->old = grow_array(s->old, s->old_count, &s->old_capacity, sizeof *s->old);
    s->old[s->old_count++] = m->row.p;
    s->bytes -= m->row.len;
    m->row = (struct bytes){NULL, 0};
}

static void member_drop(struct set_state *s, struct member *m)
{
    drop_row(s, m);
    bytemap_remove(&s->members, &m->map);
    s->bytes -= sizeof *m + m->map.key_len;
    free(m);
}

static void set_row(struct set_state *s, struct member *m, const void *p, size_t len)
{
    m->row = (struct bytes){xmalloc(len), (uint32_t)len};
    memcpy(m->row.p, p, len);
    s->bytes += len;
}

static void mark_dirty(struct set_state *s, struct member *m)
{
    if (m->dirty)
        return;
    m->dirty = true;
    s->dirty = grow_array(s->dirty, s->dirty_count, &s->dirty_capacity, sizeof *s->dirty);
    s->dirty[s->dirty_count++] = m;
}

static void look_prefix(struct set_state *s, const struct member *m)
{
    uint64_t number = __builtin_bswap64(m->number);
    buf_reset(&s->look);
    buf_put(&s->look, &number, sizeof number);
}

/* ---- rows come in ---- */

static void take_left_row(struct op *op, struct member *m, const struct batch *b, uint32_t r)
{
    struct set_state *s = op->state;
    if (!s->looks && m->row.p)
        return; /* equal rows are identical */
    buf_reset(&s->row);
    row_encode_vecs(&s->row, &op->node->schema, b->cols, r);
    if (!s->looks) {
        set_row(s, m, s->row.p, s->row.len);
        return;
    }
    look_prefix(s, m);
    buf_put(&s->look, s->row.p, s->row.len);
    ordmap_add(&s->left_looks, s->look.p, s->look.len, s->row.p, s->row.len, b->weight[r]);
}

static void set_push(struct op *op, uint32_t input, const struct batch *b)
{
    struct set_state *s = op->state;
    for (uint32_t r = 0; r < b->row_count; r++) {
        buf_reset(&s->key_bytes);
        key_encode_vecs(&s->key_bytes, &op->node->schema, b->cols, r, s->key, s->column_count);
        uint64_t hash = hash_bytes(s->key_bytes.p, s->key_bytes.len);
        struct member *m = (struct member *)bytemap_find(&s->members, hash, s->key_bytes.p, s->key_bytes.len);
        if (!m)
            m = member_new(s, hash);
        weight_add(&m->count[input], b->weight[r]);
        if (input == LEFT)
            take_left_row(op, m, b, r);
        mark_dirty(s, m);
    }
}

/* ---- and go out ---- */

static int64_t wanted_weight(const struct plan_node *n, int64_t l, int64_t r)
{
    if (n->u.set.kind == SET_INTERSECT) {
        int64_t both = l < r ? l : r;
        return n->u.set.all ? both : both > 0;
    }
    if (n->u.set.all)
        return l > r ? l - r : 0;
    return l > 0 && r == 0;
}

static void put_out(struct op *op, const struct member *m, int64_t weight)
{
    if (weight == 0)
        return;
    uint32_t n = op_out_row(op, weight);
    ASSERT(row_decode_at(op->out, n, 0, &op->node->schema, m->row.p, m->row.len));
}

/* The smallest look becomes the member's row; the one shown before is taken back if it differs. */
static void choose_look(struct op *op, struct member *m)
{
    struct set_state *s = op->state;
    look_prefix(s, m);
    const struct ordmap_node *n = ordmap_first(&s->left_looks, s->look.p, s->look.len);
    ASSERT(n && n->count > 0);
    if (m->row.p && m->row.len == n->payload_len && memcmp(m->row.p, ordmap_payload(n), m->row.len) == 0)
        return;
    put_out(op, m, -m->shown);
    m->shown = 0;
    drop_row(s, m);
    set_row(s, m, ordmap_payload(n), n->payload_len);
}

static void show(struct op *op, struct member *m)
{
    struct set_state *s = op->state;
    int64_t want = wanted_weight(op->node, m->count[LEFT], m->count[RIGHT]);
    if (s->looks && want)
        choose_look(op, m);
    put_out(op, m, want - m->shown);
    m->shown = want;
    if (m->count[LEFT] == 0)
        drop_row(s, m);
    if (m->count[LEFT] == 0 && m->count[RIGHT] == 0)
        member_drop(s, m);
}

static void set_close(struct op *op)
{
    struct set_state *s = op->state;
    for (uint32_t i = 0; i < s->dirty_count; i++) {
        struct member *m = s->dirty[i];
        m->dirty = false;
        if (m->count[LEFT] < 0 || m->count[RIGHT] < 0)
            graph_fail(op->graph,
                       err_new(ERR_INTERNAL, "a row of a set operation stands there less than never"));
        else
            show(op, m);
    }
    s->dirty_count = 0;
    op_flush(op);
    while (s->old_count)
        free(s->old[--s->old_count]);
}

/* ---- the operator ---- */

static void set_open(struct op *op)
{
    struct set_state *s = xcalloc(1, sizeof *s);
    const struct schema *schema = &op->node->schema;
    s->column_count = schema->column_count;
    s->key = xcalloc(s->column_count, sizeof *s->key);
    for (uint32_t c = 0; c < s->column_count; c++) {
        s->key[c].column = c;
        s->looks |= type_has_looks(schema->columns[c].type.id);
    }
    bytemap_init(&s->members);
    ordmap_init(&s->left_looks);
    op->state = s;
}

static void set_fini(struct op *op)
{
    struct set_state *s = op->state;
    struct bytemap_entry *e;
    for (size_t at = 0; (e = bytemap_next(&s->members, &at));) {
        free(((struct member *)e)->row.p);
        free(e);
    }
    while (s->old_count)
        free(s->old[--s->old_count]);
    bytemap_fini(&s->members);
    ordmap_fini(&s->left_looks);
    buf_fini(&s->key_bytes);
    buf_fini(&s->row);
    buf_fini(&s->look);
    free(s->key);
    free(s->dirty);
    free(s->old);
    free(s);
}

static size_t set_bytes(const struct op *op)
{
    const struct set_state *s = op->state;
    return s->bytes + bytemap_bytes(&s->members) + s->left_looks.bytes;
}

static uint64_t set_rows_kept(const struct op *op)
{
    const struct set_state *s = op->state;
    return s->members.count;
}

const struct op_class op_class_set = {"set",    set_open,  set_push,      set_close,
                                      set_fini, set_bytes, set_rows_kept, NULL};
