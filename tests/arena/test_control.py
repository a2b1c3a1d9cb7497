"""Style, length and position: what is counted, the fit against another's optimiser, and a truth that it must find."""

import time

import numpy as np
import pytest

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.clusters import Dependence
from latxa_cli.arena.control import LENGTH, POSITION, STYLE, fit_controlled, style_measure, style_of
from latxa_cli.arena.fits.bradley_terry import Wins, covariance, fit, vote_spread
from latxa_cli.arena.fits.comparisons import Comparisons
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, NONE, TIE, Column, Votes, count
from latxa_cli.stream.errors import LatxaError


def reply(*texts):
    return [{"role": "user", "content": "# **?**\n- ?"}, *({"role": "assistant", "content": text} for text in texts)]


MARKDOWN = """\
## Berriak

Some **bold** words, __more__ and **bold
not closed**, snake__case__name.
 - one
10. two
   * three
#hashtag, 3.14, -5
```python
# no header
- no **item**
```
### End
"""


def test_style_counts_what_markdown_shows():
    assert style_of(reply(MARKDOWN)) == (len(MARKDOWN), 2, 3, 2)
    assert style_of(reply("# a", "kaixo")) == (8, 1, 0, 0)
    assert style_of(reply("")) == (0, 0, 0, 0)


def test_what_is_measured_stands_under_its_name_and_on_its_side():
    def says(text):
        return [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]

    one = {
        "model_a": "m1",
        "model_b": "m2",
        "winner": "model_a",
        "conversation_a": says("# a\n- b\n- c"),
        "conversation_b": says("**hitz** **bi**"),
    }
    assert style_measure(STYLE)(one) == [[11, 15], [1, 0], [2, 0], [0, 2]]
    assert style_measure(("bold", "characters"))(one) == [[0, 2], [11, 15]]
    tally = Tally(features=("bold", "characters"), measure=style_measure(("bold", "characters")))
    assert list(tally.count([one, one | {"model_a": "m0", "conversation_a": says("")}])) == []
    votes, _ = tally.votes()
    assert {name: values.tolist() for name, values in votes.features.items()} == {
        "bold": [[0, 2], [0, 2]], "characters": [[11, 15], [0, 15]]
    }  # fmt: skip
    assert style_measure(LENGTH)(one) == [[11, 15]]


@pytest.mark.parametrize("messages", [[], None, "text", [3], reply(), reply(None), reply([{"text": "x"}])])
def test_style_of_no_text_is_not_known(messages):
    assert np.isnan(style_of(messages)).all() and len(style_of(messages)) == len(STYLE)


@pytest.mark.parametrize(
    "piece", ["**a", "__a", "\n" * 3, "\n   ", " \t", "#", "\n######", "```\n", "~~~", "*", "\n1", "_"]
)
def test_no_text_takes_long(piece):
    def seconds(size):
        start = time.process_time()
        style_of(reply(piece * size))
        return time.process_time() - start

    assert seconds(200_000) < 1  # quadratic time would be minutes


def simulated(seed=0, votes=4000, effect=0.0, first=0.0, ties=0.2, models=6):
    """Return votes where longer answers win by `effect` a unit of z, and the first shown by `first`; and the truth."""
    random = np.random.default_rng(seed)
    theta = np.linspace(-1, 1, models)
    a = random.integers(0, models, votes)
    b = (a + random.integers(1, models, votes)) % models
    # The strongest are the tersest, so that length hides their strength.
    length = np.exp(random.normal(6 - theta[np.stack([a, b], 1)], 0.7)).round()
    bold = random.poisson(3, (votes, 2)).astype(float)
    z = (length[:, 0] - length[:, 1]) / (length.sum(axis=1) + 1)
    won = random.random(votes) < 1 / (1 + np.exp(-(theta[a] - theta[b] + effect * z + first)))
    verdict = np.where(random.random(votes) < ties, TIE, np.where(won, A_WON, B_WON))
    names = [f"m{number}" for number in range(models)]
    users = Column(random.integers(0, 40, votes), [str(user) for user in range(40)])
    features = {"characters": length, "bold": bold}
    return Votes(names, a, b, {"winner": verdict}, {"user": users}, features), theta


def by_scikit_learn(votes, names, position):
    """Return (p + F,) coefficients of an unpenalised logistic regression; a tie is a row each way, weighing half."""
    from sklearn.linear_model import LogisticRegression

    z = [(f[:, 0] - f[:, 1]) / (f.sum(axis=1) + 1) for f in (votes.features[name] for name in names)]
    z = [row / np.sqrt(np.mean(row**2)) for row in z] + [np.ones(len(votes))] * position
    size = len(votes.models)
    design = np.column_stack([np.eye(size)[votes.a] - np.eye(size)[votes.b], *z])[:, 1:]  # the first model is 0
    verdict = votes.verdicts["winner"]
    weight = np.concatenate([np.where(verdict == A_WON, 1, np.where(verdict == B_WON, 0, 0.5))] * 2)
    weight[len(votes) :] = 1 - weight[len(votes) :]
    outcome = np.repeat([1, 0], len(votes))
    model = LogisticRegression(C=np.inf, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=200)
    model.fit(np.vstack([design, design]), outcome, sample_weight=weight)
    found = np.concatenate([[0], model.coef_[0]])
    found[:size] -= found[:size].mean()
    return found


