#!/usr/bin/python3
"""What changes at the server beside the rows, while they are followed: columns that come back under their name, keys,
rewritten values, dropped tables, publications, partitions published by their root, a standby. Nothing of it may leave wrong rows behind, or go unsaid."""

import os
import signal
import time

import psycopg2

from lib import pg, procs
from lib.report import Report
from lib.source_dump import Dump, describe, fresh, same

SERVER = "max_prepared_transactions = 5\nautovacuum = off\nlogical_decoding_work_mem = '64kB'\n"
SOON, NEVER = "1s", "1h"
DDL = "CREATE TABLE t (id int PRIMARY KEY, k serial, b numeric(10,2) DEFAULT 1, vc varchar(10) DEFAULT 'abcdef'); INSERT INTO t VALUES (1);" \
      "CREATE TABLE u (id int PRIMARY KEY, v int)"


def config(server, tables="[t, u]", interval=SOON, **more):
    return {"url": server.url(), "tables": tables, "check_interval": interval, **more}


def scripts(c, text):
    for one in text.split("; "):
        pg.script(c, one)


def stopped(d, table, text):
    """Until the table has stopped; the reason must hold `text`."""
    d.wait("stop of " + table, lambda x: any(e["op"] == "table_stop" and e["table"] == table for e in x.events))
    reasons = [e["reason"] for e in d.events if e["op"] == "table_stop"]
    return len(reasons) == 1 and text in reasons[0], repr(reasons)


# name, before the stream, while it runs, what is said; with_rows: a row of the table follows (the server announces it anew)
CHANGES = [
    ("readded-at-first", "ALTER TABLE t DROP vc; ALTER TABLE t ADD vc varchar(10) DEFAULT 'new'", "vc was dropped or renamed, or dropped and added again"),
    ("names-swapped", "ALTER TABLE t ADD x varchar(10) DEFAULT 'xxx'; ALTER TABLE t RENAME vc TO tmp; ALTER TABLE t RENAME x TO vc; ALTER TABLE t RENAME tmp TO x", "vc was"),
    ("key-wider", "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, k)", "replica identity"),
    ("key-wider-full", "ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, k)", "primary key"),
    ("identity-index", "CREATE UNIQUE INDEX ik ON t (k); ALTER TABLE t REPLICA IDENTITY USING INDEX ik", "replica identity"),
    ("rewritten", "ALTER TABLE t ALTER b TYPE numeric(10,2) USING b * 2", "rewritten"),
    ("cut", "ALTER TABLE t ALTER vc TYPE varchar(3) USING left(vc, 3)", "rewritten"),
    ("retyped", "ALTER TABLE t ALTER b TYPE float8", "another type"),
    ("moved", "ALTER TABLE t SET SCHEMA elsewhere", "renamed"),
    ("dropped", "DROP TABLE t", "dropped"),
    ("made-anew", "DROP TABLE t; %s" % DDL.split(";")[0], "dropped"),
]


def changes(report, server, c):
    """Each noticed when the table's next row comes, and also when none comes; the other table goes on."""
    for name, change, text in CHANGES:
        for how, interval in (("by-row", NEVER), ("by-itself", SOON)):
            if how == "by-row" and name in ("dropped", "made-anew"):
                continue
            fresh(c, "DROP SCHEMA IF EXISTS elsewhere CASCADE; CREATE SCHEMA elsewhere;" + DDL)
            d = Dump(config(server, interval=interval), "--stop-tables").streaming()
            before = d.rows("t")
            scripts(c, change)
            if how == "by-row":
                pg.script(c, "INSERT INTO %st (id, k, vc) VALUES (3, 3, 'v')" % ("elsewhere." if name == "moved" else ""))
            good, reasons = stopped(d, "t", text)
            report.check("change/%s/%s" % (name, how), good, reasons)
            report.equal("change/%s/%s/keeps" % (name, how), d.rows("t"), before)
            pg.script(c, "INSERT INTO u VALUES (7, 7)")
            d.until(pg.lsn(c))
            same(report, "change/%s/%s/other" % (name, how), c, d, "u")
            d.stop()


