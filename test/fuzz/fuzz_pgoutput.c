/* Fuzzes what comes from a replication connection: frames, pgoutput messages, COPY rows, values, and stored positions and
 * lists of rows that cannot be read. The first byte picks which. Everything a decoder points to is read, so that a sanitizer sees what lies outside. */
#include "source/postgres/pg_copy.h"
#include "base/text.h"
#include "ops/op_quarantine.h"
#include "source/postgres/pg_position.h"
#include "source/postgres/pg_value.h"
#include "source/postgres/pgoutput.h"
#include <stdlib.h>
#include <string.h>

static volatile uint8_t looked;

static void look(const void *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        looked = (uint8_t)(looked ^ ((const uint8_t *)p)[i]);
}

static void look_row(const struct pgo_tuple *t)
{
    for (uint32_t i = 0; i < t->field_count; i++)
        look(t->fields[i].p, t->fields[i].len);
}

static void message(const uint8_t *p, size_t len, bool streamed)
{
    static struct pgo_message m;
    if (pgo_message_decode(p, len, streamed, &m))
        return;
    switch (m.kind) {
    case PGO_RELATION:
        look(m.schema, strlen(m.schema));
        look(m.name, strlen(m.name));
        for (uint32_t i = 0; i < m.column_count; i++)
            look(m.columns[i].name, strlen(m.columns[i].name));
        break;
    case PGO_INSERT:
    case PGO_UPDATE:
    case PGO_DELETE:
        look_row(&m.old_row);
        look_row(&m.new_row);
        break;
    case PGO_TRUNCATE:
        for (uint32_t i = 0; i < m.relid_count; i++)
            looked = (uint8_t)pgo_truncate_relid(&m, i);
        break;
    default: break;
    }
}

static void copy_row(const uint8_t *p, size_t len)
{
    struct pg_copy_field fields[16];
    char *row = malloc(len ? len : 1);
    if (len)
        memcpy(row, p, len);
    uint32_t count = pg_copy_split(row, len, fields, ARRAY_COUNT(fields));
    for (uint32_t i = 0; i < count && i < ARRAY_COUNT(fields); i++)
        if (fields[i].p)
            look(fields[i].p, fields[i].len);
    free(row);
}

static void position(const uint8_t *p, size_t len)
{
    struct pg_position pos;
    uint8_t again[SOURCE_POSITION_MAX], third[SOURCE_POSITION_MAX];
    if (!pg_position_decode(p, len, &pos) || strlen(pos.slot) != p[2])
        return;
    size_t n = pg_position_encode(&pos, again);
    if (p[0] != 1) { /* of the present format: one position has one encoding */
        if (n != len || memcmp(again, p, n) != 0)
            abort();
        return;
    }
    /* Of the former: once written anew it stays as it is. */
    if (!pg_position_decode(again, n, &pos) || pg_position_encode(&pos, third) != n ||
        memcmp(again, third, n) != 0)
        abort();
}

/* A text as the value of a type: taken, or refused with a text that may be shown. */
static void value(const uint8_t *p, size_t len)
{
    struct arena arena;
    union val v;
    if (len == 0 || !utf8_valid(p + 1, len - 1) || memchr(p + 1, 0, len - 1))
        return;
    struct type type = {(enum type_id)(p[0] % T_COUNT), -1};
    arena_init(&arena);
    struct fn_ctx ctx = {.arena = &arena};
    if (type.id != T_UNKNOWN && type.id != T_ARRAYS &&
        !pg_value_decode(&ctx, type, (const char *)p + 1, len - 1, &v) &&
        (!ctx.error_text[0] || !utf8_valid((const uint8_t *)ctx.error_text, strlen(ctx.error_text))))
        abort();
    arena_fini(&arena);
}

static void look_str(struct str s)
{
    look(s.p, s.len);
}

/* A list's entry has one encoding; so has what crosses threads. */
static void unreadable(const uint8_t *p, size_t len)
{
    struct quarantine_entry e;
    struct quarantine_field f;
    struct buf again = {0};
    uint8_t identity[QUARANTINE_ID_BYTES];
    bool has_identity;
    size_t at = 0;
    if (quarantine_message_get((struct str){p, (uint32_t)len, 0}, &has_identity, identity, &e))
        look(identity, sizeof identity);
    if (!quarantine_get((struct slice){p, len}, &e))
        return;
    look_str(e.position);
    look_str(e.message);
    look_str(e.row);
    for (uint32_t c = 0; c < 64; c++)
        looked = (uint8_t)(looked ^ quarantine_knows(&e, c));
    while (quarantine_raw_next(e.raw, &at, &f)) {
        look_str(f.name);
        look_str(f.text);
    }
    quarantine_put(&again, &e);
    struct quarantine_entry second;
    if (!quarantine_get((struct slice){again.p, again.len}, &second) || second.rows != e.rows ||
        second.raw.len != e.raw.len || second.row.len != e.row.len)
        abort();
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgo_frame f;
    if (size == 0)
        return 0;
    switch (data[0]) {
    case 0: copy_row(data + 1, size - 1); break;
    case 1: position(data + 1, size - 1); break;
    case 2: value(data + 1, size - 1); break;
    case 3: unreadable(data + 1, size - 1); break;
    default:
        /* A frame, which holds a message; and the bytes as a message by themselves. */
        if (!pgo_frame_decode(data, size, &f) && f.kind == PGO_WAL)
            message(f.p, f.len, false);
        message(data, size, false);
        message(data, size, true);
    }
    return 0;
}
