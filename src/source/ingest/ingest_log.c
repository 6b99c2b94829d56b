/* The append log's files and its group commit; see ingest_log.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "source/ingest/ingest_log.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct segment {
    uint64_t start;
};
/* One append that waits; on its thread's stack. */
struct ticket {
    enum log_kind kind;
    const void *payload;
    size_t len;
    uint64_t end;
    enum log_result result;
    bool done;
    struct ticket *next;
};
struct ingest_log {
    struct log_options o;
    char *dir;
    uint64_t id;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct segment *segments; /* oldest first; changed under the lock */
    uint32_t count, capacity;
    uint64_t durable; /* end of what is on disk */
    uint64_t syncs;
    struct ticket *first, **last; /* waiting */
    bool leading;                 /* some thread writes and syncs */
    bool broken, stopped;
    struct buf batch; /* the leader's */
    /* A segment's opening and a record of it, up to a megabyte with the keys: the leader's, and kept. Each of the threads that lead would
     * otherwise keep the memory of the last one that it made. */
    struct buf opening, payload;
    int fd;           /* of the last segment, */
    uint64_t current; /* and where that begins; both the leader's */
    int read_fd;      /* the reader's, -1 none; of the segment that begins at */
    uint64_t read_start;
    struct buf read; /* bytes of it, from */
    uint64_t read_at;
};

/* ---- files ---- */

static ssize_t real_pwrite(int fd, const void *p, size_t len, off_t at)
{
    return pwrite(fd, p, len, at);
}

static const struct log_io real_io = {real_pwrite, fdatasync, ftruncate};

static char *segment_path(const struct ingest_log *l, uint64_t start)
{
    return xprintf("%s/%016llx.log", l->dir, (unsigned long long)start);
}

