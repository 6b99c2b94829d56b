#!/usr/bin/python3
"""The programs under examples/clients, as they are, against an instance of examples/bank: with everyone allowed, and with a
token where nobody is without one."""

import os
import re
import shutil
import subprocess

from lib import client, procs
from lib.penstock import Penstock
from lib.report import Report

CLIENTS = os.path.join(procs.ROOT, "examples", "clients")
PROGRAMS = {"read.sh": ["sh"], "read.mjs": ["node"], "read.py": ["/usr/bin/python3"], "read.go": ["go", "run"]}
OUTPUT = re.compile(r"row 42: (.+)\nbranch 7: 3 richest\nat least: ok\nbatch: (-?0\.00) (-?0\.00)\nlive: 3 changes\n$")


def bank(access):
    with open(os.path.join(procs.ROOT, "examples", "bank", "penstock.yaml")) as f:
        config = f.read().replace("127.0.0.1:8443", "127.0.0.1:{port}")
    assert "access: { anonymous: read }" in config
    box = Penstock(config.replace("access: { anonymous: read }", access), shards=2, name="examples")
    shutil.copy(os.path.join(procs.ROOT, "examples", "bank", "views.sql"), box.dir)
    return box.start()


def filled(box, headers):
    """Row 42 is there and branch 7 has three."""
    get = lambda path: len(box.client().get(path, headers=headers).json())
    return get("/api/balances?account_id=eq.42") == 1 and get("/api/balances?branch=eq.7") >= 3


def run(box, program, token=None, ca=True):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    env["PENSTOCK_URL"] = "https://localhost:%d" % box.port
    if ca:
        env["PENSTOCK_CA"] = env["NODE_EXTRA_CA_CERTS"] = os.path.join(box.data, "tls", "cert.pem")
    if token:
        env["PENSTOCK_TOKEN"] = token
    p = subprocess.run(PROGRAMS[program] + [os.path.join(CLIENTS, program)], capture_output=True, text=True, env=env, timeout=120, cwd=box.dir)
    return p.returncode, p.stdout, p.stderr


def every(report, box, name, token=None):
    owners = set()
    headers = {"Authorization": "Bearer " + token} if token else {}
    client.wait_for(lambda: filled(box, headers), 30, "rows to read")
    for program in PROGRAMS:
        code, out, err = run(box, program, token)
        found = OUTPUT.match(out)
        report.check("%s/%s" % (name, program), code == 0 and found, "%s: %s %s" % (code, out, err[-600:]))
        owners.add(found and found[1])
    report.check(name + "/same", len(owners) == 1, str(owners))


def main():
    with Report("test_examples", 240) as report:
        report.equal("all", sorted(os.listdir(CLIENTS)), sorted(list(PROGRAMS) + ["README.md"]))
        box = bank("access: { anonymous: read }")
        every(report, box, "open")
        code, out, err = run(box, "read.py", ca=False)
        report.check("open/untrusted", code == 0 and OUTPUT.match(out), err[-400:])
        report.check("open/stop", box.stop() == 0, "")
        box = bank("access: { anonymous: none, roles: { app: { balances: read, branches: read, total: read } } }")
        code, out, err = box.command("token", "create", "-c", box.config, "--data", box.data, "--role", "app")
        report.check("token", code == 0, out + err)
        every(report, box, "token", out.strip())
        code, out, err = run(box, "read.py")
        report.check("refused", code != 0 and "401" in err, out + err)
        report.check("token/stop", box.stop() == 0, "")


if __name__ == "__main__":
    main()
