"""Chat templates of several families, as publicly documented, written anew on a small byte-level tokenizer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from latxa_cli.chat.loss_mask import TokenisedChat, encode_chat, encode_chats
from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.rendering import TemplateError, render
from latxa_cli.chat.special import special_tokens
from latxa_cli.chat.thinking import can_think
from latxa_cli.chat.turn_end import end_of_answer_ids, end_of_turn_ids
from latxa_cli.stream.errors import LatxaError

LLAMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{% set given = messages[0]['content'] %}{% set turns = messages[1:] %}"
    "{% else %}{% set given = '' %}{% set turns = messages %}{% endif %}"
    "<|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024\n\n{{ given }}<|eot_id|>"
    "{% for turn in turns %}<|start_header_id|>{{ turn['role'] }}<|end_header_id|>\n\n"
    "{{ turn['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for turn in messages %}"
    "{% if turn['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles alternate') }}{% endif %}"
    "<start_of_turn>{{ 'model' if turn['role'] == 'assistant' else turn['role'] }}\n"
    "{{ turn['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set given = messages[0]['content'] %}"
    "{% set turns = messages[1:] %}{% else %}{% set given = '' %}{% set turns = messages %}{% endif %}"
    "{% for turn in turns %}{% if turn['role'] == 'user' %}"
    "[INST] {% if given and turn == (turns | selectattr('role', 'equalto', 'user') | list | last) %}"
    "{{ given }}\n\n{% endif %}{{ turn['content'] }}[/INST]"
    "{% else %} {{ turn['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
ALPACA = (
    "{% for turn in messages %}{% if turn['role'] == 'system' %}{{ turn['content'] }}\n\n"
    "{% elif turn['role'] == 'user' %}### Instruction:\n{{ turn['content'] }}\n\n"
    "{% else %}### Response:\n{{ turn['content'] }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}### Response:\n{% endif %}"
)
# A template that looks at contents: thoughts are left out of all answers but the last.
THINKING = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n"
    "{% if turn['role'] == 'assistant' and '</think>' in turn['content'] and not loop.last %}"
    "{{ turn['content'].split('</think>')[-1] }}{% else %}{{ turn['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# A template that writes answers in capitals: what was said cannot be found again.
SHOUTING = "{% for turn in messages %}<|im_start|>{{ turn['content'] | upper }}<|im_end|>{% endfor %}"

TEMPLATES = {"llama": LLAMA, "chatml": CHATML, "gemma": GEMMA, "mistral": MISTRAL, "alpaca": ALPACA}
SPECIAL = [
    "<s>", "</s>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>",
    "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]",
]  # fmt: skip
END_OF_TURN = {
    "llama": "<|eot_id|>", "chatml": "<|im_end|>", "gemma": "<end_of_turn>", "mistral": "</s>", "alpaca": "</s>",
}  # fmt: skip
CHAT = [
    {"role": "user", "content": "Zer da mendia?"},
    {"role": "assistant", "content": "Lur garaia."},
    {"role": "user", "content": "Eta ñabar?"},
    {"role": "assistant", "content": "Kolore askokoa 🐦."},
]


@pytest.fixture(scope="module")
def bare():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([message["content"] for message in CHAT] * 3, trainer=trainer)
    return tokenizer


@pytest.fixture
def make(bare):
    from transformers import PreTrainedTokenizerFast

    def make(template):
        return PreTrainedTokenizerFast(
            tokenizer_object=bare, bos_token="<s>", eos_token="</s>", extra_special_tokens=SPECIAL[2:],
            chat_template=template, name_or_path="models/tiny",
        )  # fmt: skip

    return make


@pytest.fixture(params=TEMPLATES)
def named(request, make):
    return request.param, make(TEMPLATES[request.param])


def trained_text(tokenizer, encoded):
    """The runs of trained tokens, as text."""
    runs, last = [], False
    for token, trained in zip(encoded.ids, encoded.trained, strict=True):
        if trained and not last:
            runs.append([])
        if trained:
            runs[-1].append(token)
        last = trained
    return [tokenizer.decode(run) for run in runs]


def test_pre_query_rebuilds_what_the_template_writes(named):
    _, tokenizer = named
    around = pre_query(tokenizer)
    messages = [{"role": "user", "content": "Kaixo"}]
    assert around.prefix + "Kaixo" + around.suffix == render(tokenizer, messages, add_generation_prompt=True)


PREFIXES = {
    "llama": "<s><|start_header_id|>user<|end_header_id|>\n\n",
    "chatml": "<|im_start|>user\n",
    "gemma": "<s><start_of_turn>user\n",
    "mistral": "<s>[INST] ",
    "alpaca": "### Instruction:\n",
}


def test_pre_query_without_the_default_system_block(named):
    name, tokenizer = named
    assert pre_query(tokenizer, default_system=False).prefix == PREFIXES[name]
    assert pre_query(tokenizer, default_system=False).suffix == pre_query(tokenizer).suffix


@pytest.mark.parametrize("name", ["llama", "chatml", "mistral", "alpaca"])
def test_pre_query_with_a_system_message(make, name):
    tokenizer = make(TEMPLATES[name])
    around = pre_query(tokenizer, system="Be brief.", default_system=False)
    assert "Be brief." in around.prefix
    messages = [{"role": "user", "content": "Kaixo"}]
    whole = render(tokenizer, messages, add_generation_prompt=True, system="Be brief.")
    assert around.prefix + "Kaixo" + around.suffix == whole


def test_a_system_message_takes_the_place_of_the_conversations(make):
    messages = [{"role": "system", "content": "old"}, {"role": "user", "content": "Kaixo"}]
    text = render(make(CHATML), messages, system="new")
    assert "new" in text and "old" not in text


def test_a_template_that_refuses_a_system_message(make):
    with pytest.raises(TemplateError, match=r"`tiny` refuses the conversation: System role not supported"):
        pre_query(make(GEMMA), system="Be brief.")


def test_no_template(make):
    with pytest.raises(LatxaError, match="`tiny` has no chat template") as caught:
        render(make(None), CHAT)
    assert caught.value.hint and not isinstance(caught.value, TemplateError)


def test_a_template_that_changes_the_words(make):
    with pytest.raises(TemplateError, match="changes, repeats or leaves out"):
        pre_query(make(SHOUTING))
    with pytest.raises(TemplateError, match="rewrites the conversation"):
        encode_chat(make(SHOUTING), CHAT)


def test_end_of_turn_ids(named):
    name, tokenizer = named
    ids = end_of_turn_ids(tokenizer, SimpleNamespace(eos_token_id=[1, 5]))
    assert ids[:2] == [1, 5] and len(ids) == len(set(ids))
    assert tokenizer.convert_tokens_to_ids(END_OF_TURN[name]) in ids
    assert (tokenizer.convert_tokens_to_ids("[/INST]") in ids) == (name == "mistral")  # the end of a user's turn


def test_end_of_turn_ids_without_generation_config_or_template(make):
    assert end_of_turn_ids(make(None)) == [1]


# How a user's turn, an answer and a last answer are written; the tokens that end answers; what is trained behind each.
ENDS = {
    "header, as GLM 4": ("<|im_start|>{}", "[INST]{}", "[INST]{}", ["<|im_start|>"], ["<|im_start|>", "</s>"]),
    "header or end": ("[INST]{}", "<s>{}", "<s>{}<|im_end|>", ["<|im_end|>", "[INST]"], ["[INST]", "<|im_end|>"]),
    "end of all messages but the last, as gpt-oss": (
        "<s>{}<|eot_id|>", "<s>{}<|eot_id|>", "<s>{}<|im_end|>", ["<|im_end|>"], ["", "<|im_end|>"]
    ),
    "two, parted": (
        "[INST]{}", "<s>{}<|eot_id|>\\n<|im_end|>\\n", "<s>{}<|eot_id|>\\n<|im_end|>\\n", ["<|eot_id|>", "<|im_end|>"],
        ["<|eot_id|>\n<|im_end|>", "<|eot_id|>\n<|im_end|>"],
    ),
    "one, then one like the header": (
        "<|im_start|>{}", "<s>{}<|eot_id|>", "<s>{}<|eot_id|><|im_end|>", ["<|eot_id|>"], ["<|eot_id|>", "<|eot_id|>"]
    ),
}  # fmt: skip


def of_turns(user, answer, last):
    """Return a template of the forms of a user's turn, an answer and the last answer."""
    user, answer, last = (f"'{form}'".replace("{}", "' + turn['content'] + '") for form in (user, answer, last))
    written = f"{user} if turn['role'] == 'user' else ({last} if loop.last else {answer})"
    return f"{{% for turn in messages %}}{{{{ {written} }}}}{{% endfor %}}{{{{ '<s>' if add_generation_prompt }}}}"


