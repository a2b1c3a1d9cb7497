// The page of a poll. What models wrote comes as JSON and is shown by `textContent` alone. A vote is kept in the browser
// until the server has it on its disk; the ballot's id makes a vote that is sent twice one vote.

import { answers, ask, still } from "./about.js";
import { correction, offer, setAnswers, write } from "./correction.js";
import { dequeue, enqueue, keep, queue, recall } from "./kept.js";
import { conclude, converse, letTalk, spoken } from "./live.js";
import { begin, enter, fillWithWords, letMark, marksIn } from "./marks.js";
import { letOwn, ownVotes } from "./mine.js";
import { call } from "./server.js";

const words = JSON.parse(document.body.dataset.words);
const { agreed, modes } = document.body.dataset;
const marksErrors = modes.includes("errors");
const tableFrom = Number(document.body.dataset.table);
const asks = ask(JSON.parse(document.body.dataset.questions), words);
const corrects = modes.includes("corrections");
const at = (id) => document.getElementById(id);
const form = at("ballot");
const questions = [...document.querySelectorAll("fieldset")];
const sides = { first: at("first"), second: at("second") };
const names = { first: at("name-first").textContent, second: at("name-second").textContent };
const RETRY = 5000; // milliseconds

let slip = null; // of the ballot on the page
let mine = null; // the vote on that, until the server has decided on it
let clock = { shown: 0, since: null }; // milliseconds in sight so far, and when it last came into sight
let ends = new Set(); // sides whose end was on the screen
let watcher = null;
let syncing = false;
let timer = null;
let trouble = null; // what was said of the server last

// --- talking with the server

/** Send what is not sent yet, then show what comes next. */
async function sync() {
  if (syncing) return;
  syncing = true;
  clearTimeout(timer);
  try {
    do {
      for (let vote = mine ?? queue()[0]; vote; vote = mine ?? queue()[0]) {
        const problem = await post(vote);
        if (problem) return retry(problem);
      }
      const problem = await next();
      if (problem) return retry(problem);
    } while (mine); // voted on meanwhile
    if (at("message").textContent === trouble) tell("");
  } finally {
    syncing = false;
  }
}

function retry(why) {
  tell((trouble = why));
  timer = setTimeout(sync, RETRY);
}

/** Send a vote; return what is to be said where the server has not decided on it. */
async function post(vote) {
  const { status, said } = await call("votes", agreed ? { ...vote, consent: agreed } : vote);
  if (said.error === "no consent") {
    location.reload(); // there is another text to accept
    return words.kept;
  }
  const isStored = status === 200 && Number.isInteger(said.cast);
  const isRefused = said.error && (status === 403 || status === 413);
  if (!isStored && !isRefused) return { 429: words.wait, 507: words.full }[status] ?? words.kept;
  tell(isStored ? "" : words.refused);
  if (isStored) count(said.cast);
  if (isStored || vote.skip) conclude(vote.ballot);
  dequeue(vote);
  if (mine?.ballot === vote.ballot) mine = null;
}

async function next() {
  const { status, said } = await call("ballot");
  if (said.error === "no cookie") return words.cookies;
  if (status !== 200) return words.unreachable;
  count(said.cast);
  at("done").hidden = !said.done;
  form.hidden = said.live ? !converse(said.live) : Boolean(said.done);
  if (said.ballot && said.ballot === slip) enable(!mine); // a vote on it was refused
  else if (said.ballot) show(said);
}

function tell(text) {
  at("message").textContent = text;
}

function count(votes) {
  at("count").textContent = words.count.replace("{n}", votes);
  ownVotes(votes, tableFrom);
}

// --- the ballot on the page

function show(given) {
  slip = given.ballot;
  form.reset();
  form.querySelectorAll("[aria-pressed]").forEach((button) => button.setAttribute("aria-pressed", "false"));
  at("prompt").replaceChildren(...turns(given.prompt, given.language));
  Object.values(sides).forEach((side, place) => {
    side.replaceChildren(...turns(given.answers[place], given.language, given.prompt.length));
    begin(side);
    countMarks(side, 0);
  });
  const [first, second] = given.answers.map((answer) => answer.at(-1).content);
  setAnswers({ first, second }, given.language);
  clock = { shown: 0, since: document.hidden ? null : performance.now() };
  watchEnds();
  mark();
  enable(true);
  scrollTo(0, 0);
  at("prompt").focus({ preventScroll: true });
}

