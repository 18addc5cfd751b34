// Tables that are sorted by a click on a column's name, and whose columns can be hidden.

function quantity(text) {
  const found = text.replaceAll(",", "").replace("−", "-").match(/^[<~]?([-+]?\d+(\.\d+)?(e[-+]?\d+)?)/i);
  return found ? +found[1] : null;
}

function blank(text) {
  return text === "" || text === "–";
}

function compared(one, other) {
  if (one === other) return 0;
  if (blank(one)) return 1; // What is not there comes last.
  if (blank(other)) return -1;
  const [a, b] = [quantity(one), quantity(other)];
  if (a !== null && b !== null && a !== b) return a - b;
  return one.localeCompare(other, "en", { numeric: true });
}

function dress(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const original = [...body.rows];
  const key = `table.${table.id}`;
  const text = (row, place) => row.cells[place].textContent.trim();

  function sort(place, downwards) {
    for (const row of body.querySelectorAll("tr.detail")) row.remove();
    for (const button of body.querySelectorAll("[aria-expanded=true]")) button.setAttribute("aria-expanded", "false");
    const rows = [...original];
    if (place !== null) {
      rows.sort((a, b) => {
        const [one, other] = [text(a, place), text(b, place)];
        return compared(one, other) * (downwards && !blank(one) && !blank(other) ? -1 : 1);
      });
    }
    body.append(...rows);
    heads.forEach((head, i) => {
      if (i === place) head.setAttribute("aria-sort", downwards ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function hide(hidden) {
    for (const row of [table.tHead.rows[0], ...body.rows]) {
      if (row.classList.contains("detail")) continue;
      [...row.cells].forEach((cell, place) => (cell.hidden = hidden.has(place)));
    }
  }

  heads.forEach((head, place) => {
    if ("plot" in head.dataset) return;
    const button = element("button", { type: "button", title: "Sort" }, ...head.childNodes);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const next = now === null ? `${place}` : now === "ascending" ? `-${place}` : "";
      address.set(`${key}.sort`, next, "");
      apply();
    });
    head.replaceChildren(button);
  });
  const hidden = () => new Set(address.get(`${key}.hide`, "").split(".").filter(Boolean).map(Number));
  function apply() {
    const sorted = address.get(`${key}.sort`, "");
    const place = sorted === "" ? null : Math.abs(+sorted);
    if (place === null || place < heads.length) sort(place, sorted.startsWith("-"));
    hide(hidden());
  }
  if (heads.length > 3) {
    const boxes = heads.map((head, place) =>
      tick("plot" in head.dataset ? "plot" : head.textContent.trim(), !hidden().has(place), (shown) => {
        const now = hidden();
        if (shown) now.delete(place);
        else now.add(place);
        address.set(`${key}.hide`, [...now].join("."), "");
        apply();
      }),
    );
    const chooser = element("details", { class: "columns" }, element("summary", {}, "Columns"), ...boxes);
    table.closest(".scroll").before(chooser);
  }
  table.addEventListener("address", apply);
  apply();
}
