#!/usr/bin/python3
"""A source and pushed rows that outrun the pipeline: it is slowed (stopped most of the time), and they are. Its memory stays
flat, wide rows or not, nothing is lost, and nothing restarts."""

import json
import os
import re
import signal
import threading
import time

from lib import canon, pg
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

MIB = 1 << 20
CONFIG = """penstock: 1
sources:
  core: { postgres: { url: "%s", publication: penstock } }
  pushed: { ingest: { tables: { notes: { columns: { id: bigint, note: text }, key: [id] } } } }
sql:
  - |
    CREATE VIEW sums AS SELECT kind, count(*) AS n, sum(id) AS ids, sum(length(body)) AS bytes FROM core.items GROUP BY kind;
    CREATE VIEW notes AS SELECT count(*) AS n, sum(id) AS ids FROM pushed.notes;
apis: { sums: , notes: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
limits: { body_bytes: 4MiB }
"""


class Slowed:
    """The process runs for a few milliseconds of every hundred."""

    def __init__(self, pid):
        self.pid, self.over, self.peak = pid, threading.Event(), 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.over.is_set():
            os.kill(self.pid, signal.SIGSTOP)
            self.peak = max(self.peak, anonymous(self.pid))
            self.over.wait(0.09)
            os.kill(self.pid, signal.SIGCONT)
            time.sleep(0.01)

    def end(self):
        self.over.set()
        self.thread.join(10)
        return self.peak


def anonymous(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"RssAnon:\s+(\d+) kB", f.read()).group(1)) * 1024


def push(box, first, count, done):
    """Requests of 100 rows; each is sent again until it is taken."""
    http = box.client(60)
    for start in range(first, first + count, 100):
        body = json.dumps([{"id": i, "note": "n" * 500} for i in range(start, start + 100)]).encode()
        while True:
            try:
                if http.request("/ingest/pushed/notes", {"Content-Type": "application/json"}, "POST", body).status in (200, 201):
                    break
            except OSError:
                http.close()
            time.sleep(0.05)
    done.append(count)


def main():
    with Report("test_backpressure", 150) as report:
        server = pg.Postgres().start()
        c = server.connect()
        pg.script(c, "CREATE TABLE items (id bigint PRIMARY KEY, kind int, body text); CREATE PUBLICATION penstock FOR TABLE items;"
                     "CREATE VIEW sums AS SELECT kind, count(*) AS n, sum(id) AS ids, sum(length(body)) AS bytes FROM items GROUP BY kind;"
                     "INSERT INTO items SELECT g, g % 5, 'start' FROM generate_series(1, 1000) g; ALTER TABLE items ALTER body SET STORAGE EXTERNAL")
        box = Penstock(CONFIG % server.url(), shards=2, name="pressure").start()
        http, pid = box.client(), box.pid("pipeline")
        idle = anonymous(pid)
        slowed = Slowed(pid)
        done = []
        pusher = threading.Thread(target=push, args=(box, 1, 10000, done), daemon=True)
        pusher.start()
        next_id = 1001
        for count, width in ((40000, 40), (1200, 200000)):  # 250 MB: many rows, then wide ones
            for _ in range(5 if width < 1000 else 1):
                pg.script(c, "INSERT INTO items SELECT g, g %% 5, repeat('x', %d) FROM generate_series(%d, %d) g" % (width, next_id, next_id + count - 1))
                next_id += count
        pusher.join(60)
        for _ in range(40):  # more of it is under way than the pipeline can have taken
            time.sleep(0.1)
        peak = slowed.end()
        report.equal("pushed", done, [10000])
        wait_for(lambda: canon.difference(http.list("sums").rows(), canon.view_rows(c, "sums")) is None, 60, "the views", 0.2)
        report.ok("nothing-lost")
        wait_for(lambda: json.loads(http.get("/api/notes").body) == [{"n": 10000, "ids": 50005000}], 30, "pushed rows")
        report.ok("pushed-rows")
        most = 100 * MIB
        report.check("memory", peak - idle < most, "idle %d, peak %d MiB" % (idle >> 20, peak >> 20))
        report.note("idle %.1f MiB, peak %.1f MiB" % (idle / MIB, peak / MIB))
        report.equal("same-process", box.pid("pipeline"), pid)
        box.verify(report, "end")
        report.check("stop", box.stop() == 0, "")
        server.stop()


if __name__ == "__main__":
    main()
