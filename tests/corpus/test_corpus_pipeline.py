import json
from collections import Counter
from copy import deepcopy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.corpus.pipeline import Settings, clean
from latxa_cli.stream.records import Record, Reject
from latxa_cli.text.normalise import fingerprint

ENGLISH = "The old bridge over the river was built of stone by the people of the valley."
WELSH = "Mae'r hen bont dros yr afon wedi ei hadeiladu o garreg gan bobl y dyffryn."


def document(name: str, text: str, **fields: Any) -> Record:
    return {"id": name, "text": text, **fields}


def run(documents: list[Record], seen: set[bytes] | None = None, **settings: Any) -> list[Record | Reject]:
    return list(clean(documents, Settings(**{"language": "en", **settings}), set() if seen is None else seen))


def reasons(outcomes: list[Record | Reject]) -> list[str]:
    return [outcome.reason if isinstance(outcome, Reject) else "kept" for outcome in outcomes]


def test_one_outcome_for_each_document_in_order() -> None:
    documents = [
        document("a", ENGLISH),
        document("b", " \x00\u2028 "),
        document("c", "Too short."),
        document("d", ENGLISH.upper().replace(" ", "\n")),
        document("e", WELSH),
        document("f", "12 34 56 78 90 12"),
        document("g", ENGLISH + " And more."),
    ]
    outcomes = run(documents)
    assert reasons(outcomes) == [
        "kept", "empty", "too short", "exact duplicate", "wrong language", "wrong language", "kept",
    ]  # fmt: skip
    names = [(outcome.record if isinstance(outcome, Reject) else outcome)["id"] for outcome in outcomes]
    assert names == list("abcdefg")


def test_wrong_language_says_what_was_found() -> None:
    (outcome,) = run([document("a", WELSH)])
    assert isinstance(outcome, Reject)
    language, probability = outcome.detail.split()
    assert language == "cy"
    assert float(probability) > 0.9


def test_kept_record_is_clean_and_otherwise_untouched() -> None:
    original = document("a", f"  {ENGLISH}\r\n", url="u", language="xx", metadata={"dump": 7}, extra=[1])
    before = deepcopy(original)
    (kept,) = run([original])
    assert isinstance(kept, dict)
    probability = kept["metadata"].pop("language_probability")
    assert 0.9 < probability <= 1
    assert kept == before | {"text": ENGLISH, "language": "en"}
    assert original == before


def test_rejected_record_is_as_it_came() -> None:
    original = document("a", " Too\tshort. ")
    (outcome,) = run([original])
    assert isinstance(outcome, Reject) and outcome.record is original and outcome.detail == "fewer than 5 words"


@pytest.mark.parametrize("metadata", [None, "a string", ["list"]])
def test_metadata_of_another_shape_is_not_lost(metadata: Any) -> None:
    (kept,) = run([document("a", ENGLISH, metadata=metadata)])
    assert isinstance(kept, dict)
    assert kept["metadata"].get("original") == metadata


def test_bounds_of_the_settings() -> None:
    assert reasons(run([document("a", ENGLISH)], minimum_words=16)) == ["kept"]
    assert reasons(run([document("a", ENGLISH)], minimum_words=17)) == ["too short"]
    # "Kaixo" alone is recognised as no language with much certainty, whichever is asked for.
    (found,) = run([document("a", "Kaixo")], minimum_words=0)
    assert isinstance(found, Reject)
    guess, probability = found.detail.split()
    (unsure,) = run([document("a", "Kaixo")], minimum_words=0, language=guess)
    assert isinstance(unsure, Reject) and unsure.reason == "uncertain language"
    below = float(probability) - 0.001
    (kept,) = run([document("a", "Kaixo")], minimum_words=0, language=guess, minimum_probability=below)
    assert isinstance(kept, dict)


def test_only_kept_documents_make_duplicates() -> None:
    """The copy of a document rejected for its language is rejected for its language too, not as a copy of nothing."""
    assert reasons(run([document("a", WELSH), document("b", WELSH)])) == ["wrong language"] * 2


@pytest.mark.parametrize("interrupted_after", range(7))
def test_resumed_run_ends_as_a_whole_one(interrupted_after: int) -> None:
    texts = [ENGLISH, WELSH, ENGLISH.lower(), "Short.", WELSH, ENGLISH + " And more.", ENGLISH]
    documents = [document(str(number), text) for number, text in enumerate(texts)]
    whole = run(documents)
    first = run(documents[:interrupted_after])
    seen = {fingerprint(outcome["text"]) for outcome in first if isinstance(outcome, dict)}
    assert first + run(documents[interrupted_after:], seen) == whole


def test_takes_documents_one_by_one() -> None:
    def endless() -> Any:
        number = 0
        while True:
            yield document(str(number), f"{ENGLISH} Number {number}.")
            number += 1

    assert len(list(islice(clean(endless(), Settings("en"), set()), 3))) == 3


def test_real_documents_in_two_languages(shared_data: Path) -> None:
    documents = []
    for language in ("eu", "es"):
        with (shared_data / f"corpus_{language}.jsonl").open(encoding="utf-8") as file:
            documents += [json.loads(line) for line in islice(file, 250)]
    counts = Counter(reasons(list(clean([*documents, *documents[:250]], Settings("eu"), set()))))
    assert 240 <= counts["kept"] <= 250
    assert counts["wrong language"] >= 250
    assert counts["exact duplicate"] >= counts["kept"]
