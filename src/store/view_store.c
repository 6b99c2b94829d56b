/* The one writer of a view's rows, indexes and change log in a shard; the layout stands in view_store.h.
 *
 * Everything that a change writes is encoded before the first write: the caller's old row may well lie in a page
 * that the write would move. What is counted in memory belongs to one transaction and is loaded again in the next
 * one after an abort (store_txn_serial tells). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/view_store.h"
#include "base/hash.h"
#include "store/store_impl.h"

#include <stdlib.h>

#define INDEX_PART_MAX  (KEY_STORED_MAX / 2)
#define AGE_SAMPLES     64 /* the log's age is kept to within 1/64 of its limit */
#define TRIM_BASE       64 /* entries trimmed per epoch: at most this and twice the appended ones */
#define LOG_KEY_BYTES   12
#define META_NAME_BYTES 32

struct index_change { /* offsets into view_writer.index_keys */
    size_t old_at, old_len, new_at, new_len;
};
struct age_sample {
    uint64_t epoch;
    int64_t us;
};
struct view_writer {
    struct store_shard *shard;    /* borrowed */
    const struct catalog_view *v; /* borrowed */
    store_db rows_db, log_db, meta_db;
    store_db *index_dbs; /* owned */
    char log_name[META_NAME_BYTES], rows_name[META_NAME_BYTES];
    int64_t log_rows, log_us; /* log_rows 0: nothing is logged now */
    int64_t log_rows_configured;

    uint64_t serial; /* the transaction that the following belong to */
    uint64_t epoch;
    uint32_t sequence;
    uint64_t appended; /* log entries */
    uint64_t rows;     /* keyed: rows; keyless: sum of multiplicities */
    bool changed, cleared;

    bool backlog;    /* the last trimming stopped at its limit */
    uint64_t cutoff; /* log entries of epochs <= this are too old */
    struct age_sample samples[AGE_SAMPLES + 2];
    uint32_t sample_first, sample_count;

    struct arena arena;                 /* of the change under way */
    union val *vals;                    /* owned: one row */
    uint8_t *states;                    /* owned */
    struct index_change *index_changes; /* owned */
    struct buf key, value, index_keys, log_value;
};

static struct slice slice_of_buf(const struct buf *b)
{
    return (struct slice){b->p, b->len};
}

