"""`arena-score --preference`: outcomes that are shares of a win, beside the likelihood and the sandwich by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from tiny import Latxa, write_jsonl

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.fits.bradley_terry import SCALE
from latxa_cli.arena.rankings.intervals import RatingMethod
from latxa_cli.arena.score import ScoreRequest, score
from latxa_cli.arena.votes import PairCounts

MODELS = "abcd"
STRENGTHS = np.array([0.9, 0.2, -0.3, -0.8])


def battles(count: int, seed: int, *, spread: float = 3.0, users: int = 0) -> list[dict[str, Any]]:
    """Battles whose preferences have the chance of a win as their mean (Beta distributed), and vary less than wins."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        a, b = draw.choice(len(MODELS), 2, replace=False)
        chance = 1 / (1 + np.exp(STRENGTHS[b] - STRENGTHS[a]))
        share = float(draw.beta(spread * chance, spread * (1 - chance)))
        found.append({
            "model_a": MODELS[a], "model_b": MODELS[b], "preference": share,
            "winner": "model_a" if share > 0.6 else "model_b" if share < 0.4 else "tie",
            **({"user": f"u{number % users}"} if users else {}),
        })  # fmt: skip
    return found


def scored(found: list[dict[str, Any]], *, preference: bool = True, **more: Any) -> Any:
    request = ScoreRequest(preference=preference, **{"interval": "sandwich", "unit": "vote", **more})
    tally = request.tally([], collapse=False)
    assert not list(tally.count(found))
    return score(tally.votes()[0], request)


