/* The identity partition: files of a folder there and back, and a power cut at every point of a write, where each unflushed sector
 * may be there or not. Linked with --wrap=pwrite,fsync, which note what is written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test.h"
#include "remove_tree.h"

#include "box/identity.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTITION_BYTES (4 << 20)
#define SECTOR          512
#define LOG_MOST        256

static char dir[] = "/tmp/penstock-identity-XXXXXX";
static char part[128], box[128];

/* ---- what is written ---- */

static struct {
    off_t at;
    size_t len;
    uint8_t bytes[SECTOR];
    uint32_t flush;
} written[LOG_MOST];
static uint32_t written_count, flushes;
static bool noting;

ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
    for (size_t done = 0; noting && done < n && written_count < LOG_MOST; done += SECTOR) {
        size_t part_bytes = n - done < SECTOR ? n - done : SECTOR;
        written[written_count].at = at + (off_t)done;
        written[written_count].len = part_bytes;
        written[written_count].flush = flushes;
        memcpy(written[written_count++].bytes, (const uint8_t *)p + done, part_bytes);
    }
    return __real_pwrite(fd, p, n, at);
}

int __wrap_fsync(int fd)
{
    flushes += noting;
    return __real_fsync(fd);
}

/* ---- */

static void put(const char *name, const char *text, mode_t mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", box, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
    close(fd);
}

static char *get(const char *name)
{
    static char text[70000];
    char path[256];
    snprintf(path, sizeof path, "%s/%s", box, name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    return n < 0 ? NULL : text;
}

static void partition_new(void)
{
    unlink(part);
    int fd = open(part, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && ftruncate(fd, PARTITION_BYTES) == 0);
    close(fd);
    char command[256];
    snprintf(command, sizeof command, "%s", box);
    remove_tree(command);
    CHECK(mkdir(box, 0700) == 0);
}

/* The generation, 0 without one; the file "a"'s text in *text. */
static uint64_t look(char text[64], bool *damaged)
{
    struct identity *id = xcalloc(1, sizeof *id);
    int fd = open(part, O_RDONLY);
    CHECK(identity_read(fd, id, damaged) == NULL);
    close(fd);
    uint64_t generation = id->generation;
    text[0] = 0;
    for (uint32_t i = 0; i < id->count; i++)
        if (strcmp(id->files[i].path, "a") == 0)
            snprintf(text, 64, "%.*s", id->files[i].len > 60 ? 60 : (int)id->files[i].len,
                     (char *)id->files[i].data);
    identity_fini(id);
    free(id);
    return generation;
}

static void save(uint32_t flags, bool want)
{
    bool saved;
    struct err *e = identity_save(part, box, flags, &saved);
    CHECK(e == NULL && saved == want);
    if (e)
        err_print(stdout, e);
    err_free(e);
}

static void there_and_back(void)
{
    char text[64];
    bool damaged;
    partition_new();
    CHECK(look(text, &damaged) == 0 && !damaged);
    put("a", "one", 0600);
    put("empty", "", 0644);
    put("being-written~", "no", 0600);
    char path[256];
    snprintf(path, sizeof path, "%s/keys", box);
    CHECK(mkdir(path, 0750) == 0);
    put("keys/site.pub", "key", 0640);
    snprintf(path, sizeof path, "%s/link", box);
    CHECK(symlink("/etc/passwd", path) == 0);
    save(0, true);
    save(0, false); /* nothing changed */
    CHECK(look(text, &damaged) == 1);
    CHECK_STR(text, "one");
    put("a", "two", 0600);
    save(0, true);
    save(IDENTITY_FROM_RESCUE, true); /* the flag alone */
    CHECK(look(text, &damaged) == 3);

    struct identity *id = xcalloc(1, sizeof *id);
    int fd = open(part, O_RDONLY);
    CHECK(identity_read(fd, id, &damaged) == NULL && id->flags == IDENTITY_FROM_RESCUE && id->count == 4);
    close(fd);
    remove_tree(box);
    CHECK(identity_restore(box, id, false) == NULL);
    CHECK_STR(get("a"), "two");
    CHECK_STR(get("empty"), "");
    CHECK_STR(get("keys/site.pub"), "key");
    CHECK(get("link") == NULL && get("being-written~") == NULL);
    struct stat st;
    snprintf(path, sizeof path, "%s/keys/site.pub", box);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
    CHECK(stat(box, &st) == 0 && (st.st_mode & 07777) == 0700);
    put("later", "x", 0600);
    put("a", "three", 0600);
    CHECK(identity_restore(box, id, true) == NULL);
    CHECK_STR(get("a"), "two");
    CHECK(get("later") == NULL);
    identity_fini(id);
    free(id);
    CHECK(identity_erase(part) == NULL && look(text, &damaged) == 0 && !damaged);
}

static void check_cut(const uint8_t *start, uint32_t cut, uint32_t choice, uint64_t old)
{
    uint32_t flush = cut ? written[cut - 1].flush : 0;
    int fd = open(part, O_RDWR);
    CHECK(fd >= 0 && __real_pwrite(fd, start, PARTITION_BYTES, 0) == PARTITION_BYTES);
    for (uint32_t i = 0; i < cut; i++)
        if (written[i].flush < flush || (choice >> (i % 31) & 1)) {
            /* The last one may be torn itself. */
            size_t n = i == cut - 1 && (choice & 1) ? written[i].len / 3 : written[i].len;
            CHECK(__real_pwrite(fd, written[i].bytes, n, written[i].at) == (ssize_t)n);
        }
    close(fd);
    char text[64];
    bool damaged;
    uint64_t generation = look(text, &damaged);
    CHECK((generation == old && text[0] == 'o') || (generation == old + 1 && text[0] == 'n'));
}

static void power_cuts_leave_one(void)
{
    char text[20001], start_text[64];
    bool damaged;
    uint8_t *start = xmalloc(PARTITION_BYTES);
    for (int which = 0; which < 2; which++) {
        partition_new();
        memset(text, 'o', 20000);
        text[20000] = 0;
        put("a", text, 0600);
        save(0, true);
        if (which) {
            text[1] = '2';
            put("a", text, 0600);
            save(0, true);
        }
        uint64_t old = look(start_text, &damaged);
        int fd = open(part, O_RDONLY);
        CHECK(pread(fd, start, PARTITION_BYTES, 0) == PARTITION_BYTES);
        close(fd);
        memset(text, 'n', 20000);
        put("a", text, 0600);
        written_count = flushes = 0;
        noting = true;
        save(0, true);
        noting = false;
        CHECK(written_count > 40 && written_count < LOG_MOST && flushes == 2);
        srand(3);
        for (uint32_t cut = 0; cut <= written_count; cut++)
            for (int k = 0; k < 3; k++)
                check_cut(start, cut, k == 0 ? UINT32_MAX - 1 : (uint32_t)rand(), old);
    }
    free(start);
}

/* The newest half damaged: the one before. Both: nothing, and that is said. */
static void damage_is_found(void)
{
    char text[64];
    bool damaged;
    partition_new();
    put("a", "one", 0600);
    save(0, true);
    put("a", "two", 0600);
    save(0, true);
    CHECK(look(text, &damaged) == 2);
    int fd = open(part, O_RDWR);
    CHECK(pwrite(fd, "x", 1, (2 << 20) + 4096 + 9) == 1);
    CHECK(look(text, &damaged) == 1 && !damaged);
    CHECK_STR(text, "one");
    CHECK(pwrite(fd, "x", 1, 20) == 1);
    CHECK(look(text, &damaged) == 0 && damaged);
    close(fd);
    save(0, true);
    CHECK(look(text, &damaged) == 1 && !damaged);
}

static void limits(void)
{
    partition_new();
    char *text = xcalloc(1, IDENTITY_FILE_MAX + 2);
    memset(text, 'x', IDENTITY_FILE_MAX);
    put("a", text, 0600);
    save(0, true);
    text[IDENTITY_FILE_MAX] = 'x';
    put("a", text, 0600);
    struct err *e = identity_save(part, box, 0, NULL);
    CHECK(e && e->code == ERR_LIMIT);
    err_free(e);
    text[IDENTITY_FILE_MAX] = 0;
    char name[32];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%c", 'a' + i);
        put(name, text, 0600);
    }
    e = identity_save(part, box, 0, NULL); /* 4 x 256 KiB and their names */
    CHECK(e && e->code == ERR_LIMIT);
    err_free(e);
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%c", 'a' + i);
        put(name, "", 0600);
    }
    for (int i = 4; i < IDENTITY_FILES_MAX; i++) {
        snprintf(name, sizeof name, "f%03d", i);
        put(name, "", 0600);
    }
    save(0, true);
    put("one-more", "", 0600);
    e = identity_save(part, box, 0, NULL);
    CHECK(e && e->code == ERR_LIMIT);
    err_free(e);
    free(text);
}

