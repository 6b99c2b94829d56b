"""One instance of the program under test: its configuration, its processes, its API."""

import json
import os
import signal
import subprocess
import time

from . import client, procs


class Penstock:
    """config: text of penstock.yaml, with {port} for the port of the APIs. views: text of views.sql, if it has one."""

    def __init__(self, config, views=None, shards=2, name="box", dir=None):
        self.name, self.shards = name, shards
        self.dir = dir or procs.temp_dir(name)
        self.data = os.path.join(self.dir, "data")
        self.config = os.path.join(self.dir, "penstock.yaml")
        self.log = os.path.join(self.dir, "log")
        self.port = procs.free_port()
        self.process = None
        self.start_with = []  # further words for `penstock run`
        self.start_time = None
        if config is not None:
            self.write_config(config, views)

    def write_config(self, config, views=None):
        with open(self.config, "w") as f:
            f.write(config.replace("{port}", str(self.port)))
        if views is not None:
            with open(os.path.join(self.dir, "views.sql"), "w") as f:
                f.write(views)

    # ---- commands ----
    def command(self, *args, timeout_s=60, env=None, cwd=None):
        """Runs a short command to its end: (exit status, stdout, stderr)."""
        p = subprocess.run([procs.binary()] + list(args), stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=timeout_s, env=env, cwd=cwd or self.dir, errors="replace")
        return p.returncode, p.stdout, p.stderr

    def start(self, ready_s=60):
        """Starts in the foreground; waits for /ready unless ready_s is 0."""
        if not os.access(procs.binary(), os.X_OK):
            raise RuntimeError("no program at %s: run make" % os.path.relpath(procs.binary()))
        self.start_time = time.monotonic()
        argv = [procs.binary(), "run", "-c", self.config, "--data", self.data]
        if self.shards:
            argv += ["--shards", str(self.shards)]
        argv += self.start_with
        self.process = procs.start(argv, self.log, cwd=self.dir)
        if ready_s:
            self.wait_ready(ready_s)
        return self

    def wait_ready(self, timeout_s=60):
        self.wait_answer("/ready", timeout_s)

    def wait_answer(self, path, timeout_s):
        """Waits until `path` answers 200; says early when the program has ended."""
        def answered():
            if self.process is not None and self.process.poll() is not None:
                return "ended"
            c = self.client(5)
            try:
                return c.request(path).status == 200
            finally:
                c.close()
        try:
            if client.wait_for(answered, timeout_s, "%s of %s" % (path, self.name), 0.05) == "ended":
                raise RuntimeError("penstock run ended with status %s" % self.process.returncode)
        except (TimeoutError, RuntimeError) as e:
            raise RuntimeError("%s; log: %s" % (e, self.log_tail())) from None

    def client(self, timeout_s=30):
        return client.Client(self.port, timeout_s)

    def events(self, path, timeout_s=30, last_id=None, headers=None):
        return client.Events(self.port, path, timeout_s, last_id, headers)

    def status(self):
        """What `penstock status --json` prints."""
        code, out, err = self.command("status", "--json", "-c", self.config, "--data", self.data, timeout_s=20)
        if code != 0:
            raise RuntimeError("penstock status: exit %d: %s" % (code, (err or out)[-300:]))
        return json.loads(out)

    def verify(self, report, name):
        """`penstock verify` of the store as it is, running or stopped: everything in it agrees, and views with their SQL."""
        code, out, err = self.command("verify", "-c", self.config, "--data", self.data, timeout_s=120)
        report.check(name + "/verify", code == 0 and "not compared" not in out, "exit %d: %s" % (code, (out + err)[:1500]))

    def pids(self):
        """Living processes of this instance by name: supervisor, pipeline, serve."""
        found = {"supervisor": self.process.pid} if self.process and self.process.poll() is None else {}
        for name, pid in self.status().get("pids", {}).items():
            if pid and procs.alive(pid):
                found[name] = pid
        return found

    def pid(self, name, timeout_s=20):
        return client.wait_for(lambda: self.pids().get(name), timeout_s, "pid of " + name)

    def kill(self, *names, number=signal.SIGKILL):
        """Kills these processes at once; returns their ids."""
        pids = self.pids()
        gone = [pids[n] for n in names if n in pids]
        for pid in gone:
            procs.kill(pid, number)
        if "supervisor" in names:
            self.process.wait(10)
        return gone

    def stop(self, timeout_s=30):
        """A clean end (SIGTERM). Returns the exit status."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout_s)
            self.check_sanitizers()
            return status
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise RuntimeError("penstock run did not end within %d s of SIGTERM; log: %s"
                               % (timeout_s, self.log_tail())) from None
        finally:
            self.process = None

    def kill_all(self):
        """kill -9 of the whole instance."""
        if self.process is None:
            return
        pids = [self.process.pid] + procs.descendants(self.process.pid)
        for pid in pids:
            procs.kill(pid)
        self.process.wait(10)
        self.process = None

    def check_sanitizers(self):
        """A sanitized build tells what it finds on standard error; the supervisor would only start the process again."""
        text = self.log_text()
        for sign in ("Sanitizer: ", "runtime error: "):
            if sign in text:
                at = text.index(sign)
                raise RuntimeError("%s: %s" % (self.name, text[max(0, at - 200):at + 1200].replace("\n", " | ")))

    # ---- the log ----
    def log_text(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def log_tail(self, size=1200):
        return self.log_text()[-size:].replace("\n", " | ")

    def log_mark(self):
        return os.path.getsize(self.log) if os.path.exists(self.log) else 0

    def log_since(self, mark):
        with open(self.log, "rb") as f:
            f.seek(mark)
            return f.read().decode("utf-8", "replace")


def postgres_config(pg, tables, views, apis, slot="penstock", publication="penstock", source="core", store="", extra=""):
    """penstock.yaml for one PostgreSQL source. tables: lines below `tables:`; views: file names; apis: names."""
    lines = ["penstock: 1", "sources:", "  %s:" % source, "    postgres:", "      url: %s" % pg.url(),
             "      publication: %s" % publication, "      slot: %s" % slot]
    if tables:
        lines += ["      tables:"] + ["        - " + t for t in tables]
    lines += ["sql: [ %s ]" % ", ".join(views), "apis:"]
    lines += ["  %s:" % a for a in apis]
    lines += ["access: { anonymous: read }", 'server: { listen: "127.0.0.1:{port}" }']
    if store:
        lines += ["store: " + store]
    return "\n".join(lines) + "\n" + extra
