/* The gate between processes: making it, boots, reader slots, recovery against readers, waiting, texts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store_test.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

static pid_t child(void (*fn)(const char *dir), const char *dir)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        fn(dir);
        _exit(0);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
}

static struct gate *open_gate(const char *dir, bool *fresh)
{
    struct gate *g;
    OK(gate_open(dir, &g, fresh));
    return g;
}

/* Fresh until a store was recovered, whoever opens it first and however often. */
static void test_fresh_boot(void)
{
    char *dir = fresh_dir("boot");
    bool fresh = false;
    struct gate *g = open_gate(dir, &fresh);
    CHECK(fresh && atomic_load(&g->recovering));
    struct gate *second = open_gate(dir, &fresh);
    CHECK(fresh);
    gate_close(second);
    struct store_options o = {.shard_count = 1};
    struct store *s;
    OK(store_open(dir, g, true, &o, &s));
    CHECK(!atomic_load(&g->recovering));
    store_close(s);
    second = open_gate(dir, &fresh);
    CHECK(!fresh && second->epoch == g->epoch);
    strcpy(g->boot_id, "another boot"); /* it is one file: both see it */
    gate_close(second);
    second = open_gate(dir, &fresh);
    CHECK(fresh && atomic_load(&second->recovering));
    gate_close(second);
    char *path = xprintf("%s/gate", dir);
    CHECK(truncate(path, 100) == 0);
    second = open_gate(dir, &fresh);
    CHECK(fresh);
    gate_close(second);
    unlink(path);
    second = open_gate(dir, &fresh);
    CHECK(fresh);
    gate_close(second);
    gate_close(g);
    free(path);
    drop_dir(dir);
}

static void attach_and_die(const char *dir)
{
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    for (int i = 0; i < 10; i++) {
        int slot = gate_reader_attach(g);
        if (slot < 0)
            _exit(1);
        atomic_store(&g->readers[slot].active, 1);
    }
    kill(getpid(), SIGKILL);
}

static void test_slots(void)
{
    char *dir = fresh_dir("slots");
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    atomic_store(&g->recovering, 0);
    int slots[GATE_READERS_MAX];
    for (int i = 0; i < GATE_READERS_MAX; i++) {
        slots[i] = gate_reader_attach(g);
        CHECK(slots[i] == i);
    }
    CHECK(gate_reader_attach(g) == -1);
    for (int i = 0; i < GATE_READERS_MAX; i++)
        gate_reader_detach(g, slots[i]);
    for (int i = 0; i < 30; i++) /* 300 dead slots: they are taken over */
        CHECK(WIFSIGNALED(end_of(child(attach_and_die, dir))));
    gate_recovery_begin(g, 1000); /* and their being active holds nobody up */
    gate_recovery_end(g);
    CHECK(gate_reader_attach(g) >= 0);
    gate_close(g);
    drop_dir(dir);
}

static void hold_forever(const char *dir)
{
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    int slot = gate_reader_attach(g);
    if (!gate_read_enter(g, slot))
        _exit(1);
    atomic_store(&g->epoch, 5); /* tells the parent that it holds */
    for (;;)
        pause();
}

static void test_stuck_reader(void)
{
    char *dir = fresh_dir("stuck");
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    atomic_store(&g->recovering, 0);
    unsigned generation = atomic_load(&g->generation);
    pid_t pid = child(hold_forever, dir);
    while (atomic_load(&g->epoch) != 5)
        usleep(100);
    gate_recovery_begin(g, 50);
    int status = end_of(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int slot = gate_reader_attach(g);
    CHECK(!gate_read_enter(g, slot));
    gate_recovery_end(g);
    CHECK(gate_read_enter(g, slot));
    gate_read_leave(g, slot);
    CHECK(atomic_load(&g->generation) == generation + 1);
    gate_close(g);
    drop_dir(dir);
}

#define NOBODY 65534

static bool become_nobody(void) /* group 0 would see all */
{
    return setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0 &&
           prctl(PR_SET_DUMPABLE, 0) == 0;
}

/* Inside: processes of one user that do not see each other in /proc, as the instance's are where it is mounted so. */
static int hidden_reader(const char *dir)
{
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    pid_t pid = fork();
    if (pid == 0) {
        if (!become_nobody())
            _exit(1);
        atomic_store(&g->epoch, gate_read_enter(g, gate_reader_attach(g)) ? 5 : 6);
        for (;;)
            pause();
    }
    while (atomic_load(&g->epoch) < 5) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return 77;
        usleep(100);
    }
    if (!become_nobody())
        return 1;
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (access(path, F_OK) == 0)
        return 2;
    gate_readers_reap(g);
    if (atomic_load(&g->readers[0].pid) != (unsigned)pid)
        return 3;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    gate_readers_reap(g);
    return atomic_load(&g->readers[0].pid) == 0 ? 0 : 4;
}

