// Ticks of axes and how numbers are written.

const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

// ticks are round numbers from low to high, about count of them.
export function ticks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => s >= rough * 0.999);
  return multiples(low, high, step);
}

// timeTicks are round numbers of seconds, minutes, hours or days.
export function timeTicks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const step = rough < 1 ? 0 : TIME_STEPS.find((s) => s >= rough);
  return step ? multiples(low, high, step) : ticks(low, high, count);
}

function multiples(low, high, step) {
  const all = [];
  const first = Math.ceil(low / step - 1e-9);
  for (let i = first; i * step <= high + step * 1e-9 && all.length < 100; i++) all.push(i * step);
  return all;
}

// logTicks are powers of ten, with 2 and 5 between where there is room; within
// less than a decade they are those of a linear axis.
export function logTicks(low, high, count) {
  const from = Math.floor(Math.log10(low));
  const to = Math.ceil(Math.log10(high));
  if (high / low < 8) return ticks(low, high, count).filter((v) => v > 0);
  const parts = to - from <= count / 2 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((to - from) / count));
  const all = [];
  for (let e = from; e <= to; e += every) for (const m of parts) all.push(m * 10 ** e);
  return all.filter((v) => v >= low * 0.999 && v <= high * 1.001);
}

// number writes v with digits that matter.
export function number(v, digits = 4) {
  if (v == null || !isFinite(v)) return "-";
  const size = Math.abs(v);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return v.toExponential(Math.max(0, digits - 2)).replace(/\.?0+e/, "e").replace("e+", "e");
  if (Number.isInteger(v)) return String(v);
  return String(Number(v.toPrecision(digits)));
}

// short writes v with a suffix for thousands.
export function short(v, digits = 4) {
  const units = ["", "k", "M", "G", "T"];
  let i = 0;
  let rest = Math.abs(v);
  while (rest >= 1000 && i < units.length - 1) {
    rest /= 1000;
    i++;
  }
  return i === 0 ? number(v, digits) : Number((v / 1000 ** i).toPrecision(digits)) + units[i];
}

export function gib(v, digits = 4) {
  return number(v / 2 ** 30, digits);
}

// duration writes seconds as a person would.
export function duration(s) {
  if (s == null || !isFinite(s)) return "-";
  const sign = s < 0 ? "-" : "";
  s = Math.abs(s);
  if (s < 60) return sign + Number(s.toPrecision(3)) + " s";
  const minutes = Math.floor(s / 60);
  const seconds = Math.round(s % 60);
  if (minutes < 60) return sign + minutes + " min" + (seconds ? " " + seconds + " s" : "");
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return sign + hours + " h" + (minutes % 60 ? " " + (minutes % 60) + " min" : "");
  return sign + Math.floor(hours / 24) + " d" + (hours % 24 ? " " + (hours % 24) + " h" : "");
}

// rounded is for the bounds of what is in view.
const rounded = (v) => (Math.abs(v) >= 100 ? Math.round(v) : Number(v.toPrecision(3)));

export const axes = {
  step: { title: "step", ticks, tick: (v) => short(v), value: (v) => "step " + v, span: (v) => String(rounded(v)) },
  time: { title: "time", ticks: timeTicks, tick: duration, value: duration, span: (v) => duration(rounded(v)) },
  tokens: { title: "trained tokens", ticks, tick: (v) => short(v), value: (v) => short(v, 6) + " tokens", span: (v) => short(v, 4) },
};
