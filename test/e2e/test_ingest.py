#!/usr/bin/python3
"""Rows pushed over HTTPS: every form of a body and every refusal; each acknowledged row is there once, whatever was
killed; retries with an Idempotency-Key; reading one's own writes; another number of shards."""

import json
import os
import re
import socket
import subprocess
import threading
import time

from lib import client, procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

TOKEN = "0123456789abcdef0123456789abcdef"
CONFIG = """penstock: 1
sources:
  events:
    ingest:
      token: %s
      tables:
        clicks: { columns: { id: bigint, page: text, at: timestamptz, price: "numeric(8,2)", tags: "text[]", extra: jsonb }, key: [id] }
        lines: { columns: { who: text, n: int } }
        unread: { columns: { a: int, b: text }, key: [a] }
sql:
  - |
    CREATE VIEW all_clicks AS SELECT * FROM events.clicks;
    CREATE VIEW pages AS SELECT page, count(*) AS n FROM events.clicks GROUP BY page;
    CREATE VIEW who AS SELECT who, count(*) AS n, sum(n) AS total FROM events.lines GROUP BY who;
apis: { all_clicks: , pages: , who: }
access: { anonymous: read%s }
server: { listen: "127.0.0.1:{port}" }
store: { checkpoint: 100ms }
"""


def config(extra=""):
    return CONFIG % (TOKEN, extra)


class Pusher:
    """One client with the token."""

    def __init__(self, box, timeout_s=30):
        self.http = box.client(timeout_s)

    def push(self, table, body, method="POST", ndjson=False, key=None, token=TOKEN, headers=None):
        h = dict(headers or {})
        h.setdefault("Content-Type", "application/x-ndjson" if ndjson else "application/json")
        if token:
            h["Authorization"] = "Bearer " + token
        if key:
            h["Idempotency-Key"] = key
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return self.http.request("/ingest/events/" + table, h, method, body if isinstance(body, bytes) else body.encode())

    def must(self, table, body, **how):
        """Pushed until it is taken: a pipeline that has just begun may not do so yet."""
        def taken():
            a = self.push(table, body, **how)
            return a if a.status in (200, 201) else None
        return wait_for(taken, 30, "rows taken")

    def rows(self, api, answer=None, query=""):
        """Of an api; after an answer to a push, with what that stored."""
        headers = {"Penstock-Wait": answer.headers["Penstock-Position"]} if answer else {}
        return json.loads(self.http.get("/api/%s?%s" % (api, query), headers).body)


def forms(report, p):
    a = p.push("clicks", {"id": 1, "page": "/a", "at": "2026-03-01T10:00:00Z", "price": 1.5, "tags": ["x", None, 'q"{'], "extra": {"k": [1, 2.50]}})
    report.equal("forms/object", (a.status, a.json()["rows"]), (201, 1))
    report.check("forms/position", a.headers.get("Penstock-Position") == "events=" + a.json()["position"], dict(a.headers))
    got = p.rows("all_clicks", a)
    report.equal("forms/values", got, [{"id": 1, "page": "/a", "at": "2026-03-01T10:00:00+00:00", "price": 1.5, "tags": ["x", None, 'q"{'], "extra": {"k": [1, 2.50]}}])
    text = p.http.get("/api/all_clicks").body
    report.check("forms/digits", b'"price":1.50' in text, text)
    a = p.push("clicks", [{"id": 2, "page": "/b"}, {"page": "/b", "id": "3"}, {"id": 9007199254740993}])
    report.equal("forms/array", (a.status, a.json()["rows"]), (201, 3))
    report.equal("forms/array/rows", sorted(r["id"] for r in p.rows("all_clicks", a)), [1, 2, 3, 9007199254740993])
    a = p.push("clicks", b'{"id":4,"page":"\\u00e9"}\n\n {"id":5,"page":"/c"} \r\n{"id":6}', ndjson=True)
    report.equal("forms/ndjson", (a.status, a.json()["rows"]), (201, 3))
    report.equal("forms/ndjson/rows", p.rows("all_clicks", a, "id=eq.4&select=page"), [{"page": "\u00e9"}])
    a = p.push("clicks", {"id": 1, "page": "/z"})
    report.equal("forms/upsert", p.rows("all_clicks", a, "id=eq.1&select=page,at"), [{"page": "/z", "at": None}])
    a = p.push("clicks", [{"id": 1}, {"id": 2}, {"id": 77}], method="DELETE")
    report.equal("forms/delete", (a.status, sorted(r["id"] for r in p.rows("all_clicks", a))), (201, [3, 4, 5, 6, 9007199254740993]))
    a = p.push("clicks", [])
    report.equal("forms/none", (a.status, a.json()["rows"]), (201, 0))
    a = p.push("lines", [{"who": "a", "n": 1}, {"who": "a", "n": 1}, {"who": "b"}])
    report.equal("forms/keyless", sorted(r["n"] for r in p.rows("who", a)), [1, 2])
    a = p.push("lines", {"who": "a", "n": 1}, method="DELETE")
    report.equal("forms/keyless/delete", sorted(r["n"] for r in p.rows("who", a)), [1, 1])
    body = b"".join(b'{"id":%d,"page":"/big"}\n' % i for i in range(100000, 120000))
    a = p.push("clicks", body, ndjson=True)
    report.equal("forms/many", (a.status, a.json()["rows"]), (201, 20000))
    report.equal("forms/many/one-epoch", p.rows("pages", a, "page=eq.%2Fbig"), [{"page": "/big", "n": 20000}])


