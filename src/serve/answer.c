/* Status line and headers of answers, content negotiation; see rest.h. */
#include "serve/cors.h"
#include "serve/out.h"
#include "serve/rest.h"

void answer_init(struct answer *a, struct arena *arena, struct buf *body)
{
    *a = (struct answer){.status = 200, .lag_ms = -1, .stale_s = -1, .stat = API_STATS_MAX, .body = body};
    problem_init(&a->problem, arena);
    buf_reset(body);
}

void answer_problem(struct answer *a)
{
    buf_reset(a->body);
    problem_json(&a->problem, a->body);
    a->status = a->problem.status;
    a->content_type = "application/json; charset=utf-8";
    a->has_etag = false;
    a->etag_text = a->content_range = a->preference_applied = a->link = NULL;
    a->retry_after_s = a->problem.retry_after_s;
}

/* ---- headers ---- */

static void put_hex(struct buf *out, uint64_t v, int digits)
{
    static const char hex[] = "0123456789abcdef";
    uint8_t *p = buf_room(out, (size_t)digits);
    for (int i = 0; i < digits; i++)
        p[i] = (uint8_t)hex[v >> (4 * (digits - 1 - i)) & 15];
    out->len += (size_t)digits;
}

static void put_etag(const struct answer *a, struct buf *out)
{
    if (a->etag_text) {
        OUT_LIT(out, "ETag: ");
        buf_put_str(out, a->etag_text);
        OUT_LIT(out, "\r\n");
    } else if (a->has_etag) {
        OUT_LIT(out, "ETag: ");
        buf_put_str(out, a->etag_weak ? "W/\"" : "\"");
        put_hex(out, a->etag, 16);
        OUT_LIT(out, "\"\r\n");
    }
}

static void put_number(struct buf *out, const char *name, int64_t v)
{
    buf_put_str(out, name);
    out_i64(out, v);
    OUT_LIT(out, "\r\n");
}

static void put_text(struct buf *out, const char *name, const char *value)
{
    buf_put_str(out, name);
    buf_put_str(out, value);
    OUT_LIT(out, "\r\n");
}

static void put_api(const struct answer *a, struct buf *out)
{
    OUT_LIT(out, "Penstock-Epoch: ");
    out_u64(out, a->epoch);
    OUT_LIT(out, "\r\nPenstock-Timeline: ");
    put_hex(out, a->timeline, 8);
    OUT_LIT(out, "\r\nPenstock-Lag-Ms: ");
    out_i64(out, a->lag_ms < 0 ? 0 : a->lag_ms);
    OUT_LIT(out, "\r\nCache-Control: no-cache\r\nVary: Accept, Accept-Encoding, Authorization, Apikey\r\n");
    if (a->stale_s >= 0)
        put_number(out, "Penstock-Stale: ", a->stale_s);
    if (UNLIKELY(a->incomplete > 0))
        put_number(out, "Penstock-Incomplete: ", (int64_t)a->incomplete);
}

/* RFC 6750, 3: who sent nothing learns only what to send. The messages are our own: no quotes in them. */
static void put_challenge(const struct answer *a, struct buf *out)
{
    OUT_LIT(out, "WWW-Authenticate: Bearer");
    if (a->problem.code && strcmp(a->problem.code, "PGRST301") == 0) {
        OUT_LIT(out, " error=\"invalid_token\", error_description=\"");
        buf_put_str(out, a->problem.message);
        OUT_LIT(out, "\"");
    }
    OUT_LIT(out, "\r\n");
}

static void put_status(int status, struct buf *out)
{
    if (LIKELY(status == 200)) {
        OUT_LIT(out, "HTTP/1.1 200 OK\r\nDate: ");
        return;
    }
    OUT_LIT(out, "HTTP/1.1 ");
    out_i64(out, status);
    buf_put_u8(out, ' ');
    buf_put_str(out, status_text(status));
    OUT_LIT(out, "\r\nDate: ");
}

static void put_content(const struct answer *a, struct buf *out)
{
    if (a->content_type)
        put_text(out, "Content-Type: ", a->content_type);
    if (a->status != 304 && a->status != 204)
        put_number(out, "Content-Length: ", (int64_t)a->body->len);
    if (UNLIKELY(a->coding != CODING_NONE))
        put_text(out, "Content-Encoding: ", coding_name(a->coding));
    if (UNLIKELY(a->vary_encoding && !a->api))
        OUT_LIT(out, "Vary: Accept-Encoding\r\n");
}

