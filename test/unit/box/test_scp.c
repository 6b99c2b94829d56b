/* The receiving side of scp's protocol, against what a sender may say. */
#define _GNU_SOURCE
#include "box/scp.h"

#include "base/buf.h"
#include "test.h"

#include <sys/mman.h>
#include <unistd.h>

static struct buf seen;
static bool refuse_data;

static struct err *on_folder(void *ctx, const char *name)
{
    (void)ctx;
    buf_printf(&seen, "{%s ", name);
    return NULL;
}
static struct err *on_leave(void *ctx)
{
    (void)ctx;
    buf_printf(&seen, "}");
    return NULL;
}
static struct err *on_file(void *ctx, const char *name, uint64_t size)
{
    (void)ctx;
    buf_printf(&seen, "%s:%llu:", name, (unsigned long long)size);
    return NULL;
}
static struct err *on_data(void *ctx, const void *p, size_t len)
{
    (void)ctx;
    buf_put(&seen, p, len);
    return refuse_data ? err_new(ERR_CONFIG, "refused\nthe second line") : NULL;
}
static struct err *on_done(void *ctx)
{
    (void)ctx;
    buf_printf(&seen, "; ");
    return NULL;
}

/* What came, or ! and the error; *answer is what the sender was told. */
static const char *receive(const char *said, size_t len, char answer[512], const struct scp_receiver *given)
{
    static const struct scp_receiver all = {NULL, on_folder, on_leave, on_file, on_data, on_done};
    int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
    buf_reset(&seen);
    if (write(in, said, len) != (ssize_t)len)
        abort();
    lseek(in, 0, SEEK_SET);
    struct err *e = scp_receive(in, out, given ? given : &all);
    ssize_t n = pread(out, answer, 511, 0);
    answer[n < 0 ? 0 : n] = 0;
    if (e) {
        buf_reset(&seen);
        buf_printf(&seen, "!%s", e->message);
        err_free(e);
    }
    close(in);
    close(out);
    buf_put_u8(&seen, 0);
    return (const char *)seen.p;
}
#define SAID(text) text, sizeof(text) - 1

static void files_and_folders(void)
{
    char answer[512];
    CHECK_STR(receive(SAID("C0644 3 a.sql\nabc\0"), answer, NULL), "a.sql:3:abc; ");
    CHECK(memcmp(answer, "\0\0\0", 3) == 0);
    CHECK_STR(receive(SAID("C0644 0 a\n\0C0600 1 b c\nx\0"), answer, NULL), "a:0:; b c:1:x; ");
    CHECK_STR(receive(SAID("T1 0 2 0\nD0755 0 conf\nC0644 1 a\nx\0D0700 0 sub\nE\nE\n"), answer, NULL),
              "{conf a:1:x; {sub }}");
    CHECK_STR(receive(SAID(""), answer, NULL), "");
}

static void names_are_plain(void)
{
    static const char *const names[] = {"..",   ".",        "",      "a/b",     "/etc/passwd",
                                        "../a", "a\x1b[2J", "a\x7f", "\xff\xfe"};
    char said[300], answer[512];
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        int n = snprintf(said, sizeof said, "C0644 1 %s\nx", names[i]);
        CHECK(receive(said, (size_t)n + 1, answer, NULL)[0] == '!');
        CHECK(strchr(answer + 1, 2) && !strchr(answer + 1, 0x1b));
        n = snprintf(said, sizeof said, "D0755 0 %s\n", names[i]);
        CHECK(receive(said, (size_t)n, answer, NULL)[0] == '!');
    }
    memset(said, 'n', sizeof said);
    memcpy(said, "C0644 0 ", 8);
    said[8 + SCP_NAME_BYTES_MAX] = '\n';
    CHECK(receive(said, 9 + SCP_NAME_BYTES_MAX + 1, answer, NULL)[0] == '!'); /* no zero follows: cut off */
    said[8 + SCP_NAME_BYTES_MAX] = 'n';
    said[9 + SCP_NAME_BYTES_MAX] = '\n';
    CHECK(strstr(receive(said, 10 + SCP_NAME_BYTES_MAX, answer, NULL), "name"));
}

