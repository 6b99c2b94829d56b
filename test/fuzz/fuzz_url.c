/* Request targets and the query grammar behind them: no input may crash, hang, or bind what it should not. */
#include "serve/filter.h"
#include "serve/query.h"

#include <stdint.h>

static const struct column columns[] = {
    {"id", {T_INT8, -1}, true, NULL},        {"name", {T_TEXT, -1}, false, NULL},
    {"price", {T_NUMERIC, -1}, false, NULL}, {"at", {T_TIMESTAMPTZ, -1}, false, NULL},
    {"ok", {T_BOOL, -1}, false, NULL},       {"doc", {T_JSONB, -1}, false, NULL},
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
    union val vals[ARRAY_COUNT(columns)] = {{.i = 1}};
    uint8_t states[ARRAY_COUNT(columns)] = {VAL_OK, VAL_NULL, VAL_NULL, VAL_NULL, VAL_NULL, VAL_NULL};
    if (!arena.chunks)
        arena_init(&arena);
    arena_reset(&arena);
    problem_init(&problem, &arena);
    uint8_t *copy = arena_memdup(&arena, size ? data : (const uint8_t *)"", size);
    if (url_parse(&arena, (struct slice){copy, size}, &url))
        return 0;
    for (uint32_t i = 0; i < url.segment_count; i++)
        ASSERT(url.segments[i].len && utf8_valid(url.segments[i].p, url.segments[i].len));
    bool ok = query_parse(&arena, &url, &query, &problem) &&
              query_bind(&arena, &fn, "fuzz", &schema, &query, &problem);
    ASSERT(ok == (problem.status == 0));
    if (ok)
        (void)filter_match(&fn, query.filter, vals, states);
    return 0;
}
