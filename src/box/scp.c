/* See scp.h. The protocol: a record is a line, "C0644 SIZE NAME" before SIZE bytes and a zero, "D0755 0 NAME", "E", "T..."; each is
 * answered by a zero byte, or by \1 (or \2: the end) and a line of text. */
#include "box/scp.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct link {
    int in, out;
    const struct scp_receiver *r;
    uint8_t buffer[32768];
    size_t at, len;
    uint32_t depth, entry_count;
};

/* ---- bytes ---- */

static struct err *fill(struct link *l, bool *ended)
{
    ssize_t n;
    do
        n = read(l->in, l->buffer, sizeof l->buffer);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_errno(ERR_IO, "cannot read from the other side");
    l->at = 0;
    l->len = (size_t)n;
    *ended = n == 0;
    return NULL;
}

static struct err *cut_off(void)
{
    return err_new(ERR_IO, "the transfer was cut off");
}

static struct err *next_byte(struct link *l, uint8_t *out, bool *ended)
{
    *ended = false;
    if (l->at == l->len)
        TRY(fill(l, ended));
    if (!*ended)
        *out = l->buffer[l->at++];
    return NULL;
}

static struct err *send_all(struct link *l, const void *p, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = write(l->out, (const char *)p + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_errno(ERR_IO, "cannot write to the other side");
        at += (size_t)n;
    }
    return NULL;
}

static struct err *say_well(struct link *l)
{
    return send_all(l, "", 1);
}

/* The first line of it, as the end of the transfer. */
static struct err *tell(struct link *l, struct err *e)
{
    char text[512];
    text_fill(text, sizeof text - 2, "\2scp: %s", e->message);
    text[1 + strcspn(text + 1, "\r\n")] = 0;
    size_t len = strlen(text);
    text[len++] = '\n';
    err_free(send_all(l, text, len)); /* the first error is the one that counts */
    return e;
}

/* ---- records ---- */

/* A line without its end. *ended: there is none, as the sender has ended. */
static struct err *read_record(struct link *l, char line[SCP_RECORD_BYTES_MAX + 1], bool *ended)
{
    size_t len = 0;
    for (;;) {
        uint8_t c;
        TRY(next_byte(l, &c, ended));
        if (*ended && len)
            return cut_off();
        if (*ended || c == '\n')
            break;
        if (len == SCP_RECORD_BYTES_MAX)
            return err_new(ERR_CONFIG, "a record of the protocol is too long");
        if (!c)
            return err_new(ERR_CONFIG, "a record of the protocol holds a NUL byte");
        line[len++] = (char)c;
    }
    line[len] = 0;
    return NULL;
}

static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    if (!len || len > SCP_NAME_BYTES_MAX || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (const char *c = name; *c; c++)
        if (*c == '/' || (unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return utf8_valid((const uint8_t *)name, len);
}

/* "0644 123 NAME" behind the letter. */
static struct err *read_header(const char *p, uint64_t *size, const char **name)
{
    size_t digits = strspn(p, "01234567");
    const char *number = p + digits + 1;
    size_t len = digits == 4 && p[digits] == ' ' ? strspn(number, "0123456789") : 0;
    if (!len || len > 18 || number[len] != ' ')
        return err_new(ERR_CONFIG, "a record of the protocol is malformed");
    *size = 0;
    for (size_t i = 0; i < len; i++)
        *size = *size * 10 + (uint64_t)(number[i] - '0');
    *name = number + len + 1;
    return name_valid(*name) ? NULL
                             : err_new(ERR_AUTH, "a file's name is refused: it has to be a plain name");
}

static struct err *read_body(struct link *l, uint64_t size)
{
    bool ended = false;
    for (uint64_t left = size; left;) {
        if (l->at == l->len)
            TRY(fill(l, &ended));
        if (ended)
            return cut_off();
        size_t n = l->len - l->at;
        n = n < left ? n : (size_t)left;
        if (l->r->data)
            TRY(l->r->data(l->r->ctx, l->buffer + l->at, n));
        l->at += n;
        left -= n;
    }
    uint8_t status;
    TRY(next_byte(l, &status, &ended));
    if (ended)
        return cut_off();
    return status ? err_new(ERR_IO, "the other side could not read the file to its end") : NULL;
}

static struct err *take_file(struct link *l, const char *header)
{
    uint64_t size;
    const char *name;
    TRY(read_header(header, &size, &name));
    if (!l->r->file)
        return err_new(ERR_AUTH, "no file is taken here");
    TRY(l->r->file(l->r->ctx, name, size));
    TRY(say_well(l));
    TRY(read_body(l, size));
    if (l->r->done)
        TRY(l->r->done(l->r->ctx));
    return say_well(l);
}

static struct err *take_folder(struct link *l, const char *header)
{
    uint64_t size;
    const char *name;
    TRY(read_header(header, &size, &name));
    if (!l->r->folder)
        return err_new(ERR_AUTH, "no folder is taken here, a single file is");
    if (++l->depth > SCP_DEPTH_MAX)
        return err_new(ERR_LIMIT, "more than %d folders in one another", SCP_DEPTH_MAX);
    TRY(l->r->folder(l->r->ctx, name));
    return say_well(l);
}

static struct err *take_record(struct link *l, const char *line)
{
    if ((line[0] == 'C' || line[0] == 'D') && ++l->entry_count > SCP_ENTRIES_MAX)
        return err_new(ERR_LIMIT, "more than %d files and folders", SCP_ENTRIES_MAX);
    switch (line[0]) {
    case 'C': return take_file(l, line + 1);
    case 'D': return take_folder(l, line + 1);
    case 'T': return say_well(l);
    case 'E':
        if (line[1] || !l->depth)
            return err_new(ERR_CONFIG, "a record of the protocol is malformed");
        l->depth--;
        if (l->r->leave)
            TRY(l->r->leave(l->r->ctx));
        return say_well(l);
    case 1:
    case 2: return err_new(ERR_IO, "the other side could not send everything");
    default: return err_new(ERR_CONFIG, "this is not scp's protocol");
    }
}

static struct err *receive(struct link *l)
{
    char line[SCP_RECORD_BYTES_MAX + 1];
    bool ended = false;
    TRY(say_well(l));
    for (;;) {
        TRY(read_record(l, line, &ended));
        if (ended)
            return l->depth ? cut_off() : NULL;
        TRY(take_record(l, line));
    }
}

struct err *scp_receive(int in, int out, const struct scp_receiver *r)
{
    struct link l = {.in = in, .out = out, .r = r};
    struct err *e = receive(&l);
    return e ? tell(&l, e) : NULL;
}

struct err *scp_words(int count, char *const *words, const char **path)
{
    bool to = false;
    int i = 1;
    for (; i < count && words[i][0] == '-' && strcmp(words[i], "--") != 0; i++)
        for (const char *c = words[i] + 1; *c; c++) {
            if (!strchr("trdpv", *c))
                return err_hint(
                    err_new(ERR_AUTH, "scp: files are sent to the box, none are read from it"),
                    "`configuration export`, `support-bundle` and `backup` write to standard output");
            to |= *c == 't';
        }
    i += i < count && strcmp(words[i], "--") == 0;
    if (!to || i + 1 != count)
        return err_new(ERR_AUTH, "scp: one target is needed");
    *path = words[i];
    return NULL;
}
