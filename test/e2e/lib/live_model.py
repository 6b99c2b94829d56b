"""What a live query must show: random queries over the demo store's accounts, with a model that answers them in Python."""

import collections

TOP = 100000


def first_accounts(count):
    """As fill_store makes them: id -> (branch or None, balance in cents)."""
    return {i: (i % 20 if i % 50 else None, i * 7919 % TOP * 100 + i % 100) for i in range(1, count + 1)}


def cents(number):
    return round(number * 100)


# ---- filters: text, and a function of (id, branch, balance) to True, False or None ----

def compare(op, a, b):
    if a is None:
        return None
    return {"eq": a == b, "neq": a != b, "gt": a > b, "gte": a >= b, "lt": a < b, "lte": a <= b}[op]


def negate(t):
    return None if t is None else not t


def all_of(truths):
    truths = list(truths)
    return False if False in truths else None if None in truths else True


def any_of(truths):
    truths = list(truths)
    return True if True in truths else None if None in truths else False


def one(rng, count):
    """(column, operator text, function)"""
    column = rng.choice(("account_id", "account_id", "branch", "branch", "balance"))
    at = ("account_id", "branch", "balance").index(column)
    value = {"account_id": lambda: rng.randint(1, count), "branch": lambda: rng.randrange(20), "balance": lambda: rng.randrange(TOP)}[column]
    scale = 100 if column == "balance" else 1
    if column == "branch" and rng.random() < 0.2:
        return column, "is.null", lambda r: r[1] is None
    if rng.random() < 0.3:
        values = [value() for _ in range(rng.randint(1, 6))]
        text, fn = "in.(%s)" % ",".join(map(str, values)), lambda r: any_of(compare("eq", r[at], v * scale) for v in values)
    else:
        op = rng.choice(("eq", "eq", "neq", "gt", "gte", "lt", "lte")) if column != "balance" else rng.choice(("gt", "lt", "gte", "lte"))
        v = value()
        text, fn = "%s.%s" % (op, v), lambda r: compare(op, r[at], v * scale)
    if rng.random() < 0.15:
        return column, "not." + text, lambda r: negate(fn(r))
    return column, text, fn


def condition(rng, count):
    """(parameter, function)"""
    if rng.random() < 0.25:
        parts = [one(rng, count) for _ in range(rng.randint(2, 3))]
        kind, join = rng.choice((("or", any_of), ("and", all_of)))
        no = rng.random() < 0.2
        text = "%s%s=(%s)" % ("not." if no else "", kind, ",".join("%s.%s" % (c, t) for c, t, _ in parts))
        fn = lambda r: join(f(r) for _, _, f in parts)
        return text, (lambda r: negate(fn(r))) if no else fn
    column, text, fn = one(rng, count)
    return "%s=%s" % (column, text), fn


