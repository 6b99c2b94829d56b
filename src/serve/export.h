/* The contracts in other languages than OpenAPI: JSON Schema and TypeScript, made from the OpenAPI document, so that they show
 * what it shows. Any thread. */
#ifndef PENSTOCK_SERVE_EXPORT_H
#define PENSTOCK_SERVE_EXPORT_H

#include "base/buf.h"
#include "store/store.h"

enum export { EXPORT_NONE, EXPORT_SCHEMA, EXPORT_TYPES };
/* "schema.json", "types.ts". */
enum export export_of(struct slice file_name);
const char *export_media(enum export kind);
/* Appends to out. openapi: the document, which is of our own making. */
void export_write(enum export kind, struct slice openapi, struct buf *out);

#endif
