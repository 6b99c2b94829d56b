/* What a request to the console of a box brings: its path and query, cookies, whose page asks, JSON, a configuration's files, what a
 * command says. The first byte picks one. */
#include "serve/console.h"
#include "serve/console_request.h"
#include "serve/out.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void path_and_words(struct arena *a, const char *text, const uint8_t *body, size_t len)
{
    struct console_fields f = {0};
    struct problem p;
    uint32_t count;
    char *words[CONSOLE_WORDS_MAX];
    const char *allow = NULL;
    problem_init(&p, a);
    char *query = strchr(text, '?'),
         *path = arena_strndup(a, text, query ? (size_t)(query - text) : strlen(text));
    const struct console_route *r = console_route_find(a, "POST", path, &f, &allow, &p);
    if (!r)
        r = console_route_find(a, "DELETE", path, &f, &allow, &p);
    if (!r || !console_query(a, query ? query + 1 : NULL, &f, &p) || !console_json(a, body, len, &f, &p) ||
        !console_words(a, r, &f, &count, words, &p))
        return;
    for (uint32_t i = 0; i < count; i++) /* an option is of the row, never of the request */
        ASSERT(words[i][0] != '-' || strstr(r->words, words[i]));
}

static void files(struct arena *a, const uint8_t *p, size_t len)
{
    struct problem problem;
    struct buf tar = {0};
    problem_init(&problem, a);
    bool ok = console_files(p, len, &tar, &problem);
    ASSERT(ok == (problem.status == 0) && tar.len % 512 == 0);
    for (size_t i = 0; ok && i + 1024 < tar.len;) {
        const char *name = (const char *)tar.p + i;
        ASSERT(name[0] && name[0] != '/' && name[0] != '.' && !strstr(name, "/.") && !strstr(name, "//"));
        i += 512 + (strtoull(name + 124, NULL, 8) + 511) / 512 * 512;
    }
    buf_fini(&tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct console_fields f = {0};
    struct problem p;
    char token[CONSOLE_TOKEN_BYTES + 1];
    if (size < 1)
        return 0;
    arena_init(&a);
    problem_init(&p, &a);
    const uint8_t *rest = data + 1;
    size_t len = size - 1;
    char *text = arena_strndup(&a, (const char *)rest, len);
    const uint8_t *zero = len ? memchr(rest, 0, len) : NULL;
    switch (data[0] % 6) {
    case 0:
        path_and_words(&a, text, zero ? zero + 1 : rest, zero ? len - (size_t)(zero + 1 - rest) : 0);
        break;
    case 1:
        console_session(text, token);
        ASSERT(!token[0] || console_token_ok(token, strlen(token)));
        break;
    case 2: {
        struct console_marks m = {"POST", "box:8443", text, NULL, "1"};
        bool own = console_own_page(&m, &p);
        ASSERT(own ==
               (slice_is_nocase(slice_of(text), "https://box:8443") && memcmp(text, "https://", 8) == 0));
        break;
    }
    case 3: (void)console_json(&a, rest, len, &f, &p); break;
    case 4: files(&a, rest, len); break;
    default: {
        struct console_said said = console_said(&a, rest, len);
        ASSERT(!said.text || utf8_valid((const uint8_t *)said.text, strlen(said.text)));
        ASSERT(!said.hint || utf8_valid((const uint8_t *)said.hint, strlen(said.hint)));
    }
    }
    arena_fini(&a);
    return 0;
}
