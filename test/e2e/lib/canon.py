"""One canonical form per value, so that the API's JSON and PostgreSQL's row_to_json can be compared to the digit.

Numbers keep the text they were written with (1.50 is not 1.5), objects the order of their members and any
duplicates; only white space and the choice of string escapes are free."""

import collections
import json


class Number(str):
    """A JSON number as it was written."""

    def __repr__(self):
        return "#" + str(self)

    def __eq__(self, other):
        return isinstance(other, Number) and str.__eq__(self, other)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__


class Object(tuple):
    """A JSON object as a tuple of (name, value) pairs in the order they came."""

    def get(self, name, default=None):
        for key, value in self:
            if key == name:
                return value
        return default

    def __repr__(self):
        return "{" + ", ".join("%s: %r" % pair for pair in self) + "}"


def freeze(value):
    if isinstance(value, list):
        return tuple(freeze(v) for v in value)
    return value


def _object(pairs):
    return Object((k, freeze(v)) for k, v in pairs)


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=Number, parse_int=Number,
                            parse_constant=lambda name: Number("bare " + name))


def loads(text):
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return _decoder.decode(text)


def bag(items):
    return collections.Counter(items)


def difference(actual, expected, most=3):
    """None when two bags are equal, else a short text that shows what is missing and what is too much."""
    if actual == expected:
        return None
    extra, missing = actual - expected, expected - actual
    parts = []
    for title, part in (("unexpected", extra), ("missing", missing)):
        if part:
            shown = ["%s%s" % ("%dx " % n if n > 1 else "", r) for r, n in list(part.items())[:most]]
            parts.append("%d %s: %s" % (sum(part.values()), title, "; ".join(shown)))
    if len(extra) == 1 and len(missing) == 1:
        a, b = next(iter(extra)), next(iter(missing))
        if isinstance(a, Object) and isinstance(b, Object):
            columns = [(x, y) for x, y in zip(a, b) if x != y]
            parts.insert(0, "differs: " + "; ".join("%s is %r, not %r" % (x[0], x[1], y[1]) if x[0] == y[0] else
                                                    "%r, not %r" % (x, y) for x, y in columns[:4]))
    return " || ".join(parts) or "equal rows of unequal kinds"


def view_rows(connection, view, order=""):
    """The rows of a PostgreSQL view as a bag of canonical objects."""
    with connection.cursor() as c:
        c.execute('SELECT row_to_json(oracle_row)::text FROM "%s" oracle_row %s' % (view, order))
        return bag(loads(r[0]) for r in c.fetchall())