static bool write_whole(const struct ingest_log *l, int fd, const uint8_t *p, size_t len, off_t at)
{
    while (len) {
        ssize_t n = l->o.io->pwrite(fd, p, len, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void segment_add(struct ingest_log *l, uint64_t start)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 8;
        l->segments = xrealloc(l->segments, l->capacity * sizeof *l->segments);
    }
    l->segments[l->count++] = (struct segment){start};
}

/* Head and keys of a segment that begins at `start`. */
static void opening_make(struct ingest_log *l, uint64_t start)
{
    struct buf *b = &l->opening, *payload = &l->payload;
    buf_reset(b);
    buf_reset(payload);
    ingest_head_put(payload, l->id, l->o.schema, l->o.schema_len);
    ingest_record_put(b, l->id, LOG_HEAD, start, start, payload->p, payload->len);
    if (l->o.keys) {
        buf_reset(payload);
        l->o.keys(l->o.ctx, payload);
        ingest_record_put(b, l->id, LOG_KEYS, start + b->len, start, payload->p, payload->len);
    }
}

/* Makes the next segment under another name, so that one of the right name is whole. -1 and errno. */
static int segment_make(struct ingest_log *l, uint64_t start, size_t *size)
{
    char *path = segment_path(l, start), *made = xprintf("%s/new", l->dir);
    opening_make(l, start);
    int fd = open(made, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_whole(l, fd, l->opening.p, l->opening.len, 0) && l->o.io->sync(fd) == 0 &&
              rename(made, path) == 0 && sync_dir(l->dir);
    int error = errno;
    if (!ok && fd >= 0) {
        close(fd);
        unlink(made);
        unlink(path);
    }
    *size = l->opening.len;
    free(path);
    free(made);
    errno = error;
    return ok ? fd : -1;
}

/* The log goes on in a new segment. */
static bool roll(struct ingest_log *l)
{
    size_t size;
    int fd = segment_make(l, l->durable, &size);
    if (fd < 0)
        return false;
    if (l->fd >= 0)
        close(l->fd);
    l->fd = fd;
    l->current = l->durable;
    pthread_mutex_lock(&l->lock);
    segment_add(l, l->durable);
    l->durable += size;
    l->syncs++;
    pthread_mutex_unlock(&l->lock);
    return true;
}

/* ---- appending ---- */

static bool out_of_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* Nothing half-written may stay: it would be found at the next start, and rows that were refused would count. The shorter
 * file is synced, as a power cut may otherwise bring back what was written before. */
static enum log_result take_back(struct ingest_log *l, off_t at, int error)
{
    if (l->o.io->truncate(l->fd, at) != 0 || l->o.io->sync(l->fd) != 0)
        return LOG_BROKEN;
    return out_of_space(error) ? LOG_FULL : LOG_BROKEN;
}

/* Writes and syncs a list of appends. Their `end` is set; nothing else of them. The lock is not held. */
static enum log_result write_batch(struct ingest_log *l, struct ticket *list)
{
    if (l->durable - l->current >= l->o.segment_bytes && !roll(l))
        return out_of_space(errno) ? LOG_FULL : LOG_BROKEN;
    uint64_t from = l->durable;
    buf_reset(&l->batch);
    for (struct ticket *t = list; t; t = t->next) {
        ingest_record_put(&l->batch, l->id, t->kind, from + l->batch.len, from, t->payload, t->len);
        t->end = from + l->batch.len;
    }
    off_t at = (off_t)(from - l->current);
    if (!write_whole(l, l->fd, l->batch.p, l->batch.len, at))
        return take_back(l, at, errno);
    if (l->o.io->sync(l->fd) != 0) { /* no later sync would prove anything */
        (void)take_back(l, at, errno);
        return LOG_BROKEN;
    }
    return LOG_DONE;
}

#define BATCH_KEPT_BYTES (4u << 20)

/* Everything that waits goes to the disk at once. The lock is held, and let go while the disk works. */
static void lead(struct ingest_log *l)
{
    struct ticket *list = l->first;
    l->first = NULL;
    l->last = &l->first;
    l->leading = true;
    pthread_mutex_unlock(&l->lock);
    enum log_result result = write_batch(l, list);
    pthread_mutex_lock(&l->lock);
    l->leading = false;
    if (result == LOG_DONE) {
        l->durable += l->batch.len;
        l->syncs++;
    }
    l->broken |= result == LOG_BROKEN;
    for (struct ticket *t = list, *next; t; t = next) {
        next = t->next; /* once done, its thread may end */
        t->result = result;
        t->done = true;
    }
    if (l->batch.cap > BATCH_KEPT_BYTES) {
        buf_fini(&l->batch);
        l->batch = (struct buf){0};
    }
    pthread_cond_broadcast(&l->changed);
}

enum log_result ingest_log_append(struct ingest_log *l, enum log_kind kind, const void *payload, size_t len,
                                  uint64_t *end)
{
    struct ticket t = {.kind = kind, .payload = payload, .len = len};
    pthread_mutex_lock(&l->lock);
    if (l->stopped || l->broken) {
        pthread_mutex_unlock(&l->lock);
        return l->broken ? LOG_BROKEN : LOG_CLOSED;
    }
    *l->last = &t;
    l->last = &t.next;
    while (!t.done && !l->broken) {
        if (l->leading) {
            pthread_cond_wait(&l->changed, &l->lock);
            continue;
        }
        lead(l);
    }
    /* A broken log lets go of those that still wait; nobody looks at its list again. */
    enum log_result result = t.done ? t.result : LOG_BROKEN;
    pthread_mutex_unlock(&l->lock);
    *end = t.end;
    return result;
}

void ingest_log_stop(struct ingest_log *l)
{
    pthread_mutex_lock(&l->lock);
    l->stopped = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

void ingest_log_wait(struct ingest_log *l, uint64_t offset, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000)
        until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&l->lock);
    int rc = 0;
    while (rc == 0 && l->durable <= offset && !l->stopped)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    pthread_mutex_unlock(&l->lock);
}

/* ---- reading ---- */

static struct err *read_some(struct ingest_log *l, uint64_t start, uint64_t offset, size_t len)
{
    char *path = segment_path(l, start);
    struct err *e = NULL;
    if (l->read_fd < 0 || l->read_start != start) {
        if (l->read_fd >= 0)
            close(l->read_fd);
        l->read_fd = open(path, O_RDONLY | O_CLOEXEC);
        l->read_start = start;
    }
    buf_reset(&l->read);
    l->read_at = offset;
    uint8_t *to = buf_room(&l->read, len);
    ssize_t n = l->read_fd < 0 ? -1 : file_read_at(l->read_fd, to, len, (off_t)(offset - start));
    if (n < 0)
        e = err_errno(ERR_IO, "cannot read %s", path);
    else
        l->read.len = (size_t)n;
    free(path);
    return e;
}

/* The record at the offset, if it lies whole in what was read. */
static bool in_buffer(const struct ingest_log *l, uint64_t offset, struct log_record *out)
{
    uint64_t synced;
    if (offset < l->read_at || offset - l->read_at >= l->read.len)
        return false;
    size_t at = (size_t)(offset - l->read_at);
    return ingest_record_check(l->read.p + at, l->read.len - at, l->id, offset, out, &synced) ||
           (offset == l->read_start &&
            ingest_record_check(l->read.p + at, l->read.len - at, 0, offset, out, &synced));
}

static struct err *damage(const struct ingest_log *l, uint64_t start, uint64_t offset)
{
    return err_hint(err_new(ERR_CORRUPT, "%s/%016llx.log: the record at byte %llu is damaged", l->dir,
                            (unsigned long long)start, (unsigned long long)(offset - start)),
                    "rows that were acknowledged stand there: put the file back from a copy; or, to go on "
                    "without them and all behind them, stop Penstock and move the folder %s away",
                    l->dir);
}

/* The segment that the offset lies in, and where that ends. False: behind the end. */
static bool locate(struct ingest_log *l, uint64_t offset, uint64_t *start, uint64_t *end)
{
    pthread_mutex_lock(&l->lock);
    bool found = offset < l->durable && l->count && offset >= l->segments[0].start;
    uint32_t i = l->count;
    while (found && l->segments[--i].start > offset)
        ;
    if (found) {
        *start = l->segments[i].start;
        *end = i + 1 < l->count ? l->segments[i + 1].start : l->durable;
    }
    pthread_mutex_unlock(&l->lock);
    return found;
}

#define READ_BYTES (256u << 10)

struct err *ingest_log_read(struct ingest_log *l, uint64_t offset, struct log_record *out, bool *found)
{
    uint64_t start, end;
    *found = true;
    if (in_buffer(l, offset, out))
        return NULL;
    *found = locate(l, offset, &start, &end);
    if (!*found)
        return NULL;
    size_t left = (size_t)(end - offset), want = left < READ_BYTES ? left : READ_BYTES;
    TRY(read_some(l, start, offset, want));
    if (!in_buffer(l, offset, out) && want < left) /* perhaps only longer than that */
        TRY(read_some(l, start, offset, left));
    return in_buffer(l, offset, out) ? NULL : damage(l, start, offset);
}

void ingest_log_release(struct ingest_log *l, uint64_t offset)
{
    for (;;) {
        pthread_mutex_lock(&l->lock);
        bool any = l->count > 1 && l->segments[1].start <= offset;
        char *path = any ? segment_path(l, l->segments[0].start) : NULL;
        if (any)
            memmove(l->segments, l->segments + 1, --l->count * sizeof *l->segments);
        pthread_mutex_unlock(&l->lock);
        if (!any)
            return;
        unlink(path); /* what stays is found and deleted after the next start */
        free(path);
    }
}

/* ---- opening ---- */

static int by_start(const void *a, const void *b)
{
    const struct segment *x = a, *y = b;
    return x->start < y->start ? -1 : x->start > y->start;
}

static struct err *list_segments(struct ingest_log *l)
{
    DIR *d = opendir(l->dir);
    if (!d)
        return err_errno(ERR_IO, "cannot read directory %s", l->dir);
    for (struct dirent *e; (e = readdir(d));) {
        char *end;
        unsigned long long start = strtoull(e->d_name, &end, 16);
        if (end == e->d_name + 16 && strcmp(end, ".log") == 0)
            segment_add(l, start);
    }
    closedir(d);
    if (l->count)
        qsort(l->segments, l->count, sizeof *l->segments, by_start);
    return NULL;
}

/* DATA/ingest and the source's folder in it. The entries of both are made durable: with one of them a power cut would take all
 * that was acknowledged. */
static struct err *make_dirs(const char *dir)
{
    char *parent = xprintf("%s/..", dir), *above = xprintf("%s/../..", dir), *made = xstrdup(dir);
    char *slash = strrchr(made, '/');
    struct err *e = NULL;
    if (slash)
        *slash = 0;
    if ((slash && *made && mkdir(made, 0700) != 0 && errno != EEXIST) ||
        (mkdir(dir, 0700) != 0 && errno != EEXIST))
        e = err_errno(ERR_IO, "cannot make directory %s", dir);
    else if (!sync_dir(parent) || !sync_dir(above))
        e = err_errno(ERR_IO, "cannot sync the directories above %s", dir);
    free(parent);
    free(above);
    free(made);
    return e;
}

/* What the last segment holds: its whole records, the log's id, whether its schema is the present one. */
static struct err *judge(struct ingest_log *l, const uint8_t *p, size_t size, size_t *whole,
                         bool *same_schema)
{
    struct log_record head;
    uint64_t synced, start = l->current;
    const uint8_t *schema;
    size_t len;
    bool damaged;
    *whole = ingest_segment_check(p, size, start, &damaged);
    if (damaged)
        return damage(l, start, start + *whole);
    ASSERT(ingest_record_check(p, size, 0, start, &head, &synced) &&
           ingest_head_get(&head, &l->id, &schema, &len));
    *same_schema = len == l->o.schema_len && memcmp(schema, l->o.schema, len) == 0;
    return NULL;
}

static struct err *check_last(struct ingest_log *l, const char *path, bool *same_schema, uint64_t *cut_bytes)
{
    struct stat st;
    l->fd = open(path, O_RDWR | O_CLOEXEC);
    if (l->fd < 0 || fstat(l->fd, &st) != 0)
        return err_errno(ERR_IO, "cannot open %s", path);
    size_t size = (size_t)st.st_size, whole = 0;
    void *p = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, l->fd, 0) : NULL;
    if (p == MAP_FAILED)
        return err_errno(ERR_IO, "cannot read %s", path);
    struct err *e = judge(l, p, size, &whole, same_schema);
    if (p)
        munmap(p, size);
    if (e)
        return e;
    *cut_bytes = size - whole;
    if ((whole < size && l->o.io->truncate(l->fd, (off_t)whole) != 0) || l->o.io->sync(l->fd) != 0)
        return err_errno(ERR_IO, "cannot cut off the end of %s", path);
    l->durable = l->current + whole;
    return NULL;
}

