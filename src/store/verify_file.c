/* The outside of a store: marker, pages, epochs. And what all parts of the check share. See verify.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/mdb_pages.h"
#include "store/store_impl.h"
#include "store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const kind_names[VERIFY_KINDS] = {
    [VERIFY_FILE] = "file",
    [VERIFY_MARKER] = "marker",
    [VERIFY_PAGES] = "pages",
    [VERIFY_EPOCH] = "epoch",
    [VERIFY_MIRROR] = "mirror",
    [VERIFY_ROW] = "row",
    [VERIFY_INDEX] = "index",
    [VERIFY_LOG] = "log",
    [VERIFY_COUNT] = "count",
    [VERIFY_ERRORS] = "errors",
    [VERIFY_QUARANTINE] = "quarantine",
    [VERIFY_VIEW] = "view",
};

const char *verify_kind_name(enum verify_kind k)
{
    return kind_names[k];
}

void verify_fault(struct verify *v, enum verify_kind kind, int shard, const char *where, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    if (v->faults[kind]++ >= VERIFY_FAULTS_SHOWN)
        return;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        PANIC("out of memory");
    va_end(args);
    v->fault(v->ctx, &(struct verify_fault){.kind = kind, .shard = shard, .where = where, .text = text});
    free(text);
}

void verify_view_fault(struct verify *v, const char *view, const char *key, const char *expected,
                       const char *found)
{
    if (v->faults[VERIFY_VIEW]++ >= VERIFY_FAULTS_SHOWN)
        return;
    char *text =
        xprintf("row %s: expected %s, found %s", key, expected ? expected : "none", found ? found : "none");
    v->fault(v->ctx, &(struct verify_fault){.kind = VERIFY_VIEW,
                                            .shard = -1,
                                            .where = view,
                                            .text = text,
                                            .key = key,
                                            .expected = expected,
                                            .found = found});
    free(text);
}

uint64_t verify_faults(const struct verify *v)
{
    uint64_t n = 0;
    for (int k = 0; k < VERIFY_KINDS; k++)
        n += v->faults[k];
    return n;
}

struct err *verify_tick(struct verify *v, uint64_t more)
{
    v->done += more;
    return v->progress ? v->progress(v->ctx, v->done, v->total) : NULL;
}

/* ---- pages ---- */

struct pages_ctx {
    struct verify *v;
    uint32_t shard;
};

static void pages_fault(void *ctx, const char *database, const char *text)
{
    struct pages_ctx *c = ctx;
    verify_fault(c->v, VERIFY_PAGES, (int)c->shard, database, "%s", text);
}

static bool pages_tick(void *ctx, uint64_t pages)
{
    struct pages_ctx *c = ctx;
    if (!c->v->stopped)
        c->v->stopped = verify_tick(c->v, pages);
    return c->v->stopped == NULL;
}

static void check_map(struct verify *v, uint32_t shard, const uint8_t *map, const struct mdbp_roots *roots)
{
    struct pages_ctx ctx = {v, shard};
    struct mdb_pages_check check = {.fault = pages_fault, .tick = pages_tick, .ctx = &ctx};
    mdb_pages_check(map, roots, &check);
    v->pages += check.used;
    v->lost_pages += check.lost;
}

static struct err *check_pages(struct verify *v, const char *dir, uint32_t shard,
                               const struct mdbp_roots *roots)
{
    char *path = xprintf("%s/shard-%03u/data.mdb", dir, shard);
    struct stat st;
    struct err *e = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        e = err_errno(ERR_IO, "cannot open %s", path);
    } else if ((uint64_t)st.st_size / roots->page_bytes <= roots->last_page) {
        verify_fault(v, VERIFY_PAGES, (int)shard, "main", "the file has %llu bytes, its last page is %llu",
                     (unsigned long long)st.st_size, (unsigned long long)roots->last_page);
    } else {
        size_t bytes = (roots->last_page + 1) * roots->page_bytes;
        void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED) {
            e = err_errno(ERR_IO, "cannot map %s", path);
        } else {
            check_map(v, shard, map, roots);
            munmap(map, bytes);
        }
    }
    if (fd >= 0)
        close(fd);
    free(path);
    if (!e) {
        e = v->stopped;
        v->stopped = NULL;
    }
    return e;
}

