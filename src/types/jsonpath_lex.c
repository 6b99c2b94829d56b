/* Tokens of jsonpath (jsonpath_scan.l is the description): the longest match wins, so that 1a is junk after a number and
 * 1ab a name. */
#include "types/jsonpath.h"
#include "types/utf8.h"

static const struct {
    const char *word;
    enum jp_token token;
    bool exact; /* only in lower case */
} keywords[] = {
    {"is", TOK_IS, false},
    {"to", TOK_TO, false},
    {"abs", TOK_ABS, false},
    {"lax", TOK_LAX, false},
    {"flag", TOK_FLAG, false},
    {"last", TOK_LAST, false},
    {"null", TOK_NULL, true},
    {"size", TOK_SIZE, false},
    {"true", TOK_TRUE, true},
    {"type", TOK_TYPE, false},
    {"with", TOK_WITH, false},
    {"false", TOK_FALSE, true},
    {"floor", TOK_FLOOR, false},
    {"double", TOK_DOUBLE, false},
    {"exists", TOK_EXISTS, false},
    {"starts", TOK_STARTS, false},
    {"strict", TOK_STRICT, false},
    {"ceiling", TOK_CEILING, false},
    {"unknown", TOK_UNKNOWN, false},
    {"datetime", TOK_DATETIME, false},
    {"keyvalue", TOK_KEYVALUE, false},
    {"like_regex", TOK_LIKE_REGEX, false},
};

bool jp_syntax_error(struct jp_lexer *l, const char *why)
{
    if (l->start >= l->end)
        return fn_fail(l->ctx, FN_BAD_PATH, "%s at end of jsonpath input", why);
    const uint8_t *stop = l->p > l->start ? l->p : l->end;
    while (stop < l->end &&
           (*stop & 0xc0) == 0x80) /* junk is one byte to the grammar, a character to people */
        stop++;
    return fn_fail(l->ctx, FN_BAD_PATH, "%s at or near \"%.*s\" of jsonpath input", why,
                   (int)(stop - l->start), (const char *)l->start);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}
static bool is_special(uint8_t c)
{
    return c && strchr("?%$.[]{}()|&!=<>@#,*:-+/", c);
}
static bool is_other(uint8_t c)
{
    return !is_special(c) && !is_blank(c) && c != '\\' && c != '"';
}
static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}
static uint8_t at(const struct jp_lexer *l, size_t i)
{
    return i < (size_t)(l->end - l->p) ? l->p[i] : 0;
}

/* ---- escapes ---- */

static int hex_value(uint8_t c)
{
    return is_digit(c)            ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Up to `max` hexadecimal digits at l->p; returns how many. */
static int read_hex(struct jp_lexer *l, int max, uint32_t *value)
{
    int n = 0;
    for (*value = 0; n < max && hex_value(at(l, 0)) >= 0; n++)
        *value = *value << 4 | (uint32_t)hex_value(*l->p++);
    return n;
}

static bool put_char(struct jp_lexer *l, uint32_t c, struct json_out *o)
{
    uint8_t bytes[4];
    if (c == 0)
        return fn_fail(l->ctx, FN_BAD_UNICODE, "unsupported Unicode escape sequence");
    if (c > 0x10ffff)
        return fn_fail(l->ctx, FN_BAD_PATH, "invalid Unicode code point");
    json_put(o, bytes, utf8_put(c, bytes));
    return true;
}

/* Behind \u: four digits, or one to six in braces. */
static bool read_unit(struct jp_lexer *l, uint32_t *unit)
{
    bool braces = at(l, 0) == '{';
    l->p += braces;
    int n = read_hex(l, braces ? 6 : 4, unit);
    if (braces ? n == 0 || at(l, 0) != '}' : n < 4)
        return jp_syntax_error(l, "invalid unicode sequence");
    l->p += braces;
    return true;
}

static bool read_unicode(struct jp_lexer *l, struct json_out *o)
{
    uint32_t c, low;
    if (!read_unit(l, &c))
        return false;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (at(l, 0) != '\\' || at(l, 1) != 'u')
            return fn_fail(l->ctx, FN_BAD_TEXT, "invalid input syntax for type jsonpath");
        l->p += 2;
        if (!read_unit(l, &low))
            return false;
        if (low < 0xdc00 || low > 0xdfff)
            return fn_fail(l->ctx, FN_BAD_TEXT, "invalid input syntax for type jsonpath");
        c = 0x10000 + ((c & 0x3ff) << 10) + (low & 0x3ff);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return fn_fail(l->ctx, FN_BAD_TEXT, "invalid input syntax for type jsonpath");
    }
    return put_char(l, c, o);
}

