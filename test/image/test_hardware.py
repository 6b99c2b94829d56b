#!/usr/bin/python3
"""The image for servers on what the emulator has of their hardware: it finds its disk on NVMe, SCSI and USB, with the modules that
each needs, on one and on two memory nodes, and makes its data partition there."""
import os
import subprocess
import tempfile

from lib.machine import ROOT, Machine
from lib.report import Report

# disk, network adapter, memory nodes: the disk's name on the box
KINDS = (("nvme", "e1000e", 2, "nvme0n1", "nvme0n1p4"), ("scsi", "virtio-net-pci", 1, "sda", "sda4"), ("usb", "usb-net", 1, "sda", "sda4"))


def main():
    with Report("test_hardware", 400) as report, tempfile.TemporaryDirectory(prefix="penstock-hardware-") as top:
        subprocess.run(["scripts/image", "generic-uefi", "--quick", "--out", top], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
        for disk, nic, nodes, name, part in KINDS:
            with Machine(os.path.join(top, "penstock-generic-uefi.img"), disk=disk, nic=nic, smp=2 * nodes, numa=nodes) as m:
                m.boot()
                m.wait_console("penstock started", 150)
                text = m.console
                report.check("hardware/%s-disk" % disk, "the box's disk is /dev/%s, slot A" % name in text, m.tail())
                report.check("hardware/%s-data" % disk, "making the data partition's file system on /dev/%s " % part in text, m.tail())
                report.check("hardware/%s-modules" % disk, "modules are loaded, 0 failed" in text, m.tail())


if __name__ == "__main__":
    main()
