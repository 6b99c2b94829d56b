/* The HTTP/1.1 parser: requests in pieces. The first byte chooses how they are cut; how must not matter. */
#include "base/hash.h"
#include "serve/http.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 64

struct trace { /* what one way of cutting gave */
    uint32_t requests;
    uint64_t bytes, hash;
    bool refused;
};

static void on_body(void *ctx, const uint8_t *p, size_t n)
{
    struct trace *t = ctx;
    for (size_t i = 0; i < n; i++)
        t->hash = (t->hash ^ p[i]) * 1099511628211u;
    t->bytes += n;
}

static void note(struct trace *t, const struct http_request *req)
{
    t->requests++;
    t->hash ^= hash_bytes(req->target.p, req->target.len) + req->header_count * 31u + req->content_length;
    for (uint32_t i = 0; i < req->header_count; i++)
        t->hash = t->hash * 31 + hash_bytes(req->headers[i].value.p, req->headers[i].value.len);
}

/* Feeds data[0..size) in steps the way conn.c does: heads whole, bodies as they come. */
static void run(const uint8_t *data, size_t size, size_t step, struct trace *t)
{
    struct http_parser hp;
    static struct http_request req;
    size_t have = 0, at = 0, seen = 0;
    bool in_body = false;
    while (!t->refused && t->requests < REQUESTS_MAX && (have < size || at < have)) {
        size_t before = at, head = 0, used = 0;
        have = have + step < size ? have + step : size;
        while (at < have && !t->refused && t->requests < REQUESTS_MAX) {
            if (in_body) {
                t->refused = !http_parse_body(&hp, data + at, have - at, &used);
                at += used;
                in_body = !hp.done;
                if (used == 0 && in_body)
                    break;
                continue;
            }
            enum http_scan s = http_head_end(data + at, have - at, &seen, &head);
            t->refused = s == HTTP_SCAN_BAD;
            if (s != HTTP_SCAN_HEAD)
                break;
            seen = 0;
            http_parser_init(&hp);
            hp.on_body = on_body;
            hp.ctx = t;
            uint8_t *copy = malloc(head); /* its own block: the sanitizer sees a read past the head */
            if (!copy)
                abort();
            memcpy(copy, data + at, head);
            t->refused = !http_parse_head(&hp, copy, head, &req);
            if (t->refused)
                ASSERT(hp.error && hp.error_status >= 400);
            else
                note(t, &req);
            in_body = !t->refused && (req.chunked || req.content_length > 0);
            free(copy);
            at += head;
        }
        if (have == size && at == before)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {0}, cut = {0};
    if (size < 2 || size > 4096)
        return 0;
    run(data + 1, size - 1, size, &whole);
    run(data + 1, size - 1, (size_t)data[0] % 17 + 1, &cut);
    ASSERT(whole.requests == cut.requests && whole.refused == cut.refused);
    if (!whole.refused)
        ASSERT(whole.bytes == cut.bytes && whole.hash == cut.hash);
    return 0;
}
