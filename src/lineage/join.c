/* Joins: the side that is restricted more is read first, and its keys restrict the other; see impl.h. */
#include "lineage/impl.h"

#define ESTIMATE_NODES 100

struct key_rows { /* right rows of one key */
    struct bytemap_entry map;
    uint32_t count, capacity;
    uint32_t *rows;
};
struct join {
    struct question *q;
    const struct plan_node *n;
    enum join_kind kind;
    uint32_t left_columns, right_columns;
    struct rows left, right;
    struct bytemap *by_key; /* of the right rows */
    bool *right_matched;
    struct residual *residual;
    struct buf mine, other;
    struct rows out;
};

static const struct schema *side_schema(const struct join *j, bool right)
{
    return &j->n->inputs[right]->schema;
}

/* ---- reading both sides ---- */

/* Which column of a side each column of the output is, also through the join's keys. */
static void side_columns(const struct join *j, bool right, uint32_t *to)
{
    uint32_t columns = j->left_columns + (join_outputs_left(j->kind) ? 0 : j->right_columns);
    for (uint32_t c = 0; c < columns; c++) {
        bool is_right = c >= j->left_columns;
        to[c] = is_right == right ? (is_right ? c - j->left_columns : c) : KEYSET_NO_COLUMN;
        for (uint32_t k = 0; k < j->n->u.join.key_count && is_right != right; k++) {
            uint32_t mine =
                is_right ? j->left_columns + j->n->u.join.right_keys[k] : j->n->u.join.left_keys[k];
            if (mine == c)
                to[c] = right ? j->n->u.join.right_keys[k] : j->n->u.join.left_keys[k];
        }
    }
    if (j->kind == JOIN_MARK)
        to[j->left_columns] = KEYSET_NO_COLUMN;
}

/* Rows without a partner are padded with NULLs: what is known of a column that is not NULL says nothing of them. */
static void side_restriction(struct join *j, const struct restriction *r, bool right, struct restriction *out)
{
    uint32_t columns = j->left_columns + (join_outputs_left(j->kind) ? 0 : j->right_columns);
    uint32_t *to = ARENA_ARRAY(j->q->arena, uint32_t, columns + 1);
    bool inner = j->kind == JOIN_INNER || (join_outputs_left(j->kind) && !right);
    side_columns(j, right, to);
    restriction_move(j->q, r, columns + (j->kind == JOIN_MARK), to, inner, out);
}

/* The keys of one side's rows as a restriction of the other side. */
static void restrict_by_keys(struct join *j, const struct rows *rows, bool of_right, struct restriction *r)
{
    const struct plan_node *n = j->n;
    const uint32_t *from = of_right ? n->u.join.right_keys : n->u.join.left_keys;
    const uint32_t *to = of_right ? n->u.join.left_keys : n->u.join.right_keys;
    if (!n->u.join.key_count || j->q->loop_count)
        return;
    struct keyset s = keyset_new(j->q, n->u.join.key_count, to);
    for (size_t i = 0; i < rows->count && spend(j->q, 0); i++)
        keyset_add(j->q, &s, side_schema(j, of_right), &rows->items[i], from);
    if (!is_cut(j->q))
        restriction_add(r, &s);
}

/* Of the tables below; of the first `budget` nodes alone, as the plan is a graph. */
static uint64_t estimate(struct question *q, const struct plan_node *n, uint32_t *budget)
{
    uint64_t rows = n->kind == PLAN_TABLE ? table_entries(q, n) : 0;
    for (uint32_t i = 0; i < n->input_count && *budget; i++) {
        --*budget;
        rows += estimate(q, n->inputs[i], budget);
    }
    return rows;
}

/* Only rows of the left side that has all of its rows may restrict the right one, and the other way round. */
static bool right_first(struct join *j, const struct restriction *left, const struct restriction *right)
{
    switch (j->kind) {
    case JOIN_INNER:
        if ((left->count > 0) != (right->count > 0))
            return right->count > 0;
        return estimate(j->q, j->n->inputs[1], &(uint32_t){ESTIMATE_NODES}) <
               estimate(j->q, j->n->inputs[0], &(uint32_t){ESTIMATE_NODES});
    case JOIN_RIGHT: return true;
    default: return false;
    }
}

