/* The console's requests without sockets: routes and their words, cookies, whose page asks, JSON, files; and a command asked of a
 * stand-in for PID 1. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "box/command.h"
#include "box/control.h"
#include "serve/console.h"
#include "serve/console_ask.h"
#include "serve/console_request.h"
#include "serve/out.h"
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct arena arena;
static struct problem problem;
static struct console_fields fields;
static const char *allow;

static const struct console_route *find(const char *method, const char *path)
{
    arena_reset(&arena);
    problem_init(&problem, &arena);
    fields = (struct console_fields){0};
    allow = NULL;
    return console_route_find(&arena, method, path, &fields, &allow, &problem);
}

/* The words with blanks between them; NULL: refused. */
static const char *words_of(const struct console_route *r)
{
    uint32_t n;
    char *words[CONSOLE_WORDS_MAX], *all = arena_strdup(&arena, "");
    if (!console_words(&arena, r, &fields, &n, words, &problem))
        return NULL;
    for (uint32_t i = 0; i < n; i++)
        all = arena_printf(&arena, "%s%s%s", all, i ? " " : "", words[i]);
    return all;
}

static bool json(const char *text)
{
    return console_json(&arena, (const uint8_t *)text, strlen(text), &fields, &problem);
}

static void test_routes(void)
{
    CHECK_STR(words_of(find("GET", "status")), "status --json");
    CHECK_STR(words_of(find("DELETE", "tokens/17")), "token revoke 17");
    CHECK_STR(words_of(find("POST", "versions/3/switch")), "version switch 3");
    CHECK(!find("GET", "nothing") && problem.status == 404);
    CHECK(!find("GET", "tokens/17/x") && problem.status == 404);
    CHECK(!find("GET", "") && problem.status == 404);
    CHECK(!find("DELETE", "tokens/") && problem.status == 404);
    CHECK(!find("DELETE", "tokens") && problem.status == 405);
    CHECK(!find("PATCH", "tokens") && problem.status == 405);
    CHECK_STR(allow, "GET, POST");
    for (uint32_t i = 0; i < console_route_count; i++) {
        const struct console_route *r = &console_routes[i];
        bool changes = strcmp(r->method, "GET") != 0;
        CHECK(changes || r->in == CONSOLE_IN_NONE);
        CHECK(!(r->flags & CONSOLE_OPEN) || !changes || (r->flags & CONSOLE_TRY));
        CHECK(r->timeout_s > 0 && strcmp(r->words, "") != 0);
        CHECK(r->out == CONSOLE_OUT_LINES || r->out == CONSOLE_OUT_FILE || r->timeout_s < 60);
        const char *end = strchr(r->words, ' ');
        char name[64];
        snprintf(name, sizeof name, "%.*s", end ? (int)(end - r->words) : 60, r->words);
        const struct box_command *c = box_command_find(name);
        CHECK(!c || (c->flags & BOX_FROM_CONSOLE)); /* of commands that this build has */
    }
}

static void test_words(void)
{
    const struct console_route *r = find("POST", "tokens");
    CHECK(json("{\"role\":\"teller\"}"));
    CHECK_STR(words_of(r), "token create --role teller");
    r = find("POST", "tokens");
    CHECK(json("{\"role\":\"a b;$(x)\",\"ttl\":null,\"name\":\"it's\"}"));
    CHECK_STR(words_of(r), "token create --role a b;$(x) --name it's");
    static const char *const refused[] = {"{}", "{\"role\":\"\"}", "{\"role\":\"-c\"}",
                                          "{\"role\":\"a\\nb\"}", "{\"role\":\"a\\u007f\"}"};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        r = find("POST", "tokens");
        CHECK(json(refused[i]) && !words_of(r) && problem.status == 400);
    }
    char long_word[CONSOLE_WORD_BYTES + 2];
    memset(long_word, 'x', sizeof long_word);
    r = find("POST", "tokens");
    CHECK(console_field_put(&fields, "role", long_word, CONSOLE_WORD_BYTES) && words_of(r));
    r = find("POST", "tokens");
    CHECK(console_field_put(&fields, "role", long_word, CONSOLE_WORD_BYTES + 1) && !words_of(r));
    r = find("POST", "apply");
    CHECK_STR(words_of(r), "apply --json");
    CHECK(console_query(&arena, "breaking=1", &fields, &problem));
    CHECK_STR(words_of(r), "apply --json --breaking");
    r = find("DELETE", "ssh-keys");
    CHECK(console_query(&arena, "fingerprint=SHA256%3Aab%2Fc%2B", &fields, &problem));
    CHECK_STR(words_of(r), "ssh-key remove SHA256:ab/c+");
    static const char *const queries[] = {"a=%", "a=%4", "a=%zz", "a=%00", "a=1&a=2"};
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        find("GET", "logs");
        CHECK(!console_query(&arena, queries[i], &fields, &problem));
    }
}

