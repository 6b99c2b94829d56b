/* The grammar of jsonpath, by recursive descent. Expressions and predicates are told apart after the fact: a bracketed
 * predicate may go on as an expression by an accessor, an expression as a predicate by a comparison. */
#include "types/jsonpath.h"
#include "types/numeric.h"
#include "types/regex.h"
#include "types/utf8.h"
#include <stdlib.h>

struct parser {
    struct jp_lexer l;
    uint32_t items, nesting;
};

static struct jp_item *parse_predicate(struct parser *p);
static struct jp_item *parse_sum(struct parser *p);

static struct jp_item *syntax_error(struct parser *p)
{
    if (p->l.ctx->error == FN_OK)
        jp_syntax_error(&p->l, "syntax error");
    return NULL;
}

static struct jp_item *new_item(struct parser *p, enum jp_kind kind)
{
    if (++p->items > JSONPATH_ITEMS_MAX) {
        fn_fail(p->l.ctx, FN_TOO_LARGE, "jsonpath of more than %d items", JSONPATH_ITEMS_MAX);
        return NULL;
    }
    struct jp_item *it = ARENA_NEW(p->l.arena, struct jp_item);
    it->kind = kind;
    return it;
}

static struct jp_item *new_operator(struct parser *p, enum jp_kind kind, struct jp_item *left,
                                    struct jp_item *right)
{
    struct jp_item *it = left && p->l.ctx->error == FN_OK ? new_item(p, kind) : NULL;
    if (it) {
        it->left = left;
        it->right = right;
    }
    return it;
}

/* ---- tokens ---- */

static bool next(struct parser *p)
{
    return jp_lexer_next(&p->l);
}
static bool at_token(const struct parser *p, enum jp_token token)
{
    return p->l.token == token;
}
static bool at_char(const struct parser *p, char c)
{
    return p->l.token == TOK_CHAR && p->l.c == (uint8_t)c;
}
static bool expect_char(struct parser *p, char c)
{
    if (!at_char(p, c)) {
        syntax_error(p);
        return false;
    }
    return next(p);
}
static bool expect(struct parser *p, enum jp_token token)
{
    if (!at_token(p, token)) {
        syntax_error(p);
        return false;
    }
    return next(p);
}

static bool enter(struct parser *p)
{
    return ++p->nesting <= JSONPATH_NESTING_MAX ||
           fn_fail(p->l.ctx, FN_TOO_LARGE, "jsonpath nested deeper than %d levels", JSONPATH_NESTING_MAX);
}

/* ---- constants ---- */

static void set_number(struct parser *p, struct jp_item *it, struct num *n)
{
    struct str text = num_format(p->l.ctx, n);
    it->node = (struct json_node){.kind = JSON_NUMBER};
    it->node.source = (struct str){arena_memdup(p->l.arena, text.p, text.len), text.len, 0};
}

static struct jp_item *number(struct parser *p)
{
    struct num n;
    struct jp_item *it = new_item(p, JP_NUMBER);
    if (!it || !num_parse(p->l.ctx, (const char *)p->l.text.p, p->l.text.len, &n))
        return NULL;
    set_number(p, it, &n);
    return next(p) ? it : NULL;
}

static struct jp_item *word(struct parser *p, enum jp_kind kind, enum json_kind node, const char *source)
{
    struct jp_item *it = new_item(p, kind);
    if (!it)
        return NULL;
    it->node = (struct json_node){.kind = node};
    it->node.source = (struct str){(const uint8_t *)source, (uint32_t)strlen(source), 0};
    return next(p) ? it : NULL;
}

static struct jp_item *text_item(struct parser *p, enum jp_kind kind)
{
    struct jp_item *it = new_item(p, kind);
    if (!it)
        return NULL;
    it->text = p->l.text;
    if (kind == JP_STRING) {
        struct json_out o = {.arena = p->l.arena};
        json_put_string(&o, &it->text);
        it->node = (struct json_node){.kind = JSON_STRING, .text = it->text};
        it->node.source = (struct str){(const uint8_t *)o.p, (uint32_t)o.len, 0};
    }
    return next(p) ? it : NULL;
}

static struct jp_item *plain(struct parser *p, enum jp_kind kind)
{
    struct jp_item *it = new_item(p, kind);
    return it && next(p) ? it : NULL;
}

