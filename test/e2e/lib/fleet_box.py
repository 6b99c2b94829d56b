#!/usr/bin/python3
"""A STAND-IN for a box, for the fleet's tests on one machine: sshd runs this as ForceCommand with the box's folder as its argument. It
answers what the shell of a box answers, as far as `penstock fleet` asks for it, from state.json. The real boxes are in test/image."""

import fcntl
import hashlib
import io
import json
import os
import shlex
import struct
import subprocess
import sys
import tarfile
import time

FOLDER = sys.argv[1]
OLD_SLOT = {"a": "b", "b": "a"}


class State:
    """state.json under a lock."""

    def __init__(self, folder=FOLDER):
        self.folder = folder

    def __enter__(self):
        self.lock = open(os.path.join(self.folder, "lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        with open(os.path.join(self.folder, "state.json")) as f:
            self.all = json.load(f)
        return self.all

    def __exit__(self, kind, error, trace):
        path = os.path.join(self.folder, "state.json")
        with open(path + ".new", "w") as f:
            json.dump(self.all, f)
        os.rename(path + ".new", path)
        self.lock.close()


def image(build):
    return {"version": "0.1.0", "build": build}


def status(s):
    checks = [{"name": n, "ok": True, "detail": ""} for n in ("init", "network", "api")]
    checks.append({"name": "pipeline", "ok": s["healthy"], "detail": "" if s["healthy"] else "does not start"})
    running = s["claims"] or s["build"]
    return {"box": {"hostname": s["name"], "board": "qemu-virt", "image": image(running),
                    "slot": {"running": s["slot"], "state": s["state"], "other": image(s["other"]) if s["other"] else None},
                    "uptime_s": int(time.time() - s["booted"]), "time": {"synced": True}, "claimed": True, "rescue": False,
                    "health": {"ok": s["healthy"], "checks": checks}, "addresses": ["127.0.0.1"],
                    "fingerprint": {"ssh": s["fingerprint"], "tls": "SHA256:x"},
                    "configuration": {"sha256": s["sum"], "applied_at": "2026-11-28T05:00:00Z", "previous": bool(s["previous"])}},
            "penstock": {"filler": "x" * s["filler"]} if s["filler"] else None}


def slots(s):
    other = OLD_SLOT[s["slot"]]
    return {"running": s["slot"], "state": s["state"],
            "slots": {s["slot"]: dict(image(s["build"]), valid=True),
                      other: dict(image(s["other"]), valid=True) if s["other"] else None},
            "trial": {"left_s": max(0, int(s["trial_until"] - time.time()))} if s["state"] == "trial" else None,
            "last": s["last"]}


def read_config(data):
    """{name: text} of a bundle, a tar, or a bare penstock.yaml, and the sum that the box then tells; None: none of these."""
    if data.startswith(b"PNSTKBDL"):
        _, signatures, length, _ = struct.unpack("<4I", data[8:24])
        if not signatures or not manifest_of(data):
            return None, ""
        data = subprocess.run(["zstd", "-dcq"], input=data[24 + 96 * signatures + length:], stdout=subprocess.PIPE, check=True).stdout
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as t:
            files = {os.path.normpath(m.name): t.extractfile(m).read().decode() for m in t.getmembers() if m.isfile()}
            return files, hashlib.sha256(data).hexdigest()
    except tarfile.TarError:
        return ({"penstock.yaml": data.decode()}, "") if data.startswith(b"penstock:") else (None, "")


def verdict(s, config):
    if config is None or "penstock.yaml" not in config:
        return {"ok": False, "changes": [], "text": "no penstock.yaml in it"}
    if "broken" in config["penstock.yaml"]:
        return {"ok": False, "changes": [], "text": "penstock.yaml:1:1: unknown key \"broken\""}
    changed = sorted(n for n in set(config) | set(s["config"]) if config.get(n) != s["config"].get(n))
    return {"ok": True, "changes": changed, "text": "".join("%s changes\n" % n for n in changed) or "nothing changes\n"}


def fail(text):
    print("penstock: " + text, file=sys.stderr)
    print("  hint: this box is a stand-in", file=sys.stderr)
    return 1


def manifest_of(data):
    """That of a whole bundle; None: it ends too early, or is none. Signatures are for the real boxes to judge."""
    if len(data) < 24 or data[:8] != b"PNSTKBDL":
        return None
    _, signatures, length, _ = struct.unpack("<4I", data[8:24])
    at = 24 + 96 * signatures
    try:
        manifest = json.loads(data[at:at + length])
    except ValueError:
        return None
    stored = sum(c[0] for c in manifest["payload"]["chunks"])
    return manifest if len(data) == at + length + stored else None


def do_upgrade(words, s_open):
    with s_open as s:
        slow = s["slow"]
    data = sys.stdin.buffer.read(100000) if slow else b""
    time.sleep(slow)
    data += sys.stdin.buffer.read()
    manifest = manifest_of(data)
    with s_open as s:
        s["uploads"] += 1
        if s["breaks"]:
            s["breaks"] -= 1
            os.kill(os.getppid(), 9)  # the session's sshd
            return 1
        if not manifest:
            return fail("the bundle ends too early")
        if s["behaviour"] == "refuses":
            return fail("no provisioned key vouches for this image")
        s["other"] = manifest["build"]
        s["reboot"], s["reboot_at"] = "other", time.time() + 0.5  # the session ends before, mostly
    print("written, rebooting")
    return 0


def do_rollback(words, s_open):
    with s_open as s:
        if not s["other"]:
            return fail("the other slot is empty")
        s["reboot"], s["reboot_at"] = "other", time.time() + 0.5  # the session ends before, mostly
    return 0


def do_apply(words, s_open):
    if "--previous" in words:
        with s_open as s:
            s["config"], s["previous"] = s["previous"], s["config"]
        return 0
    data = sys.stdin.buffer.read()
    with s_open as s:
        config, total = read_config(data) if data else (s["config"], s["sum"])
        v = verdict(s, config)
        if v["ok"] and words[0] == "apply":
            s["config"], s["previous"], s["sum"] = config, s["config"], total
            s["applied"] += 1
            s["healthy"] = "sick" not in config["penstock.yaml"]
    print(json.dumps(v))
    return 0 if v["ok"] else 1


def do_configuration(words, s_open):
    out = io.BytesIO()
    with s_open as s, tarfile.open(fileobj=out, mode="w") as t:
        for name, text in sorted(s["config"].items()):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    sys.stdout.buffer.write(out.getvalue())
    return 0


def do_status(words, s_open):
    with s_open as s:
        hang = s["behaviour"] == "hangs"
        text = json.dumps(status(s))
        if s["behaviour"] == "garbage":
            text = "{\"box\": \x1b[2J"
    if hang:
        time.sleep(600)
    print(text)
    return 0


def do_slot(words, s_open):
    with s_open as s:
        print(json.dumps(slots(s)))
    return 0


def do_logs(words, s_open):
    n = int(words[words.index("-n") + 1])
    with s_open as s:
        for i in range(n):
            print("line %d of %s \x1b[31mred" % (i + 1, s["name"]))
    return 0


def do_version(words, s_open):
    print("penstock 0.1")
    return 0


def do_support(words, s_open):
    sys.stdout.buffer.write(b"\x1f\x8bthe bundle of a stand-in\n" * 20000)
    return 0


def do_big(words, s_open):
    for _ in range(int(words[1]) // 1000):
        sys.stdout.write("y" * 999 + "\n")
    return 0


def do_slow(words, s_open):
    """Counts how many of these run at a time over all boxes."""
    shared = os.path.join(os.path.dirname(FOLDER), "running")
    os.makedirs(shared, exist_ok=True)
    mine = os.path.join(shared, os.path.basename(FOLDER))
    open(mine, "w").close()
    time.sleep(float(words[1]))
    print("%d" % len(os.listdir(shared)))
    os.unlink(mine)
    return 0


def do_echo(words, s_open):
    print(json.dumps(words[1:]))
    return 0


COMMANDS = {"status": do_status, "slot": do_slot, "check": do_apply, "apply": do_apply, "configuration": do_configuration,
            "upgrade": do_upgrade, "rollback": do_rollback, "logs": do_logs, "version": do_version, "support-bundle": do_support,
            "big": do_big, "slow": do_slow, "echo": do_echo}


def main():
    words = shlex.split(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    with open(os.path.join(FOLDER, "commands"), "a") as f:
        f.write(" ".join(words) + "\n")
    if not words or words[0] not in COMMANDS:
        print("penstock: no such command: '%s'" % (words[0] if words else ""), file=sys.stderr)
        return 2
    return COMMANDS[words[0]](words, State())


if __name__ == "__main__":
    sys.exit(main())
