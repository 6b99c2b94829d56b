#!/usr/bin/env python3
"""Every function, operator, cast, aggregate and text form in the tables, against PostgreSQL on the same values.

The tables are asked what they hold (fneval list), so a new row is compared without a line here. Results must agree
to the character, NULL with NULL and error with error, by SQLSTATE.
PENSTOCK_FNEVAL names a built driver; FUNCTION_CASES the combinations per row (default 60); arguments: only rows whose name is given."""

import os
import random
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from lib import pg  # noqa: E402
from lib.function_values import ANY, ARRAYS, ARRAY_ARGUMENTS, MALFORMED_ARRAYS, VALUES, MALFORMED, TYPMODS, SPECIAL, SKIP, SKIP_SET_VALUES, AGG_VALUES, known_difference  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
CASES = int(os.environ.get("FUNCTION_CASES", "60"))

EVALUATE = r"""
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'Happy', 'a b', 'é');
CREATE OR REPLACE FUNCTION pg_temp.evaluate(q text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE r text; n boolean;
BEGIN
    EXECUTE 'SELECT concat(e), e IS NULL FROM (SELECT ' || q || ' AS e OFFSET 0) x' INTO r, n;
    RETURN CASE WHEN n THEN 'N' ELSE 'V ' || r END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'E ' || SQLSTATE || ' ' || encode(decode(replace(SQLERRM, E'\\', '?'), 'escape'), 'escape'); -- may end within a character
END $$;
"""


def driver():
    """The fneval program: given, or built by make."""
    given = os.environ.get("PENSTOCK_FNEVAL")
    if given:
        return given
    target = "build/%s/test/types/fneval" % os.uname().machine  # with the program's own C library
    subprocess.run(["make", "-s", target], cwd=ROOT, check=True, stdout=sys.stderr)
    return os.path.join(ROOT, target)


def escape(text):
    for a, b in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(a, b)
    return text


def unescape(text):
    out, i = [], 0
    while i < len(text):
        if text[i] == "\\" and i + 1 < len(text):
            i += 1
            out.append({"t": "\t", "n": "\n", "r": "\r"}.get(text[i], text[i]))
        else:
            out.append(text[i])
        i += 1
    return "".join(out)


def literal(value, type_name):
    if value is None:
        return "NULL::%s" % type_name
    text = value.replace("'", "''")
    if "\\" in text:
        return "(E'%s'::%s)" % (text.replace("\\", "\\\\"), type_name)
    return "('%s'::%s)" % (text, type_name)


def field(value):
    return "\\N" if value is None else escape(value)


def combinations(rng, lists, count):
    """All of the product if it is small, else a sample that has every value of every list, and a few NULLs."""
    total = 1
    for values in lists:
        total *= len(values)
    if not lists:
        return [()]
    if total <= count:
        found = [()]
        for values in lists:
            found = [f + (v,) for f in found for v in values]
    else:
        found = [tuple(rng.choice(values) for values in lists) for _ in range(count)]
        for i, values in enumerate(lists):
            for v in values:
                found.append(tuple(v if j == i else rng.choice(other) for j, other in enumerate(lists)))
        if len(lists) == 2 and lists[0] is lists[1]:
            found += [(v, v) for v in lists[0]]
    for i in range(len(lists)):
        found.append(tuple(None if j == i else rng.choice(values) for j, values in enumerate(lists)))
    return found


ELEMENTS = ("int4", "text", "numeric", "bpchar", "float8", "bool", "mood", "citext", "inet", "numrange")  # what polymorphic rows are tried with


RANGES = ("int4", "int8", "num", "ts", "tstz", "date")
BOUNDS = {"num": "numeric", "ts": "timestamp", "tstz": "timestamptz"}


