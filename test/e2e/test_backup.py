#!/usr/bin/python3
"""Backups of a running instance under writes, restored: every view equals PostgreSQL's, transfers sum to zero, and a
slot that has moved on makes a new snapshot, never a gap. Kills, full disks and damage leave no half backup and no half store."""

import glob
import json
import os
import random
import resource
import signal
import subprocess
import time

from lib import bank, canon, pg, procs
from lib.client import wait_for
from lib.penstock import Penstock, postgres_config
from lib.report import Report
from lib.watch import Reader, compare_views, wait_visible

FILLER = 70000
FILLER_SQL = """CREATE VIEW filler_count AS SELECT count(*) AS n, sum(v) AS s FROM core.filler;
CREATE VIEW filler_rows AS SELECT id, bucket, t FROM core.filler;
"""
NAMES = bank.NAMES + ["filler_count", "filler_rows"]
SQL = bank.SQL + FILLER_SQL + "CREATE INDEX ON filler_rows (bucket, id DESC);\n"
PASSWORD = "sesame-4711-opens"


def config(server):
    text = postgres_config(server, bank.TABLES + ["{ table: core.filler, as: filler }"], ["views.sql"], NAMES)
    return text.replace("      publication:", "      password: %s\n      publication:" % PASSWORD)


def setup():
    server = pg.Postgres(settings="log_statement = 'all'\nlog_replication_commands = on\n").start()
    c = server.connect()
    bank.create(c)
    bank.create_views(c)
    pg.script(c, "CREATE TABLE core.filler (id int PRIMARY KEY, bucket int, v numeric(10,2), t text);"
                 "INSERT INTO core.filler SELECT i, i %% 97, i / 100.0, repeat('x', i %% 700) FROM generate_series(1, %d) i" % FILLER)
    for statement in FILLER_SQL.strip().split("\n"):
        pg.script(c, statement)
    box = Penstock(config(server), SQL, shards=3, name="backup")
    return server, c, box


def copies(server):
    with open(server.log, errors="replace") as f:
        return sum(1 for line in f if "COPY " in line and ("statement:" in line or "execute" in line or "received" in line))


def tell(box, command, *args, data=None):
    return box.command(command, "-c", box.config, "--data", data or box.data, *args)


def manifest(dir_):
    with open(os.path.join(dir_, "manifest.json")) as f:
        return json.load(f)


def restored(box, dir_, name, shards=3):
    """Another instance with the same configuration, its data directory made from the backup."""
    with open(box.config) as f:
        text = f.read().replace("127.0.0.1:%d" % box.port, "127.0.0.1:{port}")
    other = Penstock(text, SQL, shards=shards, name=name)
    code, out, err = tell(other, "restore", dir_)
    if code != 0:
        raise RuntimeError("restore: exit %d: %s" % (code, err))
    return other


def backup(report, box, dir_, name, *args):
    code, out, err = tell(box, "backup", *args, dir_)
    report.check(name, code == 0 and out.startswith("backup ") and os.path.isdir(dir_), "exit %d: %s%s" % (code, out, err))
    report.check(name + "/nothing-left", not os.path.exists(dir_ + ".tmp"), "%s.tmp is left" % dir_)


# ---- under load ----

def under_load(report, server, c, box):
    """Backups while four clients write and readers look: none of them is disturbed."""
    clients = bank.Clients(server, pause_s=0.002).start()
    reader = Reader(box, {n: bank.INVARIANTS[n] for n in ("total", "mismatches", "entry_total")}, pause_s=0.005).start()
    dirs = [os.path.join(box.dir, "load%d" % i) for i in range(3)]
    for i, d in enumerate(dirs):
        backup(report, box, d, "load/backup%d" % i)
        time.sleep(0.3)
    m = [manifest(d) for d in dirs]
    report.check("load/epochs-ascend", m[0]["epoch"] < m[1]["epoch"] < m[2]["epoch"], [x["epoch"] for x in m])
    report.check("load/manifest", m[0]["shards"] == 3 and m[0]["sources"][0]["name"] == "core" and "/" in m[0]["sources"][0]["position"], m[0])
    code, out, err = tell(box, "backup", dirs[0])
    report.check("load/never-over-another", code == 1 and "exists" in err and "hint" in err, "exit %d: %s" % (code, err))
    clients.stop()
    reader.stop()
    reader.report(report, "load/reader")
    report.check("load/writers", not clients.errors, clients.errors)
    held = b"".join(open(p, "rb").read() for d in dirs for p in glob.glob(d + "/**/*", recursive=True) if os.path.isfile(p))
    report.check("load/no-secrets", PASSWORD.encode() not in held, "the password stands in a backup")
    return dirs


