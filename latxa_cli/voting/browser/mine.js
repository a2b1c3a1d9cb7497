// A voter's own votes: the code by which they can be withdrawn, and which models the voter preferred.

import { call } from "./server.js";

const at = (id) => document.getElementById(id);
const code = at("code");
const button = at("withdraw");

let words = null; // of the page
let own = ""; // code
let sure = false; // the next withdrawal is meant

/** Begin. page: `words`; `forget`, which is called when a voter's own votes are gone, and `again`, when any are.
    tableFrom: votes before the table. */
export function letOwn(page, tableFrom) {
  words = page.words;
  at("mine").addEventListener("toggle", () => at("mine").open && !code.value && answered(showCode, "code"));
  at("withdrawal").addEventListener("submit", (event) => {
    event.preventDefault();
    answered(({ votes }) => withdrawn(votes, page), "withdrawal", { code: code.value, sure });
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
  const { status, said } = await call(address, body);
  if (status === 200) show(said);
  else tell(words.failed);
}

function showCode(given) {
  code.value = own = given.code;
}

function withdrawn(votes, { forget, again }) {
  if (!votes) {
    mean(false);
    return tell(words.nothing);
  }
  if (!sure) return mean(true, votes);
  mean(false);
  tell(words.withdrawn.replace("{n}", votes));
  if (code.value === own) forget(); // what is not sent yet, too
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
