/* What placement.h found, for people and as JSON; and the command. */
#include "box/placement.h"

#include "base/text.h"
#include "box/box.h"
#include "box/settings.h"

#include <stdio.h>
#include <stdlib.h>

/* "0-3,8" */
static void put_cpus(struct buf *b, const struct placement_cpus *c)
{
    bool any = false;
    for (int i = 0; i < PLACEMENT_CPUS_MAX; i++) {
        int from = i;
        while (i < PLACEMENT_CPUS_MAX && c->bits[i / 64] >> (i % 64) & 1)
            i++;
        if (i == from)
            continue;
        buf_printf(b, i - from > 1 ? "%s%d-%d" : "%s%d", any ? "," : "", from, i - 1);
        any = true;
    }
}

/* Names are chosen by processes: what JSON or a terminal could mistake is shown as '?'. */
static void put_name(struct buf *b, const char *name)
{
    for (; *name; name++)
        buf_put_u8(b, *name < ' ' || *name > '~' || *name == '"' || *name == '\\' ? '?' : (uint8_t)*name);
}

static void put_nodes(struct buf *b, const char *key, const uint64_t *by_node, uint32_t count)
{
    buf_printf(b, "\"%s\":[", key);
    for (uint32_t n = 0; n < count; n++)
        buf_printf(b, "%s%llu", n ? "," : "", (unsigned long long)by_node[n]);
    buf_put_str(b, "]");
}

static void put_thread(struct buf *b, const struct placement_thread *t)
{
    buf_printf(b, "{\"process\":\"%s\",\"name\":\"", t->process);
    put_name(b, t->name);
    buf_put_str(b, "\",\"cpus\":\"");
    put_cpus(b, &t->allowed);
    buf_put_str(b, "\"}");
}

static void put_shard(struct buf *b, const struct placement_view *v, uint32_t i)
{
    const struct placement_shard *s = &v->shards[i];
    buf_printf(b, "{\"shard\":%u,\"cpu\":", i);
    if (s->cpu >= 0)
        buf_printf(b, "%d,\"node\":%d,", s->cpu, s->node);
    else
        buf_put_str(b, "null,\"node\":null,");
    put_nodes(b, "rings_kib", s->rings_kib, v->node_count);
    buf_put_str(b, ",");
    put_nodes(b, "store_kib", s->store_kib, v->node_count);
    buf_printf(b, ",\"interrupts\":%u,\"interrupts_bound\":%u,\"others\":%u,\"kernel_threads\":%u}", s->irqs,
               s->irqs_bound, s->others, s->kernel_threads);
}

void placement_json(const struct placement_view *v, struct buf *b)
{
    buf_printf(b, "{\"ok\":%s,\"nodes\":%u,\"shards\":[", v->problem_count ? "false" : "true", v->node_count);
    for (uint32_t i = 0; i < v->shard_count; i++) {
        buf_put_str(b, i ? "," : "");
        put_shard(b, v, i);
    }
    buf_put_str(b, "],\"threads\":[");
    for (uint32_t i = 0; i < v->thread_count; i++) {
        buf_put_str(b, i ? "," : "");
        put_thread(b, &v->threads[i]);
    }
    buf_put_str(b, "],");
    put_nodes(b, "pipeline_kib", v->private_kib, v->node_count);
    buf_put_str(b, ",");
    put_nodes(b, "serve_kib", v->serve_kib, v->node_count);
    buf_put_str(b, ",\"bound_kib\":[");
    for (uint32_t n = 0; n < v->node_count; n++) {
        buf_put_str(b, n ? ",[" : "[");
        for (uint32_t k = 0; k < v->node_count; k++)
            buf_printf(b, "%s%llu", k ? "," : "", (unsigned long long)v->bound_kib[n][k]);
        buf_put_str(b, "]");
    }
    buf_put_str(b, "]");
    buf_printf(b, ",\"transparent_huge_kib\":%llu,", (unsigned long long)v->huge_kib);
    put_nodes(b, "hugepages_kib", v->hugepages, v->node_count);
    buf_put_str(b, ",");
    put_nodes(b, "hugepages_free_kib", v->hugepages_free, v->node_count);
    buf_put_str(b, ",\"problems\":[");
    for (uint32_t i = 0; i < v->problem_count; i++) {
        buf_put_str(b, i ? ",\"" : "\"");
        put_name(b, v->problems[i]);
        buf_put_str(b, "\"");
    }
    buf_printf(b, "],\"problems_not_shown\":%u}\n", v->problem_dropped);
}

