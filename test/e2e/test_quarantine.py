#!/usr/bin/python3
"""Rows that PostgreSQL sends and Penstock cannot read: json nested deeper than the limit, bytes that are no UTF-8 out of an
SQL_ASCII database, in values and in keys. They are left out of the views, which say so, and listed as they were delivered; nothing
waits behind them; they heal when they are changed, and outlive kills, another number of shards, and a backup."""

import json
import os
import time

from lib import pg, procs
from lib.client import Client, wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import wait_visible

DEEP = "(repeat('[', 1500) || repeat(']', 1500))::jsonb"
SCHEMA = """
CREATE TABLE docs (id int PRIMARY KEY, v int, doc jsonb, note text);
ALTER TABLE docs ALTER note SET STORAGE EXTERNAL;
CREATE TABLE bag (n int, doc jsonb);
ALTER TABLE bag REPLICA IDENTITY FULL;
INSERT INTO docs SELECT i, i, '[]', NULL FROM generate_series(1, 20) i;
UPDATE docs SET doc = %s WHERE id IN (3, 4);
INSERT INTO bag VALUES (1, '[]'), (1, '[]'), (1, %s), (1, %s), (2, '{}');
""" % (DEEP, DEEP, DEEP)
VIEWS = """
CREATE VIEW docs AS SELECT id, v, doc, note FROM core.docs;
CREATE VIEW bags AS SELECT n, count(*) AS c FROM core.bag GROUP BY n;
CREATE VIEW total AS SELECT count(*) AS n, sum(v) AS s FROM core.docs;
CREATE VIEW numbers AS SELECT id, v FROM core.docs;
"""
NAMES = ["docs", "bags", "total", "numbers"]


def listed(box, table):
    code, out, err = box.command("errors", "--source", "core." + table, "--json", "-c", box.config, "--data", box.data)
    if code != 0:
        raise RuntimeError("penstock errors --source: %s" % err[-300:])
    return json.loads(out)


def errors_of_view(box, view):
    code, out, err = box.command("errors", view, "--json", "-c", box.config, "--data", box.data)
    if code != 0:
        raise RuntimeError("penstock errors: %s" % err[-300:])
    return json.loads(out)[0]


def get(box, path):
    c = Client(box.port)
    try:
        return c.get(path)
    finally:
        c.close()


def ids(box):
    return sorted(int(r.get("id")) for r in get(box, "/api/docs?select=id").rows())


def expect(report, box, c, name, missing, bad_bag=2, wait=True):
    """docs lacks just these rows, and says so everywhere; bag so many."""
    if wait:
        wait_visible(box, c, 30, "docs")
    there = sorted(r[0] for r in pg.rows(c, "SELECT id FROM docs"))
    report.equal(name + "/rows", ids(box), [i for i in there if i not in missing])
    answer = get(box, "/api/docs?select=id")
    report.equal(name + "/header", answer.headers.get("penstock-incomplete"), str(len(missing)) if missing else None)
    if not missing:
        report.equal(name + "/total", str(list(get(box, "/api/total").rows())[0].get("s")), str(pg.value(c, "SELECT sum(v) FROM docs")))
    found = listed(box, "docs")
    report.equal(name + "/listed", (found["rows"], len(found["errors"])), (len(missing), len(missing)))
    report.equal(name + "/of-view", errors_of_view(box, "docs")["rows"], len(missing))
    source = box.status()["sources"][0]
    report.equal(name + "/status", source["quarantined_rows"], len(missing) + bad_bag)
    report.equal(name + "/bag", listed(box, "bag")["rows"], bad_bag)


def metric(box, name):
    lines = get(box, "/metrics").body.decode().split("\n")
    return [line for line in lines if line.startswith(name)]


