#!/usr/bin/python3
"""`penstock explain` on a running instance: what each operator holds, over the shards; sizes grow with rows and fall with them.
Graphviz output is well-formed."""

import json
import re
import shutil
import subprocess
import time

from lib import pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import wait_visible

VIEWS = """CREATE VIEW totals AS SELECT g, count(*) AS n, sum(v) AS s FROM core.e GROUP BY g;
CREATE VIEW pairs AS SELECT e.id, e.v, n.name FROM core.e e JOIN core.n n ON n.g = e.g;
CREATE VIEW most AS SELECT id, v FROM core.e ORDER BY v DESC LIMIT 10;
CREATE VIEW ranks AS SELECT id, rank() OVER (PARTITION BY g ORDER BY v) AS r FROM core.e;
CREATE VIEW common AS SELECT v FROM core.e EXCEPT SELECT length(name) FROM core.n;
CREATE VIEW quoted AS SELECT id, 'a "b" \\ c' AS t FROM core.e WHERE g <> 'x"y';
"""
NAMES = ["totals", "pairs", "most", "ranks", "common", "quoted"]
KINDS = ("aggregate", "join", "top", "window", "set", "table", "view")
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024 ** 2, "GiB": 1024 ** 3}
NOTE = re.compile(r"^ *#(\d+) (\w+).*?  -- (?:([\d.]+) (\w+) in (memory|the store), (\d+) rows(?:, skew ([\d.]+))?; )?(?:\d+ in, )?\d+ out$")


def explain(box, *args):
    code, out, err = box.command("explain", "-c", box.config, "--data", box.data, *args)
    if code or err:
        raise RuntimeError("penstock explain: exit %d: %s" % (code, err))
    return out


def sizes(box):
    """{operator: (kind, bytes, where, rows, skew)}"""
    found = {}
    for line in explain(box).splitlines():
        m = NOTE.match(line)
        if m:
            bytes_ = float(m.group(3)) * UNITS[m.group(4)] if m.group(3) else 0
            found[int(m.group(1))] = (m.group(2), bytes_, m.group(5), int(m.group(6) or 0), float(m.group(7) or 0))
    return found


def of_kind(found, kind):
    return [f for f in found.values() if f[0] == kind]


STATEMENT = re.compile(r'\s*(?:digraph \w+ \{|rankdir=BT;|node \[shape=box, fontname="monospace"\];|(n\d+) \[label="((?:[^"\\]|\\.)*)"(?:, style=\w+)?\];|(n\d+) -> (n\d+);|\})')


def parse_dot(text):
    """Nodes and edges; fails where the text is not what Graphviz takes."""
    at, nodes, edges = 0, {}, []
    while text[at:].strip():
        m = STATEMENT.match(text, at)
        if not m:
            raise ValueError("not Graphviz: %r" % text[at:at + 80])
        if m.group(1):
            nodes[m.group(1)] = m.group(2)
        if m.group(3):
            edges.append((m.group(3), m.group(4)))
        at = m.end()
    missing = [e for e in edges if e[0] not in nodes or e[1] not in nodes]
    if missing:
        raise ValueError("edges without nodes: %s" % missing)
    return nodes, edges


