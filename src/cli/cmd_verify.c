/* `penstock verify`: a stopped instance, a running one from a snapshot, or a backup. What is checked stands in
 * store/verify.h and verify_views.h. Exit status 0: sound; 1: faults, or it could not be found out; 2: wrong usage. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/look.h"
#include "cli/verify_views.h"

#include "base/log.h"
#include "store/manifest.h"
#include "store/swap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

struct verification {
    const struct cli_args *args;
    const char *dir; /* the data directory, or the backup's */
    bool is_backup;
    struct look look;
    struct verify v;
    struct verify_views views;
    const char *kind; /* "running", "stopped", "backup" */
    uint64_t epoch;
    uint32_t shard_count;
    struct catalog *catalog; /* owned; NULL: none */
    bool has_views;          /* they were to be compared */
    yyjson_mut_doc *doc;     /* owned, with --json: what was found */
    yyjson_mut_val *faults, *skipped;
};

/* ---- what is found ---- */

static void add_text(yyjson_mut_doc *d, yyjson_mut_val *o, const char *name, const char *text)
{
    if (text)
        yyjson_mut_obj_add_strcpy(d, o, name, text);
}

static void take_fault(void *ctx, const struct verify_fault *f)
{
    struct verification *x = ctx;
    if (x->doc) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(x->doc, x->faults);
        add_text(x->doc, o, "kind", verify_kind_name(f->kind));
        if (f->shard >= 0)
            yyjson_mut_obj_add_int(x->doc, o, "shard", f->shard);
        add_text(x->doc, o, "where", f->where);
        add_text(x->doc, o, "text", f->text);
        if (f->kind == VERIFY_VIEW) {
            add_text(x->doc, o, "key", f->key);
            add_text(x->doc, o, "expected", f->expected);
            add_text(x->doc, o, "found", f->found);
        }
        return;
    }
    printf("%s:", verify_kind_name(f->kind));
    if (f->shard >= 0)
        printf(" shard %d:", f->shard);
    if (f->where[0])
        printf(" %s:", f->where);
    printf(" %s\n", f->text);
}

static void take_skipped(void *ctx, const char *view, const char *why)
{
    struct verification *x = ctx;
    if (x->doc) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(x->doc, x->skipped);
        add_text(x->doc, o, "view", view);
        add_text(x->doc, o, "why", why);
    } else {
        printf("view %s is not compared: %s\n", view, why);
    }
}

static struct err *progress(void *ctx, uint64_t done, uint64_t total)
{
    struct verification *x = ctx;
    return look_progress(&x->look, done, total);
}

static void start_over(struct verification *x)
{
    yyjson_mut_doc_free(x->doc);
    x->doc = NULL;
    x->v = (struct verify){.fault = take_fault, .progress = progress, .ctx = x};
    x->views = (struct verify_views){.skipped = take_skipped, .ctx = x};
    x->has_views = false;
    catalog_free(x->catalog);
    x->catalog = NULL;
    if (!x->args->json)
        return;
    x->doc = yyjson_mut_doc_new(NULL);
    x->faults = yyjson_mut_arr(x->doc);
    x->skipped = yyjson_mut_arr(x->doc);
}

/* ---- the parts ---- */

static struct err *load_catalog(struct verification *x)
{
    struct err *e = catalog_load(x->dir, &x->catalog);
    if (e && e->code == ERR_CORRUPT) {
        verify_fault(&x->v, VERIFY_FILE, -1, "catalog.json", "%s", e->message);
        err_free(e);
        return NULL;
    }
    return e;
}

/* Without a configuration the store alone can be checked. */
static struct err *load_app(struct verification *x, struct app **app)
{
    bool optional = (x->args->data || x->is_backup) && access(x->args->config, F_OK) != 0;
    *app = NULL;
    if (optional) {
        log_warn("verify", "no configuration: mirrors and views are not compared", "file=\"%s\"",
                 x->args->config);
        return NULL;
    }
    TRY(app_load_stored(x->args->config, x->dir, app));
    struct err *e = app_plan(*app);
    if (!e)
        app_catalog(*app, x->shard_count);
    return e;
}

