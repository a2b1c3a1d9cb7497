"""What makes results comparable: the settings that they say, and how it is said where these differ."""

import pytest

from latxa_cli.report.tables.settings import differences, telling, unanswered, unlike


def of(**said):
    return {"model": "m", "task": "t", "metric": "acc", "value": 0.5, **said}


@pytest.mark.parametrize(
    ("usual", "other", "note"),
    [
        ({"num_fewshot": 5}, {"num_fewshot": 1}, "1 shot, others 5 shots"),
        ({"chat": True}, {"chat": False}, "plain prompts, others through a chat template"),
        ({"format": "mcqa"}, {"format": "cloze"}, "format cloze, others format mcqa"),
        ({"chat": True}, {"chat": True, "target_delimiter": " "},
         "a space before choices, others nothing before choices"),
        ({}, {"target_delimiter": "\n"}, "'\\n' before choices, others a space before choices"),
        ({"metadata": {"bos": False}}, {"metadata": {"bos": True}},
         "a BOS before prompts, others no BOS before prompts"),
        ({"n": 1500}, {"n": 270}, "270 items, others 1,500 items"),
        ({"n": 90, "asked": 100}, {"n": 100, "asked": 101}, "101 items, others 100 items"),
        ({"shot_seeds": [1, 2]}, {"shot_seeds": [1]}, "shots of the seeds [1], others shots of the seeds [1,2]"),
        ({"language": "eu"}, {"language": "es"}, "language es, others language eu"),
        ({"fingerprint": "aa"}, {"fingerprint": "bb"},
         "prompts, items or versions unlike those of most others (`fingerprint`)"),
    ],
)  # fmt: skip
def test_what_differs_from_most_is_said(usual, other, note):
    first, second = of(**usual), of(**other)
    [name] = [setting.name for setting in unlike(first, second)]
    assert differences([first, second, dict(first)]) == [{}, {name: note}, {}]


def test_what_is_not_said_is_not_known():
    known = {"num_fewshot": 5, "chat": True, "format": "mcqa", "n": 100, "fingerprint": "a", "metadata": {"bos": True}}
    assert differences([of(**known), of(), of(metadata=None), of(n=None, chat=None)]) == [{}, {}, {}, {}]
    assert unlike(of(target_delimiter=None), of(target_delimiter="x")) == []


def test_a_fingerprint_is_named_where_nothing_else_explains_it():
    results = [of(fingerprint="a", chat=True), of(fingerprint="b", chat=False), of(fingerprint="a", chat=True),
               of(fingerprint="c", chat=True)]  # fmt: skip
    assert [list(notes) for notes in differences(results)] == [[], ["chat"], [], ["fingerprint"]]


def test_delimiters_of_plain_prompts_and_of_templates_are_not_compared():
    """A space before a choice is usual in one and not in the other."""
    assert differences([of(chat=True), of(chat=False)])[1].keys() == {"chat"}
    empty = [of(chat=True), of(chat=False, target_delimiter="")]
    assert differences(empty)[1].keys() == {"chat"}


def test_the_fewest_settings_that_tell_results_of_one_model_apart():
    both = [of(chat=True, num_fewshot=0, fingerprint="a"), of(chat=False, num_fewshot=0, fingerprint="b")]
    assert [setting.name for setting in telling([both, [of()]])] == ["chat"]
    assert [setting.name for setting in telling([both, [of(), of(fingerprint="c")]])] == ["chat", "fingerprint"]
    assert telling([[of(num_fewshot=0)], [of(num_fewshot=5)]]) == []


def test_items_without_an_answer_are_counted():
    assert unanswered(of(n=1250, asked=1300)).startswith("1,250 of 1,300 items were answered")
    assert unanswered(of(n=5, asked=5)) == unanswered(of(n=5)) == unanswered(of(asked=None, n=None)) == ""
