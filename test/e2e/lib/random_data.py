"""Random tables with few values each, so that joins match, groups collide and rows come twice; and random
transactions on them as plain SQL text, made before anything runs, so that a failure can be replayed and cut down.

A row is chosen by its place in the order of the rows' texts: the same rows give the same choice, whatever their place on
disk. Statements never fail: what would break a key is left undone by its own condition."""

from . import data

# A column's name says its type, so that tables have columns in common (USING). Types of lib/random_query.py.
COLUMNS = {
    "i": ("i4", "integer", ["0", "1", "2", "3", "4", "-2"]),
    "j": ("i4", "integer", ["0", "1", "2", "3", "5", "9"]),
    "k": ("i8", "bigint", ["0", "1", "2", "3", "4", "-7"]),
    "s": ("i2", "smallint", ["0", "1", "2", "-1", "3"]),
    "n": ("num", "numeric(12,3)", ["0", "1.5", "-1.5", "2", "3.125", "0.001"]),
    "m": ("num", "numeric(12,3)", ["1", "2", "2.5", "-4", "1.5"]),
    "f": ("f8", "double precision", ["0", "0.25", "1.5", "-2", "3", "2"]),
    "r": ("f4", "real", ["0", "0.5", "1", "-1.25", "2"]),
    "t": ("text", "text", ["", "a", "b", "A", "ab", "é", "b a"]),
    "u": ("text", "text", ["a", "b", "ab", "x", "a%"]),
    "v": ("vc", "varchar(8)", ["", "a", "b", "ab", "B"]),
    "c": ("ch", "char(4)", ["", "a", "ab", "b"]),
    "b": ("bool", "boolean", ["true", "false"]),
    "d": ("date", "date", ["2024-02-29", "2024-03-01", "2023-12-31", "2024-01-31"]),
    "ts": ("ts", "timestamp", ["2024-02-29 12:00:00", "2024-03-01 00:00:00", "2024-02-29 23:59:59.5", "2024-01-31 06:30:00"]),
    "tz": ("tz", "timestamptz", ["2024-03-31 00:59:59+00", "2024-03-31 01:00:00+00", "2024-02-29 12:00:00+00"]),
    "tm": ("time", "time", ["00:00:00", "12:30:00", "23:59:59.5"]),
    "iv": ("iv", "interval", ["1 day", "1 mon", "02:00:00", "-3 days"]),
    "g": ("uuid", "uuid", ["00000000-0000-4000-8000-000000000001", "10000000-0000-4000-8000-000000000001"]),
    "y": ("by", "bytea", ["\\x", "\\x00", "\\xff01"]),
    "ia": ("ai4", "integer[]", ["{}", "{1,2}", "{2,NULL,3}", "{1}", "{3,1,2}"]),
    "ta": ("atext", "text[]", ["{}", "{a}", "{b,NULL}", "{a,b}", "{ab,a}"]),
    "jb": ("jb", "jsonb", ['{"a": 1, "b": [1, 2]}', '{"a": 2}', "[]", "3", '{"b": "x", "c": null}']),
}
KEYS = ("i", "j", "k", "t", "d", "n", "c", "s")


class Column(data.Column):
    def __init__(self, r, name, nulls):
        self.name, self.nulls = name, nulls
        self.type, self.sql_type, pool = COLUMNS[name]
        self.pool = pool if len(pool) < 4 or r.random() < 0.5 else r.sample(pool, 3)

    def literal(self, r):
        if self.nulls and r.random() < self.nulls:
            return "NULL"
        return "'%s'" % r.choice(self.pool)


def tables(r):
    """Two to four tables, some without a key, with a wider key, or with another identity than the key."""
    made = []
    for n in range(r.randint(2, 4)):
        names = r.sample(sorted(COLUMNS), r.randint(3, 6))
        names = list(dict.fromkeys(names + r.sample(("i", "j", "t", "n", "k"), 2)))
        shape = r.choice(("id", "id", "columns", "none"))
        key, identity = (), None
        if shape == "id":
            names.append("id")
            key = ("id",)
        elif shape == "columns":
            key = tuple(r.sample([c for c in names if c in KEYS] or ["i"], 1))
            others = [c for c in names if c in KEYS and c not in key]
            if others and r.random() < 0.7:
                key += (r.choice(others),)
        else:
            identity = "FULL"
        columns = []
        for name in names:
            if name == "id":
                column = Column(r, "i", 0)
                column.name, column.pool = "id", [str(i) for i in range(1, 21)]
            else:
                column = Column(r, name, 0 if name in key else r.choice((0, 0.15, 0.4)))
            columns.append(column)
        r.shuffle(columns)
        if key and r.random() < 0.25:
            identity = "FULL"
        made.append(data.Table("t%d" % n, columns, key, identity, size=r.randint(5, 12)))
    return made


