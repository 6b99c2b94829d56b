/* Reads a regular expression: PostgreSQL's syntax for advanced ones (its chapter "Pattern Matching" describes it),
 * with its corner cases and its words for what is wrong. */
#include "types/regex_impl.h"

static const char bad_escape[] = "invalid escape \\ sequence";
static const char bad_brackets[] = "brackets [] not balanced";
static const char bad_parens[] = "parentheses () not balanced";
static const char bad_braces[] = "braces {} not balanced";
static const char bad_count[] = "invalid repetition count(s)";
static const char bad_range[] = "invalid character range";
static const char bad_repeat[] = "quantifier operand invalid";
static const char bad_option[] = "invalid embedded option";
static const char bad_class[] = "invalid character class";
static const char bad_collation[] = "invalid collating element";
static const char bad_reference[] = "invalid backreference number";
static const char too_complex[] = "regular expression is too complex";

static struct rx_node *fail(struct rx_parser *p, const char *why)
{
    if (!p->error)
        p->error = why;
    p->p = p->end; /* nothing is read any more */
    return NULL;
}

static bool at_end(const struct rx_parser *p)
{
    return p->p == p->end;
}
static bool sees(const struct rx_parser *p, const char *text)
{
    const uint32_t *q = p->p;
    for (; *text; text++, q++)
        if (q == p->end || *q != (uint8_t)*text)
            return false;
    return true;
}
static bool eat(struct rx_parser *p, const char *text)
{
    if (!sees(p, text))
        return false;
    p->p += strlen(text);
    return true;
}
static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(struct rx_parser *p)
{
    if (!(p->flags & REGEX_EXPANDED))
        return;
    while (!at_end(p) && (is_space(*p->p) || *p->p == '#')) {
        if (*p->p == '#')
            while (!at_end(p) && *p->p != '\n')
                p->p++;
        else
            p->p++;
    }
}
/* Before a token: blanks and (?#comments). */
static void skip(struct rx_parser *p)
{
    skip_blanks(p);
    while (!(p->flags & REGEX_LITERAL) && sees(p, "(?#")) {
        while (!at_end(p) && *p->p != ')')
            p->p++;
        if (!at_end(p))
            p->p++;
        skip_blanks(p);
    }
}

static struct rx_node *node_new(struct rx_parser *p, enum rx_kind kind)
{
    struct rx_node *n = ARENA_NEW(p->arena, struct rx_node);
    n->kind = kind;
    n->min = n->max = 1;
    return n;
}

static struct rx_node *set_node(struct rx_parser *p, struct rx_ranges *r)
{
    struct rx_node *n = node_new(p, RX_SET);
    n->set = rx_set_make(r);
    return n;
}
static struct rx_node *char_node(struct rx_parser *p, uint32_t c)
{
    struct rx_ranges r = {.arena = p->arena};
    rx_ranges_add(&r, c, c);
    if (p->flags & REGEX_FOLD)
        rx_ranges_fold(&r);
    return set_node(p, &r);
}
static struct rx_node *any_node(struct rx_parser *p)
{
    struct rx_ranges r = {.arena = p->arena};
    if (p->flags & REGEX_LINE_STOP)
        rx_ranges_add(&r, '\n', '\n');
    rx_ranges_invert(&r);
    return set_node(p, &r);
}
static struct rx_node *assert_node(struct rx_parser *p, enum rx_assert assertion)
{
    struct rx_node *n = node_new(p, RX_ASSERT);
    n->assertion = assertion;
    return n;
}

/* ---- escapes ---- */

static int digit_value(uint32_t c)
{
    if (is_digit(c))
        return (int)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)(c - 'a') + 10 : 99;
}
static uint32_t digits(struct rx_parser *p, int base, uint32_t least, uint32_t most)
{
    uint32_t n = 0, count = 0;
    for (; count < most && !at_end(p) && digit_value(*p->p) < base; count++)
        n = n * (uint32_t)base + (uint32_t)digit_value(*p->p++);
    if (count < least || n > 0x7ffffffe)
        fail(p, bad_escape);
    return n;
}

