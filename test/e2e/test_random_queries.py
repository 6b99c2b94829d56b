#!/usr/bin/python3
"""Random queries over random tables: whatever PostgreSQL answers, Penstock must answer, at every commit looked at and for
every number of shards. Failures that were found are kept in test/e2e/regress and replayed first.

    test_random_queries.py [--seeds A-B] [--queries N] [--seconds S] [--keep] [--file regress/x.sql]

A query that is refused by name counts as refused, not as passed; it fails the test when all that it uses is in MUST_WORK.
A failing query is made smaller by itself and printed with its seed; --keep writes it to test/e2e/regress. SOAK=1 runs
2,000 queries and more, from a seed of the day."""

import argparse
import collections
import glob
import os
import random
import re
import sys
import time

from lib import lab, random_data, random_query
from lib.report import Report, soak

HERE = os.path.dirname(os.path.abspath(__file__))
REGRESS = os.path.join(HERE, "regress")

# Features of lib/random_query.py. What must not be refused any more, and what may be for now.
MUST_WORK = {"scalar_subquery", "exists", "in_subquery", "correlated", "any_all", "lateral", "ordered_aggregate", "except", "topk", "distinct_on", "window", "values", "grouping_sets", "series", "function", "array", "select_function", "whole_row"}
MAY_BE_REFUSED = set()
# Refusals of a combination, whatever it is made of; docs/sql.md has each.
LIMITS = ("the whole row \"",)
SHARES_NEW = 0.25  # share of queries that may use what may still be refused


class Totals:
    def __init__(self):
        self.queries = self.invalid = self.compared = self.errors = self.wrong = 0
        self.states, self.empty, self.constant = 0, 0, 0
        self.refused = collections.Counter()
        self.features = collections.Counter()


def reason(message):
    """A refusal without names and numbers."""
    return re.sub(r"[\"'][^\"']*[\"']|\b[xcwat]\d+\b|\d+", "_", message.split("\n")[0])[:110]


class Batch:
    """One seed: tables, transactions, queries."""

    def __init__(self, seed, count, steps):
        self.seed = seed
        r = random.Random(seed)
        self.tables = random_data.tables(r)
        fill = random_data.fill(r, self.tables)
        transactions = [random_data.transaction(r, self.tables) for _ in range(steps)]
        self.trees, self.used = {}, {}
        for i in range(2 * count):
            features = set(MUST_WORK)
            if r.random() < SHARES_NEW or not MAY_BE_REFUSED:
                features |= MAY_BE_REFUSED
            tree, used = random_query.Generator(r, self.tables, features).query()
            self.trees["q%d" % i], self.used["q%d" % i] = tree, used
        shards = r.choice(((1, 3), (1, 2), (2, 7), (1, 4), (3, 5)))
        self.trial = lab.Trial("".join(t.ddl() for t in self.tables), fill, transactions,
                               {n: str(t) for n, t in self.trees.items()}, shards, count)


def run_batch(report, bench, batch, totals, args):
    outcome = bench.run(batch.trial, every=2)
    totals.queries += len(outcome.looked_at)
    totals.invalid += len(outcome.invalid)
    totals.compared += outcome.compared
    totals.errors += outcome.errors
    totals.states += sum(len(s) for s in outcome.states.values())
    totals.empty += sum(s == {0} for s in outcome.states.values())
    totals.constant += sum(len(s) == 1 and s != {0} for s in outcome.states.values())
    for name, message in outcome.refused.items():
        totals.refused[reason(message)] += 1
        if batch.used[name] <= MUST_WORK and not message.startswith(LIMITS):
            fail(report, bench, batch, name, message, totals, args, "refused, though all that it uses is supported: ")
    for name in outcome.looked_at:
        totals.features.update(batch.used[name] or {"plain"})
        if name not in outcome.wrong:
            report.ok("seed %d %s" % (batch.seed, name))
    if args.invalid:
        for name, message in outcome.invalid.items():
            report.note("invalid %s: %s: %s" % (name, message.split("\n")[0], batch.trial.views[name]))
    for name, problem in outcome.wrong.items():
        if problem.kind == "together":
            continue
        fail(report, bench, batch, name, problem, totals, args)
    for names, problem in outcome.together:
        totals.wrong += 1
        report.fail("seed %d" % batch.seed, "an instance fails with views of which none was found to be the one; not reduced: %s: %s"
                    % (problem, " ".join(names)))


