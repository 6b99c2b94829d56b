#!/usr/bin/env python3
"""Live queries against a model: many subscribers with random filters, orders and limits, who leave and come back at any moment,
under random writes, while the server is killed and the store is taken up anew. What each holds at every epoch event must be
what its query shows of that epoch, and no event may come for nothing. SOAK=1: longer."""

import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import fetched
from lib.live_model import TOP, Follower, Query, first_accounts
from lib.rest import PLAIN, Events, Site

sys.path.insert(0, fetched.python("websockets==13.1"))
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as websocket

SOAK = int(os.environ.get("SOAK", "0"))
ROWS, SUBSCRIBERS, EPOCHS = 400, 48, 3000 if SOAK else 220
LIMITS = {"heartbeat_us": 300000, "live_changes": 2000, "live_window": 150, "live_step_us": 0, "live_window_bytes": 64 << 20}


class Writer:
    """Changes accounts by fill_store and remembers what they were at each epoch."""

    def __init__(self, site, rng):
        self.site, self.rng = site, rng
        self.accounts = first_accounts(ROWS)
        self.history = {}
        self.remember(site.tell("heartbeat on"))

    def remember(self, epoch):
        self.history[epoch] = dict(self.accounts)

    def _change(self):
        rng, lines = self.rng, []
        i = rng.randint(1, ROWS)
        what = rng.random()
        if i in self.accounts and what < 0.2:
            del self.accounts[i]
            return "delete %d" % i
        value = rng.randrange(TOP) if rng.random() < 0.7 else rng.randrange(5)  # some meet
        if i in self.accounts and what < 0.7:
            self.accounts[i] = (self.accounts[i][0], value * 100)
            return "update %d %d" % (i, value)
        branch = rng.randrange(-1, 20)
        self.accounts[i] = (branch if branch >= 0 else None, value * 100)
        return "insert %d %d %d" % (i, branch, value)

    def epoch(self):
        lines = [self._change() for _ in range(self.rng.choice((1, 1, 2, 5, 40)))]
        self.remember(self.site.tell(*lines, "commit"))


class Messages:
    """The same events over WebSocket, with the interface of Events."""

    def __init__(self, site, path, last):
        if last:
            path += "&last_event_id=" + last
        self.status, self.list, self.closed = 101, [], False
        try:
            self.socket = websocket("wss://localhost:%d%s" % (site.port, path), ssl=PLAIN, subprotocols=["penstock.live.v1"], compression=None, max_size=None)
        except WebSocketException as e:
            response = getattr(e, "response", None)
            if response is None:
                raise OSError(str(e)) from e
            self.status, self.body = response.status_code, response.body
            return
        assert self.socket.subprotocol == "penstock.live.v1"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for text in self.socket:
                m = json.loads(text)
                if m["event"] != "heartbeat":
                    self.list.append((m["event"], m["data"], m.get("id")))
        except (OSError, WebSocketException):
            pass
        self.closed = True

    def close(self):
        self.socket.close()


def follow(site, follower, rng, stopping):
    """One subscriber: leaves and comes back until it is told to stop."""
    while not stopping.is_set():
        until = time.monotonic() + rng.choice((0.05, 0.3, 1.0, 5.0, 60.0))
        try:
            events = (Messages if rng.random() < 0.35 else Events)(site, follower.query.path, follower.last_id)
        except (OSError, EOFError, IndexError, ValueError):  # the server was just killed
            time.sleep(0.05)
            continue
        if events.status not in (101, 200):
            if events.status not in (503,):
                follower._note("status %d: %s" % (events.status, events.body[:300]))
                return
            time.sleep(0.05)
            continue
        follower.connected(int(events.headers["penstock-epoch"]) if events.status == 200 else None)
        taken = 0
        while not stopping.is_set() and time.monotonic() < until and not (events.closed and taken == len(events.list)):
            while taken < len(events.list):
                follower.take(*events.list[taken])
                taken += 1
            time.sleep(0.005)
        events.close()


