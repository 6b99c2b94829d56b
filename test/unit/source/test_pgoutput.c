/* The pgoutput decoder on hand-made byte streams, whole and cut short; LSN texts; positions; COPY rows. */
#include "base/buf.h"
#include "source/postgres/pg_copy.h"
#include "source/postgres/pg_position.h"
#include "source/postgres/pgoutput.h"
#include "test.h"

static struct pgo_message m;
static struct buf b;
static bool streamed; /* as between the start and the stop of a stream */

static void put(uint64_t v, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        buf_put_u8(&b, (uint8_t)(v >> (8 * i)));
}
static void put_string(const char *s)
{
    buf_put(&b, s, strlen(s) + 1);
}
static void start(char kind)
{
    buf_reset(&b);
    buf_put_u8(&b, (uint8_t)kind);
}
static void put_text(const char *s)
{
    buf_put_u8(&b, 't');
    put(strlen(s), 4);
    buf_put_str(&b, s);
}

/* Decodes from an allocation of exactly the size, so that a sanitizer sees any step past the end. */
static const char *decode(size_t len)
{
    uint8_t *copy = xmalloc(len + 1);
    memcpy(copy, b.p, len);
    const char *wrong = pgo_message_decode(copy, len, streamed, &m);
    free(copy);
    return wrong;
}
/* Every proper prefix must be refused. */
static void check_prefixes(void)
{
    for (size_t len = 0; len < b.len; len++)
        CHECK(decode(len) != NULL);
    CHECK(pgo_message_decode(b.p, b.len, streamed, &m) == NULL);
}

static void begin_and_commit(void)
{
    start('B');
    put(0x16B374848, 8);
    put(1000, 8);
    put(77, 4);
    check_prefixes();
    CHECK(m.kind == PGO_BEGIN && m.lsn == 0x16B374848 && m.commit_us == 1000 && m.xid == 77);
    start('C');
    put(0, 1);
    put(5, 8);
    put(9, 8);
    put(1001, 8);
    check_prefixes();
    CHECK(m.kind == PGO_COMMIT && m.lsn == 5 && m.end_lsn == 9 && m.commit_us == 1001);
}

static void relation(void)
{
    start('R');
    put(42, 4);
    put_string("public");
    put_string("t");
    buf_put_u8(&b, 'd');
    put(2, 2);
    put(1, 1);
    put_string("id");
    put(20, 4);
    put(0xffffffff, 4);
    put(0, 1);
    put_string("b");
    put(1700, 4);
    put(786438, 4);
    check_prefixes();
    CHECK(m.relid == 42 && m.column_count == 2 && m.replica_identity == 'd');
    CHECK_STR(m.schema, "public");
    CHECK_STR(m.name, "t");
    CHECK(m.columns[0].in_key && !m.columns[1].in_key);
    CHECK(m.columns[0].typmod == -1 && m.columns[1].typmod == 786438 && m.columns[1].type_oid == 1700);
    CHECK_STR(m.columns[1].name, "b");
}

static void rows(void)
{
    start('I');
    put(42, 4);
    buf_put_u8(&b, 'N');
    put(3, 2);
    put_text("12");
    buf_put_u8(&b, 'n');
    put_text("");
    check_prefixes();
    CHECK(m.relid == 42 && m.old_kind == 0 && m.new_row.field_count == 3);
    CHECK(m.new_row.fields[0].kind == PGO_TEXT && memcmp(m.new_row.fields[0].p, "12", 2) == 0);
    CHECK(m.new_row.fields[1].kind == PGO_NULL && m.new_row.fields[2].kind == PGO_TEXT);
    CHECK(m.new_row.fields[2].len == 0);
    start('U');
    put(42, 4);
    buf_put_u8(&b, 'K');
    put(2, 2);
    put_text("1");
    buf_put_u8(&b, 'n');
    buf_put_u8(&b, 'N');
    put(2, 2);
    put_text("2");
    buf_put_u8(&b, 'u');
    check_prefixes();
    CHECK(m.old_kind == 'K' && m.old_row.field_count == 2 && m.new_row.fields[1].kind == PGO_UNCHANGED);
    start('D');
    put(42, 4);
    buf_put_u8(&b, 'O');
    put(1, 2);
    put_text("1");
    check_prefixes();
    CHECK(m.old_kind == 'O' && m.new_row.field_count == 0);
}

