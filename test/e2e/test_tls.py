#!/usr/bin/python3
"""TLS as a scanner looks at it: which versions, suites, extensions the running server takes, with hellos made byte by byte, and
OpenSSL's client for what needs a whole handshake. What is taken must be exactly what docs/security.md says."""

import os
import re
import socket
import ssl
import struct
import subprocess

from lib import client
from lib.penstock import Penstock
from lib.report import Report

CONFIG = """penstock: 1
sources:
  demo: { generator: { workload: bank, rate: 10, seed: 7, accounts: 20 } }
sql: [ "CREATE VIEW accounts AS SELECT id FROM demo.accounts" ]
apis: { accounts: }
access: { anonymous: read }
server: { listen: "127.0.0.1:{port}"%s }
limits: { header_timeout: 3s }
"""
# ECDHE with AES-GCM or ChaCha20-Poly1305, by the certificate's kind; and TLS 1.3's.
SUITES = {"ecdsa": {0xC02B, 0xC02C, 0xCCA9}, "rsa": {0xC02F, 0xC030, 0xCCA8}}
SUITES_13 = {0x1301, 0x1302, 0x1303}
ALL_12 = list(range(0x0000, 0x00C6)) + list(range(0xC001, 0xC100)) + list(range(0xCCA8, 0xCCAF)) + [0xCC13, 0xCC14, 0xCC15, 0xFEFE, 0xFEFF]
ALERT, HANDSHAKE = 21, 22
UNEXPECTED, RECORD_OVERFLOW, FAILURE, DECODE, VERSION, NO_PROTOCOL = 10, 22, 40, 50, 70, 120


def ext(kind, body):
    return struct.pack("!HH", kind, len(body)) + body


def vector(size, body):
    return struct.pack({1: "!B", 2: "!H"}[size], len(body)) + body


GROUPS = ext(10, vector(2, b"\x00\x1d\x00\x17\x00\x18"))
SIGNATURES = ext(13, vector(2, b"\x04\x03\x05\x03\x08\x04\x08\x05\x04\x01\x05\x01"))
POINTS = ext(11, vector(1, b"\0"))


def sni(name):
    return ext(0, vector(2, b"\0" + vector(2, name)))


def alpn(*names):
    return ext(16, vector(2, b"".join(vector(1, n) for n in names)))


def hello(version=0x0303, suites=tuple(SUITES["ecdsa"] | SUITES["rsa"]), extensions=GROUPS + SIGNATURES + POINTS, compression=b"\0", session=b""):
    body = struct.pack("!H", version) + b"r" * 32 + vector(1, session) + vector(2, b"".join(struct.pack("!H", s) for s in suites)) + \
        vector(1, compression) + vector(2, extensions)
    return b"\x01" + len(body).to_bytes(3, "big") + body


def record(body, kind=HANDSHAKE, version=0x0301):
    return struct.pack("!BHH", kind, version, len(body)) + body


def exchange(box, data, pieces=None, more=b""):
    """What the server says to these bytes, until it is silent for a moment after its first flight or closes."""
    with socket.create_connection(("127.0.0.1", box.port), timeout=8) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        out = b""
        try:
            for part in pieces or [data]:
                s.sendall(part)
            while not any(k == ALERT or (k == HANDSHAKE and b[:1] == b"\x02") for k, b in records(out)):
                got = s.recv(65536)
                if not got:
                    break
                out += got
            if more:
                s.sendall(more)
                while got := s.recv(65536):
                    out += got
        except OSError:
            pass
        return records(out)


def records(data):
    found = []
    while len(data) >= 5:
        kind, _, length = struct.unpack("!BHH", data[:5])
        if len(data) < 5 + length:
            break
        found.append((kind, data[5:5 + length]))
        data = data[5 + length:]
    return found


def server_hello(answer):
    """(version, random, suite, compression, {extension: body}) or None."""
    for kind, b in answer:
        if kind == HANDSHAKE and b[:1] == b"\x02":
            version, = struct.unpack("!H", b[4:6])
            at = 39 + b[38]
            suite, compression = struct.unpack("!HB", b[at:at + 3])
            extensions, at, end = {}, at + 5, 4 + int.from_bytes(b[1:4], "big")
            while at + 4 <= end:
                k, n = struct.unpack("!HH", b[at:at + 4])
                extensions[k] = b[at + 4:at + 4 + n]
                at += 4 + n
            return version, b[6:38], suite, compression, extensions
    return None


