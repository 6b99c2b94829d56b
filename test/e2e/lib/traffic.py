"""Random transactions over the tables of data.py: every kind of change, savepoints, rollbacks, several tables."""

import random

import psycopg2

from . import data, pg


def create(connection, tables, publication="penstock"):
    pg.script(connection, "CREATE SCHEMA core;\n" + data.TYPES + "".join(t.ddl() for t in tables))
    pg.script(connection, "CREATE PUBLICATION %s FOR ALL TABLES" % publication)


def fill(connection, tables, seed):
    """The rows that the snapshot will find."""
    r = random.Random(seed)
    with connection.cursor() as c:
        for t in tables:
            for _ in range(t.size):
                c.execute(t.insert(), t.row(r))


class Session:
    """One connection that runs one random transaction at a time, in small steps so that two sessions interleave."""

    def __init__(self, connection, tables, r):
        self.connection, self.tables, self.r = connection, tables, r
        connection.autocommit = False
        with connection.cursor() as c:
            c.execute("SET lock_timeout = '30ms'")
        connection.commit()
        self.steps = None
        self.locking = False  # a TRUNCATE keeps readers out: such a transaction is not left open
        self.counts = {}

    def step(self):
        """Does one step of a transaction; True when one was committed."""
        if self.steps is None:
            self.steps = self._transaction()
        try:
            return next(self.steps)
        except StopIteration:
            self.steps = None
            return False

    def run(self):
        """One whole transaction."""
        self.step()
        while self.steps is not None:
            self.step()

    def finish(self):
        while self.steps is not None:
            self.step()

    def _count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def _transaction(self):
        r = self.r
        length = r.choice((1, 1, 2, 3, 5, 8, 8, 30))
        depth = 0
        with self.connection.cursor() as c:
            for _ in range(length):
                choice = r.random()
                if choice < 0.08:
                    depth += 1
                    c.execute("SAVEPOINT s%d" % depth)
                elif choice < 0.12 and depth:
                    c.execute("ROLLBACK TO s%d" % depth)
                    self._count("rollback to savepoint")
                elif choice < 0.15 and depth:
                    c.execute("RELEASE s%d" % depth)
                    depth -= 1
                else:
                    self._change(c)
                if not self.locking:
                    yield False
        self.locking = False
        if r.random() < 0.1:
            self.connection.rollback()
            self._count("rollback")
            return
        self.connection.commit()
        self._count("commit")
        yield True

    def _change(self, c):
        r = self.r
        t = r.choice(self.tables)
        c.execute("SAVEPOINT one")
        try:
            kind = r.choices(("insert", "update", "many", "key", "delete", "touch", "replace", "truncate", "bulk"),
                             (30, 30, 5, 9, 17, 3, 4, 0.7, 0.5))[0]
            getattr(self, "_" + kind)(c, t)
            c.execute("RELEASE one")
            self._count(kind)
        except (psycopg2.errors.UniqueViolation, psycopg2.errors.LockNotAvailable,
                psycopg2.errors.DeadlockDetected):
            c.execute("ROLLBACK TO one")

    def _where(self, t):
        """A condition that holds for one existing row, when there is any."""
        return ("ctid = (SELECT ctid FROM core.%s ORDER BY ctid OFFSET %d LIMIT 1)"
                % (t.name, self.r.randrange(max(1, t.size))))

    def _insert(self, c, t):
        for _ in range(self.r.choice((1, 1, 2, 3))):
            row = t.row(self.r)
            for _ in range(1 if t.key or self.r.random() < 0.6 else 2):  # duplicates in tables without a key
                c.execute(t.insert(), row)

    def _set(self, t, columns):
        values = [column.value(self.r) for column in columns]
        return ", ".join("%s = %%s::%s" % (column.name, column.sql_type) for column in columns), values

    def _free(self, t):
        return [c for c in t.columns if c.name not in t.key and c.name not in t.unique]

    def _update(self, c, t):
        free = self._free(t)
        text, values = self._set(t, self.r.sample(free, min(len(free), self.r.choice((1, 1, 2, 4)))))
        c.execute("UPDATE core.%s SET %s WHERE %s" % (t.name, text, self._where(t)), values)

    def _many(self, c, t):
        text, values = self._set(t, [self.r.choice(self._free(t))])
        c.execute("UPDATE core.%s SET %s WHERE ctid IN (SELECT ctid FROM core.%s ORDER BY ctid OFFSET %d LIMIT 6)"
                  % (t.name, text, t.name, self.r.randrange(max(1, t.size))), values)

    def _key(self, c, t):
        names = list(t.key) + list(t.unique)
        if not names:
            return self._update(c, t)
        columns = [t.by_name[self.r.choice(names)]]
        if self.r.random() < 0.3 and self._free(t):
            columns.append(self.r.choice(self._free(t)))
        text, values = self._set(t, columns)
        c.execute("UPDATE core.%s SET %s WHERE %s" % (t.name, text, self._where(t)), values)

    def _delete(self, c, t):
        c.execute("DELETE FROM core.%s WHERE %s" % (t.name, self._where(t)))

    def _touch(self, c, t):
        """An update that changes nothing."""
        name = self.r.choice(t.columns).name
        c.execute("UPDATE core.%s SET %s = %s WHERE %s" % (t.name, name, name, self._where(t)))

    def _replace(self, c, t):
        """Delete a row and insert another under the same key, in one transaction."""
        c.execute("DELETE FROM core.%s WHERE %s RETURNING %s" % (
            t.name, self._where(t), ", ".join(t.key + tuple(t.unique)) or "1"))
        gone = c.fetchone()
        row = t.row(self.r)
        if gone and t.key:
            for name, value in zip(t.key + tuple(t.unique), gone):
                row[[k.name for k in t.columns].index(name)] = value
        c.execute(t.insert(), row)

    def _truncate(self, c, t):
        self.locking = True
        c.execute("TRUNCATE core.%s" % t.name)

    def _bulk(self, c, t):
        """Many rows in one transaction, most of which go again in the next statements."""
        for _ in range(60):
            c.execute(t.insert(), t.row(self.r))
        c.execute("DELETE FROM core.%s WHERE ctid IN (SELECT ctid FROM core.%s ORDER BY ctid OFFSET %d)"
                  % (t.name, t.name, t.size))
