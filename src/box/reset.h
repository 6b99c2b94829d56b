/* Factory reset: the box forgets what it is, whose it is, and all its data.
 *
 * reset_request writes one thing that decides: a new generation of the identity with the flag IDENTITY_RESET and nothing in it but what is
 * kept. Before that write is complete nothing has changed; after it, every start makes the data partition anew until reset_done takes
 * the flag away, wherever power was cut. While the flag stands identity_save leaves the partition alone. */
#ifndef PENSTOCK_BOX_RESET_H
#define PENSTOCK_BOX_RESET_H

#include "base/err.h"

/* device: the identity partition. dir: BOX_DIR, of which box.yaml's network, hostname and time are kept when keep_network. */
NODISCARD struct err *reset_request(const char *device, const char *dir, bool keep_network);
/* Whether a reset was asked for and is not complete. A partition that cannot be read: no. */
bool reset_is_pending(const char *device);
/* The data partition was made anew, and holds what is kept. Former secrets are in neither half afterwards. */
NODISCARD struct err *reset_done(const char *device);

#endif
