/* State of an instance, printed; see status_print.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/status_print.h"
#include "cli/status_phases.h"
#include "serve/stats.h"
#include "base/sandbox.h"
#include "cli/bad_rows.h"
#include "base/clock.h"
#include "store/pause.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

#define NAME_OF(names, i) ((i) < ARRAY_COUNT(names) ? (names)[i] : "unknown")

static const char *state_name(const struct instance *i)
{
    return i->pipeline && i->gate ? pipeline_state_name(atomic_load(&i->gate->pipeline_state)) : "down";
}

static uint32_t source_count(const struct instance *i)
{
    uint32_t n = i->gate ? atomic_load(&i->gate->source_count) : 0;
    return n < GATE_SOURCES_MAX ? n : GATE_SOURCES_MAX;
}

static uint32_t shard_count(const struct instance *i)
{
    uint32_t n = i->gate ? atomic_load(&i->gate->shard_count) : 0;
    return n < GATE_SHARDS_MAX ? n : GATE_SHARDS_MAX;
}

static const struct gate_view *view_of(const struct instance *i, const struct catalog_view *v)
{
    return i->gate && v->slot < GATE_VIEWS_MAX ? &i->gate->views[v->slot] : NULL;
}

/* Milliseconds since a moment that the gate holds; -1 when there was none. */
static int64_t age_ms(int64_t since_us, int64_t now_us)
{
    if (since_us <= 0)
        return -1;
    return now_us > since_us ? (now_us - since_us) / 1000 : 0;
}

void busy_sample_take(const struct instance *i, struct busy_sample *out)
{
    out->at_us = i->gate ? unix_us() : 0;
    for (uint32_t s = 0; s < shard_count(i); s++)
        out->busy_us[s] = atomic_load(&i->gate->shards[s].busy_us);
    for (uint32_t s = 0; s < source_count(i); s++)
        out->source_rows[s] = atomic_load(&i->gate->sources[s].rows);
}

/* Time that the counters cover: since `before`, or since the pipeline began. */
static double window_us(const struct instance *i, const struct busy_sample *before)
{
    return before->at_us ? (double)(unix_us() - before->at_us) : instance_uptime_s(i->pipeline) * 1e6;
}

static double share(uint64_t now, uint64_t before, double window)
{
    double s = now > before && window > 0 ? (double)(now - before) / window : 0;
    return s < 1 ? s : 1;
}

/* ---- text ---- */

static const char *grouped(uint64_t v, char buf[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, v), out = 0;
    for (int k = 0; k < len; k++) {
        if (k && (len - k) % 3 == 0)
            buf[out++] = ',';
        buf[out++] = digits[k];
    }
    buf[out] = 0;
    return buf;
}

static const char *bytes_text(int64_t bytes, char buf[32])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1024 && u + 1 < ARRAY_COUNT(units); u++)
        v /= 1024;
    snprintf(buf, 32, bytes < 0 ? "-" : u ? "%.1f %s" : "%.0f %s", v, units[u]);
    return buf;
}

static const char *age_text(int64_t ms, char buf[32])
{
    if (ms < 0)
        return "-";
    if (ms < 10000)
        snprintf(buf, 32, "%" PRId64 " ms", ms);
    else if (ms < 600000)
        snprintf(buf, 32, "%" PRId64 " s", ms / 1000);
    else
        snprintf(buf, 32, "%" PRId64 " min", ms / 60000);
    return buf;
}

/* Cells of a table, printed with every column as wide as its widest cell. */
#define GRID_COLUMNS_MAX 9
struct grid {
    uint32_t columns;
    struct buf cells; /* NUL-terminated, row by row */
    uint32_t count;
    uint32_t right; /* bit set of columns that end flush */
};

static void grid_add(struct grid *g, const char *text)
{
    buf_put(&g->cells, text, strlen(text) + 1);
    g->count++;
}

static void grid_widths(const struct grid *g, int *widths)
{
    const char *p = (const char *)g->cells.p;
    for (uint32_t i = 0; i < g->count; i++, p += strlen(p) + 1)
        if ((int)strlen(p) > widths[i % g->columns])
            widths[i % g->columns] = (int)strlen(p);
}