static void truncate_many(void)
{
    start('T');
    put(2, 4);
    put(1, 1);
    put(42, 4);
    put(43, 4);
    check_prefixes();
    CHECK(m.relid_count == 2 && pgo_truncate_relid(&m, 0) == 42 && pgo_truncate_relid(&m, 1) == 43);
}

/* proto_version 2: what stands around parts of transactions in progress, and messages within them. */
static void streams(void)
{
    start('S');
    put(77, 4);
    put(1, 1);
    check_prefixes();
    CHECK(m.kind == PGO_STREAM_START && m.xid == 77);
    start('E');
    check_prefixes();
    CHECK(m.kind == PGO_STREAM_STOP);
    start('c');
    put(77, 4);
    put(0, 1);
    put(5, 8);
    put(9, 8);
    put(1001, 8);
    check_prefixes();
    CHECK(m.kind == PGO_STREAM_COMMIT && m.xid == 77 && m.lsn == 5 && m.end_lsn == 9 && m.commit_us == 1001);
    start('A');
    put(77, 4);
    put(78, 4);
    check_prefixes();
    CHECK(m.kind == PGO_STREAM_ABORT && m.xid == 77 && m.subxid == 78);
    streamed = true;
    start('E');
    check_prefixes();
    start('I');
    put(78, 4);
    put(42, 4);
    buf_put_u8(&b, 'N');
    put(1, 2);
    put_text("12");
    check_prefixes();
    CHECK(m.kind == PGO_INSERT && m.xid == 78 && m.relid == 42 && m.new_row.field_count == 1);
    start('T');
    put(78, 4);
    put(1, 4);
    put(0, 1);
    put(42, 4);
    check_prefixes();
    CHECK(m.xid == 78 && m.relid_count == 1 && pgo_truncate_relid(&m, 0) == 42);
    streamed = false;
}

static void refused(void)
{
    start('I'); /* an insert with an old row */
    put(42, 4);
    buf_put_u8(&b, 'K');
    put(1, 2);
    put_text("1");
    buf_put_u8(&b, 'N');
    put(1, 2);
    put_text("1");
    CHECK(decode(b.len) != NULL);
    start('D'); /* a delete with a new row */
    put(42, 4);
    buf_put_u8(&b, 'N');
    put(1, 2);
    put_text("1");
    CHECK(decode(b.len) != NULL);
    start('I'); /* more columns than a table can have */
    put(42, 4);
    buf_put_u8(&b, 'N');
    put(COLUMNS_MAX + 1, 2);
    for (int i = 0; i <= COLUMNS_MAX; i++)
        buf_put_u8(&b, 'n');
    CHECK(decode(b.len) != NULL);
    start('I'); /* a binary value */
    put(42, 4);
    buf_put_u8(&b, 'N');
    put(1, 2);
    buf_put_u8(&b, 'b');
    put(1, 4);
    buf_put_u8(&b, 1);
    CHECK(decode(b.len) != NULL);
    start('T'); /* a count that would overflow */
    put(0xffffffff, 4);
    put(0, 1);
    CHECK(decode(b.len) != NULL);
    start('S'); /* streamed transactions are never asked for */
    CHECK(decode(b.len) != NULL);
    start('O');
    CHECK(decode(b.len) == NULL);
}

static void frames(void)
{
    struct pgo_frame f;
    start('w');
    put(1, 8);
    put(2, 8);
    put(3, 8);
    buf_put_str(&b, "xyz");
    CHECK(pgo_frame_decode(b.p, b.len, &f) == NULL && f.kind == PGO_WAL && f.wal_start == 1 &&
          f.wal_end == 2);
    CHECK(f.len == 3 && memcmp(f.p, "xyz", 3) == 0);
    CHECK(pgo_frame_decode(b.p, 24, &f) != NULL);
    start('k');
    put(2, 8);
    put(3, 8);
    put(1, 1);
    CHECK(pgo_frame_decode(b.p, b.len, &f) == NULL && f.reply_requested && f.wal_end == 2);
    CHECK(pgo_frame_decode(b.p, b.len - 1, &f) != NULL);
    start('?');
    CHECK(pgo_frame_decode(b.p, b.len, &f) != NULL && pgo_frame_decode(b.p, 0, &f) != NULL);
    uint8_t status[PGO_STATUS_BYTES];
    pgo_status_encode(status, 0x0102, 0x03, -1, true);
    CHECK(status[0] == 'r' && status[7] == 1 && status[8] == 2 && status[16] == 3 && status[24] == 3);
    CHECK(status[25] == 0xff && status[33] == 1);
}

