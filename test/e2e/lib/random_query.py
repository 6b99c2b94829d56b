"""Random queries, typed so that PostgreSQL takes nearly all of them, and with one answer only: what PostgreSQL leaves
open (which of 1.0 and 1.00 stands for a group, which of two equal rows comes first) is not asked.

A column's `look` says whether equal values are written alike: the scale of a numeric, "one" for other types, None when
they may differ. Only values of one look are grouped, made distinct, merged by set operations or ordered by."""

import random

from .tree import List, Node, expr, optional

LITERALS = {
    "i4": ["0", "1", "2", "3", "-1", "5"],
    "i8": ["0::bigint", "1::bigint", "4::bigint"],
    "i2": ["1::smallint", "2::smallint"],
    "num": ["1.500", "0.000", "2.000", "-1.250"],
    "f8": ["0.25::float8", "2::float8", "1.5::float8"],
    "f4": ["0.5::float4", "1::float4"],
    "text": ["'a'::text", "''::text", "'ab'::text"],
    "vc": ["'a'::varchar", "'ab'::varchar"],
    "ch": ["'a'::char(4)", "'ab'::char(4)"],
    "bool": ["true", "false"],
    "date": ["DATE '2024-02-29'", "DATE '2024-03-01'"],
    "ts": ["TIMESTAMP '2024-02-29 12:00:00'", "TIMESTAMP '2024-03-01 00:00:00'"],
    "tz": ["TIMESTAMPTZ '2024-03-31 01:00:00+00'"],
    "time": ["TIME '12:30:00'"],
    "iv": ["INTERVAL '1 day'", "INTERVAL '02:00:00'"],
    "uuid": ["'10000000-0000-4000-8000-000000000001'::uuid"],
    "by": ["'\\x00'::bytea"],
    "jb": ["'[]'::jsonb", "'3'::jsonb"],
    "ai4": ["'{1,2}'::integer[]", "ARRAY[3, 1]", "'{}'::integer[]", "ARRAY[NULL, 2]"],
    "atext": ["'{a,b}'::text[]", "ARRAY['a', NULL]"],
}
SQL_TYPES = {"i2": "smallint", "i4": "integer", "i8": "bigint", "num": "numeric", "f4": "real", "f8": "float8", "text": "text",
             "vc": "varchar", "ch": "char(4)", "bool": "boolean", "date": "date", "ts": "timestamp", "tz": "timestamptz",
             "time": "time", "iv": "interval", "uuid": "uuid", "by": "bytea", "jb": "jsonb", "ai4": "integer[]", "atext": "text[]"}
ELEMENTS = {"ai4": "i4", "atext": "text"}
SMALL = ("i2", "i4", "i8", "num", "text", "bool", "date", "f8")  # types of an item that nothing asks for
COMPARABLE = {"i2": ("i2", "i4", "i8", "num"), "i4": ("i2", "i4", "i8", "num", "f8"), "i8": ("i2", "i4", "i8", "num"),
              "num": ("num", "i4", "i8"), "f8": ("f8", "f4", "i4"), "f4": ("f4", "f8"), "text": ("text", "vc"),
              "vc": ("vc", "text"), "date": ("date", "ts"), "ts": ("ts", "date")}
NO_LOOK = {"num": 3}
RANGE_OFFSETS = {"i2": ("1", "3"), "i4": ("1", "3"), "i8": ("0", "2"), "num": ("1.25", "2"), "f4": ("1.5",), "f8": ("1.5", "2"),
                 "date": ("INTERVAL '1 day'", "INTERVAL '1 month'"), "ts": ("INTERVAL '12 hours'", "INTERVAL '1 month -3 days'"),
                 "tz": ("INTERVAL '36 hours'",)}


def one_look(kind, look):
    return look is not None


class Col:
    """A column that an expression may name. ref: its text. table: a plain column of a relation (not an expression)."""

    def __init__(self, ref, kind, look, table=True):
        self.ref, self.kind, self.look, self.table = ref, kind, look, table


