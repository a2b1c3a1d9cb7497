"""What a tokenizer does not give back of texts: capitals, accents, line breaks, characters that it does not know.

Some tokenizers change texts by rules of their own file, as those of BERT do. That is no fault of a model, but it cannot
tell the difference, nor write it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

from latxa_cli.stream.records import JsonObject, Record

LOOKED, LONGEST = 100, 2_000  # texts, and characters of each
SHOWN = 30  # characters


@dataclass(frozen=True)
class Changed:
    """How many of the texts that were looked at are not given back as they were, and the first difference."""

    looked: int = 0
    changed: int = 0
    given: str = ""
    read: str = ""

    def line(self) -> str:
        """Return what people should know, or the empty string."""
        if not self.changed:
            return ""
        return (
            f"the tokenizer changes texts, {self.changed:,} of {self.looked:,} that were looked at: `{self.given}` is "
            f"`{self.read}` to the model, which cannot write it otherwise"
        )


def sampled(records: Iterable[Record], texts: list[str]) -> Iterator[Record]:
    """Yield the records, and put the texts of the first ones into `texts`."""
    for record in records:
        if len(texts) < LOOKED:
            said = [message["content"] for message in record["messages"]] if "messages" in record else [record["text"]]
            texts.append("\n".join(said)[:LONGEST])
        yield record


def changed_by(tokenizer: Any, texts: Sequence[str]) -> Changed:
    """Return how a tokenizer changes texts; the composition of characters, and spaces at both ends, are no change."""
    pairs = [(_plain(text), _plain(_read(tokenizer, text))) for text in texts]
    different = [pair for pair in pairs if pair[0] != pair[1]]
    given, read = _difference(*different[0]) if different else ("", "")
    return Changed(len(texts), len(different), given, read)


def together(parts: Iterable[JsonObject]) -> Changed:
    """Return the changes in several parts, as JSON has them, as one, with the first difference."""
    some = [Changed(**part) for part in parts]
    first = next((part for part in some if part.changed), Changed())
    return replace(first, looked=sum(part.looked for part in some), changed=sum(part.changed for part in some))


def _plain(text: str) -> str:
    return normalize("NFC", text).strip()


def _read(tokenizer: Any, text: str) -> str:
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return str(tokenizer.decode(ids, clean_up_tokenization_spaces=False))


def _difference(given: str, read: str) -> tuple[str, str]:
    """Return the first words that differ, each on one line."""
    place = next((n for n, (one, other) in enumerate(zip(given, read, strict=False)) if one != other), None)
    if place is None:
        place = min(len(given), len(read))
    start = max(given[:place].rstrip().rfind(" "), given[:place].rstrip().rfind("\n"), place - SHOWN) + 1
    return _shown(given[start:], place - start), _shown(read[start:], place - start)


def _shown(text: str, place: int) -> str:
    """Return the text up to the end of the word behind a place."""
    behind = text[place:].lstrip()
    end = len(text) - len(behind) + next((n for n, sign in enumerate(behind) if sign.isspace()), len(behind))
    return text[: min(end, 2 * SHOWN)].replace("\n", "\\n")
