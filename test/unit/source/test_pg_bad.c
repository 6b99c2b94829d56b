/* What becomes of changes with values that cannot be read, from messages of the stream to the calls of the sink: each kind of
 * value, in keys and beside them, with every replica identity, keyed and keyless; and where the table is to stop instead. */
#include "base/buf.h"
#include "source/postgres/pg_apply.h"
#include "source/postgres/pg_bad.h"
#include "source/postgres/pg_value.h"
#include "test/unit/test.h"

/* ---- a sink that writes down what it is told ---- */

static struct buf told;
static uint64_t bad_rows;
static uint8_t last_identity[QUARANTINE_ID_BYTES];

static void put_vals(const union val *vals, const uint8_t *states)
{
    static const char *const names[] = {"", "null", "error", "unchanged"};
    struct fn_ctx ctx = {0};
    struct arena arena;
    arena_init(&arena);
    ctx.arena = &arena;
    for (uint32_t c = 0; c < 3; c++) {
        struct str t = {0};
        if (states[c] == VAL_OK)
            t = type_output(&ctx, c < 2 ? T_INT4 : T_JSONB, &vals[c]);
        buf_printf(&told, " %.*s%s", (int)t.len, (const char *)t.p, names[states[c]]);
    }
    arena_fini(&arena);
}

bool sink_row(struct sink_lane *l, uint32_t table, enum row_op op, const union val *vals,
              const uint8_t *states)
{
    (void)l, (void)table;
    static const char *const names[] = {"insert", "update", "delete"};
    buf_printf(&told, "%s%s", told.len ? "; " : "", names[op]);
    put_vals(vals, states);
    return true;
}

bool sink_move(struct sink_lane *l, uint32_t table, const union val *old_vals, const uint8_t *old_states,
               const union val *new_vals, const uint8_t *new_states)
{
    (void)l, (void)table;
    buf_printf(&told, "%smove", told.len ? "; " : "");
    put_vals(old_vals, old_states);
    buf_put_str(&told, " to");
    put_vals(new_vals, new_states);
    return true;
}

bool sink_bad_row(struct sink_lane *l, uint32_t table, const struct quarantine_entry *why,
                  const uint8_t *identity, const union val *vals, const uint8_t *states)
{
    (void)l, (void)table;
    buf_printf(&told, "%sbad %c %.*s %.*s %.*s%s", told.len ? "; " : "", why->op, (int)why->position.len,
               (const char *)why->position.p, (int)why->column.len, (const char *)why->column.p,
               (int)why->sqlstate.len, (const char *)why->sqlstate.p, identity ? " by bytes" : "");
    if (identity)
        memcpy(last_identity, identity, sizeof last_identity);
    put_vals(vals, states);
    CHECK(why->message.len > 0 && why->last_us > 0 && why->raw.len > 0 && why->raw_bytes > 0);
    return true;
}

/* "same": of the identity that the last bad row had. */
bool sink_bad_gone(struct sink_lane *l, uint32_t table, const uint8_t identity[QUARANTINE_ID_BYTES])
{
    (void)l, (void)table;
    buf_printf(&told, "%sgone %s", told.len ? "; " : "",
               memcmp(identity, last_identity, sizeof last_identity) == 0 ? "same" : "other");
    return true;
}

uint64_t sink_bad_rows(const struct sink *s, uint32_t table)
{
    (void)s, (void)table;
    return bad_rows;
}

bool sink_truncate(struct sink_lane *l, uint32_t table)
{
    (void)l, (void)table;
    return true;
}
void sink_transaction(struct sink_lane *l, uint32_t number)
{
    (void)l, (void)number;
}

bool sink_commit(struct sink_lane *l, const void *position, size_t len, const char *text, int64_t us)
{
    (void)l, (void)position, (void)len, (void)text, (void)us;
    return true;
}
bool sink_rollback(struct sink_lane *l)
{
    (void)l;
    return true;
}
void sink_flush(struct sink_lane *l)
{
    (void)l;
}
bool sink_barrier(struct sink *s)
{
    (void)s;
    return true;
}
void sink_snapshot_begin(struct sink *s)
{
    (void)s;
}
void sink_snapshot_end(struct sink *s)
{
    (void)s;
}
size_t sink_durable_position(struct sink *s, void *out, size_t size)
{
    (void)s, (void)out, (void)size;
    return 0;
}
bool sink_stopping(const struct sink *s)
{
    (void)s;
    return false;
}
void sink_wait(struct sink *s, int ms)
{
    (void)s, (void)ms;
}
struct sink_lane *sink_lane_get(struct sink *s, uint32_t lane)
{
    (void)s, (void)lane;
    return NULL;
}
struct gate_source *sink_status(struct sink *s)
{
    (void)s;
    return NULL;
}
void sink_set_state(struct sink *s, enum source_state state, const char *error)
{
    (void)s, (void)state, (void)error;
}
bool sink_column_wanted(const struct sink *s, uint32_t table, uint32_t column)
{
    (void)s, (void)table, (void)column;
    return true;
}
bool sink_table_stop(struct sink *s, uint32_t table, const char *reason)
{
    (void)s, (void)table, (void)reason;
    return false;
}