def array_cases(rng, row):
    """A row with polymorphic types, for each of several element types."""
    kind, name, flags, args, result = row
    out = []

    def actual(t, element):
        if "range" in args:
            return {"anyrange": element + "range", "anymultirange": element + "multirange", "anyelement": BOUNDS.get(element, element)}.get(t, t)
        return {"anyarray": "_" + element, "anycompatiblearray": "_" + element, "anyelement": element,
                "anycompatible": element, "anyenum": element}.get(t, t)

    for element in ("mood",) if "anyenum" in args else RANGES if "range" in args else ELEMENTS:
        declared = args.split(",")
        types = [actual(t, element) for t in declared]
        lists = [ARRAY_ARGUMENTS.get((name, t)) or ARRAYS.get(t) or VALUES[t] for t in types]
        line_types = ",".join(t if t == a else "%s:%s" % (t, a) for t, a in zip(declared, types))
        if result.startswith("any"):
            line_types += ",>" + actual(result, element)
        for values in combinations(rng, lists, CASES):
            sql = [literal(v, t) for v, t in zip(values, types)]
            text = "%s OPERATOR(pg_catalog.%s) %s" % (sql[0], name, sql[1]) if kind == "op" else "pg_catalog.%s(%s)" % (name, ", ".join(sql))
            out.append(("%s %s(%s)" % (kind, name, args), "\t".join([kind, name, line_types] + [field(v) for v in values]), text))
    return out


def set_cases(rng, row):
    """A set-returning function: its rows in order, a line each."""
    _, name, columns, args, result = row
    declared, out = args.split(","), []
    for element in ELEMENTS if "anyarray" in args else RANGES if "range" in args else ("",):
        types = ["_" + element if t == "anyarray" else element + "multirange" if t == "anymultirange" else t for t in declared]
        lists = [SPECIAL.get("set %s(%s)" % (name, args), {}).get(i) or ARRAYS.get(t) or VALUES[t] for i, t in enumerate(types)]
        line_types = ",".join(t if t == a else "%s:%s" % (t, a) for t, a in zip(declared, types))
        if result.startswith("any"):
            line_types += ",>" + element + ("range" if "range" in args else "")
        names = ["c%d" % i for i in range(int(columns))]
        shown = " || '|' || ".join("CASE WHEN %s IS NULL THEN '<null>' ELSE format('%%s', %s) END" % (c, c) for c in names)
        for values in combinations(rng, lists, CASES):
            if SKIP_SET_VALUES.get(name) and SKIP_SET_VALUES[name] in str(values[0]):
                continue
            sql = [literal(v, t) for v, t in zip(values, types)]
            schema = "public" if "citext" in declared else "pg_catalog"
            text = "(SELECT string_agg(%s, E'\\n' ORDER BY n) FROM %s.%s(%s) WITH ORDINALITY AS s (%s, n))" % (
                shown, schema, name, ", ".join(sql), ", ".join(names))
            out.append(("set %s(%s)" % (name, args), "\t".join(["set", name, line_types] + [field(v) for v in values]), text))
    return out


def row_cases(rng, row):
    """(label, line for the driver, SQL expression) of one row of the tables."""
    kind, name, flags, args, result = row
    if "any" in args and "unknown" not in args:
        return array_cases(rng, row)
    types = [t for t in args.split(",") if t]
    out = []
    if kind in ("fn", "op"):
        if name in SKIP or "%s(%s)" % (name, args) in SKIP:
            return out
        lists = SPECIAL.get("%s(%s)" % (name, args)) or SPECIAL.get(name) or [ANY if t == "unknown" else VALUES.get(t) or ARRAYS[t] for t in types]
        if int(flags) & 2:
            types = types + [types[-1]]
            lists = list(lists) + [lists[-1]]
        lists = lists[:len(types)]
        for values in combinations(rng, lists, CASES):
            sql = [literal(v, "text" if t == "unknown" else t) for v, t in zip(values, types)]
            schema = "public" if "citext" in args and (kind == "op" or not name.startswith("to_json")) else "pg_catalog"
            if kind == "fn":
                text = "%s.%s(%s)" % (schema, quote(name), ", ".join(sql))
            elif int(flags) & 8:
                text = "OPERATOR(pg_catalog.%s) %s" % (name, sql[0])
            else:
                text = "%s OPERATOR(%s.%s) %s" % (sql[0], schema, name, sql[1])
            label = "%s %s(%s)" % (kind, name, args)
            out.append((label, "\t".join([kind, name, args] + [field(v) for v in values]), text))
    elif kind == "cast":
        source = VALUES[args]
        if VALUES[args] is VALUES["text"] or args in ("text", "varchar", "bpchar"):
            source = VALUES[result] + MALFORMED.get(result, []) if result not in ("text", "varchar", "bpchar") else VALUES[args]
        for v in source + [None]:
            out.append(("cast %s -> %s" % (args, result), "\t".join(["cast", args, result, field(v)]),
                        "CAST(%s AS %s)" % (literal(v, args), result)))
    return out