static void read_sides(struct join *j, const struct restriction *r)
{
    struct restriction left, right;
    side_restriction(j, r, false, &left);
    side_restriction(j, r, true, &right);
    bool swapped = right_first(j, &left, &right);
    struct rows *first = swapped ? &j->right : &j->left, *second = swapped ? &j->left : &j->right;
    struct restriction *first_r = swapped ? &right : &left, *second_r = swapped ? &left : &right;
    *first = rows_of(j->q, j->n->inputs[swapped], first_r);
    if (j->kind != JOIN_FULL)
        restrict_by_keys(j, first, swapped, second_r);
    *second = rows_of(j->q, j->n->inputs[!swapped], second_r);
}

/* ---- matching ---- */

/* False: a NULL, which equals nothing. */
static bool join_key(const struct join *j, bool right, const struct row *row, struct buf *b)
{
    const uint32_t *keys = right ? j->n->u.join.right_keys : j->n->u.join.left_keys;
    buf_reset(b);
    for (uint32_t k = 0; k < j->n->u.join.key_count; k++) {
        if (row->states[keys[k]] != VAL_OK && !j->n->u.join.null_safe[k])
            return false;
        key_put(b, side_schema(j, right)->columns[keys[k]].type.id, &row->vals[keys[k]], row->states[keys[k]],
                false, false);
    }
    return true;
}

static void index_right(struct join *j)
{
    j->by_key = map_new(j->q);
    for (size_t i = 0; i < j->right.count; i++) {
        if (!join_key(j, true, &j->right.items[i], &j->mine))
            continue;
        uint64_t hash = hash_bytes(j->mine.p, j->mine.len);
        struct key_rows *k = (struct key_rows *)bytemap_find(j->by_key, hash, j->mine.p, j->mine.len);
        if (!k) {
            k = ARENA_NEW(j->q->arena, struct key_rows);
            k->map = (struct bytemap_entry){hash, arena_memdup(j->q->arena, j->mine.p, j->mine.len),
                                            (uint32_t)j->mine.len};
            bytemap_insert(j->by_key, &k->map);
        }
        if (k->count == k->capacity) {
            k->capacity = k->capacity ? k->capacity * 2 : 2;
            uint32_t *rows = ARENA_ARRAY(j->q->arena, uint32_t, k->capacity);
            if (k->count)
                memcpy(rows, k->rows, k->count * sizeof *rows);
            k->rows = rows;
        }
        k->rows[k->count++] = (uint32_t)i;
    }
}

