/* Supervision with real children: they are started again, later and later, stopped with their group, and orphans are reaped. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"
#include "remove_tree.h"

#include "init/service.h"
#include "init/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop l;
static struct log_hub hub;
static char dir[] = "/tmp/penstock-service-XXXXXX";

static bool never(void *arg)
{
    (void)arg;
    return false;
}

/* ---- children ---- */

static int ends_with(void *arg)
{
    return (int)(intptr_t)arg;
}

static int sleeps(void *arg)
{
    (void)arg;
    while (pause() != 0)
        continue;
    return 0;
}

static int ignores_sigterm(void *arg)
{
    signal(SIGTERM, SIG_IGN);
    return sleeps(arg);
}

/* Leaves a grandchild in the group, whose pid is written to a file. */
static int has_grandchild(void *arg)
{
    pid_t pid = fork();
    if (pid == 0)
        sleeps(NULL);
    int fd = open(arg, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dprintf(fd, "%d\n", (int)pid);
    close(fd);
    return sleeps(NULL);
}

static struct {
    int (*run)(void *arg);
    void *arg;
    bool refuse;
} what;

static bool prepare(struct service *s, struct child *c)
{
    (void)s;
    c->run = what.run;
    c->arg = what.arg;
    return !what.refuse;
}

static struct service service_new(void)
{
    return (struct service){
        .name = "test", .loop = &l, .log = &hub, .prepare = prepare, .stop_ms = 10000, .last_status = -1};
}

static bool is_running(void *arg)
{
    return ((struct service *)arg)->state == SERVICE_RUNNING;
}

static bool is_off(void *arg)
{
    return service_is_off(arg);
}

static bool started_thrice(void *arg)
{
    return ((struct service *)arg)->starts >= 3;
}

static void starts_again(void)
{
    struct service s = service_new();
    what.run = ends_with;
    what.arg = (void *)3;
    service_start(&s);
    service_start(&s); /* once is enough */
    CHECK(s.starts == 1);
    CHECK(loop_until(&l, started_thrice, &s, 20000));
    CHECK(s.failures >= 2 && WEXITSTATUS(s.last_status) == 3);
    CHECK(s.backoff_ms >= 4 * SERVICE_BACKOFF_FIRST_MS); /* it was doubled each time */
    service_stop(&s);
    CHECK(loop_until(&l, is_off, &s, 20000));
    uint32_t starts = s.starts;
    loop_until(&l, never, NULL, 3 * SERVICE_BACKOFF_FIRST_MS);
    CHECK(s.starts == starts);
}

static void backoff_is_bounded(void)
{
    struct service s = service_new();
    what.refuse = true; /* the preparation fails */
    service_start(&s);
    CHECK(s.state == SERVICE_WAITING);
    for (int i = 0; i < 20; i++) {
        for (int t = 0; t < LOOP_TIMERS_MAX; t++)
            if (l.timers[t].id == s.timer)
                l.timers[t].at_ms = 0;
        loop_turn(&l, 0);
    }
    CHECK(s.backoff_ms == SERVICE_BACKOFF_MOST_MS && s.state == SERVICE_WAITING);
    what.refuse = false;
    what.run = sleeps;
    service_restart(&s); /* out of the wait, at once */
    CHECK(s.state == SERVICE_RUNNING && s.backoff_ms == SERVICE_BACKOFF_FIRST_MS);
    service_stop(&s);
    CHECK(s.state == SERVICE_STOPPING);
    service_start(&s); /* wanted again before it has ended */
    CHECK(loop_until(&l, is_running, &s, 20000) && s.starts == 2 && s.failures == 0);
    service_stop(&s);
    CHECK(loop_until(&l, is_off, &s, 20000));
}

static void is_killed_when_late(void)
{
    struct service s = service_new();
    what.run = ignores_sigterm;
    s.stop_ms = 300;
    service_start(&s);
    loop_until(&l, never, NULL, 100);
    service_stop(&s);
    CHECK(loop_until(&l, is_off, &s, 20000));
    CHECK(WIFSIGNALED(s.last_status));
}

static pid_t grandchild;

static bool grandchild_is_gone(void *arg)
{
    (void)arg;
    if (kill(grandchild, 0) != 0)
        return errno == ESRCH;
    /* Ended, but its new parent, whoever that is on this machine, has not asked for it yet. */
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)grandchild);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    const char *after = n ? strrchr(text, ')') : NULL;
    return after && after[1] == ' ' && after[2] == 'Z';
}

static bool pid_is_written(void *arg)
{
    char text[32] = "";
    int fd = open(arg, O_RDONLY);
    if (fd < 0)
        return false;
    bool ok = read(fd, text, sizeof text - 1) > 1;
    close(fd);
    grandchild = atoi(text);
    return ok;
}

