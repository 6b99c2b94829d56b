#!/usr/bin/python3
"""scripts/flash: what it refuses, on disks that a made-up /sys describes, and what it writes, into files and a loop device."""
import hashlib
import importlib.machinery
import importlib.util
import os
import subprocess
import tempfile

from lib.machine import MIB, ROOT, gpt
from lib.report import Report

TOOL = os.path.join(ROOT, "scripts/flash")
loader = importlib.machinery.SourceFileLoader("flash", TOOL)
flash = importlib.util.module_from_spec(importlib.util.spec_from_loader("flash", loader))
loader.exec_module(flash)


def run(*arguments, stdin=""):
    done = subprocess.run([TOOL, *arguments], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout + done.stderr


def small_image(path):
    """An image of 16 MiB with something in slot A and at its end."""
    slot = path + ".slot"
    with open(slot, "wb") as f:
        f.write(b"slot" * (MIB // 4))
    gpt.create(path, slot, 8, 2, 4)
    with open(path, "r+b") as f:
        f.seek(5 * MIB - 7)
        f.write(b"across a chunk's end")
    return path


def made_up(top):
    """A /sys and a /proc with disks of every kind."""
    def disk(name, mib, where="pci0", removable=0, ro=0, model="", serial="", parts=1, holders=()):
        place = os.path.join(top, "devices", where, name)
        for folder in ("device", "holders"):
            os.makedirs(os.path.join(place, folder))
        os.makedirs(os.path.join(top, "block"), exist_ok=True)
        os.symlink(place, os.path.join(top, "block", name))
        disk.major += 1
        files = {"size": mib * 2048, "removable": removable, "ro": ro, "dev": "%d:0" % disk.major, "device/model": model, "device/serial": serial}
        for i in range(1, parts + 1):
            part = name + ("p%d" % i if name[-1].isdigit() else str(i))
            os.makedirs(os.path.join(place, part, "holders"))
            files.update({part + "/partition": i, part + "/dev": "%d:%d" % (disk.major, i)})
            for holder in holders:
                os.makedirs(os.path.join(place, part, "holders", holder))
        for path, text in files.items():
            with open(os.path.join(place, path), "w") as f:
                f.write("%s\n" % text)
    disk.major = 7
    disk("nvme0n1", 4096, model="Fast Disk", serial="S1")   # the system's: 8:1 is mounted
    disk("nvme1n1", 4096, model="Fast Disk", serial="S2")   # fixed, unused
    disk("sda", 4096, "usb1/1-1", removable=1, model="Stick")
    disk("sdb", 4096, "usb1/1-2", model="USB SSD", serial="U7")
    disk("sdc", 8, "usb1/1-3", removable=1, model="Tiny")
    disk("sdd", 4096, "usb1/1-4", removable=1, ro=1)
    disk("sde", 4096, model="Member", serial="M1", holders=["md0"])
    disk("sdf", 4096, model="Swap", serial="W1")
    disk("vda", 4096)                                       # fixed, nothing to name it by
    disk("sr0", 600, removable=1)
    os.makedirs(os.path.join(top, "self"))
    with open(os.path.join(top, "self/mountinfo"), "w") as f:
        f.write("22 1 8:1 / / rw - ext4 /dev/nvme0n1p1 rw\n40 22 0:44 / /mnt rw - btrfs /dev/sdb1 rw\n")
    with open(os.path.join(top, "swaps"), "w") as f:
        f.write("Filename Type Size Used Priority\n/dev/sdf1 partition 1 0 -2\n")
    return {d.name: d for d in flash.disks(top, top)}


def refusals(report, top):
    disks = made_up(os.path.join(top, "made-up"))
    report.check("flash/what-is-listed", "sr0" not in disks and len(disks) == 9, sorted(disks))
    def against(name, want, named=None):
        got = "; ".join(disks[name].against(16 * MIB, named))
        report.check("flash/%s-%s" % (name, "named" if named else "plain"), (want in got) if want else not got, got)
    against("sda", "")
    against("nvme0n1", "nvme0n1p1 is mounted on /", "S1")
    against("nvme1n1", "it is not removable: to write it anyway, --disk-serial 'S2'")
    against("nvme1n1", "", "S2")
    report.check("flash/other-serial", "its serial number is 'S2', not 'S1'" in "; ".join(disks["nvme1n1"].against(16 * MIB, "S1")))
    report.check("flash/model-is-no-serial", disks["nvme1n1"].against(16 * MIB, "Fast Disk"))
    against("sdb", "/dev/sdb1 is mounted on /mnt")
    against("sdc", "it has 8 MiB, the image needs 16")
    against("sdd", "it is read-only")
    against("sde", "sde1 is part of md0", "M1")
    against("sdf", "/dev/sdf1 is swap space", "W1")
    against("vda", "neither serial number nor model")


def table_of(path):
    with open(path, "rb") as f:
        return gpt.read_table(f)


def digest(path, first, end):
    with open(path, "rb") as f:
        f.seek(first)
        return hashlib.sha256(f.read(end - first)).hexdigest()


def same_but_guids(report, name, image, target):
    size = os.path.getsize(image)
    tail = size - (gpt.TABLE_SECTORS + 1) * 512
    report.check(name + "-content", digest(image, gpt.HEAD_BYTES, tail) == digest(target, gpt.HEAD_BYTES, tail))
    (_, before), (_, after) = table_of(image), table_of(target)
    report.check(name + "-partitions", [(p[0],) + p[2:] for p in before] == [(p[0],) + p[2:] for p in after], after)
    guids = [p[1] for p in before + after] + [table_of(image)[0], table_of(target)[0]]
    report.equal(name + "-guids-are-its-own", len(set(guids)), 10)


def files(report, image, top):
    target = os.path.join(top, "disk")
    # A larger disk with leftovers everywhere.
    with open(target, "wb") as f:
        f.write(b"\xaa" * (40 * MIB))
    code, said = run(image, target)
    report.check("flash/file", code == 0 and "verified" in said, said)
    same_but_guids(report, "flash/file", image, target)
    verified = subprocess.run(["sgdisk", "-v", target], stdout=subprocess.PIPE, text=True).stdout
    report.check("flash/table-is-right", "invalid" not in verified.lower() and "corrupt" not in verified.lower(), verified)
    with open(target, "rb") as f:
        f.seek(-MIB, os.SEEK_END)
        report.check("flash/no-old-table-at-the-end", not f.read().strip(b"\0"))
    packed = image + ".zst"
    subprocess.run(["zstd", "-q", image, "-o", packed], check=True)
    other = os.path.join(top, "other")
    code, said = run(packed, other)
    report.check("flash/compressed", code == 0, said)
    same_but_guids(report, "flash/compressed", image, other)
    with open(packed, "rb") as f:
        half = f.read()[:-100]
    with open(os.path.join(top, "half.img.zst"), "wb") as f:
        f.write(half)
    code, said = run(os.path.join(top, "half.img.zst"), other)
    with open(other, "rb") as f:
        report.check("flash/damaged-image-leaves-nothing-bootable", code == 1 and "is damaged" in said and not f.read(MIB).strip(b"\0"), said)


def wrong_use(report, image, top):
    def fails(name, text, *arguments):
        code, said = run(*arguments)
        report.check("flash/refuses-" + name, code == 1 and text in said, said)
    fails("no-image", "there is no image", os.path.join(top, "nothing"), os.path.join(top, "x"))
    fails("other-file", "is no disk image", TOOL, os.path.join(top, "x"))
    fails("image-itself", "is the image itself", image, image)
    fails("character-device", "is no disk", image, "/dev/null")
    fails("no-such-device", "is no disk", image, "/dev/no-such-disk")
    code, said = run(image)
    report.check("flash/lists", code == 0 and "Disks of this computer" in said, said)


def faulty_disk(report, image, top):
    """A disk that forgets: what is read back is compared."""
    target = os.path.join(top, "faulty")
    whole, real = flash.Image(image), flash.read_back

    def forgets(fd, size, block):
        os.pwrite(fd, b"x", 3 * MIB)
        return real(fd, size, block)
    flash.read_back = forgets
    try:
        report.equal("flash/faulty-disk", flash.main([whole.path, target]), 1)
    finally:
        flash.read_back = real


def loop_device(report, image, top):
    """As a real block device, where this computer lets us have one."""
    backing = os.path.join(top, "loop")
    with open(backing, "wb") as f:
        f.truncate(32 * MIB)
    made = subprocess.run(["losetup", "-f", "--show", backing], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if made.returncode:
        report.note("no loop device: " + made.stderr.strip())
        return
    device = made.stdout.strip()
    try:
        code, said = run(image, device, stdin="no\n")
        report.check("flash/asks-for-the-name", code == 1 and "nothing was written" in said and not open(backing, "rb").read(MIB).strip(b"\0"), said)
        code, said = run(image, device, stdin=device + "\n")
        report.check("flash/loop-device", code == 0 and "verified" in said, said)
        same_but_guids(report, "flash/loop-device", image, backing)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


def main():
    with Report("test_flash", 120) as report, tempfile.TemporaryDirectory(prefix="penstock-flash-") as top:
        image = small_image(os.path.join(top, "image"))
        report.section("flash/refusals", refusals, report, top)
        report.section("flash/files", files, report, image, top)
        report.section("flash/wrong-use", wrong_use, report, image, top)
        report.section("flash/faulty", faulty_disk, report, image, top)
        report.section("flash/loop", loop_device, report, image, top)


if __name__ == "__main__":
    main()
