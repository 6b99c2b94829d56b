/* See prefer.h. */
#include "serve/prefer.h"
#include "serve/out.h"

enum preference { PREFER_COUNT, PREFER_HANDLING, PREFER_ZONE, PREFER_OTHER };

/* Those of writes mean nothing to a read, and are known all the same. */
static const struct {
    const char *text;
    enum preference kind;
    int value;
} known[] = {
    {"count=exact", PREFER_COUNT, COUNT_EXACT},
    {"count=planned", PREFER_COUNT, COUNT_PLANNED},
    {"count=estimated", PREFER_COUNT, COUNT_ESTIMATED},
    {"handling=strict", PREFER_HANDLING, 1},
    {"handling=lenient", PREFER_HANDLING, 0},
    {"timezone=UTC", PREFER_ZONE, 0}, /* timestamps are shown in it */
    {"return=representation", PREFER_OTHER, 0},
    {"return=minimal", PREFER_OTHER, 0},
    {"return=headers-only", PREFER_OTHER, 0},
    {"resolution=merge-duplicates", PREFER_OTHER, 0},
    {"resolution=ignore-duplicates", PREFER_OTHER, 0},
    {"missing=default", PREFER_OTHER, 0},
    {"missing=null", PREFER_OTHER, 0},
    {"tx=commit", PREFER_OTHER, 0},
    {"tx=rollback", PREFER_OTHER, 0},
};

static int find(struct slice text)
{
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (slice_is(text, known[i].text))
            return (int)i;
    return -1;
}

static void list_add(struct buf *b, struct slice text)
{
    if (b->len)
        OUT_LIT(b, ", ");
    out_slice(b, text);
}

static const char *applied(struct arena *a, const int *chosen)
{
    const char *text = NULL;
    for (int k = PREFER_COUNT; k < PREFER_OTHER; k++) {
        const char *one = chosen[k] < 0 ? NULL : known[chosen[k]].text;
        if (one)
            text = text ? arena_printf(a, "%s, %s", text, one) : one;
    }
    return text;
}

bool prefer_parse(struct arena *a, struct slice header, struct prefer *out, struct problem *p)
{
    int chosen[] = {[PREFER_COUNT] = -1, [PREFER_HANDLING] = -1, [PREFER_ZONE] = -1, [PREFER_OTHER] = -1};
    struct buf unknown = {0};
    *out = (struct prefer){COUNT_NONE, NULL};
    while (header.p) {
        struct slice one = slice_trim(slice_cut(&header, ','));
        int i = find(one);
        if (i >= 0 && chosen[known[i].kind] < 0)
            chosen[known[i].kind] = i;
        else if (i < 0 && one.len && !(one.len > 13 && memcmp(one.p, "max-affected=", 13) == 0))
            list_add(&unknown, one);
    }
    bool strict = chosen[PREFER_HANDLING] >= 0 && known[chosen[PREFER_HANDLING]].value == 1;
    const struct slice list = {unknown.p, unknown.len};
    if (strict && unknown.len) {
        problem_set(p, 400, "PGRST122", "Invalid preferences given with handling=strict");
        problem_details(p, "Invalid preferences: %.*s", TEXT_QUOTED(list, 200));
    } else {
        out->count =
            chosen[PREFER_COUNT] < 0 ? COUNT_NONE : (enum count_mode)known[chosen[PREFER_COUNT]].value;
        out->applied = applied(a, chosen);
    }
    buf_fini(&unknown);
    return !p->status;
}
