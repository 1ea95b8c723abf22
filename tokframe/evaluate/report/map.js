"use strict";
// The map of a vocabulary: ids as dots on a canvas, to hover over, to search and to move in. Texts are only ever drawn
// on the canvas or set as text nodes.

const data = JSON.parse(document.getElementById("map-data").textContent);
const canvas = document.getElementById("map");
const context = canvas.getContext("2d");
const tip = document.getElementById("tip");
const search = document.getElementById("search");
const hits = document.getElementById("hits");
const count = document.getElementById("count");
const dark = matchMedia("(prefers-color-scheme: dark)");
const total = data.ids.length;
const folded = data.texts.map(text => text.toLowerCase());
const LISTED = 30;
const LARGEST_ZOOM = 60;

let view = { x: 0, y: 0, zoom: 1 };  // the middle, in units of the map, and how often enlarged
let chosen = new Set();              // numbers of dots that the search found, or of a class
let marked = -1;                     // the dot with a ring

function size() {
  const box = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(box.width * ratio) || canvas.height !== Math.round(box.height * ratio)) {
    canvas.width = Math.round(box.width * ratio);
    canvas.height = Math.round(box.height * ratio);
  }
  return { width: box.width, height: box.height, ratio, scale: Math.min(box.width, box.height) / 2.06 * view.zoom };
}

function screen(n, box) {
  return [(data.x[n] - view.x) * box.scale + box.width / 2, (data.y[n] - view.y) * box.scale + box.height / 2];
}

function color(n) {
  const hue = 360 * data.order[n] / Math.max(1, data.classes);
  return `hsl(${hue.toFixed(0)} ${dark.matches ? "62% 66%" : "70% 40%"})`;
}

function radius(n, box) {
  return Math.max(0.5, Math.min(2.2, box.scale / 400)) * (0.9 + 3 * Math.sqrt(Math.log1p(data.counts[n]) / Math.log1p(data.most)));
}

function draw() {
  const box = size();
  const style = getComputedStyle(document.documentElement);
  context.setTransform(box.ratio, 0, 0, box.ratio, 0, 0);
  context.clearRect(0, 0, box.width, box.height);
  const some = chosen.size > 0;
  for (let pass = 0; pass < (some ? 2 : 1); pass++) {
    for (let n = total - 1; n >= 0; n--) {
      const on = !some || chosen.has(n);
      if (some && on !== (pass === 1)) continue;
      const [x, y] = screen(n, box);
      if (x < -9 || y < -9 || x > box.width + 9 || y > box.height + 9) continue;
      context.globalAlpha = on ? 0.85 : 0.1;
      context.fillStyle = color(n);
      context.beginPath();
      context.arc(x, y, radius(n, box) + (some && on ? 1.2 : 0), 0, 7);
      context.fill();
    }
  }
  context.globalAlpha = 1;
  label(box, style);
  if (marked >= 0) {
    const [x, y] = screen(marked, box);
    context.strokeStyle = style.getPropertyValue("--ink");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, radius(marked, box) + 4, 0, 7);
    context.stroke();
  }
}

