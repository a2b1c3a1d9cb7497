"""Judges that are asked: both orders in one battle, disagreement, failures, panels, and what is said of them."""

import random
import re

import pytest
from fake_engine import FakeEngine, cut_off

from latxa_cli.generation.engine import Completion, Decoding
from latxa_cli.judging.matching import Contender, alone, meetings
from latxa_cli.judging.panel import Judge, Panel, family_of
from latxa_cli.judging.rubric import load_rubric
from latxa_cli.judging.tally import Tally
from latxa_cli.stream.records import Reject


def response(name, model, answer, **more):
    turns = [{"role": "user", "content": f"Zer da {name}?"}, {"role": "assistant", "content": answer}]
    return {"id": name, "messages": turns, "model": model, **more}


def shown(request):
    """The two responses as they are shown."""
    text = request.messages[1]["content"]
    return [re.search(rf"<response_{side}>\n(.*?)\n</response_{side}>", text, re.DOTALL)[1] for side in "ab"]


def says(first, second, criteria=("content", "language", "overall")):
    return "\n".join(f"<{one}_a>{first}</{one}_a> <{one}_b>{second}</{one}_b>" for one in criteria)


def by_length(request):
    return says(*(min(10, len(text)) for text in shown(request)))


def votes(first, *others, judges=(by_length,), rubric="pairwise", margin=0.0, said=None):
    contenders = [Contender.of(f"{n}.jsonl", records) for n, records in enumerate(others)]
    panel = Panel(
        [Judge(f"judge{n}", FakeEngine(answer)) for n, answer in enumerate(judges)],
        load_rubric(rubric), Decoding(), margin,
    )  # fmt: skip
    met = meetings(first, contenders, {}, needs_reference=False) if others else alone(first, {}, needs_reference=False)
    tally = Tally(None, (said if said is not None else []).append)
    outcomes = [one for outcome in tally.counted(panel.ask(met)) for one in outcome]
    return outcomes, tally


def test_both_orders_are_one_battle_with_the_scores_of_each():
    [battle], _ = votes([response("1", "ours", "ondo")], [response("1", "theirs", "ez")])
    assert (battle["model_a"], battle["winner"], battle["winner_content"], battle["winner_language"]) == (
        "ours", "model_a", "model_a", "model_a"
    )  # fmt: skip
    assert (battle["judge"], battle["prompt_id"]) == ("judge0", "1")
    assert battle["preference"] == pytest.approx(1 / (1 + 2.718281828 ** (-2 / 2)), abs=1e-6)
    scores = {
        side: dict.fromkeys(("content", "language", "overall"), n) for side, n in (("model_a", 4), ("model_b", 2))
    }
    assert battle["metadata"] == {
        "rubric": "pairwise",
        "scores": scores,
        "orders": [
            {"first": side, "winner": "model_a", "scores": scores, "answer": says(*numbers)}
            for side, numbers in (("model_a", (4, 2)), ("model_b", (2, 4)))
        ],
    }


def test_orders_that_disagree_are_a_tie_whose_scores_are_kept():
    [battle], tally = votes([response("1", "a", "x")], [response("1", "b", "y")], judges=[lambda _: says(8, 2)])
    assert battle["winner"] == battle["winner_language"] == "tie" and battle["preference"] == 0.5
    assert [order["winner"] for order in battle["metadata"]["orders"]] == ["model_a", "model_b"]
    counts = tally.facts["judges"]["judge0"]
    assert (counts["both orders agree"], counts["first shown wins"], counts["second shown wins"]) == (0, 2, 0)
    assert "both orders agree in 0%; the first shown wins 100% of the orders" in next(tally.sentences())


def test_each_criterion_is_judged_by_itself():
    def judge(request):
        longer, shorter = (8, 3) if len(shown(request)[0]) > 1 else (3, 8)
        return says(longer, shorter, ["content"]) + says(5, 5, ["language"]) + says(9, 1, ["overall"])

    [battle], _ = votes([response("1", "a", "xx")], [response("1", "b", "y")], judges=[judge])
    assert (battle["winner"], battle["winner_content"], battle["winner_language"]) == ("tie", "model_a", "tie")


def test_a_difference_within_the_margin_is_a_tie():
    files = [response("1", "a", "xxx")], [response("1", "b", "x")]
    assert votes(*files, margin=1)[0][0]["winner"] == "model_a"
    assert votes(*files, margin=2)[0][0]["winner"] == "tie"


@pytest.mark.parametrize(
    ("bad", "kind"), [("", "empty"), ("x", "unreadable"), (cut_off("so"), "cut off"), (says(11, 0), "out of range")]
)
@pytest.mark.parametrize("order", [0, 1])
def test_a_judge_that_fails_in_one_order_has_no_vote(bad, kind, order):
    def judge(request):
        return bad if shown(request)[order] == "bad" else by_length(request)

    first = [response(name, "a", "xx" if name == "2" else "bad") for name in "123"]
    outcomes, tally = votes(first, [response(name, "b", "y") for name in "123"], judges=[judge])
    assert [one.reason if isinstance(one, Reject) else one["winner"] for one in outcomes] == [
        f"judge: {kind}", "model_a", f"judge: {kind}"
    ]  # fmt: skip
    assert "winner" not in outcomes[0].record and outcomes[0].record["judge"] == "judge0"
    assert tally.facts["judges"]["judge0"]["invalid"] == {kind: 2} and tally.facts["judges"]["judge0"]["votes"] == 1
    assert f"no verdict in 2 (2 {kind})" in next(tally.sentences())


