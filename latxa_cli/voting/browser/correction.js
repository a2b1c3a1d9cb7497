// The better answer as the voter would have it.

const LONGEST = 20000; // characters, as browsers count them; the server has the same limit, and counts less

const box = document.getElementById("correction");
const field = document.getElementById("corrected");
let texts = {}; // by side, the answer as it is
let drafts = {}; // by side, as the voter has it
let side = null;

const plain = (text) => text.replace(/\r\n?/g, "\n"); // what a text field makes of line breaks

/** Begin anew with the answers of a pair, by side. */
export function setAnswers(answers, language) {
  [texts, drafts, side] = [answers, {}, null];
  field.lang = language;
  box.open = false;
  box.hidden = true;
}

/** Offer to correct the better answer, if there is one; name: what the page calls it. */
export function offer(better, name) {
  if (side) drafts[side] = field.value;
  side = better && texts[better].length <= LONGEST ? better : null;
  box.hidden = side === null;
  if (side === null) return;
  box.querySelector("summary b").textContent = name;
  field.value = drafts[side] ?? texts[side];
}

/** Return the corrected answer, or nothing where nothing was changed. */
export function correction() {
  if (side === null || !field.value.trim() || plain(field.value) === plain(texts[side])) return undefined;
  return field.value.toWellFormed?.() ?? field.value; // half a character is no JSON that a server reads
}

/** Open the field and go there. */
export function write() {
  if (box.hidden) return;
  box.open = true;
  field.focus();
}
