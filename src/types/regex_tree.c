/* Makes of a pattern a tree of parts and a program for each part.
 *
 * Which of several possible matches PostgreSQL takes is decided by preferences: each part prefers its longest or its
 * shortest match, and what stands left goes first. Parts without groups, back references and contradicting
 * preferences are one plain part, whatever is inside: only their language counts. The others become nodes, in the
 * very shape PostgreSQL gives them, for the shape decides where groups lie: x{m,n} with a group in it is taken as
 * x{m-1,n-1} followed by x, where m > 0. */
#include "types/regex_impl.h"

struct builder {
    struct regex *re;
    uint32_t states, depth;
    bool too_large;
};

/* ---- programs ---- */

static uint32_t emit(struct builder *b, struct rx_program *p, struct rx_instruction i)
{
    if (++b->states > REGEX_STATES_MAX)
        b->too_large = true;
    if (b->too_large)
        return 0;
    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        struct rx_instruction *more = ARENA_ARRAY(&b->re->arena, struct rx_instruction, p->cap);
        if (p->count)
            memcpy(more, p->code, p->count * sizeof *more);
        p->code = more;
    }
    p->code[p->count] = i;
    return p->count++;
}
/* Where the split or jump at `at` goes on: here. */
static void aim(struct builder *b, struct rx_program *p, uint32_t at, bool second)
{
    if (b->too_large)
        return;
    if (second)
        p->code[at].b = p->count;
    else
        p->code[at].a = p->count;
}
static uint32_t emit_split(struct builder *b, struct rx_program *p, uint32_t to)
{
    return emit(b, p, (struct rx_instruction){.op = RX_DO_SPLIT, .a = p->count + 1, .b = to});
}

static struct rx_program *program_new(struct builder *b)
{
    struct regex *re = b->re;
    if (re->program_count == re->program_cap) {
        re->program_cap = re->program_cap ? re->program_cap * 2 : 8;
        struct rx_program **more = ARENA_ARRAY(&re->arena, struct rx_program *, re->program_cap);
        if (re->program_count)
            memcpy(more, re->programs, re->program_count * sizeof(struct rx_program *));
        re->programs = more;
    }
    struct rx_program *p = ARENA_NEW(&re->arena, struct rx_program);
    p->number = re->program_count;
    re->programs[re->program_count++] = p;
    return p;
}

enum { WITH_ASSERTIONS, WITHOUT_ASSERTIONS }; /* what a back reference repeats is text alone */
static void emit_alt(struct builder *b, struct rx_program *p, const struct rx_node *alt, int how);

static void emit_look(struct builder *b, struct rx_program *p, const struct rx_node *n)
{
    struct rx_program *inner = program_new(b);
    emit_alt(b, inner, n->child, WITH_ASSERTIONS);
    emit(b, inner, (struct rx_instruction){.op = RX_DO_ACCEPT});
    emit(b, p,
         (struct rx_instruction){
             .op = RX_DO_LOOK, .behind = n->behind, .negative = n->negative, .a = inner->number});
}

static void emit_once(struct builder *b, struct rx_program *p, const struct rx_node *n, int how)
{
    switch (n->kind) {
    case RX_SET: emit(b, p, (struct rx_instruction){.op = RX_DO_SET, .set = n->set}); break;
    case RX_GROUP: emit_alt(b, p, n->child, how); break;
    case RX_BACKREF: emit_alt(b, p, n->referenced->child, WITHOUT_ASSERTIONS); break;
    case RX_ASSERT:
        if (how == WITH_ASSERTIONS)
            emit(b, p, (struct rx_instruction){.op = RX_DO_ASSERT, .assertion = (uint8_t)n->assertion});
        break;
    case RX_LOOK:
        if (how == WITH_ASSERTIONS)
            emit_look(b, p, n);
        break;
    default: break;
    }
}

