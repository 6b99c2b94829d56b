"""Tables of every type and random values for them, edges included.

Values are text literals that PostgreSQL reads; None is NULL. Columns that views group by, or whose minimum or
maximum they take, hold no two values that are equal but look different (1.0 and 1.00, -0 and 0, '1 day' and
'24:00:00'): which of them PostgreSQL shows is chance."""

import random


def _pick(*edges):
    return lambda r: r.choice(edges)


def _mix(edges, make, share=0.35):
    return lambda r: r.choice(edges) if r.random() < share else make(r)


def _word(r, most=10):
    return "".join(r.choice("abcdeABCDE xyz019_%é") for _ in range(r.randint(0, most)))


def _date(r):
    return "%04d-%02d-%02d" % (r.choice((1999, 2000, 2020, 2024, 2026)), r.randint(1, 12), r.randint(1, 28))


def _time(r):
    return "%02d:%02d:%02d%s" % (r.randint(0, 23), r.randint(0, 59), r.randint(0, 59),
                                 r.choice(("", ".5", ".123456", ".000001")))


def _uuid(r):
    return "%08x-0000-4000-8000-%012x" % (r.randint(0, 3) * 0x10000000, r.randint(0, 20))


KINDS = {
    "bool": ("boolean", _pick("true", "false")),
    "int2": ("smallint", _mix(("-32768", "32767", "0", "1", "-1"), lambda r: str(r.randint(-50, 50)))),
    "int4": ("integer", _mix(("-2147483648", "2147483647", "0", "1", "-1"), lambda r: str(r.randint(-1000, 1000)))),
    "int8": ("bigint", _mix(("-9223372036854775808", "9223372036854775807", "0", "-1", "9007199254740993"),
                            lambda r: str(r.randint(-10**12, 10**12)))),
    "small2": ("smallint", lambda r: str(r.randint(-9, 9))),
    "small4": ("integer", lambda r: str(r.randint(-20, 20))),
    "small8": ("bigint", lambda r: str(r.randint(-10**6, 10**6))),
    "group": ("integer", lambda r: str(r.randint(0, 4))),
    "ref": ("integer", lambda r: str(r.randint(0, 25))),
    "float4": ("real", _mix(("NaN", "Infinity", "-Infinity", "-0", "0", "1.1754944e-38", "3.4028235e38", "0.1"),
                            lambda r: repr(r.uniform(-1000, 1000)))),
    "float8": ("double precision", _mix(("NaN", "Infinity", "-Infinity", "-0", "0", "5e-324", "1.7976931348623157e308",
                                         "0.1", "1e21", "1e15", "123456789012345680", "0.0001", "0.00001"),
                                        lambda r: repr(r.uniform(-1e6, 1e6)))),
    "quarter4": ("real", lambda r: str(r.randint(-40, 40) / 4)),
    "quarter8": ("double precision", lambda r: str(r.randint(-4000, 4000) / 4)),
    "numeric": ("numeric", _mix(("0", "1", "-1", "NaN", "99999999999999999999999999999999999999", "0.000000000000000001",
                                 "-123456789012345678901234567890.123456789", "1e40", "1e-30"),
                                lambda r: "%d.%d1" % (r.randint(-9999, 9999), r.randint(0, 999)))),
    "decimal": ("numeric(12,3)", lambda r: "%d.%03d" % (r.randint(-99, 99), r.randint(0, 999))),
    "text": ("text", _mix(("", " ", "a", "A", "é", "日本語", "😀", "it's", "a\"b\\c", "a\nb\tc", "null", "%_", "a%b"), _word)),
    "varchar": ("varchar(12)", _mix(("", "a", "A ", " a"), _word)),
    "char": ("char(6)", lambda r: r.choice(("", "a", "ab", "abcdef", "A", "é", "x y"))),
    "bytea": ("bytea", _mix(("\\x", "\\x00", "\\xff", "\\xdeadbeef"),
                            lambda r: "\\x" + "".join("%02x" % r.randint(0, 255) for _ in range(r.randint(0, 6))))),
    "date": ("date", _mix(("infinity", "-infinity", "4713-01-01 BC", "0001-01-01", "2000-02-29", "5874897-12-31"), _date, 0.15)),
    "time": ("time", _mix(("00:00:00", "24:00:00", "23:59:59.999999"), _time, 0.15)),
    "timestamp": ("timestamp", _mix(("infinity", "-infinity", "2000-01-01 00:00:00", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999"),
                                    lambda r: _date(r) + " " + _time(r), 0.15)),
    "timestamptz": ("timestamptz", _mix(("infinity", "-infinity", "2024-03-31 01:59:59+01", "2024-03-31 03:00:00+02",
                                         "1970-01-01 00:00:00+00"),
                                        lambda r: _date(r) + " " + _time(r) + r.choice(("+00", "+05:30", "-08")), 0.15)),
    "workday": ("date", _date),
    "moment": ("timestamp", lambda r: _date(r) + " " + _time(r)),
    "momenttz": ("timestamptz", lambda r: _date(r) + " " + _time(r) + r.choice(("+00", "+02", "-08"))),
    "interval": ("interval", _pick("1 day", "2 days", "1 year 2 mons 3 days 04:05:06", "-1 day", "00:00:00", "10:00:00",
                                   "-00:00:00.5", "1 mon", "-1 mon +3 days", "100 years", "3 mons 7 days 00:00:01.25")),
    "uuid": ("uuid", _uuid),
    "json": ("json", _pick("{}", "[]", "null", "1", "\"a\"", "{\"a\": 1, \"a\": 2}", "{\"k\":[1,2,{\"z\":null}]}", "[1.50, true]",
                           "{\"n\": \"é\\u00e9\"}")),
    "jsonb": ("jsonb", _pick("{}", "[]", "null", "1", "true", "\"a\"", "{\"b\": 1, \"aa\": 2, \"a\": 3}", "{\"k\": [1, 2, {\"z\": null}]}",
                             "[1.50, true, \"x\"]", "{\"n\": \"é\"}", "-12.5")),
    "ints": ("integer[]", _pick("{}", "{1}", "{1,2,3}", "{3,NULL,1}", "{NULL}", "{{1,2},{3,4}}", "[0:1]={1,2}", "{2,1}", "{1,2}")),
    "words": ("text[]", _pick("{}", "{a}", "{a,b}", '{"a b",NULL,"NULL",""}', '{"q\\"\\\\,"}', "{b,a}", "{é}", "{{a},{b}}")),
    "decs": ("numeric(12,3)[]", _mix(("{}", "{NULL}", "{1.0,NaN}"), lambda r: "{%s}" % ",".join(
        str(r.randint(-99, 99)) for _ in range(r.randint(1, 3))))),
    "looks": ("numeric[]", _pick("{1}", "{1.0}", "{1.00,2}", "{1,2.0}", "{}")),
    "timetz": ("timetz", _mix(("00:00:00+00", "24:00:00+00", "12:00:00+02", "10:00:00+00", "23:59:59.999999-15:59"),
                              lambda r: "%02d:00:00%s" % (r.randint(8, 12), r.choice(("+00", "+01", "-02", "+05:30"))))),
    "inet": ("inet", _mix(("0.0.0.0/0", "255.255.255.255", "::1", "::/0", "2001:db8::1/32"),
                          lambda r: "10.%d.0.%d/%d" % (r.randint(0, 2), r.randint(0, 3), r.choice((8, 16, 32))))),
    "cidr": ("cidr", _mix(("0.0.0.0/0", "::/0", "2001:db8::/32"), lambda r: "10.%d.0.0/%d" % (r.randint(0, 4), r.choice((16, 20, 32))))),
    "range4": ("int4range", _mix(("empty", "(,)", "[2147483646,)"), lambda r: "%s%s,%s%s" % (
        r.choice("[("), r.choice(("", "1", "3", "5")), r.choice(("", "5", "6", "9")), r.choice(")]")))),
    "rangen": ("numrange", _pick("empty", "[1,2)", "[1.0,2.00)", "[1.5,2]", "(1,2)", "[2,3)", "(,1]", "[NaN,]", '["-7",0)')),
    "ranges": ("datemultirange", _mix(("{}", "{(,)}", "{[2020-01-01,infinity]}"), lambda r: "{[2020-01-0%d,2020-01-0%d),[2020-01-1%d,2020-02-1%d]}" % (
        r.randint(1, 4), r.randint(5, 9), r.randint(0, 4), r.randint(5, 9)))),
    "rangets": ("tstzrange", _mix(("empty", "(,)"), lambda r: '["2020-01-01 0%d:00+00","2020-01-02 0%d:30+00"]' % (r.randint(0, 9), r.randint(0, 9)))),
    "macaddr": ("macaddr", _mix(("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"), lambda r: "08:00:2b:00:00:%02x" % r.randint(0, 20))),
    "mood": ("core.mood", _pick("sad", "ok", "Happy", "a b", "é", "zen")),
    "moods": ("core.mood[]", _pick("{}", "{sad}", "{zen,ok}", "{ok,NULL}", "{{sad},{ok}}")),
    "citext": ("citext", _mix(("", "a", "A", "é", "É", "ab", "aB"), _word)),
    "big": ("text", lambda r: "".join(r.choice("0123456789abcdef") for _ in range(r.choice((10, 3000, 9000, 20000))))),
    "blob": ("bytea", lambda r: "\\x" + "".join("%02x" % r.randint(0, 255) for _ in range(r.choice((0, 5, 4000))))),
}


class Column:
    def __init__(self, name, kind, nulls=0.15):
        self.name, self.kind, self.nulls = name, kind, nulls
        self.sql_type, self.make = KINDS[kind]

    def value(self, r):
        return None if self.nulls and r.random() < self.nulls else self.make(r)


class Table:
    """key: names of the primary key's columns, or (). identity: text of REPLICA IDENTITY, or None for the default."""

    def __init__(self, name, columns, key, identity=None, unique=(), size=40):
        self.name, self.columns, self.key, self.identity = name, columns, tuple(key), identity
        self.unique, self.size = unique, size
        self.by_name = {c.name: c for c in columns}
        self.locate = self.key or None  # columns that find one row

    def ddl(self):
        lines = []
        for c in self.columns:
            needed = c.name in self.key or c.name in self.unique or c.nulls == 0
            lines.append("%s %s%s" % (c.name, c.sql_type, " NOT NULL" if needed else ""))
        if self.key:
            lines.append("PRIMARY KEY (%s)" % ", ".join(self.key))
        text = "CREATE TABLE core.%s (\n  %s\n);\n" % (self.name, ",\n  ".join(lines))
        for c in self.unique:
            text += "CREATE UNIQUE INDEX %s_%s ON core.%s (%s);\n" % (self.name, c, self.name, c)
        if self.identity:
            text += "ALTER TABLE core.%s REPLICA IDENTITY %s;\n" % (self.name, self.identity)
        return text

    def row(self, r):
        return [c.value(r) for c in self.columns]

    def insert(self):
        return "INSERT INTO core.%s (%s) VALUES (%s) ON CONFLICT DO NOTHING" % (
            self.name, ", ".join(c.name for c in self.columns),
            ", ".join("%%s::%s" % c.sql_type for c in self.columns))


def _key(name, kind):
    return Column(name, kind, nulls=0)


# What some kinds need; labels stand in the order that they were not made in.
TYPES = """CREATE EXTENSION citext;
CREATE TYPE core.mood AS ENUM ('zen', 'Happy', 'sad');
ALTER TYPE core.mood ADD VALUE 'ok' BEFORE 'Happy';
ALTER TYPE core.mood ADD VALUE 'a b' AFTER 'ok';
ALTER TYPE core.mood ADD VALUE 'é' BEFORE 'zen';
"""
ALL_KINDS = ("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "char", "bytea", "date",
             "time", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "ints", "words", "looks", "timetz", "inet", "cidr", "macaddr", "mood", "moods", "citext", "range4", "rangen", "ranges", "rangets")
# kinds with one look per value, and ordered: fit for grouping, joining, min and max
PLAIN_KINDS = ("bool", "int2", "int4", "int8", "small4", "quarter8", "decimal", "text", "varchar", "char", "bytea", "date",
               "time", "timestamp", "timestamptz", "interval", "uuid", "ints", "words", "decs", "timetz", "inet", "cidr", "mood", "moods")


def core_tables(seed):
    """The tables that the fixed views read. Columns stand in an order of the seed's choice."""
    r = random.Random(seed)
    a = [_key("id", "ref"), Column("b", "bool"), Column("i2", "int2"), Column("i4", "int4"), Column("i8", "int8"),
         Column("s2", "small2"), Column("n4", "small4"), Column("n8", "small8"), Column("f4", "float4"),
         Column("f8", "float8"), Column("q4", "quarter4"), Column("q8", "quarter8"), Column("num", "numeric"),
         Column("dec", "decimal"), Column("t", "text"), Column("vc", "varchar"), Column("ch", "char"),
         Column("by", "bytea"), Column("d", "date"), Column("tm", "time"), Column("ts", "timestamp"),
         Column("tz", "timestamptz"), Column("wd", "workday"), Column("mo", "moment"), Column("mz", "momenttz"),
         Column("iv", "interval"), Column("u", "uuid"), Column("j", "json"), Column("jb", "jsonb"),
         Column("g", "group"), Column("r", "ref"), Column("ai", "ints"), Column("aw", "words"),
         Column("an", "decs"), Column("al", "looks"), Column("r4", "range4"), Column("rn", "rangen"), Column("rm", "ranges"),
         Column("rt", "rangets")]
    b = [_key("x", "group"), _key("y", "char"), Column("v", "decimal"), Column("flag", "bool"), Column("name", "text"),
         Column("a_id", "ref")]
    c = [_key("id", "small8"), Column("a_id", "ref"), Column("qty", "small4"), Column("price", "decimal"),
         Column("at", "momenttz"), Column("note", "varchar")]
    bag = [Column("k", "group"), Column("t", "char"), Column("n", "decimal"), Column("d", "workday")]
    idx = [_key("id", "ref"), _key("code", "text"), Column("val", "small4"), Column("extra", "text")]
    big = [_key("id", "group"), Column("ver", "small4"), Column("big", "big"), Column("blob", "blob"),
           Column("extra", "jsonb")]
    for columns in (a, b, c, bag, idx, big):
        r.shuffle(columns)
    return [Table("a", a, ["id"]),
            Table("b", b, ["x", "y"] if r.random() < 0.5 else ["y", "x"], size=20),
            Table("c", c, ["id"], size=60),
            Table("bag", bag, (), "FULL", size=25),
            Table("idx", idx, ["id"], "USING INDEX idx_code", unique=("code",), size=20),
            Table("big", big, ["id"], size=5)]


def random_tables(seed, count=3):
    """Tables of random columns, keys and identities."""
    r = random.Random(seed * 7919 + 1)
    tables = []
    for n in range(count):
        kinds = [r.choice(ALL_KINDS) for _ in range(r.randint(2, 7))]
        columns = [Column("c%d" % i, kind, r.choice((0, 0.2, 0.6))) for i, kind in enumerate(kinds)]
        columns += [Column("p%d" % i, r.choice(PLAIN_KINDS), 0.2) for i in range(2)]
        shape = r.choice(("single", "composite", "none", "full"))
        key, identity = (), None
        if shape == "none":
            identity = "FULL"
        else:
            width = 1 if shape != "composite" else r.randint(2, 3)
            keys = [_key("k%d" % i, r.choice(("small4", "text", "uuid", "workday", "small8", "char", "momenttz", "decimal")))
                    for i in range(width)]
            columns += keys
            key = [k.name for k in keys]
            r.shuffle(key)
            identity = "FULL" if shape == "full" else None
        r.shuffle(columns)
        tables.append(Table("r%d" % n, columns, key, identity, size=r.choice((8, 25))))
    return tables


def random_views(tables):
    """For each random table: its rows, its groups, its extremes, its distinct values, and a join with the next."""
    views = []
    for t in tables:
        plain = [c for c in t.columns if c.kind in PLAIN_KINDS]
        views.append(("%s_all" % t.name, "SELECT * FROM core.%s" % t.name))
        for c in plain[:3]:
            views.append(("%s_by_%s" % (t.name, c.name),
                          "SELECT %s, count(*) AS n FROM core.%s GROUP BY %s" % (c.name, t.name, c.name)))
        ordered = [c for c in plain if c.kind not in ("bool", "bytea", "uuid")][:4]
        if ordered:
            calls = ["min({0}) AS min_{0}, max({0}) AS max_{0}, count(DISTINCT {0}) AS d_{0}".format(c.name) for c in ordered]
            views.append(("%s_extremes" % t.name, "SELECT %s FROM core.%s" % (", ".join(calls), t.name)))
            views.append(("%s_group_extremes" % t.name, "SELECT %s, %s FROM core.%s GROUP BY %s" %
                          (plain[0].name, ", ".join(calls), t.name, plain[0].name)))
        if len(plain) > 1:
            views.append(("%s_distinct" % t.name,
                          "SELECT DISTINCT %s, %s FROM core.%s" % (plain[-1].name, plain[-2].name, t.name)))
    for t, u in zip(tables, tables[1:] + tables[:1]):
        for c in t.columns:
            same = [d for d in u.columns if d.sql_type == c.sql_type and c.kind in PLAIN_KINDS]
            if same:
                views.append(("%s_join_%s" % (t.name, u.name),
                              "SELECT x.%s AS v, count(*) AS n FROM core.%s x LEFT JOIN core.%s y ON x.%s = y.%s GROUP BY x.%s"
                              % (c.name, t.name, u.name, c.name, same[0].name, c.name)))
                break
    return views