/* Empty cells at the end of a row leave no blanks behind. */
static void grid_print(struct grid *g, FILE *to)
{
    int widths[GRID_COLUMNS_MAX] = {0}, skipped = 0;
    grid_widths(g, widths);
    const char *p = (const char *)g->cells.p;
    for (uint32_t i = 0; i < g->count; i++, p += strlen(p) + 1) {
        uint32_t c = i % g->columns;
        int len = (int)strlen(p), pad = widths[c] - len, before = g->right >> c & 1 ? pad : 0;
        if (len)
            fprintf(to, "%*s%s", skipped + before, "", p);
        skipped = (len ? pad - before : skipped + widths[c]) + 2;
        if (c + 1 == g->columns) {
            fputc('\n', to);
            skipped = 0;
        }
    }
    buf_fini(&g->cells);
}

static void grid_head(struct grid *g, const char *const *heads, uint32_t columns, uint32_t right)
{
    *g = (struct grid){.columns = columns, .right = right};
    for (uint32_t c = 0; c < columns; c++)
        grid_add(g, heads[c]);
}

/* Of all shards; false when nothing is being rebuilt. */
static bool rebuild_progress(const struct instance *i, uint64_t *done, uint64_t *total)
{
    *done = *total = 0;
    for (uint32_t s = 0; s < shard_count(i); s++) {
        *done += atomic_load(&i->gate->shards[s].rebuilt_rows);
        *total += atomic_load(&i->gate->shards[s].rebuild_rows);
    }
    return i->pipeline && i->gate && atomic_load(&i->gate->pipeline_state) == PIPELINE_REBUILDING;
}

static void print_rebuild(const struct instance *i, FILE *to)
{
    char a[32], b[32];
    uint64_t done, total;
    if (rebuild_progress(i, &done, &total))
        fprintf(to, " from %s of %s mirrored rows", grouped(done, a), grouped(total, b));
}

static void print_room(const struct instance *i, FILE *to)
{
    char text[PAUSE_TEXT_BYTES], a[32], b[32];
    if (!i->gate)
        return;
    if (i->pipeline && *pause_text(i->gate, text))
        fprintf(to, "\n           %s", text);
    fprintf(to, "\nmemory     %s", bytes_text(atomic_load(&i->gate->memory_bytes), a));
    if (atomic_load(&i->gate->memory_limit) > 0)
        fprintf(to, " of at most %s", bytes_text(atomic_load(&i->gate->memory_limit), a));
    fprintf(to, "\ndisk       %s free", bytes_text(atomic_load(&i->gate->disk_free), a));
    if (atomic_load(&i->gate->disk_reserve) > 0)
        fprintf(to, ", paused with less than %s", bytes_text(atomic_load(&i->gate->disk_reserve), b));
}

static void print_head(const struct instance *i, FILE *to)
{
    char a[32], b[32], c[32];
    int64_t now = unix_us();
    fprintf(to, "pipeline   %s", state_name(i));
    print_rebuild(i, to);
    if (i->gate)
        fprintf(to, ", last sign of life %s ago",
                age_text(age_ms(atomic_load(&i->gate->heartbeat_us), now), a));
    print_room(i, to);
    fprintf(to, "\nepoch      %s", i->gate ? grouped(atomic_load(&i->gate->epoch), a) : "-");
    if (i->gate)
        fprintf(to, ", visible for %s; durable: %s",
                age_text(age_ms(atomic_load(&i->gate->epoch_us), now), b),
                grouped(atomic_load(&i->gate->durable_epoch), c));
    fputs("\nprocesses ", to);
    const struct {
        const char *name;
        unsigned pid;
    } processes[] = {{"supervisor", i->supervisor}, {"pipeline", i->pipeline}, {"serve", i->serve}};
    for (size_t p = 0; p < ARRAY_COUNT(processes); p++)
        if (processes[p].pid)
            fprintf(to, " %s %u", processes[p].name, processes[p].pid);
        else
            fprintf(to, " %s not running", processes[p].name);
    fputc('\n', to);
}

/* Of sources that clients push into. */
static void print_pushed(const struct instance *i, FILE *to)
{
    char rows[32], log[32];
    for (uint32_t s = 0; s < source_count(i); s++) {
        const struct gate_source *src = &i->gate->sources[s];
        if (atomic_load(&src->log_bytes) > 0)
            fprintf(to, "%s: %s rows were pushed since the pipeline began; its log takes %s\n", src->name,
                    grouped(atomic_load(&src->accepted), rows),
                    bytes_text(atomic_load(&src->log_bytes), log));
    }
}

