#!/usr/bin/python3
"""What PostgreSQL's logical replication does only now and then: keys that swap, unchanged TOAST that moves to another
key, huge and prepared and nested transactions, partitions, generated and dropped columns, odd names, types that are
taken as their text, and tables that change their shape while everything runs. PostgreSQL's own answer is the oracle."""

import os
import signal
import time

from lib import canon, pg
from lib.client import Refused, wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import Reader

# name, tables' DDL (schema core), rows before the snapshot, view, [scripts; each is compared after it]
CASES = [
    ("swap_full", "CREATE TABLE core.swap (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text); ALTER TABLE core.swap REPLICA IDENTITY FULL",
     "INSERT INTO core.swap VALUES (1, 'a'), (2, 'b'), (3, 'c')", "SELECT * FROM core.swap",
     ["UPDATE core.swap SET id = 3 - id WHERE id < 3", "UPDATE core.swap SET id = 4 - id",
      "BEGIN; DELETE FROM core.swap WHERE id = 1; INSERT INTO core.swap VALUES (1, 'z'); UPDATE core.swap SET id = 9 WHERE id = 1; COMMIT"]),
    ("shift_keys", "CREATE TABLE core.shift (id int PRIMARY KEY, v text)", "INSERT INTO core.shift SELECT i, 'v' || i FROM generate_series(1, 50) i",
     "SELECT * FROM core.shift", ["UPDATE core.shift SET id = id + 1000", "UPDATE core.shift SET id = -id",
                                  "WITH gone AS (DELETE FROM core.shift WHERE id % 2 = 0 RETURNING *) INSERT INTO core.shift SELECT id * 10, v FROM gone"]),
    ("toast_moves", "CREATE TABLE core.toasty (id int PRIMARY KEY, n int, big text, more bytea); ALTER TABLE core.toasty ALTER big SET STORAGE EXTERNAL",
     "INSERT INTO core.toasty SELECT i, i, repeat('abcdefgh' || i, 3000), decode(repeat('00ff', 5000), 'hex') FROM generate_series(1, 5) i",
     "SELECT id, n, big, more FROM core.toasty",
     ["UPDATE core.toasty SET n = n + 1", "UPDATE core.toasty SET id = id + 10", "UPDATE core.toasty SET id = id + 100, n = 0, more = NULL WHERE id = 11",
      "BEGIN; UPDATE core.toasty SET n = 5 WHERE id = 12; UPDATE core.toasty SET id = 77 WHERE id = 12; UPDATE core.toasty SET n = 6 WHERE id = 77; COMMIT",
      "UPDATE core.toasty SET big = NULL WHERE id = 13", "UPDATE core.toasty SET big = repeat('new', 9000) WHERE id = 13",
      "BEGIN; DELETE FROM core.toasty WHERE id = 14; INSERT INTO core.toasty VALUES (14, 1, repeat('x', 9000), NULL); UPDATE core.toasty SET n = 3 WHERE id = 14; COMMIT"]),
    ("toast_full", "CREATE TABLE core.toastfull (k int, n int, big text); ALTER TABLE core.toastfull REPLICA IDENTITY FULL; ALTER TABLE core.toastfull ALTER big SET STORAGE EXTERNAL",
     "INSERT INTO core.toastfull SELECT i % 2, i, repeat('q' || i % 3, 4000) FROM generate_series(1, 6) i", "SELECT k, n, length(big) AS len, md5(big) AS sum FROM core.toastfull",
     ["UPDATE core.toastfull SET n = n + 1", "UPDATE core.toastfull SET k = 7 WHERE n = 3", "DELETE FROM core.toastfull WHERE n % 2 = 0"]),
    ("huge", "CREATE TABLE core.huge (id int PRIMARY KEY, g int, v numeric)", "INSERT INTO core.huge SELECT i, i % 7, i FROM generate_series(1, 100) i",
     "SELECT g, count(*) AS n, sum(v) AS s FROM core.huge GROUP BY g",
     ["INSERT INTO core.huge SELECT i, i % 7, i * 1.5 FROM generate_series(101, 60000) i", "UPDATE core.huge SET g = g + 1",
      "BEGIN; UPDATE core.huge SET v = -v; DELETE FROM core.huge WHERE id % 3 = 0; ROLLBACK", "DELETE FROM core.huge WHERE id > 50"]),
    ("nested", "CREATE TABLE core.nested (id int PRIMARY KEY, v int)", "", "SELECT * FROM core.nested",
     ["DO $$ BEGIN FOR i IN 1..300 LOOP BEGIN INSERT INTO core.nested VALUES (i, i); IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;"
      " EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$",
      "DO $$ BEGIN FOR i IN 1..100 LOOP BEGIN UPDATE core.nested SET v = v + 1; IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;"
      " EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$"]),
    ("prepared", "CREATE TABLE core.prepared (id int PRIMARY KEY, v int)", "", "SELECT * FROM core.prepared",
     ["BEGIN; INSERT INTO core.prepared VALUES (1, 1); PREPARE TRANSACTION 'one'", "BEGIN; INSERT INTO core.prepared VALUES (2, 2); PREPARE TRANSACTION 'two'; INSERT INTO core.prepared VALUES (3, 3)",
      "COMMIT PREPARED 'one'", "ROLLBACK PREPARED 'two'"]),
    ("upsert", "CREATE TABLE core.upsert (id int PRIMARY KEY, v int)", "INSERT INTO core.upsert VALUES (1, 1)", "SELECT sum(v) AS s, count(*) AS n FROM core.upsert",
     ["INSERT INTO core.upsert VALUES (1, 5), (2, 6) ON CONFLICT (id) DO UPDATE SET v = upsert.v + excluded.v",
      "MERGE INTO core.upsert t USING (VALUES (1, 10), (3, 30)) s(id, v) ON t.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.v)"]),
    ("cascade", "CREATE TABLE core.parent (id int PRIMARY KEY); CREATE TABLE core.child (id int PRIMARY KEY, p int REFERENCES core.parent ON DELETE CASCADE ON UPDATE CASCADE)",
     "INSERT INTO core.parent SELECT generate_series(1, 5); INSERT INTO core.child SELECT i, i % 5 + 1 FROM generate_series(1, 20) i",
     "SELECT p.id, count(c.id) AS n FROM core.parent p LEFT JOIN core.child c ON c.p = p.id GROUP BY p.id",
     ["DELETE FROM core.parent WHERE id = 2", "UPDATE core.parent SET id = 50 WHERE id = 5", "TRUNCATE core.parent CASCADE", "INSERT INTO core.parent VALUES (1)"]),
    ("truncate_refill", "CREATE TABLE core.refill (id serial PRIMARY KEY, v int)", "INSERT INTO core.refill (v) SELECT generate_series(1, 10)", "SELECT * FROM core.refill",
     ["BEGIN; INSERT INTO core.refill (v) VALUES (100); TRUNCATE core.refill RESTART IDENTITY; INSERT INTO core.refill (v) VALUES (7); COMMIT",
      "BEGIN; TRUNCATE core.refill; ROLLBACK", "BEGIN; TRUNCATE core.refill; INSERT INTO core.refill (v) VALUES (8); TRUNCATE core.refill; COMMIT"]),
    ("partitions", "CREATE TABLE core.parted (id int, region text, v int, PRIMARY KEY (region, id)) PARTITION BY LIST (region);"
     "CREATE TABLE core.parted_a PARTITION OF core.parted FOR VALUES IN ('a'); CREATE TABLE core.parted_b PARTITION OF core.parted FOR VALUES IN ('b', 'c')",
     "INSERT INTO core.parted SELECT i, (ARRAY['a','b','c'])[i % 3 + 1], i FROM generate_series(1, 30) i",
     "SELECT region, count(*) AS n, sum(v) AS s FROM (SELECT * FROM core.parted_a UNION ALL SELECT * FROM core.parted_b) p GROUP BY region",
     ["UPDATE core.parted SET region = 'b' WHERE region = 'a' AND id < 10", "INSERT INTO core.parted VALUES (100, 'a', 1)", "TRUNCATE core.parted_b",
      "INSERT INTO core.parted SELECT i, (ARRAY['a','b','c'])[i % 3 + 1], i FROM generate_series(200, 230) i", "TRUNCATE core.parted"]),
    ("generated", "CREATE TABLE core.gen (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, b text)",
     "INSERT INTO core.gen (a, b) VALUES (1, 'x'), (2, 'y')", "SELECT id, a, b FROM core.gen", ["INSERT INTO core.gen (a, b) VALUES (3, 'z')", "UPDATE core.gen SET a = a * 10"]),
    ("dropped", "CREATE TABLE core.dropped (gone int, id int PRIMARY KEY, away text, v int); ALTER TABLE core.dropped DROP gone; ALTER TABLE core.dropped DROP away",
     "INSERT INTO core.dropped VALUES (1, 10), (2, 20)", "SELECT * FROM core.dropped", ["UPDATE core.dropped SET v = v + 1", "DELETE FROM core.dropped WHERE id = 1"]),
    ("names", 'CREATE TABLE core."Odd Name" ("Key" int PRIMARY KEY, "sel ect" text, "qu""ote" int, "ünï" int)', "INSERT INTO core.\"Odd Name\" VALUES (1, 'a', 2, 3)",
     'SELECT "Key", "sel ect" AS "As Is", "qu""ote", "ünï" FROM core."Odd Name"', ['INSERT INTO core."Odd Name" VALUES (2, NULL, NULL, 4)', 'UPDATE core."Odd Name" SET "Key" = 7 WHERE "Key" = 1']),
    ("composite_nulls", "CREATE TABLE core.pairs (a int, b text, v int, PRIMARY KEY (b, a))", "INSERT INTO core.pairs VALUES (1, '', 1), (1, 'x', 2), (2, 'x', NULL)", "SELECT * FROM core.pairs",
     ["UPDATE core.pairs SET a = a + 10", "UPDATE core.pairs SET b = b || E'\\n' WHERE v = 2", "DELETE FROM core.pairs WHERE b = ''"]),
    ("wide_key", "CREATE TABLE core.widekey (k text PRIMARY KEY, v int)", "INSERT INTO core.widekey SELECT repeat('k', 600) || i, i FROM generate_series(1, 20) i; INSERT INTO core.widekey VALUES (repeat('k', 600), 0)",
     "SELECT k, v FROM core.widekey", ["UPDATE core.widekey SET v = v + 1 WHERE v % 2 = 0", "DELETE FROM core.widekey WHERE v > 15", "UPDATE core.widekey SET k = k || 'x' WHERE v < 5"]),
    ("wide_groups", "CREATE TABLE core.widegroup (id int PRIMARY KEY, g text)", "INSERT INTO core.widegroup SELECT i, repeat('g', 900) || i % 3 FROM generate_series(1, 12) i",
     "SELECT g, count(*) AS n, min(id) AS m FROM core.widegroup GROUP BY g", ["DELETE FROM core.widegroup WHERE id % 3 = 1", "UPDATE core.widegroup SET g = repeat('g', 900) WHERE id = 2"]),
    ("bag_duplicates", "CREATE TABLE core.dups (a int, f float8, n numeric, j json); ALTER TABLE core.dups REPLICA IDENTITY FULL",
     "INSERT INTO core.dups SELECT 1, 0, 1.0, '{\"a\": 1}' FROM generate_series(1, 5); INSERT INTO core.dups VALUES (1, '-0', 1.00, '{\"a\":1}'), (NULL, 'NaN', NULL, NULL)",
     "SELECT a, f, n, j FROM core.dups",
     ["DELETE FROM core.dups WHERE ctid = (SELECT min(ctid) FROM core.dups)", "INSERT INTO core.dups VALUES (1, '-0', 1.00, '{\"a\":1}')",
      "UPDATE core.dups SET n = 1.000 WHERE ctid IN (SELECT ctid FROM core.dups WHERE n = 1 LIMIT 2)", "DELETE FROM core.dups WHERE n IS NULL", "UPDATE core.dups SET a = 2"]),
    ("extreme_values", "CREATE TABLE core.extreme (id int PRIMARY KEY, n numeric, d date, t timestamp, z timestamptz, i interval, f float8)",
     "INSERT INTO core.extreme VALUES (1, '1e131071', '4713-11-24 BC', '4713-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999+00', '178000000 years', 'Infinity'),"
     "(2, '-1e-16383', 'infinity', '-infinity', 'infinity', '-178000000 years -11 mons', '-0'), (3, 'NaN', '5874897-12-31', 'infinity', '-infinity', '00:00:00.000001', 'NaN')",
     "SELECT * FROM core.extreme", ["UPDATE core.extreme SET n = 'Infinity' WHERE id = 1", "UPDATE core.extreme SET n = '-Infinity', i = '1 day -00:00:01' WHERE id = 2"]),
]


