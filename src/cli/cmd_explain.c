/* `penstock explain`: the dataflow graph of one view or of all, as text or for Graphviz; with what each operator holds when an
 * instance runs with this plan. */
#include "cli/cli.h"
#include "cli/instance.h"
#include "cli/world.h"

#include "base/nearest.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static struct err *find_view(const struct app *a, const char *view)
{
    struct nearest n;
    nearest_init(&n, view);
    for (uint32_t i = 0; i < a->plan->view_count; i++) {
        if (strcmp(a->plan->views[i]->name, view) == 0)
            return NULL;
        nearest_offer(&n, a->plan->views[i]->name);
    }
    struct err *e = err_new(ERR_CONFIG, "%s: there is no view '%s'", a->config->file, view);
    return n.best ? err_hint(e, "did you mean '%s'?", n.best) : e;
}

/* ---- what the operators of a running instance hold ---- */

static void put_bytes(struct buf *b, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1024 && u + 1 < ARRAY_COUNT(units); u++)
        v /= 1024;
    buf_printf(b, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

struct sizes { /* over the shards */
    uint64_t memory, rows, stored, in, out;
    uint64_t largest; /* shard's part of memory, or of the store */
};

static struct sizes sum(const struct op_stats *s, uint32_t node)
{
    struct sizes t = {0};
    for (uint32_t shard = 0; shard < s->shard_count; shard++) {
        const struct op_stat *o = op_stat_of(s, shard, node);
        uint64_t memory = atomic_load(&o->state_bytes), stored = atomic_load(&o->stored_bytes);
        t.memory += memory;
        t.stored += stored;
        t.rows += atomic_load(&o->state_rows);
        t.in += atomic_load(&o->rows_in);
        t.out += atomic_load(&o->rows_out);
        t.largest = memory + stored > t.largest ? memory + stored : t.largest;
    }
    return t;
}

/* "1.2 MiB in memory, 5000 rows, skew 1.05; 7000 in, 5000 out" */
static void put_sizes(const void *ctx, const struct plan_node *n, struct buf *out)
{
    const struct op_stats *s = ctx;
    struct sizes t = sum(s, n->id);
    uint64_t bytes = t.memory + t.stored;
    if (bytes) {
        put_bytes(out, bytes);
        buf_printf(out, " in %s, %llu rows", t.stored ? "the store" : "memory", (unsigned long long)t.rows);
        if (s->shard_count > 1)
            buf_printf(out, ", skew %.2f", (double)t.largest * s->shard_count / (double)bytes);
        buf_put_str(out, "; ");
    }
    if (t.in)
        buf_printf(out, "%llu in, ", (unsigned long long)t.in);
    buf_printf(out, "%llu out", (unsigned long long)t.out);
}

/* The numbers of the instance on the data directory, if one runs with the very plan; else NULL. */
static struct err *find_stats(const struct app *a, const char *dir, const struct op_stats **out)
{
    struct instance i;
    TRY(instance_open(dir, &i));
    struct err *e = i.pipeline ? op_stats_open(dir, out) : NULL;
    if (*out && ((*out)->pid != i.pipeline || (*out)->node_count != a->plan->node_count ||
                 (*out)->plan_hash != app_plan_hash(a))) {
        fputs("penstock: the running instance has another plan (or is starting): what its operators hold is "
              "not shown\n"
              "  hint: penstock apply lets it take over the changed configuration\n",
              stderr);
        op_stats_close(*out);
        *out = NULL;
    }
    instance_close(&i);
    return e;
}

/* ---- for programs: the graph, and each operator's numbers by shard ---- */

static yyjson_mut_val *shard_json(yyjson_mut_doc *d, const struct op_stat *o)
{
    yyjson_mut_val *v = yyjson_mut_obj(d);
    yyjson_mut_obj_add_uint(d, v, "rows_in", atomic_load(&o->rows_in));
    yyjson_mut_obj_add_uint(d, v, "rows_out", atomic_load(&o->rows_out));
    yyjson_mut_obj_add_uint(d, v, "busy_ns", atomic_load(&o->busy_ns));
    yyjson_mut_obj_add_uint(d, v, "state_bytes", atomic_load(&o->state_bytes));
    yyjson_mut_obj_add_uint(d, v, "state_rows", atomic_load(&o->state_rows));
    yyjson_mut_obj_add_uint(d, v, "stored_bytes", atomic_load(&o->stored_bytes));
    return v;
}

static void print_json(const struct app *a, const char *view, const struct op_stats *s, const char *graph)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_str(d, root, "graph", graph);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "operators");
    for (uint32_t n = 0; s && !view && n < a->plan->node_count; n++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_uint(d, one, "id", n);
        yyjson_mut_val *shards = yyjson_mut_obj_add_arr(d, one, "shards");
        for (uint32_t i = 0; i < s->shard_count; i++)
            yyjson_mut_arr_append(shards, shard_json(d, op_stat_of(s, i, n)));
    }
    char *text = yyjson_mut_write(d, 0, NULL);
    if (text)
        puts(text);
    free(text);
    yyjson_mut_doc_free(d);
}

static struct err *explain_json(const struct app *a, const char *view, const struct op_stats *stats)
{
    char *graph = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&graph, &len);
    if (!to)
        return err_errno(ERR_IO, "no memory for the graph");
    plan_explain_with(a->plan, view, true, NULL, to);
    if (fclose(to) == 0)
        print_json(a, view, stats, graph);
    free(graph);
    return NULL;
}

static struct err *explain(struct app *a, const char *dir, const char *view, bool dot, bool json)
{
    const struct op_stats *stats = NULL;
    TRY(app_describe(a, NULL));
    TRY(app_plan(a));
    if (view)
        TRY(find_view(a, view));
    TRY(find_stats(a, dir ? dir : a->config->store_path, &stats));
    struct plan_notes notes = {put_sizes, stats};
    struct err *e = NULL;
    if (json)
        e = explain_json(a, view, stats);
    else
        plan_explain_with(a->plan, view, dot, stats ? &notes : NULL, stdout);
    op_stats_close(stats);
    return e;
}

int cmd_explain(const struct cli_args *a)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = explain(app, a->data, a->word_count ? a->words[0] : NULL, a->dot, a->json);
    int status = cli_report(e);
    app_free(app);
    return status;
}
