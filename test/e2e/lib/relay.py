"""A relay between a client and a server that holds back what the client sends from a certain word on."""

import socket
import threading


class Relay:
    """Listens on `port`. What a client sends goes through until it holds `word`; then `meanwhile()` runs first, once."""

    def __init__(self, server_port, word, meanwhile):
        self.server_port, self.word, self.meanwhile = server_port, word, meanwhile
        self.lock = threading.Lock()
        self.met = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            threading.Thread(target=self._copy, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, False), daemon=True).start()

    def _copy(self, from_, to, watched):
        try:
            while data := from_.recv(65536):
                if watched and self.word in data:
                    with self.lock:
                        self.met += 1
                        if self.met == 1:
                            self.meanwhile()
                to.sendall(data)
        except OSError:
            pass
        for s in (from_, to):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
