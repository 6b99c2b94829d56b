/* `provision`, `prepare`, `factory-reset`, `certificate`; see cmd_owner.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/cmd_owner.h"

#include "base/clock.h"
#include "base/text.h"
#include "box/admin.h"
#include "box/audit.h"
#include "box/certificate.h"
#include "box/program.h"
#include "box/provision.h"
#include "box/put.h"
#include "box/reset.h"
#include "box/secret.h"
#include "store/small_file.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

#define CHECK_MS   40000 /* for sources that do not answer; PID 1 waits a minute */
#define CHECK_TEXT 16384
#define ESP_FOLDER "/run/esp/"
#define BAD_FORM   2 /* exit status of penstock check */

static int ended(struct err *e)
{
    int status = !e ? 0 : e->code == ERR_CONFIG ? 2 : 1;
    if (e) {
        fputs("penstock: ", stderr);
        err_print(stderr, e);
    }
    err_free(e);
    return status;
}

static int usage(const char *text)
{
    fprintf(stderr, "penstock: %s\n", text);
    return 2;
}

static bool has_word(int argc, char **argv, const char *word)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], word) == 0)
            return true;
    return false;
}

/* ---- provisioning ---- */

/* As the pipeline's user. A source that does not answer, or not in time, is no reason: the box may not have its network yet. */
static struct err *check_config(void *arg, const char *dir)
{
    struct buf text = {0};
    char *store = box_file(BOX_STORE);
    const char *argv[] = {"penstock", "check", "-c", "penstock.yaml", "--data", store, NULL};
    struct program p = {.argv = argv,
                        .dir = dir,
                        .as = BOX_PENSTOCK,
                        .out = &text,
                        .err = &text,
                        .most = CHECK_TEXT,
                        .timeout_ms = CHECK_MS};
    int status = 0;
    (void)arg;
    struct err *e = program_run(&p, &status);
    if (e && e->code == ERR_LIMIT) {
        err_free(e);
        e = NULL;
        status = 0;
    }
    if (!e && status == BAD_FORM)
        e = err_new(ERR_CONFIG, "the configuration is wrong:\n%.*s",
                    text_fit(text.p ? (char *)text.p : "", text.len, 4000), text.p ? (char *)text.p : "");
    buf_fini(&text);
    free(store);
    return e;
}

int cmd_provision(int argc, char **argv)
{
    struct buf said = {0};
    struct provision p = {.root = box_root, .check = check_config, .now_s = unix_us() / 1000000};
    bool done;
    if (argc == 2 && strcmp(argv[1], "--finish") == 0)
        return ended(provision_finish(box_root, &done));
    p.remove = has_word(argc, argv, "--remove");
    const char *folder = argv[argc - 1];
    if (argc != 2 + p.remove || folder[0] != '/')
        return usage("provision [--remove] FOLDER | --finish");
    if (strncmp(folder, ESP_FOLDER, strlen(ESP_FOLDER)) == 0)
        p.remove = true; /* every boot of every slot can read it there */
    struct err *e = provision_take(&p, folder, &said);
    if (!e && said.len) /* PID 1 keeps what comes on standard error in the log */
        fprintf(stderr, "provisioning: %.*s", (int)said.len, (char *)said.p);
    buf_fini(&said);
    return ended(e ? err_wrap(e, "provisioning") : NULL);
}

int cmd_prepare(int argc, char **argv)
{
    char code[ADMIN_CODE_BYTES];
    bool made = false, done;
    struct certificate_names *names = xcalloc(1, sizeof *names);
    bool tell = has_word(argc, argv, "--tell");
    struct err *all = provision_finish(box_root, &done);
    err_append(&all, admin_code(box_root, code));
    certificate_names_here(names);
    err_append(&all, certificate_prepare(box_root, names, unix_us() / 1000000, &made));
    if (made)
        puts("a self-signed certificate was made");
    if (*code && tell)
        printf("claim code: %s\n", code);
    free(names);
    return ended(all);
}

/* ---- reset ---- */

static struct err *identity_device(char **out)
{
    char *path = box_file(BOX_RUN_BOOT), *text;
    size_t len;
    struct err *e = small_file_read(path, 65536, &text, &len);
    free(path);
    if (e)
        return e;
    yyjson_doc *doc = text ? yyjson_read(text, len, 0) : NULL;
    const char *device =
        yyjson_get_str(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "identity"), "device"));
    *out = device && *device ? xprintf("%s%s", box_root, device) : NULL;
    yyjson_doc_free(doc);
    free(text);
    return *out ? NULL : err_new(ERR_STATE, "this box has no identity partition");
}

