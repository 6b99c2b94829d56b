"""A listener that speaks just enough of PostgreSQL's protocol to be taken for another server, or for one in trouble."""

import socket
import struct
import threading


def packet(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def failure(severity, state, text):
    return packet(b"E", b"".join(k + v.encode() + b"\0" for k, v in ((b"S", severity), (b"V", severity), (b"C", state), (b"M", text))) + b"\0")


class FakeServer:
    """`version`: what it calls itself (parameter server_version, answer of version()). `refusal`: (severity, SQLSTATE, text) that
    ends every connection instead; `replication_only`: only those that ask for replication."""

    def __init__(self, version=("15.1", "PostgreSQL 15.1"), refusal=None, replication_only=False):
        self.version, self.refusal, self.replication_only = version, refusal, replication_only
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self):
        return "postgresql://u@127.0.0.1:%d/d?sslmode=disable" % self.port

    def _accept(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            f = s.makefile("rb")
            startup = f.read(struct.unpack("!I", f.read(4))[0] - 4)
            if self.refusal and (not self.replication_only or b"replication\0" in startup):
                s.sendall(failure(*self.refusal))
                return
            parameters = (("server_version", self.version[0]), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on"))
            s.sendall(packet(b"R", struct.pack("!I", 0)) + b"".join(
                packet(b"S", ("%s\0%s\0" % p).encode()) for p in parameters) + packet(b"Z", b"I"))
            while kind := f.read(1):
                f.read(struct.unpack("!I", f.read(4))[0] - 4)
                if kind == b"Q":
                    columns = b"".join(n + b"\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0) for n in (b"set_config", b"version"))
                    text = self.version[1].encode()
                    row = struct.pack("!hI", 2, 1) + b"x" + struct.pack("!I", len(text)) + text
                    s.sendall(packet(b"T", struct.pack("!h", 2) + columns) + packet(b"D", row) + packet(b"C", b"SELECT 1\0") + packet(b"Z", b"I"))
        except (OSError, struct.error):
            pass
        finally:
            s.close()