def all_ddl():
    return ";".join(ddl for _, ddl, _, _, _ in CASES)


def setup():
    server = pg.Postgres(settings="max_prepared_transactions = 10\nlogical_decoding_work_mem = '64kB'\n").start()
    c = server.connect()
    pg.script(c, "CREATE SCHEMA core")
    pg.script(c, all_ddl())
    for name, _, rows, view, _ in CASES:
        if rows:
            pg.script(c, rows)
        pg.script(c, "CREATE VIEW %s AS %s" % (name, view))
    pg.script(c, "CREATE PUBLICATION penstock FOR ALL TABLES")
    return server, c


def table_names(c):
    found = pg.rows(c, "SELECT relname FROM pg_class WHERE relnamespace = 'core'::regnamespace AND relkind = 'r'")
    return [r[0] for r in found]


def yaml_table(name):
    quoted = name if name.replace("_", "").isalnum() and name.islower() else '"%s"' % name
    return "{ table: 'core.%s', as: '%s' }" % (quoted.replace("'", "''"), name)


def run_statements(server, script):
    """One connection of its own; BEGIN ... COMMIT stay together, everything else commits by itself."""
    c = server.connect()
    if script.startswith(("DO ", "WITH ")):
        pg.script(c, script)
    else:
        for one in script.split("; "):
            pg.script(c, one)
    c.close()


