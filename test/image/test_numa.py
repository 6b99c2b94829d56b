#!/usr/bin/python3
"""A box of two memory nodes with four cores each, looked at from inside: every thread on its core, each shard's memory on its core's
node, nothing else on the shards' cores. And, as it is up anyway: its network by DHCP, a VLAN set over SSH, and a clock that the
machine had wrong."""
import datetime
import json
import socket
import struct
import sys
import threading
import time

from lib.machine import Machine, image_path
from lib.report import Report

SHARDS = [1, 2, 3, 5, 6, 7]  # cores: the first of each node is left to the server and to everything else
# The second adapter leads to this computer's loopback, as 10.0.3.2, where a time server listens.
CLOCK_NET = ["-netdev", "user,id=n1,net=10.0.3.0/24", "-device", "virtio-net-pci,netdev=n1,romfile="]
FIRST = """box: 1
time: { servers: [10.0.3.2] }
"""
SETTINGS = FIRST + """network:
  interfaces:
    eth0: {}
    eth1: {}
    v40: { parent: eth0, vlan: 40, addresses: [198.51.100.1/24] }
"""


def main():
    with Report("test_numa", 420) as report, \
            Machine(image_path(), smp=8, mem=2048, numa=2, extra=["-rtc", "base=2019-03-01T00:00:00"] + CLOCK_NET) as m:
        threading.Thread(target=time_server, daemon=True).start()
        m.provision_esp({"authorized_keys": m.public_key, "box.yaml": FIRST})
        m.boot()
        m.wait_ssh(240)
        placement(report, m)
        network(report, m)


def time_server():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 123))
        while True:
            asked, who = s.recvfrom(512)
            if len(asked) == 48 and asked[0] & 7 == 3:
                t = time.time() + 2208988800
                stamp = struct.pack(">II", int(t), int(t % 1 * (1 << 32)))
                s.sendto(bytes([0x24, 1, 6, 0xEC]) + bytes(20) + asked[40:48] + stamp + stamp, who)


def wait(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(1)
    return True


def placement(report, m):
    def look():
        status, out, err = m.ssh(["placement", "--json"], check=False)
        return json.loads(out) if out.startswith("{") else {"shards": [], "threads": [], "problems": [err]}
    report.check("numa/shards_run", wait(lambda: len(look()["shards"]) == len(SHARDS), 60), look())
    report.check("numa/as_planned", wait(lambda: look().get("ok"), 100), look()["problems"])
    seen = look()
    report.equal("numa/nodes", seen["nodes"], 2)
    report.equal("numa/cores", sorted(s["cpu"] for s in seen["shards"]), SHARDS)
    report.check("numa/core_nodes", all(s["node"] == s["cpu"] // 4 for s in seen["shards"]), seen["shards"])
    for s in seen["shards"]:
        pages = s["store_kib"]
        report.check("numa/shard_%d/store" % s["shard"], pages[s["node"]] > 0 and pages[s["node"]] * 10 >= sum(pages) * 9, pages)
        report.check("numa/shard_%d/alone" % s["shard"], s["others"] == 0 and s["interrupts"] == 0, s)
    # Debian's kernel has no names of mappings: the rings are told by their policy, for the shards of a node together.
    for node, pages in enumerate(seen["bound_kib"]):
        report.check("numa/rings_%d" % node, pages[node] > 0 and pages[node] * 10 >= sum(pages) * 9, pages)
    of = {t["name"]: t["cpus"] for t in seen["threads"]}
    report.equal("numa/serve", of.get("serve 0"), "0")
    report.equal("numa/checkpoint", of.get("checkpoint"), "4")
    # Operators' state and rows: both nodes have shards, so both have memory of the pipeline.
    report.check("numa/both_nodes", min(seen["pipeline_kib"]) > 1024, seen["pipeline_kib"])
    text = m.ssh(["placement"], check=False)[1]
    report.check("numa/text", text.startswith("placement             as planned\n"), text)


def network(report, m):
    def state():
        return json.loads(m.ssh(["network", "--json"])[1])
    now = state()
    report.check("network/dhcp", now["ok"] and {"10.0.2.15", "10.0.3.15"} <= set(now["addresses"]), now)

    def clock():
        return json.loads(m.ssh(["time", "--json"])[1])
    report.check("time/synced", wait(lambda: clock()["synced"], 60), clock())
    # The machine said 2019; emulated and asked over SSH, its time now is seconds old.
    said = m.ssh(["time"])[1].split()[1]
    off = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(said, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    report.check("time/right", abs(off.total_seconds()) < 60, said)
    built = json.load(open(image_path(kind=".json")))["created"]
    floor = datetime.datetime.strptime(built, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    report.check("time/floor", clock()["floor"] >= floor, clock())
    m.ssh(["network", "set"], SETTINGS)
    report.check("vlan/up", wait(lambda: any(i["name"] == "v40" and i["vlan"] == 40 and i["up"] and "198.51.100.1/24" in i["addresses"]
                                                   for i in state()["interfaces"]), 30), state())
    report.equal("vlan/unconfirmed", state()["settings"]["confirm_left_s"] is None, False)
    m.ssh(["network", "confirm"])
    report.check("vlan/confirmed", wait(lambda: state()["settings"]["confirm_left_s"] is None, 20), state()["settings"])
    m.ssh(["network", "set"], SETTINGS.replace("v40", "v41").replace("vlan: 40", "vlan: 41"))
    report.check("vlan/another", wait(lambda: [i["name"] for i in state()["interfaces"] if i["vlan"]] == ["v41"], 30), state())
    m.ssh(["network", "set"], FIRST)
    report.check("vlan/gone", wait(lambda: [i["name"] for i in state()["interfaces"]] == ["eth0", "eth1"] and state()["settings"]["from"] == "box.yaml", 30), state())


if __name__ == "__main__":
    sys.exit(main())
