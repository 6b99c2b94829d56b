"""The network process of a box, in a folder that looks like one, in namespaces of its own: DHCP and router advertisements from a real
server, fixed addresses, changes that are confirmed and changes that are taken back, cables, time servers, and its end.

It may not set the machine's clock: the capability for that is taken from it, and the test looks that it is."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__))))
from lib import procs
from lib.report import Report

BUILD = os.path.dirname(procs.binary())
NTP = r"""
import socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.1", 123))
while True:
    q, who = s.recvfrom(512)
    if len(q) != 48 or q[0] & 7 != 3:
        continue
    t = time.time() + 2208988800
    stamp = (int(t) << 32) | int((t % 1) * (1 << 32))
    s.sendto(struct.pack(">BBBbII4s", 0x24, 1, 6, -20, 0, 0, b"TEST") + struct.pack(">Q", stamp) + q[40:48]
             + struct.pack(">QQ", stamp, stamp), who)
"""


def dhcpcd():
    """dhcpcd as the image has it, built for this machine."""
    out = subprocess.run([os.path.join(procs.ROOT, "scripts", "deps"), os.uname().machine, "--programs"],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return [line for line in out.split() if "/dhcpcd-" in line][0] + "/bin/dhcpcd"


class Box:
    def __init__(self, dhcpcd_path):
        self.root = procs.temp_dir("box-network")
        self.log = self.root + ".log"
        self.process = None
        for d in ("bin", "etc/penstock", "proc", "sys", "dev", "run", "data", "var/empty", "tmp"):
            os.makedirs(os.path.join(self.root, d))
        os.chmod(self.root, 0o755)
        for source, target in ((BUILD + "/init", "init"), (BUILD + "/penstock", "bin/penstock"), (dhcpcd_path, "bin/dhcpcd")):
            shutil.copy(source, self.path(target))
            os.chmod(self.path(target), 0o755)
        for name in ("passwd", "group"):
            shutil.copy(os.path.join(procs.ROOT, "rootfs", "etc", name), self.path("etc/" + name))
        os.symlink("/run/resolv.conf", self.path("etc/resolv.conf"))
        with open(self.path("etc/penstock/image.json"), "w") as f:
            f.write('{"version":"0","created":"2026-06-01T00:00:00Z"}')
        # The namespaces stay when the network process goes: these hold them.
        self.holder = self.hold(["-n", "-m", "-u"])
        self.server = self.hold(["-n"])
        setup = """
            mount --make-rprivate /
            mount --bind /proc %(r)s/proc && mount -t sysfs sysfs %(r)s/sys && mount -t tmpfs tmpfs %(r)s/run
            mount -t tmpfs tmpfs %(r)s/data && mkdir %(r)s/run/box && mkdir -m 700 %(r)s/data/box
            for n in null zero urandom random; do : >%(r)s/dev/$n; mount --bind /dev/$n %(r)s/dev/$n; done
            ip link add eth0 type veth peer name far
            ip link set far netns %(s)d
        """ % {"r": self.root, "s": self.server.pid}
        self.inside(["sh", "-ec", setup])
        self.outside(["sh", "-ec", "ip link set lo up; ip link set far up; ip addr add 192.0.2.1/24 dev far; "
                      "ip addr add 2001:db8::1/64 dev far nodad"])

    def path(self, name):
        return os.path.join(self.root, name)

    def hold(self, namespaces):
        p = procs.start(["unshare"] + namespaces + ["sh", "-c", "echo held >%s.held; exec sleep 600" % self.root], self.log)
        wait(lambda: os.path.exists(self.root + ".held"), 10)
        os.unlink(self.root + ".held")
        return p

    def enter(self, holder, flags, argv):
        return ["nsenter", "-t", str(holder.pid)] + flags + argv

    def inside(self, argv, **more):
        return subprocess.run(self.enter(self.holder, ["-n", "-m", "-u"], argv), check=True, stdout=subprocess.PIPE, **more).stdout.decode()

    def outside(self, argv):
        return subprocess.run(self.enter(self.server, ["-n"], argv), check=True, stdout=subprocess.PIPE).stdout.decode()

    def start(self):
        self.process = procs.start(self.enter(self.holder, ["-n", "-m", "-u"], [
            "setpriv", "--bounding-set", "-sys_time", "--inh-caps", "-all", "chroot", self.root, "/init", "network"]), self.log)

    def start_outside(self, argv):
        return procs.start(self.enter(self.server, ["-n"], argv), self.log)

    def command(self, words, text=None):
        """penstock box WORDS: status, output."""
        r = subprocess.run(self.enter(self.holder, ["-n", "-m", "-u"], ["chroot", self.root, "/bin/penstock", "box"] + words),
                           input=(text or "").encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return r.returncode, r.stdout.decode()

    def read(self, name):
        """A file in the box's own mounts."""
        try:
            with open("/proc/%d/root%s/%s" % (self.holder.pid, self.root, name)) as f:
                return f.read()
        except OSError:
            return ""

    def write(self, name, text):
        path = "/proc/%d/root%s/%s" % (self.holder.pid, self.root, name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def state(self):
        try:
            return json.loads(self.read("run/box/network.json"))
        except ValueError:
            return {}

    def addresses(self):
        return self.state().get("addresses", [])

    def children(self, name):
        """Children of the network process by the name of their program."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % pid) as f:
                    fields = f.read().rsplit(")", 1)
                if int(fields[1].split()[1]) == self.process.pid and fields[0].split("(", 1)[1] == name:
                    found.append(int(pid))
            except (OSError, ValueError, IndexError):
                continue
        return found


def wait(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


def log_of(report, box):
    with open(box.log) as f:
        report.note("log:\n" + f.read()[-6000:])
    report.note("state: %s" % box.read("run/box/network.json"))


def main():
    with Report("box_network", 150) as report:
        box = Box(dhcpcd())
        report.on_failure.append(lambda: log_of(report, box))
        leases = os.path.join(box.root, "tmp", "leases")
        dns_log = box.root + ".dnsmasq"
        dnsmasq = ["dnsmasq", "-k", "--conf-file=/dev/null", "--port=0", "--interface=far", "--bind-interfaces", "--user=root",
                   "--dhcp-leasefile=" + leases, "--log-dhcp", "--log-facility=" + dns_log, "--pid-file=",
                   "--dhcp-range=192.0.2.50,192.0.2.60,2m", "--dhcp-range=2001:db8::100,2001:db8::200,slaac,64,2m", "--enable-ra",
                   "--dhcp-option=option:ntp-server,192.0.2.1", "--dhcp-option=option:dns-server,192.0.2.53,192.0.2.54",
                   "--dhcp-option=option6:dns-server,[2001:db8::53]", "--dhcp-option=option:domain-name,example.net",
                   "--dhcp-option=option:router,192.0.2.1"]
        server = box.start_outside(dnsmasq)
        box.start_outside([sys.executable, "-c", NTP])
        box.start()

        # Without settings: DHCP and router advertisements.
        report.check("dhcp/address", wait(lambda: any(a.startswith("192.0.2.5") or a == "192.0.2.60" for a in box.addresses()), 20), box.addresses())
        with open("/proc/%d/status" % box.process.pid) as f:
            bounding = int(re.search(r"CapBnd:\s*(\w+)", f.read()).group(1), 16)
        report.check("clock/not_the_machines", not bounding >> 25 & 1, hex(bounding))
        report.check("dhcp/gateway", wait(lambda: "192.0.2.1" in box.state().get("gateways", []), 5), box.state())
        report.check("dhcp/resolvers", wait(lambda: "nameserver 192.0.2.53\nnameserver 192.0.2.54\n" in box.read("run/resolv.conf")
                                            and "search example.net" in box.read("run/resolv.conf"), 5), box.read("run/resolv.conf"))
        report.check("ra/address", wait(lambda: any(a.startswith("2001:db8::") for a in box.addresses()), 20), box.addresses())
        report.check("state/ok", wait(lambda: box.state().get("ok") is True, 5), box.state())
        report.equal("state/hostname", box.state()["hostname"], "penstock")
        report.check("dhcpcd/unprivileged", confined(box), "its parts run as root")
        # The clock may not be set here, so what is shown is that the server was asked and found right.
        report.check("time/asked", wait(lambda: box.state()["time"]["answered"] == 1 and box.state()["time"]["servers"] == ["192.0.2.1"], 20), box.state()["time"])
        report.check("time/said", "the clock cannot be set" == box.state()["time"]["detail"] and not box.state()["time"]["synced"], box.state()["time"])
        report.equal("time/user", sorted(set(uid_of(p) for p in box.children("init"))), [103])

        # A renewal.
        before = count(dns_log, "DHCPREQUEST")
        report.equal("renew/status", box.command(["network", "renew"])[0], 0)
        report.check("renew/asked", wait(lambda: count(dns_log, "DHCPREQUEST") > before, 15), "no request")

        # A cable that is pulled and put in again.
        box.outside(["ip", "link", "set", "far", "down"])
        report.check("cable/out", wait(lambda: box.state().get("ok") is False, 10), box.state())
        box.outside(["ip", "link", "set", "far", "up"])
        report.check("cable/in", wait(lambda: any(a.startswith("192.0.2.") for a in box.addresses()), 30), box.addresses())

        # dhcpcd dies, and comes again.
        old = box.children("dhcpcd")
        os.kill(old[0], signal.SIGKILL)
        report.check("dhcpcd/again", wait(lambda: box.children("dhcpcd") and box.children("dhcpcd") != old, 15), old)
        report.check("dhcpcd/address_again", wait(lambda: any(a.startswith("192.0.2.") for a in box.addresses()), 30), box.addresses())

        fixed = "box: 1\nhostname: edge-17\ntime: { servers: [] }\nnetwork: { dns: [192.0.2.99], interfaces: { eth0: { addresses: [192.0.2.%d/24], gateway4: 192.0.2.1 } } }\n"
        # A change that is confirmed.
        status, text = box.command(["network", "set"], fixed % 10)
        report.check("set/status", status == 0 and "network confirm" in text, text)
        report.check("set/address", wait(lambda: box.addresses() == ["192.0.2.10"], 15), box.addresses())
        report.check("set/answers", wait(lambda: ping(box, "192.0.2.10"), 5), "no answer")
        report.check("set/resolvers", box.read("run/resolv.conf").startswith("nameserver 192.0.2.99\noptions"), box.read("run/resolv.conf"))
        report.check("set/no_dhcp", wait(lambda: not box.children("dhcpcd") and not box.children("init"), 10), "children run on")
        report.equal("set/hostname", box.inside(["hostname"]).strip(), "edge-17")
        report.check("set/unconfirmed", 0 < box.state()["settings"]["confirm_left_s"] <= 120, box.state()["settings"])
        report.equal("confirm/status", box.command(["network", "confirm"])[0], 0)
        report.check("confirm/done", wait(lambda: box.state()["settings"]["confirm_left_s"] is None, 5), box.state()["settings"])

        # One that cuts off: not confirmed, it is taken back. The two minutes are made to be over.
        report.equal("back/set", box.command(["network", "set"], fixed.replace("edge-17", "lost") % 20)[0], 0)
        report.check("back/address", wait(lambda: box.addresses() == ["192.0.2.20"], 15), box.addresses())
        box.write("run/box/network-deadline", "%d\n" % (time.clock_gettime(time.CLOCK_BOOTTIME) * 1000))
        report.check("back/again", wait(lambda: box.addresses() == ["192.0.2.10"], 15), box.addresses())
        report.check("back/said", wait(lambda: box.state()["settings"]["rolled_back"] and box.state()["hostname"] == "edge-17", 5), box.state())
        report.equal("back/confirm_late", box.command(["network", "confirm"])[0], 1)

        # A restart of the box with an unconfirmed change: /run is empty then.
        report.equal("restart/set", box.command(["network", "set"], fixed % 30)[0], 0)
        report.check("restart/address", wait(lambda: box.addresses() == ["192.0.2.30"], 15), box.addresses())
        box.process.kill()
        box.process.wait()
        box.inside(["rm", "-rf", box.path("run/box")])
        box.start()
        report.check("restart/back", wait(lambda: box.addresses() == ["192.0.2.10"], 15), box.addresses())

        # What is wrong changes nothing, and is said.
        box.write("data/box/box.yaml", "box: 1\nnetwork: { interfaces: { eth0: { adresses: [] } } }\n")
        report.check("wrong/said", wait(lambda: "did you mean addresses?" in box.state().get("settings", {}).get("error", ""), 10), box.state())
        report.equal("wrong/kept", box.addresses(), ["192.0.2.10"])
        status, text = box.command(["network", "set"], "box: 1\nssh: { root_shell: true }\n")
        report.check("wrong/no_root_shell", status == 2 and "ssh.root_shell" in text, text)
        status, text = box.command(["network"])
        report.check("show/text", status == 0 and "192.0.2.10/24" in text and "not ok" in text, text)
        status, text = box.command(["network", "--json"])
        report.check("show/json", status == 0 and json.loads(text)["addresses"] == ["192.0.2.10"], text)
        report.equal("show/time", box.command(["time"])[0], 0)

        # Without a file again, and another interface that comes later.
        box.inside(["rm", box.path("data/box/box.yaml")])
        report.check("hotplug/first", wait(lambda: any(a.startswith("192.0.2.5") or a == "192.0.2.60" for a in box.addresses()), 30), box.addresses())
        box.inside(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth2"])
        report.check("hotplug/up", wait(lambda: {"eth0", "eth1", "eth2"} == {i["name"] for i in box.state().get("interfaces", []) if i["up"]}, 10), box.state())

        # Its end takes its children with it.
        kids = box.children("dhcpcd") + box.children("init")
        box.process.send_signal(signal.SIGTERM)
        report.check("end/status", box.process.wait(15) == 0, box.process.returncode)
        report.check("end/children", kids and not any(os.path.exists("/proc/%d" % k) for k in kids), kids)
        server.terminate()


def confined(box):
    """All of dhcpcd but the part that does what needs root."""
    uids = []
    for pid in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                line = f.read()
            if line.startswith(b"dhcpcd: ") and b"privileged" not in line and os.path.samefile("/proc/%s/ns/net" % pid, "/proc/%d/ns/net" % box.holder.pid):
                uids.append(uid_of(int(pid)))
        except OSError:
            continue
    return len(uids) >= 2 and set(uids) == {102}


def uid_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"Uid:\s*(\d+)", f.read()).group(1))


def count(path, word):
    with open(path) as f:
        return f.read().count(word)


def ping(box, address):
    """Whether the neighbour answers: without a ping program, by what the kernel finds out about it."""
    box.outside(["sh", "-c", "echo x >/dev/udp/%s/9 2>/dev/null || python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"%s\", 9))'" % (address, address)])
    time.sleep(0.1)
    return bool(re.search(r"lladdr", box.outside(["ip", "neigh", "show", "to", address])))


if __name__ == "__main__":
    main()
