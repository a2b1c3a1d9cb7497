"""Judges that are asked: every pair in both orders, every vote a record of its own, and what becomes of bad answers.

An answer in another form is asked for once more, as an object of JSON, to which engines that can constrain keep the
judge. One that cannot be read even so, is empty, refuses or fails is no verdict: the vote is rejected with the reason,
and counted by kind. It is never a tie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from latxa_cli.generation.delivery import DECIDES
from latxa_cli.generation.engine import Completion, Decoding, Engine, Request, open_engine, settled
from latxa_cli.generation.flow import Steps, converse
from latxa_cli.generation.speaker import speaker_of
from latxa_cli.judging.matching import Meeting
from latxa_cli.judging.records import MODELS, SECOND, Order, Scores, asked_twice, meeting_of, scored
from latxa_cli.judging.rubric import Rubric
from latxa_cli.judging.verdict import ASKED_AGAIN, Invalid, Verdict, read, read_object
from latxa_cli.model import has_chat_template, short_name
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Outcome, Record, Reject, keyed_hash

if TYPE_CHECKING:
    from latxa_cli.generation.engine import EngineOptions

MOST_OF_ONE = 32  # tokens of a number and its key, in JSON
THAT_OF_THE_PROMPT = "the language that the prompt asks for, or else is written in"


@dataclass(frozen=True)
class Judge:
    """A model that is asked: its name in records, its special tokens, and whether it is told to think first."""

    name: str
    engine: Engine
    markers: frozenset[str] = frozenset()
    thinking: bool | None = None


def check_judges(models: Sequence[str], options: EngineOptions) -> None:
    """Raise UsageError where two judges have one name, or one plainly cannot be asked; nothing is loaded."""
    names = [short_name(model) for model in models]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise UsageError(f"two judges are called `{twice}`", hint="votes are told apart by the names of their judges")
    local = settled(options).engine != "openai"
    for model in models:
        if local and Path(model).is_dir() and not has_chat_template(Path(model)):
            raise UsageError(f"the judge `{model}` has no chat template", hint="an instruct model can judge")


def open_judge(model: str, options: EngineOptions, thinking: Literal["on", "off"] | None) -> Judge:
    """Return a judge that is ready to be asked; raises as `open_engine` and `speaker_of`."""
    engine = open_engine(model, options)
    speaker = speaker_of(model, engine.tokenizer, thinking)
    return Judge(speaker.name, engine, speaker.markers, speaker.thinking)


@dataclass(frozen=True, slots=True)
class Panel:
    """The judges, and how they are asked. `margin`: the largest difference of two scores that is a tie."""

    judges: Sequence[Judge]
    rubric: Rubric
    decoding: Decoding
    margin: float = 0.0
    language: str = THAT_OF_THE_PROMPT
    seed: int = 0

    @property
    def window(self) -> int:
        """Meetings that are finished at once."""
        return min((judge.engine.window for judge in self.judges), default=1)

    @property
    def completion_tokens(self) -> int:
        """Tokens that all judges have written."""
        return sum(judge.engine.completion_tokens for judge in self.judges)

    def facts(self) -> dict[str, Any]:
        """Return what the manifest says of the engine of one judge, or of those of several."""
        facts = [judge.engine.facts() for judge in self.judges]
        if len(facts) == 1:
            return facts[0]
        named = {name: [str(one[name]) for one in facts if one.get(name)] for name in DECIDES}
        return {name: " + ".join(values) for name, values in named.items() if values} | {"judges": facts}

    def ask(self, meetings: Iterable[Meeting]) -> Iterator[Outcome]:
        """Yield, for each meeting, its rejects and then the vote of each judge on each pair (or response)."""
        rounds: Iterator[Any] = ([meeting] for meeting in meetings)
        for judge in self.judges:  # each takes up what the one before is done with, so that all are busy
            rounds = converse(judge.engine, rounds, lambda round, judge=judge: self._put_to(judge, round))  # type: ignore[misc]
        for meeting, *votes in rounds:
            yield [*meeting.rejects, *(vote for votes_on_one in zip(*votes, strict=True) for vote in votes_on_one)]

    def _put_to(self, judge: Judge, so_far: list[Any]) -> Steps[list[Any]]:
        """Add the votes of a judge to a meeting with the votes of judges before it."""
        meeting: Meeting = so_far[0]
        subjects = self._subjects(meeting)
        requests = [self._request(judge, meeting, subject) for subject in subjects]
        answers = (yield requests) if requests else []
        verdicts = yield from self._read(judge, requests, answers)
        if self.rubric.compares == "one":
            votes = [self._score(judge, meeting, verdict) for verdict in verdicts]
        else:
            in_both_orders = zip(subjects[::2], verdicts[::2], verdicts[1::2], strict=True)
            votes = [self._battle(judge, meeting, pair, both) for pair, *both in in_both_orders]
        return [*so_far, votes]

    def _read(self, judge: Judge, requests: list[Request], answers: list[Completion]) -> Steps[list[Verdict | Invalid]]:
        """Return what the answers say; those in another form are asked for once more."""
        tags = self.rubric.tags
        found = [read(answer, tags) for answer in answers]
        unclear = [
            place for place, (one, answer) in enumerate(zip(found, answers, strict=True))
            if isinstance(one, Invalid) and one.kind in ASKED_AGAIN and answer.text.strip()
        ]  # fmt: skip
        again = (yield [self._again(judge, requests[n], answers[n]) for n in unclear]) if unclear else []
        for place, completion in zip(unclear, again, strict=True):
            found[place] = read_object(completion, tags, answers[place].text) or found[place]
        return found

    def _again(self, judge: Judge, request: Request, answer: Completion) -> Request:
        assert self.rubric.sheet is not None
        messages = self.rubric.sheet.again(request.messages or (), answer.text, judge.markers)
        room = max(request.decoding.max_tokens, MOST_OF_ONE * len(self.rubric.tags))
        decoding = replace(request.decoding, max_tokens=room)
        return replace(request, decoding=decoding, messages=messages, schema=self.rubric.schema)

    def _subjects(self, meeting: Meeting) -> list[tuple[Record, ...]]:
        """Return what a judge is shown: single responses, or pairs, each followed by itself in the other order."""
        if self.rubric.compares == "one" or not meeting.responses:
            return [(response,) for response in meeting.responses]
        responses = meeting.responses
        return [(responses[one], responses[two]) for a, b in meeting.pairs for one, two in ((a, b), (b, a))]

    def _request(self, judge: Judge, meeting: Meeting, shown: tuple[Record, ...]) -> Request:
        assert self.rubric.sheet is not None
        names = ("response",) if len(shown) == 1 else ("response_a", "response_b")
        texts = {
            "prompt": _spoken(shown[0], "user"),
            "reference": meeting.reference or "",
            "language": self.language,
            **{name: _spoken(record, "assistant") for name, record in zip(names, shown, strict=True)},
        }
        seed = keyed_hash(self.seed, "judge", judge.name, meeting.prompt_id, *(str(one.get("model")) for one in shown))
        return Request(
            self.decoding, seed, messages=self.rubric.sheet.messages(texts, judge.markers), thinking=judge.thinking
        )

    def _score(self, judge: Judge, meeting: Meeting, verdict: Verdict | Invalid) -> Record | Reject:
        (response,) = meeting.responses
        if isinstance(verdict, Invalid):
            return Reject(response, verdict.reason, f"{judge.name}: {verdict.detail}")
        scores = {criterion.name: verdict.numbers[tag] for tag, criterion in self.rubric.tags.items()}
        return scored(response, self.rubric, judge.name, scores, answer=verdict.answer, asked_again=verdict.asked_again)

    def _battle(
        self, judge: Judge, meeting: Meeting, pair: tuple[Record, ...], verdicts: list[Verdict | Invalid]
    ) -> Record | Reject:
        battle = meeting_of(meeting.prompt_id, pair[0], pair[1], judge.name, rubric=self.rubric.name)
        orders = []
        for first, verdict in zip(MODELS, verdicts, strict=True):
            if isinstance(verdict, Invalid):
                return Reject(battle, verdict.reason, f"{judge.name}, `{first}` first: {verdict.detail}")
            orders.append(Order(self._by_model(verdict.numbers, first), verdict.answer, verdict.asked_again))
        return asked_twice(battle, self.rubric, orders, self.margin)

    def _by_model(self, numbers: dict[str, int], first: str) -> Scores:
        shown = (first, SECOND[first])
        return {
            model: {one.name: numbers[one.tags("pair")[shown.index(model)]] for one in self.rubric.criteria}
            for model in MODELS
        }


def _spoken(record: Record, role: str) -> str:
    """Return what one side of a conversation said; its turns are numbered where there are several."""
    turns = [message["content"].strip() for message in record["messages"] if message["role"] == role]
    return turns[0] if len(turns) == 1 else "\n\n".join(f"[turn {n}]\n{turn}" for n, turn in enumerate(turns, 1))


def family_of(model: str) -> str:
    """Return the word that a model's name begins with, by which models of one maker are mostly called; a name that
    begins with less than a word is a family of its own."""
    found = re.match(r"[^\W\d_]{3,}", model.casefold())
    return found[0] if found else model.casefold()
