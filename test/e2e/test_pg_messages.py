#!/usr/bin/python3
"""What can be wrong between Penstock and a PostgreSQL server, one case each: the message holds the statement or setting that mends
it, when a configuration is checked and while it runs."""

import time

from lib import pg
from lib.fake_pg import FakeServer
from lib.report import Report
from lib.source_dump import Dump, describe, fresh

SERVER = "max_prepared_transactions = 5\nautovacuum = off\n"
HBA = """local all all trust
host all postgres 127.0.0.1/32 trust
host postgres secret 127.0.0.1/32 scram-sha-256
hostssl postgres onlytls 127.0.0.1/32 scram-sha-256
host postgres,other plain,mute,unread,capped,guarded 127.0.0.1/32 trust
host postgres,nowhere ghost 127.0.0.1/32 trust
host nowhere secret,postgres 127.0.0.1/32 trust
"""
PASSWORD = "'hush hush'"


def url(server, user, database="postgres", options="sslmode=disable", host="127.0.0.1", port=None):
    return '"postgresql://%s@%s:%d/%s?%s"' % (user, host, port or server.port, database, options)


def both(report, name, config, *texts):
    """Checked: refused with the texts. Running: the same in the source's state; it neither hangs nor says less."""
    d, text = describe(config)
    report.check(name + "/check", d.process.returncode in (1, 2) and all(t in text for t in texts) and "hush" not in text, text)
    run(report, name, config, *texts)


def run(report, name, config, *texts):
    """The tool describes first, which must work: what fails is the run."""
    d = Dump(config)
    try:
        d.wait("refusal", lambda x: any(all(t in e for t in texts) for _, e in x.states) or x.process.poll() is not None)
    except AssertionError as e:
        report.fail(name + "/run", e)
        return d.stop()
    said = " ".join(e for _, e in d.states) + open(d.log).read()
    report.check(name + "/run", all(t in said for t in texts) and "hush" not in said, said[-800:])
    d.stop()


def warned(report, name, config, *texts):
    """Checked: fine as far as the tables go, with a warning of what a run would meet."""
    d, text = describe(config)
    report.check(name + "/check", d.process.returncode == 0 and all(t in text.replace('\\"', '"') for t in texts), text)


def restarted(server, c, *settings):
    for s in settings:
        pg.script(c, "ALTER SYSTEM SET " + s)
    c.close()
    server.stop()
    return server.start().connect()


def roles(server, c):
    with open(server.data + "/pg_hba.conf", "w") as f:
        f.write(HBA)
    pg.script(c, "SELECT pg_reload_conf()")
    pg.script(c, "CREATE ROLE secret LOGIN REPLICATION PASSWORD %s; CREATE ROLE onlytls LOGIN REPLICATION PASSWORD %s;"
                 "CREATE ROLE plain LOGIN; CREATE ROLE mute NOLOGIN REPLICATION; CREATE ROLE unread LOGIN REPLICATION;"
                 "CREATE ROLE capped LOGIN REPLICATION CONNECTION LIMIT 0; CREATE ROLE guarded LOGIN REPLICATION;"
                 "CREATE ROLE outside LOGIN REPLICATION" % (PASSWORD, PASSWORD))
    pg.script(c, "CREATE DATABASE other")
    pg.script(c, "REVOKE CONNECT ON DATABASE other FROM PUBLIC")
    time.sleep(0.3)


def reaching(report, server, c):
    fresh(c, "CREATE TABLE w (id int PRIMARY KEY); GRANT SELECT ON w TO PUBLIC")
    cases = [
        ("password-wrong", {"url": url(server, "secret"), "password": "wrong"}, ["check password:", "ALTER ROLE \"secret\" LOGIN REPLICATION PASSWORD"]),
        ("password-missing", {"url": url(server, "secret")}, ["set password: of source core"]),
        ("role-missing", {"url": url(server, "ghost")}, ['CREATE ROLE "ghost" LOGIN REPLICATION PASSWORD']),
        ("role-nologin", {"url": url(server, "mute")}, ['ALTER ROLE "mute" LOGIN']),
        ("hba-none", {"url": url(server, "outside")}, ["no pg_hba.conf entry", "hostssl postgres outside ADDRESS/32 scram-sha-256", "pg_reload_conf()"]),
        ("hba-wants-tls", {"url": url(server, "onlytls"), "password": PASSWORD}, ["use sslmode=require", "hostssl postgres onlytls"]),
        ("tls-off", {"url": url(server, "secret", options="sslmode=require"), "password": PASSWORD}, ["ALTER SYSTEM SET ssl = on"]),
        ("database-missing", {"url": url(server, "postgres", "nowhere")}, ["SELECT datname FROM pg_database", 'CREATE DATABASE "nowhere"']),
        ("database-closed", {"url": url(server, "plain", "other")}, ['GRANT CONNECT ON DATABASE "other" TO "plain"']),
        ("host-unknown", {"url": url(server, "secret", host="nowhere.invalid")}, ["check the host in url:"]),
        ("refused", {"url": url(server, "secret", port=1)}, ["check host and port in url:", "ALTER SYSTEM SET listen_addresses"]),
        ("role-connections", {"url": url(server, "capped")}, ['ALTER ROLE "capped" CONNECTION LIMIT -1']),
        ("replication-missing", {"url": url(server, "plain")}, ['ALTER ROLE "plain" REPLICATION']),
    ]
    for name, config, texts in cases:
        both(report, name, dict(config, tables="[w]"), *texts)


