// Sends the chosen picture, and draws the outlines of its text. Every change of an option asks the service again.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const PATIENCE = 150; // milliseconds after the last move of a slider
const $ = (id) => document.getElementById(id);

let picture = null; // the chosen file
let limits = { picture_bytes: Infinity };
let defaults = {}; // the service's own values of the options
let unclipRatios = {}; // of them the unclip ratio, by the shape of the outlines
let ready = null; // the promise that the service's own options are shown
let running = null; // the AbortController of the request under way
let timer = 0;
const touched = new Set(); // the options that the person changed; the others are the service's

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
}

function choose(file) {
  if (!file) return;
  if (file.size > limits.picture_bytes) {
    say(`${file.name} has more than ${Math.floor(limits.picture_bytes / 2 ** 20)} MB, the limit of this service.`, true);
    return;
  }
  picture = file;
  URL.revokeObjectURL($("picture").src);
  $("figure").classList.remove("unseen");
  $("picture").src = URL.createObjectURL(file);
  $("picture").alt = file.name;
  $("figure").hidden = false;
  clear();
  ask();
}

// No result of another picture or of an older answer remains.
function clear() {
  draw([], 1, 1);
  list(null);
  offer(null);
}

function query() {
  const chosen = new URLSearchParams();
  for (const name of touched) if ($(name).value) chosen.set(name, $(name).value);
  return chosen;
}

async function ask() {
  if (!picture) return;
  running?.abort();
  const mine = (running = new AbortController());
  $("figure").classList.add("waiting");
  say("Looking for text …");
  try {
    await ready; // they say whether the service reads
    const answer = await send(mine.signal);
    const values = await answer.json().catch(() => ({ detail: `The service answered ${answer.status}.` }));
    if (!answer.ok) throw new Error(values.detail);
    show(values);
  } catch (error) {
    if (mine.signal.aborted) return; // a newer request is under way
    clear();
    say(error instanceof TypeError ? "The service cannot be reached." : error.message, true);
  }
  if (mine === running) $("figure").classList.remove("waiting");
}

async function send(signal) {
  const address = $("read").checked ? "read" : "detect";
  for (;;) {
    const answer = await fetch(`${address}?${query()}`, { method: "POST", body: picture, signal });
    if (answer.status !== 429) return answer;
    const seconds = Number(answer.headers.get("Retry-After")) || 1;
    say(`The service is busy. Asking again in ${seconds} s …`);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    signal.throwIfAborted();
  }
}

function show(values) {
  const words = values.lines
    ? values.lines.flatMap((line) => line.words).map((word) => ({ ...word, least: word.detection_score }))
    : values.detections.map((one) => ({ ...one, least: one.score }));
  draw(words, values.width, values.height);
  list(values);
  offer(values);
  const notes = (values.notes || []).map((note) => ` The picture ${note}.`).join("");
  say(`${words.length === 1 ? "1 outline" : `${words.length} outlines`}.${notes}`);
}

function describe(word) {
  const detection = `score ${word.least.toFixed(2)}`;
  return word.text === undefined ? detection : `${word.text || "(not read)"}, read ${word.score.toFixed(2)}, ${detection}`;
}

function draw(words, width, height) {
  const outlines = $("outlines");
  const focused = [...outlines.children].indexOf(document.activeElement);
  outlines.setAttribute("viewBox", `0 0 ${width} ${height}`);
  outlines.replaceChildren(
    ...words.map((word) => {
      const shape = document.createElementNS(SVG, "polygon");
      shape.setAttribute("points", word.polygon.map((point) => point.join(",")).join(" "));
      shape.setAttribute("tabindex", "0");
      shape.setAttribute("role", "img");
      shape.setAttribute("aria-label", describe(word));
      shape.dataset.score = word.least;
      for (const event of ["pointerenter", "focus"]) shape.addEventListener(event, () => tip(shape));
      for (const event of ["pointerleave", "blur"]) shape.addEventListener(event, () => ($("tip").hidden = true));
      return shape;
    }),
  );
  $("tip").hidden = true;
  // An answer that comes while a person steps through the outlines leaves them where they are.
  if (focused >= 0) outlines.children[Math.min(focused, words.length - 1)]?.focus();
}

function tip(shape) {
  const frame = $("figure").getBoundingClientRect();
  const box = shape.getBoundingClientRect();
  const note = $("tip");
  note.textContent = shape.getAttribute("aria-label");
  note.hidden = false;
  const left = Math.min(box.left - frame.left, frame.width - note.offsetWidth);
  const above = box.top - frame.top - note.offsetHeight - 4;
  note.style.left = `${Math.max(0, left)}px`;
  note.style.top = `${above < 0 ? box.bottom - frame.top + 4 : above}px`;
}

function list(values) {
  const lines = values?.lines || [];
  const words = lines.flatMap((line) => line.words).length;
  const count = values?.lines ? `: ${words} words` : `: ${values?.detections.length} outlines, not read`;
  $("count").textContent = values ? `Text${count}` : "Text";
  $("texts").replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line.text;
      return item;
    }),
  );
}

function offer(values) {
  const link = $("download");
  URL.revokeObjectURL(link.href);
  link.setAttribute("aria-disabled", String(values === null));
  if (values === null) {
    link.removeAttribute("href");
    return;
  }
  link.href = URL.createObjectURL(new Blob([JSON.stringify(values, null, 1)], { type: "application/json" }));
  link.download = `${picture.name || "picture"}.json`;
}

// Until a person moves a slider, it shows the service's own value, which it may not have as a step.
function showValues() {
  const own = { box_threshold: defaults.box_threshold, unclip_ratio: unclipRatios[$("shape").value] };
  for (const [name, value] of Object.entries(own)) {
    const moved = touched.has(name) || value === undefined;
    if (!moved) $(name).value = value;
    $(`${name}_value`).textContent = moved ? $(name).value : value;
  }
}

function changed() {
  showValues();
  // At once, without the service: outlines below the new threshold. Its answer then decides, because the threshold can
  // also change the size at which the picture is looked at.
  for (const shape of $("outlines").children) {
    shape.classList.toggle("below", Number(shape.dataset.score) < Number($("box_threshold").value));
  }
  clearTimeout(timer);
  timer = setTimeout(ask, PATIENCE);
}

async function start() {
  const models = await (await fetch("models")).json();
  ({ defaults, limits, unclip_ratios: unclipRatios } = models);
  $("size").append(new Option(defaults.size ? `${defaults.size} pixels` : "as the text needs", ""));
  for (const size of defaults.sizes) if (size !== defaults.size) $("size").append(new Option(`${size} pixels`, size));
  if (!touched.has("shape")) $("shape").value = defaults.shape;
  $("read_row").hidden = !defaults.reads;
  $("read").checked = defaults.reads;
  showValues();
}

$("file").addEventListener("change", () => {
  choose($("file").files[0]);
  $("file").value = ""; // so that the same file can be chosen again
});
$("picture").addEventListener("error", () => $("figure").classList.add("unseen"));
$("options").addEventListener("input", (event) => {
  if (event.target.id !== "read") touched.add(event.target.id);
  changed();
});
$("options").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("paste", (event) => choose([...event.clipboardData.files][0]));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  choose(event.dataTransfer.files[0]);
});
ready = start().catch(() => say("The service cannot be reached.", true));
