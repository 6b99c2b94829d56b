/* Plants a fault in the store of a stopped instance, as a bug or a bad disk would: for tests of `penstock verify`.
 *
 *   damage_store DIR SHARD del DATABASE N             takes the Nth entry away
 *   damage_store DIR SHARD flip DATABASE N BYTE       changes one bit of the Nth entry's value; BYTE < 0: from its end
 *   damage_store DIR SHARD rekey DATABASE N           moves the Nth entry to a key with another last byte
 *   damage_store DIR SHARD copy DATABASE N TO-SHARD   puts the Nth entry into another shard too
 *   damage_store DIR SHARD set DATABASE KEY HEX       sets the value of a key given as text
 *   damage_store DIR SHARD list DATABASE              prints keys and values in hexadecimal; changes nothing
 *
 * N < 0 counts from the end. What it writes is a whole epoch, committed and made durable like any other. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint8_t key[STORE_KEY_MAX];
    size_t key_len;
    uint8_t *value; /* owned */
    size_t value_len;
};

static void must(struct err *e)
{
    if (!e)
        return;
    err_print(stderr, e);
    exit(1);
}

static _Noreturn void wrong(const char *what)
{
    fprintf(stderr, "damage_store: %s\n", what);
    exit(2);
}

static struct slice key_of(const struct entry *e)
{
    return (struct slice){e->key, e->key_len};
}

static struct slice value_of(const struct entry *e)
{
    return (struct slice){e->value, e->value_len};
}

static struct entry nth(struct store_shard *sh, store_db db, long n)
{
    struct store_scan *scan;
    struct slice key, value;
    struct entry e = {.key_len = 0};
    long count = (long)store_entries(sh, db);
    n = n < 0 ? count + n : n;
    if (n < 0 || n >= count)
        wrong("there are not so many entries");
    must(store_scan_open(sh, db, &scan));
    for (long i = 0; i <= n; i++)
        if (!store_scan_next(scan, &key, &value))
            wrong("the scan ended");
    memcpy(e.key, key.p, key.len);
    e.key_len = key.len;
    e.value = xmalloc(value.len + 1);
    memcpy(e.value, value.p, value.len);
    e.value_len = value.len;
    store_scan_close(scan);
    return e;
}

static void print_hex(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", s.p[i]);
}

static void list(struct store_shard *sh, store_db db)
{
    struct store_scan *scan;
    struct slice key, value;
    must(store_scan_open(sh, db, &scan));
    while (store_scan_next(scan, &key, &value)) {
        print_hex(key);
        putchar(' ');
        print_hex(value);
        putchar('\n');
    }
    store_scan_close(scan);
}

static void set(struct store_shard *sh, store_db db, const char *key, const char *hex)
{
    uint8_t value[256];
    size_t len = strlen(hex) / 2;
    if (len > sizeof value)
        wrong("the value is too long");
    for (size_t i = 0; i < len; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        value[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    must(store_put(sh, db, (struct slice){(const uint8_t *)key, strlen(key)}, (struct slice){value, len}));
}

static void change(struct store *s, uint32_t shard, const char *verb, const char *name,
                   const char *const *args)
{
    struct store_shard *sh = store_shard(s, shard);
    store_db db, other;
    must(store_db_open(sh, name, &db));
    if (strcmp(verb, "list") == 0 || strcmp(verb, "set") == 0) {
        if (verb[0] == 'l')
            list(sh, db);
        else
            set(sh, db, args[0], args[1]);
        return;
    }
    struct entry e = nth(sh, db, strtol(args[0], NULL, 10));
    if (strcmp(verb, "del") == 0) {
        must(store_del(sh, db, key_of(&e)));
    } else if (strcmp(verb, "flip") == 0) {
        long at = strtol(args[1], NULL, 10);
        at = at < 0 ? (long)e.value_len + at : at;
        if (at < 0 || at >= (long)e.value_len)
            wrong("the value has not so many bytes");
        e.value[at] ^= 2;
        must(store_put(sh, db, key_of(&e), value_of(&e)));
    } else if (strcmp(verb, "rekey") == 0) {
        must(store_del(sh, db, key_of(&e)));
        e.key[e.key_len - 1] ^= 1;
        must(store_put(sh, db, key_of(&e), value_of(&e)));
    } else if (strcmp(verb, "copy") == 0) {
        struct store_shard *to = store_shard(s, (uint32_t)strtoul(args[1], NULL, 10));
        must(store_db_open(to, name, &other));
        must(store_put(to, other, key_of(&e), value_of(&e)));
    } else {
        wrong("unknown verb");
    }
    free(e.value);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        wrong("usage: damage_store DIR SHARD VERB DATABASE [ARGS]");
    uint32_t shards, shard = (uint32_t)strtoul(argv[2], NULL, 10);
    uint64_t epoch;
    struct store *s;
    struct store_pin *pin;
    const char *args[2] = {argc > 5 ? argv[5] : "0", argc > 6 ? argv[6] : "0"};
    must(store_inspect(argv[1], &shards, &epoch));
    if (shard >= shards)
        wrong("there are not so many shards");
    struct store_options o = {.shard_count = shards};
    must(store_open(argv[1], NULL, false, &o, &s));
    epoch = store_epoch(s) + 1;
    for (uint32_t i = 0; i < shards; i++)
        must(store_begin(store_shard(s, i)));
    change(s, shard, argv[3], argv[4], args);
    for (uint32_t i = 0; i < shards; i++)
        must(store_commit(store_shard(s, i), epoch));
    must(store_pin(s, &pin));
    must(store_checkpoint(s, pin));
    store_close(s);
    return 0;
}
