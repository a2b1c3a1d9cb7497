"""Layouts of prompts, a small TOML file each: how a model is shown examples and a text to translate.

    latxa translate --prompt base            a base model continues a list of examples
    latxa translate --prompt chat            an instruct model is asked
    latxa translate --prompt mine.toml       a layout of your own

A layout has a `form` ("completion", "chat", or "rendered": what a chat template would write) and a `text` with these
fields: `{source}`, `{source_name}`, `{source_code}`, `{target_name}`, `{target_code}`. What else it may say stands at
`Layout`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from latxa_cli.chat.special import begin_of_text
from latxa_cli.chat.thinking import heeds_thinking
from latxa_cli.generation.engine import Decoding, Request
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.tables import find_files, read_table
from latxa_cli.translation.languages import Language

FOLDER = Path(__file__).parent / "prompts"
Form = Literal["completion", "chat", "rendered"]
Names = Literal["own", "english"]
Pair = tuple[str, str]  # a text and its translation

_TRUTH = ("true or false", (bool,))
_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {  # of settings that are no texts
    "examples": _TRUTH, "thinking": _TRUTH, "temperature": ("a number", (int, float)),
}  # fmt: skip
_FIELDS = frozenset(("source", "target", "source_name", "target_name", "source_code", "target_code"))
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout of prompts.

    - form: how the model reads a prompt (see above).
    - names: of languages, as they call themselves ("own") or "english".
    - text: the prompt's end, or in a chat what the user says of a text.
    - example: a text and its translation (`{target}`) before; a chat shows them as turns. Empty: see `examples`.
    - examples: whether the model is shown any; models that only translate have not learnt to read them.
    - structured: the same as `text` for several texts at once, which are a JSON object. A base model needs no other.
    - system: the system message of a chat.
    - stop, stop_of_line: where the translation of a text, or of a text of one line, ends.
    - thinking: whether a reasoning model is told to think aloud; not, if it can be told.
    - temperature: of further drafts; the first one of a text is greedy.
    """

    name: str
    form: Form
    text: str
    names: Names = "own"
    example: str = ""
    examples: bool = True
    structured: str = ""
    system: str = ""
    stop: str = ""
    stop_of_line: str = ""
    thinking: bool | None = None
    temperature: float = 0.7

    @property
    def can_structure(self) -> bool:
        """Whether a model can be asked for several texts at once."""
        return bool(self.structured) or self.form == "completion"


def load_layout(name: str) -> Layout:
    """Return a layout of latxa's own or of a file; raises UsageError, and LatxaError for a bad file."""
    known = [one.name for one in fields(Layout) if one.name != "name"]
    files = find_files("--prompt", [name], FOLDER)
    if len(files) > 1:
        raise UsageError(f"`--prompt {name}` is a folder of several layouts", hint="name one file")
    return read_table(files[0], known, _layout)


def prompt_of(layout: Layout, languages: tuple[Language, Language], tokenizer: Any) -> Prompt:
    """Return the layout for two languages and a model; `tokenizer` is None where a server keeps it to itself.

    Raises UsageError for a chat with a model that has no chat template.
    """
    if tokenizer is None:
        return Prompt(layout, *languages)
    if layout.form == "chat":
        if not tokenizer.chat_template:
            raise UsageError(
                f"`--prompt {layout.name}` is for models with a chat template, which this one lacks",
                hint="`--prompt base` shows a base model examples",
            )
        if layout.thinking is None and heeds_thinking(tokenizer):
            layout = replace(layout, thinking=False)
    begins = layout.form == "rendered" and begin_of_text(tokenizer)
    return Prompt(layout, *languages, tokenizer.bos_token if begins else "")