def kill_serve(site, args):
    site.serve.send_signal(signal.SIGKILL)
    site.serve.wait()
    site.serve = site.start_serve(args + ["--port", str(site.port)])


def run(site, args, rng):
    writer = Writer(site, rng)
    followers = [Follower(Query(rng, ROWS)) for _ in range(SUBSCRIBERS)]
    followers += [Follower(f.query) for f in followers[::4]]  # who share one
    stopping = threading.Event()
    threads = [threading.Thread(target=follow, args=(site, f, random.Random(rng.random()), stopping), daemon=True) for f in followers]
    for t in threads:
        t.start()
    for n in range(EPOCHS):
        writer.epoch()
        time.sleep(rng.choice((0, 0.002, 0.02, 0.05)))
        if n % 70 == 50:
            kill_serve(site, args)
        if n % 90 == 80:
            writer.remember(site.tell("generation"))
    end = time.monotonic() + 20  # until all have heard of the end
    last = writer.history[max(writer.history)]
    while time.monotonic() < end and any(dict(f.query.rows(last)) != dict(f.rows) for f in followers):
        time.sleep(0.1)
    stopping.set()
    for t in threads:
        t.join(10)
    return writer, followers


def windows_at_once():
    """One commit empties many windows, and nothing comes after it: each is filled all the same, though a step fills only one."""
    site = Site(["--rows", str(ROWS), "--shards", "3"], ["--limit", "live_step_us=0"])
    try:
        site.wait_ready()
        site.tell("heartbeat on")
        windows = [Events(site, "/api/balances?select=account_id&order=account_id&limit=1&account_id=gt.%d" % k) for k in range(40)]
        def shown(e):
            rows = set()
            for event, data, _ in list(e.list):
                if event == "insert":
                    rows.add(data["account_id"])
                elif event == "delete":
                    rows.discard(data["account_id"])
            return rows
        end = time.monotonic() + 20
        while time.monotonic() < end and any(shown(e) != {k + 1} for k, e in enumerate(windows)):
            time.sleep(0.05)
        before = [shown(e) for e in windows]
        site.tell(*["delete %d" % i for i in range(1, 301)], "commit")
        while time.monotonic() < end and any(shown(e) != {301} for e in windows):
            time.sleep(0.05)
        ok = before == [{k + 1} for k in range(40)] and all(shown(e) == {301} for e in windows)
        if not ok:
            print("# before %s" % before, "# after %s" % [shown(e) for e in windows], sep="\n")
        print("%s live/windows_at_once" % ("ok" if ok else "not ok"))
        return ok
    finally:
        site.close()


def main():
    if not windows_at_once():
        return 1
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    rng = random.Random(seed)
    args = []
    for k, v in LIMITS.items():
        args += ["--limit", "%s=%d" % (k, v)]
    site = Site(["--rows", str(ROWS), "--shards", "3"], args)
    wrong = []
    try:
        site.wait_ready()
        writer, followers = run(site, args, rng)
        last = writer.history[max(writer.history)]
        for f in followers:
            f.check(writer.history)
            if dict(f.query.rows(last)) != dict(f.rows):
                f._note("never reached the last epoch")
            wrong += f.wrong
            # a list read of the same query shows the same rows
            rows = site.get(f.query.path).json()
            rows = [rows] if isinstance(rows, dict) and "code" not in rows else rows if isinstance(rows, list) else []
            have = sorted(map(repr, (f._row(r) for r in rows)))
            if have != sorted(map(repr, f.query.rows(last).elements())):
                wrong.append("%s: the list read shows other rows" % f.query.path)
        print("# seed %d: %d subscribers, %d epochs, %d events, %d epoch events checked, %d connections, %d resets" % (
            seed, len(followers), len(writer.history), sum(f.events for f in followers), sum(len(f.seen) for f in followers),
            sum(f.connections for f in followers), sum(f.resets for f in followers)))
    finally:
        site.close()
    for line in wrong[:20]:
        print("# " + line)
    print("%s live/model" % ("not ok" if wrong else "ok"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