def chunked(box, parts, end=True):
    """The raw answer to a chunked body."""
    s = client.tls_context().wrap_socket(socket.create_connection(("127.0.0.1", box.port), 20))
    s.sendall(b"POST /ingest/events/clicks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() +
              b"\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n")
    for part in parts:
        s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    if not end:
        time.sleep(0.2)
        s.close()
        return b""
    s.sendall(b"0\r\n\r\n")
    got = s.recv(4096)
    s.close()
    return got


def bodies(report, box, p):
    got = chunked(box, [b'{"id":500,"pa', b'ge":"/chunk"}\n{"id":501,"page":"/chunk"}'])
    report.check("bodies/chunked", b" 201 " in got.split(b"\r\n")[0], got)
    chunked(box, [b'{"id":502,"page":"/half"}\n'], end=False)
    s = client.tls_context().wrap_socket(socket.create_connection(("127.0.0.1", box.port), 20))
    s.sendall(b"POST /ingest/events/clicks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TOKEN.encode() +
              b"\r\nContent-Type: application/x-ndjson\r\nContent-Length: 100\r\n\r\n{\"id\":503,\"page\":\"/half\"}\n")
    time.sleep(0.2)
    s.close()
    time.sleep(0.5)
    a = p.push("clicks", {"id": 504})
    report.equal("bodies/broken-off-is-none", p.rows("pages", a, "page=eq./half"), [])
    report.equal("bodies/chunked/rows", p.rows("pages", a, "page=eq./chunk"), [{"page": "/chunk", "n": 2}])
    a = p.push("clicks", b"[" + b" " * (1 << 20) + b"]")
    report.equal("bodies/too-large", (a.status, a.json()["code"]), (413, "PENSTOCK_BODY"))


