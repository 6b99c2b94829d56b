/* The console's routes, one row each: a method and a path, and the command that answers it. No sockets here.
 *
 * Paths are behind CONSOLE_PREFIX; "{name}" in one takes a segment as a field. Words of a command are text, or "{name}": the field of
 * that name, out of the path, the query or the JSON body; words in brackets are left away when one of their fields is not there ("?name" asks for it alone). A field that
 * becomes a word is never taken for an option: it may not begin with a hyphen. */
#ifndef PENSTOCK_SERVE_CONSOLE_ROUTE_H
#define PENSTOCK_SERVE_CONSOLE_ROUTE_H

#include "base/arena.h"
#include "serve/problem.h"

#define CONSOLE_FIELDS_MAX 16
#define CONSOLE_WORDS_MAX  16
#define CONSOLE_WORD_BYTES 1024 /* of a field that becomes a word, or a password */

enum console_flag {
    CONSOLE_OPEN = 1,     /* asked without a session */
    CONSOLE_TRY = 2,      /* counted among the tries of passwords */
    CONSOLE_LOGIN = 4,    /* its output is a session's token: into the cookie, never into the answer */
    CONSOLE_LOGOUT = 8,   /* the cookie is taken back, whatever the command says */
    CONSOLE_FINISH = 16,  /* goes on when the client goes away */
    CONSOLE_TELL_OUT = 32 /* with CONSOLE_OUT_LINES: standard output is progress, too */
};
enum console_input {
    CONSOLE_IN_NONE,
    CONSOLE_IN_JSON, /* an object: its texts and numbers are fields; `input` names the one that is standard input */
    CONSOLE_IN_FILES, /* {"files": {"NAME": "TEXT", ...}}: standard input is a tar of them */
    CONSOLE_IN_STREAM /* the body itself */
};
enum console_output {
    CONSOLE_OUT_JSON, /* standard output is JSON and the answer */
    CONSOLE_OUT_TEXT, /* {"text": standard output} */
    CONSOLE_OUT_FILE, /* a download */
    CONSOLE_OUT_LINES /* NDJSON while it runs: {"text"}, ..., at last {"status", "result", "error", "hint"} */
};
struct console_route {
    const char *method, *path, *words;
    unsigned flags; /* enum console_flag */
    enum console_input in;
    enum console_output out;
    uint32_t timeout_s;
    const char *input; /* the field that is standard input, or what a download is called */
};
extern const struct console_route console_routes[];
extern const uint32_t console_route_count;

struct console_field {
    const char *name, *value; /* in the arena */
    size_t len;
};
struct console_fields {
    uint32_t count;
    struct console_field list[CONSOLE_FIELDS_MAX];
};
/* False: there are CONSOLE_FIELDS_MAX, or one of that name. */
bool console_field_put(struct console_fields *f, const char *name, const char *value, size_t len);
const struct console_field *console_field_find(const struct console_fields *f, const char *name,
                                               size_t name_len);

/* path: behind the prefix, decoded. NULL: p says 404, or 405 and *allow which methods there are. Fields of the path are added. */
const struct console_route *console_route_find(struct arena *a, const char *method, const char *path,
                                               struct console_fields *f, const char **allow,
                                               struct problem *p);
/* NAME=VALUE pairs behind the question mark. */
bool console_query(struct arena *a, const char *query, struct console_fields *f, struct problem *p);
/* The command's words, in the arena. False: a field is missing, or is none that may be a word. */
bool console_words(struct arena *a, const struct console_route *r, const struct console_fields *f,
                   uint32_t *count, char *words[CONSOLE_WORDS_MAX], struct problem *p);

#endif