static void print_sources(const struct instance *i, const struct busy_sample *before, FILE *to)
{
    static const char *const heads[] = {"SOURCE", "STATE",       "CHANGES",  "PER S", "LAG",
                                        "BEHIND", "LAST CHANGE", "POSITION", "ERROR"};
    struct grid g;
    char text[256], rate[32];
    int64_t now = unix_us();
    double window = window_us(i, before);
    grid_head(&g, heads, ARRAY_COUNT(heads), 0x7c);
    for (uint32_t s = 0; s < source_count(i); s++) {
        const struct gate_source *src = &i->gate->sources[s];
        uint64_t rows = atomic_load(&src->rows);
        double more =
            rows > before->source_rows[s] && window > 0 ? (double)(rows - before->source_rows[s]) : 0;
        unsigned state = atomic_load(&src->state);
        grid_add(&g, src->name);
        snprintf(text, sizeof text, "%s", source_state_name(state));
        if (state == SOURCE_SNAPSHOT && atomic_load(&src->snapshot_total))
            snprintf(text, sizeof text, "snapshot %.0f %%",
                     100.0 * (double)atomic_load(&src->snapshot_done) /
                         (double)atomic_load(&src->snapshot_total));
        grid_add(&g, text);
        grid_add(&g, grouped(rows, text));
        grid_add(&g, window > 0 ? grouped((uint64_t)(more / window * 1e6 + 0.5), rate) : "-");
        grid_add(&g, bytes_text(atomic_load(&src->lag_bytes), text));
        grid_add(&g, age_text(status_source_lag_us(i->gate, src, now) / 1000, text));
        grid_add(&g, age_text(age_ms(atomic_load(&src->last_change_us), now), text));
        gate_text_get(src->position, sizeof src->position, &src->position_seq, text);
        grid_add(&g, text);
        gate_text_get(src->error, sizeof src->error, &src->error_seq, text);
        grid_add(&g, text);
    }
    grid_print(&g, to);
    print_pushed(i, to);
    if (i->gate)
        bad_rows_point(i->gate, to);
}

static void print_views(const struct instance *i, FILE *to)
{
    static const char *const heads[] = {"VIEW", "STATE", "ROWS", "MEMORY", "ERROR ROWS", "ERROR"};
    struct grid g;
    char text[256];
    grid_head(&g, heads, ARRAY_COUNT(heads), 0x1c);
    for (uint32_t v = 0; i->catalog && v < i->catalog->view_count; v++) {
        const struct catalog_view *cv = &i->catalog->views[v];
        const struct gate_view *view = view_of(i, cv);
        if (!view || !catalog_publishes(i->catalog, v))
            continue;
        grid_add(&g, cv->name);
        grid_add(&g, view_state_name(atomic_load(&view->state)));
        grid_add(&g, grouped(atomic_load(&view->rows), text));
        grid_add(&g, bytes_text((int64_t)atomic_load(&view->state_bytes), text));
        grid_add(&g, grouped(atomic_load(&view->error_rows), text));
        gate_text_get(view->error, sizeof view->error, &view->error_seq, text);
        grid_add(&g, text);
    }
    grid_print(&g, to);
}

static void print_shards(const struct instance *i, const struct busy_sample *before, FILE *to)
{
    static const char *const heads[] = {"SHARD", "ROWS IN", "STATE", "BUSY", "COMMITTING", "QUEUE PEAKS"};
    struct grid g;
    char text[64];
    double window = window_us(i, before), up = instance_uptime_s(i->pipeline) * 1e6;
    grid_head(&g, heads, ARRAY_COUNT(heads), 0x3f);
    for (uint32_t s = 0; s < shard_count(i); s++) {
        const struct gate_shard *sh = &i->gate->shards[s];
        snprintf(text, sizeof text, "%u", s);
        grid_add(&g, text);
        grid_add(&g, grouped(atomic_load(&sh->rows_in), text));
        grid_add(&g, bytes_text((int64_t)atomic_load(&sh->state_bytes), text));
        snprintf(text, sizeof text, "%.1f %%",
                 100 * share(atomic_load(&sh->busy_us), before->busy_us[s], window));
        grid_add(&g, text);
        snprintf(text, sizeof text, "%.1f %%", 100 * share(atomic_load(&sh->commit_us), 0, up));
        grid_add(&g, text);
        const struct gate_shard_stats *st = &sh->stats;
        snprintf(text, sizeof text, "in %llu, shards %llu, out %llu",
                 (unsigned long long)st->queue[GATE_QUEUE_LANES].most,
                 (unsigned long long)st->queue[GATE_QUEUE_SHARDS].most,
                 (unsigned long long)st->queue[GATE_QUEUE_OUT].most);
        grid_add(&g, text);
    }
    grid_print(&g, to);
}

