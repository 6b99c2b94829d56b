/* WITH RECURSIVE: the rows of the non-recursive term, and what the recursive term makes of them, round by round.
 *
 * A change must be able to take back a row that is on a cycle and so holds itself up. Therefore each row is kept with the
 * depths at which it was found and how often at each, as iterations are in differential dataflow (McSherry, Murray, Isaacs,
 * Isard: "Differential dataflow", CIDR 2013): the rows of depth d + 1 depend on those of depth d alone, so a change runs
 * towards greater depths and ends.
 *
 * UNION ALL feeds the recursive term with each row at each depth, as often as it was found. UNION feeds it with each
 * row at its least depth, once: PostgreSQL leaves out what an earlier round has found. When that depth changes, the row is
 * taken back at one depth and fed at the other.
 *
 * At the end of an epoch the changes of both inputs are known. Rounds are run from the least depth that has any: the
 * change of what is fed at that depth is emitted by the PLAN_LOOP, and the operators of the recursive term are closed, so
 * that the next depth is complete. Changes of other tables have met the rows fed before on their own way, and wait
 * here at whatever depth they concern.
 *
 * A recursion without an end is cut off at a depth: what is found there is kept and counted, but not fed. Where that is depends
 * on the rows alone (rounds; bytes of all rows up to there), so it is the same after a restart, and heals. */
#include "base/hash.h"
#include "ops/bytemap.h"
#include "ops/op_errors.h"

#include <stdlib.h>
#include <string.h>

#define NO_DEPTH UINT32_MAX
#define COST_MAX (INT64_C(1) << 32) /* of one cell: more than any limit, and its sums do not overflow */

struct cell { /* a row at one depth */
    uint32_t depth;
    uint32_t row_len;
    uint8_t *row;  /* owned if rows have looks, else the member's */
    int64_t count; /* how often it was found */
    int64_t want;  /* how often it is to be fed, but for the cut */
    int64_t fed;
    int64_t left_out; /* by the cut */
    bool queued;
};
struct member {
    struct bytemap_entry map; /* key bytes follow: of UNION ALL the row's */
    struct cell *cells;       /* owned; by depth, then by bytes of the row */
    uint32_t count, capacity;
    uint8_t *row; /* owned, of UNION without looks: the row's bytes */
    uint32_t row_len;
    int64_t out;      /* weight put out ... */
    uint8_t *out_row; /* ... with this row; owned if rows have looks */
    uint32_t out_len;
    bool dirty;
};
struct level {              /* of one depth */
    int64_t bytes;          /* of what is to be fed */
    struct member **queued; /* owned array: members with a cell to be looked at */
    uint32_t count, capacity;
};
struct recurse_state {
    uint32_t column_count;
    bool all, looks; /* looks: some column's type allows several looks of one value */
    struct key_column *key;
    struct op *loop;
    struct op **body; /* owned array: the recursive term's operators that depend on the loop, inputs first */
    uint32_t body_count;
    struct bytemap members;
    struct level *levels;
    uint32_t level_count;
    uint32_t next; /* no level below it has anything queued */
    uint32_t rounds_max, cut;
    int64_t bytes_max, total; /* bytes of all levels */
    struct member **dirty;    /* owned array: touched in this epoch */
    uint32_t dirty_count, dirty_capacity;
    struct buf key_bytes, row;
    struct batch *one; /* a row to be described */
    size_t bytes;
};

static void *grow_array(void *array, uint32_t count, uint32_t *capacity, size_t item_bytes)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? *capacity * 2 : 1;
    return xrealloc(array, *capacity * item_bytes);
}

/* ---- cells ---- */

