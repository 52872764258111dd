// The quality page: draws agreement over time, judgments a day and the time per judgment.

import { plotsIn } from "./charts.js";

const charts = document.getElementById("quality-plots");
if (charts) {
  const points = JSON.parse(charts.dataset.points);
  for (const plot of plotsIn(charts, { pad: 0.6 })) plot.show(points[plot.spec.key]);
}
