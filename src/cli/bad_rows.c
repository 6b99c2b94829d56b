/* Rows that cannot be read, for people; see bad_rows.h. */
#include "cli/bad_rows.h"

#include "base/text.h"
#include "serve/out.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yyjson.h>

struct err *bad_rows_split(const char *name, char source[256], char table[256])
{
    const char *point = strchr(name, '.');
    if (!point || point == name || !point[1] || point - name > 255 || strlen(point + 1) > 255)
        return err_new(ERR_CONFIG, "--source: expected SOURCE.TABLE, found '%s'", name);
    snprintf(source, 256, "%.*s", (int)(point - name), name);
    snprintf(table, 256, "%s", point + 1);
    return NULL;
}

static const char *text_of(yyjson_val *o, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(o, name));
    return text ? text : "";
}

static void print_time(int64_t us, FILE *to)
{
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    char text[40];
    gmtime_r(&s, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fputs(text, to);
}

static void print_field(yyjson_val *f, FILE *to)
{
    text_print(to, text_of(f, "column"));
    fputc('=', to);
    if (yyjson_obj_get(f, "null"))
        fputs("NULL", to);
    else if (yyjson_obj_get(f, "unchanged"))
        fputs("(unchanged)", to);
    else if (yyjson_obj_get(f, "hex"))
        fprintf(to, "0x%s", text_of(f, "hex"));
    else
        text_print(to, text_of(f, "text"));
    if (yyjson_obj_get(f, "bytes"))
        fprintf(to, "... (%llu bytes)", (unsigned long long)yyjson_get_uint(yyjson_obj_get(f, "bytes")));
}

static void print_entry(yyjson_val *e, FILE *to)
{
    uint64_t rows = yyjson_get_uint(yyjson_obj_get(e, "rows"));
    size_t i, n;
    yyjson_val *f;
    fprintf(to, "  %s  %s at ", text_of(e, "id"), text_of(e, "operation"));
    text_print(to, text_of(e, "position"));
    fputs(", ", to);
    print_time(yyjson_get_sint(yyjson_obj_get(e, "last_us")), to);
    if (rows > 1)
        fprintf(to, "  (%llu times)", (unsigned long long)rows);
    fputs("\n    ", to);
    if (*text_of(e, "column")) {
        fputs("column ", to);
        text_print(to, text_of(e, "column"));
        fputs(": ", to);
    }
    text_print(to, text_of(e, "message"));
    fprintf(to, " (SQLSTATE %s)\n", text_of(e, "sqlstate"));
    yyjson_val *fields = yyjson_obj_get(e, "fields");
    fputs(fields ? "    " : "", to);
    yyjson_arr_foreach(fields, i, n, f)
    {
        fputs(i ? " " : "", to);
        print_field(f, to);
    }
    fputs(fields ? "\n" : "", to);
}

static void print_text(const char *name, const struct quarantine_sum *sum, uint64_t listed,
                       const struct buf *list, FILE *to)
{
    text_print(to, name);
    if (!sum->rows) {
        fputs(": every row can be read\n", to);
        return;
    }
    fprintf(to, ": %llu %s left out\n", (unsigned long long)sum->rows,
            sum->rows == 1 ? "row cannot be read and is" : "rows cannot be read and are");
    yyjson_doc *d = yyjson_read((const char *)list->p, list->len, YYJSON_READ_ALLOW_INVALID_UNICODE);
    size_t i, n;
    yyjson_val *e;
    yyjson_arr_foreach(yyjson_doc_get_root(d), i, n, e)
    {
        print_entry(e, to);
    }
    yyjson_doc_free(d);
    if (listed < sum->rows)
        fprintf(to, "  and %llu more, not listed\n", (unsigned long long)(sum->rows - listed));
}

static void print_json(const char *name, const struct quarantine_sum *sum, uint64_t listed,
                       const struct buf *list, FILE *to)
{
    struct buf b = {0};
    buf_put_str(&b, "{\"table\":");
    out_json_cstr(&b, name);
    buf_printf(&b, ",\"rows\":%llu,\"listed\":%llu,\"errors\":", (unsigned long long)sum->rows,
               (unsigned long long)listed);
    buf_put(&b, list->p, list->len);
    buf_put_str(&b, "}\n");
    fwrite(b.p, 1, b.len, to);
    buf_fini(&b);
}

struct err *bad_rows_print(struct store_snapshot *s, uint32_t shard_count, const char *name, bool json,
                           FILE *to)
{
    char source[256], table[256];
    struct quarantine_sum sum;
    struct buf list = {0};
    TRY(bad_rows_split(name, source, table));
    TRY(store_snapshot_begin(s, -1));
    bool found = quarantine_read_sum(s, shard_count, source, table, &sum);
    uint64_t listed = found ? quarantine_read_list(s, shard_count, source, table, &list) : 0;
    if (found)
        (json ? print_json : print_text)(name, &sum, listed, &list, to);
    store_snapshot_end(s);
    buf_fini(&list);
    return found ? NULL
                 : err_hint(err_new(ERR_CONFIG, "no view reads a table '%s'", name),
                            "penstock explain shows the tables that are read");
}

void bad_rows_point(const struct gate *g, FILE *to)
{
    uint32_t count = atomic_load(&g->bad_table_count);
    for (uint32_t i = 0; i < count && i < GATE_BAD_TABLES_MAX; i++) {
        const struct gate_bad_table *t = &g->bad_tables[i];
        uint32_t source = atomic_load(&t->source);
        uint64_t rows = atomic_load(&t->rows);
        if (!rows || source >= GATE_SOURCES_MAX)
            continue;
        fprintf(to, "table %s.", g->sources[source].name);
        text_print(to, t->name);
        fprintf(to, ": %llu %s (penstock errors --source %s.", (unsigned long long)rows,
                rows == 1 ? "row cannot be read" : "rows cannot be read", g->sources[source].name);
        text_print(to, t->name);
        fputs(")\n", to);
    }
}
