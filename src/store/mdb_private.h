/* What the store needs of LMDB beyond lmdb.h: its meta pages, its reader slots, its page limit.
 *
 * LMDB has no public call to put a snapshot back, to hold an older snapshot than the newest, or to read the
 * snapshot before the newest one. mdb_private.c includes LMDB's source and offers just that; nothing else in
 * Penstock knows LMDB's structs. Functions that return int return 0, an MDB_ error or an errno, as LMDB does.
 *
 * The same data may be open several times in one process (a store and its readers, in tests): locks belong to
 * the open file, not to the process, and each opener has its own identity in the reader table. */
#ifndef PENSTOCK_STORE_MDB_PRIVATE_H
#define PENSTOCK_STORE_MDB_PRIVATE_H

#include "base/base.h"
#include <lmdb.h>

#define MDBP_META_BYTES 136

/* The root of one snapshot: the content of a meta page. Valid only for the file that it was read from. */
struct mdbp_meta {
    uint64_t txnid; /* it lives in slot txnid & 1 */
    uint64_t last_page;
    uint32_t page_bytes;
    uint32_t spare;
    uint8_t image[MDBP_META_BYTES];
};

/* Path (malloc'ed) of the reader table (LMDB's lock file) of a shard's directory: DATA/readers/shard-NNN.mdb. NULL when it is
 * none, and LMDB's own place holds. Who replaces a shard removes its table first: readers of the old one keep theirs. */
char *mdbp_reader_table(const char *dir);

/* ---- environments ---- */
enum mdbp_role {
    MDBP_WRITER,
    MDBP_WRITER_PLAIN, /* commits by pwrite */
    MDBP_READER,
    MDBP_LOOKER /* reads without a lock file: whoever opens it keeps writers away */
};
#define MDBP_IDENTITIES 512
/* identity: 0 for the writer, 1..MDBP_IDENTITIES-1 for readers; distinct among the openers of one process.
 * Falls back to smaller maps when the address space is not to be had. map_bytes 0: as recorded in the file. */
int mdbp_env_open(const char *dir, enum mdbp_role role, unsigned identity, size_t map_bytes, uint32_t max_dbs,
                  uint32_t max_readers, MDB_env **out);
void mdbp_env_close(MDB_env *env);
size_t mdbp_env_map_bytes(const MDB_env *env);
size_t mdbp_env_page_bytes(const MDB_env *env);
uint64_t mdbp_env_used_pages(const MDB_env *env); /* of the newest snapshot */
int mdbp_env_fd(const MDB_env *env);
/* Pages with numbers >= limit - 1 are refused with MDB_MAP_FULL instead of being touched (they may lie behind the
 * end of the file). Writer only; reset by any change of the map size. */
void mdbp_env_limit_pages(MDB_env *env, uint64_t limit);
/* Changes the map's size without ever losing the map: ENOMEM leaves everything as it was. No cursor and no write
 * transaction may be open; read transactions may, if they are not used again before they are renewed. */
int mdbp_env_remap(MDB_env *env, size_t map_bytes);
/* Reader: enlarges the map when the file's content has outgrown it. */
int mdbp_env_follow(MDB_env *env);

/* ---- snapshots by their meta pages ---- */
/* Both meta pages straight from a file (nothing may have it open for writing). present[i]: it is one. */
int mdbp_file_metas(const char *path, struct mdbp_meta meta[2], bool present[2]);
/* Makes m the newest snapshot of a file that no writer has open: its own slot, and in the other one the same
 * roots under a smaller id. Not synced. */
int mdbp_file_put_back(const char *path, const struct mdbp_meta *m);
/* The newest snapshot and the one before, as the environment has them. */
void mdbp_env_metas(const MDB_env *env, struct mdbp_meta *newest, struct mdbp_meta *older);
/* Makes m the newest snapshot of an open environment, for later transactions of every process. The writer calls
 * it with no transaction open anywhere. */
int mdbp_env_put_back(MDB_env *env, const struct mdbp_meta *m);
/* Makes later transactions of every process start from the newest meta page (a killed writer may have written
 * the page and not the number). Writer, no transaction open anywhere. */
void mdbp_env_settle(MDB_env *env);
/* A read transaction on the snapshot m, which must be the newest or the one before, or one that is held. Writer during
 * recovery, or a looker. */
int mdbp_txn_at(MDB_env *env, const struct mdbp_meta *m, MDB_txn **out);
/* Holds the snapshot txnid (at most the newest): none of its pages are reused while the transaction lives. Never
 * read through it. Writer, with no write transaction open. */
int mdbp_pin(MDB_env *env, uint64_t txnid, MDB_txn **out);

/* ---- copying ---- */
/* Writes the read transaction's snapshot into the empty file fd without its free pages: transaction 1 of a new
 * environment, whose meta page *out is. A tree that does not hold together ends in an MDB_ error. `tick` is called from a
 * thread of the copy's own with the bytes written so far; what it returns other than 0 ends the copy and is its result. */
int mdbp_copy(MDB_txn *txn, int fd, int (*tick)(void *ctx, uint64_t bytes), void *ctx, struct mdbp_meta *out);

/* ---- inside write transactions ---- */
uint64_t mdbp_txn_next_page(const MDB_txn *txn);
uint64_t mdbp_txn_dirty_pages(const MDB_txn *txn);
uint64_t mdbp_txn_commit_pages(const MDB_txn *txn); /* more than the commit can still take */

/* ---- readers ---- */
/* Begins (*txn NULL) or renews a read transaction on the newest snapshot. Unlike LMDB's own renewal it cannot
 * see a meta page that is just being overwritten, however long the thread was interrupted. */
int mdbp_read_begin(MDB_env *env, MDB_txn **txn);
/* Moves a just begun read transaction to the snapshot before. The caller must know that no commit after the one
 * it saw has started by now, and verify that again by `mdbp_read_is_newest`. */
int mdbp_read_step_back(MDB_txn *txn);
bool mdbp_read_newest_is(const MDB_env *env, uint64_t txnid);

/* Named databases of a snapshot without LMDB's handle table, which is shared between threads. */
struct mdbp_db {
    _Alignas(8) uint8_t record[48];
    uint8_t flag;
};
int mdbp_db_find(MDB_txn *txn, const char *name, size_t len, struct mdbp_db *out);
uint64_t mdbp_db_entries(const struct mdbp_db *db);
int mdbp_get(MDB_txn *txn, struct mdbp_db *db, MDB_val *key, MDB_val *value);
/* A cursor on db; `memory` has room for mdbp_cursor_bytes(). Needs no closing. */
size_t mdbp_cursor_bytes(void);
MDB_cursor *mdbp_cursor_init(void *memory, MDB_txn *txn, struct mdbp_db *db);
/* The oldest snapshot that another process holds, if it is not the newest one; else 0. The writer. */
uint64_t mdbp_foreign_reader(const MDB_env *env);
/* Bytes of the snapshot's pages that are not in its free list: what mdbp_copy writes, or a little more. */
uint64_t mdbp_txn_used_bytes(MDB_txn *txn);
/* A snapshot for mdb_pages.h: from a read transaction, or from a meta page. */
struct mdbp_roots {
    struct mdbp_db free_pages, main_db;
    uint64_t last_page;
    uint32_t page_bytes;
};
void mdbp_txn_roots(const MDB_txn *txn, struct mdbp_roots *out);
void mdbp_meta_roots(const struct mdbp_meta *m, struct mdbp_roots *out);

#endif
