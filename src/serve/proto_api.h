/* The typed contract of apis in Protocol Buffers: a service and its messages for each, made from the catalog.
 *
 * Two packages describe the same apis: `penstock.api`, the current version, and `penstock.api.vN`, pinned to version N. A
 * column's field number comes from the catalog (store/field_numbers.h), so messages of all versions of an api understand
 * each other. See docs/grpc.md for the mapping of types and the reasons. */
#ifndef PENSTOCK_SERVE_PROTO_API_H
#define PENSTOCK_SERVE_PROTO_API_H

#include "serve/proto_model.h"
#include "serve/world.h"

#define PROTO_PACKAGE  "penstock.api"
#define PROTO_NAME_MAX 300 /* bytes of a message's name: an api's path is shorter */

/* "customers/top_ten" -> "Customers_TopTen". Different paths have different names; one that could be taken for another
 * path's, or for a message's, ends in eight hexadecimal digits of its own. Returns out. */
const char *proto_service_name(const char *path, char *out, size_t size_bytes);

/* Which apis and columns a file shows; both may be NULL: all. */
struct proto_scope {
    bool (*api)(const void *ctx, const struct world_api *api);
    bool (*column)(const void *ctx, const struct world_api *api, uint32_t column);
    const void *ctx;
};
/* version 0: the package that is not pinned. Everything lives in the arena, the catalog and the world. */
const struct proto_file *proto_api_file(struct arena *a, const struct world *w, uint32_t version,
                                        const struct proto_scope *scope);
/* Its text; needs room of its own, not the world's. */
void proto_write(const struct world *w, uint32_t version, struct buf *out);
/* The file that a running instance serves as /api/penstock.proto, of a catalog that nothing serves yet. */
void proto_from_catalog(struct catalog *c, struct buf *out);

#endif
