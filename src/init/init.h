/* PID 1's state, and the pieces that main.c puts together: boot, services, shutdown. Everything else in this folder takes what it
 * needs as parameters, so that it can be tested beside a running system.
 *
 * Signals: SIGTERM restarts the box, SIGUSR2 switches it off, SIGINT (ctrl-alt-del) restarts it, SIGHUP reads the settings and looks
 * at the configuration again, SIGUSR1 restarts penstock. Who sends them is root. */
#ifndef PENSTOCK_INIT_INIT_H
#define PENSTOCK_INIT_INIT_H

#include "box/settings.h"
#include "box/trial.h"
#include "init/control.h"
#include "init/task.h"
#include "init/mirror.h"
#include "init/modules.h"
#include "init/service.h"
#include "init/storage.h"
#include "init/watchdog.h"

#define INIT_DISK_WAIT_MS     30000 /* for the disk to appear */
#define INIT_SHUTDOWN_MS      30000 /* for penstock's last epoch */
#define INIT_HEALTH_FAST_MS   5000  /* on trial, and until it was good once */
#define INIT_HEALTH_MS        30000
#define INIT_PREPARE_FIRST_MS 15000 /* from then on the network has its addresses */
#define INIT_PREPARE_MS       60000
#define INIT_HEALTH_LIMIT_MS  20000
#define INIT_SCREEN_MS        15000 /* between two looks at what the console is to show */
#define INIT_STICKS_MAX       8     /* file systems of sticks that are looked at at a time */
#define INIT_SSH_STOP_MS      3000
#define INIT_NET_STOP_MS      10000 /* its children end before it */
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
    struct task health, cores, screen, prepare;
    bool healthy, settled; /* settled: the first check that was good has been */
    uint32_t checks;       /* of health, so far */
    struct buf shown;      /* on the serial console */
    uint32_t health_timer, screen_timer;
    char isolated[1024]; /* the shards' cores that are kept free; "" none */
    cpu_set_t every_core;
    struct trial trial; /* of the slot that runs */
    struct trial_room trial_room;
    struct trial_world trial_world;
    bool slots_known;
    pid_t stick; /* the child that looks at one */
    char sticks_seen[8][64];
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
/* upkeep.c: health, the console, cores */
void init_upkeep_start(struct init *i);
void init_cores_look(struct init *i);
void init_screen_look(struct init *i);
/* slot_trial.c: once, when /data is there; after each check of health */
void init_trial_begin(struct init *i);
void init_trial_look(struct init *i, bool healthy);
/* prepare.c */
void init_prepare(struct init *i); /* before services; waits */
/* provision.c */
void init_provision_esp(struct init *i); /* before services; waits */
void init_provision_sticks(struct init *i);
/* shutdown.c */
void init_shutdown(struct init *i);
/* facts.c: BOX_RUN_BOOT and services.json, written anew */
void init_facts_write(struct init *i);

#endif
