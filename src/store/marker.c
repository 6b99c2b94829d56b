/* DATA/checkpoint: which snapshot is durable, in two checksummed slots that are written in turn.
 *
 * A slot is never overwritten while it is the newest valid one, and each write is synced before the next, so a torn
 * write costs at most the slot being written and the other one still stands. The file is made once, by rename,
 * with the first marker in it: a store without this file never had a commit. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/file.h"
#include "base/hash.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER_MAGIC      "PNSTKCP1"
#define MARKER_SLOT_BYTES ((off_t)1 << 16)
#define MARKER_SUM_BYTES  16

/* As on disk, in the machine's byte order (as LMDB's file is); the checksum follows the last shard. */
struct marker_head {
    char magic[8];
    uint32_t format;
    uint32_t shard_count;
    uint64_t sequence;
    uint64_t epoch;
};
_Static_assert(sizeof(struct marker_head) + GATE_SHARDS_MAX * sizeof(struct mdbp_meta) + MARKER_SUM_BYTES <=
                   (size_t)MARKER_SLOT_BYTES,
               "a marker fits its slot");

static size_t body_bytes(uint32_t shard_count)
{
    return sizeof(struct marker_head) + shard_count * sizeof(struct mdbp_meta);
}

static size_t marker_encode(const struct marker *m, uint8_t *out)
{
    struct marker_head head = {
        .format = STORE_FORMAT, .shard_count = m->shard_count, .sequence = m->sequence, .epoch = m->epoch};
    memcpy(head.magic, MARKER_MAGIC, sizeof head.magic);
    memcpy(out, &head, sizeof head);
    memcpy(out + sizeof head, m->shards, m->shard_count * sizeof m->shards[0]);
    size_t n = body_bytes(m->shard_count);
    hash_bytes128(out, n, out + n);
    return n + MARKER_SUM_BYTES;
}

/* Whether it is whole, of whatever format. */
static bool marker_whole(const uint8_t *p, size_t len, struct marker_head *head)
{
    uint8_t sum[MARKER_SUM_BYTES];
    if (len < sizeof *head)
        return false;
    memcpy(head, p, sizeof *head);
    if (memcmp(head->magic, MARKER_MAGIC, sizeof head->magic) || head->shard_count - 1 >= GATE_SHARDS_MAX)
        return false;
    size_t n = body_bytes(head->shard_count);
    if (len < n + MARKER_SUM_BYTES)
        return false;
    hash_bytes128(p, n, sum);
    return memcmp(sum, p + n, MARKER_SUM_BYTES) == 0;
}

/* ERR_STATE: whole, but of another format. */
static struct err *marker_decode(const uint8_t *p, size_t len, struct marker *out, bool *valid)
{
    struct marker_head head;
    *valid = false;
    if (!marker_whole(p, len, &head))
        return NULL;
    if (head.format < STORE_FORMAT_OLDEST || head.format > STORE_FORMAT)
        return err_hint(err_new(ERR_STATE, "the store has format %u, this program reads formats %u to %u",
                                head.format, STORE_FORMAT_OLDEST, STORE_FORMAT),
                        "use the program that wrote it, or begin with an empty data directory");
    out->format = head.format;
    out->sequence = head.sequence;
    out->epoch = head.epoch;
    out->shard_count = head.shard_count;
    memcpy(out->shards, p + sizeof head, head.shard_count * sizeof out->shards[0]);
    *valid = true;
    return NULL;
}

static struct err *slots_decode(const uint8_t *bytes, const size_t len[2], struct marker *out,
                                enum marker_found *found)
{
    struct marker *slot = xcalloc(1, sizeof *slot);
    struct err *e = NULL;
    *found = MARKER_BROKEN;
    for (int i = 0; i < 2 && !e; i++) {
        bool valid;
        e = marker_decode(bytes + i * MARKER_SLOT_BYTES, len[i], slot, &valid);
        if (!e && valid && (*found == MARKER_BROKEN || slot->sequence > out->sequence)) {
            *out = *slot;
            *found = MARKER_FOUND;
        }
    }
    free(slot);
    return e;
}

