"""More tokens for a model that exists: `latxa extend MODEL DOCS.jsonl --tokens 5000 -o DIR`.

The model's own byte pair encoding continues on text of the new language. New merges come after the old ones, so that
the tokenizer stays of its kind, old tokens keep their ids, and text is cut as before until a new merge applies.
(*LLaMA Beyond English*, arXiv 2401.01055, learns a second tokenizer instead and merges it into the first.)
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from latxa_cli.models.byte_pairs import WordSymbols, learn
from latxa_cli.models.embeddings import EmbeddingStart, add_rows, count_rows
from latxa_cli.models.pieces import Pieces, SymbolCounts, read_pieces
from latxa_cli.models.scratch import texts
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.text.words import segment

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

HOLD_OUT = 20  # one document in 20 is held out, to measure the new pieces on
STEPS_BETWEEN_REPORTS = 100
BATCH = 1_000_000  # characters that are tokenised at a time
OTHER_FILES = ("vocab.json", "merges.txt", "tokenizer.model")  # older forms of a tokenizer, without the new pieces

Progress = Callable[[str, int, int], None]  # a stage, the steps done, and all steps


@dataclass(frozen=True)
class Fertility:
    """The tokens of a text before and after, in documents that were held out, or else learnt from."""

    documents: int
    held_out: bool
    words: int
    bytes: int
    tokens_before: int
    tokens_after: int

    def describe(self) -> str:
        """Return the figures in one line."""
        words, before, after = max(self.words, 1), self.tokens_before, self.tokens_after
        text = "not learnt from" if self.held_out else "too few to hold some out: learnt from"
        return (
            f"on {self.documents:,} documents ({text}): {before / words:.3f} tokens a word before, "
            f"{after / words:.3f} after; {self.bytes / max(before, 1):.2f} bytes a token before, "
            f"{self.bytes / max(after, 1):.2f} after"
        )

    def as_dict(self) -> JsonObject:
        words, before, after = max(self.words, 1), self.tokens_before, self.tokens_after
        return asdict(self) | {
            "tokens_per_word_before": round(before / words, 4),
            "tokens_per_word_after": round(after / words, 4),
            "bytes_per_token_before": round(self.bytes / max(before, 1), 4),
            "bytes_per_token_after": round(self.bytes / max(after, 1), 4),
        }


class WordCounts:
    """The distinct words of some documents as tokens, and the amount of text."""

    def __init__(self, backend: Tokenizer, pieces: Pieces) -> None:
        self.counts: SymbolCounts = Counter()
        self.documents = self.words = self.bytes = 0
        self._backend, self._pieces = backend, pieces
        self._waiting: list[str] = []
        self._characters = 0

    def add(self, document: Iterable[str]) -> None:
        """Count the texts of a document."""
        self.documents += 1
        for text in document:
            self.words += segment(text).length
            self.bytes += len(text.encode())
            for portion in _portions(text):
                self._waiting.append(portion)
                self._characters += len(portion)
                if self._characters >= BATCH:
                    self.count()

    def count(self) -> None:
        """Tokenise the texts that wait; an added token in a text counts as that token, as it will in use."""
        before, behind = self._pieces.cuts_before, self._pieces.cuts_behind
        for encoding in self._backend.encode_batch(self._waiting, add_special_tokens=False):
            ids, words = np.array(encoding.ids, np.int32), np.array(encoding.word_ids, np.int32)
            if len(ids):
                cuts = np.flatnonzero((words[1:] != words[:-1]) | before[ids[1:]] | behind[ids[:-1]]) + 1
                data = ids.tobytes()
                ends = (cuts * ids.itemsize).tolist()
                self.counts.update([data[start:end] for start, end in pairwise([0, *ends, len(data)])])
        self._waiting, self._characters = [], 0


def _portions(text: str) -> Iterator[str]:
    """Yield a text, or a very long one in parts, which end at the end of a line where possible."""
    start = 0
    while len(text) - start > BATCH:
        end = text.rfind("\n", start, start + BATCH) + 1 or start + BATCH
        yield text[start:end]
        start = end
    yield text[start:]


def read_words(records: Iterable[Record], backend: Tokenizer, pieces: Pieces) -> tuple[WordCounts, WordCounts]:
    """Tokenise documents and conversations; return the words to learn from, and those held out.

    Raises:
        LatxaError: there is no text.
    """
    learnt, held = WordCounts(backend, pieces), WordCounts(backend, pieces)
    for number, record in enumerate(records, 1):
        (learnt if number % HOLD_OUT else held).add(texts([record]))
    for sample in (learnt, held):
        sample.count()
        sample.counts = pieces.cut(sample.counts)
    if not learnt.bytes:
        raise LatxaError("there is no text to learn pieces from", hint="give documents with a `text`")
    return learnt, held


def learn_pieces(learnt: WordCounts, held: WordCounts, pieces: Pieces, progress: Progress | None = None) -> Fertility:
    """Learn new pieces; return their effect on the held-out text, or where none is held out on the text learnt from."""
    words = [*learnt.counts, *(word for word in held.counts if word not in learnt.counts)]
    symbols = np.frombuffer(b"".join(words), np.int32)
    lengths = np.array([len(word) // symbols.itemsize for word in words])
    counts, held_counts = (np.array([sample.counts[word] for word in words]) for sample in (learnt, held))
    sequences = WordSymbols(symbols, pieces.sizes(symbols), lengths, counts)
    measured = held if held.bytes else learnt
    weights = held_counts if held.bytes else counts
    before = int(sequences.tokens() @ weights)
    for number, _ in enumerate(learn(sequences, pieces.join), 1):
        if progress and number % STEPS_BETWEEN_REPORTS == 0:
            progress("pieces", number, pieces.most)
        if pieces.is_full:
            break
    for symbol, size in pieces.finish().items():
        sequences.resize(symbol, size)
    after = int(sequences.tokens() @ weights)
    return Fertility(measured.documents, measured is held, measured.words, measured.bytes, before, after)


def extended_tokenizer(tokenizer: PreTrainedTokenizerBase, pieces: Pieces, model: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer with the new pieces, loaded from a directory as users will load it.

    Raises:
        LatxaError: its class does not take pieces from `tokenizer.json`.
    """
    from transformers import AutoTokenizer

    with TemporaryDirectory(prefix="latxa-extend-") as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        for other in OTHER_FILES:
            (folder / other).unlink(missing_ok=True)
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(_with_pieces(json.loads(path.read_text("utf-8")), pieces)), "utf-8")
        extended: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    new = [piece.text for piece in pieces.new]
    if extended.convert_tokens_to_ids(new) != list(range(pieces.first, pieces.first + len(new))):
        raise LatxaError(
            f"`{model}`: a tokenizer of the class `{type(tokenizer).__name__}` does not load with more pieces",
            hint="`PreTrainedTokenizerFast` as `tokenizer_class` in `tokenizer_config.json` may do",
        )
    return extended


