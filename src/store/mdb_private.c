/* LMDB itself, and the few things of its inside that the store needs; see mdb_private.h.
 *
 * LMDB is compiled as it comes. A few names are redefined for it:
 *  - locks on files belong to the open file (OFD locks), not to the process, so that one process can hold a
 *    store and readers of it; and for the same end the "process id" in the reader table is one per opener;
 *  - the data file is not stretched to the map's size: the store sizes it ahead of use (store_space.c), so that
 *    a full disk is an error at a safe place and not a SIGBUS; for the same end the lock file is not sparse;
 *  - a read that gives a part, or is interrupted, goes on: LMDB would call the file damaged;
 *  - on x86 LMDB leaves out the barrier between a meta page's content and its id. A kill between two stores that
 *    the compiler had swapped would leave a torn meta page that looks whole, so the barrier is put back in. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "store/mdb_private.h"
#include "base/file.h"
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static _Thread_local int lmdb_identity; /* what LMDB takes for its process id in the call under way */

/* The lock file is mapped and written as well. */
static int lock_file_extend(int fd, off_t length)
{
    int rc = store_allocate(fd, 0, length);
    errno = rc ? rc : errno;
    return rc ? -1 : 0;
}

/* Where the reader table of a shard's directory lies: "DATA/readers/shard-000.mdb" for "DATA/shard-000", so that a process
 * can be allowed to write all reader tables, of stores to come as well, and nothing else of a store. NULL: of no shard. */
char *mdbp_reader_table(const char *dir)
{
    const char *slash = strrchr(dir, '/'), *name = slash ? slash + 1 : dir;
    if (strncmp(name, "shard-", 6) != 0)
        return NULL;
    return xprintf("%.*sreaders/%s.mdb", (int)(name - dir), dir, name);
}

#define LMDB_LOCK_NAME "/lock.mdb"

static int open_reader_table(const char *path, int flags, mode_t mode)
{
    int fd = open(path, flags, mode);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    char *dir = xprintf("%.*s", (int)(strrchr(path, '/') - path), path);
    int rc = mkdir(dir, 0700);
    free(dir);
    return rc == 0 || errno == EEXIST ? open(path, flags, mode) : -1;
}

/* LMDB opens its files by name here. */
static int open_file(const char *path, int flags, mode_t mode)
{
    size_t len = strlen(path), name = strlen(LMDB_LOCK_NAME);
    char *table = NULL;
    if (len > name && strcmp(path + len - name, LMDB_LOCK_NAME) == 0) {
        char *dir = xprintf("%.*s", (int)(len - name), path);
        table = mdbp_reader_table(dir);
        free(dir);
    }
    int fd = table ? open_reader_table(table, flags, mode) : open(path, flags, mode);
    free(table);
    return fd;
}

#undef F_SETLK
#undef F_SETLKW
#undef F_GETLK
#define F_SETLK                 F_OFD_SETLK
#define F_SETLKW                F_OFD_SETLKW
#define F_GETLK                 F_OFD_GETLK
#define getpid()                lmdb_identity
#define pread                   file_read_at
#define ftruncate(fd, length)   ((fd) == env->me_fd ? 0 : lock_file_extend((fd), (length)))
#define open(path, flags, mode) open_file((path), (flags), (mode))
#ifdef __x86_64__
#define MDBP_X86_64
#undef __x86_64__
#endif
#include "mdb.c"
#ifdef MDBP_X86_64
#define __x86_64__ 1
#endif
#undef getpid
#undef pread
#undef ftruncate
#undef open

_Static_assert(sizeof(MDB_meta) == MDBP_META_BYTES, "the checkpoint marker stores LMDB's meta as it is");
_Static_assert(sizeof(MDB_db) == sizeof(((struct mdbp_db *)0)->record), "a database record is LMDB's");
_Static_assert(PAGEHDRSZ == 16 && offsetof(MDB_page, mp_flags) == 10 && NODESIZE == 8 && PAGEBASE == 0 &&
                   offsetof(MDB_db, md_entries) == 32 && offsetof(MDB_db, md_root) == 40,
               "mdb_pages.c reads pages by these offsets");
_Static_assert(MDB_VERSION_FULL == MDB_VERINT(0, 9, 31), "the snapshot logic was proven with this version");

/* ---- environments ---- */

static void lmdb_panic(MDB_env *env, const char *message)
{
    (void)env;
    PANIC("lmdb: %s", message);
}

