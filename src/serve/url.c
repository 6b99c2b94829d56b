/* Request targets taken apart; see url.h. */
#include "serve/url.h"

#include "base/text.h"
#include "serve/out.h"

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_plain(struct slice raw, bool plus_is_space)
{
    for (size_t i = 0; i < raw.len; i++)
        if (raw.p[i] == '%' || raw.p[i] >= 0x80 || raw.p[i] == 0 || (plus_is_space && raw.p[i] == '+'))
            return false;
    return true;
}

bool url_decode(struct arena *a, struct slice raw, bool plus_is_space, struct slice *out)
{
    *out = raw;
    if (is_plain(raw, plus_is_space))
        return true;
    uint8_t *p = arena_alloc(a, raw.len);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = raw.p[i];
        if (c == '%') {
            if (raw.len - i < 3)
                return false;
            int hi = hex_digit(raw.p[i + 1]), lo = hex_digit(raw.p[i + 2]);
            if (hi < 0 || lo < 0)
                return false;
            c = (uint8_t)(hi * 16 + lo);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == 0)
            return false;
        p[n++] = c;
    }
    *out = (struct slice){p, n};
    return utf8_valid(p, n);
}

static const char *parse_path(struct arena *a, struct slice path, struct url *out)
{
    path.p++, path.len--; /* the leading slash */
    while (path.p) {
        struct slice raw = slice_cut(&path, '/');
        if (raw.len == 0) {
            if (path.p)
                return "empty path segment";
            out->trailing_slash = out->segment_count > 0;
            break;
        }
        if (out->segment_count == URL_SEGMENTS_MAX)
            return "too many path segments";
        struct slice *seg = &out->segments[out->segment_count++];
        if (!url_decode(a, raw, false, seg))
            return "bad percent-encoding or bad UTF-8 in the path";
        if (slice_is(*seg, ".") || slice_is(*seg, ".."))
            return "path segments . and .. are refused";
    }
    return NULL;
}

const char *url_parse_query(struct arena *a, struct slice query, struct url *out)
{
    while (query.p) {
        struct slice value = slice_cut(&query, '&');
        if (value.len == 0)
            continue;
        struct slice name = slice_cut(&value, '=');
        if (!value.p)
            value = slice_of("");
        if (out->param_count == URL_PARAMS_MAX)
            return "too many query parameters";
        struct url_param *p = &out->params[out->param_count++];
        if (!url_decode(a, name, true, &p->name) || !url_decode(a, value, true, &p->value))
            return "bad percent-encoding or bad UTF-8 in the query string";
    }
    return NULL;
}

/* Absolute form: the path after "scheme://authority". */
static bool strip_origin(struct slice *target)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < ARRAY_COUNT(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (target->len > n && slice_is_nocase((struct slice){target->p, n}, schemes[i])) {
            target->p += n, target->len -= n;
            while (target->len && target->p[0] != '/' && target->p[0] != '?')
                target->p++, target->len--;
            return true;
        }
    }
    return false;
}

const char *url_parse(struct arena *a, struct slice target, struct url *out)
{
    out->segment_count = out->param_count = 0;
    out->trailing_slash = false;
    for (size_t i = 0; i < target.len; i++)
        if (target.p[i] <= 0x20 || target.p[i] >= 0x7F)
            return "the request target holds characters that must be percent-encoded";
    if (target.len == 0)
        return "empty request target";
    if (target.p[0] != '/' && !strip_origin(&target))
        return "the request target must be a path";
    struct slice query = target;
    struct slice path = slice_cut(&query, '?');
    struct slice fragment = path;
    path = slice_cut(&fragment, '#');
    if (fragment.p)
        return "a fragment does not belong in a request";
    if (path.len) {
        const char *wrong = parse_path(a, path, out);
        if (wrong)
            return wrong;
    }
    return query.p ? url_parse_query(a, query, out) : NULL;
}

bool url_param(const struct url *u, const char *name, struct slice *value)
{
    for (uint32_t i = 0; i < u->param_count; i++)
        if (slice_is(u->params[i].name, name)) {
            *value = u->params[i].value;
            return true;
        }
    return false;
}
