/* See net.h: the loop of the network process, and what brings it to act. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/net.h"

#include "base/log.h"
#include "box/box.h"
#include "init/net_pending.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define PENDING_PUBLISH_MS 5000 /* while somebody waits whether to confirm */

const struct net_paths net_paths_box = {
    .settings = BOX_SETTINGS,
    .before = BOX_SETTINGS_BEFORE,
    .settings_dir = BOX_DIR,
    .run_dir = BOX_RUN,
    .resolv_conf = "/run/resolv.conf",
    .dhcpcd_conf = "/run/dhcpcd.conf",
    .dhcpcd_dir = "/run/dhcpcd",
    .image_json = BOX_IMAGE_JSON,
    .clock = BOX_CLOCK,
    .sysctl = "/proc/sys",
    .dhcpcd = "/bin/dhcpcd",
    .self = "/init",
};

/* ---- settings ---- */

/* A file that is wrong changes nothing while the box runs; at the start it leaves the defaults, by which it can be reached. */
static void read_settings(struct net *n, bool at_start)
{
    static struct settings fresh;
    struct err *e = settings_load(n->paths.settings, &fresh);
    free(n->wrong);
    n->wrong = e ? err_text(e) : NULL;
    if (e)
        log_error("network", "box.yaml is wrong", "error=\"%s\"", e->message);
    if (!e || at_start) {
        n->settings = fresh;
        n->from_file = !e && access(n->paths.settings, F_OK) == 0;
    }
    err_free(e);
}

static void on_confirm_timer(void *arg);

static void look_at_pending(struct net *n)
{
    int64_t until = net_pending_until_ms(n->paths.before, n->paths.run_dir);
    int64_t left = until - net_boottime_ms();
    loop_cancel(&n->loop, n->confirm_timer);
    n->confirm_timer = 0;
    n->confirm_by_ms = until;
    if (!until)
        return;
    if (left > 0) {
        n->rolled_back = false;
        n->confirm_timer =
            loop_after(&n->loop, left < PENDING_PUBLISH_MS ? left : PENDING_PUBLISH_MS, on_confirm_timer, n);
        return;
    }
    struct err *e =
        net_pending_go_back(n->paths.settings, n->paths.before, n->paths.settings_dir, n->paths.run_dir);
    if (e) {
        log_error("network", "cannot go back", "error=\"%s\"", e->message);
        err_free(e);
        n->confirm_timer = loop_after(&n->loop, NET_AGAIN_MS, on_confirm_timer, n);
        return;
    }
    log_warn("network", "settings were not confirmed: the former ones are back", "file=%s",
             n->paths.settings);
    n->confirm_by_ms = 0;
    n->rolled_back = true;
    read_settings(n, false);
    net_apply_soon(n, 0);
}

static void on_confirm_timer(void *arg)
{
    struct net *n = arg;
    n->confirm_timer = 0;
    look_at_pending(n);
    net_publish_soon(n);
}

/* ---- applying ---- */

static void apply(void *arg)
{
    struct net *n = arg;
    n->apply_timer = 0;
    struct err *e = net_apply(&n->kernel, &n->settings, n->paths.sysctl, &n->view, &n->plan);
    char *problems = e ? err_text(e) : NULL;
    if (problems && (!n->problems || strcmp(problems, n->problems) != 0))
        log_warn("network", "some settings could not be made", "error=\"%s\"", problems);
    free(n->problems);
    n->problems = problems;
    err_free(e);
    net_publish(n);
    if (problems)
        net_apply_soon(n, NET_AGAIN_MS);
}

void net_apply_soon(struct net *n, int64_t ms)
{
    if (n->stopping)
        return;
    loop_cancel(&n->loop, n->apply_timer);
    n->apply_timer = loop_after(&n->loop, ms, apply, n);
}

static void publish(void *arg)
{
    struct net *n = arg;
    n->publish_timer = 0;
    if (!n->stopping)
        net_publish(n);
}

void net_publish_soon(struct net *n)
{
    if (!n->publish_timer)
        n->publish_timer = loop_after(&n->loop, 20, publish, n);
}

/* ---- what happens ---- */

static void on_link_event(void *arg, int fd, short events)
{
    struct net *n = arg;
    (void)fd;
    (void)events;
    /* The timer is not put off by further events, or a link that flaps would keep all from being set. */
    if (netlink_drain(&n->events) && !n->apply_timer)
        net_apply_soon(n, NET_SETTLE_MS);
}

static void on_settings_file(struct net *n, const char *name)
{
    const char *settings = strrchr(n->paths.settings, '/') + 1, *before = strrchr(n->paths.before, '/') + 1;
    if (strcmp(name, settings) == 0) {
        read_settings(n, false);
        look_at_pending(n);
        net_apply_soon(n, 0);
    } else if (strcmp(name, before) == 0) {
        look_at_pending(n);
        net_publish_soon(n);
    }
}

static void on_file_event(void *arg, int fd, short events)
{
    struct net *n = arg;
    _Alignas(struct inotify_event) char bytes[4096];
    ssize_t len = read(fd, bytes, sizeof bytes);
    (void)events;
    for (ssize_t at = 0; len > 0 && at < len;) {
        const struct inotify_event *e = (const struct inotify_event *)(bytes + at);
        at += (ssize_t)(sizeof *e + e->len);
        if (e->mask & (IN_Q_OVERFLOW | IN_IGNORED)) {
            read_settings(n, false);
            net_apply_soon(n, 0);
        } else if (e->len && e->wd == n->settings_watch) {
            on_settings_file(n, e->name);
        } else if (e->len && e->wd == n->run_watch && strncmp(e->name, "lease-", 6) == 0) {
            net_publish_soon(n);
        }
    }
}

