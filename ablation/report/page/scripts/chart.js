// One chart: lines or points, a hint at the nearest of them, zoom by dragging, isolation by a click.

const NEAR = 40; // Pixels within which a point is meant.
const BELOW = 36; // Pixels that a line of labels takes below a chart,
const BESIDE = 76; // and that those of the other axis take beside it, about.
const LINE = 15; // Pixels from one line to the next.
const LETTERS = 28; // Of a name that does not fit, at most.

const WHOLE = [1, 2, 5].flatMap((digit) => Array.from({ length: 10 }, (_, power) => digit * 10 ** power)).sort((a, b) => a - b);

// Returns how uPlot draws the points of a level that is told by its mark too.
function marks(mark, size) {
  return (u, series, first, last) => {
    const fill = new Path2D();
    const [xs, ys] = [u.data[0], u.data[series]];
    for (let place = first; place <= last; place++) {
      if (ys[place] === null || ys[place] === undefined) continue;
      const spot = [u.valToPos(xs[place], "x", true), u.valToPos(ys[place], "y", true)];
      corners(mark, ...spot, (size * devicePixelRatio) / 2).forEach((corner, number) => fill[number ? "lineTo" : "moveTo"](...corner));
      fill.closePath();
    }
    const { left, top, width, height } = u.bbox;
    const clip = new Path2D();
    const room = size * devicePixelRatio;
    clip.rect(left - room, top - room, width + 2 * room, height + 2 * room);
    return { stroke: null, fill, clip, flags: 3 };
  };
}

class Chart {
  // lines: {key, name, xs, ys, shade, dash, width, dots, mark, low, high, broken, tip(place)}, drawn in
  // their order; a broken one ends in a cross.
  // view: {title, x, y, logX, logY, xTicks, zoom, isolated, onZoom, onIsolate, height, label, kept}.
  constructor(host, lines, view) {
    this.host = host;
    this.view = view;
    this.lines = lines.filter((line) => line.ys.some((value) => drawable(value, view.logY) !== null));
    this.hint = element("div", { class: "hint", hidden: true });
    this.read = element("div", { class: "unseen", "aria-live": "polite" });
    this.area = element("div", { class: "chart", tabindex: "0", role: "img", "aria-label": view.label });
    host.append(...(view.title ? [element("h4", {}, view.title)] : []), this.area, this.hint, this.read);
    this.at = null;
    if (!this.lines.length) {
      const hidden = lines.some((line) => line.ys.some((value) => value !== null));
      this.area.append(element("p", { class: "empty" }, hidden ? "Nothing is above 0, as a logarithmic axis needs it." : "Nothing to draw yet."));
      return;
    }
    this.draw();
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("blur", () => this.point(null));
  }