static int row_order(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    uint32_t n = a_len < b_len ? a_len : b_len;
    int c = n ? memcmp(a, b, n) : 0;
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* The first cell that is not before (depth, row); row NULL: of any look. */
static uint32_t cell_at(const struct member *m, uint32_t depth, const uint8_t *row, uint32_t row_len)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct cell *c = &m->cells[middle];
        bool before =
            c->depth < depth || (row && c->depth == depth && row_order(c->row, c->row_len, row, row_len) < 0);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct cell *insert_cell(struct recurse_state *s, struct member *m, uint32_t at, uint32_t depth)
{
    s->bytes -= m->capacity * sizeof *m->cells;
    m->cells = grow_array(m->cells, m->count, &m->capacity, sizeof *m->cells);
    s->bytes += m->capacity * sizeof *m->cells;
    memmove(m->cells + at + 1, m->cells + at, (m->count - at) * sizeof *m->cells);
    m->count++;
    m->cells[at] = (struct cell){.depth = depth, .row = m->row, .row_len = m->row_len};
    if (s->looks) {
        m->cells[at].row = xmalloc(s->row.len + 1);
        memcpy(m->cells[at].row, s->row.p, s->row.len);
        m->cells[at].row_len = (uint32_t)s->row.len;
        s->bytes += s->row.len;
    }
    return &m->cells[at];
}

/* The member's cell at that depth, with the look of s->row. */
static struct cell *get_cell(struct recurse_state *s, struct member *m, uint32_t depth)
{
    uint32_t at = cell_at(m, depth, s->looks ? s->row.p : NULL, (uint32_t)s->row.len);
    struct cell *c = at < m->count && m->cells[at].depth == depth ? &m->cells[at] : NULL;
    if (c && (!s->looks || row_order(c->row, c->row_len, s->row.p, (uint32_t)s->row.len) == 0))
        return c;
    return insert_cell(s, m, at, depth);
}

static void need_level(struct recurse_state *s, uint32_t depth)
{
    if (depth < s->level_count)
        return;
    uint32_t count = depth + depth / 2 + 8;
    s->levels = xrealloc(s->levels, count * sizeof *s->levels);
    memset(s->levels + s->level_count, 0, (count - s->level_count) * sizeof *s->levels);
    s->level_count = count;
}

static void queue(struct recurse_state *s, struct member *m, struct cell *c)
{
    if (c->queued)
        return;
    c->queued = true;
    need_level(s, c->depth);
    struct level *l = &s->levels[c->depth];
    l->queued = grow_array(l->queued, l->count, &l->capacity, sizeof *l->queued);
    l->queued[l->count++] = m;
    s->next = c->depth < s->next ? c->depth : s->next;
}

static void mark_dirty(struct recurse_state *s, struct member *m)
{
    if (m->dirty)
        return;
    m->dirty = true;
    s->dirty = grow_array(s->dirty, s->dirty_count, &s->dirty_capacity, sizeof *s->dirty);
    s->dirty[s->dirty_count++] = m;
}

/* ---- rows come in ---- */

static struct member *member_new(struct recurse_state *s, uint64_t hash)
{
    struct member *m = xcalloc(1, sizeof *m + s->key_bytes.len);
    memcpy(m + 1, s->key_bytes.p, s->key_bytes.len);
    m->map = (struct bytemap_entry){hash, (uint8_t *)(m + 1), (uint32_t)s->key_bytes.len};
    bytemap_insert(&s->members, &m->map);
    s->bytes += sizeof *m + s->key_bytes.len;
    if (s->all) {
        m->row = (uint8_t *)(m + 1);
        m->row_len = m->map.key_len;
    } else if (!s->looks) {
        m->row = xmalloc(s->row.len + 1);
        memcpy(m->row, s->row.p, s->row.len);
        m->row_len = (uint32_t)s->row.len;
        s->bytes += s->row.len;
    }
    return m;
}

static struct member *get_member(struct op *op, const struct batch *b, uint32_t r)
{
    struct recurse_state *s = op->state;
    const struct schema *schema = &op->node->schema;
    buf_reset(&s->row);
    buf_reset(&s->key_bytes);
    row_encode_vecs(&s->row, schema, b->cols, r);
    if (s->all)
        buf_put(&s->key_bytes, s->row.p, s->row.len);
    else
        key_encode_vecs(&s->key_bytes, schema, b->cols, r, s->key, s->column_count);
    uint64_t hash = hash_bytes(s->key_bytes.p, s->key_bytes.len);
    struct member *m = (struct member *)bytemap_find(&s->members, hash, s->key_bytes.p, s->key_bytes.len);
    return m ? m : member_new(s, hash);
}

static void recurse_push(struct op *op, uint32_t input, const struct batch *b)
{
    struct recurse_state *s = op->state;
    for (uint32_t r = 0; r < b->row_count; r++) {
        uint32_t depth = input == 0 ? 0 : (uint32_t)b->cols[s->column_count].v[r].i + 1;
        struct member *m = get_member(op, b, r);
        struct cell *c = get_cell(s, m, depth);
        weight_add(&c->count, b->weight[r]);
        queue(s, m, c);
        mark_dirty(s, m);
    }
}

/* ---- a round ---- */

static int64_t cost_of(const struct cell *c)
{
    int64_t each = (int64_t)c->row_len + RECURSION_ROW_BYTES;
    return c->want > COST_MAX / each ? COST_MAX : c->want * each;
}

static void set_want(struct recurse_state *s, struct cell *c, int64_t want)
{
    struct level *l = &s->levels[c->depth];
    int64_t cost = cost_of(c);
    c->want = want;
    cost = cost_of(c) - cost;
    l->bytes += cost;
    s->total += cost;
}

/* UNION: at which depth the row is looked at again. If it was found by now, where it is still fed at a greater depth;
 * else at the next depth where it may have been found. */
static void queue_deeper(struct recurse_state *s, struct member *m, uint32_t from, bool found)
{
    for (uint32_t i = from; i < m->count; i++) {
        struct cell *c = &m->cells[i];
        if (found && !c->want && !c->fed)
            continue;
        queue(s, m, c);
        return;
    }
}

/* Decides how often the row is to be fed at that depth; all lesser ones are decided. */
static void decide(struct op *op, struct member *m, uint32_t depth)
{
    struct recurse_state *s = op->state;
    bool found = false;
    uint32_t i = 0;
    for (; i < m->count && m->cells[i].depth <= depth; i++) {
        struct cell *c = &m->cells[i];
        if (c->depth == depth) {
            c->queued = false;
            if (c->count < 0)
                graph_fail(op->graph,
                           err_new(ERR_INTERNAL, "a row of a recursion was found less than never"));
            set_want(s, c, s->all ? c->count : !found && c->count > 0);
        }
        found |= c->count > 0;
    }
    if (!s->all)
        queue_deeper(s, m, i, found);
}

static bool is_cut_off(const struct recurse_state *s, uint32_t depth)
{
    return depth >= s->cut || depth >= s->rounds_max;
}

static void describe(struct op *op, const struct cell *c, int64_t weight)
{
    struct recurse_state *s = op->state;
    char text[120];
    struct error_cause cause = {.sqlstate = "54000", .message = text};
    if (c->depth < s->rounds_max)
        snprintf(text, sizeof text, "a recursion has more than %lld bytes of rows (RECURSION_BYTES_MAX)",
                 (long long)s->bytes_max);
    else
        snprintf(text, sizeof text, "a recursion goes on after %u rounds (RECURSION_ROUNDS_MAX)",
                 (unsigned)s->rounds_max);
    batch_reset(s->one, s->column_count);
    ASSERT(row_decode_append(s->one, &op->node->schema, c->row, c->row_len, weight, false));
    op_error_describe(op, &op->node->schema, s->one->cols, 0, weight, &cause);
}

/* The row is an error, or is none any longer. */
static void leave_out(struct op *op, struct cell *c, bool is_cut)
{
    struct recurse_state *s = op->state;
    int64_t change = (is_cut ? c->want : 0) - c->left_out;
    if (!change)
        return;
    c->left_out += change;
    buf_reset(&s->row);
    buf_put(&s->row, &c->depth, sizeof c->depth);
    buf_put(&s->row, c->row, c->row_len);
    if (op_error_count(op, s->row.p, s->row.len, change))
        describe(op, c, change);
}

/* Puts the change of what is fed at that depth into the loop's output. */
static void feed(struct op *op, struct member *m, uint32_t depth)
{
    struct recurse_state *s = op->state;
    for (uint32_t i = cell_at(m, depth, NULL, 0); i < m->count && m->cells[i].depth == depth; i++) {
        struct cell *c = &m->cells[i];
        bool is_cut = is_cut_off(s, depth);
        int64_t change = (is_cut ? 0 : c->want) - c->fed;
        leave_out(op, c, is_cut);
        if (!change)
            continue;
        const uint8_t *row = c->row;
        uint32_t row_len = c->row_len;
        c->fed += change;
        mark_dirty(s, m);
        uint32_t r = op_out_row(s->loop, change); /* which may flush: cells can move, rows do not */
        ASSERT(row_decode_at(s->loop->out, r, 0, &op->node->schema, row, row_len));
        s->loop->out->cols[s->column_count].v[r].i = depth;
        s->loop->out->cols[s->column_count].state[r] = VAL_OK;
    }
}

/* All members that have something at that depth. */
static void queue_level(struct recurse_state *s, uint32_t depth)
{
    struct bytemap_entry *e;
    for (size_t at = 0; (e = bytemap_next(&s->members, &at));) {
        struct member *m = (struct member *)e;
        uint32_t i = cell_at(m, depth, NULL, 0);
        if (i < m->count && m->cells[i].depth == depth)
            queue(s, m, &m->cells[i]);
    }
}

/* The least depth up to which there are too many bytes, looking no further than `last`. */
static uint32_t find_cut(const struct recurse_state *s, uint32_t last)
{
    if (s->total <= s->bytes_max)
        return NO_DEPTH;
    int64_t bytes = 0;
    for (uint32_t d = 0; d < s->level_count && d <= last; d++) {
        bytes += s->levels[d].bytes;
        if (bytes > s->bytes_max)
            return d;
    }
    return NO_DEPTH;
}

/* Decides all that is queued at that depth; true if it has to be cut off now and was not. */
static bool decide_level(struct op *op, uint32_t depth)
{
    struct recurse_state *s = op->state;
    for (uint32_t i = 0; i < s->levels[depth].count; i++)
        decide(op, s->levels[depth].queued[i], depth);
    if (depth >= s->cut || find_cut(s, depth) == NO_DEPTH)
        return false;
    s->cut = depth;
    return true;
}

static void run_round(struct op *op, uint32_t depth)
{
    struct recurse_state *s = op->state;
    uint64_t before = s->loop->rows_out;
    if (decide_level(op, depth)) {
        queue_level(s, depth); /* what was fed is taken back */
        (void)decide_level(op, depth);
    }
    struct level taken = s->levels[depth];
    s->levels[depth].queued = NULL;
    s->levels[depth].count = s->levels[depth].capacity = 0;
    for (uint32_t i = 0; i < taken.count; i++)
        feed(op, taken.queued[i], depth);
    free(taken.queued);
    op_flush(s->loop);
    for (uint32_t i = 0; i < s->body_count && s->loop->rows_out != before; i++)
        op_close(s->body[i]);
}

static void run_rounds(struct op *op)
{
    struct recurse_state *s = op->state;
    while (s->next < s->level_count && !op->graph->failure) {
        if (s->levels[s->next].count)
            run_round(op, s->next); /* queues at greater depths */
        else
            s->next++;
    }
    s->next = NO_DEPTH;
}

/* Moves the cut to where it belongs now that all depths are complete; true if there are rounds to run again. */
static bool move_cut(struct recurse_state *s)
{
    uint32_t before = s->cut, cut = find_cut(s, NO_DEPTH);
    if (cut == before)
        return false;
    s->cut = cut;
    if (before != NO_DEPTH)
        queue_level(s, before);
    if (cut != NO_DEPTH)
        queue_level(s, cut);
    return true;
}

/* ---- and go out ---- */

/* The cell whose row stands for the member; NULL: it is not in the result. *weight: how often it is. */
static const struct cell *shown(const struct member *m, int64_t *weight)
{
    const struct cell *first = NULL;
    *weight = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        if (!m->cells[i].fed)
            continue;
        first = first ? first : &m->cells[i];
        weight_add(weight, m->cells[i].fed);
    }
    return first;
}

