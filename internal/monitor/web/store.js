// The state of the page, and the one place that changes of it are announced.

export const METRICS = [
  { name: "loss", title: "Loss", unit: "nats per token" },
  { name: "eval_loss", title: "Eval loss", unit: "nats per token" },
  { name: "learning_rate", title: "Learning rate", unit: "" },
  { name: "grad_norm", title: "Gradient norm", unit: "" },
  { name: "tokens_per_second", title: "Tokens per second", unit: "tokens/s", short: true },
  { name: "vram_bytes", title: "GPU memory of the run", unit: "GiB", bytes: true },
  { name: "gpu_util_percent", title: "GPU utilisation", unit: "%" },
  { name: "rss_bytes", title: "Host memory", unit: "GiB", bytes: true },
  { name: "gpu_power_watts", title: "GPU power", unit: "W" },
  { name: "gpu_temp_celsius", title: "GPU temperature", unit: "°C" },
  { name: "loss_scale", title: "Loss scale", unit: "" },
];

const SHOWN_AT_FIRST = 60; // runs; more can be ticked

export const state = {
  root: "",
  problem: "",
  runs: new Map(), // name -> {name, summary, index, shown, series}
  x: "step",
  smooth: 0,
  log: false,
  zoom: null, // [from, to] of x, or null for all
  cursor: null, // x under the pointer, in all charts
  lit: null, // name of the run that stands out
};

let next = 0; // index of the next run, which decides its colour

// merge takes over summaries; with all, runs that are not among them go.
// It returns the names whose points have changed.
export function merge(summaries, all) {
  const stale = [];
  if (all) {
    const there = new Set(summaries.map((s) => s.run));
    for (const name of [...state.runs.keys()]) if (!there.has(name)) state.runs.delete(name);
  }
  // The list begins with the newest. Colours go to the oldest first, so that a
  // later run changes none of them.
  for (let i = summaries.length - 1; i >= 0; i--) {
    const summary = summaries[i];
    let run = state.runs.get(summary.run);
    if (!run) {
      run = { name: summary.run, index: next++, shown: i < SHOWN_AT_FIRST, series: {} };
      state.runs.set(summary.run, run);
    }
    run.summary = summary;
    if (run.shown && summary.rows > 0) stale.push(summary.run);
  }
  return stale;
}

export function drop(names) {
  for (const name of names) state.runs.delete(name);
}

// newestFirst lists the runs in the order of the legend.
export function newestFirst() {
  return [...state.runs.values()].sort(
    (a, b) => b.summary.started.localeCompare(a.summary.started) || (a.name < b.name ? -1 : 1));
}

export function shownRuns() {
  return [...state.runs.values()].filter((r) => r.shown);
}

// extent is the range of x of the shown runs, or null without points.
export function extent() {
  const ranges = shownRuns().map((run) => run.summary.ranges?.[state.x]).filter(Boolean);
  if (ranges.length === 0) return null;
  return [Math.min(...ranges.map((r) => r[0])), Math.max(...ranges.map((r) => r[1]))];
}

const SAVED = ["x", "smooth", "log"];

export function save() {
  try {
    localStorage.setItem("qlora.view", JSON.stringify(Object.fromEntries(SAVED.map((k) => [k, state[k]]))));
  } catch {
    // Storage can be switched off; the view is then forgotten.
  }
}

export function restore() {
  try {
    const saved = JSON.parse(localStorage.getItem("qlora.view") ?? "{}");
    if (["step", "time", "tokens"].includes(saved.x)) state.x = saved.x;
    if (saved.smooth >= 0 && saved.smooth <= 100) state.smooth = saved.smooth;
    state.log = saved.log === true;
  } catch {
    // What was saved is not ours; the defaults stand.
  }
}