@pytest.mark.parametrize("names, position", [(("characters",), False), (("characters", "bold"), True), ((), True)])
def test_the_fit_is_that_of_scikit_learn(names, position):
    votes, _ = simulated(effect=1.5, first=0.3)
    found = fit_controlled(votes, "winner", names, position=position)
    expected = by_scikit_learn(votes, names, position)
    assert np.concatenate([found.theta, found.gamma]) == pytest.approx(expected, abs=1e-6)
    assert found.names == names + (POSITION,) * position


def test_without_covariates_it_is_the_fit_by_counts():
    votes, _ = simulated()
    counts, _ = count(votes)
    theta = fit(counts, Wins.of(counts.cells[None], prior=2))[0]
    found = fit_controlled(votes, "winner", (), prior=2)
    assert found.theta == pytest.approx(theta, abs=1e-9)
    plain = fit_controlled(votes, "winner", ())
    theta = fit(counts, Wins.of(counts.cells[None]))[0]
    assert plain.covariance == pytest.approx(covariance(counts, theta, vote_spread(counts, theta)), abs=1e-9)


def test_control_finds_the_strengths_that_length_hides():
    votes, truth = simulated(seed=1, votes=60_000, effect=2.0, first=0.2, ties=0)
    found = fit_controlled(votes, "winner", LENGTH, position=True)
    assert found.theta == pytest.approx(truth, abs=0.08)
    assert found.gamma / found.unit == pytest.approx([2.0, 0.2], abs=0.1)
    plain = fit_controlled(votes, "winner", ())
    assert np.abs(plain.theta - truth).max() > 0.4
    length, position = found.findings("winner")
    assert length["matters"] and length["lower"] < length["value"] < length["upper"]
    assert position["finding"] == "effect of position" and "shown first" in position["text"]
    assert position["value"] == pytest.approx(np.exp(0.2), abs=0.05)


def test_an_effect_matters_whichever_way_it_goes():
    found = [fit_controlled(simulated(first=first)[0], "winner", (), position=True) for first in (-0.5, 0.5)]
    for one, sign in zip(found, (-1, 1), strict=True):
        [finding] = one.findings("winner")
        assert finding["matters"] and (np.log([finding[name] for name in ("lower", "value", "upper")]) * sign > 0).all()
        assert one.theta.mean() == pytest.approx(0, abs=1e-12)
    shifted = comparisons((0, 1, 1.0, 5, 0.0), (0, 1, 0.0, 3, 0.0), models=4).fit()
    assert shifted.at[:2].sum() == pytest.approx(0, abs=1e-12)


def test_strengths_have_the_mean_zero_over_all_models_also_those_without_votes():
    votes, _ = simulated(votes=900)
    few = votes.where((votes.a != 5) & (votes.b != 5))
    assert fit_controlled(few, "winner", LENGTH).theta.sum() == pytest.approx(0, abs=1e-12)


def test_an_effect_that_is_not_there_seldom_matters():
    matters = [
        fit_controlled(simulated(seed, 1000)[0], "winner", STYLE[:1], position=True).findings("winner")[0]["matters"]
        for seed in range(100)
    ]
    assert sum(matters) <= 5  # of 100 at 1 %


def test_standard_errors_are_the_spread_of_estimates():
    runs = [fit_controlled(simulated(seed, 1500, effect=1)[0], "winner", LENGTH) for seed in range(200)]
    spread = np.std([run.gamma[0] for run in runs])
    assert np.mean([run.gamma_error[0] for run in runs]) == pytest.approx(spread, rel=0.2)
    # A tie counts as half a win, so votes vary less than coins do.
    theta = np.std([run.theta[0] for run in runs])
    assert np.mean([np.sqrt(run.covariance[0, 0]) for run in runs]) == pytest.approx(theta, rel=0.2)


def comparisons(*rows, models=3):
    """Of (a, b, score, weight, covariate)."""
    a, b, score, weight, z = map(np.array, zip(*rows, strict=True))
    return Comparisons(models, a, b, score.astype(float), weight.astype(float), z[None].astype(float))


ROWS = [(0, 1, 1.0, 3, 0.5), (0, 1, 0.0, 2, -1.0), (0, 2, 1.0, 4, 1.5), (1, 2, 0.5, 3, 0.3), (1, 2, 0.0, 2, -0.2),
        (2, 0, 1.0, 2, 0.1)]  # fmt: skip


def test_a_weight_is_so_many_votes():
    whole = comparisons(*ROWS)
    apart = comparisons(*((*row[:3], 1, row[4]) for row in ROWS for _ in range(row[3])))
    fitted, same = whole.fit(0.5), apart.fit(0.5)
    assert fitted.at == pytest.approx(same.at) and fitted.hessian == pytest.approx(same.hessian)
    assert whole.spread(fitted.at) == pytest.approx(apart.spread(fitted.at))
    kept = np.array([True, True, False, True, True, True])
    fewer = whole.where(kept)
    assert fewer.fit(0.5).at == pytest.approx(comparisons(*(ROWS[n] for n in (0, 1, 3, 4, 5))).fit(0.5).at)


