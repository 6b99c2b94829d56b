/* Named arguments and VARIADIC arrays: both are written as plain calls, since functions here go by position. */
#include "sql/pgq/pgq_call.h"

#include <string.h>

#define NAMED_MAX 7 /* arguments of make_interval */
/* The functions whose arguments have names in PostgreSQL; a default as SQL has it, NULL where there must be a value. */
static const struct {
    const char *function, *arguments[NAMED_MAX], *defaults[NAMED_MAX];
} named[] = {
    {"make_interval",
     {"years", "months", "weeks", "days", "hours", "mins", "secs"},
     {"0", "0", "0", "0", "0", "0", "0"}},
    {"make_date", {"year", "month", "day"}, {NULL}},
    {"make_time", {"hour", "min", "sec"}, {NULL}},
    {"make_timestamp", {"year", "month", "mday", "hour", "min", "sec"}, {NULL}},
    {"make_timestamptz", {"year", "month", "mday", "hour", "min", "sec", "timezone"}, {NULL}},
    {"jsonb_set", {"jsonb_in", "path", "replacement", "create_if_missing"}, {NULL, NULL, NULL, "true"}},
    {"jsonb_set_lax",
     {"jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"},
     {NULL, NULL, NULL, "true", "use_json_null"}},
    {"jsonb_insert", {"jsonb_in", "path", "replacement", "insert_after"}, {NULL, NULL, NULL, "false"}},
    {"jsonb_path_exists", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_exists_tz", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_match", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_match_tz", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_query", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_query_tz", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_query_array", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_query_array_tz", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_query_first", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"jsonb_path_query_first_tz", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "false"}},
    {"parse_ident", {"str", "strict"}, {NULL, "true"}},
};

bool pgq_has_named(List *args)
{
    ListCell *cell;
    foreach (cell, args)
        if (IsA(lfirst(cell), NamedArgExpr))
            return true;
    return false;
}

static void fail(struct pgq *c, struct ast *a, int location, const char *fmt, const char *name)
{
    pgq_error(c, ERR_CONFIG, location < 0 ? a->pos : pgq_pos(c, location), fmt, name);
    a->kind = AST_BAD;
}

static size_t find_function(const char *name)
{
    size_t i = 0;
    while (i < ARRAY_COUNT(named) && strcmp(named[i].function, name) != 0)
        i++;
    return i;
}

/* The place of a named argument; NAMED_MAX after reporting. */
static uint32_t place_of(struct pgq *c, struct ast *a, size_t row, const NamedArgExpr *arg)
{
    uint32_t i = 0;
    while (i < NAMED_MAX && named[row].arguments[i] && strcmp(named[row].arguments[i], arg->name) != 0)
        i++;
    if (i < NAMED_MAX && named[row].arguments[i] && !a->args[i])
        return i;
    bool twice = i < NAMED_MAX && named[row].arguments[i];
    fail(c, a, arg->location,
         twice ? "argument name \"%s\" used more than once" : "the function has no argument called \"%s\"",
         arg->name);
    return NAMED_MAX;
}

static void put_arguments(struct pgq *c, struct ast *a, size_t row, List *args)
{
    ListCell *cell;
    uint32_t given = 0, place;
    bool by_name = false;
    foreach (cell, args) {
        Node *n = lfirst(cell);
        place = given++;
        if (IsA(n, NamedArgExpr)) {
            by_name = true;
            place = place_of(c, a, row, (NamedArgExpr *)n);
            n = (Node *)((NamedArgExpr *)n)->arg;
        } else if (by_name || place >= NAMED_MAX) {
            fail(c, a, pgq_location(n), "positional argument cannot follow named argument%s", "");
            return;
        }
        if (place == NAMED_MAX)
            return;
        a->args[place] = pgq_expr(c, n);
        if (place + 1 > a->arg_count)
            a->arg_count = place + 1;
    }
}

void pgq_named_arguments(struct pgq *c, struct ast *a, List *args)
{
    size_t row = find_function(a->name);
    if (row == ARRAY_COUNT(named)) {
        fail(c, a, -1, "%s() has no names for its arguments", a->name);
        return;
    }
    a->args = ARENA_ARRAY(c->arena, struct ast *, NAMED_MAX);
    put_arguments(c, a, row, args);
    for (uint32_t i = 0; i < a->arg_count && a->kind != AST_BAD; i++) {
        if (a->args[i])
            continue;
        if (!named[row].defaults[i]) {
            fail(c, a, -1, "the argument \"%s\" is missing", named[row].arguments[i]);
            return;
        }
        a->args[i] = pgq_new(c, AST_STRING, -1); /* read as the argument's type */
        a->args[i]->pos = a->pos;
        a->args[i]->name = named[row].defaults[i];
    }
}

void pgq_variadic(struct pgq *c, struct ast *a, int location)
{
    static const struct {
        const char *function, *becomes;
        uint32_t arg_count;
        bool is_operator;
    } takes_array[] = {
        {"concat", "array_to_string", 1, false},    {"concat_ws", "array_to_string", 2, false},
        {"json_extract_path", "#>", 2, true},       {"jsonb_extract_path", "#>", 2, true},
        {"json_extract_path_text", "#>>", 2, true}, {"jsonb_extract_path_text", "#>>", 2, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(takes_array); i++) {
        if (strcmp(a->name, takes_array[i].function) != 0 || a->arg_count != takes_array[i].arg_count)
            continue;
        struct ast **args = ARENA_ARRAY(c->arena, struct ast *, 2);
        bool first = a->arg_count == 2 && !takes_array[i].is_operator; /* the separator */
        args[0] = a->args[first];
        args[1] = first ? a->args[0] : a->arg_count == 2 ? a->args[1] : pgq_new(c, AST_STRING, location);
        if (a->arg_count == 1)
            args[1]->name = "";
        a->name = takes_array[i].becomes;
        a->kind = takes_array[i].is_operator ? AST_OPERATOR : AST_CALL;
        a->args = args;
        a->arg_count = 2;
        return;
    }
    pgq_unsupported(c, location, "VARIADIC of %s()", a->name);
    a->kind = AST_BAD;
}