void answer_head(const struct answer *a, const struct http_request *req, struct slice date, bool close,
                 struct buf *out)
{
    put_status(a->status, out);
    out_slice(out, date);
    OUT_LIT(out, "\r\n");
    put_content(a, out);
    if (a->api)
        put_api(a, out);
    if (LIKELY(a->version != 0))
        put_number(out, "Penstock-Version: ", a->version);
    put_etag(a, out);
    if (UNLIKELY(a->content_range != NULL))
        put_text(out, "Content-Range: ", a->content_range);
    if (UNLIKELY(a->preference_applied != NULL))
        put_text(out, "Preference-Applied: ", a->preference_applied);
    if (UNLIKELY(a->link != NULL))
        put_text(out, "Link: ", a->link);
    if (UNLIKELY(a->allow != NULL))
        put_text(out, "Allow: ", a->allow);
    if (UNLIKELY(a->retry_after_s > 0))
        put_number(out, "Retry-After: ", a->retry_after_s);
    if (UNLIKELY(a->upgrade))
        OUT_LIT(out, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (UNLIKELY(a->status == 401))
        put_challenge(a, out);
    if (UNLIKELY(req && req->origin.p))
        cors_put(req, a->allow, out);
    if (UNLIKELY(close))
        OUT_LIT(out, "Connection: close\r\n");
    OUT_LIT(out, "\r\n");
}

/* ---- Accept ---- */

static const struct {
    const char *name;
    enum media media;
} media_rows[] = {
    {"application/json", MEDIA_JSON},
    {"application/vnd.pgrst.object+json", MEDIA_OBJECT},
    {"application/vnd.pgrst.object", MEDIA_OBJECT},
    {"application/vnd.pgrst.array+json", MEDIA_JSON},
    {"application/vnd.pgrst.array", MEDIA_JSON},
    {"text/csv", MEDIA_CSV},
    {"application/x-ndjson", MEDIA_NDJSON},
    {"application/ndjson", MEDIA_NDJSON},
    {"text/event-stream", MEDIA_EVENTS},
    {"*/*", MEDIA_JSON},
    {"application/*", MEDIA_JSON},
    {"text/*", MEDIA_CSV},
};

/* q=0.5 as 500; 1000 when not given or not understood. */
int header_quality(struct slice params)
{
    while (params.p) {
        struct slice p = slice_trim(slice_cut(&params, ';'));
        if (p.len < 3 || (p.p[0] | 0x20) != 'q' || p.p[1] != '=')
            continue;
        int v = p.p[2] == '1' ? 1000 : 0;
        for (size_t i = 4, unit = 100; v < 1000 && i < p.len && unit; i++, unit /= 10)
            if (p.p[i] >= '0' && p.p[i] <= '9')
                v += (int)unit * (p.p[i] - '0');
        return v;
    }
    return 1000;
}

/* ;nulls=stripped, which PostgREST knows of its own types alone. */
static bool strips_nulls(struct slice name, struct slice params)
{
    if (name.len < 22 || !slice_is_nocase((struct slice){name.p, 22}, "application/vnd.pgrst."))
        return false;
    while (params.p)
        if (slice_is_nocase(slice_trim(slice_cut(&params, ';')), "nulls=stripped"))
            return true;
    return false;
}

enum media media_choose_with(struct slice accept, bool *strip)
{
    enum media best = MEDIA_NONE;
    int best_quality = 0;
    *strip = false;
    if (!accept.p || accept.len == 0 || slice_is(accept, "*/*"))
        return MEDIA_JSON;
    while (accept.p) {
        struct slice params = slice_cut(&accept, ',');
        struct slice name = slice_trim(slice_cut(&params, ';'));
        int q = header_quality(params);
        for (size_t i = 0; q > best_quality && i < ARRAY_COUNT(media_rows); i++)
            if (slice_is_nocase(name, media_rows[i].name)) {
                best = media_rows[i].media;
                best_quality = q;
                *strip = strips_nulls(name, params);
            }
    }
    return best;
}

enum media media_choose(struct slice accept)
{
    bool strip;
    return media_choose_with(accept, &strip);
}
