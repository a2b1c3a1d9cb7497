// Live polls: what a voter writes, and both conversations, which the page keeps and sends back with each message and with
// the vote. They are kept for this tab, so that a page that is loaded again goes on with them.

import { keepHere, recallHere } from "./kept.js";
import { call } from "./server.js";

const form = document.getElementById("talk");
const draft = document.getElementById("draft");
const send = form.querySelector(".main");

let page = null; // what the page of the poll does for this part of it: see `letTalk`
let limits = null; // of a live poll, as the server says them: `turns` and `longest`
let shown = null; // the conversations on the page, as the server sent them

/** Begin. page: `words` and `agreed`, and the functions `tell`, `show` and `enable`. */
export function letTalk(ofPoll) {
  page = ofPoll;
  form.addEventListener("submit", ask);
  draft.addEventListener("input", () => keepHere("draft", draft.value));
  draft.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

/** Show where the voter stands: a conversation that has begun, or none. Return whether there is one. */
export function converse(given) {
  const isFirst = limits === null;
  limits = given;
  draft.maxLength = limits.longest;
  if (isFirst) {
    show(recallHere("talk"));
    draft.value = recallHere("draft") ?? "";
  } else if (shown) {
    page.enable(!send.disabled); // a vote on it was refused
  }
  settle();
  if (!shown) draft.focus();
  return shown !== null;
}

/** Return what a vote says of the conversations, and let the voter write no more. */
export function spoken() {
  if (!shown) return {};
  form.hidden = true;
  return { conversations: conversations() };
}

/** Be done with the conversations of a ballot, which are voted on. */
export function conclude(ballot) {
  const held = shown ?? recallHere("talk"); // not shown yet, where the page was loaded again
  if (held?.ballot.split(".")[0] === ballot.split(".")[0]) keepHere("talk", (shown = null));
}

const conversations = () => shown.answers.map((answer) => [...shown.prompt, ...answer]);

const turns = () => (shown ? conversations()[0].length / 2 : 0);

function settle() {
  form.hidden = turns() >= limits.turns;
}

function show(given) {
  shown = given;
  if (!given) return;
  page.show(given);
  if (turns() > 1) document.querySelector("#first > :last-child").scrollIntoView({ block: "center" });
}

async function ask(event) {
  event.preventDefault();
  const text = draft.value.trim();
  if (!text || send.disabled) return;
  const message = { message: text.toWellFormed?.() ?? text };
  if (page.agreed) message.consent = page.agreed;
  if (shown) Object.assign(message, { ballot: shown.ballot, conversations: conversations() });
  wait(true);
  page.tell(page.words.waiting);
  const { status, said } = await call("messages", message, null);
  wait(false);
  if (said.error === "no consent") return location.reload(); // there is another text to accept
  page.tell(status === 200 ? "" : status === 400 && shown ? page.words.over : page.words.silent);
  if (status === 200) begin(said);
}

function begin(given) {
  draft.value = "";
  keepHere("draft", "");
  keepHere("talk", given);
  show(given);
  settle();
}

function wait(on) {
  send.disabled = draft.readOnly = on;
  if (shown) page.enable(!on);
}
