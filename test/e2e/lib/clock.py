"""The real program with a host's clock that a test sets, also while it runs (test/tools/moved_clock.c)."""

import mmap
import os
import shutil
import struct
import subprocess
import time

from . import procs

PROGRAM = os.path.join("build", os.uname().machine, "test/moved_clock")


def build():
    subprocess.run(["make", "-s", PROGRAM], cwd=procs.ROOT, check=True)


class Clock:
    """From now on the program under test is a copy of that one."""

    def __init__(self):
        program = os.path.join(procs.temp_dir("clock"), "penstock")
        shutil.copy(os.path.join(procs.ROOT, PROGRAM), program)
        os.environ["PENSTOCK"] = program
        with open(program + ".offset", "wb") as f:
            f.write(b"\0" * 4096)
        self.file = open(program + ".offset", "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def move(self, seconds):
        """The host's time is now so far from the machine's."""
        self.map[:8] = struct.pack("<q", seconds)

    def now(self):
        return time.time() + struct.unpack("<q", self.map[:8])[0]
