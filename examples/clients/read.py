#!/usr/bin/env python3
"""Reads, consistency and live changes with Python's own library. PENSTOCK_URL, PENSTOCK_TOKEN, PENSTOCK_CA: see README.md."""

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from decimal import Decimal

BASE = os.environ.get("PENSTOCK_URL", "https://localhost:8443")
TOKEN = os.environ.get("PENSTOCK_TOKEN")
CA = os.environ.get("PENSTOCK_CA")
CONTEXT = ssl.create_default_context(cafile=CA)
if not CA:  # the self-signed certificate of a trial
    CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


def ask(path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if TOKEN:
        headers["Authorization"] = "Bearer " + TOKEN
    data = None if body is None else json.dumps(body).encode()
    try:
        return urllib.request.urlopen(urllib.request.Request(BASE + path, data, headers), context=CONTEXT, timeout=30)
    except urllib.error.HTTPError as e:
        problem = json.load(e)
        raise SystemExit("%d %s: %s %s" % (e.code, problem["code"], problem["message"], problem["hint"] or "")) from None


def load(answer):
    return json.load(answer, parse_float=Decimal)  # every digit


# One row by its key.
print("row 42:", load(ask("/api/balances/42"))["owner"])

# A list: filtered, ordered, cut.
query = urllib.parse.urlencode({"branch": "eq.7", "order": "balance.desc", "select": "account_id,balance", "limit": 3})
print("branch 7:", len(load(ask("/api/balances?" + query))), "richest")

# The next answer is not older than this one, wherever it comes from.
seen = ask("/api/total").headers
ask("/api/total", Penstock_At_Least=seen["Penstock-Epoch"] + "-" + seen["Penstock-Timeline"])
print("at least: ok")

# Two reads from one epoch.
both = load(ask("/api/$batch", {"total": "total", "branches": "branches?select=balance"}))
print("batch: %.2f %.2f" % (both["total"]["body"][0]["balance"], sum(row["balance"] for row in both["branches"]["body"])))


def live(path, last=None):
    """Events of a live query: (event, data, id). `last` is where to go on after a lost connection."""
    headers = {"Accept": "text/event-stream"}
    if last:
        headers["Last_Event_ID"] = last
    event = {}
    for line in ask(path, **headers):
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
        elif "event" in event:
            yield event["event"], json.loads(event["data"], parse_float=Decimal), event.get("id")
            event = {}


# Live: the rows first, then every change of exactly that query.
known, changes = False, 0
for event, data, id in live("/api/balances?branch=eq.7"):
    known = known or event == "epoch"  # all rows have come
    changes += known and event == "update"
    if changes == 3:
        break
print("live:", changes, "changes")
