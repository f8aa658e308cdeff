// Colours and dashes of runs: the first eight differ most, later ones repeat
// the hues with another dash, so that colour is not all that tells them apart.

const HUES = [255, 45, 150, 340, 95, 205, 20, 300];
const DASHES = [[], [7, 3], [2, 2], [9, 3, 2, 3], [4, 6]];

export function isDark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

// color is that of run number i in the theme of the page.
export function color(i) {
  const hue = (HUES[i % HUES.length] + Math.floor(i / HUES.length) * 17) % 360;
  return isDark() ? `oklch(0.77 0.13 ${hue})` : `oklch(0.55 0.15 ${hue})`;
}

export function dash(i) {
  return DASHES[Math.floor(i / HUES.length) % DASHES.length];
}

// swatch is a piece of the line of run number i, as an SVG element.
export function swatch(i) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("class", "swatch");
  svg.setAttribute("viewBox", "0 0 24 8");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(ns, "path");
  line.setAttribute("d", "M1 4h22");
  line.setAttribute("stroke-width", "3");
  line.setAttribute("stroke", color(i));
  line.setAttribute("stroke-dasharray", dash(i).join(" "));
  svg.append(line);
  return svg;
}
