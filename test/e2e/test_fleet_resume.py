#!/usr/bin/python3
"""Roll-outs of `penstock fleet` that do not run through at once, over real OpenSSH on loopback, in front of STAND-INS for boxes
(lib/fleet_box.py; really booted boxes are in test/image/test_fleet.py): a tool that is killed in the middle, pause and abort from another
process, Ctrl-C, pauses between waves, boxes that leave the inventory, damaged files; and rollback."""

import json
import os
import signal
import time

from lib import procs
from lib.fleet_boxes import Boxes, Fleet, rows
from lib.report import Report

NAMES = ["edge-%d" % i for i in range(1, 9)]


def builds(boxes):
    return [boxes.get(n, "build") for n in NAMES]


def uploads(boxes):
    return {n: boxes.get(n, "uploads") for n in NAMES}


def killed(t, fleet, boxes):
    image = fleet.image("build-5")
    before = uploads(boxes)
    boxes.set("edge-1", slow=4)  # still being sent then
    boxes.set("edge-2", slow=1)
    p = fleet.start("upgrade", image, "--all", "--canary", "0", "--waves", "3", "--soak", "0s", "--json")
    while True:  # edge-3 or edge-2 has all of it
        e = json.loads(p.stdout.readline())
        if e.get("step") == "sent":
            break
    p.kill()
    p.wait()
    left = fleet.rollouts()[0]
    t.check("left-as-running", left["state"] == "running" and any(b["step"] == "sent" for b in left["boxes"]) and
            any(b["step"] == "waiting" for b in left["boxes"]), left)
    boxes.set("edge-1", slow=0)
    boxes.set("edge-2", slow=0)
    code, out, err = fleet("resume", "last")
    now = uploads(boxes)
    t.equal("resumed-to-the-end", (code, builds(boxes)), (0, ["build-5"] * 8))
    t.check("sent-ones-are-not-sent-again", all(now[b["name"]] == before[b["name"]] + 1 for b in left["boxes"] if b["step"] in ("sent", "waiting")),
            (before, now, left["boxes"]))


def halted(t, fleet, boxes):
    """pause, a second roll-out meanwhile, Ctrl-C, abort."""
    image = fleet.image("build-6")
    p = fleet.start("upgrade", image, "--all", "--waves", "3", "--soak", "2s", "--json")
    while json.loads(p.stdout.readline()).get("step") != "sending":
        pass
    code, out, err = fleet("upgrade", image, "--all")
    t.check("one-at-a-time", code == 1 and "is under way" in err, err)
    code, out, err = fleet("pause")
    t.check("pause-is-asked", code == 0 and "told to pause" in out, (out, err))
    p.communicate(timeout=30)
    left = fleet.rollouts()[0]
    done = [b["name"] for b in left["boxes"] if b["step"] == "done"]
    t.check("paused", p.returncode == 1 and left["state"] == "paused" and done == ["edge-3"] and
            all(b["step"] == "waiting" for b in left["boxes"][1:]), left)
    p = fleet.start("resume", left["id"], "--json")
    while json.loads(p.stdout.readline()).get("step") != "sending":
        pass
    time.sleep(0.3)
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=30)
    left = fleet.rollouts()[0]
    t.check("interrupted", p.returncode == 1 and left["state"] == "interrupted" and any(b["step"] in ("sending", "sent") for b in left["boxes"]) and
            left["boxes"][7]["step"] == "waiting", left)
    p = fleet.start("resume", "last", "--json")
    while json.loads(p.stdout.readline()).get("step") != "done":
        pass
    t.equal("abort-is-asked", fleet("abort", left["id"])[0], 0)
    p.communicate(timeout=30)
    left = fleet.rollouts()[0]
    known = {b["name"]: {"old": "build-5", "new": "build-6"}[b["runs"]] for b in left["boxes"] if b["step"] != "waiting"}
    t.check("aborted", left["state"] == "aborted" and len(known) >= 4 and all(boxes.get(n, "build") == b for n, b in known.items()), left)
    t.check("abort-begins-no-more", left["boxes"][7]["step"] == "waiting" and boxes.get(left["boxes"][7]["name"], "build") == "build-5", left)
    code, out, err = fleet("resume", "last")
    t.check("aborted-for-good", code == 1 and "is aborted" in err, err)


