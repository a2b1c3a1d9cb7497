"""Conversations that repeat the instruction of an earlier one, or nearly."""

from __future__ import annotations

import random
from typing import Any

from latxa_cli.sampling.distinct import Distinct
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
    seen.add(record(0, "Who sings in the harbour?"))
    (found,) = seen.filter([record(1, "who sings in the harbour")])
    assert isinstance(found, Reject) and found.detail == "of r0"
