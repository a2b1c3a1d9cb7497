"""Judging by reference: who wins, who ties, who cannot be judged; chrF against its definition."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.judging.chrf import ChrF
from latxa_cli.judging.judge import Contender, Judge, rubric_named
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Reject


def response(name, model, answer, asked="Zer moduz?", **more):
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"id": name, "messages": turns, "model": model, **more}


def judged(first, *others, **how):
    contenders = [Contender.of(f"{number}.jsonl", records) for number, records in enumerate(others, 2)]
    judge = Judge(rubric_named("reference"), **how)
    return [outcome for outcomes in judge.battles(first, contenders) for outcome in outcomes]


def ngrams(text, order):
    return Counter(text[start : start + order] for start in range(len(text) - order + 1))


def definition(response, reference):
    """chrF as in Popović, 2015: mean precision and recall over orders that both texts have, then F with beta 2."""
    response, reference = ("".join(text.split()) for text in (response, reference))
    precisions, recalls = [], []
    for order in range(1, 7):
        ours, theirs = (ngrams(text, order) for text in (response, reference))
        if ours and theirs:
            shared = (ours & theirs).total()
            precisions.append(shared / ours.total())
            recalls.append(shared / theirs.total())
    if not sum(precisions):
        return 0.0
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 100 * 5 * precision * recall / (4 * precision + recall)


@given(st.text("ab c", max_size=20), st.text("ab c", max_size=20))
def test_chrf_is_what_its_definition_says(one, two):
    assert ChrF().score(one, two) == pytest.approx(definition(one, two), abs=1e-9)


def test_the_signature_is_sacrebleus_own():
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    metric.sentence_score("a", ["a"])
    assert ChrF().signature == f"chrF2|{metric.get_signature()}"


def test_the_nearer_answer_wins():
    ours = [response("1", "ours", "Ondo nago", reference="Ondo nago, eta zu?", language="eu")]
    theirs = [response("1", "theirs", "Bai", reference="Ondo nago, eta zu?")]
    [battle] = judged(ours, theirs)
    assert (battle["model_a"], battle["model_b"], battle["winner"]) == ("ours", "theirs", "model_a")
    assert battle["prompt_id"] == "1"
    assert battle["judge"] == "chrF"
    assert battle["language"] == "eu"
    assert battle["conversation_b"] == theirs[0]["messages"]
    scores = battle["metadata"]["scores"]
    assert scores["model_a"] > scores["model_b"]
    [turned] = judged(theirs, ours)
    assert (turned["model_a"], turned["winner"]) == ("theirs", "model_b")


def test_equal_and_near_scores_tie():
    reference = "Ondo nago, eta zu?"
    same = judged([response("1", "a", "Ondo", reference=reference)], [response("1", "b", "Ondo")])
    assert same[0]["winner"] == "tie"
    near = [response("1", "a", "Ondo nago", reference=reference)], [response("1", "b", "Ondo nag")]
    assert judged(*near)[0]["winner"] == "model_a"
    assert judged(*near, margin=50)[0]["winner"] == "tie"


def test_three_files_give_every_pair_in_order():
    files = [[response(name, model, model * 3, reference="bbb") for name in "12"] for model in "abc"]
    battles = judged(*files)
    assert [(b["prompt_id"], b["model_a"], b["model_b"], b["winner"]) for b in battles] == [
        (name, *rest) for name in "12" for rest in (("a", "b", "model_b"), ("a", "c", "tie"), ("b", "c", "model_a"))
    ]
    assert len({battle["id"] for battle in battles}) == 6


def test_given_references_come_before_the_records_own():
    files = [response("1", "a", "bat", reference="bat")], [response("1", "b", "bi")]
    assert judged(*files)[0]["winner"] == "model_a"
    assert judged(*files, references={"1": "bi"})[0]["winner"] == "model_b"


def test_what_cannot_be_judged_is_rejected_with_its_reason():
    first = [response(name, "a", "bat") for name in "1234"]
    first[3]["reference"] = "bat"
    second = [
        response("2", "b", "bat"),
        response("3", "b", "bat", asked="Nor?", reference="bat"),
        response("4", "b", "bi"),
    ]
    *rejects, battle = judged(first, second)
    assert [(reject.record["id"], reject.reason) for reject in rejects] == [
        ("1", "no partner"),
        ("2", "no reference"),
        ("3", "different prompts"),
    ]
    assert all(isinstance(reject, Reject) for reject in rejects)
    assert battle["prompt_id"] == "4"


def test_a_partner_that_is_missing_leaves_the_other_battles():
    outcomes = judged([response("1", "a", "x", reference="x")], [], [response("1", "c", "y")])
    assert outcomes[0].reason == "no partner"
    assert "2.jsonl" in outcomes[0].detail
    assert (outcomes[1]["model_a"], outcomes[1]["model_b"]) == ("a", "c")


def test_ids_that_the_first_file_lacks_are_not_judged_and_can_be_counted():
    other = Contender.of("b.jsonl", [response("1", "b", "x"), response("9", "b", "x")])
    [[battle]] = Judge(ChrF()).battles([response("1", "a", "x", reference="x")], [other])
    assert battle["prompt_id"] == "1"
    assert len(other.responses) - len(other.met) == 1


@pytest.mark.parametrize("reference", ["", "  ", 3, None, ["x"]])
def test_a_reference_that_is_no_text_is_none(reference):
    [reject] = judged([response("1", "a", "x", reference=reference)], [response("1", "b", "x")])
    assert reject.reason == "no reference"


def test_two_files_of_one_model_are_refused():
    with pytest.raises(UsageError, match="responses of `a`"):
        judged([response("1", "a", "x", reference="x")], [response("1", "a", "y")])


def test_an_id_that_comes_twice_is_refused():
    with pytest.raises(LatxaError, match="two responses have the id `1`"):
        Contender.of("b.jsonl", [response("1", "b", "x"), response("1", "b", "y")])


def test_an_unknown_rubric_names_the_nearest():
    with pytest.raises(UsageError, match="no rubric `refrence`") as error:
        rubric_named("refrence")
    assert "`reference`" in error.value.hint


def test_a_margin_must_be_a_number_from_zero():
    for margin in (-1.0, float("nan")):
        with pytest.raises(UsageError):
            Judge(ChrF(), margin)