def what_is_said(report, box):
    entry = [e for e in listed(box, "docs")["errors"] if e["fields"][1].get("text") == "3"][0]
    report.equal("said/of-snapshot", (entry["operation"], entry["column"], entry["position"].split(" at ")[0]), ("snapshot", "doc", "snapshot"))
    report.check("said/error", len(entry["sqlstate"]) == 5 and entry["message"], json.dumps(entry)[:300])
    report.equal("said/bytes", (entry["fields"][0]["column"], entry["fields"][0]["text"][:3], entry["bytes"] >= 3000), ("doc", "[[[", True))
    code, out, err = box.command("errors", "--source", "core.docs", "-c", box.config, "--data", box.data)
    report.check("said/text", code == 0 and "core.docs: 2 rows cannot be read and are left out" in out and entry["id"] in out, out[:400] + err)
    code, out, err = box.command("errors", "-c", box.config, "--data", box.data)
    report.check("said/pointed-to", "table core.docs: 2 rows cannot be read (penstock errors --source core.docs)" in out, out[-400:] + err)
    report.check("said/metric", 'penstock_source_quarantined_rows{source="core",table="docs"} 2' in metric(box, "penstock_source_quarantined"), metric(box, "penstock_source_quar"))
    report.check("said/log", "a row cannot be read" in box.log_text() and "table=docs" in box.log_text(), box.log_tail())
    admin = get(box, "/admin/sources/core/docs/errors")
    report.equal("said/admin", (admin.json()["rows"], len(admin.json()["errors"])), (2, 2))
    report.equal("said/admin-none", get(box, "/admin/sources/core/nothing/errors").json()["rows"], 0)
    code, out, err = box.command("errors", "--source", "core.nothing", "-c", box.config, "--data", box.data)
    report.check("said/no-such-table", code == 2 and "no view reads a table" in err, "%d %s" % (code, err))


def stream(report, box, c):
    """A transaction with a bad row in its midst: the rest of it is seen, in one epoch."""
    pg.script(c, "BEGIN; INSERT INTO docs VALUES (30, 30, '[1]', repeat('n', 9000)); UPDATE docs SET doc = %s, note = repeat('m', 9000) WHERE id = 5;"
                 "UPDATE docs SET v = 600 WHERE id = 6; COMMIT" % DEEP)
    expect(report, box, c, "stream/one-bad", [3, 4, 5])
    entry = [e for e in listed(box, "docs")["errors"] if e["operation"] == "update"][0]
    report.check("stream/position", "/" in entry["position"] and entry["position"].endswith("#2"), entry["position"])
    report.equal("stream/rest-of-it", [str(r.get("v")) for r in get(box, "/api/docs?id=eq.6").rows()], ["600"])
    pg.script(c, "UPDATE docs SET v = 500 WHERE id = 5")
    expect(report, box, c, "stream/still-bad", [3, 4, 5])
    pg.script(c, "UPDATE docs SET doc = '[5]' WHERE id = 5")  # the note is left out as unchanged
    expect(report, box, c, "stream/healed", [3, 4])
    row = list(get(box, "/api/docs?id=eq.5").rows())[0]
    report.equal("stream/healed-whole", (str(row.get("v")), len(row.get("note"))), ("500", 9000))
    pg.script(c, "UPDATE docs SET id = 40 WHERE id = 3; UPDATE docs SET id = 41, doc = '[]' WHERE id = 4; DELETE FROM docs WHERE id = 7;"
                 "UPDATE docs SET doc = %s WHERE id = 8; DELETE FROM docs WHERE id = 8" % DEEP)
    expect(report, box, c, "stream/keys-move", [40])
    entry = listed(box, "docs")["errors"][0]
    report.equal("stream/value-unknown", (entry["column"], entry["fields"][:3]), ("doc", [
        {"column": "id", "text": "40"}, {"column": "v", "text": "3"}, {"column": "doc", "unchanged": True}]))
    pg.script(c, "INSERT INTO bag VALUES (2, %s); DELETE FROM bag WHERE ctid IN (SELECT ctid FROM bag WHERE doc = %s AND n = 1 LIMIT 1)" % (DEEP, DEEP))
    expect(report, box, c, "stream/bag", [40], 2)
    pg.script(c, "UPDATE bag SET doc = '[]' WHERE doc = %s AND n = 1" % DEEP)
    expect(report, box, c, "stream/bag-healed", [40], 1)
    report.equal("stream/bag-counts", sorted((str(r.get("n")), str(r.get("c"))) for r in get(box, "/api/bags").rows()), [("1", "3"), ("2", "1")])


def kills(report, box, c):
    """kill -9 amid bad and good rows: each is listed once."""
    for i in range(3):
        box.kill("pipeline")
        pg.script(c, "INSERT INTO docs VALUES (%d, 1, %s, NULL), (%d, 2, '[]', NULL); UPDATE docs SET v = v + 1" % (100 + 2 * i, DEEP, 101 + 2 * i))
        box.wait_ready()
    expect(report, box, c, "kill/pipeline", [40, 100, 102, 104], 1)
    box.kill_all()
    box.start()
    expect(report, box, c, "kill/all", [40, 100, 102, 104], 1)
    box.verify(report, "kill/running")


