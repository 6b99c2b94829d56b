#!/usr/bin/python3
"""Support bundles without secrets, and backups over SSH's standard streams: put back, they are the store again; what is cut off, altered
or no backup leaves the store as it is. The shell and commands are real, PID 1 is a stand-in (lib/box.py)."""

import io
import json
import os
import signal
import subprocess
import tarfile
import time

from lib import procs
from lib.box import VIEWS, Box
from lib.client import wait_for
from lib.report import Report

SECRETS = {"url": "sesame-4711", "conninfo": "xyzzy-opens", "file": "plugh-in-a-file", "claim": "7K3M-Q9TX", "hash": "cGJrZGYyLXNhbHQ",
           "token": "pst_" + "Q" * 43, "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "pem": "MHcCAQEEIBsecretsecretsecret",
           "key-file": "b3BlbnNzaC1rZXktdjEAAAAA", "comment": "the-old-one-was-plover", "previous": "frotz-before"}


def members(content):
    with tarfile.open(fileobj=io.BytesIO(content)) as t:
        return {m.name: t.extractfile(m).read() for m in t.getmembers() if m.isfile()}


def run(box, command, stdin=b"", seconds=60):
    p = subprocess.run([procs.binary(), "shell", "--control", box.path("run/box/control"), "-c", command], input=stdin,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
    return p.returncode, p.stdout, p.stderr.decode(errors="replace")


def plant(box):
    """Secrets wherever a box may have some."""
    box.write("data/box/secret", SECRETS["file"] + "\n")
    config = """# %(comment)s
penstock: 1
sources:
  core:
    postgres:
      url: postgresql://ann:%(url)s@192.0.2.1/x
      password: ${file:%(path)s}
      tables: [ a ]
  other: { postgres: { url: "host=192.0.2.1 user=x password=%(conninfo)s", tables: [ b ] } }
sql: [ views.sql ]
""" % dict(SECRETS, path=box.path("data/box/secret"))
    box.write("data/config/current/penstock.yaml", config)
    box.write("data/config/current/views.sql", "CREATE VIEW a AS SELECT 'dblink password=%(conninfo)s' FROM core.a;\n" % SECRETS)
    box.write("data/config/current/key.pem", "-----BEGIN PRIVATE KEY-----\n%(pem)s\n-----END PRIVATE KEY-----\n" % SECRETS)
    box.write("data/config/previous/penstock.yaml", "penstock: 1\nsources: { p: { postgres: { url: 'postgresql://a:%(previous)s@h/x' } } }\n" % SECRETS)
    box.write("data/box/claim", SECRETS["claim"] + "\n")
    box.write("data/box/admin.json", json.dumps({"hash": SECRETS["hash"], "rounds": 210000}))
    box.write("data/box/box.yaml", "box: 1\nhostname: edge-17\n")
    box.write("data/box/dropbear_ed25519_host_key", SECRETS["key-file"])
    box.write("run/box/health.json", json.dumps({"ok": False, "checks": [{"name": "init", "ok": True, "detail": "claim code " + SECRETS["claim"]}]}))
    lines = ["2026-11-28T05:00:0%d.000Z penstock %s" % (i % 10, text) for i, text in enumerate(
        ["a line to be found", "cannot connect to postgresql://ann:%(url)s@192.0.2.1/x", "tried password=%(conninfo)s", "read %(file)s",
         "claim code %(claim)s", "Authorization: Bearer %(jwt)s", "token %(token)s", "%(previous)s"])]
    box.write("data/log/box.log", "\n".join(lines) % SECRETS + "\n")
    box.write("data/store/crash/pipeline.txt", "signal 11\npassword=%(conninfo)s\n" % SECRETS)


def support(t, box):
    plant(box)
    code, out, err = run(box, "support-bundle")
    t.check("bundle", code == 0 and not err, (code, err))
    found = members(out)
    for name in ("status.json", "run/health.json", "box.yaml", "configuration/current/penstock.yaml", "configuration/current/views.sql",
                 "configuration/current/files.txt", "configuration/previous/penstock.yaml", "log/box.log", "kernel/cmdline", "kernel/meminfo",
                 "crash/pipeline.txt", "version.txt", "notes.txt"):
        t.check("has/" + name, "support/" + name in found, sorted(found))
    t.check("no-other-file", not [n for n in found if "key" in n or "admin" in n or "claim" in n or n.endswith(".pem")], sorted(found))
    for name, secret in SECRETS.items():
        holders = [n for n, content in found.items() if secret.encode() in content]
        t.check("no-secret/" + name, not holders, holders)
    t.check("and-the-rest-is-there", b"a line to be found" in found["support/log/box.log"] and b"192.0.2.1" in found["support/configuration/current/penstock.yaml"]
            and b"key.pem" in found["support/configuration/current/files.txt"] and b"signal 11" in found["support/crash/pipeline.txt"]
            and json.loads(found["support/status.json"])["box"]["health"]["ok"] is False)
    box.write("data/config/current/penstock.yaml", "sources: [ broken %(url)s\n" % SECRETS)
    found = members(run(box, "support-bundle")[1])
    t.check("what-cannot-be-read-is-left-out", not [n for n in found if n.startswith("support/configuration/current")]
            and b"left out" in found["support/notes.txt"], sorted(found))
    subprocess.run(["rm", "-r", box.path("data/config/current"), box.path("data/config/previous"), box.path("data/store/crash")], check=True)


def epoch(box):
    code, out, err = run(box, "status --json")
    return json.loads(out)["penstock"]["durable_epoch"]


def backups(t, box):
    box.write("data/config/current/penstock.yaml", box.config())
    box.write("data/config/current/views.sql", VIEWS)
    box.start_pipeline()
    box.wait_api("accounts")
    code, content, err = run(box, "backup")
    found = members(content)
    t.check("backup", code == 0 and "manifest.json" in found and "shard-000/data.mdb" in found, (code, err, sorted(found)))
    saved = json.loads(found["manifest.json"])["epoch"]
    nothing_left = lambda: not [n for n in os.listdir(box.path("data")) if n.startswith(("backup-", "restore-"))]
    t.check("nothing-staged-is-left", nothing_left())

    store = os.stat(box.path("data/store")).st_ino
    half = content[:len(content) // 2]
    altered = bytearray(content)
    altered[content.index(found["shard-000/data.mdb"][:4096]) + 9000] ^= 1
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for _ in range(2):
            info = tarfile.TarInfo("manifest.json")
            tar.addfile(info, io.BytesIO())
    climbing = io.BytesIO()
    with tarfile.open(fileobj=climbing, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("../../box/admin.json"), io.BytesIO())
    link = io.BytesIO()
    with tarfile.open(fileobj=link, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("shard-000")
        info.type, info.linkname = tarfile.SYMTYPE, "elsewhere"
        tar.addfile(info)
    for name, wrong in (("nothing", b""), ("half", half), ("altered", bytes(altered)), ("twice", twice.getvalue()), ("climbing", climbing.getvalue()),
                        ("link", link.getvalue()), ("noise", os.urandom(100000)), ("no-manifest", b"\0" * 1024)):
        code, out, err = run(box, "restore --yes", wrong)
        t.check("refused/" + name, code in (1, 2) and err and os.stat(box.path("data/store")).st_ino == store and nothing_left(), (code, out, err))
    t.equal("asks-for-yes", run(box, "restore", content)[0], 2)
    box.wait_api("accounts")

    wait_for(lambda: epoch(box) > saved + 5, 30, "later epochs", 0.1)
    code, out, err = run(box, "restore --yes", content)
    t.check("restore", code == 0 and out == b"restored\n" and os.stat(box.path("data/store")).st_ino != store and nothing_left(), (code, out, err))
    box.wait_api("accounts")
    code, out, err = run(box, "verify --timeout 60")
    t.check("verify", code == 0, (code, out, err))

    # A session that ends amid a backup leaves nothing behind.
    box.control.ended = None
    p = subprocess.Popen([procs.binary(), "shell", "--control", box.path("run/box/control"), "-c", "backup"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdout.read(1000)
    p.send_signal(signal.SIGKILL)
    p.stdout.close()
    p.wait(10)
    wait_for(lambda: box.control.ended, 20, "the end of the backup", 0.05)
    t.check("a-broken-backup-leaves-nothing", nothing_left(), os.listdir(box.path("data")))
    box.wait_api("accounts")


def main():
    with Report("test_box_support", 110) as t:
        box = Box()
        t.section("support", support, t, box)
        t.section("backups", backups, t, box)
        if box.supervisor:
            box.supervisor.stop()


if __name__ == "__main__":
    main()
