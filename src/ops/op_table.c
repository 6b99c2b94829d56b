/* The mirror of a table: where a source's changes become exact deltas.
 *
 * The owning shard finds the old row, stores the new one and emits -1 old, +1 new. Before-images, unchanged TOAST
 * values, duplicate deliveries and upserts are settled here once, for every kind of source. Database "m:SOURCE.TABLE":
 * keyed tables: key encoding (shortened) -> row; keyless tables: row bytes (shortened) -> varint copies, row. Rows that cannot
 * be read stand on a list of their own instead (op_quarantine.h). */
#include "ops/op_quarantine.h"
#include "ops/retention.h"

#include <stdlib.h>
#include <string.h>

struct table_state {
    const struct table_def *table;
    bool stored;
    store_db db;
    struct key_column *key;
    struct buf key_bytes, new_row, old_row, value;
    struct batch *old; /* one row: the old row decoded, borrowing from old_row */
    struct retention retention;
    struct buf over;           /* keys of rows whose retention is over */
    struct store_scan *replay; /* open while the mirror is being replayed */
    struct quarantine bad;     /* rows that cannot be read */
};

static bool failed(struct op *op, struct err *e)
{
    if (e)
        graph_fail(op->graph, e);
    return e != NULL;
}

static int64_t row_end(const struct table_state *s, const struct batch *b, uint32_t r)
{
    if (!s->retention.on)
        return INT64_MAX;
    const struct vec *v = &b->cols[s->table->retention_column];
    return retention_end(&s->retention, v->v[r], v->state[r]);
}

/* The row in s->value, and its mirror key, as the current ones. */
static void take_stored(struct table_state *s, struct slice key)
{
    buf_reset(&s->key_bytes);
    buf_put(&s->key_bytes, key.p, key.len);
    batch_reset(s->old, s->table->schema.column_count);
    ASSERT(row_decode_append(s->old, &s->table->schema, s->value.p, s->value.len, 1, false));
}

static bool stored_row(struct table_state *s, struct slice value, int64_t *copies);

/* A mirror that was stored without retention, or with one by another column: its rows are put in order once. */
static void order_mirror(struct op *op, struct table_state *s)
{
    struct store_shard *sh = op->graph->env.store;
    struct store_scan *scan;
    struct slice key, value;
    int64_t copies;
    if (store_entries(sh, s->retention.db) || !store_entries(sh, s->db) ||
        failed(op, store_scan_open(sh, s->db, &scan)))
        return;
    while (!op->graph->failure && store_scan_next(scan, &key, &value)) {
        ASSERT(stored_row(s, value, &copies));
        take_stored(s, key);
        (void)failed(op, retention_add(&s->retention, sh, row_end(s, s->old, 0), &s->key_bytes));
    }
    store_scan_close(scan);
}

static void table_open(struct op *op)
{
    struct table_state *s = xcalloc(1, sizeof *s);
    op->state = s;
    s->table = op->node->u.table;
    s->key = xcalloc(s->table->key_count, sizeof *s->key);
    for (uint32_t k = 0; k < s->table->key_count; k++)
        s->key[k].column = s->table->key[k];
    s->old = batch_new(s->table->schema.column_count);
    if (!op->graph->env.store)
        return;
    s->stored = true;
    char *name = xprintf("m:%s.%s", s->table->source, s->table->name);
    struct err *e = store_db_open(op->graph->env.store, name, &s->db);
    free(name);
    if (!e)
        e = quarantine_open(&s->bad, op, s->table);
    if (!e)
        e = retention_open(&s->retention, s->table, op->graph->env.store);
    if (failed(op, e) || !s->retention.on)
        return;
    order_mirror(op, s);
    (void)failed(op, retention_find_due(&s->retention, op->graph->env.store));
}

static void table_fini(struct op *op)
{
    struct table_state *s = op->state;
    free(s->key);
    buf_fini(&s->key_bytes);
    buf_fini(&s->new_row);
    buf_fini(&s->old_row);
    buf_fini(&s->value);
    buf_fini(&s->over);
    retention_fini(&s->retention);
    quarantine_fini(&s->bad);
    batch_free(s->old);
    free(s);
}

static void table_push(struct op *op, uint32_t input, const struct batch *b)
{
    (void)op, (void)input, (void)b;
    PANIC("a table has no inputs");
}

static void table_close(struct op *op)
{
    struct table_state *s = op->state;
    op_flush(op);
    quarantine_close(&s->bad);
    if (s->retention.on)
        (void)failed(op, retention_find_due(&s->retention, op->graph->env.store));
}