def quote(name):
    return '"%s"' % name if name in ("left", "right", "position", "overlay", "substring", "concat") else name


def type_cases():
    """Text input with good and bad spellings, order, and length coercion."""
    out = []
    for t, values in VALUES.items():
        for v in values + MALFORMED.get(t, []):
            out.append(("input %s" % t, "\t".join(["in", t, "-1", field(v)]), literal(v, t)))
    for t, values in ARRAYS.items():
        for v in values + MALFORMED_ARRAYS:
            out.append(("input %s" % t, "\t".join(["in", t, "-1", field(v)]), literal(v, t)))
    for to in ARRAYS:
        for t, values in ARRAYS.items():
            if any(s in (t, to) and not {t, to} <= {s, "_text", "_bpchar", "_citext"} for s in ("_mood", "_inet", "_numrange")):
                continue
            if t == to or {t, to} <= {"_text", "_bpchar"} or "_bool" in (t, to) and {t, to} <= {"_bool", "_float8", "_numeric"}:
                continue
            for v in values:
                out.append(("cast %s -> %s" % (t, to), "\t".join(["cast", t, to, field(v)]), "CAST(%s AS %s)" % (literal(v, t), to)))
        for v in ARRAYS[to]:
            out.append(("cast %s -> text" % to, "\t".join(["cast", to, "text", field(v)]), "CAST(%s AS text)" % literal(v, to)))
    for t, typmod, spelled in TYPMODS:
        for v in VALUES[t]:
            out.append(("typmod %s" % spelled, "\t".join(["typmod", t, str(typmod), field(v)]),
                        "%s::%s" % (literal(v, t), spelled)))
            source = {"varchar": "varcharin", "bpchar": "bpcharin", "numeric": "numeric_in"}.get(t, t + "_in")
            if source.startswith("timestamp"):
                source = t + "_in"
            out.append(("input %s" % spelled, "\t".join(["in", t, str(typmod), field(v)]),
                        "%s(%s, 0::oid, %d)" % (source, literal(v, "cstring"), typmod)))
    return out


def order_cases(rng):
    out = []
    for t, values in list(VALUES.items()) + list(ARRAYS.items()):
        if t in ("json", "jsonb", "jsonpath"):
            continue
        for a, b in combinations(rng, [values, values], CASES):
            if a is not None and b is not None:
                x, y = literal(a, t), literal(b, t)
                out.append(("order of %s" % t, "\t".join(["cmp", t, field(a), field(b)]),
                            "CASE WHEN %s < %s THEN -1 WHEN %s > %s THEN 1 ELSE 0 END" % (x, y, x, y)))
    return out


def agg_cases(rng, row):
    """Values added with weights; others added and taken away again, which must leave no trace."""
    _, name, ordered, t, _ = row
    out = []
    if ordered == "1" or t == "":
        return out
    if "," in t:
        return pair_cases(rng, name, t.split(","))
    source = AGG_VALUES.get(t) or (VALUES["int4"] if t == "unknown" else VALUES[t])
    for _ in range(CASES):
        kept = [rng.choice(source + [None]) for _ in range(rng.choice((0, 1, 1, 2, 3, 6)))]
        if rng.random() < 0.3 and kept:
            kept = [kept[0]] * rng.choice((1, 2, 5))
        noise = [rng.choice(VALUES["int4" if t == "unknown" else t]) for _ in range(rng.choice((0, 1, 4)))]
        steps = ["1*%s" % ("NULL" if v is None else v) for v in kept]
        for v in noise:
            n = rng.choice((1, 1, 2, 1000000))
            steps.insert(rng.randrange(len(steps) + 1), "%d*%s" % (n, v))
            steps.insert(rng.randrange(len(steps) + 1), "%d*%s" % (-n, v))
        sql_type = "int4" if t == "unknown" else t
        rows = ", ".join("(%d, %s)" % (i, literal(v, sql_type)) for i, v in enumerate(kept)) or "(0, NULL::%s)" % sql_type
        text = "(SELECT %s(v ORDER BY i) FROM (VALUES %s) t (i, v)%s)" % (name, rows, "" if kept else " WHERE false")
        out.append(("aggregate %s(%s)" % (name, t), "\t".join(["agg", name, t] + [escape(s) for s in steps]), text))
    return out


