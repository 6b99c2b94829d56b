// The certificate that the APIs and this console show: what it is, asking an authority for one, putting it in place.
import {make, box, card, facts, field, button, busy, confirm_, copy, say} from "./lib.js";

export function saveAs(name, text, type = "text/plain") {
  const url = URL.createObjectURL(new Blob([text], {type})), a = make("a", {href: url, download: name});
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
export function certificatesPage(main) {
  const now = make("div"), csr = make("div");
  const pem = make("textarea", {rows: "8", spellcheck: "false", placeholder: "-----BEGIN CERTIFICATE-----", id: "pem"}), file = make("input", {type: "file", accept: ".pem,.crt,.cer,.key"}), names = make("input", {placeholder: "edge-17.example.net", autocomplete: "off"});
  file.addEventListener("change", async () => { for (const f of file.files) pem.value += (pem.value && !pem.value.endsWith("\n") ? "\n" : "") + await f.text(); });
  const ask = button("Make a request", () => busy(ask, async () => {
    const {text} = await box("POST", "certificate/csr", {name: names.value || null});
    csr.replaceChildren(make("pre", {tabindex: "0", id: "csr"}, text), make("div", {class: "buttons"}, button("Download", () => saveAs("penstock.csr", text, "application/pkcs10")), button("Copy", () => copy(text))));
  }), "main");
  const install = button("Install", () => busy(install, async () => {
    say((await box("POST", "certificate/install", {pem: pem.value})).text.trim() || "Installed.");
    pem.value = "";
    load();
  }), "main");
  const own = button("Make a self-signed one", async () => {
    if (await confirm_("Self-signed certificate", "Browsers and clients will ask whether they trust the box. Its fingerprint stands on its serial console.", "Make one")) await busy(own, async () => { say((await box("POST", "certificate/self-signed")).text.trim() || "Made."); load(); });
  });
  main.append(card("Certificate", now), card("From an authority", make("p", {class: "dim"}, "The key stays on the box: the request that it signs goes to your authority, and what that sends back is installed below."), field("Name of the box, if not its own", names), make("div", {class: "buttons"}, ask), csr),
    card("Install", field("Certificate and chain; the key too, if it was made elsewhere (PEM)", pem), field("or files", file), make("div", {class: "buttons"}, install)), card("Self-signed", make("div", {class: "buttons"}, own)));
  function load() {
    return box("GET", "certificate").then(c => now.replaceChildren(facts([["Subject", c.subject], ["Issuer", c.self_signed ? "itself" : c.issuer], ["Names", (c.names ?? []).join(", ")], ["Valid from", c.not_before], ["Valid until", c.not_after], ["Key", c.key], ["SHA-256", make("code", {}, c.fingerprint ?? "–")], c.warning ? ["Warning", make("span", {class: "warn"}, c.warning)] : null])),
      e => now.replaceChildren(make("p", {class: "error"}, e.message)));
  }
  load();
}