static struct slice slice_of(const struct buf *b)
{
    return (struct slice){b->p, b->len};
}

static void emit_copy(struct op *op, const struct batch *b, uint32_t r, int64_t weight)
{
    if (batch_full(op->out))
        op_flush(op);
    batch_append_row(op->out, &op->node->schema, b, r, weight);
}

static void emit_bytes(struct op *op, const struct buf *row, int64_t weight)
{
    if (batch_full(op->out))
        op_flush(op);
    ASSERT(row_decode_append(op->out, &op->node->schema, row->p, row->len, weight, true));
}

/* ---- retention ---- */

static void count_row(atomic_ullong *counter, int64_t rows)
{
    atomic_fetch_add_explicit(counter, (unsigned long long)rows, memory_order_relaxed);
}

/* A row that is over when it comes is never seen, but it is counted. */
static bool is_over(struct op *op, const struct table_state *s, int64_t end)
{
    if (!s->retention.on || end > op->graph->clock_us)
        return false;
    if (op->graph->env.gate)
        count_row(&op->graph->env.gate->sources[s->table->source_index].late, 1);
    return true;
}

/* The mirror's entry of the current key has another end now; INT64_MAX: none. */
static bool end_changes(struct op *op, struct table_state *s, int64_t from, int64_t to)
{
    struct store_shard *sh = op->graph->env.store;
    return from == to || !s->retention.on ||
           (!failed(op, retention_remove(&s->retention, sh, from, &s->key_bytes)) &&
            !failed(op, retention_add(&s->retention, sh, to, &s->key_bytes)));
}

/* ---- keyed tables ---- */

static void make_key(struct table_state *s, const struct batch *b, uint32_t r)
{
    buf_reset(&s->key_bytes);
    key_encode_vecs(&s->key_bytes, &s->table->schema, b->cols, r, s->key, s->table->key_count);
    key_shorten(&s->key_bytes, 0);
}

/* Loads the stored row of the current key into s->old_row and s->old; false when there is none. */
static bool load_old(struct op *op, struct table_state *s)
{
    struct slice found;
    if (!store_get(op->graph->env.store, s->db, slice_of(&s->key_bytes), &found))
        return false;
    buf_reset(&s->old_row);
    buf_put(&s->old_row, found.p, found.len);
    batch_reset(s->old, s->table->schema.column_count);
    if (row_decode_append(s->old, &s->table->schema, s->old_row.p, s->old_row.len, 1, false))
        return true;
    graph_fail(op->graph, err_new(ERR_CORRUPT, "mirror of %s.%s: a stored row cannot be read",
                                  s->table->source, s->table->name));
    return false;
}

/* Puts old values where the source said "unchanged": the mirror's, or what is known of a row that could not be read. False
 * when some value is known from neither. */
static bool complete_row(struct table_state *s, const struct batch *b, uint32_t r, bool has_old)
{
    const struct batch *from = has_old ? s->old : s->bad.is_held ? s->bad.known : NULL;
    bool whole = true;
    for (uint32_t c = 0; c < s->table->schema.column_count; c++) {
        if (b->cols[c].state[r] != VAL_UNCHANGED)
            continue;
        if (!from || from->cols[c].state[0] > VAL_NULL) {
            whole = false;
            continue;
        }
        b->cols[c].v[r] = from->cols[c].v[0];
        b->cols[c].state[r] = from->cols[c].state[0];
    }
    return whole;
}

/* The list of rows that cannot be read is looked at only when there are any. */
static bool find_bad(struct table_state *s, const struct batch *b, uint32_t r)
{
    s->bad.is_held = false;
    return !quarantine_any(&s->bad) || quarantine_find(&s->bad, b, r);
}

static bool is_known(const struct batch *b, uint32_t r, const struct schema *schema, struct str column)
{
    for (uint32_t c = 0; c < schema->column_count; c++)
        if (strlen(schema->columns[c].name) == column.len &&
            memcmp(schema->columns[c].name, column.p, column.len) == 0)
            return b->cols[c].state[r] <= VAL_NULL;
    return false;
}

static const char *first_unknown(const struct batch *b, uint32_t r, const struct schema *schema)
{
    for (uint32_t c = 0; c < schema->column_count; c++)
        if (b->cols[c].state[r] > VAL_NULL)
            return schema->columns[c].name;
    return "";
}

static struct str str_of(const char *text)
{
    return (struct str){(const uint8_t *)text, (uint32_t)strlen(text), 0};
}

/* An update that leaves a value out as unchanged which is not known here: of a row that could not be read when it came,
 * and whose unreadable value is the one left out, or was known to the old key's row alone. */
