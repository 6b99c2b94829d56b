/* Checking LMDB's trees from their bytes; see mdb_pages.h. mdb_private.c asserts that the offsets used here are LMDB's. */
#include "store/mdb_pages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_HEAD    16u
#define NODE_HEAD    8u
#define NO_PAGE      UINT64_MAX
#define DEPTH_MAX    32u /* as LMDB's cursors */
#define KEY_MAX      511u
#define IS_BRANCH    0x01u
#define IS_LEAF      0x02u
#define IS_OVERFLOW  0x04u
#define KIND_MASK    0x6fu /* without P_DIRTY and what only memory has */
#define NODE_BIG     0x01u
#define NODE_TREE    0x02u
#define TICK_PAGES   1024u
#define TEXT_BYTES   200u
#define MAIN_TREE    "main"
#define FREE_TREE    "free"
#define RECORD_BYTES sizeof(struct tree_record)

struct tree_record { /* MDB_db */
    uint32_t pad;
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};
struct bytes {
    const uint8_t *p; /* NULL: no bound */
    size_t len;
};
struct node {
    struct bytes key;
    const uint8_t *data;
    uint32_t data_bytes;
    uint16_t flags;
    uint64_t child; /* of a branch */
};
struct walk {
    struct mdb_pages_check *c;
    const uint8_t *map;
    uint64_t last_page;
    uint32_t page_bytes;
    uint8_t *used, *freed; /* bit sets, owned */
    uint32_t ticked;
    /* the tree at hand */
    const char *name;
    uint16_t depth;
    struct tree_record found;
};

