/* SNTP: what is believed of an answer, which servers are believed together, and a client against servers on loopback that behave,
 * misbehave and lie. The clock that is set is the test's own. */
#include "init/clock_floor.h"
#include "init/sntp.h"
#include "init/time_client.h"

#include "../remove_tree.h"
#include "../test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define SEC INT64_C(1000000)
#define NOW (INT64_C(1800000000) * SEC) /* 2027 */
static const struct sntp_bounds bounds = {NOW - 100 * 86400 * SEC, NOW + INT64_C(3000) * 86400 * SEC};

static void put_u64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t ntp_time(int64_t unix_us)
{
    uint64_t s = (uint64_t)(unix_us / SEC + INT64_C(2208988800)), f = (uint64_t)(unix_us % SEC);
    return s << 32 | ((f << 32) / 1000000);
}

/* An answer to a question with this nonce, which came and went at these times. */
static void make_answer(uint8_t p[SNTP_BYTES], uint64_t nonce, int64_t came, int64_t went)
{
    memset(p, 0, SNTP_BYTES);
    p[0] = 0 << 6 | 4 << 3 | 4;
    p[1] = 2;
    put_u64(p + 24, nonce);
    put_u64(p + 32, ntp_time(came));
    put_u64(p + 40, ntp_time(went));
}

static bool near(int64_t a, int64_t b, int64_t by)
{
    return a - b <= by && b - a <= by;
}

static void test_good_answer(void)
{
    uint8_t p[SNTP_BYTES];
    struct sntp_sample s;
    make_answer(p, 77, NOW + 5 * SEC + 10000, NOW + 5 * SEC + 11000);
    CHECK(sntp_answer(p, sizeof p, 77, NOW, NOW + 21000, &bounds, &s) == SNTP_GOOD);
    CHECK(near(s.offset_us, 5 * SEC, 2) && near(s.delay_us, 20000, 2) && s.stratum == 2);
    /* Our own clock may be anything: in 1970, or a hundred years ahead. */
    CHECK(sntp_answer(p, sizeof p, 77, 0, 21000, &bounds, &s) == SNTP_GOOD &&
          near(s.offset_us, NOW + 5 * SEC, 2));
    int64_t late = NOW + INT64_C(36500) * 86400 * SEC;
    CHECK(sntp_answer(p, sizeof p, 77, late, late + 21000, &bounds, &s) == SNTP_GOOD);
    CHECK(near(s.offset_us, NOW + 5 * SEC - late, 2));
}

static void test_request(void)
{
    uint8_t p[SNTP_BYTES];
    sntp_request(0x0102030405060708u, p);
    CHECK(p[0] == (4 << 3 | 3) && p[40] == 1 && p[47] == 8);
    for (int i = 1; i < 40; i++)
        CHECK(p[i] == 0); /* it tells nothing about the box */
}

static enum sntp_verdict judge(const uint8_t *p, size_t len)
{
    struct sntp_sample s;
    return sntp_answer(p, len, 77, NOW, NOW + 21000, &bounds, &s);
}

static enum sntp_verdict with_byte(int at, uint8_t value)
{
    uint8_t p[SNTP_BYTES];
    make_answer(p, 77, NOW + 10000, NOW + 11000);
    p[at] = value;
    return judge(p, sizeof p);
}

