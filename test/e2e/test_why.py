#!/usr/bin/python3
"""Why a row is as it is: the source rows that /why lists, against PostgreSQL. For views of every operator and for random queries:

    only the listed rows    all others are deleted, in a transaction that is rolled back: the row is still there
    without the listed rows they are deleted: the row is gone, or there are fewer copies of it
    recomputed              the plan, evaluated over the mirrors for this row alone, gave the same row

and that answers belong to one epoch while the tables change, that pages fit together, who may ask, and what the bounds do."""

import argparse
import json
import os
import random
import re
import sys
import threading
import time
import urllib.parse

from lib import canon, lab, pg, random_data, random_query
from lib.client import Refused, wait_for
from lib.report import Report, soak

TABLES = """CREATE TABLE core.a (id int PRIMARY KEY, branch int, owner text);
CREATE TABLE core.e (id int PRIMARY KEY, a int, amount numeric, kind text);
CREATE TABLE core.k (x int, y text);
ALTER TABLE core.k REPLICA IDENTITY FULL;
CREATE TABLE core.p (id int PRIMARY KEY, parent int);
CREATE TABLE core.w (g int, n int, v int, PRIMARY KEY (g, n))"""
FILL = ["INSERT INTO core.a SELECT i, i % 3, 'o' || i FROM generate_series(1, 12) i",
        "INSERT INTO core.e SELECT i, i % 10, (i * 37 % 50)::numeric / 4, CASE WHEN i % 3 = 0 THEN 'x' ELSE 'y' END"
        " FROM generate_series(1, 60) i",
        "INSERT INTO core.k VALUES (1, 'p'), (1, 'p'), (2, 'q'), (NULL, 'r'), (3, NULL), (1, 'q')",
        "INSERT INTO core.p VALUES (1, NULL), (2, 1), (3, 1), (4, 2), (5, 4), (6, 99), (7, 5), (8, 3)",
        "INSERT INTO core.w SELECT g, n, (g * 7 + n * 5) % 11 FROM generate_series(1, 4) g, generate_series(1, 5) n"]
