// The page of a poll. What models wrote comes as JSON and is shown by `textContent` alone. A vote is kept in the browser
// until the server has it on its disk; the ballot's id makes a vote that is sent twice one vote.

import { conclude, converse, letTalk } from "./live.js";

const words = JSON.parse(document.body.dataset.words);
const { poll, agreed } = document.body.dataset;
const at = (id) => document.getElementById(id);
const form = at("ballot");
const questions = [...document.querySelectorAll("fieldset")];
const RETRY = 5000; // milliseconds

let slip = null; // of the ballot on the page
let clock = { shown: 0, since: null }; // milliseconds in sight so far, and when it last came into sight
let ends = new Set(); // sides whose end was on the screen
let watcher = null;
let syncing = false;

// --- what the browser keeps

const memory = new Map(); // where a browser keeps nothing

function recall(name) {
  try {
    return localStorage.getItem(`${poll}-${name}`);
  } catch {
    return memory.get(name) ?? null;
  }
}

function keep(name, value) {
  try {
    localStorage.setItem(`${poll}-${name}`, value);
  } catch {
    memory.set(name, value);
  }
}

const queue = () => JSON.parse(recall("queue") || "[]");

function enqueue(vote) {
  keep("queue", JSON.stringify([...queue().filter((other) => other.ballot !== vote.ballot), vote]));
}

function dequeue(vote) {
  keep("queue", JSON.stringify(queue().filter((other) => other.ballot !== vote.ballot)));
}

// --- talking with the server

async function sync() {
  if (syncing) return;
  syncing = true;
  try {
    for (let vote = queue()[0]; vote; vote = queue()[0]) {
      const headers = { "Content-Type": "application/json" };
      const answer = await fetch("votes", { method: "POST", headers, body: JSON.stringify(vote) });
      if (answer.ok) {
        tell("");
        count((await answer.json()).cast);
      } else if (answer.status === 403 || answer.status === 413) {
        tell(words.refused);
      } else {
        return retry({ 429: words.wait, 507: words.full }[answer.status] ?? words.kept);
      }
      dequeue(vote);
    }
    await next();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // else the server cannot be reached
    retry(queue().length ? words.kept : words.unreachable);
  } finally {
    syncing = false;
  }
}

function retry(why) {
  tell(why);
  setTimeout(sync, RETRY);
}

async function next() {
  const answer = await fetch("ballot");
  if (!answer.ok) return retry(words.unreachable);
  const given = await answer.json();
  count(given.cast);
  at("done").hidden = !given.done;
  form.hidden = given.live ? !converse(given.live) : Boolean(given.done);
  if (given.ballot && given.ballot !== slip) show(given);
}

function tell(text) {
  at("message").hidden = !text;
  at("message").textContent = text;
}

function count(votes) {
  at("count").textContent = words.count.replace("{n}", votes);
}

// --- the ballot on the page

function show(given) {
  slip = given.ballot;
  form.reset();
  form.querySelectorAll("[aria-pressed]").forEach((button) => button.setAttribute("aria-pressed", "false"));
  at("prompt").replaceChildren(...turns(given.prompt, given.language));
  at("first").replaceChildren(...turns(given.answers[0], given.language));
  at("second").replaceChildren(...turns(given.answers[1], given.language));
  clock = { shown: 0, since: document.hidden ? null : performance.now() };
  watchEnds();
  mark();
  enable(true);
  scrollTo(0, 0);
  at("prompt").focus({ preventScroll: true });
}

function turns(messages, language) {
  return messages.flatMap((message, place) => {
    const text = document.createElement("p");
    text.className = "text";
    text.dir = "auto";
    if (language) text.lang = language;
    text.textContent = message.content;
    if (messages.length === 1 && place === 0) return [text];
    const role = document.createElement("p");
    role.className = "role";
    role.textContent = message.role === "user" ? words.you : words.model;
    return [role, text];
  });
}