static void test_bad_answers(void)
{
    uint8_t p[SNTP_BYTES];
    make_answer(p, 77, NOW + 10000, NOW + 11000);
    CHECK(judge(p, sizeof p) == SNTP_GOOD);
    CHECK(judge(p, 47) == SNTP_NOT_AN_ANSWER);
    CHECK(judge(p, 0) == SNTP_NOT_AN_ANSWER);
    CHECK(with_byte(31, 78) == SNTP_NOT_AN_ANSWER);        /* another question's */
    CHECK(with_byte(0, 4 << 3 | 3) == SNTP_NOT_AN_ANSWER); /* a question */
    CHECK(with_byte(0, 4 << 3 | 5) == SNTP_NOT_AN_ANSWER); /* a broadcast */
    CHECK(with_byte(0, 7 << 3 | 4) == SNTP_NOT_AN_ANSWER); /* of no version there is */
    CHECK(with_byte(0, 3 << 3 | 4) == SNTP_GOOD);
    CHECK(with_byte(0, 3 << 6 | 4 << 3 | 4) == SNTP_UNSYNCHRONIZED);
    CHECK(with_byte(0, 1 << 6 | 4 << 3 | 4) == SNTP_GOOD); /* a leap second is near */
    CHECK(with_byte(1, 16) == SNTP_UNSYNCHRONIZED && with_byte(1, 255) == SNTP_UNSYNCHRONIZED);
    CHECK(with_byte(1, 15) == SNTP_GOOD);
    CHECK(with_byte(5, 4) == SNTP_TOO_FAR); /* root delay 4 s */
    CHECK(with_byte(9, 1) == SNTP_GOOD && with_byte(9, 2) == SNTP_TOO_FAR);
    make_answer(p, 77, NOW + 11000, NOW + 10000); /* it went before it came */
    CHECK(judge(p, sizeof p) == SNTP_TOO_FAR);
    make_answer(p, 77, NOW, NOW + 50000); /* it took longer there than here */
    CHECK(judge(p, sizeof p) == SNTP_TOO_FAR);
    memset(p + 40, 0, 8);
    CHECK(judge(p, sizeof p) == SNTP_UNSYNCHRONIZED);
}

static void test_kisses(void)
{
    static const struct {
        const char *id;
        enum sntp_verdict want;
    } kisses[] = {{"DENY", SNTP_KISS_DENY},
                  {"RSTR", SNTP_KISS_DENY},
                  {"RATE", SNTP_KISS_RATE},
                  {"INIT", SNTP_UNSYNCHRONIZED}};
    for (size_t i = 0; i < ARRAY_COUNT(kisses); i++) {
        uint8_t p[SNTP_BYTES];
        make_answer(p, 77, NOW, NOW);
        p[1] = 0;
        memcpy(p + 12, kisses[i].id, 4);
        CHECK(judge(p, sizeof p) == kisses[i].want);
        p[31] ^= 1; /* somebody else's, so that servers fall silent */
        CHECK(judge(p, sizeof p) == SNTP_NOT_AN_ANSWER);
    }
}

static void test_bounds(void)
{
    uint8_t p[SNTP_BYTES];
    struct sntp_sample s;
    make_answer(p, 77, bounds.floor_us, bounds.floor_us);
    CHECK(judge(p, sizeof p) == SNTP_GOOD);
    make_answer(p, 77, bounds.floor_us - SEC, bounds.floor_us - SEC);
    CHECK(judge(p, sizeof p) == SNTP_OUT_OF_BOUNDS);
    make_answer(p, 77, bounds.ceiling_us, bounds.ceiling_us);
    CHECK(judge(p, sizeof p) == SNTP_GOOD);
    make_answer(p, 77, bounds.ceiling_us + SEC, bounds.ceiling_us + SEC);
    CHECK(judge(p, sizeof p) == SNTP_OUT_OF_BOUNDS);
    /* Over the end of NTP's first era, in 2036. */
    struct sntp_bounds era = {INT64_C(2085978400) * SEC, INT64_C(2086064896) * SEC};
    int64_t after = INT64_C(2085978506) * SEC;
    make_answer(p, 77, after, after);
    CHECK(sntp_answer(p, sizeof p, 77, after - SEC, after - SEC + 1000, &era, &s) == SNTP_GOOD);
    CHECK(near(s.offset_us, SEC, 1000));
}

static bool choose(uint32_t count, const int64_t *offsets_ms, int64_t *out_ms, uint32_t *agreed)
{
    struct sntp_sample s[SNTP_SERVERS_MAX], chosen = {0};
    for (uint32_t i = 0; i < count; i++)
        s[i] = (struct sntp_sample){.offset_us = offsets_ms[i] * 1000, .delay_us = 10};
    bool good = sntp_select(s, count, &chosen, agreed);
    *out_ms = chosen.offset_us / 1000;
    return good;
}

