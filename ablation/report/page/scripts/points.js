// Final values: against a factor such as depth, and against what they cost.

class Points extends Widget {
  // Returns what a run scores: {title, unit, scale} and a function of its place.
  scores() {
    const { score } = this.chapter;
    const found = [["score", `${score.title} (the table’s)`, { ...score, of: (run) => run.score }]];
    for (const [key, [title, unit, scale, higher]] of Object.entries(this.chapter.metrics)) {
      if (higher === null) continue;
      found.push([key, title, { title, unit, scale, higher, of: (run) => run[key] }]);
    }
    return found;
  }

  scoreChoice() {
    const scores = this.scores();
    const key = this.get("y", "score", scores.map(([name]) => name));
    this.controls.append(choice("show", scores.map(([name, text]) => [name, text]), key, (value) => this.set("y", value, "score")));
    return scores.find(([name]) => name === key)[2];
  }

  // Returns the complete runs with a score: {place, run, value}.
  scored(score) {
    const found = [];
    this.chapter.runs.forEach((number, place) => {
      const run = data.runs[number];
      const value = score.of(run);
      if (run.state === "complete" && value !== null && value !== undefined) found.push({ place, run, value: value * score.scale });
    });
    return found;
  }

  heading(score) {
    return score.unit ? `${score.title}, ${score.unit}` : score.title;
  }
}

class Final extends Points {
  constructor(host, chapter) {
    super(host, "final", chapter);
    this.draw();
  }

  draw() {
    const { chapter } = this;
    this.controls.replaceChildren();
    const score = this.scoreChoice();
    const [along, other] = this.free();
    const column = this.factor(chapter.column);
    // Numbers, such as depths, lie along the axis, whichever of two factors is compared.
    const turned = along && !other && column.numbers && !along.numbers;
    const [x0, color0] = turned ? [column, along] : [along ?? column, column];
    const usual = { x: x0.name, color: color0.name, panel: other?.levels.length <= 6 ? other.name : "" };
    this.controls.append(this.factorChoice("against", "x", usual.x, null), this.factorChoice("colour", "color", usual.color, null), this.factorChoice("panels", "panel", usual.panel, "one"));
    const x = this.chosen("x", usual.x);
    const shade = this.chosen("color", usual.color);
    const panel = this.chosen("panel", usual.panel, true);
    const numbers = x.numbers && [...x.numbers].sort((a, b) => a - b);
    const positive = numbers?.[0] > 0;
    const wider = positive && numbers.at(-1) / numbers[0] >= 10;
    const logUsual = wider && unevenness(numbers.map(Math.log)) < unevenness(numbers) ? "1" : "0";
    const log = positive && this.get("log", logUsual) === "1";
    if (x.numbers) this.controls.append(tick("logarithmic", log, (value) => this.set("log", value ? "1" : "0", logUsual)));
    const scored = this.scored(score);
    const apart = shade === x ? 0 : Math.min(0.12, 0.7 / shade.levels.length);
    const names = new Map();
    const panels = [];
    for (let level = 0; level < (panel?.levels.length ?? 1); level++) {
      const lines = [];
      for (let one = 0; one < (shade === x ? 1 : shade.levels.length); one++) {
        const label = shade === x ? score.title : named(shade, one);
        const members = scored.filter((found) => this.level(panel, found.place) === level && (shade === x || shade.of[found.place] === one));
        if (!members.length) continue;
        const shift = x.numbers ? 0 : apart * (one - (shade.levels.length - 1) / 2);
        const at = (found) => (x.numbers ? x.numbers[x.of[found.place]] : x.of[found.place] + shift);
        const tint = color(shade === x ? 1 : one);
        const mark = shade === x ? 0 : one;
        const means = new Map();
        for (const found of members) means.set(at(found), [...(means.get(at(found)) ?? []), found]);
        const xs = [...means.keys()].sort((a, b) => a - b);
        const averages = xs.map((place) => mean(means.get(place).map((found) => found.value)));
        const joined = x.numbers !== null;
        const key = label;
        names.set(key, { key, name: label, shade: tint, dots: true, mark });
        lines.push({
          key, xs: members.map(at), ys: members.map((found) => found.value), shade: faded(tint, 0.55), dots: "only", size: 6, mark,
          tip: (place) => [members[place].run.name, named(x, x.of[members[place].place]), `${exact(members[place].value)} ${score.unit}`],
        });
        lines.push({
          key, xs, ys: averages, shade: tint, dots: joined ? true : "only", size: 10, mark,
          tip: (place) => [label, named(x, x.of[means.get(xs[place])[0].place]), `${exact(averages[place])} ${score.unit}`, `mean of ${means.get(xs[place]).length}`],
        });
      }
      panels.push({ title: panel ? named(panel, level) : this.heading(score), lines, view: { x: x.name, y: this.heading(score), logX: log, padX: 0.06, xTicks: x.numbers ? null : x.levels, xAt: numbers?.length <= 12 ? numbers : null } });
    }
    this.share(panels, false, 1);
    const over = this.over([x, shade, panel]);
    const averaged = over.length ? ` Averaged over ${over.join(", ")}.` : "";
    this.show(panels, [...names.values()], `Small points are runs, large ones their mean.${averaged}`);
  }
}

