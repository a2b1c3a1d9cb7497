from pathlib import Path

import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.variants import GRID, grid, parse

# The 18 models of arXiv 2506.07597, by backbone.
KEPT = {
    0: ["010", "011", "101", "110", "111"],
    1: ["001", "010", "011", "101", "110", "111"],
    2: ["000", "010", "011", "100", "101", "110", "111"],
}
# The other six, and the model that each one is.
EXCLUDED = {"0_000": "0_000", "1_000": "1_000", "0_100": "1_000", "1_100": "1_000", "0_001": "2_000", "2_001": "2_000"}


def test_the_grid_is_that_of_the_paper() -> None:
    variants = list(grid().values())
    assert len({variant.code for variant in variants}) == len(variants) == 24
    kept = {variant.code for variant in variants if variant.kept}
    assert kept == {f"exp_{backbone}_{data}" for backbone, cells in KEPT.items() for data in cells}
    assert len(kept) == 18


def test_a_name_says_backbone_and_data() -> None:
    for variant in grid().values():
        backbone, *data = variant.name.split()
        assert backbone == {"base": "BAS_EN", "adapted base": "BAS_EU", "instructed": "INS_EN"}[variant.backbone]
        languages = "+".join(short for role, short in (("english", "EN"), ("target", "EU")) if role in variant.inputs)
        assert data == ["C_EU"] * ("corpus" in variant.inputs) + [f"I_{languages}"] * bool(languages)


def test_recipes_read_the_same_grid() -> None:
    recipe = Path(__file__).parents[1] / "recipes" / "variants.tsv"
    assert recipe.resolve() == GRID
    assert {line.count("\t") for line in GRID.read_text().splitlines()} == {5}
    assert all(cell for line in GRID.read_text().splitlines() for cell in line.split("\t")), "shells skip empty cells"


def test_every_exclusion_has_a_reason_and_a_model() -> None:
    for variant in grid().values():
        assert bool(variant.reason) is not variant.kept
        short = variant.code.removeprefix("exp_")
        assert variant.equals == "exp_" + EXCLUDED.get(short, short)


@pytest.mark.parametrize("variant", [variant for variant in grid().values() if variant.kept], ids=lambda v: v.code)
def test_digits_say_backbone_and_inputs(variant) -> None:
    assert parse(variant.code) == variant
    assert ("base", "adapted base", "instructed")[int(variant.code[4])] == variant.backbone
    digits = "".join(str(int(role in variant.inputs)) for role in ("corpus", "target", "english"))
    assert variant.code[6:] == digits
    assert variant.inputs == tuple(r for r in ("corpus", "target", "english") if r in variant.inputs)


@pytest.mark.parametrize("short", EXCLUDED)
def test_an_excluded_variant_says_which_model_it_is(short: str) -> None:
    with pytest.raises(UsageError, match=f"`exp_{short}` is not one of the 18") as error:
        parse(f"exp_{short}")
    assert f"`exp_{EXCLUDED[short]}`" in error.value.hint


@pytest.mark.parametrize(
    "code", ["", "exp_2_11", "exp_3_111", "exp_2_121", "2_111", "EXP_2_111", "exp_2_111\n", "exp_２_111"]
)
def test_a_wrong_code_shows_the_pattern_and_near_codes(code: str) -> None:
    with pytest.raises(UsageError, match="`exp_B_CTE`") as error:
        parse(code)
    assert "`exp_" in error.value.hint
