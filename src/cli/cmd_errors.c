/* `penstock errors`: the rows that views leave out, from the store of a running instance. They are read as a client's answer
 * is, in one epoch over all shards. */
#include "cli/bad_rows.h"
#include "cli/cli.h"
#include "cli/forget.h"
#include "cli/instance.h"

#include "base/nearest.h"
#include "base/text.h"
#include "config/config.h"
#include "serve/out.h"
#include "store/error_store.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

static struct err *find_view(const struct catalog *c, const char *name)
{
    struct nearest n;
    nearest_init(&n, name);
    for (uint32_t v = 0; v < c->view_count; v++) {
        if (!catalog_publishes(c, v))
            continue;
        if (strcmp(c->views[v].name, name) == 0)
            return NULL;
        nearest_offer(&n, c->views[v].name);
    }
    struct err *e = err_new(ERR_CONFIG, "no view '%s' is published", name);
    return n.best ? err_hint(e, "did you mean '%s'?", n.best) : e;
}

/* ---- output ---- */

static const char *text_of(yyjson_val *o, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(o, name));
    return text ? text : "";
}

static void print_row(yyjson_val *row, FILE *to)
{
    size_t i, n;
    yyjson_val *name, *value;
    yyjson_obj_foreach(row, i, n, name, value)
    {
        const char *text = yyjson_is_null(value) ? "NULL" : yyjson_get_str(value);
        fputs(i ? " " : "", to);
        text_print(to, yyjson_get_str(name));
        fputc('=', to);
        text_print(to, text ? text : "?");
    }
}

static void print_entry(yyjson_val *e, FILE *to)
{
    uint64_t rows = yyjson_get_uint(yyjson_obj_get(e, "rows"));
    fputs("  ", to);
    print_row(yyjson_obj_get(e, "row"), to);
    if (rows > 1)
        fprintf(to, "  (%llu times)", (unsigned long long)rows);
    fputs("\n    ", to);
    text_print(to, text_of(e, "message"));
    fprintf(to, " (SQLSTATE %s)", text_of(e, "sqlstate"));
    if (*text_of(e, "expression")) {
        fputs(" in ", to);
        text_print(to, text_of(e, "expression"));
    }
    if (yyjson_obj_get(e, "line")) {
        fputs(" at ", to);
        text_print(to, text_of(e, "file"));
        fprintf(to, ":%d:%d", yyjson_get_int(yyjson_obj_get(e, "line")),
                yyjson_get_int(yyjson_obj_get(e, "column")));
    }
    fputc('\n', to);
}

static void print_text(const char *view, const struct error_summary *s, const struct buf *json, FILE *to)
{
    fputs("view ", to);
    text_print(to, view);
    if (!s->known) {
        fputs(": being built, nothing is known yet\n", to);
        return;
    }
    if (!s->rows) {
        fputs(": complete\n", to);
        return;
    }
    fprintf(to, ": incomplete, %llu %s left out\n", (unsigned long long)s->rows,
            s->rows == 1 ? "row is" : "rows are");
    yyjson_doc *d = yyjson_read((const char *)json->p, json->len, YYJSON_READ_ALLOW_INVALID_UNICODE);
    size_t i, n;
    yyjson_val *e;
    yyjson_arr_foreach(yyjson_doc_get_root(d), i, n, e)
    {
        print_entry(e, to);
    }
    yyjson_doc_free(d);
    if (s->listed < s->rows)
        fprintf(to, "  and %llu more, not listed\n", (unsigned long long)(s->rows - s->listed));
}

static void print_json(const char *view, const struct error_summary *s, const struct buf *json, FILE *to)
{
    struct buf b = {0};
    buf_put_str(&b, "{\"view\":");
    out_json_cstr(&b, view);
    buf_put_u8(&b, ',');
    error_summary_put(&b, s);
    fwrite(b.p, 1, b.len, to);
    fputs(",\"errors\":", to);
    fwrite(json->p, 1, json->len, to);
    fputc('}', to);
    buf_fini(&b);
}

/* ---- reading ---- */

static bool is_wanted(const struct catalog *c, uint32_t view, const char *name)
{
    return catalog_publishes(c, view) && (!name || strcmp(c->views[view].name, name) == 0);
}

/* Looked at before the snapshot is taken: what is whole by then is so in the snapshot. */
static void find_whole(const struct gate *g, const struct catalog *c, bool *whole)
{
    for (uint32_t v = 0; v < c->view_count; v++)
        whole[v] = c->views[v].slot < GATE_VIEWS_MAX &&
                   atomic_load(&g->views[c->views[v].slot].state) != VIEW_BUILDING;
}

