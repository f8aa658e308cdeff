// Puts the page together: state, feed, charts, lists, and what the controls do.

import { state, METRICS, shownRuns, newestFirst, extent, save, restore } from "./store.js";
import { Feed, weight } from "./data.js";
import { Chart } from "./chart.js";
import { listen, label, within } from "./pointer.js";
import { axes } from "./axis.js";
import { Legend, setText } from "./legend.js";
import { RunTable } from "./runs.js";
import { Settings } from "./compare.js";
import { Samples } from "./samples.js";

const $ = (id) => document.getElementById(id);

const charts = METRICS.map((metric) => new Chart(metric));
const page = { zoom, cursor: drawCursors, say: (text) => ($("live").textContent = text) };
const feed = new Feed({ changed: listChanged, points: redraw, linked: showLink, busy: showBusy });
const legend = new Legend($("legend"), { shown: shownChanged, lit: redraw });
const table = new RunTable($("table"), (name) => settings.choose(name));
const settings = new Settings();
const samples = new Samples();

let planned = 0;

// redraw draws every chart anew at the next frame; one that is out of sight,
// when it comes into sight.
function redraw() {
  for (const chart of charts) chart.stale = true;
  planFrame();
}

function planFrame() {
  planned ||= requestAnimationFrame(() => {
    planned = 0;
    drawCharts();
  });
}

const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) charts.find((c) => c.element === target).inSight = isIntersecting;
  planFrame();
}, { rootMargin: "100px" });

function drawCharts() {
  const range = state.zoom ?? extent() ?? [0, 1];
  const style = readStyle();
  for (const chart of charts) {
    if (!chart.stale || !chart.inSight) continue;
    chart.draw(range[0], range[1], style);
    label(chart);
  }
  $("range").textContent = state.zoom ? axes[state.x].title + " " + range.map(axes[state.x].span).join(" to ") : "";
  $("zoom-reset").disabled = !state.zoom;
}

function drawCursors() {
  for (const chart of charts) if (chart.inSight && chart.width) chart.drawCursor();
}

// readStyle takes the colours of the canvas from the style sheet.
function readStyle() {
  const css = getComputedStyle(document.documentElement);
  const get = (name) => css.getPropertyValue(name).trim();
  return { grid: get("--grid"), muted: get("--muted"), select: get("--select"), font: "12px " + get("--font") };
}

function listChanged() {
  $("root").textContent = state.root;
  document.title = "qlora " + state.root;
  const some = new Set(shownRuns().flatMap((run) => run.summary.metrics));
  for (const chart of charts) chart.element.hidden = chart.metric.name !== "loss" && !some.has(chart.metric.name);
  $("empty").hidden = state.runs.size > 0;
  $("empty").textContent = `No runs in ${state.root}. Start one with 'qlora train' or 'qlora demo', or name the folder that holds them with --runs-dir.`;
  $("side-title").textContent = `Runs (${shownRuns().length} of ${state.runs.size})`;
  showProblems();
  legend.update();
  table.update();
  settings.update();
  samples.update();
  redraw();
}

// shownChanged follows the check boxes of the legend.
function shownChanged() {
  listChanged();
  feed.refresh();
}

function showProblems() {
  const bad = newestFirst().filter((run) => run.summary.problem);
  const texts = bad.map(({ name, summary }) => {
    const lines = summary.bad_lines ? `${summary.bad_lines} unreadable ${summary.bad_lines === 1 ? "line" : "lines"}, ` : "";
    return `${name}: ${lines}${summary.problem}`;
  });
  if (state.problem) texts.unshift(state.problem);
  const text = texts.slice(0, 3).join("\n") + (texts.length > 3 ? `\nand ${texts.length - 3} more` : "");
  $("notice").hidden = texts.length === 0;
  setText($("notice"), text);
}

function showLink(text) {
  setText($("link"), text);
  $("link").dataset.state = text;
}

function showBusy(on) {
  $("grid").setAttribute("aria-busy", String(on));
}

function zoom(range) {
  state.zoom = within(range);
  redraw();
  feed.refresh();
  page.say(state.zoom ? "zoomed" : "whole run");
}

function zoomBy(factor) {
  const [low, high] = state.zoom ?? extent() ?? [0, 1];
  const middle = state.cursor ?? (low + high) / 2;
  const half = ((high - low) / 2) * factor;
  zoom([middle - half, middle + half]);
}

function showControls() {
  $("x").value = state.x;
  $("smooth").value = state.smooth;
  $("log").checked = state.log;
  const shown = weight() === 0 ? "off" : weight().toFixed(weight() > 0.99 ? 3 : 2);
  $("smooth-value").textContent = shown;
  $("smooth").setAttribute("aria-valuetext", shown);
}

function connectControls() {
  let later = 0;
  $("x").addEventListener("change", () => {
    state.x = $("x").value;
    state.zoom = null;
    for (const run of state.runs.values()) run.series = {};
    viewChanged();
  });
  $("smooth").addEventListener("input", () => {
    state.smooth = Number($("smooth").value);
    showControls();
    clearTimeout(later);
    later = setTimeout(viewChanged, 60);
  });
  $("log").addEventListener("change", () => {
    state.log = $("log").checked;
    save();
    redraw();
  });
  $("zoom-in").addEventListener("click", () => zoomBy(0.5));
  $("zoom-out").addEventListener("click", () => zoomBy(2));
  $("zoom-reset").addEventListener("click", () => zoom(null));
  $("filter").addEventListener("input", () => legend.update());
  $("all").addEventListener("click", () => legend.tickAll(true));
  $("none").addEventListener("click", () => legend.tickAll(false));
}

function viewChanged() {
  save();
  showControls();
  redraw();
  feed.refresh();
}

function connectTheme() {
  const root = document.documentElement;
  const select = $("theme");
  select.value = root.dataset.theme ?? "auto";
  select.addEventListener("change", () => {
    if (select.value === "auto") delete root.dataset.theme;
    else root.dataset.theme = select.value;
    try {
      localStorage.setItem("qlora.theme", select.value);
    } catch {
      // Storage can be switched off; the choice then ends with the page.
    }
    recolor();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
}

function recolor() {
  legend.recolor();
  table.update();
  redraw();
}

restore();
showControls();
connectControls();
connectTheme();
if (matchMedia("(max-width: 760px)").matches) $("side").open = false;
for (const chart of charts) {
  $("grid").append(chart.element);
  sight.observe(chart.element);
  listen(chart, page);
}
new ResizeObserver(redraw).observe($("grid"));
feed.open();
