"""A disk of a few MiB that only this test program sees: a tmpfs in a mount namespace of its own."""

import ctypes
import os

from . import procs

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)
_entered = False


def _must(result, what):
    if result != 0:
        raise RuntimeError("%s: %s" % (what, os.strerror(ctypes.get_errno())))


def enter():
    """Call before any thread is started. Root has a new namespace at once, others as root of a user namespace."""
    global _entered
    if _entered:
        return
    uid, gid = os.getuid(), os.getgid()
    _must(_libc.unshare(CLONE_NEWNS | (CLONE_NEWUSER if uid else 0)), "unshare")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % uid), ("gid_map", "0 %d 1" % gid)):
            with open("/proc/self/" + name, "w") as f:
                f.write(text)
    _must(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount / private")
    _entered = True


class SmallDisk:
    """Gone with the namespace. path: an empty directory on it."""

    def __init__(self, mib):
        enter()
        self.path = procs.temp_dir("disk")
        _must(_libc.mount(b"tmpfs", self.path.encode(), b"tmpfs", 0, b"size=%dm,mode=0755" % mib), "mount tmpfs")
        self.ballast = os.path.join(self.path, "ballast")

    def free(self):
        v = os.statvfs(self.path)
        return v.f_bavail * v.f_frsize

    def fill(self, leave):
        """Somebody else's file takes all but `leave` bytes."""
        size = os.path.getsize(self.ballast) if os.path.exists(self.ballast) else 0
        more = self.free() - leave
        if more > 0:
            with open(self.ballast, "ab") as f:
                os.posix_fallocate(f.fileno(), size, more)

    def clear(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)