static void row_without_old(struct op *op, struct table_state *s, const struct batch *b, uint32_t r)
{
    const struct schema *schema = &s->table->schema;
    struct quarantine_entry why = {
        .op = 'u',
        .last_us = op->graph->now_us,
        .sqlstate = str_of("XX000"),
        .message = str_of("an update left the column out as unchanged, but its value is not known here"),
        .column = str_of(first_unknown(b, r, schema))};
    /* One that is held was found already, and b has what is known of it: not to be read again, over that. */
    if (!s->bad.is_open || (!s->bad.is_held && !quarantine_find(&s->bad, b, r)))
        return;
    if (s->bad.is_held && !is_known(b, r, schema, s->bad.entry.column)) {
        why = s->bad.entry;
        why.last_us = op->graph->now_us;
    } else {
        quarantine_print_row(&s->bad, b, r, &why);
    }
    quarantine_note_row(&s->bad, b, r);
    (void)quarantine_hold(&s->bad, &why);
}

static void delete_stored(struct op *op, struct table_state *s)
{
    if (!load_old(op, s) || !end_changes(op, s, row_end(s, s->old, 0), INT64_MAX) ||
        failed(op, store_del(op->graph->env.store, s->db, slice_of(&s->key_bytes))))
        return;
    emit_copy(op, s->old, 0, -1);
}

static void delete_keyed(struct op *op, struct table_state *s, const struct batch *b, uint32_t r)
{
    if (find_bad(s, b, r) && quarantine_release(&s->bad))
        delete_stored(op, s);
}

static void upsert(struct op *op, struct table_state *s, const struct batch *b, uint32_t r)
{
    bool has_old = load_old(op, s);
    if (!find_bad(s, b, r))
        return;
    if (!complete_row(s, b, r, has_old)) {
        row_without_old(op, s, b, r);
        return;
    }
    if (!quarantine_release(&s->bad))
        return;
    int64_t end = row_end(s, b, r);
    if (is_over(op, s, end)) {
        delete_stored(op, s);
        return;
    }
    buf_reset(&s->new_row);
    row_encode_vecs(&s->new_row, &s->table->schema, b->cols, r);
    if (has_old && s->new_row.len == s->old_row.len &&
        memcmp(s->new_row.p, s->old_row.p, s->old_row.len) == 0)
        return; /* delivered twice, or an update that changes nothing */
    if (failed(op, store_put(op->graph->env.store, s->db, slice_of(&s->key_bytes), slice_of(&s->new_row))) ||
        !end_changes(op, s, has_old ? row_end(s, s->old, 0) : INT64_MAX, end))
        return;
    if (has_old)
        emit_copy(op, s->old, 0, -1);
    emit_copy(op, b, r, 1);
}

/* ---- rows that cannot be read ---- */

static struct str message_of(const struct table_state *s, const struct batch *b, uint32_t r)
{
    for (uint32_t c = 0; c < s->table->schema.column_count; c++)
        if (b->cols[c].state[r] == VAL_ERROR)
            return b->cols[c].v[r].s;
    return (struct str){0};
}

/* Its earlier version goes from the mirror: it is no longer what the source has. */
static void hold_keyed(struct op *op, struct table_state *s, const struct batch *b, uint32_t r,
                       const struct quarantine_entry *why)
{
    make_key(s, b, r);
    bool has_old = load_old(op, s);
    if (!quarantine_find(&s->bad, b, r))
        return;
    (void)complete_row(s, b, r, has_old);
    quarantine_note_row(&s->bad, b, r);
    if (has_old)
        delete_stored(op, s);
    (void)quarantine_hold(&s->bad, why);
}

static void bad_row(struct op *op, struct table_state *s, const struct batch *b, uint32_t r)
{
    struct quarantine_entry why;
    uint8_t identity[QUARANTINE_ID_BYTES];
    bool has_identity;
    ASSERT(quarantine_message_get(message_of(s, b, r), &has_identity, identity, &why));
    if (!has_identity) {
        hold_keyed(op, s, b, r, &why);
        return;
    }
    if (!quarantine_find_raw(&s->bad, identity))
        return;
    if ((enum row_op)b->weight[r] == ROW_BAD_GONE) {
        (void)quarantine_release(&s->bad);
        return;
    }
    quarantine_note_nothing(&s->bad);
    (void)quarantine_hold(&s->bad, &why);
}

/* ---- keyless tables: a bag of rows ---- */

