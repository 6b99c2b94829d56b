#!/usr/bin/python3
"""The random tester is tested: programs with a planted fault each are built from changed copies of one source file, and the
seeds that the gate runs must find every fault. A fault that is not found asks for a better grammar or better data. Faults
that end the program must be blamed on queries that hold what crashes, and made smaller to one that still does.

    soak_tester.py [--faults PATTERN] [--seeds A-B]

Needs the build folder and make; `make soak` runs it. Changed copies and programs go to build/planted."""

import argparse
import os
import re
import subprocess
import sys

import test_random_queries as tester
from lib import lab, procs
from lib.report import Report

# name: (file below src, what stands there, what is put in its place, what a blamed query must hold or None)
FAULTS = {
    "semi, anti and mark joins do not take back": (
        "ops/op_join.c", "    if (before == after)\n        return;\n",
        "    if (before == after || more.matches < 0)\n        return;\n", None),
    "an outer join does not restore the NULL row": (
        "ops/op_join.c", "    else if (before > 0 && row->matches <= 0)\n", "    else if (before > 0 && row->matches < 0)\n", None),
    "null-safe keys are plain ones": (
        "ops/op_join.c", "VAL_NULL && !s->null_safe[i])", "VAL_NULL)", None),
    "a DISTINCT aggregate does not take back": (
        "ops/op_aggregate.c", "    if ((before > 0) != (d->count > 0)) {", "    if (before <= 0 && d->count > 0) {", None),
    "an emptied group stays": (
        "ops/op_aggregate.c", "        else if (keyed && g->weight == 0)\n", "        else if (keyed && g->weight < 0)\n", None),
    "OFFSET is ignored": (
        "ops/op_top.c", "int64_t offset = op->node->u.top.offset,", "int64_t offset = 0,", "OFFSET"),
    "a ROWS frame starts a row too early": (
        "ops/window.c", "minus(i, f->start_offset)", "minus(i, f->start_offset + 1)", "ROWS"),
    "EXCEPT ALL takes all copies": (
        "ops/op_set.c", "return l > r ? l - r : 0;", "return l > 0 && r == 0 ? l : 0;", "EXCEPT"),
    "an empty grouping set has no row of its own": (
        "sql/bind_group.c", "        rows += is_empty_set(g, i);\n", "        rows += false;\n", None),
    "INTERSECT ends the planner": (
        "plan/physical_set.c", "    bool intersect = r->u.set.kind == REL_INTERSECT;\n",
        "    bool intersect = r->u.set.kind == REL_INTERSECT;\n    ASSERT(!intersect);\n", "INTERSECT"),
    "a row in both sides of INTERSECT ends the pipeline": (
        "ops/op_set.c", "        int64_t both = l < r ? l : r;\n",
        "        int64_t both = l < r ? l : r;\n        ASSERT(both <= 0);\n", "INTERSECT"),
}


def plant(name, file, old, new):
    """The program with the fault; its path."""
    folder = os.path.join(procs.ROOT, "build", "planted", re.sub(r"\W+", "_", name))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(procs.ROOT, "src", file)) as f:
        text = f.read()
    if text.count(old) != 1:
        raise RuntimeError("src/%s holds what the fault changes %d times: bring the fault up to date" % (file, text.count(old)))
    with open(os.path.join(folder, "file.c"), "w") as f:
        f.write(text.replace(old, new))
    done = subprocess.run(["make", "-s", "planted", "PLANTED=" + folder], cwd=procs.ROOT, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError("make: " + (done.stdout + done.stderr)[-500:])
    return os.path.join(folder, "penstock")


def first_failure(bench, seeds):
    """(batch, outcome) of the first seed that finds something; (None, None)."""
    for seed in seeds:
        batch = tester.Batch(seed, 30, 24)
        outcome = bench.run(batch.trial, every=2)
        if outcome.wrong:
            return batch, outcome
    return None, None


def check_crash(report, name, bench, batch, outcome, holds):
    """Only queries that hold what crashes are blamed, and so does what is left of one."""
    blamed = [n for n, p in outcome.wrong.items() if p.kind == "crash"]
    report.check("%s: queries are blamed" % name, blamed, "; ".join(outcome.wrong.values()))
    report.check("%s: no other query is" % name, all(holds in batch.trial.views[n] for n in blamed), " ".join(blamed))
    for names, _ in outcome.together:
        report.check("%s: what fails together holds it" % name, any(holds in batch.trial.views[n] for n in names), " ".join(names))
    if not blamed:
        return
    view, problem = blamed[0], outcome.wrong[blamed[0]]
    trial = batch.trial.replace(views={view: batch.trial.views[view]})
    found = lab.Reducer(bench, trial, batch.trees[view], problem, 12).run()
    report.check("%s: made smaller" % name, found is not None and problem.same(found[1]) and holds in str(found[0].views),
                 found and "%s: %s" % (found[1], found[0].views))


def run_fault(report, bench, name, seeds):
    file, old, new, holds = FAULTS[name]
    os.environ["PENSTOCK"] = plant(name, file, old, new)
    batch, outcome = first_failure(bench, seeds)
    report.check("found: %s" % name, outcome is not None, "none of seeds %d to %d finds it" % (seeds[0], seeds[-1]))
    if outcome is None:
        return
    for view, problem in list(outcome.wrong.items())[:1]:
        report.note("seed %d %s: %s" % (batch.seed, view, problem))
    if name.endswith(("ends the planner", "ends the pipeline")):
        check_crash(report, name, bench, batch, outcome, holds)
    elif holds:
        report.check("%s: in queries that hold %s" % (name, holds), all(holds in batch.trial.views[n] for n in outcome.wrong),
                     " ".join(outcome.wrong))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", default="", help="only those whose name matches")
    parser.add_argument("--seeds", default="1-8")
    args = parser.parse_args()
    first, last = (int(n) for n in (args.seeds + "-" + args.seeds).split("-")[:2])
    with Report("soak_tester", 3600) as report:
        bench = lab.Lab()
        for name in FAULTS:
            if re.search(args.faults, name):
                report.section(name, run_fault, report, bench, name, range(first, last + 1))
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