static void put_row(struct op *op, const uint8_t *row, uint32_t row_len, int64_t weight)
{
    if (!weight)
        return;
    uint32_t r = op_out_row(op, weight);
    ASSERT(row_decode_at(op->out, r, 0, &op->node->schema, row, row_len));
}

static void put_out(struct op *op, const struct member *m)
{
    int64_t weight;
    const struct cell *c = shown(m, &weight);
    bool same = c && m->out && c->row_len == m->out_len && memcmp(c->row, m->out_row, c->row_len) == 0;
    if (same) {
        put_row(op, c->row, c->row_len, weight - m->out);
        return;
    }
    put_row(op, m->out_row, m->out_len, -m->out);
    if (c)
        put_row(op, c->row, c->row_len, weight);
}

static void drop_cells(struct recurse_state *s, struct member *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        struct cell *c = &m->cells[i];
        if (c->count || c->want || c->fed || c->left_out || c->queued) {
            m->cells[kept++] = *c;
        } else if (s->looks) {
            s->bytes -= c->row_len;
            free(c->row);
        }
    }
    m->count = kept;
}

static void member_free(const struct recurse_state *s, struct member *m)
{
    for (uint32_t i = 0; s->looks && i < m->count; i++)
        free(m->cells[i].row);
    if (s->looks)
        free(m->out_row);
    else if (!s->all)
        free(m->row);
    free(m->cells);
    free(m);
}

