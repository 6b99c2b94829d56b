// What all pages share: elements, requests, numbers, small dialogs. Text goes in as text, never as HTML.
export const $ = id => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (k === "value") e.value = v;
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.flat().filter(c => c !== null && c !== undefined && c !== false));
  return e;
}
export function svg(tag, attributes = {}, ...children) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) if (v !== undefined && v !== null) k.startsWith("on") ? e.addEventListener(k.slice(2), v) : e.setAttribute(k, v);
  e.append(...children);
  return e;
}
export const button = (text, onclick, kind = "") => make("button", {type: "button", class: "do " + kind, onclick}, text);
export const card = (title, ...children) => make("section", {class: "card"}, title ? make("h2", {}, title) : null, ...children);
export const field = (label, input, hint) => make("label", {class: "field"}, make("span", {}, label), input, hint ? make("small", {}, hint) : null);
export const facts = pairs => make("dl", {class: "facts"}, ...pairs.filter(Boolean).flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v ?? "–")]));
export function table(head, rows, empty = "nothing") {
  if (!rows.length) return make("p", {class: "dim"}, empty);
  return make("div", {class: "scroll"}, make("table", {}, make("thead", {}, make("tr", {}, ...head.map(h => make("th", {scope: "col"}, h)))),
    make("tbody", {}, ...rows.map(r => make("tr", {}, ...r.map(c => c instanceof Node && c.nodeName === "TD" ? c : make("td", {}, c ?? "")))))));
}
export const cell = (text, kind) => make("td", {class: kind}, text);
export const dot = kind => make("span", {class: "dot " + kind, "aria-hidden": "true"});

// ---- requests ----

export class Refused extends Error {
  constructor(status, problem) {
    super([problem.message, problem.details, problem.hint].filter(Boolean).join("\n"));
    this.status = status;
    this.code = problem.code;
  }
}
async function refusal(answer) {
  let problem = {code: "", message: "the box answered " + answer.status};
  try { problem = await answer.json(); } catch { /* no JSON: the status says it */ }
  return new Refused(answer.status, problem);
}
let onLoggedOut = () => {};
export const whenLoggedOut = f => { onLoggedOut = f; };
const MARK = {"X-Penstock-Console": "1"};

// What is only read is asked for two at a time: each is a process on the box, and the box bounds them too.
let reading = 0;
const turns = [];
async function turn() { if (reading < 2) reading++; else await new Promise(go => turns.push(go)); }
function turnOver() { const next = turns.shift(); next ? next() : reading--; }

async function ask(method, path, body, headers = {}) {
  const answer = await fetch("/admin/box/" + path, {method, headers: {...(method === "GET" ? {} : MARK), ...headers}, body, cache: "no-store", credentials: "same-origin"});
  if (answer.ok) return answer;
  const e = await refusal(answer);
  if (e.status === 401 && e.code === "PENSTOCK_CONSOLE_SESSION") onLoggedOut();
  throw e;
}
const json = value => value === undefined ? undefined : JSON.stringify(value);
export async function box(method, path, value) {
  if (method !== "GET") return answered(method, path, value);
  await turn();
  try { return await answered(method, path); } finally { turnOver(); }
}
async function answered(method, path, value) {
  const answer = await ask(method, path, json(value), value === undefined ? {} : {"Content-Type": "application/json"});
  return answer.status === 204 ? null : answer.json();
}
export const boxText = async path => (await ask("GET", path)).text();
export const download = async path => (await ask("GET", path)).arrayBuffer();
// A command that tells how it goes on: told(text) for each line; gives its last word {status, result, error, hint}.
export async function boxLines(path, value, told = () => {}) {
  const answer = await ask("POST", path, json(value), value === undefined ? {} : {"Content-Type": "application/json"});
  return readLines(answer.body, told);
}
async function readLines(body, told) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", last = null;
  const take = line => { if (!line.trim()) return; const o = JSON.parse(line); "status" in o ? last = o : told(o.text); };
  for (;;) {
    const {value, done} = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.forEach(take);
  }
  take(rest);
  if (!last) throw new Error("the answer broke off: whether it was done is not known");
  return last;
}
// fetch cannot tell how far an upload is.
export function upload(path, file, progress) {
  return new Promise((done, failed) => {
    const x = new XMLHttpRequest();
    x.open("POST", "/admin/box/" + path);
    x.setRequestHeader("X-Penstock-Console", "1");
    x.setRequestHeader("Content-Type", "application/octet-stream");
    x.upload.onprogress = e => progress(e.loaded, e.total);
    x.onerror = () => failed(new Error("the connection broke off"));
    x.onload = () => {
      if (x.status !== 200) {
        let problem = {message: "the box answered " + x.status};
        try { problem = JSON.parse(x.responseText); } catch { /* as above */ }
        if (x.status === 401) onLoggedOut();
        failed(new Refused(x.status, problem));
        return;
      }
      const lines = x.responseText.split("\n").filter(l => l.trim()).map(l => JSON.parse(l));
      const last = lines.pop();
      last && "status" in last ? done({...last, told: lines.map(l => l.text)}) : failed(new Error("the answer broke off"));
    };
    x.send(file);
  });
}

