#!/usr/bin/python3
"""`penstock verify` finds what is wrong with a store: each planted fault is reported by its name, from a stopped
instance, a running one and a backup; random damage to the files never makes it crash or call a changed store sound."""

import json
import os
import platform
import random
import shutil
import subprocess
import time

from lib import bank, pg, procs
from lib.penstock import Penstock, postgres_config
from lib.report import Report, soak
from lib.watch import wait_visible

SCHEMA = """
CREATE TABLE core.notes (what text, n int);
ALTER TABLE core.notes REPLICA IDENTITY FULL;
INSERT INTO core.notes SELECT 'note ' || i % 40, i % 5 FROM generate_series(1, 2000) i;
CREATE TABLE core.long (name text PRIMARY KEY, d int, j jsonb, a int[]);
INSERT INTO core.long SELECT repeat(chr(97 + i % 26), 700) || i, i % 7, jsonb_build_object('i', i), ARRAY[i, NULL, 3]
  FROM generate_series(1, 400) i;
"""
VIEWS = bank.SQL + """
CREATE VIEW notes AS SELECT what, n FROM core.notes;
CREATE INDEX ON notes (n, what DESC);
CREATE VIEW quotients AS SELECT name, 100 / d AS q, j, a FROM core.long;
CREATE INDEX ON quotients (q DESC);
CREATE INDEX ON quotients (name);
CREATE VIEW recent AS SELECT id, amount FROM core.transfers WHERE at > now() - interval '3 seconds';
CREATE VIEW ranked AS SELECT id, amount, rank() OVER (ORDER BY amount DESC) AS r FROM core.transfers;
CREATE INDEX ON held (balance);
"""
NAMES = bank.NAMES + ["notes", "quotients", "recent", "ranked"]
TABLES = bank.TABLES + ["{ table: core.notes, as: notes }", "{ table: core.long, as: long }"]


def tool():
    path = "build/%s/test/store/damage_store" % platform.machine()
    subprocess.run(["make", "-s", "-C", procs.ROOT, path], check=True, stdout=subprocess.DEVNULL)
    return os.path.join(procs.ROOT, path)


def verify(box, *args, data=None):
    """(exit status, what --json says, standard error)."""
    which = list(args) if args else ["--data", data or box.data]
    code, out, err = box.command("verify", "-c", box.config, "--json", *which)
    try:
        return code, json.loads(out) if out else {}, err
    except ValueError:
        return code, {"text": out}, err


def sound(report, box, name, *args, data=None):
    code, found, err = verify(box, *args, data=data)
    report.check(name, code == 0 and found.get("sound") is True and found["views_compared"] == len(NAMES) and not found["views_skipped"],
                 "exit %d: %s %s" % (code, json.dumps(found)[:1500], err[-300:]))
    return found


# ---- what is right ----

def running(report, server, c, box):
    """Under writes, each time another epoch, all of it sound; the views by the clock too."""
    clients = bank.Clients(server, count=3, pause_s=0.003).start()
    epochs = set()
    for i in range(5):
        epochs.add(sound(report, box, "running/%d" % i)["epoch"])
        time.sleep(0.2)
    clients.stop()
    report.check("running/epochs", len(epochs) > 3, epochs)
    code, out, err = box.command("verify", "-c", box.config, "--data", box.data)
    report.check("running/text", code == 0 and out.rstrip().endswith("sound") and "(running)" in out, out + err)
    dir_ = os.path.join(box.dir, "copy")
    code, out, err = box.command("backup", "-c", box.config, "--data", box.data, dir_)
    report.check("backup/made", code == 0, err)
    found = sound(report, box, "backup/sound", dir_)
    report.check("backup/looked-at", found["kind"] == "backup" and found["rows"] > 1000 and found["index_entries"] > 500 and
                 found["log_entries"] > 100 and found["mirror_rows"] > 1000, found)
    return dir_


