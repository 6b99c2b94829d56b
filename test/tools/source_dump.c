/* Runs one source of a configuration against a sink of its own that prints every change as a line of JSON: shows what a
 * source does without the pipeline, and is what test/e2e/test_pg_source.py drives.
 *
 *     source_dump [OPTION...] CONFIG SOURCE
 *     --describe          print the tables and end
 *     --position FILE     resume from FILE if it exists, and keep the newest position there
 *     --count             print no rows, only how many and how fast; the position is kept at the end only
 *     --until STATE|N     end in state `streaming`, or after N commits on lane 0 that follow the snapshot
 *     --keep              refuse sink_rollback, as the pipeline does for very large transactions
 *     --not-durable       no position ever becomes durable
 *     --stop-tables       stop a table alone when it has changed
 *     --data DIR          where the source may keep files
 *     --slow US           a row of lane 0 takes so many microseconds
 *     --unwanted T[,T]    tables, or T.COLUMN, that no view reads
 *
 * Ends on SIGTERM and SIGINT. Rows of lane 0 are printed at their commit. */
#include "base/buf.h"
#include "base/log.h"
#include "source/source.h"
#include "types/func.h"
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct sink_lane {
    struct sink *sink;
    uint32_t number;
    uint64_t rows;
    struct buf text; /* of the open transaction */
    struct arena arena;
};
struct sink {
    struct sink_lane lanes[SOURCE_LANES_MAX];
    pthread_mutex_t lock;
    const struct table_def *tables;
    uint32_t table_count;
    struct gate_source status;
    uint8_t position[SOURCE_POSITION_MAX];
    size_t position_len;
    uint64_t commits_left;
    useconds_t slow_us;
    const char *position_file, *unwanted, *data_dir;
    bool count_only, until_streaming, until_commits, keep, not_durable, stop_tables, in_snapshot;
    volatile sig_atomic_t stopping;
};
static struct sink the_sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_signal(int number)
{
    (void)number;
    the_sink.stopping = 1;
}

/* ---- printing ---- */

static void put_json(struct buf *b, const uint8_t *p, size_t len)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < len; i++) {
        if (p[i] == '"' || p[i] == '\\')
            buf_put_u8(b, '\\');
        if (p[i] < 0x20)
            buf_printf(b, "\\u%04x", p[i]);
        else
            buf_put_u8(b, p[i]);
    }
    buf_put_u8(b, '"');
}

static void put_row(struct sink_lane *l, const struct table_def *t, const char *name, const union val *vals,
                    const uint8_t *states)
{
    struct fn_ctx ctx = {.arena = &l->arena};
    buf_printf(&l->text, ",\"%s\":{", name);
    for (uint32_t c = 0; c < t->schema.column_count; c++) {
        if (c)
            buf_put_u8(&l->text, ',');
        put_json(&l->text, (const uint8_t *)t->schema.columns[c].name, strlen(t->schema.columns[c].name));
        buf_put_u8(&l->text, ':');
        if (states[c] == VAL_OK) {
            struct str s = type_output(&ctx, t->schema.columns[c].type.id, &vals[c]);
            put_json(&l->text, s.p, s.len);
        } else {
            buf_put_str(&l->text, states[c] == VAL_NULL ? "null" : "{\"unchanged\":true}");
        }
    }
    buf_put_u8(&l->text, '}');
    arena_reset(&l->arena);
}

static void put_change(struct sink_lane *l, const char *op, uint32_t table)
{
    const char *name = l->sink->tables[table].name;
    buf_printf(&l->text, "{\"op\":\"%s\",\"lane\":%u,\"table\":", op, l->number);
    put_json(&l->text, (const uint8_t *)name, strlen(name));
}

static void print_out(struct sink_lane *l)
{
    pthread_mutex_lock(&l->sink->lock);
    fwrite(l->text.p, 1, l->text.len, stdout);
    fflush(stdout);
    pthread_mutex_unlock(&l->sink->lock);
    buf_reset(&l->text);
}

