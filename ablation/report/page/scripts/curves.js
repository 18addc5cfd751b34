// Curves: any metric against epoch, step or seconds, in panels, by colour and by line.

const ALONG = { epoch: "epoch", step: "optimizer step", seconds: "seconds of training" };
const SMOOTHING = [["0", "none"], ["0.3", "0.3"], ["0.6", "0.6"], ["0.9", "0.9"]];
const EACH_UP_TO = 60;
const JOINED_AT_MOST = 2e6;

class Curves extends Widget {
  constructor(host, chapter) {
    super(host, "curves", chapter);
    this.draw();
  }

  draw() {
    const { chapter } = this;
    const usual = {
      y: "losses",
      x: "epoch",
      color: chapter.column,
      ...this.apart(),
      show: "mean",
      smooth: "0",
    };
    const metrics = Object.entries(chapter.metrics);
    const ys = [...chapter.pairs, ...metrics.map(([key, [title]]) => [key, title])];
    const names = (pairs) => pairs.map(([key]) => key);
    const y = this.get("y", usual.y, names(ys));
    const alongs = Object.entries(ALONG).filter(([key]) => key !== "seconds" || data.every === 1);
    const x = this.get("x", usual.x, names(alongs));
    const show = this.get("show", usual.show, ["mean", "each"]);
    const smooth = +this.get("smooth", usual.smooth, names(SMOOTHING));
    const keys = chapter.pairs.find(([key]) => key === y)?.[2] ?? [y];
    // Losses and errors can be a thousand times the last ones at first; some losses are below 0.
    const values = keys.flatMap((key) => chapter.runs.flatMap((run) => data.curves[key][run]));
    const positive = values.some((value) => value > 0) && values.every((value) => value === null || value >= 0);
    const logUsual = chapter.metrics[keys[0]][3] === false && positive ? "1" : "0";
    const log = this.get("log", logUsual) === "1";
    this.controls.replaceChildren(
      choice("show", ys, y, (value) => this.set("y", value, usual.y)),
      choice("against", alongs, x, (value) => this.set("x", value, usual.x)),
      this.factorChoice("colour", "color", usual.color, null),
      this.factorChoice("line", "dash", usual.dash, "all alike"),
      this.factorChoice("panels", "panel", usual.panel, "one"),
      choice("runs", [["mean", "mean and range"], ["each", "each run"]], show, (value) => this.set("show", value, usual.show)),
      choice("smoothing", SMOOTHING, String(smooth), (value) => this.set("smooth", value, usual.smooth)),
      tick("logarithmic", log, (value) => this.set("log", value ? "1" : "0", logUsual)),
    );
    const shade = this.chosen("color", usual.color);
    const dash = this.chosen("dash", usual.dash, true);
    const panel = this.chosen("panel", usual.panel, true);
    const panels = [];
    for (let level = 0; level < (panel?.levels.length ?? 1); level++) {
      const members = chapter.runs.map((_, place) => place).filter((place) => this.level(panel, place) === level);
      for (const key of keys) {
        const [title, unit, scale] = chapter.metrics[key];
        const lines = this.lines(members, key, { x, show, smooth, scale, unit, shade, dash });
        const where = panel ? named(panel, level) : "";
        const heading = keys.length > 1 ? [title, where].filter(Boolean).join(", ") : where || title;
        panels.push({ title: heading, lines, view: { x: ALONG[x], y: unit ? `${title}, ${unit}` : title, logY: log, whole: x !== "seconds" } });
      }
    }
    this.share(panels, log, keys.length);
    const remarks = [];
    if (smooth) remarks.push(`Smoothed: each value is ${smooth} of the one before and ${+(1 - smooth).toFixed(2)} of its own; what was measured is faint.`);
    if (show === "mean" && this.several(chapter)) remarks.push("Means over complete runs, with their range; thin lines are runs that are not complete, and a cross is where one failed.");
    const over = this.over([shade, dash, panel]);
    if (show === "mean" && over.length) remarks.push(`Averaged over ${over.join(", ")}.`);
    if (this.crowded) remarks.push("So many runs have no common seconds to be drawn at; these are means.");
    this.show(panels, this.names(panels, shade, dash, show), remarks.join(" "));
  }

  several(chapter) {
    const seed = chapter.factors.find((one) => one.name === "seed");
    return new Set(seed?.of).size > 1 || chapter.runs.length > EACH_UP_TO;
  }

