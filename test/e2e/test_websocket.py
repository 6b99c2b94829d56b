#!/usr/bin/env python3
"""Live queries over WebSocket, with clients that others wrote (Python's websockets, npm's ws, the browser's WebSocket and EventSource)
and with what no client would send."""

import http.server
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import fetched
from lib.report import Report
from lib.rest import PLAIN, Site

sys.path.insert(0, fetched.python("websockets==13.1"))
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

QUERY = "/api/balances?account_id=lt.4&select=account_id,balance"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def url(site, path=QUERY):
    return "wss://localhost:%d%s" % (site.port, path)


def client(site, path=QUERY, **kw):
    kw.setdefault("subprotocols", ["penstock.live.v1"])
    return connect(url(site, path), ssl=PLAIN, **kw)


def until_epoch(ws):
    out = []
    while not out or out[-1]["event"] != "epoch":
        m = json.loads(ws.recv(timeout=10))
        if m["event"] != "heartbeat":
            out.append(m)
    return out


# ---- by hand ----

class Raw:
    """A handshake of our own, then frames of any kind."""

    def __init__(self, site, path=QUERY, **headers):
        h = {"Host": "localhost:%d" % site.port, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
        h.update(headers)
        self.s = site.connect(10)
        self.s.sendall(("GET %s HTTP/1.1\r\n" % path + "".join("%s: %s\r\n" % kv for kv in h.items() if kv[1] is not None) + "\r\n").encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            more = self.s.recv(65536)
            if not more:
                break
            self.data += more
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.status = int(head.split()[1])
        self.head = head.decode()

    def frame(self, first, payload=b"", mask=b"\1\2\3\4"):
        n = len(payload)
        size = bytes([0x80 | n]) if n < 126 else b"\xfe" + struct.pack(">H", n) if n < 65536 else b"\xff" + struct.pack(">Q", n)
        return bytes([first]) + size + mask + bytes(c ^ mask[i & 3] for i, c in enumerate(payload))

    def send(self, data):
        self.s.sendall(data)

    def _need(self, n):
        while len(self.data) < n:
            more = self.s.recv(65536)
            if not more:
                raise EOFError
            self.data += more

    def take(self):
        """(opcode, payload) of the next frame that is no text; None at the end."""
        try:
            while True:
                self._need(2)
                n, at = self.data[1], 2
                assert not n & 0x80, "a server does not mask"
                if n >= 126:
                    at = 4 if n == 126 else 10
                    self._need(at)
                    n = int.from_bytes(self.data[2:at], "big")
                self._need(at + n)
                op, payload = self.data[0], self.data[at:at + n]
                self.data = self.data[at + n:]
                if op != 0x81:
                    return op, payload
                json.loads(payload)
        except (EOFError, ConnectionError):
            return None

    def closed(self):
        """The code that it is closed with; pings in between are let pass."""
        f = self.take()
        while f and f[0] == 0x89:
            f = self.take()
        code = int.from_bytes(f[1][:2], "big") if f and f[0] == 0x88 and len(f[1]) >= 2 else f
        end = self.take() is None
        self.s.close()
        return code if end else "goes on"


def handshakes(report, site):
    r = Raw(site, **{"Sec-WebSocket-Protocol": "other, penstock.live.v1"})
    report.equal("handshake/status", r.status, 101)
    report.check("handshake/accept", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in r.head, r.head)
    report.check("handshake/protocol", "Sec-WebSocket-Protocol: penstock.live.v1" in r.head, r.head)
    report.check("handshake/no-extension", "extension" not in r.head.lower(), r.head)
    r = Raw(site, **{"Sec-WebSocket-Extensions": "permessage-deflate"})
    report.check("handshake/deflate-is-not-negotiated", r.status == 101 and "extension" not in r.head.lower() and "Protocol:" not in r.head, r.head)
    r = Raw(site, **{"Sec-WebSocket-Version": "8"})
    report.check("handshake/version", r.status == 426 and "Sec-WebSocket-Version: 13" in r.head, r.head)
    for name, value in (("short", "abc"), ("none", None), ("long", KEY + "=")):
        report.equal("handshake/key-" + name, Raw(site, **{"Sec-WebSocket-Key": value}).status, 400)
    report.equal("handshake/not-found", Raw(site, "/api/nosuch").status, 404)
    report.equal("handshake/wrong-query", Raw(site, "/api/balances?nosuch=eq.1").status, 400)
    report.equal("handshake/not-upgraded", Raw(site, QUERY, Connection="keep-alive").status, 200)  # the list
    report.equal("handshake/wrong-token", Raw(site, **{"Sec-WebSocket-Protocol": "penstock.live.v1, penstock.bearer.pst_x"}).status, 401)


def frames(report, site):
    r = Raw(site)
    r.send(r.frame(0x89, b"are you there"))
    pong = r.take()
    report.equal("frames/pong", pong, (0x8A, b"are you there"))
    r.send(r.frame(0x81, "hé".encode()) + r.frame(0x01, b"frag") + r.frame(0x89, b"2") + r.frame(0x80, b"ments"))
    report.equal("frames/text-is-let-pass", r.take(), (0x8A, b"2"))
    r.send(r.frame(0x88, b"\x03\xe8bye"))
    report.equal("frames/close", r.closed(), 1000)
    for name, data, code in (
            ("not-masked", b"\x81\x02hi", 1002), ("reserved-bit", lambda r: r.frame(0xC1, b"x"), 1002), ("opcode", lambda r: r.frame(0x83, b"x"), 1002),
            ("continuation", lambda r: r.frame(0x80, b"x"), 1002), ("binary", lambda r: r.frame(0x82, b"x"), 1003), ("not-utf8", lambda r: r.frame(0x81, b"\xff"), 1007),
            ("long-message", lambda r: r.frame(0x81, b"x" * 70000), 1009), ("long-ping", b"\x89\xfe\x01\x00" + b"\0" * 260, 1002),
            ("close-code", lambda r: r.frame(0x88, b"\x03\xed"), 1002)):
        r = Raw(site)
        r.send(data if isinstance(data, bytes) else data(r))
        report.equal("frames/" + name, r.closed(), code)
    r = Raw(site)  # a flood of pings whose answers nobody reads: bounded, then closed; others do not notice
    r.s.settimeout(2)
    sent = 0
    try:
        while sent < 64 << 20:
            r.send(r.frame(0x89, b"x" * 125) * 500)
            sent += 131 * 500
    except (OSError, socket.timeout):
        pass
    r.s.close()
    report.equal("frames/flood-of-pings", site.get("/api/balances/1").status, 200)
    pending = int(re.search(r"penstock_http_pending_bytes (\d+)", site.get("/metrics").body.decode()).group(1))
    report.check("frames/flood-is-bounded", pending < 4 << 20, pending)


def silent(report, site):
    """Who does not answer pings is gone."""
    r = Raw(site)
    r.s.settimeout(10)
    started = time.monotonic()
    while r.take():
        pass
    report.check("silent/dropped", time.monotonic() - started < 8, time.monotonic() - started)


# ---- clients ----

def python_client(report, site):
    with client(site) as ws:
        report.equal("python/subprotocol", ws.subprotocol, "penstock.live.v1")
        first = until_epoch(ws)
        report.equal("python/first", [m["event"] for m in first], ["insert"] * 3 + ["epoch"])
        epoch = site.tell("update 2 5.25", "commit")
        changes = until_epoch(ws)
        report.equal("python/change", [(m["event"], m["data"]) for m in changes], [("update", {"account_id": 2, "balance": 5.25}), ("epoch", {"epoch": epoch})])
        last = changes[-1]["id"]
        time.sleep(1)
        beats = [json.loads(ws.recv(timeout=5)) for _ in range(2)]
        report.check("python/heartbeat", all(m["event"] == "heartbeat" and m["id"].startswith("%d-" % epoch) for m in beats), beats)
        ws.send("hello")
    site.tell("update 3 7", "commit")
    with client(site, QUERY + "&last_event_id=" + last) as ws:
        report.equal("python/resumed", [(m["event"], m["data"].get("account_id")) for m in until_epoch(ws)], [("update", 3), ("epoch", None)])
    with client(site, QUERY + "&last_event_id=1-deadbeef") as ws:
        report.equal("python/reset", [m["event"] for m in until_epoch(ws)], ["reset"] + ["insert"] * 3 + ["epoch"])
    try:
        client(site, "/api/balances?limit=99999").close()
        report.check("python/refused", False, "it was taken")
    except InvalidStatus as e:
        report.check("python/refused", e.response.status_code == 400 and b"limits.live_window" in e.response.body, e.response.body)


def node_client(report, site):
    script = """
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[1], ['penstock.live.v1'], { rejectUnauthorized: false });
let epochs = 0;
ws.on('upgrade', () => console.log(JSON.stringify({ extensions: ws.extensions })));
ws.on('message', (data, binary) => {
  console.log(binary ? 'binary' : data.toString());
  if (JSON.parse(data).event === 'epoch' && ++epochs === 2) ws.close(1000, 'enough');
});
ws.on('close', (code) => console.log(JSON.stringify({ closed: code })));
ws.on('error', (e) => console.log(JSON.stringify({ error: String(e) })));
"""
    env = dict(os.environ, NODE_PATH=fetched.npm("ws@8.18.0"))
    p = subprocess.Popen(["node", "-e", script, url(site)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    while not any('"epoch"' in l and '"event"' in l for l in lines):
        line = p.stdout.readline()
        if not line:
            break
        lines.append(line)
    site.tell("update 1 8.5", "commit")
    lines += p.communicate(timeout=30)[0].splitlines()
    got = [json.loads(l) for l in lines if l.startswith("{")]
    events = [m["event"] for m in got if m.get("event") not in (None, "heartbeat")]
    report.equal("node/events", events, ["insert"] * 3 + ["epoch", "update", "epoch"])
    report.check("node/closed", {"closed": 1000} in got, lines)


PAGE = """<!doctype html><script>
const tell = (what) => fetch('/told', { method: 'POST', body: JSON.stringify(what) });
const site = 'SITE', events = [], messages = [];
const source = new EventSource('https://' + site);
for (const name of ['insert', 'update', 'delete', 'epoch'])
  source.addEventListener(name, (e) => { events.push([name, JSON.parse(e.data), e.lastEventId]); if (name === 'epoch') tell({ events }); });
const ws = new WebSocket('wss://' + site, ['penstock.live.v1']);
ws.onmessage = (e) => { const m = JSON.parse(e.data); if (m.event === 'heartbeat') return;
  messages.push([m.event, m.data, m.id || '']); if (m.event === 'epoch') tell({ messages }); };
ws.onclose = (e) => tell({ closed: e.code });
</script>"""


def browser(report, site):
    told = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.replace("SITE", "127.0.0.1:%d%s" % (site.port, QUERY)).encode())

        def do_POST(self):
            told.update(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="penstock-browser-") as home:
        p = subprocess.Popen(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--ignore-certificate-errors",
                              "--disable-background-networking", "--user-data-dir=" + home, "http://127.0.0.1:%d/" % server.server_port],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

        def wait(name, count):
            end = time.monotonic() + 40
            while time.monotonic() < end and sum(e[0] == "epoch" for e in told.get(name, [])) < count:
                time.sleep(0.1)
            return told.get(name, [])
        try:
            for name in ("events", "messages"):
                report.equal("browser/%s-first" % name, [e[0] for e in wait(name, 1)], ["insert"] * 3 + ["epoch"])
            epoch = site.tell("update 3 19.75", "commit")
            for name in ("events", "messages"):
                got = wait(name, 2)[4:]
                report.equal("browser/%s-change" % name, [e[:2] for e in got], [["update", {"account_id": 3, "balance": 19.75}], ["epoch", {"epoch": epoch}]])
                report.check("browser/%s-id" % name, got and got[-1][2].startswith("%d-" % epoch), got)
            site.serve.terminate()
            site.serve.wait(20)
            end = time.monotonic() + 10
            while time.monotonic() < end and "closed" not in told:
                time.sleep(0.1)
            report.equal("browser/closed", told.get("closed"), 1001)
        finally:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
            server.shutdown()


def main():
    with Report("test_websocket", 200) as report:
        site = Site(["--rows", "100"], ["--limit", "heartbeat_us=400000", "--limit", "write_timeout_us=3000000"])
        try:
            site.wait_ready()
            for part in (handshakes, frames, silent, python_client, node_client, browser):
                report.section(part.__name__, part, report, site)
        finally:
            site.close()


if __name__ == "__main__":
    main()
