// What the checkpoints of a run answered to its prompts, the newest first.

import { newestFirst, state } from "./store.js";
import { fill } from "./compare.js";

const $ = (id) => document.getElementById(id);

export class Samples {
  constructor() {
    this.shown = ""; // run and version that are on the page
    $("samples-run").addEventListener("change", () => this.update());
  }

  // update follows the list of runs, and fetches when there is something new.
  update() {
    const names = newestFirst().filter((run) => run.summary.samples > 0).map((run) => run.name);
    $("samples").hidden = $("samples-link").hidden = names.length === 0;
    if (names.length === 0) return;
    const chosen = names.includes($("samples-run").value) ? $("samples-run").value : names[0];
    if (names.join("\n") !== this.names) fill($("samples-run"), names, chosen);
    this.names = names.join("\n");
    const wanted = chosen + "\n" + state.runs.get(chosen).summary.samples;
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.show(chosen, wanted);
  }

  async show(name, wanted) {
    let list = { samples: [], total: 0 };
    try {
      const response = await fetch("api/samples?" + new URLSearchParams({ run: name }));
      list = await response.json();
      if (!response.ok) throw new Error(list.error);
    } catch (error) {
      list = { samples: [], total: 0, error: error.message };
    }
    if (this.shown !== wanted) return; // newer ones are on their way
    const { samples, total, error } = list;
    $("samples-note").textContent = error ?? (samples.length < total ? `the newest ${samples.length} of ${total}` : "");
    $("samples-list").replaceChildren(...samples.map(card));
  }
}

function card(sample) {
  const article = document.createElement("article");
  article.className = "sample";
  const title = document.createElement("h3");
  title.textContent = "step " + sample.step;
  const prompt = document.createElement("pre");
  prompt.className = "prompt";
  prompt.textContent = sample.prompt;
  const text = document.createElement("pre");
  text.textContent = sample.text || "(nothing)";
  article.append(title, prompt, text);
  return article;
}
