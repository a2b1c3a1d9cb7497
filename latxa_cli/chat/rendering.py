"""A conversation as the tokenizer's chat template writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import PurePath
from typing import Any

from latxa_cli.stream.errors import LatxaError, first_line

Message = dict[str, Any]
DATE_FUNCTION = "strftime_now"  # what transformers gives to templates, and they ask


REFUSED = "refused by the chat template"


class TemplateError(LatxaError):
    """The chat template cannot render this conversation, or its turns cannot be found again in the text.

    reason: that for which such conversations are counted.
    """

    def __init__(self, message: str, *, hint: str = "", reason: str = REFUSED) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = False,
    system: str | None = None,
    thinking: bool | None = None,
) -> str:
    """Return the roles and contents of a conversation as the tokenizer's chat template writes them.

    `system` is put first, in place of a system message that the conversation may have. `thinking`: what a template is
    told that asks whether the model thinks aloud.

    Raises:
        LatxaError: the tokenizer has no chat template, or it is no Jinja, so that it renders nothing.
        TemplateError: the template refuses the conversation (a system role, two user turns in a row, …).
    """
    turns = [{"role": message["role"], "content": message["content"]} for message in messages]
    if system is not None:
        turns = [{"role": "system", "content": system}, *(turn for turn in turns if turn["role"] != "system")]
    told = {} if thinking is None else thinking_switches(thinking)
    return render_fields(tokenizer, turns, told, add_generation_prompt=add_generation_prompt)


def render_fields(
    tokenizer: Any, turns: Sequence[Message], given: Mapping[str, Any], *, add_generation_prompt: bool = False
) -> str:
    """Return the turns with all of their fields as the template writes them; `given`: what it is told beside them.

    Raises as `render` does.
    """
    from jinja2.exceptions import TemplateError as JinjaError
    from jinja2.exceptions import TemplateSyntaxError

    if not tokenizer.chat_template:
        raise LatxaError(
            f"`{name_of(tokenizer)}` has no chat template",
            hint="take the instruction-tuned model, or put its `chat_template.jinja` into the directory",
        )
    try:
        return tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=add_generation_prompt, **given, **date_variables(tokenizer)
        )
    except TemplateSyntaxError as error:
        raise _no_jinja(f"the chat template of `{name_of(tokenizer)}`", error) from None
    except (JinjaError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise TemplateError(
            f"the chat template of `{name_of(tokenizer)}` refuses the conversation: {why}",
            hint="the roles must be those that the template knows, in an order that it allows",
        ) from error


def check_template(template: str, name: str) -> None:
    """Raise LatxaError for a template, called `name`, that is no Jinja."""
    from jinja2.exceptions import TemplateSyntaxError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        render_jinja_template([], chat_template=template)  # compiles it, and renders nothing
    except TemplateSyntaxError as error:
        raise _no_jinja(f"`{name}`", error) from None


def _no_jinja(what: str, error: Any) -> LatxaError:
    return LatxaError(
        f"{what} is no chat template: line {error.lineno}: {first_line(error)}", hint="templates are written in Jinja"
    )


def thinking_switches(thinking: bool) -> dict[str, bool]:
    """Return the variables by which templates are told whether the model thinks aloud (Qwen 3; Granite, DeepSeek)."""
    return {"enable_thinking": thinking, "thinking": thinking}


def set_date(tokenizer: Any, day: date | None) -> None:
    """Have the tokenizer's template take `day` for today; None: what the clock says whenever it asks."""
    tokenizer.date_of_template = day


def asks_for_date(tokenizer: Any) -> bool:
    """Whether the template writes the day of today (Llama 3.2, SmolLM3, gpt-oss)."""
    return DATE_FUNCTION in str(tokenizer.chat_template)


def date_variables(tokenizer: Any) -> dict[str, Callable[[str], str]]:
    """Return the function by which a template asks for the date, if the tokenizer was told one."""
    day = getattr(tokenizer, "date_of_template", None)
    return {} if day is None else {DATE_FUNCTION: datetime.combine(day, time()).strftime}


def name_of(tokenizer: Any) -> str:
    """The model's directory or hub name, as the user would know it."""
    return PurePath(tokenizer.name_or_path).name or "the tokenizer"
