/* One generation of what is served; see world.h. */
#include "serve/world.h"
#include "base/hash.h"
#include "base/log.h"
#include "serve/out.h"
#include "serve/proto_api.h"

#include <stdlib.h>

static void view_init(struct world *w, struct world_view *v, const struct catalog_view *cv)
{
    struct arena *a = &w->arena;
    v->cv = cv;
    v->schema = &cv->schema;
    v->key_count = cv->key_count;
    v->row_key_count = cv->key_count ? cv->key_count : cv->schema.column_count;
    v->row_key = ARENA_ARRAY(a, struct key_column, v->row_key_count);
    for (uint32_t i = 0; i < v->row_key_count; i++)
        v->row_key[i].column = cv->key_count ? cv->key[i] : i;
    struct select_item *items = ARENA_ARRAY(a, struct select_item, cv->schema.column_count);
    for (uint32_t i = 0; i < cv->schema.column_count; i++) {
        const struct column *c = &cv->schema.columns[i];
        items[i] = (struct select_item){.column = i, .label = slice_of(c->name), .type = c->type};
    }
    projection_init(a, items, cv->schema.column_count, &v->all);
    v->db_first = w->db_count;
    w->db_count += WORLD_DB_INDEX + cv->index_count;
}

static uint32_t name_stat(struct api_names *names, const char *path)
{
    uint32_t n = names->count;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names->names[i], path) == 0)
            return i;
    if (n == API_STATS_MAX)
        return API_STATS_MAX - 1; /* the rest is counted together */
    names->names[n] = xstrdup(path);
    names->count = n + 1; /* seen by loops only after the name is there */
    return n;
}

static uint64_t path_hash(const struct slice *segments, uint32_t count)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < count; i++)
        h = (h ^ hash_bytes(segments[i].p, segments[i].len)) * UINT64_C(0x9E3779B97F4A7C15);
    return h;
}

static uint32_t split_path(const char *path, struct slice *segments, uint32_t max)
{
    struct slice rest = slice_of(path);
    uint32_t n = 0;
    while (rest.p && n < max) {
        struct slice s = slice_cut(&rest, '/');
        if (s.len)
            segments[n++] = s;
    }
    return n;
}

static void api_add(struct world *w, struct world_api *api)
{
    struct slice segments[URL_SEGMENTS_MAX];
    api->segment_count = split_path(api->path, segments, URL_SEGMENTS_MAX);
    uint64_t h = path_hash(segments, api->segment_count);
    uint32_t i = (uint32_t)h & w->slot_mask;
    while (w->slots[i])
        i = (i + 1) & w->slot_mask;
    w->slots[i] = (uint32_t)(api - w->apis) + 1;
}

static bool path_is(const char *path, const struct slice *segments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i && *path++ != '/')
            return false;
        if (strncmp(path, (const char *)segments[i].p, segments[i].len) != 0)
            return false;
        path += segments[i].len;
    }
    return *path == 0;
}

const struct world_api *world_find(const struct world *w, const struct slice *segments, uint32_t count,
                                   uint32_t *used)
{
    for (uint32_t n = count; n > 0; n--) {
        uint64_t h = path_hash(segments, n);
        for (uint32_t i = (uint32_t)h & w->slot_mask; w->slots[i]; i = (i + 1) & w->slot_mask) {
            const struct world_api *api = &w->apis[w->slots[i] - 1];
            if (api->segment_count == n && path_is(api->path, segments, n)) {
                *used = n;
                return api;
            }
        }
    }
    return NULL;
}

