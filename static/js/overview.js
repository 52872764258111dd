// The overview: draws the curves over the iterations, again when htmx has brought new points.

import { plotsIn } from "./charts.js";

const curves = document.getElementById("curves");
const plots = curves ? plotsIn(curves, { group: "iterations", pad: 0.4 }) : [];
let drawn = "";

function draw() {
  const points = document.getElementById("overview-live").dataset.points;
  if (points === drawn) return;
  drawn = points;
  const rows = JSON.parse(points);
  for (const plot of plots) plot.show(rows);
}

document.addEventListener("htmx:afterSwap", draw);
draw();
