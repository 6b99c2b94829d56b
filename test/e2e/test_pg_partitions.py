#!/usr/bin/python3
"""Partitioned tables that are followed as a whole (publish_via_partition_root): rows that move between partitions, partitions that come
and go while rows stream, and what the stream never says about them: rows that an attached partition brought along, that a detached
one took away, a TRUNCATE of one alone. Nothing of it may leave wrong rows behind, or go unsaid."""

import os
import time

import psycopg2

from lib import pg
from lib.report import Report
from lib.source_dump import Dump, describe, fresh, same, tool

SERVER = "autovacuum = off\n"
SOON, NEVER = "1s", "1h"
DDL = """CREATE TABLE m (id int, region text, v numeric(10,2), note text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
    CREATE TABLE ma PARTITION OF m FOR VALUES IN ('a');
    CREATE TABLE mb (gone int, note text, v numeric(10,2), id int NOT NULL, region text NOT NULL); ALTER TABLE mb DROP gone;
    ALTER TABLE m ATTACH PARTITION mb FOR VALUES IN ('b');
    CREATE TABLE mc PARTITION OF m FOR VALUES IN ('c', 'd') PARTITION BY RANGE (id);
    CREATE TABLE mc1 PARTITION OF mc FOR VALUES FROM (0) TO (1000); CREATE TABLE mc2 PARTITION OF mc FOR VALUES FROM (1000) TO (100000);
    INSERT INTO m SELECT i, substr('abcd', 1 + i % 4, 1), i, repeat('n', i % 50) FROM generate_series(1, 8000) i;
    CREATE TABLE u (id int PRIMARY KEY);"""


def config(server, tables="[m, u]", interval=NEVER, **more):
    return {"url": server.url(), "tables": tables, "check_interval": interval, **more}


def scripts(c, text):
    for one in text.split("; "):
        pg.script(c, one)


def streaming(report, server, c):
    fresh(c, DDL)
    d = Dump(config(server, snapshot_chunk="64KiB"), "--stop-tables").streaming()
    same(report, "snapshot", c, d, "m")
    report.check("snapshot-in-ranges", d.seen("commit") > 5 or c.server_version < 140000, d.seen("commit"))
    for step, text in (
            ("rows", "INSERT INTO m VALUES (15000, 'a', 1, 'x'), (15001, 'b', 2, NULL), (15002, 'd', 3, ''); UPDATE m SET v = v + 1 WHERE id % 7 = 0; DELETE FROM m WHERE id % 11 = 0"),
            ("moves", "UPDATE m SET region = 'b' WHERE region = 'a' AND id < 500; UPDATE m SET region = 'd', id = id + 20000 WHERE region = 'b' AND id > 1500; UPDATE m SET id = id + 50000 WHERE region = 'c' AND id < 900"),
            ("into-a-partition", "INSERT INTO ma VALUES (19000, 'a', 1, 'straight'); UPDATE mb SET v = 0 WHERE id < 300; DELETE FROM mc2 WHERE id > 90000"),
            ("made", "CREATE TABLE me PARTITION OF m FOR VALUES IN ('e'); INSERT INTO m VALUES (1, 'e', 1, 'new'); UPDATE m SET region = 'e' WHERE region = 'd' AND id < 100"),
            ("made-at-once", "BEGIN; CREATE TABLE mf PARTITION OF m FOR VALUES IN ('f') PARTITION BY RANGE (id); CREATE TABLE mf1 PARTITION OF mf FOR VALUES FROM (0) TO (10); INSERT INTO m VALUES (1, 'f', 1, 'new'); COMMIT"),
            ("attached-empty", "CREATE TABLE mg (LIKE m); ALTER TABLE m ATTACH PARTITION mg FOR VALUES IN ('g'); SELECT pg_sleep(0)"),
            ("truncated-whole", "BEGIN; INSERT INTO m VALUES (2, 'e', 2, 'gone'); TRUNCATE m; INSERT INTO m VALUES (3, 'e', 3, 'kept'); COMMIT"),
            ("after", "INSERT INTO m VALUES (1, 'g', 1, 'g'), (1, 'a', 1, 'a'); UPDATE m SET region = 'f' WHERE region = 'a'")):
        scripts(c, text)
        d.until(pg.lsn(c))
        same(report, "stream/" + step, c, d, "m")
    d.stop()
    d = Dump(config(server, interval=SOON), "--stop-tables", before=d).streaming()
    report.equal("restart-without-snapshot", d.seen("snapshot_begin"), 0)
    scripts(c, "CREATE TABLE mh PARTITION OF m FOR VALUES IN ('h'); INSERT INTO m VALUES (1, 'h', 1, 'h'); CREATE TABLE mi (LIKE m); ALTER TABLE m ATTACH PARTITION mi FOR VALUES IN ('i')")
    time.sleep(1.3)
    scripts(c, "TRUNCATE m; INSERT INTO m VALUES (7, 'h', 1, 'h'), (8, 'i', 1, NULL); ANALYZE m; VACUUM m")
    d.until(pg.lsn(c))
    time.sleep(2.5)  # two looks
    report.equal("looks-stop-nothing", [e for e in d.events if e["op"] == "table_stop"], [])
    d.stop()
    d = Dump(config(server), "--stop-tables", before=d).streaming()
    report.equal("looked-at-and-kept", d.seen("snapshot_begin"), 0)
    scripts(c, "UPDATE m SET v = 9")
    d.until(pg.lsn(c))
    same(report, "restarted", c, d, "m")
    d.stop()