/* Notes what was put out, and forgets what is no more. Nothing refers to rows any longer. */
static void settle(struct recurse_state *s, struct member *m)
{
    const struct cell *c = shown(m, &m->out);
    m->dirty = false;
    if (s->looks) {
        s->bytes -= m->out_len;
        free(m->out_row);
        m->out_row = c ? xmalloc(c->row_len + 1) : NULL;
        if (c)
            memcpy(m->out_row, c->row, c->row_len);
        s->bytes += c ? c->row_len : 0;
    } else {
        m->out_row = c ? c->row : NULL;
    }
    m->out_len = c ? c->row_len : 0;
    drop_cells(s, m);
    if (m->count)
        return;
    bytemap_remove(&s->members, &m->map);
    s->bytes -= sizeof *m + m->map.key_len + m->capacity * sizeof *m->cells;
    s->bytes -= s->all || s->looks ? 0 : m->row_len;
    member_free(s, m);
}

static void recurse_close(struct op *op)
{
    struct recurse_state *s = op->state;
    do
        run_rounds(op);
    while (!op->graph->failure && move_cut(s));
    if (op->graph->failure)
        return; /* the epoch is given up */
    for (uint32_t i = 0; i < s->dirty_count; i++)
        put_out(op, s->dirty[i]);
    op_flush(op);
    for (uint32_t i = 0; i < s->dirty_count; i++)
        settle(s, s->dirty[i]);
    s->dirty_count = 0;
}

