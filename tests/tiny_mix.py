"""A tiny model made by the toolkit itself, and a small mix: fixtures of the rooms that make and train models."""

from __future__ import annotations

import json
import random

import pytest

CONFIG = {
    "model_type": "llama", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 128, "tie_word_embeddings": True, "initializer_range": 0.2,
}  # fmt: skip
WORDS = ["etxe", "mendi", "ibai", "katu", "txori", "gorri", "zuri", "handi", "txiki", "eta", "da", "dira"]


@pytest.fixture(scope="session")
def records():
    """60 documents and 40 conversations, in turn, of two sources."""
    draw = random.Random(0)

    def words(most):
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, most)))

    mixed = []
    for number in range(100):
        if number % 5 < 3:
            mixed.append({"id": f"d{number}", "text": words(30), "source": "web"})
        else:
            turns = [{"role": "user", "content": words(5)}, {"role": "assistant", "content": words(5)}]
            mixed.append({"id": f"c{number}", "messages": turns, "source": "chats"})
    return mixed


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory, config_file, records):
    from latxa_cli.models.scratch import initialise

    directory = tmp_path_factory.mktemp("model") / "tiny"
    initialise(config_file, records, directory, vocabulary_size=300, seed=0)
    return directory


@pytest.fixture(scope="session")
def tokenizer(model_directory):
    from latxa_cli.tokenizer import load_tokenizer

    return load_tokenizer(str(model_directory))


@pytest.fixture(autouse=True)
def one_thread():
    """Tests run beside others on few cores; and equal bits need an equal number of threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
