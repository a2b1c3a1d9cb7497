"""A judge beside people: what is counted of its votes and theirs, against figures by hand."""

import numpy as np
import pytest

from latxa_cli.judging.against import Examination, HumanVotes
from latxa_cli.judging.merits import corrected
from latxa_cli.judging.rubric import load_rubric
from latxa_cli.stream.records import Reject


def vote(prompt, winner, a="gull", b="lamp"):
    return {"prompt_id": prompt, "model_a": a, "model_b": b, "winner": winner}


def judged(prompt, winner, gap=1.0, a="gull", b="lamp", lengths=(1, 1), orders=None):
    orders = orders or (winner, winner)
    return vote(prompt, winner, a, b) | {
        "judge": "j",
        "conversation_a": [{"content": "x" * lengths[0]}],
        "conversation_b": [{"content": "x" * lengths[1]}],
        "metadata": {
            "scores": {"model_a": {"overall": gap}, "model_b": {"overall": 0.0}},
            "orders": [
                {"first": first, "winner": won} for first, won in zip(("model_a", "model_b"), orders, strict=True)
            ],
        },
    }


def found(people, outcomes):
    examination = Examination(HumanVotes.of(people), load_rubric("pairwise"))
    for outcome in outcomes:
        examination.note(outcome)
    findings = list(examination.findings(0))
    return {finding["finding"]: finding for finding in findings}, findings


def test_accuracy_and_kappa_are_those_of_the_table():
    people = ["model_a"] * 4 + ["model_b"] * 2 + ["model_a"] * 2 + ["model_b", "model_a"]
    says = ["model_a"] * 4 + ["model_b"] * 2 + ["tie"] * 2 + ["model_a", "model_b"]
    one, _ = found(
        [vote(str(n), winner) for n, winner in enumerate(people)],
        [judged(str(n), winner) for n, winner in enumerate(says)],
    )
    assert one["judge accuracy"]["value"] == 0.6 and one["judge accuracy"]["n"] == 10
    assert one["judge accuracy without ties"]["value"] == 0.75
    chance = 0.5 * 0.7 + 0.3 * 0.3
    assert one["judge kappa"]["value"] == pytest.approx((0.6 - chance) / (1 - chance), abs=1e-4)
    assert one["judge accuracy"]["lower"] < 0.6 < one["judge accuracy"]["upper"]


def test_sides_do_not_matter():
    people = [vote("1", "model_a"), vote("2", "model_a", "lamp", "gull"), vote("3", "tie (bothbad)")]
    turned = [judged("1", "model_b", -1, "lamp", "gull"), judged("2", "model_b"), judged("3", "tie", 0)]
    one, _ = found(people, turned)
    assert one["judge accuracy"]["value"] == 1.0


def test_a_pair_without_a_verdict_lowers_the_coverage_and_nothing_else():
    people = [vote(str(n), "model_a") for n in range(4)]
    failed = Reject({key: value for key, value in judged("3", "tie").items() if key != "winner"}, "judge: empty")
    unvoted = Reject(failed.record | {"prompt_id": "9"}, "judge: empty")
    one, _ = found(people, [*(judged(str(n), "model_a") for n in range(3)), failed, unvoted])
    assert one["judge coverage"]["value"] == 0.75 and one["judge accuracy"]["value"] == 1.0


def test_a_planted_position_and_length_bias_are_found():
    people = [vote(str(n), "model_a" if n % 2 else "model_b") for n in range(40)]
    first = [judged(str(n), "tie", 0, orders=("model_a", "model_b")) for n in range(40)]
    assert found(people, first)[0]["judge position bias"]["value"] == 1.0
    one, _ = found(people, [judged(str(n), "model_a", lengths=(9, 1)) for n in range(40)])
    assert one["judge position bias"]["value"] == 0.0
    assert one["judge length bias"]["value"] == 0.5 and one["judge length bias"]["n"] == 40


def test_votes_that_name_no_prompt_or_winner_are_counted():
    votes = HumanVotes.of([vote("1", "tie"), {"model_a": "a", "model_b": "b", "winner": "tie"}, vote("1", None)])
    assert (votes.by_pair, votes.unused) == ({("1", "gull", "lamp"): [0, 1, 0]}, 2)


def test_people_who_voted_on_nothing_that_was_judged_give_no_figure_but_that_of_positions():
    _, findings = found([vote("7", "tie")], [judged("1", "tie", 0)])
    assert [finding["finding"] for finding in findings] == ["judge position bias"]


def test_a_corrected_mean_is_the_judges_less_its_mean_error():
    value, wrong, freedom = corrected(np.array([1.0, 1, 0, 1]), np.array([0.5, 0.0]), np.arange(4), np.arange(2))
    assert (value, freedom) == (0.5, 1) and wrong > 0
    judge, people, everyone = np.array([1.0, 1, 0, 1]), np.array([1.0, 0, 0, 1]), np.arange(4)
    exact = corrected(judge, judge - people, everyone, everyone)
    assert exact[0] == 0.5, "with votes on all pairs it is what people say"
    assert exact[1] == pytest.approx(people.std(ddof=1) / 2)


def test_ranks_of_three_models_and_the_learning_curve():
    pairs = [("a", "b"), ("a", "c"), ("b", "c")]
    people = [vote(str(n), "model_a", *pairs[n % 3]) for n in range(60)]
    one, findings = found(people, [judged(str(n), "model_a", 1, *pairs[n % 3]) for n in range(60)])
    assert one["judge rank correlation"]["value"] == 1.0
    curve = [finding for finding in findings if finding["finding"] == "learning curve"]
    assert [finding["votes"] for finding in curve] == [25, 50]
    assert all(finding["value"] > 0.9 and finding["error"] < 0.1 for finding in curve)
    wins = [finding for finding in findings if finding["finding"] == "corrected win rate"]
    assert {(one["model"], one["against"], one["value"]) for one in wins} == {(*pair, 1.0) for pair in pairs}
