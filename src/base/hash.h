/* 64-bit hashes of bytes (XXH3), and how a hash picks a shard.
 *
 * The shard of a key is a property of the store: changing hash_bytes or hash_shard re-partitions data, so both
 * are fixed for a store format. Shards use the high bits, hash tables the low ones. */
#ifndef PENSTOCK_BASE_HASH_H
#define PENSTOCK_BASE_HASH_H

#include "base/base.h"

uint64_t hash_bytes(const void *p, size_t len);
void hash_bytes128(const void *p, size_t len, uint8_t out[16]);

static inline uint32_t hash_shard(uint64_t hash, uint32_t shard_count)
{
    return (uint32_t)(((hash >> 32) * shard_count) >> 32);
}

#endif
