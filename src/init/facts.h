/* Small JSON files in BOX_RUN, replaced as a whole, readable by all. */
#ifndef PENSTOCK_INIT_FACTS_H
#define PENSTOCK_INIT_FACTS_H

#include "base/buf.h"

void facts_text(struct buf *b, const char *key,
                const char *value); /* "key":"value"; of value printable ASCII only */
bool facts_put(const char *path, const struct buf *b);

#endif
