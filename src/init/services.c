/* What runs on a box, and with which words; see init.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "base/clock.h"
#include "base/text.h"
#include "box/ssh.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CONFIG_DEFAULT BOX_DEFAULT_CONFIG "/penstock.yaml"
#define FILES_MAX      1048576 /* descriptors that penstock may have open */

/* ---- penstock ---- */

static bool has_config(void)
{
    struct stat st;
    return stat(BOX_YAML, &st) == 0 && S_ISREG(st.st_mode);
}

static bool penstock_prepare(struct service *s, struct child *c)
{
    struct init *i = s->arg;
    static const char *argv[] = {"/bin/penstock", "run", "-c", NULL, "--data", BOX_STORE, NULL};
    i->default_config = i->config_refused || !has_config();
    argv[3] = i->default_config ? CONFIG_DEFAULT : BOX_YAML;
    *c = (struct child){
        .argv = argv, .as = BOX_PENSTOCK, .no_new_privs = true, .in = -1, .out = c->out, .err = c->err};
    /* It places its threads by itself: PID 1 may be held on some cores. */
    c->cpus = &i->every_core;
    init_facts_write(i);
    return true;
}

static void config_again(void *arg)
{
    struct init *i = arg;
    i->config_timer = 0;
    i->config_refused = false;
    service_restart(&i->penstock);
}

/* Status 2: the configuration is wrong. The box must be reached all the same, so the image's own takes its place. */
static void penstock_ended(struct service *s, int status, int64_t ran_ms)
{
    struct init *i = s->arg;
    (void)ran_ms;
    if (!i->default_config && WIFEXITED(status) && WEXITSTATUS(status) == 2) {
        log_hub_say(&i->log, "penstock cannot start with %s; the image's own configuration takes its place",
                    BOX_YAML);
        i->config_refused = true;
        loop_cancel(&i->loop, i->config_timer);
        i->config_timer = loop_after(&i->loop, INIT_PENSTOCK_BACK_MS, config_again, i);
    }
    init_facts_write(i);
}

/* ---- network and time ---- */

static bool network_prepare(struct service *s, struct child *c)
{
    static const char *const argv[] = {"/init", "network", NULL};
    c->argv = argv;
    init_facts_write(s->arg);
    return true;
}

/* ---- SSH ---- */

/* Who may log in; a set that cannot be taken over leaves the former one. */
static void publish_keys(struct init *i)
{
    struct err *e = ssh_publish_keys(NULL, NULL);
    if (e)
        log_hub_say(&i->log, "keys of SSH: %s", e->message);
    err_free(e);
}

/* Whether there is one that dropbear can read; one that it cannot is put aside, so that a new one is made and the box is reached. */
static bool host_key_there(struct init *i)
{
    char text[SSH_FINGERPRINT_BYTES];
    struct err *e = ssh_fingerprint(NULL, text);
    if (!e)
        return true;
    if (e->code == ERR_CORRUPT) {
        log_hub_say(&i->log, "%s: a new one is made", e->message);
        rename(BOX_HOST_KEY, BOX_HOST_KEY ".damaged");
    }
    err_free(e);
    return false;
}

static bool ssh_prepare(struct service *s, struct child *c)
{
    static struct ssh_argv words;
    struct init *i = s->arg;
    /* The first time the key is made: a start that ends with it, and the next one is the server's. */
    if (host_key_there(i))
        ssh_server_argv(&words, NULL, i->settings.root_shell);
    else
        ssh_host_key_argv(&words, NULL, NULL);
    publish_keys(i);
    c->argv = words.argv;
    init_facts_write(i);
    return true;
}

static void service_ended(struct service *s, int status, int64_t ran_ms)
{
    (void)status;
    (void)ran_ms;
    init_facts_write(s->arg);
}

/* ---- together ---- */

static void open_control(struct init *i)
{
    i->shell = (struct control){.loop = &i->loop,
                                .log = &i->log,
                                .program = "/bin/penstock",
                                .peer = BOX_ADMIN_USER,
                                .socket = -1,
                                .running = &i->requests};
    i->console = i->shell;
    i->console.peer = BOX_PENSTOCK;
    i->console.console = true;
    control_open(&i->shell, BOX_CONTROL_SHELL);
    control_open(&i->console, BOX_CONTROL_CONSOLE);
}

void init_services_start(struct init *i)
{
    struct rlimit files = {FILES_MAX, FILES_MAX};
    setrlimit(RLIMIT_NOFILE, &files);
    i->network = (struct service){.name = "network",
                                  .loop = &i->loop,
                                  .log = &i->log,
                                  .prepare = network_prepare,
                                  .ended = service_ended,
                                  .arg = i,
                                  .stop_ms = INIT_NET_STOP_MS,
                                  .last_status = -1};
    i->penstock = (struct service){.name = "penstock",
                                   .loop = &i->loop,
                                   .log = &i->log,
                                   .prepare = penstock_prepare,
                                   .ended = penstock_ended,
                                   .arg = i,
                                   .stop_ms = INIT_SHUTDOWN_MS,
                                   .last_status = -1};
    i->ssh = (struct service){.name = "dropbear",
                              .loop = &i->loop,
                              .log = &i->log,
                              .prepare = ssh_prepare,
                              .ended = service_ended,
                              .arg = i,
                              .stop_ms = INIT_SSH_STOP_MS,
                              .last_status = -1};
    open_control(i);
    service_start(&i->network);
    service_start(&i->penstock);
    service_start(&i->ssh);
    i->times.services_ms = steady_us() / 1000;
}

void init_services_look(struct init *i)
{
    if (i->end != INIT_RUNS)
        return;
    publish_keys(i);
    /* A configuration where there was none, or another one than that which could not start. */
    if (i->default_config && has_config() && i->penstock.state != SERVICE_OFF) {
        loop_cancel(&i->loop, i->config_timer);
        config_again(i);
    }
    init_cores_look(i);
    init_screen_look(i);
}
