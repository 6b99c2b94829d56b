/* What a backup says about itself: DIR/manifest.json, and its own checksum in DIR/manifest.sha256 (as sha256sum writes it).
 * Every file of a backup stands in it with its size and SHA-256, so that damage is found before anything is made of it. */
#ifndef PENSTOCK_STORE_MANIFEST_H
#define PENSTOCK_STORE_MANIFEST_H

#include "base/arena.h"
#include "base/err.h"

#define MANIFEST_FILE      "manifest.json"
#define MANIFEST_SUM_FILE  "manifest.sha256"
#define MANIFEST_FORMAT    1
#define MANIFEST_BYTES_MAX (4u << 20) /* a longer one is refused */
#define MANIFEST_FILES_MAX 1024
#define SHA256_HEX_BYTES   65 /* with the final zero */

struct manifest_file {
    const char *path; /* below the backup's directory: no "..", no leading slash */
    uint64_t size_bytes;
    char sha256[SHA256_HEX_BYTES];
};
struct manifest_source {
    const char *name, *position; /* as `penstock status` shows it; "" when it has none yet */
};
struct manifest {
    struct arena arena;    /* of what was loaded or added */
    uint32_t format;       /* MANIFEST_FORMAT */
    uint32_t store_format; /* STORE_FORMAT of the shards */
    uint32_t shard_count;
    uint64_t epoch;
    const char *build; /* of the program that wrote it */
    int64_t made_us;   /* Unix microseconds */
    uint32_t source_count;
    struct manifest_source *sources;
    uint32_t file_count;
    struct manifest_file *files;
};

struct manifest *manifest_new(void);
void manifest_free(struct manifest *m);
void manifest_add_source(struct manifest *m, const char *name, const char *position);

/* Called while files are hashed, with the bytes since the last call. False: stop (ERR_STATE). May be NULL. */
struct hash_tick {
    bool (*fn)(void *ctx, uint64_t bytes);
    void *ctx;
};
/* Size and SHA-256 of a file, read from the disk where the system lets go of what it has in memory. */
NODISCARD struct err *manifest_hash(const char *path, const struct hash_tick *tick,
                                    struct manifest_file *out);
/* Hashes dir/path and adds it. */
NODISCARD struct err *manifest_add_file(struct manifest *m, const char *dir, const char *path,
                                        const struct hash_tick *tick);
/* Writes both files, synced. */
NODISCARD struct err *manifest_save(const struct manifest *m, const char *dir);
/* ERR_STATE: no backup, or one of another format (said which); ERR_CORRUPT: damaged. */
NODISCARD struct err *manifest_load(const char *dir, struct manifest **out);
/* Whether dir/path is as the manifest says: ERR_CORRUPT names the file and what is wrong. */
NODISCARD struct err *manifest_check_file(const struct manifest_file *f, const char *dir,
                                          const struct hash_tick *tick);
uint64_t manifest_bytes(const struct manifest *m); /* of all files */

#endif