/* Released segments that a power cut has brought back, and not those that were released after them. */
static void forget_first(struct ingest_log *l, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char *path = segment_path(l, l->segments[i].start);
        unlink(path);
        free(path);
    }
    l->count -= count;
    memmove(l->segments, l->segments + count, l->count * sizeof *l->segments);
}

/* Segments before the last end where the next one begins; their records are checked when they are read. A gap is no
 * damage where all before it has been taken. */
static struct err *check_gaps(struct ingest_log *l)
{
    for (uint32_t i = l->count - 1; i-- > 0;) {
        struct stat st = {0};
        char *path = segment_path(l, l->segments[i].start);
        bool whole =
            stat(path, &st) == 0 && (uint64_t)st.st_size == l->segments[i + 1].start - l->segments[i].start;
        free(path);
        if (whole)
            continue;
        if (l->segments[i + 1].start > l->o.start)
            return damage(l, l->segments[i].start, l->segments[i].start + (uint64_t)st.st_size);
        forget_first(l, i + 1);
        break;
    }
    return NULL;
}

static struct err *open_files(struct ingest_log *l, uint64_t *cut_bytes)
{
    bool same_schema = false;
    TRY(make_dirs(l->dir));
    TRY(list_segments(l));
    if (l->count) {
        TRY(check_gaps(l));
        l->current = l->segments[l->count - 1].start;
        char *path = segment_path(l, l->current);
        struct err *e = check_last(l, path, &same_schema, cut_bytes);
        free(path);
        if (e)
            return e;
    } else {
        l->durable = l->o.start;
        if (getrandom(&l->id, sizeof l->id, 0) != sizeof l->id)
            return err_errno(ERR_IO, "cannot get random bytes");
    }
    if (!same_schema && !roll(l))
        return err_errno(ERR_IO, "cannot make a segment in %s", l->dir);
    if (!sync_dir(l->dir)) /* whoever made the last segment may have died before its name was durable */
        return err_errno(ERR_IO, "cannot sync directory %s", l->dir);
    return NULL;
}

