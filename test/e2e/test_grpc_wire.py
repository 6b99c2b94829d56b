#!/usr/bin/env python3
"""gRPC as it goes over the wire: messages cut anyhow, gzip both ways, deadlines, cancellation, windows, ends of every kind,
and clients that do it wrong. What is in the messages is test_grpc's business."""

import gzip
import os
import struct
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import h2, procs  # noqa: E402
from lib.h2 import Connection, Exchange, frame  # noqa: E402
from lib.rest import Site, run_tests  # noqa: E402

ROWS = 3000
LIMITS = {"body_bytes": 65536, "body_timeout_us": 1500000, "heartbeat_us": 1000000, "compress_bytes": 200, "wait_us": 700000,
          "write_timeout_us": 2000000, "header_timeout_us": 2000000}
OK, INVALID, DEADLINE, EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 3, 4, 8, 12, 13, 14
REFLECT, LIST = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"\x3a\x01*"
CHECK = "/grpc.health.v1.Health/Check"
QUERY = "/penstock.api.Balances/Query"
WATCH = "/penstock.api.Balances/Watch"
TESTS = []


def test(fn):
    TESTS.append(fn)
    return fn


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def prefixed(message, flag=0):
    return bytes([flag]) + struct.pack(">I", len(message)) + message


def text_field(number, text):
    return bytes([number << 3 | 2, len(text)]) + text.encode()


def messages(data):
    """(flag, message) of each in data, which must end with one."""
    out = []
    while data:
        n = struct.unpack(">I", data[1:5])[0]
        assert len(data) >= 5 + n, "half a message"
        out.append((data[0], data[5:5 + n]))
        data = data[5 + n:]
    return out


class Call:
    def __init__(self, c, path, headers=(), content_type="application/grpc", method="POST"):
        self.c, self.stream = c, c.open(path, method, [("content-type", content_type), ("te", "trailers")] + list(headers), end=False)
        self.exchange = Exchange()

    def send(self, data, end=True, step=16384):
        for i in range(0, max(1, len(data)), step):
            last = i + step >= len(data)
            self.c.send(frame(h2.DATA, h2.END_STREAM if end and last else 0, self.stream, data[i:i + step]))
        return self

    def finish(self):
        self.c.finish({self.stream: self.exchange})
        return self

    @property
    def end(self):
        return dict(self.exchange.blocks[-1])

    @property
    def status(self):
        return int(self.end["grpc-status"])

    def messages(self):
        return messages(self.exchange.data)


def ask(c, path, message=b"", **kw):
    return Call(c, path, **kw).send(prefixed(message)).finish()


@test
def one_and_one(s):
    c = Connection(s.port)
    a = ask(c, CHECK)
    same((a.status, [(flag, len(m)) for flag, m in a.messages()]), (OK, [(0, 2)]))
    same([dict(b).get(":status") for b in a.exchange.blocks], ["200", None])
    same(dict(a.exchange.blocks[0])["content-type"], "application/grpc")
    same(ask(c, CHECK, content_type="application/grpc+proto").status, OK)
    c.close()


@test
def cut_anyhow(s):
    """A message a byte at a time, with its end in a frame of its own."""
    c = Connection(s.port)
    count = len(c.request("/api/balances?account_id=lt.10").json())
    message = prefixed(text_field(1, "account_id=lt.10"))
    for step in (1, 3, 5, 7):
        a = Call(c, QUERY).send(message, end=False, step=step).send(b"").finish()
        same((a.status, len(a.messages())), (OK, count))
    c.close()


@test
def stream_of_messages(s):
    c = Connection(s.port)
    a = ask(c, QUERY)
    same(a.status, OK)
    same(len(a.messages()), ROWS)
    c.close()


@test
def window(s):
    """The server sends as much as the client allows and goes on when it does; other calls pass."""
    c = Connection(s.port, window=3000)
    a = Call(c, QUERY).send(prefixed(b""))
    answers = {a.stream: a.exchange}
    while len(a.exchange.data) < 3000:
        c.take(answers, open_window=False)
    same(ask(c, CHECK).status, OK)
    same(len(a.exchange.data), 3000)
    c.send(frame(h2.WINDOW_UPDATE, 0, a.stream, struct.pack(">I", 5000)))
    a.finish()
    same(len(a.messages()), ROWS)
    same(a.status, OK)
    c.close()


@test
def client_that_takes_nothing(s):
    c = Connection(s.port, window=0)
    a = Call(c, QUERY).send(prefixed(b"")).finish()
    same(a.exchange.reset, h2.INTERNAL_ERROR)
    c.close()


@test
def gzip_in(s):
    c = Connection(s.port)
    packed = gzip.compress(text_field(1, "account_id=lt.4"))
    a = Call(c, QUERY, [("grpc-encoding", "gzip")]).send(prefixed(packed, 1)).finish()
    same(a.status, OK)
    plain = ask(c, QUERY, text_field(1, "account_id=lt.4"))
    same(a.messages(), plain.messages())
    a = Call(c, QUERY, [("grpc-encoding", "gzip")]).send(prefixed(text_field(1, "account_id=lt.4"))).finish()
    same(a.messages(), plain.messages())  # not every message is compressed
    c.close()


