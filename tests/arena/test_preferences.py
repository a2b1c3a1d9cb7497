"""Preference pairs: what becomes of conversations, of votes that prefer none, and of battles that give no pair."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.arena.filters import exclusion
from latxa_cli.arena.preferences import preferences
from latxa_cli.stream.records import Reject, content_id


def talk(*contents, system=None):
    """Return a conversation of user and assistant by turns."""
    turns = [{"role": ("user", "assistant")[number % 2], "content": content} for number, content in enumerate(contents)]
    return [*([{"role": "system", "content": system}] if system else []), *turns]


def battle(a, b, winner="model_a", **more):
    return {
        "id": "b",
        "model_a": "one",
        "model_b": "two",
        "winner": winner,
        "conversation_a": a,
        "conversation_b": b,
        **more,
    }


def outcome_of(record, **method):
    (outcome,) = preferences([record], **method)
    return outcome


def test_the_winner_is_chosen():
    record = battle(talk("q", "good"), talk("q", "bad"), id="b1", prompt_id="p1", user="u", judge="chrf")
    assert outcome_of(record) == {
        "id": "b1",
        "prompt_id": "p1",
        "prompt": talk("q"),
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
        "metadata": {
            "model_chosen": "one",
            "model_rejected": "two",
            "criterion": "winner",
            "user": "u",
            "judge": "chrf",
        },
    }
    turned = outcome_of(record | {"winner": "model_b"})
    assert turned["chosen"][0]["content"] == "bad"
    assert (turned["metadata"]["model_chosen"], turned["metadata"]["model_rejected"]) == ("two", "one")


def test_another_criterion_may_prefer_the_other():
    record = battle(talk("q", "x"), talk("q", "y"), "model_a", winner_language="model_b")
    pair = outcome_of(record, criterion="winner_language")
    assert pair["chosen"][0]["content"] == "y"
    assert pair["metadata"]["criterion"] == "winner_language"


def test_what_both_begin_with_is_the_prompt():
    pair = outcome_of(
        battle(talk("q1", "same", "q2", "x", "q3", "z"), talk("q1", "same", "q2", "y", "q3", "z"), "model_b")
    )
    assert pair["prompt"] == talk("q1", "same", "q2")
    assert [message["content"] for message in pair["chosen"]] == ["y", "q3", "z"]
    assert [message["content"] for message in pair["rejected"]] == ["x", "q3", "z"]


def test_a_system_message_is_part_of_the_prompt_and_other_fields_of_messages_are_not():
    a, b = talk("q", "x", system="s"), talk("q", "y", system="s")
    a[-1]["tokens"] = 7
    pair = outcome_of(battle(a, b))
    assert pair["prompt"] == talk("q", system="s")
    assert pair["chosen"] == [{"role": "assistant", "content": "x"}]


def test_calls_thoughts_and_tools_are_part_of_a_pair():
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather"}}]}
    a, b = ([*talk("q"), call, {"role": "tool", "content": "sun"}, *talk("q", answer)[1:]] for answer in "xy")
    a[-1]["reasoning_content"] = "hm"
    pair = outcome_of({**battle(a, b), "tools": [{"name": "weather"}]})
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == (a[:3], a[3:], b[3:])
    assert pair["tools"] == [{"name": "weather"}] and "tools" not in outcome_of(battle(a, b))


@pytest.mark.parametrize("other", ["t", None])
def test_system_messages_that_differ_are_no_part_of_it(other):
    """Models of an arena have system prompts of their own, which no voter sees."""
    pair = outcome_of(battle(talk("q", "same", "r", "x", system="s"), talk("q", "same", "r", "y", system=other)))
    assert pair["prompt"] == talk("q", "same", "r")
    assert (pair["chosen"], pair["rejected"]) == (talk("", "x")[1:], talk("", "y")[1:])


one, two = talk("q", "x"), talk("q", "y")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (battle(one, two, None), "no verdict"),
        (battle(one, two, "A"), "unknown verdict"),
        (battle(one, two, ["model_a"]), "unknown verdict"),
        (battle(one, two, "tie"), "tie"),
        (battle(one, two, "tie (bothbad)"), "both bad"),
        ({"id": "b", "model_a": "one", "model_b": "two", "winner": "model_a"}, "no conversations"),
        (battle(one, None), "no conversations"),
        (battle(one, "y"), "malformed conversation"),
        (battle(one, []), "malformed conversation"),
        (battle(one, [*talk("q"), {"role": "robot", "content": "y"}]), "malformed conversation"),
        (battle(one, [*talk("q"), {"role": "tool", "content": "y"}]), "no response"),
        (battle(one, [*talk("q"), {"role": ["assistant"], "content": "y"}]), "malformed conversation"),
        (battle(one, [*talk("q"), {"role": "assistant", "content": None}]), "malformed conversation"),
        (battle(one, talk("q", "y", "more")), "no response"),
        (battle(talk("q"), talk("q")), "no response"),
        (battle(one, talk("other", "y")), "different prompts"),
        (battle(one, talk("q", "x", "q2", "y")), "different prompts"),
        (battle(talk("q", "x", "q2", "z"), talk("q", "y", "q3", "z")), "different prompts"),
        (battle(talk("q", "x", system="s"), talk("q2", "y", system="t")), "different prompts"),
        (battle(talk("q", "x", system="s"), talk("q", "x", system="t")), "same response"),
        (battle(one, [*one, {"role": "assistant", "content": "y"}]), "different prompts"),
        (battle(one[1:], two[1:]), "different prompts"),  # no prompt at all
        (battle(one, one), "same response"),
    ],
)
def test_no_pair_has_a_reason(record, reason):
    outcome = outcome_of(record)
    assert isinstance(outcome, Reject)
    assert outcome.reason == reason
    assert outcome.record is record


def test_votes_against_each_other_are_kept_and_filters_come_first():
    votes = [
        battle(one, two, "model_a", user="u1", id="1"),
        battle(one, two, "model_b", user="u2", id="2"),
        battle(one, two, "tie", user="u3", id="3"),
    ]
    found = list(preferences(votes, filters=[exclusion("user", "u3")]))
    assert [pair["id"] for pair in found[:2]] == ["1", "2"]
    assert [pair["chosen"] for pair in found[:2]] == [one[1:], two[1:]]
    assert found[2].reason == "excluded by user"


def test_pairs_without_an_id_are_named_by_their_messages_also_after_those_that_were_written():
    votes = [battle(one, two, user=user, id=None) for user in ("u1", "u2", "u3")]
    votes.insert(1, battle(one, two, id="given"))
    pairs = list(preferences(votes))
    named = content_id({key: value for key, value in pairs[0].items() if key not in ("id", "metadata")})
    assert [pair["id"] for pair in pairs] == [named, "given", f"{named}-2", f"{named}-3"]
    for done in range(4):
        assert list(preferences(votes[done:], written=pairs[:done])) == pairs[done:]
    assert outcome_of(battle(one, two, id=7))["id"] == "7"


contents = st.sampled_from(("x", "y", "zer moduz?"))
talks = st.lists(st.tuples(st.sampled_from(("system", "user", "assistant")), contents), max_size=5).map(
    lambda turns: [{"role": role, "content": content} for role, content in turns]
)


@given(talks, talks, st.sampled_from(("model_a", "model_b")))
def test_a_pair_holds_both_conversations_whole(a, b, winner):
    outcome, other = (outcome_of(record) for record in (battle(a, b, winner), battle(b, a, winner)))
    if isinstance(outcome, Reject):
        assert isinstance(other, Reject)
        assert other.reason == outcome.reason
        return
    systems = [[turn for turn in turns if turn["role"] == "system"] for turns in (a, b)]
    if systems[0] != systems[1]:
        a, b = ([turn for turn in turns if turn["role"] != "system"] for turns in (a, b))
    won, lost = (a, b) if winner == "model_a" else (b, a)
    assert outcome["prompt"] + outcome["chosen"] == won
    assert outcome["prompt"] + outcome["rejected"] == lost
    assert outcome["prompt"][-1]["role"] == "user"
    assert outcome["chosen"][0] != outcome["rejected"][0]
    assert (other["chosen"], other["rejected"]) == (outcome["rejected"], outcome["chosen"])


def test_a_written_file_has_the_columns_that_preference_tuning_reads(tmp_path):
    import datasets

    votes = [
        battle(one, two, id="1"),
        battle(
            talk("q1", "same", "q2", "x"), talk("q1", "same", "q2", "y"), user="u", judge="j", prompt_id="p", id="2"
        ),
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in preferences(votes)), encoding="utf-8")
    loaded = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    assert loaded.column_names == ["id", "prompt_id", "prompt", "chosen", "rejected", "metadata"]
    for column in ("prompt", "chosen", "rejected"):
        for row in loaded[column]:
            assert all(set(message) == {"role", "content"} and type(message["content"]) is str for message in row)
    assert loaded[1]["prompt"] == talk("q1", "same", "q2")
    assert loaded[0]["metadata"]["user"] is None
