/* The append log: torn tails at every byte, damage, segments, group commit, disks that fail. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "source/ingest/ingest_log.h"
#include "test/unit/remove_dir.h"
#include "test/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], log_dir[80];
static struct log_options options;

static void must(struct err *e)
{
    if (!e)
        return;
    err_print(stdout, e);
    exit(1);
}

static void setup(void)
{
    strcpy(dir, "/tmp/penstock-test-XXXXXX");
    if (!mkdtemp(dir))
        exit(1);
    snprintf(log_dir, sizeof log_dir, "%s/ingest/events", dir);
    char parent[80];
    snprintf(parent, sizeof parent, "%s/ingest", dir);
    mkdir(parent, 0700);
    options = (struct log_options){.dir = log_dir, .schema = (const uint8_t *)"schema", .schema_len = 6};
}

static struct ingest_log *open_log(uint64_t *cut)
{
    struct ingest_log *l;
    uint64_t n;
    must(ingest_log_open(&options, &l, cut ? cut : &n));
    return l;
}

static void append(struct ingest_log *l, const char *text)
{
    uint64_t end;
    CHECK(ingest_log_append(l, LOG_ROWS, text, strlen(text), &end) == LOG_DONE);
    CHECK(end == ingest_log_end(l));
}

/* All rows records from the offset on, with a blank behind each. */
static void read_all(struct ingest_log *l, uint64_t offset, char *out)
{
    struct log_record r;
    bool found;
    *out = 0;
    for (;; offset = r.end) {
        must(ingest_log_read(l, offset, &r, &found));
        if (!found)
            return;
        if (r.kind == LOG_ROWS)
            sprintf(out + strlen(out), "%.*s ", (int)r.len, (const char *)r.payload);
    }
}

static char *last_segment(char *path)
{
    char last[64] = "";
    DIR *d = opendir(log_dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strlen(e->d_name) == 20 && strcmp(e->d_name, last) > 0)
            memcpy(last, e->d_name, 21);
    if (d)
        closedir(d);
    sprintf(path, "%s/%s", log_dir, last);
    return path;
}

static size_t file_read(const char *path, uint8_t *out, size_t max)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(out, 1, max, f) : 0;
    if (f)
        fclose(f);
    return n;
}

static void file_write(const char *path, const uint8_t *p, size_t n)
{
    FILE *f = fopen(path, "w");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        exit(1);
}

static void test_reopen(void)
{
    char got[200];
    setup();
    struct ingest_log *l = open_log(NULL);
    append(l, "a");
    append(l, "b");
    uint64_t middle = ingest_log_end(l), id = ingest_log_id(l);
    append(l, "c");
    read_all(l, ingest_log_start(l), got);
    CHECK_STR(got, "a b c ");
    ingest_log_close(l);
    l = open_log(NULL);
    CHECK(ingest_log_id(l) == id);
    append(l, "d");
    read_all(l, middle, got);
    CHECK_STR(got, "c d ");
    ingest_log_close(l);
    test_remove_dir(dir);
}

static void test_segments(void)
{
    char got[4000] = "", want[4000] = "", text[40];
    setup();
    options.segment_bytes = 300;
    struct ingest_log *l = open_log(NULL);
    uint64_t marks[40];
    for (int i = 0; i < 40; i++) {
        sprintf(text, "row-number-%02d-of-the-test", i);
        append(l, text);
        marks[i] = ingest_log_end(l);
        if (i >= 20)
            sprintf(want + strlen(want), "%s ", text);
    }
    read_all(l, marks[19], got);
    CHECK_STR(got, want);
    uint64_t first = ingest_log_start(l);
    ingest_log_release(l, marks[19]);
    CHECK(ingest_log_start(l) > first && ingest_log_start(l) <= marks[19]);
    ingest_log_close(l);
    l = open_log(NULL);
    CHECK(ingest_log_start(l) > first);
    read_all(l, marks[19], got);
    CHECK_STR(got, want);
    ingest_log_release(l, UINT64_MAX); /* the last one stays, whatever was read */
    append(l, "more");
    read_all(l, marks[39], got);
    CHECK_STR(got, "more ");
    ingest_log_close(l);
    test_remove_dir(dir);
}

static void test_schema(void)
{
    char got[200], path[200];
    setup();
    struct ingest_log *l = open_log(NULL);
    append(l, "old");
    uint64_t start = ingest_log_start(l), id = ingest_log_id(l);
    ingest_log_close(l);
    char *was = strdup(last_segment(path));
    options.schema = (const uint8_t *)"another";
    options.schema_len = 7;
    l = open_log(NULL);
    append(l, "new");
    CHECK(strcmp(was, last_segment(path)) != 0);
    CHECK(ingest_log_id(l) == id);
    read_all(l, start, got);
    CHECK_STR(got, "old new ");
    struct log_record r;
    bool found;
    uint64_t head_id;
    const uint8_t *schema;
    size_t len;
    must(ingest_log_read(l, start, &r, &found));
    CHECK(found && ingest_head_get(&r, &head_id, &schema, &len) && head_id == id && len == 6);
    ingest_log_close(l);
    free(was);
    test_remove_dir(dir);
}

