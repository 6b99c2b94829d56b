#define _GNU_SOURCE /* timegm */
/* See peer_certificate.h. */
#include "serve/peer_certificate.h"
#include "serve/out.h"
#include "serve/tls.h"

#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>
#include <stdlib.h>
#include <time.h>

#define SUBJECT_BYTES 1024

/* A name that holds a NUL or a control character could look like another one: it is no name. */
static void put(struct peer_certificate *c, const char *kind, const void *p, size_t len)
{
    const uint8_t *s = p;
    for (size_t i = 0; i < len; i++)
        if (s[i] < ' ' || s[i] == 0x7F)
            return;
    if (len && c->name_count < PEER_NAMES_MAX)
        c->names[c->name_count++] = arena_printf(&c->arena, "%s%.*s", kind, (int)len, (const char *)p);
}

static void put_subject(struct peer_certificate *c, const mbedtls_x509_crt *crt)
{
    char text[SUBJECT_BYTES];
    int n = mbedtls_x509_dn_gets(text, sizeof text, &crt->subject);
    c->subject = n > 0 ? arena_strdup(&c->arena, text) : "";
    put(c, "subject:", c->subject, strlen(c->subject));
    for (const mbedtls_x509_name *name = &crt->subject; name; name = name->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0)
            put(c, "CN=", name->val.p, name->val.len);
}

static void put_alternative(struct peer_certificate *c, const mbedtls_x509_buf *buf)
{
    mbedtls_x509_subject_alternative_name san;
    if (mbedtls_x509_parse_subject_alt_name(buf, &san) != 0)
        return;
    const mbedtls_x509_buf *name = &san.san.unstructured_name;
    if (san.type == MBEDTLS_X509_SAN_DNS_NAME)
        put(c, "dns:", name->p, name->len);
    else if (san.type == MBEDTLS_X509_SAN_UNIFORM_RESOURCE_IDENTIFIER)
        put(c, "uri:", name->p, name->len);
    else if (san.type == MBEDTLS_X509_SAN_RFC822_NAME)
        put(c, "email:", name->p, name->len);
    mbedtls_x509_free_subject_alt_name(&san);
}

static int64_t unix_of(const mbedtls_x509_time *t)
{
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->mon - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->min,
                    .tm_sec = t->sec};
    return (int64_t)timegm(&tm);
}

struct peer_certificate *peer_certificate_of(const struct tls_conn *t)
{
    const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&t->ssl);
    if (!crt)
        return NULL;
    struct peer_certificate *c = xcalloc(1, sizeof *c);
    arena_init(&c->arena);
    put_subject(c, crt);
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s && s->buf.p; s = s->next)
        put_alternative(c, &s->buf);
    c->expires_s = unix_of(&crt->valid_to);
    return c;
}

void peer_certificate_free(struct peer_certificate *c)
{
    if (!c)
        return;
    arena_fini(&c->arena);
    free(c->role);
    free(c);
}

static const char *role_of(const struct peer_certificate *c, const struct access_doc *doc)
{
    for (uint32_t i = 0; doc && i < doc->certificate_count; i++)
        for (uint32_t k = 0; k < c->name_count; k++)
            if (strcmp(doc->certificates[i].match, c->names[k]) == 0)
                return doc->certificates[i].role;
    return NULL;
}

const struct caller *peer_certificate_caller(struct peer_certificate *c, const struct access_doc *doc,
                                             uint64_t entries)
{
    if (c->judged == entries)
        return &c->caller;
    const char *role = role_of(c, doc), *cn = NULL;
    for (uint32_t k = 0; k < c->name_count && !cn; k++)
        cn = strncmp(c->names[k], "CN=", 3) == 0 ? c->names[k] + 3 : NULL;
    c->judged = entries;
    free(c->role);
    c->role = role ? xstrdup(role) : NULL;
    c->claims[0] = (struct claim){slice_of("subject"), slice_of(c->subject)};
    c->claims[1] = (struct claim){slice_of("cn"), cn ? slice_of(cn) : (struct slice){NULL, 0}};
    c->caller = (struct caller){.kind = CALLER_CERTIFICATE,
                                .role = role ? slice_of(c->role) : (struct slice){NULL, 0},
                                .name = slice_of(c->subject),
                                .claim_count = 2,
                                .claims = c->claims,
                                .expires_s = c->expires_s,
                                .credential = entries};
    return &c->caller;
}
