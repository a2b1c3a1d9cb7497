"""Findings about votes: each finds what a simulation put there, says nothing where nothing is, and may be unknown."""

import itertools
import json
import warnings

import numpy as np
import pytest

from latxa_cli.arena.findings.annotators import agreement, concentration, krippendorff
from latxa_cli.arena.findings.leverage import _influence, leverage
from latxa_cli.arena.findings.outliers import decided_chance, outlying
from latxa_cli.arena.findings.soundness import both_bad, evidence_of, findings, position_bias, ties
from latxa_cli.arena.fits.bradley_terry import Wins, fit
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, NONE, TIE, Column, Votes, count

NAMES = [
    "position bias",
    "both bad",
    "ties",
    "annotator agreement",
    "outlying annotators",
    "votes by one user",
    "votes that decide the first rank",
]


def evidence(votes):
    return evidence_of(votes, "winner", *count(votes))


def named(codes, prefix="u"):
    codes = np.asarray(codes)
    return Column(codes, [f"{prefix}{code}" for code in range(max(1, int(codes.max(initial=0)) + 1))])


def votes_of(a, b, verdicts, users=None, prompts=None, models=None):
    columns = {}
    if users is not None:
        columns["user"] = named(users)
    if prompts is not None:
        columns["prompt_id"] = named(prompts, "p")
    a, b = np.asarray(a, dtype=np.int16), np.asarray(b, dtype=np.int16)
    size = models or int(max(a.max(initial=0), b.max(initial=0))) + 1
    verdicts = {"winner": np.asarray(verdicts, dtype=np.int8)}
    return Votes([f"m{model}" for model in range(size)], a, b, verdicts, columns)


def simulated(seed=0, votes=5000, users=50, first=0.0, tied=0.2, strengths=(1.2, 0.5, 0, -0.5, -1.2), fixed=0.0):
    """Return honest votes; `first`: log odds for the model shown first; `fixed`: share where the better one is it."""
    random = np.random.default_rng(seed)
    theta, models = np.array(strengths), len(strengths)
    a = random.integers(0, models, votes)
    b = (a + random.integers(1, models, votes)) % models
    turn = (random.random(votes) < fixed) & (theta[a] < theta[b])
    a, b = np.where(turn, b, a), np.where(turn, a, b)
    won = random.random(votes) < 1 / (1 + np.exp(theta[b] - theta[a] - first))
    verdict = np.where(random.random(votes) < tied, TIE, np.where(won, A_WON, B_WON))
    return votes_of(a, b, verdict, random.integers(0, users, votes))


# ---- position


def test_a_model_gains_by_being_shown_first():
    finding = position_bias(evidence(simulated(first=0.4, tied=0)))
    assert finding["matters"] and finding["lower"] < 1 / (1 + np.exp(-0.4)) < finding["upper"]
    assert "shown first, a model scores" in finding["text"]
    last = position_bias(evidence(simulated(first=-0.4, tied=0)))
    assert last["matters"] and last["value"] < 0.5 and last["first"] < 0.5


def test_without_a_bias_none_is_found():
    found = [position_bias(evidence(simulated(seed, 1500))) for seed in range(200)]
    assert sum(not finding["lower"] <= 0.5 <= finding["upper"] for finding in found) <= 8  # 2 expected
    assert not position_bias(evidence(simulated(first=0.02, votes=200_000)))["matters"]  # significant, but small


def test_the_better_model_may_stand_first_more_often():
    finding = position_bias(evidence(simulated(fixed=0.9)))
    assert finding["first"] > 0.6 and not finding["matters"]
    biased = position_bias(evidence(simulated(fixed=0.9, first=0.5, tied=0, votes=20_000)))
    assert biased["matters"] and biased["lower"] < 1 / (1 + np.exp(-0.5)) < biased["upper"]


def test_position_is_not_known_where_pairs_were_shown_one_way():
    votes = votes_of([0] * 300, [1] * 300, [A_WON] * 200 + [B_WON] * 100)
    finding = position_bias(evidence(votes))
    assert finding["value"] is None and not finding["matters"] and finding["first"] == pytest.approx(2 / 3)
    both_ways = votes_of([0, 1] * 150, [1, 0] * 150, ([A_WON, B_WON] * 100) + [B_WON, A_WON] * 50)
    assert position_bias(evidence(both_ways))["value"] == pytest.approx(0.5)


