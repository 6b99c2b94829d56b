"""HTTPS as a user's program would speak it: keep-alive, a self-signed certificate, server-sent events."""

import http.client
import json
import socket
import ssl
import time
import urllib.parse

from . import canon


def tls_context(cafile=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if cafile:
        context.load_verify_locations(cafile)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Refused(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status, body, headers):
        self.status, self.body, self.headers = status, body, headers
        Exception.__init__(self, "HTTP %d: %s" % (status, body[:300].decode("utf-8", "replace")))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def rows(self):
        """The JSON array as a bag of canonical objects."""
        return canon.bag(canon.loads(self.body))

    def value(self):
        return canon.loads(self.body)

    def json(self):
        return json.loads(self.body)

    @property
    def epoch(self):
        text = self.headers.get("Penstock-Epoch")
        return None if text is None else int(text)


class Client:
    """One keep-alive connection; one thread."""

    def __init__(self, port, timeout_s=30):
        self.port, self.timeout_s = port, timeout_s
        self.context = tls_context()
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def _connect(self):
        self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout_s,
                                                      context=self.context)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(self, path, headers=None, method="GET", body=None):
        """Any status. A keep-alive connection that the server had closed meanwhile is opened anew, once."""
        fresh = self.connection is None
        while True:
            try:
                if self.connection is None:
                    self._connect()
                self.connection.request(method, path, body=body, headers=headers or {})
                r = self.connection.getresponse()
                data = r.read()
                if r.will_close:
                    self.close()
                return Answer(r.status, r.headers, data)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self.close()
                if fresh:
                    raise
                fresh = True
            except Exception:
                self.close()
                raise

    def get(self, path, headers=None):
        """A 2xx answer, or Refused."""
        answer = self.request(path, headers)
        if not 200 <= answer.status < 300:
            raise Refused(answer.status, answer.body, answer.headers)
        return answer

    def list(self, api, wait=None, query="select=*"):
        """Rows of an API as a bag; wait: (source, lsn) to read one's own writes."""
        headers = {"Penstock-Wait": "%s=%s" % wait} if wait else {}
        return self.get("/api/%s?%s" % (urllib.parse.quote(api), query), headers)


class Events:
    """A live query: iterate for (event, data, id); ends with the connection."""

    def __init__(self, port, path, timeout_s=30, last_id=None, more=None):
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=tls_context())
        headers = dict(more or {}, Accept="text/event-stream")
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", path, headers=headers)
        self.socket = self.connection.sock  # the connection forgets it when the answer has no end
        self.response = self.connection.getresponse()
        if self.response.status != 200:
            body = self.response.read()
            self.connection.close()
            raise Refused(self.response.status, body, self.response.headers)
        self.content_type = self.response.headers.get("Content-Type", "")

    def close(self):
        """Also from another thread: whoever reads sees the end."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.connection.close()

    def __iter__(self):
        event, data, id_ = "message", [], None
        while True:
            line = self.response.readline()
            if not line:
                return
            line = line.decode("utf-8").rstrip("\r\n")
            if not line:
                if data or event != "message":
                    yield event, "\n".join(data), id_
                event, data = "message", []
                continue
            name, _, text = line.partition(":")
            text = text[1:] if text.startswith(" ") else text
            if name == "event":
                event = text
            elif name == "data":
                data.append(text)
            elif name == "id":
                id_ = text


def wait_for(condition, timeout_s, what, pause_s=0.02):
    """Polls until condition() is true and returns what it gave; an exception inside counts as not yet."""
    deadline = time.monotonic() + timeout_s
    last = None
    while time.monotonic() < deadline:
        try:
            found = condition()
            if found:
                return found
            last = None
        except Exception as e:
            last = e
        time.sleep(pause_s)
    raise TimeoutError("%s: not within %g s%s" % (what, timeout_s, " (%s)" % last if last else ""))
