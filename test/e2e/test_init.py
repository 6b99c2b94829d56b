#!/usr/bin/python3
"""`penstock init --from postgres`: the files of a database with everything that is odd in one pass check and serve its rows;
no password is in them; nothing is overwritten; what cannot be taken is told with the reason."""

import os
import re

from lib import procs, pg
from lib.penstock import Penstock
from lib.report import Report

SCHEMA = r"""
CREATE SCHEMA "Sales Dept"; CREATE SCHEMA audit;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, feeling mood, at timestamptz, place point);
COMMENT ON TABLE customers IS 'Who buys; it''s "all" of them
in two lines \ and a backslash';
COMMENT ON COLUMN customers.name IS 'Full name: ${NOT_A_VARIABLE}';
CREATE TABLE orders (id int PRIMARY KEY, customer_id bigint REFERENCES customers, total numeric(12,2), twice numeric GENERATED ALWAYS AS (total * 2) STORED);
CREATE TABLE lines (order_id int REFERENCES orders, line int, what text, PRIMARY KEY (order_id, line));
CREATE TABLE "order" ("select" int PRIMARY KEY, "Group" text, "a ""quoted"" name" text, "colon: #yes" text, "${X}" text, "end" int REFERENCES orders (id));
CREATE TABLE "Sales Dept"."Größe.x" (id int PRIMARY KEY, "ä" text);
CREATE TABLE audit.customers (id int PRIMARY KEY, parent int REFERENCES audit.customers);
CREATE TABLE "true" (id int PRIMARY KEY);
CREATE TABLE keyless (a int, b text);
CREATE TABLE keyless_full (a int, b text); ALTER TABLE keyless_full REPLICA IDENTITY FULL;
CREATE UNLOGGED TABLE gone (id int PRIMARY KEY);
CREATE TABLE shapes (only_this point);
CREATE TABLE days (day date, id int, v text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
CREATE TABLE days_2025 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE days_2026 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW not_a_table AS SELECT 1 AS one;
INSERT INTO customers VALUES (1, 'Ada', 'good', '2026-01-01', '(1,2)'), (2, 'Bob', NULL, NULL, NULL);
INSERT INTO orders VALUES (10, 1, 5.50), (11, 2, 7.00);
INSERT INTO lines VALUES (10, 1, 'tea'), (10, 2, 'cup');
INSERT INTO "order" VALUES (1, 'g', 'q', 'c', 'x', 10);
INSERT INTO "Sales Dept"."Größe.x" VALUES (1, 'ö');
INSERT INTO audit.customers VALUES (1, NULL), (2, 1);
INSERT INTO "true" VALUES (1);
INSERT INTO keyless_full VALUES (1, 'x'), (1, 'x');
INSERT INTO days VALUES ('2025-05-05', 1, 'old'), ('2026-05-05', 1, 'new');
CREATE ROLE app LOGIN REPLICATION PASSWORD 'pass word/@:%';
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA public, audit, "Sales Dept" TO app, reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public, audit, "Sales Dept" TO app;
GRANT SELECT ON customers, orders TO reader;
"""
PASSWORD = "pass%20word%2F%40%3A%25"


def read(path):
    with open(path) as f:
        return f.read()


def files(dir):
    return {n: read(os.path.join(dir, n)) for n in sorted(os.listdir(dir)) if os.path.isfile(os.path.join(dir, n))}


def of_owner(report, server):
    """With all rights: it serves as it is."""
    dir = procs.temp_dir("init")
    box = Penstock(None, dir=dir, name="init")
    code, out, err = box.command("init", "--from", "postgres", server.url(), dir)
    report.equal("owner/init", (code, err), (0, ""))
    made = files(dir)
    report.equal("owner/files", sorted(made), ["penstock.yaml", "views.sql"])
    for name in ("public.keyless:", "public.gone:", "public.shapes:"):
        report.check("owner/left/" + name, name in out, out)
    views = made["views.sql"]
    for text in ("-- Left out: column place: type point is not supported", "-- Left out: column twice: it is generated",
                 "ADD PRIMARY KEY", "SET LOGGED", "CREATE INDEX ON orders (customer_id);", "COMMENT ON COLUMN customers.name"):
        report.check("owner/views/" + text[:30], text in views, views)
    report.check("owner/views/no index that the key is", "ON lines" not in views.replace("COMMENT ON", ""), views)
    code, out, err = box.command("init", "--from", "postgres", server.url(), dir)
    report.check("owner/never overwritten", code != 0 and "is there already" in err and files(dir) == made, err)
    # every suggestion is SQL that holds
    joins = re.findall(r"^-- (CREATE VIEW (\S+) AS\n(?:--   .*\n)+)", views, re.M)
    report.equal("owner/joins", len(joins), 4)
    with open(os.path.join(dir, "views.sql"), "a") as f:
        f.write("\n".join(re.sub(r"^-- ", "", j, flags=re.M) for j, _ in joins))
    config = made["penstock.yaml"].replace("127.0.0.1:8443", "127.0.0.1:%d" % box.port)
    config = config.replace("\naccess:", "".join("  %s:\n" % n for _, n in joins) + "\naccess:")
    with open(box.config, "w") as f:
        f.write(config)
    code, out, err = box.command("check", "-c", box.config)
    report.check("owner/check", code == 0, out + err)
    if code:
        return
    box.start()
    get = lambda path: box.client().get(path).json()
    report.equal("owner/customers", get("/api/customers/1"), {"id": 1, "name": "Ada", "feeling": "good", "at": "2026-01-01T00:00:00+00:00"})
    report.equal("owner/order", get("/api/order?select=select"), [{"select": 1}])
    report.equal("owner/odd", get("/api/order/1"), {"select": 1, "Group": "g", 'a "quoted" name': "q", "colon: #yes": "c", "${X}": "x", "end": 10})
    report.equal("owner/schema", get("/api/gr__e_x" if "gr__e_x:" in config else "/api/gr____e_x"), [{"id": 1, "ä": "ö"}])
    report.equal("owner/same name", len(get("/api/audit_customers")), 2)
    report.equal("owner/keyless", get("/api/keyless_full"), [{"a": 1, "b": "x"}] * 2)
    report.equal("owner/partitions", len(get("/api/days")), 2)
    report.equal("owner/true", get("/api/true/1"), {"id": 1})
    report.equal("owner/by index", len(get("/api/orders?customer_id=eq.1")), 1)
    report.equal("owner/join", get("/api/" + joins[-1][1])[0].get("orders_id") is not None or get("/api/" + joins[0][1]) != [], True)
    report.check("owner/comment", "in two lines" in box.client().get("/api/").json()["components"]["schemas"]["customers"]["description"], "")
    c = server.connect()
    c.cursor().execute("UPDATE customers SET name = 'Eve' WHERE id = 1")
    box.wait_answer("/api/customers/1?name=eq.Eve", 10)
    report.check("owner/stop", box.stop() == 0, "")