static void test_selection(void)
{
    int64_t out;
    uint32_t agreed;
    CHECK(choose(1, (int64_t[]){500}, &out, &agreed) && out == 500 && agreed == 1);
    CHECK(choose(2, (int64_t[]){500, 700}, &out, &agreed) && out == 600 && agreed == 2);
    CHECK(!choose(2, (int64_t[]){500, 9000}, &out, &agreed)); /* which of them? */
    CHECK(choose(3, (int64_t[]){500, 86400000, 510}, &out, &agreed) && out == 505 && agreed == 2);
    CHECK(choose(3, (int64_t[]){-86400000, 20, 10}, &out, &agreed) && out == 15 && agreed == 2);
    CHECK(!choose(3, (int64_t[]){0, 60000, 120000}, &out, &agreed));
    CHECK(!choose(4, (int64_t[]){0, 1, 60000, 60001}, &out, &agreed)); /* half is no majority */
    CHECK(choose(5, (int64_t[]){0, 3, 1, 60000, 60001}, &out, &agreed) && out == 1 && agreed == 3);
    CHECK(!choose(0, NULL, &out, &agreed));
}

static void test_decision(void)
{
    uint32_t late = 0;
    CHECK(sntp_decide(SNTP_STEP_US, true, &late) == SNTP_SLEW);
    CHECK(sntp_decide(SNTP_STEP_US + 1, true, &late) == SNTP_STEP);
    CHECK(sntp_decide(-SNTP_STEP_US - 1, true, &late) == SNTP_STEP);
    CHECK(sntp_decide(5 * SEC, false, &late) == SNTP_SLEW);
    CHECK(sntp_decide(3600 * SEC, false, &late) == SNTP_SLEW &&
          sntp_decide(3600 * SEC, false, &late) == SNTP_SLEW);
    CHECK(sntp_decide(0, false, &late) == SNTP_SLEW); /* it was one answer's fault */
    CHECK(sntp_decide(3600 * SEC, false, &late) == SNTP_SLEW &&
          sntp_decide(3600 * SEC, false, &late) == SNTP_SLEW);
    CHECK(sntp_decide(3600 * SEC, false, &late) == SNTP_STEP);
}

/* ---- servers ---- */

enum behaviour {
    HONEST,
    WRONG_ORIGINATE,
    FORGED_THEN_HONEST,
    DENIES,
    RATES,
    FAR_FUTURE,
    BEFORE_FLOOR,
    SILENT,
    SHORT,
    LIES_AN_HOUR
};
struct server {
    enum behaviour how;
    int fd;
    atomic_int asked;
    pthread_t thread;
    char address[16];
};
static atomic_int stop;
static int port;

static int64_t true_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return NOW + (int64_t)t.tv_sec % 1000 * SEC + t.tv_nsec / 1000;
}

static void answer(struct server *s, const uint8_t *q, const struct sockaddr_in *to)
{
    uint8_t p[SNTP_BYTES];
    uint64_t nonce = 0;
    for (int i = 0; i < 8; i++)
        nonce = nonce << 8 | q[40 + i];
    int64_t t = true_now();
    t += s->how == FAR_FUTURE     ? INT64_C(11 * 366) * 86400 * SEC
         : s->how == BEFORE_FLOOR ? -INT64_C(200) * 86400 * SEC
                                  : 0;
    t += s->how == LIES_AN_HOUR ? 3600 * SEC : 0;
    make_answer(p, s->how == WRONG_ORIGINATE ? nonce + 1 : nonce, t, t);
    if (s->how == FORGED_THEN_HONEST) {
        uint8_t forged[SNTP_BYTES];
        make_answer(forged, nonce ^ 4, t + 7200 * SEC, t + 7200 * SEC);
        sendto(s->fd, forged, sizeof forged, 0, (const struct sockaddr *)to, sizeof *to);
    }
    if (s->how == DENIES || s->how == RATES) {
        p[1] = 0;
        memcpy(p + 12, s->how == DENIES ? "DENY" : "RATE", 4);
    }
    if (s->how != SILENT)
        sendto(s->fd, p, s->how == SHORT ? 40 : sizeof p, 0, (const struct sockaddr *)to, sizeof *to);
}

static void *serve(void *arg)
{
    struct server *s = arg;
    while (!atomic_load(&stop)) {
        struct pollfd f = {.fd = s->fd, .events = POLLIN};
        uint8_t q[128];
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        if (poll(&f, 1, 20) != 1 ||
            recvfrom(s->fd, q, sizeof q, 0, (struct sockaddr *)&from, &len) != SNTP_BYTES)
            continue;
        atomic_fetch_add(&s->asked, 1);
        answer(s, q, &from);
    }
    return NULL;
}

