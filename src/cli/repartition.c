/* Another number of shards for a store; see repartition.h.
 *
 * Epochs go on where the old store stood, so that no client sees them go back. A row's home is the one that the sink
 * chooses (flow/sink.c): the hash of the whole key encoding, which for a long key is not what is stored. */
#include "cli/repartition.h"
#include "cli/world.h"

#include "base/hash.h"
#include "base/log.h"
#include "data/key.h"
#include "data/row.h"
#include "store/quarantine.h"
#include "store/swap.h"

#include <stdlib.h>
#include <string.h>

#define COMPONENT       "repartition"
#define STEP_ROWS       50000                /* of one transaction over all new shards, */
#define STEP_BYTES      (UINT64_C(32) << 20) /* or so many bytes of keys and rows */
#define MIRROR_PREFIX   "mirror:"
#define POSITION_PREFIX "position:"
#define ENUM_PREFIX     "enum:" /* the labels that mirrors were written with */
#define READERS_WAIT_MS 2000

struct mirror { /* one that is copied */
    const struct table_def *table;
    char *name; /* owned: its database */
    uint64_t rows;
};

struct copier {
    const struct repartition *r;
    struct store *from, *to;
    uint64_t epoch; /* newest of the new store */
    struct mirror *mirrors;
    uint32_t mirror_count;
    uint64_t rows, total_rows;
    uint64_t step_rows, step_bytes; /* of the transaction at hand */
    bool stopped;
    /* the mirror at hand */
    struct mirror *mirror;
    struct key_column *key; /* what its rows are spread by */
    uint32_t key_count;
    store_db *dbs; /* by new shard */
    struct arena arena;
    struct buf key_bytes;
    union val *vals;
    uint8_t *states;
};

static bool has_prefix(struct slice s, const char *prefix)
{
    return s.len > strlen(prefix) && memcmp(s.p, prefix, strlen(prefix)) == 0;
}

/* ---- which mirrors ---- */

static const struct table_def *find_table(const struct repartition *r, struct slice name)
{
    for (uint32_t i = 0; i < r->table_count; i++) {
        const struct table_def *t = &r->tables[i];
        char *full = xprintf("%s.%s", t->source, t->name);
        bool same = strlen(full) == name.len && memcmp(full, name.p, name.len) == 0;
        free(full);
        if (same)
            return t;
    }
    return NULL;
}

/* An entry "mirror:SOURCE.TABLE" of the old store, with the fingerprint of the table as its rows were written. */
static void consider_mirror(struct copier *c, struct slice key, struct slice value)
{
    struct slice name = {key.p + strlen(MIRROR_PREFIX), key.len - strlen(MIRROR_PREFIX)};
    const struct table_def *t = find_table(c->r, name);
    uint64_t written;
    bool same = t && value.len == sizeof written;
    if (same) {
        memcpy(&written, value.p, sizeof written);
        same = table_fingerprint(t) == written;
    }
    if (!same) {
        log_warn(COMPONENT, "a mirror is left behind: its table is gone or has changed", "table=%.*s",
                 (int)name.len, (const char *)name.p);
        return;
    }
    c->mirrors = xrealloc(c->mirrors, (c->mirror_count + 1) * sizeof *c->mirrors);
    c->mirrors[c->mirror_count++] =
        (struct mirror){.table = t, .name = xprintf("m:%s.%s", t->source, t->name)};
}

static struct err *collect_mirrors(struct copier *c)
{
    struct store_shard *sh = store_shard(c->from, 0);
    struct store_scan *scan;
    struct slice key, value;
    store_db meta;
    TRY(store_db_open(sh, "meta", &meta));
    TRY(store_scan_open(sh, meta, &scan));
    while (store_scan_next(scan, &key, &value))
        if (has_prefix(key, MIRROR_PREFIX))
            consider_mirror(c, key, value);
    store_scan_close(scan);
    return NULL;
}

struct wanted {
    const char *name;
    bool found;
};

static void compare_name(void *ctx, const char *name)
{
    struct wanted *w = ctx;
    w->found |= strcmp(w->name, name) == 0;
}

