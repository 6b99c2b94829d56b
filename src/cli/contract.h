/* Contracts: what an api promises its clients (columns, types, key, indexes), printed and compared. */
#ifndef PENSTOCK_CLI_CONTRACT_H
#define PENSTOCK_CLI_CONTRACT_H

#include "store/catalog.h"

#include <stdio.h>

/* Compatible: a client of the old version goes on working. Breaking: one may exist that does not. Ordered. */
enum contract_change { CONTRACT_SAME, CONTRACT_COMPATIBLE, CONTRACT_BREAKING };

/* "api PATH" with its columns, key and indexes. */
void contract_print(const struct catalog *c, uint32_t api, FILE *to);
/* One line per difference, each with its class; returns the worst. */
enum contract_change contract_compare(const struct catalog *old, const struct catalog *now, FILE *to);
const char *contract_change_name(enum contract_change c); /* "none", "compatible", "breaking" */

#endif
