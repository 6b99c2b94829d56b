// The box itself: slots and upgrades, network, time, SSH keys, logs, and the things that are done seldom.
import {make, box, upload, card, facts, table, field, button, busy, confirm_, every, bytes, duration, say} from "./lib.js";

export function systemPage(main, context) {
  const host = {name: ""};
  for (const part of [slots, network, time, keys, password, logs, last]) part(main, context, host);
  box("GET", "status").then(s => { host.name = s.box?.hostname ?? ""; }, () => {});
}

// ---- slots, upgrade ----

function slots(main, {signal}) {
  const now = make("div"), file = make("input", {type: "file", accept: ".pimage", id: "image"}), bar = make("progress", {max: "1", value: 0, hidden: true, "aria-label": "How far the upload is"}), told = make("p", {class: "dim", "aria-live": "polite", id: "upgrade-told"});
  const go = button("Upgrade", () => busy(go, async () => {
    const f = file.files[0];
    if (!f) { say("Choose an image first (.pimage).", "warn"); return; }
    if (!await confirm_("Upgrade", "The image is verified while it comes, and written into the slot that does not run. Then the box starts anew with it, and goes back by itself if it does not become healthy.", "Upgrade")) return;
    await box("GET", "session"); // before the image is sent: its refusal could not be read while it is
    bar.hidden = false;
    try {
      const done = await upload("upgrade", f, (n, all) => { bar.value = n / all; told.textContent = n < all ? bytes(n) + " of " + bytes(all) : "verified, written and read back…"; });
      if (done.status !== 0) throw new Error([done.error, done.hint].filter(Boolean).join("\n"));
      told.textContent = done.told.at(-1) ?? "Done.";
      say("The image is in place. The box starts anew.");
    } catch (e) { told.textContent = "Nothing was changed."; throw e; } finally { bar.hidden = true; }
  }), "main");
  const back = button("Go back to the other slot", async () => { if (await confirm_("Go back", "The box starts anew with the image of the other slot.", "Go back")) await busy(back, async () => say((await box("POST", "rollback")).text.trim() || "The box starts anew.")); }, "danger");
  main.append(card("Image", now, field("Upgrade: a signed image", file), bar, told, make("div", {class: "buttons"}, go, back)));
  every(5000, signal, async () => {
    const s = await box("GET", "slot"), of = n => s.slots?.[n];
    const words = {confirmed: "confirmed", trial: "on trial" + (s.trial ? ", " + duration(s.trial.left_s) + " left" : ""), fallback: "fallen back to"};
    now.replaceChildren(table(["Slot", "Image", "State"], ["a", "b"].map(n => [make("b", {}, n.toUpperCase()), of(n) ? [of(n).version, of(n).build].filter(Boolean).join(", ") : "empty", s.running === n ? "runs, " + (words[s.state] ?? s.state) : of(n) && of(n).valid === false ? "not valid" : "waits"])),
      s.last ? make("p", {class: s.last.result === "confirmed" ? "dim" : "warn"}, "Last upgrade: " + s.last.result + (s.last.reason ? ", " + s.last.reason : "") + (s.last.at ? " (" + s.last.at + ")" : "")) : "");
  });
}

// ---- network, time ----

function network(main, {signal}) {
  const now = make("div"), text = make("textarea", {rows: "9", spellcheck: "false", "aria-label": "Network settings"}), waiting = make("div", {role: "alert"});
  let until = 0;
  const set = button("Try it", () => busy(set, async () => {
    if (!await confirm_("Change the network", "The new settings hold for 120 seconds. Unless you confirm them in that time, from wherever the box is reached then, the former ones come back.", "Try it")) return;
    await box("PUT", "network", {settings: text.value});
    until = performance.now() + 120000;
    tick();
  }), "main");
  const confirm = button("Keep these settings", () => busy(confirm, async () => { await box("POST", "network/confirm"); until = 0; tick(); say("Kept."); }), "main");
  function tick() {
    const left = Math.ceil((until - performance.now()) / 1000);
    if (until && left > 0) waiting.replaceChildren(make("div", {class: "note warn"}, make("p", {}, "The former settings come back in " + left + " s."), confirm));
    else waiting.replaceChildren();
    if (until && left > 0 && !signal.aborted) setTimeout(tick, 1000);
  }
  main.append(card("Network", now, waiting, make("details", {}, make("summary", {}, "Change"), field("Settings, as in box.yaml: hostname, network, time", text), make("div", {class: "buttons"}, set))));
  const load = () => box("GET", "network").then(n => {
    const s = n.settings ?? {};
    now.replaceChildren(table(["Interface", "Link", "Addresses", "MAC"], n.interfaces.map(i => [make("b", {}, i.name), !i.up ? "down" : i.carrier ? "up" : "no cable", i.addresses.join(", ") + (i.dhcp4 ? " (DHCP)" : ""), i.mac])),
      facts([["Name servers", n.resolvers.join(", ")], ["Gateways", n.gateways.join(", ")], n.missing?.length ? ["Not there", n.missing.join(", ")] : null, s.error || s.problems ? ["Wrong", s.error || s.problems] : null, s.rolled_back ? ["Taken back", "the last change was not confirmed in time"] : null]));
    if (!text.value) text.value = draft(n);
    if (s.confirm_left_s > 0 && !until) { until = performance.now() + s.confirm_left_s * 1000; tick(); }
  }, e => now.replaceChildren(make("p", {class: "error"}, e.message)));
  every(10000, signal, load);
}
// What there is, in the words of box.yaml: something to begin with.
function draft(n) {
  const one = i => "    " + i.name + ": { " + (i.dhcp4 || i.dhcp6 ? "dhcp4: " + !!i.dhcp4 + ", dhcp6: " + !!i.dhcp6 : "addresses: [" + i.addresses.map(a => '"' + a + '"').join(", ") + "]" + n.gateways.slice(0, 2).map(g => g.includes(":") ? ', gateway6: "' + g + '"' : ", gateway4: " + g).join("")) + " }";
  return "box: 1\nhostname: " + (n.hostname || "penstock") + "\nnetwork:\n" + (n.interfaces.every(i => i.dhcp4) ? "" : "  dns: [" + n.resolvers.join(", ") + "]\n") + "  interfaces:\n" + n.interfaces.map(one).join("\n") + "\n";
}
function time(main, {signal}) {
  const now = make("div");
  main.append(card("Time", now));
  every(10000, signal, () => box("GET", "time").then(t => now.replaceChildren(facts([["In step", t.synced ? "yes" : "not yet: " + (t.detail || t.state)], ["Servers", (t.servers ?? []).join(", ")], t.synced ? ["Off by", (t.offset_us / 1000).toFixed(1) + " ms, stratum " + t.stratum] : null, ["This browser's clock", new Date().toISOString().slice(0, 19).replace("T", " ")]])), e => now.replaceChildren(make("p", {class: "error"}, e.message))));
}

