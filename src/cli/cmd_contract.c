/* `penstock contract`: what each api promises, and who may see what of it: for whoever answers for the data. */
#include "cli/access.h"
#include "cli/cli.h"
#include "cli/contract.h"
#include "cli/world.h"

#include "base/nearest.h"
#include "serve/out.h"
#include "serve/policy.h"

#include <stdlib.h>
#include <string.h>

static struct err *unknown_api(const struct catalog *c, const char *name)
{
    struct nearest near;
    nearest_init(&near, name);
    for (uint32_t i = 0; i < c->api_count; i++)
        nearest_offer(&near, c->apis[i].path);
    struct err *e = err_new(ERR_CONFIG, "no api '%.*s' is published", TEXT_QUOTED_CSTR(name, 60));
    return near.best ? err_hint(e, "did you mean '%s'?", near.best) : e;
}

static bool wanted(const struct catalog *c, uint32_t api, const struct cli_args *a)
{
    return !a->word_count || strcmp(c->apis[api].path, a->words[0]) == 0;
}

/* ---- JSON ---- */

static void put_columns(const struct schema *s, struct buf *b)
{
    bool first = true;
    OUT_LIT(b, "[");
    for (uint32_t i = 0; i < s->column_count; i++) {
        if (!*s->columns[i].name)
            continue;
        if (!first)
            OUT_LIT(b, ",");
        first = false;
        out_json_cstr(b, s->columns[i].name);
    }
    OUT_LIT(b, "]");
}

static void put_reader(const char *role, const struct schema *s, const char *rows, bool first, struct buf *b)
{
    buf_put_str(b, first ? "{\"role\":" : ",{\"role\":");
    out_json_cstr(b, role);
    OUT_LIT(b, ",\"columns\":");
    put_columns(s, b);
    OUT_LIT(b, ",\"rows\":");
    if (rows)
        out_json_cstr(b, rows);
    else
        OUT_LIT(b, "null");
    OUT_LIT(b, "}");
}

static void put_api(const struct config *f, const struct catalog *c, const struct policy *p, uint32_t api,
                    struct buf *b)
{
    const struct catalog_view *v = &c->views[c->apis[api].view];
    char type[TYPE_NAME_MAX + 1];
    bool first = true;
    OUT_LIT(b, "{\"api\":");
    out_json_cstr(b, c->apis[api].path);
    OUT_LIT(b, ",\"view\":");
    out_json_cstr(b, v->name);
    OUT_LIT(b, ",\"columns\":[");
    for (uint32_t i = 0; i < v->schema.column_count; i++) {
        const struct column *col = &v->schema.columns[i];
        buf_put_str(b, i ? ",{\"name\":" : "{\"name\":");
        out_json_cstr(b, col->name);
        OUT_LIT(b, ",\"type\":");
        out_json_cstr(b, type_format(col->type, type, sizeof type));
        buf_put_str(b, col->not_null ? ",\"nullable\":false}" : ",\"nullable\":true}");
    }
    OUT_LIT(b, "],\"key\":[");
    for (uint32_t i = 0; i < v->key_count; i++) {
        if (i)
            OUT_LIT(b, ",");
        out_json_cstr(b, v->schema.columns[v->key[i]].name);
    }
    OUT_LIT(b, "],\"readers\":[");
    if (f->anonymous == ACCESS_READ) {
        put_reader(ACCESS_ANONYMOUS, &v->schema, NULL, true, b);
        first = false;
    }
    for (uint32_t i = 0; i < p->role_count; i++) {
        const struct policy_rule *r = p->roles[i].rules[api];
        if (!r)
            continue;
        put_reader(p->roles[i].name, r->schema, r->rows_text, first, b);
        first = false;
    }
    OUT_LIT(b, "]}");
}

static void print_json(const struct config *f, const struct catalog *c, const struct cli_args *a)
{
    struct err *errs = NULL;
    struct policy *p = policy_new(access_doc_of(f), c, &errs);
    struct buf b = {0};
    bool first = true;
    OUT_LIT(&b, "[");
    for (uint32_t i = 0; i < c->api_count; i++) {
        if (!wanted(c, i, a))
            continue;
        if (!first)
            OUT_LIT(&b, ",");
        first = false;
        put_api(f, c, p, i, &b);
    }
    OUT_LIT(&b, "]\n");
    fwrite(b.p, 1, b.len, stdout);
    buf_fini(&b);
    policy_free(p);
    err_free(errs); /* access_check has said them */
}

/* ---- together ---- */

static struct err *contract(struct app *app, const struct cli_args *a)
{
    bool found = !a->word_count;
    TRY(app_describe(app, NULL));
    TRY(app_plan(app));
    const struct catalog *c = app_catalog(app, 1);
    TRY(access_check(app->config, c));
    for (uint32_t i = 0; i < c->api_count; i++)
        found |= wanted(c, i, a);
    if (!found)
        return unknown_api(c, a->words[0]);
    if (a->json) {
        print_json(app->config, c, a);
        return NULL;
    }
    for (uint32_t i = 0; i < c->api_count; i++)
        if (wanted(c, i, a)) {
            contract_print(c, i, stdout);
            access_print(app->config, c, i, stdout);
        }
    return NULL;
}

int cmd_contract(const struct cli_args *a)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = contract(app, a);
    int status = cli_report(e);
    app_free(app);
    return status;
}
