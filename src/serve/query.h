/* PostgREST's query grammar: what a client wants of a view, from URL parameters to a bound tree.
 *
 * query_parse turns parameters into names and texts (pure grammar); query_bind resolves them against a view's schema:
 * columns, values by the column types' input functions, casts by the cast table. Everything lives in the request's arena
 * (or, for live queries, the subscriber's) and borrows from the URL's bytes. */
#ifndef PENSTOCK_SERVE_QUERY_H
#define PENSTOCK_SERVE_QUERY_H

#include "data/schema.h"
#include "serve/problem.h"
#include "serve/url.h"
#include "types/func.h"

#define QUERY_DEPTH_MAX  32    /* nested and/or */
#define QUERY_CONDS_MAX  1000  /* conditions of one query */
#define QUERY_VALUES_MAX 10000 /* values of all in.(...) lists of one query */
#define QUERY_DIGITS_MAX 20000 /* digits that the exponents of all values of one query may ask for */
#define QUERY_ITEMS_MAX  1600  /* of select or order */

enum cond_kind { COND_AND, COND_OR, COND_TEST };
enum cond_op {
    OP_EQ,
    OP_NEQ,
    OP_GT,
    OP_GTE,
    OP_LT,
    OP_LTE,
    OP_LIKE,
    OP_ILIKE,
    OP_IN,
    OP_IS,
    OP_ISDISTINCT,
    OP_CS,
    OP_CD,
    OP_OV
};
enum is_what { IS_NULL, IS_NOT_NULL, IS_TRUE, IS_FALSE, IS_UNKNOWN };

struct cond {
    enum cond_kind kind;
    bool negate;
    uint32_t arg_count;
    struct cond **args; /* COND_AND, COND_OR */
    enum cond_op op;    /* COND_TEST from here on */
    struct slice name;
    uint32_t text_count;
    struct slice *texts; /* one; OP_IN: any number */
    enum is_what is;
    uint32_t column; /* bound */
    enum type_id type;
    union val *vals; /* bound: text_count of them */
};
struct select_item {
    struct slice name, alias, cast; /* alias, cast: len 0 when absent */
    bool star;
    uint32_t column;         /* bound from here on */
    struct slice label;      /* the JSON key */
    struct type type;        /* of the result */
    const struct cast *conv; /* NULL: none, or binary coercible */
};
struct order_item {
    struct slice name;
    bool desc, nulls_first;
    uint32_t column;
};
struct query {
    struct cond *filter;   /* NULL: every row */
    uint32_t select_count; /* after binding never 0: * is spelled out */
    struct select_item *select;
    uint32_t order_count;
    struct order_item *order;
    bool has_limit, has_offset;
    int64_t limit, offset; /* limit -1: none */
};

/* Grammar alone. u's parameters that are no part of a read (last_event_id, apikey) are skipped. */
bool query_parse(struct arena *a, const struct url *u, struct query *out, struct problem *p);
/* Names and values against the schema; view is for messages. fn->arena must be `a`. */
bool query_bind(struct arena *a, struct fn_ctx *fn, const char *view, const struct schema *schema,
                struct query *q, struct problem *p);
/* Index of a column by name; -1. */
int schema_find(const struct schema *s, struct slice name);
/* HTTP status that PostgREST gives a SQLSTATE. */
/* Whether a value's text may be converted: `1e131000` is short, but asks for as many digits, which take their time to
 * compute, and a request can hold a thousand of them. *asked: of the query so far. */
bool query_digits(enum type_id t, struct slice text, uint32_t *asked, struct problem *p);
int status_of_sqlstate(const char *sqlstate);
/* A failed type_input or cast as a problem. */
bool problem_from_fn(struct problem *p, const struct fn_ctx *fn);

#endif