UNSEEN = [
    ("attached-with-rows", "CREATE TABLE mx (LIKE m); INSERT INTO mx VALUES (1, 'x', 1, 'x'); ALTER TABLE m ATTACH PARTITION mx FOR VALUES IN ('x')", "partition public.mx was attached with rows", "INSERT INTO m VALUES (2, 'x', 1, 'x')"),
    ("attached-with-rows-at-once", "BEGIN; CREATE TABLE mx (LIKE m); INSERT INTO mx VALUES (1, 'x', 1, 'x'); ALTER TABLE m ATTACH PARTITION mx FOR VALUES IN ('x'); COMMIT", "partition public.mx was attached with rows", "INSERT INTO m VALUES (2, 'x', 1, 'x')"),
    ("attached-tree", "CREATE TABLE my (LIKE m INCLUDING INDEXES) PARTITION BY RANGE (id); CREATE TABLE my1 PARTITION OF my FOR VALUES FROM (0) TO (10); INSERT INTO my VALUES (1, 'x', 1, 'x'); ALTER TABLE m ATTACH PARTITION my FOR VALUES IN ('x')",
     "partition public.my1 was attached with rows", "INSERT INTO m VALUES (2, 'x', 1, 'x')"),
    ("detached", "ALTER TABLE m DETACH PARTITION mb", "was detached or dropped", None),
    ("detached-tree", "ALTER TABLE m DETACH PARTITION mc", "was detached or dropped", None),
    ("partition-dropped", "DROP TABLE mb", "was detached or dropped", None),
    ("detached-and-back", "ALTER TABLE m DETACH PARTITION mb; INSERT INTO mb (id, region, v) VALUES (70000, 'b', 1); ALTER TABLE m ATTACH PARTITION mb FOR VALUES IN ('b')", "partition public.mb was detached and attached again", "UPDATE m SET v = 1 WHERE region = 'b' AND id = 1"),
    ("truncated-alone", "TRUNCATE mb", "partition public.mb was truncated by itself", "INSERT INTO m VALUES (2, 'b', 1, 'x')"),
    ("truncated-all-alone", "TRUNCATE ma, mb, mc1, mc2", "was truncated by itself", None),
    ("truncated-whole-then-alone", "TRUNCATE m; INSERT INTO m VALUES (1, 'a', 1, 'a'), (1, 'b', 1, 'b'); TRUNCATE ma", "was truncated by itself", "INSERT INTO m VALUES (2, 'b', 1, 'x')"),
    ("rewritten", "ALTER TABLE m ALTER v TYPE numeric(10,2) USING v * 2", "rewritten", "INSERT INTO m VALUES (2, 'b', 1, 'x')"),
    ("identity-of-a-partition", "CREATE UNIQUE INDEX mbi ON mb (id); ALTER TABLE mb REPLICA IDENTITY USING INDEX mbi", "ALTER TABLE public.mb REPLICA IDENTITY FULL", "UPDATE m SET region = 'a', id = 50000 WHERE region = 'b' AND id = 1"),
]