static void test_fields(void)
{
    struct buf b = {0};
    find("GET", "status");
    CHECK(!json("[]") && !json("") && !json("{\"a\":1.5}") && !json("{\"a\":{}}") &&
          !json("{\"a\":\"\\u0000\"}"));
    fields = (struct console_fields){0};
    CHECK(!json("{\"a\":1,\"a\":2}"));
    for (int most = CONSOLE_FIELDS_MAX; most <= CONSOLE_FIELDS_MAX + 1; most++) {
        fields = (struct console_fields){0};
        buf_reset(&b);
        buf_put_str(&b, "{");
        for (int i = 0; i < most; i++)
            buf_printf(&b, "%s\"f%d\":%d", i ? "," : "", i, i);
        buf_put_str(&b, "}");
        CHECK(console_json(&arena, b.p, b.len, &fields, &problem) == (most == CONSOLE_FIELDS_MAX));
    }
    buf_fini(&b);
}

#define TOKEN "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde"
static const char *session(const char *cookies)
{
    static char token[CONSOLE_TOKEN_BYTES + 1];
    console_session(cookies, token);
    return token;
}

static void test_cookies(void)
{
    CHECK_STR(session(CONSOLE_COOKIE "=" TOKEN), TOKEN);
    CHECK_STR(session("a=b;" CONSOLE_COOKIE "=" TOKEN " ; c"), TOKEN);
    CHECK_STR(session(NULL), "");
    CHECK_STR(session(""), "");
    CHECK_STR(session("=;=;;"), "");
    CHECK_STR(session(CONSOLE_COOKIE "=" TOKEN "x"), "");
    CHECK_STR(session(CONSOLE_COOKIE "=\"" TOKEN "\""), "");
    CHECK_STR(session("x" CONSOLE_COOKIE "=" TOKEN), "");
    CHECK_STR(session("__host-penstock-session=" TOKEN), "");
    CHECK_STR(session(CONSOLE_COOKIE "=" TOKEN "; " CONSOLE_COOKIE "=" TOKEN), "");
    CHECK_STR(session(CONSOLE_COOKIE "=bad; " CONSOLE_COOKIE "=" TOKEN), "");
}

static bool own(const char *method, const char *origin, const char *site, const char *mark)
{
    find("GET", "status");
    return console_own_page(&(struct console_marks){method, "Box:8443", origin, site, mark}, &problem);
}

static void test_pages(void)
{
    CHECK(own("POST", NULL, NULL, "1"));
    CHECK(own("POST", "https://box:8443", "same-origin", "1"));
    CHECK(own("GET", NULL, NULL, NULL) && own("GET", NULL, "none", NULL));
    CHECK(!own("POST", NULL, NULL, NULL) && !own("DELETE", NULL, NULL, "0") &&
          !own("POST", NULL, NULL, "11"));
    CHECK(!own("POST", "http://box:8443", NULL, "1") && !own("POST", "https://box", NULL, "1") &&
          !own("POST", "null", NULL, "1"));
    CHECK(!own("POST", "https://box:8443.evil", NULL, "1") && !own("GET", "https://evil", NULL, NULL));
    CHECK(!own("POST", NULL, "none", "1") && !own("POST", NULL, "cross-site", "1") &&
          !own("GET", NULL, "same-site", NULL));
}

static bool files(const char *text, struct buf *tar)
{
    find("GET", "status");
    buf_reset(tar);
    return console_files((const uint8_t *)text, strlen(text), tar, &problem);
}