VIEWS = {
    "plain": "SELECT id, owner FROM core.a",
    "mapped": "SELECT id + 100 AS n, upper(owner) AS o FROM core.a WHERE branch <> 1",
    "joined": "SELECT e.id, a.owner, e.amount FROM core.e e JOIN core.a a ON a.id = e.a",
    "sums": "SELECT a.id, a.owner, sum(e.amount) AS s, max(e.amount) AS m FROM core.a a JOIN core.e e ON e.a = a.id GROUP BY a.id",
    "groups": "SELECT a, count(*) AS n, min(amount) AS m FROM core.e WHERE kind = 'x' GROUP BY a HAVING count(*) > 1",
    "outer_join": "SELECT a.id, e.id AS e FROM core.a a LEFT JOIN core.e e ON e.a = a.id AND e.amount > 8",
    "full_join": "SELECT a.id AS x, e.id AS y FROM core.a a FULL JOIN core.e e ON e.a = a.id",
    "distincts": "SELECT DISTINCT branch FROM core.a",
    "keyless": "SELECT x, y FROM core.k",
    "keyless_join": "SELECT k.x, a.owner FROM core.k k JOIN core.a a ON a.id = k.x",
    "has": "SELECT id, owner FROM core.a a WHERE EXISTS (SELECT 1 FROM core.e e WHERE e.a = a.id AND e.kind = 'x')",
    "has_not": "SELECT id, owner FROM core.a a WHERE NOT EXISTS (SELECT 1 FROM core.e e WHERE e.a = a.id)",
    "not_in": "SELECT id FROM core.e WHERE a NOT IN (SELECT id FROM core.a WHERE branch = 1)",
    "marked": "SELECT id, a IN (SELECT id FROM core.a WHERE branch = 1) AS m FROM core.e",
    "scalar": "SELECT id, (SELECT max(amount) FROM core.e e WHERE e.a = a.id) AS top FROM core.a a",
    "unions": "SELECT id AS n FROM core.a UNION SELECT a FROM core.e",
    "union_all": "SELECT id AS n, 'a' AS t FROM core.a UNION ALL SELECT id, 'e' FROM core.e",
    "intersects": "SELECT id AS n FROM core.a INTERSECT SELECT a FROM core.e",
    "excepts": "SELECT id AS n FROM core.a EXCEPT SELECT a FROM core.e",
    "tops": "SELECT id, amount FROM core.e ORDER BY amount DESC, id LIMIT 5",
    "top_of": "SELECT g, n, v FROM (SELECT g, n, v, row_number() OVER (PARTITION BY g ORDER BY v DESC, n) AS r FROM core.w) x WHERE r <= 2",
    "firsts": "SELECT DISTINCT ON (a) a, id, amount FROM core.e ORDER BY a, amount DESC, id",
    "windows": "SELECT g, n, sum(v) OVER (PARTITION BY g ORDER BY n) AS s, lag(v) OVER (PARTITION BY g ORDER BY n) AS l FROM core.w",
    "sets": "SELECT branch, owner, count(*) AS n FROM core.a GROUP BY GROUPING SETS ((branch), (owner))",
    "series": "SELECT a.id, s FROM core.a a, generate_series(1, a.branch) s",
    "below": "WITH RECURSIVE t AS (SELECT id, parent FROM core.p WHERE parent IS NULL UNION SELECT p.id, p.parent FROM core.p p"
             " JOIN t ON p.parent = t.id) SELECT id, parent FROM t",
    "nested": "SELECT x.id, x.s * 2 AS twice, coalesce(x.owner, ',FROM') nm, x.m IS DISTINCT FROM 3 AS odd, (SELECT count(*) FROM core.a) AS n FROM sums x",
    "starred": "WITH c AS (SELECT a.*, a.branch + 1 AS after FROM core.a a) SELECT c.*, id AS again FROM c",
    "over_view": "SELECT branch, sum(s) AS s FROM core.a a JOIN (SELECT a, sum(amount) AS s FROM core.e GROUP BY a) x ON x.a = a.id"
                 " GROUP BY branch",
}
TRACED = 3  # rows of each random view


class World(lab.World):
    def config(self, slot):
        return super().config(slot).replace("anonymous: read", "anonymous: read, why: read")


def keys_of(box):
    with open(os.path.join(box.data, "catalog.json")) as f:
        views = json.load(f)["views"]
    return {v["name"]: [v["columns"][k]["name"] for k in v["key"]] for v in views}


def text_of(value):
    """As it goes into a URL; None: no value that a filter can name here."""
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, str):
        return str(value)
    return None


def path_of(view, row, key):
    fields = dict(row)
    if key:
        parts = [text_of(fields[k]) for k in key]
        return None if None in parts or "" in parts else "/api/%s/%s/why" % (view, "/".join(urllib.parse.quote(p, safe="") for p in parts))
    filters = []
    for name, value in fields.items():
        if value is None:
            filters.append(name + "=is.null")
        elif text_of(value) is not None:
            filters.append(name + "=eq." + urllib.parse.quote(text_of(value), safe=""))
    return "/api/%s/why?%s" % (view, "&".join(filters))


