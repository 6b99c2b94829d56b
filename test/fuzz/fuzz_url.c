/* Request targets and the query grammar behind them: no input may crash, hang, or bind what it should not. */
#include "serve/filter.h"
#include "serve/query.h"
#include "serve/render.h"

#include <stdint.h>

static const struct column columns[] = {
    {"id", {T_INT8, -1}, true, NULL},
    {"name", {T_TEXT, -1}, false, NULL},
    {"price", {T_NUMERIC, -1}, false, NULL},
    {"at", {T_TIMESTAMPTZ, -1}, false, NULL},
    {"ok", {T_BOOL, -1}, false, NULL},
    {"doc", {T_JSONB, -1}, false, NULL},
    {"tags", {T_ARRAYS + T_TEXT, -1}, false, NULL},
    {"span", {T_INT4RANGE, -1}, false, NULL},
    {"raw", {T_JSON, -1}, false, NULL},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    static struct url url;
    struct schema schema = {ARRAY_COUNT(columns), (struct column *)columns};
    struct fn_ctx fn = {.arena = &arena};
    struct problem problem;
    struct query query;
    static const char *const texts[ARRAY_COUNT(columns)] = {"1",
                                                            "some name",
                                                            NULL,
                                                            NULL,
                                                            NULL,
                                                            "{\"a\": {\"b\": [1, null, \"x\\u00e9\"]}}",
                                                            "{a,NULL,\"b c\"}",
                                                            "[1,5)",
                                                            "{\"a\" : [ {}, 2 ]}"};
    union val vals[ARRAY_COUNT(columns)];
    uint8_t states[ARRAY_COUNT(columns)];
    if (!arena.chunks)
        arena_init(&arena);
    arena_reset(&arena);
    problem_init(&problem, &arena);
    uint8_t *copy = arena_memdup(&arena, size ? data : (const uint8_t *)"", size);
    if (url_parse(&arena, (struct slice){copy, size}, &url))
        return 0;
    for (uint32_t i = 0; i < url.segment_count; i++)
        ASSERT(url.segments[i].len && utf8_valid(url.segments[i].p, url.segments[i].len));
    for (uint32_t i = 0; i < ARRAY_COUNT(columns); i++) {
        states[i] = texts[i] ? VAL_OK : VAL_NULL;
        if (texts[i] && !type_input(&fn, columns[i].type, texts[i], strlen(texts[i]), &vals[i]))
            ASSERT(false);
    }
    bool ok = query_parse(&arena, &url, &query, &problem) &&
              query_bind(&arena, &fn, "fuzz", &schema, &query, &problem);
    ASSERT(ok == (problem.status == 0));
    if (!ok)
        return 0;
    (void)filter_match(&fn, query.filter, vals, states);
    if (query.embed_count)
        return 0;
    struct projection shown;
    struct buf out = {0};
    projection_init(&arena, query.select, query.select_count, &shown);
    if (render_json_row(&fn, &shown, vals, states, &out)) {
        size_t n = out.len;
        render_strip_nulls(&out, 0);
        ASSERT(out.len <= n && out.len >= 2 && out.p[0] == '{' && out.p[out.len - 1] == '}');
    }
    buf_reset(&out);
    (void)render_csv_row(&fn, &shown, vals, states, &out);
    buf_fini(&out);
    return 0;
}
