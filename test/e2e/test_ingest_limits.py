#!/usr/bin/python3
"""Bounds of pushed rows: how long a body may take, how many requests are worked on at a time, how much of the log may wait, how many
tables there are."""

import json
import select
import socket
import time

from lib import client
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

THREADS = 64      # INGEST_THREADS
STEP = 64 << 10   # SERVE_BODY_STEP_BYTES
TABLES = 256      # INGEST_TABLES_MAX
CONFIG = """penstock: 1
sources:
  events:
    ingest:
      log_bytes: 1MiB
      tables:
        %s
sql:
  - |
    CREATE VIEW clicks AS SELECT id, page FROM events.clicks;
    CREATE VIEW pages AS SELECT count(*) AS n FROM events.clicks;
apis: { clicks: , pages: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
limits: { body_timeout: %s }
store: { checkpoint: %s, checkpoint_bytes: 1GiB }
"""
CLICKS = "clicks: { columns: { id: bigint, page: text }, key: [id] }"


def config(body_timeout="1s", checkpoint="100ms", tables=CLICKS):
    return CONFIG % (tables, body_timeout, checkpoint)


class Slow:
    """A request whose body comes as the test says."""

    def __init__(self, box, length=None):
        self.s = client.tls_context().wrap_socket(socket.create_connection(("127.0.0.1", box.port), 20))
        self.started = time.monotonic()
        how = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
        self.s.sendall(b"POST /ingest/events/clicks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + how + b"\r\n\r\n")

    def send(self, data):
        """False: the server has closed."""
        try:
            self.s.sendall(data)
            return True
        except OSError:
            return False

    def answer(self, wait_s=20):
        """What came until the server closed or fell silent."""
        self.s.settimeout(wait_s)
        got = b""
        try:
            while b"\r\n\r\n" not in got or b"}" not in got:
                more = self.s.recv(65536)
                if not more:
                    break
                got += more
        except OSError:
            pass
        return got

    def trickle(self, piece, seconds):
        """Pieces until the server answers; the answer."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.send(piece):
            if self.s.pending() or select.select([self.s], [], [], 0.1)[0]:
                break
        return self.answer(5)


def count(box):
    return json.loads(box.client().get("/api/pages").body)[0]["n"]


def pushed(box, rows, timeout_s=30):
    return box.client(timeout_s).request("/ingest/events/clicks", {"Content-Type": "application/json"}, "POST", json.dumps(rows))


def deadline(report, box):
    """limits.body_timeout for each 64 KiB, whatever trickles in meanwhile."""
    before = count(box)
    for name, request, start, piece in (("length", Slow(box, 1000), b'[{"id":1},', b" "), ("chunked", Slow(box), b'a\r\n[{"id":1},\r\n', b"1\r\n \r\n"),
                                        ("silent", Slow(box, 1000), b"", b"")):
        request.send(start)
        got = request.trickle(piece, 15)
        took = time.monotonic() - request.started
        report.check("deadline/%s" % name, b" 408 " in got.split(b"\r\n")[0] and b"limits.body_timeout" in got, got[:300])
        report.check("deadline/%s/not-sooner" % name, took >= 0.9, "%.2f s" % took)
    report.equal("deadline/nothing-stored", count(box), before)
    rows = json.dumps([{"id": i, "page": "x" * 1000} for i in range(300)]).encode()
    s = Slow(box, len(rows))
    for at in range(0, len(rows), STEP):
        s.send(rows[at:at + STEP])
        time.sleep(0.55)
    got = s.answer()
    report.check("deadline/a-steady-body-may-take-longer", b" 201 " in got.split(b"\r\n")[0] and time.monotonic() - s.started > 2, got[:300])
    s = Slow(box, 24)
    s.send(b'[{"id":7,"page":"slow"')
    time.sleep(0.4)
    s.send(b"}]")
    report.check("deadline/in-time", b" 201 " in s.answer().split(b"\r\n")[0], "")


def threads(report, box):
    """As many requests as there are threads hold them; a further one waits, and gets its turn at the deadline at the latest."""
    held = []
    for _ in range(THREADS):
        s = Slow(box, 1000)
        s.send(b'[{"id":1')
        held.append(s)
    time.sleep(0.2)
    started = time.monotonic()
    report.equal("threads/reads-go-on", box.client().request("/api/clicks?limit=1").status, 200)
    report.check("threads/reads-do-not-wait", time.monotonic() - started < 2, "")
    a = pushed(box, [{"id": 5000, "page": "patient"}])
    report.equal("threads/the-next-waits", a.status, 201)
    for s in held:
        got = s.answer(10)
        if b" 408 " not in got.split(b"\r\n")[0]:
            report.fail("threads/held", got[:200])
            break
    else:
        report.ok("threads/held")
    a = pushed(box, [{"id": 5001, "page": "after"}])
    report.equal("threads/after", a.status, 201)


def log_bytes(report):
    """With nothing made durable the log fills up to log_bytes: 503, nothing of the request stored; and it takes rows again afterwards."""
    box = Penstock(config("10s", "1h"), name="log").start()
    taken, refused = 0, None
    for n in range(60):
        a = pushed(box, [{"id": 100 * n + i, "page": "x" * 1000} for i in range(50)])
        if a.status != 201:
            refused = a
            break
        taken += 50
    report.check("log/refused", refused is not None and refused.status == 503 and refused.headers.get("Retry-After"), refused and refused.body)
    report.check("log/says", refused is not None and b"log_bytes" in refused.body, refused and refused.body)
    report.check("log/not-before", taken * 1000 >= 900 << 10 and taken * 1000 <= 1300 << 10, "%d rows of 1 kB" % taken)
    wait_for(lambda: count(box) == taken, 20, "what was taken is there, and no more")
    report.ok("log/rows")
    report.equal("log/stop", box.stop(), 0)
    box.start()
    wait_for(lambda: pushed(box, [{"id": 999999}]).status == 201, 20, "rows taken again")
    wait_for(lambda: count(box) == taken + 1, 20, "the rows")
    report.ok("log/again")
    box.stop()


def tables(report):
    def many(n):
        return "\n        ".join([CLICKS] + ["t%d: { columns: { a: int } }" % i for i in range(n - 1)])
    box = Penstock(config(tables=many(TABLES)), name="tables")
    code, out, err = box.command("check", "-c", box.config)
    report.equal("tables/at-the-limit", code, 0)
    box.write_config(config(tables=many(TABLES + 1)))
    code, out, err = box.command("check", "-c", box.config)
    report.check("tables/past-it", code == 2 and "more than 256 tables" in out + err, "exit %d: %s%s" % (code, out, err))


def run(report):
    box = Penstock(config(), name="limits").start()
    report.section("deadline", deadline, report, box)
    report.section("threads", threads, report, box)
    report.equal("stop", box.stop(), 0)
    report.section("log", log_bytes, report)
    report.section("tables", tables, report)


with Report("test_ingest_limits", 150) as report:
    report.section("run", run, report)
