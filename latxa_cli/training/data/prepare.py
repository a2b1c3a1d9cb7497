"""Prepare data for training: records to packed rows on the disk, before any GPU is in use.

`latxa prepare mix.jsonl.zst --model MODEL --sequence-length 8192 -o prepared`

- `tokenise`: several processes tokenise parts of the sources. An interrupted run continues with the next part.
- `pack`: one process packs the pieces of all parts, window by window in their order, and writes the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from latxa_cli.chat.rendering import asks_for_date, check_template, set_date
from latxa_cli.model import load_text_config
from latxa_cli.stages import Work, load_array, save_array, save_bytes
from latxa_cli.stream.cutting import Part, cut, lines_of, location
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import reading
from latxa_cli.stream.reader import explain, parser
from latxa_cli.stream.records import JsonObject, Lines, Record
from latxa_cli.stream.rejects import MALFORMED, malformed_entry, unfit_entry
from latxa_cli.stream.sources import Source
from latxa_cli.tokenizer import load_tokenizer
from latxa_cli.training.data.changed import Changed, changed_by, sampled, together
from latxa_cli.training.data.lost import check_records, check_sources, lost_of
from latxa_cli.training.data.packing import pack_window
from latxa_cli.training.data.rows import PreparedRows, RowWriter, padding_of
from latxa_cli.training.data.tokenised import TokenisingSettings, tokenise_records

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MODULES = ("latxa_cli.training.data.prepare",)
WORKER_BYTES = 1_500_000_000  # memory of a worker: the libraries, the lines of a part and their tokens
# Pieces that are packed together, and the most tokens in them. They fill rows of 8,192 tokens to 99.98 %, in 250 MB.
WINDOW, WINDOW_TOKENS = 16_384, 1 << 25
KINDS = ("document", "conversation")
Account = Callable[[int, Sequence[Record], Iterator[Lines]], None]
SHOWN = 5  # fields that are not trained, each in a line of its own


@dataclass(frozen=True)
class PreparationSettings:
    """The settings of a preparation.

    Attributes:
        model: the model whose tokenizer is used.
        tokenising: how records become tokens.
        chat_template: a template in place of the tokenizer's own.
        day: the day that the template takes for today; None for what the clock says.
        shard: (index, count) of the share of records to take.
        trust_remote_code: whether to run code of the model.
    """

    model: str
    tokenising: TokenisingSettings
    chat_template: str | None = None
    shard: tuple[int, int] = (0, 1)
    trust_remote_code: bool = False
    day: str | None = None


def settings_for(
    model: str,
    tokenising: TokenisingSettings,
    *,
    chat_template: str | None = None,
    shard: tuple[int, int] = (0, 1),
    trust_remote_code: bool = False,
    day: str | None = None,
) -> PreparationSettings:
    """Return the settings for a model; raises LatxaError where its configuration cannot be read."""
    config = load_text_config(model, trust_remote_code=trust_remote_code)
    context, length = getattr(config, "max_position_embeddings", None), tokenising.sequence_length
    if context and length > context:
        raise LatxaError(
            f"`{model}` takes at most {context} tokens, the sequence length is {length}",
            hint=f"`--sequence-length {context}`",
        )
    tokenising = replace(tokenising, vocabulary=config.vocab_size)
    return PreparationSettings(model, tokenising, chat_template, shard, trust_remote_code, day)


def template_of(path: Path | None) -> str | None:
    """Return the chat template in a file, or None without a file; raises LatxaError where it is none."""
    if path is None:
        return None
    with reading(str(path)):
        template = path.read_text(encoding="utf-8")
    check_template(template, str(path))
    return template


@dataclass(frozen=True)
class TokeniseTask:
    """A part to tokenise, and the folder for its files; `set_aside` says whether the run keeps rejects."""

    part: Part
    settings: PreparationSettings
    folder: str
    set_aside: bool

    def file(self, ending: str) -> Path:
        return Path(self.folder) / f"{self.part.number:05}.{ending}"


def tokenise(task: TokeniseTask) -> JsonObject:
    """Write the pieces of a part; return the counts.

    - `N.ids.npy`: u32 [tokens].
    - `N.trained.npy`: a bit a token.
    - `N.lengths.npy`: u32 [pieces].
    - `N.aside`: the records that are set aside, as JSON lines.

    Raises:
        RecordError: a line is malformed, and none are set aside.
        LatxaError: as `tokenise_records` does.
    """
    entries: list[Record] = []
    texts: list[str] = []
    records, tokenizer = sampled(_records(task, entries), texts), _tokenizer(task.settings)
    tokenised = tokenise_records(records, tokenizer, task.settings.tokenising)
    save_array(task.file("ids.npy"), _joined(tokenised.ids, np.int32).view(np.uint32))
    save_array(task.file("trained.npy"), np.packbits(_joined(tokenised.trained, np.bool_)))
    save_array(task.file("lengths.npy"), np.array(tokenised.lengths, np.uint32))
    malformed = len(entries)
    entries += [unfit_entry(reject.record, reject.reason, reject.detail) for reject in tokenised.rejects]
    lines = b"".join(orjson.dumps(entry) + b"\n" for entry in entries) if task.set_aside else b""
    save_bytes(task.file("aside"), lines)
    rejected = Counter(reject.reason for reject in tokenised.rejects)
    if malformed:
        rejected[MALFORMED] = malformed
    lost = lost_of(tokenised.rejects, fold_system=task.settings.tokenising.fold_system)
    records_used = sum(share["records"] for share in tokenised.shares.values())
    return {
        "read": records_used + tokenised.other_split + rejected.total(), "shares": tokenised.shares,
        "conversations": tokenised.conversations, "lost": lost, "rejected": rejected,
        "other split": tokenised.other_split, "shortened": tokenised.shortened, "remarks": tokenised.remarks,
        "changed": changed_by(tokenizer, texts),
    }  # fmt: skip


def _joined(arrays: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *arrays])


def _records(task: TokeniseTask, entries: list[Record]) -> Iterator[Record]:
    """Yield the checked records of the shard; malformed lines go to `entries` if the run sets them aside."""
    parse, (index, count) = parser(KINDS), task.settings.shard
    for row, _, line in lines_of(task.part):
        if row % count != index or not line.strip():
            continue
        try:
            yield parse(line)
        except ValueError as error:
            place, fault = location(task.part, row), explain(error, line)
            entries.append(malformed_entry(place, fault, line, set_aside=task.set_aside))


@lru_cache(maxsize=1)  # a worker tokenises many parts, and loads its tokenizer once
def _tokenizer(settings: PreparationSettings) -> PreTrainedTokenizerBase:
    return tokenizer_of(settings)


def tokenizer_of(settings: PreparationSettings) -> PreTrainedTokenizerBase:
    """Return the model's tokenizer, with the chat template of the settings if they have one.

    Raises:
        LatxaError: the tokenizer cannot be loaded, or has no end-of-text token.
    """
    tokenizer = load_tokenizer(settings.model, trust_remote_code=settings.trust_remote_code)
    if tokenizer.eos_token_id is None:
        raise LatxaError(
            f"the tokenizer of `{settings.model}` has no end-of-text token",
            hint="name it as `eos_token` in `tokenizer_config.json`",
        )
    if settings.chat_template is not None:
        tokenizer.chat_template = settings.chat_template
    set_date(tokenizer, date.fromisoformat(settings.day) if settings.day else None)
    return tokenizer


def digest_of(tokenizer: Any) -> str:
    """Return a digest of a tokenizer, which its chat template does not change."""
    parts = (tokenizer.backend_tokenizer.to_str(), str(tokenizer.bos_token_id), str(tokenizer.eos_token_id))
    return xxhash.xxh3_128("\0".join(parts).encode()).hexdigest()


@dataclass
class Preparation:
    """Prepared rows and the counts of their making.

    Attributes:
        folder: that of the rows.
        inputs: the input files, as a manifest describes them.
        read: records read.
        rejected: records left out, by reason.
        asides: files with the records that are set aside.
        other_split: records left out since they belong to another split.
        shortened: conversations that were shortened to fit a row.
    """

    folder: Path
    inputs: list[Record]
    read: int
    rejected: Counter[str]
    asides: list[Path]
    other_split: int
    shortened: int

    @cached_property
    def rows(self) -> PreparedRows:
        """The result."""
        return PreparedRows([self.folder])

    def rejects(self) -> Iterator[Lines]:
        """Yield the records left out, by reason, for `--rejects`."""
        lines = b"".join(path.read_bytes() for path in self.asides)
        for number, (reason, count) in enumerate(self.rejected.items()):
            yield Lines(b"" if number else lines, count, reason)

    def lines(self) -> Iterator[str]:
        """Yield lines for people: on all rows, then on each source."""
        rows = self.rows
        yield f"{len(rows):,} rows of {rows.sequence_length:,}, {rows.tokens:,} tokens, {rows.fill:.2%} full"
        for name, share in rows.shares.items():
            part = share["trained"] / max(1, share["tokens"])
            yield f"{name}: {share['records']:,} records, {share['tokens']:,} tokens, {part:.1%} trained"
        for name in sorted(rows.facts["source_loss"].keys() - rows.shares.keys()):
            yield f"`--chat-loss` names the source `{name}`, which these records do not have"
        if day := rows.facts.get("date"):
            yield f"the chat template writes the day into conversations: {day}"
        if self.shortened:
            yield f"{self.shortened:,} conversations longer than a row end with the last answer that fits"
        yield from rows.remarks
        if self.other_split:
            yield f"{self.other_split:,} records of other splits are left out"


def _remarks(remarks: Counter[str], changed: Changed) -> Iterator[str]:
    """Yield lines for people on what is trained, for those who train on the rows too."""
    if line := changed.line():
        yield line
    common = remarks.most_common()
    for remark, number in common[:SHOWN]:
        yield f"{remark} (in {number:,} conversations)"
    if rarer := [remark for remark, _ in common[SHOWN : 3 * SHOWN]]:
        yield f"rarer: {'; '.join(rarer)}{'; …' if len(common) > 3 * SHOWN else ''}"


def prepare(
    sources: Sequence[Source],
    settings: PreparationSettings,
    work: Work,
    folder: Path,
    *,
    set_aside: bool = False,
    account: Account = lambda read, inputs, rejects: None,
) -> Preparation:
    """Make the rows of all sources in `folder`.

    account: takes the number of records, the inputs and the rejects, also where too few records are left.

    Raises:
        LatxaError: there are no records, all are rejected or of other splits, a source has no trained token, or the
            model cannot be loaded; and as `tokenise` does.
    """
    parts, inputs = cut(sources, work)
    stage = str(work.folder / "tokenise")
    tasks = [TokeniseTask(part, settings, stage, set_aside) for part in parts]
    results = work.stage("tokenise", tokenise, tasks)
    shares: dict[str, Counter[str]] = {}
    rejected: Counter[str] = Counter()
    remarks: Counter[str] = Counter()
    for result in results:
        rejected.update(result["rejected"])
        remarks.update(result["remarks"])
        for name, share in result["shares"].items():
            shares.setdefault(name, Counter()).update(share)
    read, other_split, shortened = (
        sum(result[name] for result in results) for name in ("read", "other split", "shortened")
    )
    asides = [task.file("aside") for task in tasks]
    made = Preparation(folder, inputs, read, rejected, asides, other_split, shortened)
    account(read, inputs, made.rejects())
    used, lost = ([result[name] for result in results] for name in ("conversations", "lost"))
    check_sources(used, lost, set_aside=set_aside)
    names = ", ".join(source.argument for source in sources)
    check_records(names, shares, rejected, other_split, set_aside=set_aside)
    told = tuple(_remarks(remarks, together(result["changed"] for result in results)))
    work.stage("pack", pack, [PackTask(tuple(tasks), str(folder.absolute()), shares, told)], here=True)
    return made


# --- packing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PackTask:
    """The tasks with the pieces to pack, the folder of the rows, the counts of each source, and lines for people."""

    tokenised: tuple[TokeniseTask, ...]
    folder: str
    shares: dict[str, Counter[str]]
    remarks: tuple[str, ...] = ()


def pack(task: PackTask) -> JsonObject:
    """Pack the pieces of all tasks, in their order, and write the rows; the stage function of `prepare`."""
    settings = task.tokenised[0].settings
    tokenizer, tokenising = tokenizer_of(settings), settings.tokenising
    digest = digest_of(tokenizer)
    padding = padding_of(tokenizer, tokenising.vocabulary)
    writer = RowWriter(Path(task.folder), tokenising.sequence_length, padding=padding, vocabulary=tokenising.vocabulary)
    window = _Window.empty()
    for part in task.tokenised:
        for more in _windows(part):
            window = window.with_more(more)
            if window.is_full:
                window = window.written(writer, last=False)
    window.written(writer, last=True)
    how = {
        "chat_loss": tokenising.loss, "source_loss": dict(tokenising.losses), "fold_system": tokenising.fold_system
    }  # fmt: skip
    facts = {"model": settings.model, "tokenizer": digest, "chat_template": tokenizer.chat_template}
    if asks_for_date(tokenizer):
        facts["date"] = settings.day
    writer.finish(facts | how | {"sources": task.shares, "remarks": task.remarks})
    return {"rows": writer.rows}


@dataclass
class _Window:
    """Pieces that wait to be packed, one after another."""

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
        """Write the rows of these pieces; return the window of the pieces that wait."""
        rows, waiting = pack_window(self.lengths.tolist(), writer.length, last=last)
        starts = np.cumsum(self.lengths) - self.lengths
        spans = np.stack([starts, self.lengths], axis=1)
        writer.write(self.ids, self.trained, [spans[row] for row in rows])
        if not waiting:
            return _Window.empty()
        left = np.concatenate([np.arange(start, start + length) for start, length in spans[waiting]])
        return _Window(self.ids[left], self.trained[left], self.lengths[waiting])


def _windows(task: TokeniseTask) -> Iterator[_Window]:
    """Yield the pieces of a part, in windows."""
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
