// The API reference: made from the OpenAPI document, whatever the caller may see of it. Text goes in as text, never as HTML.
"use strict";
const $ = id => document.getElementById(id);
const OPERATORS = ["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is", "not.eq", "not.is", "cs", "cd", "ov", "isdistinct"];
let document_ = null, chosen = null, running = null;

function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) k.startsWith("on") ? e.addEventListener(k.slice(2), v) : v === true ? e.setAttribute(k, "") : v !== undefined && v !== false && e.setAttribute(k, v);
  e.append(...children.filter(c => c !== null && c !== undefined));
  return e;
}
const headers = () => $("token").value.trim() ? {Authorization: "Bearer " + $("token").value.trim()} : {};
const fail = text => { $("error").textContent = text; $("error").hidden = !text; };
const schemas = () => Object.values(document_.components.schemas).filter(s => s["x-key"]);

// One request's text of the form: every name and value encoded as a client has to.
const part = text => encodeURIComponent(text).replace(/%(2C|3A|28|29|2A)/g, decodeURIComponent);
function target(form, api) {
  const pairs = [];
  for (const row of form.querySelectorAll(".row")) {
    const [column, operator, value] = ["select[name=column]", "select[name=operator]", "input"].map(s => row.querySelector(s).value);
    if (column && value !== "") pairs.push(encodeURIComponent(column) + "=" + operator + "." + part(value));
  }
  for (const name of ["select", "order", "limit", "offset"]) if (form.elements[name].value) pairs.push(name + "=" + part(form.elements[name].value));
  const key = form.elements.key ? form.elements.key.value.split("/").filter(Boolean).map(s => "/" + encodeURIComponent(s)).join("") : "";
  return "/api/" + api + key + (pairs.length ? "?" + pairs.join("&") : "");
}
const quoted = s => "'" + s.replaceAll("'", "'\\''") + "'";
function curl(form, api, live) {
  const token = $("token").value.trim() ? " -H \"Authorization: Bearer $TOKEN\"" : "";
  const accept = live ? "text/event-stream" : form.elements.accept.value;
  return "curl -" + (live ? "N" : "s") + (/^(localhost|127\.|\[::1)/.test(location.host) ? "k" : "") + token + (accept === "application/json" ? "" : " -H " + quoted("Accept: " + accept))
    + (form.elements.count.value && !live ? " -H " + quoted("Prefer: count=" + form.elements.count.value) : "") + " " + quoted(location.origin + target(form, api));
}

async function send(form, api, out) {
  const h = {...headers(), Accept: form.elements.accept.value};
  if (form.elements.count.value) h.Prefer = "count=" + form.elements.count.value;
  const began = performance.now(), answer = await fetch(target(form, api), {headers: h, cache: "no-store"}), text = await answer.text();
  const facts = ["Content-Range", "Penstock-Epoch", "Penstock-Timeline", "Penstock-Lag-Ms", "ETag", "Content-Encoding"].map(n => [n, answer.headers.get(n)]).filter(f => f[1]);
  out.className = answer.ok ? "" : "failed";
  out.textContent = answer.status + " " + answer.statusText + ", " + Math.round(performance.now() - began) + " ms\n" + facts.map(f => f.join(": ")).join("\n") + "\n\n" + text.slice(0, 200000);
}
async function watch(form, api, out) {
  running = new AbortController();
  const answer = await fetch(target(form, api), {headers: {...headers(), Accept: "text/event-stream"}, signal: running.signal, cache: "no-store"});
  out.className = answer.ok ? "" : "failed";
  if (!answer.ok) { out.textContent = await answer.text(); return; }
  out.textContent = "";
  for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();;) {
    const {value, done} = await reader.read();
    if (done) return;
    out.textContent = (out.textContent + value).slice(-20000);
    out.scrollTop = out.scrollHeight;
  }
}
function stop() { if (running) running.abort(); running = null; }

function filterRow(columns, changed) {
  const row = make("div", {class: "row"},
    make("select", {name: "column", "aria-label": "Column"}, make("option", {value: ""}, "filter by…"), ...columns.map(c => make("option", {value: c}, c))),
    make("select", {name: "operator", "aria-label": "Operator"}, ...OPERATORS.map(o => make("option", {value: o}, o))),
    make("input", {"aria-label": "Value", placeholder: "value; in: (1,2); is: null"}),
    make("button", {type: "button", class: "do", "aria-label": "Remove the filter", onclick: () => { row.remove(); changed(); }}, "×"));
  return row;
}