/* The mirror's database in an old shard; *found false when the shard has none. */
static struct err *old_db(struct store_shard *sh, const char *name, store_db *db, bool *found)
{
    struct wanted w = {.name = name};
    TRY(store_db_list(sh, compare_name, &w));
    *found = w.found;
    return w.found ? store_db_open(sh, name, db) : NULL;
}

static struct err *count_rows(struct copier *c)
{
    for (uint32_t m = 0; m < c->mirror_count; m++)
        for (uint32_t i = 0; i < store_shard_count(c->from); i++) {
            struct store_shard *sh = store_shard(c->from, i);
            store_db db;
            bool found;
            TRY(old_db(sh, c->mirrors[m].name, &db, &found));
            if (found)
                c->mirrors[m].rows += store_entries(sh, db);
        }
    for (uint32_t m = 0; m < c->mirror_count; m++)
        c->total_rows += c->mirrors[m].rows;
    return NULL;
}

/* ---- transactions over all new shards ---- */

static struct err *begin_step(struct copier *c)
{
    c->step_rows = c->step_bytes = 0;
    for (uint32_t i = 0; i < c->r->shard_count; i++)
        TRY(store_begin(store_shard(c->to, i)));
    return NULL;
}

static struct err *end_step(struct copier *c)
{
    c->epoch++;
    for (uint32_t i = 0; i < c->r->shard_count; i++)
        TRY(store_commit(store_shard(c->to, i), c->epoch));
    c->rows += c->step_rows;
    c->stopped = c->r->progress && !c->r->progress(c->r->ctx, c->rows, c->total_rows);
    return NULL;
}

/* ---- rows ---- */

/* The row inside a mirror's entry: keyless tables have the number of copies before it. */
static bool row_of(const struct table_def *t, struct slice value, struct slice *row)
{
    const uint8_t *p = value.p;
    uint64_t copies;
    if (t->key_count == 0 && !varint_get(&p, value.p + value.len, &copies))
        return false;
    *row = (struct slice){p, (size_t)(value.p + value.len - p)};
    return true;
}

static struct err *put_entry(struct copier *c, struct slice key, struct slice value)
{
    const struct table_def *t = c->mirror->table;
    struct slice row;
    arena_reset(&c->arena);
    if (!row_of(t, value, &row) || !row_decode(&c->arena, &t->schema, row.p, row.len, c->vals, c->states))
        return err_new(ERR_CORRUPT, "mirror of %s.%s: a stored row cannot be read", t->source, t->name);
    buf_reset(&c->key_bytes);
    key_encode(&c->key_bytes, &t->schema, c->vals, c->states, c->key, c->key_count);
    uint32_t home = hash_shard(hash_bytes(c->key_bytes.p, c->key_bytes.len), c->r->shard_count);
    c->step_rows++;
    c->step_bytes += key.len + value.len;
    return store_put(store_shard(c->to, home), c->dbs[home], key, value);
}

static bool step_full(const struct copier *c)
{
    uint64_t rows = c->r->step_rows ? c->r->step_rows : STEP_ROWS;
    return c->step_rows >= rows || c->step_bytes >= STEP_BYTES;
}

static struct err *copy_entries(struct copier *c, struct store_scan *scan)
{
    struct slice key, value;
    while (!c->stopped && store_scan_next(scan, &key, &value)) {
        TRY(put_entry(c, key, value));
        if (!step_full(c))
            continue;
        TRY(end_step(c));
        TRY(begin_step(c));
    }
    return NULL;
}

static struct err *copy_from_shard(struct copier *c, uint32_t shard)
{
    struct store_shard *sh = store_shard(c->from, shard);
    struct store_scan *scan;
    store_db db;
    bool found;
    TRY(old_db(sh, c->mirror->name, &db, &found));
    if (!found)
        return NULL;
    TRY(store_scan_open(sh, db, &scan));
    struct err *e = copy_entries(c, scan);
    store_scan_close(scan);
    return e;
}

