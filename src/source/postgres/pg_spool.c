/* Records are a length and the message. A subtransaction's first record is remembered by its offset: from there to the end all is
 * its own or of those inside it until it ends, so that taking it back is cutting the file there. */
#include "source/postgres/pg_spool.h"
#include "base/buf.h"
#include "base/resources.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define LENGTH_BYTES 4
#define READ_BYTES   (256u << 10)
#define MEMORY_KEPT  (4 * PG_SPOOL_MEMORY) /* after a large message its buffer goes */

struct sub {
    uint32_t xid;
    int64_t offset; /* of its first record */
};
struct transaction {
    uint32_t xid;
    int fd;            /* -1: all of it is in memory */
    int64_t filed;     /* bytes in the file */
    struct buf memory; /* what follows them */
    /* Subtransactions in the order of their first records, and where each is in that list: open addressing, a power of two, with
     * entries of the index + 1. An entry whose subtransaction is no longer in the list is stale. */
    uint32_t sub_count, sub_room, place_count, places_used;
    struct sub *subs;
    uint32_t *places;
};
struct pg_spool {
    struct pg_spool_conf conf;
    int64_t bytes;
    uint32_t count, subs; /* subs: of all transactions */
    struct transaction *transactions[PG_SPOOL_TRANSACTIONS];
};

struct pg_spool *pg_spool_new(const struct pg_spool_conf *conf)
{
    struct pg_spool *s = xcalloc(1, sizeof *s);
    s->conf = *conf;
    s->conf.disk_free = conf->disk_free ? conf->disk_free : disk_free;
    return s;
}

static int64_t size_of(const struct transaction *t)
{
    return t->filed + (int64_t)t->memory.len;
}

static void forget(struct pg_spool *s, uint32_t i)
{
    struct transaction *t = s->transactions[i];
    s->bytes -= size_of(t);
    s->subs -= t->sub_count;
    if (t->fd >= 0)
        close(t->fd);
    buf_fini(&t->memory);
    free(t->subs);
    free(t->places);
    free(t);
    s->transactions[i] = s->transactions[--s->count];
}

void pg_spool_free(struct pg_spool *s)
{
    while (s && s->count)
        forget(s, s->count - 1);
    free(s);
}

int64_t pg_spool_bytes(const struct pg_spool *s)
{
    return s->bytes;
}

/* Its index; count: there is none. */
static uint32_t find(const struct pg_spool *s, uint32_t xid)
{
    uint32_t i = 0;
    while (i < s->count && s->transactions[i]->xid != xid)
        i++;
    return i;
}

/* ---- subtransactions ---- */

static uint32_t *place(const struct transaction *t, uint32_t subxid)
{
    uint32_t mask = t->place_count - 1, at = (subxid * UINT32_C(2654435761)) & mask;
    while (t->places[at]) {
        uint32_t i = t->places[at] - 1;
        if (i < t->sub_count && t->subs[i].xid == subxid)
            break;
        at = (at + 1) & mask;
    }
    return &t->places[at];
}

static void places_make(struct transaction *t)
{
    uint32_t wanted = 64;
    while (wanted < 4 * t->sub_count)
        wanted *= 2;
    free(t->places);
    t->places = xcalloc(wanted, sizeof *t->places);
    t->place_count = wanted;
    t->places_used = t->sub_count;
    for (uint32_t i = 0; i < t->sub_count; i++)
        *place(t, t->subs[i].xid) = i + 1;
}

static struct err *sub_note(struct pg_spool *s, struct transaction *t, uint32_t subxid)
{
    if (!t->places)
        places_make(t);
    if (*place(t, subxid))
        return NULL;
    if (s->subs == PG_SPOOL_SUBTRANSACTIONS)
        return err_new(ERR_LIMIT, "large transactions in progress have more than %u subtransactions",
                       PG_SPOOL_SUBTRANSACTIONS);
    s->subs++;
    if (t->sub_count == t->sub_room) {
        t->sub_room = t->sub_room ? 2 * t->sub_room : 16;
        t->subs = xrealloc(t->subs, t->sub_room * sizeof *t->subs);
    }
    t->subs[t->sub_count++] = (struct sub){subxid, size_of(t)};
    *place(t, subxid) = t->sub_count;
    /* Stale entries fill it as well. */
    if (2 * ++t->places_used > t->place_count)
        places_make(t);
    return NULL;
}

/* ---- writing ---- */

static struct err *cannot(const struct pg_spool *s, const char *what)
{
    return err_hint(err_errno(ERR_IO, "cannot keep a transaction in progress: %s in %s", what, s->conf.dir),
                    "make room there; meanwhile the server keeps such transactions until they end");
}

/* Without a name as soon as it is open. */
static struct err *file_open(struct pg_spool *s, struct transaction *t)
{
    char *path = xprintf("%s/spool.%s", s->conf.dir, s->conf.name);
    t->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct err *e = t->fd < 0 || unlink(path) != 0 ? cannot(s, "no file can be made") : NULL;
    free(path);
    return e;
}

static struct err *room_check(const struct pg_spool *s)
{
    int64_t room = s->conf.disk_free(s->conf.dir);
    if (room < 0)
        return cannot(s, "its disk cannot be asked");
    if (room < s->conf.reserve_bytes + PG_SPOOL_MEMORY) {
        errno = ENOSPC;
        return cannot(s, "too little would be left");
    }
    return NULL;
}