static void on_signal(void *arg, int sig)
{
    struct net *n = arg;
    switch (sig) {
    case SIGHUP:
        net_floor_update(n);
        read_settings(n, false);
        look_at_pending(n);
        net_apply_soon(n, 0);
        break;
    case SIGUSR1: net_child_signal(&n->dhcp, SIGHUP); break; /* dhcpcd asks for all its leases anew */
    case SIGTERM:
    case SIGINT: n->stopping = true; break;
    default: break;
    }
}

static void on_save_timer(void *arg)
{
    struct net *n = arg;
    net_clock_save(n);
    n->save_timer = loop_after(&n->loop, NET_CLOCK_SAVE_MS, on_save_timer, n);
}

/* ---- start and end ---- */

static struct err *watch_files(struct net *n)
{
    uint32_t what = IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE;
    n->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (n->inotify < 0)
        return err_errno(ERR_IO, "cannot follow files");
    n->settings_watch = inotify_add_watch(n->inotify, n->paths.settings_dir, what);
    if (n->settings_watch < 0)
        return err_errno(ERR_IO, "cannot follow %s", n->paths.settings_dir);
    n->run_watch = inotify_add_watch(n->inotify, n->paths.run_dir, what);
    return n->run_watch < 0 ? err_errno(ERR_IO, "cannot follow %s", n->paths.run_dir) : NULL;
}

static void write_pid(const struct net *n)
{
    char text[16], *path = xprintf("%s/network.pid", n->paths.run_dir);
    int len = snprintf(text, sizeof text, "%d\n", (int)getpid());
    err_free(net_file_replace(path, text, (size_t)len, false));
    free(path);
}

struct err *net_start(struct net *n, const struct net_paths *paths)
{
    memset(n, 0, sizeof *n);
    n->paths = *paths;
    n->kernel.fd = n->events.fd = n->inotify = n->time_socket = -1;
    n->floor_s = clock_floor(paths->image_json, paths->clock);
    n->ceiling_s = clock_ceiling(clock_build_time(paths->image_json));
    loop_init(&n->loop, on_signal, n);
    (void)mkdir(paths->run_dir, 0755);
    (void)mkdir(paths->settings_dir, 0700);
    (void)mkdir(paths->dhcpcd_dir, 0755);
    net_leases_remove(paths->run_dir, NULL); /* of a former process, whose dhcpcd is gone with it */
    TRY(netlink_open(&n->kernel, 0));
    TRY(netlink_open(&n->events, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                                     RTMGRP_IPV6_ROUTE));
    TRY(watch_files(n));
    if (!loop_add(&n->loop, n->events.fd, POLLIN, on_link_event, n) ||
        !loop_add(&n->loop, n->inotify, POLLIN, on_file_event, n))
        return err_new(ERR_INTERNAL, "no room in the loop");
    read_settings(n, true);
    look_at_pending(n);
    write_pid(n);
    on_save_timer(n);
    loop_cancel(&n->loop, n->apply_timer);
    apply(n);
    return NULL;
}

void net_stop(struct net *n)
{
    n->stopping = true;
    net_clock_save(n);
    net_children_end(n);
    netlink_close(&n->kernel);
    netlink_close(&n->events);
    if (n->inotify >= 0)
        close(n->inotify);
    if (n->time_socket >= 0)
        close(n->time_socket);
    buf_fini(&n->dhcp_conf);
    free(n->wrong);
    free(n->problems);
    loop_fini(&n->loop);
}

static int network_main(void)
{
    static struct net n;
    log_setup(LOG_INFO, LOG_FORMAT_TEXT, "network");
    struct err *e = clock_floor_apply(clock_floor(BOX_IMAGE_JSON, BOX_CLOCK),
                                      clock_ceiling(clock_build_time(BOX_IMAGE_JSON)));
    if (e)
        log_warn("network", "the clock is before its floor", "error=\"%s\"", e->message);
    err_free(e);
    e = net_start(&n, &net_paths_box);
    if (e) {
        log_error("network", "cannot start", "error=\"%s\"", e->message);
        err_free(e);
        return 1;
    }
    while (!n.stopping)
        loop_turn(&n.loop, 60000);
    net_stop(&n);
    return 0;
}

int net_applet(int argc, char **argv)
{
    extern char **environ;
    const char *name = argc > 0 && strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1
                       : argc > 0                        ? argv[0]
                                                         : "";
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "network") == 0)
        return network_main();
    if (strcmp(word, "time") == 0)
        return time_main(argc - 1, argv + 1);
    if (strcmp(name, "dhcp-hook") == 0 || strcmp(word, "dhcp-hook") == 0 || (argc == 1 && getenv("reason"))) {
        struct err *e = net_lease_hook(environ, BOX_RUN);
        if (e)
            err_print(stderr, e);
        int status = e ? 1 : 0;
        err_free(e);
        return status;
    }
    fputs("init: this is started by the kernel of a Penstock box\n", stderr);
    return 2;
}
