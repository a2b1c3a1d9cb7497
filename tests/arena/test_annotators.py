"""Findings about those who voted, on both sides of their bounds: few votes, many users and models, slight agreement."""

import numpy as np
import pytest
from ballots import evidence, tallied, votes_of

from latxa_cli.arena.findings.annotators import agreement, concentration, krippendorff
from latxa_cli.arena.findings.evidence import QUANTILE
from latxa_cli.arena.findings.outliers import Ballots, _against, _for_one, log_tail, outlying
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, NONE, TIE, VERDICTS

# --- the votes of one user -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("theirs", "matters"), [(10, False), (11, True)])
def test_votes_of_one_user_matter_above_a_tenth_of_all(theirs, matters):
    users = ["most"] * theirs + [None] * 30 + [f"u{n % 50}" for n in range(70 - theirs)]
    votes = votes_of([("a", "b", n % 4) for n in range(100)] + [("a", "b", NONE)] * 9, user=[*users, *["idle"] * 9])
    finding = concentration(evidence(votes))
    assert (finding["user"], finding["value"], finding["matters"]) == ("most", theirs / 100, matters)
    assert finding["users"] == 51  # who has no vote that counts is none of them


# --- who votes unlike the others -------------------------------------------------------------------------------------


def crowd(models, each=200):
    """Votes of nobody in particular, by which all models are equal."""
    return [(a, b, verdict) for a in models for b in models if a < b for verdict in (A_WON, B_WON) for _ in range(each)]


def outliers(rows, users):
    return outlying(evidence(votes_of(rows, user=users)))


@pytest.mark.parametrize(("decided", "judged"), [(7, 0), (8, 1), (9, 1)])
def test_a_user_is_judged_from_ten_votes_on(decided, judged):
    rows = [("a", "b", n % 2) for n in range(decided)] + [("a", "b", TIE), ("a", "b", BOTH_BAD)]
    assert outliers(rows, ["u"] * len(rows))["judged"] == judged


@pytest.mark.parametrize(("votes", "named"), [(10, False), (12, True)])
def test_many_models_are_as_many_chances_to_favour_one(votes, named):
    """Among 20 equal models, n wins of n for one have a probability of 2^-n, to be below 1 % of 1/20."""
    models = [f"m{n:02}" for n in range(20)]
    theirs = [
        ("m00", model, A_WON) if n % 2 else (model, "m00", B_WON) for n, model in enumerate(models[1 : votes + 1])
    ]
    rows = [*crowd(models), *theirs]
    found = outliers(rows, [None] * (len(rows) - votes) + ["fan"] * votes)
    assert 0.01 / 100 < 2.0**-10 < 0.01  # for one model, ten were enough
    assert [(one["user"], one["favours"], one["wins"], one["battles"]) for one in found["users"]] == (
        [("fan", "m00", votes, votes)] if named else []
    )