def test_a_click_without_a_look_is_one_users():
    votes = simulated(votes=3000, users=60)
    lazy = votes.columns["user"].codes == 7
    turned = np.where(votes.columns["user"].codes < 12, A_WON, votes.verdicts["winner"])
    one = votes_of(
        votes.a, votes.b, np.where(lazy, A_WON, votes.verdicts["winner"]), np.where(lazy, 0, 1 + np.arange(3000))
    )
    many = votes_of(votes.a, votes.b, turned, votes.columns["user"].codes)
    assert position_bias(evidence(many))["matters"]
    widened, plain = (
        position_bias(evidence(one)),
        position_bias(evidence(votes_of(one.a, one.b, one.verdicts["winner"]))),
    )
    assert widened["upper"] - widened["lower"] > 1.05 * (plain["upper"] - plain["lower"])


def test_the_first_shown_may_always_win():
    finding = position_bias(evidence(votes_of([0, 1] * 200, [1, 0] * 200, [A_WON] * 400)))
    assert finding["value"] > 0.98 and finding["matters"]


# ---- both bad, ties


def test_both_bad_and_the_models_with_more_of_it():
    votes = simulated()
    assert both_bad(evidence(votes))["value"] == 0 and not both_bad(evidence(votes))["matters"]
    random = np.random.default_rng(1)
    weak = (votes.a == 4) | (votes.b == 4)
    verdict = np.where(random.random(len(votes)) < np.where(weak, 0.3, 0.1), BOTH_BAD, votes.verdicts["winner"])
    finding = both_bad(evidence(votes_of(votes.a, votes.b, verdict)))
    assert finding["matters"] and [record["model"] for record in finding["models"]] == ["m4"]
    assert finding["models"][0]["value"] == pytest.approx(0.3, abs=0.03) and "m4 (" in finding["text"]
    even = np.where(random.random(len(votes)) < 0.1, BOTH_BAD, votes.verdicts["winner"])
    assert not both_bad(evidence(votes_of(votes.a, votes.b, even)))["matters"]
    many = np.where(random.random(len(votes)) < 0.3, BOTH_BAD, votes.verdicts["winner"])
    assert both_bad(evidence(votes_of(votes.a, votes.b, many)))["matters"]


def test_few_votes_do_not_make_a_model_stand_out():
    random = np.random.default_rng(4)
    found = 0
    for seed in range(100):
        votes = simulated(seed, 60)
        verdict = np.where(random.random(60) < 0.1, BOTH_BAD, votes.verdicts["winner"])
        found += bool(both_bad(evidence(votes_of(votes.a, votes.b, verdict)))["models"])
    assert found <= 6  # few are expected by chance, and half of the arenas have a model with 10 points more


def test_ties():
    assert ties(evidence(simulated(tied=0.3)))["value"] == pytest.approx(0.3, abs=0.02)
    assert not ties(evidence(simulated(tied=0.3)))["matters"] and ties(evidence(simulated(tied=0.6)))["matters"]


# ---- agreement


def test_alpha_is_that_of_krippendorffs_example():
    """Krippendorff, 2011, section C: 4 observers, 12 units, 5 values, 0 where there is none; nominal alpha 0.743."""
    rows = ["123321412000", "123322412503", "033323422510", "123324412510"]
    table = np.array([[sum(row[unit] == str(value) for row in rows) for value in range(1, 6)] for unit in range(12)])
    alpha, error = krippendorff(table[table.sum(axis=1) >= 2].astype(float))
    assert alpha == pytest.approx(0.743, abs=5e-4) and 0 < error < 0.3


def slow_alpha(units):
    """Return alpha from its definition: pairs of verdicts within units, against pairs of any verdicts."""
    units = [unit for unit in units if len(unit) > 1]
    total = sum(map(len, units))
    observed = sum(sum(x != y for x, y in itertools.permutations(unit, 2)) / (len(unit) - 1) for unit in units) / total
    everything = [value for unit in units for value in unit]
    expected = sum(x != y for x, y in itertools.permutations(everything, 2)) / (total * (total - 1))
    return 1 - observed / expected