def pair_cases(rng, name, types):
    """The same for aggregates of two arguments."""
    out = []
    sources = [AGG_VALUES.get(t) or VALUES[t] for t in types]
    draw = lambda: tuple(rng.choice(s + [None]) for s in sources)
    step = lambda n, pair: "%d*%s" % (n, ";".join("NULL" if v is None else v for v in pair))
    for _ in range(CASES):
        kept = [draw() for _ in range(rng.choice((0, 1, 2, 3, 6)))]
        if rng.random() < 0.3 and kept:
            kept = [(kept[0][0], rng.choice(sources[1])) for _ in range(rng.choice((2, 5)))]
        steps = [step(1, pair) for pair in kept]
        for pair in [draw() for _ in range(rng.choice((0, 1, 4)))]:
            n = rng.choice((1, 2, 1000000))
            steps.insert(rng.randrange(len(steps) + 1), step(n, pair))
            steps.insert(rng.randrange(len(steps) + 1), step(-n, pair))
        rows = ", ".join("(%d, %s, %s)" % (i, literal(a, types[0]), literal(b, types[1])) for i, (a, b) in enumerate(kept))
        text = "(SELECT %s(a, b ORDER BY i) FROM (VALUES %s) t (i, a, b)%s)" % (
            name, rows or "(0, NULL::%s, NULL::%s)" % tuple(types), "" if kept else " WHERE false")
        args = ",".join(types)
        out.append(("aggregate %s(%s)" % (name, args), "\t".join(["agg", name, args] + [escape(s) for s in steps]), text))
    return out


def ask_postgres(connection, expressions):
    answers = []
    with connection.cursor() as c:
        c.execute(EVALUATE)
        for start in range(0, len(expressions), 2000):
            part = expressions[start:start + 2000]
            c.execute("SELECT pg_temp.evaluate(q) FROM unnest(%s) WITH ORDINALITY u (q, n) ORDER BY n", (part,))
            answers += [r[0] for r in c.fetchall()]
    return answers


def ask_driver(program, lines):
    p = subprocess.run([program], input=("\n".join(lines) + "\n").encode(), stdout=subprocess.PIPE, timeout=50)
    out = p.stdout.decode("utf-8", "replace").split("\n")
    if p.returncode != 0:
        print("not ok driver # ends with %d after line: %s" % (p.returncode, lines[min(len(out) - 1, len(lines) - 1)][:300]))
    return out


def agree(ours, theirs):
    if ours[:1] == "E" and theirs[:1] == "E":
        return ours.split(" ")[1] == theirs.split(" ")[1]
    return ours == theirs


# What the documentation says in words: window functions, and types that are called like functions.
IN_WORDS = set("cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number now transaction_timestamp "
               "statement_timestamp bool bpchar char cidr date float4 float8 int2 int4 int8 interval macaddr numeric text time timestamp timestamptz "
               "timetz varchar grouping json_to_record json_to_recordset jsonb_to_record jsonb_to_recordset row_to_json".split())