/* A power cut leaves any part of what was not synced. The last record here was the last one to be written. */
static void test_torn_tail(void)
{
    static uint8_t bytes[4096];
    char got[200], path[200];
    uint64_t cut;
    setup();
    struct ingest_log *l = open_log(NULL);
    append(l, "first");
    uint64_t start = ingest_log_start(l);
    size_t kept = (size_t)(ingest_log_end(l) - start);
    append(l, "second");
    ingest_log_close(l);
    last_segment(path);
    size_t size = file_read(path, bytes, sizeof bytes);
    CHECK(size > kept);
    for (size_t n = kept; n < size; n++) { /* the file ends early */
        file_write(path, bytes, n);
        l = open_log(&cut);
        CHECK(cut == n - kept);
        append(l, "third");
        read_all(l, start, got);
        CHECK_STR(got, "first third ");
        ingest_log_close(l);
    }
    for (size_t n = kept; n < size;
         n++) { /* a byte is not what was written, and another begun record follows */
        bytes[n] ^= 0x40;
        file_write(path, bytes, size);
        bytes[n] ^= 0x40;
        l = open_log(&cut);
        CHECK(cut == size - kept);
        read_all(l, start, got);
        CHECK_STR(got, "first ");
        ingest_log_close(l);
    }
    test_remove_dir(dir);
}

/* The same in a record behind which others were acknowledged: it was, too. */
static void test_damage(void)
{
    static uint8_t bytes[4096];
    char path[200];
    setup();
    struct ingest_log *l = open_log(NULL);
    append(l, "first");
    uint64_t start = ingest_log_start(l);
    size_t from = (size_t)(ingest_log_end(l) - start);
    append(l, "second");
    size_t to = (size_t)(ingest_log_end(l) - start);
    append(l, "third");
    ingest_log_close(l);
    last_segment(path);
    size_t size = file_read(path, bytes, sizeof bytes);
    uint64_t cut;
    for (size_t n = 0; n < to; n++) {
        bytes[n] ^= 0x01;
        file_write(path, bytes, size);
        bytes[n] ^= 0x01;
        struct err *e = ingest_log_open(&options, &l, &cut);
        CHECK(e && e->code == ERR_CORRUPT && e->hint && strstr(e->message, ".log: the record at byte"));
        CHECK(n < from || strstr(e->message, "damaged"));
        err_free(e);
    }
    struct stat st;
    CHECK(stat(path, &st) == 0 && (size_t)st.st_size == size); /* nothing was cut off */
    test_remove_dir(dir);
}

/* In a segment that is not the last, when it is read. */
static void test_damage_before(void)
{
    static uint8_t bytes[4096];
    char path[200], text[64];
    setup();
    options.segment_bytes = 200;
    struct ingest_log *l = open_log(NULL);
    uint64_t start = ingest_log_start(l);
    last_segment(path);
    for (int i = 0; i < 10; i++) {
        sprintf(text, "row-number-%02d-of-the-test", i);
        append(l, text);
    }
    size_t size = file_read(path, bytes, sizeof bytes);
    bytes[size - 3] ^= 4;
    file_write(path, bytes, size);
    struct log_record r;
    bool found = true;
    struct err *e = NULL;
    for (uint64_t at = start; found && !e; at = r.end)
        e = ingest_log_read(l, at, &r, &found);
    CHECK(e && e->code == ERR_CORRUPT);
    err_free(e);
    ingest_log_close(l);
    file_write(path, bytes, size - 1); /* shorter than the next one's name says */
    uint64_t cut;
    e = ingest_log_open(&options, &l, &cut);
    CHECK(e && e->code == ERR_CORRUPT);
    err_free(e);
    test_remove_dir(dir);
}

/* ---- a disk that is watched, and that fails ---- */

static atomic_ullong written, synced, syncs;
static atomic_int fail_write, fail_sync; /* errno, or 0 */
static atomic_long room;                 /* bytes until the disk is full; -1: any */

static ssize_t io_pwrite(int fd, const void *p, size_t len, off_t at)
{
    if (fail_write) {
        errno = fail_write;
        return -1;
    }
    if (room >= 0 && (long)len > room) {
        len = (size_t)room;
        if (!len) {
            errno = ENOSPC;
            return -1;
        }
    }
    ssize_t n = pwrite(fd, p, len, at);
    if (room >= 0)
        room -= n;
    written = (unsigned long long)at + (unsigned long long)n;
    return n;
}

static int io_sync(int fd)
{
    unsigned long long upto = written;
    (void)fd;
    if (fail_sync) {
        errno = fail_sync;
        return -1;
    }
    usleep(500); /* a disk takes its time: others come to wait */
    synced = upto;
    syncs++;
    return 0;
}

static const struct log_io watched = {io_pwrite, io_sync, ftruncate};

#define THREADS 8
#define EACH    50

static void *appender(void *arg)
{
    struct ingest_log *l = arg;
    long late = 0;
    for (int i = 0; i < EACH; i++) {
        uint64_t end;
        if (ingest_log_append(l, LOG_ROWS, "row", 3, &end) != LOG_DONE || end > synced)
            late++; /* acknowledged before it was on disk */
    }
    return (void *)late;
}

