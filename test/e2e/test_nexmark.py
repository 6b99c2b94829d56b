#!/usr/bin/python3
"""Nexmark's queries q0 to q22 as views (what each means without watermarks: lib/nexmark.py), equal to PostgreSQL's answers
while events come in, late ones among them, and while rows are changed and deleted, which the benchmark never does.

A query in REFUSED must be refused, and for that reason; when it is supported, it has to be taken out of the list."""

import argparse
import random
import re
import sys

from lib import lab, nexmark
from lib.report import Report, soak

# query -> what its refusal says
REFUSED = {}


def some(r, table, count):
    return "ctid IN (SELECT ctid FROM core.%s o ORDER BY o::text COLLATE \"C\" OFFSET %d LIMIT %d)" % (table, r.randrange(200), count)


def transaction(r, first, count):
    """Events in another order than their times, and now and then a correction."""
    out = nexmark.events(r, first, count)
    r.shuffle(out)
    if r.random() < 0.4:
        out += ["UPDATE core.bid SET price = price * 2, date_time = date_time + interval '3 seconds' WHERE " + some(r, "bid", 3),
                "DELETE FROM core.bid WHERE " + some(r, "bid", r.choice((1, 5, 30)))]
    if r.random() < 0.3:
        out += ["UPDATE core.auction SET category = 10, expires = expires + interval '20 seconds' WHERE " + some(r, "auction", 2),
                "UPDATE core.person SET state = 'OR' WHERE " + some(r, "person", 2), "DELETE FROM core.auction WHERE " + some(r, "auction", 1)]
    if r.random() < 0.2:
        out.append("UPDATE core.side_input SET value = value || 'x' WHERE key = %d" % r.randrange(10))
    if r.random() < 0.1:
        out.append("ROLLBACK")
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", default="1,3,7" if soak() else "1,3")
    args = parser.parse_args()
    r = random.Random(args.seed)
    fill = nexmark.events(r, 0, 400) + [nexmark.insert("side_input", (i, "side %d" % i)) for i in range(0, 10, 2)]
    steps, n = [], 400
    for _ in range(150 if soak() else 25):
        count = r.choice((1, 5, 20, 60))
        steps.append(transaction(r, n, count))
        n += count
    trial = lab.Trial(nexmark.SCHEMA, fill, steps, nexmark.QUERIES, [int(k) for k in args.shards.split(",")])
    with Report("test_nexmark", 3000 if soak() else 200) as report:
        bench = lab.Lab()
        outcome = bench.run(trial)
        for name in nexmark.QUERIES:
            refused = outcome.refused.get(name)
            if name in outcome.invalid:
                report.fail("nexmark " + name, "PostgreSQL: " + outcome.invalid[name])
            elif name in REFUSED:
                if refused and re.search(REFUSED[name], refused):
                    report.note("%s is refused: %s" % (name, refused))
                else:
                    report.fail("nexmark " + name, "is to be refused (%s); %s" % (REFUSED[name], refused or "it is supported now: take it out of REFUSED"))
            elif refused or name in outcome.wrong:
                report.fail("nexmark " + name, refused or outcome.wrong[name])
            else:
                states = len(outcome.states[name])
                report.check("nexmark " + name, states > 4, "has only %d different answers: the rows do not touch it" % states)
        report.note("seed %d: %d events, %d points, %d comparisons" % (args.seed, n, outcome.points, outcome.compared))
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
