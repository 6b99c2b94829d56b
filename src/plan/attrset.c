/* Sets of attributes, as bits. */
#include "plan/planner.h"

void attrset_add(struct planner *p, struct attrset *s, uint32_t attr)
{
    uint32_t word = attr / 64;
    if (word >= s->word_count) {
        uint32_t count = p->s->attr_count / 64 + 1;
        count = count > word ? count : word + 1;
        uint64_t *more = ARENA_ARRAY(p->arena, uint64_t, count);
        if (s->word_count)
            memcpy(more, s->words, s->word_count * sizeof(*more));
        s->words = more;
        s->word_count = count;
    }
    s->words[word] |= UINT64_C(1) << (attr % 64);
}

bool attrset_has(const struct attrset *s, uint32_t attr)
{
    return attr / 64 < s->word_count && (s->words[attr / 64] >> (attr % 64) & 1);
}

void attrset_add_rel(struct planner *p, struct attrset *s, const struct rel *r)
{
    for (uint32_t i = 0; i < r->attr_count; i++)
        attrset_add(p, s, r->attrs[i]);
}

struct visit {
    struct planner *p;
    struct attrset *add;
    const struct attrset *test;
    bool all, any;
};

static void visit_add(void *context, uint32_t attr)
{
    struct visit *v = context;
    attrset_add(v->p, v->add, attr);
}

static void visit_test(void *context, uint32_t attr)
{
    struct visit *v = context;
    bool has = attrset_has(v->test, attr);
    v->all &= has;
    v->any |= has;
}

void attrset_add_expr(struct planner *p, struct attrset *s, const struct expr *e)
{
    struct visit v = {.p = p, .add = s};
    if (e)
        expr_columns(e, visit_add, &v);
}

bool attrset_covers(const struct attrset *s, const struct expr *e)
{
    struct visit v = {.test = s, .all = true};
    expr_columns(e, visit_test, &v);
    return v.all;
}

bool attrset_meets(const struct attrset *s, const struct expr *e)
{
    struct visit v = {.test = s};
    expr_columns(e, visit_test, &v);
    return v.any;
}