/* ---- a table "t" (id int, v int, doc jsonb) as the server has it ---- */

static struct column columns[] = {
    {"id", {T_INT4, -1}, true, NULL}, {"v", {T_INT4, -1}, false, NULL}, {"doc", {T_JSONB, -1}, false, NULL}};
static uint32_t key[] = {0};
static struct table_def def = {"core", "t", {3, columns}, 1, key, 0, .table_index = 0};
static struct pg_column pg_columns[] = {{.name = "id", .attnum = 1, .type_oid = 23, .typmod = -1},
                                        {.name = "v", .attnum = 2, .type_oid = 23, .typmod = -1},
                                        {.name = "doc", .attnum = 3, .type_oid = 3802, .typmod = -1}};
static struct pg_relation rel = {.relid = 42,
                                 .schema = "public",
                                 .name = "t",
                                 .quoted = "\"public\".\"t\"",
                                 .column_count = 3,
                                 .columns = pg_columns};
static const struct pg_column *of_def[] = {&pg_columns[0], &pg_columns[1], &pg_columns[2]};
static bool in_key[3];
static bool wanted[1] = {true}, stopped[1];
static struct pg_conf conf = {.source_name = "core"};
static struct pg_table table;
static struct pg_run run;
static struct pg_apply *apply;
static struct pgo_message m;
static struct buf b;

static void put(uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buf_put_u8(&b, (uint8_t)(v >> (8 * i)));
}

/* "n" NULL, "u" unchanged, else the text. */
static void put_tuple(char part, const char *const *fields)
{
    buf_put_u8(&b, (uint8_t)part);
    put(3, 2);
    for (int i = 0; i < 3; i++) {
        bool mark = strcmp(fields[i], "n") == 0 || strcmp(fields[i], "u") == 0;
        buf_put_u8(&b, mark ? (uint8_t)fields[i][0] : 't');
        if (mark)
            continue;
        put(strlen(fields[i]), 4);
        buf_put_str(&b, fields[i]);
    }
}

static void announce(char identity)
{
    buf_reset(&b);
    buf_put_u8(&b, 'R');
    put(42, 4);
    buf_put(&b, "public\0t", 9);
    buf_put_u8(&b, (uint8_t)identity);
    put(3, 2);
    for (int i = 0; i < 3; i++) {
        put(identity == 'f' || i == 0, 1);
        buf_put(&b, columns[i].name, strlen(columns[i].name) + 1);
        put(pg_columns[i].type_oid, 4);
        put(0xffffffff, 4);
    }
    CHECK(pgo_message_decode(b.p, b.len, false, &m) == NULL);
    struct err *e = pg_apply_relation(apply, &m, 1);
    CHECK(!e);
    err_free(e);
}

static void set_up(bool keyed, char identity, bool stop)
{
    def.key_count = keyed;
    in_key[0] = keyed;
    table = (struct pg_table){
        .def = &def, .rel = &rel, .columns = of_def, .in_key = in_key, .stop_on_error = stop};
    run = (struct pg_run){.conf = &conf,
                          .defs = &def,
                          .def_count = 1,
                          .wanted = wanted,
                          .stopped = stopped,
                          .tables = &table,
                          .table_count = 1,
                          .checked = UINT64_MAX, /* the server is not asked */
                          .partial = {.lsn = 0x16B374848}};
    apply = pg_apply_new(&run);
    announce(identity);
}

static void tear_down(void)
{
    pg_apply_free(apply);
    apply = NULL;
}

/* One change; what the sink was told of it, or the error. old: 'K', 'O' or 0. */
static const char *change(char kind, char old, const char *const *before, const char *const *after)
{
    static char text[2000];
    buf_reset(&b);
    buf_reset(&told);
    buf_put_u8(&b, (uint8_t)kind);
    put(42, 4);
    if (old)
        put_tuple(old, before);
    if (kind != 'D')
        put_tuple('N', after);
    CHECK(pgo_message_decode(b.p, b.len, false, &m) == NULL);
    struct err *e = pg_apply_change(apply, &m);
    if (e) {
        char *why = err_text(e);
        snprintf(text, sizeof text, "error: %s", why);
        free(why);
    } else {
        snprintf(text, sizeof text, "%.*s", (int)told.len, (const char *)told.p);
    }
    err_free(e);
    return text;
}

