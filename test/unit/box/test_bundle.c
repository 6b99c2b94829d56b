/* Keys and signed bundles: what was written is read; whatever is changed in a bundle is refused before anything of it is handed out. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/remove_tree.h"
#include "test/unit/test.h"

#include "box/bundle.h"
#include "box/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/penstock-bundle-XXXXXX";

static struct err *caught; /* of the last call */

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
    static char path[4][200];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static void put_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0);
    close(fd);
}

/* ---- keys ---- */

/* RFC 8032, section 7.1, test 3: what others sign is verified here, and the other way round. */
static void signatures_are_those_of_the_standard(void)
{
    static const uint8_t secret[KEY_SECRET_BYTES] = {
        0xc5, 0xaa, 0x8d, 0xf4, 0x3f, 0x9f, 0x83, 0x7b, 0xed, 0xb7, 0x44, 0x2f, 0x31, 0xdc, 0xb7, 0xb1,
        0x66, 0xd3, 0x85, 0x35, 0x07, 0x6f, 0x09, 0x4b, 0x85, 0xce, 0x3a, 0x2e, 0x0b, 0x44, 0x58, 0xf7,
        0xfc, 0x51, 0xcd, 0x8e, 0x62, 0x18, 0xa1, 0xa3, 0x8d, 0xa4, 0x7e, 0xd0, 0x02, 0x30, 0xf0, 0x58,
        0x08, 0x16, 0xed, 0x13, 0xba, 0x33, 0x03, 0xac, 0x5d, 0xeb, 0x91, 0x15, 0x48, 0x90, 0x80, 0x25};
    static const uint8_t want[KEY_SIGNATURE_BYTES] = {
        0x62, 0x91, 0xd6, 0x57, 0xde, 0xec, 0x24, 0x02, 0x48, 0x27, 0xe6, 0x9c, 0x3a, 0xbe, 0x01, 0xa3,
        0x0c, 0xe5, 0x48, 0xa2, 0x84, 0x74, 0x3a, 0x44, 0x5e, 0x36, 0x80, 0xd7, 0xdb, 0x5a, 0xc3, 0xac,
        0x18, 0xff, 0x9b, 0x53, 0x8d, 0x16, 0xf2, 0x90, 0xae, 0x67, 0xf7, 0x60, 0x98, 0x4d, 0xc6, 0x59,
        0x4a, 0x7c, 0x15, 0xe9, 0x71, 0x6e, 0xd2, 0x8d, 0xc0, 0x27, 0xbe, 0xce, 0xea, 0x1e, 0xc4, 0x0a};
    static const uint8_t message[2] = {0xaf, 0x82}, other[2] = {0xaf, 0x83};
    uint8_t got[KEY_SIGNATURE_BYTES], public_key[KEY_PUBLIC_BYTES];
    key_sign(secret, message, sizeof message, got);
    CHECK(memcmp(got, want, sizeof got) == 0);
    key_public_of(secret, public_key);
    CHECK(key_verify(public_key, message, sizeof message, got));
    CHECK(!key_verify(public_key, other, sizeof other, got));
}

static void keys_are_made_once_and_read_back(void)
{
    struct key made, read;
    uint8_t secret[KEY_SECRET_BYTES], public_key[KEY_PUBLIC_BYTES];
    struct stat st;
    CHECK(done(key_create(at("release"), "release of the bank", &made)));
    CHECK(stat(at("release.key"), &st) == 0 && (st.st_mode & 07777) == 0600);
    CHECK(done(key_load(at("release.pub"), &read)));
    CHECK(memcmp(made.public_key, read.public_key, sizeof made.public_key) == 0);
    CHECK_STR(read.comment, "release of the bank");
    CHECK(done(key_load_secret(at("release.key"), secret)));
    key_public_of(secret, public_key);
    CHECK(memcmp(made.public_key, public_key, sizeof public_key) == 0);
    CHECK(fails(key_create(at("release"), "", &made), ERR_STATE)); /* never overwritten */
    CHECK(done(key_load(at("release.pub"), &read)));
    CHECK(fails(key_create(at("x"), "two\nlines", &made), ERR_CONFIG) && access(at("x.key"), F_OK) != 0);
    chmod(at("release.key"), 0640);
    CHECK(fails(key_load_secret(at("release.key"), secret), ERR_AUTH));
    chmod(at("release.key"), 0600);
    CHECK(fails(key_load(at("release.key"), &read), ERR_CONFIG)); /* a secret one is no public one */
    CHECK(caught && !strstr(caught->message, "secret-key-1 "));
}

