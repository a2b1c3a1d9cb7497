"""A judge beside people: what is counted of its votes and theirs, against figures by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import t

from latxa_cli.arena.fits.bradley_terry import SCALE
from latxa_cli.arena.pairing import ratings
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


def found(people, outcomes, rubric="pairwise"):
    examination = Examination(HumanVotes.of(people), load_rubric(rubric))
    for outcome in outcomes:
        examination.note(outcome)
    findings = list(examination.findings(0, ratings))
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


def test_votes_of_arenas_that_call_the_prompt_otherwise_count_too():
    people = [{"question_id": 7, "model_a": "gull", "model_b": "lamp", "winner": "model_b"}]
    one, _ = found(people, [judged("7", "model_b", -1)])
    assert one["judge accuracy"]["value"] == 1.0 and one["judge accuracy"]["n"] == 1


def talk(text):
    return [{"role": "user", "content": text}, {"role": "assistant", "content": "x"}]


@pytest.mark.parametrize(
    ("of_people", "of_judge", "votes"),
    [
        ({}, {}, 1),
        ({"language": "es"}, {"language": "eu"}, 0),
        ({"language": "es"}, {"language": "es-MX"}, 1),
        ({"language": "Basque"}, {"language": "eu"}, 1),  # a name is no code: it is not compared
        ({"language": "es"}, {}, 1),
        ({"conversation_a": talk("Zer?")}, {"conversation_a": talk("¿Qué?")}, 0),
        ({"conversation_a": talk("Zer?")}, {"conversation_a": talk("Zer?\n")}, 1),
        ({"conversation_a": "Zer?"}, {"conversation_a": talk("Zer?")}, 1),
    ],
)
def test_votes_on_something_else_under_the_same_id_do_not_count(of_people, of_judge, votes):
    examination = Examination(HumanVotes.of([vote("1", "model_a") | of_people]), load_rubric("pairwise"))
    examination.note(judged("1", "model_a") | of_judge)
    assert [sum(one.human) for one in examination.votes["j"]] == [votes] and len(examination.elsewhere) == 1 - votes


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
    assert (votes.by_pair, votes.unused) == ({("1", "gull", "lamp"): {("", None): [0, 1, 0]}}, 2)


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
    assert all(finding["value"] > 0.9 for finding in curve) and curve[0]["error"] > curve[1]["error"] > 5
    assert one["judge rank correlation"]["error"] == 0.0, "it says what people say"
    wins = [finding for finding in findings if finding["finding"] == "corrected win rate"]
    assert {(one["model"], one["against"], one["value"]) for one in wins} == {(*pair, 1.0) for pair in pairs}


def test_intervals_are_those_of_a_jackknife_by_prompt():
    """Of a share of prompts, each with one vote, it is the textbook's error of a mean, with Student's quantile."""
    people = [vote(str(n), "model_a") for n in range(20)]
    says = ["model_a"] * 13 + ["model_b"] * 7
    one, _ = found(people, [judged(str(n), winner) for n, winner in enumerate(says)])
    right = np.array([winner == "model_a" for winner in says], float)
    reach = t.ppf(0.95, 19) * right.std(ddof=1) / np.sqrt(20)
    assert one["judge accuracy"]["lower"] == pytest.approx(0.65 - reach, abs=1e-4)
    assert one["judge accuracy"]["upper"] == pytest.approx(0.65 + reach, abs=1e-4)
    more = [judged(f"other {n}", "model_a") for n in range(500)]
    again, _ = found(people, [*(judged(str(n), winner) for n, winner in enumerate(says)), *more])
    assert again["judge accuracy"] == one["judge accuracy"], "prompts without votes say nothing of it"


def test_votes_on_one_prompt_are_taken_together():
    people = [vote(str(n % 10), "model_a") for n in range(100)]
    says = ["model_a"] * 6 + ["model_b"] * 4
    one, _ = found(people, [judged(str(n), winner) for n, winner in enumerate(says)])
    alone, _ = found(people[:10], [judged(str(n), winner) for n, winner in enumerate(says)])
    width = [each["judge accuracy"]["upper"] - each["judge accuracy"]["lower"] for each in (one, alone)]
    assert width[0] == pytest.approx(width[1], abs=1e-3), "ten votes on each of ten prompts are as ten votes"


def test_intervals_cover_with_few_prompts_too():
    """Of 25 prompts, percentiles of a bootstrap would hold the truth in 85 %."""
    draw, inside = np.random.default_rng(8), 0
    for _ in range(300):
        winners = np.where(draw.random((25, 2)) < 0.6, "model_a", "model_b")
        people = [vote(str(n), winner) for n, both in enumerate(winners) for winner in both]
        one, _ = found(people, [judged(str(n), "model_a") for n in range(25)])
        inside += one["judge accuracy"]["lower"] <= 0.6 <= one["judge accuracy"]["upper"]
    assert 0.86 < inside / 300 < 0.95


def arena(votes, judged_pairs, noise, seed=0):
    """Votes of people on pairs of six models, and a judge that sees each model's strength with an error of its own."""
    draw, names = np.random.default_rng(seed), "abcdef"
    strengths = np.linspace(1.5, -1.5, 6)
    seen = strengths + np.array([1, -1, 0, 0, 1, -1]) * noise
    people, outcomes = [], []
    for n in range(judged_pairs):
        a, b = sorted(draw.choice(6, 2, replace=False))
        chance = 1 / (1 + np.exp(strengths[b] - strengths[a]))
        if n < votes:
            people.append(vote(str(n), "model_a" if draw.random() < chance else "model_b", names[a], names[b]))
        wins = draw.random() < 1 / (1 + np.exp(seen[b] - seen[a]))
        outcomes.append(judged(str(n), "model_a" if wins else "model_b", 1.0, names[a], names[b]))
    return found(people, outcomes)


