/* Which views are embedded, and their queries bound; see embed.h. */
#include "base/nearest.h"
#include "serve/embed.h"
#include "serve/grant.h"
#include "serve/out.h"

struct binder {
    struct rest *rest;
    struct arena *arena;
    struct fn_ctx *fn;
    struct problem *problem;
};

static bool bind_read(struct binder *b, struct read *rd);

/* ---- relations ---- */

static bool column_named(const struct world_api *api, const uint32_t *columns, uint32_t count,
                         struct slice name)
{
    return count == 1 && slice_is(name, api->view->schema->columns[columns[0]].name);
}

/* The target is named by its path; or the relation is, by its name or column, from the end that makes it. */
static bool target_fits(const struct world_api *origin, const struct world_relation *r, struct slice name)
{
    if (r->target == origin && r->inverse == false && slice_is(name, r->target->path))
        return false; /* of two ways to the same view its name means the way back: parents are named by the column */
    if (slice_is(name, r->target->path))
        return true;
    return !r->inverse && (slice_is(name, r->name) || column_named(origin, r->own, r->count, name));
}

/* The reference by its name or its column, whichever end it is seen from. */
static bool hint_fits(const struct world_api *origin, const struct world_relation *r, struct slice hint)
{
    const struct world_api *from = r->inverse ? r->target : origin;
    return hint.len == 0 || slice_is(hint, r->name) ||
           column_named(from, r->inverse ? r->other : r->own, r->count, hint);
}

static bool no_relation(struct binder *b, const struct world_api *origin, const struct query_embed *e)
{
    struct nearest near;
    const char *name =
        arena_strndup(b->arena, (const char *)e->name.p, e->name.len < 100 ? e->name.len : 100);
    problem_set(b->problem, 400, "PGRST200",
                "Could not find a relationship between '%s' and '%s' in the schema cache", origin->path,
                name);
    problem_details(b->problem,
                    "Searched for a reference between '%s' and '%s'%s%.*s%s, but no matches were found.",
                    origin->path, name, e->hint.len ? " using the hint '" : "", TEXT_QUOTED(e->hint, 60),
                    e->hint.len ? "'" : "");
    nearest_init(&near, name);
    for (uint32_t i = 0; i < origin->relation_count; i++)
        if (grant_shows(b->rest, origin->relations[i].target))
            nearest_offer(&near, origin->relations[i].target->path);
    if (near.best && near.distance)
        return problem_hint(b->problem, "Perhaps you meant '%s' instead of '%s'.", near.best, name);
    return problem_hint(
        b->problem,
        "Declare it in penstock.yaml at the api whose column holds the other's key: apis: { API: { "
        "references: { COLUMN: OTHER } } }");
}

static bool ambiguous(struct binder *b, const struct world_api *origin, const struct query_embed *e,
                      const struct world_relation *const *found, uint32_t count)
{
    struct buf details = {0}, hint = {0};
    for (uint32_t i = 0; i < count; i++) {
        buf_printf(&details, "%s%s with %s by %s", i ? "; " : "", origin->path, found[i]->target->path,
                   found[i]->name);
        buf_printf(&hint, "%s'%.*s!%s'", i ? ", " : "", TEXT_QUOTED(e->name, 60), found[i]->name);
    }
    problem_set(b->problem, 300, "PGRST201",
                "Could not embed because more than one relationship was found for '%s' and '%.*s'",
                origin->path, TEXT_QUOTED(e->name, 100));
    problem_details(b->problem, "%.*s", (int)details.len, (const char *)details.p);
    problem_hint(b->problem, "Try changing '%.*s' to one of the following: %.*s.", TEXT_QUOTED(e->name, 100),
                 (int)hint.len, (const char *)hint.p);
    buf_fini(&details);
    buf_fini(&hint);
    return false;
}

/* What the caller may not see is not there: neither the other api nor the columns that lead to it. */
static bool may_follow(struct binder *b, const struct read *from, const struct world_relation *r,
                       struct read *out)
{
    struct problem quiet;
    problem_init(&quiet, b->arena);
    *out = (struct read){.api = r->target, .view = r->target->view};
    if (!grant_of(b->rest, b->arena, r->target, &out->grant, &quiet))
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        if (!grant_column(&from->grant, r->own[i]) || !grant_column(&out->grant, r->other[i]))
            return false;
    return true;
}

