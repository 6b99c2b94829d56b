#!/usr/bin/python3
"""Versions of the contracts: a change that breaks clients is built beside what is served; unpinned paths go over to it, and back,
with no failed request and no mixed answer; pinned paths stay; retiring gives the room back; a kill at any moment leaves one of the
two states."""

import glob
import json
import random
import subprocess
import threading
import time

from lib import procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources: { demo: { generator: { workload: bank, rate: 300, seed: 7 } } }
sql: [ views.sql ]
apis: { %s }
versions: { keep: %d, switch: %s }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
"""
SUMS = "CREATE VIEW sums AS SELECT account_id, count(*) AS n, sum(amount) AS %s FROM demo.entries GROUP BY account_id;\n"
MORE = "CREATE VIEW amounts AS SELECT amount, count(*) AS n FROM demo.entries GROUP BY amount;\n"


class Readers:
    """Clients on keep-alive connections that read one unpinned path as fast as they can."""

    def __init__(self, box, columns, count=6):
        self.box, self.columns = box, columns  # version -> the column that only it has
        self.bad, self.seen, self.lock = [], {}, threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for t in self.threads:
            t.start()

    def _run(self):
        http = self.box.client()
        while not self.stopping.is_set():
            answer = http.request("/api/sums?limit=3")
            version = int(answer.headers.get("penstock-version", "0"))
            wrong = answer.status != 200 or any(self.columns[version] not in row for row in answer.json())
            with self.lock:
                self.seen[version] = self.seen.get(version, 0) + 1
                if wrong:
                    self.bad.append((answer.status, version, answer.body[:100]))
        http.close()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(20)


def write(box, column="s", apis="sums: ", more="", keep=4, switch="auto"):
    box.write_config(CONFIG % (apis, keep, switch), SUMS % column + more)


def run(box, *words):
    return box.command(*words, "-c", box.config, "--data", box.data, timeout_s=60)


def versions(box):
    code, out, err = run(box, "version", "list", "--json")
    return out if code == 0 else err


def settled(box):
    wait_for(lambda: "being built" not in versions(box), 30, "nothing being built", 0.05)


def killed_switches(report, box):
    """The command is killed at any moment of its life: the switch is made or not, and the next one works."""
    made = ended = 0
    for i in range(40):
        want = 1 + i % 2
        command = subprocess.Popen([procs.binary(), "version", "switch", str(want), "-c", box.config, "--data", box.data],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.006))
        ended += command.poll() is not None
        command.kill()
        command.wait()
        code, out, err = run(box, "version", "list", "--json")
        current = [v["version"] for v in json.loads(out)["versions"] if v["state"] == "current"] if code == 0 else err
        if len(current) != 1 or current[0] not in (1, 2):
            report.check("switch/killed", False, "after kill %d: %s" % (i, out + err))
            return
        made += current[0] == want
    report.note("40 switches killed: %d had been made, %d had ended" % (made, ended))
    report.check("switch/killed", 0 < made, "no switch was ever made: this test shows nothing")
    code, out, err = run(box, "version", "switch", "2")
    report.check("switch/after-kills", code == 0, err[-200:])


def breaking(report, box):
    """The change and forty switches, under load."""
    readers = Readers(box, {1: "s", 2: "total"})
    write(box, "total")
    code, out, err = run(box, "check")
    report.check("check/breaking", code == 0 and "contract change: breaking: version 2 is built" in out, out[-400:] + err[-200:])
    serve = box.pid("serve")
    code, out, err = run(box, "apply")
    report.check("apply/done", code == 0, "exit %d: %s" % (code, (out + err)[-400:]))
    for i in range(40):
        code, out, err = run(box, "version", "switch", str(1 + i % 2))
        report.check("switch/%d" % i, code == 0, err[-200:])
    killed_switches(report, box)
    key = str(box.client().request("/api/sums?limit=1").json()[0]["account_id"])
    code, out, err = run(box, "why", "sums", key)
    report.check("switch/why-of-the-current", code == 0 and " total=" in out, out[:200] + err[-200:])
    readers.stop()
    report.check("switch/no-failure-no-mixture", not readers.bad, "%d: %s" % (len(readers.bad), readers.bad[:3]))
    report.check("switch/both-read", min(readers.seen.get(1, 0), readers.seen.get(2, 0)) > 50, str(readers.seen))
    report.note("answers by version: %s" % readers.seen)
    report.equal("switch/same-server", box.pid("serve"), serve)


def batch(report, box):
    """Each read of a batch is of the version that its own path names, whatever came before it."""
    reads = json.dumps([{"path": "/api/v1/sums?limit=1"}, {"path": "/api/sums?limit=1"}, {"path": "/api/v1/sums?limit=1"}])
    answer = box.client().request("/api/$batch", {"Content-Type": "application/json"}, "POST", reads)
    found = [[c for c in ("s", "total") if c in r["body"][0]] for r in answer.json()] if answer.status == 200 else answer.body
    report.equal("batch/versions", found, [["s"], ["total"], ["s"]])


def same_epoch(http):
    for _ in range(500):
        a, b = http.request("/api/v1/sums?select=account_id,n,v:s"), http.request("/api/v2/sums?select=account_id,n,v:total")
        if a.headers["penstock-epoch"] == b.headers["penstock-epoch"]:
            return a.json() == b.json() and len(a.json()) > 0
    return None


def pinned(report, box):
    """Both are kept up to date by one dataflow."""
    http = box.client()
    report.equal("pinned/equal-at-one-epoch", same_epoch(http), True)
    before = sum(row["n"] for row in http.request("/api/v1/sums").json())
    wait_for(lambda: sum(row["n"] for row in http.request("/api/v1/sums").json()) > before, 20, "version 1 to be followed", 0.05)
    report.equal("pinned/openapi", [http.request("/api/v%d/" % n).json()["paths"].keys() == http.request("/api/").json()["paths"].keys() for n in (1, 2)], [True, True])
    report.check("pinned/contracts", b"total" not in http.request("/api/v1/").body and b"total" in http.request("/api/v2/").body, "the documents do not differ")
    report.equal("pinned/unknown", http.request("/api/v9/sums").status, 404)


def live(report, box):
    """A switch starts unpinned live queries over, and no others."""
    run(box, "version", "switch", "2")
    names = {}
    for path in ("/api/sums", "/api/v2/sums"):
        names[path] = []

        def follow(path=path):
            for event in box.events(path, timeout_s=20):
                names[path].append(event[0])
        threading.Thread(target=follow, daemon=True).start()
    wait_for(lambda: all("epoch" in n for n in names.values()), 20, "both to be followed", 0.02)
    run(box, "version", "switch", "1")
    wait_for(lambda: "reset" in names["/api/sums"], 20, "a reset", 0.02)
    count = len(names["/api/v2/sums"])
    wait_for(lambda: len(names["/api/v2/sums"]) > count, 20, "the pinned one to go on", 0.02)
    report.check("live/pinned-goes-on", "reset" not in names["/api/v2/sums"], "it was reset")
    run(box, "version", "switch", "2")


def compatible(report, box):
    """A new api is no new version; what is there stays."""
    readers = Readers(box, {2: "total"}, count=2)
    write(box, "total", "sums: , amounts: ", MORE)
    code, out, err = run(box, "apply")
    report.check("compatible/done", code == 0 and "contract change: compatible" in out, (out + err)[-400:])
    http = box.client()
    answer = http.request("/api/amounts?limit=1")
    report.equal("compatible/served", (answer.status, answer.headers.get("penstock-version")), (200, "2"))
    report.equal("compatible/not-in-version-1", http.request("/api/v1/amounts").status, 404)
    readers.stop()
    report.check("compatible/always-answered", not readers.bad, str(readers.bad[:3]))


def limit(report, box):
    write(box, "amount", "sums: , amounts: ", MORE, keep=2)
    code, out, err = run(box, "apply")
    report.check("keep/refused", code == 2 and "versions.keep" in err and "version retire 1" in err, "exit %d: %s" % (code, err[-300:]))
    write(box, "total", "sums: , amounts: ", MORE)
    code, out, err = run(box, "apply")
    report.check("keep/taken-back", code == 0, err[-300:])


def free_bytes(http):
    return sum(int(float(line.split()[-1])) for line in http.request("/metrics").body.decode().splitlines() if line.startswith("penstock_store_free_bytes{"))


def retire(report, box):
    http = box.client()
    for number, word in (("2", "unpinned paths"), ("9", "no version 9")):
        code, out, err = run(box, "version", "retire", number)
        report.check("retire/%s-refused" % number, code == 1 and word in err, "exit %d: %s" % (code, err))
    run(box, "version", "switch", "1")
    code, out, err = run(box, "version", "retire", "2")
    report.check("retire/newest-refused", code == 1 and "configuration describes" in err, "exit %d: %s" % (code, err))
    run(box, "version", "switch", "2")
    pipeline = box.pid("pipeline")
    code, out, err = run(box, "version", "retire", "1")
    report.check("retire/done", code == 0, err)
    answer = http.request("/api/v1/sums")
    report.check("retire/gone", answer.status == 410 and "retired" in answer.json()["message"] and answer.json()["hint"], answer.body[:200])
    wait_for(lambda: box.pids().get("pipeline") not in (None, pipeline), 30, "the pipeline to let go", 0.02)
    box.wait_answer("/ready", 30)
    report.equal("retire/unpinned", http.request("/api/sums?limit=1").status, 200)
    report.equal("retire/one-left", versions(box).count('"state"'), 1)
    report.check("retire/room", free_bytes(http) > 0, "no free pages")


def slots(box):
    with open(box.data + "/catalog.json") as f:
        return f.read().count('"name": "sums')


def kills(report, box):
    """Killed while a version is built, and while one is retired: it is there whole, or it is not there."""
    number = 2
    for i in range(6):
        column = "k%d" % i
        write(box, column, "sums: , amounts: ", MORE)
        applying = threading.Thread(target=run, args=(box, "apply"))
        applying.start()
        time.sleep(random.uniform(0.05, 0.6))
        box.kill("pipeline")
        http = box.client()
        report.equal("kill-%d/answers" % i, http.request("/api/sums?limit=1").status, 200)
        applying.join(90)
        wait_for(lambda: http.request("/api/sums?limit=1").json()[0].get(column) is not None, 30, "version with %s" % column, 0.05)
        settled(box)
        old = http.request("/api/v%d/sums?limit=1" % number)
        report.equal("kill-%d/old-one-kept" % i, old.status, 200)
        code, out, err = run(box, "version", "retire", str(number))
        time.sleep(random.uniform(0, 0.4))
        box.kill("pipeline")
        report.equal("kill-%d/retired" % i, (code, http.request("/api/v%d/sums" % number).status), (0, 410))
        number += 1
        wait_for(lambda: slots(box) == 1, 30, "the old rows to be gone", 0.05)
        box.wait_answer("/ready", 30)


def manual(report):
    """With switch: manual a new version is served beside the current one until somebody says so, whatever is restarted meanwhile."""
    box = Penstock(CONFIG % ("sums: ", 4, "manual"), SUMS % "s", shards=2, name="manual").start()
    http = box.client()
    wait_for(lambda: http.request("/api/sums?limit=1").status == 200, 30, "the first version", 0.05)
    write(box, "total", switch="manual")
    code, out, err = run(box, "apply")
    report.check("manual/apply", code == 0, "exit %d: %s" % (code, (out + err)[-400:]))
    wait_for(lambda: http.request("/api/v2/sums?limit=1").status == 200, 30, "version 2", 0.05)
    settled(box)
    now = lambda: (http.request("/api/sums?limit=1").headers["penstock-version"], "total" in http.request("/api/v2/sums?limit=1").json()[0])
    report.equal("manual/stays", now(), ("1", True))
    box.stop()
    box.start()
    http = box.client()
    wait_for(lambda: http.request("/api/v2/sums?limit=1").status == 200, 30, "version 2 after a restart", 0.05)
    report.equal("manual/stays-after-a-restart", now(), ("1", True))
    code, out, err = run(box, "version", "switch", "2")
    report.equal("manual/switched", (code, now()), (0, ("2", True)))
    report.check("manual/clean-stop", box.stop() == 0, "exit status not 0")


def lost(report):
    """A kept version whose tables are taken away is served as it is, says so, and stays through a kill."""
    two = CONFIG.replace("seed: 7 } }", "seed: 7 } }, two: { generator: { workload: bank, rate: 300, seed: 8 } }")
    side = SUMS.replace("sums", "side").replace("demo.", "two.") % "s"
    box = Penstock(two % ("sums: , side: ", 4, "auto"), SUMS % "s" + side, shards=2, name="versions-lost")
    box.start()
    write(box, apis="sums: ")
    code, out, err = run(box, "apply")
    report.check("lost/refused", code == 1 and "could no longer be followed" in out and "--breaking" in err, "exit %d: %s" % (code, (out + err)[-300:]))
    code, out, err = run(box, "apply", "--breaking")
    report.check("lost/forced", code == 0, err[-300:])
    box.kill("pipeline")
    box.wait_answer("/ready", 30)
    http = box.client()
    report.equal("lost/served", [http.request(p + "?limit=1").status for p in ("/api/sums", "/api/v1/sums", "/api/v1/side")], [200] * 3)
    wait_for(lambda: {v["name"]: v["state"] for v in box.status()["views"]}.get("side@v1") == "stopped", 20, "the lost view to say so", 0.05)
    report.check("lost/clean-stop", box.stop() == 0, "exit status not 0")


def crashes(box):
    out = []
    for name in glob.glob(box.data + "/crash/*"):
        with open(name, errors="replace") as f:
            out.append(f.read()[:3000])
    return "\n".join(out) or "none"


def main():
    with Report("test_versions", 200) as report:
        box = Penstock(CONFIG % ("sums: ", 4, "auto"), SUMS % "s", shards=2, name="versions")
        report.on_failure.append(lambda: report.note("log: " + box.log_tail(2500)))
        report.on_failure.append(lambda: report.note("crashes: " + crashes(box)))
        box.start()
        http = box.client()
        wait_for(lambda: http.request("/api/sums?limit=1").status == 200, 30, "the first version", 0.05)
        report.equal("first/version", http.request("/api/sums?limit=1").headers["penstock-version"], "1")
        breaking(report, box)
        pinned(report, box)
        batch(report, box)
        live(report, box)
        compatible(report, box)
        limit(report, box)
        retire(report, box)
        kills(report, box)
        box.verify(report, "end")
        report.check("clean-stop", box.stop() == 0, "exit status not 0")
        lost(report)
        manual(report)


if __name__ == "__main__":
    main()
