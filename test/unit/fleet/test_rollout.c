/* Roll-outs without boxes: the plan of waves, when they stop, the files (whole, torn, of another format), requests and the lock between
 * processes; and diffs of configurations. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/tar.h"
#include "fleet/diff.h"
#include "fleet/rollout.h"
#include "remove_tree.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- waves ---- */

/* Sizes of the waves, as "1 2 2"; or "!" when the size is none. */
static const char *planned(uint32_t boxes, uint32_t canary, const char *size)
{
    static char text[200];
    struct wave_plan p;
    struct err *e = waves_plan(size, canary, boxes, &p);
    *text = 0;
    if (e) {
        err_free(e);
        return "!";
    }
    for (uint32_t w = 0; w < waves_count(&p); w++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < boxes; i++)
            n += waves_of(&p, i) == w;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", w ? " " : "", n);
    }
    return text;
}

static void plans(void)
{
    CHECK_STR(planned(8, 1, "25%"), "1 2 2 2 1");
    CHECK_STR(planned(8, 0, "25%"), "2 2 2 2");
    CHECK_STR(planned(8, 1, "100%"), "1 7");
    CHECK_STR(planned(8, 2, "3"), "2 3 3");
    CHECK_STR(planned(3, 5, "1"), "3");
    CHECK_STR(planned(1, 1, "25%"), "1");
    CHECK_STR(planned(1000, 0, "1%"), planned(1000, 0, "10"));
    CHECK_STR(planned(3, 0, "1%"), "1 1 1");
    CHECK_STR(planned(3, 0, "1000000"), "3");
    static const char *const wrong[] = {"",     "0",  "0%",       "101%", "x", "5x",
                                        "25%%", "-1", "99999999", "+3",   " 3"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        CHECK_STR(planned(8, 1, wrong[i]), "!");
}

/* Every box is in exactly one wave, waves follow each other, none is empty or larger than it may be. */
static void plans_hold(void)
{
    for (uint32_t boxes = 1; boxes < 40; boxes++)
        for (uint32_t canary = 0; canary < 5; canary++)
            for (uint32_t size = 1; size < 12; size++) {
                char text[8];
                struct wave_plan p;
                snprintf(text, sizeof text, "%u", size);
                struct err *e = waves_plan(text, canary, boxes, &p);
                CHECK(!e);
                err_free(e);
                uint32_t in_wave = 0;
                for (uint32_t i = 0; i < boxes; i++) {
                    uint32_t w = waves_of(&p, i), before = i ? waves_of(&p, i - 1) : 0;
                    in_wave = i && w == before ? in_wave + 1 : 1;
                    CHECK(i ? w == before || w == before + 1 : w == 0);
                    CHECK(in_wave <= (w == 0 && p.canary ? p.canary : size));
                }
                CHECK(waves_of(&p, boxes - 1) + 1 == waves_count(&p));
            }
}

static void judging(void)
{
    struct wave_plan with = {.box_count = 8, .canary = 1, .size = 2}, without = {.box_count = 8, .size = 2};
    CHECK(waves_go_on(&with, 0, 0, 0) && !waves_go_on(&with, 1, 0, 0));
    CHECK(waves_go_on(&with, 2, 0, 2) && !waves_go_on(&with, 3, 0, 2));
    CHECK(!waves_go_on(&with, 1, 1, 5));
    CHECK(waves_go_on(&without, 1, 0, 1));
}

/* ---- files ---- */

static char state[64];

static struct rollout *made(void)
{
    struct rollout *r = rollout_new(state);
    r->kind = ROLLOUT_UPGRADE;
    r->created = "2026-11-28T05:00:00Z";
    r->user = "op";
    r->what = "0.2 \"quoted\"";
    r->payload = "/tmp/x.pimage";
    r->sum = "00ff";
    r->target = "build-2";
    r->soak_us = 60000000;
    r->deadline_us = 900000000;
    r->max_unhealthy = 2;
    r->box_count = 3;
    r->boxes = ARENA_ARRAY(&r->arena, struct rollout_box, 3);
    struct err *e = waves_plan("1", 1, 3, &r->plan);
    CHECK(!e);
    err_free(e);
    for (uint32_t i = 0; i < 3; i++) {
        r->boxes[i].name = arena_printf(&r->arena, "edge-%u", i + 1);
        r->boxes[i].wave = waves_of(&r->plan, i);
    }
    r->boxes[1].step = STEP_FAILED;
    r->boxes[1].runs = RUNS_OLD;
    r->boxes[1].sent_s = 1700000000;
    snprintf(r->boxes[1].detail, sizeof r->boxes[1].detail, "says \xff\n and more");
    return r;
}

static void files(void)
{
    struct rollout *r = made(), *back = NULL, *last = NULL;
    struct buf content = {0};
    buf_put_str(&content, "what is sent");
    struct err *e = rollout_create(r, &content);
    CHECK(!e);
    err_free(e);
    char *beside = xprintf("%s/rollouts/%s.payload", state, r->id);
    CHECK_STR(r->payload, beside);
    CHECK(access(beside, R_OK) == 0);
    e = rollout_load(state, r->id, &back);
    CHECK(!e && back);
    err_free(e);
    if (back) {
        CHECK_STR(back->what, r->what);
        CHECK_STR(back->payload, beside);
        CHECK(back->box_count == 3 && back->plan.canary == 1 && back->plan.size == 1 &&
              back->max_unhealthy == 2);
        CHECK(back->boxes[1].step == STEP_FAILED && back->boxes[1].runs == RUNS_OLD &&
              back->boxes[1].sent_s == 1700000000);
        CHECK_STR(back->boxes[1].detail, "says ?\n and more");
        CHECK(back->boxes[2].wave == 2 && back->soak_us == 60000000 && !back->pause_between);
    }
    rollout_drop_content(r);
    CHECK(access(beside, R_OK) != 0);
    /* Another within the same second has an ID of its own. */
    struct rollout *second = made();
    e = rollout_create(second, NULL);
    CHECK(!e && strcmp(second->id, r->id) != 0);
    err_free(e);
    e = rollout_load(state, "last", &last);
    CHECK(!e && last && strcmp(last->id, second->id) == 0);
    err_free(e);
    static const char *const wrong[] = {"../fleet", "x/y", "", "nothing", ".hidden", "UPPER"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct rollout *none;
        e = rollout_load(state, wrong[i], &none);
        CHECK(e && !none);
        err_free(e);
    }
    buf_fini(&content);
    free(beside);
    rollout_free(second);
    rollout_free(last);
    rollout_free(back);
    rollout_free(r);
}

static enum err_code parsed(const char *text, size_t len)
{
    struct rollout *r = rollout_new(state);
    struct err *e = rollout_parse(text, len, r);
    enum err_code code = e ? e->code : ERR_OK;
    err_free(e);
    rollout_free(r);
    return code;
}

/* The text with one thing put in the place of another. */
static enum err_code changed(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    CHECK(at);
    if (!at)
        return ERR_OK;
    char *copy = xprintf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    enum err_code code = parsed(copy, strlen(copy));
    free(copy);
    return code;
}

static void damaged_files(void)
{
    struct rollout *r = made();
    size_t len;
    snprintf(r->id, sizeof r->id, "x");
    char *text = rollout_text(r, &len);
    CHECK(parsed(text, len) == ERR_OK);
    size_t whole = len;
    while (whole && text[whole - 1] != '}')
        whole--;
    for (size_t n = 0; n < whole; n++) /* torn at any byte */
        CHECK(parsed(text, n) != ERR_OK);
    CHECK(changed(text, "\"rollout\": 1", "\"rollout\": 2") == ERR_UNSUPPORTED);
    CHECK(changed(text, "\"rollout\"", "\"rollouts\"") == ERR_CORRUPT);
    CHECK(changed(text, "\"upgrade\"", "\"upgrades\"") == ERR_CORRUPT);
    CHECK(changed(text, "\"failed\"", "\"fialed\"") == ERR_CORRUPT);
    CHECK(changed(text, "\"size\": 1", "\"size\": 0") == ERR_CORRUPT);
    CHECK(changed(text, "\"canary\": 1", "\"canary\": 4") == ERR_CORRUPT);
    CHECK(changed(text, "\"canary\": 1", "\"canary\": 2") == ERR_CORRUPT); /* the waves are others */
    CHECK(changed(text, "\"sent\": 1700000000", "\"sent\": -1") == ERR_CORRUPT);
    CHECK(changed(text, "\"payload\"", "\"paylaod\"") == ERR_CORRUPT);
    CHECK(changed(text, "\"sum\": \"", "\"sum\": \"\\u0000") == ERR_CORRUPT);
    free(text);
    rollout_free(r);
}

static void other_processes(void)
{
    struct rollout *r = made();
    int lock = -1, status = 0;
    struct err *e = rollout_create(r, NULL);
    CHECK(!e);
    err_free(e);
    CHECK(!rollout_take_request(r));
    e = rollout_request(state, r->id, "pause");
    CHECK(!e);
    err_free(e);
    CHECK_STR(rollout_take_request(r), "pause");
    CHECK(!rollout_take_request(r));
    e = rollout_request(state, r->id, "nonsense");
    CHECK(!e && !rollout_take_request(r));
    err_free(e);
    e = rollout_request(state, "../x", "pause");
    CHECK(e);
    err_free(e);
    e = rollouts_lock(state, &lock);
    CHECK(!e && lock >= 0);
    err_free(e);
    pid_t pid = fork();
    if (pid == 0) {
        int other;
        e = rollouts_lock(state, &other);
        _exit(!e && other == -1 ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(lock);
    e = rollouts_lock(state, &lock);
    CHECK(!e && lock >= 0);
    err_free(e);
    close(lock);
    rollout_free(r);
}

/* ---- diffs ---- */

static const char *diffed(const char *old, const char *new)
{
    static char text[2000];
    struct buf b = {0};
    diff_text("f", old, strlen(old), new, strlen(new), &b);
    snprintf(text, sizeof text, "%.*s", (int)b.len, b.p ? (const char *)b.p : "");
    buf_fini(&b);
    return text;
}

static void diffs(void)
{
    CHECK_STR(diffed("a\n", "a\n"), "");
    CHECK_STR(diffed("", "a\n"), "--- f\n+++ f\n@@ -0,0 +1,1 @@\n+a\n");
    CHECK_STR(diffed("a\n", ""), "--- f\n+++ f\n@@ -1,1 +0,0 @@\n-a\n");
    CHECK_STR(diffed("a\nb\nc\n", "a\nx\nc\n"), "--- f\n+++ f\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    CHECK_STR(diffed("a", "a\n"), "--- f\n+++ f\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n");
    CHECK_STR(diffed("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n", "x\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\ny\n"),
              "--- f\n+++ f\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -9,4 +9,4 @@\n 9\n 10\n 11\n-12\n+y\n");
    CHECK(strstr(diffed("a\n", "a\x01\xff\n"), "f differs (2 bytes before, 4 after)"));
}

/* A diff, applied to the old text, gives the new one. */
static bool applies(const char *diff, const char *old, const char *new)
{
    struct buf b = {0};
    const char *at = old, *line = strchr(strchr(diff, '\n') + 1, '\n') + 1;
    unsigned line_at = 1;
    for (const char *next; *line; line = next) {
        unsigned from, count;
        next = strchr(line, '\n') + 1;
        if (sscanf(line, "@@ -%u,%u", &from, &count) == 2) {
            for (from += count == 0; line_at < from; line_at++) {
                const char *stop = strchr(at, '\n') + 1;
                buf_put(&b, at, (size_t)(stop - at));
                at = stop;
            }
            continue;
        }
        if (*line != '+') {
            if (strncmp(at, line + 1, (size_t)(next - line - 1)) != 0)
                return false;
            at += next - line - 1;
            line_at++;
        }
        if (*line != '-')
            buf_put(&b, line + 1, (size_t)(next - line - 1));
    }
    buf_put_str(&b, at);
    buf_put_u8(&b, 0);
    bool same = strcmp((const char *)b.p, new) == 0;
    buf_fini(&b);
    return same;
}

static void random_diffs(void)
{
    unsigned seed = 7;
    for (int round = 0; round < test_rounds(400); round++) {
        char texts[2][200] = {"", ""};
        for (int s = 0; s < 2; s++)
            for (int n = rand_r(&seed) % 30; n > 0; n--)
                snprintf(texts[s] + strlen(texts[s]), sizeof texts[s] - strlen(texts[s]), "%c\n",
                         'a' + rand_r(&seed) % 4);
        struct buf b = {0};
        diff_text("f", texts[0], strlen(texts[0]), texts[1], strlen(texts[1]), &b);
        buf_put_u8(&b, 0);
        CHECK(b.len == 1 ? strcmp(texts[0], texts[1]) == 0 : applies((const char *)b.p, texts[0], texts[1]));
        buf_fini(&b);
    }
}

/* Too many lines to be compared one by one: said as one large change, soon. */
static void large_diff(void)
{
    struct buf old = {0}, new = {0}, out = {0};
    for (int i = 0; i < 30000; i++) {
        buf_printf(&old, "a%d\n", i);
        buf_printf(&new, "b%d\n", i);
    }
    diff_text("f", old.p, old.len, new.p, new.len, &out);
    CHECK(out.len > old.len + new.len);
    buf_fini(&old);
    buf_fini(&new);
    buf_fini(&out);
}

static void add(struct buf *tar, const char *path, const char *text)
{
    struct err *e = tar_add(tar, path, text, strlen(text));
    CHECK(!e);
    err_free(e);
}

static void archives(void)
{
    struct buf old = {0}, new = {0}, out = {0};
    uint32_t n = 0;
    add(&old, "penstock.yaml", "penstock: 1\n");
    add(&old, "gone.sql", "x\n");
    add(&old, "same.sql", "s\n");
    add(&old, "empty-goes", "");
    tar_end(&old);
    add(&new, "penstock.yaml", "penstock: 1\nsql: []\n");
    add(&new, "same.sql", "s\n");
    add(&new, "new.sql", "y\n");
    add(&new, "empty-comes", "");
    tar_end(&new);
    struct err *e = diff_archives(old.p, old.len, new.p, new.len, &out, &n);
    buf_put_u8(&out, 0);
    CHECK(!e && n == 5);
    err_free(e);
    CHECK(strstr((char *)out.p, "+sql: []\n") && strstr((char *)out.p, "-x\n") &&
          strstr((char *)out.p, "+y\n") && !strstr((char *)out.p, "same.sql") &&
          strstr((char *)out.p, "empty-goes: empty, goes\n") &&
          strstr((char *)out.p, "empty-comes: empty, is new\n"));
    buf_reset(&out);
    e = diff_archives(NULL, 0, new.p, new.len, &out, &n);
    CHECK(!e && n == 4);
    err_free(e);
    e = diff_archives("rubbish", 7, new.p, new.len, &out, &n);
    CHECK(e);
    err_free(e);
    buf_fini(&old);
    buf_fini(&new);
    buf_fini(&out);
}

int main(void)
{
    snprintf(state, sizeof state, "/tmp/penstock-fleet-XXXXXX");
    if (!mkdtemp(state))
        return 1;
    RUN(plans);
    RUN(plans_hold);
    RUN(judging);
    RUN(files);
    RUN(damaged_files);
    RUN(other_processes);
    RUN(diffs);
    RUN(random_diffs);
    RUN(large_diff);
    RUN(archives);
    remove_tree(state);
    TEST_END();
}
