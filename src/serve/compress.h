/* Answers made smaller for clients that ask for it: gzip and zstd (RFC 9110, 8.4 and 12.5.3).
 *
 * One struct compressor per loop: its contexts are made at the first answer that needs them and reused after that, so an
 * answer takes nothing from the heap. An answer is compressed whole, on the loop: limits.compress_max_bytes bounds how
 * long that takes, and answers under limits.compress_bytes stay as they are. So do errors, which repeat what the client
 * sent, and answers to a page of another site that did not show its own credentials (see `Clients` in docs/security.md). */
#ifndef PENSTOCK_SERVE_COMPRESS_H
#define PENSTOCK_SERVE_COMPRESS_H

#include "base/buf.h"
#include "serve/http.h"

struct answer;
struct serve_limits;

enum coding { CODING_NONE, CODING_GZIP, CODING_ZSTD };
/* What Accept-Encoding likes best of what there is; between equals zstd, which costs less. p NULL: no header. */
enum coding coding_choose(struct slice accept_encoding);
const char *coding_name(enum coding c);

struct compressor;
struct compressor *compressor_new(void);
void compressor_free(struct compressor *c);
/* in..len compressed, in a buffer of c's that is good until the next call. False: it did not get smaller. */
bool compress_bytes(struct compressor *c, enum coding coding, const uint8_t *in, size_t len,
                    struct slice *out);
/* Compresses a complete answer's body, if request and answer let it. */
void compress_answer(struct compressor *c, const struct serve_limits *limits, const struct http_request *req,
                     struct answer *a);

#endif
