// How the box is, at one look.
import {make, box, card, facts, table, cell, dot, metrics, rate, every, count, bytes, duration} from "./lib.js";

const numbers = pairs => make("div", {class: "big"}, ...pairs.map(([value, what]) => make("div", {}, make("b", {}, value), make("span", {}, what))));

function health(status, ready) {
  const h = status?.box?.health ?? {checks: []};
  return card("Health", make("p", {class: "check"}, dot(ready.ready ? "good" : "warn"), make("b", {}, "views"), make("span", {}, ready.ready ? "complete and served" : "not all ready")), ...[...ready.reasons, ...ready.warnings].map(t => make("p", {class: "dim"}, t)), ...(h.checks ?? []).map(c => make("p", {class: "check"}, dot(c.ok ? "good" : "bad"), make("b", {}, c.name), make("span", {}, c.ok ? "fine" : "not well"), make("small", {}, c.detail ?? ""))),
    status?.box?.rescue ? make("p", {class: "error"}, "The data partition cannot be used: the box runs without it, and keeps nothing. A factory reset makes a new one.") : null);
}
function machine(b, m) {
  const slot = b.slot ?? {}, state = {confirmed: "confirmed", trial: "on trial", fallback: "fallen back to: the last upgrade did not come up healthy"}[slot.state] ?? slot.state;
  const expires = m.sum("penstock_tls_certificate_expires_seconds"), left = expires - Date.now() / 1000;
  return card("Box", facts([
    ["Name", b.hostname], ["Board", b.board], ["Image", [b.image?.version, b.image?.build].filter(Boolean).join(", ")],
    ["Slot", slot.running ? slot.running.toUpperCase() + ", " + state : "–"],
    ["Other slot", slot.other ? [slot.other.version, slot.other.build].filter(Boolean).join(", ") : "empty"],
    ["Addresses", (b.addresses ?? []).join(", ")], ["Up for", duration(b.uptime_s)], ["Clock", b.time?.synced ? "in step" : "not set by a time server yet"],
    ["Certificate", m.has("penstock_tls_certificate_expires_seconds") ? make("span", {class: left < 30 * 86400 ? "warn" : ""}, "until " + new Date(expires * 1000).toISOString().slice(0, 10)) : "–"],
    ["TLS fingerprint", make("code", {}, b.fingerprint?.tls ?? "–")], ["SSH fingerprint", make("code", {}, b.fingerprint?.ssh ?? "–")],
    ["Configuration", b.configuration?.applied_at ? "applied " + b.configuration.applied_at.replace("T", " ").replace("Z", "") : "as delivered"]]));
}
function shards(m, last) {
  const list = m.all("penstock_shard_rows_total").map(s => s.labels.shard);
  return card("Cores", table(["Shard", "rows/s", "busy", "in memory", "in the store"], list.map(s => [s, cell(count(rate(m, last, "penstock_shard_rows_total", {shard: s})), "n"),
    cell(last ? Math.round(rate(m, last, "penstock_shard_busy_seconds_total", {shard: s}) * 100) + " %" : "–", "n"), cell(bytes(m.sum("penstock_shard_state_bytes", {shard: s})), "n"), cell(bytes(m.sum("penstock_store_used_bytes", {shard: s})), "n")]), "no shard is running"));
}
function flow(m, last) {
  const done = m.sum("penstock_epoch_seconds_count");
  return card("Flow", numbers([[count(rate(m, last, "penstock_source_rows_total")), "source rows a second"], [count(rate(m, last, "penstock_http_requests_total")), "requests a second"],
    [duration(m.all("penstock_source_lag_seconds").reduce((a, s) => Math.max(a, s.value), 0)), "behind the sources"], [last ? count(rate(m, last, "penstock_epoch_seconds_count")) : count(done), last ? "epochs a second" : "epochs"],
    [count(m.sum("penstock_live_queries")), "live queries"], [count(m.sum("penstock_connections")), "connections"],
    [bytes(m.sum("penstock_process_resident_memory_bytes")), "memory"], [bytes(m.sum("penstock_disk_free_bytes")), "free on the disk"]]));
}

export function overviewPage(main, {signal, site}) {
  const top = make("div", {class: "cards"}), low = make("div"), error = make("p", {class: "error", role: "alert", hidden: true});
  let last = null, status = null, said = "";
  main.append(error, top, low);
  every(5000, signal, async () => {
    if (!site.box) return;
    try { status = await box("GET", "status"); said = ""; } catch (e) { said = e.message; }
  });
  every(2000, signal, async () => {
    const m = await metrics(), ready = await fetch("/ready", {cache: "no-store"}).then(a => a.json());
    error.textContent = said;
    error.hidden = !said;
    top.replaceChildren(health(status, ready), flow(m, last));
    low.replaceChildren(...[status?.box ? machine(status.box, m) : null, shards(m, last)].filter(Boolean));
    last = m;
  });
}