def compare(report, http, c, name, step):
    expected = canon.view_rows(c, name)
    try:
        problem = canon.difference(http.list(name, wait=("core", pg.lsn(c))).rows(), expected)
    except Refused as e:
        problem = str(e)
    if problem and len(problem) > 500:
        problem = problem[:500]
    return report.check("edges/%s/%s" % (name, step), problem is None, problem)


def edges(report):
    server, c = setup()
    box = Penstock(postgres_config(server, [yaml_table(t) for t in table_names(c)], ["views.sql"], [n for n, _, _, _, _ in CASES]),
                   "".join("CREATE VIEW %s AS %s;\n" % (n, v) for n, _, _, v, _ in CASES), shards=3, name="edges")
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    if not report.check("edges/check", code == 0, "exit %d: %s" % (code, (out + err)[:1500])):
        return
    box.start()
    http = box.client()
    for name, _, _, _, scripts in CASES:
        good = compare(report, http, c, name, "snapshot")
        for i, script in enumerate(scripts):
            if not good:
                break
            run_statements(server, script)
            good = compare(report, http, c, name, "step%d" % (i + 1))
    box.kill_all()
    box.start()
    http = box.client()
    for name, _, _, _, _ in CASES:
        compare(report, http, c, name, "after-restart")
    box.stop()
    server.stop()


