// Light highlighting of YAML and SQL: a text in, spans out. Nothing is understood here, only coloured.
import {make} from "./lib.js";

const SQL_WORDS = new Set(("select from where group by having order limit offset join inner left right full outer on using as create view index comment is column and or not null distinct union all except intersect with case when then else end " +
  "in between like exists over partition cast true false interval desc asc nulls first last recursive lateral cross filter values").split(" "));
const RULES = {
  yaml: [[/#.*/y, "comment"], [/"(?:[^"\\\n]|\\.)*"|'(?:[^'\n]|'')*'/y, "text"], [/[A-Za-z_][\w./-]*(?=\s*:(?:\s|$))/y, "key"], [/\$\{[^}\n]*\}/y, "number"], [/-?\b\d+(?:\.\d+)?(?:ms|s|m|h|d|KiB|MiB|GiB)?\b/y, "number"], [/\b(?:true|false|null)\b/y, "word"]],
  sql: [[/--.*/y, "comment"], [/'(?:[^']|'')*'/y, "text"], [/"(?:[^"]|"")*"/y, "key"], [/\b\d+(?:\.\d+)?\b/y, "number"], [/[A-Za-z_]\w*/y, "word"]],
};
export const languageOf = name => name.endsWith(".sql") ? "sql" : "yaml";

export function highlight(text, language, into) {
  const parts = [];
  let plain = "", i = 0;
  const flush = () => { if (plain) parts.push(plain); plain = ""; };
  while (i < text.length) {
    let took = 0;
    for (const [rule, kind] of RULES[language]) {
      rule.lastIndex = i;
      const m = rule.exec(text);
      if (!m) continue;
      took = m[0].length;
      if (kind === "word" && language === "sql" && !SQL_WORDS.has(m[0].toLowerCase())) plain += m[0];
      else { flush(); parts.push(make("span", {class: "hl-" + kind}, m[0])); }
      break;
    }
    if (!took) { // a word is passed over as a whole
      const word = /[A-Za-z_]\w*/y;
      word.lastIndex = i;
      took = word.exec(text)?.[0].length ?? 1;
      plain += text.slice(i, i + took);
    }
    i += took;
  }
  flush();
  into.replaceChildren(...parts, "\n");
}