/* ---- accessors ---- */

/* A predicate that stands alone, as ( ... ) or exists ( ... ): no operator of expressions takes it. */
static bool is_bare_predicate(const struct jp_item *it)
{
    return jp_is_predicate(it->kind) && !it->next;
}

static bool any_level(struct parser *p, uint32_t *level)
{
    int64_t v = 0;
    if (!at_token(p, TOK_INT) && !at_token(p, TOK_LAST)) {
        syntax_error(p);
        return false;
    }
    for (uint32_t i = 0; at_token(p, TOK_INT) && i < p->l.text.len; i++) {
        v = v * 10 + (p->l.text.p[i] - '0');
        if (v > INT32_MAX)
            return fn_fail(p->l.ctx, FN_OUT_OF_RANGE, "value \"%.*s\" is out of range for type integer",
                           (int)p->l.text.len, (const char *)p->l.text.p);
    }
    *level = at_token(p, TOK_LAST) ? UINT32_MAX : (uint32_t)v;
    return next(p);
}

/* Behind `**`. */
static struct jp_item *any_path(struct parser *p)
{
    struct jp_item *it = plain(p, JP_ANY);
    if (!it)
        return NULL;
    it->last = UINT32_MAX;
    if (!at_char(p, '{'))
        return it;
    if (!next(p) || !any_level(p, &it->first))
        return NULL;
    it->last = it->first;
    if (at_token(p, TOK_TO) && (!next(p) || !any_level(p, &it->last)))
        return NULL;
    return expect_char(p, '}') ? it : NULL;
}

static enum jp_kind method_kind(enum jp_token token)
{
    switch (token) {
    case TOK_ABS: return JP_ABS;
    case TOK_SIZE: return JP_SIZE;
    case TOK_FLOOR: return JP_FLOOR;
    case TOK_DOUBLE: return JP_DOUBLE;
    case TOK_CEILING: return JP_CEILING;
    case TOK_TYPE: return JP_TYPE;
    case TOK_DATETIME: return JP_DATETIME;
    case TOK_KEYVALUE: return JP_KEYVALUE;
    default: return JP_KEY;
    }
}

static struct jp_item *key_or_method(struct parser *p)
{
    enum jp_token token = p->l.token;
    if (token != TOK_IDENT && token != TOK_STRING && token < TOK_FIRST_KEYWORD)
        return syntax_error(p);
    struct jp_item *it = text_item(p, JP_KEY);
    if (!it || !at_char(p, '(') || method_kind(token) == JP_KEY)
        return it;
    it->kind = method_kind(token);
    if (!next(p))
        return NULL;
    if (token == TOK_DATETIME && at_token(p, TOK_STRING)) {
        it->text = p->l.text;
        it->has_text = true;
        if (!next(p))
            return NULL;
    }
    return expect_char(p, ')') ? it : NULL;
}

/* Behind a point. */
static struct jp_item *member(struct parser *p)
{
    if (at_char(p, '*'))
        return plain(p, JP_ANY_KEY);
    return at_token(p, TOK_ANY) ? any_path(p) : key_or_method(p);
}

static bool add_subscript(struct parser *p, struct jp_item *it, uint32_t *cap)
{
    struct jp_subscript s = {parse_sum(p), NULL};
    if (!s.from || is_bare_predicate(s.from))
        return syntax_error(p) != NULL;
    if (at_token(p, TOK_TO)) {
        s.to = next(p) ? parse_sum(p) : NULL;
        if (!s.to || is_bare_predicate(s.to))
            return syntax_error(p) != NULL;
    }
    if (it->subscript_count == *cap) {
        *cap = *cap ? *cap * 2 : 2;
        struct jp_subscript *more = ARENA_ARRAY(p->l.arena, struct jp_subscript, *cap);
        if (it->subscript_count)
            memcpy(more, it->subscripts, it->subscript_count * sizeof *more);
        it->subscripts = more;
    }
    it->subscripts[it->subscript_count++] = s;
    return true;
}