// The token that the api is read with, in this tab alone; the reference at /docs takes it up too.
export const token = {
  get: () => sessionStorage.getItem("penstock-token") ?? "",
  set: text => text ? sessionStorage.setItem("penstock-token", text) : sessionStorage.removeItem("penstock-token"),
  headers: () => token.get() ? {Authorization: "Bearer " + token.get()} : {}
};
export async function api(path, headers = {}, signal) {
  const answer = await fetch(path, {headers: {...token.headers(), ...headers}, signal, cache: "no-store"});
  if (answer.ok) return answer;
  throw await refusal(answer);
}

// ---- metrics ----

export async function metrics() {
  const text = await (await fetch("/metrics", {cache: "no-store"})).text(), out = new Map();
  for (const line of text.split("\n")) {
    const m = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!m) continue;
    const labels = {};
    for (const l of (m[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[l[1]] = l[2].replace(/\\(.)/g, (_, c) => c === "n" ? "\n" : c);
    if (!out.has(m[1])) out.set(m[1], []);
    out.get(m[1]).push({labels, value: +m[3]});
  }
  return {
    at: performance.now(),
    all: name => out.get(name) ?? [],
    sum: (name, match = {}) => (out.get(name) ?? []).filter(s => Object.entries(match).every(([k, v]) => s.labels[k] === String(v))).reduce((a, s) => a + s.value, 0),
    has: name => out.has(name)
  };
}
export const rate = (now, last, name, match) => last && now.at > last.at ? Math.max(0, (now.sum(name, match) - last.sum(name, match)) / ((now.at - last.at) / 1000)) : NaN;

// ---- text ----

export const count = n => Number.isFinite(n) ? Math.round(n).toLocaleString("en") : "–";
export function bytes(n) {
  if (!Number.isFinite(n) || n < 0) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let u = 0;
  while (n >= 1024 && u + 1 < units.length) n /= 1024, u++;
  return (u ? n.toFixed(n < 10 ? 1 : 0) : n) + " " + units[u];
}
export function duration(s) {
  if (!Number.isFinite(s)) return "–";
  if (s < 1) return Math.round(s * 1000) + " ms";
  if (s < 120) return Math.round(s) + " s";
  if (s < 7200) return Math.round(s / 60) + " min";
  return s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " days";
}

// ---- people ----

export function say(text, kind = "good") {
  const e = make("p", {class: "toast " + kind}, text);
  $("toasts").append(e);
  setTimeout(() => e.remove(), kind === "bad" ? 12000 : 5000);
}
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const t = make("textarea", {});
    t.value = text;
    document.body.append(t);
    t.select();
    document.execCommand("copy");
    t.remove();
  }
  say("Copied");
}
// A question with a way out. typed: what has to be typed before the answer can be given. Gives true or false.
export function confirm_(title, text, action, typed) {
  return new Promise(done => {
    const input = typed ? make("input", {autocomplete: "off", spellcheck: "false", "aria-label": "Type " + typed}) : null;
    const yes = make("button", {type: "submit", class: "do main danger", disabled: !!typed}, action);
    const d = make("dialog", {"aria-labelledby": "dialog-title"}, make("form", {method: "dialog", onsubmit: e => { e.preventDefault(); if (!yes.disabled) close(true); }},
      make("h2", {id: "dialog-title"}, title), make("p", {}, text), typed ? field("Type " + typed + " to go on", input) : null,
      make("div", {class: "buttons"}, button("Cancel", () => close(false)), yes)));
    const close = answer => { d.close(); d.remove(); done(answer); };
    if (typed) input.addEventListener("input", () => { yes.disabled = input.value !== typed; });
    d.addEventListener("cancel", e => { e.preventDefault(); close(false); });
    document.body.append(d);
    d.showModal();
  });
}
// Runs f, its button disabled meanwhile, and shows what goes wrong.
export async function busy(b, f) {
  if (b) b.disabled = true;
  try { return await f(); } catch (e) { say(e.message, "bad"); return undefined; } finally { if (b) b.disabled = false; }
}
// Calls f now and every ms milliseconds while the page is shown and `signal` has not ended.
export function every(ms, signal, f) {
  let timer = 0;
  const run = async () => {
    if (!document.hidden) try { await f(); } catch (e) { if (!signal.aborted) console.info(e.message); }
    if (!signal.aborted) timer = setTimeout(run, ms);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  return run();
}
