/* Codec of resume positions: a format byte, then fixed fields and the list of tables, big-endian. */
#include "source/postgres/pg_position.h"
#include "base/hash.h"
#include <stdlib.h>

#define POSITION_FORMAT 1

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
        p = put(p, pos->tables_hash, 8);
    } else {
        p = put(p, pos->table_count, 1);
        for (uint32_t i = 0; i < pos->table_count; i++)
            p = put(put(p, pos->tables[i].relid, 4), pos->tables[i].attnum_max, 2);
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

static void take_tables(struct reader *r, struct pg_position *out)
{
    uint64_t form = take(r, 1);
    r->bad = r->bad || form > 1;
    out->listed = form == 1;
    if (!out->listed) {
        out->tables_hash = take(r, 8);
        return;
    }
    out->table_count = (uint32_t)take(r, 1);
    if (out->table_count > PG_POSITION_TABLES_MAX)
        r->bad = true;
    for (uint32_t i = 0; i < out->table_count && !r->bad; i++) {
        out->tables[i].relid = (uint32_t)take(r, 4);
        out->tables[i].attnum_max = (uint16_t)take(r, 2);
    }
}

bool pg_position_decode(const void *bytes, size_t len, struct pg_position *out)
{
    struct reader r = {bytes, (const uint8_t *)bytes + len, false};
    memset(out, 0, sizeof *out);
    if (take(&r, 1) != POSITION_FORMAT)
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
    take_tables(&r, out);
    return !r.bad && r.p == r.end && (out->phase == PG_PHASE_SNAPSHOT || out->phase == PG_PHASE_STREAMING);
}

static int by_relid(const void *a, const void *b)
{
    uint32_t x = ((const struct pg_position_table *)a)->relid,
             y = ((const struct pg_position_table *)b)->relid;
    return x < y ? -1 : x > y;
}

static uint64_t tables_hash(const struct pg_position_table *tables, uint32_t count)
{
    uint64_t h = count;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t words[2] = {h, (uint64_t)tables[i].relid << 16 | tables[i].attnum_used};
        h = hash_bytes(words, sizeof words);
    }
    return h;
}

void pg_position_set_tables(struct pg_position *p, struct pg_position_table *tables, uint32_t count)
{
    if (count)
        qsort(tables, count, sizeof *tables, by_relid);
    p->listed = count <= PG_POSITION_TABLES_MAX;
    p->table_count = p->listed ? count : 0;
    for (uint32_t i = 0; i < p->table_count; i++)
        p->tables[i] = tables[i];
    p->tables_hash = p->listed ? 0 : tables_hash(tables, count);
}

bool pg_position_covers(const struct pg_position *p, struct pg_position_table *tables, uint32_t count)
{
    if (!p->listed) {
        qsort(tables, count, sizeof *tables, by_relid);
        return p->tables_hash == tables_hash(tables, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_position_table *found =
            bsearch(&tables[i], p->tables, p->table_count, sizeof *tables, by_relid);
        if (!found || found->attnum_max < tables[i].attnum_used)
            return false;
    }
    return true;
}
