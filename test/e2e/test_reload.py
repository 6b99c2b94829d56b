#!/usr/bin/python3
"""Configuration changes of an instance with data: views are added, changed, dropped and brought back, by a restart and on
the running instance. Whatever is new is filled from the mirrors, without asking the source again; the other views are
neither filled again nor hidden, and their numbers stay right."""

import os
import signal
import subprocess
import threading
import time

from lib import bank, canon, pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import wait_visible

FIRST = """CREATE VIEW per_account AS SELECT account_id, count(*) AS n, sum(amount) AS s FROM core.entries GROUP BY account_id;
CREATE VIEW big AS SELECT transfer, side, amount FROM core.entries WHERE amount > 3;
"""
ADDED = """CREATE VIEW aaa AS SELECT side, count(*) AS n FROM core.entries GROUP BY side;
""" + FIRST
CHANGED = ADDED.replace("amount > 3", "amount > 2")
DROPPED = CHANGED.replace("CREATE VIEW per_account", "CREATE VIEW other_name")
WRONG = ADDED.replace("count(*)", "count(nothing)")


def copies(server):
    with open(server.log, errors="replace") as f:
        return sum(1 for line in f if "COPY " in line and ("statement:" in line or "execute" in line or "received" in line))


class Watcher:
    """Reads one list as fast as it can and keeps what was not an answer."""

    def __init__(self, box, name):
        self.box, self.name, self.bad, self.reads = box, name, [], 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        http = self.box.client()
        while not self.stopping.is_set():
            answer = http.request("/api/" + self.name + "?limit=1")
            self.reads += 1
            if answer.status != 200:
                self.bad.append(answer.status)
        http.close()

    def stop(self):
        self.stopping.set()
        self.thread.join(20)
        return self.bad


def write(box, server, views, names):
    box.write_config(postgres_config(server, bank.TABLES, ["views.sql"], names), views)


def oracle(c, views):
    """The views as PostgreSQL has them."""
    pg.script(c, "DROP SCHEMA IF EXISTS oracle CASCADE; CREATE SCHEMA oracle; SET search_path = oracle, public;" + views)


def settled(box):
    """Whatever was to be built beside what is served has taken its place."""
    code, out, err = box.command("version", "list", "--json", "-c", box.config, "--data", box.data)
    return code == 0 and "being built" not in out


def compare(report, box, c, views, names, what):
    oracle(c, views)
    wait_for(lambda: settled(box), 30, "no version being built, %s" % what, 0.05)
    wait_visible(box, c, 30, names[0])
    http = box.client()
    for n in names:
        wait_for(lambda: http.request("/api/%s?limit=1" % n).status == 200, 30, "%s of %s" % (n, what), 0.05)
        problem = canon.difference(http.list(n).rows(), canon.view_rows(c, n))
        report.check("%s/%s" % (what, n), problem is None, problem)
    http.close()


def by_restart(report, server, c, box):
    """Stop, change the views, start: what stayed the same keeps its rows wherever it stands in the file now."""
    steps = [("add", ADDED, ["aaa", "per_account", "big"], ["aaa"]),
             ("change", CHANGED, ["aaa", "per_account", "big"], ["big"]),
             ("drop", DROPPED, ["aaa", "big"], []),
             ("back", CHANGED, ["aaa", "per_account", "big"], []),
             ("reorder", "".join(reversed(CHANGED.splitlines(True))), ["aaa", "per_account", "big"], [])]
    for what, views, names, filled in steps:
        report.check("%s/clean-stop" % what, box.stop() == 0, "exit status not 0")
        pg.script(c, "INSERT INTO core.entries SELECT 1 + max(transfer), 'from', 1, 5 FROM core.entries")
        write(box, server, views, names)
        mark = box.log_mark()
        box.start()
        compare(report, box, c, views, names, what)
        found = filled_views(box.log_since(mark))
        report.equal("%s/filled" % what, found, sorted(filled))


def other_catalog(report, server, c, box, views, names):
    """What another version of the program left as its catalog is written anew; nothing else is."""
    report.check("catalog/clean-stop", box.stop() == 0, "exit status not 0")
    path = os.path.join(box.data, "catalog.json")
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(text.replace('"slot"', '"place"'))
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    report.check("catalog/check", code == 0 and "contract change: none" in out, "exit %d: %s" % (code, (out + err)[-300:]))
    mark = box.log_mark()
    box.start()
    report.equal("catalog/filled", filled_views(box.log_since(mark)), [])
    compare(report, box, c, views, names, "catalog")


def apply(box, *more):
    return box.command("apply", "-c", box.config, "--data", box.data, *more, timeout_s=60)


def while_running(report, server, c, box):
    """The same on the running instance: what stays the same answers all the while."""
    clients = bank.Clients(server, count=1, pause_s=0.01).start()
    watcher = Watcher(box, "aaa")
    names = ["aaa", "per_account", "big", "fresh"]
    views = CHANGED.replace("amount > 2", "amount > 1") + "CREATE VIEW fresh AS SELECT account_id, max(amount) AS m FROM core.entries GROUP BY account_id;\n"
    write(box, server, views, names)
    pipeline, serve, mark = box.pid("pipeline"), box.pid("serve"), box.log_mark()
    code, out, err = apply(box)
    report.check("apply/done", code == 0 and "applied" in out, "exit %d: %s" % (code, (out + err)[-500:]))
    report.check("apply/new-pipeline", box.pid("pipeline") != pipeline and box.pid("serve") == serve, "%s, before %d and %d" % (box.pids(), pipeline, serve))
    report.equal("apply/filled", filled_views(box.log_since(mark)), ["big", "fresh"])
    status = box.status()
    report.check("apply/progress", status["rebuilt_rows"] == status["rebuild_rows"] > 100, "%s of %s rows" % (status["rebuilt_rows"], status["rebuild_rows"]))
    clients.stop()
    report.check("apply/always-answered", not watcher.stop() and watcher.reads > 20, "%d reads, not answered: %s" % (watcher.reads, watcher.bad[:5]))
    compare(report, box, c, views, names, "apply")
    return views, names


