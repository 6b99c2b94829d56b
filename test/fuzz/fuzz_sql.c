/* Any bytes as SQL against a few tables: parser, binder and planner must refuse or plan, never crash, and a plan
 * must be one that can be explained. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

static struct column account_columns[] = {
    {.name = "id", .type = {T_INT8, -1}, .not_null = true},
    {.name = "owner", .type = {T_TEXT, -1}},
    {.name = "branch", .type = {T_INT4, -1}},
    {.name = "total", .type = {T_NUMERIC, -1}},
    {.name = "at", .type = {T_TIMESTAMPTZ, -1}},
    {.name = "note", .type = {T_JSONB, -1}},
};
static struct column entry_columns[] = {
    {.name = "id", .type = {T_INT4, -1}, .not_null = true},
    {.name = "account_id", .type = {T_INT8, -1}},
    {.name = "amount", .type = {T_FLOAT8, -1}},
    {.name = "day", .type = {T_DATE, -1}},
};
static uint32_t first_column[] = {0};
static const struct table_def tables[] = {
    {.source = "core",
     .name = "accounts",
     .schema = {6, account_columns},
     .key_count = 1,
     .key = first_column},
    {.source = "core",
     .name = "entries",
     .schema = {4, entry_columns},
     .key_count = 1,
     .key = first_column,
     .table_index = 1},
    {.source = "core", .name = "log", .schema = {4, entry_columns}, .table_index = 2},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct api_request apis[] = {{.path = "v"}, {.path = "w", .view = "w"}};
    if (size > 16384 || memchr(data, 0, size))
        return 0;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    struct sql_text sql = {"fuzz.sql", text, 1};
    for (uint32_t with_apis = 0; with_apis < 3; with_apis++) {
        struct plan *p = NULL;
        struct err *e = plan_build(tables, 3, &sql, 1, apis, with_apis, &p);
        if (!e) {
            char *out = NULL;
            size_t len = 0;
            FILE *f = open_memstream(&out, &len);
            plan_explain(p, NULL, with_apis == 1, f);
            fclose(f);
            free(out);
        }
        err_free(e);
        plan_free(p);
    }
    free(text);
    return 0;
}
