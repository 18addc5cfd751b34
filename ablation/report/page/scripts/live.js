// While a sweep runs its page is written anew; an open one loads itself in a hidden frame, which hands
// over what is new. So it works for a file as well as for a server, and nothing else is loaded.

const SECONDS = 3;
const SHARE = 20; // A look may take a twentieth of the time.
const SECONDS_AWAY = 30; // Whoever serves or writes the page may be away for a while.

function feed() {
  const sections = {};
  for (const section of document.querySelectorAll("section")) {
    sections[section.id] = section.classList.contains("live") ? section.innerHTML : null;
  }
  const text = document.getElementById("data").textContent;
  parent.postMessage({ ablation: "feed", text, sections, top: document.querySelector(".states").innerHTML }, "*");
}

function follow() {
  if (!data.live) return;
  let frame = null;
  let count = 0;
  let asked = 0;
  let timer = 0;
  const next = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(look, seconds * 1000);
  };
  addEventListener("message", (event) => {
    if (!frame || event.source !== frame.contentWindow || event.data?.ablation !== "feed") return;
    const pause = Math.max(SECONDS, (SHARE * (performance.now() - asked)) / 1000);
    frame.remove();
    frame = null;
    take(event.data);
    // A report by hand, or the end of one sweep of two, is not the end of all training.
    next(data.live ? pause : Math.max(pause, SECONDS_AWAY));
  });
  function look() {
    if (document.hidden) {
      next(SECONDS);
      return;
    }
    frame?.remove();
    frame = element("iframe", { hidden: true, title: "What is new" });
    asked = performance.now();
    const query = new URLSearchParams({ look: String(++count) });
    frame.src = `${location.href.split(/[?#]/)[0]}?${query}#feed`;
    document.body.append(frame);
    next(SECONDS_AWAY);
  }
  document.addEventListener("visibilitychange", () => !document.hidden && !frame && look());
  next(SECONDS);
  setInterval(tell, 5000);
  tell();
}

function tell() {
  const place = document.getElementById("freshness");
  if (!data.live) {
    place.textContent = "";
    return;
  }
  const seconds = Math.max(0, (Date.now() - Date.parse(data.live.written)) / 1000);
  const ago = seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
  place.textContent = `live, as of ${ago} ago`;
}

function take({ text, sections, top }) {
  const here = [...document.querySelectorAll("section")].map((section) => section.id).join();
  if (here !== Object.keys(sections).join()) {
    location.reload(); // Such as the first run that is complete.
    return;
  }
  if (text === taken) return;
  taken = text;
  data = JSON.parse(text);
  document.querySelector(".states").innerHTML = top;
  for (const [id, html] of Object.entries(sections)) {
    const section = document.getElementById(id);
    if (html === null || originals.get(id) === html) continue;
    const open = [...section.querySelectorAll("details[id][open]")].map((one) => one.id);
    const choosing = [...section.querySelectorAll("details.columns")].map((one) => one.open);
    const expanded = [...section.querySelectorAll("[aria-expanded=true]")].map((one) => one.textContent);
    const offsets = [...section.querySelectorAll(".scroll")].map((one) => [one.scrollLeft, one.scrollTop]);
    originals.set(id, html);
    section.innerHTML = html;
    for (const one of open) document.getElementById(one)?.setAttribute("open", "");
    enhance(section);
    section.querySelectorAll("details.columns").forEach((one, place) => (one.open = choosing[place] ?? false));
    for (const button of section.querySelectorAll(".opens[aria-expanded]")) {
      if (expanded.includes(button.textContent)) button.click();
    }
    section.querySelectorAll(".scroll").forEach((one, place) => {
      if (offsets[place]) one.scrollTo(...offsets[place]);
    });
  }
  for (const widget of widgets.values()) redrawn(widget);
  tell();
}
