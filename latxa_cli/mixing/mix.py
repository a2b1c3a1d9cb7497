"""A mix of documents and conversations, from the parts of its inputs to lines in one random order.

latxa mix corpus=eu.jsonl eu=eu_inst.jsonl en=en_inst.jsonl --variant exp_2_111 > mix.jsonl

The mix is the union of its inputs, in their natural proportions as in *Instructing Large Language Models for
Low-Resource Languages* (arXiv 2506.07597), or in others by weights. The way of an input: every part is read into rows
of 48 bytes (`lines`, `rows`), the rows decide about each record (`draw`), and the lines are written in their new order,
in memory (`memory`) or through files (`files`, `tasks`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from latxa_cli.mixing import memory
from latxa_cli.mixing.admission import save_scores
from latxa_cli.mixing.checks import check
from latxa_cli.mixing.draw import Budget, Decision, decide
from latxa_cli.mixing.duplicates import RowTable
from latxa_cli.mixing.files import ByFiles
from latxa_cli.mixing.inputs import InputFlags
from latxa_cli.mixing.options import MixOptions
from latxa_cli.mixing.plan import MixPlan, RowStore
from latxa_cli.mixing.rows import InputReading
from latxa_cli.mixing.shares import Shares
from latxa_cli.stages import Work, open_executor
from latxa_cli.stream.cutting import Part, cut, spooled_bytes
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.records import JsonObject, Lines
from latxa_cli.stream.sources import Source, is_regular
from latxa_cli.stream.writer import Writer

Say = Callable[[str], None]
# (store, decision so far, number of the input, records to choose) -> ordinals of the records that are left out
Diversify = Callable[[RowStore, Decision, int, int], np.ndarray]

LITTLE = 64 << 20  # bytes that one process spools in less time than others take to start


class Mix:
    """A mix with its decision; its shares are complete once its lines are written out."""

    def __init__(self, store: RowStore, decision: Decision) -> None:
        self.store, self.decision = store, decision
        weights = {want.name: want.weight for want in store.plan.input_options}
        self.read = sum(store.reads)  # lines that are not blank
        self.shares = Shares(weights, tokens=store.plan.tokenizer is not None)
        self.inputs: list[JsonObject] = []  # entries for the manifest
        self.files: dict[str, tuple[int, int] | None] = {}  # {file: its size and the time of its last change}

    def outcomes(self, hold_out: Writer | None = None) -> Iterator[Lines]:
        """Yield rejects, then the mix in its order; records that are held out go to `hold_out`.

        Raises LatxaError where an input was changed meanwhile, since its lines are read more than once.
        """
        yield from self.store.outcomes(self.decision, self.shares, hold_out)
        for file, state in self.files.items():
            if _state(file) != state:
                raise LatxaError(f"{file}: was changed while it was read", hint="run it again")


def _state(file: str) -> tuple[int, int] | None:
    """Return the size of a file and the time of its last change; None for stdin, pipes and datasets."""
    if not is_regular(file):
        return None
    status = Path(file).stat()
    return status.st_size, status.st_mtime_ns


def make_mix(
    options: MixOptions, input_flags: InputFlags, sources: Sequence[Source], work: Work, *, in_memory: bool, say: Say
) -> Mix:
    """Read all sources and decide about every record; with `in_memory`, do it in memory where they fit.

    Raises RecordError for a malformed line unless those are set aside; LatxaError where an input cannot be read or has
    fewer records than are to be held out, and the errors of `checks.check`.
    """
    files = {file: _state(file) for source in sources for file in source.files}
    pool = work.executor
    if in_memory and spooled_bytes(sources) < LITTLE:
        work.executor = open_executor("local", 1)
    parts, inputs = cut(sources, work, memory=options.memory)
    work.executor = pool
    plan = make_plan(options, input_flags, [source.name for source in sources], work.folder)
    made = build(plan, parts, work, in_memory=in_memory, diversify=diversifier(options, work.folder, say))
    check(made.store, made.decision, options, parts, say)
    made.inputs, made.files = inputs, files
    return made


def make_plan(options: MixOptions, input_flags: InputFlags, names: Sequence[str], folder: Path) -> MixPlan:
    """Return the plan for inputs with these `names`, and save the scores of records to `folder`."""
    scores = None
    if options.scores is not None:
        scores = folder / "scores.npy"
        save_scores(Input(options.scores), options.criterion, scores)
    fits = input_flags.admissions(names, options.criterion, str(scores) if scores else None)
    readings = tuple(
        InputReading(name, number, options.seed, options.split, options.set_aside, fits.get(name))
        for number, name in enumerate(names)
    )
    budget = Budget(options.take, options.take_tokens)
    return MixPlan(
        readings,
        input_flags.options(names),
        budget,
        options.memory,
        options.processes,
        options.tokenizer,
        options.set_aside,
    )


def build(
    plan: MixPlan, parts: Sequence[Part], work: Work, *, in_memory: bool, diversify: Diversify | None = None
) -> Mix:
    """Read the parts and decide about every record; see `make_mix`."""
    in_memory_store = memory.read(plan, parts) if in_memory and memory.fits(parts, plan.memory) else None
    store: RowStore = in_memory_store or ByFiles(plan, parts, work)
    if plan.budget.tokens is not None:
        store.count_tokens(None)
    rows = RowTable(store.inputs, store.rows, store.tokens, lambda part, rows: store.table(part).contents(rows))
    choose = partial(diversify, store) if diversify else None
    decision = decide(rows, plan.input_options, plan.budget, plan.memory // 4, choose)
    if plan.tokenizer is not None and plan.budget.tokens is None:
        store.count_tokens(decision)
    return Mix(store, decision)


def diversifier(options: MixOptions, folder: Path, say: Say) -> Diversify | None:
    """Return the `Diversifier`, which keeps its files in `folder`, where the options ask for one."""
    if options.embedder is None:
        return None
    from latxa_cli.mixing.diversify import Diversifier

    return Diversifier(options.embedder, folder / "embeddings", options.clusters, options.device, say)
