"""What `recipes/new-language.sh` makes of languages, on real text: the table in `recipes/new-language.md`.

    python tests/bench/new_language.py MODEL ca gl cy ga [--data DIR] [--folder DIR]

- A quarter of the articles of NTREX-128 and half of the sentences and of the Declaration's articles are trusted: the
  profile is derived from them. Another quarter, the other halves and text in similar languages are raw.
- The pairs are the other half of NTREX-128. A fifth of them are shots, and lengths to calibrate by.
- The questions are those of TruthfulQA where there are any in the language.

`--folder` keeps what was made, and a second run continues it. It takes some minutes a language with a model of 135
million parameters on a core.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

from timing import table, verdict

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
BINARY = Path(sys.executable).with_name("latxa")
LIKE = {"ca": ("es", "gl"), "gl": ("es", "ca"), "cy": ("en", "ga"), "ga": ("en", "cy")}
FOREIGN = 400  # sentences of each similar language at most
WORDS = {"ca": ("Pregunta", "Resposta"), "gl": ("Pregunta", "Resposta")}  # of the task with questions of one's own
NEXT = "of the next record"  # the hardest damage, without a goal: a sentence of the same article
KEPT, CAUGHT, FLAGGED, FOUND = 0.95, 0.97, 0.05, 0.9  # goals

Record = dict[str, Any]
Column = dict[str, str]  # of the table: {what is measured: figure}


def read(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def write(path: Path, records: list[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def texts(data: Path, code: str) -> dict[str, list[Record]]:
    """Return text of a language by kind; of the news, each article is a document, those after the first half aside."""
    articles: dict[str, list[str]] = {}
    for row in read(data / "parallel.jsonl"):
        articles.setdefault(row["doc"], []).append(row[code])
    news = ["\n".join(lines) for lines in list(articles.values())[: len(articles) // 2]]
    kinds = {
        "news": news,
        "declaration": [row["text"] for row in read(data / "udhr.jsonl") if row["lang"] == code],
        "sentence": list(dict.fromkeys(row["text"] for row in read(data / f"sentences_{code}.jsonl"))),
    }
    return {kind: [{"id": f"{kind}/{n}", "text": text} for n, text in enumerate(some)] for kind, some in kinds.items()}


def fill(data: Path, code: str, folder: Path) -> None:
    """Write what the recipe takes to `folder`; ids of raw documents say what they are."""
    own = texts(data, code)
    write(folder / "trusted.jsonl", [record for kind in own.values() for record in kind[::2]])
    raw = [{**record, "id": f"held/{record['id']}"} for kind in own.values() for record in kind[1::2]]
    for other in LIKE[code]:
        foreign = texts(data, other)
        some = [*foreign["news"][1::2], *foreign["sentence"][:FOREIGN]]
        raw += [{**record, "id": f"{other}/{record['id']}"} for record in some]
    write(folder / "raw" / "all.jsonl", raw)
    rows = read(data / "parallel.jsonl")
    articles = list(dict.fromkeys(row["doc"] for row in rows))
    later = set(articles[len(articles) // 2 :])
    pairs = [{"id": row["id"], "source": row["en"], "target": row[code]} for row in rows if row["doc"] in later]
    write(folder / "pairs.jsonl", pairs)
    asked = read(data / "mcq" / f"truthfulqa_{code}.jsonl")
    if asked := [{**one, "choices": list(filter(str.strip, one["choices"]))} for one in asked]:  # some are empty
        write(folder / "tasks" / "questions.jsonl", asked)
        (folder / "tasks" / "questions.yaml").write_text(task(code), encoding="utf-8")


def task(code: str) -> str:
    """Return the task file of the guide in the words of another language."""
    guide = (ROOT / "recipes" / "new-language.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml \S+\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    question, answer = WORDS[code]
    block = block.replace("Cwestiwn", question).replace("Ateb", answer)
    return block.replace("questions_cy", f"questions_{code}").replace("language: cy", f"language: {code}")


def manifest(path: Path) -> Record:
    return json.loads(path.with_name(f"{path.name}.manifest.json").read_bytes())  # type: ignore[no-any-return]


def share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"


# --- what came out


def of_the_corpus(folder: Path) -> tuple[Column, dict[str, float]]:
    """Return what the profile and the corpus kept and caught, and the least share of each that has a goal."""
    facts = manifest(folder / "profile.toml")
    left = {record["id"] for record in read(folder / "corpus.jsonl")}
    groups: dict[tuple[str, str], list[bool]] = {}
    for record in read(folder / "raw" / "all.jsonl"):
        origin, kind, _ = record["id"].split("/")
        groups.setdefault((origin, "sentences" if kind == "sentence" else "documents"), []).append(record["id"] in left)
    column = {
        "profile: documents derived from": f"{facts['documents']:,}",
        "profile: others that fail": f"{share(sum(facts['fails'].values()), facts['checked'])} of {facts['checked']:,}",
    }
    origins = list(dict.fromkeys(origin for origin, _ in groups))
    for origin, name in zip(origins, ("held-back", "first similar language,", "second one,"), strict=True):
        for kind in ("documents", "sentences"):
            each = groups[origin, kind]
            good = sum(each) if origin == "held" else len(each) - sum(each)
            what = f"corpus: {name} {kind} {'kept' if origin == 'held' else 'caught'}"
            column[what] = f"{'' if origin == 'held' else f'{origin} '}{share(good, len(each))} of {len(each):,}"
    reasons = Counter(manifest(folder / "corpus.jsonl")["counts"]["rejected"])
    of_language = reasons["wrong language"] + reasons["uncertain language"]
    column["corpus: rejected by language, by all else"] = f"{of_language:,}, {reasons.total() - of_language:,}"
    caught = min(1 - mean(each) for (origin, _), each in groups.items() if origin != "held")
    return column, {"kept": mean(groups["held", "documents"]), "caught": caught}


def of_the_tokenizer(folder: Path, code: str) -> Column:
    sources = manifest(folder / "data" / "both.jsonl")["sources"]
    column = {}
    for unit, name in (("tokens_per_word", "tokens a word"), ("bytes_per_token", "bytes a token")):
        column[f"mix: {name} (English)"] = f"{sources[code][unit]:.2f} ({sources['en'][unit]:.2f})"
    column["mix: tokens of the same text, English = 1"] = f"{sources[code]['tokens'] / sources['en']['tokens']:.2f}"
    return column


def damaged(folder: Path, code: str) -> dict[str, list[Record]]:
    """Return the translations by people, damaged in three ways."""
    right, sources = read(folder / "data" / f"{code}.jsonl"), read(folder / "data" / "en.jsonl")
    long = {record["id"] for record in sources if len(record["text"].split()) >= 10}
    return {
        "not translated": [source for source in sources if source["id"] in long],
        "cut in the middle": [
            {**record, "text": " ".join(record["text"].split()[: len(record["text"].split()) // 2])}
            for record in right if record["id"] in long
        ],
        NEXT: [
            {**record, "text": after["text"]}
            for record, after in pairwise(right) if record["id"] in long
        ],
    }  # fmt: skip


def of_the_checks(folder: Path, code: str) -> tuple[Column, float, float]:
    """Return what `audit` found, the share of right translations that it flags, and of damaged ones the least."""
    counts = manifest(folder / "sound.jsonl")["counts"]
    flagged = Counter(counts["rejected"])
    column = {
        "audit: translations by people flagged": f"{share(flagged.total(), counts['in'])} of {counts['in']:,}",
        "audit: most frequent reason": "{} {}".format(*flagged.most_common(1)[0]) if flagged else "-",
    }
    shares = {}
    for name, records in damaged(folder, code).items():
        write(folder / "damaged.jsonl", records)
        out = folder / "undamaged.jsonl"
        out.unlink(missing_ok=True)
        command = [
            BINARY, "audit", folder / "damaged.jsonl", "--source", folder / "data" / "en.jsonl", "--from", "en",
            "--to", code, "--field", "text", "--calibrate", folder / "data" / "shots.jsonl", "--quiet", "-o", out,
        ]  # fmt: skip
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL)  # it fails where nothing is left
        shares[name] = 1 - len(read(out)) / len(records)
        column[f"audit: {name}, flagged"] = f"{shares[name]:.1%} of {len(records):,}"
    return column, flagged.total() / counts["in"], min(part for name, part in shares.items() if name != NEXT)


def of_the_model(folder: Path, code: str) -> Column:
    flagged = Counter(record["reason"] for record in read(folder / "untranslated.jsonl"))
    asked = flagged.total() + len(read(folder / "translated.jsonl"))
    column = {
        "translate: texts rejected": f"{share(flagged.total(), asked)} of {asked:,}",
        "translate: reasons": ", ".join(f"{reason} {count}" for reason, count in flagged.most_common(3)),
    }
    if (folder / "compared.jsonl.manifest.json").exists():
        for score in manifest(folder / "compared.jsonl")["scores"]:
            column[f"audit --references: {score['metric']} of what passes"] = f"{score['value']:.1f}"
    for result in read(folder / "results.jsonl"):
        value = result["value"]
        if result["metric"] == "bits_per_byte":
            name = "English" if result["task"] == "en" else "the language"
            column[f"eval: bits per byte, {name}, {result['n']} texts"] = f"{value:.2f} ± {result['stderr']:.2f}"
        elif result["metric"] == "acc":
            name = result["task"].rpartition("_")[0]
            chance = mean(1 / len(answer["choices"]) for answer in read(folder / "answers.jsonl")
                          if answer["task"] == result["task"])  # fmt: skip
            shown = f"{value:.0%} ± {result['stderr']:.0%} ({chance:.0%})"
            column[f"eval: {name} answered rightly (chance), {result['n']} items"] = shown
    return column


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure recipes/new-language.sh on real text.")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("codes", nargs="+", choices=LIKE, metavar="CODE")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--folder", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    columns: dict[str, Column] = {}
    goals: dict[str, list[float]] = {"kept": [], "caught": [], "flagged": [], "found": []}
    with tempfile.TemporaryDirectory() as scratch:
        for code in arguments.codes:
            folder = (arguments.folder or Path(scratch)) / code
            if not (folder / "pairs.jsonl").exists():
                fill(arguments.data, code, folder)
            command = [ROOT / "recipes" / "new-language.sh", code, folder, arguments.model]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            columns[code], least = of_the_corpus(folder)
            checks, flagged, found = of_the_checks(folder, code)
            columns[code] |= {**of_the_tokenizer(folder, code), **checks, **of_the_model(folder, code)}
            for name, value in (least | {"flagged": flagged, "found": found}).items():
                goals[name].append(value)
    rows = list(dict.fromkeys(name for column in columns.values() for name in column))
    table([["", *columns], *([name, *(column.get(name, "-") for column in columns.values())] for name in rows)])
    reached = min(goals["kept"]) >= KEPT and min(goals["caught"]) >= CAUGHT
    reached &= max(goals["flagged"]) <= FLAGGED and min(goals["found"]) >= FOUND
    verdict(
        f"{KEPT:.0%} of held-back documents kept, {CAUGHT:.0%} of similar languages caught, {FLAGGED:.0%} of people's "
        f"translations flagged at most, {FOUND:.0%} of those that are not translated, or cut",
        reached,
    )


if __name__ == "__main__":
    main()
