/* See auth_keys.h. */
#include "serve/auth_keys.h"
#include "base/hash.h"
#include "base/log.h"
#include "serve/out.h"
#include "store/small_file.h"

#include <stdlib.h>

/* ---- tokens ---- */

static uint32_t slot_of(const uint8_t *hash)
{
    uint32_t n;
    memcpy(&n, hash, sizeof n);
    return n;
}

/* Every byte is looked at, wherever the first difference is. */
static bool hash_equal(const uint8_t *a, const uint8_t *b)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < TOKEN_HASH_BYTES; i++)
        differs |= a[i] ^ b[i];
    return differs == 0;
}

static void caller_of(const struct token *t, struct claim *claims, struct caller *out)
{
    *out = (struct caller){.kind = CALLER_TOKEN,
                           .role = slice_of(t->role),
                           .name = slice_of(t->name),
                           .claim_count = t->claim_count,
                           .claims = claims,
                           .expires_s = t->expires_s,
                           .credential = t->id};
    for (uint32_t i = 0; i < t->claim_count; i++)
        claims[i] = (struct claim){slice_of(t->claims[i].name), slice_of(t->claims[i].value)};
}

static uint64_t certificates_hash(const struct access_doc *doc)
{
    uint64_t h = 1;
    for (uint32_t i = 0; doc && i < doc->certificate_count; i++) {
        const struct access_doc_certificate *c = &doc->certificates[i];
        h = (h ^ hash_bytes(c->match, strlen(c->match))) * UINT64_C(0x9E3779B97F4A7C15) ^
            hash_bytes(c->role, strlen(c->role));
    }
    return h | 1;
}

struct auth_keys *auth_keys_new(struct token_file *tokens, struct access_doc *doc, struct jwks *jwks,
                                uint64_t generation)
{
    struct auth_keys *k = xcalloc(1, sizeof *k);
    uint32_t slots = 16, claims = 0;
    while (slots < tokens->token_count * 2)
        slots *= 2;
    for (uint32_t i = 0; i < tokens->token_count; i++)
        claims += tokens->tokens[i].claim_count;
    k->generation = generation;
    k->tokens = tokens;
    k->doc = doc;
    k->jwks = jwks;
    k->certificates = certificates_hash(doc);
    k->callers = xcalloc(tokens->token_count + 1, sizeof *k->callers);
    k->claims = xcalloc(claims + 1, sizeof *k->claims);
    k->slot_mask = slots - 1;
    k->slots = xcalloc(slots, sizeof *k->slots);
    for (uint32_t i = 0, at = 0; i < tokens->token_count; at += tokens->tokens[i++].claim_count) {
        uint32_t s = slot_of(tokens->tokens[i].hash) & k->slot_mask;
        caller_of(&tokens->tokens[i], k->claims + at, &k->callers[i]);
        while (k->slots[s])
            s = (s + 1) & k->slot_mask;
        k->slots[s] = i + 1;
    }
    return k;
}

void auth_keys_free(struct auth_keys *k)
{
    if (!k)
        return;
    token_file_free(k->tokens);
    access_doc_free(k->doc);
    jwks_free(k->jwks);
    free(k->callers);
    free(k->claims);
    free(k->slots);
    free(k);
}

const struct caller *auth_keys_token(const struct auth_keys *k, const uint8_t hash[TOKEN_HASH_BYTES])
{
    for (uint32_t s = slot_of(hash) & k->slot_mask; k->slots[s]; s = (s + 1) & k->slot_mask)
        if (hash_equal(k->tokens->tokens[k->slots[s] - 1].hash, hash))
            return &k->callers[k->slots[s] - 1];
    return NULL;
}

bool auth_keys_holds(const struct auth_keys *k, uint64_t token)
{
    uint32_t from = 0, to = k->tokens->token_count; /* their numbers ascend */
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (k->tokens->tokens[middle].id < token)
            from = middle + 1;
        else
            to = middle;
    }
    return from < k->tokens->token_count && k->tokens->tokens[from].id == token;
}

/* ---- the files ---- */

static const char *const file_names[AUTH_FILES] = {TOKEN_FILE, ACCESS_DOC_FILE, JWKS_FILE};
static const size_t file_bytes[AUTH_FILES] = {TOKEN_FILE_BYTES_MAX, ACCESS_DOC_BYTES_MAX, JWKS_BYTES_MAX};

