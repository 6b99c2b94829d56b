/* `scp -O ... admin@BOX:config/` and `:image`, see shell.h.
 *
 * A configuration is collected in memory, as a tar archive, and handed to `apply` when the sender has ended: a folder is the whole
 * configuration, files take the place of those of the same names. A bundle or an archive is handed on as it is. An image
 * is streamed into `upgrade` while it comes, and the sender is told that it is well when `upgrade` says so. The session's standard
 * output belongs to the protocol; what the commands say goes to its standard error. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cli/shell.h"

#include "base/buf.h"
#include "base/text.h"
#include "box/scp.h"
#include "box/tar.h"
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a configuration ---- */

struct upload {
    const char *rename; /* the single file's name on the box; NULL: as it is called */
    struct buf tar, file;
    char path[TAR_PATH_BYTES_MAX + 1]; /* of the folder or file that comes now, within the configuration */
    char name[SCP_NAME_BYTES_MAX + 1];
    uint32_t depth, top_files;
    bool whole; /* a folder came: it is the configuration */
    bool raw;   /* `tar` is a file as it came: a bundle or an archive */
};

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static struct err *path_add(struct upload *u, const char *name)
{
    size_t len = strlen(u->path), more = strlen(name);
    if (len + more + 1 >= sizeof u->path)
        return err_new(ERR_LIMIT, "a path is longer than %d bytes", TAR_PATH_BYTES_MAX);
    if (len)
        u->path[len++] = '/';
    memcpy(u->path + len, name, more + 1);
    return NULL;
}

static void path_up(struct upload *u)
{
    char *slash = strrchr(u->path, '/');
    *(slash ? slash : u->path) = 0;
}

static struct err *mixed(void)
{
    return err_hint(
        err_new(ERR_CONFIG, "a configuration is one folder, or files, or one bundle"),
        "scp -O -r FOLDER box:config/ replaces it; scp -O FILE... box:config/ replaces these files");
}

static struct err *config_folder(void *ctx, const char *name)
{
    struct upload *u = ctx;
    if (!u->depth && (u->whole || u->top_files || u->rename))
        return mixed();
    if (u->depth++ == 0) {
        u->whole = true;
        return NULL;
    }
    uint8_t header[TAR_BLOCK_BYTES];
    TRY(path_add(u, name));
    TRY(tar_header(header, u->path, 0, true));
    buf_put(&u->tar, header, sizeof header);
    return NULL;
}

static struct err *config_leave(void *ctx)
{
    struct upload *u = ctx;
    if (--u->depth)
        path_up(u);
    return NULL;
}

static struct err *config_file(void *ctx, const char *name, uint64_t size)
{
    struct upload *u = ctx;
    bool raw = !u->depth && (ends_with(name, ".pconfig") || ends_with(name, ".tar"));
    if (!u->depth && (u->whole || u->raw || (u->top_files && (raw || u->rename))))
        return mixed();
    uint64_t most = raw ? TAR_BYTES_MAX : TAR_FILE_BYTES_MAX;
    if (size > most || u->tar.len + size > TAR_BYTES_MAX)
        return err_new(ERR_LIMIT, "%s: a configuration has at most %u MiB, a file of it %u", name,
                       TAR_BYTES_MAX >> 20, TAR_FILE_BYTES_MAX >> 20);
    u->top_files += !u->depth;
    u->raw = raw;
    buf_reset(&u->file);
    text_fill(u->name, sizeof u->name, "%s", u->rename && !raw ? u->rename : name);
    return NULL;
}

static struct err *config_data(void *ctx, const void *p, size_t len)
{
    struct upload *u = ctx;
    buf_put(u->raw ? &u->tar : &u->file, p, len);
    return NULL;
}

static struct err *config_done(void *ctx)
{
    struct upload *u = ctx;
    if (u->raw)
        return NULL;
    TRY(path_add(u, u->name));
    struct err *e = tar_add(&u->tar, u->path, u->file.p, u->file.len);
    path_up(u);
    return e;
}