def alert(answer):
    return next((b[1] for kind, b in answer if kind == ALERT and len(b) == 2), None)


def ended(answer):
    """No handshake was begun: an alert, or the end of the connection."""
    return server_hello(answer) is None


def versions(r, box):
    for version in (0x0000, 0x0002, 0x0200, 0x0300, 0x0301, 0x0302):
        for at in (0x0300, 0x0301, version):
            a = exchange(box, record(hello(version), version=at))
            r.check("versions/0x%04x" % version, ended(a), a)
    got = server_hello(exchange(box, record(hello(0x0303))))
    r.check("versions/0x0303", got and got[0] == 0x0303, got)
    for version in (0x0304, 0x03ff, 0xffff):  # without a list of versions no client may say so: 1.2, or nothing
        got = server_hello(exchange(box, record(hello(version))))
        r.check("versions/0x%04x" % version, not got or got[0] == 0x0303, got)
    ssl2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80\x03\x00\x80\x04\x00\x80\x05\x00\x80\x06\x00\x40\x07\x00\xc0" + b"c" * 16
    r.check("versions/ssl2", ended(exchange(box, ssl2)), "taken")
    for listed in (b"\x03\x00", b"\x03\x01\x03\x02", b"\x7f\x1c", b"\x0a\x0a"):
        a = exchange(box, record(hello(suites=tuple(SUITES_13), extensions=GROUPS + SIGNATURES + ext(43, vector(1, listed)))))
        r.check("versions/listed-%s" % listed.hex(), ended(a), a)


