#!/usr/bin/python3
"""Brandon's internal-consistency test: money that only moves always sums to zero, in every epoch that anyone sees,
by list or live, from PostgreSQL under concurrent writers and from the generator. SOAK=1: ten minutes."""

import time

from lib import bank, canon, pg
from lib.penstock import Penstock, postgres_config
from lib.report import Report, soak
from lib.watch import Reader, Subscriber, compare_views

SECONDS = 300 if soak() else 20

GENERATOR = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: %s, seed: 7, accounts: 40, churn: true }
sql:
  - |
    CREATE VIEW balances AS SELECT a.id, a.branch, sum(e.amount) AS balance
      FROM demo.accounts a JOIN demo.entries e ON e.account_id = a.id GROUP BY a.id;
    CREATE VIEW per_account AS SELECT account_id, sum(amount) AS balance, count(*) AS n FROM demo.entries GROUP BY account_id;
    CREATE VIEW per_branch AS SELECT branch, sum(balance) AS balance FROM balances GROUP BY branch;
    CREATE VIEW total AS SELECT sum(amount) AS total, count(*) AS n FROM demo.entries;
    CREATE VIEW branch_total AS SELECT sum(balance) AS total FROM per_branch;
    CREATE VIEW uneven AS SELECT (id + 1) / 2 AS transfer, count(*) AS n, sum(amount) AS net
      FROM demo.entries GROUP BY 1 HAVING count(*) <> 2 OR sum(amount) <> 0;
apis: { balances: , per_account: , per_branch: , total: , branch_total: , uneven: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
"""


def zero_or_null(column):
    """A sum over no rows yet is NULL; anything else must be 0."""
    def check(rows):
        if sum(rows.values()) != 1:
            return "%d rows, expected 1" % sum(rows.values())
        value = next(iter(rows)).get(column)
        return None if value is None or float(value) == 0 else "%s is %s" % (column, value)
    return check


GENERATOR_CHECKS = {
    "balances": bank._sums_to_zero("balance", None),
    "per_account": bank._sums_to_zero("balance", None),
    "per_branch": bank._sums_to_zero("balance", None),
    "total": zero_or_null("total"),
    "branch_total": zero_or_null("total"),
    "uneven": bank._empty,
}


GENERATOR_KEYS = {"balances": ["id"], "per_account": ["account_id"], "per_branch": ["branch"], "uneven": ["transfer"]}


def watch(box, checks, keys, seconds):
    """Two list readers and one subscriber per view; returns when they have seen enough."""
    subscribers = [Subscriber(box, view, check, keys.get(view, [])).start() for view, check in checks.items()]
    subscribers += [Subscriber(box, view, check, keys.get(view, []), resume_s=0.2).start() for view, check in list(checks.items())[-4:]]
    readers = [Reader(box, checks).start() for _ in range(2)]
    time.sleep(seconds)
    return subscribers, readers


def finish(report, subscribers, readers, name):
    for r in readers:
        r.stop()
    for s in subscribers:
        s.stop()
    for i, r in enumerate(readers):
        r.report(report, "%s/list%d" % (name, i))
    for s in subscribers:
        s.report(report, name + ("/resumed" if s.resume_s else "/live"))


def from_postgres(report):
    server = pg.Postgres().start()
    c = server.connect()
    bank.create(c)
    bank.create_views(c)
    box = Penstock(postgres_config(server, bank.TABLES, ["views.sql"], bank.NAMES), bank.SQL, shards=3, name="bank").start()
    compare_views(report, box, c, bank.NAMES, "bank/snapshot")
    clients = bank.Clients(server).start()
    watchers = watch(box, bank.INVARIANTS, bank.KEYS, SECONDS)
    commits = clients.stop()
    compare_views(report, box, c, bank.NAMES, "bank/end")
    time.sleep(1)
    for s in watchers[0]:
        problem = canon.difference(s.rows, canon.view_rows(c, s.view))
        report.check("bank/live%s-equals-postgres/%s" % ("-resumed" if s.resume_s else "", s.view), problem is None, problem)
    finish(report, *watchers, "bank")
    report.check("bank/clients", not clients.errors and commits > 0, clients.errors)
    report.note("%d transactions committed in %d s" % (commits, SECONDS))
    report.check("bank/clean-stop", box.stop() == 0, "exit status not 0")
    server.stop()


def from_generator(report):
    for rate in ("500", "max"):
        box = Penstock(GENERATOR % rate, shards=2, name="generator").start()
        watchers = watch(box, GENERATOR_CHECKS, GENERATOR_KEYS, SECONDS / 4)
        rows = box.client().list("total").rows()
        count = int(next(iter(rows)).get("n"))
        report.check("generator/%s/moves" % rate, count > 100, "only %d entries" % count)
        finish(report, *watchers, "generator/" + rate)
        report.note("generator at rate %s: %d entries in %g s" % (rate, count, SECONDS / 4))
        report.check("generator/%s/clean-stop" % rate, box.stop() == 0, "exit status not 0")


def main():
    with Report("test_bank_invariant", 900 if soak() else 150) as report:
        report.section("generator", from_generator, report)
        report.section("bank", from_postgres, report)


if __name__ == "__main__":
    main()
