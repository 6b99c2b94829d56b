/* Transactions in progress kept in files: whatever is put, taken back and committed side by side comes out as a list in memory
 * says; limits and full disks are errors, and nothing is left in the directory. */
#include "source/postgres/pg_spool.h"
#include "base/buf.h"
#include "test.h"
#include <dirent.h>
#include <unistd.h>

static char dir[64];

static struct pg_spool *spool(int64_t limit)
{
    struct pg_spool_conf conf = {.dir = dir, .name = "core", .limit_bytes = limit};
    return pg_spool_new(&conf);
}

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static bool dir_empty(void)
{
    DIR *d = opendir(dir);
    int entries = 0;
    while (readdir(d))
        entries++;
    closedir(d);
    return entries == 2; /* . and .. */
}

/* ---- against a model: per transaction the messages with the depth of nesting that they were written in ---- */

#define TRANSACTIONS 5
#define DEPTH        6

struct note {
    uint32_t number;
    size_t len;
};
struct model {
    uint32_t xid, next_subxid;
    uint32_t depth, subxids[DEPTH + 1]; /* open savepoints; [0] is the transaction itself */
    size_t from[DEPTH + 1];             /* how many notes there were when it was opened */
    size_t count, room;
    struct note *notes; /* owned */
};

static void note_add(struct model *t, uint32_t number, size_t len)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->notes = xrealloc(t->notes, t->room * sizeof *t->notes);
    }
    t->notes[t->count++] = (struct note){number, len};
}

static size_t message_make(uint8_t *p, uint32_t number)
{
    /* Now and then one that is larger than the memory of a transaction. */
    size_t len = draw(40) == 0 ? PG_SPOOL_MEMORY + draw(300000) : 4 + draw(200);
    memset(p, (int)(number & 255), len);
    memcpy(p, &number, 4);
    return len;
}

struct taking {
    const struct model *t;
    size_t at;
    bool bad;
};
static struct err *take(void *arg, const uint8_t *p, size_t len)
{
    struct taking *k = arg;
    uint32_t number;
    memcpy(&number, p, 4);
    if (k->at >= k->t->count || k->t->notes[k->at].number != number || k->t->notes[k->at].len != len ||
        (len > 4 && (p[4] != (number & 255) || p[len - 1] != (number & 255))))
        k->bad = true;
    k->at++;
    return NULL;
}

static void model_begin(struct model *t, uint32_t xid)
{
    t->xid = xid;
    t->next_subxid = xid + 1;
    t->depth = 0;
    t->subxids[0] = xid;
    t->count = 0;
}

static void step(struct pg_spool *s, struct model *t, uint32_t *number, uint8_t *scratch)
{
    uint32_t what = draw(100);
    if (what < 70) {
        size_t len = message_make(scratch, ++*number);
        CHECK(!pg_spool_put(s, t->xid, t->subxids[t->depth], scratch, len));
        note_add(t, *number, len);
    } else if (what < 82 && t->depth < DEPTH) {
        t->subxids[++t->depth] = t->next_subxid++;
        t->from[t->depth] = t->count;
    } else if (what < 90 && t->depth) {
        t->depth--; /* released: what it wrote is the outer one's now, under its own number */
    } else if (what < 96 && t->depth) {
        /* Rolled back: the inner ones end first. Released ones inside were told of too; those numbers are past. */
        for (uint32_t sub = t->next_subxid - 1; sub >= t->subxids[t->depth]; sub--)
            CHECK(!pg_spool_abort(s, t->xid, sub));
        t->count = t->from[t->depth];
        t->depth--;
    } else if (what >= 98) {
        if (draw(2)) {
            struct taking k = {t, 0, false};
            CHECK(!pg_spool_commit(s, t->xid, take, &k));
            CHECK(!k.bad && k.at == t->count);
        } else {
            CHECK(!pg_spool_abort(s, t->xid, t->xid));
        }
        model_begin(t, t->xid + 1000000);
    }
}

static void random_transactions(void)
{
    uint8_t *scratch = xmalloc(PG_SPOOL_MEMORY + 300000);
    for (int round = 0; round < test_rounds(20); round++) {
        struct model models[TRANSACTIONS] = {0};
        struct pg_spool *s = spool(INT64_C(1) << 40);
        uint32_t number = 0;
        seed = (uint64_t)round + 1;
        for (uint32_t i = 0; i < TRANSACTIONS; i++)
            model_begin(&models[i], 1000 + i * 100000);
        for (int i = 0; i < 3000; i++)
            step(s, &models[draw(TRANSACTIONS)], &number, scratch);
        for (uint32_t i = 0; i < TRANSACTIONS; i++) {
            struct taking k = {&models[i], 0, false};
            CHECK(!pg_spool_commit(s, models[i].xid, take, &k));
            CHECK(!k.bad && k.at == models[i].count);
            free(models[i].notes);
        }
        CHECK(pg_spool_bytes(s) == 0 && dir_empty());
        pg_spool_free(s);
    }
    free(scratch);
}

/* ---- the rest ---- */

static void many_subtransactions(void)
{
    struct pg_spool *s = spool(INT64_C(1) << 30);
    struct model t = {0};
    model_begin(&t, 10);
    for (uint32_t i = 0; i < 50000; i++) {
        uint32_t subxid = 11 + i;
        CHECK(!pg_spool_put(s, 10, subxid, &i, sizeof i));
        if (i % 3 == 0)
            CHECK(!pg_spool_abort(s, 10, subxid));
        else
            note_add(&t, i, sizeof i);
    }
    struct taking k = {&t, 0, false};
    CHECK(!pg_spool_commit(s, 10, take, &k));
    CHECK(!k.bad && k.at == t.count);
    free(t.notes);
    pg_spool_free(s);
}