def insert(r, t):
    return "INSERT INTO core.%s (%s) VALUES (%s) ON CONFLICT DO NOTHING" % (
        t.name, ", ".join(c.name for c in t.columns), ", ".join(c.literal(r) for c in t.columns))


def fill(r, made):
    return [insert(r, t) for t in made for _ in range(t.size)]


def _row(r, t, count=1):
    return "ctid IN (SELECT ctid FROM core.%s o ORDER BY o::text COLLATE \"C\" OFFSET %d LIMIT %d)" % (
        t.name, r.randrange(t.size), count)


def _assign(r, columns):
    return ", ".join("%s = %s" % (c.name, c.literal(r)) for c in columns)


def _update(r, t, count=1):
    free = [c for c in t.columns if c.name not in t.key]
    if not free:
        return insert(r, t)
    chosen = r.sample(free, min(len(free), r.choice((1, 1, 2, 4))))
    return "UPDATE core.%s SET %s WHERE %s" % (t.name, _assign(r, chosen), _row(r, t, count))


def _move(r, t):
    """A change of the key, unless the new key is taken."""
    if not t.key:
        return _update(r, t)
    values = {name: t.by_name[name].literal(r) for name in t.key}
    extra = [c for c in t.columns if c.name not in t.key]
    text = ", ".join("%s = %s" % v for v in values.items())
    if extra and r.random() < 0.4:
        text += ", " + _assign(r, [r.choice(extra)])
    taken = " AND ".join("x.%s = %s" % v for v in values.items())
    return "UPDATE core.%s SET %s WHERE %s AND NOT EXISTS (SELECT 1 FROM core.%s x WHERE %s)" % (
        t.name, text, _row(r, t), t.name, taken)


def _change(r, t):
    kind = r.choices(("insert", "update", "many", "move", "delete", "some", "touch", "truncate", "twice"),
                     (30, 30, 5, 9, 20, 2, 3, 1, 4))[0]
    if kind == "insert":
        return [insert(r, t) for _ in range(r.choice((1, 1, 2, 3)))]
    if kind == "update":
        return [_update(r, t)]
    if kind == "many":
        return [_update(r, t, 4)]
    if kind == "move":
        return [_move(r, t)]
    if kind == "delete":
        return ["DELETE FROM core.%s WHERE %s" % (t.name, _row(r, t))]
    if kind == "some":
        return ["DELETE FROM core.%s WHERE %s" % (t.name, _row(r, t, 20))]
    if kind == "touch":
        name = r.choice(t.columns).name
        return ["UPDATE core.%s SET %s = %s WHERE %s" % (t.name, name, name, _row(r, t))]
    if kind == "twice":
        text = insert(r, t)
        return [text, text]
    return ["TRUNCATE core.%s" % t.name]


def transaction(r, made):
    """The statements of one transaction. Tables are kept small: what is beyond twice their size goes again."""
    out = []
    for _ in range(r.choice((1, 1, 1, 2, 3, 5, 8, 20))):
        if r.random() < 0.06:
            out.append("SAVEPOINT s")
            out += _change(r, r.choice(made))
            out.append(r.choice(("ROLLBACK TO s", "RELEASE s")))
        else:
            out += _change(r, r.choice(made))
    if r.random() < 0.2:
        t = r.choice(made)
        out.append("DELETE FROM core.%s WHERE ctid IN (SELECT ctid FROM core.%s o ORDER BY o::text COLLATE \"C\" OFFSET %d)"
                   % (t.name, t.name, 2 * t.size))
    if r.random() < 0.07:
        out.append("ROLLBACK")
    return out