/* \ and a digit: a back reference when it has one digit or there are so many groups, else an octal number. */
static struct rx_node *numbered(struct rx_parser *p, uint32_t *c)
{
    const uint32_t *first = p->p;
    if (*first != '0') {
        uint32_t n = digits(p, 10, 1, 255);
        if (p->error)
            return NULL;
        if (p->p == first + 1 || (n > 0 && n <= p->group_count)) {
            if (p->look_depth || n > p->group_count || !p->groups[n])
                return fail(p, bad_reference);
            struct rx_node *ref = node_new(p, RX_BACKREF);
            ref->group = n;
            ref->referenced = p->groups[n];
            return ref;
        }
        p->p = first;
    }
    *c = digits(p, 8, 1, 3);
    if (*c > 0xff && !p->error) {
        p->p--;
        *c >>= 3;
    }
    return NULL;
}

/* A character's escape; false when c is none of them. */
static bool char_escape(struct rx_parser *p, uint32_t c, uint32_t *out)
{
    switch (c) {
    case 'a': *out = 7; return true;
    case 'b': *out = 8; return true;
    case 'B': *out = '\\'; return true;
    case 'e': *out = 27; return true;
    case 'f': *out = 12; return true;
    case 'n': *out = 10; return true;
    case 'r': *out = 13; return true;
    case 't': *out = 9; return true;
    case 'v': *out = 11; return true;
    case 'c':
        if (at_end(p))
            fail(p, bad_escape);
        else
            *out = *p->p++ & 31;
        return true;
    case 'u': *out = digits(p, 16, 4, 4); return true;
    case 'U': *out = digits(p, 16, 8, 8); return true;
    case 'x': *out = digits(p, 16, 1, 255); return true;
    default: *out = c; return !is_letter(c) && !is_digit(c);
    }
}

