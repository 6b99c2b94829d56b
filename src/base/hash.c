/* XXH3, kept behind two functions so that the choice is made in one place. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t len)
{
    return XXH3_64bits(p, len);
}

void hash_bytes128(const void *p, size_t len, uint8_t out[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(p, len));
    memcpy(out, canonical.digest, 16);
}
