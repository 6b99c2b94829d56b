/* Expressions of a view's columns as they were written; see column_text.h. */
#include "sql/column_text.h"

#include <string.h>
#include <strings.h>

struct source {
    struct arena *arena;
    const char *text;
    struct sql_pos pos; /* of text[0] */
};

static const char *at_position(const struct source *s, struct sql_pos pos)
{
    int line = s->pos.line, column = s->pos.column;
    for (const char *p = s->text; *p; p++) {
        if (line == pos.line && column == pos.column)
            return p;
        if (*p == '\n') {
            line++;
            column = 1;
        } else {
            column += ((unsigned char)p[1] & 0xC0) != 0x80; /* characters, not bytes */
        }
    }
    return NULL;
}

/* ---- tokens, as far as the end of an expression takes it ---- */

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

static const char *after_quoted(const char *p, char quote)
{
    for (p++; *p; p++)
        if (*p == quote && *++p != quote)
            return p;
    return p;
}

/* Blanks and comments. */
static const char *after_blanks(const char *p)
{
    for (;; p++) {
        if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 1 : p + strlen(p) - 1;
        } else if (!*p || !strchr(" \t\r\n\f", *p)) {
            return p;
        }
        if (!*p)
            return p;
    }
}

/* $$...$$ and $tag$...$tag$; NULL: no such quote begins here. */
static const char *after_dollars(const char *p)
{
    size_t tag = 1;
    while (in_word(p[tag]) && p[tag] != '$')
        tag++;
    if (p[tag] != '$')
        return NULL;
    for (const char *q = p + tag + 1; *q; q++)
        if (strncmp(q, p, tag + 1) == 0)
            return q + tag + 1;
    return p + strlen(p);
}

static const char *after_token(const char *p)
{
    const char *dollars = *p == '$' ? after_dollars(p) : NULL;
    if (dollars)
        return dollars;
    if (*p == '\'' || *p == '"')
        return after_quoted(p, *p);
    if (!in_word(*p))
        return p + 1;
    while (in_word(*p))
        p++;
    return *p == '\'' ? after_quoted(p, '\'') : p; /* E'...' */
}

static bool is_word(const char *p, const char *end, const char *word)
{
    return (size_t)(end - p) == strlen(word) && strncasecmp(p, word, strlen(word)) == 0;
}

/* Words that cannot stand in an expression outside of parentheses, but behind another. */
static bool ends_expression(const char *p, const char *end, const char *before, const char *before_end)
{
    static const struct {
        const char *word, *unless_after;
    } words[] = {{"from", "distinct"}, {"where", ""},     {"group", "within"}, {"having", ""}, {"window", ""},
                 {"union", ""},        {"intersect", ""}, {"except", ""},      {"order", ""},  {"limit", ""},
                 {"offset", ""},       {"fetch", ""},     {"for", ""},         {"into", ""}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (is_word(p, end, words[i].word))
            return !before || !is_word(before, before_end, words[i].unless_after);
    return false;
}

/* The expression that begins at p; the label behind it is left out. */
static const char *expression_text(struct arena *arena, const char *p, bool has_label)
{
    const char *from = p, *last = NULL, *last_end = p, *before = NULL, *before_end = p, *stop = p;
    int depth = 0;
    for (p = after_blanks(p); *p; p = after_blanks(p)) {
        const char *end = after_token(p);
        bool closes = *p == ')' || *p == ']';
        if (depth == 0 && (*p == ',' || *p == ';' || closes || ends_expression(p, end, last, last_end)))
            break;
        depth += (*p == '(' || *p == '[') - closes;
        before = last;
        before_end = last_end;
        last = p;
        last_end = stop = end;
        p = end;
    }
    if (has_label && last && last > from) {
        bool as = before && is_word(before, before_end, "as");
        stop = as ? before : last;
    }
    while (stop > from && strchr(" \t\r\n\f", stop[-1]))
        stop--;
    return arena_strndup(arena, from, (size_t)(stop - from));
}

/* ---- queries ---- */

static const char *target_text(const struct source *s, const struct ast_target *t)
{
    const char *p = at_position(s, t->pos);
    return p ? expression_text(s->arena, p, t->alias != NULL) : NULL;
}

static void select_texts(const struct source *s, const struct ast_query *q, uint32_t count, const char **out)
{
    uint32_t first = 0, last = q->target_count, stars = 0;
    for (uint32_t i = 0; i < q->target_count; i++)
        stars += q->targets[i].expr && q->targets[i].expr->kind == AST_STAR;
    if (!stars && q->target_count != count)
        return;
    while (first < q->target_count && (!q->targets[first].expr || q->targets[first].expr->kind != AST_STAR)) {
        if (first < count)
            out[first] = target_text(s, &q->targets[first]);
        first++;
    }
    while (last > first && q->targets[last - 1].expr->kind != AST_STAR)
        last--;
    uint32_t tail = q->target_count - last;
    if (first + tail > count)
        return;
    for (uint32_t i = 0; i < tail; i++)
        out[count - tail + i] = target_text(s, &q->targets[last + i]);
    for (uint32_t i = first; stars == 1 && i < count - tail; i++)
        out[i] = target_text(s, &q->targets[first]);
}

static const char *operator_text(enum ast_query_kind kind)
{
    switch (kind) {
    case AST_UNION: return "UNION";
    case AST_UNION_ALL: return "UNION ALL";
    case AST_INTERSECT: return "INTERSECT";
    case AST_INTERSECT_ALL: return "INTERSECT ALL";
    case AST_EXCEPT: return "EXCEPT";
    default: return "EXCEPT ALL";
    }
}

static void query_texts(const struct source *s, const struct ast_query *q, uint32_t count, const char **out)
{
    if (q->kind == AST_SELECT)
        select_texts(s, q, count, out);
    if (q->kind == AST_SELECT || q->kind == AST_VALUES)
        return;
    const char **right = ARENA_ARRAY(s->arena, const char *, count + 1);
    query_texts(s, q->left, count, out);
    query_texts(s, q->right, count, right);
    for (uint32_t i = 0; i < count; i++)
        if (!out[i] || !right[i])
            out[i] = NULL;
        else if (strcmp(out[i], right[i]) != 0)
            out[i] = arena_printf(s->arena, "%s %s %s", out[i], operator_text(q->kind), right[i]);
}

const char **column_texts(struct arena *arena, const struct ast_statement *s, uint32_t column_count)
{
    const char **out = ARENA_ARRAY(arena, const char *, column_count + 1);
    const struct source source = {arena, s->text, s->pos};
    if (s->query && s->text)
        query_texts(&source, s->query, column_count, out);
    return out;
}
