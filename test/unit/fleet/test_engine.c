/* The engine with programs of this machine in place of ssh: bounded numbers of children, bounded output, deadlines, input that is not taken,
 * tables that fit, answers that are believed no further than their shape. */
#include "base/clock.h"
#include "fleet/answer.h"
#include "fleet/engine.h"
#include "fleet/table.h"
#include "test.h"

#include <signal.h>
#include <unistd.h>

/* ---- the children: this program itself, for there is no shell where the tests may run ---- */

static void pause_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

static void zeros(int fd, size_t n)
{
    static char block[4096];
    for (size_t at = 0; at < n;) {
        ssize_t w = write(fd, block, n - at < sizeof block ? n - at : sizeof block);
        if (w <= 0)
            _exit(9);
        at += (size_t)w;
    }
}

static void say(int fd, const char *text)
{
    if (write(fd, text, strlen(text)) < 0)
        _exit(9);
}

static int as_child(const char *mode)
{
    char block[4096];
    if (strcmp(mode, "brief") == 0) {
        pause_ms(50);
        say(1, "done\n");
    } else if (strncmp(mode, "zeros ", 6) == 0) {
        zeros(1, (size_t)atoi(mode + 6));
    } else if (strcmp(mode, "much") == 0) {
        zeros(1, 3000000);
        zeros(2, 300000);
        return 3;
    } else if (strcmp(mode, "read") == 0) {
        while (read(0, block, sizeof block) > 0)
            ;
    } else if (strcmp(mode, "refuse") == 0) {
        close(0);
        say(2, "penstock: it is too large\n  hint: none\n");
        return 1;
    } else if (strcmp(mode, "hang") == 0) {
        pause();
    } else if (strcmp(mode, "stall") == 0) {
        say(1, "a\n");
        pause_ms(50);
        say(1, "b\n");
        pause();
    } else if (strcmp(mode, "deaf") == 0) {
        signal(SIGTERM, SIG_IGN);
        for (;;)
            pause();
    } else if (strcmp(mode, "killed") == 0) {
        kill(getpid(), SIGKILL);
    } else if (strcmp(mode, "leaves a child") == 0) {
        if (fork() == 0)
            pause_ms(3000);
        else
            say(1, "out\n");
    }
    return 0;
}

/* ---- */

static struct fleet_box boxes[8];
static const struct fleet_box *list[8];
static char *argv_of[8][3];
static struct job want; /* input, limits: the same for all */
static enum job_end ends[8];
static int statuses[8];
static size_t outputs[8], sents[8];
static bool cuts[8];

static void ended(struct engine *e, struct task *t)
{
    long i = t - e->tasks;
    ends[i] = t->job.end;
    statuses[i] = t->job.status;
    outputs[i] = t->job.out.len;
    sents[i] = t->job.input_sent;
    cuts[i] = t->job.out_cut;
    char *reason = job_reason(&t->job);
    task_done(e, t, t->job.end == JOB_EXITED && !t->job.status, "%s", reason);
    free(reason);
}

static void begin(struct engine *e, struct task *t)
{
    struct job *j = task_job(t);
    *j = want;
    j->argv = argv_of[t - e->tasks];
    task_run(e, t, ended);
}

/* The same child for each of `count`; the notes are left in notes. */
static char notes[8][200];
static uint32_t run_all(uint32_t count, uint32_t parallel, const char *mode)
{
    struct engine e;
    for (uint32_t i = 0; i < count; i++) {
        list[i] = &boxes[i];
        argv_of[i][0] = "/proc/self/exe";
        argv_of[i][1] = (char *)(uintptr_t)mode;
    }
    engine_init(&e, list, count, parallel);
    for (uint32_t i = 0; i < count; i++)
        e.tasks[i].next = begin;
    engine_run(&e);
    for (uint32_t i = 0; i < count; i++)
        memcpy(notes[i], e.tasks[i].note, sizeof notes[i]);
    uint32_t most = e.most_running;
    CHECK(e.running == 0);
    engine_fini(&e);
    return most;
}

