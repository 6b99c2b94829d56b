/* Judging a configuration against the kept versions, and planning all of them; see editions.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/editions.h"

#include "base/clock.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

uint64_t editions_hash(const struct config *c)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < c->sql_count; i++)
        buf_put(&b, c->sql[i].text, strlen(c->sql[i].text) + 1);
    for (uint32_t i = 0; i < c->api_count; i++) {
        buf_printf(&b, "api %s of %s", c->apis[i].path, c->apis[i].view);
        for (uint32_t k = 0; k < c->apis[i].key_count; k++)
            buf_printf(&b, " key %s", c->apis[i].key[k]);
        for (uint32_t k = 0; k < c->apis[i].reference_count; k++) {
            const struct config_reference *r = &c->apis[i].references[k];
            buf_printf(&b, " reference %s to %s", r->name, r->api);
            for (uint32_t j = 0; j < r->column_count; j++)
                buf_printf(&b, " by %s", r->columns[j]);
        }
        buf_put_u8(&b, 0);
    }
    uint64_t h = hash_bytes(b.p, b.len);
    buf_fini(&b);
    return h;
}

/* ---- an edition as an input of the planner ---- */

static const struct api_request_reference *references_of(struct arena *arena, const struct version_api *a)
{
    struct api_request_reference *out =
        ARENA_ARRAY(arena, struct api_request_reference, a->reference_count + 1);
    for (uint32_t i = 0; i < a->reference_count; i++)
        out[i] = (struct api_request_reference){.name = a->references[i].name,
                                                .api = a->references[i].api,
                                                .column_count = a->references[i].column_count,
                                                .columns = (const char **)a->references[i].columns};
    return out;
}

static struct plan_input input_of(struct arena *arena, const struct edition *e)
{
    struct sql_text *texts = ARENA_ARRAY(arena, struct sql_text, e->sql_count + 1);
    for (uint32_t i = 0; i < e->sql_count; i++)
        texts[i] = (struct sql_text){e->sql[i].file, e->sql[i].text, e->sql[i].first_line};
    struct api_request *apis = ARENA_ARRAY(arena, struct api_request, e->api_count + 1);
    for (uint32_t i = 0; i < e->api_count; i++)
        apis[i] = (struct api_request){.path = e->apis[i].path,
                                       .view = e->apis[i].view,
                                       .key_count = e->apis[i].key_count,
                                       .key = (const char **)e->apis[i].key,
                                       .reference_count = e->apis[i].reference_count,
                                       .references = references_of(arena, &e->apis[i]),
                                       .file = "versions.json"};
    return (struct plan_input){texts, e->sql_count, apis, e->api_count, NULL, false};
}

static char **copy_texts(struct arena *arena, uint32_t count, const char **texts)
{
    char **out = ARENA_ARRAY(arena, char *, count + 1);
    for (uint32_t i = 0; i < count; i++)
        out[i] = arena_strdup(arena, texts[i]);
    return out;
}

static void fill_api(struct arena *arena, const struct config_api *from, struct version_api *to)
{
    *to = (struct version_api){.path = arena_strdup(arena, from->path),
                               .view = arena_strdup(arena, from->view),
                               .key_count = from->key_count,
                               .key = copy_texts(arena, from->key_count, from->key),
                               .reference_count = from->reference_count};
    to->references = ARENA_ARRAY(arena, struct version_reference, from->reference_count + 1);
    for (uint32_t i = 0; i < from->reference_count; i++) {
        const struct config_reference *r = &from->references[i];
        to->references[i] =
            (struct version_reference){arena_strdup(arena, r->name), arena_strdup(arena, r->api),
                                       r->column_count, copy_texts(arena, r->column_count, r->columns)};
    }
}