int cmd_factory_reset(int argc, char **argv)
{
    char host[256] = "", *device = NULL;
    const char *typed = NULL;
    bool keep = false;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--keep-network") == 0)
            keep = true;
        else if (strcmp(argv[i], "--yes") != 0 && !typed && argv[i][0] != '-')
            typed = argv[i];
        else if (strcmp(argv[i], "--yes") != 0)
            return usage("factory-reset --yes HOSTNAME [--keep-network]");
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        snprintf(host, sizeof host, "penstock");
    if (!typed || strcmp(typed, host) != 0) {
        fprintf(stderr,
                "penstock: a factory reset removes configuration, data, keys and password of %s\n"
                "  hint: factory-reset --yes %s\n",
                host, host);
        return 2;
    }
    char *dir = box_file(BOX_DIR);
    struct err *e = identity_device(&device);
    if (!e)
        e = reset_request(device, dir, keep);
    if (!e) {
        audit(box_root, "factory reset: the box forgets everything%s and starts anew",
              keep ? " but its settings" : "");
        puts("the box forgets everything and starts anew");
        fflush(stdout);
        if (!box_root[0] && box_board())
            kill(1, SIGTERM);
    }
    free(device);
    free(dir);
    return ended(e);
}

/* ---- the certificate ---- */

static void put_time(int64_t unix_s, char out[32])
{
    time_t t = (time_t)unix_s;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
        out[0] = 0;
}

static void show_json(const struct certificate_info *i, const char *warning)
{
    char from[32], until[32];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *o = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, o);
    put_time(i->from_s, from);
    put_time(i->until_s, until);
    yyjson_mut_obj_add_str(doc, o, "subject", i->subject);
    yyjson_mut_obj_add_str(doc, o, "issuer", i->issuer);
    yyjson_mut_obj_add_bool(doc, o, "self_signed", i->self_signed);
    yyjson_mut_val *names = yyjson_mut_obj_add_arr(doc, o, "names");
    for (uint32_t k = 0; k < i->names.count; k++)
        yyjson_mut_arr_add_str(doc, names, i->names.name[k]);
    yyjson_mut_obj_add_str(doc, o, "not_before", from);
    yyjson_mut_obj_add_str(doc, o, "not_after", until);
    yyjson_mut_obj_add_str(doc, o, "key", i->key);
    yyjson_mut_obj_add_str(doc, o, "fingerprint", i->fingerprint);
    yyjson_mut_obj_add_str(doc, o, "warning", warning);
    char *text = yyjson_mut_write(doc, 0, NULL);
    puts(text ? text : "{}");
    free(text);
    yyjson_mut_doc_free(doc);
}

static struct err *show(bool json)
{
    struct certificate_info i;
    struct buf pair = {0};
    char from[32], until[32], warning[128];
    bool found;
    struct err *e = certificate_load(box_root, &pair, &i, &found);
    if (pair.p)
        explicit_bzero(pair.p, pair.len);
    buf_fini(&pair);
    if (e || !found)
        return e ? e : err_new(ERR_STATE, "the box has no certificate yet");
    certificate_warning(&i, unix_us() / 1000000, warning);
    if (json) {
        show_json(&i, warning);
        return NULL;
    }
    put_time(i.from_s, from);
    put_time(i.until_s, until);
    printf("subject      ");
    text_print(stdout, i.subject);
    printf("\nissuer       ");
    text_print(stdout, i.self_signed ? "itself" : i.issuer);
    printf("\nvalid        %s to %s\nkey          %s\nfingerprint  %s\nnames       ", from, until, i.key,
           i.fingerprint);
    for (uint32_t k = 0; k < i.names.count; k++)
        printf(" %s", i.names.name[k]);
    printf("\n%s%s", warning, *warning ? "\n" : "");
    return NULL;
}

/* name: the common name and a further one, NULL: the hostname. */
static void names_with(const char *name, struct certificate_names *out)
{
    struct certificate_names *here = xcalloc(1, sizeof *here);
    certificate_names_here(here);
    out->count = 0;
    if (name)
        snprintf(out->name[out->count++], CERTIFICATE_NAME_BYTES, "%s", name);
    for (uint32_t i = 0; i < here->count && out->count < CERTIFICATE_NAMES_MAX; i++) {
        const char *n = here->name[i];
        /* No authority signs for these. */
        if (strcmp(n, "localhost") != 0 && strcmp(n, "127.0.0.1") != 0 && strcmp(n, "::1") != 0 &&
            (!name || strcasecmp(n, name) != 0))
            snprintf(out->name[out->count++], CERTIFICATE_NAME_BYTES, "%s", n);
    }
    free(here);
}

