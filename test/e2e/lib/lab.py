"""Views of one set of tables in PostgreSQL and in Penstock, side by side, while a list of transactions runs.

A trial is data: the tables' DDL, the rows of the snapshot, transactions as lists of statements, views by name. The same
trial gives the same states, so that it can be cut down and kept as a file (test/e2e/regress)."""

import os
import re
import time

import psycopg2

from . import canon, pg
from .client import Refused
from .penstock import Penstock, postgres_config

MOST_ROWS = 3000  # of a view: more would only cost time


NARROWING = 24  # instances started to find which view of many an instance fails with


class Problem(str):
    """What is wrong, as text. kind: rows, answer, refused, crash, stands still, together. Two are the same failure when their kinds
    and signatures agree; a crash's signature is the place in the program and its words, without numbers."""

    def __new__(cls, kind, text, signature=""):
        made = str.__new__(cls, text)
        made.kind, made.signature = kind, signature
        return made

    def same(self, other):
        return other is not None and (self.kind, self.signature) == (other.kind, other.signature)


def signature(text):
    """Of a crash or a message: numbers and quoted names left out."""
    found = re.search(r"(\w+\.c:)\d+: ([^|\n]*)", text)
    text = found.group(1) + found.group(2) if found else text.split("\n")[0][:100]
    return re.sub(r"[\"'][^\"']*[\"']|\d+", "_", text).strip()


class Trouble(Exception):
    """An instance that ends, does not get ready or stands still, with these views or one of them. alone: name -> Problem
    of views with which it was seen to do so alone."""

    def __init__(self, problem, alone=None):
        Exception.__init__(self, str(problem))
        self.problem, self.alone = problem, alone or {}


class Trial:
    """most: no more views than these are looked at; those that have rows from the start are taken before others."""

    def __init__(self, ddl, fill, steps, views, shards=(1, 3), most=None):
        self.ddl, self.fill, self.steps, self.views, self.shards = ddl, list(fill), list(steps), dict(views), tuple(shards)
        self.most = most
        self.oracles = {}  # view -> the query whose answer is right, where PostgreSQL fails the view's own

    def replace(self, **fields):
        made = Trial(self.ddl, self.fill, self.steps, self.views, self.shards)
        made.oracles = self.oracles
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    def tables(self):
        return re.findall(r"CREATE TABLE core\.(\w+)", self.ddl)


class Outcome:
    """invalid: PostgreSQL refuses the view, or it is too large. refused, wrong: name -> Problem. together: (names, Problem)
    of instances that fail with these views, but with which of them was not found; each is then wrong, of that kind. errors: comparisons left out, since
    the query failed on the data in PostgreSQL."""

    def __init__(self):
        self.invalid, self.refused, self.wrong, self.together = {}, {}, {}, []
        self.compared, self.errors, self.points = 0, 0, 0
        self.looked_at, self.failures = [], {}  # failures: what PostgreSQL said of a query that failed on the data
        self.states = {}  # name -> hashes of the different answers seen; 0 is that of no row

    def take(self, other):
        for field in ("invalid", "refused", "wrong", "states", "failures"):
            getattr(self, field).update(getattr(other, field))
        for field in ("compared", "errors", "points", "looked_at", "together"):
            setattr(self, field, getattr(self, field) + getattr(other, field))

    def fails_together(self, names, problem):
        self.together.append((names, problem))
        for name in names:
            self.wrong[name] = Problem("together", "the instance fails with %d views, with which is not known: %s" % (len(names), problem))

    def has(self, problem):
        """That failure was seen, with one view or with several."""
        return any(problem.same(p) for p in list(self.wrong.values()) + [p for _, p in self.together])


