"""Which responses meet: by id, by their user turns where ids differ, and what is said where none do."""

import pytest

from latxa_cli.judging.matching import Contender, alone, begun, meetings
from latxa_cli.stream.errors import LatxaError, UsageError


def response(name, model, *contents, **more):
    roles = [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]
    return {"id": name, "messages": roles, "model": model, **more}


def met(first, *others, references=None):
    contenders = [Contender.of(f"{n}.jsonl", records) for n, records in enumerate(others, 2)]
    return list(meetings(first, contenders, references or {}, needs_reference=False))


def test_responses_meet_by_their_user_turns_where_ids_differ():
    [one] = met([response("x1", "a", "Bat?", "y")], [response("z9", "b", "Bi?", "n"), response("z8", "b", "Bat?", "n")])
    assert [each["id"] for each in one.responses] == ["x1", "z8"]
    [turned] = met([response("z8", "b", "Bat?", "n")], [response("x1", "a", "Bat?", "y")])
    assert one.prompt_id == turned.prompt_id not in ("x1", "z8"), "the prompt has one name whoever comes first"


def test_an_id_goes_before_the_turns():
    other = [response("1", "b", "Bat?", "hau"), response("2", "b", "Bat?", "ez hau")]
    [one] = met([response("1", "a", "Bat?", "y")], other)
    assert one.responses[1]["messages"][-1]["content"] == "hau" and one.prompt_id == "1"
    [one] = met([response("1", "a", "Hiru?", "y")], [response("1", "b", "Bi?", "n"), response("2", "b", "Hiru?", "n")])
    assert [reject.reason for reject in one.rejects] == ["different prompts"] and not one.responses


def test_several_responses_to_the_same_turns_are_told_apart_by_ids_alone():
    other = [response("1", "b", "Bat?", "x"), response("2", "b", "Bat?", "y")]
    [one] = met([response("3", "a", "Bat?", "y")], other)
    assert one.rejects[0].detail == "2.jsonl has no such id, and 2 free responses to its prompt"


def test_a_response_meets_others_under_one_prompt_alone():
    """Whatever the order: the response `1` is that of the id `1`, and no two records without a partner share one."""
    ours = [response("x", "a", "Bat?", "y"), response("1", "a", "Bat?", "y"), response("2", "a", "Bi?", "y")]
    twice = [response("3", "a", "Hiru?", "y"), response("4", "a", "Hiru?", "y")]
    theirs = [response("1", "b", "Bat?", "n"), response("9", "b", "Bi?", "n"), response("8", "b", "Hiru?", "n")]
    for first in (ours + twice, (ours + twice)[::-1]):
        found = {one.rejects[0].record["id"]: one.rejects[0].detail for one in met(first, theirs) if one.rejects}
        assert found == {
            "x": "2.jsonl has no such id, and 0 free responses to its prompt",
            "3": "2.jsonl has no such id, and 1 free responses for 2 to its prompt",
            "4": "2.jsonl has no such id, and 1 free responses for 2 to its prompt",
        }
        pairs = [tuple(each["id"] for each in one.responses) for one in met(first, theirs) if one.responses]
        assert sorted(pairs) == [("1", "1"), ("2", "9")]
    [_, one] = met([ours[0], ours[1]], [*theirs, response("7", "b", "Bat?", "n")])
    assert one.responses[1]["id"] == "1"
    [other, _] = met([ours[0], ours[1]], [*theirs, response("7", "b", "Bat?", "n")])
    assert other.responses[1]["id"] == "7", "what no other record names is free"


def test_the_difference_is_named_where_it_begins():
    long = "z" * 500
    for ours, theirs, said in [
        (["Bat?", "y"], ["Bi?", "y"], "user turn 1 is 'Bat?', and 'Bi?' there"),
        (["Bat?", "y", "Bi?", "y"], ["Bat?", "y", "Hiru?", "y"], "user turn 2 is 'Bi?', and 'Hiru?' there"),
        (["Bat?", "y"], ["Bat?", "y", "Bi?", "y"], "1 user turns, and 2 there"),
        ([f"{long}bat", "y"], [f"{long}bi", "y"], f"user turn 1 is '{'z' * 29}bat', and '{'z' * 29}bi' there"),
    ]:
        [one] = met([response("1", "a", *ours)], [response("1", "b", *theirs)])
        assert one.rejects[0].detail == f"2.jsonl: {said}"


def test_who_has_met_is_counted_by_turns_too():
    contender = Contender.of("b.jsonl", [response("z", "b", "Bat?", "x"), response("y", "b", "Bi?", "x")])
    list(meetings([response("1", "a", "Bat?", "y"), response("2", "a", "Lau?", "y")], [contender], {}))
    assert (contender.met, contender.missed) == ({"z"}, ("Lau?",))


def test_models_are_not_loaded_before_something_is_to_be_judged():
    none = [response("1", "a", "Bat?", "y"), response("2", "a", "Bi?", "y")]
    all_of_them, any_at_all = begun(iter(met(none, [])))
    assert not any_at_all and [meeting.rejects[0].record["id"] for meeting in all_of_them] == ["1", "2"]
    all_of_them, any_at_all = begun(iter(met(none, [response("2", "b", "Bi?", "y")])))
    assert any_at_all and [len(meeting.responses) for meeting in all_of_them] == [0, 2]


def test_what_does_not_end_with_an_answer_is_no_response():
    [one] = alone([response("1", "a", "Bat?")], {}, needs_reference=False)
    assert one.rejects[0].reason == "no response"


def test_the_same_model_or_id_twice_is_an_error():
    with pytest.raises(UsageError, match="two files hold responses of `a`"):
        met([response("1", "a", "Bat?", "x")], [response("9", "a", "Bat?", "y")])
    with pytest.raises(LatxaError, match="two responses have the id `1`"):
        Contender.of("b.jsonl", [response("1", "b", "x", "y")] * 2)
