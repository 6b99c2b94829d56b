/* See payload.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/payload.h"
#include "box/tar.h"
#include "fleet/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void payload_sum(const void *p, size_t len, char out[65])
{
    uint8_t hash[32];
    if (mbedtls_sha256(p, len, hash, 0) != 0)
        PANIC("SHA-256 fails");
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

struct err *payload_map(const char *path, struct payload *out)
{
    struct stat st;
    struct err *e = NULL;
    *out = (struct payload){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        e = err_errno(ERR_CONFIG, "cannot read %s", path);
    else if (!S_ISREG(st.st_mode) || st.st_size == 0)
        e = err_new(ERR_CONFIG, "%s is empty, or no file", path);
    else if ((uint64_t)st.st_size > FLEET_PAYLOAD_BYTES)
        e = err_new(ERR_LIMIT, "%s is larger than %zu bytes", path, FLEET_PAYLOAD_BYTES);
    if (!e) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            e = err_errno(ERR_IO, "cannot map %s", path);
        else
            *out = (struct payload){.p = p, .len = (size_t)st.st_size};
    }
    if (fd >= 0)
        close(fd);
    if (!e)
        payload_sum(out->p, out->len, out->sum);
    return e;
}

void payload_unmap(struct payload *p)
{
    if (p->p)
        munmap((void *)(uintptr_t)p->p, p->len);
    *p = (struct payload){0};
}

/* ---- images ---- */

struct memory {
    const uint8_t *p;
    size_t len;
};

static ssize_t memory_read(void *ctx, void *to, size_t len)
{
    struct memory *m = ctx;
    size_t n = len < m->len ? len : m->len;
    if (n)
        memcpy(to, m->p, n);
    m->p += n;
    m->len -= n;
    return (ssize_t)n;
}

static struct err *read_through(struct bundle *b)
{
    const uint8_t *p;
    size_t len;
    do
        TRY(bundle_next(b, &p, &len));
    while (len);
    return NULL;
}

struct err *payload_image(const struct payload *p, struct bundle_manifest *out)
{
    struct memory m = {p->p, p->len};
    const struct bundle_input in = {memory_read, &m};
    struct bundle *b;
    TRY(bundle_open(&in, NULL, &b));
    *out = *bundle_manifest(b);
    out->chunks = NULL;
    struct err *e = out->kind == BUNDLE_IMAGE
                        ? read_through(b)
                        : err_hint(err_new(ERR_CONFIG, "it is no image but a configuration"),
                                   "penstock fleet push sends configurations");
    bundle_close(b);
    return e;
}

/* ---- configurations ---- */

struct err *payload_folder(const char *dir, struct buf *archive, char sum[65])
{
    struct stat st;
    char *yaml = xprintf("%s/penstock.yaml", dir);
    bool has = stat(yaml, &st) == 0 && S_ISREG(st.st_mode);
    free(yaml);
    if (!has)
        return err_hint(err_new(ERR_CONFIG, "%s has no penstock.yaml", dir),
                        "name the folder of a configuration");
    TRY(tar_folder(archive, dir));
    payload_sum(archive->p, archive->len, sum);
    return NULL;
}

static struct err *read_back(int fd, struct buf *out)
{
    off_t len = lseek(fd, 0, SEEK_END);
    if (len < 0 || (size_t)len > FLEET_PAYLOAD_BYTES)
        return err_errno(ERR_IO, "cannot read the bundle again");
    uint8_t *p = buf_room(out, (size_t)len);
    if (pread(fd, p, (size_t)len, 0) != len)
        return err_errno(ERR_IO, "cannot read the bundle again");
    out->len += (size_t)len;
    return NULL;
}

struct err *payload_sign(const struct buf *archive, const char *key, struct buf *out)
{
    struct bundle_secret secret;
    struct bundle_manifest m = {.kind = BUNDLE_CONFIG};
    struct memory memory = {archive->p, archive->len};
    const struct bundle_input in = {memory_read, &memory};
    journal_time(m.created);
    TRY(key_load_secret(key, secret.key));
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    struct err *e =
        fd < 0 ? err_errno(ERR_IO, "cannot make a bundle") : bundle_write(&m, &in, &secret, 1, fd);
    key_wipe(&secret, sizeof secret);
    if (!e)
        e = read_back(fd, out);
    if (fd >= 0)
        close(fd);
    bundle_manifest_fini(&m);
    return e;
}
