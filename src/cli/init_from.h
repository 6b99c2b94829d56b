/* `penstock init --from postgres URL`: what a database's catalogue says, and the files made from it. */
#ifndef PENSTOCK_CLI_INIT_FROM_H
#define PENSTOCK_CLI_INIT_FROM_H

#include "base/buf.h"
#include "source/postgres/pg_catalog.h"

#define DRAFT_TABLES_MAX 1000 /* of the database; further ones are named and left out */

struct draft_key { /* a foreign key between two tables that are taken */
    const struct draft_table *from, *to;
    uint32_t count;
    const struct pg_column **from_columns, **to_columns;
};
struct draft_table {
    struct pg_conf_table conf;
    const struct pg_relation *rel;
    const char *comment; /* NULL: none */
    const char *name;    /* of the view, of the api, and of the table here */
    uint32_t taken_count;
    const struct pg_column **taken; /* the columns that can be taken */
    const char *why, *mend;         /* the table cannot be taken; NULL: it is */
};
struct draft {
    struct arena *arena; /* borrowed: everything lives there */
    struct pg_conf conf;
    const char *url; /* without a password */
    bool has_password, has_key_password;
    const char *secret; /* NAME in ${NAME} */
    struct pg_catalog *catalog;
    uint32_t keyword_count;
    const char **keywords;            /* that have to be quoted as names */
    uint32_t table_count, left_count; /* left: tables past DRAFT_TABLES_MAX */
    struct draft_table *tables;
    uint32_t key_count;
    struct draft_key *keys;
    bool may_replicate, may_create; /* our role: REPLICATION; CREATE in the database */
};
/* Asks the server. */
NODISCARD struct err *draft_read(struct arena *arena, const char *url, struct draft *out);
void draft_yaml(const struct draft *d, struct buf *out);
void draft_views(const struct draft *d, struct buf *out);
/* What has to be run on the server first; empty: nothing. */
void draft_server_sql(const struct draft *d, struct buf *out);

#endif
