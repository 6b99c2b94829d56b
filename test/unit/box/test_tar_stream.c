/* Headers of backups' archives. */
#include "box/tar_stream.h"

#include "test.h"

static uint8_t h[TAR_BLOCK_BYTES];

static void mend_sum(void)
{
    unsigned sum = 0;
    char text[8];
    memset(h + 148, ' ', 8);
    for (int i = 0; i < TAR_BLOCK_BYTES; i++)
        sum += h[i];
    snprintf(text, sizeof text, "%06o", sum & 0777777);
    memcpy(h + 148, text, 7);
}

static const char *read_back(void)
{
    static char out[300];
    struct tar_stream_entry e;
    struct err *error = tar_stream_read(h, &e);
    snprintf(out, sizeof out, "%s%s%s %llu",
             error   ? "!"
             : e.end ? "end"
                     : "",
             e.folder ? "folder " : "", e.path, (unsigned long long)e.size_bytes);
    err_free(error);
    return out;
}

static const char *of(const char *path, uint64_t size)
{
    CHECK(!tar_stream_header(h, path, size));
    return read_back();
}

static void sizes(void)
{
    CHECK_STR(of("manifest.json", 0), "manifest.json 0");
    CHECK_STR(of("shard-000/data.mdb", 12345), "shard-000/data.mdb 12345");
    CHECK_STR(of("a", (1ull << 33) - 1), "a 8589934591");
    CHECK_STR(of("a", 1ull << 33), "a 8589934592");
    CHECK_STR(of("a", 1ull << 45), "a 35184372088832");
    memset(h + 124, 0xff, 12); /* negative */
    mend_sum();
    CHECK(read_back()[0] == '!');
    h[124] = 0x80; /* beyond 2^48 */
    mend_sum();
    CHECK(read_back()[0] == '!');
    memset(h + 124, '9', 11);
    mend_sum();
    CHECK(read_back()[0] == '!');
    memset(h, 0, sizeof h);
    CHECK_STR(read_back(), "end 0");
}

static void paths(void)
{
    static const char *const wrong[] = {"../a", "/a",   "a/b/c", ".a",  "a/.b",
                                        "a/..", "a//b", "a\x1b", "a b", "a/"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK(!tar_stream_header(h, "x", 1));
        memset(h, 0, 100);
        memcpy(h, wrong[i], strlen(wrong[i]));
        mend_sum();
        CHECK(read_back()[0] == '!');
    }
    memset(h, 0, 100);
    memcpy(h, "./shard-001/data.mdb", 20);
    mend_sum();
    CHECK_STR(read_back(), "shard-001/data.mdb 1");
    memcpy(h + 345, "etc", 3); /* a prefix */
    mend_sum();
    CHECK(read_back()[0] == '!');
}

static void kinds(void)
{
    for (int type = 0; type < 256; type++) {
        CHECK(!tar_stream_header(h, "x", type == '5' ? 0 : 1));
        h[156] = (uint8_t)type;
        mend_sum();
        const char *text = read_back();
        CHECK((text[0] != '!') == (type == 0 || type == '0' || type == '5'));
    }
    for (int i = 0; i < TAR_BLOCK_BYTES; i++) { /* any byte altered */
        CHECK(!tar_stream_header(h, "x", 1));
        h[i] ^= 1;
        CHECK(read_back()[0] == '!' || (i >= 148 && i < 156));
    }
}

int main(void)
{
    RUN(sizes);
    RUN(paths);
    RUN(kinds);
    TEST_END();
}