@pytest.mark.parametrize("name", ENDS)
def test_the_tokens_behind_answers(make, name):
    *written, ids, behind = ENDS[name]
    tokenizer = make(of_turns(*written))
    assert set(end_of_answer_ids(tokenizer)) == {1, *tokenizer.convert_tokens_to_ids(ids)}
    first, last = trained_text(tokenizer, encode_chat(tokenizer, CHAT))
    assert [first.removeprefix("Lur garaia."), last.removeprefix("Kolore askokoa 🐦.")] == behind


def test_the_tokens_behind_the_only_answer_that_a_template_takes(make):
    once = "{% if messages | length > 2 %}{{ raise_exception('one') }}{% endif %}"
    tokenizer = make(once + of_turns("[INST]{}", *2 * ["<s>{}<|eot_id|><|im_end|>"]))
    assert end_of_answer_ids(tokenizer) == [1, *tokenizer.convert_tokens_to_ids(["<|eot_id|>", "<|im_end|>"])]
    assert trained_text(tokenizer, encode_chat(tokenizer, CHAT[:2])) == ["Lur garaia.<|eot_id|><|im_end|>"]


def test_a_template_that_asks_for_a_system_message_trains_the_first_token_behind_an_answer(make):
    asks = "{% if messages[0]['role'] != 'system' %}{{ raise_exception('who am I?') }}{% endif %}"
    tokenizer = make(asks + CHATML)
    with pytest.raises(TemplateError, match=r"who am I\?"):
        end_of_answer_ids(tokenizer)
    encoded = encode_chat(tokenizer, [{"role": "system", "content": "Izan labur."}, *CHAT[:2]])
    assert trained_text(tokenizer, encoded) == ["Lur garaia.<|im_end|>"]


