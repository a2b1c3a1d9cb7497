"""The examples that a prompt shows (shots): pairs of a text and its translation, drawn by seed or by likeness.

Likeness is of length and of kind: a question, a list, code, a dialogue, or prose. Nothing here knows a language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record, keyed_hash
from latxa_cli.text.words import length
from latxa_cli.translation.checks.length import QUESTION_MARKS
from latxa_cli.translation.languages import Language
from latxa_cli.translation.layouts import Layout, Pair

MOST = 5  # shots in a prompt, by default
# Another kind counts as much as a length of e times as many words.
OTHER_KIND = 1.0
# Pairs of which the language is identified, spread over their file, and the letters that it takes: short ones together.
IDENTIFIED, LETTERS, SURELY = 200, 60, 0.8

_FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,})", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*+•‣◦–]|\(?\w{1,3}[.)])[ \t]+\S", re.MULTILINE)
_SPEAKER = re.compile(r"^[ \t]*(?:[^\W\d_][\w .'’-]{0,30}[:：]|[—―«“])[ \t]*\S", re.MULTILINE)
_ASKS = (*QUESTION_MARKS, ";")  # the last one ends Greek questions, and nothing else ends in it


def kind_of(text: str) -> str:
    """Return what a text looks like: `code`, `list`, `dialogue`, `question` or `prose`."""
    if _FENCE.search(text):
        return "code"
    if len(_ITEM.findall(text)) >= 2:
        return "list"
    if len(_SPEAKER.findall(text)) >= 2:
        return "dialogue"
    return "question" if text.rstrip(" \t\n\"'»”)").endswith(_ASKS) else "prose"


@dataclass(frozen=True)
class Shots:
    """The pairs of a run.

    - count: how many a prompt shows.
    - nearest: those most like the text, and not the same ones for all.
    """

    pairs: tuple[Pair, ...]
    count: int
    seed: int = 0
    nearest: bool = False

    def of(self, text: str, key: str, attempt: int = 0) -> tuple[Pair, ...]:
        """Return the shots for a text; each attempt sees others, as far as there are.

        At first those of the seed, which are the same for all texts, so that engines read them once. Of the nearest
        ones, the last is the most like the text.
        """
        if not self.count:
            return ()
        order = self._by_likeness(text) if self.nearest else self._drawn(f"{key} {attempt}" if attempt else "")
        start = attempt * self.count if self.nearest else 0
        chosen = [order[(start + place) % len(order)] for place in range(self.count)]
        return tuple(self.pairs[place] for place in (reversed(chosen) if self.nearest else chosen))

    def _drawn(self, key: str) -> list[int]:
        return sorted(range(len(self.pairs)), key=lambda place: keyed_hash(self.seed, "shot", key, place))

    def _by_likeness(self, text: str) -> list[int]:
        size, kind = _size(text), kind_of(text)
        far = [abs(size - size_) + OTHER_KIND * (kind != kind_) for size_, kind_ in self._looks]
        return sorted(range(len(far)), key=lambda place: (far[place], place))

    @cached_property
    def _looks(self) -> list[tuple[float, str]]:
        return [(_size(source), kind_of(source)) for source, _ in self.pairs]


def _size(text: str) -> float:
    return log(1 + length(text))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user wants to have shown: pairs of the file `path`, so many (None: the default), the nearest or not."""

    path: str
    count: int | None = None
    nearest: bool = False


def shots_of(
    records: Sequence[Record], wanted: Wanted, layout: Layout, languages: tuple[Language, Language], *, seed: int
) -> Shots:
    """Return the shots of a file of pairs, `records`.

    Raises UsageError for a file without pairs, with a blank side, with fewer pairs than are wanted, or with pairs of
    other languages; and for a layout that shows none.
    """
    path, count = wanted.path, wanted.count
    if not layout.examples:
        raise UsageError(
            f"`--prompt {layout.name}` shows no examples", hint="leave `--shots` out: the model has learnt to translate"
        )
    pairs = tuple((record["source"].strip(), record["target"].strip()) for record in records)
    if not pairs and count != 0:
        raise UsageError(f"{path}: there are no examples", hint="`-k 0` asks without any")
    for record, pair in zip(records, pairs, strict=True):
        if not all(pair):
            raise UsageError(f"{path}: a side of the pair `{record['id']}` is empty")
    if count is not None and count > len(pairs):
        raise UsageError(
            f"`-k {count}` asks for more examples than {path} has, {len(pairs)}", hint=f"`-k {len(pairs)}`, or add some"
        )
    check_languages(pairs, path, *languages)
    return Shots(pairs, min(MOST, len(pairs)) if count is None else count, seed, wanted.nearest)


def without_shots(layout: Layout, count: int | None) -> Shots:
    """Return that there are none; raises UsageError where the layout shows some, unless `count` is 0."""
    if layout.examples and layout.form != "chat" and count != 0:
        raise UsageError(f"`--prompt {layout.name}` shows examples: `--shots FILE`", hint="`-k 0` asks without any")
    return Shots((), 0)


def check_languages(pairs: Iterable[Pair], path: str, source: Language, target: Language) -> None:
    """Raise UsageError where pairs go the other way round, or most of one side is surely in another language.

    Languages that cannot be identified are not checked.
    """
    from latxa_cli.text.language import UNDETERMINED, identify, known_languages

    known = set(known_languages())
    pairs = list(pairs)
    chosen = pairs[:: max(1, len(pairs) // IDENTIFIED)]
    meant = (source.primary, target.primary)
    for side, name in enumerate(("source", "target")):
        if meant[side] not in known:
            continue
        found = [identify(text) for text in _long_enough(pair[side] for pair in chosen)]
        codes = [code if probability >= SURELY else "" for code, probability in found]
        wrong = [code for code in codes if code not in ("", UNDETERMINED, meant[side])]
        if 2 * len(wrong) <= len(codes):
            continue
        code = max(set(wrong), key=wrong.count)
        if code == meant[1 - side]:
            raise UsageError(
                f"{path}: the examples go from `{meant[1]}` to `{meant[0]}`",
                hint="exchange `source` and `target` in it, or `--from` and `--to`",
            )
        raise UsageError(
            f"{path}: `{name}` should be in `{meant[side]}`, and {len(wrong)} of {len(codes)} parts are in other "
            f"languages, most of them in `{code}`"
        )


def _long_enough(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, short ones joined until their language can be identified; what is left over joins the last."""
    found: list[str] = []
    waiting: list[str] = []
    for text in texts:
        waiting.append(text)
        if sum(map(str.isalpha, "".join(waiting))) >= LETTERS:
            found.append("\n".join(waiting))
            waiting = []
    if waiting:
        found[-1:] = ["\n".join([*found[-1:], *waiting])]
    yield from found
