// The two doors of a box: claiming it with the code that its serial console shows, and logging in.
import {make, box, field, busy, say} from "./lib.js";

// Of how much there is to guess: length counts most. Not a rule, a hint; the rule is the length that the box asks for.
export const LEAST = 12;
export function strength(text) {
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter(k => k.test(text)).length, different = new Set(text).size;
  const bits = Math.min(text.length, different * 2) * (kinds < 2 ? 3 : kinds < 3 ? 4 : 5);
  if (text.length < LEAST) return {value: Math.min(bits, 30), text: "at least " + LEAST + " characters"};
  return {value: Math.min(bits, 100), text: bits < 50 ? "easy to guess" : bits < 75 ? "good" : "very good"};
}

export function codeOf(text) {
  const plain = text.toUpperCase().replace(/[^0-9A-Z]/g, "").replace(/O/g, "0").replace(/[IL]/g, "1").slice(0, 8);
  return plain.length > 4 ? plain.slice(0, 4) + "-" + plain.slice(4) : plain;
}

export function claimPage(main, {reload}) {
  const code = make("input", {id: "code", autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "9", placeholder: "XXXX-XXXX", required: true});
  const first = make("input", {type: "password", id: "password", autocomplete: "new-password", required: true, minlength: LEAST, maxlength: "200"});
  const second = make("input", {type: "password", id: "again", autocomplete: "new-password", required: true, maxlength: "200"});
  const meter = make("meter", {min: "0", max: "100", low: "50", high: "75", optimum: "100", value: 0, "aria-label": "How hard it is to guess"}), hint = make("small", {"aria-live": "polite"}, "at least " + LEAST + " characters");
  const error = make("p", {class: "error", role: "alert", hidden: true}), go = make("button", {class: "do main"}, "Claim this box");
  code.addEventListener("input", () => { if (code.selectionStart === code.value.length) code.value = codeOf(code.value); });
  first.addEventListener("input", () => { const s = strength(first.value); meter.value = s.value; hint.textContent = s.text; });
  const fail = text => { error.textContent = text; error.hidden = !text; };
  const submit = async e => {
    e.preventDefault();
    if (first.value !== second.value) { fail("The two passwords are not the same."); second.focus(); return; }
    if (first.value.length < LEAST) { fail("The password has at least " + LEAST + " characters."); first.focus(); return; }
    fail("");
    go.disabled = true;
    try {
      await box("POST", "claim", {code: codeOf(code.value), password: first.value});
      await box("POST", "login", {password: first.value});
      say("The box is yours.");
      await reload("#/overview");
    } catch (x) { fail(x.message); } finally { go.disabled = false; }
  };
  main.append(make("form", {class: "card door", onsubmit: submit, novalidate: true}, make("h2", {}, "Claim this box"),
    make("p", {}, "Nobody has set it up yet. Its claim code stands on its serial console and in its log."),
    error, field("Claim code", code), field("New password of the console", first), meter, hint, field("The password again", second),
    make("div", {class: "buttons"}, go)));
  code.focus();
}

export function loginPage(main, {reload, site}) {
  const password = make("input", {type: "password", id: "password", autocomplete: "current-password", required: true, maxlength: "200"});
  const error = make("p", {class: "error", role: "alert", hidden: true}), go = make("button", {class: "do main"}, "Log in");
  const submit = async e => {
    e.preventDefault();
    go.disabled = true;
    try {
      await box("POST", "login", {password: password.value});
      await reload("#/overview");
    } catch (x) {
      error.textContent = x.message;
      error.hidden = false;
      password.select();
    } finally { go.disabled = false; }
  };
  main.append(make("form", {class: "card door", onsubmit: submit}, make("h2", {}, "Log in"), error,
    site.password === false ? make("p", {class: "note warn"}, "The box is claimed by its SSH keys and has no password yet. Over SSH one is set: ", make("code", {}, "ssh admin@" + location.hostname + " password-reset")) : null,
    make("input", {type: "text", autocomplete: "username", value: "admin", hidden: true, "aria-hidden": "true", tabindex: "-1"}),
    field("Password of the console", password), make("div", {class: "buttons"}, go)));
  password.focus();
}
