"""What the filters take out, each by its reason, and what they leave alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fake_engine import cut_off, stopped

from latxa_cli.generation.engine import Completion
from latxa_cli.sampling.filters import (
    FILTERS,
    OF_INSTRUCTIONS,
    SURELY,
    Filters,
    check_filters,
)
from latxa_cli.stream.errors import UsageError
from latxa_cli.text.loops import ends_in_loop
from latxa_cli.text.refusals import refuses
from latxa_cli.text.turns import begins_a_turn

RULES = Filters(frozenset(("<|eot|>",)), language="en")

# Characters in an order that does not come again.
NEVER_TWICE = "".join(map(chr, range(0x4E00, 0x4E40)))

INSTRUCTIONS = {
    "short instruction": ["Hello there", "Why?"],
    "instruction begins in the middle": ["and then write it again", ", or explain the second one"],
    "instruction ends in a colon": ["Summarise the following text:", "请总结以下内容的主要观点："],
    "role in the instruction": [
        "What is the time?\nassistant\nIt is late.",
        "Say it again please.\n### Response:\nYes",
    ],
    "loop in the instruction": ["Tell me of " + "the sea and " * 9],
    "special token in the instruction": ["What is the time?<|eot|>"],
    "empty instruction": ["", " \n"],
    "instruction in another language": ["Zein da Euskal Herriko mendirik altuena, eta non dago zehazki?"],
}
GOOD = [
    "What is the role of the user and the assistant in this protocol?",
    "Write a function that returns the user:\n\ndef user(name):\n    pass",
    "1. Sort the list\n2. Print the list\n3. Explain why it is stable",
    "Explain what `a a a a` means in the shell, please.",
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "text"), [(reason, text) for reason, texts in INSTRUCTIONS.items() for text in texts]
)
def test_unfit_instructions(reason: str, text: str) -> None:
    assert RULES.fault_of_instruction(stopped(text)) == reason


@pytest.mark.parametrize("text", GOOD)
def test_instructions_that_only_look_unfit(text: str) -> None:
    assert RULES.fault_of_instruction(stopped(text)) == ""


@pytest.mark.parametrize(
    ("completion", "reason"),
    [
        (stopped("I’m sorry, but I can't help with that."), "refusal"),
        (stopped("It seems that you haven't provided the text."), "refusal"),
        (stopped("Sorry is a word of one syllable more than 'no'."), ""),
        (cut_off("It is"), "unfinished answer"),
        (stopped("ha" * 200), "loop in the answer"),
        (stopped("好的" * 150), "loop in the answer"),
        (stopped("7"), ""),
        (Completion("", "too long", 9, 0), "instruction longer than the context"),
    ],
)
def test_answers(completion: Completion, reason: str) -> None:
    assert RULES.fault_of_answer(completion) == reason


def test_each_filter_can_be_left_out() -> None:
    check_filters([*FILTERS, "quality"], [*FILTERS, "quality"], "en")
    lax = Filters(frozenset(), frozenset(FILTERS))
    for reason, texts in INSTRUCTIONS.items():
        for text in texts:
            assert lax.fault_of_instruction(stopped(text)) == (reason if reason == "empty instruction" else "")
    with pytest.raises(UsageError, match="there is no filter `loops`"):
        check_filters(["loops"], list(FILTERS), None)
    with pytest.raises(UsageError, match="there is no filter `refusal`"):
        check_filters(["refusal"], OF_INSTRUCTIONS, None)


@pytest.mark.parametrize(
    "answer",
    [
        "Lo siento, pero no puedo ayudarte con eso.",
        "Sentitzen dut, baina ezin dut hori egin.",
        "Ho sento, però no puc fer això.",
        "Síntoo, pero non podo facer iso.",
        "Mae’n ddrwg gen i, ond ni allaf wneud hynny.",
        "Tá brón orm, ach ní féidir liom é sin a dhéanamh.",
        "Því miður get ég ekki gert það.",
        "Je suis désolé, mais je ne peux pas faire cela.",
        "抱歉，我无法提供帮助。",
    ],
)
def test_refusals_in_other_languages(answer: str) -> None:
    assert RULES.fault_of_answer(stopped(answer)) == "refusal"


def test_tables_and_lists_are_no_loops() -> None:
    table = "\n".join(f"| {n} | {n * n} | {'even' if n % 2 == 0 else 'odd'} |" for n in range(40))
    assert not ends_in_loop(table)
    assert not ends_in_loop("no no no no no")
    assert ends_in_loop("Here it is. " + "1, 2, 3, " * 8)


def filtered(text: str, *, found: tuple[str, float] | None = None, **given: Any) -> str:
    """Return the fault of an instruction; `found`: the language that is identified, and how surely."""
    rules = Filters(frozenset(), **given)
    rules.__dict__["_identify"] = lambda _: found
    return rules.fault_of_instruction(stopped(text))


@pytest.mark.parametrize(
    ("found", "foreign"),
    [(("eu", 0.5), False), (("eu", SURELY - 0.01), False), (("eu", SURELY), True), (("en", 0.99), False)],
)
def test_a_language_that_is_not_certain_is_no_reason(found: tuple[str, float], *, foreign: bool) -> None:
    assert filtered("What is a lamp?", found=found, language="en") == (
        "instruction in another language" if foreign else ""
    )
    assert filtered("What is a lamp?", found=found) == ""


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Explain this briefly", False),
        ("Explain this", True),
        ("self-explanatory-words-of-English", True),  # one word, though the letters part it into more
        ("Eguzkia dañoñoñoñola", True),  # two words of a script that parts them by spaces
        ("今天天气好吗？", False),  # six letters, as long as three words
        ("天气好吗？", True),
        ("วันนี้อากาศเป็นอย่างไร", False),
        ("อากาศ", True),
    ],
)
def test_how_short_is_short(text: str, *, short: bool) -> None:
    assert filtered(text) == ("short instruction" if short else "")


def test_spaces_round_a_text_hide_nothing() -> None:
    assert filtered("Summarise the text: \n") == "instruction ends in a colon"
    assert filtered(" \nand then write it again") == "instruction begins in the middle"
    assert RULES.fault_of_answer(stopped("\n I’m sorry, but I can't help with that.")) == "refusal"


def test_turns_that_leave_no_room_for_an_instruction() -> None:
    too_long = Completion("", "too long", 9, 0)
    assert RULES.fault_of_instruction(too_long) == "turns before the instruction longer than the context"


def test_refusals_can_be_let_be_and_a_language_is_one_that_can_be_identified() -> None:
    refusal = stopped("I'm sorry, but I can't help with that.")
    assert Filters(frozenset(), frozenset(("refusal",))).fault_of_answer(refusal) == ""
    check_filters([], [], "en")
    with pytest.raises(UsageError):
        check_filters([], [], "tlh")


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("no " * 15, False),  # too few words
        ("no " * 16, True),
        ("What it is, now: " + "a b c " * 5, False),  # five times three
        ("What it is, now: " + "a b c " * 6, True),
        ("a b c d " * 4, True),  # the longest period of sixteen words
        ("a b c d e " * 3, False),  # three times
        ("x b c d e " * 3 + "f b c d e", False),
        ("ha" * 99, False),
        ("ha" * 100, True),
        (("na" * 20 + " ") * 5, True),  # few words, and long ones
        (NEVER_TWICE[:50] * 4, True),  # the longest period of 200 characters
        (NEVER_TWICE[:51] * 4, False),
    ],
)
def test_where_a_loop_begins(text: str, *, loops: bool) -> None:
    assert ends_in_loop(text) == loops


def test_refusals_of_a_small_model_are_known() -> None:
    """The beginnings of 305 answers that an instructed model of 135 M parameters drew, labelled by reading them."""
    lines = (Path(__file__).parent / "labelled_answers.jsonl").read_text(encoding="utf-8").splitlines()
    labelled = [json.loads(line) for line in lines]
    found = [(refuses(entry["answer"]), entry["refusal"]) for entry in labelled]
    right = sum(said and meant for said, meant in found)
    assert len(found) == 305 and sum(meant for _, meant in found) == 56
    assert right / sum(said for said, _ in found) >= 0.95
    assert right / sum(meant for _, meant in found) >= 0.95


@pytest.mark.parametrize(
    "answer",
    [
        "I can't believe how good this soup is. Fry the onions first.",
        "Dear Ms Jones,\n\nI am unable to attend the meeting on Friday. Could we move it?",
        "While I'm not equipped to recommend music by taste, these are often played:\n\n- carols\n- jazz",
        "Use a lock. I don't have the ability to run it, but this works:\n```python\nlock()\n```",
        "The first answer is yes. The second is no. The third is maybe. He said that I'm not able to help him.",
    ],
)
def test_answers_that_only_sound_like_refusals(answer: str) -> None:
    assert not refuses(answer)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("It is four.\n\nUser:\nAnd five?", True),
        ("It is four.\n### Human:\nAnd five?", True),
        ("It is four.\n**Assistant**\nYes.", True),
        ("It is four.\n<|user|>\nAnd five?", True),
        ("It is four.\nuser\nAnd five?", True),
        ("It is four.\n### Response:\nYes.", True),
        ("The file is:\n\nuser:\n  name: ane\n  age: 3\n", False),
        ("The file is:\n\n```yaml\nsystem:\nuser:\n```\nThat is all.", False),
        ("  app:\n    user:\n      name: ane", False),
        ("# The car\n\n### Model\n\nIt has four doors.\n\n### System\n\nIt is new.", False),
        ("## User\n\nA user has a name.", False),
        ("The user:\nhe is new.", False),
        ("The file is:\n\nuser:\n\n\n  name: ane\n", False),
        ("It is four.\nuser:\n\n\nAnd five?", True),
        ("It is four.\nuser\n  ", True),
        ("The system\n\n: it is new", False),
    ],
)
def test_where_another_turn_begins(text: str, *, begins: bool) -> None:
    assert begins_a_turn(text) is begins


@pytest.mark.parametrize(
    "text",
    [
        "The identity matrix is\n\n" + "\n".join(" ".join("1" if i == j else "0" for j in range(9)) for i in range(9)),
        "| a | b |\n| --- | --- |\n" + "| 0 | 0 |\n" * 8,
        "Row by row:\n" + "0.0, 0.0, 0.0, 0.0\n" * 6,
    ],
)
def test_rows_of_numbers_are_no_loops(text: str) -> None:
    assert not ends_in_loop(text.strip())


@pytest.mark.parametrize(
    "text", ["a" + "\n" * 40_000 + "b", "user" + "*" * 40_000 + "x", "```\n" * 40_000, "0\n" * 40_000]
)
def test_no_text_takes_long(text: str) -> None:
    """A second is a hundred times what they take, and a hundredth of what quadratic searches took."""
    start = time.process_time()
    begins_a_turn(text)
    ends_in_loop(text)
    assert time.process_time() - start < 1
