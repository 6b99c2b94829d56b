/* Signed bundles: one container for images (.pimage) and configurations (.pconfig).
 *
 *   "PNSTKBDL"                     magic
 *   u32 format = 1, signature count, manifest bytes, 0    (little-endian)
 *   per signature: 32 bytes public key, 64 bytes Ed25519 signature over BUNDLE_SIGNED_PREFIX and the manifest
 *   manifest                       JSON: kind, version, build, board, store formats, the payload's size, SHA-256, and chunks
 *   payload                        in chunks of BUNDLE_CHUNK_BYTES (the last one is shorter), each a zstd frame by itself
 *
 * The manifest names for each chunk how many bytes are stored and their SHA-256, so that nothing is decompressed, let alone written,
 * that no trusted key vouches for; what comes out is hashed as a whole. A reader verifies the signature before it looks at
 * the manifest, and reads a stream once, front to back. The payload: of an image a slot's FAT file system, of a configuration a tar
 * archive of its folder (tar.h). One thread at a time. */
#ifndef PENSTOCK_BOX_BUNDLE_H
#define PENSTOCK_BOX_BUNDLE_H

#include "base/buf.h"
#include "box/trust.h"

#include <sys/types.h>

#define BUNDLE_MAGIC       "PNSTKBDL"
#define BUNDLE_MAGIC_BYTES 8
#define BUNDLE_FORMAT      1
#define BUNDLE_SIGNED_PREFIX \
    "penstock bundle 1\n" /* so that no signature of something else is one of a bundle */
#define BUNDLE_SIGNATURES_MAX   8
#define BUNDLE_MANIFEST_MAX     (256u << 10)
#define BUNDLE_CHUNK_BYTES      (1u << 20)
#define BUNDLE_CHUNK_STORED_MAX (BUNDLE_CHUNK_BYTES + (16u << 10)) /* zstd's worst case is less */
#define BUNDLE_IMAGE_BYTES_MAX  (256u << 20)                       /* a slot's partition */
#define BUNDLE_CONFIG_BYTES_MAX (16u << 20)                        /* TAR_BYTES_MAX */
#define BUNDLE_TEXT_MAX         63
#define BUNDLE_SHA256_BYTES     32

enum bundle_kind { BUNDLE_IMAGE, BUNDLE_CONFIG };
struct bundle_chunk {
    uint32_t stored_bytes;
    uint8_t sha256[BUNDLE_SHA256_BYTES]; /* of the stored bytes */
};
struct bundle_manifest {
    enum bundle_kind kind;
    /* Printable, at most BUNDLE_TEXT_MAX bytes. A configuration has a version (any label) and the time alone. */
    char version[BUNDLE_TEXT_MAX + 1], build[BUNDLE_TEXT_MAX + 1], board[BUNDLE_TEXT_MAX + 1];
    char created[BUNDLE_TEXT_MAX + 1];
    uint32_t store_format, store_format_oldest; /* that the image's program writes, and reads at least */
    uint64_t payload_bytes;
    uint8_t sha256[BUNDLE_SHA256_BYTES]; /* of the payload as it comes out */
    uint32_t chunk_count;
    struct bundle_chunk *chunks; /* owned */
};
struct bundle;

/* Where the bytes come from: as read(2) does, 0 at the end, -1 and errno. */
struct bundle_input {
    ssize_t (*read)(void *ctx, void *p, size_t len);
    void *ctx;
};
struct bundle_input bundle_input_fd(const int *fd); /* borrowed while the bundle is read */

bool bundle_is(const void *p, size_t len); /* whether these first bytes (8 or more) are a bundle's */

/* Reads up to the payload. trust NULL: whoever signed it, or nobody, will do (to show it). ERR_AUTH: no trusted key has
 * signed it; ERR_CORRUPT: damaged; ERR_UNSUPPORTED: of a newer format. */
NODISCARD struct err *bundle_open(const struct bundle_input *in, const struct trust *trust,
                                  struct bundle **out);
void bundle_close(struct bundle *b);
const struct bundle_manifest *bundle_manifest(const struct bundle *b); /* borrowed */
/* The trusted key whose signature was found good; NULL without trust. Borrowed from the bundle. */
const struct key *bundle_signer(const struct bundle *b);
uint32_t bundle_signature_count(const struct bundle *b);
/* The public key of a signature, and whether the signature is that key's (trusted or not). */
bool bundle_signature(const struct bundle *b, uint32_t i, uint8_t public_key[KEY_PUBLIC_BYTES]);
/* The next chunk, verified and decompressed, valid until the next call. *len 0: all was handed out, its SHA-256 is the
 * manifest's, and nothing follows in the input. */
NODISCARD struct err *bundle_next(struct bundle *b, const uint8_t **p, size_t *len);
/* All of it in memory: for configurations. */
NODISCARD struct err *bundle_read_all(struct bundle *b, struct buf *out);

/* Writes a bundle: texts and store formats come from m, the rest of which is filled in. The same input gives the same bytes. */
struct bundle_secret {
    uint8_t key[KEY_SECRET_BYTES];
};
NODISCARD struct err *bundle_write(struct bundle_manifest *m, const struct bundle_input *payload,
                                   const struct bundle_secret *keys, uint32_t key_count, int out_fd);
void bundle_manifest_fini(struct bundle_manifest *m);
const char *bundle_kind_name(enum bundle_kind kind);

#endif