static struct err *check_inside(struct verification *x, struct store_still *s, struct app *app)
{
    uint32_t count = 0;
    const struct table_def *const *tables = app ? verify_mirrored_tables(s, app, &count) : NULL;
    x->look.what = "rows";
    TRY(verify_content(&x->v, s, x->catalog, tables, count));
    if (!app || x->v.faults[VERIFY_MIRROR])
        return NULL; /* views of damaged mirrors say nothing */
    x->look.what = "views";
    x->has_views = true;
    return verify_views(&x->v, s, app, x->catalog, &x->views);
}

static struct err *check_store(struct verification *x, struct store_still *s)
{
    struct app *app = NULL;
    x->epoch = s->epoch;
    x->shard_count = s->shard_count;
    TRY(load_catalog(x));
    struct err *e = load_app(x, &app);
    if (!e && store_still_lost(s))
        e = look_lost(&x->look);
    if (!e)
        e = check_inside(x, s, app);
    app_free(app);
    return e;
}

/* ---- where from ---- */

static struct err *check_running(struct verification *x)
{
    x->kind = "running";
    x->look.what = "pages";
    TRY(verify_pages(&x->v, x->dir, &x->look.still));
    return verify_faults(&x->v) ? NULL : check_store(x, &x->look.still);
}

static struct err *check_still(struct verification *x, bool fresh_boot)
{
    bool sound;
    int lock_fd = -1;
    x->kind = x->is_backup ? "backup" : "stopped";
    if (!x->is_backup && access(x->dir, F_OK) != 0)
        return err_errno(ERR_STATE, "there is no store in %s", x->dir);
    if (!x->is_backup && store_swap_pending(x->dir))
        return err_hint(err_new(ERR_STATE, "%s: another number of shards is just being put in place", x->dir),
                        "the next start finishes it; verify then");
    if (!x->is_backup)
        TRY(look_lock(&x->look, &lock_fd));
    x->look.what = "pages";
    TRY(verify_open_still(&x->v, x->dir, lock_fd, fresh_boot, &x->look.still, &sound));
    return sound ? check_store(x, &x->look.still) : NULL;
}

static bool hash_tick(void *ctx, uint64_t bytes)
{
    struct verification *x = ctx;
    if (!x->v.stopped)
        x->v.stopped = verify_tick(&x->v, bytes / 4096);
    return x->v.stopped == NULL;
}

/* A damaged file is told and looked into: the parts say what is wrong with it. */
static struct err *check_manifest(struct verification *x)
{
    struct manifest *m = NULL;
    struct hash_tick tick = {hash_tick, x};
    struct err *e = manifest_load(x->dir, &m);
    x->look.what = "checksums";
    for (uint32_t i = 0; m && i < m->file_count && !e; i++) {
        e = manifest_check_file(&m->files[i], x->dir, &tick);
        if (e && e->code == ERR_CORRUPT) {
            verify_fault(&x->v, VERIFY_FILE, -1, m->files[i].path, "%s", e->message);
            err_free(e);
            e = NULL;
        }
    }
    manifest_free(m);
    if (e && e->code == ERR_CORRUPT) {
        verify_fault(&x->v, VERIFY_FILE, -1, MANIFEST_FILE, "%s", e->message);
        err_free(e);
        e = NULL;
    }
    if (x->v.stopped) {
        err_free(e);
        e = x->v.stopped;
        x->v.stopped = NULL;
    }
    return e;
}

static struct err *check_instance(struct verification *x)
{
    struct instance i;
    TRY(instance_peek(x->dir, &i));
    bool lives = instance_lives(&i), fresh_boot = instance_fresh_boot(x->dir, i.gate);
    instance_close(&i);
    if (!lives)
        return check_still(x, fresh_boot);
    struct err *e = look_open(&x->look);
    return e ? e : check_running(x);
}

static struct err *check_once(struct verification *x)
{
    start_over(x);
    if (!x->is_backup)
        return check_instance(x);
    struct err *e = check_manifest(x);
    return e ? e : check_still(x, true);
}

/* ---- the result ---- */

