// The console: which pages there are for whom, and which one is shown. #/PAGE/REST?QUERY names it.
import {$, make, box, whenLoggedOut, metrics, rate, every, count, duration, say} from "./lib.js";
import {claimPage, loginPage} from "./door.js";
import {overviewPage} from "./overview.js";
import {viewsPage} from "./views.js";
import {sourcesPage} from "./sources.js";
import {dataflowPage} from "./dataflow.js";
import {configurationPage} from "./configuration.js";
import {accessPage} from "./access.js";
import {certificatesPage} from "./certificates.js";
import {systemPage} from "./system.js";

// for: "all" visitors; "open": everybody where this is no box; "box": an administrator's session on a box
const pages = [
  {name: "overview", title: "Overview", page: overviewPage, for: "open"},
  {name: "sources", title: "Sources", page: sourcesPage, for: "open"},
  {name: "views", title: "Views", page: viewsPage, for: "all"},
  {name: "dataflow", title: "Dataflow", page: dataflowPage, for: "box"},
  {name: "docs", title: "API explorer", href: "/docs", for: "all"},
  {name: "configuration", title: "Configuration", page: configurationPage, for: "box"},
  {name: "access", title: "Tokens and roles", page: accessPage, for: "box"},
  {name: "certificates", title: "Certificates", page: certificatesPage, for: "box"},
  {name: "system", title: "System", page: systemPage, for: "box"},
];
export const site = {box: false, claimed: true, session: false};
let current = null;

const allowed = p => p.for === "all" || (site.box ? site.session : p.for === "open");

function nav(name) {
  const entries = pages.filter(allowed).map(p => make("li", {}, make("a", {href: p.href ?? "#/" + p.name, "aria-current": p.name === name ? "page" : undefined}, p.title)));
  if (site.box && !site.session) entries.push(make("li", {}, make("a", {href: "#/login", "aria-current": name === "login" ? "page" : undefined}, "Log in")));
  $("nav").replaceChildren(...entries);
  $("frame").classList.toggle("alone", site.box && !site.claimed);
  $("nav").parentElement.hidden = site.box && !site.claimed;
  $("session").hidden = !site.session;
  $("nav").querySelector("[aria-current]")?.scrollIntoView({block: "nearest", inline: "center"});
}

function where() {
  const hash = location.hash.replace(/^#\/?/, ""), at = hash.indexOf("?");
  const path = (at < 0 ? hash : hash.slice(0, at)).split("/").map(decodeURIComponent);
  return {name: path[0], rest: path.slice(1), query: at < 0 ? "" : hash.slice(at + 1)};
}

function show() {
  if (current) current.abort();
  current = new AbortController();
  const w = where(), main = $("main"), context = {signal: current.signal, rest: w.rest, query: w.query, site, reload};
  let p = pages.find(q => q.name === w.name && q.page && allowed(q));
  if (site.box && !site.claimed) p = {name: "claim", title: "Claim this box", page: claimPage};
  else if (site.box && !site.session && (!p || w.name === "login")) p = {name: "login", title: "Log in", page: loginPage};
  p ??= pages.find(q => q.page && allowed(q));
  document.title = p.title + " · Penstock";
  nav(p.name);
  main.replaceChildren();
  p.page(main, context);
}

// What this is and who asks; asked again after claiming, logging in and out.
async function look() {
  try {
    const s = await box("GET", "state");
    Object.assign(site, {box: true, claimed: s.claimed !== false, password: s.password !== false, session: false});
    if (site.claimed) site.session = await box("GET", "session").then(() => true, e => e.status !== 401);
  } catch (e) {
    if (e.status !== 404) say(e.message, "bad");
    Object.assign(site, e.status === 404 ? {box: false, claimed: true, session: false} : {box: true, claimed: true, session: false});
  }
}
async function reload(to) {
  await look();
  if (to !== undefined && location.hash !== to) location.hash = to; else show();
}

let last = null;
async function header() {
  try {
    const [h, r, m] = await Promise.all([fetch("/health").then(a => a.json()), fetch("/ready").then(a => a.json()), metrics()]);
    $("state").textContent = r.ready ? "ready" : (r.reasons[0] || h.pipeline);
    $("state").title = [...r.reasons, ...r.warnings].join("\n");
    $("dot").className = "dot " + (r.ready ? "good" : h.pipeline === "down" ? "bad" : "warn");
    $("epoch").textContent = h.epoch;
    const behind = m.sum("penstock_source_lag_bytes");
    $("lag").textContent = h.stale_seconds ? duration(h.stale_seconds) : behind > 0 ? count(behind) + " B" : "none";
    $("rate").textContent = count(rate(m, last, "penstock_source_rows_total"));
    $("requests").textContent = count(rate(m, last, "penstock_http_requests_total"));
    last = m;
  } catch {
    $("state").textContent = "not reachable";
    $("dot").className = "dot bad";
  }
}

whenLoggedOut(() => { if (site.session) { site.session = false; say("The session is over: log in again.", "warn"); show(); } });
$("session").onclick = async () => { try { await box("POST", "logout"); } catch { /* the cookie goes either way */ } reload("#/login"); };
$("skip").onclick = e => { e.preventDefault(); $("main").focus(); };
addEventListener("hashchange", show);
look().then(show);
every(2000, new AbortController().signal, header);
