"""The examples in prompts: how they are drawn, and what their file must hold."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from backwards import LANGUAGES

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.translation.languages import pair_of
from latxa_cli.translation.layouts import load_layout
from latxa_cli.translation.shots import Shots, Wanted, check_languages, kind_of, shots_of, without_shots

BASE = load_layout("base")
PAIRS = tuple((f"text {number}", f"{number} txet") for number in range(12))


def test_the_seed_draws_the_same_ones_for_all_texts() -> None:
    shots = Shots(PAIRS, 4, seed=1)
    first = shots.of("a", "1")
    assert len(set(first)) == 4 and first == shots.of("another text", "2")
    assert first != Shots(PAIRS, 4, seed=2).of("a", "1")


def test_further_attempts_see_others() -> None:
    for shots in (Shots(PAIRS, 4, seed=1), Shots(PAIRS, 4, nearest=True)):
        seen = [shots.of("a", "1", attempt) for attempt in range(3)]
        assert len({tuple(sorted(pairs)) for pairs in seen}) == 3
        assert seen == [shots.of("a", "1", attempt) for attempt in range(3)]
    assert shots.of("a", "1") != Shots(PAIRS, 4, seed=1).of("a", "2", 1)
    assert len(Shots(PAIRS[:2], 2, nearest=True).of("a", "1", 5)) == 2
    assert Shots(PAIRS, 0).of("a", "1") == ()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The sea is blue.", "prose"),
        ("What colour is the sea?", "question"),
        ('He asked: "Where?"', "question"),
        ("海是什么颜色？", "question"),
        ("ما لون البحر؟", "question"),
        ("Three fish:\n- hake\n- tuna\n- cod", "list"),
        ("1. Boil\n2. Peel", "list"),
        ("Look:\n```python\nprint(1)\n```", "code"),
        ("Ane: Hello!\nJon: Good day.", "dialogue"),
        ("— Hello!\n— Good day.", "dialogue"),
        ("", "prose"),
    ],
)
def test_kinds_of_texts(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_the_nearest_are_of_the_same_kind_and_length() -> None:
    pairs = (
        ("Good day.", "a"),
        ("What is it?", "b"),
        ("Where are the boats of the harbour today?", "c"),
        ("- one\n- two", "d"),
        ("A long text that goes on and on about the boats of the harbour and the gulls on the roofs.", "e"),
    )
    shots = Shots(pairs, 2, nearest=True)
    assert shots.of("Where are the gulls of the town tonight?", "1")[-1][1] == "c"
    assert shots.of("What now?", "1")[-1][1] == "b"
    assert shots.of("- three\n- four", "1")[-1][1] == "d"
    assert [target for _, target in shots.of("Fine.", "1")] == ["b", "a"], "the most like comes last"


def records(*pairs: tuple[str, str]) -> list[Record]:
    return [{"id": str(n), "source": source, "target": target} for n, (source, target) in enumerate(pairs)]


def test_the_file_of_shots() -> None:
    shots = shots_of(records((" one\n", "\n eno "), ("two", "owt")), Wanted("f"), BASE, LANGUAGES, seed=3)
    assert shots.pairs == (("one", "eno"), ("two", "owt")) and shots.count == 2 and shots.seed == 3
    many = records(*PAIRS)
    assert shots_of(many, Wanted("f"), BASE, LANGUAGES, seed=0).count == 5
    assert shots_of(many, Wanted("f", 12, nearest=True), BASE, LANGUAGES, seed=0) == Shots(PAIRS, 12, 0, nearest=True)
    assert shots_of([], Wanted("f", 0), BASE, LANGUAGES, seed=0).count == 0


@pytest.mark.parametrize(
    ("given", "wanted", "message"),
    [
        ([], Wanted("f"), "f: there are no examples"),
        (records(("one", "eno")), Wanted("f", 2), "`-k 2` asks for more examples than f has, 1"),
        (records(("one", " ")), Wanted("f"), "f: a side of the pair `0` is empty"),
    ],
)
def test_what_is_told(given: list[Record], wanted: Wanted, message: str) -> None:
    with pytest.raises(UsageError) as error:
        shots_of(given, wanted, BASE, LANGUAGES, seed=0)
    assert error.value.message == message


def test_models_that_only_translate_are_shown_none() -> None:
    layout = load_layout("salamandrata")
    with pytest.raises(UsageError, match="shows no examples"):
        shots_of(records(("one", "eno")), Wanted("f"), layout, LANGUAGES, seed=0)
    assert without_shots(layout, None).count == without_shots(load_layout("chat"), None).count == 0
    assert without_shots(BASE, 0).count == 0
    with pytest.raises(UsageError, match="shows examples: `--shots FILE`"):
        without_shots(BASE, None)


# --- languages of pairs ----------------------------------------------------------------------------------------------

ENGLISH = ("The harbour is full of boats today.", "What do you buy at the market?", "The rabbit is in the garden.")
BASQUE = ("Portua itsasontziz beteta dago gaur.", "Zer erosten duzu azokan?", "Untxia lorategian dago.")
SPANISH = ("El puerto está hoy lleno de barcos.", "¿Qué compras en el mercado?", "El conejo está en el jardín.")


def check(sources: tuple[str, ...], targets: tuple[str, ...], source: str = "en", target: str = "eu") -> str:
    try:
        names = ("A", "B") if target == "qaa" else (None, None)
        check_languages(zip(sources, targets, strict=True), "f", *pair_of(source, target, *names))
    except UsageError as error:
        return error.message
    return ""


def test_pairs_are_in_the_languages_that_are_said() -> None:
    assert check(ENGLISH, BASQUE) == ""
    assert check(BASQUE, ENGLISH) == "f: the examples go from `eu` to `en`"
    assert check(ENGLISH, SPANISH).startswith("f: `target` should be in `eu`") and "`es`" in check(ENGLISH, SPANISH)
    assert check(SPANISH, BASQUE).startswith("f: `source` should be in `en`")
    assert check(ENGLISH, ENGLISH) == "f: the examples go from `eu` to `en`" or check(ENGLISH, ENGLISH)


def test_what_cannot_be_identified_is_believed() -> None:
    assert check(ENGLISH, SPANISH, target="qaa") == ""
    assert check(("OK",), ("Ados",)) == "" and check((), ()) == ""


def test_real_pairs_of_look_alikes_pass_and_others_do_not(shared_data: Path) -> None:
    rows = [orjson.loads(line) for line in (shared_data / "parallel.jsonl").read_bytes().splitlines()[:12]]
    for target in ("eu", "es", "ca", "gl", "ga", "cy", "is"):
        sides = tuple(row["en"] for row in rows), tuple(row[target] for row in rows)
        assert check(*sides, target=target) == ""
        assert "go from" in check(*reversed(sides), target=target)
        for other in {"eu", "es", "ca", "gl"} - {target}:
            assert "`target` should be in" in check(*sides, target=other)
