/* Programs that are run with bounded output and time. */
#define _GNU_SOURCE
#include "box/program.h"

#include "test.h"

#include <signal.h>
#include <unistd.h>

static struct buf out, err;

/* What this program does when it is the child: it is run by its own name, as there may be no other where this runs. */
static int child(const char *what)
{
    char text[100];
    if (strcmp(what, "speak") == 0) {
        puts("one");
        fflush(stdout);
        fputs("two\n", stderr);
        return read(0, text, sizeof text) == 0 ? 3 : 4;
    }
    if (strcmp(what, "signal") == 0)
        raise(SIGTERM);
    for (int i = 0; strcmp(what, "flood") == 0 && i < 4000; i++)
        puts("0123456789012345678901234567890123456789");
    if (strcmp(what, "where") == 0)
        return puts(getcwd(text, sizeof text)) < 0;
    if (strcmp(what, "sleep") == 0)
        sleep(600);
    return 0;
}

static int run(const char *what, size_t most, int64_t timeout_ms, struct err **e)
{
    const char *argv[] = {"penstock", "child", what, NULL};
    struct program p = {.argv = argv, .out = &out, .err = &err, .most = most, .timeout_ms = timeout_ms};
    int status;
    buf_reset(&out);
    buf_reset(&err);
    *e = program_run(&p, &status);
    return status;
}

static void statuses_and_output(void)
{
    struct err *e;
    CHECK(run("speak", 100, 0, &e) == 3 && !e);
    CHECK(out.len == 4 && memcmp(out.p, "one\n", 4) == 0 && err.len == 4 && memcmp(err.p, "two\n", 4) == 0);
    CHECK(run("signal", 100, 0, &e) == 128 + 15 && !e);
    CHECK(run("flood", 1000, 0, &e) == 0 && !e);
    CHECK(out.len == 1000);
}

static void both_in_one(void)
{
    const char *argv[] = {"penstock", "child", "speak", NULL};
    struct program p = {.argv = argv, .out = &out, .err = &out, .most = 100, .dir = "/"};
    int status;
    buf_reset(&out);
    CHECK(!program_run(&p, &status) && status == 3);
    CHECK(out.len == 8 && memcmp(out.p, "one\ntwo\n", 8) == 0);
    argv[2] = "where";
    buf_reset(&out);
    CHECK(!program_run(&p, &status) && status == 0);
    CHECK(out.len == 2 && memcmp(out.p, "/\n", 2) == 0);
}

static void what_does_not_end(void)
{
    struct err *e;
    CHECK(run("sleep", 100, 50, &e) == 128 + 9);
    CHECK(e && e->code == ERR_LIMIT);
    err_free(e);
    const char *argv[] = {"penstock", "child", "sleep", NULL};
    struct program p = {.argv = argv, .timeout_ms = 50, .apart = true}; /* without collected output */
    int status;
    e = program_run(&p, &status);
    CHECK(e && e->code == ERR_LIMIT && status == 128 + 9);
    err_free(e);
}

static void what_does_not_start(void)
{
    const char *argv[] = {"/nowhere/program", NULL};
    struct program p = {.argv = argv, .err = &err, .most = 1000};
    int status;
    buf_reset(&err);
    CHECK(!program_run(&p, &status) && status == 127);
    CHECK(err.len > 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "child") == 0)
        return child(argv[2]);
    RUN(statuses_and_output);
    RUN(both_in_one);
    RUN(what_does_not_end);
    RUN(what_does_not_start);
    buf_fini(&out);
    buf_fini(&err);
    TEST_END();
}
