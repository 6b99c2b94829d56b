/* The box's TLS certificate and its key: a self-signed one at first, then one that somebody's authority has signed.
 *
 * BOX_DIR/tls/pair.pem (root's, 0600; part of the identity) holds the key and then the chain, so that both are replaced at once.
 * certificate_publish copies it to DATA/tls/cert.pem and key.pem, the pipeline user's alone, where the server looks (serve/tls.h). The key
 * of a request that waits for its certificate is BOX_DIR/tls/pending.pem. ECDSA P-256; RSA and other curves may be installed.
 * Foreign input is bounded. Any thread; blocks. */
#ifndef PENSTOCK_BOX_CERTIFICATE_H
#define PENSTOCK_BOX_CERTIFICATE_H

#include "base/buf.h"
#include "base/err.h"

#define CERTIFICATE_PEM_MAX    (64u << 10) /* of a chain, with its key */
#define CERTIFICATE_CHAIN_MAX  8
#define CERTIFICATE_NAMES_MAX  32
#define CERTIFICATE_NAME_BYTES 254
#define CERTIFICATE_WARN_DAYS  30 /* before its end: said in status and health */

struct certificate_names { /* the first one is the common name */
    uint32_t count;
    char name[CERTIFICATE_NAMES_MAX][CERTIFICATE_NAME_BYTES]; /* DNS names and addresses as text */
};
struct certificate_info {
    char subject[256], issuer[256], key[32]; /* "EC 256 bit" */
    struct certificate_names names;
    int64_t from_s, until_s; /* Unix time */
    char fingerprint[52];    /* "SHA256:" and base64 of the certificate's DER */
    bool self_signed;
};

/* The hostname, localhost, and this machine's addresses as they are now. */
void certificate_names_here(struct certificate_names *out);
/* A new certificate for these names in `pair`. old: a pair whose key is kept; NULL: another key. */
NODISCARD struct err *certificate_self_signed(const struct certificate_names *names, const struct buf *old,
                                              struct buf *pair);
/* A PKCS#10 request, and the new key that it is for. */
NODISCARD struct err *certificate_request(const struct certificate_names *names, struct buf *request,
                                          struct buf *key);
/* Whether a chain and a key belong together: leaf first, each signed by the next, valid at now_s, 0 for no look at the dates. pair: key
 * and chain as they are kept. key NULL: the chain's text holds it. ERR_CONFIG: what is wrong. */
NODISCARD struct err *certificate_check(const void *chain, size_t chain_len, const void *key, size_t key_len,
                                        int64_t now_s, struct buf *pair, struct certificate_info *info);
/* Of the first certificate in a text. ERR_CONFIG: there is none. */
NODISCARD struct err *certificate_read(const void *text, size_t len, struct certificate_info *out);

/* The box's; root "" on a box. *found false: there is none. */
NODISCARD struct err *certificate_load(const char *root, struct buf *pair, struct certificate_info *info,
                                       bool *found);
NODISCARD struct err *certificate_store(const char *root, const struct buf *pair);
NODISCARD struct err *certificate_publish(const char *root);
/* Makes a self-signed one where there is none, and a new one for the same key where that has ended or lacks a present name; then
 * publishes. */
NODISCARD struct err *certificate_prepare(const char *root, const struct certificate_names *names,
                                          int64_t now_s, bool *made);
/* "" or a sentence for status: that it has ended, or ends within CERTIFICATE_WARN_DAYS. */
void certificate_warning(const struct certificate_info *info, int64_t now_s, char out[128]);

#endif
