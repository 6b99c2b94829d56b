#!/usr/bin/env python3
"""HTTP/2: the reads of test_rest over it, many requests on one connection, live queries, uploads, curl, and clients that
mean harm. Prints `ok NAME` / `not ok NAME why`. Give names as arguments to run only those."""

import inspect
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_rest  # noqa: E402
from lib import h2  # noqa: E402
from lib.h2 import Connection, Exchange, frame  # noqa: E402
from lib.rest import Site, run_tests  # noqa: E402

LIMITS = dict(test_rest.LIMITS, h2_streams=20, h2_resets=50, h2_control_frames=200, h2_pending_bytes=500000,
              body_timeout_us=1500000)
TESTS = []
# These speak HTTP/1.1 by themselves: sockets, connections of their own, server-sent events.
HTTP1 = ("s.raw(", "s.connect(", "create_connection", "HTTPSConnection", "Events(", "conn=", "Site(", "Connection")


def test(fn):
    TESTS.append(fn)
    return fn


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


class OverH2(Site):
    """A site whose get() asks over one HTTP/2 connection."""
    over = None

    def get(self, path, method="GET", body=None, conn=None, **headers):
        for fresh in (False, True):
            if self.over is None:
                self.over = Connection(self.port)
            try:
                return self.over.request(path, method, [(k.replace("_", "-"), v) for k, v in headers.items()], body)
            except (EOFError, ConnectionError, h2.ssl.SSLError, h2.GoneAway):
                self.over = None
                if fresh:
                    raise

    def connection(self, **kw):
        return Connection(self.port, **kw)


def reads_of_test_rest():
    return [t for t in test_rest.TESTS if not any(word in inspect.getsource(t) for word in HTTP1)]


# ---- what HTTP/2 is for ----

@test
def many_at_once(s):
    c = s.connection()
    answers = {c.open("/api/balances/%d" % i): Exchange() for i in range(1, 21)}
    c.finish(answers)
    for i, a in enumerate(answers.values()):
        same((a.answer().status, a.answer().json()["account_id"]), (200, i + 1))
    same(c.server_settings[3], LIMITS["h2_streams"])
    same(c.server_settings.get(8), None)
    c.close()


@test
def heads(s):
    c = s.connection()
    a = c.request("/api/balances/42")
    tag = a.headers["etag"]
    same((a.status, int(a.headers["content-length"])), (200, len(a.body)))
    assert "connection" not in a.headers and "transfer-encoding" not in a.headers
    b = c.request("/api/balances/42", headers=[("If-None-Match", tag)])
    same((b.status, b.body), (304, b""))
    b = c.request("/api/balances/42", method="HEAD")
    same((b.status, b.body, b.headers["content-length"]), (200, b"", a.headers["content-length"]))
    b = c.request("/api/balances/42", method="DELETE")
    same((b.status, b.headers["allow"]), (405, "GET, HEAD, OPTIONS"))
    c.close()


@test
def large_answers_share(s):
    """A large answer does not hold up a small one behind it."""
    c = s.connection()
    big, small = c.open("/api/balances?limit=2000"), c.open("/api/balances/1")
    answers = {big: Exchange(), small: Exchange()}
    while not answers[small].ended:
        c.take(answers)
    assert not answers[big].ended, "the small answer came last"
    c.finish(answers)
    same(len(answers[big].answer().json()), 2000)
    c.close()


@test
def windows(s):
    """Nothing is sent beyond what the client allows, of a stream and of the connection; both go on when it does."""
    c = s.connection(window=1000)
    stream = c.open("/api/balances?limit=50")
    a = {stream: Exchange()}
    while len(a[stream].data) < 1000:
        c.take(a, open_window=False)
    same(c.request("/api/balances/1").status, 200)  # the other one is not held up
    same(len(a[stream].data), 1000)
    c.send(frame(h2.WINDOW_UPDATE, 0, stream, struct.pack(">I", 1 << 20)))
    c.finish(a)
    same(len(a[stream].answer().json()), 50)
    c.close()


