"""Runs of the postgres source by itself (test/tools/source_dump.c): what its changes add up to, and how that compares with the
server's rows."""

import collections
import functools
import json
import os
import platform
import signal
import subprocess
import threading
import time

import psycopg2

from . import pg, procs


@functools.lru_cache(None)
def tool():
    path = os.environ.get("SOURCE_DUMP")
    if path:
        return path
    path = "build/%s/test/source/source_dump" % platform.machine()
    subprocess.run(["make", "-s", path], cwd=procs.ROOT, check=True, stdout=subprocess.DEVNULL)
    return os.path.join(procs.ROOT, path)


class Dump:
    """One run of the tool, and the tables that its changes add up to. State carries over to a later run by `before`."""

    running = []

    @classmethod
    def stop_all(cls):
        """What a failed test left behind would get into the next one's way."""
        for d in cls.running:
            if d.process.poll() is None:
                d.process.kill()
                d.process.wait()
        cls.running.clear()

    def __init__(self, config, *options, before=None, source="core"):
        self.tables = before.tables if before else {}
        self.keys, self.columns = {}, {}
        self.states, self.events, self.commits = [], [], []
        self.dir = before.dir if before else procs.temp_dir("dump")
        self.position = os.path.join(self.dir, "position")
        self.file = os.path.join(self.dir, "penstock.yaml")
        with open(self.file, "w") as f:
            f.write("sources:\n  %s:\n    postgres:\n" % source + "".join("      %s: %s\n" % kv for kv in config.items()))
        self.log = os.path.join(self.dir, "log")
        open(self.log, "w").close()
        argv = [tool(), "--position", self.position, "--data", self.dir, *options, self.file, source]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=open(self.log, "ab"), preexec_fn=procs.die_with_parent)
        Dump.running.append(self)
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                return  # killed while writing it
            with self.changed:
                self._apply(json.loads(line))
                self.changed.notify_all()

    def _apply(self, e):
        op = e["op"]
        if op == "table":
            self.keys[e["table"]], self.columns[e["table"]] = e["key"], e["columns"]
            self.tables.setdefault(e["table"], collections.Counter() if not e["key"] else {})
        elif op == "state":
            self.states.append((e["state"], e["error"]))
        elif op == "commit":
            self.commits.append(e)
        elif op in ("insert", "update", "delete", "move", "truncate"):
            self._change(op, e)
        if op not in ("table", "state"):
            self.events.append(e)

    def _change(self, op, e):
        name = e["table"]
        rows, key = self.tables[name], self.keys[name]
        if op == "truncate":
            rows.clear()
        elif not key:
            row = tuple(e["row"].values())
            rows[row] += -1 if op == "delete" else 1
            if not rows[row]:
                del rows[row]
        else:
            old_key = tuple((e["old"] if op == "move" else e["row"])[k] for k in key)
            old = rows.pop(old_key, None)
            if op == "delete":
                return
            new = {c: (old[c] if isinstance(v, dict) else v) for c, v in e["row"].items()}
            rows[tuple(new[k] for k in key)] = new

    def rows(self, table):
        with self.changed:
            rows = self.tables[table]
            if isinstance(rows, collections.Counter):
                return sorted(rows.elements(), key=repr)
            return sorted((tuple(r.values()) for r in rows.values()), key=repr)

    def wait(self, what, condition, seconds=20):
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition(self):
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self.thread.is_alive()):
                    raise AssertionError("%s: not seen; states %r; log: %s" % (what, self.states[-3:], self.tail()))
                self.changed.wait(min(left, 0.1))
        return self

    def streaming(self):
        return self.wait("streaming", lambda d: any(s == "streaming" for s, _ in d.states))

    def failed(self):
        self.wait("failed", lambda d: any(s == "failed" for s, _ in d.states))
        self.process.wait(10)
        return self.states[-1][1]

    def until(self, lsn, seconds=20):
        """Until everything up to lsn has come."""
        goal = pg.lsn_number(lsn)
        return self.wait("position " + lsn, lambda d: any(
            c["lane"] == 0 and pg.lsn_number(c["position"]) >= goal for c in d.commits[-50:]), seconds)

    def seen(self, op):
        return sum(1 for e in self.events if e["op"] == op)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(20)
        self.thread.join(10)
        return self

    def tail(self):
        with open(self.log) as f:
            return f.read()[-600:].replace("\n", " | ")


def describe(config):
    """(exit status, output) of --describe alone."""
    d = Dump(config, "--describe")
    d.process.wait(30)
    d.thread.join(5)
    return d, open(d.log).read()


def printed(column):
    """As the type's output function prints it: casts of boolean and char(n) to text differ from that."""
    return 'CASE WHEN "%s" IS NOT NULL THEN concat("%s") END' % (column, column)


def server_rows(c, table, columns):
    return sorted(pg.rows(c, "SELECT %s FROM %s" % (", ".join(map(printed, columns)), table)), key=repr)


def fresh(c, ddl):
    """An empty public schema with these tables, and no publication or slot of an earlier test."""
    for _ in range(100):
        try:
            for slot, pid in pg.rows(c, "SELECT slot_name, active_pid FROM pg_replication_slots"):
                if pid:
                    pg.script(c, "SELECT pg_terminate_backend(%d)" % pid)
                pg.script(c, "SELECT pg_drop_replication_slot('%s')" % slot)
            break
        except psycopg2.Error:
            time.sleep(0.1)
    pg.script(c, "DROP PUBLICATION IF EXISTS penstock; DROP SCHEMA public CASCADE; CREATE SCHEMA public; "
                 "GRANT ALL ON SCHEMA public TO PUBLIC;" + ddl)


def same(report, name, c, dump, table, columns=None):
    columns = columns or list(dump.columns[table])
    expected = server_rows(c, '"%s"' % table, columns)
    got = dump.rows(table)
    if got == expected:
        return report.ok(name)
    many, few = collections.Counter(got), collections.Counter(expected)
    extra, missing = list((many - few).elements())[:3], list((few - many).elements())[:3]
    return report.fail(name, "%d rows, expected %d; too many: %.300r; missing: %.300r" % (
        len(got), len(expected), extra, missing))
