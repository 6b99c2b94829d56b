/* Configuration -> sources -> tables -> plan -> catalog; see world.h. */
#include "cli/world.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/clock.h"
#include "types/datetime.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct err *unknown_kind(const struct config_source *s)
{
    struct nearest n;
    struct buf known = {0};
    nearest_init(&n, s->kind);
    for (uint32_t i = 0; i < source_kind_count(); i++) {
        nearest_offer(&n, source_kind_at(i)->name);
        buf_printf(&known, "%s%s", i ? ", " : "", source_kind_at(i)->name);
    }
    struct err *e = yaml_error(s->kind_at, "source %s: unknown kind '%s'", s->name, s->kind);
    e = n.best ? err_hint(e, "did you mean '%s'?", n.best)
               : err_hint(e, "known kinds: %.*s", (int)known.len, known.p);
    buf_fini(&known);
    return e;
}

static struct err *configure_sources(struct app *a)
{
    struct err *errors = NULL;
    for (uint32_t i = 0; i < a->config->source_count; i++) {
        const struct config_source *s = &a->config->sources[i];
        struct pipeline_source *p = &a->sources[i];
        if (!s->kind || !s->node)
            continue; /* reported as an error of the configuration */
        p->name = s->name;
        p->kind = source_kind_find(s->kind);
        err_append(&errors,
                   p->kind ? p->kind->configure(&a->arena, s->name, s->node, &p->conf) : unknown_kind(s));
    }
    return errors;
}

static struct app *new_app(struct config *config)
{
    struct app *a = xcalloc(1, sizeof *a);
    arena_init(&a->arena);
    a->config = config;
    a->source_count = config->source_count;
    a->sources = ARENA_ARRAY(&a->arena, struct pipeline_source, config->source_count);
    return a;
}

struct err *app_load(const char *file, struct app **out)
{
    struct config *config = NULL;
    struct err *errors = config_load(file, true, &config);
    if (!config)
        return errors;
    struct app *a = new_app(config);
    err_append(&errors, configure_sources(a));
    if (errors) {
        app_free(a);
        return errors;
    }
    *out = a;
    return NULL;
}

static void adopt_tables(struct pipeline_source *s, uint32_t index, struct table_def *tables, uint32_t count)
{
    for (uint32_t t = 0; t < count; t++) {
        tables[t].source = s->name;
        tables[t].source_index = index;
        tables[t].table_index = t;
    }
    s->tables = tables;
    s->table_count = count;
}

/* A source that is away is replaced by what was known of it; without that the error stands. */
static struct err *describe_one(struct app *a, uint32_t i, const char *cache_dir)
{
    struct pipeline_source *s = &a->sources[i];
    struct table_def *tables = NULL;
    uint32_t count = 0;
    struct err *e = s->kind->describe(&a->arena, s->conf, DESCRIBE_TIMEOUT_MS, &tables, &count);
    if (e && cache_dir && e->code != ERR_CONFIG && e->code != ERR_UNSUPPORTED) {
        struct err *cache_error = table_cache_load(cache_dir, &a->arena, s->name, &tables, &count);
        if (!cache_error && count) {
            char *text = err_text(e);
            log_warn("source", "away; going on with its tables as last seen", "source=%s error=\"%s\"",
                     s->name, text);
            free(text);
            err_free(e);
            e = NULL;
        }
        err_free(cache_error);
    }
    if (e)
        return err_wrap(e, "source %s", s->name);
    adopt_tables(s, i, tables, count);
    return NULL;
}

static void collect_tables(struct app *a)
{
    uint32_t n = 0;
    a->table_count = 0;
    for (uint32_t i = 0; i < a->source_count; i++)
        a->table_count += a->sources[i].table_count;
    a->tables = ARENA_ARRAY(&a->arena, struct table_def, a->table_count);
    for (uint32_t i = 0; i < a->source_count; i++)
        for (uint32_t t = 0; t < a->sources[i].table_count; t++)
            a->tables[n++] = a->sources[i].tables[t];
}

struct err *app_describe(struct app *a, const char *cache_dir)
{
    struct err *errors = NULL;
    for (uint32_t i = 0; i < a->source_count; i++)
        err_append(&errors, describe_one(a, i, cache_dir));
    if (errors)
        return errors;
    collect_tables(a);
    return cache_dir ? table_cache_save(cache_dir, a->sources, a->source_count) : NULL;
}

struct err *app_load_stored(const char *file, const char *dir, struct app **out)
{
    struct config *config = NULL;
    struct err *errors = config_load(file, false, &config);
    *out = NULL;
    if (errors || !config) {
        config_free(config);
        return errors;
    }
    struct app *a = new_app(config);
    for (uint32_t i = 0; i < a->source_count && !errors; i++) {
        struct table_def *tables = NULL;
        uint32_t count = 0;
        a->sources[i].name = config->sources[i].name;
        errors = table_cache_load(dir, &a->arena, a->sources[i].name, &tables, &count);
        adopt_tables(&a->sources[i], i, tables, count);
    }
    if (errors) {
        app_free(a);
        return errors;
    }
    collect_tables(a);
    *out = a;
    return NULL;
}

