/* The log: files that turn, a disk that is full, lines at too high a rate, the kernel's records. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"
#include "remove_tree.h"

#include "init/log_hub.h"
#include "init/log_ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-log-XXXXXX";

static char *read_log(const char *in, const char *name)
{
    static char text[1 << 20];
    char path[256];
    snprintf(path, sizeof path, "%s/%s", in, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    return n < 0 ? NULL : text;
}

static uint64_t folder_bytes(const char *in, uint32_t *files)
{
    uint64_t bytes = 0;
    DIR *d = opendir(in);
    *files = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[600];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", in, e->d_name);
        if (e->d_name[0] != '.' && stat(path, &st) == 0) {
            bytes += (uint64_t)st.st_size;
            (*files)++;
        }
    }
    if (d)
        closedir(d);
    return bytes;
}

static void put_numbered(struct log_ring *r, int from, int to)
{
    char line[64];
    for (int i = from; i < to; i++) {
        int n = snprintf(line, sizeof line, "2026-11-28T05:00:00.000Z test line %06d\n", i);
        log_ring_put(r, line, (size_t)n);
    }
}

static void files_turn(void)
{
    struct log_ring r;
    uint32_t files;
    char in[128];
    snprintf(in, sizeof in, "%s/turn", dir);
    mkdir(in, 0700);
    log_ring_open(&r, in, 4096);
    put_numbered(&r, 0, 50);
    log_ring_close(&r);
    log_ring_open(&r, in, 4096); /* goes on where it was */
    put_numbered(&r, 50, 2000);
    log_ring_close(&r);
    CHECK(folder_bytes(in, &files) <= (uint64_t)LOG_RING_FILES * 4096 && files == LOG_RING_FILES);
    CHECK(strstr(read_log(in, "box.log"), "line 001999\n") != NULL);
    CHECK(strstr(read_log(in, "box.log.1"), "line 001") != NULL);
    CHECK(strncmp(read_log(in, "box.log.7"), "2026", 4) == 0); /* whole lines */
    CHECK(read_log(in, "box.log.8") == NULL);
    CHECK(r.lost == 0);
}

/* A small file system of its own, where that is allowed. */
static bool small_disk(const char *in)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", in, "tmpfs", 0, "size=64k") == 0;
}

static void survives_a_full_disk(void)
{
    struct log_ring r;
    char in[128], path[256];
    snprintf(in, sizeof in, "%s/full", dir);
    mkdir(in, 0700);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    bool real = small_disk(in);
    log_ring_open(&r, in, real ? 16384 : 1 << 20);
    put_numbered(&r, 0, 10);
    if (real) {
        put_numbered(&r, 10, 5000); /* the oldest files make room: nothing is lost */
        CHECK(r.lost == 0 && strstr(read_log(in, "box.log"), "line 004999\n"));
        /* Something else takes all of the disk. */
        snprintf(path, sizeof path, "%s/big", in);
        for (unsigned n = 1; n < LOG_RING_FILES; n++) {
            char old[300];
            snprintf(old, sizeof old, "%s/box.log.%u", in, n);
            unlink(old);
        }
        char newest[300];
        snprintf(newest, sizeof newest, "%s/box.log", in);
        CHECK(truncate(newest, 0) == 0);
        int fd = open(path, O_WRONLY | O_CREAT, 0600);
        static char block[4096];
        while (write(fd, block, sizeof block) > 0)
            continue;
        close(fd);
    } else {
        /* EFBIG where no mount is allowed: another refusal of a write, which is dealt with alike but that nothing makes room. */
        signal(SIGXFSZ, SIG_IGN);
        limit = before;
        limit.rlim_cur = 1024;
        setrlimit(RLIMIT_FSIZE, &limit);
        put_numbered(&r, 10, 30);
    }
    put_numbered(&r, 5000, 5500);
    CHECK(r.lost > 0);
    if (real)
        unlink(path);
    else
        setrlimit(RLIMIT_FSIZE, &before);
    uint64_t lost = r.lost;
    put_numbered(&r, 6000, 6001);
    char want[128];
    snprintf(want, sizeof want, "2026-11-28T05:00:00.000Z init %llu lines could not be written\n",
             (unsigned long long)lost);
    char *text = read_log(in, "box.log");
    CHECK(text && strstr(text, want) && strstr(text, "line 006000\n") && r.lost == 0);
    log_ring_close(&r);
    if (real)
        umount2(in, MNT_DETACH);
}