static void put_mib(struct buf *b, const char *title, const uint64_t *by_node, uint32_t count)
{
    buf_printf(b, "%-22s", title);
    for (uint32_t n = 0; n < count; n++)
        buf_printf(b, "%10.1f", (double)by_node[n] / 1024);
    buf_put_str(b, "\n");
}

void placement_text(const struct placement_view *v, struct buf *b)
{
    buf_printf(b, "placement             %s\n", v->problem_count ? "not as planned" : "as planned");
    for (uint32_t i = 0; i < v->problem_count; i++) {
        buf_put_str(b, "  ");
        put_name(b, v->problems[i]);
        buf_put_str(b, "\n");
    }
    if (v->problem_dropped)
        buf_printf(b, "  and %u more\n", v->problem_dropped);
    buf_printf(b, "\n%-10s%-18s%s\n", "process", "thread", "cpus");
    for (uint32_t i = 0; i < v->thread_count; i++) {
        buf_printf(b, "%-10s", v->threads[i].process);
        size_t at = b->len;
        put_name(b, v->threads[i].name);
        buf_printf(b, "%*s", (int)(at + 18 - b->len), "");
        put_cpus(b, &v->threads[i].allowed);
        buf_put_str(b, "\n");
    }
    buf_printf(b, "\n%-22s", "MiB on node");
    for (uint32_t n = 0; n < v->node_count; n++)
        buf_printf(b, "%10u", n);
    buf_put_str(b, "\n");
    for (uint32_t n = 0; n < v->node_count; n++) {
        char title[32];
        snprintf(title, sizeof title, "rings meant for %u", n);
        put_mib(b, title, v->bound_kib[n], v->node_count);
    }
    for (uint32_t i = 0; i < v->shard_count; i++) {
        char title[32];
        snprintf(title, sizeof title, "shard %u, rings", i);
        put_mib(b, title, v->shards[i].rings_kib, v->node_count);
        snprintf(title, sizeof title, "shard %u, store", i);
        put_mib(b, title, v->shards[i].store_kib, v->node_count);
    }
    put_mib(b, "pipeline, not files", v->private_kib, v->node_count);
    put_mib(b, "server, not files", v->serve_kib, v->node_count);
    put_mib(b, "huge pages kept back", v->hugepages, v->node_count);
    put_mib(b, "  of them free", v->hugepages_free, v->node_count);
    buf_printf(b, "transparent huge pages%10.1f\n", (double)v->huge_kib / 1024);
}

int cmd_placement(int argc, char **argv)
{
    static struct placement_view v;
    static struct settings s;
    bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    if (argc > 2 || (argc == 2 && !json)) {
        fputs("penstock: usage: placement [--json]\n", stderr);
        return 2;
    }
    err_free(settings_load(BOX_SETTINGS, &s));
    struct err *e = placement_look("/proc", "/sys", s.isolate_cores && box_board() != NULL, &v);
    if (e) {
        fprintf(stderr, "penstock: %s\n", e->message);
        if (e->hint)
            fprintf(stderr, "  hint: %s\n", e->hint);
        err_free(e);
        return 1;
    }
    struct buf b = {0};
    if (json)
        placement_json(&v, &b);
    else
        placement_text(&v, &b);
    fwrite(b.p, 1, b.len, stdout);
    buf_fini(&b);
    int status = v.problem_count ? 1 : 0;
    placement_fini(&v);
    return status;
}