static void change_bag(struct op *op, struct table_state *s, const struct batch *b, uint32_t r, int64_t delta)
{
    buf_reset(&s->new_row);
    row_encode_vecs(&s->new_row, &s->table->schema, b->cols, r);
    buf_reset(&s->key_bytes);
    buf_put(&s->key_bytes, s->new_row.p, s->new_row.len);
    key_shorten(&s->key_bytes, 0);
    struct slice found;
    uint64_t copies = 0;
    if (store_get(op->graph->env.store, s->db, slice_of(&s->key_bytes), &found)) {
        const uint8_t *p = found.p;
        ASSERT(varint_get(&p, found.p + found.len, &copies));
    }
    if (delta < 0 && copies == 0)
        return; /* unknown row: nothing to take away */
    int64_t end = row_end(s, b, r), had_end = copies ? end : INT64_MAX;
    if (delta > 0 && is_over(op, s, end))
        return;
    copies = (uint64_t)((int64_t)copies + delta);
    buf_reset(&s->value);
    buf_put_varint(&s->value, copies);
    buf_put(&s->value, s->new_row.p, s->new_row.len);
    struct store_shard *store = op->graph->env.store;
    if (failed(op, copies ? store_put(store, s->db, slice_of(&s->key_bytes), slice_of(&s->value))
                          : store_del(store, s->db, slice_of(&s->key_bytes))) ||
        !end_changes(op, s, had_end, copies ? end : INT64_MAX))
        return;
    emit_copy(op, b, r, delta);
}

static void apply_change(struct op *op, struct table_state *s, const struct batch *b, uint32_t r)
{
    enum row_op what = (enum row_op)b->weight[r];
    if (!s->stored) {
        ASSERT(what == ROW_INSERT); /* in-memory graphs have no mirror */
        emit_copy(op, b, r, 1);
        return;
    }
    if (UNLIKELY(what == ROW_BAD || what == ROW_BAD_GONE)) {
        bad_row(op, s, b, r);
        return;
    }
    if (s->table->key_count == 0) {
        change_bag(op, s, b, r, what == ROW_DELETE ? -1 : 1);
        return;
    }
    make_key(s, b, r);
    if (what == ROW_DELETE)
        delete_keyed(op, s, b, r);
    else
        upsert(op, s, b, r);
}

void op_table_changes(struct op *op, const struct batch *changes)
{
    struct table_state *s = op->state;
    struct op *outer = op_enter(op);
    op->rows_in += changes->row_count;
    for (uint32_t r = 0; r < changes->row_count && !op->graph->failure; r++)
        apply_change(op, s, changes, r);
    op_flush(op);
    op_leave(op, outer);
}

void op_table_move_out(struct op *op, const struct batch *old, struct batch *row)
{
    struct table_state *s = op->state;
    make_key(s, old, 0);
    bool has_old = load_old(op, s);
    if (!find_bad(s, old, 0))
        return;
    const struct batch *from = has_old ? s->old : s->bad.is_held ? s->bad.known : NULL;
    for (uint32_t c = 0; from && c < s->table->schema.column_count; c++) {
        struct vec *col = &row->cols[c];
        if (col->state[0] != VAL_UNCHANGED)
            continue;
        col->state[0] = from->cols[c].state[0];
        if (col->state[0] == VAL_OK)
            col->v[0] =
                val_copy(&row->arena, type_phys(s->table->schema.columns[c].type.id), from->cols[c].v[0]);
    }
    if (quarantine_release(&s->bad) && has_old)
        delete_stored(op, s);
    op_flush(op);
}

/* ---- the clock ---- */

static void expire_row(struct op *op, struct table_state *s)
{
    struct store_shard *sh = op->graph->env.store;
    struct slice found;
    int64_t copies;
    if (!store_get(sh, s->db, slice_of(&s->key_bytes), &found))
        return;
    ASSERT(stored_row(s, found, &copies));
    if (failed(op, store_del(sh, s->db, slice_of(&s->key_bytes))))
        return;
    emit_bytes(op, &s->value, -copies);
    if (op->graph->env.gate)
        count_row(&op->graph->env.gate->sources[s->table->source_index].expired, copies);
}

bool op_table_expire(struct op *op, uint64_t rows)
{
    struct table_state *s = op->state;
    uint64_t taken = 0, len;
    if (!s->retention.on || op->graph->rebuilding || s->retention.due > op->graph->clock_us)
        return true;
    buf_reset(&s->over);
    if (failed(op, retention_take(&s->retention, op->graph->env.store, op->graph->clock_us, rows, &s->over,
                                  &taken)))
        return true;
    const uint8_t *p = s->over.p, *end = p + s->over.len;
    while (p < end && !op->graph->failure) {
        ASSERT(varint_get(&p, end, &len));
        buf_reset(&s->key_bytes);
        buf_put(&s->key_bytes, p, (size_t)len);
        p += len;
        expire_row(op, s);
    }
    op_flush(op);
    return taken < rows || op->graph->failure;
}

