// A voter's own votes: the code by which they can be withdrawn, and which models the voter preferred.

const at = (id) => document.getElementById(id);
const code = at("code");
const button = at("withdraw");

let words = null; // of the page
let sure = false; // the next withdrawal is meant

/** Begin. page: `words`, `tell`, and `again`, which is called when votes are gone. tableFrom: votes before the table. */
export function letOwn(page, tableFrom) {
  words = page.words;
  at("mine").addEventListener("toggle", () => at("mine").open && !code.value && answered(showCode, "code"));
  at("withdrawal").addEventListener("submit", (event) => {
    event.preventDefault();
    answered(({ votes }) => withdrawn(votes, page.again), "withdrawal", { code: code.value, sure });
  });
  code.addEventListener("input", () => mean(false));
  at("show-table").addEventListener("click", () => answered(showTable, "table"));
  at("table").hidden = !tableFrom;
}

/** Say how many votes there are: the table comes with so many. */
export function ownVotes(votes, tableFrom) {
  at("show-table").disabled = votes < tableFrom;
}

async function answered(show, address, body) {
  const sent = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const answer = await fetch(address, body && sent);
    if (answer.ok) show(await answer.json());
    else tell(words.failed);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // else the server cannot be reached
    tell(words.failed);
  }
}

function showCode(given) {
  code.value = given.code;
}

function withdrawn(votes, again) {
  if (!votes) {
    mean(false);
    return tell(words.nothing);
  }
  if (!sure) return mean(true, votes);
  mean(false);
  tell(words.withdrawn.replace("{n}", votes));
  again();
}

function mean(on, votes = 0) {
  sure = on;
  button.textContent = on ? words.sure.replace("{n}", votes) : words.withdraw;
  if (on) tell("");
}

function tell(text) {
  at("told").hidden = !text;
  at("told").textContent = text;
}

function showTable({ rows }) {
  const lines = rows.map(({ model, votes, won }) => {
    const line = document.createElement("tr");
    line.append(...[model, votes, won].map(cell));
    return line;
  });
  at("table").querySelector("tbody").replaceChildren(...lines);
  at("table").querySelector("table").hidden = false;
}

function cell(value) {
  const made = document.createElement("td");
  made.textContent = value;
  made.dir = "auto";
  return made;
}
