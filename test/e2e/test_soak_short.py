#!/usr/bin/python3
"""What an instance takes of its machine stays flat while everything in it changes: memory, descriptors, threads, readers' slots and
files, under writes at a steady number of rows, clients that come and go, configuration changes, kills, backups.

SOAK=1: as much of it as a box does in a day, as fast as it goes (DAY); SOAK_SECONDS ends it earlier and says how far it came.
SOAK_RATE bounds the transactions a second."""

import glob
import json
import os
import re
import shutil
import time

from lib import canon, churn, measure, pg
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report, soak
from lib.watch import wait_visible

MIB = measure.MIB
# What a box does in 24 hours at 10 transactions a second, a checkpoint a second, a new connection a second (one in ten of which breaks
# off), a live query every 10 s, 20 requests a minute that push rows, and an operator who applies, kills, copies and verifies once an hour.
DAY = {"transactions": 864000, "checkpoints": 86400, "connections": 86400, "live": 8640, "push": 28800, "apply": 24, "kill": 24, "backup": 24, "verify": 24}
SEGMENT = 64 * MIB  # INGEST_SEGMENT_BYTES
LONG = soak()
SECONDS = float(os.environ.get("SOAK_SECONDS", "6000" if LONG else "40"))
DISTURBED = 0.35  # of the time: what starts processes anew. After that they live on, so that what they lose piles up
WARM_S = 60 if LONG else 6
RATE = int(os.environ.get("SOAK_RATE", "1000" if LONG else "400"))

PROCESSES = [p + "." + f for p in ("pipeline", "serve", "supervisor") for f in ("anon", "rss", "fds", "threads")]
STORE = ["store.file", "store.pages", "store.free_list", "store.readers", "ingest.bytes", "ingest.files", "run.files", "crash.files", "tls.files", "top.files", "log.bytes"]


def metrics(box):
    c = box.client()
    text = c.request("/metrics").body.decode()
    c.close()
    found = {}
    for name, n in re.findall(r"^(\w+)(?:\{[^}]*\})? (-?\d+)$", text, re.M):
        found[name] = found.get(name, 0) + int(n)
    return found


class Soak:
    def __init__(self, report):
        self.report = report
        self.server = pg.Postgres(settings="autovacuum_naptime = 1s\n").start()
        self.c = churn.create(self.server)
        self.box = Penstock(churn.config(self.server), churn.views(0), shards=2, name="soak")
        self.box.start()
        self.done = {"apply": 0, "kill": 0, "backup": 0, "verify": 0}
        self.turn = 0
        self.first = {"transactions": self.transactions(), "checkpoints": measure.checkpoints(self.box.data)}
        self.started = time.monotonic()

    def transactions(self):
        return pg.value(self.c, "SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'")

    def elapsed(self):
        return time.monotonic() - self.started

    def counts(self, crowd):
        n = dict(self.done, live=crowd.counts.get("live", 0), push=80 * crowd.counts.get("push", 0))
        n["transactions"] = self.transactions() - self.first["transactions"]
        n["checkpoints"] = measure.checkpoints(self.box.data) - self.first["checkpoints"]
        n["connections"] = sum(crowd.counts.get(k, 0) for k in ("read", "drop", "live", "push"))
        return n

    # ---- what an operator does ----
    def told(self, name, *args):
        code, out, err = self.box.command(args[0], "-c", self.box.config, "--data", self.box.data, *args[1:], timeout_s=300)
        if code != 0 or (name == "verify" and "not compared" in out):
            self.report.fail("%s %d" % (name, self.done[name] + 1), "exit %d: %s" % (code, (out + err)[-600:]))
        self.done[name] += 1

    def apply(self):
        self.turn += 1
        self.box.write_config(churn.config(self.server), churn.views(self.turn))
        self.told("apply", "apply", "--breaking")
        self.box.wait_ready(60)

    def kill(self):
        """Both processes: they come back, and leave nothing."""
        old = self.box.pids()
        self.box.kill("pipeline", "serve")
        for name in ("pipeline", "serve"):
            wait_for(lambda: self.box.pids().get(name, old[name]) != old[name], 60, "another " + name)
        self.box.wait_ready(60)
        left = glob.glob(os.path.join(self.box.data, "run", "**", "*.sock"), recursive=True)
        if len(left) != 2:  # the console's and that of pushed rows
            self.report.fail("kill %d: sockets" % (self.done["kill"] + 1), left)
        self.done["kill"] += 1

    def backup(self):
        to = os.path.join(self.box.dir, "copy")
        self.told("backup", "backup", to)
        shutil.rmtree(to)

    def verify(self):
        self.told("verify", "verify")

    def disturb(self, until):
        """Rounds of all of it, spread over the time; in the long form as many as an hour's each of a day."""
        rounds = DAY["apply"] if LONG else 2
        for i in range(rounds):
            for act in (self.apply, self.kill, self.backup, self.verify):
                act()
            wait_for(lambda: self.elapsed() >= until * (i + 1) / rounds, 1 + max(0, until), "the next round", 0.1)
            if self.elapsed() >= until:
                return