  draw() {
    const { view } = this;
    const tables = [];
    const series = [{}];
    const bands = [];
    for (const line of this.lines) {
      const dim = view.isolated && view.isolated !== line.key;
      const shade = dim ? faded(line.shade, 0.15) : line.shade;
      const xs = line.xs.map((value) => drawable(value, view.logX));
      const kept = xs.map((_, place) => place).filter((place) => xs[place] !== null);
      kept.sort((a, b) => xs[a] - xs[b]);
      const of = (values) => kept.map((place) => drawable(values[place], view.logY));
      const look = {
        stroke: shade,
        width: line.dots === "only" ? 0 : (line.width ?? 2),
        dash: line.dash,
        spanGaps: true,
        points: {
          show: line.dots === "only" || line.dots === true || kept.length === 1,
          size: line.size ?? 6,
          fill: shade,
          stroke: shade,
          ...(MARKS[(line.mark ?? 0) % MARKS.length].length ? { paths: marks(line.mark, line.size ?? 6) } : {}),
        },
        paths: line.dots === "only" ? () => null : undefined,
      };
      if (line.dots === "only") {
        for (const layer of layers(kept, xs)) {
          series.push(look);
          tables.push([layer.map((place) => xs[place]), layer.map((place) => drawable(line.ys[place], view.logY))]);
        }
        continue;
      }
      const table = [kept.map((place) => xs[place]), of(line.ys)];
      series.push(look);
      if (line.low && !dim) {
        const first = series.length;
        table.push(of(line.high), of(line.low));
        for (let i = 0; i < 2; i++) {
          series.push({ stroke: "transparent", width: 0, spanGaps: true, points: { show: false } });
        }
        bands.push({ series: [first, first + 1], fill: faded(line.shade, 0.16) });
      }
      tables.push(table);
    }
    const ink = style("--soft");
    const grid = { stroke: style("--line"), width: 1 };
    const axis = (label, log, ticks, at) => ({
      label,
      stroke: ink,
      grid,
      ticks: grid,
      font: FONT,
      labelFont: FONT,
      labelSize: 18,
      size: label === view.y ? (_, texts) => Math.max(58, 22 + 7 * Math.max(0, ...(texts ?? []).map((text) => text.length))) : BELOW,
      ...(label === view.x && view.whole ? { incrs: WHOLE } : {}),
      ...(at
        ? {
            splits: (_, __, low, high) => at.filter((value) => low <= value && value <= high),
            filter: (_, splits) => splits, // Or a logarithmic axis hands only some of them on.
            values: (u, splits) => sparse(splits.map(short), splits.map((value) => u.valToPos(value, "x"))),
          }
        : ticks
        ? {
            splits: () => ticks.map((_, place) => place),
            values: () => this.names.texts,
            rotate: () => this.names.rotate,
            size: () => this.names.size,
          }
        : log
          ? {
              splits: (_, __, low, high) => onLogarithmic(low, high),
              filter: (_, splits) => splits, // Or only some of them are handed on.
              values: (_, splits) => (even(splits) ? spaced(splits) : labelled(splits)),
              grid: { ...grid, filter: (_, splits) => (even(splits) ? splits : splits.map((value) => (leading(value, [1]) ? value : null))) },
            }
          : { values: (_, splits) => spaced(splits) }),
    });
    const range = (zoomed, log, pad) => (u, low, high) => {
      // A part may have been chosen before the axis became logarithmic.
      if (zoomed && !(log && zoomed[0] <= 0)) return zoomed;
      if (low === null || high === null) return log ? [1, 10] : [0, 1];
      return roomy(low, high, log, pad);
    };
    const zoom = view.zoom ?? {};
    const options = {
      ...this.size(),
      legend: { show: false },
      series,
      bands,
      scales: {
        x: {
          time: false,
          distr: view.logX ? 3 : 1,
          range: view.xTicks
            ? () => zoom.x ?? [-0.5, view.xTicks.length - 0.5]
            : range(zoom.x, view.logX, view.padX ?? 0.02),
        },
        y: { distr: view.logY ? 3 : 1, range: range(zoom.y ?? view.rangeY, view.logY, 0.06) },
      },
      axes: [axis(view.x, view.logX, view.xTicks, view.xAt), axis(view.y, view.logY)],
      cursor: {
        points: { show: false },
        drag: { x: true, y: true, uni: 30, setScale: false },
        y: false,
      },
      hooks: {
        setCursor: [(u) => this.point(this.nearest(u.cursor.left, u.cursor.top))],
        setSelect: [(u) => this.zoomed(u)],
        draw: [(u) => this.crosses(u)],
        ready: [() => this.again(view.kept)],
      },
    };
    const data = uPlot.join(tables);
    this.plot = new uPlot(options, data, this.area);
    this.plot.over.addEventListener("click", (event) => this.clicked(event));
    this.plot.over.addEventListener("dblclick", () => view.onZoom(null));
    this.plot.over.addEventListener("mouseleave", () => this.point(null));
    this.watch = new ResizeObserver(() => {
      const size = this.size();
      if (size.width !== this.plot.width) this.plot.setSize(size);
    });
    this.watch.observe(this.area);
  }

  // Returns the size of the chart, higher where the names below it take more than a line.
  size() {
    const { xTicks, zoom, height } = this.view;
    const width = Math.max(220, this.area.clientWidth);
    if (xTicks) this.names = fitted(xTicks, width - BESIDE, zoom?.x ?? [-0.5, xTicks.length - 0.5]);
    return { width, height: (height ?? 300) + (this.names?.size ?? BELOW) - BELOW };
  }

