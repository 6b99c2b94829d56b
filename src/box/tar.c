/* Reading tar archives, and their layout; see tar.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/tar.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Offsets in a header block. */
enum {
    NAME = 0,
    MODE = 100,
    UID = 108,
    GID = 116,
    SIZE = 124,
    MTIME = 136,
    SUM = 148,
    TYPE = 156,
    LINK = 157
};
enum { MAGIC = 257, PREFIX = 345 };
enum { NAME_BYTES = 100, PREFIX_BYTES = 155, SUM_BYTES = 8 };

/* ---- reading ---- */

void tar_open(struct tar_reader *r, const void *p, size_t len)
{
    *r = (struct tar_reader){.p = p, .len = len};
}

static bool octal(const uint8_t *p, size_t len, uint64_t *out)
{
    size_t i = 0;
    *out = 0;
    while (i < len && p[i] == ' ')
        i++;
    if (i == len)
        return false;
    for (; i < len && p[i] != ' ' && p[i]; i++) {
        if (p[i] < '0' || p[i] > '7' || *out >> 60)
            return false;
        *out = *out << 3 | (uint64_t)(p[i] - '0');
    }
    return true;
}

static uint64_t sum_of(const uint8_t *h)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += i >= SUM && i < SUM + SUM_BYTES ? ' ' : h[i];
    return sum;
}

bool tar_is(const void *p, size_t len)
{
    const uint8_t *h = p;
    uint64_t sum;
    return len >= TAR_BLOCK_BYTES && memcmp(h + MAGIC, "ustar", 5) == 0 && octal(h + SUM, SUM_BYTES, &sum) &&
           sum == sum_of(h);
}

static bool all_zero(const uint8_t *p)
{
    for (size_t i = 0; i < TAR_BLOCK_BYTES; i++)
        if (p[i])
            return false;
    return true;
}

static size_t text_length(const uint8_t *p, size_t most)
{
    const uint8_t *zero = memchr(p, 0, most);
    return zero ? (size_t)(zero - p) : most;
}

static bool printable(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)p[i] < 32 || p[i] == 127 || p[i] == '\\')
            return false;
    return utf8_valid((const uint8_t *)p, len);
}

/* Component by component; empty ones and "." are dropped where tar programs put them: in front, and at the end. */
static struct err *path_check(const char *raw, size_t len, char out[TAR_PATH_BYTES_MAX + 1])
{
    int depth = 0;
    size_t n = 0;
    if (!printable(raw, len))
        return err_new(ERR_CONFIG, "the archive has a name that is not printable");
    if (len && raw[0] == '/')
        return err_new(ERR_CONFIG, "the archive has an absolute path: %.*s", text_fit(raw, len, 80), raw);
    for (size_t i = 0; i < len;) {
        size_t end = i;
        while (end < len && raw[end] != '/')
            end++;
        const size_t part = end - i;
        if (part == 2 && raw[i] == '.' && raw[i + 1] == '.')
            return err_new(ERR_CONFIG, "the archive has a path with '..'");
        if (part && !(part == 1 && raw[i] == '.')) {
            if (n + part + 1 > TAR_PATH_BYTES_MAX || ++depth > TAR_DEPTH_MAX)
                return err_new(ERR_LIMIT, "the archive has a path of more than %d bytes or %d folders",
                               TAR_PATH_BYTES_MAX, TAR_DEPTH_MAX);
            if (n)
                out[n++] = '/';
            memcpy(out + n, raw + i, part);
            n += part;
        }
        i = end + 1;
    }
    out[n] = 0;
    return NULL;
}

static struct err *entry_path(const uint8_t *h, char out[TAR_PATH_BYTES_MAX + 1])
{
    char raw[PREFIX_BYTES + 1 + NAME_BYTES];
    size_t n = 0;
    /* GNU's older magic ("ustar  ") has other fields where the prefix is. */
    if (h[MAGIC + 5] == 0 && h[PREFIX]) {
        n = text_length(h + PREFIX, PREFIX_BYTES);
        memcpy(raw, h + PREFIX, n);
        raw[n++] = '/';
    }
    size_t name = text_length(h + NAME, NAME_BYTES);
    memcpy(raw + n, h + NAME, name);
    return path_check(raw, n + name, out);
}

