/* What a request to the console brings: its session's cookie, the marks of our own pages, JSON, a configuration's files. Bytes from
 * anybody; no sockets here. */
#ifndef PENSTOCK_SERVE_CONSOLE_REQUEST_H
#define PENSTOCK_SERVE_CONSOLE_REQUEST_H

#include "serve/console_route.h"
#include "store/store.h"

#define CONSOLE_COOKIE          "__Host-penstock-session"
#define CONSOLE_TOKEN_BYTES     43 /* 32 bytes as base64url */
#define CONSOLE_FILES_MAX       64 /* of a configuration */
#define CONSOLE_FILE_NAME_BYTES 99

/* The Cookie header's session, in token; "": there is none, or not one alone. */
void console_session(const char *cookies, char token[CONSOLE_TOKEN_BYTES + 1]);
bool console_token_ok(const char *text, size_t len);

struct console_marks {                                      /* of a request; NULL: not sent */
    const char *method, *host, *origin, *fetch_site, *mark; /* mark: X-Penstock-Console */
};
/* False: it changes something, and did not come from our own pages: a form or a script of another site. */
bool console_own_page(const struct console_marks *m, struct problem *p);

/* An object's texts and whole numbers as fields. */
bool console_json(struct arena *a, const uint8_t *p, size_t len, struct console_fields *f,
                  struct problem *problem);
/* {"files": {...}} into a tar (ustar) of them. */
bool console_files(const uint8_t *p, size_t len, struct buf *tar, struct problem *problem);

/* What a command says on its standard error: the text of "penstock: TEXT", and of "  hint: TEXT". In the arena, UTF-8. */
struct console_said {
    const char *text, *hint; /* hint may be NULL */
};
struct console_said console_said(struct arena *a, const uint8_t *p, size_t len);
/* The bytes as UTF-8: what is none becomes a question mark. */
char *console_text(struct arena *a, const uint8_t *p, size_t len);

#endif
