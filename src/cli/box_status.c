/* `status`: the box (what PID 1 knows and wrote to BOX_RUN, the slots, the configuration) and the pipeline in one answer. It asks nobody
 * who could hang without a bound, so that a box in trouble can be looked at. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_commands.h"
#include "cli/box_input.h"

#include "base/file.h"
#include "base/text.h"
#include "box/config_store.h"
#include "box/program.h"
#include "box/ssh.h"
#include "config/config.h"
#include "store/small_file.h"
#include "types/digest.h"

#include <mbedtls/base64.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PEM_BYTES_MAX     65536
#define STATUS_TIMEOUT_MS 10000
#define WATCH_MS          2000

/* ---- values of others ---- */

/* A copy of v, or null. */
static void put_copy(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, yyjson_val *v)
{
    yyjson_mut_obj_add_val(doc, to, key, v ? yyjson_val_mut_copy(doc, v) : yyjson_mut_null(doc));
}

static bool exists(const char *path)
{
    char *file = box_file(path);
    bool there = access(file, F_OK) == 0;
    free(file);
    return there;
}

static void put_image(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    yyjson_doc *image = box_json(BOX_IMAGE_JSON);
    yyjson_val *root = yyjson_doc_get_root(image);
    put_copy(doc, box, "board", yyjson_obj_get(root, "board"));
    yyjson_mut_val *to = yyjson_mut_obj_add_obj(doc, box, "image");
    put_copy(doc, to, "version", yyjson_obj_get(root, "version"));
    put_copy(doc, to, "build", yyjson_obj_get(root, "build"));
    yyjson_doc_free(image);
}

static void put_slot(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    yyjson_doc *slot = box_ask_json("slot");
    yyjson_val *root = yyjson_doc_get_root(slot), *running = yyjson_obj_get(root, "running");
    yyjson_val *slots = yyjson_obj_get(root, "slots");
    const char *name = yyjson_get_str(running);
    yyjson_mut_val *to = yyjson_mut_obj_add_obj(doc, box, "slot");
    put_copy(doc, to, "running", running);
    put_copy(doc, to, "state", yyjson_obj_get(root, "state"));
    put_copy(doc, to, "other", name ? yyjson_obj_get(slots, strcmp(name, "a") == 0 ? "b" : "a") : NULL);
    put_copy(doc, to, "trial", yyjson_obj_get(root, "trial"));
    put_copy(doc, to, "last", yyjson_obj_get(root, "last"));
    yyjson_doc_free(slot);
}

static void put_health(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    yyjson_doc *health = box_json(BOX_RUN_HEALTH);
    yyjson_val *root = yyjson_doc_get_root(health);
    yyjson_mut_val *to = yyjson_mut_obj_add_obj(doc, box, "health");
    yyjson_mut_obj_add_bool(doc, to, "ok", yyjson_is_true(yyjson_obj_get(root, "ok")));
    yyjson_val *checks = yyjson_obj_get(root, "checks");
    if (yyjson_is_arr(checks))
        put_copy(doc, to, "checks", checks);
    else
        yyjson_mut_obj_add_arr(doc, to, "checks");
    yyjson_doc_free(health);
}

/* A list at the top, or those of each interface. Without the length of a prefix. */
static void add_addresses(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *v;
    yyjson_arr_foreach(list, i, n, v)
    {
        const char *text = yyjson_get_str(yyjson_is_obj(v) ? yyjson_obj_get(v, "address") : v);
        if (text)
            yyjson_mut_arr_add_strncpy(doc, to, text, strcspn(text, "/"));
    }
}

static void add_interfaces(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *interfaces)
{
    size_t i, n;
    yyjson_val *key, *v;
    if (yyjson_is_arr(interfaces)) {
        yyjson_arr_foreach(interfaces, i, n, v) add_addresses(doc, to, yyjson_obj_get(v, "addresses"));
    } else {
        yyjson_obj_foreach(interfaces, i, n, key, v) add_addresses(doc, to, yyjson_obj_get(v, "addresses"));
    }
}

static void put_network(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    yyjson_doc *network = box_json(BOX_RUN_NETWORK);
    yyjson_val *root = yyjson_doc_get_root(network), *clock = yyjson_obj_get(root, "time");
    yyjson_val *list = yyjson_obj_get(root, "addresses");
    if (!clock)
        clock = yyjson_obj_get(root, "clock");
    yyjson_mut_val *when = yyjson_mut_obj_add_obj(doc, box, "time");
    yyjson_mut_obj_add_bool(doc, when, "synced", yyjson_is_true(yyjson_obj_get(clock, "synced")));
    yyjson_mut_val *to = yyjson_mut_obj_add_arr(doc, box, "addresses");
    if (yyjson_is_arr(list))
        add_addresses(doc, to, list);
    else
        add_interfaces(doc, to, yyjson_obj_get(root, "interfaces"));
    yyjson_doc_free(network);
}

/* ---- what is found here ---- */

