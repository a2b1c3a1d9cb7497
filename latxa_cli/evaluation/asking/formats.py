"""The format in which a multiple-choice task is asked: letters of choices, their texts, or a generated letter.

    mcqa      the choices stand in the prompt, each with a letter; the likeliest letter is the answer
    cloze     the prompt holds no choices; the likeliest text is the answer
    generate  as mcqa, but the model writes its answer, and the letter is looked for in it
    cot       as generate, after reasoning

A task file is written in one of them. For another, it needs its parts under `metadata`, where its templates alone do
not tell them:

    metadata:
      language: eu
      formats:
        question: "{{question}}"        # the question, with its context, without choices
        choices: "{{candidates}}"       # the texts of the choices

The words of prompts are data: `formats.toml`, by language, and the task's own beside its parts.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from lm_eval.api.task import ConfigurableTask
from lm_eval.filters import build_filter_ensemble
from lm_eval.utils import apply_template

from latxa_cli.evaluation.asking.letters import LETTERS, NO_LETTER, Format, letter_of
from latxa_cli.stream.errors import LatxaError, UsageError, nearest
from latxa_cli.stream.records import JsonObject, keyed_hash

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

FILE = Path(__file__).parent / "formats.toml"
PARTS = ("question", "choices")
TOKENS = {"generate": 16, "cot": 1024}  # of an answer at most
SAME_ANSWER = 8  # items; from so many on, an answer in the same place is no accident
Item = dict[str, Any]


@dataclass(frozen=True)
class Words:
    """The words of a language, as `formats.toml` describes them."""

    question_prefix: str
    answer_prompt: str
    separator: str
    last: str
    instruction: str
    cot_instruction: str
    cot_answer: str
    answers: Sequence[str]
    words: Sequence[str]

    def listed(self, text: str, letters: Sequence[str]) -> str:
        """Return `text` with the letters in place of `{letters}`."""
        head, tail = self.separator.join(letters[:-1]), letters[-1]
        return text.replace("{letters}", f"{head}{self.last}{tail}" if head else tail)


@cache
def _table() -> JsonObject:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def words_of(task: ConfigurableTask) -> Words:
    """Return the words of a task: those of its language, and its own; raises LatxaError for a key that is none."""
    languages = _table()["languages"]
    metadata = task.get_config("metadata") or {}
    own = {key: value for key, value in (metadata.get("formats") or {}).items() if key not in PARTS}
    known = [field.name for field in fields(Words)]
    for key in own:
        if key not in known:
            raise LatxaError(
                f"the task `{task.task_name}` has an unknown key `{key}` under `formats`", hint=nearest(key, known)
            )
    return Words(**{**languages.get(metadata.get("language"), languages[_table()["other"]]), **own})


def format_of(task: ConfigurableTask) -> Format | None:
    """Return the format in which a task is asked; None for one without choices, such as problems to solve."""
    if isinstance(task, Asked):
        return task.form
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input:
        return None
    return "mcqa" if _are_letters(task.doc_to_choice(task.eval_docs[0])) else "cloze"


def _are_letters(choices: Sequence[str]) -> bool:
    return [str(choice).strip() for choice in choices] == list(LETTERS[: len(choices)])


def asked(task: ConfigurableTask, form: Format, *, recipe: bool = False) -> ConfigurableTask:
    """Return the task as it is asked in the format `form`; the task itself where it is asked so already.

    A task without choices that generates its answers stays as it is for `generate` and `cot`.

    Args:
        task: a task of the harness, with its data.
        form: the format.
        recipe: ask for a letter to the byte as arXiv 2506.07597 did: one token, which must be the letter.

    Raises:
        UsageError: the task has not what the format takes.
    """
    own = format_of(task)
    if own == form or (own is None and task.OUTPUT_TYPE == "generate_until" and form in ("generate", "cot")):
        return task
    if own is None:
        raise _lacks(task, form, "choices between which a model could decide")
    if type(task) is not ConfigurableTask:
        raise _lacks(task, form, "a configuration of its own: it is written in code")
    return Asked(task, own, form, recipe=recipe)


def _lacks(task: ConfigurableTask, form: str, what: str, hint: str = "") -> UsageError:
    return UsageError(f"`{task.task_name}` cannot be asked in the format `{form}`: it lacks {what}", hint=hint)


class Asked(ConfigurableTask):
    """A multiple-choice task in another format than its file's.

    Attributes:
        form: the format.
        words: the words of its prompts.
        lettered: whether its choices stand in the prompt with letters.
        mixed: whether each item's choices have an order of their own, since all right answers stand in the same place.
    """

    def __init__(self, task: ConfigurableTask, own: Format, form: Format, *, recipe: bool) -> None:
        self.file, self.own, self.form, self.recipe = task, own, form, recipe
        self.words = words_of(task)
        self.lettered, self.generated = form != "cloze", form in ("generate", "cot")
        self.rebuilt = (own == "mcqa") != self.lettered or (form == "cot" and self._part("question") is not None)
        if self.rebuilt:
            self._check_parts()
        self.mixed = False
        if self.lettered and own == "cloze":
            answers = {self._place(item) for item in task.eval_docs}
            self.mixed = len(answers) == 1 and len(task.eval_docs) >= SAME_ANSWER
        if self.mixed and not self.generated and task.config.process_results is not None:
            raise _lacks(task, form, "an answer that stands in different places")
        super().__init__(config=self._configuration())
        if self.generated:
            name, function = ("strict_match", _stripped) if recipe else ("letter", self._letters)
            steps = [["custom", {"filter_fn": function}], ["take_first", None]]
            self._filters = [build_filter_ensemble(name, steps)]

    def download(self, dataset_kwargs: JsonObject | None = None, **kwargs: object) -> None:
        """Take the data that the task has already."""
        self.dataset = self.file.dataset

    def _configuration(self) -> JsonObject:
        config = self.file.config
        values = {field.name: getattr(config, field.name) for field in fields(config)}
        shots = self.file.fewshot_cfg
        kept = ("sampler", "split", "process_docs", "fewshot_indices", "samples")
        values["fewshot_config"] = {name: getattr(shots, name) for name in kept}
        if self.rebuilt:
            values["target_delimiter"], values["gen_prefix"] = " ", None
        if self.generated:
            values |= {
                "output_type": "generate_until", "process_results": None, "doc_to_choice": None, "filter_list": None,
                "generation_kwargs": {"until": [], "do_sample": False, "max_gen_toks": self._most_tokens()},
                "target_delimiter": "\n\n" if self.recipe else values["target_delimiter"],
                "metric_list": [
                    {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True,
                     "ignore_case": True, "ignore_punctuation": True}
                ],
            }  # fmt: skip
        return values

    def _most_tokens(self) -> int:
        return 1 if self.recipe else TOKENS[self.form]

    def dump_config(self) -> JsonObject:
        """Return the configuration, with the format and its words, so that the fingerprint holds them."""
        described = {"form": self.form, "own": self.own, "recipe": self.recipe, "mixed": self.mixed, **vars(self.words)}
        parts = (self.config.metadata or {}).get("formats")
        return {**super().dump_config(), "format": {**described, "parts": parts}}

    # --- an item's parts

    def _part(self, name: str) -> object:
        return ((self.file.config.metadata or {}).get("formats") or {}).get(name)

    def _check_parts(self) -> None:
        lacking = [f"`{part}`" for part in PARTS if self._part(part) is None and not self._has(part)]
        if lacking:
            hint = f"give {' and '.join(lacking)} in its task file, under `metadata: formats:`"
            raise _lacks(self.file, self.form, "a template of its " + " and its ".join(lacking), hint)

    def _has(self, part: str) -> bool:
        """Whether the task's own templates tell a part: texts of choices, or a question that is one field."""
        if part == "choices":
            return self.own == "cloze"
        template = self.file.config.doc_to_text
        return isinstance(template, str) and template.strip("{} ") in self.file.features

    def question(self, item: Item) -> str:
        """Return the question of an item, without choices."""
        template = self._part("question")
        return str(self.file.doc_to_text(item, template) if template is not None else self.file.doc_to_text(item))

    def texts(self, item: Item) -> list[str]:
        """Return the texts of an item's choices, in the order in which they are shown."""
        template = self._part("choices")
        if template is None:
            texts = self.file.doc_to_choice(item)
        elif isinstance(template, str) and template not in self.file.features:
            texts = ast.literal_eval(apply_template(template, item))
        else:
            texts = self.file.doc_to_choice(item, template)
        return [str(texts[place]) for place in self._order(item, len(texts))]

    def letters(self, item: Item) -> list[str]:
        """Return the letters of an item's choices."""
        return list(LETTERS[: len(self.file.doc_to_choice(item))])

    def _place(self, item: Item) -> int:
        """Return the place of the right answer as the file has it; -1 where it is none of the choices."""
        target, choices = self.file.doc_to_target(item), self.file.doc_to_choice(item)
        if isinstance(target, list):
            target = target[0] if len(target) == 1 else -1
        if isinstance(target, int):
            return target if 0 <= target < len(choices) else -1
        return choices.index(target) if target in choices else -1

    def _order(self, item: Item, count: int) -> list[int]:
        """Return the places of choices in the order in which they are shown."""
        order = list(range(count))
        if self.mixed:
            Random(keyed_hash(0, "choices", repr(sorted(item.items())))).shuffle(order)
        return order

    def answer(self, item: Item) -> int:
        """Return the place of the right answer among those shown; -1 where it is none of them."""
        place = self._place(item)
        return self._order(item, len(self.file.doc_to_choice(item))).index(place) if place >= 0 else -1

    # --- what the harness asks

    def doc_to_text(self, doc: Item, doc_to_text: object = None) -> str:
        """Return the prompt of an item."""
        if not self.rebuilt:
            return str(self.file.doc_to_text(doc))
        lines = [self.words.question_prefix + self.question(doc).strip()]
        if self.lettered:
            lines += [f"{letter}. {text}" for letter, text in zip(self.letters(doc), self.texts(doc), strict=True)]
        return "\n".join([*lines, self.words.answer_prompt] if self.form != "cot" else lines)

    def doc_to_choice(self, doc: Item, doc_to_choice: object = None) -> list[str]:
        """Return what the model decides between."""
        return self.letters(doc) if self.lettered else self.texts(doc)

    def doc_to_target(self, doc: Item, doc_to_target: object = None) -> int | str:
        """Return the place of the right answer; its letter where it is generated, in a sentence for a shot of `cot`."""
        place = self.answer(doc)
        if not self.generated:
            return place
        letter = self.letters(doc)[place] if place >= 0 else ""
        is_shot = doc_to_target is not None
        return self.words.cot_answer.replace("{letter}", letter) if is_shot and self.form == "cot" else letter

    def fewshot_context(self, doc: Item, num_fewshot: int, **how: Any) -> str:
        """Return the prompt with its shots, after the instruction of the format."""
        if instruction := self.instruction(doc):
            how["system_instruction"] = instruction if how.get("apply_chat_template") else f"{instruction}\n\n"
        return super().fewshot_context(doc, num_fewshot, **how)  # type: ignore[no-any-return]

    def instruction(self, item: Item) -> str:
        """Return the system message of an item, perhaps nothing."""
        if self.recipe:
            return str(_table()["paper"]["instruction"])
        if not self.generated:
            return ""
        text = self.words.cot_instruction if self.form == "cot" else self.words.instruction
        return self.words.listed(text, self.letters(item))

    def construct_requests(self, doc: Item, ctx: str, **how: Any) -> list[Instance] | Instance:
        """Return the requests of an item; a plain answer ends where the next example would begin."""
        plain = not how.get("apply_chat_template")
        requests = super().construct_requests(doc, ctx, **how)
        if self.generated and plain and not self.recipe:
            requests.arguments[1]["until"] = [self.config.fewshot_delimiter]
        return requests

    def letter(self, item: Item, text: object) -> str | None:
        """Return the letter that a generated text answers, or None where it names none of them, or several."""
        return letter_of(text, self.letters(item), self.words.answers, self.words.words)

    def _letters(self, responses: Iterable[Sequence[object]], items: Iterable[Item]) -> list[list[str]]:
        return [
            [self.letter(item, text) or NO_LETTER for text in texts]
            for texts, item in zip(responses, items, strict=True)
        ]


def _stripped(responses: Iterable[Sequence[str]], _items: object) -> list[list[str]]:
    return [[text.strip() for text in texts] for texts in responses]
