"""Drafts of a text: tried again with other shots and seeds, and the one taken that is nearest to the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from backwards import PAIRS, backwards, source_of, translation
from fake_engine import FakeEngine, stopped

from latxa_cli.generation.engine import Completion, Request
from latxa_cli.stream.records import Record, Reject
from latxa_cli.translation.candidates import central
from latxa_cli.translation.drafts import Work
from latxa_cli.translation.pieces import masked_pair, piece_of, with_space_of
from latxa_cli.translation.shots import Shots
from latxa_cli.translation.translate import translate


def chat(name: str, *contents: str) -> Record:
    return {"id": name, "messages": [{"role": "user", "content": content} for content in contents]}


def told(engine: FakeEngine, records: list[Record], **changes: Any) -> list[Any]:
    return list(translate(records, engine, translation(**{"shots": Shots(PAIRS, 2, seed=3)} | changes)))


class Fails:
    """A model that fails a text so many times, and then knows it."""

    def __init__(self, times: int, answer: str | Completion = "") -> None:
        self.times, self.answer, self.seen = times, answer, 0

    def __call__(self, request: Request) -> str | Completion:
        if "bad" not in source_of(request):
            return backwards(request)
        self.seen += 1
        return backwards(request) if self.seen > self.times else self.answer


# --- tries -----------------------------------------------------------------------------------------------------------


def test_another_try_has_another_seed_a_temperature_and_other_shots() -> None:
    engine, work = FakeEngine(Fails(2)), Work()
    (record,) = told(engine, [chat("a", "bad thing")], retries=2, work=work)
    assert record["messages"][0]["content"] == "dab gniht" and record["metadata"]["tries"] == 3
    first, *others = engine.requests
    assert first.decoding.temperature == 0 and all(request.decoding.temperature > 0 for request in others)
    assert len({request.seed for request in engine.requests}) == 3
    assert len({(request.text or "").rpartition("English")[0] for request in engine.requests}) == 3
    assert (work.requests, work.again) == (3, 2)


def test_what_fails_every_try_is_rejected_with_reason_tries_and_what_was_written() -> None:
    engine = FakeEngine(Fails(9, "null"))
    (reject,) = told(engine, [chat("a", "good thing", "bad thing")], retries=2)
    assert isinstance(reject, Reject) and reject.reason == "null translation"
    assert reject.detail == "message 2, 3 tries, null: null" and len(engine.requests) == 4


@pytest.mark.parametrize("reason", ["failed", "filtered", "too long", "refused"])
def test_what_another_try_cannot_better_is_not_tried(reason: Any) -> None:
    engine = FakeEngine(Fails(9, Completion("because", reason, 0, 0)))
    (reject,) = told(engine, [chat("a", "bad thing")], retries=2, shots=Shots((), 0))
    assert isinstance(reject, Reject) and len(engine.requests) == 1
    assert reject.detail == "message 1, 1 try: because"


def test_seeds_depend_on_the_record_and_the_place_alone() -> None:
    def seeds(records: list[Record], window: int, **changes: Any) -> dict[str, list[int]]:
        engine = FakeEngine(lambda request: "", window)
        told(engine, records, retries=2, **changes)
        found: dict[str, list[int]] = {}
        for request in engine.requests:
            found.setdefault(source_of(request), []).append(request.seed)
        return found

    alone = seeds([chat("b", "number two")], 1)
    among = seeds([chat("a", "number one"), chat("b", "number two"), chat("c", "number three")], 7)
    assert alone["number two"] == among["number two"]
    assert len({seed for many in among.values() for seed in many[1:]}) == 6
    assert seeds([chat("b", "number two")], 1, seed=1)["number two"][1:] != alone["number two"][1:]


# --- candidates ------------------------------------------------------------------------------------------------------


def drawing(*texts: str) -> Callable[[Request], str]:
    waiting = list(texts)
    return lambda _: waiting.pop(0)


def test_of_several_drafts_the_one_nearest_to_the_others_is_taken() -> None:
    work = Work()
    engine = FakeEngine(drawing("owt seert won", "owt dlo spihs", "owt dlo spihs", "owt dlo spihs"), window=1)
    (record,) = told(engine, [chat("a", "two old ships")], candidates=4, work=work)
    assert record["messages"][0]["content"] == "owt dlo spihs"
    assert [request.decoding.temperature > 0 for request in engine.requests] == [False, True, True, True]
    assert len({request.seed for request in engine.requests}) == 4
    assert len({request.text for request in engine.requests}) == 1, "they are shown the same"
    assert (work.requests, work.tokens, work.unused) == (4, 12, 9)
    assert record["metadata"]["candidates"] == 4 and record["metadata"]["tokens"] == 12


def test_only_drafts_that_pass_are_compared() -> None:
    engine = FakeEngine(drawing("two old ships", "two old ships", "owt dlo spihs"), window=1)
    (record,) = told(engine, [chat("a", "two old ships")], candidates=3)
    assert record["messages"][0]["content"] == "owt dlo spihs"
    engine = FakeEngine(drawing("", "", "owt dlo spihs", ""), window=1)
    (record,) = told(engine, [chat("a", "two old ships")], candidates=2, retries=1)
    assert record["messages"][0]["content"] == "owt dlo spihs" and record["metadata"]["tries"] == 2
    assert all(request.decoding.temperature > 0 for request in engine.requests[1:])


def test_a_failed_request_among_several_does_no_harm() -> None:
    answers = [Completion("no", "failed", 0, 0), stopped("owt dlo spihs")]
    (record,) = told(FakeEngine(lambda _: answers.pop(0), window=1), [chat("a", "two old ships")], candidates=2)
    assert record["messages"][0]["content"] == "owt dlo spihs"


def test_the_central_text() -> None:
    assert central(["a"]) == 0 and central(["same", "same", "same"]) == 0 and central(["a b", "b c"]) == 0
    assert central(["far away", "the old ships", "the old shop", "the old ship"]) in (1, 3)
    assert central(["x y z", "the ship", "the ship"]) == 1
    assert central(["the ship", "the ship", "x y z", "x y z", "x y z"]) == 2, "what is drawn more often counts more"


def test_the_greedy_text_counts_as_half_of_all() -> None:
    split = ["the old ship", "x y z", "x y z", "a b c", "d e f"]
    assert central(split) == 1 and central(split, greedy=True) == 0
    agreed = ["the old ship", *["x y z"] * 4]
    assert central(agreed, greedy=True) == 1, "the others overrule it if they agree"
    assert central(["a", "b"], greedy=True) == 0


def test_a_greedy_text_that_failed_its_checks_counts_for_nothing() -> None:
    engine = FakeEngine(drawing("two old ships", "owt seert won", "owt dlo spihs", "owt dlo spihs"), window=1)
    (record,) = told(engine, [chat("a", "two old ships")], candidates=4)
    assert record["messages"][0]["content"] == "owt dlo spihs"


# --- pieces ----------------------------------------------------------------------------------------------------------


def test_examples_have_the_same_markers_on_both_sides() -> None:
    assert masked_pair(("Run `a` at https://b.org.", "https://b.org gunean `a` exekutatu.")) == (
        "Run [#1] at [#2].", "[#2] gunean [#1] exekutatu.",
    )  # fmt: skip
    same = ("Run `a` or `a`.", "Exekutatu `a` edo `a`.")
    assert masked_pair(same) == ("Run [#1] or [#2].", "Exekutatu [#1] edo [#2].")
    for pair in (("Run `a`.", "Exekutatu `b`."), ("one", "bat"), ("Run it.", "`Exekutatu`."), ("Run `a`.", "Ezer ez.")):
        assert masked_pair(pair) == pair


def test_white_space_goes_round_a_translation() -> None:
    assert with_space_of("x", "\n a \t") == "\n x \t" and with_space_of("x", " \n") == " \n"
    assert with_space_of("x", "aa a aa") == "x"


def test_a_piece_shows_its_text_masked() -> None:
    from latxa_cli.translation.fields import Part

    piece = piece_of(Part(("text",), " Run `a`. ", "`text`"))
    assert piece.shown == "Run [#1]." and piece.schema is None and piece.read("x") == ["x"]
