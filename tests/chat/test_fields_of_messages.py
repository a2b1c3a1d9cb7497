"""Tools, thoughts and other fields of conversations: what is trained of them, and what is told where nothing is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from chat_families import letters
from tool_templates import SPECIAL, TEMPLATES

from latxa_cli.chat.given import IgnoredError
from latxa_cli.chat.loss_mask import TokenisedChat, encode_chats
from latxa_cli.chat.rendering import TemplateError
from latxa_cli.training.data.tokenised import TokenisingSettings, tokenise_records

Record = dict[str, Any]
Make = Callable[[str], Any]

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}


def call(place: str, identity: str = "abcdefghi") -> Record:
    return {"id": identity, "type": "function", "function": {"name": "weather", "arguments": {"place": place}}}


def says(role: str, content: str, **more: Any) -> Record:
    return {"role": role, "content": content, **more}


WITH_TOOLS = [
    says("user", "Bero da Bilbon?"),
    says("assistant", "", tool_calls=[call("Bilbo")]),
    says("tool", '{"t": "31"}', tool_call_id="abcdefghi"),
    says("assistant", "Bai, 31 gradu."),
    says("user", "Eta Irun?"),
    says("assistant", "", tool_calls=[call("Irun")]),
    says("tool", '{"t": "19"}', tool_call_id="abcdefghi"),
    says("assistant", "Ez, 19."),
]


@pytest.fixture(scope="module")
def make() -> Make:
    from transformers import PreTrainedTokenizerFast

    def make(name: str) -> Any:
        return PreTrainedTokenizerFast(
            tokenizer_object=letters(), bos_token="<s>", eos_token="</s>", chat_template=TEMPLATES[name],
            extra_special_tokens=list(SPECIAL[2:]),
        )  # fmt: skip

    return make


def encoded(tokenizer: Any, messages: list[Record], loss: Any = "assistant", **record: Any) -> TokenisedChat:
    before = copy.deepcopy(messages)
    (found,) = encode_chats(tokenizer, [messages], [{"messages": messages, **record}], loss=loss)
    assert messages == before, "a record is as it was"
    if isinstance(found, TemplateError):
        raise found
    return found


def trained(tokenizer: Any, messages: list[Record], loss: Any = "assistant", **record: Any) -> list[str]:
    """The trained runs, as text."""
    found = encoded(tokenizer, messages, loss, **record)
    given = {"tools": record["tools"]} if record.get("tools") else {}
    if not any("function_call" in message or "reasoning" in message for message in messages):
        whole = [{name: x for name, x in message.items() if name != "weight"} for message in messages]
        text = tokenizer.apply_chat_template(whole, tokenize=False, **given)
        assert tokenizer.decode(found.ids).removesuffix("</s>") == text.removesuffix("</s>")
    runs: list[list[int]] = []
    for place, token in enumerate(found.ids):
        if found.trained[place]:
            if not place or not found.trained[place - 1]:
                runs.append([])
            runs[-1].append(token)
    return [tokenizer.decode(run) for run in runs]


CALLED = {
    "qwen": '<tool_call>\n{{"name": "weather", "arguments": {{"place": "{}"}}}}\n</tool_call><|im_end|>',
    "llama": '{{"name": "weather", "parameters": {{"place": "{}"}}}}<|eom_id|>',
    "mistral": '[TOOL_CALLS] [{{"name": "weather", "arguments": {{"place": "{}"}}, "id": "abcdefghi"}}]</s>',
}
EMPTY = "<think>\n\n</think>\n\n"  # the thought of a last answer that has none
ENDS = {"qwen": "<|im_end|>", "llama": "<|eot_id|>", "mistral": "</s>"}


@pytest.mark.parametrize("name", CALLED)
def test_calls_are_trained_as_the_template_writes_them_and_results_are_not(make: Make, name: str) -> None:
    tokenizer = make(name)
    found = [text.lstrip(" ") for text in trained(tokenizer, WITH_TOOLS, tools=[TOOL])]
    assert found == [
        CALLED[name].format("Bilbo"), "Bai, 31 gradu." + ENDS[name],
        CALLED[name].format("Irun"), (EMPTY if name == "qwen" else "") + "Ez, 19." + ENDS[name],
    ]  # fmt: skip
    everything = trained(tokenizer, WITH_TOOLS, "all", tools=[TOOL])
    assert not any('"t"' in text or '\\"t\\"' in text for text in everything)
    assert any("Eta Irun?" in text for text in everything)


def test_several_calls_words_beside_them_and_results(make: Make) -> None:
    messages = [
        says("user", "Non dago beroago?"),
        says("assistant", "Goazen ikustera.", tool_calls=[call("Bilbo"), call("Irun", "ihgfedcba")]),
        says("tool", "31"),
        says("tool", ""),
        says("assistant", "Bilbon."),
    ]
    first, second = (CALLED["qwen"].format(place).removesuffix("<|im_end|>") for place in ("Bilbo", "Irun"))
    assert [text.strip() for text in trained(make("qwen"), messages, tools=[TOOL])] == [
        f"Goazen ikustera.\n{first}\n{second}<|im_end|>",
        EMPTY + "Bilbon.<|im_end|>",
    ]
    with pytest.raises(TemplateError, match="one call at a time"):
        trained(make("llama"), messages)
    with pytest.raises(IgnoredError, match="leaves out `content` beside `tool_calls`"):
        trained(make("mistral"), messages, tools=[TOOL])


def test_arguments_as_json_and_the_former_field_are_the_same_call(make: Make) -> None:
    former = copy.deepcopy(WITH_TOOLS)
    as_json = copy.deepcopy(WITH_TOOLS)
    for place, where in ((1, "Bilbo"), (5, "Irun")):
        as_json[place]["tool_calls"][0]["function"]["arguments"] = f'{{"place": "{where}"}}'
        del former[place]["tool_calls"]
        former[place]["function_call"] = {"name": "weather", "arguments": f'{{"place": "{where}"}}'}
    tokenizer = make("qwen")
    expected = encoded(tokenizer, WITH_TOOLS, tools=[TOOL])
    assert encoded(tokenizer, as_json, tools=json.dumps([TOOL])) == expected
    assert encoded(tokenizer, as_json, tools=[TOOL["function"]]) == expected
    assert encoded(tokenizer, former, functions=[TOOL["function"]]) == expected


def test_tools_of_tables_are_the_same_tools(make: Make) -> None:
    """Arrow writes a null for each name that another call or tool has; parameters may be a text of JSON."""
    function = {**TOOL["function"], "parameters": json.dumps(TOOL["function"]["parameters"]), "strict": None}
    called = copy.deepcopy(WITH_TOOLS)
    for place in (1, 5):
        called[place]["tool_calls"][0]["function"]["arguments"]["day"] = None
        called[place]["tool_calls"][0]["index"] = None
    tokenizer = make("qwen")
    found = encoded(tokenizer, called, tools=[{"type": "function", "function": function, "name": None}])
    assert found[:2] == encoded(tokenizer, WITH_TOOLS, tools=[TOOL])[:2]
    remarks = {f"what is null in `{name}` is not trained" for name in ("tools", "tool_calls")}
    assert remarks == found.remarks - encoded(tokenizer, WITH_TOOLS, tools=[TOOL]).remarks
    in_json = copy.deepcopy(WITH_TOOLS)
    in_json[1]["tool_calls"] = json.dumps(in_json[1]["tool_calls"])
    assert encoded(tokenizer, in_json, tools=[json.dumps(TOOL)]) == encoded(tokenizer, WITH_TOOLS, tools=[TOOL])


THOUGHT = [says("user", "2+2?"), says("assistant", "4.", reasoning_content="Erraza.")]
TWICE = [*THOUGHT, says("user", "Eta 3+3?"), says("assistant", "6.", reasoning_content="Hau ere bai.")]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
@pytest.mark.parametrize(
    ("template", "written"),
    [
        ("qwen", "<think>\nErraza.\n</think>\n\n4.<|im_end|>"),
        (
            "channels",
            "<|channel|>analysis<|message|>Erraza.<|end|><|start|>assistant<|channel|>final<|message|>4.<|return|>",
        ),
    ],
)
def test_a_thought_is_trained_by_whatever_name(make: Make, name: str, template: str, written: str) -> None:
    messages = [THOUGHT[0], says("assistant", "4.", **{name: "Erraza."})]
    found = encoded(make(template), messages)
    text = make(template).decode([token for token, learnt in zip(found.ids, found.trained, strict=True) if learnt])
    assert text.lstrip() == written and not found.remarks


def test_a_thought_before_a_call(make: Make) -> None:
    messages = [
        says("user", "Bero?"),
        says("assistant", "", tool_calls=[call("Bilbo")], reasoning_content="Galdetu."),
        says("tool", "31"),
        says("assistant", "Bai.", reasoning_content="31 da."),
    ]
    first, last = trained(make("qwen"), messages, tools=[TOOL])
    assert first.lstrip() == "<think>\nGaldetu.\n</think>\n\n" + CALLED["qwen"].format("Bilbo")
    assert last.lstrip() == "<think>\n31 da.\n</think>\n\nBai.<|im_end|>"


def test_an_earlier_answer_whose_thought_is_left_out_is_not_trained_and_told(make: Make) -> None:
    """A model that thinks must not learn to answer without."""
    assert [text.lstrip() for text in trained(make("qwen"), TWICE)] == [
        "<think>\nHau ere bai.\n</think>\n\n6.<|im_end|>"
    ]
    (remark,) = encoded(make("qwen"), TWICE).remarks
    assert remark == "an earlier answer, whose thought the template leaves out, is not trained"
    assert not any("4." in text for text in trained(make("qwen"), TWICE, "all"))


def test_a_message_with_weight_0_and_a_call_is_not_trained(make: Make) -> None:
    messages = copy.deepcopy(WITH_TOOLS)
    messages[1]["weight"] = 0
    found = trained(make("qwen"), messages, tools=[TOOL])
    assert len(found) == 3 and not any("Bilbo" in text for text in found)


@pytest.mark.parametrize(
    ("messages", "record", "field"),
    [
        (WITH_TOOLS[:4], {}, "`tool_calls` of messages"),
        (THOUGHT, {}, "`reasoning_content` of messages"),
        ([THOUGHT[0], says("assistant", "4.", thinking="Erraza.")], {}, "`thinking` of messages"),
        ([says("user", "a"), says("assistant", "b")], {"tools": [TOOL]}, "`tools` of records"),
        ([says("user", "a"), says("assistant", "b")], {"documents": [{"title": "a", "text": "b"}]},
         "`documents` of records"),
        ([says("user", "<image> a"), says("assistant", "b")], {"images": ["a.png"]}, "`images` of records"),
        ([says("user", "a", images=["a.png"]), says("assistant", "b")], {}, "`images` of messages"),
        ([says("user", "a"), says("assistant", "b", prefix=True)], {}, "`prefix` of messages"),
        ([says("user", "a"), says("assistant", "", refusal="Ez.")], {}, "`refusal` of messages"),
        ([says("user", "a"), says("assistant", "b")], {"chat_template_kwargs": {"enable_thinking": True}},
         "`chat_template_kwargs` of records"),
    ],
)  # fmt: skip
def test_what_the_template_leaves_out_is_refused_by_name(
    make: Make, messages: list[Record], record: Record, field: str
) -> None:
    whole = {"id": "1", "messages": messages, "source": "x", **record}
    plain = {"id": "2", "messages": [says("user", "a"), says("assistant", "b")]}
    pieces = tokenise_records([whole, plain], make("deaf"), TokenisingSettings(999))
    assert [(reject.reason, reject.record["id"]) for reject in pieces.rejects] == [
        (f"{field} not in the chat template", "1")
    ]
    assert len(pieces.ids) == 1 and not pieces.remarks


def test_notes_beside_messages_are_counted_and_a_name_is_written_where_the_template_does(make: Make) -> None:
    noted = [says("user", "a", timestamp="2024", name="Ane"), says("assistant", "b")]
    tokenizer = make("deaf")
    pieces = tokenise_records([{"id": "1", "messages": noted}], tokenizer, TokenisingSettings(999))
    assert (
        pieces.remarks == {f"`{name}` of messages is not trained": 1 for name in ("timestamp", "name")}
        and not pieces.rejects
    )
    tokenizer.chat_template = TEMPLATES["deaf"].replace("{{ turn.content }}", "{{ turn.name }}{{ turn.content }}")
    assert "Anea" in tokenizer.decode(encoded(tokenizer, noted).ids)
    assert encoded(tokenizer, noted).remarks == {"`timestamp` of messages is not trained"}


@pytest.mark.parametrize(
    ("change", "says_so"),
    [
        (
            lambda messages: messages[1]["tool_calls"][0]["function"]["arguments"].update(place="<|im_end|>"),
            "holds the",
        ),
        (lambda messages: messages[2].update(content="<|im_start|>system"), "holds the special token `<|im_start|>`"),
        (lambda messages: messages[1].update(tool_calls=[{"function": {}}]), "has no `function` with a `name`"),
        (lambda messages: messages[1].update(tool_calls={"name": "a"}), "is an object, not a list"),
        (lambda messages: messages[1].update(reasoning="a", thinking="b"), "two different thoughts"),
        (lambda messages: messages[1].update(reasoning=["a"]), "`reasoning` is an array, not a string"),
        (
            lambda messages: messages[1]["tool_calls"][0]["function"].update(arguments="place=Irun"),
            "the arguments of a call in `tool_calls` are a string, not an object",
        ),
    ],
)
def test_calls_that_are_not_to_be_understood_are_told(make: Make, change: Any, says_so: str) -> None:
    messages = copy.deepcopy(WITH_TOOLS[:4])
    change(messages)
    with pytest.raises(TemplateError) as caught:
        encoded(make("qwen"), messages, tools=[TOOL])
    assert says_so in caught.value.message


def test_a_template_that_writes_calls_without_their_arguments_leaves_them_out(make: Make) -> None:
    tokenizer = make("qwen")
    tokenizer.chat_template = TEMPLATES["qwen"].replace("{{- call.function.arguments | tojson }}", "")
    with pytest.raises(IgnoredError, match="`tool_calls`"):
        encoded(tokenizer, WITH_TOOLS, tools=[TOOL])
