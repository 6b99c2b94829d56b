/* Moves the time of a store's last epoch, as if the host's clock had been set the other way, for test/e2e/test_clock.py:
 * shift_clock DATA SECONDS, while no instance runs. */
#include "flow/pipeline.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>

static struct err *shift(struct store *s, int64_t by_us)
{
    const struct slice key = {(const uint8_t *)"clock:epoch", strlen("clock:epoch")};
    struct slice found;
    struct store_pin *pin;
    store_db meta;
    int64_t clock;
    uint64_t epoch = store_epoch(s) + 1;
    for (uint32_t i = 0; i < store_shard_count(s); i++)
        TRY(store_begin(store_shard(s, i)));
    TRY(store_db_open(store_shard(s, 0), "meta", &meta));
    if (!store_get(store_shard(s, 0), meta, key, &found) || found.len != sizeof clock)
        return err_new(ERR_STATE, "the store has no clock");
    memcpy(&clock, found.p, sizeof clock);
    clock += by_us;
    TRY(store_put(store_shard(s, 0), meta, key, (struct slice){(const uint8_t *)&clock, sizeof clock}));
    for (uint32_t i = 0; i < store_shard_count(s); i++)
        TRY(store_commit(store_shard(s, i), epoch));
    TRY(store_pin(s, &pin));
    return store_checkpoint(s, pin);
}

int main(int argc, char **argv)
{
    struct store_options o = {0};
    struct store *s = NULL;
    uint64_t epoch;
    if (argc != 3)
        return 2;
    struct err *e = store_inspect(argv[1], &o.shard_count, &epoch);
    if (!e)
        e = store_open(argv[1], NULL, false, &o, &s);
    if (!e)
        e = shift(s, strtoll(argv[2], NULL, 10) * 1000000);
    store_close(s);
    if (e)
        err_print(stderr, e);
    err_free(e);
    return e != NULL;
}
