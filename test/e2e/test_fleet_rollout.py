#!/usr/bin/python3
"""Roll-outs of `penstock fleet` over real OpenSSH on loopback: eight sshds, each in front of a STAND-IN for a box (lib/fleet_box.py;
really booted boxes are in test/image/test_fleet.py). Canary and waves; boxes that fall back, vanish, lie, refuse, or lose the connection."""

import json
import os
import time

from lib import procs
from lib.fleet_boxes import Boxes, Fleet, rows
from lib.report import Report

NAMES = ["edge-%d" % i for i in range(1, 9)]


def builds(boxes):
    return [boxes.get(n, "build") for n in NAMES]


def uploads(boxes):
    return {n: boxes.get(n, "uploads") for n in NAMES}


def good(t, fleet, boxes):
    image = fleet.image("build-2")
    code, out, err = fleet("upgrade", image, "--all", "--waves", "50%", "--soak", "1s", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    steps = [(e["box"], e["step"]) for e in events if e["event"] == "box"]
    t.equal("all-are-upgraded", (code, builds(boxes)), (0, ["build-2"] * 8))
    t.check("each-once", set(uploads(boxes).values()) == {1}, uploads(boxes))
    t.check("canary-goes-first", all(b == "edge-3" for b, s in steps[:steps.index(("edge-3", "done"))]), steps[:4])
    first = {b: i for i, (b, s) in reversed(list(enumerate(steps)))}
    last = {b: i for i, (b, s) in enumerate(steps)}
    t.check("wave-after-wave", max(last[b] for b in NAMES[:5] if b != "edge-3") < min(first[b] for b in NAMES[5:]), steps)
    t.check("waves-are-judged", [e["detail"] for e in events if "is good" in e["detail"]] == ["wave 1 of 3 is good", "wave 2 of 3 is good"], out[-800:])
    t.check("confirmed-by-the-slot", all(boxes.get(n, "state") == "confirmed" for n in NAMES))
    code, out, err = fleet("upgrade", image, "--all")
    t.check("skipped-where-it-runs-already", code == 0 and out.count("skipped") == 8 and set(uploads(boxes).values()) == {1}, out)
    code, out, err = fleet("upgrade", fleet.inventory, "--all")
    t.check("no-bundle", code == 2 and "bundle" in err, err)
    damaged = os.path.join(fleet.folder, "damaged.pimage")
    data = bytearray(open(image, "rb").read())
    data[len(data) // 2] ^= 1
    open(damaged, "wb").write(data)
    code, out, err = fleet("upgrade", damaged, "--all")
    t.check("damaged-bundle-reaches-no-box", code == 1 and set(uploads(boxes).values()) == {1}, err)


def canary_fails(t, fleet, boxes):
    boxes.set("edge-3", behaviour="unhealthy")
    code, out, err = fleet("upgrade", fleet.image("build-3"), "--all", "--max-unhealthy", "5")
    r = rows(out)
    t.check("canary-fell-back", code == 1 and "failed" in r["edge-3"] and " old " in r["edge-3"] and "fell back: pipeline: does not start" in r["edge-3"], out)
    t.check("canary-stops-the-rest", sum(uploads(boxes).values()) == 9 and out.count("waiting") == 7 and "stopped, 1 box failed" in out, out)
    t.equal("every-box-on-the-old", builds(boxes), ["build-2"] * 8)
    boxes.set("edge-3", behaviour="healthy", state="confirmed")
    lines = [l for l in fleet.log() if l["command"].startswith("upgrade 0.2.0 build build-3")]
    t.check("log", [(l["box"], l["result"]) for l in lines] == [("edge-3", "sending"), ("edge-3", "failed")] and "fell back" in lines[1]["detail"], lines)


def wave_fails(t, fleet, boxes):
    image = fleet.image("build-4")
    for name, how in (("edge-1", "panics"), ("edge-2", "never"), ("edge-4", "liar"), ("edge-5", "refuses")):
        boxes.set(name, behaviour=how)
    boxes.stop("edge-6")
    boxes.set("edge-3", breaks=1)
    sent = boxes.get("edge-3", "uploads")
    began = time.monotonic()
    code, out, err = fleet("upgrade", image, "--all", "--canary", "0", "--waves", "6", "--max-unhealthy", "4", "--deadline", "12s", "--soak", "0s")
    r = rows(out)
    want = {"edge-1": ("failed", "old", "the kernel panicked"), "edge-2": ("failed", "unknown", "not healthy in time"),
            "edge-3": ("done", "new", "confirmed"), "edge-4": ("failed", "old", "do not agree"),
            "edge-5": ("failed", "old", "no provisioned key vouches"), "edge-6": ("failed", "unknown", "Connection refused")}
    for name, words in want.items():
        t.check("wave-%s-%s" % (name, boxes.get(name, "behaviour")), all(w in r[name] for w in words), r[name])
    t.equal("sent-again-after-a-broken-connection", boxes.get("edge-3", "uploads"), sent + 2)
    t.check("next-wave-is-not-begun", code == 1 and "waiting" in r["edge-7"] and "waiting" in r["edge-8"] and boxes.get("edge-7", "build") == "build-2", out)
    t.check("hopeless-boxes-have-an-end", time.monotonic() - began < 40, time.monotonic() - began)
    for name in NAMES:
        boxes.set(name, behaviour="healthy", claims=None, state="confirmed")
    for name in ("edge-2", "edge-6"):
        boxes.stop(name)
        boxes.start(name)
    boxes.wait_up()
    code, out, err = fleet("resume", "last")
    t.check("resume-does-the-rest", "done" in rows(out)["edge-7"] and boxes.get("edge-8", "build") == "build-4", out)
    t.check("failed-ones-stay-failed", code == 1 and "failed" in rows(out)["edge-5"] and boxes.get("edge-5", "build") == "build-2", out)
    code, out, err = fleet("resume", "last")
    t.check("nothing-left-to-resume", code == 1 and "is done" in err, err)
    code, out, err = fleet("upgrade", image, "--all", "--canary", "0", "--waves", "100%", "--soak", "0s")
    t.equal("tried-again", (code, builds(boxes)), (0, ["build-4"] * 8))


def main():
    with Report("test_fleet_rollout", 200) as t:
        folder = procs.temp_dir("fleet")
        boxes = Boxes(folder, NAMES)
        boxes.wait_up()
        fleet = Fleet(folder, boxes)
        t.equal("trust", fleet("trust", "--yes")[0], 0)
        t.section("good", good, t, fleet, boxes)
        t.section("canary-fails", canary_fails, t, fleet, boxes)
        t.section("wave-fails", wave_fails, t, fleet, boxes)
        boxes.close()


if __name__ == "__main__":
    main()
