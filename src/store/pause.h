/* Ingest stands still for want of room: the state that all processes see, in the gate.
 *
 * Written by the pipeline; ended by it too, or by the supervisor when another configuration is to be tried. What is read of
 * it elsewhere is one moment's, each field by itself. */
#ifndef PENSTOCK_STORE_PAUSE_H
#define PENSTOCK_STORE_PAUSE_H

#include "store/gate.h"

#define PAUSE_TEXT_BYTES 640

const char *pause_reason_name(unsigned reason);  /* "disk full", ...; "" for PAUSE_NONE */
const char *pause_reason_label(unsigned reason); /* "disk", "map", "memory" */
/* Says so in the log when it is news. `advice`: what to do; may name what takes the most. */
void pause_begin(struct gate *g, enum pause_reason reason, int64_t need_bytes, int64_t have_bytes,
                 const char *advice);
void pause_update(struct gate *g, int64_t have_bytes);
void pause_end(struct gate *g); /* with a line in the log, if there was one */
/* "paused: disk full: 1.0 MiB free, 64.0 MiB needed, for 12 s; make room ..."; "" when there is none. */
const char *pause_text(const struct gate *g, char out[PAUSE_TEXT_BYTES]);

#endif