#define ROW(...)    ((const char *const[]){__VA_ARGS__})
#define INSERT(...) change('I', 0, NULL, ROW(__VA_ARGS__))
#define BIG         "99999999999" /* not for an int */

static void keyed_by_default(void)
{
    set_up(true, 'd', false);
    CHECK_STR(INSERT("1", "2", "[]"), "insert 1 2 []");
    CHECK_STR(INSERT("1", BIG, "[]"), "bad i 1/6B374848#1 v 22003 1 error []");
    CHECK_STR(INSERT("1", "2", "[1"), "bad i 1/6B374848#1 doc 22P02 1 2 error");
    CHECK_STR(INSERT("1", BIG, "[1"), "bad i 1/6B374848#1 v 22003 1 error error");
    CHECK_STR(change('U', 0, NULL, ROW("1", BIG, "u")), "bad u 1/6B374848#1 v 22003 1 error unchanged");
    CHECK_STR(change('U', 0, NULL, ROW("1", "5", "u")), "update 1 5 unchanged");
    CHECK_STR(change('D', 'K', ROW("1", "n", "n"), NULL), "delete 1 null null");
    /* The key changes, from or to one that can be read or not. */
    CHECK_STR(change('U', 'K', ROW("1", "n", "n"), ROW("2", "3", "u")), "move 1 null null to 2 3 unchanged");
    CHECK_STR(change('U', 'K', ROW("1", "n", "n"), ROW("2", BIG, "u")),
              "delete 1 null null; bad u 1/6B374848#1 v 22003 2 error unchanged");
    CHECK_STR(change('U', 'K', ROW("1", "n", "n"), ROW(BIG, "3", "u")),
              "delete 1 null null; bad u 1/6B374848#1 id 22003 by bytes error 3 unchanged");
    CHECK_STR(change('U', 'K', ROW(BIG, "n", "n"), ROW("2", "3", "u")), "gone same; insert 2 3 unchanged");
    tear_down();
}

static void keys_that_cannot_be_read(void)
{
    uint8_t first[QUARANTINE_ID_BYTES];
    set_up(true, 'd', false);
    CHECK_STR(INSERT(BIG, "2", "[]"), "bad i 1/6B374848#1 id 22003 by bytes error 2 []");
    memcpy(first, last_identity, sizeof first);
    CHECK_STR(change('U', 0, NULL, ROW(BIG, "3", "u")),
              "bad u 1/6B374848#1 id 22003 by bytes error 3 unchanged");
    CHECK(memcmp(first, last_identity, sizeof first) == 0); /* whatever stands beside the key */
    CHECK_STR(change('D', 'K', ROW("88888888888", "n", "n"), NULL), "gone other");
    CHECK_STR(change('D', 'K', ROW(BIG, "n", "n"), NULL), "gone same");
    CHECK_STR(change('U', 'K', ROW(BIG, "n", "n"), ROW("88888888888", "n", "[]")),
              "gone same; bad u 1/6B374848#1 id 22003 by bytes error null []");
    tear_down();
}

static void full_identity(void)
{
    set_up(true, 'f', false);
    CHECK_STR(INSERT("1", "2", "[1"), "bad i 1/6B374848#1 doc 22P02 1 2 error");
    /* What the update leaves out is the old row's, readable or not. */
    CHECK_STR(change('U', 'O', ROW("1", "2", "[1"), ROW("1", "3", "u")),
              "bad u 1/6B374848#1 doc 22P02 1 3 error");
    CHECK_STR(change('U', 'O', ROW("1", "2", "[1"), ROW("1", "3", "[]")), "update 1 3 []");
    CHECK_STR(change('U', 'O', ROW("1", "2", "[]"), ROW("1", BIG, "u")),
              "bad u 1/6B374848#1 v 22003 1 error []");
    CHECK_STR(change('U', 'O', ROW("1", "2", "[1"), ROW("4", "3", "u")),
              "delete 1 2 error; bad u 1/6B374848#1 doc 22P02 4 3 error");
    CHECK_STR(change('D', 'O', ROW("1", "2", "[1"), NULL), "delete 1 null null");
    tear_down();
}