static struct err *memory_file(struct pg_spool *s, struct transaction *t)
{
    TRY(room_check(s));
    if (t->fd < 0)
        TRY(file_open(s, t));
    for (size_t done = 0; done < t->memory.len;) {
        ssize_t n = pwrite(t->fd, t->memory.p + done, t->memory.len - done, t->filed + (off_t)done);
        if (n < 0 && errno != EINTR)
            return cannot(s, "no more can be written");
        done += n > 0 ? (size_t)n : 0;
    }
    t->filed += (int64_t)t->memory.len;
    if (t->memory.cap > MEMORY_KEPT)
        buf_fini(&t->memory);
    buf_reset(&t->memory);
    return NULL;
}

static struct err *transaction_get(struct pg_spool *s, uint32_t xid, struct transaction **out)
{
    uint32_t i = find(s, xid);
    if (i == s->count) {
        if (s->count == PG_SPOOL_TRANSACTIONS)
            return err_new(ERR_LIMIT, "more than %d large transactions are in progress",
                           PG_SPOOL_TRANSACTIONS);
        s->transactions[s->count++] = xcalloc(1, sizeof(struct transaction));
        s->transactions[i]->xid = xid;
        s->transactions[i]->fd = -1;
    }
    *out = s->transactions[i];
    return NULL;
}

struct err *pg_spool_put(struct pg_spool *s, uint32_t xid, uint32_t subxid, const void *p, size_t len)
{
    struct transaction *t = NULL;
    int64_t more = LENGTH_BYTES + (int64_t)len;
    if (s->bytes + more > s->conf.limit_bytes)
        return err_new(ERR_LIMIT, "transactions in progress have more than %lld bytes (spool)",
                       (long long)s->conf.limit_bytes);
    TRY(transaction_get(s, xid, &t));
    if (subxid != xid)
        TRY(sub_note(s, t, subxid));
    uint32_t n = (uint32_t)len;
    buf_put(&t->memory, &n, LENGTH_BYTES);
    buf_put(&t->memory, p, len);
    s->bytes += more;
    return t->memory.len >= PG_SPOOL_MEMORY ? memory_file(s, t) : NULL;
}

struct err *pg_spool_look(const struct pg_spool *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (s->transactions[i]->filed)
            return room_check(s);
    return NULL;
}

/* ---- endings ---- */

static struct err *cut(struct pg_spool *s, struct transaction *t, int64_t offset)
{
    s->bytes -= size_of(t) - offset;
    for (; t->sub_count && t->subs[t->sub_count - 1].offset >= offset; s->subs--)
        t->sub_count--;
    if (offset >= t->filed) {
        t->memory.len = (size_t)(offset - t->filed);
        return NULL;
    }
    buf_reset(&t->memory);
    t->filed = offset;
    return ftruncate(t->fd, offset) == 0 ? NULL : cannot(s, "a file cannot be cut");
}

struct err *pg_spool_abort(struct pg_spool *s, uint32_t xid, uint32_t subxid)
{
    uint32_t i = find(s, xid);
    if (i == s->count)
        return NULL;
    struct transaction *t = s->transactions[i];
    if (subxid == xid) {
        forget(s, i);
        return NULL;
    }
    uint32_t at = t->places ? *place(t, subxid) : 0;
    return at ? cut(s, t, t->subs[at - 1].offset) : NULL;
}

/* ---- reading ---- */

struct reader {
    const struct pg_spool *s;
    const struct transaction *t;
    int64_t offset; /* in the file, of what comes after the buffer */
    struct buf buf;
    size_t at;
};

/* At least n bytes in the buffer from `at` on; more only where they are at hand. */
static struct err *fill(struct reader *r, size_t n)
{
    if (r->buf.len - r->at >= n)
        return NULL;
    if (r->at) {
        memmove(r->buf.p, r->buf.p + r->at, r->buf.len - r->at);
        r->buf.len -= r->at;
        r->at = 0;
    }
    while (r->buf.len < n) {
        size_t want = n - r->buf.len > READ_BYTES ? n - r->buf.len : READ_BYTES;
        int64_t left = r->t->filed - r->offset;
        if (left <= 0) {
            /* The rest is in memory, taken once. */
            size_t from = (size_t)(r->offset - r->t->filed);
            if (r->t->memory.len - from < n - r->buf.len)
                return err_new(ERR_INTERNAL, "a transaction in progress was not kept whole");
            buf_put(&r->buf, r->t->memory.p + from, r->t->memory.len - from);
            r->offset += (int64_t)(r->t->memory.len - from);
            continue;
        }
        ssize_t got =
            pread(r->t->fd, buf_room(&r->buf, want), want < (size_t)left ? want : (size_t)left, r->offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return cannot(r->s, "it cannot be read back");
        r->buf.len += (size_t)got;
        r->offset += got;
    }
    return NULL;
}

static struct err *give_out(struct reader *r, pg_spool_take take, void *arg)
{
    int64_t left = size_of(r->t);
    while (left > 0) {
        uint32_t len;
        TRY(fill(r, LENGTH_BYTES));
        memcpy(&len, r->buf.p + r->at, LENGTH_BYTES);
        TRY(fill(r, LENGTH_BYTES + (size_t)len));
        TRY(take(arg, r->buf.p + r->at + LENGTH_BYTES, len));
        r->at += LENGTH_BYTES + (size_t)len;
        left -= LENGTH_BYTES + (int64_t)len;
    }
    return NULL;
}

struct err *pg_spool_commit(struct pg_spool *s, uint32_t xid, pg_spool_take take, void *arg)
{
    uint32_t i = find(s, xid);
    if (i == s->count)
        return NULL;
    struct reader r = {.s = s, .t = s->transactions[i]};
    struct err *e = give_out(&r, take, arg);
    buf_fini(&r.buf);
    forget(s, i);
    return e;
}
