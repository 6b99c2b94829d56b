/* The network process: `/init network`, a child of PID 1 with a loop of its own, so that PID 1 neither waits for the kernel's answers nor
 * reads what comes from the wire.
 *
 * It makes the links what box.yaml says, follows the file and the links, has dhcpcd and the time process as children, and writes
 * BOX_RUN_NETWORK and /run/resolv.conf. A change made by `network set` is on probation: unless it is confirmed in time, or
 * when the box starts anew before, the settings from before come back (net_pending.h). Signals: SIGHUP reads box.yaml anew, SIGUSR1
 * asks the DHCP servers anew, SIGTERM ends it and its children. */
#ifndef PENSTOCK_INIT_NET_H
#define PENSTOCK_INIT_NET_H

#include "base/buf.h"
#include "init/loop.h"
#include "init/clock_floor.h"
#include "init/net_lease.h"
#include "init/net_link.h"
#include "init/time_client.h"

#define NET_SETTLE_MS      200   /* links that come one after the other are looked at once */
#define NET_AGAIN_MS       10000 /* what failed is tried again */
#define NET_CLOCK_SAVE_MS  3600000
#define NET_RESTART_MS     1000 /* dhcpcd or the time process, after an end that nobody asked for */
#define NET_RESTART_MAX_MS 60000

/* Where things lie; a test's are elsewhere. */
struct net_paths {
    const char *settings, *before; /* box.yaml; the one to go back to */
    const char *settings_dir;
    const char *run_dir;                                /* network.json, leases, deadline, pid */
    const char *resolv_conf, *dhcpcd_conf, *dhcpcd_dir; /* dhcpcd_dir: dhcpcd's own, compiled into it */
    const char *image_json, *clock;
    const char *sysctl;
    const char *dhcpcd, *self; /* programs */
};
extern const struct net_paths net_paths_box;

/* A child that is kept running: dhcpcd, the time process. */
struct net_child {
    pid_t pid; /* 0: does not run */
    bool wanted, ending;
    uint32_t timer; /* of the next start */
    int64_t delay_ms;
    int64_t started_ms;
    uint32_t starts;
};
struct net {
    struct net_paths paths;
    struct loop loop;
    struct netlink kernel, events;
    int inotify, settings_watch, run_watch;
    bool stopping;

    struct settings settings;
    bool from_file;
    char *wrong;    /* owned: why the file is not used; NULL */
    char *problems; /* owned: what of the settings could not be done; NULL */
    bool rolled_back;
    int64_t confirm_by_ms; /* CLOCK_BOOTTIME; 0: nothing is on probation */
    uint32_t apply_timer, publish_timer, confirm_timer, save_timer;

    struct net_view view;
    struct net_plan plan;
    uint32_t lease_count;
    struct net_lease leases[NET_LEASES_MAX];

    struct net_child dhcp, time;
    struct buf dhcp_conf; /* what dhcpcd runs with */
    uint32_t server_count;
    char servers[SETTINGS_SERVERS_MAX][SETTINGS_HOST_BYTES];
    int time_socket; /* -1: none */
    struct time_report time_report;
    int64_t floor_s, ceiling_s;
};
/* Opens what it needs and applies the settings; then loop_turn. */
NODISCARD struct err *net_start(struct net *n, const struct net_paths *paths);
void net_stop(struct net *n); /* ends the children and waits for them, a few seconds at most */

/* Inside. */
void net_publish(struct net *n); /* net_state.c: resolv.conf, time servers, network.json */
void net_state_json(const struct net *n, struct buf *out);
bool net_is_ok(const struct net *n, char *detail, size_t size);
void net_children_update(
    struct net *n); /* net_children.c: dhcpcd and time as the plan and the servers want them */
void net_child_signal(const struct net_child *c, int sig);
void net_children_end(struct net *n);
void net_clock_save(const struct net *n); /* if the time is known */
void net_floor_update(struct net *n);     /* the latest time known was forgotten */
void net_apply_soon(struct net *n, int64_t ms);
void net_publish_soon(struct net *n);

/* `/init network`, `/init time ...`, and dhcpcd's hook (`/init dhcp-hook`, or without words and with $reason): what main() does when it is
 * not PID 1. */
int net_applet(int argc, char **argv);

#endif
