#!/usr/bin/python3
"""Large transactions that the server streams while they are in progress (streaming: on): side by side, committed, aborted, with aborted
savepoints and tables that change inside, killed and cut off in between, too large to be kept here. Each comes whole or not at all, at
the place of its commit; what is not yet committed leaves nothing behind."""

import glob
import os
import random
import signal
import time


from lib import pg
from lib.report import Report
from lib.source_dump import Dump, describe, fresh, same, tool

SERVER = "logical_decoding_work_mem = '64kB'\nmax_prepared_transactions = 5\nautovacuum = off\n"
DDL = "CREATE TABLE l (id int PRIMARY KEY, tx int, pad text); CREATE TABLE lb (tx int, n int); ALTER TABLE lb REPLICA IDENTITY FULL; CREATE TABLE other (v text)"


def config(server, **more):
    return {"url": server.url(), "tables": "[l, lb]", "check_interval": "1h", "streaming": "on", **more}


def streamed(c):
    """How many transactions the server has sent in parts."""
    pg.script(c, "SELECT pg_sleep(0.05)")
    return pg.value(c, "SELECT coalesce(sum(stream_txns), 0)::int FROM pg_stat_replication_slots")


def wait_streamed(c, more_than):
    """The counters come late: at least one more transaction in parts."""
    deadline = time.monotonic() + 15
    while streamed(c) <= more_than and time.monotonic() < deadline:
        time.sleep(0.05)
    return streamed(c) > more_than


def spooled(d):
    """Bytes in files without a name that the process has open."""
    total = 0
    for fd in glob.glob("/proc/%d/fd/*" % d.process.pid):
        try:
            if "spool.core (deleted)" in os.readlink(fd):
                total += os.stat(fd).st_size
        except OSError:
            pass
    return total


def whole(d, since=0):
    """Per commit after the snapshot: the transactions (column tx) whose rows came with it."""
    found, tags = [], set()
    for e in d.events[since:]:
        if e.get("lane") == 0 and e["op"] in ("insert", "update", "delete", "move"):
            tags.add(e["row"].get("tx"))
        elif e["op"] == "commit" and e["lane"] == 0:
            tags.discard(None)  # a delete has the key alone
            if tags:
                found.append(tags)
            tags = set()
    return found


def side_by_side(report, server, c):
    fresh(c, DDL)
    d = Dump(config(server)).streaming()
    report.check("asked-for", "in_parts=1" in open(d.log).read(), d.tail())
    since = len(d.events)
    rng = random.Random(7)
    before = streamed(c)
    many = [server.connect(autocommit=False) for _ in range(6)]
    for step in range(5):
        for n, k in enumerate(many):
            base = n * 100000 + step * 2000
            pg.script(k, "INSERT INTO l SELECT i, %d, repeat('p', 50) FROM generate_series(%d, %d) i; INSERT INTO lb SELECT %d, i %% 9 FROM generate_series(1, 300) i" % (n, base, base + 1999, n))
            pg.script(k, "SAVEPOINT s; UPDATE l SET pad = 'never' WHERE id BETWEEN %d AND %d; DELETE FROM l WHERE id = %d; INSERT INTO lb SELECT %d, -1 FROM generate_series(1, 500); ROLLBACK TO s" % (base, base + 1999, base, n))
            pg.script(k, "SAVEPOINT a; SAVEPOINT b; UPDATE l SET pad = 'b' WHERE id BETWEEN %d AND %d; RELEASE b; DELETE FROM l WHERE id = %d; INSERT INTO lb SELECT %d, -2 FROM generate_series(1, 500)" % (base, base + 500, base + 5, n))
            pg.script(k, "ROLLBACK TO a" if rng.random() < 0.5 else "RELEASE a")
        pg.script(c, "INSERT INTO lb VALUES (%d, 0)" % (1000 + step))  # small ones come in between
        pg.script(c, "INSERT INTO other SELECT repeat('x', 100) FROM generate_series(1, 5000)")
    report.check("came-in-parts", wait_streamed(c, before), streamed(c))
    d.until(pg.lsn(c))
    report.equal("nothing-before-the-commit", {t for s in whole(d, since) for t in s}, {str(1000 + i) for i in range(5)})
    report.check("kept-in-a-file", spooled(d) > 100000, spooled(d))
    order = [3, 0, 5, 1]
    for n in order:
        pg.script(many[n], "COMMIT")
    pg.script(many[2], "ROLLBACK")
    pg.script(many[4], "PREPARE TRANSACTION 'four'")
    d.until(pg.lsn(c), 60)
    same(report, "committed/keyed", c, d, "l")
    same(report, "committed/keyless", c, d, "lb")
    pg.script(c, "COMMIT PREPARED 'four'")
    d.until(pg.lsn(c), 60)
    same(report, "prepared/keyed", c, d, "l")
    same(report, "prepared/keyless", c, d, "lb")
    report.equal("each-whole-and-in-order", whole(d, since)[5:], [{str(n)} for n in order + [4]])
    report.equal("nothing-kept", (spooled(d), glob.glob(d.dir + "/spool*")), (0, []))
    d.stop()