class Lab:
    """One PostgreSQL server for many trials, each in a database of its own."""

    def __init__(self):
        self.server = pg.Postgres(settings="autovacuum = off\nmax_worker_processes = 4\njit = off\n").start()
        self.root = self.server.connect()
        self.count = 0

    def close(self):
        self.root.close()
        self.server.stop()

    def run(self, trial, every=1, stop_early=False):
        """Compares after the snapshot and after every `every`-th step. Trouble is narrowed down to single views: a view is
        blamed only when an instance with it alone fails; views that fail only together, or of which none was found
        before the instances to spend were, stand in Outcome.together."""
        return self._narrow(trial, every, stop_early, [NARROWING])

    def _narrow(self, trial, every, stop_early, left):
        left[0] -= 1
        try:
            return self._run(trial, every, stop_early)
        except Trouble as e:
            names, outcome = list(trial.views), Outcome()
            if len(names) == 1:
                outcome.wrong[names[0]] = e.problem
                outcome.looked_at = names
                return outcome
            if left[0] < 2:
                outcome.fails_together(names, e.problem)
                return outcome
            parts = [names[:len(names) // 2], names[len(names) // 2:]]
            if e.alone:
                outcome.wrong.update(e.alone)
                outcome.looked_at += list(e.alone)
                parts = [[n for n in names if n not in e.alone]]
            for part in filter(None, parts):
                smaller = trial.replace(views={n: trial.views[n] for n in part})
                outcome.take(self._narrow(smaller, every, stop_early, left))
            if not outcome.has(e.problem):
                outcome.fails_together(names, e.problem)
            return outcome

    def _run(self, trial, every, stop_early):
        world = World(self, trial)
        try:
            world.prepare()
            if world.views:
                world.start()
                world.outcome.looked_at = list(world.views)
                world.compare("after the snapshot")
                for i, step in enumerate(trial.steps):
                    world.apply(step)
                    if i % every == every - 1 or i == len(trial.steps) - 1:
                        world.compare("after step %d" % (i + 1))
                    if stop_early and len(world.outcome.wrong) == len(world.views):
                        break
            return world.outcome
        finally:
            world.end()


class World:
    def __init__(self, lab, trial):
        self.lab, self.trial, self.outcome = lab, trial, Outcome()
        self.views = dict(trial.views)
        self.boxes, self.connection = [], None
        lab.count += 1
        self.database = "trial%d" % lab.count

    def prepare(self):
        pg.script(self.lab.root, "CREATE DATABASE %s" % self.database)
        self.connection = self.lab.server.connect(database=self.database)
        pg.script(self.connection, "SET statement_timeout = '4s'; CREATE SCHEMA core; %s; CREATE PUBLICATION penstock FOR ALL TABLES"
                  % self.trial.ddl)
        self.apply(self.trial.fill)
        counts = {name: self.create_view(name, text) for name, text in self.views.items()}
        chosen = [n for n, count in counts.items() if count is not None]
        if self.trial.most is not None:
            full = [n for n in chosen if counts[n]]
            empty = [n for n in chosen if not counts[n]]
            some = empty[:max(self.trial.most - len(full), self.trial.most // 6)]
            chosen = full[:self.trial.most - len(some)] + some
        self.views = {n: self.views[n] for n in chosen}

    def create_view(self, name, text):
        """In PostgreSQL. How many rows it has; None when it is no good."""
        try:
            pg.script(self.connection, "CREATE VIEW %s AS %s" % (name, self.trial.oracles.get(name, text)))
            count = pg.value(self.connection, "SELECT count(*) FROM (SELECT * FROM %s) x" % name)
            if count > MOST_ROWS:
                raise psycopg2.errors.ProgramLimitExceeded("too many rows")
            return count
        except (psycopg2.errors.DataException, psycopg2.errors.CardinalityViolation):
            return 1  # fails on these rows, not on others
        except psycopg2.Error as e:
            self.outcome.invalid[name] = str(e).strip()
            return None

    def apply(self, statements):
        """One transaction."""
        text = "; ".join(statements)
        if not text:
            return
        pg.script(self.connection, "BEGIN; %s%s" % (text, "" if statements[-1] == "ROLLBACK" else "; COMMIT"))

    def config(self, slot):
        url = self.lab.server.url
        self.lab.server.url = lambda: url(self.database)
        try:
            return postgres_config(self.lab.server, ["{ table: core.%s, as: %s }" % (t, t) for t in self.trial.tables()],
                                   ["views.sql"], list(self.views), slot=slot)
        finally:
            del self.lab.server.url

    def text(self):
        return "".join("CREATE VIEW %s AS %s;\n" % (n, t.replace("\n", " ")) for n, t in self.views.items())

    def check(self):
        """(exit status, output) of `penstock check` of the views that are left."""
        box = Penstock(self.config("check"), self.text(), name="check")
        code, out, err = box.command("check", "-c", box.config, "--data", box.data)
        return code, out + err

    @staticmethod
    def check_problem(code, output):
        return Problem("crash", "check: exit %d: %s" % (code, output[-800:]), signature(output))

    def crash_at_check(self, code, output):
        """`penstock check` of one view takes no instance: each is tried alone."""
        views, alone = self.views, {}
        for name in views if len(views) > 1 else ():
            self.views = {name: views[name]}
            status, text = self.check()
            if status < 0:
                alone[name] = self.check_problem(status, text)
        self.views = views
        return Trouble(self.check_problem(code, output), alone)

    def drop_refused(self):
        """Leaves out what is refused, by the line of its message."""
        for _ in range(40):
            code, output = self.check()
            if code == 0 or not self.views:
                return
            names, found = list(self.views), {}
            for line, message in re.findall(r"views\.sql:(\d+):(?:\d+:)? *(.*)", output):
                if 0 < int(line) <= len(names):
                    found.setdefault(names[int(line) - 1], message)
            if code < 0 or not found:
                raise self.crash_at_check(code, output)
            self.outcome.refused.update((n, Problem("refused", m, signature(m))) for n, m in found.items())
            for name in found:
                del self.views[name]
        raise Trouble(Problem("refused", "check still refuses views after many rounds", "rounds"))

    def start(self):
        self.drop_refused()
        if not self.views:
            return
        for n in self.trial.shards:
            box = Penstock(self.config("%s_%d" % (self.database, n)), self.text(), shards=n, name="%s-%d" % (self.database, n))
            self.boxes.append(box)
            box.start(ready_s=0)
        for box in self.boxes:
            self.wait_ready(box)
            box.http = box.client(15)
            box.pipeline = box.pids().get("pipeline")

    def wait_ready(self, box):
        """A program that crashes again and again is not waited for."""
        deadline = time.monotonic() + 40
        while True:
            try:
                return box.wait_ready(3)
            except RuntimeError as e:
                if time.monotonic() > deadline or box.process.poll() is not None or self.last_words(box):
                    raise self.trouble(box, str(e)[-300:])

    def compare(self, where):
        at = pg.lsn(self.connection)
        expected = {}
        for name in list(self.views):
            try:
                expected[name] = canon.view_rows(self.connection, name, "LIMIT %d" % (4 * MOST_ROWS))
                if sum(expected[name].values()) >= 4 * MOST_ROWS:  # grown too large: no more looked at
                    del expected[name], self.views[name]
                    continue
                self.outcome.states.setdefault(name, set()).add(hash(frozenset(expected[name].items())) if expected[name] else 0)
            except psycopg2.Error as e:
                self.outcome.errors += 1
                self.outcome.failures.setdefault(name, str(e).split("\n")[0])
        self.outcome.points += 1
        for box in self.boxes:
            wait = ("core", at)
            for name, rows in expected.items():
                if name in self.outcome.wrong:
                    continue
                if wait:
                    self.wait(box, wait, where)
                    wait = None
                try:
                    kind, problem = "rows", canon.difference(box.http.list(name).rows(), rows)
                except (Refused, OSError) as e:
                    self.still_alive(box, where)
                    kind, problem = "answer", str(e)
                self.outcome.compared += 1
                if problem:
                    self.outcome.wrong[name] = Problem(kind, "%s, %d shards: %s" % (where, box.shards, problem),
                                                       "" if kind == "rows" else signature(problem))

    def wait(self, box, position, where):
        """Until an instance includes the position; sooner over when it has died."""
        name, problem = next(iter(self.views)), None
        for _ in range(12):
            http = box.client(1)
            try:
                http.list(name, wait=position, query="limit=1")
                return
            except (Refused, OSError) as e:
                problem = e
                self.still_alive(box, where)
            finally:
                http.close()
        raise self.trouble(box, "%s, %d shards: stands still: %s; log: %s" % (where, box.shards, problem, box.log_tail(1500)))

    @staticmethod
    def trouble(box, text):
        """A crash if the log has one."""
        words = World.last_words(box)
        if words:
            return Trouble(Problem("crash", "%s; %s" % (words, text), signature(words)))
        return Trouble(Problem("stands still", text))

    @staticmethod
    def last_words(box):
        """What a process said when it ended (a panic, an error): the first line that is none of the log; None."""
        found = re.search(r"^(?!\d{4}-\d\d-\d\dT|penstock: console )\S.*$", box.log_text(), re.M)
        return found.group(0) if found else None

    def still_alive(self, box, where):
        try:
            pid = box.pids().get("pipeline")
        except RuntimeError as e:
            pid = str(e)
        if pid != box.pipeline:
            trouble = self.trouble(box, "%s, %d shards: the pipeline ended" % (where, box.shards))
            if trouble.problem.kind != "crash":
                trouble = Trouble(Problem("crash", "%s; log: %s" % (trouble.problem, box.log_tail(800)), "silent"))
            raise trouble

    def end(self):
        for box in self.boxes:
            box.kill_all()
        if self.connection:
            self.connection.close()
        root = self.lab.root
        pg.script(root, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                        " WHERE active_pid IS NOT NULL AND database = '%s'" % self.database)
        for _ in range(50):
            try:
                pg.script(root, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '%s'"
                          % self.database)
                pg.script(root, "DROP DATABASE IF EXISTS %s WITH (FORCE)" % self.database)
                return
            except psycopg2.Error:
                pg.script(root, "SELECT pg_sleep(0.05)")


# ---- kept failures ----

def save(path, title, trial):
    """A trial as a file that people read and the test replays."""
    with open(path, "w") as f:
        f.write("".join("-- %s\n" % line for line in title.splitlines()))
        f.write("-- schema\n%s\n" % trial.ddl.strip())
        if trial.fill:
            f.write("-- rows\n" + "".join("%s;\n" % s for s in trial.fill))
        for step in trial.steps:
            f.write("-- step\n" + "".join("%s;\n" % s for s in step))
        for name, text in trial.views.items():
            f.write("-- view %s\n%s\n" % (name, text))


def load(path, prefix):
    """The trial of a file; its tables and views get names of their own, so that many files fit into one database."""
    with open(path) as f:
        text = re.sub(r"\bcore\.(\w+)", r"core.%s_\1" % prefix, f.read())
    ddl, fill, steps, views = "", [], [], {}
    for head, body in re.findall(r"^-- (schema|rows|step|view \w+)\n(.*?)(?=^-- (?:schema|rows|step|view \w+)$|\Z)", text,
                                 re.M | re.S):
        body = body.strip()
        statements = [s.strip() for s in re.split(r";\s*(?:\n|\Z)", body) if s.strip()]
        if head == "schema":
            ddl = body
        elif head == "rows":
            fill = statements
        elif head == "step":
            steps.append(statements)
        else:
            views["%s_%s" % (prefix, head.split()[1])] = body.rstrip(";")
    if not ddl or not views:
        raise ValueError("%s: no schema or no view" % os.path.basename(path))
    return Trial(ddl, fill, steps, views)


# ---- cutting down ----

def _parts(items, count):
    size = max(1, len(items) // count)
    return [items[i:i + size] for i in range(0, len(items), size)]


class Reducer:
    """Makes a failing trial of one view smaller while it still fails in the same way; most: trials to spend."""

    def __init__(self, lab, trial, tree, problem, most=60, seconds=60):
        self.lab, self.tree, self.left = lab, tree, most
        self.deadline = time.monotonic() + seconds
        self.name = next(iter(trial.views))
        self.trial, self.problem = trial, problem

    def spent(self):
        """Takes one trial from what is left; true when there is none."""
        self.left -= 1
        return self.left < 0 or time.monotonic() > self.deadline

    def same(self, outcome, name):
        """The view's problem in this outcome, if it is the one that is looked for."""
        found = outcome.wrong.get(name) or outcome.refused.get(name)
        return found if self.problem.same(found) else None

    def fails(self, trial):
        return None if self.spent() else self.same(self.lab.run(trial, stop_early=True), self.name)

    def run(self):
        """The smallest trial found and its problem, both seen in an instance of their own; None when the view alone does
        not fail in that way."""
        problem = self.fails(self.trial)
        if problem is None:
            return None
        self.cut_steps(problem)
        while self.tree is not None and self.left > 0:
            smaller = self.smaller_tree()
            if smaller is None:
                break
            self.tree = smaller
            self.trial = self.trial.replace(views={self.name: str(smaller)})
        self.drop_tables()
        self.cut("steps")
        self.cut("fill")
        self.cut("steps")
        problem = self.same(self.lab.run(self.trial, stop_early=True), self.name)
        return (self.trial, problem) if problem else None

    def smaller_tree(self):
        """The first of the shortest trees that fails among many and then alone."""
        from .tree import reductions
        candidates = reductions(self.tree)[:400]
        if self.problem.kind in ("crash", "stands still"):  # one by one: many at once would hide each other
            for tree in candidates:
                if self.left <= 0:
                    return None
                if self.fails(self.trial.replace(views={self.name: str(tree)})):
                    return tree
            return None
        for batch in _parts(candidates, max(1, len(candidates) // 40)):
            if self.spent():
                return None
            views = {"%s_%d" % (self.name, i): str(t) for i, t in enumerate(batch)}
            outcome = self.lab.run(self.trial.replace(views=views), stop_early=True)
            found = [t for i, t in enumerate(batch) if self.same(outcome, "%s_%d" % (self.name, i))]
            for tree in found[:3]:
                if self.fails(self.trial.replace(views={self.name: str(tree)})):
                    return tree
        return None

    def cut_steps(self, problem):
        """Nothing after the first difference matters."""
        found = re.search(r"after step (\d+)", problem)
        if found:
            self.trial = self.trial.replace(steps=self.trial.steps[:int(found.group(1))])
        elif "snapshot" in problem:
            self.trial = self.trial.replace(steps=[])

    def drop_tables(self):
        text = next(iter(self.trial.views.values()))
        for t in self.trial.tables():
            if not re.search(r"core\.%s\b" % t, text):
                ddl = re.sub(r"CREATE TABLE core\.%s \(.*?\n\);\n" % t, "", self.trial.ddl, flags=re.S)
                ddl = re.sub(r"ALTER TABLE core\.%s .*?;\n" % t, "", ddl)
                keep = lambda s: not re.search(r"core\.%s\b" % t, s)
                steps = [[s for s in step if keep(s)] for step in self.trial.steps]
                smaller = self.trial.replace(ddl=ddl, fill=[s for s in self.trial.fill if keep(s)], steps=[s for s in steps if s])
                if self.fails(smaller):
                    self.trial = smaller

    def cut(self, field):
        """Leaves out halves, quarters, ... of a list."""
        count = 2
        while getattr(self.trial, field) and self.left > 0:
            items = getattr(self.trial, field)
            parts = _parts(items, count)
            for i in range(len(parts)):
                smaller = self.trial.replace(**{field: sum(parts[:i] + parts[i + 1:], [])})
                if self.fails(smaller):
                    self.trial = smaller
                    break
            else:
                if count >= len(items):
                    return
                count = min(len(items), count * 2)
