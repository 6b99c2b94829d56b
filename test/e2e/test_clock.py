#!/usr/bin/python3
"""Views that compare with now(): rows enter and leave by the clock with no input, and hold what PostgreSQL gives for
the same query at the same time, also after the instance was down or killed while times passed.

All times stand on whole seconds, so that within a second a query has one answer, whatever the exact time."""

import os
import random
import subprocess
import time

from lib import canon, pg, procs
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.client import wait_for
from lib.watch import wait_visible

TABLES = """CREATE TABLE offers (id int PRIMARY KEY, g int NOT NULL, at timestamptz, until timestamp, price numeric(8,2));
CREATE TABLE groups (g int PRIMARY KEY, opens timestamptz NOT NULL);"""

VIEWS = {
    "recent": "SELECT id, at, price FROM core.offers WHERE at > now() - interval '3 seconds'",
    "upcoming": "SELECT id, at FROM core.offers WHERE at > now()",
    "window_of": "SELECT id FROM core.offers WHERE at BETWEEN now() - interval '2 seconds' AND now() + interval '2 seconds'",
    "per_group": "SELECT g, count(*) AS n, count(*) FILTER (WHERE at <= now()) AS past, sum(price) FILTER (WHERE until > now()) AS open FROM core.offers GROUP BY g",
    "state": "SELECT id, until < now() AS overdue, CASE WHEN at > now() THEN 'new' WHEN until > now() THEN 'open' ELSE 'closed' END AS s FROM core.offers",
    "starred": "SELECT *, until < now() AS over FROM core.offers",
    "either": "SELECT id FROM core.offers WHERE price > 50 OR now() - at < interval '2 seconds'",
    "joined": "SELECT o.id, g.g FROM core.offers o JOIN core.groups g ON g.g = o.g AND g.opens <= now() WHERE o.at <= now()",
    "left_": "SELECT g.g, o.id FROM core.groups g LEFT JOIN core.offers o ON o.g = g.g AND o.at > now() AND g.opens < now()",
    "closed": "SELECT g FROM core.groups g WHERE NOT EXISTS (SELECT FROM core.offers o WHERE o.g = g.g AND o.until > now())",
    "cheapest": "SELECT id, price FROM core.offers WHERE until > now() AND at <= now() ORDER BY price, id LIMIT 4",
    "numbered": "SELECT g, id, row_number() OVER (PARTITION BY g ORDER BY price, id) AS n FROM core.offers WHERE at <= now() AND until > now()",
    "newest": "SELECT max(at) AS last, count(DISTINCT g) AS groups FROM core.offers WHERE at <= CURRENT_TIMESTAMP",
    "today": "SELECT count(*) AS n FROM core.offers WHERE at >= CURRENT_DATE - 1",
}


SHIFT = os.path.join(procs.ROOT, "build", os.uname().machine, "test/flow/shift_clock")


def create(c):
    pg.script(c, "CREATE SCHEMA core; SET search_path = core;" + TABLES + "CREATE PUBLICATION clock1 FOR ALL TABLES; CREATE PUBLICATION clock3 FOR ALL TABLES;")


def change(c, rng, ids):
    """A few rows whose times pass within the next seconds, some that are moved, some that go."""
    for _ in range(rng.randint(2, 8)):
        ids[0] += 1
        pg.script(c, "INSERT INTO core.offers VALUES (%d, %d, date_trunc('second', now()) + %d * interval '1 second', "
                     "(date_trunc('second', now()) + %d * interval '1 second')::timestamp, %d)" %
                  (ids[0], rng.randint(1, 4), rng.randint(-4, 6), rng.randint(-2, 8), rng.randint(1, 99)))
    pg.script(c, "UPDATE core.offers SET until = until + interval '2 seconds', price = price + 1 WHERE id %% 7 = %d" % rng.randint(0, 6))
    pg.script(c, "DELETE FROM core.offers WHERE id %% 11 = %d" % rng.randint(0, 10))
    pg.script(c, "INSERT INTO core.groups VALUES (%d, date_trunc('second', now()) + interval '%d seconds') ON CONFLICT (g) DO UPDATE SET opens = excluded.opens" %
              (rng.randint(1, 4), rng.randint(-1, 3)))


def expected(c, sql, second):
    """What PostgreSQL gives in the middle of that second (Unix time)."""
    sql = sql.replace("CURRENT_TIMESTAMP", "now()").replace("CURRENT_DATE", "now()::date")
    text = sql.replace("now()", "to_timestamp(%d.5)" % second)
    return canon.bag(canon.loads(r[0]) for r in pg.rows(c, "SELECT row_to_json(q)::text FROM (%s) q" % text))


def within_a_second(c, http, matched, moved, problems):
    """Compares all views while one second lasts; a view that has not been right in it counts for nothing."""
    now = time.time()
    second = int(now) if now % 1 < 0.5 else int(now) + 1
    want = {n: expected(c, sql, second) for n, sql in VIEWS.items()}
    before = {n: expected(c, sql, second - 1) for n, sql in VIEWS.items()}
    time.sleep(max(0, second + 0.05 - time.time()))
    left = dict(want)
    while left and time.time() < second + 0.97:
        for n in list(left):
            started = time.time()
            problem = canon.difference(http.list(n).rows(), want[n])
            if started < second or time.time() >= second + 1:
                continue
            problems[n] = problem
            if problem is None:
                matched[n] += 1
                moved[n] += want[n] != before[n]
                del left[n]
        time.sleep(0.01)


