/* Bugs of the kinds that such a program has, planted at run time: calls between two of its files are redirected to here by the
 * linker (--wrap, mk/test.mk), and go wrong when the bug is asked for. */
#ifndef PENSTOCK_FAULTS_PLANT_H
#define PENSTOCK_FAULTS_PLANT_H

#include "test/unit/flow/faults_life.h"

static const char *const plant_names[PLANT_COUNT] = {
    "none",
    "a shard does not wait for the others' markers",
    "positions are acknowledged before they are durable",
    "an exchange loses a retraction",
    "the store does not delete",
    "the position stored is too old",
    "the position stored is too new",
    "the checkpoint's snapshot is not held",
    "syncs are ignored",
    "a torn marker is accepted",
    "what is sent again is taken again",
    "pushed rows are acknowledged before they are synced",
};

bool __real_graph_close(struct graph *g, bool (*ready)(void *ctx, const struct plan_node *n),
                        void (*markers)(void *ctx, const struct plan_node *n), void *ctx);
void __real_op_exchange_receive(struct op *op, struct batch *b);
struct err *__real_store_checkpoint(struct store *s, struct store_pin *pin);
struct err *__real_coordinator_store_positions(struct pipeline *p);
struct err *__real_store_pin(struct store *s, struct store_pin **out);
struct err *__real_store_del(struct store_shard *sh, store_db db, struct slice key);
void __real_hash_bytes128(const void *p, size_t len, uint8_t out[16]);

bool __wrap_graph_close(struct graph *g, bool (*ready)(void *ctx, const struct plan_node *n),
                        void (*markers)(void *ctx, const struct plan_node *n), void *ctx);
bool __wrap_graph_close(struct graph *g, bool (*ready)(void *ctx, const struct plan_node *n),
                        void (*markers)(void *ctx, const struct plan_node *n), void *ctx)
{
    return __real_graph_close(g, planted(PLANT_MARKER_WAIT) ? rig_ready : ready, markers, ctx);
}

void __wrap_op_exchange_receive(struct op *op, struct batch *b);
void __wrap_op_exchange_receive(struct op *op, struct batch *b)
{
    if (planted(PLANT_RETRACTION) && b->row_count > 1 && b->weight[b->row_count - 1] < 0)
        b->row_count--;
    __real_op_exchange_receive(op, b);
}

struct err *__wrap_store_checkpoint(struct store *s, struct store_pin *pin);
struct err *__wrap_store_checkpoint(struct store *s, struct store_pin *pin)
{
    for (uint32_t i = 0; planted(PLANT_EARLY_ACK) && i < 2; i++) {
        struct sink *sink = pipeline_sink(life.pipeline, i);
        const struct chunk_position *at = &life.pipeline->checkpointer.positions[i];
        memcpy(sink->durable, at->bytes, at->len);
        sink->durable_len = at->len;
    }
    return __real_store_checkpoint(s, pin);
}

struct err *__wrap_coordinator_store_positions(struct pipeline *p);
struct err *__wrap_coordinator_store_positions(struct pipeline *p)
{
    struct chunk_position was = p->tracks[0].now;
    uint64_t n = 0;
    if (was.len == sizeof n)
        memcpy(&n, was.bytes, sizeof n);
    n += planted(PLANT_POSITION_NEW) && n ? 1 : 0;
    n -= planted(PLANT_POSITION_OLD) && n ? 1 : 0;
    if (was.len == sizeof n)
        memcpy(p->tracks[0].now.bytes, &n, sizeof n);
    struct err *e = __real_coordinator_store_positions(p);
    p->tracks[0].now = was;
    return e;
}

struct err *__wrap_store_pin(struct store *s, struct store_pin **out);
struct err *__wrap_store_pin(struct store *s, struct store_pin **out)
{
    struct err *e = __real_store_pin(s, out);
    if (!e && planted(PLANT_NO_PIN)) {
        atomic_fetch_add(&(*out)->holders, 1); /* the checkpoint still reads it */
        store_pin_release(*out);
    }
    return e;
}

struct err *__wrap_store_del(struct store_shard *sh, store_db db, struct slice key);
struct err *__wrap_store_del(struct store_shard *sh, store_db db, struct slice key)
{
    return planted(PLANT_STORED_DELETE) ? NULL : __real_store_del(sh, db, key);
}

void __wrap_hash_bytes128(const void *p, size_t len, uint8_t out[16]);
void __wrap_hash_bytes128(const void *p, size_t len, uint8_t out[16])
{
    __real_hash_bytes128(p, len, out);
    if (planted(PLANT_TORN_MARKER))
        memset(out, 0, 16);
}

#endif