static void print_event(struct sink *s, const char *event, const char *more)
{
    pthread_mutex_lock(&s->lock);
    printf("{\"op\":\"%s\"%s}\n", event, more);
    fflush(stdout);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the sink ---- */

struct sink_lane *sink_lane_get(struct sink *s, uint32_t lane)
{
    ASSERT(lane < SOURCE_LANES_MAX);
    s->lanes[lane].sink = s;
    s->lanes[lane].number = lane;
    return &s->lanes[lane];
}

bool sink_row(struct sink_lane *l, uint32_t table, enum row_op op, const union val *vals,
              const uint8_t *states)
{
    static const char *const names[] = {"insert", "update", "delete"};
    if (l->number == 0 && l->sink->slow_us)
        usleep(l->sink->slow_us);
    l->rows++;
    if (!l->sink->count_only) {
        put_change(l, names[op], table);
        put_row(l, &l->sink->tables[table], "row", vals, states);
        buf_put_str(&l->text, "}\n");
    }
    return !l->sink->stopping;
}

bool sink_move(struct sink_lane *l, uint32_t table, const union val *old_vals, const uint8_t *old_states,
               const union val *new_vals, const uint8_t *new_states)
{
    l->rows++;
    if (!l->sink->count_only) {
        put_change(l, "move", table);
        put_row(l, &l->sink->tables[table], "old", old_vals, old_states);
        put_row(l, &l->sink->tables[table], "row", new_vals, new_states);
        buf_put_str(&l->text, "}\n");
    }
    return !l->sink->stopping;
}

bool sink_truncate(struct sink_lane *l, uint32_t table)
{
    put_change(l, "truncate", table);
    buf_put_str(&l->text, "}\n");
    return !l->sink->stopping;
}

/* By rename: a kill between two calls must leave the old position or the new one, as the store does. */
static void position_save(struct sink *s)
{
    if (!s->position_file)
        return;
    char path[4096];
    snprintf(path, sizeof path, "%s.new", s->position_file);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(s->position, 1, s->position_len, f) != s->position_len || fclose(f) != 0 ||
        rename(path, s->position_file) != 0)
        PANIC("cannot write %s: %s", s->position_file, strerror(errno));
}

void sink_transaction(struct sink_lane *l, uint32_t number)
{
    (void)l, (void)number;
}

bool sink_commit(struct sink_lane *l, const void *position, size_t position_len, const char *position_text,
                 int64_t commit_us)
{
    struct sink *s = l->sink;
    if (!s->count_only)
        buf_printf(&l->text, "{\"op\":\"commit\",\"lane\":%u,\"position\":\"%s\",\"commit_us\":%lld}\n",
                   l->number, position_text ? position_text : "", (long long)commit_us);
    print_out(l);
    if (!position)
        return !s->stopping;
    pthread_mutex_lock(&s->lock);
    memcpy(s->position, position, position_len);
    s->position_len = position_len;
    pthread_mutex_unlock(&s->lock);
    if (!s->count_only)
        position_save(s);
    if (s->until_commits && !s->in_snapshot && commit_us && --s->commits_left == 0)
        s->stopping = 1;
    return !s->stopping;
}

bool sink_rollback(struct sink_lane *l)
{
    if (l->sink->keep)
        return false;
    buf_reset(&l->text);
    return true;
}

void sink_flush(struct sink_lane *l)
{
    (void)l;
}

bool sink_barrier(struct sink *s)
{
    print_event(s, "barrier", "");
    return !s->stopping;
}

void sink_snapshot_begin(struct sink *s)
{
    s->in_snapshot = true;
    print_event(s, "snapshot_begin", "");
}

void sink_snapshot_end(struct sink *s)
{
    s->in_snapshot = false;
    print_event(s, "snapshot_end", "");
}

size_t sink_durable_position(struct sink *s, void *out, size_t size_bytes)
{
    if (s->not_durable)
        return 0;
    pthread_mutex_lock(&s->lock);
    ASSERT(size_bytes >= s->position_len);
    memcpy(out, s->position, s->position_len);
    pthread_mutex_unlock(&s->lock);
    return s->position_len;
}

