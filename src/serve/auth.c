/* See auth.h. */
#include "serve/auth.h"
#include "serve/ws.h"
#include "base/hash.h"
#include "base/log.h"
#include "serve/jwt.h"
#include "serve/out.h"
#include "serve/peer_certificate.h"
#include "store/audit.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ROOM_NAME 200 /* of a name that is written down */

static int64_t share_of(int64_t all, uint32_t share)
{
    int64_t n = share ? (all + share - 1) / share : all;
    return all > 0 && n < 1 ? 1 : n;
}

void auth_init(struct auth *a, struct auth_source *s, const struct auth_limits *limits, uint32_t share)
{
    *a = (struct auth){.source = s, .seen = xcalloc(2 * AUTH_CACHE_SETS, sizeof *a->seen)};
    arena_init(&a->scratch);
    rate_init(&a->by_address, share_of(limits->address_requests, share), 1);
    rate_init(&a->by_caller, share_of(limits->caller_requests, share), 1);
    rate_init(&a->failures, share_of(limits->failures, share), 60);
    rate_init(&a->audited, AUTH_AUDITED_MAX, 1);
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
    rate_fini(&a->by_address);
    rate_fini(&a->by_caller);
    rate_fini(&a->failures);
    rate_fini(&a->audited);
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

static uint64_t address_of(const struct http_request *req)
{
    return req->peer ? req->peer->hash : 0;
}

static const struct caller *refuse_as(struct auth *a, const struct http_request *req, int status,
                                      const char *code, const char *message)
{
    a->refused = caller_anonymous;
    a->refused.address = address_of(req);
    a->refused.status = status;
    a->refused.code = code;
    a->refused.message = message;
    return &a->refused;
}

static const struct caller *refuse(struct auth *a, const struct http_request *req, const char *code,
                                   const char *message)
{
    return refuse_as(a, req, 401, code, message);
}

static const struct caller *too_many(struct auth *a, const struct http_request *req, int wait_s,
                                     const char *message)
{
    (void)refuse_as(a, req, 429, "PENSTOCK_RATE", message);
    a->refused.retry_after_s = wait_s;
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
    int wait = rate_look(&a->failures, address_of(req), now_us); /* verifying is dear */
    if (wait)
        return too_many(a, req, wait, "too many wrong credentials came from this address");
    arena_reset(&a->scratch);
    const char *wrong = jwt_read(&a->scratch, a->keys->jwks, &a->keys->doc->jwt, token, now_us / 1000000, &c);
    return wrong ? refuse(a, req, "PGRST301", wrong) : remember(seen, hash, &c);
}

/* ---- together ---- */

/* Who shows no token is who its certificate says; one that no entry names is nobody in particular. */
static const struct caller *by_certificate(struct auth *a, const struct http_request *req, int64_t now_us)
{
    struct peer_certificate *shown = req->peer ? req->peer->certificate : NULL;
    if (!shown)
        return &caller_anonymous;
    const struct caller *c = peer_certificate_caller(shown, a->keys->doc, a->keys->certificates);
    if (!c->role.p)
        return &caller_anonymous;
    return c->expires_s > now_us / 1000000 ? c : refuse(a, req, "PGRST301", "the certificate has expired");
}

static const struct caller *identify(struct auth *a, const struct http_request *req, int64_t now_us)
{
    bool other;
    struct slice token = bearer(req, &other);
    if (other)
        return refuse(a, req, "PGRST301", "only Authorization: Bearer TOKEN is understood");
    if (!token.p)
        return by_certificate(a, req, now_us);
    if (is_own(token))
        return own_token(a, token, req, now_us);
    if (jwt_looks_like(token))
        return web_token(a, token, req, now_us);
    return refuse(a, req, "PGRST301", "this is no token that is known here");
}

/* What a caller's requests are counted by. */
uint64_t auth_caller_key(const struct caller *c)
{
    uint64_t h = hash_bytes(c->name.p, c->name.len) * 3 ^ hash_bytes(c->role.p, c->role.len);
    return c->kind == CALLER_TOKEN ? c->credential * UINT64_C(0x9E3779B97F4A7C15) : h;
}

const struct caller *auth_caller(struct auth *a, const struct http_request *req, int64_t now_us)
{
    int wait = rate_take(&a->by_address, address_of(req), now_us);
    if (UNLIKELY(wait))
        return too_many(a, req, wait, "too many requests come from this address (limits.address_requests)");
    const struct caller *c = identify(a, req, now_us);
    if (UNLIKELY(c->status == 401)) {
        wait = rate_take(&a->failures, address_of(req), now_us);
        return wait ? too_many(a, req, wait,
                               "too many wrong credentials came from this address (limits.auth_failures)")
                    : c;
    }
    if (c->kind != CALLER_ANONYMOUS && (wait = rate_take(&a->by_caller, auth_caller_key(c), now_us)))
        return too_many(a, req, wait,
                        "too many requests come with these credentials (limits.caller_requests)");
    return c;
}

const struct caller *auth_caller_again(struct auth *a, const struct http_request *req, int64_t now_us)
{
    return identify(a, req, now_us);
}

/* ---- the audit ---- */

/* Without the query, which may hold anything. */
static char *path_of(const struct http_request *req, char *out, size_t room)
{
    struct slice path = req->target;
    const uint8_t *end = path.len ? memchr(path.p, '?', path.len) : NULL;
    if (end)
        path.len = (size_t)(end - path.p);
    snprintf(out, room, "%.*s", TEXT_QUOTED(path, room - 1));
    return out;
}

static char *text_of(struct slice s, char *out, size_t room)
{
    snprintf(out, room, "%.*s", TEXT_QUOTED(s, room - 1));
    return out;
}

void auth_denied(struct auth *a, const struct http_request *req, const struct caller *c,
                 const struct problem *p, int64_t now_us)
{
    char path[200], role[ROOM_NAME], name[ROOM_NAME], status[8];
    const char *address = req && req->peer ? req->peer->address : "";
    if (!req || rate_take(&a->audited, 1, now_us))
        return;
    snprintf(status, sizeof status, "%d", p->status);
    const struct audit_pair pairs[] = {{"status", status},
                                       {"code", p->code},
                                       {"reason", p->message},
                                       {"path", path_of(req, path, sizeof path)},
                                       {"role", text_of(c->role, role, sizeof role)},
                                       {"caller", text_of(c->name, name, sizeof name)},
                                       {"address", address}};
    audit_write(a->source->dir, event_name(EVENT_ACCESS_DENIED), pairs, ARRAY_COUNT(pairs));
    log_event(EVENT_ACCESS_DENIED, LOG_INFO, "access", "a request was refused",
              "address=%s status=%d code=%s path=\"%s\" role=\"%s\" caller=\"%s\"", *address ? address : "-",
              p->status, p->code, path, role, name);
}

bool auth_holds(const struct auth *a, const struct caller *c, int64_t now_us)
{
    if (c->kind == CALLER_ANONYMOUS)
        return true;
    return c->expires_s > now_us / 1000000 &&
           (c->kind != CALLER_TOKEN || auth_keys_holds(a->keys, c->credential)) &&
           (c->kind != CALLER_JWT || jwks_holds(a->keys->jwks, c->credential)) &&
           (c->kind != CALLER_CERTIFICATE || c->credential == a->keys->certificates);
}
