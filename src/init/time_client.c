/* See time_client.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "init/time_client.h"

#include "base/log.h"
#include "box/settings.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES       3 /* of a server in a round: the one that was fastest counts */
#define ROUND_EARLY_S 64
#define ROUND_S       1024
#define EARLY_ROUNDS  8
#define RETRY_S       5
#define RETRY_MAX_S   300
#define DENIED_S      86400
#define RATE_S        3600

/* ---- the machine's clock ---- */

static int64_t system_now_us(void *context)
{
    (void)context;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* The kernel keeps a hardware clock in step as long as it believes that somebody keeps itself so. */
static bool mark_synced(void)
{
    struct timex x = {.modes = ADJ_STATUS | ADJ_ESTERROR | ADJ_MAXERROR,
                      .status = 0,
                      .esterror = 10000,
                      .maxerror = 500000};
    return adjtimex(&x) >= 0;
}

static bool system_step(void *context, int64_t to_us)
{
    (void)context;
    struct timespec t = {.tv_sec = (time_t)(to_us / 1000000), .tv_nsec = (long)(to_us % 1000000) * 1000};
    return clock_settime(CLOCK_REALTIME, &t) == 0 && mark_synced();
}

static bool system_slew(void *context, int64_t offset_us)
{
    (void)context;
    struct timex x = {.modes = ADJ_OFFSET_SINGLESHOT, .offset = (long)offset_us};
    return adjtimex(&x) >= 0 && mark_synced();
}

const struct time_clock time_clock_system = {NULL, system_now_us, system_step, system_slew};

static int64_t uptime_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- one round ---- */

struct peer {
    int fd; /* connected: the kernel drops what others send */
    char address[64];
    bool good, waiting;
    uint64_t nonce;
    int64_t sent_us;
    enum sntp_verdict verdict;
    struct sntp_sample best;
};
struct round {
    uint32_t count;
    struct peer peers[SNTP_SERVERS_MAX];
    /* Our clock in this round: where it stood at the start, and how far the uptime has run since: a step in between is not seen. */
    int64_t clock_us, uptime_us;
};

static int64_t round_now_us(const struct round *r)
{
    return r->clock_us + uptime_us() - r->uptime_us;
}

static bool is_denied(const struct time_client *c, const char *address)
{
    for (uint32_t i = 0; i < c->denied_count; i++)
        if (strcmp(c->denied[i].address, address) == 0 && c->denied[i].until_s > uptime_us() / 1000000)
            return true;
    return false;
}

static void deny(struct time_client *c, const char *address, int64_t seconds)
{
    uint32_t i = 0;
    while (i < c->denied_count && strcmp(c->denied[i].address, address) != 0)
        i++;
    if (i == SNTP_SERVERS_MAX)
        i = 0;
    if (i == c->denied_count)
        c->denied_count++;
    snprintf(c->denied[i].address, sizeof c->denied[i].address, "%s", address);
    c->denied[i].until_s = uptime_us() / 1000000 + seconds;
}

static void add_peer(struct time_client *c, struct round *r, const struct addrinfo *a)
{
    struct peer *p = &r->peers[r->count];
    *p = (struct peer){.verdict = SNTP_NOT_AN_ANSWER};
    if (getnameinfo(a->ai_addr, a->ai_addrlen, p->address, sizeof p->address, NULL, 0, NI_NUMERICHOST) != 0 ||
        is_denied(c, p->address))
        return;
    for (uint32_t i = 0; i < r->count; i++)
        if (strcmp(r->peers[i].address, p->address) == 0)
            return;
    p->fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (p->fd >= 0 && connect(p->fd, a->ai_addr, a->ai_addrlen) == 0)
        r->count++;
    else if (p->fd >= 0)
        close(p->fd);
}

/* A name's first address, or a second one where there is room for all: a pool's name stands for several. */
static void resolve(struct time_client *c, struct round *r)
{
    uint32_t each = c->server_count ? SNTP_SERVERS_MAX / c->server_count : 0;
    each = each > 2 ? 2 : each ? each : 1;
    for (uint32_t i = 0; i < c->server_count; i++) {
        struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
        if (getaddrinfo(c->servers[i], c->port, &hints, &list) != 0)
            continue;
        uint32_t before = r->count;
        for (struct addrinfo *a = list; a && r->count < SNTP_SERVERS_MAX && r->count - before < each;
             a = a->ai_next)
            add_peer(c, r, a);
        freeaddrinfo(list);
    }
}

static void ask(const struct round *r, struct peer *p)
{
    uint8_t packet[SNTP_BYTES];
    p->waiting = false;
    if (p->verdict == SNTP_KISS_DENY || p->verdict == SNTP_KISS_RATE ||
        getrandom(&p->nonce, sizeof p->nonce, 0) != (ssize_t)sizeof p->nonce)
        return;
    sntp_request(p->nonce, packet);
    p->sent_us = round_now_us(r);
    p->waiting = send(p->fd, packet, sizeof packet, MSG_NOSIGNAL) == (ssize_t)sizeof packet;
}

static void take(const struct time_client *c, const struct round *r, struct peer *p)
{
    uint8_t packet[SNTP_BYTES + 1024]; /* extension fields behind it are not looked at */
    struct sntp_sample s;
    ssize_t len = recv(p->fd, packet, sizeof packet, MSG_DONTWAIT);
    if (len < 0) {
        p->waiting = errno == EAGAIN || errno == EINTR; /* refused: nobody listens there */
        return;
    }
    enum sntp_verdict v =
        sntp_answer(packet, (size_t)len, p->nonce, p->sent_us, round_now_us(r), &c->bounds, &s);
    if (v == SNTP_NOT_AN_ANSWER)
        return;
    p->waiting = false;
    p->nonce = 0; /* a second answer to the same question is none */
    if (v == SNTP_GOOD && (!p->good || s.delay_us < p->best.delay_us)) {
        p->best = s;
        p->good = true;
    }
    if (!p->good || v == SNTP_KISS_DENY || v == SNTP_KISS_RATE)
        p->verdict = v;
}

static void wait_for_answers(const struct time_client *c, struct round *r)
{
    int64_t end = uptime_us() + c->answer_ms * INT64_C(1000);
    for (;;) {
        struct pollfd fds[SNTP_SERVERS_MAX];
        nfds_t n = 0;
        for (uint32_t i = 0; i < r->count; i++) {
            fds[i] = (struct pollfd){.fd = r->peers[i].waiting ? r->peers[i].fd : -1, .events = POLLIN};
            n += r->peers[i].waiting;
        }
        int64_t left = end - uptime_us();
        if (n == 0 || left <= 0)
            return;
        if (poll(fds, r->count, (int)(left / 1000) + 1) <= 0)
            continue;
        for (uint32_t i = 0; i < r->count; i++)
            if (fds[i].fd >= 0 && fds[i].revents)
                take(c, r, &r->peers[i]);
    }
}

static void sleep_ms(int ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
}

static void say_what_is_wrong(struct time_client *c, const struct round *r)
{
    struct time_report *t = &c->report;
    t->state = TIME_NO_ANSWER;
    snprintf(t->detail, sizeof t->detail, "%s",
             r->count ? "no server answers" : "no server's name is known or can be reached");
    for (uint32_t i = 0; i < r->count; i++)
        if (!r->peers[i].good && r->peers[i].verdict != SNTP_NOT_AN_ANSWER) {
            t->state = TIME_REFUSED;
            snprintf(t->detail, sizeof t->detail, "%s: %s", r->peers[i].address,
                     sntp_verdict_text(r->peers[i].verdict));
        }
}

static bool set_clock(struct time_client *c, const struct sntp_sample *s)
{
    enum sntp_action action = sntp_decide(s->offset_us, !c->synced_once, &c->late_rounds);
    int64_t to_us = c->clock->now_us(c->clock->context) + s->offset_us;
    if (to_us < c->bounds.floor_us || to_us > c->bounds.ceiling_us)
        return false; /* the clock was moved by somebody else meanwhile */
    return action == SNTP_STEP ? c->clock->step(c->clock->context, to_us)
                               : c->clock->slew(c->clock->context, s->offset_us);
}

static bool conclude(struct time_client *c, const struct round *r)
{
    struct sntp_sample samples[SNTP_SERVERS_MAX], chosen;
    struct time_report *t = &c->report;
    uint32_t good = 0, agreed = 0;
    for (uint32_t i = 0; i < r->count; i++)
        if (r->peers[i].good)
            samples[good++] = r->peers[i].best;
    t->asked = r->count;
    t->answered = good;
    t->agreed = 0;
    if (good == 0) {
        say_what_is_wrong(c, r);
        return false;
    }
    if (!sntp_select(samples, good, &chosen, &agreed)) {
        t->state = TIME_REFUSED;
        snprintf(t->detail, sizeof t->detail, "the servers do not agree");
        return false;
    }
    if (!set_clock(c, &chosen)) {
        t->state = TIME_REFUSED;
        snprintf(t->detail, sizeof t->detail, "the clock cannot be set");
        return false;
    }
    c->synced_once = true;
    t->agreed = agreed;
    t->state = TIME_SYNCED;
    t->offset_us = chosen.offset_us;
    t->delay_us = chosen.delay_us;
    t->stratum = chosen.stratum;
    t->at_s = c->clock->now_us(c->clock->context) / 1000000;
    t->detail[0] = 0;
    return true;
}

int time_client_round(struct time_client *c)
{
    static struct round r;
    r.count = 0;
    resolve(c, &r);
    r.clock_us = c->clock->now_us(c->clock->context);
    r.uptime_us = uptime_us();
    for (int k = 0; k < SAMPLES && r.count; k++) {
        if (k)
            sleep_ms(c->gap_ms);
        for (uint32_t i = 0; i < r.count; i++)
            ask(&r, &r.peers[i]);
        wait_for_answers(c, &r);
    }
    bool done = conclude(c, &r);
    for (uint32_t i = 0; i < r.count; i++) {
        if (r.peers[i].verdict == SNTP_KISS_DENY || r.peers[i].verdict == SNTP_KISS_RATE)
            deny(c, r.peers[i].address, r.peers[i].verdict == SNTP_KISS_DENY ? DENIED_S : RATE_S);
        close(r.peers[i].fd);
    }
    c->failures = done ? 0 : c->failures + 1;
    c->rounds += done && c->rounds < EARLY_ROUNDS;
    if (done)
        return c->rounds < EARLY_ROUNDS ? ROUND_EARLY_S : ROUND_S;
    int64_t wait = (int64_t)RETRY_S << (c->failures < 8 ? c->failures - 1 : 7);
    return (int)(wait < RETRY_MAX_S ? wait : RETRY_MAX_S);
}
