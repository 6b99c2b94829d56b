/* The manifest of a bundle as JSON; for bundle.c and bundle_write.c. */
#ifndef PENSTOCK_BOX_BUNDLE_MANIFEST_H
#define PENSTOCK_BOX_BUNDLE_MANIFEST_H

#include "box/bundle.h"

/* ERR_CORRUPT: it does not say what it must, or says more than is allowed. *m is the caller's to end in any case. */
NODISCARD struct err *bundle_manifest_parse(const void *text, size_t len, struct bundle_manifest *m);
char *bundle_manifest_text(const struct bundle_manifest *m, size_t *len); /* free it */
size_t bundle_chunk_plain(const struct bundle_manifest *m, uint32_t chunk);

#endif
