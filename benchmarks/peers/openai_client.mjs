// Asks a qlora serve for everything that the openai package can ask it for.
//
//   node openai_client.mjs http://127.0.0.1:8080/v1 BASE ADAPTER
import { createRequire } from "node:module";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";

// the package lies in the folder that the script is started from
const require = createRequire(path.join(process.cwd(), "x.js"));
const OpenAI = require("openai").default ?? require("openai");
const [url, base, adapter] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: "unused", maxRetries: 0 });
const messages = [{ role: "user", content: "What does strings.Cut do?" }];
const tools = [{ type: "function", function: { name: "weather", description: "tells the weather", parameters: {
  type: "object", required: ["city"], properties: { city: { enum: ["Bern", "Oslo"] } } } } }];
let done = 0;

function check(name, ok, got) {
  if (!ok) {
    console.error(name + ":", JSON.stringify(got));
    process.exit(1);
  }
  done++;
  console.log("ok", name);
}

const names = [];
for await (const m of client.models.list()) names.push(m.id);
check("models", names.length === 2 && names[0] === base && names[1] === adapter, names);

for (const model of [base, adapter]) {
  const a = await client.chat.completions.create({ model, messages, max_tokens: 16, temperature: 0 });
  check("chat of " + model, a.model === model && a.choices[0].message.content && a.usage.completion_tokens === 16, a);
}

let text = "", usage;
for await (const c of await client.chat.completions.create({
  model: base, messages, max_tokens: 16, temperature: 0, stream: true, stream_options: { include_usage: true } })) {
  text += c.choices[0]?.delta?.content ?? "";
  usage = c.usage ?? usage;
}
const whole = await client.chat.completions.create({ model: base, messages, max_tokens: 16, temperature: 0 });
check("stream", text === whole.choices[0].message.content && usage.total_tokens > 16, text);

const first = await client.chat.completions.create({ model: base, messages, max_tokens: 64, tools, tool_choice: "required" });
const call = first.choices[0].message.tool_calls[0];
check("tools", first.choices[0].finish_reason === "tool_calls" && JSON.parse(call.function.arguments).city, first);
const streamed = await client.chat.completions.stream({ model: base, messages, max_tokens: 64, tools, tool_choice: "required" }).finalChatCompletion();
check("tools in a stream", streamed.choices[0].message.tool_calls[0].function.name === "weather", streamed);
const back = await client.chat.completions.create({ model: base, max_tokens: 8, tools,
  messages: [...messages, first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "20 C" }] });
check("result of a tool", back.choices[0].message.role === "assistant", back);

const filled = await client.completions.create({ model: base, prompt: "func add(a, b int) int {\n\treturn ", suffix: "\n}\n", max_tokens: 12 });
check("suffix", filled.choices[0].text.length > 0, filled);

const controller = new AbortController();
const endless = await client.chat.completions.create({ model: base, messages, stream: true }, { signal: controller.signal });
for await (const _ of endless) {
  controller.abort();
  break;
}
check("abort", controller.signal.aborted);

for (const [name, status, ask] of [
  ["unknown model", 404, () => client.chat.completions.create({ model: "none", messages })],
  ["bad parameter", 400, () => client.chat.completions.create({ model: base, messages, temperature: 9 })],
  ["long prompt", 400, () => client.completions.create({ model: base, prompt: "word ".repeat(5000) })],
]) {
  let got;
  try {
    await ask();
  } catch (e) {
    got = e;
  }
  check(name, got instanceof OpenAI.APIError && got.status === status && got.error.message, got);
}
console.log(`${done} passed, 0 failed (openai ${JSON.parse(fs.readFileSync("node_modules/openai/package.json")).version}, node ${process.version})`);
