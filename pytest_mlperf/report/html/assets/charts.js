/* Charts, each with its figures in a table beneath: for readers who print, and for those who do not see it. */
const mlperfCharts = (() => {
  "use strict";
  const HEIGHT = 260;
  const INK = "#1a3d6d";
  const LIMIT = "#a4262c";

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };

  const number = (value) => {
    if (Number.isInteger(value)) return String(value);
    return Math.abs(value) >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
  };

  const table = (head, rows, kind) =>
    make(
      "table",
      { class: `grid ${kind || ""}` },
      make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((text) => make("td", {}, text))))),
    );

  /* The share on a scale of nines: 0, 90 %, 99 %, 99.9 % are as far from each other as 1 is from 10. */
  const NINES = 4;
  const toNines = (share) => (share >= 1 ? NINES : Math.min(NINES, -Math.log10(1 - share)));
  const SHARES = [0, 0.5, 0.9, 0.99, 0.999, 1];
  const percent = (share) => `${number(100 * share)} %`;

  const unitOf = (largest_ns) =>
    [[1e9, "s"], [1e6, "ms"], [1e3, "us"]].find(([size]) => largest_ns >= size) || [1, "ns"];

  const width = (element) => Math.max(280, Math.min(element.clientWidth || 640, 900));

  /* A chart follows its place, which the style keeps from growing with it: else none would ever shrink. */
  const draw = (element, options, data) => {
    const plot = new uPlot({ ...options, width: width(element), height: HEIGHT }, data, element);
    const follow = () => {
      if (element.clientWidth && width(element) !== plot.width) plot.setSize({ width: width(element), height: HEIGHT });
    };
    new ResizeObserver(follow).observe(element);
  };

  const dashed = (plot, points, text) => {
    const { ctx } = plot;
    const place = ([x, y]) => [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
    ctx.save();
    ctx.strokeStyle = LIMIT;
    ctx.fillStyle = LIMIT;
    ctx.lineWidth = 2;
    ctx.setLineDash([6, 4]);
    ctx.beginPath();
    points.map(place).forEach(([x, y], index) => (index ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
    ctx.stroke();
    ctx.font = `bold ${Math.round(12 * devicePixelRatio)}px sans-serif`;
    const [x, y] = place(points[1]);
    const left = x < plot.bbox.left + plot.bbox.width * 0.6;
    ctx.textAlign = left ? "left" : "right";
    ctx.fillText(text, x + (left ? 6 : -6), Math.min(y + 16 * devicePixelRatio, plot.bbox.top + plot.bbox.height - 4));
    ctx.restore();
  };

  const distribution = (element, { of, quantiles, limit }) => {
    const largest_ns = Math.max(...quantiles.map((pair) => pair[1]), limit ? limit[1] : 0);
    const [size, unit] = unitOf(largest_ns);
    const xs = quantiles.map((pair) => pair[1] / size);
    const ys = quantiles.map((pair) => toNines(pair[0]));
    const words = limit ? `limit: ${percent(limit[0])} within ${number(limit[1] / size)} ${unit}` : "no limit";
    const title = of === "sample" ? "Time until a sample was answered" : `Latency: ${of}`;
    element.append(make("h4", {}, title), make("p", { class: "note" }, words));
    const box = make("div", { class: "chart", role: "img", "aria-label": `cumulative distribution; ${words}` });
    element.append(box);
    const most = limit ? Math.max(...xs, limit[1] / size) : Math.max(...xs);
    draw(
      box,
      {
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: false, range: () => [Math.min(...xs) * 0.98, most * 1.05 || 1] },
          y: { range: () => [0, NINES] },
        },
        axes: [
          { label: unit, values: (_, ticks) => ticks.map(number) },
          { label: "share answered", size: 64, splits: () => SHARES.map(toNines), values: () => SHARES.map(percent) },
        ],
        series: [{}, { stroke: INK, width: 2, points: { show: quantiles.length < 20 } }],
        hooks: {
          draw: limit
            ? [
                (plot) => {
                  const [x, y] = [limit[1] / size, toNines(limit[0])];
                  dashed(plot, [[plot.scales.x.min, y], [x, y], [x, 0]], "limit");
                },
              ]
            : [],
        },
      },
      [xs, ys],
    );
    const told = [0.5, 0.9, 0.95, 0.97, 0.99, 0.999, 1]
      .map((share) => [share, quantiles.find((pair) => pair[0] >= share)])
      .filter((pair) => pair[1]);
    const head = told.map(([share]) => (share === 1 ? "all" : percent(share)));
    element.append(table(["share", ...head], [["within", ...told.map(([, pair]) => `${number(pair[1] / size)} ${unit}`)]], "figures"));
  };

  const throughput = (element, { bin_s, samples_per_s }) => {
    const xs = samples_per_s.map((_, index) => index * bin_s);
    element.append(make("h4", {}, "Throughput over time"), make("p", { class: "note" }, `samples answered, in bins of ${number(bin_s)} s`));
    const box = make("div", { class: "chart", role: "img", "aria-label": "samples answered per second over time" });
    element.append(box);
    draw(
      box,
      {
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false }, y: { range: (_, __, most) => [0, most * 1.1 || 1] } },
        axes: [{ label: "s" }, { label: "samples/s", size: 72, values: (_, ticks) => ticks.map(number) }],
        series: [{}, { stroke: INK, width: 1.5, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
      },
      [xs, samples_per_s],
    );
    const sorted = [...samples_per_s].sort((a, b) => a - b);
    const at = (share) => `${number(sorted[Math.floor(share * (sorted.length - 1))])} samples/s`;
    element.append(table(["slowest bin", "median bin", "fastest bin"], [[at(0), at(0.5), at(1)]], "figures"));
  };

  /* Values over time with their median, and what lies within three deviations of it; a cross is a run that failed. */
  const trend = (element, { times_s, values, passed, unit, median, mad }) => {
    const [size, word] = unit === "ns" ? unitOf(Math.max(...values)) : [1, unit];
    const scaled = values.map((value) => value / size);
    const [middle, reach] = [median / size, (3 * 1.4826 * mad) / size];
    const box = make("div", { class: "chart", role: "img", "aria-label": `values over time, in ${word}` });
    element.append(box, make("p", { class: "note" }, "line: median; band: three deviations around it; \u2717 did not pass; times in UTC"));
    const low = Math.min(...scaled, middle - reach);
    const high = Math.max(...scaled, middle + reach);
    const room = (high - low || Math.abs(high) || 1) * 0.1;
    const day = 86400;
    const short = times_s[times_s.length - 1] - times_s[0] < 2 * day;
    const moment = (time_s) => new Date(1000 * time_s).toISOString().slice(...(short ? [11, 16] : [5, 10]));
    draw(
      box,
      {
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { range: (_, least, most) => (least === most ? [least - 3600, most + 3600] : [least, most]) }, y: { range: () => [low - room, high + room] } },
        axes: [{ values: (_, ticks) => ticks.map(moment) }, { label: word, size: 72, values: (_, ticks) => ticks.map(number) }],
        series: [{}, { stroke: INK, width: 1.5, points: { show: true, size: 6 } }],
        hooks: {
          drawAxes: [
            (plot) => {
              const at = (value) => plot.valToPos(value, "y", true);
              const { left, width: wide } = plot.bbox;
              plot.ctx.save();
              plot.ctx.fillStyle = "rgba(26, 61, 109, 0.12)";
              plot.ctx.fillRect(left, at(middle + reach), wide, at(middle - reach) - at(middle + reach));
              plot.ctx.fillStyle = INK;
              plot.ctx.fillRect(left, Math.round(at(middle)), wide, Math.ceil(devicePixelRatio));
              plot.ctx.restore();
            },
          ],
          draw: [
            (plot) => {
              plot.ctx.save();
              plot.ctx.fillStyle = LIMIT;
              plot.ctx.font = `bold ${Math.round(20 * devicePixelRatio)}px sans-serif`;
              plot.ctx.textAlign = "center";
              plot.ctx.textBaseline = "middle";
              passed.forEach((good, index) => {
                if (!good) plot.ctx.fillText("\u2717", plot.valToPos(times_s[index], "x", true), plot.valToPos(scaled[index], "y", true));
              });
              plot.ctx.restore();
            },
          ],
        },
      },
      [times_s, scaled],
    );
  };

  return { make, number, table, unpack, distribution, throughput, trend };
})();
