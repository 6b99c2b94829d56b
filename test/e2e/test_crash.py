#!/usr/bin/python3
"""kill -9 of every process of an instance at random moments under load: nothing is lost, nothing counted twice, no
reader sees half a transaction or goes back in time. 20 rounds; SOAK=1: 200. --seed N repeats a run's choices."""

import argparse
import os
import random
import time

from lib import bank, canon, pg, procs
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report, soak
from lib.watch import Reader, compare_views, wait_visible

ROUNDS = 200 if soak() else 20
FILLER = 150000
FILLER_SQL = """CREATE VIEW filler_count AS SELECT count(*) AS n, sum(v) AS s FROM core.filler;
CREATE VIEW filler_groups AS SELECT bucket, count(*) AS n, sum(v) AS s FROM core.filler GROUP BY bucket;
CREATE VIEW filler_rows AS SELECT id, bucket, t FROM core.filler WHERE bucket = 7;
"""
FILLER_NAMES = ["filler_count", "filler_groups", "filler_rows"]


def setup(report):
    server = pg.Postgres().start()
    c = server.connect()
    bank.create(c)
    bank.create_views(c)
    pg.script(c, "CREATE TABLE core.filler (id int PRIMARY KEY, bucket int, v numeric(10,2), t text);"
                 "INSERT INTO core.filler SELECT i, i %% 97, i / 100.0, repeat('x', i %% 50) FROM generate_series(1, %d) i"
              % FILLER)
    for statement in FILLER_SQL.strip().split("\n"):
        pg.script(c, statement)
    config = postgres_config(server, bank.TABLES + ["{ table: core.filler, as: filler }"], ["views.sql"],
                             bank.NAMES + FILLER_NAMES)
    return server, c, Penstock(config, bank.SQL + FILLER_SQL, shards=3, name="crash")


def complete(rows):
    """The filler never changes: an answer shows all of it, or there is no answer."""
    n = next(iter(rows)).get("n") if rows else None
    return None if n == canon.Number(str(FILLER)) else "half a snapshot served: %s" % dict(rows)


def during_snapshot(report, box, r):
    """Kills within the initial snapshot; half of it is never served."""
    reader = Reader(box, {"filler_count": complete}, pause_s=0.005)
    reader.may_fail.set()
    box.start(ready_s=0)
    reader.start()
    for i in range(8 if soak() else 4):
        time.sleep(r.uniform(0.1, 1.2))
        if r.random() < 0.5:
            box.kill_all()
            verify_known(report, box, "snapshot%d" % i)
            box.start(ready_s=0)
        else:
            try:
                box.kill("pipeline")
            except Exception as e:  # not up yet: the next kill will meet it
                report.note("kill during the snapshot: %s" % e)
    box.wait_ready(90)
    reader.stop()
    report.check("snapshot/never-half", not reader.failures, "; ".join(reader.failures[:3]))
    report.ok("snapshot/killed-and-came-back")


def verify_known(report, box, name):
    """Once the first catalog and the tables are there: before, there is nothing to compare with."""
    if all(os.path.exists(os.path.join(box.data, n)) for n in ("checkpoint", "catalog.json", "tables.json")):
        code, out, err = box.command("verify", "-c", box.config, "--data", box.data, timeout_s=120)
        report.check(name + "/verify", code == 0, "exit %d: %s" % (code, (out + err)[:1500]))


def one_kill(report, box, r, readers, number):
    """One round: kill, see it come back, see new commits become visible."""
    targets = r.choice((("pipeline",), ("pipeline",), ("serve",), ("pipeline", "serve"), ("supervisor",), ("all",)))
    name = "round%d/%s" % (number, "+".join(targets))
    only_pipeline = targets == ("pipeline",)
    time.sleep(r.uniform(0.05, 0.7))
    if not only_pipeline:
        for reader in readers:
            reader.may_fail.set()
    started = time.monotonic()
    if targets == ("all",):
        box.kill_all()
        box.verify(report, name)
        started = time.monotonic()
        box.start(ready_s=0)
    elif targets == ("supervisor",):
        children = [p for n, p in box.pids().items() if n != "supervisor"]
        box.kill("supervisor")
        # Orphans must not hold the port and the store for ever: they follow their supervisor.
        wait_for(lambda: not any(procs.alive(p) for p in children), 10, "end of the orphans of a killed supervisor")
        box.start(ready_s=0)
    else:
        box.kill(*targets)
        if r.random() < 0.3:  # again, while it recovers
            time.sleep(r.uniform(0, 0.4))
            try:
                box.kill(*targets)
            except Exception as e:
                report.note("%s: second kill: %s" % (name, e))
    return name, started


def under_load(report, server, c, box, r):
    clients = bank.Clients(server, count=3, seed=r.randint(1, 10**6), pause_s=0.004).start()
    checks = {n: bank.INVARIANTS[n] for n in ("total", "entry_total", "held_total", "outer_nulls", "mismatches", "entry_balances")}
    readers = [Reader(box, checks, pause_s=0.002).start() for _ in range(2)]
    slowest, bad = 0.0, 0
    for number in range(ROUNDS):
        name = "round%d" % number
        try:
            name, started = one_kill(report, box, r, readers, number)
            box.wait_ready(30)
            wait_visible(box, c, 30, "total")
            slowest = max(slowest, time.monotonic() - started)
            report.ok(name)
        except Exception as e:
            report.fail(name, "%s; log: %s" % (e, box.log_tail()))
            if not box.process or box.process.poll() is not None:
                box.start()
            bad += 1
            if bad > 3:
                raise RuntimeError("more than 3 rounds failed: stopping")
        for reader in readers:
            reader.may_fail.clear()
    commits = clients.stop()
    for i, reader in enumerate(readers):
        reader.stop()
        reader.report(report, "reader%d" % i)
    report.check("writers", not clients.errors and commits, clients.errors)
    report.note("%d transactions, slowest recovery until new commits were visible %.2f s" % (commits, slowest))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    r = random.Random(args.seed)
    with Report("test_crash", 2400 if soak() else 240) as report:
        report.note("seed %d" % args.seed)
        server, c, box = setup(report)
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(3000)))
        report.section("snapshot", during_snapshot, report, box, r)
        compare_views(report, box, c, bank.NAMES + FILLER_NAMES, "after-snapshot")
        under_load(report, server, c, box, r)
        compare_views(report, box, c, bank.NAMES + FILLER_NAMES, "end")
        slots = pg.rows(c, "SELECT slot_name FROM pg_replication_slots")
        report.check("one-slot", len(slots) == 1, "replication slots left: %s" % slots)
        box.verify(report, "end-running")
        report.check("clean-stop", box.stop() == 0, "exit status not 0")
        box.verify(report, "end-stopped")


if __name__ == "__main__":
    main()
