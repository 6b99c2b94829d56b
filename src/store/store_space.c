/* The size of a shard's file and of its map.
 *
 * LMDB writes through the map. A page that the file has no room for would be a SIGBUS on a full disk, so the file
 * is allocated ahead of use: before a transaction, before each change and before a commit there is room for more
 * pages than the step can take. When the disk gives no more, work goes on with the pages that are free inside the
 * file, and LMDB is told to refuse those behind the allocated end (limit_pages): then the change fails with ERR_SPACE
 * and the transaction is to be aborted.
 *
 * The map is address space only; it starts large and is doubled between transactions once half of it is used. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/log.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROUND_BYTES ((size_t)1 << 20)

static size_t grab_bytes(size_t used)
{
    size_t grab = used / 4;
    return grab < STORE_GRAB_MIN ? STORE_GRAB_MIN : grab > STORE_GRAB_MAX ? STORE_GRAB_MAX : grab;
}

static uint64_t shard_inside_free(struct store_shard *sh)
{
    struct stat st;
    MDB_txn *txn;
    if (fstat(mdbp_env_fd(sh->env), &st) || mdb_txn_begin(sh->env, NULL, MDB_RDONLY, &txn))
        return 0;
    uint64_t used = mdbp_txn_used_bytes(txn);
    mdb_txn_abort(txn);
    return (uint64_t)st.st_size > used ? (uint64_t)st.st_size - used : 0;
}

uint64_t store_inside_free(struct store *s)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < s->shard_count; i++) {
        uint64_t n = shard_inside_free(&s->shards[i]);
        least = n < least ? n : least;
    }
    return least * s->shard_count;
}

uint64_t store_map_bytes(struct store *s)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < s->shard_count; i++)
        least = mdbp_env_map_bytes(s->shards[i].env) < least ? mdbp_env_map_bytes(s->shards[i].env) : least;
    return least;
}

const char *store_dir(const struct store *s)
{
    return s->dir;
}

/* For file systems without fallocate. */
static int fill_with_zeros(int fd, off_t from, off_t to)
{
    static const uint8_t zeros[1 << 16];
    while (from < to) {
        size_t n = (size_t)(to - from) < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        ssize_t done = pwrite(fd, zeros, n, from);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? errno : ENOSPC;
        from += done;
    }
    return 0;
}

int store_allocate(int fd, off_t from, off_t to)
{
    int rc;
    do
        rc = fallocate(fd, 0, from, to - from) ? errno : 0;
    while (rc == EINTR);
    return rc == EOPNOTSUPP || rc == ENOSYS ? fill_with_zeros(fd, from, to) : rc;
}

static void limit_to(struct store_shard *sh, off_t file_bytes)
{
    sh->limit_pages = (size_t)file_bytes / sh->page_bytes;
    mdbp_env_limit_pages(sh->env, sh->limit_pages);
}

/* False, with sh->no_space set, when the disk has not that much more. */
static bool file_grow(struct store_shard *sh, size_t wanted)
{
    int fd = mdbp_env_fd(sh->env), rc = 0;
    struct stat st;
    if (fstat(fd, &st))
        PANIC("shard %u: cannot look at its file: %s", sh->index, strerror(errno));
    if ((size_t)st.st_size < wanted && (rc = store_allocate(fd, st.st_size, (off_t)wanted)) == 0)
        st.st_size = (off_t)wanted;
    limit_to(sh, st.st_size);
    sh->no_space = rc;
    return rc == 0;
}

struct err *store_space_extend(struct store_shard *sh, uint64_t pages)
{
    size_t map = mdbp_env_map_bytes(sh->env);
    size_t least = (pages + 1) * sh->page_bytes;
    if (least > map) {
        sh->map_full = true;
        return err_hint(err_new(ERR_MAP, "shard %u: one epoch needs more than the map of %zu MiB has left",
                                sh->index, map >> 20),
                        "abort it; the map is enlarged before the next one");
    }
    if (sh->no_space && sh->txn)
        return NULL; /* tried in this transaction; LMDB refuses what does not fit */
    size_t wanted = (least + grab_bytes(least) + ROUND_BYTES - 1) & ~(ROUND_BYTES - 1);
    wanted = wanted < map ? wanted : map;
    bool news = sh->no_space == 0;
    if (!file_grow(sh, wanted) && !file_grow(sh, least) && news)
        log_event(EVENT_STORE_NO_ROOM, LOG_WARN, STORE_COMPONENT, "no room to extend the file",
                  "shard=%u to_mib=%zu error=\"%s\"", sh->index, least >> 20, strerror(sh->no_space));
    return NULL;
}

struct err *store_space_commit(struct store_shard *sh)
{
    uint64_t need = mdbp_txn_next_page(sh->txn) + mdbp_txn_commit_pages(sh->txn);
    return LIKELY(need < sh->limit_pages) ? NULL : store_space_extend(sh, need);
}

/* Pins and readers of this process hold transactions over the change; none of them is read through here. */
static void map_grow(struct store_shard *sh, uint64_t pages)
{
    size_t map = mdbp_env_map_bytes(sh->env), wanted = sh->map_full ? 2 * map : map;
    while (pages * sh->page_bytes > wanted / 2)
        wanted *= 2;
    if (wanted == map || sh->own_scans)
        return;
    int rc = mdbp_env_remap(sh->env, wanted);
    if (rc)
        log_warn(STORE_COMPONENT, "cannot enlarge the map", "shard=%u to_mib=%zu error=\"%s\"", sh->index,
                 wanted >> 20, mdb_strerror(rc));
    else
        log_event(EVENT_STORE_MAP_GROWN, LOG_INFO, STORE_COMPONENT, "map enlarged", "shard=%u mib=%zu",
                  sh->index, wanted >> 20);
    sh->map_full = false;
    sh->limit_pages = 0;
}

struct err *store_space_begin(struct store_shard *sh)
{
    uint64_t need = mdbp_env_used_pages(sh->env) + 2 * STORE_CHANGE_PAGES;
    map_grow(sh, need);
    return LIKELY(need < sh->limit_pages) ? NULL : store_space_extend(sh, need);
}

void store_space_read(struct store_shard *sh, struct store_space *out)
{
    struct stat st;
    *out =
        (struct store_space){.map_bytes = mdbp_env_map_bytes(sh->env), .used_bytes = store_shard_bytes(sh)};
    if (fstat(mdbp_env_fd(sh->env), &st) == 0)
        out->file_bytes = (uint64_t)st.st_size;
    MDB_txn *txn;
    if (mdb_txn_begin(sh->env, NULL, MDB_RDONLY, &txn) != 0)
        return;
    uint64_t held = mdbp_txn_used_bytes(txn);
    out->free_bytes = out->used_bytes > held ? out->used_bytes - held : 0;
    mdb_txn_abort(txn);
}

uint64_t store_shard_dirty_bytes(const struct store_shard *sh)
{
    return atomic_load_explicit(&sh->dirty_bytes, memory_order_relaxed);
}

uint64_t store_reader_behind(const struct store_shard *sh)
{
    return mdbp_foreign_reader(sh->env);
}
