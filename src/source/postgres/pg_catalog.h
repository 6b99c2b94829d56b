/* What the server's catalogue says about the tables: facts as they are (pg_catalog.c), and the judgement which of
 * them Penstock can follow and how (pg_describe.c). */
#ifndef PENSTOCK_SOURCE_POSTGRES_PG_CATALOG_H
#define PENSTOCK_SOURCE_POSTGRES_PG_CATALOG_H

#include "source/postgres/pg_conn.h"
#include "types/enum_type.h"

struct pg_enum {
    const char *name; /* in SQL and in the list of enum types; NULL: it cannot be told from another's */
    struct enum_desc desc;
};
struct pg_column {
    const char *name;
    uint16_t attnum;
    uint32_t type_oid; /* as declared: what Relation messages say */
    int32_t typmod;
    const char *type_name;
    uint32_t base_oid; /* below domains */
    int32_t base_typmod;
    bool is_array;                   /* of arrays the following is about the elements */
    bool is_citext;                  /* the extension's type, whose oid differs from database to database */
    const struct pg_enum *enum_type; /* NULL: no enum */
    bool not_null;
    bool generated;
    bool readable;  /* we have SELECT on it */
    bool published; /* not left out by the publication's column list */
    const char *comment;
};
struct pg_wrong {
    enum err_code code;
    const char *text, *hint; /* text NULL: nothing is wrong */
};
struct pg_relation {
    uint32_t relid;
    const char *schema, *name, *quoted;       /* quoted: "schema"."name" */
    char kind, persistence, replica_identity; /* pg_class.relkind, relpersistence, relreplident */
    uint16_t attnum_max;
    int64_t bytes;
    double rows; /* estimate, negative unknown */
    bool in_publication;
    bool owned;               /* our role has the rights of its owner */
    bool via_root;            /* a partition whose changes are published as the partitioned table's */
    const char *listed_above; /* the partitioned table above it that is configured too; NULL none */
    struct pg_wrong parts;    /* of a partitioned table: why its partitions cannot be followed */
    const char *row_filter;   /* of the publication, an SQL expression; NULL none */
    uint32_t key_count;       /* primary key, or replica identity index; 0: none */
    uint16_t *key;            /* attnums */
    uint32_t column_count;
    struct pg_column *columns;
};
struct pg_publication {
    bool exists, all_tables, owned; /* owned: we may change it */
    bool via_root;                  /* a partitioned table's changes come as its own */
    bool publishes_all;             /* inserts, updates, deletes and truncates */
    uint32_t table_count;
    struct pg_conf_table *tables; /* its tables, as if they had been configured by name */
};
struct pg_catalog {
    int server_version; /* as libpq gives it: 150004 */
    const char *wal_level;
    int64_t block_bytes;
    struct pg_publication publication;
    uint32_t table_count;
    const struct pg_conf_table *tables;   /* those wanted by the configuration */
    const struct pg_relation **relations; /* per table; NULL: there is none of that name */
    uint32_t enum_count;
    struct pg_enum *enums; /* of all columns */
};
/* Reads it all through `conn`; lives in arena. */
NODISCARD struct err *pg_catalog_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                      const struct pg_stop *stop, struct pg_catalog **out);

/* The type that a column is taken as; false when it is not supported. */
bool pg_column_type(const struct pg_column *c, enum pg_unsupported unsupported, struct type *out);
/* Whether the table, as configured, can be followed, and how: *def's schema and key. Errors list everything wrong. */
NODISCARD struct err *pg_table_judge(struct arena *arena, const struct pg_conf *conf,
                                     const struct pg_catalog *cat, const struct pg_conf_table *t,
                                     const struct pg_relation *r, struct table_def *def);
/* pg_enum.c: the labels of `enums`, whose desc.oid is set. */
NODISCARD struct err *pg_enums_read(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                    const struct pg_stop *stop, struct pg_enum *enums, uint32_t count);
/* Makes the types known to SQL. */
void pg_enums_register(const struct pg_catalog *cat);
const struct pg_column *pg_column_find(const struct pg_relation *r, const char *name);
NODISCARD struct err *pg_describe(struct arena *arena, const struct pg_conf *conf, int timeout_ms,
                                  struct table_def **tables, uint32_t *table_count);
/* pg_partition.c: reads the leaves of the partitioned tables, given as an oid[] literal. */
NODISCARD struct err *pg_parts_read(const struct pg_conf *conf, PGconn *sql, const struct pg_stop *stop,
                                    const char *roots, PGresult **out);
/* Whether a table with these leaves can be followed; says why not, with the remedy, but not of which table. */
NODISCARD struct err *pg_parts_judge(const PGresult *parts, uint32_t relid);
/* pg_foresee.c: warns of what a run would meet. */
NODISCARD struct err *pg_foresee(struct arena *arena, const struct pg_conf *conf, PGconn *conn,
                                 const struct pg_catalog *cat);
/* What holds for the server as a whole: wal_level, what the publication publishes. */
NODISCARD struct err *pg_server_judge(const struct pg_conf *conf, const struct pg_catalog *catalog);

#endif
