/* What a client's certificate says of it: the names that access.certificates can mean. Copied out of TLS once, after the
 * handshake; the chain was verified there. */
#ifndef PENSTOCK_SERVE_PEER_CERTIFICATE_H
#define PENSTOCK_SERVE_PEER_CERTIFICATE_H

#include "serve/caller.h"
#include "store/access_doc.h"

#define PEER_NAMES_MAX 32 /* names of one certificate; further ones are not looked at */

struct peer_certificate {
    struct arena arena;
    uint32_t name_count;
    const char *names[PEER_NAMES_MAX]; /* "subject:...", "CN=...", "dns:...", "uri:...", "email:..." */
    const char *subject;
    int64_t expires_s;
    uint64_t judged; /* which entries `caller` is by; 0: none yet */
    char *
        role; /* owned: the doc goes with each reading of the files, also where the entries stay; NULL: none */
    struct claim claims[2];
    struct caller caller; /* no role: nobody that is known */
};
struct tls_conn;
/* NULL: the client showed none. */
struct peer_certificate *peer_certificate_of(const struct tls_conn *t);
void peer_certificate_free(struct peer_certificate *c);
/* Who the client is by the doc's entries, the first that fits; entries: a hash of them, not 0. */
const struct caller *peer_certificate_caller(struct peer_certificate *c, const struct access_doc *doc,
                                             uint64_t entries);

#endif
