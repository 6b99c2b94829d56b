"""A box as the console sees it: the commands behind it, as their contract says, over an instance of the program on this machine.
Claiming, sessions, keys, certificates, configurations, tokens and
versions are those of the program, with its files below `root`; the machine itself is made up."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import time

from . import procs
from .control import Control


class FakeBox:
    def __init__(self, path, dir, hostname="edge-17"):
        self.dir, self.hostname, self.instance, self.root = dir, hostname, None, os.path.join(dir, "box")
        for d in ("data/box", "data/config/current", "data/store", "data/log", "run/box", "etc/penstock/default"):
            os.makedirs(os.path.join(self.root, d))
        self.uploaded, self.network, self.gone, self.slow, self.upload_stop = None, "", [], 0, None
        self.control = Control(path, {n: getattr(self, "do_" + n.replace("-", "_")) for n in COMMANDS}, self.holds)

    # ---- how it is ----
    def do_status(self, call):
        checks = [{"name": n, "ok": True, "detail": ""} for n in ("init", "network", "pipeline", "api")]
        call.out(json.dumps({"box": {
            "hostname": self.hostname, "board": "qemu-virt", "image": {"version": "0.1.0", "build": "20261128-31b4689"},
            "slot": {"running": "a", "state": "confirmed", "other": {"version": "0.0.9", "build": "20261101-aaaaaaa"}},
            "uptime_s": 4000, "time": {"synced": True}, "claimed": True, "rescue": False, "health": {"ok": True, "checks": checks},
            "addresses": ["10.0.2.15", "fec0::5054:ff:fe12:3456"], "fingerprint": {"ssh": "SHA256:" + "s" * 43, "tls": "SHA256:" + "t" * 43},
            "configuration": {"sha256": "0" * 64, "applied_at": "2026-11-28T05:00:00Z", "previous": False}}, "penstock": None}))
        return 0

    def do_slot(self, call):
        call.out(json.dumps({"running": "a", "state": "confirmed", "slots": {"a": {"version": "0.1.0", "build": "20261128-31b4689", "valid": True}, "b": None},
                             "trial": None, "last": {"result": "rolled-back", "reason": "the API did not answer", "at": "2026-11-27T03:00:00Z"}}))
        return 0

    def do_logs(self, call):
        lines = int(call.words[call.words.index("-n") + 1])
        for i in range(min(lines, 300)):
            call.out("2026-11-28T05:00:%02dZ penstock level=info part=pipeline msg=\"line %d\"\n" % (i % 60, i))
        call.out("2026-11-28T05:01:00Z init msg=\"<b>not a tag</b>\"\n")
        return 0

    def do_support_bundle(self, call):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as t:
            t.addfile(tarfile.TarInfo("penstock-support/status.json"), io.BytesIO())
        call.out(out.getvalue())
        return 0

    def do_network(self, call):
        if call.words[1:2] == ["set"]:
            text = call.read().decode()
            if "wrong" in text:
                call.err("penstock: box.yaml:3:5: unknown key \"wrong\"\n  hint: interfaces, dns\n")
                return 2
            self.network = text
            call.out("on trial for 120 s\n")
        elif call.words[1:2] == ["confirm"]:
            call.out("kept\n")
        else:
            call.out(json.dumps({"ok": True, "detail": "", "hostname": self.hostname, "gateways": ["10.0.2.2"], "resolvers": ["10.0.2.3"], "missing": [],
                                 "interfaces": [{"name": "eth0", "link": "eth0", "mac": "52:54:00:12:34:56", "up": True, "carrier": True, "mtu": 1500, "vlan": 0,
                                                 "dhcp4": True, "dhcp6": True, "addresses": ["10.0.2.15/24"]}],
                                 "settings": {"from": "defaults", "error": "", "problems": "", "confirm_left_s": None, "rolled_back": False}}))
        return 0

    def do_time(self, call):
        call.out(json.dumps({"synced": True, "state": "synced", "detail": "", "offset_us": 3000, "stratum": 2, "servers": ["pool.ntp.org"]}))
        return 0

    # ---- seldom ----
    def do_upgrade(self, call):
        digest, size = hashlib.sha256(), 0
        while True:
            piece = os.read(call.fds[0], 1 << 16)
            if not piece:
                break
            digest.update(piece)
            size += len(piece)
            self.uploaded = (size, None)
            if self.upload_stop and size >= self.upload_stop:
                call.err("penstock: the image's signature is of no key that this box knows\n  hint: penstock keys show\n")
                return 1
            if self.slow:
                time.sleep(self.slow)
        call.out("writing slot b\rwriting slot b: 50 %\nread back\nthe box starts anew with slot b\n")
        self.uploaded = (size, digest.hexdigest())
        return 0

    def _gone(self, call):
        self.gone.append(call.words)
        return 0

    do_reboot = do_rollback = _gone

    def do_factory_reset(self, call):
        if call.words[1] != "--yes" or call.words[2] != self.hostname:
            call.err("penstock: this box is not called '%s'\n" % call.words[2])
            return 2
        return self._gone(call)

    # ---- the configuration, by the program itself ----
    def penstock(self, *words):
        p = subprocess.run([procs.binary()] + list(words), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, cwd=self.dir, errors="replace")
        return p.returncode, p.stdout, p.stderr

    def _own(self, call, data=True):
        words = [call.words[0], "-c", self.instance.config] + (["--data", self.instance.data] if data else []) + call.words[1:]
        status, out, err = self.penstock(*words)
        call.out(out)
        call.err(err)
        return status

    do_explain = do_why = do_token = do_version = _own

    def do_contract(self, call):
        return self._own(call, data=False)

    # As on a box, with its files below self.root.
    def _box(self, call):
        p = subprocess.run([procs.binary(), "box", "--root", self.root] + call.words, input=call.read(), capture_output=True, timeout=90)
        call.out(p.stdout)
        call.err(p.stderr)
        return p.returncode

    do_check = do_apply = do_configuration = do_claim = do_login = do_logout = do_password = do_ssh_key = do_certificate = _box

    def say(self, *words, input=b""):
        """What a command prints that the box's owner runs by another way."""
        return subprocess.run([procs.binary(), "box", "--root", self.root] + list(words), input=input, capture_output=True, timeout=30, check=True).stdout.decode().strip()

    def holds(self, token):
        return subprocess.run([procs.binary(), "box", "--root", self.root, "session", token], capture_output=True, timeout=30).returncode == 0

    @property
    def files(self):
        """The configuration that is in force."""
        out = {}
        top = os.path.join(self.root, "data/config/current")
        for folder, _, names in os.walk(top):
            for n in names:
                path = os.path.join(folder, n)
                if not n.startswith("."):
                    with open(path) as f:
                        out[os.path.relpath(path, top)] = f.read()
        return out


COMMANDS = ("claim login logout password status slot logs support-bundle network time ssh-key certificate upgrade reboot rollback factory-reset explain why "
            "token version contract configuration check apply").split()
