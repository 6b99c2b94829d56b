/* See entropy.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/entropy.h"

#include "base/file.h"

#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

static bool sync_folder(const char *path)
{
    char *dir = xstrdup(path), *slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    free(dir);
    return ok;
}

static bool credit(const char *device, const uint8_t *seed)
{
    struct rand_pool_info *pool = xcalloc(1, sizeof *pool + ENTROPY_SEED_BYTES);
    pool->entropy_count = ENTROPY_CREDIT;
    pool->buf_size = ENTROPY_SEED_BYTES;
    memcpy((uint8_t *)pool + offsetof(struct rand_pool_info, buf), seed, ENTROPY_SEED_BYTES);
    int fd = open(device, O_WRONLY | O_CLOEXEC);
    /* Without the right to credit it, it is stirred in all the same. */
    bool ok = fd >= 0 && (ioctl(fd, RNDADDENTROPY, pool) == 0 ||
                          write(fd, seed, ENTROPY_SEED_BYTES) == ENTROPY_SEED_BYTES);
    if (fd >= 0)
        close(fd);
    explicit_bzero(pool, sizeof *pool + ENTROPY_SEED_BYTES);
    free(pool);
    return ok;
}

bool entropy_load(const char *seed, const char *device)
{
    uint8_t bytes[ENTROPY_SEED_BYTES];
    int fd = open(seed, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : file_read_at(fd, bytes, sizeof bytes, 0);
    if (fd >= 0)
        close(fd);
    bool gone = fd >= 0 && unlink(seed) == 0 && sync_folder(seed);
    bool ok = gone && n == (ssize_t)sizeof bytes && credit(device, bytes);
    explicit_bzero(bytes, sizeof bytes);
    return ok;
}

bool entropy_save(const char *seed)
{
    uint8_t bytes[ENTROPY_SEED_BYTES];
    for (size_t have = 0; have < sizeof bytes;
         have += 128) /* small ones are never cut short; not before it is ready */
        if (getrandom(bytes + have, 128, GRND_NONBLOCK) != 128)
            return false;
    char *temporary = xprintf("%s~", seed);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && file_write_at(fd, bytes, sizeof bytes, 0) == 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    ok = ok && rename(temporary, seed) == 0 && sync_folder(seed);
    free(temporary);
    explicit_bzero(bytes, sizeof bytes);
    return ok;
}
