/* See upgrade.h. */
#include "box/upgrade.h"

#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES BUNDLE_CHUNK_BYTES /* written last */

/* ---- may it be? ---- */

struct err *upgrade_format_check(const char *what, uint32_t format, uint32_t oldest, uint32_t data_format)
{
    if (!data_format || (data_format >= oldest && data_format <= format))
        return NULL;
    struct err *e =
        err_new(ERR_STATE, "%s reads store formats %u to %u, and the data of this box have format %u", what,
                oldest, format, data_format);
    return data_format > format
               ? err_hint(e, "take an image that is as new as the data, or restore a backup made before they "
                             "were converted")
               : err_hint(e, "upgrade to an image in between first, which converts the data");
}

struct err *upgrade_check(const struct bundle_manifest *m, const struct upgrade_box *box)
{
    if (m->kind != BUNDLE_IMAGE)
        return err_hint(err_new(ERR_CONFIG, "this is a configuration, not an image"),
                        "`apply` takes configurations, `upgrade` images");
    if (strcmp(m->board, box->board) != 0)
        return err_hint(
            err_new(ERR_CONFIG, "the image is for the board %s, and this box is a %s", m->board, box->board),
            "take the image that was built with BOARD=%s", box->board);
    TRY(upgrade_format_check("the image", m->store_format, m->store_format_oldest, box->data_format));
    if (!box->force && strcmp(m->version, box->running->version) == 0 &&
        strcmp(m->build, box->running->build) == 0)
        return err_hint(err_new(ERR_STATE, "version %s build %s is what runs already", m->version, m->build),
                        "--force writes it into the other slot all the same");
    return NULL;
}

/* ---- writing ---- */

struct writing {
    struct bundle *bundle;
    const struct slot_io *io;
    const struct upgrade_tick *tick;
    uint64_t size;      /* of the payload */
    uint64_t done, all; /* bytes written and read back, for the tick */
    uint8_t *first;     /* the payload's first chunk */
    size_t first_len;
    mbedtls_sha256_context sha;
};

static struct err *tick(struct writing *w, uint64_t bytes)
{
    w->done += bytes;
    if (w->tick && w->tick->fn && !w->tick->fn(w->tick->ctx, w->done, w->all))
        return err_new(ERR_STATE, "interrupted");
    return NULL;
}

static struct err *put(struct writing *w, uint64_t at, const uint8_t *p, size_t len)
{
    return w->io->write(w->io->ctx, at, p, len) ? NULL : err_errno(ERR_IO, "cannot write the slot");
}

static struct err *flush(struct writing *w)
{
    return w->io->flush(w->io->ctx) ? NULL : err_errno(ERR_IO, "cannot write the slot");
}

static struct err *take_away(struct writing *w)
{
    uint8_t *zeros = xcalloc(1, FIRST_BYTES);
    const uint32_t sector = w->io->sector_bytes;
    struct err *e = put(w, 0, zeros, sector);
    if (!e)
        e = flush(w);
    if (!e)
        e = put(w, sector, zeros + sector, FIRST_BYTES - sector);
    if (!e)
        e = flush(w);
    free(zeros);
    return e;
}

/* bundle_next checks the whole payload's hash at its end. */
static struct err *put_rest(struct writing *w)
{
    uint64_t at = 0;
    for (;;) {
        const uint8_t *p;
        size_t len;
        TRY(bundle_next(w->bundle, &p, &len));
        if (!len)
            break;
        if (at == 0) {
            memcpy(w->first, p, len);
            w->first_len = len;
        } else {
            TRY(put(w, at, p, len));
        }
        at += len;
        TRY(tick(w, len));
    }
    return flush(w);
}

static struct err *read_back(struct writing *w, uint64_t at, uint8_t *p, size_t len)
{
    return w->io->read(w->io->ctx, at, p, len) ? NULL : err_errno(ERR_IO, "cannot read the slot back");
}

static struct err *not_the_same(void)
{
    return err_hint(err_new(ERR_CORRUPT, "the disk did not keep what was written to it"),
                    "the slot that runs is not touched; look at the disk before the next try");
}

static struct err *verify_rest(struct writing *w)
{
    uint8_t *p = xmalloc(BUNDLE_CHUNK_BYTES), sum[BUNDLE_SHA256_BYTES];
    struct err *e = NULL;
    if (mbedtls_sha256_starts(&w->sha, 0) || mbedtls_sha256_update(&w->sha, w->first, w->first_len))
        PANIC("SHA-256 does not start");
    for (uint64_t at = w->first_len; !e && at < w->size;) {
        const size_t len = w->size - at < BUNDLE_CHUNK_BYTES ? (size_t)(w->size - at) : BUNDLE_CHUNK_BYTES;
        e = read_back(w, at, p, len);
        if (!e && mbedtls_sha256_update(&w->sha, p, len))
            PANIC("SHA-256 does not go on");
        if (!e)
            e = tick(w, len);
        at += len;
    }
    if (mbedtls_sha256_finish(&w->sha, sum))
        PANIC("SHA-256 does not end");
    free(p);
    if (!e && memcmp(sum, bundle_manifest(w->bundle)->sha256, sizeof sum) != 0)
        e = not_the_same();
    return e;
}

static struct err *put_first(struct writing *w)
{
    const uint32_t sector = w->io->sector_bytes;
    uint8_t *got = xmalloc(FIRST_BYTES);
    struct err *e = put(w, sector, w->first + sector, w->first_len - sector);
    if (!e)
        e = flush(w);
    if (!e)
        e = read_back(w, sector, got, w->first_len - sector);
    if (!e && memcmp(got, w->first + sector, w->first_len - sector) != 0)
        e = not_the_same();
    if (!e)
        e = put(w, 0, w->first, sector);
    if (!e)
        e = flush(w);
    if (!e)
        e = read_back(w, 0, got, sector);
    if (!e && memcmp(got, w->first, sector) != 0)
        e = not_the_same();
    free(got);
    return e;
}

struct err *upgrade_write(struct bundle *b, const struct slot_io *io, const struct upgrade_tick *t)
{
    const uint64_t size = bundle_manifest(b)->payload_bytes;
    if (size > io->size_bytes)
        return err_new(ERR_CONFIG, "the image has %llu bytes, and a slot of this box has %llu",
                       (unsigned long long)size, (unsigned long long)io->size_bytes);
    if (size < FIRST_BYTES)
        return err_new(ERR_CONFIG, "the image is smaller than a slot's first MiB");
    struct writing w = {.bundle = b, .io = io, .tick = t, .size = size, .all = 2 * size - FIRST_BYTES};
    w.first = xmalloc(FIRST_BYTES);
    mbedtls_sha256_init(&w.sha);
    struct err *e = take_away(&w);
    if (!e)
        e = put_rest(&w);
    if (!e)
        e = verify_rest(&w);
    if (!e)
        e = put_first(&w);
    mbedtls_sha256_free(&w.sha);
    free(w.first);
    return e;
}