static void print_json(struct verification *x)
{
    yyjson_mut_val *root = yyjson_mut_obj(x->doc);
    yyjson_mut_doc_set_root(x->doc, root);
    yyjson_mut_obj_add_bool(x->doc, root, "sound", verify_faults(&x->v) == 0);
    add_text(x->doc, root, "directory", x->dir);
    add_text(x->doc, root, "kind", x->kind);
    yyjson_mut_obj_add_uint(x->doc, root, "epoch", x->epoch);
    yyjson_mut_obj_add_uint(x->doc, root, "shards", x->shard_count);
    yyjson_mut_obj_add_uint(x->doc, root, "pages", x->v.pages);
    yyjson_mut_obj_add_uint(x->doc, root, "lost_pages", x->v.lost_pages);
    yyjson_mut_obj_add_uint(x->doc, root, "mirror_rows", x->v.mirror_rows);
    yyjson_mut_obj_add_uint(x->doc, root, "rows", x->v.rows);
    yyjson_mut_obj_add_uint(x->doc, root, "index_entries", x->v.index_entries);
    yyjson_mut_obj_add_uint(x->doc, root, "log_entries", x->v.log_entries);
    yyjson_mut_obj_add_uint(x->doc, root, "views_compared", x->views.compared);
    yyjson_mut_obj_add_val(x->doc, root, "views_skipped", x->skipped);
    yyjson_mut_val *counts = yyjson_mut_obj_add_obj(x->doc, root, "fault_counts");
    for (int k = 0; k < VERIFY_KINDS; k++)
        if (x->v.faults[k])
            yyjson_mut_obj_add_uint(x->doc, counts, verify_kind_name((enum verify_kind)k), x->v.faults[k]);
    yyjson_mut_obj_add_val(x->doc, root, "faults", x->faults);
    char *text =
        yyjson_mut_write(x->doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    puts(text ? text : "{}");
    free(text);
}

static void print_text(struct verification *x)
{
    uint64_t faults = verify_faults(&x->v);
    for (int k = 0; k < VERIFY_KINDS; k++)
        if (x->v.faults[k] > VERIFY_FAULTS_SHOWN)
            printf("%s: %llu more\n", verify_kind_name((enum verify_kind)k),
                   (unsigned long long)x->v.faults[k] - VERIFY_FAULTS_SHOWN);
    printf(
        "verify %s (%s): epoch %llu, %u %s; %llu pages, %llu mirrored rows, %llu rows of views, %llu index "
        "entries, %llu log entries; %u views compared with their SQL\n",
        x->dir, x->kind, (unsigned long long)x->epoch, x->shard_count,
        x->shard_count == 1 ? "shard" : "shards", (unsigned long long)x->v.pages,
        (unsigned long long)x->v.mirror_rows, (unsigned long long)x->v.rows,
        (unsigned long long)x->v.index_entries, (unsigned long long)x->v.log_entries, x->views.compared);
    if (faults)
        printf("%llu %s\n", (unsigned long long)faults, faults == 1 ? "fault" : "faults");
    else
        puts("sound");
}

static struct err *verify_with_retries(struct verification *x)
{
    look_start(&x->look);
    for (int tries = 1;; tries++) {
        struct err *e = check_once(x);
        look_close(&x->look);
        if (!e || !x->look.lost || tries == LOOK_TRIES)
            return e;
        err_free(e);
        log_warn("verify", "the pipeline was started anew: looking again", "try=%d", tries + 1);
    }
}

int cmd_verify(const struct cli_args *a)
{
    char *data = NULL;
    struct verification x = {.args = a, .is_backup = a->word_count > 0};
    struct err *e = x.is_backup ? NULL : instance_dir(a, &data);
    x.dir = x.is_backup ? a->words[0] : data;
    x.look = (struct look){.dir = x.dir, .component = "verify", .timeout_s = a->timeout_s};
    if (!e)
        e = verify_with_retries(&x);
    int status = verify_faults(&x.v) ? EXIT_FAILED : EXIT_DONE;
    if (!e)
        (a->json ? print_json : print_text)(&x);
    yyjson_mut_doc_free(x.doc);
    catalog_free(x.catalog);
    free(data);
    return e ? cli_report(e) : status;
}
