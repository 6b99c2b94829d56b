/* See status_phases.h. */
#include "cli/status_phases.h"

static const char *const names[] = {"epoch", "start", "work", "close", "commit", "publish", "sync", "marker"};
#define PHASES 8

/* Half of the values, and 99 of a hundred, in microseconds: bounds of the histogram; -1: above the last one. */
static void quantiles(const struct gate *g, unsigned phase, int64_t us[2])
{
    const struct histogram *parts[GATE_SHARDS_MAX] = {&g->stats.epoch};
    uint32_t shards = g->shard_count < GATE_SHARDS_MAX ? g->shard_count : GATE_SHARDS_MAX, n = 1;
    if (phase >= 1 && phase <= EPOCH_SHARD_PHASES)
        for (n = 0; n < shards; n++)
            parts[n] = &g->shards[n].stats.phase[phase - 1];
    else if (phase == 5)
        parts[0] = &g->stats.publish;
    else if (phase > 5)
        parts[0] = &g->stats.checkpoint[phase - 6];
    for (int k = 0; k < 2; k++) {
        uint64_t bound = histogram_quantile(parts, n, k ? 0.99 : 0.5);
        us[k] = bound == HISTOGRAM_ABOVE ? -1 : (int64_t)bound * HISTOGRAM_TIME_US;
    }
}

static void put_ms(int64_t us, FILE *to)
{
    if (us < 0)
        fputs(">10000", to);
    else
        fprintf(to, "%g", (double)us / 1000);
}

void status_phases_text(const struct gate *g, FILE *to)
{
    fputs("p50/p99 ms ", to);
    for (unsigned p = 0; p < PHASES; p++) {
        int64_t us[2];
        quantiles(g, p, us);
        fprintf(to, "%s%s ", p ? ", " : "", names[p]);
        put_ms(us[0], to);
        fputc('/', to);
        put_ms(us[1], to);
    }
    fputc('\n', to);
}

void status_phases_json(const struct gate *g, yyjson_mut_doc *d, yyjson_mut_val *to)
{
    for (unsigned p = 0; p < PHASES; p++) {
        int64_t us[2];
        quantiles(g, p, us);
        yyjson_mut_val *o = yyjson_mut_obj_add_obj(d, to, names[p]);
        yyjson_mut_obj_add_int(d, o, "p50_us", us[0]);
        yyjson_mut_obj_add_int(d, o, "p99_us", us[1]);
    }
}
