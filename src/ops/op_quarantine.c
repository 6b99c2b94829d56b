/* Rows that cannot be read; see op_quarantine.h. */
#include "ops/op_quarantine.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

#include <stdlib.h>

static bool fail(struct quarantine *q, struct err *e)
{
    if (e)
        graph_fail(q->op->graph, e);
    return e == NULL;
}

static struct store_shard *store_of(const struct quarantine *q)
{
    return q->op->graph->env.store;
}

static struct slice key_of(const struct quarantine *q)
{
    return (struct slice){q->key, sizeof q->key};
}

static struct str str_of(const struct buf *b)
{
    return (struct str){b->p, (uint32_t)b->len, 0};
}

struct err *quarantine_open(struct quarantine *q, struct op *op, const struct table_def *t)
{
    *q = (struct quarantine){.op = op, .table = t};
    if (!op->graph->env.store)
        return NULL;
    q->is_open = true;
    q->known = batch_new(t->schema.column_count);
    q->key_columns = xcalloc(t->key_count + 1, sizeof *q->key_columns);
    for (uint32_t k = 0; k < t->key_count; k++)
        q->key_columns[k].column = t->key[k];
    char *name = quarantine_db_name(t->source, t->name);
    struct err *e = store_db_open(store_of(q), name, &q->db);
    free(name);
    return e ? e : quarantine_sum_load(store_of(q), q->db, &q->sum);
}

void quarantine_fini(struct quarantine *q)
{
    if (q->known)
        batch_free(q->known);
    free(q->key_columns);
    buf_fini(&q->held);
    buf_fini(&q->key_bytes);
    buf_fini(&q->known_bits);
    buf_fini(&q->row);
    buf_fini(&q->value);
    buf_fini(&q->raw);
}

/* ---- the row at hand ---- */

/* q->entry's known columns into q->known, VAL_UNCHANGED for the others. */
static bool decode_known(struct quarantine *q)
{
    const struct schema *schema = &q->table->schema;
    const struct str row = q->entry.row;
    batch_reset(q->known, schema->column_count);
    if (row.len && !row_decode_append(q->known, schema, row.p, row.len, 1, false))
        return false;
    for (uint32_t c = 0; c < schema->column_count; c++)
        if (!row.len || !quarantine_knows(&q->entry, c))
            q->known->cols[c].state[0] = VAL_UNCHANGED;
    return true;
}

static bool load(struct quarantine *q)
{
    struct slice found;
    q->is_held = quarantine_any(q) && store_get(store_of(q), q->db, key_of(q), &found);
    if (!q->is_held)
        return true;
    buf_reset(&q->held);
    buf_put(&q->held, found.p, found.len);
    if (quarantine_get((struct slice){q->held.p, q->held.len}, &q->entry) && decode_known(q))
        return true;
    return fail(q, err_new(ERR_CORRUPT, "a quarantined row of %s.%s cannot be read", q->table->source,
                           q->table->name));
}

bool quarantine_find(struct quarantine *q, const struct batch *b, uint32_t r)
{
    buf_reset(&q->key_bytes);
    key_encode_vecs(&q->key_bytes, &q->table->schema, b->cols, r, q->key_columns, q->table->key_count);
    q->home = hash_bytes(q->key_bytes.p, q->key_bytes.len);
    quarantine_key(q->key, 'k', q->key_bytes.p, q->key_bytes.len);
    return load(q);
}

bool quarantine_find_raw(struct quarantine *q, const uint8_t identity[QUARANTINE_ID_BYTES])
{
    q->key[0] = 'r';
    memcpy(q->key + 1, identity, QUARANTINE_ID_BYTES);
    q->home = hash_bytes(identity, QUARANTINE_ID_BYTES);
    return load(q);
}

void quarantine_note_nothing(struct quarantine *q)
{
    buf_reset(&q->known_bits);
    buf_reset(&q->row);
}

