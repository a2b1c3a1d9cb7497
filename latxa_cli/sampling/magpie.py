"""Magpie: an instruct model, given only what its template writes before a user's first word, writes the instruction.

Then it answers it. The method is Magpie's (Xu et al. 2024, arXiv 2406.08464); *Instructing Large Language Models for
Low-Resource Languages* (arXiv 2506.07597) draws its English instructions in this way. The text before the user's first
word is derived from the model's own chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from latxa_cli.chat.pre_query import PreQuery, pre_query
from latxa_cli.chat.rendering import Message, TemplateError
from latxa_cli.chat.thinking import split_thought
from latxa_cli.generation.engine import Completion, Engine, Request
from latxa_cli.generation.flow import Exchange, converse
from latxa_cli.sampling.filters import Filters
from latxa_cli.sampling.tags import Tagger
from latxa_cli.sampling.tasks import Task, task_of
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Outcome, Record, Reject, keyed_hash

TRIES = 4  # at an instruction that does not begin with what its task forbids

# The text round the next instruction, given the messages so far and a system message.
Query = Callable[[Sequence[Message], str | None], PreQuery]


@dataclass(frozen=True, slots=True)
class Magpie:
    """What to draw, and what the records say of it.

    `turns`: instructions of each conversation; `can_think`: the model may think aloud before its answers.
    """

    query: Query
    tasks: Sequence[Task]
    filters: Filters
    seed: int
    model: str
    turns: int = 1
    can_think: bool = False
    tagger: Tagger = field(default_factory=Tagger)


def query_of(tokenizer: Any, *, template_system: bool, thinking: bool | None) -> Query:
    """Return the query of a model's chat template, which writes that of a first turn once for each system message.

    `template_system`: keep the system block that the template adds by itself. Raises UsageError where there is no
    tokenizer.
    """
    if tokenizer is None:
        raise UsageError("magpie needs the model's chat template", hint="`--engine-option tokenizer=MODEL` names it")

    def write(messages: Sequence[Message], system: str | None) -> PreQuery:
        return pre_query(tokenizer, messages, system=system, default_system=template_system, thinking=thinking)

    first = cache(lambda system: write((), system))
    return lambda messages, system: write(messages, system) if messages else first(system)


def check_further_turns(query: Query, tasks: Iterable[Task]) -> None:
    """Raise TemplateError, before hours are spent, where a template writes no instruction behind an answer."""
    for task in tasks:
        query([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], task.system)


def draw(draws: Iterable[int], engine: Engine, magpie: Magpie) -> Iterator[Outcome]:
    """Yield one conversation, or reject, for each number of `draws`; it depends on the seed and that number alone."""
    return converse(engine, draws, lambda number: _Draw(magpie, number).exchange())


class _Draw:
    """One conversation that is being drawn."""

    def __init__(self, magpie: Magpie, number: int) -> None:
        self.magpie, self.number = magpie, number
        self.task = task_of(magpie.tasks, magpie.seed, number)
        self.messages: list[Message] = []
        self.told: Record = {"method": "magpie", "model": magpie.model, "seed": magpie.seed, "draw": number}
        self.tokens = [0, 0]  # of instructions, of answers
        self.reason = ""  # why the last answer ended
        self.thoughts: list[str] = []

    def exchange(self) -> Exchange:
        filters = self.magpie.filters
        for turn in range(self.magpie.turns):
            try:
                query = self.magpie.query(self.messages, self.task.system)
            except TemplateError:
                if not self.messages:
                    raise
                return self._reject("refused by the chat template")  # for what the turns before say
            instruction, begins = yield from self._instruct(query, turn)
            self.tokens[0] += instruction.completion_tokens
            if instruction.failure:
                return self._reject(instruction.failure, instruction.text)
            text = instruction.text.strip()
            self._say("user", text)
            if fault := (begins and "forbidden beginning") or filters.fault_of_instruction(instruction):
                return self._reject(fault)
            prompt = query.prefix + text + query.suffix
            (answer,) = yield [Request(self.task.answer, self._seed("answer", turn), prompt)]
            self.tokens[1] += answer.completion_tokens
            self.reason = answer.finish_reason
            if answer.failure:
                return self._reject(answer.failure, answer.text)
            answer = self._without_thought(answer, query.suffix)
            self._say("assistant", answer.text.strip())
            if fault := filters.fault_of_answer(answer):
                return self._reject(fault)
        return (yield from self.magpie.tagger.tag(self._record()))

    def _instruct(
        self, query: PreQuery, turn: int
    ) -> Generator[list[Request], list[Completion], tuple[Completion, bool]]:
        """Draw an instruction, again while it begins with what the task forbids: return it, and whether it still does.

        To draw again until it does not is to draw from what the model would write if it could not begin so.
        """
        for attempt in range(TRIES):
            seed = self._seed("instruction", turn, attempt)
            (instruction,) = yield [Request(self.task.instruction, seed, query.prefix)]
            if not self.task.not_first or not instruction.text.strip().startswith(self.task.not_first):
                return instruction, False
        return instruction, True

    def _seed(self, part: str, turn: int, attempt: int = 0) -> int:
        more = (turn, attempt) if turn or attempt else ()
        return keyed_hash(self.magpie.seed, "magpie", self.number, part, *more)

    def _without_thought(self, answer: Completion, before: str) -> Completion:
        """Return an answer without what the model thought aloud before it, which is kept apart."""
        if not self.magpie.can_think:
            return answer
        thought, text = split_thought(answer.text, before)
        if thought:
            self.thoughts.append(thought)
        return replace(answer, text=text)

    def _say(self, role: str, text: str) -> None:
        self.messages.append({"role": role, "content": text})

    def _reject(self, fault: str, detail: str = "") -> Reject:
        return Reject(self._record(), fault, detail)

    def _record(self) -> Record:
        magpie, system = self.magpie, self.task.system
        messages = [{"role": "system", "content": system}] if system is not None else []
        metadata = self.told | {"instruction_tokens": self.tokens[0], "answer_tokens": self.tokens[1]}
        if self.reason:
            metadata["finish_reason"] = self.reason
        if self.thoughts:
            metadata["thinking"] = self.thoughts
        return {
            "id": f"magpie-{magpie.model}-{magpie.seed}-{self.number}",
            "messages": messages + self.messages,
            "task": self.task.name,
            "metadata": metadata,
        }
