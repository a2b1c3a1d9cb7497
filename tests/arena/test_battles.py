"""Counting votes: what counts, what is rejected and why."""

import pytest

from latxa_cli.arena import battles as module
from latxa_cli.arena.battles import Tally
from latxa_cli.stream.errors import LatxaError


def test_votes_are_counted_by_pair_whatever_their_position():
    tally = Tally()
    rejects = tally.count(
        [
            {"model_a": "y", "model_b": "x", "winner": "model_a"},
            {"model_a": "x", "model_b": "y", "winner": "model_b"},
            {"model_a": "x", "model_b": "y", "winner": "model_a"},
            {"model_a": "x", "model_b": "z", "winner": "tie"},
            {"model_a": "z", "model_b": "x", "winner": "tie (bothbad)"},
        ]
    )
    assert list(rejects) == []
    votes = tally.votes()
    assert votes.models == ["x", "y", "z"]
    assert list(zip(votes.first, votes.second, strict=True)) == [(0, 1), (0, 2)]
    assert votes.counts.tolist() == [[1, 2, 0], [0, 0, 2]]
    assert votes.battles().tolist() == [5, 3, 2]


def test_the_criterion_chooses_the_field():
    vote = {"model_a": "a", "model_b": "b", "winner": "model_a", "winner_language": "model_b", "winner_content": "tie"}
    counts = {}
    for criterion in ("winner", "winner_content", "winner_language"):
        tally = Tally(criterion)
        assert not list(tally.count([vote]))
        counts[criterion] = tally.votes().counts.tolist()
    assert counts == {"winner": [[1, 0, 0]], "winner_content": [[0, 0, 1]], "winner_language": [[0, 1, 0]]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model_b": "a"}, "self battle"),
        ({"winner_language": None}, "no verdict"),
        ({"winner_language": "left"}, "unknown verdict"),
        ({"winner_language": ["model_a"]}, "unknown verdict"),
    ],
)
def test_votes_that_cannot_be_counted_are_rejected_with_their_reason(change, reason):
    good = {"model_a": "a", "model_b": "b", "winner": "tie", "winner_language": "model_a"}
    tally = Tally("winner_language")
    rejects = list(tally.count([good | change, good, good | change]))
    assert [reject.reason for reject in rejects] == [reason, reason]
    assert rejects[0].record == good | change
    assert tally.votes().counts.tolist() == [[1, 0, 0]]


def test_too_many_models_end_the_run_early(monkeypatch):
    monkeypatch.setattr(module, "MOST_MODELS", 10)
    endless = ({"model_a": f"m{n}", "model_b": f"m{n + 1}", "winner": "tie"} for n in range(10**9))
    with pytest.raises(LatxaError, match="more than 10 models"):
        list(Tally().count(endless))
