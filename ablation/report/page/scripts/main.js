// Brings the page to life. Without scripts it has its tables, its text and drawn figures.

let taken = document.getElementById("data").textContent;
let data = JSON.parse(taken);
const KINDS = { curves: Curves, final: Final, cost: Cost, layers: Layers, confusion: Confusion };
const widgets = new Map();
const originals = new Map();

function mount(host) {
  if (widgets.has(host)) return;
  widgets.set(host, new KINDS[host.dataset.widget](host, +host.dataset.chapter));
}

function enhance(part) {
  for (const table of part.querySelectorAll("table.data")) {
    const runs = table.id === "runs-table";
    if (runs) dressRuns();
    if (table.id.startsWith("ablation-")) dressCells(+table.id.slice(9));
    dress(table);
  }
}

function start() {
  document.documentElement.classList.add("scripts");
  for (const section of document.querySelectorAll("section.live")) originals.set(section.id, section.innerHTML);
  enhance(document);
  const hosts = [...document.querySelectorAll(".widget")];
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        mount(entry.target);
      }
    },
    { rootMargin: "800px" },
  );
  for (const host of hosts) seen.observe(host);
  const redraw = () => {
    for (const widget of widgets.values()) redrawn(widget);
  };
  // A section is gone to without giving up the view that the address holds.
  document.getElementById("contents").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || !location.hash.includes("=")) return;
    event.preventDefault();
    document.querySelector(link.hash).scrollIntoView();
  });
  // Paper is light, whatever the screen is, and nobody opens there what is closed.
  let closed = [];
  const paper = (printing) => {
    document.documentElement.classList.toggle("print", printing);
    if (printing) {
      closed = [...document.querySelectorAll("details:not([open], .columns)")];
      for (const one of closed) one.open = true;
    } else for (const one of closed) one.open = false;
    hosts.forEach(mount);
    redraw();
  };
  addEventListener("beforeprint", () => paper(true));
  addEventListener("afterprint", () => paper(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    address.read();
    for (const table of document.querySelectorAll("table.data")) table.dispatchEvent(new Event("address"));
    redraw();
  });
  follow();
}

if (location.hash === "#feed" && parent !== window) feed();
else start();
