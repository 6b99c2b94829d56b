/* See caller.h. */
#include "serve/caller.h"
#include "serve/out.h"

#include <stdlib.h>

const struct caller caller_anonymous = {.role = {(const uint8_t *)"anonymous", 9}, .expires_s = INT64_MAX};

struct slice caller_claim(const struct caller *c, const char *name)
{
    for (uint32_t i = 0; i < c->claim_count; i++)
        if (slice_is(c->claims[i].name, name))
            return c->claims[i].value;
    return (struct slice){NULL, 0};
}

static size_t bytes_of(const struct caller *c)
{
    size_t n = sizeof *c + c->claim_count * sizeof *c->claims + c->role.len + c->name.len;
    for (uint32_t i = 0; i < c->claim_count; i++)
        n += c->claims[i].name.len + c->claims[i].value.len;
    return n;
}

static struct slice put(uint8_t **at, struct slice s)
{
    if (!s.p)
        return s;
    struct slice out = {*at, s.len};
    if (s.len)
        memcpy(*at, s.p, s.len);
    *at += s.len;
    return out;
}

/* One block: the caller, its claims, then all bytes. */
const struct caller *caller_keep(const struct caller *c)
{
    if (c == &caller_anonymous)
        return c;
    struct caller *out = xmalloc(bytes_of(c));
    struct claim *claims = (struct claim *)(out + 1);
    uint8_t *at = (uint8_t *)(claims + c->claim_count);
    *out = *c;
    out->claims = claims;
    out->role = put(&at, c->role);
    out->name = put(&at, c->name);
    for (uint32_t i = 0; i < c->claim_count; i++) {
        claims[i].name = put(&at, c->claims[i].name);
        claims[i].value = put(&at, c->claims[i].value);
    }
    return out;
}

void caller_drop(const struct caller *c)
{
    if (c != &caller_anonymous)
        free((void *)(uintptr_t)c);
}

bool caller_ok(const struct caller *c, struct problem *p)
{
    if (LIKELY(!c->status))
        return true;
    p->retry_after_s = c->retry_after_s;
    return problem_set(p, c->status, c->code, "%s", c->message);
}