static void a_set_of_keys_is_whole_or_refused(void)
{
    struct trust t = {0};
    struct key made;
    mkdir(at("set"), 0700);
    CHECK(done(trust_load(&t, at("none"))) && t.count == 0);
    CHECK(done(key_create(at("set/b"), "b", &made)));
    CHECK(done(key_create(at("set/a"), "a", &made)));
    CHECK(done(trust_load(&t, at("set"))) && t.count == 2);
    CHECK_STR(t.keys[0].comment, "a");
    CHECK(done(trust_load(&t, at("set"))) && t.count == 2); /* the same ones */
    put_file("set/c.pub", "penstock-key-1 AAAA c\n", 0644);
    t.count = 0;
    CHECK(fails(trust_load(&t, at("set")), ERR_CONFIG));
    CHECK(caught && strstr(caught->message, "c.pub"));
    unlink(at("set/c.pub"));
}

/* ---- bundles ---- */

struct memory {
    const uint8_t *p;
    size_t len, step; /* at most step bytes at a time */
};

static ssize_t memory_read(void *ctx, void *p, size_t len)
{
    struct memory *m = ctx;
    size_t n = len < m->len ? len : m->len;
    n = n < m->step ? n : m->step;
    memcpy(p, m->p, n);
    m->p += n;
    m->len -= n;
    return (ssize_t)n;
}

static struct trust trusted;
static struct bundle_secret secrets[2];

static void fill_payload(uint8_t *p, size_t len)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = i % 4096 < 2000 ? (uint8_t)(x >> 24) : 0;
    }
}

