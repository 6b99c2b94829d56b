#!/usr/bin/python3
"""Secrets are planted everywhere one can be; errors, crashes, wrong configurations and every command are provoked; then all
that was printed, answered, logged or written is searched for them, as they are and encoded."""

import base64
import glob
import os
import signal
import socket
import struct
import subprocess
import threading
import urllib.parse

from lib import pg, procs
from lib.client import wait_for
from lib.fake_pg import failure, packet
from lib.penstock import Penstock
from lib.report import Report

SECRETS = {
    "password-in-url": "PLANTEDurl+pass%1",
    "password-key": "PLANTEDkeypass2",
    "password-file": "PLANTEDfilepass3",
    "password-env": "PLANTEDenvpass4",
    "right-password": "PLANTEDrightpass5",
    "token-literal": "PLANTEDtokenliteral6",
    "token-file": "PLANTEDtokenfile7",
    "default": "PLANTEDdefaultpass8",
    "client-token": "PLANTEDclienttoken9",
    "client-basic": "PLANTEDbasicpass10",
    "client-cookie": "PLANTEDcookie11",
    "client-filter": "PLANTEDfilter12",
    "environment": "PLANTEDotherenv13",
    "key-passphrase": "PLANTEDsslpass14",
}
IDEMPOTENCY_KEY = "PLANTEDidempotency15"
PUSHED = "PLANTEDrowvalue16"  # data: in the store and in answers, never in logs

CONFIG = """penstock: 1
sources:
  core:
    postgres: { url: "postgresql://app@127.0.0.1:<port>/postgres?sslmode=disable", password: "${file:<dir>/right}", publication: penstock, slot: penstock, tables: [ t ] }
  pushed:
    ingest: { token: "<token>", tables: { rows: { columns: { id: bigint, note: text }, key: [id] } } }
  filed:
    ingest: { token: "${file:<dir>/token}", tables: { rows: { columns: { id: bigint }, key: [id] } } }
<more>sql:
  - |
    CREATE VIEW ts AS SELECT id, 10 / d AS share FROM core.t;
    CREATE VIEW notes AS SELECT id, note, 1 / (id - 7) AS x FROM pushed.rows;
apis: { ts: , notes: }
access: { anonymous: read, errors: read }
server: { listen: "127.0.0.1:{port}", tls: { certificate: <dir>/cert.pem, key: <dir>/key.pem } }
"""
# Sources that cannot be reached, each with its secret elsewhere.
WRONG = [
    ("url", 'url: "postgresql://app:%s@127.0.0.1:<port>/postgres?sslmode=disable"' % urllib.parse.quote(SECRETS["password-in-url"])),
    ("key", 'url: "postgresql://app@127.0.0.1:<port>/postgres?sslmode=disable", password: "%s"' % SECRETS["password-key"]),
    ("file", 'url: "postgresql://app@127.0.0.1:<port>/postgres?sslmode=disable", password: "${file:<dir>/wrong}"'),
    ("env", 'url: "postgresql://app@127.0.0.1:<port>/postgres?sslmode=disable", password: "${PLANTED_PASSWORD}"'),
    ("default", 'url: "postgresql://app@127.0.0.1:<port>/postgres?sslmode=disable", password: "${NOT_SET_AT_ALL:-%s}"' % SECRETS["default"]),
    ("tls", 'url: "postgresql://app@127.0.0.1:<port>/postgres?sslmode=require&sslpassword=%s", password: "%s"'
     % (SECRETS["key-passphrase"], SECRETS["password-key"])),
    ("bad-url", 'url: "postgresql://app:%s@127.0.0.1:notaport/postgres?nonsense=1"' % urllib.parse.quote(SECRETS["password-in-url"])),
    ("echo", 'url: "postgresql://app@127.0.0.1:<echo>/d?sslmode=disable", password: "%s"' % SECRETS["password-key"]),
    ("echo-url", 'url: "postgresql://app:%s@127.0.0.1:<echo>/d?sslmode=disable"' % urllib.parse.quote(SECRETS["password-in-url"])),
]


