#!/usr/bin/python3
"""The host's clock is set while an instance runs, forward by a day and back again: views that compare with now() and retention follow it
without input, nothing else notices, and what waits or measures goes on. The program is the real one, but for its host's clock, which
is read through a number that the test sets (test/tools/moved_clock.c)."""

import json
import time

from lib import clock as moved
from lib import measure
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

HOUR, DAY = 3600, 86400
CONFIG = """penstock: 1
sources:
  events:
    ingest:
      tables:
        times: { columns: { id: bigint, at: timestamptz }, key: [id] }
        kept: { columns: { id: bigint, at: timestamptz }, key: [id], retention: { column: at, keep: 2h } }
sql:
  - |
    CREATE VIEW past AS SELECT id FROM events.times WHERE at <= now();
    CREATE VIEW future AS SELECT id FROM events.times WHERE at > now();
    CREATE VIEW recent AS SELECT id FROM events.times WHERE at > now() - interval '10 s' AND at <= now();
    CREATE VIEW all_times AS SELECT id, at FROM events.times;
    CREATE VIEW kept AS SELECT id FROM events.kept;
apis: { past: , future: , recent: , all_times: , kept: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
store: { checkpoint: 50ms }
limits: { stuck: 5s, heartbeat: 500ms }
"""


def iso(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


def push(box, table, rows):
    def taken():
        a = box.client().request("/ingest/events/" + table, {"Content-Type": "application/json"}, "POST", json.dumps(rows))
        return a if a.status == 201 else None
    return wait_for(taken, 30, "rows taken").headers["Penstock-Position"]


def ids(box, api, position=None):
    return sorted(r["id"] for r in json.loads(box.client().get("/api/" + api, {"Penstock-Wait": position} if position else {}).body))


def become(report, box, name, api, expected, seconds=15):
    """Without input."""
    try:
        wait_for(lambda: ids(box, api) == expected, seconds, "%s to be %s" % (api, expected))
        report.ok("%s/%s" % (name, api))
    except TimeoutError as e:
        report.fail("%s/%s" % (name, api), "%s; it is %s" % (e, ids(box, api)))


def alive(report, box, name, number):
    """Writes come through, are made durable, live queries go on."""
    position = push(box, "times", [{"id": 1000 + number, "at": "infinity"}])
    report.check(name + "/visible", 1000 + number in ids(box, "all_times", position), "")
    before = measure.checkpoints(box.data)
    push(box, "times", [{"id": 1000 + number, "at": None}])
    wait_for(lambda: measure.checkpoints(box.data) > before, 10, "a checkpoint")
    report.ok(name + "/durable")
    wait_for(lambda: box.client().request("/ready").status == 200, 20, "ready")
    heard = []
    for event, data, _ in box.events("/api/all_times?id=eq.%d" % (1000 + number), timeout_s=10):
        heard.append(event)
        if event == "epoch":
            break
    report.check(name + "/live", "epoch" in heard, heard)
    push(box, "times", [{"id": 1000 + number, "at": iso(0)}])
    age = box.status()["heartbeat_age_ms"]
    report.check(name + "/status", -1000 <= age <= 5000, "a sign of life %d ms ago" % age)


def starts(box):
    text = box.client().request("/metrics").body.decode()
    return next(int(line.split()[-1]) for line in text.splitlines() if line.startswith('penstock_process_starts_total{process="pipeline"}'))


def jumps(report, box, clock):
    begun = clock.now()
    position = push(box, "times", [{"id": 1, "at": iso(begun - 5)}, {"id": 2, "at": iso(begun + HOUR)}, {"id": 3, "at": iso(begun + 2 * DAY)}])
    push(box, "kept", [{"id": 1, "at": iso(begun)}, {"id": 2, "at": iso(begun + 3 * DAY)}])
    report.equal("start/past", ids(box, "past", position), [1])
    become(report, box, "start", "future", [2, 3])
    become(report, box, "start", "kept", [1, 2])
    pid, first = box.pid("pipeline"), starts(box)

    clock.move(HOUR + 2)
    become(report, box, "an hour on", "past", [1, 2])
    become(report, box, "an hour on", "future", [3])
    become(report, box, "an hour on", "recent", [2])
    report.equal("an hour on/kept", ids(box, "kept"), [1, 2])
    alive(report, box, "an hour on", 1)

    clock.move(DAY)
    become(report, box, "a day on", "kept", [2])
    become(report, box, "a day on", "recent", [])
    alive(report, box, "a day on", 2)
    report.equal("forward/no-start", (box.pid("pipeline"), starts(box)), (pid, first))

    clock.move(DAY - 5)  # less than CLOCK_BACK_MS: the views wait for the clock
    alive(report, box, "5 s back", 3)
    report.equal("5 s back/no-start", (box.pid("pipeline"), starts(box)), (pid, first))

    clock.move(0)
    become(report, box, "a day back", "future", [2, 3], 30)
    wait_for(lambda: 1 in ids(box, "past"), 10, "the past")
    report.check("a day back/said", "clock was set back" in box.log_text(), box.log_tail())
    alive(report, box, "a day back", 4)
    report.equal("a day back/kept", ids(box, "kept"), [2])  # what went does not come back
    report.equal("a day back/one-start", starts(box), first + 1)
    clock.move(HOUR + 2)
    become(report, box, "an hour on again", "future", [3])
    alive(report, box, "an hour on again", 5)


def main():
    moved.build()
    with Report("test_clock_jumps", 170) as report:
        clock = moved.Clock()
        box = Penstock(CONFIG, shards=2, name="jumps").start()
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        report.section("jumps", jumps, report, box, clock)
        box.verify(report, "end")
        report.equal("stop", box.stop(), 0)


if __name__ == "__main__":
    main()
