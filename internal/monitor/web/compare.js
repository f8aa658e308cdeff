// The settings of a run, alone or beside those of another.

import { newestFirst, state } from "./store.js";

const $ = (id) => document.getElementById(id);
const NONE = "";

export class Settings {
  constructor() {
    this.table = $("config");
    this.note = $("settings-note");
    this.names = "";
    this.shown = ""; // what is on the page, or on its way there
    for (const id of ["run-a", "run-b"]) $(id).addEventListener("change", () => this.show());
    $("differing").addEventListener("change", () => this.show());
  }

  // update follows the list of runs.
  update() {
    const names = newestFirst().map((run) => run.name);
    if (names.join("\n") !== this.names) {
      this.names = names.join("\n");
      const [a, b] = [$("run-a").value, $("run-b").value];
      fill($("run-a"), names, names.includes(a) ? a : names[0]);
      fill($("run-b"), ["", ...names], names.includes(b) ? b : names[1] ?? NONE);
    }
    if (this.versions() !== this.shown) this.show();
  }

  // versions tells what is chosen, and which settings of it.
  versions() {
    return ["run-a", "run-b"].map((id) => $(id).value + " " + state.runs.get($(id).value)?.summary.config).join("\n");
  }

  // choose shows the settings of one run.
  choose(name) {
    $("run-a").value = name;
    $("run-b").value = NONE;
    this.show();
  }

  async show() {
    const names = [$("run-a").value, $("run-b").value].filter((name) => name !== NONE);
    const shown = (this.shown = this.versions());
    const columns = await Promise.all(names.map((name) => this.fetch(name)));
    if (this.shown !== shown) return; // chosen anew, or written anew, meanwhile
    $("differing").disabled = names.length < 2;
    const failed = columns.map((c, i) => c.error && `${names[i]}: ${c.error}`).filter(Boolean);
    this.note.textContent = failed.join("\n");
    this.draw(names, columns);
  }

  async fetch(name) {
    if (!state.runs.get(name)?.summary.config) return { error: "this run has stored no settings", values: new Map() };
    try {
      const response = await fetch("api/config?" + new URLSearchParams({ run: name }));
      const answer = await response.json();
      return response.ok ? { values: new Map(answer.settings.map((s) => [s.name, s.value])) } : { error: answer.error, values: new Map() };
    } catch {
      return { error: "the server does not answer", values: new Map() };
    }
  }

  draw(names, columns) {
    const keys = [...new Set(columns.flatMap((c) => [...c.values.keys()]))];
    const two = names.length === 2;
    const differ = (key) => two && columns[0].values.get(key) !== columns[1].values.get(key);
    const rows = keys.filter((key) => !two || !$("differing").checked || differ(key));
    if (two && rows.length === 0 && keys.length > 0) this.note.textContent = "The settings are the same.";
    this.table.tHead.replaceChildren(rows.length > 0 ? line("th", ["setting", ...names]) : "");
    this.table.tBodies[0].replaceChildren(...rows.map((key) => {
      const row = line("td", [key, ...columns.map((c) => c.values.get(key) ?? "-")]);
      row.classList.toggle("differs", differ(key));
      if (differ(key)) row.cells[0].append(mark());
      return row;
    }));
  }
}

// fill offers names in a list, one of them chosen.
export function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name) => new Option(name === NONE ? "no other" : name, name)));
  select.value = chosen ?? NONE;
}

function line(tag, texts) {
  const row = document.createElement("tr");
  texts.forEach((text, i) => {
    const cell = document.createElement(i === 0 ? "th" : tag);
    if (tag === "th") cell.scope = "col";
    else if (i === 0) cell.scope = "row";
    cell.textContent = text;
    row.append(cell);
  });
  return row;
}

// mark says that a setting differs to those who do not see the colour.
function mark() {
  const sign = document.createElement("span");
  sign.className = "mark";
  sign.textContent = " \u2260";
  sign.setAttribute("aria-label", "differs");
  sign.setAttribute("role", "img");
  return sign;
}