static void keyless(void)
{
    set_up(false, 'f', false);
    CHECK_STR(INSERT("1", "2", "[1"), "bad i 1/6B374848#1 doc 22P02 by bytes 1 2 error");
    CHECK_STR(change('D', 'O', ROW("1", "2", "[1"), NULL), "gone same");
    CHECK_STR(change('D', 'O', ROW("1", "3", "[1"), NULL), "gone other");
    CHECK_STR(change('U', 'O', ROW("1", "2", "[1"), ROW("1", "2", "[]")), "gone same; insert 1 2 []");
    CHECK_STR(change('U', 'O', ROW("1", "2", "[]"), ROW("1", "2", "[1")),
              "delete 1 2 []; bad u 1/6B374848#1 doc 22P02 by bytes 1 2 error");
    /* An unchanged value counts as the old row's: the same bytes, the same row. */
    CHECK_STR(change('U', 'O', ROW("1", "7", "[1"), ROW("1", "2", "u")),
              "gone other; bad u 1/6B374848#1 doc 22P02 by bytes 1 2 error");
    CHECK_STR(change('D', 'O', ROW("1", "2", "[1"), NULL), "gone same");
    tear_down();
}

static void what_stops(void)
{
    set_up(true, 'd', true);
    CHECK(strstr(INSERT("1", BIG, "[]"), "a value of column v cannot be read: ") != NULL);
    CHECK_STR(INSERT("1", "2", "[]"), "insert 1 2 []");
    tear_down();
    set_up(true, 'd', false); /* no way to know which row is no longer true */
    CHECK(strstr(change('U', 0, NULL, ROW("u", "2", "[]")), "an update came without column id of its key") !=
          NULL);
    table.quarantine_limit = 3;
    bad_rows = 2;
    CHECK_STR(INSERT("1", BIG, "[]"), "bad i 1/6B374848#1 v 22003 1 error []");
    bad_rows = 3;
    CHECK(strstr(INSERT("1", BIG, "[]"), "3 rows cannot be read, as many as quarantine_limit allows") !=
          NULL);
    bad_rows = 0;
    tear_down();
}

/* Each kind of value that a server may send and this program refuses; and that an unchecked text is looked at. */
static void kinds_of_values(void)
{
    static struct {
        enum type_id type;
        const char *text, *sqlstate;
        bool unchecked;
    } values[] = {
        {T_INT8, "9223372036854775808", "22003", false},
        {T_NUMERIC, "12x", "22P02", false},
        {T_DATE, "99999999-01-01", NULL, false},
        {T_TIMESTAMPTZ, "400000-01-01 00:00:00+00", "22008", false},
        {T_UUID, "nope", "22P02", false},
        {T_BYTEA, "\\xabc", NULL, false},
        {T_JSONB, "{\"a\":", "22P02", false},
        {(enum type_id)(T_ARRAYS + T_INT4), "{1,2", "22P02", false},
        {T_INT4RANGE, "[5,1)", NULL, false},
        {T_INET, "1.2.3.4.5", "22P02", false},
        {T_TEXT, "caf\xe9", "22021", true},
        {T_JSON, "\"\xff\"", "22021", true},
    };
    set_up(true, 'd', false);
    struct arena arena;
    arena_init(&arena);
    struct pg_reader r = {.run = &run, .ctx = {.arena = &arena}};
    struct type before = columns[1].type;
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        struct pg_bad bad = {.column = UINT32_MAX};
        union val v;
        uint8_t state = VAL_OK;
        columns[1].type = (struct type){values[i].type, -1};
        run.unchecked = values[i].unchecked;
        struct err *e =
            pg_value_read(&r, &table, 1, values[i].text, strlen(values[i].text), &v, &state, &bad);
        bool good = !e && state == VAL_ERROR && bad.column == 1 && bad.message[0] &&
                    strlen(bad.sqlstate) == 5 &&
                    (!values[i].sqlstate || strcmp(bad.sqlstate, values[i].sqlstate) == 0);
        if (!good)
            printf("# %s: state %d, %s %s\n", values[i].text, state, bad.sqlstate, bad.message);
        CHECK(good);
        err_free(e);
    }
    run.unchecked = false;
    columns[1].type = before;
    arena_fini(&arena);
    tear_down();
}

int main(void)
{
    RUN(keyed_by_default);
    RUN(keys_that_cannot_be_read);
    RUN(full_identity);
    RUN(keyless);
    RUN(what_stops);
    RUN(kinds_of_values);
    buf_fini(&told);
    buf_fini(&b);
    TEST_END();
}
