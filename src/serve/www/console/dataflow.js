// The dataflow as a graph: operators in layers from the tables up to the views, with what flows through each and what it keeps.
// What there is, and each operator's part on each shard, comes from `explain --json`; the numbers that move from /metrics.
import {make, svg, box, card, table, cell, metrics, every, count, bytes} from "./lib.js";

const WIDTH = 230, HEIGHT = 62, GAP_X = 26, GAP_Y = 46;

export function parseDot(text) {
  const nodes = new Map(), edges = [];
  for (const line of text.split("\n")) {
    const edge = /^\s*n(\d+) -> n(\d+);/.exec(line), node = /^\s*n(\d+) \[label="((?:[^"\\]|\\.)*)"/.exec(line);
    if (edge) edges.push([+edge[1], +edge[2]]);
    else if (node) {
      const words = node[2].split("\\l").map(w => w.replace(/\\(.)/g, "$1")), label = words[0].replace(/^#\d+ /, "");
      nodes.set(+node[1], {id: +node[1], label, kind: label.split(" ")[0], lines: words.slice(1)});
    }
  }
  return {nodes, edges: edges.filter(([a, b]) => nodes.has(a) && nodes.has(b))};
}

// Layers by the longest way from a table; in each, nodes by the mean place of their neighbours, some times up and down: after
// Sugiyama, Tagawa and Toda (1981), without bends for long edges. Gives each node x and y.
export function layout({nodes, edges}) {
  const into = new Map([...nodes.keys()].map(n => [n, []])), outOf = new Map([...nodes.keys()].map(n => [n, []])), depth = new Map();
  for (const [a, b] of edges) { into.get(b).push(a); outOf.get(a).push(b); }
  const deep = (n, above) => {
    if (depth.has(n)) return depth.get(n);
    if (above.has(n)) return 0; // a recursive query's cycle
    above.add(n);
    const d = into.get(n).reduce((m, p) => Math.max(m, deep(p, above) + 1), 0);
    above.delete(n);
    depth.set(n, d);
    return d;
  };
  for (const n of nodes.keys()) deep(n, new Set());
  for (const n of nodes.keys()) if (!into.get(n).length && outOf.get(n).length) depth.set(n, Math.max(0, Math.min(...outOf.get(n).map(o => depth.get(o))) - 1)); // a table stands just below what reads it
  const layers = [];
  for (const n of nodes.keys()) (layers[depth.get(n)] ??= []).push(n);
  const place = new Map();
  const number = () => layers.forEach(l => l.forEach((n, i) => place.set(n, i - (l.length - 1) / 2)));
  number();
  for (let round = 0; round < 8; round++) {
    const order = round % 2 ? [...layers.keys()].reverse() : [...layers.keys()];
    for (const i of order) {
      const near = n => { const list = (round % 2 ? outOf : into).get(n); return list.length ? list.reduce((s, m) => s + place.get(m), 0) / list.length : place.get(n); };
      layers[i] = (layers[i] ?? []).map(n => [near(n), n]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(p => p[1]);
      layers[i].forEach((n, k) => place.set(n, k - (layers[i].length - 1) / 2));
    }
  }
  const most = Math.max(1, ...layers.map(l => l.length)), width = most * (WIDTH + GAP_X) + GAP_X, height = layers.length * (HEIGHT + GAP_Y) + GAP_Y;
  layers.forEach((l, i) => l.forEach(n => Object.assign(nodes.get(n), {x: width / 2 + place.get(n) * (WIDTH + GAP_X), y: height - GAP_Y - HEIGHT - i * (HEIGHT + GAP_Y)})));
  return {width, height};
}
const cut = (text, n) => text.length > n ? text.slice(0, n - 1) + "…" : text;

export function dataflowPage(main, {signal}) {
  const picture = make("div", {class: "graph", tabindex: "0", role: "group", "aria-label": "The dataflow"}), detail = make("div"), shards = make("div"), error = make("p", {class: "error", role: "alert", hidden: true});
  const notice = make("p", {class: "note", id: "no-numbers", hidden: true}, "The graph is that of the configuration; its numbers are not shown while another version of the APIs is kept beside it, or the pipeline is starting.");
  let parts = new Map(), graph = null, last = null, drawn = "", chosen = null;
  main.append(error, card("Dataflow", make("p", {class: "dim"}, "Tables at the bottom, views at the top. Dashed: rows change shards."), notice, picture), detail, shards);

  function draw() {
    const size = layout(graph), root = svg("svg", {width: size.width, height: size.height, viewBox: "0 0 " + size.width + " " + size.height});
    for (const [a, b] of graph.edges) {
      const from = graph.nodes.get(a), to = graph.nodes.get(b), y1 = from.y, y2 = to.y + HEIGHT, mid = (y1 + y2) / 2;
      root.append(svg("path", {d: `M${from.x} ${y1}C${from.x} ${mid} ${to.x} ${mid} ${to.x} ${y2}`, "data-from": a}));
    }
    for (const n of graph.nodes.values()) {
      const rate = svg("text", {x: 8, y: 36}), state = svg("text", {x: 8, y: 53, class: "dim"}), title = svg("title"), label = svg("text", {x: 8, y: 18, "font-weight": 600});
      title.textContent = n.label;
      label.textContent = cut(n.label, 29);
      const pick = () => { chosen = n.id; numbers(); };
      n.g = svg("g", {class: n.kind, transform: `translate(${n.x - WIDTH / 2} ${n.y})`, tabindex: 0, role: "button", "aria-label": n.label, onclick: pick, onkeydown: e => { if (e.key === "Enter") pick(); }},
        title, svg("rect", {width: WIDTH, height: HEIGHT, rx: 7}), label, rate, state);
      Object.assign(n, {rate, state});
      root.append(n.g);
    }
    picture.replaceChildren(root);
  }
  function numbers(m = last?.m, before = last?.before) {
    if (!m || !graph) return;
    // The instance numbers its operators by its own plan; beside kept versions that is another one than the configuration's alone.
    const same = parts.size === graph.nodes.size;
    notice.hidden = same;
    if (!same) for (const n of graph.nodes.values()) n.rate.textContent = n.state.textContent = "";
    const of = (name, node) => m.sum("penstock_operator_" + name, {node}), per = (name, node) => before ? (of(name, node) - before.sum("penstock_operator_" + name, {node})) / ((m.at - before.at) / 1000) : NaN;
    for (const n of same ? graph.nodes.values() : []) {
      const out = n.kind === "view" ? per("rows_in_total", n.id) : per("rows_out_total", n.id), kept = of("state_bytes", n.id), stored = of("stored_bytes", n.id);
      n.rate.textContent = count(out) + " rows/s" + (before ? ", " + (per("seconds_total", n.id) * 100).toFixed(1) + " % of a core" : "");
      n.state.textContent = [kept ? bytes(kept) + " in memory" : "", stored ? bytes(stored) + " stored" : ""].filter(Boolean).join(", ");
      n.g.classList.toggle("hot", per("seconds_total", n.id) > 0.1);
      for (const p of picture.querySelectorAll(`path[data-from="${n.id}"]`)) p.classList.toggle("alive", out > 0);
    }
    const n = graph.nodes.get(chosen);
    detail.replaceChildren(n && !same ? card("#" + n.id + " " + n.kind, make("p", {}, n.label)) : n ? card("#" + n.id + " " + n.kind, make("p", {}, n.label), table(["", "all in all", "a second"],
      [["rows in", cell(count(of("rows_in_total", n.id)), "n"), cell(count(per("rows_in_total", n.id)), "n")], ["rows out", cell(count(of("rows_out_total", n.id)), "n"), cell(count(per("rows_out_total", n.id)), "n")],
        ["time", cell(of("seconds_total", n.id).toFixed(3) + " s", "n"), cell((per("seconds_total", n.id) * 100).toFixed(1) + " %", "n")], ["rows kept", cell(count(of("state_rows", n.id)), "n"), ""],
        ["in memory", cell(bytes(of("state_bytes", n.id)), "n"), ""], ["in the store", cell(bytes(of("stored_bytes", n.id)), "n"), ""]]),
      make("h3", {}, "By shard"), make("div", {id: "by-shard"}, table(["Shard", "rows in", "rows out", "time", "rows kept", "in memory", "in the store"], (parts.get(n.id) ?? []).map((s, i) => [String(i), ...[count(s.rows_in), count(s.rows_out), (s.busy_ns / 1e9).toFixed(3) + " s", count(s.state_rows), bytes(s.state_bytes), bytes(s.stored_bytes)].map(t => cell(t, "n"))]), "no numbers yet"))) : "");
    shards.replaceChildren(card("Shards", table(["Shard", "rows/s", "busy", "in memory"], m.all("penstock_shard_rows_total").map(s => s.labels.shard).map(s => {
      const r = name => before ? (m.sum(name, {shard: s}) - before.sum(name, {shard: s})) / ((m.at - before.at) / 1000) : NaN;
      return [s, cell(count(r("penstock_shard_rows_total")), "n"), cell(before ? Math.round(r("penstock_shard_busy_seconds_total") * 100) + " %" : "–", "n"), cell(bytes(m.sum("penstock_shard_state_bytes", {shard: s})), "n")];
    }))));
  }
  every(15000, signal, async () => {
    try {
      const said = await box("GET", "dataflow"), parsed = parseDot(said.graph), shape = JSON.stringify([[...parsed.nodes.values()].map(n => n.label), parsed.edges]);
      error.hidden = true;
      parts = new Map(said.operators.map(o => [o.id, o.shards]));
      if (shape === drawn) return;
      graph = parsed;
      drawn = shape;
      draw();
      numbers();
    } catch (e) { error.textContent = e.message; error.hidden = false; }
  });
  every(2000, signal, async () => { const m = await metrics(); last = {m, before: last?.m}; numbers(); });
}