static void start(struct server *s, enum behaviour how, int host)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)host)};
    socklen_t len = sizeof a;
    *s = (struct server){.how = how, .fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    CHECK(bind(s->fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(getsockname(s->fd, (struct sockaddr *)&a, &len) == 0);
    port = ntohs(a.sin_port);
    snprintf(s->address, sizeof s->address, "127.0.0.%d", host + 1);
    pthread_create(&s->thread, NULL, serve, s);
}

/* ---- the client ---- */

struct fake_clock {
    int64_t ahead_us; /* of the true time */
    int steps, slews;
    int64_t last_us;
};

static int64_t fake_now(void *context)
{
    return true_now() + ((struct fake_clock *)context)->ahead_us;
}

static bool fake_step(void *context, int64_t to_us)
{
    struct fake_clock *c = context;
    c->steps++;
    c->ahead_us = to_us - true_now();
    return true;
}

static bool fake_slew(void *context, int64_t offset_us)
{
    struct fake_clock *c = context;
    c->slews++;
    c->last_us = offset_us;
    return true;
}

static struct fake_clock fake;
static const struct time_clock clock_of_test = {&fake, fake_now, fake_step, fake_slew};

static struct time_client client_for(const char *const *servers, uint32_t count)
{
    static char port_text[8];
    snprintf(port_text, sizeof port_text, "%d", port);
    return (struct time_client){.clock = &clock_of_test,
                                .bounds = bounds,
                                .servers = servers,
                                .server_count = count,
                                .port = port_text,
                                .gap_ms = 1,
                                .answer_ms = 250};
}

/* One round against these servers with a clock that is an hour slow. */
static struct time_report round_with(uint32_t count, const enum behaviour *how, struct server *servers,
                                     int *wait)
{
    const char *names[SNTP_SERVERS_MAX];
    port = 0;
    atomic_store(&stop, 0);
    for (uint32_t i = 0; i < count; i++) {
        start(&servers[i], how[i], (int)i);
        names[i] = servers[i].address;
    }
    fake = (struct fake_clock){.ahead_us = -3600 * SEC};
    struct time_client c = client_for(names, count);
    *wait = time_client_round(&c);
    atomic_store(&stop, 1);
    for (uint32_t i = 0; i < count; i++) {
        pthread_join(servers[i].thread, NULL);
        close(servers[i].fd);
    }
    return c.report;
}

static struct server servers[SNTP_SERVERS_MAX];

static void test_client_steps(void)
{
    int wait;
    struct time_report r =
        round_with(3, (enum behaviour[]){HONEST, HONEST, FORGED_THEN_HONEST}, servers, &wait);
    CHECK(r.state == TIME_SYNCED && r.asked == 3 && r.answered == 3 && r.agreed == 3 && wait == 64);
    CHECK(fake.steps == 1 && near(fake.ahead_us, 0, SEC / 5));
    CHECK(near(r.offset_us, 3600 * SEC, SEC / 5) && r.stratum == 2);
}

static void test_client_refuses(void)
{
    static const enum behaviour bad[] = {WRONG_ORIGINATE, DENIES, RATES, FAR_FUTURE,
                                         BEFORE_FLOOR,    SILENT, SHORT};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        int wait;
        struct time_report r = round_with(1, &bad[i], servers, &wait);
        bool silent = bad[i] == WRONG_ORIGINATE || bad[i] == SILENT || bad[i] == SHORT;
        CHECK(r.state == (silent ? TIME_NO_ANSWER : TIME_REFUSED) && r.detail[0] && wait == 5);
        CHECK(fake.steps == 0 && fake.slews == 0 && fake.ahead_us == -3600 * SEC);
        CHECK(bad[i] != DENIES || servers[0].asked == 1); /* it is asked no more in this round */
    }
}

static void test_client_outvotes_liars(void)
{
    int wait;
    struct time_report r =
        round_with(5, (enum behaviour[]){HONEST, LIES_AN_HOUR, HONEST, FAR_FUTURE, SILENT}, servers, &wait);
    CHECK(r.state == TIME_SYNCED && r.answered == 3 && r.agreed == 2 && near(fake.ahead_us, 0, SEC / 5));
    r = round_with(2, (enum behaviour[]){HONEST, LIES_AN_HOUR}, servers, &wait);
    CHECK(r.state == TIME_REFUSED && fake.steps == 0);
    CHECK_STR(r.detail, "the servers do not agree");
}

static void test_client_goes_on(void)
{
    port = 0;
    atomic_store(&stop, 0);
    start(&servers[0], HONEST, 0);
    const char *names[] = {servers[0].address};
    struct time_client c = client_for(names, 1);
    fake = (struct fake_clock){.ahead_us = 60000};
    CHECK(time_client_round(&c) == 64 && fake.steps == 0 && fake.slews == 1 &&
          near(fake.last_us, -60000, 50000));
    fake.ahead_us = 5 * SEC; /* much, but not at the start */
    CHECK(time_client_round(&c) == 64 && fake.steps == 0 && fake.slews == 2);
    for (int i = 0; i < 8; i++)
        (void)time_client_round(&c);
    CHECK(time_client_round(&c) == 1024);
    atomic_store(&stop, 1);
    pthread_join(servers[0].thread, NULL);
    close(servers[0].fd);
    int waits[8];
    c.answer_ms = 20;
    for (int i = 0; i < 8; i++)
        waits[i] = time_client_round(&c);
    CHECK(waits[0] == 5 && waits[1] == 10 && waits[7] == 300 && c.report.state == TIME_NO_ANSWER);
    CHECK(c.report.at_s > 0); /* when it last was synchronized stays known */
}

/* A server that refuses is not asked for a day, one that is asked too often for an hour. */
static void test_client_obeys(void)
{
    port = 0;
    atomic_store(&stop, 0);
    start(&servers[0], DENIES, 0);
    start(&servers[1], HONEST, 1);
    const char *names[] = {servers[0].address, servers[1].address};
    struct time_client c = client_for(names, 2);
    fake = (struct fake_clock){0};
    (void)time_client_round(&c);
    (void)time_client_round(&c);
    CHECK(servers[0].asked == 1 && servers[1].asked == 6 && c.report.state == TIME_SYNCED &&
          c.report.asked == 1);
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) {
        pthread_join(servers[i].thread, NULL);
        close(servers[i].fd);
    }
}