bool sink_stopping(const struct sink *s)
{
    return s->stopping;
}

void sink_wait(struct sink *s, int timeout_ms)
{
    (void)s;
    usleep((useconds_t)timeout_ms * 1000);
}

struct gate_source *sink_status(struct sink *s)
{
    return &s->status;
}

void sink_set_state(struct sink *s, enum source_state state, const char *error)
{
    static const char *const names[] = {"off", "connecting", "snapshot", "streaming", "retrying", "failed"};
    struct buf b = {0};
    buf_printf(&b, ",\"state\":\"%s\",\"error\":", names[state]);
    put_json(&b, (const uint8_t *)(error ? error : ""), error ? strlen(error) : 0);
    buf_put_u8(&b, 0);
    print_event(s, "state", (const char *)b.p);
    buf_fini(&b);
    if (state == SOURCE_STREAMING && s->until_streaming)
        s->stopping = 1;
}

bool sink_table_stop(struct sink *s, uint32_t table_index, const char *reason)
{
    if (!s->stop_tables)
        return false;
    struct buf b = {0};
    const char *name = s->tables[table_index].name;
    buf_put_str(&b, ",\"table\":");
    put_json(&b, (const uint8_t *)name, strlen(name));
    buf_put_str(&b, ",\"reason\":");
    put_json(&b, (const uint8_t *)reason, strlen(reason));
    buf_put_u8(&b, 0);
    print_event(s, "table_stop", (const char *)b.p);
    buf_fini(&b);
    return true;
}

/* Whether `name` is in the comma-separated --unwanted. */
static bool unwanted(const struct sink *s, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = s->unwanted; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, name, len) == 0 && (p[len] == 0 || p[len] == ','))
            return true;
    return false;
}

bool sink_column_wanted(const struct sink *s, uint32_t table_index, uint32_t column)
{
    char name[256];
    const struct table_def *t = &s->tables[table_index];
    snprintf(name, sizeof name, "%s.%s", t->name, t->schema.columns[column].name);
    return !unwanted(s, name);
}

/* ---- running ---- */

static void fail(struct err *e)
{
    fflush(stdout);
    err_print(stderr, e);
    exit(e->code == ERR_CONFIG ? 2 : 1);
}

static void put_name(struct buf *b, const char *before, const char *name)
{
    buf_put_str(b, before);
    put_json(b, (const uint8_t *)name, strlen(name));
}

static void print_tables(const struct table_def *tables, uint32_t count)
{
    struct buf b = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct schema *schema = &tables[i].schema;
        put_name(&b, "{\"op\":\"table\",\"table\":", tables[i].name);
        buf_put_str(&b, ",\"columns\":{");
        for (uint32_t c = 0; c < schema->column_count; c++) {
            char type[64];
            put_name(&b, c ? "," : "", schema->columns[c].name);
            put_name(&b, ":", type_format(schema->columns[c].type, type, sizeof type));
        }
        buf_put_str(&b, "},\"key\":[");
        for (uint32_t k = 0; k < tables[i].key_count; k++)
            put_name(&b, k ? "," : "", schema->columns[tables[i].key[k]].name);
        buf_put_str(&b, "]}\n");
    }
    fwrite(b.p, 1, b.len, stdout);
    fflush(stdout);
    buf_fini(&b);
}

