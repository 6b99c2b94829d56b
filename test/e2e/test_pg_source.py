#!/usr/bin/python3
"""The postgres source by itself (test/tools/source_dump.c) against a real server: snapshot and stream without gap or
overlap, every type, replica identities, resuming, lost connections, changed tables, TLS and error texts. What the
changes add up to is compared with what the server says."""

import copy
import os
import random
import signal
import subprocess
import threading
import time

import psycopg2

from lib import pg, procs
from lib.report import Report
from lib.source_dump import Dump, describe, fresh, printed, same, tool

SERVER = "max_slot_wal_keep_size = -1\nmax_prepared_transactions = 5\nautovacuum = off\n"


# ---- snapshot and stream ----

def snapshot_with_writers(report, server, c):
    fresh(c, """
        CREATE TABLE big (id int PRIMARY KEY, v int, pad text);
        INSERT INTO big SELECT i, 0, repeat('x', 100) FROM generate_series(1, 60000) i;
        CREATE TABLE log (v int, w int); ALTER TABLE log REPLICA IDENTITY FULL;
        INSERT INTO log SELECT i % 50, 0 FROM generate_series(1, 2000) i;""")
    stop = threading.Event()

    def write(seed):
        rng, w = random.Random(seed), server.connect(autocommit=False)
        while not stop.is_set():
            with w.cursor() as cur:
                for _ in range(rng.randint(1, 20)):
                    i = rng.randint(1, 70000)
                    cur.execute(rng.choice([
                        "UPDATE big SET v = v + 1 WHERE id = %d" % i,
                        "DELETE FROM big WHERE id = %d" % i,
                        "INSERT INTO big VALUES (%d, 1, 'new') ON CONFLICT (id) DO UPDATE SET v = big.v + 100" % i,
                        "UPDATE big SET id = -id WHERE id = %d AND NOT EXISTS (SELECT 1 FROM big b WHERE b.id = -%d)" % (i, i),
                        "INSERT INTO log VALUES (%d, 1)" % (i % 50),
                        "DELETE FROM log WHERE ctid = (SELECT ctid FROM log WHERE v = %d LIMIT 1)" % (i % 50),
                        "UPDATE log SET w = w + 1 WHERE v = %d AND w < 3" % (i % 50)]))
            try:
                w.commit() if rng.random() < 0.8 else w.rollback()
            except psycopg2.Error:
                w.rollback()
        w.close()

    def writer(seed):
        while not stop.is_set():
            try:
                write(seed)
            except psycopg2.Error:
                pass

    threads = [threading.Thread(target=writer, args=(i,)) for i in range(2)]
    for t in threads:
        t.start()
    d = Dump({"url": server.url(), "tables": "[big, log]", "snapshot_chunk": "256KiB"}).streaming()
    time.sleep(1)
    stop.set()
    for t in threads:
        t.join()
    d.until(pg.lsn(c))
    same(report, "snapshot-concurrent-keyed", c, d, "big")
    same(report, "snapshot-concurrent-keyless", c, d, "log")
    lanes = {e["lane"] for e in d.events if e["op"] == "insert"}
    report.check("snapshot-parallel", len(lanes) >= 4, "lanes used: %r" % lanes)
    kinds = [e["op"] for e in d.events if e["op"] in ("snapshot_begin", "barrier", "snapshot_end")]
    report.equal("snapshot-order", kinds, ["snapshot_begin", "barrier", "barrier", "snapshot_end"])
    d.stop()


