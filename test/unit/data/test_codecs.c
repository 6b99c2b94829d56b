/* Row and key codecs over random values of every type: what goes in comes out, byte order is SQL order, equal bytes are SQL
 * equality, and no key is a prefix of another. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "test/unit/test.h"

#include "data/key.h"
#include "data/row.h"
#include "types/datetime.h"
#include "types/inet.h"
#include "types/range.h"
#include "types/array.h"

static uint64_t random_state = 42;
static uint32_t rnd(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 33) % below);
}

static struct arena arena;
static struct fn_ctx ctx = {.arena = &arena};

/* Literals whose neighbourhood is delicate; random ones are mixed in below. */
static const char *const numbers[] = {"0",
                                      "-0",
                                      "1",
                                      "1.0",
                                      "1.00",
                                      "-1",
                                      "0.1",
                                      "0.10",
                                      "99999999999999999999999999999",
                                      "-99999999999999999999999999999.5",
                                      "79228162514264337593543950335",
                                      "79228162514264337593543950336",
                                      "NaN",
                                      "Infinity",
                                      "-Infinity",
                                      "1e-20",
                                      "1e40",
                                      "-1e40",
                                      "123456789012345678901234567890.123456789",
                                      "10000",
                                      "9999",
                                      "0.0001"};
static const char *const floats[] = {"0",        "-0",        "1",      "-1",     "NaN",
                                     "Infinity", "-Infinity", "1e-300", "-1e300", "0.1"};
static const char *const texts[] = {"", " ", "a", "a ", "a  ", "ab", "b", "\001", "\377", "a\001", "aa"};
static const char *const intervals[] = {"0",       "1 day",  "24 hours",      "1 mon",
                                        "30 days", "-1 day", "1 year -1 day", "1 us"};
static const char *const jsons[] = {"1",
                                    "1.0",
                                    "1.00",
                                    "10",
                                    "{\"a\": 1.50, \"b\": [1, 2.0]}",
                                    "{\"a\": 1.5, \"b\": [1.0, 2]}",
                                    "\"1.0\"",
                                    "\"1.00\"",
                                    "null",
                                    "[]",
                                    "[1]",
                                    "[1.0]",
                                    "\"\\\"1.0\"",
                                    "-1.0",
                                    "-1",
                                    "100",
                                    "{\"1.0\": 0}",
                                    "{\"1.00\": 0}",
                                    "0.0",
                                    "0",
                                    "0.10",
                                    "{}",
                                    "[[]]",
                                    "[{}]",
                                    "[1, 2]",
                                    "[\"b\"]",
                                    "[null]",
                                    "[[1, 2, 3]]",
                                    "[[[1]], 0]",
                                    "true",
                                    "false",
                                    "[true, \"x\"]",
                                    "\"\"",
                                    "\"b\"",
                                    "\"ba\"",
                                    "\"a\\u0001\\n\\\\b\"",
                                    "\"a\\u0001\\t\\\\b\"",
                                    "{\"b\": 0}",
                                    "{\"aa\": 0}",
                                    "{\"b\": 1, \"aa\": 1}",
                                    "{\"b\": 1, \"c\": [1, {\"d\": null}]}",
                                    "{\"b\": 1, \"c\": [1, {\"d\": \"\"}]}",
                                    "123456789012345678901234567890123456789.5",
                                    "-1e-30"};

static bool input(enum type_id t, const char *text, union val *v)
{
    ctx.error = FN_OK;
    return type_input(&ctx, (struct type){t, -1}, text, strlen(text), v);
}

static const char *pick(const char *const *list, size_t count)
{
    return list[rnd((uint32_t)count)];
}
#define PICK(list) pick(list, ARRAY_COUNT(list))

static union val random_bytes(bool any_byte)
{
    uint32_t n = rnd(6);
    uint8_t *p = arena_alloc(&arena, n);
    for (uint32_t i = 0; i < n; i++)
        p[i] = (uint8_t)(any_byte ? rnd(3) * 127 + rnd(2) : 'a' + rnd(2));
    return (union val){.s = {p, n, 0}};
}