def test_agreement_is_over_users_of_one_prompt_and_pair_whatever_the_order_shown():
    random = np.random.default_rng(3)
    n = 300
    a = random.integers(0, 3, n)
    b = (a + random.integers(1, 3, n)) % 3
    prompts, users, verdicts = random.integers(0, 20, n), np.arange(n), random.integers(0, 4, n)
    units = {}
    for one, other, prompt, verdict in zip(a, b, prompts, verdicts, strict=True):
        turned = one > other and verdict <= B_WON
        units.setdefault((prompt, min(one, other), max(one, other)), []).append(1 - verdict if turned else verdict)
    finding = agreement(evidence(votes_of(a, b, verdicts, users, prompts)))
    assert finding["value"] == pytest.approx(slow_alpha(units.values()))
    assert finding["units"] == sum(len(unit) > 1 for unit in units.values())
    # The same user again, with the same verdict: not another's judgement. With another verdict: nobody's.
    again = [np.append(column, column[:1]) for column in (a, b, verdicts, users, prompts)]
    assert agreement(evidence(votes_of(*again))) == finding
    again[2][-1] = (again[2][-1] + 1) % 4
    without = [column[1:] for column in (a, b, verdicts, users, prompts)]
    assert agreement(evidence(votes_of(*again))) == agreement(evidence(votes_of(*without))) != finding


def test_little_agreement_matters_and_is_said_only_where_it_is_sure():
    random = np.random.default_rng(5)

    def judged(noise, prompts=400):
        truth = np.repeat(random.integers(0, 2, prompts), 3)
        verdict = np.where(random.random(3 * prompts) < noise, random.integers(0, 2, 3 * prompts), truth)
        zeros = np.zeros(3 * prompts, dtype=int)
        return agreement(
            evidence(votes_of(zeros, zeros + 1, verdict, np.tile([0, 1, 2], prompts), np.repeat(np.arange(prompts), 3)))
        )

    assert judged(1.0)["matters"] and "agree little" in judged(1.0)["text"]
    assert not judged(0.2)["matters"] and judged(0.2)["value"] == pytest.approx(0.64, abs=0.1)
    assert not judged(1.0, prompts=4)["matters"]


def test_the_jackknife_is_the_spread_of_alpha():
    random = np.random.default_rng(6)
    alphas, errors = [], []
    for _ in range(200):
        sides = random.random((100, 1)) < 0.5
        table = random.multinomial(4, np.where(sides, [[0.7, 0.2, 0.1]], [[0.2, 0.7, 0.1]])).astype(float)
        alpha, error = krippendorff(table)
        alphas.append(alpha), errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(alphas), rel=0.15)


# ---- annotators


def with_votes(votes, chosen, verdict):
    return votes_of(votes.a, votes.b, np.where(chosen, verdict, votes.verdicts["winner"]), votes.columns["user"].codes)


def outliers(votes):
    finding = outlying(evidence(votes))
    assert finding["value"] == len(finding["users"]) and finding["matters"] == bool(finding["users"])
    return {record["user"]: record for record in finding["users"]}


def test_one_who_clicks_at_random_is_named_and_nobody_else():
    votes = simulated(votes=10_000)
    clicks = np.random.default_rng(9).integers(0, 2, len(votes))
    found = outliers(with_votes(votes, votes.columns["user"].codes == 7, clicks))
    assert list(found) == ["u7"]
    record = found["u7"]
    assert record["z"] < -4 and record["agrees"] < 0.6 < record["expected"] and record["votes"] > 100
    assert record["ties"] == 0 and record["first"] == pytest.approx(0.5, abs=0.15)


def test_one_who_always_takes_the_first_is_named_with_that_share():
    votes = simulated(votes=10_000)
    found = outliers(with_votes(votes, votes.columns["user"].codes == 7, A_WON))
    assert list(found) == ["u7"] and found["u7"]["first"] == 1


def test_a_bot_for_one_model_is_named_though_the_model_is_good():
    votes = simulated(votes=10_000)
    bot = votes.columns["user"].codes == 3
    verdict = np.where(votes.a == 1, A_WON, np.where(votes.b == 1, B_WON, votes.verdicts["winner"]))
    found = outliers(with_votes(votes, bot, verdict))
    assert list(found) == ["u3"] and found["u3"]["favours"] == "m1"
    assert found["u3"]["wins"] == found["u3"]["battles"] > found["u3"]["expected"] + 10


def test_honest_users_are_seldom_named():
    named_in = sum(bool(outliers(simulated(seed, 4000, users=200))) for seed in range(60))
    assert named_in <= 2  # of 60, at 1 % or less for each of two tests
    # Some have but ten votes, and the strengths are so far apart that one surprise is many standard deviations.
    far = [simulated(seed, 3000, users=200, strengths=(4, 2, 0, -2, -4), tied=0) for seed in range(60)]
    assert sum(bool(outliers(votes)) for votes in far) <= 2


