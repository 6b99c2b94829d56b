/* Secrets taken out of texts: those that are known, those that look like some, and those of a configuration. */
#define _GNU_SOURCE
#include "box/scrub.h"

#include "test.h"

#include <unistd.h>

static struct scrub known;

static const char *clean(const char *text)
{
    static struct buf out;
    buf_reset(&out);
    scrub_text(&known, text, strlen(text), &out);
    buf_put_u8(&out, 0);
    return (const char *)out.p;
}

static void what_looks_like_one(void)
{
    CHECK_STR(clean("nothing to hide: 2026-11-28T05:00:00 a@b.c"),
              "nothing to hide: 2026-11-28T05:00:00 a@b.c");
    CHECK_STR(clean("postgresql://ann:s3same@db:5432/x?a=b"), "postgresql://ann:***@db:5432/x?a=b");
    CHECK_STR(clean("postgresql://ann:p@ss@db/x"), "postgresql://ann:***@db/x");
    CHECK_STR(clean("postgresql://ann@db:5432/x http://db:80/a@b"),
              "postgresql://ann@db:5432/x http://db:80/a@b");
    CHECK_STR(clean("host=db password=s3same user=x"), "host=db password=*** user=x");
    CHECK_STR(clean("PASSWORD = 'two words' x"), "PASSWORD = '***' x");
    CHECK_STR(clean("{\"password\":\"a\\\"b c\",\"x\":1}"), "{\"password\":\"***\",\"x\":1}");
    CHECK_STR(clean("Authorization: Bearer abc.def x"), "Authorization: *** x");
    CHECK_STR(clean("token pst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA."), "token ***.");
    CHECK_STR(clean("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln end"), "jwt *** end");
    CHECK_STR(clean("a\n-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\nb"), "a\n***\nb");
    CHECK_STR(clean("-----BEGIN PRIVATE KEY-----\nMHc"), "***");
    CHECK_STR(clean("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"),
              "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----");
    CHECK_STR(clean("penstock-secret-key-1 AAAA x\nnext"), "***\nnext");
    CHECK_STR(clean("password"), "password");
    CHECK_STR(clean("password="), "password=");
    CHECK_STR(clean("://:@"), "://:@");
}

static void what_is_known(void)
{
    scrub_add(&known, "sesame", 6);
    scrub_add(&known, "sesame-opens", 12);
    scrub_add(&known, "abc", 3); /* too short to be looked for everywhere */
    CHECK_STR(clean("sesamesesame-opens-abc"), "******-abc");
    /* Beside, before and across what looks like one. */
    CHECK_STR(clean("x://sesame:y@z"), "x://***:***@z");
    scrub_add(&known, "half,other", 10);
    CHECK_STR(clean("password=ahalf,other,z"), "password=***,z");
    scrub_fini(&known);
    CHECK_STR(clean("sesame"), "sesame");
    char text[32];
    for (int i = 0; i <= SCRUB_SECRETS_MAX; i++) {
        CHECK(!known.full);
        snprintf(text, sizeof text, "secret-%d", i);
        scrub_add(&known, text, strlen(text));
    }
    CHECK(known.full && known.count == SCRUB_SECRETS_MAX);
    scrub_fini(&known);
    known.full = false;
}

static const char *yaml(const char *text)
{
    static struct buf out;
    buf_reset(&out);
    struct err *e = scrub_yaml(&known, text, strlen(text), &out);
    if (e) {
        buf_reset(&out);
        buf_put_str(&out, "!");
        err_free(e);
    }
    buf_put_u8(&out, 0);
    return (const char *)out.p;
}

static void configurations(void)
{
    CHECK_STR(
        yaml("# the old password was plover\n"
             "penstock: 1\n"
             "sources:\n"
             "  core:\n"
             "    postgres: { url: 'postgresql://ann:xyz%21zy@db/x', password: plugh, tables: [a, b] }\n"
             "  in: { ingest: { tokens: { one: twisty, two: [ passages ] } } }\n"
             "apis: { a: , b: {} }\n"),
        "penstock: 1\n"
        "sources:\n"
        "  core:\n"
        "    postgres:\n"
        "      url: \"postgresql://ann:***@db/x\"\n"
        "      password: \"***\"\n"
        "      tables:\n"
        "        - a\n"
        "        - b\n"
        "  in:\n"
        "    ingest:\n"
        "      tokens:\n"
        "        one: \"***\"\n"
        "        two:\n"
        "          - \"***\"\n"
        "apis:\n"
        "  a: null\n"
        "  b: {}\n");
    /* From now on they are found anywhere, as written and as a server would say it. */
    CHECK_STR(clean("plugh xyz%21zy xyz!zy twisty passages plover"), "*** *** *** *** *** plover");
    scrub_fini(&known);
    CHECK_STR(yaml("a: [\n"), "!");
}

static void references(void)
{
    char path[] = "/tmp/test_scrub.XXXXXX", text[200], want[200];
    int fd = mkstemp(path);
    CHECK(write(fd, "from-the-file\n", 14) == 14);
    close(fd);
    snprintf(text, sizeof text, "password: ${file:%s}\ntoken: ${NAME}\nsecret: ${NAME:-fallback}\n", path);
    snprintf(want, sizeof want, "password: \"${file:%s}\"\ntoken: \"${NAME}\"\nsecret: \"***\"\n", path);
    CHECK_STR(yaml(text), want);
    CHECK_STR(clean("got from-the-file"), "got ***");
    scrub_fini(&known);
    unlink(path);
}

int main(void)
{
    RUN(what_looks_like_one);
    RUN(what_is_known);
    RUN(configurations);
    RUN(references);
    TEST_END();
}