def test_a_long_way_from_the_start_is_gone_in_steps_that_climb():
    """Each of seven models beats the next 999 times of 1,000: the last stands 41 below the first."""
    rows = [(n, n + 1, score, weight, 0.0) for n in range(6) for score, weight in ((1.0, 999), (0.0, 1))]
    assert -np.diff(comparisons(*rows, models=7).fit().at[:7]) == pytest.approx([np.log(999)] * 6, abs=1e-6)


def each(codes):
    return Dependence.of(Column(codes, [str(n) for n in range(codes.max(initial=-1) + 1)]))


def test_clusters_of_one_are_votes_and_copies_of_a_vote_are_one():
    votes, _ = simulated(votes=600)
    by_vote = fit_controlled(votes, "winner", LENGTH)
    alone = fit_controlled(votes, "winner", LENGTH, dependence=each(np.arange(600)))
    unnamed = fit_controlled(votes, "winner", LENGTH, dependence=each(np.full(600, NONE)))
    assert alone.covariance == pytest.approx(by_vote.covariance * 600 / 599)  # the jackknife's
    assert unnamed.covariance == pytest.approx(alone.covariance)
    four = Votes(
        votes.models,
        np.tile(votes.a, 4),
        np.tile(votes.b, 4),
        {"winner": np.tile(votes.verdicts["winner"], 4)},
        features={"characters": np.tile(votes.features["characters"], (4, 1))},
    )
    copied = fit_controlled(four, "winner", LENGTH, dependence=each(np.tile(np.arange(600), 4)))
    assert copied.covariance == pytest.approx(alone.covariance)
    assert copied.gamma_error == pytest.approx(alone.gamma_error)


def test_blocks_of_clusters_change_nothing(monkeypatch):
    votes, _ = simulated(votes=600)
    whole = fit_controlled(votes, "winner", LENGTH, dependence=Dependence.of(votes.columns["user"]))
    monkeypatch.setattr("latxa_cli.arena.fits.comparisons.BLOCK", 7 * 9)
    assert fit_controlled(
        votes, "winner", LENGTH, dependence=Dependence.of(votes.columns["user"])
    ).covariance == pytest.approx(whole.covariance)


def test_the_places_of_the_responses_change_nothing():
    votes, _ = simulated(effect=1)
    turned = np.array([B_WON, A_WON, TIE, BOTH_BAD])[votes.verdicts["winner"]]
    swapped = Votes(
        votes.models, votes.b, votes.a, {"winner": turned}, features={k: v[:, ::-1] for k, v in votes.features.items()}
    )
    one, other = fit_controlled(votes, "winner", STYLE[:1]), fit_controlled(swapped, "winner", STYLE[:1])
    assert other.theta == pytest.approx(one.theta, abs=1e-9) and other.gamma == pytest.approx(one.gamma, abs=1e-9)


def test_votes_of_unknown_style_are_left_out_and_counted():
    votes, _ = simulated(votes=600)
    votes.features["characters"][:50, 1] = np.nan
    votes.verdicts["winner"][40:60] = NONE
    found = fit_controlled(votes, "winner", LENGTH)
    assert (found.votes, found.left_out) == (540, 40)
    kept = fit_controlled(votes.where(np.arange(600) >= 60), "winner", LENGTH)
    assert found.theta == pytest.approx(kept.theta, abs=1e-9)


def test_features_that_never_differ_are_said_to_control_nothing():
    votes, _ = simulated(votes=600)
    votes.features["bold"][:] = 2
    found = fit_controlled(votes, "winner", ("characters", "bold"))
    assert found.gamma[1] == 0 and np.isnan(found.gamma_error[1])
    finding = found.findings("winner")[1]
    assert finding["value"] is None and not finding["matters"] and "nothing to control" in finding["text"]


def test_effects_that_strengths_explain_as_well_are_refused():
    votes, _ = simulated(votes=600)
    fixed = votes.where((votes.a == 0) & (votes.b == 1))  # always in the same place
    with pytest.raises(LatxaError, match="effect of position cannot be told"):
        fit_controlled(fixed, "winner", (), position=True)


def test_infinite_strengths_are_refused_unless_there_is_a_prior():
    votes, _ = simulated(votes=600)
    votes.verdicts["winner"][votes.a == 0] = A_WON
    votes.verdicts["winner"][votes.b == 0] = B_WON
    with pytest.raises(LatxaError, match="infinite"):
        fit_controlled(votes, "winner", LENGTH)
    assert fit_controlled(votes, "winner", LENGTH, prior=1).theta.argmax() == 0


@pytest.mark.parametrize("kept", [0, 1])
def test_few_votes_do_not_break_it(kept):
    votes, _ = simulated(votes=5)
    votes.verdicts["winner"][:] = TIE
    found = fit_controlled(votes.where(np.arange(5) < kept), "winner", (), dependence=each(np.zeros(kept, dtype=int)))
    assert found.theta.tolist() == [0.0] * 6 and found.votes == kept
