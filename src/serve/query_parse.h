/* What the files of the query grammar share: a cursor over one parameter's text with a sticky error in the problem.
 * Internal to query.c and query_cond.c. */
#ifndef PENSTOCK_SERVE_QUERY_PARSE_H
#define PENSTOCK_SERVE_QUERY_PARSE_H

#include "serve/out.h"
#include "serve/query.h"

struct parser {
    struct arena *arena;
    struct problem *problem;
    const char *what; /* "filter", "logic tree", "select parameter", "order" */
    struct slice all; /* the whole text, for messages */
    const uint8_t *p, *end;
    uint32_t conds, values, items, embeds; /* used up so far by the whole query */
};
void parse_start(struct parser *ps, const char *what, struct slice text);
bool parse_fail(struct parser *ps, const char *expected); /* PGRST100; false */
bool parse_unsupported(struct parser *ps, const char *what, struct slice name);

static inline bool parse_at(const struct parser *ps, char c)
{
    return ps->p < ps->end && *ps->p == (uint8_t)c;
}
static inline bool parse_at_arrow(const struct parser *ps)
{
    return ps->end - ps->p > 1 && ps->p[0] == '-' && ps->p[1] == '>';
}
static inline bool parse_take(struct parser *ps, char c)
{
    if (!parse_at(ps, c))
        return false;
    ps->p++;
    return true;
}
bool parse_take_word(struct parser *ps, const char *word);
/* "text" in quotes, or bare text up to one of the stop characters. */
bool parse_value(struct parser *ps, const char *stops, struct slice *out);
/* The same for names, which end at -> too. */
bool parse_name(struct parser *ps, const char *stops, struct slice *out);
/* ->a->>b or nothing (*out NULL). */
bool parse_path(struct parser *ps, const char *stops, const struct json_path **out);

/* query_cond.c. c->name and c->path of the filter are given; its text stands at ps. */
struct cond *parse_filter(struct parser *ps, struct slice name, const struct json_path *path,
                          struct slice text);
struct cond *parse_logic(struct parser *ps, struct slice text, enum cond_kind kind, bool negate);

#endif
