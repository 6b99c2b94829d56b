/* Statements of one SQL text: parse, convert, and collect every error with its line and column.
 *
 * The text is parsed as a whole. If that fails, PostgreSQL's scanner cuts it into statements which are parsed
 * one by one, so that a syntax error in one does not hide the errors of the others. */
#include "sql/pgq/pgq.h"

#include "sql/expr.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- positions and errors ---- */

static void find_lines(struct pgq *c)
{
    uint32_t n = 1;
    for (size_t i = 0; i < c->text_len; i++)
        n += c->text[i] == '\n';
    c->line_starts = ARENA_ARRAY(c->arena, uint32_t, n);
    c->line_count = 1;
    for (size_t i = 0; i < c->text_len; i++)
        if (c->text[i] == '\n')
            c->line_starts[c->line_count++] = (uint32_t)i + 1;
}

struct sql_pos pgq_pos(const struct pgq *c, int location)
{
    if (location < 0 || (size_t)location > c->text_len)
        return (struct sql_pos){0, 0};
    uint32_t low = 0, high = c->line_count;
    while (high - low > 1) {
        uint32_t mid = (low + high) / 2;
        if (c->line_starts[mid] <= (uint32_t)location)
            low = mid;
        else
            high = mid;
    }
    int column = 1;
    for (uint32_t i = c->line_starts[low]; i < (uint32_t)location; i++)
        column += ((unsigned char)c->text[i] & 0xC0) != 0x80; /* characters, not bytes */
    return (struct sql_pos){c->first_line + (int)low, column};
}

static void put_error(struct pgq *c, enum err_code code, struct sql_pos pos, const char *message)
{
    c->broken = true;
    if (!pos.line) /* the grammar does not keep every place */
        pos = c->statement_pos;
    if (c->error_count++ < SQL_ERRORS_MAX)
        err_append(c->errs, err_at(code, c->file, pos.line, pos.column, "%s", message));
}

void pgq_error(struct pgq *c, enum err_code code, struct sql_pos pos, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    put_error(c, code, pos, message);
}

