"""What `recipes/laptop.sh` does to a real model: what it learns of Basque, and keeps of English and of its chats.

    python tests/bench/laptop.py MODEL DIR

MODEL is a small instruct model, such as SmolLM2-135M-Instruct. Everything is kept in DIR, and a second call continues.
The text is `../shared/data`, without the New Testament of 1571, and the chats are short ones that people wrote: on a
CPU a model takes long to write its own. Beside the recipe's model stand

- `text`: the same training on the same documents without chats, as often;
- `half`: the weights half-way between `text` and MODEL (WiSE-FT, arXiv 2109.01903), by `latxa merge`.

Four models predict documents and chats that none was trained on, and answer 30 prompts in Basque and 30 in English. The
first table has bits per byte, with the 95 % interval of the difference to MODEL (`latxa compare`, each text once); the
second one the answers, by rules: `ends` of itself, is not `empty`, ends in no `loop`, and is in the `language` asked.
Goals: the recipe's model predicts Basque better and English no worse by more than 0.05 bits per byte, and as many of
its English answers are well-formed, less one in ten at most.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from quickstart import measure
from timing import table, verdict

from latxa_cli.text.language import identify
from latxa_cli.text.loops import ends_in_loop

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
CONFIG = ROOT / "recipes" / "train" / "laptop.toml"
TOKENS, CHATS, HELD_OUT, PROMPTS, ANSWER = 16_000, 45, 15, 16, 48
FEW_STEPS = {"sequences_per_step": 1, "batch_size": 1, "sequence_length": 512, "learning_rate": 1e-3}
ENGLISH = {"desktop-help": 8, "gutenberg": 2, "rust-book": 1, "tldr": 4}  # documents held out, by source
LONGEST = {"eu": 4000, "en": 3000}  # characters of a document
WORSE = 0.05  # bits per byte
Record = dict[str, Any]


def read(path: Path) -> Iterator[Record]:
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield json.loads(line)


def write(path: Path, records: Sequence[Record]) -> None:
    if not path.exists():
        path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def make_data(folder: Path) -> None:
    draw = random.Random(0)
    eu, english = (
        [one for one in read(DATA / f"corpus_{language}.jsonl") if len(one["text"]) < longest]
        for language, longest in LONGEST.items()
    )
    write(folder / "eu.jsonl", [one for one in eu if one["source"] != "basque-nt-1571"])
    settings = CONFIG.read_text(encoding="utf-8")
    for name, value in FEW_STEPS.items():
        settings = re.sub(f"^{name} = \\S+", f"{name} = {value}", settings, flags=re.MULTILINE)
    (folder / "few_steps.toml").write_text(settings)
    kept = [draw.sample([one for one in english if one["source"] == name], n) for name, n in ENGLISH.items()]
    write(folder / "en.jsonl", [one for some in kept for one in some])
    questions = [one["question"].rstrip(":") for one in read(DATA / "mcq" / "eusexams_eu.jsonl")]
    asked = [
        one["messages"][0]["content"] for one in read(DATA / "instructions_en.jsonl") if one["source"] == "si-seed"
    ]
    for name, texts in (("eu", [text for text in questions if text.endswith("?")]), ("en", asked)):
        short = draw.sample([text for text in texts if 20 < len(text) < 200], PROMPTS)
        write(folder / f"prompts_{name}.jsonl", [{"id": str(n), "prompt": text} for n, text in enumerate(short)])
    write(folder / "chats_en.jsonl", chats_beside({one["prompt"] for one in read(folder / "prompts_en.jsonl")}))


def chats_beside(prompts: set[str]) -> list[Record]:
    """Return short chats whose answers people wrote, none of which asks one of `prompts`."""
    found = []
    for chat in read(DATA / "instructions_en.jsonl"):
        contents = [message["content"] for message in chat["messages"]]
        if chat["source"] == "si-seed" and len(contents) == 2 and contents[0] not in prompts:
            fits = 100 < sum(map(len, contents)) < 600 and len(contents[1]) > 60
            found += [{"id": chat["id"], "messages": chat["messages"]}] if fits else []
    random.Random(1).shuffle(found)
    return found[:CHATS]


def train_all(model: Path, folder: Path) -> dict[str, tuple[float, float, float]]:
    """Run the recipe, and make the two models beside it; return what the recipe and the other training took."""
    recipe = [
        str(ROOT / "recipes" / "laptop.sh"), "--tokens", str(TOKENS), "--epochs", "1",
        "--chats", f"en={folder / 'chats_en.jsonl'}",
        "--held-out", str(HELD_OUT), "--keep", f"en={folder / 'en.jsonl'}", "--config", str(folder / "few_steps.toml"),
        "--into", str(folder / "recipe"), "--yes",
        str(model), "eu", str(folder / "eu.jsonl"),
    ]  # fmt: skip
    took = {"recipe": measure(recipe)}
    text = [
        "latxa", "train", str(folder / "recipe" / "text" / "documents.jsonl"), "--model", str(model),
        "--config", str(folder / "few_steps.toml"), "--epochs", "1", "-o", str(folder / "text"), "--resume",
    ]  # fmt: skip
    took["text"] = measure(text)
    half = ["latxa", "merge", str(folder / "text"), "--plus", str(model), "--minus", str(folder / "text")]
    took["half"] = measure([*half, "--scale", "0.5", "-o", str(folder / "half"), "--resume"])
    return took


def compare_all(model: Path, folder: Path, models: dict[str, Path]) -> dict[tuple[str, str], Record]:
    """Return the comparisons with `model` on each set of texts, by model and set."""
    text, answers, out = folder / "recipe" / "text", folder / "answers.jsonl", folder / "comparison.jsonl"
    sets = {"eu": text / "held_out.jsonl", "en": folder / "en.jsonl", "chats": text / "held_out_chats.jsonl"}
    given = [word for name, path in sets.items() for word in ("--perplexity", f"{name}={path}")]
    measure([
        "latxa", "eval", str(models["text"]), str(models["half"]), *given, "--answers", str(answers),
        "-o", str(folder / "bits.jsonl"), "--resume",
    ])  # fmt: skip
    measure([
        "latxa", "compare", str(folder / "recipe" / "results" / "answers.jsonl"), str(answers),
        "--baseline", model.name, "--format", "jsonl", "-o", str(out), "--resume",
    ])  # fmt: skip
    rows = [one for one in read(out) if one.get("task") in sets]
    names = {path.name: name for name, path in models.items()}
    return {(names[one["model"]], one["task"]): one for one in rows}


def answer_all(folder: Path, models: dict[str, Path]) -> dict[tuple[str, str], list[Record]]:
    """Return the answers by model and language of the prompts."""
    answers = {}
    for name, path in models.items():
        for language in ("eu", "en"):
            out = folder / f"answers_{name}_{language}.jsonl"
            prompts = str(folder / f"prompts_{language}.jsonl")
            measure([
                "latxa", "respond", prompts, "--model", str(path), "--max-tokens", str(ANSWER), "-o", str(out),
                "--resume",
            ])  # fmt: skip
            answers[name, language] = list(read(out))
    return answers


def ends(answer: Record) -> bool:
    return bool(answer["metadata"]["finish_reason"] == "stop")


def text_of(answer: Record) -> str:
    return str(answer["messages"][-1]["content"])


RULES: dict[str, Callable[[Record, str], bool]] = {
    "ends": lambda answer, language: ends(answer),
    "empty": lambda answer, language: not text_of(answer),
    "loop": lambda answer, language: ends_in_loop(text_of(answer)),
    "well-formed": lambda answer, language: (
        ends(answer) and bool(text_of(answer)) and not ends_in_loop(text_of(answer))
    ),
    "language": lambda answer, language: identify(text_of(answer))[0] == language,
}


def main(model: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    make_data(folder)
    took = train_all(model, folder)
    adapted = folder / "recipe" / "models" / f"{model.name}-eu"
    models = {"before": model, "recipe": adapted, "text": folder / "text", "half": folder / "half"}
    bits = compare_all(model, folder, models)
    answers = answer_all(folder, models)

    table([("", "minutes", "CPU minutes", "memory, GB"), *(
        (name, f"{wall / 60:.1f}", f"{cpu / 60:.1f}", f"{memory:.2f}") for name, (wall, cpu, memory) in took.items()
    )])  # fmt: skip
    rows = [("bits per byte", "set", "texts", "before", "after", "difference", "from", "to")]
    for (name, task), one in bits.items():
        figures = (one[key] for key in ("baseline_value", "value", "difference", "lower", "upper"))
        rows.append((name, task, str(one["n"]), *(f"{figure:.3f}" for figure in figures)))
    table(rows)
    shares = {
        (name, language, rule): sum(holds(one, language) for one in some) / len(some)
        for (name, language), some in answers.items() for rule, holds in RULES.items()
    }  # fmt: skip
    table([("answers, %", "prompts", *RULES), *(
        (name, language, *(f"{100 * shares[name, language, rule]:.0f}" for rule in RULES)) for name, language in answers
    )])  # fmt: skip
    learnt, kept = bits["recipe", "eu"]["upper"], bits["recipe", "en"]["upper"]
    formed = shares["recipe", "en", "well-formed"] - shares["before", "en", "well-formed"]
    verdict(
        f"Basque {learnt:+.3f} at most, English {kept:+.3f} at most; well-formed English answers {formed:+.0%}",
        learnt < 0 and kept < WORSE and formed > -0.1,
    )


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