function watchEnds() {
  ends = new Set();
  watcher?.disconnect();
  watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => ends.add(entry.target.dataset.side));
  });
  document.querySelectorAll(".reasons").forEach((end) => watcher.observe(end));
}

document.addEventListener("visibilitychange", () => {
  if (clock.since !== null) clock.shown += performance.now() - clock.since;
  clock.since = document.hidden ? null : performance.now();
});

const secondsInSight = () => (clock.shown + (clock.since === null ? 0 : performance.now() - clock.since)) / 1000;

const given = (question) => form.elements[question]?.value || "";

const asked = () => questions.filter((question) => !question.hidden);

/** Show the third question where the first two contradict each other, and mark the one that keys answer. */
function mark() {
  const better = new Set([given("content"), given("language")]);
  const overall = questions[2];
  overall.hidden = !(better.has("first") && better.has("second"));
  if (overall.hidden) overall.querySelectorAll("input").forEach((input) => (input.checked = false));
  const open = asked().find((question) => !given(question.dataset.question));
  questions.forEach((question) => question.removeAttribute("aria-current"));
  open?.setAttribute("aria-current", "step");
  return open;
}

function reasons() {
  const found = {};
  document.querySelectorAll('.reasons [aria-pressed="true"]').forEach((button) => {
    (found[button.parentElement.dataset.side] ??= []).push(button.dataset.reason);
  });
  return found;
}

function vote() {
  const cast = { ballot: slip, reasons: reasons(), seconds: secondsInSight(), seen: ends.size === 2 };
  asked().forEach((question) => (cast[question.dataset.question] = given(question.dataset.question)));
  if (agreed) cast.consent = agreed;
  return Object.assign(cast, conclude());
}

function enable(on) {
  form.querySelector(".main").disabled = !on;
}

form.addEventListener("change", mark);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const open = mark();
  if (open) {
    tell(words.unanswered);
    return open.scrollIntoView({ block: "center" });
  }
  if (form.querySelector(".main").disabled) return;
  enable(false);
  tell("");
  enqueue(vote());
  sync();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || form.hidden || event.target.matches?.("textarea")) return;
  const verdict = { 1: "first", 2: "tie", 3: "second", 4: "bad" }[event.key];
  if (verdict) {
    const question = document.activeElement.closest?.("fieldset") ?? mark();
    const input = question?.querySelector(`[value=${verdict}]`);
    if (!input) return;
    document.activeElement.blur();
    input.checked = true;
    (mark() ?? form.querySelector(".main")).scrollIntoView({ block: "nearest" });
  } else if (event.key === "Backspace") {
    const answered = asked().filter((question) => given(question.dataset.question)).pop();
    answered?.querySelectorAll("input").forEach((input) => (input.checked = false));
    mark();
  } else if (event.key === "Enter" && !event.repeat && !(document.activeElement instanceof HTMLButtonElement)) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// --- the beginning

for (const question of questions) {
  question.append(at("verdicts").content.cloneNode(true));
  question.querySelectorAll("input").forEach((input) => (input.name = question.dataset.question));
}
for (const side of document.querySelectorAll(".reasons")) {
  side.append(at("reasons").content.cloneNode(true));
  side.querySelectorAll("button").forEach((button) => button.setAttribute("aria-pressed", "false"));
  side.addEventListener("click", ({ target }) => {
    if (target.dataset.reason) target.setAttribute("aria-pressed", String(target.getAttribute("aria-pressed") !== "true"));
  });
}

letTalk({
  poll, words, agreed, tell, enable,
  show(given) {
    form.hidden = false;
    show(given);
  },
});

at("agree").addEventListener("click", () => {
  keep("agreed", agreed);
  at("consent").hidden = true;
  sync();
});

addEventListener("online", sync);

if (agreed && recall("agreed") !== agreed) at("consent").hidden = false;
else sync();