// ---- SSH keys ----

function keys(main) {
  const list = make("div"), key = make("textarea", {rows: "3", spellcheck: "false", placeholder: "ssh-ed25519 AAAA… name"});
  const add = button("Add", () => busy(add, async () => { await box("POST", "ssh-keys", {key: key.value.trim()}); key.value = ""; load(); }), "main");
  const load = () => box("GET", "ssh-keys").then(({keys}) => list.replaceChildren(table(["Kind", "Fingerprint", "Name", ""], keys.map(x => [x.type, make("code", {}, x.fingerprint), x.comment, button("Remove", async e => {
    const last = keys.length === 1;
    if (await confirm_("Remove a key", "Whoever has it can no longer log in over SSH." + (last ? " It is the last one: nobody can, then." : ""), "Remove")) await busy(e.target, async () => { await box("DELETE", "ssh-keys?" + new URLSearchParams({fingerprint: x.fingerprint, ...(last ? {force: "1"} : {})})); load(); });
  }, "danger")]), "Nobody can log in over SSH.")), e => list.replaceChildren(make("p", {class: "error"}, e.message)));
  main.append(card("SSH keys", list, field("One more", key), make("div", {class: "buttons"}, add)));
  load();
}

// ---- the password ----

function password(main) {
  const make_ = kind => make("input", {type: "password", autocomplete: kind, required: true, maxlength: "200"}), old = make_("current-password"), first = make_("new-password"), second = make_("new-password");
  const go = make("button", {class: "do main"}, "Change");
  main.append(card("Password of the console", make("form", {onsubmit: e => {
    e.preventDefault();
    if (first.value !== second.value) { say("The two passwords are not the same.", "bad"); return; }
    busy(go, async () => { await box("POST", "password", {passwords: old.value + "\n" + first.value}); say("Changed. All sessions have ended: log in again."); location.hash = "#/login"; location.reload(); });
  }}, field("The present one", old), field("The new one, at least 12 characters", first), field("The new one again", second), make("div", {class: "buttons"}, go))));
}

// ---- logs ----

function logs(main, {signal}) {
  const text = make("pre", {tabindex: "0", id: "logs", "aria-label": "Log"}), follow = make("input", {type: "checkbox", checked: true}), lines = make("select", {"aria-label": "Lines"}, ...[100, 500, 2000].map(n => make("option", {value: String(n)}, n + " lines"))), find = make("input", {type: "search", placeholder: "only lines with…", "aria-label": "Only lines with"});
  let all = "";
  const draw = () => {
    const down = text.scrollTop + text.clientHeight >= text.scrollHeight - 30, want = find.value.toLowerCase();
    text.textContent = want ? all.split("\n").filter(l => l.toLowerCase().includes(want)).join("\n") : all;
    if (down) text.scrollTop = text.scrollHeight;
  };
  const load = async () => { try { all = (await box("GET", "logs?lines=" + lines.value)).text; } catch (e) { all = e.message; } draw(); };
  find.addEventListener("input", draw);
  lines.addEventListener("change", load);
  main.append(card("Log", make("div", {class: "line"}, find, lines), make("label", {class: "check"}, follow, make("span", {}, "follow")), text));
  let asked = false;
  every(2500, signal, async () => { if (follow.checked || !asked) { asked = true; await load(); } });
}

// ---- seldom ----

function last(main, context, host) {
  const restart = button("Start anew", async () => { if (await confirm_("Start anew", "The box is away for about a minute.", "Start anew")) await busy(restart, async () => say((await box("POST", "reboot")).text.trim() || "The box starts anew.")); });
  const reset = button("Factory reset", async () => {
    if (!host.name) { say("The box has not told its name yet.", "warn"); return; }
    if (await confirm_("Factory reset", "Everything that this box knows goes: configuration, data, keys, certificate, password. It starts as it came, and has to be claimed anew. Nobody can undo it.", "Reset " + host.name, host.name)) await busy(reset, async () => say((await box("POST", "factory-reset", {hostname: host.name})).text.trim() || "The box forgets everything and starts anew.", "warn"));
  }, "danger");
  reset.id = "factory-reset";
  main.append(card("Support", make("p", {class: "dim"}, "States, logs and configuration without secrets, for whoever helps."), make("div", {class: "buttons"}, make("a", {href: "/admin/box/support-bundle", download: "penstock-support.tar"}, "Download a support bundle"))),
    card("Power", make("div", {class: "buttons"}, restart, reset)));
}