ROUNDED = '{"content_a": 9, "content_b": 1, "language_a": 5, "language_b": 5, "overall_a": 9, "overall_b": 1}'


def forgetful(request):
    """Gives its reasons alone at first; when asked again, the numbers."""
    return ROUNDED if request.schema else "The first one is better, <|end|> 9 to 1."


def test_a_judge_that_gives_no_numbers_in_their_form_is_asked_for_them_once_more():
    engine = FakeEngine(forgetful)
    panel = Panel([Judge("j", engine, frozenset(["<|end|>"]))], load_rubric("pairwise"), Decoding(200))
    met = meetings([response("1", "a", "x")], [Contender.of("b", [response("1", "b", "y")])], {}, needs_reference=False)
    tally = Tally(None, str)
    [battle] = [one for outcome in tally.counted(panel.ask(met)) for one in outcome]
    assert battle["winner"] == "tie" and battle["asked_again"] is True
    assert {order["answer"] for order in battle["metadata"]["orders"]} == {"The first one is better, <|end|> 9 to 1."}
    assert "j: 1 votes" in next(tally.sentences())
    assert "; 1 of them only when asked again" in next(tally.sentences())
    first, again = engine.requests[0], engine.requests[-1]
    assert first.schema is None and again.messages[:2] in [one.messages for one in engine.requests[:2]]
    assert [turn["role"] for turn in again.messages] == ["system", "user", "assistant", "user"]
    assert again.messages[2]["content"] == "The first one is better, < |end|> 9 to 1."
    assert list(again.schema["properties"]) == list(load_rubric("pairwise").tags)
    assert again.schema["properties"]["overall_a"]["enum"] == list(range(11))


@pytest.mark.parametrize("said", ["", "I'm sorry, but I can't help with that.", by_length])
def test_an_answer_that_is_clear_is_asked_for_once(said):
    engine = FakeEngine(said if callable(said) else lambda _: said)
    met = meetings([response("1", "a", "x")], [Contender.of("b", [response("1", "b", "y")])], {}, needs_reference=False)
    list(Panel([Judge("j", engine)], load_rubric("pairwise"), Decoding()).ask(met))
    assert len(engine.requests) == 2 and not any(request.schema for request in engine.requests)


