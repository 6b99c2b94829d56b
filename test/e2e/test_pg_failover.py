#!/usr/bin/python3
"""Fail-over from a primary to a standby, both named in the url. PostgreSQL 17 keeps a copy of the replication slot on the standby, so
that nothing is read anew; before, the slot is not there and a new snapshot says so. Either way what is served in the end is the new
primary's, to the row."""

import copy
import signal
import subprocess
import time

from lib import pg, procs
from lib.report import Report
from lib.source_dump import Dump, fresh, same, tool

DDL = "CREATE TABLE f (id int PRIMARY KEY, v int); INSERT INTO f SELECT i, 0 FROM generate_series(1, 1000) i"


def until(what, condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("not seen: " + what)
        time.sleep(0.1)


def standby_of(server, settings):
    """A copy of the stopped server that follows it."""
    other = copy.copy(server)
    other.data, other.port, other.log = server.dir + "/standby", procs.free_port(), server.dir + "/standby.log"
    subprocess.run(["cp", "-a", server.data, other.data], check=True)
    with open(other.data + "/postgresql.auto.conf", "a") as f:
        f.write("port = %d\nprimary_conninfo = 'host=127.0.0.1 port=%d user=postgres dbname=postgres'\nprimary_slot_name = 'phys'\n"
                "hot_standby = on\nhot_standby_feedback = on\n%s" % (other.port, server.port, settings))
    open(other.data + "/standby.signal", "w").close()
    return other


def promoted(report, version, settings, primary_settings):
    server = pg.Postgres(settings="autovacuum = off\n" + primary_settings, version=version).start()
    c = server.connect()
    fresh(c, DDL)
    pg.script(c, "SELECT pg_create_physical_replication_slot('phys', true)")
    c.close()
    server.stop()
    other = standby_of(server, settings)
    server.start()
    other.start()
    c, k = server.connect(), other.connect()
    config = {"url": '"postgresql://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?target_session_attrs=read-write&sslmode=disable"' % (other.port, server.port),
              "tables": "[f]"}
    d = Dump(config).streaming()
    report.check("%d/hosts" % version, pg.value(c, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'penstock_core' AND active") == 1,
                 "the standby is named first")
    pg.script(c, "UPDATE f SET v = 1 WHERE id % 2 = 0")
    d.until(pg.lsn(c))
    if version >= 17:
        report.check("%d/slot-is-copied" % version, pg.value(c, "SELECT failover FROM pg_replication_slots WHERE slot_name = 'penstock_core'"), "")
        until("the slot on the standby", lambda: pg.value(k, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'penstock_core' AND synced AND NOT temporary"), 60)
    pg.script(c, "DELETE FROM f WHERE id % 10 = 0")
    d.until(pg.lsn(c))
    until("the standby has it", lambda: pg.lsn_number(pg.value(k, "SELECT pg_last_wal_replay_lsn()::text")) >= pg.lsn_number(pg.lsn(c)))
    c.close()
    server.stop(signal.SIGQUIT)
    pg.script(k, "SELECT pg_promote()")
    until("promotion", lambda: not pg.value(k, "SELECT pg_is_in_recovery()"))
    pg.script(k, "UPDATE f SET v = 2 WHERE id < 100; INSERT INTO f VALUES (5000, 5)")
    d.wait("streaming again", lambda x: sum(1 for s, _ in x.states if s == "streaming") >= 2, 60)
    d.until(pg.lsn(k), 60)
    same(report, "%d/rows" % version, k, d, "f")
    log = open(d.log).read()
    if version >= 17:
        report.check("%d/no-snapshot" % version, d.seen("snapshot_begin") == 1 and "changed to another timeline" in log, d.tail())
    else:
        report.check("%d/snapshot" % version, d.seen("snapshot_begin") == 2 and "slot is gone" in log, d.tail())
    d.stop()
    k.close()
    other.stop(signal.SIGQUIT)


def main():
    with Report("test_pg_failover", 170) as report:
        tool()
        report.section("17", promoted, report, 17, "sync_replication_slots = on\nsynchronized_standby_slots = ''\n", "synchronized_standby_slots = 'phys'\n")
        report.section("14", promoted, report, 14, "", "")


if __name__ == "__main__":
    main()
