/* Join: bilinear over the changes, with one hash index per side.
 *
 * A change to one side meets the other side's present rows, then becomes part of its own side; processed one
 * batch at a time, the sum of what is emitted is exactly the change of the join (dL x R + L' x dR).
 *
 * Outer joins keep for every row of a preserved side the weight of its matches (those that pass the residual):
 * when it becomes positive the NULL-padded row is taken back, when it falls to zero it is put out again. Rows with a
 * NULL in the key match nothing (but where the key is compared with IS NOT DISTINCT FROM): inner sides drop them,
 * preserved sides pass them padded, stateless.
 *
 * Semi, anti and mark joins put out rows of the left side alone, by whether they have matches; these counts are all that they keep
 * of the matching. A mark may have three values: it is NULL while no pair matches but the residual is NULL for some. */
#include "base/hash.h"
#include "ops/eval.h"
#include "ops/join_side.h"
#include "ops/op_errors.h"

#include <stdlib.h>
#include <string.h>

struct join_state {
    struct join_side side[2];
    enum join_kind kind;
    bool left_only;                   /* semi, anti or mark join */
    struct eval *residual;            /* NULL: none */
    struct batch *candidates;         /* pairs under test of the residual: left ++ right columns */
    struct join_row **candidate_rows; /* the other side's row of each candidate */
    struct schema both;               /* of the pairs; owned columns */
    struct buf key, row, range;
    bool has_range;
    struct join_bounds bounds;   /* of the row at hand */
    struct join_row **graveyard; /* rows that left the state but that pending output may still refer to */
    uint32_t grave_count, grave_capacity;
};

/* Frees it once what was put out of it was read. */
static void bury(struct join_state *s, struct join_row *row)
{
    if (s->grave_count == s->grave_capacity) {
        s->grave_capacity = s->grave_capacity ? s->grave_capacity * 2 : 64;
        s->graveyard = xrealloc(s->graveyard, s->grave_capacity * sizeof(struct join_row *));
    }
    s->graveyard[s->grave_count++] = row;
}

/* ---- output ---- */

static void put_nulls(struct op *op, uint32_t r, const struct join_side *s)
{
    for (uint32_t c = 0; c < s->schema->column_count; c++)
        op->out->cols[s->offset + c].state[r] = VAL_NULL;
}

static void put_batch_row(struct batch *to, uint32_t r, const struct join_side *s, const struct batch *b,
                          uint32_t from)
{
    for (uint32_t c = 0; c < s->schema->column_count; c++) {
        to->cols[s->offset + c].v[r] = b->cols[c].v[from];
        to->cols[s->offset + c].state[r] = b->cols[c].state[from];
    }
}

/* Decodes a state row into row r of `to`; strings borrow from the state row. */
static void put_state_row(struct batch *to, uint32_t r, const struct join_side *s, const struct join_row *row)
{
    ASSERT(row_decode_at(to, r, s->offset, s->schema, row->bytes, row->len));
}

/* Weights multiply in a join; one that no longer fits is a broken invariant, not a row to be wrong about. */
static int64_t weight_product(int64_t a, int64_t b)
{
    int64_t product;
    ASSERT(!__builtin_mul_overflow(a, b, &product));
    return product;
}

static void emit_padded_batch_row(struct op *op, struct join_side *mine, struct join_side *other,
                                  const struct batch *b, uint32_t r, int64_t weight)
{
    uint32_t n = op_out_row(op, weight);
    put_batch_row(op->out, n, mine, b, r);
    put_nulls(op, n, other);
}

static void emit_padded_state_row(struct op *op, struct join_side *of, struct join_side *other,
                                  const struct join_row *row, int64_t weight)
{
    uint32_t n = op_out_row(op, weight);
    put_state_row(op->out, n, of, row);
    put_nulls(op, n, other);
}

static void emit_pair(struct op *op, struct join_side *mine, struct join_side *other, const struct batch *b,
                      uint32_t r, const struct join_row *row, int64_t weight)
{
    uint32_t n = op_out_row(op, weight);
    put_batch_row(op->out, n, mine, b, r);
    put_state_row(op->out, n, other, row);
}

