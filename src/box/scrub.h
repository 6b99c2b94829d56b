/* Taking secrets out of texts that leave the box for a supporter.
 *
 * Two ways together: what is known to be a secret (scrub_add: the values of secret keys of the configuration, passwords of its URLs, files that
 * it names, the claim code) is blanked wherever it stands; and what looks like one is, known or not: user information of URLs,
 * password=..., private keys in PEM, tokens of ours, JSON web tokens. One thread at a time. */
#ifndef PENSTOCK_BOX_SCRUB_H
#define PENSTOCK_BOX_SCRUB_H

#include "base/buf.h"
#include "base/err.h"

#define SCRUB_SECRETS_MAX 256 /* known ones; a configuration with more is left out of support bundles */
#define SCRUB_BYTES_MIN \
    4 /* a shorter one is blanked where it stands in the configuration, but not in other texts */
#define SCRUB_BLANK "***"

struct scrub {
    uint32_t count;
    struct buf secrets[SCRUB_SECRETS_MAX]; /* owned; wiped by scrub_fini */
    bool full;                             /* one had no room */
};
void scrub_fini(struct scrub *s);
void scrub_add(struct scrub *s, const void *p, size_t len);
/* Appends the text to out, without its secrets. */
void scrub_text(const struct scrub *s, const void *p, size_t len, struct buf *out);
/* A configuration as YAML that means the same but for its secrets, which are blanked and added to s. Comments are gone, as they
 * might hold some. ERR_CONFIG: it is no YAML. */
NODISCARD struct err *scrub_yaml(struct scrub *s, const char *text, size_t len, struct buf *out);

#endif
