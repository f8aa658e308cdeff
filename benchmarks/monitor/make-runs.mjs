// Writes runs for the dashboard: node make-runs.mjs FOLDER RUNS LINES
// Lines have the fields that train writes; figures come from a fixed seed.

import { mkdirSync, openSync, writeSync, closeSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hostname } from "node:os";

const [folder, runs, lines] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

// random is mulberry32: the same numbers every time.
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function line(run, step, rnd, start) {
  const progress = step / lines;
  const noise = rnd() + rnd() + rnd() - 1.5;
  const loss = 1.2 + 0.02 * run + 2.2 * Math.exp(-progress * (4 + run / 10)) + 0.12 * noise;
  const m = {
    step, total_steps: lines, epoch: 3 * progress, trained_tokens: step * 1837 + Math.floor(rnd() * 100),
    rss_bytes: 2_100_000_000 + run * 40_000_000 + Math.floor(rnd() * 1e6), vram_bytes: 9_200_000_000 + run * 100_000_000,
    gpus: [{ index: 0, uuid: "GPU-0", gpu_mem_bytes: 10_500_000_000, gpu_mem_process_bytes: 9_200_000_000,
      gpu_util_percent: Math.round(90 + 9 * rnd()), gpu_mem_util_percent: 55, gpu_power_watts: 230 + 20 * rnd(), gpu_temp_celsius: 71 }],
    time: new Date(start + step * 700).toISOString(),
    loss, grad_norm: 0.4 + 0.3 * Math.abs(noise) + Math.exp(-progress * 30) * 3,
    learning_rate: 2e-4 * 0.5 * (1 + Math.cos(Math.PI * progress)), tokens_per_second: 2600 + 100 * noise, eta_seconds: (lines - step) * 0.7,
  };
  if (step % Math.max(1, Math.floor(lines / 50)) === 0) m.eval_loss = loss + 0.08;
  return JSON.stringify(m) + "\n";
}

function write(run) {
  const name = "sweep-" + String(run).padStart(2, "0") + "-lr" + (1 + (run % 5)) + "e-4-r" + 8 * (1 + (run % 4));
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  const start = Date.UTC(2026, 5, 1) + run * 3_600_000;
  const rnd = random(run + 1);
  const file = openSync(join(dir, "metrics.jsonl"), "w");
  let text = "";
  for (let step = 1; step <= lines; step++) {
    text += line(run, step, rnd, start);
    if (text.length > 1 << 20) {
      writeSync(file, text);
      text = "";
    }
  }
  writeSync(file, text);
  closeSync(file);
  const state = ["finished", "finished", "interrupted", "diverged"][run % 4];
  writeFileSync(join(dir, "status.json"), JSON.stringify({ state, step: lines, pid: 1, host: hostname() + "-other",
    started: new Date(start).toISOString(), updated: new Date(start + lines * 700).toISOString() }));
  writeFileSync(join(dir, "config.yaml"), `name: ${name}\nmodel: base.gguf\nlearning-rate: ${(1 + (run % 5)) / 1e4}\nrank: ${8 * (1 + (run % 4))}\ndata:\n  - train.jsonl\n`);
  writeFileSync(join(dir, "summary.json"), JSON.stringify({ adapter: `outputs/${name}/adapter.gguf`, best_adapter: `outputs/${name}/adapter-best.gguf` }));
}

for (let run = 0; run < runs; run++) write(run);