static char dir[] = "/tmp/test-sntp-XXXXXX";

static int64_t floor_with(const char *image, const char *saved)
{
    char *a = xprintf("%s/image.json", dir), *b = xprintf("%s/clock", dir);
    unlink(a);
    unlink(b);
    for (int i = 0; i < 2; i++) {
        const char *text = i ? saved : image;
        FILE *f = text ? fopen(i ? b : a, "we") : NULL;
        if (f) {
            fputs(text, f);
            fclose(f);
        }
    }
    int64_t t = clock_floor(a, b);
    free(a);
    free(b);
    return t;
}

static void test_floor(void)
{
    static const char image[] = "{\"created\":\"2027-01-15T08:00:00Z\"}";
    CHECK(floor_with(image, NULL) == 1800000000);
    CHECK(floor_with(image, "1800000500\n") == 1800000500);
    CHECK(floor_with(image, "1700000000\n") == 1800000000); /* an older image's */
    CHECK(floor_with(image, "9800000000\n") == 1800000000); /* nonsense */
    CHECK(floor_with(image, "18000005x0\n") == 1800000000);
    CHECK(floor_with(image, "") == 1800000000);
    CHECK(floor_with(NULL, NULL) == CLOCK_LEAST_S && floor_with("{", "x") == CLOCK_LEAST_S);
    CHECK(floor_with("{\"created\":\"yesterday\"}", NULL) == CLOCK_LEAST_S);
    char *path = xprintf("%s/clock", dir);
    struct err *e = clock_save(path, 1800000777);
    CHECK(!e);
    free(path);
    path = xprintf("%s/none.json", dir);
    char *saved = xprintf("%s/clock", dir);
    CHECK(clock_floor(path, saved) == 1800000777);
    free(path);
    free(saved);
    remove_tree(dir);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    RUN(test_good_answer);
    RUN(test_request);
    RUN(test_bad_answers);
    RUN(test_kisses);
    RUN(test_bounds);
    RUN(test_selection);
    RUN(test_decision);
    RUN(test_client_steps);
    RUN(test_client_refuses);
    RUN(test_client_outvotes_liars);
    RUN(test_client_goes_on);
    RUN(test_client_obeys);
    RUN(test_floor);
    TEST_END();
}
