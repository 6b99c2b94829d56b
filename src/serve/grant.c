/* See grant.h. A rule's condition is evaluated by the operators' evaluator over a batch of one row: the view's columns, and behind
 * them the caller's claims as further columns. */
#include "serve/grant.h"
#include "ops/eval.h"
#include "serve/filter.h"
#include "serve/out.h"

#include <stdlib.h>

struct grant_evaluator { /* of one rule, made when it is first needed */
    struct eval *rows;
    struct eval **binds;
    struct batch batch;
};

/* ---- evaluators ---- */

static void make(struct grant_evaluator *e, const struct policy_rule *rule)
{
    e->batch.row_count = 1;
    e->batch.column_count = rule->schema->column_count + rule->rows.claim_count;
    e->batch.cols = xcalloc(e->batch.column_count + 1, sizeof *e->batch.cols);
    e->rows = eval_new_sized(rule->rows.expr, 1);
    e->binds = xcalloc(rule->bind_count + 1, sizeof *e->binds);
    for (uint32_t i = 0; i < rule->bind_count; i++)
        e->binds[i] = eval_new_sized(rule->binds[i].value, 1);
}

static struct grant_evaluator *evaluator(struct rest *r, const struct policy_rule *rule)
{
    if (UNLIKELY(!r->evaluators))
        r->evaluators = xcalloc(r->world->policy->rule_count + 1, sizeof *r->evaluators);
    struct grant_evaluator *e = &r->evaluators[rule->number];
    if (UNLIKELY(!e->rows))
        make(e, rule);
    return e;
}

void grant_evaluators_free(struct rest *r)
{
    uint32_t count = r->evaluators ? r->world->policy->rule_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct grant_evaluator *e = &r->evaluators[i];
        for (uint32_t k = 0; e->binds && e->binds[k]; k++)
            eval_free(e->binds[k]);
        eval_free(e->rows);
        free(e->binds);
        free(e->batch.cols);
    }
    free(r->evaluators);
    r->evaluators = NULL;
}

static void set_claims(struct grant_evaluator *e, const struct grant *g)
{
    uint32_t n = g->rule->schema->column_count;
    for (uint32_t i = 0; i < g->rule->rows.claim_count; i++) /* they are read alone */
        e->batch.cols[n + i] =
            (struct vec){(union val *)(uintptr_t)&g->claims[i], (uint8_t *)(uintptr_t)&g->claim_states[i]};
}

/* ---- what a caller may see ---- */

static void take_claims(struct rest *r, struct arena *a, const struct policy_rule *rule, struct grant *out)
{
    uint32_t n = rule->rows.claim_count;
    union val *vals = ARENA_ARRAY(a, union val, n + 1);
    uint8_t *states = ARENA_ARRAY(a, uint8_t, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct slice v = caller_claim(r->caller, rule->rows.claims[i]);
        states[i] = v.p ? VAL_OK : VAL_NULL;
        if (v.p)
            vals[i].s =
                (struct str){arena_memdup(a, v.len ? (const void *)v.p : "", v.len), (uint32_t)v.len, 0};
    }
    out->claims = vals;
    out->claim_states = states;
}

static struct cond *test(struct arena *a, const struct policy_rule *rule, const struct policy_bind *b)
{
    struct cond *c = ARENA_NEW(a, struct cond);
    c->kind = COND_TEST;
    c->op = OP_EQ;
    c->column = b->column;
    c->from = c->type = rule->schema->columns[b->column].type.id;
    c->vals = ARENA_NEW(a, union val);
    c->text_count = c->value_count = 1;
    return c;
}

/* column = value with the value of these claims. One that is NULL or fails lets no row through; then the bound is left out, and the
 * condition itself decides. */
static void narrow(struct rest *r, struct arena *a, struct grant *out)
{
    const struct policy_rule *rule = out->rule;
    struct cond *all = ARENA_NEW(a, struct cond);
    struct grant_evaluator *e = evaluator(r, rule);
    *all = (struct cond){.kind = COND_AND, .args = ARENA_ARRAY(a, struct cond *, rule->bind_count + 1)};
    set_claims(e, out);
    for (uint32_t i = 0; i < rule->bind_count; i++) {
        struct vec v = eval_run(e->binds[i], &e->batch);
        if (v.state[0] != VAL_OK)
            continue;
        struct cond *c = test(a, rule, &rule->binds[i]);
        c->vals[0] = val_copy(a, type_phys(c->type), v.v[0]);
        all->args[all->arg_count++] = c;
    }
    out->narrow = all->arg_count ? all : NULL;
}

