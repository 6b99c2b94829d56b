/* See diff.h. The longest common subsequence by its table, bounded: configurations are small, and a change of one is smaller. */
#include "fleet/diff.h"
#include "base/text.h"
#include "box/tar.h"

#include <stdlib.h>
#include <string.h>

struct line {
    const char *p;
    size_t len; /* without its end */
    bool whole; /* with a newline behind it */
};
struct side {
    struct line *at; /* owned */
    uint32_t count;
};
struct edit {
    char kind; /* ' ', '-', '+' */
    const struct line *line;
    uint32_t old_at, new_at; /* 1-based, of where it stands or would stand */
};

static struct side split(const char *p, size_t len)
{
    struct side s = {0};
    const char *end = p + len;
    uint32_t cap = 1;
    for (size_t i = 0; i < len; i++)
        cap += p[i] == '\n';
    s.at = xcalloc(cap, sizeof *s.at);
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        s.at[s.count++] = (struct line){p, (size_t)((newline ? newline : end) - p), newline != NULL};
        p = newline ? newline + 1 : end;
    }
    return s;
}

static bool same(const struct line *a, const struct line *b)
{
    return a->len == b->len && a->whole == b->whole && (!a->len || memcmp(a->p, b->p, a->len) == 0);
}

/* ---- the edits ---- */

struct script {
    struct edit *at; /* owned */
    uint32_t count;
};

static void put(struct script *s, char kind, const struct line *l, uint32_t old_at, uint32_t new_at)
{
    s->at[s->count++] = (struct edit){kind, l, old_at + 1, new_at + 1};
}

/* Between the ends that are the same: lengths of the longest common subsequence of what is left, from the ends on. */
static uint32_t *lengths(const struct side *a, const struct side *b, uint32_t from, uint32_t rows,
                         uint32_t columns)
{
    uint32_t *t = xcalloc((size_t)(rows + 1) * (columns + 1), sizeof *t);
    for (uint32_t i = rows; i-- > 0;)
        for (uint32_t k = columns; k-- > 0;) {
            uint32_t *cell = &t[(size_t)i * (columns + 1) + k], down = cell[columns + 1], right = cell[1];
            *cell = same(&a->at[from + i], &b->at[from + k]) ? cell[columns + 2] + 1
                    : down > right                           ? down
                                                             : right;
        }
    return t;
}

static void put_middle(struct script *s, const struct side *a, const struct side *b, uint32_t from,
                       uint32_t rows, uint32_t columns)
{
    uint32_t i = 0, k = 0;
    uint32_t *t = (uint64_t)rows * columns <= FLEET_DIFF_CELLS ? lengths(a, b, from, rows, columns) : NULL;
    while (i < rows || k < columns) {
        const uint32_t *cell = t ? &t[(size_t)i * (columns + 1) + k] : NULL;
        if (t && i < rows && k < columns && same(&a->at[from + i], &b->at[from + k])) {
            put(s, ' ', &a->at[from + i], from + i, from + k);
            i++;
            k++;
        } else if (i < rows && (!t || k == columns || cell[columns + 1] >= cell[1])) {
            put(s, '-', &a->at[from + i], from + i, from + k);
            i++;
        } else {
            put(s, '+', &b->at[from + k], from + i, from + k);
            k++;
        }
    }
    free(t);
}

static struct script compare(const struct side *a, const struct side *b)
{
    struct script s = {.at = xcalloc((size_t)a->count + b->count + 1, sizeof *s.at)};
    uint32_t head = 0, tail = 0, least = a->count < b->count ? a->count : b->count;
    while (head < least && same(&a->at[head], &b->at[head]))
        head++;
    while (tail < least - head && same(&a->at[a->count - 1 - tail], &b->at[b->count - 1 - tail]))
        tail++;
    for (uint32_t i = 0; i < head; i++)
        put(&s, ' ', &a->at[i], i, i);
    put_middle(&s, a, b, head, a->count - head - tail, b->count - head - tail);
    for (uint32_t i = tail; i-- > 0;)
        put(&s, ' ', &a->at[a->count - 1 - i], a->count - 1 - i, b->count - 1 - i);
    return s;
}

/* ---- hunks ---- */