/* At a backslash. */
static bool read_escape(struct jp_lexer *l, struct json_out *o)
{
    static const char escapes[] = "b\bf\fn\nr\rt\tv\v";
    uint32_t value;
    uint8_t c = at(l, 1);
    if (l->end - l->p < 2 || c == '\n')
        return jp_syntax_error(l, "unexpected end after backslash");
    l->p += 2;
    if (c == 'u')
        return read_unicode(l, o);
    if (c == 'x') {
        if (read_hex(l, 2, &value) < 2)
            return jp_syntax_error(l, "invalid hex character sequence");
        return put_char(l, value, o);
    }
    const char *e = c ? strchr(escapes, c) : NULL;
    if (e && (e - escapes) % 2 == 0)
        c = (uint8_t)e[1];
    json_put(o, &c, 1);
    return true;
}

/* ---- strings and names ---- */

static bool take(struct jp_lexer *l, enum jp_token token, const struct json_out *o)
{
    l->token = token;
    l->text = (struct str){o->len ? (const uint8_t *)o->p : l->p, (uint32_t)o->len, 0};
    return true;
}

/* Behind the opening quote. */
static bool read_quoted(struct jp_lexer *l, enum jp_token token)
{
    struct json_out o = {.arena = l->arena};
    while (l->p < l->end && *l->p != '"') {
        const uint8_t *from = l->p;
        if (*l->p == '\\') {
            if (!read_escape(l, &o))
                return false;
            continue;
        }
        while (l->p < l->end && *l->p != '"' && *l->p != '\\')
            l->p++;
        json_put(&o, from, (size_t)(l->p - from));
    }
    if (l->p == l->end)
        return jp_syntax_error(l, "unexpected end of quoted string");
    l->start = l->p++; /* what PostgreSQL shows in errors */
    return take(l, token, &o);
}

static bool is_keyword(const struct str *s, const char *word, bool exact)
{
    if (s->len != strlen(word))
        return false;
    for (uint32_t i = 0; i < s->len; i++) {
        uint8_t c = s->p[i];
        if (!exact && c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + 32);
        if (c != (uint8_t)word[i])
            return false;
    }
    return true;
}

static bool skip_comment(struct jp_lexer *l)
{
    for (l->p += 2; l->p < l->end; l->p++)
        if (at(l, 0) == '*' && at(l, 1) == '/') {
            l->p += 2;
            return true;
        }
    return jp_syntax_error(l, "unexpected end of comment");
}
static bool at_comment(const struct jp_lexer *l)
{
    return at(l, 0) == '/' && at(l, 1) == '*';
}

static bool read_name(struct jp_lexer *l)
{
    struct json_out o = {.arena = l->arena};
    while (l->p < l->end && (is_other(*l->p) || *l->p == '\\')) {
        const uint8_t *from = l->p;
        if (*l->p == '\\') {
            if (!read_escape(l, &o))
                return false;
            continue;
        }
        while (l->p < l->end && is_other(*l->p))
            l->p++;
        json_put(&o, from, (size_t)(l->p - from));
    }
    l->swallowed = at_comment(l); /* by the comment, in PostgreSQL too */
    if (l->swallowed)
        return true;
    take(l, TOK_IDENT, &o);
    for (size_t i = 0; i < ARRAY_COUNT(keywords); i++)
        if (is_keyword(&l->text, keywords[i].word, keywords[i].exact))
            l->token = keywords[i].token;
    return true;
}

/* ---- numbers ---- */

static size_t digits_at(const struct jp_lexer *l, size_t i)
{
    size_t n = 0;
    while (is_digit(at(l, i + n)))
        n++;
    return n;
}

