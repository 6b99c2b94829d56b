/* The inside of a store: mirrors, rows, indexes, logs, lists of error rows. See verify.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/hash.h"
#include "store/error_store.h"
#include "store/store_impl.h"
#include "store/verify.h"
#include "store/verify_quarantine.h"
#include "store/view_store.h"
#include "types/func.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#define TICK_ENTRIES    1024
#define VALUE_BYTES_MAX 200
#define NAME_BYTES      64

/* One shard, and the schema whose rows are looked at. */
struct checker {
    struct verify *v;
    struct store_snapshot *s;
    uint64_t epoch;
    uint32_t shard, shard_count;
    uint64_t since_tick;
    struct err *stopped; /* owned: the first reason not to go on */
    /* by schema */
    const struct schema *schema;
    const char *where;
    union val *vals;
    uint8_t *states;
    struct key_column *key;
    uint32_t key_count;
    struct arena arena;
    struct buf bytes, text;
    /* by view */
    const struct catalog_view *view;
    store_db rows_db;
    uint64_t rows, multiplicity;
};

static bool next_entry(struct checker *c, struct store_cursor *at, bool *first, struct slice *k,
                       struct slice *val)
{
    if (c->stopped)
        return false;
    if (++c->since_tick >= TICK_ENTRIES) {
        c->stopped = verify_tick(c->v, c->since_tick);
        c->since_tick = 0;
    }
    bool found = *first ? store_cursor_seek(at, NULL, k, val) : store_cursor_next(at, k, val);
    *first = false;
    return found && !c->stopped;
}

static bool slices_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static struct slice slice_of(const struct buf *b)
{
    return (struct slice){b->p, b->len};
}

/* ---- text ---- */

static void put_value(struct buf *b, struct str text)
{
    bool cut = text.len > VALUE_BYTES_MAX;
    size_t len = cut ? VALUE_BYTES_MAX : text.len;
    while (cut && len && (text.p[len] & 0xc0) == 0x80)
        len--;
    buf_put_u8(b, '"');
    for (size_t i = 0; i < len; i++) {
        uint8_t ch = (uint8_t)text.p[i];
        if (ch == '"' || ch == '\\')
            buf_printf(b, "\\%c", ch);
        else if (ch < 0x20)
            buf_printf(b, "\\u%04x", ch);
        else
            buf_put_u8(b, ch);
    }
    buf_put_str(b, cut ? "...\"" : "\"");
}

void verify_row_text(struct buf *out, const struct schema *schema, const union val *vals,
                     const uint8_t *states, const uint32_t *columns, uint32_t count)
{
    struct arena arena;
    struct fn_ctx fn = {.arena = &arena};
    arena_init(&arena);
    buf_put_u8(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = columns ? columns[i] : i;
        buf_printf(out, "%s\"%s\":", i ? "," : "", schema->columns[column].name);
        if (states[column] == VAL_OK)
            put_value(out, type_output(&fn, schema->columns[column].type.id, &vals[column]));
        else
            buf_put_str(out, "null");
    }
    buf_put_u8(out, '}');
    arena_fini(&arena);
}

/* The key of the row in vals, for a message. */
static const char *key_text(struct checker *c)
{
    uint32_t columns[COLUMNS_MAX];
    buf_reset(&c->text);
    for (uint32_t k = 0; k < c->key_count; k++)
        columns[k] = c->key[k].column;
    verify_row_text(&c->text, c->schema, c->vals, c->states, columns, c->key_count);
    buf_put_u8(&c->text, 0);
    return (const char *)c->text.p;
}

static const char *hex_text(struct checker *c, struct slice bytes)
{
    buf_reset(&c->text);
    for (size_t i = 0; i < bytes.len && i < 48; i++)
        buf_printf(&c->text, "%02x", bytes.p[i]);
    buf_put_str(&c->text, bytes.len > 48 ? "..." : "");
    buf_put_u8(&c->text, 0);
    return (const char *)c->text.p;
}

/* ---- rows ---- */

static void aim_at(struct checker *c, const struct schema *schema, const uint32_t *key, uint32_t key_count,
                   const char *where)
{
    c->schema = schema;
    c->where = where;
    c->key_count = key_count ? key_count : schema->column_count;
    c->key = xrealloc(c->key, (c->key_count + 1) * sizeof *c->key);
    for (uint32_t k = 0; k < c->key_count; k++)
        c->key[k] = (struct key_column){.column = key_count ? key[k] : k};
    c->vals = xrealloc(c->vals, (schema->column_count + 1) * sizeof *c->vals);
    c->states = xrealloc(c->states, schema->column_count + 1);
}

