/* The configurations of a box: exchanged whole, taken back whole, and whole after a power cut between any two steps. */
#define _GNU_SOURCE
#include "box/config_store.h"

#include "box/tar.h"
#include "remove_tree.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static struct buf archive(const char *yaml)
{
    struct buf b = {0};
    err_free(tar_add(&b, "penstock.yaml", yaml, strlen(yaml)));
    err_free(tar_add(&b, "sql/views.sql", "--", 2));
    tar_end(&b);
    return b;
}

static void begin_test(void)
{
    strcpy(dir, "/tmp/config_store.XXXXXX");
    if (!mkdtemp(dir))
        abort();
}

/* The first word of dir/NAME/penstock.yaml, "-": there is none. */
static const char *text_of(const char *name)
{
    static char out[4][64];
    static int turn;
    char path[200], *to = out[turn++ % 4];
    snprintf(path, sizeof path, "%s/%s/penstock.yaml", dir, name);
    FILE *f = fopen(path, "re");
    if (!f || fscanf(f, "%63s", to) != 1)
        strcpy(to, "-");
    if (f)
        fclose(f);
    return to;
}

static void put(const char *yaml, bool keep)
{
    struct config_store s;
    struct buf tar = archive(yaml);
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    CHECK(!config_store_stage(&s, &tar));
    CHECK(!config_store_begin(&s));
    CHECK(!(keep ? config_store_commit(&s) : config_store_undo(&s)));
    config_store_close(&s);
    buf_fini(&tar);
}

static void one_after_the_other(void)
{
    begin_test();
    struct config_meta meta;
    CHECK(!config_store_meta(dir, "current", &meta));
    put("one", true);
    CHECK_STR(text_of("current"), "one");
    CHECK_STR(text_of("previous"), "-");
    put("two", true);
    CHECK_STR(text_of("current"), "two");
    CHECK_STR(text_of("previous"), "one");
    put("three", true);
    CHECK_STR(text_of("current"), "three");
    CHECK_STR(text_of("previous"), "two");
    CHECK(config_store_meta(dir, "current", &meta) && meta.number == 3 && strlen(meta.sha256) == 64);
    CHECK_STR(text_of("next"), "-");
    CHECK_STR(text_of("old"), "-");
    remove_tree(dir);
}

static void refused_leaves_all(void)
{
    begin_test();
    put("one", false);
    CHECK_STR(text_of("current"), "-");
    put("one", true);
    put("two", true);
    put("three", false);
    CHECK_STR(text_of("current"), "two");
    CHECK_STR(text_of("previous"), "one");
    CHECK_STR(text_of("next"), "-");
    remove_tree(dir);
}

static void back_and_forth(void)
{
    struct config_store s;
    begin_test();
    put("one", true);
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    struct err *e = config_store_begin_previous(&s);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
    config_store_close(&s);
    put("two", true);
    for (int i = 0; i < 3; i++) {
        CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
        CHECK(!config_store_begin_previous(&s));
        CHECK(!(i == 2 ? config_store_undo(&s) : config_store_commit(&s)));
        config_store_close(&s);
        CHECK_STR(text_of("current"), i ? "two" : "one");
        CHECK_STR(text_of("previous"), i ? "one" : "two");
    }
    /* After going back, a new one keeps the one that was gone back to. */
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    CHECK(!config_store_begin_previous(&s));
    config_store_close(&s);
    put("three", true);
    CHECK_STR(text_of("current"), "three");
    CHECK_STR(text_of("previous"), "one");
    remove_tree(dir);
}

static void rename_here(const char *from, const char *to)
{
    char a[100], b[100];
    snprintf(a, sizeof a, "%s/%s", dir, from);
    snprintf(b, sizeof b, "%s/%s", dir, to);
    CHECK(rename(a, b) == 0);
}

/* The power goes after so many steps of an apply: staging, the exchange, and the commit's renames, one by one. */
static void cut_after(int steps, const char *current, const char *previous)
{
    struct config_store s;
    struct buf tar = archive("three");
    begin_test();
    put("one", true);
    put("two", true);
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    CHECK(!config_store_stage(&s, &tar));
    if (steps > 1)
        CHECK(!config_store_begin(&s));
    if (steps > 2)
        rename_here("previous", "old");
    if (steps > 3)
        rename_here("next", "previous");
    close(s.lock_fd); /* without tidying up */
    s.lock_fd = -1;
    config_store_close(&s);
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    config_store_close(&s);
    CHECK_STR(text_of("current"), current);
    CHECK_STR(text_of("previous"), previous);
    CHECK_STR(text_of("next"), "-");
    CHECK_STR(text_of("old"), "-");
    buf_fini(&tar);
    remove_tree(dir);
}

