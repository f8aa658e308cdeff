// The table of runs: one row each, sorted by any column.

import { newestFirst } from "./store.js";
import { number, short, duration } from "./axis.js";
import { swatch } from "./color.js";

const COLUMNS = [
  { title: "run", value: (s) => s.run, cell: nameCell },
  { title: "state", long: true, value: (s) => s.state, cell: stateCell },
  { title: "step", value: (s) => s.step, text: (s) => (s.step === null ? "-" : s.step + (s.total_steps ? "/" + s.total_steps : "")) },
  { title: "loss", value: (s) => s.loss, text: (s) => number(s.loss) },
  { title: "best eval", value: (s) => s.best_eval_loss, text: (s) => (s.best_eval_loss === null ? "-" : number(s.best_eval_loss) + " at " + s.best_step) },
  { title: "tokens/s", value: (s) => s.tokens_per_second, text: (s) => (s.tokens_per_second === null ? "-" : short(s.tokens_per_second)) },
  { title: "adapter", long: true, value: (s) => s.adapter, cell: pathCell },
  { title: "time left", value: (s) => left(s), text: (s) => duration(left(s)) },
  { title: "started", value: (s) => s.started, text: (s) => day(s.started) },
];

function left(s) {
  return s.state === "running" && s.eta_seconds !== null ? Math.round(s.eta_seconds) : null;
}

function day(text) {
  const t = new Date(text);
  if (!(t.getFullYear() > 1)) return "-";
  const two = (n) => String(n).padStart(2, "0");
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${two(t.getHours())}:${two(t.getMinutes())}`;
}

export class RunTable {
  // choose(name) is called to show the settings of a run.
  constructor(table, choose) {
    this.body = table.tBodies[0];
    this.choose = choose;
    this.sorted = null; // {column, down}
    this.rows = new Map();
    const row = table.tHead.insertRow();
    this.heads = COLUMNS.map((column) => this.head(row, column));
  }

  head(row, column) {
    const cell = document.createElement("th");
    cell.scope = "col";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    button.addEventListener("click", () => {
      this.sorted = { column, down: this.sorted?.column === column && !this.sorted.down };
      this.update();
    });
    cell.append(button);
    row.append(cell);
    return cell;
  }

  update() {
    const runs = this.order(newestFirst());
    this.heads.forEach((cell, i) => {
      const sorted = this.sorted?.column === COLUMNS[i];
      if (sorted) cell.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    const there = new Set(runs.map((run) => run.name));
    for (const [name, row] of this.rows) {
      if (there.has(name)) continue;
      row.remove();
      this.rows.delete(name);
    }
    runs.forEach((run, i) => {
      const row = this.row(run);
      if (this.body.rows[i] !== row) this.body.insertBefore(row, this.body.rows[i] ?? null);
      COLUMNS.forEach((column, c) => this.fill(row.cells[c], column, run));
    });
  }

  order(runs) {
    if (!this.sorted) return runs;
    const { column, down } = this.sorted;
    const missing = (v) => v === null || v === "";
    return runs.sort((a, b) => {
      const [x, y] = [column.value(a.summary), column.value(b.summary)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      const order = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
      return down ? -order : order;
    });
  }

  row(run) {
    let row = this.rows.get(run.name);
    if (row) return row;
    row = document.createElement("tr");
    for (const column of COLUMNS) {
      const cell = document.createElement(column.title === "run" ? "th" : "td");
      if (column.title === "run") cell.scope = "row";
      else if (["step", "loss", "best eval", "tokens/s"].includes(column.title)) cell.className = "figure";
      if (column.long) cell.className = "long";
      row.append(cell);
    }
    this.rows.set(run.name, row);
    return row;
  }

  fill(cell, column, run) {
    if (column.cell) {
      column.cell(cell, run, this);
      return;
    }
    const text = column.text(run.summary);
    if (cell.textContent !== text) cell.textContent = text;
  }
}

function nameCell(cell, run, table) {
  let link = cell.querySelector("a");
  if (!link) {
    link = document.createElement("a");
    link.href = "#settings";
    link.textContent = run.name;
    link.title = "settings of " + run.name;
    link.addEventListener("click", () => table.choose(run.name));
    cell.append(link);
  }
  cell.querySelector("svg")?.remove();
  cell.prepend(swatch(run.index));
}

// pathCell lets a path break after its slashes.
function pathCell(cell, run) {
  const text = run.summary.adapter || "-";
  if (cell.textContent === text) return;
  const parts = text.split(/(?<=\/)/).flatMap((part) => [document.createElement("wbr"), part]);
  cell.replaceChildren(...parts);
}

function stateCell(cell, run) {
  const { state, error } = run.summary;
  const text = error ? `${state}: ${error}` : state;
  if (cell.textContent === text) return;
  cell.textContent = "";
  const tag = document.createElement("span");
  tag.className = "state";
  tag.dataset.state = state;
  tag.textContent = state;
  cell.append(tag);
  if (error) cell.append(": " + error);
}
