/* Access tokens of our own: DATA/tokens, replaced by rename. Written by `penstock token`, read by the serve process, which
 * takes up a change without a restart.
 *
 * A token is "pst_" and 43 characters of base64url: 256 random bits. Of it only its SHA-256 is kept: whoever reads the file (or
 * a copy of it) cannot ask with it, and with so many random bits nothing slower is needed. */
#ifndef PENSTOCK_STORE_TOKEN_FILE_H
#define PENSTOCK_STORE_TOKEN_FILE_H

#include "base/arena.h"
#include "base/err.h"

#define TOKEN_FILE            "tokens"
#define TOKEN_FILE_BYTES_MAX  (32u << 20)
#define TOKENS_MAX            10000 /* that are kept; expired ones are dropped when one is made */
#define TOKEN_CLAIMS_MAX      20
#define TOKEN_NAME_BYTES_MAX  128
#define TOKEN_CLAIM_BYTES_MAX 1024 /* of a claim's name, and of its value */
#define TOKEN_PREFIX          "pst_"
#define TOKEN_TEXT_BYTES      47 /* of a whole token */
#define TOKEN_HASH_BYTES      32

struct token_claim {
    const char *name, *value;
};
struct token {
    uint64_t id; /* shown, and what revokes it; never used again */
    uint8_t hash[TOKEN_HASH_BYTES];
    const char *role;
    const char *name; /* what it is for; "" */
    uint32_t claim_count;
    struct token_claim *claims;
    int64_t created_s, expires_s; /* Unix; INT64_MAX: never */
};
struct token_file {
    struct arena arena;
    uint64_t next_id;
    uint32_t token_count;
    struct token *tokens; /* their numbers ascend; room for one more */
};

/* Always a file, perhaps an empty one. Free with token_file_free. */
NODISCARD struct err *token_file_load(const char *dir, struct token_file **out);
NODISCARD struct err *token_file_parse(const char *text, size_t len, struct token_file **out);
NODISCARD struct err *token_file_save(const struct token_file *f, const char *dir);
void token_file_free(struct token_file *f);
/* One writer at a time: until the process ends. */
NODISCARD struct err *token_file_lock(const char *dir);
/* A fresh token's text (TOKEN_TEXT_BYTES and a 0 byte) and hash. The text is to be shown once and wiped. */
NODISCARD struct err *token_make(char text[TOKEN_TEXT_BYTES + 1], uint8_t hash[TOKEN_HASH_BYTES]);
void token_hash(const void *text, size_t len, uint8_t hash[TOKEN_HASH_BYTES]);

#endif
