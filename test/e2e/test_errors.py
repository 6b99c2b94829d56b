#!/usr/bin/python3
"""Error rows: what `penstock errors`, the REST list, the header and /metrics say about rows that views leave out because an
expression fails for them; that they heal, outlive restarts and crashes, and are of the same epoch as the view's rows."""

import json
import os

from lib import pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import wait_visible

VIEWS = """CREATE VIEW quotients AS
  SELECT id, a / b AS q
  FROM core.e;
CREATE VIEW halves AS SELECT id, q / 2 AS h FROM quotients;
CREATE VIEW by_code AS SELECT code, sum(big) AS s, count(*) AS n FROM core.e GROUP BY code;
CREATE VIEW names AS SELECT e.id, (SELECT n.name FROM core.n n WHERE n.code = e.code) AS name FROM core.e e;
CREATE VIEW casts AS SELECT id, note::int AS i FROM core.e WHERE note IS NOT NULL;
CREATE VIEW running AS SELECT id, sum(big) OVER (PARTITION BY code ORDER BY id) AS s, id / (b - b + 1) AS r FROM core.e;
CREATE VIEW near AS SELECT x.id AS x, y.id AS y FROM core.e x JOIN core.e y ON x.code = y.code AND x.a / y.b > 1;
CREATE VIEW fine AS SELECT id, a FROM core.e;
"""
NAMES = ["quotients", "halves", "by_code", "names", "casts", "running", "near", "fine"]
TABLES = """CREATE SCHEMA core;
CREATE TABLE core.e (id int PRIMARY KEY, a int, b int, code text, big float8, note text);
CREATE TABLE core.n (code text, name text);
ALTER TABLE core.n REPLICA IDENTITY FULL;
CREATE PUBLICATION penstock FOR ALL TABLES;
INSERT INTO core.e SELECT i, i, i % 5, 'c' || i % 3, i, NULL FROM generate_series(1, 20) i;
INSERT INTO core.n VALUES ('c0', 'zero'), ('c1', 'one'), ('c2', 'two');
"""


