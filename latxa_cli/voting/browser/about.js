// What voters say of themselves, once: answers to the organiser's questions, of which none has to be answered.

const place = document.getElementById("asked");
let questions = {};

/** Make the fields of the questions; words: of the page. Return whether there are any. */
export function ask(given, words) {
  questions = given;
  for (const [name, { question, answers }] of Object.entries(questions)) {
    const label = document.createElement("label");
    const field = document.createElement("select");
    label.append(question, field);
    field.name = name;
    field.append(new Option(words.unsaid, ""), ...answers.map((answer) => new Option(answer)));
    place.append(label);
  }
  return Object.keys(questions).length > 0;
}

/** Return what was answered on the page, by question. */
export function answers() {
  const fields = [...place.querySelectorAll("select")].filter((field) => field.value);
  return Object.fromEntries(fields.map((field) => [field.name, field.value]));
}

/** Return what was answered before, of what is still asked. */
export function still(said) {
  return Object.fromEntries(Object.entries(said).filter(([name, answer]) => questions[name]?.answers.includes(answer)));
}