def refusals(report, p):
    def refused(name, answer, status, code, *texts):
        j = answer.json()
        said = j["message"] + " " + (j["hint"] or "")
        ok = answer.status == status and j["code"] == code and all(t in said for t in texts)
        report.check("refusals/" + name, ok, "%d %s" % (answer.status, answer.body))
    before = len(p.rows("all_clicks", query="id=gte.9000&limit=50"))
    refused("type", p.push("clicks", [{"id": 9000}, {"id": 9001, "at": "yesterday-ish"}]), 400, "PENSTOCK_INGEST_ROW", "row 2, column at", "invalid input syntax for type timestamp")
    refused("range", p.push("clicks", [{"id": 9223372036854775808}]), 400, "PENSTOCK_INGEST_ROW", "row 1, column id", "out of range")
    refused("numeric", p.push("clicks", [{"id": 9000, "price": 1e9}]), 400, "PENSTOCK_INGEST_ROW", "column price", "overflow")
    refused("unknown", p.push("clicks", [{"id": 9000, "pages": "x"}]), 400, "PENSTOCK_INGEST_ROW", "pages", "Perhaps you meant page")
    refused("twice", p.push("clicks", b'{"id":9000,"id":9001}'), 400, "PENSTOCK_INGEST_ROW", "twice")
    refused("no-key", p.push("clicks", [{"page": "x"}]), 400, "PENSTOCK_INGEST_ROW", "row 1, column id")
    refused("null-key", p.push("clicks", [{"id": None}]), 400, "PENSTOCK_INGEST_ROW", "row 1, column id")
    refused("not-an-object", p.push("clicks", [{"id": 9000}, 7]), 400, "PENSTOCK_INGEST_ROW", "row 2", "object")
    refused("nul", p.push("clicks", b'{"id":9000,"page":"a\\u0000b"}'), 400, "PENSTOCK_INGEST_ROW", "column page")
    refused("json", p.push("clicks", b'[{"id":9000},'), 400, "PENSTOCK_INGEST_BODY", "byte")
    refused("utf-8", p.push("clicks", b'{"id":9000,"page":"\xff"}'), 400, "PENSTOCK_INGEST_BODY")
    refused("ndjson", p.push("clicks", b'{"id":9000}\n{"id":', ndjson=True), 400, "PENSTOCK_INGEST_BODY", "line 2")
    refused("empty", p.push("clicks", b""), 400, "PENSTOCK_INGEST_BODY")
    refused("delete-column", p.push("clicks", [{"id": 9000, "page": "x"}], method="DELETE"), 400, "PENSTOCK_INGEST_ROW", "page")
    refused("content-type", p.push("clicks", b"id\n1\n", headers={"Content-Type": "text/csv"}), 415, "PENSTOCK_INGEST_TYPE")
    refused("table", p.push("click", [{"id": 1}]), 404, "PENSTOCK_NOT_FOUND", "Perhaps you meant clicks")
    refused("method", p.push("clicks", [{"id": 1}], method="PUT"), 405, "PENSTOCK_METHOD")
    refused("no-token", p.push("clicks", [{"id": 9000}], token=None), 401, "PENSTOCK_INGEST_ACCESS")
    refused("wrong-token", p.push("clicks", [{"id": 9000}], token=TOKEN[:-1] + "0"), 401, "PENSTOCK_INGEST_ACCESS")
    refused("short-token", p.push("clicks", [{"id": 9000}], token=TOKEN[:-1]), 401, "PENSTOCK_INGEST_ACCESS")
    a = p.http.request("/ingest/nothing/clicks", {"Authorization": "Bearer " + TOKEN}, "POST", b"{}")
    refused("source", a, 404, "PENSTOCK_NOT_FOUND")
    a = p.push("clicks", {"id": 8999})
    report.equal("refusals/nothing-stored", len(p.rows("all_clicks", a, "id=gte.9000&limit=50")), before)
    preflight = p.http.request("/ingest/events/clicks", {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}, "OPTIONS")
    report.check("refusals/preflight", "POST" in preflight.headers.get("Access-Control-Allow-Methods", ""), dict(preflight.headers))


def idempotent(report, p):
    a = p.push("lines", [{"who": "k", "n": 1}], key="one")
    b = p.push("lines", [{"who": "k", "n": 1}], key="one")
    report.equal("key/repeated", (a.status, b.status, b.json().get("repeated"), b.json()["position"]), (201, 200, True, a.json()["position"]))
    c = p.push("lines", [{"who": "k", "n": 2}], key="one")
    report.equal("key/other-body", (c.status, c.json()["code"]), (422, "PENSTOCK_INGEST_KEY"))
    c = p.push("lines", [{"who": "k", "n": 1}], key="two")
    report.equal("key/once-each", [r["n"] for r in p.rows("who", c, "who=eq.k")], [2])
    c = p.push("lines", [{"who": "k", "n": 1}], key="x" * 256)
    report.equal("key/too-long", c.status, 400)