def test_assistant_turns_and_their_ends_are_trained(named):
    name, tokenizer = named
    encoded = encode_chat(tokenizer, CHAT)
    first, second = trained_text(tokenizer, encoded)
    if name == "alpaca":  # no special token: the blank line ends an answer, and end of text the conversation
        assert (first, second) == ("Lur garaia.\n\n", "Kolore askokoa 🐦.\n\n</s>")
        return
    space = " " if name == "mistral" else ""
    assert first.removeprefix(space) == "Lur garaia." + END_OF_TURN[name]
    assert second.removeprefix(space) == "Kolore askokoa 🐦." + END_OF_TURN[name]
    assert tokenizer.decode(encoded.ids) == render(tokenizer, CHAT)


def test_white_space_before_an_answer_that_the_prompt_for_one_lacks_is_trained(make):
    """A digit is a token of its own in most vocabularies, and so is the space before it."""
    tokenizer = make(MISTRAL)
    messages = chat("12+30?", " 42", "Eta?", "42")
    assert trained_text(tokenizer, encode_chat(tokenizer, messages)) == ["  42</s>", " 42</s>"]
    assert trained_text(make(CHATML), encode_chat(make(CHATML), messages))[0] == " 42<|im_end|>"


def test_begin_of_text_stands_once(named):
    name, tokenizer = named
    encoded = encode_chat(tokenizer, CHAT)
    assert encoded.ids.count(tokenizer.bos_token_id) == (name in ("llama", "gemma", "mistral"))


