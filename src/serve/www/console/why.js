// Why a row is as it is, as tables: what its columns are made of, the source rows it comes from, its last changes.
import {make, card, table, button, count} from "./lib.js";

// JSON whose numbers stay the texts that came: a JavaScript number would lose digits.
export const exact = text => JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, m => m[0] === '"' ? m : '"' + m + '"'));

const plain = v => v === null ? "null" : typeof v === "object" ? JSON.stringify(v) : String(v);
function rows(title, list) {
  const columns = [...new Set(list.flatMap(s => Object.keys(s.row ?? s.key ?? {})))];
  return [make("h3", {}, title), table(columns, list.map(s => columns.map(c => plain((s.row ?? s.key ?? {})[c] ?? null))))];
}
function change(c) {
  const row = c.new ?? c.old ?? {}, differs = ([k, v]) => c.op !== "update" || plain(v) !== plain(c.old?.[k] ?? null);
  return [c.epoch, c.op, Object.entries(row).filter(differs).map(([k, v]) => k + ": " + (c.op === "update" ? plain(c.old?.[k] ?? null) + " → " : "") + plain(v)).join(", ")];
}

export function whyCard(title, text, column, close) {
  const said = exact(text), of = said.columns.find(c => c.name === column), groups = new Map();
  for (const s of said.sources) groups.set(s.table, [...groups.get(s.table) ?? [], s]);
  const shown = of ? [of] : said.columns;
  return card(title,
    make("p", {class: "dim"}, "epoch " + count(+said.epoch) + ", " + said.source_count + " source rows" + (said.complete === false ? ", not all of them: " + plain(said.cut_by) : "") + (said.recomputed === false ? "" : "; computed anew from them, it is the same")),
    table(["Column", "Is", "Made of"], shown.map(c => [make("b", {}, c.name), make("code", {}, plain(said.row[c.name])), make("span", {}, make("code", {}, c.expression), " from " + c.from.join(", "))])),
    ...[...groups].flatMap(([t, list]) => rows(t, list)),
    ...(said.notes ?? []).map(n => make("p", {class: "dim"}, plain(n))),
    said.changes?.length ? [make("h3", {}, "Last changes"), table(["Epoch", "What", "Values"], said.changes.map(change))] : [],
    make("details", {}, make("summary", {}, "As JSON"), make("pre", {tabindex: "0"}, text)),
    make("div", {class: "buttons"}, button("Close", close)));
}
