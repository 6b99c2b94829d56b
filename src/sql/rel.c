/* Making relational algebra nodes. */
#include "sql/rel.h"

#include <string.h>

uint32_t attr_new(struct sql_bound *s, const char *name, struct type type)
{
    if (s->attr_count == s->attr_cap) {
        s->attr_cap = s->attr_cap ? s->attr_cap * 2 : 64;
        struct attr *more = ARENA_ARRAY(s->arena, struct attr, s->attr_cap);
        if (s->attr_count)
            memcpy(more, s->attrs, s->attr_count * sizeof(*more));
        s->attrs = more;
    }
    s->attrs[s->attr_count] = (struct attr){.name = name, .type = type};
    return s->attr_count++;
}

struct expr *attr_expr(struct sql_bound *s, uint32_t attr)
{
    return expr_column(s->arena, attr, s->attrs[attr].type);
}

struct rel *rel_new(struct sql_bound *s, enum rel_kind kind, uint32_t input_count, uint32_t attr_count)
{
    struct rel *r = ARENA_NEW(s->arena, struct rel);
    r->kind = kind;
    r->input_count = input_count;
    r->inputs = ARENA_ARRAY(s->arena, struct rel *, input_count + 1);
    r->attr_count = attr_count;
    r->attrs = ARENA_ARRAY(s->arena, uint32_t, attr_count + 1);
    r->size = 1;
    r->depth = 1;
    return r;
}

void rel_seal(struct rel *r)
{
    r->size = 1;
    r->depth = 1;
    r->stateful = r->kind == REL_JOIN || r->kind == REL_APPLY || r->kind == REL_AGGREGATE ||
                  r->kind == REL_SET || r->kind == REL_TOP || r->kind == REL_WINDOW || r->kind == REL_RECURSE;
    for (uint32_t i = 0; i < r->input_count; i++) {
        const struct rel *in = r->inputs[i];
        r->size += in->size;
        r->depth = in->depth + 1 > r->depth ? in->depth + 1 : r->depth;
        r->stateful |= in->stateful;
    }
}

struct rel *rel_values(struct sql_bound *s, uint32_t row_count, uint32_t count, struct expr **cells,
                       const char *const *names)
{
    struct rel *r = rel_new(s, REL_VALUES, 0, count);
    r->u.values.row_count = row_count;
    r->u.values.cells = cells;
    for (uint32_t i = 0; i < count; i++)
        r->attrs[i] = attr_new(s, names[i], cells[i]->type);
    return r;
}

struct rel *rel_filter(struct sql_bound *s, struct rel *input, struct expr *filter)
{
    struct rel *r = rel_new(s, REL_FILTER, 1, input->attr_count);
    r->inputs[0] = input;
    memcpy(r->attrs, input->attrs, input->attr_count * sizeof(*r->attrs));
    r->u.filter = filter;
    rel_seal(r);
    return r;
}

struct rel *rel_top(struct sql_bound *s, struct rel *input)
{
    struct rel *r = rel_new(s, REL_TOP, 1, input->attr_count);
    r->inputs[0] = input;
    memcpy(r->attrs, input->attrs, input->attr_count * sizeof(*r->attrs));
    rel_seal(r);
    return r;
}

struct rel *rel_expand(struct sql_bound *s, struct rel *input, const struct rel *e, const uint32_t *attrs)
{
    uint32_t own = input->attr_count, added = expand_added(e);
    struct rel *r = rel_new(s, REL_EXPAND, 1, own + added);
    r->inputs[0] = input;
    r->u.expand = e->u.expand;
    memcpy(r->attrs, input->attrs, own * sizeof(*attrs));
    memcpy(r->attrs + own, attrs, added * sizeof(*attrs));
    rel_seal(r);
    return r;
}

struct rel *rel_map(struct sql_bound *s, struct rel *input, uint32_t count, struct expr **exprs,
                    const char *const *names)
{
    struct rel *r = rel_new(s, REL_MAP, 1, count);
    r->inputs[0] = input;
    r->u.exprs = exprs;
    for (uint32_t i = 0; i < count; i++)
        r->attrs[i] = attr_new(s, names[i], exprs[i]->type);
    rel_seal(r);
    return r;
}

struct rel *rel_flatmap_over(struct sql_bound *s, struct rel *input, const struct rel *like)
{
    uint32_t n = input->attr_count, made = like->u.flatmap.made_count;
    struct rel *r = rel_new(s, REL_FLATMAP, 1, n + made);
    r->inputs[0] = input;
    r->u.flatmap = like->u.flatmap;
    memcpy(r->attrs, input->attrs, n * sizeof(*r->attrs));
    memcpy(r->attrs + n, like->attrs + like->attr_count - made, made * sizeof(*r->attrs));
    rel_seal(r);
    return r;
}

struct rel *rel_flatmap(struct sql_bound *s, struct rel *input, uint32_t call_count,
                        const struct rel_set_call *calls, bool ordinality, const char *const *names)
{
    uint32_t n = input->attr_count, made = ordinality;
    for (uint32_t i = 0; i < call_count; i++)
        made += calls[i].column_count;
    struct rel *r = rel_new(s, REL_FLATMAP, 1, n + made);
    r->inputs[0] = input;
    r->u.flatmap.call_count = call_count;
    r->u.flatmap.calls = calls;
    r->u.flatmap.made_count = made;
    r->u.flatmap.ordinality = ordinality;
    memcpy(r->attrs, input->attrs, n * sizeof(*r->attrs));
    uint32_t at = 0;
    for (uint32_t i = 0; i < call_count; i++)
        for (uint32_t c = 0; c < calls[i].column_count; c++, at++)
            r->attrs[n + at] = attr_new(s, names[at], calls[i].types[c]);
    if (ordinality)
        r->attrs[n + at] = attr_new(s, names[at], (struct type){T_INT8, -1});
    rel_seal(r);
    return r;
}

static struct rel *join_of(struct sql_bound *s, enum rel_kind rel_kind, enum rel_join_kind kind,
                           struct rel *left, struct rel *right, struct expr *on, uint32_t more)
{
    uint32_t right_count = join_keeps_left_only(kind) ? 0 : right->attr_count;
    struct rel *r = rel_new(s, rel_kind, 2, left->attr_count + right_count + more);
    r->inputs[0] = left;
    r->inputs[1] = right;
    memcpy(r->attrs, left->attrs, left->attr_count * sizeof(*r->attrs));
    memcpy(r->attrs + left->attr_count, right->attrs, right_count * sizeof(*r->attrs));
    r->u.join.kind = kind;
    r->u.join.on = on;
    rel_seal(r);
    return r;
}

struct rel *rel_join(struct sql_bound *s, enum rel_join_kind kind, struct rel *left, struct rel *right,
                     struct expr *on)
{
    ASSERT(kind != REL_MARK && kind != REL_ONE);
    return join_of(s, REL_JOIN, kind, left, right, on, 0);
}

struct rel *rel_apply(struct sql_bound *s, enum rel_join_kind kind, struct rel *left, struct rel *right,
                      struct expr *on)
{
    ASSERT(kind != REL_MARK);
    return join_of(s, REL_APPLY, kind, left, right, on, 0);
}

struct rel *rel_mark(struct sql_bound *s, enum rel_kind kind, struct rel *left, struct rel *right,
                     struct expr *on, bool three_valued, uint32_t mark)
{
    struct rel *r = join_of(s, kind, REL_MARK, left, right, on, 1);
    r->attrs[left->attr_count] = mark;
    r->u.join.three_valued = three_valued;
    return r;
}
