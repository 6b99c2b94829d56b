#!/usr/bin/python3
"""Another number of shards at a start: the answers stay, the stream goes on where it was, the source is not asked for
its rows again; keyless tables, long keys and rows that change meanwhile included. So it is after kill -9 amid it."""

import os
import random
import time

from lib import canon, pg
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import compare_views, wait_visible

SCHEMA = """
CREATE SCHEMA core;
CREATE TABLE core.parts (maker text, id int, price numeric(12,2), note text, PRIMARY KEY (maker, id));
CREATE TABLE core.events (part int, what text);
ALTER TABLE core.events REPLICA IDENTITY FULL;
CREATE TABLE core.names (name text PRIMARY KEY, n bigint);
INSERT INTO core.parts SELECT 'maker ' || i % 17, i, i * 1.25, CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('n', i % 50) END FROM generate_series(1, 20000) i;
INSERT INTO core.events SELECT i % 200, 'event ' || i % 3 FROM generate_series(1, 5000) i;
INSERT INTO core.names SELECT repeat(chr(97 + i % 26), 600) || i, i FROM generate_series(1, 500) i;
CREATE PUBLICATION penstock FOR ALL TABLES;
"""
TABLES = ["{ table: core.parts, as: parts }", "{ table: core.events, as: events }", "{ table: core.names, as: names }"]
VIEWS = [
    ("all_parts", "SELECT maker, id, price, note FROM core.parts"),
    ("all_events", "SELECT part, what FROM core.events"),
    ("all_names", "SELECT name, n FROM core.names"),
    ("by_maker", "SELECT maker, count(*) AS parts, sum(price) AS price FROM core.parts GROUP BY maker"),
    ("by_part", "SELECT p.id, p.maker, count(*) AS events FROM core.parts p JOIN core.events e ON e.part = p.id GROUP BY p.id, p.maker"),
    ("totals", "SELECT count(*) AS n, sum(n) AS s FROM core.names"),
]
NAMES = [n for n, _ in VIEWS]
SQL = "".join("CREATE VIEW %s AS %s;\n" % v for v in VIEWS)


def copies(server):
    """COPY statements that the server has seen: each is a table read anew."""
    with open(server.log, errors="replace") as f:
        return sum(1 for line in f if "COPY " in line and ("statement:" in line or "execute" in line or "received" in line))


def change(c, step):
    """Inserts, updates that move a key, deletes, and one copy of several equal rows less."""
    pg.script(c, """
        INSERT INTO core.parts SELECT 'late', 1000000 + %d * 100 + i, i, NULL FROM generate_series(1, 50) i;
        UPDATE core.parts SET price = price + 1 WHERE id %% 13 = %d;
        UPDATE core.parts SET maker = 'moved %d' WHERE id %% 401 = %d;
        DELETE FROM core.parts WHERE id %% 97 = %d;
        DELETE FROM core.events WHERE ctid = (SELECT min(ctid) FROM core.events WHERE part = %d);
        INSERT INTO core.events SELECT %d, 'event 1' FROM generate_series(1, 3);
        UPDATE core.names SET n = n + 1 WHERE n %% 5 = %d;
        DELETE FROM core.names WHERE n %% 41 = %d""" % (step, step, step, step, step, step, step, step, step))


def compare(report, box, c, name, server, before):
    wait_visible(box, c, 40, "totals")
    compare_views(report, box, c, NAMES, name)
    report.equal(name + "/no-new-snapshot", copies(server), before)


def restart_with(report, server, c, box, shards, step, before):
    name = "shards-%d-%d" % (step, shards)
    report.check(name + "/clean-stop", box.stop() == 0, "exit status not 0")
    box.verify(report, name + "/before")
    change(c, step)  # what only the source's log holds
    mark = box.log_mark()
    box.shards = shards
    box.start(ready_s=0)
    compare(report, box, c, name, server, before)
    log = box.log_since(mark)
    report.check(name + "/progress-told", "percent=100" in log, "no progress in the log: " + log[-800:])
    made = sorted(f for f in os.listdir(box.data) if f.startswith("shard-"))
    report.equal(name + "/directories", len(made), shards)
    report.check(name + "/nothing-left", not os.path.exists(os.path.join(box.data, "repartition")), "repartition is left")
    change(c, step + 1)
    compare(report, box, c, name + "-live", server, before)


def never_half(box, expected, until):
    """What is answered while shards change is an old or the new whole answer, or a refusal."""
    http = box.client(5)
    seen = 0
    while time.monotonic() < until:
        try:
            problem = canon.difference(http.list("totals").rows(), expected)
            seen += 1
            if problem:
                return problem, seen
        except Exception:
            time.sleep(0.005)
    return None, seen


def killed_amid(report, server, c, box, before):
    """kill -9 of everything at a random moment of the change; the last start goes through."""
    r = random.Random(7)
    expected = canon.view_rows(c, "totals")
    counts = [1, 4, 2, 5, 1, 3]
    for i, shards in enumerate(counts):
        box.kill_all()
        box.shards = shards
        box.start(ready_s=0)
        problem, _ = never_half(box, expected, time.monotonic() + 0.05 + r.random() * 0.6)
        report.check("killed-%d/never-half" % i, problem is None, problem)
    compare(report, box, c, "killed", server, before)
    box.verify(report, "killed")


def main():
    with Report("test_repartition", 170) as report:
        server = pg.Postgres(settings="log_statement = 'all'\nlog_replication_commands = on\n").start()
        c = server.connect()
        pg.script(c, SCHEMA)
        for name, text in VIEWS:
            pg.script(c, "CREATE VIEW %s AS %s" % (name, text))
        box = Penstock(postgres_config(server, TABLES, ["views.sql"], NAMES), SQL, shards=1, name="repartition")
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        box.start()
        wait_visible(box, c, 40, "totals")
        before = copies(server)
        report.check("snapshot/used-copy", before > 0, "no COPY in the server's log: this test cannot tell a re-snapshot")
        compare_views(report, box, c, NAMES, "shards-1")
        for step, shards in ((1, 3), (3, 2), (5, 4)):
            report.section("shards-%d" % shards, restart_with, report, server, c, box, shards, step, before)
        report.section("killed", killed_amid, report, server, c, box, before)
        report.check("clean-stop", box.stop() == 0, "exit status not 0")
        box.verify(report, "end")


if __name__ == "__main__":
    main()
