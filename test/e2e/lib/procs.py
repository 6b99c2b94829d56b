"""Processes that a test starts, and their end.

The test process makes itself a subreaper: whatever its children leave behind becomes its own child again, so that
every process that came from this test, and no other, can be found in /proc and ended by its id."""

import atexit
import ctypes
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
_dirs = []
_done = False
KEEP = os.environ.get("KEEP", "") not in ("", "0")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def binary():
    """The program under test: $PENSTOCK, else the build for this machine."""
    return os.environ.get("PENSTOCK") or os.path.join(ROOT, "build", platform.machine(), "penstock")


def setup():
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    atexit.register(end_all)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, frame: (end_all(), os._exit(1)))


def die_with_parent():
    """For preexec_fn: the child is killed when this thread ends, even by kill -9."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(argv, log, user=None, env=None, cwd=None):
    """Starts a program with its output appended to the file `log`; call from the main thread."""
    with open(log, "ab") as out:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env,
                                cwd=cwd, user=user, group=_group(user), extra_groups=[] if user else None,
                                preexec_fn=die_with_parent)


def _group(user):
    if user is None:
        return None
    import pwd
    return pwd.getpwnam(user).pw_gid


def temp_dir(prefix):
    path = tempfile.mkdtemp(prefix="penstock-%s-" % prefix)
    os.chmod(path, 0o755)
    _dirs.append(path)
    return path


def parents():
    """pid -> parent of every process that is not a zombie."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(name)] = int(fields[1])
    return found


def descendants(of=None):
    """Ids of all living processes that come from `of` (default: this process), nearest first."""
    tree = parents()
    known = [of or os.getpid()]
    for pid in known:
        known.extend(p for p, parent in tree.items() if parent == pid)
    return known[1:]


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def reap():
    """Takes the exit status of orphans that were handed to us; children known to subprocess are left to it."""
    try:
        while True:
            known = {p.pid for p in subprocess._active}  # noqa: only to be polite to the subprocess module
            info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if info is None or info.si_pid in known:
                return
            os.waitpid(info.si_pid, os.WNOHANG)
    except (ChildProcessError, OSError):
        return


def end_all():
    global _done
    if _done:
        return
    _done = True
    for round_ in range(5):
        left = descendants()
        if not left:
            break
        for pid in left:
            kill(pid)
        time.sleep(0.05)
    for path in _dirs:
        if KEEP:
            print("# kept " + path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    sys.stdout.flush()


def cpu_seconds(pid):
    """User plus system time of a process, with all its threads."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
