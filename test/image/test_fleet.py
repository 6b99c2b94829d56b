#!/usr/bin/python3
"""`penstock fleet` with two really booted boxes: their host keys by the fingerprints of their consoles, status, a configuration, an upgrade
with a canary, and back. SOAK=1: a broken image too, which the canary goes back from, and the other box is never sent.

What a fleet does with boxes that lie, hang, vanish or refuse is tested against stand-ins, in test/e2e/test_fleet*.py."""
import json
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "../.."))
sys.path.insert(0, os.path.join(ROOT, "test/e2e"))
sys.path.append(os.path.join(HERE, "lib"))
import machine
from lib import procs
from lib.report import Report, soak
from test_appliance import Images

PENSTOCK = os.environ.get("PENSTOCK") or os.path.join(ROOT, "build", os.uname().machine, "penstock")
NAMES = ["edge-1", "edge-2"]
BOX = "box: 1\nhostname: %s\ntime: { servers: [] }\nupgrade: { trial: 120s }\n"
CONFIG = """penstock: 1
sources:
  demo: { generator: { workload: bank, rate: 10, seed: 1 } }
sql:
  - CREATE VIEW accounts AS SELECT id, owner FROM demo.accounts;
apis: { accounts: }
access: { anonymous: read }
"""


class Fleet:
    def __init__(self, folder, boxes):
        self.folder, self.inventory = folder, os.path.join(folder, "fleet.yaml")
        with open(self.inventory, "w") as f:
            f.write("fleet: 1\nssh: { user: admin, identity: %s, connect_timeout: 30s }\nparallel: 2\nboxes:\n" % boxes["edge-1"].key)
            for name, box in boxes.items():
                f.write("  %s: { address: 127.0.0.1, ssh: { port: %d } }\n" % (name, box.ssh_port))

    def __call__(self, *words, seconds=280):
        done = subprocess.run([PENSTOCK, "fleet", "-i", self.inventory] + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=seconds)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def states(self):
        return {b["name"]: b for b in json.loads(self("status", "--json")[1])["boxes"]}

    def builds(self):
        return [b["status"]["box"]["image"]["build"] if "status" in b else b["error"] for b in self.states().values()]


def boot(image):
    """Both at once, under one lock."""
    boxes = {}
    for name in NAMES:
        box = boxes[name] = machine.Machine(image + ".img", smp=1, mem=1024)
        key = boxes["edge-1"].public_key
        box.provision_esp({"box.yaml": BOX % name, "penstock.yaml": CONFIG, "authorized_keys": key})
        box.boot()
        os.environ.pop("PENSTOCK_QEMU_LOCK", None)  # the first one has it
    for box in boxes.values():
        box.wait_ssh(240) if box is boxes["edge-1"] else box.wait_console("SHA256:", 240)
    return boxes


def trust(t, fleet, boxes):
    """What an operator would copy from the consoles."""
    prints = os.path.join(fleet.folder, "prints")
    with open(prints, "w") as f:
        for name, box in boxes.items():
            f.write("%s %s\n" % (name, " ".join(re.findall(r"SHA256:[A-Za-z0-9+/]{43}", box.console))))
    code, out, err = fleet("trust", "--fingerprints", prints)
    t.check("host-keys-by-the-consoles", code == 0, (out, err, open(prints).read()))
    end = time.monotonic() + 150  # the last thing that starts is the pipeline
    states = fleet.states()
    while any(s["state"] != "ok" for s in states.values()) and time.monotonic() < end:
        time.sleep(3)
        states = fleet.states()
    t.check("status", all(s["state"] == "ok" for s in states.values()), {n: (s["state"], s.get("status", {}).get("box", {}).get("health")) for n, s in states.items()})
    said = [s["status"]["box"]["hostname"] for s in states.values() if "status" in s]
    t.equal("each-is-itself", said, NAMES)


def push(t, fleet):
    config = os.path.join(fleet.folder, "config")
    os.makedirs(config)
    with open(os.path.join(config, "penstock.yaml"), "w") as f:
        f.write(CONFIG.replace("SELECT id, owner", "SELECT id, owner, branch"))
    code, out, err = fleet("push", config, "--all", "--yes", "--soak", "0s", "--deadline", "3m")
    t.check("push", code == 0 and "+  - CREATE VIEW accounts AS SELECT id, owner, branch" in out and "2 done" in out, out[out.find("BOX"):] + err[-300:])
    code, out, err = fleet("push", config, "--all", "--yes")
    t.check("push-again-changes-nothing", code == 0 and "unchanged" in out, out[-300:] + err[-300:])
    code, out, err = fleet("logs", "-n", "5", "--boxes", "edge-2")
    t.check("logs", code == 0 and "edge-2 | " in out, (out, err))


def upgrade(t, fleet, images):
    second = images.bundle(images.build("build-2"))
    code, out, err = fleet("upgrade", second, "--all", "--canary", "1", "--soak", "5s", "--deadline", "4m", "--json", seconds=600)
    steps = [(e["box"], e["step"]) for e in map(json.loads, out.splitlines()) if e["event"] == "box"]
    t.check("upgrade-with-a-canary", code == 0 and [s for s in steps if s[1] == "done"] == [("edge-1", "done"), ("edge-2", "done")], (steps, out[-1500:], err[-500:]))
    t.equal("both-run-it", fleet.builds(), ["build-2"] * 2)


def broken(t, fleet, images):
    stub = os.path.join(images.folder, "no-program")
    with open(stub, "w") as f:
        f.write("this is no program\n")
    bad = images.bundle(images.build("build-3", "--replace", "/bin/penstock=" + stub))
    code, out, err = fleet("upgrade", bad, "--all", "--canary", "1", "--deadline", "6m", seconds=600)
    t.check("canary-goes-back", code == 1 and "fell back" in out and "stopped" in out and "waiting" in out, (out, err))
    t.equal("both-on-the-old", fleet.builds(), ["build-2"] * 2)
    code, out, err = fleet("rollback", "--boxes", "edge-2", "--deadline", "6m", seconds=600)
    t.check("rollback", code == 0 and fleet.builds()[1] == "build-1", (out, err))


def main():
    with Report("test_fleet", 1500 if soak() else 590) as t:
        folder = procs.temp_dir("fleet")
        images = Images(folder)
        boxes = boot(images.build("build-1"))
        try:
            fleet = Fleet(folder, boxes)
            t.section("trust", trust, t, fleet, boxes)
            t.section("push", push, t, fleet)
            t.section("upgrade", upgrade, t, fleet, images)
            if soak():
                t.section("broken", broken, t, fleet, images)
        finally:
            for box in boxes.values():
                box.close()


if __name__ == "__main__":
    main()
