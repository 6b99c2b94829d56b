/* Secrets as they come in: a line of standard input, typed unseen on a terminal. Never in an argument, which others could read. */
#ifndef PENSTOCK_BOX_SECRET_H
#define PENSTOCK_BOX_SECRET_H

#include "base/err.h"

#define SECRET_LINE_MAX 512 /* bytes */

/* Without its end, a 0 byte behind it. prompt: shown on a terminal. ERR_CONFIG: nothing came; ERR_LIMIT: it is longer. Wiped by
 * the caller (explicit_bzero). */
NODISCARD struct err *secret_line(int fd, const char *prompt, char out[SECRET_LINE_MAX + 1]);
/* All that comes, up to `most` bytes, with a 0 byte behind it: wipe *len bytes and free it. */
NODISCARD struct err *secret_text(int fd, size_t most, char **out, size_t *len);
/* Takes as long whatever is in them. */
bool secret_same(const void *a, const void *b, size_t len);

#endif
