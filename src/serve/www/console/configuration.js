// The configuration: a working copy in this browser, checked by the box as one types, applied as a whole or not at all.
import {make, box, boxLines, download, button, card, field, table, busy, confirm_, say} from "./lib.js";
import {untar} from "./tar.js";
import {highlight, languageOf} from "./highlight.js";

const CHECK_AFTER_MS = 900;
const FIRST = `penstock: 1

sources:
  demo:
    generator: { workload: bank, rate: 100, seed: 42 }   # rows made up here, to begin with

sql:
  - |
    CREATE VIEW balances AS
      SELECT a.id, a.owner, a.branch, sum(e.amount) AS balance
      FROM demo.accounts a JOIN demo.entries e ON e.account_id = a.id
      GROUP BY a.id;

apis: { balances: }
access: { anonymous: none }
`;

// "penstock.yaml:12:5: what is wrong" wherever it stands in a line.
export function faults(text) {
  const out = [];
  for (const line of (text ?? "").split("\n")) {
    const m = /(?:^|[\s/])([\w.-]+(?:\/[\w.-]+)*\.(?:yaml|yml|sql|json)):(\d+)(?::(\d+))?:\s*(.*)/.exec(line);
    if (m) out.push({file: m[1], line: +m[2], column: m[3] ? +m[3] : 1, text: m[4]});
  }
  return out;
}

