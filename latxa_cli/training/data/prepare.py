"""Preparing data for training: records to packed rows on the disk, before any GPU is taken.

latxa prepare mix.jsonl.zst --model MODEL --sequence-length 8192 -o prepared

Parts of the sources are tokenised by as many processes as there are (`tokenise`, a stage that an interrupted run goes
on with); then the pieces of all are packed, window by window in their order, and written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from latxa_cli.model import load_config, load_tokenizer
from latxa_cli.stages import Work, load_array, save_array, save_bytes
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import reading
from latxa_cli.stream.parts import Part, cut, lines_of, where
from latxa_cli.stream.reader import explain, parser
from latxa_cli.stream.records import Lines, Record
from latxa_cli.stream.rejects import MALFORMED, SHOWS_WHY, malformed_entry, unfit_entry
from latxa_cli.stream.sources import Source
from latxa_cli.training.data.packing import pack_window
from latxa_cli.training.data.rows import PreparedRows, RowWriter
from latxa_cli.training.data.tokenised import SPLIT, TokenisingSettings, tokenise_records

MODULES = ("latxa_cli.training.data.prepare",)
WORKER_BYTES = 1_500_000_000  # of a worker: the libraries, the lines of a part and their tokens
# Pieces that are packed together, and tokens in them: enough to fill rows of 8,192 tokens to 99.98 %, and 250 MB.
WINDOW, WINDOW_TOKENS = 16_384, 1 << 25
KINDS = ("document", "conversation")


@dataclass(frozen=True)
class PreparationSettings:
    """What is made of the records. `chat_template`: a text in place of the tokenizer's own; `shard`: (index, count)."""

    model: str
    tokenising: TokenisingSettings
    chat_template: str | None = None
    shard: tuple[int, int] = (0, 1)
    trust_remote_code: bool = False


def settings_for(
    model: str,
    sequence_length: int,
    loss: str,
    source_loss: Mapping[str, str],
    *,
    chat_template: str | None = None,
    shard: tuple[int, int] = (0, 1),
    trust_remote_code: bool = False,
) -> PreparationSettings:
    """Return the settings for a model; raises LatxaError where its configuration cannot be read."""
    config = load_config(model, trust_remote_code=trust_remote_code).get_text_config()
    context = getattr(config, "max_position_embeddings", None)
    if context and sequence_length > context:
        raise LatxaError(
            f"`{model}` takes at most {context} tokens, the sequence length is {sequence_length}",
            hint=f"`--sequence-length {context}`",
        )
    tokenising = TokenisingSettings(sequence_length, loss, tuple(source_loss.items()), config.vocab_size)  # type: ignore[arg-type]
    return PreparationSettings(model, tokenising, chat_template, shard, trust_remote_code)


def template_of(path: Path | None) -> str | None:
    """Return the chat template in a file, None for none; raises LatxaError where it cannot be read."""
    if path is None:
        return None
    with reading(str(path)):
        return path.read_text(encoding="utf-8")


@dataclass(frozen=True)
class TokeniseTask:
    part: Part
    settings: PreparationSettings
    folder: str
    set_aside: bool

    def file(self, ending: str) -> Path:
        return Path(self.folder) / f"{self.part.number:05}.{ending}"


def tokenise(task: TokeniseTask) -> dict[str, Any]:
    """Write the pieces of a part: `N.ids.npy` u32, `N.trained.npy`, a bit a token, `N.lengths.npy` u32 a piece.

    Returns what is counted. Raises RecordError for a malformed line where none are set aside, LatxaError as
    `tokenise_records` does.
    """
    entries: list[dict[str, Any]] = []
    records = _records(task, entries)
    made = tokenise_records(records, _tokenizer(task.settings), task.settings.tokenising)
    save_array(task.file("ids.npy"), _joined(made.ids, np.int32).view(np.uint32))
    save_array(task.file("trained.npy"), np.packbits(_joined(made.trained, np.bool_)))
    save_array(task.file("lengths.npy"), np.array(made.lengths, np.uint32))
    malformed = len(entries)
    entries += [unfit_entry(one.record, one.reason, one.detail) for one in made.rejects]
    lines = b"".join(orjson.dumps(entry) + b"\n" for entry in entries) if task.set_aside else b""
    save_bytes(task.file("aside"), lines)
    rejected = Counter(reject.reason for reject in made.rejects)
    if malformed:
        rejected[MALFORMED] = malformed
    records_used = sum(share["records"] for share in made.shares.values())
    return {
        "read": records_used + made.other_split + rejected.total(), "shares": made.shares, "rejected": rejected,
        "other split": made.other_split, "shortened": made.shortened,
    }  # fmt: skip


