"""HTTP/2 frame by frame: what a client may send, and what none should. Headers are read by libnghttp2's decoder, and written
plainly (literals, no table), so that nothing here depends on the program under test."""

import ctypes
import email.message
import socket
import ssl
import struct
import time

from .rest import Answer

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL, ENHANCE_YOUR_CALM = 0, 1, 2, 3, 11
REFUSED_STREAM, CANCEL = 7, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def context():
    c = ssl.create_default_context()
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.set_alpn_protocols(["h2"])
    return c


CONTEXT = context()


class _Nv(ctypes.Structure):
    _fields_ = [("name", ctypes.POINTER(ctypes.c_uint8)), ("value", ctypes.POINTER(ctypes.c_uint8)),
                ("namelen", ctypes.c_size_t), ("valuelen", ctypes.c_size_t), ("flags", ctypes.c_uint8)]


class Decoder:
    lib = None

    def __init__(self):
        if Decoder.lib is None:
            Decoder.lib = ctypes.CDLL("libnghttp2.so.14")
            Decoder.lib.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        self.inflater = ctypes.c_void_p()
        assert Decoder.lib.nghttp2_hd_inflate_new(ctypes.byref(self.inflater)) == 0

    def close(self):
        Decoder.lib.nghttp2_hd_inflate_del(self.inflater)

    def fields(self, block):
        out, at, data = [], 0, ctypes.create_string_buffer(block, len(block))
        while True:
            nv, flags = _Nv(), ctypes.c_int(0)
            n = Decoder.lib.nghttp2_hd_inflate_hd2(self.inflater, ctypes.byref(nv), ctypes.byref(flags),
                                                   ctypes.byref(data, at), ctypes.c_size_t(len(block) - at), 1)
            assert n >= 0, "headers that cannot be read: %d" % n
            at += n
            if flags.value & 2:
                out.append((ctypes.string_at(nv.name, nv.namelen).decode(), ctypes.string_at(nv.value, nv.valuelen).decode("latin-1")))
            if flags.value & 1:
                Decoder.lib.nghttp2_hd_inflate_end_headers(self.inflater)
                return out
            if at >= len(block) and not flags.value & 2:
                return out


def _integer(value, bits, first=0):
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out, value = bytes([first | most]), value - most
    while value >= 128:
        out, value = out + bytes([value % 128 + 128]), value // 128
    return out + bytes([value])


def encode(fields):
    out = b""
    for name, value in fields:
        name, value = name.encode(), value.encode("latin-1") if isinstance(value, str) else value
        out += b"\0" + _integer(len(name), 7) + name + _integer(len(value), 7) + value
    return out


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


class Connection:
    """Frames are sent by send(), read by next_frame(); request() does it all for one exchange."""

    def __init__(self, port, timeout=20, window=None, settings=()):
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = CONTEXT.wrap_socket(raw, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2", self.socket.selected_alpn_protocol()
        self.decoder, self.read, self.next_id = Decoder(), b"", 1
        self.server_settings = {}
        if window is not None:
            settings = tuple(settings) + ((4, window),)
        self.send(PREFACE + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", k, v) for k, v in settings)))

    def close(self):
        self.socket.close()
        self.decoder.close()

    def send(self, data):
        self.socket.sendall(data)

    def _bytes(self, n):
        while len(self.read) < n:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("the server closed")
            self.read += more
        out, self.read = self.read[:n], self.read[n:]
        return out

    def next_frame(self):
        """(kind, flags, stream, payload); settings are acknowledged, pings too."""
        head = self._bytes(9)
        kind, flags, stream = head[3], head[4], struct.unpack(">I", head[5:])[0]
        payload = self._bytes(int.from_bytes(head[:3], "big"))
        if kind == SETTINGS and not flags & ACK:
            for i in range(0, len(payload), 6):
                k, v = struct.unpack(">HI", payload[i:i + 6])
                self.server_settings[k] = v
            self.send(frame(SETTINGS, ACK, 0))
        if kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        return kind, flags, stream, payload

    def fields(self, path, method="GET", headers=(), extra=()):
        return [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)] + list(extra) + \
            [(k.lower(), v) for k, v in headers]

    def open(self, path, method="GET", headers=(), end=True, extra=()):
        """Sends a request's head; its stream."""
        stream, self.next_id = self.next_id, self.next_id + 2
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream,
                        encode(self.fields(path, method, headers, extra))))
        return stream

    def body(self, stream, data, end=True):
        for i in range(0, max(1, len(data)), 16384):
            last = i + 16384 >= len(data)
            self.send(frame(DATA, END_STREAM if last and end else 0, stream, data[i:i + 16384]))

    def take(self, answers, open_window=True):
        """One frame into {stream: Exchange}."""
        kind, flags, stream, payload = self.next_frame()
        a = answers.get(stream)
        if kind == GOAWAY:
            raise GoneAway(*struct.unpack(">II", payload[:8]))
        if a is None:
            if kind == HEADERS:
                self.decoder.fields(payload)
            return kind
        if kind == HEADERS:
            assert flags & END_HEADERS
            a.blocks.append(self.decoder.fields(payload))
        elif kind == DATA:
            a.data += payload
            a.frames += 1
            if payload and open_window:
                up = struct.pack(">I", len(payload))
                self.send(frame(WINDOW_UPDATE, 0, 0, up) + (b"" if flags & END_STREAM else frame(WINDOW_UPDATE, 0, stream, up)))
        elif kind == RST_STREAM:
            a.reset = struct.unpack(">I", payload)[0]
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            a.ended = True
        return kind

    def finish(self, answers):
        while not all(a.ended or a.reset is not None for a in answers.values()):
            self.take(answers)
        return answers

    def request(self, path, method="GET", headers=(), body=None):
        stream = self.open(path, method, headers, end=body is None)
        if body is not None:
            self.body(stream, body.encode() if isinstance(body, str) else body)
        return self.finish({stream: Exchange()})[stream].answer()

    def gone(self, seconds=10):
        """Reads to the end: the error code of GOAWAY, or None when the connection just ended."""
        code, end = None, time.time() + seconds
        self.socket.settimeout(seconds)
        try:
            while time.time() < end:
                kind, _, _, payload = self.next_frame()
                if kind == GOAWAY:
                    code = struct.unpack(">I", payload[4:8])[0]
            raise AssertionError("the connection is still open")
        except (EOFError, ConnectionError, ssl.SSLError):
            return code


class GoneAway(Exception):
    def __init__(self, last, code):
        self.last, self.code = last, code
        Exception.__init__(self, "GOAWAY %d" % code)


class Exchange:
    def __init__(self):
        self.blocks, self.data, self.frames, self.reset, self.ended = [], b"", 0, None, False

    def answer(self):
        assert self.reset in (None, NO_ERROR), "stream was reset: %r" % self.reset
        headers = email.message.Message()
        for name, value in self.blocks[0]:
            assert name == name.lower()
            headers[name] = value
        a = Answer(int(headers[":status"]), headers, self.data)
        a.trailers = dict(self.blocks[1]) if len(self.blocks) > 1 else {}
        return a