def load(report, box, seconds, kills):
    """Clients push rows of their own, retrying what failed under the same key, while processes are killed."""
    acked, problems, stop = [], [], threading.Event()
    lock = threading.Lock()

    def run(me):
        p = Pusher(box, 10)
        n = 0
        while not stop.is_set():
            n += 1
            rows = [{"who": "c%d" % me, "n": n}] * (1 + n % 3)
            clicks = [{"id": 1000000 * (me + 1) + n, "page": "/load%d" % me}]
            for table, body in (("lines", rows), ("clicks", clicks)):
                while True:
                    try:
                        a = p.push(table, body, key="%d-%d-%s" % (me, n, table))
                    except Exception:
                        p.http.close()
                        time.sleep(0.02)
                        continue
                    if a.status in (200, 201):
                        break
                    if a.status != 503:
                        problems.append(a.body)
                        return
                    time.sleep(0.02)
            with lock:
                acked.append((me, n, len(rows)))
    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(12)]
    for t in threads:
        t.start()
    end = time.monotonic() + seconds
    for k in range(kills):
        time.sleep(seconds / (kills + 1))
        box.kill("pipeline" if k % 3 != 2 else "serve")
    time.sleep(max(0, end - time.monotonic()))
    wait_for(lambda: box.client(5).request("/ready").status == 200, 60, "ready")
    stop.set()
    for t in threads:
        t.join(60)
    report.equal("load/problems", problems, [])
    report.check("load/some", len(acked) > 100, "%d acknowledged" % len(acked))
    report.note("%d pairs of requests acknowledged" % len(acked))
    return acked


def check_load(report, box, name, acked):
    p = Pusher(box)
    a = p.must("unread", {"a": 1, "b": "x"})
    got = {r["who"]: (r["n"], r["total"]) for r in p.rows("who", a) if r["who"].startswith("c")}
    want = {}
    for me, n, rows in acked:
        was = want.get("c%d" % me, (0, 0))
        want["c%d" % me] = (was[0] + rows, was[1] + n * rows)
    report.equal(name + "/keyless-once", got, want)
    pages = {r["page"]: r["n"] for r in p.rows("pages") if r["page"] and r["page"].startswith("/load")}
    counts = {}
    for me, n, _ in acked:
        counts["/load%d" % me] = counts.get("/load%d" % me, 0) + 1
    report.equal(name + "/keyed", pages, counts)


def away(report, box, p):
    """While the pipeline is down: refused with a time to come back, nothing half done; reads go on."""
    os.kill(box.pid("supervisor"), 19)  # SIGSTOP: nobody starts the pipeline again
    try:
        procs.kill(box.pid("pipeline"))
        wait_for(lambda: p.push("clicks", {"id": 7000}).status == 503, 10, "refusal")
        a = p.push("clicks", {"id": 7001})
        report.equal("away/refused", (a.status, a.json()["code"], a.headers.get("Retry-After")), (503, "PENSTOCK_INGEST_AWAY", "1"))
        report.check("away/reads", len(p.rows("pages")) > 0)
    finally:
        os.kill(box.process.pid, 18)
    wait_for(lambda: p.push("clicks", {"id": 7002}).status == 201, 60, "taken again")
    report.ok("away/back")


def broken_off(report, box):
    """The pipeline ends with a request in hand: the client is told that nothing is known, and to send it again."""
    answers = []

    def push():
        try:
            a = Pusher(box).push("clicks", {"id": 7003}, key="broken-off")
            answers.append((a.status, a.json()["code"]))
        except Exception as e:  # pylint: disable=broad-except
            answers.append(e)

    pid = box.pid("pipeline")
    os.kill(pid, 19)
    t = threading.Thread(target=push)
    t.start()
    time.sleep(1)  # it is handed on meanwhile
    procs.kill(pid)
    t.join(30)
    report.equal("broken-off/told", answers, [(503, "PENSTOCK_INGEST_UNKNOWN")])
    report.check("broken-off/again", Pusher(box).must("clicks", {"id": 7003}, key="broken-off").status in (200, 201))


