// Confusion matrices as tables: shares, counts, or what differs from another cell.

class Confusion {
  constructor(host, chapter) {
    this.host = host;
    this.number = chapter;
    this.draw();
  }

  draw() {
    const { confusion } = data.chapters[this.number];
    if (!confusion) return;
    const key = `${this.number}.confusion`;
    const title = (cell) => [cell.row, cell.column].filter(Boolean).join(", ");
    const forms = [["share", "share of the true class, %"], ["count", "images"], ...confusion.cells.map((cell, place) => [`minus${place}`, `share minus that of ${title(cell)}`])];
    const form = forms.some(([name]) => name === address.get(`${key}.form`, "share")) ? address.get(`${key}.form`, "share") : "share";
    const controls = element("div", { class: "controls" }, choice("show", forms, form, (value) => {
      address.set(`${key}.form`, value, "share");
      redrawn(this);
    }));
    const other = form.startsWith("minus") ? shares(confusion.cells[+form.slice(5)].counts) : null;
    const shown = confusion.cells.filter((_, place) => form !== `minus${place}`);
    const tables = shown.map((cell) => this.table(confusion.classes, cell, title(cell), form, other));
    const seeds = [...new Set(confusion.cells.map((cell) => cell.seeds))].join(" or ");
    this.host.replaceChildren(
      element("h3", {}, "Confusion matrices"),
      controls,
      element("div", { class: "matrices" }, ...tables.map((table) => element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Confusion matrix, ${table.caption.textContent}` }, table))),
      element("p", { class: "aside" }, `Rows are true classes, columns what they are taken for, after the final epoch; ${seeds} seed${seeds === "1" ? "" : "s"} summed.`),
    );
  }

  table(classes, cell, title, form, other) {
    const own = shares(cell.counts);
    const head = element("tr", {}, element("th", { scope: "col" }, "true ↓ as →"), ...classes.map((name) => element("th", { scope: "col" }, name)));
    const rows = classes.map((name, row) => {
      const cells = classes.map((_, column) => {
        const share = own[row][column];
        const value = other ? share - other[row][column] : share;
        const text = form === "count" ? String(cell.counts[row][column]) : other ? signed(value) : value ? value.toFixed(value < 9.95 ? 1 : 0) : "";
        const made = element("td", { class: row === column ? "right" : null, title: `${name} taken for ${classes[column]}: ${cell.counts[row][column]} images` }, text);
        const good = (value > 0) === (row === column);
        const strength = Math.min(1, Math.abs(value) / (other ? 30 : 100)) * (dark() ? 0.5 : 0.75);
        made.style.background = other
          ? `color-mix(in srgb, ${good ? style("--c1") : style("--c0")} ${Math.round(strength * 100)}%, transparent)`
          : `rgba(${style("--shade")}, ${strength})`;
        return made;
      });
      return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
    });
    return element("table", { class: "matrix" }, element("caption", {}, title), element("thead", {}, head), element("tbody", {}, ...rows));
  }
}

function shares(counts) {
  return counts.map((row) => {
    const total = row.reduce((sum, value) => sum + value, 0);
    return row.map((value) => (total ? (100 * value) / total : 0));
  });
}

function signed(value) {
  return Math.abs(value) < 0.05 ? "" : `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(1)}`;
}
