/* `penstock keys` and `penstock bundle`: on the machine of who builds and signs images and configurations. What a box does with them
 * is in box/upgrade.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/cmd_bundle.h"
#include "cli/cli.h"

#include "base/text.h"
#include "box/bundle.h"
#include "box/image.h"
#include "box/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 16

/* The words of a command line: those without a dash, and the few options. */
struct words {
    uint32_t count, key_count;
    const char *word[WORDS_MAX], *key[WORDS_MAX];
    const char *out, *comment, *version;
    bool help;
};

static struct err *words_read(int argc, char **argv, struct words *w)
{
    *w = (struct words){0};
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        const bool key = strcmp(a, "--key") == 0, out = strcmp(a, "-o") == 0,
                   comment = strcmp(a, "--comment") == 0, version = strcmp(a, "--label") == 0;
        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0)
            w->help = true;
        else if (key || out || comment || version) {
            if (!value)
                return err_new(ERR_CONFIG, "%s needs a value", a);
            if (key && w->key_count == WORDS_MAX)
                return err_new(ERR_CONFIG, "at most %d keys", WORDS_MAX);
            if (key)
                w->key[w->key_count++] = value;
            else
                *(out ? &w->out : comment ? &w->comment : &w->version) = value;
            i++;
        } else if (a[0] == '-' && a[1])
            return err_new(ERR_CONFIG, "unknown option '%.*s'", TEXT_QUOTED_CSTR(a, 60));
        else if (w->count == WORDS_MAX)
            return err_new(ERR_CONFIG, "unexpected argument '%.*s'", TEXT_QUOTED_CSTR(a, 60));
        else
            w->word[w->count++] = a;
    }
    return NULL;
}

/* ---- keys ---- */

static const char keys_help[] =
    "usage: penstock keys create NAME [--comment TEXT]\n"
    "       penstock keys show FILE|DIR...\n"
    "keys that sign images and configurations of boxes\n\n"
    "create makes NAME.key, the secret key, which stays where it is, and NAME.pub, which goes onto boxes: "
    "into\n"
    "penstock/keys/ of the provisioning folder, or into an image as it is built. show prints fingerprints.\n";

static void key_print(const struct key *k, const char *path)
{
    char fingerprint[KEY_FINGERPRINT_BYTES];
    key_fingerprint(k->public_key, fingerprint);
    printf("%s  %s%s%s\n", fingerprint, k->comment, *k->comment ? "  " : "", path);
}

static struct err *keys_create(const struct words *w)
{
    struct key k;
    const char *slash = strrchr(w->word[1], '/');
    TRY(key_create(w->word[1], w->comment ? w->comment : slash ? slash + 1 : w->word[1], &k));
    char *path = xprintf("%s.pub", w->word[1]);
    key_print(&k, path);
    free(path);
    fprintf(
        stderr,
        "%s.key signs for every box that trusts the key: keep it off the boxes, and a copy in a safe place\n",
        w->word[1]);
    return NULL;
}

static struct err *keys_show(const struct words *w)
{
    for (uint32_t i = 1; i < w->count; i++) {
        struct stat st;
        struct trust *t = xcalloc(1, sizeof *t);
        struct err *e = stat(w->word[i], &st) ? err_errno(ERR_CONFIG, "cannot look at %s", w->word[i]) : NULL;
        if (!e && S_ISDIR(st.st_mode))
            e = trust_load(t, w->word[i]);
        else if (!e && !(e = key_load(w->word[i], &t->keys[0])))
            t->count = 1;
        for (uint32_t k = 0; !e && k < t->count; k++)
            key_print(&t->keys[k], w->word[i]);
        free(t);
        TRY(e);
    }
    return NULL;
}

int keys_main(int argc, char **argv)
{
    struct words w;
    struct err *e = words_read(argc, argv, &w);
    if (!e && w.help) {
        fputs(keys_help, stdout);
        return EXIT_DONE;
    }
    if (!e && w.count == 2 && strcmp(w.word[0], "create") == 0)
        e = keys_create(&w);
    else if (!e && w.count >= 2 && strcmp(w.word[0], "show") == 0)
        e = keys_show(&w);
    else if (!e)
        e = err_hint(err_new(ERR_CONFIG, "keys: expected create NAME, or show FILE..."),
                     "penstock keys --help");
    return cli_report(e);
}

/* ---- making bundles ---- */

