/* The `access` section on its way to the server: judged against the published views, and written for it. */
#ifndef PENSTOCK_CLI_ACCESS_H
#define PENSTOCK_CLI_ACCESS_H

#include "config/config.h"
#include "store/access_doc.h"
#include "store/catalog.h"

#include <stdio.h>

/* The section as the server is told it. Free with access_doc_free; borrows texts from c. */
struct access_doc *access_doc_of(const struct config *c);
/* Every rule against the columns of its api's view: all errors, each with its place. */
NODISCARD struct err *access_check(const struct config *c, const struct catalog *catalog);
/* The identity provider's keys, as the configuration names them: read and judged. *out NULL: it names none. Free it. */
NODISCARD struct err *access_jwks_read(const struct config *c, char **out, size_t *len);
/* Who may see what of an api: a few lines, or a JSON array of {"role","columns","rows"}. */
void access_print(const struct config *c, const struct catalog *catalog, uint32_t api, FILE *to);

#endif
