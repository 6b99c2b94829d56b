/* See cors.h. */
#include "serve/cors.h"
#include "serve/out.h"

static bool listed(const struct cors *c, struct slice origin)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (slice_is(origin, c->origins[i]))
            return true;
    return false;
}

static bool any(const struct cors *c)
{
    return !c || listed(c, slice_of("*"));
}

bool cors_allows(const struct http_request *req)
{
    return any(req->cors) || listed(req->cors, req->origin);
}

static void put_preflight(const char *allow, struct buf *out)
{
    OUT_LIT(out, "Access-Control-Allow-Methods: ");
    buf_put_str(out, allow ? allow : "GET, HEAD, OPTIONS");
    OUT_LIT(out,
            "\r\nAccess-Control-Allow-Headers: Accept, Authorization, Apikey, Content-Type, "
            "Idempotency-Key, If-None-Match, Last-Event-ID, Penstock-Wait, Penstock-At-Least, Prefer, Range, "
            "Range-Unit, X-Client-Info, Accept-Profile\r\n"
            "Access-Control-Max-Age: 86400\r\n");
}

void cors_put(const struct http_request *req, const char *allow, struct buf *out)
{
    const struct cors *c = req->cors;
    if (!any(c))
        OUT_LIT(out, "Vary: Origin\r\n");
    if (!cors_allows(req))
        return;
    OUT_LIT(out, "Access-Control-Allow-Origin: ");
    if (any(c))
        OUT_LIT(out, "*");
    else
        out_slice(out, req->origin);
    OUT_LIT(out, "\r\nAccess-Control-Expose-Headers: Content-Range, ETag, Link, Preference-Applied, "
                 "Penstock-Epoch, Penstock-Timeline, "
                 "Penstock-Lag-Ms, Penstock-Stale, Penstock-Incomplete, Penstock-Version\r\n");
    if (req->method == HTTP_M_OPTIONS)
        put_preflight(allow, out);
}