static void lsn_text(void)
{
    char text[PG_LSN_TEXT];
    pg_lsn lsn;
    CHECK_STR(pg_lsn_format(0x16000B3748, text), "16/B3748");
    CHECK_STR(pg_lsn_format(UINT64_MAX, text), "FFFFFFFF/FFFFFFFF");
    CHECK(pg_lsn_parse("16/B3748", &lsn) && lsn == 0x16000B3748);
    CHECK(pg_lsn_parse("FFFFFFFF/ffffffff", &lsn) && lsn == UINT64_MAX);
    CHECK(!pg_lsn_parse("16", &lsn) && !pg_lsn_parse("16/B3748x", &lsn) && !pg_lsn_parse("", &lsn));
    CHECK(!pg_lsn_parse(NULL, &lsn));
}

static void positions(void)
{
    struct pg_position p = {.phase = PG_PHASE_STREAMING,
                            .system_identifier = 7234567890123456789u,
                            .timeline = 3,
                            .lsn = 0x16000B3748},
                       q;
    struct pg_position_table tables[PG_POSITION_TABLES_MAX + 1];
    uint8_t bytes[SOURCE_POSITION_MAX];
    memset(p.slot, 's', PG_NAME_MAX);
    for (uint32_t i = 0; i <= PG_POSITION_TABLES_MAX; i++)
        tables[i] = (struct pg_position_table){60000 - i, 9, 4, 0, 0, 0};
    pg_position_set_tables(&p, tables, PG_POSITION_TABLES_MAX);
    size_t len = pg_position_encode(&p, bytes);
    CHECK(len <= SOURCE_POSITION_MAX && pg_position_decode(bytes, len, &q));
    CHECK(q.phase == p.phase && q.lsn == p.lsn && q.timeline == 3 &&
          q.system_identifier == p.system_identifier);
    CHECK_STR(q.slot, p.slot);
    for (size_t cut = 0; cut < len; cut++)
        CHECK(!pg_position_decode(bytes, cut, &q));
    bytes[1] = 9; /* an unknown phase */
    CHECK(!pg_position_decode(bytes, len, &q));
    bytes[0] = 3; /* another format */
    CHECK(!pg_position_decode(bytes, len, &q));
}

static void positions_cover(void)
{
    struct pg_position p = {.phase = PG_PHASE_STREAMING}, q;
    struct pg_position_table taken[] = {{30, 5, 2, 0, 0, 0}, {10, 3, 3, 0, 0, 0}, {20, 1, 1, 0, 0, 0}};
    struct pg_position_table fewer[] = {{10, 8, 3, 0, 0, 0}}, newer[] = {{30, 6, 6, 0, 0, 0}},
                             more[] = {{10, 3, 3, 0, 0, 0}, {40, 1, 1, 0, 0, 0}};
    uint8_t bytes[SOURCE_POSITION_MAX];
    pg_position_set_tables(&p, taken, 3);
    CHECK(pg_position_decode(bytes, pg_position_encode(&p, bytes), &q));
    CHECK(!pg_position_gap(&q, taken, 3) && !pg_position_gap(&q, fewer, 1));
    CHECK(pg_position_gap(&q, newer, 1) && pg_position_gap(&q, more, 2));
    CHECK(!pg_position_gap(&q, NULL, 0));
    struct pg_position_table many[PG_POSITION_TABLES_MAX + 5];
    for (uint32_t i = 0; i < ARRAY_COUNT(many); i++)
        many[i] = (struct pg_position_table){i, 4, 4, 0, 0, 0};
    pg_position_set_tables(&p, many, ARRAY_COUNT(many));
    CHECK(!p.listed && pg_position_decode(bytes, pg_position_encode(&p, bytes), &q));
    many[3].attnum_max = 5; /* a column more, not read */
    CHECK(!pg_position_gap(&q, many, ARRAY_COUNT(many)));
    many[3].attnum_used = 5;
    CHECK(pg_position_gap(&q, many, ARRAY_COUNT(many)));
}

