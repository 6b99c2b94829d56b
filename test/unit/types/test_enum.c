/* Enum types: the list, order of values and of their keys, changes of labels, and the limit of types. */
#include "data/key.h"
#include "test.h"
#include "types/enum_type.h"

static struct arena arena;

static enum type_id put(const char *name, const struct enum_label *labels, uint32_t count, uint32_t oid,
                        enum enum_origin origin)
{
    const struct enum_desc d = {oid, count, labels};
    return enum_type_put(name, &d, origin);
}

static union val value(enum type_id t, const char *label)
{
    struct fn_ctx ctx = {.arena = &arena};
    union val v = {.i = 0};
    CHECK(type_input(&ctx, (struct type){t, -1}, label, strlen(label), &v));
    return v;
}

static void names(void)
{
    static const struct enum_label a[] = {{"x", 1}}, b[] = {{"y", 1}};
    bool several;
    enum type_id mood = put("core.mood", a, 1, 7, ENUM_FROM_SOURCE);
    CHECK(type_is_enum(mood) && type_info(mood)->category == 'E' && type_phys(mood) == PHYS_STR);
    CHECK(type_by_name("mood")->id == mood && type_by_name("core.mood")->id == mood && !type_by_name("Mood"));
    CHECK(type_by_name("mood[]")->id == type_array(mood) && type_element(type_array(mood)) == mood &&
          type_is_array(type_array(mood)) && !type_is_enum(type_array(mood)));
    CHECK_STR(type_info(type_array(mood))->name, "core.mood[]");
    enum type_id other = put("shop.s.mood", b, 1, 8, ENUM_FROM_SOURCE);
    CHECK(other != mood && enum_type_find("mood", &several) == T_UNKNOWN && several && !type_by_name("mood"));
    CHECK(enum_type_find("s.mood", &several) == other && !several);
    CHECK(put("old.s.mood", b, 1, 9, ENUM_FROM_CATALOG) != other); /* not what SQL means any more */
    CHECK(enum_type_find("s.mood", &several) == other && !several);
    CHECK(put("core.mood", b, 1, 7, ENUM_FROM_CATALOG) == mood &&
          enum_label_find(enum_type_def(mood), "x", 1) == 0);
    CHECK(put("core.mood", b, 1, 7, ENUM_FROM_SOURCE) == mood &&
          enum_label_find(enum_type_def(mood), "x", 1) == -1);
    CHECK(!cast_find(mood, other) && !cast_find(mood, T_INT4) && !cast_find(T_INT4, type_array(mood)) &&
          !cast_find(mood, type_array(T_TEXT)) && cast_find(mood, T_TEXT)->context == CAST_ASSIGNMENT &&
          cast_find(T_TEXT, mood)->context == CAST_EXPLICIT);
}

/* Of sort orders as PostgreSQL gives them to labels added before, between and behind. */
static void order(void)
{
    static const struct enum_label labels[] = {{"m", -2.5f}, {"z", -1},         {"b", 0},
                                               {"", 1},      {"a", 1.0000001f}, {"q", 1.5f},
                                               {"c", 2},     {"d", 3},          {"e", 16777216.f}};
    const uint32_t count = sizeof labels / sizeof *labels;
    enum type_id t = put("core.order", labels, count, 1, ENUM_FROM_SOURCE);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < count; k++) {
            union val x = value(t, labels[i].text), y = value(t, labels[k].text);
            int want = (i > k) - (i < k), got = val_cmp(t, &x, &y);
            CHECK((got > 0) - (got < 0) == want);
            for (int desc = 0; desc < 2; desc++) {
                struct buf a = {0}, b = {0};
                key_put(&a, t, &x, VAL_OK, desc, false);
                key_put(&b, t, &y, VAL_OK, desc, false);
                int r = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);
                CHECK((r > 0) - (r < 0) == (desc ? -want : want) && (want || a.len == b.len));
                buf_fini(&a);
                buf_fini(&b);
            }
        }
}

static void changes(void)
{
    static const struct enum_label was[] = {{"a", 1}, {"b", 2}}, more[] = {{"a", 1}, {"c", 1.5f}, {"b", 2}},
                                   renamed[] = {{"a", 1}, {"B", 2}}, moved[] = {{"b", 1}, {"a", 2}};
    const struct enum_desc w = {5, 2, was}, m = {5, 3, more}, r = {5, 2, renamed}, o = {5, 2, moved},
                           other = {6, 2, was};
    CHECK(enum_compare(&w, &w) == ENUM_SAME && enum_compare(&w, &m) == ENUM_EXTENDED &&
          enum_compare(&m, &w) == ENUM_CHANGED);
    CHECK(enum_compare(&w, &r) == ENUM_CHANGED && enum_compare(&w, &o) == ENUM_CHANGED &&
          enum_compare(&w, &other) == ENUM_CHANGED);
    struct buf packed = {0};
    struct enum_desc back;
    enum_pack(&packed, &m);
    CHECK(enum_unpack(&arena, packed.p, packed.len, &back) && enum_compare(&m, &back) == ENUM_SAME);
    for (size_t len = 0; len < packed.len; len++) /* whole labels alone */
        CHECK(!enum_unpack(&arena, packed.p, len, &back) || back.count < m.count);
    buf_fini(&packed);
    /* Values made before a label was added are what they were. */
    enum type_id t = put("core.grows", was, 2, 5, ENUM_FROM_SOURCE);
    union val a = value(t, "a"), b = value(t, "b");
    CHECK(put("core.grows", more, 3, 5, ENUM_FROM_SOURCE) == t);
    union val c = value(t, "c"), now = value(t, "b");
    CHECK(val_cmp(t, &a, &c) < 0 && val_cmp(t, &c, &b) < 0 && val_cmp(t, &b, &now) == 0);
}

static void limit(void)
{
    static const struct enum_label a[] = {{"x", 1}};
    char name[32];
    uint32_t made = 0;
    enum type_id last = T_UNKNOWN;
    for (uint32_t i = 0; i <= ENUM_TYPES_MAX; i++) {
        snprintf(name, sizeof name, "many.t%u", (unsigned)i);
        enum type_id t = put(name, a, 1, i, ENUM_FROM_SOURCE);
        made += t != T_UNKNOWN;
        last = t == T_UNKNOWN ? last : t;
    }
    CHECK(made > 0 && made < ENUM_TYPES_MAX && last == (enum type_id)(T_ENUM_ARRAYS - 1));
    CHECK(put("many.t0", a, 1, 0, ENUM_FROM_SOURCE) != T_UNKNOWN); /* a known one stays possible */
}

int main(void)
{
    arena_init(&arena);
    RUN(names);
    RUN(order);
    RUN(changes);
    RUN(limit);
    arena_fini(&arena);
    TEST_END();
}