static int identity_of(unsigned index)
{
    return (int)((unsigned)(getpid)() + index * (1u << 22)); /* process ids end at 2^22 */
}

/* Slots under our identity that we did not take: a dead process had the same number. Nobody else clears them. */
static void slots_forget(MDB_env *env)
{
    for (unsigned i = 0; env->me_txns && i < env->me_txns->mti_numreaders; i++)
        if (env->me_txns->mti_readers[i].mr_pid == env->me_pid)
            env->me_txns->mti_readers[i].mr_pid = 0;
}

static int env_open_once(const char *dir, unsigned flags, unsigned identity, size_t map_bytes,
                         uint32_t max_dbs, uint32_t max_readers, MDB_env **out)
{
    MDB_env *env;
    lmdb_identity = identity_of(identity);
    int rc = mdb_env_create(&env);
    if (rc)
        return rc;
    if ((rc = mdb_env_set_maxdbs(env, max_dbs)) == 0 &&
        (rc = mdb_env_set_maxreaders(env, max_readers)) == 0 &&
        (map_bytes == 0 || (rc = mdb_env_set_mapsize(env, map_bytes)) == 0) &&
        (rc = mdb_env_set_assert(env, lmdb_panic)) == 0)
        rc = mdb_env_open(env, dir, flags, 0600);
    if (rc) {
        mdb_env_close(env);
        return rc;
    }
    slots_forget(env);
    *out = env;
    return 0;
}

int mdbp_env_open(const char *dir, enum mdbp_role role, unsigned identity, size_t map_bytes, uint32_t max_dbs,
                  uint32_t max_readers, MDB_env **out)
{
    ASSERT(identity < MDBP_IDENTITIES);
    static const unsigned flags_of[] = {
        [MDBP_WRITER] = MDB_NOTLS | MDB_NOSYNC | MDB_WRITEMAP,
        [MDBP_WRITER_PLAIN] = MDB_NOTLS | MDB_NOSYNC,
        [MDBP_READER] = MDB_NOTLS | MDB_RDONLY,
        [MDBP_LOOKER] = MDB_NOTLS | MDB_RDONLY | MDB_NOLOCK,
    };
    int rc = env_open_once(dir, flags_of[role], identity, map_bytes, max_dbs, max_readers, out);
    size_t smaller = map_bytes ? map_bytes : (size_t)1 << 40;
    while (rc == ENOMEM && smaller > (size_t)64 << 20) {
        smaller /= 2; /* LMDB never takes less than what the file's content needs */
        rc = env_open_once(dir, flags_of[role], identity, smaller, max_dbs, max_readers, out);
    }
    if (rc == 0 && (*out)->me_dbxs[MAIN_DBI].md_cmp == NULL)
        (*out)->me_dbxs[MAIN_DBI].md_cmp = mdb_cmp_memn; /* set now: later two threads might both do it */
    return rc;
}

void mdbp_env_close(MDB_env *env)
{
    if (!env)
        return;
    lmdb_identity = env->me_pid;
    mdb_env_close(env);
}

size_t mdbp_env_map_bytes(const MDB_env *env)
{
    return env->me_mapsize;
}

size_t mdbp_env_page_bytes(const MDB_env *env)
{
    return env->me_psize;
}

uint64_t mdbp_env_used_pages(const MDB_env *env)
{
    return mdb_env_pick_meta(env)->mm_last_pg + 1;
}

int mdbp_env_fd(const MDB_env *env)
{
    return env->me_fd;
}

void mdbp_env_limit_pages(MDB_env *env, uint64_t limit)
{
    uint64_t map_pages = env->me_mapsize / env->me_psize;
    env->me_maxpg = limit < map_pages ? limit : map_pages;
}

int mdbp_env_follow(MDB_env *env)
{
    const MDB_meta *meta = mdb_env_pick_meta(env);
    size_t least = (meta->mm_last_pg + 1) * env->me_psize;
    if (least <= env->me_mapsize)
        return 0;
    int rc = mdbp_env_remap(env, meta->mm_mapsize);
    return rc == ENOMEM ? mdbp_env_remap(env, (least + least / 4 + 0xfffff) & ~(size_t)0xfffff) : rc;
}