static void records_are_bounded(void)
{
    static const char *const wrong[] = {"C644 1 a\n",
                                        "C0644 -1 a\n",
                                        "C0644  1 a\n",
                                        "C0644 1\n",
                                        "C0689 1 a\n",
                                        "C0644 1x a\n",
                                        "C0644 9999999999999999999 a\n",
                                        "E\n",
                                        "X\n",
                                        "\n",
                                        "GET / HTTP/1.1\r\n",
                                        "D0755 0 a\nEE\n"};
    char answer[512], line[SCP_RECORD_BYTES_MAX + 10];
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        CHECK(receive(wrong[i], strlen(wrong[i]), answer, NULL)[0] == '!');
    memset(line, 'a', sizeof line);
    CHECK(strstr(receive(line, sizeof line, answer, NULL), "too long"));
    CHECK(strstr(receive(SAID("C0644 1 a\0b\nx\0"), answer, NULL), "NUL"));
    struct buf deep = {0};
    for (int i = 0; i < SCP_DEPTH_MAX; i++)
        buf_printf(&deep, "D0755 0 d\n");
    size_t len = deep.len;
    for (int i = 0; i < SCP_DEPTH_MAX; i++)
        buf_printf(&deep, "E\n");
    CHECK(receive((char *)deep.p, deep.len, answer, NULL)[0] == '{');
    deep.len = len;
    buf_printf(&deep, "D0755 0 d\n");
    CHECK(strstr(receive((char *)deep.p, deep.len, answer, NULL), "folders in one another"));
    buf_reset(&deep);
    for (int i = 0; i < SCP_ENTRIES_MAX; i++)
        buf_put(&deep, "C0644 0 a\n", 11);
    CHECK(receive((char *)deep.p, deep.len, answer, NULL)[0] == 'a');
    buf_put(&deep, "C0644 0 a\n", 11);
    CHECK(strstr(receive((char *)deep.p, deep.len, answer, NULL), "files and folders"));
    buf_fini(&deep);
}

static void cut_at_any_byte(void)
{
    static const char whole[] = "D0755 0 conf\nC0644 5 a\nabcde\0E\n";
    char answer[512];
    for (size_t len = 1; len < sizeof whole - 1; len++)
        CHECK(receive(whole, len, answer, NULL)[0] == '!');
    CHECK(receive(whole, sizeof whole - 1, answer, NULL)[0] == '{');
}

static void refusals_are_told(void)
{
    char answer[512];
    struct scp_receiver no_folders = {NULL, NULL, NULL, on_file, on_data, on_done};
    CHECK(receive(SAID("D0755 0 a\n"), answer, &no_folders)[0] == '!');
    CHECK_STR(answer + 1, "\2scp: no folder is taken here, a single file is\n");
    refuse_data = true;
    CHECK(receive(SAID("C0644 3 a\nabc\0"), answer, NULL)[0] == '!');
    CHECK_STR(answer + 2, "\2scp: refused\n"); /* one line: a second would be taken for a record */
    refuse_data = false;
    CHECK(strstr(receive(SAID("C0644 3 a\nabc\1read error\n"), answer, NULL), "could not read"));
    CHECK(strstr(receive(SAID("\1scp: a: no such file\n"), answer, NULL), "could not send"));
}

static const char *target(const char *options, const char *path)
{
    char *words[] = {"scp", (char *)options, (char *)path, NULL};
    const char *out = "";
    struct err *e = scp_words(3, words, &out);
    out = e ? "!" : out;
    err_free(e);
    return out;
}

static void words_of_scp(void)
{
    const char *out;
    CHECK_STR(target("-t", "config/"), "config/");
    CHECK_STR(target("-rptdv", "image"), "image");
    CHECK_STR(target("-f", "image"), "!");
    CHECK_STR(target("-tS", "image"), "!");
    CHECK_STR(target("-t", "a"), "a");
    CHECK_STR(target("x", "a"), "!");
    struct err *e = scp_words(4, (char *[]){"scp", "-t", "--", "-x", NULL}, &out);
    CHECK(!e);
    CHECK_STR(out, "-x");
    e = scp_words(2, (char *[]){"scp", "-t", NULL}, &out);
    CHECK(e);
    err_free(e);
    e = scp_words(4, (char *[]){"scp", "-t", "a", "b", NULL}, &out);
    CHECK(e);
    err_free(e);
}

int main(void)
{
    RUN(files_and_folders);
    RUN(names_are_plain);
    RUN(records_are_bounded);
    RUN(cut_at_any_byte);
    RUN(refusals_are_told);
    RUN(words_of_scp);
    TEST_END();
}