/* ---- semi, anti and mark joins ---- */

struct match { /* what a left row has met */
    int64_t matches, unknown;
};
enum verdict { OUT, IN_FALSE, IN_NULL, IN_TRUE }; /* put out or not, and under which mark */

static enum verdict verdict_of(const struct join_state *s, struct match m)
{
    switch (s->kind) {
    case JOIN_SEMI: return m.matches > 0 ? IN_TRUE : OUT;
    case JOIN_ANTI: return m.matches > 0 ? OUT : IN_TRUE;
    default: return m.matches > 0 ? IN_TRUE : m.unknown > 0 ? IN_NULL : IN_FALSE;
    }
}

static void put_mark(struct op *op, uint32_t r, const struct join_side *left, enum verdict v)
{
    const struct join_state *s = op->state;
    if (s->kind != JOIN_MARK)
        return;
    struct vec *mark = &op->out->cols[left->schema->column_count];
    mark->state[r] = v == IN_NULL ? VAL_NULL : VAL_OK;
    mark->v[r].i = v == IN_TRUE;
}

static void emit_left_batch_row(struct op *op, struct join_side *left, const struct batch *b, uint32_t r,
                                struct match m)
{
    enum verdict v = verdict_of(op->state, m);
    if (v == OUT)
        return;
    uint32_t n = op_out_row(op, b->weight[r]);
    put_batch_row(op->out, n, left, b, r);
    put_mark(op, n, left, v);
}

static void emit_left_state_row(struct op *op, struct join_side *left, const struct join_row *row,
                                enum verdict v, int64_t weight)
{
    if (v == OUT)
        return;
    uint32_t n = op_out_row(op, weight);
    put_state_row(op->out, n, left, row);
    put_mark(op, n, left, v);
}

/* A left row gains matches, or pairs that are unknown. */
static void meet_left_row(struct op *op, struct join_side *left, struct join_row *row, struct match more)
{
    enum verdict before = verdict_of(op->state, (struct match){row->matches, row->unknown});
    weight_add(&row->matches, more.matches);
    weight_add(&row->unknown, more.unknown);
    enum verdict after = verdict_of(op->state, (struct match){row->matches, row->unknown});
    if (before == after)
        return;
    emit_left_state_row(op, left, row, before, -row->weight);
    emit_left_state_row(op, left, row, after, row->weight);
}

/* ---- pairs ---- */

/* The other side's row gains w in matches; says so when it crosses zero. */
static void match_state_row(struct op *op, struct join_side *mine, struct join_side *other,
                            struct join_row *row, int64_t w)
{
    int64_t before = row->matches;
    weight_add(&row->matches, w);
    if (before <= 0 && row->matches > 0)
        emit_padded_state_row(op, other, mine, row, -row->weight);
    else if (before > 0 && row->matches <= 0)
        emit_padded_state_row(op, other, mine, row, row->weight);
}

/* One matching pair of a change and a state row. */
static void join_pair(struct op *op, struct join_side *mine, struct join_side *other, const struct batch *b,
                      uint32_t r, struct join_row *row)
{
    const struct join_state *s = op->state;
    int64_t w = b->weight[r];
    if (s->left_only) {
        if (other->preserved)
            meet_left_row(op, other, row, (struct match){w, 0});
        return;
    }
    emit_pair(op, mine, other, b, r, row, weight_product(w, row->weight));
    if (other->preserved)
        match_state_row(op, mine, other, row, w);
}

/* The residual is NULL for a pair. */
static void unknown_pair(struct op *op, struct join_side *other, const struct batch *b, uint32_t r,
                         struct join_row *row, struct match *sum)
{
    if (!op->node->u.join.three_valued)
        return;
    weight_add(&sum->unknown, row->weight);
    if (other->preserved)
        meet_left_row(op, other, row, (struct match){0, b->weight[r]});
}