  // Returns the nearest drawn point as {line, place}, null if none is near.
  nearest(left, top) {
    if (left < 0 || top < 0) return null;
    let best = null;
    let least = NEAR ** 2;
    for (const line of this.lines) {
      if (this.view.isolated && this.view.isolated !== line.key) continue;
      for (let place = 0; place < line.xs.length; place++) {
        const spot = this.spot(line, place);
        if (!spot) continue;
        const distance = (spot[0] - left) ** 2 + (spot[1] - top) ** 2;
        if (distance < least) [best, least] = [{ line, place }, distance];
      }
    }
    return best;
  }

  spot(line, place) {
    const [x, y] = [line.xs[place], line.ys[place]];
    if (x === null || y === null || y === undefined) return null;
    if ((this.view.logX && x <= 0) || (this.view.logY && y <= 0)) return null;
    const spot = [this.plot.valToPos(x, "x"), this.plot.valToPos(y, "y")];
    const { clientWidth, clientHeight } = this.plot.over;
    const inside = spot[0] >= -1 && spot[0] <= clientWidth + 1 && spot[1] >= -1 && spot[1] <= clientHeight + 1;
    return inside ? spot : null;
  }

  // Returns which point is read, for the chart that is drawn in place of this one.
  kept() {
    return this.at && { nth: this.lines.indexOf(this.at.line), key: this.at.line.key, place: this.at.place };
  }

  again(kept) {
    const line = this.lines[kept?.nth];
    if (line && line.key === kept.key) this.point({ line, place: kept.place });
  }

  point(found) {
    const spot = found && this.spot(found.line, found.place);
    this.at = spot ? found : null;
    this.hint.hidden = !spot;
    this.mark?.remove();
    if (!spot) return;
    const [name, ...rest] = found.line.tip(found.place);
    this.hint.replaceChildren(element("b", {}, name), ...rest.flatMap((text) => [element("br"), text]));
    this.mark = element("span");
    this.mark.style.cssText =
      `position:absolute;pointer-events:none;width:10px;height:10px;border:2px solid ${style("--ink")};` +
      `border-radius:50%;left:${spot[0] - 7}px;top:${spot[1] - 7}px;box-sizing:content-box`;
    this.plot.over.append(this.mark);
    const over = this.plot.over;
    const left = over.offsetLeft + this.plot.root.offsetLeft + this.area.offsetLeft + spot[0];
    const top = over.offsetTop + this.plot.root.offsetTop + this.area.offsetTop + spot[1];
    const right = left + 16 + this.hint.offsetWidth > this.host.clientWidth;
    this.hint.style.left = `${Math.max(0, right ? left - 16 - this.hint.offsetWidth : left + 16)}px`;
    this.hint.style.top = `${Math.max(0, top - this.hint.offsetHeight - 10)}px`;
  }