def standing(report, server, box, dir_, name):
    """What a restored store shows before any source has been asked: one moment of the bank, whole."""
    other = restored(box, dir_, name)
    with open(other.config) as f:
        text = f.read()
    server.stop()
    try:
        other.start(ready_s=0)
        other.wait_answer("/api/total", 20)
        http = other.client()
        for n, check in bank.INVARIANTS.items():
            problem = check(http.list(n).rows())
            report.check("%s/%s" % (name, n), problem is None, problem)
        count = http.list("filler_count").rows()
        report.check(name + "/filler", next(iter(count)).get("n") == canon.Number(str(FILLER)), count)
        other.stop()
        other.verify(report, name)
    finally:
        server.start()
    return text


# ---- positions ----

def replayed(report, server, box):
    """Of a stopped instance: the slot still holds what came since, and nothing is read anew; with other shards too."""
    c = server.connect()
    report.check("replay/clean-stop", box.stop() == 0, "exit status not 0")
    dir_ = os.path.join(box.dir, "stopped")
    backup(report, box, dir_, "replay/backup-of-a-stopped-one")
    clients = bank.Clients(server, count=2).start()
    time.sleep(0.7)
    clients.stop()
    pg.script(c, "UPDATE core.filler SET bucket = bucket + 1000 WHERE id % 501 = 0; DELETE FROM core.filler WHERE id % 777 = 0")
    before = copies(server)
    for shards in (5, 3, 1):
        name = "replay/shards%d" % shards
        other = restored(box, dir_, "restored", shards)
        other.verify(report, name + "/restored")
        if shards != 5:  # the slot is at the end of the first one's log now: what came since makes a snapshot
            other.start(ready_s=0)
            wait_visible(other, c, 40, "total")
            compare_views(report, other, c, bank.NAMES + ["filler_count"], name)
            report.check(name + "/clean-stop", other.stop() == 0, "exit status not 0")
            continue
        other.start(ready_s=0)
        wait_visible(other, c, 40, "total")
        compare_views(report, other, c, NAMES, name)
        report.equal(name + "/no-new-snapshot", copies(server), before)
        other.verify(report, name)
        report.check(name + "/clean-stop", other.stop() == 0, "exit status not 0")


def moved_on(report, server, c, box):
    """The slot was confirmed past the backup's position: PostgreSQL would skip the changes between without a word."""
    dir_ = os.path.join(box.dir, "old")
    box.start()
    wait_visible(box, c, 40, "total")
    backup(report, box, dir_, "moved/backup")
    position = pg.lsn_number(manifest(dir_)["sources"][0]["position"])
    clients = bank.Clients(server, count=2).start()
    time.sleep(1)
    clients.stop()
    pg.script(c, "DELETE FROM core.filler WHERE id % 11 = 0; CHECKPOINT")

    def confirmed():
        return pg.lsn_number(pg.value(c, "SELECT confirmed_flush_lsn::text FROM pg_replication_slots"))
    end = pg.lsn_number(pg.lsn(c))
    wait_for(lambda: confirmed() >= end, 30, "the slot to be confirmed", 0.1)
    report.check("moved/clean-stop", box.stop() == 0, "exit status not 0")
    report.check("moved/slot-is-past-the-backup", confirmed() > position, "%d, backup at %d" % (confirmed(), position))
    before = copies(server)
    other = restored(box, dir_, "moved")
    watched = {n: bank.INVARIANTS[n] for n in ("total", "mismatches", "held_total")}
    reader = Reader(other, watched, pause_s=0.002)
    reader.may_fail.set()
    other.start(ready_s=0)
    reader.start()
    other.wait_ready(60)
    wait_visible(other, c, 40, "total")
    reader.stop()
    report.check("moved/never-half", not reader.failures, "; ".join(reader.failures[:3]))
    compare_views(report, other, c, NAMES, "moved")
    other.verify(report, "moved")
    report.check("moved/said", "moved on past the position" in other.log_text(), other.log_tail())
    report.check("moved/new-snapshot", copies(server) > before, "no table was read anew")
    report.check("moved/clean-stop-restored", other.stop() == 0, "exit status not 0")


# ---- interruptions ----

def start_backup(box, dir_):
    return procs.start([procs.binary(), "backup", "-c", box.config, "--data", box.data, dir_], box.log + ".backup", cwd=box.dir)