static union val random_number(enum type_id t)
{
    char text[64];
    union val v;
    if (rnd(2))
        CHECK(input(t, t == T_NUMERIC ? PICK(numbers) : PICK(floats), &v));
    else {
        snprintf(text, sizeof text, "%s%u.%0*u", rnd(2) ? "-" : "", rnd(200), (int)rnd(4) + 1, rnd(10));
        CHECK(input(t, text, &v));
    }
    return v;
}

static union val random_int(int64_t lo, int64_t hi)
{
    static const int64_t near[] = {0, 1, -1, 255, 256, -256, 65536, 1000000007};
    uint32_t what = rnd(8);
    int64_t i = what == 0 ? lo : what == 1 ? hi : what < 5 ? near[rnd(8)] : (int64_t)rnd(2000) - 1000;
    return (union val){.i = i < lo ? lo : i > hi ? hi : i};
}

/* Often the same instant at another offset. */
static union val random_timetz(void)
{
    int32_t offset = rnd(4) ? (int32_t)(rnd(5) - 2) * 3600
                            : (int32_t)rnd(2 * TIMETZ_OFFSET_END - 1) - TIMETZ_OFFSET_END + 1;
    int64_t usecs = rnd(8)   ? (int64_t)(rnd(4) + 4) * 3600 * 1000000
                    : rnd(2) ? INT64_C(86400000000)
                             : rnd(1000000);
    return (union val){.iv = {usecs, offset, 0}};
}

/* Of few bits, so that networks hold each other. */
static union val random_inet(bool is_cidr)
{
    struct inet a = {.family = rnd(3) ? 4 : 6};
    for (uint32_t i = 0; i < inet_addr_bytes(&a); i++)
        a.addr[i] = (uint8_t)(rnd(4) ? 0 : rnd(3) * 127 + rnd(2));
    a.bits = (uint8_t)(rnd(3) ? inet_bits_max(&a) : (int)rnd((uint32_t)inet_bits_max(&a) + 1));
    if (is_cidr)
        inet_clear_host(&a);
    return (union val){.s = inet_encode(&arena, &a)};
}

/* Of few bounds, so that many are equal or touch. */
static union val random_ranges(enum type_id t)
{
    struct ranges list = {0};
    enum type_id bound = type_bound(t);
    for (uint32_t n = rnd(type_is_range(t) ? 2 : 4); n; n--) {
        struct range_bound b[2];
        struct range r;
        for (int i = 0; i < 2; i++) {
            b[i] = (struct range_bound){.infinite = rnd(6) == 0, .inclusive = rnd(2)};
            CHECK(bound != T_NUMERIC || input(T_NUMERIC, rnd(2) ? "1.5" : rnd(2) ? "1.50" : "-2", &b[i].v));
            if (bound != T_NUMERIC)
                b[i].v.i = (int64_t)rnd(5) - 2;
        }
        if (range_make(&ctx, bound, b[0], b[1], &r))
            ranges_add(&arena, &list, &r);
    }
    ranges_normalise(&ctx, bound, &list);
    return (union val){.s = ranges_write(&arena, t, &list)};
}

static union val in_upper_case(union val v)
{
    uint8_t *p = arena_memdup(&arena, v.s.p, v.s.len);
    for (uint32_t i = 0; i < v.s.len; i++)
        p[i] = (uint8_t)(p[i] - 32 * (i % 2 == 0));
    return (union val){.s = {p, v.s.len, 0}};
}

static union val random_value(enum type_id t);