@pytest.mark.parametrize("first", ["unclear", cut_off("so"), says(11, 0)])
@pytest.mark.parametrize(
    "second",
    [
        "unclear", says(5, 6), "", "{}", f"So: {ROUNDED}", f"{ROUNDED} {ROUNDED}", "[" * 99999,
        ROUNDED.replace("9", "11"),
        ROUNDED.replace("9", "9.0"), ROUNDED.replace("9", "true"), ROUNDED.replace("9", '"9"'),
        ROUNDED.replace("overall", "Overall"), ROUNDED.replace("{", '{"x": 1, '), "NaN", cut_off(ROUNDED[:20]),
        Completion("", "too long", 9, 0), Completion("no", "failed", 1, 0), Completion(ROUNDED, "failed", 1, 0),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_clear_the_second_time_is_what_it_was_at_first(first, second):
    outcomes, tally = votes(
        [response("1", "a", "x")],
        [response("1", "b", "y")],
        judges=[lambda request: second if request.schema else first],
    )
    kind = {"unclear": "unreadable", says(11, 0): "out of range"}.get(first, "cut off")
    assert [one.reason for one in outcomes] == [f"judge: {kind}"] and tally.facts["judges"]["judge0"]["votes"] == 0


def test_scores_of_a_judge_that_was_asked_again_say_so():
    outcomes, tally = votes(
        [response("1", "m", "x"), response("2", "m", "y")], rubric="curate",
        judges=[lambda request: '```json\n{"level": 2}\n```' if request.schema else "Level: two"],
    )  # fmt: skip
    assert [(one["scores"], one["asked_again"]) for one in outcomes] == [({"level": 2}, True)] * 2
    assert next(tally.sentences()) == "judge0: 2 votes; 2 of them only when asked again"


def test_a_judge_that_always_says_the_same_is_told_of():
    first, other = ([response(str(n), model, model * n) for n in range(1, 7)] for model in ("a", "bb"))
    _, tally = votes(first, other, judges=[lambda _: says(5, 5), by_length, lambda _: says(0, 5)])
    told = ["give the same numbers" in sentence for sentence in tally.sentences()]
    assert told[:3] == [True, False, True], "numbers are the same in each order too"
    _, tally = votes(first, rubric="curate", judges=[lambda _: "<level>1</level>"])
    assert "all of them give the same numbers" in next(tally.sentences())


def test_every_vote_of_a_panel_is_kept_and_their_agreement_told():
    def contrary(request):
        return says(*(10 - min(10, len(text)) for text in shown(request)))

    first, other = [[response(name, model, model * n) for n, name in enumerate("123", 1)] for model in ("x", "yy")]
    outcomes, tally = votes(
        first, other, judges=[by_length, contrary, lambda r: "?" if "y" in shown(r)[0] else says(1, 1)]
    )
    told = [(one.record if isinstance(one, Reject) else one) for one in outcomes]
    assert [(one["prompt_id"], one["judge"], one.get("winner")) for one in told] == [
        (name, *vote)
        for name in "123"
        for vote in (("judge0", "model_b"), ("judge1", "model_a"), ("judge2", None))
    ]  # fmt: skip
    assert len({one["id"] for one in told}) == 9
    assert tally.facts["panel"] == {"pairs": 3, "all agree": 0}
    assert list(tally.sentences())[-1] == "all judges of a pair agree on 0 of 3"


def test_scores_of_single_responses():
    first = [
        response("1", "m", "ondo", task="Poetry", language="eu"),
        response("2", "m", "bad"),
        response("3", "m", "x"),
    ]

    def judge(request):
        return "?" if "bad" in request.messages[1]["content"] else "<level>3</level>"

    outcomes, tally = votes(first, judges=[judge, lambda _: "<level>1</level>"], rubric="curate")
    assert outcomes[0] == {
        "id": "1", "rubric": "curate", "model": "m", "judge": "judge0", "scores": {"level": 3}, "task": "Poetry",
        "language": "eu", "metadata": {"answer": "<level>3</level>"},
    }  # fmt: skip
    assert [one.reason if isinstance(one, Reject) else one["scores"]["level"] for one in outcomes] == [
        3, 1, "judge: unreadable", 1, 3, 1
    ]  # fmt: skip
    assert tally.facts["judges"]["judge0"]["invalid"] == {"unreadable": 1}


def test_llm_eval_shows_the_reference_and_needs_one():
    seen = []

    def judge(request):
        seen.append(request.messages[-1]["content"])
        return "".join(f"<{tag}>2</{tag}>" for tag in load_rubric("llm-eval").tags)

    panel = Panel([Judge("j", FakeEngine(judge))], load_rubric("llm-eval"), Decoding())
    given = [response("1", "m", "bat", reference="HAU DA"), response("2", "m", "bi")]
    outcomes = [one for outcome in panel.ask(alone(given, {"9": "x"}, needs_reference=True)) for one in outcome]
    assert "<reference>\nHAU DA\n</reference>" in seen[0] and len(seen) == 1
    assert outcomes[0]["scores"]["logical coherence"] == 2 and outcomes[1].reason == "no reference"


def test_turns_of_a_long_conversation_are_told_apart():
    turns = [("user", "Bat?"), ("assistant", "bai"), ("user", "Bi?"), ("assistant", "ez")]
    talk = {"id": "1", "messages": [{"role": role, "content": content} for role, content in turns]}
    seen = []

    def judge(request):
        seen.append(request.messages[-1]["content"])
        return says(1, 2)

    votes([talk | {"model": "a"}], [talk | {"model": "b"}], judges=[judge])
    assert "<prompt>\n[turn 1]\nBat?\n\n[turn 2]\nBi?\n</prompt>" in seen[0]
    assert "<response_b>\n[turn 1]\nbai\n\n[turn 2]\nez\n</response_b>" in seen[0]


def test_a_judge_of_a_contenders_family_is_said_once():
    said = []
    first, other = [[response(name, model, "x" * n) for n, name in enumerate("12", 1)] for model in ("Judge0-8B", "b")]
    votes(first, other, said=said)
    assert said == ["the judge `judge0` and `Judge0-8B` may be of one family: judges favour their own"]
    assert family_of("Llama-3.1-70B") == family_of("llama_8b") != family_of("latxa")
    assert family_of("a-1") != family_of("a-2")


def test_a_planted_bias_is_what_the_tally_says():
    """Each answer of this judge favours the first shown with a known probability, and else the better one."""
    draw = random.Random(7)

    def judge(request):
        first, second = shown(request)
        wins = draw.random() < 0.3 or len(first) > len(second)
        return says(8, 2) if wins else says(2, 8)

    count = 600
    first = [response(str(n), "a", "x" * (2 if n % 2 else 1)) for n in range(count)]
    other = [response(str(n), "b", "y" * (1 if n % 2 else 2)) for n in range(count)]
    _, tally = votes(first, other, judges=[judge])
    counts = tally.facts["judges"]["judge0"]
    # The better one wins where it is first; where it is second, with probability 0.7: then both orders agree.
    for value, truth, of in ((counts["both orders agree"], 0.7, count), (counts["first shown wins"], 0.65, 2 * count)):
        assert abs(value / of - truth) < 4 * (truth * (1 - truth) / of) ** 0.5