  // Where a run broke off.
  crosses(u) {
    const { ctx } = u;
    const size = 4 * devicePixelRatio;
    ctx.save();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const line of this.lines.filter((one) => one.broken)) {
      const place = line.ys.findLastIndex((value) => value !== null);
      if (!this.spot(line, place)) continue;
      const [x, y] = [u.valToPos(line.xs[place], "x", true), u.valToPos(line.ys[place], "y", true)];
      const dim = this.view.isolated && this.view.isolated !== line.key;
      ctx.strokeStyle = dim ? faded(line.shade, 0.15) : line.shade;
      ctx.beginPath();
      for (const way of [-1, 1]) {
        ctx.moveTo(x - size, y - way * size);
        ctx.lineTo(x + size, y + way * size);
      }
      ctx.stroke();
    }
    ctx.restore();
  }

  clicked(event) {
    if (this.dragged) {
      this.dragged = false;
      return;
    }
    const { left, top } = this.plot.over.getBoundingClientRect();
    const found = this.nearest(event.clientX - left, event.clientY - top);
    // A finger cannot hover: its first tap reads a point, and another there isolates.
    const again = found && this.tapped?.line === found.line && this.tapped.place === found.place;
    if (event.pointerType === "touch" && found && !again) {
      this.tapped = found;
      this.point(found);
      return;
    }
    this.view.onIsolate(found && this.view.isolated !== found.line.key ? found.line.key : null);
  }

  zoomed(u) {
    const { left, top, width, height } = u.select;
    if (width < 5 && height < 5) return;
    this.dragged = true;
    const ends = (low, high, key) => [u.posToVal(low, key), u.posToVal(high, key)];
    const { clientWidth, clientHeight } = u.over;
    this.view.onZoom({
      x: width > 5 && width < clientWidth - 1 ? ends(left, left + width, "x") : (this.view.zoom?.x ?? null),
      y: height > 5 && height < clientHeight - 1 ? ends(top + height, top, "y") : (this.view.zoom?.y ?? null),
    });
  }

  // Arrows go along a line and from line to line, Enter isolates, Escape shows all.
  key(event) {
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") {
      this.view.onIsolate(null);
      this.view.onZoom(null);
    } else if (event.key === "Enter" && this.at) {
      this.view.onIsolate(this.view.isolated === this.at.line.key ? null : this.at.line.key);
    } else if (along || across) {
      event.preventDefault();
      const found = this.next(along ?? 0, across ?? 0);
      this.point(found);
      this.read.textContent = found ? found.line.tip(found.place).join(", ") : "";
    }
  }

  // Returns the point that is so many steps from the one that is read, the first one if none is.
  next(along, across) {
    const { isolated } = this.view;
    const lines = this.lines.filter((line) => (!isolated || line.key === isolated) && this.places(line).length);
    if (!lines.length) return null;
    const from = lines.indexOf(this.at?.line);
    if (from < 0) return { line: lines[0], place: this.places(lines[0])[0] };
    const line = lines[(from + across + lines.length) % lines.length];
    const places = this.places(line);
    if (along) return { line, place: places[Math.min(places.length - 1, Math.max(0, places.indexOf(this.at.place) + along))] };
    const left = (place) => Math.abs(line.xs[place] - this.at.line.xs[this.at.place]);
    return { line, place: places.reduce((best, place) => (left(place) < left(best) ? place : best)) };
  }

  // Returns the places of the points of a line that are in sight, from left to right.
  places(line) {
    const inSight = line.xs.map((_, place) => place).filter((place) => this.spot(line, place));
    return inSight.sort((a, b) => line.xs[a] - line.xs[b]);
  }

  remove() {
    this.watch?.disconnect();
    this.plot?.destroy();
    this.host.replaceChildren();
  }
}

// Returns a value where it can be drawn, else null: only what is above 0 has a logarithm.
function drawable(value, log) {
  return value === null || (log && value <= 0) ? null : value;
}

// Returns the ends of an axis: those of the values, and a share of their distance beside each.
function roomy(low, high, log, share) {
  if (log) {
    const factor = low === high ? 2 : (high / low) ** share;
    return [low / factor, high * factor];
  }
  const room = (high - low) * share || Math.abs(low) * 0.1 || 1;
  return [low - room, high + room];
}

// Returns whether the first digit of a number is one of these, and all others are 0.
function leading(value, digits) {
  const first = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
  return digits.some((digit) => Math.abs(first - digit) < 1e-6);
}

// Returns the ticks of a logarithmic axis: 1 to 9 times each power of ten, or even steps where the
// axis is shorter than a power of ten and has too few of these to read a value by.
function onLogarithmic(low, high) {
  const power = Math.floor(Math.log10(high / low >= 10 ? low : (high - low) / 5));
  const found = [];
  if (high / low < 10) {
    const step = [1, 2, 5, 10].map((digit) => digit * 10 ** power).find((one) => (high - low) / one <= 6);
    for (let nth = Math.ceil(low / step); nth * step <= high; nth++) found.push(nth * step);
    return found;
  }
  for (let unit = power; 10 ** unit <= high; unit++) {
    for (let digit = 1; digit < 10; digit++) found.push(digit * 10 ** unit);
  }
  return found.filter((value) => low <= value && value <= high);
}

// Returns whether ticks of a logarithmic axis are even steps.
function even(splits) {
  return splits.length < 3 || Math.abs(splits[0] - 2 * splits[1] + splits[2]) < 1e-6 * splits[2] && splits.at(-1) / splits[0] < 10;
}

// Returns the labels of a logarithmic axis: powers of ten, or more where there are few.
function labelled(splits) {
  const powers = splits.filter((value) => leading(value, [1])).length;
  const digits = powers > 2 ? [1] : powers ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
  return splits.map((value) => (leading(value, digits) ? short(value) : ""));
}

