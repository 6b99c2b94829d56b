#!/usr/bin/python3
"""`penstock fleet check`, `diff` and `push` over real OpenSSH on loopback, in front of STAND-INS for boxes (lib/fleet_box.py; really
booted boxes are in test/image/test_fleet.py); and the example of docs/appliance.md, as it stands there."""

import json
import os
import re
import subprocess

from lib import procs
from lib.fleet_boxes import Boxes, Fleet, rows
from lib.report import Report

NAMES = ["edge-%d" % i for i in range(1, 5)]


def write(folder, **files):
    os.makedirs(folder, exist_ok=True)
    for name, text in files.items():
        with open(os.path.join(folder, name.replace("_", ".")), "w") as f:
            f.write(text)
    return folder


def plan(t, fleet, boxes):
    config = write(os.path.join(fleet.folder, "config"), penstock_yaml="penstock: 1\nsql: [views.sql]\n", views_sql="CREATE VIEW a AS SELECT 1;\n")
    boxes.set("edge-4", config={"penstock.yaml": "penstock: 1\nsql: []\n", "old.sql": "x\n"})
    code, out, err = fleet("diff", config)
    groups = out.split("== ")
    t.check("boxes-that-agree-are-shown-once", code == 0 and len(groups) == 3 and groups[1].startswith("edge-1, edge-2, edge-3: fits, 2 files change\n"), out)
    t.check("diff-of-files", all(x in groups[1] for x in ("--- penstock.yaml\n", " penstock: 1\n+sql: [views.sql]\n", "@@ -0,0 +1,1 @@\n+CREATE VIEW a AS SELECT 1;\n")), out)
    t.check("diff-of-another-box", all(x in groups[2] for x in ("edge-4: fits, 3 files change", "-sql: []\n+sql: [views.sql]\n", "--- old.sql", "-x\n")), out)
    t.check("the-box-judges", "views.sql changes" in groups[1], out)
    t.check("nothing-is-applied", [boxes.get(n, "applied") for n in NAMES] == [0] * 4)
    code, out, err = fleet("push", config, "--all")
    t.check("push-asks", code == 2 and "--yes" in err and [boxes.get(n, "applied") for n in NAMES] == [0] * 4, (out, err))
    code, out, err = fleet("push", config, "--all", "--plan")
    t.check("plan-applies-nothing", code == 0 and [boxes.get(n, "applied") for n in NAMES] == [0] * 4, (out, err))
    code, out, err = fleet("check")
    t.check("check-of-what-is-there", code == 0 and "fits" in out, (out, err))
    code, out, err = fleet("check", os.path.join(fleet.folder, "nowhere"))
    t.check("no-folder", code == 2 and "penstock.yaml" in err, err)
    return config


def push(t, fleet, boxes, config):
    code, out, err = fleet("push", config, "--all", "--yes", "--soak", "0s", "--waves", "100%")
    t.check("push", code == 0 and [boxes.get(n, "applied") for n in NAMES] == [1] * 4 and "4 done" in out, (out, err))
    t.equal("files-arrive", boxes.get("edge-2", "config"), {"penstock.yaml": "penstock: 1\nsql: [views.sql]\n", "views.sql": "CREATE VIEW a AS SELECT 1;\n"})
    t.check("nothing-of-it-stays", not [f for f in os.listdir(os.path.join(fleet.state, "rollouts")) if f.endswith(".payload")])
    code, out, err = fleet("push", config, "--all", "--yes")
    t.check("unchanged-boxes-are-left-alone", code == 0 and "unchanged" in out and boxes.get("edge-1", "applied") == 1, (out, err))
    broken = write(os.path.join(fleet.folder, "broken"), penstock_yaml="broken: 1\n")
    code, out, err = fleet("push", broken, "--all", "--yes")
    t.check("refused-by-a-box", code == 1 and "unknown key" in out and "refuses it" in err and boxes.get("edge-1", "applied") == 1, (out, err))
    sick = write(os.path.join(fleet.folder, "sick"), penstock_yaml="penstock: 1 # sick\n")
    code, out, err = fleet("push", sick, "--all", "--yes", "--deadline", "10s")
    r = rows(out[out.index("BOX"):])
    t.check("unhealthy-canary-stops-it", code == 1 and "does not start" in r["edge-3"] and "new" in r["edge-3"] and [boxes.get(n, "applied") for n in NAMES] == [1, 1, 2, 1], out)
    boxes.stop("edge-1")
    code, out, err = fleet("push", config, "--boxes", "edge-1,edge-3", "--yes")
    t.check("a-box-away-is-told", code == 1 and "edge-1: no answer" in out and "1 done" in out and boxes.get("edge-3", "applied") == 3 and boxes.get("edge-3", "healthy"), (out, err))
    boxes.start("edge-1")
    boxes.wait_up(["edge-1"])