static void bounded_parallel(void)
{
    want = (struct job){.output_max = 1000};
    CHECK(run_all(8, 3, "brief") == 3);
    for (int i = 0; i < 8; i++)
        CHECK(ends[i] == JOB_EXITED && statuses[i] == 0 && outputs[i] == 5);
}

static void bounded_output(void)
{
    want = (struct job){.output_max = 1000};
    (void)run_all(1, 1, "zeros 1000");
    CHECK(outputs[0] == 1000 && !cuts[0]);
    (void)run_all(1, 1, "zeros 1001");
    CHECK(outputs[0] == 1000 && cuts[0] && ends[0] == JOB_EXITED);
    (void)run_all(1, 1, "much");
    CHECK(outputs[0] == 1000 && cuts[0] && statuses[0] == 3);
}

static void input(void)
{
    static char big[1 << 20];
    want = (struct job){.output_max = 100, .input = big, .input_bytes = sizeof big};
    (void)run_all(2, 2, "read");
    CHECK(statuses[0] == 0 && sents[0] == sizeof big && sents[1] == sizeof big);
    (void)run_all(1, 1, "refuse");
    CHECK(statuses[0] == 1 && sents[0] < sizeof big);
    CHECK_STR(notes[0], "it is too large");
}

static void deadlines(void)
{
    int64_t began = steady_us();
    want = (struct job){.output_max = 100, .timeout_us = 200000};
    (void)run_all(2, 2, "hang");
    CHECK(ends[0] == JOB_TIMEOUT && ends[1] == JOB_TIMEOUT);
    want = (struct job){.output_max = 100, .stall_us = 200000};
    (void)run_all(1, 1, "stall");
    CHECK(ends[0] == JOB_STALLED && outputs[0] == 4);
    /* Whoever does not listen is killed. */
    want = (struct job){.output_max = 100, .timeout_us = 100000};
    (void)run_all(1, 1, "deaf");
    CHECK(ends[0] == JOB_TIMEOUT);
    CHECK(steady_us() - began < INT64_C(60000000));
}

static void other_ends(void)
{
    want = (struct job){.output_max = 100};
    (void)run_all(1, 1, "killed");
    CHECK(ends[0] == JOB_SIGNALLED && statuses[0] == 9);
    /* A descendant that holds the pipes open is not waited for. */
    (void)run_all(1, 1, "leaves a child");
    CHECK(ends[0] == JOB_EXITED && outputs[0] == 4);
    struct job j = {.argv = (char *[]){"/nonexistent/program", NULL}};
    job_start(&j, steady_us());
    char *reason = job_reason(&j);
    CHECK(j.end == JOB_NOT_STARTED ||
          j.end == JOB_RUNNING); /* some systems tell it by the exit status alone */
    free(reason);
    job_fini(&j);
}

static void stopping_begin(struct engine *e, struct task *t)
{
    if (t == e->tasks)
        raise(SIGINT);
    begin(e, t);
}

static void stopping(void)
{
    struct engine e;
    want = (struct job){.output_max = 100};
    for (int i = 0; i < 3; i++)
        argv_of[i][1] = "brief";
    engine_init(&e, list, 3, 1);
    for (uint32_t i = 0; i < 3; i++)
        e.tasks[i].next = stopping_begin;
    engine_run(&e);
    CHECK(e.stopping == 1);
    CHECK(strcmp(e.tasks[2].note, "not begun") == 0 && !e.tasks[2].ok);
    engine_fini(&e);
}

