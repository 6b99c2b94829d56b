#!/usr/bin/python3
"""The log's events: an instance is led through its states, and each change is one line with the documented event, as text and as
JSON. With --log json every line is JSON. The vocabulary is that of the program: each event is used, and documented."""

import collections
import glob
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from lib import pg, procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources:
  core:
    postgres: { url: "%s", publication: penstock, slot: penstock, tables: [ { table: public.t }, { table: public.u } ] }
sql: [ views.sql ]
apis: { %s }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
store: { reserve: 8MiB }
limits: { connections: 16, stuck: 3s }
"""
VIEWS = """CREATE VIEW ratios AS SELECT id, a / b AS r FROM core.t;
CREATE VIEW plain AS SELECT id, v FROM core.u;
"""
MORE = VIEWS + "CREATE VIEW added AS SELECT count(*) AS n FROM core.t;\n"
# How the store is recovered and read again is not a state that this test leads to.
BESIDE = {"store.back", "store.at_checkpoint", "store.map_grown", "serve.serving"}
SUBJECTS = ("view", "source", "table", "name", "limit", "reason")


def text_line(line):
    """A line of the text log as a mapping."""
    time_, level, rest = line.split(" ", 2)
    pairs = re.findall(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)', rest)
    return dict([("time", time_), ("level", level)] + [(k, v[1:-1] if v.startswith('"') else v) for k, v in pairs])


class Box(Penstock):
    """One whose log is read by machine."""
    as_json = False

    def start(self, ready_s=60):
        argv = [procs.binary(), "run", "-c", self.config, "--data", self.data, "--shards", "2"]
        if self.as_json:
            argv.append("--log=json")
        self.process = procs.start(argv, self.log, cwd=self.dir)
        self.wait_ready(ready_s)
        return self

    def lines(self, mark=0):
        for line in self.log_since(mark).splitlines():
            if not line.startswith("penstock: console"):  # the greeting, on standard output
                yield json.loads(line) if self.as_json else text_line(line)

    def events(self, mark=0):
        return [e for e in self.lines(mark) if "event" in e]


def counted(events):
    """{(event, subject): how many}"""
    out = collections.Counter()
    for e in events:
        if e["event"] not in BESIDE:
            out[(e["event"], next((e[s] for s in SUBJECTS if s in e), ""))] += 1
    return out


class Walk:
    def __init__(self, report, box, name):
        self.report, self.box, self.name, self.mark = report, box, name, 0

    def step(self, name, until, *wanted, maybe=()):
        """`wanted`, each once, and nothing else but what may be; `until` is the one that comes last, or when it is true."""
        def there():
            return until() if callable(until) else until in [k[0] for k in counted(self.box.events(self.mark))]
        try:
            wait_for(there, 40, name)
        except TimeoutError:
            pass
        time.sleep(0.3)
        got, want = counted(self.box.events(self.mark)), collections.Counter(wanted)
        for event in maybe:
            got.pop(event, None)
        self.report.check("%s/%s" % (self.name, name), got == want, "missing %s, not wanted %s" % (dict(want - got), dict(got - want)))
        self.mark = self.box.log_mark()


def parts(started=()):
    """A pipeline that starts."""
    return [("process.started", "pipeline"), ("pipeline.recovering", ""), ("pipeline.rebuilding", ""), ("pipeline.running", "")]


def walk(report, as_json):
    server = pg.Postgres().start()
    db = server.connect()
    pg.script(db, "CREATE TABLE t (id int PRIMARY KEY, a int, b int); CREATE TABLE u (id int PRIMARY KEY, v int);"
                  "INSERT INTO t VALUES (1, 1, 1); CREATE PUBLICATION penstock FOR ALL TABLES")
    box = Box(CONFIG % (server.url(), "ratios: , plain: "), VIEWS, name="events")
    box.as_json = as_json
    w = Walk(report, box, "json" if as_json else "text")
    os.makedirs(box.data, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m,mode=0700", "tmpfs", box.data], check=True)
    try:
        lead(report, box, w, server, db)
    finally:
        box.kill_all()
        subprocess.run(["umount", "-l", box.data], check=True)
        server.stop()
    for e in box.lines():
        if as_json and not {"time", "level", "process", "component", "msg"} <= set(e):
            report.fail("json/fields", e)
    report.ok(w.name + "/every-line")
    return {e["event"] for e in box.events()}


def lead(report, box, w, server, db):
    box.start()
    w.step("start", "source.streaming", ("instance.started", ""), ("process.started", "serve"), ("serve.listening", ""),
           ("view.building", "ratios"), ("view.building", "plain"), ("view.ready", "ratios"), ("view.ready", "plain"),
           ("source.connecting", "core"), ("source.snapshot", "core"), ("source.streaming", "core"), *parts())
    pg.script(db, "INSERT INTO t VALUES (2, 5, 0)")
    w.step("incomplete", "view.incomplete", ("view.incomplete", "ratios"))
    pg.script(db, "DELETE FROM t WHERE id = 2")
    w.step("healed", "view.healed", ("view.healed", "ratios"))
    server.stop()
    wait_for(lambda: "source.away" in [e["event"] for e in box.events(w.mark)], 30, "away")
    time.sleep(3)  # several tries
    w.step("away", "source.away", ("source.away", "core"))
    server.start()
    w.step("back", "source.streaming", ("source.streaming", "core"))
    db = server.connect()

    filler = os.path.join(box.data, "filler")
    with open(filler, "wb") as f:
        free = os.statvfs(box.data)
        f.write(b"x" * (free.f_bavail * free.f_frsize - (2 << 20)))
    w.step("paused", "pipeline.paused", ("pipeline.paused", "disk full"))
    os.remove(filler)
    w.step("resumed", "pipeline.resumed", ("pipeline.resumed", "disk full"))

    held = [socket.create_connection(("127.0.0.1", box.port), 5) for _ in range(60)]
    wait_for(lambda: "serve.over_limit" in [e["event"] for e in box.events(w.mark)], 20, "refusals")
    time.sleep(1)
    for s in held:
        s.close()
    over = [e for e in box.events(w.mark) if e["event"] == "serve.over_limit"]
    report.check(w.name + "/over-limit", 1 <= len(over) <= 10 and over[0]["limit"] == "connections", over)
    w.mark = box.log_mark()

    right = open(box.config).read()
    with open(box.config, "w") as f:
        f.write(right + "nonsense: 1\n")
    box.process.send_signal(signal.SIGHUP)
    w.step("refused", "config.refused", ("config.checking", ""), ("config.refused", ""))
    with open(box.config, "w") as f:
        f.write(right.replace("ratios: ,", "ratios: , added: ,"))
    with open(os.path.join(box.dir, "views.sql"), "w") as f:
        f.write(MORE)
    box.process.send_signal(signal.SIGHUP)
    def through():
        return [e["event"] for e in box.events(w.mark)].count("source.streaming") == 2
    # Once with both configurations, until the new one is complete, and once with that alone. The former connection may still hold the
    # slot for a moment.
    again = [("pipeline.stopping", ""), ("source.stopped", "core"), ("process.stopped", "pipeline"), ("source.connecting", "core"),
             ("source.streaming", "core"), *parts()]
    w.step("applied", through, ("config.checking", ""), ("config.applied", ""), ("version.building", ""), ("view.building", "added@next"),
           ("view.ready", "added@next"), ("version.complete", ""), ("version.retired", ""), *again, *again, maybe=[("source.away", "core")])

    pg.script(db, "ALTER TABLE u DROP COLUMN v, ADD COLUMN v text; INSERT INTO u VALUES (9)")
    w.step("table", "view.stopped", ("table.stopped", "core"), ("view.stopped", "plain"))
    procs.kill(box.pid("serve"))
    w.step("crash", "serve.listening", ("process.ended", "serve"), ("process.started", "serve"), ("serve.listening", ""))

    box.stop()
    w.step("stop", lambda: True, ("instance.stopping", "told to"), ("serve.stopping", ""), ("process.stopped", "serve"),
           ("pipeline.stopping", ""), ("source.stopped", "core"), ("process.stopped", "pipeline"))


# What takes a disk that errs, a crash at a certain instruction, or a debugger; other tests lead there.
ELSEWHERE = {"checkpoint.failing", "store.no_common_epoch", "store.marker_lost", "store.no_room", "reader.killed",
             "shard.stuck", "shard.busy", "loop.stuck", "tls.expires", "tls.expired", "tls.not_yet", "tls.renewed", "process.stuck", "process.late", "pipeline.failed", "source.failed",
             "version.switched", "version.retired", "version.lost", "access.denied", "access.broken", "access.keys", "access.kept", "console.asked"} | BESIDE


def vocabulary(report, seen):
    source = "".join(open(p).read() for p in glob.glob(os.path.join(procs.ROOT, "src", "**", "*.c"), recursive=True))
    table = re.findall(r'X\((\w+), "([\w.]+)",', open(os.path.join(procs.ROOT, "src", "base", "events.h")).read())
    unused = [name for id_, name in table if not re.search(r"\bEVENT_%s\b" % id_, source)]
    report.equal("vocabulary/used", unused, [])
    with open(os.path.join(procs.ROOT, "docs", "operations.md")) as f:
        section = f.read().split("<!-- begin: penstock docs events -->")[1].split("<!-- end -->")[0]
    documented = re.findall(r"(?m)^\| `([a-z_.]+)` \|", section)
    report.equal("vocabulary/documented", sorted(documented), sorted(name for _, name in table))
    report.equal("vocabulary/led-to", sorted(set(documented) - seen - ELSEWHERE), [])
    report.check("vocabulary/known", seen <= set(documented), sorted(seen - set(documented)))


with Report("test_events.py", 240) as report:
    seen = walk(report, False) | walk(report, True)
    vocabulary(report, seen)