static void power_cuts(void)
{
    cut_after(1, "two", "one");
    cut_after(2, "three", "two");
    cut_after(3, "three", "two");
    cut_after(4, "three", "two");
}

static void one_at_a_time(void)
{
    struct config_store s, other;
    begin_test();
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    struct err *e = config_store_open(&other, dir, (uid_t)-1, (gid_t)-1);
    CHECK(e && e->code == ERR_STATE);
    err_free(e);
    config_store_close(&s);
    CHECK(!config_store_open(&other, dir, (uid_t)-1, (gid_t)-1));
    config_store_close(&other);
    remove_tree(dir);
}

static void merging(void)
{
    struct buf files = {0}, merged = {0};
    struct config_store s;
    begin_test();
    put("one", true);
    err_free(tar_add(&files, "penstock.yaml", "two", 3));
    err_free(tar_add(&files, "more.sql", "more", 4));
    tar_end(&files);
    CHECK(!config_store_merge(dir, &files, &merged));
    CHECK(!config_store_open(&s, dir, (uid_t)-1, (gid_t)-1));
    CHECK(!config_store_stage(&s, &merged));
    CHECK(!config_store_begin(&s));
    CHECK(!config_store_commit(&s));
    config_store_close(&s);
    CHECK_STR(text_of("current"), "two");
    char path[100];
    snprintf(path, sizeof path, "%s/current/sql/views.sql", dir);
    CHECK(access(path, F_OK) == 0);
    snprintf(path, sizeof path, "%s/current/more.sql", dir);
    CHECK(access(path, F_OK) == 0);
    buf_fini(&files);
    buf_fini(&merged);
    remove_tree(dir);
}

static void checks_leave_nothing(void)
{
    struct buf tar = archive("one"), none = {0};
    struct scratch one, other;
    char left[100];
    begin_test();
    CHECK(!config_store_unpack(dir, (uid_t)-1, (gid_t)-1, &tar, &one));
    snprintf(left, sizeof left, "%s", one.path);
    CHECK(access(left, F_OK) == 0);
    scratch_remove(&one);
    CHECK(access(left, F_OK) != 0);
    snprintf(left, sizeof left, "%s/check-left", dir);
    CHECK(mkdir(left, 0700) == 0);
    CHECK(!config_store_unpack(dir, (uid_t)-1, (gid_t)-1, &tar, &one));
    CHECK(access(left, F_OK) != 0);
    /* One that is in use stays. */
    CHECK(!config_store_unpack(dir, (uid_t)-1, (gid_t)-1, &tar, &other));
    CHECK(access(one.path, F_OK) == 0);
    scratch_remove(&one);
    scratch_remove(&other);
    err_free(tar_add(&none, "conf/penstock.yaml", "x", 1));
    tar_end(&none);
    struct err *e = config_store_unpack(dir, (uid_t)-1, (gid_t)-1, &none, &one);
    CHECK(e && strstr(e->message, "no penstock.yaml") && !one.path);
    err_free(e);
    buf_fini(&tar);
    buf_fini(&none);
    remove_tree(dir);
}

/* A link in a folder is removed as a link. */
static void removing_follows_no_links(void)
{
    char path[200], kept[200];
    begin_test();
    snprintf(kept, sizeof kept, "%s/kept", dir);
    CHECK(mkdir(kept, 0700) == 0);
    snprintf(path, sizeof path, "%s/kept/file", dir);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof path, "%s/gone", dir);
    CHECK(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/gone/link", dir);
    CHECK(symlink(kept, path) == 0);
    snprintf(path, sizeof path, "%s/gone", dir);
    CHECK(!scratch_remove_tree(path));
    CHECK(access(path, F_OK) != 0);
    snprintf(path, sizeof path, "%s/kept/file", dir);
    CHECK(access(path, F_OK) == 0);
    remove_tree(dir);
}

int main(void)
{
    RUN(one_after_the_other);
    RUN(refused_leaves_all);
    RUN(back_and_forth);
    RUN(power_cuts);
    RUN(one_at_a_time);
    RUN(merging);
    RUN(checks_leave_nothing);
    RUN(removing_follows_no_links);
    TEST_END();
}
