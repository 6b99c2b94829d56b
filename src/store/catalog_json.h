/* A catalog inside another JSON document: versions keep their contracts so. */
#ifndef PENSTOCK_STORE_CATALOG_JSON_H
#define PENSTOCK_STORE_CATALOG_JSON_H

#include "store/catalog.h"

#include <yyjson.h>

/* Into `root`, an object. Texts are borrowed from c until the document was written. */
void catalog_put(yyjson_mut_doc *d, yyjson_mut_val *root, const struct catalog *c);
NODISCARD struct err *catalog_get(yyjson_val *root, struct catalog **out);

#endif