def refused(report, server, c, box, views, names):
    """What is wrong or is meant for another instance changes nothing; what breaks clients is a version of its own."""
    pipeline = box.pid("pipeline")
    write(box, server, WRONG, ["aaa", "per_account", "big"])
    code, out, err = apply(box)
    report.check("wrong/exit-status", code == 2 and "nothing" in err and "views.sql" in err, "exit %d: %s" % (code, err[-300:]))
    mark = box.log_mark()
    os.kill(box.process.pid, signal.SIGHUP)
    wait_for(lambda: "the running one goes on" in box.log_since(mark), 30, "refusal in the log", 0.05)
    report.check("wrong/said-where", "views.sql" in box.log_since(mark), box.log_since(mark)[-500:])
    write(box, server, views, names)
    other = os.path.join(box.dir, "other.yaml")
    with open(box.config) as f, open(other, "w") as g:
        g.write(f.read())
    code, out, err = box.command("apply", "-c", other, "--data", box.data)
    report.check("other-file/exit-status", code == 1 and "reads another file" in err, "exit %d: %s" % (code, err[-300:]))
    code, out, err = box.command("apply", "-c", box.config, "--data", os.path.join(box.dir, "empty"))
    report.check("nobody/exit-status", code == 1 and "no instance" in err, "exit %d: %s" % (code, err[-300:]))
    report.check("refused/same-pipeline", box.pid("pipeline") == pipeline, "the pipeline was started anew")
    http = box.client()
    before = http.request("/api/%s?limit=1" % names[0]).headers["penstock-version"]
    write(box, server, views, names[1:])  # an api less
    code, out, err = apply(box)
    report.check("breaking/a-new-version", code == 0 and "contract change: breaking" in out, "exit %d: %s" % (code, (out + err)[-300:]))
    report.equal("breaking/gone", http.request("/api/" + names[0]).status, 404)
    report.equal("breaking/kept", http.request("/api/v%s/%s?limit=1" % (before, names[0])).status, 200)
    compare(report, box, c, views, names[1:], "breaking")


def server_settings(report, server, c, box, views, names):
    """A setting of the server alone: it starts anew, and says the same."""
    serve = box.pid("serve")
    pg.script(c, "INSERT INTO core.entries SELECT 900000 + i, 'to', 1, 7 FROM generate_series(1, 300) i")
    wait_visible(box, c, 30, names[0])
    limits = "limits: { answer_bytes: 4KiB, target_bytes: 300, wait: 50ms, heartbeat: 100ms, write_timeout: 7s, pending_bytes: 1MiB, live_changes: 5 }\n"
    box.write_config(postgres_config(server, bank.TABLES, ["views.sql"], names, extra=limits), views)
    code, out, err = apply(box)
    report.check("server/done", code == 0, "exit %d: %s" % (code, err[-300:]))
    wait_for(lambda: box.pids().get("serve") not in (None, serve), 30, "a new server", 0.05)
    box.wait_answer("/ready", 30)
    http = box.client()
    report.equal("server/target_bytes", http.request("/api/big?" + "&".join("amount=gt.0" for _ in range(40))).status, 414)
    report.equal("server/wait", http.request("/api/big?limit=1", {"Penstock-Wait": "core=FFFF/0"}).status, 504)
    answer = http.request("/api/big")
    report.check("server/answer_bytes", answer.status >= 400, "status %d, %d bytes" % (answer.status, len(answer.body)))
    done = subprocess.run(["curl", "-ksN", "--max-time", "2", "-H", "Accept: text/event-stream", "https://127.0.0.1:%d/api/big?amount=gt.1000000" % box.port],
                          capture_output=True, text=True)
    report.check("server/heartbeat", done.stdout.count(": heartbeat") >= 5, done.stdout[-300:])


def filled_views(log):
    """Names of views that are built beside what is served end with @ and what they are to be."""
    return sorted(line.split("view=")[1].split()[0].split("@")[0] for line in log.splitlines() if 'msg="filling a view' in line)


def main():
    with Report("test_reload", 200) as report:
        server = pg.Postgres(settings="log_statement = 'all'\nlog_replication_commands = on\n").start()
        c = server.connect()
        bank.create(c)
        clients = bank.Clients(server, count=1).start()
        time.sleep(0.5)
        clients.stop()
        box = Penstock(postgres_config(server, bank.TABLES, ["views.sql"], ["per_account", "big"]), FIRST, shards=2, name="reload")
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        box.start()
        compare(report, box, c, FIRST, ["per_account", "big"], "first")
        before = copies(server)
        report.section("restart", by_restart, report, server, c, box)
        report.section("catalog", other_catalog, report, server, c, box, CHANGED, ["aaa", "per_account", "big"])
        done = report.section("apply", while_running, report, server, c, box)
        if done:
            report.section("refused", refused, report, server, c, box, *done)
            report.section("server", server_settings, report, server, c, box, done[0], done[1][1:])
        report.equal("no-new-snapshot", copies(server), before)
        report.check("clean-stop", box.stop() == 0, "exit status not 0")


if __name__ == "__main__":
    main()
