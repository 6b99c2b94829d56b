/* Kept versions: the file, the rules of the list, and what readers are told. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include "store/versions.h"

static struct gate gate;

static void contract(struct edition *e)
{
    e->contract = xcalloc(1, sizeof *e->contract);
    arena_init(&e->contract->arena);
    e->contract->shard_count = 1;
}

static struct edition *add(struct versions *v, uint32_t number)
{
    static char key[] = "id", *keys[] = {key};
    struct edition *e = versions_add(v, number);
    e->made_us = 5;
    e->config = UINT64_C(0xfedcba9876543210);
    e->sql_count = 1;
    e->sql = ARENA_NEW(&v->arena, struct version_sql);
    *e->sql = (struct version_sql){arena_strdup(&v->arena, "views.sql"),
                                   arena_strdup(&v->arena, "CREATE VIEW \xc3\xa9 AS\n SELECT 1"), 7};
    e->api_count = 1;
    e->apis = ARENA_NEW(&v->arena, struct version_api);
    *e->apis = (struct version_api){.path = arena_strdup(&v->arena, "a/b"),
                                    .view = arena_strdup(&v->arena, "v"),
                                    .key_count = 1,
                                    .key = keys};
    contract(e);
    return e;
}

static unsigned told(unsigned number)
{
    for (uint32_t i = 0; i < GATE_VERSIONS_MAX; i++)
        if (atomic_load(&gate.versions[i].number) == number)
            return atomic_load(&gate.versions[i].edition);
    return 0;
}

/* The first one is current; one that takes another's place keeps its number; numbers are not given twice. */
static void test_rules(void)
{
    struct versions *v = versions_new();
    CHECK(!versions_newest(v) && !versions_building(v) && v->current == 0);
    struct edition *first = add(v, 1);
    CHECK(versions_building(v) == first && !versions_find(v, 1));
    versions_finish(v, first);
    CHECK(v->current == 1 && v->last_number == 1 && versions_find(v, 1) == first);
    struct edition *revised = add(v, 1);
    CHECK(versions_find(v, 1) == first && revised->edition == 2);
    versions_finish(v, revised);
    CHECK(versions_find(v, 1) == revised && v->edition_count == 1 && v->current == 1);
    struct edition *second = add(v, v->last_number + 1);
    CHECK(versions_newest(v) == revised && versions_complete(v) == 1);
    versions_finish(v, second);
    CHECK(versions_newest(v) == second && v->current == 1 && v->edition_count == 2);
    versions_remove(v, second);
    CHECK(versions_newest(v) == revised && v->last_number == 2);
    versions_free(v);
}

/* A reader finds the current version in the list at any moment, and is told of each change once. */
static void test_publishing(void)
{
    memset(&gate, 0, sizeof gate);
    struct versions *v = versions_new();
    versions_finish(v, add(v, 1));
    CHECK(versions_publish(v, &gate) && atomic_load(&gate.version) == 1 && told(1) == 1);
    unsigned changes = atomic_load(&gate.version_changes);
    CHECK(!versions_publish(v, &gate) && atomic_load(&gate.version_changes) == changes);
    (void)add(v, 2);
    CHECK(!versions_publish(v, &gate) && told(2) == 0); /* not complete: nobody is told */
    versions_finish(v, versions_building(v));
    v->current = 2;
    CHECK(versions_publish(v, &gate) && atomic_load(&gate.version) == 2 && told(1) == 1 && told(2) == 2);
    versions_remove(v, versions_find(v, 1));
    CHECK(versions_publish(v, &gate) && told(1) == 0 && told(2) == 2 && atomic_load(&gate.version_last) == 2);
    CHECK(atomic_load(&gate.version_changes) == changes + 2);
    versions_free(v);
}

static void test_file(void)
{
    char *dir = fresh_dir("versions");
    struct versions *v, *w;
    int lock;
    mkdir(dir, 0700);
    OK(versions_load(dir, &w));
    CHECK(!w);
    OK(versions_lock(dir, &lock));
    v = versions_new();
    for (uint32_t n = 1; n <= VERSIONS_KEEP_MAX; n++)
        versions_finish(v, add(v, n));
    (void)add(v, VERSIONS_KEEP_MAX + 1); /* at the limit, and one being built */
    v->current = 2;
    OK(versions_save(v, dir));
    OK(versions_load(dir, &w));
    versions_unlock(lock);
    CHECK(w && w->current == 2 && w->edition_count == VERSIONS_KEEP_MAX + 1 &&
          w->last_number == VERSIONS_KEEP_MAX);
    const struct edition *e = versions_building(w);
    CHECK(e && e->number == VERSIONS_KEEP_MAX + 1 && e->made_us == 5 &&
          e->config == UINT64_C(0xfedcba9876543210));
    CHECK_STR(e->sql[0].text, "CREATE VIEW \xc3\xa9 AS\n SELECT 1");
    CHECK(e->sql[0].first_line == 7 && e->apis[0].key_count == 1 && e->contract);
    CHECK_STR(e->apis[0].key[0], "id");
    versions_free(v);
    versions_free(w);
    drop_dir(dir);
}

/* Damage is an error, never a store without versions. */
static void test_damage(void)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{\"format\":2}",
        "{\"format\":1,\"current\":1,\"last_edition\":0,\"last_number\":0,\"editions\":[]}",
        "{\"format\":1,\"current\":0,\"last_edition\":0,\"last_number\":0,\"editions\":[{}]}"};
    char *dir = fresh_dir("damage");
    mkdir(dir, 0700);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct versions *v = NULL;
        char *path = xprintf("%s/versions.json", dir);
        FILE *f = fopen(path, "we");
        fputs(texts[i], f);
        fclose(f);
        free(path);
        struct err *e = versions_load(dir, &v);
        CHECK(e && e->code == ERR_CORRUPT && !v);
        err_free(e);
    }
    drop_dir(dir);
}

int main(void)
{
    RUN(test_rules);
    RUN(test_publishing);
    RUN(test_file);
    RUN(test_damage);
    TEST_END();
}