class EchoServer:
    """Asks for the password in clear text and puts it into a notice, the error, its hint and its detail."""

    def __init__(self):
        self.heard = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            f = s.makefile("rb")
            f.read(struct.unpack("!I", f.read(4))[0] - 4)
            s.sendall(packet(b"R", struct.pack("!I", 3)))
            f.read(1)
            password = f.read(struct.unpack("!I", f.read(4))[0] - 4).rstrip(b"\0").decode()
            self.heard.append(password)
            text = "no: postgresql://app:%s@host/d\nnext line \x1b[31m password=%s" % (password, password)
            if len(self.heard) % 2 == 0:  # every other time once it is in: libpq takes notices only then
                s.sendall(packet(b"R", struct.pack("!I", 0)) + b"N" + failure("NOTICE", "00000", text)[1:])
            fields = (("S", "FATAL"), ("V", "FATAL"), ("C", "XX000"), ("M", text), ("D", text), ("H", text))
            s.sendall(packet(b"E", b"".join(k.encode() + v.encode() + b"\0" for k, v in fields) + b"\0"))
        except (OSError, struct.error):
            pass
        finally:
            s.close()


def forms(text):
    """A secret as it may show up: plain, in a URL, in base64 at each of its three places, in hexadecimal."""
    raw = text.encode()
    yield raw
    yield urllib.parse.quote(text).encode()
    yield raw.hex().encode()
    for skip in range(3):
        whole = base64.b64encode(b"\0" * skip + raw)
        yield whole[4 if skip else 0:len(whole) // 4 * 4 - 4]


class Search:
    """What was seen so far, by where."""

    def __init__(self, report, secrets):
        self.report, self.secrets = report, secrets
        self.places = 0

    def look(self, where, seen, but=()):
        data = seen if isinstance(seen, bytes) else str(seen).encode("utf-8", "surrogateescape")
        self.places += 1
        for name, text in self.secrets.items():
            if name in but:
                continue
            found = [f for f in forms(text) if f in data]
            at = data.index(found[0]) if found else 0
            self.report.check("%s/%s" % (where, name), not found, "found: ...%r..." % data[max(0, at - 80):at + 80])


def make_key(dir):
    """A key of our own; one of its lines is the secret."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "30", "-keyout",
                    dir + "/key.pem", "-out", dir + "/cert.pem"], check=True, capture_output=True)
    os.chmod(dir + "/key.pem", 0o600)
    return open(dir + "/key.pem").read().split("\n")[4]


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def prepare():
    server = pg.Postgres().start()
    pg.script(server.connect(), "CREATE TABLE t (id int PRIMARY KEY, d int); INSERT INTO t VALUES (1, 0), (2, 5); "
              "CREATE ROLE app LOGIN REPLICATION PASSWORD '%s'; GRANT SELECT ON t TO app; CREATE PUBLICATION penstock FOR TABLE t" % SECRETS["right-password"])
    write(server.data + "/pg_hba.conf", "local all all trust\nhost all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
          "host replication all 127.0.0.1/32 scram-sha-256\n")
    pg.script(server.connect(), "SELECT pg_reload_conf()")
    return server


def config_of(values, wrong=()):
    more = "".join("  wrong%d:\n    postgres: { %s, publication: penstock, slot: penstock_%d, tables: [ t ] }\n" % (i, text, i) for i, text in enumerate(wrong))
    text = CONFIG.replace("<more>", more)
    for name, value in values.items():
        text = text.replace("<%s>" % name, str(value))
    return text


def wrong_configurations(box, values, search, report):
    """check, run and apply with sources that cannot be reached, and with mistakes of every kind around the secrets."""
    good = open(box.config).read()
    for name, text in WRONG:
        box.write_config(config_of(values, [text]))
        for verbose in ([], ["--verbose"]):
            code, out, err = box.command("check", "-c", box.config, "--data", box.data, *verbose)
            report.check("check/%s/refused" % name, code != 0, "exit %d" % code)
            search.look("check/%s%s" % (name, "/verbose" if verbose else ""), out + err)
        search.look("explain/" + name, "".join(box.command("explain", "-c", box.config)[1:]))
        search.look("apply/" + name, "".join(box.command("apply", "-c", box.config, "--data", box.data)[1:]))
    for name, line in (("unknown-key", "    postgres: { url: 'postgresql://u:%s@h/d', pasword: %s }"), ("short-token", "    ingest: { token: [ %s, %s ] }"),
                       ("not-yaml", "    postgres: { url: \"%s, password: %s"), ("wrong-kind", "    postgrse: { url: %s, password: %s }"),
                       ("nested", "    postgres: { url: { a: %s }, password: [ %s ] }")):
        box.write_config(config_of(values).replace("sql:\n", "  odd:\n" + line % (SECRETS["password-key"], SECRETS["token-literal"]) + "\nsql:\n", 1))
        code, out, err = box.command("check", "-c", box.config, "--data", box.data)
        report.check("mistake/%s/refused" % name, code == 2, "exit %d" % code)
        search.look("mistake/" + name, out + err)
    write(box.config, good)


def requests(box, search):
    """Every refusal that a client's own secrets can meet."""
    basic = base64.b64encode(("user:" + SECRETS["client-basic"]).encode()).decode()
    http = box.client()
    for headers in ({"Authorization": "Bearer " + SECRETS["client-token"]}, {"Authorization": "Basic " + basic},
                    {"Cookie": "session=" + SECRETS["client-cookie"]}):
        for method, path in (("GET", "/api/ts"), ("POST", "/ingest/pushed/rows"), ("GET", "/api/nothing"), ("DELETE", "/api/ts"), ("GET", "/metrics"),
                             ("POST", "/ingest/none/rows"), ("GET", "/")):
            a = http.request(path, dict(headers, **{"Content-Type": "application/json"}), method, b"{}" if method == "POST" else None)
            search.look("answer/%s%s" % (method, path), a.body + str(a.headers).encode())
    for path in ("/api/ts?id=eq." + SECRETS["client-filter"], "/api/ts?%s=eq.1" % SECRETS["client-filter"]):
        http.request(path)  # the answer may quote its own request; the log may not
    for body, key in (('[{"id": 1, "note": "%s"}]' % PUSHED, IDEMPOTENCY_KEY), ('[{"id": 7, "note": "%s"}]' % PUSHED, IDEMPOTENCY_KEY + "b"),
                      ('[{"id": "%s"}]' % PUSHED, None), ('{"id": 1, "%s": 2}' % PUSHED, None), ('not json %s' % PUSHED, None)):
        h = {"Content-Type": "application/json", "Authorization": "Bearer " + SECRETS["token-literal"]}
        a = http.request("/ingest/pushed/rows", dict(h, **({"Idempotency-Key": key} if key else {})), "POST", body.encode())
        search.look("push", a.body)
    for path in ("/health", "/ready", "/metrics", "/api/", "/api/ts", "/api/ts/errors", "/api/notes/errors"):
        search.look("answer" + path, http.request(path).body)


def commands(box, search):
    c = ["-c", box.config, "--data", box.data]
    for argv in (["status", *c], ["status", "--json", *c], ["errors", "ts", *c], ["errors", "notes", *c], ["explain", "-c", box.config], ["openapi", *c],
                 ["check", *c], ["verify", *c], ["explain", "--dot", "-c", box.config], ["status", "--verbose", *c], ["check", "--verbose", *c]):
        search.look("command/" + " ".join(a for a in argv if not a.startswith("/")), "".join(box.command(*argv)[1:]))


def control(report):
    """The search finds what is there, in every form."""
    text = SECRETS["password-in-url"]
    made = [text, urllib.parse.quote(text), text.encode().hex()] + [base64.b64encode(b"x" * n + text.encode() + b"yz").decode() for n in range(3)]
    for i, seen in enumerate(made):
        report.check("control/%d" % i, any(f in ("..." + seen + "...").encode() for f in forms(text)), seen)


def processes(box, search):
    """Command lines of all, the environment of serve, and its memory: it never held a source's secret."""
    pids = box.pids()
    for name, pid in pids.items():
        search.look("cmdline/" + name, open("/proc/%d/cmdline" % pid, "rb").read())
    search.look("environ/serve", open("/proc/%d/environ" % pids["serve"], "rb").read())
    found = set()
    held = [n for n in SECRETS if n.startswith(("password", "right", "token", "default", "environment"))]
    with open("/proc/%d/maps" % pids["serve"]) as maps, open("/proc/%d/mem" % pids["serve"], "rb", 0) as mem:
        for line in maps:
            span, mode, rest = line.split(" ", 2)
            first, end = (int(x, 16) for x in span.split("-"))
            if mode.startswith("rw") and "/" not in rest and end - first <= 1 << 28:
                try:
                    mem.seek(first)
                    data = mem.read(end - first)
                except OSError:
                    continue
                found |= {n for n in held if SECRETS[n].encode() in data}
    # The token of a push goes through it to the pipeline: those bytes may still lie in its buffers.
    search.report.equal("memory/serve", found - {"token-literal"}, set())


def crashes(box, search, report):
    for name, number in (("pipeline", signal.SIGSEGV), ("serve", signal.SIGABRT), ("pipeline", signal.SIGSYS)):
        old = box.pid(name)
        os.kill(old, number)
        wait_for(lambda: box.pids().get(name) not in (None, old), 30, "another " + name)
        box.wait_ready()
    made = glob.glob(box.data + "/crash/*.txt")
    report.equal("crash/reports", len(made), 3)
    for path in made:
        search.look("crash/" + os.path.basename(path).split("-")[0], open(path, "rb").read())


def files(dir, search, but):
    for path in glob.glob(dir + "/**", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                search.look("file/" + os.path.relpath(path, dir), f.read(), but)


def main():
    with Report("test_secrets.py", 240) as report:
        os.environ["PLANTED_PASSWORD"], os.environ["PLANTED_OTHER"] = SECRETS["password-env"], SECRETS["environment"]
        control(report)
        server, echo = prepare(), EchoServer()
        box = Penstock(None, shards=1, name="secrets")
        # What may hold them lies outside of DATA.
        for name, text in (("right", SECRETS["right-password"]), ("wrong", SECRETS["password-file"]), ("token", SECRETS["token-file"])):
            write(os.path.join(box.dir, name), text + "\n")
        key = make_key(box.dir)
        search = Search(report, dict(SECRETS, **{"tls-key": key}))
        logs = Search(report, dict(search.secrets, row=PUSHED, idempotency=IDEMPOTENCY_KEY))
        values = {"port": server.port, "echo": echo.port, "dir": box.dir, "token": SECRETS["token-literal"]}
        box.write_config(config_of(values))
        box.start()
        requests(box, search)
        commands(box, search)
        wrong_configurations(box, values, search, report)
        report.check("echo/heard", {SECRETS["password-key"], SECRETS["password-in-url"]} <= set(echo.heard), echo.heard)
        processes(box, search)
        crashes(box, search, report)
        code, out, err = box.command("backup", os.path.join(box.dir, "backup"), "-c", box.config, "--data", box.data)
        report.check("backup/made", code == 0, err)
        search.look("backup/output", out + err)
        pg.script(server.connect(), "ALTER ROLE app PASSWORD 'another'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
        server.stop()
        wait_for(lambda: [s for s in box.status()["sources"] if s["name"] == "core" and s["error"]], 30, "the source's error")
        commands(box, search)
        report.equal("stop", box.stop(), 0)
        logs.look("log", box.log_text())
        box.write_config(config_of(values, [text for name, text in WRONG if name.startswith("echo")]))
        verbose = procs.start([procs.binary(), "run", "--verbose", "--log=json", "-c", box.config, "--data", os.path.join(box.dir, "verbose")],
                              os.path.join(box.dir, "verbose.log"), cwd=box.dir)
        heard = len(echo.heard)
        wait_for(lambda: len(echo.heard) > heard + 1, 30, "another attempt")
        verbose.send_signal(signal.SIGTERM)
        verbose.wait(20)
        text = open(os.path.join(box.dir, "verbose.log")).read()
        logs.look("log/verbose", text)
        report.check("log/notice", "the server says" in text, "no notice of the server in the debug log")
        report.check("log/one-line", "\x1b" not in text and all(line.startswith(("{", "penstock:")) for line in text.splitlines()), text[:1500])
        files(box.data, search, but=())
        files(os.path.join(box.dir, "backup"), search, but=())
        files(os.path.join(box.dir, "verbose"), search, but=())
        report.note("%d places were searched for %d secrets" % (search.places + logs.places, len(logs.secrets)))


if __name__ == "__main__":
    main()
