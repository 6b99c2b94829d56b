#!/usr/bin/python3
"""Stops and starts: the stream goes on where it was without asking the source for its rows again; views are served
before the source is there; a lost slot or another number of shards is settled without showing half of anything."""

import os
import time

from lib import bank, canon, pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.relay import Relay
from lib.report import Report
from lib.watch import Reader, compare_views, wait_visible


def copies(server):
    """COPY statements that the server has seen: each is a table read anew."""
    with open(server.log, errors="replace") as f:
        return sum(1 for line in f if "COPY " in line and ("statement:" in line or "execute" in line or "received" in line))


def source_state(box):
    sources = box.status().get("sources", [])
    return sources[0] if sources else {}


def clean_restart(report, server, c, box):
    clients = bank.Clients(server, count=2, pause_s=0.005).start()
    time.sleep(1.5)
    before = copies(server)
    report.check("snapshot/used-copy", before > 0, "no COPY in the server's log: this test cannot tell a re-snapshot")
    report.check("restart/clean-stop", box.stop() == 0, "exit status not 0")
    box.verify(report, "restart")
    time.sleep(1)  # transactions that only the log holds
    started = time.monotonic()
    box.start(ready_s=0)
    box.wait_answer("/api/total", 20)
    report.note("first answer %.2f s after the start" % (time.monotonic() - started))
    wait_visible(box, c, 30, "total")
    clients.stop()
    compare_views(report, box, c, bank.NAMES, "restart")
    report.equal("restart/no-new-snapshot", copies(server), before)


def without_source(report, server, c, box):
    """Stop both; start Penstock alone: the last state is served, and its age told. Then the source comes back."""
    before = copies(server)
    expected = {n: canon.view_rows(c, n) for n in bank.NAMES}
    report.check("no-source/clean-stop", box.stop() == 0, "exit status not 0")
    c.close()
    server.stop()
    started = time.monotonic()
    box.start(ready_s=0)
    box.wait_answer("/api/total", 20)
    took = time.monotonic() - started
    report.check("no-source/answers-at-once", took < 3, "first answer after %.1f s" % took)
    http = box.client()
    for n in bank.NAMES:
        problem = canon.difference(http.list(n).rows(), expected[n])
        report.check("no-source/%s" % n, problem is None, problem)
    time.sleep(2)
    answer = http.list("total")
    told = "Penstock-Stale" in answer.headers or int(answer.headers.get("Penstock-Lag-Ms", "0")) > 0
    report.check("no-source/age-told", told, "neither Penstock-Stale nor Penstock-Lag-Ms: %s" % dict(answer.headers))
    state = source_state(box)
    report.check("no-source/state", state.get("state") in ("connecting", "retrying", "down"), "status says %s" % state)
    server.start()
    c = server.connect()
    bank_clients = bank.Clients(server, count=1).start()
    time.sleep(0.5)
    bank_clients.stop()
    wait_visible(box, c, 40, "total")
    compare_views(report, box, c, bank.NAMES, "source-back")
    report.equal("source-back/no-new-snapshot", copies(server), before)
    return c


def source_crash(report, server, c, box):
    """PostgreSQL dies and comes back while Penstock runs: reads go on, and so does the stream."""
    reader = Reader(box, {n: bank.INVARIANTS[n] for n in ("total", "mismatches")}, pause_s=0.005).start()
    c.close()
    before = copies(server)
    server.stop(3)  # SIGQUIT: no shutdown checkpoint
    time.sleep(1)
    server.start()
    c = server.connect()
    clients = bank.Clients(server, count=2).start()
    time.sleep(1)
    clients.stop()
    wait_visible(box, c, 40, "total")
    reader.stop()
    reader.report(report, "source-crash/reader")
    compare_views(report, box, c, bank.NAMES, "source-crash")
    report.equal("source-crash/no-new-snapshot", copies(server), before)
    return c


