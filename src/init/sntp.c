/* See sntp.h. */
#include "init/sntp.h"

#include <stdlib.h>
#include <string.h>

#define NTP_TO_UNIX_S INT64_C(2208988800) /* 1900 to 1970 */
#define SECOND_US     INT64_C(1000000)

enum { MODE_CLIENT = 3, MODE_SERVER = 4, VERSION = 4, LEAP_UNKNOWN = 3, STRATUM_MAX = 15 };
enum {
    AT_STRATUM = 1,
    AT_ROOT_DELAY = 4,
    AT_ROOT_DISPERSION = 8,
    AT_ID = 12,
    AT_ORIGINATE = 24,
    AT_RECEIVE = 32,
    AT_TRANSMIT = 40
};

const char *sntp_verdict_text(enum sntp_verdict v)
{
    static const char *const texts[] = {
        [SNTP_GOOD] = "good",
        [SNTP_NOT_AN_ANSWER] = "no answer",
        [SNTP_UNSYNCHRONIZED] = "says that it does not know the time",
        [SNTP_OUT_OF_BOUNDS] =
            "its time is before the floor, or more than 10 years after this image was built",
        [SNTP_TOO_FAR] = "its answers take too long or are too unsure",
        [SNTP_KISS_RATE] = "asks to be asked less often",
        [SNTP_KISS_DENY] = "refuses to be asked",
    };
    return texts[v];
}

static uint64_t get_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* Seconds with 16 bits of fraction, in microseconds. */
static int64_t get_short_us(const uint8_t *p)
{
    uint32_t v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    return (int64_t)(((uint64_t)v * 1000000) >> 16);
}

/* The 32 bits of seconds come round every 136 years: meant is the time nearest to `near_us`. */
static int64_t get_time_us(const uint8_t *p, int64_t near_us)
{
    uint64_t v = get_u64(p);
    int64_t near_s = near_us / SECOND_US + NTP_TO_UNIX_S;
    int32_t ahead_s = (int32_t)((uint32_t)(v >> 32) - (uint32_t)near_s);
    int64_t fraction_us = (int64_t)(((v & UINT32_MAX) * 1000000) >> 32);
    return (near_s + ahead_s - NTP_TO_UNIX_S) * SECOND_US + fraction_us;
}

void sntp_request(uint64_t nonce, uint8_t out[SNTP_BYTES])
{
    memset(out, 0, SNTP_BYTES);
    out[0] = VERSION << 3 | MODE_CLIENT;
    for (int i = 0; i < 8; i++)
        out[AT_TRANSMIT + i] = (uint8_t)(nonce >> (56 - 8 * i));
}

static enum sntp_verdict kiss(const uint8_t *id)
{
    if (memcmp(id, "DENY", 4) == 0 || memcmp(id, "RSTR", 4) == 0)
        return SNTP_KISS_DENY;
    return memcmp(id, "RATE", 4) == 0 ? SNTP_KISS_RATE : SNTP_UNSYNCHRONIZED;
}

static bool within(int64_t t, const struct sntp_bounds *b)
{
    return t >= b->floor_us && t <= b->ceiling_us;
}

enum sntp_verdict sntp_answer(const uint8_t *p, size_t len, uint64_t nonce, int64_t sent_us,
                              int64_t received_us, const struct sntp_bounds *b, struct sntp_sample *out)
{
    if (len < SNTP_BYTES || (p[0] & 7) != MODE_SERVER || ((p[0] >> 3) & 7) < 3 || ((p[0] >> 3) & 7) > VERSION)
        return SNTP_NOT_AN_ANSWER;
    if (get_u64(p + AT_ORIGINATE) != nonce)
        return SNTP_NOT_AN_ANSWER;
    if (p[AT_STRATUM] == 0)
        return kiss(p + AT_ID);
    if (p[AT_STRATUM] > STRATUM_MAX || p[0] >> 6 == LEAP_UNKNOWN || get_u64(p + AT_TRANSMIT) == 0 ||
        get_u64(p + AT_RECEIVE) == 0)
        return SNTP_UNSYNCHRONIZED;
    /* Both of the server's times are counted from the floor, not from our clock, which may be anything. */
    int64_t came = get_time_us(p + AT_RECEIVE, b->floor_us), went = get_time_us(p + AT_TRANSMIT, b->floor_us);
    if (!within(came, b) || !within(went, b))
        return SNTP_OUT_OF_BOUNDS;
    int64_t there = went - came, delay = received_us - sent_us - there;
    int64_t distance = get_short_us(p + AT_ROOT_DELAY) / 2 + get_short_us(p + AT_ROOT_DISPERSION);
    /* A server's clock that is coarse may make it look faster than light; one that went back is none. */
    if (there < 0 || there > SNTP_DELAY_MAX_US || delay < -1000 || delay > SNTP_DELAY_MAX_US ||
        distance > SNTP_DISTANCE_MAX_US)
        return SNTP_TOO_FAR;
    *out = (struct sntp_sample){.offset_us = ((came - sent_us) + (went - received_us)) / 2,
                                .delay_us = delay > 0 ? delay : 0,
                                .stratum = p[AT_STRATUM]};
    return SNTP_GOOD;
}

/* ---- choice ---- */

static int by_offset(const void *x, const void *y)
{
    const struct sntp_sample *a = x, *b = y;
    return (a->offset_us > b->offset_us) - (a->offset_us < b->offset_us);
}

static struct sntp_sample middle(const struct sntp_sample *sorted, uint32_t count)
{
    const struct sntp_sample *a = &sorted[(count - 1) / 2], *b = &sorted[count / 2];
    struct sntp_sample m = a->delay_us <= b->delay_us ? *a : *b;
    m.offset_us = a->offset_us + (b->offset_us - a->offset_us) / 2;
    return m;
}

bool sntp_select(const struct sntp_sample *samples, uint32_t count, struct sntp_sample *out, uint32_t *agreed)
{
    struct sntp_sample sorted[SNTP_SERVERS_MAX];
    *agreed = 0;
    if (count == 0 || count > SNTP_SERVERS_MAX)
        return false;
    memcpy(sorted, samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_offset);
    /* Of a majority that is together the middle one is a member. */
    int64_t centre = sorted[count / 2].offset_us;
    uint32_t first = 0, last = count;
    while (first < count && centre - sorted[first].offset_us > SNTP_AGREE_US)
        first++;
    while (last > first && sorted[last - 1].offset_us - centre > SNTP_AGREE_US)
        last--;
    if ((last - first) * 2 <= count)
        return false;
    *agreed = last - first;
    *out = middle(sorted + first, last - first);
    return true;
}

enum sntp_action sntp_decide(int64_t offset_us, bool first, uint32_t *late_rounds)
{
    int64_t off = offset_us < 0 ? -offset_us : offset_us;
    if (first)
        return off > SNTP_STEP_US ? SNTP_STEP : SNTP_SLEW;
    *late_rounds = off > SNTP_LATE_STEP_US ? *late_rounds + 1 : 0;
    if (*late_rounds < SNTP_LATE_ROUNDS)
        return SNTP_SLEW;
    *late_rounds = 0;
    return SNTP_STEP;
}