/* Edits between two short names, capped: rows of the usual table. */
static uint32_t distance(const char *a, const char *b)
{
    uint32_t row[65];
    size_t la = strlen(a), lb = strlen(b);
    if (la > 64 || lb > 64)
        return 99;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (uint32_t)j;
    for (size_t i = 1; i <= la; i++) {
        uint32_t diagonal = row[0];
        row[0] = (uint32_t)i;
        for (size_t j = 1; j <= lb; j++) {
            uint32_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *world_nearest(const struct world *w, const struct slice *segments, uint32_t count,
                          bool (*shown)(const void *context, const struct world_api *api),
                          const void *context)
{
    char asked[65];
    const char *best = NULL;
    uint32_t best_distance = 4;
    if (count == 0 || segments[0].len > 64)
        return NULL;
    memcpy(asked, segments[0].p, segments[0].len);
    asked[segments[0].len] = 0;
    for (uint32_t i = 0; i < w->api_count; i++) {
        uint32_t d = distance(asked, w->apis[i].path);
        if (d < best_distance && d < segments[0].len && shown(context, &w->apis[i])) {
            best_distance = d;
            best = w->apis[i].path;
        }
    }
    return best;
}

const uint32_t *world_field_numbers(struct arena *a, const struct catalog *c, const char *path,
                                    const struct schema *schema)
{
    const struct api_fields *f = catalog_fields(c, path);
    uint32_t *numbers = ARENA_ARRAY(a, uint32_t, schema->column_count + 1);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        numbers[i] = f ? field_number_find(f, column->name, column->type.id) : 0;
        if (!f)
            numbers[i] = i + 1; /* written before there were numbers: what the next start gives */
        else if (numbers[i] == 0)
            numbers[i] = FIELD_NUMBER_MAX - i;
    }
    return numbers;
}

const char *world_db_name(const struct world_view *v, uint32_t db, char *buf, size_t size_bytes)
{
    if (db == WORLD_DB_ROWS)
        snprintf(buf, size_bytes, "v:%u", v->cv->slot);
    else if (db == WORLD_DB_LOG)
        snprintf(buf, size_bytes, "l:%u", v->cv->slot);
    else
        snprintf(buf, size_bytes, "i:%u:%u", v->cv->slot, db - WORLD_DB_INDEX);
    return buf;
}

/* Whether the columns are the view's whole key: then they tell rows apart. */
bool world_is_key(const struct world_view *v, const uint32_t *columns, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t k = 0; k < v->key_count; k++)
        for (uint32_t i = 0; i < count; i++)
            if (columns[i] == v->row_key[k].column) {
                found++;
                break;
            }
    return v->key_count && found == v->key_count;
}

static void relation_add(struct world_api *api, struct world_relation r)
{
    api->relations[api->relation_count++] = r;
}

/* References lead to apis of the same version. */
static void relations_fill(struct world *w, const struct catalog_edition *e)
{
    const struct catalog_api *apis = &w->catalog->apis[e->first_api];
    uint32_t *counts = ARENA_ARRAY(&w->arena, uint32_t, e->api_count + 1);
    for (uint32_t i = 0; i < e->api_count; i++)
        for (uint32_t k = 0; k < apis[i].reference_count; k++) {
            ASSERT(apis[i].references[k].api - e->first_api < e->api_count);
            counts[i]++, counts[apis[i].references[k].api - e->first_api]++;
        }
    for (uint32_t i = 0; i < e->api_count; i++)
        w->apis[i].relations = ARENA_ARRAY(&w->arena, struct world_relation, counts[i] + 1);
    for (uint32_t i = 0; i < e->api_count; i++)
        for (uint32_t k = 0; k < apis[i].reference_count; k++) {
            const struct catalog_reference *r = &apis[i].references[k];
            struct world_api *from = &w->apis[i], *to = &w->apis[r->api - e->first_api];
            if (r->column_count != to->view->key_count)
                continue;
            relation_add(from, (struct world_relation){.name = r->name,
                                                       .target = to,
                                                       .count = r->column_count,
                                                       .own = r->columns,
                                                       .other = to->view->cv->key});
            relation_add(
                to, (struct world_relation){.name = r->name,
                                            .target = from,
                                            .inverse = true,
                                            .many = !world_is_key(from->view, r->columns, r->column_count),
                                            .count = r->column_count,
                                            .own = to->view->cv->key,
                                            .other = r->columns});
        }
}

static void views_fill(struct world *w, const uint32_t *fills)
{
    const struct catalog *c = w->catalog;
    w->view_count = c->view_count;
    w->views = ARENA_ARRAY(&w->arena, struct world_view, c->view_count + 1);
    for (uint32_t i = 0; i < c->view_count; i++) {
        view_init(w, &w->views[i], &c->views[i]);
        if (c->views[i].slot < GATE_VIEWS_MAX)
            w->views[i].fills = fills[c->views[i].slot];
    }
}

static void apis_fill(struct world *w, const struct catalog_edition *e, struct api_names *names)
{
    const struct catalog *c = w->catalog;
    uint32_t slots = 16;
    while (slots < e->api_count * 2)
        slots *= 2;
    w->slot_mask = slots - 1;
    w->slots = ARENA_ARRAY(&w->arena, uint32_t, slots);
    w->api_count = e->api_count;
    w->apis = ARENA_ARRAY(&w->arena, struct world_api, e->api_count + 1);
    for (uint32_t i = 0; i < e->api_count; i++) {
        const struct catalog_api *api = &c->apis[e->first_api + i];
        ASSERT(api->view < c->view_count);
        w->apis[i] = (struct world_api){.path = api->path,
                                        .index = e->first_api + i,
                                        .view = &w->views[api->view],
                                        .stat = name_stat(names, api->path)};
        w->apis[i].field_numbers = world_field_numbers(&w->arena, c, api->path, w->apis[i].view->schema);
        char service[PROTO_NAME_MAX];
        w->apis[i].service = arena_strdup(&w->arena, proto_service_name(api->path, service, sizeof service));
        api_add(w, &w->apis[i]);
    }
    relations_fill(w, e);
}

/* Whatever is wrong with the rules, the rest is served: what cannot be bound grants nothing. */
static void policy_load(struct world *w, const char *data_dir)
{
    struct access_doc *doc = NULL;
    struct err *errs = access_doc_load(data_dir, &doc);
    w->policy = policy_new(doc, w->catalog, &errs);
    for (const struct err *e = errs; e; e = e->next)
        log_event(EVENT_ACCESS_BROKEN, LOG_ERROR, "access", "a rule cannot be used: it grants nothing",
                  "error=\"%s\"", e->message);
    err_free(errs);
}

/* ---- versions ---- */

struct world *world_numbered(const struct world *w, uint32_t number)
{
    const struct gate *g = w->gate;
    const struct world_set *set = w->set;
    uint32_t edition = 0;
    struct world *found = NULL;
    for (uint32_t i = 0; i < GATE_VERSIONS_MAX; i++)
        if (g->versions[i].number == number)
            edition = g->versions[i].edition;
    if (!edition && g->version)
        return NULL; /* not served */
    for (uint32_t i = 0; i < set->count;
         i++) { /* without its edition: a generation that is on its way has it */
        if (set->worlds[i].number == number && (!found || set->worlds[i].edition == edition))
            found = &set->worlds[i];
    }
    return found;
}

struct world *world_current(const struct world *w)
{
    struct world *found = w->gate->version ? world_numbered(w, w->gate->version) : NULL;
    return found ? found : &w->set->worlds[0];
}

bool world_shows(const struct world *w, uint32_t view)
{
    for (uint32_t k = 0; k < w->api_count; k++)
        if (w->apis[k].view == &w->views[view])
            return true;
    return false;
}

bool world_serves(const struct world *w, uint32_t view)
{
    for (uint32_t i = 0; i < w->set->count; i++) {
        const struct world *one = &w->set->worlds[i];
        if (world_numbered(w, one->number) == one && world_shows(one, view))
            return true;
    }
    return false;
}

/* ---- opening ---- */

static void world_document(struct world *w)
{
    openapi_write(w, NULL, &w->openapi);
    w->openapi_of = xcalloc(w->policy->role_count + 1, sizeof *w->openapi_of);
    snprintf(w->openapi_etag, sizeof w->openapi_etag, "\"%016llx\"",
             (unsigned long long)hash_bytes(w->openapi.p, w->openapi.len));
    proto_write(w, 0, &w->proto);
    proto_write(w, w->number, &w->proto_pinned);
}

static struct world_set *set_new(const struct world *common, const uint32_t *fills, struct api_names *names)
{
    const struct catalog *c = common->catalog;
    struct world_set *set = xcalloc(1, sizeof *set);
    set->count = c->edition_count;
    set->worlds = xcalloc(set->count, sizeof *set->worlds);
    for (uint32_t i = 0; i < set->count; i++) {
        struct world *w = &set->worlds[i], *first = &set->worlds[0];
        *w = *common;
        w->set = set;
        w->edition = c->editions[i].edition;
        w->number = c->editions[i].number;
        w->shard_count = c->shard_count;
        arena_init(&w->arena);
        if (i == 0)
            views_fill(w, fills);
        w->views = first->views;
        w->view_count = first->view_count;
        w->db_count = first->db_count;
        apis_fill(w, &c->editions[i], names);
        world_document(w);
    }
    return set;
}

struct err *world_open(const char *data_dir, struct gate *gate, struct api_names *names, struct world **out)
{
    struct catalog *catalog = NULL;
    uint32_t fills[GATE_VIEWS_MAX];
    *out = NULL;
    unsigned generation = gate->generation;
    for (uint32_t slot = 0; slot < GATE_VIEWS_MAX; slot++)
        fills[slot] =
            gate->views[slot].fills; /* before the catalog: what is replaced from now on is noticed */
    TRY(catalog_load(data_dir, &catalog));
    if (!catalog)
        return NULL;
    struct world common = {.generation = generation, .gate = gate, .catalog = catalog};
    struct err *e = catalog->edition_count
                        ? store_reader_open(data_dir, gate, catalog->shard_count, &common.reader)
                        : err_new(ERR_CORRUPT, "catalog: it has no edition");
    if (e) {
        catalog_free(catalog);
        return e;
    }
    common.tag = (hash_bytes(gate->boot_id, strnlen(gate->boot_id, sizeof gate->boot_id)) + generation) *
                 UINT64_C(0x9E3779B97F4A7C15);
    policy_load(&common, data_dir);
    *out = set_new(&common, fills, names)->worlds;
    return NULL;
}

static void documents_free(struct world *w)
{
    for (uint32_t i = 0; i <= w->policy->role_count; i++) {
        struct buf *b = w->openapi_of[i];
        if (b)
            buf_fini(b);
        free(b);
    }
    free(w->openapi_of);
}

void world_close(struct world *w)
{
    if (!w)
        return;
    struct world_set *set = w->set;
    struct policy *policy = w->policy;
    store_reader_close(w->reader);
    catalog_free(w->catalog);
    for (uint32_t i = 0; i < set->count; i++) {
        struct world *one = &set->worlds[i];
        documents_free(one);
        buf_fini(&one->openapi);
        buf_fini(&one->proto);
        buf_fini(&one->proto_pinned);
        arena_fini(&one->arena);
    }
    policy_free(policy);
    free(set->worlds);
    free(set);
}