int mdbp_env_remap(MDB_env *env, size_t wanted)
{
    ASSERT(env->me_txn == NULL);
    if (wanted > env->me_mapsize) { /* LMDB unmaps first: be sure that there is room before */
        void *room = mmap(NULL, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED)
            return ENOMEM;
        munmap(room, wanted);
    }
    size_t before = env->me_mapsize;
    int rc = mdb_env_set_mapsize(env, wanted);
    if (rc && mdb_env_set_mapsize(env, before))
        PANIC("lmdb: the map is lost: %s", mdb_strerror(rc));
    return rc;
}

/* ---- snapshots by their meta pages ---- */

static void meta_out(const MDB_meta *meta, struct mdbp_meta *out)
{
    *out = (struct mdbp_meta){
        .txnid = meta->mm_txnid, .last_page = meta->mm_last_pg, .page_bytes = meta->mm_psize};
    memcpy(out->image, meta, sizeof *meta);
}

static void meta_in(const struct mdbp_meta *m, MDB_meta *meta)
{
    memcpy(meta, m->image, sizeof *meta);
    ASSERT(meta->mm_magic == MDB_MAGIC && meta->mm_version == MDB_DATA_VERSION);
    ASSERT(meta->mm_txnid == m->txnid && meta->mm_psize == m->page_bytes);
}

static bool page_bytes_ok(uint32_t n)
{
    return n >= 512 && n <= 0x10000 && (n & (n - 1)) == 0;
}

/* 0, or errno when it cannot be read at all; *present false: it is not a meta page. */
static int meta_page_read(int fd, off_t at, struct mdbp_meta *out, bool *present)
{
    MDB_metabuf page;
    *present = false;
    ssize_t n = file_read_at(fd, &page, sizeof page, at);
    if (n != (ssize_t)sizeof page)
        return n < 0 ? errno : 0;
    const MDB_meta *meta = METADATA(&page.mb_page);
    if (!F_ISSET(page.mb_page.mp_flags, P_META) || meta->mm_magic != MDB_MAGIC ||
        meta->mm_version != MDB_DATA_VERSION || !page_bytes_ok(meta->mm_psize))
        return 0;
    meta_out(meta, out);
    *present = true;
    return 0;
}

int mdbp_file_metas(const char *path, struct mdbp_meta meta[2], bool present[2])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = meta_page_read(fd, 0, &meta[0], &present[0]);
    if (!rc)
        rc = meta_page_read(fd, present[0] ? meta[0].page_bytes : sysconf(_SC_PAGESIZE), &meta[1],
                            &present[1]);
    close(fd);
    return rc;
}

static int meta_page_write(int fd, unsigned slot, const MDB_meta *meta)
{
    uint8_t *page = xcalloc(1, meta->mm_psize);
    MDB_page *head = (MDB_page *)page;
    head->mp_pgno = slot;
    head->mp_flags = P_META;
    memcpy(METADATA(head), meta, sizeof *meta);
    int rc = file_write_at(fd, page, meta->mm_psize, (off_t)slot * meta->mm_psize);
    free(page);
    return rc;
}

/* First the wanted snapshot's own slot, then the other one. Interrupted between the two, the other slot's newer
 * snapshot is still the newest one, and the wanted one is still there as the one before. */
static int metas_write(int fd, const struct mdbp_meta *m)
{
    MDB_meta meta;
    meta_in(m, &meta);
    ASSERT(m->txnid >= 1);
    int rc = meta_page_write(fd, m->txnid & 1, &meta);
    if (rc)
        return rc;
    meta.mm_txnid = m->txnid - 1;
    return meta_page_write(fd, meta.mm_txnid & 1, &meta);
}

int mdbp_file_put_back(const char *path, const struct mdbp_meta *m)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = metas_write(fd, m);
    close(fd);
    return rc;
}

void mdbp_env_metas(const MDB_env *env, struct mdbp_meta *newest, struct mdbp_meta *older)
{
    const MDB_meta *pick = mdb_env_pick_meta(env);
    meta_out(pick, newest);
    meta_out(env->me_metas[pick == env->me_metas[0]], older);
}

void mdbp_env_settle(MDB_env *env)
{
    ASSERT(env->me_txn == NULL && env->me_txns != NULL);
    env->me_txns->mti_txnid = mdb_env_pick_meta(env)->mm_txnid;
    env->me_pgoldest = 0;
}

int mdbp_env_put_back(MDB_env *env, const struct mdbp_meta *m)
{
    ASSERT(env->me_txn == NULL);
    int rc = metas_write(env->me_fd, m);
    if (rc)
        return rc;
    ASSERT(mdb_env_pick_meta(env)->mm_txnid == m->txnid);
    mdbp_env_settle(env);
    return 0;
}

