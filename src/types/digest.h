/* MD5 and SHA-2: here because SQL has them as functions (md5(), sha256(), ...), not for security. */
#ifndef PENSTOCK_TYPES_DIGEST_H
#define PENSTOCK_TYPES_DIGEST_H

#include "base/base.h"

void digest_md5(const uint8_t *p, size_t len, uint8_t out[16]);
/* bits: 224, 256, 384 or 512; writes bits / 8 bytes. */
void digest_sha2(const uint8_t *p, size_t len, unsigned bits, uint8_t *out);

#endif
