/* See live_window.h. */
#include "serve/live_window.h"

#include <stdlib.h>
#include <string.h>

#define SPARE_LEAST 64 /* rows held beyond those that are shown */

static int compare(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* ---- rows ---- */

static size_t row_bytes(const struct window_row *r)
{
    return sizeof *r + r->key_len + r->id_len + r->row_len;
}

static struct window_row *row_new(struct slice key, struct slice id, struct slice row)
{
    struct window_row *r = xmalloc(sizeof *r + key.len + id.len + row.len);
    r->refs = 1;
    r->key_len = (uint32_t)key.len;
    r->id_len = (uint32_t)id.len;
    r->row_len = (uint32_t)row.len;
    if (key.len)
        memcpy(r->bytes, key.p, key.len);
    if (id.len)
        memcpy(r->bytes + key.len, id.p, id.len);
    if (row.len)
        memcpy(r->bytes + key.len + id.len, row.p, row.len);
    return r;
}

static void row_put(struct window_row *r)
{
    if (--r->refs == 0)
        free(r);
}

/* ---- the window ---- */

void window_init(struct window *w, uint64_t skip, uint64_t show)
{
    uint64_t first = skip + show;
    *w = (struct window){.skip = skip, .show = show};
    w->keep = first + (first > SPARE_LEAST ? first : SPARE_LEAST);
}

void window_clear(struct window *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        row_put(w->slots[i].row);
    w->count = 0;
    w->bytes = 0;
    w->complete = true;
}

void window_fini(struct window *w)
{
    window_clear(w);
    free(w->slots);
    buf_fini(&w->floor);
    *w = (struct window){0};
}

void window_copy(const struct window *w, struct window *out)
{
    *out = *w;
    out->keep = UINT64_MAX;
    out->room = w->count;
    out->slots = w->count ? xmalloc(w->count * sizeof *out->slots) : NULL;
    if (w->count)
        memcpy(out->slots, w->slots, w->count * sizeof *out->slots);
    for (uint32_t i = 0; i < w->count; i++)
        out->slots[i].row->refs++;
    out->floor = (struct buf){0};
    buf_put(&out->floor, w->floor.p, w->floor.len);
}

static void floor_set(struct window *w)
{
    buf_reset(&w->floor);
    if (w->count) {
        struct slice key = window_key(w->slots[w->count - 1].row);
        buf_put(&w->floor, key.p, key.len);
    }
    w->complete = false;
}

void window_filled(struct window *w, bool complete)
{
    w->complete = complete;
    if (!complete)
        floor_set(w);
}

/* The first slot whose key is not below `key`. */
static uint32_t find(const struct window *w, struct slice key)
{
    uint32_t low = 0, high = w->count;
    if (high && compare(window_key(w->slots[high - 1].row), key) < 0)
        return high; /* filling: in order */
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (compare(window_key(w->slots[mid].row), key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void slot_insert(struct window *w, uint32_t at, struct window_row *row, int64_t copies)
{
    if (w->count == w->room) {
        w->room = w->room ? w->room * 2 : 16;
        w->slots = xrealloc(w->slots, w->room * sizeof *w->slots);
    }
    memmove(w->slots + at + 1, w->slots + at, (w->count - at) * sizeof *w->slots);
    w->slots[at] = (struct window_slot){row, copies};
    w->count++;
    w->bytes += row_bytes(row);
}

static void slot_replace(struct window *w, struct window_slot *s, struct window_row *row)
{
    w->bytes += row_bytes(row) - row_bytes(s->row);
    row_put(s->row);
    s->row = row;
}

static void slots_drop(struct window *w, uint32_t from)
{
    for (uint32_t i = from; i < w->count; i++) {
        w->bytes -= row_bytes(w->slots[i].row);
        row_put(w->slots[i].row);
    }
    w->count = from;
}

/* Copies below zero can only be at the floor, where fewer were known than there are. */
static void drop_gone(struct window *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->count; i++)
        if (w->slots[i].copies > 0) {
            struct window_slot s = w->slots[i];
            w->slots[i] = w->slots[n];
            w->slots[n++] = s;
        }
    slots_drop(w, n);
}

/* The number of copies that are left. */
static uint64_t drop_spare(struct window *w)
{
    uint64_t total = 0;
    uint32_t n = 0;
    drop_gone(w);
    while (n < w->count && total < w->keep)
        total += (uint64_t)w->slots[n++].copies;
    if (n < w->count) {
        slots_drop(w, n);
        floor_set(w);
    }
    return total;
}

void window_apply(struct window *w, struct slice key, struct slice id, struct slice row, int64_t weight)
{
    if (!w->complete && compare(key, (struct slice){w->floor.p, w->floor.len}) > 0)
        return;
    uint32_t at = find(w, key);
    struct window_slot *s = at < w->count ? &w->slots[at] : NULL;
    if (!s || compare(window_key(s->row), key) != 0) {
        slot_insert(w, at, row_new(key, id, row), weight);
        if (w->count / 2 > w->keep)
            drop_spare(w); /* a large epoch does not make a large window */
        return;
    }
    s->copies += weight;
    if (weight > 0 && compare(window_bytes(s->row), row) != 0)
        slot_replace(w, s, row_new(key, id, row));
}

bool window_settle(struct window *w)
{
    return drop_spare(w) >= w->skip + w->show || w->complete;
}

/* ---- what is shown ---- */

void window_list_make(const struct window *w, struct window_list *out)
{
    uint64_t skip = w->skip, left = w->show;
    out->items = xcalloc(w->count ? w->count : 1, sizeof *out->items);
    out->count = 0;
    for (uint32_t i = 0; i < w->count && left; i++) {
        uint64_t n = (uint64_t)w->slots[i].copies;
        uint64_t skipped = n < skip ? n : skip;
        skip -= skipped;
        n -= skipped;
        n = n < left ? n : left;
        left -= n;
        if (!n)
            continue;
        w->slots[i].row->refs++;
        out->items[out->count++] = (struct window_item){.row = w->slots[i].row, .copies = n};
    }
}

void window_list_fini(struct window_list *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        row_put(l->items[i].row);
    free(l->items);
    *l = (struct window_list){0};
}

bool window_list_equal(const struct window_list *a, const struct window_list *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct window_item *x = &a->items[i], *y = &b->items[i];
        if (x->copies != y->copies)
            return false;
        if (x->row != y->row && (compare(window_id(x->row), window_id(y->row)) != 0 ||
                                 compare(window_bytes(x->row), window_bytes(y->row)) != 0))
            return false;
    }
    return true;
}

static int by_id(const void *a, const void *b)
{
    return compare(window_id((*(struct window_item *const *)a)->row),
                   window_id((*(struct window_item *const *)b)->row));
}

static struct window_item **sorted(struct window_list *l)
{
    struct window_item **out = xcalloc(l->count ? l->count : 1, sizeof *out);
    for (uint32_t i = 0; i < l->count; i++) {
        l->items[i].other = NULL;
        out[i] = &l->items[i];
    }
    if (l->count)
        qsort(out, l->count, sizeof *out, by_id);
    return out;
}

void window_match(struct window_list *a, struct window_list *b)
{
    struct window_item **x = sorted(a), **y = sorted(b);
    for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
        int c = compare(window_id(x[i]->row), window_id(y[j]->row));
        if (c == 0) {
            x[i]->other = y[j];
            y[j]->other = x[i];
        }
        i += c <= 0;
        j += c >= 0;
    }
    free(x);
    free(y);
}