def _layout(name: str, table: dict[str, Any]) -> Layout:
    """Return the layout that a table describes; raises ValueError that says what is wrong."""
    for key, value in table.items():
        what, types = _TYPES.get(key, ("a text", (str,)))
        if type(value) not in types:
            raise ValueError(f"`{key}` is not {what}")
    _check_choice("form", table.get("form"), get_args(Form))
    _check_choice("names", table.get("names", "own"), get_args(Names))
    if not 0 <= table.get("temperature", 0) <= 100:
        raise ValueError("`temperature` is out of range")
    for key in ("text", "structured", "example", "stop", "stop_of_line", "system"):
        _check_fields(key, table.get(key, ""))
    if "{source}" not in table.get("text", ""):
        raise ValueError("`text` has no `{source}`")
    if table.get("structured") and "{source}" not in table["structured"]:
        raise ValueError("`structured` has no `{source}`")
    layout = Layout(name, **table)
    if layout.form == "chat" and layout.example:
        raise ValueError("`example` has no effect in a chat, which shows examples as turns")
    if layout.form != "chat":
        if layout.system:
            raise ValueError("`system` is for chats")
        if layout.stop and not {"source_name", "target_name"} & set(_FIELD.findall(layout.stop)):
            raise ValueError("`stop` has no `{source_name}`: a text that holds it would be cut there")
        if layout.stop_of_line and "\n" not in layout.stop_of_line:
            raise ValueError("`stop_of_line` has no line break: a text that holds it would be cut there")
        if layout.examples and not {"{source}", "{target}"} <= {match[0] for match in _FIELD.finditer(layout.example)}:
            raise ValueError("`example` has no `{source}` or no `{target}`; without examples say `examples = false`")
    return layout


def _check_choice(key: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"`{key}` is not " + " or ".join(f'"{choice}"' for choice in choices))


def _check_fields(key: str, text: str) -> None:
    for match in _FIELD.finditer(text):
        if match[1] not in _FIELDS:
            raise ValueError(f"`{key}` has a field `{match[0]}`; there are {', '.join(sorted(_FIELDS))}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A layout for a pair of languages.

    - begin: what a rendered prompt begins with, the first token of the model's texts.
    """

    layout: Layout
    source: Language
    target: Language
    begin: str = ""

    def request(
        self,
        text: str,
        examples: Sequence[Pair],
        *,
        max_tokens: int,
        draft: bool = False,
        seed: int = 0,
        schema: dict[str, Any] | None = None,
    ) -> Request:
        """Return the request for the translation of `text`, with pairs shown before it.

        - draft: whether it is drawn at the layout's temperature, by `seed`.
        - schema: what the translation must obey, if the text is a JSON object.
        """
        layout, fill = self.layout, self._filler([text, *(side for pair in examples for side in pair)])
        # Grammars of JSON allow line breaks between its signs, so that none of these may end an object.
        is_line = "\n" not in text.strip() and not (schema and layout.stop)
        stop = fill(layout.stop_of_line if is_line and layout.stop_of_line else layout.stop)
        decoding = Decoding(max_tokens, layout.temperature if draft else 0.0, stop=(stop,) if stop else ())
        asks = layout.structured if schema and layout.structured else layout.text
        if layout.form == "chat":
            turns = [("system", fill(layout.system))] if layout.system else []
            for source, target in examples:
                turns += [("user", fill(asks, source)), ("assistant", target)]
            turns.append(("user", fill(asks, text)))
            messages = tuple({"role": role, "content": content} for role, content in turns)
            return Request(decoding, seed, messages=messages, thinking=layout.thinking, schema=schema)
        written = "".join(fill(layout.example, *pair) for pair in examples) + fill(asks, text)
        if layout.form == "rendered":
            return Request(decoding, seed, prompt=self.begin + written, schema=schema)
        return Request(decoding, seed, text=written, schema=schema)

    def _filler(self, texts: Sequence[str]) -> _Filler:
        """Return what fills templates, with names of languages by which no text looks like a part of the prompt.

        A text may hold the very string that ends a translation, `English:` at the beginning of a line. Then prompts say
        `English 2:`.
        """
        own = self.layout.names == "own"
        names = [language.name if own else language.english for language in (self.source, self.target)]
        filler, number = _Filler(self, *names), 1
        # Without the space before it, too, a base model takes it for the next example.
        while (stop := filler(self.layout.stop).strip()) and any(stop in text for text in texts):
            number += 1
            filler = _Filler(self, *(f"{name} {number}" for name in names))
        return filler


@dataclass(frozen=True, slots=True)
class _Filler:
    prompt: Prompt
    source_name: str
    target_name: str

    def __call__(self, template: str, source: str = "", target: str = "") -> str:
        """Return the template with its fields filled; what is filled in is never taken for a field itself."""
        values = {
            "source": source,
            "target": target,
            "source_name": self.source_name,
            "target_name": self.target_name,
            "source_code": self.prompt.source.code,
            "target_code": self.prompt.target.code,
        }
        return _FIELD.sub(lambda match: values[match[1]], template)
