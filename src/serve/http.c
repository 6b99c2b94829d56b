/* Strict HTTP/1.1 requests on llhttp; see http.h. */
#include "serve/http.h"
#include "serve/out.h"

enum http_scan http_head_end(const uint8_t *p, size_t len, size_t *seen, size_t *head_len)
{
    size_t at = *seen;
    while (at < len) {
        const uint8_t *lf = memchr(p + at, '\n', len - at);
        if (!lf) {
            at = len;
            break;
        }
        size_t i = (size_t)(lf - p);
        if (i == 0 || p[i - 1] != '\r')
            return HTTP_SCAN_BAD;
        if (i >= 3 && p[i - 2] == '\n' && p[i - 3] == '\r') {
            *head_len = i + 1;
            return HTTP_SCAN_HEAD;
        }
        at = i + 1;
    }
    *seen = at;
    return HTTP_SCAN_MORE;
}

static struct http_parser *self(llhttp_t *ll)
{
    return ll->data;
}

/* A head is given whole, so a span comes in one piece; empty ones may come without a call. */
static int on_url(llhttp_t *ll, const char *at, size_t n)
{
    self(ll)->req->target = (struct slice){(const uint8_t *)at, n};
    return 0;
}

static int on_method(llhttp_t *ll, const char *at, size_t n)
{
    self(ll)->req->method_text = (struct slice){(const uint8_t *)at, n};
    return 0;
}

static int refuse(struct http_parser *hp, int status, const char *why)
{
    hp->error_status = status;
    hp->error = why;
    return HPE_USER;
}

static int on_field(llhttp_t *ll, const char *at, size_t n)
{
    struct http_request *req = self(ll)->req;
    if (!req)
        return 0; /* a trailer: not looked at */
    if (req->header_count == HTTP_HEADERS_MAX)
        return refuse(self(ll), 431, "too many headers");
    req->headers[req->header_count++] = (struct http_header){.name = {(const uint8_t *)at, n}};
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t n)
{
    struct http_request *req = self(ll)->req;
    if (req && req->header_count)
        req->headers[req->header_count - 1].value = (struct slice){(const uint8_t *)at, n};
    return 0;
}

static int on_head(llhttp_t *ll)
{
    self(ll)->head_done = true;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
    struct http_parser *hp = self(ll);
    if (hp->on_body)
        hp->on_body(hp->ctx, (const uint8_t *)at, n);
    return 0;
}

static int on_done(llhttp_t *ll)
{
    self(ll)->done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_method = on_method,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_done,
};

void http_parser_init(struct http_parser *hp)
{
    memset(hp, 0, sizeof *hp);
    llhttp_init(&hp->ll, HTTP_REQUEST, &settings);
    hp->ll.data = hp;
}

static enum http_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET: return HTTP_M_GET;
    case HTTP_HEAD: return HTTP_M_HEAD;
    case HTTP_POST: return HTTP_M_POST;
    case HTTP_PUT: return HTTP_M_PUT;
    case HTTP_DELETE: return HTTP_M_DELETE;
    case HTTP_PATCH: return HTTP_M_PATCH;
    case HTTP_OPTIONS: return HTTP_M_OPTIONS;
    default: return HTTP_M_OTHER;
    }
}

enum http_method http_method_of(struct slice name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } rows[] = {{"GET", HTTP_M_GET},        {"HEAD", HTTP_M_HEAD},     {"POST", HTTP_M_POST},
                {"PUT", HTTP_M_PUT},        {"DELETE", HTTP_M_DELETE}, {"PATCH", HTTP_M_PATCH},
                {"OPTIONS", HTTP_M_OPTIONS}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (slice_is(name, rows[i].name))
            return rows[i].method;
    return HTTP_M_OTHER;
}