def _with_pieces(described: JsonObject, pieces: Pieces) -> JsonObject:
    """Return the content of `tokenizer.json` with the new pieces.

    Added tokens with ids between old and new pieces go into the vocabulary proper: the library warns of gaps in it.
    """
    model = described["model"]
    last = max(model["vocab"].values())
    if pieces.new:
        model["vocab"] |= {text: number for number, text in sorted(pieces.added.items()) if number > last}
    model["vocab"] |= {piece.text: number for number, piece in enumerate(pieces.new, pieces.first)}
    model["merges"] += [list(piece.merge) for piece in pieces.new if piece.merge]
    return described


def extend(
    model: str,
    records: Iterable[Record],
    directory: Path,
    *,
    pieces: int,
    start: EmbeddingStart,
    seed: int,
    progress: Progress | None = None,
) -> tuple[JsonObject, Fertility]:
    """Write `model` into `directory` with up to `pieces` more pieces, learnt from `records`.

    Returns:
        Facts for the manifest, and the effect of the pieces on text of the language.

    Raises:
        LatxaError: the model cannot be loaded, its tokenizer cannot be extended, there is no text, or `directory`
            cannot be written.
    """
    from tokenizers import Tokenizer

    from latxa_cli.model import directory_of, load_model
    from latxa_cli.model_files import export
    from latxa_cli.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(model)
    if not getattr(tokenizer, "is_fast", False):
        raise LatxaError(
            f"`{model}`: its tokenizer is not a fast one, and cannot be extended",
            hint="fast ones have `tokenizer.json`",
        )
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_truncation()  # a tokenizer may be saved with either, and texts must stay whole
    backend.no_padding()
    known = read_pieces(backend, model, pieces)
    learnt, held = read_words(records, backend, known)
    fertility = learn_pieces(learnt, held, known, progress)
    extended = extended_tokenizer(tokenizer, known, model)
    network = load_model(model, device="cpu", dtype="auto")
    rows = count_rows(network)
    add_rows(network, known.first, [piece.parts for piece in known.new], start=start, seed=seed)
    dtype = str(network.dtype).removeprefix("torch.")
    export(network, extended, directory, dtype=dtype, start=directory_of(model))
    facts = {
        "pieces": len(known.new),
        "first_new_id": known.first,
        "vocabulary": known.first + len(known.new),
        "rows_before": rows,
        "rows": count_rows(network),
        "fertility": fertility.as_dict(),
    }
    return facts, fertility
