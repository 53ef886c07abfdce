"use strict";
// Line charts in SVG, redrawn at every width so that text keeps its size. No colours here: classes, see page.css.

const SVG = "http://www.w3.org/2000/svg";
const MARKERS = 6; // shapes and colours; a seventh line looks like the first

function make(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function element(name, attributes, parent, text) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// About `count` round numbers between low and high.
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-6; at += step) found.push(at);
  return found.map((value) => ({ value, label: String(Number(value.toPrecision(6))) }));
}

// Powers of ten between low and high; round numbers where there are fewer than two.
function powers(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low)); power <= Math.log10(high); power++)
    found.push({ value: 10 ** power, label: String(Number((10 ** power).toPrecision(1))) });
  return found.length > 1 ? found : ticks(low, high, 3).filter((one) => one.value > 0);
}

const SHAPES = [
  "M-4,0A4,4 0 1 1 4,0A4,4 0 1 1 -4,0Z", "M-3.6,-3.6H3.6V3.6H-3.6Z", "M0,-4.8L4.6,3.6H-4.6Z",
  "M0,-5L5,0L0,5L-5,0Z", "M0,4.8L4.6,-3.6H-4.6Z", "M-4.4,-1.5H-1.5V-4.4H1.5V-1.5H4.4V1.5H1.5V4.4H-1.5V1.5H-4.4Z",
];

function marker(line, x, y, parent, kind) {
  const shape = SHAPES[line % MARKERS];
  return make("path", { d: shape, transform: `translate(${x},${y})`, class: `${kind} c${line % MARKERS}` }, parent);
}

// Draws `spec` into `host` and returns where x lies, for whoever points at it.
//   x: {low, high, ticks}, y: {low, high, ticks, log}; title of the axes in x.name and y.name
//   lines: [{line, kind, points: [{x, y, low, high}], marked, apart}], rules: [{line, y}], marks: [{line, x, y}], guide: x
function draw(host, spec, label) {
  const width = Math.max(260, host.clientWidth), height = spec.height;
  const longest = Math.max(0, ...spec.y.ticks.map((one) => one.label.length));
  const slanted = spec.x.ticks.some((one) => one.label.length > 9);
  const deepest = Math.max(0, ...spec.x.ticks.map((one) => shortened(one.label).length));
  const box = { left: 30 + 7 * longest, right: width - 14, top: 10, bottom: height - (slanted ? 30 + 3.6 * deepest : 44) };
  const across = (x) => box.left + ((x - spec.x.low) / (spec.x.high - spec.x.low || 1)) * (box.right - box.left);
  const scale = spec.y.log ? Math.log10 : (value) => value;
  const span = scale(spec.y.high) - scale(spec.y.low) || 1;
  const up = (y) => box.bottom - ((scale(y) - scale(spec.y.low)) / span) * (box.bottom - box.top);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label });
  for (const tick of spec.y.ticks) {
    make("line", { class: "grid", x1: box.left, x2: box.right, y1: up(tick.value), y2: up(tick.value) }, svg);
    make("text", { class: "tick end", x: box.left - 8, y: up(tick.value) + 4 }, svg, tick.label);
  }
  make("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, svg);
  heads(svg, spec.x.ticks, across, box, slanted);
  make("text", { class: "name", x: (box.left + box.right) / 2, y: height - 4 }, svg, spec.x.name);
  make("text", { class: "name", transform: `translate(12,${(box.top + box.bottom) / 2}) rotate(-90)` }, svg, spec.y.name);
  if (spec.guide !== undefined)
    make("line", { class: "guide", x1: across(spec.guide), x2: across(spec.guide), y1: box.top, y2: box.bottom }, svg);
  for (const rule of spec.rules || [])
    make("line", { class: `rule c${rule.line % MARKERS}`, x1: box.left, x2: box.right, y1: up(rule.y), y2: up(rule.y) }, svg);
  for (const line of spec.lines) curve(svg, line, across, up);
  for (const mark of spec.marks || []) marker(mark.line, across(mark.x) + (mark.apart || 0), up(mark.y), svg, "other");
  host.replaceChildren(svg);
  return { svg, across };
}

function heads(svg, marks, across, box, slanted) {
  let free = -Infinity;
  for (const mark of marks) {
    const x = across(mark.value), room = slanted ? 18 : 7 * mark.label.length + 6;
    make("line", { class: "axis", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 }, svg);
    if (x - room / 2 < free) continue;
    free = x + room / 2;
    if (slanted) {
      const text = { class: "tick end", transform: `translate(${x + 4},${box.bottom + 16}) rotate(-32)` };
      make("title", {}, make("text", text, svg, shortened(mark.label)), mark.label);
    } else make("text", { class: "tick", x, y: box.bottom + 18 }, svg, mark.label);
  }
}

function shortened(label) {
  return label.length > 20 ? `${label.slice(0, 19)}…` : label;
}

function curve(svg, line, across, up) {
  const apart = line.apart || 0; // pixels: bars at one value would hide each other
  const classes = `${line.kind} c${line.line % MARKERS}`;
  const path = line.points.map((one, index) => `${index ? "L" : "M"}${(across(one.x) + apart).toFixed(1)},${up(one.y).toFixed(1)}`);
  make("path", { class: `line ${classes}`, d: path.join("") }, svg);
  for (const one of line.points) {
    if (one.low !== undefined)
      make("line", { class: `error ${classes}`, x1: across(one.x) + apart, x2: across(one.x) + apart, y1: up(one.low), y2: up(one.high) }, svg);
    if (line.marked) marker(line.line, across(one.x) + apart, up(one.y), svg, "mark");
  }
}
