/* PID 1 of the appliance. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/init.h"

#include "init/net.h"

#include <unistd.h>

static struct init init;

static void on_signal(void *arg, int sig)
{
    struct init *i = arg;
    switch (sig) {
    case SIGTERM:
    case SIGINT:
        if (i->end == INIT_RUNS)
            i->end = INIT_REBOOT;
        break;
    case SIGUSR2:
        if (i->end == INIT_RUNS)
            i->end = INIT_POWEROFF;
        break;
    case SIGUSR1:
        if (i->end == INIT_RUNS)
            service_restart(&i->penstock);
        break;
    case SIGHUP: init_services_look(i); break;
    default: break;
    }
}

static bool is_ending(void *arg)
{
    return ((struct init *)arg)->end != INIT_RUNS;
}

int main(int argc, char **argv)
{
    if (getpid() != 1)
        return net_applet(argc, argv);
    struct init *i = &init;
    loop_init(&i->loop, on_signal, i);
    init_boot(i);
    init_provision_esp(i);
    init_prepare(i);
    init_services_start(i);
    init_upkeep_start(i);
    init_provision_sticks(i);
    while (!loop_until(&i->loop, is_ending, i, 60000))
        init_facts_write(i);
    init_shutdown(i);
    return 1;
}