/* The longest of an integer, a decimal and a number with exponent; 0: none. *dangling: an exponent's letter and sign
 * follow, but no digit. */
static size_t number_length(const struct jp_lexer *l, bool *is_int, bool *dangling)
{
    size_t n = at(l, 0) == '0' ? 1 : digits_at(l, 0);
    *is_int = n > 0;
    if (at(l, n) == '.' && (n > 0 || is_digit(at(l, 1)))) {
        n += 1 + digits_at(l, n + 1);
        *is_int = false;
    }
    *dangling = false;
    if (n == 0 || (at(l, n) | 32) != 'e')
        return n;
    bool sign = at(l, n + 1) == '+' || at(l, n + 1) == '-';
    size_t digits = digits_at(l, n + 1 + sign);
    *dangling = sign && digits == 0;
    if (digits > 0) {
        *is_int = false;
        n += 1 + sign + digits;
    }
    return n;
}

static bool read_number(struct jp_lexer *l, size_t n, bool is_int, bool dangling)
{
    struct json_out o = {.arena = l->arena};
    size_t word = 0;
    while (is_other(at(l, word)) && word < (size_t)(l->end - l->p))
        word++;
    size_t junk = n < (size_t)(l->end - l->p) && is_other(at(l, n)) ? n + 1 : n;
    size_t longest = dangling ? n + 2 : junk;
    if (word > longest)
        return read_name(l);
    if (longest > n) {
        l->p += longest;
        return jp_syntax_error(l,
                               dangling ? "invalid numeric literal" : "trailing junk after numeric literal");
    }
    json_put(&o, l->p, n);
    l->p += n;
    return take(l, is_int ? TOK_INT : TOK_NUMBER, &o);
}

/* ---- the rest ---- */

static bool read_operator(struct jp_lexer *l)
{
    static const struct {
        char text[3];
        enum jp_token token;
    } operators[] = {
        {"&&", TOK_AND}, {"||", TOK_OR}, {"**", TOK_ANY}, {"<=", TOK_LE}, {"==", TOK_EQ}, {"<>", TOK_NE},
        {"!=", TOK_NE},  {">=", TOK_GE}, {"!", TOK_NOT},  {"<", TOK_LT},  {">", TOK_GT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(operators); i++) {
        const char *o = operators[i].text;
        if (at(l, 0) != (uint8_t)o[0] || (o[1] && at(l, 1) != (uint8_t)o[1]))
            continue;
        l->p += strlen(o);
        l->token = operators[i].token;
        return true;
    }
    l->token = TOK_CHAR;
    l->c = *l->p++;
    return true;
}

static bool read_dollar(struct jp_lexer *l)
{
    struct json_out o = {.arena = l->arena};
    l->p++;
    if (at(l, 0) == '"') {
        l->p++;
        return read_quoted(l, TOK_VARIABLE);
    }
    const uint8_t *from = l->p;
    while (l->p < l->end && is_other(*l->p))
        l->p++;
    l->token = TOK_CHAR;
    l->c = '$';
    if (l->p == from)
        return true;
    json_put(&o, from, (size_t)(l->p - from));
    return take(l, TOK_VARIABLE, &o);
}

static bool read_token(struct jp_lexer *l)
{
    bool is_int, dangling;
    while (l->p < l->end && (is_blank(*l->p) || at_comment(l))) {
        l->start = l->p;
        if (!at_comment(l))
            l->p++;
        else if (!skip_comment(l))
            return false;
    }
    l->start = l->p;
    l->text = (struct str){0};
    l->token = TOK_END;
    if (l->p == l->end)
        return true;
    size_t n = number_length(l, &is_int, &dangling);
    if (n > 0)
        return read_number(l, n, is_int, dangling);
    if (*l->p == '$')
        return read_dollar(l);
    if (*l->p == '"') {
        l->p++;
        return read_quoted(l, TOK_STRING);
    }
    return is_special(*l->p) ? read_operator(l) : read_name(l);
}

bool jp_lexer_next(struct jp_lexer *l)
{
    do {
        l->swallowed = false;
        if (!read_token(l))
            return false;
    } while (l->swallowed);
    return true;
}