class Oracle:
    """The tables in PostgreSQL, changed in transactions that are rolled back."""

    def __init__(self, world):
        self.world = world
        self.sql = world.lab.server.connect(database=world.database, autocommit=False)
        self.tables = world.trial.tables()

    def close(self):
        self.sql.close()

    def listed(self, sources):
        """By table the ctids of the listed rows; a source that is not there is an error."""
        there = {}
        for t in self.tables:
            for ctid, text in pg.rows(self.sql, "SELECT ctid::text, row_to_json(source_row)::text FROM core.%s source_row" % t):
                there.setdefault((t, canon.loads(text)), []).append(ctid)
        found = {t: [] for t in self.tables}
        for s in sources:
            t = s["table"].split(".")[1]
            ctids = there.get((t, s["row"]))
            if not ctids:
                raise ValueError("%s lists a row that is not there: %r" % (t, s["row"]))
            found[t] += ctids
        return found

    def count(self, view, row, found, keep):
        """Copies of the row when only the listed rows are left, or all but those."""
        for t, ctids in found.items():
            pg.rows(self.sql, "DELETE FROM core.%s WHERE %s ctid = ANY (%%s::tid[]) RETURNING 1" % (t, "NOT" if keep else ""), (ctids,))
        try:
            return canon.view_rows(self.sql, view).get(row, 0)
        finally:
            self.sql.rollback()


def ask(http, path):
    """All pages of a why, as one answer in canonical values."""
    answer, cursor = None, None
    while True:
        more = ("&" if "?" in path else "?") + "limit=50" + ("&cursor=" + cursor if cursor else "")
        raw = canon.loads(http.get(path + more).body.decode())
        page = dict(raw)
        page["sources"] = [dict(s) for s in page["sources"]]
        if answer:
            page["sources"] = answer["sources"] + page["sources"]
        answer, cursor = page, page["next"]
        if not cursor:
            return answer


def trace(report, oracle, box, view, row, key, copies, name, without=True):
    path = path_of(view, row, key)
    if path is None:
        return
    try:
        why = ask(box.http, path)
    except Refused as e:
        if "PENSTOCK_WHY_ROWS" not in str(e):
            report.fail(name, str(e))
        return
    problems = []
    if why["row"] != row:
        problems.append("the row is %r" % (why["row"],))
    if why["complete"] is not True or why["recomputed"] is not True:
        problems.append("complete %s, recomputed %s" % (why["complete"], why["recomputed"]))
    if len(why["sources"]) != int(why["source_count"]):
        problems.append("%d of %s sources on the pages" % (len(why["sources"]), why["source_count"]))
    try:
        found = oracle.listed(why["sources"])
        kept, left = oracle.count(view, row, found, True), oracle.count(view, row, found, False) if without else 0
        if kept < 1:
            problems.append("gone when only the listed rows are left")
        if left >= copies:
            problems.append("still there without the listed rows")
    except Exception as e:
        oracle.sql.rollback()
        problems.append("%s: %s" % (type(e).__name__, e))
    report.check(name, not problems, "%s; row %r, sources %r" % ("; ".join(problems), row, [(s["table"], s["row"]) for s in why["sources"]][:8]))


def golden(report, bench):
    world = World(bench, lab.Trial(TABLES, FILL, [], VIEWS, (2,)))
    try:
        world.prepare()
        report.check("golden/views", not world.outcome.invalid, str(world.outcome.invalid))
        world.start()
        report.check("golden/refused", not world.outcome.refused, str(world.outcome.refused))
        oracle, box = Oracle(world), world.boxes[0]
        keys = keys_of(box)
        for view in world.views:
            for i, (row, copies) in enumerate(sorted(canon.view_rows(world.connection, view).items(), key=repr)):
                trace(report, oracle, box, view, row, keys[view], copies, "golden/%s/%d" % (view, i))
        oracle.close()
        box.sql = world.connection
        for part in (expressions, changes, pages, refusals, meanwhile, roles):
            report.section(part.__name__, part, report, world, box)
        return world
    except BaseException:
        world.end()
        raise


def newest(box, path):
    return dict(dict(canon.loads(box.http.get(path).body.decode()))["changes"][0])


def until(box, view):
    """What is committed now is visible."""
    box.http.list(view, wait=("core", pg.lsn(box.sql)), query="limit=1")


