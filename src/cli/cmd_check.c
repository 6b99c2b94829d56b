/* `penstock check`: validates everything, asks every source for its tables, prints what each api promises, and what
 * would change for clients against the version that the data directory holds. Nothing is written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/access.h"
#include "cli/cli.h"
#include "cli/check.h"
#include "cli/look.h"
#include "cli/world.h"

#include "base/clock.h"
#include "base/log.h"
#include "flow/topology.h"
#include "serve/tls.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- what only this machine can say ---- */

static struct err *check_file(const char *what, const char *path)
{
    return path && access(path, R_OK) != 0
               ? err_errno(ERR_CONFIG, "server.tls.%s: cannot read %s", what, path)
               : NULL;
}

static struct err *check_cores(const struct config *c)
{
    static struct topology t;
    static struct placement p;
    struct core_request shards = {c->shards.is_auto, c->shards.count, c->shards.cpu_count, c->shards.cpus};
    struct core_request serve = {c->serve.is_auto, c->serve.count, c->serve.cpu_count, c->serve.cpus};
    TRY(topology_read("/sys", true, &t));
    return topology_place(&t, &shards, &serve, &p);
}

/* As the server will read it: a pair that it refuses would end it. */
static struct err *check_pair(const struct config *c)
{
    struct tls_server *s;
    if (c->client_ca)
        TRY(tls_check_client_ca(c->client_ca));
    if (!c->certificate)
        return NULL;
    TRY(tls_server_new("", c->certificate, c->key, c->client_ca, (enum tls_client_auth)c->client_auth, &s));
    int64_t now = unix_us() / 1000000, until = tls_server_validity(s).until_s;
    tls_server_free(s);
    if (until < now)
        log_warn("check", "the certificate has expired", "file=%s", c->certificate);
    return NULL;
}

static struct err *check_machine(const struct config *c)
{
    struct err *errors = NULL;
    err_append(&errors, check_cores(c));
    err_append(&errors, check_file("certificate", c->certificate));
    err_append(&errors, check_file("key", c->key));
    err_append(&errors, check_file("client_ca", c->client_ca));
    if (!errors)
        err_append(&errors, check_pair(c));
    char *keys;
    size_t len;
    err_append(&errors, access_jwks_read(c, &keys, &len));
    free(keys);
    return errors;
}

/* ---- what is printed ---- */

static void print_sources(const struct app *a)
{
    for (uint32_t i = 0; i < a->source_count; i++) {
        const struct pipeline_source *s = &a->sources[i];
        printf("source %s (%s)\n", s->name, s->kind->name);
        for (uint32_t t = 0; t < s->table_count; t++) {
            const struct table_def *table = &s->tables[t];
            printf("  %s.%s: %u columns, %s", s->name, table->name, table->schema.column_count,
                   table->key_count ? "key " : "no key");
            for (uint32_t k = 0; k < table->key_count; k++)
                printf("%s%s", k ? ", " : "", table->schema.columns[table->key[k]].name);
            putchar('\n');
        }
    }
}

static void print_unpublished(const struct catalog *c)
{
    for (uint32_t v = 0; v < c->view_count; v++) {
        bool published = false;
        for (uint32_t i = 0; i < c->api_count; i++)
            published |= c->apis[i].view == v;
        if (!published)
            printf("\nview %s: not published\n", c->views[v].name);
    }
}

/* A store of a program that did not keep versions yet. */
static struct err *print_unversioned(const struct catalog *now, const char *data)
{
    struct catalog *old = NULL;
    struct err *e = catalog_load(data, &old);
    if (e) {
        printf("\n%s holds a version that cannot be compared with: ", data);
        err_print(stdout, e);
        err_free(e);
        return NULL;
    }
    if (!old) {
        printf("\n%s holds no version yet: everything is new\n", data);
        return NULL;
    }
    printf("\nagainst the catalog in %s:\n", data);
    printf("contract change: %s\n", contract_change_name(contract_compare(old, now, stdout)));
    catalog_free(old);
    return NULL;
}