def unseen(report, server, c):
    """Noticed when a row of the partition comes, or by itself; the table stops, keeps what it had, and the other one goes on."""
    for name, change, text, row in UNSEEN:
        for how, interval in (("by-row", NEVER), ("by-itself", SOON)):
            if how == "by-row" and row is None or name.startswith("truncated") and how == "by-row":
                continue
            fresh(c, DDL)
            d = Dump(config(server, interval=interval), "--stop-tables").streaming()
            scripts(c, change)
            if how == "by-row":
                scripts(c, row)
            d.wait("stop of m", lambda x: any(e["op"] == "table_stop" for e in x.events))
            reasons = [e["reason"] for e in d.events if e["op"] == "table_stop"]
            report.check("unseen/%s/%s" % (name, how), len(reasons) == 1 and "public" in reasons[0] and text in reasons[0], reasons)
            scripts(c, "INSERT INTO u VALUES (7)")
            d.until(pg.lsn(c))
            same(report, "unseen/%s/%s/other" % (name, how), c, d, "u")
            d.stop()
            if how == "by-itself" and name != "identity-of-a-partition":
                d = Dump(config(server), "--stop-tables", before=d).streaming()
                same(report, "unseen/%s/healed" % name, c, d, "m")
                d.stop()


def down(report, server, c):
    """The same while nobody looks."""
    fresh(c, DDL)
    d = Dump(config(server), "--stop-tables").streaming()
    for name, change in (("attached", "CREATE TABLE mx (LIKE m); INSERT INTO mx VALUES (1, 'x', 1, 'x'); ALTER TABLE m ATTACH PARTITION mx FOR VALUES IN ('x')"),
                         ("truncated", "TRUNCATE mb"), ("dropped", "DROP TABLE mx")):
        d.stop()
        scripts(c, change)
        d = Dump(config(server), "--stop-tables", before=d).streaming()
        report.equal("down/%s/snapshot" % name, d.seen("snapshot_begin"), 1)
        same(report, "down/" + name, c, d, "m")
    d.stop()
    d = Dump(config(server), "--stop-tables", before=d).streaming()
    report.equal("down/nothing", d.seen("snapshot_begin"), 0)
    d.stop()


def identities(report, server, c):
    fresh(c, """CREATE TABLE bag (k int, v int) PARTITION BY LIST (k); CREATE TABLE b1 PARTITION OF bag FOR VALUES IN (1); CREATE TABLE b2 PARTITION OF bag FOR VALUES IN (2);
        ALTER TABLE bag REPLICA IDENTITY FULL; ALTER TABLE b1 REPLICA IDENTITY FULL; ALTER TABLE b2 REPLICA IDENTITY FULL;
        CREATE TABLE keyed (id int, k int, v int, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE k1 PARTITION OF keyed FOR VALUES IN (1); CREATE TABLE k2 PARTITION OF keyed FOR VALUES IN (2);
        ALTER TABLE k1 REPLICA IDENTITY FULL; CREATE TABLE loose (k int, v int) PARTITION BY LIST (k); ALTER TABLE loose REPLICA IDENTITY FULL;
        CREATE TABLE l1 PARTITION OF loose FOR VALUES IN (1); CREATE TABLE fleeting (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
        CREATE UNLOGGED TABLE f1 PARTITION OF fleeting FOR VALUES FROM (0) TO (10);
        INSERT INTO bag VALUES (1, 1), (1, 1), (2, 5); INSERT INTO keyed SELECT i, 1 + i % 2, i FROM generate_series(1, 20) i""")
    d = Dump(config(server, "[bag, keyed]"), "--stop-tables").streaming()
    scripts(c, "DELETE FROM bag WHERE ctid = '(0,1)' AND k = 1; UPDATE bag SET k = 3 - k; INSERT INTO bag VALUES (2, NULL), (2, NULL); UPDATE keyed SET v = 0 WHERE k = 1; UPDATE keyed SET id = id + 100; UPDATE keyed SET k = 1 WHERE id < 110; DELETE FROM keyed WHERE id > 115")
    d.until(pg.lsn(c))
    same(report, "identity/bag", c, d, "bag")
    same(report, "identity/keyed", c, d, "keyed")
    d.stop()
    _, text = describe(config(server, "[loose]"))
    report.check("identity/partition-without", "table public.loose: its partition public.l1 has another replica identity" in text and "ALTER TABLE public.l1 REPLICA IDENTITY FULL" in text, text)
    _, text = describe(config(server, "[fleeting]"))
    report.check("identity/unlogged", "its partition public.f1 is unlogged" in text and "ALTER TABLE public.f1 SET LOGGED" in text, text)


