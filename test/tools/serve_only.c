/* The serve process alone, on a store that fill_store made: for tests and benchmarks before or beside the real binary.
 *
 *   serve_only DIR [--port N] [--loops N] [--cpu N] [--cert F --key F] [--no-access] [--ingest] [--limit NAME=N]...
 *
 * Prints "listening PORT" once it does. */
#include "base/log.h"
#include "serve/serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int stop;
static atomic_int port;

static void on_signal(int sig)
{
    (void)sig;
    stop = 1;
}

static void *tell(void *arg)
{
    (void)arg;
    while (!port)
        usleep(2000);
    printf("listening %d\n", port);
    fflush(stdout);
    return NULL;
}

static const struct {
    const char *name;
    size_t offset;
} limit_names[] = {
    {"scan_rows", offsetof(struct serve_limits, scan_rows)},
    {"page_rows", offsetof(struct serve_limits, page_rows)},
    {"answer_bytes", offsetof(struct serve_limits, answer_bytes)},
    {"connections", offsetof(struct serve_limits, connections)},
    {"header_bytes", offsetof(struct serve_limits, header_bytes)},
    {"body_bytes", offsetof(struct serve_limits, body_bytes)},
    {"idle_timeout_us", offsetof(struct serve_limits, idle_timeout_us)},
    {"body_timeout_us", offsetof(struct serve_limits, body_timeout_us)},
    {"header_timeout_us", offsetof(struct serve_limits, header_timeout_us)},
    {"write_timeout_us", offsetof(struct serve_limits, write_timeout_us)},
    {"wait_us", offsetof(struct serve_limits, wait_us)},
    {"heartbeat_us", offsetof(struct serve_limits, heartbeat_us)},
    {"live_queue_bytes", offsetof(struct serve_limits, live_queue_bytes)},
    {"h2_streams", offsetof(struct serve_limits, h2_streams)},
    {"h2_resets", offsetof(struct serve_limits, h2_resets)},
    {"h2_control_frames", offsetof(struct serve_limits, h2_control_frames)},
    {"h2_pending_bytes", offsetof(struct serve_limits, h2_pending_bytes)},
    {"live_changes", offsetof(struct serve_limits, live_changes)},
    {"live_window", offsetof(struct serve_limits, live_window)},
    {"live_step_us", offsetof(struct serve_limits, live_step_us)},
    {"live_window_bytes", offsetof(struct serve_limits, live_window_bytes)},
    {"subscribers", offsetof(struct serve_limits, subscribers)},
    {"compress_bytes", offsetof(struct serve_limits, compress_bytes)},
    {"compress_max_bytes", offsetof(struct serve_limits, compress_max_bytes)},
};

static void set_limit(struct serve_limits *l, const char *text)
{
    const char *eq = strchr(text, '=');
    for (size_t i = 0; eq && i < ARRAY_COUNT(limit_names); i++)
        if (strlen(limit_names[i].name) == (size_t)(eq - text) &&
            strncmp(limit_names[i].name, text, (size_t)(eq - text)) == 0) {
            *(int64_t *)((char *)l + limit_names[i].offset) = strtoll(eq + 1, NULL, 10);
            return;
        }
    fprintf(stderr, "serve_only: no such limit: %s\n", text);
    exit(2);
}

int main(int argc, char **argv)
{
    struct serve_options o = {
        .host = "127.0.0.1", .anonymous_read = true, .stop = &stop, .bound_port = &port};
    static uint32_t cpu;
    pthread_t t;
    serve_limits_default(&o.limits);
    o.cors = (struct cors){1, {"*"}}; /* as when nothing is configured */
    o.data_dir = argc > 1 ? argv[1] : "./data";
    o.confined = true; /* as in the program */
    for (int i = 2; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--no-access") == 0) {
            o.anonymous_read = false;
            continue;
        }
        if (strcmp(argv[i], "--ingest") == 0) {
            o.ingest = SERVE_INGEST_ALL;
            continue;
        }
        i++;
        if (strcmp(argv[i - 1], "--port") == 0)
            o.port = atoi(next);
        else if (strcmp(argv[i - 1], "--grpc-port") == 0)
            o.grpc_host = "127.0.0.1", o.grpc_port = atoi(next);
        else if (strcmp(argv[i - 1], "--loops") == 0)
            o.loop_count = (uint32_t)atoi(next);
        else if (strcmp(argv[i - 1], "--cpu") == 0)
            cpu = (uint32_t)atoi(next), o.cpus = &cpu, o.cpu_count = 1;
        else if (strcmp(argv[i - 1], "--cert") == 0)
            o.certificate = next;
        else if (strcmp(argv[i - 1], "--key") == 0)
            o.key = next;
        else if (strcmp(argv[i - 1], "--limit") == 0)
            set_limit(&o.limits, next);
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_INFO, LOG_FORMAT_TEXT, "serve");
    pthread_create(&t, NULL, tell, NULL);
    struct err *e = serve_run(&o);
    if (e) {
        err_print(stderr, e);
        return 1;
    }
    pthread_join(t, NULL);
    return 0;
}
