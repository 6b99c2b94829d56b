/* What counts as a compatible and what as a breaking change of a contract, and how both are printed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/contract.h"
#include "test.h"

/* One version of the contract: a view of up to four columns under one path. Each test changes a copy. */
struct version {
    struct column columns[4];
    uint32_t key[2];
    struct key_column index_columns[2];
    struct catalog_index index;
    struct catalog_view view;
    struct catalog_api api;
    struct catalog catalog;
};
static struct version old, now;

static void version_init(struct version *v)
{
    static const struct column columns[] = {{"id", {T_INT8, -1}, true, NULL},
                                            {"owner", {T_TEXT, -1}, false, NULL},
                                            {"balance", {T_NUMERIC, -1}, false, "In euros"},
                                            {"spare", {T_INT4, -1}, false, NULL}};
    memset(v, 0, sizeof *v);
    memcpy(v->columns, columns, sizeof columns);
    v->index_columns[0] = (struct key_column){.column = 1};
    v->index_columns[1] = (struct key_column){.column = 2, .desc = true, .nulls_first = true};
    v->index = (struct catalog_index){"i", 2, v->index_columns};
    v->view = (struct catalog_view){.name = "balances",
                                    .schema = {3, v->columns},
                                    .key_count = 1,
                                    .key = v->key,
                                    .index_count = 1,
                                    .indexes = &v->index,
                                    .comment = "What accounts hold"};
    v->api = (struct catalog_api){.path = "balances"};
    v->catalog = (struct catalog){
        .shard_count = 1, .version = 1, .view_count = 1, .views = &v->view, .api_count = 1, .apis = &v->api};
}

static void start(void)
{
    version_init(&old);
    version_init(&now);
}

static void expect(enum contract_change change, const char *text)
{
    char *got = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&got, &len);
    CHECK(contract_compare(&old.catalog, &now.catalog, f) == change);
    fclose(f);
    CHECK_STR(got, text);
    free(got);
}

static void references(void)
{
    static uint32_t first[] = {0}, second[] = {1};
    static char name[] = "owner_of";
    static struct catalog_reference was = {name, 0, 1, first}, is = {name, 0, 1, second};
    start();
    now.api.reference_count = 1;
    now.api.references = &was;
    expect(CONTRACT_COMPATIBLE, "  balances: new reference owner_of (compatible)\n");
    old.api = now.api;
    expect(CONTRACT_SAME, "");
    now.api.references = &is;
    expect(CONTRACT_BREAKING,
           "  balances: reference owner_of removed or changed: it no longer embeds (breaking)\n"
           "  balances: new reference owner_of (compatible)\n");
    now.api.reference_count = 0;
    expect(CONTRACT_BREAKING,
           "  balances: reference owner_of removed or changed: it no longer embeds (breaking)\n");
}

static void the_same_is_no_change(void)
{
    start();
    expect(CONTRACT_SAME, "");
    CHECK_STR(contract_change_name(CONTRACT_SAME), "none");
}

static void another_computation_is_said(void)
{
    start();
    now.view.fingerprint = 1;
    expect(CONTRACT_SAME,
           "  balances: its rows are built anew from the mirrors, beside the old ones (none)\n");
}

static void apis_come_and_go(void)
{
    start();
    now.api.path = "accounts";
    expect(CONTRACT_BREAKING, "  balances: api removed (breaking)\n  accounts: new api (compatible)\n");
    old.catalog.api_count = 0;
    expect(CONTRACT_COMPATIBLE, "  accounts: new api (compatible)\n");
}

static void columns_come_and_go(void)
{
    start();
    now.view.schema.column_count = 4;
    expect(CONTRACT_COMPATIBLE, "  balances: column spare added (compatible)\n");
    now.columns[1].name = "holder";
    expect(
        CONTRACT_BREAKING,
        "  balances: column owner removed (breaking)\n  balances: column holder added (compatible)\n"
        "  balances: column spare added (compatible)\n"
        "  balances: index (owner, balance DESC) removed: queries that it served may be refused (breaking)\n"
        "  balances: index (holder, balance DESC) added (compatible)\n");
}

static void types_change(void)
{
    start();
    now.columns[1].type.id = T_INT4;
    expect(CONTRACT_BREAKING, "  balances: column owner is now integer, was text (breaking)\n");
    start();
    now.columns[2].type.typmod = ((12 << 16) | 2) + 4;
    expect(CONTRACT_COMPATIBLE,
           "  balances: column balance is now numeric(12,2), was numeric (compatible)\n");
}

static void null_comes_and_goes(void)
{
    start();
    now.columns[0].not_null = false;
    expect(CONTRACT_BREAKING, "  balances: column id may now be NULL (breaking)\n");
    start();
    now.columns[1].not_null = true;
    expect(CONTRACT_COMPATIBLE, "  balances: column owner is never NULL now (compatible)\n");
}

static void order_alone_is_compatible(void)
{
    start();
    struct column first = now.columns[1];
    now.columns[1] = now.columns[2];
    now.columns[2] = first;
    now.index_columns[0].column = 2;
    now.index_columns[1].column = 1;
    expect(CONTRACT_COMPATIBLE, "  balances: columns come in another order (compatible)\n");
}

static void keys_change(void)
{
    start();
    now.view.key_count = 2;
    now.key[1] = 1;
    expect(CONTRACT_BREAKING, "  balances: key is now id, owner, was id (breaking)\n");
    now.view.key_count = 0;
    expect(CONTRACT_BREAKING, "  balances: key is now none: a list with multiplicities, was id (breaking)\n");
}

static void indexes_come_and_go(void)
{
    start();
    now.index_columns[1].nulls_first = false;
    expect(
        CONTRACT_BREAKING,
        "  balances: index (owner, balance DESC) removed: queries that it served may be refused (breaking)\n"
        "  balances: index (owner, balance DESC NULLS LAST) added (compatible)\n");
}

static void is_printed_readably(void)
{
    char *got = NULL;
    size_t len = 0;
    start();
    now.api.path = "b/top";
    FILE *f = open_memstream(&got, &len);
    contract_print(&now.catalog, 0, f);
    fclose(f);
    CHECK_STR(got, "\napi b/top (view balances): What accounts hold\n"
                   "  key: id\n"
                   "  id       bigint   not null\n"
                   "  owner    text\n"
                   "  balance  numeric            In euros\n"
                   "  index (owner, balance DESC)\n");
    free(got);
}

int main(void)
{
    RUN(references);
    RUN(the_same_is_no_change);
    RUN(another_computation_is_said);
    RUN(apis_come_and_go);
    RUN(columns_come_and_go);
    RUN(types_change);
    RUN(null_comes_and_goes);
    RUN(order_alone_is_compatible);
    RUN(keys_change);
    RUN(indexes_come_and_go);
    RUN(is_printed_readably);
    TEST_END();
}