def signed(t, fleet, boxes):
    key = os.path.join(fleet.folder, "ops")
    subprocess.run([procs.binary(), "keys", "create", key], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    config = write(os.path.join(fleet.folder, "signed"), penstock_yaml="penstock: 1\n# signed\n")
    code, out, err = fleet("push", config, "--all", "--yes", "--sign", key + ".key", "--soak", "0s", "--waves", "100%")
    t.check("signed-push", code == 0 and boxes.get("edge-4", "config") == {"penstock.yaml": "penstock: 1\n# signed\n"}, (out, err))
    code, out, err = fleet("push", config, "--all", "--yes", "--sign", key + ".pub")
    t.check("no-secret-key", code == 1 and "secret key" in err and "== " not in out, err)
    logged = open(os.path.join(fleet.state, "log.jsonl")).read()
    secret = open(key + ".key").read().split()[1]
    t.check("no-secret-in-the-log", secret[:20] not in logged and secret[:20] not in out + err)


def documented(t, fleet, boxes):
    """The inventory and the commands of docs/appliance.md; addresses and ports are these boxes'."""
    with open(os.path.join(procs.ROOT, "docs", "appliance.md")) as f:
        section = f.read().split("\n## Fleet\n")[1].split("\n## ")[0]
    inventory = re.search(r"```yaml\n(fleet: 1\n.*?)```", section, re.S).group(1)
    commands = [re.sub(r"\s*#.*", "", l) for l in "".join(re.findall(r"```sh\n(.*?)```", section, re.S)).splitlines() if l.startswith("penstock fleet")]
    inventory = inventory.replace("user: admin, identity: ~/.ssh/box", "user: %s, identity: %s" % (os.environ.get("USER", "root"), boxes.key))
    for i, name in enumerate(("edge-1", "edge-2")):
        inventory = inventory.replace("address: 192.0.2.1%d" % (i + 1), "address: 127.0.0.1, ssh: { port: %d }" % boxes.ports[name])
    path = os.path.join(fleet.folder, "documented.yaml")
    with open(path, "w") as f:
        f.write(inventory)
    boxes.prints(os.path.join(fleet.folder, "FILE"))
    fleet.image("image")
    values = {"FILE": os.path.join(fleet.folder, "FILE"), "DIR": os.path.join(fleet.folder, "out"), "IMAGE.pimage": os.path.join(fleet.folder, "image.pimage"),
              "CONFIG-DIR": os.path.join(fleet.folder, "config"), "KEY": os.path.join(fleet.folder, "ops.key")}
    ran = 0
    for line in commands:
        if "--watch" in line:
            line = line.replace("[--watch] ", "")
        words = [values.get(w, w) for w in re.sub(r"[\[\]]", "", line).split()[2:]]
        p = subprocess.run([procs.binary(), "fleet", "-i", path] + words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60)
        nothing_to_do = words[0] in ("resume", "pause", "abort") and p.returncode == 1  # the example's roll-outs are through
        t.check("documented-%s" % words[0], p.returncode == 0 or nothing_to_do, (words, p.stdout.decode()[-300:], p.stderr.decode()[-300:]))
        ran += 1
    t.check("documented-commands", ran >= 8, commands)


def main():
    with Report("test_fleet_push", 110) as t:
        folder = procs.temp_dir("fleet")
        boxes = Boxes(folder, NAMES)
        boxes.wait_up()
        fleet = Fleet(folder, boxes)
        t.equal("trust", fleet("trust", "--yes")[0], 0)
        config = t.section("plan", plan, t, fleet, boxes)
        t.section("push", push, t, fleet, boxes, config)
        t.section("signed", signed, t, fleet, boxes)
        t.section("documented", documented, t, fleet, boxes)
        boxes.close()


if __name__ == "__main__":
    main()