def _joined(arrays: list[NDArray[Any]], kind: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *arrays])


def _records(task: TokeniseTask, entries: list[dict[str, Any]]) -> Iterator[Record]:
    """Yield the checked records of the shard; malformed lines go to `entries` where they are set aside."""
    parse, (index, count) = parser(KINDS), task.settings.shard
    for row, _, line in lines_of(task.part):
        if row % count != index or not line.strip():
            continue
        try:
            yield parse(line)
        except ValueError as error:
            place, what = where(task.part, row), explain(error, line)
            entries.append(malformed_entry(place, what, line, set_aside=task.set_aside))


@lru_cache(maxsize=1)
def _tokenizer(settings: PreparationSettings) -> Any:
    return tokenizer_of(settings)


def tokenizer_of(settings: PreparationSettings) -> Any:
    """Return the tokenizer of the model, with the chat template that is asked for; raises LatxaError."""
    tokenizer = load_tokenizer(settings.model, trust_remote_code=settings.trust_remote_code)
    if tokenizer.eos_token_id is None:
        raise LatxaError(
            f"the tokenizer of `{settings.model}` has no end-of-text token",
            hint="name it as `eos_token` in `tokenizer_config.json`",
        )
    if settings.chat_template is not None:
        tokenizer.chat_template = settings.chat_template
    return tokenizer


def digest_of(tokenizer: Any) -> str:
    """Return by what a tokenizer is known to be the same, whatever its chat template."""
    parts = (tokenizer.backend_tokenizer.to_str(), str(tokenizer.bos_token_id), str(tokenizer.eos_token_id))
    return xxhash.xxh3_128("\0".join(parts).encode()).hexdigest()


@dataclass
class Preparation:
    """Rows that were prepared, with what was read and left out. `inputs`: as a manifest describes them."""

    rows: PreparedRows
    inputs: list[dict[str, Any]]
    read: int
    rejected: Counter[str]
    asides: list[Path]
    other_split: int
    shortened: int

    def rejects(self) -> Iterator[Lines]:
        """Yield what was left out, by reason, for `--rejects`."""
        lines = b"".join(path.read_bytes() for path in self.asides)
        for number, (reason, count) in enumerate(self.rejected.items()):
            yield Lines(b"" if number else lines, count, reason)

    def lines(self) -> Iterator[str]:
        """Say what was prepared: all in all, then each source."""
        rows = self.rows
        yield f"{len(rows):,} rows of {rows.sequence_length:,}, {rows.tokens:,} tokens, {rows.fill:.2%} full"
        for name, share in rows.shares.items():
            part = share["trained"] / max(1, share["tokens"])
            yield f"{name}: {share['records']:,} records, {share['tokens']:,} tokens, {part:.1%} trained"
        for name in sorted(rows.facts["source_loss"].keys() - rows.shares.keys()):
            yield f"`{name}`, of which `--chat-loss` tells the loss, is no source of these records"
        if self.shortened:
            yield f"{self.shortened:,} conversations longer than a row end with the last answer that fits"
        if self.other_split:
            yield f"{self.other_split:,} records of other splits are left out"


def prepare(
    sources: Sequence[Source], settings: PreparationSettings, work: Work, folder: Path, *, set_aside: bool = False
) -> Preparation:
    """Make the rows of all sources in `folder`.

    Raises LatxaError: the mix is empty or all of other splits, nothing of it or of a source in it is trained, a model
    that cannot be loaded; and as `tokenise` does.
    """
    parts, inputs = cut(sources, work)
    stage = str(work.folder / "tokenise")
    tasks = [TokeniseTask(part, settings, stage, set_aside) for part in parts]
    results = work.stage("tokenise", tokenise, tasks)
    shares: dict[str, Counter[str]] = {}
    rejected: Counter[str] = Counter()
    for result in results:
        rejected.update(result["rejected"])
        for name, share in result["shares"].items():
            shares.setdefault(name, Counter()).update(share)
    read, other_split, shortened = (
        sum(result[name] for result in results) for name in ("read", "other split", "shortened")
    )
    _check(shares, rejected, other_split)
    work.stage("pack", pack, [PackTask(tuple(tasks), str(folder.absolute()), shares)], here=True)
    asides = [task.file("aside") for task in tasks]
    return Preparation(PreparedRows([folder]), inputs, read, rejected, asides, other_split, shortened)