/* Records "LENGTH KEY=VALUE\n": those that would change what an entry is are refused, others (times, owners) mean nothing here. */
static struct err *pax_check(const uint8_t *p, size_t len)
{
    static const char *const refused[] = {"path", "linkpath", "size", "GNU.sparse"};
    for (size_t at = 0; at < len && p[at];) {
        size_t n = 0, i = at;
        while (i < len && p[i] >= '0' && p[i] <= '9' && n < len)
            n = n * 10 + (size_t)(p[i++] - '0');
        if (i == at || i >= len || p[i] != ' ' || n <= i + 1 - at || n > len - at)
            return err_new(ERR_CONFIG, "the archive has a damaged pax header");
        const char *key = (const char *)p + i + 1;
        for (size_t k = 0; k < ARRAY_COUNT(refused); k++)
            if (n - (i + 1 - at) >= strlen(refused[k]) && memcmp(key, refused[k], strlen(refused[k])) == 0)
                return err_hint(err_new(ERR_CONFIG, "the archive has a pax header for '%s'", refused[k]),
                                "names of at most 100 bytes, and files without holes: tar --format=ustar");
        at += n;
    }
    return NULL;
}

static struct err *header_read(struct tar_reader *r, const uint8_t **h, size_t *size)
{
    uint64_t sum, bytes;
    *h = r->p + r->at;
    if (r->len - r->at < TAR_BLOCK_BYTES)
        return err_new(ERR_CONFIG, "the archive ends in the middle");
    if (!octal(*h + SUM, SUM_BYTES, &sum) || sum != sum_of(*h) || memcmp(*h + MAGIC, "ustar", 5) != 0)
        return err_new(ERR_CONFIG, "the archive is damaged, or is no tar archive, at byte %zu", r->at);
    if (!octal(*h + SIZE, 12, &bytes) || bytes > TAR_FILE_BYTES_MAX)
        return err_new(ERR_LIMIT, "the archive has a file of more than %u bytes", TAR_FILE_BYTES_MAX);
    r->at += TAR_BLOCK_BYTES;
    const uint64_t padded = (bytes + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    if (padded > r->len - r->at)
        return err_new(ERR_CONFIG, "the archive ends in the middle");
    *size = (size_t)bytes;
    r->at += padded;
    return NULL;
}

static struct err *end_check(struct tar_reader *r, bool *end)
{
    *end = false;
    if (r->len - r->at >= TAR_BLOCK_BYTES && !all_zero(r->p + r->at))
        return NULL;
    if (r->len - r->at < 2 * TAR_BLOCK_BYTES || !all_zero(r->p + r->at + TAR_BLOCK_BYTES))
        return err_new(ERR_CONFIG, "the archive ends in the middle");
    *end = true;
    return NULL;
}

struct err *tar_next(struct tar_reader *r, struct tar_entry *out, bool *more)
{
    const uint8_t *h;
    size_t size = 0;
    bool end;
    *more = false;
    for (;;) {
        TRY(end_check(r, &end));
        if (end)
            return NULL;
        if (r->entry_count++ == TAR_ENTRIES_MAX)
            return err_new(ERR_LIMIT, "the archive has more than %d entries", TAR_ENTRIES_MAX);
        const size_t data = r->at + TAR_BLOCK_BYTES;
        TRY(header_read(r, &h, &size));
        const char type = (char)h[TYPE];
        if (type == 'x' || type == 'g') {
            TRY(pax_check(r->p + data, size));
            continue;
        }
        TRY(entry_path(h, out->path));
        if (type != '0' && type != 0 && type != '5')
            return err_new(ERR_CONFIG, "the archive has '%s', which is neither a file nor a folder",
                           out->path);
        out->folder = type == '5';
        if (out->folder && size)
            return err_new(ERR_CONFIG, "the archive's folder '%s' has content", out->path);
        if (out->folder && !out->path[0])
            continue; /* "./" */
        if (!out->path[0])
            return err_new(ERR_CONFIG, "the archive has a file without a name");
        out->data = out->folder ? NULL : r->p + data;
        out->len = size;
        *more = true;
        return NULL;
    }
}

/* ---- extracting ---- */

struct extraction {
    int top;
    uid_t uid;
    gid_t gid;
};

static struct err *give(const struct extraction *x, int fd, const char *path)
{
    if (x->uid != (uid_t)-1 && fchown(fd, x->uid, x->gid))
        return err_errno(ERR_IO, "cannot give '%s' to its owner", path);
    return NULL;
}

/* Opens the folder `name` of `parent`, making it when it is not there. The directory was empty, so that whatever is in it is ours. */
static struct err *folder_open(const struct extraction *x, int parent, const char *name, const char *path,
                               int *out)
{
    bool made = mkdirat(parent, name, 0750) == 0;
    if (!made && errno != EEXIST)
        return err_errno(ERR_IO, "cannot make the folder '%s'", name);
    *out = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*out < 0)
        return errno == ENOTDIR
                   ? err_new(ERR_CONFIG, "the archive has '%s' both as a file and as a folder", path)
                   : err_errno(ERR_IO, "cannot open the folder '%s'", name);
    return made ? give(x, *out, name) : NULL;
}

