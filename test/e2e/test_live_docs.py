#!/usr/bin/env python3
"""The examples of docs/live.md are run as they stand, but for the port: with curl, in Python, and in a browser."""

import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import fetched
from lib.report import Report
from lib.rest import Site

TEXT = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "live.md").read_text()


def examples(site, language):
    return [b.replace("localhost:8443", "127.0.0.1:%d" % site.port) for b in re.findall(r"(?ms)^```%s\n(.*?)^```" % language, TEXT)]


def until(lines, found, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(found(l) for l in list(lines)):
            return True
        time.sleep(0.05)
    return False


def start(command, **kw):
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, **kw)
    lines = []

    def read():
        for line in p.stdout:
            lines.append(line.rstrip("\n"))
    threading.Thread(target=read, daemon=True).start()
    return p, lines


def end(p):
    os.killpg(p.pid, signal.SIGKILL)
    p.wait()


def with_curl(report, site):
    for example in examples(site, "sh"):
        if "curl" not in example or "event-stream" not in example:
            continue
        p, lines = start(["bash", "-c", example])
        ok = until(lines, lambda l: l == "event: epoch")
        epoch = site.tell("update 7 55.5", "commit")
        ok = ok and until(lines, lambda l: l.startswith("id: %d-" % epoch))
        end(p)
        report.check("curl", ok and 'data: {"account_id":7,"balance":55.5}' in lines, lines[-6:])


def with_python(report, site):
    for example in examples(site, "python"):
        env = dict(os.environ, PYTHONPATH=fetched.python("websockets==13.1"))
        p, lines = start([sys.executable, "-c", example], env=env)
        ok = until(lines, lambda l: " rows " in l)
        epoch = site.tell("insert 9001 7 1", "commit")
        ok = ok and until(lines, lambda l: " rows %d-" % epoch in l)
        end(p)
        counts = [int(l.split()[0]) for l in lines if " rows " in l]
        report.check("python", ok and counts[-1] == counts[0] + 1, lines[-5:])
        site.tell("delete 9001", "commit")


def with_browser(report, site):
    told = []
    scripts = "".join("<script>(() => { const show = (rows) => fetch('/told/%d', { method: 'POST', body: JSON.stringify(rows) });\n%s\n})()</script>" % (i, e)
                      for i, e in enumerate(examples(site, "js")))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(("<!doctype html>" + scripts).encode())

        def do_POST(self):
            rows = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.append((self.path, {r["account_id"]: r["balance"] for r in rows}))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    count = len(examples(site, "js"))
    with tempfile.TemporaryDirectory(prefix="penstock-browser-") as home:
        p, _ = start(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--ignore-certificate-errors",
                      "--disable-background-networking", "--user-data-dir=" + home, "http://127.0.0.1:%d/" % server.server_port])
        try:
            for i in range(count):
                report.check("browser/first%d" % i, until(told, lambda t: t[0] == "/told/%d" % i and len(t[1]) > 10, 60), told)
            site.tell("update 7 77.25", "delete 27", "commit")
            for i in range(count):
                report.check("browser/change%d" % i, until(told, lambda t: t[0] == "/told/%d" % i and t[1].get(7) == 77.25 and 27 not in t[1]), told[-1:])
            site.serve.send_signal(signal.SIGKILL)  # they connect again by themselves, where they left off
            site.serve.wait()
            site.serve = site.start_serve(["--port", str(site.port)])
            site.tell("update 7 78.5", "commit")
            for i in range(count):
                report.check("browser/again%d" % i, until(told, lambda t: t[0] == "/told/%d" % i and t[1].get(7) == 78.5, 40), told[-1:])
        finally:
            end(p)
            server.shutdown()
    report.check("browser/examples", count == 2, count)


def main():
    with Report("test_live_docs", 200) as report:
        site = Site(["--rows", "400"])
        try:
            site.wait_ready()
            for part in (with_curl, with_python, with_browser):
                report.section(part.__name__, part, report, site)
        finally:
            site.close()


if __name__ == "__main__":
    main()
