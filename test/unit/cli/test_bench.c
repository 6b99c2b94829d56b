/* Every query of `penstock bench engine` is SQL that the planner takes, on the tables that the generator offers. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/bench.h"
#include "plan/plan.h"
#include "source/source.h"
#include "test.h"

static struct arena arena;
static struct table_def *tables;
static uint32_t table_count;

static void describe(void)
{
    static const char text[] = "{ workload: nexmark }";
    struct yaml_node *node = NULL;
    void *conf = NULL;
    struct err *e = yaml_load(&arena, "test", text, strlen(text), false, &node);
    if (!e)
        e = source_kind_generator.configure(&arena, "nexmark", node, &conf);
    if (!e)
        e = source_kind_generator.describe(&arena, conf, 1000, &tables, &table_count);
    if (e) {
        err_print(stdout, e);
        exit(1);
    }
}

static void every_query_is_planned(void)
{
    for (uint32_t i = 0; i < bench_query_count; i++) {
        const struct bench_query *q = &bench_queries[i];
        struct sql_text text = {.file = q->name, .text = q->sql, .first_line = 1};
        struct api_request api = {.path = q->name, .view = q->name, .file = q->name, .line = 1, .column = 1};
        struct plan *plan = NULL;
        struct err *e = plan_build(tables, table_count, &text, 1, &api, 1, &plan);
        CHECK(!e && plan && plan->api_count == 1);
        if (e)
            err_print(stdout, e);
        err_free(e);
        plan_free(plan);
    }
}

static void names_are_unique(void)
{
    for (uint32_t i = 0; i < bench_query_count; i++)
        for (uint32_t j = 0; j < i; j++)
            CHECK(strcmp(bench_queries[i].name, bench_queries[j].name) != 0);
}

static void an_unknown_query_is_an_error(void)
{
    struct err *e = bench_engine(1, "q99", stderr);
    CHECK(e && e->code == ERR_CONFIG);
    err_free(e);
}

int main(void)
{
    arena_init(&arena);
    describe();
    RUN(every_query_is_planned);
    RUN(names_are_unique);
    RUN(an_unknown_query_is_an_error);
    arena_fini(&arena);
    TEST_END();
}
