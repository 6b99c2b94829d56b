/* Tables for people: columns as wide as they need to be, cut at the terminal's edge; and a place on the terminal where one is drawn over
 * and over. Texts may be a box's: control characters never reach the terminal. */
#ifndef PENSTOCK_FLEET_TABLE_H
#define PENSTOCK_FLEET_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdio.h>

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_BYTES  400 /* a longer one is cut */

struct table {
    struct arena arena;
    uint32_t column_count, row_count, row_cap;
    const char **cells; /* owned: the array; the texts are the arena's */
};
void table_init(struct table *t, uint32_t column_count, const char *const *headers);
void table_fini(struct table *t);
void table_row(struct table *t); /* begins the next one, empty */
void table_cell(struct table *t, uint32_t column, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Lines that end with \n, of at most `width` characters (0: no bound) and at most `lines_max` of them (0: no bound; the last then says
 * how many there are more). */
void table_write(const struct table *t, uint32_t width, uint32_t lines_max, struct buf *out);
void table_print(const struct table *t, FILE *to); /* as wide as `to` is, when it is a terminal */

struct live {
    FILE *to;
    bool terminal;
    uint32_t lines; /* drawn now */
    uint32_t width, height;
};
void live_init(struct live *l, FILE *to);
void live_size(struct live *l); /* asks the terminal */
/* Takes the place of what was drawn before; text is whole lines. */
void live_draw(struct live *l, const struct buf *text);
void live_clear(struct live *l);

#endif
