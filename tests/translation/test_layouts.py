"""Layouts of prompts: those that come with latxa, and what a file of the user's may say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from backwards import LANGUAGES, PROMPT
from tokenizer_kinds import gpt_2
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.tables import names_in
from latxa_cli.translation.languages import pair_of
from latxa_cli.translation.layouts import FOLDER, Prompt, load_layout, prompt_of

PAIRS = [("one", "eno"), ("two", "owt")]
BASQUE = pair_of("en", "eu")


def test_a_base_model_continues_the_examples() -> None:
    request = PROMPT.request("three", PAIRS, max_tokens=9)
    assert request.text == (
        "English: one\nBackwards: eno\n\nEnglish: two\nBackwards: owt\n\nEnglish: three\nBackwards:"
    )
    assert PROMPT.request("x", [], max_tokens=9).text == "English: x\nBackwards:"
    assert request.decoding.max_tokens == 9 and request.decoding.temperature == 0.0


def test_a_line_ends_at_its_end_and_a_longer_text_at_the_next_example() -> None:
    assert PROMPT.request("one line\n", [], max_tokens=9).decoding.stop == ("\n",)
    assert PROMPT.request("two\nlines", [], max_tokens=9).decoding.stop == ("\n\nEnglish:",)


def test_no_line_break_ends_an_object() -> None:
    """Grammars of JSON allow them, so that a translation would end within it."""
    request = PROMPT.request('{"a": "x"}', [], max_tokens=9, schema={"type": "object"})
    assert request.decoding.stop == ("\n\nEnglish:",)
    own = replace(PROMPT, layout=replace(PROMPT.layout, stop=""))
    assert own.request('{"a": "x"}', [], max_tokens=9, schema={"type": "object"}).decoding.stop == ("\n",)


@pytest.mark.parametrize("text", ["Say:\n\nEnglish: Hello.\nEuskara: Kaixo.", "a\nEnglish:b", "English: x"])
def test_no_text_holds_what_ends_its_translation(text: str) -> None:
    for pairs in ([(text, "x")], [("x", text)]):
        assert PROMPT.request("a\nb", pairs, max_tokens=9).decoding.stop == ("\n\nEnglish 2:",)
    request = PROMPT.request(f"{text}\nEnglish 2: more", [("one", "eno")], max_tokens=9)
    assert request.decoding.stop == ("\n\nEnglish 3:",)
    assert request.text is not None and request.text.startswith("English 3: one\nBackwards 3: eno\n\nEnglish 3: ")


def test_fields_in_texts_are_left_alone() -> None:
    request = PROMPT.request("{target} {source_name}", [("{source}", "{target_name}")], max_tokens=9)
    assert request.text == "English: {source}\nBackwards: {target_name}\n\nEnglish: {target} {source_name}\nBackwards:"


def test_a_chat_shows_examples_as_turns() -> None:
    request = Prompt(load_layout("chat"), *BASQUE).request("three", [("one", "bat")], max_tokens=9)
    assert request.messages is not None and request.text is None and request.decoding.stop == ()
    assert [turn["role"] for turn in request.messages] == ["user", "assistant", "user"]
    assert request.messages[1]["content"] == "bat"
    assert "from English into Basque" in request.messages[0]["content"]
    assert request.messages[2]["content"].endswith("\n\nthree")


def test_models_that_only_translate_are_asked_as_they_were_taught() -> None:
    (turn,) = Prompt(load_layout("salamandrata"), *BASQUE).request("Hello.", [], max_tokens=9).messages or ()
    assert turn["content"] == "Translate the following text from English into Basque.\nEnglish: Hello. \nBasque:"
    request = Prompt(load_layout("translategemma"), *BASQUE, begin="<bos>").request("Hello.", [], max_tokens=9)
    assert request.prompt is not None
    assert request.prompt.startswith("<bos><start_of_turn>user\nYou are a professional English (en) to Basque (eu)")
    assert request.prompt.endswith("text into Basque:\n\n\nHello.<end_of_turn>\n<start_of_turn>model\n")


def test_drafts_are_drawn_by_their_seed() -> None:
    greedy, draft = (PROMPT.request("x", [], max_tokens=9, draft=draft, seed=7) for draft in (False, True))
    assert greedy.decoding.temperature == 0.0 and draft.decoding.temperature == PROMPT.layout.temperature > 0
    assert draft.seed == 7


@pytest.mark.parametrize("name", names_in(FOLDER))
def test_every_layout_that_comes_with_latxa_can_be_read(name: str) -> None:
    assert load_layout(name).name == name


GOOD = 'form = "completion"\ntext = "{source}"\nexamples = false\n'


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", '`form` is not "completion" or "chat" or "rendered"'),
        ('form = "poem"', "`form` is not"),
        ('form = "chat"\ntext = 3', "`text` is not a text"),
        ('form = "chat"\ntext = "translate"', "`text` has no `{source}`"),
        ('form = "chat"\ntext = "{source} {langauge}"', "`text` has a field `{langauge}`"),
        ('form = "completion"\ntext = "{source}"', "`example` has no `{source}`"),
        (GOOD + 'names = "short"', '`names` is not "own" or "english"'),
        (GOOD + 'system = "Translate."', "`system` is for chats"),
        (GOOD + 'stop = "###"', "`stop` has no `{source_name}`"),
        (GOOD + 'stop_of_line = "."', "`stop_of_line` has no line break"),
        (GOOD + "temperature = true", "`temperature` is not a number"),
        (GOOD + "temperature = -1", "`temperature` is out of range"),
        (GOOD + 'thinking = "off"', "`thinking` is not true or false"),
        ('form = "chat"\ntext = "{source}"\nexample = "{source}{target}"', "`example` has no effect in a chat"),
        (GOOD + "stops = 1", "there is no setting `stops`"),
    ],
)
def test_a_bad_file_is_told(table: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(table)
    with pytest.raises(LatxaError) as error:
        load_layout(str(path))
    assert message in error.value.message


def test_a_layout_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + 'stop = "\\n{target_name}"\ntemperature = 1\n')
    request = Prompt(load_layout(str(path)), *LANGUAGES).request("a\nb", [], max_tokens=9, draft=True)
    assert request.text == "a\nb" and request.decoding.stop == ("\nBackwards",) and request.decoding.temperature == 1
    with pytest.raises(UsageError, match="there is no prompt `bas`"):
        load_layout("bas")
    with pytest.raises(UsageError, match="several layouts"):
        load_layout(str(FOLDER))


def test_a_chat_needs_a_chat_template_and_rendered_prompts_begin_as_texts_do() -> None:
    begins = gpt_2()
    begins.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", begins.token_to_id("<s>"))])
    plain = PreTrainedTokenizerFast(tokenizer_object=begins, bos_token="<s>")
    with pytest.raises(UsageError, match="lacks"):
        prompt_of(load_layout("chat"), LANGUAGES, plain)
    assert prompt_of(load_layout("translategemma"), LANGUAGES, plain).begin == "<s>"
    assert prompt_of(load_layout("base"), LANGUAGES, plain).begin == ""
    beginless = PreTrainedTokenizerFast(tokenizer_object=gpt_2(), bos_token="<s>")
    assert prompt_of(load_layout("translategemma"), LANGUAGES, beginless).begin == ""
    assert prompt_of(load_layout("chat"), LANGUAGES, None).layout.thinking is None
