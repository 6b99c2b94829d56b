/* The OpenAPI document of a catalog that nothing serves yet: for `penstock openapi`. */
#ifndef PENSTOCK_SERVE_OPENAPI_CATALOG_H
#define PENSTOCK_SERVE_OPENAPI_CATALOG_H

#include "base/buf.h"
#include "store/catalog.h"

/* Appends the same bytes that GET /api/ answers once this catalog is served. */
void openapi_from_catalog(struct catalog *c, struct buf *out);

#endif