static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:*_", name[i]))
            return false;
    return len > 0 && len < CERTIFICATE_NAME_BYTES;
}

static struct err *csr(const char *name)
{
    struct certificate_names *names = xcalloc(1, sizeof *names);
    struct buf request = {0}, key = {0};
    char *dir = box_file(BOX_DIR "/tls");
    names_with(name, names);
    struct err *e = certificate_request(names, &request, &key);
    if (!e)
        e = put_dir(dir, (struct put){0700, (uid_t)-1, (gid_t)-1}, NULL);
    if (!e)
        e = put_file(dir, "pending.pem", key.p, key.len, (struct put){0600, (uid_t)-1, (gid_t)-1});
    if (!e)
        fwrite(request.p, 1, request.len, stdout);
    if (key.p)
        explicit_bzero(key.p, key.len);
    buf_fini(&key);
    buf_fini(&request);
    free(dir);
    free(names);
    return e;
}

/* With a key in the text that one; else the one that waits, or else the present one (a renewal for the same key). */
static struct err *judge_pair(const char *text, size_t len, struct buf *pair, struct certificate_info *info)
{
    int64_t now = unix_us() / 1000000;
    if (strstr(text, "PRIVATE KEY-----"))
        return certificate_check(text, len, NULL, 0, now, pair, info);
    static const char *const files[] = {BOX_DIR "/tls/pending.pem", BOX_DIR "/tls/pair.pem"};
    struct err *first = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        char *path = box_file(files[i]), *key = NULL;
        size_t key_len;
        struct err *e = small_file_read(path, CERTIFICATE_PEM_MAX, &key, &key_len);
        free(path);
        if (!e && key)
            e = certificate_check(text, len, key, key_len, now, pair, info);
        bool fits = !e && key;
        if (key)
            explicit_bzero(key, key_len);
        free(key);
        if (fits) {
            err_free(first);
            return NULL;
        }
        if (!first)
            first = e;
        else
            err_free(e);
    }
    return first
               ? err_hint(first, "`certificate csr` makes a key and a request for it; or send the key along")
               : err_new(ERR_STATE, "there is no key for it");
}

static struct err *install(void)
{
    struct certificate_info info;
    struct buf pair = {0};
    char *text, *dir = box_file(BOX_DIR "/tls");
    size_t len;
    struct err *e = secret_text(STDIN_FILENO, CERTIFICATE_PEM_MAX, &text, &len);
    if (!e) {
        e = judge_pair(text, len, &pair, &info);
        explicit_bzero(text, len);
        free(text);
    }
    if (!e)
        e = certificate_store(box_root, &pair);
    if (!e)
        e = certificate_publish(box_root);
    if (!e)
        e = put_away(dir, "pending.pem");
    if (!e) {
        audit(box_root, "a certificate was installed: %s", info.fingerprint);
        printf("installed: %s\n", info.fingerprint);
    }
    if (pair.p)
        explicit_bzero(pair.p, pair.len);
    buf_fini(&pair);
    free(dir);
    return e;
}

static struct err *self_signed(void)
{
    struct certificate_names *names = xcalloc(1, sizeof *names);
    struct buf pair = {0};
    certificate_names_here(names);
    struct err *e = certificate_self_signed(names, NULL, &pair);
    if (!e)
        e = certificate_store(box_root, &pair);
    if (!e)
        e = certificate_publish(box_root);
    if (!e) {
        audit(box_root, "a self-signed certificate was made");
        puts("a self-signed certificate was made; its fingerprint is on the serial console");
    }
    if (pair.p)
        explicit_bzero(pair.p, pair.len);
    buf_fini(&pair);
    free(names);
    return e;
}

int cmd_certificate(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "show";
    if (strcmp(what, "show") == 0 || strcmp(what, "--json") == 0)
        return ended(show(has_word(argc, argv, "--json")));
    if (strcmp(what, "csr") == 0 && argc == 2)
        return ended(csr(NULL));
    if (strcmp(what, "csr") == 0 && argc == 4 && strcmp(argv[2], "--name") == 0 && name_valid(argv[3]))
        return ended(csr(argv[3]));
    if (strcmp(what, "install") == 0 && argc == 2)
        return ended(install());
    if (strcmp(what, "self-signed") == 0 && argc == 2)
        return ended(self_signed());
    return usage("certificate show [--json] | csr [--name NAME] | install <CHAIN | self-signed");
}
