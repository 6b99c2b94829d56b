/* See table.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fleet/table.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GAP 2

void fleet_table_init(struct fleet_table *t, uint32_t column_count, const char *const *headers)
{
    ASSERT(column_count <= TABLE_COLUMNS_MAX);
    *t = (struct fleet_table){.column_count = column_count};
    arena_init(&t->arena);
    fleet_table_row(t);
    for (uint32_t i = 0; i < column_count; i++)
        fleet_table_cell(t, i, "%s", headers[i]);
}

void fleet_table_fini(struct fleet_table *t)
{
    free(t->cells);
    arena_fini(&t->arena);
}

void fleet_table_row(struct fleet_table *t)
{
    if (t->row_count == t->row_cap) {
        t->row_cap = t->row_cap ? 2 * t->row_cap : 32;
        t->cells = xrealloc(t->cells, (size_t)t->row_cap * t->column_count * sizeof *t->cells);
    }
    for (uint32_t i = 0; i < t->column_count; i++)
        t->cells[(size_t)t->row_count * t->column_count + i] = "";
    t->row_count++;
}

/* As a terminal may have it. */
static const char *shown(struct arena *arena, const char *text)
{
    char *p = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&p, &len);
    if (!f)
        PANIC("out of memory");
    text_print(f, text);
    fclose(f);
    const char *copy = arena_strndup(arena, p, text_whole(p, len));
    free(p);
    return copy;
}

void fleet_table_cell(struct fleet_table *t, uint32_t column, const char *fmt, ...)
{
    char text[TABLE_CELL_BYTES];
    va_list ap;
    va_start(ap, fmt);
    text_vfill(text, sizeof text, fmt, ap);
    va_end(ap);
    t->cells[(size_t)(t->row_count - 1) * t->column_count + column] = shown(&t->arena, text);
}

/* Characters, not bytes: a column for each, which is right for all that names and messages are made of. */
static uint32_t characters(const char *s)
{
    uint32_t n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

/* At most `most` characters; the last is a full stop's stand-in when something is cut. Returns how many. */
static uint32_t put_cut(struct buf *out, const char *s, uint32_t most)
{
    uint32_t have = characters(s), n = 0;
    if (have <= most) {
        buf_put_str(out, s);
        return have;
    }
    for (; *s && n + 1 < most; n++)
        do
            buf_put_u8(out, (uint8_t)*s++);
        while ((*s & 0xc0) == 0x80);
    if (most)
        buf_put_u8(out, '~');
    return most;
}

static void put_line(const struct fleet_table *t, uint32_t row, const uint32_t *widths, uint32_t width,
                     struct buf *out)
{
    const char *const *cells = &t->cells[(size_t)row * t->column_count];
    uint32_t last = t->column_count, used = 0;
    while (last && !*cells[last - 1])
        last--;
    for (uint32_t i = 0; i < last && used < width; i++) {
        uint32_t n = put_cut(out, cells[i], width - used);
        used += n;
        for (; i + 1 < last && n < widths[i] + GAP && used < width; n++, used++)
            buf_put_u8(out, ' ');
    }
    while (out->len && out->p[out->len - 1] == ' ')
        out->len--;
    buf_put_u8(out, '\n');
}

void fleet_table_write(const struct fleet_table *t, uint32_t width, uint32_t lines_max, struct buf *out)
{
    uint32_t widths[TABLE_COLUMNS_MAX] = {0}, rows = t->row_count;
    for (uint32_t r = 0; r < t->row_count; r++)
        for (uint32_t i = 0; i < t->column_count; i++) {
            uint32_t n = characters(t->cells[(size_t)r * t->column_count + i]);
            if (n > widths[i])
                widths[i] = n;
        }
    if (lines_max && rows > lines_max)
        rows = lines_max - 1;
    for (uint32_t r = 0; r < rows; r++)
        put_line(t, r, widths, width ? width : UINT32_MAX, out);
    if (rows < t->row_count)
        buf_printf(out, "... and %u more\n", t->row_count - rows);
}

static bool window(FILE *to, struct winsize *w)
{
    return isatty(fileno(to)) && ioctl(fileno(to), TIOCGWINSZ, w) == 0 && w->ws_col > 0;
}

void fleet_table_print(const struct fleet_table *t, FILE *to)
{
    struct buf b = {0};
    struct winsize w = {0};
    fleet_table_write(t, window(to, &w) ? w.ws_col : 0, 0, &b);
    fwrite(b.p, 1, b.len, to);
    buf_fini(&b);
}

/* ---- drawn over and over ---- */

void screen_size(struct screen *l)
{
    struct winsize w = {.ws_col = 80, .ws_row = 24};
    l->terminal = window(l->to, &w);
    l->width = w.ws_col;
    l->height = w.ws_row ? w.ws_row : 24;
}

void screen_init(struct screen *l, FILE *to)
{
    const char *term = getenv("TERM");
    *l = (struct screen){.to = to};
    screen_size(l);
    if (!term || strcmp(term, "dumb") == 0)
        l->terminal = false;
}

void screen_clear(struct screen *l)
{
    if (l->lines)
        fprintf(l->to, "\x1b[%uA\r\x1b[J", l->lines);
    l->lines = 0;
    fflush(l->to);
}

void screen_draw(struct screen *l, const struct buf *text)
{
    struct buf b = {0};
    if (l->lines)
        buf_printf(&b, "\x1b[%uA\r", l->lines);
    l->lines = 0;
    for (size_t i = 0; i < text->len; i++) {
        if (text->p[i] == '\n') {
            buf_put_str(&b, "\x1b[K");
            l->lines++;
        }
        buf_put_u8(&b, text->p[i]);
    }
    buf_put_str(&b, "\x1b[J");
    fwrite(b.p, 1, b.len, l->to); /* in one write: nothing flickers */
    fflush(l->to);
    buf_fini(&b);
}
