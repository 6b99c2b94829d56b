/* The table of configuration keys: one row per key, used for checking, for defaults and for the documentation. */
#ifndef PENSTOCK_CONFIG_KEYS_H
#define PENSTOCK_CONFIG_KEYS_H

#include "config/config.h"

enum key_type {
    KEY_SECTION, /* a mapping of further keys */
    KEY_FORMAT,  /* must be 1 */
    KEY_SOURCES,
    KEY_SQL,
    KEY_APIS,
    KEY_ANONYMOUS, /* none | read */
    KEY_PUSH,      /* none | write: bool */
    KEY_SWITCH,    /* auto | manual: bool */
    KEY_LISTEN,    /* host:port */
    KEY_GRPC,      /* host:port, or none */
    KEY_PATH,      /* resolved against the file's folder */
    KEY_STORE_PATH,
    KEY_NAME,        /* of something on this machine */
    KEY_NAMES,       /* struct config_names: one or a list */
    KEY_ORIGINS,     /* struct config_names; none: empty */
    KEY_CLIENT_AUTH, /* int64_t: enum config_client_auth */
    KEY_ROLES,
    KEY_CERTIFICATES,
    KEY_CORES,    /* auto, a count, or a list of cores */
    KEY_DURATION, /* int64_t microseconds; min and max too */
    KEY_SIZE,     /* int64_t bytes */
    KEY_MEMORY,   /* likewise, or auto: CONFIG_MEMORY_AUTO */
    KEY_COUNT     /* int64_t */
};
struct config_key {
    const char *path; /* "server.tls.key" */
    enum key_type type;
    const char *standard; /* default as one would write it; NULL: none */
    int64_t min, max;     /* of numbers, in the unit of storage */
    size_t offset;        /* in struct config */
    const char *help;
};
extern const struct config_key config_keys[];
extern const uint32_t config_key_count;

/* readers.c: reads a value into `c`; the key's row says how. */
NODISCARD struct err *config_read_value(struct config *c, const struct config_key *k,
                                        const struct yaml_node *n);
NODISCARD struct err *config_read_sources(struct config *c, const struct yaml_node *n);
NODISCARD struct err *config_read_sql(struct config *c, const struct yaml_node *n);
NODISCARD struct err *config_read_apis(struct config *c, const struct yaml_node *n);
char *config_path(struct config *c, const char *path); /* relative to the file's folder */

#endif