// Files that hold secrets are sent on as they are, and shown to nobody: they can only be replaced.
export const isSecret = name => /^secrets\//.test(name) || /\.(key|pem|p12|password|secret)$/.test(name);
// Lines of a YAML text with a secret written out, where a file or a variable could stand.
export function plainSecrets(text) {
  return text.split("\n").flatMap((l, i) => {
    const m = /^[^#]*?\b(password|token|secret)\s*:\s*(\S+)/.exec(l), url = /^[^#]*?:\/\/[^\s:/@]+:([^\s@]+)@/.exec(l), value = m?.[2] ?? url?.[1];
    return value && !/^["']?\$\{/.test(value) ? [i + 1] : [];
  });
}

export function configurationPage(main, {signal}) {
  let files = null, given = null, name = "penstock.yaml", wrong = [], checking = 0, timer = 0, again = false;
  const tabs = make("div", {class: "tabs", role: "tablist", "aria-label": "Files"}), gutter = make("div", {class: "gutter", "aria-hidden": "true"}), under = make("pre", {"aria-hidden": "true"}), text = make("textarea", {spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", "aria-label": "Text of the file", id: "text"});
  const hidden = make("div", {hidden: true}), editor = make("div", {class: "editor"}, gutter, make("div", {class: "stack"}, under, text)), notice = make("div");
  const verdict = make("div", {id: "verdict", role: "status", "aria-live": "polite"}), plan = make("div"), told = make("pre", {hidden: true, id: "progress"}), versions = make("div");
  const apply = button("Apply", () => busy(apply, doApply), "main"), revert = button("Go back to the previous one", () => busy(revert, doRevert)), drop = button("Drop my changes", () => { files = {...given}; open(name in files ? name : Object.keys(files)[0]); check(); });
  apply.id = "apply";
  const breaking = make("input", {type: "checkbox"});
  main.append(card("Configuration", tabs, editor, hidden, notice, verdict, plan, told,
    make("label", {class: "check"}, breaking, make("span", {}, "also when a kept version of the APIs can no longer be followed")),
    make("div", {class: "buttons"}, apply, drop, revert)), versions);

  const changed = () => files && given && (Object.keys(files).length !== Object.keys(given).length || Object.entries(files).some(([n, t]) => given[n] !== t));
  function drawTabs() {
    tabs.replaceChildren(...Object.keys(files).sort((a, b) => (b === "penstock.yaml") - (a === "penstock.yaml") || (a < b ? -1 : 1)).map(n => make("button", {type: "button", role: "tab", "aria-selected": String(n === name), onclick: () => open(n)}, n + (files[n] === given[n] ? "" : " •"))),
      button("+ file", add), name === "penstock.yaml" ? "" : button("remove " + name, () => { delete files[name]; open("penstock.yaml"); later(); }));
  }
  async function add() {
    const n = prompt("Name of the file, such as views.sql");
    if (!n) return;
    if (!/^[\w][\w.-]*(\/[\w][\w.-]*)*$/.test(n)) { say("Names are letters, digits, '.', '-' and '_'.", "bad"); return; }
    files[n] ??= "";
    open(n);
    later();
  }
  function open(n) {
    name = n;
    text.value = isSecret(n) ? "" : files[n] ?? "";
    editor.hidden = isSecret(n);
    hidden.hidden = !isSecret(n);
    if (isSecret(n)) replaceable(n);
    drawTabs();
    draw();
    text.scrollTop = 0;
    scroll();
  }
  function replaceable(n) {
    const value = make("input", {type: "password", autocomplete: "off", spellcheck: "false"});
    hidden.replaceChildren(make("p", {class: "dim"}, files[n] ? "This file holds a secret, which is not shown." : "This file is for a secret. It is empty."), field("Another content", value), make("div", {class: "buttons"}, button("Replace", () => { files[n] = value.value; open(n); later(); })));
  }
  function draw() {
    const plain = name.endsWith(".yaml") ? plainSecrets(text.value) : [];
    notice.replaceChildren(plain.length ? make("p", {class: "note warn"}, "A secret is written out in line " + plain.join(", ") + ". Put it into a file, such as secrets/core, and write ${file:secrets/core} here: then no console, bundle or log can show it.") : "");
    highlight(text.value, languageOf(name), under);
    const marks = new Map(wrong.filter(f => f.file === name).map(f => [f.line, f.text]));
    gutter.replaceChildren(...text.value.split("\n").map((_, i) => make("div", {class: marks.has(i + 1) ? "wrong" : undefined, title: marks.get(i + 1)}, String(i + 1))));
  }
  function scroll() { under.scrollTop = gutter.scrollTop = text.scrollTop; under.scrollLeft = text.scrollLeft; }
  function later() {
    clearTimeout(timer);
    timer = setTimeout(check, CHECK_AFTER_MS);
    verdict.replaceChildren(make("p", {class: "dim"}, "…"));
    drawTabs();
  }
  text.addEventListener("scroll", scroll);
  text.addEventListener("input", () => { files[name] = text.value; draw(); scroll(); later(); });
  text.addEventListener("keydown", e => { // Tab indents; after Escape it moves on, for those who have no mouse
    if (e.key === "Escape") text.dataset.leave = "1";
    else if (e.key === "Tab" && !e.shiftKey && !text.dataset.leave) { e.preventDefault(); text.setRangeText("  ", text.selectionStart, text.selectionEnd, "end"); text.dispatchEvent(new Event("input")); }
    else delete text.dataset.leave;
  });
  const go = f => { if (!(f.file in files)) return; open(f.file); const at = text.value.split("\n").slice(0, f.line - 1).join("\n").length + (f.line > 1 ? 1 : 0) + f.column - 1; text.focus(); text.setSelectionRange(at, at); text.scrollTop = Math.max(0, (f.line - 6) * 20); scroll(); };

  const changeRow = c => typeof c === "string" ? [c] : [Object.values(c).filter(v => typeof v !== "object").join(" · ")];
  function show(last) {
    const r = last.result ?? {}, ok = last.status === 0 && r.ok !== false, said = r.text || last.error || "";
    wrong = ok ? [] : faults(said);
    draw();
    verdict.replaceChildren(ok ? make("p", {class: "good"}, changed() ? "It can be applied." : "This is what runs.") : make("div", {class: "error"}, ...(wrong.length ? wrong.map(f => make("p", {}, button(f.file + ", line " + f.line, () => go(f)), " ", f.text)) : [make("p", {}, said || "refused")]), last.hint ? make("p", {}, last.hint) : null));
    const changes = r.changes ?? [];
    plan.replaceChildren(ok && changed() ? make("div", {}, make("h3", {}, "What will change"), r.change ? make("p", {}, {none: "No contract changes: it is taken over in place.", compatible: "Clients are not disturbed: what differs is built beside what is served.", breaking: "A contract breaks: a new version is built beside the one that is served, which stays until it is retired."}[r.change] ?? r.change) : null, changes.length ? table(["Change"], changes.map(changeRow)) : null, said ? make("details", {}, make("summary", {}, "The whole report"), make("pre", {}, said)) : null) : "");
    return ok;
  }
  // One check at a time: what was typed meanwhile is checked after it.
  async function check() {
    if (checking) { again = true; return; }
    checking = 1;
    try {
      const last = await boxLines("check", {files});
      if (!signal.aborted && !again) show(last);
    } catch (e) { verdict.replaceChildren(make("p", {class: "error"}, e.message)); } finally { checking = 0; }
    if (again) { again = false; check(); }
  }
  const lines = l => { told.hidden = false; told.textContent += l + "\n"; told.scrollTop = told.scrollHeight; };
  // With its `server:` the server starts anew, and cannot say any more how it ended: what is in force then does.
  async function afterwards(wanted) {
    for (let i = 0; i < 30; i++) {
      await new Promise(r => setTimeout(r, 2000));
      const now = await download("configuration").then(untar, () => null);
      if (now && Object.keys(now).length === Object.keys(wanted).length && Object.entries(wanted).every(([n, t]) => now[n] === t)) return {status: 0, result: {ok: true, changes: []}};
    }
    throw new Error("The box has not said how it ended, and the former configuration is in force.");
  }
  async function doApply() {
    told.textContent = "";
    lines("Checked once more, put in place, taken over by the pipeline…");
    const wanted = {...files}, last = await boxLines("apply" + (breaking.checked ? "?breaking=1" : ""), {files}, lines).catch(e => { if (e.status) throw e; return afterwards(wanted); });
    const ok = show(last);
    if (!ok) { say("It was refused: what ran before goes on.", "bad"); return; }
    given = wanted;
    told.hidden = true;
    say("Applied.");
    drawTabs();
    show(last);
    drawVersions();
  }
  async function doRevert() {
    if (!await confirm_("Go back", "The configuration that was applied before this one is applied again.", "Go back")) return;
    told.textContent = "";
    const last = await boxLines("revert", undefined, lines);
    if (last.status !== 0 || last.result?.ok === false) { say(last.error ?? last.result?.text ?? "It was refused.", "bad"); return; }
    told.hidden = true;
    say("The previous configuration is back.");
    await load();
  }
  async function drawVersions() {
    const v = await box("GET", "versions").catch(e => ({versions: [], error: e.message}));
    const act = (n, what, question) => async e => { const b = e.target; if (await confirm_(question, what === "retire" ? "Paths with v" + n + " answer no more, and its room is given back." : "Paths without a version show v" + n + " from then on. No request fails.", what === "retire" ? "Retire" : "Switch")) await busy(b, async () => { say((await box("POST", "versions/" + n + "/" + what)).text.trim() || "Done."); drawVersions(); }); };
    versions.replaceChildren(card("Versions of the APIs", v.error ? make("p", {class: "dim"}, v.error) : table(["Version", "State", "Made", "APIs", ""], v.versions.map(x => ["v" + x.version, x.state, (x.made ?? "").replace("T", " ").replace("Z", ""), (x.apis ?? []).join(", "),
      x.version === v.current ? "" : make("span", {}, button("Switch to it", act(x.version, "switch", "Switch to version " + x.version)), " ", button("Retire", act(x.version, "retire", "Retire version " + x.version), "danger"))]), "none yet")));
  }
  async function load() {
    try {
      // a box that was given none runs its image's own; what is written here is its first
      given = await download("configuration").then(untar, e => { if (e.status !== 409) throw e; return {}; });
      given["penstock.yaml"] ??= FIRST;
      files = {...given};
      open("penstock.yaml");
      check();
      drawVersions();
    } catch (e) { verdict.replaceChildren(make("p", {class: "error"}, e.message)); }
  }
  addEventListener("beforeunload", e => { if (!signal.aborted && changed()) e.preventDefault(); }, {signal});
  signal.addEventListener("abort", () => clearTimeout(timer));
  load();
}
