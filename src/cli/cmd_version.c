/* `penstock version list | switch N | retire N`: the versions that a data directory keeps.
 *
 * Commands change DATA/versions.json under its lock and tell the gate of an instance that runs: readers follow at once, the
 * pipeline a moment later. Without an instance the next one finds the file. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/cli.h"
#include "cli/instance.h"
#include "store/versions.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

static const char *state_of(const struct versions *v, const struct edition *e)
{
    if (!e->complete)
        return versions_find(v, e->number) ? "change being built" : "being built";
    return e->number == v->current ? "current" : "kept";
}

static void time_text(int64_t us, char out[32])
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        out[0] = 0;
}

static void list_lines(const struct versions *v)
{
    char made[32];
    printf("%-8s %-19s %-21s %-17s %s\n", "version", "state", "made", "configuration", "apis");
    for (uint32_t i = 0; i < v->edition_count; i++) {
        const struct edition *e = v->editions[i];
        time_text(e->made_us, made);
        printf("%-8u %-19s %-21s %016llx  %u\n", e->number, state_of(v, e), made,
               (unsigned long long)e->config, e->api_count);
    }
}

static void list_json(const struct versions *v)
{
    char made[32], hash[20];
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "current", v->current);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "versions");
    for (uint32_t i = 0; i < v->edition_count; i++) {
        const struct edition *e = v->editions[i];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        time_text(e->made_us, made);
        snprintf(hash, sizeof hash, "%016llx", (unsigned long long)e->config);
        yyjson_mut_obj_add_uint(d, o, "version", e->number);
        yyjson_mut_obj_add_str(d, o, "state", state_of(v, e));
        yyjson_mut_obj_add_strcpy(d, o, "made", made);
        yyjson_mut_obj_add_strcpy(d, o, "configuration", hash);
        yyjson_mut_val *apis = yyjson_mut_obj_add_arr(d, o, "apis");
        for (uint32_t k = 0; k < e->api_count; k++)
            yyjson_mut_arr_add_str(d, apis, e->apis[k].path);
    }
    char *text = yyjson_mut_write(d, 0, NULL);
    puts(text);
    free(text);
    yyjson_mut_doc_free(d);
}

/* ---- changing ---- */

static struct err *no_version(const struct versions *v, uint32_t number)
{
    for (uint32_t i = 0; i < v->edition_count; i++)
        if (v->editions[i]->number == number)
            return err_hint(
                err_new(ERR_STATE, "version %u is being built and not complete yet", number),
                "penstock status tells how far it is; to give it up, apply another configuration");
    return err_hint(err_new(ERR_STATE, "there is no version %u", number),
                    "penstock version list shows those that are kept");
}

static struct err *change(struct versions *v, const char *what, uint32_t number)
{
    struct edition *e = versions_find(v, number);
    if (!e)
        return no_version(v, number);
    if (strcmp(what, "switch") == 0) {
        v->current = number;
        return NULL;
    }
    if (number == v->current)
        return err_hint(err_new(ERR_STATE, "version %u is the one that unpinned paths show", number),
                        "penstock version switch N first lets them go over to another");
    if (e == versions_newest(v))
        return err_hint(
            err_new(ERR_STATE, "version %u is what the configuration describes", number),
            "apply another configuration first: the former one is a new version, with the same rows");
    versions_remove(v, e);
    return NULL;
}

/* The gate belongs to the instance; without one there is nobody to be told. */
static struct err *tell(const char *dir, const struct versions *v)
{
    struct instance i;
    struct gate *gate;
    bool fresh;
    TRY(instance_peek(dir, &i));
    bool lives = instance_lives(&i);
    instance_close(&i);
    if (!lives)
        return NULL;
    TRY(gate_open(dir, &gate, &fresh));
    versions_publish(v, gate);
    gate_close(gate);
    return NULL;
}

static struct err *load(const char *dir, struct versions **v)
{
    TRY(versions_load(dir, v));
    return *v ? NULL
              : err_hint(err_new(ERR_STATE, "%s holds no version", dir),
                         "penstock run makes the first one of its configuration");
}

static struct err *change_locked(const char *dir, const char *what, uint32_t number)
{
    struct versions *v = NULL;
    TRY(load(dir, &v));
    struct err *e = change(v, what, number);
    if (!e)
        e = versions_save(v, dir);
    if (!e)
        e = tell(dir, v);
    versions_free(v);
    return e;
}

static struct err *do_change(const char *dir, const char *what, uint32_t number)
{
    int lock;
    TRY(versions_lock(dir, &lock));
    struct err *e = change_locked(dir, what, number);
    versions_unlock(lock);
    if (!e && strcmp(what, "switch") == 0)
        printf("unpinned paths show version %u\n", number);
    else if (!e)
        printf("version %u is retired; its room is given back by the running pipeline, or the next start\n",
               number);
    return e;
}

static struct err *list(const char *dir, bool json)
{
    struct versions *v = NULL;
    TRY(load(dir, &v));
    (json ? list_json : list_lines)(v);
    versions_free(v);
    return NULL;
}

static struct err *wrong_usage(void)
{
    return err_hint(err_new(ERR_CONFIG, "expected: list, switch N or retire N"), "penstock version --help");
}

static struct err *run(const struct cli_args *a, const char *dir)
{
    const char *what = a->word_count ? a->words[0] : "list";
    if (strcmp(what, "list") == 0 && a->word_count <= 1)
        return list(dir, a->json);
    char *end = NULL;
    unsigned long number = a->word_count == 2 ? strtoul(a->words[1], &end, 10) : 0;
    bool known = strcmp(what, "switch") == 0 || strcmp(what, "retire") == 0;
    if (!known || !number || *end || number > UINT32_MAX)
        return wrong_usage();
    return do_change(dir, what, (uint32_t)number);
}

int cmd_version(const struct cli_args *a)
{
    char *dir = NULL;
    struct err *e = instance_dir(a, &dir);
    if (!e)
        e = run(a, dir);
    free(dir);
    return cli_report(e);
}
