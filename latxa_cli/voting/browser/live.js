// Live polls: what a voter writes, and both conversations, which the page keeps and sends back with each message and with
// the vote. They are kept for this tab, so that a page that is loaded again goes on with them.

const form = document.getElementById("talk");
const draft = document.getElementById("draft");
const send = form.querySelector(".main");

let page = null; // what the page of the poll does for this part of it: see `letTalk`
let limits = null; // of a live poll, as the server says them: `turns` and `longest`
let shown = null; // the conversations on the page, as the server sent them

/** Begin. page: `poll`, `words` and `agreed`, and the functions `tell`, `show` and `enable`. */
export function letTalk(ofPoll) {
  page = ofPoll;
  form.addEventListener("submit", ask);
  draft.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

/** Show where the voter stands: a conversation that has begun, or none. Return whether there is one. */
export function converse(given) {
  limits = given;
  draft.maxLength = limits.longest;
  if (!shown) show(recall());
  settle();
  if (!shown) draft.focus();
  return shown !== null;
}

/** Return what a vote says of the conversations, and be done with them. */
export function conclude() {
  if (!shown) return {};
  const said = { conversations: conversations() };
  keep((shown = null));
  form.hidden = true;
  return said;
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
  const said = { message: text.toWellFormed?.() ?? text };
  if (page.agreed) said.consent = page.agreed;
  if (shown) Object.assign(said, { ballot: shown.ballot, conversations: conversations() });
  wait(true);
  page.tell(page.words.waiting);
  try {
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch("messages", { method: "POST", headers, body: JSON.stringify(said) });
    const given = answer.ok ? await answer.json() : null;
    wait(false);
    page.tell(given ? "" : page.words.silent);
    if (given) begin(given);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // else the server cannot be reached
    wait(false);
    page.tell(page.words.silent);
  }
}

function begin(given) {
  draft.value = "";
  keep(given);
  show(given);
  settle();
}

function wait(on) {
  send.disabled = draft.readOnly = on;
  if (shown) page.enable(!on);
}

function recall() {
  try {
    return JSON.parse(sessionStorage.getItem(`${page.poll}-talk`));
  } catch {
    return null;
  }
}

function keep(given) {
  try {
    sessionStorage.setItem(`${page.poll}-talk`, JSON.stringify(given));
  } catch {
    // a browser that keeps nothing: it has the conversation as long as the page is there
  }
}
