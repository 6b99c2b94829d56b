/* The `postgres:` section of penstock.yaml, checked. */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_CONF_H
#define PENSTOCK_SOURCE_POSTGRES_PG_CONF_H

#include "source/postgres/pg_position.h"

enum pg_unsupported {
    PG_UNSUPPORTED_REFUSE,
    PG_UNSUPPORTED_TEXT
}; /* columns of types that Penstock has not */

enum pg_on_error {                         /* a value that cannot be read */
                   PG_ON_ERROR_QUARANTINE, /* its row is left out and listed */
                   PG_ON_ERROR_STOP        /* its table is no longer followed */
};

struct pg_conf_table {
    const char *schema, *name; /* as PostgreSQL spells them */
    const char *as;            /* what SQL here calls it */
    uint32_t column_count;     /* 0: all */
    const char **columns;
    enum pg_unsupported unsupported;
    enum pg_on_error on_error;
    uint64_t quarantine_limit; /* 0: none */
    const struct yaml_node *at;
};
enum pg_secret { PG_SECRET_PASSWORD, PG_SECRET_URL_PASSWORD, PG_SECRET_URL_KEY, PG_SECRETS };
struct pg_conf {
    const char *source_name;
    const char *url;      /* may hold a password: never printed */
    const char *password; /* NULL: none given beside the url */
    /* Never printed either, whoever says it: password, and those inside the url. NULL: not given. */
    const char *secrets[PG_SECRETS];
    const char *user;     /* from the url, for messages; NULL unknown */
    const char *database; /* likewise */
    const char *publication, *slot;
    uint32_t snapshot_connections;
    int64_t snapshot_chunk_bytes; /* a table larger than this is read in several ranges */
    int64_t check_interval_us;    /* how often the server is asked, beside the stream */
    int64_t retained_warning_bytes;
    bool streaming;              /* large transactions are sent before they end */
    int64_t spool_bytes;         /* of those that are kept here at a time */
    int64_t spool_reserve_bytes; /* free on the disk below which none are; set with */
    const char *data_dir;        /* before run; NULL: there is none (check) */
    bool all_tables;             /* no `tables:`: those of the publication */
    uint32_t table_count;
    struct pg_conf_table *tables;
    enum pg_unsupported unsupported;
    enum pg_on_error on_error;
    uint64_t quarantine_limit;
    const struct yaml_node *at;
};
NODISCARD struct err *pg_conf_read(struct arena *arena, const char *source_name, const struct yaml_node *node,
                                   struct pg_conf **out);

#endif
