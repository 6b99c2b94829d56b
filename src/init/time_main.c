/* The time process itself: gives up what it need not have, and asks for ever. See time_client.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/time_client.h"

#include "base/log.h"
#include "box/box.h"
#include "box/settings.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Another user, with one capability left; no new privileges, few files, no processes. */
static const char *confine(void)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct only[2] = {{0}, {0}};
    struct rlimit files = {32, 32}, none = {0, 0};
    only[0].permitted = only[0].effective = 1u << CAP_SYS_TIME;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_CORE, &none) != 0)
        return "limits";
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
                           setgid(BOX_TIME) != 0 || setuid(BOX_TIME) != 0))
        return "the user";
    /* Where it is not to be had, as in a container, no other is kept either; the clock can then not be set, and that is said. */
    if (syscall(SYS_capset, &h, only) != 0) {
        only[0].permitted = only[0].effective = 0;
        if (syscall(SYS_capset, &h, only) != 0)
            return "capabilities";
    }
    /* After the change of the user, which forgets it. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "privileges";
    return NULL;
}

/* False: the parent is gone. */
static bool report(const struct time_report *r)
{
    ssize_t n = send(TIME_REPORT_FD, r, sizeof *r, MSG_NOSIGNAL);
    return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static void wait_s(int seconds)
{
    uint8_t spread; /* so that the boxes of a rack do not ask all at once after a power cut */
    if (getrandom(&spread, 1, 0) != 1)
        spread = 0;
    (void)poll(NULL, 0, seconds * 1000 + spread * 4);
}

int time_main(int argc, char **argv)
{
    static struct time_client c;
    if (argc < 4 || argc - 3 > SETTINGS_SERVERS_MAX)
        return 2;
    c = (struct time_client){
        .clock = &time_clock_system,
        .bounds = {strtoll(argv[1], NULL, 10) * 1000000, strtoll(argv[2], NULL, 10) * 1000000},
        .servers = (const char *const *)&argv[3],
        .server_count = (uint32_t)(argc - 3),
        .port = TIME_PORT,
        .gap_ms = 500,
        .answer_ms = 1500,
        .report = {.magic = TIME_REPORT_MAGIC, .state = TIME_ASKING}};
    log_setup(LOG_INFO, LOG_FORMAT_TEXT, "time");
    const char *failed = confine();
    if (failed) {
        log_error("time", "cannot give up privileges", "what=\"%s\" error=\"%s\"", failed, strerror(errno));
        return 1;
    }
    for (uint32_t before = TIME_ASKING; report(&c.report);) {
        int seconds = time_client_round(&c);
        const struct time_report *r = &c.report;
        if (r->state != before || (r->state == TIME_SYNCED && llabs(r->offset_us) > SNTP_STEP_US))
            log_line(r->state == TIME_SYNCED ? LOG_INFO : LOG_WARN, "time",
                     r->state == TIME_SYNCED ? "synchronized" : "not synchronized",
                     "asked=%u agreed=%u offset_us=%lld detail=\"%s\"", r->asked, r->agreed,
                     (long long)r->offset_us, r->detail);
        before = r->state;
        if (!report(&c.report))
            break;
        wait_s(seconds);
    }
    return 0;
}
