/* See reset.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/reset.h"

#include "box/identity.h"
#include "store/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int open_device(const char *device)
{
    int fd = open(device, O_RDWR | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Twice: the second time over the half with what was there before. */
static struct err *write_both(int fd, struct identity *id)
{
    TRY(identity_write(fd, id));
    return identity_write(fd, id);
}

/* Without the network the file would be wrong, or mean something else: it is kept whole or not at all. */
static struct err *keep_settings(const char *dir, struct identity *id)
{
    char *path = xprintf("%s/box.yaml", dir), *text;
    size_t len;
    struct err *e = small_file_read(path, IDENTITY_FILE_MAX, &text, &len);
    free(path);
    if (e || !text)
        return e;
    id->files[id->count++] = (struct identity_file){
        .path = xstrdup("box.yaml"), .mode = 0600, .data = (uint8_t *)text, .len = (uint32_t)len};
    return NULL;
}

struct err *reset_request(const char *device, const char *dir, bool keep_network)
{
    struct identity *id = xcalloc(1, sizeof *id);
    struct err *e = keep_network ? keep_settings(dir, id) : NULL;
    int fd = e ? -1 : open_device(device);
    id->flags = IDENTITY_RESET;
    if (!e)
        e = fd < 0 ? err_errno(ERR_IO, "%s", device) : write_both(fd, id);
    if (fd >= 0)
        close(fd);
    identity_fini(id);
    free(id);
    return e;
}

bool reset_is_pending(const char *device)
{
    struct identity *id = xcalloc(1, sizeof *id);
    bool damaged, pending = false;
    int fd = open(device, O_RDONLY | O_CLOEXEC);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "%s", device) : identity_read(fd, id, &damaged);
    pending = !e && id->generation && (id->flags & IDENTITY_RESET);
    err_free(e);
    if (fd >= 0)
        close(fd);
    identity_fini(id);
    free(id);
    return pending;
}

struct err *reset_done(const char *device)
{
    struct identity *id = xcalloc(1, sizeof *id);
    bool damaged;
    int fd = open_device(device);
    struct err *e = fd < 0 ? err_errno(ERR_IO, "%s", device) : identity_read(fd, id, &damaged);
    if (!e && id->generation && (id->flags & IDENTITY_RESET)) {
        /* The other half first: were it the flagged one, a cut here would only begin the reset anew. */
        e = identity_write(fd, id);
        id->flags = 0;
        if (!e)
            e = write_both(fd, id);
    }
    if (fd >= 0)
        close(fd);
    identity_fini(id);
    free(id);
    return e;
}