/* Everything that LMDB takes from a meta page at the start of a read transaction. */
static void txn_load_meta(MDB_txn *txn, const MDB_meta *meta)
{
    txn->mt_txnid = meta->mm_txnid;
    memcpy(txn->mt_dbs, meta->mm_dbs, CORE_DBS * sizeof(MDB_db));
    txn->mt_next_pgno = meta->mm_last_pg + 1;
}

int mdbp_txn_at(MDB_env *env, const struct mdbp_meta *m, MDB_txn **out)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    MDB_meta meta;
    meta_in(m, &meta);
    txn_load_meta(txn, &meta);
    if (txn->mt_u.reader) /* a looker has none */
        txn->mt_u.reader->mr_txnid = m->txnid;
    *out = txn;
    return 0;
}

int mdbp_pin(MDB_env *env, uint64_t txnid, MDB_txn **out)
{
    ASSERT(env->me_txn == NULL);
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return rc;
    ASSERT(txnid <= txn->mt_txnid);
    txn->mt_u.reader->mr_txnid = txnid;
    *out = txn;
    return 0;
}

/* ---- copying ----
 *
 * LMDB's own compacting copy, with three differences: it copies a snapshot that is held already, it can be ended, and it
 * writes the meta pages last, so that it needs no count of the pages to come (which LMDB takes from the free list, and
 * fails when a page is in neither). */

struct copier {
    mdb_copy copy; /* what LMDB's walk over the trees fills */
    int (*tick)(void *ctx, uint64_t bytes);
    void *ctx;
    uint64_t bytes;
    int rc; /* of the copy's thread, until it has ended */
};

static int write_whole(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done <= 0)
            return done < 0 ? errno : EIO;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

/* The pages of one buffer, and the tail of a run of overflow pages straight from the map. */
static void copy_put(struct copier *c, int toggle)
{
    mdb_copy *my = &c->copy;
    size_t page_bytes = (size_t)my->mc_wlen[toggle], over_bytes = (size_t)my->mc_olen[toggle];
    if (!c->rc)
        c->rc = write_whole(my->mc_fd, my->mc_wbuf[toggle], page_bytes);
    if (!c->rc)
        c->rc = write_whole(my->mc_fd, my->mc_over[toggle], over_bytes);
    c->bytes += page_bytes + over_bytes;
    if (!c->rc)
        c->rc = c->tick(c->ctx, c->bytes);
    my->mc_wlen[toggle] = my->mc_olen[toggle] = 0;
}

/* LMDB's walk ends when mc_error is set, and reads it without the lock, right after it had to wait for a buffer: so it is
 * set while the walk waits. After its last buffer it is not asked for. */
static void copy_fail(struct copier *c)
{
    mdb_copy *my = &c->copy;
    while (!(my->mc_new & (2 | MDB_EOF)))
        pthread_cond_wait(&my->mc_cond, &my->mc_mutex);
    if (!(my->mc_new & MDB_EOF))
        my->mc_error = c->rc;
}

static void *copy_thread(void *arg)
{
    struct copier *c = arg;
    mdb_copy *my = &c->copy;
    bool failed = false;
    int toggle = 0;
    pthread_mutex_lock(&my->mc_mutex);
    for (;;) {
        while (!my->mc_new)
            pthread_cond_wait(&my->mc_cond, &my->mc_mutex);
        if (my->mc_new == 0 + MDB_EOF)
            break;
        copy_put(c, toggle);
        if (c->rc && !failed) {
            copy_fail(c);
            failed = true;
        }
        toggle ^= 1;
        my->mc_new--;
        pthread_cond_signal(&my->mc_cond);
    }
    pthread_mutex_unlock(&my->mc_mutex);
    return NULL;
}

/* Both meta pages, as LMDB's copy has them: 0 is of an empty environment, 1 is transaction 1. */
static int copy_metas(const struct copier *c, pgno_t root, struct mdbp_meta *out)
{
    MDB_env *env = c->copy.mc_env;
    MDB_meta meta = {0};
    mdb_env_init_meta0(env, &meta);
    meta.mm_address = env->me_metas[0]->mm_address;
    int rc = meta_page_write(c->copy.mc_fd, 0, &meta);
    meta.mm_dbs[MAIN_DBI] = c->copy.mc_txn->mt_dbs[MAIN_DBI];
    meta.mm_dbs[MAIN_DBI].md_root = root;
    meta.mm_last_pg = c->copy.mc_next_pgno - 1;
    meta.mm_txnid = 1;
    meta_out(&meta, out);
    return rc ? rc : meta_page_write(c->copy.mc_fd, 1, &meta);
}

