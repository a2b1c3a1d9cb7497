"""A base model that learns a chat template stops after its answers, wherever it is read."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from chat_families import FAMILIES, letters, tokenizer_of
from random_models import random_model

from latxa_cli.model import load_model
from latxa_cli.models import merge as arithmetic
from latxa_cli.models import vocabulary
from latxa_cli.tokenizer import load_tokenizer
from latxa_cli.training import session
from latxa_cli.training.checkpoints.export import export
from latxa_cli.training.config import TrainConfig

QUESTION, ANSWER = "Zer?", "Hori."
CHAT = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
DOCUMENT = {"id": "document", "text": "etxe zuri bat mendian", "source": "web"}
LONGEST = 24  # tokens; an answer and its end have 7 at most
MEMORISED = ("Llama 3.1", "Tiny Aya", "Alpaca-like", "Phi 3.5", "Qwen 3", "gpt-oss")


def tokenizer_of_base(name):
    """Return a family's tokenizer as base models have it: another end of text where the template names its own."""
    family = FAMILIES[name]
    tokenizer = tokenizer_of(family, letters())
    if "eos_token" not in family.template:
        tokenizer.add_special_tokens({"eos_token": "<|end of document|>", "additional_special_tokens": [family.eos]})
    tokenizer.chat_template = None
    return tokenizer


@pytest.fixture
def base(request, tmp_path):
    """The family's name, and the directory of a base model without a template."""
    tokenizer = tokenizer_of_base(request.param)
    sizes = {"max_position_embeddings": 512, "bos_token_id": tokenizer.bos_token_id, "tie_word_embeddings": True}
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.eos_token_id}
    model = random_model("llama", spread=0.02, vocab_size=len(tokenizer), **sizes, **ends)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return request.param, tmp_path / "base"


def trained(prepared, base, directory, template, *, steps, records=None):
    """Train with the template on the exchange; return the trained network."""
    torch.manual_seed(0)
    chats = [{"id": f"c{number}", "messages": CHAT, "source": "chats"} for number in range(4)]
    rows = prepared(records or [*chats, DOCUMENT], model=str(base), sequence_length=512, chat_template=template).rows
    config = TrainConfig(sequence_length=512, sequences_per_step=1, max_steps=steps, learning_rate=2e-2, keep=1)
    loaded = session.load(str(base), config, device="cpu", threads=1)
    session.check_rows(rows, loaded, str(base))
    silent = session.RunListeners(report=lambda _: None, warn=lambda _: None, give_up=print)
    session.run(loaded, rows, config, directory, resume=False, listeners=silent)
    return loaded.model


def ends_in(directory):
    """Return the ids that end a text by the settings of generation, and by the configuration."""
    named = (
        json.loads((directory / name).read_text())["eos_token_id"] for name in ("generation_config.json", "config.json")
    )
    return [set(ids) if isinstance(ids, list) else {ids} for ids in named]


def written(directory, **settings):
    """Return what the model in a directory answers, as transformers generates it."""
    model, tokenizer = load_model(str(directory), device="cpu").eval(), load_tokenizer(str(directory))
    prompt = tokenizer.apply_chat_template(CHAT[:1], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = model.generate(**prompt, max_new_tokens=LONGEST, do_sample=False, **settings)[0]
    return tokenizer.decode(made[prompt["input_ids"].shape[1] :])


@pytest.mark.parametrize("base", FAMILIES, indirect=True)
def test_the_ends_of_turns_are_among_those_that_a_trained_model_names(base, prepared, tmp_path):
    name, start = base
    before = ends_in(start)
    trained(prepared, start, tmp_path / "out", FAMILIES[name].template, steps=1)
    tokenizer = load_tokenizer(str(tmp_path / "out"))
    ends = set(tokenizer(FAMILIES[name].end, add_special_tokens=False)["input_ids"])
    assert len(ends) == 1 + ("RESPONSE" in FAMILIES[name].end)
    assert ends_in(tmp_path / "out") == [ends | {tokenizer.eos_token_id}] * 2
    assert before == [{tokenizer.eos_token_id}] * 2
    if "eos_token" not in FAMILIES[name].template:
        assert tokenizer.eos_token_id not in ends
    facts = export(tmp_path / "out", tmp_path / "again")
    assert facts["step"] == 1 and ends_in(tmp_path / "again") == ends_in(tmp_path / "out")


@pytest.mark.parametrize("base", MEMORISED, indirect=True)
def test_transformers_stops_after_an_answer_that_a_model_has_learnt(base, prepared, tmp_path):
    name, start = base
    trained(prepared, start, tmp_path / "out", FAMILIES[name].template, steps=60)
    tokenizer = load_tokenizer(str(tmp_path / "out"))
    ends = tokenizer(FAMILIES[name].end, add_special_tokens=False)["input_ids"]
    answer = FAMILIES[name].lead + ANSWER
    assert written(tmp_path / "out") == answer + tokenizer.decode(ends[:1])
    assert written(tmp_path / "out", eos_token_id=ends[-1]) == answer + FAMILIES[name].end


@pytest.mark.parametrize("base", ["Qwen 3"], indirect=True)
def test_all_verbs_that_write_models_name_the_ends_of_a_template(base, prepared, tmp_path):
    name, start = base
    tokenizer = load_tokenizer(str(start))
    both = {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(FAMILIES[name].end)}
    (start / "chat_template.jinja").write_text(FAMILIES[name].template)
    words = [{"text": f"{one} {other}"} for one in ("etxe", "mendi") for other in ("zuri", "gorri")]
    vocabulary.extend(str(start), words, tmp_path / "extended", pieces=5, start="mean", seed=0)
    assert ends_in(tmp_path / "extended") == [both, both]
    planned = arithmetic.plan(*[arithmetic.load(str(start))] * 3)
    (tmp_path / "merged").mkdir()
    arithmetic.merge(planned, tmp_path / "merged", scale=1.0, parts=planned.parts, report=lambda _: None)
    assert ends_in(tmp_path / "merged") == [both, both]
    trained(prepared, start, tmp_path / "trained", None, steps=1)
    assert ends_in(tmp_path / "trained") == [both, both]


def test_a_new_model_names_the_end_of_a_turn_in_its_configuration_too(model_directory):
    assert ends_in(model_directory) == [{1, 6}, {1, 6}]


@pytest.mark.parametrize("base", ["ChatML"], indirect=True)
def test_a_model_without_a_template_or_with_one_that_writes_no_answers_keeps_its_ends(base, prepared, tmp_path):
    _, start = base
    before = (start / "generation_config.json").read_bytes(), ends_in(start)
    for template in (None, "{{ messages[0].content }}"):
        trained(prepared, start, tmp_path / "out", template, steps=1, records=[DOCUMENT])
        assert ((tmp_path / "out" / "generation_config.json").read_bytes(), ends_in(tmp_path / "out")) == before
        shutil.rmtree(tmp_path / "out")