static void fill_edition(struct arena *arena, const struct config *c, struct edition *e)
{
    e->made_us = unix_us();
    e->config = editions_hash(c);
    e->sql_count = c->sql_count;
    e->sql = ARENA_ARRAY(arena, struct version_sql, c->sql_count + 1);
    for (uint32_t i = 0; i < c->sql_count; i++)
        e->sql[i] = (struct version_sql){arena_strdup(arena, c->sql[i].file),
                                         arena_strdup(arena, c->sql[i].text), c->sql[i].first_line};
    e->api_count = c->api_count;
    e->apis = ARENA_ARRAY(arena, struct version_api, c->api_count + 1);
    for (uint32_t i = 0; i < c->api_count; i++)
        fill_api(arena, &c->apis[i], &e->apis[i]);
}

/* ---- judging ---- */

/* Whether what the tables give today is still what the edition promised. */
static struct err *check_promise(struct app *a, struct kept_edition *k)
{
    char *text = NULL;
    size_t len = 0;
    struct catalog *now = app_catalog_of(a, k->plan, 1);
    FILE *f = open_memstream(&text, &len);
    enum contract_change change = contract_compare(k->edition->contract, now, f);
    fclose(f);
    struct err *e = NULL;
    if (change == CONTRACT_BREAKING)
        e = err_new(ERR_STATE, "the tables no longer give what it promised:\n%.*s", (int)(len ? len - 1 : 0),
                    text);
    catalog_free(now);
    free(text);
    return e;
}

static void keep(struct app *a, struct editions *x, struct edition *e)
{
    struct kept_edition *k = &x->kept[x->kept_count++];
    struct plan_input in = input_of(&a->arena, e);
    k->edition = e;
    k->error = plan_build_all(a->tables, a->table_count, &in, 1, &k->plan);
    if (!k->error)
        k->error = check_promise(a, k);
    if (!k->error)
        return;
    plan_free(k->plan);
    k->plan = NULL;
    x->lost_count++;
}

static void keep_all(struct app *a, struct editions *x)
{
    uint32_t below = UINT32_MAX;
    for (;;) {
        struct edition *next = NULL;
        for (uint32_t i = 0; i < x->versions->edition_count; i++) {
            struct edition *e = x->versions->editions[i];
            if (e->complete && e->number < below && (!next || e->number > next->number))
                next = e;
        }
        if (!next)
            return;
        keep(a, x, next);
        below = next->number;
    }
}

static bool is_kept(const struct editions *x, uint64_t fingerprint)
{
    for (uint32_t i = 0; i < x->kept_count; i++)
        for (uint32_t v = 0; x->kept[i].plan && v < x->kept[i].plan->view_count; v++) {
            const struct plan_view *view = x->kept[i].plan->views[v];
            if (view->sink && view->fingerprint == fingerprint)
                return true;
        }
    return false;
}

static bool builds_rows(const struct app *a, const struct editions *x)
{
    for (uint32_t v = 0; v < a->plan->view_count; v++)
        if (a->plan->views[v]->sink && !is_kept(x, a->plan->views[v]->fingerprint))
            return true;
    return false;
}

struct err *editions_judge(struct app *a, const char *dir, FILE *to, struct editions *out)
{
    *out = (struct editions){0};
    TRY(versions_load(dir, &out->versions));
    if (!out->versions)
        out->versions = versions_new();
    keep_all(a, out);
    if (!out->kept_count) {
        out->step = EDITION_FIRST;
        return NULL;
    }
    const struct kept_edition *newest = &out->kept[0];
    out->change = contract_compare(newest->edition->contract, a->catalog, to);
    if (out->change == CONTRACT_BREAKING)
        out->step = EDITION_NEW;
    else if (!newest->plan || builds_rows(a, out))
        out->step = EDITION_REVISED;
    else
        out->step = EDITION_SAME;
    return NULL;
}

void editions_fini(struct editions *x)
{
    for (uint32_t i = 0; i < x->kept_count; i++) {
        plan_free(x->kept[i].plan);
        err_free(x->kept[i].error);
    }
    versions_free(x->versions);
    *x = (struct editions){0};
}

