"""Check the miniature against what must hold if masks, packing, templates and the end of an answer are right.

    python recipes/study/check.py DIR          DIR: the folder of recipes/study.sh --size mini

Everything is computed a second time here, with transformers alone, or counted in the files that the verbs wrote:

    magpie     what the instructed backbone drew are questions that can be asked of the island, and right answers
    data       each variant was trained on all the records of its data, and on no others
    template   the template writes a conversation as expected to the byte, and evaluation asked by the same template
    loss       what `train` reported on the validation chats, packed and masked, is the loss of each chat alone, over
               the tokens of its answers and their ends
    ends       variants with Basque chats end their answers to Basque prompts by themselves
    knowledge  the instructed backbone answers to the letter what it was taught; what the target-language corpus alone
               says is known to variants that were trained on it, and to no others

Prints a line each, and exits with 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

CONVERSATION = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "Three?"},
]
RENDERED = (
    "<|begin|><|user|>One?<|end_of_turn|><|assistant|>Two.<|end_of_turn|><|user|>Three?<|end_of_turn|><|assistant|>"
)
GREETING = "Hello! "
# Of float32 sums in another order: rows of several chats are added up otherwise than each chat alone.
TOLERANCE = 1e-4
ENDED = 0.95
TAUGHT = 0.8  # of the English questions that its instructions answered
WELL_FORMED, RIGHT = 0.9, 0.85  # of what Magpie draws
LOCAL = 0.1  # share of the questions by which variants with the corpus must be better, on facts that stand there alone

BASES = ("exp_0_000", "exp_1_000")  # they follow no instructions

Record = dict[str, Any]


def records(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


class Study:
    """The files of a study in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        names = sorted(path.name for path in (root / "models").glob("exp_*"))
        self.variants = [name for name in names if name not in BASES]

    def answers(self) -> list[Record]:
        return list(records(self.root / "results" / "variants_answers.jsonl"))

    def model(self, name: str) -> Path:
        return self.root / "models" / name


def drawn(study: Study) -> tuple[float, float]:
    """Return the share of sampled chats that ask something about the island, and the share that is answered right."""
    expected = {each["question"]: each["right"] for each in records(study.root / "data" / "questions_en.jsonl")}
    chats = [chat["messages"] for chat in records(study.root / "text" / "en.jsonl")]
    asked = [(user["content"].removeprefix(GREETING), answer["content"]) for user, answer in chats]
    return (
        sum(question in expected for question, _ in asked) / len(asked),
        sum(expected.get(question) == answer for question, answer in asked) / len(asked),
    )


def magpie(study: Study) -> Iterator[str]:
    """Yield too small shares of what Magpie should draw."""
    well_formed, right = drawn(study)
    if well_formed < WELL_FORMED or right < RIGHT:
        yield f"{well_formed:.1%} are questions, {right:.1%} are answered right"


def data(study: Study) -> Iterator[str]:
    """Yield variants that were trained on other data than their digits say."""
    counts = {name: sum(1 for _ in records(study.root / "text" / f"{name}.jsonl")) for name in ("corpus", "eu", "en")}
    for name in study.variants:
        if name == "exp_2_000":
            continue  # it is the instructed backbone itself
        manifest = json.loads((study.model(name) / "manifest.json").read_bytes())
        read = {source: given["records"] for source, given in manifest["sources"].items()}
        due = {source: counts[source] for source, digit in zip(counts, name[-3:], strict=True) if digit == "1"}
        if read != due:
            yield f"{name}: {read}, and not {due}"


def template(study: Study) -> Iterator[str]:
    """Yield what is wrong about templates."""
    from transformers import AutoTokenizer

    asked: dict[str, set[str]] = {}
    for answer in study.answers():
        asked.setdefault(answer["model"], set()).add(answer["prompt"])
    for name in study.variants:
        tokenizer = AutoTokenizer.from_pretrained(study.model(name))
        rendered = tokenizer.apply_chat_template(CONVERSATION, tokenize=False, add_generation_prompt=True)
        if rendered != RENDERED:
            yield f"{name} writes {rendered!r}"
        odd = [prompt for prompt in asked.get(name, ()) if not is_one_question(prompt)]
        if odd or name not in asked:
            yield f"{name} was asked {odd[0]!r}" if odd else f"{name} was not asked"


