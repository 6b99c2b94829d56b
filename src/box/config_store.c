/* See config_store.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/config_store.h"

#include "box/scratch.h"
#include "box/tar.h"
#include "store/small_file.h"
#include "types/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

#define META_BYTES_MAX 4096

/* ---- names ---- */

static char *in(const char *dir, const char *name)
{
    return xprintf("%s/%s", dir, name);
}

static bool is_there(const char *dir, const char *name)
{
    char *path = in(dir, name);
    struct stat st;
    bool there = lstat(path, &st) == 0;
    free(path);
    return there;
}

static struct err *sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err *e = fd >= 0 && fsync(fd) == 0 ? NULL : err_errno(ERR_IO, "cannot sync %s", dir);
    if (fd >= 0)
        close(fd);
    return e;
}

/* flags: of renameat2. Durable when it returns. */
static struct err *rename_in(const char *dir, const char *from, const char *to, unsigned flags)
{
    char *a = in(dir, from), *b = in(dir, to);
    struct err *e = NULL;
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, flags) != 0)
        e = err_errno(ERR_IO, "cannot put %s in the place of %s", a, b);
    free(a);
    free(b);
    return e ? e : sync_dir(dir);
}

static struct err *remove_in(const char *dir, const char *name)
{
    char *path = in(dir, name);
    struct err *e = scratch_remove_tree(path);
    free(path);
    return e;
}

/* ---- what is known of one ---- */

static void hex(const uint8_t *p, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

static bool sum_of(const char *path, char out[CONFIG_STORE_SHA_BYTES])
{
    struct buf tar = {0};
    uint8_t sum[32];
    struct err *e = tar_folder(&tar, path);
    bool ok = !e;
    if (ok) {
        digest_sha2(tar.p, tar.len, 256, sum);
        hex(sum, sizeof sum, out);
    }
    err_free(e);
    buf_fini(&tar);
    return ok;
}

static void copy_text(yyjson_val *root, const char *key, char *out, size_t size)
{
    const char *text = yyjson_get_str(yyjson_obj_get(root, key));
    if (text && strlen(text) < size)
        memcpy(out, text, strlen(text) + 1);
}

bool config_store_meta(const char *dir, const char *name, struct config_meta *out)
{
    char *path = in(dir, name), *file = in(path, CONFIG_STORE_META), *text = NULL;
    size_t len = 0;
    bool there = is_there(dir, name);
    *out = (struct config_meta){0};
    err_free(there ? small_file_read(file, META_BYTES_MAX, &text, &len) : NULL);
    yyjson_doc *doc = text ? yyjson_read(text, len, 0) : NULL;
    if (doc) {
        yyjson_val *root = yyjson_doc_get_root(doc);
        out->number = yyjson_get_uint(yyjson_obj_get(root, "number"));
        copy_text(root, "sha256", out->sha256, sizeof out->sha256);
        copy_text(root, "applied_at", out->at, sizeof out->at);
    }
    yyjson_doc_free(doc);
    if (there && !out->sha256[0])
        sum_of(path, out->sha256);
    free(text);
    free(file);
    free(path);
    return there;
}

static struct err *write_meta(const char *path, uint64_t number)
{
    char sum[CONFIG_STORE_SHA_BYTES] = "", text[256], at[32];
    time_t now = time(NULL);
    struct tm tm;
    sum_of(path, sum);
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
    int n = snprintf(text, sizeof text, "{\"number\":%llu,\"sha256\":\"%s\",\"applied_at\":\"%s\"}\n",
                     (unsigned long long)number, sum, at);
    return small_file_replace(path, CONFIG_STORE_META, text, (size_t)n);
}

/* ---- writing one ---- */

static struct err *extract(const char *path, const struct buf *tar, uid_t uid, gid_t gid)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_IO, "cannot open %s", path);
    struct err *e = fchown(fd, uid, gid) != 0 || fchmod(fd, 0750) != 0
                        ? err_errno(ERR_IO, "cannot give %s away", path)
                        : tar_extract(tar->p, tar->len, fd, uid, gid);
    if (!e && faccessat(fd, "penstock.yaml", R_OK, 0) != 0)
        e = err_hint(err_new(ERR_CONFIG, "the configuration has no penstock.yaml at its top"),
                     "in an archive its path is penstock.yaml, not FOLDER/penstock.yaml");
    if (!e && fsync(fd) != 0)
        e = err_errno(ERR_IO, "cannot sync %s", path);
    close(fd);
    return e;
}

static struct err *make_dir(const char *dir, gid_t gid)
{
    if (mkdir(dir, 0750) != 0)
        return errno == EEXIST ? NULL : err_errno(ERR_IO, "cannot make %s", dir);
    return chown(dir, (uid_t)-1, gid) == 0 && chmod(dir, 0750) == 0
               ? NULL
               : err_errno(ERR_IO, "cannot give %s to its readers", dir);
}

struct err *config_store_unpack(const char *dir, uid_t uid, gid_t gid, const struct buf *tar,
                                struct scratch *out)
{
    TRY(make_dir(dir, gid));
    TRY(scratch_make(out, dir, "check"));
    struct err *e = extract(out->path, tar, uid, gid);
    if (e)
        scratch_remove(out);
    return e;
}

