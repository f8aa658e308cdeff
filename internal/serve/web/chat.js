// The chat page: one conversation with each of two models, side by side.
"use strict";

const $ = (id) => document.getElementById(id);
const panes = [
  { side: "left", select: $("left"), history: [] },
  { side: "right", select: $("right"), history: [] },
];
let running = null; // AbortController of the answers under way
let context = 0; // tokens of a conversation, as the server says

function headers() {
  const h = { "Content-Type": "application/json" };
  if ($("key").value) h.Authorization = "Bearer " + $("key").value;
  return h;
}

function tell(text, bad) {
  $("state").textContent = text;
  $("state").classList.toggle("bad", Boolean(bad));
}

// errorOf reads the message of an answer that is not 200.
async function errorOf(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return "status " + response.status;
  }
}

async function loadModels() {
  try {
    const response = await fetch("/v1/models", { headers: headers() });
    if (response.status === 401) {
      tell("this server asks for an API key", true);
      $("settings").open = true;
      $("key").focus();
      return;
    }
    if (!response.ok) throw new Error(await errorOf(response));
    const models = (await response.json()).data;
    panes.forEach((pane, i) => {
      const kept = pane.select.value;
      pane.select.replaceChildren();
      if (i === 1) pane.select.add(new Option("nobody", ""));
      for (const m of models) pane.select.add(new Option(m.meta.base ? m.id + " (adapter)" : m.id, m.id));
      pane.select.value = kept || models[Math.min(i, models.length - 1)].id;
      if (i === 1 && models.length === 1) pane.select.value = "";
    });
    context = models[0].meta.n_ctx;
    $("temperature").placeholder = models[0].meta.temperature + ", the server's";
    tell(models.length + (models.length === 1 ? " model, " : " models, ") + context + " tokens of context");
  } catch (e) {
    tell("no connection: " + e.message, true);
  }
}

function element(tag, className, text) {
  const e = document.createElement(tag);
  e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// settings are the parameters of a request.
function settings() {
  const body = { stream: true, stream_options: { include_usage: true } };
  const number = (id, name) => {
    if ($(id).value !== "") body[name] = Number($(id).value);
  };
  number("temperature", "temperature");
  number("limit", "max_tokens");
  number("seed", "seed");
  return body;
}

// whyCut names which of the two limits ended an answer.
function whyCut(tokens, most) {
  if (most && tokens >= most) return "cut at the " + most + " tokens of the settings";
  return "cut: the context of " + context + " tokens is full";
}

// events yields the JSON of server-sent events as they come.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    let end;
    while ((end = held.indexOf("\n\n")) >= 0) {
      const line = held.slice(0, end);
      held = held.slice(end + 2);
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      yield JSON.parse(line.slice(6));
    }
  }
}

// following runs change, and keeps the end in sight for those who see it now.
function following(change) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  change();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// answer streams the reply of one pane's model into its card.
async function answer(pane, card, signal) {
  const text = card.querySelector(".text");
  const meta = card.querySelector(".meta");
  const history = pane.history; // another model begins another one
  const messages = history.slice();
  if ($("system").value) messages.unshift({ role: "system", content: $("system").value });
  const asked = { ...settings(), model: pane.select.value, messages };
  const began = performance.now();
  let first = 0, tokens = 0, reason = "", said = "";
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST", headers: headers(), signal,
      body: JSON.stringify(asked),
    });
    if (!response.ok) throw new Error(await errorOf(response));
    for await (const event of events(response.body)) {
      if (event.error) throw new Error(event.error.message);
      if (event.usage) tokens = event.usage.completion_tokens;
      const choice = event.choices[0];
      if (!choice) continue;
      if (choice.delta.content) {
        first = first || performance.now();
        said += choice.delta.content;
        following(() => { showText(text, said); });
      }
      reason = choice.finish_reason || reason;
    }
    const parts = [tokens + " tokens in " + ((performance.now() - began) / 1000).toFixed(2) + " s"];
    if (first) parts.push("first after " + (first - began).toFixed(0) + " ms");
    if (reason === "length") parts.push(whyCut(tokens, asked.max_tokens));
    following(() => { meta.textContent = parts.join(", "); });
  } catch (e) {
    meta.textContent = e.name === "AbortError" ? "stopped" : e.message;
    meta.classList.toggle("error", e.name !== "AbortError");
  }
  text.classList.remove("busy");
  if (said) history.push({ role: "assistant", content: said });
  else history.pop(); // a question without an answer would stay in the way
}

async function send() {
  const asked = $("prompt").value.trim();
  if (!asked || running) return;
  $("hint").hidden = true;
  const turn = element("section", "turn");
  turn.append(element("p", "ask", asked));
  const answers = element("div", "answers");
  turn.append(answers);
  $("log").append(turn);
  running = new AbortController();
  working(true);
  $("prompt").value = "";
  const all = [];
  for (const pane of panes) {
    if (!pane.select.value) continue;
    const card = element("article", "answer " + pane.side);
    card.append(element("h2", "", pane.select.value), element("div", "text busy", ""), element("p", "meta", ""));
    answers.append(card);
    pane.history.push({ role: "user", content: asked });
    all.push(answer(pane, card, running.signal));
  }
  $("log").scrollTop = $("log").scrollHeight;
  await Promise.all(all);
  running = null;
  working(false);
}

function working(on) {
  $("send").hidden = on;
  $("stop").hidden = !on;
  $("clear").disabled = on;
  $("log").setAttribute("aria-busy", String(on));
  if (!on) $("prompt").focus();
}

$("form").addEventListener("submit", (e) => { e.preventDefault(); send(); });
$("stop").addEventListener("click", () => running && running.abort());
$("clear").addEventListener("click", () => {
  document.querySelectorAll(".turn").forEach((t) => t.remove());
  panes.forEach((p) => { p.history = []; });
  $("hint").hidden = false;
  $("prompt").focus();
});
$("prompt").addEventListener("keydown", (e) => {
  if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); send(); }
});
document.addEventListener("keydown", (e) => { if (e.key === "Escape" && running) running.abort(); });
$("key").addEventListener("change", loadModels);
panes.forEach((p) => p.select.addEventListener("change", () => { p.history = []; }));
loadModels();
$("prompt").focus();
