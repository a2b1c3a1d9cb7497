"""Damaged translations for `translation_checks.py`: real parallel text, and 18 kinds of fault put into it.

- Prose is that of NTREX-128 (`../shared/data/parallel.jsonl`) and, for questions, of TruthfulQA. Code, formulas and
  addresses are those of `instructions_en.jsonl`. Items of lists, choices and paragraphs are built of the sentences.
- `part`: `dev` is for setting thresholds; `held` has other documents, and its figures count.
- What a fault may rightly be called stands with each damaged text. For a text that is cut at the end of a line, for
  example, both the break and the lost line are right.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from latxa_cli.translation.masks import mask

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LANGUAGES = ("eu", "cy", "ga", "es", "ca", "gl", "is")
OTHERS = (*LANGUAGES, "fr")
NAMES = {
    "eu": "Euskara", "cy": "Cymraeg", "ga": "Gaeilge", "es": "Español", "ca": "Català", "gl": "Galego",
    "is": "Íslenska",
}  # fmt: skip
Text = dict[str, str]  # by language
Row = dict[str, str]


@dataclass(frozen=True)
class Case:
    """A source and a damaged translation: the kind of damage, and the reasons that name it rightly."""

    kind: str
    language: str
    source: str
    translation: str
    reasons: frozenset[str]
    role: str = "user"
    shots: tuple[tuple[str, str], ...] = ()


def read(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).read_bytes().split(b"\n")[:-1]]


class World:
    """The real text of one part, and how longer texts are built of it, alike in all languages."""

    def __init__(self, part: str, seed: int) -> None:
        self.part, self.draw = part, random.Random(f"{part}{seed}")
        self.shots: tuple[tuple[str, str], ...] = ()  # those of the case that is made
        rows = read("parallel.jsonl")
        documents = sorted({row["doc"] for row in rows})
        place = 0 if part == "dev" else 1
        of_part = set(documents[place::2])
        self.rows = [row for row in rows if row["doc"] in of_part]
        self.short = [row for row in self.rows if 25 < len(row["en"]) < 110]
        self.code: list[str] = []
        self.masks: list[str] = []
        for record in read("instructions_en.jsonl")[place::2]:
            for message in record["messages"]:  # type: ignore[attr-defined]
                for found in mask(message["content"]).parts:  # type: ignore[index]
                    if found.kind == "fenced" and 60 < len(found.text) < 900 and found.text.endswith("\n```"):
                        self.code.append(found.text)
                    elif found.kind not in ("fenced", "rule", "marker") and _is_inline(found.text):
                        self.masks.append(found.text)
        by_kind: dict[str, list[str]] = {}
        for text in sorted(set(self.masks)):
            by_kind.setdefault(mask(text).parts[0].kind, []).append(text)
        self.by_kind = by_kind
        self.questions = self._questions(place)

    def _questions(self, place: int) -> dict[str, list[tuple[str, str, str]]]:
        """Return by language: English questions, their translations, and the translated answers."""
        found: dict[str, list[tuple[str, str, str]]] = {}
        english = {str(row["id"]).rsplit("-", 1)[1]: row["question"] for row in read("mcq/truthfulqa_en.jsonl")}
        for language in LANGUAGES:
            if (DATA / "mcq" / f"truthfulqa_{language}.jsonl").exists():
                for row in read(f"mcq/truthfulqa_{language}.jsonl")[place::2]:
                    number = str(row["id"]).rsplit("-", 1)[1]
                    if number in english:
                        found.setdefault(language, []).append((english[number], row["question"], row["choices"][0]))
            for row, following in zip(self.rows, self.rows[1:], strict=False):
                if row["en"].endswith("?") and row["doc"] == following["doc"] and not following["en"].endswith("?"):
                    found.setdefault(language, []).append((row["en"], row[language], following[language]))
        return found

    # --- texts

    def some(self, count: int, rows: list[Row] | None = None) -> list[Row]:
        return self.draw.sample(rows or self.rows, count)

    def sentence(self) -> Text:
        return self.some(1)[0]

    def paragraph(self) -> Text:
        start = self.draw.randrange(len(self.rows) - 4)
        rows = [
            row for row in self.rows[start : start + self.draw.randint(2, 4)] if row["doc"] == self.rows[start]["doc"]
        ]
        return {language: " ".join(row[language] for row in rows) for language in ("en", *OTHERS)}

    def listed(self) -> Text:
        head, *rows = self.some(self.draw.randint(4, 7), self.short)
        sign = self.draw.choice(["- ", "* ", "• ", "{}. ", "{}) "])
        return {
            language: "\n".join(
                [head[language], "", *(sign.format(n) + row[language] for n, row in enumerate(rows, 1))]
            )
            for language in ("en", *OTHERS)
        }

    def coded(self) -> Text:
        before, after = self.some(2)
        code = self.draw.choice(self.code)
        return {language: f"{before[language]}\n\n{code}\n\n{after[language]}" for language in ("en", *OTHERS)}

    def with_masks(self) -> Text:
        rows = self.some(self.draw.randint(1, 3))
        parts = [self.draw.choice(self.by_kind[self.draw.choice(sorted(self.by_kind))]) for _ in rows]
        return {
            language: " ".join(f"{row[language]} ({part})." for row, part in zip(rows, parts, strict=True))
            for language in ("en", *OTHERS)
        }

    def choices(self) -> Text:
        question, *rows = self.some(5, self.short)
        answer, form = self.draw.randrange(4), self.draw.choice(["{})", "{}.", "({})"])
        labels = [form.format(letter) for letter in "ABCD"]
        return {
            language: "\n".join([
                question[language], *(f"{label} {row[language]}" for label, row in zip(labels, rows, strict=True)), "",
                f"→ {'ABCD'[answer]}) {rows[answer][language]}",
            ])
            for language in ("en", *OTHERS)
        }  # fmt: skip

    def any_text(self) -> Text:
        kinds = (self.sentence, self.sentence, self.paragraph, self.listed, self.coded, self.with_masks)
        return self.draw.choice(kinds)()


def _is_inline(part: str) -> bool:
    return 3 < len(part) < 80 and "\n" not in part and any(map(str.isalnum, part))


# --- the kinds of damage ---------------------------------------------------------------------------------------------

# Each returns (source, damaged translation, reasons), or None where the text has nothing to damage.
Damaged = tuple[str, str, set[str]] | None
CUT = {"unfinished translation", "too short"}
_CYRILLIC = dict(zip("abcdefghijklmnopqrstuvwxyz", "абцдефгхийклмнопкрстуввхиз", strict=True))
_GREEK = dict(zip("abcdefghijklmnopqrstuvwxyz", "αβκδεφγηιικλμνοπκρστυβωξυζ", strict=True))


def empty(world: World, language: str) -> Damaged:
    return world.any_text()["en"], world.draw.choice(["", " ", "\n\n", "\t", "\u00a0"]), {"empty translation"}


def null(world: World, language: str) -> Damaged:
    return (
        world.any_text()["en"],
        world.draw.choice(["null", "None", "NULL", "nan", "N/A", '"null"']),
        {"null translation"},
    )


def copy(world: World, language: str) -> Damaged:
    text = world.any_text()["en"]
    return text, world.draw.choice([text, text + "\n", text.strip()]), {"copied source"}


def half_copied(world: World, language: str) -> Damaged:
    text = world.draw.choice([world.paragraph, world.listed, world.sentence])()
    own, source = text[language].split(" "), text["en"].split(" ")
    if len(own) < 10 or len(source) < 10:
        return None
    half = " ".join([*own[: len(own) // 2], *source[len(source) // 2 :]])
    return text["en"], half, {"partly copied source"}


def truncated(world: World, language: str) -> Damaged:
    text = world.draw.choice([world.sentence, world.paragraph, world.listed, world.coded, world.with_masks])()
    whole = text[language]
    end = round(len(whole) * world.draw.uniform(0.25, 0.85))
    if len(whole) < 40 or not whole[:end].strip():
        return None
    reasons = set(CUT)
    cut = whole[:end]
    if "\n" in cut and (whole[end : end + 1] == "\n" or cut.endswith("\n") or "\n" in whole[end:].strip()):
        reasons |= {"other list items", "other lines"}
    if "```" in whole:
        reasons.add("altered code")
    if any(part.text in whole[end:] for part in mask(whole).parts):
        reasons.add("lost part")
    return text["en"], cut, reasons


def loop(world: World, language: str) -> Damaged:
    text = world.any_text()
    words = text[language].split()
    if len(words) < 8:
        return None
    if world.draw.random() < 0.5:
        phrase = " ".join(words[-world.draw.randint(1, 8) :])
        return text["en"], text[language] + f" {phrase}" * max(5, 24 // len(phrase.split())), {"repetition"}
    start = world.draw.randint(3, len(words) - 3)
    phrase = " ".join(words[start : start + world.draw.randint(2, 6)])
    return text["en"], " ".join(words[:start]) + f" {phrase}" * world.draw.randint(8, 30), {"repetition"}


def wrong_language(world: World, language: str) -> Damaged:
    text = world.draw.choice([world.sentence, world.paragraph, world.listed, world.with_masks, world.coded])()
    other = world.draw.choice([code for code in OTHERS if code != language])
    return text["en"], text[other], {"another language"}


def wrong_script(world: World, language: str) -> Damaged:
    text, table = world.any_text(), world.draw.choice([_CYRILLIC, _GREEK])
    masked = mask(text[language])
    whole = world.draw.random() < 0.5
    words = [word if not whole and world.draw.random() < 0.7 else _in(word, table) for word in masked.text.split(" ")]
    return text["en"], masked.restore(" ".join(words)) or "", {"another script"}


def _in(word: str, table: dict[str, str]) -> str:
    if "[#" in word:
        return word
    letters = [table.get(letter.lower(), letter) for letter in word]
    return "".join(new.upper() if old.isupper() else new for old, new in zip(word, letters, strict=True))


def number_changed(world: World, language: str) -> Damaged:
    text = world.draw.choice([world.sentence, world.paragraph])()
    source, own = text["en"], text[language]
    numbers = [found for found in re.finditer(r"\d+", own) if re.search(rf"(?<!\d){found[0]}(?!\d)", source)]
    if not numbers:
        return None
    found = world.draw.choice(numbers)
    digits = list(found[0])
    place = world.draw.randrange(len(digits))
    digits[place] = world.draw.choice([d for d in "123456789" if d != digits[place]])
    return source, own[: found.start()] + "".join(digits) + own[found.end() :], {"other numbers"}


def shot_leak(world: World, language: str) -> Damaged:
    text, (shot, other) = world.any_text(), world.some(2)
    if shot["en"] in text["en"]:
        return None
    leaks = [
        f"\n\nEnglish: {shot['en']}\n{NAMES[language]}: {shot[language]}", f"\n\nEnglish: {shot['en']}",
        f"\n{NAMES[language]}: {shot[language]}", f"\n\n{shot[language]}", f" {shot[language]}",
        f"</{NAMES[language]}>",
    ]  # fmt: skip
    leak = world.draw.choice(leaks)
    world.shots = ((other["en"], other[language]), (shot["en"], shot[language]))
    before = world.draw.random() < 0.2 and leak.startswith(" ")
    return text["en"], leak.strip() + " " + text[language] if before else text[language] + leak, {"leaked examples"}


def role_leak(world: World, language: str) -> Damaged:
    text, other = world.any_text(), world.some(1)[0]
    leak = world.draw.choice([
        f"\nUser: {other[language]}", f"\n\nAssistant: {other[language]}", "<|im_end|>", "<|eot_id|>", "</s>",
        f"<|im_end|>\n<|im_start|>user\n{other[language]}", f"\n### Response:\n{other[language]}",
        f"\nassistant\n{other[language]}", f"\nHuman: {other['en']}", "[/INST]", "<end_of_turn>",
        f"\n\nuser\n\n{other['en']}",
    ])  # fmt: skip
    return text["en"], text[language] + leak, {"leaked role"}


def wrapper(world: World, language: str) -> Damaged:
    text = world.draw.choice([world.sentence, world.paragraph, world.listed, world.with_masks])()
    own = text[language]
    forms: list[Callable[[], str]] = [
        lambda: json.dumps({"translation": own}, ensure_ascii=False),
        lambda: json.dumps({"role": "user", "content": own}, ensure_ascii=False, indent=1),
        lambda: json.dumps([own], ensure_ascii=False), lambda: f"```\n{own}\n```", lambda: f"```json\n{own}\n```",
        lambda: f"<translation>{own}</translation>", lambda: f'"{own}"', lambda: f"“{own}”", lambda: f"«{own}»",
    ]  # fmt: skip
    if any(sign in own + text["en"] for sign in "\"“”«»'’‘„"):
        forms = forms[:6]  # quotation marks round a text that has some are no clear fault
    return text["en"], world.draw.choice(forms)(), {"wrapper"}


# What stands round a translation. That of the held part has other words, some in the target language.
AROUND = {
    "dev": (
        (
            "Here is the translation:\n\n", "Translation: ", "Sure! Here's the text in the language that you want:\n\n",
            "Sure: ", "Below is the translated version:\n", "The translation is as follows: ", "Certainly! ",
            "**Translation**\n\n", "Here you go:\n\n",
        ),
        (
            "\n\nI hope this helps!", "\n\nNote: some names were kept as they are.", "\n\n(Translated from English.)",
            "\n\nLet me know if you need anything else.", "\n\nI kept the tone, and changed some idioms.",
            "\n\nWould you like me to explain the grammar?", " I hope this translation is useful to you.",
            "\n\n---\nThis translation keeps the meaning of the source.",
        ),
    ),
    "held": (
        (
            "Here's how this reads in the target language:\n\n", "My translation:\n", "Below you will find the text:\n",
            "Result: ", "Right, let me translate that for you. ", "Translating now...\n\n", "{here} ", "{here}\n",
        ),
        (
            "\n\nDid you want a more formal version?", " [translated]",
            "\n\n**Explanation:** the verb comes last here.",
            "\n\n(Note: I left the quotation marks as they were.)", " Thanks for your patience!", "\n\n-- end --",
        ),
    ),
}  # fmt: skip
HERE = {
    "eu": "Hona hemen testua:", "es": "Aquí tienes el texto:", "ca": "Aquí tens el text:", "gl": "Aquí tes o texto:",
    "cy": "Dyma'r testun:", "ga": "Seo an téacs:", "is": "Hér er textinn:",
}  # fmt: skip


def padding(world: World, language: str) -> Damaged:
    text = world.any_text()
    before = world.draw.random() < 0.5
    heads, ends = AROUND[world.part]
    head = world.draw.choice(heads).replace("{here}", HERE[language])
    return text["en"], head + text[language] if before else text[language] + world.draw.choice(ends), {"added text"}


def answered(world: World, language: str) -> Damaged:
    source, _, answer = world.draw.choice(world.questions[language])
    return source, answer, {"answered, not translated"}


def mask_lost(world: World, language: str) -> Damaged:
    text = world.with_masks()
    parts = mask(text["en"]).parts
    if not parts:
        return None
    part = world.draw.choice(parts)
    letters = [place for place, sign in enumerate(part.text) if sign.isalnum()]
    if not letters or part.text not in text[language]:
        return None
    place = world.draw.choice(letters)
    changed = part.text[:place] + ("x" if part.text[place] != "x" else "y") + part.text[place + 1 :]
    new = world.draw.choice(["", changed, part.text[: len(part.text) // 2]])
    return text["en"], text[language].replace(part.text, new), {"lost part", "altered code"}


def code_altered(world: World, language: str) -> Damaged:
    text = world.coded()
    code = mask(text["en"]).parts[0].text
    lines = code.split("\n")
    inner = [n for n in range(1, len(lines) - 1) if any(map(str.isalnum, lines[n]))]
    if not inner:
        return None
    number = world.draw.choice(inner)
    line, way = lines[number], world.draw.randrange(4)
    if way == 0:
        lines[number] = line.replace(next(filter(str.isalnum, line)), "zz", 1)
    elif way == 1:
        del lines[number]
    elif way == 2:
        lines[number] = line + "  # " + world.some(1)[0][language][:30]
    else:
        words = [word for word in line.replace("(", " ").replace(".", " ").split() if word.isalpha()]
        lines[number] = (
            line.replace(words[0], world.some(1)[0][language].split()[0].lower(), 1) if words else line + "x"
        )
    changed = "\n".join(lines)
    return (text["en"], text[language].replace(code, changed), {"altered code"}) if changed != code else None


def item_lost(world: World, language: str) -> Damaged:
    text = world.listed()
    lines = text[language].split("\n")
    del lines[world.draw.randrange(2, len(lines))]
    return text["en"], "\n".join(lines), {"other list items"}


def choice_changed(world: World, language: str) -> Damaged:
    text = world.choices()
    lines = text[language].split("\n")
    if world.draw.random() < 0.5:
        right = lines[-1][2]
        lines[-1] = f"→ {world.draw.choice([letter for letter in 'ABCD' if letter != right])}{lines[-1][3:]}"
    else:
        one, other = world.draw.sample(range(1, 5), 2)
        lines[one], lines[other] = lines[other], lines[one]
    return text["en"], "\n".join(lines), {"other choices"}


KINDS: dict[str, Callable[[World, str], Damaged]] = {
    "empty": empty, "null": null, "copy": copy, "half copied": half_copied, "truncated": truncated, "loop": loop,
    "wrong language": wrong_language, "wrong script": wrong_script, "number changed": number_changed,
    "shot leak": shot_leak, "role leak": role_leak, "wrapper": wrapper, "padding": padding, "answered": answered,
    "mask lost": mask_lost, "code altered": code_altered, "list item lost": item_lost,
    "choice letter changed": choice_changed,
}  # fmt: skip


def damaged(world: World, each: int) -> Iterator[Case]:
    """Yield `each` cases of every kind in every language."""
    for kind, damage in KINDS.items():
        for language in LANGUAGES:
            made = 0
            while made < each:
                world.shots = ()
                found = damage(world, language)
                if found is None:
                    continue
                source, translation, reasons = found
                role = "user" if kind == "answered" else "assistant"
                yield Case(kind, language, source, translation, frozenset(reasons), role, world.shots)
                made += 1
