"""Judging by reference: who wins, who ties, who cannot be judged; chrF against its definition."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.judging.matching import Contender, meetings
from latxa_cli.judging.measures import ByReference, measure
from latxa_cli.judging.rubric import load_rubric
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Reject
from latxa_cli.text.chrf import ChrF


def response(name, model, answer, asked="Zer moduz?", **more):
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"id": name, "messages": turns, "model": model, **more}


def judged(first, *others, **how):
    return compared(
        first, [Contender.of(f"{number}.jsonl", records) for number, records in enumerate(others, 2)], **how
    )


def compared(first, contenders, *, by=None, margin=0.0, references=None):
    met = meetings(first, contenders, references or {})
    found = measure(met, by or ByReference(), load_rubric("reference"), margin)
    return [outcome for outcomes in found for outcome in outcomes]


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


def test_a_battle_holds_both_conversations_and_their_scores_each_at_its_own_side():
    ours, theirs = response("1", "ours", "Ondo nago", reference="Ondo nago, eta zu?"), response("1", "theirs", "Ondo")
    for one, other in ((ours, theirs), (theirs, ours)):
        [battle] = judged([one], [other])
        assert battle["conversation_a"] == one["messages"]
        assert battle["conversation_b"] == other["messages"]
        assert battle["metadata"] == {
            "scores": {
                side: round(ChrF().score(record["messages"][-1]["content"], "Ondo nago, eta zu?"), 4)
                for side, record in (("model_a", one), ("model_b", other))
            }
        }


def turns(name, model, *contents, **more):
    """A response of several turns: user, assistant, user …; one that begins with `system: ` is a system prompt."""
    system = [{"role": "system", "content": contents[0]}] if contents[0].startswith("system: ") else []
    roles = [{"role": ("user", "assistant")[n % 2], "content": c} for n, c in enumerate(contents[len(system) :])]
    return {"id": name, "messages": system + roles, "model": model, **more}


def test_the_last_answer_is_judged_not_the_first():
    ours = turns("1", "ours", "Bat?", "ez dakit", "Bi?", "bi da", reference="bi da")
    theirs = turns("1", "theirs", "Bat?", "bi da", "Bi?", "ez dakit")
    assert judged([ours], [theirs])[0]["winner"] == "model_a"
    assert judged([theirs], [ours])[0]["winner"] == "model_b"


def test_the_same_prompt_is_the_same_in_every_user_turn():
    one = turns("1", "a", "Bat?", "x", "Bi?", "y", reference="y")
    for others_turns in (("Bat?", "x", "Hiru?", "y"), ("Nor?", "x", "Bi?", "y"), ("Bat?", "x")):
        [reject] = judged([one], [turns("1", "b", *others_turns)])
        assert reject.reason == "different prompts", others_turns


def test_answers_before_the_last_and_system_prompts_may_differ():
    """Each model goes on from its own first answer, and some are told how to speak."""
    one = turns("1", "a", "Bat?", "x", "Bi?", "y", reference="y")
    for others_turns in (("Bat?", "z", "Bi?", "y"), ("system: Euskaraz", "Bat?", "x", "Bi?", "y")):
        [battle] = judged([one], [turns("1", "b", *others_turns)])
        assert battle["winner"] == "tie", others_turns


def test_equal_and_near_scores_tie():
    reference = "Ondo nago, eta zu?"
    same = judged([response("1", "a", "Ondo", reference=reference)], [response("1", "b", "Ondo")])
    assert same[0]["winner"] == "tie"
    near = [response("1", "a", "Ondo nago", reference=reference)], [response("1", "b", "Ondo nag")]
    assert judged(*near)[0]["winner"] == "model_a"
    assert judged(*near, margin=50)[0]["winner"] == "tie"


class Lengths:
    """A measure by which an answer is worth its length."""

    name = criterion = signature = "length"

    def score(self, response):
        return float(len(response))

    def scores(self, responses, reference):
        return [self.score(response["messages"][-1]["content"]) for response in responses]


def test_a_difference_that_equals_the_margin_is_a_tie_and_a_larger_one_is_none():
    def winner(a, b, margin):
        contender = Contender.of("b.jsonl", [response("1", "b", b)])
        [battle] = compared([response("1", "a", a, reference="x")], [contender], by=Lengths(), margin=margin)
        return battle["winner"]

    for a, b, better in (("xxxx", "xx", "model_a"), ("xx", "xxxx", "model_b")):
        assert winner(a, b, 2.0) == "tie"
        assert winner(a, b, 1.5) == winner(a, b, 0.0) == better


def test_scores_are_rounded_to_four_digits_and_compared_before_that():
    class Near(Lengths):
        def score(self, response):
            return 50 + len(response) / 1e6

    contender = Contender.of("b.jsonl", [response("1", "b", "xx")])
    [battle] = compared([response("1", "a", "x", reference="x")], [contender], by=Near())
    assert battle["metadata"]["scores"] == {"model_a": 50.0, "model_b": 50.0}
    assert battle["winner"] == "model_b"
    [battle] = judged([response("1", "a", "Ondo", reference="Ondo nago")], [response("1", "b", "Bai")])
    assert all(round(score, 1) != score for score in battle["metadata"]["scores"].values() if score)


def test_a_battle_has_the_same_id_whoever_wins():
    def judged_by(reference, judge="chrF"):
        by = ByReference()
        by.name = judge
        contender = Contender.of("b.jsonl", [response("1", "b", "bi")])
        [battle] = compared([response("1", "a", "bat", reference=reference)], [contender], by=by)
        return battle["winner"], battle["id"]

    (first, one), (second, same), (_, other) = judged_by("bat"), judged_by("bi"), judged_by("bat", "another")
    assert (first, second) == ("model_a", "model_b")
    assert one == same != other, "judged again it is the same battle; another judge gives another one"


def test_a_battle_has_the_language_of_either_response_the_first_one_first():
    def language(of_a, of_b):
        a, b = response("1", "a", "x", reference="x", **of_a), response("1", "b", "y", **of_b)
        return judged([a], [b])[0].get("language")

    eu, es = {"language": "eu"}, {"language": "es"}
    assert (language(eu, es), language(es, eu), language({}, eu), language(eu, {})) == ("eu", "es", "eu", "eu")
    assert language({}, {}) is None


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


def test_a_reference_may_stand_in_any_file_and_the_first_one_counts():
    answers = {"a": "xxx", "b": "yyy", "c": "zzz"}  # no two share a letter
    for owner, winners in {
        "a": ["model_a", "model_a", "tie"], "b": ["model_b", "tie", "model_a"], "c": ["tie", "model_b", "model_b"],
    }.items():  # fmt: skip
        more = {owner: {"reference": answers[owner]}}
        files = [[response("1", model, answer, **more.get(model, {}))] for model, answer in answers.items()]
        assert [battle["winner"] for battle in judged(*files)] == winners, owner
    both = [response("1", "a", "bat", reference="bat")], [response("1", "b", "bi", reference="bi")]
    assert judged(*both)[0]["winner"] == "model_a"
    assert judged(*both[::-1])[0]["model_a"] == "b" and judged(*both[::-1])[0]["winner"] == "model_a"


def test_a_given_reference_for_another_prompt_leaves_the_records_own():
    files = [response("1", "a", "bat", reference="bat")], [response("1", "b", "bi")]
    assert judged(*files, references={"2": "bi"})[0]["winner"] == "model_a"
    assert judged(*files, references={"1": None})[0]["winner"] == "model_a"


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
    [battle] = compared([response("1", "a", "x", reference="x")], [other])
    assert battle["prompt_id"] == "1"
    assert other.met == {"1"}


def test_an_id_with_another_prompt_was_met():
    """It is told as a rejected record, so it must not be counted again among those that the first file lacks."""
    other = Contender.of("b.jsonl", [response("1", "b", "x", asked="Nor?")])
    [reject] = compared([response("1", "a", "x", reference="x")], [other])
    assert (reject.reason, other.met) == ("different prompts", {"1"})


def test_each_partner_that_cannot_stand_is_told_even_where_none_is_left_or_no_reference_is():
    first = [response("1", "a", "x")]
    outcomes = judged(first, [], [response("1", "c", "y")], [response("1", "d", "y", asked="Nor?")])
    assert [outcome.reason for outcome in outcomes] == ["no partner", "different prompts", "no reference"]
    assert [outcome.detail[:7] for outcome in outcomes[:2]] == ["2.jsonl", "4.jsonl"]
    assert [outcome.reason for outcome in judged(first, [], [])] == ["no partner"] * 2


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


def test_an_id_that_comes_twice_in_the_first_file_is_an_error_too():
    first = [response("q1", "a", "bat"), response("q1", "a", "bi")]
    with pytest.raises(LatxaError, match="two responses have the id `q1`"):
        judged(first, [response("q1", "b", "bat")])
