"use strict";
// Follows one run: asks for its state every second and shows what has changed. All text goes in as text, never as markup.
const EVERY = 1000;
const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) < 1000 ? 4 : 21 });
const whole = (value) => value.toLocaleString("en");

let shown = {}; // what each part shows, as text, so that only what has changed is drawn anew
let layers = []; // {target, name, shape, spikes}

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function part(id, values, isEmpty, fill) {
  const text = JSON.stringify(values ?? null);
  if (shown[id] === text) return;
  shown[id] = text;
  const section = at(id);
  section.hidden = isEmpty;
  const content = section.querySelector(".content");
  if (content) content.replaceChildren();
  if (!isEmpty) fill(content || section);
}

function table(label, head, rows) {
  const cells = (kind, row) => row.map((cell, column) =>
    typeof cell === "number" ? element(kind, { class: "n" }, number(cell))
      : column === 0 && kind === "td" ? element("th", { scope: "row" }, cell) : element(kind, {}, cell));
  const titles = head.map((title, column) =>
    element("th", { scope: "col", ...(typeof rows[0]?.[column] === "number" ? { class: "n" } : {}) }, title));
  return element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label },
    element("table", {},
      element("thead", {}, element("tr", {}, ...titles)),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells("td", row))))));
}

function showVerdict(run) {
  part("verdict", [run.problem, run.identical, run.headline, run.progress], false, (section) => {
    const bad = Boolean(run.problem) || run.identical === false;
    const said = run.problem ? "The run cannot be read"
      : run.identical === true ? "Every spike is identical"
      : run.identical === false ? "The engines differ" : `The ${run.kind} ${words[run.progress]}`;
    const more = run.identical === undefined || run.identical === null ? [] : [element("p", {}, `The ${run.kind} ${words[run.progress]}.`)];
    const line = run.problem || run.headline;
    section.replaceChildren(element("div", { class: `verdict ${bad ? "bad" : run.identical ? "good" : ""}` },
      element("div", {}, element("strong", {}, said), ...(line ? [element("p", {}, line)] : []), ...more)));
  });
}
const words = { running: "is running", done: "is done", stopped: "is not finished, and nobody works on it" };

function showStages(stages) {
  part("stages", stages, stages.length === 0, (content) => {
    const says = { done: "done", running: "running …", open: "to do" };
    content.append(table("Stages", ["stage", "state", "seconds", "what came of it"], stages.map((stage) =>
      [stage.name, element("span", { class: "state" }, says[stage.state]), stage.seconds ?? "", stage.summary])));
  });
}

function showScores(scores) {
  const forms = Object.keys(scores);
  const metrics = [...new Set(forms.flatMap((form) => Object.keys(scores[form])))];
  part("scores", scores, metrics.length === 0, (content) => content.append(table("Scores", ["metric", ...forms.map((form) => form.replaceAll("_", " "))],
    metrics.map((metric) => [metric.replaceAll("_", " "), ...forms.map((form) => scores[form][metric] ?? "–")]))));
}

function curve(name, points) {
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  const line = points.map(([step, value]) =>
    `${(100 * (step - first)) / (last - first || 1)},${38 - (36 * (value - low)) / (high - low || 1)}`);
  const said = `${name}: ${number(values[values.length - 1])} at step ${whole(last)}, from ${number(low)} to ${number(high)}`;
  const picture = drawn("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": said });
  picture.append(drawn("polyline", { points: (line.length > 1 ? line : [...line, `100,${line[0].split(",")[1]}`]).join(" ") }));
  const caption = element("figcaption", {}, element("b", {}, name),
    element("span", {}, `${number(values[values.length - 1])} at step ${whole(last)}, between ${number(low)} and ${number(high)}`));
  return element("figure", {}, picture, caption);
}

function showLosses(losses) {
  const trainings = Object.entries(losses).filter(([, curves]) => Object.keys(curves).length > 0);
  part("losses", losses, trainings.length === 0, (content) => {
    for (const [training, curves] of trainings) {
      if (trainings.length > 1) content.append(element("h3", {}, training));
      content.append(element("div", { class: "curves" }, ...Object.entries(curves).map(([name, points]) => curve(name, points))));
    }
  });
}

function showSpikes(targets) {
  part("spikes", targets, targets.every((one) => one.layers.length === 0 && !one.problem), () => {
    const before = at("layer").value;
    layers = targets.flatMap(({ target, layers: own }) => own.map((layer) => ({ target, ...layer })));
    at("layer").replaceChildren(...layers.map((layer, index) => element("option", { value: index }, `${layer.target}: ${layer.name}`)));
    if (before && before < layers.length) at("layer").value = before;
    showFrame();
    const problems = targets.filter((one) => one.problem).map((one) => one.problem);
    if (problems.length) at("count").textContent = problems.join("; ");
  });
}

function showFrame() {
  const layer = layers[at("layer").value || 0];
  if (!layer) return;
  const slider = at("frame"), last = layer.spikes.length - 1;
  slider.max = last;
  const frame = Math.min(Number(slider.value), last);
  const size = layer.shape.reduce((all, one) => all * one, 1);
  const said = `${whole(layer.spikes[frame])} of ${whole(size)} neurons spike, ${((100 * layer.spikes[frame]) / size).toFixed(1)} %`;
  slider.setAttribute("aria-valuetext", `frame ${frame} of ${last}, ${said}`);
  at("number").textContent = `${frame} of ${last}`;
  at("count").textContent = `${layer.name}, ${layer.shape.join("×")}: ${said}.`;
  const bars = at("bars"), most = Math.max(1, ...layer.spikes);
  bars.setAttribute("viewBox", `0 0 ${layer.spikes.length} 1`);
  bars.replaceChildren(...layer.spikes.map((count, index) => drawn("rect",
    { x: index + 0.08, width: 0.84, y: 1 - count / most, height: count / most, ...(index === frame ? { class: "now" } : {}) })));
  const picture = at("picture");
  picture.src = `spikes.png?${new URLSearchParams({ target: layer.target, layer: layer.name, frame })}`;
  picture.alt = `Spikes of ${layer.name} on frame ${frame}: ${said}`;
}

function showFiles(run) {
  // A chip's file may be written anew under its name, and the run's last change tells.
  part("chips", [run.chips, run.changed], run.chips.length === 0, (content) => content.append(...run.chips.map((name) =>
    element("figure", { class: "chip" }, element("figcaption", {}, name),
      element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": `Chip ${name}` },
        element("img", { src: `chip/${encodeURIComponent(name)}?${run.changed}`, alt: `Cores of ${name} by layer` }))))));
  at("reports").replaceChildren(...run.reports.map((name) => element("a", { href: name }, name === "search.html" ? "What the search found" : "The whole report")));
}

async function follow() {
  try {
    const run = await (await fetch("state.json", { cache: "no-store" })).json();
    showVerdict(run);
    if (!run.problem) {
      showStages(run.stages);
      showScores(run.scores);
      showLosses(run.losses);
      showSpikes(run.targets);
      showFiles(run);
    }
    at("updated").textContent = run.progress === "running" ? "Running now; the page follows it." : "The page follows the run.";
  } catch (error) {
    at("updated").textContent = "No longer updated: monospike open has ended, or does not answer.";
  }
  setTimeout(follow, EVERY);
}

at("layer").addEventListener("change", showFrame);
at("frame").addEventListener("input", showFrame);
follow();