/* Only what is missing: everything in place is the rule. */
static void print_sandbox(const char *process, unsigned parts, FILE *to)
{
    char missing[96];
    if (parts && *sandbox_missing(parts, missing, sizeof missing))
        fprintf(to, "%-15s%s runs without: %s\n", "confinement", process, missing);
}

void status_print_text(const struct instance *i, const struct busy_sample *before, FILE *to)
{
    print_head(i, to);
    if (i->gate) {
        print_sandbox("pipeline", atomic_load(&i->gate->pipeline_sandbox), to);
        print_sandbox("serve", atomic_load(&i->gate->serve_sandbox), to);
    }
    if (i->gate) {
        fputs("phases     ", to);
        status_phases_text(i->gate, to);
    }
    if (source_count(i)) {
        fputc('\n', to);
        print_sources(i, before, to);
    }
    if (i->catalog && i->catalog->api_count) {
        fputc('\n', to);
        print_views(i, to);
    }
    if (shard_count(i)) {
        fputc('\n', to);
        print_shards(i, before, to);
    }
}

/* ---- one line ---- */

void status_print_line(const struct instance *i, FILE *to)
{
    fprintf(to, "state=%s", instance_lives(i) ? state_name(i) : "not-running");
    if (i->gate)
        fprintf(to, " epoch=%llu durable_epoch=%llu", (unsigned long long)atomic_load(&i->gate->epoch),
                (unsigned long long)atomic_load(&i->gate->durable_epoch));
    for (uint32_t s = 0; s < source_count(i); s++) {
        const struct gate_source *src = &i->gate->sources[s];
        fprintf(to, " %s=%s:%llu", src->name, source_state_name(atomic_load(&src->state)),
                (unsigned long long)atomic_load(&src->rows));
    }
    fputc('\n', to);
}

/* ---- JSON ---- */

static void json_seq_text(yyjson_mut_doc *d, yyjson_mut_val *o, const char *name, const char *field,
                          size_t size, const atomic_uint *seq)
{
    char text[256];
    gate_text_get(field, size, seq, text);
    yyjson_mut_obj_add_strcpy(d, o, name, text);
}

static void json_bad_tables(const struct gate *g, uint32_t source, yyjson_mut_doc *d, yyjson_mut_val *list)
{
    uint32_t count = atomic_load(&g->bad_table_count);
    for (uint32_t i = 0; i < count && i < GATE_BAD_TABLES_MAX; i++) {
        const struct gate_bad_table *t = &g->bad_tables[i];
        if (atomic_load(&t->source) != source || !atomic_load(&t->rows))
            continue;
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_strcpy(d, o, "table", t->name);
        yyjson_mut_obj_add_uint(d, o, "rows", atomic_load(&t->rows));
    }
}