/* Behind an opening bracket. */
static struct jp_item *subscripts(struct parser *p)
{
    uint32_t cap = 0;
    if (at_char(p, '*')) {
        struct jp_item *all = plain(p, JP_ANY_ARRAY);
        return all && expect_char(p, ']') ? all : NULL;
    }
    struct jp_item *it = new_item(p, JP_SUBSCRIPT);
    if (!it || !enter(p) || !add_subscript(p, it, &cap))
        return NULL;
    while (at_char(p, ','))
        if (!next(p) || !add_subscript(p, it, &cap))
            return NULL;
    p->nesting--;
    return expect_char(p, ']') ? it : NULL;
}

/* A predicate in parentheses; behind the opening one. */
static struct jp_item *bracketed_predicate(struct parser *p)
{
    struct jp_item *it = enter(p) ? parse_predicate(p) : NULL;
    p->nesting--;
    if (it && !is_bare_predicate(it))
        return syntax_error(p);
    return it && expect_char(p, ')') ? it : NULL;
}

static bool at_accessor(const struct parser *p)
{
    return at_char(p, '.') || at_char(p, '[') || at_char(p, '?');
}

static struct jp_item *accessor(struct parser *p)
{
    char c = (char)p->l.c;
    if (!next(p))
        return NULL;
    if (c == '.')
        return member(p);
    if (c == '[')
        return subscripts(p);
    if (!expect_char(p, '('))
        return NULL;
    return new_operator(p, JP_FILTER, bracketed_predicate(p), NULL);
}

/* Appends the accessors that follow; a predicate with one is an expression. */
static struct jp_item *with_accessors(struct parser *p, struct jp_item *it)
{
    struct jp_item *last = it;
    while (it && at_accessor(p)) {
        while (last->next)
            last = last->next;
        last->next = accessor(p);
        if (!last->next)
            return NULL;
    }
    return it;
}

/* ---- expressions ---- */

static struct jp_item *parenthesised(struct parser *p)
{
    struct jp_item *it = enter(p) && next(p) ? parse_predicate(p) : NULL;
    p->nesting--;
    if (!it || !expect_char(p, ')'))
        return NULL;
    if (!is_bare_predicate(it) || !at_token(p, TOK_IS))
        return with_accessors(p, it);
    if (!next(p) || !expect(p, TOK_UNKNOWN))
        return NULL;
    return new_operator(p, JP_IS_UNKNOWN, it, NULL);
}

static struct jp_item *exists(struct parser *p)
{
    if (!next(p) || !expect_char(p, '(') || !enter(p))
        return NULL;
    struct jp_item *it = parse_sum(p);
    p->nesting--;
    if (it && is_bare_predicate(it))
        return syntax_error(p);
    return it && expect_char(p, ')') ? new_operator(p, JP_EXISTS, it, NULL) : NULL;
}

static struct jp_item *primary(struct parser *p)
{
    switch (p->l.token) {
    case TOK_STRING: return text_item(p, JP_STRING);
    case TOK_VARIABLE: return text_item(p, JP_VARIABLE);
    case TOK_NUMBER:
    case TOK_INT: return number(p);
    case TOK_NULL: return word(p, JP_NULL, JSON_NULL, "null");
    case TOK_TRUE: return word(p, JP_BOOL, JSON_BOOL, "true");
    case TOK_FALSE: return word(p, JP_BOOL, JSON_BOOL, "false");
    case TOK_LAST: return plain(p, JP_LAST);
    case TOK_CHAR:
        if (p->l.c == '$')
            return plain(p, JP_ROOT);
        if (p->l.c == '@')
            return plain(p, JP_CURRENT);
        break;
    default: break;
    }
    return syntax_error(p);
}

static struct jp_item *signed_item(struct parser *p, bool minus, struct jp_item *it)
{
    struct num n;
    if (!it || is_bare_predicate(it))
        return syntax_error(p);
    if (it->kind != JP_NUMBER || it->next)
        return new_operator(p, minus ? JP_MINUS : JP_PLUS, it, NULL);
    if (minus) {
        if (!num_parse(p->l.ctx, (const char *)it->node.source.p, it->node.source.len, &n))
            return NULL;
        num_neg(&n, &n);
        set_number(p, it, &n);
    }
    return it;
}

