/* Manifests of backups; see manifest.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/manifest.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/sha256.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#define HASH_STEP_BYTES ((size_t)1 << 20)
#define SHA256_BYTES    32

struct manifest *manifest_new(void)
{
    struct manifest *m = xcalloc(1, sizeof *m);
    arena_init(&m->arena);
    m->format = MANIFEST_FORMAT;
    m->store_format = STORE_FORMAT;
    m->build = "";
    return m;
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    arena_fini(&m->arena);
    free(m->sources);
    free(m->files);
    free(m);
}

void manifest_add_source(struct manifest *m, const char *name, const char *position)
{
    m->sources = xrealloc(m->sources, (m->source_count + 1) * sizeof *m->sources);
    m->sources[m->source_count++] =
        (struct manifest_source){arena_strdup(&m->arena, name), arena_strdup(&m->arena, position)};
}

static struct manifest_file *add_file(struct manifest *m, const char *path)
{
    m->files = xrealloc(m->files, (m->file_count + 1) * sizeof *m->files);
    struct manifest_file *f = &m->files[m->file_count++];
    *f = (struct manifest_file){.path = arena_strdup(&m->arena, path)};
    return f;
}

uint64_t manifest_bytes(const struct manifest *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m->file_count; i++)
        bytes += m->files[i].size_bytes;
    return bytes;
}

/* ---- checksums ---- */

static void hex_write(const uint8_t sum[SHA256_BYTES], char out[SHA256_HEX_BYTES])
{
    for (int i = 0; i < SHA256_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
}

static void hash_bytes_hex(const void *p, size_t len, char out[SHA256_HEX_BYTES])
{
    uint8_t sum[SHA256_BYTES];
    if (mbedtls_sha256(p, len, sum, 0))
        PANIC("SHA-256 failed");
    hex_write(sum, out);
}

static struct err *hash_fd(int fd, const char *path, const struct hash_tick *tick, struct manifest_file *out)
{
    mbedtls_sha256_context sha;
    uint8_t *block = xmalloc(HASH_STEP_BYTES), sum[SHA256_BYTES];
    struct err *e = NULL;
    mbedtls_sha256_init(&sha);
    int rc = mbedtls_sha256_starts(&sha, 0);
    out->size_bytes = 0;
    for (ssize_t n = 1; n > 0 && !e && !rc;) {
        n = pread(fd, block, HASH_STEP_BYTES, (off_t)out->size_bytes);
        if (n < 0) {
            e = err_errno(ERR_IO, "cannot read %s", path);
        } else {
            rc = mbedtls_sha256_update(&sha, block, (size_t)n);
            out->size_bytes += (uint64_t)n;
            if (tick && tick->fn && !tick->fn(tick->ctx, (uint64_t)n))
                e = err_new(ERR_STATE, "stopped while reading %s", path);
        }
    }
    rc = rc ? rc : mbedtls_sha256_finish(&sha, sum);
    ASSERT(rc == 0);
    hex_write(sum, out->sha256);
    mbedtls_sha256_free(&sha);
    free(block);
    return e;
}

struct err *manifest_hash(const char *path, const struct hash_tick *tick, struct manifest_file *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(ERR_IO, "cannot open %s", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    struct err *e = hash_fd(fd, path, tick, out);
    close(fd);
    return e;
}

struct err *manifest_add_file(struct manifest *m, const char *dir, const char *path,
                              const struct hash_tick *tick)
{
    char *full = xprintf("%s/%s", dir, path);
    struct err *e = manifest_hash(full, tick, add_file(m, path));
    free(full);
    return e;
}

struct err *manifest_check_file(const struct manifest_file *f, const char *dir, const struct hash_tick *tick)
{
    struct manifest_file found = {.path = f->path};
    struct stat st;
    char *full = xprintf("%s/%s", dir, f->path);
    struct err *e = NULL;
    if (stat(full, &st))
        e = errno == ENOENT ? err_new(ERR_CORRUPT, "%s is missing", full)
                            : err_errno(ERR_IO, "cannot look at %s", full);
    else if ((uint64_t)st.st_size != f->size_bytes)
        e = err_new(ERR_CORRUPT, "%s has %llu bytes, not %llu", full, (unsigned long long)st.st_size,
                    (unsigned long long)f->size_bytes);
    if (!e)
        e = manifest_hash(full, tick, &found);
    if (!e && strcmp(found.sha256, f->sha256) != 0)
        e = err_new(ERR_CORRUPT, "%s is damaged: its SHA-256 is %s, not %s", full, found.sha256, f->sha256);
    free(full);
    return e;
}

/* ---- writing ---- */

static char *manifest_text(const struct manifest *m, size_t *len)
{
    yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(d);
    yyjson_mut_doc_set_root(d, root);
    yyjson_mut_obj_add_uint(d, root, "penstock_backup", m->format);
    yyjson_mut_obj_add_uint(d, root, "store_format", m->store_format);
    yyjson_mut_obj_add_uint(d, root, "shards", m->shard_count);
    yyjson_mut_obj_add_uint(d, root, "epoch", m->epoch);
    yyjson_mut_obj_add_str(d, root, "build", m->build);
    yyjson_mut_obj_add_int(d, root, "made_us", m->made_us);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(d, root, "sources");
    for (uint32_t i = 0; i < m->source_count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, o, "name", m->sources[i].name);
        yyjson_mut_obj_add_str(d, o, "position", m->sources[i].position);
    }
    list = yyjson_mut_obj_add_arr(d, root, "files");
    for (uint32_t i = 0; i < m->file_count; i++) {
        yyjson_mut_val *o = yyjson_mut_arr_add_obj(d, list);
        yyjson_mut_obj_add_str(d, o, "path", m->files[i].path);
        yyjson_mut_obj_add_uint(d, o, "bytes", m->files[i].size_bytes);
        yyjson_mut_obj_add_str(d, o, "sha256", m->files[i].sha256);
    }
    char *text = yyjson_mut_write(d, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, len);
    yyjson_mut_doc_free(d);
    ASSERT(text);
    return text;
}

static struct err *file_write(const char *dir, const char *name, const char *text, size_t len)
{
    char *path = xprintf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct err *e = NULL;
    if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd))
        e = err_errno(ERR_IO, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    free(path);
    return e;
}