static void the_group_goes_too(void)
{
    struct service s = service_new();
    char path[128];
    snprintf(path, sizeof path, "%s/pid", dir);
    what.run = has_grandchild;
    what.arg = path;
    service_start(&s);
    for (int i = 0; i < 200 && !pid_is_written(path); i++)
        loop_until(&l, never, NULL, 20);
    CHECK(grandchild > 1 && getpgid(grandchild) == s.pid);
    service_stop(&s);
    CHECK(loop_until(&l, is_off, &s, 20000));
    /* An orphan now: whoever is its parent reaps it. */
    bool gone = false;
    for (int i = 0; i < 500 && !gone; i++) {
        gone = grandchild_is_gone(NULL);
        loop_until(&l, never, NULL, 10);
    }
    CHECK(gone);
}

static int writes_identity(void *arg)
{
    (void)arg;
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    bool right = getsid(0) == getpid() && !sigismember(&set, SIGTERM) && !sigismember(&set, SIGCHLD);
    if (geteuid() == 100) /* from root */
        right = right && getuid() == 100 && getgid() == 100 && setuid(0) != 0;
    return right ? 7 : 1;
}

static void children_are_clean(void)
{
    struct child c = {.in = -1, .out = -1, .err = -1, .run = writes_identity, .no_new_privs = true};
    c.as = geteuid() == 0 ? BOX_PENSTOCK : BOX_ROOT;
    int status = child_wait(&l, &c, 20000, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_STR(child_end_text(status), "exit status 7");
    static const char *const missing[] = {"/nowhere/program", NULL};
    c = (struct child){.argv = missing, .in = -1, .out = -1, .err = -1};
    status = child_wait(&l, &c, 20000, NULL);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 127);
    bool late;
    c = (struct child){.run = ignores_sigterm, .in = -1, .out = -1, .err = -1};
    CHECK(child_wait(&l, &c, 200, &late) == -1 && late);
}

static int prints(void *arg)
{
    size_t n = (size_t)(intptr_t)arg;
    for (size_t i = 0; i < n; i++)
        if (write(1, "x", 1) != 1)
            return 1;
    return 4;
}

static struct {
    uint32_t calls;
    int status;
    size_t len;
} answer;

static void answered(struct task *t, int status, const char *output, size_t len)
{
    (void)t;
    CHECK(output[len] == 0);
    answer.calls++;
    answer.status = status;
    answer.len = len;
}

static bool has_answered(void *arg)
{
    (void)arg;
    return answer.calls > 0;
}

static void tasks_answer(void)
{
    struct task t = {.name = "task", .loop = &l, .log = &hub, .most_ms = 20000, .done = answered, .fd = -1};
    static const size_t sizes[] = {0, 100, TASK_OUTPUT_BYTES_MAX, TASK_OUTPUT_BYTES_MAX + 1000};
    t.child.run = prints;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        answer.calls = 0;
        t.child.arg = (void *)(intptr_t)sizes[i];
        CHECK(task_start(&t) && !task_start(&t));
        CHECK(loop_until(&l, has_answered, NULL, 20000) && WEXITSTATUS(answer.status) == 4);
        CHECK(answer.len == (sizes[i] > TASK_OUTPUT_BYTES_MAX ? TASK_OUTPUT_BYTES_MAX : sizes[i]));
    }
    answer.calls = 0;
    t.child.run = ignores_sigterm;
    t.most_ms = 200;
    CHECK(task_start(&t) && loop_until(&l, has_answered, NULL, 20000) && answer.status == -1 && !t.pid);
}

static void timers_and_limits(void)
{
    uint32_t free_slots = 0, fds = 0;
    for (int i = 0; i < LOOP_CHILDREN_MAX; i++)
        free_slots += l.children[i].pid == 0;
    CHECK(free_slots == LOOP_CHILDREN_MAX);
    for (int i = 0; i < LOOP_CHILDREN_MAX; i++)
        CHECK(loop_child(&l, 1 << 22 | i, NULL, NULL));
    CHECK(!loop_child(&l, 1 << 23, NULL, NULL));
    memset(l.children, 0, sizeof l.children);
    int null = open("/dev/null", O_RDONLY);
    for (int i = 0; i < LOOP_FDS_MAX; i++)
        fds += loop_add(&l, null, 0, NULL, NULL);
    CHECK(fds > 0 && fds < LOOP_FDS_MAX && !loop_add(&l, null, 0, NULL, NULL));
    loop_remove(&l, null);
    CHECK(loop_add(&l, null, 0, NULL, NULL));
    loop_remove(&l, null);
    close(null);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    loop_init(&l, NULL, NULL);
    log_hub_init(&hub, &l, -1);
    RUN(starts_again);
    RUN(backoff_is_bounded);
    RUN(is_killed_when_late);
    RUN(the_group_goes_too);
    RUN(children_are_clean);
    RUN(tasks_answer);
    RUN(timers_and_limits);
    remove_tree(dir);
    TEST_END();
}
