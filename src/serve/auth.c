/* See auth.h. */
#include "serve/auth.h"
#include "serve/ws.h"
#include "base/hash.h"
#include "serve/jwt.h"
#include "serve/out.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

void auth_init(struct auth *a, struct auth_source *s)
{
    *a = (struct auth){.source = s, .seen = xcalloc(2 * AUTH_CACHE_SETS, sizeof *a->seen)};
    arena_init(&a->scratch);
    (void)auth_refresh(a);
}

static void forget_all(struct auth *a)
{
    for (uint32_t i = 0; i < 2 * AUTH_CACHE_SETS; i++)
        if (a->seen[i].caller) {
            caller_drop(a->seen[i].caller);
            a->seen[i].caller = NULL;
        }
}

void auth_fini(struct auth *a)
{
    if (!a->seen)
        return;
    forget_all(a);
    free(a->seen);
    arena_fini(&a->scratch);
}

/* The pointer is published before it is used, and looked at again: what the notifier replaces in between is not taken. */
bool auth_refresh(struct auth *a)
{
    const struct auth_keys *now = atomic_load(&a->source->current);
    if (LIKELY(now == a->keys))
        return false;
    do {
        now = atomic_load(&a->source->current);
        atomic_store(&a->in_use, now);
    } while (now != atomic_load(&a->source->current));
    a->keys = now;
    forget_all(a);
    return true;
}

uint64_t auth_address(const struct sockaddr_storage *ss)
{
    if (ss->ss_family == AF_INET6)
        return hash_bytes(&((const struct sockaddr_in6 *)ss)->sin6_addr, 8);
    return hash_bytes(&((const struct sockaddr_in *)ss)->sin_addr, 4);
}

/* ---- refusals ---- */

static const struct caller *refuse(struct auth *a, const struct http_request *req, const char *code,
                                   const char *message)
{
    a->refused = caller_anonymous;
    a->refused.address = req->peer ? req->peer->hash : 0;
    a->refused.status = 401;
    a->refused.code = code;
    a->refused.message = message;
    return &a->refused;
}

/* ---- headers ---- */

static struct slice header(const struct http_request *req, const char *name)
{
    for (uint32_t i = 0; i < req->header_count; i++)
        if (slice_is_nocase(req->headers[i].name, name))
            return req->headers[i].value.p ? req->headers[i].value : (struct slice){(const uint8_t *)"", 0};
    return (struct slice){NULL, 0};
}

/* The bearer token; p NULL: none was sent. *other: credentials of another kind were. apikey is how supabase's clients send
 * one; a token in Authorization comes first. */
static struct slice bearer(const struct http_request *req, bool *other)
{
    static const char scheme[] = "bearer";
    struct slice s = req->authorization;
    *other = false;
    if (!s.p) {
        struct slice token = ws_token(req);
        return token.p ? token : header(req, "apikey");
    }
    s = slice_trim(s);
    size_t n = sizeof scheme - 1;
    if (s.len > n && s.p[n] == ' ' && slice_is_nocase((struct slice){s.p, n}, scheme))
        return slice_trim((struct slice){s.p + n, s.len - n});
    *other = true;
    return (struct slice){NULL, 0};
}

/* ---- own tokens ---- */

static const struct caller *own_token(struct auth *a, struct slice token, const struct http_request *req,
                                      int64_t now_us)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    token_hash(token.p, token.len, hash);
    const struct caller *c = auth_keys_token(a->keys, hash);
    if (!c)
        return refuse(a, req, "PGRST301", "the token is not known: it is wrong, or was revoked");
    if (c->expires_s <= now_us / 1000000)
        return refuse(a, req, "PGRST301", "JWT expired");
    return c;
}

static bool is_own(struct slice token)
{
    return token.len == TOKEN_TEXT_BYTES && memcmp(token.p, TOKEN_PREFIX, sizeof TOKEN_PREFIX - 1) == 0;
}

/* ---- JSON Web Tokens: a signature is verified once, then its token is known by its hash ---- */

static const struct caller *find_seen(struct auth *a, struct auth_seen *set, const uint8_t *hash)
{
    for (int i = 0; i < 2; i++)
        if (set[i].caller && memcmp(set[i].hash, hash, TOKEN_HASH_BYTES) == 0)
            return set[i].caller;
    (void)a;
    return NULL;
}

static const struct caller *remember(struct auth_seen *set, const uint8_t *hash, const struct caller *c)
{
    if (set[1].caller)
        caller_drop(set[1].caller);
    set[1] = set[0];
    set[0].caller = caller_keep(c);
    memcpy(set[0].hash, hash, TOKEN_HASH_BYTES);
    return set[0].caller;
}

static const struct caller *web_token(struct auth *a, struct slice token, const struct http_request *req,
                                      int64_t now_us)
{
    uint8_t hash[TOKEN_HASH_BYTES];
    uint32_t set;
    struct caller c;
    token_hash(token.p, token.len, hash);
    memcpy(&set, hash, sizeof set);
    struct auth_seen *seen = &a->seen[2 * (set % AUTH_CACHE_SETS)];
    const struct caller *known = find_seen(a, seen, hash);
    if (LIKELY(known != NULL))
        return known->expires_s > now_us / 1000000 ? known : refuse(a, req, "PGRST301", "JWT expired");
    if (!a->keys->jwks)
        return refuse(a, req, "PGRST301", "JWTs are not taken here");
    arena_reset(&a->scratch);
    const char *wrong = jwt_read(&a->scratch, a->keys->jwks, &a->keys->doc->jwt, token, now_us / 1000000, &c);
    return wrong ? refuse(a, req, "PGRST301", wrong) : remember(seen, hash, &c);
}

/* ---- together ---- */

const struct caller *auth_caller(struct auth *a, const struct http_request *req, int64_t now_us)
{
    bool other;
    struct slice token = bearer(req, &other);
    if (other)
        return refuse(a, req, "PGRST301", "only Authorization: Bearer TOKEN is understood");
    if (!token.p)
        return &caller_anonymous;
    if (is_own(token))
        return own_token(a, token, req, now_us);
    if (jwt_looks_like(token))
        return web_token(a, token, req, now_us);
    return refuse(a, req, "PGRST301", "this is no token that is known here");
}

bool auth_holds(const struct auth *a, const struct caller *c, int64_t now_us)
{
    if (c->kind == CALLER_ANONYMOUS)
        return true;
    return c->expires_s > now_us / 1000000 &&
           (c->kind != CALLER_TOKEN || auth_keys_holds(a->keys, c->credential)) &&
           (c->kind != CALLER_JWT || jwks_holds(a->keys->jwks, c->credential));
}
