"""A box on loopback: dropbear as on a box, in front of the real shell and the real commands; STAND-INS for PID 1's control server and for
its supervision of the pipeline (real ones run in test/image). The box's files lie below a temporary root."""

import array
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from . import client, procs

CONFIG = """penstock: 1
sources:
  bank:
    generator: { workload: bank, rate: 100, seed: 42, accounts: 100, churn: false }
sql: [ views.sql ]
apis:
  accounts: { view: accounts }
access: { anonymous: read }
server: { listen: "127.0.0.1:%d" }
"""
VIEWS = "CREATE VIEW accounts AS SELECT id, owner FROM bank.accounts;\n"


class Control:
    """The serving side of src/box/control.h, of the shell's socket."""

    def __init__(self, path, root):
        self.path, self.root, self.seen = path, root, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(path)
        self.socket.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        message, control, _, _ = connection.recvmsg(32768, socket.CMSG_SPACE(12))
        fds = array.array("i")
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data)
        words = message[8:-1].decode(errors="surrogateescape").split("\0")
        if message[:8] != b"PBOX0001" or message[-1:] != b"\0" or len(fds) != 3:
            self.seen.append(("malformed", message, len(fds)))
            connection.close()
            return
        self.seen.append(words)
        p = subprocess.Popen([procs.binary(), "box", "--root", self.root] + words, stdin=fds[0], stdout=fds[1], stderr=fds[2],
                             env={"PATH": "/bin"}, start_new_session=True)
        for fd in fds:
            os.close(fd)
        gone = False
        while p.poll() is None:
            ready, _, _ = select.select([connection], [], [], 0.02)
            if ready and not gone:  # nothing more is said but the end
                gone = True
                os.killpg(p.pid, signal.SIGTERM)
        self.ended = (words, p.returncode)
        try:
            connection.send((p.returncode if p.returncode >= 0 else 128 - p.returncode).to_bytes(4, "little"))
        except OSError:
            pass
        connection.close()


class Supervisor:
    """Keeps a pipeline running as PID 1 does: of the box's configuration, or of the image's."""

    def __init__(self, root):
        self.root, self.stopping, self.process = root, False, None
        self.log = os.path.join(root, "penstock.log")
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        own, default = self.root + "/data/config/current/penstock.yaml", self.root + "/etc/penstock/default/penstock.yaml"
        refused = None
        while not self.stopping:
            stamp = os.stat(own).st_ino if os.path.exists(own) else None
            used = own if stamp and stamp != refused else default
            self.process = procs.start([procs.binary(), "run", "-c", used, "--data", self.root + "/data/store", "--shards", "1"], self.log)
            code = self.process.wait()
            if code == 2 and used == own:
                refused = stamp
            time.sleep(0.1)

    def stop(self):
        self.stopping = True
        if self.process:
            self.process.terminate()
        self.thread.join(30)


class Box:
    def __init__(self, name="box"):
        self.root = procs.temp_dir(name)
        self.port = procs.free_port()
        for d in ("data/config", "data/store", "data/box", "data/log", "run/box", "etc/penstock/default"):
            os.makedirs(os.path.join(self.root, d))
        self.write("etc/penstock/default/penstock.yaml", (CONFIG % self.port).replace("apis:\n  accounts: { view: accounts }\n", "apis:\n  image:\n"))
        self.write("etc/penstock/default/views.sql", "CREATE VIEW image AS SELECT id FROM bank.accounts;\n")
        self.control = Control(self.path("run/box/control"), self.root)
        self.supervisor = None
        self.dropbear = None

    def path(self, name):
        return os.path.join(self.root, name)

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def config(self, views="views.sql"):
        return CONFIG.replace("views.sql", views) % self.port

    def start_pipeline(self):
        self.supervisor = Supervisor(self.root)

    def wait_api(self, path, seconds=60):
        def answers():
            c = client.Client(self.port, 5)
            try:
                return c.request("/api/" + path + "?limit=1").status == 200
            finally:
                c.close()
        client.wait_for(answers, seconds, "/api/" + path, 0.1)

    # ---- SSH ----
    def start_ssh(self):
        """dropbear with the flags of src/box/ssh.c, but for the port, and a forced command where a box has the login shell."""
        found = subprocess.run([os.path.join(procs.ROOT, "scripts/deps"), "x86_64", "--programs", "dropbear"],
                               check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        # dropbear wants a path that nobody else may write in, which /tmp is not.
        self.keys = tempfile.mkdtemp(prefix=".penstock-test-", dir=pwd.getpwuid(os.getuid()).pw_dir)
        procs._dirs.append(self.keys)
        self.host_key = self.path("data/box/dropbear_ed25519_host_key")
        subprocess.run([found + "/bin/dropbearkey", "-t", "ed25519", "-f", self.host_key], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        self.client_key = self.path("client")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.client_key], check=True)
        shutil.copy(self.client_key + ".pub", self.keys + "/authorized_keys")
        self.write("login", "#!/bin/sh\nset -- shell --control '%s' ${SSH_ORIGINAL_COMMAND:+-c} ${SSH_ORIGINAL_COMMAND:+\"$SSH_ORIGINAL_COMMAND\"}\n"
                   "exec '%s' \"$@\"\n" % (self.path("run/box/control"), procs.binary()))
        os.chmod(self.path("login"), 0o755)
        self.ssh_port = procs.free_port()
        self.dropbear = procs.start([found + "/bin/dropbear", "-F", "-s", "-g", "-j", "-k", "-m", "-r", self.host_key, "-D", self.keys, "-P",
                                     self.path("pid"), "-p", "127.0.0.1:%d" % self.ssh_port, "-K", "30", "-I", "3600", "-T", "3",
                                     "-c", self.path("login")], self.path("dropbear.log"))
        client.wait_for(lambda: self.banner(), 20, "dropbear", 0.05)

    def banner(self):
        with socket.create_connection(("127.0.0.1", self.ssh_port), 5) as s:
            return s.recv(20).startswith(b"SSH-2.0")

    def options(self, port="-p"):
        return [port, str(self.ssh_port), "-i", self.client_key, "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + self.path("known_hosts"), "-o", "LogLevel=ERROR"]

    def ssh_argv(self, *words, options=()):
        return ["ssh"] + self.options() + list(options) + [pwd.getpwuid(os.getuid()).pw_name + "@127.0.0.1"] + list(words)

    def ssh(self, *words, stdin=b"", seconds=60, options=()):
        """(exit status, stdout, stderr), as text."""
        p = subprocess.run(self.ssh_argv(*words, options=options), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
        return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")

    def scp(self, *what, seconds=60, options=()):
        p = subprocess.run(["scp", "-O"] + self.options("-P") + list(options) + list(what[:-1]) +
                           ["%s@127.0.0.1:%s" % (pwd.getpwuid(os.getuid()).pw_name, what[-1])],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
        return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")

    # ---- the shell without SSH ----
    def shell(self, command, stdin=b"", seconds=60):
        p = subprocess.run([procs.binary(), "shell", "--control", self.path("run/box/control"), "-c", command], input=stdin,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds)
        return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