/* Nothing may be lost on the way, nor two rows become one. */
static struct err *verify_count(struct copier *c)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < c->r->shard_count; i++)
        found += store_entries(store_shard(c->to, i), c->dbs[i]);
    if (c->stopped || found == c->mirror->rows)
        return NULL;
    return err_new(ERR_CORRUPT, "mirror of %s.%s: %llu rows became %llu", c->mirror->table->source,
                   c->mirror->table->name, (unsigned long long)c->mirror->rows, (unsigned long long)found);
}

static void aim_at(struct copier *c, struct mirror *m)
{
    const struct table_def *t = m->table;
    c->mirror = m;
    c->key_count = t->key_count ? t->key_count : t->schema.column_count;
    c->key = xrealloc(c->key, (c->key_count + 1) * sizeof *c->key);
    for (uint32_t k = 0; k < c->key_count; k++)
        c->key[k] = (struct key_column){.column = t->key_count ? t->key[k] : k};
    c->vals = xrealloc(c->vals, (t->schema.column_count + 1) * sizeof *c->vals);
    c->states = xrealloc(c->states, t->schema.column_count + 1);
}

/* ---- rows that cannot be read: each entry says where its home is ---- */

static struct err *put_bad(struct copier *c, struct slice key, struct slice value,
                           struct quarantine_sum *sums)
{
    struct quarantine_entry e;
    if (!quarantine_get(value, &e))
        return err_new(ERR_CORRUPT, "%s: a quarantined row cannot be read", c->mirror->name + 2);
    uint32_t home = hash_shard(e.home, c->r->shard_count);
    quarantine_sum_add(&sums[home], &e, 1);
    c->step_bytes += key.len + value.len;
    return store_put(store_shard(c->to, home), c->dbs[home], key, value);
}

static struct err *copy_bad_entries(struct copier *c, struct store_scan *scan, struct quarantine_sum *sums)
{
    struct slice key, value;
    while (!c->stopped && store_scan_next(scan, &key, &value)) {
        if (quarantine_is_sum(key))
            continue;
        TRY(put_bad(c, key, value, sums));
        if (!step_full(c))
            continue;
        TRY(end_step(c));
        TRY(begin_step(c));
    }
    return NULL;
}

static struct err *copy_bad_from(struct copier *c, uint32_t shard, const char *name,
                                 struct quarantine_sum *sums)
{
    struct store_shard *sh = store_shard(c->from, shard);
    struct store_scan *scan;
    store_db db;
    bool found;
    TRY(old_db(sh, name, &db, &found));
    if (!found)
        return NULL;
    TRY(store_scan_open(sh, db, &scan));
    struct err *e = copy_bad_entries(c, scan, sums);
    store_scan_close(scan);
    return e;
}

static struct err *copy_bad(struct copier *c, const char *name)
{
    struct err *e = NULL;
    struct quarantine_sum *sums = xcalloc(c->r->shard_count, sizeof *sums);
    for (uint32_t i = 0; i < c->r->shard_count && !e; i++)
        e = store_db_open(store_shard(c->to, i), name, &c->dbs[i]);
    for (uint32_t i = 0; i < store_shard_count(c->from) && !c->stopped && !e; i++)
        e = copy_bad_from(c, i, name, sums);
    for (uint32_t i = 0; i < c->r->shard_count && !c->stopped && !e; i++)
        e = quarantine_sum_store(store_shard(c->to, i), c->dbs[i], &sums[i]);
    free(sums);
    return e;
}

static struct err *copy_mirror(struct copier *c, struct mirror *m)
{
    aim_at(c, m);
    for (uint32_t i = 0; i < c->r->shard_count; i++)
        TRY(store_db_open(store_shard(c->to, i), m->name, &c->dbs[i]));
    for (uint32_t i = 0; i < store_shard_count(c->from) && !c->stopped; i++)
        TRY(copy_from_shard(c, i));
    TRY(verify_count(c));
    char *name = quarantine_db_name(m->table->source, m->table->name);
    struct err *e = c->stopped ? NULL : copy_bad(c, name);
    free(name);
    return e;
}

/* ---- shard 0's notes ---- */

