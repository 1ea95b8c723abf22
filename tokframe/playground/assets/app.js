"use strict";
// The page of the playground. User text reaches the page as text nodes only.

const WAIT = 120;    // ms after the last key before the text is sent
const BATCH = 1500;  // pieces drawn at a time; more come as one scrolls
const EXAMPLE = "The quick brown fox doesn't jump over 1,234.50 lazy dogs.\n\n"
  + "def tokenize(text: str) -> list[int]:\n    return [tok.id for tok in tokenizer(text)]\n\n"
  + "Donaudampfschifffahrtsgesellschaft, naïve café, Привет, мир! 你好，世界 مرحبا 👩‍👩‍👧‍👦\n";

const key = location.hash.slice(1);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const area = document.getElementById("text");
const message = document.getElementById("message");
const detail = document.getElementById("detail");
const panels = [];
let limit = Infinity;
let timer = 0;
let turn = null;  // aborts the requests of the text before

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = printable(String(text ?? ""));
  return element;
}

function number(value, digits = 0) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function say(text) {
  message.textContent = printable(text);
  message.hidden = !text;
}

async function ask(path, parameters, options = {}) {
  const query = new URLSearchParams(parameters);
  const answer = await fetch(`${path}?${query}`, { ...options, headers: { "X-Tokframe-Token": key } });
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error);
  return data;
}

// What cannot be seen, or turns the direction of what stands beside it.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]/g;

function printable(text) {
  return text.replace(UNSEEN, c => {
    const code = c.charCodeAt(0).toString(16);
    return code.length > 2 ? "\\u" + code.padStart(4, "0") : "\\x" + code.padStart(2, "0");
  });
}

function visible(text) {
  return printable(text).replace(/\n/g, "↵\n");
}

function hex(bytes) {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join(" ");
}

// -- one tokenizer ----------------------------------------------------------------------------------------

class Panel {
  constructor(about) {
    this.about = about;
    this.result = null;
    this.root = make("section", "panel");
    const head = make("h2", "", about.label);
    head.append(make("small", "", ` ${number(about.vocab_size)} ids${about.lossless ? "" : ", loses text"}`));
    this.figures = make("dl", "figures");
    this.share = make("progress");
    this.share.max = 1;
    this.share.setAttribute("aria-label", "tokens beside the most of any");
    this.list = make("div", "pieces");
    this.list.tabIndex = 0;
    this.list.dir = "auto";
    this.list.setAttribute("aria-label", `${about.label}: pieces; arrow keys move, Enter opens one`);
    this.note = make("p", "note");
    this.root.append(head, this.figures, this.share, this.list, this.note);
    this.list.addEventListener("click", event => this.choose(event.target.closest("span")));
    this.list.addEventListener("keydown", event => this.key(event));
    this.watcher = new IntersectionObserver(entries => {
      if (entries.some(entry => entry.isIntersecting)) this.more();
    }, { root: this.list, rootMargin: "600px" });
  }

  show(result, bytes, chars) {
    this.result = { ...result, source: bytes, at: 0, next: 0, drawn: 0 };
    this.figures.replaceChildren();
    const count = result.ids.length;
    const facts = [
      ["tokens", number(count)],
      ["bytes per token", count ? number(bytes.length / count, 2) : "–"],
      ["characters per token", count ? number(chars / count, 2) : "–"],
      ["different ids", number(new Set(result.ids).size)],
      ["encoded in", `${number(result.ms, result.ms < 10 ? 2 : 0)} ms`],
    ];
    for (const [name, value] of facts) this.figures.append(wrap(make("dt", "", name), make("dd", "", value)));
    this.redraw();
  }

  fail(text) {
    this.result = null;
    this.figures.replaceChildren();
    this.list.replaceChildren();
    this.share.value = 0;
    this.note.textContent = printable(text);
  }