struct err *editions_allow(const struct app *a, const struct editions *x)
{
    if (x->step != EDITION_NEW || x->kept_count < (uint64_t)a->config->versions_keep)
        return NULL;
    uint32_t oldest = x->kept[x->kept_count - 1].edition->number;
    return err_hint(
        err_new(ERR_CONFIG, "%u versions are kept, and the change needs one more: versions.keep is %lld",
                x->kept_count, (long long)a->config->versions_keep),
        "penstock version retire %u, or another that no client uses; or raise versions.keep",
        oldest == x->versions->current && x->kept_count > 1 ? x->kept[x->kept_count - 2].edition->number
                                                            : oldest);
}

const char *edition_step_text(const struct editions *x, const struct config *c, char *buf, size_t size)
{
    const char *how = c->switch_auto ? "unpinned paths go over to it when it is complete"
                                     : "penstock version switch lets unpinned paths go over to it";
    uint32_t newest = x->kept_count ? x->kept[0].edition->number : 0;
    switch (x->step) {
    case EDITION_FIRST: snprintf(buf, size, "it becomes version 1"); break;
    case EDITION_SAME:
        snprintf(buf, size, "version %u takes it over in place: no rows are to be built", newest);
        break;
    case EDITION_REVISED:
        snprintf(buf, size,
                 "what differs is built beside version %u, which is served as it is until that is complete",
                 newest);
        break;
    case EDITION_NEW:
        snprintf(buf, size, "version %u is built beside version %u; %s", x->versions->last_number + 1, newest,
                 how);
        break;
    }
    return buf;
}

/* ---- taking the step ---- */

static void drop_building(struct versions *v, uint64_t config)
{
    struct edition *b = versions_building(v);
    if (b && b->config != config)
        versions_remove(v, b);
}

/* The configuration's own edition. */
static struct edition *own_edition(struct app *a, struct editions *x)
{
    struct versions *v = x->versions;
    uint64_t hash = editions_hash(a->config);
    struct edition *e;
    switch (x->step) {
    case EDITION_FIRST:
        drop_building(v, ~hash);
        e = versions_add(v, v->last_number + 1);
        break;
    case EDITION_SAME:
        drop_building(v, ~hash);
        e = x->kept[0].edition;
        if (e->config == hash)
            return e;
        break;
    default:
        drop_building(v, hash);
        e = versions_building(v);
        if (!e)
            e = versions_add(v, x->step == EDITION_NEW ? v->last_number + 1 : x->kept[0].edition->number);
    }
    fill_edition(&v->arena, a->config, e);
    return e;
}

struct inputs {
    struct plan_input list[VERSIONS_KEEP_MAX + 1];
    uint32_t count;
};

static void add_input(struct app *a, struct inputs *in, const struct edition *e, const char *suffix,
                      bool late)
{
    struct plan_input *p = &in->list[in->count];
    *p = input_of(&a->arena, e);
    p->suffix = suffix;
    p->late = late;
    a->inputs[in->count++] = (struct app_input){e->edition, e->number, late};
}

/* Names tell what is what: plain ones are of the newest complete version. */
static void collect_inputs(struct app *a, struct editions *x, const struct edition *own, struct inputs *in)
{
    bool late = x->step == EDITION_REVISED || x->step == EDITION_NEW;
    if (x->step == EDITION_FIRST)
        add_input(a, in, own, NULL, false);
    for (uint32_t i = 0; i < x->kept_count; i++) {
        const struct edition *e = x->kept[i].edition;
        if (x->kept[i].plan || e == own)
            add_input(a, in, e, i ? arena_printf(&a->arena, "@v%u", e->number) : NULL, false);
    }
    if (late)
        add_input(a, in, own, x->step == EDITION_NEW ? arena_printf(&a->arena, "@v%u", own->number) : "@next",
                  true);
}

/* References are to places in the catalog's list, which are others in another catalog. */
static void lead_references(struct arena *arena, struct catalog_api *api, int64_t by)
{
    const struct catalog_reference *from = api->references;
    api->references = ARENA_ARRAY(arena, struct catalog_reference, api->reference_count + 1);
    for (uint32_t i = 0; i < api->reference_count; i++) {
        api->references[i] = from[i];
        api->references[i].api = (uint32_t)(from[i].api + by);
    }
}

