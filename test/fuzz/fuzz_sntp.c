/* Any bytes as the answer of a time server, and as the environment of dhcpcd's hook: what is believed lies within its bounds. */
#include "init/net_lease.h"
#include "init/sntp.h"

#include <stdlib.h>

static const struct sntp_bounds bounds = {INT64_C(1790000000000000), INT64_C(2110000000000000)};

static void as_answer(const uint8_t *data, size_t size)
{
    struct sntp_sample s = {0};
    int64_t sent = INT64_C(1800000000000000);
    uint64_t nonce = 0;
    for (int i = 0; size >= SNTP_BYTES && i < 8; i++)
        nonce = nonce << 8 | data[24 + i];
    if (sntp_answer(data, size, nonce, sent, sent + 1000000, &bounds, &s) != SNTP_GOOD)
        return;
    ASSERT(sent + s.offset_us >= bounds.floor_us - 2000000 &&
           sent + s.offset_us <= bounds.ceiling_us + 2000000);
    ASSERT(s.delay_us >= 0 && s.delay_us <= SNTP_DELAY_MAX_US && s.stratum > 0 && s.stratum < 16);
}

/* Lines as variables. */
static void as_environment(const uint8_t *data, size_t size)
{
    static struct net_lease l, again;
    char *env[65], *text = xmalloc(size + 1);
    size_t n = 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (char *line = strtok(text, "\n"); line && n < 64; line = strtok(NULL, "\n"))
        env[n++] = line;
    env[n] = NULL;
    if (net_lease_read(env, &l) == NET_LEASE_SET) {
        struct settings s;
        struct buf b = {0};
        settings_defaults(&s);
        net_resolv_conf(&s, &l, 1, &b);
        buf_fini(&b);
    }
    (void)net_lease_parse((const char *)data, size, &again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_answer(data, size);
    as_environment(data, size);
    return 0;
}
