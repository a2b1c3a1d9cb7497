"""A tiny random Llama with its own tokenizer, and a four-choice task of our own: enough to run every path for real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TOWNS = ("Ulmo", "Brask", "Tirenn", "Ovel", "Kessa", "Marrow", "Lind", "Pavo")
COLOURS = ("red", "green", "blue", "white")

TASK = """\
task: towns
dataset_path: json
dataset_kwargs:
  data_files:
    test: towns.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
  language: en
"""


def question(index: int) -> dict[str, object]:
    """Item `index` of the task: the answers go round the four choices, and no two items read alike."""
    town = f"{TOWNS[index % len(TOWNS)]} {index}"
    choices = [f"the {colour} gate" for colour in COLOURS]
    return {"id": f"town-{index}", "question": f"Where does {town} begin?", "choices": choices, "answer": index % 4}


def write_items(path: Path, count: int) -> None:
    path.write_text("".join(json.dumps(question(index)) + "\n" for index in range(count)), encoding="utf-8")


def build_model(directory: Path, *, hidden: int, layers: int, vocabulary: int, seed: int = 0) -> None:
    """Write a random Llama of that size, with a byte-level tokenizer that has a chat template, to `directory`."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    specials = ["<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    texts = [f"Question: {question(index)['question']}\nAnswer: the red green blue white gate" for index in range(50)]
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>")
    fast.chat_template = CHAT_TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=hidden * 3,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(directory)
    fast.save_pretrained(directory)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models") / "tiny"
    build_model(directory, hidden=32, layers=1, vocabulary=400)
    return directory


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with heads of 32 numbers, since vLLM has no narrower ones on a CPU."""
    directory = tmp_path_factory.mktemp("models") / "wide"
    build_model(directory, hidden=128, layers=1, vocabulary=400)
    return directory


@pytest.fixture
def task_folder(tmp_path: Path) -> Path:
    """A folder with `towns.yaml` and, beside it, the 12 items that it names by a relative path."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "towns.yaml").write_text(TASK, encoding="utf-8")
    write_items(folder / "towns.jsonl", 12)
    return folder