def schema_changes(report):
    """Unaffected views go on; renamed, dropped and added-again columns never mix with the old ones."""
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, "CREATE SCHEMA core; CREATE TABLE core.t (id int PRIMARY KEY, a int, b text); CREATE TABLE core.u (id int PRIMARY KEY, v int); CREATE TABLE core.w (id int PRIMARY KEY, v int);"
                 "INSERT INTO core.t SELECT i, i, 'b' || i FROM generate_series(1, 10) i; INSERT INTO core.u SELECT i, i FROM generate_series(1, 10) i;"
                 "CREATE PUBLICATION penstock FOR ALL TABLES")
    views = {"only_u": "SELECT id, v FROM core.u", "t_a": "SELECT id, a FROM core.t", "t_b": "SELECT id, b FROM core.t", "only_w": "SELECT id, v FROM core.w"}
    settings = postgres_config(server, ["{ table: core.t, as: t }", "{ table: core.u, as: u }", "{ table: core.w, as: w }"], ["views.sql"], list(views))
    box = Penstock(settings.replace("      slot:", "      check_interval: 1s\n      slot:"),
                   "".join("CREATE VIEW %s AS %s;\n" % v for v in views.items()), shards=2, name="schema").start()
    http = box.client()
    reader = Reader(box, {"only_u": lambda rows: None if sum(rows.values()) >= 10 else "%d rows" % sum(rows.values())}, pause_s=0.01).start()

    def expect(step, view, query):
        rows = canon.bag(canon.loads(r[0]) for r in pg.rows(c, "SELECT row_to_json(oracle_row)::text FROM (%s) oracle_row" % query))
        try:
            problem = canon.difference(http.list(view, wait=("core", pg.lsn(c))).rows(), rows)
        except Refused as e:
            problem = str(e)
        report.check("schema/%s/%s" % (step, view), problem is None, problem)

    pg.script(c, "ALTER TABLE core.t ADD extra int DEFAULT 5")
    pg.script(c, "INSERT INTO core.t VALUES (11, 11, 'b11', 1); UPDATE core.t SET a = a + 1")
    expect("column-added", "t_a", "SELECT id, a FROM core.t")
    expect("column-added", "t_b", "SELECT id, b FROM core.t")
    pg.script(c, "ALTER TABLE core.t DROP extra")
    pg.script(c, "UPDATE core.t SET a = a + 1 WHERE id < 5")
    expect("column-dropped-unused", "t_a", "SELECT id, a FROM core.t")
    pg.script(c, "ALTER TABLE core.t ALTER a SET DEFAULT 3, ALTER b SET NOT NULL")
    pg.script(c, "INSERT INTO core.t (id, b) VALUES (12, 'x')")
    expect("default", "t_a", "SELECT id, a FROM core.t")
    before = canon.bag(canon.loads(r[0]) for r in pg.rows(c, "SELECT row_to_json(q)::text FROM (SELECT id, b FROM core.t) q"))
    pg.script(c, "ALTER TABLE core.t DROP b; ALTER TABLE core.t ADD b text")
    pg.script(c, "UPDATE core.t SET b = 'again' WHERE id = 1")
    pg.script(c, "UPDATE core.u SET v = v + 100")
    expect("readded", "only_u", "SELECT id, v FROM core.u")
    time.sleep(1)
    try:
        shown = http.list("t_b").rows()
        after = canon.bag(canon.loads(r[0]) for r in pg.rows(c, "SELECT row_to_json(q)::text FROM (SELECT id, b FROM core.t) q"))
        report.check("schema/readded/never-mixed", shown in (before, after), canon.difference(shown, after))
    except Refused as e:
        report.check("schema/readded/never-mixed", e.status == 503, str(e))
    pg.script(c, "INSERT INTO core.u VALUES (500, 1)")
    expect("unaffected-goes-on", "only_u", "SELECT id, v FROM core.u")
    reader.stop()
    reader.report(report, "schema/reader")
    wait_for(lambda: box.pids().get("pipeline"), 10, "the pipeline lives")

    def heal(step, *answering):
        """The reason is in the status; the configuration applied again plans with the tables as they are."""
        code, out, err = box.command("status", "--data", box.data)
        report.check("schema/%s/said" % step, out.count("stopped") == 2 and "dropped" in out, (out + err)[-1500:])
        mark = box.log_mark()
        code, out, err = box.command("apply", "-c", box.config, "--data", box.data, timeout_s=60)
        report.check("schema/%s/applied" % step, code == 0, (out + err)[-800:])
        # Until the server is asked the last state is shown, then nothing, then the new snapshot.
        wait_for(lambda: http.request("/api/t_b?limit=1").status == 200 and "taking a snapshot" in box.log_since(mark) and "snapshot read" in box.log_since(mark),
                 30, "a snapshot after " + step, 0.02)
        wait_for(lambda: all(http.request("/api/%s?limit=1" % v).status == 200 for v in views), 30, "views after " + step)
        for view, query in views.items():
            expect(step + "/healed", view, query)

    heal("readded")
    pg.script(c, "DROP TABLE core.t; CREATE TABLE core.t (id int PRIMARY KEY, a int, b text); INSERT INTO core.t VALUES (1, 2, 'anew')")
    pg.script(c, "INSERT INTO core.u VALUES (501, 1)")
    expect("dropped", "only_u", "SELECT id, v FROM core.u")
    wait_for(lambda: "was dropped" in box.command("status", "--data", box.data)[1], 15, "the dropped table is noticed")
    heal("dropped")
    code, out, err = box.command("status", "--data", box.data)
    report.check("schema/healed/no-reason-left", code == 0 and "stopped" not in out and "dropped" not in out, out[-1500:])
    # Each view says why its own table stopped.
    pg.script(c, "ALTER TABLE core.t ALTER a TYPE bigint; ALTER TABLE core.w RENAME v TO vv")
    wait_for(lambda: box.command("status", "--data", box.data)[1].count("stopped") == 3, 15, "three views stopped")
    lines = box.command("status", "--data", box.data)[1].splitlines()
    for view, text in (("t_a", "column a has another type"), ("only_w", "column v was dropped or renamed")):
        report.check("schema/own-reason/" + view, any(x.startswith(view) and text in x for x in lines), "\n".join(lines)[-1500:])
    # A pipeline that starts anew while the server is away knows no better: what was stopped is not ready.
    c.close()
    server.stop()
    old = box.pids()["pipeline"]
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: box.pids().get("pipeline") not in (None, old), 20, "another pipeline")
    wait_for(lambda: "going on with its tables as last seen" in box.log_since(0) and "retrying" in box.command("status", "--data", box.data)[1], 20, "a pipeline without its server")
    time.sleep(1)  # several looks at the views
    out = box.command("status", "--data", box.data)[1]
    report.check("schema/stays-stopped", out.count("stopped") == 3 and "column a has another type" in out, out[-1500:])
    c = server.start().connect()
    pg.script(c, "ALTER TABLE core.w RENAME vv TO v; ALTER TABLE core.t ALTER a TYPE int")
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data, timeout_s=60)
    report.check("schema/back/applied", code == 0, (out + err)[-800:])
    wait_for(lambda: "stopped" not in box.command("status", "--data", box.data)[1], 30, "all views back")
    wait_for(lambda: all(http.request("/api/%s?limit=1" % v).status == 200 for v in views), 30, "views served again")
    for view, query in views.items():
        expect("back", view, query)
    box.stop()
    server.stop()


def main():
    with Report("test_postgres_edges", 170) as report:
        report.section("edges", edges, report)
        report.section("schema", schema_changes, report)


if __name__ == "__main__":
    main()