static void put_hunk(const struct script *s, uint32_t from, uint32_t to, struct buf *out)
{
    uint32_t old_count = 0, new_count = 0;
    for (uint32_t i = from; i < to; i++) {
        old_count += s->at[i].kind != '+';
        new_count += s->at[i].kind != '-';
    }
    buf_printf(out, "@@ -%u,%u +%u,%u @@\n", old_count ? s->at[from].old_at : s->at[from].old_at - 1,
               old_count, new_count ? s->at[from].new_at : s->at[from].new_at - 1, new_count);
    for (uint32_t i = from; i < to; i++) {
        buf_put_u8(out, (uint8_t)s->at[i].kind);
        buf_put(out, s->at[i].line->p, s->at[i].line->len);
        buf_put_str(out, s->at[i].line->whole ? "\n" : "\n\\ No newline at end of file\n");
    }
}

/* The next change from `at` on; count: there is none. */
static uint32_t next_change(const struct script *s, uint32_t at)
{
    while (at < s->count && s->at[at].kind == ' ')
        at++;
    return at;
}

static void put_hunks(const struct script *s, struct buf *out)
{
    for (uint32_t at = next_change(s, 0); at < s->count;) {
        uint32_t from = at > FLEET_DIFF_CONTEXT ? at - FLEET_DIFF_CONTEXT : 0, end = at;
        for (;;) {
            while (end < s->count && s->at[end].kind != ' ')
                end++;
            uint32_t next = next_change(s, end);
            if (next == s->count || next - end > 2 * FLEET_DIFF_CONTEXT)
                break;
            end = next;
        }
        uint32_t to = s->count - end > FLEET_DIFF_CONTEXT ? end + FLEET_DIFF_CONTEXT : s->count;
        put_hunk(s, from, to, out);
        at = next_change(s, to);
    }
}

static bool is_text(const void *p, size_t len)
{
    return !len || (!memchr(p, 0, len) && utf8_valid(p, len));
}

void diff_text(const char *name, const void *old, size_t old_len, const void *new, size_t new_len,
               struct buf *out)
{
    if (old_len == new_len && (!old_len || memcmp(old, new, old_len) == 0))
        return;
    if (!is_text(old, old_len) || !is_text(new, new_len)) {
        buf_printf(out, "%s differs (%zu bytes before, %zu after)\n", name, old_len, new_len);
        return;
    }
    struct side a = split(old_len ? old : "", old_len), b = split(new_len ? new : "", new_len);
    struct script s = compare(&a, &b);
    buf_printf(out, "--- %s\n+++ %s\n", name, name);
    put_hunks(&s, out);
    free(s.at);
    free(a.at);
    free(b.at);
}

/* ---- archives ---- */

/* *found: the file of this path. */
static struct err *find(const void *p, size_t len, const char *path, struct tar_entry *out, bool *found)
{
    struct tar_reader r;
    bool more = len > 0;
    *found = false;
    tar_open(&r, p, len);
    while (more && !*found) {
        TRY(tar_next(&r, out, &more));
        *found = more && !out->folder && strcmp(out->path, path) == 0;
    }
    return NULL;
}

/* The files of one archive beside those of the same path in the other; only_gone: those that the other has not. */
static struct err *beside(const void *p, size_t len, const void *other, size_t other_len, bool only_gone,
                          struct buf *out, uint32_t *changed)
{
    struct tar_reader r;
    bool more = len > 0;
    tar_open(&r, p, len);
    while (more) {
        struct tar_entry e, old = {0};
        bool found;
        TRY(tar_next(&r, &e, &more));
        if (!more || e.folder)
            continue;
        TRY(find(other, other_len, e.path, &old, &found));
        if (only_gone && found)
            continue;
        size_t before = out->len;
        if (only_gone)
            diff_text(e.path, e.data, e.len, NULL, 0, out);
        else
            diff_text(e.path, old.data, found ? old.len : 0, e.data, e.len, out);
        if (out->len == before && !found) /* it is empty, and was not there, or goes */
            buf_printf(out, "%s: empty, %s\n", e.path, only_gone ? "goes" : "is new");
        *changed += out->len != before;
    }
    return NULL;
}

struct err *diff_archives(const void *old, size_t old_len, const void *new, size_t new_len, struct buf *out,
                          uint32_t *changed)
{
    *changed = 0;
    TRY(beside(new, new_len, old, old_len, false, out, changed));
    return beside(old, old_len, new, new_len, true, out, changed);
}
