// Draws plots with uPlot into the frames of templates/_plot.html, from the specs that the
// server writes (annotator/plots.py). Lines differ by dash as well as by colour; every plot has a table.

/* global uPlot */

const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3]];
const HEIGHT = 176;
const Y_AXIS_WIDTH = 58; // the same in every plot, so that their x axes stand below each other
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000];

const language = document.documentElement.lang || "en";
const significant = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });

export function formatValue(value, percent = false) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (percent) return `${(100 * value).toFixed(1)} %`;
  return significant.format(value).replace("-", "−");
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class Plot {
  // `group`: plots of one group share the cursor. `x`: {whole: last x there will be, pad: room beside}.
  constructor(figure, spec, { group, pad = 0 } = {}) {
    this.figure = figure;
    this.spec = spec;
    this.group = group;
    this.pad = pad;
    this.area = figure.querySelector(".plot-area");
    this.values = [...figure.querySelectorAll(".plot-value")];
    this.table = figure.querySelector(".plot-table");
    this.rows = []; // {x, values}
    this.whole = 0;
    this.table.addEventListener("toggle", () => this.fillTable());
    new ResizeObserver(() => this.resize()).observe(this.area);
    document.addEventListener("themechange", () => this.rebuild());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  // Rows are {x, values, label}: the label, if there is one, stands for x on the axis; `whole` is the last x that will come, if that is known.
  show(rows, whole = 0) {
    this.rows = rows.filter((row) => this.spec.series.some((line) => isNumber(row.values[line.key])));
    this.whole = whole;
    this.figure.classList.toggle("plot-has-data", this.rows.length > 0);
    if (this.rows.length === 0) return;
    if (this.chart) this.chart.setData(this.data());
    else this.rebuild();
    this.showValues(null);
    this.area.setAttribute("aria-label", this.summary());
    if (this.table.open) this.fillTable();
  }

  data() {
    return [
      this.rows.map((row) => row.x),
      ...this.spec.series.map((line) => this.rows.map((row) => number(row.values[line.key]))),
    ];
  }

  rebuild() {
    if (this.rows.length === 0) return;
    this.chart?.destroy();
    this.chart = new uPlot(this.options(), this.data(), this.area);
  }

  resize() {
    const width = this.area.clientWidth;
    if (this.chart && width && width !== this.chart.width) this.chart.setSize({ width, height: HEIGHT });
  }

  options() {
    const text = css("--text-2");
    const grid = { stroke: css("--plot-grid"), width: 1 };
    const font = `12px ${css("--font") || "sans-serif"}`;
    return {
      width: this.area.clientWidth || 320,
      height: HEIGHT,
      padding: [8, 12, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false, setScale: false },
        sync: this.group ? { key: this.group, setSeries: false } : undefined,
        points: { size: 7 },
      },
      scales: {
        x: { time: false, range: () => this.xRange() },
        y: { range: () => this.yRange() },
      },
      axes: [
        {
          stroke: text, font, grid: { show: false }, ticks: { ...grid, size: 4 }, size: 24, gap: 3,
          label: this.figure.dataset.xLabel, labelFont: font, labelSize: 18, labelGap: 0,
          incrs: STEPS, space: this.rows.some((row) => row.label) ? 64 : 40,
          values: (_, splits) => splits.map((split) => this.nameOf(split)),
        },
        {
          stroke: text, font, grid, ticks: { show: false }, size: Y_AXIS_WIDTH, gap: 6, space: 34,
          values: (_, splits) => tickLabels(splits, this.spec.percent),
        },
      ],
      series: [
        {},
        ...this.spec.series.map((line, i) => ({
          label: line.label,
          stroke: css(`--plot-${lookOf(line, i)}`),
          width: 2,
          dash: DASHES[lookOf(line, i) - 1],
          spanGaps: true,
          ...(this.spec.bars ? { paths: uPlot.paths.bars({ size: [0.8, 48] }), fill: css(`--plot-${lookOf(line, i)}`) } : {}),
          points: { show: !this.spec.bars && (this.rows.length < 3 || this.pad > 0), size: 7, fill: css("--surface"), width: 2 },
        })),
      ],
      hooks: {
        setCursor: [(chart) => this.showValues(chart.cursor.idx)],
        drawAxes: [(chart) => this.drawLevel(chart, font)],
        draw: [(chart) => this.drawIntervals(chart)],
      },
    };
  }

  xRange() {
    const first = this.rows[0].x;
    const last = Math.max(this.rows.at(-1).x, this.whole);
    return last > first || this.pad ? [first - this.pad, last + this.pad] : [first - 1, last + 1];
  }

  // What the axis and the table call an x: its label where the rows have labels (nothing between them).
  nameOf(x) {
    if (!this.rows.some((row) => row.label)) return String(x);
    return this.rows.find((row) => row.x === x)?.label ?? "";
  }

  yRange() {
    const all = this.rows.flatMap((row) =>
      this.spec.series.flatMap((line) => [line.key, line.low, line.high].map((key) => row.values[key])),
    );
    if (this.spec.level) all.push(this.spec.level.value);
    if (this.spec.bars) return [0, 1.08 * Math.max(1, ...all.filter(isNumber))];
    const found = all.filter(isNumber);
    const low = Math.min(...found);
    const high = Math.max(...found);
    const room = high > low ? 0.08 * (high - low) : Math.abs(high) * 0.1 || 0.1;
    return [low - room, high + room];
  }

  // A dashed line across: chance, or a budget.
  drawLevel(chart, font) {
    const level = this.spec.level;
    if (!level) return;
    const { ctx, bbox } = chart;
    const y = chart.valToPos(level.value, "y", true);
    ctx.save();
    ctx.strokeStyle = css("--text-3");
    ctx.fillStyle = css("--text-2");
    ctx.lineWidth = uPlot.pxRatio;
    ctx.setLineDash([4 * uPlot.pxRatio, 4 * uPlot.pxRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = font.replace("12px", `${12 * uPlot.pxRatio}px`);
    const left = this.isFurtherAtStart(level.value);
    ctx.textAlign = left ? "left" : "right";
    const below = y - bbox.top < 20 * uPlot.pxRatio;
    ctx.textBaseline = below ? "top" : "bottom";
    ctx.fillText(level.label, bbox.left + (left ? 0 : bbox.width), y + (below ? 4 : -4) * uPlot.pxRatio);
    ctx.restore();
  }

  // Where its name stands clear of the lines.
  isFurtherAtStart(level) {
    const nearest = (row) =>
      Math.min(...this.spec.series.map((line) => row.values[line.key]).filter(isNumber).map((value) => Math.abs(value - level)));
    return nearest(this.rows[0]) > nearest(this.rows.at(-1));
  }

  drawIntervals(chart) {
    const { ctx } = chart;
    const cap = 4 * uPlot.pxRatio;
    ctx.save();
    ctx.lineWidth = 1.5 * uPlot.pxRatio;
    this.spec.series.forEach((line, i) => {
      if (!line.low) return;
      ctx.strokeStyle = css(`--plot-${lookOf(line, i)}`);
      for (const row of this.rows) {
        const [low, high] = [row.values[line.low], row.values[line.high]];
        if (!isNumber(low) || !isNumber(high)) continue;
        const x = Math.round(chart.valToPos(row.x, "x", true));
        const [bottom, top] = [chart.valToPos(low, "y", true), chart.valToPos(high, "y", true)];
        ctx.beginPath();
        ctx.moveTo(x, bottom);
        ctx.lineTo(x, top);
        ctx.moveTo(x - cap, bottom);
        ctx.lineTo(x + cap, bottom);
        ctx.moveTo(x - cap, top);
        ctx.lineTo(x + cap, top);
        ctx.stroke();
      }
    });
    ctx.restore();
  }

  // The values under the cursor, else the last ones.
  showValues(index) {
    const row = this.rows[index ?? this.rows.length - 1];
    this.spec.series.forEach((line, i) => {
      const last = this.rows.findLast((candidate) => isNumber(candidate.values[line.key]));
      const value = index === null || index === undefined ? last?.values[line.key] : row?.values[line.key];
      // The last one of many bars is not what they come to.
      const shown = this.spec.bars && (index === null || index === undefined) ? "" : formatValue(value, this.spec.percent);
      this.values[i].textContent = shown && row?.label && index !== null && index !== undefined ? `${row.label}: ${shown}` : shown;
    });
  }

  summary() {
    const lines = this.spec.series.map((line) => {
      const known = this.rows.filter((row) => isNumber(row.values[line.key]));
      if (known.length === 0) return "";
      const [first, last] = [known[0], known.at(-1)].map((row) => formatValue(row.values[line.key], this.spec.percent));
      return known.length > 1 ? `${line.label}: ${first} → ${last}` : `${line.label}: ${last}`;
    });
    return `${this.spec.title}, ${this.spec.unit}. ${lines.filter(Boolean).join("; ")}`;
  }

  fillTable() {
    if (!this.table.open) return;
    const table = document.createElement("table");
    table.className = "table";
    const head = table.createTHead().insertRow();
    for (const words of [this.figure.dataset.xLabel, ...this.spec.series.map((line) => line.label)]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = "number";
      cell.textContent = words;
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of this.rows) {
      const line = body.insertRow();
      for (const words of [this.nameOf(row.x), ...this.spec.series.map((s) => this.cell(row, s))]) {
        const cell = line.insertCell();
        cell.className = "number";
        cell.textContent = words;
      }
    }
    this.table.querySelector(".table-wrap").replaceChildren(table);
  }

  cell(row, line) {
    const value = formatValue(row.values[line.key], this.spec.percent);
    if (!line.low || !isNumber(row.values[line.low])) return value;
    const [low, high] = [line.low, line.high].map((key) => formatValue(row.values[key], this.spec.percent));
    return `${value} (${low} – ${high})`;
  }
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

// Which of the four colours and dashes a line has.
function lookOf(line, place) {
  return line.look || place + 1;
}

function number(value) {
  return isNumber(value) ? value : null;
}

// As many decimals as the distance of the ticks needs, the same for all of them.
function tickLabels(splits, percent) {
  const factor = percent ? 100 : 1;
  const distance = Math.abs(splits.length > 1 ? splits[1] - splits[0] : splits[0]) * factor;
  let digits = 0;
  while (digits < 6 && Math.abs(distance * 10 ** digits - Math.round(distance * 10 ** digits)) > 1e-6) digits += 1;
  const plain = new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return splits.map((split) => plain.format(split * factor).replace("-", "−") + (percent ? " %" : ""));
}

// The plots of a page: figures with data-plot below `root`, specs from the page's JSON.
export function plotsIn(root, options) {
  const specs = JSON.parse(document.getElementById("plots").textContent);
  return specs.flatMap((spec) => {
    const figure = root.querySelector(`[data-plot="${spec.key}"]`);
    return figure ? [new Plot(figure, spec, options)] : [];
  });
}