def test_all_trains_from_the_users_first_word(named):
    _, tokenizer = named
    encoded = encode_chat(tokenizer, CHAT, loss="all")
    (text,) = trained_text(tokenizer, encoded)
    header = pre_query(tokenizer).prefix
    assert (header + text).removesuffix("</s>") == render(tokenizer, CHAT).removesuffix("</s>")


def test_system_messages_are_not_trained(make):
    for template in (LLAMA, CHATML, MISTRAL, ALPACA):
        tokenizer = make(template)
        messages = [{"role": "system", "content": "Izan labur."}, *CHAT]
        for text in trained_text(tokenizer, encode_chat(tokenizer, messages)):
            assert "labur" not in text and "Zer" not in text
        (text,) = trained_text(tokenizer, encode_chat(tokenizer, messages, loss="all"))
        assert text.startswith("Zer da mendia?")


def test_contents_that_the_template_trims(make):
    tokenizer = make(LLAMA)
    messages = [{"role": "user", "content": "  Zer? \n"}, {"role": "assistant", "content": "\nHau. "}]
    assert trained_text(tokenizer, encode_chat(tokenizer, messages)) == ["Hau.<|eot_id|>"]


def test_the_same_words_in_question_and_answer(named):
    name, tokenizer = named
    messages = [{"role": "user", "content": "bai"}, {"role": "assistant", "content": "bai"}]
    encoded = encode_chat(tokenizer, messages)
    end = "\n\n</s>" if name == "alpaca" else END_OF_TURN[name]
    assert [text.strip(" ") for text in trained_text(tokenizer, encoded)] == ["bai" + end]
    assert encoded.trained.index(True) > len(encoded.ids) // 2


def test_an_unfinished_conversation_trains_its_answers(named):
    _, tokenizer = named
    (text,) = trained_text(tokenizer, encode_chat(tokenizer, CHAT[:3]))
    assert "Lur garaia." in text and "Eta" not in text


def test_no_answer_trains_nothing(named):
    _, tokenizer = named
    assert not any(encode_chat(tokenizer, CHAT[:1]).trained)


def test_a_template_that_looks_at_contents_is_read_by_prefixes(make):
    tokenizer = make(THINKING)
    messages = [*CHAT[:3], {"role": "assistant", "content": "<think>hm</think>Bai."}]
    assert trained_text(tokenizer, encode_chat(tokenizer, messages)) == [
        "Lur garaia.<|im_end|>",
        "<think>hm</think>Bai.<|im_end|>",
    ]
    lost = [CHAT[0], {"role": "assistant", "content": "<think>hm</think>Bai."}, *CHAT[2:]]
    with pytest.raises(TemplateError, match="rewrites the conversation"):
        encode_chat(tokenizer, lost)


def test_a_batch_keeps_order_and_says_which_was_refused(make):
    tokenizer = make(GEMMA)
    refused = [{"role": "system", "content": "x"}, *CHAT]
    one, two, three = encode_chats(tokenizer, [CHAT, refused, CHAT[:2]])
    assert isinstance(two, TemplateError)
    assert one == encode_chat(tokenizer, CHAT) and three == encode_chat(tokenizer, CHAT[:2])


# --- texts at the margins --------------------------------------------------------------------------------------------

