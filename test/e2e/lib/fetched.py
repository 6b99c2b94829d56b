"""Clients that others wrote, fetched once with their language's own tool and kept: the tests speak with what users have. Pinned;
one that cannot be had fails the test that needs it."""

import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

CACHE = pathlib.Path(os.environ.get("PENSTOCK_CACHE", pathlib.Path.home() / ".cache" / "penstock")) / "clients"


def _once(name, fill):
    """A directory of that name, filled by fill(directory) the first time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    where = CACHE / name
    with open(CACHE / (name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not where.exists():
            making = CACHE / (name + ".making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            fill(making)
            making.rename(where)
    return where


def _run(command, cwd):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError("cannot fetch a client: %s: %s" % (" ".join(command), done.stdout[-1000:]))


def npm(*packages):
    """NODE_PATH for packages such as "ws@8.18.0"."""
    name = "npm-" + "-".join(p.replace("/", "-").replace("@", "-") for p in packages)
    return str(_once(name, lambda d: _run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(d), *packages], d)) / "node_modules")


def python(*packages):
    """A directory for sys.path with packages such as "websockets==13.1" and what they need."""
    name = "python-%d.%d-" % sys.version_info[:2] + "-".join(p.replace("==", "-") for p in packages)
    return str(_once(name, lambda d: _run([sys.executable, "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check", "--target", str(d), *packages], d)))