static bool is_copied_note(const struct copier *c, struct slice key)
{
    if (has_prefix(key, POSITION_PREFIX) || has_prefix(key, ENUM_PREFIX))
        return true;
    for (uint32_t m = 0; m < c->mirror_count; m++) {
        const char *name = c->mirrors[m].name + strlen("m:");
        if (has_prefix(key, MIRROR_PREFIX) && key.len == strlen(MIRROR_PREFIX) + strlen(name) &&
            memcmp(key.p + strlen(MIRROR_PREFIX), name, strlen(name)) == 0)
            return true;
    }
    return false;
}

static struct err *copy_notes(struct copier *c)
{
    struct store_shard *from = store_shard(c->from, 0), *to = store_shard(c->to, 0);
    struct store_scan *scan;
    struct slice key, value;
    store_db from_meta, to_meta;
    TRY(store_db_open(from, "meta", &from_meta));
    TRY(store_db_open(to, "meta", &to_meta));
    TRY(store_scan_open(from, from_meta, &scan));
    struct err *e = NULL;
    while (!e && store_scan_next(scan, &key, &value))
        if (is_copied_note(c, key))
            e = store_put(to, to_meta, key, value);
    store_scan_close(scan);
    return e;
}

/* ---- the whole ---- */

static struct err *copy_all(struct copier *c)
{
    TRY(collect_mirrors(c));
    TRY(count_rows(c));
    TRY(begin_step(c));
    for (uint32_t m = 0; m < c->mirror_count && !c->stopped; m++)
        TRY(copy_mirror(c, &c->mirrors[m]));
    if (c->stopped)
        return NULL;
    TRY(copy_notes(c));
    TRY(end_step(c));
    if (c->stopped)
        return NULL;
    struct store_pin *pin;
    TRY(store_pin(c->to, &pin));
    return store_checkpoint(c->to, pin);
}

static void copier_fini(struct copier *c)
{
    for (uint32_t m = 0; m < c->mirror_count; m++)
        free(c->mirrors[m].name);
    free(c->mirrors);
    free(c->key);
    free(c->dbs);
    free(c->vals);
    free(c->states);
    arena_fini(&c->arena);
    buf_fini(&c->key_bytes);
}

/* What was made is of no use: the disk may need the room. `old` holds the directory's lock. */
static struct err *give_up(const char *data, struct err *e)
{
    struct err *cleaning = store_swap_discard(data);
    if (!e)
        return cleaning;
    err_free(cleaning);
    return err_wrap(e, "re-partitioning");
}

struct err *repartition_copy(const struct repartition *r, struct store *old, bool *done)
{
    struct copier c = {.r = r, .from = old, .epoch = store_epoch(old)};
    struct store_options o = {.shard_count = r->shard_count};
    *done = false;
    TRY(store_swap_discard(r->data));
    char *dir = store_swap_dir(r->data);
    struct err *e = store_open(dir, NULL, false, &o, &c.to);
    free(dir);
    arena_init(&c.arena);
    c.dbs = xcalloc(r->shard_count, sizeof *c.dbs);
    if (!e)
        e = copy_all(&c);
    store_close(c.to);
    if (!e && !c.stopped)
        e = store_swap_commit(r->data);
    copier_fini(&c);
    if (e || c.stopped)
        return give_up(r->data, e);
    *done = true;
    return NULL;
}

/* ---- putting the new store in place ---- */

/* The serve process opens as many shards as the catalog says. */
static struct err *recount_catalog(const char *data)
{
    struct catalog *c;
    uint32_t shard_count;
    uint64_t epoch;
    TRY(store_inspect(data, &shard_count, &epoch));
    TRY(catalog_load(data, &c));
    if (!c)
        return NULL;
    c->shard_count = shard_count;
    struct err *e = catalog_save(c, data);
    catalog_free(c);
    return e;
}

static void hide(struct gate *gate)
{
    gate_recovery_begin(gate, READERS_WAIT_MS);
    for (uint32_t v = 0; v < GATE_VIEWS_MAX; v++)
        gate_view_replace(gate, v);
}

struct err *repartition_finish(const char *data, struct gate *gate)
{
    bool pending = store_swap_pending(data);
    if (pending && gate)
        hide(gate);
    TRY(store_swap_finish(data));
    return pending ? recount_catalog(data) : NULL;
}
