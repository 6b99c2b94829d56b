/* HTTP/1.1 requests, strictly (RFC 9112): llhttp parses, this file adds what a server has to refuse by itself.
 *
 * A head is parsed in one go, once its blank line has come (http_head_end finds it byte by byte without parsing), so a
 * client that dribbles costs no more than one that does not. Spans borrow from the bytes that were given. */
#ifndef PENSTOCK_SERVE_HTTP_H
#define PENSTOCK_SERVE_HTTP_H

#include "base/buf.h"
#include "serve/peer.h"
#include "store/store.h"
#include <llhttp.h>

#define HTTP_HEADERS_MAX 100

enum http_method {
    HTTP_M_GET,
    HTTP_M_HEAD,
    HTTP_M_POST,
    HTTP_M_PUT,
    HTTP_M_DELETE,
    HTTP_M_PATCH,
    HTTP_M_OPTIONS,
    HTTP_M_OTHER
};
struct http_header {
    struct slice name, value;
};
struct cors;
struct http_request {
    enum http_method method;
    struct slice method_text, target;
    bool keep_alive, chunked, expect_continue;
    bool has_length, http2;
    bool body_whole;         /* `body` is all of it (of no body: nothing); until then REST_BODY asks for it */
    uint64_t content_length; /* 0 when none */
    struct slice body;       /* with body_whole */
    const struct cors *cors; /* who may read the answer in a browser; NULL: anybody (tests) */
    const struct peer *peer; /* who asks; NULL: not known (tests) */
    uint32_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
    /* the headers that reads look at; p NULL when absent */
    struct slice accept, prefer, range, range_unit, if_none_match, last_event_id, wait, origin, authorization,
        accept_encoding, fetch_site, upgrade, at_least;
};

void http_request_init(struct http_request *req);
/* One more header, of those that are known too. There must be room. */
void http_add_header(struct http_request *req, struct slice name, struct slice value);
enum http_method http_method_of(struct slice name);

/* A request kept for later: its parts copied behind what is in `to`, and taken out again (spans borrow from `kept`). The
 * body is not among them. */
void http_keep(const struct http_request *req, struct buf *to);
void http_kept(const struct buf *kept, struct http_request *req);
/* The kept form, part by part: a header, or one of HTTP/2's pseudo headers. */
void http_keep_field(struct buf *to, struct slice name, struct slice value);

enum http_scan { HTTP_SCAN_MORE, HTTP_SCAN_HEAD, HTTP_SCAN_BAD };
/* Looks for the end of a head in p[0..len), from *seen on (kept between calls). HEAD: *head_len bytes of it.
 * BAD: a line that does not end in CR LF. */
enum http_scan http_head_end(const uint8_t *p, size_t len, size_t *seen, size_t *head_len);

struct http_parser {
    llhttp_t ll;
    struct http_request *req; /* while a head is parsed */
    void (*on_body)(void *ctx, const uint8_t *p, size_t n);
    void *ctx;
    bool head_done, done; /* done: body complete */
    int error_status;
    const char *error;
};
void http_parser_init(struct http_parser *hp);
/* Parses a complete head. False: hp->error_status and hp->error (static). */
bool http_parse_head(struct http_parser *hp, const uint8_t *p, size_t len, struct http_request *req);
/* Feeds body bytes; *used tells how many belonged to this request. hp->done at its end. */
bool http_parse_body(struct http_parser *hp, const uint8_t *p, size_t len, size_t *used);

#endif
