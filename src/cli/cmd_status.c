/* `penstock status`: what an instance is doing, from its gate and catalog. It needs no help of the instance, so that it
 * answers even when a process of it hangs; one that is down is said, with exit status 1. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/cli.h"
#include "cli/instance.h"
#include "cli/status_print.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_MS 100 /* over which the busy share is taken when it is printed once */

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig)
{
    (void)sig;
    stop_requested = 1;
}

static void wait_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static int print_down(const struct instance *i, bool json)
{
    if (json)
        status_print_json(i, false, stdout);
    fprintf(stderr, "penstock: no instance is running on %s", i->dir);
    if (i->has_store)
        fprintf(stderr, " (its last durable epoch is %llu)", (unsigned long long)i->durable_epoch);
    else
        fputs(" (it holds no store)", stderr);
    fputs("\n  hint: penstock run starts one\n", stderr);
    return EXIT_FAILED;
}

static int print_once(struct instance *i, bool json)
{
    struct busy_sample sample;
    if (!instance_lives(i))
        return print_down(i, json);
    if (json) {
        status_print_json(i, false, stdout);
        return EXIT_DONE;
    }
    busy_sample_take(i, &sample);
    wait_ms(SAMPLE_MS);
    status_print_text(i, &sample, stdout);
    return EXIT_DONE;
}

/* One look of --watch: the whole table on a terminal, one line elsewhere. */
static void print_look(struct instance *i, bool json, struct busy_sample *sample)
{
    if (json) {
        status_print_json(i, true, stdout);
    } else if (!isatty(STDOUT_FILENO)) {
        status_print_line(i, stdout);
    } else {
        fputs("\033[H\033[J", stdout);
        if (instance_lives(i))
            status_print_text(i, sample, stdout);
        else
            printf("no instance is running on %s\n", i->dir);
    }
    fflush(stdout);
    busy_sample_take(i, sample);
}

static struct err *watch(const char *dir, bool json)
{
    struct busy_sample sample = {0};
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    while (!stop_requested && !ferror(stdout)) {
        struct instance i;
        TRY(instance_open(dir, &i)); /* anew each time: gate and catalog are replaced by rename */
        print_look(&i, json, &sample);
        instance_close(&i);
        wait_ms(1000);
    }
    return NULL;
}

int cmd_status(const struct cli_args *a)
{
    struct instance i;
    char *dir = NULL;
    int status = EXIT_DONE;
    struct err *e = instance_dir(a, &dir);
    if (!e && a->watch)
        e = watch(dir, a->json);
    else if (!e && !(e = instance_open(dir, &i))) {
        status = print_once(&i, a->json);
        instance_close(&i);
    }
    free(dir);
    return e ? cli_report(e) : status;
}