@test
def live(s):
    c = s.connection()
    stream = c.open("/api/balances?account_id=lt.3", headers=[("accept", "text/event-stream")])
    a = {stream: Exchange()}
    while b"event: epoch" not in a[stream].data:
        c.take(a)
    same(a[stream].data.count(b"event: insert"), 2)
    same(dict(a[stream].blocks[0])["content-type"], "text/event-stream; charset=utf-8")
    s.tell("update 2 900.50", "commit")
    while b"event: update" not in a[stream].data:
        c.take(a)
    same(c.request("/api/balances/2").status, 200)
    while b": heartbeat" not in a[stream].data:
        c.take(a)
    c.send(frame(h2.RST_STREAM, 0, stream, struct.pack(">I", h2.CANCEL)))
    same(c.request("/api/balances/2").status, 200)
    c.close()


@test
def put_off(s):
    """A read that waits for an epoch keeps its place; others pass it."""
    c = s.connection()
    slow = c.open("/api/balances/7", headers=[("penstock-wait", "core=999999999")])
    a = {slow: Exchange()}
    same(c.request("/api/balances/8").status, 200)
    c.finish(a)
    same(a[slow].answer().status, 504)
    c.close()


@test
def bodies(s):
    c = s.connection()
    a = c.request("/api/balances", method="POST", body="{}")
    same(a.status, 405)
    a = c.request("/ingest/no/where", method="POST", body="x" * 30000)
    assert a.status in (401, 404), a.status
    a = c.request("/ingest/no/where", method="POST", body="x" * (LIMITS["body_bytes"] + 1))
    assert a.status in (401, 404, 413), a.status
    a = c.request("/admin/nothing", method="POST", body="x" * (LIMITS["body_bytes"] + 1))
    same(a.status, 413)
    same(c.request("/api/balances/8").status, 200)
    c.close()


@test
def body_that_stops(s):
    c = s.connection()
    stream = c.open("/admin/nothing", method="POST", end=False)
    c.body(stream, b"abc", end=False)
    a = c.finish({stream: Exchange()})[stream]
    assert a.reset is not None or a.answer().status in (404, 408, 502), a.blocks
    same(c.request("/api/balances/8").status, 200)
    c.close()


@test
def end_behind_a_wait(s):
    """The request's end comes in a frame of its own, while the read waits."""
    c = s.connection()
    stream = c.open("/api/balances/7", headers=[("penstock-wait", "core=999999999")], end=False)
    same(c.request("/api/balances/8").status, 200)
    c.body(stream, b"")
    same(c.finish({stream: Exchange()})[stream].answer().status, 504)
    c.close()


@test
def end_behind_an_answer(s):
    """The request's end comes behind its answer, which the client does not take: it is given up all the same."""
    c = s.connection(window=0)
    stream = c.open("/api/balances?limit=500", end=False)
    same(c.request("/api/balances/1", method="HEAD").status, 200)
    c.body(stream, b"")
    same(c.finish({stream: Exchange()})[stream].reset, h2.INTERNAL_ERROR)
    c.close()


@test
def end_that_never_comes(s):
    """The answer is out, and the client leaves its side of the stream open."""
    c = s.connection()
    stream = c.open("/api/balances/1", end=False)
    a = c.finish({stream: Exchange()})[stream]
    same(a.answer().status, 200)
    while a.reset is None:
        c.take({stream: a})
    c.close()


@test
def body_while_the_world_changes(s):
    """Batches whose heads come just when a new catalog is taken up, and their bodies a moment later."""
    batch, end = b'["/api/balances/1", "/api/balances/2"]', threading.Event()

    def change():
        while not end.is_set():
            s.tell("generation")
    t = threading.Thread(target=change)
    t.start()
    c = s.connection()
    try:
        for _ in range(100):
            streams = [c.open("/api/$batch", method="POST", end=False) for _ in range(10)]
            for stream in streams:
                c.body(stream, batch)
            for a in c.finish({stream: Exchange() for stream in streams}).values():
                if a.answer().status != 503:  # a catalog after the other: some wait for longer than they may
                    same((a.answer().status, len(a.answer().json())), (200, 2))
    finally:
        end.set()
        t.join()
    c.close()