class Run:
    def __init__(self, report, shards):
        self.report, self.shards = report, shards
        self.server = pg.Postgres().start()
        self.sql = self.server.connect()
        pg.script(self.sql, TABLES)
        self.box = self.make("{ error_rows: 4 }")

    def make(self, store, access="access: { anonymous: read, errors: read }"):
        box = Penstock(self.config(store, access), VIEWS, shards=self.shards, name="errors%d" % self.shards)
        return box.start()

    def config(self, store, access):
        text = postgres_config(self.server, ["{ table: core.e, as: e }", "{ table: core.n, as: n }"], ["views.sql"], NAMES,
                               store=store)
        return text.replace("access: { anonymous: read }", access)

    def end(self):
        self.box.stop()
        self.server.stop()

    def do(self, text):
        pg.script(self.sql, text)
        wait_visible(self.box, self.sql, 20, "fine")

    def listed(self, view):
        code, out, err = self.box.command("errors", view, "--json", "-c", self.box.config, "--data", self.box.data)
        if code:
            raise RuntimeError("penstock errors: %s" % (err or out))
        return json.loads(out)[0]

    def check(self, name, view, rows, listed=None, **of_first):
        """What the command says; that REST, the header and the metric agree; and what the first entry is."""
        name = "shards%d/%s/%s" % (self.shards, name, view)
        said = self.listed(view)
        listed = rows if listed is None else listed
        want = (True, rows > 0, rows, listed)
        got = tuple(said[k] for k in ("known", "incomplete", "rows", "listed"))
        self.report.check(name, got == want and sum(e["rows"] for e in said["errors"]) == listed, "said %s, not %s" % (said, want))
        http = self.box.client()
        rest = json.loads(http.request("/admin/views/%s/errors" % view).body)
        self.report.check(name + "/rest", {k: rest[k] for k in ("rows", "listed", "errors")} == {k: said[k] for k in ("rows", "listed", "errors")}, str(rest))
        answer = http.request("/api/%s?limit=1" % view)
        header = {k.lower(): v for k, v in answer.headers.items()}.get("penstock-incomplete")
        self.report.check(name + "/header", header == (str(rows) if rows else None), str(header))
        metrics = http.request("/metrics").body.decode()
        self.report.check(name + "/metric", 'penstock_view_error_rows{view="%s"} %d\n' % (view, rows) in metrics)
        http.close()
        for entry in said["errors"][:1]:
            for key, value in of_first.items():
                self.report.check("%s/%s" % (name, key), entry.get(key) == value, "%r, not %r in %s" % (entry.get(key), value, entry))
        return said

    def run(self):
        division = dict(message="division by zero", sqlstate="22012", expression="a / b", file="views.sql", line=2, column=16)
        said = self.check("snapshot", "quotients", 4, **division)
        self.report.check("snapshot/rows-named", sorted(e["row"]["id"] for e in said["errors"]) == ["10", "15", "20", "5"], str(said))
        self.check("snapshot", "halves", 4, **division)  # the operator that fails is shared
        self.check("snapshot", "fine", 0)
        self.check("snapshot", "by_code", 0)
        self.do("UPDATE core.e SET b = 1 WHERE id = 5")
        self.check("one healed", "quotients", 3)
        self.do("UPDATE core.e SET a = 100 WHERE id = 10")
        said = self.check("row changed", "quotients", 3)
        self.report.check("row-changed", {"100"} == {e["row"]["a"] for e in said["errors"] if e["row"]["id"] == "10"}, str(said))
        self.do("INSERT INTO core.e SELECT i, i, 0, 'c9', 1, NULL FROM generate_series(101, 200) i")
        self.check("more than the list shows", "quotients", 103, 4)
        self.do("DELETE FROM core.e WHERE id IN (SELECT (row->>'id')::int FROM json_array_elements('%s') row)"
                % json.dumps([e["row"] for e in self.listed("quotients")["errors"]]))
        self.check("the list fills up again", "quotients", 99, 4)
        self.do("DELETE FROM core.e WHERE id > 100 AND b = 0")
        self.do("DELETE FROM core.e WHERE b = 0")
        self.check("all gone", "quotients", 0)
        self.check("all gone", "halves", 0)
        self.subqueries()
        self.other_operators()
        self.terminal()
        self.restarts()
        self.closed()

    def subqueries(self):
        """Hard case 25: 0 -> 1 -> 2 (error) -> 1 rows."""
        self.do("DELETE FROM core.n WHERE code = 'c1'")
        self.check("subquery without a row", "names", 0)
        self.do("INSERT INTO core.n VALUES ('c1', 'eins')")
        self.check("subquery with one row", "names", 0)
        self.do("INSERT INTO core.n VALUES ('c1', 'uno')")
        n = len(pg.rows(self.sql, "SELECT 1 FROM core.e WHERE code = 'c1'"))
        self.check("subquery with two rows", "names", n, min(n, 4), sqlstate="21000", expression="(SELECT ...)", line=6, column=35,
                   message="more than one row returned by a subquery used as an expression")
        self.do("DELETE FROM core.n WHERE name = 'eins'")
        self.check("subquery with one row again", "names", 0)

    def other_operators(self):
        self.do("UPDATE core.e SET note = 'x\"1' WHERE id = 3")
        self.check("bad text", "casts", 1, sqlstate="22P02", message='invalid input syntax for type integer: "x"1"', line=7, column=33)
        self.do("UPDATE core.e SET note = '%s' WHERE id = 3" % ("ü" * 1000))
        entry = self.check("long text", "casts", 1)["errors"][0]
        self.report.check("long-text/cut", entry["row"]["note"] == "ü" * 100 + "…", entry["row"]["note"])
        self.do("UPDATE core.e SET note = '12' WHERE id = 3")
        self.check("good text", "casts", 0)
        self.do("INSERT INTO core.e VALUES (301, 1, 1, 'huge', 1e308, NULL), (302, 1, 1, 'huge', 1e308, NULL)")
        self.check("sum too large", "by_code", 1, message="value out of range: overflow", sqlstate="22003", row={"code": "huge"}, line=5, column=37)
        self.check("running sum too large", "running", 1, sqlstate="22003", line=8, column=35)
        self.do("DELETE FROM core.e WHERE id = 302")
        self.check("sum in range", "by_code", 0)
        self.check("running sum in range", "running", 0)
        self.do("UPDATE core.e SET b = 0 WHERE id = 301")
        said = self.check("in a join's condition", "near", 1, sqlstate="22012")
        self.report.check("in-a-join/both-rows", "id#2" in said["errors"][0]["row"] or "b" in said["errors"][0]["row"], str(said))
        self.do("DELETE FROM core.e WHERE id = 301")
        self.check("without the pair", "near", 0)

    def restarts(self):
        self.do("UPDATE core.e SET b = 0 WHERE id IN (1, 2)")
        before = self.check("before the restart", "quotients", 2)
        by_id = lambda said: sorted(said["errors"], key=lambda e: e["row"]["id"])
        for name, end in (("stop", lambda: self.box.stop()), ("kill -9", lambda: self.box.kill_all())):
            end()
            self.box.verify(self.report, name.replace(" ", "-"))
            self.box.start()
            after = self.check("after " + name, "quotients", 2)
            self.report.check("after-%s/same" % name.replace(" ", "-"), by_id(before) == by_id(after), str(after))
        self.reboot()
        self.do("UPDATE core.e SET b = 1 WHERE id IN (1, 2)")
        self.check("healed after the restarts", "quotients", 0)

    def reboot(self):
        """Of the machine, with the source away: state cannot be rebuilt yet, and the stored view still says that it is incomplete."""
        self.box.stop()
        for name in ("gate", "boot"):
            os.unlink(os.path.join(self.box.data, name))
        self.sql.close()
        self.server.stop()
        self.box.start(ready_s=0)
        self.box.wait_answer("/api/quotients?limit=1", 60)
        http = self.box.client()
        answer = http.request("/api/quotients?limit=1")
        header = {k.lower(): v for k, v in answer.headers.items()}.get("penstock-incomplete")
        self.report.check("shards%d/rebooted/header" % self.shards, header == "2", str(answer.headers))
        said = http.request("/admin/views/quotients/errors")
        listed = json.loads(said.body)
        self.report.check("shards%d/rebooted/list" % self.shards, listed.get("known") is True and listed["rows"] == 2 or listed.get("known") is False and listed["rows"] is None,
                          str(listed))
        http.close()
        self.server.start()
        self.sql = self.server.connect()
        self.box.wait_ready(60)
        self.do("UPDATE core.n SET name = name || '!' WHERE code = 'c0'")
        self.check("after the reboot", "quotients", 2)

    def terminal(self):
        """What a row holds is shown, but a terminal obeys none of it."""
        self.do(r"INSERT INTO core.e VALUES (400, 1, 1, 'c1', 1, E'a\x1b[31mé\u009b1m\x7f\n\tz')")
        for args in ((), ("--json",)):
            code, out, err = self.box.command("errors", "casts", *args, "-c", self.box.config, "--data", self.box.data)
            raw = [c for c in out if ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160]
            self.report.check("shards%d/terminal%s" % (self.shards, "".join(args)), code == 0 and not raw and "[31mé" in out and len(out.splitlines()) == (1 if args else 3), repr(out) + err)
        self.report.equal("shards%d/terminal/value" % self.shards, self.listed("casts")["errors"][0]["row"]["note"], "a\x1b[31mé\x9b1m\x7f\n\tz")
        self.do("DELETE FROM core.e WHERE id = 400")

    def closed(self):
        """Without access.errors the list is not for everyone, but the command has it."""
        self.do("UPDATE core.e SET b = 0 WHERE id = 1")
        self.box.stop()
        self.box.write_config(self.config("", "access: { anonymous: read }"))
        self.box.start()
        http = self.box.client()
        answer = http.request("/admin/views/quotients/errors")
        self.report.check("closed/rest", answer.status == 401 and b"penstock errors" in answer.body, str(answer.body))
        self.report.check("closed/command", self.listed("quotients")["rows"] == 1)
        code, out, err = self.box.command("errors", "-c", self.box.config, "--data", self.box.data)
        self.report.check("closed/text", code == 0 and "view quotients: incomplete, 1 row is left out\n" in out
                          and "division by zero (SQLSTATE 22012) in a / b at views.sql:2:16" in out and "view fine: complete" in out, out + err)
        code, out, err = self.box.command("errors", "quotient", "-c", self.box.config, "--data", self.box.data)
        self.report.check("closed/no-such-view", code == 2 and "did you mean 'quotients'" in err, err)
        http.close()


def main():
    with Report("test_errors", 240) as report:
        for shards in (1, 3):
            run = Run(report, shards)
            report.on_failure = [lambda: report.note("log: %s" % run.box.log_tail(800))]
            report.section("shards %d" % shards, run.run)
            run.end()


main()
