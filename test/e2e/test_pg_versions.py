#!/usr/bin/python3
"""The postgres source against every supported version of PostgreSQL: snapshot, every type, replica identities, TOAST, truncates,
restarts of both sides, lost slots, changed tables, publications. The same tests as with version 15 (test_pg_source.py), each
version's own answer being the oracle, and what only some versions have."""

import os
import time

import test_pg_source as common
from lib import pg
from lib.report import Report
from lib.source_dump import Dump, fresh, same, tool

VERSIONS = [12, 13, 14, 15, 16, 17]
COMMON = [common.types, common.toast, common.identities, common.truncate, common.resume, common.idle, common.snapshot_again,
          common.schema_changes]


def filters(report, server, c):
    """Row filters and column lists (15 and newer): an update that takes a row in or out comes as an insert or a delete."""
    if c.server_version < 150000:
        return
    fresh(c, "CREATE TABLE p (id int PRIMARY KEY, k int, v int, secret text DEFAULT 's'); ALTER TABLE p REPLICA IDENTITY FULL;"
             "INSERT INTO p SELECT i, i % 10, i FROM generate_series(1, 200) i; CREATE PUBLICATION penstock FOR TABLE p WHERE (k > 4)")
    d = Dump({"url": server.url(), "tables": "[p]"}).streaming()
    pg.script(c, "UPDATE p SET k = 9 WHERE id <= 20; UPDATE p SET k = 0 WHERE id BETWEEN 180 AND 200; UPDATE p SET v = -v WHERE id % 3 = 0; UPDATE p SET id = id + 1000, k = 7 WHERE id = 30; DELETE FROM p WHERE id = 41")
    d.until(pg.lsn(c))
    report.equal("filters", d.rows("p"), sorted(pg.rows(c, "SELECT id::text, k::text, v::text, secret FROM p WHERE k > 4"), key=repr))
    d.stop()
    pg.script(c, "ALTER TABLE p REPLICA IDENTITY DEFAULT; ALTER PUBLICATION penstock SET TABLE p (id, v)")
    d = Dump({"url": server.url(), "tables": "[p]"}, before=d).streaming()
    pg.script(c, "UPDATE p SET secret = 'other', v = v + 1 WHERE id < 50; INSERT INTO p VALUES (5000, 1, 2, 'x')")
    d.until(pg.lsn(c))
    report.equal("column-list", d.columns["p"], {"id": "integer", "v": "integer"})
    report.equal("column-list/rows", sorted(tuple(v for v in r if v is not None)[:2] if len(r) == 2 else r for r in d.rows("p")),
                 sorted(pg.rows(c, "SELECT id::text, v::text FROM p")))
    d.stop()


def slot_lost(report, server, c):
    """Given up by the server (13 and newer): said with the reason, and everything is taken anew."""
    fresh(c, "CREATE TABLE w (id int PRIMARY KEY); CREATE TABLE noise (v text); INSERT INTO w VALUES (1)")
    d = Dump({"url": server.url(), "tables": "[w]"}).streaming().stop()
    if c.server_version >= 130000:
        pg.script(c, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
        pg.script(c, "SELECT pg_reload_conf()")
        for _ in range(2):
            pg.script(c, "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
            pg.script(c, "SELECT pg_switch_wal()")
        pg.script(c, "CHECKPOINT")
        report.equal("slot-lost/is", pg.value(c, "SELECT wal_status FROM pg_replication_slots"), "lost")
    else:
        pg.script(c, "SELECT pg_drop_replication_slot('penstock_core')")
    pg.script(c, "INSERT INTO w VALUES (2)")
    d = Dump({"url": server.url(), "tables": "[w]"}, before=d).streaming()
    said = "max_slot_wal_keep_size" if c.server_version >= 130000 else "slot is gone"
    report.check("slot-lost/said", d.seen("snapshot_begin") == 1 and said in open(d.log).read(), d.tail())
    same(report, "slot-lost", c, d, "w")
    d.stop()
    if c.server_version >= 130000:
        pg.script(c, "ALTER SYSTEM RESET max_slot_wal_keep_size")
        pg.script(c, "SELECT pg_reload_conf()")


class Prefixed:
    """A report whose checks carry the version's name."""

    def __init__(self, report, prefix):
        self.report, self.prefix = report, prefix

    def check(self, name, *args):
        return self.report.check(self.prefix + name, *args)

    def equal(self, name, *args):
        return self.report.equal(self.prefix + name, *args)

    def ok(self, name, *args):
        return self.report.ok(self.prefix + name, *args)

    def fail(self, name, *args):
        return self.report.fail(self.prefix + name, *args)


def version_test(report, version):
    began = time.monotonic()
    server = pg.Postgres(settings="max_prepared_transactions = 5\nautovacuum = off\n", version=version).start()
    c = server.connect()
    named = Prefixed(report, "%d/" % version)
    named.equal("version", c.server_version // 10000, version)
    for test in COMMON + [filters, slot_lost]:
        t = time.monotonic()
        report.section("%d/%s" % (version, test.__name__), test, named, server, c)
        report.note("%d/%s: %.1f s" % (version, test.__name__, time.monotonic() - t))
        Dump.stop_all()
    c = report.section("%d/server_restart" % version, common.server_restart, named, server, c)
    server.stop()
    report.note("PostgreSQL %d: %.1f s" % (version, time.monotonic() - began))


def main():
    with Report("test_pg_versions", 280) as report:
        tool()
        for version in [int(v) for v in os.environ["VERSIONS"].split(",")] if "VERSIONS" in os.environ else VERSIONS:
            report.section("PostgreSQL %d" % version, version_test, report, version)


if __name__ == "__main__":
    main()
