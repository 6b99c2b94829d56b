"""A box in QEMU: boots a disk image under UEFI, without root and without a network but the ports that are named.

    with Machine("build/image/qemu-virt/penstock-qemu-virt.img") as m:
        m.boot()
        m.wait_console("penstock: up", 120)
        code, out, err = m.ssh(["status", "--json"])

The machine's files (its disk, the firmware's variables, its console) stay in m.dir until close(): boot() after
power_cut() or shutdown() goes on with the same disk and the same variables. Everything waits within bounds and says what the
console showed last when a bound is over. PENSTOCK_QEMU_LOCK: a file that is locked while a machine runs, so that there is
one at a time on this computer."""
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
MIB = 1 << 20
sys.path.insert(0, os.path.join(ROOT, "scripts/imaging"))
import gpt  # noqa: E402


def image_path(board="qemu-virt", kind=".img"):
    return os.path.join(ROOT, "build/image", board, "penstock-" + board + kind)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def firmware_folder():
    """Debian 13's UEFI firmware for QEMU, checked by its sum."""
    return subprocess.run([os.path.join(ROOT, "scripts/debs"), "firmware"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def firmware(secure_boot=False):
    """(code, variables): empty ones, or with Secure Boot on and Debian's test key, of which snakeoil_key() has the files."""
    top = os.path.join(firmware_folder(), "usr/share/AAVMF")
    names = ("AAVMF_CODE.secboot.fd", "AAVMF_VARS.snakeoil.fd") if secure_boot else ("AAVMF_CODE.no-secboot.fd", "AAVMF_VARS.fd")
    return tuple(os.path.join(top, n) for n in names)


def snakeoil_key(folder):
    """(private key without a password, certificate) that Debian publishes for tests of Secure Boot."""
    top = os.path.join(firmware_folder(), "usr/share/qemu-efi-aarch64/PkKek-1-snakeoil")
    key = os.path.join(folder, "snakeoil.pem")
    subprocess.run(["openssl", "rsa", "-in", top + ".key", "-passin", "pass:snakeoil", "-out", key], check=True, stderr=subprocess.DEVNULL)
    return key, top + ".pem"


def put_files(image, files, offset=0):
    """Writes {path: bytes} into the FAT file system at an offset of an image; folders are made."""
    where, env = "%s@@%d" % (image, offset), dict(os.environ, MTOOLS_SKIP_CHECK="1")
    made = set()
    for path, content in sorted(files.items()):
        parts = path.strip("/").split("/")
        for i in range(1, len(parts)):
            folder = "/".join(parts[:i])
            if folder not in made:
                made.add(folder)
                if subprocess.run(["mdir", "-i", where, "::/" + folder], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
                    subprocess.run(["mmd", "-i", where, "::/" + folder], env=env, check=True)
        with tempfile.NamedTemporaryFile() as f:
            f.write(content if isinstance(content, bytes) else content.encode())
            f.flush()
            subprocess.run(["mcopy", "-o", "-i", where, f.name, "::/" + path.strip("/")], env=env, check=True)


def get_file(image, path, offset=0):
    """A file of the FAT file system at an offset of an image, None when it is not there."""
    done = subprocess.run(["mtype", "-i", "%s@@%d" % (image, offset), "::/" + path.strip("/")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else None


def usb_stick(path, files, mib=64, partitioned=True):
    """A USB stick's image with these files: one FAT partition, or FAT on the whole stick."""
    offset = MIB if partitioned else 0
    with open(path, "wb") as f:
        f.truncate(mib * MIB)
        if partitioned:
            f.seek(446)
            f.write(bytes([0, 0, 2, 0, 0x0C, 255, 255, 255]) + (offset // 512).to_bytes(4, "little") + ((mib * MIB - offset) // 512).to_bytes(4, "little"))
            f.seek(510)
            f.write(b"\x55\xaa")
    subprocess.run(["mkfs.vfat", "-F", "32", "-s", "1", "-n", "STICK", "--offset", str(offset // 512), path, str((mib * MIB - offset) // 1024)],
                   check=True, stdout=subprocess.DEVNULL)
    put_files(path, files, offset)
    return path


DISKS = {
    "virtio": ["-device", "virtio-blk-pci,drive=d0,bootindex=0"],
    "nvme": ["-device", "nvme,drive=d0,serial=nvme-1,bootindex=0"],
    "usb": ["-device", "usb-storage,drive=d0,bootindex=0"],
    "scsi": ["-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d0,bootindex=0"],
}


class Machine:
    """disk_mib: the image's copy grows to that. vars: a file of firmware variables to start with (default: empty). numa: nodes.
    usb: images of sticks that are plugged in. forwards: {port on 10.0.2.2 as the box sees it: port of this computer's
    loopback}; everything else is out of the box's reach. reboot=False: QEMU ends where the box would restart. folder: where the
    machine's files are kept, for one that outlives this program: a disk that is there already is used as it is. disk: how it is attached,
    a name in DISKS; nic: QEMU's name of the network adapter."""

    def __init__(self, image, vars=None, smp=2, mem=1024, numa=1, disk_mib=2048, usb=(), forwards=None, watchdog=True, reboot=True, extra=(),
                 folder=None, secure_boot=False, disk="virtio", nic="virtio-net-pci"):
        self.dir = folder or tempfile.mkdtemp(prefix="penstock-box-")
        self.disk, self.vars = os.path.join(self.dir, "disk.img"), os.path.join(self.dir, "vars.fd")
        self.console_file = os.path.join(self.dir, "console")
        self.key = os.path.join(self.dir, "key")
        self.smp, self.mem, self.numa, self.usb, self.forwards = smp, mem, numa, list(usb), dict(forwards or {})
        self.watchdog, self.reboot, self.extra, self.disk_kind, self.nic = watchdog, reboot, list(extra), disk, nic
        self.https_port, self.ssh_port, self.grpc_port = free_port(), free_port(), free_port()
        self.process = self._lock = None
        self.booted_at = 0.0
        self._code, empty = firmware(secure_boot)
        if not os.path.exists(self.disk):
            self._create(image, vars or empty, disk_mib)
        with open(self.key + ".pub") as f:
            self.public_key = f.read()

    def _create(self, image, vars, disk_mib):
        shutil.copyfile(vars, self.vars)
        os.chmod(self.vars, 0o600)
        # Copied with its holes; the end of the disk is where the box finds room for its data.
        subprocess.run(["cp", "--sparse=always", image, self.disk + ".new"], check=True)
        with open(self.disk + ".new", "r+b") as f:
            f.truncate(max(os.path.getsize(f.name), disk_mib * MIB))
        if not os.path.exists(self.key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", self.key], check=True)
        os.rename(self.disk + ".new", self.disk)

    # ---- before it boots: the disk's content ----

    def partition(self, name):
        """(offset, bytes) of a partition of the disk."""
        with open(self.disk, "rb") as f:
            for _, _, first, last, _, found in gpt.read_table(f)[1]:
                if found == name:
                    return first * 512, (last - first + 1) * 512
        raise KeyError(name)

    def provision_esp(self, files, slot="penstock-a"):
        """Puts {name: content} into the folder penstock/ of a slot's FAT."""
        put_files(self.disk, {"penstock/" + k: v for k, v in files.items()}, self.partition(slot)[0])

    def esp_file(self, path, slot="penstock-a"):
        return get_file(self.disk, path, self.partition(slot)[0])

    def read_disk(self, name, offset, count):
        with open(self.disk, "rb") as f:
            f.seek(self.partition(name)[0] + offset)
            return f.read(count)

    def write_disk(self, name, offset, data):
        with open(self.disk, "r+b") as f:
            f.seek(self.partition(name)[0] + offset)
            f.write(data)

    # ---- running ----

    def command(self, console=()):
        """QEMU's command line. console: its options for the serial port in place of the file."""
        nodes = []
        for i in range(self.numa):
            cpus = self.smp // self.numa
            nodes += ["-object", "memory-backend-ram,id=m%d,size=%dM" % (i, self.mem // self.numa),
                      "-numa", "node,nodeid=%d,cpus=%d-%d,memdev=m%d" % (i, i * cpus, (i + 1) * cpus - 1, i)]
        # The host's side moves to .1, so that .2 is free for what is let through; with restrict nothing else leaves.
        net = "user,id=n0,restrict=on,host=10.0.2.1"
        for port, to in ((self.https_port, 8443), (self.ssh_port, 22), (self.grpc_port, 9443)):
            net += ",hostfwd=tcp:127.0.0.1:%d-:%d" % (port, to)
        relay = os.path.join(ROOT, "test/image/lib/relay.py")
        for inside, outside in self.forwards.items():
            net += ",guestfwd=tcp:10.0.2.2:%d-cmd:/usr/bin/python3 %s %d" % (inside, relay, outside)
        sticks = []
        for i, stick in enumerate(self.usb):
            sticks += ["-drive", "if=none,id=u%d,format=raw,file=%s" % (i, stick), "-device", "usb-storage,drive=u%d,removable=on" % i]
        return (["qemu-system-aarch64", "-M", "virt,gic-version=3", "-cpu", "neoverse-n1", "-accel", "tcg,thread=multi",
                 "-smp", str(self.smp) if self.numa == 1 else "%d,sockets=%d" % (self.smp, self.numa), "-m", "%dM" % self.mem] + nodes +
                (list(console) or ["-display", "none", "-monitor", "none", "-serial", "file:" + self.console_file]) +
                ["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + self._code,
                 "-drive", "if=pflash,format=raw,unit=1,file=" + self.vars,
                 "-drive", "if=none,id=d0,format=raw,file=" + self.disk, "-netdev", net, "-device", "virtio-rng-pci", "-device", "qemu-xhci",
                 "-device", self.nic + ",netdev=n0" + ("" if self.nic.startswith("usb") else ",romfile=")] + DISKS[self.disk_kind] + sticks + (["-device", "i6300esb"] if self.watchdog else []) + ([] if self.reboot else ["-no-reboot"]) + self.extra)

    def boot(self):
        """Starts QEMU and returns at once; the console begins anew, the last boot's is kept as console.1, .2..."""
        assert not self.running
        path = os.environ.get("PENSTOCK_QEMU_LOCK")
        if path:
            self._lock = open(path if "/" in path else os.path.join(tempfile.gettempdir(), "penstock-qemu.lock"), "w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        if os.path.exists(self.console_file):
            n = sum(f.startswith("console.") for f in os.listdir(self.dir))
            os.rename(self.console_file, "%s.%d" % (self.console_file, n + 1))
        open(self.console_file, "w").close()
        with open(os.path.join(self.dir, "qemu.log"), "ab") as log:
            self.process = subprocess.Popen(["nice", "-n", "5"] + self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.booted_at = time.monotonic()
        return self

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def console(self):
        with open(self.console_file, "rb") as f:
            return f.read().decode(errors="replace").replace("\r", "")

    def tail(self, lines=25):
        log = open(os.path.join(self.dir, "qemu.log"), errors="replace").read()
        return "\n".join(self.console.splitlines()[-lines:]) + ("\nqemu: " + log if log.strip() else "")

    def wait_console(self, regex, seconds, count=1):
        """The match when the console has shown regex (count times); AssertionError when time is up or the machine has ended."""
        end = time.monotonic() + seconds
        while True:
            found = list(re.finditer(regex, self.console, re.M))
            if len(found) >= count:
                return found[count - 1]
            if not self.running or time.monotonic() > end:
                why = "no /%s/ within %d s" % (regex, seconds) if self.running else "the machine ended before /%s/" % regex
                raise AssertionError("%s; the console's end:\n%s" % (why, self.tail()))
            time.sleep(0.2)

    def wait_exit(self, seconds):
        """The machine has switched itself off (or restarted, with reboot=False)."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running after %d s; the console's end:\n%s" % (seconds, self.tail())) from None
        self._released()

    def power_cut(self):
        if self.running:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self._released()

    def shutdown(self, seconds=60, user="admin"):
        """Asks over SSH, and waits until it is off."""
        self.ssh(["poweroff"], user=user, check=False)
        self.wait_exit(seconds)

    def _released(self):
        if self._lock:
            self._lock.close()
            self._lock = None

    def ssh_command(self, words, user="admin", key=None):
        return ["ssh", "-F", "none", "-p", str(self.ssh_port), "-i", key or self.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30",
                "%s@127.0.0.1" % user] + list(words)

    def ssh(self, words, stdin=b"", seconds=120, user="admin", key=None, check=True):
        """(exit status, standard output, standard error). check: AssertionError unless the status is 0. stdin: bytes or a file."""
        given = {"stdin": stdin} if hasattr(stdin, "fileno") else {"input": stdin if isinstance(stdin, bytes) else stdin.encode()}
        try:
            done = subprocess.run(self.ssh_command(words, user, key), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, **given)
        except subprocess.TimeoutExpired as e:
            done = subprocess.CompletedProcess(e.cmd, 124, e.stdout or b"", (e.stderr or b"") + b"\nno end within %d s" % seconds)
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        if check and done.returncode != 0:
            raise AssertionError("ssh %s: status %d\n%s%s\nthe console's end:\n%s" % (" ".join(words), done.returncode, out[-2000:], err[-2000:], self.tail()))
        return done.returncode, out, err

    def wait_ssh(self, seconds=180, words=("version",)):
        """Until a session works."""
        end = time.monotonic() + seconds
        while True:
            code, out, err = self.ssh(words, check=False)
            if code == 0:
                return out
            if not self.running or time.monotonic() > end:
                raise AssertionError("no SSH within %d s: %s\nthe console's end:\n%s" % (seconds, err[-500:], self.tail()))
            time.sleep(1)

    def close(self, keep=False):
        self.power_cut()
        if not keep and not os.environ.get("PENSTOCK_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