def flush_advances(report, c):
    """Writes to tables that nobody publishes must not make the source keep its log for us."""
    def behind():
        return pg.value(c, "SELECT pg_current_wal_lsn() - confirmed_flush_lsn FROM pg_replication_slots")
    for _ in range(20):
        pg.script(c, "INSERT INTO elsewhere SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    written = behind()
    wait_for(lambda: behind() < 200000, 40, "confirmed_flush_lsn follows writes to other tables (%d bytes behind)" % written, 0.2)
    report.ok("idle/confirmed-flush-advances")


def lost_slot(report, server, c, box):
    """The slot is gone: said, and the tables read anew, without ever serving a mixture."""
    report.check("lost-slot/clean-stop", box.stop() == 0, "exit status not 0")
    clients = bank.Clients(server, count=2).start()
    time.sleep(0.7)
    clients.stop()
    pg.script(c, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    pg.script(c, "DELETE FROM core.entries WHERE transfer % 3 = 0; DELETE FROM core.transfers WHERE id % 3 = 0 AND id > 20")
    pg.script(c, "TRUNCATE core.entries; TRUNCATE core.transfers; UPDATE core.accounts SET balance = 0;"
                 "INSERT INTO core.transfers (from_account, to_account, amount) SELECT i, i % 20 + 1, 2 FROM generate_series(1, 20) i;"
                 "INSERT INTO core.entries SELECT id, 'from', from_account, -amount FROM core.transfers UNION ALL "
                 "SELECT id, 'to', to_account, amount FROM core.transfers")
    reader = Reader(box, {n: bank.INVARIANTS[n] for n in ("total", "entry_total", "mismatches", "held_total")}, pause_s=0.002)
    reader.may_fail.set()
    reader.start()
    box.start(ready_s=0)
    wait_visible(box, c, 60, "total")
    reader.stop()
    report.check("lost-slot/never-half", not reader.failures, "; ".join(reader.failures[:3]))
    compare_views(report, box, c, bank.NAMES, "lost-slot")
    box.verify(report, "lost-slot")


def moved_slot(report, server, c, box):
    """Somebody else moves the slot on after it was looked at and before streaming starts: the server then skips what
    lies between without an error, and the tables must be read anew."""
    report.check("moved-slot/clean-stop", box.stop() == 0, "exit status not 0")
    clients = bank.Clients(server, count=2).start()
    time.sleep(0.5)
    clients.stop()

    def move():
        other = server.connect()
        pg.rows(other, "SELECT pg_replication_slot_advance('penstock', pg_current_wal_lsn())")
        other.close()
    relay = Relay(server.port, b"START_REPLICATION", move)
    with open(box.config) as f:
        config = f.read()
    with open(box.config, "w") as f:
        f.write(config.replace("127.0.0.1:%d/" % server.port, "127.0.0.1:%d/" % relay.port))
    mark = box.log_mark()
    box.start(ready_s=0)
    wait_for(lambda: relay.met >= 2, 30, "a second start of the stream", 0.05)
    wait_visible(box, c, 60, "total")
    compare_views(report, box, c, bank.NAMES, "moved-slot")
    log = box.log_since(mark)
    report.check("moved-slot/said", "moved on by another reader" in log and "taking a snapshot" in log, log[-1500:])
    report.check("moved-slot/clean-stop-after", box.stop() == 0, "exit status not 0")
    with open(box.config, "w") as f:
        f.write(config)
    relay.close()
    box.start()
    wait_visible(box, c, 60, "total")


GATE_UNRECOVERED = 64  # struct gate: magic, layout, size, boot id, generation, recovering


def failed_sync(report, server, c, box):
    """After a failed sync nothing that came later counts as written, though the page cache shows it: the next start goes
    back to the last checkpoint, and the source sends the rest again."""
    start = pg.lsn_number(pg.lsn(c))
    clients = bank.Clients(server, count=2).start()
    wait_for(lambda: pg.lsn_number(pg.value(c, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots")) > start, 30,
             "a checkpoint of the new changes", 0.05)
    time.sleep(0.3)
    box.kill_all()
    clients.stop()
    with open(os.path.join(box.data, "gate"), "r+b") as f:  # as the checkpoint leaves it when the disk reports an error
        f.seek(GATE_UNRECOVERED)
        was = f.read(4)
        f.seek(GATE_UNRECOVERED)
        f.write((1).to_bytes(4, "little"))
    report.equal("failed-sync/flag", was, bytes(4))
    box.verify(report, "failed-sync")
    before, mark = copies(server), box.log_mark()
    box.start(ready_s=0)
    wait_visible(box, c, 40, "total")
    report.check("failed-sync/back", "back at the last checkpoint" in box.log_since(mark), box.log_since(mark)[-1200:])
    compare_views(report, box, c, bank.NAMES, "failed-sync")
    again = [line for line in box.log_since(mark).splitlines() if "snapshot" in line]
    report.check("failed-sync/no-new-snapshot", copies(server) == before, again[:2])


def other_shards(report, server, c, box):
    """Another number of shards re-partitions the store at the start; the stream goes on from where it was."""
    before = copies(server)
    for n in (5, 1):
        report.check("shards-%d/clean-stop" % n, box.stop() == 0, "exit status not 0")
        box.shards = n
        box.start(ready_s=0)
        clients = bank.Clients(server, count=1).start()
        time.sleep(0.5)
        clients.stop()
        wait_visible(box, c, 15, "total")
        compare_views(report, box, c, bank.NAMES, "shards-%d" % n)
        report.equal("shards-%d/status" % n, len(box.status().get("shards", [])), n)
    report.equal("shards/no-new-snapshot", copies(server), before)


LOOKS = """CREATE VIEW by_num AS SELECT n, count(*) AS c FROM core.looks GROUP BY n;
CREATE VIEW by_float AS SELECT f, count(*) AS c FROM core.looks GROUP BY f;
CREATE VIEW by_interval AS SELECT i, count(*) AS c FROM core.looks GROUP BY i;
CREATE VIEW distinct_nums AS SELECT DISTINCT n FROM core.looks;
CREATE VIEW extremes AS SELECT min(n) AS least, max(n) AS most, sum(DISTINCT n) AS s, count(DISTINCT f) AS d FROM core.looks;
CREATE VIEW num_join AS SELECT a.id, b.n, b.c FROM core.looks a JOIN by_num b ON a.n = b.n;
"""


def equal_values_that_look_different(report):
    """1.0 and 1.00, 0 and -0, '1 day' and '24:00:00' are one group each; which of them is shown is free, but a restart
    that comes to another choice must not break the views that were stored with the first."""
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, "CREATE SCHEMA core; CREATE TABLE core.looks (id int PRIMARY KEY, n numeric, f float8, i interval);"
                 "INSERT INTO core.looks VALUES (50, 1.0, '-0', '24:00:00'), (40, 2, 1, '1 mon'); CREATE PUBLICATION penstock FOR ALL TABLES")
    names = [line.split()[2] for line in LOOKS.splitlines()]
    box = Penstock(postgres_config(server, ["{ table: core.looks, as: looks }"], ["views.sql"], names), LOOKS, shards=2, name="looks").start()
    report.on_failure.append(lambda: report.note("log of looks: " + box.log_tail(1500)))
    http = box.client()
    wait_visible(box, c, 20, "by_num")

    def count():
        return {n: sum(int(row.get("c")) * k for row, k in http.list(n).rows().items()) for n in ("by_num", "by_float", "by_interval")}
    # Rows that stand before the first one in key order, of the same values with another look.
    pg.script(c, "INSERT INTO core.looks VALUES (1, 1.00, 0, '1 day'), (2, 1.000, 0, '1 day'), (3, 2.00, 1, '30 days')")
    wait_visible(box, c, 20, "by_num")
    report.equal("looks/before", count(), {"by_num": 5, "by_float": 5, "by_interval": 5})
    for step, statement, rows in (("insert", "INSERT INTO core.looks VALUES (60, 1, 0, '24:00:00')", 6),
                                  ("delete", "DELETE FROM core.looks WHERE id = 50", 5), ("empty", "DELETE FROM core.looks", 0)):
        box.kill_all()
        box.start()
        http = box.client()
        pg.script(c, statement)
        try:
            wait_visible(box, c, 20, "by_num")
            report.equal("looks/after-restart-%s" % step, count(), {"by_num": rows, "by_float": rows, "by_interval": rows})
            report.equal("looks/distinct-%s" % step, sum(http.list("distinct_nums").rows().values()), 2 if rows else 0)
            report.equal("looks/join-%s" % step, sum(http.list("num_join").rows().values()), rows)
            box.verify(report, "looks/" + step)
        except Exception as e:
            report.fail("looks/after-restart-%s" % step, "%s; log: %s" % (e, box.log_tail(500)))
            break
    box.stop()
    server.stop()


def main():
    with Report("test_restart", 230) as report:
        server = pg.Postgres(settings="log_statement = 'all'\nlog_replication_commands = on\n").start()
        c = server.connect()
        bank.create(c)
        bank.create_views(c)
        pg.script(c, "DROP PUBLICATION penstock; CREATE PUBLICATION penstock FOR TABLE core.accounts, core.transfers, core.entries;"
                     "CREATE TABLE elsewhere (t text)")
        box = Penstock(postgres_config(server, bank.TABLES, ["views.sql"], bank.NAMES), bank.SQL, shards=2, name="restart")
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        box.start()
        report.section("restart", clean_restart, report, server, c, box)
        c = report.section("no-source", without_source, report, server, c, box) or server.connect()
        c = report.section("source-crash", source_crash, report, server, c, box) or server.connect()
        report.section("idle", flush_advances, report, c)
        report.section("lost-slot", lost_slot, report, server, c, box)
        report.section("failed-sync", failed_sync, report, server, c, box)
        report.section("moved-slot", moved_slot, report, server, c, box)
        report.section("shards", other_shards, report, server, c, box)
        report.section("looks", equal_values_that_look_different, report)
        report.check("clean-stop", box.stop() == 0, "exit status not 0")
        box.verify(report, "end")


if __name__ == "__main__":
    main()
