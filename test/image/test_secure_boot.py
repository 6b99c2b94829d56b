#!/usr/bin/python3
"""Secure Boot: a signed image boots on firmware that has its key, and one byte of its root file system changed is refused."""
import os
import subprocess
import tempfile

from lib.machine import ROOT, Machine, snakeoil_key
from lib.report import Report


def main():
    with Report("test_secure_boot", 400) as report, tempfile.TemporaryDirectory(prefix="penstock-secure-") as top:
        key, certificate = snakeoil_key(top)
        environment = dict(os.environ, SIGN_KEY=key, SIGN_CERT=certificate)
        subprocess.run(["scripts/image", "qemu-virt", "--quick", "--out", top], cwd=ROOT, env=environment, check=True, stderr=subprocess.DEVNULL)
        image = os.path.join(top, "penstock-qemu-virt.img")
        with Machine(image, secure_boot=True) as m:
            m.boot()
            m.wait_console(r"Penstock box: qemu-virt", 150)
            report.check("secure-boot/signed-boots", "0 failed" in m.wait_console(r"kernel modules are loaded, \d+ failed", 60)[0], m.tail())
        with Machine(image, secure_boot=True) as m:
            at = m.partition("penstock-a")[0]
            with open(m.disk, "r+b") as f:
                # The zstd frame of the root file system: its magic, and then some way into it.
                f.seek(at)
                where = at + f.read(96 << 20).index(b"\x28\xb5\x2f\xfd") + 100000
                f.seek(where)
                byte = f.read(1)
                f.seek(where)
                f.write(bytes([byte[0] ^ 1]))
            m.boot()
            m.wait_console(r"(?i)access denied|security violation", 150)
            report.check("secure-boot/altered-is-refused", "Penstock box" not in m.console and "Linux" not in m.console, m.tail())


if __name__ == "__main__":
    main()
