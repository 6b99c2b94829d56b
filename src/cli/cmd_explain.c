/* `penstock explain`: the dataflow graph of one view or of all, as text or for Graphviz; with what each operator holds when an
 * instance runs with this plan. */
#include "cli/cli.h"
#include "cli/instance.h"
#include "cli/world.h"

#include "base/nearest.h"

#include <string.h>

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

static struct err *explain(struct app *a, const char *dir, const char *view, bool dot)
{
    const struct op_stats *stats = NULL;
    TRY(app_describe(a, NULL));
    TRY(app_plan(a));
    if (view)
        TRY(find_view(a, view));
    TRY(find_stats(a, dir ? dir : a->config->store_path, &stats));
    struct plan_notes notes = {put_sizes, stats};
    plan_explain_with(a->plan, view, dot, stats ? &notes : NULL, stdout);
    op_stats_close(stats);
    return NULL;
}

int cmd_explain(const struct cli_args *a)
{
    struct app *app = NULL;
    struct err *e = app_load(a->config, &app);
    if (!e)
        e = explain(app, a->data, a->word_count ? a->words[0] : NULL, a->dot);
    int status = cli_report(e);
    app_free(app);
    return status;
}
