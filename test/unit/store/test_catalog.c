/* The catalog as a file: what is saved is what is loaded, and nothing else loads. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include "store/catalog.h"

static struct column columns[] = {
    {.name = "id", .type = {T_INT8, -1}, .not_null = true, .comment = "The \"key\"\n\xc3\xa9"},
    {.name = "sum", .type = {T_NUMERIC, ((10 << 16) | 2) + 4}},
    {.name = "name", .type = {T_VARCHAR, 24}},
    {.name = "at", .type = {T_TIMESTAMPTZ, -1}},
};
static uint32_t key[] = {0}, sources[] = {0, 2};
static struct key_column index_columns[] = {{1, true, true}, {2, false, false}};
static struct catalog_index indexes[] = {{"balances_sum", 2, index_columns}};

static struct catalog sample(struct catalog_view views[2], struct catalog_api *api)
{
    views[0] = (struct catalog_view){.name = "balances",
                                     .slot = 3,
                                     .schema = {4, columns},
                                     .key_count = 1,
                                     .key = key,
                                     .index_count = 1,
                                     .indexes = indexes,
                                     .comment = "All of them",
                                     .definition = "SELECT 1",
                                     .fingerprint = UINT64_MAX - 1,
                                     .source_count = 2,
                                     .sources = sources};
    views[1] = (struct catalog_view){.name = "bag", .slot = 4, .schema = {1, columns + 2}};
    static uint32_t columns_of[] = {0};
    static struct catalog_reference reference = {"top_of", 0, 1, columns_of};
    *api = (struct catalog_api){
        .path = "customers/top", .view = 1, .reference_count = 1, .references = &reference};
    return (struct catalog){
        .shard_count = 7, .version = 1, .view_count = 2, .views = views, .api_count = 1, .apis = api};
}

static void test_round_trip(void)
{
    char *dir = fresh_dir("catalog");
    struct catalog *c;
    struct catalog_view views[2];
    struct catalog_api api;
    struct catalog saved = sample(views, &api);
    mkdir(dir, 0700);
    OK(catalog_load(dir, &c));
    CHECK(c == NULL);
    for (int i = 0; i < 2; i++)
        OK(catalog_save(&saved, dir));
    OK(catalog_load(dir, &c));
    CHECK(c->shard_count == 7 && c->version == 1 && c->view_count == 2 && c->api_count == 1);
    CHECK(c->apis[0].reference_count == 1 && c->apis[0].references[0].api == 0);
    CHECK(c->apis[0].references[0].column_count == 1 && c->apis[0].references[0].columns[0] == 0);
    CHECK_STR(c->apis[0].references[0].name, "top_of");
    const struct catalog_view *v = &c->views[0];
    CHECK_STR(v->name, "balances");
    CHECK_STR(v->comment, "All of them");
    CHECK_STR(v->definition, "SELECT 1");
    CHECK(v->slot == 3 && v->fingerprint == UINT64_MAX - 1 && v->key_count == 1 && v->key[0] == 0);
    CHECK(v->source_count == 2 && v->sources[1] == 2 && v->schema.column_count == 4);
    for (int i = 0; i < 4; i++) {
        CHECK_STR(v->schema.columns[i].name, columns[i].name);
        CHECK(v->schema.columns[i].type.id == columns[i].type.id);
        CHECK(v->schema.columns[i].type.typmod == columns[i].type.typmod);
        CHECK(v->schema.columns[i].not_null == columns[i].not_null);
    }
    CHECK_STR(v->schema.columns[0].comment, columns[0].comment);
    CHECK(v->schema.columns[1].comment == NULL);
    CHECK(v->index_count == 1 && v->indexes[0].column_count == 2);
    CHECK_STR(v->indexes[0].name, "balances_sum");
    CHECK(v->indexes[0].columns[0].column == 1 && v->indexes[0].columns[0].desc &&
          v->indexes[0].columns[0].nulls_first);
    CHECK(v->indexes[0].columns[1].column == 2 && !v->indexes[0].columns[1].desc);
    CHECK(c->views[1].key_count == 0 && c->views[1].comment == NULL && c->views[1].definition == NULL);
    CHECK_STR(c->apis[0].path, "customers/top");
    CHECK(c->apis[0].view == 1);
    catalog_free(c);
    drop_dir(dir);
}

static void expect_refusal(const char *dir, const char *text)
{
    char *path = xprintf("%s/catalog.json", dir);
    FILE *f = fopen(path, "we");
    struct catalog *c;
    fputs(text, f);
    fclose(f);
    struct err *e = catalog_load(dir, &c);
    CHECK(e && e->code == ERR_CORRUPT && !c);
    err_free(e);
    free(path);
}

static void test_refusals(void)
{
    char *dir = fresh_dir("badcatalog");
    mkdir(dir, 0700);
#define HEAD "{\"format\":1,\"version\":1,\"shard_count\":1,"
    expect_refusal(dir, "");
    expect_refusal(dir, "{");
    expect_refusal(dir, "[]");
    expect_refusal(dir, "{\"format\":9,\"version\":1,\"shard_count\":1,\"views\":[],\"apis\":[]}");
    expect_refusal(dir, HEAD "\"views\":{},\"apis\":[]}");
    expect_refusal(dir, HEAD "\"views\":[],\"apis\":[{\"path\":\"x\",\"view\":1}]}");
    expect_refusal(dir, HEAD "\"views\":[7],\"apis\":[]}");
    expect_refusal(dir, HEAD
                   "\"views\":[{\"name\":\"v\",\"slot\":0,\"fingerprint\":0,\"columns\":[{\"name\":\"a\","
                   "\"type\":\"no such\",\"typmod\":-1,\"not_null\":true}],\"key\":[],\"sources\":[],"
                   "\"indexes\":[]}],\"apis\":[]}");
    expect_refusal(dir, HEAD
                   "\"views\":[{\"name\":\"v\",\"slot\":0,\"fingerprint\":0,\"columns\":[{\"name\":\"a\","
                   "\"type\":\"bigint\",\"typmod\":-1,\"not_null\":true}],\"key\":[1],\"sources\":[],"
                   "\"indexes\":[]}],\"apis\":[]}");
    drop_dir(dir);
}

static void save_columns(const char *dir, struct column *c, uint32_t count, const char *path)
{
    struct catalog_view view = {.name = "v", .schema = {count, c}};
    struct catalog_api api = {.path = (char *)path};
    struct catalog saved = {
        .shard_count = 1, .version = 1, .view_count = 1, .views = &view, .api_count = 1, .apis = &api};
    OK(catalog_save(&saved, dir));
}

static uint32_t number(const char *dir, const char *path, const char *column, enum type_id type)
{
    struct catalog *c;
    OK(catalog_load(dir, &c));
    const struct api_fields *f = catalog_fields(c, path);
    uint32_t n = f ? field_number_find(f, column, type) : 0;
    catalog_free(c);
    return n;
}

/* Whatever comes, goes or changes places: a number belongs to one column in one form for good. */
static void test_field_numbers(void)
{
    char *dir = fresh_dir("numbers");
    struct column a = {.name = "a", .type = {T_INT4, -1}}, b = {.name = "b", .type = {T_TEXT, -1}};
    struct column wide = {.name = "a", .type = {T_INT8, -1}}, other = {.name = "b", .type = {T_BYTEA, -1}};
    mkdir(dir, 0700);
    save_columns(dir, (struct column[]){a, b}, 2, "x/y");
    CHECK(number(dir, "x/y", "a", T_INT4) == 1 && number(dir, "x/y", "b", T_TEXT) == 2);
    save_columns(dir, (struct column[]){{.name = "c", .type = {T_NUMERIC, -1}}, b}, 2, "x/y");
    CHECK(number(dir, "x/y", "b", T_TEXT) == 2 && number(dir, "x/y", "c", T_NUMERIC) == 3);
    save_columns(dir, (struct column[]){other, wide}, 2, "x/y");
    CHECK(number(dir, "x/y", "b", T_BYTEA) == 4);                                        /* another form */
    CHECK(number(dir, "x/y", "a", T_INT8) == 1 && number(dir, "x/y", "a", T_INT2) == 1); /* the same */
    CHECK(number(dir, "x/y", "b", T_VARCHAR) == 2 &&
          number(dir, "x/y", "c", T_UUID) == 3); /* not forgotten */
    save_columns(dir, (struct column[]){b}, 1, "z");
    CHECK(number(dir, "z", "b", T_TEXT) == 1 && number(dir, "x/y", "b", T_TEXT) == 2);
    expect_refusal(dir, "{");
    save_columns(dir, (struct column[]){b}, 1, "z"); /* what cannot be read is written anew */
    CHECK(number(dir, "z", "b", T_TEXT) == 1 && number(dir, "x/y", "b", T_TEXT) == 0);
    expect_refusal(dir, HEAD
                   "\"views\":[],\"apis\":[],\"fields\":[{\"path\":\"x\",\"columns\":[[\"a\",\"int\",1]]}]}");
    expect_refusal(
        dir,
        HEAD "\"views\":[],\"apis\":[],\"fields\":[{\"path\":\"x\",\"columns\":[[\"a\",\"int32\",0]]}]}");
    drop_dir(dir);
}

/* Numbers that Protocol Buffers keeps for itself are passed over. */
static void test_reserved_numbers(void)
{
    char *dir = fresh_dir("reserved");
    char text[300];
    mkdir(dir, 0700);
    snprintf(text, sizeof text,
             HEAD
             "\"views\":[],\"apis\":[],\"fields\":[{\"path\":\"x\",\"columns\":[[\"a\",\"int32\",18999]]}]}");
    char *path = xprintf("%s/catalog.json", dir);
    FILE *f = fopen(path, "we");
    fputs(text, f);
    fclose(f);
    free(path);
    save_columns(dir, (struct column[]){{.name = "b", .type = {T_TEXT, -1}}}, 1, "x");
    CHECK(number(dir, "x", "a", T_INT4) == 18999 && number(dir, "x", "b", T_TEXT) == 20000);
    drop_dir(dir);
}

int main(void)
{
    RUN(test_round_trip);
    RUN(test_field_numbers);
    RUN(test_reserved_numbers);
    RUN(test_refusals);
    TEST_END();
}
