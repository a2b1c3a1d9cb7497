// What the browser keeps of a poll: votes until the server has them, and what the voter has accepted and answered.

const { poll } = document.body.dataset;
const VOTE = "vote-"; // each vote has an entry of its own: two tabs never write over each other's
const memory = new Map(); // what a browser does not keep, since it keeps nothing or no more

export function recall(name) {
  try {
    return memory.get(name) ?? localStorage.getItem(`${poll}-${name}`);
  } catch {
    return memory.get(name) ?? null;
  }
}

export function keep(name, value) {
  memory.delete(name);
  try {
    localStorage.setItem(`${poll}-${name}`, value);
  } catch {
    memory.set(name, value);
  }
}

/** Return the votes that are not sent yet. */
export function queue() {
  return names().map((name) => JSON.parse(recall(name)));
}

export function enqueue(vote) {
  keep(VOTE + vote.ballot, JSON.stringify(vote));
}

export function dequeue(vote) {
  memory.delete(VOTE + vote.ballot);
  try {
    localStorage.removeItem(`${poll}-${VOTE}${vote.ballot}`);
  } catch {
    // a browser that keeps nothing
  }
}

function names() {
  const held = [...memory.keys()];
  try {
    held.push(...Object.keys(localStorage).map((name) => name.replace(`${poll}-`, "")));
  } catch {
    // a browser that keeps nothing
  }
  return [...new Set(held)].filter((name) => name.startsWith(VOTE) && recall(name));
}

/** Return what is kept for this tab alone; nothing where there is none. */
export function recallHere(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`${poll}-${name}`));
  } catch {
    return null;
  }
}

export function keepHere(name, value) {
  try {
    sessionStorage.setItem(`${poll}-${name}`, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing: what the page has lasts as long as the page
  }
}