static struct slice slice_of_text(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static bool slices_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ---- opening ---- */

static struct err *databases_open(struct view_writer *w)
{
    char name[META_NAME_BYTES];
    uint32_t n = w->v->slot;
    snprintf(name, sizeof name, "v:%u", n);
    TRY(store_db_open(w->shard, name, &w->rows_db));
    snprintf(name, sizeof name, "l:%u", n);
    TRY(store_db_open(w->shard, name, &w->log_db));
    TRY(store_db_open(w->shard, STORE_META_DB, &w->meta_db));
    for (uint32_t i = 0; i < w->v->index_count; i++) {
        snprintf(name, sizeof name, "i:%u:%u", n, i);
        TRY(store_db_open(w->shard, name, &w->index_dbs[i]));
    }
    return NULL;
}

static uint64_t rows_stored(struct view_writer *w)
{
    uint64_t rows = 0;
    if (w->v->key_count)
        return store_entries(w->shard, w->rows_db);
    (void)store_get_u64(w->shard, w->meta_db, slice_of_text(w->rows_name), &rows);
    return rows;
}

struct err *view_writer_open(struct store_shard *sh, const struct catalog_view *v, int64_t log_rows,
                             int64_t log_us, struct view_writer **out)
{
    struct view_writer *w = xcalloc(1, sizeof *w);
    w->shard = sh;
    w->v = v;
    w->log_rows = w->log_rows_configured = log_rows;
    w->log_us = log_us;
    w->index_dbs = xcalloc(v->index_count + 1, sizeof *w->index_dbs);
    w->index_changes = xcalloc(v->index_count + 1, sizeof *w->index_changes);
    w->vals = xcalloc(v->schema.column_count + 1, sizeof *w->vals);
    w->states = xcalloc(v->schema.column_count + 1, 1);
    arena_init(&w->arena);
    snprintf(w->log_name, sizeof w->log_name, "log:%u", v->slot);
    snprintf(w->rows_name, sizeof w->rows_name, "rows:%u", v->slot);
    struct err *e = databases_open(w);
    if (e) {
        view_writer_close(w);
        return err_wrap(e, "view %s", v->name);
    }
    w->rows = rows_stored(w);
    *out = w;
    return NULL;
}

void view_writer_log(struct view_writer *w, bool on)
{
    w->log_rows = on ? w->log_rows_configured : 0;
}

void view_writer_close(struct view_writer *w)
{
    if (!w)
        return;
    arena_fini(&w->arena);
    buf_fini(&w->key);
    buf_fini(&w->value);
    buf_fini(&w->index_keys);
    buf_fini(&w->log_value);
    free(w->index_dbs);
    free(w->index_changes);
    free(w->vals);
    free(w->states);
    free(w);
}

/* First use in a transaction: what was counted for another one is void. Epoch 0: not known yet. */
static void writer_enter(struct view_writer *w, uint64_t epoch, bool changes)
{
    uint64_t serial = store_txn_serial(w->shard);
    if (UNLIKELY(w->serial != serial)) {
        w->serial = serial;
        w->epoch = 0;
        w->sequence = 0;
        w->appended = 0;
        w->changed = w->cleared = false;
        if (changes)
            w->rows = rows_stored(w);
    }
    ASSERT(w->epoch == 0 || epoch == 0 || w->epoch == epoch);
    w->epoch = epoch ? epoch : w->epoch;
}

struct err *view_writer_clear(struct view_writer *w)
{
    writer_enter(w, 0, true);
    TRY(store_clear(w->shard, w->rows_db));
    TRY(store_clear(w->shard, w->log_db));
    for (uint32_t i = 0; i < w->v->index_count; i++)
        TRY(store_clear(w->shard, w->index_dbs[i]));
    w->rows = 0;
    w->appended = 0;
    w->changed = w->cleared = true;
    w->sample_count = 0;
    w->cutoff = 0;
    return NULL;
}

/* ---- encoding ---- */

/* As key_shorten, for the part of an index key before the row key. */
static void index_part_shorten(struct buf *b, size_t from)
{
    size_t len = b->len - from, kept = INDEX_PART_MAX - 17;
    if (len <= INDEX_PART_MAX)
        return;
    uint8_t hash[16];
    hash_bytes128(b->p + from, len, hash);
    b->len = from + kept;
    buf_put(b, hash, sizeof hash);
    buf_put_u8(b, 0xff);
}

void view_index_key(struct buf *b, const struct catalog_view *v, uint32_t index, const union val *vals,
                    const uint8_t *states, struct slice row_key)
{
    const struct catalog_index *x = &v->indexes[index];
    size_t at = b->len;
    key_encode(b, &v->schema, vals, states, x->columns, x->column_count);
    index_part_shorten(b, at);
    buf_put(b, row_key.p, row_key.len);
    key_shorten(b, at);
}

/* The keys of all indexes for one row, after each other; `end` receives where each one ends. */
static struct err *index_keys_put(struct view_writer *w, struct slice row, bool is_new)
{
    const struct catalog_view *v = w->v;
    arena_reset(&w->arena);
    if (!row_decode(&w->arena, &v->schema, row.p, row.len, w->vals, w->states))
        return err_new(ERR_CORRUPT, "view %s: a row does not decode", v->name);
    for (uint32_t i = 0; i < v->index_count; i++) {
        struct buf *b = &w->index_keys;
        size_t at = b->len;
        view_index_key(b, v, i, w->vals, w->states, slice_of_buf(&w->key));
        struct index_change *c = &w->index_changes[i];
        *(is_new ? &c->new_at : &c->old_at) = at;
        *(is_new ? &c->new_len : &c->old_len) = b->len - at;
    }
    return NULL;
}

static struct err *indexes_encode(struct view_writer *w, const struct slice *old_row,
                                  const struct slice *new_row)
{
    if (w->v->index_count == 0)
        return NULL;
    buf_reset(&w->index_keys);
    memset(w->index_changes, 0, w->v->index_count * sizeof *w->index_changes);
    if (old_row)
        TRY(index_keys_put(w, *old_row, false));
    if (new_row)
        TRY(index_keys_put(w, *new_row, true));
    return NULL;
}

static void log_row_put(struct buf *b, const struct slice *row)
{
    buf_put_varint(b, row ? row->len : 0);
    if (row)
        buf_put(b, row->p, row->len);
}

static void log_encode(struct view_writer *w, char op, uint64_t multiplicity, const struct slice *old_row,
                       const struct slice *new_row)
{
    struct buf *b = &w->log_value;
    buf_reset(b);
    if (w->log_rows == 0)
        return;
    buf_put_u8(b, (uint8_t)op);
    buf_put_varint(b, multiplicity);
    log_row_put(b, old_row);
    log_row_put(b, new_row);
}

static void value_encode(struct view_writer *w, uint64_t multiplicity, struct slice row)
{
    buf_reset(&w->value);
    buf_put_varint(&w->value, multiplicity);
    buf_put(&w->value, row.p, row.len);
}

/* ---- writing ---- */

static struct err *indexes_write(struct view_writer *w)
{
    for (uint32_t i = 0; i < w->v->index_count; i++) {
        const struct index_change *c = &w->index_changes[i];
        struct slice old_key = {w->index_keys.p + c->old_at, c->old_len};
        struct slice new_key = {w->index_keys.p + c->new_at, c->new_len};
        if (slices_equal(old_key, new_key))
            continue;
        if (old_key.len)
            TRY(store_del(w->shard, w->index_dbs[i], old_key));
        if (new_key.len)
            TRY(store_put(w->shard, w->index_dbs[i], new_key, slice_of_buf(&w->key)));
    }
    return NULL;
}

static struct err *log_write(struct view_writer *w)
{
    w->changed = true;
    if (w->log_rows == 0)
        return NULL;
    uint64_t epoch = __builtin_bswap64(w->epoch);
    uint32_t sequence = __builtin_bswap32(w->sequence++);
    ASSERT(w->sequence != 0);
    uint8_t key[LOG_KEY_BYTES];
    memcpy(key, &epoch, 8);
    memcpy(key + 8, &sequence, 4);
    w->appended++;
    return store_put(w->shard, w->log_db, (struct slice){key, sizeof key}, slice_of_buf(&w->log_value));
}

static struct err *lost_change(const struct view_writer *w, const char *what)
{
    return err_new(ERR_INTERNAL, "view %s: %s: a change was lost or came twice", w->v->name, what);
}

/* The stored row must be the one that the change starts from. */
static struct err *keyed_check(struct view_writer *w, const struct slice *old_row)
{
    struct slice value, row;
    uint64_t multiplicity;
    if (!store_get(w->shard, w->rows_db, slice_of_buf(&w->key), &value))
        return old_row ? lost_change(w, "a row to be changed is not stored") : NULL;
    if (!view_row_parse(value, &multiplicity, &row))
        return err_new(ERR_CORRUPT, "view %s: a stored row does not parse", w->v->name);
    if (!old_row)
        return lost_change(w, "a row to be inserted is there");
    return slices_equal(row, *old_row) ? NULL : lost_change(w, "a row is stored with another content");
}

static struct err *keyed_apply(struct view_writer *w, const struct slice *old_row,
                               const struct slice *new_row)
{
    ASSERT(old_row || new_row);
    TRY(keyed_check(w, old_row));
    if (old_row && new_row && slices_equal(*old_row, *new_row))
        return NULL;
    TRY(indexes_encode(w, old_row, new_row));
    log_encode(w, !old_row ? 'i' : new_row ? 'u' : 'd', 1, old_row, new_row);
    if (new_row) {
        value_encode(w, 1, *new_row);
        TRY(store_put(w->shard, w->rows_db, slice_of_buf(&w->key), slice_of_buf(&w->value)));
    } else {
        TRY(store_del(w->shard, w->rows_db, slice_of_buf(&w->key)));
    }
    w->rows += (new_row != NULL) - (old_row != NULL);
    TRY(indexes_write(w));
    return log_write(w);
}

static struct err *keyless_apply(struct view_writer *w, struct slice row, int64_t weight_delta)
{
    struct slice value, stored;
    uint64_t before = 0, after;
    bool there = store_get(w->shard, w->rows_db, slice_of_buf(&w->key), &value);
    if (weight_delta == 0)
        return NULL;
    if (there && (!view_row_parse(value, &before, &stored) || before == 0))
        return err_new(ERR_CORRUPT, "view %s: a stored row does not parse", w->v->name);
    if (there && !slices_equal(stored, row))
        return lost_change(w, "a row is stored with another content");
    bool adds = weight_delta > 0;
    uint64_t amount = adds ? (uint64_t)weight_delta : -(uint64_t)weight_delta;
    if (adds ? __builtin_add_overflow(before, amount, &after)
             : __builtin_sub_overflow(before, amount, &after))
        return lost_change(w, "a multiplicity leaves its range");
    TRY(indexes_encode(w, before ? &row : NULL, after ? &row : NULL));
    log_encode(w, adds ? 'i' : 'd', amount, adds ? NULL : &row, adds ? &row : NULL);
    value_encode(w, after, row);
    if (after)
        TRY(store_put(w->shard, w->rows_db, slice_of_buf(&w->key), slice_of_buf(&w->value)));
    else
        TRY(store_del(w->shard, w->rows_db, slice_of_buf(&w->key)));
    w->rows += after - before;
    TRY(indexes_write(w));
    return log_write(w);
}

struct err *view_writer_apply(struct view_writer *w, uint64_t epoch, struct slice key,
                              const struct slice *old_row, const struct slice *new_row, int64_t weight_delta)
{
    writer_enter(w, epoch, true);
    buf_reset(&w->key);
    buf_put(&w->key, key.p, key.len);
    key_shorten(&w->key, 0);
    if (w->v->key_count)
        return keyed_apply(w, old_row, new_row);
    ASSERT(new_row != NULL && old_row == NULL);
    return keyless_apply(w, *new_row, weight_delta);
}

/* ---- trimming ---- */

struct trim {
    uint64_t excess; /* entries too many */
    uint64_t cutoff; /* entries of epochs <= this are too old */
    uint64_t dropped, last_epoch;
};

static bool trim_drop(void *ctx, struct slice key, struct slice value)
{
    struct trim *t = ctx;
    (void)value;
    ASSERT(key.len == LOG_KEY_BYTES);
    uint64_t epoch;
    memcpy(&epoch, key.p, 8);
    epoch = __builtin_bswap64(epoch);
    if (t->dropped >= t->excess && epoch > t->cutoff)
        return false;
    t->dropped++;
    t->last_epoch = epoch;
    return true;
}

/* Notes now and then which epoch it is, and moves the cutoff. Entries from before the first sample count as being as
 * old as that one: after a restart the log may be kept for up to twice its limit. True: there may be work. */
static bool age_note(struct view_writer *w, uint64_t epoch, int64_t now_us)
{
    const uint32_t room = ARRAY_COUNT(w->samples);
    uint64_t cutoff = w->cutoff;
    if (w->log_us <= 0)
        return false;
    while (w->sample_count && w->samples[w->sample_first].us <= now_us - w->log_us) {
        w->cutoff = w->samples[w->sample_first].epoch;
        w->sample_first = (w->sample_first + 1) % room;
        w->sample_count--;
    }
    uint32_t last = (w->sample_first + w->sample_count + room - 1) % room;
    if (w->sample_count == 0 || now_us - w->samples[last].us >= w->log_us / AGE_SAMPLES) {
        if (w->sample_count < room)
            w->samples[(w->sample_first + w->sample_count++) % room] = (struct age_sample){epoch, now_us};
    }
    return w->cutoff != cutoff;
}

static struct err *log_trim(struct view_writer *w)
{
    uint64_t entries = store_entries(w->shard, w->log_db), most = 2 * w->appended + TRIM_BASE;
    struct trim t = {.cutoff = w->cutoff};
    if (w->log_rows > 0 && entries > (uint64_t)w->log_rows)
        t.excess = entries - (uint64_t)w->log_rows;
    TRY(store_trim(w->shard, w->log_db, most, trim_drop, &t));
    w->backlog = t.dropped == most;
    return t.dropped ? store_put_u64(w->shard, w->meta_db, slice_of_text(w->log_name), t.last_epoch) : NULL;
}

struct err *view_writer_end_epoch(struct view_writer *w, uint64_t epoch, int64_t now_us)
{
    writer_enter(w, epoch, w->changed); /* still set: the transaction before was aborted */
    if (w->changed && w->v->key_count == 0)
        TRY(store_put_u64(w->shard, w->meta_db, slice_of_text(w->rows_name), w->rows));
    bool incomplete = w->cleared || (w->changed && w->log_rows == 0);
    bool aged = age_note(w, epoch, now_us);
    w->changed = false;
    if (w->log_rows != 0 && (w->appended || w->backlog || aged))
        TRY(log_trim(w));
    return incomplete ? store_put_u64(w->shard, w->meta_db, slice_of_text(w->log_name), epoch) : NULL;
}

uint64_t view_writer_rows(const struct view_writer *w)
{
    return w->rows;
}

uint64_t view_writer_bytes(const struct view_writer *w)
{
    uint64_t bytes = store_db_bytes(w->shard, w->rows_db) + store_db_bytes(w->shard, w->log_db);
    for (uint32_t i = 0; i < w->v->index_count; i++)
        bytes += store_db_bytes(w->shard, w->index_dbs[i]);
    return bytes;
}

/* ---- reading helpers ---- */

bool view_row_parse(struct slice value, uint64_t *multiplicity, struct slice *row)
{
    const uint8_t *p = value.p, *end = value.p + value.len;
    if (!varint_get(&p, end, multiplicity))
        return false;
    *row = (struct slice){p, (size_t)(end - p)};
    return true;
}

static bool log_row_parse(const uint8_t **p, const uint8_t *end, struct slice *row)
{
    uint64_t len;
    if (!varint_get(p, end, &len) || len > (uint64_t)(end - *p))
        return false;
    *row = (struct slice){*p, (size_t)len};
    *p += len;
    return true;
}

bool view_change_parse(struct slice key, struct slice value, struct view_change *out)
{
    if (key.len != LOG_KEY_BYTES || value.len == 0)
        return false;
    memcpy(&out->epoch, key.p, 8);
    memcpy(&out->sequence, key.p + 8, 4);
    out->epoch = __builtin_bswap64(out->epoch);
    out->sequence = __builtin_bswap32(out->sequence);
    out->op = (char)value.p[0];
    const uint8_t *p = value.p + 1, *end = value.p + value.len;
    return (out->op == 'i' || out->op == 'u' || out->op == 'd') && varint_get(&p, end, &out->multiplicity) &&
           log_row_parse(&p, end, &out->old_row) && log_row_parse(&p, end, &out->new_row) && p == end;
}
