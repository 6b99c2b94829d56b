/* Merged walk over the shards; see scan.h. */
#include "serve/scan.h"

static int key_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.p, b.p, n);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static const struct access_range *range_at(const struct access *a, uint32_t i)
{
    return &a->ranges[a->reverse ? a->range_count - 1 - i : i];
}

static bool inside(const struct access *a, const struct access_range *r, struct slice key)
{
    if (a->reverse)
        return key_cmp(key, r->low) >= 0;
    return r->high.len == 0 || key_cmp(key, r->high) < 0;
}

static bool range_start(const struct access *a, struct scan_shard *s, const struct access_range *r)
{
    if (a->reverse)
        return store_cursor_seek_before(s->cursor, r->high.len ? &r->high : NULL, &s->key, &s->value);
    return store_cursor_seek(s->cursor, r->low.len ? &r->low : NULL, &s->key, &s->value);
}

/* Moves on to the next entry inside a range; false when the shard has no more. */
static bool shard_advance(const struct access *a, struct scan_shard *s)
{
    if (s->open) {
        bool more = a->reverse ? store_cursor_prev(s->cursor, &s->key, &s->value)
                               : store_cursor_next(s->cursor, &s->key, &s->value);
        if (more && inside(a, range_at(a, s->range), s->key))
            return true;
        s->range++;
        s->open = false;
    }
    for (; s->range < a->range_count; s->range++) {
        const struct access_range *r = range_at(a, s->range);
        if (range_start(a, s, r) && inside(a, r, s->key)) {
            s->open = true;
            return true;
        }
    }
    return false;
}

static bool before(const struct scan *s, const struct scan_shard *x, const struct scan_shard *y)
{
    int c = key_cmp(x->key, y->key);
    if (c == 0)
        return x->shard < y->shard;
    return s->access->reverse ? c > 0 : c < 0;
}

static void sift_down(struct scan *s, uint32_t i)
{
    for (;;) {
        uint32_t least = i;
        for (uint32_t child = 2 * i + 1; child <= 2 * i + 2; child++)
            if (child < s->live_count && before(s, s->heap[child], s->heap[least]))
                least = child;
        if (least == i)
            return;
        struct scan_shard *t = s->heap[i];
        s->heap[i] = s->heap[least];
        s->heap[least] = t;
        i = least;
    }
}

static void shard_open(struct scan *s, uint32_t shard)
{
    struct scan_shard *sh = &s->shards[s->live_count];
    uint32_t db = s->access->index < 0 ? WORLD_DB_ROWS : WORLD_DB_INDEX + (uint32_t)s->access->index;
    *sh = (struct scan_shard){.shard = shard};
    if (!rest_db(s->rest, s->view, db, shard, &sh->db) ||
        !rest_db(s->rest, s->view, WORLD_DB_ROWS, shard, &sh->rows))
        return;
    sh->cursor = store_cursor_open(s->rest->snapshot, shard, sh->db);
    if (shard_advance(s->access, sh))
        s->heap[s->live_count] = sh, s->live_count++;
}

void scan_open(struct rest *r, const struct world_view *v, const struct access *a, struct scan *out)
{
    uint32_t shards = r->world->shard_count;
    *out = (struct scan){.rest = r, .view = v, .access = a};
    out->shards = ARENA_ARRAY(&r->arena, struct scan_shard, shards);
    out->heap = ARENA_ARRAY(&r->arena, struct scan_shard *, shards);
    for (uint32_t i = 0; i < shards; i++)
        if (!a->whole_key || a->shard == i)
            shard_open(out, i);
    for (uint32_t i = out->live_count / 2; i-- > 0;)
        sift_down(out, i);
}

static bool entry_fill(struct scan *s, const struct scan_shard *sh, struct scan_entry *out)
{
    struct slice value = sh->value;
    out->key = sh->key;
    if (s->access->index >= 0 &&
        !store_snapshot_get(s->rest->snapshot, sh->shard, sh->rows, sh->value, &value))
        return false;
    /* A key that is not shortened itself may lie among shortened ones if it is longer than what those keep. */
    s->inexact |= sh->key.len > s->access->plain_bytes - HASH_TAIL_BYTES;
    return view_row_parse(value, &out->multiplicity, &out->row);
}

bool scan_next(struct scan *s, struct scan_entry *out)
{
    if (s->live_count == 0)
        return false;
    struct scan_shard *top = s->heap[0];
    if (!entry_fill(s, top, out)) {
        s->broken = true;
        return false;
    }
    if (!shard_advance(s->access, top))
        s->heap[0] = s->heap[--s->live_count];
    sift_down(s, 0);
    return true;
}