static void json_sources(const struct instance *i, yyjson_mut_doc *d, yyjson_mut_val *list)
{
    int64_t now = unix_us();
    for (uint32_t s = 0; s < source_count(i); s++) {
        const struct gate_source *src = &i->gate->sources[s];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_strcpy(d, o, "name", src->name);
        yyjson_mut_obj_add_str(d, o, "state", source_state_name(atomic_load(&src->state)));
        yyjson_mut_obj_add_uint(d, o, "rows", atomic_load(&src->rows));
        yyjson_mut_obj_add_uint(d, o, "snapshot_done", atomic_load(&src->snapshot_done));
        yyjson_mut_obj_add_uint(d, o, "snapshot_total", atomic_load(&src->snapshot_total));
        yyjson_mut_obj_add_int(d, o, "lag_bytes", atomic_load(&src->lag_bytes));
        yyjson_mut_obj_add_int(d, o, "lag_ms", status_source_lag_us(i->gate, src, now) / 1000);
        yyjson_mut_obj_add_int(d, o, "retained_bytes", atomic_load(&src->retained_bytes));
        yyjson_mut_obj_add_int(d, o, "log_bytes", atomic_load(&src->log_bytes));
        yyjson_mut_obj_add_uint(d, o, "accepted", atomic_load(&src->accepted));
        yyjson_mut_obj_add_uint(d, o, "refused", atomic_load(&src->refused));
        yyjson_mut_obj_add_uint(d, o, "expired", atomic_load(&src->expired));
        yyjson_mut_obj_add_uint(d, o, "late", atomic_load(&src->late));
        yyjson_mut_obj_add_uint(d, o, "quarantined_rows", atomic_load(&src->bad_rows));
        json_bad_tables(i->gate, s, d, yyjson_mut_obj_add_arr(d, o, "quarantined_tables"));
        yyjson_mut_obj_add_int(d, o, "change_age_ms", age_ms(atomic_load(&src->last_change_us), now));
        yyjson_mut_obj_add_int(d, o, "contact_age_ms", age_ms(atomic_load(&src->last_contact_us), now));
        json_seq_text(d, o, "position", src->position, sizeof src->position, &src->position_seq);
        json_seq_text(d, o, "error", src->error, sizeof src->error, &src->error_seq);
    }
}

static void json_views(const struct instance *i, yyjson_mut_doc *d, yyjson_mut_val *list)
{
    for (uint32_t v = 0; i->catalog && v < i->catalog->view_count; v++) {
        const struct catalog_view *cv = &i->catalog->views[v];
        const struct gate_view *view = view_of(i, cv);
        if (!view || !catalog_publishes(i->catalog, v))
            continue;
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, o, "name", cv->name);
        yyjson_mut_obj_add_str(d, o, "state", view_state_name(atomic_load(&view->state)));
        yyjson_mut_obj_add_uint(d, o, "rows", atomic_load(&view->rows));
        yyjson_mut_obj_add_uint(d, o, "state_bytes", atomic_load(&view->state_bytes));
        yyjson_mut_obj_add_uint(d, o, "error_rows", atomic_load(&view->error_rows));
        json_seq_text(d, o, "error", view->error, sizeof view->error, &view->error_seq);
    }
}

static void json_shards(const struct instance *i, yyjson_mut_doc *d, yyjson_mut_val *list)
{
    double up = instance_uptime_s(i->pipeline) * 1e6;
    for (uint32_t s = 0; s < shard_count(i); s++) {
        const struct gate_shard *sh = &i->gate->shards[s];
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_uint(d, o, "shard", s);
        yyjson_mut_obj_add_uint(d, o, "rows_in", atomic_load(&sh->rows_in));
        yyjson_mut_obj_add_uint(d, o, "epochs", atomic_load(&sh->epochs));
        yyjson_mut_obj_add_uint(d, o, "state_bytes", atomic_load(&sh->state_bytes));
        yyjson_mut_obj_add_uint(d, o, "busy_us", atomic_load(&sh->busy_us));
        yyjson_mut_obj_add_uint(d, o, "commit_us", atomic_load(&sh->commit_us));
        yyjson_mut_obj_add_uint(d, o, "lane_queue_max", sh->stats.queue[GATE_QUEUE_LANES].most);
        yyjson_mut_obj_add_uint(d, o, "shard_queue_max", sh->stats.queue[GATE_QUEUE_SHARDS].most);
        yyjson_mut_obj_add_uint(d, o, "out_queue_max", sh->stats.queue[GATE_QUEUE_OUT].most);
        yyjson_mut_obj_add_real(d, o, "busy", share(atomic_load(&sh->busy_us), 0, up));
    }
}