int mdbp_copy(MDB_txn *txn, int fd, int (*tick)(void *ctx, uint64_t bytes), void *ctx, struct mdbp_meta *out)
{
    MDB_env *env = txn->mt_env;
    struct copier c = {.tick = tick, .ctx = ctx};
    mdb_copy *my = &c.copy;
    pgno_t root = txn->mt_dbs[MAIN_DBI].md_root;
    pthread_t thread;
    if (root == P_INVALID)
        return MDB_CORRUPTED; /* a shard has its epoch, always */
    my->mc_wbuf[0] = aligned_alloc(env->me_os_psize, MDB_WBUF * 2);
    ASSERT(my->mc_wbuf[0]);
    memset(my->mc_wbuf[0], 0, MDB_WBUF * 2);
    my->mc_wbuf[1] = my->mc_wbuf[0] + MDB_WBUF;
    my->mc_next_pgno = NUM_METAS;
    my->mc_env = env;
    my->mc_txn = txn;
    my->mc_fd = fd;
    my->mc_wlen[0] = (int)env->me_psize * NUM_METAS; /* zeros, until the end */
    pthread_mutex_init(&my->mc_mutex, NULL);
    pthread_cond_init(&my->mc_cond, NULL);
    if (pthread_create(&thread, NULL, copy_thread, &c))
        PANIC("cannot start a thread");
    int rc = mdb_env_cwalk(my, &root, 0);
    mdb_env_cthr_toggle(my, 1 | MDB_EOF);
    pthread_join(thread, NULL);
    rc = c.rc ? c.rc : rc;
    if (!rc)
        rc = copy_metas(&c, root, out);
    free(my->mc_wbuf[0]);
    pthread_cond_destroy(&my->mc_cond);
    pthread_mutex_destroy(&my->mc_mutex);
    return rc;
}

/* ---- inside write transactions ---- */

uint64_t mdbp_txn_next_page(const MDB_txn *txn)
{
    return txn->mt_next_pgno;
}

uint64_t mdbp_txn_dirty_pages(const MDB_txn *txn)
{
    return txn->mt_u.dirty_list[0].mid + (txn->mt_spill_pgs ? txn->mt_spill_pgs[0] : 0);
}

/* The free list is written with the commit: all ids that were freed or taken over, which may need one run of pages
 * for each of the two kinds, and the paths to them; every changed database's record lies in the main database. */
uint64_t mdbp_txn_commit_pages(const MDB_txn *txn)
{
    const MDB_env *env = txn->mt_env;
    uint64_t ids = txn->mt_free_pgs[0] + (env->me_pghead ? env->me_pghead[0] : 0) + txn->mt_loose_count;
    return 2 * (ids * sizeof(MDB_ID) / env->me_psize) + txn->mt_numdbs / 8 + 64;
}

/* ---- readers ---- */

int mdbp_read_begin(MDB_env *env, MDB_txn **txn)
{
    for (;;) {
        int rc = *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(env, NULL, MDB_RDONLY, txn);
        if (rc)
            return rc;
        /* Our slot is visible to the writer before we look again; and while the newest id is still ours, the
         * writer has not begun to overwrite the meta page that we copied. */
        atomic_thread_fence(memory_order_seq_cst);
        if (LIKELY(env->me_txns->mti_txnid == (*txn)->mt_txnid))
            return 0;
        mdb_txn_reset(*txn);
    }
}

int mdbp_read_step_back(MDB_txn *txn)
{
    MDB_env *env = txn->mt_env;
    MDB_meta meta;
    uint64_t wanted = txn->mt_txnid - 1;
    txn->mt_u.reader->mr_txnid = wanted;
    atomic_thread_fence(memory_order_seq_cst);
    memcpy(&meta, env->me_metas[wanted & 1], sizeof meta);
    atomic_thread_fence(memory_order_acquire);
    if (meta.mm_txnid != wanted || meta.mm_last_pg >= env->me_maxpg)
        return MDB_NOTFOUND;
    txn_load_meta(txn, &meta);
    return 0;
}

bool mdbp_read_newest_is(const MDB_env *env, uint64_t txnid)
{
    atomic_thread_fence(memory_order_seq_cst);
    return env->me_txns->mti_txnid == txnid;
}

