// Chats on the page of a qlora serve in headless Chromium and takes pictures:
// light, dark and on a phone. Fails on any message in the console, on anything
// loaded from elsewhere, and when the keyboard alone does not get an answer.
//
//   npm install puppeteer-core && node serve_page.mjs http://127.0.0.1:8080 docs/images
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const require = createRequire(path.join(process.cwd(), "x.js"));
const puppeteer = require("puppeteer-core");
const [url, folder] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const faults = [];

async function picture(name, scheme, viewport) {
  const page = await browser.newPage();
  page.on("console", (m) => faults.push(name + " console: " + m.text()));
  page.on("pageerror", (e) => faults.push(name + " error: " + e.message));
  page.on("request", (r) => {
    if (!r.url().startsWith(url) && !r.url().startsWith("data:")) faults.push(name + " loads " + r.url());
  });
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(url, { waitUntil: "networkidle0" });
  await page.evaluate(() => { document.getElementById("seed").value = "4"; document.getElementById("limit").value = "60"; });
  for (const text of ["What does strings.Cut do?", "What is an http.Handler?"]) {
    await page.keyboard.type(text); // the prompt has the focus from the start
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("stop").hidden && !document.querySelector(".busy"), { timeout: 60000 });
  }
  await page.evaluate(() => document.activeElement.blur()); // no caret that blinks
  const answers = await page.$$eval(".answer .text", (all) => all.map((e) => e.textContent.length));
  if (answers.length < 2 || answers.some((n) => n === 0)) faults.push(name + " answers: " + answers);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  if (wide) faults.push(name + " is wider than the window");
  const [error, bad] = await page.evaluate(() => {
    const [meta, state] = [document.querySelector(".meta"), document.getElementById("state")];
    meta.classList.add("error");
    state.classList.add("bad");
    const colors = [meta, state].map((e) => getComputedStyle(e).color);
    meta.classList.remove("error");
    state.classList.remove("bad");
    return colors;
  });
  if (error !== bad) faults.push(name + " shows errors in " + error);
  await page.screenshot({ path: path.join(folder, name + ".png") });
  // code as it would come, letter by letter; what looks like HTML stays text
  const code = await page.evaluate(() => {
    const box = document.querySelector(".answer .text");
    const said = "Call `f(<b>)`:\n\n```go\nfunc f() {\n\n}\n```\nSee ```this``` too.";
    for (let n = 0; n <= said.length; n++) showText(box, said.slice(0, n));
    const parts = [...box.children].map((e) => e.className + ":" + (e.querySelector("pre") ?? e).textContent);
    return JSON.stringify([parts, box.querySelectorAll("b").length, getComputedStyle(box.querySelector("pre code")).fontFamily.includes("mono")]);
  });
  const want = JSON.stringify([["prose:Call f(<b>):", "code:func f() {\n\n}", "prose:See ```this``` too."], 0, true]);
  if (code !== want) faults.push(name + " shows code as " + code);
  if (process.env.CODE) await page.screenshot({ path: path.join(folder, name + "-code.png") });
  // Escape stops an answer
  await page.evaluate(() => { document.getElementById("limit").value = "400"; document.getElementById("prompt").focus(); });
  await page.keyboard.type("func main() {");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.getElementById("stop").hidden, { timeout: 60000 });
  await page.close();
}

await picture("serve-light", "light", { width: 1000, height: 640 });
await picture("serve-dark", "dark", { width: 1000, height: 640 });
await picture("serve-phone", "light", { width: 390, height: 780, isMobile: true, hasTouch: true });
await browser.close();
for (const f of faults) console.error(f);
console.log(faults.length === 0 ? "3 passed, 0 failed" : faults.length + " faults");
process.exit(faults.length === 0 ? 0 : 1);