class Generator:
    """features: names of what may be used. After query(): `used` holds what was."""

    def __init__(self, r, tables, features):
        self.r, self.tables, self.features = r, tables, features
        self.used = set()
        self.names = 0
        self.ctes = []
        self.side = random.Random(str(r.getstate()[1][:8]))  # its own dice, so that other features' queries stay what they are

    def fresh(self, prefix):
        self.names += 1
        return "%s%d" % (prefix, self.names)

    def chance(self, share, feature=None):
        if feature and feature not in self.features:
            return False
        if self.r.random() >= share:
            return False
        if feature:
            self.used.add(feature)
        return True

    # ---- expressions: (node, look) ----

    def literal(self, kind):
        look = NO_LOOK.get(kind, "one")
        text = self.r.choice(LITERALS[kind])
        return expr(kind, text), look

    def null(self, kind):
        return expr(kind, "NULL::" + SQL_TYPES[kind]), NO_LOOK.get(kind, "one")

    def column(self, kind, scope):
        found = [c for c in scope if c.kind == kind]
        if not found:
            return None
        c = self.r.choice(found)
        return self.of(c), c.look

    @staticmethod
    def of(c):
        """A fresh node for a column."""
        return c.ref if isinstance(c.ref, Node) else expr(c.kind, c.ref)

    def leaf(self, kind, scope):
        if self.r.random() < 0.85:
            found = self.column(kind, scope)
            if found:
                return found
        if self.r.random() < 0.08:
            return self.null(kind)
        return self.literal(kind)

    def value(self, kind, scope, depth):
        """An expression of a type."""
        r = self.r
        if depth <= 0 or r.random() < 0.4:
            return self.leaf(kind, scope)
        choice = r.random()
        if choice < 0.12:
            return self.case(kind, scope, depth)
        if choice < 0.24:
            return self.coalesce(kind, scope, depth)
        if choice < 0.30 and kind not in ("ch", "jb"):
            a, look = self.value(kind, scope, depth - 1)
            b, _ = self.value(kind, scope, depth - 1)
            return expr(kind, "nullif(", a, ", ", b, ")", simple="NULL::" + SQL_TYPES[kind]), look
        if choice < 0.38 and kind in ("i4", "i8", "num", "text", "date", "ts", "f8"):
            a, la = self.value(kind, scope, depth - 1)
            b, lb = self.value(kind, scope, depth - 1)
            name = r.choice(("greatest", "least"))
            return expr(kind, name, "(", a, ", ", b, ")"), la if la == lb else None
        if self.chance(0.10, "scalar_subquery"):
            return self.scalar_subquery(kind, scope)
        maker = getattr(self, "make_" + kind, None)
        return maker(scope, depth - 1) if maker else self.leaf(kind, scope)

    def case(self, kind, scope, depth):
        whens, looks = [], []
        for _ in range(self.r.choice((1, 1, 2))):
            a, look = self.value(kind, scope, depth - 1)
            whens.append(Node("when", " WHEN ", self.condition(scope, depth - 1), " THEN ", a))
            looks.append(look)
        parts = ["CASE", List("whens", tuple(whens), "")]
        if self.r.random() < 0.7:
            a, look = self.value(kind, scope, depth - 1)
            parts.append(optional("else", " ELSE ", a))
            looks.append(look)
        return expr(kind, *parts, " END"), looks[0] if len(set(looks)) == 1 else None

    def coalesce(self, kind, scope, depth):
        parts, looks = [], []
        for _ in range(self.r.choice((2, 2, 3))):
            a, look = self.value(kind, scope, depth - 1)
            parts.append(a)
            looks.append(look)
        return expr(kind, "coalesce(", List("args", tuple(parts)), ")"), looks[0] if len(set(looks)) == 1 else None

    def binary(self, kind, a, op, b):
        return expr(kind, "(", a, " %s " % op, b, ")")

    def make_i4(self, scope, depth):
        r = self.r
        a, _ = self.value(r.choice(("i4", "i4", "i2")), scope, depth)
        kind = r.randrange(9)
        if kind > 6:
            return self.of_array("i4", scope, depth), "one"
        if kind < 2:
            b, _ = self.value("i4", scope, depth)
            return self.binary("i4", a, r.choice("+-"), b), "one"
        if kind == 2:
            return expr("i4", "(", a, " * %d)" % r.randint(-2, 4)), "one"
        if kind == 3:
            b, _ = self.leaf("i4", scope)
            return expr("i4", "(", a, r.choice((" % ", " / ")), "nullif(", b, ", 0))"), "one"
        if kind == 4:
            return expr("i4", "abs(", a, ")"), "one"
        if kind == 5:
            t, _ = self.value(r.choice(("text", "vc")), scope, depth)
            return expr("i4", "length(", t, ")"), "one"
        return expr("i4", "(", self.condition(scope, depth), ")::int"), "one"

    def make_i8(self, scope, depth):
        a, _ = self.value("i8", scope, depth)
        b, _ = self.value(self.r.choice(("i8", "i4")), scope, depth)
        return self.binary("i8", a, self.r.choice("+-"), b), "one"

    def make_i2(self, scope, depth):
        a, _ = self.leaf("i2", scope)
        return expr("i2", "(-", a, ")"), "one"

    def make_num(self, scope, depth):
        r = self.r
        a, look = self.value("num", scope, depth)
        kind = r.randrange(6)
        if kind < 2:
            b, lb = self.value(r.choice(("num", "i4")), scope, depth)
            return self.binary("num", a, r.choice("+-"), b), look if lb in (look, "one") else None
        if kind == 2:
            return expr("num", "(", a, " * %d)" % r.randint(-2, 4)), look
        if kind == 3:
            b, _ = self.leaf("i4", scope)
            return expr("num", "(", a, " / nullif(", b, ", 0))"), None
        if kind == 4:
            digits = r.randint(0, 2)
            return expr("num", "round(", a, ", %d)" % digits), digits
        return expr("num", "abs(", a, ")"), look

    def make_f8(self, scope, depth):
        a, la = self.value("f8", scope, depth)
        b, lb = self.value(self.r.choice(("f8", "f4")), scope, depth)
        return self.binary("f8", a, self.r.choice("+-"), b), "one" if la == lb == "one" else None

    def make_text(self, scope, depth):
        r = self.r
        a, _ = self.value(r.choice(("text", "text", "vc")), scope, depth)
        kind = r.randrange(8)
        if kind == 7:
            return self.of_array("text", scope, depth), "one"
        if kind == 0:
            b, _ = self.value("text", scope, depth)
            return self.binary("text", a, "||", b), "one"
        if kind == 1:
            return expr("text", r.choice(("upper", "lower", "reverse", "btrim")), "(", a, ")"), "one"
        if kind == 2:
            return expr("text", "substr(", a, ", %d, %d)" % (r.randint(0, 2), r.randint(0, 3))), "one"
        if kind == 3:
            b, _ = self.leaf(r.choice(("i4", "date", "bool", "uuid", "i8")), scope)
            return expr("text", b, "::text"), "one"
        if kind == 4:
            b, _ = self.leaf("jb", scope)
            return expr("text", "(", b, " ->> '%s')" % r.choice("abc")), "one"
        if kind == 5:
            b, _ = self.leaf("i4", scope)
            return expr("text", "concat(", a, ", ", b, ")"), "one"
        return expr("text", "replace(", a, ", 'a', 'bb')"), "one"

    # ---- arrays ----

    def array(self, kind, scope, depth):
        self.used.add("array")
        return self.value(kind, scope, depth)[0]

    def of_array(self, kind, scope, depth):
        """An integer or a text of an array."""
        r = self.r
        if kind == "text":
            if r.random() < 0.4:
                return expr("text", "array_to_string(", self.array(r.choice(("ai4", "atext")), scope, depth), ", ',')")
            return expr("text", "(", self.array("atext", scope, depth), ")[", self.leaf("i4", scope)[0], "]")
        choice = r.randrange(4)
        if choice == 0:
            return expr("i4", "cardinality(", self.array(r.choice(("ai4", "atext")), scope, depth), ")")
        if choice == 1:
            return expr("i4", "array_position(", self.array("ai4", scope, depth), ", ", self.leaf("i4", scope)[0], ")")
        if choice == 2:
            return expr("i4", "array_length(", self.array("atext", scope, depth), ", 1)")
        return expr("i4", "(", self.array("ai4", scope, depth), ")[", self.leaf("i4", scope)[0], "]")

    def make_array(self, kind, scope, depth):
        r = self.r
        self.used.add("array")
        items = lambda: self.value(ELEMENTS[kind], scope, depth - 1)[0]
        choice = r.randrange(6)
        if choice == 0:
            return expr(kind, "ARRAY[", List("args", tuple(items() for _ in range(r.randint(1, 3)))), "]"), "one"
        a = self.value(kind, scope, depth)[0]
        if choice == 1:
            return expr(kind, "array_append(", a, ", ", items(), ")"), "one"
        if choice == 2:
            return expr(kind, "array_remove(", a, ", ", items(), ")"), "one"
        if choice == 3:
            return expr(kind, "(", a, ")[", self.leaf("i4", scope)[0], ":", r.choice(("1", "2", "3", "")), "]"), "one"
        if choice == 4:
            return expr(kind, "array_replace(", a, ", ", items(), ", ", items(), ")"), "one"
        return expr(kind, "array_cat(", a, ", ", self.leaf(kind, scope)[0], ")"), "one"

    def make_ai4(self, scope, depth):
        return self.make_array("ai4", scope, depth)

    def make_atext(self, scope, depth):
        return self.make_array("atext", scope, depth)

    def array_condition(self, scope, depth):
        r = self.r
        kind = r.choice(("ai4", "ai4", "atext"))
        a = self.array(kind, scope, depth)
        if r.random() < 0.3:
            b = self.array(kind, scope, depth)
            return expr("bool", "(", a, r.choice((" @> ", " <@ ", " && ")), b, ")", simple="true")
        x = self.value(ELEMENTS[kind], scope, depth)[0]
        op = r.choice((" = ANY (", " = ANY (", " <> ALL (", " < ANY (", " >= ALL ("))
        return expr("bool", "(", x, op, a, "))", simple="true")

    def make_date(self, scope, depth):
        a, _ = self.value("date", scope, depth)
        b, _ = self.leaf("i4", scope)
        return self.binary("date", a, self.r.choice("+-"), b), "one"

    def make_ts(self, scope, depth):
        r = self.r
        a, _ = self.value(r.choice(("ts", "date")), scope, depth)
        if r.random() < 0.5:
            return expr("ts", "date_trunc('%s', " % r.choice(("day", "month", "hour")), a, "::timestamp)"), "one"
        b, _ = self.leaf("iv", scope)
        return self.binary("ts", a, r.choice("+-"), b), "one"

    def make_bool(self, scope, depth):
        return self.condition(scope, depth), "one"

    # ---- conditions ----

    def compare(self, scope, depth, outer=()):
        """A comparison; with outer columns, one side is theirs."""
        r = self.r
        left = r.choice(outer) if outer else None
        kinds = [c.kind for c in scope] or ["i4"]
        kind = left.kind if left else r.choice(kinds)
        if kind in ("jb", "by"):
            op = r.choice(("=", "<>"))
        else:
            op = r.choice(("=", "=", "<>", "<", "<=", ">", ">="))
        a = self.of(left) if left else self.value(kind, scope, depth)[0]
        other = r.choice(COMPARABLE.get(kind, (kind,)))
        b, _ = self.value(other, scope, depth - 1 if not left else 0)
        return expr("bool", "(", a, " %s " % op, b, ")", simple="true")

    def condition(self, scope, depth):
        r = self.r
        choice = r.random()
        if depth > 0 and choice < 0.25:
            a, b = self.condition(scope, depth - 1), self.condition(scope, depth - 1)
            return expr("bool", "(", a, r.choice((" AND ", " OR ")), b, ")", simple="true")
        if depth > 0 and choice < 0.32:
            return expr("bool", "(NOT ", self.condition(scope, depth - 1), ")", simple="true")
        if choice < 0.62:
            return self.compare(scope, depth - 1)
        if r.random() < 0.07:
            return self.array_condition(scope, depth - 1)
        if depth > 0 and self.chance(0.18, "exists"):
            return self.exists(scope)
        if depth > 0 and self.chance(0.20, "in_subquery"):
            return self.in_subquery(scope)
        kinds = [c.kind for c in scope] or ["i4"]
        kind = r.choice(kinds)
        a, _ = self.value(kind, scope, depth - 1)
        if choice < 0.72:
            return expr("bool", "(", a, r.choice((" IS NULL", " IS NOT NULL")), ")", simple="true")
        if choice < 0.80:
            b, _ = self.value(kind, scope, depth - 1)
            return expr("bool", "(", a, r.choice((" IS DISTINCT FROM ", " IS NOT DISTINCT FROM ")), b, ")", simple="true")
        if choice < 0.88:
            items = [self.literal(kind)[0] for _ in range(r.randint(1, 3))]
            if r.random() < 0.2:
                items.append(self.null(kind)[0])
            return expr("bool", "(", a, r.choice((" IN (", " NOT IN (")), List("args", tuple(items)), "))", simple="true")
        if choice < 0.93:
            t, _ = self.value("text", scope, depth - 1)
            return expr("bool", "(", t, r.choice((" LIKE ", " NOT LIKE ", " ILIKE ")), r.choice(("'a%'", "'%b'", "'_'", "''")), ")",
                        simple="true")
        if choice < 0.96:
            b = self.condition(scope, depth - 1)
            return expr("bool", "(", b, r.choice((" IS TRUE", " IS NOT TRUE", " IS FALSE", " IS UNKNOWN")), ")", simple="true")
        if kind in ("i4", "i8", "num", "date", "ts", "text"):
            b, c = self.value(kind, scope, 0)[0], self.value(kind, scope, 0)[0]
            return expr("bool", "(", a, r.choice((" BETWEEN ", " NOT BETWEEN ")), b, " AND ", c, ")", simple="true")
        return self.compare(scope, depth - 1)

    # ---- subqueries in expressions ----

    def inner(self, scope):
        """FROM and WHERE of a subquery, correlated more often than not: (from, where, scope, correlated)."""
        outer = [c for c in scope if c.table]
        source, inside = self.function(outer) if outer and self.chance(0.12, "function") else self.relation(0, [])
        where = []
        correlated = bool(outer) and self.r.random() < 0.7
        if correlated:
            self.used.add("correlated")
            same = [(a, b) for a in inside for b in outer if a.kind == b.kind and a.table and a.kind != "jb"]
            if same and self.r.random() < 0.85:
                a, b = self.r.choice(same)
                op = self.r.choice(("=", "=", "=", "=", "IS NOT DISTINCT FROM", "<>"))
                where.append(expr("bool", "(", self.of(a), " %s " % op, self.of(b), ")", simple="true"))
            else:
                where.append(self.compare(inside, 1, outer))
            if self.r.random() < 0.2:
                where.append(self.compare(inside, 1, outer))
        if self.r.random() < 0.35:
            where.append(self.condition(inside, 1))
        node = optional("where", " WHERE ", List("and", tuple(where), " AND ")) if where else ""
        return source, node, inside

    def exists(self, scope):
        source, where, inside = self.inner(scope)
        text = self.r.choice(("EXISTS (SELECT 1 FROM ", "NOT EXISTS (SELECT 1 FROM ", "EXISTS (SELECT * FROM "))
        return expr("bool", text, source, where, ")", simple="true")

    def in_subquery(self, scope):
        r = self.r
        source, where, inside = self.inner(scope)
        kind = r.choice([c.kind for c in inside])
        a, _ = self.value(kind, scope, 1)
        b, _ = self.value(kind, inside, 1)
        op = r.choice((" IN (SELECT ", " IN (SELECT ", " NOT IN (SELECT "))
        if r.random() < 0.15:
            self.used.add("any_all")
            op = " %s %s (SELECT " % (r.choice(("=", "<>", "<", ">=") if kind not in ("jb", "by") else ("=", "<>")),
                                      r.choice(("ANY", "ALL")))
            if "any_all" not in self.features:
                op = " IN (SELECT "
                self.used.discard("any_all")
        return expr("bool", "(", a, op, b, " FROM ", source, where, "))", simple="true")

    def scalar_subquery(self, kind, scope):
        """An aggregate, so that there is one row at most."""
        if kind in ("jb", "uuid", "by"):
            return self.leaf(kind, scope)
        source, where, inside = self.inner(scope)
        call, look = self.aggregate_of(kind, inside)
        return expr(kind, "(SELECT ", call, " FROM ", source, where, ")", simple="NULL::" + SQL_TYPES[kind]), look

    # ---- aggregates ----

    def filtered(self, scope):
        if self.r.random() < 0.2:
            return optional("filter", " FILTER (WHERE ", self.condition(scope, 1), ")")
        return ""

    def aggregate_of(self, kind, scope):
        """A call whose result has this type: (node, look)."""
        r = self.r
        d = optional("distinct", "DISTINCT ") if r.random() < 0.2 else ""
        f = self.filtered(scope)
        if kind == "i8":
            choice = r.randrange(4)
            if choice == 0:
                return expr(kind, "count(*)", f), "one"
            if choice == 1:
                arg = self.value(r.choice([c.kind for c in scope] or ["i4"]), scope, 1)[0]
                return expr(kind, "count(", d, self.row(scope, 0.25) or arg, ")", f), "one"
            if choice == 2:
                return expr(kind, "sum(", d, self.value("i4", scope, 1)[0], ")", f), "one"
            if r.random() < 0.5:
                return expr(kind, r.choice(("bit_and(", "bit_or(", "bit_xor(")), d, self.value("i8", scope, 1)[0], ")", f), "one"
        if kind == "num":
            choice = r.randrange(5)
            if choice == 3:
                name = r.choice(("stddev", "stddev_pop", "variance", "var_pop"))
                return expr(kind, name, "(", d, self.value(r.choice(("i4", "i8", "num")), scope, 1)[0], ")", f), None
            if choice == 0:
                a, look = self.value("num", scope, 1)
                if look is not None or not d:
                    return expr(kind, "sum(", d if look is not None else "", a, ")", f), look
            if choice == 1:
                return expr(kind, "avg(", d, self.value("i4", scope, 1)[0], ")", f), None
            if choice == 2:
                return expr(kind, "sum(", d, self.value("i8", scope, 0)[0], ")", f), 0
        if kind == "bool":
            return expr(kind, r.choice(("bool_and", "bool_or")), "(", self.condition(scope, 1), ")", f), "one"
        if kind == "text" and self.chance(0.3, "ordered_aggregate"):
            a, _ = self.value("text", scope, 1)
            text = str(a)
            if r.random() < 0.4:
                text = str(self.leaf("text", scope)[0])
                return expr(kind, "string_agg(DISTINCT ", text, ", '|' ORDER BY ", text, r.choice(("", " DESC", " NULLS FIRST")), ")", f), "one"
            return expr(kind, "string_agg(", text, ", ',' ORDER BY ", text, r.choice(("", " DESC", " NULLS FIRST")), ")", f), "one"
        if kind == "f8":
            a, look = self.column("f8", scope) or self.literal("f8")
            if look is not None:
                if self.chance(0.2, "statistics"):
                    self.used.add("statistics")
                return expr(kind, r.choice(("sum", "avg", "min", "max")), "(", a, ")", f), None
        if kind in ELEMENTS and r.random() < 0.7:
            self.used.add("array")
            text = str(self.value(ELEMENTS[kind], scope, 1)[0])
            return expr(kind, "array_agg(", d, text, " ORDER BY ", text, r.choice(("", " DESC", " NULLS FIRST")), ")", f), "one"
        if kind == "jb" and r.random() < 0.7:
            text = str(self.value("i4", scope, 1)[0])
            return expr(kind, "jsonb_agg(", d, text, " ORDER BY ", text, r.choice(("", " DESC", " NULLS FIRST")), ")", f), "one"
        if kind == "f8" and r.random() < 0.4:
            at = r.choice(("0", "0.25", "0.5", "0.9", "1"))
            return expr(kind, "percentile_cont(", at, ") WITHIN GROUP (ORDER BY ", self.value("i4", scope, 1)[0], r.choice(("", " DESC")), ")", f), None
        if kind in ("jb", "uuid", "bool", "by"):
            return self.null(kind)
        if kind in ("i4", "i8", "text", "date") and r.random() < 0.3:
            a, look = self.value(kind, scope, 1)
            name = r.choice(("mode()", "percentile_disc(0.5)", "percentile_disc(0.1)", "percentile_disc(1)"))
            return expr(kind, name, " WITHIN GROUP (ORDER BY ", a, r.choice(("", " DESC")), ")", f), look
        a, look = self.value(kind, scope, 1)
        if look is None:
            a, look = self.column(kind, [c for c in scope if c.look is not None]) or self.literal(kind)
        return expr(kind, r.choice(("min", "max")), "(", a, ")", f), look

    # ---- FROM ----

    def relation(self, depth, outer):
        """One relation with an alias: (node, columns)."""
        r = self.r
        alias = self.fresh("x")
        if self.ctes and r.random() < 0.6:
            name, columns = r.choice(self.ctes)
            return (Node("relation", name, " AS ", alias),
                    [Col("%s.%s" % (alias, n), kind, look) for n, kind, look in columns])
        if depth > 0 and r.random() < 0.3:
            query, columns = self.select(depth - 1)
            return (Node("relation", "(", query, ") AS ", alias),
                    [Col("%s.%s" % (alias, n), kind, look) for n, kind, look in columns])
        if self.chance(0.06, "values"):
            kinds = [r.choice(("i4", "text", "num")) for _ in range(2)]
            rows = [Node("row", "(", ", ".join(str(self.literal(k)[0]) for k in kinds), ")") for _ in range(r.randint(1, 3))]
            return (Node("relation", "(VALUES ", List("rows", tuple(rows)), ") AS %s(v1, v2)" % alias),
                    [Col("%s.v%d" % (alias, i + 1), k, NO_LOOK.get(k, "one")) for i, k in enumerate(kinds)])
        if self.chance(0.05, "function"):
            return self.function([])
        t = r.choice(self.tables)
        return (Node("relation", "core.%s AS %s" % (t.name, alias)),
                [Col("%s.%s" % (alias, c.name), c.type, NO_LOOK.get(c.type, "one")) for c in t.columns])

    def lateral(self, scope):
        """A correlated subquery in FROM."""
        alias = self.fresh("x")
        source, where, inside = self.inner(scope)
        kinds = [self.r.choice(("i8", "num", "text")) for _ in range(2)]
        calls = [self.aggregate_of(k, inside) for k in kinds]
        items = [Node("item", c, " AS a%d" % i) for i, (c, _) in enumerate(calls)]
        return (Node("relation", "LATERAL (SELECT ", List("items", tuple(items)), " FROM ", source, where, ") AS ", alias),
                [Col("%s.a%d" % (alias, i), k, look) for i, (k, (_, look)) in enumerate(zip(kinds, calls))])

    def function(self, scope):
        """A function in FROM, of columns that stand left of it if there are any: (node, columns)."""
        r = self.r
        alias, name, place = self.fresh("f"), self.fresh("v"), self.fresh("o")
        choice = r.random()
        if choice < 0.15:
            kind, look = r.choice(("i4", "text")), "one"
            call = Node("function", "unnest(", self.leaf("a" + kind, scope)[0], ")")
        elif choice < 0.4:
            kind = r.choice(("i4", "i8", "text", "num", "date"))
            items = [self.value(kind, scope, 1) for _ in range(r.choice((1, 2, 3)))]
            looks = {look for _, look in items}
            look = looks.pop() if len(looks) == 1 else None
            call = Node("function", "unnest(ARRAY[", List("elements", tuple(e for e, _ in items)), "])")
        elif choice < 0.7:
            kind, look = "i4", "one"
            a, _ = self.value("i4", scope, 1)
            call = Node("function", "generate_series(", r.choice(("0", "1", "-1")), ", ", a, r.choice((" % 4", " % 3 + 1")), r.choice(("", ", 2")), ")")
        else:
            kind, look = "text", "one"
            a, _ = self.value("text", scope, 1)
            call = Node("function", r.choice(("string_to_table(", "regexp_split_to_table(")), a, ", ", r.choice(("'a'", "'b|c'", "''")), ")")
        columns = [Col("%s.%s" % (alias, name), kind, look)]
        if r.random() < 0.3:
            columns.append(Col("%s.%s" % (alias, place), "i8", "one"))
            return Node("relation", call, " WITH ORDINALITY AS %s (%s, %s)" % (alias, name, place)), columns
        return Node("relation", call, " AS %s (%s)" % (alias, name)), columns

    def join_condition(self, left, right, full):
        r = self.r
        pairs = [(a, b) for a in left for b in right if b.kind == a.kind and a.kind != "jb"]
        mixed = [(a, b) for a in left for b in right if b.kind in COMPARABLE.get(a.kind, ()) and a.kind != b.kind]
        if mixed and r.random() < 0.15:
            pairs = mixed
        parts = []
        if pairs and (full or r.random() < 0.85):
            for _ in range(r.choice((1, 1, 1, 2))):
                a, b = r.choice(pairs)
                if r.random() < 0.5 and not full:
                    a, b = b, a
                op = "=" if full or r.random() < 0.93 else "IS NOT DISTINCT FROM"
                parts.append(expr("bool", "(", self.of(a), " %s " % op, self.of(b), ")", simple="true"))
        if r.random() < (0.25 if parts else 0.9):
            parts.append(self.condition(left + right, 1))
        if not parts:
            return expr("bool", r.choice(("true", "true", "false")))
        return expr("bool", List("and", tuple(parts), " AND "), simple="true")

    def source(self, depth, most=4):
        """FROM: (node, columns)."""
        r = self.r
        count = r.choices((1, 2, 3, 4), (35, 40, 18, 7))[0]
        node, scope = self.relation(depth, [])
        for n in range(min(count, most) - 1):
            if self.chance(0.18, "function"):
                other, columns = self.function(scope)
                kind = r.random()
                if kind < 0.4:
                    node = Node("relation", node, " CROSS JOIN LATERAL ", other)
                elif kind < 0.7:
                    node = Node("relation", node, " LEFT JOIN ", other, " ON true")
                else:
                    node = Node("relation", node, r.choice((" JOIN ", " LEFT JOIN ")), other, " ON ", self.join_condition(scope, columns, False))
                scope = scope + columns
                continue
            if self.chance(0.15, "lateral"):
                other, columns = self.lateral(scope)
                if r.random() < 0.5:
                    node = Node("relation", node, " CROSS JOIN ", other)
                else:
                    node = Node("relation", node, " LEFT JOIN ", other, " ON true")
                scope = scope + columns
                continue
            other, columns = self.relation(depth, [])
            if r.random() < 0.12:
                third, more = self.relation(0, [])
                other = Node("relation", "(", other, r.choice((" JOIN ", " LEFT JOIN ")), third, " ON ",
                             self.join_condition(columns, more, False), ")")
                columns = columns + more
            kind = r.choices(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"), (40, 28, 10, 14, 4))[0]
            left = {str(c.ref).split(".")[-1]: c for c in scope}
            common = [c for c in columns if str(c.ref).split(".")[-1] in left and "." in str(c.ref)
                      and left[str(c.ref).split(".")[-1]].kind == c.kind and c.kind != "jb"]
            names = [str(c.ref).split(".")[-1] for c in columns]
            scope = [c for c in scope if "." in str(c.ref) or str(c.ref) not in names]
            if n == 0 and kind != "CROSS JOIN" and len(set(names)) == len(names) and common and r.random() < 0.2:
                c = r.choice(common)
                name = str(c.ref).split(".")[-1]
                node = Node("relation", node, " %s " % kind, other, " USING (%s)" % name)
                look = c.look if c.look == left[name].look else None
                scope = scope + columns + [Col(name, c.kind, look)]
                continue
            if kind == "CROSS JOIN":
                node = Node("relation", node, " CROSS JOIN ", other)
            else:
                node = Node("relation", node, " %s " % kind, other, " ON ", self.join_condition(scope, columns, kind == "FULL JOIN"))
            scope = scope + columns
        return node, scope

    # ---- SELECT: (node, [(name, kind, look)]) ----

    def select(self, depth, want=None, looks=False):
        """A query. want: types of its columns; looks: all columns must have one look."""
        r = self.r
        if depth > 0 and r.random() < 0.12:
            return self.set_operation(depth, want)
        kind = r.random()
        if kind < 0.38:
            return self.grouped(depth, want, looks)
        if kind < 0.50:
            return self.plain(depth, want, True)
        if not looks and self.chance(0.14, "topk"):
            return self.topk(depth, want)
        if not looks and self.chance(0.12, "distinct_on"):
            return self.distinct_on(depth, want)
        return self.plain(depth, want, looks, distinct=False)

    def row(self, scope, share):
        """The name of a relation in scope, for its whole row; None mostly."""
        names = sorted({str(c.ref).split(".")[0] for c in scope if c.table and "." in str(c.ref)})
        if "whole_row" not in self.features or not names or self.side.random() >= share:
            return None
        self.used.add("whole_row")
        return self.side.choice(names)

    def where(self, scope, share=0.5):
        if self.r.random() < share:
            condition, row = self.condition(scope, 2), self.row(scope, 0.08)
            if row:
                test = self.side.choice(("%s IS NULL", "%s IS NOT NULL", "NOT (%s IS NULL)", "%s = %s", "ROW(%s, 1) IS NOT NULL"))
                condition = expr("bool", "(", condition, self.side.choice((" AND ", " OR ")), test.replace("%s", row), ")", simple="true")
            return optional("where", " WHERE ", condition)
        return ""

    def items(self, scope, want, looks, depth=2):
        """Select items: (list node, columns)."""
        r = self.r
        kinds = want or [self.pick_kind(scope) for _ in range(r.choice((1, 2, 2, 3, 4)))]
        nodes, columns = [], []
        for kind in kinds:
            e, look = self.value(kind, scope, depth)
            if looks and look is None:
                e, look = self.column(kind, [c for c in scope if c.look is not None]) or self.literal(kind)
            name = self.fresh("c")
            nodes.append(Node("item", e, " AS ", name))
            columns.append((name, kind, look))
        return List("items", tuple(nodes)), columns

    def pick_kind(self, scope):
        kinds = [c.kind for c in scope]
        return self.r.choice(kinds) if kinds and self.r.random() < 0.8 else self.r.choice(SMALL)

    def plain(self, depth, want, looks, distinct=True):
        source, scope = self.source(depth)
        items, columns = self.items(scope, want, looks)
        if not looks and not want and self.chance(0.25, "window") and all(c.look is not None for c in scope):
            call, kind, look = self.window(scope)
            name = self.fresh("c")
            items = List("items", items.parts + (Node("item", call, " AS ", name),))
            columns = columns + [(name, kind, look)]
            word = optional("distinct", "DISTINCT ") if distinct else ""
            query = Node("query", "SELECT ", word, items, " FROM ", source, self.where(scope))
            if self.r.random() < 0.4 and kind == "i8":
                limit = self.r.choice((" <= 2", " < 4", " = 1", " BETWEEN 2 AND 3"))
                query = Node("query", "SELECT * FROM (", query, ") AS ", self.fresh("w"), " WHERE ", name, limit)
            return query, columns
        word = optional("distinct", "DISTINCT ") if distinct else ""
        if not looks and not want and self.chance(0.1, "select_function"):
            items, columns = self.sets(scope, items, columns)
        return Node("query", "SELECT ", word, items, " FROM ", source, self.where(scope)), columns

    def sets(self, scope, items, columns):
        """One or two set-returning functions more in a select list."""
        for _ in range(self.r.choice((1, 2))):
            kind, name = self.r.choice(("i4", "text")), self.fresh("c")
            choice = self.r.random()
            if choice < 0.3:
                call = expr(kind, "unnest(", self.leaf("a" + kind, scope)[0], ")")
            elif choice < 0.7 or kind == "text":
                call = expr(kind, "unnest(ARRAY[", self.value(kind, scope, 1)[0], "])")
            else:
                call = expr(kind, "generate_series(1, ", self.value("i4", scope, 1)[0], " % 4)")
            items = List("items", items.parts + (Node("item", call, " AS ", name),))
            columns = columns + [(name, kind, "one")]
        return items, columns

    def window(self, scope):
        """A window function; rows that tie are equal in every column, so that it does not matter which comes first."""
        r = self.r
        columns = [c for c in scope if "." in str(c.ref)]
        parts = r.sample(columns, min(len(columns), r.choice((0, 1, 1, 2))))
        order = [c for c in columns]
        r.shuffle(order)
        total = List("order", tuple(Node("key", self.of(c), r.choice(("", "", " DESC", " NULLS FIRST"))) for c in order))
        first = List("order", tuple(Node("key", self.of(c), r.choice(("", " DESC"))) for c in order[:r.choice((1, 1, 2))]))
        by = optional("partition", "PARTITION BY ", List("keys", tuple(self.of(c) for c in parts)), " ") if parts else ""
        over = lambda keys, frame="": [" OVER (", by, "ORDER BY ", keys, frame, ")"]
        choice = r.choice((0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8))
        if choice == 8:
            a, _ = self.value("text", scope, 1)
            frame = r.choice(("", " ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING", " ROWS 2 PRECEDING"))
            return expr("text", "string_agg(", a, ", '/')", *over(total, frame)), "text", "one"
        ranged = [c for c in columns if c.kind in RANGE_OFFSETS]
        if choice >= 6 and ranged:
            return self.ranged(r.choice(ranged), scope, by)
        if choice == 0:
            return expr("i8", "row_number()", *over(total)), "i8", "one"
        if choice == 1:
            return expr("i8", r.choice(("rank()", "dense_rank()")), *over(first)), "i8", "one"
        if choice == 2:
            kind = self.pick_kind(scope)
            a, look = self.value(kind, scope, 1)
            call = r.choice(("lag(", "lead(", "first_value(", "last_value("))
            return expr(kind, call, a, ")", *over(total)), kind, look
        if choice == 3:
            a, _ = self.value("i4", scope, 1)
            return expr("i8", r.choice(("sum(", "count(")), a, ")", *over(first)), "i8", "one"
        if choice == 4:
            a, _ = self.value("i4", scope, 1)
            frame = r.choice((" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING", " ROWS 1 PRECEDING",
                              " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", " ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING",
                              " ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING"))
            by = by if r.random() < 0.4 else ""  # larger partitions
            call = expr("i8", "sum(", a, ")") if r.random() < 0.6 else "count(*)"
            return expr("i8", call, " OVER (", by, "ORDER BY ", total, frame, ")"), "i8", "one"
        a, _ = self.value("i4", scope, 1)
        call = r.choice(("max(", "min(", "sum(", "count("))
        return expr("i8", call, a, ") OVER (", by, ")"), "i8", "one"

    def ranged(self, column, scope, by):
        """An aggregate over a RANGE frame with offsets."""
        r = self.r
        offset = lambda: r.choice(RANGE_OFFSETS[column.kind])
        frame = r.choice((offset() + " PRECEDING", "BETWEEN %s PRECEDING AND %s FOLLOWING" % (offset(), offset()),
                          "BETWEEN UNBOUNDED PRECEDING AND %s PRECEDING" % offset(),
                          "BETWEEN CURRENT ROW AND %s FOLLOWING" % offset(),
                          "BETWEEN %s FOLLOWING AND UNBOUNDED FOLLOWING EXCLUDE GROUP" % offset()))
        a, _ = self.value("i4", scope, 1)
        key = Node("key", self.of(column), r.choice(("", " DESC", " NULLS FIRST", " DESC NULLS LAST")))
        return expr("i8", r.choice(("sum(", "count(")), a, ") OVER (", by, "ORDER BY ", key, " RANGE ", frame, ")"), "i8", "one"

    def order_all(self, columns):
        r = self.r
        keys = [Node("key", name, r.choice(("", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"))) for name, _, _ in columns]
        r.shuffle(keys)
        return List("order", tuple(keys))

    def topk(self, depth, want):
        query, columns = self.plain(depth, want, True)
        r = self.r
        limit = optional("limit", " LIMIT %d" % r.randint(0, 6))
        offset = optional("offset", " OFFSET %d" % r.randint(0, 4)) if r.random() < 0.4 else ""
        return Node("query", query, " ORDER BY ", self.order_all(columns), limit, offset), columns

    def distinct_on(self, depth, want):
        r = self.r
        source, scope = self.source(depth)
        items, columns = self.items(scope, want, True, 1)
        keys = self.order_all(columns)
        firsts = [str(k.parts[0]) for k in keys.parts[:r.choice((1, 1, 2))]]
        names = {n: str(item.parts[0]) for item, (n, _, _) in zip(items.parts, columns)}
        on = ", ".join(names[f] for f in firsts)
        if any("." not in text for text in names.values()):  # constants are not taken in ORDER BY
            return self.plain(depth, want, True)
        return Node("query", "SELECT DISTINCT ON (", on, ") ", items, " FROM ", source, self.where(scope), " ORDER BY ",
                    List("order", tuple(Node("key", names[str(k.parts[0])], *k.parts[1:]) for k in keys.parts))), columns

    def group_keys(self, scope):
        r = self.r
        plain = [c for c in scope if c.look is not None and "." in str(c.ref)]
        keys = []
        for c in r.sample(plain, min(len(plain), r.choice((0, 1, 1, 1, 2, 2, 3)))):
            ref = str(c.ref)
            if c.kind == "i4" and r.random() < 0.2:
                keys.append(Col(expr("i4", "(", ref, " % 3)"), "i4", "one", False))
            elif c.kind == "text" and r.random() < 0.15:
                keys.append(Col(expr("text", "lower(", ref, ")"), "text", "one", False))
            elif c.kind == "date" and r.random() < 0.2:
                keys.append(Col(expr("ts", "date_trunc('month', ", ref, "::timestamp)"), "ts", "one", False))
            else:
                keys.append(Col(ref, c.kind, c.look))
        return keys

    def grouping_sets(self, keys):
        """GROUP BY's text: sets that together name all keys."""
        r = self.r
        some = lambda: List("keys", tuple(self.of(c) for c in r.sample(keys, r.randint(1, len(keys)))))
        listed = List("keys", tuple(self.of(c) for c in keys))
        choice = r.randrange(6)
        if choice < 2:
            return Node("sets", r.choice(("ROLLUP (", "CUBE (")), listed, ")")
        if choice == 2:
            return Node("sets", "GROUPING SETS ((", listed, "), (", some(), r.choice(("), ()", "), (), ()", ")")), ")")
        if choice == 3:
            return Node("sets", self.of(keys[0]), ", ", r.choice(("ROLLUP (", "CUBE (")), listed, ")")
        if choice == 4:
            return Node("sets", r.choice(("", "DISTINCT ")), "ROLLUP (", listed, "), ", r.choice(("ROLLUP (", "CUBE (")), some(), ")")
        return Node("sets", "GROUPING SETS (ROLLUP ((", listed, "), ", some(), "), (), ", some(), ")")

    def grouped(self, depth, want, looks):
        r = self.r
        source, scope = self.source(depth)
        where = self.where(scope, 0.35)
        keys = self.group_keys(scope)
        groups = list(keys)
        sets = len(keys) > 0 and self.chance(0.2, "grouping_sets")
        if sets:
            asked = r.sample(keys, r.randint(1, len(keys)))
            groups.append(Col(expr("i4", "grouping(", List("args", tuple(self.of(c) for c in asked)), ")"), "i4", "one", False))
        for kind in dict.fromkeys(list(want or ()) + [r.choice(("i8", "num", "text", "bool", "f8", "date", "i4")) for _ in range(r.randint(1, 3))]):
            call, look = self.aggregate_of(kind, scope)
            groups.append(Col(call, kind, look, False))
        if want:
            items, columns = self.items(groups, want, looks, 1)
        else:
            shown = [c for c in groups if not looks or c.look is not None]
            if not shown:
                shown = [Col(expr("i8", "count(*)"), "i8", "one", False)]
            nodes, columns = [], []
            for c in shown:
                if r.random() < 0.15 and c in keys and len(shown) > 1:
                    continue
                e, look = (self.of(c), c.look)
                if r.random() < 0.15:
                    e, look = self.value(c.kind, groups, 1)
                    if looks and look is None:
                        e, look = self.of(c), c.look
                name = self.fresh("c")
                nodes.append(Node("item", e, " AS ", name))
                columns.append((name, c.kind, look))
            if not nodes:
                return self.grouped(depth, want, looks)
            items = List("items", tuple(nodes))
        by = ""
        if keys:
            listed = List("keys", tuple(self.of(c) for c in keys))
            by = optional("group", " GROUP BY ", self.grouping_sets(keys) if sets else listed)
        having = optional("having", " HAVING ", self.condition(groups, 1)) if r.random() < 0.25 else ""
        return Node("query", "SELECT ", items, " FROM ", source, where, by, having), columns

    def column_query(self, kind):
        """One column of a table, with what comes twice."""
        t = self.r.choice([t for t in self.tables if any(c.type == kind for c in t.columns)])
        c = self.r.choice([c for c in t.columns if c.type == kind])
        alias, name = self.fresh("x"), self.fresh("c")
        scope = [Col("%s.%s" % (alias, other.name), other.type, NO_LOOK.get(other.type, "one")) for other in t.columns]
        return (Node("query", "SELECT %s.%s AS %s FROM core.%s AS %s" % (alias, c.name, name, t.name, alias), self.where(scope, 0.3)),
                [(name, kind, NO_LOOK.get(kind, "one"))])

    def set_operation(self, depth, want):
        r = self.r
        if not want and r.random() < 0.35 and self.chance(1, "except"):
            kind = r.choice([c.type for t in self.tables for c in t.columns if c.type != "jb"])
            left, columns = self.column_query(kind)
            right, _ = self.column_query(kind)
            return Node("query", "(", left, ") ", r.choice(("EXCEPT", "EXCEPT ALL", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL")),
                        " (", right, ")"), columns
        left, columns = self.select(depth - 1, want or [r.choice(SMALL) for _ in range(r.choice((1, 2, 2)))], True)
        kinds = [k for _, k, _ in columns]
        op = r.choice(("UNION ALL", "UNION"))
        if self.chance(0.5, "except"):
            op = r.choice(("EXCEPT", "EXCEPT ALL", "INTERSECT", "INTERSECT ALL"))
        right, others = self.select(depth - 1, kinds, True)
        looks = [a if a == b else None for (_, _, a), (_, _, b) in zip(columns, others)]
        if op != "UNION ALL" and None in looks:
            op = "UNION ALL"
        return (Node("query", "(", left, ") %s (" % op, right, ")"),
                [(n, k, look) for (n, k, _), look in zip(columns, looks)])

    def query(self, depth=2):
        """A whole query: (node, features used)."""
        self.used, self.names, self.ctes = set(), 0, []
        head = []
        for _ in range(self.r.choices((0, 1, 2), (78, 17, 5))[0]):
            name = self.fresh("w")
            body, columns = self.select(1)
            head.append(Node("cte", name, " AS (", body, ")"))
            self.ctes.append((name, columns))
        body, columns = self.select(depth)
        if head:
            return Node("query", optional("with", "WITH ", List("ctes", tuple(head)), " "), body), self.used
        return body, self.used
