#!/usr/bin/python3
"""Hostile HTTP against a whole, confined instance: one named case each. Through all of them other clients, on connections of
their own, read and push, and every one of their requests is answered. test_rest.py has the cases of the parser by itself."""

import json
import re
import socket
import threading
import time

from lib import client
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

TOKEN = "0123456789abcdef0123456789abcdef"
CONFIG = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: 200, seed: 7, accounts: 200 }
  events:
    ingest: { token: "%s", tables: { t: { columns: { id: bigint, note: text }, key: [id] } } }
sql:
  - |
    CREATE VIEW accounts AS SELECT id, owner, branch FROM demo.accounts;
    CREATE VIEW pushed AS SELECT id, note FROM events.t;
apis: { accounts: , pushed: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
limits: { header_timeout: 3s, body_timeout: 5s, idle_timeout: 6s, body_bytes: 256KiB, connections: 400 }
""" % TOKEN
HEAD = b" HTTP/1.1\r\nHost: x\r\n"
END = b"Connection: close\r\n\r\n"
AUTH = b"Authorization: Bearer " + TOKEN.encode() + b"\r\nContent-Type: application/json\r\n"
CASES = []


def case(fn):
    CASES.append(fn)
    return fn


def connect(box, timeout_s=10):
    s = socket.create_connection(("127.0.0.1", box.port), timeout=timeout_s)
    return client.tls_context().wrap_socket(s, server_hostname="localhost")


def read_all(s):
    out = b""
    try:
        while more := s.recv(65536):
            out += more
    except OSError:
        pass
    return out


def raw(box, data, timeout_s=10):
    """Bytes as they are; all that comes back until the server closes."""
    s = connect(box, timeout_s)
    try:
        s.sendall(data)
    except OSError:
        pass
    out = read_all(s)
    s.close()
    return out


def statuses(data):
    return [int(x) for x in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def get(box, target, headers=b""):
    return raw(box, b"GET " + target + HEAD + headers + END)


def refused(r, box, name, data, want=(400,)):
    """One refusal and the end of the connection: what follows the bad request is never taken for another one."""
    out = raw(box, data + b"GET /health" + HEAD + END)
    got = statuses(out)
    r.check(name, len(got) == 1 and got[0] in want, (got, out[:200]))
    return out


def answered(r, box, name, data, want=(400,)):
    """A refusal that leaves no doubt where the next request begins."""
    got = statuses(raw(box, data + b"GET /health" + HEAD + END))
    r.check(name, got[:1] and got[0] in want and got[1:] in ([], [200]), got)


class Others:
    """Clients that behave."""

    def __init__(self, box):
        self.box, self.failures, self.reads, self.pushes, self.ended = box, [], 0, 0, False
        self.threads = [threading.Thread(target=self._run, args=(w,)) for w in (self._read, self._read, self._push)]
        for t in self.threads:
            t.start()

    def _run(self, work):
        http = self.box.client(20)
        while not self.ended:
            try:
                a = work(http)
                if a.status not in (200, 201):
                    self.failures.append((a.status, a.body[:200]))
            except Exception as e:  # any: none is expected
                self.failures.append(repr(e))
                http = self.box.client(20)
            time.sleep(0.01)

    def _read(self, http):
        self.reads += 1
        return http.request("/api/accounts?limit=3")

    def _push(self, http):
        self.pushes += 1
        return http.request("/ingest/events/t", {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}, "POST",
                            json.dumps({"id": self.pushes, "note": "good"}).encode())

    def progress(self):
        """Both kinds get on from here."""
        reads, pushes = self.reads, self.pushes
        wait_for(lambda: self.reads > reads + 3 and self.pushes > pushes + 3, 15, "answers to the other clients")

    def stop(self):
        self.ended = True
        for t in self.threads:
            t.join()


@case
def slow_headers(r, box, others):
    held = [connect(box) for _ in range(30)]
    for s in held:
        s.sendall(b"GET /api/accounts HTTP/1.1\r\nX: ")
    others.progress()
    r.equal("408", {statuses(read_all(s))[0] for s in held}, {408})


@case
def slow_body(r, box, others):
    """More of them than the pipeline has threads for pushed rows, each with a valid token."""
    held = [connect(box) for _ in range(100)]
    for s in held:
        s.sendall(b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: 1000\r\n\r\n[")
    for _ in range(3):
        for s in held:
            s.sendall(b" ")
        others.progress()
    r.equal("408", {tuple(statuses(read_all(s))) for s in held}, {(408,)})


@case
def slow_chunks(r, box, others):
    held = [connect(box) for _ in range(80)]
    for s in held:
        s.sendall(b"POST /ingest/events/t" + HEAD + AUTH + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[")
    others.progress()
    r.equal("408", {tuple(statuses(read_all(s))) for s in held}, {(408,)})


@case
def slow_body_of_a_refused_request(r, box, others):
    held = [connect(box) for _ in range(30)]
    for s in held:
        s.sendall(b"POST /api/accounts" + HEAD + b"Content-Length: 1000\r\n\r\nx")
    others.progress()
    r.check("405", all(statuses(s.recv(4096)) == [405] for s in held), "another answer")


@case
def slow_handshake(r, box, others):
    """Nothing, a part of a ClientHello, and garbage that promises a long record."""
    held = []
    for first in (b"", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 20, b"\x16\x03\x03\x40\x00"):
        for _ in range(15):
            s = socket.create_connection(("127.0.0.1", box.port), timeout=15)
            s.sendall(first)
            held.append(s)
    others.progress()
    r.check("closed", all(read_all(s) is not None for s in held), "still open")


@case
def idle_connections(r, box, others):
    """Past limits.connections the newest are closed at once; those who are in stay."""
    held = []
    for _ in range(300):
        held.append(connect(box, 20))
    for s in held[:20]:
        s.sendall(b"GET /health" + HEAD + b"\r\n")
        r.check("served", statuses(s.recv(4096)) == [200], "not served")
    others.progress()
    for s in held:
        s.close()


@case
def slow_reader(r, box, others):
    s = connect(box)
    s.sendall((b"GET /api/accounts" + HEAD + b"\r\n") * 500)
    others.progress()
    s.close()


@case
def slow_live_reader(r, box, others):
    held = [connect(box) for _ in range(20)]
    for s in held:
        s.sendall(b"GET /api/pushed" + HEAD + b"Accept: text/event-stream\r\n\r\n")
    others.progress()
    for s in held:
        s.close()


@case
def pipelining(r, box, others):
    """In order, bounded; what stands behind a refusal is not answered."""
    one = b"GET /api/accounts/%d?select=id" + HEAD + b"\r\n"
    out = raw(box, b"".join(one % (i % 50 + 1) for i in range(2000)) + b"GET /health" + HEAD + END, 30)
    r.equal("order", [int(x) for x in re.findall(rb'\{"id":(\d+)\}', out)], [i % 50 + 1 for i in range(2000)])
    refused(r, box, "behind-a-refusal", b"GET /health HTTP/1.1\r\n\r\n")


@case
def oversized(r, box, others):
    refused(r, box, "header", b"GET /health" + HEAD + b"X: " + b"a" * (1 << 17) + b"\r\n\r\n", (431,))
    refused(r, box, "many-headers", b"GET /health" + HEAD + b"".join(b"X%d: y\r\n" % i for i in range(101)) + b"\r\n", (431,))
    refused(r, box, "target", b"GET /" + b"a" * (1 << 16) + HEAD + b"\r\n", (414,))
    refused(r, box, "no-end", b"A" * (1 << 18), (400, 414, 431))
    refused(r, box, "method", b"G" * 5000 + b" /" + HEAD + b"\r\n", (400, 501))
    refused(r, box, "header-name", b"GET /health" + HEAD + b"X" * 20000 + b": y\r\n\r\n", (431,))
    refused(r, box, "body", b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: 300000\r\n\r\n" + b" " * 300000, (413,))
    refused(r, box, "chunked-body", b"POST /ingest/events/t" + HEAD + AUTH + b"Transfer-Encoding: chunked\r\n\r\n"
            + (b"8000\r\n" + b" " * 32768 + b"\r\n") * 10 + b"0\r\n\r\n", (413,))


@case
def lengths(r, box, others):
    """Framing that two readers might understand differently."""
    post = b"POST /ingest/events/t" + HEAD + AUTH
    chunks = b"0\r\n\r\n"
    for name, framing in (
            ("both", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks),
            ("both-reversed", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunks),
            ("two-lengths", b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n[]"), ("two-equal", b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n[]"),
            ("list", b"Content-Length: 2, 2\r\n\r\n[]"), ("plus", b"Content-Length: +2\r\n\r\n[]"), ("minus", b"Content-Length: -2\r\n\r\n[]"),
            ("hex", b"Content-Length: 0x2\r\n\r\n[]"), ("empty", b"Content-Length:\r\n\r\n[]"), ("word", b"Content-Length: two\r\n\r\n[]"),
            ("inner-space", b"Content-Length: 1 0\r\n\r\n[]"), ("overflow", b"Content-Length: 18446744073709551618\r\n\r\n[]"),
            ("name-space", b"Content-Length : 2\r\n\r\n[]"), ("tab-name", b"Content-Length\t: 2\r\n\r\n[]"),
            ("folded", b"Content-Length:\r\n 2\r\n\r\n[]"), ("chunked-twice", b"Transfer-Encoding: chunked, chunked\r\n\r\n" + chunks),
            ("chunked-not-last", b"Transfer-Encoding: chunked, gzip\r\n\r\n" + chunks), ("gzip-chunked", b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks),
            ("identity", b"Transfer-Encoding: identity\r\n\r\n" + chunks), ("quoted", b"Transfer-Encoding: \"chunked\"\r\n\r\n" + chunks),
            ("two-encodings", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunks),
            ("vertical-tab", b"Transfer-Encoding: \x0bchunked\r\n\r\n" + chunks), ("nul", b"Transfer-Encoding: chunked\x00\r\n\r\n" + chunks)):
        refused(r, box, name, post + framing, (400, 411, 501))
    refused(r, box, "http-1.0-chunked", b"POST /ingest/events/t HTTP/1.0\r\nHost: x\r\n" + AUTH + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, (400, 501))


@case
def chunks(r, box, others):
    head = b"POST /ingest/events/t" + HEAD + AUTH + b"Transfer-Encoding: chunked\r\n\r\n"
    for name, body in (
            ("huge", b"FFFFFFFFFFFFFFFF\r\nx"), ("overflow", b"10000000000000002\r\n[]\r\n0\r\n\r\n"), ("minus", b"-2\r\n[]\r\n0\r\n\r\n"),
            ("plus", b"+2\r\n[]\r\n0\r\n\r\n"), ("hex-prefix", b"0x2\r\n[]\r\n0\r\n\r\n"), ("no-size", b"\r\n[]\r\n0\r\n\r\n"),
            ("space-size", b" 2\r\n[]\r\n0\r\n\r\n"), ("no-crlf", b"2\r\n[]0\r\n\r\n"), ("lf-only", b"2\n[]\n0\n\n"), ("longer", b"2\r\n[ ]\r\n0\r\n\r\n"),
            ("lf-in-extension", b"2;a\nb\r\n[]\r\n0\r\n\r\n"), ("cr-in-extension", b"2;a\rb\r\n[]\r\n0\r\n\r\n"),
            ("bad-end", b"2\r\n[]\r\n0\r\nX\r\n\r\n")):
        out = refused(r, box, name, head + body, (400, 413, 408))
        r.check(name + "/nothing-stored", b'"accepted"' not in out, out)
    many = raw(box, head + b"".join(b"1;x=%d\r\n \r\n" % i for i in range(3000)) + b"2\r\n[]\r\n0\r\n\r\n" + b"GET /health" + HEAD + END)
    r.check("extensions", statuses(many) in ([201, 200], [400]), (statuses(many), many[:200]))
    trailer = raw(box, head + b"2\r\n[]\r\n0\r\nAuthorization: Bearer x\r\nContent-Length: 9\r\n\r\n" + b"GET /health" + HEAD + END)
    r.check("trailer", statuses(trailer) in ([201, 200], [400]), (statuses(trailer), trailer[:200]))
    endless = raw(box, head + b"2\r\n[]\r\n0\r\n" + b"X: y\r\n" * 50000 + b"\r\n")
    r.check("endless-trailers", statuses(endless)[:1] != [] and len(endless) < 10000, endless[:200])
    extension = raw(box, head + b"2;" + b"x" * 300000 + b"\r\n[]\r\n0\r\n\r\n")
    r.check("endless-extension", len(statuses(extension)) == 1, extension[:200])


@case
def traversal(r, box, others):
    for path in (b"/../etc/passwd", b"/%2e%2e/etc/passwd", b"/%2e%2e%2fetc%2fpasswd", b"/..%2f..%2fetc/passwd", b"/%252e%252e/etc/passwd", b"/..\\..\\etc\\passwd",
                 b"/..%5c..%5cetc%5cpasswd", b"/index.html/../../data/tls/key.pem", b"/api/../../tls/key.pem", b"/api/accounts/..%2f..", b"/./index.html",
                 b"//etc/passwd", b"/%00", b"/index.html%00.png", b"/api/accounts%00", b"/api/accounts/1%00", b"/.%00./x", b"/proc/self/environ",
                 b"/data/tls/key.pem", b"/%c0%ae%c0%ae/etc/passwd", b"/api/%2e%2e/%2e%2e/metrics", b"/ingest/../metrics", b"/ingest/events/..%2f..", b"/.git/config",
                 b"/;/../etc/passwd", b"/api;x/accounts", b"/ingest/events/t/../../../x"):
        out = get(box, path)
        r.check(path.decode(), statuses(out)[0] in (400, 404, 405) and b"root:" not in out and b"PRIVATE" not in out, out[:200])


@case
def methods(r, box, others):
    for path, allow in ((b"/api/accounts", {"GET", "HEAD"}), (b"/", {"GET", "HEAD"}), (b"/health", {"GET", "HEAD"}), (b"/metrics", {"GET", "HEAD"}),
                        (b"/api/accounts/1", {"GET", "HEAD"})):
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH"):
            out = raw(box, method + b" " + path + HEAD + END)
            said = re.search(rb"\r\nAllow: ([^\r]*)\r\n", out)
            r.check("%s %s" % (method.decode(), path.decode()), statuses(out) == [405] and said
                    and allow <= set(said.group(1).decode().replace(" ", "").split(",")), out[:300])
    for method in (b"TRACE", b"PROPFIND", b"get", b"GETT", b"", b"G\xc3\x89T", b"CONNECT", b"PRI", b"SEARCH"):
        out = raw(box, method + b" /api/accounts" + HEAD + b"X-Secret: do-not-echo\r\n" + END)
        r.check(method.decode("latin-1") or "none", statuses(out)[0] in (400, 404, 405, 501) and b"do-not-echo" not in out, out[:300])
    out = raw(box, b"PUT /ingest/events/t" + HEAD + AUTH + END)
    r.check("PUT /ingest", statuses(out) == [405], out[:300])


@case
def targets(r, box, others):
    refused(r, box, "authority", b"CONNECT 127.0.0.1:22" + HEAD + b"\r\n", (400, 404, 405, 501))
    answered(r, box, "authority-get", b"GET 127.0.0.1:22" + HEAD + b"\r\n")
    answered(r, box, "asterisk", b"GET *" + HEAD + b"\r\n", (400, 404))
    answered(r, box, "relative", b"GET api/accounts" + HEAD + b"\r\n")
    answered(r, box, "fragment", b"GET /api/accounts#x" + HEAD + b"\r\n")
    for scheme in (b"http", b"https", b"ftp", b"file"):
        out = get(box, scheme + b"://elsewhere.example/api/accounts/1")
        r.check("absolute-" + scheme.decode(), statuses(out)[0] in (200, 400, 421), out[:200])
    r.check("file-url", statuses(get(box, b"file:///etc/passwd"))[0] in (400, 404), "")
    out = get(box, b"https://elsewhere.example")
    r.check("absolute-no-path", len(statuses(out)) == 1, out[:200])
    for name, data in (("none", b"GET /health HTTP/1.1\r\n\r\n"), ("two", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
                       ("two-equal", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")):
        refused(r, box, "host/" + name, data)


@case
def protocols(r, box, others):
    refused(r, box, "0.9", b"GET /health\r\n", (400, 505))
    refused(r, box, "2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505))
    refused(r, box, "3.0", b"GET /health HTTP/3.0\r\nHost: x\r\n\r\n", (400, 505))
    refused(r, box, "1.2.3", b"GET /health HTTP/1.2.3\r\nHost: x\r\n\r\n", (400, 505))
    refused(r, box, "lower", b"GET /health http/1.1\r\nHost: x\r\n\r\n", (400, 505))
    refused(r, box, "smtp", b"EHLO x\r\nMAIL FROM:<a@b>\r\n\r\n", (400,))
    refused(r, box, "expect", b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: 2\r\nExpect: wonders\r\n\r\n", (417,))
    for upgrade in (b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
                    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"):
        out = raw(box, b"GET /health" + HEAD + upgrade + b"\r\n" + b"GET /health" + HEAD + END)
        r.check("upgrade", statuses(out) in ([200], [200, 200]), statuses(out))


@case
def bad_utf8(r, box, others):
    bad = (b"%ff", b"%c3%28", b"%c0%80", b"%e0%80%af", b"%f0%80%80%af", b"%ed%a0%80", b"%f4%90%80%80", b"%f8%88%80%80%80", b"%c3", b"%e2%82", b"%80", b"%fe%ff")
    for text in bad:
        for target in (b"/api/accounts/", b"/api/accounts?owner=eq.", b"/api/accounts?owner=in.(", b"/api/accounts?or=(owner.eq.", b"/api/accounts?select=",
                       b"/api/accounts?order=", b"/api/accounts?"):
            closing = b")" if b"(" in target else b""
            out = get(box, target + text + closing + (b"=eq.1" if target.endswith(b"?") else b""))
            r.check("%s%s" % (target.decode(), text.decode()), statuses(out) and statuses(out)[0] in (400, 404), out[:200])
    out = raw(box, b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: 26\r\nConnection: close\r\n\r\n" + b'[{"id": 1, "note": "\xff\xfe"}]  ')
    r.check("pushed", statuses(out)[0] in (400, 422), out[:200])


@case
def filters(r, box, others):
    """Each is refused or answered at once; none takes memory or time without bound."""
    nested = b"or=(" + b"and(" * 200 + b"id.eq.1" + b")" * 200 + b")"
    for name, query, want in (
            ("many", b"&".join(b"id=gt.0" for _ in range(500)), (400, 414)), ("long-in", b"id=in.(" + b",".join(b"%d" % i for i in range(1500)) + b")", (200, 400)),
            ("deep", nested, (400, 414)), ("unclosed", b"or=(" * 1000, (400, 414)), ("commas", b"id=in.(" + b"," * 7000 + b")", (400,)),
            ("exponent", b"id=eq.1e999999999", (400,)), ("negative-exponent", b"id=eq.1e-999999999", (400, 200)), ("digits", b"id=eq." + b"9" * 7000, (400,)),
            ("like", b"owner=like." + b"*a" * 2000 + b"b", (200, 400)), ("match", b"owner=match.(a*)*(a*)*(a*)*(a*)*$", (200, 400)),
            ("match-counts", b"owner=match.((((a{1,100}){1,100}){1,100}){1,100}){1,100}", (400,)), ("match-open", b"owner=match." + b"(" * 3000, (400,)),
            ("select", b"select=" + b",".join(b"id" for _ in range(2000)), (200, 400)), ("select-casts", b"select=id" + b"::text" * 500, (200, 400)),
            ("order", b"order=" + b",".join(b"id.desc" for _ in range(800)), (200, 400)), ("limit", b"limit=99999999999999999999", (400,)),
            ("limit-minus", b"limit=-1", (400,)), ("offset", b"offset=18446744073709551615", (200, 400)), ("not", b"id=" + b"not." * 1500 + b"eq.1", (400, 200)),
            ("empty-names", b"=&=&==&&&=", (400,)), ("percent", b"id=eq.%", (400,)), ("nul", b"owner=eq.%00", (400,)),
            ("is", b"id=is.perhaps", (400,)), ("cs-deep", b"owner=cs.{" + b"{" * 3000 + b"}", (400, 404))):
        out = get(box, b"/api/accounts?" + query)
        r.check(name, statuses(out) and statuses(out)[0] in want, (statuses(out), out[:300]))
        others.progress()


@case
def splitting(r, box, others):
    """What comes from a request never ends a line of an answer."""
    for target, headers in ((b"/api/accounts?id=eq.1%0d%0aInjected:%20yes", b""), (b"/api/accounts/1%0d%0aInjected:%20yes", b""),
                            (b"/api/accounts?select=id%0d%0aInjected:yes", b""), (b"/%0d%0aInjected:%20yes", b""), (b"/api/none%0d%0aInjected:%20yes", b""),
                            (b"/api/accounts/1", b"Origin: https://a.example%0d%0aInjected: yes\r\n"), (b"/api/accounts", b"Prefer: count=exact%0d%0aInjected: yes\r\n"),
                            (b"/api/accounts", b"Range: 0-1%0d%0aInjected: yes\r\n"), (b"/api/accounts", b"Accept: text/csv%0d%0aInjected: yes\r\n")):
        out = get(box, target, headers)
        head = out.split(b"\r\n\r\n")[0]
        r.check(target.decode() + headers.decode().strip(), len(statuses(out)) == 1 and b"\r\nInjected" not in head, out[:300])
    for bad in (b"Origin: a\rInjected: yes", b"Origin: a\nInjected: yes", b"Origin: a\x00b", b"Origin: \x7f"):
        refused(r, box, repr(bad), b"GET /api/accounts/1" + HEAD + bad + b"\r\n\r\n")


@case
def ranges(r, box, others):
    for text in (b"0-99999999999999999999", b"99999999999999999999-", b"-5", b"5-1", b"0-1,2-3", b"a-b", b"-", b"0--1", b"0-0" + b",0-0" * 2000,
                 b"bytes=0-18446744073709551615", b"items=0-1"):
        out = get(box, b"/api/accounts", b"Range-Unit: items\r\nRange: " + text + b"\r\n")
        r.check(repr(text[:40]), statuses(out) and statuses(out)[0] in (200, 206, 400, 416, 431), (statuses(out), out[:200]))


@case
def preferences(r, box, others):
    for text in (b"count=exact, count=none", b"count=exact\r\nPrefer: count=planned", b"count=" + b"x" * 5000, b"return=minimal, return=representation",
                 b"handling=strict, count=nonsense", b"," * 5000, b"count=exact;" + b"a=b;" * 1000, b"wait=99999999999999999999", b"=", b"count"):
        out = get(box, b"/api/accounts?limit=1", b"Prefer: " + text + b"\r\n")
        r.check(repr(text[:40]), statuses(out) and statuses(out)[0] in (200, 206, 400), (statuses(out), out[:200]))
    for header in (b"Penstock-Wait: demo=" + b"9" * 5000, b"Penstock-Wait: =,=,=", b"Penstock-Wait: nowhere=1", b"Last-Event-ID: " + b"z" * 5000,
                   b"If-None-Match: " + b"\"x\"," * 2000, b"Accept: " + b"a/b;q=0.1," * 1000, b"Accept: */*;q=99999", b"Accept: ///"):
        out = get(box, b"/api/accounts?limit=1", header + b"\r\n")
        r.check(repr(header[:40]), statuses(out) and statuses(out)[0] in (200, 400, 406, 503), (statuses(out), out[:200]))


@case
def compressed_bodies(r, box, others):
    """Nothing is unpacked: a small body cannot become a large one."""
    import gzip
    bomb = gzip.compress(b" " * (64 << 20))
    for encoding in (b"gzip", b"deflate", b"br", b"gzip, gzip", b"zstd", b"x"):
        out = raw(box, b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Encoding: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (encoding, len(bomb)) + bomb)
        r.check(encoding.decode(), statuses(out) == [415], out[:200])
    out = raw(box, b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Encoding: identity\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
    r.equal("identity", statuses(out), [201])


@case
def pushed_json(r, box, others):
    for name, body in (("deep", b"[" * 100000), ("deep-objects", b'{"a":' * 20000), ("long-number", b'[{"id": ' + b"9" * 200000 + b"}]"),
                       ("exponent", b'[{"id": 1e999999999}]'), ("repeated-keys", b'[{"id": 1, "id": 2}]'), ("long-key", b'[{"' + b"k" * 200000 + b'": 1}]'),
                       ("nul", b'[{"id": 1, "note": "a\\u0000b"}]'), ("surrogate", b'[{"id": 1, "note": "\\ud800"}]'), ("many", b"[" + b"1," * 100000 + b"1]"),
                       ("empty", b""), ("blank", b" " * 1000), ("not-json", b"\x00\x01\x02")):
        out = raw(box, b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        r.check(name, statuses(out) and statuses(out)[0] in (400, 422) or (name == "repeated-keys" and statuses(out) == [201]), out[:300])


@case
def abandoned(r, box, others):
    """Clients that are gone in the middle of everything."""
    for data in (b"", b"G", b"GET /api/accounts" + HEAD, b"GET /api/accounts" + HEAD + b"\r\n", b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: 100\r\n\r\n[",
                 b"POST /ingest/events/t" + HEAD + AUTH + b"Content-Length: 200000\r\n\r\n" + b" " * 100000,
                 b"GET /api/pushed" + HEAD + b"Accept: text/event-stream\r\n\r\n"):
        for _ in range(10):
            s = connect(box)
            s.sendall(data)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
            s.close()
    others.progress()


class Named:
    """A report whose names begin with the case's."""

    def __init__(self, report, prefix):
        self.report, self.prefix = report, prefix

    def check(self, name, condition, reason=""):
        self.report.check("%s/%s" % (self.prefix, name), condition, reason)

    def equal(self, name, actual, expected):
        self.report.equal("%s/%s" % (self.prefix, name), actual, expected)


def main():
    with Report("test_abuse.py", 240) as report:
        box = Penstock(CONFIG, shards=1, name="abuse").start()
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        pids = box.pids()
        others = Others(box)
        try:
            for fn in CASES:
                report.section(fn.__name__, fn, Named(report, fn.__name__), box, others)
                report.check(fn.__name__ + "/others", not others.failures, others.failures[:3])
                others.failures.clear()
        finally:
            others.stop()
        report.equal("nobody-died", box.pids(), pids)
        report.check("answered", others.reads > 100 and others.pushes > 100, (others.reads, others.pushes))
        report.equal("stop", box.stop(), 0)


if __name__ == "__main__":
    main()