def harmless(report, server, c):
    """What leaves names, values and keys alone stops nothing, whether rows come or not."""
    fresh(c, DDL + "; CREATE TABLE bag (v int); ALTER TABLE bag REPLICA IDENTITY FULL; CREATE TABLE other (id int PRIMARY KEY)")
    d = Dump(config(server, "[t, u, bag]"), "--stop-tables").streaming()
    scripts(c, "ALTER TABLE t ADD extra int DEFAULT 5; ALTER TABLE t ALTER b SET NOT NULL; INSERT INTO t (id) VALUES (5); ALTER TABLE t DROP extra;"
               " ALTER TABLE t ALTER vc TYPE varchar(30); UPDATE t SET vc = repeat('w', 20); ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET b = 9;"
               " TRUNCATE u; INSERT INTO u VALUES (1, 1); ALTER TABLE bag ADD PRIMARY KEY (v); INSERT INTO bag VALUES (1); ALTER PUBLICATION penstock ADD TABLE other;"
               " ANALYZE; REINDEX TABLE t; ALTER TABLE t ALTER b SET STATISTICS 10; UPDATE bag SET v = 2")
    d.until(pg.lsn(c))
    time.sleep(1.5)  # a look
    pg.script(c, "VACUUM FULL t")
    pg.script(c, "VACUUM FULL pg_catalog.pg_attribute")
    pg.script(c, "VACUUM FREEZE")
    pg.script(c, "UPDATE t SET b = 9")
    d.until(pg.lsn(c))
    looked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock_core' AND backend_type = 'client backend'"
    time.sleep(2.5)  # two looks
    report.equal("harmless/no-connection-kept", pg.value(c, looked), 0)
    pg.script(c, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
    d.wait("streaming again", lambda x: sum(1 for s, _ in x.states if s == "streaming") == 2)
    scripts(c, "UPDATE t SET b = 10; UPDATE u SET v = 2; UPDATE bag SET v = 3")
    d.until(pg.lsn(c))
    report.equal("harmless/nothing-stops", [e for e in d.events if e["op"] == "table_stop"], [])
    report.equal("harmless/no-snapshot", d.seen("snapshot_begin"), 1)
    for t in ("t", "u", "bag"):
        same(report, "harmless/" + t, c, d, t)
    d.stop()


PUBLICATIONS = [
    ("removed", "ALTER PUBLICATION penstock DROP TABLE t; INSERT INTO t (id) VALUES (50)", "is not in publication", None),
    ("removed-and-back", "ALTER PUBLICATION penstock DROP TABLE t; INSERT INTO t (id) VALUES (50); ALTER PUBLICATION penstock ADD TABLE t; INSERT INTO t (id) VALUES (51)", "publication penstock was changed", None),
    ("filter", "ALTER PUBLICATION penstock SET TABLE t WHERE (id > 10), u; INSERT INTO t (id) VALUES (5), (15)", "publication penstock was changed", "id > 10"),
    ("all-anew", "DROP PUBLICATION penstock; INSERT INTO t (id) VALUES (50); CREATE PUBLICATION penstock FOR TABLE t, u; INSERT INTO t (id) VALUES (51)", None, None),
    ("inserts-and-back", "ALTER PUBLICATION penstock SET (publish = 'insert'); UPDATE t SET b = 77; ALTER PUBLICATION penstock SET (publish = 'insert, update, delete, truncate'); INSERT INTO t (id) VALUES (51)", None, None),
]


def publications(report, server, c):
    for name, change, text, only in PUBLICATIONS:
        fresh(c, DDL)
        d = Dump(config(server), "--stop-tables").streaming()
        scripts(c, "INSERT INTO t (id) VALUES (2); INSERT INTO u VALUES (1, 1)")
        d.until(pg.lsn(c))
        scripts(c, change)
        if text:
            good, reasons = stopped(d, "t", text)
            report.check("publication/" + name, good, reasons)
            scripts(c, "INSERT INTO u VALUES (2, 2)")
            d.until(pg.lsn(c))
            same(report, "publication/%s/other-goes-on" % name, c, d, "u")
            d.stop()
            d = Dump(config(server), "--stop-tables", before=d).streaming()
        else:
            d.wait("second snapshot", lambda x: x.seen("snapshot_end") >= 2 and x.seen("snapshot_begin") >= 2)
            report.check("publication/%s/said" % name, "publication" in open(d.log).read(), d.tail())
        scripts(c, "INSERT INTO t (id) VALUES (60)")
        d.until(pg.lsn(c))
        expected = sorted((str(r[0]),) for r in pg.rows(c, "SELECT id FROM t" + (" WHERE " + only if only else "")))
        report.equal("publication/%s/whole" % name, sorted(r[:1] for r in d.rows("t")), expected)
        report.equal("publication/%s/values" % name, sorted({r[2] for r in d.rows("t")}), sorted({str(r[0]) for r in pg.rows(c, "SELECT b FROM t" + (" WHERE " + only if only else ""))}))
        d.stop()


PARTED = """CREATE TABLE parted (id int, region text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
    CREATE TABLE pa PARTITION OF parted FOR VALUES IN ('a'); CREATE TABLE pb PARTITION OF parted FOR VALUES IN ('b');
    INSERT INTO parted VALUES (1, 'a'), (2, 'b')"""


def partitions(report, server, c):
    for name, publication in (("table", "FOR TABLE parted WITH (publish_via_partition_root)"), ("all", "FOR ALL TABLES WITH (publish_via_partition_root)"),
                              ("schema", "FOR TABLES IN SCHEMA public WITH (publish_via_partition_root)")):
        fresh(c, PARTED + "; CREATE PUBLICATION penstock " + publication)
        d, text = describe(config(server, "[pa, pb]"))
        report.check("partitions/via-root-refused/" + name, d.process.returncode == 2 and
                     'ALTER PUBLICATION "penstock" SET (publish_via_partition_root = false)' in text, text)
    fresh(c, PARTED + "; CREATE PUBLICATION penstock FOR TABLE parted")
    d, text = describe(config(server, "[parted]"))
    report.check("partitions/root-refused", d.process.returncode == 2 and "list its partitions" in text and "publish_via_partition_root = true" in text, text)
    d = Dump(config(server, "[pa, pb]"), "--stop-tables").streaming()
    scripts(c, "UPDATE parted SET region = 'b' WHERE id = 1; INSERT INTO parted VALUES (3, 'a'); CREATE TABLE pc PARTITION OF parted FOR VALUES IN ('c'); INSERT INTO parted VALUES (4, 'c'), (5, 'a')")
    d.until(pg.lsn(c))
    same(report, "partitions/pa", c, d, "pa")
    same(report, "partitions/pb", c, d, "pb")
    # Published only through the root: once detached its changes do not come.
    scripts(c, "ALTER TABLE parted DETACH PARTITION pa; INSERT INTO pa VALUES (9, 'a'); INSERT INTO parted VALUES (10, 'b')")
    good, reasons = stopped(d, "pa", "is not in publication")
    report.check("partitions/detached", good, reasons)
    d.until(pg.lsn(c))
    same(report, "partitions/detached-other", c, d, "pb")
    scripts(c, "ALTER TABLE parted ATTACH PARTITION pa FOR VALUES IN ('a')")
    d.stop()
    d = Dump(config(server, "[pa, pb]"), "--stop-tables", before=d).streaming()
    same(report, "partitions/attached-again", c, d, "pa")
    # Detached and attached again between two looks.
    scripts(c, "ALTER TABLE parted DETACH PARTITION pb; INSERT INTO pb VALUES (20, 'b'); ALTER TABLE parted ATTACH PARTITION pb FOR VALUES IN ('b')")
    good, reasons = stopped(d, "pb", "was changed")
    report.check("partitions/detached-and-back", good, reasons)
    pg.script(c, "ALTER PUBLICATION penstock SET (publish_via_partition_root = true)")
    pg.script(c, "INSERT INTO parted VALUES (30, 'a')")
    error = d.failed()
    report.check("partitions/via-root-later", "publish_via_partition_root = false" in error or "publication" in error, error)


def large_transactions(report, server, c):
    """Spilled to the server's disk (work_mem is 64 kB), side by side, with aborted and nested parts."""
    fresh(c, "CREATE TABLE l (id int PRIMARY KEY, v int); CREATE TABLE lb (v int); ALTER TABLE lb REPLICA IDENTITY FULL")
    d = Dump(config(server, "[l, lb]", NEVER)).streaming()
    a, b, gone = (server.connect(autocommit=False) for _ in range(3))
    for i in range(4):
        for n, k in enumerate((a, b, gone)):
            base = n * 100000 + i * 3000
            pg.script(k, "INSERT INTO l SELECT i, %d FROM generate_series(%d, %d) i; INSERT INTO lb SELECT i %% 7 FROM generate_series(1, 500) i" % (i, base, base + 2999))
            pg.script(k, "SAVEPOINT s; UPDATE l SET v = -1 WHERE id BETWEEN %d AND %d; DELETE FROM l WHERE id = %d; ROLLBACK TO s" % (base, base + 2999, base))
            pg.script(k, "SAVEPOINT s2; UPDATE l SET v = v + 10 WHERE id BETWEEN %d AND %d; SAVEPOINT s3; DELETE FROM l WHERE id = %d; RELEASE s2" % (base, base + 99, base + 5))
    pg.script(gone, "ROLLBACK")
    pg.script(b, "PREPARE TRANSACTION 'large'")
    pg.script(a, "COMMIT")
    d.until(pg.lsn(c), 60)
    report.equal("large/prepared-unseen", len(d.rows("l")), 12000 - 4)
    d.stop(signal.SIGKILL)
    pg.script(c, "COMMIT PREPARED 'large'")
    d = Dump(config(server, "[l, lb]", NEVER), before=d).streaming()
    d.until(pg.lsn(c), 60)
    same(report, "large/keyed", c, d, "l")
    same(report, "large/keyless", c, d, "lb")
    report.equal("large/no-snapshot", d.seen("snapshot_begin"), 0)
    d.stop()
    for k in (a, b, gone):
        k.close()


def standby(report, server, c):
    """A real standby: refused while it is one; once promoted, it has no slot, and is taken anew."""
    fresh(c, DDL)
    other = pg.Postgres.__new__(pg.Postgres)
    other.__dict__.update(server.__dict__, data=os.path.join(server.dir, "standby"), port=procs.free_port(), log=os.path.join(server.dir, "standby.log"))
    other._run([server.bin + "/pg_basebackup", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-D", other.data, "-R", "--checkpoint=fast", "--no-sync"])
    with open(other.data + "/postgresql.auto.conf", "a") as f:
        f.write("port = %d\n" % other.port)
    other.start()
    d = Dump(config(server)).streaming()
    scripts(c, "INSERT INTO t (id) VALUES (2); INSERT INTO u VALUES (1, 1)")
    d.until(pg.lsn(c)).stop()
    d = Dump(config(server, url=other.url()), before=d)
    d.wait("refusal", lambda x: any("target_session_attrs=read-write" in e for s, e in x.states if s == "retrying"))
    report.ok("standby-refused")
    k = other.connect()
    deadline = time.monotonic() + 20
    while pg.value(k, "SELECT count(*) FROM t") != 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    server.stop(signal.SIGQUIT)
    pg.script(k, "SELECT pg_promote()")
    pg.script(k, "DELETE FROM t WHERE id = 1; INSERT INTO t (id) VALUES (3)")
    d.wait("streaming", lambda x: x.states[-1][0] == "streaming", 30)
    d.until(pg.lsn(k))
    same(report, "standby-promoted", k, d, "t")
    same(report, "standby-promoted", k, d, "u")
    report.check("standby-promoted/said", "slot is gone" in open(d.log).read() and d.seen("snapshot_begin") == 1, d.tail())
    d.stop()
    k.close()
    other.stop(signal.SIGQUIT)
    server.start()


def retained(report, server, c):
    """An open transaction holds the server's log: said once, and again after it had gone."""
    fresh(c, DDL)
    k = server.connect(autocommit=False)
    d = Dump(config(server, retained_warning="1MiB")).streaming()
    pg.script(k, "INSERT INTO u VALUES (100, 1)")
    for _ in range(3):
        pg.script(c, "INSERT INTO t (id, vc) SELECT (SELECT max(id) FROM t) + i, 'x' FROM generate_series(1, 20000) i")
        pg.script(c, "CHECKPOINT")
    d.wait("warning", lambda x: "keeps much log" in open(x.log).read(), 15)
    report.check("retained/said", "slot=penstock_core" in open(d.log).read(), d.tail())
    time.sleep(2.2)
    report.equal("retained/said-once", open(d.log).read().count("keeps much log"), 1)
    k.rollback()
    k.close()
    d.stop()


def slot_lost(report, server, c):
    """Dropped under a running stream, and invalidated because it kept too much log: taken anew each time."""
    fresh(c, DDL)
    d = Dump(config(server)).streaming()
    for i in range(100):  # the stream comes back fast: drop it in the instant between
        pg.script(c, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL")
        try:
            pg.script(c, "SELECT pg_drop_replication_slot('penstock_core')")
            break
        except psycopg2.Error:
            pass
    pg.script(c, "INSERT INTO t (id) VALUES (2)")
    d.wait("snapshot", lambda x: x.seen("snapshot_begin") == 2 and x.states[-1][0] == "streaming")
    d.until(pg.lsn(c))
    same(report, "slot-dropped-running", c, d, "t")
    d.stop()
    pg.script(c, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    pg.script(c, "SELECT pg_reload_conf()")
    for i in range(3):
        pg.script(c, "INSERT INTO t (id) SELECT i FROM generate_series(%d, %d) i" % (100 + 1000 * i, 1099 + 1000 * i))
        pg.script(c, "SELECT pg_switch_wal()")
    pg.script(c, "DELETE FROM t WHERE id = 1")
    pg.script(c, "CHECKPOINT")
    report.equal("slot-invalidated/set-up", pg.value(c, "SELECT wal_status FROM pg_replication_slots"), "lost")
    d = Dump(config(server), before=d).streaming()
    d.until(pg.lsn(c))
    same(report, "slot-invalidated", c, d, "t")
    report.check("slot-invalidated/said", "invalidated" in open(d.log).read() and d.seen("snapshot_begin") == 1, d.tail())
    d.stop()
    pg.script(c, "ALTER SYSTEM RESET max_slot_wal_keep_size")
    pg.script(c, "SELECT pg_reload_conf()")


def snapshot_cut(report, server, c):
    """The snapshot's connections are ended in the midst of it, and tables change meanwhile."""
    fresh(c, DDL + "; CREATE TABLE big (id int PRIMARY KEY, pad text); INSERT INTO big SELECT i, repeat('p', 300) FROM generate_series(1, 30000) i;"
                 "CREATE TABLE bag (v int, pad text); ALTER TABLE bag REPLICA IDENTITY FULL; INSERT INTO bag SELECT i % 9, repeat('q', 300) FROM generate_series(1, 80000) i")
    d = Dump(config(server, "[t, u, big, bag]", snapshot_connections="2", snapshot_chunk="1MiB"))
    d.wait("rows", lambda x: x.seen("insert") > 100)
    pg.script(c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'penstock_core' AND query LIKE 'COPY%'")
    pg.script(c, "UPDATE big SET pad = 'new' WHERE id % 3 = 0; DELETE FROM big WHERE id % 7 = 0; DELETE FROM bag WHERE v = 3")
    d.wait("streaming", lambda x: x.seen("snapshot_end") >= 1, 40)
    d.until(pg.lsn(c))
    same(report, "snapshot-cut/keyed", c, d, "big")
    same(report, "snapshot-cut/keyless", c, d, "bag")
    report.check("snapshot-cut/again", d.seen("snapshot_begin") == 2 and any(s == "retrying" for s, _ in d.states), repr(d.states))
    d.stop()


def wide(report, server, c):
    """As many columns as PostgreSQL can have."""
    fresh(c, "CREATE TABLE wide (id int PRIMARY KEY, %s)" % ", ".join("c%d int" % i for i in range(1, 1600)))
    pg.script(c, "INSERT INTO wide VALUES (1, %s)" % ", ".join(map(str, range(1, 1600))))
    d = Dump(config(server, "[wide]")).streaming()
    pg.script(c, "INSERT INTO wide VALUES (2); UPDATE wide SET c1599 = 0, c1 = NULL")
    d.until(pg.lsn(c))
    report.equal("wide", d.rows("wide"), sorted(((str(r[0]),) + tuple(None if v is None else str(v) for v in r[1:]) for r in pg.rows(c, "SELECT * FROM wide")), key=repr))
    d.stop()


TESTS = [changes, harmless, publications, partitions, large_transactions, retained, slot_lost, snapshot_cut, wide]

if __name__ == "__main__":
    with Report("test_pg_drift", 170) as report:
        server = pg.Postgres(settings=SERVER).start()
        c = server.connect()
        for test in [globals()[n] for n in os.environ["TESTS"].split(",")] if "TESTS" in os.environ else TESTS + [standby]:
            began = time.monotonic()
            report.section(test.__name__, test, report, server, c)
            Dump.stop_all()
            report.note("%s: %.1f s" % (test.__name__, time.monotonic() - began))
        server.stop()
