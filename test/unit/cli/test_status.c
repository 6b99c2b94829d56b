/* `penstock status` on data directories in every state, and that looking never writes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/instance.h"
#include "cli/status_print.h"
#include "test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

static char dir[64];

static uint32_t entries(void)
{
    uint32_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
}

static struct instance look(void)
{
    struct instance i;
    struct err *e = instance_open(dir, &i);
    CHECK(!e);
    err_free(e);
    return i;
}

static yyjson_doc *json_of(const struct instance *i)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    status_print_json(i, true, f);
    fclose(f);
    CHECK(strchr(text, '\n') == text + len - 1); /* one line */
    yyjson_doc *d = yyjson_read(text, len, 0);
    CHECK(d);
    free(text);
    return d;
}

static void an_empty_directory_is_down(void)
{
    struct instance i = look();
    CHECK(!i.gate && !i.catalog && !i.has_store && !instance_lives(&i));
    yyjson_doc *d = json_of(&i);
    CHECK(yyjson_equals_str(yyjson_obj_get(yyjson_doc_get_root(d), "state"), "down"));
    yyjson_doc_free(d);
    instance_close(&i);
    CHECK(entries() == 0);
}

static void no_directory_is_down(void)
{
    struct instance i;
    struct err *e = instance_open("/nonexistent/penstock", &i);
    CHECK(!e && !instance_lives(&i));
    err_free(e);
    instance_close(&i);
}

/* A gate as a pipeline leaves it, whose process ids belong to nobody or to another program. */
static struct gate *make_gate(void)
{
    struct gate *g;
    bool fresh;
    struct err *e = gate_open(dir, &g, &fresh);
    CHECK(!e);
    atomic_store(&g->pipeline_state, PIPELINE_RUNNING);
    atomic_store(&g->pipeline_pid, (unsigned)getpid()); /* alive, but no pipeline */
    atomic_store(&g->epoch, 1234567);
    atomic_store(&g->durable_epoch, 1234000);
    atomic_store(&g->source_count, 1);
    atomic_store(&g->shard_count, 2);
    snprintf(g->sources[0].name, sizeof g->sources[0].name, "core");
    atomic_store(&g->sources[0].state, SOURCE_RETRYING);
    atomic_store(&g->sources[0].lag_bytes, 3 << 20);
    gate_text_set(g->sources[0].error, sizeof g->sources[0].error, &g->sources[0].error_seq,
                  "no route \"x\"\nhere");
    atomic_store(&g->shards[1].state_bytes, 2048);
    return g;
}

static void other_programs_do_not_count(void)
{
    struct gate *g = make_gate();
    struct instance i = look();
    CHECK(i.gate && !i.pipeline && !instance_lives(&i));
    yyjson_doc *d = json_of(&i);
    yyjson_val *root = yyjson_doc_get_root(d), *source = yyjson_arr_get(yyjson_obj_get(root, "sources"), 0);
    CHECK(yyjson_equals_str(yyjson_obj_get(root, "state"), "down"));
    CHECK(yyjson_get_uint(yyjson_obj_get(root, "epoch")) == 1234567);
    CHECK(yyjson_get_uint(yyjson_obj_get(root, "durable_epoch")) == 1234000);
    CHECK(yyjson_equals_str(yyjson_obj_get(source, "state"), "retrying"));
    CHECK(yyjson_equals_str(yyjson_obj_get(source, "error"), "no route \"x\"\nhere"));
    CHECK(yyjson_arr_size(yyjson_obj_get(root, "shards")) == 2);
    yyjson_doc_free(d);
    instance_close(&i);
    gate_close(g);
}

static void the_table_is_readable(void)
{
    struct gate *g = make_gate();
    struct instance i = look();
    struct busy_sample none = {0};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    status_print_text(&i, &none, f);
    fclose(f);
    CHECK(strstr(text, "epoch      1,234,567"));
    CHECK(strstr(text, "core    retrying"));
    CHECK(strstr(text, "3.0 MiB"));
    CHECK(strstr(text, "2.0 KiB"));
    CHECK(!strstr(text, " \n")); /* no blanks at the ends of lines */
    free(text);
    instance_close(&i);
    gate_close(g);
}

static void a_gate_of_another_boot_does_not_count(void)
{
    struct gate *g = make_gate();
    snprintf(g->boot_id, sizeof g->boot_id, "another");
    uint32_t before = entries();
    struct instance i = look();
    CHECK(!i.gate && entries() == before);
    CHECK_STR(g->boot_id, "another");
    instance_close(&i);
    gate_close(g);
    remove_file("gate");
}

static void a_short_gate_does_not_count(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/gate", dir);
    FILE *f = fopen(path, "w");
    fputs("PENSTOCK", f);
    fclose(f);
    struct instance i = look();
    CHECK(!i.gate);
    instance_close(&i);
    remove_file("gate");
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/penstock-status-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    RUN(an_empty_directory_is_down);
    RUN(no_directory_is_down);
    RUN(other_programs_do_not_count);
    RUN(the_table_is_readable);
    RUN(a_gate_of_another_boot_does_not_count);
    RUN(a_short_gate_does_not_count);
    remove_file("gate");
    rmdir(dir);
    TEST_END();
}
