// The list of runs beside the charts: what is drawn, in which colour.

import { state, newestFirst } from "./store.js";
import { swatch } from "./color.js";
import { number } from "./axis.js";

export class Legend {
  // on.shown() is called when boxes were ticked, on.lit() when a run stands out.
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.rows = new Map(); // name -> {item, box, state, value}
  }

  update() {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const runs = newestFirst();
    for (const [name, row] of this.rows) {
      if (state.runs.has(name)) continue;
      row.item.remove();
      this.rows.delete(name);
    }
    runs.forEach((run, i) => {
      const row = this.row(run);
      row.item.hidden = !words.every((word) => run.name.toLowerCase().includes(word));
      if (this.list.children[i] !== row.item) this.list.insertBefore(row.item, this.list.children[i] ?? null);
      this.fill(row, run);
    });
  }

  fill(row, run) {
    const { summary } = run;
    row.box.checked = run.shown;
    setText(row.state, summary.loading ? "reading" : summary.state);
    row.state.dataset.state = summary.state;
    setText(row.value, summary.loss === null ? "" : number(summary.loss));
  }

  row(run) {
    let row = this.rows.get(run.name);
    if (row) return row;
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = name.title = run.name;
    const box = document.createElement("input");
    box.type = "checkbox";
    box.addEventListener("change", () => {
      run.shown = box.checked;
      this.on.shown();
    });
    const tag = document.createElement("span");
    tag.className = "state";
    const value = document.createElement("span");
    value.className = "value";
    value.title = "newest loss";
    const only = document.createElement("button");
    only.type = "button";
    only.className = "only";
    only.textContent = "only";
    only.setAttribute("aria-label", "show only " + run.name);
    only.addEventListener("click", () => this.tick((other) => other === run));
    const label = document.createElement("label");
    label.append(box, swatch(run.index), name, tag, value);
    item.append(label, only);
    this.light(item, run);
    row = { item, box, state: tag, value };
    this.rows.set(run.name, row);
    return row;
  }

  // light makes the run under the pointer or the focus stand out.
  light(item, run) {
    const set = (name) => () => {
      if (state.lit === name) return;
      state.lit = name;
      this.on.lit();
    };
    item.addEventListener("pointerenter", (e) => e.pointerType === "mouse" && set(run.name)());
    item.addEventListener("pointerleave", set(null));
    item.addEventListener("focusin", (e) => e.target.matches(":focus-visible") && set(run.name)());
    item.addEventListener("focusout", set(null));
  }

  // tickAll ticks, or clears, the runs that the filter lets through.
  tickAll(on) {
    this.tick((run) => (this.rows.get(run.name)?.item.hidden ? run.shown : on));
  }

  tick(wanted) {
    for (const run of state.runs.values()) run.shown = wanted(run);
    this.on.shown();
  }

  recolor() {
    for (const [name, row] of this.rows) row.item.querySelector("svg").replaceWith(swatch(state.runs.get(name).index));
  }
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
