/* Which live queries a change is shown to: never one too few, none twice, and few too many. */
#include "query_test.h"
#include "serve/filter.h"
#include "serve/live.h"

static struct key_column key_columns[] = {{0, false, false}};
static struct catalog_view cv = {.name = (char *)"x", .key_count = 1};
static struct world_view view = {
    .cv = &cv, .schema = &test_schema, .key_count = 1, .row_key_count = 1, .row_key = key_columns};

static uint64_t random_state = 88172645463325252u;
static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

static struct live_query *query_of(const char *text)
{
    struct live_query *q = xcalloc(1, sizeof *q);
    CHECK_STR(query_make(text, &q->read.query), "");
    q->read.view = &view;
    return q;
}

/* ---- rows: of each column few values, so that they meet ---- */

struct row {
    union val vals[ARRAY_COUNT(test_columns)];
    uint8_t states[ARRAY_COUNT(test_columns)];
};

static void set(struct row *r, uint32_t column, const char *text)
{
    r->states[column] = text ? VAL_OK : VAL_NULL;
    if (text)
        CHECK(type_input(&test_fn, test_columns[column].type, text, strlen(text), &r->vals[column]));
}

static const char *const ids[] = {"1", "2", "3", "4", "5", "6", "7", "8"};
static const char *const names[] = {"a", "b", "A", "", NULL};
static const char *const prices[] = {"1", "1.0", "1.00", "2.5", "-0", NULL};

static void row_random(struct row *r)
{
    memset(r, 0, sizeof *r);
    memset(r->states, VAL_NULL, sizeof r->states);
    set(r, 0, ids[random_below(8)]);
    set(r, 1, names[random_below(5)]);
    set(r, 2, prices[random_below(6)]);
    set(r, 3, random_below(2) ? "t" : NULL);
}

static void condition(char *out, size_t size)
{
    static const char *const forms[] = {"id=eq.%u",
                                        "id=in.(%u,7,7)",
                                        "name=eq.a",
                                        "price=eq.1.0",
                                        "price=in.(1,2.50)",
                                        "id=gt.%u",
                                        "id=not.eq.%u",
                                        "name=in.()",
                                        "or=(id.eq.%u,name.eq.b)",
                                        "and=(id.eq.%u,price.eq.1)",
                                        "not.and=(id.eq.%u,name.eq.a)",
                                        "name=is.null",
                                        "name=isdistinct.a",
                                        "name=like.*"};
    snprintf(out, size, forms[random_below(ARRAY_COUNT(forms))], random_below(8) + 1);
}

/* ---- who is found ---- */

struct found {
    struct live_query *list[64];
    uint32_t count;
};

static void on_found(void *ctx, struct live_query *q)
{
    struct found *f = ctx;
    if (f->count < 64)
        f->list[f->count++] = q;
}

static uint32_t times(const struct found *f, const struct live_query *q)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->count; i++)
        n += f->list[i] == q;
    return n;
}

static bool matches(const struct live_query *q, const struct row *r)
{
    return r && filter_match(&test_fn, q->read.query.filter, r->vals, r->states);
}

static void check_change(struct live_index *ix, struct live_query **queries, uint32_t count,
                         const struct row *old, const struct row *new)
{
    struct found f = {.count = 0};
    live_index_find(ix, &test_schema, (struct index_row){old ? old->vals : NULL, old ? old->states : NULL},
                    (struct index_row){new ? new->vals : NULL, new ? new->states : NULL}, on_found, &f);
    for (uint32_t i = 0; i < count; i++)
        if (queries[i]) {
            uint32_t n = times(&f, queries[i]);
            CHECK(n <= 1);
            CHECK(n == 1 || (!matches(queries[i], old) && !matches(queries[i], new)));
        }
}

static void test_random(void)
{
    for (int round = 0; round < test_rounds(60); round++) {
        struct live_index ix = {0};
        struct live_query *queries[40] = {0};
        for (int step = 0; step < 120; step++) {
            uint32_t i = random_below(40);
            if (queries[i]) {
                live_index_remove(&ix, queries[i]);
                free(queries[i]);
                queries[i] = NULL;
            } else {
                char text[256], one[100];
                condition(text, sizeof text);
                for (uint32_t more = random_below(3); more; more--) {
                    condition(one, sizeof one);
                    strcat(strcat(text, "&"), one);
                }
                queries[i] = query_of(text);
                live_index_add(&ix, queries[i]);
            }
            struct row old, new;
            row_random(&old);
            row_random(&new);
            uint32_t what = random_below(4);
            check_change(&ix, queries, 40, what == 0 ? NULL : &old, what == 1 ? NULL : &new);
        }
        for (int i = 0; i < 40; i++)
            if (queries[i]) {
                live_index_remove(&ix, queries[i]);
                free(queries[i]);
            }
        CHECK(ix.column_count == 0 && ix.entry_count == 0 && !ix.others);
        live_index_fini(&ix);
        arena_reset(&test_arena);
    }
}

/* Of a thousand that differ in their value, one is asked; where one column is the same for all, the other one is used. */
static void test_few(void)
{
    static const char *const forms[] = {"id=eq.%d", "price=eq.%d", "name=eq.all&price=eq.%d", "id=in.(%d,-1)",
                                        "and=(name.eq.all,and(price.eq.%d))"};
    for (size_t k = 0; k < ARRAY_COUNT(forms); k++) {
        struct live_index ix = {0};
        struct live_query *queries[1000];
        for (int i = 0; i < 1000; i++) {
            char text[100];
            snprintf(text, sizeof text, forms[k], i);
            live_index_add(&ix, queries[i] = query_of(text));
        }
        CHECK(!ix.others);
        struct row r = {0};
        struct found f = {.count = 0};
        memset(r.states, VAL_NULL, sizeof r.states);
        set(&r, 0, "77");
        set(&r, 1, "all");
        set(&r, 2, "77.0");
        live_index_find(&ix, &test_schema, (struct index_row){NULL, NULL},
                        (struct index_row){r.vals, r.states}, on_found, &f);
        CHECK(f.count >= 1 && f.count <= 3 && times(&f, queries[77]) == 1);
        for (int i = 0; i < 1000; i++) {
            live_index_remove(&ix, queries[i]);
            free(queries[i]);
        }
        live_index_fini(&ix);
        arena_reset(&test_arena);
    }
}

int main(void)
{
    RUN(test_random);
    RUN(test_few);
    arena_fini(&test_arena);
    TEST_END();
}
