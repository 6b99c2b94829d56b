/* The receiving side of scp's own protocol (`scp -t`, which `scp -O` starts): single files, or folders with -r. Nothing is written
 * here; who calls gets what comes. What the sender says is foreign input: names are single components without control characters,
 * depth and sizes are bounded, modes and times are read and forgotten. */
#ifndef PENSTOCK_BOX_SCP_H
#define PENSTOCK_BOX_SCP_H

#include "base/err.h"

#define SCP_RECORD_BYTES_MAX 1024 /* a line of the protocol */
#define SCP_DEPTH_MAX        8    /* folders in one another */
#define SCP_NAME_BYTES_MAX   200
#define SCP_ENTRIES_MAX      1000 /* files and folders of one transfer */

struct
    scp_receiver { /* any may be NULL: then that is refused. An error ends the transfer and is told to the sender */
    void *ctx;
    struct err *(*folder)(void *ctx, const char *name); /* the following is in it, until leave */
    struct err *(*leave)(void *ctx);
    struct err *(*file)(void *ctx, const char *name, uint64_t size_bytes);
    struct err *(*data)(void *ctx, const void *p, size_t len); /* all of the file, in pieces */
    struct err *(*done)(void *ctx); /* with the file; the sender is told that it is well only then */
};
/* Until the sender ends it. ERR_AUTH: something was refused; ERR_IO: the connection; ERR_CONFIG: no scp. */
NODISCARD struct err *scp_receive(int in, int out, const struct scp_receiver *r);

/* The words of `scp -t ...` as the other side's scp starts it. *path (borrowed) is what stands behind the options. ERR_AUTH: it is to
 * send, or anything else. */
NODISCARD struct err *scp_words(int count, char *const *words, const char **path);

#endif
