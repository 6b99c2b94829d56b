/* What PID 1 asks for: `screen`, the text that stands on the serial console, and `cores`, the cores of the pipeline's shards. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"

#include "base/file.h"
#include "base/text.h"
#include "box/program.h"
#include "config/config.h"
#include "flow/topology.h"
#include "store/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *text_at(yyjson_val *v, const char *key)
{
    const char *s = yyjson_get_str(yyjson_obj_get(v, key));
    return s ? s : "-";
}

/* The reasons why the box is not healthy, or that it is. */
static void print_health(yyjson_val *box)
{
    yyjson_val *health = yyjson_obj_get(box, "health"), *check;
    yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(health, "checks"));
    bool said = false;
    printf("  health       ");
    if (yyjson_is_true(yyjson_obj_get(health, "ok"))) {
        puts("good");
        return;
    }
    while ((check = yyjson_arr_iter_next(&it)))
        if (!yyjson_is_true(yyjson_obj_get(check, "ok"))) {
            fputs(said ? "; " : "", stdout);
            text_print(stdout, text_at(check, "name"));
            fputs(": ", stdout);
            text_print(stdout, text_at(check, "detail"));
            said = true;
        }
    puts(said ? "" : "not known yet");
}

static void print_row(const char *name, const char *value)
{
    printf("  %-13s", name);
    text_print(stdout, value);
    putchar('\n');
}

static void print_addresses(yyjson_val *box)
{
    yyjson_val *a;
    yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_obj_get(box, "addresses"));
    printf("  addresses    ");
    if (yyjson_arr_size(yyjson_obj_get(box, "addresses")) == 0)
        fputs("none yet", stdout);
    for (bool first = true; (a = yyjson_arr_iter_next(&it)); first = false)
        if (yyjson_is_str(a)) {
            fputs(first ? "" : ", ", stdout);
            text_print(stdout, yyjson_get_str(a));
        }
    putchar('\n');
}

/* The code that claims the box: here, and in no other place that can be read without being there. */
static void print_claim(void)
{
    char *path = box_file(BOX_CLAIM), code[64];
    if (file_text(path, code, sizeof code)) {
        code[strcspn(code, "\r\n")] = 0;
        print_row("claim code", code);
    }
    free(path);
}

int box_screen(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    char *json = box_status_json();
    yyjson_doc *doc = json ? yyjson_read(json, strlen(json), 0) : NULL;
    yyjson_val *box = yyjson_obj_get(yyjson_doc_get_root(doc), "box");
    yyjson_val *image = yyjson_obj_get(box, "image"), *slot = yyjson_obj_get(box, "slot"),
               *prints = yyjson_obj_get(box, "fingerprint");
    printf("Penstock %s (%s), %s: %s\n", text_at(image, "version"), text_at(image, "build"),
           text_at(box, "board"), text_at(box, "hostname"));
    printf("  slot         %s, %s%s\n", text_at(slot, "running"), text_at(slot, "state"),
           yyjson_is_true(yyjson_obj_get(box, "rescue")) ? "; RESCUE: the data partition is not there" : "");
    print_addresses(box);
    print_row("SSH key", text_at(prints, "ssh"));
    print_row("certificate", text_at(prints, "tls"));
    print_claim();
    print_health(box);
    yyjson_doc_free(doc);
    free(json);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* ---- cores ---- */

static struct err *place(struct placement *p)
{
    static struct topology t;
    struct config *c = NULL;
    struct catalog *old = NULL;
    char *own = box_file(BOX_YAML), *images = box_file(BOX_DEFAULT_CONFIG "/penstock.yaml"),
         *data = box_file(BOX_STORE);
    struct err *e = config_load(access(own, F_OK) == 0 ? own : images, false, &c);
    if (!e)
        e = topology_read("/sys", true, &t);
    if (!e) {
        struct core_request shards = {c->shards.is_auto, c->shards.count, c->shards.cpu_count,
                                      c->shards.cpus};
        struct core_request serve = {c->serve.is_auto, c->serve.count, c->serve.cpu_count, c->serve.cpus};
        /* As `penstock run` does: a store keeps its number of shards. */
        err_free(catalog_load(data, &old));
        if (c->shards.is_auto && old)
            shards = (struct core_request){.count = old->shard_count};
        catalog_free(old);
        e = topology_place(&t, &shards, &serve, p);
    }
    config_free(c);
    free(own);
    free(images);
    free(data);
    return e;
}

int box_cores(int argc, char **argv)
{
    static struct placement p;
    (void)argc;
    (void)argv;
    struct err *e = place(&p);
    if (e) {
        err_print(stderr, e);
        err_free(e);
        return EXIT_FAILED;
    }
    for (uint32_t i = 0; !p.shared && i < p.shard_count; i++)
        printf("%s%u", i ? "," : "", p.shards[i]);
    putchar('\n');
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