static void test_files(void)
{
    struct buf tar = {0}, text = {0};
    CHECK(files("{\"files\":{\"penstock.yaml\":\"penstock: 1\\n\",\"sql/a.sql\":\"\"}}", &tar));
    CHECK(tar.len == 512 * 5 && memcmp(tar.p, "penstock.yaml", 14) == 0 &&
          memcmp(tar.p + 257,
                 "ustar\0"
                 "00",
                 8) == 0);
    CHECK(memcmp(tar.p + 124, "00000000014", 12) == 0 && memcmp(tar.p + 512, "penstock: 1\n\0", 13) == 0);
    CHECK(memcmp(tar.p + 1024, "sql/a.sql", 10) == 0);
    unsigned sum = 0, said;
    for (int i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : tar.p[i];
    CHECK(sscanf((const char *)tar.p + 148, "%o", &said) == 1 && said == sum);
    static const char *const bad[] = {"/a",   "a/", "../a", "a/../b", "a//b",     ".a",
                                      "a/.b", "-a", "",     "a b",    "a\\u0000", "\\u00e9"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char body[80];
        snprintf(body, sizeof body, "{\"files\":{\"%s\":\"\"}}", bad[i]);
        CHECK(!files(body, &tar) && problem.status == 400);
    }
    CHECK(!files("{\"files\":{\"a\":1}}", &tar) && !files("{\"files\":{}}", &tar) && !files("{}", &tar) &&
          !files("[]", &tar));
    for (int most = CONSOLE_FILES_MAX; most <= CONSOLE_FILES_MAX + 1; most++) {
        buf_reset(&text);
        buf_put_str(&text, "{\"files\":{");
        for (int i = 0; i < most; i++)
            buf_printf(&text, "%s\"f%d\":\"\"", i ? "," : "", i);
        buf_put(&text, "}}", 3);
        CHECK(files((const char *)text.p, &tar) == (most == CONSOLE_FILES_MAX));
    }
    buf_fini(&tar);
    buf_fini(&text);
}

static void test_said(void)
{
    static const char text[] =
        "progress\npenstock: first\n  hint: of the first\npenstock: second\n  hint: of it\n";
    struct console_said said = console_said(&arena, (const uint8_t *)text, sizeof text - 1);
    CHECK_STR(said.text, "second");
    CHECK_STR(said.hint, "of it");
    said = console_said(&arena, (const uint8_t *)"odd \xff\0x", 7);
    CHECK_STR(said.text, "odd ??x");
    CHECK(!said.hint && !console_said(&arena, NULL, 0).text);
}

static void test_bodies(void)
{
    static const char up[] = CONSOLE_PREFIX "upgrade", longer[] = CONSOLE_PREFIX "upgrades",
                      check[] = CONSOLE_PREFIX "check?x";
    CHECK(console_body_most("POST", 4, up, sizeof up - 1) == CONSOLE_UPLOAD_BYTES);
    CHECK(console_body_most("POST", 4, check, sizeof check - 1) == CONSOLE_FILES_BYTES);
    CHECK(console_body_most("GET", 3, up, sizeof up - 1) == 0 &&
          console_body_most("POST", 4, longer, sizeof longer - 1) == 0);
    CHECK(console_body_most("POST", 4, "/api/x", 6) == 0 &&
          console_body_most("POST", 4, CONSOLE_PREFIX, 4) == 0);
}

/* ---- asking: a stand-in that copies its input to its output, and more ---- */

static char socket_path[] = "/tmp/penstock-console-XXXXXX/control";
static int listener;

static bool receive(int fd, char *words, size_t room, int fds[3])
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } rights;
    struct iovec part = {words, room};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &rights, .msg_controllen = sizeof rights.bytes};
    ssize_t n = recvmsg(fd, &m, 0);
    if (n <= 0 || !CMSG_FIRSTHDR(&m))
        return false;
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), 3 * sizeof(int));
    return n > 8 && memcmp(words, "PBOX0001", 8) == 0;
}

static void put_status(int fd, int32_t status)
{
    ssize_t n = send(fd, &status, 4, MSG_NOSIGNAL); /* whoever has heard enough is gone */
    (void)n;
}

static void copy_all(int from, int to)
{
    char bytes[4096];
    for (ssize_t n; (n = read(from, bytes, sizeof bytes)) > 0;)
        CHECK(write(to, bytes, (size_t)n) == n);
}

