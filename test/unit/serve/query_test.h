/* What the tests of queries share: a schema and a query made from a URL. */
#ifndef PENSTOCK_TEST_QUERY_H
#define PENSTOCK_TEST_QUERY_H

#include "serve/out.h"
#include "serve/query.h"
#include "test.h"

static const struct column test_columns[] = {
    {"id", {T_INT8, -1}, true, NULL},        {"name", {T_TEXT, -1}, false, NULL},
    {"price", {T_NUMERIC, -1}, false, NULL}, {"ok", {T_BOOL, -1}, false, NULL},
    {"raw", {T_JSON, -1}, false, NULL},      {"tags", {T_ARRAYS + T_TEXT, -1}, false, NULL},
    {"doc", {T_JSONB, -1}, false, NULL},     {"span", {T_NUMRANGE, -1}, false, NULL},
};
static const struct schema test_schema = {ARRAY_COUNT(test_columns), (struct column *)test_columns};
static struct arena test_arena;
static struct fn_ctx test_fn __attribute__((unused)) = {.arena = &test_arena};
static struct problem test_problem __attribute__((unused));
static struct url test_url __attribute__((unused));

/* Code of the problem, "" when the query was taken. */
static inline const char *query_make(const char *text, struct query *q)
{
    char target[8192];
    snprintf(target, sizeof target, "/x?%s", text);
    problem_init(&test_problem, &test_arena);
    const char *wrong = url_parse(&test_arena, slice_of(arena_strdup(&test_arena, target)), &test_url);
    if (wrong)
        return wrong;
    if (query_parse(&test_arena, &test_url, q, &test_problem))
        query_bind(&test_arena, &test_fn, "x", &test_schema, q, &test_problem);
    return test_problem.status ? test_problem.code : "";
}

#endif
