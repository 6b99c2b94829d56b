/* Tar archives: folders there and back, other programs' archives, and everything that is refused. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/remove_tree.h"
#include "test/unit/test.h"

#include "box/tar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-tar-XXXXXX";
static struct err *caught;

static bool fails(struct err *e, enum err_code code)
{
    err_free(caught);
    caught = e;
    return e && e->code == code;
}

static bool done(struct err *e)
{
    if (e)
        err_print(stdout, e);
    err_free(e);
    return !e;
}

static const char *at(const char *name)
{
    static char path[4][300];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void put_file(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void check_file(const char *name, const char *want)
{
    char got[100] = "";
    int fd = open(at(name), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && read(fd, got, sizeof got - 1) >= 0);
    CHECK_STR(got, want);
    close(fd);
}

static struct err *extract(const struct buf *b, const char *to)
{
    mkdir(at(to), 0700);
    int fd = open(at(to), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct err *e = tar_extract(b->p, b->len, fd, (uid_t)-1, (gid_t)-1);
    close(fd);
    return e;
}

static bool empty(const char *name)
{
    return rmdir(at(name)) == 0;
}

static void a_folder_goes_there_and_back(void)
{
    struct buf b = {0}, again = {0};
    char long_name[120];
    memset(long_name, 'n', 90);
    strcpy(long_name + 90, ".sql");
    mkdir(at("from"), 0700);
    mkdir(at("from/views"), 0700);
    mkdir(at("from/views/deep-folder-with-a-name"), 0700);
    put_file("from/penstock.yaml", "store: {}\n");
    put_file("from/.hidden", "no");
    put_file("from/views/a.sql", "select 1");
    put_file("from/views/empty.sql", "");
    char path[200];
    snprintf(path, sizeof path, "from/views/deep-folder-with-a-name/%s", long_name);
    put_file(path, "long");
    CHECK(done(tar_folder(&b, at("from"))) && done(tar_folder(&again, at("from"))));
    CHECK(b.len == again.len && memcmp(b.p, again.p, b.len) == 0);
    CHECK(tar_is(b.p, b.len) && !tar_is("x", 1));
    CHECK(done(extract(&b, "to")));
    check_file("to/penstock.yaml", "store: {}\n");
    check_file("to/views/a.sql", "select 1");
    check_file("to/views/empty.sql", "");
    snprintf(path, sizeof path, "to/views/deep-folder-with-a-name/%s", long_name);
    check_file(path, "long");
    CHECK(access(at("to/.hidden"), F_OK) != 0);
    struct stat st;
    CHECK(stat(at("to/penstock.yaml"), &st) == 0 && (st.st_mode & 07137) == 0);
    buf_fini(&b);
    buf_fini(&again);
}

/* An archive of one entry, as the caller makes it wrong; the sum is made right. */
static struct buf with_header(const char *name, char type, const char *data, void (*change)(uint8_t *h))
{
    struct buf b = {0};
    CHECK(done(tar_add(&b, "first.yaml", "x", 1))); /* nothing of it must stay */
    const size_t start = b.len;
    CHECK(done(tar_add(&b, "name", data, strlen(data))));
    uint8_t *h = b.p + start;
    memset(h, 0, 100);
    memcpy(h, name, strlen(name));
    h[156] = (uint8_t)type;
    if (change)
        change(h);
    unsigned sum = 0;
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
    tar_end(&b);
    return b;
}

static void huge(uint8_t *h)
{
    memcpy(h + 124, "77777777777", 12);
}
static void absolute_prefix(uint8_t *h)
{
    memcpy(h + 345, "/etc", 4);
}
static void binary_size(uint8_t *h)
{
    memset(h + 124, 0xff, 12);
}

