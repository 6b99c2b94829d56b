"""Real clients for the tests, from the registries of their languages: pinned, kept under ~/.cache/penstock. One that cannot be had
is a failure of the test that needs it."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

CACHE = os.path.expanduser("~/.cache/penstock/clients")


def _made(kind, pins, make):
    """The directory that make(directory) fills, made once for these pins."""
    name = "%s-%s" % (kind, hashlib.sha256("\n".join(pins).encode()).hexdigest()[:12])
    where = os.path.join(CACHE, name)
    os.makedirs(CACHE, exist_ok=True)
    with open(where + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(where, "done")):
            shutil.rmtree(where, ignore_errors=True)
            os.makedirs(where)
            make(where)
            open(os.path.join(where, "done"), "w").close()
    return where


def _run(argv, cwd):
    p = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=300)
    if p.returncode:
        raise RuntimeError("%s: %s" % (" ".join(argv[:4]), (p.stdout + p.stderr)[-600:]))


def python(pins):
    """Makes packages such as "grpcio==1.70.0" importable in this process."""
    def make(where):
        _run([sys.executable, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", "--target", where] + pins, where)
    sys.path.insert(0, _made("python%d%d" % sys.version_info[:2], pins, make))


def npm(pins):
    """A directory with node_modules of packages such as "@grpc/grpc-js@1.12.5"."""
    def make(where):
        _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", where] + pins, where)
    return _made("npm", pins, make)