def changes(report, world, box):
    """The last change: of which transaction, from what to what; and nothing older than what happened."""
    with box.sql.cursor() as c:
        c.execute("BEGIN; UPDATE core.e SET amount = amount + 1 WHERE id = 11; SELECT txid_current()")
        xid = c.fetchone()[0]
        c.execute("COMMIT")
    until(box, "sums")
    change = newest(box, "/api/joined/11/why")
    source = dict(change["sources"][0])
    report.equal("changes/op", change["op"], "update")
    report.check("changes/values", float(change["new"].get("amount")) == float(change["old"].get("amount")) + 1, str(change))
    report.equal("changes/transaction", (source["source"], int(source["transactions"]), int(source["transaction"])), ("core", 1, xid))
    report.check("changes/position", pg.lsn_number(source["position"]) <= pg.lsn_number(pg.lsn(box.sql)), source["position"])
    again = newest(box, "/api/sums/1/why")
    report.equal("changes/same_epoch", (again["epoch"], again["sources"]), (change["epoch"], change["sources"]))
    box.kill("pipeline")
    box.wait_ready()
    until(box, "sums")
    report.equal("changes/after_kill", newest(box, "/api/joined/11/why"), change)


def expressions(report, world, box):
    """What each column is, as it was written, and where it comes from."""
    def said(path):
        columns = canon.loads(box.http.get(path).body.decode()).get("columns")
        return {c.get("name"): (c.get("expression"), tuple((t.get("view"), t.get("column"), t.get("expression")) for t in c.get("through")),
                                sorted(c.get("from"))) for c in columns}

    report.equal("expressions/nested", said("/api/nested/3/why"), {
        "id": ("x.id", (("sums", "id", "a.id"),), ["core.a.id"]),
        "twice": ("x.s * 2", (("sums", "s", "sum(e.amount)"),), ["core.e.amount"]),
        "nm": ("coalesce(x.owner, ',FROM')", (("sums", "owner", "a.owner"),), ["core.a.owner"]),
        "odd": ("x.m IS DISTINCT FROM 3", (("sums", "m", "max(e.amount)"),), ["core.e.amount"]),
        "n": ("(SELECT count(*) FROM core.a)", (), [])})
    report.equal("expressions/starred", said("/api/starred/3/why"), {
        "id": ("c.*", (), ["core.a.id"]), "branch": ("c.*", (), ["core.a.branch"]), "owner": ("c.*", (), ["core.a.owner"]),
        "after": ("c.*", (), ["core.a.branch"]), "again": ("id", (), ["core.a.id"])})
    report.equal("expressions/set", said("/api/excepts/11/why")["n"], ("id EXCEPT a", (), ["core.a.id", "core.e.a"]))


def pages(report, world, box):
    """A cursor goes on through other epochs, and is refused once the row's sources are others."""
    path = "/api/over_view/1/why?limit=2"
    first = canon.loads(box.http.get(path).body.decode())
    code, out, err = box.command("why", "--json", "--limit", "2", "--data", box.data, "-c", box.config, "over_view", "1")
    plain, marked = canon.loads(out).get("next")[16:32], first.get("next")[16:32]  # who knew what it is made of could try values of hidden columns
    report.check("pages/cursor-tells-nothing", code == 0 and plain != marked and marked == canon.loads(box.http.get(path).body.decode()).get("next")[16:32], "%s %s %s" % (plain, marked, err))
    pg.script(box.sql, "UPDATE core.p SET parent = parent WHERE id = 2")
    until(box, "below")
    second = canon.loads(box.http.get(path + "&cursor=" + first.get("next")).body.decode())
    report.check("pages/goes_on", second.get("sources") and not set(first.get("sources")) & set(second.get("sources")), str(second))
    pg.script(box.sql, "UPDATE core.e SET amount = amount + 1 WHERE id = 1")
    until(box, "sums")
    refused(report, "pages/changed", box, path + "&cursor=" + first.get("next"), 409, "PENSTOCK_WHY_CHANGED")
    refused(report, "pages/nonsense", box, path + "&cursor=abc", 400, "PENSTOCK_WHY_CURSOR")


def refused(report, name, box, path, status, code, headers=None):
    answer = box.http.request(path, headers)
    report.check(name, answer.status == status and code in answer.body.decode(), "%d %s" % (answer.status, answer.body[:200]))


