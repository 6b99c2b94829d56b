#!/usr/bin/python3
"""Processes that die or stand still: what they leave, that they come back, and that readers notice nothing. SOAK=1 kills the
pipeline a hundred times."""

import ctypes
import glob
import os
import re
import signal
import subprocess
import time

from lib import pg, procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report, soak
from lib.watch import Reader
from test_bank_invariant import zero_or_null

KILLS = 100 if soak() else 8
SECRET = "open-sesame-4711"
CONFIG = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: 500, seed: 7, accounts: 40, churn: true }
  other:
    postgres: { url: "%s", password: "${SECRET_OF_SOURCE}", publication: penstock, slot: penstock, tables: [ { table: public.t } ] }
sql:
  - |
    CREATE VIEW total AS SELECT sum(amount) AS total, count(*) AS n FROM demo.entries;
    CREATE VIEW others AS SELECT count(*) AS n FROM other.t;
apis: { total: , others: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}" }
limits: { stuck: 3s }
"""
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000


def reports(box):
    return sorted(glob.glob(os.path.join(box.data, "crash", "*.txt")))


def wait_pid(box, name, old):
    """The process that stands in for `old`."""
    return wait_for(lambda: (lambda p: p if p and p != old else None)(box.pids().get(name)), 30, "another " + name)


def starts(box, process):
    text = box.client().request("/metrics").body.decode()
    return int(re.search(r'^penstock_process_starts_total\{process="%s"\} (\d+)$' % process, text, re.M).group(1))


def frames_of(text):
    """Function names of the frames, by the debug file that lies beside the program."""
    debug = procs.binary() + ".debug"
    addresses = re.findall(r"^  (0x[0-9a-f]+)$", text, re.M)
    out = subprocess.run(["addr2line", "-fe", debug] + addresses, capture_output=True, text=True, check=True).stdout
    return out.split("\n")[0::2]


def crash(report, box, process, name):
    """A fatal signal from outside: a report, and another process, whose views are right again."""
    pid = box.pid(process)
    before, mark, count = reports(box), box.log_mark(), starts(box, process)
    os.kill(pid, signal.SIGSEGV)
    wait_pid(box, process, pid)
    box.wait_ready()
    new = [r for r in reports(box) if r not in before]
    report.equal(name + "/one-report", len(new), 1)
    text = open(new[0]).read()
    report.check(name + "/whole", text.startswith("penstock crash report\nprocess: %s\n" % process) and text.endswith("end of report\n"), text)
    report.check(name + "/who", "\npid: %d\n" % pid in text and "SIGSEGV" in text and re.search(r"\nbuild: [0-9a-f]{40}\n", text), text)
    report.check(name + "/no-secret", SECRET not in text and SECRET not in box.log_text(), "the password stands in the report or the log")
    report.equal(name + "/private", os.stat(new[0]).st_mode & 0o777, 0o600)
    report.check(name + "/told", "report=" + new[0] in box.log_since(mark), box.log_since(mark)[-800:])
    report.equal(name + "/counted", starts(box, process), count + 1)
    return text


def crashes(report, box):
    wait_for(lambda: box.client().list("total").rows(), 20, "rows")
    text = crash(report, box, "pipeline", "pipeline-crash")
    epoch = re.search(r"\nepoch: (\d+)\n", text)
    report.check("pipeline-crash/epoch", epoch and int(epoch.group(1)) > 0 and "\ndurable epoch: " in text, text)
    if os.path.exists(procs.binary() + ".debug"):
        names = frames_of(text)
        report.check("pipeline-crash/frames", "pipeline_failure" in names and "run" in names, names)
    else:
        report.fail("pipeline-crash/frames", "no penstock.debug beside the program")
    crash(report, box, "serve", "serve-crash")


def no_dumps(report, box):
    for name, pid in box.pids().items():
        limits = open("/proc/%d/limits" % pid).read()
        report.check("no-dumps/" + name, re.search(r"^Max core file size +0 +0 ", limits, re.M), limits)


class Held:
    """A thread that a debugger holds: nothing else stops it, and it uses no time of a processor."""
    def __init__(self, pid, name):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        tasks = {t: open("/proc/%d/task/%s/comm" % (pid, t)).read().strip() for t in os.listdir("/proc/%d/task" % pid)}
        self.id = next(int(t) for t, n in tasks.items() if n == name)

    def __enter__(self):
        for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
            if self.libc.ptrace(request, self.id, None, None) != 0:
                raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(self.id, WALL)
        return self

    def __exit__(self, *_):
        self.libc.ptrace(PTRACE_DETACH, self.id, None, None)


def bites(box, what):
    text = box.client().request("/metrics").body.decode()
    return int(re.search(r'^penstock_watchdog_bites_total\{what="%s"\} (\d+)$' % what, text, re.M).group(1))


def stuck(report, box, process, thread, event, which, meanwhile):
    """A process of which a thread stands still leaves a report of that thread and is started anew, and it alone."""
    name = "stuck-" + process
    pids = box.pids()
    before, mark, count = reports(box), box.log_mark(), bites(box, which)
    with Held(pids[process], thread) as held:
        wait_for(lambda: "event=" + event in box.log_since(mark), 40, "the watchdog", 0.1)
        meanwhile()
    wait_pid(box, process, pids[process])
    box.wait_ready()
    new = [r for r in reports(box) if r not in before]
    report.equal(name + "/one-report", len(new), 1)
    text = open(new[0]).read()
    report.check(name + "/thread", "\nthread: %d %s\n" % (held.id, thread) in text and "SIGABRT" in text, text)
    report.check(name + "/which", re.search(r"event=%s .*%s=%s " % (event, which, thread.split()[1]), box.log_since(mark)), box.log_since(mark)[-800:])
    report.equal(name + "/counted", bites(box, which), count + 1)
    now = box.pids()
    report.equal(name + "/alone", [p for p in pids if now.get(p) != pids[p]], [process])


def stuck_ones(report, box):
    def served():
        report.check("stuck-pipeline/served", box.client().list("total").rows(), "no answer while the shard stood")
    stuck(report, box, "pipeline", "shard 1", "shard.stuck", "shard", served)
    stuck(report, box, "serve", "serve 0", "loop.stuck", "loop", lambda: None)
    report.check("stuck-serve/serves", box.client().list("total").rows(), "no answer after that")
    pids = box.pids()
    time.sleep(7)  # more than twice the limit, without much to do
    report.equal("stuck/not-idle-ones", box.pids(), pids)


def kills(report, box):
    """The pipeline is killed again and again as soon as it has come up: every read is answered, and rightly."""
    readers = [Reader(box, {"total": zero_or_null("total")}, pause_s=0.002).start() for _ in range(2)]
    for _ in range(KILLS):
        pid = box.pid("pipeline")
        procs.kill(pid)
        wait_pid(box, "pipeline", pid)
        box.wait_ready()
    for i, reader in enumerate(readers):
        reader.stop()
        reader.report(report, "kills/reader-%d" % i)
    report.note("the pipeline was killed %d times" % KILLS)


with Report("test_supervision.py", 3600 if soak() else 240) as report:
    os.environ["SECRET_OF_SOURCE"] = SECRET
    server = pg.Postgres().start()
    pg.script(server.connect(), "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE PUBLICATION penstock FOR ALL TABLES")
    box = Penstock(CONFIG.replace("%s", server.url()), shards=2, name="supervision").start()
    no_dumps(report, box)
    crashes(report, box)
    stuck_ones(report, box)
    kills(report, box)
    report.check("clean-stop", box.stop() == 0, "exit status not 0")
