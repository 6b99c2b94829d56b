#!/usr/bin/python3
"""The commands: init, check, run, explain, status, openapi. Mistakes are told with file, line, column and what was
expected, all at once; exit status 0 done, 1 failed, 2 wrong usage or configuration."""

import json
import os
import re
import time

from lib import client, pg, procs, views
from lib.penstock import Penstock, postgres_config
from lib.report import Report

GENERATOR = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: 100, seed: 1 }
sql: [ views.sql ]
apis:
  balances:
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
"""
BALANCES = """CREATE VIEW balances AS
  SELECT a.id AS account_id, a.owner, a.branch, sum(e.amount) AS balance, max(e.at) AS last_entry
  FROM demo.accounts a JOIN demo.entries e ON e.account_id = a.id
  GROUP BY a.id;
CREATE INDEX ON balances (branch, balance DESC);
COMMENT ON VIEW balances IS 'What each account holds';
COMMENT ON COLUMN balances.balance IS 'Sum of all posted entries, in the account currency';
"""

# name, penstock.yaml with one mistake or more, [(line, column or None, words that the message must have)]
BAD_CONFIGS = [
    ("unknown-key", "penstock: 1\nsources:\n  demo: { generator: { workload: bank } }\nsqll: [ views.sql ]\n",
     [(4, 1, ["sqll", "sql"])]),
    ("two-mistakes", "penstock: 1\nsources:\n  demo: { generator: { workload: bank, rate: fast } }\nsql: [ views.sql ]\n"
     "apis:\n  balances:\nstore: { epoch: soon }\nserverr: {}\n", [(3, None, ["rate"]), (7, None, ["epoch"]), (8, 1, ["serverr"])]),
    ("format-version", "penstock: 2\nsources: {}\n", [(1, None, ["penstock"])]),
    ("wrong-type", "penstock: 1\nsources: [ a, b ]\n", [(2, None, ["sources", "mapping"])]),
    ("unknown-source-kind", "penstock: 1\nsources:\n  demo:\n    generatr: { workload: bank }\n", [(4, 5, ["generatr", "generator"])]),
    ("unknown-workload", "penstock: 1\nsources:\n  demo:\n    generator: { workload: banc }\n", [(4, None, ["banc", "bank"])]),
    ("unset-variable", "penstock: 1\nsources:\n  core:\n    postgres:\n      url: postgresql://u@127.0.0.1/x\n      password: ${NOT_SET_ANYWHERE}\n",
     [(6, None, ["NOT_SET_ANYWHERE"])]),
    ("not-yaml", "penstock: 1\nsources: {\n", [(3, None, [])]),
    ("api-without-view", "penstock: 1\nsources:\n  demo: { generator: { workload: bank } }\nsql: [ views.sql ]\napis:\n  balances:\n  nothing:\n",
     [(7, 3, ["nothing"])]),
    ("missing-sql-file", "penstock: 1\nsources:\n  demo: { generator: { workload: bank } }\nsql: [ nowhere.sql ]\napis: {}\n", [(4, None, ["nowhere.sql"])]),
    ("bad-listen", "penstock: 1\nsources:\n  demo: { generator: { workload: bank } }\nserver: { listen: \"127.0.0.1:notaport\" }\n", [(4, None, ["listen"])]),
]

# name, views.sql, [(line, column or None, words)]
BAD_SQL = [
    ("syntax", "CREATE VIEW balances AS\n  SELECT id FORM demo.accounts;\n", [(2, None, ["syntax"])]),
    ("unknown-table", "CREATE VIEW balances AS\n  SELECT id FROM demo.acounts;\n", [(2, 18, ["acounts"])]),
    ("unknown-column", "CREATE VIEW balances AS\n  SELECT idd FROM demo.accounts;\n", [(2, 10, ["idd"])]),
    ("unknown-function", "CREATE VIEW balances AS SELECT nonsense(id) AS x FROM demo.accounts;\n", [(1, 32, ["nonsense"])]),
    ("wrong-argument-types", "CREATE VIEW balances AS SELECT id + opened AS x FROM demo.accounts;\n", [(1, None, ["operator"])]),
    ("not-grouped", "CREATE VIEW balances AS\n  SELECT branch, owner, count(*) FROM demo.accounts GROUP BY branch;\n", [(2, 18, ["owner", "GROUP BY"])]),
    ("aggregate-in-where", "CREATE VIEW balances AS SELECT id FROM demo.accounts WHERE count(*) > 1;\n", [(1, 60, ["aggregate"])]),
    ("ambiguous", "CREATE VIEW balances AS SELECT id FROM demo.accounts a, demo.entries e;\n", [(1, 32, ["ambiguous"])]),
    ("two-views-wrong", "CREATE VIEW balances AS SELECT idd FROM demo.accounts;\nCREATE VIEW b AS SELECT xx FROM demo.entries;\n",
     [(1, 32, ["idd"]), (2, 25, ["xx"])]),
    ("view-twice", "CREATE VIEW balances AS SELECT id FROM demo.accounts;\nCREATE VIEW balances AS SELECT id FROM demo.entries;\n", [(2, None, ["balances"])]),
    ("not-a-view", "CREATE TABLE t (id int);\n", [(1, None, ["CREATE"])]),
    ("index-on-nothing", "CREATE VIEW balances AS SELECT id FROM demo.accounts;\nCREATE INDEX ON balances (nothing);\n", [(2, None, ["nothing"])]),
    ("union-widths", "CREATE VIEW balances AS SELECT id FROM demo.accounts UNION ALL SELECT id, owner FROM demo.accounts;\n", [(1, None, ["UNION"])]),
    ("where-not-boolean", "CREATE VIEW balances AS SELECT id FROM demo.accounts WHERE id;\n", [(1, 60, ["boolean"])]),
    ("duplicate-column", "CREATE VIEW balances AS SELECT id, owner AS id FROM demo.accounts;\n", [(1, None, ["id"])]),
]


def places(text, file):
    """(line, column, message) of each `file:line:column: message` line."""
    return [(int(a), int(b), m) for a, b, m in re.findall(r"%s:(\d+):(\d+): (.*(?:\n  hint: .*)?)" % re.escape(file), text)]


def check_mistakes(report, name, box, file, expected):
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    report.equal("%s/exit" % name, code, 2)
    found = places(out + err, file)
    for line, column, words in expected:
        hit = [p for p in found if p[0] == line and (column is None or p[1] == column)
               and all(w.lower() in p[2].lower() for w in words)]
        report.check("%s/line%d" % (name, line), hit, "expected %s:%d:%s with %s; got: %s" % (
            file, line, column or "*", words, (out + err)[:500]))


def mistakes(report):
    for name, text, expected in BAD_CONFIGS:
        box = Penstock(text, BALANCES, name="cli")
        check_mistakes(report, "config/" + name, box, "penstock.yaml", expected)
        code, out, err = box.command("run", "-c", box.config, "--data", box.data, timeout_s=20)
        report.check("config/%s/run-refuses" % name, code == 2, "exit %d" % code)
    for name, text, expected in BAD_SQL:
        box = Penstock(GENERATOR, text, name="cli")
        check_mistakes(report, "sql/" + name, box, "views.sql", expected)
    box = Penstock(GENERATOR, "CREATE VIEW balances AS SELECT " + "(" * 3000 + "1" + ")" * 3000 + " AS x FROM demo.accounts;\n", name="cli")
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    report.check("sql/too-deep", code in (0, 2), "exit %d: %s" % (code, err[-200:]))
    box = Penstock(GENERATOR, "CREATE VIEW balances AS SELECT " + "NOT " * 20000 + "true AS x FROM demo.accounts;\n", name="cli")
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    report.check("sql/too-deep-not", code == 2 and "views.sql:1:" in out + err, "exit %d: %s" % (code, err[-200:]))


def never_ignored(report):
    """What is not supported is refused by name with its position: a view that is accepted must be right, and these
    are known not to be there yet."""
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, "CREATE SCHEMA core; CREATE TABLE core.a (id int PRIMARY KEY, g int, t text);"
                 "CREATE TABLE core.b (x int PRIMARY KEY); CREATE TABLE core.c (id int PRIMARY KEY, a_id int, qty int);"
                 "CREATE PUBLICATION penstock FOR ALL TABLES")
    tables = ["{ table: core.%s, as: %s }" % (t, t) for t in "abc"]
    for name, text in views.MUST_NOT_BE_IGNORED:
        box = Penstock(postgres_config(server, tables, ["views.sql"], [name]), "CREATE VIEW %s AS\n  %s;\n" % (name, text), name="cli")
        code, out, err = box.command("check", "-c", box.config, "--data", box.data)
        found = places(out + err, "views.sql")
        report.check("unsupported/" + name, code == 2 and found and found[0][0] == 2, "exit %d: %s" % (code, (out + err)[:300]))
    server.stop()


def usage(report, box):
    commands = ["init", "check", "run", "explain", "status", "openapi"]
    code, out, err = box.command("--help")
    report.check("help/exit", code == 0, "exit %d" % code)
    for name in commands:
        report.check("help/lists-" + name, re.search(r"\b%s\b" % name, out), "not in: " + out[:300])
        c, o, e = box.command(name, "--help")
        report.check("help/" + name, c == 0 and len(o) > 40, "exit %d: %s" % (c, (o + e)[:200]))
        c, o, e = box.command(name, "--no-such-option")
        report.check("usage/%s-bad-option" % name, c == 2 and "no-such-option" in e, "exit %d: %s" % (c, (o + e)[:200]))
    for name, args in (("none", []), ("unknown", ["frobnicate"]), ("missing-value", ["check", "-c"])):
        c, o, e = box.command(*args)
        report.check("usage/" + name, c == 2 and e, "exit %d, stderr %r" % (c, e[:200]))
    c, o, e = box.command("check", "-c", "/nonexistent/penstock.yaml")
    report.check("usage/no-file", c == 2 and "/nonexistent/penstock.yaml" in e, "exit %d: %s" % (c, e[:200]))
    c, o, e = box.command("--version")
    report.check("usage/version", c == 0 and re.search(r"\d+\.\d+", o), "exit %d: %s" % (c, (o + e)[:200]))
    c, o, e = box.command("status", "-c", box.config, "--data", box.data)
    report.check("status/not-running", c == 1 and (o + e).strip(), "exit %d: %s" % (c, (o + e)[:200]))


def init_runs(report):
    """penstock init gives files that pass check and run as they are."""
    folder = procs.temp_dir("init")
    target = os.path.join(folder, "box")
    box = Penstock(None, dir=folder, name="init")
    code, out, err = box.command("init", target)
    report.check("init/exit", code == 0, "exit %d: %s" % (code, (out + err)[:300]))
    report.check("init/files", os.path.exists(target + "/penstock.yaml") and os.path.exists(target + "/views.sql"), os.listdir(folder))
    text = open(target + "/penstock.yaml").read()
    report.check("init/commented", text.count("#") >= 5, "no comments in it")
    code, out, err = box.command("init", target)
    report.check("init/never-overwrites", code != 0 and open(target + "/penstock.yaml").read() == text, "exit %d" % code)
    box.config, box.dir = target + "/penstock.yaml", target
    code, out, err = box.command("check", "-c", box.config, cwd=target)
    report.check("init/check", code == 0, "exit %d: %s" % (code, (out + err)[:500]))
    changed = re.sub(r'(?m)^(\s*)#?\s*server:.*$', r'server: { listen: "127.0.0.1:%d" }' % box.port, text)
    if "server:" not in text:
        changed = text + '\nserver: { listen: "127.0.0.1:%d" }\n' % box.port
    changed = re.sub(r"(listen: *\"?[0-9.]*):\d+", r"\1:%d" % box.port, changed)
    with open(box.config, "w") as f:
        f.write(changed)
    box.data, box.shards = target + "/data", 0
    box.start(ready_s=30)
    answer = box.client().request("/api/")
    report.check("init/runs", answer.status in (200, 401), "GET /api/: %d %s" % (answer.status, answer.body[:200]))
    first = box.log_text().splitlines()[0] if box.log_text() else ""
    report.check("run/first-line-says-where", str(box.port) in first and "https://" in first, "first line: " + first)
    report.check("init/clean-stop", box.stop() == 0, "exit status not 0")


def running(report):
    box = Penstock(GENERATOR, BALANCES, shards=2, name="cli")
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    report.check("check/ok", code == 0, "exit %d: %s" % (code, (out + err)[:400]))
    for word in ("balances", "account_id", "numeric"):
        report.check("check/contract-" + word, word in out, "not in: " + out[:400])
    usage(report, box)
    for args, words in ((["explain"], ["join", "aggregate", "exchange", "accounts", "entries"]), (["explain", "balances"], ["join", "aggregate"]),
                        (["explain", "--dot"], ["digraph", "->"])):
        code, out, err = box.command(args[0], "-c", box.config, *args[1:])
        report.check(" ".join(args).replace(" ", "/"), code == 0 and all(w in out.lower() for w in words), "exit %d: %s" % (code, (out + err)[:400]))
    code, out, err = box.command("explain", "-c", box.config, "nothing")
    report.check("explain/unknown-view", code == 2 and "nothing" in err, "exit %d: %s" % (code, err[:200]))
    code, out, err = box.command("openapi", "-c", box.config)
    try:
        doc = json.loads(out)
        report.check("openapi/version", doc["openapi"].startswith("3.1"), doc.get("openapi"))
        report.check("openapi/path", any(p.rstrip("/").endswith("/balances") for p in doc["paths"]), list(doc["paths"]))
        report.check("openapi/comment", "Sum of all posted entries" in out, "the column's comment is missing")
    except Exception as e:
        report.fail("openapi", "exit %d: %s: %s" % (code, e, (out + err)[:300]))
    box.start()
    http = box.client()
    doc = http.get("/api/").json()
    report.check("api/openapi", doc["openapi"].startswith("3.1") and "Sum of all posted entries" in json.dumps(doc), str(doc)[:200])
    client.wait_for(lambda: sum(http.list("balances").rows().values()) > 10, 20, "rows of balances")
    status = box.status()
    for key in ("pids", "sources", "views", "epoch", "shards"):
        report.check("status/" + key, key in status, "keys: %s" % list(status))
    report.check("status/pids", all(procs.alive(status["pids"][n]) for n in ("supervisor", "pipeline", "serve")), status.get("pids"))
    code, out, err = box.command("status", "-c", box.config, "--data", box.data)
    report.check("status/text", code == 0 and "demo" in out and "balances" in out, "exit %d: %s" % (code, (out + err)[:300]))
    before = status["epoch"]
    time.sleep(0.5)
    report.check("status/epoch-moves", box.status()["epoch"] != before, "still %s" % before)
    second = Penstock(None, dir=box.dir)
    code, out, err = second.command("run", "-c", box.config, "--data", box.data, timeout_s=30)
    report.check("run/second-instance-refused", code == 1 and str(status["pids"]["pipeline"]) in err or code == 1 and "run" in err,
                 "exit %d: %s" % (code, (out + err)[-300:]))
    report.check("run/first-unharmed", http.list("balances").status == 200, "")
    report.check("run/clean-stop", box.stop() == 0, "exit status not 0")


def secrets(report):
    """A password is never printed, neither by check nor in the log, nor in what the API tells."""
    secret = "hunter2-do-not-show"
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION penstock FOR ALL TABLES")
    text = postgres_config(server, ["t"], ["views.sql"], ["v"]).replace("      publication:", "      password: ${SECRET_PASSWORD}\n      publication:", 1)
    box = Penstock(text, "CREATE VIEW v AS SELECT id FROM core.t;\n", shards=1, name="secrets")
    env = dict(os.environ, SECRET_PASSWORD=secret)
    code, out, err = box.command("check", "-c", box.config, "--data", box.data, env=env)
    report.check("secrets/check", code == 0 and secret not in out + err, "exit %d: %s" % (code, (out + err)[:300]))
    os.environ["SECRET_PASSWORD"] = secret
    try:
        box.start()
        serve = box.pid("serve")
        environ = open("/proc/%d/environ" % serve, "rb").read()
        report.check("secrets/not-in-serve-environment", secret.encode() not in environ, "the serve process holds the password")
        server.stop()
        time.sleep(1)
        seen = json.dumps(box.status()) + box.client().request("/metrics").body.decode() + box.log_text()
        report.check("secrets/not-shown", secret not in seen, "found in status, metrics or log")
        box.stop()
    finally:
        del os.environ["SECRET_PASSWORD"]


def main():
    with Report("test_cli", 200) as report:
        report.section("mistakes", mistakes, report)
        report.section("running", running, report)
        report.section("init", init_runs, report)
        report.section("unsupported", never_ignored, report)
        report.section("secrets", secrets, report)


if __name__ == "__main__":
    main()