def fail(report, bench, batch, name, problem, totals, args, prefix=""):
    totals.wrong += 1
    report.fail("seed %d %s" % (batch.seed, name), prefix + problem)
    report.note("SQL: " + batch.trial.views[name])
    if totals.wrong <= args.reduce:
        reduce(report, bench, batch, name, problem, args)


def reduce(report, bench, batch, name, problem, args):
    trial = batch.trial.replace(views={name: batch.trial.views[name]})
    found = lab.Reducer(bench, trial, batch.trees[name], problem, args.trials).run()
    if found is None:
        report.note("seed %d %s: not reduced: alone it does not fail in this way (%s)" % (batch.seed, name, problem.kind))
        return
    small, problem = found
    report.note("seed %d %s made smaller: %s" % (batch.seed, name, problem))
    path = os.path.join(REGRESS if args.keep else args.out, "seed_%d_%s.sql" % (batch.seed, name))
    lab.save(path, problem, small)
    for line in open(path):
        print("    " + line.rstrip()[:400])
    sys.stdout.flush()


def replay(report, bench, paths):
    """All kept failures in one database."""
    ddl, fill, steps, views, names = "", [], [], {}, {}
    for i, path in enumerate(paths):
        one = lab.load(path, "f%d" % i)
        ddl += one.ddl.rstrip().rstrip(";") + ";\n"
        fill += one.fill
        steps += one.steps
        views.update(one.views)
        names.update((v, os.path.basename(path)) for v in one.views)
    outcome = bench.run(lab.Trial(ddl, fill, steps, views))
    for name, path in names.items():
        problem = outcome.invalid.get(name) or outcome.refused.get(name) or outcome.wrong.get(name)
        report.check("regress %s %s" % (path, name.split("_", 1)[1]), problem is None, problem)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", help="A-B; default: those of the gate, or with SOAK=1 from a seed of the day")
    parser.add_argument("--queries", type=int, default=30, help="per seed")
    parser.add_argument("--steps", type=int, default=24, help="transactions per seed")
    parser.add_argument("--seconds", type=float, default=3000 if soak() else 200, help="no new seed after so long")
    parser.add_argument("--reduce", type=int, default=3, help="how many failures are made smaller")
    parser.add_argument("--trials", type=int, default=25, help="trials to spend on each")
    parser.add_argument("--keep", action="store_true", help="write smaller failures to test/e2e/regress")
    parser.add_argument("--out", default="/tmp")
    parser.add_argument("--invalid", action="store_true", help="show what PostgreSQL refuses")
    parser.add_argument("--file", help="only this kept failure")
    parser.add_argument("--no-regress", action="store_true")
    args = parser.parse_args()
    if args.seeds:
        first, last = (int(n) for n in (args.seeds + "-" + args.seeds).split("-")[:2])
    else:
        first = int(time.strftime("%Y%m%d")) * 1000 if soak() else 1
        last = first + (79 if soak() else 7)
    totals = Totals()
    with Report("test_random_queries", 7000 if soak() else 290 + 20 * args.trials * args.reduce) as report:
        bench = lab.Lab()
        started = time.monotonic()
        paths = [args.file] if args.file else sorted(glob.glob(REGRESS + "/*.sql"))
        if paths and not args.no_regress:
            report.section("regress", replay, report, bench, paths)
        for seed in range(first, last + 1):
            if args.file or time.monotonic() - started > args.seconds:
                break
            report.section("seed %d" % seed, lambda: run_batch(report, bench, Batch(seed, args.queries, args.steps), totals, args))
        report.note("seeds %d to %d: %d queries compared %d times, %d comparisons left out (the query fails in PostgreSQL), %d not "
                    "valid, %d refused, %d wrong" % (first, last, totals.queries, totals.compared, totals.errors, totals.invalid,
                                                      sum(totals.refused.values()), totals.wrong))
        report.note("answers: %d different ones; %d queries never had a row, %d the same rows throughout"
                    % (totals.states, totals.empty, totals.constant))
        for text, n in totals.refused.most_common():
            report.note("refused %4d  %s" % (n, text))
        report.note("features: " + ", ".join("%s %d" % f for f in totals.features.most_common()))
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
