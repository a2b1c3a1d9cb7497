import pytest

from latxa_cli.mixing.admission import Admission
from latxa_cli.mixing.draw import InputOptions
from latxa_cli.mixing.inputs import InputFlags, choose, choose_inputs, parse_inputs
from latxa_cli.stream.errors import UsageError
from latxa_cli.variants import parse

NAMES = ["corpus", "cy", "en"]


def test_inputs_by_name() -> None:
    assert parse_inputs(["corpus=eu.jsonl", "en=-", "cy=a=b.jsonl"]) == {
        "corpus": "corpus=eu.jsonl", "en": "en=-", "cy": "cy=a=b.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eu.jsonl"], "`eu.jsonl` is not `NAME=FILE`"),
        (["=eu.jsonl"], "is not `NAME=FILE`"),
        (["eu="], "is not `NAME=FILE`"),
        (["./a=b.jsonl"], "is not `NAME=FILE`"),
        (["a/b=c.jsonl"], "is not `NAME=FILE`"),
        (['a"=c.jsonl'], "is not `NAME=FILE`"),
        (["en=a", "en=b"], "two inputs are named `en`"),
        ([], "nothing to mix"),
    ],
)
def test_wrong_inputs(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_inputs(arguments)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("exp_2_111", ["corpus", "cy", "en"]),
        ("exp_2_101", ["corpus", "en"]),
        ("exp_0_010", ["cy"]),
        ("exp_1_001", ["en"]),
    ],
)
def test_variant_takes_the_inputs_that_it_names(code: str, expected: list[str]) -> None:
    assert choose_inputs(["en", "cy", "corpus"], code) == expected


def test_without_variant_all_inputs_are_taken_as_they_come() -> None:
    assert choose_inputs(["b", "a", "c"], None) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("missing", "message"), [("corpus", "`corpus=FILE`"), ("cy", "target language"), ("en", "`en=FILE`")]
)
def test_missing_input_is_named(missing: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        choose([name for name in NAMES if name != missing], parse("exp_2_111"))
    assert message in error.value.message


def test_one_target_language_at_a_time() -> None:
    with pytest.raises(UsageError, match="`cy` and `ga`"):
        choose([*NAMES, "ga"], parse("exp_2_111"))


def test_the_untouched_backbone_has_nothing_to_mix() -> None:
    with pytest.raises(UsageError, match="nothing to mix"):
        choose(NAMES, parse("exp_2_000"))


def test_options_are_by_input() -> None:
    input_flags = InputFlags(
        ["corpus=2.5", "en=0.25"], ["en=1000"], ["cy=5"], ["en=32000"], ["cy=-1.5"], ["en=Welsh", "cy=Old Welsh"]
    )
    input_flags.check(NAMES)
    assert input_flags.options(["corpus", "en"]) == (
        InputOptions("corpus", weight=2.5),
        InputOptions("en", 1000, 0.25, None, 32000),
    )
    assert input_flags.admissions(NAMES, "fluency", "scores.npy") == {
        "cy": Admission(-1.5, "fluency", "scores.npy", "Old Welsh"),
        "en": Admission(None, "fluency", None, "Welsh"),
    }


@pytest.mark.parametrize(
    ("input_flags", "message", "hint"),
    [
        (InputFlags(weight=["2.5"]), "`--weight 2.5` is not `NAME=VALUE`", "NAME is that of an input"),
        (InputFlags(weight=["corpsu=2"]), "`--weight corpsu=2`: no input is named `corpsu`", "did you mean `corpus`?"),
        (InputFlags(weight=["en=2", "en=3"]), "`--weight` is given twice for `en`", ""),
        (InputFlags(weight=["en=0"]), "`0` is not a number above 0", ""),
        (InputFlags(weight=["en=nan"]), "`nan` is not a number", ""),
        (InputFlags(minimum=["en=inf"]), "`inf` is not a number", ""),
        (InputFlags(weight=["en=-0.5"]), "`-0.5` is not a number above 0", ""),
        (InputFlags(weight=["en=1001"]), "up to 1000", ""),
        (InputFlags(hold_out=["en=0"]), "`--hold-out en=0`: `0` is not a whole number from 1", ""),
        (InputFlags(take_from=["en=1.5"]), "`--take-from en=1.5`: `1.5` is not a whole number", ""),
        (InputFlags(diversify=["en=-1"]), "`--diversify en=-1`: `-1` is not a whole number", ""),
        (InputFlags(minimum=["en=high"]), "`--minimum en=high`: `high` is not a number", ""),
        (InputFlags(answer_in=["en="]), "`--answer-in en=`: a language has a name", ""),
    ],
)
def test_wrong_wishes(input_flags: InputFlags, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        input_flags.check(NAMES)
    assert message in error.value.message and hint in error.value.hint


def test_limits_belong_to_what_is_allowed() -> None:
    input_flags = InputFlags(
        weight=["en=1000", "cy=0.001"], take_from=["en=1"], minimum=["en=0"], answer_in=["en= Old Welsh "]
    )
    input_flags.check(NAMES)
    assert input_flags.options(["en", "cy"]) == (InputOptions("en", 0, 1000.0, 1), InputOptions("cy", weight=0.001))
    assert input_flags.admissions(["en"], None, None) == {"en": Admission(0.0, None, None, "Old Welsh")}
