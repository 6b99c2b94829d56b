#!/usr/bin/python3
"""`penstock fleet` over real OpenSSH on loopback: eight sshds, each in front of a STAND-IN for a box (lib/fleet_box.py; real
booted boxes are in test/image/test_fleet.py). Host keys, selection, status, run, logs, support bundles, boxes that do not answer."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

from lib import procs
from lib.fleet_boxes import Boxes, Fleet, rows
from lib.report import Report

NAMES = ["edge-%d" % i for i in range(1, 9)]


def host_keys(t, fleet, boxes):
    code, out, err = fleet("status", "--boxes", "edge-1")
    t.check("unknown-host-is-refused", code == 1 and "not known yet" in out, (code, out, err))
    code, out, err = fleet("trust")
    t.check("trust-never-silently", code == 2 and boxes.fingerprint("edge-3") in out and "--fingerprints" in err, (code, out, err))
    t.check("nothing-taken-up", not os.path.exists(os.path.join(fleet.folder, "known_hosts")))
    prints = os.path.join(fleet.folder, "prints")
    boxes.prints(prints)
    with open(prints) as f:
        lines = f.read().splitlines()
    with open(prints, "w") as f:  # that of edge-2 is wrong
        f.write("\n".join(re.sub(r"SHA256:...", "SHA256:xxx", l) if l.startswith("edge-2 ") else l for l in lines) + "\n")
    code, out, err = fleet("trust", "--fingerprints", prints)
    known = open(os.path.join(fleet.folder, "known_hosts")).read()
    t.check("trust-compares", code == 1 and "none of its keys" in rows(out)["edge-2"], (code, out, err))
    t.check("trust-takes-up", known.count("ssh-ed25519") == 7 and "]:%d " % boxes.ports["edge-2"] not in known, known)
    boxes.prints(prints)
    code, out, err = fleet("trust", "--fingerprints", prints)
    t.check("trust-again", code == 0 and "known" in rows(out)["edge-1"], (code, out, err))
    t.equal("status-answers", fleet("status")[0], 0)


def changed_host_key(t, fleet, boxes):
    boxes.stop("edge-8")
    boxes.new_host_key("edge-8")
    boxes.start("edge-8")
    boxes.wait_up(["edge-8"])
    code, out, err = fleet("status")
    t.check("changed-host-key", code == 1 and "host key is not the known one" in rows(out)["edge-8"] and "ok" in rows(out)["edge-1"], (out, err))
    code, out, err = fleet("trust", "--yes")
    t.check("changed-key-is-not-taken-up", code == 1 and "ssh-keygen -R" in rows(out)["edge-8"], (out, err))
    subprocess.run(["ssh-keygen", "-q", "-R", "[127.0.0.1]:%d" % boxes.ports["edge-8"], "-f", os.path.join(fleet.folder, "known_hosts")],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.equal("new-key-by-the-operator", fleet("trust", "--yes")[0], 0)
    t.equal("reached-again", fleet("status", "--boxes", "edge-8")[0], 0)


def selection(t, fleet):
    def names(*words):
        code, out, err = fleet("status", "--json", *words)
        return [b["name"] for b in json.loads(out)["boxes"]] if code == 0 else (code, err)
    t.equal("all-by-default", names(), NAMES)
    t.equal("by-name", names("--boxes", "edge-4,edge-2"), ["edge-2", "edge-4"])
    t.equal("by-group", names("--group", "odd"), NAMES[1::2])
    t.equal("by-label", names("--label", "ring=canary"), ["edge-3"])
    t.equal("label-of-a-group", names("--label", "side=left", "--boxes", "edge-1,edge-2"), ["edge-2"])
    code, out, err = fleet("status", "--boxes", "edge-9")
    t.check("unknown-box", code == 2 and "edge-9" in err and "did you mean" in err, err)
    code, out, err = fleet("run", "--", "version")
    t.check("writing-needs-a-selection", code == 2 and "--all" in err, err)
    code, out, err = fleet("status", "--lable", "a=b")
    t.check("unknown-option", code == 2 and "--label" in err, err)


def status(t, fleet, boxes):
    boxes.set("edge-2", healthy=False)
    boxes.set("edge-3", behaviour="garbage")
    boxes.set("edge-4", filler=2 << 20)
    boxes.set("edge-5", filler=13 << 20)
    code, out, err = fleet("status")
    r = rows(out)
    t.check("unhealthy-says-why", code == 1 and "unhealthy" in r["edge-2"] and "pipeline: does not start" in r["edge-2"], out)
    t.check("no-json", "no answer" in r["edge-3"] and "no JSON" in r["edge-3"] and "\x1b" not in out, out)
    t.check("large-answer", "ok" in r["edge-4"].split(), out)
    t.check("too-large-answer", "longer than 12 MiB" in r["edge-5"], out)
    t.check("summary", "8 boxes, 6 answered, 5 healthy" in out, out)
    code, out, err = fleet("status", "--json")
    d = {b["name"]: b for b in json.loads(out)["boxes"]}
    t.check("json", d["edge-1"]["state"] == "ok" and d["edge-1"]["status"]["box"]["image"]["build"] == "build-1" and "error" in d["edge-3"], out[:300])
    for name in NAMES:
        boxes.set(name, healthy=True, behaviour="healthy", filler=0)


def no_answer(t, fleet, boxes):
    boxes.stop("edge-1")
    boxes.go_silent("edge-2")
    began = time.monotonic()
    code, out, err = fleet("status", "--parallel", "8")
    took = time.monotonic() - began
    r = rows(out)
    t.check("unreachable", code == 1 and "Connection refused" in r["edge-1"], out)
    t.check("hanging", "no answer" in r["edge-2"] or "timed out" in r["edge-2"], out)
    t.check("the-rest-answers", all("ok" in r[n].split() for n in NAMES[2:]), out)
    t.check("bounded-by-the-connect-timeout", took < 30, took)
    for s in boxes.silent:
        s.close()
    boxes.start("edge-1")
    boxes.start("edge-2")
    boxes.wait_up(["edge-1", "edge-2"])


def run(t, fleet, boxes):
    code, out, err = fleet("run", "--all", "--", "version")
    t.check("run-groups-what-agrees", code == 0 and out.startswith("== edge-1, edge-2") and out.count("penstock 0.1") == 1, out)
    code, out, err = fleet("run", "--boxes", "edge-1", "--", "echo", "a b", "it's", "$(id)", "--json")
    t.check("words-arrive-whole", json.loads(out.splitlines()[1]) == ["a b", "it's", "$(id)", "--json"], out)
    code, out, err = fleet("run", "--boxes", "edge-1,edge-2", "--", "nonsense")
    t.check("run-fails", code == 1 and "no such command: 'nonsense'" in out, out)
    code, out, err = fleet("run", "--boxes", "edge-1", "--json", "--", "big", "3000000")
    d = json.loads(out)["boxes"][0]
    t.check("big-output-is-cut", d["ok"] and d["cut"] and len(d["stdout"]) == 1 << 20, (code, err))
    code, out, err = fleet("run", "--all", "--parallel", "3", "--json", "--", "slow", "0.4")
    most = max(int(b["stdout"]) for b in json.loads(out)["boxes"])
    t.check("parallel-is-a-bound", code == 0 and 2 <= most <= 3, (most, err))
    code, out, err = fleet("logs", "-n", "3", "--group", "odd")
    t.check("logs", code == 0 and "edge-2 | line 3 of edge-2" in out and "\x1b" not in out, out)
    folder = os.path.join(fleet.folder, "bundles")
    code, out, err = fleet("support-bundle", folder, "--boxes", "edge-1,edge-2")
    t.check("support-bundle", code == 0 and sorted(os.listdir(folder)) == ["edge-1.tar.gz", "edge-2.tar.gz"] and
            os.path.getsize(folder + "/edge-1.tar.gz") == 27 * 20000, (out, err, os.listdir(folder)))
    lines = fleet.log()
    t.check("log", any(l["command"] == "version" and l["box"] == "edge-7" and l["result"] == "ok" and l["user"] and l["time"] for l in lines) and
            any(l["command"] == "nonsense" and l["result"] == "failed" and "no such command" in l["detail"] for l in lines), lines[-3:])


def on_a_terminal(t, fleet):
    """A terminal of 44 columns and 10 lines: redrawn, cut to its width, left as it was; then --watch without one."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 44, 0, 0))
    p = subprocess.Popen(fleet.argv("run", "--all", "--parallel", "4", "--", "slow", "0.6"), stdin=slave, stdout=subprocess.PIPE, stderr=slave,
                         env=dict(os.environ, TERM="xterm"))
    os.close(slave)
    out = p.communicate(timeout=30)[0].decode()
    seen = b""
    while True:
        try:
            seen += os.read(master, 65536)
        except OSError:  # its other side is closed
            break
    os.close(master)
    text = seen.decode().replace("\r", "")
    lines = re.sub(r"\x1b\[\d*[A-Z]", "", text).split("\n")
    t.check("live-table", p.returncode == 0 and "run: 0 of 8 done, 8 under way" in text and "\x1b[" in text and out.startswith("== "), text[:500])
    t.check("live-table-fits", max(len(l) for l in lines) <= 44, max(lines, key=len))
    t.check("more-boxes-than-lines", "... and 2 more" in text, text[:500])
    t.check("terminal-is-left-clean", text.endswith("\x1b[J"), repr(text[-60:]))
    p = subprocess.Popen(fleet.argv("status", "--watch", "--boxes", "edge-1,edge-2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(8)
    p.send_signal(signal.SIGINT)
    out = p.communicate(timeout=30)[0].decode()
    t.check("watch", p.returncode == 0 and out.count("BOX ") >= 2 and out.endswith("2 boxes, 2 answered, 2 healthy\n"), out)


def interrupted(t, fleet):
    p = subprocess.Popen(fleet.argv("run", "--all", "--parallel", "2", "--", "slow", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    p.send_signal(signal.SIGINT)
    out, err = [x.decode() for x in p.communicate(timeout=30)]
    t.check("first-ctrl-c-begins-nothing-new", p.returncode == 1 and out.count("not begun") == 1 and "edge-8" in out, (out, err))
    p = subprocess.Popen(fleet.argv("run", "--boxes", "edge-1,edge-2", "--", "slow", "60"), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    time.sleep(1)
    p.send_signal(signal.SIGINT)
    time.sleep(0.4)
    p.send_signal(signal.SIGINT)
    out, err = [x.decode() for x in p.communicate(timeout=20)]
    t.check("second-ctrl-c-ends-children", p.returncode == 1 and "ended by the operator" in out, (out, err))


def wrong_inventory(t, fleet):
    path = os.path.join(fleet.folder, "wrong.yaml")
    with open(path, "w") as f:
        f.write("fleet: 1\nssh: { port: 0 }\nboxes:\n  a: { adress: x }\n  b: { address: x, groups: [nowhere] }\n")
    p = subprocess.run([procs.binary(), "fleet", "-i", path, "status"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    err = p.stderr.decode()
    t.check("all-mistakes-at-once", p.returncode == 2 and all("wrong.yaml:%s" % at in err for at in ("2:14:", "4:8:", "5:29:")), err)


def main():
    with Report("test_fleet", 110) as t:
        folder = procs.temp_dir("fleet")
        boxes = Boxes(folder, NAMES)
        boxes.wait_up()
        fleet = Fleet(folder, boxes)
        t.section("host-keys", host_keys, t, fleet, boxes)
        t.section("selection", selection, t, fleet)
        t.section("status", status, t, fleet, boxes)
        t.section("no-answer", no_answer, t, fleet, boxes)
        t.section("run", run, t, fleet, boxes)
        t.section("on-a-terminal", on_a_terminal, t, fleet)
        t.section("interrupted", interrupted, t, fleet)
        t.section("changed-host-key", changed_host_key, t, fleet, boxes)
        t.section("wrong-inventory", wrong_inventory, t, fleet)
        boxes.close()


if __name__ == "__main__":
    main()
