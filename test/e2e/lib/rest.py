"""The serve process on a store that fill_store made: started, spoken to in HTTP and server-sent events, abused."""

import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[3]


def tools():
    """Where fill_store and serve_only lie; built when no directory is named."""
    where = os.environ.get("PENSTOCK_SERVE_TOOLS")
    if where:
        return pathlib.Path(where)
    arch = os.uname().machine
    out = ROOT / "build" / arch / "test" / "serve"
    subprocess.run(["make", "-s", "-C", str(ROOT)] + [f"build/{arch}/test/serve/{n}" for n in ("fill_store", "serve_only", "serve_counted")],
                   check=True, stdout=subprocess.DEVNULL)
    return out


def context(**kw):
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    for k, v in kw.items():
        setattr(c, k, v)
    return c


PLAIN = context()  # made once: it reads the system's authorities


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Site:
    """fill_store and serve_only over one directory."""

    def __init__(self, fill=(), serve=(), start_fill=True):
        self.bin = tools()
        self.dir = tempfile.mkdtemp(prefix="penstock-rest-")
        self.data = os.path.join(self.dir, "data")
        os.mkdir(self.data, 0o700)
        self.fill_args, self.fill = list(fill), None
        if start_fill:
            self.start_fill()
        self.serve = self.start_serve(serve)

    def start_fill(self):
        self.fill = subprocess.Popen([str(self.bin / "fill_store"), self.data] + self.fill_args, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.fill.stdout.readline().strip() == "ready"

    def start_serve(self, args):
        self.log = open(os.path.join(self.dir, "serve.log"), "a")
        p = subprocess.Popen([str(self.bin / "serve_only"), self.data] + list(args), stdout=subprocess.PIPE,
                             stderr=self.log, text=True, bufsize=1)
        line = p.stdout.readline().split()
        assert line and line[0] == "listening", "serve_only did not start: " + open(self.log.name).read()
        self.port = int(line[1])
        return p

    def tell(self, *lines):
        """Commands to fill_store; the epoch after the last."""
        for line in lines:
            self.fill.stdin.write(line + "\n")
            self.fill.stdin.flush()
            answer = self.fill.stdout.readline().split()
            assert answer and answer[0] == "ok", (line, answer)
        return int(answer[1])

    def connect(self, timeout=10, ctx=None):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        return (ctx or PLAIN).wrap_socket(s, server_hostname="localhost")

    def get(self, path, method="GET", body=None, conn=None, **headers):
        c = conn or http.client.HTTPSConnection("127.0.0.1", self.port, context=PLAIN, timeout=20)
        c.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
        r = c.getresponse()
        a = Answer(r.status, r.headers, r.read())
        if not conn:
            c.close()
        return a

    def wait_ready(self, path="/api/", seconds=10):
        end = time.time() + seconds
        while time.time() < end:
            if self.get(path).status == 200:
                return
            time.sleep(0.05)
        raise AssertionError("not served: " + path)

    def raw(self, data, timeout=5, pieces=1, pause=0.0):
        """Bytes as they are; what comes back until the server closes or falls silent."""
        s = self.connect(timeout)
        step = max(1, (len(data) + pieces - 1) // pieces)
        out = b""
        try:
            for i in range(0, len(data), step):
                s.sendall(data[i:i + step])
                if pause:
                    time.sleep(pause)
            while True:
                more = s.recv(65536)
                if not more:
                    break
                out += more
        except (socket.timeout, TimeoutError, ConnectionError, ssl.SSLError):
            pass
        s.close()
        return out

    def close(self):
        for p in (self.serve, self.fill):
            if p and p.poll() is None:
                p.terminate()
                try:
                    p.wait(10)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        self.log.close()
        self.check_sanitizers()
        shutil.rmtree(self.dir, ignore_errors=True)

    def check_sanitizers(self):
        """A sanitized build tells what it finds on standard error, leaks at its end."""
        text = open(self.log.name).read()
        for sign in ("Sanitizer: ", "runtime error: "):
            assert sign not in text, text[max(0, text.index(sign) - 200):text.index(sign) + 1500]


class Events:
    """A live query, read by a thread into a list of (event, data, id)."""

    def __init__(self, site, path, last=None, read=True):
        self.sock = site.connect(timeout=30)
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        if last is not None:
            head += f"Last-Event-ID: {last}\r\n"
        self.sock.sendall(head.encode() + b"\r\n")
        self.list, self.comments, self.closed, self.last_id = [], 0, False, None
        self.file = self.sock.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        for line in self.file:
            if line == b"\r\n":
                break
            k, v = line.decode().split(":", 1)
            self.headers[k.lower()] = v.strip()
        self.body = b""
        if self.status != 200:
            self.body = self.file.read(int(self.headers["content-length"]))
        elif read:
            self.thread = threading.Thread(target=self._read, daemon=True)
            self.thread.start()

    def _read(self):
        event, data = None, ""
        try:
            for raw in self.file:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("id: "):
                    self.last_id = line[4:]
                elif line.startswith("event: "):
                    event = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif line == "" and event:
                    self.list.append((event, json.loads(data), self.last_id))
                    event, data = None, ""
        except (OSError, ValueError):
            pass
        self.closed = True

    def wait(self, n, seconds=5):
        end = time.time() + seconds
        while len(self.list) < n and time.time() < end and not self.closed:
            time.sleep(0.01)
        return self.list

    def epochs(self, n, seconds=5):
        """Waits for n epoch events; all events so far."""
        end = time.time() + seconds
        while sum(e[0] == "epoch" for e in self.list) < n and time.time() < end and not self.closed:
            time.sleep(0.01)
        return self.list

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def run_tests(site, tests):
    """Runs (name, test) pairs over a site, those named on the command line if any are; ends it. The exit status."""
    wanted = sys.argv[1:]
    bad = 0
    try:
        site.wait_ready()
        for name, test in tests:
            if wanted and name not in wanted:
                continue
            try:
                test(site)
                print("ok", name, flush=True)
            except Exception as e:  # every failure is a line, whatever it was
                bad += 1
                where = traceback.extract_tb(e.__traceback__)
                line = next((f.lineno for f in reversed(where) if os.path.basename(os.path.dirname(f.filename)) != "lib"), 0)
                print(f"not ok {name} line {line}: {type(e).__name__} {str(e)[:600]}".replace("\n", " "), flush=True)
                if site.serve.poll() is not None:
                    print("not ok serve died:", open(site.log.name).read()[-2000:])
                    break
    finally:
        site.close()
    return 1 if bad else 0