def refusals(report, world, box):
    refused(report, "refusals/row", box, "/api/plain/999/why", 404, "PENSTOCK_NOT_FOUND")
    refused(report, "refusals/several", box, "/api/keyless/why?x=eq.1", 400, "PENSTOCK_WHY_ROWS")
    refused(report, "refusals/none", box, "/api/keyless/why?x=eq.77", 404, "PENSTOCK_NOT_FOUND")
    # A job's number is given by the program alone.
    refused(report, "refusals/job", box, "/nothing", 404, "PENSTOCK_NOT_FOUND", {"Penstock-Why-Job": "12345"})
    answer = box.http.request("/api/plain/1/why", method="HEAD")
    report.check("refusals/head", answer.status == 200 and not answer.body, "%d" % answer.status)


def meanwhile(report, world, box):
    """While transactions move amounts between rows of a group, the sources of every answer add up to the row's sum."""
    stop, wrong, asked = threading.Event(), [], [0]

    def move():
        sql = world.lab.server.connect(database=world.database)
        n = 0
        while not stop.is_set():
            n += 1
            pg.script(sql, "UPDATE core.e SET amount = amount + CASE WHEN id = %d THEN %d ELSE -%d END WHERE id IN (%d, %d);"
                           " DELETE FROM core.e WHERE id = 1000 + %d; INSERT INTO core.e VALUES (1000 + %d, 2, 1, 'z') ON CONFLICT DO NOTHING"
                      % (2, n % 7, n % 7, 2, 12, n % 5, (n + 2) % 5))
        sql.close()

    mover = threading.Thread(target=move)
    mover.start()
    http, ends = box.client(), time.monotonic() + 4
    try:
        ask_and_add(http, ends, asked, wrong)
    finally:
        stop.set()
        mover.join()
    report.check("meanwhile/adds_up", asked[0] > 20 and not wrong, "%d asked; %s" % (asked[0], wrong[:2]))


def ask_and_add(http, ends, asked, wrong):
    while time.monotonic() < ends:
        answer = http.get("/api/sums/2/why")
        why = canon.loads(answer.body.decode())
        total = sum(round(float(s.get("row").get("amount")) * 100) for s in why.get("sources") if s.get("table") == "core.e")
        asked[0] += 1
        if total != round(float(why.get("row").get("s")) * 100) or why.get("recomputed") is not True or int(why.get("epoch")) != answer.epoch:
            wrong.append(str(why)[:300])


ROLES = """access:
  anonymous: none
  roles:
    all: { "*": { why: true } }
    some: { joined: { columns: [id, amount], why: true }, sums: { rows: "id < 5", why: true } }
    none: { joined: read }
"""


def token(box, role):
    code, out, err = box.command("token", "create", "--role", role, "--data", box.data, "-c", box.config)
    if code:
        raise RuntimeError(err or out)
    return {"Authorization": "Bearer " + out.strip()}