static void positions_tell_changes(void)
{
    struct pg_position p = {.phase = PG_PHASE_STREAMING}, q;
    const struct pg_position_table as_taken = {10, 3, 3, 7, 8, 9};
    struct pg_position_table now = as_taken;
    uint8_t bytes[SOURCE_POSITION_MAX];
    pg_position_set_tables(&p, &now, 1);
    CHECK(pg_position_decode(bytes, pg_position_encode(&p, bytes), &q));
    CHECK(!pg_position_gap(&q, &now, 1));
    now.published = 1;
    CHECK(strstr(pg_position_gap(&q, &now, 1), "publication"));
    now = as_taken;
    now.columns = 1; /* NOT NULL, a default: the values stayed */
    CHECK(!pg_position_gap(&q, &now, 1));
    now.file = 1;
    CHECK(strstr(pg_position_gap(&q, &now, 1), "rewritten"));
    now.columns = as_taken.columns; /* TRUNCATE, VACUUM FULL */
    CHECK(!pg_position_gap(&q, &now, 1));
    /* A position of format 1 knows nothing of it: slot "s", nothing else, one table. */
    static const uint8_t former[] = {1, 2, 1, 's', 0, 0, 0, 0, 0, 0, 0, 5, 0, 0,  0, 1,
                                     0, 0, 0, 0,   0, 0, 0, 4, 1, 1, 0, 0, 0, 10, 0, 3};
    CHECK(pg_position_decode(former, sizeof former, &q));
    CHECK(q.table_count == 1 && q.tables[0].attnum_max == 3 && !pg_position_gap(&q, &now, 1));
    struct pg_position_table many[PG_POSITION_TABLES_MAX + 1];
    for (uint32_t i = 0; i < ARRAY_COUNT(many); i++)
        many[i] = (struct pg_position_table){i, 4, 4, 1, 1, 1};
    pg_position_set_tables(&p, many, ARRAY_COUNT(many));
    many[2].columns = many[3].columns = 2;
    CHECK(!pg_position_gap(&p, many, ARRAY_COUNT(many)));
    many[3].file = 2;
    CHECK(pg_position_gap(&p, many, ARRAY_COUNT(many)));
    many[2].columns = many[3].columns = 1;
    CHECK(!pg_position_gap(&p, many, ARRAY_COUNT(many)));
    many[2].published = 2;
    CHECK(pg_position_gap(&p, many, ARRAY_COUNT(many)));
}

static void copy_rows(void)
{
    struct pg_copy_field f[4];
    char row[] = "12\t\\N\ta\\tb\\\\c\\nd\t\n";
    CHECK(pg_copy_split(row, strlen(row), f, 4) == 4);
    CHECK(f[0].len == 2 && memcmp(f[0].p, "12", 2) == 0 && !f[1].p);
    CHECK(f[2].len == 7 && memcmp(f[2].p, "a\tb\\c\nd", 7) == 0 && f[3].p && f[3].len == 0);
    char backslash_n[] = "\\\\N\n", alone[] = "\\", empty[] = "\n", many[] = "1\t2\t3";
    CHECK(pg_copy_split(backslash_n, 4, f, 4) == 1 && f[0].len == 2 && memcmp(f[0].p, "\\N", 2) == 0);
    CHECK(pg_copy_split(alone, 1, f, 4) == 1 && f[0].len == 1);
    CHECK(pg_copy_split(empty, 1, f, 4) == 1 && f[0].p && f[0].len == 0);
    CHECK(pg_copy_split(many, 5, f, 2) == 3);
}

int main(void)
{
    RUN(begin_and_commit);
    RUN(relation);
    RUN(rows);
    RUN(truncate_many);
    RUN(streams);
    RUN(refused);
    RUN(frames);
    RUN(lsn_text);
    RUN(positions);
    RUN(positions_cover);
    RUN(positions_tell_changes);
    RUN(copy_rows);
    buf_fini(&b);
    TEST_END();
}
