/* dhcpcd and the time process: started, restarted with growing delays, and started anew when what they are to do has changed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/net.h"

#include "base/log.h"
#include "init/child.h"
#include "init/net_dhcp.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_WAIT_MS 4000 /* for dhcpcd to take its addresses away */
#define STEADY_MS   30000

void net_child_signal(const struct net_child *c, int sig)
{
    if (c->pid > 0)
        (void)kill(c->pid, sig);
}

/* In the child: it shall not outlive this process, whose addresses and clock it serves. */
static int run_words(void *arg)
{
    char *const *words = arg;
    static char *const env[] = {"PATH=/bin:/sbin", NULL};
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    execve(words[0], words, env);
    return 127;
}

static pid_t start_words(const char *const *words, int in)
{
    struct child c = {.as = BOX_ROOT,
                      .in = in,
                      .out = STDERR_FILENO,
                      .err = STDERR_FILENO,
                      .run = run_words,
                      .arg = (void *)(uintptr_t)words};
    return child_start(&c);
}

/* ---- what is the same for both ---- */

static void start_dhcp(void *arg);
static void start_time(void *arg);

static void after_end(struct net *n, struct net_child *c, loop_timer_fn *start, const char *name, int status)
{
    bool asked = c->ending;
    c->pid = 0;
    c->ending = false;
    if (!c->wanted || n->stopping)
        return;
    if (!asked) {
        bool steady = loop_now_ms() - c->started_ms > STEADY_MS;
        c->delay_ms = steady || !c->delay_ms ? NET_RESTART_MS : c->delay_ms * 2;
        c->delay_ms = c->delay_ms < NET_RESTART_MAX_MS ? c->delay_ms : NET_RESTART_MAX_MS;
        log_warn("network", "a process ended", "name=%s status=%d delay_ms=%lld", name, status,
                 (long long)c->delay_ms);
    }
    loop_cancel(&n->loop, c->timer);
    c->timer = loop_after(&n->loop, asked ? 0 : c->delay_ms, start, n);
}

static void on_dhcp_end(void *arg, pid_t pid, int status)
{
    struct net *n = arg;
    (void)pid;
    net_leases_remove(n->paths.run_dir, NULL);
    net_apply_soon(n, 0); /* it may have left what is no longer wanted */
    after_end(n, &n->dhcp, start_dhcp, "dhcpcd", status);
}

static void on_time_end(void *arg, pid_t pid, int status)
{
    struct net *n = arg;
    (void)pid;
    if (n->time_socket >= 0) {
        loop_remove(&n->loop, n->time_socket);
        close(n->time_socket);
        n->time_socket = -1;
    }
    after_end(n, &n->time, start_time, "time", status);
}

static void started(struct net *n, struct net_child *c, pid_t pid, loop_child_fn *ended, loop_timer_fn *start)
{
    if (pid > 0) {
        c->pid = pid;
        c->starts++;
        c->started_ms = loop_now_ms();
        if (!loop_child(&n->loop, pid, ended, n))
            PANIC("no room for a child");
    } else {
        log_error("network", "cannot start a process", "error=\"%s\"", strerror(errno));
        c->timer = loop_after(&n->loop, NET_RESTART_MAX_MS, start, n);
    }
}

/* Starts it if it does not run; otherwise it is ended first, and started when it has. */
static void renew(struct net *n, struct net_child *c, bool wanted, loop_timer_fn *start)
{
    c->wanted = wanted;
    loop_cancel(&n->loop, c->timer);
    c->timer = 0;
    if (c->pid) {
        c->ending = true;
        net_child_signal(c, SIGTERM);
    } else if (wanted) {
        start(n);
    }
}

/* ---- dhcpcd ---- */

static void start_dhcp(void *arg)
{
    struct net *n = arg;
    n->dhcp.timer = 0;
    if (!n->dhcp.wanted || n->dhcp.pid)
        return;
    struct err *e = net_file_replace(n->paths.dhcpcd_conf, n->dhcp_conf.p, n->dhcp_conf.len, false);
    if (e) {
        log_error("network", "cannot configure dhcpcd", "error=\"%s\"", e->message);
        err_free(e);
    }
    const char *words[] = {n->paths.dhcpcd, "-B", "-f", n->paths.dhcpcd_conf, NULL};
    started(n, &n->dhcp, start_words(words, -1), on_dhcp_end, start_dhcp);
}

static void update_dhcp(struct net *n)
{
    struct buf now = {0};
    bool wanted = net_dhcp_conf(&n->settings, &n->plan, n->paths.self, &now);
    bool same = wanted == n->dhcp.wanted &&
                (!wanted || (now.len == n->dhcp_conf.len && memcmp(now.p, n->dhcp_conf.p, now.len) == 0));
    if (same) {
        buf_fini(&now);
        return;
    }
    buf_fini(&n->dhcp_conf);
    n->dhcp_conf = now;
    renew(n, &n->dhcp, wanted, start_dhcp);
}

/* ---- time ---- */