def roles(report, world, box):
    """Who may ask, and what is shown to whom."""
    box.stop()
    with open(box.config) as f:
        text = f.read()
    with open(box.config, "w") as f:
        f.write(text.replace("access: { anonymous: read, why: read }\n", ROLES) + "limits: { why_rows: 30 }\n")
    box.start()
    box.http = box.client()
    every, some, none = token(box, "all"), token(box, "some"), token(box, "none")
    wait_for(lambda: box.http.request("/api/joined?limit=1", none).status == 200, 10, "tokens are known")
    refused(report, "roles/anonymous", box, "/api/joined/11/why", 401, "PGRST302")
    refused(report, "roles/none", box, "/api/joined/11/why", 403, "PENSTOCK_WHY", none)
    refused(report, "roles/row", box, "/api/sums/7/why", 404, "PENSTOCK_NOT_FOUND", some)
    refused(report, "roles/api", box, "/api/plain/1/why", 403, "42501", some)
    why = canon.loads(box.http.get("/api/joined/11/why", some).body.decode())
    shown = {s.get("table"): [name for name, _ in s.get("row")] for s in why.get("sources")}
    report.equal("roles/columns", ([n for n, _ in why.get("row")], shown), (["id", "amount"], {"core.a": ["id"], "core.e": ["id", "amount"]}))
    report.check("roles/changes", all([n for n, _ in side] == ["id", "amount"] for c in why.get("changes") for side in (c.get("old"), c.get("new")) if side),
                 str(why.get("changes")))
    cut = canon.loads(box.http.get("/api/distincts/1/why", every).body.decode())
    report.equal("cut/whole", (cut.get("complete"), cut.get("cut_by")), (True, None))
    cut = canon.loads(box.http.get("/api/over_view/1/why", every).body.decode())
    report.equal("cut/off", (cut.get("complete"), cut.get("cut_by")), (False, "limits.why_rows"))
    code, out, err = box.command("why", "--data", box.data, "-c", box.config, "over_view", "1")
    report.check("command/bounds", code == 0 and "cut off by limits.why_rows" in out, out + err)
    wide = box.config + ".wide"
    with open(wide, "w") as f:
        f.write(text)
    code, out, err = box.command("why", "--data", box.data, "-c", wide, "sums", "7")
    report.check("command/text", code == 0 and out.startswith("sums at epoch") and "core.a  id=7" in out, out + err)
    code, out, err = box.command("why", "--json", "--data", box.data, "-c", box.config, "keyless", "x=2", "y=q")
    report.check("command/keyless", code == 0 and json.loads(out)["source_count"] == 1, out + err)
    code, out, err = box.command("why", "--data", box.data, "-c", box.config, "sums", "99")
    report.check("command/absent", code == 2 and "no row has this key" in err, "%d %s" % (code, err))


def randoms(report, bench, seed, queries):
    r = random.Random(seed)
    tables = random_data.tables(r)
    views = {}
    for i in range(queries):
        tree, used = random_query.Generator(r, tables, {"scalar_subquery", "exists", "in_subquery", "correlated", "any_all", "lateral",
                                                        "window", "values", "grouping_sets", "series", "topk",
                                                        "distinct_on"}).query()
        # What keeps rows out is not listed: with these, rows that are not listed matter too.
        if not re.search(r"OFFSET|NOT \(?EXISTS|ALL \(SELECT|NOT IN", str(tree).upper()):
            views["q%d" % i] = str(tree)
    world = World(bench, lab.Trial("".join(t.ddl() for t in tables), random_data.fill(r, tables), [], views, (r.choice((1, 3)),)))
    try:
        world.prepare()
        world.start()
        if not world.views:
            return
        world.wait(world.boxes[0], ("core", pg.lsn(world.connection)), "before whys")
        oracle, keys = Oracle(world), keys_of(world.boxes[0])
        for view in world.views:
            try:
                rows = sorted(canon.view_rows(world.connection, view).items(), key=repr)
            except Exception:
                continue  # it fails on these rows
            for i, (row, copies) in enumerate(r.sample(rows, min(TRACED, len(rows)))):
                # Without the listed rows a row may come about in another way (an aggregate over no rows, a constant).
                trace(report, oracle, world.boxes[0], view, row, keys[view], copies, "seed%d/%s/%d" % (seed, view, i), without=False)
        oracle.close()
    finally:
        world.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", help="A-B")
    parser.add_argument("--queries", type=int, default=40)
    args = parser.parse_args()
    first, last = (int(n) for n in (args.seeds + "-" + args.seeds).split("-")[:2]) if args.seeds else (1, 60 if soak() else 2)
    with Report("test_why", 3600 if soak() else 240) as report:
        bench = lab.Lab()
        world = golden(report, bench)
        world.end()
        for seed in range(first, last + 1):
            report.section("seed %d" % seed, randoms, report, bench, seed, args.queries)
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
