/* Scalar functions, operators and casts: one explicit table each, one row per signature.
 *
 * The tables are what the binder resolves against, what expressions call, and what docs/sql.md is generated
 * from. Adding a function is one row and one kernel. Kernels are pure: the result depends on the arguments
 * (and struct fn_ctx) alone, so that a retraction finds the very row it takes back. */
#ifndef PENSTOCK_TYPES_FUNC_H
#define PENSTOCK_TYPES_FUNC_H

#include "base/arena.h"
#include "base/text.h"
#include "types/val.h"

enum fn_error { /* why an expression failed for a row; texts are PostgreSQL's */
                FN_OK = 0,
                FN_DIVISION_BY_ZERO,
                FN_OUT_OF_RANGE,    /* "integer out of range", "value overflows numeric format", ... */
                FN_BAD_TEXT,        /* invalid input syntax for type ... */
                FN_BAD_ARGUMENT,    /* logarithm of zero, negative substring length, ... */
                FN_STRING_TOO_LONG, /* value too long for type character varying(n) */
                FN_TOO_MANY_ROWS,   /* a scalar subquery with more than one row */
                FN_UNSUPPORTED,
                FN_BAD_DATETIME,   /* 22007: invalid input syntax for type date, ... */
                FN_DATETIME_RANGE, /* 22008: date/time field value out of range, timestamp out of range, ... */
                FN_BAD_LOGARITHM,  /* 2201E: cannot take logarithm of zero, ... */
                FN_BAD_POWER, /* 2201F: zero raised to a negative power, square root of a negative number, ... */
                FN_BAD_SUBSTRING, /* 22011: negative substring length not allowed */
                FN_BAD_BUCKET,    /* 2201G: width_bucket */
                FN_BAD_INDEX,     /* 2202E: index out of valid range (get_byte, set_byte) */
                FN_BAD_ESCAPE, /* 22025: LIKE pattern must not end with escape character, invalid escape string */
                FN_BAD_CHARACTER,    /* 22021: character not in the encoding */
                FN_TOO_LARGE,        /* 54000: requested length too large */
                FN_INTERVAL_RANGE,   /* 22015: interval field value out of range */
                FN_ZONE_RANGE,       /* 22009: time zone displacement out of range */
                FN_NULL_NOT_ALLOWED, /* 22004: a NULL where there must be a value */
                FN_BAD_TEMPLATE, /* 42601: template of to_char(number) or to_number that contradicts itself */
                FN_BAD_REGEX,    /* 2201B: invalid regular expression */
                FN_BAD_ESCAPE_USE,   /* 2200C: more than two escape-double-quotes in a SIMILAR TO pattern */
                FN_BAD_UNICODE,      /* 22P05: \u0000 where text must hold it */
                FN_BAD_DATA,         /* 22000: argument must be empty or one-dimensional array */
                FN_BAD_STATE,        /* 55000: enum contains no values */
                FN_BAD_PATH,         /* 42601: syntax error in a jsonpath, invalid Unicode escape */
                FN_UNDEFINED_OBJECT, /* 42704: could not find jsonpath variable */
                FN_JSON_DATETIME,    /* 22031: what jsonpath's datetime() is applied to */
                FN_JSON_SUBSCRIPT,   /* 22033: jsonpath array subscript is out of bounds, ... */
                FN_JSON_NON_NUMERIC, /* 22036: a method of jsonpath applied to what is no number */
                FN_JSON_SINGLETON,   /* 22038: single boolean result is expected, ... */
                FN_JSON_ARRAY_NOT_FOUND,  /* 22039, and so on: jsonpath's structural errors in strict mode */
                FN_JSON_MEMBER_NOT_FOUND, /* 2203A */
                FN_JSON_NUMBER_NOT_FOUND, /* 2203B */
                FN_JSON_OBJECT_NOT_FOUND, /* 2203C */
                FN_ERROR_COUNT
};
/* SQLSTATE of each, "22012" and so on. */
const char *fn_error_sqlstate(enum fn_error e);