static bool decode(struct checker *c, struct slice row)
{
    arena_reset(&c->arena);
    return row_decode(&c->arena, c->schema, row.p, row.len, c->vals, c->states);
}

/* The whole key encoding of the row in vals, in c->bytes. */
static void encode_key(struct checker *c)
{
    buf_reset(&c->bytes);
    key_encode(&c->bytes, c->schema, c->vals, c->states, c->key, c->key_count);
}

static void check_home(struct checker *c, enum verify_kind kind)
{
    uint32_t home = hash_shard(hash_bytes(c->bytes.p, c->bytes.len), c->shard_count);
    if (home != c->shard)
        verify_fault(c->v, kind, (int)c->shard, c->where, "row %s belongs to shard %u", key_text(c), home);
}

/* c->bytes, shortened, must be the key that the row stands under. */
static void check_key(struct checker *c, enum verify_kind kind, struct slice key)
{
    key_shorten(&c->bytes, 0);
    if (!slices_equal(slice_of(&c->bytes), key))
        verify_fault(c->v, kind, (int)c->shard, c->where, "row %s stands under another key", key_text(c));
}

/* ---- mirrors ---- */

static bool mirror_row(const struct table_def *t, struct slice value, struct slice *row)
{
    const uint8_t *p = value.p;
    uint64_t copies = 1;
    if (t->key_count == 0 && (!varint_get(&p, value.p + value.len, &copies) || copies == 0))
        return false;
    *row = (struct slice){p, (size_t)(value.p + value.len - p)};
    return true;
}

static void check_mirror_row(struct checker *c, const struct table_def *t, struct slice key,
                             struct slice value)
{
    struct slice row;
    c->v->mirror_rows++;
    if (!mirror_row(t, value, &row) || !decode(c, row)) {
        verify_fault(c->v, VERIFY_MIRROR, (int)c->shard, c->where, "the row under key %s does not decode",
                     hex_text(c, key));
        return;
    }
    encode_key(c);
    check_home(c, VERIFY_MIRROR);
    if (t->key_count == 0) { /* it stands under its own bytes */
        buf_reset(&c->bytes);
        buf_put(&c->bytes, row.p, row.len);
    }
    check_key(c, VERIFY_MIRROR, key);
}

static void check_mirror(struct checker *c, const struct table_def *t)
{
    char *name = xprintf("m:%s.%s", t->source, t->name);
    struct slice key, value;
    store_db db;
    bool first = true;
    if (store_snapshot_db(c->s, c->shard, name, &db)) {
        aim_at(c, &t->schema, t->key, t->key_count, name + 2);
        struct store_cursor *at = store_cursor_open(c->s, c->shard, db);
        while (next_entry(c, at, &first, &key, &value))
            check_mirror_row(c, t, key, value);
    }
    free(name);
}

/* ---- a view's rows ---- */

static bool view_db(struct checker *c, char kind, int index, store_db *out)
{
    char name[NAME_BYTES];
    if (index < 0)
        snprintf(name, sizeof name, "%c:%u", kind, c->view->slot);
    else
        snprintf(name, sizeof name, "%c:%u:%d", kind, c->view->slot, index);
    return store_snapshot_db(c->s, c->shard, name, out);
}

static bool parse_row(struct checker *c, struct slice value, struct slice *row, uint64_t *multiplicity)
{
    return view_row_parse(value, multiplicity, row) && *multiplicity > 0 &&
           (!c->view->key_count || *multiplicity == 1) && decode(c, *row);
}

/* The row has an entry in the index, and it leads back to it. */
static void check_row_in_index(struct checker *c, uint32_t index, store_db db, struct slice row_key)
{
    struct slice found;
    buf_reset(&c->bytes);
    view_index_key(&c->bytes, c->view, index, c->vals, c->states, row_key);
    const char *name = c->view->indexes[index].name;
    if (!store_snapshot_get(c->s, c->shard, db, slice_of(&c->bytes), &found))
        verify_fault(c->v, VERIFY_INDEX, (int)c->shard, c->where, "index %s has no entry for row %s", name,
                     key_text(c));
    else if (!slices_equal(found, row_key))
        verify_fault(c->v, VERIFY_INDEX, (int)c->shard, c->where,
                     "index %s: the entry of row %s leads to another row", name, key_text(c));
}

