#!/usr/bin/python3
"""What one caller or address may use up, what other origins' pages are told, and what the audit keeps: each limit at its edge and
past it, other callers unharmed."""

import json
import os
import socket
import ssl
import time

from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

VIEWS = "CREATE VIEW acc AS SELECT id, branch, owner FROM g.accounts;\n"
CONFIG = """penstock: 1
sources:
  g:
    generator: { workload: bank, rate: 1, seed: 1 }
sql: [ views.sql ]
apis:
  acc:
access:
  roles:
    r: { acc: read }
    s: {}
    k: { acc: { columns: [owner] } }
cores: { serve: 1 }
limits: { %s }
server: { listen: "127.0.0.1:{port}"%s }
"""


class Box(Penstock):
    def __init__(self, limits="", server="", rate=1):
        Penstock.__init__(self, CONFIG.replace("%s", limits, 1).replace("%s", server, 1).replace("rate: 1,", "rate: %d," % rate), VIEWS, name="access-limits")
        self.start()
        self.http = self.client()

    def token(self, role, *more):
        code, out, err = self.command("token", "create", "-c", self.config, "--data", self.data, "--role", role, *more)
        if code:
            raise RuntimeError(err)
        token = out.strip()
        wait_for(lambda: self.get(token).status != 401, 20, "the token")
        return token

    def get(self, token=None, path="/api/acc?limit=1", client=None, **more):
        headers = dict(more, **({"Authorization": "Bearer " + token} if token else {}))
        return (client or self.http).request(path, headers)

    def audit(self):
        with open(os.path.join(self.data, "audit", "audit.jsonl")) as f:
            return [json.loads(line) for line in f]


def rates(report):
    box = Box("caller_requests: 5")
    t, other = box.token("r"), box.token("r")
    answers = [box.get(t) for _ in range(30)]
    refused = [a for a in answers if a.status == 429]
    report.check("caller/some-taken", any(a.status == 200 for a in answers))
    report.check("caller/refused", len(refused) >= 10, str([a.status for a in answers]))
    a = refused[0]
    report.check("caller/says-so", a.json()["code"] == "PENSTOCK_RATE" and int(a.headers["Retry-After"]) >= 1, "%s %s" % (a.headers, a.body))
    report.check("caller/other-unharmed", box.get(other).status == 200)
    report.check("caller/health", box.get(t, "/health").status == 200)
    wait_for(lambda: box.get(t).status == 200, 20, "again later")
    box.stop()
    box = Box("address_requests: 5")
    answers = [box.get() for _ in range(30)]
    report.check("address", [a.status for a in answers].count(429) >= 10 and answers[0].status == 401, str([a.status for a in answers]))
    box.stop()


def failures(report):
    box = Box("auth_failures: 5")
    code, out, err = box.command("token", "create", "-c", box.config, "--data", box.data, "--role", "r")
    good = out.strip()
    wait_for(lambda: box.get(good).status == 200, 20, "the token")
    answers = [box.get("wrong%d" % i) for i in range(12)]
    statuses = [a.status for a in answers]
    report.check("failures", statuses.count(401) <= 6 and statuses.count(429) >= 6, str(statuses))
    report.check("failures/known-goes-on", box.get(good).status == 200)
    report.check("failures/anonymous-goes-on", box.get().status == 401)
    box.stop()


def crowds(report):
    box = Box("address_connections: 3, caller_subscribers: 2")
    box.http.close()
    t = None
    held = []
    for _ in range(3):
        c = box.client()
        held.append((c, c.request("/health").status))
    report.check("connections/at", [s for _, s in held] == [200] * 3, str(held))
    try:
        status = box.client(5).request("/health").status
    except Exception as e:
        status = type(e).__name__
    report.check("connections/past", status != 200, str(status))
    for c, _ in held:
        c.close()
    wait_for(lambda: box.client(5).request("/health").status == 200, 20, "room again")
    box.stop()
    box = Box("caller_subscribers: 2")
    t, other = box.token("r"), box.token("r")
    lives = [box.events("/api/acc?id=eq.%d" % i, headers={"Authorization": "Bearer " + t}) for i in range(2)]
    a = box.get(t, "/api/acc?id=eq.9", Accept="text/event-stream")
    report.check("subscribers/past", a.status == 429 and a.json()["code"] == "PENSTOCK_RATE" and "Retry-After" in a.headers, "%d %s" % (a.status, a.body))
    lives.append(box.events("/api/acc?id=eq.1", headers={"Authorization": "Bearer " + other}))
    lives[0].close()
    wait_for(lambda: box.events("/api/acc?id=eq.7", headers={"Authorization": "Bearer " + t}), 20, "room for one")
    for live in lives[1:]:
        live.close()
    box.stop()