def suites(r, box, kind):
    taken = set()
    for suite in ALL_12:
        got = server_hello(exchange(box, record(hello(suites=(suite,)))))
        if got:
            r.equal("suites/%s/0x%04x" % (kind, suite), got[2], suite)
            taken.add(suite)
    r.equal("suites/%s" % kind, {hex(s) for s in taken}, {hex(s) for s in SUITES[kind]})
    taken = set()
    for suite in range(0x1301, 0x1308):
        share = ext(51, vector(2, b"\x00\x17" + vector(2, b"\x04" + bytes.fromhex(
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"))))
        got = server_hello(exchange(box, record(hello(suites=(suite,), extensions=GROUPS + SIGNATURES + share + ext(43, b"\x02\x03\x04")))))
        if got:
            taken.add(suite)
    r.equal("suites/1.3", {hex(s) for s in taken}, {hex(s) for s in SUITES_13})


def extensions(r, box):
    base = GROUPS + SIGNATURES + POINTS
    got = server_hello(exchange(box, record(hello(compression=b"\x01\x00"))))
    r.check("compression", got and got[3] == 0, got)
    got = server_hello(exchange(box, record(hello(compression=b"\x01"))))
    r.check("compression/only-deflate", not got or got[3] == 0, got)
    got = server_hello(exchange(box, record(hello(extensions=base + ext(0xff01, b"\0")))))
    r.check("renegotiation-info", got and 0xff01 in got[4], got)
    got = server_hello(exchange(box, record(hello(extensions=base + ext(15, b"\x01")))))
    r.check("heartbeat", got and 15 not in got[4], got)
    a = exchange(box, record(hello()) + record(b"\x01\x40\x00" + b"x" * 16, kind=24), more=record(b"\x01\x40\x00", kind=24))
    r.check("heartbeat/bleeds-nothing", not [b for k, b in a if k == 24], a)
    got = server_hello(exchange(box, record(hello())))
    r.check("downgrade-sentinel", got and got[1][-8:] == b"DOWNGRD\x01", got and got[1].hex())
    for name, e in (("unknown", sni(b"elsewhere.example")), ("address", sni(b"127.0.0.1")), ("long", sni(b"a" * 10000)), ("nul", sni(b"a\0b")),
                    ("utf8", sni(b"\xff\xfe")), ("empty", sni(b"")), ("empty-list", ext(0, b"\0\0")), ("nothing", ext(0, b"")),
                    ("lies", ext(0, b"\xff\xff\x00\xff\xff")), ("two", sni(b"a") + sni(b"b"))):
        exchange(box, record(hello(extensions=base + e)))
        r.check("sni/" + name, box.client().request("/health").status == 200, "not served any more")
    got = server_hello(exchange(box, record(hello(extensions=base + alpn(b"h2", b"http/1.1")))))
    r.check("alpn/both", got and got[4].get(16) == vector(2, vector(1, b"h2")), got)
    a = exchange(box, record(hello(extensions=base + alpn(b"spdy/3"))))
    r.equal("alpn/other-alone", alert(a), NO_PROTOCOL)
    for name, e in (("empty", ext(16, b"\0\0")), ("empty-name", alpn(b"")), ("lies", ext(16, b"\xff\xff\xff")), ("long", alpn(*[b"x" * 255] * 30))):
        r.check("alpn/" + name, ended(exchange(box, record(hello(extensions=base + e)))), "taken")
    for name, e in (("cut", base[:-1]), ("too-long", base + b"\x00\x0d\xff\xff"), ("empty-groups", ext(10, b"\0\0") + SIGNATURES)):
        r.check("malformed/" + name, ended(exchange(box, record(hello(extensions=e)))), "taken")


def framing(r, box):
    whole = hello()
    for name, data in (("empty-record", record(b"")), ("oversized", struct.pack("!BHH", 22, 0x0301, 0x4801) + b"x" * 0x4801), ("alert-first", record(b"\x02\x28", kind=ALERT)),
                       ("data-first", record(b"GET / HTTP/1.1\r\n\r\n", kind=23)), ("unknown-kind", record(b"x", kind=99)), ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("ssh", b"SSH-2.0-x\r\n" * 3), ("nul", b"\0" * 100), ("wrong-message", record(b"\x0b" + whole[1:])), ("lies", record(b"\x01\xff\xff\xff" + whole[4:])),
                       ("change-cipher-first", record(b"\x01", kind=20)), ("empty-message", record(b"\x01\0\0\0")), ("no-suites", record(hello(suites=()))),
                       ("no-compression", record(hello(compression=b""))), ("long-session", record(hello(session=b"s" * 33)))):
        a = exchange(box, data, pieces=[data])
        r.check("framing/" + name, ended(a), a)
    for n in (1, 7, 100):  # a hello cut into records: taken or refused, never waited for without end
        data = b"".join(record(whole[i:i + n]) for i in range(0, len(whole), n))
        exchange(box, data)
        exchange(box, b"", pieces=[bytes([b]) for b in record(whole)])
    r.check("framing/byte-by-byte", server_hello(exchange(box, b"", pieces=[bytes([b]) for b in record(whole)])), "not taken")
    r.equal("framing/served", box.client().request("/health").status, 200)


def openssl(box, *args, say=b"", timeout_s=15):
    p = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % box.port, *args], input=say, capture_output=True, timeout=timeout_s)
    return p.returncode, (p.stdout + p.stderr).decode("utf-8", "replace")


def handshakes(r, box):
    get = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for flag, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        out = openssl(box, flag, "-ign_eof", say=get)[1]
        r.check("openssl/" + name, "HTTP/1.1 200" in out and "Compression: NONE" in out and name in out, out[-600:])
        r.check("openssl/%s/closes" % name, "closed" in out, out[-300:])
    out = openssl(box, "-tls1_2", say=b"R\n" + get)[1]
    r.check("renegotiation/client-initiated", "RENEGOTIATING" in out and "HTTP/1.1 200" not in out, out[-600:])
    r.check("renegotiation/secure", "Secure Renegotiation IS supported" in openssl(box, "-tls1_2", "-ign_eof", say=get)[1], "not announced")
    session = os.path.join(box.dir, "session")
    out = openssl(box, "-tls1_3", "-ign_eof", "-sess_out", session, say=get)[1]
    r.check("early-data/not-offered", "Max Early Data: 0" in out, re.findall(".*Early.*", out))
    if os.path.exists(session):
        data = os.path.join(box.dir, "early")
        with open(data, "wb") as f:
            f.write(get)
        out = openssl(box, "-tls1_3", "-ign_eof", "-sess_in", session, "-early_data", data, say=get)[1]
        r.check("early-data/refused", "Early data was accepted" not in out, re.findall(".*[Ee]arly.*", out))
    # No close_notify of the client's: a truncation is not an error that anybody else sees.
    s = socket.create_connection(("127.0.0.1", box.port), timeout=5)
    t = client.tls_context().wrap_socket(s, server_hostname="localhost")
    t.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    t.recv(4096)
    os.close(t.detach())
    # The server's own: the end of an answer can be told from a cut.
    context = client.tls_context()
    with socket.create_connection(("127.0.0.1", box.port), timeout=5) as s, context.wrap_socket(s, server_hostname="x", suppress_ragged_eofs=False) as t:
        t.sendall(get)
        got = b""
        try:
            while more := t.recv(65536):
                got += more
            clean = True
        except ssl.SSLError:
            clean = False
        r.check("close-notify", clean and got.startswith(b"HTTP/1.1 200"), got[:100])


def run(*argv):
    subprocess.run(argv, check=True, capture_output=True)


def make_chain(dir):
    """A root, an authority below it, and the server's RSA certificate; the file holds the last two."""
    p = lambda n: os.path.join(dir, n)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10", "-subj", "/CN=root", "-keyout", p("root.key"), "-out", p("root.pem"))
    for name, parent, extra in (("mid", "root", "basicConstraints=critical,CA:TRUE"), ("leaf", "mid", "subjectAltName=DNS:localhost")):
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=" + name, "-keyout", p(name + ".key"), "-out", p(name + ".csr"))
        with open(p("ext"), "w") as f:
            f.write(extra)
        run("openssl", "x509", "-req", "-in", p(name + ".csr"), "-CA", p(parent + ".pem"), "-CAkey", p(parent + ".key"), "-CAcreateserial", "-days", "5",
            "-extfile", p("ext"), "-out", p(name + ".pem"))
    with open(p("chain.pem"), "w") as f:
        f.write(open(p("leaf.pem")).read() + open(p("mid.pem")).read())


def chain(r):
    box = Penstock(None, shards=1, name="tls-rsa")
    make_chain(box.dir)
    box.write_config(CONFIG % ", tls: { certificate: chain.pem, key: leaf.key }")
    box.start()
    suites(r, box, "rsa")
    out = openssl(box, "-CAfile", os.path.join(box.dir, "root.pem"), "-verify_return_error", "-verify_hostname", "localhost", "-showcerts")[1]
    r.check("chain/verifies", "Verify return code: 0 (ok)" in out and out.count("BEGIN CERTIFICATE") == 2, out[-500:])
    good = open(box.config).read()
    for name, tls, words in (("other-key", "{ certificate: chain.pem, key: mid.key }", ["mid.key", "chain.pem"]), ("no-file", "{ certificate: none.pem, key: leaf.key }", ["none.pem"]),
                             ("not-pem", "{ certificate: penstock.yaml, key: leaf.key }", ["penstock.yaml"]), ("key-as-certificate", "{ certificate: leaf.key, key: leaf.key }", ["leaf.key"]),
                             ("no-key", "{ certificate: chain.pem, key: chain.pem }", ["chain.pem"])):
        box.write_config(CONFIG % (", tls: " + tls))
        code, out, err = box.command("check", "-c", box.config, "--data", box.data)
        r.check("files/%s/check" % name, code != 0 and all(w in out + err for w in words), (code, (out + err)[-400:]))
        code, out, err = box.command("apply", "-c", box.config, "--data", box.data)
        r.check("files/%s/apply" % name, code != 0, (code, (out + err)[-400:]))
        r.equal("files/%s/served" % name, box.client().request("/health").status, 200)
    with open(box.config, "w") as f:
        f.write(good)
    r.equal("chain/stop", box.stop(), 0)


def main():
    with Report("test_tls.py", 200) as report:
        box = Penstock(CONFIG % "", shards=1, name="tls").start()
        pids = box.pids()
        for fn in (versions, extensions, framing, handshakes):
            report.section(fn.__name__, fn, report, box)
        report.section("suites", suites, report, box, "ecdsa")
        report.equal("nobody-died", box.pids(), pids)
        report.equal("stop", box.stop(), 0)
        report.section("chain", chain, report)


if __name__ == "__main__":
    main()