def killed(report, server, box):
    """After kill -9 under load shards may be ahead by one: what recovery would choose is looked at, and is sound."""
    clients = bank.Clients(server, count=3).start()
    for i in range(6):
        time.sleep(0.3)
        box.kill_all()
        sound(report, box, "killed/%d" % i)
        box.start()
    clients.stop()


# ---- what is wrong ----

class Damage:
    """Copies of one store, each with one fault."""

    def __init__(self, report, box):
        self.report, self.box, self.tool = report, box, tool()
        with open(os.path.join(box.data, "catalog.json")) as f:
            catalog = json.load(f)
        self.slots = {v["name"]: v["slot"] for v in catalog["views"]}
        self.shards = catalog["shard_count"] if "shard_count" in catalog else box.shards

    def db(self, kind, view, index=None):
        return "%s:%d" % (kind, self.slots[view]) + ("" if index is None else ":%d" % index)

    def run(self, data, *args):
        p = subprocess.run([self.tool, data] + [str(a) for a in args], capture_output=True, text=True, timeout=60)
        if p.returncode:
            raise RuntimeError("damage_store %s: %s" % (args, p.stderr))
        return p.stdout

    def shard_with(self, db, least=2):
        """A shard that has some entries of the database."""
        for shard in range(self.shards):
            if self.entries(self.box.data, shard, db) >= least:
                return shard
        raise RuntimeError("%s has too few entries" % db)

    def entries(self, data, shard, db):
        copy = self.copy("count", data)
        n = len(self.run(copy, shard, "list", db).splitlines())
        shutil.rmtree(copy)
        return n

    def flips_well(self, db):
        """An entry that is still a value after a bit of its last byte was changed: not each number's byte may be any other."""
        for n in range(8):
            data = self.copy("flips")
            self.run(data, self.shard_with(db), "flip", db, n, -1)
            code, found, err = verify(self.box, data=data)
            shutil.rmtree(data)
            if not any("does not decode" in f["text"] for f in found.get("faults", [])):
                return n
        raise RuntimeError("no entry of %s flips well" % db)

    def copy(self, name, data=None):
        to = os.path.join(self.box.dir, "damage", name)
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(data or self.box.data, to, ignore=shutil.ignore_patterns("run"))
        return to

    def expect(self, name, kind, words, data, where=None):
        code, found, err = verify(self.box, data=data)
        faults = found.get("faults", [])
        hit = [f for f in faults if f["kind"] == kind and (where is None or f["where"] == where) and all(w in f["text"] for w in words)]
        self.report.check("found/" + name, code == 1 and found.get("sound") is False and hit,
                          "exit %d: %s %s" % (code, json.dumps(faults)[:900], err[-300:]))
        shutil.rmtree(data, ignore_errors=True)
        return hit

    def plant(self, name, kind, words, verb, db, *args, where=None, shard=None):
        data = self.copy(name)
        self.run(data, self.shard_with(db) if shard is None else shard, verb, db, *args)
        return self.expect(name, kind, words, data, where)