// Splits points into sets in which no two have one x, which a series cannot hold.
function layers(places, xs) {
  const found = [];
  const seen = new Map();
  for (const place of places) {
    const nth = seen.get(xs[place]) ?? 0;
    seen.set(xs[place], nth + 1);
    (found[nth] ??= []).push(place);
  }
  return found;
}

// Returns how the names stand below an axis: level if each has room, else slanting, else upright;
// where they are too many even for that, some. Of a long one both ends tell it from others.
function fitted(names, width, [low, high]) {
  const slot = width / (high - low);
  if (names.every((name) => wide(name) + 8 <= slot)) return { texts: names, rotate: 0, size: BELOW };
  const cut = names.map((name) => (name.length > LETTERS ? `${name.slice(0, LETTERS / 2)}…${name.slice(1 - LETTERS / 2)}` : name));
  const longest = Math.max(...cut.map(wide));
  const inside = (name, place) => place < low || wide(name) * Math.SQRT1_2 <= (place - low) * slot + BESIDE - 20;
  const slanting = slot * Math.SQRT1_2 >= LINE && cut.every(inside);
  const every = Math.ceil(LINE / slot);
  const texts = cut.map((name, place) => (place % every ? "" : name));
  return { texts, rotate: slanting ? 45 : 90, size: Math.ceil(longest * (slanting ? Math.SQRT1_2 : 1)) + BELOW - LINE + 3 };
}

// Returns whether a factor has several levels among runs that have the same of others.
function differs(factor, others) {
  const level = new Map();
  return factor.of.some((value, place) => {
    const key = others.map((other) => other.of[place]).join();
    const known = level.get(key);
    level.set(key, value);
    return known !== undefined && known !== value;
  });
}

// Draws a widget anew and leaves the keyboard where it was.
function redrawn(widget) {
  const stops = () => [...widget.host.querySelectorAll("select, input, button, .chart")];
  const at = stops().indexOf(document.activeElement);
  widget.draw();
  if (at >= 0) stops()[at]?.focus({ preventScroll: true });
}

// What the charts of a widget share: panels, one legend, isolation, zoom and a state in the address.
class Widget {
  constructor(host, kind, chapter) {
    this.host = host;
    this.kind = kind;
    this.number = chapter;
    this.charts = [];
    this.controls = element("div", { class: "controls" });
    this.panels = element("div", { class: "panels" });
    this.legend = element("div", { class: "legend", role: "group", "aria-label": "Show one alone" });
    this.told = element("p", { class: "aside", "aria-live": "polite" });
    host.replaceChildren(this.controls, this.panels, this.legend, this.told);
  }

  get chapter() {
    return data.chapters[this.number];
  }

  get(name, usual, allowed) {
    const found = address.get(`${this.number}.${this.kind}.${name}`, usual);
    return allowed && !allowed.includes(found) ? usual : found;
  }

  set(name, value, usual) {
    // A part of another axis would show nothing.
    if (name === "x" || name === "y") address.set(`${this.number}.${this.kind}.zoom`, "", "");
    address.set(`${this.number}.${this.kind}.${name}`, value, usual);
    redrawn(this);
  }

  factor(name) {
    return this.chapter.factors.find((one) => one.name === name) ?? null;
  }

  // Returns the place of a run's level, 0 of no factor.
  level(factor, place) {
    return factor ? factor.of[place] : 0;
  }

  // Returns the factors that vary and that neither the columns of the table nor the seed decide.
  free() {
    const { chapter } = this;
    const column = this.factor(chapter.column);
    return chapter.factors.filter((one) => one !== column && one.name !== "seed" && differs(one, [column]));
  }

  // Returns what means are taken over, but for the seed: what varies among runs that have the same
  // levels of what is shown, and that no column of the table decides.
  over(shown) {
    const told = shown.filter(Boolean);
    const others = [this.factor(this.chapter.column), ...this.free()].filter((one) => !told.includes(one));
    return others.filter((one) => differs(one, told)).map((one) => one.name);
  }

  // Returns which of them make panels and which lines, unless the reader chooses.
  apart() {
    const free = this.free();
    const panel = free.find((one) => one.levels.length <= 6);
    const dash = free.find((one) => one !== panel && one.levels.length <= DASHES.length);
    return { panel: panel?.name ?? "", dash: dash?.name ?? "" };
  }

