/* A world without a store: just what openapi_write looks at; see openapi_catalog.h. */
#include "serve/openapi_catalog.h"
#include "serve/proto_api.h"
#include "serve/world.h"

static void view_shape(struct arena *a, const struct catalog_view *cv, struct world_view *v)
{
    v->cv = cv;
    v->schema = &cv->schema;
    v->key_count = cv->key_count;
    v->row_key_count = cv->key_count;
    v->row_key = ARENA_ARRAY(a, struct key_column, cv->key_count + 1);
    for (uint32_t i = 0; i < cv->key_count; i++)
        v->row_key[i].column = cv->key[i];
}

static void world_shape(struct catalog *c, struct world *out)
{
    struct world w = {.number = c->version,
                      .catalog = c,
                      .shard_count = c->shard_count,
                      .view_count = c->view_count,
                      .api_count = c->api_count};
    arena_init(&w.arena);
    w.views = ARENA_ARRAY(&w.arena, struct world_view, c->view_count + 1);
    for (uint32_t i = 0; i < c->view_count; i++)
        view_shape(&w.arena, &c->views[i], &w.views[i]);
    w.apis = ARENA_ARRAY(&w.arena, struct world_api, c->api_count + 1);
    for (uint32_t i = 0; i < c->api_count; i++)
        w.apis[i] = (struct world_api){.path = c->apis[i].path,
                                       .index = i,
                                       .view = &w.views[c->apis[i].view],
                                       .field_numbers = world_field_numbers(&w.arena, c, c->apis[i].path,
                                                                            w.views[c->apis[i].view].schema)};
    *out = w;
}

void openapi_from_catalog(struct catalog *c, struct buf *out)
{
    struct world w;
    world_shape(c, &w);
    openapi_write(&w, NULL, out);
    arena_fini(&w.arena);
}

void proto_from_catalog(struct catalog *c, struct buf *out)
{
    struct world w;
    world_shape(c, &w);
    proto_write(&w, 0, out);
    arena_fini(&w.arena);
}