def test_the_learning_curve_is_of_ratings_and_the_judges_stand_beside_it():
    one, findings = arena(800, 3000, 0.0)
    curve = [finding for finding in findings if finding["finding"] == "learning curve"]
    assert [finding["votes"] for finding in curve] == [25, 50, 100, 200, 400, 800]
    errors = [finding["error"] for finding in curve]
    assert errors == sorted(errors, reverse=True) and errors[0] > 80 and errors[-1] < 1e-3, "all votes are all votes"
    assert curve[-1]["value"] == 1.0 and curve[0]["value"] < 0.95
    assert all(finding["lower"] <= finding["value"] <= finding["upper"] for finding in curve)
    judge = one["judge rank correlation"]
    assert judge["error"] < errors[2], "a judge that sees what people see is worth more than 100 of their votes"
    biased, _ = arena(800, 3000, 0.8)
    assert biased["judge rank correlation"]["error"] > 2 * judge["error"], "and one that does not is worth less"


def test_ratings_for_a_curve_are_those_most_probable_under_the_prior():
    pairs = np.array([(0, 1), (0, 2), (1, 2)])
    won, played = np.array([[7.0, 9.5, 4.0], [0.0, 0.0, 0.0]]), np.array([[10.0, 10.0, 10.0], [0.0, 2.0, 0.0]])

    def loss(at, row):
        gap = at[pairs[:, 0]] - at[pairs[:, 1]]
        lost = played[row] - won[row]
        return won[row] @ np.logaddexp(0, -gap) + lost @ np.logaddexp(0, gap) + at @ at / 2

    rated = ratings(3, pairs, won, played)
    for row in (0, 1):
        best = minimize(loss, np.zeros(3), args=(row,), tol=1e-12).x
        assert rated[row] == pytest.approx(SCALE * (best - best.mean()), abs=0.01)


def test_a_measure_is_examined_as_a_judge_is():
    battles = [
        {**vote(str(n), "model_a"), "judge": "chrF", "conversation_a": [{"content": "x"}],
         "conversation_b": [{"content": "xy"}], "metadata": {"scores": {"model_a": 60.0, "model_b": 40.0 - n}}}
        for n in range(9)
    ]  # fmt: skip
    one, findings = found([vote(str(n), "model_a" if n else "tie") for n in range(9)], battles, "reference")
    assert one["judge accuracy"]["value"] == pytest.approx(8 / 9, abs=1e-4) and "preference scale" in one
    assert "judge position bias" not in one, "it was asked in no order"
    assert all(finding["judge"] == "chrF" for finding in findings)