class Query:
    """path: what to ask for. rows(accounts): the bag of rows that it shows, each a tuple of what is selected."""

    def __init__(self, rng, count):
        self.functions, params = [], []
        if rng.random() < 0.12:
            key = rng.randint(1, count)
            self.functions.append(lambda r: r[0] == key)
            self.path = "/api/balances/%d?" % key
        else:
            self.path = "/api/balances?"
            for _ in range(rng.choice((0, 1, 1, 1, 2))):
                text, fn = condition(rng, count)
                params.append(text)
                self.functions.append(fn)
        self.columns = rng.choice((("account_id", "branch", "balance"), ("account_id", "balance"), ("account_id", "branch"), ("branch",), ("balance",)))
        params.append("select=" + ",".join(self.columns))
        self.order, self.window = None, None
        if rng.random() < 0.45 and "balances?" in self.path:
            self._order(rng, params, count)
        self.path += "&".join(params)

    def _order(self, rng, params, count):
        """By an index that stands in that order (its last part, the key, then follows it), or by what is sorted."""
        down = rng.random() < 0.5
        sign = -1 if down else 1
        kind = rng.randrange(3)
        if kind == 0:
            branch = rng.randrange(20)
            params.append("branch=eq.%d" % branch)
            self.functions.append(lambda r: compare("eq", r[1], branch))
            params.append("order=balance." + ("desc" if down else "asc"))
            self.order = (lambda r: (-r[2], r[0])) if down else (lambda r: (r[2], -r[0]))
        elif kind == 1:
            params.append("order=balance.%s,account_id" % ("desc" if down else "asc"))
            self.order = lambda r: (sign * r[2], r[0])
        else:  # none given: as the rows are stored, or an index that the filter is looked up in
            self.functions.clear()
            at = rng.randint(1, count)
            params[:] = ["account_id=gt.%d" % at, params[-1]]
            self.functions.append(lambda r: r[0] > at)
            self.order = lambda r: r[0]
            if rng.random() < 0.5:
                branch = rng.randrange(20)
                params[0] = "branch=eq.%d" % branch
                self.functions[0] = lambda r: compare("eq", r[1], branch)
                self.order = lambda r: (-r[2], r[0])
        self.window = (rng.choice((0, 0, 1, 5, 30)), rng.choice((1, 3, 10, 50, 120)))
        if self.window[0]:
            params.append("offset=%d" % self.window[0])
        params.append("limit=%d" % self.window[1])

    def rows(self, accounts):
        rows = [(i, b, v) for i, (b, v) in accounts.items() if all(f((i, b, v)) is True for f in self.functions)]
        if self.window:
            rows = sorted(rows, key=self.order)[self.window[0]:sum(self.window)]
        at = [("account_id", "branch", "balance").index(c) for c in self.columns]
        return collections.Counter(tuple(r[i] for i in at) for r in rows)


class Follower:
    """Takes the events of one query; remembers what it held at each epoch, and everything that should not have happened."""

    def __init__(self, query):
        self.query = query
        self.rows = collections.Counter()
        self.pending, self.seen, self.wrong = [], [], []
        self.last_id = None
        self.first = 0
        self.resets = self.events = self.connections = 0

    def connected(self, epoch):
        """What came after the last epoch event is asked for again; the answer begins with what is of this epoch (None: of the
        first epoch event without changes, at the latest)."""
        self.pending, self.first = [], epoch
        self.connections += 1

    def _row(self, data):
        return tuple(cents(data[c]) if c == "balance" else data[c] for c in self.query.columns)

    def _note(self, text):
        if len(self.wrong) < 5:
            self.wrong.append("%s: %s" % (self.query.path, text))

    def _remove(self, row):
        if self.rows[row] <= 0:
            self._note("%r was not there" % (row,))
        self.rows[row] -= 1
        if not self.rows[row]:
            del self.rows[row]

    def take(self, event, data, id_):
        if event == "epoch":
            if not self.pending and self.first is None:
                self.first = data["epoch"]
            elif not self.pending and data["epoch"] != self.first:
                self._note("an epoch event without changes: %s" % data)
            for one_event in self.pending:
                self._apply(*one_event)
            self.pending = []
            self.last_id = id_
            self.seen.append((data["epoch"], dict(self.rows)))
        else:
            self.pending.append((event, data))

    def _apply(self, event, data):
        self.events += 1
        if event == "reset":
            self.rows.clear()
            self.resets += 1
        elif event == "insert":
            self.rows[self._row(data)] += 1
        elif event == "delete":
            self._remove(self._row(data))
        elif event == "update":
            row = self._row(data)
            if "account_id" in self.query.columns:
                old = [r for r in self.rows if r[0] == row[0]]
            else:
                old = list(self.rows)  # by key: there is but one
            if len(old) != 1 or old[0] == row:
                self._note("update to %r of %r" % (row, old))
            for r in old:
                self._remove(r)
            self.rows[row] += 1
        else:
            self._note("event %s" % event)

    def check(self, history):
        """Against the accounts at each epoch."""
        for epoch, rows in self.seen:
            want = self.query.rows(history[epoch])
            if dict(want) != rows:
                have = collections.Counter(rows)
                self._note("at epoch %d %d rows: %s too many, %s missing" % (
                    epoch, sum(rows.values()), list((have - want).items())[:3], list((want - have).items())[:3]))
                break
