/* See box_input.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/box_input.h"

#include "base/text.h"
#include "box/bundle.h"
#include "box/config_store.h"
#include "box/program.h"
#include "box/settings.h"
#include "box/tar.h"
#include "config/yaml.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- reading ---- */

static struct err *wait_for_input(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int n;
    do
        n = poll(&p, 1, BOX_INPUT_WAIT_S * 1000);
    while (n < 0 && errno == EINTR);
    return n ? NULL
             : err_hint(err_new(ERR_LIMIT, "nothing came on standard input in %d s", BOX_INPUT_WAIT_S),
                        "give a configuration there, or nothing: </dev/null");
}

struct err *box_input_read(struct buf *out)
{
    if (isatty(STDIN_FILENO))
        return NULL;
    TRY(wait_for_input());
    for (;;) {
        ssize_t n = read(STDIN_FILENO, buf_room(out, 65536), 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(ERR_IO, "cannot read standard input");
        if (n == 0)
            return NULL;
        out->len += (size_t)n;
        if (out->len > BOX_INPUT_BYTES_MAX)
            return err_new(ERR_LIMIT, "a configuration of more than %d MiB", BOX_INPUT_BYTES_MAX >> 20);
    }
}

/* ---- what it is ---- */

struct memory {
    const struct buf *b;
    size_t at;
};

static ssize_t read_memory(void *ctx, void *p, size_t len)
{
    struct memory *m = ctx;
    size_t n = m->b->len - m->at;
    n = n < len ? n : len;
    if (n)
        memcpy(p, m->b->p + m->at, n);
    m->at += n;
    return (ssize_t)n;
}

static struct err *open_bundle(const struct buf *in, const struct trust *trust, struct buf *tar)
{
    struct memory memory = {in, 0};
    struct bundle_input input = {read_memory, &memory};
    struct bundle *b = NULL;
    TRY(bundle_open(&input, trust->count ? trust : NULL, &b));
    struct err *e = NULL;
    if (bundle_manifest(b)->kind != BUNDLE_CONFIG)
        e = err_hint(err_new(ERR_CONFIG, "this bundle is an image, no configuration"),
                     "`upgrade` takes images");
    if (!e)
        e = bundle_read_all(b, tar);
    bundle_close(b);
    return e;
}

static struct err *bare_file(const struct buf *in, struct buf *tar)
{
    if (in->len >= 2 && in->p[0] == 0x1f && in->p[1] == 0x8b)
        return err_hint(err_new(ERR_CONFIG, "the configuration is compressed"),
                        "send the archive as plain tar");
    if (in->len > YAML_BYTES_MAX)
        return err_new(ERR_LIMIT, "penstock.yaml is larger than %u MiB", YAML_BYTES_MAX >> 20);
    if (memchr(in->p, 0, in->len) || !utf8_valid(in->p, in->len))
        return err_hint(err_new(ERR_CONFIG, "this is no configuration"),
                        "send a penstock.yaml, a tar archive of its folder, or a bundle");
    TRY(tar_add(tar, "penstock.yaml", in->p, in->len));
    tar_end(tar);
    return NULL;
}

static struct err *merged(const struct buf *files, struct buf *tar)
{
    char *dir = box_file(BOX_CONFIG_STORE);
    struct err *e = config_store_merge(dir, files, tar);
    free(dir);
    return e;
}

static struct err *load_rules(bool *signed_only, struct trust *trust)
{
    struct settings settings;
    char *file = box_file(BOX_SETTINGS), *keys = box_file(BOX_TRUST);
    *trust = (struct trust){0};
    /* Settings that are wrong are the defaults, for all of the box. */
    err_free(settings_load(file, &settings));
    struct err *e = trust_load(trust, keys);
    int64_t rule = settings.configuration_signed;
    *signed_only = rule == SETTINGS_SIGNED_REQUIRED || (rule == SETTINGS_SIGNED_AUTO && trust->count);
    free(file);
    free(keys);
    return e;
}

struct err *box_input_archive(const struct buf *in, bool files, struct buf *tar)
{
    static struct trust trust;
    bool signed_only;
    TRY(load_rules(&signed_only, &trust));
    if (in->len >= BUNDLE_MAGIC_BYTES && bundle_is(in->p, in->len)) {
        if (signed_only && !trust.count)
            return err_new(ERR_AUTH,
                           "this box takes signed configurations alone, and has no key to verify them with");
        return open_bundle(in, &trust, tar);
    }
    if (signed_only)
        return err_hint(err_new(ERR_AUTH, "this box takes signed configurations alone"),
                        "penstock bundle config makes one; configuration.signed in box.yaml says so");
    bool is_tar = in->len >= TAR_BLOCK_BYTES && tar_is(in->p, in->len);
    if (is_tar && !files) {
        buf_put(tar, in->p, in->len);
        return NULL;
    }
    struct buf bare = {0};
    struct err *e = is_tar ? NULL : bare_file(in, &bare);
    if (!e)
        e = merged(is_tar ? in : &bare, tar);
    buf_fini(&bare);
    return e;
}
