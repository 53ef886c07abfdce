// The reader's choices (a setting, a column of the table, a step) and what is shown for them.

const DATA = JSON.parse(document.getElementById("data").textContent);
const chosen = { gallery: 0, column: 0, step: 0 };

// --- pictures -----------------------------------------------------------------------------------------------------

function column() {
  return DATA.columns[chosen.column] === "baseline" ? "baseline" : `${DATA.axis} ${DATA.columns[chosen.column]}`;
}

function gallery(host, about) {
  const slider = host.querySelector(".along"), steps = host.querySelector(".over");
  const said = host.querySelector(".said"), at = host.querySelector(".at");
  slider?.addEventListener("input", () => choose({ column: Number(slider.value) }));
  steps?.addEventListener("input", () => choose({ step: Number(steps.value) }));
  for (const head of host.querySelectorAll("[data-pick]"))
    head.addEventListener("click", () => choose({ column: Number(head.dataset.pick) }));
  return () => {
    const step = about.steps[Math.min(chosen.step, about.steps.length - 1)];
    const sheets = [...host.querySelectorAll(".synthetic img")];
    const own = sheets.filter((one) => Number(one.dataset.column) === chosen.column);
    const shown = own.find((one) => Number(one.dataset.step) === step) || own.at(-1);
    for (const sheet of sheets) sheet.hidden = sheet !== shown;
    const why = DATA.missing[about.label][chosen.column];
    host.querySelector(".nothing").hidden = Boolean(shown);
    host.querySelector(".nothing").textContent = shown ? "" : `No images at ${column()}: ${why || "none were saved"}.`;
    host.querySelector(".synthetic .names").classList.toggle("empty", !shown);
    said.textContent = column();
    if (slider) {
      slider.value = chosen.column;
      slider.setAttribute("aria-valuetext", column());
    }
    if (steps) {
      steps.value = about.steps.indexOf(step);
      steps.setAttribute("aria-valuetext", `iteration ${step}`);
      at.textContent = `iteration ${step}`;
    }
    for (const head of host.querySelectorAll("[data-pick]"))
      head.setAttribute("aria-current", String(Number(head.dataset.pick) === chosen.column));
    host.querySelector(".synthetic .seed").textContent = about.seeds[chosen.column] || "";
    rates(host, about);
  };
}

// Beside each class, the accuracy of networks trained on these images and its difference to the baseline.
function rates(host, about) {
  const own = about.rates[chosen.column] || [];
  host.querySelectorAll(".synthetic .rate").forEach((node, row) => {
    node.replaceChildren();
    if (own[row] === undefined) return;
    const [accuracy, gain] = own[row];
    node.append(accuracy.toFixed(0));
    if (gain === null) return;
    const sign = gain > 0.05 ? "up" : gain < -0.05 ? "down" : "same";
    element("em", { class: sign }, node, `${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(1)}`);
  });
}

// --- together -----------------------------------------------------------------------------------------------------

const redraw = [];

function choose(change) {
  Object.assign(chosen, change);
  for (const said of document.querySelectorAll(".chosen-value")) said.textContent = column();
  // a chart that is hidden has no width to be drawn in; it is drawn when its setting is chosen
  for (const [host, draw] of redraw) if (host.checkVisibility()) draw();
}

function start() {
  const first = DATA.galleries[0];
  if (first) {
    chosen.column = first.columns.includes(0) ? 0 : first.columns[0];
    chosen.step = Math.max(...DATA.galleries.map((one) => one.steps.length)) - 1;
  }
  document.querySelectorAll("#numbers .panel").forEach((host, index) => redraw.push([host, accuracies(DATA.panels[index].figure, host)]));
  document.querySelectorAll(".gallery").forEach((host, index) => redraw.push([host, gallery(host, DATA.galleries[index])]));
  document.querySelectorAll(".loss").forEach((host) =>
    redraw.push([host, losses(DATA.curves[host.dataset.setting].terms[host.dataset.term].figure, host.querySelector(".canvas"))]));
  const settings = document.querySelectorAll("select.setting");
  const pick = () => {
    for (const one of document.querySelectorAll("[data-group]")) one.hidden = Number(one.dataset.group) !== chosen.gallery;
    for (const one of settings) one.value = chosen.gallery;
  };
  for (const select of settings) select.addEventListener("change", () => {
    chosen.gallery = Number(select.value);
    pick();
    choose({});
  });
  pick();
  choose({});
  let width = innerWidth;
  addEventListener("resize", () => innerWidth !== width && ((width = innerWidth), choose({})));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => choose({}));
}

start();