/* Both slots as they are; *bytes NULL: there is no such file. */
static struct err *slots_read(const char *dir, uint8_t **bytes, size_t len[2])
{
    *bytes = NULL;
    char *path = xprintf("%s/" STORE_MARKER_FILE, dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err *e = fd < 0 && errno != ENOENT ? err_errno(ERR_IO, "cannot open %s", path) : NULL;
    if (fd >= 0) {
        ssize_t n = 0;
        *bytes = xcalloc(2, MARKER_SLOT_BYTES);
        for (int i = 0; i < 2 && n >= 0; i++) {
            n = file_read_at(fd, *bytes + i * MARKER_SLOT_BYTES, MARKER_SLOT_BYTES, i * MARKER_SLOT_BYTES);
            len[i] = n > 0 ? (size_t)n : 0;
        }
        /* What cannot be read just now is not damaged: a new marker must not take its place. */
        if (n < 0)
            e = err_errno(ERR_IO, "cannot read %s", path);
        close(fd);
    }
    free(path);
    return e;
}

struct err *marker_load(const char *dir, struct marker *out, enum marker_found *found)
{
    uint8_t *bytes;
    size_t len[2] = {0};
    *found = MARKER_ABSENT;
    struct err *e = slots_read(dir, &bytes, len);
    if (!e && bytes)
        e = slots_decode(bytes, len, out, found);
    free(bytes);
    return e;
}

struct err *store_format_read(const char *dir, uint32_t *format)
{
    uint8_t *bytes;
    size_t len[2] = {0};
    struct marker_head head;
    *format = 0;
    struct err *e = slots_read(dir, &bytes, len);
    for (int i = 0; !e && bytes && i < 2; i++)
        if (marker_whole(bytes + i * MARKER_SLOT_BYTES, len[i], &head) && head.format > *format)
            *format = head.format;
    free(bytes);
    return e;
}

struct err *marker_open(const char *dir, int *fd)
{
    char *path = xprintf("%s/" STORE_MARKER_FILE, dir);
    *fd = open(path, O_RDWR | O_CLOEXEC);
    struct err *e = *fd < 0 ? err_errno(ERR_IO, "cannot open %s", path) : NULL;
    free(path);
    return e;
}

struct err *marker_write(int fd, const struct marker *m)
{
    uint8_t *bytes = xcalloc(1, MARKER_SLOT_BYTES);
    size_t n = marker_encode(m, bytes);
    errno = file_write_at(fd, bytes, n, (off_t)(m->sequence & 1) * MARKER_SLOT_BYTES);
    struct err *e = errno ? err_errno(ERR_IO, "cannot write the checkpoint marker") : NULL;
    free(bytes);
    return e;
}

struct err *store_directory_sync(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err *e = fd < 0 || fsync(fd) ? err_errno(ERR_IO, "cannot sync %s", dir) : NULL;
    if (fd >= 0)
        close(fd);
    return e;
}

struct err *marker_create(const char *dir, const struct marker *m, bool no_sync)
{
    char *path = xprintf("%s/" STORE_MARKER_FILE, dir), *made = xprintf("%s/" STORE_MARKER_FILE ".new", dir);
    struct err *e = NULL;
    int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint8_t *zeros =
        xcalloc(2, MARKER_SLOT_BYTES); /* all blocks at once: a later marker finds room on a full disk */
    if (fd < 0 || (errno = file_write_at(fd, zeros, 2 * MARKER_SLOT_BYTES, 0)) != 0)
        e = err_errno(ERR_IO, "cannot make %s", made);
    free(zeros);
    if (!e)
        e = marker_write(fd, m);
    if (!e && ((!no_sync && fsync(fd)) || rename(made, path)))
        e = err_errno(ERR_IO, "cannot make %s", path);
    if (!e && !no_sync)
        e = store_directory_sync(dir);
    if (fd >= 0)
        close(fd);
    free(path);
    free(made);
    return e;
}
