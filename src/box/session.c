/* The console's sessions; see admin.h. A file holds two times (CLOCK_BOOTTIME, ms): begun, last used. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/admin_impl.h"

#include "base/file.h"
#include "box/box.h"
#include "box/put.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/base64.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 65 /* SHA-256 in hex, and a 0 */

struct times {
    int64_t begun_ms, used_ms;
};

static bool is_alive(const struct times *t, int64_t now_ms)
{
    return t->begun_ms <= t->used_ms && t->used_ms <= now_ms && now_ms - t->used_ms < ADMIN_SESSION_IDLE_MS &&
           now_ms - t->begun_ms < ADMIN_SESSION_MS;
}

static bool name_of(const char *token, char out[NAME_BYTES])
{
    uint8_t sum[32];
    if (strlen(token) != ADMIN_TOKEN_BYTES - 1 ||
        mbedtls_sha256((const unsigned char *)token, ADMIN_TOKEN_BYTES - 1, sum, 0))
        return false;
    for (size_t i = 0; i < sizeof sum; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    return true;
}

/* Locked; -1: there is none, or it cannot be opened. */
static int folder(const struct admin *a)
{
    char *path = xprintf("%s" BOX_RUN "/sessions", a->root);
    int fd = -1;
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX) != 0) {
        close(fd);
        fd = -1;
    }
    free(path);
    return fd;
}

static bool load(int dir, const char *name, struct times *out)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = fd >= 0 && file_read_at(fd, out, sizeof *out, 0) == (ssize_t)sizeof *out;
    if (fd >= 0)
        close(fd);
    return ok;
}

/* Removes those that are over, and the one unused for longest while there are more than `most`. */
static void sweep(int dir, int64_t now_ms, uint32_t most)
{
    for (;;) {
        char oldest[NAME_BYTES] = "";
        int64_t used_ms = INT64_MAX;
        uint32_t count = 0;
        int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
        if (!d) {
            if (copy >= 0)
                close(copy);
            return;
        }
        for (struct dirent *one; (one = readdir(d));) {
            struct times t;
            if (one->d_name[0] == '.')
                continue;
            if (!load(dir, one->d_name, &t) || !is_alive(&t, now_ms)) {
                unlinkat(dir, one->d_name, 0);
                continue;
            }
            count++;
            if (t.used_ms < used_ms && strlen(one->d_name) < NAME_BYTES) {
                used_ms = t.used_ms;
                memcpy(oldest, one->d_name, strlen(one->d_name) + 1); /* the length was looked at */
            }
        }
        closedir(d);
        if (count <= most || !oldest[0] || unlinkat(dir, oldest, 0) != 0)
            return;
    }
}

struct err *session_new(const struct admin *a, char token[ADMIN_TOKEN_BYTES])
{
    uint8_t random[32];
    unsigned char text[48];
    size_t n;
    char name[NAME_BYTES];
    admin_random(random, sizeof random);
    if (mbedtls_base64_encode(text, sizeof text, &n, random, sizeof random) || n != ADMIN_TOKEN_BYTES)
        PANIC("a token does not fit");
    for (size_t i = 0; i < ADMIN_TOKEN_BYTES - 1; i++)
        token[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : (char)text[i];
    token[ADMIN_TOKEN_BYTES - 1] = 0;
    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    int dir = name_of(token, name) ? folder(a) : -1;
    if (dir < 0)
        return err_errno(ERR_IO, "cannot open the sessions");
    sweep(dir, a->now_ms, ADMIN_SESSIONS_MAX - 1);
    struct times t = {a->now_ms, a->now_ms};
    struct err *e = put_file_at(dir, name, &t, sizeof t, (struct put){0600, (uid_t)-1, (gid_t)-1});
    close(dir);
    return e;
}

bool admin_session(const struct admin *a, const char *token)
{
    char name[NAME_BYTES];
    struct times t;
    int dir = name_of(token, name) ? folder(a) : -1;
    if (dir < 0)
        return false;
    bool good = load(dir, name, &t);
    if (good && !is_alive(&t, a->now_ms)) {
        unlinkat(dir, name, 0);
        good = false;
    }
    if (good && t.used_ms != a->now_ms) {
        int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        t.used_ms = a->now_ms;
        good = fd >= 0 && file_write_at(fd, &t, sizeof t, 0) == 0;
        if (fd >= 0)
            close(fd);
    }
    close(dir);
    return good;
}

void admin_logout(const struct admin *a, const char *token)
{
    char name[NAME_BYTES];
    int dir = name_of(token, name) ? folder(a) : -1;
    if (dir < 0)
        return;
    unlinkat(dir, name, 0);
    close(dir);
}

void admin_logout_all(const struct admin *a)
{
    int dir = folder(a);
    if (dir < 0)
        return;
    sweep(dir, a->now_ms, 0);
    close(dir);
}
