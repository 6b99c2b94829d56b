/* A configuration as it comes to a box: on standard input, as a signed bundle, a tar archive or a bare penstock.yaml. */
#ifndef PENSTOCK_CLI_BOX_INPUT_H
#define PENSTOCK_CLI_BOX_INPUT_H

#include "base/buf.h"
#include "base/err.h"

#define BOX_CONFIG_STORE    "/data/config"
#define BOX_INPUT_WAIT_S    30 /* for its first byte, where standard input is no terminal and no file */
#define BOX_INPUT_BYTES_MAX (20 << 20) /* of whatever form it has */

/* All of standard input; empty when it is a terminal or holds nothing. ERR_LIMIT: too large, or nothing came for so long. */
NODISCARD struct err *box_input_read(struct buf *out);
/* The archive of the configuration that `in` stands for: the whole of it, or with `files` (and of a bare penstock.yaml) the present one
 * with these files in the place of its own. ERR_AUTH: it is not signed as the box's settings want it. */
NODISCARD struct err *box_input_archive(const struct buf *in, bool files, struct buf *tar);

#endif