static void take_report(void *arg, int fd, short events)
{
    struct net *n = arg;
    struct time_report r;
    (void)events;
    ssize_t len = recv(fd, &r, sizeof r, MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        loop_remove(&n->loop, fd); /* its end is told by SIGCHLD */
        return;
    }
    /* It reads what strangers send: what it says is looked at before it is used. */
    if (len != (ssize_t)sizeof r || r.magic != TIME_REPORT_MAGIC || r.state > TIME_REFUSED ||
        r.asked > SNTP_SERVERS_MAX || r.answered > SNTP_SERVERS_MAX || r.agreed > SNTP_SERVERS_MAX)
        return;
    r.detail[sizeof r.detail - 1] = 0;
    for (char *c = r.detail; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    bool first = r.state == TIME_SYNCED && n->time_report.state != TIME_SYNCED;
    n->time_report = r;
    if (first)
        net_clock_save(n);
    net_publish_soon(n);
}

static void start_time(void *arg)
{
    struct net *n = arg;
    int pair[2];
    char floor[24], ceiling[24];
    const char *words[4 + SETTINGS_SERVERS_MAX + 1] = {n->paths.self, "time", floor, ceiling};
    n->time.timer = 0;
    if (!n->time.wanted || n->time.pid)
        return;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        started(n, &n->time, -1, on_time_end, start_time);
        return;
    }
    snprintf(floor, sizeof floor, "%lld", (long long)n->floor_s);
    snprintf(ceiling, sizeof ceiling, "%lld", (long long)n->ceiling_s);
    for (uint32_t i = 0; i < n->server_count; i++)
        words[4 + i] = n->servers[i];
    n->time_socket = pair[0];
    pid_t pid = start_words(words, pair[1]);
    close(pair[1]);
    if (pid > 0)
        (void)loop_add(&n->loop, pair[0], POLLIN, take_report, n);
    started(n, &n->time, pid, on_time_end, start_time);
}

/* The settings' servers, else those of DHCP, else Debian's pool. */
static uint32_t choose_servers(const struct net *n, char out[][SETTINGS_HOST_BYTES])
{
    static const char *const pool[] = {"0.debian.pool.ntp.org", "1.debian.pool.ntp.org",
                                       "2.debian.pool.ntp.org", "3.debian.pool.ntp.org"};
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->settings.server_count; i++)
        memcpy(out[count++], n->settings.servers[i], SETTINGS_HOST_BYTES);
    if (n->settings.servers_given)
        return count;
    for (uint32_t i = 0; i < n->lease_count; i++)
        for (uint32_t k = 0; k < n->leases[i].server_count && count < SETTINGS_SERVERS_MAX; k++)
            memcpy(out[count++], n->leases[i].servers[k], SETTINGS_HOST_BYTES);
    for (size_t i = 0; count == 0 && i < ARRAY_COUNT(pool); i++)
        snprintf(out[i], SETTINGS_HOST_BYTES, "%s", pool[i]);
    return count ? count : (uint32_t)ARRAY_COUNT(pool);
}

static void update_time(struct net *n)
{
    char now[SETTINGS_SERVERS_MAX][SETTINGS_HOST_BYTES];
    memset(now, 0, sizeof now);
    uint32_t count = choose_servers(n, now);
    /* Nobody can be asked before there is a way to them; a lease that comes may name others. */
    bool wanted = count > 0 && net_is_ok(n, NULL, 0);
    bool same = count == n->server_count && memcmp(now, n->servers, sizeof now) == 0;
    if (wanted == n->time.wanted && (same || !wanted))
        return;
    n->server_count = count;
    memcpy(n->servers, now, sizeof now);
    renew(n, &n->time, wanted, start_time);
}

void net_floor_update(struct net *n)
{
    int64_t floor_s = clock_floor(n->paths.image_json, n->paths.clock);
    if (floor_s == n->floor_s)
        return;
    n->floor_s = floor_s;
    n->time_report = (struct time_report){0};
    renew(n, &n->time, n->time.wanted, start_time);
}

void net_children_update(struct net *n)
{
    if (n->stopping)
        return;
    update_dhcp(n);
    update_time(n);
}

void net_clock_save(const struct net *n)
{
    struct timespec now;
    if (n->time_report.state != TIME_SYNCED || clock_gettime(CLOCK_REALTIME, &now) != 0)
        return;
    struct err *e = clock_save(n->paths.clock, (int64_t)now.tv_sec);
    if (e)
        log_warn("network", "cannot remember the time", "error=\"%s\"", e->message);
    err_free(e);
}

static bool have_ended(void *arg)
{
    const struct net *n = arg;
    return !n->dhcp.pid && !n->time.pid;
}

void net_children_end(struct net *n)
{
    n->dhcp.wanted = n->time.wanted = false;
    net_child_signal(&n->dhcp, SIGTERM);
    net_child_signal(&n->time, SIGTERM);
    if (!loop_until(&n->loop, have_ended, n, END_WAIT_MS)) {
        net_child_signal(&n->dhcp, SIGKILL);
        net_child_signal(&n->time, SIGKILL);
        (void)loop_until(&n->loop, have_ended, n, END_WAIT_MS);
    }
}