def by_the_clock(report, c, box, rng, ids, name, rounds, limit_s):
    """Rounds of changes and of seconds without any, until each view was right in as many seconds as asked for."""
    http = box.client()
    matched, moved, problems = dict.fromkeys(VIEWS, 0), dict.fromkeys(VIEWS, 0), {}
    end = time.monotonic() + limit_s
    turn = 0
    while min(matched.values()) < rounds and time.monotonic() < end:
        if turn % 3 == 0:
            change(c, rng, ids)
            wait_visible(box, c, 30, "recent")
        turn += 1
        within_a_second(c, http, matched, moved, problems)
    for n in VIEWS:
        report.check("%s/%s" % (name, n), matched[n] >= rounds, "right in %d of %d seconds: %s" % (matched[n], turn, problems.get(n)))
    report.check("%s/moves" % name, sum(moved.values()) >= 2 * rounds, "the clock alone changed too little: %s" % moved)
    http.close()


def all_past(report, c, box, name):
    """When every time has passed nothing changes any more: no epoch is made for nothing."""
    pg.script(c, "UPDATE core.offers SET at = now() - interval '1 hour', until = now() - interval '1 hour'; UPDATE core.groups SET opens = now() - interval '1 hour'")
    wait_visible(box, c, 30, "recent")
    http = box.client()
    report.equal("%s/none-recent" % name, len(http.list("recent").rows()), 0)
    time.sleep(0.5)
    first = http.list("recent").epoch
    time.sleep(1.5)
    report.equal("%s/no-idle-epochs" % name, http.list("recent").epoch, first)
    http.close()


def live(report, c, box):
    """A live query hears of a row that leaves by the clock."""
    pg.script(c, "INSERT INTO core.offers VALUES (1000000, 9, date_trunc('second', now()), now(), 1)")
    wait_visible(box, c, 30, "recent")
    heard = []
    for event, data, _ in box.events("/api/recent?id=eq.1000000", timeout_s=20):
        heard.append((event, data))
        if event == "delete":
            break
        if len(heard) > 50:
            break
    report.check("live/leaves", heard and "1000000" in str(heard[-1]), "heard %s" % heard[-3:])


def set_back(report, c, box, rng, ids, name):
    """The store was last written by a clock that was an hour ahead: the views that compare with now() are filled anew, at
    the present time; the others keep their rows."""
    change(c, rng, ids)
    wait_visible(box, c, 60, "recent")
    report.check("%s/stop" % name, box.stop() == 0, "exit status not 0")
    before = len(box.log_text())
    subprocess.run([SHIFT, box.data, "3600"], check=True)
    box.start()
    wait_visible(box, c, 60, "recent")
    said = [line for line in box.log_text()[before:].splitlines() if "filling a view" in line]
    report.equal("%s/filled" % name, (len(said), any("plain" in line for line in said)), (len(VIEWS), False))
    report.check("%s/told" % name, "clock was set back" in box.log_text()[before:], box.log_tail())
    by_the_clock(report, c, box, rng, ids, name, 2, 60)


def one(report, server, c, shards, seed):
    rng, ids = random.Random(seed), [0]
    views = "".join("CREATE VIEW %s AS %s;\n" % v for v in VIEWS.items()) + "CREATE VIEW plain AS SELECT id, at FROM core.offers;\n"
    pg.script(c, "TRUNCATE core.offers, core.groups")
    config = postgres_config(server, ["{ table: core.offers, as: offers }", "{ table: core.groups, as: groups }"], ["views.sql"], list(VIEWS) + ["plain"], slot="clock%d" % shards, publication="clock%d" % shards)
    box = Penstock(config, views, shards=shards, name="clock%d" % shards)
    report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
    for _ in range(4):
        change(c, rng, ids)
    box.start()
    wait_visible(box, c, 60, "recent")
    by_the_clock(report, c, box, rng, ids, "run-%d" % shards, 6, 60)
    change(c, rng, ids)
    box.verify(report, "running-%d" % shards)
    report.check("clean-stop-%d" % shards, box.stop() == 0, "exit status not 0")
    box.verify(report, "stopped-%d" % shards)
    time.sleep(2)
    box.start()
    wait_visible(box, c, 60, "recent")
    by_the_clock(report, c, box, rng, ids, "restarted-%d" % shards, 3, 60)
    change(c, rng, ids)
    wait_visible(box, c, 60, "recent")
    box.kill("pipeline")
    time.sleep(1)
    wait_for(lambda: box.client().request("/ready").status == 200, 60, "the killed pipeline", 0.1)
    wait_visible(box, c, 60, "recent")
    by_the_clock(report, c, box, rng, ids, "killed-%d" % shards, 3, 60)
    report.section("set-back-%d" % shards, set_back, report, c, box, rng, ids, "set-back-%d" % shards)
    report.section("live-%d" % shards, live, report, c, box)
    all_past(report, c, box, "past-%d" % shards)
    report.check("stop-%d" % shards, box.stop() == 0, "exit status not 0")


def main():
    subprocess.run(["make", "-s", os.path.relpath(SHIFT, procs.ROOT)], cwd=procs.ROOT, check=True)
    with Report("test_clock", 280) as report:
        server = pg.Postgres().start()
        c = server.connect()
        create(c)
        for shards, seed in ((1, 5), (3, 6)):
            report.section("shards-%d" % shards, one, report, server, c, shards, seed)


if __name__ == "__main__":
    main()
