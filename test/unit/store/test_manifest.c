/* Manifests of backups: what is saved is loaded again, and no damage, wrong format or strange path gets through. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/buf.h"
#include "store/manifest.h"
#include "store_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static char *made_dir(const char *name)
{
    char *dir = fresh_dir(name);
    CHECK(mkdir(dir, 0700) == 0);
    return dir;
}

static void write_file(const char *dir, const char *name, const void *p, size_t len)
{
    char *path = xprintf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, p, len) == (ssize_t)len);
    close(fd);
    free(path);
}

static size_t read_file(const char *dir, const char *name, char *out, size_t room)
{
    char *path = xprintf("%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, room);
    CHECK(n >= 0);
    close(fd);
    free(path);
    return (size_t)n;
}

static char *make_backup(const char *name)
{
    char *dir = made_dir(name), *shard = xprintf("%s/shard-000", dir);
    struct manifest *m = manifest_new();
    CHECK(mkdir(shard, 0700) == 0);
    write_file(dir, "catalog.json", "abc", 3);
    write_file(dir, "shard-000/data.mdb", "", 0);
    m->shard_count = 1;
    m->epoch = 77;
    m->build = "penstock test";
    m->made_us = 1234567890123456;
    manifest_add_source(m, "core", "0/16B3748");
    manifest_add_source(m, "other", "");
    OK(manifest_add_file(m, dir, "catalog.json", NULL));
    OK(manifest_add_file(m, dir, "shard-000/data.mdb", NULL));
    CHECK(manifest_bytes(m) == 3);
    OK(manifest_save(m, dir));
    manifest_free(m);
    free(shard);
    return dir;
}

static void test_round_trip(void)
{
    char *dir = make_backup("round");
    struct manifest *m;
    OK(manifest_load(dir, &m));
    CHECK(m->format == MANIFEST_FORMAT && m->store_format == STORE_FORMAT && m->shard_count == 1);
    CHECK(m->epoch == 77 && m->made_us == 1234567890123456 && strcmp(m->build, "penstock test") == 0);
    CHECK(m->source_count == 2 && strcmp(m->sources[0].name, "core") == 0);
    CHECK(strcmp(m->sources[0].position, "0/16B3748") == 0 && strcmp(m->sources[1].position, "") == 0);
    CHECK(m->file_count == 2 && strcmp(m->files[0].path, "catalog.json") == 0 && m->files[0].size_bytes == 3);
    /* FIPS 180-4's examples: "abc", and nothing */
    CHECK(strcmp(m->files[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") ==
          0);
    CHECK(strcmp(m->files[1].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") ==
          0);
    for (uint32_t i = 0; i < m->file_count; i++)
        OK(manifest_check_file(&m->files[i], dir, NULL));
    manifest_free(m);
    drop_dir(dir);
}

static void fails(struct err *e, enum err_code code, const char *text)
{
    CHECK(e && e->code == code && strstr(e->message, text));
    err_free(e);
}

/* Every single byte of both files counts, and so does every cut. */
static void test_damage(void)
{
    static char text[4096], changed[4096];
    static const char *const names[] = {MANIFEST_FILE, MANIFEST_SUM_FILE};
    char *dir = make_backup("damage");
    struct manifest *m;
    for (int f = 0; f < 2; f++) {
        size_t len = read_file(dir, names[f], text, sizeof text);
        size_t counts = f == 0 ? len : SHA256_HEX_BYTES - 1; /* the file's name after the sum is for people */
        for (size_t i = 0; i < counts; i++) {
            memcpy(changed, text, len);
            changed[i] ^= 1;
            write_file(dir, names[f], changed, len);
            fails(manifest_load(dir, &m), ERR_CORRUPT, "damaged");
        }
        for (size_t n = 0; n < counts; n += 7) {
            write_file(dir, names[f], text, n);
            fails(manifest_load(dir, &m), ERR_CORRUPT, "damaged");
        }
        write_file(dir, names[f], text, len);
    }
    OK(manifest_load(dir, &m));
    write_file(dir, "catalog.json", "abd", 3);
    fails(manifest_check_file(&m->files[0], dir, NULL), ERR_CORRUPT, "is damaged: its SHA-256");
    write_file(dir, "catalog.json", "abcd", 4);
    fails(manifest_check_file(&m->files[0], dir, NULL), ERR_CORRUPT, "has 4 bytes, not 3");
    char *path = xprintf("%s/catalog.json", dir);
    CHECK(unlink(path) == 0);
    fails(manifest_check_file(&m->files[0], dir, NULL), ERR_CORRUPT, "is missing");
    manifest_free(m);
    free(path);
    drop_dir(dir);
}

/* A manifest of this text with a right checksum: what counts is what it says. */
static struct err *load_text(const char *dir, const char *text, struct manifest **out)
{
    struct manifest_file sum = {0};
    char *path = xprintf("%s/" MANIFEST_FILE, dir);
    write_file(dir, MANIFEST_FILE, text, strlen(text));
    OK(manifest_hash(path, NULL, &sum));
    write_file(dir, MANIFEST_SUM_FILE, sum.sha256, strlen(sum.sha256));
    free(path);
    return manifest_load(dir, out);
}

#define TEXT(x)    #x
#define TEXT_OF(x) TEXT(x)
#define FORMATS    "{\"penstock_backup\":1,\"store_format\":" TEXT_OF(STORE_FORMAT)
#define HEAD       FORMATS ",\"shards\":1,\"epoch\":1,\"sources\":[],"
#define SUM        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define FILE_OF(p) "{\"path\":\"" p "\",\"bytes\":3,\"sha256\":\"" SUM "\"}"

static void test_content(void)
{
    char *dir = made_dir("content");
    struct manifest *m;
    fails(manifest_load(dir, &m), ERR_STATE, "is no backup");
    OK(load_text(dir, HEAD "\"files\":[" FILE_OF("a/b") "]}", &m));
    manifest_free(m);
    fails(load_text(dir, "{\"penstock_backup\":2}", &m), ERR_STATE,
          "has format 2, this program reads format 1");
    fails(load_text(dir, "{\"penstock_backup\":1,\"store_format\":99,\"shards\":1}", &m), ERR_STATE,
          "a store of format 99");
    fails(load_text(dir, "{}", &m), ERR_CORRUPT, "does not say its format");
    fails(load_text(dir, "nothing", &m), ERR_CORRUPT, "not JSON");
    fails(load_text(dir, FORMATS ",\"shards\":0}", &m), ERR_CORRUPT, "shards");
    fails(load_text(dir, FORMATS ",\"shards\":257}", &m), ERR_CORRUPT, "shards");
    fails(load_text(dir, HEAD "\"files\":1}", &m), ERR_CORRUPT, "lists");
    fails(load_text(dir, HEAD "\"files\":[{\"path\":\"a\",\"bytes\":1,\"sha256\":\"12\"}]}", &m), ERR_CORRUPT,
          "lists");
    static const char *const outside[] = {
        HEAD "\"files\":[" FILE_OF("../a") "]}", HEAD "\"files\":[" FILE_OF("/etc/passwd") "]}",
        HEAD "\"files\":[" FILE_OF("a/../../b") "]}", HEAD "\"files\":[" FILE_OF("") "]}"};
    for (size_t i = 0; i < ARRAY_COUNT(outside); i++)
        fails(load_text(dir, outside[i], &m), ERR_CORRUPT, "lists");
    drop_dir(dir);
}

/* MANIFEST_FILES_MAX files are taken, one more is not; nor is a file past MANIFEST_BYTES_MAX. */
static void test_limits(void)
{
    char *dir = made_dir("limits");
    struct manifest *m;
    for (uint32_t more = 0; more < 2; more++) {
        struct buf b = {0};
        buf_put_str(&b, HEAD "\"files\":[");
        for (uint32_t i = 0; i < MANIFEST_FILES_MAX + more; i++)
            buf_printf(&b, "%s{\"path\":\"f%u\",\"bytes\":3,\"sha256\":\"" SUM "\"}", i ? "," : "", i);
        buf_put_str(&b, "]}");
        buf_put_u8(&b, 0);
        struct err *e = load_text(dir, (const char *)b.p, &m);
        if (more) {
            fails(e, ERR_CORRUPT, "lists");
        } else {
            OK(e);
            CHECK(m->file_count == MANIFEST_FILES_MAX);
            manifest_free(m);
        }
        buf_fini(&b);
    }
    char *large = xmalloc(MANIFEST_BYTES_MAX + 2);
    memset(large, ' ', MANIFEST_BYTES_MAX + 1);
    large[MANIFEST_BYTES_MAX + 1] = 0;
    fails(load_text(dir, large, &m), ERR_LIMIT, "more than");
    large[MANIFEST_BYTES_MAX] = 0;
    memcpy(large, "{}", 2);
    fails(load_text(dir, large, &m), ERR_CORRUPT, "does not say its format");
    free(large);
    drop_dir(dir);
}

int main(void)
{
    RUN(test_round_trip);
    RUN(test_damage);
    RUN(test_content);
    RUN(test_limits);
    TEST_END();
}
