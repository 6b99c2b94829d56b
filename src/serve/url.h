/* Request targets taken apart: path segments and query parameters, percent-decoded once, checked as UTF-8.
 *
 * Decoded bytes are borrowed from the raw text where nothing had to change, else they live in the arena. NUL never
 * passes (SQL text cannot hold it), nor do the path segments "." and "..", written in any way. */
#ifndef PENSTOCK_SERVE_URL_H
#define PENSTOCK_SERVE_URL_H

#include "base/arena.h"
#include "store/store.h"

#define URL_SEGMENTS_MAX 64
#define URL_PARAMS_MAX   256

struct url_param {
    struct slice name, value;
};
struct url {
    uint32_t segment_count;
    struct slice segments[URL_SEGMENTS_MAX]; /* of the path, without the slashes; "/" has none */
    bool trailing_slash;                     /* "/api/x/" */
    uint32_t param_count;
    struct url_param params[URL_PARAMS_MAX];
};

/* False: a bad escape, NUL, or not UTF-8. plus_is_space: the rule of query strings. */
bool url_decode(struct arena *a, struct slice raw, bool plus_is_space, struct slice *out);
/* target: origin form ("/path?query") or absolute form ("https://host/path"). NULL, or what is wrong (static). */
const char *url_parse(struct arena *a, struct slice target, struct url *out);
/* Appends the parameters of a query string, without its "?". */
const char *url_parse_query(struct arena *a, struct slice query, struct url *out);
/* The first parameter of that name; false if there is none. */
bool url_param(const struct url *u, const char *name, struct slice *value);

#endif
