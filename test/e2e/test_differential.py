#!/usr/bin/python3
"""The same views in PostgreSQL and in Penstock, on the same random transactions, must hold the same rows, to the
digit, at every commit looked at, whatever the number of shards.

    test_differential.py [--seed N] [--shards 1,2,3,7] [--seconds N] [--views REGEX] [--random-tables N]

SOAK=1 runs for half an hour over many seeds. KEEP=1 leaves the directories for a look afterwards."""

import argparse
import random
import re
import sys
import time

from lib import canon, data, pg, traffic, views
from lib.client import Refused, wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report, soak


class Run:
    """One seed: one PostgreSQL, one instance per shard count, all compared with it."""

    def __init__(self, report, seed, shards, pattern=None, random_tables=3, skip=None):
        self.report, self.seed = report, seed
        self.r = random.Random(seed)
        extra = data.random_tables(seed, random_tables)
        self.tables = data.core_tables(seed) + extra
        self.views = [v for v in views.FIXED + data.random_views(extra) if not pattern or re.search(pattern, v[0])]
        if skip:
            self.views = [v for v in self.views if not re.search(skip, v[0])]
        if pattern:
            self._add_dependencies(views.FIXED)
        self.broken = {}      # view -> first difference
        self.compared = {}    # view -> number of comparisons
        self.shards = shards
        self.boxes = []
        self.traffic_s = 0.0

    def _add_dependencies(self, known):
        names = {n for n, _ in self.views}
        grown = True
        while grown:
            grown = False
            for name, text in known:
                if name not in names and any(re.search(r"\b%s\b" % name, t) for _, t in self.views):
                    self.views.append((name, text))
                    names.add(name)
                    grown = True
        order = [n for n, _ in known]
        self.views.sort(key=lambda v: order.index(v[0]) if v[0] in order else len(order))

    def start_postgres(self):
        self.pg = pg.Postgres().start()
        self.admin = self.pg.connect()
        pg.script(self.admin, "SET lock_timeout = '20s'")
        traffic.create(self.admin, self.tables)
        traffic.fill(self.admin, self.tables, self.seed)
        for name, text in self.views:
            pg.script(self.admin, "CREATE VIEW %s AS %s" % (name, views.IN_POSTGRES.get(name, text)))
        self.sessions = [traffic.Session(self.pg.connect(), self.tables, self.r) for _ in range(2)]

    def config(self, slot):
        return postgres_config(self.pg, ["{ table: core.%s, as: %s }" % (t.name, t.name) for t in self.tables],
                               ["views.sql"], [n for n, _ in self.views], slot=slot)

    def drop_refused(self):
        """Views that the product refuses are reported and left out, with those that read them, so that one of them
        does not hide all others."""
        for _ in range(6):
            box = Penstock(self.config("penstock_check"), views.sql(self.views), name="check")
            code, out, err = box.command("check", "-c", box.config, "--data", box.data)
            if code == 0:
                return True
            refused = {}
            for line, message in re.findall(r"views\.sql:(\d+):(?:\d+:)? *(.*)", out + err):
                if 0 < int(line) <= len(self.views):
                    refused.setdefault(self.views[int(line) - 1][0], message)
            if not refused:
                self.report.fail("check", "exit %d without naming a view: %s" % (code, (out + err)[-1500:]))
                return False
            for name, message in refused.items():
                if name in views.MAY_BE_REFUSED:
                    self.report.note("view %s refused (%s): %s" % (name, views.MAY_BE_REFUSED[name], message))
                elif not message.startswith("unknown") or name not in self._readers(refused):
                    self.report.fail("view %s" % name, "refused: " + message)
            gone = set(refused) | self._readers(refused)
            self.views = [v for v in self.views if v[0] not in gone]
        self.report.fail("check", "still refuses views after six rounds")
        return False

    def _readers(self, names):
        """Views that read one of these, however far away."""
        found = set()
        for name, text in self.views:
            if any(re.search(r"(FROM|JOIN)\s+%s\b" % n, text) for n in set(names) | found):
                found.add(name)
        return found - set(names)

    def start_boxes(self):
        for n in self.shards:
            box = Penstock(self.config("penstock_%d" % n), views.sql(self.views), shards=n, name="shards%d" % n)
            box.start(ready_s=0)
            self.boxes.append(box)
        for box in self.boxes:
            box.wait_ready(90)
            box.http = box.client()

    def step(self, commits):
        """Runs transactions until so many are committed."""
        started = time.monotonic()
        done = 0
        while done < commits:
            done += self.r.choice(self.sessions).step()
        self.traffic_s += time.monotonic() - started
        return done

    def compare(self, share=1.0, where=""):
        """Every view of a sample, on every instance, against PostgreSQL now."""
        lsn = pg.lsn(self.admin)
        sample = [v for v in self.views if share >= 1 or self.r.random() < share]
        expected = {name: canon.view_rows(self.admin, name) for name, _ in sample}
        for box in self.boxes:
            wait = ("core", lsn)
            epoch = 0
            for name, _ in sample:
                key = (name, box.shards)
                if key in self.broken:
                    continue
                try:
                    answer = box.http.list(name, wait=wait)
                    problem = canon.difference(answer.rows(), expected[name])
                    if answer.epoch is None or answer.epoch < epoch:
                        problem = "epoch %r after epoch %r" % (answer.epoch, epoch)
                    epoch = answer.epoch or 0
                    wait = None
                except Refused as e:
                    problem = "%s%s" % (e, " (Penstock-Wait: core=%s)" % lsn if wait else "")
                self.compared[name] = self.compared.get(name, 0) + 1
                if problem:
                    self.broken[key] = "%s, %d shards, seed %d: %s" % (where, box.shards, self.seed, problem)
                    self.report.fail("view %s/%d" % key, self.broken[key])
                    self.report.note("SQL: " + dict(self.views)[name])
                    if len(self.broken) > 60:
                        raise RuntimeError("more than 60 differences: stopping")

    def trouble(self, number):
        """Restarts in the middle of the run must change nothing."""
        box = self.boxes[number % len(self.boxes)]
        kind = ("kill pipeline", "clean restart", "kill everything")[number % 3]
        if kind == "kill pipeline":
            box.kill("pipeline")
            box.wait_ready(60)
        elif kind == "clean restart":
            self.report.check("clean stop", box.stop() == 0, "exit status not 0")
            box.start()
        else:
            box.kill_all()
            box.verify(self.report, "%d shards killed" % box.shards)
            box.start()
        return "%s of %d shards" % (kind, box.shards)

    def run(self, seconds):
        self.start_postgres()
        if not self.drop_refused():
            return
        self.start_boxes()
        self.compare(where="after the snapshot")
        self.report.note("snapshot compared: %d views, %d differ" % (len(self.views), len(self.broken)))
        started = time.monotonic()
        commits, rounds, troubles = 0, 0, 0
        while time.monotonic() - started < seconds:
            where = "commit %d" % commits
            if troubles < 3 and time.monotonic() - started > seconds * (troubles + 1) / 4:
                where = self.trouble(troubles)
                troubles += 1
            commits += self.step(self.r.choice((1, 1, 1, 2, 5, 15)))
            rounds += 1
            self.compare(share=0.35, where="%s, then commit %d" % (where, commits))
        for s in self.sessions:
            s.finish()
        self.compare(where="at the end, commit %d" % commits)
        for box in self.boxes:
            box.verify(self.report, "%d shards at the end" % box.shards)
        for name, _ in self.views:
            if not any(k[0] == name for k in self.broken):
                self.report.ok("view %s (%d comparisons)" % (name, self.compared.get(name, 0)))
        self.report.note("seed %d: %d commits, %d rounds, %d views, %d comparisons, %s" % (
            self.seed, commits, rounds, len(self.views), sum(self.compared.values()), self.sessions[0].counts))

    def end(self):
        for s in self.sessions:
            s.connection.close()
        for box in self.boxes:
            box.kill_all()
        self.pg.stop()


