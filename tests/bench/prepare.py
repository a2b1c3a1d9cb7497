"""`latxa prepare` on one core, against the bare tokenizer; and how full its rows are.

    python tests/bench/prepare.py [ROUNDS]

The mix is all the text of `../shared/data`: corpora of three languages and the English instructions. The tokenizer is
learnt on it: byte-level BPE of 16,000 tokens with the word pattern of Llama 3. Our side reads JSON lines, renders the
conversations, tokenises, marks, packs into rows of 2,048 and writes them; the other side gets the same texts, with the
conversations rendered already, and calls the tokenizer of transformers on 256 at a time. Start-up is not counted.

Goals: at least 0.9 x the tokens a second of CPU time; rows at least 99.5 % full; no token lost.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}  # one core for both
from timing import Cost, by_turns, table, verdict

from latxa_cli.chat.special import begin_of_text
from latxa_cli.stages import Work, open_executor
from latxa_cli.stream.sources import parse_sources
from latxa_cli.tokenizer import load_tokenizer
from latxa_cli.training.data import prepare as room
from latxa_cli.training.data.tokenised import TokenisingSettings

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FILES = ("corpus_eu.jsonl", "corpus_en.jsonl", "corpus_es.jsonl", "instructions_en.jsonl")
GOAL, GOAL_FILL, LENGTH, BATCH = 0.9, 0.995, 2048, 256
SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)


def records() -> Iterator[dict[str, Any]]:
    for name in FILES:
        for line in (DATA / name).read_text(encoding="utf-8").split("\n"):
            if line:
                yield json.loads(line) | {"source": name}


def build(folder: Path, mix: list[dict[str, Any]]) -> None:
    """Make a model directory without weights: a tokenizer and a configuration."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(WORDS), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=16_000, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    texts = (record.get("text") or "\n".join(m["content"] for m in record["messages"]) for record in mix)
    made.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=SPECIAL[0], eos_token=SPECIAL[1], extra_special_tokens=list(SPECIAL[2:]),
        chat_template=TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 16_000, "hidden_size": 64}))


def main(rounds: int) -> None:
    mix = list(records())
    with tempfile.TemporaryDirectory(prefix="latxa-bench-") as name:
        folder = Path(name)
        build(folder, mix)
        file = folder / "mix.jsonl"
        file.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in mix), encoding="utf-8")
        tokenizer = load_tokenizer(str(folder))
        texts = [
            record["text"] if "text" in record else tokenizer.apply_chat_template(record["messages"], tokenize=False)
            for record in mix
        ]
        found: dict[str, Any] = {}

        def ours() -> None:
            shutil.rmtree(folder / "work", ignore_errors=True)
            settings = room.settings_for(str(folder), TokenisingSettings(LENGTH))
            with open_executor("local", 1) as pool, Work(folder / "work", {}, pool) as work:
                found["made"] = room.prepare(parse_sources([str(file)]), settings, work, folder / "rows")

        def bare() -> None:
            batches = (texts[start : start + BATCH] for start in range(0, len(texts), BATCH))
            found["tokens"] = [
                len(ids)
                for batch in batches
                for ids in tokenizer(batch, add_special_tokens=False, split_special_tokens=False)["input_ids"]
            ]

        def timed(work: Any) -> Cost:
            wall, cpu = time.perf_counter(), time.process_time()
            work()
            return Cost(time.perf_counter() - wall, time.process_time() - cpu)

        ours()  # what is loaded and compiled once
        costs = by_turns({"prepare": lambda: timed(ours), "bare tokenizer": lambda: timed(bare)}, rounds)
        made = found["made"]
        wanted, too_long = 0, 0
        around = len(begin_of_text(tokenizer)) + 1  # the tokens that a document begins and ends with
        for record, length in zip(mix, found["tokens"], strict=True):
            chat = "messages" in record
            too_long += chat and length > LENGTH
            wanted += 0 if chat and length > LENGTH else length + around * (not chat)
        lost = wanted - made.rows.tokens
        ratio = costs["bare tokenizer"].cpu / costs["prepare"].cpu
        size = file.stat().st_size / 1e6
        rows = [(side, f"{cost.cpu:.2f}", f"{size / cost.cpu:.2f}") for side, cost in costs.items()]
    table([("", "CPU s", "MB/s"), *rows])
    sys.stdout.write(
        f"{len(mix):,} records, {made.rows.tokens:,} tokens, {made.rows.fill:.2%} of the rows; {ratio:.2f} x the "
        f"tokenizer; {lost:,} tokens lost; {made.rejected.total():,} conversations longer than a row\n"
    )
    verdict(
        f"{GOAL} x the bare tokenizer, rows {GOAL_FILL:.1%} full, no token lost",
        ratio >= GOAL and made.rows.fill >= GOAL_FILL and lost == 0 and made.rejected.total() == too_long,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