  redraw() {
    if (!this.result) return;
    this.watcher.disconnect();
    this.list.replaceChildren();
    this.list.scrollTop = 0;
    Object.assign(this.result, { at: 0, next: 0, drawn: 0 });
    this.more();
  }

  // Draw the next pieces: a token, or several where they share a character between them.
  more() {
    const r = this.result;
    if (!r) return;
    this.watcher.disconnect();
    const view = document.querySelector("input[name=view]:checked").value;
    const part = document.createDocumentFragment();
    for (let drawn = 0; r.next < r.ids.length && drawn < BATCH; drawn++) {
      const first = r.next, start = r.at;
      let text;
      if (r.lengths) {
        do { r.at += r.lengths[r.next++]; } while (r.at < r.source.length && (r.source[r.at] & 0xc0) === 0x80);
        const bytes = r.source.subarray(start, r.at);
        text = view === "hex" ? hex(bytes) : visible(decoder.decode(bytes));
      } else {
        text = r.pieces[r.next++];
        if (view === "hex") text = hex(encoder.encode(text));
      }
      const ids = r.ids.slice(first, r.next);
      const piece = make("span", `t${r.drawn++ % 4}${r.lengths ? "" : " loose"}`, view === "ids" ? ids.join(" ") : text);
      piece.dataset.first = first;
      piece.dataset.count = ids.length;
      piece.title = `id ${ids.join(" ")}`;
      if (ids.length > 1 && view === "text") piece.append(make("sub", "", String(ids.length)));
      part.append(piece);
      if (!r.lengths || view !== "text") part.append(" ");
    }
    this.list.append(part);
    const left = r.ids.length - r.next;
    this.note.textContent = left ? `${number(r.next)} of ${number(r.ids.length)} tokens are drawn; scroll for more.` : "";
    if (left) this.watcher.observe(this.list.lastElementChild);
  }

  key(event) {
    const now = this.list.querySelector(".chosen");
    const step = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
    if (!step) return;
    event.preventDefault();
    this.choose(now ? now[step] : this.list.firstElementChild);
  }

  choose(piece) {
    if (!piece || !this.result) return;
    for (const old of document.querySelectorAll(".chosen")) old.classList.remove("chosen");
    piece.classList.add("chosen");
    piece.scrollIntoView({ block: "nearest" });
    const first = Number(piece.dataset.first);
    showTokens(this, this.result.ids.slice(first, first + Number(piece.dataset.count)));
  }
}

function wrap(...children) {
  const element = make("div");
  element.append(...children);
  return element;
}

// -- one token --------------------------------------------------------------------------------------------

let asked = 0;

async function showTokens(panel, ids) {
  const mine = ++asked;
  const name = panel.about.name;
  try {
    const found = await Promise.all(ids.slice(0, 8).map(id => ask("/api/token", { name, id })));
    if (mine !== asked) return;
    const about = document.getElementById("about");
    about.replaceChildren(...found.map(token => describe(panel, token)));
    detail.hidden = false;
  } catch (error) {
    say(error.message);
  }
}

function describe(panel, token) {
  const root = make("article");
  const head = make("h2");
  head.append(make("code", "", token.text || "(empty)"), make("small", "", ` id ${token.id} of ${panel.about.label}`));
  root.append(head);
  const times = panel.result ? panel.result.ids.reduce((sum, id) => sum + (id === token.id), 0) : 0;
  const facts = [["bytes", `${token.bytes}: ${token.hex}`], ["in this text", times === 1 ? "once" : `${number(times)} times`]];
  if (token.special) facts.push(["kind", "special token"]);
  if (token.class >= 0) facts.push(["class by use", number(token.class)]);
  if (token.code !== undefined) facts.push(["code", number(token.code)], ["digits", token.digits.join(" ")]);
  const list = make("dl", "figures");
  for (const [title, value] of facts) list.append(wrap(make("dt", "", title), make("dd", "", value)));
  root.append(list);
  if (token.code === undefined) {
    if (panel.about.codes) root.append(make("p", "note", "This id has no code: the network does not spell it."));
  } else {
    root.append(digitRow(token.digits, token.levels));
  }
  const alike = near => [make("td", "", number(near.similarity, 2))];
  neighbors(root, panel, "Nearest by use", token.use, alike);
  neighbors(root, panel, "Nearest by spelling", token.spelling, alike);
  neighbors(root, panel, "Nearest by code", token.nearest, near => {
    const digits = make("td", "digits");
    near.digits.forEach((digit, i) => digits.append(make(digit === token.digits[i] ? "span" : "b", "", String(digit)), " "));
    return [make("td", "", `${near.steps} step${near.steps === 1 ? "" : "s"}`), digits];
  });
  return root;
}

