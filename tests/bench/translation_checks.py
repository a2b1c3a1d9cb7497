"""How well the checks of translations find what is wrong, leave alone what is right, and how fast they are.

    python tests/bench/translation_checks.py               all, on documents that no threshold was set by
    python tests/bench/translation_checks.py --part dev    on those that thresholds may be set by
    python tests/bench/translation_checks.py faults        one of: faults records clean masks speed

- faults: translations damaged by 18 kinds of fault (`translation_damage.py`), 30 of each kind in each of 7 languages.
  Goal: 97 % caught, 90 % for the right reason.
- records: another record's translation in the place of 10 % of a file, half of them of nearly equal length. Goal: 95 %
  caught. A file in which 30 records have the translation of the next one. Goal: that run is named, and no other.
- clean: human translations of news (NTREX-128) that are flagged. Goal: at most 2 % for eu, cy and ga, 5 % for es, ca,
  gl and is.
- masks: all messages of `instructions_en.jsonl`. Goal: all come back byte for byte, and 99 % of the characters of
  fenced code, LaTeX and URLs, which are counted in another way here, are inside masks.
- speed: records a second on one core by CPU time. Goal: 2,000 sentences of news. Conversations of 1,400 characters are
  shown beside them.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

from timing import table, verdict
from translation_damage import DATA, KINDS, LANGUAGES, NAMES, Row, World, damaged, read

from latxa_cli.stream.records import Reject
from latxa_cli.translation.audit.audit import Audit
from latxa_cli.translation.calibration import LengthRatio, learn
from latxa_cli.translation.checks.checks import Checks
from latxa_cli.translation.masks import mask

CLEAN = {"eu": 0.02, "cy": 0.02, "ga": 0.02, "es": 0.05, "ca": 0.05, "gl": 0.05, "is": 0.05}
CAUGHT, RIGHT, OTHER_RECORD, MASKED, SPEED = 0.97, 0.90, 0.95, 0.99, 2000
EACH, SHIFTED, FIRST_SHIFTED = 30, 30, 100


def calibrated(language: str) -> LengthRatio:
    """Return the length ratio of a language by the documents that are for setting thresholds."""
    ratio = learn((row["en"], row[language]) for row in World("dev", 0).rows)
    assert ratio is not None
    return ratio


def checks() -> dict[str, Checks]:
    return {
        code: Checks(code, source="en", ratio=calibrated(code), labels=("English", NAMES[code])) for code in LANGUAGES
    }


def faults(part: str) -> Iterator[tuple[str, bool]]:
    total, caught, right = Counter[str](), Counter[str](), Counter[str]()
    said: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    of = checks()
    for case in damaged(World(part, 0), EACH):
        fault = of[case.language].fault(case.source, case.translation, role=case.role, shots=case.shots)
        total[case.kind] += 1
        caught[case.kind] += fault is not None
        right[case.kind] += fault is not None and fault.reason in case.reasons
        if fault is None or fault.reason not in case.reasons:
            said[case.kind][fault.reason if fault else "nothing"] += 1
    rows = [["fault", "texts", "caught", "right reason", "else"]]
    for kind in KINDS:
        shown = ", ".join(f"{reason} {count}" for reason, count in said[kind].most_common(3))
        rows.append([
            kind, str(total[kind]), f"{caught[kind] / total[kind]:.1%}", f"{right[kind] / total[kind]:.1%}", shown
        ])  # fmt: skip
    table(rows)
    shares = caught.total() / total.total(), right.total() / total.total()
    yield f"{shares[0]:.1%} of {total.total():,} damaged translations caught (goal: {CAUGHT:.0%})", shares[0] >= CAUGHT
    yield f"the right reason named for {shares[1]:.1%} (goal: {RIGHT:.0%})", shares[1] >= RIGHT


def judged(of: Checks, sources: list[Row], translations: list[Row]) -> tuple[list[bool], Audit]:
    audit = Audit(of, ["text"])
    audit.load(sources, translations)
    return [isinstance(outcome, Reject) for outcome in audit.outcomes()], audit


def records(part: str) -> Iterator[tuple[str, bool]]:
    rows = [["language", "wrong records", "caught", "good ones lost", "of the shift flagged", "runs named"]]
    found, wrongs, named = 0, 0, []
    for language, of in checks().items():
        draw, texts = random.Random(language), World(part, 0).rows
        sources = [{"id": row["id"], "text": row["en"]} for row in texts]
        wrong = set(draw.sample(range(len(texts)), len(texts) // 10))
        right = [place for place in range(len(texts)) if place not in wrong]
        translations = [{"id": row["id"], "text": row[language]} for row in texts]
        for number, place in enumerate(sorted(wrong)):
            own = len(texts[place][language])
            near = min(draw.sample(right, 100), key=lambda other: abs(len(texts[other][language]) - own))
            other = near if number % 2 else draw.choice(right)
            translations[place] = {**translations[place], "text": texts[other][language]}
        rejected, _ = judged(of, sources, translations)
        shifted = [{"id": row["id"], "text": row[language]} for row in texts]
        last = FIRST_SHIFTED + SHIFTED - 1
        for place in range(FIRST_SHIFTED, last + 1):
            shifted[place]["text"] = texts[place + 1][language]
        flagged, audit = judged(of, sources, shifted)
        runs = [(run.first, run.last) for _, _, run, _ in audit.findings.runs]
        named.append(len(runs) == 1 and abs(runs[0][0] - FIRST_SHIFTED) <= 3 and abs(runs[0][1] - last) <= 3)
        caught = sum(rejected[place] for place in wrong)
        found, wrongs = found + caught, wrongs + len(wrong)
        rows.append([
            language, str(len(wrong)), f"{caught / len(wrong):.1%}",
            f"{sum(rejected[place] for place in right) / len(right):.1%}",
            f"{sum(flagged[FIRST_SHIFTED : last + 1])} of {SHIFTED}",
            ", ".join(f"{first - FIRST_SHIFTED:+} to {end - last:+}" for first, end in runs),
        ])  # fmt: skip
    table(rows)
    share = found / wrongs
    yield (
        f"{share:.1%} of {wrongs} other records' translations caught (goal: {OTHER_RECORD:.0%})",
        share >= OTHER_RECORD,
    )
    yield f"a shift of {SHIFTED} records named as one run in {sum(named)} of {len(named)} files", all(named)


def clean(part: str) -> Iterator[tuple[str, bool]]:
    rows, reached = [["language", "pairs", "flagged", "with a guessed length", "reasons"]], []
    for language, of in checks().items():
        texts, reasons, guessed = World(part, 0).rows, Counter[str](), 0
        without = Checks(language, source="en")
        for row in texts:
            fault = of.fault(row["en"], row[language], role="assistant")
            reasons.update([fault.reason] if fault else [])
            guessed += without.fault(row["en"], row[language], role="assistant") is not None
        share = reasons.total() / len(texts)
        reached.append(share <= CLEAN[language])
        shown = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        rows.append([language, str(len(texts)), f"{share:.1%}", f"{guessed / len(texts):.1%}", shown])
    table(rows)
    yield "human translations flagged: at most 2 % (eu, cy, ga) and 5 % (es, ca, gl, is)", all(reached)


# Fenced code, LaTeX and URLs in another way than that of `spans`: plain expressions, one after the other.
FENCED = re.compile(r"^(?P<fence>[ \t]*```)[^`\n]*\n.*?^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
LATEX = re.compile(
    r"\$\$[^$]+?\$\$|\\\[.+?\\\]|\\\([^\n]+?\\\)|\\begin\{(?P<name>\w+\*?)\}.*?\\end\{(?P=name)\}"
    r"|(?<![\\$\w])\$(?=[^\s$])[^$\n]*?\\[A-Za-z][^$\n]*?(?<=\S)\$(?![\d$])",
    re.DOTALL,
)
URL = re.compile(r"https?://[^\s<>\"'`)\]}*]*[^\s<>\"'`)\]}*.,;:!?]")


def masks(part: str) -> Iterator[tuple[str, bool]]:
    whole, lost, inside, outside = 0, 0, Counter[str](), Counter[str]()
    seconds = time.process_time()
    for record in read("instructions_en.jsonl"):
        texts = [message["content"] for message in record["messages"]]  # type: ignore[index]
        masked = [(mask(text), mask(text, comments=True)) for text in texts]
        whole += 1
        lost += any(one.restore(one.text) != text for both, text in zip(masked, texts, strict=True) for one in both)
        for text, (found, _) in zip(texts, masked, strict=True):
            covered = bytearray(len(text))
            place = 0
            for span in found.parts:
                place = text.index(span.text, place)
                covered[place : place + len(span.text)] = b"\1" * len(span.text)
                place += len(span.text)
            rest = text
            for name, form in (("fenced code", FENCED), ("LaTeX", LATEX), ("URLs", URL)):
                for match in form.finditer(rest):
                    count = sum(covered[match.start() : match.end()])
                    inside[name] += count
                    outside[name] += match.end() - match.start() - count
                rest = form.sub(lambda match: " " * len(match[0]), rest)
    seconds = time.process_time() - seconds
    rows = [["characters of", "in all", "inside masks"]]
    for name in inside:
        total = inside[name] + outside[name]
        rows.append([name, f"{total:,}", f"{inside[name] / total:.2%}"])
    table(rows)
    share = inside.total() / (inside.total() + outside.total())
    yield f"{whole - lost:,} of {whole:,} records come back byte for byte", not lost
    yield f"{share:.2%} of these characters are inside masks (goal: {MASKED:.0%})", share >= MASKED


def speed(part: str) -> Iterator[tuple[str, bool]]:
    of = Checks("eu", source="en", ratio=calibrated("eu"))
    world = World(part, 0)
    sentences = [[("user", row["en"], row["eu"])] for row in world.rows]
    rows, speeds = [["records", "characters", "records a second"]], []
    for name, given in (("sentences", sentences), ("conversations", conversations(world))):
        best = 0.0
        for _ in range(3):
            started = time.process_time()
            for record in given:
                for role, source, translation in record:
                    of.fault(source, translation, role=role)
            best = max(best, len(given) / (time.process_time() - started))
        characters = sum(len(source) for record in given for _, source, _ in record) / len(given)
        rows.append([f"{len(given):,} {name}", f"{characters:,.0f} each", f"{best:,.0f}"])
        speeds.append(best)
    table(rows)
    yield f"{speeds[0]:,.0f} records a second on one core (goal: {SPEED:,})", speeds[0] >= SPEED


def conversations(world: World) -> list[list[tuple[str, str, str]]]:
    """Return instructions, and Basque prose of the same length and with the same parts as their translations."""
    prose = [row["eu"] for row in world.rows]
    found = []
    for record in read("instructions_en.jsonl")[::3]:
        turns = []
        for message in record["messages"]:  # type: ignore[attr-defined]
            text = message["content"]  # type: ignore[index]
            lines = mask(text).text.split("\n")
            made = [_in_basque(line, prose, len(turns) + number) for number, line in enumerate(lines)]
            turns.append((message["role"], text, mask(text).restore("\n".join(made)) or ""))  # type: ignore[index]
        found.append(turns)
    return found


def _in_basque(line: str, prose: list[str], number: int) -> str:
    """Return as many words of prose as a line has; what is no letter stays, so that all checks are run."""
    words = iter(" ".join(prose[(number * 7 + at) % len(prose)] for at in range(len(line) // 40 + 2)).split())
    return re.sub(r"(?<!\[#)\b[A-Za-z]{2,}\b", lambda _: re.sub(r"[\d\W]", "", next(words, "eta")) or "eta", line)


PARTS: dict[str, Callable[[str], Iterator[tuple[str, bool]]]] = {
    "faults": faults, "records": records, "clean": clean, "masks": masks, "speed": speed,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--part", choices=("dev", "held"), default="held")
    given = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("needs ../shared/data")
    goals = []
    for name in given.what or PARTS:
        for text, reached in PARTS[name](given.part):
            goals.append(reached)
            sys.stdout.write(f"{'reached' if reached else 'MISSED'}: {text}\n")
        sys.stdout.write("\n")
    verdict(f"{sum(goals)} of {len(goals)} goals", all(goals))


if __name__ == "__main__":
    main()