/* Control characters in a value: llhttp lets some through for the sake of old servers. */
static bool value_ok(struct slice v)
{
    for (size_t i = 0; i < v.len; i++)
        if ((v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7F)
            return false;
    return true;
}

static void known_header(struct http_request *req, const struct http_header *h)
{
    struct {
        const char *name;
        struct slice *to;
    } rows[] = {
        {"accept", &req->accept},
        {"prefer", &req->prefer},
        {"range", &req->range},
        {"range-unit", &req->range_unit},
        {"if-none-match", &req->if_none_match},
        {"last-event-id", &req->last_event_id},
        {"penstock-wait", &req->wait},
        {"origin", &req->origin},
        {"authorization", &req->authorization},
        {"penstock-at-least", &req->at_least},
        {"accept-encoding", &req->accept_encoding},
        {"sec-fetch-site", &req->fetch_site},
        {"upgrade", &req->upgrade},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (slice_is_nocase(h->name, rows[i].name)) {
            *rows[i].to = h->value.p ? h->value : (struct slice){(const uint8_t *)"", 0};
            return;
        }
}

void http_request_init(struct http_request *req)
{
    memset(req, 0, offsetof(struct http_request, headers));
    memset(&req->accept, 0, sizeof *req - offsetof(struct http_request, accept));
}

void http_add_header(struct http_request *req, struct slice name, struct slice value)
{
    struct http_header *h = &req->headers[req->header_count++];
    *h = (struct http_header){name, value};
    known_header(req, h);
}

static bool check_headers(struct http_parser *hp, struct http_request *req)
{
    uint32_t hosts = 0, encodings = 0;
    for (uint32_t i = 0; i < req->header_count; i++) {
        struct http_header *h = &req->headers[i];
        if (!value_ok(h->value))
            return refuse(hp, 400, "control character in a header"), false;
        hosts += slice_is_nocase(h->name, "host");
        encodings += slice_is_nocase(h->name, "transfer-encoding");
        if (slice_is_nocase(h->name, "transfer-encoding") &&
            !slice_is_nocase(slice_trim(h->value), "chunked"))
            return refuse(hp, 501, "no transfer encoding but chunked is understood"), false;
        if (slice_is_nocase(h->name, "expect")) {
            if (!slice_is_nocase(h->value, "100-continue"))
                return refuse(hp, 417, "only 100-continue may be expected"), false;
            req->expect_continue = true;
        }
        known_header(req, h);
    }
    if (encodings > 1 || (encodings && hp->ll.http_minor == 0))
        return refuse(hp, 400, "a transfer encoding is given once, and in HTTP/1.1"), false;
    if (hosts > 1 || (hosts == 0 && hp->ll.http_minor == 1))
        return refuse(hp, 400, "exactly one Host header is required"), false;
    return true;
}

static bool head_error(struct http_parser *hp)
{
    if (!hp->error) {
        hp->error_status = 400;
        hp->error = "malformed HTTP request";
    }
    return false;
}

/* METHOD SP TARGET SP HTTP/1.x: llhttp lets more blanks pass. */
static bool request_line_ok(const struct http_request *req, const uint8_t *p)
{
    const uint8_t *target = req->target.p;
    return target && req->target.len && target == p + req->method_text.len + 1 && target[-1] == ' ' &&
           target[req->target.len] == ' ' && target[req->target.len + 1] == 'H';
}

bool http_parse_head(struct http_parser *hp, const uint8_t *p, size_t len, struct http_request *req)
{
    http_request_init(req);
    hp->req = req;
    hp->head_done = hp->done = false;
    enum llhttp_errno rc = llhttp_execute(&hp->ll, (const char *)p, len);
    hp->req = NULL;
    if (!hp->head_done || (rc != HPE_PAUSED && rc != HPE_PAUSED_UPGRADE))
        return head_error(hp);
    if (hp->ll.http_major != 1 || hp->ll.http_minor > 1)
        return refuse(hp, 505, "HTTP/1.0 and HTTP/1.1 are spoken here"), false;
    if ((const uint8_t *)llhttp_get_error_pos(&hp->ll) != p + len)
        return head_error(hp); /* the parser must have seen the end where the scan saw it */
    if (!request_line_ok(req, p))
        return head_error(hp);
    req->method = method_of(hp->ll.method);
    req->keep_alive = llhttp_should_keep_alive(&hp->ll) != 0 && !hp->ll.upgrade;
    req->chunked = (hp->ll.flags & F_CHUNKED) != 0;
    req->has_length = (hp->ll.flags & F_CONTENT_LENGTH) != 0;
    req->content_length = hp->ll.content_length;
    if ((hp->ll.flags & F_TRANSFER_ENCODING) && !req->chunked)
        return refuse(hp, 501, "only the chunked transfer coding is supported"), false;
    if (hp->ll.method == HTTP_CONNECT)
        return refuse(hp, 405, "CONNECT is not supported"), false;
    return check_headers(hp, req);
}

bool http_parse_body(struct http_parser *hp, const uint8_t *p, size_t len, size_t *used)
{
    *used = 0;
    if (hp->done)
        return true;
    llhttp_resume(&hp->ll);
    enum llhttp_errno rc = llhttp_execute(&hp->ll, (const char *)p, len);
    if (rc == HPE_OK) {
        *used = len;
        return true;
    }
    if (rc != HPE_PAUSED || !hp->done)
        return head_error(hp);
    *used = (size_t)((const uint8_t *)llhttp_get_error_pos(&hp->ll) - p);
    return true;
}
