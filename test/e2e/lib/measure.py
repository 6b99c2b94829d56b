"""What an instance takes of its machine, looked at from outside again and again, and whether it is flat."""

import os
import re
import statistics
import struct
import threading
import time

from . import procs

MIB = 1 << 20


def _text(path):
    with open(path) as f:
        return f.read()


def process(pid):
    """Memory in bytes (anonymous: what malloc, stacks and maps of its own hold), descriptors, threads."""
    smaps = _text("/proc/%d/smaps_rollup" % pid)

    def kib(field):
        found = re.search(r"^%s:\s+(\d+) kB" % field, smaps, re.M)
        return int(found.group(1)) << 10
    threads = int(re.search(r"^Threads:\s+(\d+)", _text("/proc/%d/status" % pid), re.M).group(1))
    return {"rss": kib("Rss"), "anon": kib("Anonymous"), "fds": len(os.listdir("/proc/%d/fd" % pid)), "threads": threads}


def tree(path):
    """(bytes, files) below a directory; files may come and go."""
    size = count = 0
    for where, _, files in os.walk(path):
        for name in files:
            try:
                size += os.lstat(os.path.join(where, name)).st_size
                count += 1
            except OSError:
                pass
    return size, count


def lmdb_meta(path):
    """(transaction, pages in use by the newest snapshot's count, pages of the list of free pages), from the newer meta page."""
    best = (0, 0, 0)
    with open(path, "rb") as f:
        for page in (0, 1):
            f.seek(page * 4096)
            b = f.read(4096)
            # Behind the page's header of 16 bytes: magic, version, address, map size, two databases of 48 bytes, last page, id.
            last, txn = struct.unpack_from("<QQ", b, 16 + 24 + 96)
            branch, leaf, overflow = struct.unpack_from("<QQQ", b, 16 + 24 + 8)
            if txn > best[0]:
                best = (txn, last + 1, branch + leaf + overflow)
    return best


def lmdb_readers(path):
    """Taken slots of a lock file's reader table."""
    with open(path, "rb") as f:
        b = f.read()
    return sum(1 for at in range(128, len(b) - 63, 64) if struct.unpack_from("<I", b, at + 8)[0])


def gate_size(data):
    return os.path.getsize(os.path.join(data, "gate"))


def store(data):
    found = {"file": 0, "pages": 0, "free_list": 0, "readers": 0, "txn": 0}
    for name in sorted(os.listdir(data)):
        if not re.fullmatch(r"shard-\d+", name):
            continue
        path = os.path.join(data, name, "data.mdb")
        found["file"] += os.stat(path).st_blocks * 512
        txn, pages, free_list = lmdb_meta(path)
        found["txn"] += txn
        found["pages"] += pages
        found["free_list"] += free_list
        found["readers"] += lmdb_readers(os.path.join(data, "readers", name + ".mdb"))
    return found


def checkpoints(data):
    """How many there have been since the store was made: the sequence number of the newer marker."""
    with open(os.path.join(data, "checkpoint"), "rb") as f:
        b = f.read()
    return max(struct.unpack_from("<Q", b, at + 16)[0] for at in (0, 1 << 16) if len(b) >= at + 24)


class Sampler:
    """Looks every `pause_s` seconds. A sample is a dict of numbers with the time `t` and the ids of the processes."""

    def __init__(self, box, pause_s=0.5):
        self.box, self.pause_s = box, pause_s
        self.samples, self.lost = [], 0
        self.stopping = threading.Event()
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def look(self):
        pids = {"supervisor": self.box.process.pid}
        for pid in procs.descendants(self.box.process.pid):
            args = open("/proc/%d/cmdline" % pid, "rb").read().split(b"\0")
            for name in ("pipeline", "serve"):
                if (name + "-process").encode() in args:
                    pids[name] = pid
        s = {"t": time.monotonic() - self.started, "pids": pids}
        for name in ("supervisor", "pipeline", "serve"):
            for field, n in process(pids[name]).items():
                s[name + "." + field] = n
        for field, n in store(self.box.data).items():
            s["store." + field] = n
        for name in ("ingest", "crash", "run", "tls"):
            size, count = tree(os.path.join(self.box.data, name))
            s[name + ".bytes"], s[name + ".files"] = size, count
        s["checkpoints"] = checkpoints(self.box.data)
        s["top.files"] = len(os.listdir(self.box.data))
        s["log.bytes"] = os.path.getsize(self.box.log)
        return s

    def _run(self):
        while not self.stopping.is_set():
            try:
                self.samples.append(self.look())
            except (OSError, KeyError, AttributeError, IndexError, ValueError):
                self.lost += 1  # a process is just being replaced
            self.stopping.wait(self.pause_s)

    def stop(self):
        self.stopping.set()
        self.thread.join(20)

    def since(self, t, same=None):
        """Samples from a time on; same: only those in which this process is the one of the last sample."""
        found = [s for s in self.samples if s["t"] >= t]
        return [s for s in found if not same or s["pids"].get(same) == found[-1]["pids"].get(same)]


def quartiles(samples, field):
    """Medians of the field over the four quarters of the time, and the most in the second and in the last."""
    first, last = samples[0]["t"], samples[-1]["t"]
    parts = [[], [], [], []]
    for s in samples:
        parts[min(3, int(4 * (s["t"] - first) / (last - first + 1e-9)))].append(s[field])
    return [statistics.median(p) for p in parts], max(parts[1]), max(parts[3])


def number(field, n):
    if field.endswith((".rss", ".anon", ".bytes", ".file")):
        return "%.1f MiB" % (n / MIB)
    return "%d" % n


def table(report, samples, fields):
    report.note("%-22s %12s %12s %12s %12s" % ("", "1st quarter", "2nd", "3rd", "4th"))
    for field in fields:
        medians, _, _ = quartiles(samples, field)
        report.note("%-22s %12s %12s %12s %12s" % tuple([field] + [number(field, m) for m in medians]))


def flat(report, name, samples, field, share=0.0, spare=0):
    """The last quarter's median, and its largest value, exceed the second's by at most this share and spare."""
    medians, most2, most4 = quartiles(samples, field)
    bound = lambda n: n * (1 + share) + spare  # noqa: E731
    report.check("%s/%s" % (name, field), medians[3] <= bound(medians[1]) and most4 <= bound(most2),
                 "grows: medians of the quarters %s; at most %s, then %s" %
                 (", ".join(number(field, m) for m in medians), number(field, most2), number(field, most4)))