def killed(report, box):
    """kill -9 at any moment: no DIR, or a whole one; what is left as DIR.tmp the next one removes."""
    r = random.Random(11)
    dir_ = os.path.join(box.dir, "killed")
    began = time.monotonic()
    backup(report, box, dir_ + ".first", "killed/first")
    whole_s = time.monotonic() - began
    left = 0
    for i in range(12):
        p = start_backup(box, dir_)
        time.sleep(whole_s * r.random())
        procs.kill(p.pid)
        p.wait(10)
        left += os.path.exists(dir_ + ".tmp")
        if os.path.exists(dir_):
            code, out, err = tell(box, "restore", dir_, data=os.path.join(box.dir, "killed-data%d" % i))
            report.check("killed/%d/whole" % i, code == 0, err)
            os.rename(dir_, dir_ + ".whole%d" % i)
    report.check("killed/amid", left > 0, "no kill met a backup under way: this test shows nothing")
    report.check("killed/serves-on", box.client().request("/ready").status == 200, "not ready")
    code, out, err = tell(box, "backup", dir_)
    report.check("killed/next", code == 0 and not os.path.exists(dir_ + ".tmp"), err)
    report.check("killed/said", "interrupted" in err or not left, err)
    os.makedirs(dir_ + ".x.tmp/mine")
    code, out, err = tell(box, "backup", dir_ + ".x")
    report.check("killed/foreign-is-left-alone", code == 1 and "mine" in err and os.path.isdir(dir_ + ".x.tmp/mine"), "exit %d: %s" % (code, err))


def caught(box, dir_):
    """A backup stopped (SIGSTOP) while it holds a snapshot."""
    for _ in range(200):
        p = start_backup(box, dir_)
        try:
            wait_for(lambda: os.path.exists(dir_ + ".tmp/shard-000/data.mdb") or p.poll() is not None, 10, "a shard's copy", 0.0005)
        except TimeoutError:
            pass
        procs.kill(p.pid, signal.SIGSTOP)
        if p.poll() is None and os.path.exists(dir_ + ".tmp/shard-000") and not os.path.exists(dir_ + ".tmp/checkpoint"):
            return p
        procs.kill(p.pid, signal.SIGCONT)
        p.wait(20)
        if os.path.isdir(dir_):
            os.rename(dir_, "%s.%d" % (dir_, p.pid))
    raise RuntimeError("no backup could be caught amid its copy")


def pipeline_restarts(report, box, c):
    """The pipeline dies while a backup holds a snapshot: the backup begins again; one that hangs is not waited for."""
    dir_ = os.path.join(box.dir, "amid")
    p = caught(box, dir_)
    box.kill("pipeline")
    procs.kill(p.pid, signal.SIGCONT)
    report.check("amid/backup", p.wait(60) == 0 and os.path.isdir(dir_), open(box.log + ".backup").read()[-500:])
    box.wait_ready(30)
    p = caught(box, dir_ + "2")
    box.kill("pipeline")
    box.wait_ready(30)
    wait_visible(box, c, 30, "total")
    report.ok("amid/a-hanging-backup-is-not-waited-for")
    report.check("amid/it-was-ended", p.wait(10) != 0 and not os.path.exists(dir_ + "2"), "exit %s" % p.returncode)
    backup(report, box, dir_ + "2", "amid/next")


def small_file_limit():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))


def no_room(report, box):
    """Too little room is seen before; a disk that fills up meanwhile ends the backup and leaves nothing."""
    target = os.path.join(box.dir, "small")
    os.makedirs(target)
    script = ("mount -t tmpfs -o size=6m tmpfs %s && '%s' backup -c %s --data %s %s/b; echo status $?; ls -A %s" %
              (target, procs.binary(), box.config, box.data, target, target))
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    p = subprocess.run(unshare + ["sh", "-c", script], capture_output=True, text=True, timeout=60)
    report.check("no-room/before", "status 1" in p.stdout and "are needed" in p.stderr, p.stdout + p.stderr)
    report.check("no-room/nothing-left", p.stdout.strip().endswith("status 1"), p.stdout)
    dir_ = os.path.join(box.dir, "limited")
    p = subprocess.run([procs.binary(), "backup", "-c", box.config, "--data", box.data, dir_], capture_output=True,
                       text=True, timeout=60, preexec_fn=small_file_limit)
    report.check("no-room/meanwhile", p.returncode == 1 and "copying shard" in p.stderr, "exit %d: %s" % (p.returncode, p.stderr))
    left = [n for n in (dir_, dir_ + ".tmp") if os.path.exists(n)]
    report.check("no-room/meanwhile-nothing-left", not left, left)
    report.check("no-room/serves-on", box.client().request("/ready").status == 200, "not ready")


