#!/usr/bin/python3
"""The memory limit: input is slowed, then stands still with a state that names the largest views; reads go on; the kernel kills
nobody. It goes on when the limit is raised. State that does not fit while it is rebuilt leads to one restart and a wait."""

import os
import re
import time

from lib import canon, pg
from lib.client import Refused, wait_for
from lib.penstock import Penstock
from lib.report import Report

MIB = 1 << 20
CONFIG = """penstock: 1
sources:
  core: { postgres: { url: "%s", publication: penstock } }
  pushed: { ingest: { tables: { notes: { columns: { id: bigint, note: text }, key: [id] } } } }
sql:
  - |
    CREATE VIEW few AS SELECT kind, count(*) AS n FROM core.items GROUP BY kind;
    CREATE VIEW notes AS SELECT * FROM pushed.notes;
    %s
apis: { few: , notes: %s }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
limits: { memory: %s, page_rows: 200000 }
"""
BULKY = "CREATE VIEW bulky AS SELECT body, count(*) AS n, max(id) AS newest, count(DISTINCT body || 'a') AS a, count(DISTINCT body || 'b') AS b FROM core.items GROUP BY body;"
FILL = "INSERT INTO items SELECT g, g %% 7, repeat(md5(g::text), 8) FROM generate_series(%d, %d) g"


class Bed:
    def __init__(self, report, server):
        self.report, self.server = report, server
        self.c = server.connect()
        pg.script(self.c, "CREATE TABLE items (id bigint PRIMARY KEY, kind int, body text); CREATE PUBLICATION penstock FOR TABLE items;"
                          "CREATE VIEW few AS SELECT kind, count(*) AS n FROM items GROUP BY kind;"
                          "CREATE VIEW bulky AS SELECT body, count(*) AS n, max(id) AS newest, count(DISTINCT body || 'a') AS a, count(DISTINCT body || 'b') AS b FROM items GROUP BY body")
        self.next = 1
        self.insert(100)
        self.box = Penstock(self.config("auto"), shards=2, name="memory")
        self.http = None

    def config(self, limit, bulky=True):
        return CONFIG % (self.server.url(), BULKY if bulky else "", ", bulky: " if bulky else "", limit)

    def start(self):
        self.box.start()
        self.http = self.box.client()

    def apply(self, limit, bulky=True, fits=True):
        self.box.write_config(self.config(limit, bulky))
        code, out, err = self.box.command("apply", "--breaking", "-c", self.box.config, "--data", self.box.data)
        self.report.check("apply/%s" % limit, code == 0 if fits else code == 1 and "ingest is paused: memory limit" in err, "exit %d: %s%s" % (code, out, err))
        return err

    def retired(self, version):
        code, out, err = self.box.command("version", "retire", version, "-c", self.box.config, "--data", self.box.data)
        return code == 0

    def insert(self, count):
        pg.script(self.c, FILL % (self.next, self.next + count - 1))
        self.next += count

    def paused(self):
        return self.box.status().get("paused")

    def wait_paused(self):
        return wait_for(lambda: (self.paused() or {}).get("reason") == "memory" and self.paused(), 30, "pause", 0.05)

    def equal(self, when, names=("few", "bulky"), timeout_s=60):
        def difference():
            try:
                return [d for d in (canon.difference(self.http.list(n, query="select=*&limit=200000").rows(), canon.view_rows(self.c, n)) for n in names) if d]
            except Refused as e:
                return str(e)
        try:
            wait_for(lambda: not difference(), timeout_s, "views", 0.1)
            self.report.ok("equal/" + when)
        except TimeoutError:
            self.report.fail("equal/" + when, "%s; status %s; log: %s" % (str(difference())[:600], self.paused(), self.box.log_tail()))

    def anonymous(self):
        """Of the pipeline, by the kernel's word."""
        with open("/proc/%d/status" % self.box.pid("pipeline")) as f:
            return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) * 1024

    def starts(self):
        text = self.http.get("/metrics").body.decode()
        return int(re.search(r'penstock_process_starts_total\{process="pipeline"\} (\d+)', text).group(1))