static void check_view_row(struct checker *c, const store_db *indexes, struct slice key, struct slice value)
{
    struct slice row;
    uint64_t multiplicity;
    c->v->rows++;
    c->rows++;
    if (!parse_row(c, value, &row, &multiplicity)) {
        verify_fault(c->v, VERIFY_ROW, (int)c->shard, c->where, "the row under key %s does not decode",
                     hex_text(c, key));
        return;
    }
    c->multiplicity += multiplicity;
    encode_key(c);
    if (c->view->key_count)
        check_home(c, VERIFY_ROW);
    else
        buf_put(&c->bytes, row.p, row.len);
    check_key(c, VERIFY_ROW, key);
    for (uint32_t i = 0; i < c->view->index_count; i++)
        if (indexes[i] < STORE_DBS_MAX)
            check_row_in_index(c, i, indexes[i], key);
}

static void check_index_entry(struct checker *c, uint32_t index, struct slice key, struct slice row_key)
{
    struct slice value, row;
    uint64_t multiplicity;
    const char *name = c->view->indexes[index].name;
    c->v->index_entries++;
    if (!store_snapshot_get(c->s, c->shard, c->rows_db, row_key, &value)) {
        verify_fault(c->v, VERIFY_INDEX, (int)c->shard, c->where, "index %s: entry %s leads to no row", name,
                     hex_text(c, key));
        return;
    }
    if (!parse_row(c, value, &row, &multiplicity))
        return; /* told with the row */
    buf_reset(&c->bytes);
    view_index_key(&c->bytes, c->view, index, c->vals, c->states, row_key);
    if (!slices_equal(slice_of(&c->bytes), key))
        verify_fault(c->v, VERIFY_INDEX, (int)c->shard, c->where,
                     "index %s: an entry that does not fit it leads to row %s", name, key_text(c));
}

static void check_index(struct checker *c, uint32_t index, store_db db)
{
    struct store_cursor *at = store_cursor_open(c->s, c->shard, db);
    struct slice key, value;
    uint64_t entries = 0;
    bool first = true;
    for (; next_entry(c, at, &first, &key, &value); entries++)
        check_index_entry(c, index, key, value);
    if (!c->stopped && entries != c->rows)
        verify_fault(c->v, VERIFY_INDEX, (int)c->shard, c->where, "index %s has %llu entries for %llu rows",
                     c->view->indexes[index].name, (unsigned long long)entries, (unsigned long long)c->rows);
}

static void check_rows(struct checker *c)
{
    store_db *indexes = xcalloc(c->view->index_count + 1, sizeof *indexes);
    struct slice key, value;
    bool first = true;
    for (uint32_t i = 0; i < c->view->index_count; i++)
        if (!view_db(c, 'i', (int)i, &indexes[i])) {
            indexes[i] = STORE_DBS_MAX;
            verify_fault(c->v, VERIFY_INDEX, (int)c->shard, c->where, "index %s is not stored",
                         c->view->indexes[i].name);
        }
    c->rows = c->multiplicity = 0;
    struct store_cursor *at = store_cursor_open(c->s, c->shard, c->rows_db);
    while (next_entry(c, at, &first, &key, &value))
        check_view_row(c, indexes, key, value);
    for (uint32_t i = 0; i < c->view->index_count && !c->stopped; i++)
        if (indexes[i] < STORE_DBS_MAX)
            check_index(c, i, indexes[i]);
    free(indexes);
}

static uint64_t meta_u64(struct checker *c, const char *kind, bool *known)
{
    char name[NAME_BYTES];
    struct slice value;
    store_db meta;
    uint64_t v = 0;
    snprintf(name, sizeof name, "%s:%u", kind, c->view->slot);
    struct slice key = {(const uint8_t *)name, strlen(name)};
    *known = store_snapshot_db(c->s, c->shard, STORE_META_DB, &meta) &&
             store_snapshot_get(c->s, c->shard, meta, key, &value) && value.len == sizeof v;
    if (*known)
        memcpy(&v, value.p, sizeof v);
    return __builtin_bswap64(v);
}

static void check_count(struct checker *c)
{
    bool known;
    uint64_t rows = meta_u64(c, "rows", &known);
    if (!c->view->key_count && known && rows != c->multiplicity)
        verify_fault(c->v, VERIFY_COUNT, (int)c->shard, c->where, "%llu rows are counted, %llu are stored",
                     (unsigned long long)rows, (unsigned long long)c->multiplicity);
}

/* ---- a view's change log ---- */

struct log_check {
    uint64_t complete_after; /* epochs above this are all in the log */
    uint64_t epoch;          /* of the entry before; 0: none */
    uint32_t sequence;
};

static void log_fault(struct checker *c, struct slice key, const char *what)
{
    verify_fault(c->v, VERIFY_LOG, (int)c->shard, c->where, "entry %s: %s", hex_text(c, key), what);
}

