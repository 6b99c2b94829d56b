/* PostgREST's query grammar: what a client wants of a view, from URL parameters to a bound tree.
 *
 * query_parse turns parameters into names and texts (pure grammar: query.c, query_cond.c); query_bind resolves them against
 * a view's schema: columns, values by the column types' input functions, casts by the cast table. Views that are embedded
 * into the rows of another are queries of their own within it; embed_bind (embed.h) finds out which they are and binds them.
 * Everything lives in the request's arena (or, for live queries, the subscriber's) and borrows from the URL's bytes. */
#ifndef PENSTOCK_SERVE_QUERY_H
#define PENSTOCK_SERVE_QUERY_H

#include "data/schema.h"
#include "serve/problem.h"
#include "serve/url.h"
#include "types/func.h"

#define QUERY_DEPTH_MAX       32    /* nested and/or */
#define QUERY_CONDS_MAX       1000  /* conditions of one query */
#define QUERY_VALUES_MAX      10000 /* values of all in.(...) lists of one query */
#define QUERY_DIGITS_MAX      20000 /* digits that the exponents of all values of one query may ask for */
#define QUERY_ITEMS_MAX       1600  /* of select and order, all together */
#define QUERY_STEPS_MAX       32    /* of one JSON path */
#define QUERY_EMBEDS_MAX      32    /* embedded views of one query */
#define QUERY_EMBED_DEPTH_MAX 5     /* views within views */
#define COUNT_SAMPLE_ROWS     10000 /* entries looked at past the page for count=planned and count=estimated */

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
    OP_MATCH,
    OP_IMATCH,
    OP_IN, /* eq(any) too */
    OP_IS,
    OP_ISDISTINCT,
    OP_CS, /* operators of sets from here on, see filter.c */
    OP_CD,
    OP_OV,
    OP_SL,
    OP_SR,
    OP_NXR,
    OP_NXL,
    OP_ADJ
};
enum is_what { IS_NULL, IS_NOT_NULL, IS_TRUE, IS_FALSE, IS_UNKNOWN };
enum quant { QUANT_NONE, QUANT_ANY, QUANT_ALL }; /* like(any).{a*,b*} */

/* ->key, ->2, ->>key: json operators one after the other; on what is no json, of its to_jsonb. */
struct json_step {
    bool text; /* ->> */
    bool is_index;
    int32_t index;
    struct slice key;
};
struct json_path {
    uint32_t count;
    struct json_step *steps;
};
struct query_embed;

struct cond {
    enum cond_kind kind;
    bool negate;
    uint32_t arg_count;
    struct cond **args; /* COND_AND, COND_OR */
    enum cond_op op;    /* COND_TEST from here on */
    enum quant quant;
    struct slice name;
    const struct json_path *path; /* NULL: the column itself */
    uint32_t text_count;
    struct slice *texts; /* one; OP_IN: any number; one array literal when there is a quantifier */
    enum is_what is;
    struct query_embed *embed; /* is (not) null of an embedded view; bound from here on */
    uint32_t column;           /* of the schema; the embed's place behind them, see embed.h */
    enum type_id from, type;   /* of the column, and of what is compared: another one after a path */
    union val *vals;           /* text_count of them; the elements of the array, value_count */
    uint32_t value_count;
    bool has_null; /* one of the array's elements is NULL: they are not in vals */
};
struct select_item {
    struct slice name, alias, cast; /* alias, cast: len 0 when absent */
    bool star;
    const struct json_path *path; /* NULL: the column itself */
    struct query_embed *embed;    /* an embedded view in place of a column */
    uint32_t column;              /* bound from here on */
    struct slice label;           /* the JSON key */
    enum type_id from;            /* of the column */
    struct type type;             /* of the result */
    const struct cast *conv;      /* NULL: none, or binary coercible */
};
struct order_item {
    struct slice name;
    const struct json_path *path;
    struct slice embed_name; /* client(name): by a column of an embedded view; len 0: of the view itself */
    bool desc, nulls_first;
    struct query_embed *embed; /* bound from here on */
    uint32_t column;
    enum type_id from, type;
};
struct query {
    uint32_t param_count; /* while it is parsed: the parts of the filter */
    struct cond **params;
    struct cond *filter; /* NULL: every row */
    struct cond
        *embed_filter; /* bound: what asks about embedded views, apart because it costs more; NULL: nothing */
    uint32_t select_count; /* after binding never 0 unless select_none: * is spelled out */
    bool select_none;      /* view(): nothing of it */
    struct select_item *select;
    uint32_t order_count;
    struct order_item *order;
    uint32_t embed_count; /* of this level */
    struct query_embed **embeds;
    bool has_limit, has_offset, has_cursor;
    int64_t limit, offset; /* limit -1: none */
    struct slice cursor;   /* as it came; len 0: from the beginning */
};
enum embed_join { EMBED_DEFAULT, EMBED_LEFT, EMBED_INNER };
struct read;
struct world_relation;
struct query_embed {
    struct slice name, alias, hint; /* alias, hint: len 0 when absent */
    enum embed_join join;
    bool spread;
    struct query query;
    /* bound, see embed.h */
    const struct world_relation *relation;
    struct read *read;  /* its rows, of one row of the other view at a time */
    struct read *probe; /* whether there is one */
    struct cond *
        *eq;    /* conditions on the columns of the relation, in the filters of both; values set per row */
    bool asked; /* the filter asks whether there is one */
    uint32_t hides; /* see rest_ready */
};

/* Grammar alone. u's parameters that are no part of a read (last_event_id, apikey) are skipped. */
bool query_parse(struct arena *a, const struct url *u, struct query *out, struct problem *p);
/* Names and values against the schema; view is for messages. fn->arena must be `a`. */
bool query_bind(struct arena *a, struct fn_ctx *fn, const char *view, const struct schema *schema,
                struct query *q, struct problem *p);
/* The embedded view that goes by that name in this query; NULL. */
struct query_embed *query_embed_find(const struct query *q, struct slice name);
/* Index of a column by name; -1. */
int schema_find(const struct schema *s, struct slice name);
/* Whether a value's text may be converted: `1e131000` is short, but asks for as many digits, which take their time to
 * compute, and a request can hold a thousand of them. *asked: of the query so far. */
bool query_digits(enum type_id t, struct slice text, uint32_t *asked, struct problem *p);
/* HTTP status that PostgREST gives a SQLSTATE. */
int status_of_sqlstate(const char *sqlstate);
/* A failed type_input or cast as a problem. */
bool problem_from_fn(struct problem *p, const struct fn_ctx *fn);

#endif