def check_told(b, when, limit):
    r, pause = b.report, b.wait_paused()
    r.check(when + "/text", re.match(r"paused: memory limit: .* used, .* allowed, for \d+ s; raise limits.memory .*largest views: bulky [\d.]+ MiB \(#\d+ aggregate\)", pause["text"]), pause["text"])
    r.check(when + "/bytes", pause["need_bytes"] == limit and pause["have_bytes"] > limit * 7 // 8, pause)
    ready = b.http.request("/ready")
    r.check(when + "/ready", ready.status == 503 and any("memory limit" in why for why in ready.json()["reasons"]), ready.body)
    pushed = b.http.request("/ingest/pushed/notes", {"Content-Type": "application/json"}, "POST", b'{"id": 1, "note": "x"}')
    r.check(when + "/push", pushed.status == 503 and pushed.json()["code"] == "PENSTOCK_INGEST_PAUSED", pushed.body)
    r.check(when + "/reads", len(b.http.list("few").rows()) == 7, "")
    metrics = b.http.get("/metrics").body.decode()
    r.check(when + "/metrics", 'penstock_paused{reason="memory"} 1\n' in metrics and "penstock_memory_limit_bytes %d\n" % limit in metrics, "")


def main():
    with Report("test_memory", 200) as report:
        server = pg.Postgres(settings="wal_sender_timeout = 3000\n").start()
        b = Bed(report, server)
        b.start()
        b.equal("start")
        idle = b.anonymous()
        report.note("idle: %.1f MiB" % (idle / MIB))
        told = b.box.status()
        report.check("auto", 0 < told["memory_bytes"] < told["memory_limit"] < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), told)
        limit = 64 * MIB
        b.apply("64MiB")
        b.equal("limited")
        pid, peak = b.box.pid("pipeline"), 0
        for _ in range(60):
            b.insert(2000)
            peak = max(peak, b.anonymous())
            if b.paused():
                break
            time.sleep(0.1)
        check_told(b, "growing", limit)
        report.equal("growing/same-process", b.box.pid("pipeline"), pid)
        b.insert(2000)
        time.sleep(4)  # past wal_sender_timeout
        peak = max(peak, b.anonymous())
        # What waits in queues comes on top of the limit.
        report.check("growing/bounded", peak < limit * 3 // 2, "%d MiB" % (peak >> 20))
        views = {v["name"]: v["state_bytes"] for v in b.box.status()["views"]}
        report.check("view-bytes", views["bulky"] > limit // 4 and views["few"] < MIB, views)
        b.apply("1GiB")
        b.equal("raised")
        b.insert(15000)
        b.equal("grown")
        before = b.starts()
        b.apply("64MiB", fits=False)  # less than the state needs: found while it is rebuilt
        check_told(b, "rebuilding", limit)
        time.sleep(3)
        report.equal("rebuilding/one-restart", b.starts(), before + 2)
        # The version that has the view needs its room until it is retired, and so a higher limit until then.
        err = b.apply("64MiB", bulky=False, fits=False)
        report.check("rebuilding/way-out", "raise limits.memory" in err.split("hint:")[-1] and "version retire" in err, err)
        b.apply("1GiB", bulky=False)
        wait_for(lambda: not b.paused() and b.box.status()["state"] == "running", 30, "going on without the view")
        wait_for(lambda: b.retired("1"), 30, "the version with the view retired")
        b.apply("64MiB", bulky=False)
        b.equal("without", names=("few",))
        b.apply("auto")
        b.equal("auto")
        report.check("log", "ingest goes on" in b.box.log_text() and "signal=" not in b.box.log_text(), b.box.log_tail())
        b.box.verify(report, "end")
        report.check("stop", b.box.stop() == 0, "")
        server.stop()


if __name__ == "__main__":
    main()
