#!/usr/bin/python3
"""WITH RECURSIVE on random graphs: random recursive queries over random edges, compared with PostgreSQL after every
transaction that adds and takes away edges, on 1 and 3 shards.

    test_recursive.py [--seeds 1-6] [--views N]

Graphs have cycles, so recursions either use UNION over few values or bound their depth. A view that differs is printed with
its seed; the same seed gives the same trial."""

import argparse
import random
import sys

from lib import lab, pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report

NODES = 9
DDL = """CREATE TABLE core.edges (a int NOT NULL, b int, w numeric(6,1));
ALTER TABLE core.edges REPLICA IDENTITY FULL;
CREATE TABLE core.nodes (id int PRIMARY KEY, boss int, label text, tags int[]);
CREATE TABLE core.roots (x int PRIMARY KEY)"""


class Graph:
    """The statements that change it. Rows are chosen by value, so that the same seed does the same."""

    def __init__(self, r):
        self.r = r

    def node(self):
        return self.r.randrange(NODES)

    def edge(self):
        b = "NULL" if self.r.random() < 0.05 else self.node()
        return "INSERT INTO core.edges VALUES (%d, %s, %d.%d)" % (self.node(), b, self.r.randint(0, 3), self.r.choice((0, 5)))

    def person(self, n):
        boss = "NULL" if self.r.random() < 0.2 else self.node()
        tags = ", ".join(str(self.node()) for _ in range(self.r.randint(0, 3)))
        return ("INSERT INTO core.nodes VALUES (%d, %s, '%s', ARRAY[%s]::int[]) ON CONFLICT (id) DO UPDATE SET boss = excluded.boss, "
                "label = excluded.label, tags = excluded.tags" % (n, boss, self.r.choice("abc"), tags))

    def fill(self):
        out = [self.edge() for _ in range(12)] + [self.person(n) for n in range(NODES)]
        return out + ["INSERT INTO core.roots VALUES (%d) ON CONFLICT DO NOTHING" % self.node() for _ in range(2)]

    def change(self):
        kind = self.r.choices(("edge", "cut", "one", "turn", "move", "person", "leave", "root", "no root", "clear"),
                              (30, 12, 14, 8, 6, 10, 4, 8, 7, 1))[0]
        return {
            "edge": lambda: self.edge(),
            "cut": lambda: "DELETE FROM core.edges WHERE a = %d AND b = %d" % (self.node(), self.node()),
            "one": lambda: "DELETE FROM core.edges WHERE ctid = (SELECT ctid FROM core.edges e ORDER BY e::text COLLATE \"C\" OFFSET %d LIMIT 1)"
                           % self.r.randrange(12),
            "turn": lambda: "UPDATE core.edges SET a = coalesce(b, 0), b = a WHERE a = %d" % self.node(),
            "move": lambda: "UPDATE core.edges SET b = %d WHERE b = %d" % (self.node(), self.node()),
            "person": lambda: self.person(self.node()),
            "leave": lambda: "DELETE FROM core.nodes WHERE id = %d" % self.node(),
            "root": lambda: "INSERT INTO core.roots VALUES (%d) ON CONFLICT DO NOTHING" % self.node(),
            "no root": lambda: "DELETE FROM core.roots WHERE x = %d" % self.node(),
            "clear": lambda: "DELETE FROM core.edges WHERE a > %d" % self.node(),
        }[kind]()

    def transaction(self):
        out = [self.change() for _ in range(self.r.choice((1, 1, 1, 2, 3, 6)))]
        if self.r.random() < 0.3:  # edges stay few, or walks of four steps are too many
            out.append("DELETE FROM core.edges WHERE ctid IN (SELECT ctid FROM core.edges e ORDER BY e::text COLLATE \"C\" OFFSET 22)")
        return out + (["ROLLBACK"] if self.r.random() < 0.05 else [])


