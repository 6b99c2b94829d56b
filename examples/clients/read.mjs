// Reads, consistency and live changes with fetch (Node 20; the same code runs in a browser, which has EventSource for the live
// part too). PENSTOCK_URL, PENSTOCK_TOKEN, NODE_EXTRA_CA_CERTS: see README.md.
const base = process.env.PENSTOCK_URL ?? "https://localhost:8443";
const token = process.env.PENSTOCK_TOKEN;

async function ask(path, {headers = {}, ...more} = {}) {
  const answer = await fetch(base + path, {...more, headers: {...(token && {Authorization: `Bearer ${token}`}), ...headers}});
  if (!answer.ok) {
    const {code, message, hint} = await answer.json();
    throw new Error(`${answer.status} ${code}: ${message}${hint ? ` (${hint})` : ""}`);
  }
  return answer;
}
const json = async (path, options) => (await ask(path, options)).json();

// One row by its key.
console.log("row 42:", (await json("/api/balances/42")).owner);

// A list: filtered, ordered, cut.
const query = new URLSearchParams({branch: "eq.7", order: "balance.desc", select: "account_id,balance", limit: "3"});
console.log("branch 7:", (await json(`/api/balances?${query}`)).length, "richest");

// The next answer is not older than this one, wherever it comes from.
const seen = await ask("/api/total");
await ask("/api/total", {headers: {"Penstock-At-Least": `${seen.headers.get("Penstock-Epoch")}-${seen.headers.get("Penstock-Timeline")}`}});
console.log("at least: ok");

// Two reads from one epoch.
const {total, branches} = await json("/api/$batch", {method: "POST", body: JSON.stringify({total: "total", branches: "branches?select=balance"})});
const sum = branches.body.reduce((cents, row) => cents + Math.round(row.balance * 100), 0) / 100;
console.log("batch:", total.body[0].balance.toFixed(2), sum.toFixed(2));

// Live: the rows first, then every change of exactly that query. `last` is where to go on after a lost connection.
async function* live(path, last) {
  const answer = await ask(path, {headers: {Accept: "text/event-stream", ...(last && {"Last-Event-ID": last})}});
  let text = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const events = (text + piece).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const field = name => event.split("\n").find(line => line.startsWith(name + ": "))?.slice(name.length + 2);
      if (field("event")) yield {event: field("event"), data: JSON.parse(field("data")), id: field("id")};
    }
  }
}
let known = false, changes = 0;
for await (const {event} of live("/api/balances?branch=eq.7")) {
  known ||= event === "epoch"; // all rows have come
  if (known && event === "update" && ++changes === 3) break;
}
console.log("live:", changes, "changes");
process.exit(0);