/* Where a kernel allocates its result and reports failure. Lives for one evaluation of a batch. */
struct fn_ctx {
    struct arena *arena;  /* results live until it is reset */
    enum fn_error error;  /* set by a failing kernel (see fn_fail) */
    char error_text[160]; /* PostgreSQL's message for it */
    const uint8_t
        *types;       /* enum type_id of the call's result, then of its arguments: for casts and polymorphic
                             functions, whose kernels serve many types; else it may be NULL */
    const void *zone; /* session time zone for timestamptz<->text/date conversions; NULL is UTC */
};
/* Sets ctx->error and its text; returns false for `return fn_fail(...)`. */
bool fn_fail(struct fn_ctx *ctx, enum fn_error error, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Scalar kernel. Strict functions are never called with a NULL argument. Returns false after fn_fail.
 * args[i] are values; null[i] is set for NULL arguments (only non-strict functions look); *out_null = true for a
 * NULL result (it comes in as false). typmods of arguments never matter; a length-coercion cast gets the target
 * typmod as a second int4 argument. */
typedef bool (*fn_eval)(struct fn_ctx *ctx, const union val *args, const bool *null, uint32_t arg_count,
                        union val *out, bool *out_null);

/* Optional vector kernel for hot functions of 1 or 2 arguments, strict only: n rows, a[i], b[i] (b NULL when
 * unary); state[i] comes in as VAL_OK or VAL_NULL, only VAL_OK rows are computed; sets state[i] to VAL_ERROR on
 * failure with ctx->error/error_text of the last failure. Written so that the compiler vectorises it. */
typedef void (*fn_eval_vec)(struct fn_ctx *ctx, uint32_t n, const union val *a, const union val *b,
                            union val *out, uint8_t *state);

enum fn_flags {
    FN_STRICT = 1,    /* NULL in, NULL out */
    FN_VARIADIC = 2,  /* the last argument type may repeat (concat, ...) */
    FN_OPERATOR = 4,  /* name is an operator: "+", "||", "~~" (LIKE), "~~*" (ILIKE), "!~~", ... */
    FN_ANY_JSON = 16, /* arguments of type "any" come as json rather than text; NULL stays NULL */
    FN_COMPARES = 32, /* polymorphic: compares elements, so their type must be comparable */
    FN_PREFIX = 8     /* with FN_OPERATOR: a prefix operator such as -x or @x */
};
#define FN_ARGS_MAX 7 /* make_interval */
/* `args` and `result` may be polymorphic (T_ANYARRAY, ...): resolve.c finds the types of the call.
 * In `args`, T_UNKNOWN stands for PostgreSQL's "any" (concat): accepted as it is; the binder passes such
 * arguments converted to text by the type's output function. */
struct fn {
    const char *name;
    uint8_t flags;
    uint8_t arg_count;
    uint8_t args[FN_ARGS_MAX]; /* enum type_id */
    uint8_t result;            /* enum type_id */
    fn_eval eval;
    fn_eval_vec eval_vec; /* may be NULL */
    const char *doc;      /* one line for docs/sql.md; NULL for operators whose name says it */
};

/* {"name":value,...} of names and values as json, and two such objects as one: the binder's, no name finds them. */
extern const struct fn fn_row_to_json, fn_json_rows_joined;

enum cast_context { CAST_IMPLICIT, CAST_ASSIGNMENT, CAST_EXPLICIT }; /* pg_cast.castcontext */
struct cast {
    uint8_t from, to; /* enum type_id */
    uint8_t context;  /* enum cast_context */
    fn_eval eval;     /* NULL: binary coercible, the value is taken as it is */
};

/* All functions and operators; sections in types/func_*.c are joined here. Sorted by nothing in particular. */
struct fn_list {
    const struct fn *rows;
    uint32_t count;
};
/* The sections: each file of kernels exports one. fn_section(i) for i in 0..fn_section_count()-1. */
uint32_t fn_section_count(void);
struct fn_list fn_section(uint32_t i);
/* The rows named `name` with or without FN_OPERATOR, as an array of pointers in `out` (at most max). */
uint32_t fn_find(const char *name, bool is_operator, const struct fn **out, uint32_t max);

/* bigint -> true; FN_TOO_MANY_ROWS above 1. The planner's own, not in the table. */
const struct fn *fn_at_most_one_row(void);

/* The cast from->to, or NULL. Casts through text input/output functions (any type from/to text explicitly, as
 * PostgreSQL's I/O conversion casts) are in the table too. */
const struct cast *cast_find(enum type_id from, enum type_id to);
/* The rows of the table: those that come of it for arrays (a cast of every element, text to and from) are not in. */
uint32_t cast_count(void);
const struct cast *cast_at(uint32_t i);
/* Length coercion to (type, typmod): varchar(n), char(n), numeric(p,s), timestamp(p)...; is_explicit truncates
 * strings silently as an explicit cast does. True when done. The value is replaced in place. */
bool type_apply_typmod(struct fn_ctx *ctx, struct type t, bool is_explicit, union val *v);

/* Text input and output functions, exactly PostgreSQL's (DateStyle ISO, IntervalStyle postgres, bytea hex,
 * extra_float_digits 1, TimeZone UTC unless ctx->zone). */
bool type_input(struct fn_ctx *ctx, struct type t, const char *text, size_t len, union val *out);
/* Result bytes in ctx->arena. */
struct str type_output(struct fn_ctx *ctx, enum type_id t, const union val *v);

/* SQL order of two non-NULL values of one type (btree's: NaN above all, -0 equals 0, bpchar without trailing
 * blanks, text as bytes): <0, 0, >0. json has none: panics. */
int citext_cmp(const struct str *a, const struct str *b); /* func_citext.c: of lower case */
int val_cmp(enum type_id t, const union val *a, const union val *b);

#endif
