/* Runs the programs of a regular expression: where its first match lies, and how that divides among the groups.
 *
 * Without back references the match is found by one pass for its start, where each state remembers the leftmost place
 * it could have come from, and a second one from there for its end. The groups are found by trying to divide the
 * match at the ends that the left part prefers, with each try checked by a program first. */
#include "types/regex_impl.h"

#include <stdlib.h>

struct list { /* a set of states; `state` in the order they came, which is by `start` */
    uint32_t count;
    struct {
        uint32_t state, start;
    } * items;
    uint32_t *position; /* of a state in items, if it is there */
};
struct workspace { /* of one program; a program never runs inside itself */
    struct list lists[2];
    uint32_t *stack;
};
struct matcher {
    struct fn_ctx *ctx;
    const struct regex *re;
    const struct regex_text *text;
    struct workspace **workspaces; /* by program */
    struct regex_span *groups;
    uint64_t steps;
    bool failed;
};

#define NOWHERE UINT32_MAX

static bool exhausted(struct matcher *m)
{
    if (!m->failed)
        fn_fail(m->ctx, FN_TOO_LARGE, "regular expression needs more than %d steps", REGEX_STEPS_MAX);
    m->failed = true;
    return true;
}
static inline bool step(struct matcher *m)
{
    return m->failed || (++m->steps > REGEX_STEPS_MAX && exhausted(m));
}

static struct workspace *workspace(struct matcher *m, const struct rx_program *p)
{
    struct workspace **w = &m->workspaces[p->number];
    if (*w)
        return *w;
    *w = ARENA_NEW(m->ctx->arena, struct workspace);
    m->steps += p->count;
    for (int i = 0; i < 2; i++) {
        struct list *l = &(*w)->lists[i];
        l->items = arena_zalloc(m->ctx->arena, p->count * sizeof *l->items);
        l->position = arena_zalloc(m->ctx->arena, p->count * sizeof *l->position);
    }
    (*w)->stack = arena_zalloc(m->ctx->arena, (2 * (size_t)p->count + 1) * sizeof *(*w)->stack);
    return *w;
}

static inline bool contains(const struct list *l, uint32_t state)
{
    uint32_t at = l->position[state];
    return at < l->count && l->items[at].state == state;
}

/* ---- assertions ---- */

static bool holds(const struct matcher *m, enum rx_assert what, uint32_t at)
{
    const struct regex_text *t = m->text;
    bool first = at == 0, last = at == t->count;
    uint32_t before = first ? 0 : t->chars[at - 1], after = last ? 0 : t->chars[at];
    bool word_before = !first && rx_is_word(before), word_after = !last && rx_is_word(after);
    switch (what) {
    case RX_TEXT_START: return first;
    case RX_TEXT_END: return last;
    case RX_LINE_START: return first || before == '\n';
    case RX_LINE_END: return last || after == '\n';
    case RX_WORD_START: return !word_before && word_after;
    case RX_WORD_END: return word_before && !word_after;
    case RX_WORD_EDGE: return word_before != word_after;
    default: return word_before == word_after;
    }
}

static bool look_holds(struct matcher *m, const struct rx_instruction *i, uint32_t at);

/* ---- simulation ---- */

/* Adds the state and all that it leads to at character `at` without reading one. */
static void add(struct matcher *m, const struct rx_program *p, struct list *l, uint32_t state, uint32_t at,
                uint32_t start)
{
    uint32_t *stack = m->workspaces[p->number]->stack, depth = 0;
    stack[depth++] = state;
    while (depth > 0) {
        uint32_t s = stack[--depth];
        if (contains(l, s) || step(m))
            continue;
        l->position[s] = l->count;
        l->items[l->count].state = s;
        l->items[l->count++].start = start;
        const struct rx_instruction *i = &p->code[s];
        switch ((enum rx_op)i->op) {
        case RX_DO_JUMP: stack[depth++] = i->a; break;
        case RX_DO_SPLIT:
            stack[depth++] = i->b;
            stack[depth++] = i->a;
            break;
        case RX_DO_ASSERT:
            if (holds(m, (enum rx_assert)i->assertion, at))
                stack[depth++] = s + 1;
            break;
        case RX_DO_LOOK:
            if (look_holds(m, i, at))
                stack[depth++] = s + 1;
            break;
        default: break;
        }
    }
}

static void advance(struct matcher *m, const struct rx_program *p, const struct list *from, struct list *to,
                    uint32_t at)
{
    uint32_t c = m->text->chars[at];
    to->count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        const struct rx_instruction *x = &p->code[from->items[i].state];
        if (x->op == RX_DO_SET && rx_set_has(x->set, c))
            add(m, p, to, from->items[i].state + 1, at + 1, from->items[i].start);
    }
}

