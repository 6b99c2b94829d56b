/* `health`: whether the box does what it is for. PID 1 asks every half minute, and confirms a slot on trial by the answers; so
 * each check has an end, and none depends on a source of the pipeline, which may be away for reasons of its own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"
#include "cli/instance.h"

#include "base/clock.h"
#include "base/text.h"
#include "box/program.h"
#include "config/config.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <psa/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DETAIL_BYTES   200
#define API_TIMEOUT_MS 8000     /* from the connection to the first byte of the answer */
#define BEAT_US        30000000 /* a pipeline that has not stirred for so long hangs */

struct check {
    const char *name;
    bool ok;
    char detail[DETAIL_BYTES];
};

static void PRINTF_LIKE(3, 4) say(struct check *c, bool ok, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    c->ok = ok;
    text_vfill(c->detail, sizeof c->detail, fmt, ap);
    va_end(ap);
}

static void check_init(struct check *c)
{
    yyjson_doc *boot = box_json(BOX_RUN_BOOT);
    yyjson_val *root = yyjson_doc_get_root(boot);
    if (!root)
        say(c, false, "PID 1 has not said how the start went");
    else if (yyjson_is_true(yyjson_obj_get(root, "rescue")))
        say(c, false, "the data partition cannot be used: `status` says why");
    else
        say(c, true, "%s", "");
    yyjson_doc_free(boot);
}

/* An address that others can reach it by. */
static bool is_reachable(const struct ifaddrs *a)
{
    if (!a->ifa_addr || a->ifa_flags & IFF_LOOPBACK || !(a->ifa_flags & IFF_UP))
        return false;
    if (a->ifa_addr->sa_family == AF_INET)
        return true;
    return a->ifa_addr->sa_family == AF_INET6 &&
           !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr);
}

static void check_network(struct check *c)
{
    struct ifaddrs *list;
    if (getifaddrs(&list)) {
        say(c, false, "addresses cannot be listed: %s", strerror(errno));
        return;
    }
    say(c, false, "no interface has an address");
    for (const struct ifaddrs *a = list; a && !c->ok; a = a->ifa_next)
        if (is_reachable(a))
            say(c, true, "%s", "");
    freeifaddrs(list);
}

/* Whether the store waits for the slot's confirmation before it is converted (cmd_pipeline.c). */
static bool waits_for_slot(void)
{
    uint32_t format = 0;
    char *mark = box_file(BOX_RUN_TRIAL), *store = box_file(BOX_STORE);
    err_free(store_format_read(store, &format));
    const bool waits =
        format && format < STORE_FORMAT && format >= STORE_FORMAT_OLDEST && access(mark, F_OK) == 0;
    free(mark);
    free(store);
    return waits;
}

static void look_at_pipeline(struct check *c, const struct instance *i)
{
    const unsigned state = i->gate ? atomic_load(&i->gate->pipeline_state) : PIPELINE_DOWN;
    if (!i->supervisor)
        say(c, false, "penstock does not run");
    else if (waits_for_slot())
        say(c, true, "the data are converted once this slot is confirmed");
    else if (!i->pipeline)
        say(c, false, "the pipeline does not run: `logs --unit penstock` says why");
    else if (state != PIPELINE_RUNNING && state != PIPELINE_REBUILDING && state != PIPELINE_PAUSED)
        say(c, false, "the pipeline is %s", pipeline_state_name(state));
    else if (unix_us() - atomic_load(&i->gate->heartbeat_us) > BEAT_US)
        say(c, false, "the pipeline has not stirred for %lld s",
            (long long)((unix_us() - atomic_load(&i->gate->heartbeat_us)) / 1000000));
    else
        say(c, true, "%s", state == PIPELINE_RUNNING ? "" : pipeline_state_name(state));
}

static void check_pipeline(struct check *c)
{
    struct instance i;
    char *store = box_file(BOX_STORE);
    struct err *e = instance_peek(store, &i);
    if (e) {
        say(c, false, "%s", e->message);
    } else {
        look_at_pipeline(c, &i);
        instance_close(&i);
    }
    err_free(e);
    free(store);
}

/* ---- the api, as a client sees it ---- */

struct link {
    int fd;
    int64_t end_us;
};

static bool wait_for(const struct link *l, short events)
{
    struct pollfd p = {l->fd, events, 0};
    const int64_t left = l->end_us - steady_us();
    return left > 0 && poll(&p, 1, (int)(left / 1000) + 1) > 0;
}

static int link_send(void *ctx, const unsigned char *p, size_t len)
{
    const struct link *l = ctx;
    ssize_t n = wait_for(l, POLLOUT) ? send(l->fd, p, len, MSG_NOSIGNAL) : -1;
    return n < 0 ? MBEDTLS_ERR_SSL_TIMEOUT : (int)n;
}