/* Small arrays of few different elements, so that many are equal up to their shape. */
static union val random_array(enum type_id element)
{
    struct array a = {0};
    uint32_t dims = rnd(4), count = dims > 0;
    a.shape.dim_count = dims;
    for (uint32_t d = 0; d < dims; d++) {
        a.shape.length[d] = (int32_t)rnd(3) + 1;
        a.shape.lower[d] = rnd(3) ? 1 : (int32_t)rnd(5) - 2;
        count *= (uint32_t)a.shape.length[d];
    }
    union val few[3] = {random_value(element), random_value(element), random_value(element)};
    for (uint32_t i = 0; i < count; i++)
        array_add(&arena, &a, few[rnd(3)], rnd(5) == 0);
    return (union val){.s = array_encode(&arena, element, &a)};
}

static union val random_value(enum type_id t)
{
    if (type_is_array(t))
        return random_array(type_element(t));
    union val v = {.i = 0};
    switch (t) {
    case T_BOOL: return (union val){.i = rnd(2)};
    case T_INT2: return random_int(INT16_MIN, INT16_MAX);
    case T_INT4:
    case T_DATE: return random_int(INT32_MIN, INT32_MAX);
    case T_INT8:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: return random_int(INT64_MIN, INT64_MAX);
    case T_TIME: return random_int(0, INT64_C(86400000000));
    case T_FLOAT4:
    case T_FLOAT8:
        if (t == T_FLOAT4 && rnd(2))
            return (union val){.f = (float)rnd(100) / 8};
        v = random_number(T_FLOAT8);
        return t == T_FLOAT4 ? (union val){.f = (float)v.f} : v;
    case T_NUMERIC: return random_number(t);
    case T_INTERVAL: CHECK(input(t, PICK(intervals), &v)); return v;
    case T_UUID:
        for (int i = 0; i < 16; i++)
            v.uuid[i] = (uint8_t)(i % 5 ? 0 : rnd(3) * 127);
        return v;
    case T_JSON:
    case T_JSONB: CHECK(input(t, PICK(jsons), &v)); return v;
    case T_TIMETZ: return random_timetz();
    case T_INET:
    case T_CIDR: return random_inet(t == T_CIDR);
    case T_MACADDR: return random_int(0, (INT64_C(1) << 48) - 1);
    case T_CITEXT: v = random_bytes(false); return rnd(2) ? v : in_upper_case(v);
    case T_BYTEA: return random_bytes(true);
    default:
        if (type_is_range(t) || type_is_multirange(t))
            return random_ranges(t);
        if (rnd(2))
            return random_bytes(false);
        const char *s = PICK(texts);
        return (union val){.s = {(const uint8_t *)s, (uint32_t)strlen(s), 0}};
    }
}

static const char *output(enum type_id t, const union val *v)
{
    struct str s = type_output(&ctx, t, v);
    return arena_strndup(&arena, (const char *)s.p, s.len);
}

static void phys_agrees_with_the_table_of_types(void)
{
    for (int t = 0; t < T_COUNT; t++)
        CHECK(type_phys((enum type_id)t) == type_info((enum type_id)t)->phys);
}

/* ---- rows ---- */

#define COLUMNS (T_COUNT - 2) /* neither unknown nor an array of it */
static struct column columns[COLUMNS];
static const struct schema schema = {COLUMNS, columns};

static void random_row(union val *vals, uint8_t *states)
{
    for (uint32_t c = 0; c < COLUMNS; c++) {
        states[c] = rnd(5) == 0 ? VAL_NULL : VAL_OK;
        vals[c] = states[c] == VAL_OK ? random_value(columns[c].type.id) : (union val){.i = 0};
    }
}

