/* Replacing a whole store by another one: a crash or power cut at any moment leaves one of the two complete.
 *
 * The new store is made beside the old one, in DATA/repartition/ (store_swap_dir). Until store_swap_commit the old one
 * is the store, and what is in DATA/repartition/ is rubbish. Commit writes DATA/repartition/COMPLETE durably; from
 * then on the new one is the store, and nothing may open the old one: store_swap_finish has to come first, and does
 * the rest, as often as it takes:
 *   1. the old shards go to DATA/repartition/old/; synced;
 *   2. the new shards come to their places; synced;
 *   3. the new checkpoint marker replaces the old one; synced. It comes last: while DATA/repartition/checkpoint is
 *      there, a shard is an old one if DATA/repartition/ has one of its number, or if its number is too high;
 *   4. COMPLETE goes, synced, and then everything else in DATA/repartition/.
 * Readers must be kept out of the store from before store_swap_finish until it was opened again (gate.h). */
#ifndef PENSTOCK_STORE_SWAP_H
#define PENSTOCK_STORE_SWAP_H

#include "base/err.h"

/* Where the new store is to be made; malloc'ed. */
char *store_swap_dir(const char *dir);
/* Removes what is there and was never committed; for the holder of the writer's lock. */
NODISCARD struct err *store_swap_discard(const char *dir);
/* The new store is complete and durable there and closed. */
NODISCARD struct err *store_swap_commit(const char *dir);
/* Whether store_swap_finish has a new store to put in place. */
bool store_swap_pending(const char *dir);
/* Finishes a committed swap, or removes what an uncommitted one left. Takes the writer's lock for it (ERR_STATE when
 * a store is open); nothing to do is fine. */
NODISCARD struct err *store_swap_finish(const char *dir);

#endif
