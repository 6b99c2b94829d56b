/* From SQL texts to a plan: parse, bind, plan, drop what nothing published reads, number the rest.
 *
 * It runs on a thread with a large stack: the trees of deep SQL are walked by recursion, and threads
 * of the pipeline have small stacks. */
#include "plan/planner.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

const char *plan_kind_name(enum plan_kind kind)
{
    static const char *const names[] = {
        [PLAN_TABLE] = "table",
        [PLAN_TEMPORAL] = "temporal",
        [PLAN_FILTER] = "filter",
        [PLAN_MAP] = "map",
        [PLAN_JOIN] = "join",
        [PLAN_AGGREGATE] = "aggregate",
        [PLAN_UNION_ALL] = "union all",
        [PLAN_SET] = "set",
        [PLAN_EXCHANGE] = "exchange",
        [PLAN_VIEW] = "view",
        [PLAN_TOP] = "top",
        [PLAN_WINDOW] = "window",
        [PLAN_VALUES] = "values",
        [PLAN_EXPAND] = "expand",
        [PLAN_FLATMAP] = "flatmap",
        [PLAN_LOOP] = "loop",
        [PLAN_RECURSE] = "recurse",
    };
    return names[kind];
}

/* ---- finishing ---- */

static void mark_live(const struct plan *plan, bool *live)
{
    for (uint32_t i = 0; i < plan->view_count; i++)
        if (plan->views[i]->sink)
            live[plan->views[i]->sink->id] = true;
    for (uint32_t i = plan->node_count; i-- > 0;) { /* inputs have smaller ids */
        const struct plan_node *n = plan->nodes[i];
        live[i] |= n->kind == PLAN_TABLE && n->u.table->only_copy;
        for (uint32_t k = 0; live[i] && k < n->input_count; k++)
            live[n->inputs[k]->id] = true;
        if (live[i] && n->kind == PLAN_RECURSE)
            live[n->u.recurse.loop->id] = true;
    }
}

static void drop_dead(struct planner *p)
{
    struct plan *plan = p->plan;
    bool *live = ARENA_ARRAY(p->arena, bool, plan->node_count + 1);
    uint32_t kept = 0;
    mark_live(plan, live);
    for (uint32_t i = 0; i < plan->view_count; i++)
        if (plan->views[i]->output && !live[plan->views[i]->output->id])
            plan->views[i]->output = NULL;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        if (!live[i])
            continue;
        plan->nodes[kept] = plan->nodes[i];
        plan->nodes[kept]->id = kept;
        kept++;
    }
    plan->node_count = kept;
}

static void link_readers(struct planner *p)
{
    struct plan *plan = p->plan;
    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i]->input_count; k++)
            plan->nodes[i]->inputs[k]->reader_count++;
    for (uint32_t i = 0; i < plan->node_count; i++) {
        struct plan_node *n = plan->nodes[i];
        n->readers = ARENA_ARRAY(p->arena, struct plan_node *, n->reader_count + 1);
        n->reader_count = 0;
    }
    for (uint32_t i = 0; i < plan->node_count; i++)
        for (uint32_t k = 0; k < plan->nodes[i]->input_count; k++) {
            struct plan_node *in = plan->nodes[i]->inputs[k];
            in->readers[in->reader_count++] = plan->nodes[i];
        }
}

static void list_tables(struct planner *p)
{
    struct plan *plan = p->plan;
    plan->tables = ARENA_ARRAY(p->arena, const struct table_def *, plan->node_count + 1);
    for (uint32_t i = 0; i < plan->node_count; i++)
        if (plan->nodes[i]->kind == PLAN_TABLE)
            plan->tables[plan->table_count++] = plan->nodes[i]->u.table;
}

/* Tables that only the mirror holds are mirrored though no view reads them: a later view finds them there. */
static void keep_tables(struct planner *p, const struct table_def *tables, uint32_t count)
{
    for (uint32_t t = 0; t < count; t++) {
        struct plan_node n = {.kind = PLAN_TABLE, .schema = tables[t].schema};
        n.u.table = &tables[t];
        if (tables[t].only_copy)
            (void)node_get(p, n);
    }
}

/* ---- building ---- */

struct job {
    const struct table_def *tables;
    uint32_t table_count;
    const struct plan_input *inputs;
    uint32_t input_count;
    struct plan *plan;
    struct err *errs;
};