def test_one_who_differs_little_is_not_outlying_however_many_votes_show_it():
    votes = simulated(votes=150_000, users=10, tied=0)
    user, random = votes.columns["user"].codes, np.random.default_rng(8)
    careless = (user == 2) & (random.random(len(votes)) < 0.2)
    clicked = with_votes(votes, careless, random.integers(0, 2, len(votes)))
    fan = (user == 3) & (random.random(len(votes)) < 0.1)
    fanned = with_votes(votes, fan & (votes.a == 2), A_WON)
    assert outliers(clicked) == {} and outliers(fanned) == {}


def test_blocks_of_users_change_nothing(monkeypatch):
    votes = simulated(votes=4000)
    votes = with_votes(votes, votes.columns["user"].codes >= 48, np.random.default_rng(9).integers(0, 2, len(votes)))
    whole = outlying(evidence(votes))
    monkeypatch.setattr("latxa_cli.arena.findings.outliers.BLOCK", 150)
    assert outlying(evidence(votes)) == whole
    assert whole["judged"] == 50


def test_decided_votes_are_as_decided_as_they_are():
    votes = simulated(votes=40_000, tied=0.5)
    counts, _ = count(votes)
    theta = fit(counts, Wins.of(counts.cells[None]))[0]
    strengths = np.array((1.2, 0.5, 0, -0.5, -1.2))
    truth = 1 / (1 + np.exp(strengths[counts.second] - strengths[counts.first]))
    assert decided_chance(counts, theta, counts.cells) == pytest.approx(truth, abs=0.03)
    assert 1 / (1 + np.exp(theta[counts.second] - theta[counts.first])) != pytest.approx(truth, abs=0.06)


def test_many_votes_by_one_user():
    votes = simulated(votes=2000)
    assert not concentration(evidence(votes))["matters"]
    users = np.where(np.arange(2000) < 300, 3, votes.columns["user"].codes)
    finding = concentration(evidence(votes_of(votes.a, votes.b, votes.verdicts["winner"], users)))
    assert finding["matters"] and finding["user"] == "u3" and finding["users"] == 50
    assert finding["value"] == pytest.approx((users == 3).mean())


# ---- leverage


def by_cells(cells, users=None):
    """Return votes of (P, 4) cells of three models' pairs (0, 1), (0, 2), (1, 2), or of the first."""
    pairs = [(0, 1), (0, 2), (1, 2)]
    rows = [
        (*pair, verdict)
        for pair, row in zip(pairs, cells, strict=False)
        for verdict, number in enumerate(row)
        for _ in range(number)
    ]
    return votes_of(*zip(*rows, strict=True), users)


def test_of_two_models_the_lead_is_what_must_go():
    finding = leverage(evidence(by_cells([[60, 41, 5, 0]])))
    assert (finding["value"], finding["rival"]) == (19, "m1") and not finding["matters"]
    assert finding["share"] == pytest.approx(19 / 106)
    assert leverage(evidence(by_cells([[60, 55, 5, 0]])))["matters"]


@pytest.mark.parametrize("seed", range(6))
def test_no_smaller_set_of_votes_does_it(seed):
    random = np.random.default_rng(seed)
    cells = random.integers(2, 6, (3, 4))
    cells[:2, 0] += 3
    cells[:, 3] = 0
    counts, _ = count(by_cells(cells))

    def leads(left):
        theta = fit(counts, Wins.of(np.array(left).reshape(1, 3, 4), 0.01))[0]
        return theta[0] > theta[1:].max() + 1e-9

    def least():
        for size in range(1, 10):
            for removed in itertools.combinations_with_replacement(range(12), size):
                left = cells.reshape(-1) - np.bincount(removed, minlength=12)
                if left.min() >= 0 and not leads(left):
                    return size
        return None

    assert leads(cells)
    assert leverage(evidence(by_cells(cells)))["value"] == least()


