"""The same translation under different sources is found, in the same records however often a run is resumed."""

from __future__ import annotations

from typing import Any

import pytest
from backwards import backwards, source_of, translation
from fake_engine import FakeEngine

from latxa_cli.generation.engine import Request
from latxa_cli.stream.records import Record, Reject
from latxa_cli.translation.checks.checks import REASONS, Checks
from latxa_cli.translation.checks.limits import load_limits
from latxa_cli.translation.repeats import Repeats
from latxa_cli.translation.translate import translate

CHECKS = Checks("qaa", source="en")
NONSENSE = "zer da hau bada orain"


def document(name: str, text: str) -> Record:
    return {"id": name, "text": text}


SOURCES = [
    document("a", "gulls sleep on the warm roofs"),
    document("b", "bakers sell much round bread here"),
    document("c", "gulls sleep on the warm roofs"),
    document("d", "seven lamps burn before a storm"),
    document("e", "the keeper counts his quiet islands"),
    document("f", "sailors from islands are rarely quiet"),
]


def nonsense(*names: str) -> Any:
    """Return a model that says the same of some sources, and knows the others."""
    chosen = {record["text"] for record in SOURCES if record["id"] in names}
    return lambda request: NONSENSE if source_of(request) in chosen else backwards(request)


def outcomes(engine: Any, records: list[Record] = SOURCES, repeats: Repeats | None = None) -> list[Any]:
    found = repeats or Repeats(CHECKS, ["text"])
    return list(translate(records, FakeEngine(engine), translation(fields=("text",)), found))


def test_the_first_one_stays_and_later_ones_are_rejected() -> None:
    made = outcomes(nonsense("b", "d", "f"))
    assert [type(one) for one in made] == [dict, dict, dict, Reject, dict, Reject]
    assert {one.reason for one in (made[3], made[5])} == {"same translation of different sources"}
    assert made[3].record == SOURCES[3] and made[3].detail == f"`text`, as that of `b`: {NONSENSE}"


def test_the_same_or_a_like_source_may_have_it() -> None:
    assert all(isinstance(one, dict) for one in outcomes(backwards)), "`a` and `c` are the same"
    alike = [document("a", "gulls sleep on the warm roofs"), document("b", "the gulls sleep on warm roofs today")]
    assert all(isinstance(one, dict) for one in outcomes(lambda _: NONSENSE, alike))


def test_short_texts_may_be_the_same() -> None:
    records = [document("a", "good day"), document("b", "very well then")]
    assert all(isinstance(one, dict) for one in outcomes(lambda _: "egun on", records))


def test_the_check_can_be_taken_out(tmp_path: Any) -> None:
    path = tmp_path / "checks.toml"
    path.write_text("[shared]\non = false\n")
    checks = Checks("qaa", source="en", limits=load_limits(list(REASONS), path))
    made = outcomes(nonsense("b", "d"), repeats=Repeats(checks, ["text"]))
    assert all(isinstance(one, dict) for one in made)


@pytest.mark.parametrize("done", range(len(SOURCES) + 1))
def test_a_resumed_run_rejects_what_one_run_would(done: int) -> None:
    engine = nonsense("b", "d", "f")
    whole = outcomes(engine)
    repeats = Repeats(CHECKS, ["text"], made=(one for one in whole[:done] if isinstance(one, dict)))
    for source in SOURCES[:done]:
        repeats.done(source)
    assert outcomes(engine, SOURCES[done:], repeats) == whole[done:]


def test_what_is_remembered_is_bounded() -> None:
    def answer(request: Request) -> str:
        return NONSENSE if source_of(request).startswith(("gulls", "the keeper")) else backwards(request)

    made = outcomes(answer, repeats=Repeats(CHECKS, ["text"], most=2))
    assert isinstance(made[4], dict), "the first one is forgotten"
    assert isinstance(outcomes(answer)[4], Reject)
