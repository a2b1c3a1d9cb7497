"""The prompt for an answer, beside what stands before an answer in a text of training.

A model writes answers after the prompt that its template makes for one. A text of training may have more there (a
channel in gpt-oss, an empty thought in Qwen 3, a space in Mistral), which the model has to write. Or it has something
else (distillations of DeepSeek R1, whose prompt begins a thought): then a model is asked for what it has not learnt.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from latxa_cli.chat.rendering import TemplateError, render
from latxa_cli.chat.skeleton import PLACEHOLDER, cut, dialogue

SHOWN = 60  # characters
ON, OFF = "`enable_thinking: true` (`--thinking on`)", "`enable_thinking: false` (`--thinking off`)"


class AnswerPrompt(NamedTuple):
    """What stands before an answer without thoughts.

    Attributes:
        written: what a text of training has between a question and its answer.
        lead: the end of it that is no part of the prompt for an answer, so that the model has to write it.
        remark: for people, where a prompt that the template writes is not what a text of training has.
    """

    written: str
    lead: str
    remark: str


def answer_prompt(tokenizer: Any) -> AnswerPrompt:
    """Return what stands before an answer; nothing where the template writes no question and answer as they stand."""
    try:
        begin, written, _ = dialogue(tokenizer, 2)
        prompts = _prompts(tokenizer)
    except TemplateError:
        return AnswerPrompt("", "", "")
    user, answer = (PLACEHOLDER.format(number, number) for number in range(2))
    text = _tokens(tokenizer, begin + user + written + answer)
    fitting = [thinking for thinking, (ids, _) in prompts.items() if text[: len(ids)] == ids]
    asked = prompts[fitting[0] if fitting else None][1]
    more = written.removeprefix(asked)
    lead = more if len(more) < len(written) else ""
    learnt = f"answers are learnt behind {_shown(written)}, and asked for"
    if None in fitting and False not in fitting:  # as in SmolLM3: without thoughts, its instructions are others
        off = prompts[False][1]
        behind = "another beginning" if off == prompts[None][1] else _shown(off)
        told = f"where the template is told {OFF}: `--chat-template` can name one that does so unasked"
        return AnswerPrompt(written, lead, f"{learnt} behind {behind} {told}")
    if None in fitting:
        return AnswerPrompt(written, lead, "")
    places = f"{learnt} behind {_shown(prompts[None][1])}"
    if fitting:
        return AnswerPrompt(written, lead, f"{places} unless the template is told {ON if fitting[0] else OFF}")
    return AnswerPrompt(written, lead, f"{places}: `--chat-template` can name a template without that")


def _prompts(tokenizer: Any) -> dict[bool | None, tuple[list[int], str]]:
    """Return the prompt for an answer as tokens, with the question, and as text behind it, by what is told of thoughts.

    Raises:
        TemplateError: the template writes no such prompt.
    """
    user = PLACEHOLDER.format(0, 0)
    found = {}
    for thinking in (None, False, True):
        text = render(tokenizer, [{"role": "user", "content": user}], add_generation_prompt=True, thinking=thinking)
        found[thinking] = _tokens(tokenizer, text), cut(tokenizer, text, [user]).pieces[1]
    return found


def _tokens(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _shown(text: str) -> str:
    """Return the end of a text on one line."""
    return "`" + ("…" if len(text) > SHOWN else "") + text[-SHOWN:].replace("\n", "\\n") + "`"
