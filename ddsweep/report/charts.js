"use strict";
// The charts of the page, drawn by Plotly: colors come from page.css, so that they follow light, dark and print.

const NARROW = matchMedia("(max-width: 640px)");
const CONFIG = { displayModeBar: false, responsive: false, doubleClick: "reset" };

function element(name, attributes, parent, text) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

function cssValue(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A figure with the page's own colors and font.
function themed(figure) {
  const colored = JSON.parse(JSON.stringify(figure).replace(/var\((--[\w-]+)\)/g, (_, name) => cssValue(name)));
  colored.layout.font.family = getComputedStyle(document.body).fontFamily;
  // dragging selects a part of the axis; under a finger it scrolls the page
  colored.layout.dragmode = matchMedia("(pointer: coarse)").matches ? false : "zoom";
  return colored;
}

// The accuracies of a panel. The chosen value is marked; a click or an arrow key chooses another.
function accuracies(figure, host) {
  const canvas = host.querySelector(".canvas");
  const positions = DATA.positions;
  const order = positions.map((_, column) => column).sort((a, b) => positions[a] - positions[b]);
  const point = (column) => Plotly.Fx.hover(canvas, { xval: positions[column] }, ["xy"]);
  let drawn = Promise.resolve();
  canvas.addEventListener("keydown", (event) => {
    const to = order[order.indexOf(chosen.column) + { ArrowLeft: -1, ArrowRight: 1 }[event.key]];
    if (to === undefined) return;
    event.preventDefault();
    choose({ column: to });
    drawn.then(() => point(to));
  });
  canvas.addEventListener("focus", () => canvas.matches(":focus-visible") && point(chosen.column));
  canvas.addEventListener("blur", () => Plotly.Fx.unhover(canvas));
  let listening = false;
  return () => {
    const { data, layout } = themed(figure), x = positions[chosen.column];
    layout.height = NARROW.matches ? 320 : 360;
    layout.width = canvas.clientWidth;
    const guide = { type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, layer: "below" };
    if (positions.length > 1) layout.shapes = [{ ...guide, opacity: 0.22, line: { width: 14, color: cssValue("--accent") } }];
    layout.uirevision = "kept"; // what the reader has hidden or zoomed survives a redraw
    drawn = Plotly.react(canvas, data, layout, CONFIG);
    if (!listening) canvas.on("plotly_click", (event) => choose({ column: event.points[0].customdata }));
    listening = true;
  };
}

// The curves of a loss. The one of the chosen value is strong, and in front of the others.
function losses(figure, host) {
  return () => {
    const { data, layout } = themed(figure);
    layout.height = 240;
    layout.width = host.clientWidth;
    layout.dragmode = false;
    data.sort((a, b) => (a.meta === chosen.column) - (b.meta === chosen.column));
    for (const trace of data) if (trace.meta === chosen.column) trace.line = { color: cssValue("--accent"), width: 2.4 };
    Plotly.react(host, data, layout, { ...CONFIG, staticPlot: true });
  };
}
