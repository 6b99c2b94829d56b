"""Boxes of a fleet on loopback: a real sshd for each, in front of a STAND-IN for the box (fleet_box.py). A box that is told to boot loses its
sshd with all connections, stays away, and comes back as its `behaviour` says:

  healthy     on the new slot, on trial, then confirmed
  unhealthy   on the new slot, on trial and unhealthy; after the trial back on the old one (fallback)
  panics      back on the old slot at once (fallback)
  never       not at all
  liar        says that it runs the new build, while the old slot runs
  refuses     does not take the upgrade; garbage, hangs: what `status` answers
"""

import getpass
import json
import os
import socket
import subprocess
import sys
import threading
import time

from . import procs

TRIAL_S = 3
DOWN_S = 0.6


class Fleet:
    """The operator's side: an inventory with all boxes, and `penstock fleet`."""

    def __init__(self, folder, boxes, **options):
        self.folder, self.boxes = folder, boxes
        self.inventory = os.path.join(folder, "fleet.yaml")
        self.state = os.path.join(folder, "fleet-state")
        boxes.inventory(self.inventory, **options)

    def argv(self, *words):
        return [procs.binary(), "fleet", "-i", self.inventory] + list(words)

    def __call__(self, *words, stdin=None, seconds=60):
        p = subprocess.run(self.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=stdin or b"", timeout=seconds)
        return p.returncode, p.stdout.decode(), p.stderr.decode()

    def start(self, *words):
        return subprocess.Popen(self.argv(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def log(self):
        with open(os.path.join(self.state, "log.jsonl")) as f:
            return [json.loads(line) for line in f]

    def rollouts(self):
        return json.loads(self("rollouts", "--json")[1])["rollouts"]

    def image(self, build):
        """A signed bundle of a little image."""
        key, slot, info = (os.path.join(self.folder, n) for n in ("builder", build + ".img", build + ".json"))
        path = os.path.join(self.folder, build + ".pimage")
        if not os.path.exists(key + ".key"):
            subprocess.run([procs.binary(), "keys", "create", key], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(slot, "wb") as f:
            f.write(os.urandom(3 << 20))
        with open(info, "w") as f:
            json.dump({"version": "0.2.0", "build": build, "board": "qemu-virt", "arch": "aarch64", "store_format": 3,
                       "store_format_oldest": 2, "created": "2026-11-28T05:00:00Z"}, f)
        subprocess.run([procs.binary(), "bundle", "image", slot, info, "--key", key + ".key", "-o", path], check=True, stdout=subprocess.DEVNULL)
        return path


def rows(text):
    """First word of each line -> the line."""
    return {line.split()[0]: line for line in text.splitlines() if line.strip()}


class Boxes:
    def __init__(self, folder, names, build="build-1"):
        self.folder, self.names = folder, list(names)
        self.ports, self.sshd, self.silent = {}, {}, []
        self.stopping = threading.Event()
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # sshd wants it, used or not
        self.key = os.path.join(folder, "client")
        self._keygen(self.key)
        for name in self.names:
            self._make(name, build)
        self.thread = threading.Thread(target=self._watch, daemon=True)
        for name in self.names:
            self.start(name)
        self.thread.start()

    def _keygen(self, path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)

    def _make(self, name, build):
        d = os.path.join(self.folder, name)
        os.makedirs(d)
        self.ports[name] = procs.free_port()
        self.new_host_key(name)
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fleet_box.py")
        with open(os.path.join(d, "sshd_config"), "w") as f:
            f.write("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nPidFile none\nUsePAM no\nStrictModes no\n"
                    "AuthorizedKeysFile %s.pub\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                    "PermitRootLogin yes\nMaxStartups 200\nMaxSessions 50\nUseDNS no\nSetEnv HOME=%s\nForceCommand %s %s %s\n"
                    % (self.ports[name], d, self.key, d, sys.executable, program, d))  # no profile of this computer's user speaks up
        self._write(name, {"name": name, "build": build, "other": None, "slot": "a", "state": "confirmed", "healthy": True,
                           "booted": time.time() - 1000, "trial_until": 0, "last": None, "behaviour": "healthy", "claims": None,
                           "reboot": None, "reboot_at": 0, "filler": 0, "slow": 0, "breaks": 0, "uploads": 0, "applied": 0, "fingerprint": self.fingerprint(name),
                           "config": {"penstock.yaml": "penstock: 1\n"}, "sum": "", "previous": None})

    def new_host_key(self, name):
        path = os.path.join(self.folder, name, "host")
        for p in (path, path + ".pub"):
            if os.path.exists(p):
                os.unlink(p)
        self._keygen(path)

    def fingerprint(self, name):
        out = subprocess.run(["ssh-keygen", "-l", "-f", os.path.join(self.folder, name, "host.pub")], check=True, stdout=subprocess.PIPE)
        return out.stdout.decode().split()[1]

    # ---- state ----

    def _write(self, name, all_):
        path = os.path.join(self.folder, name, "state.json")
        with open(path + ".new", "w") as f:
            json.dump(all_, f)
        os.rename(path + ".new", path)

    def _locked(self, name):
        import importlib
        argv, sys.argv = sys.argv, ["fleet_box", self.folder]
        try:
            return importlib.import_module("lib.fleet_box").State(os.path.join(self.folder, name))
        finally:
            sys.argv = argv

    def set(self, name, **values):
        with self._locked(name) as s:
            s.update(values)

    def get(self, name, key):
        with self._locked(name) as s:
            return s[key]

    def commands(self, name):
        try:
            with open(os.path.join(self.folder, name, "commands")) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    # ---- up and down ----

    def start(self, name):
        d = os.path.join(self.folder, name)
        self.sshd[name] = procs.start(["/usr/sbin/sshd", "-D", "-e", "-f", d + "/sshd_config"], d + "/sshd.log")

    def stop(self, name):
        p = self.sshd.pop(name, None)
        if p is None:
            return
        p.send_signal(19)  # it takes no connection while its sessions are ended
        for pid in procs.descendants(of=p.pid):
            procs.kill(pid)
        p.kill()
        p.wait()

    def wait_up(self, names=None, seconds=20):
        for name in names or self.names:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", self.ports[name])) == 0:
                        break
                time.sleep(0.05)
            else:
                raise RuntimeError("sshd of %s does not start" % name)

    def go_silent(self, name):
        """Takes connections, and never says a word."""
        self.stop(name)
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", self.ports[name]))
        s.listen(50)
        self.silent.append(s)

    def _watch(self):
        boots = {}  # name -> (when, what)
        while not self.stopping.wait(0.05):
            now = time.time()
            for name in self.names:
                with self._locked(name) as s:
                    self._turn(name, s, now, boots)

    def _turn(self, name, s, now, boots):
        if name in boots:
            when, what = boots[name]
            if now >= when:
                del boots[name]
                if self._boot(s, what, now):
                    self.start(name)
        elif s["reboot"] and now >= s["reboot_at"]:
            boots[name] = (now + DOWN_S, s["reboot"])
            s["reboot"] = None
            self.stop(name)
        elif s["state"] == "trial" and now >= s["trial_until"]:
            if s["healthy"]:
                s["state"] = "confirmed"
                s["last"] = {"result": "confirmed", "reason": "", "at": "2026-11-28T05:00:00Z"}
            else:
                boots[name] = (now + DOWN_S, "fallback")
                self.stop(name)

    def _boot(self, s, what, now):
        """False: it does not come back."""
        if s["behaviour"] == "never":
            return False
        s["booted"] = now
        if what == "other" and s["behaviour"] == "liar":
            s["claims"] = s["other"]
            return True
        if what == "other" and s["behaviour"] == "panics":
            what = "panicked"
        if what == "panicked":
            s["state"] = "fallback"
            s["last"] = {"result": "rolled-back", "reason": "the kernel panicked", "at": "2026-11-28T05:00:00Z"}
            return True
        s["slot"] = {"a": "b", "b": "a"}[s["slot"]]
        s["build"], s["other"] = s["other"], s["build"]
        if what == "fallback":
            s["state"], s["healthy"] = "fallback", True
            s["last"] = {"result": "rolled-back", "reason": "pipeline: does not start", "at": "2026-11-28T05:00:00Z"}
        else:
            s["healthy"] = s["behaviour"] != "unhealthy"
            s["state"] = "trial"
            s["trial_until"] = now + (TRIAL_S if not s["healthy"] else 1)
        return True

    def close(self):
        self.stopping.set()
        self.thread.join()

    # ---- the operator's side ----

    def inventory(self, path, parallel=16, extra="", timeout="4s"):
        user = getpass.getuser()
        with open(path, "w") as f:
            f.write("fleet: 1\nssh: { user: %s, identity: %s, connect_timeout: %s }\nparallel: %d\n%sboxes:\n"
                    % (user, self.key, timeout, parallel, extra))
            for i, name in enumerate(self.names):
                f.write("  %s: { address: 127.0.0.1, ssh: { port: %d }, groups: [%s], labels: { ring: %s } }\n"
                        % (name, self.ports[name], "even" if i % 2 == 0 else "odd", "canary" if i == 2 else "main"))
            f.write("groups: { even: , odd: { labels: { side: left } } }\n")

    def prints(self, path):
        with open(path, "w") as f:
            for name in self.names:
                f.write("%s %s\n" % (name, self.fingerprint(name)))