void quarantine_note_row(struct quarantine *q, const struct batch *b, uint32_t r)
{
    const struct schema *schema = &q->table->schema;
    struct vec *cols = xcalloc(schema->column_count + 1, sizeof *cols);
    uint8_t *states = xcalloc(schema->column_count + 1, 1);
    quarantine_note_nothing(q);
    size_t bytes = (schema->column_count + 7) / 8;
    memset(buf_room(&q->known_bits, bytes + 1), 0, bytes);
    q->known_bits.len = bytes;
    for (uint32_t c = 0; c < schema->column_count; c++) {
        bool known = b->cols[c].state[r] <= VAL_NULL;
        states[c] = known ? b->cols[c].state[r] : VAL_NULL;
        cols[c] = (struct vec){.v = &b->cols[c].v[r], .state = &states[c]};
        if (known)
            q->known_bits.p[c / 8] |= (uint8_t)(1u << (c % 8));
    }
    row_encode_vecs(&q->row, schema, cols, 0);
    free(cols);
    free(states);
}

void quarantine_print_row(struct quarantine *q, const struct batch *b, uint32_t r, struct quarantine_entry *e)
{
    struct arena arena;
    struct fn_ctx ctx = {.arena = &arena};
    arena_init(&arena);
    buf_reset(&q->raw);
    for (uint32_t c = 0; c < q->table->schema.column_count; c++) {
        const struct column *column = &q->table->schema.columns[c];
        uint8_t state = b->cols[c].state[r];
        struct quarantine_field f = {
            .name = {(const uint8_t *)column->name, (uint32_t)strlen(column->name), 0},
            .kind = state == VAL_OK     ? QUARANTINE_TEXT
                    : state == VAL_NULL ? QUARANTINE_NULL
                                        : QUARANTINE_UNCHANGED};
        if (state == VAL_OK)
            f.text = type_output(&ctx, column->type.id, &b->cols[c].v[r]);
        quarantine_raw_put(&q->raw, &e->raw_bytes, &f);
    }
    hash_bytes128(q->raw.p, q->raw.len, e->raw_hash);
    e->raw = str_of(&q->raw);
    arena_fini(&arena);
}

/* ---- error rows ---- */

struct shown { /* of a row in the operator's list */
    struct column *columns;
    struct vec *cols;
    union val *vals;
    uint8_t *states;
    char **names; /* owned */
    uint32_t count;
};

static void show(struct shown *s, const struct column *column, union val v, uint8_t state)
{
    s->columns[s->count] = *column;
    s->vals[s->count] = v;
    s->states[s->count] = state;
    s->cols[s->count] = (struct vec){&s->vals[s->count], &s->states[s->count]};
    s->count++;
}

static void show_known(struct shown *s, const struct quarantine *q)
{
    for (uint32_t c = 0; c < q->table->schema.column_count; c++)
        if (q->known->cols[c].state[0] <= VAL_NULL)
            show(s, &q->table->schema.columns[c], q->known->cols[c].v[0], q->known->cols[c].state[0]);
}

/* What was delivered, where nothing of it is known otherwise. */
static void show_raw(struct shown *s, const struct quarantine *q)
{
    struct quarantine_field f;
    size_t at = 0;
    while (s->count < q->table->schema.column_count && quarantine_raw_next(q->entry.raw, &at, &f)) {
        if (f.kind != QUARANTINE_TEXT || !utf8_valid(f.text.p, f.text.len))
            continue;
        char *name = s->names[s->count] = xprintf("%.*s", (int)f.name.len, (const char *)f.name.p);
        struct column column = {.name = name, .type = {T_TEXT, -1}};
        show(s, &column, (union val){.s = f.text}, VAL_OK);
    }
}