@test
def real_clients(s):
    url = "https://127.0.0.1:%d" % s.port
    p = subprocess.run(["curl", "-sk", "--http2", "-w", " %{http_code} %{http_version}", url + "/api/balances/42"],
                       capture_output=True, text=True, timeout=30)
    assert p.stdout.endswith(" 200 2"), p.stdout + p.stderr
    p = subprocess.run(["curl", "-sk", "--http2", "-d", "{}", "-w", " %{http_code}", url + "/api/balances"],
                       capture_output=True, text=True, timeout=30)
    assert p.stdout.endswith(" 405"), p.stdout + p.stderr
    p = subprocess.run(["h2load", "-n", "3000", "-c", "10", "-m", "15", url + "/api/balances/42"], capture_output=True, text=True,
                       timeout=60)
    assert "3000 succeeded, 0 failed" in p.stdout, p.stdout


# ---- limits ----

@test
def too_many_streams(s):
    c = s.connection()
    c.request("/api/balances/1")
    c.send(frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))  # answers stay
    for _ in range(LIMITS["h2_streams"] + 1):
        c.open("/api/balances/1")
    same(c.gone(), h2.PROTOCOL_ERROR)
    c.close()


@test
def headers_too_large(s):
    c = s.connection()
    a = c.request("/api/balances/1", headers=[("x-%d" % i, "y" * 4030) for i in range(4)])
    same((a.status, a.json()["code"]), (431, "PENSTOCK_HTTP"))
    a = c.request("/api/balances/1", headers=[("x-%d" % i, "y") for i in range(101)])
    same(a.status, 431)
    a = c.request("/api/balances?x=" + "y" * 9000)
    same(a.status, 414)
    same(c.request("/api/balances/1").status, 200)
    c.close()


def flood(s, make, code=h2.ENHANCE_YOUR_CALM, n=3000):
    c = s.connection()
    same(c.request("/api/balances/1").status, 200)
    try:
        for i in range(0, n, 100):
            c.send(b"".join(make(c, j) for j in range(i, i + 100)))
    except (ConnectionError, h2.ssl.SSLError):
        pass
    got = c.gone()
    assert got in (code if isinstance(code, tuple) else (code,)) or got is None, got
    c.close()
    same(s.get("/api/balances/1").status, 200)


@test
def rapid_reset(s):
    def make(c, j):
        stream, c.next_id = c.next_id, c.next_id + 2
        return frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, h2.encode(c.fields("/api/balances/1"))) + \
            frame(h2.RST_STREAM, 0, stream, struct.pack(">I", h2.CANCEL))
    # A few are let pass; past limits.h2_resets, and far below what nghttp2 would allow by itself, they end the connection.
    c = s.connection()
    c.send(b"".join(make(c, j) for j in range(LIMITS["h2_resets"] - 10)))
    same(c.request("/api/balances/1").status, 200)
    c.send(b"".join(make(c, j) for j in range(30)))
    assert c.gone() in (h2.ENHANCE_YOUR_CALM, h2.INTERNAL_ERROR)
    c.close()
    flood(s, make, (h2.ENHANCE_YOUR_CALM, h2.INTERNAL_ERROR))


@test
def ping_flood(s):
    flood(s, lambda c, j: frame(h2.PING, 0, 0, b"12345678"))


@test
def pings_that_answer(s):
    """Clients that say something to each piece of data, as to measure the way, are no flood."""
    c = s.connection()
    n = LIMITS["h2_control_frames"] * 3
    for i in range(n):
        c.send(frame(h2.PING, 0, 0, b"measured"))
        same(c.request("/api/balances/%d" % (i % 100 + 1)).status, 200)
    c.close()


@test
def settings_flood(s):
    flood(s, lambda c, j: frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 3, j)))


@test
def empty_data_flood(s):
    def make(c, j):
        first = b""
        if j == 0:
            c.stream, c.next_id = c.next_id, c.next_id + 2
            first = frame(h2.HEADERS, h2.END_HEADERS, c.stream, h2.encode(c.fields("/admin/nothing", "POST")))
        return first + frame(h2.DATA, 0, c.stream)
    flood(s, make)


@test
def priority_flood(s):
    flood(s, lambda c, j: frame(h2.PRIORITY, 0, 1 + 2 * (j % 50), struct.pack(">IB", 0, j % 256)), n=5000)


