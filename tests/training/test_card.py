"""The model card: what the run wrote down, and nothing that a name in the data could make of it."""

from __future__ import annotations

import re

import pytest
import torch
import yaml
from saved_run import write_checkpoint, write_run

from latxa_cli.training.checkpoints.card import card
from latxa_cli.training.checkpoints.saved_run import SavedCheckpoint, choose

METRICS = [
    {"step": 1, "loss": 5.5, "tokens": 100},
    {"step": 1, "validation": "eu", "loss": 4.25, "perplexity": 70.105412, "bits_per_byte": 1.5, "tokens": 1234},
    {"step": 2, "loss": 5.0, "tokens": 200},
    {"step": 2, "validation": "eu", "loss": 4.0, "perplexity": 54.59815, "bits_per_byte": 1.25, "tokens": 1234},
    {"step": 3, "loss": 1.0, "tokens": 300},
]


def made(folder, model_directory, *, step=2, model=None, **more) -> SavedCheckpoint:
    parameters = {"model.norm.weight": torch.zeros(32)}
    run = write_run(folder / "run", model or model_directory, parameters, model_files=model_directory, **more)
    write_checkpoint(run, step, parameters)
    return choose(run, lambda _: None)


def front_matter(text):
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def table(text, title):
    """Return the rows of the table under a heading, cells without escapes."""
    section = re.split(r"^## ", text, flags=re.MULTILINE)
    lines = next(part for part in section if part.startswith(title + "\n")).splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    return [[re.sub(r"\\(.)", r"\1", cell.strip()) for cell in row] for number, row in enumerate(rows) if number != 1]


def test_the_whole_card(model_directory, tmp_path):
    text = card(made(tmp_path, model_directory, learning_rate=1e-3), "bfloat16", name="exp_2_111", chats=True)
    assert front_matter(text) == {"library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["latxa"]}
    assert "\n# exp_2_111\n\nTrained from tiny for 2 steps; weights in bfloat16.\n" in text
    assert str(model_directory.parent) not in text  # where it lay is nobody's business
    assert table(text, "Data") == [
        ["source", "records", "tokens", "share of tokens", "trained"],
        ["web", "60", "3,000", "75.0%", "96.7%"],
        ["chats", "40", "1,000", "25.0%", "30.0%"],
        ["all", "100", "4,000", "100.0%", "80.0%"],
    ]
    assert "In 70 rows of 64 tokens, 91.2% filled." in text
    settings = table(text, "Settings")
    assert ["chat_loss", "assistant", "assistant"] in settings[3:]
    assert settings[1:3] == [["learning_rate", "0.001", "1e-05"], ["sequence_length", "64", "1024"]]
    facts = dict(map(tuple, table(text, "Made with")))
    assert facts["latxa"] == "0.1.0" and facts["torch"] == torch.__version__ and facts["processes"] == "1"
    assert facts["digest of the data"] == "4567ef" and facts["digest of the starting model"] == "0123abcd"
    assert facts["parameters trained"] == "32"
    assert 'AutoModelForCausalLM.from_pretrained("MODEL", dtype="auto")' in text and "llm.chat(" in text
    assert "## Loss" not in text


def test_code_of_the_card_is_code(model_directory, tmp_path):
    for chats, call in ((True, "llm.chat("), (False, "llm.generate(")):
        text = card(made(tmp_path / call[4:-1], model_directory), "float32", name="m", chats=chats)
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        assert len(blocks) == 2 and all(len(block.splitlines()) == 3 for block in blocks) and call in blocks[1]
        for block in blocks:
            compile(block, "card", "exec")


def test_losses_are_those_of_the_checkpoint_and_not_later_ones(model_directory, tmp_path):
    saved = made(tmp_path, model_directory, metrics=METRICS)
    with (saved.folder.parent.parent / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')  # cut off by a kill
    assert table(card(saved, "float32", name="m", chats=False), "Loss") == [
        ["", "step", "loss", "perplexity", "bits_per_byte", "tokens"],
        ["training", "2", "5.0000", "-", "-", "-"],
        ["validation: eu", "2", "4.0000", "54.5981", "1.2500", "1,234"],
    ]


def test_the_starting_model_is_named_to_the_hub_only_if_it_is_there(model_directory, tmp_path):
    text = card(made(tmp_path, model_directory, model="HiTZ/Latxa-8B"), "float32", name="m", chats=False)
    assert front_matter(text)["base_model"] == "HiTZ/Latxa-8B"
    assert "Trained from Latxa-8B for" in text


EVIL = [
    "web | 99 | 99 |",
    "a\n# heading\n\n---\nlicense: mit",
    "[click](http://evil.example)",
    "<script>alert(1)</script>",
    "`code` *bold* ~~no~~",
    "\x1b[31mred\u202e",
    "![](http://evil.example/x.png)",
]


@pytest.mark.parametrize("name", EVIL)
def test_names_of_sources_are_shown_and_not_understood(model_directory, tmp_path, name):
    sources = {name: {"records": 1, "tokens": 10, "trained": 10}}
    saved = made(tmp_path, model_directory, sources=sources, source_loss={name: "all"}, metrics=[
        {"step": 2, "loss": 1.0}, {"step": 2, "validation": name, "loss": 1.0},
    ])  # fmt: skip
    text = card(saved, "float32", name=name, chats=False)
    plain = card(made(tmp_path / "plain", model_directory, sources={"x": sources[name]}, source_loss={"x": "all"},
                      metrics=[{"step": 2, "loss": 1.0}, {"step": 2, "validation": "x", "loss": 1.0}]),
                 "float32", name="x", chats=False)  # fmt: skip
    assert len(text.splitlines()) == len(plain.splitlines())  # no line more
    assert front_matter(text) == front_matter(plain)
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert table(text, "Data")[1][1:] == table(plain, "Data")[1][1:]
    assert not re.search(r"(?<!\\)[<\[`*~]", text.split("## How to load it")[0].replace("`MODEL`", ""))
