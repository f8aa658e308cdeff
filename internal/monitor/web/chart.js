// One chart: a canvas with the lines of all shown runs, and above it another
// with what follows the pointer.

import { state, shownRuns } from "./store.js";
import { axes, ticks, logTicks, number, short, gib } from "./axis.js";
import { color, dash } from "./color.js";

const BOTTOM = 26;
const TOP = 8;
const RIGHT = 10;
const DOTTED = 10; // with more runs than these, dots hide the lines

export class Chart {
  constructor(metric) {
    this.metric = metric;
    this.element = document.createElement("figure");
    this.element.className = "chart";
    this.element.dataset.metric = metric.name;
    const caption = document.createElement("figcaption");
    const title = document.createElement("h3");
    title.textContent = metric.title;
    const unit = document.createElement("span");
    unit.className = "unit";
    unit.textContent = metric.unit;
    this.wide = document.createElement("button");
    this.wide.type = "button";
    this.wide.textContent = "wide";
    this.wide.setAttribute("aria-pressed", "false");
    this.wide.setAttribute("aria-label", "wide: " + metric.title);
    this.wide.addEventListener("click", () => this.widen());
    caption.append(title, unit, this.wide);
    this.plot = document.createElement("div");
    this.plot.className = "plot";
    this.lines = document.createElement("canvas");
    this.overlay = document.createElement("canvas");
    this.tip = document.createElement("div");
    this.tip.className = "tip";
    this.tip.hidden = true;
    this.plot.append(this.lines, this.overlay, this.tip);
    this.element.append(caption, this.plot);
  }

  widen() {
    const on = this.element.classList.toggle("wide");
    this.wide.setAttribute("aria-pressed", String(on));
  }

  // format writes a figure of this chart.
  format(v, digits) {
    if (this.metric.bytes) return gib(v, digits);
    return this.metric.short ? short(v, digits) : number(v, digits);
  }

  // draw shows the part of x from low to high.
  draw(low, high, style) {
    const box = this.plot.getBoundingClientRect();
    if (box.width < 40) return;
    this.stale = false;
    this.style = style;
    this.low = low;
    this.high = high > low ? high : low + 1;
    this.size(box.width, box.height);
    this.runs = shownRuns().filter((run) => run.series[this.metric.name]);
    this.fitY();
    const ctx = this.lines.getContext("2d");
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    ctx.font = style.font;
    this.drawAxes(ctx);
    ctx.save();
    ctx.beginPath();
    ctx.rect(this.left, TOP - 3, this.width - this.left - RIGHT + 3, this.height - TOP - BOTTOM + 6);
    ctx.clip();
    for (const run of this.runs) if (run.name !== state.lit) this.drawRun(ctx, run);
    for (const run of this.runs) if (run.name === state.lit) this.drawRun(ctx, run);
    ctx.restore();
    this.drawCursor();
  }

  size(width, height) {
    this.ratio = window.devicePixelRatio || 1;
    if (this.width === width && this.height === height && this.lines.width === Math.round(width * this.ratio)) return;
    this.width = width;
    this.height = height;
    for (const canvas of [this.lines, this.overlay]) {
      canvas.width = Math.round(width * this.ratio);
      canvas.height = Math.round(height * this.ratio);
    }
  }

  // fitY spans y over what is in view.
  fitY() {
    let low = Infinity;
    let high = -Infinity;
    for (const run of this.runs) {
      const { x, y, s } = run.series[this.metric.name];
      for (let i = 0; i < x.length; i++) {
        if (x[i] < this.low || x[i] > this.high) continue;
        for (const v of s ? [y[i], s[i]] : [y[i]]) {
          if (state.log && !(v > 0)) continue;
          if (v < low) low = v;
          if (v > high) high = v;
        }
      }
    }
    this.some = low <= high;
    if (!this.some) [low, high] = state.log ? [1, 10] : [0, 1];
    const scale = this.metric.bytes ? 2 ** 30 : 1;
    if (state.log) {
      const pad = low === high ? 2 : (high / low) ** 0.04;
      [this.bottom, this.top] = [low / pad, high * pad];
      this.yTicks = logTicks(this.bottom / scale, this.top / scale, 6).map((v) => v * scale);
      return;
    }
    const pad = low === high ? Math.abs(low) * 0.1 || 1 : (high - low) * 0.05;
    [this.bottom, this.top] = [low >= 0 ? Math.max(0, low - pad) : low - pad, high + pad];
    this.yTicks = ticks(this.bottom / scale, this.top / scale, 5).map((v) => v * scale);
  }

  px(x) {
    return this.left + ((x - this.low) / (this.high - this.low)) * (this.width - this.left - RIGHT);
  }

  py(y) {
    const part = state.log
      ? Math.log(y / this.bottom) / Math.log(this.top / this.bottom)
      : (y - this.bottom) / (this.top - this.bottom);
    return this.height - BOTTOM - part * (this.height - TOP - BOTTOM);
  }

  // unpx is the x at a horizontal position.
  unpx(px) {
    return this.low + ((px - this.left) / (this.width - this.left - RIGHT)) * (this.high - this.low);
  }

