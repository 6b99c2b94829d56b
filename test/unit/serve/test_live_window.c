/* The first rows of an order kept from changes, against a model that sorts all of them anew. */
#include "serve/live_window.h"
#include "test.h"

#define ROWS 250

static uint64_t random_state = 0x9E3779B97F4A7C15u;
static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

/* ---- the model: rows by id, each with a place in the order, a content and a number of copies ---- */

struct model_row {
    uint32_t place, content, copies;
};
static struct model_row model[ROWS];
static uint32_t model_size; /* ids in use */

struct text {
    char key[24], id[12], row[24];
};

static void texts(uint32_t id, const struct model_row *m, struct text *t)
{
    snprintf(t->key, sizeof t->key, "%06u/%04u", m->place, id);
    snprintf(t->id, sizeof t->id, "%04u", id);
    snprintf(t->row, sizeof t->row, "%u:%u:%u", id, m->place, m->content);
}

static struct slice of(const char *s)
{
    return (struct slice){(const uint8_t *)s, strlen(s)};
}

static int by_key(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (model[x].place != model[y].place)
        return model[x].place < model[y].place ? -1 : 1;
    return (x > y) - (x < y);
}

static uint32_t order(uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < model_size; i++)
        if (model[i].copies)
            out[n++] = i;
    qsort(out, n, sizeof *out, by_key);
    return n;
}

static void fill(struct window *w)
{
    uint32_t ids[ROWS], n = order(ids);
    uint64_t total = 0;
    window_clear(w);
    for (uint32_t i = 0; i < n && total < w->keep; i++)
        for (uint32_t c = 0; c < model[ids[i]].copies && total < w->keep; c++, total++) {
            struct text t;
            texts(ids[i], &model[ids[i]], &t);
            window_apply(w, of(t.key), of(t.id), of(t.row), 1);
        }
    window_filled(w, total < w->keep);
}

/* What is shown is what the model's order has there. */
static void check(const struct window *w)
{
    uint32_t ids[ROWS], n = order(ids), at = 0;
    uint64_t skip = w->skip, left = w->show;
    struct window_list l;
    window_list_make(w, &l);
    for (uint32_t i = 0; i < n && left; i++) {
        uint64_t c = model[ids[i]].copies, skipped = c < skip ? c : skip;
        struct text t;
        skip -= skipped;
        c -= skipped;
        c = c < left ? c : left;
        left -= c;
        if (!c)
            continue;
        texts(ids[i], &model[ids[i]], &t);
        CHECK(at < l.count);
        if (at >= l.count)
            break;
        CHECK(l.items[at].copies == c);
        struct slice row = window_bytes(l.items[at].row);
        CHECK(row.len == strlen(t.row) && memcmp(row.p, t.row, row.len) == 0);
        at++;
    }
    CHECK(at == l.count);
    window_list_fini(&l);
}

static void change(struct window *w, bool keyed)
{
    uint32_t id = random_below(model_size);
    struct model_row *m = &model[id], old = *m;
    struct text t;
    texts(id, &old, &t);
    if (keyed) {
        if (old.copies)
            window_apply(w, of(t.key), of(t.id), of(t.row), -1);
        *m = (struct model_row){random_below(2) ? old.place : random_below(300), random_below(1000),
                                random_below(3) != 0};
        texts(id, m, &t);
        if (m->copies)
            window_apply(w, of(t.key), of(t.id), of(t.row), 1);
        return;
    }
    uint32_t n = random_below(4);
    if (random_below(2) && n <= old.copies) {
        m->copies -= n;
        window_apply(w, of(t.key), of(t.id), of(t.row), -(int64_t)n);
    } else {
        m->copies += n;
        window_apply(w, of(t.key), of(t.id), of(t.row), n);
    }
}

static uint32_t refills, steps;

static void run(bool keyed, uint32_t size, uint64_t skip, uint64_t show)
{
    struct window w;
    model_size = size;
    for (uint32_t i = 0; i < size; i++)
        model[i] = (struct model_row){random_below(300), random_below(1000),
                                      keyed ? random_below(2) : random_below(4)};
    window_init(&w, skip, show);
    fill(&w);
    check(&w);
    for (int step = 0; step < 25; step++) {
        for (uint32_t n = random_below(20); n; n--)
            change(&w, keyed);
        steps++;
        if (!window_settle(&w)) {
            fill(&w);
            refills++;
        }
        check(&w);
        CHECK(w.count <= w.keep);
    }
    window_fini(&w);
}

static void test_model(void)
{
    static const uint64_t shapes[][2] = {{0, 1}, {0, 10}, {5, 10}, {0, 64}, {30, 1}, {0, 0}, {100, 100}};
    for (int round = 0; round < test_rounds(2); round++)
        for (size_t i = 0; i < ARRAY_COUNT(shapes); i++)
            for (int keyed = 0; keyed < 2; keyed++)
                run(keyed, random_below(2) ? ROWS : 1 + random_below(80), shapes[i][0], shapes[i][1]);
    CHECK(refills * 10 < steps); /* what follows is known, as a rule */
}

/* What was shown and what is: every row of the view meets itself, wherever it stands now. */
static void test_match(void)
{
    struct window w;
    struct window_list a, b;
    window_init(&w, 0, 3);
    window_clear(&w);
    window_apply(&w, of("1"), of("x"), of("x1"), 1);
    window_apply(&w, of("2"), of("y"), of("y1"), 1);
    window_apply(&w, of("3"), of("z"), of("z1"), 1);
    window_filled(&w, true);
    window_list_make(&w, &a);
    window_apply(&w, of("1"), of("x"), of("x1"), -1);
    window_apply(&w, of("4"), of("x"), of("x2"), 1);
    window_apply(&w, of("0"), of("n"), of("n1"), 1);
    CHECK(window_settle(&w));
    window_list_make(&w, &b);
    CHECK(!window_list_equal(&a, &b) && window_list_equal(&a, &a));
    window_match(&a, &b);
    CHECK(a.count == 3 && b.count == 3);
    CHECK(!a.items[0].other && !b.items[0].other); /* x went beyond the third, n came */
    CHECK(a.items[1].other == &b.items[1] && a.items[2].other == &b.items[2]);
    window_list_fini(&a);
    window_list_fini(&b);
    window_fini(&w);
}

int main(void)
{
    RUN(test_model);
    RUN(test_match);
    TEST_END();
}