/* "paused": null, or why, since when and what it takes. */
static void json_room(const struct instance *i, yyjson_mut_doc *d, yyjson_mut_val *root)
{
    const struct gate *g = i->gate;
    unsigned reason = g && i->pipeline ? atomic_load(&g->pause.reason) : PAUSE_NONE;
    if (reason == PAUSE_NONE) {
        yyjson_mut_obj_add_null(d, root, "paused");
    } else {
        char text[PAUSE_TEXT_BYTES];
        yyjson_mut_val *o = yyjson_mut_obj_add_obj(d, root, "paused");
        yyjson_mut_obj_add_str(d, o, "reason", pause_reason_label(reason));
        yyjson_mut_obj_add_int(d, o, "age_ms", age_ms(atomic_load(&g->pause.since_us), unix_us()));
        yyjson_mut_obj_add_int(d, o, "need_bytes", atomic_load(&g->pause.need_bytes));
        yyjson_mut_obj_add_int(d, o, "have_bytes", atomic_load(&g->pause.have_bytes));
        yyjson_mut_obj_add_strcpy(d, o, "text", pause_text(g, text));
    }
    yyjson_mut_obj_add_int(d, root, "memory_bytes", g ? atomic_load(&g->memory_bytes) : -1);
    yyjson_mut_obj_add_int(d, root, "memory_limit", g ? atomic_load(&g->memory_limit) : -1);
    yyjson_mut_obj_add_int(d, root, "disk_free", g ? atomic_load(&g->disk_free) : -1);
    yyjson_mut_obj_add_int(d, root, "disk_reserve", g ? atomic_load(&g->disk_reserve) : -1);
}

static void json_sandbox(yyjson_mut_doc *d, yyjson_mut_val *o, const char *process, unsigned parts)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, o, process);
    for (unsigned k = 0; sandbox_part_name(k); k++)
        if (parts & 1u << k)
            yyjson_mut_arr_add_str(d, list, sandbox_part_name(k));
}

static void json_head(const struct instance *i, yyjson_mut_doc *d, yyjson_mut_val *root)
{
    const struct gate *g = i->gate;
    int64_t now = unix_us();
    yyjson_mut_obj_add_str(d, root, "state", state_name(i));
    yyjson_mut_obj_add_uint(d, root, "epoch", g ? atomic_load(&g->epoch) : i->durable_epoch);
    yyjson_mut_obj_add_uint(d, root, "durable_epoch", g ? atomic_load(&g->durable_epoch) : i->durable_epoch);
    yyjson_mut_obj_add_int(d, root, "epoch_age_ms", g ? age_ms(atomic_load(&g->epoch_us), now) : -1);
    yyjson_mut_obj_add_int(d, root, "heartbeat_age_ms", g ? age_ms(atomic_load(&g->heartbeat_us), now) : -1);
    json_room(i, d, root);
    uint64_t done, total;
    rebuild_progress(i, &done, &total);
    yyjson_mut_obj_add_uint(d, root, "rebuilt_rows", done);
    yyjson_mut_obj_add_uint(d, root, "rebuild_rows", total);
    yyjson_mut_obj_add_real(d, root, "uptime_s", instance_uptime_s(i->pipeline));
    yyjson_mut_val *confined = yyjson_mut_obj_add_obj(d, root, "confined");
    json_sandbox(d, confined, "pipeline", g ? atomic_load(&g->pipeline_sandbox) : 0);
    json_sandbox(d, confined, "serve", g ? atomic_load(&g->serve_sandbox) : 0);
    if (g)
        status_phases_json(g, d, yyjson_mut_obj_add_obj(d, root, "phases"));
    yyjson_mut_val *pids = yyjson_mut_obj_add_obj(d, root, "pids");
    yyjson_mut_obj_add_uint(d, pids, "supervisor", i->supervisor);
    yyjson_mut_obj_add_uint(d, pids, "pipeline", i->pipeline);
    yyjson_mut_obj_add_uint(d, pids, "serve", i->serve);
}

void status_print_json(const struct instance *i, bool one_line, FILE *to)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    json_head(i, d, root);
    json_sources(i, d, yyjson_mut_obj_add_arr(d, root, "sources"));
    json_views(i, d, yyjson_mut_obj_add_arr(d, root, "views"));
    json_shards(i, d, yyjson_mut_obj_add_arr(d, root, "shards"));
    yyjson_write_flag flags =
        YYJSON_WRITE_ALLOW_INVALID_UNICODE | (one_line ? 0 : YYJSON_WRITE_PRETTY_TWO_SPACES);
    char *text = yyjson_mut_write(d, flags, NULL);
    yyjson_mut_doc_free(d);
    if (!text)
        PANIC("out of memory");
    fprintf(to, "%s\n", text);
    free(text);
}
