// What diagnostics=true measured of each convolution: its response and the gradient at its kernel.

const MEASURED = {
  response_sd: "standard deviation of the response",
  gradient_norm: "norm of the gradient",
};

class Layers extends Widget {
  constructor(host, chapter) {
    super(host, "layers", chapter);
    this.draw();
  }

  draw() {
    const { chapter } = this;
    const { layers } = chapter;
    const { epochs } = layers;
    const panelUsual = this.apart().panel;
    const y = this.get("y", "gradient_norm", Object.keys(MEASURED));
    const last = String(epochs.length - 1);
    const at = Math.min(epochs.length - 1, Math.max(0, +this.get("epoch", last) || 0));
    const log = this.get("log", "1") === "1";
    const slider = element("input", { type: "range", min: 0, max: last, step: 1, value: at });
    const said = element("output", {}, String(epochs[at]));
    slider.addEventListener("input", () => (said.textContent = String(epochs[+slider.value])));
    slider.addEventListener("change", () => this.set("epoch", slider.value, last));
    this.controls.replaceChildren(
      choice("show", Object.entries(MEASURED), y, (value) => this.set("y", value, "gradient_norm")),
      element("label", {}, "after epoch", slider, said),
      this.factorChoice("colour", "color", chapter.column, null),
      this.factorChoice("panels", "panel", panelUsual, "one"),
      tick("logarithmic", log, (value) => this.set("log", value ? "1" : "0", "1")),
    );
    const shade = this.chosen("color", chapter.column);
    const panel = this.chosen("panel", panelUsual, true);
    const place = new Map(chapter.runs.map((run, index) => [run, index]));
    const measured = layers.runs.filter((one) => place.has(one.run)).map((one) => ({ ...one, place: place.get(one.run) }));
    const names = new Map();
    const panels = [];
    for (let level = 0; level < (panel?.levels.length ?? 1); level++) {
      const lines = [];
      shade.levels.forEach((_, one) => {
        const members = measured.filter((found) => this.level(panel, found.place) === level && shade.of[found.place] === one);
        const by = new Map();
        for (const found of members) {
          found.depth.forEach((depth, layer) => {
            const value = found.values[y][at]?.[layer];
            if (value === null || value === undefined || depth === null) return;
            // Responses are those of 3x3 convolutions; the kernels of shortcuts are beside the path.
            if (y === "response_sd" && found.kernel[layer] !== "3x3") return;
            by.set(depth, [...(by.get(depth) ?? []), [value, found.layer[layer]]]);
          });
        }
        const xs = [...by.keys()].sort((a, b) => a - b);
        if (!xs.length) return;
        const values = xs.map((depth) => by.get(depth).map(([value]) => value));
        const key = named(shade, one);
        names.set(key, { key, name: key, shade: color(one), dots: true, mark: one });
        lines.push({
          key, xs, ys: values.map(mean), shade: color(one), dots: xs.length < 40, size: 5, mark: one,
          low: values.map((of) => Math.min(...of)), high: values.map((of) => Math.max(...of)),
          tip: (index) => [by.get(xs[index])[0][1], key, `depth ${xs[index]}`, exact(mean(values[index])), `mean of ${values[index].length}`],
        });
      });
      panels.push({ title: panel ? named(panel, level) : MEASURED[y], lines, view: { x: "depth of the convolution", y: MEASURED[y], logY: log, whole: true } });
    }
    const first = epochs[0] === 0 ? "Epoch 0 is before training. " : "";
    this.show(panels, [...names.values()], `${first}Means over runs, with their range.`);
  }
}