int64_t op_table_due(const struct op *op)
{
    const struct table_state *s = op->state;
    return s->retention.on ? s->retention.due : INT64_MAX;
}

/* ---- the whole mirror ---- */

static bool stored_row(struct table_state *s, struct slice value, int64_t *copies)
{
    const uint8_t *p = value.p;
    uint64_t n = 1;
    if (s->table->key_count == 0 && !varint_get(&p, value.p + value.len, &n))
        return false;
    *copies = (int64_t)n;
    buf_reset(&s->value);
    buf_put(&s->value, p, (size_t)(value.p + value.len - p));
    return true;
}

/* Emits up to `rows` rows of an open scan; true at its end. */
static bool emit_some(struct op *op, struct store_scan *scan, int64_t sign, uint64_t rows)
{
    struct table_state *s = op->state;
    struct slice key, value;
    bool more = true;
    while (rows-- && (more = store_scan_next(scan, &key, &value))) {
        int64_t copies;
        ASSERT(stored_row(s, value, &copies));
        emit_bytes(op, &s->value, sign * copies);
    }
    op_flush(op);
    return !more;
}

bool op_table_replay(struct op *op, uint64_t rows)
{
    struct table_state *s = op->state;
    if (!s->stored)
        return true;
    if (!s->replay &&
        (!quarantine_replay(&s->bad) || failed(op, store_scan_open(op->graph->env.store, s->db, &s->replay))))
        return true;
    if (!emit_some(op, s->replay, 1, rows))
        return false;
    store_scan_close(s->replay);
    s->replay = NULL;
    return true;
}

uint64_t op_table_rows(const struct op *op)
{
    const struct table_state *s = op->state;
    return s->stored ? store_entries(op->graph->env.store, s->db) : 0;
}

void op_table_replay_end(struct op *op)
{
    struct table_state *s = op->state;
    store_scan_close(s->replay);
    s->replay = NULL;
}

static void emit_all(struct op *op, int64_t sign)
{
    struct table_state *s = op->state;
    struct store_scan *scan;
    if (failed(op, store_scan_open(op->graph->env.store, s->db, &scan)))
        return;
    (void)emit_some(op, scan, sign, UINT64_MAX);
    store_scan_close(scan);
}

static bool drop_row(void *ctx, struct slice key, struct slice value)
{
    struct op *op = ctx;
    struct table_state *s = op->state;
    int64_t copies;
    ASSERT(stored_row(s, value, &copies));
    emit_bytes(op, &s->value, -copies);
    if (!s->retention.on)
        return true;
    take_stored(s, key);
    return end_changes(op, s, row_end(s, s->old, 0), INT64_MAX);
}

/* A small table goes in one stroke; a large one bit by bit, so that what waits to be sent stays bounded. Whatever lies
 * in the mirror and what was emitted agree after every call. */
bool op_table_truncate(struct op *op, uint64_t rows)
{
    struct table_state *s = op->state;
    struct store_shard *store = op->graph->env.store;
    ASSERT(s->stored);
    if (!quarantine_clear(&s->bad))
        return true;
    if (store_entries(store, s->db) <= rows) {
        emit_all(op, -1);
        if (!op->graph->failure)
            (void)failed(op, store_clear(store, s->db));
        if (s->retention.on && !op->graph->failure)
            (void)failed(op, store_clear(store, s->retention.db));
        return true;
    }
    bool stop = failed(op, store_trim(store, s->db, rows, drop_row, op));
    op_flush(op);
    return stop;
}

uint64_t op_table_bad_rows(const struct op *op)
{
    const struct table_state *s = op->state;
    return s->bad.sum.rows;
}

void op_table_forget(struct op *op, const uint8_t *key, int64_t until_us, uint64_t *rows)
{
    struct table_state *s = op->state;
    (void)quarantine_forget(&s->bad, key, until_us, rows);
}

static uint64_t table_rows(const struct op *op)
{
    const struct table_state *s = op->state;
    return s->stored ? store_entries(op->graph->env.store, s->db) : 0;
}

static uint64_t table_stored(const struct op *op)
{
    const struct table_state *s = op->state;
    uint64_t order = s->retention.on ? store_db_bytes(op->graph->env.store, s->retention.db) : 0;
    return s->stored ? store_db_bytes(op->graph->env.store, s->db) + order : 0;
}

const struct op_class op_class_table = {"table",    table_open, table_push, table_close,
                                        table_fini, NULL,       table_rows, table_stored};
