#!/usr/bin/python3
"""File descriptors: the soft limit is raised; with a hard one that is too small there are fewer connections, which is said, or no start;
and when they are out at last, connections are refused without a pause in service, without a busy loop, and not for longer than that."""

import os
import re
import resource
import socket
import time

from lib import client, procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources:
  demo: { generator: { workload: bank, rate: 20, seed: 7, accounts: 40 } }
  events: { ingest: { tables: { clicks: { columns: { id: bigint }, key: [id] } } } }
sql:
  - |
    CREATE VIEW total AS SELECT count(*) AS n FROM demo.entries;
    CREATE VIEW clicks AS SELECT id FROM events.clicks;
apis: { total: , clicks: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
%s
"""


class Limited(Penstock):
    """Started under a limit of open files: soft and hard."""

    def __init__(self, soft, hard, extra="", name="files"):
        Penstock.__init__(self, CONFIG % extra, shards=2, name=name)
        self.soft, self.hard = soft, hard

    def start(self, ready_s=60):
        argv = ["/bin/sh", "-c", "ulimit -S -n %d; ulimit -H -n %d; exec \"$@\"" % (self.soft, self.hard), "sh",
                procs.binary(), "run", "-c", self.config, "--data", self.data, "--shards", "2"]
        self.process = procs.start(argv, self.log, cwd=self.dir)
        if ready_s:
            self.wait_ready(ready_s)
        return self


def plain(box, count):
    """Connections that say nothing."""
    found = []
    for _ in range(count):
        found.append(socket.create_connection(("127.0.0.1", box.port), 10))
    return found


def closed(s, wait_s):
    """Whether the server closes it within that time."""
    s.settimeout(wait_s)
    try:
        return s.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def count_closed(sockets, least, wait_s=5):
    """Closed ones, once they are at least so many."""
    end, gone = time.monotonic() + wait_s, set()
    while time.monotonic() < end and len(gone) < least:
        gone |= {i for i, s in enumerate(sockets) if i not in gone and closed(s, 0.001)}
    return len(gone)


def close_all(sockets):
    for s in sockets:
        s.close()


def soft_limit(report):
    box = Limited(64, 4096, name="soft").start()
    for name in ("serve", "pipeline"):
        soft, hard = resource.prlimit(box.pid(name), resource.RLIMIT_NOFILE)
        report.equal("soft/%s" % name, (soft, hard), (4096, 4096))
    box.stop()


def few(report):
    """10,000 connections are configured, 300 files may be open."""
    box = Limited(256, 300, name="few").start()
    found = re.search(r"limits_connections=10000 connections=(\d+) open_files=300 .*limit of open files to (\d+)", box.log_text())
    report.check("few/said", found, box.log_tail())
    most = int(found.group(1)) if found else 81
    report.check("few/number", 16 <= most <= 150, most)
    report.check("few/pipeline-said", "process=pipeline-process" in box.log_text() and "few files may be open" in box.log_text(), box.log_tail())
    held = plain(box, most + 20)
    report.equal("few/closed", count_closed(held, 20), 20)
    report.check("few/told", wait_for(lambda: "limits.connections already" in box.log_text(), 5, "the refusal in the log"), "")
    close_all(held)
    # Every one of them with a request under way that takes a second descriptor.
    pushing = []
    for _ in range(most):
        s = client.tls_context().wrap_socket(socket.create_connection(("127.0.0.1", box.port), 10))
        s.sendall(b"POST /ingest/events/clicks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n[{")
        pushing.append(s)
    time.sleep(0.3)
    for i, s in enumerate(pushing):
        s.sendall(b'"id":%03d}]' % i if i >= 100 else b'"id":%02d}]' % i + b" ")
    answers = {s.recv(4096).split(b"\r\n")[0] for s in pushing}
    report.check("few/all-at-once", all(a.startswith((b"HTTP/1.1 201", b"HTTP/1.1 400")) for a in answers), answers)
    close_all(pushing)
    c = box.client()
    wait_for(lambda: c.request("/api/total").status == 200, 10, "an answer afterwards")
    c.close()
    report.equal("few/end", box.stop(), 0)


def too_few(report):
    box = Limited(140, 140, name="toofew").start(ready_s=0)
    said = wait_for(lambda: re.search(r"may have 140 files open.*?LimitNOFILE", box.log_text(), re.S), 20, "why it does not start")
    report.check("too-few/said", said, box.log_tail())
    box.kill_all()


def open_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


def highest(pid):
    return max(int(n) for n in os.listdir("/proc/%d/fd" % pid))


def out_of_them(report, box, name, limit):
    """While the process may open no more: what is refused, what it costs, and that it ends with the shortage."""
    pid = box.pid("serve")
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    c = box.client()
    c.request("/health")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit(pid), old[1]))
    mark, before = box.log_mark(), procs.cpu_seconds(pid)
    held = plain(box, 40)
    time.sleep(2)
    report.equal(name + "/others-are-served", c.request("/api/total").status, 200)
    used = procs.cpu_seconds(pid) - before
    report.note("%s: %.2f CPU seconds in 2 s" % (name, used))
    report.check(name + "/no-busy-loop", used < 0.2, "%.2f CPU seconds in 2 s" % used)
    report.check(name + "/told-once", box.log_since(mark).count("connections are refused") <= 1, box.log_since(mark))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    close_all(held)
    wait_for(lambda: box.client(5).request("/health").status == 200, 10, "new connections once there are descriptors")
    report.ok(name + "/over-with-the-shortage")
    c.close()


def in_the_run(report):
    box = Limited(1024, 4096, "limits: { connections: 100 }", name="out").start()
    report.check("out/no-warning", "open_files" not in box.log_text().split("process=serve-process")[-1], box.log_tail())
    box.client().request("/api/total")
    pid = box.pid("serve")
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest(pid) + 6, old[1]))
    held = plain(box, 40)
    report.check("out/closed-not-hanging", count_closed(held, 30) >= 30, "connections without a descriptor hang")
    close_all(held)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    time.sleep(0.5)
    out_of_them(report, box, "out", lambda p: highest(p) + 4)
    out_of_them(report, box, "none-at-all", lambda p: 3)  # not even the reserved one comes back
    report.equal("out/serve-lives", box.pid("serve"), pid)
    report.equal("out/end", box.stop(), 0)


def taken(box):
    """A connection with its handshake done, or None."""
    s = socket.create_connection(("127.0.0.1", box.port), 10)
    try:
        return client.tls_context().wrap_socket(s)
    except OSError:
        s.close()
        return None


def together(report):
    """limits.connections holds for all loops together, however the kernel spreads the connections over them."""
    box = Limited(1024, 4096, "limits: { connections: 20 }\ncores: { serve: 2 }", name="together").start()
    most = []
    for _ in range(10):
        held = [s for s in (taken(box) for _ in range(60)) if s]
        most.append(len(held))
        close_all(held)
        wait_for(lambda: box.client(5).request("/health").status == 200, 10, "room again")
        time.sleep(0.2)
    report.check("together/most", max(most) <= 20, most)
    report.check("together/some", min(most) >= 15, most)
    report.equal("together/end", box.stop(), 0)


with Report("test_descriptors", 170) as report:
    report.section("soft", soft_limit, report)
    report.section("few", few, report)
    report.section("too few", too_few, report)
    report.section("out", in_the_run, report)
    report.section("together", together, report)
