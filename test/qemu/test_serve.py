#!/usr/bin/python3
"""The aarch64 program end to end in the emulated machine: generator, operators on two shards, store, REST over TLS.

Prints ok / not ok lines; PENSTOCK_URL says where the machine answers."""
import decimal
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["PENSTOCK_URL"]
failed = 0


def get(path, headers=None, timeout_s=60):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE  # self-signed, made by the machine itself
    request = urllib.request.Request(URL + path, headers=headers or {})
    with urllib.request.urlopen(request, timeout=timeout_s, context=tls) as answer:
        return answer.status, dict(answer.headers), answer.read().decode()


def check(name, fn):
    global failed
    try:
        problem = fn()
    except Exception as e:  # whatever goes wrong is this check's failure
        problem = "%s: %s" % (type(e).__name__, e)
    print("not ok %s: %s" % (name, problem) if problem else "ok %s" % name, flush=True)
    failed += bool(problem)


def ready():
    end, last = time.monotonic() + 180, ""
    while time.monotonic() < end:
        try:
            if get("/ready")[0] == 200:
                return None
        except (urllib.error.URLError, OSError) as e:
            last = str(e)
        time.sleep(1)
    return "not ready within 180 s: " + last


def balances_sum_to_zero():
    for _ in range(10):
        rows = json.loads(get("/api/balances")[2], parse_float=decimal.Decimal, parse_int=decimal.Decimal)
        total = sum(r["balance"] for r in rows)
        if not rows or total != 0:
            return "%d rows, total %s" % (len(rows), total)
    return None


def total_is_zero_while_epochs_go_on():
    epochs = set()
    for _ in range(10):
        _, headers, body = get("/api/total")
        row = json.loads(body)[0]
        if float(row["total"]) != 0:
            return body
        epochs.add(int(headers["Penstock-Epoch"]))
        time.sleep(0.3)
    return None if len(epochs) > 1 else "epochs seen: %s" % epochs


def one_row_by_key():
    row = json.loads(get("/api/balances/7")[2])
    return None if row["id"] == 7 and row["owner"] else row


def filters_and_order():
    rows = json.loads(get("/api/balances?id=lte.20&order=id.desc&select=id&limit=5")[2])
    return None if [r["id"] for r in rows] == [20, 19, 18, 17, 16] else rows


def live_query():
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(URL + "/api/balances", headers={"Accept": "text/event-stream"})
    epochs, end = 0, time.monotonic() + 60  # every transfer changes two balances; heartbeats come in between
    with urllib.request.urlopen(request, timeout=60, context=tls) as stream:
        for line in stream:
            epochs += line.startswith(b"event: epoch")
            if epochs >= 3:
                return None
            if time.monotonic() > end:
                break
    return "%d epochs within 60 s" % epochs


check("qemu/ready", ready)
check("qemu/balances-sum-to-zero", balances_sum_to_zero)
check("qemu/total-is-zero", total_is_zero_while_epochs_go_on)
check("qemu/one-row-by-key", one_row_by_key)
check("qemu/filters-and-order", filters_and_order)
check("qemu/live-query", live_query)
sys.exit(1 if failed else 0)