static void print_lost(const struct editions *x)
{
    for (uint32_t i = 0; i < x->kept_count; i++) {
        const struct kept_edition *k = &x->kept[i];
        char *why = k->error ? err_text(k->error) : NULL;
        if (why)
            printf("version %u could no longer be followed, and would be served as it is: %s\n",
                   k->edition->number, why);
        free(why);
    }
}

/* The newest version is what the configuration described before. */
static struct err *print_changes(struct app *a, const char *data, uint32_t *lost)
{
    struct editions x;
    char *text = NULL, step[200];
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct err *e = editions_judge(a, data, f, &x);
    fclose(f);
    if (!e && !x.kept_count)
        e = print_unversioned(a->catalog, data);
    else if (!e) {
        printf("\nagainst version %u in %s:\n%s", x.kept[0].edition->number, data, text);
        printf("contract change: %s: %s\n", contract_change_name(x.change),
               edition_step_text(&x, a->config, step, sizeof step));
        print_lost(&x);
        e = editions_allow(a, &x);
    }
    *lost = x.lost_count;
    editions_fini(&x);
    free(text);
    return e;
}

/* A table whose rows no source can send again must keep its shape: otherwise the pipeline would not start with it. */
static struct err *check_shape(const struct store_still *s, const struct table_def *t)
{
    uint64_t stored;
    char *name = xprintf("%s.%s", t->source, t->name);
    bool differs =
        store_still_note(s, "mirror", name, &stored, sizeof stored) && stored != table_fingerprint(t);
    free(name);
    return differs ? table_refuse_shape(t) : NULL;
}

/* Where the store cannot be looked at now, it is said, and the start will tell. */
static struct err *check_shapes(const struct app *a, const char *data)
{
    struct look l = {.dir = data, .component = "check"};
    struct err *errors = NULL;
    bool any = false;
    for (uint32_t i = 0; i < a->plan->table_count; i++)
        any |= a->plan->tables[i]->only_copy;
    char *shard = xprintf("%s/shard-000", data);
    any = any && access(shard, F_OK) == 0;
    free(shard);
    if (!any)
        return NULL;
    look_start(&l);
    struct err *e = look_open(&l);
    if (e) {
        printf("\nthe rows stored in %s cannot be compared with: ", data);
        err_print(stdout, e);
        err_free(e);
        look_close(&l);
        return NULL;
    }
    for (uint32_t i = 0; i < a->plan->table_count; i++)
        if (a->plan->tables[i]->only_copy)
            err_append(&errors, check_shape(&l.still, a->plan->tables[i]));
    look_close(&l);
    return errors;
}

struct err *check_app(struct app *a, const char *data, uint32_t *lost)
{
    *lost = 0;
    struct err *errors = check_machine(a->config);
    err_append(&errors, app_describe(a, NULL));
    if (errors)
        return errors;
    TRY(app_plan(a));
    if (a->plan->view_count > GATE_VIEWS_MAX)
        return err_new(ERR_CONFIG, "%u views; at most %u are possible", a->plan->view_count, GATE_VIEWS_MAX);
    TRY(check_shapes(a, data));
    const struct catalog *c = app_catalog(a, 1);
    TRY(access_check(a->config, c));
    print_sources(a);
    for (uint32_t i = 0; i < c->api_count; i++) {
        contract_print(c, i, stdout);
        access_print(a->config, c, i, stdout);
    }
    print_unpublished(c);
    if (!c->api_count)
        puts("\nno api: nothing is published (see `apis:`)");
    return print_changes(a, data, lost);
}

int cmd_check(const struct cli_args *a)
{
    struct app *app = NULL;
    uint32_t lost;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = check_app(app, a->data ? a->data : app->config->store_path, &lost);
    int status = cli_report(e);
    if (status == EXIT_DONE)
        printf("%s is right\n", app->config->file);
    app_free(app);
    return status;
}
