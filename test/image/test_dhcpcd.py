#!/usr/bin/python3
"""The DHCP client that goes into the image, built for this computer, against a hostile neighbour: router advertisements with options
of length zero and with more routes than anybody has. It must go on and take the next honest one."""
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from lib.machine import ROOT
from lib.report import Report

ROUTES_MAX = 64  # deps/recipes/dhcpcd.sh


def advertisement(*options, lifetime=1800):
    return struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0) + b"".join(options)


def route(number, lifetime=9000):
    return struct.pack("!BBBBI8s", 24, 2, 64, 0, lifetime, bytes([0x20, 1, 0xd, 0xb8, 0, 0, number >> 8, number & 255]))


ZERO_LENGTH = bytes([3, 0]) + bytes(14)


def inside(program, folder):
    """In a network of its own: v0 is the client's, v1 the neighbour's. Prints the client's log."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    os.makedirs("/run/dhcpcd")
    subprocess.run(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], check=True)
    for name in ("lo", "v0", "v1"):
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    log = os.path.join(folder, "log")
    with open(log, "wb") as f:
        client = subprocess.Popen([program, "-B", "-d", "-6", "-f", "/dev/null", "-c", "", "v0"], stdout=f, stderr=f, stdin=subprocess.DEVNULL)

    def text():
        with open(log, errors="replace") as f:
            return f.read()

    def until(what, again=None, seconds=30):
        end = time.monotonic() + seconds
        while what not in text() and time.monotonic() < end and client.poll() is None:
            if again:
                send(again)
            time.sleep(0.3)

    def send(packet):
        index = socket.if_nametoindex("v1")
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as s:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
            try:
                s.sendto(packet, ("ff02::1", 0, 0, index))
            except OSError:
                pass  # the address is not ready yet: sent again
    until("sending Router Solicitation")
    until("adding route to 2001:db8:0:1::/64", advertisement(*[route(i) for i in range(1, 90)]))
    until("zero length option", advertisement(route(1), ZERO_LENGTH))
    # The old routes are withdrawn, which makes room for another.
    until("deleting route to 2001:db8:0:1::/64", advertisement(*[route(i, 0) for i in range(1, 90)]))
    until("adding route to 2001:db8:0:200::/64", advertisement(route(0x200)))
    client.send_signal(signal.SIGTERM)
    try:
        code = client.wait(10)
    except subprocess.TimeoutExpired:
        code = "it did not end when asked"
        client.kill()
        client.wait()
    print("%s\n=== ended: %s" % (text(), code))


def main():
    with Report("test_dhcpcd", 300) as report, tempfile.TemporaryDirectory(prefix="penstock-dhcpcd-") as folder:
        made = subprocess.run([os.path.join(ROOT, "scripts/deps"), platform.machine(), "--programs"], stdout=subprocess.PIPE, check=True, text=True)
        program = [os.path.join(line, "bin/dhcpcd") for line in made.stdout.split() if os.path.exists(os.path.join(line, "bin/dhcpcd"))][0]
        done = subprocess.run(["unshare", "-rnm", "/usr/bin/python3", os.path.abspath(__file__), "--inside", program, folder],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240)
        said = done.stdout
        report.check("dhcpcd/takes-routes", "adding route to 2001:db8:0:1::/64" in said, said[-800:])
        report.check("dhcpcd/bounds-routes", 0 < said.count("adding route to 2001:db8:0:") <= ROUTES_MAX + 1, said.count("adding route to"))
        report.check("dhcpcd/sees-the-zero", "zero length option" in said, said[-800:])
        report.check("dhcpcd/goes-on", "adding route to 2001:db8:0:200::/64" in said, said[-800:])
        report.check("dhcpcd/ends-in-order", "=== ended: 0" in said, said[-300:])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:4])
    else:
        main()
