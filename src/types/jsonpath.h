/* SQL/JSON paths: PostgreSQL 15's jsonpath. A value of the type is its text as it was read: what
 * PostgreSQL prints for one may not be read again (brackets are lost).
 *
 * jsonpath_lex.c cuts a text into tokens, jsonpath_parse.c makes a tree of them (jsonpath_gram.y is the description),
 * jsonpath_text.c prints one, jsonpath_run.c evaluates one (jsonpath_exec.c). Everything recurses; the limits below
 * bound how deep and how long. */
#ifndef PENSTOCK_TYPES_JSONPATH_H
#define PENSTOCK_TYPES_JSONPATH_H

#include "types/json_impl.h"

#define JSONPATH_ITEMS_MAX   1000     /* accessors, operators, constants of one path */
#define JSONPATH_NESTING_MAX 200      /* parentheses, signs and filters within each other */
#define JSONPATH_DEPTH_MAX   500      /* of an evaluation: accessors in a row, levels that .** goes down */
#define JSONPATH_STEPS_MAX   10000000 /* items applied and found in one evaluation; about a second */

enum jp_kind {
    JP_NULL,
    JP_STRING,
    JP_NUMBER,
    JP_BOOL,
    JP_VARIABLE,
    JP_ROOT,    /* $ */
    JP_CURRENT, /* @ */
    JP_LAST,
    JP_KEY,
    JP_ANY_KEY,   /* .* */
    JP_ANY_ARRAY, /* [*] */
    JP_SUBSCRIPT,
    JP_ANY, /* .** */
    JP_FILTER,
    JP_TYPE,
    JP_SIZE,
    JP_ABS,
    JP_FLOOR,
    JP_CEILING,
    JP_DOUBLE,
    JP_DATETIME,
    JP_KEYVALUE,
    JP_ADD,
    JP_SUB,
    JP_MUL,
    JP_DIV,
    JP_MOD,
    JP_PLUS,
    JP_MINUS,
    JP_FIRST_PREDICATE,
    JP_AND = JP_FIRST_PREDICATE,
    JP_OR,
    JP_NOT,
    JP_EQ,
    JP_NE,
    JP_LT,
    JP_GT,
    JP_LE,
    JP_GE,
    JP_STARTS_WITH,
    JP_LIKE_REGEX,
    JP_EXISTS,
    JP_IS_UNKNOWN
};
struct jp_subscript {
    struct jp_item *from, *to; /* to: NULL when there is but one */
};
struct jp_item {
    enum jp_kind kind;
    struct jp_item *next;         /* the accessor that is applied to what this one finds */
    struct jp_item *left, *right; /* operands; of one it is the left */
    struct str text;              /* key, name of a variable, pattern of like_regex, template */
    bool has_text;                /* JP_DATETIME: has a template */
    struct str flags;             /* of like_regex, in the order that they are printed in */
    unsigned regex_flags;
    uint32_t first, last; /* JP_ANY: levels; UINT32_MAX is the last */
    struct jp_subscript *subscripts;
    uint32_t subscript_count;
    struct json_node node; /* of a constant */
};
struct jsonpath { /* immutable once made */
    struct arena arena;
    bool is_strict;
    struct jp_item *root;
};
static inline bool jp_is_predicate(enum jp_kind kind)
{
    return kind >= JP_FIRST_PREDICATE;
}
const char *jp_operator_name(enum jp_kind kind); /* "+", "&&", and "size" of methods */

/* The path read from `text`, kept by this thread for next time; valid until the next call. NULL after fn_fail. */
const struct jsonpath *jsonpath_get(struct fn_ctx *ctx, const struct str *text);
/* What jsonpath_get keeps; jsonpath_free releases it. NULL after fn_fail. */
struct jsonpath *jsonpath_read(struct fn_ctx *ctx, const struct str *text);
void jsonpath_free(struct jsonpath *path);
/* As PostgreSQL prints it, in ctx->arena. */
struct str jsonpath_print(struct fn_ctx *ctx, const struct jsonpath *path);

struct jp_list { /* of nodes in ctx->arena or in the path */
    struct json_node **v;
    uint32_t count, cap;
};
enum jp_result { JP_FAILED, JP_OK, JP_NOT_FOUND };
/* Applies a path to `root`, a decoded node. vars: an object, NULL for none. found: NULL when only JP_OK or JP_NOT_FOUND
 * is asked. Structural errors fail ctx unless `silent`, and are JP_FAILED either way; ctx->error tells which. use_zone:
 * moments with and without a zone may be compared, by the session's. */
enum jp_result jsonpath_run(struct fn_ctx *ctx, const struct jsonpath *path, struct json_node *root,
                            struct json_node *vars, bool silent, bool use_zone, struct jp_list *found);

/* ---- reading: what the lexer gives the parser ---- */

enum jp_token {
    TOK_END,
    TOK_CHAR, /* a special character: lexer's c */
    TOK_STRING,
    TOK_VARIABLE,
    TOK_NUMBER,
    TOK_INT,
    TOK_IDENT,
    TOK_AND,
    TOK_OR,
    TOK_NOT,
    TOK_ANY, /* ** */
    TOK_EQ,
    TOK_NE,
    TOK_LT,
    TOK_GT,
    TOK_LE,
    TOK_GE,
    TOK_FIRST_KEYWORD,
    TOK_IS = TOK_FIRST_KEYWORD,
    TOK_TO,
    TOK_ABS,
    TOK_LAX,
    TOK_FLAG,
    TOK_LAST,
    TOK_NULL,
    TOK_SIZE,
    TOK_TRUE,
    TOK_TYPE,
    TOK_WITH,
    TOK_FALSE,
    TOK_FLOOR,
    TOK_DOUBLE,
    TOK_EXISTS,
    TOK_STARTS,
    TOK_STRICT,
    TOK_CEILING,
    TOK_UNKNOWN,
    TOK_DATETIME,
    TOK_KEYVALUE,
    TOK_LIKE_REGEX
};
struct jp_lexer {
    struct fn_ctx *ctx;
    struct arena *arena;            /* where texts of tokens go */
    const uint8_t *p, *end, *start; /* start: of the current token */
    enum jp_token token;
    uint8_t c;
    bool swallowed;  /* no token after all: the next one counts */
    struct str text; /* of strings, names and numbers */
};
bool jp_lexer_next(struct jp_lexer *l);                    /* false after fn_fail */
bool jp_syntax_error(struct jp_lexer *l, const char *why); /* at the current token; false */

#endif
