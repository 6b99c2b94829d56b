/* Fuzzes what an ingest source reads: bodies of requests, and its log with the payloads in it. The first byte picks which. */
#include "source/ingest/ingest.h"

#include "data/row.h"

#include <stdlib.h>

static struct column columns[] = {
    {"id", {T_INT8, -1}, true, NULL},         {"page", {T_TEXT, -1}, false, NULL},
    {"at", {T_TIMESTAMPTZ, -1}, false, NULL}, {"n", {T_NUMERIC, -1}, false, NULL},
    {"j", {T_JSONB, -1}, false, NULL},        {"a", {T_ARRAYS + T_TEXT, -1}, false, NULL}};
static uint32_t key[] = {0};
static const struct ingest_table table = {
    .name = "t", .schema = {ARRAY_COUNT(columns), columns}, .key_count = 1, .key = key};

static void rows(const uint8_t *p, const uint8_t *end)
{
    union val vals[ARRAY_COUNT(columns)];
    uint8_t states[ARRAY_COUNT(columns)];
    enum row_op op;
    const uint8_t *row;
    size_t len;
    struct arena arena;
    arena_init(&arena);
    while (ingest_payload_row(&p, end, &op, &row, &len))
        (void)!row_decode(&arena, &table.schema, row, len, vals, states);
    arena_fini(&arena);
}

static void body(enum ingest_form form, bool deletes, const uint8_t *p, size_t len)
{
    struct buf out = {0};
    struct ingest_refusal r;
    uint32_t count;
    struct ingest_work *work = ingest_work_take();
    uint8_t *copy = malloc(len ? len : 1); /* exact, so that reading past it shows */
    memcpy(copy, p, len);
    if (ingest_parse(work, &table, form, deletes, copy, len, &out, &count, &r) && out.len)
        rows(out.p, out.p + out.len);
    ingest_work_give(work);
    free(copy);
    buf_fini(&out);
}

static void segment(const uint8_t *p, size_t len)
{
    struct log_record r;
    uint64_t id = 0, synced;
    const uint8_t *schema;
    size_t schema_len;
    bool damaged;
    size_t whole = ingest_segment_check(p, len, 4096, &damaged);
    ASSERT(whole <= len);
    for (size_t at = 0, n; at < whole; at += n) {
        n = ingest_record_check(p + at, len - at, at ? id : 0, 4096 + at, &r, &synced);
        ASSERT(n);
        (void)!ingest_head_get(&r, &id, &schema, &schema_len);
    }
}

static void payload(const uint8_t *p, size_t len)
{
    struct ingest_payload got;
    struct ingest_keys keys;
    if (ingest_payload_get(p, len, &got))
        rows(got.rows, got.rows + got.rows_len);
    ingest_keys_init(&keys);
    (void)!ingest_keys_get(&keys, p, len);
    ingest_keys_fini(&keys);
}

static void schema(const uint8_t *p, size_t len)
{
    static struct ingest_table tables[] = {
        {.name = "t", .schema = {ARRAY_COUNT(columns), columns}, .key_count = 1, .key = key}};
    struct ingest_conf conf = {.source_name = "s", .table_count = 1, .tables = tables};
    struct ingest_map map;
    struct arena arena;
    arena_init(&arena);
    err_free(ingest_schema_map(&arena, &conf, p, len, &map));
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
    if (!len)
        return 0;
    switch (*p % 6) {
    case 0: body(FORM_JSON, false, p + 1, len - 1); break;
    case 1: body(FORM_NDJSON, false, p + 1, len - 1); break;
    case 2: body(FORM_JSON, true, p + 1, len - 1); break;
    case 3: segment(p + 1, len - 1); break;
    case 4: payload(p + 1, len - 1); break;
    case 5: schema(p + 1, len - 1); break;
    }
    return 0;
}
