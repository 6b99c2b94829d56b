/* Memory of nghttp2's sessions, kept by the loop from one request to the next: see h2_memory.c. The loop's thread alone. */
#ifndef PENSTOCK_SERVE_H2_MEMORY_H
#define PENSTOCK_SERVE_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

#define H2_MEMORY_LISTS      8          /* 64 bytes to 8 KiB */
#define H2_MEMORY_KEPT_BYTES (4u << 20) /* of free pieces, per loop */

struct piece;
struct h2_memory {
    nghttp2_mem calls; /* for nghttp2_session_server_new3 */
    size_t kept_bytes; /* of free pieces */
    struct piece *free[H2_MEMORY_LISTS];
};
/* Not moved afterwards. */
void h2_memory_init(struct h2_memory *m);
/* After the last session. */
void h2_memory_fini(struct h2_memory *m);

#endif
