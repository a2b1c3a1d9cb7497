"use strict";
// The items of the page: two models side by side. What models and data wrote only ever becomes text, never HTML.
// The outline of all tasks is unpacked at once, and a task when it is chosen.
(() => {
  const PER_PAGE = 10;
  const LEAST = 80; // letters of the end of a prompt, where its own question is, that stand there without being asked for
  const MOST = 1500;
  const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
  const KINDS = {
    all: "all items",
    differ: "one of the two is right",
    "only A": "only A is right",
    "only B": "only B is right",
    "both right": "both are right",
    "both wrong": "both are wrong",
    "not judged": "neither right nor wrong",
    unlike: "asked in another way",
    "one asked": "only one was asked",
  };
  const $ = (id) => document.getElementById(id);
  const seen = (text) => String(text).replace(UNSEEN, "\ufffd");

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else made.setAttribute(name, value);
    }
    made.append(...children.map((child) => (typeof child === "string" ? seen(child) : child)));
    return made;
  }

  async function unpack(id) {
    const bytes = Uint8Array.from(atob($(id).textContent.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  let outline, task, texts; // of all tasks; of the chosen one: its number, and what was unpacked of it
  let page = 0;
  let shown = []; // places of the items that the choice leaves
  const unpacked = new Map();

  const at = (numbers, place) => (typeof numbers === "number" ? numbers : (numbers[place] ?? 0));

  /** Return the kind of each item of a task for models a and b; with b empty, of a alone. */
  function kind(about, place, a, b) {
    const first = about.marks[a]?.[place] ?? " ";
    if (b === "") return first === " " ? "" : { 1: "only A", 0: "both wrong", "?": "not judged" }[first];
    const second = about.marks[b]?.[place] ?? " ";
    if (first === " " && second === " ") return "";
    if (first === " " || second === " ") return "one asked";
    if (at(about.variants[a], place) !== at(about.variants[b], place)) return "unlike";
    if (first === "?" || second === "?") return "not judged";
    if (first === second) return first === "1" ? "both right" : "both wrong";
    return first === "1" ? "only A" : "only B";
  }

  function counts(about, a, b) {
    const found = {};
    for (let place = 0; place < about.items; place++) {
      const one = kind(about, place, a, b);
      found[one] = (found[one] ?? 0) + 1;
    }
    return found;
  }

  const choice = () => ({ a: $("model-a").value, b: $("model-b").value, kind: $("kind").value, words: $("words").value.trim().toLowerCase() });
  const name = (model) => outline.models[model];

  // --- the table of all tasks

  function drawTasks() {
    const { a, b } = choice();
    const alone = b === "";
    const heads = b === "" ? { "only A": "right", "both wrong": "wrong" } : { "both right": "both right", "only A": "only A right", "only B": "only B right", "both wrong": "both wrong" };
    const all = outline.tasks.map((about) => counts(about, a, b));
    for (const [one, head] of [["not judged", "not judged"], ["unlike", "asked in another way"], ["one asked", "only one asked"]]) if (all.some((found) => found[one])) heads[one] = head;
    const rows = [];
    let unlike = 0;
    outline.tasks.forEach((about, number) => {
      const found = all[number];
      unlike += found.unlike ?? 0;
      const items = about.items - (found[""] ?? 0);
      if (!items) return;
      const row = element("tr", number === task ? { class: "chosen", "aria-current": "true" } : {});
      row.append(element("th", { scope: "row" }, element("button", { type: "button", onclick: () => choose(number) }, about.name)));
      row.append(element("td", { class: "number" }, items.toLocaleString("en")));
      for (const column of Object.keys(heads)) row.append(element("td", { class: "number" }, (found[column] ?? 0).toLocaleString("en")));
      rows.push(row);
    });
    const head = element("tr", {}, ...["task", "items", ...Object.values(heads)].map((text, place) => element("th", { scope: "col", ...(place ? { class: "number" } : {}) }, text)));
    $("tasks").replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
    const said = $("unlike");
    said.hidden = unlike === 0;
    said.textContent = unlike
      ? `${unlike.toLocaleString("en")} items were asked in another way of these two models: another prompt, other choices or another right answer under the same id. They are not compared; “asked in another way” shows them.`
      : "";
  }

  // --- the items of one task

  async function choose(number) {
    task = number;
    $("task").value = String(number);
    drawTasks();
    await drawItems();
  }

  async function drawItems(first = 0) {
    const number = task;
    if (!unpacked.has(number)) unpacked.set(number, await unpack(`task-${number}`));
    if (number !== task) return; // another one was chosen meanwhile
    texts = unpacked.get(number);
    const about = outline.tasks[task];
    const { a, b, kind: wanted, words } = choice();
    const hits = words ? new Set(texts.texts.flatMap((text, place) => (text.toLowerCase().includes(words) ? [place] : []))) : null;
    shown = [];
    for (let place = 0; place < about.items; place++) {
      const one = kind(about, place, a, b);
      if (one === "" || !(wanted === "all" || one === wanted || (wanted === "differ" && one.startsWith("only ")))) continue;
      if (hits && !found(place, hits, words, a, b)) continue;
      shown.push(place);
    }
    page = Math.min(first, Math.max(0, Math.ceil(shown.length / PER_PAGE) - 1));
    drawPage();
  }

  function found(place, hits, words, a, b) {
    if (texts.ids[place].toLowerCase().includes(words)) return true;
    const answers = [a, b].filter((model) => model !== "").flatMap((model) => [-2 - (texts.answers[model]?.[place] ?? -1), texts.responses[model]?.[place] ?? -1]);
    return answers.some((text) => hits.has(text)) || texts.asked[place].some(([prompt, choices]) => prompt.some((text) => hits.has(text)) || (choices ?? []).some((text) => hits.has(text)));
  }

  function drawPage() {
    const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
    const items = shown.slice(page * PER_PAGE, (page + 1) * PER_PAGE).map(item);
    $("list").replaceChildren(...items);
    const where = shown.length ? `page ${page + 1} of ${pages}, ${shown.length.toLocaleString("en")} items` : "no item";
    for (const end of ["top", "bottom"]) {
      $(`where-${end}`).textContent = where;
      $(`before-${end}`).disabled = page === 0;
      $(`after-${end}`).disabled = page + 1 >= pages;
    }
  }

  function turn(pages) {
    const last = Math.max(0, Math.ceil(shown.length / PER_PAGE) - 1);
    const next = Math.min(last, Math.max(0, page + pages));
    if (next === page) return;
    page = next;
    drawPage();
    $("items").scrollIntoView();
  }

  function item(place) {
    const { a, b } = choice();
    const about = outline.tasks[task];
    const models = [["A", a], ["B", b]].filter(([, model]) => model !== "" && (about.marks[model]?.[place] ?? " ") !== " ");
    const made = element("article", {}, element("h3", {}, texts.ids[place]));
    const line = element("p");
    for (const [letter, model] of models) {
      const mark = { 1: "right", 0: "wrong", "?": "not judged" }[about.marks[model][place]];
      line.append(element("span", { class: `tag ${letter.toLowerCase()}` }, `${letter}: ${mark}`));
    }
    made.append(line);
    const variants = new Map();
    for (const [letter, model] of models) {
      const variant = at(about.variants[model], place);
      variants.set(variant, [...(variants.get(variant) ?? []), [letter, model]]);
    }
    if (variants.size > 1) made.append(element("p", { class: "said" }, "The two were asked in another way."));
    for (const [variant, asked] of variants) {
      if (variants.size > 1) made.append(element("h4", {}, `Asked of ${asked.map(([letter]) => letter).join(" and ")}`));
      made.append(...question(place, variant, asked));
    }
    return made;
  }

  function question(place, variant, asked) {
    const [paragraphs, choices, target] = texts.asked[place][variant];
    const prompt = paragraphs.map((text) => texts.texts[text]).join("");
    const parts = [];
    const end = ownQuestion(paragraphs);
    if (prompt.length > end.length) {
      const whole = element("details", {}, element("summary", {}, `the whole prompt, ${prompt.length.toLocaleString("en")} characters`));
      whole.addEventListener("toggle", () => { if (whole.open && whole.children.length === 1) whole.append(element("div", { class: "text whole", dir: "auto", tabindex: "0" }, prompt)); });
      parts.push(whole, element("div", { class: "text", dir: "auto" }, `… ${end}`));
    } else if (prompt) parts.push(element("div", { class: "text", dir: "auto" }, prompt));
    if (choices) parts.push(element("ol", { class: "choices" }, ...choices.map((text, number) => {
      const line = element("li", {}, element("bdi", {}, texts.texts[text]));
      if (number === target) line.append(element("span", { class: "tag target" }, "right answer"));
      for (const [letter, model] of asked) if (texts.answers[model][place] === number) line.append(element("span", { class: `tag ${letter.toLowerCase()}` }, `model ${letter}`));
      return line;
    })));
    if (target < -1) parts.push(element("p", {}, element("span", { class: "target" }, "right answer: "), element("bdi", {}, texts.texts[-2 - target])));
    const written = asked.map(([letter, model]) => wrote(letter, model, place)).filter(Boolean);
    if (written.length) parts.push(element("div", { class: "pair" }, ...written));
    return parts;
  }

  /** Return the last paragraphs of a prompt: the question, perhaps with the head of the turn that answers it. */
  function ownQuestion(paragraphs) {
    let end = "";
    for (let place = paragraphs.length; place > 0 && end.trim().length < LEAST; place--) end = texts.texts[paragraphs[place - 1]] + end;
    return end.slice(-MOST);
  }

  /** Return what a model wrote of its own, or nothing where it chose among choices. */
  function wrote(letter, model, place) {
    const answer = texts.answers[model][place];
    const response = texts.responses[model]?.[place] ?? -1;
    if (answer >= 0 && response < 0) return null;
    const made = element("div", {}, element("h4", { class: letter.toLowerCase() }, `${letter}: ${name(model)}`));
    if (answer < 0) made.append(element("div", { class: "text", dir: "auto" }, answer < -1 ? texts.texts[-2 - answer] : "no answer"));
    if (response >= 0) made.append(element("details", {}, element("summary", {}, "what it wrote"), element("div", { class: "text whole", dir: "auto", tabindex: "0" }, texts.texts[response])));
    return made;
  }

  // --- controls

  function options(select, entries) {
    select.replaceChildren(...entries.map(([value, text]) => element("option", { value: String(value) }, text)));
  }

  async function start() {
    outline = await unpack("outline");
    const models = outline.models.map((model, number) => [number, model]);
    options($("model-a"), models);
    options($("model-b"), [...models, ["", "no other model"]]);
    $("model-b").value = models.length > 1 ? "1" : "";
    options($("task"), outline.tasks.map((about, number) => [number, about.name]));
    options($("kind"), Object.entries(KINDS));
    const again = () => { drawTasks(); return drawItems(); };
    for (const id of ["model-a", "model-b"]) $(id).addEventListener("change", again);
    $("kind").addEventListener("change", () => drawItems());
    $("task").addEventListener("change", () => choose(Number($("task").value)));
    let waiting;
    $("words").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(drawItems, 200); });
    $("browse").addEventListener("submit", (event) => event.preventDefault());
    for (const end of ["top", "bottom"]) {
      $(`before-${end}`).addEventListener("click", () => turn(-1));
      $(`after-${end}`).addEventListener("click", () => turn(1));
    }
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === "n") turn(1);
      else if (event.key === "p") turn(-1);
      else if (event.key === "/") { event.preventDefault(); $("words").focus(); }
    });
    $("browse").hidden = false;
    await choose(0);
    document.body.dataset.ready = "yes";
  }

  start().catch((error) => { $("failed").hidden = false; $("failed").textContent = `The items cannot be shown: ${error}`; });
})();
