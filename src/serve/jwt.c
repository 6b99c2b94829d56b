/* See jwt.h. What a token says is looked at only once its signature holds, but for the header, which names the key. */
#include "serve/jwt.h"
#include "serve/out.h"

#include <stdlib.h>
#include <yyjson.h>

struct parts {
    struct slice header, payload, signature; /* as written */
    struct slice signed_text;                /* header.payload */
};

struct claims { /* being collected */
    struct arena *arena;
    uint32_t count;
    struct claim *items;
    const char *wrong;
};

/* ---- the text ---- */

static bool take_apart(struct slice token, struct parts *out)
{
    struct slice rest = token;
    out->header = slice_cut(&rest, '.');
    if (!rest.p)
        return false;
    out->payload = slice_cut(&rest, '.');
    if (!rest.p || memchr(rest.p, '.', rest.len))
        return false;
    out->signature = rest;
    out->signed_text = (struct slice){token.p, out->header.len + 1 + out->payload.len};
    return out->header.len && out->payload.len;
}

bool jwt_looks_like(struct slice token)
{
    struct parts p;
    return take_apart(token, &p);
}

static struct slice decode(struct arena *a, struct slice text)
{
    uint8_t *out = arena_alloc(a, text.len + 1);
    ssize_t n = base64url_decode(text, out, text.len + 1);
    return n < 0 ? (struct slice){NULL, 0} : (struct slice){out, (size_t)n};
}

/* The object in a part; NULL: it is none. */
static yyjson_doc *read_object(struct arena *a, struct slice part)
{
    struct slice text = decode(a, part);
    yyjson_doc *d = text.p ? yyjson_read((const char *)text.p, text.len, 0) : NULL;
    if (d && yyjson_is_obj(yyjson_doc_get_root(d)))
        return d;
    yyjson_doc_free(d);
    return NULL;
}

static struct slice text_of(yyjson_val *v)
{
    return yyjson_is_str(v) ? (struct slice){(const uint8_t *)yyjson_get_str(v), yyjson_get_len(v)}
                            : (struct slice){NULL, 0};
}

/* ---- which key ---- */

static enum jwt_algorithm algorithm_of(struct slice name)
{
    return slice_is(name, "RS256")   ? JWT_RS256
           : slice_is(name, "ES256") ? JWT_ES256
           : slice_is(name, "EdDSA") ? JWT_EDDSA
           : slice_is(name, "HS256") ? JWT_HS256
                                     : 0;
}

static const struct jwk *signer(struct arena *a, const struct jwks *keys, enum jwt_algorithm algorithm,
                                struct slice kid, const struct parts *p, bool *known)
{
    struct slice signature = decode(a, p->signature);
    *known = false;
    for (uint32_t i = 0; i < keys->key_count; i++) {
        const struct jwk *k = &keys->keys[i];
        if (k->algorithm != algorithm || (kid.p && (!k->kid || !slice_is(kid, k->kid))))
            continue;
        *known = true;
        if (signature.p && jwk_verify(k, p->signed_text, signature))
            return k;
    }
    return NULL;
}

static const char *check_header(struct arena *a, const struct jwks *keys, unsigned allowed,
                                const struct parts *p, const struct jwk **out)
{
    yyjson_doc *d = read_object(a, p->header);
    yyjson_val *root = yyjson_doc_get_root(d), *kid = yyjson_obj_get(root, "kid");
    const char *wrong = NULL;
    enum jwt_algorithm algorithm = algorithm_of(text_of(yyjson_obj_get(root, "alg")));
    bool known;
    if (!d)
        wrong = "JWT header is not JSON";
    else if (!algorithm || !(allowed & (unsigned)algorithm))
        wrong = "JWT algorithm is not allowed here";
    else if (yyjson_obj_get(root, "crit"))
        wrong = "JWT has critical extensions";
    else if (kid && !yyjson_is_str(kid))
        wrong = "JWT key id is no text";
    else if (!(*out = signer(a, keys, algorithm, text_of(kid), p, &known)))
        wrong = known ? "JWT signature is wrong" : "JWT is signed by no key that is known here";
    yyjson_doc_free(d);
    return wrong;
}

/* ---- what it says ---- */

static bool time_of(yyjson_val *v, int64_t *out)
{
    if (!yyjson_is_num(v))
        return false;
    double d = yyjson_get_num(v);
    if (!(d >= 0 && d < 1e15))
        return false;
    *out = (int64_t)d;
    return true;
}

static const char *check_times(yyjson_val *root, int64_t leeway, int64_t now, int64_t *expires)
{
    yyjson_val *nbf = yyjson_obj_get(root, "nbf"), *iat = yyjson_obj_get(root, "iat");
    int64_t t;
    if (!time_of(yyjson_obj_get(root, "exp"), expires))
        return "JWT has no time of expiry (exp)";
    *expires += leeway;
    if (*expires <= now)
        return "JWT expired";
    if (nbf && (!time_of(nbf, &t) || t - leeway > now))
        return "JWT not yet valid";
    return iat && (!time_of(iat, &t) || t - leeway > now) ? "JWT issued at future" : NULL;
}

