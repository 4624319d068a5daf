"""The status page: one HTML text that needs nothing else and renews itself."""

from __future__ import annotations

from typing import Final

PAGE: Final = """<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<link rel=icon href="data:,">
<title>Mock cloud</title>
<style>
:root { color-scheme: light dark; --line: #8886; --good: #2e7d32; --some: #b26a00; --bad: #c62828 }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
dl { display: flex; flex-wrap: wrap; gap: .4rem 2.5rem; margin: 1rem 0 }
dt { font-size: .85em; opacity: .75 } dd { margin: 0; font-size: 1.5rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
td.name { font: 13px ui-monospace, monospace; overflow-wrap: anywhere }
.kept, .again { color: var(--good) } .refused, .conflict { color: var(--bad) }
.fault { color: var(--some) }
#gone { color: var(--bad) }
</style>
<h1>Mock cloud</h1>
<p><code id=address></code> <span id=gone hidden role=alert>The cloud does not answer.</span></p>
<dl>
<div><dt>archives</dt><dd id=archives>0</dd></div>
<div><dt>rows</dt><dd id=rows>0</dd></div>
<div><dt>violations</dt><dd id=violations>0</dd></div>
<div><dt>sent again</dt><dd id=again>0</dd></div>
<div><dt>faults injected</dt><dd id=injected>0</dd></div>
<div><dt>faults to come</dt><dd id=faults>0</dd></div>
</dl>
<table>
<thead><tr><th>time (UTC)<th>what<th>outcome<th>client<th>label<th class=number>octets
<th class=number>rows<th class=number>violations<th>detail</tr></thead>
<tbody id=events><tr><td colspan=9>Nothing has arrived yet.</td></tr></tbody>
</table>
<script>
const outcomes = ["kept", "again", "refused", "conflict"];
function put(id, value) {
  document.getElementById(id).textContent = value.toLocaleString("en");
}
function cell(row, value, kind) {
  const one = row.insertCell();
  one.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
  if (kind) one.className = kind;
}
function show(state) {
  document.getElementById("address").textContent = state.address;
  for (const key of ["archives", "rows", "violations"]) put(key, state[key]);
  put("again", state.outcomes.again || 0);
  put("injected", Object.values(state.injected).reduce((sum, one) => sum + one, 0));
  put("faults", state.faults.length);
  if (!state.events.length) return;
  const body = document.createElement("tbody");
  body.id = "events";
  for (const event of state.events.slice().reverse()) {
    const row = body.insertRow();
    const report = event.fields.message;
    cell(row, event.at.slice(11, 23));
    cell(row, event.name, "name");
    cell(row, event.outcome, outcomes.includes(event.outcome) ? event.outcome : "fault");
    cell(row, event.client);
    cell(row, event.label_id);
    cell(row, event.octets, "number");
    cell(row, event.rows, "number");
    cell(row, event.total, "number");
    cell(row, event.violations[0] || event.detail || report || "");
  }
  document.getElementById("events").replaceWith(body);
}
async function renew() {
  let gone = false;
  try {
    const answer = await fetch("state.json", { cache: "no-store" });
    show(await answer.json());
  } catch (error) {
    gone = true;
  }
  document.getElementById("gone").hidden = !gone;
  setTimeout(renew, 1000);
}
renew();
</script>
</html>
"""
