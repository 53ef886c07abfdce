// The charts of the report: what they show, and what pointing at them says. State and data are page.js's.

// --- accuracies ---------------------------------------------------------------------------------------------------

// Where the columns lie: a log axis has no zero, so what is not above it stands by itself at the left.
function places() {
  if (DATA.scale !== "log" && DATA.x.every((x) => x !== null)) return DATA.x;
  const value = (x) => (DATA.scale === "log" ? Math.log10(x) : x);
  const known = DATA.x.filter((x) => x !== null && (DATA.scale !== "log" || x > 0)).map(value);
  const low = Math.min(...known), apart = Math.max((Math.max(...known) - low) / 8, 0.5);
  return DATA.x.map((x) => (x === null || (DATA.scale === "log" && x <= 0) ? low - apart : value(x)));
}

function panelSpec(panel, hidden) {
  const shown = panel.series.map((one, line) => ({ ...one, line })).filter((one) => !hidden.has(one.line));
  const points = shown.flatMap((one) => one.points.filter(Boolean));
  const values = points.flatMap((one) => [one.mean - one.std, one.mean + one.std, ...(one.other ? [one.other.mean] : [])]);
  if (!values.length) values.push(0, 100); // a series of which nothing is finished, and all others hidden
  const low = Math.min(...values), high = Math.max(...values), air = (high - low || 1) * 0.08;
  const wide = (Math.max(...PLACES) - Math.min(...PLACES) || 1) * 0.03;
  const ends = { low: Math.max(0, low - air), high: Math.min(100, high + air) };
  const at = (points) =>
    points.map((one, column) => one && { x: PLACES[column], y: one.mean, low: one.mean - one.std, high: one.mean + one.std });
  return {
    height: narrow.matches ? 280 : 330,
    x: {
      name: DATA.axis, low: Math.min(...PLACES) - wide, high: Math.max(...PLACES) + wide,
      ticks: DATA.columns.map((label, column) => ({ value: PLACES[column], label })).sort((a, b) => a.value - b.value),
    },
    y: { name: "accuracy in %", ...ends, ticks: ticks(ends.low, ends.high, 5) },
    lines: shown.map((one, index) => ({
      apart: 7 * (index - (shown.length - 1) / 2),
      line: one.line, kind: DATA.scale === "names" ? "loose" : "", marked: true,
      points: at(one.points).filter(Boolean).sort((a, b) => a.x - b.x),
    })),
    rules: shown.flatMap((one) => one.points.filter((two) => two && two.baseline).map((two) => ({ line: one.line, y: two.mean }))),
    marks: shown.flatMap((one, index) =>
      one.points.flatMap((two, column) => (two && two.other
        ? [{ line: one.line, x: PLACES[column], y: two.other.mean, apart: 7 * (index - (shown.length - 1) / 2) }] : []))),
    guide: DATA.columns.length > 1 ? PLACES[chosen.column] : undefined,
  };
}

function reading(panel, column, hidden) {
  const rows = panel.series.flatMap((one, line) => {
    const point = one.points[column];
    if (!point || hidden.has(line)) return [];
    const against = point.other ? ` · ${DATA.against} ${point.other.mean.toFixed(1)}` : "";
    const gain = point.baseline ? "baseline" : point.difference ? `${point.difference}${point.mark}` : "";
    return [{ line, text: `${one.name} ${point.mean.toFixed(1)} ± ${point.std.toFixed(1)}`, more: `${gain}${against}` }];
  });
  return { head: DATA.columns[column] === "baseline" ? "baseline" : `${DATA.axis} ${DATA.columns[column]}`, rows };
}

