"""Conversations that repeat the instruction of an earlier one, or nearly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from latxa_cli.sampling import distinct, meanings
from latxa_cli.sampling.distinct import Distinct
from latxa_cli.sampling.meanings import AT_ONCE, Meanings
from latxa_cli.stream.records import Reject

WORDS = [
    "old", "harbour", "town", "behind", "two", "hills", "where", "ships", "rest", "after", "long", "storms", "sing",
]  # fmt: skip


def record(number: int, text: str) -> dict[str, Any]:
    return {"id": f"r{number}", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": text}]}


def texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=40)) + f" {n}" for n in range(count)]


def outcomes(given: list[str], **how: Any) -> list[Any]:
    return list(Distinct(**how).filter(record(number, text) for number, text in enumerate(given)))


def test_repeats_name_the_one_that_is_kept() -> None:
    found = outcomes(["What is a ship?", "Who sings?", "what is a SHIP", "Who sings?"])
    assert [isinstance(one, Reject) for one in found] == [False, False, True, True]
    assert [(one.reason, one.detail) for one in found[2:]] == [
        ("duplicate instruction", "of r0"),
        ("duplicate instruction", "of r1"),
    ]


def test_near_repeats_are_found_with_their_similarity() -> None:
    (text,) = texts(1)
    found = outcomes([text, text + " please", "please " + text], near=True)
    assert [one.reason for one in found[1:]] == ["near-duplicate instruction"] * 2
    assert found[1].detail.startswith("of r0, similarity 0.9")
    assert len([one for one in outcomes([text, text + " please"], near=False) if isinstance(one, dict)]) == 2


def test_others_are_kept_and_rejects_pass_through() -> None:
    given = texts(500)
    assert all(isinstance(one, dict) for one in outcomes(given))
    reject = Reject({"id": "x"}, "unfinished answer")
    assert list(Distinct().filter([reject])) == [reject]


def test_what_is_remembered_is_bounded() -> None:
    given = texts(300)
    seen = Distinct(exact=100, most=64)
    assert all(isinstance(one, dict) for one in seen.filter(record(n, text) for n, text in enumerate(given)))
    assert len(seen.ids) == 100 and len(seen.sets) == 64
    last = [record(n + 1000, text + " so") for n, text in enumerate(given[-8:])]
    found = list(seen.filter([*last, record(2000, given[0] + " so")]))
    assert [isinstance(one, Reject) for one in found] == [True] * 8 + [False], "the last ones are remembered"


def test_a_resumed_run_remembers() -> None:
    seen = Distinct()
    seen.remember([record(0, "Who sings in the harbour?")])
    (found,) = seen.filter([record(1, "who sings in the harbour")])
    assert isinstance(found, Reject) and found.detail == "of r0"


# --- by meaning ------------------------------------------------------------------------------------------------------


def angles(texts: Sequence[str]) -> np.ndarray:
    """Embed each text, whose last word is an angle in degrees, as the point of the unit circle there."""
    degrees = np.radians([float(text.split()[-1]) for text in texts])
    return np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)


def by_meaning(degrees: Sequence[float], *, within: float = 0.6, **given: Any) -> list[Any]:
    """Return what becomes of instructions of other words at these angles, `within` so many degrees of which is same."""
    meanings = Meanings(angles, float(np.cos(np.radians(within))), **given)
    words = (f"{chr(97 + n % 26) * (n + 1)} {angle}" for n, angle in enumerate(degrees))
    return list(Distinct(near=False, meanings=meanings).filter(record(n, text) for n, text in enumerate(words)))


def test_what_means_the_same_names_the_nearest_that_is_kept() -> None:
    found = by_meaning([0, 30, 30.5, 31.0, 0.1])
    assert [isinstance(one, Reject) for one in found] == [False, False, True, False, True]
    assert found[2].reason == found[4].reason == "instruction that means the same"
    assert found[2].detail == "as r1, similarity 1.000" and found[4].detail == "as r0, similarity 1.000"


@pytest.mark.parametrize("count", [AT_ONCE - 1, AT_ONCE, 3 * AT_ONCE + 5])
def test_meanings_are_compared_within_batches_and_across(count: int) -> None:
    draw = random.Random(count)
    degrees = [draw.uniform(0, 360) for _ in range(count)]
    found, kept = by_meaning(degrees, within=1.0), []
    for outcome, degree in zip(found, degrees, strict=True):
        near = [other for other in kept if abs((degree - other + 180) % 360 - 180) <= 1.0]
        assert isinstance(outcome, Reject) == bool(near)
        if not near:
            kept.append(degree)


def test_the_meanings_that_are_remembered_are_bounded() -> None:
    degrees = [2.0 * n for n in range(150)]
    given = [*degrees, *(degree + 0.1 for degree in degrees[-AT_ONCE - 30 :: 5]), 0.1]
    found = by_meaning(given, most=100)
    assert not any(isinstance(one, Reject) for one in found[:150]) and isinstance(found[-1], dict)
    assert all(isinstance(one, Reject) for one in found[150:-1]), "the last hundred are remembered"


def test_a_repeat_of_what_was_rejected_for_its_meaning_is_no_repeat() -> None:
    """Only what is kept is remembered, in every way: so a resumed run, which reads that alone, goes on the same."""
    meanings = Meanings(angles, 0.9999)
    given = [record(0, "one 10"), record(1, "other 10"), record(2, "other 10")]
    _, second, third = Distinct(meanings=meanings).filter(given)
    assert isinstance(second, Reject) and isinstance(third, Reject)
    assert second.reason == third.reason == "instruction that means the same"


def test_instructions_without_words_are_compared_as_they_stand() -> None:
    found = outcomes(["???", "!!!", " ??? "])
    assert [isinstance(one, Reject) for one in found] == [False, False, True] and found[2].detail == "of r0"


def test_the_near_one_is_named() -> None:
    given = texts(3)
    found = outcomes([*given, given[1] + " please", given[2] + " please"])
    assert [one.detail.split(",")[0] for one in found[3:]] == ["of r1", "of r2"]


@pytest.mark.parametrize(("similarity", "repeats"), [(0.4, False), (0.69, False), (0.7, True), (0.9, True)])
def test_how_near_is_near(monkeypatch: pytest.MonkeyPatch, similarity: float, *, repeats: bool) -> None:
    monkeypatch.setattr(distinct, "jaccard", lambda first, second: similarity)
    (text,) = texts(1)
    assert isinstance(outcomes([text, text + " please"])[1], Reject) == repeats


def test_a_cosine_of_just_the_similarity_is_the_same() -> None:
    found = list(
        Distinct(near=False, meanings=Meanings(angles, 1.0)).filter([record(0, "one 0"), record(1, "other 0")])
    )
    assert isinstance(found[1], Reject) and found[1].detail == "as r0, similarity 1.000"


def test_meanings_in_several_blocks_are_found_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of eight; what is not filled yet holds numbers that would be nearest."""
    monkeypatch.setattr(meanings, "BLOCK", 8)
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, 9.0, dtype))
    degrees = [2.0 * n for n in range(AT_ONCE)]
    found = by_meaning([*degrees, *(degree + 0.1 for degree in degrees)])
    assert not any(isinstance(one, Reject) for one in found[:AT_ONCE])
    assert [one.detail.split(",")[0] for one in found[AT_ONCE:]] == [f"as r{n}" for n in range(AT_ONCE)]