/* Names that would leave the folder are refused, whoever signed the sums. */
static void names_stay_inside(void)
{
    static const char *const wrong[] = {"../x", "/x",    "a/../b", "a//b", "a/",
                                        ".",    "a/./b", "",       "a b",  "a/b/c/d/e"};
    static const char *const right[] = {"x", "a/b/c/d", "..x", "a.b"};
    struct identity *id = xcalloc(1, sizeof *id);
    uint8_t bytes[64];
    for (size_t i = 0; i < ARRAY_COUNT(wrong) + ARRAY_COUNT(right); i++) {
        bool good = i >= ARRAY_COUNT(wrong);
        const char *path = good ? right[i - ARRAY_COUNT(wrong)] : wrong[i];
        memset(bytes, 0, sizeof bytes);
        bytes[0] = (uint8_t)strlen(path);
        memcpy(bytes + 8, path, strlen(path));
        CHECK(identity_unpack(bytes, 8 + strlen(path), id) == good);
        identity_fini(id);
    }
    free(id);
}

int main(void)
{
    if (!mkdtemp(dir))
        return 1;
    snprintf(part, sizeof part, "%s/partition", dir);
    snprintf(box, sizeof box, "%s/box", dir);
    RUN(there_and_back);
    RUN(power_cuts_leave_one);
    RUN(damage_is_found);
    RUN(limits);
    RUN(names_stay_inside);
    remove_tree(dir);
    TEST_END();
}
