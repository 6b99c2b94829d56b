#!/usr/bin/python3
"""A full disk: ingest stands still with a state that says so, reads go on, nothing is lost, doubled or damaged, and it goes
on by itself when there is room: between epochs (the reserve), inside one (a transaction larger than the disk), through
kills and restarts. And an epoch that is larger than the map."""

import json
import re
import time

from lib import canon, pg
from lib.client import Refused, wait_for
from lib.penstock import Penstock
from lib.report import Report
from lib.small_disk import SmallDisk

MIB = 1 << 20
CONFIG = """penstock: 1
sources:
  core: { postgres: { url: "%s", publication: penstock, slot: %s } }
  pushed: { ingest: { tables: { notes: { columns: { id: bigint, note: text }, key: [id] } } } }
sql:
  - |
    CREATE VIEW items AS SELECT * FROM core.items;
    CREATE VIEW kinds AS SELECT kind, count(*) AS n, sum(amount) AS total, max(id) AS newest FROM core.items GROUP BY kind;
    CREATE VIEW notes AS SELECT * FROM pushed.notes;
apis: { items: , kinds: , notes: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
store: { checkpoint: 100ms, reserve: %s, map: %s }
"""
FILL = "INSERT INTO items SELECT g, g %% 7, g %% 100, repeat(md5(g::text), 30) FROM generate_series(%d, %d) g"
KINDS = "SELECT kind, count(*) AS n, sum(amount) AS total, max(id) AS newest FROM items GROUP BY kind"


class Bed:
    def __init__(self, report, server, name, mib, reserve="8MiB", map="64GiB"):
        self.report, self.name, self.disk = report, name, SmallDisk(mib)
        self.c = server.connect()
        pg.script(self.c, "DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items (id bigint PRIMARY KEY, kind int, amount int, body text);"
                          "CREATE VIEW kinds AS " + KINDS + ";"
                          "DROP PUBLICATION IF EXISTS penstock; CREATE PUBLICATION penstock FOR TABLE items")
        self.next = 1
        self.insert(500)
        self.box = Penstock(CONFIG % (server.url(), name, reserve, map), shards=2, name=name)
        self.box.data = self.disk.path + "/data"
        self.box.start()
        self.http = self.box.client()

    def insert(self, count):
        pg.script(self.c, FILL % (self.next, self.next + count - 1))
        self.next += count

    def paused(self):
        return self.box.status().get("paused")

    def wait_paused(self, reason):
        def is_paused():
            p = self.paused()
            return p if p and p["reason"] == reason else None
        return wait_for(is_paused, 30, "pause for " + reason, 0.1)

    def equal(self, when, timeout_s=60):
        """The views are what PostgreSQL says, within bounded time."""
        def difference():
            try:
                return (canon.difference(self.http.list("kinds").rows(), canon.view_rows(self.c, "kinds")) or
                        canon.difference(self.http.list("items", query="select=id,kind,amount,body&limit=100000").rows(), canon.view_rows(self.c, "items")))
            except Refused as e:
                return str(e)
        try:
            wait_for(lambda: difference() is None, timeout_s, "views", 0.1)
            self.report.ok("%s/%s/equal" % (self.name, when))
        except TimeoutError:
            self.report.fail("%s/%s/equal" % (self.name, when), "%s; status %s; log: %s" % (str(difference())[:600], self.paused(), self.box.log_tail()))

    def check_paused(self, when, pause):
        """What all who look are told, and what still works."""
        r, name = self.report, "%s/%s" % (self.name, when)
        text = pause["text"]
        r.check(name + "/text", re.match(r"paused: disk full: .* free, .* needed, for \d+ s; make room on the disk", text), text)
        r.check(name + "/bytes", 0 <= pause["have_bytes"] < pause["need_bytes"], pause)
        r.check(name + "/state", self.box.status()["state"] == "paused", self.box.status()["state"])
        code, out, err = self.box.command("status", "-c", self.box.config, "--data", self.box.data)
        r.check(name + "/status", "paused: disk full" in out, out + err)
        ready = self.http.request("/ready")
        r.check(name + "/ready", ready.status == 503 and any("disk full" in why for why in ready.json()["reasons"]), ready.body)
        metrics = self.http.get("/metrics").body.decode()
        r.check(name + "/metrics", 'penstock_paused{reason="disk"} 1\n' in metrics and 'penstock_paused{reason="memory"} 0\n' in metrics, "")
        refused = self.http.request("/ingest/pushed/notes", {"Content-Type": "application/json"}, "POST", b'{"id": 1, "note": "x"}')
        r.check(name + "/push", refused.status == 503 and refused.json()["code"] == "PENSTOCK_INGEST_PAUSED" and "Retry-After" in refused.headers, refused.body)
        r.check(name + "/reads", len(self.http.list("kinds").rows()) == 7, "")

    def starts(self):
        found = re.search(r'penstock_process_starts_total\{process="pipeline"\} (\d+)', self.http.get("/metrics").body.decode())
        return int(found.group(1))

    def notes(self, expected, when):
        rows = sorted(r["id"] for r in json.loads(self.http.get("/api/notes").body))
        self.report.equal("%s/%s/pushed" % (self.name, when), rows, expected)

    def push(self, id):
        def taken():
            a = self.http.request("/ingest/pushed/notes", {"Content-Type": "application/json"}, "POST", json.dumps({"id": id, "note": "n"}).encode())
            return a.status in (200, 201)
        wait_for(taken, 30, "a pushed row")

    def close(self):
        self.box.verify(self.report, self.name)
        self.report.check(self.name + "/stop", self.box.stop() == 0, "")
        self.box.verify(self.report, self.name + "/stopped")
        self.c.close()