def progress(report, soak_, crowd):
    n = soak_.counts(crowd)
    report.note("%-14s %10s %10s  share" % ("", "in a day", "done"))
    for name, day in DAY.items():
        report.note("%-14s %10d %10d  %.2f" % (name, day, n[name], n[name] / day))
    return n


def all_done(s, crowd):
    n = s.counts(crowd)
    return all(n[name] >= day for name, day in DAY.items())


def check_steady(report, samples):
    """From here on nothing started anew: whatever is lost by a process piles up in it."""
    report.note("steady: %d samples over %.0f s" % (len(samples), samples[-1]["t"] - samples[0]["t"]))
    measure.table(report, samples, PROCESSES + STORE)
    # Resident pages of the mapped files are the file's size, which is looked at by itself.
    # The threads that take pushed rows come to their size one by one.
    measure.flat(report, "steady", samples, "pipeline.anon", 0.02 if LONG else 0.08, (2 if LONG else 4) * MIB)
    measure.flat(report, "steady", samples, "serve.anon", 0.03 if LONG else 0.08, 2 * MIB)
    for field in ("supervisor.anon", "supervisor.rss"):
        measure.flat(report, "steady", samples, field, 0, MIB // 4)
    for name in ("pipeline", "serve", "supervisor"):
        measure.flat(report, "steady", samples, name + ".threads")
    for name in ("pipeline", "serve"):
        measure.flat(report, "steady", samples, name + ".fds", 0, 40)  # as many as there are clients at most
    # What is written while a checkpoint waits for the disk finds no free pages: the file has the size that the longest one made, and
    # on a busy machine a longer one may always come. Pages that are lost altogether are found by verify.
    measure.flat(report, "steady", samples, "store.pages", 0.2 if LONG else 0.8, 4000)
    measure.flat(report, "steady", samples, "store.file", 0.2 if LONG else 0.8, 16 * MIB)
    measure.flat(report, "steady", samples, "store.free_list", 0.5, 64)
    for field in ("store.readers", "run.files", "crash.files", "tls.files", "top.files"):
        measure.flat(report, "steady", samples, field, 0, 4)
    most = max(x["ingest.bytes"] for x in samples)
    report.check("steady/ingest.bytes", most <= 3 * SEGMENT, "%d bytes of the ingest log" % most)


def check_whole(report, samples):
    """Over the starts, too: of the processes that live through them, and of what they leave in the data directory."""
    report.note("with starts: %d samples over %.0f s" % (len(samples), samples[-1]["t"] - samples[0]["t"]))
    measure.table(report, samples, ["serve.anon", "serve.fds", "serve.threads", "supervisor.anon", "supervisor.fds"] + STORE)
    for field in ("serve.threads", "supervisor.threads", "supervisor.fds"):
        measure.flat(report, "whole", samples, field)
    measure.flat(report, "whole", samples, "serve.anon", 0.1, 6 * MIB)
    measure.flat(report, "whole", samples, "supervisor.anon", 0, MIB // 2)
    measure.flat(report, "whole", samples, "store.file", 1, 32 * MIB)
    for field in ("store.readers", "run.files", "tls.files", "top.files"):
        measure.flat(report, "whole", samples, field, 0, 6)
    measure.flat(report, "whole", samples, "crash.files", 0, 0)


def check_end(report, s, crowd, writers, idle):
    """The load is over: what it took comes back (but for what a process opens once, and a connection now and then), and every row is right."""
    writers.stop()
    crowd.stop()
    wait_visible(s.box, s.c, 60, "items")
    c = s.box.client()
    for name in ("items", "groups", "ranked", "common"):
        problem = canon.difference(c.list(name).rows(), canon.view_rows(s.c, name))
        report.check("end/" + name, problem is None, problem)
    c.close()
    sampler = measure.Sampler(s.box, 3600)
    for name in ("serve", "pipeline"):
        got = wait_for(lambda: (lambda n: n if n <= idle[name + ".fds"] + 8 else 0)(sampler.look()[name + ".fds"]), 60, "descriptors of %s as before" % name)
        report.check("end/%s.fds" % name, got, "")
    report.check("end/readers", sampler.look()["store.readers"] <= idle["store.readers"] + 2, sampler.look())
    sampler.stop()
    m = metrics(s.box)
    report.equal("end/live-queries", m["penstock_live_queries"], 0)
    code, out, err = s.box.command("verify", "--json", "-c", s.box.config, "--data", s.box.data, timeout_s=300)
    found = json.loads(out) if code == 0 else {}
    report.check("end/verify", code == 0 and found.get("lost_pages") == 0, "exit %d: %s" % (code, (out + err)[-600:]))


def check_clients(report, crowd):
    """Reads and live queries fail only while processes are replaced; drops and the rest never."""
    for name in ("read", "drop", "live", "push"):
        good, bad = crowd.counts.get(name, 0), crowd.counts.get("failed " + name, 0)
        report.check("clients/" + name, good > 3 and bad <= good * (0.5 if LONG else 0.2) + 20, "%d went well, %d failed: %s" % (good, bad, crowd.problems[-5:]))


def run(report):
    s = Soak(report)
    for statement in churn.views(0).split(";\n"):
        if re.match(r"CREATE VIEW (items|groups|ranked|common) ", statement):
            pg.script(s.c, statement)
    s.box.client().request("/api/items?limit=1")  # the store is opened by the first read
    idle_sampler = measure.Sampler(s.box, 3600)
    idle = idle_sampler.look()
    idle_sampler.stop()
    writers = churn.Writers(s.server, 2, RATE)
    crowd = churn.Crowd(s.box)
    for what, pause_s in (("read", 0), ("read", 0), ("drop", 0.05), ("live", 0), ("live", 0), ("live", 0), ("live", 0), ("push", 0.2)):
        crowd.start(what, pause_s if LONG else pause_s + 0.02)
    sampler = measure.Sampler(s.box, 2 if LONG else 0.4)
    report.section("disturb", s.disturb, SECONDS * DISTURBED)
    calm = time.monotonic() - sampler.started + WARM_S
    while s.elapsed() < SECONDS and not (LONG and all_done(s, crowd)):
        time.sleep(0.5)
        if LONG and int(s.elapsed()) % 300 == 0:
            progress(report, s, crowd)
            time.sleep(0.6)
    sampler.stop()
    n = progress(report, s, crowd)
    if LONG and not os.environ.get("SOAK_SECONDS"):
        report.check("a day", all(n[name] >= day for name, day in DAY.items()), n)
    check_steady(report, sampler.since(calm, "pipeline"))
    check_whole(report, sampler.since(WARM_S))
    check_clients(report, crowd)
    check_end(report, s, crowd, writers, idle)
    s.box.stop()


with Report("test_soak_short", SECONDS + 600 if LONG else 170) as report:
    report.section("soak", run, report)