ERROR_VIEWS = """CREATE VIEW quotients AS SELECT id, a / b AS q FROM core.e;
CREATE VIEW quotient_sum AS SELECT count(*) AS n, sum(a / b) AS s FROM core.e;
CREATE VIEW quotient_groups AS SELECT a % 2 AS side, count(*) AS n, max(100 / b) AS m FROM core.e GROUP BY 1;
CREATE VIEW untouched AS SELECT id, a FROM core.e;
CREATE VIEW narrow AS SELECT id, big::smallint AS s FROM core.e WHERE b <> 7;
"""


def status_view(box, name):
    for v in box.status().get("views", []):
        if v.get("name") == name:
            return v
    raise KeyError("no view %s in penstock status --json" % name)


def error_rows(report):
    """Rows whose expressions fail are left out and counted; they come back when they are mended."""
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, "CREATE SCHEMA core; CREATE TABLE core.e (id int PRIMARY KEY, a int, b int, big int);"
                 "INSERT INTO core.e SELECT i, i, i % 5, i FROM generate_series(1, 20) i; CREATE PUBLICATION penstock FOR ALL TABLES")
    names = ["quotients", "quotient_sum", "quotient_groups", "untouched", "narrow"]
    box = Penstock(postgres_config(server, ["{ table: core.e, as: e }"], ["views.sql"], names), ERROR_VIEWS, shards=3,
                   name="errors").start()
    http = box.client()
    steps = [
        ("at the snapshot", "", 4),
        ("one row more", "INSERT INTO core.e VALUES (100, 5, 0, 1)", 5),
        ("one healed", "UPDATE core.e SET b = 1 WHERE id = 5", 4),
        ("one deleted", "DELETE FROM core.e WHERE id = 10", 3),
        ("one broken and mended in a transaction", "BEGIN; UPDATE core.e SET b = 0 WHERE id = 1; UPDATE core.e SET b = 3 WHERE id = 1; COMMIT", 3),
        ("broken row changed elsewhere", "UPDATE core.e SET a = 77 WHERE id = 15", 3),
        ("value too large", "UPDATE core.e SET big = 40000 WHERE id = 3", 3),
        ("all healed", "UPDATE core.e SET b = 2, big = 1 WHERE b = 0 OR big > 32767", 0),
        ("healed and truncated", "TRUNCATE core.e", 0),
    ]
    for name, text, bad in steps:
        if text:
            for one in text.split("; "):
                pg.script(c, one)
        lsn = pg.lsn(c)
        expected = {
            "quotients": "SELECT id, a / b AS q FROM core.e WHERE b <> 0",
            "quotient_sum": "SELECT count(*) AS n, sum(a / b) AS s FROM core.e WHERE b <> 0",
            "quotient_groups": "SELECT a % 2 AS side, count(*) AS n, max(100 / b) AS m FROM core.e WHERE b <> 0 GROUP BY 1",
            "untouched": "SELECT id, a FROM core.e",
            "narrow": "SELECT id, big::smallint AS s FROM core.e WHERE b <> 7 AND big < 32768",
        }
        for view, query in expected.items():
            rows = canon.bag(canon.loads(r[0]) for r in pg.rows(
                c, "SELECT row_to_json(oracle_row)::text FROM (%s) oracle_row" % query))
            try:
                problem = canon.difference(http.list(view, wait=("core", lsn)).rows(), rows)
            except Refused as e:
                problem = str(e)
            report.check("errors/%s/%s" % (view, name.replace(" ", "-")), problem is None, problem)
        count = {"quotients": bad, "untouched": 0, "narrow": 1 if name == "value too large" else 0}
        for view, n in count.items():  # counters follow the epoch within a moment
            try:
                wait_for(lambda: status_view(box, view).get("error_rows") == n, 3, "error_rows %d" % n, 0.05)
                report.ok("errors/status/%s/%s" % (view, name.replace(" ", "-")))
            except TimeoutError as e:
                report.fail("errors/status/%s/%s" % (view, name.replace(" ", "-")), "%s; status says %s" % (e, status_view(box, view)))
    report.check("errors/status/healed", not status_view(box, "quotients").get("error"), "an error text is left: %s" % status_view(box, "quotients"))
    box.stop()
    server.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", default="1,2,3,7")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--views", help="only views whose name matches")
    parser.add_argument("--skip", help="no views whose name matches (to get past a known failure)")
    parser.add_argument("--random-tables", type=int, default=3)
    parser.add_argument("--no-errors", action="store_true")
    args = parser.parse_args()
    shards = [int(n) for n in args.shards.split(",")]
    seeds = range(args.seed, args.seed + (20 if soak() else 2))
    seconds = args.seconds or (90 if soak() else 45)
    with Report("test_differential", 3600 if soak() else 240 + args.seconds * len(seeds)) as report:
        if not args.no_errors:
            report.section("errors", error_rows, report)
        for seed in seeds:
            run = Run(report, seed, shards, args.views, args.random_tables, args.skip)
            report.on_failure = [lambda: [report.note("log of %s: %s" % (b.name, b.log_tail(600))) for b in run.boxes]]
            try:
                report.section("seed %d" % seed, run.run, seconds)
            finally:
                report.section("end of seed %d" % seed, run.end)


if __name__ == "__main__":
    sys.exit(main())