function tip(host, told, x) {
  const box = host.querySelector(".tip");
  box.replaceChildren();
  element("strong", {}, box, told.head);
  for (const row of told.rows) {
    const line = element("span", { class: `c${row.line % MARKERS}` }, box, row.text);
    if (row.more) element("em", {}, line, ` ${row.more}`);
  }
  if (!told.rows.length) element("span", {}, box, "not finished");
  box.hidden = false;
  const left = Math.min(Math.max(0, x + 12), host.clientWidth - box.offsetWidth);
  box.style.left = `${x + 12 + box.offsetWidth > host.clientWidth ? Math.max(0, x - box.offsetWidth - 12) : left}px`;
}

function accuracies(panel, host) {
  const hidden = new Set(), canvas = host.querySelector(".canvas");
  let drawn;
  const show = () => {
    drawn = draw(canvas, panelSpec(panel, hidden), `Accuracy against ${DATA.axis}: ${panel.title || "all settings"}`);
  };
  const nearest = (event) => {
    const x = event.clientX - canvas.getBoundingClientRect().left;
    const far = PLACES.map((place) => Math.abs(drawn.across(place) - x));
    return far.indexOf(Math.min(...far));
  };
  const tell = (column) => tip(host, reading(panel, column, hidden), drawn.across(PLACES[column]));
  canvas.addEventListener("pointermove", (event) => tell(nearest(event)));
  canvas.addEventListener("click", (event) => choose({ column: nearest(event) }));
  for (const leave of ["pointerleave", "blur"]) canvas.addEventListener(leave, () => (host.querySelector(".tip").hidden = true));
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && tell(chosen.column));
  canvas.addEventListener("keydown", (event) => {
    const order = PLACES.map((_, column) => column).sort((a, b) => PLACES[a] - PLACES[b]);
    const to = order[order.indexOf(chosen.column) + { ArrowLeft: -1, ArrowRight: 1 }[event.key]];
    if (to === undefined) return;
    event.preventDefault();
    choose({ column: to });
    tell(to);
  });
  legend(panel, host, hidden, show);
  return show;
}

function legend(panel, host, hidden, show) {
  const keys = host.querySelector(".keys");
  if (panel.series.length < 2) return;
  panel.series.forEach((one, line) => {
    const key = element("button", { type: "button", "aria-pressed": "true" }, keys);
    const icon = make("svg", { viewBox: "-6 -6 12 12", width: 12, height: 12, "aria-hidden": "true" }, key);
    marker(line, 0, 0, icon, "mark");
    element("span", {}, key, one.name);
    key.addEventListener("click", () => {
      if (!hidden.delete(line) && hidden.size < panel.series.length - 1) hidden.add(line);
      key.setAttribute("aria-pressed", String(!hidden.has(line)));
      show();
    });
  });
}

// --- losses -------------------------------------------------------------------------------------------------------

function lossSpec(term) {
  const lines = Object.entries(term.lines).map(([column, points]) => ({ column: Number(column), points }));
  const all = lines.flatMap((one) => one.points), values = all.map((one) => one[1]);
  const low = Math.min(...values), high = Math.max(...values), log = low > 0 && high / low > 30;
  const air = (high - low || Math.abs(high) || 1) * 0.05, steps = all.map((one) => one[0]);
  const first = Math.min(...steps), last = Math.max(...steps);
  const y = log
    ? { low: low * 0.9, high: high * 1.1, ticks: powers(low, high) }
    : { low: low - air, high: high + air, ticks: ticks(low - air, high + air, 4) };
  const ordered = lines.sort((a, b) => (a.column === chosen.column) - (b.column === chosen.column));
  return {
    height: 220, x: { name: "iteration", low: first, high: last, ticks: ticks(first, last, narrow.matches ? 3 : 5) },
    y: { ...y, log, name: log ? "loss (log)" : "loss" },
    lines: ordered.map((one) => ({
      line: 0, kind: one.column === chosen.column ? "picked" : "faint", points: one.points.map(([x, y]) => ({ x, y })),
    })),
  };
}

function losses(term, host) {
  return () => draw(host, lossSpec(term), `${term.name} against iteration`);
}