@test
def gzip_out(s):
    c = Connection(s.port)
    plain = ask(c, "/penstock.v1.Views/List")
    a = ask(c, "/penstock.v1.Views/List", headers=[("grpc-accept-encoding", "identity,deflate,gzip")])
    same(dict(a.exchange.blocks[0])["grpc-encoding"], "gzip")
    same([gzip.decompress(m) if flag else m for flag, m in a.messages()], [m for _, m in plain.messages()])
    same([flag for flag, _ in a.messages()], [1])
    a = ask(c, CHECK, headers=[("grpc-accept-encoding", "gzip")])
    same([(flag, len(m)) for flag, m in a.messages()], [(0, 2)])  # too small to be worth it
    c.close()


@test
def wrong_messages(s):
    c = Connection(s.port)
    gz = [("grpc-encoding", "gzip")]
    big = LIMITS["body_bytes"] + 1
    for want, headers, data in (
            (INTERNAL, [], b"\x02\0\0\0\0"),
            (INTERNAL, [], prefixed(b"x" * 10)[:9]),
            (INTERNAL, [], b"\0\0"),
            (INTERNAL, [], prefixed(b"x", 1)),
            (INTERNAL, gz, prefixed(b"not gzip", 1)),
            (INTERNAL, gz, prefixed(gzip.compress(b"x" * 100)[:-6], 1)),
            (INTERNAL, gz, prefixed(gzip.compress(b"") + b"more", 1)),
            (EXHAUSTED, gz, prefixed(gzip.compress(b"\0" * (50 << 20)), 1)),
            (EXHAUSTED, [], b"\0" + struct.pack(">I", big)),
            (EXHAUSTED, [], b"\0\xff\xff\xff\xff"),
            (UNIMPLEMENTED, [("grpc-encoding", "br")], prefixed(b"")),
            (INVALID, [], b""),
            (INVALID, [], prefixed(b"") + prefixed(b""))):
        a = Call(c, CHECK, headers).send(data).finish()
        same((data[:12], a.status), (data[:12], want))
        same(len(a.exchange.blocks), 1)  # head and end are one
    same(ask(c, CHECK).status, OK)
    c.close()


@test
def wrong_calls(s):
    c = Connection(s.port)
    a = ask(c, "/no.such/Method")
    same(a.status, UNIMPLEMENTED)
    assert "reflection" in urllib.parse.unquote(a.end["grpc-message"])
    same(ask(c, "/").status, UNIMPLEMENTED)
    same(ask(c, "/" + "x" * 5000 + "/y").status, UNIMPLEMENTED)
    a = Call(c, CHECK, method="PUT").send(prefixed(b"")).finish()
    same(a.status, INTERNAL)
    a = Call(c, CHECK, content_type="application/grpc-web").send(prefixed(b"")).finish()
    assert "grpc-status" not in a.end and a.end[":status"] != "200", a.end
    c.close()


@test
def message_is_encoded(s):
    """grpc-message is percent-encoded and details come in binary."""
    c = Connection(s.port)
    a = ask(c, QUERY, text_field(1, "branch=eq.%25\u00e4".encode().decode("utf-8")))
    assert a.status == INVALID, a.end
    text = a.end.get("grpc-message", "")
    assert all(0x20 <= ord(ch) <= 0x7E for ch in text), text
    assert a.end.get("grpc-status-details-bin"), a.end
    c.close()


@test
def deadline(s):
    c = Connection(s.port)
    began = time.time()
    a = ask(c, WATCH, text_field(1, "account_id=lt.3"), headers=[("grpc-timeout", "700m")])
    same(a.status, DEADLINE)
    assert 0.6 < time.time() - began < 5, time.time() - began
    same(len(a.messages()) >= 2, True)
    a = ask(c, CHECK, headers=[("grpc-timeout", "20S")])
    same(a.status, OK)
    for nonsense in ("", "S", "-1S", "1x", "999999999S"):
        same(ask(c, CHECK, headers=[("grpc-timeout", nonsense)]).status, OK)
    c.close()


@test
def request_that_stops(s):
    c = Connection(s.port)
    a = Call(c, CHECK).send(b"\0\0\0", end=False).finish()
    same(a.status, DEADLINE)
    c.close()


@test
def request_that_dribbles(s):
    """A byte now and then is no message: the deadline is that of a body."""
    c = Connection(s.port)
    a, end = Call(c, CHECK).send(b"\0\0\0\0\x60", end=False), time.time() + 8
    c.socket.settimeout(0.3)
    while not a.exchange.ended and time.time() < end:
        try:
            c.take({a.stream: a.exchange})
        except TimeoutError:
            a.send(b"x", end=False)
    assert a.exchange.ended, "limits.body_timeout does not hold"
    same(a.status, DEADLINE)
    c.close()


@test
def end_that_never_comes(s):
    """The call is refused, and the client leaves its side of the stream open: it is reset in the end."""
    c = Connection(s.port)
    a = Call(c, "/no.Such/Method")
    a.finish()
    same(a.status, UNIMPLEMENTED)
    while a.exchange.reset is None:
        c.take({a.stream: a.exchange})
    c.close()


