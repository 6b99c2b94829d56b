#!/usr/bin/python3
"""Live queries over kills of the pipeline and of the server, PostgreSQL writing meanwhile: at every epoch event the money that
only moves sums to zero, windows have as many rows as they may, and in the end each holds what PostgreSQL says."""

import random
import time

from lib import bank, canon, pg
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report, soak
from lib.watch import Subscriber, compare_views

ROUNDS = 40 if soak() else 4
WINDOWS = {"held?order=balance.desc,id&limit=5": 'ORDER BY balance DESC, id LIMIT 5',
           "held?order=balance,id&limit=7&offset=2": 'ORDER BY balance, id LIMIT 7 OFFSET 2',
           "held?id=in.(1,5,9)": "WHERE id IN (1, 5, 9)"}
SIZES = {"held?order=balance.desc,id&limit=5": 5, "held?order=balance,id&limit=7&offset=2": 7, "held?id=in.(1,5,9)": 3}


def has(count):
    return lambda rows: None if sum(rows.values()) == count else "%d rows, expected %d" % (sum(rows.values()), count)


class Patient(Subscriber):
    """Its connection ends when a process is killed: then it comes back with its last id."""

    def _run(self):
        while not self.stopping.is_set() and len(self.failures) < 5:
            try:
                self._follow(time.monotonic() + self.resume_s if self.resume_s else None)
            except Exception:  # killed: refused, reset, or 503 for a moment
                self.stopping.wait(0.05)
            if self.failures and self.failures[-1] == "the stream ended":
                self.failures.pop()


def main():
    with Report("test_live_crash", 280) as report:
        server = pg.Postgres().start()
        c = server.connect()
        bank.create(c)
        bank.create_views(c)
        box = Penstock(postgres_config(server, bank.TABLES, ["views.sql"], bank.NAMES), bank.SQL, shards=2, name="crash").start()
        checks = dict(bank.INVARIANTS, **{q: has(n) for q, n in SIZES.items()})
        subscribers = [Patient(box, view, check, bank.KEYS.get(view.split("?")[0], ["id"] if "?" in view else []), resume_s=s).start()
                       for view, check in checks.items() for s in (0, 1.5)]
        clients = bank.Clients(server).start()
        for i in range(ROUNDS):
            time.sleep(random.uniform(1, 2.5))
            box.kill(("pipeline", "serve", "pipeline")[i % 3])
            wait_for(lambda: box.pids().get("pipeline") and box.pids().get("serve"), 20, "the processes are started again")
        time.sleep(1)
        commits = clients.stop()
        compare_views(report, box, c, bank.NAMES, "end")
        for s in subscribers:
            name, _, query = s.view.partition("?")
            want = canon.view_rows(c, name, WINDOWS.get(s.view, ""))
            end = time.monotonic() + 20
            while time.monotonic() < end and canon.difference(s.rows, want):
                time.sleep(0.1)
            problem = canon.difference(s.rows, want)
            report.check("equals-postgres/%s%s" % (s.view, "-resumed" if s.resume_s else ""), problem is None, problem)
        for s in subscribers:
            s.stop()
            s.report(report, "live" + ("-resumed" if s.resume_s else ""))
        report.check("clients", commits > 0 and not clients.errors, clients.errors)
        report.check("clean-stop", box.stop() == 0, "exit status not 0")
        server.stop()


if __name__ == "__main__":
    main()