static void check_log_order(struct checker *c, struct log_check *l, struct slice key,
                            const struct view_change *ch)
{
    bool same = ch->epoch == l->epoch;
    if (ch->epoch > c->epoch)
        log_fault(c, key, "of an epoch that is still to come");
    else if (l->epoch && same && ch->sequence != l->sequence + 1)
        log_fault(c, key, "changes before it are missing");
    else if (l->epoch && !same && ch->sequence != 0)
        log_fault(c, key, "the first changes of its epoch are missing");
    l->epoch = ch->epoch;
    l->sequence = ch->sequence;
}

static bool log_rows_fit(struct checker *c, const struct view_change *ch)
{
    bool has_old = ch->old_row.len > 0, has_new = ch->new_row.len > 0;
    bool fits = ch->op == 'i'   ? !has_old && has_new
                : ch->op == 'd' ? has_old && !has_new
                                : has_old && has_new;
    return fits && ch->multiplicity > 0 && (!has_old || decode(c, ch->old_row)) &&
           (!has_new || decode(c, ch->new_row));
}

/* The row as the log's newest entry for it has it. c->vals is of ch's row. */
static void check_log_end(struct checker *c, const struct view_change *ch)
{
    struct slice value, row = {NULL, 0};
    uint64_t multiplicity;
    encode_key(c);
    key_shorten(&c->bytes, 0);
    bool there = store_snapshot_get(c->s, c->shard, c->rows_db, slice_of(&c->bytes), &value) &&
                 view_row_parse(value, &multiplicity, &row);
    if (there != (ch->new_row.len > 0))
        verify_fault(c->v, VERIFY_LOG, (int)c->shard, c->where, "the log says that row %s %s", key_text(c),
                     there ? "is gone, and it is there" : "is there, and it is not");
    else if (there && !slices_equal(row, ch->new_row))
        verify_fault(c->v, VERIFY_LOG, (int)c->shard, c->where, "row %s is not as the log last wrote it",
                     key_text(c));
}

/* Open addressing on hashes of keys: the newest entry of each comes first when the log is read backwards. */
struct seen {
    uint64_t *hashes;
    uint64_t room, count;
};

static bool seen_add(struct seen *s, uint64_t hash)
{
    if (2 * (s->count + 1) > s->room) {
        struct seen larger = {xcalloc(s->room ? 2 * s->room : 1024, sizeof(uint64_t)),
                              s->room ? 2 * s->room : 1024, 0};
        for (uint64_t i = 0; i < s->room; i++)
            if (s->hashes[i])
                (void)seen_add(&larger, s->hashes[i]);
        free(s->hashes);
        *s = larger;
    }
    hash = hash ? hash : 1;
    uint64_t at = hash & (s->room - 1);
    for (; s->hashes[at]; at = (at + 1) & (s->room - 1))
        if (s->hashes[at] == hash)
            return false;
    s->hashes[at] = hash;
    s->count++;
    return true;
}

static void check_log_against_rows(struct checker *c, store_db db, uint64_t complete_after)
{
    struct store_cursor *at = store_cursor_open(c->s, c->shard, db);
    struct seen seen = {0};
    struct slice key, value;
    struct view_change ch;
    bool more = store_cursor_seek_before(at, NULL, &key, &value);
    for (; more && !c->stopped; more = store_cursor_prev(at, &key, &value)) {
        if (!view_change_parse(key, value, &ch) || ch.epoch <= complete_after)
            break;
        if (!decode(c, ch.new_row.len ? ch.new_row : ch.old_row))
            continue;
        encode_key(c);
        if (seen_add(&seen, hash_bytes(c->bytes.p, c->bytes.len)))
            check_log_end(c, &ch);
    }
    free(seen.hashes);
}

static void check_log(struct checker *c)
{
    store_db db;
    struct slice key, value;
    struct log_check l = {0};
    bool first = true, known;
    if (!view_db(c, 'l', -1, &db))
        return;
    l.complete_after = meta_u64(c, "log", &known);
    struct store_cursor *at = store_cursor_open(c->s, c->shard, db);
    while (next_entry(c, at, &first, &key, &value)) {
        struct view_change ch;
        c->v->log_entries++;
        if (!view_change_parse(key, value, &ch)) {
            log_fault(c, key, "cannot be read");
            continue;
        }
        check_log_order(c, &l, key, &ch);
        if (!log_rows_fit(c, &ch))
            log_fault(c, key, "its rows do not decode, or do not fit what it says");
    }
    if (c->view->key_count && !c->stopped)
        check_log_against_rows(c, db, l.complete_after);
}