def test_a_user_who_decides_the_first_rank_is_named():
    votes = simulated(votes=4000, users=80, strengths=(0.5, 0.5, 0, -0.5))
    assert not leverage(evidence(simulated(votes=4000, users=80)))["users"]
    other = 1 - evidence(votes).theta.argmax()
    verdict = np.where(votes.a == other, A_WON, np.where(votes.b == other, B_WON, votes.verdicts["winner"]))
    bot = np.isin(votes.columns["user"].codes, np.arange(5, 15))
    users = np.where(bot, 5, votes.columns["user"].codes)
    swayed = votes_of(votes.a, votes.b, np.where(bot, verdict, votes.verdicts["winner"]), users)
    finding = leverage(evidence(swayed))
    assert evidence(swayed).theta.argmax() == other
    assert finding["users"] == ["u5"] and "u5" in finding["text"]
    assert finding["matters"] and finding["value"] > 0.01 * len(votes)  # not by the number of votes


def test_influence_foretells_what_removing_a_vote_does():
    cells = np.array([[6, 4, 1, 0], [5, 2, 1, 1], [1, 1, 0, 0]])
    one = evidence(by_cells(cells))
    influence = _influence(one, 0, 1)
    lead = one.theta[0] - one.theta[1]
    for pair, verdict in zip(*np.nonzero(cells), strict=True):
        left = cells.copy()
        left[pair, verdict] -= 1
        theta = evidence(by_cells(left)).theta
        assert influence[pair, verdict] == pytest.approx(theta[0] - theta[1] - lead, rel=0.2, abs=0.01)


def test_the_rival_is_who_needs_the_fewest_votes_not_who_is_next():
    finding = leverage(evidence(by_cells([[1100, 1000, 0, 0], [7, 5, 0, 0]])))
    assert finding["rival"] == "m2" and finding["value"] <= 3 and finding["matters"]


def test_a_shared_first_rank_and_one_that_nobody_can_take():
    shared = leverage(evidence(by_cells([[5, 5, 0, 0]])))
    assert (shared["value"], shared["matters"]) == (0, True) and "shared" in shared["text"]
    apart = leverage(evidence(votes_of([0, 2], [1, 3], [A_WON, A_WON])))
    assert apart["value"] is None and not apart["matters"]


# ---- all


@pytest.mark.parametrize(
    "votes",
    [
        votes_of([], [], [], [], []),
        votes_of([], [], [], models=3),
        votes_of([0], [1], [A_WON], [0], [0]),
        votes_of([0], [1], [A_WON], [NONE], [NONE]),
        votes_of([1], [0], [BOTH_BAD], models=4),
        votes_of([0], [1], [NONE], [0]),
        votes_of([0, 1] * 20, [1, 0] * 20, [TIE] * 40, [0] * 40, [0] * 40),
        votes_of([0, 1] * 20, [1, 0] * 20, [BOTH_BAD] * 40, [0, 1] * 20, [0] * 40),
        votes_of([0, 1] * 20, [1, 0] * 20, [A_WON, B_WON] * 20, np.arange(40) // 20),  # only wins
        votes_of([0, 2] * 20, [1, 3] * 20, [A_WON, B_WON] * 20, [3] * 40),  # two islands
        votes_of(np.zeros(30), np.arange(1, 31), [A_WON] * 30, np.arange(30)),
    ],
)
def test_degenerate_votes_neither_fail_nor_warn(votes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = findings(votes, "winner", *count(votes))
    expected = NAMES if (votes.verdicts["winner"] != NONE).any() else []
    assert [record["finding"] for record in found] == expected
    for record in found:
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert "\n" not in record["text"] and record["criterion"] == "winner"
        assert record["value"] is not None or not record["matters"]


def test_order_and_places_change_nothing():
    votes = simulated(first=0.3)
    turned = np.array([B_WON, A_WON, TIE, BOTH_BAD])[votes.verdicts["winner"]]
    shuffled = np.random.default_rng(2).permutation(len(votes))
    prompts = np.arange(len(votes)) % 300
    users = votes.columns["user"].codes
    plain = votes_of(votes.a, votes.b, votes.verdicts["winner"], users, prompts)
    moved = votes_of(*(x[shuffled] for x in (plain.a, plain.b, plain.verdicts["winner"], users, prompts)))
    swapped = votes_of(plain.b, plain.a, turned, users, prompts)
    expected = findings(plain, "winner", *count(plain))
    for one, other in zip(expected, findings(moved, "winner", *count(moved)), strict=True):
        assert one["value"] == pytest.approx(other["value"]) and one["text"] == other["text"]
    for one, other in zip(expected[1:4], findings(swapped, "winner", *count(swapped))[1:4], strict=True):
        assert one == other
    mirrored = findings(swapped, "winner", *count(swapped))[0]
    assert mirrored["value"] == pytest.approx(1 - expected[0]["value"], abs=1e-9)