static struct err *file_make(const struct extraction *x, int parent, const char *name,
                             const struct tar_entry *t)
{
    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno == EEXIST ? err_new(ERR_CONFIG, "the archive has '%s' twice", t->path)
                               : err_errno(ERR_IO, "cannot make '%s'", t->path);
    errno = file_write_at(fd, t->data, t->len, 0);
    struct err *e =
        errno || fsync(fd) ? err_errno(ERR_IO, "cannot write '%s'", t->path) : give(x, fd, t->path);
    close(fd);
    return e;
}

static struct err *entry_extract(const struct extraction *x, const struct tar_entry *t)
{
    char path[TAR_PATH_BYTES_MAX + 1];
    memcpy(path, t->path, sizeof path);
    int at = dup(x->top);
    struct err *e = at < 0 ? err_errno(ERR_IO, "cannot unpack the archive") : NULL;
    char *name = path;
    while (!e) {
        char *slash = strchr(name, '/');
        if (!slash && !t->folder) {
            e = file_make(x, at, name, t);
            break;
        }
        if (slash)
            *slash = 0;
        int next = -1;
        e = folder_open(x, at, name, t->path, &next);
        if (e)
            break;
        close(at);
        at = next;
        if (!slash)
            break;
        name = slash + 1;
    }
    if (!e && fsync(at))
        e = err_errno(ERR_IO, "cannot unpack '%s'", t->path);
    if (at >= 0)
        close(at);
    return e;
}

struct err *tar_extract(const void *p, size_t len, int dir_fd, uid_t uid, gid_t gid)
{
    const struct extraction x = {dir_fd, uid, gid};
    struct tar_reader r;
    struct tar_entry t;
    bool more;
    if (len > TAR_BYTES_MAX)
        return err_new(ERR_LIMIT, "the archive has more than %u bytes", TAR_BYTES_MAX);
    for (int pass = 0; pass < 2; pass++) {
        tar_open(&r, p, len);
        for (;;) {
            TRY(tar_next(&r, &t, &more));
            if (!more)
                break;
            if (pass)
                TRY(entry_extract(&x, &t));
        }
    }
    return fsync(dir_fd) ? err_errno(ERR_IO, "cannot unpack the archive") : NULL;
}

/* ---- writing ---- */

/* A long path is split at a slash: the first part goes into the prefix. */
static bool path_put(uint8_t h[TAR_BLOCK_BYTES], const char *path, size_t len)
{
    size_t cut = 0;
    if (len > TAR_PATH_BYTES_MAX)
        return false;
    if (len > NAME_BYTES) {
        for (size_t i = len - 1; i > 0 && len - i - 1 <= NAME_BYTES; i--)
            if (path[i] == '/' && i <= PREFIX_BYTES && i + 1 < len)
                cut = i;
        if (!cut)
            return false;
        memcpy(h + PREFIX, path, cut);
        cut++;
    }
    memcpy(h + NAME, path + cut, len - cut);
    return true;
}

struct err *tar_header(uint8_t out[TAR_BLOCK_BYTES], const char *path, uint64_t size_bytes, bool folder)
{
    char field[16];
    memset(out, 0, TAR_BLOCK_BYTES);
    if (!path_put(out, path, strlen(path)))
        return err_new(ERR_LIMIT, "the path '%.*s' is too long for an archive", TEXT_QUOTED_CSTR(path, 80));
    if (size_bytes >> 33)
        return err_new(ERR_LIMIT, "'%s' is too large for an archive", path);
    memcpy(out + MODE, folder ? "0000755" : "0000644", 8);
    memcpy(out + UID, "0000000", 8);
    memcpy(out + GID, "0000000", 8);
    snprintf(field, sizeof field, "%011llo", (unsigned long long)(folder ? 0 : size_bytes));
    memcpy(out + SIZE, field, 12);
    memcpy(out + MTIME, "00000000000", 12);
    out[TYPE] = folder ? '5' : '0';
    memcpy(out + MAGIC,
           "ustar\0"
           "00",
           8);
    snprintf(field, sizeof field, "%06llo", (unsigned long long)sum_of(out));
    memcpy(out + SUM, field, 7);
    out[SUM + 7] = ' ';
    return NULL;
}

struct err *tar_add(struct buf *out, const char *path, const void *data, size_t len)
{
    static const uint8_t zeros[TAR_BLOCK_BYTES];
    uint8_t header[TAR_BLOCK_BYTES];
    TRY(tar_header(header, path, len, false));
    buf_put(out, header, sizeof header);
    buf_put(out, data, len);
    buf_put(out, zeros, (TAR_BLOCK_BYTES - len % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
    return NULL;
}

void tar_end(struct buf *out)
{
    static const uint8_t zeros[2 * TAR_BLOCK_BYTES];
    buf_put(out, zeros, sizeof zeros);
}