/* n{min,max}: the copies that must be, then those that may. */
static void emit_repeat(struct builder *b, struct rx_program *p, const struct rx_node *n, uint32_t min,
                        uint32_t max, int how)
{
    uint32_t optional[RX_REPEAT_MAX], count = 0;
    for (uint32_t i = 0; i < min && !b->too_large; i++)
        emit_once(b, p, n, how);
    if (max == RX_ENDLESS) {
        uint32_t split = emit_split(b, p, 0);
        emit_once(b, p, n, how);
        emit(b, p, (struct rx_instruction){.op = RX_DO_JUMP, .a = split});
        aim(b, p, split, true);
        return;
    }
    for (uint32_t i = min; i < max && !b->too_large; i++) {
        optional[count++] = emit_split(b, p, 0);
        emit_once(b, p, n, how);
    }
    while (count > 0)
        aim(b, p, optional[--count], true);
}

/* The atoms from `n` on. */
static void emit_atoms(struct builder *b, struct rx_program *p, const struct rx_node *n,
                       const struct rx_node *end, int how)
{
    for (; n != end && !b->too_large; n = n->next)
        emit_repeat(b, p, n, n->min, n->max, how);
}

static void emit_alt(struct builder *b, struct rx_program *p, const struct rx_node *alt, int how)
{
    uint32_t jumps = RX_ENDLESS; /* to the end: a chain through their targets */
    if (++b->depth > 2 * REGEX_DEPTH_MAX)
        b->too_large = true;
    for (const struct rx_node *cat = alt->child; cat && !b->too_large; cat = cat->next) {
        uint32_t split = cat->next ? emit_split(b, p, 0) : 0;
        emit_atoms(b, p, cat->child, NULL, how);
        if (cat->next) {
            jumps = emit(b, p, (struct rx_instruction){.op = RX_DO_JUMP, .a = jumps});
            aim(b, p, split, true);
        }
    }
    while (!b->too_large && jumps != RX_ENDLESS) {
        uint32_t next = p->code[jumps].a;
        aim(b, p, jumps, false);
        jumps = next;
    }
    b->depth--;
}

/* ---- the characters a match can begin with ---- */

static void add_first(struct rx_set *to, struct rx_ranges *high, const struct rx_set *set)
{
    to->low[0] |= set->low[0];
    to->low[1] |= set->low[1];
    for (uint32_t i = 0; i < set->count; i++)
        rx_ranges_add(high, set->ranges[i].from, set->ranges[i].to);
}

/* Walks what can be reached without a character; assertions are taken to hold. */
static void find_first(struct builder *b, struct rx_program *p)
{
    struct rx_ranges high = {.arena = &b->re->arena};
    bool *seen = arena_zalloc(&b->re->arena, p->count);
    uint32_t *stack = ARENA_ARRAY(&b->re->arena, uint32_t, p->count + 1), depth = 0;
    stack[depth++] = 0;
    seen[0] = true;
    p->has_first = true;
    while (depth > 0) {
        const struct rx_instruction *i = &p->code[stack[--depth]];
        uint32_t next[2] = {(uint32_t)(i - p->code) + 1, RX_ENDLESS};
        if (i->op == RX_DO_SET)
            add_first(&p->first, &high, i->set);
        if (i->op == RX_DO_ACCEPT)
            p->has_first = false;
        if (i->op == RX_DO_SET || i->op == RX_DO_ACCEPT)
            continue;
        if (i->op == RX_DO_JUMP || i->op == RX_DO_SPLIT)
            next[0] = i->a;
        if (i->op == RX_DO_SPLIT)
            next[1] = i->b;
        for (int k = 0; k < 2; k++)
            if (next[k] != RX_ENDLESS && !seen[next[k]]) {
                seen[next[k]] = true;
                stack[depth++] = next[k];
            }
    }
    const struct rx_set *settled = rx_set_make(&high);
    p->first.count = settled->count;
    p->first.ranges = settled->ranges;
}