/* ---- the operators ---- */

static void find_body(struct op *op)
{
    struct recurse_state *s = op->state;
    uint32_t first = s->loop->node->id, last = op->node->id;
    bool *depends = xcalloc(last - first + 1, sizeof *depends);
    s->body = xcalloc(last - first + 1, sizeof(struct op *));
    depends[0] = true;
    for (uint32_t i = first + 1; i < last; i++) {
        struct op *o = &op->graph->ops[i];
        for (uint32_t k = 0; k < o->node->input_count; k++) {
            uint32_t in = o->node->inputs[k]->id;
            depends[i - first] |= in >= first && depends[in - first];
        }
        if (depends[i - first])
            s->body[s->body_count++] = o;
    }
    free(depends);
}

static void recurse_open(struct op *op)
{
    struct recurse_state *s = xcalloc(1, sizeof *s);
    const struct schema *schema = &op->node->schema;
    const struct graph_env *env = &op->graph->env;
    s->column_count = schema->column_count;
    s->all = op->node->u.recurse.all;
    s->key = xcalloc(s->column_count, sizeof *s->key);
    for (uint32_t c = 0; c < s->column_count; c++) {
        s->key[c].column = c;
        s->looks |= !s->all && type_has_looks(schema->columns[c].type.id);
    }
    s->rounds_max = env->recursion_rounds ? env->recursion_rounds : RECURSION_ROUNDS_MAX;
    s->bytes_max = (int64_t)(env->recursion_bytes ? env->recursion_bytes : RECURSION_BYTES_MAX);
    s->cut = s->next = NO_DEPTH;
    s->loop = &op->graph->ops[op->node->u.recurse.loop->id];
    s->one = batch_new(s->column_count);
    bytemap_init(&s->members);
    op->state = s;
    find_body(op);
}

static void recurse_fini(struct op *op)
{
    struct recurse_state *s = op->state;
    struct bytemap_entry *e;
    for (size_t at = 0; (e = bytemap_next(&s->members, &at));)
        member_free(s, (struct member *)e);
    for (uint32_t d = 0; d < s->level_count; d++)
        free(s->levels[d].queued);
    bytemap_fini(&s->members);
    batch_free(s->one);
    buf_fini(&s->key_bytes);
    buf_fini(&s->row);
    free(s->levels);
    free(s->dirty);
    free(s->body);
    free(s->key);
    free(s);
}

static size_t recurse_bytes(const struct op *op)
{
    const struct recurse_state *s = op->state;
    return s->bytes + bytemap_bytes(&s->members) + s->level_count * sizeof *s->levels;
}

static uint64_t recurse_rows(const struct op *op)
{
    const struct recurse_state *s = op->state;
    return s->members.count;
}

const struct op_class op_class_recurse = {"recurse",    recurse_open,  recurse_push, recurse_close,
                                          recurse_fini, recurse_bytes, recurse_rows, NULL};

static void loop_open(struct op *op)
{
    (void)op; /* it says what its recursion gives it to say */
}

static void loop_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)op, (void)input, (void)b;
    PANIC("a loop has no input");
}

static void loop_close(struct op *op)
{
    (void)op;
}

const struct op_class op_class_loop = {"loop", loop_open, loop_push, loop_close, loop_open, NULL, NULL, NULL};