static void rows_come_back_as_they_were(void)
{
    struct buf a = {0}, b = {0};
    union val vals[COLUMNS], back[COLUMNS];
    uint8_t states[COLUMNS], back_states[COLUMNS];
    for (uint32_t c = 0; c < COLUMNS; c++)
        columns[c] =
            (struct column){"c", {(enum type_id)(c + 1 < T_ARRAYS ? c + 1 : c + 2), -1}, false, NULL};
    struct batch *batch = batch_new(COLUMNS);
    for (int i = 0; i < 2000; i++) {
        random_row(vals, states);
        buf_reset(&a);
        row_encode(&a, &schema, vals, states);
        CHECK(row_decode(&arena, &schema, a.p, a.len, back, back_states));
        CHECK(memcmp(states, back_states, COLUMNS) == 0);
        for (uint32_t c = 0; c < COLUMNS; c++)
            if (states[c] == VAL_OK)
                CHECK_STR(output(columns[c].type.id, &back[c]), output(columns[c].type.id, &vals[c]));
        if (batch_full(batch))
            batch_reset(batch, COLUMNS);
        CHECK(row_decode_append(batch, &schema, a.p, a.len, 3, true));
        buf_reset(&b);
        row_encode_vecs(&b, &schema, batch->cols, batch->row_count - 1);
        CHECK(a.len == b.len && memcmp(a.p, b.p, a.len) == 0 && batch->weight[batch->row_count - 1] == 3);
        for (size_t cut = 0; cut < a.len;
             cut += 1 + a.len / 16) /* what is cut short is never taken for a row */
            CHECK(!row_decode(&arena, &schema, a.p, cut, back, back_states));
        for (int n = 0; n < 8; n++) { /* and damage does not crash */
            a.p[rnd((uint32_t)a.len)] ^= (uint8_t)(1u << rnd(8));
            uint8_t *exact = arena_memdup(&arena, a.p, a.len);
            (void)!row_decode(&arena, &schema, exact, a.len, back, back_states);
        }
        arena_reset(&arena);
    }
    batch_free(batch);
    buf_fini(&a);
    buf_fini(&b);
}

static void batches_copy_deeply(void)
{
    struct column text = {"c", {T_TEXT, -1}, false, NULL};
    const struct schema one = {1, &text};
    struct batch *from = batch_new(1), *to = batch_new(1);
    char bytes[4] = "abc";
    from->cols[0].v[0].s = (struct str){(uint8_t *)bytes, 3, 0};
    from->cols[0].state[0] = VAL_OK;
    from->row_count = 1;
    for (int i = 0; i < BATCH_ROWS; i++)
        batch_append_row(to, &one, from, 0, i);
    bytes[0] = 'x';
    CHECK(batch_full(to) && to->cols[0].v[BATCH_ROWS - 1].s.p[0] == 'a' &&
          to->weight[BATCH_ROWS - 1] == BATCH_ROWS - 1);
    batch_reset(to, 3);
    CHECK(to->row_count == 0 && to->column_count == 3);
    batch_free(from);
    batch_free(to);
    batch_free(NULL);
}

/* ---- keys ---- */

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