def tables(report, server, c):
    fresh(c, """CREATE TABLE shut (id int PRIMARY KEY); CREATE TABLE w (id int PRIMARY KEY); CREATE TABLE bag (v int);
        CREATE TABLE mute (id int PRIMARY KEY); ALTER TABLE mute REPLICA IDENTITY NOTHING; CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY);
        CREATE VIEW vw AS SELECT 1 AS id; GRANT SELECT ON w, bag, mute TO unread; GRANT USAGE ON SCHEMA public TO unread, guarded;
        CREATE TABLE rls (id int PRIMARY KEY); ALTER TABLE rls ENABLE ROW LEVEL SECURITY; GRANT SELECT ON rls TO guarded;
        CREATE POLICY high ON rls USING (id > 5)""")
    both(report, "select-missing", {"url": url(server, "unread"), "tables": "[shut]"}, 'GRANT USAGE ON SCHEMA "public" TO "unread"; GRANT SELECT ON "public"."shut" TO "unread"')
    both(report, "identity-none", {"url": url(server, "unread"), "tables": "[bag]"}, 'ALTER TABLE "public"."bag" ADD PRIMARY KEY', 'ALTER TABLE "public"."bag" REPLICA IDENTITY FULL')
    both(report, "identity-nothing", {"url": url(server, "unread"), "tables": "[mute]"}, 'ALTER TABLE "public"."mute" REPLICA IDENTITY DEFAULT')
    both(report, "table-missing", {"url": server.url(), "tables": "[W]"}, "there is no such table", "without folding case")
    both(report, "table-unlogged", {"url": server.url(), "tables": "[fleeting]"}, 'ALTER TABLE "public"."fleeting" SET LOGGED')
    both(report, "table-view", {"url": server.url(), "tables": "[vw]"}, "name the tables it reads")
    both(report, "publication-missing", {"url": server.url()}, "there is no publication penstock", 'CREATE PUBLICATION "penstock" FOR ALL TABLES')
    config = {"url": url(server, "unread"), "tables": "[w]"}
    warned(report, "publication-not-ours", config, 'CREATE PUBLICATION "penstock" FOR TABLE "public"."w"')
    run(report, "publication-not-ours", config, 'CREATE PUBLICATION "penstock" FOR TABLE "public"."w"')
    pg.script(c, "CREATE PUBLICATION penstock FOR TABLE shut")
    warned(report, "publication-lacks-table", config, 'ALTER PUBLICATION "penstock" ADD TABLE "public"."w"')
    run(report, "publication-lacks-table", config, 'ALTER PUBLICATION "penstock" ADD TABLE "public"."w"')
    pg.script(c, "ALTER PUBLICATION penstock SET (publish = 'insert')")
    both(report, "publication-inserts-only", config, "ALTER PUBLICATION \"penstock\" SET (publish = 'insert, update, delete, truncate')")
    pg.script(c, "DROP PUBLICATION penstock; CREATE PUBLICATION penstock FOR TABLE rls")
    run(report, "row-security", {"url": url(server, "guarded"), "tables": "[rls]"}, 'ALTER ROLE "guarded" BYPASSRLS')