def subtransactions(report, server, c):
    """Many nested ones, as loops with exception handlers make them."""
    fresh(c, DDL)
    d = Dump(config(server)).streaming()
    before = streamed(c)
    pg.script(c, """DO $$ BEGIN FOR i IN 1..3000 LOOP BEGIN INSERT INTO l VALUES (i, 1, repeat('q', 30));
        BEGIN UPDATE l SET tx = tx + 1 WHERE id = i; IF i % 3 = 0 THEN RAISE EXCEPTION 'inner'; END IF; EXCEPTION WHEN raise_exception THEN INSERT INTO lb VALUES (1, i); END;
        IF i % 5 = 0 THEN RAISE EXCEPTION 'outer'; END IF; EXCEPTION WHEN raise_exception THEN INSERT INTO lb VALUES (2, i); END; END LOOP; END $$""")
    d.until(pg.lsn(c), 60)
    report.check("subtransactions/in-parts", wait_streamed(c, before), streamed(c))
    same(report, "subtransactions/keyed", c, d, "l")
    same(report, "subtransactions/keyless", c, d, "lb")
    d.stop()


def tables_change(report, server, c):
    """What a transaction says of a table counts when it commits, and not at all when it does not."""
    fresh(c, DDL)
    d = Dump(config(server), "--stop-tables").streaming()
    k = server.connect(autocommit=False)
    big = "INSERT INTO l (id, tx, pad) SELECT i, %d, repeat('p', 50) FROM generate_series(%d, %d) i"
    pg.script(k, big % (1, 1, 3000))
    pg.script(k, "SAVEPOINT s; ALTER TABLE l ADD extra int DEFAULT 7")
    pg.script(k, big % (1, 10000, 13000))
    pg.script(k, "ALTER TABLE l DROP pad; INSERT INTO l (id, tx) SELECT i, 1 FROM generate_series(20000, 23000) i; ROLLBACK TO s")
    pg.script(k, big % (1, 30000, 33000))
    pg.script(k, "COMMIT")
    d.until(pg.lsn(c), 60)
    same(report, "change-taken-back", c, d, "l")
    report.equal("change-taken-back/no-stop", d.seen("table_stop"), 0)
    pg.script(k, "ALTER TABLE l ADD extra int DEFAULT 7")
    pg.script(k, big % (2, 40000, 43000))
    pg.script(k, "TRUNCATE lb; INSERT INTO lb SELECT 2, i FROM generate_series(1, 3000) i")
    pg.script(k, "COMMIT")
    d.until(pg.lsn(c), 60)
    same(report, "column-added", c, d, "l", ["id", "tx", "pad"])
    same(report, "truncated-inside", c, d, "lb")
    pg.script(k, "ALTER TABLE l ALTER tx TYPE bigint")
    pg.script(k, big % (3, 50000, 53000))
    pg.script(k, "INSERT INTO lb SELECT 3, i FROM generate_series(1, 3000) i")
    pg.script(k, "COMMIT")
    d.until(pg.lsn(c), 60)
    report.check("retyped-stops", [e["table"] for e in d.events if e["op"] == "table_stop"] == ["l"], d.tail())
    same(report, "retyped-other-goes-on", c, d, "lb")
    d.stop()