def audited(report):
    box = Box()
    t = box.token("s", "--name", "for \"tests\"\n")
    box.get(t, "/api/acc?id=eq.secret-in-query")
    box.get("pst_" + "B" * 43)
    box.get()
    lines = box.audit()
    denied = [l for l in lines if l["event"] == "access.denied"]
    codes = {l["code"] for l in denied}
    report.check("audit/denials", {"42501", "PGRST301", "PGRST302"} <= codes, str(lines)[-800:])
    forbidden = [l for l in denied if l["code"] == "42501"]
    report.check("audit/who", forbidden and forbidden[-1]["role"] == "s" and "tests" in forbidden[-1]["caller"] and forbidden[-1]["address"] == "127.0.0.1"
                 and forbidden[-1]["path"] == "/api/acc" and forbidden[-1]["status"] == "403", str(forbidden[-1:]))
    created = [l for l in lines if l["event"] == "token.created"]
    report.check("audit/created", len(created) == 1 and created[0]["role"] == "s" and created[0]["uid"] == str(os.getuid()), str(created))
    for _ in range(400):
        box.get()
    report.check("audit/bounded", len(box.audit()) < 200, str(len(box.audit())))
    box.command("token", "revoke", created[0]["token"], "-c", box.config, "--data", box.data)
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data, timeout_s=60)
    events = [l["event"] for l in box.audit()]
    report.check("audit/administration", "token.revoked" in events and "config.applied" in events, "%s %s" % (events[-3:], err))
    text = open(os.path.join(box.data, "audit", "audit.jsonl")).read() + box.log_text()
    report.check("audit/no-tokens", t not in text and "BBBB" not in text and "secret-in-query" not in text)
    report.check("audit/mode", os.stat(os.path.join(box.data, "audit", "audit.jsonl")).st_mode & 0o777 == 0o600)
    big = os.path.join(box.data, "audit", "audit.jsonl")
    with open(big, "a") as f:
        f.write("x" * (4 << 20) + "\n")
    box.command("token", "list", "-c", box.config, "--data", box.data)
    wait_for(lambda: box.get() and os.path.getsize(big) < 1 << 20, 20, "turned over")
    report.check("audit/turned", os.path.getsize(os.path.join(box.data, "audit", "audit.1.jsonl")) > 4 << 20)
    box.stop()


def origins(report):
    def upgrade(box, origin, host=None, token=None):
        """The status of a WebSocket's handshake from a page of that origin."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        with tls.wrap_socket(socket.create_connection(("127.0.0.1", box.port), 10)) as s:
            s.sendall(("GET /api/acc?limit=1 HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: penstock.live.v1%s\r\n%s\r\n" %
                       (host or "127.0.0.1:%d" % box.port, ", penstock.bearer." + token if token else "", "Origin: %s\r\n" % origin if origin else "")).encode())
            head = s.recv(64).split()
        return int(head[1])

    def ask(box, origin, **more):
        return box.http.request("/health", dict(more, Origin=origin)).headers.get("Access-Control-Allow-Origin")
    box = Box()
    report.check("cors/any", ask(box, "https://a.example") == "*")
    report.check("cors/websocket/any", upgrade(box, "https://a.example", token=box.token("r")) == 101)
    box.stop()
    box = Box(server=', cors: { origins: [ "https://app.example", "https://b.example:8443" ] }')
    report.check("cors/listed", ask(box, "https://app.example") == "https://app.example" and ask(box, "https://b.example:8443") == "https://b.example:8443")
    for other in ("https://app.example.evil", "https://app.exampl", "http://app.example", "null", "https://b.example"):
        report.check("cors/not/" + other, ask(box, other) is None)
    t = box.token("r")
    for name, origin, host, status in (("listed", "https://app.example", None, 101), ("none", None, None, 101), ("own", "https://x.example", "x.example", 101),
                                       ("other", "https://a.example", None, 403), ("null", "null", None, 403), ("http", "http://x.example", "x.example", 403)):
        report.check("cors/websocket/" + name, upgrade(box, origin, host, t) == status)
    a = box.http.request("/api/acc", {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}, "OPTIONS")
    report.check("cors/preflight", a.status == 200 and "Authorization" in a.headers["Access-Control-Allow-Headers"] and "Origin" in ",".join(a.headers.get_all("Vary") or []), str(a.headers))
    report.check("cors/no-credentials", "Access-Control-Allow-Credentials" not in a.headers)
    box.stop()
    box = Box(server=", cors: { origins: none }")
    report.check("cors/none", ask(box, "https://app.example") is None)
    box.stop()


def waits(report):
    """One request is one, however many epochs it waits through."""
    box = Box("caller_requests: 2, wait: 20s", rate=500)
    t = box.token("r")
    wait_for(lambda: box.get(t).status == 200, 20, "room")
    time.sleep(3)  # it is full again
    epoch = int(box.get(None, "/health").json()["epoch"])
    a = box.http.request("/api/acc?limit=1", {"Authorization": "Bearer " + t, "Penstock-At-Least": str(epoch + 100)})
    report.check("waits/once", a.status == 200 and int(a.headers["Penstock-Epoch"]) >= epoch + 100, "%d %s" % (a.status, a.body[:200]))
    box.stop()


def hints(report):
    """The index that would serve a walk by cursors, whose order ends with the key: without columns that the role does not know."""
    box = Box("scan_rows: 5")
    path = "/api/acc?owner=gt.a&cursor="
    all, some = box.get(box.token("r"), path).body.decode(), box.get(box.token("k"), path).body.decode()
    report.check("hints/all", "CREATE INDEX ON acc (owner, id);" in all, all)
    report.check("hints/some", "CREATE INDEX ON acc (owner);" in some, some)
    box.stop()


with Report("test_access_limits.py", 120) as report:
    report.section("rates", rates, report)
    report.section("failures", failures, report)
    report.section("crowds", crowds, report)
    report.section("audited", audited, report)
    report.section("origins", origins, report)
    report.section("hints", hints, report)
    report.section("waits", waits, report)