function tryIt(schema) {
  const api = schema.title, columns = Object.keys(schema.properties), out = make("pre", {id: "answer", tabindex: "0"}), line = make("pre", {id: "curl"});
  const field = (name, text, hint) => make("label", {}, text, make("input", {name, placeholder: hint}));
  const filters = make("div", {class: "filters"}), changed = () => { line.textContent = curl(form, api, form.dataset.live); };
  const act = live => async e => {
    e.preventDefault();
    stop();
    form.dataset.live = live ? "1" : "";
    changed();
    out.textContent = "…";
    try { await (live ? watch : send)(form, api, out); } catch (x) { if (x.name !== "AbortError") { out.className = "failed"; out.textContent = String(x); } }
  };
  const form = make("form", {id: "try", oninput: changed, onsubmit: act(false)},
    schema["x-key"].length ? field("key", "Key: one row by " + schema["x-key"].join(", "), schema["x-key"].map(() => "…").join("/")) : null,
    filters, make("div", {class: "buttons"}, make("button", {type: "button", class: "do", id: "more", onclick: () => filters.append(filterRow(columns, changed))}, "Add a filter")),
    make("div", {class: "row3"}, field("select", "select", "a, b:c, d::text"), field("order", "order", "column.desc"), field("limit", "limit", "10"), field("offset", "offset", "0"),
      make("label", {}, "Accept", make("select", {name: "accept"}, ...["application/json", "text/csv", "application/x-ndjson", "application/vnd.pgrst.object+json"].map(m => make("option", {value: m}, m)))),
      make("label", {}, "count", make("select", {name: "count"}, ...["", "exact", "planned", "estimated"].map(m => make("option", {value: m}, m))))),
    make("div", {class: "buttons"}, make("button", {class: "do main", id: "send"}, "Send"), make("button", {type: "button", class: "do", id: "live", onclick: act(true)}, "Live"),
      make("button", {type: "button", class: "do", onclick: stop}, "Stop"),
      make("button", {type: "button", class: "do", id: "copy", onclick: () => navigator.clipboard.writeText(line.textContent)}, "Copy curl")));
  form.elements.limit.value = "10";
  filters.append(filterRow(columns, changed));
  changed();
  return [make("h3", {}, "Try it"), form, line, out];
}

function show(schema) {
  stop();
  chosen = schema.title;
  history.replaceState(null, "", "#" + encodeURIComponent(chosen));
  for (const b of $("apis").querySelectorAll("button")) b.setAttribute("aria-current", b.textContent === chosen);
  const key = new Set(schema["x-key"]);
  const rows = Object.entries(schema.properties).map(([name, c]) => make("tr", {}, make("td", {}, make("code", {}, name), key.has(name) ? " key" : ""),
    make("td", {}, c["x-sql-type"] + (c.enum ? ": " + c.enum.filter(x => x !== null).join(", ") : "") + (Array.isArray(c.type) ? ", may be null" : "")), make("td", {}, c.description ?? "")));
  $("api").replaceChildren(...[make("h2", {}, chosen), schema.description ? make("p", {}, schema.description) : null,
    make("p", {class: "dim"}, "GET /api/" + chosen + (key.size ? ", GET /api/" + chosen + [...key].map(k => "/{" + k + "}").join("") : ", a list without a key")),
    make("table", {}, make("thead", {}, make("tr", {}, ...["Column", "Type", "Meaning"].map(t => make("th", {}, t)))), make("tbody", {}, ...rows)), ...tryIt(schema)].filter(e => e !== null));
}

function list() {
  const wanted = $("find").value.trim().toLowerCase();
  $("apis").replaceChildren(...schemas().filter(s => s.title.toLowerCase().includes(wanted)).map(s => make("li", {}, make("button", {type: "button", onclick: () => show(s), "aria-current": s.title === chosen}, s.title))));
}
async function load() {
  try {
    const answer = await fetch("/api/", {headers: headers(), cache: "no-cache"}), body = await answer.json();
    if (!answer.ok) { fail(body.message + (body.hint ? "\n" + body.hint : "")); return; }
    fail("");
    document_ = body;
    list();
    const wanted = chosen ?? decodeURIComponent(location.hash.slice(1)), schema = schemas().find(s => s.title === wanted) ?? schemas()[0];
    if (schema) show(schema);
  } catch (x) { fail("The API reference could not be read: " + x); }
}
$("token").addEventListener("change", load);
$("find").addEventListener("input", list);
$("token").value = sessionStorage.getItem("penstock-token") ?? ""; // of this tab, as the console's pages have it
load();
