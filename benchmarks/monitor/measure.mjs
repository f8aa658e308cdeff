// Measures the dashboard in headless Chromium:
//
//   node measure.mjs URL RUNS_FOLDER [SCREENSHOT_FOLDER]
//
// the server showing RUNS_FOLDER, to one run of which lines are appended. Needs
// puppeteer-core (npm install puppeteer-core) and /usr/bin/chromium, or $CHROMIUM.

import puppeteer from "puppeteer-core";
import { appendFileSync, readdirSync, mkdirSync, writeFileSync, renameSync, rmSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [url, folder, pictures] = process.argv.slice(2);
const errors = [];
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

async function open(width, height, scheme) {
  const page = await browser.newPage();
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  page.on("pageerror", (e) => errors.push(e.message));
  page.on("requestfailed", (r) => r.failure()?.errorText !== "net::ERR_ABORTED" && errors.push(r.url()));
  await page.setViewport({ width, height, isMobile: width < 600, hasTouch: width < 600 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.evaluateOnNewDocument(observe);
  return page;
}

// observe notes when the page has drawn all its runs, and tasks that block it.
function observe() {
  window.seen = { long: 0, longest: 0 };
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) {
      window.seen.long += e.duration;
      window.seen.longest = Math.max(window.seen.longest, e.duration);
    }
  }).observe({ entryTypes: ["longtask"] });
  const look = () => {
    const grid = document.getElementById("grid");
    const legend = document.getElementById("legend");
    if (grid?.getAttribute("aria-busy") === "false" && legend.children.length > 0) window.seen.drawn ??= performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function load(page) {
  await page.goto(url);
  await page.waitForFunction("window.seen.drawn", { timeout: 60000 });
  return page.evaluate(() => ({
    first: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
    interactive: window.seen.drawn, longest: window.seen.longest, runs: document.getElementById("legend").children.length,
  }));
}

// append writes a report with a loss that nothing else has, and waits until the
// legend shows it and until the y axis of the loss chart has changed.
async function append(page, name, step, loss) {
  await page.evaluate((name, shown) => {
    const item = [...document.querySelectorAll("#legend li")].find((li) => li.querySelector(".name").textContent === name);
    const canvas = document.querySelector('[data-metric="loss"] canvas');
    const pixels = () => canvas.getContext("2d").getImageData(0, 0, 60, canvas.height).data.join("");
    const before = pixels();
    window.update = {};
    const look = () => {
      if (item.querySelector(".value").textContent === shown) window.update.text ??= Date.now();
      if (window.update.text && pixels() !== before) window.update.pixels ??= Date.now();
      if (!window.update.pixels) requestAnimationFrame(look);
    };
    look();
  }, name, String(loss));
  const written = Date.now();
  appendFileSync(join(folder, name, "metrics.jsonl"),
    JSON.stringify({ step, loss, grad_norm: 1, learning_rate: 1e-4, tokens_per_second: 2500, trained_tokens: step * 1837, time: new Date().toISOString() }) + "\n");
  await page.waitForFunction("window.update.pixels", { timeout: 30000 });
  const update = await page.evaluate("window.update");
  return [update.text - written, update.pixels - written];
}

// appears makes a new run and waits for its place in the legend.
async function appears(page) {
  const dir = join(folder, "new-run");
  mkdirSync(dir);
  const written = Date.now();
  writeFileSync(join(dir, "metrics.jsonl"), '{"step":1,"loss":3}\n{"step":2,"loss":2.5}\n');
  await page.waitForFunction(() => [...document.querySelectorAll("#legend .name")].some((n) => n.textContent === "new-run"), { polling: "raf" });
  const took = Date.now() - written;
  rmSync(dir, { recursive: true });
  return took;
}

// resumes replaces a run's file by its first half, as a resume does, and waits
// for another loss in the table. (The step of a run that has ended is its status's.)
async function resumes(page, name) {
  const path = join(folder, name, "metrics.jsonl");
  const whole = readFileSync(path);
  const loss = () => page.evaluate(lossOf, name);
  const before = await loss();
  writeFileSync(path + ".tmp", whole.subarray(0, whole.lastIndexOf(10, whole.length / 2) + 1));
  const written = Date.now();
  renameSync(path + ".tmp", path);
  while (await loss() === before) {
    if (Date.now() - written > 30000) throw new Error(`the loss of ${name} stays ${before}`);
    await sleep(20);
  }
  const took = Date.now() - written;
  writeFileSync(path + ".tmp", whole);
  renameSync(path + ".tmp", path);
  return took;
}

function lossOf(name) {
  return [...document.querySelectorAll("#table tbody tr")].find((row) => row.cells[0].textContent === name).cells[3].textContent;
}

const summary = (all) => {
  all.sort((a, b) => a - b);
  return `median ${Math.round(all[all.length >> 1])} ms, most ${Math.round(all[all.length - 1])} ms, of ${all.length}`;
};

const page = await open(1280, 900, "light");
const loads = [];
for (let i = 0; i < 5; i++) loads.push(await load(page));
console.log(`${loads[0].runs} runs; first load: paint ${Math.round(loads[0].first)} ms, all lines drawn ${Math.round(loads[0].interactive)} ms, longest task ${Math.round(loads[0].longest)} ms`);
console.log("all lines drawn:", summary(loads.map((l) => l.interactive)));
console.log("longest task:", summary(loads.map((l) => l.longest)));

const name = readdirSync(folder).sort().at(-1);
const texts = [];
const pixels = [];
const restore = readFileSync(join(folder, name, "metrics.jsonl"));
for (let i = 0; i < 20; i++) {
  const [text, pixel] = await append(page, name, 100001 + i, 5.125 + i / 8);
  texts.push(text);
  pixels.push(pixel);
  await sleep(300);
}
writeFileSync(join(folder, name, "metrics.jsonl"), restore);
console.log("from append to the figure in the legend:", summary(texts));
console.log("from append to the pixels of the chart:", summary(pixels));
await sleep(3000); // for the restored file to be read
console.log("a new run shows after", await appears(page), "ms");
await sleep(1000);
console.log("a file replaced by a shorter one shows after", await resumes(page, name), "ms");

// picture shows the page in use: smoothed lines, and the pointer over one.
async function picture(file, width, height, scheme) {
  const shot = await open(width, height, scheme);
  await load(shot);
  await shot.$eval("#smooth", (slider) => {
    slider.value = 50;
    slider.dispatchEvent(new Event("input"));
  });
  await sleep(1000);
  const box = await (await shot.$('[data-metric="loss"] .plot')).boundingBox();
  await (width < 600 ? shot.touchscreen.tap(box.x + box.width * 0.3, box.y + 60) : shot.mouse.move(box.x + box.width * 0.3, box.y + 60));
  await sleep(300);
  await shot.screenshot({ path: join(pictures, `monitor-${file}.png`) });
  await shot.close();
}

if (pictures) {
  await picture("light", 1180, 800, "light");
  await picture("dark", 1180, 800, "dark");
  await picture("phone", 390, 780, "light");
}
console.log("console errors:", errors.length === 0 ? "none" : errors);
await browser.close();
