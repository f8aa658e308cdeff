// How charts are used: pointer, touch and keyboard. All charts share x, so a
// zoom and the cursor are those of the page.

import { state, extent } from "./store.js";
import { axes } from "./axis.js";
import { closest } from "./chart.js";
import { swatch } from "./color.js";

const LISTED = 10; // runs in a tip

// listen makes chart react; page has zoom(range), cursor() to draw the cursor
// anew and say(text) for a screen reader.
export function listen(chart, page) {
  const plot = chart.plot;
  plot.tabIndex = 0;
  plot.setAttribute("role", "application");
  plot.setAttribute("aria-roledescription", "chart");
  plot.addEventListener("pointermove", (e) => move(chart, page, e));
  plot.addEventListener("pointerdown", (e) => down(chart, page, e));
  plot.addEventListener("pointerup", (e) => up(chart, page, e));
  plot.addEventListener("pointercancel", () => leave(chart, page));
  // A finger that lifts leaves too; what it pointed at stays until the focus goes.
  plot.addEventListener("pointerleave", (e) => e.pointerType !== "touch" && !chart.drag && leave(chart, page));
  plot.addEventListener("dblclick", () => page.zoom(null));
  plot.addEventListener("keydown", (e) => press(chart, page, e));
  plot.addEventListener("blur", () => leave(chart, page));
}

// label names a chart for those who do not see it.
export function label(chart) {
  const n = chart.runs?.length ?? 0;
  chart.plot.setAttribute("aria-label",
    `${chart.metric.title} by ${axes[state.x].title}, ${n} ${n === 1 ? "run" : "runs"}; arrow keys move, plus and minus zoom, Escape shows the whole run`);
}

function position(chart, event) {
  const box = chart.plot.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function move(chart, page, event) {
  const [px, py] = position(chart, event);
  if (chart.drag) chart.drag[1] = Math.max(chart.left, Math.min(px, chart.width - 10));
  point(chart, page, chart.unpx(px), py);
}

// point puts the cursor at x and shows the tip; py is where the pointer is, or
// null for the keyboard.
function point(chart, page, x, py) {
  const inside = x >= chart.low && x <= chart.high;
  state.cursor = inside ? x : null;
  page.cursor();
  showTip(chart, py);
}

function down(chart, page, event) {
  if (event.pointerType === "touch" || event.button !== 0) {
    move(chart, page, event); // a finger moves the cursor; buttons zoom
    return;
  }
  const [px] = position(chart, event);
  chart.drag = [px, px];
  chart.plot.setPointerCapture(event.pointerId);
}

function up(chart, page) {
  const drag = chart.drag;
  chart.drag = null;
  if (drag && Math.abs(drag[1] - drag[0]) > 5) {
    const [a, b] = [chart.unpx(Math.max(chart.left, Math.min(...drag))), chart.unpx(Math.max(...drag))];
    page.zoom([a, b]);
  }
  page.cursor();
}

function leave(chart, page) {
  chart.drag = null;
  chart.tip.hidden = true;
  state.cursor = null;
  page.cursor();
}

function showTip(chart, py) {
  const all = state.cursor === null ? [] : chart.nearest(state.cursor);
  chart.tip.hidden = all.length === 0;
  if (all.length === 0) return;
  const [from, nearest] = around(chart, all, py);
  const title = document.createElement("div");
  title.className = "tip-x";
  title.textContent = axes[state.x].value(roundX(all[nearest].x));
  const rows = all.slice(from, from + LISTED).map((p, i) => tipRow(chart, p, from + i === nearest && all.length > 1));
  chart.tip.replaceChildren(title, ...rows);
  if (all.length > rows.length) {
    const more = document.createElement("div");
    more.className = "tip-more";
    more.textContent = `${all.length - rows.length} more`;
    chart.tip.append(more);
  }
  place(chart);
}

// around is where the listed runs begin, and which is next to the pointer.
function around(chart, all, py) {
  if (py === null) return [0, 0];
  const distances = all.map((p) => Math.abs(chart.py(p.s ?? p.y) - py));
  const nearest = distances.indexOf(Math.min(...distances.filter((d) => !isNaN(d))));
  const from = Math.max(0, Math.min(nearest - LISTED / 2, all.length - LISTED));
  return [from, Math.max(0, nearest)];
}

function roundX(x) {
  return state.x === "time" ? Math.round(x * 10) / 10 : x;
}

function tipRow(chart, p, strong) {
  const row = document.createElement("div");
  row.className = strong ? "tip-row strong" : "tip-row";
  const name = document.createElement("span");
  name.className = "tip-name";
  name.textContent = p.run.name;
  const value = document.createElement("span");
  value.textContent = chart.format(p.y, 6);
  row.append(swatch(p.run.index), name, value);
  if (p.s !== undefined) value.textContent += ` (${chart.format(p.s, 5)})`;
  return row;
}

// place puts the tip beside the cursor, to the right where the window has room.
function place(chart) {
  const x = chart.px(state.cursor);
  const width = chart.tip.offsetWidth;
  const edge = document.documentElement.clientWidth - chart.plot.getBoundingClientRect().left;
  const left = x + 14 + width < edge ? x + 14 : x - 14 - width;
  chart.tip.style.left = Math.max(Math.min(0, edge - width), left) + "px";
}

function press(chart, page, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !chart.some) return;
  const span = chart.high - chart.low;
  const x = state.cursor ?? (chart.low + chart.high) / 2;
  const actions = {
    ArrowLeft: () => (event.shiftKey ? pan(page, chart, -span / 4) : step(chart, page, -1)),
    ArrowRight: () => (event.shiftKey ? pan(page, chart, span / 4) : step(chart, page, 1)),
    PageUp: () => pan(page, chart, -span),
    PageDown: () => pan(page, chart, span),
    Home: () => go(chart, page, chart.low),
    End: () => go(chart, page, chart.high),
    "+": () => page.zoom([x - span / 4, x + span / 4]),
    "=": () => page.zoom([x - span / 4, x + span / 4]),
    "-": () => page.zoom([x - span, x + span]),
    0: () => page.zoom(null),
    Escape: () => page.zoom(null),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function pan(page, chart, by) {
  page.zoom([chart.low + by, chart.high + by]);
}

// step goes to the next point of the first line that has one there.
function step(chart, page, by) {
  const run = chart.runs.find((r) => r.name === state.lit) ?? chart.runs[0];
  const xs = run.series[chart.metric.name].x;
  const from = state.cursor ?? chart.low;
  let i = closest(xs, from);
  const least = (chart.high - chart.low) / 200; // at least half a per cent of the view
  while (xs[i] !== undefined && (by > 0 ? xs[i] < from + least : xs[i] > from - least)) i += by;
  go(chart, page, xs[i] ?? (by > 0 ? chart.high : chart.low));
}

function go(chart, page, x) {
  point(chart, page, Math.max(chart.low, Math.min(x, chart.high)), null);
  const said = chart.nearest(x).slice(0, 3).map((p) => `${p.run.name} ${chart.format(p.s ?? p.y)}`);
  page.say(`${axes[state.x].value(roundX(Number(x.toPrecision(6))))}: ${said.join(", ")}`);
}

// within fits a range into what there is, or is null for all of it.
export function within(range) {
  const all = extent();
  if (!range || !all || !(range[1] > range[0])) return null;
  const width = range[1] - range[0];
  if (width >= all[1] - all[0]) return null;
  const from = Math.max(all[0], Math.min(range[0], all[1] - width));
  return [from, from + width];
}
