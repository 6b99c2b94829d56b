/* Lists of rows that cannot be read; see verify_quarantine.h. */
#include "store/verify_quarantine.h"

#include "base/hash.h"
#include "data/row.h"
#include "store/quarantine.h"

#include <stdlib.h>

struct check {
    struct verify *v;
    struct store_snapshot *s;
    uint32_t shard, shard_count;
    const struct table_def *table;
    char *where; /* owned: "core.accounts" */
    bool has_mirror;
    store_db mirror;
    struct arena arena;
    union val *vals;
    uint8_t *states;
    struct buf key_bytes;
    struct quarantine_sum counted;
};

static void fault(struct check *c, struct slice key, const char *what)
{
    char id[QUARANTINE_ID_TEXT] = "?";
    if (key.len == QUARANTINE_KEY_BYTES)
        quarantine_id_text(key.p, id);
    verify_fault(c->v, VERIFY_QUARANTINE, (int)c->shard, c->where, "entry %s %s", id, what);
}

/* Of an entry under its key: the key is known, is the one it stands under, and the mirror has no such row. */
static void check_key(struct check *c, struct slice key, const struct quarantine_entry *e)
{
    const struct table_def *t = c->table;
    struct key_column columns[COLUMNS_MAX];
    uint8_t expected[QUARANTINE_KEY_BYTES];
    struct slice found;
    for (uint32_t k = 0; k < t->key_count; k++) {
        columns[k] = (struct key_column){.column = t->key[k]};
        if (!quarantine_knows(e, t->key[k])) {
            fault(c, key, "does not know its own key");
            return;
        }
    }
    buf_reset(&c->key_bytes);
    key_encode(&c->key_bytes, &t->schema, c->vals, c->states, columns, t->key_count);
    quarantine_key(expected, 'k', c->key_bytes.p, c->key_bytes.len);
    if (memcmp(expected, key.p, sizeof expected) != 0 ||
        e->home != hash_bytes(c->key_bytes.p, c->key_bytes.len))
        fault(c, key, "stands under another key");
    key_shorten(&c->key_bytes, 0);
    if (c->has_mirror && store_snapshot_get(c->s, c->shard, c->mirror,
                                            (struct slice){c->key_bytes.p, c->key_bytes.len}, &found))
        fault(c, key, "has a row in the mirror beside it");
}

static void check_entry(struct check *c, struct slice key, struct slice value)
{
    struct quarantine_entry e;
    bool keyed = key.len == QUARANTINE_KEY_BYTES && key.p[0] == 'k' && c->table->key_count > 0;
    if (key.len != QUARANTINE_KEY_BYTES || (!keyed && key.p[0] != 'r') || !quarantine_get(value, &e)) {
        fault(c, key, "cannot be read");
        return;
    }
    quarantine_sum_add(&c->counted, &e, 1);
    if (hash_shard(e.home, c->shard_count) != c->shard)
        fault(c, key, "belongs to another shard");
    if (c->table->key_count && e.rows != 1)
        fault(c, key, "stands for several rows of a table with a key");
    arena_reset(&c->arena);
    if (e.row.len && !row_decode(&c->arena, &c->table->schema, e.row.p, e.row.len, c->vals, c->states))
        fault(c, key, "has a row that does not decode");
    else if (keyed && !e.row.len)
        fault(c, key, "does not know its own key");
    else if (keyed)
        check_key(c, key, &e);
}

static void check_sum(struct check *c, struct slice value, bool found)
{
    struct quarantine_sum stored = {0};
    bool good = !found || quarantine_sum_get(value, &stored);
    if (!good || stored.rows != c->counted.rows || stored.entries != c->counted.entries ||
        stored.full != c->counted.full)
        verify_fault(c->v, VERIFY_QUARANTINE, (int)c->shard, c->where,
                     "%llu rows are counted, %llu are listed", (unsigned long long)stored.rows,
                     (unsigned long long)c->counted.rows);
}

static struct err *check_list(struct check *c, store_db db)
{
    struct store_cursor *at = store_cursor_open(c->s, c->shard, db);
    struct slice key, value, sum = {0};
    bool has_sum = false;
    for (bool more = store_cursor_seek(at, NULL, &key, &value); more;
         more = store_cursor_next(at, &key, &value)) {
        TRY(verify_tick(c->v, 1));
        if (quarantine_is_sum(key)) {
            sum = value;
            has_sum = true;
        } else {
            check_entry(c, key, value);
        }
    }
    check_sum(c, sum, has_sum);
    return NULL;
}

struct err *verify_quarantine(struct verify *v, struct store_snapshot *s, uint32_t shard,
                              uint32_t shard_count, const struct table_def *t)
{
    struct check c = {.v = v, .s = s, .shard = shard, .shard_count = shard_count, .table = t};
    char *name = quarantine_db_name(t->source, t->name);
    store_db db;
    struct err *e = NULL;
    c.where = xprintf("%s.%s", t->source, t->name);
    arena_init(&c.arena);
    c.vals = xcalloc(t->schema.column_count + 1, sizeof *c.vals);
    c.states = xcalloc(t->schema.column_count + 1, 1);
    char *mirror = xprintf("m:%s.%s", t->source, t->name);
    c.has_mirror = store_snapshot_db(s, shard, mirror, &c.mirror);
    if (store_snapshot_db(s, shard, name, &db))
        e = check_list(&c, db);
    free(mirror);
    free(name);
    free(c.where);
    free(c.vals);
    free(c.states);
    buf_fini(&c.key_bytes);
    arena_fini(&c.arena);
    return e;
}