static void the_kernels_records(void)
{
    char out[64];
    static const char good[] = "6,339,5140900,-;NET: Registered\n SUBSYSTEM=acpi\n";
    CHECK(log_kernel_text(good, sizeof good - 1, out, sizeof out));
    CHECK_STR(out, "NET: Registered");
    CHECK(log_kernel_text("4,1,2,-;no newline", 18, out, sizeof out));
    CHECK_STR(out, "no newline");
    CHECK(log_kernel_text("4,1,2,-;cut here", 16, out, 4));
    CHECK_STR(out, "cut");
    CHECK(log_kernel_text("4,1,2,-;", 8, out, sizeof out) && !out[0]);
    CHECK(!log_kernel_text("no record", 9, out, sizeof out) && !log_kernel_text("", 0, out, sizeof out));
}

static bool has_lines(void *arg)
{
    return ((struct log_hub *)arg)->lines >= 6;
}

static void services_lines_come_together(void)
{
    static struct log_hub hub;
    static struct loop l;
    char in[128];
    snprintf(in, sizeof in, "%s/hub", dir);
    mkdir(in, 0700);
    loop_init(&l, NULL, NULL);
    log_hub_init(&hub, &l, -1);
    log_hub_say(&hub, "before there is a disk");
    int a = log_hub_source(&hub, "penstock"), b = log_hub_source(&hub, "dropbear");
    CHECK(a >= 0 && b >= 0 && a != b && log_hub_source(&hub, "penstock") == a);
    dprintf(a, "one\ntwo ");
    dprintf(b, "a \033[2Jtrick\r\n\n");
    dprintf(a, "parts\n");
    char *longest = xmalloc(LOG_LINE_BYTES + 1);
    memset(longest, 'x', LOG_LINE_BYTES);
    longest[LOG_LINE_BYTES] = 0;
    dprintf(b, "%s\n", longest);
    CHECK(loop_until(&l, has_lines, &hub, 10000));
    log_hub_files(&hub, in, 1 << 20);
    log_hub_say(&hub, "after");
    log_hub_end(&hub);
    char *text = read_log(in, "box.log");
    CHECK(text && strstr(text, "Z init before there is a disk\n") && strstr(text, "Z penstock one\n") &&
          strstr(text, "Z penstock two parts\n") && strstr(text, "Z dropbear a ?[2Jtrick?\n") &&
          strstr(text, "Z init after\n"));
    CHECK(strstr(text, "before") < strstr(text, "after"));
    for (char *line = text; line && *line; line = strchr(line, '\n') + 1)
        CHECK(strcspn(line, "\n") < LOG_LINE_BYTES);
    free(longest);
    loop_fini(&l);
}

static int64_t stopped_ms;

static int64_t stopped_clock(void)
{
    return stopped_ms;
}

static void rates_are_bounded(void)
{
    static struct log_hub hub;
    static struct loop l;
    loop_init(&l, NULL, NULL);
    log_hub_init(&hub, &l, -1);
    hub.now_ms = stopped_clock;
    int a = log_hub_source(&hub, "noisy"), b = log_hub_source(&hub, "calm");
    fcntl(a, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 4 * LOG_BURST_LINES; i++) {
        while (write(a, "x\n", 2) < 0)
            loop_turn(&l, 0);
    }
    for (int i = 0; i < 50; i++)
        loop_turn(&l, 0);
    CHECK(hub.lines == LOG_BURST_LINES);
    dprintf(b, "still heard\n");
    loop_turn(&l, 100);
    CHECK(hub.lines == LOG_BURST_LINES + 1);
    for (uint32_t i = 0; i < LOG_SOURCES_MAX; i++)
        if (strcmp(hub.sources[i].name, "noisy") == 0)
            CHECK(hub.sources[i].left_out == 3 * LOG_BURST_LINES);
    /* Later: a line again, and how many there were. */
    stopped_ms += 1000 / LOG_RATE_LINES;
    dprintf(a, "y\nz\n");
    loop_turn(&l, 100);
    CHECK(hub.lines == LOG_BURST_LINES + 3);
    CHECK(memmem(hub.early.p, hub.early.len, "15000 lines of noisy were left out", 34) != NULL);
    CHECK(hub.early.len <= LOG_EARLY_BYTES);
    log_hub_end(&hub);
    loop_fini(&l);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    RUN(files_turn);
    RUN(survives_a_full_disk);
    RUN(the_kernels_records);
    RUN(services_lines_come_together);
    RUN(rates_are_bounded);
    remove_tree(dir);
    TEST_END();
}
