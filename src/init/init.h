/* PID 1's state, and the pieces that main.c puts together: boot, services, shutdown. Everything else in this folder takes what it
 * needs as parameters, so that it can be tested beside a running system.
 *
 * Signals: SIGTERM restarts the box, SIGUSR2 switches it off, SIGINT (ctrl-alt-del) restarts it, SIGHUP reads the settings and looks
 * at the configuration again, SIGUSR1 restarts penstock. Who sends them is root. */
#ifndef PENSTOCK_INIT_INIT_H
#define PENSTOCK_INIT_INIT_H

#include "box/settings.h"
#include "init/control.h"
#include "init/mirror.h"
#include "init/modules.h"
#include "init/service.h"
#include "init/storage.h"
#include "init/watchdog.h"

#define INIT_DISK_WAIT_MS 30000 /* for the disk to appear */
#define INIT_SHUTDOWN_MS  30000 /* for penstock's last epoch */
#define INIT_SSH_STOP_MS  3000
#define INIT_NET_STOP_MS  10000 /* its children end before it */
#define INIT_PENSTOCK_BACK_MS \
    (10 * 60 * 1000) /* a configuration that could not start is tried again after that, and after a change */

enum init_end { INIT_RUNS, INIT_REBOOT, INIT_POWEROFF };

struct init {
    struct loop loop;
    struct log_hub log;
    struct watchdog watchdog;
    struct modules *modules; /* NULL: the image has none */
    struct storage storage;
    struct mirror mirror;
    struct settings settings;
    struct service network, penstock, ssh; /* network: net.h */
    struct control shell, console;
    uint32_t requests; /* running, of both sockets */
    int console_fd, uevents;
    enum init_end end;
    bool default_config; /* penstock runs with the image's own configuration ... */
    bool config_refused; /* ... as it could not start with the one on /data */
    uint32_t config_timer;
    struct {
        int64_t started_ms, modules_ms, disk_ms, data_ms, services_ms; /* since the kernel's start */
    } times;
};

/* boot.c */
void init_boot(struct init *i);
/* services.c */
void init_services_start(struct init *i);
void init_services_look(struct init *i); /* settings or configuration have changed */
/* shutdown.c */
void init_shutdown(struct init *i);
/* facts.c: BOX_RUN_BOOT and services.json, written anew */
void init_facts_write(struct init *i);

#endif
