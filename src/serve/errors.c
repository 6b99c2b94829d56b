/* GET /admin/views/NAME/errors: the rows that a view leaves out because an expression fails for them, with the causes. They
 * show values of columns that the view may not show, so reading them is allowed apart. */
#include "base/nearest.h"
#include "serve/out.h"
#include "serve/rest.h"
#include "store/error_store.h"
#include "store/quarantine.h"

static bool may_read_errors(const struct rest *r, struct problem *p)
{
    const struct policy_role *role = r->world ? policy_role(r->world->policy, r->caller->role) : NULL;
    bool unknown = r->caller->kind == CALLER_ANONYMOUS;
    if (!caller_ok(r->caller, p))
        return false;
    if (r->errors_read || (role && role->admin))
        return true;
    problem_set(p, unknown ? 401 : 403, "PENSTOCK_ERRORS",
                unknown ? "Anonymous access to error rows is disabled" : "this role may not read error rows");
    return problem_hint(p, "`penstock errors` on the machine lists them; access: { errors: read } in "
                           "penstock.yaml lets everyone read them, access.admin the roles that it names.");
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

/* Names that clients make up must not reach the reader, which remembers each. */
enum bad_table { BAD_TABLE_NO_SOURCE, BAD_TABLE_STARTING, BAD_TABLE_NONE, BAD_TABLE_LISTED };

static enum bad_table find_bad_table(const struct rest *r, const char *source, const char *table)
{
    const struct gate *g = r->gate;
    uint32_t s = 0, sources = g->source_count < GATE_SOURCES_MAX ? g->source_count : GATE_SOURCES_MAX;
    while (s < sources && strcmp(g->sources[s].name, source) != 0)
        s++;
    if (s == sources)
        return BAD_TABLE_NO_SOURCE;
    uint32_t count = g->bad_table_count;
    for (uint32_t i = 0; i < count && i < GATE_BAD_TABLES_MAX; i++)
        if (g->bad_tables[i].source == s &&
            strncmp(g->bad_tables[i].name, table, sizeof g->bad_tables[i].name - 1) == 0)
            return BAD_TABLE_LISTED;
    bool complete = g->pipeline_state == PIPELINE_RUNNING || g->pipeline_state == PIPELINE_PAUSED;
    return complete ? BAD_TABLE_NONE : BAD_TABLE_STARTING;
}

/* GET /admin/sources/SOURCE/TABLE/errors: rows of a table that cannot be read, as they were delivered. */
void bad_rows_answer(struct rest *r, struct slice source, struct slice table, struct answer *a)
{
    if (!may_read_errors(r, &a->problem))
        return;
    if (!r->world) {
        problem_set(&a->problem, 503, "PENSTOCK_STARTING", "no view is ready yet");
        a->problem.retry_after_s = 1;
        return;
    }
    char source_name[256], table_name[256];
    snprintf(source_name, sizeof source_name, "%.*s", TEXT_QUOTED(source, 255));
    snprintf(table_name, sizeof table_name, "%.*s", TEXT_QUOTED(table, 255));
    struct quarantine_sum sum = {0};
    uint32_t shards = r->world->catalog->shard_count;
    enum bad_table known = find_bad_table(r, source_name, table_name);
    if (known == BAD_TABLE_STARTING) {
        problem_set(&a->problem, 503, "PENSTOCK_STARTING", "not known yet");
        a->problem.retry_after_s = 1;
        return;
    }
    if (!rest_snapshot_begin(r, -1, NULL, &a->problem))
        return;
    if (known != BAD_TABLE_NO_SOURCE) {
        struct buf list = {0};
        bool there = known == BAD_TABLE_LISTED &&
                     quarantine_read_sum(r->snapshot, shards, source_name, table_name, &sum);
        uint64_t listed =
            there ? quarantine_read_list(r->snapshot, shards, source_name, table_name, &list) : 0;
        if (!there)
            OUT_LIT(&list, "[]");
        a->content_type = "application/json; charset=utf-8";
        OUT_LIT(a->body, "{\"source\":");
        out_json_cstr(a->body, source_name);
        OUT_LIT(a->body, ",\"table\":");
        out_json_cstr(a->body, table_name);
        buf_printf(a->body, ",\"epoch\":%llu,\"rows\":%llu,\"listed\":%llu,\"errors\":",
                   (unsigned long long)store_snapshot_epoch(r->snapshot), (unsigned long long)sum.rows,
                   (unsigned long long)listed);
        buf_put(a->body, list.p, list.len);
        OUT_LIT(a->body, "}");
        buf_fini(&list);
    } else {
        problem_set(&a->problem, 404, "PENSTOCK_SOURCE", "there is no source '%.*s'",
                    TEXT_QUOTED_CSTR(source_name, 64));
    }
    store_snapshot_end(r->snapshot);
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