@test
def end_without_a_window(s):
    """The client has all messages and lets nothing more come, not even the end of data: the stream is given up."""
    c = Connection(s.port)
    size = len(ask(c, REFLECT, LIST).exchange.data)
    c.close()
    c = Connection(s.port, window=size)
    a = Call(c, REFLECT).send(prefixed(LIST), end=False)
    while len(a.exchange.data) < size:
        c.take({a.stream: a.exchange}, open_window=False)
    a.send(b"")
    while not a.exchange.ended and a.exchange.reset is None:
        c.take({a.stream: a.exchange}, open_window=False)
    c.close()


@test
def many_halves(s):
    """Messages that have not all come take up a bounded room; who asks beyond it is told so."""
    conns, refused = [Connection(s.port) for _ in range(12)], 0
    half = prefixed(b"x" * LIMITS["body_bytes"])[:-1]
    calls = [(c, []) for c in conns]
    for c, own in calls:
        for i in range(95):
            own.append(Call(c, QUERY).send(half, end=False))
            if i % 7 == 6:  # the connection's window is opened again
                beside = {c.open("/api/balances/1"): Exchange(), **{a.stream: a.exchange for a in own}}
                while not next(iter(beside.values())).ended:
                    c.take(beside)
    for c, own in calls:
        c.finish({a.stream: a.exchange for a in own})
        refused += sum(a.status == UNAVAILABLE for a in own)
        same({a.status for a in own} - {UNAVAILABLE, DEADLINE}, set())
        c.close()
    assert 0 < refused < 600, refused
    c = Connection(s.port)
    same(ask(c, CHECK).status, OK)
    c.close()


@test
def reflection_while_the_world_changes(s):
    end = threading.Event()

    def change():
        while not end.is_set():
            s.tell("generation")
    t = threading.Thread(target=change)
    t.start()
    c = Connection(s.port)
    try:
        for _ in range(50):
            calls = [Call(c, REFLECT).send(prefixed(LIST)) for _ in range(10)]
            for a in calls:
                c.finish({x.stream: x.exchange for x in calls})
                same((a.status, len(a.messages())), (OK, 1))
    finally:
        end.set()
        t.join()
    c.close()


@test
def watch(s):
    c = Connection(s.port)
    a = Call(c, WATCH).send(prefixed(text_field(1, "account_id=lt.3")))
    answers = {a.stream: a.exchange}
    while len(a.exchange.data) < 100:
        c.take(answers)
    had = len(a.exchange.data)
    s.tell("update 2 777.25", "commit")
    while len(a.exchange.data) <= had or b"777.25" not in a.exchange.data:
        c.take(answers)
    c.send(frame(h2.RST_STREAM, 0, a.stream, struct.pack(">I", h2.CANCEL)))
    same(ask(c, CHECK).status, OK)
    c.close()


@test
def many_cancelled(s):
    """Calls that are cancelled, and connections that just go, leave nothing behind."""
    before = rss(s)
    for _ in range(20):
        c = Connection(s.port)
        calls = [Call(c, WATCH).send(prefixed(text_field(1, "account_id=lt.3"))) for _ in range(30)]
        same(ask(c, CHECK).status, OK)
        for a in calls[:15]:
            c.send(frame(h2.RST_STREAM, 0, a.stream, struct.pack(">I", h2.CANCEL)))
        same(ask(c, CHECK).status, OK)
        c.close()
    assert rss(s) - before < 20 << 20, (before, rss(s))


def rss(s):
    with open("/proc/%d/statm" % s.serve.pid) as f:
        return int(f.read().split()[1]) * 4096


@test
def rest_beside(s):
    """The same connection takes both."""
    c = Connection(s.port)
    same(c.request("/api/balances/1").status, 200)
    same(ask(c, CHECK).status, OK)
    same(c.request("/api/balances/1").status, 200)
    c.close()


@test
def second_port(s):
    """server.grpc: the same on both."""
    c = Connection(s.grpc_port)
    same(ask(c, CHECK).status, OK)
    same(c.request("/api/balances/1").status, 200)
    c.close()


@test
def stop(s):
    """Last: the server stops, and calls are told so."""
    c = Connection(s.port)
    a = Call(c, WATCH).send(prefixed(text_field(1, "account_id=lt.3")))
    answers = {a.stream: a.exchange}
    while not a.exchange.data:
        c.take(answers)
    s.serve.terminate()
    while not a.exchange.ended:
        try:
            c.take(answers)
        except h2.GoneAway:
            pass
    same(a.status, UNAVAILABLE)
    same(s.serve.wait(15), 0)
    c.close()


def main():
    grpc_port = procs.free_port()
    args = ["--port", "0", "--grpc-port", str(grpc_port)]
    for k, v in LIMITS.items():
        args += ["--limit", f"{k}={v}"]
    site = Site(["--rows", str(ROWS), "--shards", "3"], args)
    site.grpc_port = grpc_port
    return run_tests(site, [(t.__name__, t) for t in TESTS])


if __name__ == "__main__":
    sys.exit(main())