static struct rx_program *finish(struct builder *b, struct rx_program *p)
{
    emit(b, p, (struct rx_instruction){.op = RX_DO_ACCEPT});
    return p;
}
static struct rx_program *program_of(struct builder *b, const struct rx_node *from, const struct rx_node *end)
{
    struct rx_program *p = program_new(b);
    emit_atoms(b, p, from, end, WITH_ASSERTIONS);
    return finish(b, p);
}
static struct rx_program *program_of_repeat(struct builder *b, const struct rx_node *n, uint32_t min,
                                            uint32_t max)
{
    struct rx_program *p = program_new(b);
    emit_repeat(b, p, n, min, max, WITH_ASSERTIONS);
    return finish(b, p);
}
static struct rx_program *program_of_alt(struct builder *b, const struct rx_node *alt)
{
    struct rx_program *p = program_new(b);
    emit_alt(b, p, alt, WITH_ASSERTIONS);
    return finish(b, p);
}

/* ---- parts ---- */

#define PREFERENCE (RX_LONG | RX_SHORT)
#define INHERITED  (RX_MIXED | RX_CAPTURES | RX_REFERS)

static unsigned inherit(unsigned flags)
{
    bool mixed = (flags & PREFERENCE) == PREFERENCE;
    return (flags & INHERITED) | (mixed ? RX_MIXED : 0u);
}
/* The left one's preference goes first. */
static unsigned combine(unsigned left, unsigned right)
{
    unsigned own = left & PREFERENCE ? left & PREFERENCE : right & PREFERENCE;
    return inherit(left | right) | own;
}

static struct rx_part *part_new(struct builder *b, enum rx_part_kind kind, unsigned flags)
{
    struct rx_part *part = ARENA_NEW(&b->re->arena, struct rx_part);
    part->kind = kind;
    part->flags = (uint8_t)flags;
    return part;
}

static struct rx_part *build_alt(struct builder *b, const struct rx_node *alt);

/* The atom without its quantifier; its program is made where it is needed. NULL: a character or an assertion. */
static struct rx_part *build_atom(struct builder *b, const struct rx_node *n)
{
    if (n->kind == RX_BACKREF) {
        struct rx_part *part = part_new(b, RX_SAME, RX_REFERS);
        part->reference = n->group;
        part->min = n->min;
        part->max = n->max;
        b->re->has_references = true;
        return part;
    }
    if (n->kind != RX_GROUP)
        return NULL;
    struct rx_part *part = build_alt(b, n->child);
    if (n->group == 0)
        return part;
    if (part->group) { /* ((x)) */
        struct rx_part *outer = part_new(b, RX_INNER, part->flags | RX_CAPTURES);
        outer->child = part;
        outer->program = part->program;
        part = outer;
    }
    part->flags |= RX_CAPTURES;
    part->group = n->group;
    return part;
}

static bool is_vacuous(const struct rx_node *n, const struct rx_part *atom)
{
    unsigned own = atom->flags & (PREFERENCE | RX_MIXED);
    return n->min == 1 && n->max == 1 && (n->quantifier == 0 || own == 0 || n->quantifier == own);
}

static struct rx_part *pair(struct builder *b, unsigned flags, struct rx_part *left, struct rx_part *right)
{
    struct rx_part *part = part_new(b, RX_BOTH, flags);
    part->child = left;
    left->next = right;
    return part;
}