static char *file_read(const char *path, size_t *len)
{
    struct buf b = {0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    size_t n;
    do {
        n = fread(buf_room(&b, 65536), 1, 65536, f);
        b.len += n;
    } while (n);
    fclose(f);
    *len = b.len;
    return (char *)b.p;
}

static void until_set(struct sink *s, const char *text)
{
    s->until_streaming = strcmp(text, "streaming") == 0;
    s->until_commits = !s->until_streaming;
    s->commits_left = s->until_commits ? strtoull(text, NULL, 10) : 0;
}

static bool options_read(int argc, char **argv, struct sink *s)
{
    static const struct option options[] = {{"describe", no_argument, NULL, 'd'},
                                            {"position", required_argument, NULL, 'p'},
                                            {"count", no_argument, NULL, 'c'},
                                            {"until", required_argument, NULL, 'u'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {"not-durable", no_argument, NULL, 'n'},
                                            {"stop-tables", no_argument, NULL, 's'},
                                            {"unwanted", required_argument, NULL, 'w'},
                                            {"data", required_argument, NULL, 'a'},
                                            {"slow", required_argument, NULL, 'l'},
                                            {NULL, 0, NULL, 0}};
    bool describe_only = false;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'd': describe_only = true; break;
        case 'p': s->position_file = optarg; break;
        case 'c': s->count_only = true; break;
        case 'u': until_set(s, optarg); break;
        case 'k': s->keep = true; break;
        case 'n': s->not_durable = true; break;
        case 's': s->stop_tables = true; break;
        case 'w': s->unwanted = optarg; break;
        case 'a': s->data_dir = optarg; break;
        case 'l': s->slow_us = (useconds_t)strtoul(optarg, NULL, 10); break;
        default: exit(2);
        }
    }
    if (optind + 2 != argc) {
        fprintf(stderr, "usage: source_dump [OPTION...] CONFIG SOURCE\n");
        exit(2);
    }
    return describe_only;
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void run(const struct source_kind *kind, void *conf, struct sink *s)
{
    size_t resume_len = 0;
    char *resume = s->position_file ? file_read(s->position_file, &resume_len) : NULL;
    bool *wanted = xcalloc(s->table_count + 1, sizeof *wanted);
    for (uint32_t i = 0; i < s->table_count; i++)
        wanted[i] = !unwanted(s, s->tables[i].name);
    double began = seconds();
    if (kind->data_dir && s->data_dir)
        kind->data_dir(conf, s->data_dir, 0);
    struct err *e = kind->run(conf, s, s->tables, s->table_count, wanted, resume, resume_len);
    if (s->count_only && s->position_len)
        position_save(s);
    uint64_t rows = 0;
    for (uint32_t i = 0; i < SOURCE_LANES_MAX; i++)
        rows += s->lanes[i].rows;
    fprintf(stderr, "rows=%llu seconds=%.3f rows_per_second=%.0f\n", (unsigned long long)rows,
            seconds() - began, (double)rows / (seconds() - began));
    free(resume);
    free(wanted);
    if (e)
        fail(e);
}

int main(int argc, char **argv)
{
    struct sink *s = &the_sink;
    struct arena arena;
    struct yaml_node *root;
    void *conf;
    size_t len = 0;
    bool describe_only = options_read(argc, argv, s);
    const char *file = argv[optind], *name = argv[optind + 1];
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_DEBUG, LOG_FORMAT_TEXT, "source_dump");
    arena_init(&arena);
    for (uint32_t i = 0; i < SOURCE_LANES_MAX; i++)
        arena_init(&s->lanes[i].arena);
    char *text = file_read(file, &len);
    if (!text)
        fail(err_errno(ERR_IO, "cannot read %s", file));
    struct err *e = yaml_load(&arena, file, text, len, true, &root);
    if (e)
        fail(e);
    const struct yaml_node *sources = yaml_get(root, "sources"),
                           *node = sources ? yaml_get(sources, name) : NULL;
    const struct source_kind *kind =
        node && node->count == 1 ? source_kind_find(node->pairs[0].key->text) : NULL;
    if (!kind)
        fail(err_new(ERR_CONFIG, "%s has no source %s of a known kind", file, name));
    e = kind->configure(&arena, name, node->pairs[0].value, &conf);
    if (e)
        fail(e);
    e = kind->describe(&arena, conf, 15000, (struct table_def **)(uintptr_t)&s->tables, &s->table_count);
    if (e)
        fail(e);
    print_tables(s->tables, s->table_count);
    if (!describe_only)
        run(kind, conf, s);
    arena_fini(&arena);
    free(text);
    return 0;
}