static int compare_bytes(const struct buf *a, const struct buf *b)
{
    int c = memcmp(a->p, b->p, a->len < b->len ? a->len : b->len);
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static int expected(enum type_id t, const union val *a, uint8_t as, const union val *b, uint8_t bs, bool desc,
                    bool nulls_first)
{
    if (as == VAL_NULL || bs == VAL_NULL)
        return as == bs ? 0 : (as == VAL_NULL) == nulls_first ? -1 : 1;
    return sign(val_cmp(t, a, b)) * (desc ? -1 : 1);
}

static void check_pair(enum type_id t, struct buf *a, struct buf *b)
{
    union val x = random_value(t), y = random_value(t);
    uint8_t xs = rnd(9) ? VAL_OK : VAL_NULL, ys = rnd(9) ? VAL_OK : VAL_NULL;
    bool desc = rnd(2), nulls_first = rnd(2);
    buf_reset(a);
    buf_reset(b);
    key_put(a, t, &x, xs, desc, nulls_first);
    key_put(b, t, &y, ys, desc, nulls_first);
    int got = sign(compare_bytes(a, b)), want = expected(t, &x, xs, &y, ys, desc, nulls_first);
    CHECK(got == want);
    if (got != want)
        printf("# %s: %s and %s, desc %d\n", type_info(t)->name, xs ? "-" : output(t, &x),
               ys ? "-" : output(t, &y), desc);
    if (got) { /* neither is a prefix of the other */
        size_t least = a->len < b->len ? a->len : b->len;
        CHECK(memcmp(a->p, b->p, least) != 0);
    }
}

static void key_order_is_sql_order_for_every_type(void)
{
    struct buf a = {0}, b = {0};
    for (int t = T_BOOL; t < T_COUNT; t++) {
        if (!type_info(t)->comparable)
            continue;
        for (int i = 0; i < 4000; i++)
            check_pair((enum type_id)t, &a, &b);
        arena_reset(&arena);
    }
    buf_fini(&a);
    buf_fini(&b);
}

/* The order in the words of PostgreSQL's array_cmp, over arrays taken apart. */
static int slow_array_cmp(enum type_id element, const struct array *a, const struct array *b)
{
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        if (a->null[i] || b->null[i]) {
            if (a->null[i] != b->null[i])
                return a->null[i] ? 1 : -1;
            continue;
        }
        int c = val_cmp(element, &a->v[i], &b->v[i]);
        if (c)
            return sign(c);
    }
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    if (a->shape.dim_count != b->shape.dim_count)
        return a->shape.dim_count < b->shape.dim_count ? -1 : 1;
    for (uint32_t d = 0; d < a->shape.dim_count; d++)
        if (a->shape.length[d] != b->shape.length[d])
            return a->shape.length[d] < b->shape.length[d] ? -1 : 1;
    for (uint32_t d = 0; d < a->shape.dim_count; d++)
        if (a->shape.lower[d] != b->shape.lower[d])
            return a->shape.lower[d] < b->shape.lower[d] ? -1 : 1;
    return 0;
}

static void arrays_are_ordered_as_postgresql_orders_them(void)
{
    static const enum type_id elements[] = {T_INT4, T_NUMERIC, T_TEXT, T_BPCHAR, T_FLOAT8, T_INTERVAL};
    for (int i = 0; i < 20000; i++) {
        enum type_id e = elements[(size_t)i % ARRAY_COUNT(elements)];
        union val x = random_array(e), y = rnd(4) ? random_array(e) : x;
        struct array a, b;
        array_decode(&arena, e, x.s, &a);
        array_decode(&arena, e, y.s, &b);
        CHECK(sign(val_cmp(type_array(e), &x, &y)) == slow_array_cmp(e, &a, &b));
        struct str again = array_encode(&arena, e, &a); /* bytes are canonical */
        CHECK(again.len == x.s.len && memcmp(again.p, x.s.p, again.len) == 0);
        if (i % 100 == 0)
            arena_reset(&arena);
    }
}

static void array_text_comes_back(void)
{
    for (int i = 0; i < 20000; i++) {
        enum type_id t = (enum type_id)(T_ARRAYS + 1 + (int)rnd(T_SCALAR_COUNT - 1));
        union val v = random_array(type_element(t)), back;
        if (type_element(t) == T_BYTEA || type_phys(type_element(t)) != PHYS_STR) {
            CHECK(input(t, output(t, &v), &back));
            CHECK_STR(output(t, &back), output(t, &v));
        }
        if (i % 100 == 0)
            arena_reset(&arena);
    }
}

static const struct fn *jsonb_operator(const char *name)
{
    const struct fn *rows[32];
    uint32_t n = fn_find(name, true, rows, ARRAY_COUNT(rows));
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->args[0] == T_JSONB)
            return rows[i];
    PANIC("no %s of jsonb", name);
}

static bool holds(const struct fn *op, const union val pair[2])
{
    const bool null[2] = {false, false};
    union val out = {.i = 0};
    bool out_null = false;
    CHECK(op->eval(&ctx, pair, null, 2, &out, &out_null));
    return out.i != 0;
}