def places(report, box, c):
    """Another number of shards, and a backup put back elsewhere."""
    report.equal("shards/stop", box.stop(), 0)
    box.verify(report, "shards/stopped")
    box.shards = 3
    box.start()
    expect(report, box, c, "shards/three", [40, 100, 102, 104], 1)
    box.verify(report, "shards/three")
    kept = os.path.join(box.dir, "kept")
    code, out, err = box.command("backup", "-c", box.config, "--data", box.data, kept)
    report.equal("backup/made", code, 0, ) if code == 0 else report.fail("backup/made", err)
    box.stop()
    code, out, err = box.command("restore", "-c", box.config, "--data", box.data + "-restored", kept)
    report.check("backup/restored", code == 0, err)
    box.data += "-restored"
    box.start()
    expect(report, box, c, "backup/after", [40, 100, 102, 104], 1)


def forget(report, box, c):
    def command(*args):
        return box.command("errors", "--source", "core.docs", "--forget", *args, "-c", box.config, "--data", box.data)
    one = [e for e in listed(box, "docs")["errors"] if {"column": "id", "text": "100"} in e["fields"]][0]["id"]
    code, out, err = command(one)
    report.check("forget/one", code == 0 and "1 row is forgotten" in out, out + err)
    report.equal("forget/one-less", listed(box, "docs")["rows"], 3)
    code, out, err = command(one)
    report.check("forget/again", code == 1 and "no row with the id" in err, "%d %s" % (code, err))
    code, out, err = command("k12")
    report.check("forget/no-id", code == 2 and "is no row's id" in err, "%d %s" % (code, err))
    code, out, err = command("all")
    report.check("forget/all", code == 0 and "3 rows are forgotten" in out, out + err)
    report.equal("forget/complete", get(box, "/api/docs?select=id").headers.get("penstock-incomplete"), None)
    pg.script(c, "UPDATE docs SET doc = '[]' WHERE id = 100; DELETE FROM docs WHERE id IN (40, 102, 104)")
    expect(report, box, c, "forget/comes-again", [], 1)
    pg.script(c, "UPDATE docs SET doc = %s WHERE id < 10; TRUNCATE docs; TRUNCATE bag; INSERT INTO docs VALUES (1, 1, '[]', NULL)" % DEEP)
    expect(report, box, c, "truncated", [], 0)


def stop_instead(report, server, box, c):
    """on_error: stop: the views of the table stop with the reason and go on serving; mended and applied, they go on."""
    text = open(box.config).read().replace("      slot:", "      on_error: stop\n      slot:")
    with open(box.config, "w") as f:
        f.write(text)
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
    report.check("stop/applied", code == 0, err)
    pg.script(c, "INSERT INTO docs VALUES (2, 2, %s, NULL); INSERT INTO bag VALUES (9, '[]')" % DEEP)
    def view(name):
        return [v for v in box.status()["views"] if v["name"] == name][0]
    wait_for(lambda: view("docs")["state"] == "stopped", 30, "the view to stop")
    report.check("stop/reason", "column doc cannot be read" in view("docs")["error"], view("docs")["error"])
    report.equal("stop/serves", ids(box), [1])
    wait_for(lambda: [r for r in get(box, "/api/bags").rows() if str(r.get("n")) == "9"], 30, "the other table to go on")
    report.equal("stop/nothing-listed", listed(box, "docs")["rows"], 0)
    pg.script(c, "UPDATE docs SET doc = '[]' WHERE id = 2")
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
    report.check("stop/applied-again", code == 0, err)
    wait_for(lambda: get(box, "/api/docs?select=id").status == 200 and ids(box) == [1, 2], 30, "the mended row")
    expect(report, box, c, "stop/mended", [], 0)
    with open(box.config, "w") as f:
        f.write(text.replace("on_error: stop", "quarantine_limit: 2"))
    code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
    report.check("limit/applied", code == 0, err)
    for i in (50, 51):
        pg.script(c, "INSERT INTO docs VALUES (%d, 2, %s, NULL)" % (i, DEEP))
        wait_visible(box, c, 30, "docs")
    expect(report, box, c, "limit/not-yet", [50, 51], 0)
    report.equal("limit/goes-on", view("docs")["state"], "ready")
    pg.script(c, "INSERT INTO docs VALUES (52, 2, %s, NULL)" % DEEP)
    wait_for(lambda: view("docs")["state"] == "stopped", 30, "the view to stop at the limit")
    report.check("limit/reason", "2 rows cannot be read, as many as quarantine_limit allows" in view("docs")["error"], view("docs")["error"])
    box.stop()