static const char bundle_help[] =
    "usage: penstock bundle image SLOT.img IMAGE.json --key NAME.key... -o OUT.pimage\n"
    "       penstock bundle config DIR [--label TEXT] --key NAME.key... -o OUT.pconfig\n"
    "       penstock bundle show FILE\n"
    "       penstock bundle verify FILE --key NAME.pub|DIR...\n"
    "signed images and configurations for boxes\n\n"
    "  --key K    sign with this secret key; may be repeated (verify: trust this public key, or those of a "
    "folder)\n"
    "  -o FILE    the bundle, which must not be there yet\n"
    "  --label T  what the configuration is called, without blanks\n";

static struct err *now_text(char out[BUNDLE_TEXT_MAX + 1])
{
    /* A build that is to be reproduced says when it was. */
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    char *end = NULL;
    time_t t = epoch ? (time_t)strtoll(epoch, &end, 10) : time(NULL);
    struct tm tm;
    if ((epoch && (!*epoch || *end)) || !gmtime_r(&t, &tm))
        return err_new(ERR_CONFIG, "SOURCE_DATE_EPOCH is no time");
    strftime(out, BUNDLE_TEXT_MAX + 1, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return NULL;
}

static struct err *secrets_load(const struct words *w, struct bundle_secret *keys)
{
    if (!w->key_count || w->key_count > BUNDLE_SIGNATURES_MAX)
        return err_hint(err_new(ERR_CONFIG, "a bundle is signed with 1 to %d keys", BUNDLE_SIGNATURES_MAX),
                        "--key NAME.key, made by `penstock keys create NAME`");
    for (uint32_t i = 0; i < w->key_count; i++)
        TRY(key_load_secret(w->key[i], keys[i].key));
    return NULL;
}

static struct err *bundle_out(const struct words *w, struct bundle_manifest *m, const struct bundle_input *in)
{
    struct bundle_secret keys[BUNDLE_SIGNATURES_MAX];
    struct err *e = w->out ? secrets_load(w, keys) : err_new(ERR_CONFIG, "where to? -o FILE");
    int fd = -1;
    if (!e) {
        fd = open(w->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (fd < 0)
            e = err_errno(errno == EEXIST ? ERR_STATE : ERR_IO, "cannot make %s", w->out);
    }
    if (!e) {
        e = bundle_write(m, in, keys, w->key_count, fd);
        if (!e && fsync(fd))
            e = err_errno(ERR_IO, "cannot write %s", w->out);
        if (e)
            unlink(w->out);
    }
    if (fd >= 0)
        close(fd);
    key_wipe(keys, sizeof keys);
    if (!e)
        printf("%s: %s %s%s%s, %llu bytes of content\n", w->out, bundle_kind_name(m->kind), m->version,
               *m->build ? " build " : "", m->build, (unsigned long long)m->payload_bytes);
    bundle_manifest_fini(m);
    return e;
}

static struct err *make_image(const struct words *w)
{
    struct bundle_manifest m = {.kind = BUNDLE_IMAGE};
    struct image_info info;
    TRY(image_info_load(w->word[2], &info));
    snprintf(m.version, sizeof m.version, "%s", info.version);
    snprintf(m.build, sizeof m.build, "%s", info.build);
    snprintf(m.board, sizeof m.board, "%s", info.board);
    snprintf(m.created, sizeof m.created, "%s", info.created);
    m.store_format = info.store_format;
    m.store_format_oldest = info.store_format_oldest;
    int fd = open(w->word[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_CONFIG, "cannot open %s", w->word[1]);
    const struct bundle_input in = bundle_input_fd(&fd);
    struct err *e = bundle_out(w, &m, &in);
    close(fd);
    return e;
}

struct memory_input {
    const uint8_t *p;
    size_t len;
};

static ssize_t memory_read(void *ctx, void *p, size_t len)
{
    struct memory_input *in = ctx;
    const size_t n = len < in->len ? len : in->len;
    memcpy(p, in->p, n);
    in->p += n;
    in->len -= n;
    return (ssize_t)n;
}

static bool label_valid(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p <= 32 || *p >= 127)
            return false;
    return strlen(text) <= BUNDLE_TEXT_MAX;
}

static struct err *make_config(const struct words *w)
{
    struct bundle_manifest m = {.kind = BUNDLE_CONFIG};
    struct buf archive = {0};
    struct stat st;
    if (w->version && !label_valid(w->version))
        return err_new(ERR_CONFIG, "--label: at most %d characters without blanks", BUNDLE_TEXT_MAX);
    char *yaml = xprintf("%s/penstock.yaml", w->word[1]);
    const bool has = stat(yaml, &st) == 0 && S_ISREG(st.st_mode);
    free(yaml);
    if (!has)
        return err_hint(err_new(ERR_CONFIG, "%s has no penstock.yaml", w->word[1]),
                        "name the folder of a configuration");
    snprintf(m.version, sizeof m.version, "%s", w->version ? w->version : "");
    struct err *e = now_text(m.created);
    if (!e)
        e = tar_folder(&archive, w->word[1]);
    struct memory_input memory = {archive.p, archive.len};
    const struct bundle_input in = {memory_read, &memory};
    if (!e)
        e = bundle_out(w, &m, &in);
    buf_fini(&archive);
    return e;
}

/* ---- looking at bundles ---- */

static struct err *read_through(struct bundle *b)
{
    const uint8_t *p;
    size_t len;
    do
        TRY(bundle_next(b, &p, &len));
    while (len);
    return NULL;
}

static void print_manifest(const struct bundle_manifest *m)
{
    printf("kind          %s\n", bundle_kind_name(m->kind));
    if (*m->version)
        printf("version       %s\n", m->version);
    if (m->kind == BUNDLE_IMAGE)
        printf("build         %s\nboard         %s\nstore format  %u (reads %u to %u)\n", m->build, m->board,
               m->store_format, m->store_format_oldest, m->store_format);
    printf("created       %s\ncontent       %llu bytes in %u chunks\nsha256        ", m->created,
           (unsigned long long)m->payload_bytes, m->chunk_count);
    for (int i = 0; i < BUNDLE_SHA256_BYTES; i++)
        printf("%02x", m->sha256[i]);
    putchar('\n');
}

static void print_signatures(const struct bundle *b)
{
    for (uint32_t i = 0; i < bundle_signature_count(b); i++) {
        uint8_t public_key[KEY_PUBLIC_BYTES];
        char fingerprint[KEY_FINGERPRINT_BYTES];
        const bool good = bundle_signature(b, i, public_key);
        key_fingerprint(public_key, fingerprint);
        printf("signature     %s%s\n", fingerprint, good ? "" : "  WRONG");
    }
}

static struct err *look_at(const struct words *w, const struct trust *trust)
{
    struct bundle *b;
    int fd = open(w->word[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_CONFIG, "cannot open %s", w->word[1]);
    const struct bundle_input in = bundle_input_fd(&fd);
    struct err *e = bundle_open(&in, trust, &b);
    if (!e) {
        print_manifest(bundle_manifest(b));
        print_signatures(b);
        e = read_through(b);
        if (!e && trust)
            printf("signed by     %s\n", bundle_signer(b)->comment);
        bundle_close(b);
    }
    close(fd);
    return e;
}

static struct err *verify(const struct words *w)
{
    struct trust *t = xcalloc(1, sizeof *t);
    struct err *e =
        w->key_count ? NULL : err_new(ERR_CONFIG, "whom to trust? --key NAME.pub, or a folder of them");
    for (uint32_t i = 0; !e && i < w->key_count; i++) {
        struct stat st;
        if (stat(w->key[i], &st))
            e = err_errno(ERR_CONFIG, "cannot look at %s", w->key[i]);
        else if (S_ISDIR(st.st_mode))
            e = trust_load(t, w->key[i]);
        else if (t->count == TRUST_KEYS_MAX)
            e = err_new(ERR_LIMIT, "more than %d keys", TRUST_KEYS_MAX);
        else if (!(e = key_load(w->key[i], &t->keys[t->count])))
            t->count++;
    }
    if (!e)
        e = look_at(w, t);
    free(t);
    return e;
}

int bundle_main(int argc, char **argv)
{
    struct words w;
    struct err *e = words_read(argc, argv, &w);
    if (!e && w.help) {
        fputs(bundle_help, stdout);
        return EXIT_DONE;
    }
    const char *verb = !e && w.count ? w.word[0] : "";
    if (!e && strcmp(verb, "image") == 0 && w.count == 3)
        e = make_image(&w);
    else if (!e && strcmp(verb, "config") == 0 && w.count == 2)
        e = make_config(&w);
    else if (!e && strcmp(verb, "show") == 0 && w.count == 2)
        e = look_at(&w, NULL);
    else if (!e && strcmp(verb, "verify") == 0 && w.count == 2)
        e = verify(&w);
    else if (!e)
        e = err_hint(
            err_new(ERR_CONFIG, "bundle: expected image, config, show or verify, and what they need"),
            "penstock bundle --help");
    return cli_report(e);
}
