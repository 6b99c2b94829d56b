/* penstock.yaml as a checked structure. Everything in one arena; immutable after config_load. */
#ifndef PENSTOCK_CONFIG_CONFIG_H
#define PENSTOCK_CONFIG_CONFIG_H

#include "config/access.h"
#include "config/yaml.h"

struct config_source {
    const char *name;
    const char *kind; /* "postgres", "generator": key of the section; checked against the source table
                                     by the caller */
    const struct yaml_node *node;    /* the kind's own section, read by that source's configure() */
    const struct yaml_node *at;      /* the name's node, for error positions */
    const struct yaml_node *kind_at; /* the kind's */
};
struct config_sql {
    const char *file; /* shown in errors; the YAML file itself for an inline block */
    const char *text;
    int first_line;
};
struct config_reference { /* columns of an api whose values are the key of a row of another */
    const char *name, *api;
    uint32_t column_count;
    const char **columns;
    const struct yaml_node *at;
};
struct config_api {
    const char *path, *view; /* view is never NULL here */
    uint32_t key_count;
    const char **key;
    uint32_t reference_count;
    struct config_reference *references;
    const struct yaml_node *at;
};
struct config_cores {
    bool is_auto;
    uint32_t count;     /* a count, when cpu_count is 0 and !is_auto */
    uint32_t cpu_count; /* an explicit list */
    uint32_t *cpus;
};
enum config_client_auth { CLIENT_AUTH_NONE, CLIENT_AUTH_REQUEST, CLIENT_AUTH_REQUIRE };
enum access_anonymous { ACCESS_NONE, ACCESS_READ };

#define CONFIG_MEMORY_AUTO  (-1)
#define CONFIG_VERSIONS_MAX 12 /* of versions.keep */

#define CONFIG_GRPC_PORT 9443
struct config {
    struct arena arena;
    const char *file; /* as given */
    const char *dir;  /* directory that relative paths are relative to */
    uint32_t source_count;
    struct config_source *sources;
    uint32_t sql_count;
    struct config_sql *sql;
    uint32_t api_count;
    struct config_api *apis;
    bool switch_auto;                /* versions.switch: auto; default true */
    int64_t versions_keep;           /* default 4 */
    enum access_anonymous anonymous; /* default ACCESS_NONE */
    enum access_anonymous why;       /* of the source rows of apis, likewise */
    enum access_anonymous errors;    /* of lists of error rows, without a token; default ACCESS_NONE */
    struct config_access access;
    bool ingest;                   /* access.ingest: rows may be pushed without a token; default false */
    const char *listen_host;       /* server.listen, default 0.0.0.0 */
    int listen_port;               /* default 8443 */
    const char *grpc_host;         /* server.grpc; default: listen_host; NULL: none */
    int grpc_port;                 /* default CONFIG_GRPC_PORT */
    bool grpc_optional;            /* it is the default */
    struct config_names cors;      /* server.cors.origins: default "*"; none: empty */
    const char *user;              /* server.user; NULL: who started it */
    const char *client_ca;         /* absolute path or NULL */
    int64_t client_auth;           /* enum config_client_auth */
    const char *certificate, *key; /* absolute paths or NULL: self-signed, kept in the store */
    struct config_cores shards, serve;
    const char *store_path;   /* absolute or relative to cwd already resolved against dir; default ./data */
    int64_t epoch_us;         /* default 5 ms: at most this long until a change is visible under load */
    int64_t checkpoint_us;    /* default 1 s */
    int64_t checkpoint_bytes; /* default 128 MiB dirtied */
    int64_t change_log_us;    /* retention of change logs: default 10 min */
    int64_t change_log_rows;  /* and at most so many entries per view and shard, default 100000 */
    int64_t reserve_bytes;    /* free on the disk below which ingest pauses, default 64 MiB */
    int64_t map_bytes;        /* address space per shard at first, default 64 GiB */
    int64_t error_rows;       /* that a view's list of error rows shows, default 100 */
    struct {
        int64_t scan_rows;   /* limits.scan_rows: default 100000: unindexed filters scan views up to this */
        int64_t page_rows;   /* limits.page_rows: most rows of one answer; default 100000 */
        int64_t connections; /* default 10000 per serve process */
        int64_t address_connections, address_requests, caller_requests,
            caller_subscribers;    /* default 0: no limit */
        int64_t auth_failures;     /* default 60 a minute of one address */
        int64_t header_bytes;      /* default 16 KiB */
        int64_t body_bytes;        /* default 1 MiB */
        int64_t idle_timeout_us;   /* default 60 s keep-alive */
        int64_t body_timeout_us;   /* default 20 s for each SERVE_BODY_STEP_BYTES of a body */
        int64_t header_timeout_us; /* default 10 s from first byte to end of headers, and for the handshake */
        int64_t target_bytes;      /* default 8 KiB */
        int64_t write_timeout_us;  /* default 30 s */
        int64_t answer_bytes;      /* default 64 MiB */
        int64_t pending_bytes;     /* default 256 MiB per serve loop */
        int64_t wait_us;           /* default 5 s: Penstock-Wait */
        int64_t heartbeat_us;      /* default 15 s */
        int64_t live_changes;      /* default 100000 */
        int64_t live_step_us;      /* default 2 ms */
        int64_t live_window;       /* default 1000 rows */
        int64_t live_window_bytes; /* default 256 MiB */
        int64_t live_queue_bytes;  /* default 1 MiB: a slower subscriber is dropped */
        int64_t subscribers;       /* default 10000 */
        int64_t why_rows;          /* default 1000000: that one why looks at */
        int64_t why_time_us;       /* default 5 s: that it takes */
        int64_t memory;            /* bytes of the pipeline, or CONFIG_MEMORY_AUTO, the default */
        /* default 1 KiB and 4 MiB: answers of these sizes are compressed */
        int64_t compress_bytes, compress_max_bytes;
        int64_t metrics_operators; /* default 1000 */
        int64_t h2_streams;        /* default 100 */
        int64_t h2_resets;         /* default 200 */
        int64_t h2_control_frames; /* default 1000 */
        int64_t h2_pending_bytes;  /* default 16 MiB */
        int64_t stuck_us;          /* default 120 s: the watchdog over shards; 0: none */
    } limits;
};

/* Reads and checks; on failure all errors found, and *out is what could be read all the same (or NULL), so that the caller
 * can check the sources' own sections too and report everything at once; it is to be freed. with_secrets false keeps ${...} unexpanded (serve process). */
NODISCARD struct err *config_load(const char *file, bool with_secrets, struct config **out);
void config_free(struct config *c);
/* The table of keys (name, type, default, range, help) printed as docs/configuration.md's reference section. */
void config_doc_write(FILE *to);

#endif
