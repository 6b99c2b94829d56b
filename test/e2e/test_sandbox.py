#!/usr/bin/python3
"""What the running processes may do, as the kernel tells it: capabilities, filters, user, environment, open files. What is
refused inside is test/unit/serve/test_confine.c; that everything works confined is every other end-to-end test."""

import ctypes
import glob
import os
import pwd
import re
import signal
import stat

from lib import procs
from lib.client import wait_for
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources:
  demo:
    generator: { workload: bank, rate: 100, seed: 7, accounts: 40 }
  pushed:
    ingest: { token: "a-token-of-twenty-bytes", tables: { t: { columns: { id: bigint }, key: [id] } } }
sql:
  - "CREATE VIEW total AS SELECT count(*) AS n FROM demo.entries;"
apis: { total: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}"%s }
"""
USER = "nobody"


def parts_of_kernel():
    """Landlock's version by its system call; seccomp by this process's own entry."""
    abi = ctypes.CDLL(None).syscall(444, None, 0, 1)
    parts = ["privileges"] + (["files"] if abi >= 2 else []) + (["network"] if abi >= 4 else []) + \
        (["scope"] if abi >= 6 else [])
    return parts + (["calls"] if "Seccomp_filters" in open("/proc/self/status").read() else [])


def threads(pid):
    """The kernel's word on every thread of a process."""
    for path in glob.glob("/proc/%d/task/*/status" % pid):
        with open(path) as f:
            yield dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def check_process(r, name, box, parts, uid=None):
    seen = list(threads(box.pid(name)))
    r.check("%s/threads" % name, len(seen) >= 3, len(seen))
    for t in seen:
        caps = {k: t[k] for k in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
        r.check("%s/%s/capabilities" % (name, t["Name"]), all(int(v, 16) == 0 for v in caps.values()), caps)
        r.check("%s/%s/no-new-privileges" % (name, t["Name"]), t["NoNewPrivs"] == "1", t["NoNewPrivs"])
        r.check("%s/%s/seccomp" % (name, t["Name"]), ("calls" not in parts) or t["Seccomp"] == "2", t["Seccomp"])
        r.check("%s/%s/groups" % (name, t["Name"]), len(t["Groups"].split()) <= (uid is not None), t["Groups"])
        if uid is not None:
            r.check("%s/%s/user" % (name, t["Name"]), t["Uid"].split() == [str(uid)] * 4, t["Uid"])


def environment(pid):
    with open("/proc/%d/environ" % pid, "rb") as f:
        return f.read()


def open_files(pid):
    """Descriptors of a process: (what it is, whether it is open for writing)."""
    for path in glob.glob("/proc/%d/fd/*" % pid):
        try:
            target, mode = os.readlink(path), os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        yield target, bool(mode & stat.S_IWUSR)


def test_processes(r):
    parts = parts_of_kernel()
    box = Penstock(CONFIG % "", name="sandbox").start()
    print("# this kernel has: %s" % ", ".join(parts))
    os.environ["PLANTED_IN_ENVIRONMENT"] = "1"
    for name in ("serve", "pipeline"):
        check_process(r, name, box, parts)
    supervisor = next(threads(box.process.pid))
    r.equal("supervisor/no-new-privileges", supervisor["NoNewPrivs"], "1")
    r.equal("serve/reads", box.client().request("/api/total").status, 200)
    r.equal("serve/environment", environment(box.pid("serve")), b"")
    files = list(open_files(box.pid("serve")))
    inside = [(f, w) for f, w in files if f.startswith(box.data)]
    allowed = re.compile(r"(socket:|anon_inode:|/dev/null|/proc/\d+/(fd|stat|statm)$|%s)" % re.escape(box.dir))
    r.check("serve/files", all(allowed.match(f) for f, _ in files), files)
    r.check("serve/store-read-only", any(f.endswith("/data.mdb") for f, _ in inside)
            and not [f for f, w in inside if w and "/readers/shard-" not in f], inside)
    r.equal("status/confined", box.status()["confined"], {"pipeline": parts, "serve": parts})
    metrics = box.client().request("/metrics").body.decode()
    got = re.findall(r'^penstock_sandbox\{process="serve",part="(\w+)"\} 1$', metrics, re.M)
    r.equal("metrics/parts", got, parts)
    text = box.command("status", "-c", box.config, "--data", box.data)[1]
    r.equal("status/says-what-is-missing", "runs without" in text, len(parts) < 5)
    r.equal("new-store/served", box.client().request("/api/total").status, 200)
    old = box.pid("serve")
    procs.kill(old, signal.SIGKILL)
    wait_for(lambda: box.pids().get("serve") not in (None, old), 20, "another server")
    box.wait_ready()
    check_process(r, "serve", box, parts)
    r.equal("stop", box.stop(), 0)


def world_readable(box):
    """The user must get at the configuration: as in /etc."""
    os.chmod(box.dir, 0o755)
    os.chmod(box.config, 0o644)


def low_port():
    import socket
    for port in range(1023, 600, -1):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def start_as(box, ready_s=30):
    """Made by the program: DATA's parent belongs to root."""
    box.start(ready_s)
    return box


def test_user(r):
    box = Penstock(CONFIG % (", user: %s" % USER), name="user")
    if os.geteuid() != 0:
        code, _, err = box.command("run", "-c", box.config, "--data", box.data)
        return r.check("user/only-root", code == 2 and "only root can become user" in err, err)
    who = pwd.getpwnam(USER)
    box.port = low_port()
    box.write_config(CONFIG % (", user: %s" % USER))
    world_readable(box)
    start_as(box)
    for name in ("serve", "pipeline"):
        check_process(r, name, box, parts_of_kernel(), uid=who.pw_uid)
    supervisor = next(threads(box.process.pid))
    r.equal("user/supervisor", supervisor["Uid"].split(), [str(who.pw_uid)] * 4)
    r.equal("user/supervisor-capabilities", int(supervisor["CapEff"], 16), 1 << 10)
    owners = {os.lstat(os.path.join(d, f)).st_uid for d, _, fs in os.walk(box.data) for f in fs}
    r.equal("user/owner", owners, {who.pw_uid})
    r.equal("user/served", box.client().request("/api/total").status, 200)
    r.equal("user/stop", box.stop(), 0)
    # A data directory of somebody else is not taken over.
    os.chown(box.data, 0, 0)
    code, _, err = box.command("run", "-c", box.config, "--data", box.data)
    r.check("user/other-directory", code == 1 and "chown -R %s" % USER in err, (code, err))
    for user, wrong in (("no-such-user", "there is no user"), ("root", "is root"), ('""', "expected a name")):
        box.write_config(CONFIG % (", user: %s" % user))
        code, _, err = box.command("run", "-c", box.config, "--data", box.data)
        r.check("user/%s" % user, code == 2 and wrong in err, (code, err))


def test_log_file(r):
    """A log that is a file, and longer than what the server may write into any other."""
    box = Penstock(CONFIG % "", name="log")
    with open(box.log, "wb") as f:
        f.truncate(40 << 20)
    os.environ["MIMALLOC_USE_NUMA_NODES"] = "2"  # as on a machine with two: the pipeline's malloc asks the kernel more
    box.start(30)
    del os.environ["MIMALLOC_USE_NUMA_NODES"]
    r.equal("log/served", box.client().request("/api/total").status, 200)
    with open(box.log, "rb") as f:
        f.seek(40 << 20)
        r.check("log/goes-on", b"event=serve.listening" in f.read(), "no line of the server's")
    r.equal("log/stop", box.stop(), 0)


def test_other_port(r):
    """A port that the server could not have is refused before it is given up for; one that it can is taken."""
    import socket
    box = Penstock(CONFIG % "", name="port").start()
    old = box.port
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        box.port = s.getsockname()[1]
        box.write_config(CONFIG % "")
        code, _, err = box.command("apply", "-c", box.config, "--data", box.data)
        r.check("port/in-use", code == 1 and "refused" in err, (code, err))
        r.check("port/said", "server.listen: cannot listen on 127.0.0.1 port %d" % box.port in box.log_text(), box.log_tail())
        new, box.port = box.port, old
        r.equal("port/old-one-served", box.client().request("/api/total").status, 200)
    box.port = new
    code, _, err = box.command("apply", "-c", box.config, "--data", box.data)
    r.check("port/free", code == 0, (code, err))
    wait_for(lambda: box.client().request("/api/total").status == 200, 20, "the new port")
    r.equal("port/stop", box.stop(), 0)


def test_root(r):
    """Root without capabilities cannot write in another's directory: said at the start."""
    if os.geteuid() != 0:
        return
    box = Penstock(CONFIG % "", name="root")
    os.mkdir(box.data, 0o755)
    os.chown(box.data, pwd.getpwnam(USER).pw_uid, -1)
    code, _, err = box.command("run", "-c", box.config, "--data", box.data)
    r.check("root/other-directory", code == 1 and "belongs to user %s" % USER in err and "server.user" in err, (code, err))


def main():
    with Report("test_sandbox.py", 120) as r:
        test_processes(r)
        test_log_file(r)
        test_root(r)
        test_other_port(r)
        test_user(r)


if __name__ == "__main__":
    main()