static double uptime_s(void)
{
    char text[64];
    return file_text("/proc/uptime", text, sizeof text) ? strtod(text, NULL) : 0;
}

/* The SHA-256 of the first certificate of a PEM file, as OpenSSL and browsers show it but in base64. */
static bool tls_fingerprint(const char *path, char out[64])
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
    char *text = NULL;
    size_t len = 0, n = 0;
    unsigned char der[PEM_BYTES_MAX], encoded[64];
    uint8_t sum[32];
    err_free(small_file_read(path, PEM_BYTES_MAX, &text, &len));
    char *from = text ? strstr(text, begin) : NULL, *to = from ? strstr(from, end) : NULL;
    bool ok = to && mbedtls_base64_decode(der, sizeof der, &n, (unsigned char *)from + sizeof begin - 1,
                                          (size_t)(to - from) - (sizeof begin - 1)) == 0;
    free(text);
    if (!ok)
        return false;
    digest_sha2(der, n, 256, sum);
    ok = mbedtls_base64_encode(encoded, sizeof encoded, &n, sum, sizeof sum) == 0;
    snprintf(out, 64, "SHA256:%.*s", (int)strcspn((char *)encoded, "="), (char *)encoded);
    return ok;
}

/* The certificate that the configuration names, else the one that the server has made for itself. */
static void put_tls_fingerprint(yyjson_mut_doc *doc, yyjson_mut_val *to)
{
    struct config *c = NULL;
    char *yaml = box_file(BOX_YAML), *own = box_file(BOX_STORE "/tls/cert.pem"), text[64];
    err_free(config_load(yaml, false, &c));
    if (tls_fingerprint(c && c->certificate ? c->certificate : own, text))
        yyjson_mut_obj_add_strcpy(doc, to, "tls", text);
    else
        yyjson_mut_obj_add_null(doc, to, "tls");
    config_free(c);
    free(yaml);
    free(own);
}

static void put_fingerprints(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    char text[SSH_FINGERPRINT_BYTES], *key = box_file(BOX_HOST_KEY);
    yyjson_mut_val *to = yyjson_mut_obj_add_obj(doc, box, "fingerprint");
    struct err *e = ssh_fingerprint(key, text);
    if (e)
        yyjson_mut_obj_add_null(doc, to, "ssh");
    else
        yyjson_mut_obj_add_strcpy(doc, to, "ssh", text);
    err_free(e);
    free(key);
    put_tls_fingerprint(doc, to);
}

static void put_configuration(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    struct config_meta current, previous;
    char *dir = box_file(BOX_CONFIG_STORE);
    if (!config_store_meta(dir, "current", &current)) {
        yyjson_mut_obj_add_null(doc, box, "configuration");
    } else {
        yyjson_mut_val *to = yyjson_mut_obj_add_obj(doc, box, "configuration");
        yyjson_mut_obj_add_strcpy(doc, to, "sha256", current.sha256);
        yyjson_mut_obj_add_strcpy(doc, to, "applied_at", current.at);
        yyjson_mut_obj_add_bool(doc, to, "previous", config_store_meta(dir, "previous", &previous));
    }
    free(dir);
}

static void put_box(yyjson_mut_doc *doc, yyjson_mut_val *box)
{
    struct utsname u;
    yyjson_doc *boot = box_json(BOX_RUN_BOOT);
    yyjson_mut_obj_add_strcpy(doc, box, "hostname", uname(&u) == 0 ? u.nodename : "");
    put_image(doc, box);
    put_slot(doc, box);
    yyjson_mut_obj_add_uint(doc, box, "uptime_s", (uint64_t)uptime_s());
    yyjson_mut_obj_add_bool(doc, box, "claimed",
                            !exists(BOX_CLAIM) && (exists(BOX_ADMIN) || exists(BOX_SSH_KEYS)));
    yyjson_mut_obj_add_bool(doc, box, "rescue",
                            yyjson_is_true(yyjson_obj_get(yyjson_doc_get_root(boot), "rescue")));
    put_health(doc, box);
    put_network(doc, box);
    put_fingerprints(doc, box);
    put_configuration(doc, box);
    yyjson_doc_free(boot);
}

/* `penstock status`, as the pipeline's user. */
static bool pipeline_status(bool json, struct buf *out)
{
    char *store = box_file(BOX_STORE);
    const char *argv[] = {"penstock", "status", "--data", store, json ? "--json" : NULL, NULL};
    struct buf dropped = {0};
    struct program p = {.argv = argv,
                        .as = BOX_PENSTOCK,
                        .out = out,
                        .err = &dropped,
                        .most = 8u << 20,
                        .timeout_ms = STATUS_TIMEOUT_MS};
    int status;
    struct err *e = program_run(&p, &status);
    bool ok = !e && status == EXIT_DONE;
    err_free(e);
    buf_fini(&dropped);
    free(store);
    return ok;
}