  lines(members, key, set) {
    const { chapter } = this;
    const style = (place) => ({ shade: color(this.level(set.shade, place)), dash: this.dashes(place, set) });
    const one = (place) => {
      const run = chapter.runs[place];
      const ys = data.curves[key][run].map((value) => (value === null ? null : value * set.scale));
      return { place, run, xs: this.along(run, set.x), ys, epochs: data.curves.epoch[run] };
    };
    const order = (place) => this.level(set.shade, place) * 1000 + this.level(set.dash, place);
    const curves = members.map(one).filter((curve) => curve.ys.length).sort((a, b) => order(a.place) - order(b.place));
    const points = curves.reduce((sum, curve) => sum + curve.ys.length, 0);
    this.crowded = set.show === "each" && set.x === "seconds" && points * curves.length > JOINED_AT_MOST;
    const each = set.show === "each" && !this.crowded;
    const found = [];
    const groups = new Map();
    for (const curve of curves) {
      const { name, state } = data.runs[curve.run];
      const ended = state === "complete" || state === "running";
      const broken = state === "failed" || state === "diverged";
      if (!each && state === "complete") {
        const label = this.label(curve.place, set);
        groups.set(label, [...(groups.get(label) ?? []), curve]);
        continue;
      }
      const label = this.label(curve.place, set);
      const smoothed = smoothing(curve.ys, set.smooth);
      const tip = (place) => [name, `${ALONG[set.x]} ${exact(curve.xs[place])}`, ...this.said(curve.ys[place], smoothed[place], set), ...(state === "complete" ? [] : [state])];
      const drawn = { key: each ? `run ${name}` : label, name: each ? name : label, xs: curve.xs, ys: smoothed, width: ended ? 1.5 : 0.8, broken, tip, ...style(curve.place) };
      if (set.smooth) found.push({ ...drawn, ys: curve.ys, shade: faded(drawn.shade, 0.25), width: 1, broken: false });
      found.push(drawn);
    }
    for (const [label, of] of groups) {
      const all = averaged(of);
      const smoothed = smoothing(all.mean, set.smooth);
      const count = (place) => (all.n[place] > 1 ? [`${exact(all.low[place])} to ${exact(all.high[place])} in ${all.n[place]} runs`] : [data.runs[of[0].run].name]);
      const tip = (place) => [label, `${ALONG[set.x]} ${exact(all.xs[place])}`, ...this.said(all.mean[place], smoothed[place], set), ...count(place)];
      const drawn = { key: label, name: label, xs: all.xs, ys: smoothed, tip, ...style(of[0].place) };
      if (set.smooth) found.push({ ...drawn, ys: all.mean, shade: faded(drawn.shade, 0.25), width: 1 });
      found.push({ ...drawn, ...(of.length > 1 && !set.smooth ? { low: all.low, high: all.high } : {}) });
    }
    return found;
  }

  // Dashed is the reference, as in the figures, unless lines tell something else.
  dashes(place, { shade, dash }) {
    const level = this.level(shade, place);
    if (dash) return DASHES[this.level(dash, place) % DASHES.length];
    const reference = shade?.name === this.chapter.column ? shade.levels.indexOf(this.chapter.reference) : -1;
    if (level === reference) return DASHES[1];
    const others = [DASHES[0], ...DASHES.slice(2)];
    return others[(level - (reference >= 0 && level > reference)) % others.length];
  }

  said(value, smoothed, set) {
    const unit = set.unit ? ` ${set.unit}` : "";
    return [`${exact(value)}${unit}`, ...(set.smooth ? [`smoothed ${exact(smoothed)}${unit}`] : [])];
  }

  label(place, set) {
    const parts = [set.shade, set.dash].filter(Boolean).map((factor) => named(factor, this.level(factor, place)));
    return [...new Set(parts)].join(", ") || "all runs";
  }

  along(run, x) {
    if (x === "step") return data.curves.epoch[run].map((epoch) => (data.runs[run].steps_per_epoch === null ? null : epoch * data.runs[run].steps_per_epoch));
    return x === "seconds" ? data.curves.elapsed[run] : data.curves.epoch[run];
  }

  names(panels, shade, dash, show) {
    const found = new Map();
    for (const { lines } of panels) {
      for (const line of lines) found.set(line.key, line);
    }
    const all = [...found.values()];
    if (show === "each" && all.length > EACH_UP_TO) return all.filter((line) => line.key === this.get("alone", ""));
    return all;
  }
}

function named(factor, level) {
  const text = factor.levels[level];
  return factor.numbers || factor.name === "seed" || ["true", "false"].includes(text) ? `${factor.name} ${text}` : text;
}

function smoothing(values, weight) {
  if (!weight) return values;
  let last = null;
  return values.map((value) => {
    if (value === null) return null;
    last = last === null ? value : weight * last + (1 - weight) * value;
    return last;
  });
}

// Means of curves by their epochs, with the range.
function averaged(curves) {
  const by = new Map();
  for (const curve of curves) {
    curve.epochs.forEach((epoch, place) => {
      if (curve.ys[place] === null || curve.xs[place] === null) return;
      by.set(epoch, [...(by.get(epoch) ?? []), [curve.xs[place], curve.ys[place]]]);
    });
  }
  const found = { xs: [], mean: [], low: [], high: [], n: [] };
  for (const epoch of [...by.keys()].sort((a, b) => a - b)) {
    const values = by.get(epoch).map(([, y]) => y);
    found.xs.push(mean(by.get(epoch).map(([x]) => x)));
    found.mean.push(mean(values));
    found.low.push(Math.min(...values));
    found.high.push(Math.max(...values));
    found.n.push(values.length);
  }
  return found;
}
