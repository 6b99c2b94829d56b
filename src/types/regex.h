/* PostgreSQL's advanced regular expressions (ARE) on UTF-8 text under collation C: what matches, and where the whole
 * match and its groups lie, as PostgreSQL decides it.
 *
 * regex_parse.c reads a pattern, regex_tree.c decides which parts prefer the longest and which the shortest match
 * and makes a program for each part, regex_run.c runs them. A program is simulated over all its states at once: work is
 * at most text times states. Only looking for groups and back references may try again and again; every step is
 * counted, and a search (all those of one evaluation of a jsonpath) that needs more than REGEX_STEPS_MAX fails.
 * Not supported: basic and plain extended expressions (options b and e), collating elements by name. */
#ifndef PENSTOCK_TYPES_REGEX_H
#define PENSTOCK_TYPES_REGEX_H

#include "types/func.h"

enum regex_flags {
    REGEX_FOLD = 1,        /* i: case of ASCII letters does not matter */
    REGEX_LITERAL = 2,     /* q: the pattern is a plain string */
    REGEX_EXPANDED = 4,    /* x: blanks and comments in the pattern do not count */
    REGEX_LINE_STOP = 8,   /* . and [^...] do not match a newline */
    REGEX_LINE_ANCHOR = 16 /* ^ and $ match beside newlines too */
};
#define REGEX_LINES (REGEX_LINE_STOP | REGEX_LINE_ANCHOR)
#define REGEX_STEPS_MAX \
    50000000 /* states visited in one search, or in those that share a budget; about a second */
#define REGEX_STATES_MAX 50000 /* of all programs of a pattern */
#define REGEX_DEPTH_MAX  250   /* nesting of parentheses, and of parts to be told apart */

struct regex; /* compiled; immutable */

/* The compiled pattern, kept by this thread for next time; valid until the next call. NULL after fn_fail. */
const struct regex *regex_get(struct fn_ctx *ctx, const struct str *pattern, unsigned flags);
uint32_t regex_group_count(const struct regex *re);
/* What regex_get keeps; regex_free releases it. NULL after fn_fail. */
struct regex *regex_compile(struct fn_ctx *ctx, const struct str *pattern, unsigned flags);
void regex_free(struct regex *re);

struct regex_text {
    const uint32_t *chars;
    uint32_t count;
    const uint32_t *offsets; /* of each character in bytes, count + 1; NULL: all are one byte long */
    uint64_t *steps; /* borrowed: steps of all searches that share a budget; NULL: each search has its own */
};
void regex_text_init(struct regex_text *text, struct arena *arena, const struct str *s);
static inline uint32_t regex_offset(const struct regex_text *text, uint32_t index)
{
    return text->offsets ? text->offsets[index] : index;
}

struct regex_span { /* in characters; from -1: the group took no part */
    int32_t from, to;
};
enum regex_result { REGEX_NONE, REGEX_FOUND, REGEX_FAILED /* after fn_fail */ };
/* The first match at or after character `start`. spans[0] is the whole match, spans[i] group i; span_count 0: is there
 * one at all? */
enum regex_result regex_search(struct fn_ctx *ctx, const struct regex *re, const struct regex_text *text,
                               uint32_t start, uint32_t span_count, struct regex_span *spans);

#endif