def later_view(report, box, p):
    """A table that no view read was kept all the same, for the view that comes."""
    p.must("unread", [{"a": i, "b": "kept"} for i in range(10, 20)])
    text = config(", ingest: write").replace("apis: {", "apis: { kept: ,").replace(
        "    CREATE VIEW who", "    CREATE VIEW kept AS SELECT b, count(*) AS n FROM events.unread GROUP BY b;\n    CREATE VIEW who")
    box.stop()
    box.write_config(text)
    box.start()
    p = Pusher(box)
    # What was served before is ready at once; the new view is built beside it.
    wait_for(lambda: p.http.request("/api/kept?limit=1").status == 200, 30, "the view that came later")
    report.equal("later/view", p.rows("kept", query="b=eq.kept"), [{"b": "kept", "n": 10}])
    a = p.must("unread", [{"a": 30, "b": "all"}], token=None)
    report.equal("later/anonymous", a.status, 201)
    return p


def other_columns(report, box):
    """Rows that nobody can send again are not given up for another shape of their table."""
    with open(box.config) as f:
        text = f.read()
    changed = text.replace("unread: { columns: { a: int, b: text }", "unread: { columns: { a: int, b: int }")
    pid = box.pid("pipeline")
    with open(box.config, "w") as f:
        f.write(changed)
    for command in ("check", "apply"):
        code, out, err = box.command(command, "-c", box.config, "--data", box.data)
        report.check("shape/%s" % command, code != 0 and "events.unread" in out + err and "other columns" in out + err, "%d %s %s" % (code, out, err))
    report.equal("shape/goes-on", box.pid("pipeline"), pid)
    box.stop()
    code, out, err = box.command("check", "-c", box.config, "--data", box.data)
    report.check("shape/check-stopped", code == 2 and "events.unread" in err, "%d %s %s" % (code, out, err))
    code, out, err = box.command("pipeline-process", "-c", box.config, "--data", box.data)
    report.check("shape/refused", code == 2 and "events.unread" in err, "%d %s" % (code, err))
    with open(box.config, "w") as f:
        f.write(text)
    box.start()
    report.equal("shape/back", Pusher(box).rows("kept", query="b=eq.kept"), [{"b": "kept", "n": 10}])


def backed_up(report, box):
    """A backup has what the views had; an instance restored from it takes rows and goes on."""
    p = Pusher(box)
    p.rows("who", p.must("lines", [{"who": "before", "n": 1}]))
    copy = os.path.join(box.dir, "copy")
    code, out, err = box.command("backup", "-c", box.config, "--data", box.data, copy)
    report.check("backup/made", code == 0, out + err)
    p.rows("who", p.must("lines", [{"who": "after", "n": 1}]))
    with open(box.config) as f:
        other = Penstock(f.read().replace(":%d" % box.port, ":{port}"), shards=box.shards, name="restored")
    code, out, err = other.command("restore", "-c", other.config, "--data", other.data, copy)
    report.check("backup/restored", code == 0, out + err)
    other.start()
    q = Pusher(other)
    who = {r["who"]: r for r in q.rows("who")}
    report.check("backup/rows", "before" in who and "after" not in who, sorted(who))
    report.equal("backup/clicks", len(q.rows("all_clicks", query="select=id")), len(p.rows("all_clicks", query="select=id")))
    for n in (1, 2):
        rows = q.rows("who", q.must("lines", [{"who": "anew", "n": 1}]), query="who=eq.anew")
        report.equal("backup/goes-on-%d" % n, rows[0]["n"], n)
        report.equal("backup/stop-%d" % n, other.stop(), 0)
        if n == 1:
            other.start()
            q = Pusher(other)


KEEP_S = 4
RETENTION = """penstock: 1
sources:
  events:
    ingest:
      log_bytes: 1MiB
      tables:
        hits: { columns: { id: bigint, at: timestamptz }, key: [id], retention: { column: at, keep: %ds } }
        log: { columns: { what: text, at: timestamp }, retention: { column: at, keep: %ds } }
sql:
  - |
    CREATE VIEW hits AS SELECT id, at FROM events.hits;
    CREATE VIEW log AS SELECT what, count(*) AS n FROM events.log GROUP BY what;
apis: { hits: , log: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
""" % (KEEP_S, KEEP_S)


