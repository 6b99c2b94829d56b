/* Rows of mirrors: by key where the restriction has the key or its first columns, else all of them; see impl.h. */
#include "lineage/impl.h"

#include <stdlib.h>

struct mirror {
    struct question *q;
    const struct table_def *table;
    const struct restriction *r;
    char *name;
    struct rows out;
};

static bool open_db(const struct mirror *m, uint32_t shard, store_db *db)
{
    return store_snapshot_db(m->q->ask->snapshot, shard, m->name, db);
}

static void corrupt(struct mirror *m)
{
    if (!m->q->failure)
        m->q->failure =
            err_new(ERR_CORRUPT, "mirror of %s.%s: a row does not decode", m->table->source, m->table->name);
}

/* One entry of the mirror, if the restriction holds for it. False: no more. */
static bool take(struct mirror *m, struct slice key, struct slice value)
{
    struct question *q = m->q;
    const struct schema *schema = &m->table->schema;
    const uint8_t *p = value.p, *end = value.p + value.len;
    uint64_t copies = 1;
    if (!spend(q, 1))
        return false;
    arena_reset(&q->scratch);
    if ((m->table->key_count == 0 && !varint_get(&p, end, &copies)) ||
        !row_decode(&q->scratch, schema, p, (size_t)(end - p), q->vals, q->states)) {
        corrupt(m);
        return false;
    }
    if (!restriction_holds(q, m->r, schema, q->vals, q->states))
        return true;
    struct row *row = rows_add(q, &m->out, schema->column_count);
    if (!row_decode(q->arena, schema, p, (size_t)(end - p), row->vals, row->states)) {
        corrupt(m);
        return false;
    }
    row->weight = (int64_t)copies;
    row->made = made_source(q, m->table, key, (struct slice){p, (size_t)(end - p)}, copies);
    return true;
}

static bool starts_with(struct slice s, struct slice with)
{
    return s.len >= with.len && memcmp(s.p, with.p, with.len) == 0;
}

/* Entries from `from` (NULL: the first) on whose keys begin with it. */
static void scan(struct mirror *m, uint32_t shard, const struct slice *from)
{
    store_db db;
    struct slice key, value;
    if (!open_db(m, shard, &db))
        return;
    struct store_cursor *at = store_cursor_open(m->q->ask->snapshot, shard, db);
    for (bool more = store_cursor_seek(at, from, &key, &value); more && (!from || starts_with(key, *from));
         more = store_cursor_next(at, &key, &value))
        if (!take(m, key, value))
            return;
}

/* ---- by key ---- */

/* How many of the table's first key columns the set has; parts[k]: which of its columns each is. */
static uint32_t key_columns(const struct table_def *t, const struct keyset *s, uint32_t *parts)
{
    uint32_t n = 0;
    for (; n < t->key_count; n++) {
        uint32_t k = 0;
        while (k < s->column_count && s->columns[k] != t->key[n])
            k++;
        if (k == s->column_count)
            break;
        parts[n] = k;
    }
    return n;
}

static void key_bytes(struct buf *b, const struct keyset_key *k, const uint32_t *parts, uint32_t count)
{
    buf_reset(b);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = parts[i] ? k->ends[parts[i] - 1] : 0;
        buf_put(b, k->map.key + from, k->ends[parts[i]] - from);
    }
}

static bool seen(struct question *q, struct bytemap *seen_keys, const struct buf *b)
{
    uint64_t hash = hash_bytes(b->p, b->len);
    if (bytemap_find(seen_keys, hash, b->p, b->len))
        return true;
    struct bytemap_entry *e = ARENA_NEW(q->arena, struct bytemap_entry);
    *e = (struct bytemap_entry){hash, arena_memdup(q->arena, b->p, b->len), (uint32_t)b->len};
    bytemap_insert(seen_keys, e);
    return false;
}

static void get(struct mirror *m, struct buf *b)
{
    uint32_t shard = hash_shard(hash_bytes(b->p, b->len), m->q->ask->shard_count);
    store_db db;
    struct slice value;
    key_shorten(b, 0);
    struct slice key = {b->p, b->len};
    if (open_db(m, shard, &db) && store_snapshot_get(m->q->ask->snapshot, shard, db, key, &value))
        (void)take(m, key, value);
}

static void by_keys(struct mirror *m, const struct keyset *s, const uint32_t *parts, uint32_t count)
{
    struct bytemap *seen_keys = map_new(m->q);
    struct buf b = {0};
    size_t at = 0;
    for (struct bytemap_entry *e; !is_cut(m->q) && (e = bytemap_next(s->keys, &at));) {
        key_bytes(&b, (const struct keyset_key *)e, parts, count);
        if (seen(m->q, seen_keys, &b) || !spend(m->q, 1))
            continue;
        if (count == m->table->key_count) {
            get(m, &b);
            continue;
        }
        struct slice from = {b.p, b.len};
        for (uint32_t shard = 0; shard < m->q->ask->shard_count; shard++)
            scan(m, shard, &from);
    }
    buf_fini(&b);
}

/* A key that was shortened before it was stored begins like the whole one only so far. */
static bool are_short(const struct keyset *s)
{
    size_t at = 0;
    for (struct bytemap_entry *e; (e = bytemap_next(s->keys, &at));)
        if (e->key_len > KEY_STORED_MAX - 32)
            return false;
    return true;
}

/* The set that binds most of the key, if reading by it is less than reading everything. */
static const struct keyset *best_set(const struct mirror *m, uint64_t entries, uint32_t *parts,
                                     uint32_t *count)
{
    const struct keyset *best = NULL;
    uint32_t found[COLUMNS_MAX];
    *count = 0;
    for (uint32_t i = 0; i < m->r->count; i++) {
        const struct keyset *s = &m->r->sets[i];
        uint32_t n = key_columns(m->table, s, found);
        bool whole = n == m->table->key_count;
        uint64_t cost = s->keys->count * (whole ? 1 : (uint64_t)m->q->ask->shard_count);
        if (n <= *count || cost > entries / 2 + 1 || (!whole && !are_short(s)))
            continue;
        best = s;
        *count = n;
        memcpy(parts, found, n * sizeof *parts);
    }
    return best;
}

uint64_t table_entries(struct question *q, const struct plan_node *n)
{
    uint64_t entries = 0;
    char *name = xprintf("m:%s.%s", n->u.table->source, n->u.table->name);
    for (uint32_t shard = 0; shard < q->ask->shard_count; shard++) {
        store_db db;
        if (store_snapshot_db(q->ask->snapshot, shard, name, &db))
            entries += store_snapshot_entries(q->ask->snapshot, shard, db);
    }
    free(name);
    return entries;
}

struct rows table_rows(struct question *q, const struct plan_node *n, const struct restriction *r)
{
    struct mirror m = {.q = q, .table = n->u.table, .r = r};
    uint32_t parts[COLUMNS_MAX], count;
    m.name = xprintf("m:%s.%s", m.table->source, m.table->name);
    const struct keyset *s = best_set(&m, table_entries(q, n), parts, &count);
    if (s)
        by_keys(&m, s, parts, count);
    for (uint32_t shard = 0; !s && shard < q->ask->shard_count; shard++)
        scan(&m, shard, NULL);
    free(m.name);
    return m.out;
}
