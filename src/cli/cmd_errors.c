/* `penstock errors`: the rows that views leave out because an expression fails for them, from the store of a running
 * instance. They are read as a client's answer is, in one epoch over all shards. */
#include "cli/cli.h"
#include "cli/instance.h"

#include "base/nearest.h"
#include "config/config.h"
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
        fprintf(to, "%s%s=%s", i ? " " : "", yyjson_get_str(name), text ? text : "?");
    }
}

static void print_entry(yyjson_val *e, FILE *to)
{
    uint64_t rows = yyjson_get_uint(yyjson_obj_get(e, "rows"));
    fputs("  ", to);
    print_row(yyjson_obj_get(e, "row"), to);
    if (rows > 1)
        fprintf(to, "  (%llu times)", (unsigned long long)rows);
    fprintf(to, "\n    %s (SQLSTATE %s)", text_of(e, "message"), text_of(e, "sqlstate"));
    if (*text_of(e, "expression"))
        fprintf(to, " in %s", text_of(e, "expression"));
    if (yyjson_obj_get(e, "line"))
        fprintf(to, " at %s:%d:%d", text_of(e, "file"), yyjson_get_int(yyjson_obj_get(e, "line")),
                yyjson_get_int(yyjson_obj_get(e, "column")));
    fputc('\n', to);
}

static void print_text(const char *view, const struct error_summary *s, const struct buf *json, FILE *to)
{
    if (!s->known) {
        fprintf(to, "view %s: the pipeline is starting, nothing is known yet\n", view);
        return;
    }
    if (!s->rows) {
        fprintf(to, "view %s: complete\n", view);
        return;
    }
    fprintf(to, "view %s: incomplete, %llu %s left out\n", view, (unsigned long long)s->rows,
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
    fprintf(to,
            "{\"view\":\"%s\",\"known\":%s,\"incomplete\":%s,\"rows\":%llu,\"listed\":%llu,\"errors\":%.*s}",
            view, s->known ? "true" : "false", s->rows ? "true" : "false", (unsigned long long)s->rows,
            (unsigned long long)s->listed, (int)json->len, (const char *)json->p);
}

/* ---- reading ---- */

static bool is_wanted(const struct catalog *c, uint32_t view, const char *name)
{
    return catalog_publishes(c, view) && (!name || strcmp(c->views[view].name, name) == 0);
}

static struct err *print_views(struct store_snapshot *s, const struct catalog *c, const char *name, bool json)
{
    TRY(store_snapshot_begin(s, -1));
    uint32_t count = 0;
    fputs(json ? "[" : "", stdout);
    for (uint32_t v = 0; v < c->view_count; v++) {
        struct buf list = {0};
        struct error_summary summary;
        if (!is_wanted(c, v, name))
            continue;
        error_store_read(s, c, &c->views[v], &list, &summary);
        fputs(json && count++ ? ",\n" : "", stdout);
        (json ? print_json : print_text)(c->views[v].name, &summary, &list, stdout);
        buf_fini(&list);
    }
    fputs(json ? "]\n" : "", stdout);
    store_snapshot_end(s);
    return NULL;
}

static struct err *read_store(const char *dir, const struct catalog *c, const char *view, bool json)
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
        e = print_views(snapshot, c, view, json);
    if (snapshot)
        store_snapshot_free(snapshot);
    store_reader_close(reader);
    gate_close(gate);
    return e;
}

static struct err *look(const char *dir, const char *view, bool json)
{
    struct instance i;
    TRY(instance_open(dir, &i));
    struct err *e = NULL;
    if (!instance_lives(&i) || !i.gate || !i.catalog)
        e = err_hint(err_new(ERR_STATE, "no instance is running on %s", dir), "penstock run starts one");
    if (!e && view)
        e = find_view(i.catalog, view);
    if (!e)
        e = read_store(dir, i.catalog, view, json);
    instance_close(&i);
    return e;
}

int cmd_errors(const struct cli_args *a)
{
    char *dir = NULL;
    struct err *e = instance_dir(a, &dir);
    if (!e)
        e = look(dir, a->word_count ? a->words[0] : NULL, a->json);
    free(dir);
    return cli_report(e);
}