TYPES = [
    ("b", "boolean", ["true", "false"]),
    ("i2", "smallint", ["-32768", "32767", "0"]),
    ("i4", "integer", ["-2147483648", "2147483647"]),
    ("i8", "bigint", ["-9223372036854775808", "9223372036854775807", "123456789012345678"]),
    ("f4", "real", ["1.1", "-0", "NaN", "Infinity", "1e-45", "3.4028235e38", "0.1"]),
    ("f8", "double precision", ["1.1", "-0", "NaN", "-Infinity", "5e-324", "1.7976931348623157e308", "0.30000000000000004"]),
    ("n", "numeric", ["0", "-0.00", "123456789012345678901234567890.123456789", "NaN", "Infinity", "-Infinity", "1e-100",
                      "0.1", "-99999999999999999999", "1" + "0" * 200, "999999999999999999", "9999999999999999.99"]),
    ("n2", "numeric(12,2)", ["-9999999999.99", "0.01", "5"]),
    ("n3", "numeric(5,-2)", ["1234567"]),
    ("t", "text", ["", "a\tb\nc\\d\re\bf", "\\N", "null", "Zürich 東京 🚀", "x" * 3000]),
    ("vc", "varchar(5)", ["abc", "äöüß€", ""]),
    ("bc", "char(6)", ["ab", ""]),
    ("by", "bytea", ["\\x", "\\x00ff5c0a09", "\\x" + "ab" * 500]),
    ("d", "date", ["2000-01-01", "0001-01-01", "4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "2024-02-29"]),
    ("ti", "time", ["00:00:00", "23:59:59.999999", "24:00:00", "12:34:56.5"]),
    ("ti3", "time(3)", ["12:34:56.7894"]),
    ("ts", "timestamp", ["2026-01-02 03:04:05.678901", "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59.999999", "infinity"]),
    ("tz", "timestamptz", ["2026-07-01 12:00:00+02", "1969-12-31 23:59:59.999999-05", "-infinity", "1900-01-01 00:00:00+00"]),
    ("iv", "interval", ["1 year 2 mons 3 days 04:05:06.789", "-1 mons +2 days -00:00:01", "0", "178000000 years",
                        "2562047788:00:54.775807"]),
    ("u", "uuid", ["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    ("j", "json", ['{"b": 1, "a": [1,2,  3], "a": null}', '"\\u00e9"', "1e400"]),
    ("jb", "jsonb", ['{"b": 1, "a": [1,2,  3], "aa": {"x": 1.50}}', '"\\u00e9\\n"', "null", "1.10e2"]),
    ("ai", "integer[]", ["{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={7,8}", "[-1:-1][2:3]={{1,NULL}}"]),
    ("at", "text[]", ['{a,"b c",NULL,"NULL","","q\\"\\\\"}', '{"\t\n",é🚀,"{","}",","}']),
    ("an", "numeric(10,2)[]", ["{1,NaN,-0.005}", "{123456789012345678901234567890}".replace("89012345678901234567890", "8")]),
    ("av", "varchar(5)[]", ["{abc,äöü}"]), ("ac", "char(3)[]", ["{a,bcd,NULL}"]), ("ab", "boolean[]", ["{t,f,NULL}"]),
    ("ay", "bytea[]", ['{"\\\\x00ff",""}']), ("atz", "timestamptz[]", ['{"2026-07-01 12:00:00+02",infinity}']),
    ("af", "double precision[]", ["{NaN,-0,0.1,Infinity}"]), ("aiv", "interval[]", ["{1 year,-00:00:01}"]),
    ("au", "uuid[]", ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
    ("aj", "json[]", ['{"{\\"b\\": 1,  \\"b\\": 2}",NULL}']), ("ajb", "jsonb[]", ['{"{\\"b\\": 1,  \\"a\\": 1.50}"}']),
    ("r4", "int4range", ["[1,5)", "empty", "(,)"]), ("r8", "int8range", ["[1,5]"]), ("rn", "numrange", ["[1.50,2)", "(,NaN]"]), ("rd", "daterange", ["[2020-01-01,infinity]"]),
    ("rts", "tsrange", ["[2020-01-01 10:00,]", "empty"]), ("rtz", "tstzrange", ["(2020-01-01 10:00+02,infinity)"]), ("m4", "int4multirange", ["{[1,5),[7,9)}", "{}"]),
    ("m8", "int8multirange", ["{(,1)}"]), ("mn", "nummultirange", ["{[1.50,2]}"]), ("md", "datemultirange", ["{[2020-01-01,2020-01-03)}"]),
    ("mts", "tsmultirange", ["{[2020-01-01 10:00,)}"]), ("mtz", "tstzmultirange", ["{[2020-01-01 10:00+02,infinity)}"]), ("ar", "int4range[]", ['{"[1,5)",NULL,empty}']),
    ("ad", "date[]", ["{2000-01-01,infinity}"]), ("a8", "bigint[]", ["{-9223372036854775808}"]), ("a2", "smallint[]", ["{1}"]),
]


def types_of(version):
    """Multiranges and infinite numerics came with PostgreSQL 14, negative scales and the longest intervals with 15."""
    if version >= 150000:
        return TYPES
    found = [("n3", "numeric(5,0)", ["12346"]) if t[0] == "n3" else t for t in TYPES]
    found = [(n, t, [v for v in values if v != "2562047788:00:54.775807"]) for n, t, values in found]
    if version >= 140000:
        return found
    return [(n, t, [v for v in values if n != "n" or "Infinity" not in v]) for n, t, values in found if "multirange" not in t]


def types(report, server, c):
    known = types_of(c.server_version)
    fresh(c, "CREATE TABLE types (id serial PRIMARY KEY, %s)" % ", ".join("%s %s" % t[:2] for t in known))

    def fill():
        for i in range(max(len(t[2]) for t in known)):
            values = [t[2][i] if i < len(t[2]) else None for t in known]
            with c.cursor() as cur:
                cur.execute("INSERT INTO types (%s) VALUES (%s)" % (", ".join(t[0] for t in known), ", ".join(
                    "%s::" + t[1] for t in known)), values)

    fill()
    d = Dump({"url": server.url(), "tables": "[types]"}).streaming()
    columns = ["id"] + [t[0] for t in known]
    # type_output prints floats as extra_float_digits = 1 does, and so does the server by default.
    same(report, "types-snapshot", c, d, "types", columns)
    fill()
    pg.script(c, "UPDATE types SET i4 = 7 WHERE id % 2 = 0")
    d.until(pg.lsn(c))
    for i, column in enumerate(columns):
        got = {r[0]: r[i] for r in d.rows("types")}
        expected = dict(pg.rows(c, "SELECT id::text, %s FROM types" % printed(column)))
        bad = {k: (got.get(k), v) for k, v in expected.items() if got.get(k) != v}
        report.check("types-stream-" + column, not bad and len(got) == len(expected), "got, expected: %.300r" % bad)
    report.equal("types-modifiers", (d.columns["types"]["n2"], d.columns["types"]["vc"], d.columns["types"]["ti3"],
                                           d.columns["types"]["an"]),
                 ("numeric(12,2)", "character varying(5)", "time(3) without time zone", "numeric(10,2)[]"))
    d.stop()


# What no column can be but as its text: type, as the server calls it, a value.
UNSUPPORTED = [("pair", "public.pair", "(1,x)"), ("pair[]", "public.pair[]", '{"(1,x)",NULL}'), ("span[]", "public.span[]", '{"[1.5,2)"}'),
               ("span", "public.span", "[1.5,2)"), ("hstore", "public.hstore", '"a"=>"1"'), ("point", "point", "(1,2)"), ("box", "box", "(3,4),(1,2)"), ("polygon", "polygon", "((0,0),(1,1))"),
               ("circle", "circle", "<(1,2),3>"), ("path", "path", "((0,0),(1,1))"), ("lseg", "lseg", "[(0,0),(1,1)]"), ("line", "line", "{1,2,3}"), ("tsvector", "tsvector", "'a' 'b':1"),
               ("tsquery", "tsquery", "'a' & 'b'"), ("bit(3)", "bit(3)", "101"), ("bit varying(5)", "bit varying(5)", "10"), ("money", "money", "$1.50"), ("xml", "xml", "<a/>"),
               ('"char"', '"char"', "q"), ("name", "name", "n"), ("oid", "oid", "7"), ("macaddr8", "macaddr8", "08:00:2b:01:02:03:04:05"), ("pg_lsn", "pg_lsn", "0/1"),
               ("tags[]", "public.tags[]", '{"{a}"}'), ("regclass", "regclass", "pg_class")]


def unsupported(report, server, c):
    """A table with a column of a type that is not supported is refused by name; it can be taken without the column, or as text."""
    columns = ["u%d" % i for i in range(len(UNSUPPORTED))]
    fresh(c, """CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN cents AS numeric(10,2) CHECK (value >= 0);
        CREATE DOMAIN tip AS cents; CREATE DOMAIN tags AS text[]; CREATE DOMAIN feeling AS mood; CREATE TYPE pair AS (a int, b text); CREATE TYPE span AS RANGE (subtype = numeric); CREATE EXTENSION IF NOT EXISTS hstore;
        CREATE TABLE odd (id int PRIMARY KEY, m mood, a mood[], z timetz, c tip, ct tip[], cf feeling[], tg tags, %s,
                          g int GENERATED ALWAYS AS (id * 2) STORED);
        INSERT INTO odd (id, m, a, z, c, ct, cf, tg) VALUES (1, 'ok', '{ok,NULL,sad}', '12:00:00+02', 1.5, '{1.5,NULL}', '{sad}', '{x}')""" % ", ".join("%s %s" % (n, t[0]) for n, t in zip(columns, UNSUPPORTED)))
    with c.cursor() as cur:
        cur.execute("UPDATE odd SET " + ", ".join("%s = %%s" % n for n in columns), [t[2] for t in UNSUPPORTED])
    c.commit()
    d, text = describe({"url": server.url(), "tables": "[odd]"})
    for n, (_, shown, _) in zip(columns, UNSUPPORTED):
        report.check("unsupported-refused/" + shown, d.process.returncode == 1 and "table public.odd: column %s has type %s, which is not supported" % (n, shown) in text, text[:2000])
    report.check("supported-not-refused", "column m " not in text and "column a " not in text and "column z " not in text and "column c " not in text, text[:2000])
    d = Dump({"url": server.url(), "tables": "[{ table: odd, columns: [id, m, a, z, c, ct, cf, tg] }]"}).streaming()
    same(report, "unsupported-left-out", c, d, "odd", ["id", "m", "a", "z", "c", "ct", "cf", "tg"])
    report.check("unsupported-left-out-columns", not any(n in d.columns["odd"] for n in columns))
    d.stop()
    report.check("unsupported-remedy", "unsupported: text" in text, text)
    d = Dump({"url": server.url(), "tables": "[{ table: odd, unsupported: text }]"}).streaming()
    pg.script(c, "INSERT INTO odd (id, m, a, c) VALUES (2, 'sad', '{}', 2)")
    d.until(pg.lsn(c))
    same(report, "unsupported-as-text", c, d, "odd")
    report.equal("domain-base-type", [d.columns["odd"][n] for n in ("c", "ct", "tg")], ["numeric(10,2)", "numeric(10,2)[]", "text[]"])
    report.check("generated-left-out", "g" not in d.columns["odd"])
    d.stop()


def many_enums(report, server, c):
    """ENUM_TYPES_MAX types are known, one more is refused, and can be taken as text."""
    most = 64
    fresh(c, "".join("CREATE TYPE kind%d AS ENUM ('a', 'b');" % i for i in range(most + 1))
          + "CREATE TABLE many (id int PRIMARY KEY, %s)" % ", ".join("k%d kind%d" % (i, i) for i in range(most + 1)))
    d, text = describe({"url": server.url(), "tables": "[{ table: many, columns: [id, %s] }]" % ", ".join("k%d" % i for i in range(most))})
    report.check("many-enums-at-the-limit", d.process.returncode == 0, text[:500])
    d, text = describe({"url": server.url(), "tables": "[many]"})
    report.check("many-enums-past-the-limit", d.process.returncode == 1 and "there are more than %d enum types in all" % most in text
                 and text.count("enum types in all") == 1, text[:800])
    d, text = describe({"url": server.url(), "tables": "[{ table: many, unsupported: text }]"})
    report.equal("many-enums-as-text", d.process.returncode, 0)


def toast(report, server, c):
    fresh(c, """CREATE TABLE toasty (id int PRIMARY KEY, n int, big text, more text);
        ALTER TABLE toasty ALTER big SET STORAGE EXTERNAL, ALTER more SET STORAGE EXTERNAL;
        INSERT INTO toasty SELECT i, 0, repeat('abc' || i, 5000), repeat('z' || i, 5000) FROM generate_series(1, 4) i""")
    d = Dump({"url": server.url(), "tables": "[toasty]"}).streaming()
    pg.script(c, "UPDATE toasty SET n = 1; UPDATE toasty SET big = NULL WHERE id = 1; UPDATE toasty SET id = 10 WHERE id = 2;"
                 "UPDATE toasty SET big = repeat('new', 4000) WHERE id = 3")
    d.until(pg.lsn(c))
    same(report, "toast-unchanged", c, d, "toasty")
    unchanged = [e for e in d.events if e["op"] in ("update", "move") and isinstance(e["row"]["big"], dict)]
    report.check("toast-marked", len(unchanged) >= 5, "only %d unchanged" % len(unchanged))
    pg.script(c, "ALTER TABLE toasty REPLICA IDENTITY FULL")
    pg.script(c, "UPDATE toasty SET n = 9; UPDATE toasty SET id = id + 100")
    d.until(pg.lsn(c))
    same(report, "toast-full", c, d, "toasty")
    d.stop()


def identities(report, server, c):
    fresh(c, """CREATE TABLE k (a int, b text, v int, PRIMARY KEY (b, a));
        CREATE TABLE ix (id int PRIMARY KEY, code text NOT NULL, v int); CREATE UNIQUE INDEX ix_code ON ix (code);
        ALTER TABLE ix REPLICA IDENTITY USING INDEX ix_code;
        CREATE TABLE kf (id int PRIMARY KEY, v int); ALTER TABLE kf REPLICA IDENTITY FULL;
        CREATE TABLE bag (v int, w text); ALTER TABLE bag REPLICA IDENTITY FULL;
        CREATE TABLE def (id int PRIMARY KEY DEFERRABLE, v int); ALTER TABLE def REPLICA IDENTITY FULL;
        INSERT INTO k SELECT i, 'k' || i, i FROM generate_series(1, 9) i; INSERT INTO ix SELECT i, 'c' || i, i FROM generate_series(1, 9) i;
        INSERT INTO kf SELECT i, i FROM generate_series(1, 9) i; INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, NULL);
        INSERT INTO def VALUES (1, 10), (2, 20)""")
    d = Dump({"url": server.url(), "tables": "[k, ix, kf, bag, def]"}).streaming()
    report.equal("keys", d.keys, {"k": ["b", "a"], "ix": ["code"], "kf": ["id"], "bag": [], "def": []})
    pg.script(c, """UPDATE k SET a = a + 100 WHERE a < 5; UPDATE k SET v = 0; DELETE FROM k WHERE b = 'k9';
        UPDATE ix SET id = id + 100; UPDATE ix SET code = 'd' || id WHERE v < 4; DELETE FROM ix WHERE v = 7;
        UPDATE kf SET id = -id WHERE id < 4; UPDATE kf SET v = 7; DELETE FROM kf WHERE id = 9;
        DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag WHERE v = 1); UPDATE bag SET w = 'b' WHERE v = 2; INSERT INTO bag VALUES (NULL, NULL);
        BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE def SET id = 3 - id; COMMIT""")
    d.until(pg.lsn(c))
    for t in ("k", "ix", "kf", "bag", "def"):
        same(report, "identity-" + t, c, d, t)
    report.check("identity-moves", d.seen("move") == 4 + 3 + 3, "%d moves" % d.seen("move"))
    d.stop()
    pg.script(c, "ALTER TABLE k REPLICA IDENTITY NOTHING; CREATE TABLE nokey (a int)")
    d, text = describe({"url": server.url(), "tables": "[k, nokey]"})
    report.check("identity-refused", d.process.returncode == 2 and 'ALTER TABLE "public"."k" REPLICA IDENTITY DEFAULT' in text
                 and 'ALTER TABLE "public"."nokey" REPLICA IDENTITY FULL' in text, text)


def truncate(report, server, c):
    fresh(c, """CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent);
        CREATE TABLE other (id int PRIMARY KEY);
        INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1); INSERT INTO other VALUES (1)""")
    d = Dump({"url": server.url(), "tables": "[parent, child]"}).streaming()
    pg.script(c, "BEGIN; INSERT INTO parent VALUES (3); TRUNCATE parent CASCADE; INSERT INTO parent VALUES (4); COMMIT; TRUNCATE other")
    d.until(pg.lsn(c))
    same(report, "truncate-cascade-parent", c, d, "parent")
    same(report, "truncate-cascade-child", c, d, "child")
    d.stop()


def names(report, server, c):
    fresh(c, """CREATE SCHEMA "Sales.X"; CREATE TABLE "Sales.X"."Or""ders" ("Id" int PRIMARY KEY, "select" text, "a b\\c" int);
        INSERT INTO "Sales.X"."Or""ders" VALUES (1, 'x', 2)""")
    d = Dump({"url": server.url(), "tables": """[{ table: '"Sales.X"."Or""ders"', as: orders }]""", "slot": "odd_slot",
              "publication": "'Pub \"odd\" ''x'"}).streaming()
    pg.script(c, """UPDATE "Sales.X"."Or""ders" SET "a b\\c" = 3""")
    d.until(pg.lsn(c))
    report.equal("names-quoted", d.rows("orders"), [("1", "x", "3")])
    d.stop()
    pg.script(c, """DROP SCHEMA "Sales.X" CASCADE; DROP PUBLICATION "Pub ""odd"" 'x" """)


# ---- resuming ----

def resume(report, server, c):
    fresh(c, "CREATE TABLE r (id int PRIMARY KEY, v int); INSERT INTO r SELECT i, 0 FROM generate_series(1, 100) i")
    config = {"url": server.url(), "tables": "[r]"}
    d = Dump(config).streaming()
    for i in range(5):
        pg.script(c, "UPDATE r SET v = v + 1 WHERE id %% 3 = %d; INSERT INTO r VALUES (%d, 0)" % (i % 3, 1000 + i))
        d.stop(signal.SIGKILL if i % 2 else signal.SIGTERM)
        pg.script(c, "DELETE FROM r WHERE id = %d; UPDATE r SET id = id + 5000 WHERE id = %d" % (i + 1, i + 50))
        d = Dump(config, before=d).streaming()
        d.until(pg.lsn(c))
        same(report, "resume-%d" % i, c, d, "r")
        report.check("resume-%d-no-snapshot" % i, d.seen("snapshot_begin") == 0 and d.seen("snapshot_end") >= 1)
    d.stop()


def idle(report, server, c):
    fresh(c, "CREATE TABLE quiet (id int PRIMARY KEY); CREATE TABLE noisy (v text)")
    d = Dump({"url": server.url(), "tables": "[quiet]"}).streaming()
    goal = None
    for _ in range(3):
        pg.script(c, "INSERT INTO noisy SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        goal = pg.lsn(c)
    confirmed = "SELECT confirmed_flush_lsn >= '%s' FROM pg_replication_slots WHERE slot_name = 'penstock_core'" % goal
    deadline = time.monotonic() + 15
    while not pg.value(c, confirmed) and time.monotonic() < deadline:
        time.sleep(0.1)
    report.check("idle-confirmed-advances", pg.value(c, confirmed), d.tail())
    d.stop()
    d = Dump({"url": server.url(), "tables": "[quiet]"}, "--not-durable", before=d).streaming()
    before = pg.value(c, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots")
    pg.script(c, "INSERT INTO quiet VALUES (1); INSERT INTO noisy VALUES ('x')")
    d.until(pg.lsn(c))
    time.sleep(1)
    report.equal("not-durable-not-confirmed", pg.value(c, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots"), before)
    d.stop()


def lost_connection(report, server, c):
    fresh(c, "CREATE TABLE l (id int PRIMARY KEY, v int); CREATE TABLE lb (v int); ALTER TABLE lb REPLICA IDENTITY FULL")
    for mode, options in (("rollback", []), ("keep", ["--keep"])):
        pg.script(c, "TRUNCATE l, lb")
        d = Dump({"url": server.url(), "tables": "[l, lb]"}, *options).streaming()
        stop = threading.Event()

        def cut():
            k = server.connect()
            while not stop.is_set():
                pg.script(k, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL")
                time.sleep(random.uniform(0.05, 0.4))
            k.close()

        t = threading.Thread(target=cut)
        t.start()
        for i in range(6):
            pg.script(c, "BEGIN; INSERT INTO l SELECT i, 0 FROM generate_series(%d, %d) i; INSERT INTO lb SELECT i FROM generate_series(1, 20000) i;"
                         "UPDATE l SET id = -id WHERE id %% 100 = 1 AND id > 0; COMMIT" % (i * 20000 + 1, i * 20000 + 20000))
        time.sleep(2)
        stop.set()
        t.join()
        d.until(pg.lsn(c), 60)
        same(report, "lost-%s-keyed" % mode, c, d, "l")
        same(report, "lost-%s-keyless" % mode, c, d, "lb")
        retries = sum(1 for s, _ in d.states if s == "retrying")
        report.check("lost-%s-retried" % mode, retries >= 2 and d.seen("snapshot_begin") == 1, "%d retries" % retries)
        d.stop()


def server_restart(report, server, c):
    fresh(c, "CREATE TABLE s (id int PRIMARY KEY)")
    d = Dump({"url": server.url(), "tables": "[s]"}).streaming()
    pg.script(c, "INSERT INTO s VALUES (1)")
    c.close()
    server.stop(signal.SIGINT)
    d.wait("retrying", lambda x: any(s == "retrying" for s, _ in x.states))
    time.sleep(1)
    server.start()
    c = server.connect()
    pg.script(c, "INSERT INTO s VALUES (2)")
    d.until(pg.lsn(c))
    same(report, "server-restart", c, d, "s")
    report.check("server-restart-said", any("refused" in e or "terminat" in e or "shut" in e or "closed" in e
                                            for s, e in d.states if s == "retrying"), repr(d.states))
    c.close()
    server.stop(signal.SIGQUIT)
    server.start()
    c = server.connect()
    pg.script(c, "INSERT INTO s VALUES (3)")
    d.until(pg.lsn(c))
    same(report, "server-crash", c, d, "s")
    d.stop()
    return c


def snapshot_again(report, server, c):
    fresh(c, "CREATE TABLE a (id int PRIMARY KEY, v int); INSERT INTO a SELECT i, i FROM generate_series(1, 50) i")
    config = {"url": server.url(), "tables": "[a]"}
    d = Dump(config).streaming().stop()
    cases = [
        ("slot-gone", "SELECT pg_drop_replication_slot('penstock_core')", "slot is gone"),
        ("slot-moved", "INSERT INTO a VALUES (777, 1); SELECT pg_replication_slot_advance('penstock_core', pg_current_wal_lsn())", "moved on past"),
        ("table-made-anew", "DROP TABLE a; CREATE TABLE a (id int PRIMARY KEY, v int); INSERT INTO a VALUES (5, 6)", "snapshot did not hold"),
        ("column-made-anew", "ALTER TABLE a DROP v; ALTER TABLE a ADD v int DEFAULT 9", "snapshot did not hold"),
        ("publication-gone", "DROP PUBLICATION penstock; INSERT INTO a VALUES (99, 1)", "publication was changed"),
    ]
    for name, sql, reason in cases:
        time.sleep(0.3)
        for statement in sql.split(";"):
            pg.script(c, statement)
        d = Dump(config, before=d).streaming()
        pg.script(c, "INSERT INTO a VALUES (%d, 0)" % random.randint(1000, 10 ** 6))
        d.until(pg.lsn(c))
        same(report, "again-" + name, c, d, "a")
        report.check("again-%s-said" % name, reason in open(d.log).read() and d.seen("snapshot_begin") == 1, d.tail())
        d.stop()
    os.unlink(d.position)
    d = Dump(config, before=d).streaming()
    report.check("fresh-data-old-slot", "dropping the replication slot" in open(d.log).read(), d.tail())
    other = Dump(config)
    other.wait("refusal", lambda x: any("is in use by server process" in e for _, e in x.states))
    report.ok("slot-of-another-refused")
    other.stop()
    d.stop()


def snapshot_killed(report, server, c):
    fresh(c, "CREATE TABLE sk (id int PRIMARY KEY, pad text); INSERT INTO sk SELECT i, repeat('p', 200) FROM generate_series(1, 60000) i")
    config = {"url": server.url(), "tables": "[sk]", "snapshot_connections": "2", "snapshot_chunk": "1MiB"}
    d = Dump(config)
    d.wait("rows", lambda x: x.seen("insert") > 5000)
    d.stop(signal.SIGKILL)
    pg.script(c, "DELETE FROM sk WHERE id % 2 = 0")
    d = Dump(config, before=d).streaming()
    d.until(pg.lsn(c))
    same(report, "snapshot-killed", c, d, "sk")
    report.check("snapshot-killed-said", "snapshot was not finished" in open(d.log).read(), d.tail())
    d.stop()


# ---- tables that change ----

def schema_changes(report, server, c):
    config = {"url": server.url(), "tables": "[t]"}
    cases = [("dropped", "ALTER TABLE t DROP b", "column b was dropped or renamed"),
             ("renamed", "ALTER TABLE t RENAME b TO bb", "column b was dropped or renamed"),
             ("retyped", "ALTER TABLE t ALTER b TYPE numeric(10,4)", "column b has another type"),
             ("retyped-text", "ALTER TABLE t ALTER b TYPE text", "column b has another type"),
             ("readded", "ALTER TABLE t DROP b; ALTER TABLE t ADD b numeric(10,2) DEFAULT 4", "dropped and added again"),
             ("table-renamed", "ALTER TABLE t RENAME TO t2; CREATE VIEW t AS SELECT * FROM t2; CREATE RULE i AS ON INSERT TO t DO INSTEAD INSERT INTO t2 (id) VALUES (new.id)", "renamed"),
             ("key", "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (k)", "replica identity")]
    ddl = "CREATE TABLE t (id int PRIMARY KEY, k serial, b numeric(10,2) DEFAULT 1, vc varchar(10)); INSERT INTO t VALUES (1)"
    for name, change, text in cases:
        fresh(c, ddl)
        d = Dump(config).streaming()
        pg.script(c, "INSERT INTO t (id) VALUES (2)")
        d.until(pg.lsn(c))
        pg.script(c, change)
        pg.script(c, "INSERT INTO t (id) VALUES (3)")
        error = d.failed()
        report.check("schema-" + name, text in error and "public" in error, error)
        report.equal("schema-%s-keeps" % name, [r[0] for r in d.rows("t")], ["1", "2"])
    fresh(c, ddl)
    d = Dump(config, "--unwanted", "t.b").streaming()
    pg.script(c, "ALTER TABLE t ADD extra int DEFAULT 5")
    pg.script(c, "INSERT INTO t (id) VALUES (2)")
    pg.script(c, "ALTER TABLE t DROP b; ALTER TABLE t ALTER vc TYPE varchar(20)")
    pg.script(c, "INSERT INTO t (id, vc) VALUES (3, 'abcdefghijklmno'); UPDATE t SET vc = 'x' WHERE id = 1")
    d.until(pg.lsn(c))
    report.equal("schema-unread-columns", d.rows("t"), [("1", "1", None, "x"), ("2", "2", None, None),
                                                        ("3", "3", None, "abcdefghijklmno")])
    d.stop()


def table_stops(report, server, c):
    """A changed table stops alone, while the others go on, also over a lost connection; a restart takes it anew."""
    fresh(c, "CREATE TABLE t (id int PRIMARY KEY, b int); CREATE TABLE u (id int PRIMARY KEY); INSERT INTO t VALUES (1, 1)")
    config = {"url": server.url(), "tables": "[t, u]"}
    d = Dump(config, "--stop-tables").streaming()
    pg.script(c, "INSERT INTO u VALUES (1); ALTER TABLE t ALTER b TYPE bigint; INSERT INTO t VALUES (2, 2); INSERT INTO u VALUES (2)")
    pg.script(c, "INSERT INTO t VALUES (3, 3); INSERT INTO u VALUES (3)")
    d.until(pg.lsn(c))
    stops = [e for e in d.events if e["op"] == "table_stop"]
    report.check("table-stop", len(stops) == 1 and stops[0]["table"] == "t" and "another type" in stops[0]["reason"], repr(stops))
    same(report, "table-stop-other-goes-on", c, d, "u")
    pg.script(c, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
    d.wait("streaming again", lambda x: sum(1 for s, _ in x.states if s == "streaming") == 2)
    pg.script(c, "INSERT INTO t VALUES (4, 4); INSERT INTO u VALUES (4)")
    d.until(pg.lsn(c))
    same(report, "table-stop-after-reconnect", c, d, "u")
    report.equal("table-stop-keeps", d.rows("t"), [("1", "1")])
    d.stop()
    d = Dump(config, before=d).streaming()
    same(report, "table-stop-restart", c, d, "t")
    report.check("table-stop-restart-said", "snapshot did not hold" in open(d.log).read(), d.tail())
    d.stop()


# ---- publications ----

def publications(report, server, c):
    fresh(c, """CREATE TABLE p1 (id int PRIMARY KEY, v int, secret text DEFAULT 's'); CREATE TABLE p2 (id int PRIMARY KEY);
        CREATE TABLE p3 (id int PRIMARY KEY); INSERT INTO p1 SELECT i, i FROM generate_series(1, 10) i; INSERT INTO p2 VALUES (1)""")
    d, text = describe({"url": server.url()})
    report.check("publication-missing", d.process.returncode == 2 and "there is no publication penstock" in text
                 and "tables:" in text, text)
    pg.script(c, "CREATE PUBLICATION penstock FOR TABLE p1 (id, v) WHERE (id > 3), p2")
    d = Dump({"url": server.url()}).streaming()
    pg.script(c, "INSERT INTO p1 VALUES (-1, 2), (21, 30); UPDATE p1 SET id = id WHERE v = 5")
    d.until(pg.lsn(c))
    report.equal("publication-tables", sorted(d.columns), ["p1", "p2"])
    report.equal("publication-filter-and-list", d.rows("p1"), sorted(
        [(str(i), str(i)) for i in range(4, 11)] + [("21", "30")], key=repr))
    d.stop()
    d, text = describe({"url": server.url(), "tables": "[{ table: p1, columns: [id, secret] }]"})
    report.check("publication-column-left-out", "column secret is left out" in text, text)
    d = Dump({"url": server.url(), "tables": "[p2, p3]"}).streaming()
    pg.script(c, "INSERT INTO p3 VALUES (1)")
    d.until(pg.lsn(c))
    same(report, "publication-table-added", c, d, "p3")
    d.stop()
    pg.script(c, "ALTER PUBLICATION penstock SET (publish = 'insert')")
    d, text = describe({"url": server.url(), "tables": "[p2]"})
    report.check("publication-inserts-only", "ALTER PUBLICATION" in text and d.process.returncode == 2, text)
    pg.script(c, "DROP PUBLICATION penstock; GRANT SELECT ON p2 TO app; GRANT USAGE ON SCHEMA public TO app")
    config = {"url": tls_url(server, "sslmode=require"), "password": PASSWORD, "tables": "[p2]"}
    d = Dump(config)
    d.wait("refusal", lambda x: any('CREATE PUBLICATION "penstock" FOR TABLE "public"."p2"' in e for _, e in x.states))
    report.ok("publication-privilege-remedy")
    pg.script(c, 'CREATE PUBLICATION "penstock" FOR TABLE "public"."p2"')
    d.streaming()
    report.ok("publication-made-by-hand")
    d.stop()
    d, text = describe({"url": config["url"], "password": PASSWORD, "tables": "[p3]"})
    report.check("select-privilege-remedy", 'GRANT SELECT ON "public"."p3" TO "app"' in text, text)


# ---- TLS and authentication ----

PASSWORD = "'correct horse #1'"
HBA = """local all all trust
hostssl all app 127.0.0.1/32 scram-sha-256
hostssl replication app 127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 cert clientcert=verify-full
hostssl replication certified 127.0.0.1/32 cert clientcert=verify-full
host all postgres 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
"""


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def authority(directory, name):
    openssl(directory, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", name + ".crt",
            "-days", "30", "-subj", "/CN=" + name, "-addext", "basicConstraints=critical,CA:true")


def certificate(directory, name, ca, subject, extensions, key="rsa:2048", digest="-sha256"):
    with open(os.path.join(directory, "ext"), "w") as f:
        f.write(extensions)
    new_key = ["-newkey", key] if key.startswith("rsa") else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:" + key]
    openssl(directory, "req", *new_key, "-nodes", "-keyout", name + ".key", "-out", name + ".csr", "-subj", subject)
    openssl(directory, "x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial",
            "-out", name + ".crt", "-days", "30", "-extfile", "ext", digest)


def tls_setup(server, c):
    d = server.dir
    authority(d, "ca")
    authority(d, "other")
    certificate(d, "server", "ca", "/CN=cn.test", "subjectAltName=DNS:localhost,DNS:*.example.test,IP:127.0.0.1\n")
    certificate(d, "named", "ca", "/CN=cn.test", "")
    certificate(d, "ec384", "ca", "/CN=localhost", "", key="P-384", digest="-sha384")
    certificate(d, "client", "ca", "/CN=certified", "extendedKeyUsage=clientAuth\n")
    for name in ("server", "named", "ec384"):
        for end in (".key", ".crt"):
            os.chmod("%s/%s%s" % (d, name, end), 0o600)
            if server.user:
                import pwd
                user = pwd.getpwnam(server.user)
                os.chown("%s/%s%s" % (d, name, end), user.pw_uid, user.pw_gid)
    with open(server.data + "/pg_hba.conf", "w") as f:
        f.write(HBA)
    pg.script(c, "CREATE ROLE app LOGIN REPLICATION PASSWORD %s" % PASSWORD)
    pg.script(c, "CREATE ROLE certified LOGIN REPLICATION SUPERUSER")
    pg.script(c, "CREATE ROLE plain LOGIN PASSWORD %s" % PASSWORD)
    tls_certificate(server, c, "server")


def tls_certificate(server, c, name, settings=()):
    for key, value in (("ssl_cert_file", "%s/%s.crt" % (server.dir, name)), ("ssl_key_file", "%s/%s.key" % (server.dir, name)),
                       ("ssl_ca_file", server.dir + "/ca.crt"), ("ssl", "on"), *settings):
        pg.script(c, "ALTER SYSTEM SET %s = '%s'" % (key, value))
    pg.script(c, "SELECT pg_reload_conf()")
    time.sleep(0.3)


def tls_url(server, options, host="localhost", user="app", database="postgres"):
    return '"postgresql://%s@%s:%d/%s?%s"' % (user, host, server.port, database, options)


def tls(report, server, c):
    fresh(c, "CREATE TABLE p2 (id int PRIMARY KEY); GRANT SELECT ON p2 TO app, certified, plain")
    ca, other = "sslrootcert=%s/ca.crt" % server.dir, "sslrootcert=%s/other.crt" % server.dir

    def attempt(options, password=PASSWORD, **kw):
        config = {"url": tls_url(server, options, **kw), "tables": "[p2]"}
        if password:
            config["password"] = password
        d, text = describe(config)
        leaked = password and len(password) > 4 and password.strip("'") in text
        return d.process.returncode == 0 and not leaked, text

    def good(name, *args, **kw):
        done, text = attempt(*args, **kw)
        report.check("tls-" + name, done, text)

    def bad(name, expected, *args, **kw):
        done, text = attempt(*args, **kw)
        report.check("tls-" + name, not done and expected in text, text)

    good("require", "sslmode=require")
    good("verify-ca", "sslmode=verify-ca&" + ca)
    good("verify-full", "sslmode=verify-full&" + ca)
    good("verify-full-ip", "sslmode=verify-full&" + ca, host="127.0.0.1")
    good("verify-full-wildcard", "sslmode=verify-full&hostaddr=127.0.0.1&" + ca, host="db.example.test")
    good("channel-binding", "sslmode=verify-full&channel_binding=require&" + ca)
    good("tls12", "sslmode=verify-full&channel_binding=require&ssl_max_protocol_version=TLSv1.2&" + ca)
    good("tls13", "sslmode=verify-full&channel_binding=require&ssl_min_protocol_version=TLSv1.3&" + ca)
    good("no-sni", "sslmode=verify-full&sslsni=0&" + ca)
    bad("wildcard-one-label", "does not match host name", "sslmode=verify-full&hostaddr=127.0.0.1&" + ca, host="a.b.example.test")
    bad("wrong-ca", "certificate verify failed", "sslmode=verify-full&" + other)
    bad("wrong-ca-by-require", "certificate verify failed", "sslmode=require&" + other)
    bad("wrong-host", "does not match host name", "sslmode=verify-full&hostaddr=127.0.0.1&" + ca, host="elsewhere.test")
    bad("cn-not-used-beside-san", "does not match host name", "sslmode=verify-full&hostaddr=127.0.0.1&" + ca, host="cn.test")
    good("wrong-host-by-verify-ca", "sslmode=verify-ca&hostaddr=127.0.0.1&" + ca, host="elsewhere.test")
    bad("no-root-file", "sslrootcert=FILE", "sslmode=verify-full&sslrootcert=/nonexistent/ca.crt")
    bad("bad-root-file", "could not read root certificate file", "sslmode=verify-full&sslrootcert=/etc/passwd")
    bad("without", "pg_hba.conf", "sslmode=disable")
    bad("password-wrong", "check password:", "sslmode=require", password="wrong-secret")
    bad("password-missing", "set password:", "sslmode=require", password=None)
    bad("database-unknown", "name an existing database", "sslmode=require", database="nowhere")
    bad("host-unknown", "check the host in url:", "sslmode=require", host="nowhere.invalid")
    bad("refused", "check host and port", "sslmode=require&port=1")
    certified = "sslmode=verify-full&%s&sslcert=%s/client.crt&sslkey=%s/client.key" % (ca, server.dir, server.dir)
    os.chmod(server.dir + "/client.key", 0o600)
    good("client-certificate", certified, user="certified", password=None)
    bad("client-certificate-missing", "certificate", "sslmode=verify-full&" + ca, user="certified", password=None)
    os.chmod(server.dir + "/client.key", 0o644)
    bad("client-key-readable", "others cannot read", certified, user="certified", password=None)
    tls_certificate(server, c, "named")
    good("common-name", "sslmode=verify-full&hostaddr=127.0.0.1&" + ca, host="cn.test")
    tls_certificate(server, c, "ec384")
    good("ecdsa-sha384-binding", "sslmode=verify-full&channel_binding=require&" + ca)
    tls_certificate(server, c, "server", [("ssl_max_protocol_version", "TLSv1.1"), ("ssl_min_protocol_version", "TLSv1")])
    bad("tls11-refused", "cannot connect", "sslmode=require")  # an alert or a closed connection, by version of OpenSSL
    tls_certificate(server, c, "server", [("ssl_max_protocol_version", ""), ("ssl_min_protocol_version", "TLSv1.2")])


def tls_data(report, server, c):
    fresh(c, "CREATE TABLE tl (id int PRIMARY KEY, pad text); INSERT INTO tl SELECT i, repeat(md5(i::text), 1 + i % 100) FROM generate_series(1, 10000) i;"
             "ALTER TABLE tl OWNER TO app; GRANT CREATE ON DATABASE postgres TO app")
    for version in ("TLSv1.2", "TLSv1.3"):
        d = Dump({"url": tls_url(server, "sslmode=require&ssl_min_protocol_version=%s&ssl_max_protocol_version=%s" % (version, version)),
                  "password": PASSWORD, "tables": "[tl]"}).streaming()
        pg.script(c, "UPDATE tl SET pad = pad || 'x' WHERE id % 2 = 0; INSERT INTO tl VALUES (-1, repeat('big', 1000000))")
        d.until(pg.lsn(c), 60)
        same(report, "tls-data-" + version, c, d, "tl")
        d.stop()
        pg.script(c, "DELETE FROM tl WHERE id < 0")


def failover(report, server, c):
    """The server is replaced by a copy that was promoted: the slot is there, but history forked."""
    fresh(c, "CREATE TABLE f (id int PRIMARY KEY); INSERT INTO f VALUES (1)")
    config = {"url": server.url(), "tables": "[f]"}
    d = Dump(config).streaming()
    pg.script(c, "INSERT INTO f VALUES (2)")
    d.until(pg.lsn(c)).stop()
    for name, said, ahead in (("behind", "changed to another timeline", False),
                              ("ahead", "lost changes that were already taken", True),
                              ("restored", "log ends before the position", True)):
        pg.script(c, "CHECKPOINT")
        c.close()
        server.stop(signal.SIGINT)
        other = copy.copy(server)
        other.data, other.port = "%s/copy-%s" % (server.dir, name), procs.free_port()
        subprocess.run(["cp", "-a", server.data, other.data], check=True)
        with open(other.data + "/postgresql.auto.conf", "a") as f:
            f.write("port = %d\n" % other.port)
        if name != "restored":
            open(other.data + "/standby.signal", "w").close()
        server.start()
        c = server.connect()
        if ahead:
            d = Dump(config, before=d).streaming()
            pg.script(c, "INSERT INTO f SELECT max(id) + generate_series(1, 5000) FROM f")
            d.until(pg.lsn(c)).stop()
        other.start()
        k = other.connect()
        if name != "restored":
            pg.script(k, "SELECT pg_promote()")
        pg.script(k, "INSERT INTO f VALUES (-3)")
        d2 = Dump(dict(config, url=other.url()), before=d).streaming()
        d2.until(pg.lsn(k))
        same(report, "failover-" + name, k, d2, "f")
        report.check("failover-%s-said" % name, said in open(d2.log).read(), d2.tail())
        d2.stop()
        k.close()
        other.stop(signal.SIGQUIT)
        d = Dump(config, before=d2).streaming()
        if name != "restored":  # its log may have grown past the position since
            report.check("failback-%s-said" % name, d.seen("snapshot_begin") == 1, d.tail())
            same(report, "failback-" + name, c, d, "f")
        d.stop()
    return c


def server_limits(report, server, c):
    fresh(c, "CREATE TABLE w (id int PRIMARY KEY)")
    pg.script(c, "GRANT SELECT ON w TO plain")
    with open(server.data + "/pg_hba.conf", "a") as f:
        f.write("host all plain 127.0.0.1/32 trust\nhost replication plain 127.0.0.1/32 trust\n")
    pg.script(c, "SELECT pg_reload_conf()")
    time.sleep(0.3)
    d, text = describe({"url": server.url(user="plain"), "tables": "[w]"})
    report.check("replication-privilege-remedy", 'ALTER ROLE "plain" REPLICATION' in text, text)
    pg.script(c, "ALTER SYSTEM SET max_replication_slots = 1")
    c.close()
    server.stop()
    server.start()
    c = server.connect()
    pg.script(c, "SELECT pg_create_physical_replication_slot('taken')")
    d = Dump({"url": server.url(), "tables": "[w]"})
    d.wait("refusal", lambda x: any("ALTER SYSTEM SET max_replication_slots" in e for _, e in x.states))
    report.ok("slots-full-remedy")
    d.stop()
    pg.script(c, "SELECT pg_drop_replication_slot('taken')")
    pg.script(c, "ALTER SYSTEM SET max_wal_senders = 1")
    pg.script(c, "ALTER SYSTEM SET ssl = off")
    c.close()
    server.stop()
    server.start()
    c = server.connect()
    first = Dump({"url": server.url(), "tables": "[w]"}).streaming()
    d, text = describe({"url": server.url(), "tables": "[w]", "slot": "second"})
    report.check("senders-full-remedy", d.process.returncode == 1 and "ALTER SYSTEM SET max_wal_senders" in text, text)
    first.stop()
    d, text = describe({"url": tls_url(server, "sslmode=require", user="plain"), "tables": "[w]"})
    report.check("tls-off-remedy", "switch TLS on at the server" in text, text)
    pg.script(c, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    pg.script(c, "ALTER SYSTEM SET max_wal_senders = 0")
    pg.script(c, "ALTER SYSTEM SET wal_level = replica")
    c.close()
    server.stop()
    server.start()
    d, text = describe({"url": server.url(), "tables": "[w]"})
    report.check("wal-level-remedy", "ALTER SYSTEM SET wal_level = 'logical'" in text, text)


def configuration(report):
    cases = [("unknown-key", {"url": "postgresql://h/d", "tabels": "[a]"}, "tabels"),
             ("no-url", {"tables": "[a]"}, "url is missing"),
             ("bad-url", {"url": "'postgresql://u:hush@h/d?nonsense=1'", "tables": "[a]"}, "not a connection address"),
             ("bad-slot", {"url": "postgresql://h/d", "slot": "Bad-Slot"}, "small letters"),
             ("twice", {"url": "postgresql://h/d", "tables": "[a, b.a]"}, "as: ..."),
             ("empty-tables", {"url": "postgresql://h/d", "tables": "[]"}, "leave the key out"),
             ("check-interval", {"url": "postgresql://h/d", "check_interval": "999ms"}, "at least 1s"),
             ("connections", {"url": "postgresql://h/d", "snapshot_connections": "99"}, "snapshot_connections")]
    for name, config, expected in cases:
        d, text = describe(config)
        report.check("config-" + name, d.process.returncode == 2 and expected in text and "hush" not in text
                     and "penstock.yaml:" in text, text)


TESTS = [types, unsupported, many_enums, toast, identities, truncate, names, resume, idle, snapshot_with_writers, lost_connection,
         snapshot_again, snapshot_killed, schema_changes, table_stops, publications, tls, tls_data]


def main():
    with Report("test_pg_source", 280) as report:
        tool()
        report.section("configuration", configuration, report)
        server = pg.Postgres(settings=SERVER).start()
        c = server.connect()
        tls_setup(server, c)
        for test in [globals()[n] for n in os.environ["TESTS"].split(",")] if "TESTS" in os.environ else TESTS:
            began = time.monotonic()
            report.section(test.__name__, test, report, server, c)
            Dump.stop_all()
            report.note("%s: %.1f s" % (test.__name__, time.monotonic() - began))
        c = report.section("server_restart", server_restart, report, server, c) or server.connect()
        c = report.section("failover", failover, report, server, c) or server.connect()
        report.section("server_limits", server_limits, report, server, c)


if __name__ == "__main__":
    main()