# where the next rows come from (e.b is where they lead), with the recursive row r
STEPS = [
    "{r} JOIN core.edges e ON e.a = r.x",
    "core.edges e JOIN {r} ON e.a = r.x",
    "{r}, core.edges e WHERE e.a = r.x",
    "{r} LEFT JOIN core.edges e ON e.a = r.x AND e.b > 2",
    "core.edges e RIGHT JOIN {r} ON e.a = r.x",
    "{r} JOIN core.edges d ON d.a = r.x JOIN core.edges e ON e.a = d.b",
    "{r} JOIN (SELECT a, max(b) AS b, sum(w) AS w FROM core.edges GROUP BY a) e ON e.a = r.x",
    "{r} JOIN core.nodes m ON m.id = r.x CROSS JOIN LATERAL (SELECT m.boss AS b, 1.0 AS w) e",
    "{r} JOIN core.nodes m ON m.boss = r.x CROSS JOIN LATERAL (SELECT m.id AS b, 1.0 AS w) e",
    "{r}, LATERAL (SELECT b, w FROM core.edges i WHERE i.a = r.x ORDER BY b, w LIMIT 2) e",
    "{r} JOIN core.nodes m ON m.id = r.x, LATERAL (SELECT u AS b, 0.5 AS w FROM unnest(m.tags) u) e",
    "{r} JOIN core.edges e ON e.a < r.x AND e.b > r.x",
    "{r}, LATERAL (SELECT b, w FROM core.edges i WHERE i.a = r.x UNION ALL SELECT a, w FROM core.edges j WHERE j.b = r.x) e",
    "{r} JOIN core.edges d ON r.x IN (d.a, d.b) CROSS JOIN LATERAL (SELECT d.a + d.b - r.x AS b, d.w) e",
    "{r}, LATERAL (SELECT max(i.b) AS b, sum(i.w) AS w FROM core.edges i WHERE i.a = r.x) e",
    "{r}, LATERAL (SELECT i.b, i.w FROM core.edges i WHERE i.a < r.x ORDER BY i.b DESC NULLS LAST, i.w, i.a LIMIT 1) e",
    "{r} NATURAL JOIN (SELECT a AS x, b, w FROM core.edges) e",
]
CONDITIONS = [
    "e.b IS NOT NULL", "e.b <> r.x", "r.x < 7", "e.w > 0",
    "EXISTS (SELECT FROM core.nodes n WHERE n.id = e.b AND n.label <> 'a')",
    "NOT EXISTS (SELECT FROM core.roots o WHERE o.x = e.b)",
    "e.b IN (SELECT boss FROM core.nodes)",
    "e.b NOT IN (SELECT boss FROM core.nodes WHERE label = 'b')",
    "(SELECT count(*) FROM core.edges y WHERE y.b = r.x) < 4",
    "(SELECT count(*) FROM core.nodes y WHERE y.id > r.x) > 2",
    "e.b > (SELECT min(x) FROM core.roots)",
    "r.x <> ALL (SELECT n.boss FROM core.nodes n WHERE n.id > e.b)",
]
NEXT = ["e.b", "e.b", "e.b", "coalesce(e.b, 0)", "(e.b + r.x) % 9", "greatest(e.b, r.x - 1)",
        "(SELECT max(n.boss) FROM core.nodes n WHERE n.id = e.b)",
        "(SELECT sum(n.id)::int % 9 FROM core.nodes n WHERE n.id < e.b)"]
BASES = ["SELECT x FROM core.roots", "SELECT x FROM core.roots WHERE x < 5", "SELECT a FROM core.edges WHERE b < 3",
         "VALUES (0), (1)", "SELECT max(id) FROM core.nodes", "SELECT id FROM core.nodes WHERE boss IS NULL",
         "SELECT 3 UNION ALL SELECT x FROM core.roots"]
READERS = ["SELECT * FROM t", "SELECT x, count(*) AS c FROM t GROUP BY x", "SELECT t.x, n.label FROM t LEFT JOIN core.nodes n ON n.id = t.x",
           "SELECT id FROM core.nodes WHERE id IN (SELECT x FROM t)", "SELECT id FROM core.nodes WHERE id NOT IN (SELECT x FROM t WHERE x IS NOT NULL)",
           "SELECT DISTINCT x FROM t WHERE x > 1", "SELECT p.x, q.x AS y FROM (SELECT DISTINCT x FROM t) p JOIN (SELECT DISTINCT x FROM t) q ON q.x = p.x + 1",
           "SELECT count(*) AS n, max(x) AS m FROM t", "SELECT x FROM t ORDER BY x DESC NULLS LAST LIMIT 4"]


def further(r, union_all):
    """Columns beside x: name, value of the base, value of the step, what bounds it."""
    kinds = [("n", "0", "r.n + 1", "r.n < %d" % r.randint(2, 4)), ("path", "ARRAY[{x}]", "r.path || {next}", "cardinality(r.path) < 4"),
             ("s", "0.0::numeric", "r.s + e.w", None), ("way", "{x}::text", "r.way || '/' || {next}", "length(r.way) < 8"),
             ("first", "{x}", "r.first", None), ("place", "0::bigint", "row_number() OVER (ORDER BY r.x, e.b, e.w) % 3", None)]
    chosen = r.sample(kinds, r.choice((0, 1, 1, 2)))
    if union_all or any(k[0] in ("s", "path", "way") for k in chosen):  # these grow, so there must be a bound
        if not any(k[0] == "n" for k in chosen):
            chosen.append(kinds[0])
    if union_all:
        chosen = [k for k in chosen if k[0] != "place"]
    place = [k for k in chosen if k[0] == "place"]  # which of two rows gets a place must not show
    return place + [k for k in chosen if k[0] == "n"] if place else chosen


