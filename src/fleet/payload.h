/* What is sent to boxes: a bundle's file, mapped once for all of them; a configuration's folder as an archive, or as a signed bundle. */
#ifndef PENSTOCK_FLEET_PAYLOAD_H
#define PENSTOCK_FLEET_PAYLOAD_H

#include "base/buf.h"
#include "box/bundle.h"

#define FLEET_PAYLOAD_BYTES ((size_t)300 << 20) /* of a file that is sent */

struct payload {
    const uint8_t *p; /* mapped; NULL: none */
    size_t len;
    char sum[65]; /* SHA-256, hex */
};
NODISCARD struct err *payload_map(const char *path, struct payload *out);
void payload_unmap(struct payload *p);
void payload_sum(const void *p, size_t len, char out[65]);

/* Reads all of an image's bundle, so that no box is sent a damaged one; whose signature it has is for the boxes to judge. */
NODISCARD struct err *payload_image(const struct payload *p, struct bundle_manifest *out);

/* The folder's archive. sum: as a box tells it of the configuration that it has. */
NODISCARD struct err *payload_folder(const char *dir, struct buf *archive, char sum[65]);
/* The archive in a bundle that the key of this file signs. */
NODISCARD struct err *payload_sign(const struct buf *archive, const char *key, struct buf *out);

#endif
