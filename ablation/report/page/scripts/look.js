// Colours, lines, numbers, and elements whose text is text whatever it holds.

const SVG = "http://www.w3.org/2000/svg";
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]];
const SHADES = 8;
const FONT = "12px system-ui, sans-serif";
// Corners of marks within a circle of radius 1; the first is that circle. One fewer than would
// repeat with the colours.
const MARKS = [
  [],
  [[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]],
  [[0, -1.1], [1.05, 0.8], [-1.05, 0.8]],
  [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]],
  [[0, 1.1], [1.05, -0.8], [-1.05, -0.8]],
];

function style(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function dark() {
  return matchMedia("(prefers-color-scheme: dark)").matches && !document.documentElement.classList.contains("print");
}

function color(place) {
  return style(`--c${place % SHADES}`);
}

function faded(hex, alpha) {
  return hex + Math.round(alpha * 255).toString(16).padStart(2, "0");
}

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function exact(value) {
  if (value === null || value === undefined) return "–";
  return Number.isInteger(value) ? value.toLocaleString("en") : String(+value.toPrecision(6));
}

function short(value) {
  if (value === null) return "";
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(4)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)}k`;
  if (size > 0 && size < 1e-3) return (+value.toPrecision(3)).toExponential();
  return String(+value.toPrecision(4));
}

// Returns how many pixels a text below or beside an axis takes.
const wide = (() => {
  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = FONT;
  return (text) => ruler.measureText(text).width;
})();

// Returns labels but for those that would stand on others; the first and the last come first.
function sparse(labels, spots) {
  const half = labels.map((text) => wide(text) / 2 + 3);
  const apart = (one, other) => Math.abs(spots[one] - spots[other]) >= half[one] + half[other];
  const last = labels.length - 1;
  const kept = [0];
  for (let place = 1; place < last; place++) {
    if (apart(place, kept.at(-1)) && apart(place, last)) kept.push(place);
  }
  if (last > 0 && apart(last, kept.at(-1))) kept.push(last);
  return labels.map((text, place) => (kept.includes(place) ? text : ""));
}

// Returns the labels of evenly spaced ticks, with as many digits as tell them apart.
function spaced(splits) {
  const step = Math.abs(splits[1] - splits[0]) || 1;
  const top = Math.max(...splits.map(Math.abs));
  const [unit, sign] = top >= 1e9 ? [1e9, "G"] : top >= 1e6 ? [1e6, "M"] : top >= 1e4 ? [1e3, "k"] : [1, ""];
  if (top && top < 1e-3) return splits.map(short);
  const whole = (digits) => Math.abs((step / unit) * 10 ** digits - Math.round((step / unit) * 10 ** digits)) < 1e-6;
  const digits = [0, 1, 2, 3, 4, 5, 6, 7].find(whole) ?? 8;
  return splits.map((value) => (value === null ? "" : `${+(value / unit).toFixed(digits)}${value ? sign : ""}`));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

// A select with its label. Options are pairs of value and text.
function choice(label, options, chosen, change) {
  const select = element("select", { onchange: () => change(select.value) });
  for (const [value, text] of options) {
    select.append(element("option", { value, selected: value === chosen }, text));
  }
  return element("label", {}, label, select);
}

function tick(label, checked, change) {
  const box = element("input", { type: "checkbox", onchange: () => change(box.checked) });
  box.checked = checked;
  return element("label", {}, box, label);
}

// Returns the corners of the mark of a level, of a radius about a point; none for a circle.
function corners(mark, x, y, radius) {
  return MARKS[(mark ?? 0) % MARKS.length].map(([right, down]) => [x + radius * right, y + radius * down]);
}

// A line, or the mark of a level, for a legend.
function sample(shade, dash, dots, mark) {
  const drawn = document.createElementNS(SVG, "svg");
  drawn.setAttribute("viewBox", "0 0 26 10");
  drawn.setAttribute("aria-hidden", "true");
  const marked = dots ? corners(mark, 13, 5, 4) : [];
  const line = document.createElementNS(SVG, marked.length ? "polygon" : dots ? "circle" : "line");
  const set = marked.length
    ? { points: marked.map((corner) => corner.join()).join(" "), fill: shade }
    : dots
    ? { cx: 13, cy: 5, r: 4, fill: shade }
    : { x1: 1, x2: 25, y1: 5, y2: 5, stroke: shade, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") };
  for (const [name, value] of Object.entries(set)) line.setAttribute(name, value);
  drawn.append(line);
  return drawn;
}
