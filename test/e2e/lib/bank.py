"""The bank of the internal-consistency test: transfers kept in three forms by each transaction (one row of
transfers, two rows of entries, two updated accounts), and views that must agree at every moment."""

import decimal
import random
import threading

import psycopg2

from . import pg

ACCOUNTS = 20

SCHEMA = """
CREATE SCHEMA core;
CREATE TABLE core.accounts (id int PRIMARY KEY, owner text NOT NULL, balance numeric(14,2) NOT NULL);
CREATE TABLE core.transfers (id bigserial PRIMARY KEY, from_account int NOT NULL, to_account int NOT NULL,
                             amount numeric(12,2) NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE core.entries (transfer bigint NOT NULL, side text NOT NULL, account_id int NOT NULL,
                           amount numeric(12,2) NOT NULL, PRIMARY KEY (transfer, side));
INSERT INTO core.accounts SELECT i, 'owner ' || i, 0 FROM generate_series(1, {accounts}) i;
INSERT INTO core.transfers (from_account, to_account, amount) SELECT i, i % {accounts} + 1, 1 FROM generate_series(1, {accounts}) i;
INSERT INTO core.entries SELECT id, 'from', from_account, -amount FROM core.transfers
               UNION ALL SELECT id, 'to', to_account, amount FROM core.transfers;
CREATE PUBLICATION penstock FOR ALL TABLES;
"""
TABLES = ["{ table: core.accounts, as: accounts }", "{ table: core.transfers, as: transfers }",
          "{ table: core.entries, as: entries }"]

VIEWS = [
    ("credits", "SELECT to_account AS account, sum(amount) AS credits FROM core.transfers GROUP BY to_account"),
    ("debits", "SELECT from_account AS account, sum(amount) AS debits FROM core.transfers GROUP BY from_account"),
    ("balance", "SELECT credits.account, credits.credits - debits.debits AS balance FROM credits, debits WHERE credits.account = debits.account"),
    ("total", "SELECT sum(balance) AS total FROM balance"),
    ("outer_join", "SELECT t1.id, t2.id AS other_id FROM core.transfers t1 LEFT JOIN core.transfers t2 ON t1.id = t2.id"),
    ("outer_nulls", "SELECT count(*) AS n FROM outer_join WHERE other_id IS NULL"),
    ("entry_balances", "SELECT account_id, sum(amount) AS balance FROM core.entries GROUP BY account_id"),
    ("entry_total", "SELECT sum(amount) AS total FROM core.entries"),
    ("held", "SELECT id, balance FROM core.accounts"),
    ("held_total", "SELECT sum(balance) AS total FROM core.accounts"),
    ("mismatches", "SELECT a.id, a.balance AS held, e.balance AS entered, b.balance AS moved FROM core.accounts a LEFT JOIN entry_balances e ON e.account_id = a.id LEFT JOIN balance b ON b.account = a.id WHERE a.balance IS DISTINCT FROM e.balance OR a.balance IS DISTINCT FROM b.balance"),
    ("half_transfers", "SELECT transfer, count(*) AS sides, sum(amount) AS net FROM core.entries GROUP BY transfer HAVING count(*) <> 2 OR sum(amount) <> 0"),
]
SQL = "".join("CREATE VIEW %s AS %s;\n" % v for v in VIEWS)
NAMES = [n for n, _ in VIEWS]


def _sum(rows, column):
    return sum((decimal.Decimal(row.get(column)) * n for row, n in rows.items()), decimal.Decimal(0))


def _one_zero(column):
    def check(rows):
        if sum(rows.values()) != 1:
            return "%d rows, expected 1" % sum(rows.values())
        value = next(iter(rows)).get(column)
        return None if value is not None and decimal.Decimal(value) == 0 else "%s is %s" % (column, value)
    return check


def _sums_to_zero(column, count=ACCOUNTS):
    def check(rows):
        if count is not None and sum(rows.values()) != count:
            return "%d rows, expected %d" % (sum(rows.values()), count)
        total = _sum(rows, column)
        return None if total == 0 else "%s sums to %s" % (column, total)
    return check


def _empty(rows):
    return None if not rows else "%d rows, expected none: %s" % (len(rows), next(iter(rows)))


def _no_nulls(rows):
    bad = [r for r in rows if r.get("other_id") is None]
    return "row without its other half: %s" % bad[0] if bad else None