static struct buf written(enum bundle_kind kind, const uint8_t *p, size_t len, uint32_t keys)
{
    struct bundle_manifest m = {.kind = kind,
                                .version = "0.2.0",
                                .build = "20261128-abc",
                                .board = "qemu-virt",
                                .created = "2026-11-28T00:00:00Z",
                                .store_format = 3,
                                .store_format_oldest = 2};
    struct memory in = {p, len, 70000};
    struct buf out = {0};
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = open(at("out"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(done(bundle_write(&m, &(struct bundle_input){memory_read, &in}, secrets, keys, fd)));
    struct stat st;
    CHECK(fstat(fd, &st) == 0);
    buf_grow(&out, (size_t)st.st_size);
    out.len = (size_t)st.st_size;
    CHECK(pread(fd, out.p, out.len, 0) == (ssize_t)out.len);
    close(fd);
    bundle_manifest_fini(&m);
    return out;
}

/* Reads all; how many bytes were handed out, even when it fails. */
static struct err *read_bundle(const uint8_t *p, size_t len, const struct trust *trust, struct buf *out)
{
    struct memory in = {p, len, 3000};
    const struct bundle_input input = {memory_read, &in};
    struct bundle *b;
    TRY(bundle_open(&input, trust, &b));
    struct err *e = bundle_read_all(b, out);
    bundle_close(b);
    return e;
}

static void what_is_bundled_comes_out(void)
{
    static const size_t sizes[] = {1, 5000, BUNDLE_CHUNK_BYTES, 2 * BUNDLE_CHUNK_BYTES + 77};
    uint8_t *p = xmalloc(3 * BUNDLE_CHUNK_BYTES);
    fill_payload(p, 3 * BUNDLE_CHUNK_BYTES);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct buf b = written(BUNDLE_IMAGE, p, sizes[i], 1), again = written(BUNDLE_IMAGE, p, sizes[i], 1);
        struct buf out = {0};
        CHECK(b.len == again.len && memcmp(b.p, again.p, b.len) == 0); /* reproducible */
        CHECK(done(read_bundle(b.p, b.len, &trusted, &out)));
        CHECK(out.len == sizes[i] && memcmp(out.p, p, out.len) == 0);
        buf_fini(&out);
        buf_fini(&b);
        buf_fini(&again);
    }
    free(p);
}

static void the_manifest_says_what_it_is(void)
{
    struct buf b = written(BUNDLE_IMAGE, (const uint8_t *)"hello", 5, 2);
    struct memory in = {b.p, b.len, 1};
    const struct bundle_input input = {memory_read, &in};
    struct bundle *r;
    CHECK(bundle_is(b.p, b.len) && !bundle_is("PNSTK", 5));
    CHECK(done(bundle_open(&input, &trusted, &r)));
    const struct bundle_manifest *m = bundle_manifest(r);
    CHECK(m->kind == BUNDLE_IMAGE && m->payload_bytes == 5 && m->chunk_count == 1);
    CHECK(m->store_format == 3 && m->store_format_oldest == 2);
    CHECK_STR(m->version, "0.2.0");
    CHECK_STR(m->build, "20261128-abc");
    CHECK_STR(m->board, "qemu-virt");
    CHECK_STR(bundle_signer(r)->comment, "first");
    CHECK(bundle_signature_count(r) == 2);
    bundle_close(r);
    buf_fini(&b);
}

static void only_trusted_keys_count(void)
{
    struct buf b = written(BUNDLE_CONFIG, (const uint8_t *)"hello", 5, 2),
               none = written(BUNDLE_CONFIG, (const uint8_t *)"hello", 5, 0), out = {0};
    struct trust nobody = {0}, second = {.count = 1, .keys = {trusted.keys[1]}}, other = {.count = 1};
    CHECK(fails(read_bundle(b.p, b.len, &nobody, &out), ERR_AUTH));
    CHECK(fails(read_bundle(b.p, b.len, &other, &out), ERR_AUTH));
    CHECK(fails(read_bundle(none.p, none.len, &trusted, &out), ERR_AUTH));
    CHECK(out.len == 0);
    CHECK(done(read_bundle(b.p, b.len, &second, &out)) && out.len == 5); /* one of two is enough */
    CHECK(done(read_bundle(none.p, none.len, NULL, &out)));
    buf_fini(&out);
    buf_fini(&b);
    buf_fini(&none);
}

/* Every byte counts: changed, it is refused, and nothing comes out but chunks that were right. */
static void any_change_is_refused(void)
{
    const size_t len = BUNDLE_CHUNK_BYTES + 100;
    uint8_t *p = xmalloc(len);
    fill_payload(p, len);
    struct buf b = written(BUNDLE_IMAGE, p, len, 1);
    const size_t head = 24 + 96 + 700, step = b.len / (size_t)test_rounds(60) + 1;
    for (size_t i = 0; i < b.len; i += i < head ? 1 + (size_t)(test_rounds(100) < 50) * 12 : step) {
        struct buf out = {0};
        b.p[i] ^= 1;
        struct err *e = read_bundle(b.p, b.len, &trusted, &out);
        if (!e)
            printf("# byte %zu of %zu\n", i, b.len);
        CHECK(e != NULL);
        CHECK(i >= head || out.len == 0);
        CHECK(out.len <= len && memcmp(out.p ? out.p : p, p, out.len) == 0);
        err_free(e);
        b.p[i] ^= 1;
        buf_fini(&out);
    }
    for (size_t i = 0; i < b.len; i += step) {
        struct buf out = {0};
        CHECK(fails(read_bundle(b.p, i, &trusted, &out), ERR_CORRUPT)); /* cut short */
        CHECK(out.len < len);
        buf_fini(&out);
    }
    struct buf longer = {0}, out = {0};
    buf_put(&longer, b.p, b.len);
    buf_put_u8(&longer, 0);
    CHECK(fails(read_bundle(longer.p, longer.len, &trusted, &out), ERR_CORRUPT));
    buf_fini(&longer);
    buf_fini(&out);
    buf_fini(&b);
    free(p);
}

/* A signed manifest whose numbers are beyond the limits: signed or not, it is refused. */
static void limits_hold_for_the_signed_too(void)
{
    static const char *const texts[] = {
        "{}",
        "{\"penstock_bundle\":1,\"kind\":\"configuration\",\"created\":\"x\",\"payload\":{\"bytes\":16777217,"
        "\"chunk_bytes\":1048576,\"sha256\":\"00\",\"chunks\":[]}}",
        "{\"penstock_bundle\":2,\"kind\":\"configuration\",\"created\":\"x\"}",
        "{\"penstock_bundle\":1,\"kind\":\"image\",\"created\":\"x\",\"version\":\"a b\"}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct buf b = {0}, to_sign = {0}, out = {0};
        uint8_t signature[KEY_SIGNATURE_BYTES];
        const uint8_t len = (uint8_t)strlen(texts[i]);
        buf_put_str(&to_sign, BUNDLE_SIGNED_PREFIX);
        buf_put_str(&to_sign, texts[i]);
        key_sign(secrets[0].key, to_sign.p, to_sign.len, signature);
        buf_put_str(&b, BUNDLE_MAGIC);
        buf_put(&b, (const uint8_t[16]){1, 0, 0, 0, 1, 0, 0, 0, len}, 16);
        buf_put(&b, trusted.keys[0].public_key, KEY_PUBLIC_BYTES);
        buf_put(&b, signature, sizeof signature);
        buf_put_str(&b, texts[i]);
        CHECK(fails(read_bundle(b.p, b.len, &trusted, &out), ERR_CORRUPT));
        CHECK(caught && strstr(caught->message, "manifest"));
        buf_fini(&b);
        buf_fini(&to_sign);
        buf_fini(&out);
    }
    struct bundle_manifest m = {.kind = BUNDLE_CONFIG, .created = "x"};
    uint8_t *p = xcalloc(1, BUNDLE_CONFIG_BYTES_MAX + 1);
    struct memory in = {p, BUNDLE_CONFIG_BYTES_MAX + 1, 1 << 20};
    int fd = open(at("large"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fails(bundle_write(&m, &(struct bundle_input){memory_read, &in}, secrets, 1, fd), ERR_LIMIT));
    close(fd);
    bundle_manifest_fini(&m);
    free(p);
}

static void an_image_says_what_it_is(void)
{
    static const char good[] =
        "{\"version\":\"0.1.0\",\"build\":\"b\",\"board\":\"qemu-virt\",\"arch\":\"aarch64\","
        "\"store_format\":3,\"store_format_oldest\":2,\"created\":\"2026-11-28T05:00:00Z\"}";
    struct image_info i;
    CHECK(done(image_info_parse("x", good, strlen(good), &i)) && i.store_format == 3);
    CHECK_STR(i.board, "qemu-virt");
    CHECK(fails(image_info_parse("x", good, strlen(good) - 1, &i), ERR_CORRUPT));
    CHECK(fails(image_info_parse("x", "{}", 2, &i), ERR_CORRUPT));
    CHECK_STR(caught->message, "x does not describe an image: version");
}

int main(void)
{
    struct key k;
    CHECK(mkdtemp(dir) != NULL);
    CHECK(done(key_create(at("first"), "first", &k)) && done(key_create(at("second"), "second", &k)));
    CHECK(done(key_load_secret(at("first.key"), secrets[0].key)) &&
          done(key_load_secret(at("second.key"), secrets[1].key)));
    CHECK(done(trust_load(&trusted, dir)) && trusted.count == 2);
    RUN(signatures_are_those_of_the_standard);
    RUN(keys_are_made_once_and_read_back);
    RUN(a_set_of_keys_is_whole_or_refused);
    RUN(what_is_bundled_comes_out);
    RUN(the_manifest_says_what_it_is);
    RUN(only_trusted_keys_count);
    RUN(any_change_is_refused);
    RUN(limits_hold_for_the_signed_too);
    RUN(an_image_says_what_it_is);
    err_free(caught);
    remove_tree(dir);
    TEST_END();
}