static int link_receive(void *ctx, unsigned char *p, size_t len)
{
    const struct link *l = ctx;
    ssize_t n = wait_for(l, POLLIN) ? recv(l->fd, p, len, 0) : -1;
    return n < 0 ? MBEDTLS_ERR_SSL_TIMEOUT : (int)n;
}

/* Any HTTP answer will do: 503 while the sources are read is one, and so is 401. The certificate is not looked at: it is this box. */
static bool ask(mbedtls_ssl_context *ssl)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    unsigned char answer[16] = "";
    size_t got = 0;
    int rc;
    while ((rc = mbedtls_ssl_handshake(ssl)) == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        continue;
    if (rc ||
        mbedtls_ssl_write(ssl, (const unsigned char *)request, sizeof request - 1) != (int)sizeof request - 1)
        return false;
    while (got < 8) {
        rc = mbedtls_ssl_read(ssl, answer + got, sizeof answer - 1 - got);
        if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET || rc == MBEDTLS_ERR_SSL_WANT_READ)
            continue;
        if (rc <= 0)
            return false;
        got += (size_t)rc;
    }
    return memcmp(answer, "HTTP/1.1", 8) == 0;
}

static bool ask_over(struct link *l)
{
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config_init(&conf);
    mbedtls_ssl_init(&ssl);
    bool ok = psa_crypto_init() == PSA_SUCCESS &&
              mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                          MBEDTLS_SSL_PRESET_DEFAULT) == 0;
    mbedtls_ssl_conf_authmode(&conf, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_rng(&conf, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    ok = ok && mbedtls_ssl_setup(&ssl, &conf) == 0 && mbedtls_ssl_set_hostname(&ssl, "localhost") == 0;
    if (ok) {
        mbedtls_ssl_set_bio(&ssl, l, link_send, link_receive, NULL);
        ok = ask(&ssl);
    }
    mbedtls_ssl_free(&ssl);
    mbedtls_ssl_config_free(&conf);
    return ok;
}

static bool reach(const char *host, int port, struct link *l)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1 || a.sin_addr.s_addr == INADDR_ANY)
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->end_us = steady_us() + API_TIMEOUT_MS * 1000;
    l->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return l->fd >= 0 && connect(l->fd, (struct sockaddr *)&a, sizeof a) == 0;
}

/* The configuration that runs may be the image's own, when the box's cannot start. */
static struct config *running_config(void)
{
    yyjson_doc *boot = box_json(BOX_RUN_BOOT);
    char *own = box_file(BOX_YAML), *default_one = box_file(BOX_DEFAULT_CONFIG "/penstock.yaml");
    struct config *c = NULL;
    const bool first_own = !yyjson_is_true(
        yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(boot), "configuration"), "default"));
    if (first_own)
        err_free(config_load(own, false, &c));
    if (!c)
        err_free(config_load(default_one, false, &c));
    yyjson_doc_free(boot);
    free(own);
    free(default_one);
    return c;
}

static void check_api(struct check *c)
{
    struct config *config = running_config();
    struct link l = {.fd = -1};
    const int port = config ? config->listen_port : 8443;
    const char *host = config ? config->listen_host : "127.0.0.1";
    if (!reach(host, port, &l))
        say(c, false, "port %d: %s", port, strerror(errno));
    else if (!ask_over(&l))
        say(c, false, "port %d does not answer over TLS", port);
    else
        say(c, true, "%s", "");
    if (l.fd >= 0)
        close(l.fd);
    config_free(config);
}

/* ---- together ---- */

static void print_json(const struct check *c, size_t count, bool ok)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_bool(d, root, "ok", ok);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "checks");
    for (size_t i = 0; i < count; i++) {
        yyjson_mut_val *v = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, v, "name", c[i].name);
        yyjson_mut_obj_add_bool(d, v, "ok", c[i].ok);
        yyjson_mut_obj_add_str(d, v, "detail", c[i].detail);
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    puts(text ? text : "{\"ok\":false}");
    free(text);
    yyjson_mut_doc_free(d);
}

int box_health(int argc, char **argv)
{
    struct check checks[] = {{.name = "init"}, {.name = "network"}, {.name = "pipeline"}, {.name = "api"}};
    static void (*const run[])(struct check *) = {check_init, check_network, check_pipeline, check_api};
    const bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
    bool ok = true;
    if (argc > 2 || (argc == 2 && !json)) {
        fputs("usage: health [--json]\n", stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < ARRAY_COUNT(checks); i++) {
        run[i](&checks[i]);
        ok &= checks[i].ok;
    }
    if (json)
        print_json(checks, ARRAY_COUNT(checks), ok);
    for (size_t i = 0; !json && i < ARRAY_COUNT(checks); i++)
        printf("%-9s %s%s%s\n", checks[i].name, checks[i].ok ? "ok" : "NOT OK", *checks[i].detail ? "  " : "",
               checks[i].detail);
    return ok ? EXIT_DONE : EXIT_FAILED;
}