// Names of the most used dots, as far as they do not lie on each other.
function label(box, style) {
  context.font = "12px ui-monospace, monospace";
  context.textAlign = "center";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = style.getPropertyValue("--paper");
  context.fillStyle = style.getPropertyValue("--ink");
  const taken = [];
  for (let n = 0; n < total && taken.length < 140; n++) {
    if (chosen.size && !chosen.has(n)) continue;
    const [x, y] = screen(n, box);
    if (x < 0 || y < 0 || x > box.width || y > box.height || !data.texts[n].trim()) continue;
    const width = context.measureText(data.texts[n]).width / 2 + 5;
    if (taken.some(t => Math.abs(t[0] - x) < t[2] + width && Math.abs(t[1] - y) < 16)) continue;
    taken.push([x, y, width]);
    context.strokeText(data.texts[n], x, y - 6);
    context.fillText(data.texts[n], x, y - 6);
  }
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

// -- what is under the pointer ---------------------------------------------------------------------------------

function near(px, py) {
  const box = size();
  let best = -1, least = 14 * 14;
  for (let n = 0; n < total; n++) {
    const [x, y] = screen(n, box);
    const away = (x - px) ** 2 + (y - py) ** 2;
    if (away < least) { least = away; best = n; }
  }
  return best;
}

function facts(n) {
  const used = data.counts[n];
  return `id ${data.ids[n]} · class ${data.numbers[n]} · ${used === 1 ? "once" : used.toLocaleString("en") + " times"} in this text`;
}

function show(n, px, py) {
  if (n !== marked) { marked = n; redraw(); }
  tip.hidden = n < 0;
  if (n < 0) return;
  const code = document.createElement("code");
  code.textContent = data.texts[n];
  tip.replaceChildren(code, document.createTextNode(facts(n)));
  const box = canvas.getBoundingClientRect();
  tip.style.left = `${Math.max(0, Math.min(px + 14, box.width - tip.offsetWidth - 4))}px`;
  tip.style.top = `${py + 18 + tip.offsetHeight > box.height ? Math.max(0, py - tip.offsetHeight - 12) : py + 18}px`;
}

// -- moving ----------------------------------------------------------------------------------------------------

const fingers = new Map();

function local(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function zoomAt(px, py, by) {
  const box = size();
  const x = (px - box.width / 2) / box.scale + view.x, y = (py - box.height / 2) / box.scale + view.y;
  view.zoom = Math.max(1, Math.min(LARGEST_ZOOM, view.zoom * by));
  const scale = size().scale;
  view.x = x - (px - box.width / 2) / scale;
  view.y = y - (py - box.height / 2) / scale;
  bound();
}

function bound() {
  const room = 1 - 1 / view.zoom;
  view.x = Math.max(-room, Math.min(room, view.x));
  view.y = Math.max(-room, Math.min(room, view.y));
  redraw();
}

canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, local(event));
});
canvas.addEventListener("pointermove", event => {
  const now = local(event), before = fingers.get(event.pointerId);
  if (!before) return show(near(...now), ...now);
  const scale = size().scale;
  if (fingers.size === 1) {
    view.x -= (now[0] - before[0]) / scale;
    view.y -= (now[1] - before[1]) / scale;
    if (Math.hypot(now[0] - before[0], now[1] - before[1]) > 2) show(-1);
    bound();
  } else {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
    const is = Math.hypot(now[0] - other[0], now[1] - other[1]);
    if (was > 0) zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, is / was);
  }
  fingers.set(event.pointerId, now);
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, event => {
    const now = local(event);
    fingers.delete(event.pointerId);
    if (end === "pointerup") show(near(...now), ...now);
  });
}
canvas.addEventListener("pointerleave", () => { if (!fingers.size) show(-1); });
canvas.addEventListener("wheel", event => {
  if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
  event.preventDefault();
  zoomAt(...local(event), Math.exp(-event.deltaY / 300));
}, { passive: false });
canvas.addEventListener("keydown", event => {
  const step = 0.15 / view.zoom;
  const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
  const box = size();
  if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; bound(); }
  else if (event.key === "+" || event.key === "=") zoomAt(box.width / 2, box.height / 2, 1.4);
  else if (event.key === "-") zoomAt(box.width / 2, box.height / 2, 1 / 1.4);
  else return;
  event.preventDefault();
});
document.getElementById("nearer").addEventListener("click", () => zoomAt(size().width / 2, size().height / 2, 1.6));
document.getElementById("farther").addEventListener("click", () => zoomAt(size().width / 2, size().height / 2, 1 / 1.6));
document.getElementById("whole").addEventListener("click", () => { view = { x: 0, y: 0, zoom: 1 }; redraw(); });

// -- searching -------------------------------------------------------------------------------------------------

function go(n) {
  view = { x: data.x[n], y: data.y[n], zoom: Math.max(view.zoom, 6) };
  bound();
  const box = size();
  show(n, ...screen(n, box));
  canvas.scrollIntoView({ block: "nearest" });
}

function find() {
  const wanted = search.value.toLowerCase();
  chosen = new Set();
  if (wanted) {
    folded.forEach((text, n) => { if (text.includes(wanted) || String(data.ids[n]) === wanted) chosen.add(n); });
  }
  const found = [...chosen];
  // Those that are nothing else first, with or without a space.
  found.sort((a, b) => (folded[a].trim() !== wanted.trim()) - (folded[b].trim() !== wanted.trim()) || a - b);
  hits.replaceChildren(...found.slice(0, LISTED).map(n => {
    const button = document.createElement("button");
    const code = document.createElement("code");
    button.type = "button";
    code.textContent = data.texts[n];
    button.append(code);
    button.addEventListener("click", () => go(n));
    return button;
  }));
  count.textContent = wanted ? `${found.length.toLocaleString("en")} found` : "";
  redraw();
}

search.addEventListener("input", find);
for (const button of document.querySelectorAll("button[data-class]")) {
  button.addEventListener("click", () => {
    search.value = "";
    find();
    const wanted = Number(button.dataset.class);
    chosen = new Set(data.numbers.flatMap((number, n) => number === wanted ? [n] : []));
    count.textContent = `class ${wanted}: ${chosen.size.toLocaleString("en")} ids`;
    canvas.scrollIntoView({ block: "center" });
    redraw();
  });
}
dark.addEventListener("change", redraw);
new ResizeObserver(redraw).observe(canvas);
document.getElementById("explorer").hidden = false;
draw();