/* Tests the residual for up to BATCH_ROWS candidates; adds up the weight of those that pass. */
static void test_candidates(struct op *op, struct join_side *mine, struct join_side *other,
                            const struct batch *b, uint32_t r, struct match *sum)
{
    struct join_state *s = op->state;
    struct vec pass = eval_run(s->residual, s->candidates);
    bool any_failed = false;
    for (uint32_t i = 0; i < s->candidates->row_count; i++) {
        struct join_row *row = s->candidate_rows[i];
        if (pass.state[i] == VAL_ERROR) {
            any_failed = true;
        } else if (pass.state[i] == VAL_OK && pass.v[i].i) {
            weight_add(&sum->matches, row->weight);
            join_pair(op, mine, other, b, r, row);
        } else if (pass.state[i] == VAL_NULL) {
            unknown_pair(op, other, b, r, row, sum);
        }
    }
    for (uint32_t i = 0; any_failed && i < s->candidates->row_count; i++)
        if (pass.state[i] == VAL_ERROR)
            op_row_failed_times(op, s->residual, &s->both, s->candidates, i,
                                weight_product(b->weight[r], s->candidate_rows[i]->weight));
    batch_reset(s->candidates, s->candidates->column_count);
}

static struct match join_row_residual(struct op *op, struct join_side *mine, struct join_side *other,
                                      const struct batch *b, uint32_t r, struct join_key *k)
{
    struct join_state *s = op->state;
    struct match sum = {0, 0};
    struct join_iterator it = key_rows(k, s->has_range ? &s->bounds : NULL);
    for (struct join_row *row; (row = next_row(&it));) {
        uint32_t n = s->candidates->row_count++;
        put_batch_row(s->candidates, n, mine, b, r);
        put_state_row(s->candidates, n, other, row);
        s->candidate_rows[n] = row;
        if (batch_full(s->candidates))
            test_candidates(op, mine, other, b, r, &sum);
    }
    if (s->candidates->row_count)
        test_candidates(op, mine, other, b, r, &sum);
    return sum;
}

/* Joins row r of the change with the other side; returns the weight of its matches. */
static struct match join_with_other(struct op *op, struct join_side *mine, struct join_side *other,
                                    const struct batch *b, uint32_t r, uint64_t hash)
{
    struct join_state *s = op->state;
    struct join_key *k = side_key(other, hash, &s->key, false);
    struct match sum = {0, 0};
    if (!k)
        return sum;
    if (s->has_range)
        bounds_of(&s->bounds, op, mine == &s->side[1], mine, b, r);
    if (s->residual)
        return join_row_residual(op, mine, other, b, r, k);
    struct join_iterator it = key_rows(k, s->has_range ? &s->bounds : NULL);
    for (struct join_row *row; (row = next_row(&it));) {
        weight_add(&sum.matches, row->weight);
        join_pair(op, mine, other, b, r, row);
    }
    return sum;
}

/* Row r becomes part of (or leaves) its own side. */
static void keep_row(struct join_state *s, struct join_side *mine, const struct batch *b, uint32_t r,
                     uint64_t hash, struct match met)
{
    struct join_key *k = side_key(mine, hash, &s->key, true);
    buf_reset(&s->row);
    row_encode_vecs(&s->row, mine->schema, b->cols, r);
    uint32_t row_hash = (uint32_t)hash_bytes(s->row.p, s->row.len);
    struct join_row *row = key_find_row(k, row_hash, &s->row);
    if (!row) {
        buf_reset(&s->range);
        key_encode_vecs(&s->range, mine->schema, b->cols, r, mine->range, s->has_range);
        row = key_add_row(mine, k, row_hash, &s->row, &s->range);
        row->matches = met.matches;
        row->unknown = met.unknown;
    }
    weight_add(&row->weight, b->weight[r]);
    if (row->weight)
        return;
    key_remove_row(mine, k, row);
    bury(s, row);
}