def between_epochs(report, server):
    """Somebody else fills the disk. Nothing restarts, no connection is lost, though wal_sender_timeout passes."""
    b = Bed(report, server, "reserve", 320)
    b.equal("start")
    b.push(100)
    pid = b.box.pid("pipeline")
    mark = b.box.log_mark()
    b.disk.fill(2 * MIB)
    for _ in range(12):  # the free pages inside the files are used first
        b.insert(1500)
    b.check_paused("full", b.wait_paused("disk"))
    held = len(b.http.list("kinds").rows())
    free = b.disk.free()
    b.insert(20000)  # far more than rings and sockets take
    time.sleep(7)    # twice wal_sender_timeout
    report.check("reserve/still-paused", b.paused() and held == 7, b.paused())
    report.check("reserve/disk-untouched", b.disk.free() >= free - MIB and b.disk.free() < 8 * MIB, b.disk.free())
    b.disk.clear()
    wait_for(lambda: not b.paused(), 10, "going on", 0.05)
    b.equal("room")
    b.push(101)
    b.equal("pushed")
    wait_for(lambda: len(json.loads(b.http.get("/api/notes").body)) == 2, 10, "both notes")
    b.notes([100, 101], "room")
    log = b.box.log_since(mark)
    report.equal("reserve/same-process", b.box.pid("pipeline"), pid)
    report.check("reserve/log-once", log.count("ingest pauses") == 1 and log.count("ingest goes on") == 1, log[-1500:])
    report.check("reserve/connection-kept", "retrying" not in log, log[-1500:])
    b.close()


def inside_an_epoch(report, server):
    """One transaction needs more than there is. The process ends once and waits; kills and restarts change nothing."""
    b = Bed(report, server, "inside", 400, reserve="4MiB")
    b.disk.fill(24 * MIB)
    b.equal("start")
    b.push(7)
    before = b.starts()
    b.insert(40000)  # about 40 MB of rows
    b.check_paused("full", b.wait_paused("disk"))
    time.sleep(3)
    report.equal("inside/one-restart", b.starts(), before + 1)
    b.box.kill("pipeline")
    wait_for(lambda: b.starts() == before + 2, 10, "the next start")
    b.check_paused("killed", b.wait_paused("disk"))
    report.check("inside/stop", b.box.stop() == 0, "")
    b.box.start(ready_s=0)
    b.box.wait_answer("/health", 20)
    b.http = b.box.client()
    b.check_paused("restarted", b.wait_paused("disk"))
    b.disk.clear()
    wait_for(lambda: not b.paused(), 15, "going on", 0.05)
    b.equal("room")
    b.notes([7], "room")
    b.insert(100)
    b.equal("on")
    b.close()


def boot_when_full(report, server):
    """The machine starts again while the disk has not a byte left: what is stored is served all the same."""
    b = Bed(report, server, "boot", 320, reserve="48MiB")
    b.equal("start")
    b.push(1)
    report.check("boot/stop", b.box.stop() == 0, "")
    b.disk.fill(0)
    report.equal("boot/full", b.disk.free(), 0)
    with open(b.box.data + "/gate", "r+b") as gate:  # shared memory of another boot
        head = gate.read(4096)
        with open("/proc/sys/kernel/random/boot_id", "rb") as f:
            at = head.index(f.read().strip())
        gate.seek(at)
        gate.write(b"00000000")
    b.box.start(ready_s=0)
    b.box.wait_answer("/health", 20)
    b.http = b.box.client()
    b.check_paused("started", b.wait_paused("disk"))
    b.disk.clear()
    wait_for(lambda: not b.paused(), 15, "going on", 0.05)
    b.insert(100)
    b.equal("room")
    b.notes([1], "room")
    b.close()


def larger_than_map(report, server):
    """The map is doubled between epochs; one that needs more at once leads to a start with a larger one."""
    b = Bed(report, server, "map", 512, map="8MiB")
    b.insert(20000)
    b.equal("grown")
    log = b.box.log_text()
    report.check("map/said", 'reason="map full"' in log and "ingest goes on" in log, log[-1500:])
    report.check("map/over", b.paused() is None, b.paused())
    b.close()


def main():
    with Report("test_room", 300) as report:
        SmallDisk(1)  # the namespace, before anything is started
        server = pg.Postgres(settings="wal_sender_timeout = 3000\nautovacuum = off\n").start()
        for part in (between_epochs, inside_an_epoch, boot_when_full, larger_than_map):
            started = time.monotonic()
            part(report, server)
            report.note("%s: %.1f s" % (part.__name__, time.monotonic() - started))
        server.stop()


if __name__ == "__main__":
    main()