struct err *verify_pages(struct verify *v, const char *dir, struct store_still *s)
{
    struct err *e = NULL;
    for (uint32_t i = 0; i < s->shard_count && !e; i++) {
        struct mdbp_roots roots;
        mdbp_txn_roots(store_snapshot_txn(s->snapshot, i), &roots);
        e = check_pages(v, dir, i, &roots);
    }
    return e;
}

/* ---- a store that nobody has open ---- */

/* LMDB is not let loose on a file whose meta pages, and the trees below, were not looked at. */
static struct err *check_shard(struct verify *v, const char *dir, uint32_t shard,
                               const struct mdbp_meta *wanted)
{
    char *path = xprintf("%s/shard-%03u/data.mdb", dir, shard);
    struct mdbp_meta meta[2];
    bool present[2] = {false, false};
    struct mdbp_roots roots;
    int rc = mdbp_file_metas(path, meta, present);
    free(path);
    if (rc)
        verify_fault(v, VERIFY_PAGES, (int)shard, "main", "the file cannot be read: %s", strerror(rc));
    else if (!present[0] || !present[1])
        verify_fault(v, VERIFY_PAGES, (int)shard, "main", "meta page %d is damaged", present[0]);
    if (rc || !present[0] || !present[1])
        return NULL;
    mdbp_meta_roots(wanted ? wanted : &meta[meta[1].txnid > meta[0].txnid], &roots);
    return check_pages(v, dir, shard, &roots);
}

static struct err *check_marker(struct verify *v, const char *dir, struct marker *m, bool *sound)
{
    enum marker_found found;
    TRY(marker_load(dir, m, &found));
    if (found == MARKER_ABSENT && access(dir, F_OK) == 0) {
        char *shard = xprintf("%s/shard-000", dir);
        bool none = access(shard, F_OK) != 0;
        free(shard);
        if (none)
            return err_new(ERR_STATE, "there is no store in %s", dir);
    }
    if (found != MARKER_FOUND)
        verify_fault(v, VERIFY_MARKER, -1, STORE_MARKER_FILE,
                     found == MARKER_ABSENT ? "the checkpoint marker is missing"
                                            : "both slots of the checkpoint marker are damaged");
    *sound = found == MARKER_FOUND;
    return NULL;
}

static struct err *check_files(struct verify *v, const char *dir, bool to_marker, bool *sound)
{
    struct marker *m = xcalloc(1, sizeof *m);
    struct err *e = check_marker(v, dir, m, sound);
    for (uint32_t i = 0; i < m->shard_count && *sound && !e; i++)
        e = check_shard(v, dir, i, to_marker ? &m->shards[i] : NULL);
    free(m);
    *sound = *sound && !e && v->faults[VERIFY_PAGES] == 0;
    return e;
}

struct err *verify_open_still(struct verify *v, const char *dir, int lock_fd, bool fresh_boot,
                              struct store_still *out, bool *sound)
{
    bool is_backup = lock_fd < 0;
    *sound = false;
    struct err *e = check_files(v, dir, is_backup || fresh_boot, sound);
    if (e || !*sound) {
        if (!is_backup)
            close(lock_fd);
        return e;
    }
    e = is_backup ? store_still_backup(dir, out) : store_still_stopped(dir, lock_fd, fresh_boot, out);
    if (e && e->code == ERR_CORRUPT) {
        verify_fault(v, VERIFY_EPOCH, -1, "", "%s", e->message);
        err_free(e);
        *sound = false;
        return NULL;
    }
    return e;
}
