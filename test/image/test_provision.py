#!/usr/bin/python3
"""How a box comes to be somebody's, in the booted image: a folder on its own disk gives it its owner and is gone; a stick is then refused; a
factory reset makes it nobody's, with another host key; the stick gives it settings but no owner; the code on its serial console, typed
on the console's first page, and an SSH key added there, make it somebody's again."""
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.realpath(os.path.join(HERE, "../.."))
sys.path.insert(0, os.path.join(ROOT, "test/e2e"))
sys.path.append(os.path.join(HERE, "lib"))
import machine
from lib import client, procs
from lib.report import Report
from test_appliance import Images

BOX = "box: 1\nhostname: %s\ntime: { servers: [] }\n"
WORDS = "correct horse battery"
HEADERS = {"X-Penstock-Console": "1", "Content-Type": "application/json"}
STARTUP = 240  # seconds: a boot under emulation, beside other work


class Console:
    def __init__(self, box):
        self.box, self.cookie = box, None
        self.http = client.Client(box.https_port)

    def call(self, method, path, **fields):
        headers = dict(HEADERS, **({"Cookie": self.cookie} if self.cookie else {}))
        answer = self.http.request("/admin/box/" + path, headers, method, json.dumps(fields).encode() if method == "POST" else None)
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = cookie.split(";")[0]
        return answer

    def wait_state(self, seconds=STARTUP):
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end and self.box.running:
            try:
                last = self.call("GET", "state")
                if last.status == 200:
                    return json.loads(last.body)
            except Exception as e:  # the box is starting
                last = e
                self.http.close()
            time.sleep(1)
        raise AssertionError("the console does not answer: %s\n%s" % (last, self.box.tail()))


def logged(box, regex, seconds=60):
    """Whether the box's log comes to say so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if re.search(regex, box.ssh(["logs", "-n", "500"])[1]):
            return True
        time.sleep(2)
    return False


def provisioned(r, box):
    """The first start. The fingerprint of its host key."""
    box.provision_esp({"box.yaml": BOX % "edge-1", "authorized_keys": box.public_key})
    box.boot()
    box.wait_ssh(STARTUP)
    status = json.loads(box.ssh(["status", "--json"])[1])["box"]
    r.check("the folder gave the box its name and its owner", status["hostname"] == "edge-1" and status["claimed"], status)
    state = json.loads(box.ssh(["claim", "--status", "--json"])[1])
    r.check("nobody can claim it by a code", state == {"claimed": True, "password": False} and "claim code" not in box.console, state)
    shown = json.loads(box.ssh(["certificate", "show", "--json"])[1])
    r.check("its certificate is its own", shown["self_signed"], shown)
    r.check("the log tells what was taken", logged(box, r"taken: box.yaml authorized_keys"))
    return status["fingerprint"]["ssh"]


def refused(r, box):
    match = logged(box, r"provisioning: the box is claimed")
    r.check("a stick's folder is refused by a claimed box", match and json.loads(box.ssh(["status", "--json"])[1])["box"]["hostname"] == "edge-1")
    code, out, err = box.ssh(["factory-reset", "--yes", "edge-2"], check=False)
    r.check("a reset by another name is refused", code == 2, (out, err))


def reset(r, box, fingerprint):
    """Back to nobody's, and through the stick to a name."""
    box.ssh(["factory-reset", "--yes", "edge-1"], check=False)
    code = box.wait_console(r"claim code:? +([0-9A-Z]{4}-[0-9A-Z]{4})", STARTUP).group(1)
    r.check("after the reset the serial console shows a claim code", bool(code))
    state = Console(box).wait_state()
    r.check("the box is nobody's", state == {"claimed": False, "password": False}, state)
    status, _, _ = box.ssh(["version"], check=False)
    r.check("the former owner's key opens nothing", status != 0, status)
    box.wait_console(r"provisioning from a stick is done", 60)
    since = box.console[box.console.rindex("Penstock box: "):]  # the console goes on through the restart
    found = re.findall(r"SHA256:[A-Za-z0-9+/]{43}", since)
    r.check("the host key is another one", found and fingerprint not in found, (fingerprint, found))
    return code


def claimed(r, box, code):
    c = Console(box)
    wrong = c.call("POST", "claim", code="0000-0000", password=WORDS)
    r.check("a wrong code is refused", wrong.status in (401, 403, 409, 422), (wrong.status, wrong.body))
    done = c.call("POST", "claim", code=code, password=WORDS)
    r.check("the code claims the box", done.status in (200, 204), (done.status, done.body))
    done = c.call("POST", "login", password=WORDS)
    r.check("the password opens a session", done.status in (200, 204) and c.cookie, (done.status, done.body))
    done = c.call("POST", "ssh-keys", key=box.public_key)
    r.check("an SSH key is added", done.status in (200, 204), (done.status, done.body))
    box.wait_ssh(60)
    status = json.loads(box.ssh(["status", "--json"])[1])["box"]
    r.check("and logs in; the stick's name is in force", status["claimed"] and status["hostname"] == "edge-2", status)


def main():
    with Report("test_provision", 900) as r:
        folder = procs.temp_dir("provision")
        image = Images(folder).build("first") + ".img"
        stick = machine.usb_stick(os.path.join(folder, "stick.img"), {"penstock/box.yaml": BOX % "edge-2"})
        with machine.Machine(image, usb=[stick]) as box:
            fingerprint = r.section("provisioned", provisioned, r, box)
            r.section("refused", refused, r, box)
            code = r.section("reset", reset, r, box, fingerprint)
            if code:
                r.section("claimed", claimed, r, box, code)
            box.shutdown()
            left = box.esp_file("penstock/authorized_keys")
            r.check("nothing of the folder is left in the slot", left is None, left)
            told = box.esp_file("penstock/penstock-result.txt") or b""
            r.check("but what became of it", b"taken:" in told, told)


if __name__ == "__main__":
    main()