static void describe(struct quarantine *q, int64_t rows)
{
    const struct quarantine_entry *e = &q->entry;
    uint32_t most = q->table->schema.column_count + 1;
    struct shown s = {xcalloc(most, sizeof(struct column)), xcalloc(most, sizeof(struct vec)),
                      xcalloc(most, sizeof(union val)),     xcalloc(most, 1),
                      xcalloc(most, sizeof(char *)),        0};
    char sqlstate[8];
    char *message = xprintf("%s.%s%s%.*s: %.*s (at %.*s)", q->table->source, q->table->name,
                            e->column.len ? ", column " : "", TEXT_QUOTED(e->column, 64),
                            TEXT_QUOTED(e->message, QUARANTINE_TEXT_BYTES), TEXT_QUOTED(e->position, 64));
    snprintf(sqlstate, sizeof sqlstate, "%.*s", TEXT_QUOTED(e->sqlstate, 5));
    if (e->row.len)
        show_known(&s, q);
    else
        show_raw(&s, q);
    struct schema schema = {s.count, s.columns};
    struct error_cause cause = {.sqlstate = sqlstate, .message = message};
    op_error_describe(q->op, &schema, s.cols, 0, rows, &cause);
    for (uint32_t i = 0; i < most; i++)
        free(s.names[i]);
    free(s.names);
    free(s.columns);
    free(s.cols);
    free(s.vals);
    free(s.states);
    free(message);
}

/* q->entry has `rows` more rows. */
static void count(struct quarantine *q, int64_t rows)
{
    if (op_error_count(q->op, q->key, sizeof q->key, rows))
        describe(q, rows);
}

/* ---- the log ---- */

static bool may_tell(struct quarantine *q)
{
    int64_t now = q->op->graph->now_us;
    if (q->told_us && now - q->told_us < QUARANTINE_LOG_US && now >= q->told_us)
        return false;
    q->told_us = now;
    return true;
}

static void tell_held(struct quarantine *q)
{
    const struct quarantine_entry *e = &q->entry;
    if (may_tell(q))
        log_warn("source", "a row cannot be read; it is left out and listed by penstock errors",
                 "source=%s table=%s column=%.*s position=%.*s sqlstate=%.*s error=\"%.*s\" listed=%llu",
                 q->table->source, q->table->name, TEXT_QUOTED(e->column, 64), TEXT_QUOTED(e->position, 64),
                 TEXT_QUOTED(e->sqlstate, 5), TEXT_QUOTED(e->message, QUARANTINE_TEXT_BYTES),
                 (unsigned long long)q->sum.rows);
}

static void tell_released(struct quarantine *q)
{
    if (!q->sum.entries && may_tell(q))
        log_info("source", "no row of the table is left out any more", "source=%s table=%s shard=%u",
                 q->table->source, q->table->name, q->op->graph->env.shard);
}

/* ---- changes ---- */

static bool put_entry(struct quarantine *q)
{
    buf_reset(&q->value);
    quarantine_put(&q->value, &q->entry);
    q->sum_changed = true;
    return fail(q, store_put(store_of(q), q->db, key_of(q), (struct slice){q->value.p, q->value.len}));
}

static bool drop_entry(struct quarantine *q)
{
    count(q, -(int64_t)q->entry.rows);
    quarantine_sum_add(&q->sum, &q->entry, -1);
    q->sum_changed = true;
    q->is_held = false;
    return fail(q, store_del(store_of(q), q->db, key_of(q)));
}

bool quarantine_hold(struct quarantine *q, const struct quarantine_entry *why)
{
    bool counts_copies = q->table->key_count == 0;
    uint64_t rows = counts_copies && q->is_held ? q->entry.rows + 1 : 1;
    int64_t first_us = q->is_held ? q->entry.first_us : why->last_us;
    if (q->is_held && !drop_entry(q))
        return false;
    q->entry = *why;
    q->entry.home = q->home;
    q->entry.rows = rows;
    q->entry.first_us = first_us;
    q->entry.known = str_of(&q->known_bits);
    q->entry.row = str_of(&q->row);
    if (q->sum.full >= QUARANTINE_FULL_ROWS)
        q->entry.raw = (struct str){0};
    q->is_held = true;
    quarantine_sum_add(&q->sum, &q->entry, 1);
    if (!put_entry(q))
        return false;
    ASSERT(decode_known(q));
    count(q, (int64_t)rows);
    tell_held(q);
    return true;
}