/* The end of the match of p from `begin` that lies in [least, most]: the longest, or the shortest; NOWHERE if none. */
static uint32_t match_end(struct matcher *m, const struct rx_program *p, uint32_t begin, uint32_t least,
                          uint32_t most, bool shortest)
{
    struct workspace *w = workspace(m, p);
    struct list *now = &w->lists[0], *next = &w->lists[1];
    uint32_t accept = p->count - 1, found = NOWHERE;
    now->count = 0;
    add(m, p, now, 0, begin, begin);
    for (uint32_t at = begin; now->count > 0 && !m->failed; at++) {
        if (at >= least && contains(now, accept)) {
            found = at;
            if (shortest)
                break;
        }
        if (at == most)
            break;
        advance(m, p, now, next, at);
        struct list *swap = now;
        now = next;
        next = swap;
    }
    return m->failed ? NOWHERE : found;
}
static bool matches(struct matcher *m, const struct rx_program *p, uint32_t begin, uint32_t end)
{
    return match_end(m, p, begin, end, end, false) == end;
}

/* Lets the threads that could still begin further left go on alone. */
static void keep_before(struct list *l, uint32_t start)
{
    while (l->count > 0 && l->items[l->count - 1].start >= start)
        l->count--;
}

/* The leftmost start, not before `from`, of a match that ends at or before `most`, or (must_end) exactly there; with
 * `end`, that of the one that is seen first, and its end. */
static uint32_t match_start(struct matcher *m, const struct rx_program *p, uint32_t from, uint32_t most,
                            bool must_end, uint32_t *end)
{
    struct workspace *w = workspace(m, p);
    struct list *now = &w->lists[0], *next = &w->lists[1];
    uint32_t accept = p->count - 1, found = NOWHERE;
    now->count = 0;
    for (uint32_t at = from;; at++) {
        bool may_begin = !p->has_first || (at < m->text->count && rx_set_has(&p->first, m->text->chars[at]));
        if (found == NOWHERE && may_begin)
            add(m, p, now, 0, at, at);
        if (contains(now, accept) && (!must_end || at == most)) {
            found = now->items[now->position[accept]].start;
            keep_before(now, found);
            if (end)
                *end = at;
        }
        if (m->failed || at == most || (found != NOWHERE && (end || now->count == 0)))
            break;
        if (now->count > 0) {
            advance(m, p, now, next, at);
            struct list *swap = now;
            now = next;
            next = swap;
        } else if (step(m)) {
            break;
        }
    }
    return m->failed ? NOWHERE : found;
}

static bool look_holds(struct matcher *m, const struct rx_instruction *i, uint32_t at)
{
    const struct rx_program *p = m->re->programs[i->a];
    uint32_t found =
        i->behind ? match_start(m, p, 0, at, true, NULL) : match_end(m, p, at, at, m->text->count, true);
    return (found != NOWHERE) != i->negative;
}

/* ---- groups ---- */

static bool dissect(struct matcher *m, const struct rx_part *part, uint32_t begin, uint32_t end);

static void forget(struct matcher *m, const struct rx_part *part)
{
    if (part->group)
        m->groups[part->group] = (struct regex_span){-1, -1};
    for (const struct rx_part *c = part->child; c; c = c->next)
        forget(m, c);
}

/* The next of left's ends after `mid` in the order it prefers. */
static uint32_t next_middle(struct matcher *m, const struct rx_part *left, uint32_t begin, uint32_t mid,
                            uint32_t end)
{
    bool shortest = left->flags & RX_SHORT;
    if (mid == (shortest ? end : begin))
        return NOWHERE;
    return shortest ? match_end(m, left->program, begin, mid + 1, end, true)
                    : match_end(m, left->program, begin, begin, mid - 1, false);
}

static bool dissect_both(struct matcher *m, const struct rx_part *part, uint32_t begin, uint32_t end)
{
    const struct rx_part *left = part->child, *right = left->next;
    bool shortest = left->flags & RX_SHORT;
    uint32_t mid = match_end(m, left->program, begin, begin, end, shortest);
    for (; mid != NOWHERE; mid = next_middle(m, left, begin, mid, end)) {
        if (!matches(m, right->program, mid, end))
            continue;
        if (dissect(m, left, begin, mid) && dissect(m, right, mid, end))
            return true;
        forget(m, left);
        forget(m, right);
    }
    return false;
}