struct err *ingest_log_open(const struct log_options *o, struct ingest_log **out, uint64_t *cut_bytes)
{
    struct ingest_log *l = xcalloc(1, sizeof *l);
    l->o = *o;
    l->o.io = o->io ? o->io : &real_io;
    l->o.segment_bytes = o->segment_bytes ? o->segment_bytes : INGEST_SEGMENT_BYTES;
    l->dir = xstrdup(o->dir);
    l->fd = l->read_fd = -1;
    l->last = &l->first;
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); /* the host's clock may be set */
    pthread_cond_init(&l->changed, &attr);
    pthread_condattr_destroy(&attr);
    *cut_bytes = 0;
    struct err *e = open_files(l, cut_bytes);
    if (e) {
        ingest_log_close(l);
        return e;
    }
    *out = l;
    return NULL;
}

void ingest_log_close(struct ingest_log *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    if (l->read_fd >= 0)
        close(l->read_fd);
    buf_fini(&l->batch);
    buf_fini(&l->opening);
    buf_fini(&l->payload);
    buf_fini(&l->read);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->changed);
    free(l->segments);
    free(l->dir);
    free(l);
}

uint64_t ingest_log_id(const struct ingest_log *l)
{
    return l->id;
}

static uint64_t locked(struct ingest_log *l, const uint64_t *field)
{
    pthread_mutex_lock(&l->lock);
    uint64_t v = *field;
    pthread_mutex_unlock(&l->lock);
    return v;
}

uint64_t ingest_log_start(struct ingest_log *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t v = l->segments[0].start;
    pthread_mutex_unlock(&l->lock);
    return v;
}

uint64_t ingest_log_segment(struct ingest_log *l, uint64_t offset)
{
    pthread_mutex_lock(&l->lock);
    uint32_t i = l->count - 1;
    while (i > 0 && l->segments[i].start > offset)
        i--;
    uint64_t v = l->segments[i].start;
    pthread_mutex_unlock(&l->lock);
    return v;
}

uint64_t ingest_log_end(struct ingest_log *l)
{
    return locked(l, &l->durable);
}

uint64_t ingest_log_syncs(struct ingest_log *l)
{
    return locked(l, &l->syncs);
}