ASCII_SCHEMA = r"""
CREATE TABLE names (id int PRIMARY KEY, name text);
CREATE TABLE keyed (code text PRIMARY KEY, n int);
CREATE TABLE docs (id int PRIMARY KEY, v int);
INSERT INTO names VALUES (1, 'good'), (2, E'caf\xe9'), (3, 'fine');
INSERT INTO keyed VALUES ('a', 1), (E'\xff', 2), ('c', 3);
CREATE PUBLICATION penstock FOR ALL TABLES;
"""
ASCII_VIEWS = """CREATE VIEW docs AS SELECT id, name AS v FROM core.names;
CREATE VIEW codes AS SELECT code, n FROM core.keyed;
CREATE VIEW names AS SELECT id FROM core.names;
"""


def ascii(report, server, c):
    """A database that checks no encoding."""
    pg.script(c, "CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0")
    a = server.connect(database="raw")
    a.set_client_encoding("SQL_ASCII")
    pg.script(a, ASCII_SCHEMA)
    text = postgres_config(server, ["names", "keyed"], ["views.sql"], ["docs", "codes", "names"], slot="raw").replace("/postgres?", "/raw?")
    box = Penstock(text, ASCII_VIEWS, name="ascii").start()

    def state():
        wait_visible(box, a, 30, "docs")
        codes = sorted((r.get("code"), str(r.get("n"))) for r in get(box, "/api/codes").rows())
        return ids(box), codes, listed(box, "names")["rows"], listed(box, "keyed")["rows"]

    report.equal("ascii/snapshot", state(), ([1, 3], [("a", "1"), ("c", "3")], 1, 1))
    entry = listed(box, "names")["errors"][0]
    report.equal("ascii/bytes", (entry["sqlstate"], entry["fields"][0]), ("22021", {"column": "name", "hex": "636166e9"}))
    entry = listed(box, "keyed")["errors"][0]
    report.equal("ascii/key", (entry["id"][0], entry["fields"][0]), ("r", {"column": "code", "hex": "ff"}))
    pg.script(a, r"INSERT INTO names VALUES (4, E'\xc3('), (5, 'five'); UPDATE keyed SET n = n + 10; INSERT INTO keyed VALUES (E'\xfe', 4), ('d', 5)")
    report.equal("ascii/stream", state(), ([1, 3, 5], [("a", "11"), ("c", "13"), ("d", "5")], 2, 2))
    box.kill_all()
    box.start()
    report.equal("ascii/killed", state(), ([1, 3, 5], [("a", "11"), ("c", "13"), ("d", "5")], 2, 2))
    pg.script(a, r"UPDATE names SET name = 'cafe' WHERE id = 2; UPDATE keyed SET code = 'b' WHERE code = E'\xff'; UPDATE keyed SET code = E'\xfd' WHERE code = 'c'")
    report.equal("ascii/some-heal", state(), ([1, 2, 3, 5], [("a", "11"), ("b", "12"), ("d", "5")], 1, 2))
    pg.script(a, r"DELETE FROM names WHERE id = 4; DELETE FROM keyed WHERE code = E'\xfe'; UPDATE keyed SET code = 'c' WHERE code = E'\xfd'")
    report.equal("ascii/all-heal", state(), ([1, 2, 3, 5], [("a", "11"), ("b", "12"), ("c", "13"), ("d", "5")], 0, 0))
    pg.script(a, r"ALTER TABLE keyed REPLICA IDENTITY FULL; UPDATE keyed SET code = E'\xfc' WHERE code = 'a'; UPDATE keyed SET n = 99 WHERE code = E'\xfc'")
    report.equal("ascii/full-identity", state(), ([1, 2, 3, 5], [("b", "12"), ("c", "13"), ("d", "5")], 0, 1))
    box.verify(report, "ascii")
    pg.script(a, r"UPDATE keyed SET code = 'a' WHERE n = 99")
    report.equal("ascii/healed-again", state(), ([1, 2, 3, 5], [("a", "99"), ("b", "12"), ("c", "13"), ("d", "5")], 0, 0))
    # Rows whose updates could no longer be told are no matter of one row: the table stops, the other goes on.
    pg.script(a, "ALTER TABLE names REPLICA IDENTITY NOTHING; INSERT INTO names VALUES (8, 'eight'); UPDATE keyed SET n = 6 WHERE code = 'd'")
    def view(name):
        return [v for v in box.status()["views"] if v["name"] == name][0]
    wait_for(lambda: view("docs")["state"] == "stopped", 30, "the table without an identity to stop")
    report.check("ascii/no-identity", "replica identity" in view("docs")["error"], view("docs")["error"])
    wait_for(lambda: ("d", "6") in [(r.get("code"), str(r.get("n"))) for r in get(box, "/api/codes").rows()], 30, "the other table to go on")
    box.stop()
    a.close()


