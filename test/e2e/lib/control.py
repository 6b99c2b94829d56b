"""A stand-in for PID 1's control socket of a box, as src/box/control.h says: a server at a path of the test's choice, whose commands
are Python functions. It keeps what was asked, so that a test can see which words came, and that no secret was among them."""

import array
import os
import socket
import struct
import threading


class Call:
    """One command: its words, its standard streams. A command function gets it and returns the exit status."""

    def __init__(self, token, words, fds, connection):
        self.token, self.words, self.fds, self.connection = token, words, fds, connection

    def read(self, most=1 << 26):
        out = b""
        while len(out) < most:
            piece = os.read(self.fds[0], 1 << 16)
            if not piece:
                break
            out += piece
        return out

    def out(self, text):
        self.put(1, text)

    def err(self, text):
        self.put(2, text)

    def put(self, fd, text):
        data = text if isinstance(text, bytes) else text.encode()
        while data:
            data = data[os.write(self.fds[fd], data):]


class Control:
    """commands: name -> function(Call). holds(token): whether a session is good; claim and login need none."""

    def __init__(self, path, commands, holds):
        self.path, self.commands, self.holds = path, commands, holds
        self.asked, self.lock = [], threading.Lock()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(path)
        self.socket.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def words(self, name):
        """What was asked of a command so far: its words."""
        with self.lock:
            return [w for w in self.asked if w[0] == name]

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        fds = array.array("i")
        try:
            data, ancillary, _, _ = connection.recvmsg(40000, socket.CMSG_SPACE(3 * 4))
            for level, kind, rights in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    fds.frombytes(rights[:len(rights) - len(rights) % 4])
            status = self._run(data, list(fds), connection)
        except (BrokenPipeError, ConnectionResetError):
            status = 1
        finally:
            for fd in fds:
                os.close(fd)
        try:
            connection.send(struct.pack("<i", status))
        except OSError:
            pass
        connection.close()

    def _run(self, data, fds, connection):
        assert data[:8] == b"PBOX0001" and data[-1:] == b"\0" and len(fds) == 3, (data[:50], fds)
        token, *words = [w.decode() for w in data[8:-1].split(b"\0")]
        call = Call(token, words, fds, connection)
        with self.lock:
            self.asked.append(words)
        command = self.commands.get(words[0])
        if not command:
            call.err("penstock: there is no command '%s' for the console\n" % words[0])
            return -1
        if words[0] not in ("claim", "login") and not self.holds(token):
            call.err("penstock: the session is not, or no longer, good\n  hint: log in again\n")
            return -1
        return command(call)

    def close(self):
        self.socket.close()
        os.unlink(self.path)
