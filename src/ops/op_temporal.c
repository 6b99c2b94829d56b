/* Temporal: compares a time of each row with the clock (plan/temporal.c says which comparisons come here).
 *
 * A row's answer changes when the clock's value reaches its key and again when it passes it, so the rows that can still
 * change are kept in the order of their keys, and an epoch that moves the clock's value looks at those between
 * the old value and the new one alone: work by what changes, not by what there is. A row whose key the value has
 * passed for good is dropped; it may still be taken back, by which time its answer is the one it left with.
 *
 * When the next change is due is found by trying the clock's expression at later and later times and then halving: about
 * a hundred evaluations, once for each epoch that changes the nearest key. Where the value may step back (months, zones)
 * it does so only at whole quarters of an hour, so nothing is foretold beyond the next one. */
#include "ops/op_errors.h"
#include "ops/ordmap.h"
#include "types/datetime_impl.h"

#include <stdlib.h>
#include <string.h>

#define UNIX_TO_PG_US (UNIX_TO_PG_SECS * 1000000)
#define QUARTER_US    INT64_C(900000000)
#define HORIZON_US    (INT64_C(200) * 366 * 86400 * 1000000) /* no timer is set for later than that */
#define TIME_KEY_LEN  9                                      /* marker and eight bytes: see data/key.h */

static struct column instant_columns[] = {{"now()", {T_TIMESTAMPTZ, -1}, true, NULL}};
static const struct schema instant_schema = {1, instant_columns};

enum place { BELOW, AT, ABOVE }; /* of a row's key, seen from the clock's value */

struct temporal_state {
    struct eval *key, *clock;
    struct batch *instant; /* one row, one column: now() */
    struct ordmap rows;    /* key ++ row, counted */
    enum type_id type;
    int64_t value;   /* of the clock's side in the epoch at hand */
    int64_t highest; /* that it ever was: it falls by less than the slack below that */
    uint64_t epoch;  /* that value was found for */
    bool has_value;
    int64_t due;      /* Unix microseconds; found for: */
    bool has_nearest; /* some key, */
    int64_t nearest;  /* this one, */
    bool passes;      /* by its being passed, not by its being reached */
    struct buf scratch;
};

/* ---- the clock's side ---- */

/* False when it has no value then (out of the type's range). */
static bool clock_at(struct temporal_state *s, int64_t unix_us, int64_t *out)
{
    s->instant->cols[0].v[0].i = unix_us - UNIX_TO_PG_US;
    struct vec v = eval_run(s->clock, s->instant);
    if (v.state[0] != VAL_OK)
        return false;
    *out = v.v[0].i;
    return true;
}

static enum place place_of(int64_t key, int64_t value)
{
    return key < value ? BELOW : key == value ? AT : ABOVE;
}

static bool holds(const struct op *op, enum place place)
{
    switch (op->node->u.temporal.op) {
    case COMPARE_LT: return place == BELOW;
    case COMPARE_LE: return place != ABOVE;
    case COMPARE_EQ: return place == AT;
    case COMPARE_NE: return place != AT;
    case COMPARE_GE: return place != BELOW;
    case COMPARE_GT: return place == ABOVE;
    }
    return false;
}

static void put_time(const struct temporal_state *s, struct buf *b, int64_t time)
{
    union val v = {.i = time};
    key_put(b, s->type, &v, VAL_OK, false, false);
    ASSERT(b->len == TIME_KEY_LEN);
}

/* The time that a key of the map begins with. */
static int64_t time_of(const struct ordmap_node *n)
{
    const uint8_t *p = ordmap_key(n) + 1;
    uint64_t u = 0;
    for (int i = 0; i < 8; i++)
        u = u << 8 | p[i];
    return (int64_t)(u ^ (UINT64_C(1) << 63));
}

/* ---- rows out ---- */

static void finish_row(struct op *op, uint32_t r, uint8_t state, bool answer)
{
    if (op->node->u.temporal.is_filter)
        return;
    uint32_t last = op->node->schema.column_count - 1;
    op->out->cols[last].state[r] = state;
    op->out->cols[last].v[r].i = answer;
}

static void put_stored(struct op *op, const struct ordmap_node *n, int64_t weight, bool answer)
{
    uint32_t r = op_out_row(op, weight);
    ASSERT(row_decode_at(op->out, r, 0, &op->node->inputs[0]->schema, ordmap_key(n) + TIME_KEY_LEN,
                         n->key_len - TIME_KEY_LEN));
    finish_row(op, r, VAL_OK, answer);
}