def of_others(report, server):
    """Without them: server.sql has the statements, the password is nowhere, and after them it serves."""
    drop = "DROP PUBLICATION IF EXISTS penstock"
    server.connect().cursor().execute(drop)
    dir = procs.temp_dir("init")
    box = Penstock(None, dir=dir, name="init-app")
    url = "postgresql://app:%s@127.0.0.1:%d/postgres?sslmode=disable&application_name=x%%20y" % (PASSWORD, server.port)
    code, out, err = box.command("init", "--from=postgres", url, dir)
    report.equal("app/init", (code, err), (0, ""))
    made = files(dir)
    report.equal("app/files", sorted(made), ["penstock.yaml", "server.sql", "views.sql"])
    for text in list(made.values()) + [out, err]:
        report.check("app/no password", "pass word" not in text and PASSWORD not in text, text)
    report.check("app/url", '"postgresql://app@127.0.0.1:%d/postgres?' % server.port in made["penstock.yaml"], made["penstock.yaml"])
    report.check("app/variable", "password: ${POSTGRES_PASSWORD}" in made["penstock.yaml"], made["penstock.yaml"])
    report.check("app/publication", "CREATE PUBLICATION penstock FOR TABLE" in made["server.sql"] and "REPLICATION" not in made["server.sql"], made["server.sql"])
    with open(box.config, "w") as f:
        f.write(made["penstock.yaml"].replace("127.0.0.1:8443", "127.0.0.1:%d" % box.port).replace("slot: penstock", "slot: penstock_app"))
    env = dict(os.environ, POSTGRES_PASSWORD="pass word/@:%")
    server.connect().cursor().execute(made["server.sql"])
    code, out, err = box.command("check", "-c", box.config, env=env)
    report.check("app/check", code == 0, out + err)
    dir = procs.temp_dir("init")
    url = "postgresql://reader@127.0.0.1:%d/postgres?sslmode=disable" % server.port
    code, out, err = box.command("init", "--from", "postgres", url, dir)
    report.equal("reader/init", (code, err), (0, ""))
    sql = files(dir)["server.sql"]
    report.check("reader/role", 'ALTER ROLE "reader" REPLICATION;' in sql, sql)
    report.check("reader/grants", "GRANT SELECT" in files(dir)["views.sql"] and "  customers:\n" in files(dir)["penstock.yaml"], files(dir)["views.sql"])


def wrong(report, server):
    box = Penstock(None, name="init-wrong")
    run = lambda *args: box.command("init", *args)
    code, out, err = run("--from", "mysql", "x")
    report.check("wrong/kind", code == 2 and "expected postgres" in err, err)
    code, out, err = run("--from", "postgres")
    report.check("wrong/no address", code == 2 and "address is missing" in err, err)
    code, out, err = run("--from", "postgres", "postgresql://a:s3cret@[::1/x", "d")
    report.check("wrong/address", code != 0 and "s3cret" not in err + out and not os.path.exists(os.path.join(box.dir, "d")), err)
    code, out, err = run("--from", "postgres", "postgresql://a:s3cret@127.0.0.1:1/x", "d")
    report.check("wrong/away", code != 0 and "s3cret" not in err + out and not os.path.exists(os.path.join(box.dir, "d")), err)
    c = server.connect()
    c.autocommit = True
    c.cursor().execute("CREATE DATABASE empty")
    code, out, err = run("--from", "postgres", server.url().replace("/postgres?", "/empty?") if "?" in server.url() else re.sub("/postgres$", "/empty", server.url()), "d")
    report.check("wrong/empty", code != 0 and "has no tables" in err, err)


def without_logical(report):
    server = pg.Postgres(settings="wal_level = replica\n").start()
    server.connect().cursor().execute("CREATE TABLE t (id int PRIMARY KEY)")
    dir = procs.temp_dir("init")
    code, out, err = Penstock(None, name="init-wal").command("init", "--from", "postgres", server.url(), dir)
    report.equal("wal_level/init", code, 0)
    report.check("wal_level/sql", "ALTER SYSTEM SET wal_level = 'logical';" in files(dir).get("server.sql", ""), out + err)
    server.stop()


def main():
    with Report("test_init", 150) as report:
        server = pg.Postgres(settings="").start()
        server.connect().cursor().execute(SCHEMA)
        report.section("owner", of_owner, report, server)
        report.section("others", of_others, report, server)
        report.section("wrong", wrong, report, server)
        server.stop()
        report.section("wal_level", without_logical, report)


if __name__ == "__main__":
    main()
