/* What credentials are judged by: own tokens and an identity provider's keys, as they stood in the files at one moment.
 *
 * Made by the notifier, immutable from then on, and handed to the loops by one atomic pointer. A loop that uses one says so in a
 * pointer of its own, which the notifier looks at before it frees what was replaced: nobody waits for anybody. */
#ifndef PENSTOCK_SERVE_AUTH_KEYS_H
#define PENSTOCK_SERVE_AUTH_KEYS_H

#include "serve/caller.h"
#include "serve/jwks.h"
#include "store/token_file.h"

struct auth_keys {
    uint64_t generation;       /* another one with every change */
    struct token_file *tokens; /* owned */
    struct access_doc *doc;    /* owned: the rules for JSON Web Tokens and certificates; NULL: none */
    struct jwks *jwks;         /* owned; NULL: no such token is taken */
    struct caller *callers;    /* owned; of the tokens, by their number */
    struct claim *claims;      /* owned; of all of them */
    uint64_t
        certificates; /* hash of the doc's certificates: callers by certificate are judged anew when it is another */
    uint32_t slot_mask;
    uint32_t *slots; /* owned: first bytes of the hash -> token + 1 */
};
/* Takes all three; tokens is never NULL. */
struct auth_keys *auth_keys_new(struct token_file *tokens, struct access_doc *doc, struct jwks *jwks,
                                uint64_t generation);
void auth_keys_free(struct auth_keys *k);
/* The caller of a token by its hash; NULL: there is no such token. It may have expired. */
const struct caller *auth_keys_token(const struct auth_keys *k, const uint8_t hash[TOKEN_HASH_BYTES]);
/* Whether the token of that number is still one. */
bool auth_keys_holds(const struct auth_keys *k, uint64_t token);

/* ---- the files watched; the notifier's ---- */
enum auth_file { AUTH_TOKENS, AUTH_DOC, AUTH_JWKS, AUTH_FILES };
struct auth_source {
    char *dir;                  /* owned: DATA */
    char *paths[AUTH_FILES];    /* owned */
    int64_t stamps[AUTH_FILES]; /* of what was read last, right or wrong */
    char *texts[AUTH_FILES];    /* owned: of each file the last text that was right; NULL: none */
    size_t lens[AUTH_FILES];
    uint64_t generation;
    struct auth_keys *keys;                    /* owned: the current ones */
    _Atomic(const struct auth_keys *) current; /* what loops take up */
    uint32_t retired_count;
    struct auth_keys **retired; /* owned: replaced, perhaps still in use */
};
void auth_source_init(struct auth_source *s, const char *data_dir);
void auth_source_fini(struct auth_source *s);
/* Reads again what changed; true: there are new keys. A file that is broken leaves the former keys in force, and the log says
 * so; before any was read there are none, and nothing is let in. */
bool auth_source_look(struct auth_source *s);
/* Frees what none of the loops uses; in_use: what each of them says. */
void auth_source_sweep(struct auth_source *s, const struct auth_keys *const *in_use, uint32_t loop_count);

#endif
