/* Golden plans: a .sql file with its tables and apis in comments, planned and compared with the .out file beside
 * it. GOLDEN_WRITE=1 in the environment writes the .out files instead (look at the difference before committing).
 *
 *   -- table core.accounts: id bigint not null, owner text; key id
 *   -- api balances            (or: -- api customers/top view top_customers key id, owner) */
#ifndef PENSTOCK_TEST_GOLDEN_H
#define PENSTOCK_TEST_GOLDEN_H

#include "base/buf.h"
#include "plan/plan.h"

/* More than these end the test program. */
#define GOLDEN_TABLES_MAX  16
#define GOLDEN_APIS_MAX    32
#define GOLDEN_COLUMNS_MAX 32 /* of a table, of a key; labels of an enum */
struct golden {
    struct arena arena;
    char *text;
    uint32_t table_count, api_count;
    struct table_def tables[GOLDEN_TABLES_MAX];
    struct api_request apis[GOLDEN_APIS_MAX];
};

void golden_init(struct golden *g, const char *text); /* reads the comments of a copy of text */
void golden_fini(struct golden *g);
/* The explain text of every view, or the errors, as a malloc'ed string. */
char *golden_run(struct golden *g, const char *file);
struct err *golden_plan(struct golden *g, const char *file, struct plan **out);

#endif
