/* One question: from the view's row to the rows of mirrors; see lineage.h. */
#include "lineage/impl.h"
#include "base/clock.h"
#include "base/crash.h"

#include <pthread.h>
#include <stdlib.h>

#define LOOK_ROWS 1024 /* between two looks at the clock */

static void cut(struct question *q, enum lineage_cut why)
{
    if (q->out->cut == LINEAGE_WHOLE)
        q->out->cut = why;
}

static void look(struct question *q)
{
    const struct lineage_ask *ask = q->ask;
    if (ask->cancelled && ask->cancelled(ask->ctx))
        q->out->cut = LINEAGE_CANCELLED;
    if (steady_us() > ask->limits.deadline_us)
        cut(q, LINEAGE_TIME);
}

bool spend(struct question *q, uint64_t rows)
{
    if (is_cut(q))
        return false;
    q->out->examined += rows;
    if (q->out->examined > q->ask->limits.rows)
        cut(q, LINEAGE_ROWS);
    if (q->arena->held_bytes > q->ask->limits.bytes)
        cut(q, LINEAGE_BYTES);
    if (++q->calls % LOOK_ROWS == 0)
        look(q);
    return !is_cut(q);
}

static bool is_equal(struct question *q, const struct row *row)
{
    const struct schema *schema = &q->ask->view->schema;
    buf_reset(&q->key);
    buf_reset(&q->other_key);
    row_encode(&q->key, schema, q->ask->vals, q->ask->states);
    row_encode(&q->other_key, schema, row->vals, row->states);
    return q->key.len == q->other_key.len && memcmp(q->key.p, q->other_key.p, q->key.len) == 0;
}

static void find(struct question *q)
{
    const struct plan_view *v = q->ask->view;
    uint32_t count = v->key_count ? v->key_count : v->schema.column_count;
    uint32_t *columns = ARENA_ARRAY(q->arena, uint32_t, count + 1);
    struct row wanted = {.vals = (union val *)(uintptr_t)q->ask->vals,
                         .states = (uint8_t *)(uintptr_t)q->ask->states};
    for (uint32_t k = 0; k < count; k++)
        columns[k] = v->key_count ? v->key[k] : k;
    struct keyset key = keyset_new(q, count, columns);
    keyset_add(q, &key, &v->schema, &wanted, columns);
    struct restriction r = {1, {key}};
    q->trusted = true;
    struct rows rows = rows_of(q, v->sink, &r);
    struct made *all = made_list(q);
    for (size_t i = 0; i < rows.count; i++) {
        bool equal = is_equal(q, &rows.items[i]);
        if (!v->key_count && !equal)
            continue; /* it looks otherwise (1.0, 1.00): another row */
        q->out->found = true;
        q->out->equal |= equal;
        made_add(q, all, rows.items[i].made);
    }
    made_flatten(q, all);
}

static int by_table_and_key(const void *a, const void *b)
{
    const struct lineage_source *x = *(struct lineage_source *const *)a,
                                *y = *(struct lineage_source *const *)b;
    int c = strcmp(x->table->source, y->table->source);
    c = c ? c : strcmp(x->table->name, y->table->name);
    if (c)
        return c;
    size_t least = x->key.len < y->key.len ? x->key.len : y->key.len;
    c = memcmp(x->key.p, y->key.p, least);
    return c ? c : (x->key.len > y->key.len) - (x->key.len < y->key.len);
}

static void *work(void *arg)
{
    struct question *q = arg;
    crash_thread("why");
    find(q);
    if (q->out->source_count)
        qsort(q->out->sources, q->out->source_count, sizeof *q->out->sources, by_table_and_key);
    crash_thread_end();
    return NULL;
}

/* Plans are as deep as the SQL nests, and so is the recursion over them. */
static struct err *work_on_large_stack(struct question *q)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, PLAN_STACK_BYTES) != 0)
        return err_new(ERR_IO, "cannot set up a thread");
    int rc = pthread_create(&thread, &attr, work, q);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        return err_new(ERR_IO, "cannot start a thread");
    pthread_join(thread, NULL);
    return NULL;
}

struct err *lineage_find(const struct lineage_ask *ask, struct lineage *out)
{
    memset(out, 0, sizeof *out);
    arena_init(&out->arena);
    struct question q = {.ask = ask, .out = out, .arena = &out->arena};
    arena_init(&q.scratch);
    bytemap_init(&q.sources);
    q.vals = xcalloc(COLUMNS_MAX, sizeof *q.vals);
    q.states = xcalloc(COLUMNS_MAX, 1);
    struct err *e = ask->view->sink ? work_on_large_stack(&q)
                                    : err_new(ERR_STATE, "view %s is not published", ask->view->name);
    for (struct owned_map *m = q.maps; m; m = m->next)
        bytemap_fini(&m->map);
    bytemap_fini(&q.sources);
    buf_fini(&q.key);
    buf_fini(&q.other_key);
    arena_fini(&q.scratch);
    free(q.vals);
    free(q.states);
    if (!e)
        e = q.failure;
    if (e)
        lineage_fini(out);
    return e;
}

void lineage_fini(struct lineage *l)
{
    arena_fini(&l->arena);
    memset(l, 0, sizeof *l);
    arena_init(&l->arena);
}