def _check(shares: dict[str, Counter[str]], rejected: Counter[str], other_split: int) -> None:
    if not shares and other_split:
        raise LatxaError(f"all {other_split:,} records are of other splits than `{SPLIT}`")
    if not shares and rejected:
        raise LatxaError(f"none of the {rejected.total():,} records can be used", hint=SHOWS_WHY)
    if not shares:
        raise LatxaError("the mix is empty", hint="give files with documents or conversations")
    for name, share in shares.items():
        if not share["trained"]:
            raise LatxaError(
                f"nothing of `{name}` is trained",
                hint="are its answers turns of the role `assistant`? Else leave it out of the mix",
            )


# --- packing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PackTask:
    """The tasks whose pieces are packed, where the rows go, and what each source gave."""

    tokenised: tuple[TokeniseTask, ...]
    folder: str
    shares: dict[str, Counter[str]]


def pack(task: PackTask) -> dict[str, Any]:
    """Pack the pieces of all tasks, in their order, and write the rows; the stage function of `prepare`."""
    settings = task.tokenised[0].settings
    tokenizer, tokenising = tokenizer_of(settings), settings.tokenising
    digest = digest_of(tokenizer)
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    writer = RowWriter(Path(task.folder), tokenising.sequence_length, padding=padding, vocabulary=tokenising.vocabulary)
    held = _Window.empty()
    for one in task.tokenised:
        for more in _windows(one):
            held = held.with_more(more)
            if held.is_full:
                held = held.written(writer, last=False)
    held.written(writer, last=True)
    losses = {"chat_loss": tokenising.loss, "source_loss": dict(tokenising.losses)}
    facts = {"model": settings.model, "tokenizer": digest, "chat_template": tokenizer.chat_template}
    writer.finish(facts | losses | {"sources": task.shares})
    return {"rows": writer.rows}


@dataclass
class _Window:
    """Pieces that wait to be packed, one behind the other."""

    ids: NDArray[Any]
    trained: NDArray[np.bool_]
    lengths: NDArray[np.int64]

    @classmethod
    def empty(cls) -> _Window:
        return cls(np.empty(0, np.uint32), np.empty(0, bool), np.empty(0, np.int64))

    @property
    def is_full(self) -> bool:
        return len(self.lengths) >= WINDOW or len(self.ids) >= WINDOW_TOKENS

    def with_more(self, more: _Window) -> _Window:
        return _Window(
            np.concatenate([self.ids, more.ids]),
            np.concatenate([self.trained, more.trained]),
            np.concatenate([self.lengths, more.lengths]),
        )

    def written(self, writer: RowWriter, *, last: bool) -> _Window:
        """Write the rows that these pieces make; return the window of those that wait for more."""
        rows, waiting = pack_window(self.lengths.tolist(), writer.length, last=last)
        starts = np.cumsum(self.lengths) - self.lengths
        spans = np.stack([starts, self.lengths], axis=1)
        writer.write(self.ids, self.trained, [spans[row] for row in rows])
        if not waiting:
            return _Window.empty()
        left = np.concatenate([np.arange(start, start + length) for start, length in spans[waiting]])
        return _Window(self.ids[left], self.trained[left], self.lengths[waiting])


def _windows(task: TokeniseTask) -> Iterator[_Window]:
    """Yield the pieces of a part, some at a time."""
    lengths = load_array(task.file("lengths.npy")).astype(np.int64)
    ids = load_array(task.file("ids.npy"), mapped=True)
    trained = np.unpackbits(load_array(task.file("trained.npy")), count=len(ids)).astype(bool)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    first = 0
    while first < len(lengths):
        far = int(np.searchsorted(ends, ends[first] + WINDOW_TOKENS, side="right")) - 1
        last = max(first + 1, min(first + WINDOW, far))
        span = slice(ends[first], ends[last])
        yield _Window(ids[span], trained[span], lengths[first:last])
        first = last
