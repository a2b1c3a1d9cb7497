"""The grid of training variants: three backbones by three kinds of data, with 24 cells and 18 models to train.

The grid is that of *Instructing Large Language Models for Low-Resource Languages* (arXiv 2506.07597). A variant is
written `exp_B_CTE`. B is the backbone: 0 the English base model, 1 that model continued on the corpus of the target
language, 2 the English instructed model. The other digits say whether it is trained on C, the corpus, on T,
instructions in the target language, and on E, instructions in English.

`variants.tsv`, which recipes read too, holds the grid: a line a cell, `-` for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from latxa_cli.stream.errors import UsageError, nearest
from latxa_cli.stream.records import Record

GRID = Path(__file__).with_suffix(".tsv")


@dataclass(frozen=True, slots=True)
class Variant:
    """One cell of the grid.

    - inputs: the roles of the data that it is trained on, of `corpus`, `target` and `english`, in this order.
    - name: its name in the paper; `_` stands before what is written below the line.
    - equals: the code of the variant with the same model; its own for a kept variant and for a backbone itself.
    - reason: why it is excluded; the empty string for a kept variant.
    """

    code: str
    backbone: str
    inputs: tuple[str, ...]
    name: str
    equals: str
    reason: str

    @property
    def kept(self) -> bool:
        """Whether it is one of the 18, among which `exp_2_000`, the instructed backbone itself, needs no training."""
        return not self.reason


@cache
def grid() -> dict[str, Variant]:
    """Return all 24 variants, also excluded ones, by code and ordered by it."""
    variants = {}
    for line in GRID.read_text(encoding="utf-8").splitlines()[1:]:
        code, backbone, data, name, equals, reason = ("" if cell == "-" else cell for cell in line.split("\t"))
        variants[code] = Variant(code, backbone, tuple(data.split()), name, equals or code, reason)
    return variants


def equals() -> dict[str, str]:
    """Return each excluded variant's code, and that of the variant which it equals."""
    return {variant.code: variant.equals for variant in grid().values() if not variant.kept}


def rows() -> list[Record]:
    """Return all 24 variants as rows of a table: the name and data of each, and whether it is kept, else why not."""
    return [
        {
            "variant": variant.code,
            "name": variant.name,
            "backbone": variant.backbone,
            "trained on": " + ".join(variant.inputs) or "nothing",
            "kept": "yes" if variant.kept else "no",
            "equals": None if variant.kept else variant.equals,
            "reason": variant.reason or None,
        }
        for variant in grid().values()
    ]


def parse(code: str) -> Variant:
    """Return the variant written `code`.

    Raises UsageError for a text that is no code, and for an excluded variant; the hint names similar codes, or the
    model that the variant equals.
    """
    variant = grid().get(code)
    if variant is None:
        near = nearest(code, [variant.code for variant in grid().values() if variant.kept])
        pattern = "`exp_B_CTE` with B in 0-2 (backbone) and C, T, E in 0-1 (corpus, target, English instructions)"
        raise UsageError(f"`{code}` is not a variant: {pattern}", hint=near)
    if not variant.kept:
        raise UsageError(
            f"the variant `{code}` is not one of the 18: {variant.reason}",
            hint=f"it equals the {grid()[variant.equals].backbone} model, `{variant.equals}`: "
            "nothing is to be mixed or trained",
        )
    return variant