  factorChoice(label, name, usual, none, skip = []) {
    const names = this.chapter.factors.map((one) => one.name).filter((one) => !skip.includes(one));
    const options = [...(none ? [["", none]] : []), ...names.map((one) => [one, one])];
    const allowed = options.map(([value]) => value);
    return choice(label, options, this.get(name, usual, allowed), (value) => this.set(name, value, usual));
  }

  // Returns the factor that is chosen; an address may name one that another report had.
  chosen(name, usual, optional = false) {
    const names = this.chapter.factors.map((one) => one.name);
    return this.factor(this.get(name, usual, optional ? ["", ...names] : names));
  }

  // Panels of one metric share their vertical axis; `kinds` metrics take turns.
  share(panels, log, kinds) {
    for (let kind = 0; kind < kinds; kind++) {
      const of = panels.filter((_, place) => place % kinds === kind);
      const values = of.flatMap(({ lines }) => lines.flatMap((line) => [...line.ys, ...(line.low ?? []), ...(line.high ?? [])]));
      const known = values.filter((value) => value !== null && (!log || value > 0));
      if (!known.length) continue;
      const [low, high] = known.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
      for (const { view } of of) view.rangeY = roomy(low, high, log, 0.06);
    }
  }

  get zoom() {
    const text = this.get("zoom", "");
    if (!text) return null;
    const [x, y] = text.split(";").map((part) => part.split(",").filter(Boolean).map(Number));
    const whole = (ends) => (ends?.length === 2 && ends.every(Number.isFinite) ? ends : null);
    return { x: whole(x), y: whole(y) };
  }

  // panels: [{title, lines, view}]; names: [{key, name, shade, dash, dots, mark}] for the legend.
  show(panels, names, remark) {
    const scroll = scrollY;
    const kept = this.charts.map((chart) => chart.kept());
    for (const chart of this.charts) chart.remove();
    const isolated = names.some((one) => one.key === this.get("alone", "")) ? this.get("alone", "") : "";
    const onIsolate = (key) => this.set("alone", key ?? "", "");
    const onZoom = (zoom) => {
      const text = zoom ? [zoom.x, zoom.y].map((ends) => ends?.map((v) => v.toPrecision(6)).join() ?? "").join(";") : "";
      this.set("zoom", text === ";" ? "" : text, "");
    };
    this.panels.style.setProperty("--wide", panels.length > 1 ? "26rem" : "40rem");
    const hosts = panels.map(() => element("div", { class: "panel" }));
    this.panels.replaceChildren(...hosts);
    this.charts = panels.map(
      ({ title, lines, view }, place) =>
        new Chart(hosts[place], lines, {
          ...view,
          title: panels.length > 1 ? title : "",
          label: `${title}: ${view.y} against ${view.x}. Arrow keys read the points.`,
          zoom: this.zoom,
          isolated,
          onZoom,
          onIsolate,
          kept: kept[place],
        }),
    );
    const buttons = names.map((one) => {
      const pressed = isolated === one.key;
      const attributes = { type: "button", "aria-pressed": String(pressed), onclick: () => onIsolate(pressed ? null : one.key) };
      return element("button", attributes, sample(one.shade, one.dash ?? [], one.dots, one.mark), one.name);
    });
    if (isolated || this.zoom) {
      const reset = () => {
        address.set(`${this.number}.${this.kind}.zoom`, "", "");
        onIsolate(null);
      };
      buttons.push(element("button", { type: "button", class: "reset", onclick: reset }, "Show all"));
    }
    this.legend.replaceChildren(...buttons);
    const run = data.runs.findIndex((one) => `run ${one.name}` === isolated);
    const ways = this.charts.some((chart) => chart.plot) ? " Point at a curve or a point to read it; a click shows it alone, dragging zooms." : "";
    this.told.replaceChildren(`${remark ?? ""}${ways}`, ...(run >= 0 ? [" ", element("button", { class: "opens", type: "button", onclick: () => openRuns([run]) }, `Open ${data.runs[run].name}`)] : []));
    scrollTo({ top: scroll });
  }
}
