// Error mode: words of answers that a voter marks as wrong, by a tap, by selecting, or by keys.
//
// A word is what white space separates; in scripts without spaces each character is one (`remarks.py` counts alike).
// A place in a text is a number of characters (code points), which is what the server counts.

const ALONE = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const WORD = new RegExp(`[${ALONE}]|[^\\s${ALONE}]+`, "gu");
const MOST_WORDS = 5000; // of a turn: elements beyond would make the page slow, and are not marked
const MOST_SPANS = 1000; // of a side

const length = (text) => [...text].length;
const wordsOf = (side) => [...side.querySelectorAll(".word")];
const isMarked = (word) => word.dataset.wrong === "true";

/** Fill a paragraph with the words of a turn, which can be marked. */
export function fillWithWords(paragraph, text, turn) {
  const parts = [];
  let read = 0; // in UTF-16
  let place = 0; // in characters
  for (const { 0: found, index } of text.matchAll(WORD)) {
    if (parts.length >= 2 * MOST_WORDS) break;
    parts.push(text.slice(read, index));
    place += length(text.slice(read, index));
    const word = document.createElement("span");
    word.className = "word";
    word.tabIndex = -1;
    word.textContent = found;
    Object.assign(word.dataset, { turn, start: place, end: (place += length(found)), wrong: false });
    parts.push(word);
    read = index + found.length;
  }
  paragraph.replaceChildren(...parts, text.slice(read));
}

/** Return what is marked in a side, as [turn, start, end]; words beside each other are one. Servers take so many. */
export function marksIn(side) {
  const spans = [];
  let open = null;
  for (const word of wordsOf(side)) {
    const [turn, start, end] = [word.dataset.turn, word.dataset.start, word.dataset.end].map(Number);
    if (!isMarked(word)) open = null;
    else if (open && open[0] === turn) open[2] = end;
    else spans.push((open = [turn, start, end]));
  }
  return spans.slice(0, MOST_SPANS);
}

/** Let the words of some sides be marked. changed: called with a side, and how many of its words are marked. */
export function letMark(sides, changed) {
  for (const side of sides) {
    side.addEventListener("click", (event) => {
      const selection = getSelection();
      const selected = selection.isCollapsed ? [] : wordsOf(side).filter((word) => selection.containsNode(word, true));
      const tapped = event.target.closest(".word");
      if (selected.length && event.detail > 1) return; // a double click selects the word that its first click marked
      if (selected.length) set(selected, !selected.every(isMarked));
      else if (tapped) set([tapped], !isMarked(tapped));
      changed(side, wordsOf(side).filter(isMarked).length);
    });
    side.addEventListener("keydown", (event) => {
      const word = event.target.closest(".word");
      if (!word || event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === " ") {
        set([word], !isMarked(word));
      } else if (event.key in STEPS) {
        const next = stepped(wordsOf(side), word, event.key);
        if (event.shiftKey) set([word, next], true);
        move(side, next);
      } else {
        return;
      }
      event.preventDefault();
      changed(side, wordsOf(side).filter(isMarked).length);
    });
    side.addEventListener("focusin", (event) => {
      const word = event.target.closest(".word");
      if (word) move(side, word, false);
    });
  }
}

/** Let Tab come to the first word of a side. */
export function begin(side) {
  const first = wordsOf(side)[0];
  if (first) first.tabIndex = 0;
}

/** Go to the word of a side that was left last. */
export function enter(side) {
  side.querySelector('.word[tabindex="0"]')?.focus();
}

const STEPS = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };

function stepped(all, word, key) {
  const backwards = key.startsWith("Arrow") && getComputedStyle(word).direction === "rtl";
  const place = all.indexOf(word) + (backwards ? -1 : 1) * STEPS[key];
  return all[Math.min(all.length - 1, Math.max(0, place))];
}

/** Make a word the one that Tab comes to. A role for every word would make answers unreadable by ear. */
function move(side, word, focus = true) {
  for (const other of side.querySelectorAll('.word[tabindex="0"]')) {
    other.tabIndex = -1;
    if (!isMarked(other)) say(other, false);
  }
  word.tabIndex = 0;
  say(word, true);
  if (focus) word.focus();
}

function set(words, wrong) {
  for (const word of words) {
    word.dataset.wrong = wrong;
    say(word, wrong || word.tabIndex === 0);
  }
}

function say(word, loud) {
  if (loud) word.setAttribute("role", "button");
  else word.removeAttribute("role");
  if (loud) word.setAttribute("aria-pressed", word.dataset.wrong);
  else word.removeAttribute("aria-pressed");
}
