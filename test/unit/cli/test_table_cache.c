/* tables.json: what was written comes back; anything else is an error, never a guess. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/world.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct arena arena;

static struct column account_columns[] = {
    {"id", {T_INT8, -1}, true, NULL},
    {"balance", {T_NUMERIC, ((12 << 16) | 2) + 4}, false, "in \"euros\"\n"},
    {"näme", {T_VARCHAR, 24}, false, NULL},
    {"at", {T_TIMESTAMPTZ, 3}, true, NULL}};
static struct column log_columns[] = {{"line", {T_TEXT, -1}, false, NULL}};
static uint32_t account_key[] = {0, 3};
static struct table_def tables[] = {{.source = "core",
                                     .name = "accounts",
                                     .schema = {4, account_columns},
                                     .key_count = 2,
                                     .key = account_key},
                                    {.source = "core", .name = "log", .schema = {1, log_columns}}};
static struct pipeline_source sources[] = {
    {.name = "core", .kind = &source_kind_postgres, .tables = tables, .table_count = 2},
    {.name = "none", .kind = &source_kind_generator}};

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_text(const char *text)
{
    FILE *f = fopen(path_of("tables.json"), "w");
    fputs(text, f);
    fclose(f);
}

static void save(void)
{
    struct err *e = table_cache_save(dir, sources, 2);
    CHECK(!e);
    err_free(e);
}

static void load(const char *source, struct table_def **out, uint32_t *count, bool fine)
{
    struct err *e = table_cache_load(dir, &arena, source, out, count);
    CHECK(fine ? !e : e != NULL);
    if (!fine)
        CHECK(*count == 0 && e && e->code == ERR_CORRUPT);
    err_free(e);
}

static void check_column(const struct column *got, const struct column *want)
{
    CHECK_STR(got->name, want->name);
    CHECK(got->type.id == want->type.id && got->type.typmod == want->type.typmod &&
          got->not_null == want->not_null);
    CHECK(!got->comment == !want->comment);
    if (want->comment)
        CHECK_STR(got->comment, want->comment);
}

static void comes_back_as_written(void)
{
    struct table_def *got;
    uint32_t count;
    save();
    CHECK(access(path_of("tables.json.new"), F_OK) != 0);
    load("core", &got, &count, true);
    CHECK(count == 2);
    for (uint32_t t = 0; t < count; t++) {
        CHECK_STR(got[t].name, tables[t].name);
        CHECK(got[t].schema.column_count == tables[t].schema.column_count &&
              got[t].key_count == tables[t].key_count);
        for (uint32_t c = 0; c < got[t].schema.column_count; c++)
            check_column(&got[t].schema.columns[c], &tables[t].schema.columns[c]);
        for (uint32_t k = 0; k < got[t].key_count; k++)
            CHECK(got[t].key[k] == tables[t].key[k]);
        CHECK(table_fingerprint(&got[t]) == table_fingerprint(&tables[t]));
    }
    load("none", &got, &count, true);
    CHECK(count == 0);
}

static void every_type_comes_back(void)
{
    struct column columns[2 * T_SCALAR_COUNT];
    struct table_def table = {.name = "all", .schema = {0, columns}}, *got;
    struct pipeline_source source = {
        .name = "s", .kind = &source_kind_generator, .tables = &table, .table_count = 1};
    uint32_t count;
    for (int i = 1; i < T_COUNT; i++)
        if (i != T_ARRAYS)
            columns[table.schema.column_count++] = (struct column){"c", {(enum type_id)i, -1}, false, NULL};
    struct err *e = table_cache_save(dir, &source, 1);
    CHECK(!e);
    err_free(e);
    load("s", &got, &count, true);
    CHECK(count == 1);
    for (uint32_t i = 0; count && i < table.schema.column_count; i++)
        CHECK(got[0].schema.columns[i].type.id == columns[i].type.id);
}

static void unknown_is_no_error(void)
{
    struct table_def *got;
    uint32_t count = 9;
    unlink(path_of("tables.json"));
    load("core", &got, &count, true);
    CHECK(count == 0);
    save();
    count = 9;
    load("other", &got, &count, true);
    CHECK(count == 0);
}

static void unchanged_is_not_written_again(void)
{
    struct stat before, after;
    save();
    CHECK(stat(path_of("tables.json"), &before) == 0);
    save();
    CHECK(stat(path_of("tables.json"), &after) == 0 && before.st_ino == after.st_ino);
    CHECK((after.st_mode & 0777) == 0600);
}

static void damage_is_an_error(void)
{
    static const char *const texts[] = {
        "",
        "not JSON",
        "[]",
        "{}",
        "{\"format\":2,\"sources\":[]}",
        "{\"format\":1}",
        "{\"format\":1,\"sources\":[{\"name\":\"core\"}]}",
        "{\"format\":1,\"sources\":[{\"name\":\"core\",\"tables\":[{\"name\":\"t\"}]}]}",
        "{\"format\":1,\"sources\":[{\"name\":\"core\",\"tables\":[{\"name\":\"t\",\"key\":[1],\"columns\":[{"
        "\"name\":\"a\","
        "\"type\":\"bigint\",\"typmod\":-1,\"not_null\":true}]}]}]}", /* the key is no column */
        "{\"format\":1,\"sources\":[{\"name\":\"core\",\"tables\":[{\"name\":\"t\",\"key\":[],\"columns\":[{"
        "\"name\":\"a\","
        "\"type\":\"nonsense\",\"typmod\":-1,\"not_null\":true}]}]}]}",
    };
    struct table_def *got;
    uint32_t count;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        write_text(texts[i]);
        load("core", &got, &count, false);
    }
}

static void a_directory_that_is_away_is_an_error(void)
{
    struct err *e = table_cache_save("/nonexistent/penstock", sources, 1);
    CHECK(e && e->code == ERR_IO);
    err_free(e);
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/penstock-cache-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    arena_init(&arena);
    RUN(comes_back_as_written);
    RUN(every_type_comes_back);
    RUN(unknown_is_no_error);
    RUN(unchanged_is_not_written_again);
    RUN(damage_is_an_error);
    RUN(a_directory_that_is_away_is_an_error);
    arena_fini(&arena);
    unlink(path_of("tables.json"));
    rmdir(dir);
    TEST_END();
}
