"""Audits in memory: records beside their sources, what only the file shows, runs, scores and marks."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from latxa_cli.stream.records import Record, Reject
from latxa_cli.translation.audit.agreement import agreement, anchors, is_of_another
from latxa_cli.translation.audit.audit import Audit, Example
from latxa_cli.translation.audit.marks import marked
from latxa_cli.translation.audit.quality import ROUNDS, Others, scores
from latxa_cli.translation.audit.runs import runs_of
from latxa_cli.translation.checks.checks import Checks, Fault
from latxa_cli.translation.checks.pair import Pair, Text

# Sentences with names, and what they may be in a language of words that are written backwards.
NAMES = (
    "Ane", "Lekeitio", "Maddi", "Bermeo", "Joseba", "Donostia", "Nerea", "Zarautz", "Unai", "Getaria", "Miren",
    "Ondarroa", "Xabier", "Hernani", "Itziar", "Tolosa", "Gorka", "Azpeitia", "Leire", "Bergara",
)  # fmt: skip
WORDS = tuple(f"{one}o{other}a" for one in "bdglmnst" for other in "krz")


def sentence(number: int) -> str:
    draw = random.Random(number)
    one, other, third = draw.sample(NAMES, 3)
    return f"In {number + 1900} {one} and {other} went {' '.join(draw.sample(WORDS, 6))} with {third}."


def backwards(text: str) -> str:
    return " ".join(word if word[0].isupper() or word[0].isdigit() else word[::-1] for word in text.split())[:-1] + "."


def documents(texts: Sequence[str]) -> list[Record]:
    return [{"id": f"d{number}", "text": text} for number, text in enumerate(texts)]


def audited(sources: list[Record], translations: list[Record], **more: Any) -> tuple[list[Any], Audit]:
    audit = Audit(Checks(**more.pop("checks", {})), more.pop("fields", ["text"]), **more)
    audit.load(sources, translations)
    return list(audit.outcomes()), audit


def reasons(outcomes: list[Any]) -> list[str]:
    return [outcome.reason if isinstance(outcome, Reject) else "" for outcome in outcomes]


SOURCES = [sentence(number) for number in range(120)]
GOOD = [backwards(text) for text in SOURCES]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7, 8, 40])
def test_good_translations_pass_in_their_order(count: int) -> None:
    given = documents(GOOD[:count])
    outcomes, audit = audited(documents(SOURCES), given)
    assert outcomes == given
    assert audit.findings.records == count and not audit.findings.faults
    assert audit.findings.untranslated == (120 - count, [f"d{n}" for n in range(count, count + 3)])


def test_records_are_joined_by_their_ids_in_any_order() -> None:
    shuffled = random.Random(0).sample(documents(GOOD), 120)
    outcomes, audit = audited(documents(SOURCES), shuffled)
    assert outcomes == shuffled and audit.findings.untranslated == (0, [])


def test_ids_that_are_missing_or_come_again() -> None:
    given = documents(GOOD[:4])
    given[1]["id"], given[3] = "nobody", {**given[0], "text": "another text"}
    outcomes, audit = audited([*documents(SOURCES[:4]), {"id": "d0", "text": "a later one"}], given)
    assert reasons(outcomes) == ["", "no source", "", "repeated id"]
    assert audit.findings.again == 1 and audit.findings.untranslated == (2, ["d1", "d3"])


def test_other_turns_roles_and_fields() -> None:
    turns = [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "good day to you"}]
    source = [{"id": str(number), "messages": turns} for number in range(4)]
    given = [
        {"id": "0", "messages": [{**turn, "content": backwards(turn["content"] + " .")} for turn in turns]},
        {"id": "1", "messages": turns[:1]},
        {"id": "2", "messages": [turns[1], turns[0]]},
        {"id": "3", "messages": [*turns, *turns]},
    ]
    outcomes, _ = audited(source, given, fields=["messages"])
    assert reasons(outcomes) == ["", "other turns", "other turns", "other turns"]
    assert outcomes[1].detail == "2 (1 user, 2 assistant) → 1 (1 user)"
    outcomes, _ = audited(source, [{"id": "0", "question": "x"}], fields=["question"])
    assert reasons(outcomes) == ["no such field"]


def test_the_first_fault_of_the_texts_counts_and_is_placed() -> None:
    turns = [{"role": "user", "content": "hello there"}, {"role": "assistant", "content": "it costs 37 euros"}]
    given = [{**turns[0], "content": "kaixo hor"}, {**turns[1], "content": "73 balio du"}]
    outcomes, audit = audited([{"id": "a", "messages": turns}], [{"id": "a", "messages": given}], fields=["messages"])
    assert outcomes[0].reason == "other numbers" and outcomes[0].detail == "message 2: 37 → 73"
    [example] = audit.findings.examples["other numbers"]
    assert (example.id, example.name, example.pair.translation.text) == ("a", "message 2", "73 balio du")


def test_system_turns_that_were_kept() -> None:
    turns = [
        {"role": "system", "content": "Speak like a sailor from Bermeo."},
        {"role": "user", "content": "hello there"},
    ]
    given = [turns[0], {**turns[1], "content": "kaixo hor"}]
    pair = [{"id": "a", "messages": turns}], [{"id": "a", "messages": given}]
    assert reasons(audited(*pair, fields=["messages"])[0]) == ["copied source"]
    assert reasons(audited(*pair, fields=["messages"], keep_system=True)[0]) == [""]


def test_the_same_translation_of_different_sources() -> None:
    given = documents(GOOD[:60])
    given[50]["text"] = GOOD[7]
    outcomes, _ = audited(documents(SOURCES), given)
    assert [place for place, reason in enumerate(reasons(outcomes)) if reason] == [50], "the right one stays"
    assert outcomes[50].reason == "same translation of different sources" and outcomes[50].detail == "as that of `d7`"


def test_where_nothing_tells_which_is_right_both_go() -> None:
    source = documents(["the sea is calm and blue today", "my old boat lies on the hill"])
    outcomes, _ = audited(source, documents(["itsasoa bare eta urdin dago gaur"] * 2))
    assert reasons(outcomes) == ["same translation of different sources"] * 2


def test_what_may_have_the_same_translation() -> None:
    source = documents(["Good morning to all of you!", "good morning, to all of you", "Yes.", "Sure.", "Okay."])
    given = documents(["Egun on guztioi, lagun maiteok!"] * 2 + ["Bai."] * 3)
    assert reasons(audited(source, given)[0]) == [""] * 5, "sources that say the same, and short texts"


def test_a_shift_by_one_row_is_named_as_a_run() -> None:
    given = documents(GOOD[:100])
    for number in range(40, 70):
        given[number]["text"] = GOOD[number + 1]
    outcomes, audit = audited(documents(SOURCES), given)
    found = reasons(outcomes)
    assert (
        all(found[40:70])
        and found[40:70].count("translation of another record") >= 24
        and not any(found[:40])
        and not any(found[70:])
    )
    assert outcomes[40].detail == "that of `d41`, 1 later"
    [(first, last, run, counted)] = audit.findings.runs
    assert (first, last) in {("d40", "d69"), ("d40", "d68")} and run.faults >= 29
    assert counted.most_common(1)[0][0] == "translation of another record"


def test_checks_that_compare_records_may_be_out(tmp_path: Any) -> None:
    from latxa_cli.translation.checks.checks import REASONS
    from latxa_cli.translation.checks.limits import load_limits

    path = tmp_path / "checks.toml"
    path.write_text("[shared]\non = false\n[another_record]\non = false\n[numbers]\non = false\n", encoding="utf-8")
    given = documents(GOOD[:20])
    given[5]["text"], given[10]["text"] = GOOD[4], GOOD[0]
    outcomes, _ = audited(documents(SOURCES), given, checks={"limits": load_limits(list(REASONS), path)})
    assert not any(reasons(outcomes))


# --- agreement -------------------------------------------------------------------------------------------------------


def test_what_languages_share() -> None:
    found = anchors([Text("Ane and Zoë went to `ls` in gCorcaigh at 7:55, not here.")])
    assert found == {"ane", "zoe", "corc", "755", "`ls`"}
    assert agreement(found, frozenset(("ane", "zoe", "corc", "755", "`ls`"))) == 1.0
    assert agreement(found, frozenset()) == agreement(frozenset(), frozenset()) == 0.0
    assert is_of_another(0.0, 0.5) and not is_of_another(0.0, 0.3) and not is_of_another(0.3, 0.6)


# --- runs ------------------------------------------------------------------------------------------------------------


def stretch(size: int, first: int, last: int, share: float = 1.0, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    faults = draw.random(size) < noise
    faults[first : last + 1] = draw.random(last + 1 - first) < share
    return faults


def test_runs_and_their_ends() -> None:
    [run] = runs_of(stretch(1000, 200, 229))
    assert (run.first, run.last, run.faults, run.length) == (200, 229, 30, 30)
    assert runs_of(np.zeros(0, bool)) == runs_of(np.zeros(500, bool)) == runs_of(np.ones(500, bool)) == []
    both = stretch(2000, 200, 229) | stretch(2000, 1500, 1540)
    assert [(run.first, run.last) for run in runs_of(both)] == [(200, 229), (1500, 1540)]


def test_a_run_in_a_short_file() -> None:
    [run] = runs_of(stretch(24, 6, 17))
    assert (run.first, run.last) == (6, 17)
    assert runs_of(stretch(24, 2, 22)) == [], "the file as a whole is at fault"


def test_most_of_a_run_is_found_among_other_faults() -> None:
    for seed in range(20):
        [run] = runs_of(stretch(3000, 1000, 1029, 0.7, 0.02, seed))
        assert abs(run.first - 1000) <= 6 and abs(run.last - 1029) <= 6


def test_chance_gives_no_runs() -> None:
    for share in (0.01, 0.1, 0.3, 0.6, 0.9):
        found = sum(bool(runs_of(np.random.default_rng(seed).random(5000) < share)) for seed in range(60))
        assert found <= 1, share


# --- scores ----------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_sacrebleu_with_an_interval() -> None:
    draw = random.Random(3)
    translations = [text if draw.random() < 0.6 else backwards(text) for text in SOURCES]
    references = Others.of(documents(SOURCES), ["text"])
    for number, record in enumerate(documents(translations)):
        references.meet(record, record, kept=number % 2 == 0)
    found = scores(references, None, "eu")
    assert [(score.name, score.of, score.records) for score in found] == [
        ("chrF++", "all", 120), ("BLEU", "all", 120), ("chrF++", "passed", 60), ("BLEU", "passed", 60),
    ]  # fmt: skip
    for score, metric in zip(found, (CHRF(word_order=2), BLEU()), strict=False):
        assert score.value == pytest.approx(metric.corpus_score(translations, [SOURCES]).score, abs=0.006)
        assert score.lower < score.value < score.upper and score.signature == str(metric.get_signature())
    # The bootstrap's own deviation, by sacreBLEU's implementation of it with other draws.
    metric = CHRF(word_order=2)
    theirs = metric.corpus_score(translations, [SOURCES], n_bootstrap=ROUNDS)
    assert (found[0].upper - found[0].lower) / 2 == pytest.approx(theirs._ci, rel=0.15)


def test_what_has_no_reference_is_not_compared() -> None:
    references = Others.of([{"id": "a", "text": "one two"}, {"id": "b"}, {"id": "c", "text": " "}], ["text"])
    for name in "abcd":
        references.meet({"id": name, "text": "one two"}, {"id": name, "text": "one two"}, kept=True)
    assert [(score.value, score.records) for score in scores(references, None, None)] == [(100.0, 1), (0.0, 1)] or [
        score.records for score in scores(references, None, None)
    ] == [1, 1]
    assert scores(Others.of([], ["text"]), Others.of([], ["text"]), "eu") == []


def test_round_trips() -> None:
    back = Others.of(documents(SOURCES[:10]), ["text"])
    for record in documents(SOURCES[:10]):
        back.meet(record, record, kept=True)
    [score] = scores(None, back, "eu")
    assert (score.name, score.of, score.value, score.lower, score.upper) == ("chrF", "round trip", 100.0, 100.0, 100.0)


# --- marks -----------------------------------------------------------------------------------------------------------


def shown(source: str, translation: str, detail: str = "") -> tuple[list[str], list[str]]:
    pieces = marked(Example("a", "", Pair(Text(source), Text(translation)), Fault("x", detail)))
    assert all("".join(text for text, _ in part) for part in pieces)
    return tuple([text for text, mark in part if mark] for part in pieces)  # type: ignore[return-value]


def test_marks_of_what_differs() -> None:
    assert shown("It costs 37 in 1998.", "73 balio du 1998an.") == (["37"], ["73"])
    assert shown("Run `ls` now, see $x$.", "Exekutatu `la` orain, ikusi $x$.") == (["`ls`"], ["`la`"])
    assert shown("we went to the old market", "joan ginen to the old market") == (["to the old market"],) * 2
    assert shown("Hello.", "Kaixo. I hope this helps!", "I hope this helps!") == ([], ["I hope this helps!"])
    assert shown("A long day.", "Egun luze bat izan", "it ends in “luze bat izan”") == ([], ["luze bat izan"])


def test_long_texts_are_cut_round_the_first_mark() -> None:
    pieces, _ = marked(Example("a", "", Pair(Text("x " * 5000 + "37 " + "y " * 5000), Text("z")), Fault("x")))
    text = "".join(piece for piece, _ in pieces)
    assert ("37", True) in pieces and len(text) < 1300 and text.startswith("… ") and text.endswith(" …")


# --- odd records -----------------------------------------------------------------------------------------------------


def test_empty_turns_and_conversations_that_end_in_a_question() -> None:
    turns = [
        {"role": "user", "content": "hello there"}, {"role": "assistant", "content": ""},
        {"role": "user", "content": "is it late?"},
    ]  # fmt: skip
    texts = ("kaixo hor", "", "berandu al da?")
    given = [{**turn, "content": text} for turn, text in zip(turns, texts, strict=True)]
    assert reasons(
        audited([{"id": "a", "messages": turns}], [{"id": "a", "messages": given}], fields=["messages"])[0]
    ) == [""]
    given[1]["content"] = "an answer that nobody gave"
    [outcome] = audited([{"id": "a", "messages": turns}], [{"id": "a", "messages": given}], fields=["messages"])[0]
    assert outcome.reason == "added text" and outcome.detail.startswith("message 2: ")


def test_nested_fences_unbalanced_formulas_and_other_directions() -> None:
    source = ["````\n```\na\n```\n````\nthe end", "an open $x formula \\( here", "say it in Arabic", "smile 🐑 please"]
    given = [
        "````\n```\na\n```\n````\namaiera",
        "formula \\( ireki bat $x hemen",
        "قل ذلك بالعربية",
        "irribarre 🐑 mesedez",
    ]
    assert reasons(audited(documents(source), documents(given))[0]) == [""] * 4
    given[0] = "````\n```\nb\n```\n````\namaiera"
    assert reasons(audited(documents(source), documents(given))[0])[0] == "altered code"