/* ---- merging ---- */

static bool has_entry(const struct buf *tar, const char *path)
{
    struct tar_reader r;
    struct tar_entry entry;
    bool more = true;
    tar_open(&r, tar->p, tar->len);
    for (;;) {
        struct err *e = tar_next(&r, &entry, &more);
        if (e || !more) {
            err_free(e);
            return false;
        }
        if (strcmp(entry.path, path) == 0)
            return true;
    }
}

static struct err *add_entry(struct buf *out, const struct tar_entry *entry)
{
    uint8_t header[TAR_BLOCK_BYTES];
    if (!entry->folder)
        return tar_add(out, entry->path, entry->data, entry->len);
    TRY(tar_header(header, entry->path, 0, true));
    buf_put(out, header, sizeof header);
    return NULL;
}

static struct err *add_all(struct buf *out, const struct buf *from, const struct buf *but)
{
    struct tar_reader r;
    struct tar_entry entry;
    bool more = true;
    tar_open(&r, from->p, from->len);
    for (;;) {
        TRY(tar_next(&r, &entry, &more));
        if (!more)
            return NULL;
        if (!but || !has_entry(but, entry.path))
            TRY(add_entry(out, &entry));
    }
}

struct err *config_store_merge(const char *dir, const struct buf *tar, struct buf *out)
{
    struct buf present = {0};
    char *path = in(dir, "current");
    struct err *e = is_there(dir, "current") ? tar_folder(&present, path) : NULL;
    if (!e && present.len)
        e = add_all(out, &present, tar);
    if (!e)
        e = add_all(out, tar, NULL);
    if (!e)
        tar_end(out);
    free(path);
    buf_fini(&present);
    return e;
}

/* ---- the store ---- */

/* `next` was current until config_store_begin: it becomes previous. */
static struct err *keep_former(const char *dir)
{
    TRY(remove_in(dir, "old"));
    if (is_there(dir, "previous"))
        TRY(rename_in(dir, "previous", "old", 0));
    TRY(rename_in(dir, "next", "previous", 0));
    return remove_in(dir, "old");
}

static struct err *tidy(const char *dir)
{
    struct config_meta next, current;
    TRY(remove_in(dir, "old"));
    if (!config_store_meta(dir, "next", &next))
        return NULL;
    if (config_store_meta(dir, "current", &current) && next.number < current.number)
        return keep_former(dir);
    return remove_in(dir, "next");
}

struct err *config_store_open(struct config_store *s, const char *dir, uid_t uid, gid_t gid)
{
    *s = (struct config_store){.dir = xstrdup(dir), .lock_fd = -1, .uid = uid, .gid = gid};
    struct err *e = make_dir(dir, gid);
    char *lock = in(dir, "lock");
    if (!e && (s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) < 0)
        e = err_errno(ERR_IO, "cannot open %s", lock);
    if (!e && flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        e = err_hint(err_new(ERR_STATE, "another configuration is being applied"), "wait for it, or end it");
    if (!e)
        e = tidy(dir);
    free(lock);
    if (e)
        config_store_close(s);
    return e;
}

void config_store_close(struct config_store *s)
{
    if (s->lock_fd >= 0) {
        err_free(tidy(s->dir)); /* the next one to open it tries again */
        close(s->lock_fd);
    }
    free(s->dir);
    *s = (struct config_store){.lock_fd = -1};
}

struct err *config_store_stage(struct config_store *s, const struct buf *tar)
{
    struct config_meta current, previous;
    config_store_meta(s->dir, "current", &current);
    config_store_meta(s->dir, "previous", &previous);
    uint64_t number = (current.number > previous.number ? current.number : previous.number) + 1;
    char *path = in(s->dir, "next");
    struct err *e = scratch_remove_tree(path);
    if (!e && mkdir(path, 0700) != 0)
        e = err_errno(ERR_IO, "cannot make %s", path);
    if (!e)
        e = extract(path, tar, s->uid, s->gid);
    if (!e)
        e = write_meta(path, number);
    if (!e)
        e = sync_dir(s->dir);
    if (e)
        err_free(scratch_remove_tree(path));
    free(path);
    return e;
}

struct err *config_store_begin(struct config_store *s)
{
    s->swapped = false;
    s->had_current = is_there(s->dir, "current");
    return rename_in(s->dir, "next", "current", s->had_current ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

struct err *config_store_begin_previous(struct config_store *s)
{
    s->swapped = s->had_current = true;
    if (!is_there(s->dir, "previous") || !is_there(s->dir, "current"))
        return err_new(ERR_STATE, "there is no previous configuration");
    return rename_in(s->dir, "previous", "current", RENAME_EXCHANGE);
}

struct err *config_store_commit(struct config_store *s)
{
    return s->swapped || !s->had_current ? NULL : keep_former(s->dir);
}

struct err *config_store_undo(struct config_store *s)
{
    if (s->swapped)
        return rename_in(s->dir, "previous", "current", RENAME_EXCHANGE);
    TRY(rename_in(s->dir, "current", "next", s->had_current ? RENAME_EXCHANGE : RENAME_NOREPLACE));
    return remove_in(s->dir, "next");
}