@test
def window_update_flood(s):
    flood(s, lambda c, j: frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)), n=5000)


@test
def continuation_flood(s):
    c = s.connection()
    same(c.request("/api/balances/1").status, 200)
    block = h2.encode([("x-a", "y" * 100)])
    data = frame(h2.HEADERS, h2.END_STREAM, 5, h2.encode(c.fields("/api/balances/1")))
    try:
        c.send(data)
        for _ in range(2000):
            c.send(frame(h2.CONTINUATION, 0, 5, block))
    except (ConnectionError, h2.ssl.SSLError):
        pass
    c.gone()
    c.close()
    same(s.get("/api/balances/1").status, 200)


@test
def headers_that_do_not_end(s):
    c = s.connection()
    c.send(frame(h2.HEADERS, h2.END_STREAM, 1, h2.encode(c.fields("/api/balances/1"))))
    began = time.time()
    c.gone(10)
    assert time.time() - began < 8, "limits.header_timeout does not hold"
    c.close()


@test
def slow_reader(s):
    """A client that never opens its window: its answer is given up, and the connection's others go on."""
    c = s.connection(window=0)
    stream = c.open("/api/balances?limit=500")
    a = c.finish({stream: Exchange()})[stream]
    same(a.reset, h2.INTERNAL_ERROR)
    c.send(frame(h2.SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)))
    same(c.request("/api/balances/1").status, 200)
    c.close()


@test
def too_much_not_taken(s):
    c = s.connection(window=0)
    streams = {c.open("/api/balances?limit=2000"): Exchange() for _ in range(4)}
    last = list(streams)[-1]
    while streams[last].reset is None:
        c.take(streams)
    same(streams[last].reset, h2.REFUSED_STREAM)
    c.close()


@test
def compressed_and_not_taken(s):
    """Answers that wait are as large in memory as on the way, not as before they were compressed."""
    path, zipped = "/api/balances?limit=2000", [("accept-encoding", "gzip")]
    c = s.connection()
    plain, packed = len(c.request(path).body), len(c.request(path, headers=zipped).body)
    assert 16384 < packed < plain / 3, (packed, plain)
    conns, before = [s.connection(window=0) for _ in range(20)], resident(s)
    count = min(LIMITS["h2_streams"], LIMITS["h2_pending_bytes"] // packed)
    for d in conns:
        for _ in range(count):
            d.open(path, headers=zipped)
        same(d.request("/api/balances/1", method="HEAD").status, 200)
    used = resident(s) - before
    assert used < 20 * count * (packed + plain) / 2, (used, count, packed, plain)
    for d in conns:
        d.close()
    c.close()


def resident(s):
    with open("/proc/%d/statm" % s.serve.pid) as f:
        return int(f.read().split()[1]) * 4096


def end_side(c):
    half = socket.socket(fileno=os.dup(c.socket.fileno()))
    half.shutdown(socket.SHUT_WR)
    half.close()


@test
def half_closed(s):
    """A client that ends its side behind its requests is answered; live queries and requests cut short end."""
    c = s.connection(window=1 << 30)
    c.send(frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30)))
    lists = [c.open("/api/balances?limit=1500") for _ in range(2)]
    late = c.open("/api/balances/7", headers=[("penstock-wait", "core=999999999")])
    live = c.open("/api/balances?account_id=lt.3", headers=[("accept", "text/event-stream")])
    cut = c.open("/admin/nothing", method="POST", end=False)
    end_side(c)
    answers, end = {stream: Exchange() for stream in lists + [late, live, cut]}, None
    c.send = lambda data: None
    while end is None:
        try:
            c.take(answers, open_window=False)
        except h2.GoneAway as e:
            same(e.code, h2.NO_ERROR)
        except (EOFError, ConnectionError, h2.ssl.SSLError) as e:
            end = e
    for stream in lists:
        same((answers[stream].answer().status, len(answers[stream].answer().json())), (200, 1500))
    same(answers[late].answer().status, 504)
    assert answers[live].reset is not None and answers[cut].reset is not None
    c.close()


def cpu_ticks(s):
    with open("/proc/%d/stat" % s.serve.pid) as f:
        return sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])


