/* The process that asks for the time: `/init time FLOOR_S CEILING_S SERVER...`, a child of the network process. It holds
 * CAP_SYS_TIME and nothing else, reads what strangers send, and tells its parent how it stands over the socket that is its standard input. */
#ifndef PENSTOCK_INIT_TIME_CLIENT_H
#define PENSTOCK_INIT_TIME_CLIENT_H

#include "init/sntp.h"

#define TIME_REPORT_FD    0           /* its standard input is a socket */
#define TIME_REPORT_MAGIC 0x31454d54u /* "TME1" */
#define TIME_PORT         "123"

enum time_state { TIME_ASKING, TIME_SYNCED, TIME_NO_ANSWER, TIME_REFUSED };
struct time_report {
    uint32_t magic;
    uint32_t state;    /* enum time_state */
    int64_t offset_us; /* found at the last synchronization; what was stepped or is being slewed */
    int64_t delay_us;
    int64_t at_s; /* Unix time of it; 0: never */
    uint32_t stratum;
    uint32_t asked, answered, agreed; /* servers of the last round */
    char detail[120];                 /* what is wrong; "" */
};

/* The clock that is set, so that tests have another. */
struct time_clock {
    void *context;
    int64_t (*now_us)(void *context);
    bool (*step)(void *context, int64_t to_us); /* false: not permitted */
    bool (*slew)(void *context, int64_t offset_us);
};
extern const struct time_clock time_clock_system;

struct time_client {
    const struct time_clock *clock;
    struct sntp_bounds bounds;
    const char *const *servers; /* names or addresses */
    uint32_t server_count;
    const char *port;
    int gap_ms;    /* between the samples of a round */
    int answer_ms; /* how long one is waited for */
    /* state */
    bool synced_once;
    uint32_t late_rounds, rounds, failures;
    uint32_t denied_count;
    struct {
        char address[64];
        int64_t until_s; /* CLOCK_BOOTTIME */
    } denied[SNTP_SERVERS_MAX];
    struct time_report report;
};
/* Asks all servers, sets the clock if they agree, and says how it went in report. How long to wait before the next, in seconds. */
int time_client_round(struct time_client *c);

int time_main(int argc, char **argv);

#endif