  drawAxes(ctx) {
    const axis = axes[state.x];
    const labels = this.yTicks.map((v) => this.format(v));
    this.left = Math.max(34, ...labels.map((l) => ctx.measureText(l).width + 12));
    ctx.strokeStyle = this.style.grid;
    ctx.fillStyle = this.style.muted;
    ctx.lineWidth = 1;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    ctx.beginPath();
    this.yTicks.forEach((v, i) => {
      const y = Math.round(this.py(v)) + 0.5;
      ctx.moveTo(this.left, y);
      ctx.lineTo(this.width - RIGHT, y);
      ctx.fillText(labels[i], this.left - 6, y);
    });
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    const y = this.height - BOTTOM;
    let free = this.left - 10; // labels end here so far
    for (const v of axis.ticks(this.low, this.high, (this.width - this.left) / 75)) {
      const x = Math.round(this.px(v)) + 0.5;
      const text = axis.tick(v);
      const half = ctx.measureText(text).width / 2;
      ctx.moveTo(x, y);
      ctx.lineTo(x, y + 4);
      const at = Math.min(x, this.width - half - 1);
      if (at - half < free) continue;
      ctx.fillText(text, at, y + 8);
      free = at + half + 8;
    }
    ctx.moveTo(this.left, y + 0.5);
    ctx.lineTo(this.width - RIGHT, y + 0.5);
    ctx.stroke();
  }

  drawRun(ctx, run) {
    const { x, y, s } = run.series[this.metric.name];
    const dense = x.length * 4 >= this.width;
    const dim = state.lit && state.lit !== run.name ? 0.2 : 1;
    const wide = run.name === state.lit ? 2.5 : 1.5;
    const hair = 1 / this.ratio; // what is drawn a dozen times faster than wider lines
    ctx.strokeStyle = ctx.fillStyle = color(run.index);
    if (s) {
      ctx.globalAlpha = 0.22 * dim;
      ctx.lineWidth = hair;
      this.trace(ctx, x, y);
    }
    // A dense line goes up and down at every pixel: it needs no width, and
    // dashes do not show in it.
    ctx.globalAlpha = dim;
    ctx.lineWidth = dense && !s ? hair : wide;
    ctx.setLineDash(dense && !s ? [] : dash(run.index));
    this.trace(ctx, x, s ?? y);
    ctx.setLineDash([]);
    if (x.length === 1 || (x.length * 8 < this.width && this.runs.length <= DOTTED)) this.dots(ctx, x, s ?? y);
    ctx.globalAlpha = 1;
  }

  trace(ctx, x, y) {
    ctx.beginPath();
    let pen = false;
    for (let i = 0; i < x.length; i++) {
      if (state.log && !(y[i] > 0)) {
        pen = false;
        continue;
      }
      if (pen) ctx.lineTo(this.px(x[i]), this.py(y[i]));
      else ctx.moveTo(this.px(x[i]), this.py(y[i]));
      pen = true;
    }
    ctx.stroke();
  }

  dots(ctx, x, y) {
    for (let i = 0; i < x.length; i++) {
      if (state.log && !(y[i] > 0)) continue;
      ctx.beginPath();
      ctx.arc(this.px(x[i]), this.py(y[i]), 2.5, 0, 7);
      ctx.fill();
    }
  }

  // nearest lists, for each run, its point next to x; runs that do not reach
  // there are left out.
  nearest(x) {
    const reach = (this.high - this.low) * 0.02;
    const all = [];
    for (const run of this.runs ?? []) {
      const line = run.series[this.metric.name];
      const i = closest(line.x, x);
      if (line.x[i] < x - reach && i === line.x.length - 1) continue;
      if (line.x[i] > x + reach && i === 0) continue;
      all.push({ run, x: line.x[i], y: line.y[i], s: line.s?.[i] });
    }
    return all.sort((a, b) => (b.s ?? b.y) - (a.s ?? a.y));
  }

  // drawCursor marks the x under the pointer, and the part that is dragged over.
  drawCursor() {
    const ctx = this.overlay.getContext("2d");
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    ctx.clearRect(0, 0, this.width, this.height);
    if (this.drag) {
      ctx.fillStyle = this.style.select;
      const [a, b] = this.drag;
      ctx.fillRect(Math.min(a, b), TOP, Math.abs(b - a), this.height - TOP - BOTTOM);
    }
    if (state.cursor === null || !this.some) return;
    const x = this.px(state.cursor);
    if (x < this.left || x > this.width) return;
    ctx.strokeStyle = this.style.muted;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(Math.round(x) + 0.5, TOP);
    ctx.lineTo(Math.round(x) + 0.5, this.height - BOTTOM);
    ctx.stroke();
    for (const point of this.nearest(state.cursor)) {
      const y = point.s ?? point.y;
      if (state.log && !(y > 0)) continue;
      ctx.fillStyle = color(point.run.index);
      ctx.beginPath();
      ctx.arc(this.px(point.x), this.py(y), 3, 0, 7);
      ctx.fill();
    }
  }
}

// closest is the index of the number in xs, which ascend, next to x.
export function closest(xs, x) {
  let low = 0;
  let high = xs.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - xs[low - 1] < xs[low] - x ? low - 1 : low;
}