// A table of ids, each a button that opens it, followed by the cells that say how near it is.
function neighbors(root, panel, title, found, cells) {
  if (!found || !found.length) return;
  const table = make("table");
  for (const near of found) {
    const row = make("tr");
    const cell = make("td");
    const button = make("button", "link");
    button.type = "button";
    button.append(make("code", "", near.text));
    button.addEventListener("click", () => showTokens(panel, [near.id]));
    cell.append(button);
    row.append(cell, ...cells(near));
    table.append(row);
  }
  root.append(make("h3", "", title), table);
}

function digitRow(digits, levels) {
  const row = make("div", "code");
  row.setAttribute("aria-hidden", "true");
  digits.forEach((digit, i) => {
    const column = make("div", "digit");
    for (let level = levels[i] - 1; level >= 0; level--) column.append(make("i", level === digit ? "on" : ""));
    row.append(column);
  });
  return row;
}

// -- the text ---------------------------------------------------------------------------------------------

async function segment() {
  if (turn) turn.abort();
  turn = new AbortController();
  const { signal } = turn;
  const bytes = encoder.encode(area.value);
  const chars = Array.from(area.value).length;
  document.getElementById("size").textContent = `${number(chars)} characters, ${number(bytes.length)} bytes`;
  if (bytes.length > limit) {
    say(`The text has ${number(bytes.length)} bytes; at most ${number(limit)} are taken here. For more: tokframe encode`);
    return;
  }
  say("");
  await Promise.all(panels.map(async panel => {
    try {
      panel.show(await ask("/api/segment", { name: panel.about.name }, { method: "POST", body: bytes, signal }), bytes, chars);
      panel.note.classList.remove("bad");
    } catch (error) {
      if (error.name === "AbortError") return;
      const gone = error instanceof TypeError;
      panel.fail(gone ? "no answer" : error.message);
      panel.note.classList.add("bad");
      if (gone) say("tokframe playground has stopped; start it again and open the new address.");
    }
  }));
  const most = Math.max(1, ...panels.map(panel => panel.result ? panel.result.ids.length : 0));
  for (const panel of panels) panel.share.value = panel.result ? panel.result.ids.length / most : 0;
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(segment, WAIT);
}

function set(text) {
  area.value = text;
  area.focus();
  detail.hidden = true;
  segment();
}

async function begin() {
  area.addEventListener("input", later);
  document.getElementById("example").addEventListener("click", () => set(EXAMPLE));
  document.getElementById("clear").addEventListener("click", () => set(""));
  document.getElementById("close").addEventListener("click", () => { detail.hidden = true; });
  document.addEventListener("keydown", event => { if (event.key === "Escape") detail.hidden = true; });
  for (const radio of document.querySelectorAll("input[name=view]")) {
    radio.addEventListener("change", () => panels.forEach(panel => panel.redraw()));
  }
  window.addEventListener("hashchange", () => location.reload());
  try {
    const about = await ask("/api/about", {});
    limit = about.max_bytes;
    panels.push(...about.tokenizers.map(each => new Panel(each)));
    document.getElementById("panels").append(...panels.map(panel => panel.root));
    if (!area.value) area.value = EXAMPLE;
    segment();
  } catch (error) {
    say(error.message);
  }
}

begin();
