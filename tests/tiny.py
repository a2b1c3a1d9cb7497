"""What the tests make their tiny models of, with `latxa init` and `latxa train` themselves."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from latxa_cli.stream.checks import checker

Latxa = Callable[..., "subprocess.CompletedProcess[bytes]"]  # what the fixture `latxa` gives

BINARY = Path(sys.executable).with_name("latxa")

# A language of 28 words and its "translation": every word read backwards.
WORDS = [
    "the",
    "old",
    "harbour",
    "keeper",
    "counts",
    "seven",
    "lamps",
    "before",
    "a",
    "storm",
    "while",
    "gulls",
    "sleep",
    "on",
    "warm",
    "roofs",
    "and",
    "bakers",
    "sell",
    "round",
    "bread",
    "to",
    "sailors",
    "from",
    "quiet",
    "islands",
]
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "tie_word_embeddings": True,
}


def sentence(draw: random.Random, length: int) -> str:
    return " ".join(draw.choices(WORDS, k=length))


def backwards(text: str) -> str:
    return " ".join(word[::-1] for word in text.split())


def write_jsonl(path: Path, records: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def checked_conversations(data: bytes) -> list[dict[str, Any]]:
    """Return the conversations on these lines, every one of which ends with an answer and has an id of its own."""
    check = checker("conversation")
    records = [json.loads(line) for line in data.splitlines()]
    for record in records:
        check(record)
        assert [message["role"] for message in record["messages"]][-2:] == ["user", "assistant"]
        assert all(message["content"].strip() == message["content"] != "" for message in record["messages"])
    assert len({record["id"] for record in records}) == len(records)
    return records


# How the two models are made, in a folder with `config.json` and `train.jsonl`.
INIT = ("init", "config.json", "train.jsonl", "--vocabulary-size", "400")
TRAIN = (
    "train", "train.jsonl", "--model", "base", "--sequence-length", "64", "--epochs", "18", "--learning-rate", "1e-2",
    "--chat-loss", "all", "--threads", "1",
)  # fmt: skip


def make_models(folder: Path, latxa: Latxa) -> None:
    """Make the two models in `folder`, which is made if it is not there."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_jsonl(folder / "train.jsonl", training_records())
    for words, name in ((INIT, "base"), (TRAIN, "trained")):
        made = latxa(*words, "-o", name, cwd=folder)
        assert made.returncode == 0, made.stderr.decode()


def training_records() -> list[dict[str, object]]:
    """Return documents of translations, four a document, and chats of one short question and answer."""
    draw = random.Random(0)
    pairs = [sentence(draw, draw.randint(2, 4)) for _ in range(400)]
    records: list[dict[str, object]] = [
        {
            "id": f"pairs-{start}",
            "text": "".join(f"English: {t}\nEuskara: {backwards(t)}\n\n" for t in pairs[start:end]),
        }
        for start, end in ((n, n + 4) for n in range(0, len(pairs), 4))
    ]
    for number in range(100):
        turns = [("user", sentence(draw, 3)), ("assistant", sentence(draw, 2))]
        messages = [{"role": role, "content": content} for role, content in turns]
        records.append({"id": f"chat-{number}", "messages": messages})
    return records
