"""Threads that read an instance all the time and remember what no reader should have seen."""

import threading
import time

from . import canon
from .client import Client, Refused


class Reader:
    """Reads lists in turn over one connection. checks: view -> function of its rows that says what is wrong.

    Wrong rows and epochs that go backwards are always failures. A read that fails is one unless `may_fail` is set
    at that moment (the serve process was killed on purpose)."""

    def __init__(self, box, checks, pause_s=0.0):
        self.box, self.checks, self.pause_s = box, checks, pause_s
        self.stopping = threading.Event()
        self.may_fail = threading.Event()
        self.reads = 0
        self.epochs = set()
        self.failures = []       # wrong answers
        self.failed_reads = []   # no answer, or not 200
        self.slowest_s = 0.0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        self.thread.join(40)

    def _note(self, kept, text):
        if len(kept) < 20:
            kept.append(text)

    def _run(self):
        client, newest = Client(self.box.port, timeout_s=10), 0
        while not self.stopping.is_set():
            for view, check in self.checks.items():
                excused = self.may_fail.is_set()
                started = time.monotonic()
                try:
                    answer = client.list(view)
                except Exception as e:
                    if not (excused or self.may_fail.is_set() or self.stopping.is_set()):
                        self._note(self.failed_reads, "%s after %.2f s: %s: %s" % (view, time.monotonic() - started, type(e).__name__, e))
                    if not isinstance(e, Refused):
                        client.close()
                    self.stopping.wait(0.02)
                    continue
                self.slowest_s = max(self.slowest_s, time.monotonic() - started)
                self.reads += 1
                epoch = answer.epoch or 0
                self.epochs.add(epoch)
                if epoch < newest:
                    self._note(self.failures, "%s: epoch %d after epoch %d" % (view, epoch, newest))
                newest = max(newest, epoch)
                problem = check(answer.rows())
                if problem:
                    self._note(self.failures, "%s at epoch %d: %s" % (view, epoch, problem))
            if self.pause_s:
                self.stopping.wait(self.pause_s)
        client.close()

    def report(self, report, name):
        report.check(name + "/reads", self.reads > 0, "no read succeeded; %s" % self.failed_reads[:2])
        report.check(name + "/consistent", not self.failures, "%d wrong answers: %s" % (len(self.failures), "; ".join(self.failures[:3])))
        report.check(name + "/no-failed-read", not self.failed_reads, "%d: %s" % (len(self.failed_reads), "; ".join(self.failed_reads[:3])))
        report.note("%s: %d reads, %d epochs seen, slowest %.0f ms" % (name, self.reads, len(self.epochs), self.slowest_s * 1000))


class Subscriber:
    """Follows one view by server-sent events and checks its rows at every epoch.

    Changes are taken up at the epoch event that ends them. With resume_s the connection is dropped now and then, at any
    point, and resumed after the last epoch seen: there must be no gap and nothing twice."""

    def __init__(self, box, view, check, key, resume_s=0):
        self.box, self.view, self.check, self.key, self.resume_s = box, view, check, key, resume_s
        self.rows = canon.bag(())
        self.pending = []
        self.epochs = self.changes = self.resets = self.resumed = 0
        self.failures = []
        self.events = None
        self.last_id = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping.set()
        if self.events:
            self.events.close()
        self.thread.join(10)

    def _run(self):
        try:
            while not self.stopping.is_set() and len(self.failures) < 10:
                self._follow(time.monotonic() + self.resume_s if self.resume_s else None)
        except Exception as e:
            if not self.stopping.is_set():
                self.failures.append("%s: %s" % (type(e).__name__, e))

    def _follow(self, until):
        self.pending = []
        self.events = self.box.events("/api/%s" % self.view, timeout_s=60, last_id=self.last_id)
        for event, data, id_ in self.events:
            self.take(event, data, id_)
            if len(self.failures) > 10:
                return
            if until and time.monotonic() > until and self.last_id is not None:
                self.events.close()
                self.resumed += 1
                return
        if not self.stopping.is_set():
            self.failures.append("the stream ended")
            self.stopping.wait(0.1)

    def take(self, event, data, id_):
        if event == "epoch":
            for one in self.pending:
                self._apply(*one)
            self.pending = []
            self.epochs += 1
            self.last_id = id_ or self.last_id
            problem = self.check(self.rows)
            if problem:
                self.failures.append("%s, epoch event %d (%s): %s" % (self.view, self.epochs, data, problem))
        elif event in ("insert", "update", "delete", "reset"):
            self.pending.append((event, data))

    def _remove(self, row):
        if self.rows[row] <= 0:
            self.failures.append("%s: delete or update of a row that was not there: %s" % (self.view, row))
        self.rows[row] -= 1
        if self.rows[row] <= 0:
            del self.rows[row]

    def _apply(self, event, data):
        self.changes += 1
        if event == "insert":
            self.rows[canon.loads(data)] += 1
        elif event == "delete":
            self._remove(canon.loads(data))
        elif event == "update":  # the new row; the old one is that of the same key
            row = canon.loads(data)
            same = [r for r in self.rows if [r.get(k) for k in self.key] == [row.get(k) for k in self.key]]
            if len(same) != 1 or not self.key:
                self.failures.append("%s: update of a row that is there %d times: %s" % (self.view, len(same), row))
            for r in same:
                self._remove(r)
            self.rows[row] += 1
        elif event == "reset":
            self.rows.clear()
            self.resets += 1

    def report(self, report, name):
        report.check("%s/%s" % (name, self.view), not self.failures and self.epochs > 0,
                     "%d epochs; %s" % (self.epochs, "; ".join(self.failures[:2]) or "no epoch event came"))
        report.note("%s/%s: %d epochs, %d changes, %d resumed, %d resets" % (
            name, self.view, self.epochs, self.changes, self.resumed, self.resets))


def wait_visible(box, connection, timeout_s, view, source="core"):
    """Until what is committed now is visible through the API; returns the seconds it took."""
    from . import pg
    lsn = pg.lsn(connection)
    started = time.monotonic()
    client = Client(box.port, timeout_s=timeout_s)
    last = None
    while time.monotonic() - started < timeout_s:
        try:
            client.list(view, wait=(source, lsn), query="limit=1")
            client.close()
            return time.monotonic() - started
        except Exception as e:
            last = e
            time.sleep(0.05)
    raise TimeoutError("%s not visible after %d s: %s" % (lsn, timeout_s, last))


def compare_views(report, box, connection, names, prefix, wait=True):
    """Every view against PostgreSQL's, now; nobody may be writing."""
    from . import pg
    client = Client(box.port)
    lsn = ("core", pg.lsn(connection)) if wait else None
    for name in names:
        expected = canon.view_rows(connection, name)
        try:
            problem = canon.difference(client.list(name, wait=lsn).rows(), expected)
        except Exception as e:
            problem = "%s: %s" % (type(e).__name__, e)
        report.check("%s/%s" % (prefix, name), problem is None, problem)
    client.close()