/* What one edition promises, by itself. Texts stay those of `from`. */
static struct catalog *contract_of(const struct catalog *from, const struct catalog_edition *e)
{
    struct catalog *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    c->shard_count = from->shard_count;
    c->version = e->number;
    c->views = ARENA_ARRAY(&c->arena, struct catalog_view, e->api_count + 1);
    c->apis = ARENA_ARRAY(&c->arena, struct catalog_api, e->api_count + 1);
    for (uint32_t i = 0; i < e->api_count; i++) {
        const struct catalog_api *api = &from->apis[e->first_api + i];
        const struct catalog_view *view = &from->views[api->view];
        uint32_t v = 0;
        while (v < c->view_count && strcmp(c->views[v].name, view->name) != 0)
            v++;
        if (v == c->view_count)
            c->views[c->view_count++] = *view;
        c->apis[c->api_count] = *api;
        c->apis[c->api_count].view = v;
        lead_references(&c->arena, &c->apis[c->api_count++], (int64_t)0 - e->first_api);
    }
    return c;
}

void editions_record(const struct app *a, struct editions *x)
{
    const struct catalog *c = a->catalog;
    for (uint32_t i = 0; i < c->edition_count; i++)
        for (uint32_t k = 0; k < x->versions->edition_count; k++) {
            struct edition *e = x->versions->editions[k];
            if (e->edition != c->editions[i].edition || i >= a->input_count)
                continue;
            catalog_free(e->contract);
            e->contract = contract_of(c, &c->editions[i]);
        }
}

/* An edition that cannot be followed: its views are shown as they are stored. */
static void append_lost(struct catalog *c, const struct edition *e)
{
    const struct catalog *from = e->contract;
    struct catalog_view *views =
        ARENA_ARRAY(&c->arena, struct catalog_view, c->view_count + from->view_count + 1);
    struct catalog_api *apis = ARENA_ARRAY(&c->arena, struct catalog_api, c->api_count + from->api_count + 1);
    struct catalog_edition *editions = ARENA_ARRAY(&c->arena, struct catalog_edition, c->edition_count + 1);
    memcpy(views, c->views, c->view_count * sizeof *views);
    memcpy(apis, c->apis, c->api_count * sizeof *apis);
    memcpy(editions, c->editions, c->edition_count * sizeof *editions);
    for (uint32_t i = 0; i < from->view_count; i++) {
        struct catalog_view *v = &views[c->view_count + i];
        *v = from->views[i];
        v->name = arena_printf(&c->arena, "%.*s@v%u", (int)strcspn(v->name, "@"), v->name, e->number);
        v->source_count = v->error_node_count = 0; /* numbers of another run */
    }
    for (uint32_t i = 0; i < from->api_count; i++) {
        apis[c->api_count + i] = from->apis[i];
        apis[c->api_count + i].view += c->view_count;
        lead_references(&c->arena, &apis[c->api_count + i], c->api_count);
    }
    editions[c->edition_count++] =
        (struct catalog_edition){e->edition, e->number, c->api_count, from->api_count};
    c->views = views;
    c->apis = apis;
    c->editions = editions;
    c->view_count += from->view_count;
    c->api_count += from->api_count;
}

struct err *editions_take(struct app *a, struct editions *x, uint32_t shard_count)
{
    struct inputs in = {.count = 0};
    struct edition *own = own_edition(a, x);
    collect_inputs(a, x, own, &in);
    a->input_count = in.count;
    plan_free(a->plan);
    a->plan = NULL;
    a->parts = (struct plan_parts){a->tables, a->table_count,
                                   arena_memdup(&a->arena, in.list, in.count * sizeof *in.list), in.count};
    TRY(plan_build_all(a->tables, a->table_count, in.list, in.count, &a->plan));
    struct catalog *c = app_catalog(a, shard_count);
    for (uint32_t i = 0; i < x->kept_count; i++)
        if (!x->kept[i].plan && x->kept[i].edition != own)
            append_lost(c, x->kept[i].edition);
    if (x->step == EDITION_FIRST)
        versions_finish(x->versions, own);
    c->version = x->versions->last_number;
    return NULL;
}
