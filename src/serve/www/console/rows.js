// Rows as they come: numbers keep every digit, as the text that came, never as a JavaScript number.
export function parseRow(text) {
  const out = {};
  let i = 1;
  const string = () => { const from = i++; while (text[i] !== '"') i += text[i] === "\\" ? 2 : 1; return JSON.parse(text.slice(from, ++i)); };
  const raw = () => {
    let depth = 0;
    const from = i;
    for (;;) {
      const c = text[i];
      if (c === '"') { string(); if (!depth) break; continue; }
      if (c === "{" || c === "[") depth++;
      if (c === "}" || c === "]") { if (!depth) break; depth--; i++; if (!depth) break; continue; }
      if (c === "," && !depth) break;
      i++;
    }
    return text.slice(from, i);
  };
  while (text[i] !== "}") {
    const k = string();
    i++;
    const v = raw().trim();
    out[k] = v[0] === '"' ? {t: JSON.parse(v), k: "s"} : {t: v, k: v === "null" ? "null" : /^[-\d]/.test(v) ? "n" : "j"};
    if (text[i] === ",") i++;
  }
  return out;
}

// A live query as server-sent events, read with fetch: EventSource cannot show why one was refused, nor send a token.
export async function follow(answer, on) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", kind = "", data = "", id = null;
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") { on(kind, data, id); kind = data = ""; id = null; }
      else if (line.startsWith("event: ")) kind = line.slice(7);
      else if (line.startsWith("data: ")) data = line.slice(6);
      else if (line.startsWith("id: ")) id = line.slice(4);
    }
  }
}