static bool find_relation(struct binder *b, const struct read *rd, struct query_embed *e)
{
    const struct world_api *origin = rd->api;
    const struct world_relation *found[8];
    uint32_t count = 0;
    e->read = ARENA_NEW(b->arena, struct read);
    for (uint32_t i = 0; i < origin->relation_count; i++) {
        const struct world_relation *r = &origin->relations[i];
        struct read opened;
        if (count == ARRAY_COUNT(found) || !target_fits(origin, r, e->name) ||
            !hint_fits(origin, r, e->hint) || !may_follow(b, rd, r, &opened))
            continue;
        *e->read = opened;
        found[count++] = r;
    }
    if (count != 1)
        return count ? ambiguous(b, origin, e, found, count) : no_relation(b, origin, e);
    e->relation = found[0];
    return !(e->spread && e->relation->many) ||
           (problem_set(b->problem, 400, "PGRST119", "A spread operation on '%.*s' is not possible",
                        TEXT_QUOTED(e->name, 100)),
            problem_details(b->problem,
                            "'%s' and '%.*s' do not form a many-to-one or one-to-one relationship",
                            origin->path, TEXT_QUOTED(e->name, 100)));
}

/* ---- the query of one ---- */

static struct cond *and_with(struct arena *a, struct cond *filter, struct cond **more, uint32_t count)
{
    struct cond *all = ARENA_NEW(a, struct cond);
    all->kind = COND_AND;
    all->args = ARENA_ARRAY(a, struct cond *, count + 1);
    memcpy(all->args, more, count * sizeof *more);
    all->arg_count = count;
    if (filter)
        all->args[all->arg_count++] = filter;
    return all;
}

/* Conditions on the relation's columns: one value each, that of the outer row. */
static void relation_conds(struct binder *b, struct query_embed *e)
{
    const struct world_relation *r = e->relation;
    struct query *q = &e->read->query;
    e->eq = ARENA_ARRAY(b->arena, struct cond *, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        struct cond *c = e->eq[i] = ARENA_NEW(b->arena, struct cond);
        *c = (struct cond){.kind = COND_TEST, .op = OP_EQ, .column = r->other[i]};
        c->from = c->type = e->read->view->schema->columns[c->column].type.id;
        c->vals = ARENA_NEW(b->arena, union val);
        c->value_count = 1;
    }
    q->filter = and_with(b->arena, q->filter, e->eq, r->count);
}

static bool bind_embed(struct binder *b, const struct read *rd, struct query_embed *e)
{
    if (!find_relation(b, rd, e))
        return false;
    e->read->query = e->query;
    if (!bind_read(b, e->read))
        return false;
    relation_conds(b, e);
    e->probe = ARENA_NEW(b->arena, struct read);
    *e->probe = *e->read;
    e->probe->query.order_count = 0;
    if (!e->probe->query.has_limit || e->probe->query.limit > 1)
        e->probe->query.limit = 1;
    return true;
}

/* ---- what the outer query asks of them ---- */

/* is.null of an embedded view; any other test of one is none. True: the tree asks about some. */
static bool mark_cond(struct binder *b, const struct read *rd, struct cond *c)
{
    bool any = false;
    for (uint32_t i = 0; i < c->arg_count; i++)
        any |= mark_cond(b, rd, c->args[i]);
    if (c->kind != COND_TEST || c->path || !(c->embed = query_embed_find(&rd->query, c->name)))
        return any;
    if (c->op != OP_IS || (c->is != IS_NULL && c->is != IS_NOT_NULL)) {
        if (schema_find(grant_schema(&rd->grant, rd->view), c->name) < 0)
            problem_set(b->problem, 400, "PGRST120",
                        "Bad operator on the '%.*s' embedded resource: only is null or not is null filters "
                        "are allowed",
                        TEXT_QUOTED(c->name, 100));
        c->embed = NULL;
        return any;
    }
    c->embed->asked = true;
    for (uint32_t i = 0; i < rd->query.embed_count; i++)
        if (rd->query.embeds[i] == c->embed)
            c->column = rd->view->schema->column_count + i;
    return true;
}

/* The part of the filter that asks about embedded views is looked at last. */
static bool split_filter(struct binder *b, struct read *rd)
{
    struct query *q = &rd->query;
    struct cond *f = q->filter;
    if (!f)
        return true;
    bool list = f->kind == COND_AND && !f->negate;
    uint32_t n = list ? f->arg_count : 1, plain = 0, embeds = 0;
    struct cond **of = list ? f->args : &q->filter, **first = ARENA_ARRAY(b->arena, struct cond *, n),
                **second = ARENA_ARRAY(b->arena, struct cond *, n);
    for (uint32_t i = 0; i < n; i++) {
        struct cond *c = of[i];
        if (mark_cond(b, rd, c))
            second[embeds++] = c;
        else
            first[plain++] = c;
    }
    if (!embeds)
        return !b->problem->status;
    q->filter = plain ? and_with(b->arena, NULL, first, plain) : NULL;
    q->embed_filter = and_with(b->arena, NULL, second, embeds);
    return !b->problem->status;
}

