"""The stages of `latxa corpus`, from sources to a corpus that is ready to be written.

    sources ─cut─▶ parts ─boilerplate, examine─▶ documents, keys ─duplicates, paragraphs─▶ decisions ─emit─▶ corpus

Each stage maps a function over parts, or over ranges of keys, and saves files in the work folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson

from latxa_cli import __version__
from latxa_cli.corpus import boilerplate
from latxa_cli.corpus.assessment import AssessmentSettings
from latxa_cli.corpus.contamination import leaks, save_items
from latxa_cli.corpus.duplicates import disk_need as duplicates_need
from latxa_cli.corpus.duplicates import duplicates
from latxa_cli.corpus.emit import Emitter
from latxa_cli.corpus.examine import ExamineTask, examine
from latxa_cli.corpus.funnel import Funnel, Losses
from latxa_cli.corpus.paragraphs import disk_need as paragraphs_need
from latxa_cli.corpus.paragraphs import paragraphs
from latxa_cli.corpus.profile import load_profile, profile_names
from latxa_cli.corpus.rules import ALL_REASONS
from latxa_cli.corpus.steps import DUPLICATES, STEPS
from latxa_cli.native.minhash import SHINGLE
from latxa_cli.stages import Work, save_array
from latxa_cli.stream.cutting import Part, cut
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import JsonObject, Lines, Record
from latxa_cli.stream.sizes import show_size
from latxa_cli.stream.sources import Source, is_regular
from latxa_cli.stream.writer import Writer
from latxa_cli.text.language import check_language, identifier

MODULES = (
    "latxa_cli.native.ready", "latxa_cli.corpus.examine", "latxa_cli.corpus.duplicates", "latxa_cli.corpus.paragraphs",
)  # fmt: skip
GENERIC = "generic"  # the profile for languages without one of their own
STRICT = 0.05  # the share of trusted text rejected from which a profile is strict
MUCH = 1 / 3  # the share of a source from which it is told that a single rule rejects so much

# The bytes that `examine` writes for each byte of input: documents with their keys, or keys alone.
DISK_PER_BYTE = 1.3
DISK_PER_BYTE_IN_PLACE = 0.2

SHOWN_LINES = 20  # lines of boilerplate in the manifest
SAMPLE_BYTES = 1 << 20  # of the corpus, from which the number of tokens is estimated

# The memory of one process: libraries with the language model, and the smallest useful share of the work.
BASE_BYTES, SMALLEST_SHARE = 280_000_000, 100_000_000
WORKER_BYTES = BASE_BYTES + SMALLEST_SHARE
LITTLE = 1 << 19  # bytes of input that one process finishes before others have started


@dataclass(frozen=True)
class CorpusOptions:
    """The user's options; `profile` is a name, a file, or None for that of the language; `memory` is in bytes."""

    language: str
    steps: frozenset[str]
    profile: str | None
    language_model: Path | None
    similarity: float
    text_documents: Literal["file", "blank-line", "line"]
    seed: int
    memory: int

    @property
    def profile_name(self) -> str:
        return self.profile or (self.language if self.language in profile_names() else GENERIC)

    @property
    def modules(self) -> Sequence[str]:
        """The modules for worker processes to import once."""
        shared = "language" in self.steps and not self.language_model
        return (*MODULES, "latxa_cli.text.ready") if shared else MODULES

    def check(self, workers: int | None, *, review: bool) -> Iterator[str]:
        """Yield warnings before the work begins; raises UsageError for options that cannot work."""
        if review and "language" not in self.steps:
            yield "nothing will stand in `--review`: the step `language` is left out"
        share = load_profile(self.profile_name).trusted_rejected or 0
        if "quality" in self.steps and share > STRICT:
            yield f"the profile `{self.profile_name}` is strict: it rejects {share:.0%} of trusted text"
        if "language" in self.steps:
            self._check_language()
        if self.profile_name == GENERIC and "quality" in self.steps and not self.profile:
            yield f"`{self.language}` has no profile: general rules only; `latxa profile TRUSTED.jsonl` derives one"
        if self.memory < (workers or 1) * WORKER_BYTES:
            raise UsageError(
                f"`--memory {show_size(self.memory)}` is too little for {workers or 1} processes",
                hint=f"each takes {show_size(WORKER_BYTES)}",
            )

    def _check_language(self) -> None:
        model = str(self.language_model) if self.language_model else None
        identifier(model)  # first, since a model that cannot be loaded has a hint of its own
        try:
            check_language(self.language, model)
        except UsageError as error:
            ways = "`--language-model FILE` takes a fastText model, such as GlotLID; `--skip language` does without one"
            raise UsageError(error.message, hint=f"{ways}; {error.hint}") from None

    def share(self, processes: int) -> int:
        """Return the bytes of data that each of `processes` may hold."""
        return max(SMALLEST_SHARE, self.memory // processes - BASE_BYTES)


def most_workers(sources: Sequence[Source], memory: int) -> int:
    """Return the default number of processes: those that are worth their start and have room in `memory` (bytes)."""
    files = [file for source in sources for file in source.files]
    if all(map(is_regular, files)) and sum(Path(file).stat().st_size for file in files) < LITTLE:
        return 1
    return memory // WORKER_BYTES


def build(
    options: CorpusOptions,
    sources: list[Source],
    items: Iterable[tuple[str, Record]],
    work: Work,
    *,
    rejects: bool,
    review: bool,
) -> Corpus:
    """Do all the work up to the writing of the corpus.

    - items: evaluation items (key, item).
    - rejects, review: documents that are left out are written for these flags.

    Raises LatxaError where the disk is too small, RecordError for a malformed line unless `rejects` are set aside.
    """
    parts, inputs = cut(sources, work, unit=options.text_documents, memory=options.memory)
    items_file = work.folder / "items.jsonl" if "contamination" in options.steps else None
    items_hash = save_items(items_file, items) if items_file is not None else ""
    settings = AssessmentSettings(
        options.language,
        options.steps,
        options.profile_name,
        str(options.language_model) if options.language_model else None,
        str(items_file) if items_file else None,
        items_hash,
        options.seed,
        rejects,
        review,
    )
    _check_room(work.folder, _need_of_examining(parts, settings))
    lines = _boilerplate(parts, work) if settings.does("boilerplate") else {}
    infos = work.stage("examine", examine, _tasks(parts, sources, settings, work, lines))
    kinds = [kind for kind in DUPLICATES if settings.does(kind)]
    _check_room(work.folder, _need_of_comparing(infos))
    memory = options.share(work.executor.workers)
    duplicates(work, infos, kinds=kinds, similarity=options.similarity, memory=memory)
    if settings.does("paragraphs"):
        paragraphs(work, infos, memory=memory)
    return Corpus(options, sources, parts, inputs, settings, infos, lines, work.folder)


def _tasks(
    parts: list[Part],
    sources: list[Source],
    settings: AssessmentSettings,
    work: Work,
    lines: dict[int, dict[str, float]],
) -> list[ExamineTask]:
    folder = work.folder / "examine"
    for number, found in lines.items():
        hashes = sorted(map(boilerplate.line_hash, found))
        save_array(_boilerplate_file(work.folder, number), np.array(hashes, np.uint64))
    return [
        ExamineTask(part, str(folder), settings, sources[part.source].name, sources[part.source].named,
             str(_boilerplate_file(work.folder, part.source)) if part.source in lines else None)
        for part in parts
    ]  # fmt: skip


def _boilerplate_file(folder: Path, source: int) -> Path:
    return folder / "boilerplate" / f"source-{source}.npy"


def _boilerplate(parts: list[Part], work: Work) -> dict[int, dict[str, float]]:
    """Return {source: {line: share of documents}} for the sources that have boilerplate."""
    counts = work.stage("boilerplate", boilerplate.count_lines, boilerplate.samples(parts))
    found = {source: boilerplate.find_lines(counts, source) for source in {part.source for part in parts}}
    return {source: lines for source, lines in found.items() if lines}


def _need_of_examining(parts: list[Part], settings: AssessmentSettings) -> float:
    per_byte = DISK_PER_BYTE if settings.changes_documents else DISK_PER_BYTE_IN_PLACE
    return per_byte * sum(part.size for part in parts)


def _need_of_comparing(infos: list[JsonObject]) -> int:
    documents, lines = (sum(info[name] for info in infos) for name in ("documents", "paragraphs"))
    return duplicates_need(documents) + paragraphs_need(lines, documents)


def _check_room(folder: Path, need: float) -> None:
    """Raise LatxaError where the disk of `folder` has less than `need` bytes free."""
    free = shutil.disk_usage(folder).free
    if need > free:
        raise LatxaError(
            f"{folder}: about {show_size(need)} are needed for intermediate files, {show_size(free)} are free",
            hint="`--work DIR` puts them elsewhere",
        )


class Corpus:
    """A corpus about which everything is decided: its lines, and once they are written, its facts and data card."""

    def __init__(
        self,
        options: CorpusOptions,
        sources: list[Source],
        parts: list[Part],
        inputs: list[JsonObject],
        settings: AssessmentSettings,
        infos: list[JsonObject],
        lines: dict[int, dict[str, float]],
        folder: Path,
    ) -> None:
        self.options, self.inputs = options, inputs
        names = [source.name for source in sources]
        self.funnel = Funnel({name: Losses() for name in names}, options.steps, counts_words=settings.reads_words)
        of_parts = [names[part.source] for part in parts]
        self.emitter = Emitter(folder, infos, [self.funnel.sources[name] for name in of_parts], settings)
        self.rejects = settings.rejects
        self.read = sum(info["read"][0] + info["malformed"] for info in infos)
        self.boilerplate = {names[number]: found for number, found in lines.items()}
        self.sample = b""  # the beginning of the corpus, whose last line may be cut
        self.leaks = leaks(zip(of_parts, (info["leaked"] for info in infos), strict=True))

    def outcomes(self, review: Writer | None) -> Iterator[Lines]:
        """Yield the lines of the corpus and of rejects, part after part; write documents to review to `review`."""
        for outcome in self.emitter.outcomes():
            yield outcome
            if not outcome.reason and len(self.sample) < SAMPLE_BYTES:
                self.sample += outcome.data[:SAMPLE_BYTES]
            if review is not None:
                review.write_lines(b"".join(line + b"\n" for line in self.emitter.review))
            self.emitter.review.clear()

    def measure_tokens(self, tokenizer: Any) -> None:
        """Measure the bytes per token of `tokenizer` on the first documents of the corpus."""
        texts = [orjson.loads(line)["text"] for line in self.sample.split(b"\n")[:-1]]
        tokens = sum(map(len, tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"])) if texts else 0
        if tokens:
            self.funnel.bytes_per_token = sum(len(text.encode()) for text in texts) / tokens

    def lines(self) -> Iterator[str]:
        """Yield messages for the end of the run: empty sources, harsh rules, boilerplate and leaks."""
        for source, losses in self.funnel.sources.items():
            if not losses.read[0]:
                yield f"{source} is empty"
            for reason, count in losses.reasons.most_common():
                if reason in ALL_REASONS and count > MUCH * losses.read[0]:
                    took = f"`{reason}` alone takes {count / losses.read[0]:.0%} of the documents"
                    yield f"{source}: {took}{'' if self.rejects else '; `--rejects FILE` shows which'}"
        for source, found in self.boilerplate.items():
            line, share = next(iter(found.items()))
            yield f"{source}: {len(found):,} lines of boilerplate, such as `{line[:60]}` ({share:.1%} of documents)"
        if self.leaks:
            key, by_source = next(iter(self.leaks.items()))
            yield f"{len(self.leaks):,} evaluation items leaked, such as `{key}` from {', '.join(by_source)}"

    def facts(self) -> JsonObject:
        """Return the facts for the manifest."""
        most = {source: dict(list(found.items())[:SHOWN_LINES]) for source, found in self.boilerplate.items()}
        return {"funnel": self.funnel.as_dict(), "boilerplate": most, "leaks": self.leaks}

    def card(self) -> str:
        """Return a data card in Markdown."""
        facts = {
            "language": self.options.language,
            "made by": f"latxa {__version__}",
            "steps": ", ".join(step for step in STEPS if step in self.options.steps),
        }
        by_step = {
            "language": ("language identification", str(self.options.language_model or "py3langid")),
            "quality": ("quality profile", self._profile()),
            "contamination": (
                "evaluation items leaked",
                f"{len(self.leaks):,} (documents that hold them were left out)",
            ),
            "near": ("near duplicates", f"Jaccard similarity of word {SHINGLE}-grams from {self.options.similarity}"),
        }
        facts |= dict(fact for step, fact in by_step.items() if step in self.options.steps)
        return self.funnel.card(f"Corpus of `{self.options.language}`", facts)

    def _profile(self) -> str:
        """Return the name of the profile, with the share of trusted text that it rejects."""
        name = self.options.profile_name
        share = load_profile(name).trusted_rejected
        return name if share is None else f"{name} (rejects {share:.1%} of trusted text)"