static void test_hidden_reader(void)
{
    char *dir = fresh_dir("hidden");
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    atomic_store(&g->recovering, 0);
    fflush(stdout);
    pid_t outer = fork();
    if (outer == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0)
            _exit(77);
        pid_t inner = fork();
        if (inner == 0) {
            bool hides = mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
                         mount("proc", "/proc", "proc", 0, "hidepid=2") == 0;
            _exit(hides ? hidden_reader(dir) : 77);
        }
        _exit(end_of(inner) >> 8);
    }
    int status = end_of(outer) >> 8;
    if (status == 77)
        printf("# this machine does not let the test hide processes\n");
    else if (status)
        printf("# status %d\n", status);
    CHECK(status == 0 || status == 77);
    gate_close(g);
    drop_dir(dir);
}

static void follow(const char *dir)
{
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    uint64_t seen = 0;
    unsigned generation = atomic_load(&g->generation);
    while (seen < 2000) {
        uint64_t now = gate_wait(g, seen, 30000);
        if (now <= seen)
            _exit(1); /* a wake-up was lost */
        seen = now;
    }
    if (atomic_load(&g->generation) == generation)
        gate_wait(g, seen, 60000); /* ended by the change of generation */
    _exit(atomic_load(&g->generation) == generation + 1 ? 0 : 2);
}

static void test_waiting(void)
{
    char *dir = fresh_dir("wait");
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    pid_t pids[3];
    uint64_t start = steady_ns();
    CHECK(gate_wait(g, 0, 30) == 0 && steady_ns() - start >= 29000000);
    for (int i = 0; i < 3; i++)
        pids[i] = child(follow, dir);
    for (uint64_t e = 1; e <= 2000; e++) {
        gate_publish(g, e);
        if (e % 8 == 0)
            usleep(20);
    }
    usleep(50000);
    CHECK(atomic_load(&g->epoch_us) > 0 && gate_wait(g, 1999, 1000) == 2000);
    gate_recovery_end(g);
    for (int i = 0; i < 3; i++) {
        int status = end_of(pids[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    gate_close(g);
    drop_dir(dir);
}

static atomic_bool texts_stop;

static void *write_texts(void *arg)
{
    struct gate *g = arg;
    char text[400];
    for (unsigned n = 0; !atomic_load(&texts_stop); n++) {
        /* Rests, as every real writer does: a reader gives up after so many tries in a row, and those take long where
         * each access is watched. */
        if (n % 16 == 0)
            usleep(10);
        memset(text, 'a' + (int)(n % 26), sizeof text);
        text[n % 300] = 0;
        gate_text_set(g->sources[0].error, sizeof g->sources[0].error, &g->sources[0].error_seq, text);
    }
    return NULL;
}

static void test_texts(void)
{
    char *dir = fresh_dir("texts");
    bool fresh;
    struct gate *g = open_gate(dir, &fresh);
    struct gate_source *s = &g->sources[0];
    char out[256];
    gate_text_set(s->error, sizeof s->error, &s->error_seq, "hello");
    gate_text_get(s->error, sizeof s->error, &s->error_seq, out);
    CHECK_STR(out, "hello");
    pthread_t writer;
    pthread_create(&writer, NULL, write_texts, g);
    int whole = 0;
    for (int i = 0; i < 20000 || (whole < 2000 && i < 100000000); i++) {
        gate_text_get(s->error, sizeof s->error, &s->error_seq, out);
        whole += out[0] >= 'a' && out[0] <= 'z' && strcmp(out, "hello") != 0;
        for (size_t k = 1; k < strlen(out) && strcmp(out, "hello") != 0; k++)
            if (out[k] != out[0]) {
                CHECK(out[k] == out[0]);
                i = 100000000;
                break;
            }
    }
    atomic_store(&texts_stop, true);
    pthread_join(writer, NULL);
    CHECK(whole >= 2000);
    atomic_store(&s->error_seq, 7); /* its writer died in the middle */
    gate_text_get(s->error, sizeof s->error, &s->error_seq, out);
    CHECK_STR(out, "");
    gate_text_set(s->error, sizeof s->error, &s->error_seq, "again");
    gate_text_get(s->error, sizeof s->error, &s->error_seq, out);
    CHECK_STR(out, "again");
    gate_close(g);
    drop_dir(dir);
}

int main(void)
{
    RUN(test_fresh_boot);
    RUN(test_slots);
    RUN(test_stuck_reader);
    RUN(test_hidden_reader);
    RUN(test_waiting);
    RUN(test_texts);
    TEST_END();
}