struct err *manifest_save(const struct manifest *m, const char *dir)
{
    size_t len;
    char *text = manifest_text(m, &len), sum[SHA256_HEX_BYTES];
    hash_bytes_hex(text, len, sum);
    char *line = xprintf("%s  " MANIFEST_FILE "\n", sum);
    struct err *e = file_write(dir, MANIFEST_FILE, text, len);
    if (!e)
        e = file_write(dir, MANIFEST_SUM_FILE, line, strlen(line));
    free(line);
    free(text);
    return e ? e : store_directory_sync(dir);
}

/* ---- reading ---- */

static struct err *damaged(const char *dir, const char *what)
{
    return err_new(ERR_CORRUPT, "%s/" MANIFEST_FILE " is damaged: %s", dir, what);
}

/* *out NULL: there is no such file. */
static struct err *file_read(const char *dir, const char *name, char **out, size_t *len)
{
    char *path = xprintf("%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err *e =
        fd < 0 && errno != ENOENT && errno != ENOTDIR ? err_errno(ERR_IO, "cannot open %s", path) : NULL;
    *out = NULL;
    if (fd >= 0) {
        *out = xmalloc(MANIFEST_BYTES_MAX + 1);
        ssize_t n = pread(fd, *out, MANIFEST_BYTES_MAX + 1, 0);
        if (n < 0)
            e = err_errno(ERR_IO, "cannot read %s", path);
        else if (n > (ssize_t)MANIFEST_BYTES_MAX)
            e = err_new(ERR_LIMIT, "%s has more than %u bytes", path, MANIFEST_BYTES_MAX);
        *len = n > 0 ? (size_t)n : 0;
        close(fd);
    }
    free(path);
    return e;
}

static bool path_allowed(const char *p)
{
    return p && *p && *p != '/' && !strstr(p, "..") && strlen(p) < 256;
}

static bool get_files(struct manifest *m, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *o;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > MANIFEST_FILES_MAX)
        return false;
    yyjson_arr_foreach(list, i, n, o)
    {
        const char *path = yyjson_get_str(yyjson_obj_get(o, "path"));
        const char *sum = yyjson_get_str(yyjson_obj_get(o, "sha256"));
        yyjson_val *bytes = yyjson_obj_get(o, "bytes");
        if (!path_allowed(path) || !sum || strlen(sum) != SHA256_HEX_BYTES - 1 || !yyjson_is_uint(bytes))
            return false;
        struct manifest_file *f = add_file(m, path);
        f->size_bytes = yyjson_get_uint(bytes);
        memcpy(f->sha256, sum, SHA256_HEX_BYTES);
    }
    return true;
}