static uint16_t u16_at(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static bool ended(const struct walk *w)
{
    return w->c->stopped || w->c->faults >= MDB_PAGES_FAULTS_MAX;
}

static void fault(struct walk *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void fault(struct walk *w, const char *fmt, ...)
{
    char text[TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    w->c->faults++;
    w->c->fault(w->c->ctx, w->name, text);
}

/* ---- pages ---- */

static bool take_bit(uint8_t *set, uint64_t page)
{
    uint8_t bit = (uint8_t)(1u << (page % 8));
    bool was = set[page / 8] & bit;
    set[page / 8] |= bit;
    return was;
}

static void count_page(struct walk *w)
{
    w->c->used++;
    if (++w->ticked < TICK_PAGES)
        return;
    w->ticked = 0;
    w->c->stopped |= !w->c->tick(w->c->ctx, TICK_PAGES);
}

/* The page of this number, not met before; NULL: a fault. */
static const uint8_t *page_take(struct walk *w, uint64_t number)
{
    if (number < 2 || number > w->last_page) {
        fault(w, "page number %llu is beyond the last page %llu", (unsigned long long)number,
              (unsigned long long)w->last_page);
        return NULL;
    }
    if (take_bit(w->used, number)) {
        fault(w, "page %llu is used twice", (unsigned long long)number);
        return NULL;
    }
    const uint8_t *page = w->map + number * w->page_bytes;
    if (u64_at(page) != number) {
        fault(w, "page %llu says that it is page %llu", (unsigned long long)number,
              (unsigned long long)u64_at(page));
        return NULL;
    }
    count_page(w);
    return page;
}

/* Nodes of a page, or -1 when its head is not right. */
static int node_count(struct walk *w, const uint8_t *page, uint64_t number)
{
    uint32_t lower = u16_at(page + 12), upper = u16_at(page + 14);
    if (lower < PAGE_HEAD || upper < lower || upper > w->page_bytes || (lower - PAGE_HEAD) % 2) {
        fault(w, "page %llu has no valid bounds of its free space", (unsigned long long)number);
        return -1;
    }
    return (int)((lower - PAGE_HEAD) / 2);
}

static bool node_read(struct walk *w, const uint8_t *page, uint64_t number, int i, bool branch,
                      struct node *out)
{
    uint32_t at = u16_at(page + PAGE_HEAD + 2 * (uint32_t)i), upper = u16_at(page + 14);
    if (at < upper || at + NODE_HEAD > w->page_bytes) {
        fault(w, "page %llu, node %d: lies outside of the page", (unsigned long long)number, i);
        return false;
    }
    const uint8_t *n = page + at;
    uint32_t key_bytes = u16_at(n + 6), size = u16_at(n) | (uint32_t)u16_at(n + 2) << 16;
    *out = (struct node){.key = {n + NODE_HEAD, key_bytes}, .data = n + NODE_HEAD + key_bytes};
    if (branch) {
        out->child = size | (uint64_t)u16_at(n + 4) << 32;
    } else {
        out->flags = u16_at(n + 4);
        out->data_bytes = size;
    }
    uint64_t inside = branch ? 0 : out->flags & NODE_BIG ? 8 : size;
    bool first_branch = branch && i == 0; /* its key is never looked at */
    if (key_bytes > KEY_MAX || (!key_bytes && !first_branch) ||
        at + NODE_HEAD + key_bytes + inside > w->page_bytes) {
        fault(w, "page %llu, node %d: its key or value does not fit the page", (unsigned long long)number, i);
        return false;
    }
    return true;
}

/* ---- keys ---- */

/* Keys of the free list are numbers in the machine's order, all others bytes. */
static int compare(const struct walk *w, struct bytes a, struct bytes b)
{
    if (strcmp(w->name, FREE_TREE) == 0 && a.len == 8 && b.len == 8) {
        uint64_t x = u64_at(a.p), y = u64_at(b.p);
        return (x > y) - (x < y);
    }
    size_t least = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.p, b.p, least);
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static void check_order(struct walk *w, uint64_t number, int i, struct bytes key, struct bytes before,
                        struct bytes low, struct bytes high)
{
    if (before.p && compare(w, before, key) >= 0)
        fault(w, "page %llu, node %d: key order: its key is not above the one before",
              (unsigned long long)number, i);
    else if ((low.p && compare(w, low, key) > 0) || (high.p && compare(w, high, key) <= 0))
        fault(w, "page %llu, node %d: key order: its key is not in the range of the branch above",
              (unsigned long long)number, i);
}

/* ---- leaves ---- */

static void check_overflow(struct walk *w, uint64_t number, int i, const struct node *n)
{
    uint64_t first = u64_at(n->data);
    uint64_t needed = (PAGE_HEAD - 1 + (uint64_t)n->data_bytes) / w->page_bytes + 1;
    const uint8_t *page = page_take(w, first);
    if (!page)
        return;
    uint32_t pages; /* more than needed where a transaction wrote a shorter value over one of its own */
    memcpy(&pages, page + 12, sizeof pages);
    if ((u16_at(page + 10) & KIND_MASK) != IS_OVERFLOW || pages < needed ||
        first + pages - 1 > w->last_page) {
        fault(w, "page %llu, node %d: its value on page %llu has not the pages that it needs",
              (unsigned long long)number, i, (unsigned long long)first);
        return;
    }
    for (uint64_t p = first + 1; p < first + pages && !ended(w); p++) {
        if (take_bit(w->used, p))
            fault(w, "page %llu is used twice", (unsigned long long)p);
        count_page(w);
    }
    w->found.overflow_pages += pages;
}

static void check_free_ids(struct walk *w, const uint8_t *ids, size_t bytes)
{
    uint64_t count = bytes >= 8 ? u64_at(ids) : 0;
    if (bytes < 8 || count > bytes / 8 - 1) {
        fault(w, "an entry of the free list is shorter than it says");
        return;
    }
    for (uint64_t k = 1; k <= count && !ended(w); k++) {
        uint64_t page = u64_at(ids + 8 * k);
        if (page < 2 || page > w->last_page)
            fault(w, "page number %llu is beyond the last page", (unsigned long long)page);
        else if (take_bit(w->freed, page))
            fault(w, "page %llu is free twice", (unsigned long long)page);
        else
            w->c->free++;
    }
}

static void walk_tree(struct walk *w, const char *name, const uint8_t *record);

static void walk_named(struct walk *w, uint64_t number, int i, const struct node *n)
{
    char name[KEY_MAX + 1];
    if (n->data_bytes != RECORD_BYTES) {
        fault(w, "page %llu, node %d: not the record of a database", (unsigned long long)number, i);
        return;
    }
    memcpy(name, n->key.p, n->key.len);
    name[n->key.len] = 0;
    const char *outer = w->name;
    uint16_t depth = w->depth;
    struct tree_record found = w->found;
    walk_tree(w, name, n->data);
    w->name = outer;
    w->depth = depth;
    w->found = found;
}

static void check_leaf_node(struct walk *w, uint64_t number, int i, const struct node *n)
{
    bool in_main = strcmp(w->name, MAIN_TREE) == 0;
    w->found.entries++;
    if (n->flags & ~(NODE_BIG | NODE_TREE) || !!(n->flags & NODE_TREE) != in_main) {
        fault(w, "page %llu, node %d: of a kind that the store does not write", (unsigned long long)number,
              i);
        return;
    }
    if (n->flags & NODE_BIG)
        check_overflow(w, number, i, n);
    if (strcmp(w->name, FREE_TREE) == 0 && !w->c->faults)
        check_free_ids(w,
                       n->flags & NODE_BIG ? w->map + u64_at(n->data) * w->page_bytes + PAGE_HEAD : n->data,
                       n->data_bytes);
    if (in_main)
        walk_named(w, number, i, n);
}

/* ---- trees ---- */

static void walk_page(struct walk *w, uint64_t number, uint16_t level, struct bytes low, struct bytes high)
{
    const uint8_t *page = page_take(w, number);
    if (!page)
        return;
    bool branch = level + 1 < w->depth;
    if ((u16_at(page + 10) & KIND_MASK) != (branch ? IS_BRANCH : IS_LEAF)) {
        fault(w, "page %llu is not a %s as its level wants", (unsigned long long)number,
              branch ? "branch" : "leaf");
        return;
    }
    *(branch ? &w->found.branch_pages : &w->found.leaf_pages) += 1;
    int count = node_count(w, page, number);
    struct node n, next;
    struct bytes before = {NULL, 0};
    if (count == 0 || (branch && count == 1))
        fault(w, "page %llu has too few nodes", (unsigned long long)number);
    for (int i = 0; i < count && !ended(w); i++) {
        if (!node_read(w, page, number, i, branch, &n))
            return;
        if (!branch || i > 0) {
            check_order(w, number, i, n.key, before, low, high);
            before = n.key;
        }
        if (!branch) {
            check_leaf_node(w, number, i, &n);
            continue;
        }
        struct bytes end = high;
        if (i + 1 < count) {
            if (!node_read(w, page, number, i + 1, branch, &next))
                return;
            end = next.key;
        }
        walk_page(w, n.child, (uint16_t)(level + 1), i ? n.key : low, end);
    }
}

static void compare_counts(struct walk *w, const struct tree_record *said)
{
    const struct tree_record *f = &w->found;
    if (f->entries != said->entries)
        fault(w, "holds %llu entries, its record says %llu", (unsigned long long)f->entries,
              (unsigned long long)said->entries);
    if (f->branch_pages != said->branch_pages || f->leaf_pages != said->leaf_pages ||
        f->overflow_pages != said->overflow_pages)
        fault(w, "has %llu + %llu + %llu pages, its record says %llu + %llu + %llu",
              (unsigned long long)f->branch_pages, (unsigned long long)f->leaf_pages,
              (unsigned long long)f->overflow_pages, (unsigned long long)said->branch_pages,
              (unsigned long long)said->leaf_pages, (unsigned long long)said->overflow_pages);
}

static void walk_tree(struct walk *w, const char *name, const uint8_t *record)
{
    struct tree_record said;
    memcpy(&said, record, sizeof said);
    w->name = name;
    w->depth = said.depth;
    w->found = (struct tree_record){0};
    uint64_t faults = w->c->faults;
    if (said.root == NO_PAGE ? said.depth != 0 : said.depth == 0 || said.depth > DEPTH_MAX) {
        fault(w, "its record says a depth of %u", said.depth);
        return;
    }
    if (said.root != NO_PAGE)
        walk_page(w, said.root, 0, (struct bytes){NULL, 0}, (struct bytes){NULL, 0});
    if (w->c->faults == faults && !w->c->stopped)
        compare_counts(w, &said);
}

static void compare_sets(struct walk *w)
{
    w->name = FREE_TREE;
    for (uint64_t p = 2; p <= w->last_page && !ended(w); p++) {
        bool used = w->used[p / 8] >> (p % 8) & 1, freed = w->freed[p / 8] >> (p % 8) & 1;
        if (used && freed)
            fault(w, "page %llu is in use and in the free list", (unsigned long long)p);
        w->c->lost += !used && !freed;
    }
}

void mdb_pages_check(const uint8_t *map, const struct mdbp_roots *roots, struct mdb_pages_check *c)
{
    struct walk w = {.c = c, .map = map, .last_page = roots->last_page, .page_bytes = roots->page_bytes};
    c->faults = c->used = c->free = c->lost = 0;
    c->stopped = false;
    w.used = xcalloc(roots->last_page / 8 + 1, 1);
    w.freed = xcalloc(roots->last_page / 8 + 1, 1);
    walk_tree(&w, MAIN_TREE, roots->main_db.record);
    if (!ended(&w))
        walk_tree(&w, FREE_TREE, roots->free_pages.record);
    if (c->faults == 0 && !c->stopped)
        compare_sets(&w);
    free(w.used);
    free(w.freed);
}