static void build_input(struct job *j, struct planner *p, const struct plan_input *in)
{
    struct arena *arena = &j->plan->arena;
    struct ast_statements statements = {0};
    struct sql_bound *bound = ARENA_NEW(arena, struct sql_bound);
    for (uint32_t i = 0; i < in->text_count; i++) {
        const struct sql_text *t = &in->texts[i];
        const char *file = t->file ? arena_strdup(arena, t->file) : NULL;
        sql_parse(arena, file, t->text, t->first_line > 0 ? t->first_line : 1, &statements, &j->errs);
    }
    sql_bind(arena, j->tables, j->table_count, &statements, bound, &j->errs);
    p->s = bound;
    p->apis = in->apis;
    p->api_count = in->api_count;
    p->suffix = in->suffix ? in->suffix : "";
    p->late = in->late;
    plan_views(p);
    p->late = false;
}

static void build(struct job *j)
{
    struct planner p = {.plan = j->plan, .arena = &j->plan->arena, .errs = &j->errs};
    keep_tables(&p, j->tables, j->table_count);
    for (p.input = 0; p.input < j->input_count; p.input++)
        build_input(j, &p, &j->inputs[p.input]);
    drop_dead(&p);
    link_readers(&p);
    list_tables(&p);
}

/* ---- the planner's thread ----
 *
 * One for the life of the process: the grammar keeps a thread-specific key for every thread that has parsed, and there
 * are only so many (PTHREAD_KEYS_MAX). */

static struct {
    pthread_mutex_t one_at_a_time, lock;
    pthread_cond_t changed;
    pid_t process; /* that has the thread; 0: none. A child made by fork has none of its parent's */
    struct job *job;
} worker = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, NULL};

/* Signals are the affair of whoever waits for them, whenever they began to; but for those that say what went wrong here. */
static void leave_signals(void)
{
    sigset_t set;
    sigfillset(&set);
    const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        sigdelset(&set, own[i]);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static void *work(void *unused)
{
    (void)unused;
    leave_signals();
    pthread_mutex_lock(&worker.lock);
    for (;;) {
        while (!worker.job)
            pthread_cond_wait(&worker.changed, &worker.lock);
        build(worker.job);
        worker.job = NULL;
        pthread_cond_broadcast(&worker.changed);
    }
    return NULL;
}

static struct err *start_worker(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, PLAN_STACK_BYTES) != 0 ||
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0)
        return err_new(ERR_INTERNAL, "cannot set a thread's stack size");
    int rc = pthread_create(&thread, &attr, work, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0)
        return err_new(ERR_IO, "cannot start a thread: error %d", rc);
    worker.process = getpid();
    return NULL;
}

static struct err *run_on_large_stack(struct job *j)
{
    pthread_mutex_lock(&worker.one_at_a_time);
    struct err *e = worker.process == getpid() ? NULL : start_worker();
    if (!e) {
        pthread_mutex_lock(&worker.lock);
        worker.job = j;
        pthread_cond_broadcast(&worker.changed);
        while (worker.job)
            pthread_cond_wait(&worker.changed, &worker.lock);
        pthread_mutex_unlock(&worker.lock);
    }
    pthread_mutex_unlock(&worker.one_at_a_time);
    return e;
}

struct err *plan_build_all(const struct table_def *tables, uint32_t table_count,
                           const struct plan_input *inputs, uint32_t input_count, struct plan **out)
{
    struct plan *plan = xcalloc(1, sizeof(*plan));
    arena_init(&plan->arena);
    struct job j = {tables, table_count, inputs, input_count, plan, NULL};
    struct err *e = run_on_large_stack(&j);
    err_append(&j.errs, e);
    if (j.errs) {
        plan_free(plan);
        *out = NULL;
        return j.errs;
    }
    *out = plan;
    return NULL;
}

struct err *plan_build(const struct table_def *tables, uint32_t table_count, const struct sql_text *texts,
                       uint32_t text_count, const struct api_request *apis, uint32_t api_count,
                       struct plan **out)
{
    const struct plan_input in = {texts, text_count, apis, api_count, NULL, false};
    return plan_build_all(tables, table_count, &in, 1, out);
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    arena_fini(&p->arena);
    free(p);
}

static bool expr_may_fail(const struct expr *e)
{
    return e->kind != EX_COLUMN && e->kind != EX_CONST;
}

static bool map_may_fail(const struct plan_node *n)
{
    for (uint32_t i = 0; i < n->schema.column_count; i++)
        if (expr_may_fail(n->u.exprs[i]))
            return true;
    return false;
}

bool plan_may_fail(const struct plan_node *n)
{
    switch (n->kind) {
    case PLAN_TABLE: return n->u.table->key_count > 0;
    case PLAN_FILTER: return expr_may_fail(n->u.filter);
    case PLAN_MAP: return map_may_fail(n);
    case PLAN_FLATMAP:
    case PLAN_RECURSE:
    case PLAN_TEMPORAL: return true;
    case PLAN_JOIN: return n->u.join.residual != NULL;
    case PLAN_AGGREGATE: return n->u.agg.call_count > 0;
    case PLAN_WINDOW: return true;
    default: return false;
    }
}
