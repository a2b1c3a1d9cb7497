"""What the filters take out, each by its reason, and what they leave alone."""

from __future__ import annotations

import pytest
from fake_engine import cut_off, stopped

from latxa_cli.generation.engine import Completion
from latxa_cli.sampling.filters import FILTERS, Filters, check_filters, ends_in_loop
from latxa_cli.stream.errors import UsageError

RULES = Filters(frozenset(("<|eot|>",)), language="en")

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
    check_filters([*FILTERS, "quality"], ["quality"], "en")
    lax = Filters(frozenset(), frozenset(FILTERS))
    for reason, texts in INSTRUCTIONS.items():
        for text in texts:
            assert lax.fault_of_instruction(stopped(text)) == (reason if reason == "empty instruction" else "")
    with pytest.raises(UsageError, match="there is no filter `loops`"):
        check_filters(["loops"], [], None)


def test_tables_and_lists_are_no_loops() -> None:
    table = "\n".join(f"| {n} | {n * n} | {'even' if n % 2 == 0 else 'odd'} |" for n in range(40))
    assert not ends_in_loop(table)
    assert not ends_in_loop("no no no no no")
    assert ends_in_loop("Here it is. " + "1, 2, 3, " * 8)
