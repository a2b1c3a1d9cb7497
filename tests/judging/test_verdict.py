"""What is read of a judge's answer: numbers in their tags, or a failure with its kind."""

import json
import random
import time

import pytest
from fake_engine import TOO_LONG, cut_off, stopped

from latxa_cli.generation.engine import Completion
from latxa_cli.judging.rubric import load_rubric
from latxa_cli.judging.verdict import KINDS, Invalid, Verdict, read, read_object

PAIRWISE, CURATE = load_rubric("pairwise"), load_rubric("curate")
TAGS = list(PAIRWISE.tags)


def answer(**changes):
    numbers = dict.fromkeys(TAGS, "7") | changes
    return "\n".join(f"<{tag}>{number}</{tag}>" for tag, number in numbers.items())


def level(text, reason="stop"):
    found = read(Completion(text, reason, 1, 1), CURATE.tags)
    return found.kind if isinstance(found, Invalid) else found.numbers["level"]


def test_numbers_stand_in_their_tags_wherever_these_are():
    text = "Because …\n" + answer(content_a="0", overall_b="10") + "\nThat is all."
    numbers = dict.fromkeys(TAGS, 7) | {"content_a": 0, "overall_b": 10}
    assert read(stopped(text), PAIRWISE.tags) == Verdict(numbers, text)


@pytest.mark.parametrize(
    "inside", ["3", " 3 ", "\n3\n", "+3", "03", "3/3", "3 / 3", "**3**", "** 3 **", "**3**/3"]
)  # fmt: skip
def test_a_number_may_be_dressed_up(inside):
    assert level(f"<level>{inside}</level>") == level(f"<LEVEL>{inside}</Level>") == 3


NO_VERDICTS = {
    "empty": ["", " \n"],
    "unreadable": [
        "3", "level: 3", "<level>3", "<level>three</level>", "<level>2.5</level>", "<level>3/10</level>",
        "<level>1 to 3</level>", "<level>1</level> or <level>2</level>", "< level>3</level>",
    ],
    "out of range": ["<level>0</level>", "<level>4</level>", "<level>-3</level>", f"<level>{'9' * 5000}</level>"],
    "refused": ["I'm sorry, but I can't help with that."],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in NO_VERDICTS.items() for text in texts])
def test_what_is_no_verdict_has_a_kind(kind, text):
    assert level(text) == kind


def test_the_same_number_twice_is_one():
    assert level("<level>2</level> … so <level>2</level>") == 2


@pytest.mark.parametrize(
    ("completion", "kind"),
    [
        (TOO_LONG, "too long"),
        (Completion("x", "failed", 1, 0), "failed"),
        (Completion("x", "refused", 1, 0), "failed"),
        (Completion("", "filtered", 1, 0), "refused"),
        (cut_off("The first"), "cut off"),
        (cut_off(""), "cut off"),
    ],
)
def test_how_a_text_ended_is_a_kind_too(completion, kind):
    found = read(completion, CURATE.tags)
    assert isinstance(found, Invalid) and (found.kind, found.reason) == (kind, f"judge: {kind}")


def test_a_verdict_before_the_cut_counts():
    assert level("<level>2</level> and then", "length") == 2


PIECES = ["<", ">", "</", "<overall_a>", "</overall_a>", "\x00", "\ufffd", "٣", "½", "NaN", "1e9", "null", "-", "🙂"]
ENDS = ["stop", "stop", "stop", "length", "failed", "filtered", "too long"]


def damaged(draw: random.Random, text: str) -> str:
    place = draw.randrange(len(text) + 1)
    return draw.choice([
        text[:place] + text[place + draw.choice([0, 1, 3, 40, 400]) :],
        text[:place] + draw.choice(PIECES) * draw.choice([1, 1, 50]) + text[place:],
        text[:place],
        text[place:] + text[:place],
        text.replace(draw.choice(TAGS), draw.choice(TAGS)),
        text + answer(overall_a=str(draw.randint(-5, 15))),
    ])  # fmt: skip


def malformed(draw: random.Random) -> Completion:
    """A judge's answer that is damaged in one or more ways."""
    text = answer(**{tag: str(draw.randint(0, 10)) for tag in TAGS})
    for _ in range(draw.randint(1, 12)):
        text = damaged(draw, text)
    return Completion(text, draw.choice(ENDS), 1, 1)


def test_a_thousand_malformed_answers_are_each_valid_or_of_a_kind():
    found = [read(malformed(random.Random(seed)), PAIRWISE.tags) for seed in range(1000)]
    kinds = {one.kind for one in found if isinstance(one, Invalid)}
    assert kinds <= set(KINDS) and {"unreadable", "cut off", "failed", "refused", "too long", "out of range"} <= kinds
    valid = [one.numbers for one in found if not isinstance(one, Invalid)]
    assert valid and all(set(one) == set(TAGS) and all(0 <= n <= 10 for n in one.values()) for one in valid)


def test_a_thousand_malformed_objects_are_each_valid_or_nothing():
    """What a judge answers when it is asked once more, damaged."""
    whole = json.dumps(dict.fromkeys(TAGS, 7))
    found = []
    for seed in range(1000):
        draw = random.Random(seed)
        text = whole
        for _ in range(draw.randint(1, 3)):
            text = damaged(draw, text.replace("7", draw.choice(["7", "10", "-1", "1e1", "null", "70"]), 1))
        found.append(read_object(Completion(text, draw.choice(ENDS), 1, 1), PAIRWISE.tags, ""))
    valid = [one.numbers for one in found if one]
    assert 0 < len(valid) < 500 and all(set(one.values()) <= {7, 10} and list(one) == TAGS for one in valid)


@pytest.mark.parametrize("filler", [" ", "*", "7", "<level>", "<level> ", "/", "<level>7 "])
def test_a_long_answer_costs_no_more_than_its_length(filler):
    began = time.monotonic()
    level("<level>" + filler * 200_000)
    assert time.monotonic() - began < 5