/* What the last right texts say; they were parsed before. */
static struct auth_keys *build(struct auth_source *s)
{
    static const char empty[] = "{\"format\":1,\"next_id\":1,\"tokens\":[]}";
    const char *tokens_text = s->texts[AUTH_TOKENS] ? s->texts[AUTH_TOKENS] : empty;
    struct token_file *tokens = NULL;
    struct access_doc *doc = NULL;
    struct jwks *jwks = NULL;
    struct err *e = token_file_parse(
        tokens_text, s->texts[AUTH_TOKENS] ? s->lens[AUTH_TOKENS] : sizeof empty - 1, &tokens);
    if (!e && s->texts[AUTH_DOC])
        e = access_doc_parse(s->texts[AUTH_DOC], s->lens[AUTH_DOC], &doc);
    if (!e && s->texts[AUTH_JWKS] && doc && doc->jwt.used)
        e = jwks_parse(s->texts[AUTH_JWKS], s->lens[AUTH_JWKS], &jwks);
    ASSERT(!e);
    return auth_keys_new(tokens, doc, jwks, ++s->generation);
}

void auth_source_init(struct auth_source *s, const char *data_dir)
{
    *s = (struct auth_source){.dir = xstrdup(data_dir)};
    for (int i = 0; i < AUTH_FILES; i++)
        s->paths[i] = xprintf("%s/%s", data_dir, file_names[i]);
    s->keys = build(s);
    s->current = s->keys;
}

void auth_source_fini(struct auth_source *s)
{
    for (uint32_t i = 0; i < s->retired_count; i++)
        auth_keys_free(s->retired[i]);
    for (int i = 0; i < AUTH_FILES; i++) {
        free(s->paths[i]);
        free(s->texts[i]);
    }
    free(s->retired);
    auth_keys_free(s->keys);
    free(s->dir);
}

static void replace(struct auth_source *s, struct auth_keys *now)
{
    struct auth_keys **more = xcalloc(s->retired_count + 1, sizeof(struct auth_keys *));
    if (s->retired_count)
        memcpy(more, s->retired, s->retired_count * sizeof *more);
    free(s->retired);
    s->retired = more;
    s->retired[s->retired_count++] = s->keys;
    s->keys = now;
    atomic_store(&s->current, now);
}

static struct err *try_parse(enum auth_file f, const char *text, size_t len)
{
    struct token_file *tokens = NULL;
    struct access_doc *doc = NULL;
    struct jwks *jwks = NULL;
    struct err *e = f == AUTH_TOKENS ? token_file_parse(text, len, &tokens)
                    : f == AUTH_DOC  ? access_doc_parse(text, len, &doc)
                                     : jwks_parse(text, len, &jwks);
    token_file_free(tokens);
    access_doc_free(doc);
    jwks_free(jwks);
    return e;
}

/* True: its text is another one now. A file that is gone is empty, but for the tokens', which never goes by itself. */
static bool look(struct auth_source *s, enum auth_file f)
{
    char *text;
    size_t len;
    int64_t stamp = small_file_stamp(s->paths[f]); /* before it is read */
    if (stamp == s->stamps[f])
        return false;
    s->stamps[f] = stamp;
    struct err *e = small_file_read(s->paths[f], file_bytes[f], &text, &len);
    if (!e && text)
        e = try_parse(f, text, len);
    if (e) {
        log_event(EVENT_ACCESS_KEPT, LOG_ERROR, "access",
                  "a file cannot be used: what was read before stays in force", "file=%s error=\"%s\"",
                  s->paths[f], e->message);
        err_free(e);
        free(text);
        return false;
    }
    free(s->texts[f]);
    s->texts[f] = text;
    s->lens[f] = len;
    return true;
}

bool auth_source_look(struct auth_source *s)
{
    bool changed = false;
    for (int i = 0; i < AUTH_FILES; i++)
        changed |= look(s, (enum auth_file)i);
    if (changed)
        replace(s, build(s));
    return changed;
}

static bool is_used(const struct auth_keys *k, const struct auth_keys *const *in_use, uint32_t loop_count)
{
    for (uint32_t i = 0; i < loop_count; i++)
        if (in_use[i] == k)
            return true;
    return false;
}

void auth_source_sweep(struct auth_source *s, const struct auth_keys *const *in_use, uint32_t loop_count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->retired_count; i++) {
        if (is_used(s->retired[i], in_use, loop_count))
            s->retired[kept++] = s->retired[i];
        else
            auth_keys_free(s->retired[i]);
    }
    s->retired_count = kept;
}