bool quarantine_release(struct quarantine *q)
{
    if (!q->is_held)
        return true;
    if (q->entry.rows == 1) {
        if (!drop_entry(q))
            return false;
        tell_released(q);
        return true;
    }
    count(q, -1);
    q->entry.rows--;
    q->sum.rows--;
    return put_entry(q);
}

/* All entries that `wanted` says, one after the other as the row at hand. Their keys are collected first: a list must not
 * change while it is read. */
static bool each(struct quarantine *q, bool (*wanted)(const struct quarantine_entry *e, int64_t until_us),
                 int64_t until_us, bool (*fn)(struct quarantine *q))
{
    struct store_scan *scan;
    struct slice key, value;
    struct buf keys = {0};
    struct quarantine_entry e;
    if (!quarantine_any(q))
        return true;
    if (!fail(q, store_scan_open(store_of(q), q->db, &scan)))
        return false;
    while (store_scan_next(scan, &key, &value))
        if (key.len == QUARANTINE_KEY_BYTES && (!quarantine_get(value, &e) || wanted(&e, until_us)))
            buf_put(&keys, key.p, key.len);
    store_scan_close(scan);
    bool good = true;
    for (size_t at = 0; at < keys.len && good; at += QUARANTINE_KEY_BYTES) {
        memcpy(q->key, keys.p + at, QUARANTINE_KEY_BYTES);
        good = load(q) && fn(q);
    }
    buf_fini(&keys);
    return good;
}

static bool is_any(const struct quarantine_entry *e, int64_t until_us)
{
    (void)e, (void)until_us;
    return true;
}

static bool is_older(const struct quarantine_entry *e, int64_t until_us)
{
    return e->last_us <= until_us;
}

static bool count_stored(struct quarantine *q)
{
    count(q, (int64_t)q->entry.rows);
    return true;
}

bool quarantine_replay(struct quarantine *q)
{
    return each(q, is_any, 0, count_stored);
}

bool quarantine_clear(struct quarantine *q)
{
    if (!each(q, is_any, 0, drop_entry))
        return false;
    if (q->sum_changed)
        tell_released(q);
    return true;
}

bool quarantine_forget(struct quarantine *q, const uint8_t *key, int64_t until_us, uint64_t *rows)
{
    uint64_t before = q->sum.rows;
    bool good = true;
    if (key) {
        memcpy(q->key, key, QUARANTINE_KEY_BYTES);
        good = load(q) && (!q->is_held || drop_entry(q));
    } else {
        good = each(q, is_older, until_us, drop_entry);
    }
    *rows += before - q->sum.rows;
    return good;
}

void quarantine_close(struct quarantine *q)
{
    if (!q->sum_changed)
        return;
    q->sum_changed = false;
    (void)fail(q, quarantine_sum_store(store_of(q), q->db, &q->sum));
}

/* ---- across threads ---- */

void quarantine_message_put(struct buf *b, const uint8_t *identity, const struct quarantine_entry *e)
{
    static const uint8_t none[QUARANTINE_ID_BYTES];
    struct quarantine_entry whole = *e;
    whole.rows = 1;
    buf_put_u8(b, identity != NULL);
    buf_put(b, identity ? identity : none, QUARANTINE_ID_BYTES);
    quarantine_put(b, &whole);
}

bool quarantine_message_get(struct str message, bool *has_identity, uint8_t identity[QUARANTINE_ID_BYTES],
                            struct quarantine_entry *out)
{
    if (message.len < 1 + QUARANTINE_ID_BYTES)
        return false;
    *has_identity = message.p[0] != 0;
    memcpy(identity, message.p + 1, QUARANTINE_ID_BYTES);
    return quarantine_get(
        (struct slice){message.p + 1 + QUARANTINE_ID_BYTES, message.len - 1 - QUARANTINE_ID_BYTES}, out);
}