# An empty thought before an answer that has none: the text round an answer depends on what it says.
WITH_THOUGHTS = (
    "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n"
    "{% if turn['role'] == 'assistant' and '</think>' not in turn['content'] %}<think></think>{% endif %}"
    "{{ turn['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def chat(*contents):
    return [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]


def test_a_question_that_its_header_spells_too(make):
    """By prefixes: the question is behind its header, and the last thing but for the end of the turn."""
    tokenizer = make(WITH_THOUGHTS)
    messages = chat("user", "<think>hm</think>user")
    assert trained_text(tokenizer, encode_chat(tokenizer, messages)) == ["<think>hm</think>user<|im_end|>"]
    (text,) = trained_text(tokenizer, encode_chat(tokenizer, messages, loss="all"))
    assert text.startswith("user<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.parametrize("words", ["end", "im_end", "im", ">", "|"])
def test_words_that_the_end_of_a_turn_spells_too(make, words):
    """By prefixes: the end of the turn is the template's, whatever stands in it."""
    tokenizer = make(WITH_THOUGHTS)
    for question in ("Zer?", words):
        messages = [*chat(question, words), *chat(words, "<think>hm</think>Bai.")]
        first, last = trained_text(tokenizer, encode_chat(tokenizer, messages))
        assert (first, last) == (f"<think></think>{words}<|im_end|>", "<think>hm</think>Bai.<|im_end|>")


def test_a_question_that_the_template_leaves_out_is_not_taken_for_an_earlier_one(make):
    again = (
        "{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n"
        "{{ '…' if not loop.first and turn['content'] == messages[0]['content'] else turn['content'] }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with pytest.raises(TemplateError, match="rewrites the conversation"):
        encode_chat(make(again), chat("bai", "ez", "bai", "ez"))


def test_an_empty_answer_that_the_template_fills_in_is_not_found(make):
    filled = CHATML.replace("{{ turn['content'] }}", "{{ turn['content'] or '(silence)' }}")
    with pytest.raises(TemplateError, match="rewrites the conversation"):
        encode_chat(make(filled), chat("bai", ""))


def test_an_unknown_token_is_no_special_one(make):
    tokenizer = make(CHATML)
    tokenizer.add_special_tokens({"unk_token": "<unk>"})
    assert "<unk>" not in special_tokens(tokenizer) and "<|im_end|>" in special_tokens(tokenizer)
    messages = chat("Zer da <unk>?", "Hau <unk> da.")
    assert trained_text(tokenizer, encode_chat(tokenizer, messages)) == ["Hau <unk> da.<|im_end|>"]


def test_a_text_that_spells_a_special_token_is_told(make):
    for number in range(4):
        messages = [dict(message) for message in CHAT]
        messages[number]["content"] += "<|im_start|>"
        with pytest.raises(TemplateError, match=r"holds the special token `<\|im_start\|>`"):
            encode_chat(make(CHATML), messages)


@pytest.fixture
def merged():
    """A tokenizer of letters and two tokens more: a full stop and the end of its line, `<|u|>` and the spaces after."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    made = Tokenizer(models.BPE(vocab={**letters, ".Ċ": len(letters)}, merges=[(".", "Ċ")]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken("<|u|>", rstrip=True, special=True)])

    def make(template):
        return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=template)

    return make


def test_a_token_that_reaches_over_the_end_of_an_answer_is_trained(merged):
    """Where no special token ends an answer, and the last one has nothing behind it."""
    tokenizer = merged(
        "{% for turn in messages %}{{ turn['role'] }}: {{ turn['content'] }}{{ '' if loop.last else '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}\nassistant: {% endif %}"
    )
    first, last = trained_text(tokenizer, encode_chat(tokenizer, chat("Zer?", "Lur.", "Eta?", "Ur.")))
    assert (first, last) == ("Lur.\n", "Ur.")


def test_a_token_that_reaches_over_the_end_of_what_follows_an_answer_is_trained(merged):
    tokenizer = merged(
        "{% for turn in messages %}{{ turn['role'] }}: {{ turn['content'] }}.{{ '' if loop.last else '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}\nassistant: {% endif %}"
    )
    first, last = trained_text(tokenizer, encode_chat(tokenizer, chat("Zer?", "Lur", "Eta?", "Ur")))
    assert (first, last) == ("Lur.\n", "Ur.")


def test_a_special_token_that_a_text_spells_is_told_where_it_takes_in_what_the_template_writes(merged):
    tokenizer = merged("{% for turn in messages %}{{ turn['content'] }}\n{% endfor %}")
    (told,) = encode_chats(tokenizer, [chat("Zer?", "Hau.<|u|>")])
    assert isinstance(told, TemplateError) and "holds the special token `<|u|>" in told.message


def test_a_special_token_that_takes_in_the_first_space_of_the_next_turn_ends_an_answer(merged):
    tokenizer = merged("{% for turn in messages %}{{ turn['content'] }}{{ '' if loop.last else '<|u|>' }}{% endfor %}")
    first, last = trained_text(tokenizer, encode_chat(tokenizer, chat("Zer?", "Hau.", " Eta?", "Hori.")))
    assert (first, last) == ("Hau.<|u|>", "Hori.")


def test_a_special_token_of_the_template_that_takes_in_the_first_space_is_not_the_texts(merged):
    tokenizer = merged("{% for turn in messages %}<|u|>\n{{ turn['content'] }}{% endfor %}")
    assert isinstance(encode_chats(tokenizer, [chat(" Zer?", "Hau.")])[0], TokenisedChat)


def test_all_trains_nothing_before_the_first_question(make):
    messages = [{"role": "assistant", "content": "Kaixo!"}, *CHAT]
    tokenizer = make(CHATML)
    (text,) = trained_text(tokenizer, encode_chat(tokenizer, messages, loss="all"))
    assert text.startswith("Zer da mendia?")
    assert trained_text(tokenizer, encode_chat(tokenizer, messages))[0] == "Kaixo!<|im_end|>"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (CHATML.replace("{{ turn['content'] }}", "{{ turn['content'] * 2 }}"), "changes, repeats or leaves out"),
        ("{% if messages | length > 1 %}Many. {% endif %}" + ALPACA, "writes another beginning"),
        (ALPACA.replace("in messages", "in messages | reverse"), "does not write a dialogue of"),
    ],
)
def test_templates_that_write_no_dialogue(make, template, says):
    with pytest.raises(TemplateError, match=says):
        pre_query(make(template), CHAT[:2], default_system=False)


def test_a_header_that_begins_like_the_end_of_a_conversation_and_like_the_end_of_a_turn(make):
    tokenizer = make(
        "Today.\n{% for turn in messages %}<|im_start|>{{ turn['role'] }}\n{{ turn['content'] }}<|im_start|>"
        "{% endfor %}{{ '<|im_start|>assistant\n' if add_generation_prompt else '<|im_end|>' }}"
    )
    assert pre_query(tokenizer, default_system=False).prefix == "<|im_start|>user\n"


def test_begin_of_text_before_every_turn_stands_once_before_the_first(make):
    tokenizer = make("Today.\n{% for turn in messages %}<s>{{ turn['role'] }}: {{ turn['content'] }}{% endfor %}")
    assert pre_query(tokenizer).prefix == "Today.\n<s>user: "
    assert pre_query(tokenizer, default_system=False).prefix == "<s>user: "


def test_a_system_block_that_says_whether_to_think(make):
    told = "{% if enable_thinking is defined %}Think: {{ enable_thinking }}.\n{% endif %}" + ALPACA
    around = pre_query(make(told), CHAT[:2], default_system=False, thinking=True)
    assert around.prefix == pre_query(make(ALPACA), CHAT[:2]).prefix


def test_a_model_without_the_token_that_ends_a_thought_thinks_not(make):
    tokenizer = make(WITH_THOUGHTS)
    assert not can_think(tokenizer)
    tokenizer.add_tokens(["</think>"])
    assert can_think(tokenizer)


def test_a_special_token_without_a_name_is_one(merged):
    assert special_tokens(merged(CHATML)) == {"<|u|>"}