# of outer rows o, for a recursion in a subquery
OUTER_BASES = ["SELECT o.x", "SELECT e.b FROM core.edges e WHERE e.a = o.x", "SELECT n.id FROM core.nodes n WHERE n.boss = o.x",
               "SELECT x FROM core.roots WHERE x >= o.x", "VALUES (o.x), (o.x + 1)"]
OUTER_CONDITIONS = ["e.b <> o.x", "e.b > o.x - 3", "EXISTS (SELECT FROM core.nodes n WHERE n.id = e.b AND n.id > o.x)",
                    "(SELECT count(*) FROM core.edges y WHERE y.a = o.x) < 5", "e.b NOT IN (SELECT boss FROM core.nodes WHERE id < o.x AND boss IS NOT NULL)"]


def recursion(r, outer=False, clauses=""):
    union_all = r.random() < 0.45
    more = further(r, union_all)
    following = r.choice(NEXT)
    references = ("t r", "t AS r") if clauses else ("t r", "t AS r", "(SELECT * FROM t) r", "(SELECT * FROM t WHERE x IS NOT NULL) r")
    step = r.choice(STEPS).format(r=r.choice(references))
    conditions = r.sample(CONDITIONS, r.choice((0, 0, 1, 1, 2))) + [k[3] for k in more if k[3]]
    if outer:
        conditions += r.sample(OUTER_CONDITIONS, r.choice((0, 1, 1)))
    distinct = "DISTINCT " if r.random() < 0.2 and not clauses else ""
    text = "SELECT %s%s FROM %s" % (distinct, ", ".join([following] + [k[2].format(next=following) for k in more]), step)
    if conditions:
        text += (" AND " if " WHERE e.a" in step else " WHERE ") + " AND ".join(conditions)
    bases = BASES + OUTER_BASES * 2 if outer else BASES
    base = "SELECT %s FROM (%s) b(x)" % (", ".join(["x"] + [k[1].format(x="x") for k in more]), r.choice(bases))
    names = ", ".join(["x"] + [k[0] for k in more])
    return "t(%s) AS (%s UNION %s%s)%s" % (names, base, "ALL " if union_all else "", text, clauses)


SEARCHED = ["SELECT x, rank() OVER (ORDER BY seq) AS place FROM t", "SELECT x FROM t ORDER BY seq DESC, x LIMIT 3",
            "SELECT count(DISTINCT seq) AS n FROM t", "SELECT p.x, count(*) AS n FROM t p JOIN t q ON q.seq < p.seq GROUP BY p.x"]
CYCLED = ["SELECT x, looped, count(*) AS c, max(cardinality(trail)) AS longest FROM t GROUP BY x, looped",
          "SELECT x, array_length(trail, 1) AS n FROM t WHERE looped = 'no'", "SELECT x, dense_rank() OVER (ORDER BY trail) AS place FROM t"]
INSIDE = ["SELECT count(*) FROM t", "SELECT max(x) FROM t", "SELECT array_agg(DISTINCT x ORDER BY x) FROM t", "SELECT x FROM t ORDER BY x LIMIT 1"]


def query(r):
    kind = r.random()
    if kind < 0.15:
        clauses, reader = " SEARCH %s FIRST BY x SET seq" % r.choice(("DEPTH", "BREADTH")), r.choice(SEARCHED)
        return "WITH RECURSIVE %s %s" % (recursion(r, clauses=clauses), reader)
    if kind < 0.3:
        search = r.choice(("", " SEARCH DEPTH FIRST BY x SET seq"))
        clauses = search + " CYCLE x SET looped TO 'yes' DEFAULT 'no' USING trail"
        return "WITH RECURSIVE %s %s" % (recursion(r, clauses=clauses), r.choice(CYCLED))
    if kind < 0.5:
        inner, outer = "WITH RECURSIVE " + recursion(r, outer=True), "FROM (SELECT id AS x, boss FROM core.nodes) o"
        return r.choice((
            "SELECT o.x, (%s %s) AS v %s" % (inner, r.choice(INSIDE), outer),
            "SELECT o.x %s WHERE EXISTS (%s SELECT FROM t WHERE t.x = o.boss)" % (outer, inner),
            "SELECT o.x %s WHERE o.boss NOT IN (%s SELECT x FROM t WHERE x IS NOT NULL)" % (outer, inner),
            "SELECT o.x, l.* %s, LATERAL (%s SELECT x AS y, count(*) AS n FROM t GROUP BY x) l" % (outer, inner),
            "SELECT o.x, l.* %s LEFT JOIN LATERAL (%s SELECT x AS y FROM t WHERE x > 2) l ON l.y <> o.x" % (outer, inner)))
    return "WITH RECURSIVE %s %s" % (recursion(r), r.choice(READERS))