int mdbp_db_find(MDB_txn *txn, const char *name, size_t len, struct mdbp_db *out)
{
    MDB_val key = {.mv_size = len, .mv_data = (void *)name}, value;
    MDB_cursor cursor;
    int exact = 0;
    mdb_cursor_init(&cursor, txn, MAIN_DBI, NULL);
    int rc = mdb_cursor_set(&cursor, &key, &value, MDB_SET, &exact);
    if (rc)
        return rc;
    const MDB_node *node = NODEPTR(cursor.mc_pg[cursor.mc_top], cursor.mc_ki[cursor.mc_top]);
    if ((node->mn_flags & (F_DUPDATA | F_SUBDATA)) != F_SUBDATA || value.mv_size != sizeof(MDB_db))
        return MDB_INCOMPATIBLE;
    memcpy(out->record, value.mv_data, sizeof(MDB_db));
    out->flag = DB_VALID | DB_USRVALID;
    return 0;
}

uint64_t mdbp_db_entries(const struct mdbp_db *db)
{
    MDB_db record;
    memcpy(&record, db->record, sizeof record);
    return record.md_entries;
}

/* A cursor whose database record is the caller's. Named databases compare as the main database does (memn), so
 * the main database's auxiliary record serves for all. */
static void cursor_on(MDB_cursor *cursor, MDB_txn *txn, struct mdbp_db *db)
{
    mdb_cursor_init(cursor, txn, MAIN_DBI, NULL);
    cursor->mc_db = (MDB_db *)db->record;
    cursor->mc_dbflag = &db->flag;
}

int mdbp_get(MDB_txn *txn, struct mdbp_db *db, MDB_val *key, MDB_val *value)
{
    MDB_cursor cursor;
    int exact = 0;
    cursor_on(&cursor, txn, db);
    return mdb_cursor_set(&cursor, key, value, MDB_SET, &exact);
}

size_t mdbp_cursor_bytes(void)
{
    return sizeof(MDB_cursor);
}

MDB_cursor *mdbp_cursor_init(void *memory, MDB_txn *txn, struct mdbp_db *db)
{
    cursor_on(memory, txn, db);
    return memory;
}

/* Readers write their slots while this looks, as they do while LMDB looks for the oldest one: whole words. */
__attribute__((no_sanitize("thread"))) uint64_t mdbp_foreign_reader(const MDB_env *env)
{
    uint64_t newest = mdb_env_pick_meta(env)->mm_txnid, oldest = newest;
    for (unsigned i = 0; env->me_txns && i < env->me_txns->mti_numreaders; i++) {
        const volatile MDB_reader *r = &env->me_txns->mti_readers[i];
        uint64_t at = r->mr_txnid;
        if (r->mr_pid && r->mr_pid != env->me_pid && at < oldest) /* idle: (txnid_t)-1 */
            oldest = at;
    }
    return oldest < newest ? oldest : 0;
}

uint64_t mdbp_txn_used_bytes(MDB_txn *txn)
{
    MDB_cursor cursor;
    MDB_val key, ids;
    uint64_t free_pages = 0, pages = txn->mt_next_pgno;
    mdb_cursor_init(&cursor, txn, FREE_DBI, NULL);
    while (mdb_cursor_get(&cursor, &key, &ids, MDB_NEXT) == 0)
        free_pages += *(MDB_ID *)ids.mv_data;
    return (pages - (free_pages < pages ? free_pages : pages)) * txn->mt_env->me_psize;
}

static void roots_fill(struct mdbp_roots *out, const MDB_db dbs[CORE_DBS])
{
    memcpy(out->free_pages.record, &dbs[FREE_DBI], sizeof(MDB_db));
    memcpy(out->main_db.record, &dbs[MAIN_DBI], sizeof(MDB_db));
    out->free_pages.flag = out->main_db.flag = DB_VALID;
}

void mdbp_txn_roots(const MDB_txn *txn, struct mdbp_roots *out)
{
    roots_fill(out, txn->mt_dbs);
    out->last_page = txn->mt_next_pgno - 1;
    out->page_bytes = txn->mt_env->me_psize;
}

void mdbp_meta_roots(const struct mdbp_meta *m, struct mdbp_roots *out)
{
    MDB_meta meta;
    meta_in(m, &meta);
    roots_fill(out, meta.mm_dbs);
    out->last_page = m->last_page;
    out->page_bytes = m->page_bytes;
}
