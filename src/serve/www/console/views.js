// The views: rows as they change, filtered as the API filters, with the line that asks for the same, and where a value comes from.
import {make, card, field, button, busy, api, boxText, token, copy, every, count, say} from "./lib.js";
import {whyCard} from "./why.js";
import {parseRow, follow} from "./rows.js";

const SHOWN = 500; // rows in the table; all are counted

export function viewsPage(main, {signal, rest, query, site}) {
  let spec = null, name = null, schema = null, stop = null, rows = new Map(), total = 0, changes = 0, lastId = null, first = true;
  const list = make("ul", {class: "list", id: "apis"}), title = make("h2", {id: "title"}, "Choose an api"), error = make("p", {class: "error", id: "error", role: "alert", hidden: true});
  const filter = make("input", {id: "filter", placeholder: "filter, e.g. branch=eq.12&balance=gt.100", spellcheck: "false", autocapitalize: "off", autocomplete: "off", "aria-label": "Filter", value: query});
  const line = make("code", {id: "curl"}, "curl -k …"), body = make("tbody", {id: "body"}), head = make("thead", {id: "head"}), fact = make("p", {class: "dim", id: "facts"}, "not connected");
  const why = make("div", {id: "why"}), secret = make("input", {type: "password", autocomplete: "off", spellcheck: "false", placeholder: "none", value: token.get(), id: "token"});
  let live = "not connected", epoch = "–", perSecond = 0;

  secret.addEventListener("change", () => { token.set(secret.value.trim()); spec = null; load(); });
  main.append(make("div", {class: "pick"},
    make("div", {}, card("APIs", list), card(null, field("Access token", secret, "of this tab alone; the APIs are read with it"))),
    make("div", {}, make("section", {class: "card"}, title,
      make("form", {class: "line", onsubmit: e => { e.preventDefault(); if (name) watch(); }}, filter, make("button", {class: "do main"}, "Watch")),
      make("div", {class: "line"}, line, button("Copy", () => copy(line.textContent))), fact, error,
      make("div", {class: "scroll rows"}, make("table", {}, head, body))), why)));

  const keyOf = (row, text) => schema["x-key"].length && schema["x-key"].every(k => k in row) ? JSON.stringify(schema["x-key"].map(k => row[k].t)) : text;
  function cells(item, before) {
    item.tr.replaceChildren(...Object.entries(item.row).map(([k, v]) => {
      const text = v.k === "null" ? "null" : v.t, td = make("td", {class: v.k, title: text}, text);
      if (before && before[k] && before[k].t !== v.t) td.classList.add("changed");
      td.addEventListener("click", () => ask(item.row, k));
      return td;
    }));
    item.tr.onkeydown = e => { if (e.key === "Enter") ask(item.row, null); };
  }
  const flash = (tr, kind) => { tr.classList.remove("ins", "upd"); void tr.offsetWidth; tr.classList.add(kind); };
  function place(item, kind) {
    if (body.childElementCount >= SHOWN) return;
    item.tr = make("tr", {tabindex: "0"});
    cells(item);
    body.append(item.tr);
    if (kind) flash(item.tr, kind);
  }
  function insert(text, quiet) {
    const row = parseRow(text), key = keyOf(row, text), had = rows.get(key);
    total++;
    if (had) { had.n++; return; } // a copy of a row without a key
    const item = {row, tr: null, n: 1};
    rows.set(key, item);
    place(item, quiet ? "" : "ins");
  }
  function update(text) {
    const row = parseRow(text), item = rows.get(keyOf(row, text));
    if (!item) { insert(text); return; }
    const before = item.row;
    item.row = row;
    if (item.tr) { cells(item, before); flash(item.tr, "upd"); }
  }
  function remove(text) {
    const row = parseRow(text), key = keyOf(row, text), item = rows.get(key);
    if (!item) return;
    total--;
    if (--item.n > 0) return;
    rows.delete(key);
    if (!item.tr) return;
    const tr = item.tr;
    tr.className = "del";
    setTimeout(() => { tr.remove(); for (const i of rows.values()) { if (body.childElementCount >= SHOWN) return; if (!i.tr) place(i); } }, 700);
  }
  function clear() { rows = new Map(); total = 0; body.replaceChildren(); }
  function tell() { fact.textContent = count(total) + " rows" + (rows.size > SHOWN ? " (first " + SHOWN + " shown)" : "") + " · " + count(perSecond) + " changes/s · epoch " + epoch + " · " + live; }
  function on(kind, data, id) {
    if (id) lastId = id;
    if (kind === "insert") { insert(data, first); if (!first) changes++; }
    else if (kind === "update") { update(data); changes++; }
    else if (kind === "delete") { remove(data); changes++; }
    else if (kind === "reset") { clear(); first = true; }
    else if (kind === "epoch") { first = false; epoch = JSON.parse(data).epoch; tell(); }
  }
  const path = () => "/api/" + name.split("/").map(encodeURIComponent).join("/");
  async function watch() {
    if (stop) stop.abort();
    const mine = stop = new AbortController(), q = filter.value.trim().replace(/^\?/, ""), url = path() + (q ? "?" + q : "");
    lastId = null; first = true; clear(); error.hidden = true; why.replaceChildren();
    history.replaceState(null, "", "#/views/" + name.split("/").map(encodeURIComponent).join("/") + (q ? "?" + q : ""));
    line.textContent = "curl -k " + (token.get() ? '-H "Authorization: Bearer $TOKEN" ' : "") + "'" + location.origin + url.replace(/'/g, "%27") + "'";
    columns(q);
    for (let wait = 500; !mine.signal.aborted; wait = Math.min(wait * 2, 8000)) {
      try {
        const answer = await api(url, {Accept: "text/event-stream", ...(lastId ? {"Last-Event-ID": lastId} : {})}, mine.signal);
        error.hidden = true; live = "live"; tell();
        await follow(answer, on);
        wait = 500;
      } catch (e) {
        if (mine.signal.aborted) return;
        error.textContent = e.message; error.hidden = false;
        if (e.status && e.status < 500 && e.status !== 429) { live = "refused"; tell(); return; }
      }
      live = "reconnecting…"; tell();
      await new Promise(r => setTimeout(r, wait));
    }
  }
  function columns(q) {
    const select = new URLSearchParams(q).get("select"), names = !select || select === "*" ? Object.keys(schema.properties) : select.split(",").map(s => s.split("::")[0].split(":")[0]);
    head.replaceChildren(make("tr", {}, ...names.map(n => make("th", {scope: "col", title: schema.properties[n]?.description}, n, schema.properties[n] ? make("small", {}, schema.properties[n]["x-sql-type"]) : null))));
  }
  // Why a row is as it is: as the API tells it, or, to a box's administrator, as `penstock why` does.
  async function ask(row, column) {
    const key = schema["x-key"].map(k => row[k]?.t);
    if (!key.length || key.some(k => k === undefined)) { say("Rows without their key cannot be asked for: select it.", "warn"); return; }
    await busy(null, async () => {
      const address = path() + key.map(k => "/" + encodeURIComponent(k)).join("") + "/why" + (column ? "?column=" + encodeURIComponent(column) : "");
      let said;
      try { said = await (await api(address)).text(); } catch (e) {
        if (!site.session || ![401, 403].includes(e.status)) throw e;
        said = await boxText("why?" + new URLSearchParams([["api", name], ...key.map((k, i) => ["key" + i, k])]));
      }
      why.replaceChildren(whyCard("Why " + name + " " + key.join(", ") + (column ? ": " + column : ""), said, column, () => why.replaceChildren()));
      why.scrollIntoView({block: "nearest"});
    });
  }
  function choose(n, q) {
    name = n; schema = spec.components.schemas[n]; title.textContent = n; filter.value = q ?? "";
    for (const b of list.querySelectorAll("button")) b.setAttribute("aria-current", String(b.dataset.name === n));
    watch();
  }
  async function load() {
    try {
      const text = await (await api("/api/")).text();
      if (spec && spec.text === text) return;
      spec = Object.assign(JSON.parse(text), {text});
      const names = Object.keys(spec.components.schemas).filter(n => spec.components.schemas[n]["x-key"]), want = rest.join("/");
      list.replaceChildren(...names.map(n => make("li", {}, make("button", {type: "button", "data-name": n, onclick: () => choose(n)}, n, make("small", {}, spec.components.schemas[n].description || Object.keys(spec.components.schemas[n].properties).length + " columns")))));
      if (!names.length) list.replaceChildren(make("li", {class: "dim"}, "No api is published."));
      else if (!name || !names.includes(name)) choose(names.includes(want) ? want : names[0], names.includes(want) ? query : "");
    } catch (e) { list.replaceChildren(make("li", {class: "dim"}, e.message)); }
  }
  signal.addEventListener("abort", () => stop && stop.abort());
  every(10000, signal, load);
  every(1000, signal, () => { perSecond = changes; changes = 0; tell(); });
}