static int compare_bytes(const struct buf *a, const struct buf *b)
{
    size_t least = a->len < b->len ? a->len : b->len;
    int c = least ? memcmp(a->p, b->p, least) : 0;
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static bool range_holds(struct join *j, const struct row *l, const struct row *r)
{
    const struct plan_range *range = &j->n->u.join.ranges[0];
    if (!j->n->u.join.range_count)
        return true;
    if (l->states[range->left] != VAL_OK || r->states[range->right] != VAL_OK)
        return false;
    buf_reset(&j->mine);
    buf_reset(&j->other);
    key_put(&j->mine, side_schema(j, false)->columns[range->left].type.id, &l->vals[range->left], VAL_OK,
            false, false);
    key_put(&j->other, side_schema(j, true)->columns[range->right].type.id, &r->vals[range->right], VAL_OK,
            false, false);
    int c = compare_bytes(&j->mine, &j->other);
    switch (range->op) {
    case COMPARE_LT: return c < 0;
    case COMPARE_LE: return c <= 0;
    case COMPARE_GT: return c > 0;
    case COMPARE_GE: return c >= 0;
    default: return false;
    }
}

static enum residual_answer match(struct join *j, const struct row *l, const struct row *r)
{
    if (!range_holds(j, l, r))
        return RESIDUAL_FALSE;
    return j->residual ? residual_ask(j->residual, l, j->left_columns, r, j->right_columns) : RESIDUAL_TRUE;
}

/* ---- output ---- */

static void put_side(const struct row *row, uint32_t columns, struct row *to, uint32_t at)
{
    for (uint32_t c = 0; c < columns; c++) {
        to->states[at + c] = row ? row->states[c] : (uint8_t)VAL_NULL;
        if (row)
            to->vals[at + c] = row->vals[c];
    }
}

static const char *absence(struct join *j, bool of_right)
{
    return arena_printf(j->q->arena,
                        "no row of %s has the join's condition: an outer join shows NULLs for it",
                        tables_below(j->q, j->n->inputs[of_right]));
}

static void put_pair(struct join *j, const struct row *l, const struct row *r)
{
    struct question *q = j->q;
    if (!spend(q, 1))
        return;
    struct row *row = rows_add(q, &j->out, j->n->schema.column_count);
    put_side(l, j->left_columns, row, 0);
    put_side(r, j->right_columns, row, j->left_columns);
    row->weight = (l ? l->weight : 1) * (r ? r->weight : 1);
    struct made *lm = l ? l->made : made_note(q, absence(j, false));
    row->made = made_of(q, lm, r ? r->made : made_note(q, absence(j, true)));
}

/* Semi, anti and mark joins: the left row, by what it has met. */
static void put_left(struct join *j, const struct row *l, struct made *matches, bool matched, bool unknown)
{
    struct question *q = j->q;
    if ((j->kind == JOIN_SEMI && !matched) || (j->kind == JOIN_ANTI && matched) || !spend(q, 1))
        return;
    struct row *row = rows_add(q, &j->out, j->n->schema.column_count);
    put_side(l, j->left_columns, row, 0);
    row->weight = l->weight;
    row->made = l->made;
    if (matched)
        row->made = made_of(q, l->made, matches);
    else
        row->made =
            made_of(q, l->made,
                    made_note(q, arena_printf(q->arena, "no row of %s matches the subquery's condition",
                                              tables_below(q, j->n->inputs[1]))));
    if (j->kind == JOIN_MARK) {
        row->states[j->left_columns] = !matched && unknown && j->n->u.join.three_valued ? VAL_NULL : VAL_OK;
        row->vals[j->left_columns].i = matched;
    }
}

static void join_left_row(struct join *j, const struct row *l)
{
    const struct key_rows *k = NULL;
    bool matched = false, unknown = false, left_only = join_outputs_left(j->kind);
    struct made *matches = left_only ? made_list(j->q) : NULL;
    if (join_key(j, false, l, &j->mine))
        k = (const struct key_rows *)bytemap_find(j->by_key, hash_bytes(j->mine.p, j->mine.len), j->mine.p,
                                                  j->mine.len);
    for (uint32_t i = 0; k && i < k->count && spend(j->q, 1); i++) {
        const struct row *r = &j->right.items[k->rows[i]];
        enum residual_answer a = match(j, l, r);
        unknown |= a == RESIDUAL_NULL;
        if (a != RESIDUAL_TRUE)
            continue;
        matched = true;
        if (j->right_matched)
            j->right_matched[k->rows[i]] = true;
        if (left_only)
            made_add(j->q, matches, r->made);
        else
            put_pair(j, l, r);
    }
    if (left_only)
        put_left(j, l, matches, matched, unknown);
    else if (!matched && (j->kind == JOIN_LEFT || j->kind == JOIN_FULL))
        put_pair(j, l, NULL);
}

struct rows join_rows(struct question *q, const struct plan_node *n, const struct restriction *r)
{
    struct join j = {.q = q, .n = n, .kind = n->u.join.kind};
    j.left_columns = n->inputs[0]->schema.column_count;
    j.right_columns = n->inputs[1]->schema.column_count;
    read_sides(&j, r);
    index_right(&j);
    if (n->u.join.residual)
        j.residual = residual_new(n->u.join.residual, j.left_columns + j.right_columns);
    if (j.kind == JOIN_RIGHT || j.kind == JOIN_FULL)
        j.right_matched = ARENA_ARRAY(q->arena, bool, j.right.count + 1);
    for (size_t i = 0; i < j.left.count && !is_cut(q); i++)
        join_left_row(&j, &j.left.items[i]);
    for (size_t i = 0; j.right_matched && i < j.right.count && !is_cut(q); i++)
        if (!j.right_matched[i])
            put_pair(&j, NULL, &j.right.items[i]);
    residual_free(j.residual);
    buf_fini(&j.mine);
    buf_fini(&j.other);
    return j.out;
}
