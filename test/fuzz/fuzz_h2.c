/* HTTP/2 frames, gRPC calls among them, into a session whose connection and loop are stubs: no bytes may crash or hang it, and
 * whatever came, a connection that ends leaves nothing counted. The first byte chooses how the frames are cut. */
#include "serve/h2.h"
#include "serve/out.h"

#include <stdlib.h>

static struct loop loop;
static struct conn conn;
static struct serve_options options;
static struct gate *gate;
static struct stats_set stats;

/* ---- what conn.c and loop.c would do ---- */

void conn_put(struct conn *c, const void *p, size_t n)
{
    buf_put(&c->loop->out, p, n);
}

/* The client takes everything. */
void conn_flush(struct conn *c)
{
    c->loop->out.len = 0;
}

void conn_resume(struct conn *c)
{
    (void)c;
}

void conn_close(struct conn *c)
{
    if (c->mode == CONN_DEAD)
        return;
    h2_close(c);
    c->mode = CONN_DEAD;
}

void conn_timer(struct conn *c, enum timer kind)
{
    timer_set(c->loop, &c->deadline, kind);
}

void timer_set(struct loop *l, struct deadline *d, enum timer kind)
{
    (void)l;
    d->kind = kind;
}

void loop_over_limit(const char *limit, int64_t value)
{
    (void)limit, (void)value;
}

/* ---- one connection ---- */

static void start(void)
{
    options.limits = (struct serve_limits){.scan_rows = 1000,
                                           .page_rows = 1000,
                                           .answer_bytes = 1 << 20,
                                           .pending_bytes = 1 << 20,
                                           .header_bytes = 4096,
                                           .target_bytes = 1024,
                                           .body_bytes = 4096,
                                           .wait_us = 5000,
                                           .live_queue_bytes = 65536,
                                           .subscribers = 10,
                                           .compress_bytes = 100,
                                           .compress_max_bytes = 1 << 20,
                                           .h2_streams = 20,
                                           .h2_resets = 10,
                                           .h2_control_frames = 50,
                                           .h2_pending_bytes = 65536};
    loop.options = &options;
    loop.gate = gate = aligned_alloc(CACHE_LINE_BYTES, (sizeof *gate + CACHE_LINE_BYTES - 1) /
                                                           CACHE_LINE_BYTES * CACHE_LINE_BYTES);
    loop.stats = aligned_alloc(CACHE_LINE_BYTES, sizeof *loop.stats);
    if (!gate || !loop.stats)
        abort();
    memset(gate, 0, sizeof *gate);
    memset(loop.stats, 0, sizeof *loop.stats);
    loop.all = &stats;
    loop.epoll_fd = -1;
    rest_init(&loop.rest, &options.limits, gate, true);
    loop.live = live_new(&loop);
    loop.h2 = h2_shared_new(&options.limits);
}

static void feed(const uint8_t *p, size_t n, size_t step)
{
    for (size_t at = 0; at < n && conn.mode == CONN_OPEN; at += step) {
        size_t len = n - at < step ? n - at : step;
        uint8_t *copy = malloc(len); /* its own block: the sanitizer sees a read past it */
        if (!copy)
            abort();
        memcpy(copy, p + at, len);
        bool goes_on = h2_input(&conn, copy, len) && h2_send(&conn);
        free(copy);
        loop.now_us += 1000;
        if (!goes_on)
            break;
        grpc_wire_epochs(&loop);
        grpc_wire_deadlines(&loop);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    if (size < 2 || size > 8192)
        return 0;
    if (!loop.h2)
        start();
    memset(&conn, 0, sizeof conn);
    conn.loop = &loop;
    conn.mode = CONN_OPEN;
    loop.current = &conn;
    loop.now_us = loop.rest.now_us = 1000000;
    if (!h2_start(&conn))
        abort();
    feed((const uint8_t *)preface, sizeof preface - 1, sizeof preface);
    feed(data + 1, size - 1, data[0] ? data[0] : size);
    conn_close(&conn);
    h2_free_dead(&loop);
    grpc_wire_free_dead(&loop);
    proxies_free_dead(&loop);
    h2_free(&conn);
    loop.out.len = 0;
    ASSERT(loop.pending_bytes == 0 && loop.held_bytes == 0 && loop.waiting == 0 && loop.proxy_count == 0);
    ASSERT(!loop.grpc.calls);
    return 0;
}