@pytest.mark.parametrize(("others", "named"), [(0, True), (11, False)])
def test_many_users_are_as_many_chances(others, named):
    """With 4 models, 12 wins of 12: 2^-12 is below 1 % of 1/4, and not below 1 % of 1 over 12 users x 4 models."""
    theirs = [("m0", f"m{1 + n % 3}", A_WON) for n in range(12)]
    even = [(f"m{n % 2}", f"m{2 + n // 2 % 2}", n // 4 % 2) for n in range(16)]
    rows = [*crowd([f"m{n}" for n in range(4)], 2000), *theirs, *(row for _ in range(others) for row in even)]
    users = [None] * (len(rows) - 12 - 16 * others) + ["fan"] * 12 + [f"u{n // 16}" for n in range(16 * others)]
    found = outliers(rows, users)
    assert found["judged"] == 1 + others
    assert bool(found["users"]) == named


def test_bounds_are_chernoffs_times_the_number_of_tries():
    random = np.random.default_rng(0)
    one = evidence(votes_of(crowd("abcd", 5) + [("a", model, A_WON) for model in "bcd" for _ in range(40)]))
    chance = np.array([0.9, 0.8, 0.85, 0.7, 0.6, 0.55])
    user = np.repeat([0, 1, 2], 60)
    pair, verdict = random.integers(0, 6, 180), random.integers(0, 2, 180)
    ballots = Ballots(chance, user, pair, verdict, np.zeros(180, bool), users=3)
    probability = np.where(verdict == 0, chance[pair], 1 - chance[pair])
    found = {suspect.user: suspect for suspect in _against(ballots)}
    assert len(found) > 1
    for number, suspect in found.items():
        theirs = user == number
        got = np.log(probability[theirs]).sum()
        sides = np.stack([chance[pair[theirs]], 1 - chance[pair[theirs]]])
        mean = (sides * np.log(sides)).sum()
        error = np.sqrt((sides[0] * sides[1] * np.log(sides[0] / sides[1]) ** 2).sum())
        assert suspect.details["z"] == pytest.approx((got - mean) / error)
        assert suspect.details["agrees"] == pytest.approx((verdict[theirs] == 0).mean())
        assert suspect.details["expected"] == pytest.approx(chance[pair[theirs]].mean())
    for judged in (1, 50):
        for suspect in _for_one(ballots, judged, one.counts):
            favours = "abcd".index(suspect.details["favours"])
            theirs = (user == suspect.user) & (
                (one.counts.first[pair] == favours) | (one.counts.second[pair] == favours)
            )
            won = np.where(one.counts.first[pair] == favours, verdict == 0, verdict == 1)[theirs].mean()
            odds = np.where(one.counts.first[pair] == favours, chance[pair], 1 - chance[pair])[theirs].mean()
            apart = won * np.log(won / odds) + (1 - won) * np.log((1 - won) / (1 - odds))
            assert suspect.log_p == pytest.approx(np.log(judged * 4) - theirs.sum() * apart)
    assert list(_for_one(ballots, 1, one.counts))


def test_how_probable_so_small_a_likelihood_is_is_near_the_truth():
    """14 votes of several chances have 2^14 outcomes, so that the probability is known."""
    chance = np.array([0.9, 0.8, 0.85, 0.7, 0.6, 0.55, 0.75, 0.95, 0.65, 0.7, 0.8, 0.9, 0.6, 0.85])
    logs = np.log(np.stack([chance, 1 - chance]))
    outcomes = (np.arange(2**14)[:, None] >> np.arange(14)) & 1
    likelihood = np.where(outcomes, logs[1], logs[0]).sum(axis=1)
    order = np.argsort(likelihood)
    below = np.cumsum(np.exp(likelihood[order]))
    for number in (10, 100, 1000, 3000):
        got = likelihood[order[number]]
        [found] = log_tail(logs, np.zeros(14, int), np.array([got]), 1)
        assert found == pytest.approx(np.log(below[number]), abs=0.3)
    [least] = log_tail(logs, np.zeros(14, int), np.array([likelihood.min()]), 1)
    assert least == pytest.approx(likelihood.min(), abs=0.01)  # one outcome alone


def honest(random, users, votes, theta):
    """Votes of users who read; half of them shown either way round."""
    rows, names = [], []
    for user in range(users):
        for _ in range(votes):
            a, b = random.choice(len(theta), 2, replace=False)
            won = random.random() < 1 / (1 + np.exp(theta[b] - theta[a]))
            rows.append((f"m{a}", f"m{b}", A_WON if won else B_WON)), names.append(f"good{user:02}")
    return rows, names


@pytest.mark.parametrize("verdict", [A_WON, B_WON, TIE, BOTH_BAD])
@pytest.mark.parametrize("votes", [20, 60])
def test_who_always_votes_the_same_way_is_named(verdict, votes):
    random = np.random.default_rng(verdict)
    rows, names = honest(random, 40, 60, np.array([0.9, 0.4, 0.0, -0.5, -0.8]))
    for user in range(12):
        for _ in range(votes):
            a, b = random.choice(5, 2, replace=False)
            rows.append((f"m{a}", f"m{b}", verdict)), names.append(f"same{user:02}")
    found = outliers(rows, names)["users"]
    assert sorted(one["user"] for one in found) == [f"same{user:02}" for user in range(12)]
    assert {one.get("always") for one in found} == {VERDICTS[verdict]}


def test_who_votes_at_random_is_named_and_who_reads_is_not():
    random = np.random.default_rng(5)
    rows, names = honest(random, 30, 60, np.array([1.2, 0.6, 0.0, -0.6, -1.2]))
    for user in range(3):
        for _ in range(150):
            a, b = random.choice(5, 2, replace=False)
            rows.append((f"m{a}", f"m{b}", int(random.integers(2)))), names.append(f"random{user}")
    found = outliers(rows, names)["users"]
    assert sorted(one["user"] for one in found) == ["random0", "random1", "random2"]
    assert all(one["agrees"] < one["expected"] - 0.1 and one["z"] < -3 for one in found)


def test_one_user_of_most_votes_does_not_make_the_others_outliers():
    """Three users who agree, and one of three quarters of the votes who votes in reverse."""
    random = np.random.default_rng(1)
    theta = np.array([1.0, 0.3, -0.3, -1.0])
    rows, names = honest(random, 3, 100, theta)
    reverse, _ = honest(random, 1, 900, -theta)
    found = outliers(rows + reverse, names + ["most"] * 900)
    assert [one["user"] for one in found["users"]] == ["most"]


@pytest.mark.parametrize("careless", ["random", "same"])
def test_a_careless_majority_does_not_make_the_others_outliers(careless):
    random = np.random.default_rng(2)
    rows, names = honest(random, 20, 60, np.array([0.9, 0.3, -0.3, -0.9]))
    for user in range(40):
        for _ in range(60):
            a, b = random.choice(4, 2, replace=False)
            said = int(random.integers(2)) if careless == "random" else user % 2
            rows.append((f"m{a}", f"m{b}", said)), names.append(f"bad{user}")
    found = {one["user"] for one in outliers(rows, names)["users"]}
    assert not any(user.startswith("good") for user in found)
    assert careless == "random" or len(found) == 40


def test_who_always_sees_the_better_model_first_may_always_vote_for_it():
    rows, users = [("a", "b", n // 50 % 10 == 0) for n in range(1000)], [f"u{n % 50}" for n in range(1000)]
    theirs = [("a", "b", A_WON)] * 30
    assert outliers(rows + theirs, users + ["first"] * 30)["users"] == []


def test_who_agrees_more_than_expected_is_not_outlying():
    rows = tallied({("a", "b"): (600, 400, 0, 0)})
    loyal = [("a", "b", A_WON)] * 90 + [("a", "c", A_WON)] * 10 + [("a", "c", B_WON)] * 12 + [("b", "c", TIE)]
    ballots = evidence(votes_of(rows + loyal, user=[None] * 1000 + ["u"] * 113))
    found = outlying(ballots)
    assert all("favours" in one for one in found["users"])  # not for being against the ranking


def test_all_that_were_found_are_named_the_most_improbable_first():
    fans = [(f"u{user:02}", 40 + user) for user in range(12)]
    rows = crowd("abcd", 5000) + [("a", "bcd"[n % 3], A_WON) for _, votes in fans for n in range(votes)]
    users = [None] * (len(rows) - sum(votes for _, votes in fans)) + [
        user for user, votes in fans for _ in range(votes)
    ]
    found = outliers(rows, users)
    assert (found["value"], found["matters"]) == (12, True)
    assert [one["user"] for one in found["users"]] == [f"u{user:02}" for user in range(11, -1, -1)]
    assert found["text"].startswith("12 users of 12 with 10 votes or more")
    assert found["text"].count(";") == 2  # three of them in words


def test_what_is_said_of_a_user_is_of_their_decided_votes_and_their_ties():
    theirs = [("b", "a", B_WON)] * 30 + [("a", "b", A_WON)] * 10 + [("a", "b", TIE)] * 8 + [("b", "a", BOTH_BAD)] * 2
    rows = [*crowd("ab", 500), *theirs, ("a", "b", NONE)]
    [one] = outliers(rows, [None] * 1000 + ["u"] * 51)["users"]
    assert (one["votes"], one["first"], one["ties"]) == (50, 0.25, pytest.approx(0.2))
    assert (one["favours"], one["wins"], one["battles"]) == ("a", 40, 40)


# --- agreement -------------------------------------------------------------------------------------------------------


def judged(agreeing, disagreeing):
    """Prompts on which two users said the same, half of them a and half b, and some on which they did not."""
    rows, users, prompts = [], [], []
    for prompt in range(agreeing + disagreeing):
        for user in (0, 1):
            verdict = prompt % 2 if prompt < agreeing else user
            rows.append(("a", "b", verdict)), users.append(f"u{user}"), prompts.append(f"p{prompt:04}")
    return agreement(evidence(votes_of(rows, user=users, prompt_id=prompts)))


@pytest.mark.parametrize(("agreeing", "matters"), [(530, True), (570, False), (640, False)])
def test_agreement_is_slight_where_alpha_is_surely_below_a_fifth(agreeing, matters):
    """Two users, two verdicts as often: alpha is 1 - (share of disagreement) / (chance of it)."""
    finding = judged(agreeing, 1000 - agreeing)
    disagreement, chance = (1000 - agreeing) / 1000, 1000 / 1999
    assert finding["value"] == pytest.approx(1 - disagreement / chance)
    assert finding["standard_error"] == pytest.approx(np.sqrt(disagreement * (1 - disagreement) / 1000) * 2, rel=0.01)
    assert finding["matters"] is matters
    assert (finding["value"] + QUANTILE * finding["standard_error"] < 0.2) is matters


def test_units_of_one_judgement_are_none():
    rows = [("a", "b", A_WON), ("a", "b", A_WON), ("a", "b", B_WON), ("a", "b", A_WON), ("a", "b", B_WON)]
    users, prompts = ["u", "v", "u", "u", "w"], ["p", "p", "q", "r", "r"]
    finding = agreement(evidence(votes_of(rows, user=users, prompt_id=prompts)))
    assert finding["units"] == 2
    # One who said both on one prompt has said nothing, and leaves the other alone there.
    rows, users, prompts = [*rows, ("b", "a", A_WON)], [*users, "v"], [*prompts, "p"]
    assert agreement(evidence(votes_of(rows, user=users, prompt_id=prompts)))["units"] == 1


def test_units_are_by_prompt_and_pair():
    rows = [("a", "b", A_WON), ("a", "c", A_WON), ("b", "a", B_WON), ("a", "b", A_WON)]
    finding = agreement(evidence(votes_of(rows, user=["u", "v", "v", "w"], prompt_id=["p", "p", "p", "q"])))
    assert finding["units"] == 1


def test_alpha_of_counts_by_hand():
    assert krippendorff(np.array([[2.0, 0], [0, 2], [1, 1]]))[0] == pytest.approx(1 - 5 * 2 / (36 - 18))
    assert krippendorff(np.array([[2.0, 0], [3, 0]])) == (None, None)
    assert krippendorff(np.array([[2.0, 1]]))[1] is None