def cut_off(report, server, c):
    """The reader killed, the connection lost, the server crashed while transactions are under way: they come again."""
    fresh(c, DDL)
    d = Dump(config(server)).streaming()
    for i, how in enumerate(("kill", "cut", "cut", "kill", "stop")):
        before = streamed(c)
        k, gone = server.connect(autocommit=False), server.connect(autocommit=False)
        pg.script(k, "INSERT INTO l SELECT i, %d, repeat('p', 50) FROM generate_series(%d, %d) i" % (i, i * 10000, i * 10000 + 3000))
        pg.script(gone, "INSERT INTO lb SELECT 99, i FROM generate_series(1, 3000) i")
        report.check("cut-off-%d/in-parts" % i, wait_streamed(c, before), streamed(c))
        if how == "cut":
            states = len(d.states)
            pg.script(c, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
            d.wait("streaming again", lambda x: any(s == "streaming" for s, _ in x.states[states:]))
        else:
            d.stop(signal.SIGKILL if how == "kill" else signal.SIGTERM)
        pg.script(k, "UPDATE l SET pad = 'later' WHERE tx = %d AND id %% 2 = 0; INSERT INTO lb SELECT %d, i FROM generate_series(1, 2000) i" % (i, i))
        pg.script(k, "COMMIT")
        pg.script(gone, "ROLLBACK")
        if how != "cut":
            d = Dump(config(server), before=d).streaming()
            report.equal("cut-off-%d/no-snapshot" % i, d.seen("snapshot_begin"), 0)
        d.until(pg.lsn(c), 60)
        same(report, "cut-off-%d/keyed" % i, c, d, "l")
        same(report, "cut-off-%d/keyless" % i, c, d, "lb")
    d.stop()


def cut_at_commit(report, server, c):
    """Connections that break while a transaction is being taken in, whether the pipeline can take it back or not."""
    for mode, options in (("rollback", []), ("keep", ["--keep"])):
        fresh(c, DDL)
        d = Dump(config(server), *options).streaming()
        for i in range(4):
            pg.script(c, "INSERT INTO l SELECT i, %d, repeat('p', 50) FROM generate_series(%d, %d) i" % (i, i * 30000, i * 30000 + 25000))
            pg.script(c, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL")
        d.until(pg.lsn(c), 60)
        same(report, "cut-at-commit/" + mode, c, d, "l")
        report.equal("cut-at-commit/%s/no-snapshot" % mode, d.seen("snapshot_begin"), 1)
        d.stop()


def taken_slowly(report, server, c):
    """A transaction that takes longer to be taken in than the server waits for an answer; and one that is cut off in the middle, what was
    taken kept, and comes again in another way, with changes of a table that nobody reads in between: each change counts once."""
    fresh(c, DDL)
    pg.script(c, "CREATE PUBLICATION penstock FOR ALL TABLES")
    pg.script(c, "ALTER SYSTEM SET wal_sender_timeout = '3s'")
    pg.script(c, "SELECT pg_reload_conf()")
    d = Dump(config(server), "--keep", "--slow", "600").streaming()
    for i, cut in enumerate((False, True)):
        before, states = streamed(c), len(d.states)
        k = server.connect(autocommit=False)
        pg.script(k, "DO $$ BEGIN FOR i IN 1..15000 LOOP INSERT INTO other VALUES ('nobody'), ('reads'); INSERT INTO lb VALUES (%d, i %% 9); END LOOP; END $$" % i)
        report.check("slowly-%d/in-parts" % i, wait_streamed(c, before), streamed(c))
        d.until(pg.lsn(c))  # by then the position is behind most of it
        pg.script(k, "COMMIT")
        if cut:
            time.sleep(1)
            pg.script(c, "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
        d.until(pg.lsn(c), 60)
        pg.script(c, "INSERT INTO lb VALUES (100, 0)")  # through whatever connection there is then
        d.until(pg.lsn(c), 60)
        same(report, "slowly-%d/keyless" % i, c, d, "lb")
        report.equal("slowly-%d/sessions" % i, sum(s == "streaming" for s, _ in d.states[states:]), 1 if cut else 0)
    report.equal("slowly/no-snapshot", d.seen("snapshot_begin"), 1)
    d.stop()
    pg.script(c, "ALTER SYSTEM RESET wal_sender_timeout")
    pg.script(c, "SELECT pg_reload_conf()")


def too_large(report, server, c):
    """Past `spool` the server keeps them; nothing is lost by it."""
    fresh(c, DDL)
    d = Dump(config(server, spool="256KiB")).streaming()
    k = server.connect(autocommit=False)
    pg.script(k, "INSERT INTO l SELECT i, 1, repeat('p', 100) FROM generate_series(1, 20000) i")
    d.wait("fall back", lambda x: "in_parts=0" in open(x.log).read())
    report.check("too-large/said", "the server keeps them from now on" in open(d.log).read() and "262144 bytes" in open(d.log).read(), d.tail())
    pg.script(k, "COMMIT")
    d.until(pg.lsn(c), 60)
    same(report, "too-large", c, d, "l")
    report.equal("too-large/no-snapshot", d.seen("snapshot_begin"), 1)
    d.stop()


def off(report, server, c):
    fresh(c, DDL)
    plain = config(server)
    del plain["streaming"]
    d = Dump(plain).streaming()
    report.check("off-by-default", "in_parts=0" in open(d.log).read(), d.tail())
    d.stop()
    d, text = describe(dict(plain, spool="1GiB"))
    report.check("spool-without-streaming", d.process.returncode == 2 and "set streaming: on" in text, text)


def old_server(report):
    server = pg.Postgres(settings="autovacuum = off\n", version=13).start()
    c = server.connect()
    fresh(c, DDL)
    d = Dump(config(server)).streaming()
    pg.script(c, "INSERT INTO l SELECT i, 1, 'p' FROM generate_series(1, 5000) i")
    d.until(pg.lsn(c))
    report.check("13/comes-whole", "in_parts=0" in open(d.log).read(), d.tail())
    same(report, "13/rows", c, d, "l")
    d.stop()
    server.stop()


def main():
    with Report("test_pg_streaming", 280) as report:
        tool()
        report.section("13", old_server, report)
        for version in [int(v) for v in os.environ["VERSIONS"].split(",")] if "VERSIONS" in os.environ else [15, 14, 17]:
            server = pg.Postgres(settings=SERVER, version=version).start()
            c = server.connect()
            report.note("PostgreSQL %d" % version)
            for test in (side_by_side, subtransactions, tables_change, cut_off, cut_at_commit, taken_slowly, too_large, off) if version == 15 else (side_by_side, tables_change, cut_off):
                began = time.monotonic()
                report.section("%d/%s" % (version, test.__name__), test, report, server, c)
                Dump.stop_all()
                report.note("%d/%s: %.1f s" % (version, test.__name__, time.monotonic() - began))
            server.stop()


if __name__ == "__main__":
    main()