static void test_group_commit(void)
{
    pthread_t threads[THREADS];
    char got[THREADS * EACH * 4 + 1];
    setup();
    options.io = &watched;
    room = -1;
    struct ingest_log *l = open_log(NULL);
    unsigned long long before = syncs;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, appender, l);
    for (int i = 0; i < THREADS; i++) {
        void *late;
        pthread_join(threads[i], &late);
        CHECK(!late);
    }
    CHECK(syncs - before < THREADS * EACH * 3 / 4); /* several to a sync */
    CHECK(ingest_log_syncs(l) == syncs);
    read_all(l, ingest_log_start(l), got);
    CHECK(strlen(got) == THREADS * EACH * 4);
    ingest_log_close(l);
    test_remove_dir(dir);
}

static void test_disk_full(void)
{
    char got[200];
    uint64_t end;
    setup();
    options.io = &watched;
    room = -1;
    struct ingest_log *l = open_log(NULL);
    append(l, "a");
    uint64_t was = ingest_log_end(l);
    for (long n = 0; n < INGEST_RECORD_HEAD + 1; n++) { /* it fills up anywhere in the record */
        char path[200];
        struct stat st;
        room = n;
        unsigned long long before = syncs;
        CHECK(ingest_log_append(l, LOG_ROWS, "b", 1, &end) == LOG_FULL);
        CHECK(syncs == before + 1); /* of the file that was made shorter again */
        CHECK(stat(last_segment(path), &st) == 0 && (uint64_t)st.st_size == was - ingest_log_start(l));
    }
    room = -1;
    append(l, "c"); /* goes on when there is space */
    read_all(l, ingest_log_start(l), got);
    CHECK_STR(got, "a c ");
    ingest_log_close(l);
    test_remove_dir(dir);
}

static void test_full_at_new_segment(void)
{
    char got[200];
    uint64_t end;
    setup();
    options.io = &watched;
    options.segment_bytes = 1;
    room = -1;
    struct ingest_log *l = open_log(NULL);
    append(l, "a");
    for (long n = 0; n < 72; n += 7) {
        room = n;
        CHECK(ingest_log_append(l, LOG_ROWS, "b", 1, &end) == LOG_FULL);
    }
    room = -1;
    append(l, "c");
    read_all(l, ingest_log_start(l), got);
    CHECK_STR(got, "a c ");
    ingest_log_close(l);
    l = open_log(NULL);
    read_all(l, ingest_log_start(l), got);
    CHECK_STR(got, "a c ");
    ingest_log_close(l);
    test_remove_dir(dir);
}

static void test_failed_sync(void)
{
    char got[200];
    uint64_t end;
    setup();
    options.io = &watched;
    room = -1;
    struct ingest_log *l = open_log(NULL);
    append(l, "a");
    fail_sync = EIO;
    CHECK(ingest_log_append(l, LOG_ROWS, "b", 1, &end) == LOG_BROKEN);
    fail_sync = 0;
    CHECK(ingest_log_append(l, LOG_ROWS, "c", 1, &end) == LOG_BROKEN); /* proves nothing any more */
    ingest_log_close(l);
    l = open_log(NULL);
    append(l, "d");
    read_all(l, ingest_log_start(l), got);
    CHECK_STR(got, "a d ");
    ingest_log_stop(l);
    CHECK(ingest_log_append(l, LOG_ROWS, "e", 1, &end) == LOG_CLOSED);
    ingest_log_close(l);
    test_remove_dir(dir);
}

/* What a client sends may look like a record; it is none of this log. */
static void test_rows_like_records(void)
{
    static uint8_t bytes[4096];
    char path[200];
    struct buf fake = {0};
    uint64_t end, cut;
    setup();
    struct ingest_log *l = open_log(NULL);
    append(l, "a");
    uint64_t at = ingest_log_end(l) + INGEST_RECORD_HEAD;
    ingest_record_put(&fake, 0, LOG_ROWS, at, UINT64_MAX, "x", 1);
    CHECK(ingest_log_append(l, LOG_ROWS, fake.p, fake.len, &end) == LOG_DONE);
    ingest_log_close(l);
    size_t size = file_read(last_segment(path), bytes, sizeof bytes);
    bytes[size - fake.len - INGEST_RECORD_HEAD] ^= 1; /* torn */
    file_write(path, bytes, size);
    l = open_log(&cut);
    CHECK(cut == fake.len + INGEST_RECORD_HEAD);
    ingest_log_close(l);
    buf_fini(&fake);
    test_remove_dir(dir);
}

int main(void)
{
    RUN(test_reopen);
    RUN(test_segments);
    RUN(test_schema);
    RUN(test_torn_tail);
    RUN(test_damage);
    RUN(test_damage_before);
    RUN(test_group_commit);
    RUN(test_disk_full);
    RUN(test_full_at_new_segment);
    RUN(test_failed_sync);
    RUN(test_rows_like_records);
    TEST_END();
}
