/* References between apis: which columns of one hold the key of a row of another. Views have their keys and types by now. */
#include "base/nearest.h"
#include "plan/planner.h"

#include <string.h>

struct reference { /* being bound */
    struct planner *p;
    const struct api_request *api;
    const struct api_request_reference *asked;
    const struct plan_view *view;
};

static bool wrong(const struct reference *r, const char *hint, char *message)
{
    struct err *e = err_at(ERR_CONFIG, r->api->file, r->asked->line, r->asked->column,
                           "api %s: reference %s: %s", r->api->path, r->asked->name, message);
    err_append(r->p->errs, hint ? err_hint(e, "%s", hint) : e);
    return false;
}

static bool find_target(const struct reference *r, uint32_t *out)
{
    struct nearest near;
    nearest_init(&near, r->asked->api);
    for (uint32_t i = r->p->first_api; i < r->p->plan->api_count; i++) {
        if (strcmp(r->p->plan->apis[i].path, r->asked->api) == 0) {
            *out = i;
            return true;
        }
        nearest_offer(&near, r->p->plan->apis[i].path);
    }
    return wrong(r, near.best ? arena_printf(r->p->arena, "did you mean %s?", near.best) : NULL,
                 arena_printf(r->p->arena, "there is no api \"%s\"", r->asked->api));
}

static bool find_column(const struct reference *r, const char *name, uint32_t *out)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < r->view->schema.column_count; i++) {
        if (strcmp(r->view->schema.columns[i].name, name) == 0) {
            *out = i;
            return true;
        }
        nearest_offer(&near, r->view->schema.columns[i].name);
    }
    return wrong(r, near.best ? arena_printf(r->p->arena, "did you mean %s?", near.best) : NULL,
                 arena_printf(r->p->arena, "\"%s\" is not a column of view %s", name, r->view->name));
}

/* Types whose values are the same in memory and in keys. */
static enum type_id family(enum type_id t)
{
    if (t == T_INT2 || t == T_INT4)
        return T_INT8;
    return t == T_VARCHAR ? T_TEXT : t;
}

static bool bind_columns(const struct reference *r, const struct plan_api *to, struct plan_reference *out)
{
    const struct plan_view *v = to->view;
    if (!v->key_count)
        return wrong(r, "state its key, if one is unique",
                     arena_printf(r->p->arena, "api %s has no key to refer to", to->path));
    if (r->asked->column_count != v->key_count)
        return wrong(r, "NAME: { columns: [...], api: ... } lists as many as the key has, in its order",
                     arena_printf(r->p->arena, "the key of api %s has %u columns, not %u", to->path,
                                  v->key_count, r->asked->column_count));
    out->column_count = v->key_count;
    out->columns = ARENA_ARRAY(r->p->arena, uint32_t, v->key_count);
    for (uint32_t i = 0; i < v->key_count; i++) {
        if (!find_column(r, r->asked->columns[i], &out->columns[i]))
            return false;
        const struct column *own = &r->view->schema.columns[out->columns[i]];
        const struct column *other = &v->schema.columns[v->key[i]];
        if (family(own->type.id) != family(other->type.id))
            return wrong(r, "cast it in the view",
                         arena_printf(r->p->arena, "\"%s\" is of type %s, \"%s\" of api %s of type %s",
                                      own->name, type_info(own->type.id)->name, other->name, to->path,
                                      type_info(other->type.id)->name));
    }
    return true;
}

void plan_references(struct planner *p)
{
    struct plan *plan = p->plan;
    for (uint32_t i = 0; i < p->api_count; i++) {
        const struct api_request *asked = &p->apis[i];
        struct plan_api *api = &plan->apis[p->first_api + i];
        api->references = ARENA_ARRAY(p->arena, struct plan_reference, asked->reference_count + 1);
        for (uint32_t k = 0; k < asked->reference_count; k++) {
            const struct reference r = {p, asked, &asked->references[k], api->view};
            struct plan_reference *out = &api->references[api->reference_count];
            out->name = arena_strdup(p->arena, r.asked->name);
            if (!find_target(&r, &out->api))
                continue;
            const struct plan_view *to = plan->apis[out->api].view;
            if (api->view && to && !p->errs[0] && bind_columns(&r, &plan->apis[out->api], out))
                api->reference_count++;
        }
    }
}