static const struct policy_rule *rule_of(const struct rest *r, const struct world_api *api)
{
    const struct policy *p = r->world->policy;
    if (!p->role_count || r->trusted)
        return NULL;
    return policy_rule(p, policy_role(p, r->caller->role), api->index);
}

bool grant_shows(const struct rest *r, const struct world_api *api)
{
    return rule_of(r, api) || r->anonymous_read;
}

bool grant_everything(const struct rest *r, struct problem *p)
{
    for (uint32_t i = 0; r->world && i < r->world->api_count; i++) {
        const struct policy_rule *rule = rule_of(r, &r->world->apis[i]);
        if (rule ? rule->columns != NULL : !r->anonymous_read)
            return problem_set(p, r->caller->kind == CALLER_ANONYMOUS ? 401 : 403, "42501",
                               "permission denied: this document shows every api and column");
    }
    return true;
}

static bool denied(const struct rest *r, const struct world_api *api, struct problem *p)
{
    bool unknown = r->caller->kind == CALLER_ANONYMOUS;
    problem_set(p, unknown ? 401 : 403, "42501", "permission denied for api %s", api->path);
    return problem_hint(p, unknown ? "Send a token: Authorization: Bearer TOKEN"
                                   : "No role of this token may read it; `penstock contract` tells who may.");
}

bool grant_of(struct rest *r, struct arena *a, const struct world_api *api, struct grant *out,
              struct problem *p)
{
    const struct policy_rule *rule = rule_of(r, api);
    *out = (struct grant){.rule = rule, .columns = rule ? rule->columns : NULL};
    if (!caller_ok(r->caller, p))
        return false;
    if (!rule)
        return r->anonymous_read || denied(r, api, p);
    if (rule->has_rows) {
        take_claims(r, a, rule, out);
        narrow(r, a, out);
    }
    return true;
}

bool grant_same(const struct grant *a, const struct grant *b)
{
    if (a->rule != b->rule || grant_every_row(a))
        return a->rule == b->rule;
    for (uint32_t i = 0; i < a->rule->rows.claim_count; i++) {
        const struct str *x = &a->claims[i].s, *y = &b->claims[i].s;
        if (a->claim_states[i] != b->claim_states[i])
            return false;
        if (a->claim_states[i] == VAL_OK && (x->len != y->len || memcmp(x->p, y->p, x->len) != 0))
            return false;
    }
    return true;
}

bool grant_key(const struct grant *g, const struct world_view *v)
{
    for (uint32_t i = 0; i < v->key_count; i++)
        if (!grant_column(g, v->row_key[i].column))
            return false;
    return true;
}

/* ---- rows ---- */

bool grant_row(struct rest *r, const struct grant *g, const union val *vals, const uint8_t *states)
{
    if (LIKELY(grant_every_row(g)))
        return true;
    const struct policy_rule *rule = g->rule;
    struct grant_evaluator *e = evaluator(r, rule);
    set_claims(e, g);
    for (uint32_t i = 0; i < rule->mentioned_count; i++) {
        uint32_t c = rule->mentioned[i];
        e->batch.cols[c] = (struct vec){(union val *)(uintptr_t)&vals[c], (uint8_t *)(uintptr_t)&states[c]};
    }
    struct vec v = eval_run(e->rows, &e->batch);
    return v.state[0] == VAL_OK && v.v[0].i != 0;
}

bool read_match(struct rest *r, const struct read *rd, const union val *vals, const uint8_t *states)
{
    return grant_row(r, &rd->grant, vals, states) && filter_match(&r->fn, rd->query.filter, vals, states);
}

struct query grant_narrowed(struct arena *a, const struct read *rd)
{
    struct query q = rd->query;
    if (!rd->grant.narrow)
        return q;
    struct cond *all = ARENA_NEW(a, struct cond);
    *all = (struct cond){.kind = COND_AND, .args = ARENA_ARRAY(a, struct cond *, 2)};
    all->args[all->arg_count++] = rd->grant.narrow;
    if (q.filter)
        all->args[all->arg_count++] = q.filter;
    q.filter = all;
    return q;
}