# All that could be called, but for what PostgreSQL itself calls: for operators, indexes, aggregates, input and output.
CALLABLE = """SELECT DISTINCT proname FROM pg_proc p
WHERE pronamespace = 'pg_catalog'::regnamespace AND NOT (proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[])
  AND prorettype <> ALL (ARRAY['internal', 'cstring', 'trigger', 'event_trigger', 'index_am_handler', 'table_am_handler', 'tsm_handler', 'fdw_handler', 'language_handler']::regtype[])
  AND NOT EXISTS (SELECT FROM pg_operator WHERE p.oid IN (oprcode, oprrest, oprjoin)) AND NOT EXISTS (SELECT FROM pg_amproc WHERE amproc = p.oid)
  AND NOT EXISTS (SELECT FROM pg_type WHERE p.oid IN (typinput, typoutput, typsend, typreceive))
  AND NOT EXISTS (SELECT FROM pg_aggregate WHERE p.oid IN (aggtransfn, aggfinalfn, aggcombinefn, aggmtransfn, aggminvtransfn, aggmfinalfn))"""


def every_name(connection, listing):
    """Each function of PostgreSQL is one that is compared here, or stands among the refused in docs/sql.md; none is both."""
    docs = open(os.path.join(ROOT, "docs", "sql.md")).read()
    section = docs[docs.index("## Functions that are refused by name"):docs.index("<!-- end -->", docs.index("## Functions that are refused by name"))]
    refused = [re.compile(n.replace("*", ".*")) for n in re.findall(r"`([^`]+)`", section)]
    section = re.sub(r"\(not `[^`]+`\)", "", section)
    ours = {row[1] for row in (line.split("\t") for line in listing.splitlines()) if row[0] in ("fn", "agg", "set")}
    every = [r[0] for r in pg.rows(connection, CALLABLE)]
    missing = [n for n in every if n not in ours and n not in IN_WORDS and not any(r.fullmatch(n) for r in refused)]
    both = [n for n in sorted(ours | IN_WORDS) if any(r.fullmatch(n) for r in refused) and "(not `%s`)" % n not in docs]
    good = not missing and not both and len(every) > 800
    print("%s every name of PostgreSQL # %d functions%s" % ("ok" if good else "not ok", len(every), "" if good else
          "; neither compared nor refused: %s; both: %s" % (" ".join(sorted(missing)), " ".join(both))))
    return good


def main():
    began = time.monotonic()
    only = set(sys.argv[1:])
    only = {o for o in only if not os.path.exists(o)}
    program = driver()
    rng = random.Random(1)
    listing = subprocess.run([program, "list"], stdout=subprocess.PIPE, check=True, text=True).stdout
    cases = []
    for line in listing.splitlines():
        row = line.split("\t")
        if only and row[1] not in only and row[0] not in only:
            continue
        cases += agg_cases(rng, row) if row[0] == "agg" else set_cases(rng, row) if row[0] == "set" else row_cases(rng, row)
    if not only or "type" in only:
        cases += type_cases() + order_cases(rng)
    if os.environ.get("FUNCTION_LINES"):
        with open(os.environ["FUNCTION_LINES"], "w") as f:
            f.write("\n".join("\t".join((c[1], c[2])) if os.environ.get("FUNCTION_SQL") else c[1] for c in cases) + "\n")
    server = pg.Postgres().start()
    named = True
    try:
        if not only:
            named = every_name(server.connect(), listing)
        theirs = ask_postgres(server.connect(), [c[2] for c in cases])
    finally:
        server.stop()
    if os.environ.get("SHOW"):
        print("# PostgreSQL: %.1f s" % (time.monotonic() - began))
    ours = ask_driver(program, [c[1] for c in cases])
    wrong, labels = {}, {}
    for (label, line, sql), x, y in zip(cases, ours, theirs):
        labels[label] = labels.get(label, 0) + 1
        if not agree(unescape(x), y) and not known_difference(label, line, unescape(x), y):
            wrong.setdefault(label, []).append("%s\n#      ours: %s\n#      PostgreSQL: %s" % (sql[:400], x[:300], y[:300]))
    for label, count in labels.items():
        if label in wrong:
            print("not ok %s # %d of %d differ" % (label, len(wrong[label]), count))
            for text in wrong[label][:int(os.environ.get("SHOW", "5"))]:
                print("#   " + text)
        else:
            print("ok %s # %d" % (label, count))
    print("# %d combinations, %d rows differ, %.1f s" % (len(cases), len(wrong), time.monotonic() - began))
    return 1 if wrong or not named or len(ours) < len(cases) else 0


if __name__ == "__main__":
    sys.exit(main())