static struct jp_item *parse_unary(struct parser *p)
{
    if (at_char(p, '(')) /* takes the accessors and `is unknown` behind it */
        return parenthesised(p);
    if (at_token(p, TOK_EXISTS))
        return exists(p);
    if (!at_char(p, '+') && !at_char(p, '-'))
        return with_accessors(p, primary(p));
    bool minus = p->l.c == '-';
    struct jp_item *it = enter(p) && next(p) ? parse_unary(p) : NULL;
    p->nesting--;
    return signed_item(p, minus, it);
}

static struct jp_item *arithmetic(struct parser *p, enum jp_kind kind, struct jp_item *left,
                                  struct jp_item *(*operand)(struct parser *))
{
    if (is_bare_predicate(left) || !next(p))
        return syntax_error(p);
    struct jp_item *right = operand(p);
    if (!right || is_bare_predicate(right))
        return syntax_error(p);
    return new_operator(p, kind, left, right);
}

static struct jp_item *parse_product(struct parser *p)
{
    struct jp_item *it = parse_unary(p);
    while (it && (at_char(p, '*') || at_char(p, '/') || at_char(p, '%')))
        it = arithmetic(p, p->l.c == '*' ? JP_MUL : p->l.c == '/' ? JP_DIV : JP_MOD, it, parse_unary);
    return it;
}

static struct jp_item *parse_sum(struct parser *p)
{
    struct jp_item *it = parse_product(p);
    while (it && (at_char(p, '+') || at_char(p, '-')))
        it = arithmetic(p, p->l.c == '+' ? JP_ADD : JP_SUB, it, parse_product);
    return it;
}

/* ---- predicates ---- */

/* Flags of XQuery: as they are printed, and what they mean to a regular expression here. */
static bool read_flags(struct parser *p, struct jp_item *it, const struct str *flags)
{
    static const char known[] = "ismxq";
    bool has[5] = {false};
    char *text = arena_alloc(p->l.arena, sizeof known);
    for (uint32_t i = 0; i < flags->len; i++) {
        const char *f = flags->p[i] ? strchr(known, flags->p[i]) : NULL;
        if (!f)
            return fn_fail(p->l.ctx, FN_BAD_PATH,
                           "unrecognized flag character \"%.*s\" in LIKE_REGEX predicate",
                           (int)utf8_len(flags->p + i, flags->p + flags->len), (const char *)flags->p + i);
        has[f - known] = true;
    }
    uint32_t n = 0;
    for (int i = 0; known[i]; i++)
        if (has[i])
            text[n++] = known[i];
    it->flags = (struct str){(const uint8_t *)text, n, 0};
    it->regex_flags = has[0] ? REGEX_FOLD : 0;
    if (has[4]) {
        it->regex_flags |= REGEX_LITERAL;
        return true;
    }
    it->regex_flags |= (has[1] ? 0 : REGEX_LINE_STOP) | (has[2] ? REGEX_LINE_ANCHOR : 0);
    return !has[3] || fn_fail(p->l.ctx, FN_UNSUPPORTED,
                              "XQuery \"x\" flag (expanded regular expressions) is not implemented");
}

static struct jp_item *like_regex(struct parser *p, struct jp_item *left)
{
    struct str flags = {0};
    struct jp_item *it = next(p) ? new_operator(p, JP_LIKE_REGEX, left, NULL) : NULL;
    if (!it || !at_token(p, TOK_STRING))
        return syntax_error(p);
    it->text = p->l.text;
    if (!next(p))
        return NULL;
    if (at_token(p, TOK_FLAG)) {
        if (!next(p) || !at_token(p, TOK_STRING))
            return syntax_error(p);
        flags = p->l.text;
        if (!next(p))
            return NULL;
    }
    return read_flags(p, it, &flags) && regex_get(p->l.ctx, &it->text, it->regex_flags) ? it : NULL;
}

static struct jp_item *starts_with(struct parser *p, struct jp_item *left)
{
    if (!next(p) || !expect(p, TOK_WITH) || (!at_token(p, TOK_STRING) && !at_token(p, TOK_VARIABLE)))
        return syntax_error(p);
    struct jp_item *right = text_item(p, at_token(p, TOK_STRING) ? JP_STRING : JP_VARIABLE);
    return right ? new_operator(p, JP_STARTS_WITH, left, right) : NULL;
}

