"""Rubrics: those that come with latxa, those of a user, and what is said of a file that is none."""

import pytest

from latxa_cli.judging.rubric import FOLDER, load_rubric
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.tables import names_in

PAIR = """
compares = "pair"
user = "<p>{prompt}</p> <x>{response_a}</x> <y>{response_b}</y> {form}"
verdict = "all"
criteria = [{name = "all", tag = "all", lowest = 0, highest = 10}]
"""
ONE = """
compares = "one"
user = "<p>{prompt}</p> <x>{response}</x> {form}"
criteria = [{name = "all", tag = "all", lowest = 0, highest = 10}]
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return load_rubric(str(path))

    return load


@pytest.mark.parametrize("name", names_in(FOLDER))
def test_the_rubrics_that_come_with_latxa_are_read(name):
    rubric = load_rubric(name)
    assert rubric.name == name
    if rubric.is_asked:
        texts = dict.fromkeys(("prompt", "response", "response_a", "response_b", "reference", "language"), "kaixo")
        *_, said = rubric.sheet.messages(texts)
        assert all(f"<{tag}>" in said["content"] and f"</{tag}>" in said["content"] for tag in rubric.tags)
        assert "{" not in said["content"]


def test_each_says_what_the_papers_say():
    assert {name for name in names_in(FOLDER) if load_rubric(name).compares == "pair"} == {
        "fluency", "pairwise", "reference", "reward-pairs"
    }  # fmt: skip
    pairwise, llm_eval, curate = map(load_rubric, ("pairwise", "llm-eval", "curate"))
    assert {(one.lowest, one.highest) for one in pairwise.criteria} == {(0, 10)}
    assert pairwise.verdicts == {"winner": "overall", "winner_content": "content", "winner_language": "language"}
    assert load_rubric("fluency").verdicts == {"winner": "fluency", "winner_language": "fluency"}
    assert [one.name for one in llm_eval.criteria] == [
        "accuracy", "fluency", "informativeness", "logical coherence", "harmlessness"
    ]  # fmt: skip
    assert {(one.lowest, one.highest) for one in llm_eval.criteria} == {(0, 3)}
    assert llm_eval.shows_reference and not pairwise.shows_reference and load_rubric("reference").shows_reference
    assert [(one.lowest, one.highest) for one in curate.criteria] == [(1, 3)]


def test_a_users_rubric_is_called_by_its_file(load):
    rubric = load(PAIR + "tie = 1\npreference_scale = 3\ndecoding = {max_tokens = 9}")
    assert (rubric.name, rubric.tie, rubric.preference_scale, rubric.decoding) == ("mine", 1, 3, {"max_tokens": 9})
    assert list(rubric.tags) == ["all_a", "all_b"] and list(load(ONE).tags) == ["all"]


def test_what_is_asked_once_more_follows_from_the_criteria(load):
    rubric = load(PAIR.replace("}]", '}, {name = "b", tag = "b", lowest = -1, highest = 999}]'))
    assert rubric.schema["properties"]["all_b"] == {"type": "integer", "enum": list(range(11))}
    assert rubric.schema["properties"]["b_a"] == {"type": "integer", "minimum": -1, "maximum": 999}
    assert rubric.schema["required"] == list(rubric.tags)
    assert rubric.sheet.reminder.endswith(
        "all_a, all_b: each a whole number, 10 at the most and 0 at the least. "
        "b_a, b_b: each a whole number, 999 at the most and -1 at the least."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PAIR + "verdct = 'all'", "there is no setting `verdct`"),
        (PAIR.replace('"pair"', '"three"'), "`compares` is none of `one`, `pair`"),
        ("scorer = 'chat'", "`compares` is none of"),
        (PAIR + "scorer = 'bleu'", "`scorer` is none of `chat`, `chrF`, `reward`"),
        ("scorer = 'chrF'\ncompares = 'pair'\nuser = 'x'", "`user` has no effect with the scorer `chrF`"),
        (PAIR.replace("{response_b}", ""), "`user` lacks the placeholder `{response_b}`"),
        (PAIR.replace("{form}", ""), "`user` lacks the placeholder `{form}`"),
        (PAIR.replace("{form}", "{form} {responce_a}"), "there is no placeholder `{responce_a}` (did you mean"),
        (PAIR.replace("<x>{response_a}</x>", "{response_a}"), "`{response_a}` does not stand between tags"),
        (PAIR.replace("<x>{response_a}</x>", "<x>{response_a}</z>"), "`{response_a}` does not stand between tags"),
        (ONE.replace("<x>{response}</x>", "<All>{response}</All>"), "`<all>` stands round a text"),
        (ONE.replace("{response}", "{response_a}"), "no placeholder `{response_a}`"),
        (ONE + "verdict = 'all'", "`verdict` is of pairs"),
        (PAIR.replace('verdict = "all"', ""), "`verdict` does not name the criterion"),
        (PAIR.replace('verdict = "all"', 'verdict = "al"'), "`verdict`: there is no criterion `al`"),
        (PAIR + "winner_language = 'language'", "`winner_language`: there is no criterion `language`"),
        (PAIR.replace(', tag = "all"', ""), "the criterion `all` has no `tag`"),
        (PAIR.replace('tag = "all"', 'tag = "a>b"'), "the criterion `all` has no `tag`"),
        (PAIR.replace("highest = 10", "highest = 0"), "no whole numbers `lowest` < `highest`"),
        (PAIR.replace("lowest = 0", "lowest = 0.5"), "no whole numbers `lowest` < `highest`"),
        (PAIR.replace("lowest = 0", "lowest = 0, weight = 2"), "a criterion has no setting `weight`"),
        (PAIR.replace("}]", '}, {name = "b", tag = "all", lowest = 0, highest = 1}]'), "two criteria have the tag"),
        (PAIR.replace("}]", '}, {name = "b", tag = "All", lowest = 0, highest = 1}]'), "nothing but capitals"),
        (PAIR + "tie = -1", "`tie` is not a number from 0"),
        (PAIR + "preference_scale = 0", "`preference_scale` is not above 0"),
        (PAIR + "decoding = {max_token = 5}", "`decoding` has no setting `max_token`"),
        (PAIR + "decoding = {max_tokens = 0}", "`max_tokens` in `decoding` is not a whole number from 1"),
        (PAIR + "system = 3", "`system` is not a text"),
        ("compares = ", "is not TOML"),
    ],
)
def test_a_file_that_is_no_rubric_is_one_line(load, text, said):
    with pytest.raises(LatxaError) as error:
        load(text)
    assert error.value.message.count("\n") == 0 and "mine.toml" in error.value.message
    assert said in error.value.message


def test_an_unknown_rubric_names_the_nearest(tmp_path):
    with pytest.raises(UsageError, match="no rubric `refrence`") as error:
        load_rubric("refrence")
    assert "`reference`" in error.value.hint
    for name in ("", str(tmp_path)):
        with pytest.raises(UsageError):
            load_rubric(name)
