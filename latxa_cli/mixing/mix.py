"""One mix of documents and conversations, from the parts of its inputs to lines in one random order.

latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 > mix.jsonl

The mix is the union of its inputs, in their natural proportions as in *Instructing Large Language Models for
Low-Resource Languages* (arXiv 2506.07597), or in others by weights. Every part is read into rows of 48 bytes; what
becomes of each record is decided by them alone (`draw`); then the lines are written in their new order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.mixing import memory
from latxa_cli.mixing.admission import save_scores
from latxa_cli.mixing.checks import check
from latxa_cli.mixing.choose import Wishes
from latxa_cli.mixing.draw import Budget, Decision, RowTable, decide
from latxa_cli.mixing.files import WORKER_BYTES, ByFiles
from latxa_cli.mixing.plan import MixPlan, RowStore
from latxa_cli.mixing.rows import InputReading
from latxa_cli.mixing.shares import Shares
from latxa_cli.stages import Work, cores, open_executor
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.parts import Part, cut, spooled_bytes
from latxa_cli.stream.records import Lines
from latxa_cli.stream.sizes import show_size
from latxa_cli.stream.sources import Source, is_regular
from latxa_cli.stream.writer import Writer

Say = Callable[[str], None]
# (the store, the decision so far, an input's number, how many of it are wanted) -> ordinals of what is left out.
Diversify = Callable[[RowStore, Decision, int, int], np.ndarray]

LITTLE = 64 << 20  # bytes that one process spools in less time than more would take to start


@dataclass(frozen=True)
class MixOptions:
    """What the user asked for, of the mix as a whole, by the flags of these names. `set_aside`: `--rejects`."""

    memory: int
    workers: int | None = None
    seed: int = 0
    split: str = "train"
    take: int | None = None
    take_tokens: int | None = None
    tokenizer: str | None = None
    scores: str | None = None
    criterion: str | None = None
    embedder: str | None = None
    clusters: int | None = None
    device: str | None = None
    set_aside: bool = False

    def check(self) -> None:
        """Raise UsageError for what cannot be."""
        if self.take is not None and self.take_tokens is not None:
            raise UsageError("`--take` and `--take-tokens` are two budgets", hint="give one of them")
        if self.take_tokens is not None and self.tokenizer is None:
            raise UsageError("`--take-tokens` needs `--tokenizer`")
        if self.memory < WORKER_BYTES:
            raise UsageError(
                f"`--memory {show_size(self.memory)}` is too little", hint=f"{show_size(WORKER_BYTES)} will do"
            )

    @property
    def processes(self) -> int:
        """How many processes to use: as many as asked for, or one a core, as far as the memory goes."""
        return self.workers or max(1, min(cores(), self.memory // WORKER_BYTES - 1))


class Mix:
    """A mix that is decided on: its lines, and its shares once they are written out."""

    def __init__(self, store: RowStore, decision: Decision) -> None:
        self.store, self.decision = store, decision
        weights = {want.name: want.weight for want in store.plan.wanted}
        self.read = sum(store.reads)  # lines that are not blank
        self.shares = Shares(weights, tokens=store.plan.tokenizer is not None)
        self.inputs: list[dict[str, Any]] = []  # as a manifest describes them
        self.files: dict[str, tuple[int, int] | None] = {}  # {file: its size and when it was changed}

    def outcomes(self, held: Writer | None = None) -> Iterator[Lines]:
        """Yield rejects, then the mix in its order; records that are held out go to `held`.

        Raises LatxaError when an input was changed meanwhile: lines are read where they lie, more than once.
        """
        yield from self.store.outcomes(self.decision, self.shares, held)
        for file, seen in self.files.items():
            if _seen(file) != seen:
                raise LatxaError(f"{file}: was changed while it was read", hint="run it again")


def _seen(file: str) -> tuple[int, int] | None:
    """Return by what a file is known to be the same, if it is one."""
    if not is_regular(file):
        return None
    status = Path(file).stat()
    return status.st_size, status.st_mtime_ns


def mixed(
    options: MixOptions, wishes: Wishes, sources: Sequence[Source], work: Work, *, in_memory: bool, say: Say
) -> Mix:
    """Read all sources and decide on every record; `in_memory`: where they fit.

    Raises RecordError for a malformed line where none are set aside, LatxaError where an input cannot be read or has
    fewer records than are to be held out, where nothing of what was read is in the mix, and where no record has the
    score that is gone by.
    """
    files = {file: _seen(file) for source in sources for file in source.files}
    pool = work.executor
    if in_memory and spooled_bytes(sources) < LITTLE:
        work.executor = open_executor("local", 1)
    parts, inputs = cut(sources, work)
    work.executor = pool
    plan = planned(options, wishes, [source.name for source in sources], work.folder)
    made = build(plan, parts, work, in_memory=in_memory, diversify=diversifier(options, work.folder, say))
    check(made, options, parts, say)
    made.inputs, made.files = inputs, files
    return made


def planned(options: MixOptions, wishes: Wishes, names: Sequence[str], folder: Path) -> MixPlan:
    """Return how the inputs with these names are read and mixed; scores are saved to `folder`."""
    scores = None
    if options.scores is not None:
        scores = folder / "scores.npy"
        save_scores(Input(options.scores), options.criterion, scores)
    fits = wishes.fits(names, options.criterion, str(scores) if scores else None)
    readings = tuple(
        InputReading(name, number, options.seed, options.split, options.set_aside, fits.get(name))
        for number, name in enumerate(names)
    )
    budget = Budget(options.take, options.take_tokens)
    return MixPlan(
        readings, wishes.wanted(names), budget, options.memory, options.processes, options.tokenizer, options.set_aside
    )


def build(
    plan: MixPlan, parts: Sequence[Part], work: Work, *, in_memory: bool, diversify: Diversify | None = None
) -> Mix:
    """Read the parts and decide on every record; see `mixed`."""
    held = memory.read(plan, parts) if in_memory and memory.fits(parts, plan.memory) else None
    store: RowStore = held or ByFiles(plan, parts, work)
    if plan.budget.tokens is not None:
        store.count_tokens(None)
    rows = RowTable(store.inputs, store.rows, store.tokens)
    choose = partial(diversify, store) if diversify else None
    decision = decide(rows, plan.wanted, plan.budget, plan.memory // 4, choose)
    if plan.tokenizer is not None and plan.budget.tokens is None:
        store.count_tokens(decision)
    return Mix(store, decision)


def diversifier(options: MixOptions, folder: Path, say: Say) -> Diversify | None:
    """Return what chooses by embeddings, if that is asked for; it keeps its files in `folder`."""
    if options.embedder is None:
        return None
    from latxa_cli.mixing.diversify import Diversifier

    return Diversifier(options.embedder, folder / "embeddings", options.clusters, options.device, say)