def slots(report, server, c):
    fresh(c, "CREATE TABLE w (id int PRIMARY KEY); CREATE TABLE noise (v text); INSERT INTO w VALUES (1)")
    config = {"url": server.url(), "tables": "[w]"}
    first = Dump(config).streaming()
    pid = pg.value(c, "SELECT active_pid FROM pg_replication_slots")
    run(report, "slot-active", config, "is in use by server process %d" % pid, "SELECT pg_terminate_backend(%d)" % pid, "slot: NAME")
    first.stop()
    pg.script(c, "SELECT pg_create_logical_replication_slot('theirs', 'test_decoding')")
    run(report, "slot-of-another", dict(config, slot="theirs"), "belongs to another database or plug-in", "slot: NAME")
    # Given up by the server while nobody read it: said, and the data taken anew.
    pg.script(c, "SELECT pg_drop_replication_slot('theirs')")
    pg.script(c, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    pg.script(c, "SELECT pg_reload_conf()")
    for _ in range(3):
        pg.script(c, "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
        pg.script(c, "SELECT pg_switch_wal()")
    pg.script(c, "CHECKPOINT")
    report.equal("slot-lost/is", pg.value(c, "SELECT wal_status FROM pg_replication_slots"), "lost")
    warned(report, "slot-lost", config, "invalidated the replication slot", "ALTER SYSTEM SET max_slot_wal_keep_size")
    d = Dump(config, before=first).streaming()
    report.check("slot-lost/run", d.seen("snapshot_begin") == 1 and "max_slot_wal_keep_size" in open(d.log).read(), d.tail())
    pg.script(c, "ALTER SYSTEM RESET max_slot_wal_keep_size")
    pg.script(c, "SELECT pg_reload_conf()")
    d.stop()


def retained(report, server, c):
    """What keeps the server's log is named with the statement that ends it."""
    fresh(c, "CREATE TABLE w (id int PRIMARY KEY); CREATE TABLE noise (v text)")
    config = {"url": server.url(), "tables": "[w]", "check_interval": "1s", "retained_warning": "1MiB"}

    def noise():
        for _ in range(3):
            pg.script(c, "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 4000)")
            pg.script(c, "SELECT pg_log_standby_snapshot()" if c.server_version >= 160000 else "CHECKPOINT")

    # A slot waits for transactions that are open when it is made: these come after it.
    first = Dump(config).streaming()
    pg.script(c, "BEGIN; INSERT INTO w VALUES (1); PREPARE TRANSACTION 'left ''behind'")
    noise()
    first.until(pg.lsn(c))
    first.wait("warning", lambda x: "ROLLBACK PREPARED 'left ''behind'" in open(x.log).read())
    report.ok("retained/prepared")
    report.equal("retained/prepared-not-seen", first.rows("w"), [])
    pg.script(c, "COMMIT PREPARED 'left ''behind'")
    first.until(pg.lsn(c))
    report.equal("retained/prepared-comes-with-its-commit", first.rows("w"), [("1",)])
    first.stop()
    d = Dump(config, before=first).streaming()
    k = server.connect(autocommit=False)
    pg.script(k, "INSERT INTO w VALUES (2)")
    noise()
    d.until(pg.lsn(c))
    d.wait("warning", lambda x: "SELECT pg_terminate_backend(%d)" % k.info.backend_pid in open(x.log).read())
    report.ok("retained/open-transaction")
    k.close()
    d.stop()
    noise()
    warned(report, "retained/nobody-reads", config, "which nobody reads now", "SELECT pg_drop_replication_slot('penstock_core')")


def limits(report, server, c):
    fresh(c, "CREATE TABLE w (id int PRIMARY KEY)")
    c = restarted(server, c, "max_replication_slots = 1")
    pg.script(c, "SELECT pg_create_physical_replication_slot('taken')")
    config = {"url": server.url(), "tables": "[w]"}
    texts = "ALTER SYSTEM SET max_replication_slots = ", "SELECT pg_drop_replication_slot('NAME')"
    warned(report, "slots-full", config, *texts)
    run(report, "slots-full", config, *texts)
    pg.script(c, "SELECT pg_drop_replication_slot('taken')")
    c = restarted(server, c, "max_wal_senders = 1")
    first = Dump(config).streaming()
    both(report, "senders-full", dict(config, slot="second"), "ALTER SYSTEM SET max_wal_senders = NUMBER", "pg_stat_replication")
    first.stop()
    pg.script(c, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
    c = restarted(server, c, "max_wal_senders = 0", "wal_level = replica")
    both(report, "wal-level", config, "the server's wal_level is replica", "ALTER SYSTEM SET wal_level = 'logical'")


def others(report):
    """Servers that are none that can be followed, or not yet."""
    for name, version, texts in [
            ("too-old", ("11.22", "PostgreSQL 11.22 on x86_64-pc-linux-gnu"), ["the server is PostgreSQL 11.22; 12 or newer is needed"]),
            ("much-too-old", ("9.6.24", "PostgreSQL 9.6.24"), ["the server is PostgreSQL 9.6.24; 12 or newer is needed"]),
            ("fork-cockroach", ("13.0.0", "CockroachDB CCL v23.1.0"), ["is not PostgreSQL but says: CockroachDB CCL v23.1.0"]),
            ("fork-yugabyte", ("15.2-YB-2024.2", "PostgreSQL 15.2-YB-2024.2.0.0-b0 on x86_64"), ["is not PostgreSQL but says: PostgreSQL 15.2-YB"]),
            ("fork-greenplum", ("12.12", "PostgreSQL 12.12 (Greenplum Database 7.0.0)"), ["is not PostgreSQL but says"])]:
        both(report, name, {"url": FakeServer(version).url(), "tables": "[w]"}, *texts)
    for name, refusal, texts in [
            ("starting-up", ("FATAL", "57P03", "the database system is starting up"), ["starting up", "tried again"]),
            ("no-standby-queries", ("FATAL", "57P03", "the database system is not accepting connections"), ["tried again"]),
            ("pooler", ("FATAL", "08P01", "unsupported startup parameter: replication"), ["does not go through a connection pooler"]),
            ("connections-full", ("FATAL", "53300", "sorry, too many clients already"), ["ALTER SYSTEM SET max_connections = NUMBER"])]:
        both(report, name, {"url": FakeServer(refusal=refusal).url(), "tables": "[w]"}, *texts)


def main():
    with Report("test_pg_messages", 170) as report:
        report.section("others", others, report)
        server = pg.Postgres(settings=SERVER).start()
        c = server.connect()
        roles(server, c)
        for test in (reaching, tables, slots, retained):
            report.section(test.__name__, test, report, server, c)
            Dump.stop_all()
        report.section("limits", limits, report, server, c)


if __name__ == "__main__":
    main()
