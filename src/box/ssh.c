/* See ssh.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/ssh.h"

#include "base/text.h"
#include "box/box.h"
#include "store/small_file.h"
#include "types/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- programs ---- */

static void add(struct ssh_argv *a, const char *word)
{
    uint32_t n = 0;
    while (a->argv[n])
        n++;
    ASSERT(n + 1 < SSH_ARGS_MAX);
    a->argv[n] = word;
}

static void add_pair(struct ssh_argv *a, const char *option, const char *value)
{
    add(a, option);
    add(a, value);
}

static const char *either(const char *given, const char *otherwise)
{
    return given ? given : otherwise;
}

void ssh_server_argv(struct ssh_argv *out, const struct ssh_place *place, bool root_shell)
{
    static const struct ssh_place box;
    const struct ssh_place *p = place ? place : &box;
    *out = (struct ssh_argv){0};
    snprintf(out->keepalive, sizeof out->keepalive, "%d", SSH_KEEPALIVE_S);
    snprintf(out->idle, sizeof out->idle, "%d", SSH_IDLE_S);
    snprintf(out->tries, sizeof out->tries, "%d", SSH_TRIES_MAX);
    add(out, either(p->program, "/bin/dropbear"));
    add(out, "-F"); /* in the foreground */
    add(out, "-s"); /* no passwords */
    add(out, "-g"); /* nor root's */
    add(out, "-j"); /* no forwarding to the box ... */
    add(out, "-k"); /* ... nor from it */
    add(out, "-m"); /* no message of the day */
    add_pair(out, "-r", either(p->host_key, BOX_HOST_KEY));
    add_pair(out, "-D", either(p->keys_dir, SSH_RUN));
    add_pair(out, "-P", either(p->pid_file, "/run/dropbear.pid"));
    add_pair(out, "-p", either(p->listen, "22"));
    add_pair(out, "-K", out->keepalive);
    add_pair(out, "-I", out->idle);
    add_pair(out, "-T", out->tries);
    if (!root_shell)
        add(out, "-w"); /* root does not log in */
}

void ssh_host_key_argv(struct ssh_argv *out, const char *dropbearkey, const char *host_key)
{
    *out = (struct ssh_argv){0};
    add(out, either(dropbearkey, "/bin/dropbearkey"));
    add_pair(out, "-t", "ed25519");
    add_pair(out, "-f", either(host_key, BOX_HOST_KEY));
}

/* ---- who may log in ---- */

static struct err *make_dir(const char *dir)
{
    struct stat st;
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make %s", dir);
    if (lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_new(ERR_STATE, "%s is not a directory of ours", dir);
    /* Whatever the mask was: dropbear refuses keys in a directory that others may write in. */
    return chmod(dir, 0755) == 0 ? NULL : err_errno(ERR_IO, "cannot open %s to readers", dir);
}

static struct err *write_keys(const char *dir, const char *text, size_t len)
{
    char *path = xprintf("%s/authorized_keys", dir), *fresh = xprintf("%s/.authorized_keys.new", dir);
    unlink(fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok =
        fd >= 0 && write(fd, text, len) == (ssize_t)len && fchmod(fd, 0644) == 0 && rename(fresh, path) == 0;
    struct err *e = ok ? NULL : err_errno(ERR_IO, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    free(path);
    free(fresh);
    return e;
}

static struct err *remove_keys(const char *dir)
{
    char *path = xprintf("%s/authorized_keys", dir);
    struct err *e = unlink(path) == 0 || errno == ENOENT ? NULL : err_errno(ERR_IO, "cannot remove %s", path);
    free(path);
    return e;
}

struct err *ssh_publish_keys(const char *from, const char *dir)
{
    const char *source = either(from, BOX_SSH_KEYS), *to = either(dir, SSH_RUN);
    char *text = NULL;
    size_t len = 0;
    TRY(make_dir(to));
    TRY(small_file_read(source, SSH_KEYS_BYTES_MAX, &text, &len));
    struct err *e;
    if (!text)
        e = remove_keys(to);
    else if (memchr(text, 0, len))
        e = err_new(ERR_CONFIG, "%s holds a NUL byte", source);
    else
        e = write_keys(to, text, len);
    free(text);
    return e;
}

/* ---- the host key ---- */

/* dropbear's own form: string "ssh-ed25519", string of the secret half and the public one. */
#define KEY_TYPE       "ssh-ed25519"
#define KEY_TYPE_BYTES 11
#define HALF_BYTES     32
#define KEY_BYTES      (4 + KEY_TYPE_BYTES + 4 + 2 * HALF_BYTES)

static void put_u32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void base64_unpadded(const uint8_t *p, size_t len, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | p[i];
        for (count += 8; count >= 6; count -= 6)
            *out++ = digits[bits >> (count - 6) & 63];
    }
    if (count)
        *out++ = digits[bits << (6 - count) & 63];
    *out = 0;
}

static struct err *fingerprint(const char *path, const uint8_t *key, size_t len, char *out)
{
    uint8_t blob[4 + KEY_TYPE_BYTES + 4 + HALF_BYTES], head[4 + KEY_TYPE_BYTES + 4], sum[32];
    put_u32(head, KEY_TYPE_BYTES);
    memcpy(head + 4, KEY_TYPE, KEY_TYPE_BYTES);
    put_u32(head + 4 + KEY_TYPE_BYTES, 2 * HALF_BYTES);
    if (len != KEY_BYTES || memcmp(key, head, sizeof head) != 0)
        return err_new(ERR_CORRUPT, "%s is no ed25519 host key of dropbear's", path);
    memcpy(blob, head, sizeof head);
    put_u32(blob + 4 + KEY_TYPE_BYTES, HALF_BYTES);
    memcpy(blob + sizeof head, key + sizeof head + HALF_BYTES, HALF_BYTES);
    digest_sha2(blob, sizeof blob, 256, sum);
    memcpy(out, "SHA256:", 7);
    base64_unpadded(sum, sizeof sum, out + 7);
    return NULL;
}

struct err *ssh_fingerprint(const char *host_key, char out[SSH_FINGERPRINT_BYTES])
{
    const char *path = either(host_key, BOX_HOST_KEY);
    char *key = NULL;
    size_t len = 0;
    out[0] = 0;
    TRY(small_file_read(path, 4096, &key, &len));
    if (!key)
        return err_new(ERR_STATE, "there is no host key yet (%s)", path);
    struct err *e = fingerprint(path, (const uint8_t *)key, len, out);
    explicit_bzero(key, len);
    free(key);
    return e;
}
