"""The grid of training variants: three backbones by three kinds of data, with 24 cells and 18 models to train.

The grid is that of *Instructing Large Language Models for Low-Resource Languages* (arXiv 2506.07597). A variant is
written `exp_B_CTE`. B is the backbone: 0 the English base model, 1 that model continued on the corpus of the target
language, 2 the English instructed model. The other digits say whether it is trained on C, the corpus, on T,
instructions in the target language, and on E, instructions in English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

from latxa_cli.stream.errors import UsageError, nearest
from latxa_cli.stream.records import Record

BACKBONES = ("base", "adapted base", "instructed")
_PATTERN = re.compile(r"exp_([0-2])_([01])([01])([01])")

# Each excluded variant, and the variant that it equals (`1_000` is the adapted base, `2_000` the instructed model).
EQUALS = {
    "exp_0_000": "exp_0_000",
    "exp_1_000": "exp_1_000",
    "exp_0_100": "exp_1_000",
    "exp_1_100": "exp_1_000",
    "exp_0_001": "exp_2_000",
    "exp_2_001": "exp_2_000",
}

_REASONS = {
    "exp_0_000": "it is the base model itself, which follows no instructions",
    "exp_1_000": "it is the base model continued on the corpus, which follows no instructions",
    "exp_0_100": "the base model trained on the corpus is the adapted base",
    "exp_1_100": "the adapted base has been trained on the corpus already",
    "exp_0_001": "the base model trained on English instructions is the instructed model again",
    "exp_2_001": "the instructed model has been trained on English instructions already",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """One cell of the grid; `corpus`, `target` and `english` say whether it is trained on these data."""

    code: str
    backbone: str
    corpus: bool
    target: bool
    english: bool

    @property
    def inputs(self) -> tuple[str, ...]:
        """The roles of the data that the variant is trained on, in the order of its digits."""
        return tuple(role for role in ("corpus", "target", "english") if getattr(self, role))

    @property
    def kept(self) -> bool:
        """Whether it is one of the 18, among which `exp_2_000`, the instructed backbone itself, needs no training."""
        return self.code not in EQUALS

    @property
    def reason(self) -> str:
        """The reason why it is excluded; the empty string for a kept variant."""
        return _REASONS.get(self.code, "")

    @property
    def equals(self) -> str:
        """The code of the variant with the same model; its own code for a kept variant and for a backbone itself."""
        return EQUALS.get(self.code, self.code)


def _variant(backbone: int, corpus: int, target: int, english: int) -> Variant:
    code = f"exp_{backbone}_{corpus}{target}{english}"
    return Variant(code, BACKBONES[backbone], bool(corpus), bool(target), bool(english))


def all_variants() -> list[Variant]:
    """Return all 24 variants, also excluded ones, ordered by code."""
    return [_variant(*digits) for digits in product(range(3), range(2), range(2), range(2))]


def rows() -> list[Record]:
    """Return all 24 variants as rows of a table: the data of each, whether it is kept, and the reason if not."""
    return [
        {
            "variant": variant.code,
            "backbone": variant.backbone,
            "trained on": " + ".join(variant.inputs) or "nothing",
            "kept": "yes" if variant.kept else "no",
            "equals": None if variant.kept else variant.equals,
            "reason": variant.reason or None,
        }
        for variant in all_variants()
    ]


def parse(code: str) -> Variant:
    """Return the variant written `code`.

    Raises UsageError for a text that is no code, and for an excluded variant; the hint names similar codes, or the
    model that the variant equals.
    """
    match = _PATTERN.fullmatch(code)
    if not match:
        near = nearest(code, [variant.code for variant in all_variants() if variant.kept])
        pattern = "`exp_B_CTE` with B in 0-2 (backbone) and C, T, E in 0-1 (corpus, target, English instructions)"
        raise UsageError(f"`{code}` is not a variant: {pattern}", hint=near)
    variant = _variant(*map(int, match.groups()))
    if not variant.kept:
        model = BACKBONES[int(variant.equals[4])]
        raise UsageError(
            f"the variant `{code}` is not one of the 18: {variant.reason}",
            hint=f"it equals the {model} model, `{variant.equals}`: nothing is to be mixed or trained",
        )
    return variant
