/* See auth.h. */
#include "serve/auth.h"
#include "base/hash.h"
#include "serve/out.h"

#include <netinet/in.h>
#include <sys/socket.h>

void auth_init(struct auth *a, struct auth_source *s)
{
    *a = (struct auth){.source = s};
    (void)auth_refresh(a);
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
    if (!s.p)
        return header(req, "apikey");
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
    return refuse(a, req, "PGRST301", "this is no token that is known here");
}

bool auth_holds(const struct auth *a, const struct caller *c, int64_t now_us)
{
    if (c->kind == CALLER_ANONYMOUS)
        return true;
    return c->expires_s > now_us / 1000000 &&
           (c->kind != CALLER_TOKEN || auth_keys_holds(a->keys, c->credential));
}