def run(report):
    server = pg.Postgres().start()
    sql = server.connect()
    pg.script(sql, "CREATE SCHEMA core; CREATE TABLE core.e (id int PRIMARY KEY, g text, v int); CREATE TABLE core.n (g text PRIMARY KEY, name text);"
                   "INSERT INTO core.n SELECT 'g' || i, repeat('n', 30) FROM generate_series(0, 199) i; CREATE PUBLICATION penstock FOR ALL TABLES")
    box = Penstock(postgres_config(server, ["{ table: core.e, as: e }", "{ table: core.n, as: n }"], ["views.sql"], NAMES), VIEWS, shards=3,
                   name="explain").start()

    def settled(text):
        pg.script(sql, text)
        wait_visible(box, sql, 30, "totals")
        time.sleep(0.5)  # sizes have a pace of their own
        return sizes(box)

    empty = settled("SELECT 1")
    report.check("kinds", all(of_kind(empty, k) for k in KINDS), str(empty))
    full = settled("INSERT INTO core.e SELECT i, 'g' || i % 200, i FROM generate_series(1, 20000) i")
    for kind in KINDS:
        grown = [(a, b) for a, b in zip(of_kind(empty, kind), of_kind(full, kind)) if b[1] > a[1] and b[3] > a[3]]
        report.check("grows/" + kind, grown, "%s, then %s" % (of_kind(empty, kind), of_kind(full, kind)))
    where = {k: {f[2] for f in of_kind(full, k)} - {None} for k in KINDS}
    report.check("where", all(w == ({"the store"} if k in ("table", "view") else {"memory"}) for k, w in where.items()), str(where))
    table = [f for f in of_kind(full, "table") if f[3] == 20000]
    report.check("table/rows", len(table) == 1, str(of_kind(full, "table")))
    report.check("aggregate/rows", [f[3] for f in of_kind(full, "aggregate")] == [200], str(of_kind(full, "aggregate")))
    report.check("join/rows", [f[3] for f in of_kind(full, "join")] == [20200], str(of_kind(full, "join")))
    skews = [f[4] for f in full.values() if f[2]]
    report.check("skew", skews and all(1 <= s <= 3 for s in skews), str(skews))
    shards = box.status()["shards"]
    memory = sum(f[1] for f in full.values() if f[2] == "memory")
    report.check("sum", 0.9 < memory / sum(s["state_bytes"] for s in shards) < 1.1, "%s, %s" % (memory, shards))
    gone = settled("DELETE FROM core.e WHERE id > 100")
    for kind in KINDS[:5]:
        fallen = [(a, b) for a, b in zip(of_kind(full, kind), of_kind(gone, kind)) if b[1] < a[1] / 2 or b[3] < a[3]]
        report.check("falls/" + kind, fallen, "%s, then %s" % (of_kind(full, kind), of_kind(gone, kind)))
    report.check("falls/memory", sum(f[1] for f in gone.values() if f[2] == "memory") < memory / 2, str(gone))

    text = explain(box, "--dot")
    nodes, edges = parse_dot(text)
    report.check("dot", len(nodes) >= 15 and len(edges) >= 14 and any("in memory" in n for n in nodes.values()), text[:600])
    told = json.loads(explain(box, "--json"))
    r.check("json/graph", parse_dot(told["graph"])[0].keys() == parse_dot(text)[0].keys(), told["graph"][:300])
    busy = [o for o in told["operators"] if len(o["shards"]) == box.shards and sum(s["rows_out"] for s in o["shards"]) > 0]
    r.check("json/by shard", len(busy) > 3 and [o["id"] for o in told["operators"]] == list(range(len(told["operators"]))), told["operators"][:2])
    nodes, edges = parse_dot(explain(box, "quoted", "--dot"))
    report.check("dot/quoted", any('a \\"b\\" \\\\ c' in n for n in nodes.values()), str(nodes))
    if shutil.which("dot"):
        p = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True)
        report.check("dot/graphviz", p.returncode == 0 and b"</svg>" in p.stdout, p.stderr.decode())

    box.write_config(postgres_config(server, ["{ table: core.e, as: e }", "{ table: core.n, as: n }"], ["views.sql"], NAMES),
                     VIEWS.replace("LIMIT 10", "LIMIT 20"))
    code, out, err = box.command("explain", "-c", box.config, "--data", box.data)
    report.check("another-plan", code == 0 and " -- " not in out and "another plan" in err and "penstock apply" in err, err)
    box.stop()
    code, out, err = box.command("explain", "-c", box.config, "--data", box.data)
    report.check("stopped", code == 0 and " -- " not in out and not err, err)
    server.stop()


with Report("test_explain", 120) as r:
    r.section("explain", run, r)
