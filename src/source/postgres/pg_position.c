/* Codec of resume positions: a format byte, then fixed fields and the list of tables, big-endian. */
#include "source/postgres/pg_position.h"
#include "base/hash.h"
#include <stdlib.h>

#define POSITION_FORMAT   2
#define POSITION_FORMAT_1 1 /* of earlier versions, without hashes of listed tables */

static uint8_t *put(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *p++ = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    return p;
}

size_t pg_position_encode(const struct pg_position *pos, uint8_t out[SOURCE_POSITION_MAX])
{
    size_t slot_len = strlen(pos->slot);
    uint8_t *p = out;
    p = put(p, POSITION_FORMAT, 1);
    p = put(p, pos->phase, 1);
    p = put(p, slot_len, 1);
    memcpy(p, pos->slot, slot_len);
    p += slot_len;
    p = put(p, pos->system_identifier, 8);
    p = put(p, pos->timeline, 4);
    p = put(p, pos->lsn, 8);
    p = put(p, pos->listed, 1);
    if (!pos->listed) {
        p = put(put(put(p, pos->tables_hash, 8), pos->columns_hash, 8), pos->file_hash, 8);
    } else {
        p = put(p, pos->table_count, 1);
        for (uint32_t i = 0; i < pos->table_count; i++) {
            const struct pg_position_table *t = &pos->tables[i];
            p = put(put(p, t->relid, 4), t->attnum_max, 2);
            p = put(put(put(p, t->published, 4), t->columns, 4), t->file, 4);
        }
    }
    ASSERT(p <= out + SOURCE_POSITION_MAX);
    return (size_t)(p - out);
}

struct reader {
    const uint8_t *p, *end;
    bool bad;
};
static uint64_t take(struct reader *r, int bytes)
{
    uint64_t v = 0;
    if (r->end - r->p < bytes) {
        r->bad = true;
        return 0;
    }
    while (bytes-- > 0)
        v = v << 8 | *r->p++;
    return v;
}

static void take_tables(struct reader *r, uint8_t format, struct pg_position *out)
{
    uint64_t form = take(r, 1);
    r->bad = r->bad || form > 1;
    out->listed = form == 1;
    if (!out->listed) {
        out->tables_hash = take(r, 8);
        out->columns_hash = take(r, 8);
        out->file_hash = take(r, 8);
        /* The hash of format 1 is over less: it cannot be compared. */
        r->bad = r->bad || format == POSITION_FORMAT_1;
        return;
    }
    out->table_count = (uint32_t)take(r, 1);
    if (out->table_count > PG_POSITION_TABLES_MAX)
        r->bad = true;
    for (uint32_t i = 0; i < out->table_count && !r->bad; i++) {
        out->tables[i].relid = (uint32_t)take(r, 4);
        out->tables[i].attnum_max = (uint16_t)take(r, 2);
        if (format == POSITION_FORMAT_1)
            continue;
        out->tables[i].published = (uint32_t)take(r, 4);
        out->tables[i].columns = (uint32_t)take(r, 4);
        out->tables[i].file = (uint32_t)take(r, 4);
    }
}

bool pg_position_decode(const void *bytes, size_t len, struct pg_position *out)
{
    struct reader r = {bytes, (const uint8_t *)bytes + len, false};
    memset(out, 0, sizeof *out);
    uint8_t format = (uint8_t)take(&r, 1);
    if (format != POSITION_FORMAT && format != POSITION_FORMAT_1)
        return false;
    out->phase = (enum pg_phase)take(&r, 1);
    size_t slot_len = take(&r, 1);
    if (slot_len > PG_NAME_MAX || slot_len > (size_t)(r.end - r.p))
        return false;
    memcpy(out->slot, r.p, slot_len);
    r.p += slot_len;
    out->system_identifier = take(&r, 8);
    out->timeline = (uint32_t)take(&r, 4);
    out->lsn = take(&r, 8);
    take_tables(&r, format, out);
    return !r.bad && r.p == r.end && (out->phase == PG_PHASE_SNAPSHOT || out->phase == PG_PHASE_STREAMING);
}

static int by_relid(const void *a, const void *b)
{
    uint32_t x = ((const struct pg_position_table *)a)->relid,
             y = ((const struct pg_position_table *)b)->relid;
    return x < y ? -1 : x > y;
}

/* What hash_tables is over. */
enum { OF_TABLES, OF_COLUMNS, OF_FILES };
static uint64_t hash_tables(const struct pg_position_table *tables, uint32_t count, int what)
{
    uint64_t h = count;
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_position_table *t = &tables[i];
        uint64_t words[3] = {h, (uint64_t)t->relid << 16, 0};
        if (what == OF_TABLES) {
            words[1] |= t->attnum_used;
            words[2] = t->published;
        } else {
            words[2] = what == OF_COLUMNS ? t->columns : t->file;
        }
        h = hash_bytes(words, sizeof words);
    }
    return h;
}

static void sort(struct pg_position_table *tables, uint32_t count)
{
    if (count)
        qsort(tables, count, sizeof *tables, by_relid);
}

void pg_position_set_tables(struct pg_position *p, struct pg_position_table *tables, uint32_t count)
{
    sort(tables, count);
    p->listed = count <= PG_POSITION_TABLES_MAX;
    p->table_count = p->listed ? count : 0;
    for (uint32_t i = 0; i < p->table_count; i++)
        p->tables[i] = tables[i];
    p->tables_hash = p->listed ? 0 : hash_tables(tables, count, OF_TABLES);
    p->columns_hash = p->listed ? 0 : hash_tables(tables, count, OF_COLUMNS);
    p->file_hash = p->listed ? 0 : hash_tables(tables, count, OF_FILES);
}

bool pg_position_rewritten(const struct pg_position_table *then, const struct pg_position_table *now)
{
    return then->columns && then->columns != now->columns && then->file != now->file;
}

static const char not_held[] = "a table or column is read that the last snapshot did not hold";
static const char published_anew[] =
    "the publication was changed, or partitions of a table, so changes may have been missed";
static const char rewritten[] =
    "a table was rewritten with other values (ALTER TABLE), which is not replicated";

/* Which one of the tables it was cannot be told. */
static const char *unlisted_gap(const struct pg_position *p, const struct pg_position_table *tables,
                                uint32_t count)
{
    if (p->tables_hash != hash_tables(tables, count, OF_TABLES))
        return "the tables are others than those of the last snapshot, or are published in another way";
    if (p->columns_hash != hash_tables(tables, count, OF_COLUMNS) &&
        p->file_hash != hash_tables(tables, count, OF_FILES))
        return rewritten;
    return NULL;
}

const char *pg_position_gap(const struct pg_position *p, struct pg_position_table *tables, uint32_t count)
{
    sort(tables, count);
    if (!p->listed)
        return unlisted_gap(p, tables, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_position_table *found =
            bsearch(&tables[i], p->tables, p->table_count, sizeof *tables, by_relid);
        if (!found || found->attnum_max < tables[i].attnum_used)
            return not_held;
        if (found->published && found->published != tables[i].published)
            return published_anew;
        if (pg_position_rewritten(found, &tables[i]))
            return rewritten;
    }
    return NULL;
}
