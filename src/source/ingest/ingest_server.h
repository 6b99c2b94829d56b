/* The pipeline's HTTP server for pushed rows, plain, on the unix socket DATA/run/ingest.sock: only the serve process on this
 * machine reaches it (the directory is 0700), and hands on what came over TLS.
 *
 *     POST /ingest/SOURCE/TABLE      rows; DELETE: objects of key columns, whose rows go
 *     201 {"rows":N,"position":"P"}  once they are on disk; Penstock-Position: SOURCE=P */
#ifndef PENSTOCK_SOURCE_INGEST_SERVER_H
#define PENSTOCK_SOURCE_INGEST_SERVER_H

#include "base/err.h"

#define INGEST_QUEUE   1024 /* requests that wait for one of them; further ones wait in the kernel */
#define INGEST_THREADS 64   /* requests at a time, and so most that one sync makes durable */

struct ingest_server_options {
    const char *data_dir;
    bool anonymous; /* access.ingest: write */
    int64_t body_bytes;
    uint32_t queue; /* requests that may wait, each with its socket; 0: INGEST_QUEUE */
    uint32_t source_count;
    void *const *confs; /* of sources of kind ingest; borrowed until it is stopped */
};
struct ingest_server;
NODISCARD struct err *ingest_server_start(const struct ingest_server_options *o, struct ingest_server **out);
void ingest_server_stop(struct ingest_server *s); /* waits for requests under way; NULL is fine */

#endif