static struct err *print_views(struct store_snapshot *s, const struct gate *g, const struct catalog *c,
                               const char *name, bool json, FILE *to)
{
    bool *whole = xcalloc(c->view_count + 1, sizeof *whole);
    uint32_t count = 0;
    find_whole(g, c, whole);
    struct err *e = store_snapshot_begin(s, -1);
    fputs(json ? "[" : "", to);
    for (uint32_t v = 0; !e && v < c->view_count; v++) {
        struct buf list = {0};
        struct error_summary summary;
        if (!is_wanted(c, v, name))
            continue;
        error_store_read(s, c, &c->views[v], whole[v], &list, &summary);
        fputs(json && count++ ? ",\n" : "", to);
        (json ? print_json : print_text)(c->views[v].name, &summary, &list, to);
        buf_fini(&list);
    }
    fputs(json ? "]\n" : "", to);
    if (!e)
        store_snapshot_end(s);
    free(whole);
    return e;
}

static struct err *print(struct store_snapshot *s, const struct gate *g, const struct catalog *c,
                         const struct cli_args *a, FILE *to)
{
    if (a->source)
        return bad_rows_print(s, c->shard_count, a->source, a->json, to);
    const char *view = a->word_count ? a->words[0] : NULL;
    TRY(print_views(s, g, c, view, a->json, to));
    if (!view && !a->json)
        bad_rows_point(g, to);
    return NULL;
}

static struct err *read_store(const char *dir, const struct catalog *c, const struct cli_args *a, FILE *to)
{
    struct gate *gate = NULL;
    struct store_reader *reader = NULL;
    struct store_snapshot *snapshot = NULL;
    bool fresh_boot;
    TRY(gate_open(dir, &gate, &fresh_boot));
    struct err *e = store_reader_open(dir, gate, c->shard_count, &reader);
    if (!e)
        e = store_snapshot_new(reader, &snapshot);
    if (!e)
        e = print(snapshot, gate, c, a, to);
    if (snapshot)
        store_snapshot_free(snapshot);
    store_reader_close(reader);
    gate_close(gate);
    return e;
}

static struct err *forget(const char *dir, const struct cli_args *a, FILE *to)
{
    char source[256], table[256], id[64];
    uint64_t rows = 0;
    bool all = strcmp(a->forget, "all") == 0;
    TRY(bad_rows_split(a->source, source, table));
    snprintf(id, sizeof id, "%s", a->forget);
    uint8_t key[QUARANTINE_KEY_BYTES];
    if (!all && !quarantine_id_parse(id, key))
        return err_hint(err_new(ERR_CONFIG, "'%s' is no row's id", id),
                        "penstock errors --source %s lists them; all stands for all of them", a->source);
    TRY(forget_ask(dir, source, table, all ? NULL : id, &rows));
    if (!rows && !all)
        return err_new(ERR_STATE, "no row with the id %s is listed", id);
    fprintf(to, "%llu %s forgotten\n", (unsigned long long)rows, rows == 1 ? "row is" : "rows are");
    return NULL;
}

static struct err *look(const char *dir, const struct cli_args *a, FILE *to)
{
    const char *view = a->word_count ? a->words[0] : NULL;
    struct instance i;
    TRY(instance_open(dir, &i));
    struct err *e = NULL;
    if (!instance_lives(&i) || !i.gate || !i.catalog)
        e = err_hint(err_new(ERR_STATE, "no instance is running on %s", dir), "penstock run starts one");
    if (!e && view)
        e = find_view(i.catalog, view);
    if (!e)
        e = a->forget ? forget(dir, a, to) : read_store(dir, i.catalog, a, to);
    instance_close(&i);
    return e;
}

int cmd_errors(const struct cli_args *a)
{
    char *dir = NULL, *text = NULL;
    size_t len = 0;
    struct err *e = instance_dir(a, &dir);
    FILE *to = open_memstream(&text, &len); /* all is read before anything is said */
    ASSERT(to);
    if (!e && a->source && a->word_count)
        e = err_new(ERR_CONFIG, "a view and --source: one of them at a time");
    if (!e && a->forget && !a->source)
        e = err_new(ERR_CONFIG, "--forget needs the table: --source SOURCE.TABLE");
    if (!e)
        e = look(dir, a, to);
    fclose(to);
    if (!e && (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0))
        e = err_errno(ERR_IO, "cannot write the list");
    free(text);
    free(dir);
    return cli_report(e);
}
