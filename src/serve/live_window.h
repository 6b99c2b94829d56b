/* The rows of a live query with a limit: the first ones of its order, kept up to date from changes.
 *
 * A window holds rows in a total order (keys, compared as bytes) from the first one on: more than the query shows, so that
 * rows that leave are followed by those that come after them without asking the store. `floor` is as far as it knows: of
 * keys below it every row, with its exact number of copies; at the floor itself at least that many; of keys above
 * nothing. A complete window holds every row of the query and has no floor. When so many rows went that it cannot say
 * any more what the first ones are, it is short, and its owner fills it again from the store.
 *
 * Nothing here knows of views or queries: keys, ids and rows are bytes. Rows are immutable and counted, so that what was
 * shown last can be compared with what is to be shown next. One thread. */
#ifndef PENSTOCK_SERVE_LIVE_WINDOW_H
#define PENSTOCK_SERVE_LIVE_WINDOW_H

#include "base/buf.h"
#include "store/store.h"

struct window_row {
    uint32_t refs;
    uint32_t key_len, id_len, row_len;
    uint8_t bytes[]; /* key, id, row */
};
static inline struct slice window_key(const struct window_row *r)
{
    return (struct slice){r->bytes, r->key_len};
}
static inline struct slice
window_id(const struct window_row *r) /* tells which row of the view it is, whatever the order */
{
    return (struct slice){r->bytes + r->key_len, r->id_len};
}
static inline struct slice window_bytes(const struct window_row *r)
{
    return (struct slice){r->bytes + r->key_len + r->id_len, r->row_len};
}

struct window_slot {
    struct window_row *row; /* owned: one reference */
    int64_t copies;
};
struct window {
    uint64_t skip, show;       /* copies: the query's offset and limit */
    uint64_t keep;             /* copies held at most after window_settle */
    struct window_slot *slots; /* ascending by key */
    uint32_t count, room;
    bool complete;
    struct buf floor;
    size_t bytes; /* of all rows held */
};
void window_init(struct window *w, uint64_t skip, uint64_t show);
void window_fini(struct window *w);
void window_copy(const struct window *w, struct window *out); /* which keeps whatever is added to it */

/* Filling: cleared, then every row from the first on in order; window_filled says whether that were all there are. */
void window_clear(struct window *w);
void window_filled(struct window *w, bool complete);
/* `weight` copies of a row more (or fewer). Within one epoch in any order, if those of one key come in theirs. */
void window_apply(struct window *w, struct slice key, struct slice id, struct slice row, int64_t weight);
/* After the changes of an epoch. False: short. */
bool window_settle(struct window *w);

/* What is shown: the copies from skip on, show of them. */
struct window_item {
    struct window_row *row; /* one reference */
    uint64_t copies;
    struct window_item *other; /* after window_match: the same row of the view in the other list */
};
struct window_list {
    struct window_item *items; /* owned */
    uint32_t count;
};
void window_list_make(const struct window *w, struct window_list *out);
void window_list_fini(struct window_list *l);
void window_match(struct window_list *a, struct window_list *b);
bool window_list_equal(const struct window_list *a, const struct window_list *b);

#endif