class Cost extends Points {
  constructor(host, chapter) {
    super(host, "cost", chapter);
    this.draw();
  }

  draw() {
    const { chapter } = this;
    this.controls.replaceChildren();
    const score = this.scoreChoice();
    const costs = Object.entries(data.costs);
    // What all arms cost alike tells nothing.
    const varies = ([key]) => new Set(chapter.runs.map((number) => data.runs[number][key])).size > 1;
    const usualCost = [["multiply_adds"], ...costs].find(varies)?.[0] ?? "multiply_adds";
    const cost = this.get("x", usualCost, costs.map(([key]) => key));
    this.controls.append(choice("against", costs, cost, (value) => this.set("x", value, usualCost)));
    const usual = chapter.column;
    this.controls.append(this.factorChoice("colour", "color", usual, null, ["seed"]));
    const shade = this.chosen("color", usual);
    const factors = chapter.factors.filter((one) => one.name !== "seed");
    const arms = new Map();
    for (const found of this.scored(score)) {
      if (found.run[cost] === null) continue;
      const key = factors.map((factor) => factor.of[found.place]).join();
      arms.set(key, [...(arms.get(key) ?? []), found]);
    }
    const points = [...arms.values()].map((of) => ({
      name: [...new Set(factors.filter((factor) => factor.levels.length > 1).map((factor) => named(factor, factor.of[of[0].place])))].join(", ") || of[0].run.name,
      level: shade.of[of[0].place],
      x: mean(of.map((found) => found.run[cost])),
      y: mean(of.map((found) => found.value)),
      n: of.length,
    }));
    const front = frontier(points, score.higher);
    const [least, most] = [Math.min(...points.map((one) => one.x)), Math.max(...points.map((one) => one.x))];
    const logUsual = least > 0 && most / least > 20 ? "1" : "0";
    const log = least > 0 && this.get("log", logUsual) === "1";
    if (least > 0) this.controls.append(tick("logarithmic", log, (value) => this.set("log", value ? "1" : "0", logUsual)));
    const tip = (one) => [one.name, `${data.costs[cost]} ${exact(one.x)}`, `${exact(one.y)} ${score.unit}`, `mean of ${one.n}`, ...(front.includes(one) ? ["on the Pareto front"] : [])];
    const lines = [];
    if (front.length > 1) {
      lines.push({ key: "Pareto front", name: "Pareto front", xs: front.map((one) => one.x), ys: front.map((one) => one.y), shade: rgb(style("--soft")), dash: [4, 4], width: 1.5, tip: (place) => tip(front[place]) });
    }
    const names = front.length > 1 ? [{ key: "Pareto front", name: "Pareto front", shade: style("--soft"), dash: [4, 4] }] : [];
    shade.levels.forEach((_, level) => {
      const of = points.filter((one) => one.level === level);
      if (!of.length) return;
      const key = named(shade, level);
      names.push({ key, name: key, shade: color(level), dots: true, mark: level });
      lines.push({ key, xs: of.map((one) => one.x), ys: of.map((one) => one.y), shade: color(level), dots: "only", size: 10, mark: level, tip: (place) => tip(of[place]) });
    });
    this.show([{ title: "Cost", lines, view: { x: data.costs[cost], y: this.heading(score), logX: log, padX: 0.06 } }], names, `A point is an arm, the mean of its runs.${front.length > 1 ? " On the dashed line is whatever nothing cheaper beats." : ""}`);
  }
}

// Returns how much the gaps between ascending numbers differ, as a share of their mean.
function unevenness(numbers) {
  const gaps = numbers.slice(1).map((value, place) => value - numbers[place]);
  const middle = mean(gaps);
  return Math.sqrt(mean(gaps.map((gap) => (gap - middle) ** 2))) / middle;
}

function frontier(points, higher) {
  const better = (one, other) => (higher ? one > other : one < other);
  const found = [];
  for (const one of [...points].sort((a, b) => a.x - b.x || (higher ? b.y - a.y : a.y - b.y))) {
    if (!found.length || better(one.y, found[found.length - 1].y)) found.push(one);
  }
  return found;
}

function rgb(text) {
  return text.length === 4 ? `#${[...text.slice(1)].map((digit) => digit + digit).join("")}` : text;
}