def at(offset_s):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + offset_s)) + "Z"


def retention(report, box):
    """Rows go by the clock, from the views and from the mirror, also when nothing ran as their time came."""
    p = Pusher(box)

    def push(table, rows):
        return p.must(table, rows, token=None)

    def ids():
        return {r["id"] for r in p.rows("hits")}
    a = push("hits", [{"id": 1, "at": at(-60)}, {"id": 2, "at": at(0)}, {"id": 3}, {"id": 4, "at": at(3600)}, {"id": 5, "at": "infinity"}])
    report.equal("retention/late-is-accepted", a.json()["rows"], 5)
    report.equal("retention/late-is-not-seen", {r["id"] for r in p.rows("hits", a)} - {2}, {3, 4, 5})
    push("log", [{"what": "a", "at": at(0)}, {"what": "a", "at": at(0)}, {"what": "b", "at": at(3600)}])
    wait_for(lambda: ids() == {3, 4, 5}, 20, "the row is over")
    wait_for(lambda: [(r["what"], r["n"]) for r in p.rows("log")] == [("b", 1)], 20, "the bag's rows are over")
    report.ok("retention/goes-by-the-clock")
    a = push("hits", [{"id": 4, "at": at(-60)}])
    report.equal("retention/late-upsert", {r["id"] for r in p.rows("hits", a)}, {3, 5})
    push("hits", [{"id": i, "at": at(0)} for i in range(100, 2100)])
    box.kill_all()
    time.sleep(KEEP_S + 1)
    box.start()
    p.http.close()
    wait_for(lambda: ids() == {3, 5}, 30, "rows that were over while nothing ran")
    report.ok("retention/over-while-away")
    push("hits", [{"id": i, "at": at(0)} for i in range(100, 2100)])
    text = box.command("status", "-c", box.config, "--data", box.data)[1]
    said = re.search(r"^events: ([\d,]+) rows were pushed since the pipeline began; its log takes ", text, re.M)
    report.check("status/text", said and int(said[1].replace(",", "")) > 0, text)
    box.stop()
    box.shards = 3
    box.start()
    p.http.close()
    wait_for(lambda: ids() == {3, 5}, 30, "rows that are over in another number of shards")
    report.ok("retention/repartitioned")
    s = [s for s in box.status()["sources"] if s["name"] == "events"][0]
    report.check("retention/counted", s["expired"] >= 2000 and s["late"] == 0, s)
    first = p.http.get("/api/hits").epoch
    time.sleep(1)
    report.equal("retention/no-idle-epochs", p.http.get("/api/hits").epoch, first)


def full_disk(report, box):
    """The log's disk fills up: refused with nothing half done, and taken again once there is space."""
    logs = os.path.join(box.data, "ingest")
    box.stop()
    for name in os.listdir(os.path.join(logs, "events")):
        os.remove(os.path.join(logs, "events", name))  # all was applied: a new log begins where it was
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", logs], check=True)
    try:
        box.start()
        p = Pusher(box)
        filler = os.path.join(logs, "filler")
        p.must("hits", [{"id": 1, "at": at(3600)}], token=None)
        fd = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(fd, b"x" * 4096):
                pass
        except OSError:
            os.close(fd)
        taken, a = [], None
        for i in range(10, 2000):
            a = p.push("hits", [{"id": i, "at": at(3600)}], token=None)
            if a.status != 201:
                break
            taken.append(i)
        report.equal("full/refused", (a.status, a.json()["code"]), (507, "PENSTOCK_INGEST_FULL"))
        report.check("full/reads", len(p.rows("hits")) > 0)
        os.remove(filler)
        a = p.must("hits", [{"id": 5000, "at": at(3600)}], token=None)
        report.equal("full/goes-on", {r["id"] for r in p.rows("hits", a)}, {1, 3, 5, 5000} | set(taken))
        box.kill_all()
        box.start()
        a = Pusher(box).must("hits", [{"id": 5001, "at": at(3600)}], token=None)
        report.equal("full/after-a-kill", {r["id"] for r in Pusher(box).rows("hits", a)}, {1, 3, 5, 5000, 5001} | set(taken))
        box.stop()
    finally:
        box.kill_all()
        subprocess.run(["umount", logs], check=True)