void pgq_unsupported(struct pgq *c, int location, const char *fmt, ...)
{
    char what[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    bool plural = what[0] == '+';
    pgq_error(c, ERR_UNSUPPORTED, pgq_pos(c, location), "%s %s not supported yet", what + plural,
              plural ? "are" : "is");
}

bool pgq_enter(struct pgq *c, int location)
{
    if (c->depth < EXPR_DEPTH_MAX) {
        c->depth++;
        return true;
    }
    if (!c->too_deep)
        pgq_error(c, ERR_LIMIT, pgq_pos(c, location), "SQL is nested more than %d levels deep",
                  EXPR_DEPTH_MAX);
    c->too_deep = true;
    return false;
}

void pgq_leave(struct pgq *c)
{
    c->depth--;
}

/* ---- names ---- */

const char *pgq_str(struct pgq *c, const char *s)
{
    return s ? arena_strdup(c->arena, s) : NULL;
}

const char *pgq_name(struct pgq *c, const void *string_node)
{
    return pgq_str(c, strVal(string_node));
}

const char **pgq_names(struct pgq *c, List *strings, uint32_t *count)
{
    const char **names = ARENA_ARRAY(c->arena, const char *, list_length(strings) + 1);
    *count = 0;
    ListCell *cell;
    foreach (cell, strings)
        if (IsA(lfirst(cell), String))
            names[(*count)++] = pgq_name(c, lfirst(cell));
    return names;
}

/* ---- statements ---- */

static void put_view_name(struct pgq *c, struct ast_statement *s, RangeVar *r)
{
    s->view = pgq_str(c, r->relname);
    s->view_pos = pgq_pos(c, r->location);
    if (r->schemaname)
        pgq_error(c, ERR_CONFIG, s->view_pos, "a view's name has no schema: write %s", r->relname);
}

static void create_view(struct pgq *c, struct ast_statement *s, ViewStmt *v)
{
    s->kind = AST_CREATE_VIEW;
    put_view_name(c, s, v->view);
    if (v->view->relpersistence == 't')
        pgq_unsupported(c, v->view->location, "CREATE TEMPORARY VIEW");
    if (v->options)
        pgq_unsupported(c, ((DefElem *)linitial(v->options))->location, "WITH (options) of a view");
    if (v->withCheckOption != NO_CHECK_OPTION)
        pgq_unsupported(c, v->view->location, "WITH CHECK OPTION");
    s->columns = pgq_names(c, v->aliases, &s->column_count);
    s->query = pgq_query(c, v->query);
}

static void index_column(struct pgq *c, struct ast_statement *s, IndexElem *e)
{
    if (!e->name) {
        pgq_unsupported(c, pgq_location(e->expr),
                        "an index on an expression (add it to the view as a column)");
        return;
    }
    if (e->opclass)
        pgq_unsupported(c, -1, "an operator class in CREATE INDEX");
    if (e->collation && strcmp(strVal(llast(e->collation)), "C") != 0)
        pgq_unsupported(c, -1, "a collation other than \"C\" in CREATE INDEX");
    struct ast_index_column *k = &s->index_columns[s->index_column_count++];
    k->pos = s->view_pos; /* the grammar keeps no place for index columns */
    k->name = pgq_str(c, e->name);
    k->desc = e->ordering == SORTBY_DESC;
    k->nulls_first =
        e->nulls_ordering == SORTBY_NULLS_DEFAULT ? k->desc : e->nulls_ordering == SORTBY_NULLS_FIRST;
}

static void create_index(struct pgq *c, struct ast_statement *s, IndexStmt *x)
{
    s->kind = AST_CREATE_INDEX;
    put_view_name(c, s, x->relation);
    s->index_name = pgq_str(c, x->idxname);
    s->unique = x->unique;
    if (x->accessMethod && strcmp(x->accessMethod, "btree") != 0)
        pgq_unsupported(c, x->relation->location, "an index USING %s", x->accessMethod);
    if (x->whereClause)
        pgq_unsupported(c, pgq_location(x->whereClause), "WHERE in CREATE INDEX");
    if (x->indexIncludingParams)
        pgq_unsupported(c, x->relation->location, "INCLUDE in CREATE INDEX");
    s->index_columns = ARENA_ARRAY(c->arena, struct ast_index_column, list_length(x->indexParams) + 1);
    ListCell *cell;
    foreach (cell, x->indexParams)
        index_column(c, s, lfirst(cell));
}

static bool comment_object(struct pgq *c, struct ast_statement *s, CommentStmt *m, uint32_t parts)
{
    uint32_t count = 0;
    const char **names = IsA(m->object, List) ? pgq_names(c, (List *)m->object, &count) : NULL;
    if (count != parts)
        return false;
    s->view = names[0];
    s->column = parts == 2 ? names[1] : NULL;
    return true;
}

static void comment(struct pgq *c, struct ast_statement *s, CommentStmt *m)
{
    bool column = m->objtype == OBJECT_COLUMN;
    s->kind = column ? AST_COMMENT_COLUMN : AST_COMMENT_VIEW;
    s->view_pos = s->pos;
    s->comment = pgq_str(c, m->comment);
    if (m->objtype != OBJECT_VIEW && !column)
        pgq_error(c, ERR_UNSUPPORTED, s->pos, "COMMENT ON anything but VIEW and COLUMN is not supported yet");
    else if (!comment_object(c, s, m, column ? 2 : 1))
        pgq_error(c, ERR_CONFIG, s->pos,
                  column ? "COMMENT ON COLUMN needs view.column" : "a view's name has no schema");
}

/* The first words of a statement, for the message that refuses it. */
static const char *first_words(struct pgq *c, const char *text)
{
    size_t n = 0, words = 0;
    while (text[n] && text[n] != ';' && text[n] != '(' && n < 40) {
        if (text[n] == ' ' || text[n] == '\n' || text[n] == '\t') {
            if (++words == 2)
                break;
        }
        n++;
    }
    char *s = arena_strndup(c->arena, text, n);
    for (char *p = s; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p == '\n' || *p == '\t' ? ' ' : *p;
    return s;
}

static void convert_by_tag(struct pgq *c, struct ast_statement *s, Node *n)
{
    switch (nodeTag(n)) {
    case T_ViewStmt: create_view(c, s, (ViewStmt *)n); return;
    case T_IndexStmt: create_index(c, s, (IndexStmt *)n); return;
    case T_CommentStmt: comment(c, s, (CommentStmt *)n); return;
    default:
        pgq_error(c, ERR_UNSUPPORTED, s->pos,
                  "%s is not supported: only CREATE VIEW, CREATE INDEX and COMMENT ON are",
                  first_words(c, s->text));
    }
}

/* Offset of the first character of a statement that is neither blank nor comment. */
static size_t skip_blanks(const char *t, size_t at, size_t end)
{
    while (at < end) {
        if (strchr(" \t\r\n\f\v;", t[at])) {
            at++;
        } else if (t[at] == '-' && at + 1 < end && t[at + 1] == '-') {
            while (at < end && t[at] != '\n')
                at++;
        } else if (t[at] == '/' && at + 1 < end && t[at + 1] == '*') {
            int depth = 0;
            do {
                if (at + 1 < end && t[at] == '/' && t[at + 1] == '*')
                    depth++, at++;
                else if (at + 1 < end && t[at] == '*' && t[at + 1] == '/')
                    depth--, at++;
                at++;
            } while (depth && at < end);
        } else {
            break;
        }
    }
    return at;
}

static void append(struct pgq *c, struct ast_statements *out, struct ast_statement *s)
{
    if (out->count == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 16;
        struct ast_statement **items = ARENA_ARRAY(c->arena, struct ast_statement *, out->cap);
        if (out->count)
            memcpy(items, out->items, out->count * sizeof(*items));
        out->items = items;
    }
    out->items[out->count++] = s;
}

static void convert(struct pgq *c, struct ast_statements *out, RawStmt *raw, size_t from, size_t range_end)
{
    if (raw->stmt_location > 0 && (size_t)raw->stmt_location > from)
        from = (size_t)raw->stmt_location;
    size_t end = raw->stmt_len > 0 ? (size_t)raw->stmt_location + (size_t)raw->stmt_len : range_end;
    from = skip_blanks(c->text, from, end);
    struct ast_statement *s = ARENA_NEW(c->arena, struct ast_statement);
    s->file = c->file;
    s->pos = c->statement_pos = pgq_pos(c, (int)from);
    s->text = arena_strndup(c->arena, c->text + from, end - from);
    c->broken = c->too_deep = false;
    c->depth = 0;
    convert_by_tag(c, s, raw->stmt);
    s->broken = c->broken;
    if (s->view)
        append(c, out, s);
}

/* Byte offset of the 1-based character position that PostgreSQL's errors give. */
static int offset_of_character(const char *text, int character)
{
    int at = 0;
    for (int n = 1; text[at] && n < character; n++) {
        at++;
        while (((unsigned char)text[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);
    if (strncasecmp(*at, word, len) != 0 || !strchr(" \t\r\n", (*at)[len]) || !(*at)[len])
        return false;
    *at += len;
    *at += strspn(*at, " \t\r\n");
    return true;
}

/* "CREATE VIEW name" that does not parse: its readers need not be told that there is no such view. */
static void put_unparsed(struct pgq *c, struct ast_statements *out, size_t from, size_t end)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    const char *at = c->text + skip_blanks(c->text, from, end);
    if (!take_word(&at, "create"))
        return;
    if (take_word(&at, "or") && !take_word(&at, "replace"))
        return;
    size_t len = 0;
    if (!take_word(&at, "view") || (len = strspn(at, letters)) == 0)
        return;
    struct ast_statement *s = ARENA_NEW(c->arena, struct ast_statement);
    char *name = arena_strndup(c->arena, at, len);
    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    *s = (struct ast_statement){.file = c->file, .view = name, .text = "", .broken = true};
    s->pos = s->view_pos = pgq_pos(c, (int)(at - c->text));
    append(c, out, s);
}

static void syntax_error(struct pgq *c, const char *text, const PgQueryError *e)
{
    char *message = arena_strdup(c->arena, e->message);
    for (char *p = message; *p; p++)
        *p = *p == '\n' || *p == '\r' ? ' ' : *p;
    pgq_error(c, ERR_CONFIG, pgq_pos(c, offset_of_character(text, e->cursorpos)), "%.300s", message);
}

/* Parses text[from..end); true when it parsed. Syntax errors are reported only when `report`. */
static bool parse_range(struct pgq *c, size_t from, size_t end, bool report, struct ast_statements *out)
{
    char *text = xmalloc(end + 1);
    memset(text, ' ', from); /* blanks in front keep every location right */
    memcpy(text + from, c->text + from, end - from);
    text[end] = 0;
    MemoryContext memory = pg_query_enter_memory_context();
    PgQueryInternalParsetreeAndError r = pg_query_raw_parse(text, PG_QUERY_PARSE_DEFAULT);
    bool ok = r.error == NULL;
    if (ok) {
        ListCell *cell;
        foreach (cell, r.tree)
            convert(c, out, lfirst(cell), from, end);
    } else {
        if (report) {
            syntax_error(c, text, r.error);
            put_unparsed(c, out, from, end);
        }
        pg_query_free_error(r.error);
    }
    free(r.stderr_buffer);
    pg_query_exit_memory_context(memory);
    free(text);
    return ok;
}

static void parse_one_by_one(struct pgq *c, struct ast_statements *out)
{
    PgQuerySplitResult split = pg_query_split_with_scanner(c->text);
    if (split.error)
        parse_range(c, 0, c->text_len, true, out);
    for (int i = 0; !split.error && i < split.n_stmts; i++) {
        size_t from = (size_t)split.stmts[i]->stmt_location;
        parse_range(c, from, from + (size_t)split.stmts[i]->stmt_len, true, out);
    }
    pg_query_free_split_result(split);
}

void sql_parse(struct arena *arena, const char *file, const char *text, int first_line,
               struct ast_statements *out, struct err **errs)
{
    struct pgq c = {.arena = arena,
                    .file = file,
                    .text = text,
                    .text_len = strlen(text),
                    .first_line = first_line,
                    .errs = errs};
    if (c.text_len > INT32_MAX / 4) {
        err_append(errs, err_at(ERR_LIMIT, file, 0, 0, "SQL text is longer than %d bytes", INT32_MAX / 4));
        return;
    }
    find_lines(&c);
    if (!parse_range(&c, 0, c.text_len, false, out))
        parse_one_by_one(&c, out);
    if (c.error_count > SQL_ERRORS_MAX)
        err_append(errs, err_at(ERR_CONFIG, file, 0, 0, "%u more errors in this text",
                                (unsigned)(c.error_count - SQL_ERRORS_MAX)));
}