/* A file without a name that holds what came, as the standard input of `apply`. */
static struct err *hand_over(const struct shell *s, const struct upload *u, int *status)
{
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_IO, "no memory for the configuration");
    size_t at = 0;
    while (at < u->tar.len) {
        ssize_t n = write(fd, u->tar.p + at, u->tar.len - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (at < u->tar.len || lseek(fd, 0, SEEK_SET) != 0) {
        struct err *e = err_errno(ERR_IO, "no memory for the configuration");
        close(fd);
        return e;
    }
    char *words[] = {"apply", u->whole || u->raw ? NULL : "--files", NULL};
    *status = shell_ask(s, words[1] ? 2 : 1, words, (int[3]){fd, STDERR_FILENO, STDERR_FILENO});
    close(fd);
    return NULL;
}

static struct err *receive_config(const struct shell *s, const char *rename, int *status)
{
    struct upload u = {.rename = rename};
    struct scp_receiver r = {&u, config_folder, config_leave, config_file, config_data, config_done};
    struct err *e = scp_receive(STDIN_FILENO, STDOUT_FILENO, &r);
    if (!e && !u.whole && !u.top_files)
        e = err_new(ERR_CONFIG, "nothing was sent");
    if (!e && !u.raw)
        tar_end(&u.tar);
    if (!e)
        e = hand_over(s, &u, status);
    buf_fini(&u.tar);
    buf_fini(&u.file);
    return e;
}

/* ---- an image ---- */

struct image_upload {
    const struct shell *shell;
    int feed; /* -1: not started */
    int pid, ended_fd;
    int status; /* of upgrade, once it has ended */
    bool taken;
};

static struct err *image_file(void *ctx, const char *name, uint64_t size)
{
    struct image_upload *u = ctx;
    int pair[2];
    if (u->taken)
        return err_new(ERR_CONFIG, "%s: one image at a time", name);
    if (!size)
        return err_new(ERR_CONFIG, "%s is empty", name);
    /* Of sockets the end is told by shutdown, whoever else holds the descriptor. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(ERR_IO, "cannot start the upgrade");
    u->taken = true;
    u->pid = shell_ask_start(u->shell, 1, (char *[]){"upgrade", NULL},
                             (int[3]){pair[0], STDERR_FILENO, STDERR_FILENO}, &u->ended_fd);
    close(pair[0]);
    u->feed = pair[1];
    return u->pid < 0 ? err_errno(ERR_IO, "cannot start the upgrade") : NULL;
}

static struct err *image_end(struct image_upload *u)
{
    if (u->feed >= 0) {
        shutdown(u->feed, SHUT_WR);
        close(u->feed);
        u->feed = -1;
        u->status = u->pid > 0 ? shell_ask_wait(u->pid, u->ended_fd) : EXIT_FAILED;
    }
    return u->status ? err_new(ERR_STATE, "the image was not taken: see above") : NULL;
}

static struct err *image_data(void *ctx, const void *p, size_t len)
{
    struct image_upload *u = ctx;
    for (size_t at = 0; at < len;) {
        ssize_t n = send(u->feed, (const char *)p + at, len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* it has ended, and said why */
            struct err *e = image_end(u);
            return e ? e : err_new(ERR_CONFIG, "the image is followed by what is no image");
        }
        at += (size_t)n;
    }
    return NULL;
}

static struct err *image_done(void *ctx)
{
    return image_end(ctx);
}

static struct err *receive_image(const struct shell *s, int *status)
{
    struct image_upload u = {.shell = s, .feed = -1, .status = EXIT_FAILED};
    struct scp_receiver r = {&u, NULL, NULL, image_file, image_data, image_done};
    struct err *e = scp_receive(STDIN_FILENO, STDOUT_FILENO, &r);
    if (e && u.feed >= 0) { /* cut off: what has come is no whole image, and is not to be taken for one */
        kill(u.pid, SIGKILL);
        err_free(image_end(&u));
    }
    *status = u.taken ? u.status : EXIT_FAILED;
    return e;
}

/* ---- where to ---- */

static bool name_plain(const char *name)
{
    for (const char *c = name; *c; c++)
        if (*c == '/' || (unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return *name && *name != '.' && strlen(name) <= SCP_NAME_BYTES_MAX;
}

static struct err *receive(const struct shell *s, const char *path, int *status)
{
    const char *file = strncmp(path, "config/", 7) == 0 ? path + 7 : NULL;
    if (strcmp(path, "image") == 0)
        return receive_image(s, status);
    if (strcmp(path, "config") == 0 || (file && !*file))
        return receive_config(s, NULL, status);
    if (file && name_plain(file))
        return receive_config(s, file, status);
    /* The protocol is not spoken yet: \2 is how the sender's scp takes a refusal at its start. */
    printf("\2scp: only config/ and image can be written to\n");
    fflush(stdout);
    return err_new(ERR_AUTH, "scp: only config/ and image can be written to");
}

int shell_scp(const struct shell *s, int count, char *const *words)
{
    const char *path;
    int status = EXIT_DONE;
    signal(SIGPIPE, SIG_IGN);
    struct err *e = scp_words(count, words, &path);
    if (!e)
        e = receive(s, path, &status);
    int said = cli_report(e);
    return status ? status : said;
}