def design(found: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    rows = np.zeros((len(found), len(MODELS)))
    for row, battle in zip(rows, found, strict=True):
        row[MODELS.index(battle["model_a"])], row[MODELS.index(battle["model_b"])] = 1, -1
    return rows, np.array([battle["preference"] for battle in found])


def test_ratings_are_those_of_the_likelihood_of_shares_and_errors_those_of_its_sandwich() -> None:
    found = battles(300, 1)
    x, y = design(found)
    best = minimize(lambda at: np.logaddexp(0, -x @ at) @ y + np.logaddexp(0, x @ at) @ (1 - y), np.zeros(4), tol=1e-12)
    theta = best.x - best.x.mean()
    [ranking] = scored(found).rankings
    assert ranking.theta == pytest.approx(theta, abs=1e-5)
    p = 1 / (1 + np.exp(-x @ theta))
    inverse = np.linalg.pinv((x * (p * (1 - p))[:, None]).T @ x)
    sandwich = inverse @ (x * ((y - p) ** 2)[:, None]).T @ x @ inverse
    assert ranking.covariance == pytest.approx(sandwich, rel=0.03, abs=1e-5), "each vote left out adds a little"
    assert ranking.covariance_by(None) == pytest.approx(ranking.covariance), "by vote, whatever is compared with it"
    whole = inverse @ (x * (y * (1 - p) ** 2 + (1 - y) * p**2)[:, None]).T @ x @ inverse
    assert np.trace(whole) > 3 * np.trace(ranking.covariance), "a table of wins knows nothing of how little shares vary"


def test_shares_of_nothing_and_all_and_a_half_are_verdicts() -> None:
    hard = battles(200, 2)
    for battle in hard:
        battle["preference"] = {"model_a": 1.0, "tie": 0.5, "model_b": 0.0}[battle["winner"]]
    one, other = (scored(hard, preference=preference) for preference in (True, False))
    for mine, theirs in zip(one.records(), other.records(), strict=True):
        if "rating" in mine:
            assert mine["rating"] == pytest.approx(theirs["rating"], abs=1e-4)
            assert mine["wins"] == theirs["wins"] and mine["ties"] == theirs["ties"] and mine["battles"] > 0
            assert mine["upper"] - mine["lower"] == pytest.approx(theirs["upper"] - theirs["lower"], rel=0.02)


def test_battles_without_a_preference_count_by_their_verdict() -> None:
    mixed = battles(240, 3)
    for battle in mixed[::2]:
        del battle["preference"]
    [ranking] = scored(mixed).rankings
    for battle in mixed[::2]:
        battle["preference"] = {"model_a": 1.0, "tie": 0.5, "model_b": 0.0}[battle["winner"]]
    [explicit] = scored(mixed).rankings
    assert ranking.theta == pytest.approx(explicit.theta, abs=1e-7)
    assert ranking.covariance == pytest.approx(explicit.covariance, rel=1e-4, abs=1e-7)
    assert ranking.counts.battles.sum() == 480
    rounding = PairCounts(
        ["a", "b"], np.array([0]), np.array([1]), np.array([[0.7 + 0.1, 0.3 + 0.9, 1.0, 0.0]]) - 1e-15
    )
    assert rounding.battles.tolist() == [3, 3], "a sum of shares that rounding makes a little less is a number too"


def test_sides_and_orders_change_nothing() -> None:
    found = battles(100, 4, users=9)
    other = {"model_a": "model_b", "model_b": "model_a"}
    turned = [
        {**battle, "model_a": battle["model_b"], "model_b": battle["model_a"], "preference": 1 - battle["preference"],
         "winner": other.get(battle["winner"], "tie")}
        for battle in found[::-1]
    ]  # fmt: skip
    one, two = (scored(some, unit="user").rankings[0] for some in (found, turned))
    assert one.theta == pytest.approx(two.theta, abs=1e-9) and one.covariance == pytest.approx(two.covariance, abs=1e-9)


@pytest.mark.parametrize("way", [{"interval": "bootstrap"}, {"interval": "sandwich"}, {"control": ("position",)}])
def test_intervals_hold_the_truth_nine_times_of_ten(way: dict[str, Any]) -> None:
    inside, widths, runs = 0, [], 60
    for seed in range(runs):
        scores = scored(battles(250, 100 + seed), **way, method=RatingMethod(rounds=200))
        for record in scores.records():
            if "rating" in record:
                truth = 1000 + SCALE * (STRENGTHS[MODELS.index(record["model"])] - STRENGTHS.mean())
                inside += record["lower"] <= truth <= record["upper"]
                widths.append(record["upper"] - record["lower"])
    assert 0.85 < inside / runs / len(MODELS) < 0.95
    hard = scored(battles(250, 100), preference=False, method=RatingMethod(rounds=200))
    assert np.mean(widths) < 0.8 * np.mean([one["upper"] - one["lower"] for one in hard.records() if "rating" in one])


def test_users_who_agree_with_themselves_widen_intervals_of_shares_too() -> None:
    draw = np.random.default_rng(7)
    found = []
    for user in range(30):
        shift = draw.normal(0, 1.5)
        for _ in range(10):
            share = 1 / (1 + np.exp(-shift - draw.normal(0, 0.3)))
            found.append({"model_a": "a", "model_b": "b", "winner": "tie", "preference": share, "user": f"u{user}"})
    by_vote, by_user = (scored(found, unit=unit).rankings[0].covariance[0, 0] for unit in ("vote", "user"))
    assert by_user > 5 * by_vote
    assert scored(found, unit=None).unit == "user"


def test_the_flag_takes_preferences_and_says_what_they_cannot(latxa: Latxa, tmp_path: Path) -> None:
    found = battles(80, 5)
    odd = [{**found[0], "preference": value} for value in (1.5, -0.1)]
    write_jsonl(tmp_path / "b.jsonl", found + odd)
    done = latxa("arena-score", "b.jsonl", "--preference", "--rejects", "no.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and b"2 rejected (2 odd preference)" in done.stderr
    soft = {record["model"]: record for record in map(json.loads, done.stdout.splitlines()) if "rating" in record}
    plain = latxa("arena-score", "b.jsonl", cwd=tmp_path)
    hard = {record["model"]: record for record in map(json.loads, plain.stdout.splitlines()) if "rating" in record}
    assert sum(one["battles"] for one in soft.values()) == 160 < sum(one["battles"] for one in hard.values())
    assert all(abs(soft[model]["rating"] - hard[model]["rating"]) > 0.5 for model in soft), "not by default"
    for words, said in [
        (("--ties", "davidson"), "`--preference` and `--ties davidson` do not go together"),
        (("--collapse",), "`--preference` and `--collapse` do not go together"),
        (("--paper",), "`--paper` and `--preference` do not go together"),
        (("--criterion", "winner_content"), "`--preference` is about `winner`"),
    ]:
        done = latxa("arena-score", "b.jsonl", "--preference", *words, cwd=tmp_path)
        assert done.returncode == 2 and said in done.stderr.decode()


# --- votes under suspicion


def doubted(reasons: Any) -> dict[str, Any]:
    return {"model_a": "a", "model_b": "b", "winner": "model_a", "metadata": {"suspicion": reasons}}


def test_suspicion_is_counted_by_reason_and_can_be_left_out(latxa: Latxa, tmp_path: Path) -> None:
    votes = [doubted(["fast"])] * 3 + [doubted(["fast", "unseen"])] * 2 + [doubted(["unseen"])] + [doubted([])] * 4
    votes += [{"model_a": "a", "model_b": "b", "winner": "model_b"}] * 5
    write_jsonl(tmp_path / "v.jsonl", votes)

    def run(*words: str) -> tuple[int, str, dict[str, Any]]:
        done = latxa("arena-score", "v.jsonl", *words, "-o", "r.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        first = json.loads((tmp_path / "r.jsonl").read_bytes().split(b"\n")[0])
        return first["battles"], done.stderr.decode(), json.loads((tmp_path / "r.jsonl.manifest.json").read_bytes())

    count, said, manifest = run()
    assert count == 15 and manifest["suspicion"] == {"fast": 5, "unseen": 3}
    assert "battles under suspicion, by reason: fast 5, unseen 3" in said
    count, said, manifest = run("--exclude", "suspicion=fast")
    assert count == 10 and manifest["counts"]["rejected"] == {"excluded by suspicion": 5}
    assert manifest["suspicion"] == {"fast": 5, "unseen": 3}, "those left out are counted too"
    assert run("--exclude", "suspicion=fast", "--exclude", "suspicion=unseen")[0] == 9
    assert "leaves out nothing: `suspicion` is `fast`, `unseen`" in run("--exclude", "suspicion=slow")[1]


def test_votes_that_nobody_doubts_are_read_fast_and_odd_suspicions_break_nothing() -> None:
    tally = Tally()
    odd = [doubted("fast"), doubted(""), doubted(None), doubted(7), doubted([1, None]), doubted({"x": 1})]
    assert not list(tally.count([*odd, {"model_a": "a", "model_b": "b", "winner": "tie", "metadata": None}]))
    assert tally.suspicion == {"fast": 1, "1": 1, "None": 1}