@test
def half_closed_and_not_reading(s):
    """The loop sleeps until its client takes something, or limits.write_timeout."""
    socks = [s.connect() for _ in range(2)]
    for sock in socks:
        sock.sendall(b"GET /api/balances?limit=2000 HTTP/1.1\r\nHost: x\r\n\r\n" * 40)
        half = socket.socket(fileno=os.dup(sock.fileno()))
        half.shutdown(socket.SHUT_WR)
        half.close()
    time.sleep(0.3)
    before = cpu_ticks(s)
    time.sleep(1)
    assert cpu_ticks(s) - before < 50, cpu_ticks(s) - before
    for sock in socks:
        sock.close()


@test
def idle_ends(s):
    c = s.connection()
    same(c.request("/api/balances/1").status, 200)
    same(c.gone(15), h2.NO_ERROR)
    c.close()


@test
def broken_frames(s):
    """Connection errors are said, and end the connection."""
    for data, codes in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", (6,)),
                        (frame(h2.DATA, 0, 1, b"x"), (h2.PROTOCOL_ERROR,)),
                        (frame(h2.HEADERS, 5, 2, h2.encode([(":method", "GET")])), (h2.PROTOCOL_ERROR,)),
                        (frame(h2.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff"), (9,)),
                        (frame(h2.SETTINGS, 0, 0, b"12345"), (6,)),
                        (frame(h2.PING, 0, 0, b"1"), (6,)),
                        (frame(h2.WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7FFFFFFF)), (h2.FLOW_CONTROL,)),
                        (b"\xff\xff\xff\0\0\0\0\0\1", (6, None)),
                        (frame(h2.PUSH, 4, 1, struct.pack(">I", 2)), (h2.PROTOCOL_ERROR,))):
        c = s.connection()
        try:
            c.send(data)
        except ConnectionError:
            pass
        got = c.gone()
        assert got in codes, (data, got)
        c.close()


@test
def broken_requests(s):
    """Stream errors: one request fails, the connection goes on."""
    c = s.connection()
    for fields in ([(":method", "GET"), (":path", "/api/balances/1")],
                   [(":method", "GET"), (":scheme", "https"), (":path", "")],
                   [(":method", "GET"), (":scheme", "https"), (":path", "/x"), ("Upper", "x")],
                   [(":method", "GET"), (":scheme", "https"), (":path", "/x"), ("connection", "close")],
                   [(":method", "GET"), (":scheme", "https"), (":path", "/x"), ("a", "b\r\nc: d")],
                   [(":method", "GET"), (":scheme", "https"), (":path", "/x"), ("te", "gzip")]):
        stream, c.next_id = c.next_id, c.next_id + 2
        c.send(frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, stream, h2.encode(fields)))
        a = c.finish({stream: Exchange()})[stream]
        assert a.reset == h2.PROTOCOL_ERROR or a.answer().status == 400, (fields, a.reset, a.blocks)
    same(c.request("/api/balances/1").status, 200)
    c.close()


@test
def stop_says_goaway(s):
    """Last: the server stops. The request under way is answered, no other is begun."""
    c = s.connection()
    slow = c.open("/api/balances/7", headers=[("penstock-wait", "core=999999999")])
    live = c.open("/api/balances?account_id=lt.3", headers=[("accept", "text/event-stream")])
    a = {slow: Exchange(), live: Exchange()}
    while not a[live].data:
        c.take(a)
    s.serve.terminate()
    code = None
    try:
        while True:
            try:
                c.take(a)
            except h2.GoneAway as e:
                code = e.code
    except (EOFError, ConnectionError, h2.ssl.SSLError):
        pass
    same(code, h2.NO_ERROR)
    assert a[slow].answer().status == 504
    assert a[live].reset is not None, "the live query was not ended"
    same(s.serve.wait(15), 0)


def main():
    args = ["--port", "0"]
    for k, v in LIMITS.items():
        args += ["--limit", f"{k}={v}"]
    site = OverH2(["--rows", str(test_rest.ROWS), "--shards", "3"], args)
    return run_tests(site, [("rest_" + t.__name__, t) for t in reads_of_test_rest()] + [(t.__name__, t) for t in TESTS])


if __name__ == "__main__":
    sys.exit(main())