def publications(report, server, c):
    fresh(c, DDL)
    d, text = describe(config(server, "[m, ma]"))
    report.check("both-refused", d.process.returncode == 2 and "table public.ma: it is a partition of public.m, which is listed too" in text
                 and "list either the partitioned table or its partitions" in text, text)
    d = Dump(config(server, "[m]", SOON)).streaming()
    report.equal("made-via-root", pg.rows(c, "SELECT pubviaroot FROM pg_publication"), [(True,)])
    scripts(c, "ALTER PUBLICATION penstock SET (publish_via_partition_root = false); INSERT INTO m VALUES (60000, 'a', 1, 'x')")
    error = d.failed()
    report.check("via-root-off", 'ALTER PUBLICATION "penstock" SET (publish_via_partition_root = true)' in error, error)
    d, text = describe(config(server, "[m]"))
    report.check("via-root-off/check", d.process.returncode == 2 and 'ALTER PUBLICATION "penstock" SET (publish_via_partition_root = true)' in text, text)
    d = Dump(config(server, "[ma, mb]")).streaming()
    scripts(c, "UPDATE m SET region = 'b' WHERE region = 'a' AND id < 500")
    d.until(pg.lsn(c))
    same(report, "leaves/ma", c, d, "ma")
    same(report, "leaves/mb", c, d, "mb")
    d.stop()
    fresh(c, DDL)
    pg.script(c, "CREATE PUBLICATION penstock FOR ALL TABLES WITH (publish_via_partition_root = true)")
    d = Dump({"url": server.url(), "check_interval": NEVER}).streaming()
    report.equal("all-tables", sorted(d.columns), ["m", "u"])
    scripts(c, "UPDATE m SET region = 'b' WHERE region = 'a' AND id < 500")
    d.until(pg.lsn(c))
    same(report, "all-tables/m", c, d, "m")
    d.stop()
    if c.server_version >= 150000:
        fresh(c, DDL)
        pg.script(c, "CREATE PUBLICATION penstock FOR TABLE m (id, region, v) WHERE (id > 1000) WITH (publish_via_partition_root = true)")
        d = Dump(config(server, "[m]")).streaming()
        scripts(c, "INSERT INTO m VALUES (5, 'a', 1, 'no'), (80000, 'd', 1, 'yes'); UPDATE m SET region = 'a' WHERE id % 3 = 0; UPDATE m SET id = id + 50000 WHERE id < 30; UPDATE m SET id = -id WHERE id BETWEEN 1500 AND 1600 AND region = 'b'; DELETE FROM m WHERE id = 1700")
        d.until(pg.lsn(c))
        report.equal("filter-and-list", d.rows("m"), sorted(pg.rows(c, "SELECT id::text, region, v::text FROM m WHERE id > 1000"), key=repr))
        d.stop()


def main():
    with Report("test_pg_partitions", 280) as report:
        tool()
        old = pg.Postgres(settings=SERVER, version=12).start()
        c = old.connect()
        fresh(c, DDL)
        d, text = describe(config(old, "[m]"))
        report.check("12/refused", d.process.returncode == 1 and "PostgreSQL before 13 publishes no partitioned table as a whole" in text and "UNION ALL" in text, text)
        d = Dump(config(old, "[ma, mb, mc1, mc2]")).streaming()
        scripts(c, "UPDATE m SET region = 'b' WHERE region = 'a' AND id < 500")
        d.until(pg.lsn(c))
        same(report, "12/leaves", c, d, "mb")
        d.stop()
        old.stop()
        for version in [int(v) for v in os.environ["VERSIONS"].split(",")] if "VERSIONS" in os.environ else [15, 13, 17]:
            server = pg.Postgres(settings=SERVER, version=version).start()
            c = server.connect()
            for test in (streaming, unseen, down, identities, publications) if version == 15 else (streaming, publications):
                began = time.monotonic()
                report.section("%d/%s" % (version, test.__name__), test, report, server, c)
                Dump.stop_all()
                report.note("%d/%s: %.1f s" % (version, test.__name__, time.monotonic() - began))
            server.stop()


if __name__ == "__main__":
    main()