# view -> what must hold for its rows at every epoch; gives None or what is wrong
INVARIANTS = {
    "total": _one_zero("total"),
    "entry_total": _one_zero("total"),
    "held_total": _one_zero("total"),
    "outer_nulls": _one_zero("n"),
    "outer_join": _no_nulls,
    "balance": _sums_to_zero("balance"),
    "entry_balances": _sums_to_zero("balance"),
    "held": _sums_to_zero("balance"),
    "mismatches": _empty,
    "half_transfers": _empty,
}

# view -> its key columns
KEYS = {"credits": ["account"], "debits": ["account"], "balance": ["account"], "outer_join": ["id"], "entry_balances": ["account_id"],
        "held": ["id"], "mismatches": ["id"], "half_transfers": ["transfer"]}


def create(connection):
    pg.script(connection, SCHEMA.format(accounts=ACCOUNTS))


def create_views(connection):
    """The same views in PostgreSQL, for comparing at the end."""
    for name, text in VIEWS:
        pg.script(connection, "CREATE VIEW %s AS %s" % (name, text))


class Clients:
    """Threads that transfer, correct and delete at random; each transaction keeps all three forms in step."""

    def __init__(self, server, count=4, seed=1, pause_s=0.0, keep=1500):
        self.server, self.pause_s, self.keep = server, pause_s, keep
        self.stopping = threading.Event()
        self.commits = 0
        self.errors = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(seed * 100 + i,), daemon=True) for i in range(count)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(30)
        return self.commits

    def _run(self, seed):
        r = random.Random(seed)
        connection = None
        while not self.stopping.is_set():
            try:
                connection = connection or self.server.connect(autocommit=False)
                if self._transaction(connection, r):
                    with self.lock:
                        self.commits += 1
            except (psycopg2.errors.DeadlockDetected, psycopg2.errors.SerializationFailure):
                connection.rollback()
            except psycopg2.Error as e:
                if not self.stopping.is_set() and len(self.errors) < 5:
                    self.errors.append(str(e))
                connection = None
                self.stopping.wait(0.2)
            if self.pause_s:
                self.stopping.wait(self.pause_s * r.random() * 2)

    def _transaction(self, connection, r):
        with connection.cursor() as c:
            kind, moves = r.random(), {}
            for _ in range(r.choice((1, 1, 1, 2, 5))):
                if kind < 0.7:
                    self._transfer(c, r, moves)
                else:
                    self._correct(c, r, moves, kind > 0.82)
            for account, amount in sorted(moves.items()):  # in one order: no deadlocks
                c.execute("UPDATE core.accounts SET balance = balance + %s WHERE id = %s", (amount, account))
            if r.random() < 0.07:
                connection.rollback()
                return False
        connection.commit()
        return True

    @staticmethod
    def _move(moves, one, two, amount):
        moves[one] = moves.get(one, 0) - amount
        moves[two] = moves.get(two, 0) + amount

    def _transfer(self, c, r, moves):
        one, two = r.sample(range(1, ACCOUNTS + 1), 2)
        amount = decimal.Decimal(r.randint(1, 100000)) / 100
        c.execute("INSERT INTO core.transfers (from_account, to_account, amount) VALUES (%s, %s, %s) RETURNING id",
                  (one, two, amount))
        id_ = c.fetchone()[0]
        entries = [(id_, "from", one, -amount), (id_, "to", two, amount)]
        if r.random() < 0.5:
            entries.reverse()
        for e in entries:
            c.execute("INSERT INTO core.entries VALUES (%s, %s, %s, %s)", e)
        self._move(moves, one, two, amount)

    def _correct(self, c, r, moves, delete):
        """Deletes or changes a transfer made before; the first ones stay, so that every account has both sides."""
        c.execute("SELECT id, from_account, to_account, amount FROM core.transfers WHERE id > %s AND id >= "
                  "(SELECT max(id) FROM core.transfers) - %s ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
                  (ACCOUNTS, r.randint(5, self.keep)))
        found = c.fetchone()
        if not found:
            return self._transfer(c, r, moves)
        id_, one, two, amount = found
        if delete:
            c.execute("DELETE FROM core.entries WHERE transfer = %s", (id_,))
            c.execute("DELETE FROM core.transfers WHERE id = %s", (id_,))
            return self._move(moves, two, one, amount)
        more = decimal.Decimal(r.randint(1, 9999)) / 100
        c.execute("UPDATE core.transfers SET amount = amount + %s WHERE id = %s", (more, id_))
        c.execute("UPDATE core.entries SET amount = amount - %s WHERE transfer = %s AND side = 'from'", (more, id_))
        c.execute("UPDATE core.entries SET amount = amount + %s WHERE transfer = %s AND side = 'to'", (more, id_))
        return self._move(moves, one, two, more)