/* Such a row matches nothing. */
static bool key_has_null(const struct join_side *s, const struct batch *b, uint32_t r)
{
    for (uint32_t i = 0; i < s->key_count; i++)
        if (b->cols[s->columns[i]].state[r] == VAL_NULL && !s->null_safe[i])
            return true;
    for (uint32_t i = 0; i < s->range_count; i++)
        if (b->cols[s->range[i].column].state[r] == VAL_NULL)
            return true;
    return false;
}

/* What a preserved side's row puts out for itself. */
static void emit_own(struct op *op, struct join_side *mine, struct join_side *other, const struct batch *b,
                     uint32_t r, struct match met)
{
    const struct join_state *s = op->state;
    if (s->left_only)
        emit_left_batch_row(op, mine, b, r, met);
    else if (met.matches <= 0)
        emit_padded_batch_row(op, mine, other, b, r, b->weight[r]);
}

static void join_push(struct op *op, uint32_t input, const struct batch *b)
{
    struct join_state *s = op->state;
    struct join_side *mine = &s->side[input], *other = &s->side[!input];
    for (uint32_t r = 0; r < b->row_count; r++) {
        if (key_has_null(mine, b, r)) {
            if (mine->preserved)
                emit_own(op, mine, other, b, r, (struct match){0, 0});
            continue;
        }
        buf_reset(&s->key);
        key_encode_vecs(&s->key, mine->schema, b->cols, r, mine->key, mine->key_count);
        uint64_t hash = hash_bytes(s->key.p, s->key.len);
        struct match met = join_with_other(op, mine, other, b, r, hash);
        if (mine->preserved)
            emit_own(op, mine, other, b, r, met);
        keep_row(s, mine, b, r, hash, met);
    }
    op_flush(op);
    while (s->grave_count)
        free(s->graveyard[--s->grave_count]);
}

static void make_both(struct join_state *s)
{
    const struct schema *l = s->side[0].schema, *r = s->side[1].schema;
    s->both.column_count = l->column_count + r->column_count;
    s->both.columns = xcalloc(s->both.column_count + 1, sizeof *s->both.columns);
    memcpy(s->both.columns, l->columns, l->column_count * sizeof *l->columns);
    memcpy(s->both.columns + l->column_count, r->columns, r->column_count * sizeof *r->columns);
}

static void join_open(struct op *op)
{
    struct join_state *s = xcalloc(1, sizeof *s);
    s->kind = op->node->u.join.kind;
    s->left_only = join_outputs_left(s->kind);
    s->has_range = op->node->u.join.range_count > 0;
    side_init(&s->side[0], op, 0);
    side_init(&s->side[1], op, 1);
    if (op->node->u.join.residual) {
        s->residual = eval_new(op->node->u.join.residual);
        s->candidates = batch_new(s->side[1].offset + s->side[1].schema->column_count);
        s->candidate_rows = xcalloc(BATCH_ROWS, sizeof(struct join_row *));
        make_both(s);
    }
    (void)buf_room(&s->key,
                   1); /* a cross join's key is empty, but has an address; so has a row without columns */
    (void)buf_room(&s->row, 1);
    op->state = s;
}

static void join_fini(struct op *op)
{
    struct join_state *s = op->state;
    side_fini(&s->side[0]);
    side_fini(&s->side[1]);
    eval_free(s->residual);
    batch_free(s->candidates);
    free(s->candidate_rows);
    free(s->both.columns);
    free(s->graveyard);
    buf_fini(&s->key);
    buf_fini(&s->row);
    buf_fini(&s->range);
    bounds_fini(&s->bounds);
    free(s);
}

static void join_close(struct op *op)
{
    (void)op; /* everything was said as it came */
}

static size_t join_bytes(const struct op *op)
{
    const struct join_state *s = op->state;
    size_t bytes = 0;
    for (int i = 0; i < 2; i++)
        bytes += s->side[i].bytes + bytemap_bytes(&s->side[i].keys);
    return bytes;
}

static uint64_t join_rows(const struct op *op)
{
    const struct join_state *s = op->state;
    return s->side[0].row_count + s->side[1].row_count;
}

const struct op_class op_class_join = {"join",    join_open,  join_push, join_close,
                                       join_fini, join_bytes, join_rows, NULL};
