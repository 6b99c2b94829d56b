/* What `penstock status` says of epochs: how long they and their phases take. Counted since the host's start. */
#ifndef PENSTOCK_CLI_STATUS_PHASES_H
#define PENSTOCK_CLI_STATUS_PHASES_H

#include "cli/instance.h"

#include <stdio.h>
#include <yyjson.h>

void status_phases_text(const struct gate *g, FILE *to); /* one line */
void status_phases_json(const struct gate *g, yyjson_mut_doc *d, yyjson_mut_val *to);

#endif
