"""An engine that is asked request by request; what it answered is kept, so that a killed run asks and pays once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import orjson
import xxhash

from latxa_cli.evaluation.answering.wording import ended
from latxa_cli.evaluation.kept import Kept
from latxa_cli.generation.engine import Completion, Engine, Request
from latxa_cli.generation.flow import MOST_FAILED
from latxa_cli.stream.errors import LatxaError


class Question(NamedTuple):
    """A request, and the strings at which its answer ends."""

    request: Request
    ends: tuple[str, ...] = ()


class Respondent:
    """Has an engine answer questions.

    Attributes:
        engine: the engine.
        seed: that of the run, for answers that are drawn.
        kept: answers that an interrupted run left, and where those of this run are kept.
    """

    def __init__(self, engine: Engine, seed: int = 0) -> None:
        self.engine, self.seed = engine, seed
        self.kept = Kept()

    def answers(self, questions: Sequence[Question]) -> list[Completion]:
        """Return the completion of each question, in their order.

        A failed request is kept by no one: it is asked again by `--resume`.

        Raises:
            LatxaError: `MOST_FAILED` requests in a row failed, or what the engine raises.
        """
        from tqdm import tqdm

        contents = list(_contents(questions))
        keys = [self.kept.key("completion", content) for content in contents]
        done: dict[int, Completion] = {}
        for number, key in enumerate(keys):
            if found := self.kept.of([key]):
                done[number] = _completion(found[0])
        waiting = [number for number in range(len(questions)) if number not in done]
        requests = [self._seeded(questions[number].request, contents[number]) for number in waiting]
        failures = _FailuresInARow()
        with tqdm(total=len(questions), initial=len(done), desc="answers") as bar:
            for place, completion in self.engine.generate(iter(requests)):
                number = waiting[place]
                done[number] = ended(completion, questions[number].ends)
                if completion.finish_reason != "failed":
                    self.kept.add([(keys[number], asdict(done[number]))])
                failures.add(place, completion)
                bar.update()
        return [done[number] for number in range(len(questions))]

    def _seeded(self, request: Request, content: bytes) -> Request:
        return replace(request, seed=xxhash.xxh3_64_intdigest(content, self.seed) >> 11)


def _contents(questions: Iterable[Question]) -> Iterator[bytes]:
    """Yield what each question holds; one that is asked several times, for several draws, is another each time."""
    times: Counter[bytes] = Counter()
    for question in questions:
        content = orjson.dumps([asdict(question.request), question.ends], option=orjson.OPT_SORT_KEYS)
        times[content] += 1
        yield content + str(times[content]).encode()


class _FailuresInARow:
    """Ends a run whose requests fail one after the other, in the order in which they were asked.

    Those that were tried again and again finish late, one after the other.
    """

    def __init__(self) -> None:
        self.finished: dict[int, str] = {}
        self.next = self.count = 0

    def add(self, place: int, completion: Completion) -> None:
        self.finished[place] = completion.text if completion.finish_reason == "failed" else ""
        for failure in self._in_order():
            self.count = self.count + 1 if failure else 0
            if self.count == MOST_FAILED:
                raise LatxaError(
                    f"{self.count} requests in a row failed, at last: {failure}",
                    hint="what came before them is kept: with `-o FILE`, `--resume` goes on there",
                )

    def _in_order(self) -> Iterator[str]:
        while self.next in self.finished:
            yield self.finished.pop(self.next)
            self.next += 1


def _completion(kept: Any) -> Completion:
    return Completion(**{**kept, "likelihoods": tuple(kept["likelihoods"])})