static void what_is_no_plain_file_is_refused(void)
{
    static const struct {
        const char *name;
        char type;
        const char *data;
        void (*change)(uint8_t *h);
        enum err_code code;
        const char *says;
    } cases[] = {
        {"link", '2', "", NULL, ERR_CONFIG, "'link', which is neither a file nor a folder"},
        {"hard", '1', "", NULL, ERR_CONFIG, "'hard'"},
        {"device", '3', "", NULL, ERR_CONFIG, "'device'"},
        {"pipe", '6', "", NULL, ERR_CONFIG, "'pipe'"},
        {"long", 'L', "x", NULL, ERR_CONFIG, "'long'"},
        {"/etc/passwd", '0', "x", NULL, ERR_CONFIG, "absolute"},
        {"passwd", '0', "x", absolute_prefix, ERR_CONFIG, "absolute"},
        {"../up", '0', "x", NULL, ERR_CONFIG, "'..'"},
        {"a/../../up", '0', "x", NULL, ERR_CONFIG, "'..'"},
        {"a/..", '5', "", NULL, ERR_CONFIG, "'..'"},
        {"", '0', "x", NULL, ERR_CONFIG, "without a name"},
        {"a\nb", '0', "x", NULL, ERR_CONFIG, "not printable"},
        {"a\\b", '0', "x", NULL, ERR_CONFIG, "not printable"},
        {"first.yaml", '0', "x", NULL, ERR_CONFIG, "twice"},
        {"first.yaml/below", '0', "x", NULL, ERR_CONFIG, "both"},
        {"1/2/3/4/5/6/7/8/9", '0', "x", NULL, ERR_LIMIT, "folders"},
        {"huge", '0', "x", huge, ERR_LIMIT, "more than"},
        {"binary", '0', "x", binary_size, ERR_LIMIT, "more than"},
        {"folder", '5', "content", NULL, ERR_CONFIG, "has content"},
        {"pax", 'x', "18 path=other name\n", NULL, ERR_CONFIG, "pax header"},
        {"pax", 'x', "99 mtime=1\n", NULL, ERR_CONFIG, "pax header"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf b = with_header(cases[i].name, cases[i].type, cases[i].data, cases[i].change);
        CHECK(fails(extract(&b, "refused"), cases[i].code));
        if (!caught || !strstr(caught->message, cases[i].says))
            printf("# case %zu (%s): %s\n", i, cases[i].name, caught ? caught->message : "accepted");
        CHECK(caught && strstr(caught->message, cases[i].says));
        /* What only unpacking shows leaves what came before it; all else is refused before a byte is written. */
        if (strcmp(cases[i].says, "twice") != 0 && strcmp(cases[i].says, "both") != 0)
            CHECK(empty("refused"));
        remove_tree(at("refused"));
        buf_fini(&b);
    }
    CHECK(access("/tmp/up", F_OK) != 0);
}

static void gnu_magic(uint8_t *h)
{
    memcpy(h + 257, "ustar  ", 8);
    memcpy(h + 345, "/garbage", 8); /* other fields there */
}

static void other_programs_archives_are_read(void)
{
    struct buf b = with_header("./a/./b.yaml", '0', "hello", gnu_magic);
    CHECK(done(extract(&b, "gnu")));
    check_file("gnu/a/b.yaml", "hello");
    buf_fini(&b);
    b = with_header("PaxHeaders/x", 'x', "30 mtime=1732770000.123456789\n", NULL);
    CHECK(done(extract(&b, "pax")));
    check_file("pax/first.yaml", "x");
    CHECK(access(at("pax/PaxHeaders"), F_OK) != 0);
    buf_fini(&b);
    b = with_header("./", '5', "", NULL);
    CHECK(done(extract(&b, "top")));
    buf_fini(&b);
}

static void damage_is_refused(void)
{
    struct buf b = with_header("a.yaml", '0', "hello", NULL);
    for (size_t len = 0; len + 512 < b.len; len += 512) {
        struct buf cut = {.p = b.p, .len = len};
        CHECK(fails(extract(&cut, "cut"), ERR_CONFIG) && empty("cut"));
    }
    b.p[3] ^= 1;
    CHECK(fails(extract(&b, "cut"), ERR_CONFIG) && empty("cut"));
    CHECK(caught && strstr(caught->message, "damaged"));
    b.p[3] ^= 1;
    CHECK(done(extract(&b, "cut")));
    buf_fini(&b);
}

static void limits_hold(void)
{
    struct buf b = {0};
    char name[300];
    for (int i = 0; i < TAR_ENTRIES_MAX; i++) {
        snprintf(name, sizeof name, "f%d", i);
        CHECK(done(tar_add(&b, name, "", 0)));
    }
    const size_t len = b.len;
    struct tar_reader r;
    struct tar_entry t;
    bool more = true;
    tar_end(&b);
    tar_open(&r, b.p, b.len);
    int n = 0;
    while (done(tar_next(&r, &t, &more)) && more)
        n++;
    CHECK(n == TAR_ENTRIES_MAX);
    b.len = len;
    CHECK(done(tar_add(&b, "more", "", 0)));
    tar_end(&b);
    CHECK(fails(extract(&b, "many"), ERR_LIMIT) && empty("many"));
    buf_fini(&b);
    memset(name, 'x', sizeof name);
    name[TAR_PATH_BYTES_MAX + 1] = 0;
    CHECK(fails(tar_add(&b, name, "", 0), ERR_LIMIT));
    name[100] = '/';
    name[TAR_PATH_BYTES_MAX] = 0;
    CHECK(done(tar_add(&b, name, "", 0))); /* 100 bytes before the slash, 99 behind */
    tar_end(&b);
    tar_open(&r, b.p, b.len);
    CHECK(done(tar_next(&r, &t, &more)) && more && strcmp(t.path, name) == 0);
    buf_fini(&b);
}

static void links_are_not_followed_into_an_archive(void)
{
    struct buf b = {0};
    mkdir(at("linked"), 0700);
    CHECK(symlink("/etc/hostname", at("linked/secret")) == 0);
    CHECK(fails(tar_folder(&b, at("linked")), ERR_CONFIG));
    buf_fini(&b);
}

int main(void)
{
    CHECK(mkdtemp(dir) != NULL);
    RUN(a_folder_goes_there_and_back);
    RUN(what_is_no_plain_file_is_refused);
    RUN(other_programs_archives_are_read);
    RUN(damage_is_refused);
    RUN(limits_hold);
    RUN(links_are_not_followed_into_an_archive);
    err_free(caught);
    remove_tree(dir);
    TEST_END();
}