def planted(report, box):
    d = Damage(report, box)
    nothing = d.copy("nothing")
    d.run(nothing, 0, "list", "meta")
    sound(report, box, "planted/nothing", data=nothing)
    d.plant("index-entry-gone", "index", ["has no entry for row"], "del", d.db("i", "held", 0), 1, where="held")
    d.plant("index-entry-gone-counted", "index", ["entries for"], "del", d.db("i", "quotients", 1), -1, where="quotients")
    d.plant("index-entry-moved", "index", ["does not fit"], "rekey", d.db("i", "quotients", 0), 0, where="quotients")
    d.plant("index-leads-elsewhere", "index", ["leads to"], "flip", d.db("i", "held", 0), 0, -1, where="held")
    d.plant("keyless-index-entry-gone", "index", ["has no entry"], "del", d.db("i", "notes", 0), 0, where="notes")
    d.plant("row-changed", "view", ["expected", "found"], "flip", d.db("v", "held"), 0, -1, where="held")
    hit = d.plant("row-gone", "view", ["found none"], "del", d.db("v", "entry_balances"), 0, where="entry_balances")
    report.check("found/row-gone/expected-and-found", hit and "expected" in hit[0] and "found" not in hit[0] and "account_id" in hit[0]["key"], hit)
    d.plant("row-gone-but-indexed", "index", ["leads to no row"], "del", d.db("v", "held"), 0, where="held")
    d.plant("row-under-another-key", "row", ["stands under another key"], "rekey", d.db("v", "credits"), 0, where="credits")
    d.plant("row-does-not-decode", "row", ["does not decode"], "flip", d.db("v", "quotients"), 0, 1, where="quotients")
    d.plant("row-changed-against-log", "log", ["not as the log last wrote it"], "flip", d.db("v", "held"), 0, -1, where="held")
    data = d.copy("two-homes")
    db = d.db("v", "held")
    shard = d.shard_with(db)
    d.run(data, shard, "copy", db, 0, (shard + 1) % d.shards)
    d.expect("row-on-another-shard", "row", ["belongs to shard %d" % shard], data, "held")
    d.plant("keyless-copies", "view", ["copies"], "flip", d.db("v", "notes"), 0, 0, where="notes")
    d.plant("keyless-count", "count", ["are counted"], "flip", "meta", [i for i, line in enumerate(
        d.run(d.copy("meta"), 0, "list", "meta").splitlines()) if bytes.fromhex(line.split()[0]).decode() == "rows:%d" % d.slots["notes"]][0],
        -1, where="notes", shard=0)
    log = d.db("l", "held")
    d.plant("log-entry-gone", "log", ["missing"], "del", log, -2, where="held", shard=d.shard_with(log, 4))
    d.plant("log-entry-broken", "log", ["cannot be read"], "flip", log, 1, 0, where="held", shard=d.shard_with(log, 4))
    d.plant("mirror-row-changed", "view", ["expected"], "flip", "m:core.accounts", d.flips_well("m:core.accounts"), -1, where="held")
    d.plant("mirror-row-gone", "view", ["expected none"], "del", "m:core.accounts", 0, where="held")
    d.plant("mirror-row-moved", "mirror", ["another key"], "rekey", "m:core.transfers", 0, where="core.transfers")
    d.plant("mirror-keyless", "view", ["copies"], "flip", "m:core.notes", 0, 0, where="notes")
    d.plant("mirror-does-not-decode", "mirror", ["does not decode"], "flip", "m:core.long", 0, 1, where="core.long")
    errors = "errors"
    shard = d.shard_with(errors, 3)
    d.plant("error-list", "errors", ["cannot be read"], "flip", errors, 1, 1, shard=shard)
    d.plant("error-total", "errors", ["more rows are listed"], "del", errors, 0, shard=shard)
    d.plant("error-rows", "errors", ["are said to be left out"], "flip", "incomplete", 0, -1, shard=d.shard_with("incomplete", 1), where="quotients")


def outside(report, box, old):
    """Faults that no row tells: an old shard, a lost marker, a catalog that cannot be read."""
    d = Damage(report, box)
    data = d.copy("old-shard")
    shutil.copy(os.path.join(old, "shard-001", "data.mdb"), os.path.join(data, "shard-001", "data.mdb"))
    d.expect("old-shard", "epoch", [], data)
    data = d.copy("swapped")
    a, b = (os.path.join(data, "shard-00%d" % i) for i in (0, 1))
    os.rename(a, a + "x")
    os.rename(b, a)
    os.rename(a + "x", b)
    d.expect("swapped-shards", "row", ["belongs to shard"], data)
    data = d.copy("marker")
    with open(os.path.join(data, "checkpoint"), "r+b") as f:
        f.write(bytes(131072))
    d.expect("marker", "marker", ["damaged"], data)
    data = d.copy("no-marker")
    os.unlink(os.path.join(data, "checkpoint"))
    d.expect("no-marker", "marker", ["missing"], data)
    data = d.copy("catalog")
    with open(os.path.join(data, "catalog.json"), "w") as f:
        f.write("{")
    d.expect("catalog", "file", [], data, "catalog.json")
    data = d.copy("short")
    with open(os.path.join(data, "shard-002", "data.mdb"), "r+b") as f:
        f.truncate(65536)
    d.expect("short-file", "pages", ["last page"], data)