/* The operators compare nodes, keys are made of the text. */
static void jsonb_keys_are_ordered_as_its_operators_say(void)
{
    const struct fn *eq = jsonb_operator("="), *lt = jsonb_operator("<");
    struct buf a = {0}, b = {0};
    for (size_t i = 0; i < ARRAY_COUNT(jsons); i++)
        for (size_t k = 0; k < ARRAY_COUNT(jsons); k++) {
            union val pair[2];
            CHECK(input(T_JSONB, jsons[i], &pair[0]) && input(T_JSONB, jsons[k], &pair[1]));
            buf_reset(&a);
            buf_reset(&b);
            key_put(&a, T_JSONB, &pair[0], VAL_OK, false, false);
            key_put(&b, T_JSONB, &pair[1], VAL_OK, false, false);
            int c = compare_bytes(&a, &b);
            CHECK((c == 0) == holds(eq, pair));
            CHECK((c < 0) == holds(lt, pair));
            if ((c == 0) != holds(eq, pair) || (c < 0) != holds(lt, pair))
                printf("# %s and %s\n", jsons[i], jsons[k]);
        }
    buf_fini(&a);
    buf_fini(&b);
}

static void keys_of_several_columns_order_column_by_column(void)
{
    struct column two[2] = {{"a", {T_TEXT, -1}, false, NULL}, {"b", {T_NUMERIC, -1}, false, NULL}};
    const struct schema s = {2, two};
    const struct key_column key[2] = {{0, true, false}, {1, false, true}};
    struct buf a = {0}, b = {0};
    for (int i = 0; i < 20000; i++) {
        union val x[2] = {random_value(T_TEXT), random_value(T_NUMERIC)};
        union val y[2] = {rnd(2) ? x[0] : random_value(T_TEXT), random_value(T_NUMERIC)};
        uint8_t xs[2] = {VAL_OK, rnd(6) ? VAL_OK : VAL_NULL}, ys[2] = {VAL_OK, rnd(6) ? VAL_OK : VAL_NULL};
        buf_reset(&a);
        buf_reset(&b);
        key_encode(&a, &s, x, xs, key, 2);
        key_encode(&b, &s, y, ys, key, 2);
        int want = expected(T_TEXT, &x[0], xs[0], &y[0], ys[0], true, false);
        if (!want)
            want = expected(T_NUMERIC, &x[1], xs[1], &y[1], ys[1], false, true);
        CHECK(sign(compare_bytes(&a, &b)) == want);
        arena_reset(&arena);
    }
    buf_fini(&a);
    buf_fini(&b);
}

static void long_keys_are_shortened_to_the_limit(void)
{
    struct buf a = {0}, b = {0};
    for (size_t n = KEY_STORED_MAX - 2; n < KEY_STORED_MAX + 3; n++) {
        buf_reset(&a);
        buf_reset(&b);
        buf_put_u8(&a, 7); /* what lies before stays */
        for (size_t i = 0; i < n; i++) {
            buf_put_u8(&a, (uint8_t)i);
            buf_put_u8(&b, (uint8_t)i);
        }
        CHECK(key_shorten(&a, 1) == (n > KEY_STORED_MAX));
        CHECK(a.len - 1 == (n > KEY_STORED_MAX ? KEY_STORED_MAX : n) && a.p[0] == 7);
        b.p[n - 1] ^= 1; /* a difference at the very end makes another key */
        (void)key_shorten(&b, 0);
        CHECK(a.len - 1 == b.len && memcmp(a.p + 1, b.p, b.len) != 0);
    }
    buf_fini(&a);
    buf_fini(&b);
}

int main(void)
{
    RUN(phys_agrees_with_the_table_of_types);
    RUN(rows_come_back_as_they_were);
    RUN(batches_copy_deeply);
    RUN(key_order_is_sql_order_for_every_type);
    RUN(arrays_are_ordered_as_postgresql_orders_them);
    RUN(array_text_comes_back);
    RUN(jsonb_keys_are_ordered_as_its_operators_say);
    RUN(keys_of_several_columns_order_column_by_column);
    RUN(long_keys_are_shortened_to_the_limit);
    arena_fini(&arena);
    TEST_END();
}