static bool dissect_either(struct matcher *m, const struct rx_part *part, uint32_t begin, uint32_t end)
{
    for (const struct rx_part *c = part->child; c; c = c->next)
        if (matches(m, c->program, begin, end) && dissect(m, c, begin, end))
            return true;
    return false;
}

static uint32_t fold(const struct matcher *m, uint32_t c)
{
    return (m->re->flags & REGEX_FOLD) && c >= 'A' && c <= 'Z' ? c + 32 : c;
}

/* The text of the group, so many times. Nothing, however often, is nothing. */
static bool dissect_same(struct matcher *m, const struct rx_part *part, uint32_t begin, uint32_t end)
{
    struct regex_span group = m->groups[part->reference];
    if (group.from < 0)
        return false;
    uint32_t length = (uint32_t)(group.to - group.from), total = end - begin;
    if (length == 0)
        return total == 0 && part->min <= part->max;
    if (total == 0)
        return part->min == 0;
    uint32_t times = total / length;
    if (total % length != 0 || times < part->min || (part->max != RX_ENDLESS && times > part->max))
        return false;
    for (uint32_t i = 0; i < total; i++) {
        uint32_t from = (uint32_t)group.from + i % length;
        if (step(m) || fold(m, m->text->chars[begin + i]) != fold(m, m->text->chars[from]))
            return false;
    }
    return true;
}

/* The ends of a repetition's rounds while they are being looked for. */
struct rounds {
    const struct rx_part *part;
    bool shortest; /* what one round prefers */
    uint32_t begin, end, min, max;
    uint32_t count, verified; /* of `ends`, and how many of them are known to divide further */
    uint32_t limit;           /* where the last one may end at most, or (shortest) at least */
    uint32_t *ends;           /* ends[0] is begin */
};

/* May round `count` be empty when it begins at `at`? Only if there are not enough rounds otherwise. */
static bool may_be_empty(const struct rounds *r, uint32_t at)
{
    return r->count < r->min && r->min - r->count >= r->end - at;
}

static bool next_round_end(struct matcher *m, struct rounds *r)
{
    const struct rx_part *child = r->part->child;
    uint32_t from = r->ends[r->count - 1], at;
    if (r->shortest) {
        if (r->limit == from && r->limit != r->end && !may_be_empty(r, r->limit))
            r->limit++;
        if (r->count >= r->max)
            r->limit = r->end;
        at = match_end(m, child->program, from, r->limit, r->end, true);
    } else {
        at = match_end(m, child->program, from, from, r->limit, false);
    }
    if (at == NOWHERE)
        return false;
    r->ends[r->count] = at;
    if (r->verified >= r->count)
        r->verified = r->count - 1;
    return true;
}

/* Moves the end of the last round that can be moved; false when there is none. */
static bool move_back(struct rounds *r)
{
    for (; r->count > 0; r->count--) {
        uint32_t at = r->ends[r->count], from = r->ends[r->count - 1];
        if (r->shortest) {
            r->limit = at + 1;
            if (at < r->end)
                return true;
        } else if (at > from) {
            r->limit = at - 1;
            if (r->limit > from || may_be_empty(r, from))
                return true;
        }
    }
    return false;
}

/* Do all rounds divide further? If not, the first that does not is made the last. */
static bool verify(struct matcher *m, struct rounds *r)
{
    for (uint32_t i = r->verified + 1; i <= r->count; i++) {
        forget(m, r->part->child);
        if (!dissect(m, r->part->child, r->ends[i - 1], r->ends[i])) {
            r->count = i;
            return false;
        }
        r->verified = i;
    }
    return true;
}

static bool round_goes_on(const struct rounds *r)
{
    uint32_t at = r->ends[r->count], from = r->ends[r->count - 1];
    return r->count < r->max && ((r->shortest) || at != from || may_be_empty(r, at));
}

static bool divide_rounds(struct matcher *m, struct rounds *r)
{
    r->ends[0] = r->begin;
    r->count = 1;
    r->limit = r->shortest ? r->begin : r->end;
    while (r->count > 0 && !step(m)) {
        if (!next_round_end(m, r)) {
            r->count--;
        } else if (r->ends[r->count] != r->end) {
            if (round_goes_on(r)) {
                r->limit = r->shortest ? r->ends[r->count] : r->end;
                r->count++;
                continue;
            }
            r->count -= r->count >= r->max;
        } else if (r->count >= r->min && verify(m, r)) {
            return true;
        }
        if (!move_back(r))
            break;
    }
    return false;
}

