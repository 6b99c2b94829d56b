#!/usr/bin/python3
"""Slots switched by a boot loader, for firmware that keeps no variables: a slot is tried once, what is broken gives way to the other
one, and the confirmed slot is the one that starts."""
import os
import subprocess
import tempfile

from lib.machine import ROOT, Machine, get_file, put_files
from lib.report import Report

BLOCK = "EFI/debian/grubenv"


def build(out, *more):
    subprocess.run(["scripts/image", "qemu-counting", "--quick", "--out", out, *more], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    return os.path.join(out, "penstock-qemu-counting")


def set_block(m, first, following):
    text = "# GRUB Environment Block\nfirst=%s\nnext=%s\nstarted=\n" % (first, following)
    put_files(m.disk, {BLOCK: text.ljust(1024, "#")}, m.partition("penstock-boot")[0])


def block(m):
    """{name: value} of the loader's environment, and its size."""
    text = get_file(m.disk, BLOCK, m.partition("penstock-boot")[0])
    return dict(line.split("=", 1) for line in text.decode().splitlines() if "=" in line), len(text)


def write_slot(m, name, path):
    with open(path, "rb") as f:
        m.write_disk(name, 0, f.read())


def started_slot(m, count=1):
    return m.wait_console(r"the box's disk is /dev/vda, slot (\S+)", 150, count)[1]


def main():
    with Report("test_counting", 400) as report, tempfile.TemporaryDirectory(prefix="penstock-counting-") as top:
        text = os.path.join(top, "init")
        with open(text, "w") as f:
            f.write("this is no program\n")
        image = build(os.path.join(top, "good"))
        broken = build(os.path.join(top, "broken"), "--replace", "/init=" + text)
        with Machine(image + ".img") as m:
            report.equal("counting/as-shipped", block(m), ({"first": "a", "next": "", "started": ""}, 1024))
            write_slot(m, "penstock-b", broken + "-slot.fat")
            set_block(m, "a", "b")
            m.boot()
            report.equal("counting/broken-slot-gives-way", started_slot(m), "A")
            report.check("counting/broken-slot-was-tried", "Kernel panic" in m.console, m.tail())
            m.power_cut()
            report.equal("counting/tried-once", block(m), ({"first": "a", "next": "", "started": "a"}, 1024))
            write_slot(m, "penstock-b", image + "-slot.fat")
            set_block(m, "a", "b")
            m.boot()
            report.equal("counting/good-slot-is-tried", started_slot(m), "B")
            m.power_cut()
            report.equal("counting/next-is-taken-out", block(m), ({"first": "a", "next": "", "started": "b"}, 1024))
            set_block(m, "b", "")
            m.write_disk("penstock-b", 0, bytes(1 << 20))
            m.boot()
            report.equal("counting/missing-slot-gives-way", started_slot(m), "A")


if __name__ == "__main__":
    main()
