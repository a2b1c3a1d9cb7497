"""A profile derived from trusted text, with limits that nearly all of its documents keep.

    latxa profile trusted.jsonl > xx.toml

Nine tenths of a sample of the documents give the limits, and the last tenth shows how many good documents they reject.
A limit is the bound that all but 0.25 % of the documents keep, moved a tenth further from the median. It is never
stricter than that of the profile `massivetext`: trusted text is cleaner than the web, and a stricter limit would only
measure that. Rules that need more words or lines than most of the documents have are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
import orjson

from latxa_cli.corpus import vocabulary
from latxa_cli.corpus.profile import load_profile, parse_profile
from latxa_cli.corpus.quality import Figures, foreign_letters, letter_table, measure
from latxa_cli.corpus.rules import NGRAMS, REASONS, QualityRules
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record, Reject, keyed_hash
from latxa_cli.text.language import identify, known_languages
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment

FEWEST, STEADY = 100, 1000  # documents: with fewer there is no profile, or a warning
WORRYING = 0.05  # the share of good documents rejected from which there is a warning
MOST, MOST_CHARACTERS = 20_000, 50_000_000  # documents and characters of the sample
TAIL = 0.0025  # the share of the documents beyond each limit
MARGIN = 0.1  # of the distance from the median, by which a limit is moved outwards
IDENTIFIED = 2_000  # documents whose language is identified
FOREIGN_LETTERS = 0.1  # the lowest limit, which leaves room for names and quotations
STOP_WORD_LOSS = 0.01  # the share of the documents that may hold too few stop words
WORDS_FOR_NGRAMS, LINES_FOR_LINES = 50, 3  # the median document must have so many for rules about n-grams and lines

OF_WORDS = ("minimum_alphabetic_words", "maximum_hash_signs", "maximum_ellipses")
OF_LINES = (
    "maximum_line_breaks", "maximum_repeated_lines", "maximum_repeated_line_characters", "minimum_sentence_ends",
    "maximum_bullet_lines", "maximum_ellipsis_lines",
)  # fmt: skip
GENERAL = {"minimum_sentence_ends": 0.12}  # FineWeb's limit; `massivetext` has none, since some scripts lack such marks


@dataclass
class TrustedSample:
    """A random sample of trusted documents: those with the smallest hashes of their ids, up to two limits of size."""

    most: int = MOST
    most_characters: int = MOST_CHARACTERS
    read: int = 0
    characters: int = 0
    heap: list[tuple[int, int, str, str]] = field(default_factory=list)  # (-hash, ordinal, source, text)

    def add(self, documents: Iterable[Record]) -> Iterator[Reject]:
        """Add `documents` to the sample; yield those that have no words."""
        for document in documents:
            text = normalise(document["text"])
            if not len(segment(text)):
                yield Reject(document, "no words")
                continue
            mark = keyed_hash(0, "profile", document["id"])
            heappush(self.heap, (-mark, self.read, str(document.get("source") or ""), text))
            self.read += 1
            self.characters += len(text)
            while len(self.heap) > self.most or self.characters > self.most_characters:
                self.characters -= len(heappop(self.heap)[-1])

    def parts(self) -> tuple[list[str], list[str], list[str]]:
        """Return the texts to derive from, in input order, their sources, and the texts for the check."""
        ordered = sorted(self.heap, reverse=True)
        checks = [text for *_, text in ordered[9::10]]
        used = sorted(entry[1:] for place, entry in enumerate(ordered) if place % 10 != 9)
        return [text for *_, text in used], [source for _, source, _ in used], checks


@dataclass(frozen=True)
class DerivedProfile:
    """A profile as TOML, with the facts that the user should know about it."""

    toml: str
    language: str
    used: int  # documents that it was derived from
    checked: int  # documents that it was checked with
    rejected: Counter[str]  # of the checked ones, by reason
    identified: float | None  # the share of documents identified as the language; None for an unknown language

    def warnings(self) -> list[str]:
        """Return warnings about the profile, one line each."""
        warnings = []
        if self.used + self.checked < STEADY:
            warnings.append(f"{self.used + self.checked} documents are few: with {STEADY:,} the limits would be steady")
        if self.rejected.total() > WORRYING * self.checked:
            warnings.append(f"the profile rejects more than {WORRYING:.0%} of good documents; look at its limits")
        if self.identified is not None and self.identified < 0.5:
            warnings.append(f"language identification takes only {self.identified:.0%} of them for `{self.language}`")
        return warnings


def derive(trusted: TrustedSample, language: str | None) -> DerivedProfile:
    """Return the profile of `language`, by default of the language of most documents.

    Raises LatxaError where there are too few documents, or where no language is that of most.
    """
    texts, sources, checks = trusted.parts()
    if len(texts) + len(checks) < FEWEST:
        hint = f"give {FEWEST} at least; {STEADY:,} make the limits steady"
        raise LatxaError(f"{len(texts) + len(checks)} documents are too few to derive a profile from", hint=hint)
    writer = _Writer(np.array([measure(text) for text in texts]))
    language, identified = writer.language(texts, language)
    writer.words()
    writer.lines()
    writer.ngrams()
    writer.stop_words(texts, sources)
    writer.letters(texts)
    body = "\n".join(writer.text) + "\n"
    profile = parse_profile(body.encode(), "the derived profile")
    rules = QualityRules(profile)
    rejected = Counter(fault[0] for text in checks if (fault := rules.judge(text, segment(text))))
    head = _head(language, trusted.read, len(texts), len(checks), rejected)
    return DerivedProfile(head + body, language, len(texts), len(checks), rejected, identified)


def _head(language: str, read: int, used: int, checked: int, rejected: Counter[str]) -> str:
    reasons = "".join(f", {count} {reason}" for reason, count in rejected.most_common())
    lines = (
        f"The language `{language}`, derived by `latxa profile` from {used:,} of {read:,} trusted documents.",
        f"Of {checked:,} others among them it rejects {rejected.total():,}{reasons}.",
        "",
        f"Measured is what all but {TAIL:.2%} of the documents keep. The limit lies a tenth further from the median,",
        "or is that of the profile `massivetext` where this is wider.",
    )
    share = f"trusted_rejected = {rejected.total() / max(checked, 1):.3g}  # of those {checked:,} others\n"
    return "".join(f"# {line}".rstrip() + "\n" for line in lines) + "\n" + share


class _Writer:
    """Writes the lines of a profile from `figures` [documents, figures]."""

    def __init__(self, figures: np.ndarray) -> None:
        self.figures = figures
        self.general = load_profile("massivetext")
        self.text: list[str] = []

    def put(self, key: str, value: object, comment: str) -> None:
        """Write one key of the profile, with a comment about where its value comes from."""
        shown = ", ".join(orjson.dumps(each).decode() for each in (value if isinstance(value, list) else [value]))
        self.text.append(f"{key} = {f'[{shown}]' if isinstance(value, list) else shown}  # {comment}")

    def column(self, name: str) -> np.ndarray:
        return self.figures[:, Figures._fields.index(name)]

    def language(self, texts: list[str], given: str | None) -> tuple[str, float | None]:
        """Write the language and its minimal probability; return the language and the share identified as it."""
        found = [identify(text) for text in texts[:: math.ceil(len(texts) / IDENTIFIED)]]
        counts = Counter(name for name, _ in found)
        language, count = counts.most_common(1)[0]
        if given is None and 2 * count <= len(found):
            listed = ", ".join(f"{name} {number / len(found):.0%}" for name, number in counts.most_common(4))
            hint = "`--language CODE` says which one the profile is for"
            raise LatxaError(f"the documents are in several languages ({listed})", hint=hint)
        language = given or language
        self.text.append("")
        self.put("language", language, "given" if given else "found in most of the documents")
        self.put("other_languages", self.general.other_languages, "the general limit")
        if language not in known_languages():
            self.text.append("# No `language_probability`: the default language identification does not know it.")
            return language, None
        probabilities = np.array([probability for name, probability in found if name == language])
        share = len(probabilities) / len(found)
        comment = f"{share:.1%} of the documents are taken for `{language}`"
        if len(probabilities):
            measured = float(np.quantile(probabilities, TAIL, method="lower"))
            self.put("language_probability", min(0.5, _rounded(measured, -1)), f"measured: {measured:.3g}; {comment}")
        return language, share

    def words(self) -> None:
        self.text.append("")
        words = self.column("words")
        measured = float(np.quantile(words, TAIL, method="lower"))
        self.put("minimum_words", int(min(self.general.minimum_words or measured, measured)), f"measured: {measured:g}")
        measured = float(np.quantile(words, 1 - TAIL, method="higher"))
        self.put("maximum_words", int(max(self.general.maximum_words or measured, measured)), f"measured: {measured:g}")
        for key in ("minimum_mean_word_length", "maximum_mean_word_length", *OF_WORDS):
            self.limit(key)

    def lines(self) -> None:
        self.text.append("")
        if np.median(self.column("lines")) < LINES_FOR_LINES:
            self.text.append(f"# No rules about lines: most documents have fewer than {LINES_FOR_LINES}.")
            return
        for key in OF_LINES:
            self.limit(key)

    def ngrams(self) -> None:
        self.text.append("")
        if np.median(self.column("words")) < WORDS_FOR_NGRAMS:
            self.text.append(
                f"# No rules about repeated phrases: most documents have fewer than {WORDS_FOR_NGRAMS} words."
            )
            return
        for key, lengths in NGRAMS.items():
            general = getattr(self.general, key)
            found = [self.bound(REASONS[key][0].format(n=n), -1) for n in lengths]
            limits = [max(pair) for pair in zip(general, (limit for _, limit in found), strict=True)]
            shown = ", ".join(f"{measured:.3g}" for measured, _ in found)
            self.put(key, limits, f"{lengths[0]} to {lengths[-1]} words; measured: {shown}")

    def limit(self, key: str) -> None:
        """Write the limit `key`: the measured one, or the general one where that is wider."""
        sign = 1 if key.startswith("minimum_") else -1
        measured, limit = self.bound(REASONS[key][0], sign)
        general = getattr(self.general, key) or GENERAL.get(key)
        if (limit, sign) in ((0, 1), (1, -1)):  # no document can fail it
            self.text.append(f"# No `{key}`; measured: {measured:.3g}")
        elif general is not None and (general - limit) * sign <= 0:
            self.put(key, general, f"the general limit; measured: {measured:.3g}")
        else:
            self.put(key, limit, f"measured: {measured:.3g}")

    def bound(self, figure: str, sign: int) -> tuple[float, float]:
        """Return the bound that all but `TAIL` of the documents keep, below (`sign` 1) or above (-1), and the limit."""
        values = self.column(figure)
        share = TAIL if sign > 0 else 1 - TAIL
        measured = float(np.quantile(values, share, method="lower" if sign > 0 else "higher"))
        limit = measured + MARGIN * (measured - float(np.median(values)))
        if measured <= 1:  # the figure is a share
            limit = min(limit, 1.0)
        return measured, max(0.0, _rounded(limit, -sign))

    def stop_words(self, texts: list[str], sources: list[str]) -> None:
        self.text.append("")
        found, held = vocabulary.stop_words(texts, sources)
        if not found:
            self.text.append("# No stop words: no word is frequent in all parts of the documents.")
            return
        self.put("stop_words", found, "the most frequent ones in every part of the documents")
        for least in (2, 1):
            lost = float((held < least).mean())
            if lost <= STOP_WORD_LOSS:
                self.put("minimum_stop_words", least, f"{lost:.2%} of the documents have fewer")
                return
        self.text.append(f"# No `minimum_stop_words`: {lost:.1%} of the documents have none, as they are so short.")

    def letters(self, texts: list[str]) -> None:
        self.text.append("")
        alphabet = vocabulary.alphabet(texts)
        if not alphabet:
            self.text.append(f"# No alphabet: there are more than {vocabulary.MOST_LETTERS} letters.")
            return
        table = letter_table(alphabet)
        shares = [foreign_letters(segment(text), table) for text in texts]
        measured = float(np.quantile(shares, 1 - TAIL, method="higher"))
        self.put("alphabet", alphabet, f"letters that stand in at least {vocabulary.LETTER_SHARE:.0%} of the documents")
        limit = max(FOREIGN_LETTERS, _rounded(measured * (1 + MARGIN), 1))
        self.put("maximum_foreign_letters", min(1.0, limit), f"room for names and quotations; measured: {measured:.3g}")


def _rounded(value: float, direction: int) -> float:
    """Return `value` rounded to three decimals, up (1) or down (-1)."""
    scaled = value * 1000
    return (math.ceil(scaled - 1e-9) if direction > 0 else math.floor(scaled + 1e-9)) / 1000