static bool refused(struct err *e, enum err_code code, const char *text)
{
    bool good = e && e->code == code && strstr(e->message, text);
    if (!good)
        printf("# %s\n", e ? e->message : "(no error)");
    err_free(e);
    return good;
}

static void limits(void)
{
    static uint8_t big[100000];
    struct pg_spool *s = spool(250000);
    CHECK(!pg_spool_put(s, 1, 1, big, sizeof big));
    CHECK(!pg_spool_put(s, 2, 2, big, sizeof big));
    CHECK(refused(pg_spool_put(s, 1, 1, big, sizeof big), ERR_LIMIT, "more than 250000 bytes (spool)"));
    CHECK(!pg_spool_abort(s, 2, 2)); /* makes room */
    CHECK(!pg_spool_put(s, 1, 1, big, sizeof big));
    pg_spool_free(s);
    s = spool(INT64_C(1) << 30);
    for (uint32_t i = 0; i < PG_SPOOL_TRANSACTIONS; i++)
        CHECK(!pg_spool_put(s, 1 + i, 1 + i, big, 10));
    CHECK(refused(pg_spool_put(s, 999, 999, big, 10), ERR_LIMIT, "large transactions are in progress"));
    pg_spool_free(s);
    CHECK(dir_empty());
}

static void disks(void)
{
    static uint8_t big[100000];
    struct pg_spool_conf nowhere = {.dir = "/nonexistent", .name = "core", .limit_bytes = INT64_C(1) << 30};
    struct pg_spool *s = pg_spool_new(&nowhere);
    CHECK(!pg_spool_put(s, 1, 1, big, 100)); /* in memory as yet */
    CHECK(refused(pg_spool_put(s, 1, 1, big, sizeof big), ERR_IO, "cannot keep a transaction in progress"));
    pg_spool_free(s);
    struct pg_spool_conf full = {
        .dir = dir, .name = "core", .limit_bytes = INT64_C(1) << 30, .reserve_bytes = INT64_MAX / 2};
    s = pg_spool_new(&full);
    CHECK(refused(pg_spool_put(s, 1, 1, big, sizeof big), ERR_SPACE, "too little would be left"));
    pg_spool_free(s);
    CHECK(dir_empty());
}

static int64_t room;
static int64_t room_left(const char *where)
{
    CHECK(strcmp(where, dir) == 0);
    return room;
}

/* The store gets its room back, whoever took it. */
static void store_first(void)
{
    static uint8_t big[100000];
    struct pg_spool_conf conf = {.dir = dir,
                                 .name = "core",
                                 .limit_bytes = INT64_C(1) << 30,
                                 .reserve_bytes = 1 << 20,
                                 .disk_free = room_left};
    struct pg_spool *s = pg_spool_new(&conf);
    room = 10;
    CHECK(!pg_spool_look(s));
    CHECK(!pg_spool_put(s, 1, 1, big, 100));
    CHECK(!pg_spool_look(s)); /* nothing of it is on the disk */
    room = 2 << 20;
    CHECK(!pg_spool_put(s, 1, 1, big, sizeof big) && !pg_spool_look(s));
    room = 1 << 20;
    CHECK(refused(pg_spool_look(s), ERR_SPACE, "too little would be left"));
    CHECK(!pg_spool_abort(s, 1, 1) && !pg_spool_look(s));
    pg_spool_free(s);
}

/* What they take in memory is bounded, and given back with them. */
static void most_subtransactions(void)
{
    struct pg_spool *s = spool(INT64_C(1) << 40);
    for (uint32_t i = 0; i < PG_SPOOL_SUBTRANSACTIONS; i++)
        if (pg_spool_put(s, 1 + i % 2, 10 + i, &i, sizeof i))
            CHECK(false);
    uint32_t more = 9;
    CHECK(!pg_spool_put(s, 1, 10, &more, sizeof more)); /* one that is known */
    CHECK(refused(pg_spool_put(s, 1, more, &more, sizeof more), ERR_LIMIT, "subtransactions"));
    CHECK(!pg_spool_abort(s, 2, 10 + PG_SPOOL_SUBTRANSACTIONS - 1)); /* the last one alone */
    CHECK(!pg_spool_put(s, 1, more, &more, sizeof more));
    CHECK(refused(pg_spool_put(s, 1, 8, &more, sizeof more), ERR_LIMIT, "subtransactions"));
    CHECK(!pg_spool_abort(s, 2, 2) && !pg_spool_put(s, 1, 8, &more, sizeof more));
    pg_spool_free(s);
}

static void unknown_ones(void)
{
    struct pg_spool *s = spool(1000);
    struct taking k = {NULL, 0, false};
    CHECK(!pg_spool_abort(s, 5, 6) && !pg_spool_abort(s, 5, 5) && !pg_spool_commit(s, 5, take, &k));
    CHECK(!pg_spool_put(s, 5, 5, "abcd", 4) && !pg_spool_abort(s, 5, 6));
    CHECK(pg_spool_bytes(s) == 8);
    pg_spool_free(s);
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/penstock-spool-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    RUN(random_transactions);
    RUN(many_subtransactions);
    RUN(limits);
    RUN(disks);
    RUN(store_first);
    RUN(most_subtransactions);
    RUN(unknown_ones);
    rmdir(dir);
    TEST_END();
}