static bool class_escape(struct rx_parser *p, uint32_t c, struct rx_ranges *r)
{
    static const struct {
        char lower, upper;
        const char *name;
    } names[] = {{'d', 'D', "digit"}, {'s', 'S', "space"}, {'w', 'W', "word"}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (c == (uint32_t)names[i].lower || c == (uint32_t)names[i].upper)
            return rx_ranges_add_class(r, names[i].name, strlen(names[i].name), p->flags & REGEX_FOLD,
                                       c == (uint32_t)names[i].upper);
    return false;
}

static struct rx_node *assert_escape(struct rx_parser *p, uint32_t c)
{
    switch (c) {
    case 'A': return assert_node(p, RX_TEXT_START);
    case 'Z': return assert_node(p, RX_TEXT_END);
    case 'm': return assert_node(p, RX_WORD_START);
    case 'M': return assert_node(p, RX_WORD_END);
    case 'y': return assert_node(p, RX_WORD_EDGE);
    case 'Y': return assert_node(p, RX_WORD_NO_EDGE);
    default: return NULL;
    }
}

/* After the backslash, outside of brackets. */
static struct rx_node *escape(struct rx_parser *p)
{
    struct rx_ranges r = {.arena = p->arena};
    uint32_t c = 0;
    if (at_end(p))
        return fail(p, bad_escape);
    if (is_digit(*p->p)) {
        struct rx_node *ref = numbered(p, &c);
        return ref || p->error ? ref : char_node(p, c);
    }
    uint32_t letter = *p->p++;
    if (class_escape(p, letter, &r))
        return set_node(p, &r);
    struct rx_node *n = assert_escape(p, letter);
    if (n)
        return n;
    if (!char_escape(p, letter, &c))
        return fail(p, bad_escape);
    return p->error ? NULL : char_node(p, c);
}

/* ---- brackets ---- */

/* The text up to `mark` and ]: of [.x.], [=x=] and [:x:]. */
static bool bracket_name(struct rx_parser *p, const char *mark, const uint32_t **start, size_t *len)
{
    char stop[3] = {mark[1], ']', '\0'};
    *start = p->p;
    while (!at_end(p) && !sees(p, stop))
        p->p++;
    *len = (size_t)(p->p - *start);
    if (!eat(p, stop))
        fail(p, bad_brackets);
    return !p->error;
}

static void bracket_class(struct rx_parser *p, struct rx_ranges *r)
{
    const uint32_t *start;
    size_t len;
    char name[8];
    if (!bracket_name(p, "[:", &start, &len))
        return;
    for (size_t i = 0; i < len && i < sizeof name; i++)
        name[i] = start[i] < 128 ? (char)start[i] : '?';
    if (len > sizeof name || !rx_ranges_add_class(r, name, len, p->flags & REGEX_FOLD, false))
        fail(p, bad_class);
}

static uint32_t collating(struct rx_parser *p, const char *mark)
{
    const uint32_t *start;
    size_t len;
    if (bracket_name(p, mark, &start, &len) && len != 1)
        fail(p, bad_collation);
    return p->error ? 0 : *start;
}

/* A character, as an end of a range may be. */
static uint32_t bracket_char(struct rx_parser *p)
{
    uint32_t c = *p->p++;
    if (c == '[' && !at_end(p) && *p->p == '.') {
        p->p++;
        return collating(p, "[.");
    }
    if (c != '\\')
        return c;
    if (at_end(p)) {
        fail(p, bad_escape);
    } else if (is_digit(*p->p)) {
        if (numbered(p, &c))
            fail(p, bad_escape);
    } else {
        uint32_t letter = *p->p++;
        if (!char_escape(p, letter, &c))
            fail(p, bad_escape);
    }
    return c;
}

static void bracket_range(struct rx_parser *p, struct rx_ranges *r, uint32_t from)
{
    uint32_t to = from;
    if (sees(p, "-") && !sees(p, "-]")) {
        p->p++;
        if (at_end(p))
            fail(p, bad_brackets);
        else if (sees(p, "[=") || sees(p, "[:") || sees(p, "]"))
            fail(p, bad_range);
        else
            to = bracket_char(p);
        if (!p->error && from > to)
            fail(p, bad_range);
    }
    if (!p->error)
        rx_ranges_add(r, from, to);
}

static void bracket_part(struct rx_parser *p, struct rx_ranges *r, bool first)
{
    if (eat(p, "[:")) {
        bracket_class(p, r);
    } else if (eat(p, "[=")) {
        uint32_t c = collating(p, "[=");
        rx_ranges_add(r, c, c);
    } else if (sees(p, "\\") && p->p + 1 < p->end && class_escape(p, p->p[1], r)) {
        p->p += 2;
    } else if (!first && sees(p, "-") && !sees(p, "-]")) {
        fail(p, bad_range); /* a-b-c */
    } else {
        bracket_range(p, r, bracket_char(p));
    }
}

/* After the opening bracket. */
static struct rx_node *bracket(struct rx_parser *p)
{
    struct rx_ranges r = {.arena = p->arena};
    bool inverted = eat(p, "^"), first = true;
    while (!p->error && !at_end(p) && (first || *p->p != ']')) {
        bracket_part(p, &r, first);
        first = false;
    }
    if (!p->error && !eat(p, "]"))
        fail(p, bad_brackets);
    if (p->error)
        return NULL;
    if (p->flags & REGEX_FOLD)
        rx_ranges_fold(&r);
    if (inverted) {
        if (p->flags & REGEX_LINE_STOP)
            rx_ranges_add(&r, '\n', '\n');
        rx_ranges_invert(&r);
    }
    return set_node(p, &r);
}

/* ---- parentheses ---- */

static struct rx_node *alternatives(struct rx_parser *p, bool inner);

static struct rx_node *inner(struct rx_parser *p, struct rx_node *n)
{
    if (++p->depth > REGEX_DEPTH_MAX)
        return fail(p, too_complex);
    n->child = alternatives(p, true);
    p->depth--;
    return p->error ? NULL : n;
}

static void open_group(struct rx_parser *p, struct rx_node *n)
{
    n->group = ++p->group_count;
    if (n->group >= p->group_cap) {
        uint32_t cap = p->group_cap ? p->group_cap * 2 : 16;
        struct rx_node **more = ARENA_ARRAY(p->arena, struct rx_node *, cap);
        if (p->group_cap)
            memcpy(more, p->groups, p->group_cap * sizeof(struct rx_node *));
        p->groups = more;
        p->group_cap = cap;
    }
}

static struct rx_node *look(struct rx_parser *p, bool behind, bool negative)
{
    struct rx_node *n = node_new(p, RX_LOOK);
    n->behind = behind;
    n->negative = negative;
    p->look_depth++;
    n = inner(p, n);
    p->look_depth--;
    return n;
}

/* After the opening parenthesis. */
static struct rx_node *parenthesis(struct rx_parser *p)
{
    if (eat(p, "?=") || eat(p, "?!"))
        return look(p, false, p->p[-1] == '!');
    if (eat(p, "?<=") || eat(p, "?<!"))
        return look(p, true, p->p[-1] == '!');
    struct rx_node *n = node_new(p, RX_GROUP);
    if (!eat(p, "?:")) {
        if (sees(p, "?"))
            return fail(p, bad_repeat);
        if (!p->look_depth)
            open_group(p, n);
    }
    n = inner(p, n);
    if (n && n->group)
        p->groups[n->group] = n;
    return n;
}

/* ---- quantifiers ---- */

static uint32_t bound(struct rx_parser *p)
{
    uint32_t n = 0;
    for (skip_blanks(p); !at_end(p) && is_digit(*p->p); skip_blanks(p)) {
        n = n * 10 + (*p->p++ - '0');
        if (n > RX_REPEAT_MAX)
            fail(p, bad_count);
    }
    return n;
}

static void bounds(struct rx_parser *p, struct rx_node *n)
{
    bool range = false;
    n->min = n->max = bound(p);
    if (eat(p, ",")) {
        range = true;
        skip_blanks(p);
        n->max = !at_end(p) && is_digit(*p->p) ? bound(p) : RX_ENDLESS;
    }
    if (at_end(p))
        fail(p, bad_braces);
    else if (n->min > n->max || !eat(p, "}"))
        fail(p, bad_count);
    bool lazy = !p->error && eat(p, "?");
    n->quantifier = !range ? 0 : lazy ? RX_SHORT : RX_LONG;
}

/* Does a bound begin here? { before anything but a digit stands for itself. */
static bool eat_brace(struct rx_parser *p)
{
    const uint32_t *at = p->p;
    if (!eat(p, "{"))
        return false;
    skip_blanks(p);
    if (!at_end(p) && is_digit(*p->p))
        return true;
    p->p = at;
    return false;
}

static void quantifier(struct rx_parser *p, struct rx_node *n)
{
    skip(p);
    if (eat(p, "*")) {
        n->min = 0;
        n->max = RX_ENDLESS;
    } else if (eat(p, "+")) {
        n->max = RX_ENDLESS;
    } else if (eat(p, "?")) {
        n->min = 0;
    } else {
        if (eat_brace(p))
            bounds(p, n);
        return;
    }
    n->quantifier = eat(p, "?") ? RX_SHORT : RX_LONG;
}

/* ---- the rest ---- */

static struct rx_node *atom(struct rx_parser *p)
{
    if (p->flags & REGEX_LITERAL)
        return char_node(p, *p->p++);
    if (eat(p, "[[:<:]]"))
        return assert_node(p, RX_WORD_START);
    if (eat(p, "[[:>:]]"))
        return assert_node(p, RX_WORD_END);
    if (eat_brace(p))
        return fail(p, bad_repeat);
    bool lines = p->flags & REGEX_LINE_ANCHOR;
    uint32_t c = *p->p++;
    switch (c) {
    case '^': return assert_node(p, lines ? RX_LINE_START : RX_TEXT_START);
    case '$': return assert_node(p, lines ? RX_LINE_END : RX_TEXT_END);
    case '(': return parenthesis(p);
    case ')': return fail(p, bad_parens);
    case '[': return bracket(p);
    case '.': return any_node(p);
    case '\\': return escape(p);
    case '*':
    case '+':
    case '?': return fail(p, bad_repeat);
    default: return char_node(p, c);
    }
}

static struct rx_node *branch(struct rx_parser *p, bool inside)
{
    struct rx_node *cat = node_new(p, RX_CAT), **link = &cat->child;
    bool literal = p->flags & REGEX_LITERAL;
    for (skip(p); !at_end(p) && (literal || !(sees(p, "|") || (inside && sees(p, ")")))); skip(p)) {
        struct rx_node *n = atom(p);
        if (!n)
            return NULL;
        if (!literal && n->kind != RX_ASSERT && n->kind != RX_LOOK)
            quantifier(p, n);
        *link = n;
        link = &n->next;
    }
    return cat;
}

static struct rx_node *alternatives(struct rx_parser *p, bool inside)
{
    struct rx_node *alt = node_new(p, RX_ALT), **link = &alt->child;
    do {
        struct rx_node *n = branch(p, inside);
        if (!n)
            return NULL;
        *link = n;
        link = &n->next;
    } while (!(p->flags & REGEX_LITERAL) && eat(p, "|"));
    if (inside && !eat(p, ")"))
        return fail(p, bad_parens);
    return alt;
}

static void option(struct rx_parser *p, uint32_t c)
{
    switch (c) {
    case 'c': p->flags &= ~(unsigned)REGEX_FOLD; break;
    case 'i': p->flags |= REGEX_FOLD; break;
    case 'm':
    case 'n': p->flags |= REGEX_LINES; break;
    case 'p': p->flags = (p->flags | REGEX_LINE_STOP) & ~(unsigned)REGEX_LINE_ANCHOR; break;
    case 'q': p->flags |= REGEX_LITERAL; break;
    case 's': p->flags &= ~(unsigned)REGEX_LINES; break;
    case 't': p->flags &= ~(unsigned)REGEX_EXPANDED; break;
    case 'w': p->flags = (p->flags | REGEX_LINE_ANCHOR) & ~(unsigned)REGEX_LINE_STOP; break;
    case 'x': p->flags |= REGEX_EXPANDED; break;
    case 'b':
    case 'e': p->unsupported = true; break;
    default: fail(p, bad_option);
    }
}

/* ***: and ***= and (?options) at the very start. */
static void prefixes(struct rx_parser *p)
{
    const unsigned not_literal = ~(unsigned)(REGEX_EXPANDED | REGEX_LINES);
    if (p->flags & REGEX_LITERAL)
        return;
    if (eat(p, "***=")) {
        p->flags = (p->flags & not_literal) | REGEX_LITERAL;
        return;
    }
    if (!eat(p, "***:") && sees(p, "***") && p->end - p->p > 3) {
        fail(p, sees(p, "***?") ? "invalid regexp (reg version 0.8)" : bad_repeat);
        return;
    }
    if (!sees(p, "(?") || p->end - p->p < 3 || !is_letter(p->p[2]))
        return;
    p->p += 2;
    while (!at_end(p) && is_letter(*p->p))
        option(p, *p->p++);
    if (!p->error && !eat(p, ")"))
        fail(p, bad_option);
    if (p->flags & REGEX_LITERAL)
        p->flags &= not_literal;
}

struct rx_node *rx_parse(struct rx_parser *p)
{
    prefixes(p);
    struct rx_node *n = p->error || p->unsupported ? NULL : alternatives(p, false);
    return p->error ? NULL : n;
}