/* The atom with its quantifier. */
static struct rx_part *build_repeat(struct builder *b, const struct rx_node *n, struct rx_part *atom)
{
    if (n->kind == RX_BACKREF) {
        atom->flags |= (uint8_t)combine(n->quantifier, atom->flags);
        atom->program = program_of_repeat(b, n, n->min, n->max);
        return atom;
    }
    if (is_vacuous(n, atom))
        return atom;
    unsigned flags = combine(n->quantifier, atom->flags);
    struct rx_part *part;
    if (!(atom->flags & (RX_CAPTURES | RX_REFERS))) {
        part = part_new(b, RX_PLAIN, flags);
    } else if (n->min > 0 && !(atom->flags & RX_REFERS)) {
        struct rx_part *before = part_new(b, RX_PLAIN, flags & PREFERENCE);
        uint32_t max = n->max == RX_ENDLESS ? RX_ENDLESS : n->max - 1;
        before->program = program_of_repeat(b, n, n->min - 1, max);
        part = pair(b, flags, before, atom);
    } else {
        part = part_new(b, RX_REPEAT, flags);
        part->min = n->min;
        part->max = n->max;
        part->child = atom;
    }
    part->program = program_of_repeat(b, n, n->min, n->max);
    return part;
}

static struct rx_part *build_branch(struct builder *b, const struct rx_node *from);

/* The atom n, which is more than plain, what stands before it in the branch (from `from` on), and what follows. */
static struct rx_part *build_around(struct builder *b, const struct rx_node *from, const struct rx_node *n,
                                    struct rx_part *atom, unsigned before)
{
    if (!atom)
        atom = part_new(b, RX_PLAIN, 0);
    if (!atom->program && n->kind != RX_BACKREF)
        atom->program = program_of_repeat(b, n, 1, 1);
    unsigned flags = combine(n->quantifier, atom->flags);
    struct rx_part *here = build_repeat(b, n, atom), *rest;
    if (n->next) {
        rest = build_branch(b, n->next);
        flags |= combine(flags, rest->flags);
    } else {
        rest = part_new(b, RX_PLAIN, 0);
        rest->program = program_of(b, NULL, NULL);
    }
    struct rx_part *tail = pair(b, flags, here, rest);
    tail->program = program_of(b, n, NULL);
    if (n == from)
        return tail;
    struct rx_part *prefix = part_new(b, RX_PLAIN, before);
    prefix->program = program_of(b, from, n);
    struct rx_part *whole = pair(b, before | combine(before, flags), prefix, tail);
    whole->program = program_of(b, from, NULL);
    return whole;
}

static struct rx_part *build_branch(struct builder *b, const struct rx_node *from)
{
    unsigned flags = 0;
    struct rx_part *part = NULL;
    if (++b->depth > REGEX_DEPTH_MAX)
        b->too_large = true;
    for (const struct rx_node *n = from; n && !part && !b->too_large; n = n->next) {
        if (n->max == 0 || n->kind == RX_ASSERT || n->kind == RX_LOOK)
            continue;
        struct rx_part *atom = build_atom(b, n);
        unsigned all = flags | n->quantifier | (atom ? atom->flags : 0u);
        if (inherit(all) == 0)
            flags = all;
        else
            part = build_around(b, from, n, atom, flags);
    }
    b->depth--;
    if (part)
        return part;
    part = part_new(b, RX_PLAIN, flags);
    part->program = program_of(b, from, NULL);
    return part;
}

static struct rx_part *build_alt(struct builder *b, const struct rx_node *alt)
{
    if (!alt->child->next)
        return build_branch(b, alt->child->child);
    struct rx_part *part = part_new(b, RX_EITHER, RX_LONG), **link = &part->child;
    for (const struct rx_node *cat = alt->child; cat && !b->too_large; cat = cat->next) {
        *link = build_branch(b, cat->child);
        part->flags |= (uint8_t)inherit(part->flags | (*link)->flags);
        link = &(*link)->next;
    }
    if (!(part->flags & INHERITED)) {
        part->kind = RX_PLAIN;
        part->child = NULL;
    }
    part->program = program_of_alt(b, alt);
    return part;
}

bool rx_build(struct regex *re, const struct rx_node *pattern)
{
    struct builder b = {.re = re};
    re->root = build_alt(&b, pattern);
    if (!b.too_large)
        find_first(&b, re->root->program);
    return !b.too_large;
}