def of_backup(report, box, dir_):
    """A backup's checksum tells that it is damaged, the rest tells where."""
    copy = os.path.join(box.dir, "damage", "backup")
    shutil.copytree(dir_, copy)
    path = os.path.join(copy, "shard-001", "data.mdb")
    with open(path, "r+b") as f:
        f.seek(5 * 4096 + 12)
        f.write(b"\xff\xff")
    code, found, err = verify(box, copy)
    kinds = {f["kind"] for f in found.get("faults", [])}
    report.check("backup/damaged", code == 1 and {"file", "pages"} <= kinds, "exit %d: %s %s" % (code, json.dumps(found)[:600], err))
    code, found, err = verify(box, box.dir)
    report.check("backup/none", code == 1 and "no backup" in err, "exit %d: %s" % (code, err))
    code, out, err = box.command("verify", "-c", os.path.join(box.dir, "absent.yaml"))
    report.check("usage/no-configuration", code != 0 and "absent.yaml" in err, "exit %d: %s" % (code, err))


def used_pages(path):
    """Offsets of the pages that some tree uses: those that say their own number and a kind."""
    with open(path, "rb") as f:
        bytes_ = f.read()
    return [at for at in range(2 * 4096, len(bytes_) - 4095, 4096)
            if int.from_bytes(bytes_[at:at + 8], "little") == at // 4096 and bytes_[at + 10] in (1, 2)]


def flipped(report, box, dir_):
    """Random bits of a backup's shards, whose pages are all in use: never a crash, and never called sound."""
    r = random.Random(3)
    copy = os.path.join(box.dir, "damage", "flipped")
    shutil.copytree(dir_, copy)
    crashed, missed, structural = [], [], 0
    rounds = 400 if soak() else 60
    for i in range(rounds):
        path = os.path.join(copy, "shard-00%d" % r.randrange(3), "data.mdb")
        at = r.choice(used_pages(path)) + (r.randrange(16, 400) if i % 3 else r.randrange(16))
        with open(path, "r+b") as f:
            f.seek(at)
            was = f.read(1)
            f.seek(at)
            f.write(bytes([was[0] ^ 1 << r.randrange(8)]))
        code, found, err = verify(box, copy)
        if code not in (0, 1) or "sound" not in found:
            crashed.append("byte %d of %s: exit %d: %s" % (at, path, code, err[-200:]))
        elif code == 0:
            missed.append("byte %d of %s" % (at, path))
        structural += any(f["kind"] != "file" for f in found.get("faults", []))
        with open(path, "r+b") as f:
            f.seek(at)
            f.write(was)
    report.check("flipped/no-crash", not crashed, "%d of %d: %s" % (len(crashed), rounds, crashed[:3]))
    report.check("flipped/never-sound", not missed, "%d of %d: %s" % (len(missed), rounds, missed[:3]))
    report.check("flipped/found-inside", structural > rounds // 4, "only %d of %d were found by more than the checksum" % (structural, rounds))
    sound(report, box, "flipped/put-back", copy)


def main():
    with Report("test_verify", 280) as report:
        server = pg.Postgres().start()
        c = server.connect()
        bank.create(c)
        pg.script(c, SCHEMA)
        box = Penstock(postgres_config(server, TABLES, ["views.sql"], NAMES), VIEWS, shards=3, name="verify")
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        box.start()
        wait_visible(box, c, 60, "total")
        backup = running(report, server, c, box)
        report.section("killed", killed, report, server, box)
        wait_visible(box, c, 30, "total")
        report.check("clean-stop", box.stop() == 0, "exit status not 0")
        sound(report, box, "stopped")
        report.section("planted", planted, report, box)
        report.section("outside", outside, report, box, backup)
        report.section("backup", of_backup, report, box, backup)
        report.section("flipped", flipped, report, box, backup)


if __name__ == "__main__":
    main()
