/* Live queries as Protocol Buffers: the events of Watch, each a message behind gRPC's prefix. */
#include "serve/grpc_service.h"
#include "serve/proto_row.h"

/* Fields of the event messages (proto_api.c, proto_files.c). */
enum { EVENT_KIND = 1, EVENT_ROW = 2, EVENT_EPOCH = 3, EVENT_RESUME = 4 };

static uint64_t kind_of(enum live_event e)
{
    static const uint8_t kinds[] = {[LIVE_INSERT] = 1, [LIVE_UPDATE] = 2, [LIVE_DELETE] = 3,
                                    [LIVE_EPOCH] = 4,  [LIVE_RESET] = 5,  [LIVE_HEARTBEAT] = 6};
    return kinds[e];
}

static void mark(enum live_event e, struct live_point at, struct buf *out)
{
    size_t message = grpc_begin(out);
    proto_put_uint(out, EVENT_KIND, kind_of(e));
    if (e != LIVE_HEARTBEAT)
        proto_put_uint(out, EVENT_EPOCH, at.epoch);
    size_t text = proto_begin(out, EVENT_RESUME);
    live_point_text(at, out);
    proto_end(out, text);
    grpc_end(out, message);
}

/* ---- typed ---- */

static bool typed_prepare(struct arena *a, const struct read *rd, const void **state, struct problem *p)
{
    struct proto_columns *c = ARENA_NEW(a, struct proto_columns);
    *state = c;
    return proto_columns_init(a, rd->api, &rd->projection, c, p);
}

static bool typed_row(struct fn_ctx *fn, const struct read *rd, const void *state, enum live_event e,
                      const union val *vals, const uint8_t *states, struct buf *out)
{
    (void)rd;
    size_t message = grpc_begin(out);
    proto_put_uint(out, EVENT_KIND, kind_of(e));
    size_t row = proto_begin(out, EVENT_ROW);
    proto_put_row(fn, state, vals, states, out);
    proto_end(out, row);
    grpc_end(out, message);
    return true;
}

const struct live_rendering live_proto = {"protobuf", typed_prepare, typed_row, mark};

/* ---- generic: which values a row has was told when the call began ---- */

static bool views_row(struct fn_ctx *fn, const struct read *rd, const void *state, enum live_event e,
                      const union val *vals, const uint8_t *states, struct buf *out)
{
    (void)state;
    size_t message = grpc_begin(out);
    proto_put_uint(out, EVENT_KIND, kind_of(e));
    size_t row = proto_begin(out, EVENT_ROW);
    bool ok = proto_put_values(fn, &rd->projection, vals, states, out);
    proto_end(out, row);
    grpc_end(out, message);
    return ok;
}

const struct live_rendering live_proto_views = {"protobuf-views", NULL, views_row, mark};
