/* Any bytes as a jsonpath, and applied to a json: reading and evaluating must end in values, none, or an error of the row;
 * what is printed has been read. Input: the path, a newline, the json. */
#include "types/jsonpath.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    if (!arena.chunks)
        arena_init(&arena);
    arena_reset(&arena);
    if (size == 0 || size > 400)
        return 0;
    uint8_t *copy = arena_memdup(&arena, data, size);
    uint8_t *line = memchr(copy, '\n', size);
    struct str text = {copy, line ? (uint32_t)(line - copy) : (uint32_t)size, 0};
    struct str json = {line ? line + 1 : copy, line ? (uint32_t)(size - text.len - 1) : 0, 0};
    struct fn_ctx ctx = {.arena = &arena};
    struct jsonpath *path = jsonpath_read(&ctx, &text);
    ASSERT((path == NULL) == (ctx.error != FN_OK));
    if (!path)
        return 0;
    struct str printed = jsonpath_print(&ctx, path);
    ASSERT(printed.len > 0);
    struct json_node *root;
    if (jsonb_normalise(&ctx, (const char *)json.p, json.len, &json) &&
        json_parse(&ctx, &json, JSON_DECODE | JSON_BUILD, &root)) {
        struct jp_list found = {0};
        enum jp_result all = jsonpath_run(&ctx, path, root, root->kind == JSON_OBJECT ? root : NULL, size & 1,
                                          size & 2, &found);
        ASSERT(ctx.error == FN_OK || all == JP_FAILED);
        for (uint32_t i = 0; i < found.count && ctx.error == FN_OK; i++)
            ASSERT(json_check(&ctx, (const char *)found.v[i]->source.p, found.v[i]->source.len));
        ctx.error = FN_OK;
        jsonpath_run(&ctx, path, root, NULL, true, false, NULL);
    }
    jsonpath_free(path);
    return 0;
}
