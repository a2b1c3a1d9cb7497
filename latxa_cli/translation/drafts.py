"""Drafts of one piece: they are asked for, read and checked; what fails is tried again with other shots and a seed.

The first draft of a text is greedy. All others are drawn at the temperature of the layout, each by a seed of its own,
which depends on the run's seed, the record and the draft alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latxa_cli.generation.engine import Completion, Request
from latxa_cli.generation.flow import Steps
from latxa_cli.stream.records import keyed_hash
from latxa_cli.text.loops import ends_in_loop
from latxa_cli.translation.candidates import central
from latxa_cli.translation.checks.checks import REASONS, Checks, Fault
from latxa_cli.translation.fields import UnfitError
from latxa_cli.translation.layouts import Pair, Prompt
from latxa_cli.translation.pieces import Piece, with_space_of
from latxa_cli.translation.shots import Shots

UNFINISHED, LOOP, TOO_LONG = REASONS["unfinished"], REASONS["repetition"], "longer than the context"
LOST_MARKER, OTHER_STRUCTURE = "lost marker", "other structure"
# What another try cannot better. The engine has tried requests that fail again itself.
FINAL = {"too long": TOO_LONG, "refused": "refused by the chat template"}


@dataclass
class Work:
    """What a run has asked for so far.

    - requests, tokens: all of them, and the tokens that were written.
    - again: requests of further tries.
    - structured: requests for several texts at once.
    - unused: the tokens of drafts that passed, and were not taken.
    """

    requests: int = 0
    tokens: int = 0
    again: int = 0
    structured: int = 0
    unused: int = 0


@dataclass
class Spent:
    """What one record took: tokens, and the most tries of any of its texts."""

    tokens: int = 0
    tries: int = 1


@dataclass(frozen=True)
class Drafter:
    """How pieces are translated.

    - max_tokens: the most tokens of a translation.
    - retries: tries after the first one.
    - candidates: drafts in each try, of which one is taken.
    - markers: the special tokens of the model, as they are written.
    """

    prompt: Prompt
    shots: Shots
    checks: Checks
    work: Work
    max_tokens: int
    retries: int = 0
    candidates: int = 1
    seed: int = 0
    markers: frozenset[str] = frozenset()

    def translate(self, piece: Piece, key: str, context: Sequence[Pair], spent: Spent) -> Steps[list[str]]:
        """Return the translations of a piece of the record `key`, in a generator of requests.

        context: pairs to show between shots and text: what was said before it.

        Raises UnfitError where every try fails, with the fault of the last one.
        """
        self._check_source(piece)
        attempt, fault, raw = 0, Fault(""), ""
        for attempt in range(self.retries + 1):
            shots = self.shots.of(piece.shown, key, attempt)
            completions, shots = yield from self._asked(piece, key, shots, context, attempt, spent)
            spent.tries = max(spent.tries, attempt + 1)
            good: list[tuple[list[str], Completion]] = []
            faults: list[tuple[Fault, str]] = []
            for completion in completions:
                draft = self._read(piece, completion, shots, context)
                if isinstance(draft, Fault):
                    faults.append((draft, completion.text.strip()))
                else:
                    good.append((draft, completion))
            if good:
                return self._best(good, greedy=attempt == 0 and good[0][1] is completions[0])
            fault, raw = faults[0]
            if all(completion.failure or completion.finish_reason in FINAL for completion in completions):
                break
        tries = f"{piece.name}, {attempt + 1} {'tries' if attempt else 'try'}"
        raise UnfitError(fault.reason, f"{tries}, {fault.detail}: {raw}" if fault.detail else f"{tries}: {raw}")

    def _check_source(self, piece: Piece) -> None:
        """Raise UnfitError for a text that no try can translate."""
        for part in piece.parts:
            if fault := self.checks.untranslatable(part.text, role=part.role):
                raise UnfitError(fault.reason, f"{part.name}, {fault.detail}")
            if self.prompt.layout.form != "completion":  # which reads what spells a token as its letters
                for marker in sorted(self.markers):
                    if marker in part.text:
                        raise UnfitError("special token in the text", f"{part.name}: {marker}")

    def _asked(
        self, piece: Piece, key: str, shots: tuple[Pair, ...], context: Sequence[Pair], attempt: int, spent: Spent
    ) -> Steps[tuple[list[Completion], tuple[Pair, ...]]]:
        """Return the completions of all drafts, and the shots that they were shown: half of them where they are too
        many for the context, and so on, and in the end not even the context."""
        while True:
            pairs = piece.examples([*shots, *context]) if self.prompt.layout.examples else []
            requests = [self._request(piece, key, pairs, attempt, draft) for draft in range(self.candidates)]
            completions = yield requests
            self.work.requests += len(requests)
            self.work.again += len(requests) if attempt else 0
            self.work.structured += len(requests) if piece.keys else 0
            tokens = sum(completion.completion_tokens for completion in completions)
            self.work.tokens += tokens
            spent.tokens += tokens
            if not pairs or not all(map(self._lacks_room, completions)):
                return completions, shots
            shots, context = shots[(len(shots) + 1) // 2 :], context if shots else ()

    def _lacks_room(self, completion: Completion) -> bool:
        """Whether the prompt leaves no room for a translation, or so little that it is cut off."""
        if completion.finish_reason == "length":
            return 0 < completion.completion_tokens < self.max_tokens
        return completion.finish_reason == "too long"

    def _request(self, piece: Piece, key: str, pairs: Sequence[Pair], attempt: int, draft: int) -> Request:
        drawn = attempt > 0 or draft > 0
        seed = keyed_hash(self.seed, "translate", key, piece.name, attempt, draft) if drawn else 0
        return self.prompt.request(
            piece.shown, pairs, max_tokens=self.max_tokens, draft=drawn, seed=seed, schema=piece.schema
        )

    def _read(
        self, piece: Piece, completion: Completion, shots: Sequence[Pair], context: Sequence[Pair]
    ) -> list[str] | Fault:
        """Return the texts of a draft, their masked parts in place again, or what is wrong with it."""
        if completion.failure:
            return Fault(completion.failure)
        if completion.finish_reason in FINAL:
            return Fault(FINAL[completion.finish_reason])
        if completion.finish_reason == "length":
            whole = "".join(completion.text.rsplit(None, 1)[:1])  # the last word may be cut, and then it ends no loop
            return Fault(LOOP, "it ends in a loop") if ends_in_loop(whole) else Fault(UNFINISHED, "cut off")
        written = piece.read(completion.text.strip())
        if written is None:
            return Fault(OTHER_STRUCTURE, "not the JSON object that was asked for")
        texts = []
        for part, masked, text in zip(piece.parts, piece.masked, written, strict=True):
            name = f"{part.name}, " if piece.keys else ""
            restored = masked.restore(text.strip())
            if restored is None:
                return Fault(LOST_MARKER, f"{name}{len(masked.parts)} markers")
            if marker := next((one for one in sorted(self.markers) if one in restored and one not in part.text), ""):
                return Fault(REASONS["leaked_role"], name + marker)
            if any(restored.strip() == target.strip() != part.text.strip() != source for source, target in context):
                return Fault(REASONS["leaked_examples"], f"{name}the translation of the text before")
            if fault := self.checks.fault(part.text, restored, role=part.role, shots=shots):
                return Fault(fault.reason, name + fault.detail)
            texts.append(with_space_of(restored, part.text))
        return texts

    def _best(self, drafts: Sequence[tuple[list[str], Completion]], *, greedy: bool) -> list[str]:
        """Return the texts of the draft nearest to the others, of which the first may be the greedy one."""
        place = central(["\n\n".join(texts) for texts, _ in drafts], greedy=greedy)
        self.work.unused += sum(
            completion.completion_tokens for number, (_, completion) in enumerate(drafts) if number != place
        )
        return drafts[place][0]
