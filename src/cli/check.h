/* What `penstock check` does, for the commands that check before they act. */
#ifndef PENSTOCK_CLI_CHECK_H
#define PENSTOCK_CLI_CHECK_H

#include "cli/editions.h"

/* Asks the sources, plans, prints contracts and what would change against the newest version in `data`. *lost: how many kept
 * versions could no longer be followed. Nothing is written. a->catalog is set on success. */
NODISCARD struct err *check_app(struct app *a, const char *data, uint32_t *lost);

#endif