static bool audience_is(const struct access_doc_jwt *rules, yyjson_val *v)
{
    for (uint32_t i = 0; i < rules->audience_count; i++)
        if (slice_is(text_of(v), rules->audiences[i]))
            return true;
    return false;
}

static const char *check_parties(yyjson_val *root, const struct access_doc_jwt *rules)
{
    yyjson_val *aud = yyjson_obj_get(root, "aud"), *v;
    bool for_us = audience_is(rules, aud) || (!aud && !rules->audience_count);
    size_t i, n;
    if (rules->issuer && !slice_is(text_of(yyjson_obj_get(root, "iss")), rules->issuer))
        return "JWT is of another issuer";
    yyjson_arr_foreach(aud, i, n, v) for_us |= audience_is(rules, v);
    return for_us ? NULL : "JWT not in audience";
}

static struct slice value_text(struct claims *c, yyjson_val *v)
{
    if (yyjson_is_null(v))
        return (struct slice){NULL, 0};
    if (yyjson_is_str(v)) {
        if (memchr(yyjson_get_str(v), 0, yyjson_get_len(v)))
            c->wrong = "JWT holds a NUL character";
        return (struct slice){arena_memdup(c->arena, yyjson_get_str(v), yyjson_get_len(v)),
                              yyjson_get_len(v)};
    }
    size_t len = 0;
    char *text = yyjson_val_write(v, 0, &len);
    struct slice out = {arena_memdup(c->arena, text ? text : "", len), len};
    free(text);
    return out;
}

/* Of two claims with one name it would be left to chance which counts here, and which with whoever else reads the token (RFC 7519, 4). */
static bool name_ok(struct claims *c, struct slice name)
{
    for (uint32_t i = 0; i < c->count && !c->wrong; i++)
        if (slice_eq(c->items[i].name, name))
            c->wrong = "JWT has two claims of the same name";
    return !c->wrong;
}

static void collect(struct claims *c, yyjson_val *object, struct slice prefix, int level)
{
    size_t i, n;
    yyjson_val *k, *v;
    yyjson_obj_foreach(object, i, n, k, v)
    {
        struct slice name = text_of(k);
        if (c->count == CALLER_CLAIMS_MAX)
            c->wrong = "JWT has too many claims";
        if (memchr(name.p, 0, name.len))
            c->wrong = "JWT holds a NUL character";
        if (c->wrong)
            return;
        if (prefix.len)
            name = slice_of(arena_printf(c->arena, "%.*s.%.*s", (int)prefix.len, (const char *)prefix.p,
                                         (int)name.len, (const char *)name.p));
        else
            name.p = arena_memdup(c->arena, name.p, name.len);
        if (!name_ok(c, name))
            return;
        c->items[c->count++] = (struct claim){name, value_text(c, v)};
        if (yyjson_is_obj(v) && level < JWT_NESTING_MAX)
            collect(c, v, name, level + 1);
    }
}

static const char *read_claims(struct arena *a, yyjson_val *root, const struct access_doc_jwt *rules,
                               struct caller *out)
{
    struct claims c = {.arena = a, .items = ARENA_ARRAY(a, struct claim, CALLER_CLAIMS_MAX)};
    collect(&c, root, (struct slice){NULL, 0}, 1);
    out->claims = c.items;
    out->claim_count = c.count;
    out->role = caller_claim(out, rules->role_claim);
    out->name = caller_claim(out, "sub");
    return c.wrong;
}

const char *jwt_read(struct arena *a, const struct jwks *keys, const struct access_doc_jwt *rules,
                     struct slice token, int64_t now_s, struct caller *out)
{
    struct parts p;
    const struct jwk *key = NULL;
    *out = (struct caller){.kind = CALLER_JWT};
    if (token.len > JWT_BYTES_MAX)
        return "JWT is too long";
    if (!take_apart(token, &p))
        return "JWT is malformed";
    const char *wrong = check_header(a, keys, rules->algorithms, &p, &key);
    if (wrong)
        return wrong;
    yyjson_doc *d = read_object(a, p.payload);
    yyjson_val *root = yyjson_doc_get_root(d);
    if (!d)
        return "JWT payload is not JSON";
    wrong = check_times(root, rules->leeway_s, now_s, &out->expires_s);
    wrong = wrong ? wrong : check_parties(root, rules);
    wrong = wrong ? wrong : read_claims(a, root, rules, out);
    out->credential = key->id;
    yyjson_doc_free(d);
    return wrong;
}