static void flip(struct op *op, const struct ordmap_node *n, bool to)
{
    if (op->node->u.temporal.is_filter) {
        put_stored(op, n, to ? n->count : -n->count, to);
        return;
    }
    put_stored(op, n, -n->count, !to);
    put_stored(op, n, n->count, to);
}

/* ---- the clock moves ---- */

/* No key below it can matter again. It never falls, so that a row is either kept or not from its coming to its going. */
static int64_t lowest_kept(const struct op *op)
{
    const struct temporal_state *s = op->state;
    int64_t least;
    return __builtin_sub_overflow(s->highest, op->node->u.temporal.slack, &least) ? INT64_MIN : least;
}

static void set_value(struct temporal_state *s, int64_t value)
{
    s->highest = !s->has_value || value > s->highest ? value : s->highest;
    s->value = value;
    s->has_value = true;
}

static bool may_change(const struct op *op, int64_t key)
{
    const struct temporal_state *s = op->state;
    if (op->node->u.temporal.steps_back)
        return key >= lowest_kept(op);
    enum place place = place_of(key, s->value);
    return place == ABOVE || (place == AT && holds(op, AT) != holds(op, BELOW));
}

/* Rows between the two values change; what the new one has passed for good goes. */
static void move_to(struct op *op, int64_t value)
{
    struct temporal_state *s = op->state;
    int64_t before = s->value, low = before < value ? before : value, high = before < value ? value : before;
    set_value(s, value);
    buf_reset(&s->scratch);
    put_time(s, &s->scratch, op->node->u.temporal.steps_back ? low : INT64_MIN);
    const struct ordmap_node *n = ordmap_seek(&s->rows, s->scratch.p, s->scratch.len);
    while (n && time_of(n) <= high) {
        const struct ordmap_node *next = n->next[0];
        int64_t key = time_of(n);
        bool was = holds(op, place_of(key, before)), is = holds(op, place_of(key, value));
        if (was != is)
            flip(op, n, is);
        n = next;
    }
    op_flush(op);
}

static void drop_passed(struct op *op)
{
    struct temporal_state *s = op->state;
    const struct ordmap_node *n;
    while ((n = s->rows.head[0]) && !may_change(op, time_of(n)))
        ordmap_add(&s->rows, ordmap_key(n), n->key_len, NULL, 0, -n->count);
}

/* To the epoch's time, before any row of the epoch is looked at. */
static void keep_time(struct op *op)
{
    struct temporal_state *s = op->state;
    int64_t value;
    if (s->epoch == op->graph->epoch && s->has_value)
        return;
    s->epoch = op->graph->epoch;
    if (!clock_at(s, op->graph->clock_us, &value))
        return; /* out of its type's range: every row is an error, or the clock stands still at the end */
    if (!s->has_value) {
        set_value(s, value);
    } else if (value != s->value) {
        move_to(op, value);
        drop_passed(op);
    }
}

/* ---- rows in ---- */

static void keep_row(struct op *op, const struct batch *b, uint32_t r, int64_t key)
{
    struct temporal_state *s = op->state;
    buf_reset(&s->scratch);
    put_time(s, &s->scratch, key);
    row_encode_vecs(&s->scratch, &op->node->inputs[0]->schema, b->cols, r);
    ordmap_add(&s->rows, s->scratch.p, s->scratch.len, NULL, 0, b->weight[r]);
}

static void pass_row(struct op *op, const struct batch *b, uint32_t r, uint8_t state, bool answer)
{
    uint32_t n = op_out_row(op, b->weight[r]);
    for (uint32_t c = 0; c < b->column_count; c++) {
        op->out->cols[c].v[n] = b->cols[c].v[r];
        op->out->cols[c].state[n] = b->cols[c].state[r];
    }
    finish_row(op, n, state, answer);
}

static void temporal_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)input;
    struct temporal_state *s = op->state;
    keep_time(op);
    bool all = !op->node->u.temporal.is_filter, any_failed = false;
    struct vec keys = eval_run(s->key, b);
    for (uint32_t r = 0; r < b->row_count; r++) {
        bool answer = false;
        if (keys.state[r] == VAL_ERROR || !s->has_value) {
            any_failed = true;
            continue;
        }
        if (keys.state[r] == VAL_OK) {
            int64_t key = keys.v[r].i;
            answer = holds(op, place_of(key, s->value));
            if (may_change(op, key))
                keep_row(op, b, r, key);
        }
        if (all || answer)
            pass_row(op, b, r, keys.state[r], answer);
    }
    op_flush(op);
    for (uint32_t r = 0; any_failed && r < b->row_count; r++)
        if (!s->has_value)
            op_row_failed_by(op, s->clock, &instant_schema, s->instant, b, r);
        else if (keys.state[r] == VAL_ERROR)
            op_row_failed(op, s->key, &op->node->inputs[0]->schema, b, r);
}