struct err *app_plan(struct app *a)
{
    const struct config *c = a->config;
    struct sql_text *texts = ARENA_ARRAY(&a->arena, struct sql_text, c->sql_count);
    for (uint32_t i = 0; i < c->sql_count; i++)
        texts[i] = (struct sql_text){c->sql[i].file, c->sql[i].text, c->sql[i].first_line};
    struct api_request *apis = ARENA_ARRAY(&a->arena, struct api_request, c->api_count);
    for (uint32_t i = 0; i < c->api_count; i++) {
        const struct config_api *api = &c->apis[i];
        struct api_request_reference *references =
            ARENA_ARRAY(&a->arena, struct api_request_reference, api->reference_count + 1);
        for (uint32_t k = 0; k < api->reference_count; k++)
            references[k] = (struct api_request_reference){.name = api->references[k].name,
                                                           .api = api->references[k].api,
                                                           .column_count = api->references[k].column_count,
                                                           .columns = api->references[k].columns,
                                                           .line = api->references[k].at->line,
                                                           .column = api->references[k].at->column};
        apis[i] = (struct api_request){.path = api->path,
                                       .view = api->view,
                                       .key_count = api->key_count,
                                       .key = api->key,
                                       .reference_count = api->reference_count,
                                       .references = references,
                                       .file = api->at->file,
                                       .line = api->at->line,
                                       .column = api->at->column};
    }
    plan_free(a->plan);
    a->plan = NULL;
    struct plan_input *in = ARENA_NEW(&a->arena, struct plan_input);
    *in = (struct plan_input){texts, c->sql_count, apis, c->api_count, NULL, false};
    a->parts = (struct plan_parts){a->tables, a->table_count, in, 1};
    return plan_build_all(a->tables, a->table_count, in, 1, &a->plan);
}

/* ---- catalog ---- */

static void collect_sources(const struct plan_node *n, bool *set)
{
    if (n->kind == PLAN_TABLE)
        set[n->u.table->source_index] = true;
    for (uint32_t i = 0; i < n->input_count; i++)
        collect_sources(n->inputs[i], set);
}

/* The view that has the rows. */
static const struct plan_view *stored_view(const struct plan_view *v)
{
    return v->same ? v->same : v;
}

static void copy_sources(struct arena *arena, const struct app *a, const struct plan_view *v,
                         struct catalog_view *out)
{
    bool *set = ARENA_ARRAY(arena, bool, a->source_count + 1);
    if (stored_view(v)->output) /* NULL: nothing published needs the view */
        collect_sources(stored_view(v)->output, set);
    out->sources = ARENA_ARRAY(arena, uint32_t, a->source_count + 1);
    for (uint32_t i = 0; i < a->source_count; i++)
        if (set[i])
            out->sources[out->source_count++] = i;
}

static void copy_indexes(struct arena *arena, const struct plan_view *v, struct catalog_view *out)
{
    out->index_count = v->index_count;
    out->indexes = ARENA_ARRAY(arena, struct catalog_index, v->index_count + 1);
    for (uint32_t i = 0; i < v->index_count; i++) {
        const struct plan_index *x = &v->indexes[i];
        out->indexes[i].name = arena_strdup(arena, x->name);
        out->indexes[i].column_count = x->column_count;
        out->indexes[i].columns = arena_memdup(arena, x->columns, x->column_count * sizeof *x->columns);
    }
}

static void collect_error_nodes(const struct plan_node *n, bool *seen, struct catalog_view *out)
{
    if (seen[n->id])
        return;
    seen[n->id] = true;
    if (plan_may_fail(n))
        out->error_nodes[out->error_node_count++] = n->id;
    for (uint32_t i = 0; i < n->input_count; i++)
        collect_error_nodes(n->inputs[i], seen, out);
}

