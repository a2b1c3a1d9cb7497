"""What became of each item that a model was asked: answered, or one of the ways of not answering, each counted.

An item without an answer is left out of the figures, whose `n` it is not in. It never counts as a wrong answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from latxa_cli.evaluation.asking.letters import NO_LETTER
from latxa_cli.evaluation.records import leaves
from latxa_cli.generation.engine import Completion
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.text.refusals import refuses

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

ANSWERED, NO_ANSWER = "answered", "no letter found"
REFUSED, CUT_OFF, THOUGHT = "refused", "cut off", "thought past the budget"
FILTERED, TOO_LONG, FAILED = "filtered", "longer than the context", "failed"
KINDS = (ANSWERED, NO_ANSWER, REFUSED, CUT_OFF, THOUGHT, FILTERED, TOO_LONG, FAILED)
# Where a task of its own accord, or a published recipe, has texts written, it says itself what such a text is worth.
SCORED_AS_TEXT = frozenset((ANSWERED, NO_ANSWER, REFUSED, CUT_OFF))
WITHOUT_TEXT = {"filtered": FILTERED, "too long": TOO_LONG, "refused": FAILED, "failed": FAILED}

WITHOUT_ANSWER = frozenset((FILTERED, TOO_LONG, FAILED, THOUGHT, NO_ANSWER))
TOKENS = ("prompt_tokens", "completion_tokens")

Journal = dict[tuple[str, int], list[Completion]]  # by the task and the number of the item


def kind_of(completion: Completion, *, has_letter: bool | None) -> str:
    """Return what became of a request.

    Args:
        completion: what came of it.
        has_letter: whether a letter was found in the text; None where none is looked for.
    """
    if kind := WITHOUT_TEXT.get(completion.finish_reason):
        return kind
    if completion.likelihoods:
        return NO_ANSWER if all(one is None for one in completion.likelihoods) else ANSWERED
    text, is_cut = completion.text.strip(), completion.finish_reason == "length"
    if is_cut and not text:  # its thoughts are shown, or were kept from us
        return THOUGHT
    if refuses(text) and not (has_letter and len(text) == 1):
        return REFUSED
    if has_letter:
        return ANSWERED
    return CUT_OFF if is_cut else NO_ANSWER if has_letter is False else ANSWERED


class Accounts:
    """The kinds of all items of one evaluation, made while the harness scores them.

    Args:
        model: the harness's model; one that keeps no `journal` has nothing to account for.

    Attributes:
        manner: what results say of the way in which answers were written.
        entries: for each task, what the record of each item says of it, in the harness's order; nothing for an item
            whose choices our scorer compared.
    """

    def __init__(self, model: Any) -> None:
        self.journal: Journal = {}
        self.manner: Record = {}
        self.journals = hasattr(model, "journal")
        if self.journals:
            model.journal = self.journal
            self.manner = model.manner.facts()
        self.entries: dict[str, list[Record]] = {}
        self.items: dict[str, list[int]] = {}
        self.filters: dict[str, int] = {}

    @contextmanager
    def of(self, tasks: Mapping[str, ConfigurableTask]) -> Iterator[None]:
        """Have tasks leave items without an answer out of their figures, while the harness runs them."""
        with ExitStack() as stack:
            for task in tasks.values() if self.journals else ():
                stack.enter_context(self._accounted(task))
            yield

    @contextmanager
    def _accounted(self, task: Any) -> Iterator[None]:
        process: Callable[..., Record] = task.process_results
        entries = self.entries.setdefault(task.task_name, [])
        lettered = asks_for_letter(task)
        repeats = 1 if task.OUTPUT_TYPE == "multiple_choice" else int(task.config.repeats or 1)

        def accounted(doc: Any, results: Sequence[Any]) -> Record:
            # The harness goes through the items in order, once for each filter.
            items = self._items(task)
            completions = self.journal.get((task.task_name, items[len(entries) % len(items)]))
            if completions is None:
                entries.append({})
                return process(doc, results)
            # Where shots are drawn several times, those of the last draw; a task may ask an item several times as well.
            completions = completions[-repeats:]
            found = _is_letter(results[0]) if lettered else None
            kinds = [kind_of(completion, has_letter=found) for completion in completions]
            kind = ANSWERED if ANSWERED in kinds else kinds[0]
            entries.append(_entry(kind, completions))
            strict = completions[0].likelihoods or (lettered and not is_recipe(task))
            counts = kind == ANSWERED if strict else kind in SCORED_AS_TEXT
            return process(doc, results) if counts else {}

        task.process_results = accounted
        try:
            yield
        finally:
            del task.process_results

    def _items(self, task: Any) -> list[int]:
        """Return the numbers of a task's items in order."""
        name = str(task.task_name)
        if name not in self.items:
            self.items[name] = sorted({instance.doc_id for instance in task.instances})
            self.filters[name] = len(task.instances[0].filtered_resps)
        return self.items[name]

    def outcomes(self, tasks: Sequence[str]) -> dict[str, int]:
        """Return how many items of tasks there are of each kind, those of which there are none left out."""
        counted: Counter[str] = Counter()
        for task in tasks:
            counted.update(entry["outcome"] for entry in self._first(task))
        return {kind: counted[kind] for kind in KINDS if counted[kind]}

    def answers(self, task: str, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the answer records of a task, each with what became of its item."""
        entries = self.entries.get(task, [])
        for place, record in enumerate(records):
            entry = entries[place] if place < len(entries) else {}
            nothing = {"answer": None} if entry and entry["outcome"] in WITHOUT_ANSWER else {}
            yield record | nothing | entry

    def results(self, results: Iterable[Record], report: JsonObject) -> Iterator[Record]:
        """Yield result records, each with the outcomes of its items, how many were asked, and their tokens."""
        for record in results:
            tasks = list(leaves(record["task"], report))
            if outcomes := self.outcomes(tasks):
                first = [entry for task in tasks for entry in self._first(task)]
                tokens = {name: sum(entry[name] for entry in first) for name in TOKENS}
                asked = sum(len(self.items.get(task, ())) for task in tasks)  # outcomes are of each draw of shots
                record = {**record, "asked": asked, "outcomes": outcomes, **tokens, **self.manner}
            yield record

    def summary(self, task: str, model: str) -> str:
        """Return what to say of items without an answer; the empty string where all are answered."""
        outcomes = self.outcomes(list(self.entries))
        if set(outcomes) <= {ANSWERED}:
            return ""
        return f"`{task}`, `{model}`: {in_words(outcomes)}"

    def _first(self, task: str) -> list[Record]:
        """Return the entries of one filter: the others' are of the same items."""
        entries, filters = self.entries.get(task, []), max(1, self.filters.get(task, 1))
        size = len(self.items.get(task, ()))
        return [entry for place, entry in enumerate(entries) if entry and place // max(1, size) % filters == 0]


def asks_for_letter(task: object) -> bool:
    """Whether a task's answers are letters that are looked for in texts (`--format generate` and `cot`)."""
    return getattr(task, "form", None) in ("generate", "cot")


def is_recipe(task: object) -> bool:
    """Whether a task follows a published recipe to the byte, in which what is no letter is a wrong answer."""
    return bool(getattr(task, "recipe", False))


def _is_letter(found: object) -> bool:
    return found != NO_LETTER and isinstance(found, str) and len(found.strip(" .)")) == 1


def _entry(kind: str, completions: Sequence[Completion]) -> Record:
    """Return what the record of an item says: the kind, what was written, thought aside, and the tokens."""
    completion = completions[0]
    failed = completion.finish_reason in ("failed", "refused")
    told: Record = {"outcome": kind}
    if failed:
        told["error"] = completion.text
    elif not completion.likelihoods:
        told["response"] = completion.text
    if completion.thought:
        told["thought"] = completion.thought
    return told | {name: sum(getattr(one, name) for one in completions) for name in TOKENS}


def in_words(outcomes: Mapping[str, int]) -> str:
    """Return the outcomes for people: `12 items: 9 answered, 2 refused, 1 cut off`."""
    return f"{sum(outcomes.values()):,} items: " + ", ".join(f"{count:,} {kind}" for kind, count in outcomes.items())