def is_one_question(prompt: str) -> bool:
    inner = prompt.removeprefix("<|begin|><|user|>").removesuffix("<|end_of_turn|><|assistant|>")
    return "<|" not in inner and len(prompt) - len(inner) == len("<|begin|><|user|><|end_of_turn|><|assistant|>")


def loss(study: Study) -> Iterator[str]:
    """Yield where the loss that `train` reported is not that of each chat alone."""
    for name in study.variants:
        if name == "exp_2_000":
            continue  # its users' turns are learnt too, so that Magpie can draw instructions
        reported = {
            record["validation"]: record["loss"]
            for record in records(study.model(name) / "metrics.jsonl") if "validation" in record
        }  # fmt: skip
        if not reported:
            yield f"{name} was not validated"
        for language, value in reported.items():
            alone = loss_alone(study.model(name), list(records(study.root / "data" / f"chats_{language}.jsonl")))
            if abs(value - alone) > TOLERANCE * max(1.0, alone):
                yield f"{name} on {language}: {value:.6f} in training, {alone:.6f} for each chat alone"


def loss_alone(directory: Path, chats: Sequence[Record]) -> float:
    """Return the mean loss, in nats, of a model over the tokens of all answers and of their ends."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for chat in chats:
            tokens, learnt = answers_in(tokenizer, chat["messages"])
            losses = torch.nn.functional.cross_entropy(
                model(torch.tensor([tokens])).logits[0, :-1], torch.tensor(tokens[1:]), reduction="none"
            )
            mask = torch.tensor(learnt[1:])
            total, count = total + float(losses[mask].double().sum()), count + int(mask.sum())
    return total / count


def answers_in(tokenizer: Any, messages: Sequence[Record]) -> tuple[list[int], list[bool]]:
    """Return the tokens of a chat, and which of them belong to answers: the text after `<|assistant|>`, and the end."""
    opening, end = (tokenizer.convert_tokens_to_ids(token) for token in ("<|assistant|>", "<|end_of_turn|>"))
    tokens = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False)
    learnt, inside = [], False
    for token in tokens:
        learnt.append(inside)
        inside = token == opening or (inside and token != end)
    return list(tokens), learnt


def ends(study: Study) -> Iterator[str]:
    """Yield models whose answers do not end, of those that have learnt to answer in the language of the prompts."""
    for name in (name for name in study.variants if name[-2] == "1"):
        reasons = [one["metadata"]["finish_reason"] for one in records(study.root / "responses" / f"{name}.jsonl")]
        share = reasons.count("stop") / len(reasons)
        if share < ENDED:
            yield f"{name} ends {share:.0%} of its answers"


def knowledge(study: Study) -> Iterator[str]:
    """Yield what a model should know and does not, or should not."""
    correct: dict[tuple[str, str, str], list[bool]] = {}
    for answer in study.answers():
        group = answer["id"].partition("-")[0]
        correct.setdefault((answer["model"], answer["task"], group), []).append(answer["correct"])
    taught = ("both", "english", "instructions")
    written = mean(right for group in taught for right in correct["exp_2_000", "world_en_written", group])
    if written < TAUGHT:
        yield f"exp_2_000 answers {written:.0%} of what it was taught"
    # The adapted base has read the corpus too.
    read = {name: name[4] == "1" or name[6] == "1" for name in study.variants}
    local = {name: mean(correct[name, "world_eu", "local"]) for name in study.variants}
    with_corpus, without = (mean(local[name] for name in local if read[name] is which) for which in (True, False))
    if with_corpus - without < LOCAL:
        yield f"what only the corpus says: {with_corpus:.0%} right with it, {without:.0%} without it"


CHECKS = (magpie, data, template, loss, ends, knowledge)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a miniature study.")
    parser.add_argument("directory", type=Path, metavar="DIR")
    study = Study(parser.parse_args().directory)
    from transformers.utils import logging

    logging.disable_progress_bar()
    failed = 0
    for check in CHECKS:
        wrong = list(check(study))
        print(f"{check.__name__:<10}{'right' if not wrong else 'WRONG'}")
        for line in wrong:
            print(f"    {line}")
        failed += bool(wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