static bool get_sources(struct manifest *m, yyjson_val *list)
{
    size_t i, n;
    yyjson_val *o;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > GATE_SOURCES_MAX)
        return false;
    yyjson_arr_foreach(list, i, n, o)
    {
        const char *name = yyjson_get_str(yyjson_obj_get(o, "name"));
        const char *position = yyjson_get_str(yyjson_obj_get(o, "position"));
        if (!name || !position)
            return false;
        manifest_add_source(m, name, position);
    }
    return true;
}

static struct err *get_manifest(struct manifest *m, const char *dir, yyjson_val *root)
{
    yyjson_val *format = yyjson_obj_get(root, "penstock_backup");
    if (!yyjson_is_uint(format))
        return damaged(dir, "it does not say its format");
    m->format = (uint32_t)yyjson_get_uint(format);
    if (m->format != MANIFEST_FORMAT)
        return err_hint(err_new(ERR_STATE, "the backup %s has format %u, this program reads format %u", dir,
                                m->format, MANIFEST_FORMAT),
                        "use the program that wrote it");
    m->store_format = (uint32_t)yyjson_get_uint(yyjson_obj_get(root, "store_format"));
    m->shard_count = (uint32_t)yyjson_get_uint(yyjson_obj_get(root, "shards"));
    m->epoch = yyjson_get_uint(yyjson_obj_get(root, "epoch"));
    m->made_us = yyjson_get_sint(yyjson_obj_get(root, "made_us"));
    const char *build = yyjson_get_str(yyjson_obj_get(root, "build"));
    m->build = arena_strdup(&m->arena, build ? build : "");
    if (m->store_format < STORE_FORMAT_OLDEST || m->store_format > STORE_FORMAT)
        return err_hint(err_new(ERR_STATE,
                                "the backup %s has a store of format %u, this program reads formats %u to %u",
                                dir, m->store_format, STORE_FORMAT_OLDEST, STORE_FORMAT),
                        "use the program that wrote it (%s)", m->build);
    if (m->shard_count < 1 || m->shard_count > GATE_SHARDS_MAX)
        return damaged(dir, "its number of shards");
    if (!get_files(m, yyjson_obj_get(root, "files")) || !get_sources(m, yyjson_obj_get(root, "sources")))
        return damaged(dir, "its lists");
    return NULL;
}

static struct err *check_sum(const char *dir, const char *text, size_t len)
{
    char *line, sum[SHA256_HEX_BYTES];
    size_t line_len = 0;
    hash_bytes_hex(text, len, sum);
    struct err *e = file_read(dir, MANIFEST_SUM_FILE, &line, &line_len);
    if (!e && !line)
        e = err_new(ERR_CORRUPT, "%s/" MANIFEST_SUM_FILE " is missing", dir);
    if (!e && (line_len < SHA256_HEX_BYTES - 1 || memcmp(line, sum, SHA256_HEX_BYTES - 1) != 0))
        e = damaged(dir, "its SHA-256 is not that of " MANIFEST_SUM_FILE);
    free(line);
    return e;
}

struct err *manifest_load(const char *dir, struct manifest **out)
{
    char *text;
    size_t len = 0;
    *out = NULL;
    struct err *e = file_read(dir, MANIFEST_FILE, &text, &len);
    if (!e && !text)
        e = err_new(ERR_STATE, "%s is no backup: it has no " MANIFEST_FILE, dir);
    if (!e)
        e = check_sum(dir, text, len);
    if (e) {
        free(text);
        return e;
    }
    struct manifest *m = manifest_new();
    yyjson_doc *doc = yyjson_read(text, len, 0);
    free(text);
    e = doc ? get_manifest(m, dir, yyjson_doc_get_root(doc)) : damaged(dir, "not JSON");
    yyjson_doc_free(doc);
    if (e)
        manifest_free(m);
    else
        *out = m;
    return e;
}