static void stand_in(int fd)
{
    char words[4096] = {0};
    int fds[3] = {-1, -1, -1};
    CHECK(receive(fd, words, sizeof words, fds));
    const char *token = words + 8, *name = token + strlen(token) + 1;
    if (strcmp(name, "copy") == 0) {
        copy_all(fds[0], fds[1]);
        CHECK(write(fds[2], "copied\n", 7) == 7);
        put_status(fd, 0);
    } else if (strcmp(name, "deaf") == 0) {
        close(fds[0]);
        fds[0] = -1;
        put_status(fd, 1);
    } else if (strcmp(name, "refused") == 0) {
        CHECK(write(fds[2], token, strlen(token)) > 0);
        put_status(fd, -1);
    } else if (strcmp(name, "silent") == 0) {
        char wait;
        CHECK(recv(fd, &wait, 1, 0) == 0); /* the end of the connection is the end of the command */
    }                                      /* "gone": the connection closes without an answer */
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void *serve_one(void *unused)
{
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    stand_in(fd);
    close(fd);
    return unused;
}

struct heard {
    struct buf out, err;
    size_t sent, most; /* of what `more` gives */
    bool enough;
};

static bool take(void *ctx, enum console_stream from, const uint8_t *p, size_t n)
{
    struct heard *h = ctx;
    buf_put(from == CONSOLE_STDOUT ? &h->out : &h->err, p, n);
    return !h->enough;
}

static long more(void *ctx, void *p, size_t room)
{
    struct heard *h = ctx;
    size_t n = h->most - h->sent < room ? h->most - h->sent : room;
    memset(p, 'm', n);
    h->sent += n;
    return (long)n;
}

static enum console_end ask(const char *name, struct heard *h, const char *input, uint32_t timeout_s,
                            int *status)
{
    pthread_t thread;
    char *words[] = {(char *)(uintptr_t)name};
    buf_reset(&h->out);
    buf_reset(&h->err);
    CHECK(pthread_create(&thread, NULL, serve_one, NULL) == 0);
    enum console_end end = console_ask(&(struct console_ask){.socket_path = socket_path,
                                                             .token = "token",
                                                             .word_count = 1,
                                                             .words = words,
                                                             .input = slice_of(input),
                                                             .more = h->most ? more : NULL,
                                                             .take = take,
                                                             .ctx = h,
                                                             .timeout_s = timeout_s},
                                       status);
    pthread_join(thread, NULL);
    return end;
}

static void test_ask(void)
{
    struct heard h = {0};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int status = -7;
    char *slash = strrchr(socket_path, '/');
    *slash = 0;
    CHECK(mkdtemp(socket_path));
    *slash = '/';
    snprintf(at.sun_path, sizeof at.sun_path, "%s", socket_path);
    struct console_ask none = {
        .socket_path = socket_path, .token = "", .take = take, .ctx = &h, .timeout_s = 1};
    CHECK(console_ask(&none, &status) == CONSOLE_NONE);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 1) == 0);
    CHECK(ask("copy", &h, "hello", 10, &status) == CONSOLE_ENDED && status == 0);
    CHECK(h.out.len == 5 && memcmp(h.out.p, "hello", 5) == 0 && h.err.len == 7);
    h.most = 3 << 20;
    CHECK(ask("copy", &h, "", 20, &status) == CONSOLE_ENDED && status == 0 && h.out.len == h.most);
    h.sent = 0;
    CHECK(ask("deaf", &h, "", 20, &status) == CONSOLE_ENDED && status == 1 && h.sent < h.most);
    h.most = 0;
    CHECK(ask("refused", &h, "", 10, &status) == CONSOLE_REFUSED && status == -1);
    CHECK(h.err.len == 5 && memcmp(h.err.p, "token", 5) == 0);
    CHECK(ask("gone", &h, "", 10, &status) == CONSOLE_AWAY);
    CHECK(ask("silent", &h, "", 1, &status) == CONSOLE_LATE);
    h.enough = true;
    CHECK(ask("refused", &h, "", 10, &status) == CONSOLE_BROKEN);
    close(listener);
    unlink(socket_path);
    *slash = 0;
    rmdir(socket_path);
    buf_fini(&h.out);
    buf_fini(&h.err);
}

int main(void)
{
    arena_init(&arena);
    signal(SIGPIPE, SIG_IGN);
    RUN(test_routes);
    RUN(test_words);
    RUN(test_fields);
    RUN(test_cookies);
    RUN(test_pages);
    RUN(test_files);
    RUN(test_said);
    RUN(test_bodies);
    RUN(test_ask);
    arena_fini(&arena);
    TEST_END();
}
