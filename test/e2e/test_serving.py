#!/usr/bin/python3
"""What a request costs the server once it is warm: no allocation, and one write to the socket with the whole answer in it."""

import http.client
import mmap
import os
import struct

from lib import h2
from lib.report import Report
from lib.rest import PLAIN, Site

WARM, COUNTED = 200, 400
OTHERS = 8  # allocations of the process's other threads meanwhile, which look after files and epochs
READS = {
    "key": ("/api/balances/4242", {}, 200),
    "absent": ("/api/balances/99999999", {}, 404),
    "key-select": ("/api/balances/4242?select=account_id,balance", {}, 200),
    "list-by-index": ("/api/balances?branch=eq.7&limit=5", {}, 200),
    "list-in-order": ("/api/balances?order=account_id.desc&limit=20", {}, 200),
    "list-sorted": ("/api/balances?branch=eq.7&order=owner&limit=10", {}, 200),
    "count": ("/api/balances?branch=eq.7&limit=1", {"Prefer": "count=exact"}, 206),
    "csv": ("/api/balances?branch=eq.7&limit=5", {"Accept": "text/csv"}, 200),
    "wrong-column": ("/api/balances?nosuch=eq.1", {}, 400),
}


class Counted(Site):
    """serve_counted in the place of serve_only."""

    def start_serve(self, args):
        self.counts_path = os.path.join(self.dir, "counts")
        os.environ["SERVE_COUNTS"] = self.counts_path
        plain, link = self.bin, os.path.join(self.dir, "bin")
        os.mkdir(link)
        os.symlink(plain / "serve_counted", os.path.join(link, "serve_only"))
        self.bin = type(plain)(link)
        try:
            return super().start_serve(args)
        finally:
            self.bin = plain
            del os.environ["SERVE_COUNTS"]

    def counts(self):
        with open(self.counts_path, "rb") as f, mmap.mmap(f.fileno(), 24, prot=mmap.PROT_READ) as m:
            return struct.unpack("QQQ", m[:24])


def ask(c, target, headers, n, want):
    for _ in range(n):
        c.request("GET", target, headers=headers)
        r = c.getresponse()
        body = r.read()
        if r.status != want:
            raise AssertionError("%s: %d %s" % (target, r.status, body[:300]))
    return r, body


def cost(site, name, target, headers, want, report):
    c = http.client.HTTPSConnection("127.0.0.1", site.port, context=PLAIN, timeout=20)
    ask(c, target, headers, WARM, want)
    before = site.counts()
    ask(c, target, headers, COUNTED, want)
    after = site.counts()
    c.close()
    allocations, writes = after[0] - before[0], after[1] - before[1]
    if allocations <= OTHERS and COUNTED <= writes <= COUNTED + 1:  # the goodbye of the connection before
        report.ok(name)
    else:
        report.fail(name, "%d requests took %d allocations and %d writes" % (COUNTED, allocations, writes))


def over_http2(site, name, target, headers, want, report):
    c = h2.Connection(site.port)
    for _ in range(WARM):
        c.request(target, headers=list(headers.items()))
    before = site.counts()
    for _ in range(COUNTED):
        answer = c.request(target, headers=list(headers.items()))
        assert answer.status == want, answer.status
    after = site.counts()
    c.close()
    allocations, writes = after[0] - before[0], after[1] - before[1]
    if allocations <= OTHERS and COUNTED <= writes <= COUNTED + 1:  # the goodbye of the connection before
        report.ok("http2/" + name)
    else:
        report.fail("http2/" + name, "%d requests took %d allocations and %d writes" % (COUNTED, allocations, writes))


def not_modified(site, report):
    etag = site.get("/api/balances/4242").headers["ETag"]
    cost(site, "not-modified", "/api/balances/4242", {"If-None-Match": etag}, 304, report)


def main():
    with Report("serving", 120) as report:
        site = Counted(["--rows", "20000", "--shards", "2"])
        try:
            site.wait_ready("/api/balances/4242")
            # What is counted is counted: a new connection allocates, and its handshake writes.
            before = site.counts()
            site.get("/api/balances/4242")
            after = site.counts()
            report.check("counters-count", after[0] > before[0] and after[1] > before[1] + 1, str((before, after)))
            for name, (target, headers, want) in READS.items():
                cost(site, name, target, headers, want, report)
            not_modified(site, report)
            for name, (target, headers, want) in READS.items():
                over_http2(site, name, target, headers, want, report)
        finally:
            site.close()


main()