static void inner_joins(struct binder *b, struct read *rd)
{
    struct query *q = &rd->query;
    for (uint32_t i = 0; i < q->embed_count; i++) {
        if (q->embeds[i]->join != EMBED_INNER)
            continue;
        struct cond *c = ARENA_NEW(b->arena, struct cond);
        *c = (struct cond){.kind = COND_TEST, .op = OP_IS, .is = IS_NOT_NULL, .embed = q->embeds[i]};
        c->column = rd->view->schema->column_count + i;
        q->embeds[i]->asked = true;
        q->embed_filter = and_with(b->arena, q->embed_filter, &c, 1);
    }
}

static bool bind_order(struct binder *b, const struct read *rd, struct order_item *o)
{
    struct query one = {.order_count = 1, .order = o};
    struct slice embed_name = o->embed_name;
    if (!embed_name.len)
        return true;
    o->embed = query_embed_find(&rd->query, embed_name);
    if (!o->embed) {
        problem_set(b->problem, 400, "PGRST108", "'%.*s' is not an embedded resource in this request",
                    TEXT_QUOTED(embed_name, 100));
        return problem_hint(b->problem, "Verify that '%.*s' is included in the 'select' query parameter.",
                            TEXT_QUOTED(embed_name, 100));
    }
    if (o->embed->relation->many) {
        problem_set(b->problem, 400, "PGRST118", "A related order on '%.*s' is not possible",
                    TEXT_QUOTED(embed_name, 100));
        return problem_details(b->problem,
                               "'%s' and '%.*s' do not form a many-to-one or one-to-one relationship",
                               rd->api->path, TEXT_QUOTED(embed_name, 100));
    }
    const struct read *to = o->embed->read;
    o->embed_name.len = 0; /* a column of that view's own, for the while of binding it */
    one.select_none = true;
    bool ok =
        query_bind(b->arena, b->fn, to->api->path, grant_schema(&to->grant, to->view), &one, b->problem);
    o->embed_name = embed_name;
    return ok;
}

static bool bind_read(struct binder *b, struct read *rd)
{
    struct query *q = &rd->query;
    if (q->embed_count && !split_filter(b, rd))
        return false;
    if (!query_bind(b->arena, b->fn, rd->api->path, grant_schema(&rd->grant, rd->view), q, b->problem))
        return false;
    if (q->embed_filter) { /* columns beside them in a tree */
        struct query rest = {.filter = q->embed_filter, .select_none = true};
        if (!query_bind(b->arena, b->fn, rd->api->path, grant_schema(&rd->grant, rd->view), &rest,
                        b->problem))
            return false;
    }
    for (uint32_t i = 0; i < q->embed_count; i++)
        if (!bind_embed(b, rd, q->embeds[i]))
            return false;
    inner_joins(b, rd);
    for (uint32_t i = 0; i < q->order_count; i++)
        if (!bind_order(b, rd, &q->order[i]))
            return false;
    projection_init(b->arena, q->select, q->select_count, &rd->projection);
    return true;
}

bool embed_bind(struct rest *r, struct arena *a, struct fn_ctx *fn, struct read *rd, struct problem *p)
{
    struct binder b = {r, a, fn, p};
    return bind_read(&b, rd);
}

/* ---- all of them ---- */

bool embed_ready(struct rest *r, const struct read *rd, struct problem *p)
{
    uint32_t hides = r->hides;
    for (uint32_t i = 0; i < rd->query.embed_count; i++) {
        struct query_embed *e = rd->query.embeds[i];
        if (!rest_ready(r, e->read->view, p))
            return false;
        e->hides = r->hides;
        if (!embed_ready(r, e->read, p))
            return false;
    }
    r->hides = hides;
    return true;
}

bool embed_still_ready(struct rest *r, const struct read *rd, struct problem *p)
{
    for (uint32_t i = 0; i < rd->query.embed_count; i++) {
        const struct query_embed *e = rd->query.embeds[i];
        if (!rest_still_ready(r, e->read->view, e->hides, p) || !embed_still_ready(r, e->read, p))
            return false;
    }
    return true;
}

void embed_mark(struct rest *r, const struct read *rd, struct answer *a)
{
    for (uint32_t i = 0; i < rd->query.embed_count; i++) {
        const struct read *e = rd->query.embeds[i]->read;
        int64_t lag = rest_lag_ms(r, e->view);
        a->lag_ms = lag > a->lag_ms ? lag : a->lag_ms;
        a->incomplete += rest_incomplete(r, e->view);
        embed_mark(r, e, a);
    }
}
