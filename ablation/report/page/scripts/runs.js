// The runs behind the numbers: configuration, what sets one apart, the end of its log.

// `behind` is how many runs one number stands for, if this one was opened from there.
function detail(place, behind) {
  const run = data.runs[place];
  const list = (pairs) => element("dl", {}, ...pairs.flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value || "–")]));
  const found = [];
  if (behind > 1) found.push(element("p", { class: "aside" }, `One of the ${behind} runs behind the number; they are marked here.`));
  if (run.reason) found.push(element("p", {}, element("strong", {}, `${run.state}: `), run.reason));
  const departs = Object.entries(data.departs[place]);
  found.push(element("p", {}, element("strong", {}, departs.length ? "Apart from the reference:" : "Nothing but the seed sets it apart from the reference.")));
  if (departs.length) found.push(list(departs.map(([key, other]) => [key, `${data.own[place][key] || "none"} (there ${other || "none"})`])));
  const configuration = Object.entries({ ...data.configuration, ...data.own[place] }).sort(([a], [b]) => a.localeCompare(b));
  found.push(element("details", {}, element("summary", {}, "Configuration"), list(configuration)));
  if (run.log?.length) found.push(element("details", { open: run.state !== "complete" }, element("summary", {}, "End of log.txt"), element("pre", {}, run.log.join("\n"))));
  found.push(element("p", { class: "aside" }, "Its files are in the folder ", element("code", {}, `${run.name}/`), "."));
  return found;
}

function dressRuns() {
  const table = document.getElementById("runs-table");
  const place = new Map(data.runs.map((run, index) => [run.name, index]));
  for (const row of table.tBodies[0].rows) {
    const [cell] = row.cells;
    const name = cell.textContent.trim();
    if (!place.has(name)) continue;
    const button = element("button", { class: "opens", type: "button", "aria-expanded": "false" }, name);
    button.addEventListener("click", () => toggleRun(row, button, place.get(name)));
    cell.replaceChildren(button);
  }
}

function toggleRun(row, button, place, behind = 1) {
  const next = row.nextElementSibling;
  const open = next?.classList.contains("detail");
  button.setAttribute("aria-expanded", String(!open));
  if (open) next.remove();
  else row.after(element("tr", { class: "detail" }, element("td", { colspan: row.cells.length }, ...detail(place, behind))));
}

// Opens the first of the runs behind a number, and marks all of them.
function openRuns(places) {
  const names = new Set(places.map((place) => data.runs[place].name));
  let first = null;
  for (const one of document.querySelectorAll("#runs-table .opens")) {
    const marked = names.has(one.textContent);
    one.closest("tr").classList.toggle("behind", marked && names.size > 1);
    if (marked) first ??= one;
  }
  if (!first) return;
  const row = first.closest("tr");
  if (first.getAttribute("aria-expanded") === "true") toggleRun(row, first);
  toggleRun(row, first, data.runs.findIndex((run) => run.name === first.textContent), names.size);
  first.scrollIntoView({ block: "start" });
  first.focus({ preventScroll: true });
}

// A cell of the ablation table leads to its runs.
function dressCells(chapter) {
  const table = document.getElementById(`ablation-${chapter}`);
  const { behind } = data.chapters[chapter];
  [...table.tBodies[0].rows].forEach((row, y) => {
    for (const [x, runs] of Object.entries(behind[y] ?? {})) {
      const cell = row.cells[+x];
      const button = element("button", { class: "opens number", type: "button", title: `${runs.length} run${runs.length === 1 ? "" : "s"}` }, cell.textContent.trim());
      // Asked when it is clicked: of a live page the runs may have other places by then.
      button.addEventListener("click", () => openRuns(data.chapters[chapter].behind[y][x]));
      cell.replaceChildren(button);
    }
  });
}
