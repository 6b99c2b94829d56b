#!/usr/bin/python3
"""All queries of TPC-H as views, equal to PostgreSQL's answers while rows come, change and go.

    test_tpch.py [--seed N] [--commits N] [--shards 1,3]

ORDER BY and LIMIT of the specification's texts stay where the view needs them to say which rows it has; otherwise a view
has no order, the API gives it. A query in REFUSED must be refused, and for that reason: when it is supported, the test
fails until it is taken out of the list."""

import argparse
import random
import re
import sys

from lib import lab, tpch
from lib.report import Report, soak

# query -> what its refusal says
REFUSED = {}

CHANGES = ("lineitem", "lineitem", "lineitem", "orders", "orders", "customer", "partsupp", "part", "supplier", "nation")


def view_text(name):
    """ORDER BY without LIMIT decides nothing about a view's rows."""
    text = tpch.QUERIES[name]
    return text if "LIMIT" in text else re.sub(r"\nORDER BY [^()]*\Z| ORDER BY [^()]*\Z", "", text)


def assignments(table, values):
    """All columns but the key set anew."""
    columns = re.search(r"CREATE TABLE core\.%s \((.*?)\);\n" % table, tpch.SCHEMA, re.S).group(1)
    names = re.findall(r"(?:^|, |\n  )(\w+) (?=int|char|varchar|numeric|date)", columns)
    keys = len(re.findall(r"\w+_\w+", re.search(r"PRIMARY KEY \((.*?)\)", columns).group(1))) if "PRIMARY KEY (" in columns else 1
    if table == "lineitem":
        key = ("l_orderkey", "l_linenumber")
        return [(n, v) for n, v in zip(names, values) if n not in key]
    return list(zip(names, values))[keys:]


def where(table, key):
    if table == "lineitem":
        return "l_orderkey = %d AND l_linenumber = %d" % key
    if table == "partsupp":
        return "ps_partkey = %d AND ps_suppkey = %d" % key
    prefix = {"part": "p_part", "supplier": "s_supp", "customer": "c_cust", "orders": "o_order", "nation": "n_nation",
              "region": "r_region"}[table]
    return "%skey = %d" % (prefix, key)


def change(r, keys):
    table = r.choice(CHANGES)
    key = r.choice(keys[table])
    kind = r.random()
    if kind < 0.25:
        return ["DELETE FROM core.%s WHERE %s" % (table, where(table, key))]
    if kind < 0.6:
        return [tpch.insert(table, tpch.row(table, key, r))]  # one that was deleted comes back
    pairs = assignments(table, tpch.row(table, key, r))
    some = pairs if r.random() < 0.3 else r.sample(pairs, min(len(pairs), r.randint(1, 3)))
    return ["UPDATE core.%s SET %s WHERE %s" % (table, ", ".join("%s = %s" % (n, tpch.literal(v)) for n, v in some), where(table, key))]


def transaction(r, keys):
    out = []
    for _ in range(r.choice((1, 2, 4, 10, 40))):
        out += change(r, keys)
    if r.random() < 0.15:
        order = r.choice(keys["orders"])  # an order with its items, moved to another key and back
        out += ["UPDATE core.orders SET o_orderkey = o_orderkey + 100000 WHERE o_orderkey = %d" % order,
                "UPDATE core.lineitem SET l_orderkey = l_orderkey + 100000 WHERE l_orderkey = %d" % order]
    if r.random() < 0.1:
        out += ["DELETE FROM core.lineitem WHERE l_orderkey > 100000", "DELETE FROM core.orders WHERE o_orderkey > 100000"]
    if r.random() < 0.05:
        out.append("TRUNCATE core.%s" % r.choice(("customer", "supplier")))
        table = out[-1].split(".")[1]
        out += [tpch.insert(table, tpch.row(table, key, r)) for key in keys[table]]
    if r.random() < 0.08:
        out.append("ROLLBACK")
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commits", type=int, default=300 if soak() else 120)
    parser.add_argument("--shards", default="1,3,7" if soak() else "1,3")
    args = parser.parse_args()
    r = random.Random(args.seed)
    keys = tpch.keys()
    fill = [tpch.insert(t, tpch.row(t, key, r)) for t in tpch.TABLES for key in keys[t]]
    steps = [transaction(r, keys) for _ in range(args.commits)]
    views = dict(tpch.HELPERS)
    views.update((name, view_text(name)) for name in tpch.QUERIES)
    trial = lab.Trial(tpch.SCHEMA, fill, steps, views, [int(n) for n in args.shards.split(",")])
    with Report("test_tpch", 3000 if soak() else 240) as report:
        bench = lab.Lab()
        outcome = bench.run(trial, every=2)
        for name in views:
            refused = outcome.refused.get(name)
            if name in outcome.invalid:
                report.fail("tpch " + name, "PostgreSQL: " + outcome.invalid[name])
            elif name in REFUSED:
                if refused and re.search(REFUSED[name], refused):
                    report.note("%s is refused: %s" % (name, refused))
                else:
                    report.fail("tpch " + name, "is to be refused (%s); %s" % (REFUSED[name], refused or "it is supported now: take it out of REFUSED"))
            elif refused:
                report.fail("tpch " + name, "refused: " + refused)
            elif name in outcome.wrong:
                report.fail("tpch " + name, outcome.wrong[name])
            else:
                states = len(outcome.states[name])
                report.check("tpch " + name, states > 4, "has only %d different answers: the rows do not touch it" % states)
        report.note("seed %d: %d commits, %d points, %d comparisons" % (args.seed, args.commits, outcome.points, outcome.compared))
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
