/* A pipeline that ended for want of room, and the one that is started after it. */
#ifndef PENSTOCK_CLI_HOLD_H
#define PENSTOCK_CLI_HOLD_H

#include "config/config.h"
#include "store/pause.h"

/* Of the pipeline process: what limits.memory says, `auto` worked out; 0: not known, no limit. Asked for again and again, as
 * a control group's limit may be changed. */
int64_t hold_memory_limit(const struct config *c);
/* Whether e says that there was no room. */
bool hold_is_due(const struct err *e);
/* Notes in the gate that the next start is to wait, and for what. map_bytes: the store's map, 0 when it is not open. advice:
 * for memory; may be empty. */
void hold_begin(struct gate *g, const struct config *c, const char *data, const struct err *e,
                uint64_t map_bytes, const char *advice);
/* The start after that: comes back when there is room, or when *stop is set. What is stored is served meanwhile. */
void hold_wait(struct gate *g, const struct config *c, const char *data, const volatile int *stop);
/* A new start of the instance: views may have been taken out, and whether the rest has room is not known before it is tried. */
void hold_retry(struct gate *g);
/* Once the store is open: a map as large as was wanted could not be had. Comes back when *stop is set. */
void hold_check_map(struct gate *g, uint64_t map_bytes, const volatile int *stop);

/* What a start needs to serve what is stored, kept in the file DATA/ballast: the gate, which belongs to one boot, the catalog,
 * the operators' numbers. */
#define HOLD_BALLAST_BYTES (16 << 20)
/* At the start of an instance, before it makes any file: with less than that free the ballast is given up; with more than
 * twice that it is there afterwards. Failures change nothing. */
void hold_ballast(const char *data);

#endif
