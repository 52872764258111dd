// A run's page: fetches the numbers of new steps whenever htmx has brought a new state, and draws them.

import { plotsIn } from "./charts.js";

const curves = document.getElementById("run-plots");
const plots = curves ? plotsIn(curves, { group: "run" }) : [];
const records = new Map(); // by step: a step that was done again replaces itself
let fetching = false;

async function fetchRecords() {
  if (!curves || fetching) return;
  fetching = true;
  try {
    const last = Math.max(-1, ...records.keys());
    const url = new URL(curves.dataset.url, location.href);
    if (last >= 0) url.searchParams.set("after", last);
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (!response.ok) return; // the next state comes with the next try
    const data = await response.json();
    for (const record of data.records) records.set(record.step, record);
    if (data.records.length) draw(data.run);
  } catch {
    // The connection is lost: htmx, which polls on, shows it.
  } finally {
    fetching = false;
  }
}

function draw(run) {
  const rows = [...records.values()]
    .sort((one, other) => one.step - other.step)
    .map((record) => ({ x: record.step, values: record.values }));
  const active = run.state === "queued" || run.state === "running";
  for (const plot of plots) plot.show(rows, active ? run.total : 0);
}

// Whoever looks at an earlier step's samples keeps them.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if ("pinned" in event.detail.target.dataset) event.detail.shouldSwap = false;
});

let state = document.getElementById("run-live").dataset.state;
document.addEventListener("htmx:afterSwap", () => {
  const live = document.getElementById("run-live");
  if (live.dataset.state !== state) {
    state = live.dataset.state;
    document.getElementById("run-announce").textContent = live.dataset.words;
  }
  fetchRecords();
});
fetchRecords();