def damaged(report, box):
    """A record that was acknowledged is damaged: the source stops and says so, what is stored is served."""
    folder = os.path.join(box.data, "ingest", "events")
    box.start()
    p = Pusher(box)
    for i in range(3):
        p.must("hits", [{"id": 7000 + i, "at": at(3600)}], token=None)
    box.stop()
    path = os.path.join(folder, sorted(os.listdir(folder))[-1])
    with open(path, "r+b") as f:
        data = f.read()
        f.seek(len(data) // 2)
        f.write(bytes([data[len(data) // 2] ^ 255]))
    box.start()
    s = wait_for(lambda: [s for s in box.status()["sources"] if s["state"] == "failed"], 30, "the source to fail")[0]
    report.check("damaged/said", ".log: the record at byte" in s["error"] and "damaged" in s["error"], s)
    p = Pusher(box)
    report.equal("damaged/refused", p.push("hits", [{"id": 1}], token=None).status, 503)
    report.check("damaged/reads", 7002 in {r["id"] for r in p.rows("hits")})
    box.stop()
    with open(path, "wb") as f:
        f.write(data)
    box.start()
    Pusher(box).must("hits", [{"id": 7003, "at": at(3600)}], token=None)
    report.ok("damaged/put-back")


def told(report, box, p):
    s = [s for s in box.status()["sources"] if s["name"] == "events"][0]
    report.check("told/status", s["state"] == "streaming" and s["accepted"] > 0 and s["refused"] > 0 and s["log_bytes"] > 0, s)
    metrics = p.http.get("/metrics").body.decode()
    report.check("told/metrics", 'penstock_source_accepted_total{source="events"}' in metrics, metrics[-300:])
    code, out, _ = box.command("check", "-c", box.config)
    report.check("told/check", code == 0 and "events.clicks: 6 columns, key id" in out and "events.lines: 2 columns, no key" in out, out)


def main():
    with Report("test_ingest", 600) as report:
        box = Penstock(config(), shards=2, name="ingest").start()
        p = Pusher(box)
        report.section("forms", forms, report, p)
        report.section("bodies", bodies, report, box, p)
        report.section("refusals", refusals, report, p)
        report.section("key", idempotent, report, p)
        report.section("told", told, report, box, p)
        report.section("away", away, report, box, p)
        report.section("broken off", broken_off, report, box)
        acked = report.section("load", load, report, box, 12, 5)
        if acked:
            check_load(report, box, "killed", acked)
            box.kill_all()
            box.start()
            check_load(report, box, "killed-whole", acked)
            box.stop()
            box.shards = 3
            box.start()
            check_load(report, box, "repartitioned", acked)
        first = Pusher(box).must("lines", [{"who": "k", "n": 1}], key="late")
        report.equal("key/late", first.status, 201)
        box.stop()
        box.start()
        p = Pusher(box)
        b = p.must("lines", [{"who": "k", "n": 1}], key="late")
        report.equal("key/after-restarts", (b.status, b.json().get("repeated")), (200, True))
        report.section("later", later_view, report, box, p)
        report.section("shape", other_columns, report, box)
        report.section("backup", backed_up, report, box)
        box.verify(report, "running")
        report.equal("stop", box.stop(), 0)
        box.verify(report, "stopped")
        box = Penstock(RETENTION, shards=2, name="retention").start()
        report.section("retention", retention, report, box)
        report.section("full", full_disk, report, box)
        report.section("damaged", damaged, report, box)
        box.verify(report, "retention-running")
        report.equal("stop/retention", box.stop(), 0)
        box.verify(report, "retention-stopped")


if __name__ == "__main__":
    main()