/** Return the elements of turns. behind: how many turns there are before these answers; none for a prompt. */
function turns(messages, language, behind = null) {
  return messages.flatMap((message, place) => {
    const text = document.createElement("p");
    text.className = "text";
    text.dir = "auto";
    if (language) text.lang = language;
    if (marksErrors && behind !== null && message.role === "assistant") {
      fillWithWords(text, message.content, behind + place);
    } else {
      text.textContent = message.content;
    }
    const shown = message.cut ? [text, aside(words.cut)] : [text];
    if (messages.length === 1 && place === 0) return shown;
    return [aside(message.role === "user" ? words.you : words.model), ...shown];
  });
}

function aside(words) {
  const made = document.createElement("p");
  made.className = "role";
  made.textContent = words;
  return made;
}

function countMarks(side, number) {
  const told = side.parentElement.querySelector(".marked");
  told.hidden = !number;
  told.textContent = words.marked.replace("{n}", number);
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

/** Return the side that is better on the whole, as the server will see it; nothing for a tie and before the end. */
function winner() {
  const [content, language, overall] = ["content", "language", "overall"].map(given);
  if (!content || !language) return null;
  const whole = content === language ? content : overall || [content, language].find((one) => one in sides);
  return whole in sides ? whole : null;
}

/** Show the third question where the first two contradict each other, and mark the one that keys answer. */
function mark() {
  const better = new Set([given("content"), given("language")]);
  const overall = questions[2];
  overall.hidden = !(better.has("first") && better.has("second"));
  if (overall.hidden) overall.querySelectorAll("input").forEach((input) => (input.checked = false));
  if (corrects) offer(winner(), names[winner()]);
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
  const cast = { reasons: reasons(), correction: corrects ? correction() : undefined };
  asked().forEach((question) => (cast[question.dataset.question] = given(question.dataset.question)));
  if (marksErrors) cast.errors = { first: marksIn(sides.first), second: marksIn(sides.second) };
  return cast;
}

/** Send what a voter says of the pair on the page, once. */
function send(said) {
  if (form.querySelector(".main").disabled) return;
  enable(false);
  tell("");
  if (asks) said.about = still(JSON.parse(recall("about") || "{}"));
  mine = { ...said, ...spoken(), ballot: slip, seconds: secondsInSight(), seen: ends.size === 2 };
  enqueue(mine);
  sync();
}

function enable(on) {
  form.querySelector(".main").disabled = at("skip").disabled = !on;
}

form.addEventListener("change", mark);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const open = mark();
  if (open) {
    tell(words.unanswered);
    return open.scrollIntoView({ block: "center" });
  }
  send(vote());
});

at("skip").addEventListener("click", () => send({ skip: true }));

const WRITES = "textarea, select, input:not([type=radio])";
const ACTS = `button, summary, ${WRITES}`; // these take Enter for themselves

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || form.hidden) return;
  if (event.target.matches?.(WRITES)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const verdict = { 1: "first", 2: "tie", 3: "second", 4: "bad" }[event.key];
  if (verdict) {
    const question = document.activeElement.closest?.("fieldset") ?? mark();
    const input = question?.querySelector(`[value=${verdict}]`);
    if (!input) return;
    document.activeElement.blur();
    input.checked = true;
    (mark() ?? form.querySelector(".main")).scrollIntoView({ block: "nearest" });
  } else if (event.key === "0") {
    send({ skip: true });
  } else if (event.key === "e" && marksErrors) {
    enter(document.activeElement.closest?.("#first") ? sides.second : sides.first);
    event.preventDefault();
  } else if (event.key === "c" && corrects) {
    write();
    event.preventDefault();
  } else if (event.key === "Backspace") {
    const answered = asked().filter((question) => given(question.dataset.question)).pop();
    answered?.querySelectorAll("input").forEach((input) => (input.checked = false));
    mark();
  } else if (event.key === "Enter" && !event.repeat && !document.activeElement.matches(ACTS)) {
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
  words, agreed, tell, enable,
  show(given) {
    form.hidden = false;
    show(given);
  },
});
if (marksErrors) letMark(Object.values(sides), countMarks);
at("marks").hidden = !marksErrors;

at("agree").addEventListener("click", () => {
  keep("agreed", agreed);
  at("consent").hidden = true;
  start();
});

at("go").addEventListener("click", () => {
  keep("about", JSON.stringify(answers()));
  at("about").hidden = true;
  start();
});

letOwn({
  words,
  forget() {
    queue().forEach(dequeue);
    mine = null;
  },
  again: sync,
}, tableFrom);

addEventListener("online", sync);

/** Show what comes first: the text to accept, the questions about the voter, or a pair. */
function start() {
  if (agreed && recall("agreed") !== agreed) at("consent").hidden = false;
  else if (asks && recall("about") === null) at("about").hidden = false;
  else sync();
}

start();