static bool dissect_repeat(struct matcher *m, const struct rx_part *part, uint32_t begin, uint32_t end)
{
    struct rounds r = {.part = part, .begin = begin, .end = end, .min = part->min, .max = end - begin};
    r.shortest = part->child->flags & RX_SHORT;
    if (r.min == 0 && r.shortest && begin == end)
        return true;
    if (r.min == 0) /* one empty round goes before none at all */
        r.min = 1;
    if (part->max != RX_ENDLESS && r.max > part->max)
        r.max = part->max;
    if (r.max < r.min)
        r.max = r.min;
    r.ends = xcalloc((size_t)r.max + 1, sizeof *r.ends); /* not the arena's: this happens again and again */
    bool found = divide_rounds(m, &r);
    free(r.ends);
    return found || (part->min == 0 && begin == end);
}

static bool dissect(struct matcher *m, const struct rx_part *part, uint32_t begin, uint32_t end)
{
    bool ok = true;
    if (step(m))
        return false;
    switch (part->kind) {
    case RX_PLAIN: break;
    case RX_BOTH: ok = dissect_both(m, part, begin, end); break;
    case RX_EITHER: ok = dissect_either(m, part, begin, end); break;
    case RX_REPEAT: ok = dissect_repeat(m, part, begin, end); break;
    case RX_INNER: ok = dissect(m, part->child, begin, end); break;
    case RX_SAME: ok = dissect_same(m, part, begin, end); break;
    }
    if (ok && part->group)
        m->groups[part->group] = (struct regex_span){(int32_t)begin, (int32_t)end};
    return ok && !m->failed;
}

/* ---- the search ---- */

static void forget_all(struct matcher *m)
{
    for (uint32_t i = 0; i <= m->re->group_count; i++)
        m->groups[i] = (struct regex_span){-1, -1};
}

/* With back references a match from `begin` counts only if it divides: each end is tried in order. */
static bool try_ends(struct matcher *m, uint32_t begin)
{
    const struct rx_part *root = m->re->root;
    bool shortest = root->flags & RX_SHORT;
    uint32_t least = begin, most = m->text->count, end;
    while ((end = match_end(m, root->program, begin, least, most, shortest)) != NOWHERE) {
        forget_all(m);
        if (dissect(m, root, begin, end)) {
            m->groups[0] = (struct regex_span){(int32_t)begin, (int32_t)end};
            return true;
        }
        if (end == (shortest ? most : begin))
            break;
        if (shortest)
            least = end + 1;
        else
            most = end - 1;
    }
    return false;
}

/* Starts are tried up to where a match could end; then the search goes on behind that. As with PostgreSQL, the text's
 * end is then not tried again by itself. */
static bool search_references(struct matcher *m, uint32_t start)
{
    uint32_t count = m->text->count;
    do {
        uint32_t end, begin = match_start(m, m->re->root->program, start, count, false, &end);
        if (begin == NOWHERE)
            break;
        for (begin = start; begin <= end && !m->failed; begin++)
            if (try_ends(m, begin))
                return true;
        start = end + 1;
    } while (start < count && !m->failed);
    return false;
}

static bool search(struct matcher *m, uint32_t start, uint32_t span_count)
{
    const struct rx_part *root = m->re->root;
    uint32_t count = m->text->count;
    if (m->re->has_references)
        return search_references(m, start);
    uint32_t first_end;
    uint32_t begin = match_start(m, root->program, start, count, false, span_count ? NULL : &first_end);
    if (begin == NOWHERE || span_count == 0)
        return begin != NOWHERE;
    uint32_t end = match_end(m, root->program, begin, begin, count, root->flags & RX_SHORT);
    if (m->failed)
        return false;
    ASSERT(end != NOWHERE);
    forget_all(m);
    m->groups[0] = (struct regex_span){(int32_t)begin, (int32_t)end};
    return span_count == 1 || m->re->group_count == 0 || dissect(m, root, begin, end);
}

enum regex_result regex_search(struct fn_ctx *ctx, const struct regex *re, const struct regex_text *text,
                               uint32_t start, uint32_t span_count, struct regex_span *spans)
{
    struct matcher m = {.ctx = ctx, .re = re, .text = text, .steps = text->steps ? *text->steps : 0};
    ASSERT(start <= text->count);
    m.workspaces = ARENA_ARRAY(ctx->arena, struct workspace *, re->program_count);
    m.groups = ARENA_ARRAY(ctx->arena, struct regex_span, re->group_count + 1);
    bool found = search(&m, start, span_count);
    if (text->steps)
        *text->steps = m.steps;
    if (m.failed)
        return REGEX_FAILED;
    for (uint32_t i = 0; found && i < span_count; i++)
        spans[i] = i <= re->group_count ? m.groups[i] : (struct regex_span){-1, -1};
    return found ? REGEX_FOUND : REGEX_NONE;
}
