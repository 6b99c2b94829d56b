/* The serve process of `penstock run`: knows the data directory and its own settings, nothing of the sources. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/crash.h"
#include "cli/cli.h"

#include "flow/topology.h"
#include "serve/serve.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

static atomic_int stop;

static void on_signal(int sig)
{
    (void)sig;
    atomic_store(&stop, 1);
}

struct setting {
    const char *name;
    int64_t *value;
};

static bool set_number(const struct setting *settings, size_t count, const char *option)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(settings[i].name);
        if (strncmp(option, settings[i].name, len) == 0 && option[len] == '=') {
            *settings[i].value = strtoll(option + len + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

static const char *text_of(const char *option, const char *name)
{
    size_t len = strlen(name);
    return strncmp(option, name, len) == 0 && option[len] == '=' ? option + len + 1 : NULL;
}

static uint32_t parse_cpus(const char *list, uint32_t *out)
{
    uint32_t n = 0;
    for (char *end; *list && n < 256; list = *end == ',' ? end + 1 : end)
        out[n++] = (uint32_t)strtoul(list, &end, 10);
    return n;
}

/* The supervisor passes NAME=VALUE pairs; both sides are this program, so an unknown one is a broken invariant. */
static void apply(struct serve_options *o, uint32_t *cpus, const char *option)
{
    int64_t grpc_port = o->grpc_port, grpc_optional = o->grpc_optional;
    int64_t port = o->port, anonymous = o->anonymous_read, errors = o->errors_read, why = o->why_read,
            loops = o->loop_count, stamp = 0, client_auth = o->client_auth, ingest = o->ingest;
    const struct setting settings[] = {
        {"port", &port},
        {"grpc_port", &grpc_port},
        {"grpc_optional", &grpc_optional},
        {"anonymous", &anonymous},
        {"errors", &errors},
        {"why", &why},
        {"ingest", &ingest},
        {"certificate_stamp", &stamp}, /* another one: another command line, and so a restart */
        {"client_auth", &client_auth},
        {"loops", &loops},
        {"scan_rows", &o->limits.scan_rows},
        {"page_rows", &o->limits.page_rows},
        {"connections", &o->limits.connections},
        {"address_connections", &o->limits.address_connections},
        {"address_requests", &o->limits.address_requests},
        {"caller_requests", &o->limits.caller_requests},
        {"caller_subscribers", &o->limits.caller_subscribers},
        {"auth_failures", &o->limits.auth_failures},
        {"header_bytes", &o->limits.header_bytes},
        {"body_bytes", &o->limits.body_bytes},
        {"idle_timeout_us", &o->limits.idle_timeout_us},
        {"body_timeout_us", &o->limits.body_timeout_us},
        {"header_timeout_us", &o->limits.header_timeout_us},
        {"target_bytes", &o->limits.target_bytes},
        {"write_timeout_us", &o->limits.write_timeout_us},
        {"answer_bytes", &o->limits.answer_bytes},
        {"compress_bytes", &o->limits.compress_bytes},
        {"compress_max_bytes", &o->limits.compress_max_bytes},
        {"pending_bytes", &o->limits.pending_bytes},
        {"wait_us", &o->limits.wait_us},
        {"heartbeat_us", &o->limits.heartbeat_us},
        {"live_changes", &o->limits.live_changes},
        {"live_window", &o->limits.live_window},
        {"live_step_us", &o->limits.live_step_us},
        {"live_window_bytes", &o->limits.live_window_bytes},
        {"live_queue_bytes", &o->limits.live_queue_bytes},
        {"subscribers", &o->limits.subscribers},
        {"h2_streams", &o->limits.h2_streams},
        {"h2_resets", &o->limits.h2_resets},
        {"h2_control_frames", &o->limits.h2_control_frames},
        {"h2_pending_bytes", &o->limits.h2_pending_bytes},
        {"stuck_us", &o->limits.stuck_us},
        {"why_rows", &o->limits.why_rows},
        {"why_time_us", &o->limits.why_time_us},
        {"metrics_operators", &o->limits.metrics_operators},
    };
    const char *text;
    if ((text = text_of(option, "host")))
        o->host = text;
    else if ((text = text_of(option, "grpc_host")))
        o->grpc_host = text;
    else if ((text = text_of(option, "certificate")))
        o->certificate = text;
    else if ((text = text_of(option, "client_ca")))
        o->client_ca = text;
    else if ((text = text_of(option, "control")))
        o->control_path = text;
    else if ((text = text_of(option, "key")))
        o->key = text;
    else if ((text = text_of(option, "origin"))) {
        ASSERT(o->cors.count < CORS_ORIGINS_MAX);
        o->cors.origins[o->cors.count++] = text;
    } else if ((text = text_of(option, "cpus"))) {
        o->cpu_count = parse_cpus(text, cpus);
        o->cpus = cpus;
    } else if ((text = text_of(option, "other_cpus"))) {
        uint32_t others[256];
        (void)topology_stay_on(
            others, parse_cpus(text, others)); /* all threads but the loops, which pin themselves */
    } else if (!set_number(settings, ARRAY_COUNT(settings), option))
        PANIC("unknown setting %s", option);
    o->client_auth = (int)client_auth;
    o->port = (int)port;
    o->grpc_port = (int)grpc_port;
    o->grpc_optional = grpc_optional != 0;
    o->anonymous_read = anonymous != 0;
    o->errors_read = errors != 0;
    o->why_read = why != 0;
    o->ingest = (enum serve_ingest)ingest;
    o->loop_count = (uint32_t)loops;
}

int cmd_serve(const struct cli_args *a)
{
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a log that is at a limit on files loses a line, not the server */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    crash_no_dumps(); /* it holds the certificate's key */
    cli_crash_reports("serve", a->data, NULL);
    uint32_t cpus[256];
    struct serve_options o = {.data_dir = a->data, .stop = &stop, .confined = true};
    serve_limits_default(&o.limits);
    for (uint32_t i = 0; i < a->option_count; i++)
        apply(&o, cpus, a->options[i]);
    return cli_report(serve_run(&o));
}
