"""One connection out of the emulated machine: standard input and output, to a port of this computer's loopback."""
import os
import socket
import sys
import threading

with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    def inwards():
        while True:
            data = s.recv(65536)
            if not data:
                os._exit(0)
            while data:
                data = data[os.write(1, data):]

    back = threading.Thread(target=inwards)
    back.start()
    while True:
        data = os.read(0, 65536)
        if not data:
            break
        s.sendall(data)
    # The box has no more to say; what it asked for may still be on its way.
    s.shutdown(socket.SHUT_WR)
    back.join()
