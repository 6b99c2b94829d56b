// Where the data comes from, and how far each source has come.
import {make, card, table, cell, dot, metrics, rate, every, count, bytes, duration} from "./lib.js";

export function sourcesPage(main, {signal}) {
  const body = make("div");
  let last = null;
  main.append(body);
  every(2000, signal, async () => {
    const m = await metrics(), names = [...new Set(m.all("penstock_source_state").map(s => s.labels.source))];
    const of = (name, source) => m.sum("penstock_source_" + name, {source});
    const state = source => m.all("penstock_source_state").find(s => s.labels.source === source && s.value === 1)?.labels.state ?? "–";
    body.replaceChildren(card("Sources", table(["Source", "State", "rows/s", "Behind", "Rows so far", "Snapshot", "Reconnects", "Last heard of"], names.map(s => [
      make("b", {}, s), make("span", {}, dot(state(s) === "streaming" ? "good" : ["failed", "stopped", "away"].includes(state(s)) ? "bad" : "warn"), state(s)),
      cell(count(rate(m, last, "penstock_source_rows_total", {source: s})), "n"), duration(of("lag_seconds", s)) + (of("lag_bytes", s) > 0 ? ", " + bytes(of("lag_bytes", s)) : ""),
      cell(count(of("rows_total", s)), "n"), of("snapshot_expected_rows", s) ? count(of("snapshot_rows", s)) + " of " + count(of("snapshot_expected_rows", s)) : "–", cell(count(of("reconnects_total", s)), "n"), duration(of("contact_age_seconds", s))]), "no source is configured")),
      card("Views", table(["View", "State", "Rows", "Left out", "In memory", "In the store"], m.all("penstock_view_rows").map(v => v.labels.view).map(v => [make("b", {}, v),
        m.all("penstock_view_state").find(s => s.labels.view === v && s.value === 1)?.labels.state ?? "–", cell(count(m.sum("penstock_view_rows", {view: v})), "n"),
        cell(count(m.sum("penstock_view_error_rows", {view: v})), m.sum("penstock_view_error_rows", {view: v}) ? "n warn" : "n"), cell(bytes(m.sum("penstock_view_state_bytes", {view: v})), "n"), cell(bytes(m.sum("penstock_view_bytes", {view: v})), "n")]), "no view is configured")));
    last = m;
  });
}