static void copy_view(struct arena *arena, const struct app *a, const struct plan *plan,
                      const struct plan_view *v, struct catalog_view *out)
{
    out->name = arena_strdup(arena, v->name);
    out->slot = v->view_index;
    out->schema.column_count = v->schema.column_count;
    out->schema.columns =
        arena_memdup(arena, v->schema.columns, v->schema.column_count * sizeof *v->schema.columns);
    for (uint32_t c = 0; c < out->schema.column_count; c++) {
        struct column *col = &out->schema.columns[c];
        col->name = arena_strdup(arena, col->name);
        col->comment = col->comment ? arena_strdup(arena, col->comment) : NULL;
    }
    out->key_count = v->key_count;
    out->key = arena_memdup(arena, v->key, v->key_count * sizeof *v->key);
    out->comment = v->comment ? arena_strdup(arena, v->comment) : NULL;
    out->definition = arena_strdup(arena, v->definition ? v->definition : "");
    out->fingerprint = v->fingerprint ^ zone_data_hash(); /* other zones may make other rows */
    copy_indexes(arena, v, out);
    copy_sources(arena, a, v, out);
    out->error_nodes = ARENA_ARRAY(arena, uint32_t, plan->node_count + 1);
    bool *seen = xcalloc(plan->node_count + 1, sizeof *seen);
    if (stored_view(v)->sink)
        collect_error_nodes(stored_view(v)->sink, seen, out);
    free(seen);
}

/* Which pipeline wrote a catalog: no two start within a microsecond. */
static uint64_t new_run(void)
{
    return (uint64_t)unix_us();
}

static void copy_references(struct arena *to, const struct plan_api *from, struct catalog_api *out)
{
    out->reference_count = from->reference_count;
    out->references = ARENA_ARRAY(to, struct catalog_reference, from->reference_count + 1);
    for (uint32_t i = 0; i < from->reference_count; i++) {
        const struct plan_reference *r = &from->references[i];
        out->references[i] = (struct catalog_reference){
            .name = arena_strdup(to, r->name),
            .api = r->api,
            .column_count = r->column_count,
            .columns = arena_memdup(to, r->columns, r->column_count * sizeof *r->columns)};
    }
}

/* Views stand in the order of the plan, so that operators and catalog agree; unpublished ones stay in as blanks. Their
 * slots are those of a new store: the pipeline gives them those that an existing store has. */
struct catalog *app_catalog_of(const struct app *a, const struct plan *plan, uint32_t shard_count)
{
    struct catalog *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    c->shard_count = shard_count;
    c->version = 1;
    c->run = new_run();
    c->error_rows = (uint32_t)a->config->error_rows;
    c->view_count = plan->view_count;
    c->views = ARENA_ARRAY(&c->arena, struct catalog_view, c->view_count + 1);
    for (uint32_t v = 0; v < c->view_count; v++)
        copy_view(&c->arena, a, plan, plan->views[v], &c->views[v]);
    c->api_count = plan->api_count;
    c->apis = ARENA_ARRAY(&c->arena, struct catalog_api, c->api_count + 1);
    for (uint32_t i = 0; i < c->api_count; i++) {
        c->apis[i].path = arena_strdup(&c->arena, plan->apis[i].path);
        c->apis[i].view = plan->apis[i].view->view_index;
        copy_references(&c->arena, &plan->apis[i], &c->apis[i]);
    }
    c->edition_count = 1;
    c->editions = ARENA_NEW(&c->arena, struct catalog_edition);
    c->editions[0] = (struct catalog_edition){1, 1, 0, c->api_count};
    return c;
}

/* Apis stand together by the plan's inputs. */
static void list_editions(const struct app *a, struct catalog *c)
{
    uint32_t api = 0;
    if (!a->input_count)
        return;
    c->editions = ARENA_ARRAY(&c->arena, struct catalog_edition, a->input_count);
    c->edition_count = a->input_count;
    for (uint32_t i = 0; i < a->input_count; i++) {
        struct catalog_edition *e = &c->editions[i];
        *e = (struct catalog_edition){a->inputs[i].edition, a->inputs[i].number, api, 0};
        for (; api < c->api_count && a->plan->apis[api].input == i; api++)
            e->api_count++;
    }
}

struct catalog *app_catalog(struct app *a, uint32_t shard_count)
{
    struct catalog *c = app_catalog_of(a, a->plan, shard_count);
    list_editions(a, c);
    catalog_free(a->catalog);
    a->catalog = c;
    return c;
}

void app_free(struct app *a)
{
    if (!a)
        return;
    catalog_free(a->catalog);
    plan_free(a->plan);
    config_free(a->config);
    arena_fini(&a->arena);
    free(a);
}

uint64_t table_fingerprint(const struct table_def *t)
{
    struct buf b = {0};
    char type[TYPE_NAME_MAX + 1];
    for (uint32_t c = 0; c < t->schema.column_count; c++)
        buf_printf(&b, "%s %s,", t->schema.columns[c].name,
                   type_format(t->schema.columns[c].type, type, sizeof type));
    for (uint32_t k = 0; k < t->key_count; k++)
        buf_printf(&b, " %u", t->key[k]);
    uint64_t hash = hash_bytes(b.p, b.len);
    buf_fini(&b);
    return hash;
}

uint64_t app_plan_hash(const struct app *a)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    plan_explain(a->plan, NULL, false, f);
    fclose(f);
    uint64_t hash = hash_bytes(text, len);
    free(text);
    return hash;
}