def run(report, servers, seed, count):
    r = random.Random(seed)
    graph = Graph(r)
    views = {"q%d" % i: query(r) for i in range(count)}
    trial = lab.Trial(DDL, graph.fill(), [graph.transaction() for _ in range(30)], views, shards=(1, 3))
    outcome = servers.run(trial)
    for name in views:
        if name in outcome.wrong:
            report.fail("seed %d/%s" % (seed, name), outcome.wrong[name])
            report.note("SQL: " + views[name])
        elif name in outcome.refused:
            report.fail("seed %d/%s" % (seed, name), "refused: " + outcome.refused[name])
            report.note("SQL: " + views[name])
        elif name not in outcome.invalid:
            report.ok("seed %d/%s" % (seed, name))
    valid = count - len(outcome.invalid)
    report.check("seed %d/most are valid" % seed, valid >= count * 0.8, "%d of %d queries are valid: %s" % (
        valid, count, dict(list(outcome.invalid.items())[:3])))
    changing = sum(len(states) > 2 for states in outcome.states.values())
    report.check("seed %d/most change" % seed, changing >= valid * 0.6, "%d of %d views ever change" % (changing, valid))
    report.note("seed %d: %d queries, %d change, compared %d times, %d comparisons left out" % (
        seed, valid, changing, outcome.compared, outcome.errors))


ENDLESS = """CREATE VIEW walk AS WITH RECURSIVE t(x) AS (SELECT x FROM core.roots UNION ALL SELECT e.b FROM t JOIN core.edges e ON e.a = t.x) SELECT x, count(*) AS n FROM t GROUP BY x;
CREATE VIEW reach AS WITH RECURSIVE t(x) AS (SELECT x FROM core.roots UNION SELECT e.b FROM t JOIN core.edges e ON e.a = t.x) SELECT x FROM t;
"""
ROUNDS = 10000  # RECURSION_ROUNDS_MAX


def endless(report):
    """A recursion without an end is cut off, says so, holds up nothing else, and is whole again once it has an end."""
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, "CREATE SCHEMA core; %s; CREATE PUBLICATION penstock FOR ALL TABLES; INSERT INTO core.roots VALUES (1);"
                 "INSERT INTO core.edges VALUES (1, 2), (2, 3)" % DDL)
    box = Penstock(postgres_config(server, ["{ table: core.%s, as: %s }" % (t, t) for t in ("edges", "roots")], ["views.sql"],
                                   ["walk", "reach"]), ENDLESS, shards=2, name="endless").start()
    http = box.client()

    def rows(name):
        return {tuple(int(v) for v in r.values()) for r in http.list(name, wait=("core", pg.lsn(c))).json()}

    def status(name):
        return next(v for v in box.status()["views"] if v["name"] == name)

    def check(where, walk, reach, errors):
        report.check("endless/%s/walk" % where, rows("walk") == walk, rows("walk"))
        report.check("endless/%s/reach" % where, rows("reach") == reach, rows("reach"))
        try:
            wait_for(lambda: status("walk").get("error_rows") == errors, 3, "error_rows", 0.05)
            report.ok("endless/%s/status" % where)
        except TimeoutError:
            report.fail("endless/%s/status" % where, status("walk"))
        report.check("endless/%s/status of the other" % where, status("reach").get("error_rows") == 0, status("reach"))

    check("with an end", {(1, 1), (2, 1), (3, 1)}, {(1,), (2,), (3,)}, 0)
    pg.script(c, "INSERT INTO core.edges VALUES (3, 2)")
    half = (ROUNDS - 1) // 2
    check("a cycle", {(1, 1), (2, half + 1), (3, half)}, {(1,), (2,), (3,)}, 1)
    box.kill_all()
    box.verify(report, "endless/killed")
    box.start()
    http = box.client()
    check("after a restart", {(1, 1), (2, half + 1), (3, half)}, {(1,), (2,), (3,)}, 1)
    pg.script(c, "INSERT INTO core.edges VALUES (3, 4)")
    check("a way out", {(1, 1), (2, half + 1), (3, half), (4, half)}, {(1,), (2,), (3,), (4,)}, 1)
    pg.script(c, "DELETE FROM core.edges WHERE a = 3 AND b = 2")
    check("without the cycle", {(1, 1), (2, 1), (3, 1), (4, 1)}, {(1,), (2,), (3,), (4,)}, 0)
    box.stop()
    box.verify(report, "endless")
    server.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="1-6")
    parser.add_argument("--views", type=int, default=30)
    args = parser.parse_args()
    first, _, last = args.seeds.partition("-")
    with Report("test_recursive", 900) as report:
        report.section("endless", endless, report)
        servers = lab.Lab()
        try:
            for seed in range(int(first), int(last or first) + 1):
                report.section("seed %d" % seed, run, report, servers, seed, args.views)
        finally:
            servers.close()


if __name__ == "__main__":
    sys.exit(main())
