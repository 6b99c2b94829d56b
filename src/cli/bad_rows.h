/* What `penstock errors --source` prints: rows of a table that cannot be read. */
#ifndef PENSTOCK_CLI_BAD_ROWS_H
#define PENSTOCK_CLI_BAD_ROWS_H

#include "store/quarantine.h"

#include <stdio.h>

/* "core.accounts" apart; ERR_CONFIG. */
NODISCARD struct err *bad_rows_split(const char *name, char source[256], char table[256]);
NODISCARD struct err *bad_rows_print(struct store_snapshot *s, uint32_t shard_count, const char *name,
                                     bool json, FILE *to);
/* A line per table that has such rows. */
void bad_rows_point(const struct gate *g, FILE *to);

#endif