def between_waves(t, fleet, boxes):
    """A pause after each wave; a box that leaves the inventory meanwhile."""
    image = fleet.image("build-7")
    code, out, err = fleet("upgrade", image, "--boxes", "edge-3,edge-4,edge-5", "--waves", "1", "--soak", "0s", "--pause-between")
    t.check("pause-between", code == 1 and "paused, wave 1 of 3 is good" in out and out.count("waiting") == 2, out)
    with open(fleet.inventory) as f:
        inventory = f.read()
    with open(fleet.inventory, "w") as f:
        f.write("".join(l for l in inventory.splitlines(True) if not l.strip().startswith("edge-5:")))
    code, out, err = fleet("resume", "last")
    t.check("pause-between-again", code == 1 and "paused, wave 2 of 3 is good" in out and "done" in rows(out)["edge-4"], out)
    code, out, err = fleet("resume", "last")
    t.check("box-that-left", code == 1 and "no longer in the inventory" in rows(out)["edge-5"] and boxes.get("edge-5", "uploads") <= boxes.get("edge-4", "uploads"), out)
    with open(fleet.inventory, "w") as f:
        f.write(inventory)
    other = fleet.image("build-8")
    fleet("upgrade", other, "--boxes", "edge-3,edge-4", "--waves", "1", "--soak", "0s", "--pause-between")
    with open(other, "ab") as f:
        f.write(b"x")
    code, out, err = fleet("resume", "last")
    t.check("another-file-is-not-sent", code == 1 and "not the file" in err and boxes.get("edge-4", "build") == "build-7", (out, err))
    t.equal("abort-of-a-paused-one", (fleet("abort")[0], fleet.rollouts()[0]["state"]), (0, "aborted"))


def rollback(t, fleet, boxes):
    boxes.set("edge-2", other=None)
    was = boxes.get("edge-3", "other")
    code, out, err = fleet("rollback", "--boxes", "edge-2,edge-3", "--canary", "0", "--soak", "0s", "--max-unhealthy", "1")
    r = rows(out)
    t.check("rollback", "done" in r["edge-3"] and boxes.get("edge-3", "build") == was, out)
    t.check("nothing-to-go-back-to", code == 1 and "the other slot is empty" in r["edge-2"], out)
    code, out, err = fleet("rollouts")
    t.check("rollouts", code == 0 and out.count("-upgrade") >= 4 and "-rollback" in out.splitlines()[1], out)
    path = os.path.join(fleet.state, "rollouts", "20990101-000000-upgrade.json")
    with open(path, "w") as f:
        f.write('{"rollout": 99, "boxes": []}')
    code, out, err = fleet("resume", "last")
    t.check("newer-format", code == 2 and "format 99" in err, err)
    with open(path, "w") as f:
        f.write('{"rollout": 1, "boxes": [')
    code, out, err = fleet("resume", "last")
    t.check("torn-file", code == 1 and "damaged" in err and "unreadable" in fleet("rollouts")[1], err)


def main():
    with Report("test_fleet_resume", 200) as t:
        folder = procs.temp_dir("fleet")
        boxes = Boxes(folder, NAMES)
        boxes.wait_up()
        fleet = Fleet(folder, boxes)
        t.equal("trust", fleet("trust", "--yes")[0], 0)
        t.section("killed", killed, t, fleet, boxes)
        t.section("halted", halted, t, fleet, boxes)
        t.section("between-waves", between_waves, t, fleet, boxes)
        t.section("rollback", rollback, t, fleet, boxes)
        boxes.close()


if __name__ == "__main__":
    main()