static void tables(void)
{
    static const char *const headers[] = {"A", "B", "C"};
    struct fleet_table t;
    struct buf b = {0};
    fleet_table_init(&t, 3, headers);
    fleet_table_row(&t);
    fleet_table_cell(&t, 0, "%s", "long-name");
    fleet_table_cell(&t, 2, "x\x1b[2Jy\n\xc3\xa4");
    fleet_table_row(&t);
    fleet_table_cell(&t, 1, "b");
    fleet_table_write(&t, 0, 0, &b);
    buf_put_u8(&b, 0);
    CHECK_STR((const char *)b.p, "A          B  C\nlong-name     x\\x1b[2Jy\\n\xc3\xa4\n           b\n");
    buf_reset(&b);
    fleet_table_write(&t, 6, 2, &b);
    buf_put_u8(&b, 0);
    CHECK_STR((const char *)b.p, "A\n... and 2 more\n");
    buf_reset(&b);
    fleet_table_write(&t, 6, 0, &b);
    buf_put_u8(&b, 0);
    CHECK_STR((const char *)b.p, "A\nlong-~\n\n");
    buf_fini(&b);
    fleet_table_fini(&t);
}

static const char *status_error(const char *json, struct box_status *s)
{
    static char text[200];
    struct err *e = answer_status(json, strlen(json), s);
    snprintf(text, sizeof text, "%s", e ? e->message : "");
    err_free(e);
    return text;
}

#define TEXT_OF(s) s, sizeof s - 1

static void answers(void)
{
    struct box_status s;
    CHECK_STR(status_error("{\"box\":{\"hostname\":\"e\",\"image\":{\"build\":\"b1\"},\"slot\":{\"running\":"
                           "\"a\",\"state\":\"trial\",\"other\":null},"
                           "\"health\":{\"ok\":false,\"checks\":[{\"name\":\"api\",\"ok\":false,\"detail\":"
                           "\"down\"},{\"name\":\"init\",\"ok\":true}]}}}",
                           &s),
              "");
    CHECK_STR(s.build, "b1");
    CHECK_STR(s.slot_state, "trial");
    CHECK_STR(s.trouble, "api: down");
    CHECK(!s.healthy && !*s.other_build);
    CHECK(strstr(status_error("", &s), "empty") && strstr(status_error("[1]", &s), "no JSON object"));
    CHECK(strstr(status_error("{\"box\":", &s), "no JSON") &&
          strstr(status_error("{}", &s), "nothing of a box"));
    CHECK_STR(status_error("{\"box\":{\"hostname\":17,\"image\":[],\"slot\":\"a\",\"health\":{\"ok\":"
                           "\"true\",\"checks\":{}}}}",
                           &s),
              "");
    CHECK(!s.healthy && !*s.hostname);
    char *big = xcalloc(1, FLEET_ANSWER_BYTES + 2);
    memset(big, ' ', FLEET_ANSWER_BYTES + 1);
    memcpy(big, "{\"box\":{}}", 10);
    CHECK(strstr(status_error(big, &s), "longer than 12 MiB"));
    big[FLEET_ANSWER_BYTES] = 0;
    CHECK_STR(status_error(big, &s), "");
    free(big);
    struct box_verdict v;
    struct err *e = answer_verdict(TEXT_OF("{\"ok\":true,\"changes\":[1,2],\"text\":\"t\"}"), &v);
    CHECK(!e && v.ok && v.change_count == 2 && strcmp(v.text, "t") == 0);
    err_free(e);
    box_verdict_fini(&v);
    e = answer_verdict(TEXT_OF("{\"ok\":1}"), &v);
    CHECK(e && !v.ok);
    err_free(e);
    box_verdict_fini(&v);
    struct box_slots slots;
    e = answer_slots(
        TEXT_OF("{\"running\":\"b\",\"slots\":{\"a\":{\"build\":\"x\",\"valid\":true}},\"trial\":{"
                "\"left_s\":9},\"last\":null}"),
        &slots);
    CHECK(!e && slots.on_trial && slots.trial_left_s == 9 && strcmp(slots.other_build, "x") == 0);
    err_free(e);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return as_child(argv[1]);
    RUN(bounded_parallel);
    RUN(bounded_output);
    RUN(input);
    RUN(deadlines);
    RUN(other_ends);
    RUN(stopping);
    RUN(tables);
    RUN(answers);
    TEST_END();
}