# ---- a pushed row whose bytes in the log do not decode ----

def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def append_record(data, rows):
    """A record of these rows behind the last one of the log of source `events`, as if it had been acknowledged just before the end."""
    folder = os.path.join(data, "ingest", "events")
    name = sorted(os.listdir(folder))[-1]
    content = open(os.path.join(folder, name), "rb").read()
    at, log_id, start = 0, None, int(name.split(".")[0], 16)
    while at + 25 <= len(content) and int.from_bytes(content[at + 8:at + 16], "little") == start + at:
        size = int.from_bytes(content[at:at + 4], "little")
        if content[at + 24] == 1:
            log_id = content[at + 33:at + 41]  # behind the magic
        at += 25 + size
    offset = start + at
    payload = b"\0" + varint(int(time.time() * 1e6)) + varint(0) + varint(len(rows))
    for row in rows:
        payload += b"\0" + varint(len(row)) + row
    size = len(payload).to_bytes(4, "little")
    head = offset.to_bytes(8, "little") + offset.to_bytes(8, "little") + b"\3"
    crc = crc32c(log_id + size + head + payload).to_bytes(4, "little")
    with open(os.path.join(folder, name), "r+b") as f:
        f.seek(at)
        f.write(size + crc + head + payload)
    return offset


def pushed(report):
    config = """penstock: 1
sources: { events: { ingest: { tables: { clicks: { columns: { id: int, n: int }, key: [id] } } } } }
sql: [ views.sql ]
apis: { clicks: }
access: { anonymous: read, ingest: write }
server: { listen: "127.0.0.1:{port}" }
"""
    box = Penstock(config, "CREATE VIEW clicks AS SELECT id, n FROM events.clicks;", name="pushed").start()
    c = Client(box.port)
    answer = c.request("/ingest/events/clicks", {"Content-Type": "application/json"}, "POST", b'[{"id": 1, "n": 5}]')
    report.equal("pushed/taken", answer.status, 201)
    c.close()
    wait_for(lambda: len(list(get(box, "/api/clicks").rows())) == 1, 20, "the pushed row")
    box.stop()
    good = lambda i, n: b"\0" + varint(2 * i) + varint(2 * n)  # no NULLs; zigzag
    offset = append_record(box.data, [good(2, 6), b"\0\xff\xff", good(3, 7)])
    for name in ("first", "again"):
        box.start()
        wait_for(lambda: len(list(get(box, "/api/clicks").rows())) == 3, 20, "the rows beside it")
        answer = get(box, "/api/clicks")
        report.equal("pushed/%s/incomplete" % name, answer.headers.get("penstock-incomplete"), "1")
        code, out, err = box.command("errors", "--source", "events.clicks", "--json", "-c", box.config, "--data", box.data)
        found = json.loads(out)["errors"]
        report.equal("pushed/%s/listed" % name, [(e["position"], e["operation"], e["fields"]) for e in found],
                     [("%d#2" % offset, "insert", [{"column": "row", "hex": "00ffff"}])])
        box.verify(report, "pushed/" + name)
        if name == "first":
            box.kill_all()
    code, out, err = box.command("errors", "--source", "events.clicks", "--forget", found[0]["id"], "-c", box.config, "--data", box.data)
    report.check("pushed/forgotten", code == 0 and get(box, "/api/clicks").headers.get("penstock-incomplete") is None, out + err)
    box.stop()


with Report("test_quarantine", 240) as report:
    server = pg.Postgres().start()
    c = server.connect()
    pg.script(c, SCHEMA)
    pg.script(c, "CREATE PUBLICATION penstock FOR ALL TABLES")
    box = Penstock(postgres_config(server, ["docs", "bag"], ["views.sql"], NAMES).replace(
        "access: { anonymous: read }", "access: { anonymous: read, errors: read }"), VIEWS).start()
    expect(report, box, c, "snapshot", [3, 4])
    what_is_said(report, box)
    stream(report, box, c)
    kills(report, box, c)
    places(report, box, c)
    forget(report, box, c)
    stop_instead(report, server, box, c)
    ascii(report, server, c)
    pushed(report)
