/* GET /admin/views/NAME/errors: the rows that a view leaves out because an expression fails for them, with the causes. They
 * show values of columns that the view may not show, so reading them is allowed apart. */
#include "base/nearest.h"
#include "serve/out.h"
#include "serve/rest.h"
#include "store/error_store.h"

static bool may_read_errors(const struct rest *r, struct problem *p)
{
    if (r->errors_read)
        return true;
    problem_set(p, 401, "PENSTOCK_ERRORS", "Anonymous access to error rows is disabled");
    return problem_hint(p, "`penstock errors` on the machine lists them; access: { errors: read } in "
                           "penstock.yaml lets everyone read them.");
}

static const struct catalog_view *find_view(const struct rest *r, struct slice name, struct problem *p)
{
    struct nearest n;
    char text[128];
    snprintf(text, sizeof text, "%.*s", TEXT_QUOTED(name, 100));
    nearest_init(&n, text);
    for (uint32_t i = 0; i < r->world->view_count; i++) {
        if (!catalog_publishes(r->world->catalog, i))
            continue;
        if (slice_is(name, r->world->views[i].cv->name))
            return r->world->views[i].cv;
        nearest_offer(&n, r->world->views[i].cv->name);
    }
    problem_set(p, 404, "PENSTOCK_VIEW", "no view '%s' is published", text);
    if (n.best)
        problem_hint(p, "Perhaps you meant the view '%s'", n.best);
    return NULL;
}

void errors_answer(struct rest *r, struct slice view, struct answer *a)
{
    if (!may_read_errors(r, &a->problem))
        return;
    if (!r->world) {
        problem_set(&a->problem, 503, "PENSTOCK_STARTING", "no view is ready yet");
        a->problem.retry_after_s = 1;
        return;
    }
    const struct catalog_view *v = find_view(r, view, &a->problem);
    if (!v)
        return;
    /* Looked at before the snapshot is taken: what is whole by then is so in the snapshot. */
    bool whole = v->slot >= GATE_VIEWS_MAX || r->gate->views[v->slot].state != VIEW_BUILDING;
    if (!rest_snapshot_begin(r, -1, NULL, &a->problem))
        return;
    struct buf list = {0};
    struct error_summary s;
    error_store_read(r->snapshot, r->world->catalog, v, whole, &list, &s);
    a->content_type = "application/json; charset=utf-8";
    OUT_LIT(a->body, "{\"view\":");
    out_json_cstr(a->body, v->name);
    buf_printf(a->body, ",\"epoch\":%llu,", (unsigned long long)store_snapshot_epoch(r->snapshot));
    error_summary_put(a->body, &s);
    OUT_LIT(a->body, ",\"errors\":");
    buf_put(a->body, list.p, list.len);
    OUT_LIT(a->body, "}");
    store_snapshot_end(r->snapshot);
    buf_fini(&list);
}
