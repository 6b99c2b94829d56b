#!/bin/sh
# Reads, consistency and live changes with curl. PENSTOCK_URL, PENSTOCK_TOKEN, PENSTOCK_CA: see README.md.
set -eu
url=${PENSTOCK_URL:-https://localhost:8443}
get() { # PATH [CURL OPTION...]: through one place, so that trust and token are said once
    path=$1
    shift
    if [ -n "${PENSTOCK_CA:-}" ]; then set -- --cacert "$PENSTOCK_CA" "$@"; else set -- -k "$@"; fi
    if [ -n "${PENSTOCK_TOKEN:-}" ]; then set -- -H "Authorization: Bearer $PENSTOCK_TOKEN" "$@"; fi
    curl -sS --fail-with-body --compressed "$@" "$url$path"
}

# One row by its key, one column of it.
echo "row 42: $(get '/api/balances/42?select=owner' -H 'Accept: text/csv' | tail -n 1)"

# A list: filtered, ordered, cut, as CSV.
echo "branch 7: $(get '/api/balances?branch=eq.7&order=balance.desc&select=account_id&limit=3' -H 'Accept: text/csv' | awk 'END {print NR - 1}') richest"

# The next answer is not older than this one, wherever it comes from.
seen=$(get /api/total -D - -o /dev/null | tr -d '\r' | awk 'tolower($1) == "penstock-epoch:" {e = $2} tolower($1) == "penstock-timeline:" {t = $2} END {print e "-" t}')
get /api/total -o /dev/null -H "Penstock-At-Least: $seen"
echo "at least: ok"

# Two reads from one epoch.
get '/api/$batch' -H 'Content-Type: application/json' --data '{"total": "total", "branches": "branches?select=balance"}' |
    python3 -c 'import json, sys
a = json.load(sys.stdin)
print("batch: %.2f %.2f" % (a["total"]["body"][0]["balance"], sum(r["balance"] for r in a["branches"]["body"])))'

# Live: the rows first, then every change. The stream goes on until somebody closes it: here awk, after three changes.
get '/api/balances?branch=eq.7' -N -H 'Accept: text/event-stream' 2>/dev/null |
    awk '/^event: epoch/ {known = 1} /^event: update/ && known {n++} n == 3 {print "live: 3 changes"; exit}'
