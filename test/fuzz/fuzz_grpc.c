/* Request messages of gRPC: no bytes may crash, hang, or make a URL that the grammar cannot take apart again.
 * The first byte chooses the method, the rest is the message (or, for the last one, the path). */
#include "serve/grpc_request.h"
#include "serve/out.h"
#include "serve/proto.h"
#include "serve/query.h"

#include <stdlib.h>

static struct column columns[] = {
    {"id", {T_INT8, -1}, true, NULL},
    {"name", {T_TEXT, -1}, true, NULL},
    {"price", {T_FLOAT8, -1}, true, NULL},
    {"ok", {T_BOOL, -1}, false, NULL},
};
static struct key_column key[] = {{0, false, false}, {1, false, false}, {2, false, false}};

static void target_holds(struct arena *a, const struct url *u)
{
    static struct url again;
    struct slice text = grpc_request_target(a, u);
    for (uint32_t i = 0; i < u->segment_count; i++)
        if (u->segments[i].len == 0)
            return; /* an empty value of a key: no target has it */
    if (u->segment_count == 0 || url_parse(a, text, &again))
        return; /* a segment may be what no path may hold */
    if (again.segment_count != u->segment_count || again.param_count != u->param_count)
        abort();
    for (uint32_t i = 0; i < u->param_count; i++)
        if (!slice_eq(again.params[i].value, u->params[i].value))
            abort();
}

static void message(struct arena *a, const struct grpc_method *m, struct slice bytes)
{
    static struct url url;
    static const uint32_t numbers[] = {1, 2, 3, 4};
    struct schema schema = {ARRAY_COUNT(columns), columns};
    struct world_view view = {.schema = &schema, .key_count = 3, .row_key = key};
    struct world_api api = {.path = "x", .view = &view, .field_numbers = numbers};
    struct grpc_request q = {.api = slice_of("x")};
    struct query query;
    struct problem p;
    problem_init(&p, a);
    bool typed_key = m->service == SERVICE_API && m->verb == VERB_GET;
    if (typed_key ? !grpc_key_parse(a, &api, bytes, &q, &p) : !grpc_request_parse(a, m, bytes, &q, &p)) {
        if (!p.status)
            abort();
        return;
    }
    if (m->service == SERVICE_API)
        q.api = slice_of("x");
    if (!grpc_request_url(a, &q, &url, &p)) {
        if (!p.status)
            abort();
        return;
    }
    target_holds(a, &url);
    struct fn_ctx fn = {.arena = a};
    if (query_parse(a, &url, &query, &p))
        (void)query_bind(a, &fn, "x", &schema, &query, &p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {
        "/penstock.api.X/Get",      "/penstock.api.X/Query",    "/penstock.api.X/Count",
        "/penstock.api.X/Watch",    "/penstock.v1.Views/List",  "/penstock.v1.Views/Get",
        "/penstock.v1.Views/Query", "/penstock.v1.Views/Count", "/penstock.v1.Views/Watch",
    };
    static struct arena arena;
    struct grpc_method m;
    if (size == 0)
        return 0;
    if (!arena.chunks)
        arena_init(&arena);
    arena_reset(&arena);
    struct slice bytes = {arena_memdup(&arena, data + 1, size - 1), size - 1};
    uint32_t choice = data[0] % (ARRAY_COUNT(paths) + 1);
    if (choice == ARRAY_COUNT(paths))
        (void)grpc_method_parse(bytes, &m);
    else if (grpc_method_parse(slice_of(paths[choice]), &m))
        message(&arena, &m, bytes);
    return 0;
}
