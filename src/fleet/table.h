/* Tables for people: columns as wide as they need to be, cut at the terminal's edge; and a place on the terminal where one is drawn over
 * and over. Texts may be a box's: control characters never reach the terminal. */
#ifndef PENSTOCK_FLEET_TABLE_H
#define PENSTOCK_FLEET_TABLE_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdio.h>

#define TABLE_COLUMNS_MAX 12
#define TABLE_CELL_BYTES  400 /* a longer one is cut */

struct fleet_table {
    struct arena arena;
    uint32_t column_count, row_count, row_cap;
    const char **cells; /* owned: the array; the texts are the arena's */
};
void fleet_table_init(struct fleet_table *t, uint32_t column_count, const char *const *headers);
void fleet_table_fini(struct fleet_table *t);
void fleet_table_row(struct fleet_table *t); /* begins the next one, empty */
void fleet_table_cell(struct fleet_table *t, uint32_t column, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Lines that end with \n, of at most `width` characters (0: no bound) and at most `lines_max` of them (0: no bound; the last then says
 * how many there are more). */
void fleet_table_write(const struct fleet_table *t, uint32_t width, uint32_t lines_max, struct buf *out);
void fleet_table_print(const struct fleet_table *t, FILE *to); /* as wide as `to` is, when it is a terminal */

struct screen {
    FILE *to;
    bool terminal;
    uint32_t lines; /* drawn now */
    uint32_t width, height;
};
void screen_init(struct screen *l, FILE *to);
void screen_size(struct screen *l); /* asks the terminal */
/* Takes the place of what was drawn before; text is whole lines. */
void screen_draw(struct screen *l, const struct buf *text);
void screen_clear(struct screen *l);

#endif