char *box_status_json(void)
{
    struct buf out = {0};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    put_box(doc, yyjson_mut_obj_add_obj(doc, root, "box"));
    pipeline_status(true, &out); /* of one that is down, too */
    yyjson_doc *status = out.len ? yyjson_read((const char *)out.p, out.len, 0) : NULL;
    put_copy(doc, root, "penstock", yyjson_doc_get_root(status));
    char *text = yyjson_mut_write(doc, 0, NULL);
    yyjson_doc_free(status);
    yyjson_mut_doc_free(doc);
    buf_fini(&out);
    return text;
}

/* ---- for people ---- */

static const char *text_of(yyjson_val *v, const char *key)
{
    const char *text = yyjson_get_str(yyjson_obj_get(v, key));
    return text ? text : "-";
}

static void print_row(const char *name, const char *text)
{
    printf("%-14s ", name);
    text_print(stdout, text);
    putchar('\n');
}

static void print_checks(yyjson_val *health)
{
    size_t i, n;
    yyjson_val *v;
    printf("%-14s %s\n", "health", yyjson_is_true(yyjson_obj_get(health, "ok")) ? "ok" : "NOT OK");
    yyjson_arr_foreach(yyjson_obj_get(health, "checks"), i, n, v)
    {
        bool ok = yyjson_is_true(yyjson_obj_get(v, "ok"));
        const char *detail = yyjson_get_str(yyjson_obj_get(v, "detail"));
        printf("  %-12s %s%s", text_of(v, "name"), ok ? "ok" : "NOT OK", detail && *detail ? ": " : "");
        text_print(stdout, detail ? detail : "");
        putchar('\n');
    }
}

static void print_box(yyjson_val *box)
{
    yyjson_val *image = yyjson_obj_get(box, "image"), *slot = yyjson_obj_get(box, "slot"), *v;
    yyjson_val *configuration = yyjson_obj_get(box, "configuration"),
               *prints = yyjson_obj_get(box, "fingerprint");
    char line[512];
    size_t i, n;
    print_row("host", text_of(box, "hostname"));
    snprintf(line, sizeof line, "%s %s (%s)", text_of(image, "version"), text_of(image, "build"),
             text_of(box, "board"));
    print_row("image", line);
    snprintf(line, sizeof line, "%s, %s", text_of(slot, "running"), text_of(slot, "state"));
    print_row("slot", line);
    uint64_t up = yyjson_get_uint(yyjson_obj_get(box, "uptime_s"));
    printf("%-14s %llu d %02llu:%02llu:%02llu\n", "up", (unsigned long long)(up / 86400),
           (unsigned long long)(up / 3600 % 24), (unsigned long long)(up / 60 % 60),
           (unsigned long long)(up % 60));
    print_row("clock", yyjson_is_true(yyjson_obj_get(yyjson_obj_get(box, "time"), "synced")) ? "in step"
                                                                                             : "NOT in step");
    if (yyjson_is_true(yyjson_obj_get(box, "rescue")))
        print_row("rescue", "the data partition is lost or damaged: nothing is kept beyond a reboot");
    yyjson_arr_foreach(yyjson_obj_get(box, "addresses"), i, n, v) print_row("address", yyjson_get_str(v));
    print_row("ssh key", text_of(prints, "ssh"));
    print_row("certificate", text_of(prints, "tls"));
    snprintf(line, sizeof line, "%.12s of %s%s", text_of(configuration, "sha256"),
             text_of(configuration, "applied_at"),
             yyjson_is_true(yyjson_obj_get(configuration, "previous")) ? ", with one before it" : "");
    print_row("configuration", configuration && !yyjson_is_null(configuration) ? line : "the image's");
    print_checks(yyjson_obj_get(box, "health"));
}

static void print_text(const char *json)
{
    struct buf out = {0};
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    print_box(yyjson_obj_get(yyjson_doc_get_root(doc), "box"));
    putchar('\n');
    if (pipeline_status(false, &out))
        fwrite(out.p, 1, out.len, stdout);
    else
        puts("the pipeline does not run");
    yyjson_doc_free(doc);
    buf_fini(&out);
}

static void look(bool json)
{
    char *text = box_status_json();
    if (json)
        puts(text ? text : "null");
    else if (text)
        print_text(text);
    free(text);
    fflush(stdout);
}

static int watch(bool json)
{
    while (!ferror(stdout)) {
        struct pollfd p = {.fd = STDOUT_FILENO};
        if (!json && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout);
        look(json);
        if (poll(&p, 1, WATCH_MS) > 0 && p.revents & (POLLERR | POLLHUP))
            break;
    }
    return EXIT_DONE;
}

int box_status(int argc, char **argv)
{
    bool json = false, again = false, wrong = false;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--watch") == 0)
            again = true;
        else
            wrong = true;
    if (wrong) {
        fputs("usage: status [--json] [--watch]\n", stderr);
        return EXIT_USAGE;
    }
    if (again)
        return watch(json);
    look(json);
    return EXIT_DONE;
}
