/* What `penstock check` does, for the commands that check before they act. */
#ifndef PENSTOCK_CLI_CHECK_H
#define PENSTOCK_CLI_CHECK_H

#include "cli/contract.h"
#include "cli/world.h"

/* Asks the sources, plans, prints contracts and what would change against the version in `data` (*change: the worst).
 * Nothing is written. a->catalog is set on success. */
NODISCARD struct err *check_app(struct app *a, const char *data, enum contract_change *change);

#endif
