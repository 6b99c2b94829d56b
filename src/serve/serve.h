/* The serve process: views as REST and live queries over TLS, read from the LMDB files that the pipeline writes.
 *
 * It holds no source credentials and opens the store read-only; it comes up before any catalog exists, goes on while the
 * pipeline is down, and re-reads the catalog at each generation of the gate. See README.md in this folder. */
#ifndef PENSTOCK_SERVE_SERVE_H
#define PENSTOCK_SERVE_SERVE_H

#include "base/err.h"
#include "serve/cors.h"
#include <stdatomic.h>

#define SERVE_FDS_SPARE       128 /* descriptors beside connections, loops and shards: files, civetweb */
#define SERVE_CONNECTIONS_MIN 16  /* with descriptors for fewer the server does not start */
#define SERVE_BODY_STEP_BYTES (64 << 10)
#define LOOP_PROXIES_MAX \
    1000 /* requests of one loop that civetweb answers or the pipeline takes, at a time */
#define PROXY_HOLD_BYTES   (64u << 10) /* of a pushed body, until which it is held: see proxy.c */
#define PROXY_HELD_MAX     (64u << 20) /* of all of them in one loop */
#define PROXY_ANSWER_BYTES (16u << 20) /* of an answer, taken in before the client reads it */

/* Named limits: what a client may use up. All from the configuration's `limits` section; see serve_limits_default. */
struct serve_limits {
    int64_t scan_rows;           /* rows that one answer may look at without being served by an index */
    int64_t page_rows;           /* most rows of one answer */
    int64_t answer_bytes;        /* most bytes of one answer's body */
    int64_t pending_bytes;       /* answers of one loop that clients have not taken yet, all together */
    int64_t connections;         /* per process */
    int64_t address_connections; /* of one address; 0: any number */
    int64_t address_requests;    /* of one address, a second; 0: any number */
    int64_t caller_requests;     /* of one token, a second; 0: any number */
    int64_t caller_subscribers;  /* live queries of one token; 0: any number */
    int64_t auth_failures;       /* wrong credentials of one address, a minute; 0: any number */
    int64_t header_bytes;        /* request line and headers */
    int64_t target_bytes;        /* request target alone: 414 past it */
    int64_t body_bytes;          /* request body: 413 past it */
    int64_t idle_timeout_us;     /* keep-alive */
    int64_t header_timeout_us;   /* first byte to end of headers; the TLS handshake */
    int64_t body_timeout_us;     /* a body brings SERVE_BODY_STEP_BYTES, or its end, in each such time */
    int64_t write_timeout_us;    /* a client that takes nothing for so long is closed */
    int64_t wait_us;             /* most that Penstock-Wait makes a read wait */
    int64_t heartbeat_us;        /* comment line on a silent live query */
    int64_t live_queue_bytes;    /* a subscriber with more than this unsent is dropped */
    int64_t subscribers;         /* per process */
    int64_t
        live_changes; /* changes that a resumed subscriber may be behind before it is told to start over */
    int64_t
        live_step_us; /* rows are read anew for live queries in steps of about this; one query is read in any case */
    int64_t live_window;       /* rows of limit and offset together that a live query may have */
    int64_t live_window_bytes; /* of the rows that live queries with a limit hold, per process */
    int64_t h2_streams;        /* requests under way on one HTTP/2 connection */
    int64_t h2_resets;         /* that its client may send in a burst; a tenth comes back each second */
    int64_t h2_control_frames; /* frames without content, likewise */
    int64_t h2_pending_bytes;  /* of a connection's answers not taken: past it requests are refused */
    int64_t stuck_us; /* a loop that stands still for so long ends the process, with a report; 0: never */
    /* Answers between these sizes are compressed on the loop, if the client asks for it. */
    int64_t compress_bytes, compress_max_bytes;
    int64_t why_rows;          /* rows that one why looks at */
    int64_t why_time_us;       /* that it takes */
    int64_t metrics_operators; /* operators with numbers of their own in /metrics; 0: none of any */
};
void serve_limits_default(struct serve_limits *l);

/* Who may push rows into ingest sources, as far as this process knows: the pipeline has the tokens. */
enum serve_ingest {
    SERVE_INGEST_NONE,  /* there is no such source */
    SERVE_INGEST_TOKEN, /* with a token, which the pipeline judges */
    SERVE_INGEST_ALL
};

struct serve_options {
    const char *data_dir;
    const char *host;      /* address to bind */
    int port;              /* 0: any free one, see bound_port */
    const char *grpc_host; /* a second address for the same; NULL: none */
    int grpc_port;
    bool grpc_optional;            /* it is not asked for by name: a port in use is no error */
    atomic_int *grpc_bound_port;   /* as bound_port */
    const char *certificate, *key; /* PEM files, or NULL: self-signed, made once and kept in DATA/tls */
    const char *client_ca;         /* PEM file, or NULL */
    int client_auth;               /* enum tls_client_auth */
    const char *control_path; /* where PID 1 of a box takes the console's commands; NULL: this is no box */
    bool anonymous_read;      /* false: reads of views answer 401 */
    bool why_read;            /* false: asking why answers 401 */
    bool errors_read;         /* false: reads of lists of error rows answer 401 */
    enum serve_ingest ingest;
    struct cors cors;
    struct serve_limits limits;
    uint32_t loop_count;  /* 0: one */
    uint32_t cpu_count;   /* 0: not pinned; else loop i runs on cpus[i % cpu_count] */
    const uint32_t *cpus; /* borrowed until serve_run returns */
    atomic_int
        *stop; /* set to non-zero by anyone (a signal handler): finish answers under way, close, return */
    atomic_int *bound_port; /* may be NULL; the port once listening */
    bool confined; /* the process gives up what it does not need: see confine.h. Not in tests' processes */
};

/* Runs until *o->stop. The calling thread is the notifier; loops and console workers are threads of their own. */
NODISCARD struct err *serve_run(const struct serve_options *o);

#endif
