// Runs beside each other: draws each run's records as a line, and fetches them again while any goes on.

import { plotsIn } from "./charts.js";

const PAUSE = 5000; // milliseconds

const curves = document.getElementById("compare-plots");
const plots = curves ? plotsIn(curves, { group: "compare" }) : [];

// Rows of {x, values}: all runs' values of a step, each under its run's number.
function rowsOf(runs) {
  const rows = new Map();
  for (const run of runs) {
    for (const { step, values } of run.records) {
      if (!rows.has(step)) rows.set(step, { x: step, values: {} });
      for (const [name, value] of Object.entries(values)) rows.get(step).values[`${run.id}:${name}`] = value;
    }
  }
  return [...rows.values()].sort((one, other) => one.x - other.x);
}

async function show() {
  let active = true; // a lost connection is tried again
  try {
    const response = await fetch(new URL(curves.dataset.url, location.href));
    if (response.ok) {
      const { runs } = await response.json();
      active = runs.some((run) => run.state === "queued" || run.state === "running");
      const rows = rowsOf(runs);
      for (const plot of plots) plot.show(rows);
    }
  } catch {
    // The next try tells.
  }
  if (active) setTimeout(() => (document.hidden ? document.addEventListener("visibilitychange", show, { once: true }) : show()), PAUSE);
}

if (plots.length) show();
