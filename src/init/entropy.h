/* Random bytes that outlast a restart. The seed is taken away before it is used, so that no two boots have the same one, and credited, as it
 * came from this box's own generator; a new one is written once the box runs, and at shutdown. It is not in the identity partition,
 * which would give it twice. */
#ifndef PENSTOCK_INIT_ENTROPY_H
#define PENSTOCK_INIT_ENTROPY_H

#include "base/base.h"

#define ENTROPY_SEED       "/data/seed"
#define ENTROPY_SEED_BYTES 512
#define ENTROPY_CREDIT     256 /* bits */

/* False: there was no whole seed. device: "/dev/urandom". */
bool entropy_load(const char *seed, const char *device);
bool entropy_save(const char *seed);

#endif