static enum jp_kind comparison_kind(enum jp_token token)
{
    switch (token) {
    case TOK_EQ: return JP_EQ;
    case TOK_NE: return JP_NE;
    case TOK_LT: return JP_LT;
    case TOK_GT: return JP_GT;
    case TOK_LE: return JP_LE;
    default: return JP_GE;
    }
}

static struct jp_item *parse_comparison(struct parser *p)
{
    struct jp_item *it = parse_sum(p);
    if (!it || is_bare_predicate(it))
        return it;
    switch (p->l.token) {
    case TOK_EQ:
    case TOK_NE:
    case TOK_LT:
    case TOK_GT:
    case TOK_LE:
    case TOK_GE: return arithmetic(p, comparison_kind(p->l.token), it, parse_sum);
    case TOK_STARTS: return starts_with(p, it);
    case TOK_LIKE_REGEX: return like_regex(p, it);
    default: return it;
    }
}

static struct jp_item *parse_not(struct parser *p)
{
    if (!at_token(p, TOK_NOT))
        return parse_comparison(p);
    if (!next(p))
        return NULL;
    if (at_token(p, TOK_EXISTS))
        return new_operator(p, JP_NOT, exists(p), NULL);
    return expect_char(p, '(') ? new_operator(p, JP_NOT, bracketed_predicate(p), NULL) : NULL;
}

static struct jp_item *logical(struct parser *p, enum jp_token token, enum jp_kind kind,
                               struct jp_item *(*operand)(struct parser *))
{
    struct jp_item *it = operand(p);
    while (it && at_token(p, token)) {
        if (!is_bare_predicate(it) || !next(p))
            return syntax_error(p);
        struct jp_item *right = operand(p);
        if (!right || !is_bare_predicate(right))
            return syntax_error(p);
        it = new_operator(p, kind, it, right);
    }
    return it;
}
static struct jp_item *parse_and(struct parser *p)
{
    return logical(p, TOK_AND, JP_AND, parse_not);
}
/* A predicate, or an expression alone. */
static struct jp_item *parse_predicate(struct parser *p)
{
    return logical(p, TOK_OR, JP_OR, parse_and);
}

/* ---- what the grammar leaves open ---- */

static bool check_places(struct parser *p, const struct jp_item *it, bool in_filter, bool in_subscript)
{
    for (; it; it = it->next) {
        if (it->kind == JP_CURRENT && !in_filter)
            return fn_fail(p->l.ctx, FN_BAD_PATH, "@ is not allowed in root expressions");
        if (it->kind == JP_LAST && !in_subscript)
            return fn_fail(p->l.ctx, FN_BAD_PATH, "LAST is allowed only in array subscripts");
        if (!check_places(p, it->left, in_filter || it->kind == JP_FILTER, in_subscript) ||
            !check_places(p, it->right, in_filter, in_subscript))
            return false;
        for (uint32_t i = 0; i < it->subscript_count; i++)
            if (!check_places(p, it->subscripts[i].from, in_filter, true) ||
                !check_places(p, it->subscripts[i].to, in_filter, true))
                return false;
    }
    return true;
}

static bool parse(struct parser *p, struct jsonpath *path)
{
    if (!next(p))
        return false;
    if (at_token(p, TOK_END))
        return fn_fail(p->l.ctx, FN_BAD_TEXT, "invalid input syntax for type jsonpath: \"\"");
    path->is_strict = at_token(p, TOK_STRICT);
    if ((at_token(p, TOK_STRICT) || at_token(p, TOK_LAX)) && !next(p))
        return false;
    path->root = parse_predicate(p);
    if (!path->root || !at_token(p, TOK_END))
        return syntax_error(p) != NULL;
    return check_places(p, path->root, false, false);
}

struct jsonpath *jsonpath_read(struct fn_ctx *ctx, const struct str *text)
{
    struct jsonpath *path = xcalloc(1, sizeof *path);
    arena_init(&path->arena);
    const uint8_t *copy = arena_memdup(&path->arena, text->p, text->len);
    struct parser p = {.l = {.ctx = ctx, .arena = &path->arena, .p = copy, .end = copy + text->len}};
    ctx->error = FN_OK;
    if (parse(&p, path))
        return path;
    jsonpath_free(path);
    return NULL;
}

void jsonpath_free(struct jsonpath *path)
{
    if (!path)
        return;
    arena_fini(&path->arena);
    free(path);
}