/* ---- views ---- */

bool verify_view_stored(struct store_still *s, const struct catalog_view *v)
{
    char name[NAME_BYTES];
    store_db db;
    snprintf(name, sizeof name, "v:%u", v->slot);
    return store_snapshot_db(s->snapshot, 0, name, &db);
}

static void check_view(struct checker *c, const struct catalog_view *v)
{
    c->view = v;
    if (!view_db(c, 'v', -1, &c->rows_db)) {
        verify_fault(c->v, VERIFY_ROW, (int)c->shard, v->name, "its rows are not stored in this shard");
        return;
    }
    aim_at(c, &v->schema, v->key, v->key_count, v->name);
    check_rows(c);
    check_count(c);
    check_log(c);
}

/* ---- lists of error rows ---- */

static uint64_t be_at(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static bool error_entry_reads(struct slice value, uint64_t number, uint64_t *weight)
{
    const uint8_t *p = value.p, *end = value.p + value.len;
    if (!varint_get(&p, end, weight) || *weight == 0)
        return false;
    if (number == 0)
        return p == end;
    yyjson_doc *d = yyjson_read((const char *)p, (size_t)(end - p), YYJSON_READ_ALLOW_INVALID_UNICODE);
    bool good = yyjson_is_obj(yyjson_doc_get_root(d));
    yyjson_doc_free(d);
    return good;
}

static void check_errors(struct checker *c)
{
    struct slice key, value;
    store_db db;
    bool first = true;
    uint64_t node = UINT64_MAX, total = 0, listed = 0;
    if (!store_snapshot_db(c->s, c->shard, "errors", &db))
        return;
    struct store_cursor *at = store_cursor_open(c->s, c->shard, db);
    while (next_entry(c, at, &first, &key, &value)) {
        uint64_t weight;
        if (key.len == 4)
            continue; /* the run */
        if (key.len != ERROR_KEY_BYTES || !error_entry_reads(value, be_at(key.p + 4, 8), &weight)) {
            verify_fault(c->v, VERIFY_ERRORS, (int)c->shard, "errors", "entry %s cannot be read",
                         hex_text(c, key));
            continue;
        }
        if (be_at(key.p, 4) != node) {
            node = be_at(key.p, 4);
            total = listed = 0;
        }
        *(be_at(key.p + 4, 8) ? &listed : &total) += weight;
        if (listed > total) {
            verify_fault(c->v, VERIFY_ERRORS, (int)c->shard, "errors",
                         "operator %llu: more rows are listed than its total of %llu",
                         (unsigned long long)node, (unsigned long long)total);
            total = UINT64_MAX; /* told */
        }
    }
}

/* ---- the whole ---- */

static void check_shard(struct checker *c, struct store_still *s, const struct catalog *cat,
                        const struct table_def *const *tables, uint32_t table_count)
{
    uint64_t epoch = 0;
    if (!store_epoch_of(store_snapshot_txn(c->s, c->shard), &epoch) || epoch != s->epoch)
        verify_fault(c->v, VERIFY_EPOCH, (int)c->shard, "", "is at epoch %llu, the others at %llu",
                     (unsigned long long)epoch, (unsigned long long)s->epoch);
    for (uint32_t t = 0; t < table_count && !c->stopped; t++)
        check_mirror(c, tables[t]);
    for (uint32_t t = 0; t < table_count && !c->stopped; t++)
        c->stopped = verify_quarantine(c->v, c->s, c->shard, c->shard_count, tables[t]);
    for (uint32_t i = 0; cat && i < cat->view_count && !c->stopped; i++)
        if (verify_view_stored(s, &cat->views[i]))
            check_view(c, &cat->views[i]);
    if (!c->stopped)
        check_errors(c);
}

struct err *verify_content(struct verify *v, struct store_still *s, const struct catalog *cat,
                           const struct table_def *const *tables, uint32_t table_count)
{
    struct checker c = {.v = v, .s = s->snapshot, .epoch = s->epoch, .shard_count = s->shard_count};
    arena_init(&c.arena);
    if (cat && cat->shard_count != s->shard_count)
        verify_fault(v, VERIFY_EPOCH, -1, "catalog.json", "says %u shards, the store has %u",
                     cat->shard_count, s->shard_count);
    for (c.shard = 0; c.shard < s->shard_count && !c.stopped; c.shard++)
        check_shard(&c, s, cat, tables, table_count);
    free(c.key);
    free(c.vals);
    free(c.states);
    arena_fini(&c.arena);
    buf_fini(&c.bytes);
    buf_fini(&c.text);
    return c.stopped;
}