/* ---- when the next row changes ---- */

/* True once a row with this key has changed by the clock's going on to the time. */
static bool has_changed(struct temporal_state *s, int64_t unix_us, int64_t key, bool passes)
{
    int64_t value;
    return clock_at(s, unix_us, &value) && (passes ? value > key : value >= key);
}

/* First microsecond after `from`, up to `to`, at which it has; INT64_MAX if at none. The value does not fall between. */
static int64_t first_change(struct temporal_state *s, int64_t from, int64_t to, int64_t key, bool passes)
{
    int64_t low = from, step = 1000;
    while (low + step < to && !has_changed(s, low + step, key, passes)) {
        low += step;
        step *= 2;
    }
    int64_t high = low + step < to ? low + step : to;
    if (!has_changed(s, high, key, passes))
        return INT64_MAX;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (has_changed(s, middle, key, passes))
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* The nearest key that a rising value will change: the value's own when passing it matters, else the next one above. */
static const struct ordmap_node *nearest(struct op *op, bool *passes)
{
    struct temporal_state *s = op->state;
    buf_reset(&s->scratch);
    put_time(s, &s->scratch, s->value);
    const struct ordmap_node *n = ordmap_seek(&s->rows, s->scratch.p, s->scratch.len);
    bool at_matters = holds(op, AT) != holds(op, BELOW);
    while (n && time_of(n) == s->value && !at_matters)
        n = n->next[0];
    *passes = n && (time_of(n) == s->value || holds(op, AT) == holds(op, ABOVE));
    return n;
}

static void find_due(struct op *op)
{
    struct temporal_state *s = op->state;
    bool passes, steps = op->node->u.temporal.steps_back;
    int64_t now = op->graph->clock_us, end = now + HORIZON_US;
    const struct ordmap_node *n = s->has_value ? nearest(op, &passes) : NULL;
    if (steps)
        end = (now / QUARTER_US + 1) * QUARTER_US;
    if (!n) {
        s->due = steps && s->rows.count ? end : INT64_MAX;
        s->has_nearest = false;
        return;
    }
    int64_t key = time_of(n);
    bool same = s->has_nearest && s->nearest == key && s->passes == passes && s->due > now;
    if (same && !steps)
        return;
    s->due = first_change(s, now, end, key, passes);
    if (s->due == INT64_MAX && steps)
        s->due = end;
    s->has_nearest = true;
    s->nearest = key;
    s->passes = passes;
}

static void temporal_close(struct op *op)
{
    keep_time(op);
    find_due(op);
}

int64_t op_temporal_due(const struct op *op)
{
    const struct temporal_state *s = op->state;
    return s->due;
}

/* ---- making and ending ---- */

static void temporal_open(struct op *op)
{
    struct temporal_state *s = xcalloc(1, sizeof *s);
    s->key = eval_new(op->node->u.temporal.key);
    s->clock = eval_new(op->node->u.temporal.clock);
    s->instant = batch_new(1);
    s->instant->row_count = 1;
    s->instant->cols[0].state[0] = VAL_OK;
    s->type = op->node->u.temporal.key->type.id;
    s->due = INT64_MAX;
    ordmap_init(&s->rows);
    op->state = s;
}

static void temporal_fini(struct op *op)
{
    struct temporal_state *s = op->state;
    eval_free(s->key);
    eval_free(s->clock);
    batch_free(s->instant);
    ordmap_fini(&s->rows);
    buf_fini(&s->scratch);
    free(s);
}

static size_t temporal_bytes(const struct op *op)
{
    const struct temporal_state *s = op->state;
    return s->rows.bytes;
}

static uint64_t temporal_rows(const struct op *op)
{
    const struct temporal_state *s = op->state;
    return s->rows.count;
}

const struct op_class op_class_temporal = {"temporal",    temporal_open,  temporal_push, temporal_close,
                                           temporal_fini, temporal_bytes, temporal_rows, NULL};
