/* SNTP: asking servers for the time, and what of their answers is believed (RFC 4330, RFC 5905). No state, no clock of its own:
 * times come in as microseconds since 1970.
 *
 * NTP as such cannot be proven right: what is done is that an answer fits the question (a random number that only the server asked
 * has seen), that the server says it is synchronized, that the time lies between the floor and ten years after the image was built
 * (one outside would break TLS), and that most of the servers asked agree. */
#ifndef PENSTOCK_INIT_SNTP_H
#define PENSTOCK_INIT_SNTP_H

#include "base/base.h"

#define SNTP_BYTES           48
#define SNTP_SERVERS_MAX     8       /* addresses that are asked */
#define SNTP_DELAY_MAX_US    2000000 /* way there and back; a later answer is not counted */
#define SNTP_DISTANCE_MAX_US 1500000 /* of the server's own way to its source: RFC 5905's MAXDIST */
#define SNTP_AGREE_US        1000000 /* servers that are further from the middle one do not agree with it */

enum sntp_verdict {
    SNTP_GOOD,
    SNTP_NOT_AN_ANSWER,  /* malformed, or not to our question: somebody else may have sent it; wait on */
    SNTP_UNSYNCHRONIZED, /* the server says that it does not know the time */
    SNTP_OUT_OF_BOUNDS,  /* before the floor, or long after the image was built */
    SNTP_TOO_FAR,        /* it took too long, or the server is unsure */
    SNTP_KISS_RATE,      /* ask less often */
    SNTP_KISS_DENY       /* do not ask again */
};
const char *sntp_verdict_text(enum sntp_verdict v);

struct sntp_bounds {
    int64_t floor_us, ceiling_us;
};
struct sntp_sample {
    int64_t offset_us; /* to add to our clock */
    int64_t delay_us;
    uint32_t stratum;
};
/* nonce: random, another one for each request. */
void sntp_request(uint64_t nonce, uint8_t out[SNTP_BYTES]);
/* sent_us, received_us: our clock at the request and at the answer. *out is set with SNTP_GOOD alone. */
enum sntp_verdict sntp_answer(const uint8_t *p, size_t len, uint64_t nonce, int64_t sent_us,
                              int64_t received_us, const struct sntp_bounds *b, struct sntp_sample *out);

/* One sample for each server that gave a good one. False: they do not agree: no more than half are near the middle one.
 * *out: the middle of those that agree; *agreed how many. */
bool sntp_select(const struct sntp_sample *samples, uint32_t count, struct sntp_sample *out,
                 uint32_t *agreed);

/* What to do about an offset. */
enum sntp_action { SNTP_SLEW, SNTP_STEP };
#define SNTP_STEP_US 128000 /* at the start, a greater offset is stepped */
#define SNTP_LATE_STEP_US \
    10000000 /* and later one that is found SNTP_LATE_ROUNDS times in a row: a machine that stood still */
#define SNTP_LATE_ROUNDS 3
enum sntp_action sntp_decide(int64_t offset_us, bool first, uint32_t *late_rounds);

#endif
