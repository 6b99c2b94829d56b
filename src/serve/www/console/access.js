// Who may read what: the roles of each api, and the tokens that open them.
import {make, box, card, table, field, button, busy, confirm_, copy, token, say} from "./lib.js";

const date = unix => new Date(unix * 1000).toISOString().slice(0, 16).replace("T", " ");

export function accessPage(main) {
  const made = make("div"), list = make("div"), roles = make("div"), known = make("datalist", {id: "roles"});
  const role = make("input", {list: "roles", required: true, autocomplete: "off", spellcheck: "false"}), name = make("input", {autocomplete: "off"}), ttl = make("input", {placeholder: "30d; empty: until it is revoked", autocomplete: "off", pattern: "\\d+[smhd]"});
  const form = make("form", {onsubmit: async e => {
    e.preventDefault();
    await busy(form.querySelector("button"), async () => {
      const t = await box("POST", "tokens", {role: role.value, name: name.value || null, ttl: ttl.value || null});
      const text = t.text.trim();
      made.replaceChildren(make("div", {class: "note"}, make("p", {}, "The new token. It is shown this once; the box keeps its hash alone."), make("div", {class: "line"}, make("code", {id: "made"}, text), button("Copy", () => copy(text)), button("Use it in this tab", () => { token.set(text); say("The views are read with it."); }))));
      form.reset();
      await tokens();
    });
  }}, field("Role", role), field("What it is for", name), field("Lasts for", ttl), make("div", {class: "buttons"}, make("button", {class: "do main"}, "Make a token")));
  main.append(card("Tokens", made, list), card("A new token", known, form), roles);

  async function tokens() {
    const rows = await box("GET", "tokens");
    list.replaceChildren(table(["", "For", "Role", "Made", "Expires", ""], rows.map(t => [String(t.id), t.name, t.role, date(t.created), t.expires ? date(t.expires) : "never", button("Revoke", async e => {
      if (await confirm_("Revoke a token", "Whoever uses it is refused at once.", "Revoke")) await busy(e.target, async () => { await box("DELETE", "tokens/" + t.id); await tokens(); });
    }, "danger")]), "No token was made yet."));
  }
  async function contract() {
    const apis = await box("GET", "contract"), names = [...new Set(apis.flatMap(a => a.readers.map(r => r.role)))];
    known.replaceChildren(...names.filter(n => n !== "anonymous").map(n => make("option", {value: n})));
    roles.replaceChildren(card("Who may see what", ...apis.map(a => make("div", {}, make("h3", {}, a.api), table(["Role", "Columns", "Rows"], a.readers.map(r => [r.role, r.columns.length === a.columns.length ? "all" : r.columns.join(", "), r.rows ?? "all"]), "nobody")))));
  }
  tokens().catch(e => list.replaceChildren(make("p", {class: "error"}, e.message)));
  contract().catch(e => roles.replaceChildren(card("Who may see what", make("p", {class: "dim"}, e.message))));
}
