/* CRC-32C (Castagnoli; iSCSI, RFC 3720 B.4): finds torn and damaged records of files. Any thread. */
#ifndef PENSTOCK_BASE_CRC32C_H
#define PENSTOCK_BASE_CRC32C_H

#include "base/base.h"

/* Goes on from `crc`; 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *p, size_t len);

#endif