def time_out(report, box):
    """A snapshot is not held for ever."""
    dir_ = os.path.join(box.dir, "late")
    for _ in range(20):
        p = subprocess.Popen([procs.binary(), "backup", "-c", box.config, "--data", box.data, "--timeout", "1", dir_],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=procs.die_with_parent)
        wait_for(lambda: os.path.exists(dir_ + ".tmp/shard-000/data.mdb") or p.poll() is not None, 10, "a shard's copy", 0.0005)
        procs.kill(p.pid, signal.SIGSTOP)
        time.sleep(1.3)
        procs.kill(p.pid, signal.SIGCONT)
        out, err = p.communicate(timeout=30)
        if p.returncode:
            break
        os.rename(dir_, "%s.%d" % (dir_, p.pid))
    report.check("time-out/told", p.returncode == 1 and "within 1 s" in err and "--timeout" in err, "exit %d: %s" % (p.returncode, err))
    report.check("time-out/nothing-left", not os.path.exists(dir_) and not os.path.exists(dir_ + ".tmp"), "something is left")


# ---- restore ----

def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x10]))


def refusals(report, box, dir_):
    code, out, err = tell(box, "restore", dir_)
    report.check("refused/running", code == 1 and "running" in err, "exit %d: %s" % (code, err))
    taken = os.path.join(box.dir, "taken")
    os.makedirs(taken)
    open(os.path.join(taken, "note"), "w").close()
    code, out, err = tell(box, "restore", dir_, data=taken)
    report.check("refused/not-empty", code == 1 and "not empty" in err and os.listdir(taken) == ["note"], "exit %d: %s" % (code, err))
    code, out, err = tell(box, "restore", box.dir, data=os.path.join(box.dir, "new"))
    report.check("refused/no-backup", code == 1 and "no backup" in err, "exit %d: %s" % (code, err))
    code, out, err = box.command("restore", "-c", box.config)
    report.check("refused/no-name", code == 2, "exit %d: %s" % (code, err))
    for name, at in (("shard-001/data.mdb", 100000), ("catalog.json", 50), ("manifest.json", 40), ("checkpoint", 30)):
        flip(os.path.join(dir_, name), at)
        data = os.path.join(box.dir, "new")
        code, out, err = tell(box, "restore", dir_, data=data)
        report.check("refused/damaged/" + name, code == 1 and name in err and "damaged" in err, "exit %d: %s" % (code, err))
        report.check("refused/damaged/%s/nothing-written" % name, not os.path.exists(data) or not os.listdir(data), "something was written")
        flip(os.path.join(dir_, name), at)
    os.rename(dir_ + "/tables.json", dir_ + "/away")
    code, out, err = tell(box, "restore", dir_, data=data)
    report.check("refused/missing", code == 1 and "tables.json is missing" in err, "exit %d: %s" % (code, err))
    os.rename(dir_ + "/away", dir_ + "/tables.json")


def killed_restore(report, box, dir_):
    """kill -9 of a restore: `run` refuses what is there, and another restore makes it whole."""
    r = random.Random(5)
    data = os.path.join(box.dir, "half")
    argv = [procs.binary(), "restore", "-c", box.config, "--data", data, dir_]
    began = time.monotonic()
    code, out, err = tell(box, "restore", dir_, data=data + ".first")
    whole_s, met = time.monotonic() - began, 0
    report.check("half/first", code == 0, err)
    for i in range(12):
        p = procs.start(argv, box.log + ".restore", cwd=box.dir)
        time.sleep(whole_s * r.random())
        procs.kill(p.pid)
        if p.wait(10) == 0:
            os.rename(data, "%s.whole%d" % (data, i))
        elif os.path.exists(data + "/restoring"):
            met += 1
            code, out, err = tell(box, "run", data=data)
            report.check("half/%d/run-refuses" % i, code == 1 and "restore" in err, "exit %d: %s" % (code, err))
    report.check("half/amid", met > 0, "no kill met a restore under way: this test shows nothing")
    code, out, err = tell(box, "restore", dir_, data=data)
    report.check("half/again", code == 0 and not os.path.exists(data + "/restoring"), "exit %d: %s" % (code, err))


def main():
    with Report("test_backup", 280) as report:
        server, c, box = setup()
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        box.start()
        wait_visible(box, c, 60, "total")
        dirs = under_load(report, server, c, box)
        report.section("killed", killed, report, box)
        report.section("amid", pipeline_restarts, report, box, c)
        report.section("no-room", no_room, report, box)
        report.section("time-out", time_out, report, box)
        report.section("refused", refusals, report, box, dirs[0])
        report.section("half", killed_restore, report, box, dirs[0])
        report.section("replay", replayed, report, server, box)
        report.section("moved", moved_on, report, server, c, box)
        c.close()
        for i in (0, 2):
            report.section("standing", standing, report, server, box, dirs[i], "standing%d" % i)


if __name__ == "__main__":
    main()
